//! The analysis of real recordings against what their lines say, and of made-up ones against what must hold of any.

use proptest::prelude::*;

use super::ledger::{Cause, Fate};
use super::metrics::Metric;
use super::phases::Phase;
use super::*;
use crate::kernel::{EventId, Span, Time};
use crate::record::tests::{FILES, data};
use crate::record::{Fault, Header, Names, NodeKind, Order, Outcome, Record};
use crate::wire::NodeId;

fn real(name: &str) -> Recording {
    Recording::read(&data(name)).expect("a real recording can be read")
}

fn analysed(name: &str) -> Analysis {
    Analysis::of(&real(name), None)
}

#[test]
fn the_phases_of_a_failover_are_its_log_lines() {
    let analysis = analysed(FILES[0]);
    let [failover] = &analysis.failovers[..] else { panic!("one failover: {:?}", analysis.failovers) };
    assert_eq!(failover.leader, "sentinel-1");
    assert_eq!((failover.epoch, &failover.ending, failover.requested), (Some(1), &Ending::Completed, false));
    assert_eq!((failover.old_master.as_str(), failover.new_master.as_deref()), ("redis-1", Some("redis-2")));
    let steps: Vec<(Phase, i64, &str)> =
        failover.steps.iter().map(|step| (step.phase, step.at_us, step.who.as_str())).collect();
    let expected = [
        (Phase::Fault, 200, "kill-host"),
        (Phase::Detected, 5_038_400, "sentinel-2"),
        (Phase::Agreed, 5_125_400, "sentinel-1"),
        (Phase::Started, 5_125_400, "sentinel-1"),
        (Phase::Elected, 5_217_400, "sentinel-1"),
        (Phase::Selected, 5_307_400, "sentinel-1"),
        (Phase::Promoted, 5_360_400, "redis-2"),
        (Phase::Confirmed, 5_688_400, "sentinel-1"),
        (Phase::Propagated, 6_278_400, "sentinel-1"),
        (Phase::ProxyDown, 5_474_200, "haproxy"),
        (Phase::ProxySwitched, 7_363_300, "haproxy"),
        (Phase::PublisherOk, 7_391_100, "publisher"),
        (Phase::WriterOk, 7_391_300, "writer"),
        (Phase::SubscriberOk, 7_446_900, "subscriber"),
    ];
    assert_eq!(steps, expected);
    let took = |phase| failover.step(phase).and_then(|step| step.took_us);
    assert_eq!(took(Phase::Fault), None);
    assert_eq!(took(Phase::Elected), Some(92_000));
    assert_eq!(took(Phase::ProxyDown), Some(5_474_000));
    assert_eq!(failover.switched.len(), 3);
    assert_eq!(analysis.leaders(), ["sentinel-1"]);
    assert_eq!(analysis.aborted().count(), 0);
}

#[test]
fn a_split_brain_has_two_masters_from_promotion_to_demotion() {
    let analysis = analysed(FILES[1]);
    let [window] = &analysis.masters.two[..] else { panic!("one window: {:?}", analysis.masters.two) };
    assert_eq!((window.from_us, window.to_us), (6_340_800, 35_205_800));
    assert_eq!(window.nodes, ["redis-1", "redis-2"]);
    assert_eq!(window.routed_to, ["redis-1"]);
    assert_eq!(analysis.masters.two_masters_us(), 28_865_000);
    assert_eq!(analysis.figures().number(Metric::named("lost-acked-sets")), Some(704.0));
    assert!(analysis.masters.acts("redis-1", 0) && !analysis.masters.acts("redis-2", 0));
    assert!(analysis.masters.acts("redis-2", 40_000_000) && !analysis.masters.acts("redis-1", 40_000_000));
    // One message went through the demoted master, whose subscriber had just been cut off.
    assert_eq!(analysis.ledger.sums.by_cause["accepted-by-replica"], 1);
    let writer = analysis.outages.iter().find(|client| client.activity == Activity::Set).expect("there is a writer");
    let last = writer.outages.last().expect("it was read-only at the end");
    assert!(!last.recovered);
    assert_eq!(last.failed["readonly"], 200);
    assert_eq!(analysed(FILES[0]).masters.two, []);
}

