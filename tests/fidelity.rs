//! The simulated stack against recordings of the real one: the level that was reached is held.
//!
//! `reference/recordings/demo` are the twelve scenarios of the demo stack as others recorded them, `demo-own` ten of them
//! as `sim reference record` does; `reference/recordings` are scenarios of other settings and faults
//! (`reference/scenarios`), made by it too, and `reference/recordings/clients` what real client libraries did. `sim compare` tells which cells are off. That mistakes in the models turn
//! this red is shown in `src/mistake/tests.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sim::analysis::score::{Cells, cells, cells_of, compare, recordings_in, recordings_in_all};
use sim::analysis::sequences::{self, Chance, Finding, bursts, bursts_of};
use sim::record::{NodeKind, Recording};
use sim::release::{ProxyRelease, Release, ServerRelease};
use sim::scenario::Scenario;
use sim::world::{Keep, World};

/// Simulated runs of each scenario: enough to tell distributions apart, few enough for every change.
const RUNS: u64 = 60;

/// The same of scenarios with all client libraries, which have fifty clients each.
const CLIENT_RUNS: u64 = 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Simulated runs of a scenario, and what is to be known of each.
fn simulate<T: Send>(scenario: &Path, runs: u64, of: fn(&Recording) -> T) -> Vec<T> {
    runs_of(Scenario::load(scenario).unwrap_or_else(|error| panic!("{error:?}")), runs, of)
}

fn runs_of<T: Send>(scenario: Scenario, runs: u64, of: fn(&Recording) -> T) -> Vec<T> {
    let scenario = Arc::new(scenario);
    (1..=runs)
        .into_par_iter()
        .map(|seed| {
            let mut world = World::new(scenario.clone(), seed, Keep { records: true, trace: false });
            world.run();
            of(&world.finish().recording)
        })
        .collect()
}

fn recordings(folder: &str) -> BTreeMap<String, Vec<PathBuf>> {
    recordings_in(&root().join(folder)).expect("the recordings are in the repository")
}

/// Cells that agree and all cells, by scenario; every cell that is off is printed.
fn score(folder: &str, mut other: impl FnMut(&str) -> Vec<Cells>) -> BTreeMap<String, (usize, usize)> {
    let recordings = recordings(folder);
    assert!(!recordings.is_empty(), "{folder}");
    recordings
        .iter()
        .map(|(name, files)| {
            let real = cells_of(files).expect("the recordings can be read");
            let verdicts = compare(&real, &other(name));
            for verdict in verdicts.iter().filter(|verdict| !verdict.agrees) {
                println!("{name}: {} is off: {:?}", verdict.cell, verdict.measure);
            }
            (name.clone(), (verdicts.iter().filter(|verdict| verdict.agrees).count(), verdicts.len()))
        })
        .collect()
}

/// Simulated runs of the scenarios in a folder.
fn simulated(scenarios: &str) -> impl FnMut(&str) -> Vec<Cells> {
    move |name| simulate(&root().join(scenarios).join(format!("{name}.toml")), RUNS, cells)
}

fn hold(scores: &BTreeMap<String, (usize, usize)>, total_percent: usize, least_percent: usize) {
    let (agree, all) = scores.values().fold((0, 0), |(a, n), (agree, all)| (a + agree, n + all));
    println!("{agree} of {all} cells agree");
    for (name, (agree, all)) in scores {
        assert!(agree * 100 >= all * least_percent, "{name}: {agree} of {all} cells agree");
    }
    assert!(agree * 100 >= all * total_percent, "{agree} of {all} cells agree");
}

#[test]
fn the_demo_stack_cannot_be_told_from_the_real_one() {
    hold(&score("reference/recordings/demo", simulated("scenarios")), 97, 96);
}

#[test]
fn events_come_in_the_orders_of_the_real_ones() {
    let folders = ["reference/recordings/demo", "reference/recordings/demo-own"].map(|folder| root().join(folder));
    let mut counts = BTreeMap::from([("agree", 0), ("off", 0), ("not simulated", 0), ("not seen", 0)]);
    let mut chance = Chance::default();
    for (name, files) in recordings_in_all(&folders).expect("the recordings are in the repository") {
        let real = bursts_of(&files).expect("they can be read");
        let sim = simulate(&root().join("scenarios").join(format!("{name}.toml")), RUNS * 5, bursts);
        let (verdicts, by_chance) = sequences::compare(&real, &sim);
        chance = chance + by_chance;
        for verdict in verdicts {
            let word = match verdict.finding {
                Finding::Agrees => "agree",
                Finding::Frequency => "off",
                Finding::NotSimulated => "not simulated",
                Finding::NotSeen => "not seen",
            };
            *counts.get_mut(word).expect("all are there") += 1;
            if verdict.finding != Finding::Agrees {
                println!("{name}: {word}: {verdict:?}");
            }
        }
    }
    println!("{counts:?}, {chance:?}");
    let all: usize = counts.values().sum();
    assert!(all > 200, "{all}");
    assert!(counts["off"] * 100 <= all * 2, "{counts:?}");
    // Orderings come in pairs, one more often where the other is rarer: four times the spread of independent ones.
    let bound = |expected: f64| expected + 4.0 * expected.max(1.0).sqrt();
    assert!(counts["not simulated"] as f64 <= bound(chance.not_simulated), "{counts:?} {chance:?}");
    assert!(counts["not seen"] as f64 <= bound(chance.not_seen), "{counts:?} {chance:?}");
}

