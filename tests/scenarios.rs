//! Every shipped scenario comes out as its `[expect]` says, whatever the seed; and each kind of expectation can fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sim::analysis::Analysis;
use sim::analysis::expect::check;
use sim::kernel::Span;
use sim::record::{Op, What};
use sim::scenario::{EventPattern, Expect, FinalRole, OneOrMany, Scenario, Within};
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
    const FAR: Option<Within<u64>> = Some(Within { min: Some(u64::MAX), max: None });
    const LATE: Option<Within<Span>> = Some(Within { min: Some(Span(u64::MAX)), max: None });
    let nobody = || Some(OneOrMany(vec!["nobody".to_string()]));
    let line = |text: &str| vec![EventPattern { node: None, prefix: text.into() }];
    let none = Expect::default;
    let mistakes = [
        ("failovers", Expect { failovers: FAR, ..none() }),
        ("aborted-failovers", Expect { aborted_failovers: FAR, ..none() }),
        ("first-failover", Expect { first_failover: LATE, ..none() }),
        ("final-master", Expect { final_master: nobody(), ..none() }),
        ("final-roles", Expect { final_roles: [("redis-1".to_string(), FinalRole::Down)].into(), ..none() }),
        ("leader", Expect { leader: nobody(), ..none() }),
        ("lost-acked-sets", Expect { lost_acked_sets: FAR, ..none() }),
        ("readonly-sets", Expect { readonly_sets: FAR, ..none() }),
        ("publish-lost", Expect { publish_lost: FAR, ..none() }),
        ("publish-ok", Expect { publish_ok: FAR, ..none() }),
        ("set-ok", Expect { set_ok: FAR, ..none() }),
        ("publish-outage", Expect { publish_outage: LATE, ..none() }),
        ("set-outage", Expect { set_outage: LATE, ..none() }),
        ("receive-gap", Expect { receive_gap: LATE, ..none() }),
        ("two-masters", Expect { two_masters: LATE, ..none() }),
        ("no-server", Expect { no_server: LATE, ..none() }),
        ("reconnects", Expect { reconnects: FAR, ..none() }),
        ("events", Expect { events: line("+tilt"), ..none() }),
        ("no-events", Expect { no_events: line("+switch-master"), ..none() }),
    ];
    for (key, expect) in mistakes {
        let misses = check(&expect, &analysis);
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
