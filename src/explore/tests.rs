//! The explorer tested: what it draws is a scenario, what it says repeats, and every planted mistake is found.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::campaign::{Campaign, Source, all_properties, judge};
use super::compact::compact;
use super::generate::{self, Limits};
use super::observe::Case;
use super::property::{self, Kind, NO_PANIC};
use super::shrink::shrink;
use crate::mistake::Mistake;
use crate::scenario::Scenario;
use crate::world::World;

#[test]
fn every_case_is_a_scenario_that_a_file_can_say() {
    for beyond in [false, true] {
        for number in 0..150 {
            let case = generate::case(11, number, &Limits { beyond, stack: None });
            let text = compact(&case.scenario, "head\n\nof the file");
            let parsed = Scenario::parse("case.toml", &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
            assert_eq!(parsed, case.scenario, "{text}");
        }
    }
}

#[test]
fn every_action_of_the_interface_is_drawn() {
    let cases = (0..200).map(|number| generate::case(1, number, &Limits::default()));
    let drawn: BTreeSet<&str> = cases
        .flat_map(|case| case.scenario.faults.iter().map(|fault| fault.action.word()).collect::<Vec<_>>())
        .collect();
    let all = [
        "kill",
        "kill-host",
        "power-off",
        "terminate",
        "start",
        "pause",
        "resume",
        "partition",
        "cut",
        "heal",
        "degrade",
        "clock-jump",
        "stall",
        "slow-disk",
        "disk-full",
        "command",
    ];
    let missing: Vec<&str> = all.into_iter().filter(|word| !drawn.contains(word)).collect();
    assert!(missing.is_empty(), "never drawn: {missing:?} (drawn: {drawn:?})");
    // Swarm style: no case has all kinds, and most have few.
    let kinds = |number| {
        let case = generate::case(1, number, &Limits::default());
        case.scenario.faults.iter().map(|fault| fault.action.word()).collect::<BTreeSet<_>>().len()
    };
    assert!((0..200).filter(|number| kinds(*number) <= 6).count() > 100);
}

#[test]
fn a_given_stack_stays_as_it_is() {
    let stack = Scenario::parse("stack.toml", "[stack]\nredis = 4\n[sentinel]\nquorum = 1\n").expect("a good file");
    let limits = Limits { beyond: false, stack: Some(stack.clone()) };
    let case = generate::case(1, 7, &limits);
    assert_eq!((&case.scenario.sentinel, case.scenario.stack), (&stack.sentinel, stack.stack));
    assert!(!case.scenario.faults.is_empty());
}

fn campaign(cases: u64) -> Campaign<'static> {
    let source = Source::Random(Box::default());
    Campaign { source, cases, first: 0, seed: 5, properties: all_properties(), build: &World::new }
}

#[test]
fn a_report_does_not_depend_on_the_number_of_threads() {
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| campaign(8).run(&|| {}))
    };
    assert_eq!(with_threads(1), with_threads(3));
}

