//! Every shipped scenario comes out as its `[expect]` says, whatever the seed; and each kind of expectation can fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sim::analysis::Analysis;
use sim::analysis::metrics::{Metric, Unit};
use sim::record::{Op, What};
use sim::scenario::Scenario;
use sim::scenario::unmet as check;
use sim::world::{Keep, World};

/// Seeds per scenario: a build without optimisation is some twenty times slower.
const SEEDS: u64 = if cfg!(debug_assertions) { 2 } else { 25 };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn shipped() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the scenarios are shipped") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                // What `sim check` found expects nothing: tests/regressions.rs holds it against its property.
                let found_by_check = path.ends_with("regressions") || path.ends_with("witness");
                folders.extend((!found_by_check).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn analyse(scenario: &Arc<Scenario>, seed: u64) -> Analysis {
    let mut world = World::new(scenario.clone(), seed, Keep { records: true, trace: false });
    world.run();
    let result = world.finish();
    assert!(result.unready.is_none(), "{} with seed {seed}: the stack is ready in time", scenario.name);
    Analysis::of(&result.recording, Some(&result.lost_writes))
}

#[test]
fn every_shipped_scenario_comes_out_as_it_expects() {
    let scenarios: Vec<Arc<Scenario>> = shipped()
        .iter()
        .map(|path| Scenario::load(path).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error))))
        // A million requests are too many for a build without optimisation.
        .filter(|scenario| !(cfg!(debug_assertions) && scenario.clients.iter().any(|c| c.requests > Some(100_000))))
        .map(Arc::new)
        .collect();
    assert!(scenarios.len() >= 50, "{}", scenarios.len());
    let runs: Vec<(&Arc<Scenario>, u64)> = scenarios
        .iter()
        .flat_map(|scenario| {
            let heavy = scenario.clients.iter().any(|client| client.requests > Some(100_000));
            (1..=if heavy { 1 } else { SEEDS }).map(move |seed| (scenario, seed))
        })
        .collect();
    let misses: Vec<String> = runs
        .into_par_iter()
        .flat_map_iter(|(scenario, seed)| {
            let expect = scenario.expect.as_ref().expect("every shipped scenario expects something");
            let misses = check(expect, &analyse(scenario, seed));
            misses.into_iter().map(move |miss| format!("{}, seed {seed}: {miss}", scenario.name))
        })
        .collect();
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

#[test]
fn a_mistake_in_each_expectation_is_found_and_named() {
    let scenario = Scenario::load(folder().join("partition-split-brain.toml")).expect("it is shipped");
    let analysis = analyse(&Arc::new(scenario), 1);
    // Every metric that is a number of things or a time may be expected to be far above what it is.
    let mut mistakes: Vec<(&str, String)> = Metric::all()
        .map(|metric| match metric.unit() {
            Unit::Count => (metric.name(), format!("{metric} = {{ min = 1_000_000_000 }}")),
            Unit::Seconds => (metric.name(), format!("{metric} = {{ min = '1000s' }}")),
            Unit::Ratio => (metric.name(), format!("{metric} = 0.123456")),
        })
        .collect();
    for (key, expect) in [
        ("final-master", "final-master = 'redis-1'"),
        ("final-roles", "final-roles = { redis-1 = 'down' }"),
        ("leader", "leader = 'sentinel-1'"),
        ("events", "events = ['+tilt']"),
        ("no-events", "no-events = ['+switch-master']"),
    ] {
        mistakes.push((key, expect.to_owned()));
    }
    for (key, expect) in mistakes {
        let scenario = Scenario::parse("test.toml", &format!("[expect]\n{expect}\n")).expect("a right file");
        let misses = check(&scenario.expect.expect("it expects something"), &analysis);
        assert!(!misses.is_empty() && misses.iter().all(|miss| miss.key == key), "{key}: {misses:?}");
    }
}

#[test]
fn a_crowd_of_subscribers_hears_every_message() {
    let text = "duration = '5s'\n[[client]]\nname = 'publisher'\nkind = 'publish'\n\
                [[client]]\nname = 'crowd'\nkind = 'subscribe'\nconnections = 300\n";
    let scenario = Scenario::parse("crowd.toml", text).expect("a right file");
    let mut world = World::new(Arc::new(scenario), 1, Keep { records: true, trace: false });
    world.run();
    let run = world.finish();
    let receivers = run.recording.records.iter().filter_map(|record| match record.what {
        What::Op(Op::Publish { receivers, .. }) => receivers,
        _ => None,
    });
    assert_eq!(receivers.max(), Some(300));
}
