//! The same seed gives the same run: twice, in another order, with or without a recording, from a snapshot.

use std::sync::Arc;

use sim::kernel::Span;
use sim::scenario::Scenario;
use sim::world::{Keep, RunResult, World};

const RECORD: Keep = Keep { records: true, trace: false };

fn scenario(name: &str) -> Arc<Scenario> {
    let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    Arc::new(Scenario::load(path).expect("a shipped scenario is right"))
}

fn run(scenario: &Arc<Scenario>, seed: u64, keep: Keep) -> RunResult {
    let mut world = World::new(scenario.clone(), seed, keep);
    world.run();
    world.finish()
}

const SCENARIOS: [&str; 4] = ["partition-split-brain", "master-recovery", "quorum-loss", "g-kill-container"];

#[test]
fn two_runs_of_a_seed_leave_the_same_bytes() {
    for name in SCENARIOS {
        let scenario = scenario(name);
        let (first, second) = (run(&scenario, 5, RECORD), run(&scenario, 5, RECORD));
        assert_eq!(first.digest, second.digest, "{name}");
        assert_eq!(first.recording.to_jsonl(), second.recording.to_jsonl(), "{name}");
        assert_ne!(first.digest, run(&scenario, 6, RECORD).digest, "{name}: another seed is another run");
    }
}

#[test]
fn whether_anybody_records_makes_no_difference() {
    for name in SCENARIOS {
        let scenario = scenario(name);
        let silent = run(&scenario, 9, Keep::default());
        let recorded = run(&scenario, 9, RECORD);
        let traced = run(&scenario, 9, Keep { records: true, trace: true });
        assert_eq!((silent.digest, silent.events), (recorded.digest, recorded.events), "{name}");
        assert_eq!(recorded.digest, traced.digest, "{name}");
        assert!(silent.recording.records.is_empty() && !recorded.recording.records.is_empty(), "{name}");
    }
}

#[test]
fn a_snapshot_continues_as_its_original_does() {
    let scenario = scenario("partition-split-brain");
    let mut world = World::new(scenario.clone(), 3, RECORD);
    while world.origin().is_none() {
        world.run_until(world.now() + Span::from_secs(1));
    }
    let middle = world.origin().expect("it was just seen") + Span::from_secs(6);
    world.run_until(middle);
    let mut branch = world.clone();
    world.run();
    branch.run();
    let whole = run(&scenario, 3, RECORD);
    assert_eq!(world.digest(), branch.digest());
    assert_eq!(world.digest(), whole.digest, "where a run is interrupted makes no difference");
    assert_eq!(branch.finish().recording.to_jsonl(), whole.recording.to_jsonl());
}

#[test]
fn threads_do_not_mix() {
    let scenario = scenario("master-recovery");
    let alone: Vec<u128> = (1..=8).map(|seed| run(&scenario, seed, RECORD).digest).collect();
    let together: Vec<u128> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=8)
            .map(|seed| {
                scope.spawn({
                    let scenario = scenario.clone();
                    move || run(&scenario, seed, RECORD).digest
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a run does not panic")).collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn every_event_knows_its_cause() {
    let scenario = scenario("master-kill-container");
    let result = run(&scenario, 1, Keep { records: true, trace: true });
    let trace = result.trace.expect("it was kept");
    assert_eq!(trace.len() as u64, result.events + 1, "one entry an event, and one for the beginning");
    for (id, event) in trace.iter().enumerate().skip(1) {
        let cause = event.cause.0 as usize;
        assert!(cause < id, "a cause comes first");
        assert!(trace[cause].time <= event.time);
    }
    // The promotion goes back to the fault: from the log line up the chain of causes to the script.
    let text = |record: &sim::record::Record| match &record.what {
        sim::record::What::Event(event) => event.text(&result.recording.names),
        sim::record::What::Op(_) => String::new(),
    };
    let promotion = result
        .recording
        .records
        .iter()
        .find(|record| text(record).starts_with("MASTER MODE enabled"))
        .expect("somebody was promoted");
    let mut chain = vec![promotion.during.0 as usize];
    while *chain.last().expect("not empty") != 0 {
        chain.push(trace[*chain.last().expect("not empty")].cause.0 as usize);
    }
    assert!(chain.len() > 5, "a chain of {} events", chain.len());
}
