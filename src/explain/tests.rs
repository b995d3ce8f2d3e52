//! Explanations against the model: what they say must be so.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::analysis::ledger::Fate;
use crate::explore::generate;
use crate::kernel::EventId;
use crate::program::Note;
use crate::scenario::Scenario;

fn shipped(name: &str, seed: u64) -> Subject {
    let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let scenario = Scenario::load(path).expect("a shipped scenario is right");
    Subject::Traced(Box::new(Traced::run(Arc::new(scenario), seed).expect("it is small")))
}

fn lines_of(name: &str) -> Subject {
    let path = format!("{}/tests/data/recordings/{name}.00.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let recording = Recording::read(std::path::Path::new(&path)).expect("a recording");
    let analysis = Analysis::of(&recording, None);
    Subject::Lines(Box::new((recording, analysis)))
}

fn ask(subject: &Subject, question: Question) -> Explanation {
    subject.explain(&question).unwrap_or_else(|error| panic!("{question:?}: {error}"))
}

fn said(explanation: &Explanation) -> String {
    anstream::adapter::strip_str(&text::text(explanation, "RUN")).to_string()
}

/// What every explanation of a traced run must be: in order of time, about events that exist, at their times.
fn is_sound(run: &Traced, explanation: &Explanation) {
    let trace = run.result.trace.as_ref().expect("it was kept");
    assert!(!explanation.answer.is_empty(), "{}", explanation.question);
    assert!(explanation.steps.is_sorted_by_key(|step| step.at_us), "{explanation:#?}");
    for step in &explanation.steps {
        if let Some(event) = step.event {
            let entry = trace.get(event as usize).unwrap_or_else(|| panic!("no event {event}: {step:?}"));
            let off = (step.at_us - run.micros(entry.time)).abs();
            // A pass may work for long (a slow command); a stretch begins at the edge of the interval that was asked for.
            let passes = run.passes(EventId(event));
            let worked = passes.iter().map(|pass| run.micros(pass.ended) - run.micros(pass.began)).max().unwrap_or(0);
            // An attempt of a client stands at its beginning and is known at its end, later still if the client is paused.
            let is_attempt = run.layout.all_clients().any(|node| run.layout.names.node(node) == step.who);
            let begun_before = is_attempt && step.at_us <= run.micros(entry.time);
            assert!(begun_before || off <= worked + 500_000, "{off} µs off: {step:?}");
        }
        assert!(!step.who.is_empty() && !step.text.is_empty());
    }
    for table in &explanation.tables {
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:?}");
    }
    assert!(!said(explanation).is_empty());
}

fn traced(subject: &Subject) -> &Traced {
    match subject {
        Subject::Traced(run) => run,
        Subject::Lines(_) => panic!("it was traced"),
    }
}

#[test]
fn the_sides_of_a_parted_network_are_told_with_their_sentinels() {
    for subject in [shipped("partition", 5), lines_of("partition-split-brain")] {
        let done = ask(&subject, Question::Between(1_000_000, 3_000_000));
        let told: Vec<&String> = done.remarks.iter().filter(|remark| remark.contains("was parted")).collect();
        let [told] = told[..] else { panic!("{:?}", done.remarks) };
        assert!(told.starts_with("From 1.000 s to 3.000 s the network was parted"), "{told}");
        assert!(told.ends_with("Sentinels among them: 1 | 2 of 3, and a majority is 2."), "{told}");
    }
    let whole = ask(&shipped("replica-kill", 1), Question::Between(1_000_000, 3_000_000));
    assert!(whole.remarks.iter().all(|remark| !remark.contains("parted")), "{:?}", whole.remarks);
}

