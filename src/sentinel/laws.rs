//! Laws of Sentinel's timers, over drawn settings and seeds. The bounds are those of the source: every comparison is made
//! at a tick, ticks are 52 to 100 ms apart and drift by up to 3.5 ms (spec 1.4, 1.2).

use proptest::prelude::*;

use super::Config;
use super::testing::{Lab, Mode, addr, short, when};
use crate::record::SentinelEventKind::*;
use crate::wire::{Command, Role};

/// The longest time from a condition to the tick that sees it.
const TICK: u64 = 104;

fn times(lab: &mut Lab, host: u16, is: impl Fn(&Command) -> bool) -> Vec<u64> {
    lab.peer(host).received.iter().filter(|received| is(&received.1)).map(|received| received.0).collect()
}

/// A Sentinel with one replica and `sentinels` others that agree with everything it says, all known to it.
fn lab(config: Config, replicas: u16, sentinels: u16, seed: u64) -> Lab {
    let mut lab = Lab::with(config, replicas, sentinels, seed);
    lab.run(1_000);
    for host in 12..12 + sentinels {
        lab.hear(host, 0, addr(1), 0);
        lab.peer(host).thinks_down = true;
    }
    lab.run(24_000);
    lab.events();
    lab
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Spec 5.4: a PING follows the last answer after the lesser of down-after and ping-period, at the next tick.
    #[test]
    fn a_ping_follows_an_answer_after_the_lesser_of_down_after_and_ping_period(
        down_after in 150u64..6_000, ping_period in 100u64..2_000, seed in any::<u64>(),
    ) {
        let config = Config { down_after_milliseconds: down_after, ping_period, ..Config::default() };
        let mut lab = lab(config, 1, 0, seed);
        lab.peer(2).received.clear();
        lab.run(20_000);
        let period = down_after.min(ping_period);
        let pings = times(&mut lab, 2, |command| *command == Command::Ping);
        prop_assert!(pings.len() as u64 >= 20_000 / (period + TICK + 5) - 1);
        for pair in pings.windows(2) {
            prop_assert!((period..=period + TICK + 5).contains(&(pair[1] - pair[0])), "{period}: {pair:?}");
        }
    }

    /// Spec 7.5: a dead process is down at D and one tick or two, a silent one at D from its first unanswered PING.
    #[test]
    fn a_dead_process_is_seen_sooner_than_a_silent_one(
        down_after in 300u64..12_000, silent in any::<bool>(), wait in 0u64..1_200, seed in any::<u64>(),
    ) {
        let mut lab = lab(Config { down_after_milliseconds: down_after, ..Config::default() }, 1, 0, seed);
        lab.run(wait);
        let fault = lab.now_ms();
        if silent { lab.peer(1).mode = Mode::Silent } else { lab.kill(1) }
        lab.run(down_after + 2_500);
        let down = when(&lab.events(), SdownEntered, 1).expect("it is down") - fault;
        let latest = if silent { down_after.min(1_000) + 3 * TICK } else { 2 * TICK };
        // A PING may be on its way when the process dies.
        prop_assert!((down_after - 2..=down_after + latest).contains(&down), "{down} for {down_after}, silent: {silent}");
    }

    /// Spec 4.5, 4.2: a connection older than 15 s is replaced at half of down-after from the first unanswered PING, and
    /// SDOWN counts from that PING all the same.
    #[test]
    fn a_hung_connection_is_replaced_at_half_of_down_after(down_after in 400u64..20_000, seed in any::<u64>()) {
        let mut lab = lab(Config { down_after_milliseconds: down_after, ..Config::default() }, 1, 0, seed);
        lab.peer(1).received.clear();
        lab.peer(1).mode = Mode::Silent;
        lab.run(down_after + 4_000);
        let ping = times(&mut lab, 1, |command| *command == Command::Ping)[0];
        // The Pub/Sub connection goes 6 s after its last message; before that only the command connection is opened.
        let named = times(&mut lab, 1, |command| *command == Command::ClientSetName);
        let after = named[0] - ping;
        // The connection is closed at one tick and opened at the next; before 6 s the Pub/Sub connection stays.
        if after < 3_500 || down_after / 2 < 3_500 {
            prop_assert!((down_after / 2..=down_after / 2 + 3 * TICK).contains(&after), "{after} for {down_after}");
        }
        let down = when(&lab.events(), SdownEntered, 1).expect("it is down") - ping;
        prop_assert!((down_after..=down_after + TICK).contains(&down), "{down} for {down_after}");
    }

    /// Spec 10.1, 10.4, 11.2: an attempt that elects nobody is given up after min(10 s, failover-timeout) and a draw of
    /// 0 to 999 ms; the next comes 2 x failover-timeout and the same draw after it began.
    #[test]
    fn a_failover_is_not_tried_again_before_twice_the_failover_timeout(
        failover_timeout in 500u64..15_000, seed in any::<u64>(),
    ) {
        let config = Config { quorum: 1, failover_timeout, down_after_milliseconds: 1_000, ..Config::default() };
        let mut lab = lab(config, 1, 2, seed);
        lab.peer(12).votes = false;
        lab.peer(13).votes = false;
        lab.kill(1);
        lab.run(6 * failover_timeout + 6_000);
        let events = lab.events();
        let at = |what: &str| -> Vec<u64> {
            events.iter().filter(|(_, event)| short(event) == what).map(|(time, _)| *time).collect()
        };
        let (tries, aborts) = (at("+try-failover 1"), at("-failover-abort-not-elected 1"));
        prop_assert!(tries.len() >= 3, "{tries:?}");
        let election = failover_timeout.min(10_000);
        for (begun, ended) in tries.iter().zip(&aborts) {
            prop_assert!((election..=election + 999 + TICK).contains(&(ended - begun)), "{}", ended - begun);
        }
        for pair in tries.windows(2) {
            let least = (2 * failover_timeout).max(election);
            prop_assert!((least..=least + 999 + 2 * TICK).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
        prop_assert!(at("+elected-leader 1").is_empty());
    }

    /// Spec 9.1, 10.4: who voted for another waits as long, from its vote.
    #[test]
    fn a_voter_waits_twice_the_failover_timeout(failover_timeout in 500u64..15_000, seed in any::<u64>()) {
        let config = Config { failover_timeout, down_after_milliseconds: 1_000, ..Config::default() };
        let mut lab = lab(config, 1, 2, seed);
        lab.peer(12).votes = false;
        lab.peer(13).votes = false;
        let question = crate::wire::SentinelCommand::IsMasterDownByAddr {
            master: addr(1),
            epoch: 5,
            candidate: Some(crate::wire::RunId(12)),
        };
        lab.ask(question);
        let voted = lab.now_ms();
        lab.kill(1);
        lab.run(2 * failover_timeout + 4_000);
        let begun = when(&lab.events(), TryFailover, 1).expect("it tries") - voted;
        prop_assert!(begun >= (2 * failover_timeout).max(1_000), "{begun} for {failover_timeout}");
        prop_assert!(begun <= (2 * failover_timeout + 999).max(1_000) + 5 * TICK, "{begun} for {failover_timeout}");
    }

    /// Spec 16.1, 16.3: a replica that says it is a master is demoted at the first INFO that is answered more than 4 x
    /// publish-period after the one that first said so.
    #[test]
    fn a_stray_master_is_demoted_by_the_first_info_after_four_publish_periods(
        publish_period in 200u64..4_000, info_period in 300u64..12_000, seed in any::<u64>(),
    ) {
        let config = Config { publish_period, info_period, ..Config::default() };
        let mut lab = lab(config, 2, 0, seed);
        let before = times(&mut lab, 2, |command| matches!(command, Command::Info(_))).len();
        lab.peer(2).info.role = Role::Master;
        let wait = 4 * publish_period;
        lab.run(wait + 3 * info_period + 2_000);
        let infos = times(&mut lab, 2, |command| matches!(command, Command::Info(_)));
        let shown = infos[before];
        let ripe = *infos.iter().find(|&&time| time - shown.min(time) > wait).expect("one after the wait");
        let converted = when(&lab.events(), ConvertToSlave, 2).expect("it is demoted");
        prop_assert!(converted - shown > wait, "{} for {wait}", converted - shown);
        prop_assert!((ripe..=ripe + 5).contains(&converted), "{converted} but the INFO was at {ripe}");
        prop_assert!(converted - shown <= wait + info_period + 2 * TICK);
    }

    /// The same with the periods that cannot be changed without DEBUG: never before 8 s, in practice 10.0 to 10.1 s.
    #[test]
    fn with_the_usual_periods_a_stray_master_is_demoted_after_ten_seconds(seed in any::<u64>(), wait in 0u64..10_000) {
        let mut lab = lab(Config::default(), 2, 0, seed);
        lab.run(wait);
        let before = times(&mut lab, 2, |command| matches!(command, Command::Info(_))).len();
        lab.peer(2).info.role = Role::Master;
        lab.run(25_000);
        let shown = times(&mut lab, 2, |command| matches!(command, Command::Info(_)))[before];
        let took = when(&lab.events(), ConvertToSlave, 2).expect("it is demoted") - shown;
        prop_assert!((10_000..=10_000 + TICK).contains(&took), "{took}");
    }

    /// Spec 16.2, 16.3: a replica of another master is put right failover-timeout after its INFO first showed it.
    #[test]
    fn a_replica_of_another_master_is_put_right_after_the_failover_timeout(
        failover_timeout in 500u64..20_000, seed in any::<u64>(),
    ) {
        let mut lab = lab(Config { failover_timeout, ..Config::default() }, 2, 0, seed);
        let before = times(&mut lab, 2, |command| matches!(command, Command::Info(_))).len();
        let link = lab.peer(2).info.link.as_mut().expect("a replica");
        link.master = addr(3);
        link.down_since_s = Some(3);
        lab.run(failover_timeout + 13_000);
        let shown = times(&mut lab, 2, |command| matches!(command, Command::Info(_)))[before];
        let took = when(&lab.events(), FixSlaveConfig, 2).expect("it is put right") - shown;
        prop_assert!((failover_timeout..=failover_timeout + 1_000 + 2 * TICK).contains(&took), "{took}");
    }
}
