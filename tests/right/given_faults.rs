//! A fault that is given at its moment, or any time before, is the fault of the file: same bytes, same digest.

use std::sync::Arc;

use sim::explore::generate::{self, Limits};
use sim::kernel::{Purpose, Span, Stream};
use sim::scenario::{Action, Fault, Scenario, shipped};
use sim::units::SignedSpan;
use sim::world::{Keep, NotAdded, RunResult, World};

use super::support::scenario;

const RECORD: Keep = Keep { records: true, trace: false };

fn of_file(scenario: &Arc<Scenario>, seed: u64) -> RunResult {
    let mut world = World::new(scenario.clone(), seed, RECORD);
    world.run();
    world.finish()
}

/// The world of the scenario without its faults, to which each was added `lead` before its moment, but after the one before
/// it was.
fn given(scenario: &Arc<Scenario>, seed: u64, mut lead: impl FnMut() -> Span) -> World {
    let calm = Scenario { faults: Vec::new(), ..Scenario::clone(scenario) };
    let mut world = World::new(Arc::new(calm), seed, RECORD);
    for Fault { at, action, .. } in &scenario.faults {
        let early = SignedSpan(at.0 as i64 - lead().0 as i64);
        // An instant that is over, or lies before the boot: it is added now.
        if world.script_time().is_none_or(|now| now.0 < early.0) && !world.run_to(early) {
            assert!(world.end().is_none_or(|end| world.now() < end), "the faults come before the end");
        }
        world.add_fault(*at, action).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
    }
    world
}

fn assert_same(scenario: &Arc<Scenario>, seed: u64, lead: impl FnMut() -> Span) {
    let name = &scenario.name;
    let file = of_file(scenario, seed);
    if file.unready.is_some() {
        return;
    }
    let mut world = given(scenario, seed, lead);
    assert_eq!(world.scenario(), &**scenario, "{name}: the world's scenario is the file");
    world.run();
    let given = world.finish();
    assert_eq!((given.digest, given.events), (file.digest, file.events), "{name}, seed {seed}");
    assert!(given.recording.to_jsonl() == file.recording.to_jsonl(), "{name}, seed {seed}: another recording");
}

#[test]
fn every_shipped_scenario_can_be_played_by_hand() {
    let mut played = 0;
    for file in shipped::all() {
        let scenario = Scenario::parse(&format!("{}.toml", file.stem), file.text).expect("a shipped scenario is right");
        if scenario.faults.is_empty() {
            continue;
        }
        let scenario = Arc::new(scenario);
        assert_same(&scenario, 1, || Span::ZERO);
        played += 1;
    }
    assert!(played > 60, "{played} scenarios have faults");
}

#[test]
fn random_scripts_can_be_played_by_hand_with_any_lead() {
    let mut leads = Stream::named(1, 0, Purpose::Generate);
    for number in 1..=24 {
        let case = generate::case(77, number, &Limits { beyond: number % 3 == 0, stack: None });
        // At once, a moment before, or long before: then several wait at a time.
        let mut lead = || match leads.below(3) {
            0 => Span::ZERO,
            1 => Span(leads.below(3_000_000)),
            _ => Span(leads.below(40_000_000_000)),
        };
        assert_same(&Arc::new(case.scenario), case.seed, &mut lead);
    }
}

const CALM: &str = "duration = '12s'\nphase = '0s'\n";

fn at_second(text: &str, seconds: i64) -> World {
    let mut world = World::new(Arc::new(scenario(text)), 5, RECORD);
    assert!(world.run_to(SignedSpan(seconds * 1_000_000_000)));
    world
}

#[test]
fn faults_of_one_instant_come_in_the_order_in_which_they_are_given() {
    let fault = |action: &str| format!("[[fault]]\nat = '2s'\n{action}\n");
    let (kill, start) = ("action = 'kill'\nnode = 'redis-3'", "action = 'start'\nnode = 'redis-3'");
    let file = of_file(&Arc::new(scenario(&[CALM, &fault(kill), &fault(start)].concat())), 5);
    let mut world = at_second(CALM, 2);
    world.add_fault(Span::from_secs(2), &Action::Kill { node: "redis-3" }).expect("it is time");
    // What the first leads to at its own instant comes before the second, in both.
    assert!(world.run_to(SignedSpan(2_000_000_000)));
    world.add_fault(Span::from_secs(2), &Action::Start { node: "redis-3" }).expect("it is still that instant");
    world.run();
    assert_eq!(world.digest(), file.digest);
    assert_eq!(world.finish().recording.to_jsonl(), file.recording.to_jsonl());
}

#[test]
fn a_nanosecond_later_is_another_run() {
    let end = |at| {
        let mut world = at_second(CALM, 2);
        world.add_fault(Span(at), &Action::Stall { node: "redis-1", duration: Span::from_millis(1) }).expect("in time");
        world.run();
        world.digest()
    };
    assert_ne!(end(2_000_000_000), end(2_000_000_001));
}

#[test]
fn what_no_file_can_say_is_refused_and_changes_nothing() {
    let mut world = at_second(CALM, 2);
    let (before, plan) = (world.digest(), world.scenario().clone());
    let late = world.add_fault(Span::from_millis(1_999), &Action::Kill { node: "redis-1" }).expect_err("it is over");
    assert!(matches!(late, NotAdded::Past { .. }), "{late}");
    assert!(late.to_string().contains("1999ms") && late.to_string().contains("2s"), "{late}");
    for (at, action, says) in [
        (3, Action::Kill { node: "redis-9" }, "redis-9"),
        (3, Action::Start { node: "redis-1" }, "already runs"),
        (13, Action::Kill { node: "redis-1" }, "the run ends at 12s"),
        (3, Action::Command { node: "redis-1", run: vec!["SING".into()] }, "sing"),
    ] {
        let error = world.add_fault(Span::from_secs(at), &action).expect_err("refused").to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!((world.digest(), world.scenario()), (before, &plan));
    let mut calm = World::new(Arc::new(plan), 5, RECORD);
    world.run();
    calm.run();
    assert_eq!(world.digest(), calm.digest());
}

#[test]
fn a_branch_can_meet_what_its_run_did_not() {
    let trunk = at_second(CALM, 2);
    let ends = |number| {
        let mut world = trunk.branch(number);
        world.add_fault(Span::from_secs(3), &Action::KillHost { node: "@master" }).expect("in time");
        world.run();
        (world.digest(), world.finish().recording.header.final_master)
    };
    let all: Vec<_> = (0..4).map(ends).collect();
    assert!(all.iter().all(|(_, master)| master.as_deref() != Some("redis-1")), "{all:?}");
    let digests: std::collections::BTreeSet<u128> = all.iter().map(|(digest, _)| *digest).collect();
    assert_eq!(digests.len(), 4);
    let file = [CALM, "[[fault]]\nat = '3s'\naction = 'kill-host'\nnode = '@master'\n"].concat();
    assert_eq!(all[0].0, of_file(&Arc::new(scenario(&file)), 5).digest, "branch 0 keeps its luck");
}
