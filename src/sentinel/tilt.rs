//! TILT: a Sentinel that lost time distrusts what it sees (spec 20).

use super::process::Pass;
use crate::record::SentinelEvent;

/// First thing in each tick: a step of the wall clock that is negative or larger than the trigger starts TILT, or
/// starts its period again (`sentinelCheckTiltCondition`).
pub(super) fn check_condition(pass: &mut Pass<'_>) {
    let now = pass.now();
    let delta = now - pass.process.previous_time;
    if delta < 0 || delta > pass.process.periods.tilt_trigger {
        pass.process.tilt = true;
        pass.process.tilt_start_time = now;
        pass.log(|| SentinelEvent::Tilt(true));
    }
    pass.process.previous_time = pass.now();
}

/// Whether the acting half may run; ends TILT at the first instance handled after its period
/// (`sentinelHandleRedisInstance`).
pub(super) fn may_act(pass: &mut Pass<'_>) -> bool {
    if pass.process.tilt {
        if pass.now() - pass.process.tilt_start_time < pass.process.periods.tilt {
            return false;
        }
        pass.process.tilt = false;
        pass.log(|| SentinelEvent::Tilt(false));
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::kernel::{Span, Time};
    use crate::record::SentinelEvent;
    use crate::sentinel::testing::{Lab, addr, short};
    use crate::wire::{Reply, RunId, SentinelCommand, SentinelReply};

    #[test]
    fn a_stopped_sentinel_is_in_tilt_for_thirty_seconds_and_still_votes() {
        let mut lab = Lab::ready(1, 1);
        lab.events();
        lab.bench.held_until = Time(lab.now_ms() * 1_000_000) + Span::from_millis(2_500);
        lab.kill(1);
        lab.run(10_000);
        let question = SentinelCommand::IsMasterDownByAddr { master: addr(1), epoch: 2, candidate: Some(RunId(12)) };
        let Reply::Sentinel(reply) = lab.ask(question) else { panic!("it answers") };
        assert_eq!(*reply, SentinelReply::MasterDown { down: false, leader: Some(RunId(12)), leader_epoch: 2 });
        lab.run(30_000);
        let events = lab.events();
        let at = |what: &str| events.iter().find(|(_, e)| short(e) == what).map(|(time, _)| *time).expect("it happens");
        assert!((30_000..=30_106).contains(&(at("-tilt") - at("+tilt"))));
        assert_eq!(at("+sdown 1"), at("-tilt"), "it acts in the same tick");
    }

    #[test]
    fn steps_of_the_wall_clock_tilt_and_small_ones_forwards_do_not() {
        for (step_ms, tilts) in [(1_500i64, false), (2_500, true), (-500, true)] {
            let mut lab = Lab::ready(1, 0);
            lab.events();
            lab.bench.wall_offset_ns = step_ms * 1_000_000;
            lab.run(500);
            let events = lab.events();
            let tilted = events.iter().any(|(_, event)| *event == SentinelEvent::Tilt(true));
            assert_eq!(tilted, tilts, "{step_ms}");
        }
    }
}
