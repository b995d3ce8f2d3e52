//! What decided a step of a failover: the rule that did, with the setting of him whom it moved, as it was then.

use sim::analysis::phases::Phase;

use crate::support::run;

/// What decided a step of the first failover.
fn decided_by(text: &str, phase: Phase) -> String {
    let run = run(text, 2);
    let attempt = run.analysis.failovers.first().expect("the Sentinels fail over");
    attempt.step(phase).expect("the step was reached").decided_by.clone()
}

/// A stack whose master is killed after five seconds, with more settings before that.
fn killed(settings: &str) -> String {
    format!("duration = '40s'\nphase = '0s'\n{settings}[[fault]]\nat = '5s'\naction = 'kill'\nnode = 'redis-1'\n")
}

#[test]
fn a_master_that_says_slave_is_down_for_what_it_says() {
    let handed_over = "duration = '60s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\n\
                       run = ['FAILOVER', 'TO', 'redis-2', '6379']\n";
    let role = "role:slave for down-after-milliseconds 5000 + 2 × INFO every 10 s";
    assert_eq!(decided_by(handed_over, Phase::Detected), role);
    // One that is killed meanwhile is down for its silence, whatever it said.
    let killed = "[[fault]]\nat = '21s'\naction = 'kill'\nnode = 'redis-1'\n";
    let silence = "down-after-milliseconds 5000, PING every 1 s";
    assert_eq!(decided_by(&format!("{handed_over}{killed}"), Phase::Detected), silence);
}

#[test]
fn a_sentinel_goes_by_its_own_settings() {
    let own = "[sentinel]\ndown-after-milliseconds = 8000\n[sentinel.sentinel-2]\ndown-after-milliseconds = 2000\n\
               quorum = 1\n";
    assert_eq!(decided_by(&killed(own), Phase::Detected), "down-after-milliseconds 2000, PING every 1 s");
    assert!(decided_by(&killed(own), Phase::Agreed).starts_with("quorum 1;"));
    let called = own.replace("[sentinel.sentinel-2]\n", "[sentinel.sentinel-2]\nname = 'watcher'\n");
    assert_eq!(decided_by(&killed(&called), Phase::Detected), "down-after-milliseconds 2000, PING every 1 s");
}

#[test]
fn what_sentinel_set_changed_counts_from_then_on() {
    let set = |at: u32| {
        let told = |n: u32| {
            format!(
                "[[fault]]\nat = '{at}s'\naction = 'command'\nnode = 'sentinel-{n}'\n\
                 run = ['SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', '2000']\n"
            )
        };
        killed("") + &(1..=3).map(told).collect::<String>()
    };
    assert_eq!(decided_by(&set(1), Phase::Detected), "down-after-milliseconds 2000, PING every 1 s");
    assert_eq!(decided_by(&set(30), Phase::Detected), "down-after-milliseconds 5000, PING every 1 s");
}

#[test]
fn checks_of_a_server_that_changes_its_state_have_a_pace_of_their_own() {
    let reason = |settings: &str, phase| decided_by(&killed(settings), phase);
    let paced = "[haproxy]\nfastinter = '200ms'\ndowninter = '3s'\n";
    assert!(reason(paced, Phase::ProxyDown).starts_with("fall 3: inter 1000 ms, then fastinter 200 ms; "));
    assert_eq!(reason(paced, Phase::ProxySwitched), "rise 2: downinter 3000 ms, then fastinter 200 ms");
    assert_eq!(reason("", Phase::ProxySwitched), "rise 2 × inter 1000 ms");
    assert_eq!(reason("[haproxy]\nrise = 1\ndowninter = '3s'\n", Phase::ProxySwitched), "rise 1 × downinter 3000 ms");
}
