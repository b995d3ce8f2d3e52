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
