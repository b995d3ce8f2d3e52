//! Laws of timers that hold of whole stacks, over drawn settings, faults and seeds. The laws of single models are next to
//! them: src/sentinel/laws.rs, src/haproxy/tests.rs, src/net/tests.rs, src/redis/tests.rs.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use sim::analysis::{Analysis, Line};
use sim::scenario::Scenario;
use sim::world::{Keep, World};

fn lines(text: &str, seed: u64) -> Vec<Line> {
    let scenario = Scenario::parse("law.toml", text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let mut world = World::new(Arc::new(scenario), seed, Keep { records: true, trace: false });
    world.run();
    let result = world.finish();
    assert!(result.unready.is_none());
    Analysis::of(&result.recording, None).lines
}

fn of<'a>(lines: &'a [Line], node: &'a str, prefix: &'a str) -> impl Iterator<Item = f64> + 'a {
    let fits = move |line: &&Line| line.node == node && line.text.starts_with(prefix);
    lines.iter().filter(fits).map(|line| line.at_us as f64 / 1e6)
}

/// A fault that may hit anybody at any time.
fn fault() -> impl Strategy<Value = String> {
    let node = prop_oneof![
        // redis-1 is dead for a while, and a fault on a dead node is refused.
        (2u16..=3).prop_map(|n| format!("redis-{n}")),
        (1u16..=5).prop_map(|n| format!("sentinel-{n}")),
        Just("@master".to_string()),
        Just("@leader".to_string()),
    ];
    let what = prop_oneof![
        node.clone().prop_map(|node| format!("action = 'stall'\nnode = '{node}'\nfor = '3s'")),
        node.prop_map(|node| format!("action = 'clock-jump'\nnode = '{node}'\nby = '500ms'")),
        Just("action = 'command'\nnode = '@leader'\nrun = ['SENTINEL', 'FAILOVER', 'mymaster']".to_string()),
        (1u16..=5).prop_map(|n| {
            format!("action = 'command'\nnode = 'sentinel-{n}'\nrun = ['SENTINEL', 'FAILOVER', 'mymaster']")
        }),
        (1u16..=5).prop_map(|n| format!(
            "action = 'partition'\ngroups = [['redis-1', 'sentinel-{n}'], ['redis-2', 'redis-3', 'sentinel-{}']]",
            n % 5 + 1
        )),
    ];
    (0u64..40_000, what).prop_map(|(at, what)| format!("[[fault]]\nat = '{at}ms'\n{what}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 6 } else { 60 }))]

    /// Spec 9.1, 9.3: a Sentinel votes at most once an epoch, and an epoch has at most one leader, whatever happens.
    #[test]
    fn an_epoch_has_one_vote_of_each_and_one_leader(
        faults in prop::collection::vec(fault(), 1..8), down_after in 500u64..5_000, seed in any::<u64>(),
    ) {
        let text = format!(
            "duration = '60s'\nphase = '2s'\n[stack]\nsentinels = 5\nhaproxy = false\n[sentinel]\nquorum = 2\n\
             down-after-milliseconds = {down_after}\nfailover-timeout = 4000\n{}\
             [[fault]]\nat = '0s'\naction = 'degrade'\nbetween = ['redis-1', 'redis-2']\nlatency = '1ms'\n\
             [[fault]]\nat = '42s'\naction = 'heal'\n\
             [[fault]]\nat = '20s'\naction = 'kill'\nnode = 'redis-1'\n[[fault]]\nat = '35s'\naction = 'start'\nnode = 'redis-1'\n",
            faults.concat()
        );
        let lines = lines(&text, seed);
        let mut votes: BTreeMap<(&str, u32), &str> = BTreeMap::new();
        let mut epochs: BTreeMap<&str, u32> = BTreeMap::new();
        let mut leaders: BTreeMap<u32, &str> = BTreeMap::new();
        for line in &lines {
            let words: Vec<&str> = line.text.split(' ').collect();
            match words[0] {
                "+vote-for-leader" => {
                    let epoch: u32 = words[2].parse().expect("an epoch");
                    prop_assert!(votes.insert((&line.node, epoch), words[1]).is_none(), "{line:?} votes twice");
                }
                "+new-epoch" => {
                    let epoch: u32 = words[1].parse().expect("an epoch");
                    let before = epochs.insert(&line.node, epoch).unwrap_or(0);
                    prop_assert!(before < epoch, "{line:?} after {before}");
                }
                // A forced failover has a leader without votes, so that its epoch may have another one, too.
                "+elected-leader" if !text.contains("FAILOVER") => {
                    let epoch = epochs[line.node.as_str()];
                    let other = leaders.insert(epoch, &line.node);
                    prop_assert!(other.is_none_or(|other| other == line.node), "{line:?} beside {other:?}");
                }
                _ => {}
            }
        }
    }

    /// Spec 22.8, 10.4: without a majority the attempts of a Sentinel are at least 2 x failover-timeout apart.
    #[test]
    fn attempts_are_twice_the_failover_timeout_apart(
        failover_timeout in 500u64..8_000, down_after in 500u64..4_000, seed in any::<u64>(),
    ) {
        let text = format!(
            "duration = '60s'\nphase = '2s'\n[stack]\nsentinels = 5\nhaproxy = false\n[sentinel]\nquorum = 1\n\
             down-after-milliseconds = {down_after}\nfailover-timeout = {failover_timeout}\n\
             [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'sentinel-3'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'sentinel-4'\n\
             [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'sentinel-5'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n"
        );
        let lines = lines(&text, seed);
        let least = 2.0 * failover_timeout as f64 / 1e3;
        let mut attempts = 0;
        for node in ["sentinel-1", "sentinel-2"] {
            let tries: Vec<f64> = of(&lines, node, "+try-failover").collect();
            attempts += tries.len();
            for pair in tries.windows(2) {
                prop_assert!(pair[1] - pair[0] >= least - 0.002, "{pair:?} of {node}");
            }
        }
        prop_assert!(attempts >= 2 && of(&lines, "sentinel-1", "+elected-leader").next().is_none());
    }

    /// Spec 16.3, 16.4: a master that returns is demoted 10.0 to 10.1 s after the Sentinel that does it saw it again, and
    /// never before 8 s.
    #[test]
    fn a_returning_master_is_demoted_ten_seconds_after_it_is_seen(
        away_ms in 9_000u64..20_000, how in 0usize..3, seed in any::<u64>(),
    ) {
        let away = format!("at = '{away_ms}ms'");
        let faults = [
            format!("[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n[[fault]]\n{away}\naction = 'start'\nnode = 'redis-1'\n"),
            format!("[[fault]]\nat = '0s'\naction = 'pause'\nnode = 'redis-1'\n[[fault]]\n{away}\naction = 'resume'\nnode = 'redis-1'\n"),
            format!("[[fault]]\nat = '0s'\naction = 'partition'\ngroups = [['redis-1'], ['redis-2', 'redis-3', 'sentinel-1', \
                     'sentinel-2', 'sentinel-3']]\n[[fault]]\n{away}\naction = 'heal'\n"),
        ];
        let text = format!("duration = '90s'\nphase = '2s'\n[stack]\nhaproxy = false\n[sentinel]\ndown-after-milliseconds = 2000\n{}", faults[how]);
        let lines = lines(&text, seed);
        let converted: Vec<(&str, f64)> = lines
            .iter()
            .filter(|line| line.text.starts_with("+convert-to-slave slave redis-1:6379"))
            .map(|line| (line.node.as_str(), line.at_us as f64 / 1e6))
            .collect();
        prop_assert!(!converted.is_empty(), "it is demoted");
        let (who, at) = converted[0];
        let seen = of(&lines, who, "-sdown slave redis-1:6379").filter(|&seen| seen < at).last().expect("it was seen");
        // The INFO that showed the role may come up to a tick before -sdown, and some ms after it.
        prop_assert!((9.85..=10.25).contains(&(at - seen)), "{how}: seen {seen}, demoted {at}");
    }

    /// Spec 24.2: a replica tries a dead master once a second, at its cron.
    #[test]
    fn a_replica_tries_once_a_second(kill_ms in 0u64..3_000, seed in any::<u64>()) {
        let text = format!(
            "duration = '25s'\nphase = '2s'\n[stack]\nredis = 2\nsentinels = 0\nhaproxy = true\n\
             [[fault]]\nat = '{kill_ms}ms'\naction = 'kill'\nnode = 'redis-1'\n"
        );
        let lines = lines(&text, seed);
        let tries: Vec<f64> =
            of(&lines, "redis-2", "MASTER <-> REPLICA sync started").filter(|&at| at >= 0.0).collect();
        prop_assert!(tries.len() >= 20, "{tries:?}");
        // The first at once, the second at the next cron, all others one cron apart.
        prop_assert!(tries[1] - tries[0] <= 1.02);
        for pair in tries[1..].windows(2) {
            prop_assert!((0.999..=1.02).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
    }
}