#[test]
fn the_ledger_of_the_demo_tells_silence_from_errors() {
    let analysis = analysed(FILES[2]);
    let sums = &analysis.ledger.sums;
    assert_eq!((sums.published, sums.delivered, sums.lost, sums.lost_silently), (502, 182, 320, 174));
    let causes: Vec<(&str, u64)> = sums.by_cause.iter().map(|(cause, count)| (*cause, *count)).collect();
    let expected = [("pool-timeout", 1), ("refused-no-server", 145), ("subscriber-pinned-to-old-master", 174)];
    assert_eq!(causes, expected);
    let csv = analysis.ledger.write_csv();
    assert_eq!(csv.lines().count(), 1001);
    let first = "publisher,publish,1,-3.544600,ok,0.990,1,subscriber,-3.543700,delivered,";
    assert_eq!(csv.lines().nth(1), Some(first));
    let lost = csv.lines().filter(|line| line.ends_with(",lost-silently,subscriber-pinned-to-old-master"));
    assert_eq!(lost.count(), 174);
    assert_eq!(analysis.figures().number(Metric::named("receive-gap")), Some(16.1096));
}

#[test]
fn outages_are_those_of_the_score() {
    for name in FILES {
        let recording = real(name);
        let (cells, analysis) = (score::cells(&recording), Analysis::of(&recording, None));
        let longest = |activity, cell: &str| {
            let client = analysis.outages.iter().find(|client| client.activity == activity).expect("there is a client");
            let mended = client.outages.iter().filter(|outage| outage.recovered).map(|outage| outage.lasted_us()).max();
            assert!((mended.unwrap_or(0) as f64 / 1e6 - cells[cell]).abs() < 1e-9, "{name} {cell}");
        };
        longest(Activity::Publish, "publish longest outage | seconds");
        if name == FILES[2] {
            // Its SETs follow PUBLISHes that succeed: nobody tried in between, and the gap is no outage.
            let sets = analysis.outages.iter().find(|client| client.activity == Activity::Set).expect("it writes");
            assert_eq!(sets.outages, []);
            assert!((sets.longest_us as f64 / 1e6 - cells["set longest outage | seconds"]).abs() < 1e-9, "{name}");
        } else if name == FILES[0] {
            longest(Activity::Set, "set longest outage | seconds");
        }
        if name != FILES[1] {
            longest(Activity::Receive, "receive longest gap | seconds");
        }
        let silent = analysis.ledger.messages.iter().filter(|m| m.fate == Fate::LostSilently && m.published_us >= 0);
        assert_eq!(silent.count() as f64, cells["publish acknowledged but never received | count"], "{name}");
    }
}

#[test]
fn a_run_in_memory_and_its_file_say_the_same() {
    for name in FILES {
        let mut recording = real(name);
        // Times between the written ones, as a simulated run has them.
        for (i, record) in recording.records.iter_mut().enumerate() {
            record.time = Time(record.time.0 + (i as u64 * 7) % 40_000);
        }
        recording.records.sort_by_key(|record| record.time);
        let read = Recording::parse(name, &recording.to_jsonl()).expect("what was written can be read");
        assert_eq!(score::cells(&recording), score::cells(&read));
        assert_eq!(Analysis::of(&recording, None), Analysis::of(&read, None));
    }
}

#[test]
fn a_summary_is_stable() {
    let facts = RunFacts { version: "0.1.0".into(), digest: "00ff".into(), events: 12 };
    let text = || Summary::new(&analysed(FILES[0]), None, &facts).to_json();
    assert_eq!(text(), text());
    let value: serde_json::Value = serde_json::from_str(&text()).expect("it is JSON");
    assert_eq!((&value["schema"], &value["digest"], &value["events"]), (&2.into(), &"00ff".into(), &12.into()));
    assert_eq!(value["metrics"]["failovers"], 1);
    assert_eq!(value["failovers"][0]["steps"][1]["phase"], "detected");
    assert!(text().starts_with("{\n  \"schema\": 2,\n  \"scenario\": \"master-kill-container\","));
}

#[test]
fn known_lost_writes_come_before_the_headers_count() {
    let recording = real(FILES[1]);
    let writer = recording.names.find_node("writer").expect("it writes");
    let writes = Analysis::of(&recording, Some(&[(writer, 9), (writer, 7)])).ledger.writes;
    assert_eq!((writes.lost_before, &writes.lost_keys["writer"][..]), (Some(2), &[7, 9][..]), "both before time 0");
    assert!(writes.has_lost("writer", 7) && !writes.has_lost("writer", 8) && !writes.has_lost("publisher", 7));
}

