//! The loss ledger: each cause is provoked by a scenario, and the sums hold in every shipped scenario and in every
//! recording of the real stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sim::analysis::Analysis;
use sim::analysis::ledger::{Cause, Fate};
use sim::analysis::score::recordings_in;
use sim::analysis::writes::{WriteFate, WriteLoss};
use sim::kernel::{EventId, Time};
use sim::record::{ConnectEnd, Event, Op, OverLimit, Record, Recording, RedisEvent, What};
use sim::scenario::Scenario;
use sim::world::{Keep, RunResult, World};

fn run(scenario: Scenario, seed: u64) -> RunResult {
    let mut world = World::new(Arc::new(scenario), seed, Keep { records: true, trace: false });
    world.run();
    world.finish()
}

fn analysed(scenario: Scenario, seed: u64) -> Analysis {
    let result = run(scenario, seed);
    Analysis::of(&result.recording, Some(&result.lost_writes))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shipped(name: &str) -> Scenario {
    let path = root().join("scenarios").join(name);
    Scenario::load(&path).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)))
}

fn inline(text: &str) -> Scenario {
    Scenario::parse("inline.toml", text).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)))
}

/// Publishes at a pace of 5 ms and listens, each on a host of its own.
fn pair(profile: &str) -> String {
    format!(
        "[[client]]\nname = 'publisher'\nkind = 'publish'\nevery = '5ms'\nprofile = '{profile}'\n\
         [[client]]\nname = 'subscriber'\nkind = 'subscribe'\nprofile = '{profile}'\n"
    )
}

fn fault(at: &str, rest: &str) -> String {
    format!("[[fault]]\nat = '{at}'\n{rest}\n")
}