#[test]
fn other_settings_and_faults_agree_as_well() {
    hold(&score("reference/recordings", simulated("reference/scenarios")), 97, 75);
}

#[test]
fn client_libraries_do_what_the_real_ones_do() {
    let simulated = |name: &str| {
        let file = root().join("reference/scenarios/clients").join(format!("{name}.toml"));
        simulate(&file, CLIENT_RUNS, cells)
    };
    let scores = score("reference/recordings/clients", simulated);
    assert!(!scores.is_empty());
    hold(&scores, 95, 90);
}

/// The releases that spoke in a recording, as keys of a scenario.
fn releases(file: &Path) -> Vec<(&'static str, &'static str)> {
    let names = Recording::read(file).expect("it can be read").names;
    let version = |kind| names.nodes.iter().find(|node| node.kind == kind)?.release.as_deref();
    let word = |kind| Some(ServerRelease::of_version(version(kind)?).expect("a release that is known").as_str());
    let proxy =
        version(NodeKind::Haproxy).map(|v| ProxyRelease::of_version(v).expect("a release that is known").as_str());
    let (redis, sentinel) = (word(NodeKind::Redis), word(NodeKind::Sentinel));
    let all = [("redis.release", redis), ("sentinel.release", sentinel), ("haproxy.release", proxy)];
    all.into_iter().filter_map(|(key, word)| Some((key, word?))).collect()
}

/// Simulated runs of a scenario with the releases of its recordings.
fn simulated_as_recorded(folder: &str) -> impl FnMut(&str) -> Vec<Cells> {
    let recordings = recordings(folder);
    move |name| {
        let file = [format!("scenarios/{name}.toml"), format!("reference/scenarios/{name}.toml")]
            .into_iter()
            .map(|file| root().join(file))
            .find(|file| file.exists())
            .expect("the scenario is in the repository");
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let scenario =
            Scenario::parse_with_overrides(&file.display().to_string(), &text, &releases(&recordings[name][0]));
        runs_of(scenario.unwrap_or_else(|error| panic!("{error:?}")), RUNS, cells)
    }
}

#[test]
fn every_release_agrees_with_its_own_recordings() {
    let folder = "reference/recordings/versions";
    let mut versions: Vec<_> = std::fs::read_dir(root().join(folder))
        .expect("the recordings are in the repository")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    versions.sort();
    assert!(versions.len() >= 5, "{versions:?}");
    for version in versions {
        let folder = format!("{folder}/{version}");
        println!("{version}:");
        hold(&score(&folder, simulated_as_recorded(&folder)), 98, 95);
    }
}

#[test]
fn a_release_is_told_from_another() {
    let folder = "reference/recordings/versions/redis-6.2.14";
    let name = "partition-split-brain";
    let real = cells_of(&recordings(folder)[name]).expect("they can be read");
    let base = simulate(&root().join(format!("scenarios/{name}.toml")), RUNS, cells);
    let verdicts = compare(&real, &base);
    let agree = verdicts.iter().filter(|verdict| verdict.agrees).count();
    assert!(agree * 100 < verdicts.len() * 97, "7.0 passes for 6.2: {agree} of {} cells agree", verdicts.len());
}

#[test]
fn our_recorder_records_what_others_recorded() {
    let others = recordings("reference/recordings/demo");
    let scores = score("reference/recordings/demo-own", |name| cells_of(&others[name]).expect("they can be read"));
    assert_eq!(scores.len(), 10);
    hold(&scores, 95, 90);
}

#[test]
fn another_setting_is_told_apart() {
    // What holds the level must be able to fail: a stack with another down-after is not the demo.
    let files = recordings("reference/recordings/demo");
    let real = cells_of(&files["master-kill-process"]).expect("they can be read");
    let text = std::fs::read_to_string(root().join("scenarios/master-kill-process.toml")).expect("a shipped scenario");
    let mut simulated = Vec::new();
    for seed in 1..=RUNS {
        let scenario = Scenario::parse_with_overrides(
            "master-kill-process.toml",
            &text,
            &[("sentinel.down-after-milliseconds", "5500")],
        );
        let mut world =
            World::new(Arc::new(scenario.expect("a right file")), seed, Keep { records: true, trace: false });
        world.run();
        simulated.push(cells(&world.finish().recording));
    }
    let verdicts = compare(&real, &simulated);
    let agree = verdicts.iter().filter(|verdict| verdict.agrees).count();
    assert!(agree * 100 < verdicts.len() * 80, "{agree} of {} cells agree", verdicts.len());
}