#[test]
fn every_cause_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(words.len(), Cause::ALL.len());
    for cause in Cause::ALL {
        assert_eq!(serde_json::to_value(cause).expect("a word"), cause.as_str());
    }
    for phase in Phase::ALL {
        assert_eq!(serde_json::to_value(phase).expect("a word"), phase.as_str());
        let waits = [true, false].into_iter().flat_map(|proxy| phase.waits_for(proxy));
        assert!(waits.copied().all(|before| before < phase));
    }
}

fn made_up(ops: Vec<(i64, Op)>, faults: Vec<(f64, Fault)>) -> Recording {
    let mut names = Names::default();
    for name in ["redis-1", "redis-2"] {
        names.add(name, NodeKind::Redis, name);
    }
    names.add("haproxy", NodeKind::Haproxy, "haproxy");
    for name in ["publisher", "subscriber", "writer"] {
        names.add(name, NodeKind::Client, "clients");
    }
    let node = |op: &Op| match op {
        Op::Publish { .. } | Op::Load(_) => NodeId(3),
        Op::Set { .. } | Op::Get { .. } => NodeId(5),
        Op::Receive { .. } | Op::Connect(_) | Op::Heard(_) => NodeId(4),
    };
    let record = |(ms, op): (i64, Op)| Record {
        time: Time((10_000 + ms) as u64 * 1_000_000),
        node: node(&op),
        during: EventId(0),
        dialect: Default::default(),
        what: What::Op(op),
    };
    let mut records: Vec<Record> = ops.into_iter().map(record).collect();
    records.sort_by_key(|record| record.time);
    let mark = |(at_s, fault)| crate::record::FaultMark { at_s, fault };
    let header = Header {
        scenario: "made-up".into(),
        source: Source::Sim,
        run: 1,
        config: serde_json::Value::Null,
        faults: faults.into_iter().map(mark).collect(),
        end_s: 20.0,
        redis: vec!["redis-1".into(), "redis-2".into()],
        final_master: None,
        final_roles: BTreeMap::new(),
        replies: Vec::new(),
        lost_acked_sets: None,
        clients: Vec::new(),
    };
    Recording { header, names, origin: Time(10_000_000_000), records }
}

fn publish(seq: u32, outcome: Outcome, receivers: Option<u32>) -> Op {
    Op::Publish { seq, outcome, took: Span::from_millis(1), receivers }
}

#[test]
fn causes_follow_from_what_is_known() {
    let order = |order, node: &str| Fault::Program { order, node: Some(node.into()) };
    let cut = |from: &str, to: &str| Fault::Cut { from: vec![from.into()], to: vec![to.into()] };
    let cases = [
        (publish(1, Outcome::ReplyTimeout, None), order(Order::Pause, "redis-1"), Some(Cause::ReplyTimeout)),
        (publish(1, Outcome::ReplyClosed, None), order(Order::Kill, "redis-1"), Some(Cause::ConnectionCut)),
        (publish(1, Outcome::ReplyClosed, None), order(Order::Kill, "haproxy"), Some(Cause::ProxyDown)),
        (publish(1, Outcome::Readonly, None), order(Order::Kill, "haproxy"), Some(Cause::ErrorReply)),
        (publish(1, Outcome::Ok, Some(0)), order(Order::Pause, "redis-1"), Some(Cause::AcceptedByReplica)),
        (publish(1, Outcome::Ok, Some(0)), cut("haproxy", "redis-1"), Some(Cause::SubscriberReconnecting)),
        (publish(1, Outcome::Ok, Some(0)), cut("redis-1", "redis-2"), Some(Cause::ProxyIdleTimeout)),
        (publish(1, Outcome::Ok, Some(0)), Fault::Heal, Some(Cause::ProxyIdleTimeout)),
        // Nothing but HAProxy's time limit ends a quiet connection to a node that nothing happens to.
        (publish(1, Outcome::Ok, Some(0)), order(Order::Kill, "redis-2"), Some(Cause::ProxyIdleTimeout)),
        (publish(1, Outcome::Ok, Some(1)), order(Order::Kill, "redis-2"), Some(Cause::CutInDelivery)),
        (publish(2, Outcome::Ok, Some(1)), order(Order::Kill, "redis-2"), None),
    ];
    for (op, fault, expected) in cases {
        let ops = vec![
            (-500, Op::Connect(ConnectEnd::Open)),
            (900, Op::Connect(ConnectEnd::ReadClosed)),
            (1_000, op),
            (1_001, Op::Receive { publisher: 0, seq: 2 }),
        ];
        let analysis = Analysis::of(&made_up(ops, vec![(0.0, fault.clone())]), None);
        assert_eq!(analysis.ledger.messages[0].cause, expected, "{op:?} {fault}");
    }
}