#[test]
fn a_chain_of_causes_goes_back_in_time_and_ends() {
    let subject = shipped("master-kill-container", 1);
    let run = traced(&subject);
    let recording = &run.result.recording;
    let promoted = recording
        .records
        .iter()
        .find(|record| matches!(&record.what, crate::record::What::Event(event) if event.text(&recording.names).starts_with("MASTER MODE")))
        .expect("somebody was promoted");
    let chain = run.causes_of(promoted);
    assert!(chain.len() >= 3, "{chain:?}");
    assert!(chain.windows(2).all(|pair| pair[0].at_us >= pair[1].at_us && pair[0].event > pair[1].event));
    // EXEC carries REPLICAOF out; before it the Sentinel's tick sent it.
    assert!(chain[0].text.contains("EXEC"), "{chain:?}");
    assert!(chain.iter().any(|cause| cause.who.starts_with("sentinel-") && cause.text.contains("tick")), "{chain:?}");
}

#[test]
fn notes_and_journal_change_nothing() {
    let subject = shipped("partition", 5);
    let run = traced(&subject);
    let mut world =
        crate::world::World::new(run.scenario.clone(), 5, crate::world::Keep { records: true, trace: false });
    world.run();
    let plain = world.finish();
    assert!(plain.notes.is_empty() && plain.journal.is_none());
    assert_eq!((plain.digest, plain.recording.to_jsonl()), (run.result.digest, run.result.recording.to_jsonl()));
}

#[test]
fn each_trap_is_found_on_its_scenario() {
    for name in [
        "haproxy-does-not-ask-sentinel",
        "original-master-returns",
        "no-session-fencing",
        "http-200-is-not-success",
        "publish-is-no-write",
        "no-read-only-mode",
    ] {
        for seed in [1, 2] {
            let subject = shipped(&format!("traps/{name}"), seed);
            let explanation = ask(&subject, Question::Summary);
            is_sound(traced(&subject), &explanation);
            let found = explanation.steps.iter().any(|step| step.text.starts_with(&format!("[{name}]")));
            assert!(found, "{name}, seed {seed}: {}", said(&explanation));
        }
    }
    // A run in which nothing happens shows none.
    let calm = Scenario::parse("calm.toml", "duration = '8s'\n").expect("a right file");
    let calm = Subject::Traced(Box::new(Traced::run(Arc::new(calm), 1).expect("it is small")));
    let explanation = ask(&calm, Question::Summary);
    assert!(explanation.steps.is_empty(), "{}", said(&explanation));
}

#[test]
fn why_no_failover_happened_has_the_right_reason() {
    for (name, from, to, reason) in [
        ("quorum-loss", 14, 28, "No quorum"),
        ("conformance/00-no-leader-without-majority", 8, 20, "No majority"),
        ("conformance/04-no-suitable-replica", 3, 15, "No good replica"),
        ("published/default-timeouts-failed-attempt", 40, 300, "delay of 2 × failover-timeout"),
        ("replica-kill", 1, 10, "The master was not down"),
    ] {
        let subject = shipped(name, 1);
        let explanation = ask(&subject, Question::Between(from * 1_000_000, to * 1_000_000));
        is_sound(traced(&subject), &explanation);
        assert!(explanation.answer.contains(reason), "{name}: {}", said(&explanation));
    }
    let text = "duration = '25s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n".to_string()
        + &(1..=3)
            .map(|n| format!("[[fault]]\nat = '0s'\naction = 'clock-jump'\nnode = 'sentinel-{n}'\nby = '3s'\n"))
            .collect::<String>();
    let tilt = Scenario::parse("tilt.toml", &text).expect("a right file");
    let tilt = Subject::Traced(Box::new(Traced::run(Arc::new(tilt), 1).expect("it is small")));
    let explanation = ask(&tilt, Question::Between(1_000_000, 24_000_000));
    assert!(explanation.answer.starts_with("TILT"), "{}", said(&explanation));
}

#[test]
fn a_recording_is_explained_from_its_lines_and_says_so() {
    let subject = lines_of("partition-split-brain");
    let message = subject.analysis().ledger.messages.iter().find(|m| m.cause.is_some()).map(|m| m.seq);
    let mut questions = vec![Question::Summary, Question::Failover(1), Question::Between(0, 4_000_000)];
    questions.extend(message.map(|seq| Question::Message(None, seq)));
    for question in questions {
        let explanation = ask(&subject, question);
        assert_eq!(explanation.basis, Basis::Lines);
        assert!(explanation.steps.iter().all(|step| step.event.is_none()));
        assert!(said(&explanation).contains("From the lines of a recording"), "{explanation:?}");
    }
}