#[test]
fn each_cause_of_a_lost_message_is_provoked_by_a_scenario() {
    let direct = |faults: &str, more: &str| {
        inline(&format!("duration = '20s'\n[stack]\nhaproxy = false\n{more}\n{}{faults}", pair("sentinel")))
    };
    let proxied =
        |faults: &str, more: &str| inline(&format!("duration = '20s'\n{more}\n{}{faults}", pair("reference")));
    let kill = |node: &str| fault("0s", &format!("action = 'kill'\nnode = '{node}'"));
    let deaf = fault("0s", "action = 'partition'\ngroups = [['subscriber'], ['haproxy']]");
    let nobody = "duration = '5s'\n[[client]]\nname = 'publisher'\nkind = 'publish'\n";
    let silent = ["sentinel-1", "sentinel-2", "sentinel-3", "redis-1"].map(kill).concat();
    let cases = [
        (Cause::RefusedNoServer, proxied(&kill("redis-1"), "")),
        (Cause::ProxyDown, proxied(&kill("haproxy"), "")),
        (Cause::ConnectionRefused, direct(&kill("redis-1"), "")),
        (Cause::ConnectTimeout, direct(&fault("0s", "action = 'power-off'\nnode = 'redis-1'"), "")),
        (Cause::ConnectionCut, proxied(&kill("redis-1"), "")),
        (
            Cause::ProxyIdleTimeout,
            proxied(&fault("0s", "action = 'pause'\nnode = 'redis-1'"), "[haproxy]\n'timeout server' = '500ms'"),
        ),
        (Cause::ReplyTimeout, proxied(&fault("0s", "action = 'pause'\nnode = 'redis-1'"), "")),
        (Cause::PoolTimeout, shipped("g-kill-container.toml")),
        (Cause::NoMaster, direct(&silent, "")),
        (Cause::AcceptedByReplica, shipped("witness/pinned-to-a-replica.toml")),
        (Cause::SubscriberPinnedToOldMaster, shipped("g-kill-container.toml")),
        (
            Cause::SubscriberReconnecting,
            proxied(
                &fault("0s", "action = 'command'\nnode = 'redis-1'\nrun = ['CLIENT', 'KILL', 'TYPE', 'pubsub']"),
                "",
            ),
        ),
        (Cause::AcceptedButNobodySubscribed, inline(nobody)),
        (Cause::CutInDelivery, proxied(&deaf, "")),
    ];
    // PUBLISH is never answered with an error by Redis 7, and a subscriber's buffer takes long to fill: see below.
    let others = [Cause::Loading, Cause::ErrorReply, Cause::OutputBufferKill];
    let provoked: Vec<Cause> = cases.iter().map(|(cause, _)| *cause).collect();
    assert!(Cause::ALL.iter().all(|cause| provoked.contains(cause) != others.contains(cause)), "{provoked:?}");
    let missing: Vec<String> = cases
        .into_par_iter()
        .filter_map(|(cause, scenario)| {
            let counts: Vec<BTreeMap<&str, u64>> = (1..=12)
                .map(|seed| analysed(scenario.clone(), seed).ledger.sums.by_cause)
                .take_while_inclusive(|counts| !counts.contains_key(cause.as_str()))
                .collect();
            let found = counts.last().is_some_and(|counts| counts.contains_key(cause.as_str()));
            (!found).then(|| format!("{}: {counts:?}", cause.as_str()))
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn an_error_reply_fails_a_write_and_an_output_limit_ends_a_subscription() {
    let writes = analysed(shipped("partition-split-brain.toml"), 1).ledger.writes;
    assert_eq!(writes.failed_by_cause.get("error-reply"), writes.failed.get("readonly"), "{:?}", writes.failed);

    let kill = "action = 'command'\nnode = 'redis-1'\nrun = ['CLIENT', 'KILL', 'TYPE', 'pubsub']";
    let scenario = inline(&format!("duration = '5s'\n{}{}", pair("reference"), fault("0s", kill)));
    let mut recording = run(scenario, 1).recording;
    let lost = |recording: &Recording| Analysis::of(recording, None).ledger.sums.by_cause;
    assert!(lost(&recording).keys().all(|cause| *cause != "output-buffer-kill"));
    // The same with the line that Redis writes when it closes the subscriber for its buffer.
    let closed = |record: &&Record| record.what == What::Op(Op::Connect(ConnectEnd::ReadClosed));
    let at = recording.records.iter().find(closed).expect("the subscriber was closed").time;
    let node = recording.names.find_node("redis-1").expect("it is there");
    let what = What::Event(Event::Redis(RedisEvent::OutputLimit(OverLimit {
        class: "pubsub",
        client: "id=3 flags=P omem=266552".into(),
    })));
    recording.records.push(Record {
        time: Time(at.0 - 1_000_000),
        node,
        during: EventId(0),
        dialect: Default::default(),
        what,
    });
    recording.records.sort_by_key(|record| record.time);
    assert!(lost(&recording).contains_key("output-buffer-kill"), "{:?}", lost(&recording));
}

/// `take_while` that also yields the item at which it stops.
trait TakeWhileInclusive: Iterator + Sized {
    fn take_while_inclusive(self, mut go_on: impl FnMut(&Self::Item) -> bool) -> impl Iterator<Item = Self::Item> {
        let mut done = false;
        let mut inner = self;
        std::iter::from_fn(move || {
            let item = if done { None } else { inner.next() };
            done |= item.as_ref().is_none_or(|item| !go_on(item));
            item
        })
    }
}

impl<I: Iterator> TakeWhileInclusive for I {}

#[test]
fn each_cause_of_a_lost_write_is_provoked_by_a_scenario() {
    let split = "[[fault]]\nat = '0s'\naction = 'partition'\ngroups = [['redis-1', 'haproxy', 'clients'], \
        ['redis-2', 'redis-3', 'sentinel-1', 'sentinel-2', 'sentinel-3']]\n";
    let flush = "action = 'command'\nnode = 'redis-1'\nrun = ['FLUSHALL']";
    // The majority's node is the master at the end, and the old one has not come back.
    let cases = [
        (WriteLoss::NotReplicatedBeforePromotion, shipped("partition-split-brain.toml"), 1),
        (WriteLoss::OverwrittenAtResync, shipped("partition-split-brain.toml"), 1),
        (WriteLoss::StrandedOnOldMaster, inline(&format!("duration = '20s'\n{split}")), 1),
        (WriteLoss::GoneWithItsServer, shipped("regressions/a-frozen-master-outlives-its-successor.toml"), 6),
        (WriteLoss::LostAtRestart, shipped("published/master-reboots-empty.toml"), 1),
        (WriteLoss::AofNotSynced, shipped("cookbook/power-cut.toml"), 1),
        (WriteLoss::Deleted, inline(&format!("duration = '5s'\n{}", fault("2s", flush))), 1),
    ];
    for (why, scenario, seed) in cases {
        let writes = analysed(scenario, seed).ledger.writes;
        assert!(writes.lost_by_cause.contains_key(why.as_str()), "{}: {:?}", why.as_str(), writes.lost_by_cause);
    }
    // What is lost though nothing happened has no cause, and says so.
    let recording = run(inline("duration = '5s'"), 1).recording;
    let writer = recording.names.find_node("writer").expect("it writes");
    let last = recording.records.iter().rev().find_map(|record| match record.what {
        What::Op(Op::Set { seq, outcome: sim::record::Outcome::Ok, .. }) => Some(seq),
        _ => None,
    });
    let writes = Analysis::of(&recording, Some(&[(writer, last.expect("it wrote"))])).ledger.writes;
    assert_eq!(writes.lost_by_cause, BTreeMap::from([(WriteLoss::Unexplained.as_str(), 1)]));
}

#[test]
fn which_writes_are_lost_follows_from_their_number() {
    for (name, seeds) in [("partition-split-brain.toml", 3), ("master-recovery.toml", 2), ("partition.toml", 1)] {
        for seed in 1..=seeds {
            let mut result = run(shipped(name), seed);
            let known = Analysis::of(&result.recording, Some(&result.lost_writes)).ledger;
            assert_eq!(Analysis::of(&result.recording, None).ledger, known, "the recording says which");
            // A real recording only says how many.
            for record in &mut result.recording.records {
                if let What::Op(Op::Set { lost, .. }) = &mut record.what {
                    *lost = false;
                }
            }
            let guessed = Analysis::of(&result.recording, None).ledger;
            assert!(known.writes.lost_keys_known);
            assert_eq!(guessed.writes.lost_keys_known, result.recording.header.lost_acked_sets == Some(0));
            assert_eq!(known.writes.lost, guessed.writes.lost);
            let differ = known.sets.iter().zip(&guessed.sets).filter(|(a, b)| a.fate != b.fate).count() as u64;
            let lost = known.writes.lost.expect("there is a master");
            assert!(
                differ * 50 <= lost + known.writes.lost_before.unwrap_or(0),
                "{name}, seed {seed}: {differ} of {lost} differ"
            );
        }
    }
}

#[test]
fn the_sums_hold_in_every_recording_of_the_real_stack() {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["reference/recordings", "reference/recordings/demo"] {
        paths.extend(recordings_in(&root().join(folder)).expect("they are in the repository").into_values().flatten());
    }
    paths.sort();
    assert!(paths.len() > 400, "{}", paths.len());
    paths.par_iter().for_each(|path| {
        let recording = Recording::read(path).expect("it can be read");
        let analysis = Analysis::of(&recording, None);
        let (ledger, name) = (&analysis.ledger, path.display());
        // The ledger asserts its sums; this counts them again, from the messages and writes themselves.
        let published = ledger.messages.iter().filter(|message| message.published_us >= 0);
        let lost = published.clone().filter(|message| message.cause.is_some()).count() as u64;
        let delivered = published.clone().filter(|message| !message.received.is_empty()).count() as u64;
        let undecided = published.clone().filter(|message| message.fate == Fate::Undecided).count() as u64;
        assert_eq!(published.count() as u64, lost + delivered + undecided, "{name}");
        assert_eq!((lost, delivered), (ledger.sums.lost, ledger.sums.delivered), "{name}");
        let gone = ledger.sets.iter().filter(|set| matches!(set.fate, WriteFate::Lost(_))).count() as u64;
        assert_eq!(recording.header.lost_acked_sets.unwrap_or(0), gone, "{name}");
        assert!(!ledger.writes.lost_by_cause.contains_key("unexplained"), "{name}: {:?}", ledger.writes.lost_by_cause);
    });
}

#[test]
fn a_planted_mistake_breaks_the_sums() {
    let ledger = analysed(shipped("partition-split-brain.toml"), 1).ledger;
    let breaks = |what: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(what)).is_err();
    ledger.sums.assert_they_add_up();
    ledger.writes.assert_they_add_up();
    let mut twice = ledger.sums.clone();
    *twice.by_cause.entry("subscriber-reconnecting").or_default() += 1;
    assert!(breaks(&|| twice.assert_they_add_up()), "a message with two causes");
    let mut subscriber = ledger.sums.clone();
    *subscriber.missed_by.get_mut("subscriber").expect("it listens") += 1;
    assert!(breaks(&|| subscriber.assert_they_add_up()), "a message that a subscriber has and misses");
    let mut nowhere = ledger.sums.clone();
    nowhere.delivered -= 1;
    assert!(breaks(&|| nowhere.assert_they_add_up()), "a message without a fate");
    let mut without = ledger.writes.clone();
    without.lost_by_cause.pop_first();
    assert!(breaks(&|| without.assert_they_add_up()), "lost writes without a cause");
    let mut failed = ledger.writes.clone();
    failed.attempts += 1;
    assert!(breaks(&|| failed.assert_they_add_up()), "a write that neither failed nor succeeded");
}