#[test]
fn a_message_that_failed_may_have_been_delivered_and_one_at_the_end_is_undecided() {
    let ops = vec![
        (0, publish(1, Outcome::ReplyTimeout, None)),
        (3_000, Op::Receive { publisher: 0, seq: 1 }),
        (3_001, Op::Receive { publisher: 0, seq: 1 }),
        (3_002, Op::Receive { publisher: 0, seq: 77 }),
        (19_999, publish(2, Outcome::Ok, Some(1))),
    ];
    let sums = Analysis::of(&made_up(ops, vec![]), None).ledger.sums;
    assert_eq!((sums.published, sums.delivered, sums.failed_but_delivered, sums.undecided), (2, 1, 1, 1));
    assert_eq!((sums.duplicates, sums.unmatched, sums.lost), (1, 1, 0));
}

fn any_op() -> impl Strategy<Value = Op> {
    let outcome = prop_oneof![
        Just(Outcome::Ok),
        Just(Outcome::ReplyClosed),
        Just(Outcome::ConnectTimeout),
        Just(Outcome::Readonly),
        Just(Outcome::PoolTimeout)
    ];
    prop_oneof![
        4 => (0..30_u32, outcome.clone(), prop::option::of(0..3_u32)).prop_map(|(s, o, r)| publish(s, o, r)),
        2 => (0..30_u32, outcome).prop_map(|(seq, outcome)| Op::Set { seq, outcome, took: Span::from_millis(2), waited: Span::ZERO, lost: false }),
        3 => (0..40_u32, 0..2_u16).prop_map(|(seq, publisher)| Op::Receive { publisher, seq }),
        1 => Just(Op::Connect(ConnectEnd::Open)),
        1 => Just(Op::Connect(ConnectEnd::ReadClosed)),
    ]
}

fn any_fault() -> impl Strategy<Value = (f64, Fault)> {
    let name = prop::sample::select(vec!["redis-1", "redis-2", "haproxy", "publisher"]).prop_map(str::to_owned);
    let order = (prop::sample::select(Order::ALL.to_vec()), prop::option::of(name.clone()));
    let fault = prop_oneof![
        4 => order.prop_map(|(order, node)| Fault::Program { order, node }),
        1 => (name.clone(), name.clone()).prop_map(|(a, b)| Fault::Partition { groups: vec![vec![a], vec![b]] }),
        1 => (name, 0..5_000_u64).prop_map(|(node, ms)| Fault::Stall { node, lasts: Span::from_millis(ms) }),
        1 => Just(Fault::Heal),
    ];
    ((0..200_u32).prop_map(|n| n as f64 / 10.0), fault)
}

proptest! {
    #[test]
    fn sums_add_up_and_windows_are_in_order(
        ops in prop::collection::vec((-5_000..20_000_i64, any_op()), 0..80),
        faults in prop::collection::vec(any_fault(), 0..8),
    ) {
        // The ledger asserts its own sums.
        let recording = made_up(ops, faults);
        let analysis = Analysis::of(&recording, None);
        let masters = &analysis.masters;
        prop_assert!(masters.routes.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
        prop_assert!(masters.lanes.iter().all(|lane| lane.from_us < lane.to_us && lane.to_us <= analysis.end_us));
        for client in &analysis.outages {
            prop_assert!(client.outages.iter().all(|outage| outage.lasted_us() <= client.longest_us));
        }
        let published = analysis.ledger.messages.iter().filter(|message| message.published_us >= 0).count();
        prop_assert_eq!(published as u64, analysis.ledger.sums.published);
        let (messages, sets) = (analysis.ledger.messages.len(), analysis.ledger.sets.len());
        prop_assert_eq!(analysis.ledger.write_csv().lines().count(), messages + sets + 1);
        let _ = score::cells(&recording);
    }
}