#[test]
fn questions_without_an_answer_say_what_would_be_right() {
    let subject = shipped("replica-kill", 1);
    for (question, problem, remedy) in [
        (Question::Message(None, 999_999), "there is no message 999999", "publisher published 1 to"),
        (Question::Message(Some("nobody".into()), 1), "`nobody` published nothing", "publisher published"),
        (Question::Failover(1), "no Sentinel tried a failover", "--between"),
        (Question::Between(5, 5), "lies no time", "--between 12s 32s"),
        (Question::Between(900_000_000, 901_000_000), "the run ends at", "time 0"),
    ] {
        let error = subject.explain(&question).expect_err("it has no answer");
        assert!(error.problem.contains(problem) && error.remedy.contains(remedy), "{error:?}");
    }
    let error = shipped("quorum-loss", 1).explain(&Question::Failover(7)).expect_err("it has no answer");
    assert!(error.remedy.contains("counted from 1"), "{error:?}");
}

/// A generated run, and every kind of question about it.
fn explanations_are_sound(campaign: u64, beyond: bool) {
    let limits = generate::Limits { beyond, stack: None };
    let case = generate::case(campaign, 0, &limits);
    let end = (case.scenario.duration.0 / 1_000) as i64;
    let run = Traced::run(Arc::new(case.scenario), case.seed).expect("generated runs are small");
    let subject = Subject::Traced(Box::new(run));
    let run = traced(&subject);
    is_sound(run, &ask(&subject, Question::Summary));
    for window in 0..4 {
        let explanation = ask(&subject, Question::Between(end * window / 4, end * (window + 1) / 4));
        is_sound(run, &explanation);
    }
    // One attempt: the re-runs of the others take their time.
    if !run.analysis.failovers.is_empty() {
        is_sound(run, &ask(&subject, Question::Failover(run.analysis.failovers.len())));
    }
    let messages = &run.analysis.ledger.messages;
    let lost = messages.iter().filter(|message| message.fate != Fate::Delivered);
    for message in lost.step_by(1 + messages.len() / 40).chain(messages.iter().step_by(1 + messages.len() / 10)) {
        let explanation = ask(&subject, Question::Message(Some(message.client.clone()), message.seq));
        is_sound(run, &explanation);
    }
    holds_for_the_model(run);
}

#[test]
fn explanations_that_once_were_unsound() {
    explanations_are_sound(461_338, false);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 12 } else { 60 }))]
    #[test]
    fn explanations_of_random_runs_are_sound(campaign in 1u64..1_000_000, beyond in any::<bool>()) {
        explanations_are_sound(campaign, beyond);
    }
}

/// The notes against what the model logs: they must not contradict each other.
fn holds_for_the_model(run: &Traced) {
    let mut short_of: std::collections::BTreeSet<crate::wire::NodeId> = Default::default();
    for noted in &run.result.notes {
        match &noted.note {
            Note::Tick(tick) => {
                assert!(tick.odown <= tick.sdown, "objectively down is who is subjectively down");
                // Old answers are forgotten after the check: what is lost there is noticed by the next.
                let acts = tick.tilt_left.is_none();
                let short = acts && tick.odown && tick.agreeing < tick.quorum;
                assert!(!short || !short_of.contains(&noted.node), "{tick:?}");
                if short {
                    short_of.insert(noted.node);
                } else {
                    short_of.remove(&noted.node);
                }
            }
            Note::Candidates(candidates) => {
                for candidate in &candidates.replicas {
                    let failed = super::sentinels::failed_tests(candidate, candidates);
                    assert_eq!(candidate.fit, failed.is_empty(), "{candidate:?} {failed:?}");
                }
                let any = candidates.replicas.iter().any(|candidate| candidate.fit);
                assert_eq!(candidates.chosen.is_some(), any);
            }
            Note::Published { receivers, replicas, .. } => {
                assert!(
                    *receivers as usize <= run.layout.nodes() * 4 && *replicas as usize <= run.scenario.redis.len() * 2
                );
            }
            _ => {}
        }
    }
}
