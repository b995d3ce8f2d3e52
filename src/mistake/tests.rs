//! Mistakes against the score and the orderings: recordings of the real stack tell each of them from the model as it is.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::Mistake;
use crate::analysis::score::{cells, cells_of, compare, recordings_in};
use crate::analysis::sequences::{self, Finding, bursts, bursts_of};
use crate::record::Recording;
use crate::scenario::Scenario;
use crate::world::{Keep, World};

/// As many as `tests/fidelity.rs` simulates.
const RUNS: u64 = 60;
/// The level that `tests/fidelity.rs` holds in every scenario of the demo, in percent: below it is red.
const LEVEL: usize = 96;

/// Mistakes, and where the real stack was recorded in a situation that shows them: folder of the recordings, folder of
/// the scenarios, scenario.
const SEEN: [(Mistake, &str, &str, &str); 9] = [
    (Mistake::QuorumIsEnough, OTHERS, "reference/scenarios", "quorum-without-majority"),
    (Mistake::SlowPing, DEMO, "scenarios", "partition-master"),
    (Mistake::ClientsNotKilled, DEMO, "scenarios", "partition-split-brain"),
    (Mistake::BackupIgnored, DEMO, "scenarios", "haproxy-kill"),
    (Mistake::NoConversion, DEMO, "scenarios", "partition-split-brain"),
    (Mistake::OlderConfiguration, DEMO, "scenarios", "partition-split-brain"),
    (Mistake::NoRetryDelay, DEMO, "scenarios", "partition-master"),
    (Mistake::NoDesync, OTHERS, "reference/scenarios", "no-good-replica"),
    (Mistake::PriorityZero, OTHERS, "reference/scenarios", "no-good-replica"),
];
const DEMO: &str = "reference/recordings/demo";
const OTHERS: &str = "reference/recordings";

fn simulate<T: Send>(scenario: &Arc<Scenario>, mistake: Option<Mistake>, of: fn(&Recording) -> T) -> Vec<T> {
    let keep = Keep { records: true, trace: false };
    (1..=RUNS)
        .into_par_iter()
        .map(|seed| {
            let mut world = match mistake {
                Some(mistake) => World::with_mistake(scenario.clone(), seed, keep, mistake),
                None => World::new(scenario.clone(), seed, keep),
            };
            world.run();
            of(&world.finish().recording)
        })
        .collect()
}

#[test]
fn mistakes_turn_the_score_red() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for (mistake, recordings, scenarios, name) in SEEN {
        let files = recordings_in(&root.join(recordings)).expect("the recordings are in the repository");
        let real = cells_of(&files[name]).expect("they can be read");
        let scenario = Scenario::load(root.join(scenarios).join(format!("{name}.toml"))).expect("a good file");
        let scenario = Arc::new(scenario);
        let score = |mistake| {
            let verdicts = compare(&real, &simulate(&scenario, mistake, cells));
            (verdicts.iter().filter(|verdict| verdict.agrees).count(), verdicts.len())
        };
        let is_green = |(agree, all): (usize, usize)| agree * 100 >= all * LEVEL;
        let (right, mistaken) = (score(None), score(Some(mistake)));
        println!(
            "{mistake:?} in {name}: {} of {} cells, without it {} of {}",
            mistaken.0, mistaken.1, right.0, right.1
        );
        if !is_green(right) || is_green(mistaken) {
            wrong.push(mistake);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_mistake_shows_in_the_orderings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = recordings_in(&root.join(DEMO)).expect("the recordings are in the repository");
    let real = bursts_of(&files["partition-split-brain"]).expect("they can be read");
    let scenario = Scenario::load(root.join("scenarios/partition-split-brain.toml")).expect("a good file");
    let scenario = Arc::new(scenario);
    let off = |mistake| {
        let (verdicts, _) = sequences::compare(&real, &simulate(&scenario, mistake, bursts));
        verdicts.iter().filter(|verdict| verdict.finding == Finding::Frequency).count()
    };
    assert_eq!(off(None), 0);
    for mistake in [Mistake::NoConversion, Mistake::OlderConfiguration] {
        assert!(off(Some(mistake)) > 0, "{mistake:?}");
    }
}
