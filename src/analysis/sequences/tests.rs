use std::path::Path;

use super::*;
use crate::analysis::score::{self, recordings_in};

/// A recording of three Sentinels that fail over; each line is `(milliseconds, node, text)`.
fn recording(lines: &[(u32, &str, &str)]) -> Recording {
    let mut text = String::from(
        r#"{"scenario":"s","source":"real","run":0,"config":{},"faults":[[0.0,"kill","redis-1"],[1.0,"pause","sentinel-3"]],"end":30.0,"redis":["redis-1","redis-2"],"final_master":null,"final_roles":{"sentinel-1":"","sentinel-2":""},"lost_acked_sets":null}"#,
    );
    for (ms, node, event) in lines {
        text.push_str(&format!("\n{{\"t\":{}.{:03},\"node\":\"{node}\",\"event\":\"{event}\"}}", ms / 1000, ms % 1000));
    }
    Recording::parse("test", &text).expect("a good recording")
}

const SDOWN: &str = "+sdown master mymaster redis-1 6379";
const ODOWN: &str = "+odown master mymaster redis-1 6379 #quorum 2/2";
const TRY: &str = "+try-failover master mymaster redis-1 6379";
const ELECTED: &str = "+elected-leader master mymaster redis-1 6379";
const UPDATE: &str = "+config-update-from sentinel 12 sentinel-1 26379 @ mymaster redis-1 6379";
const SWITCH: &str = "+switch-master mymaster redis-1 6379 redis-2 6379";

fn run(late: u32) -> Vec<(u32, &'static str, &'static str)> {
    vec![
        (5_000, "sentinel-1", SDOWN),
        (5_100, "sentinel-1", ODOWN),
        (5_100 + late, "sentinel-1", TRY),
        (5_200, "sentinel-1", ELECTED),
        (6_000, "sentinel-2", UPDATE),
        (6_001, "sentinel-2", SWITCH),
    ]
}

#[test]
fn a_recording_is_cut_into_bursts_by_kind_of_sentinel() {
    let bursts =
        bursts(&recording(&[run(0), vec![(9_000, "sentinel-3", SDOWN), (9_500, "sentinel-3", ODOWN)]].concat()));
    let kinds: Vec<&String> = bursts.keys().collect();
    assert_eq!(kinds, ["follower", "follower, pause at 1 s", "leader"]);
    let leader = &bursts["leader"];
    assert_eq!(leader.len(), 1);
    assert_eq!(leader[0][1], ["+odown master", "+try-failover master"], "within a millisecond");
    assert_eq!(bursts["follower"], [[["+config-update-from sentinel", "+switch-master redis-1>replica"]]]);
    assert_eq!(bursts["follower, pause at 1 s"].len(), 2, "half a second ends a burst");
}

#[test]
fn lines_before_the_faults_and_after_the_end_do_not_count() {
    let mut lines = run(0);
    lines.push((30_100, "sentinel-2", SDOWN));
    let mut shifted = recording(&lines);
    assert_eq!(bursts(&shifted)["follower"].len(), 1);
    shifted.origin = crate::kernel::Time(shifted.origin.0 + 5_500_000_000);
    assert_eq!(bursts(&shifted).get("leader"), None, "its lines are before time 0 now");
}

#[test]
fn a_tie_is_written_as_the_same_events_come_when_they_are_apart() {
    let (tied, apart) = (bursts(&recording(&run(0))), bursts(&recording(&run(3))));
    let (verdicts, _) = compare(&vec![tied; 20], &vec![apart; 200]);
    assert!(verdicts.iter().all(|verdict| verdict.finding == Finding::Agrees), "{verdicts:#?}");
    let leader = verdicts.iter().find(|verdict| verdict.kind == "leader").expect("a leader's ordering");
    assert_eq!(leader.ordering, ["+sdown master", "+odown master", "+try-failover master", "+elected-leader master"]);
}

/// A planted mistake: a failover is tried before the master is agreed to be down, 4 ms earlier than it should. No time is
/// off by more than the score's tolerance; the order is.
#[test]
fn sequences_catch_what_times_do_not() {
    let mut wrong = run(2);
    wrong[2].0 = 5_098;
    wrong.sort_by_key(|(ms, _, _)| *ms);
    let (right, wrong) = (recording(&run(2)), recording(&wrong));
    let times = score::compare(&vec![score::cells(&right); 20], &vec![score::cells(&wrong); 200]);
    assert!(times.iter().all(|verdict| verdict.agrees), "{times:?}");
    let (verdicts, _) = compare(&vec![bursts(&right); 20], &vec![bursts(&wrong); 200]);
    let off: Vec<&SequenceVerdict> = verdicts.iter().filter(|verdict| verdict.finding == Finding::Frequency).collect();
    let counts: Vec<(usize, usize)> = off.iter().map(|verdict| (verdict.real, verdict.sim)).collect();
    assert_eq!(counts, [(20, 0), (0, 200)], "{verdicts:#?}");
    assert_eq!(off[1].ordering[1..3], ["+try-failover master", "+odown master"]);
}

#[test]
fn frequencies_are_judged_by_what_the_runs_can_tell() {
    let (with, without) = (bursts(&recording(&run(2))), bursts(&recording(&[])));
    let runs = |n: usize, of: usize| [vec![with.clone(); n], vec![without.clone(); of - n]].concat();
    for (real, sim, finding) in [
        ((20, 20), (190, 200), Some(Finding::Agrees)),
        ((1, 20), (0, 200), Some(Finding::NotSimulated)),
        ((0, 20), (11, 200), Some(Finding::NotSeen)),
        ((0, 20), (10, 200), None),
        ((0, 20), (100, 200), Some(Finding::Frequency)),
        ((5, 20), (0, 200), Some(Finding::Frequency)),
    ] {
        let (verdicts, _) = compare(&runs(real.0, real.1), &runs(sim.0, sim.1));
        assert!(verdicts.iter().all(|verdict| Some(verdict.finding) == finding), "{real:?} {sim:?}: {verdicts:?}");
        assert_eq!(verdicts.is_empty(), finding.is_none());
    }
}

#[test]
fn what_chance_hides_is_counted() {
    // A leader's ordering and a follower's, each in 11 of 200 simulated runs: 20 real runs miss it with 0.945^20.
    let (with, without) = (bursts(&recording(&run(2))), bursts(&recording(&[])));
    let runs = |n: usize, of: usize| [vec![with.clone(); n], vec![without.clone(); of - n]].concat();
    let (_, chance) = compare(&runs(0, 20), &runs(11, 200));
    assert!((chance.not_seen - 2.0 * 0.945_f64.powi(20)).abs() < 1e-9, "{chance:?}");
    assert_eq!(chance.not_simulated, 0.0, "nothing was seen just once");
    // Two orderings in one run of 200: in 20 real runs a fifth of a new one may come up.
    let (_, chance) = compare(&runs(0, 20), &runs(1, 200));
    assert_eq!(chance, Chance { not_seen: 0.0, not_simulated: 0.2 });
}

#[test]
fn a_real_recording_agrees_with_itself() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/recordings/demo");
    let files = &recordings_in(&folder).expect("they are in the repository")["partition-split-brain"];
    let all = bursts_of(files).expect("they can be read");
    let (verdicts, _) = compare(&all, &all);
    assert!(verdicts.iter().all(|verdict| verdict.finding == Finding::Agrees && verdict.real == verdict.sim));
    assert!(verdicts.iter().any(|verdict| verdict.kind.starts_with("leader")));
}