#[test]
fn the_models_as_they_are_hold_their_properties() {
    let report = campaign(30).run(&|| {});
    let failures: Vec<String> = report
        .failures()
        .iter()
        .map(|(name, first)| format!("{name} in case {}: {}", first.number, first.finding))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The property that finds a mistake, and within how many cases of the campaign with seed 1.
const FINDS: [(Mistake, &str, u64); 18] = [
    (Mistake::VoteNotPersisted, "one-vote-an-epoch", 20),
    (Mistake::VotesTwice, "one-vote-an-epoch", 40),
    (Mistake::QuorumIsEnough, "majority-and-quorum", 150),
    (Mistake::EpochNotRaised, "epochs-never-go-back", 20),
    (Mistake::NoDesync, "desynchronised", 200),
    (Mistake::NoRetryDelay, "retry-delay", 100),
    (Mistake::PriorityZero, "priority-zero", 100),
    (Mistake::OlderConfiguration, "epochs-never-go-back", 40),
    (Mistake::ClientsNotKilled, "demotion-cuts-clients", 100),
    (Mistake::SlowPing, "detection-in-time", 400),
    (Mistake::NoConversion, "replicas-follow", 40),
    (Mistake::PublishNotReplicated, "stream-carries-all", 5),
    (Mistake::ReplicaAcceptsWrites, "replicas-refuse-writes", 100),
    (Mistake::ReplicaSkipsWrites, "offsets-and-histories", 5),
    (Mistake::DeliversTwice, "in-order-and-once", 5),
    (Mistake::BackupIgnored, "backup-is-backup", 20),
    (Mistake::AnswersBeforeFsync, "synced-before-answered", 1_000),
    (Mistake::IgnoresDiskError, "disk-error-refuses-writes", 200),
];

/// The first case in which a mistake is found.
fn found_in(mistake: Mistake, name: &str, cases: u64) -> Option<u64> {
    let build = move |scenario, seed, keep| World::with_mistake(scenario, seed, keep, mistake);
    (0..cases).into_par_iter().find_first(|number| {
        let case = generate::case(1, *number, &Limits::default());
        judge(&case, name, &build).is_some()
    })
}

#[test]
fn every_planted_mistake_is_found() {
    let mut missed = Vec::new();
    for (mistake, name, cases) in FINDS {
        let found = found_in(mistake, name, cases);
        println!("{mistake:?}: {name} in case {found:?} of {cases}");
        if found.is_none() {
            missed.push((mistake, name, cases));
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
    let known = |mistake: &Mistake| FINDS.iter().any(|(known, ..)| known == mistake) || *mistake == SELDOM;
    assert!(Mistake::ALL.iter().all(known));
}

/// A campaign fills an output buffer too seldom to find it in a test's time.
const SELDOM: Mistake = Mistake::HalfTheLimit;

#[test]
fn a_mistake_about_output_limits_is_found_where_a_subscriber_stops() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/cookbook/stopped-subscriber.toml");
    let mut scenario = Scenario::load(file).expect("it is a scenario");
    for config in &mut scenario.redis {
        config.client_output_buffer_limit.pubsub.soft_bytes = 0;
    }
    scenario.expect = None;
    let case = Case { scenario, seed: 1 };
    let name = "closed-above-limit";
    let wrong = |scenario, seed, keep| World::with_mistake(scenario, seed, keep, SELDOM);
    assert!(judge(&case, name, &wrong).is_some(), "half of the limit is not below it");
    assert_eq!(judge(&case, name, &World::new), None);
}

#[test]
fn a_failure_becomes_small() {
    let build = |scenario, seed, keep| World::with_mistake(scenario, seed, keep, Mistake::NoConversion);
    let name = "replicas-follow";
    let (case, finding) = (0..100)
        .map(|number| generate::case(1, number, &Limits::default()))
        .find_map(|case| judge(&case, name, &build).map(|finding| (case, finding)))
        .expect("the mistake is found");
    let small = shrink(&case, &finding, name, &build);
    let scenario = &small.case.scenario;
    assert!(scenario.faults.len() <= 4, "{}", compact(scenario, ""));
    assert!(scenario.stack.redis <= 3, "{}", compact(scenario, ""));
    assert!(judge(&small.case, name, &build).is_some());
    assert!(judge(&small.case, name, &World::new).is_none());
    let again = shrink(&case, &finding, name, &build);
    assert_eq!(small, again);
}

#[test]
fn names_are_unique_and_sources_are_given() {
    for (index, property) in property::ALL.iter().enumerate() {
        assert!(!property.source.is_empty() && !property.says.is_empty() && property.name != NO_PANIC);
        assert!(property::ALL[..index].iter().all(|other| other.name != property.name));
    }
    assert!(property::ALL.iter().any(|property| property.kind == Kind::AfterHeal));
}
