//! Lines survive being printed and read; files survive being read and written.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::lines::{IDS, Table};
use super::*;
use crate::analysis::score::recordings_in_all;
use crate::kernel::Span;
use crate::release::Dialect;
use crate::wire::{HostId, ReplId, RunId};

fn names() -> Names {
    let programs = ["redis-1", "redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3", "haproxy"];
    let kinds = [NodeKind::Redis; 3].into_iter().chain([NodeKind::Sentinel; 3]).chain([NodeKind::Haproxy]);
    let mut names = Names::default();
    for (name, kind) in programs.into_iter().zip(kinds) {
        names.add(name, kind, name);
    }
    for name in ["publisher", "subscriber", "writer"] {
        names.add(name, NodeKind::Client, "clients");
    }
    IDS.iter().for_each(|number| names.learn_ids(&format!("{number:016x}{:024x}", number % 1_000)));
    names
}

/// Any line of a table, each row as often.
fn any_line<T: Table>() -> impl Strategy<Value = T> {
    prop::strategy::Union::new(T::rows().into_iter().map(|(_, _, line)| line))
}

/// Whether every line of a table, in every dialect, is read as what was printed; else the row and the line that is not.
fn round_trip<T: Table>() -> Result<usize, String> {
    let (names, mut runner) = (names(), proptest::test_runner::TestRunner::deterministic());
    let mut lines = 0;
    for (row, _, line) in T::rows() {
        for _ in 0..40 {
            let line = line.new_tree(&mut runner).expect("a line").current();
            for dialect in Dialect::ALL {
                let text = line.said(dialect, &names);
                let heard = T::heard(&text, dialect, &names);
                if heard.as_ref() != Some(&line) {
                    return Err(format!("{row}: \"{text}\" is read as {heard:?} in {dialect:?}"));
                }
                lines += 1;
            }
        }
    }
    Ok(lines)
}

#[test]
fn every_row_is_read_as_what_was_printed_in_every_dialect() {
    assert!(round_trip::<RedisEvent>().expect("they differ") > 70 * 160);
    assert!(round_trip::<SentinelEvent>().expect("they differ") >= 15 * 160);
    round_trip::<sentinel::Written>().expect("they differ");
    round_trip::<haproxy::Line>().expect("they differ");
}

mod planted {
    use super::lines::lines;

    lines! {
        /// Two rows that say the same.
        pub(super) enum Twice {
            First(number: u32) = "the number is {}";
            Second(other: u32) = "the number is {}";
        }
    }

    lines! {
        /// Two rows that one dialect does not tell apart.
        pub(super) enum InOneDialect {
            Lost = "Connection with master lost.", valkey: "Connection with primary closed.";
            Closed = "Connection with master closed.", valkey: "Connection with primary closed.";
        }
    }

    lines! {
        /// A row whose fields run into each other.
        pub(super) enum Joined {
            Pair(first: u32, second: u32) = "the numbers are {}{}";
        }
    }
}

#[test]
fn a_wrong_row_is_caught() {
    let said = round_trip::<planted::Twice>().expect_err("two rows say the same");
    assert!(said.starts_with("Second: \"the number is ") && said.contains("First("), "{said}");
    let said = round_trip::<planted::InOneDialect>().expect_err("Valkey says the same twice");
    assert!(said.starts_with("Closed: ") && said.ends_with("in Valkey"), "{said}");
    let said = round_trip::<planted::Joined>().expect_err("no end of the first number");
    assert!(said.starts_with("Pair: "), "{said}");
}

fn reprinted(kind: NodeKind, text: &str, names: &Names) -> String {
    let (event, dialect) = Event::parse(kind, text, names, Dialect::default());
    event.spoken(dialect, names)
}

#[test]
fn a_line_of_valkey_is_what_it_is_in_redis() {
    let names = names();
    let read = |text: &str, usual| Event::parse(NodeKind::Redis, text, &names, usual);
    let lost = Event::Redis(RedisEvent::MasterConnectionLost);
    assert_eq!(read("Connection with primary lost.", Dialect::Redis), (lost.clone(), Dialect::Valkey));
    assert_eq!(read("Connection with master lost.", Dialect::Valkey), (lost.clone(), Dialect::Redis));
    assert_eq!(lost.text(&names), "Connection with master lost.");
    assert_eq!(
        read("Connection with minister lost.", Dialect::Redis).0,
        Event::Text("Connection with minister lost.".into())
    );
}

fn haproxy_event() -> impl Strategy<Value = HaproxyEvent> {
    let status = (0..7, 1..10_u8).prop_map(|(kind, step)| match kind {
        0 => CheckStatus::L7Ok,
        1 => CheckStatus::L4Con,
        2 => CheckStatus::L4Unreachable,
        3 => CheckStatus::L4Tout,
        4 => CheckStatus::L7Tout(step),
        5 => CheckStatus::L7Rsp(step),
        _ => CheckStatus::SockErr(step),
    });
    let server = (0..7_u16, any::<bool>(), any::<bool>(), status, 0..100_000_u64, any::<(u32, u32, u32)>());
    prop_oneof![
        1 => Just(HaproxyEvent::NoServer),
        9 => server.prop_map(|(host, backup, up, status, ms, (active, backups, sessions))| HaproxyEvent::Server {
            server: HostId(host),
            backup,
            up,
            status,
            duration: Span::from_millis(ms),
            active,
            backups,
            sessions: if up { 0 } else { sessions },
        }),
    ]
}

fn event() -> impl Strategy<Value = (NodeKind, Event)> {
    prop_oneof![
        any_line().prop_map(|event| (NodeKind::Sentinel, Event::Sentinel(event))),
        any_line().prop_map(|event| (NodeKind::Redis, Event::Redis(event))),
        haproxy_event().prop_map(|event| (NodeKind::Haproxy, Event::Haproxy(event))),
    ]
}

fn op() -> impl Strategy<Value = (NodeId, Op)> {
    const OUTCOMES: [&str; 5] = ["ok", "readonly", "reply-closed", "connect-timeout", "pool-timeout"];
    const ENDS: [&str; 4] = ["open", "read-closed", "subscribe-timeout", "connect-refused"];
    let attempt = (any::<u32>(), 0..OUTCOMES.len(), 0..20_000_000_u64)
        .prop_map(|(seq, i, us)| (seq, Outcome::parse(OUTCOMES[i]).expect("an outcome"), Span::from_micros(us)));
    prop_oneof![
        (attempt.clone(), prop::option::of(any::<u32>()))
            .prop_map(|((seq, outcome, took), receivers)| (NodeId(7), Op::Publish { seq, outcome, took, receivers })),
        any::<u32>().prop_map(|seq| (NodeId(8), Op::Receive { publisher: 0, seq })),
        attempt
            .clone()
            .prop_map(|(seq, outcome, took)| (NodeId(9), Op::Set { seq, outcome, took, waited: took, lost: false })),
        attempt.prop_map(|(seq, outcome, took)| (NodeId(9), Op::Get { seq, outcome, took })),
        (0..ENDS.len())
            .prop_map(|i| (NodeId(8), Op::Connect(ConnectEnd::parse(ENDS[i]).expect("an end of a connection")))),
    ]
}

fn header() -> Header {
    Header {
        scenario: "made-up".into(),
        source: Source::Sim,
        run: 7,
        config: serde_json::json!({}),
        faults: vec![FaultMark {
            at_s: 0.0,
            fault: Fault::Program { order: Order::Kill, node: Some("redis-1".into()) },
        }],
        end_s: 25.5,
        redis: ["redis-1", "redis-2", "redis-3"].map(str::to_string).to_vec(),
        final_master: None,
        final_roles: ["redis-1", "redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3", "haproxy"]
            .map(|name| (name.to_string(), "down".to_string()))
            .into(),
        replies: Vec::new(),
        lost_acked_sets: None,
        clients: Vec::new(),
    }
}

proptest! {
    #[test]
    fn every_event_survives_being_printed_and_read((kind, event) in event()) {
        let names = names();
        let text = event.text(&names);
        prop_assert_eq!(Event::parse(kind, &text, &names, Dialect::default()), (event, Dialect::default()));
    }

    #[test]
    fn any_text_survives_being_read_and_printed(text in ".{0,60}", kind in 0..4_usize) {
        let kind = [NodeKind::Redis, NodeKind::Sentinel, NodeKind::Haproxy, NodeKind::Client][kind];
        prop_assert_eq!(reprinted(kind, &text, &names()), text);
    }

    #[test]
    fn a_mutilated_line_is_read_without_panic_and_printed_unchanged((kind, event) in event(), cut in 0..200_usize) {
        let names = names();
        let mut text: Vec<char> = event.text(&names).chars().collect();
        text.remove(cut % text.len());
        let text: String = text.into_iter().collect();
        prop_assert_eq!(reprinted(kind, &text, &names), text);
    }

    #[test]
    fn a_recording_survives_being_written_and_read(
        lines in prop::collection::vec((-100_000..400_000_i64, prop_oneof![
            event().prop_map(|(kind, event)| (match kind {
                NodeKind::Redis => NodeId(1),
                NodeKind::Sentinel => NodeId(4),
                _ => NodeId(6),
            }, What::Event(event))),
            op().prop_map(|(node, op)| (node, What::Op(op))),
        ]), 1..40),
    ) {
        let origin = Time(10_000_000_000);
        let mut records: Vec<Record> = lines
            .into_iter()
            .map(|(tick, (node, what))| {
                Record { time: Time((origin.0 as i64 + tick * 100_000) as u64), node, during: EventId(0), dialect: Dialect::default(), what }
            })
            .collect();
        records.sort_by_key(|record| record.time);
        records.retain(|record| !matches!(&record.what, What::Event(event) if !event.is_logged()));
        for (node, seq) in [(7, 1), (9, 2)] {
            let op = if node == 7 {
                Op::Publish { seq, outcome: Outcome::Ok, took: Span::ZERO, receivers: Some(1) }
            } else {
                Op::Set { seq, outcome: Outcome::Ok, took: Span::ZERO, waited: Span::ZERO, lost: false }
            };
            records.push(Record { time: Time(60_000_000_000), node: NodeId(node), during: EventId(0), dialect: Dialect::default(), what: What::Op(op) });
        }
        let op = Op::Receive { publisher: 0, seq: 1 };
        records.push(Record { time: Time(60_000_000_000), node: NodeId(8), during: EventId(0), dialect: Dialect::default(), what: What::Op(op) });
        let written = Recording { header: header(), names: names(), origin, records };
        let text = written.to_jsonl();
        let read = Recording::parse("made-up.7.jsonl", &text).expect("what was written can be read");
        prop_assert_eq!(&read.header, &written.header);
        prop_assert_eq!(&read.names.nodes, &written.names.nodes);
        prop_assert_eq!(&read.names.hosts, &written.names.hosts);
        let times = |r: &Recording| r.records.iter().map(|record| r.ticks(record.time)).collect::<Vec<_>>();
        prop_assert_eq!(times(&read), times(&written));
        let whats = |r: &Recording| r.records.iter().map(|record| (record.node, record.what.clone())).collect::<Vec<_>>();
        prop_assert_eq!(whats(&read), whats(&written));
        prop_assert_eq!(read.to_jsonl(), text);
    }
}

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings").join(name)
}

pub(crate) const FILES: [&str; 3] =
    ["master-kill-container.00.jsonl.gz", "partition-split-brain.00.jsonl.gz", "g-kill-container.00.jsonl.gz"];

fn unpacked(name: &str) -> String {
    let bytes = std::fs::read(data(name)).expect("the file is in the repository");
    std::io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])).expect("it is compressed text")
}

#[test]
fn real_recordings_are_written_as_they_were_read() {
    for name in FILES {
        let recording = Recording::read(&data(name)).expect("a real recording can be read");
        assert_eq!(recording.header.source, Source::Real);
        let (text, original) = (recording.to_jsonl(), unpacked(name));
        // What was found out about who is who is written with the rest.
        let table = text.find(",\"nodes\":[").expect("the table of nodes");
        let end = table + text[table..].find("}\n").expect("the end of the header");
        let text = format!("{}{}", &text[..table], &text[end..]);
        let different = text.lines().zip(original.lines()).find(|(a, b)| a != b);
        assert_eq!(different, None, "{name}");
        assert_eq!(text.len(), original.len(), "{name}");
    }
}

#[test]
fn real_lines_are_typed() {
    // Lines of the real programs that no scenario depends on and no variant stands for.
    const VERBATIM: [&str; 15] = [
        "Running mode=",
        "Server initialized",
        "WARNING",
        "monotonic clock",
        "Background RDB transfer started by pid",
        "Diskless rdb transfer, done reading from pipe",
        "Loading RDB produced by version",
        "Done loading RDB",
        "RDB age",
        "RDB memory usage",
        "Streamed RDB transfer with replica",
        "Configuration loaded",
        "Redis version=",
        "oO0OoO0OoO0Oo",
        "Failed to read response from the server",
    ];
    for name in FILES {
        let recording = Recording::read(&data(name)).expect("a real recording can be read");
        for record in &recording.records {
            if let What::Event(Event::Text(text)) = &record.what {
                assert!(VERBATIM.iter().any(|start| text.starts_with(start)), "{name}: {text}");
            }
        }
    }
}

#[test]
fn lines_of_real_sentinels_and_proxies_are_typed() {
    // What a Sentinel says when it starts and ends.
    const VERBATIM: [&str; 9] = [
        "oO0OoO0OoO0Oo",
        "Redis version=",
        "Valkey version=",
        "Configuration loaded",
        "monotonic clock",
        "Running mode=sentinel",
        "User requested shutdown...",
        "Sentinel is now ready to exit",
        // Redis 8 says so of the machine.
        "WARNING Memory overcommit must be enabled!",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/recordings");
    let releases = std::fs::read_dir(root.join("versions")).expect("it is in the repository");
    let releases = releases.map(|entry| entry.expect("an entry").path());
    let folders: Vec<PathBuf> = [root.clone(), root.join("demo")].into_iter().chain(releases).collect();
    let firsts = recordings_in_all(&folders).expect("they can be read").into_values();
    let mut words = std::collections::BTreeSet::new();
    for path in firsts.flatten().filter(|path| path.to_string_lossy().ends_with(".00.jsonl.gz")) {
        let recording = Recording::read(&path).expect("a real recording can be read");
        for record in recording.records.iter().filter(|record| recording.names.kind(record.node) != NodeKind::Redis) {
            match &record.what {
                What::Event(Event::Text(text)) => {
                    assert!(VERBATIM.iter().any(|start| text.starts_with(start)), "{}: {text}", path.display());
                }
                What::Event(Event::Sentinel(SentinelEvent::About(kind, _))) => {
                    words.insert(*kind);
                }
                _ => {}
            }
        }
    }
    assert!(words.len() > 20, "{words:?}");
}

#[test]
fn the_real_line_of_a_client_over_its_limit_is_typed() {
    let text = "Client id=3 addr=10.99.0.2:60436 laddr=10.99.0.1:6399 fd=7 name= age=1 idle=0 flags=P db=0 sub=1 psub=0 ssub=0 \
                multi=-1 qbuf=0 qbuf-free=20474 argv-mem=0 multi-mem=0 rbs=8192 rbp=4096 obl=4096 oll=13 omem=266552 \
                tot-mem=296048 events=rw cmd=subscribe user=default redir=-1 resp=2 scheduled to be closed ASAP for \
                overcoming of output buffer limits.";
    let (event, _) = Event::parse(NodeKind::Redis, text, &names(), Dialect::default());
    assert!(matches!(&event, Event::Redis(RedisEvent::OutputLimit(OverLimit { class: "pubsub", .. }))), "{event:?}");
    assert_eq!(event.text(&names()), text);
}

#[test]
fn files_are_the_same_bytes_every_time() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let recording = Recording::read(&data(FILES[0])).expect("a real recording can be read");
    let mut seen = Vec::new();
    for name in ["a.jsonl.gz", "b.jsonl.gz"] {
        recording.write(&folder.path().join(name)).expect("the folder is writable");
        seen.push(std::fs::read(folder.path().join(name)).expect("it was just written"));
        assert_eq!(Recording::read(&folder.path().join(name)).expect("it can be read").records, recording.records);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is a folder").count(), 2);
}

#[test]
fn a_publisher_that_also_writes_does_so_under_the_writers_name_unless_another_bears_it() {
    let record = |node, op| Record {
        time: Time::ZERO,
        node,
        during: EventId(0),
        dialect: Dialect::default(),
        what: What::Op(op),
    };
    let publish = Op::Publish { seq: 1, outcome: Outcome::Ok, took: Span::from_micros(980), receivers: Some(1) };
    let set =
        Op::Set { seq: 1, outcome: Outcome::ReplyTimeout, took: Span::from_secs(1), waited: Span::ZERO, lost: false };
    let mut alone = Names::default();
    alone.add("publisher", NodeKind::Client, "clients");
    for (names, writer) in [(names(), "publisher"), (alone, "writer")] {
        let node = names.find_node("publisher").expect("it is there");
        let records = vec![record(node, publish), record(node, set)];
        let text = Recording { header: header(), names, origin: Time(50_000), records }.to_jsonl();
        let rows: Vec<&str> = text.lines().skip(1).collect();
        let written =
            format!(r#"{{"t":0.0,"client":"{writer}","op":"set","seq":1,"outcome":"reply-timeout","ms":1000.0}}"#);
        let published =
            r#"{"t":0.0,"client":"publisher","op":"publish","seq":1,"outcome":"ok","ms":0.98,"receivers":1}"#;
        assert_eq!(rows, [published, &written]);
    }
}

#[test]
fn a_bad_line_is_named() {
    let good = unpacked(FILES[0]).lines().take(3).collect::<Vec<_>>().join("\n");
    let cases = [
        ("", 1, "empty"),
        ("{}", 1, "missing field"),
        (&good.replace("\"real\"", "\"imagined\""), 1, "imagined"),
        (&format!("{good}\nnonsense"), 4, "expected"),
        (&format!("{good}\n{{\"t\":1}}"), 4, "neither"),
        (&format!("{good}\n{{\"t\":1e300,\"node\":\"redis-1\",\"event\":\"x\"}}"), 4, "t is"),
        (&format!("{good}\n{{\"t\":1,\"client\":\"c\",\"op\":\"shout\",\"seq\":1}}"), 4, "shout"),
        (&format!("{good}\n{{\"t\":1,\"client\":\"c\",\"op\":\"set\",\"seq\":1}}"), 4, "outcome"),
        (
            &format!("{good}\n{{\"t\":1,\"client\":\"c\",\"op\":\"set\",\"seq\":1,\"outcome\":\"ok\",\"ms\":-1}}"),
            4,
            "ms is",
        ),
        (&format!("{good}\n{{\"t\":1,\"client\":\"c\",\"op\":\"connect\",\"outcome\":\"maybe\"}}"), 4, "maybe"),
    ];
    for (text, line, words) in cases {
        let error = Recording::parse("bad.jsonl", text).expect_err(words);
        assert_eq!(error.line, line, "{error}");
        assert!(error.to_string().starts_with(&format!("bad.jsonl:{line}: ")), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = Recording::read(Path::new("nowhere.jsonl")).expect_err("there is no such file");
    assert!(error.to_string().starts_with("nowhere.jsonl: "), "{error}");
}

#[test]
fn identities_of_simulated_programs_survive_without_being_learned() {
    let names = Names::default();
    for number in [0, 1, 0x1234_5678_9abc_def0, u64::MAX] {
        let vote = Event::Sentinel(SentinelEvent::VotedFor(RunId(number), RunId(!number), 3));
        assert_eq!(Event::parse(NodeKind::Sentinel, &vote.text(&names), &names, Dialect::default()).0, vote);
        let id = Event::Redis(RedisEvent::MasterReplIdChanged(ReplId(number)));
        assert_eq!(Event::parse(NodeKind::Redis, &id.text(&names), &names, Dialect::default()).0, id);
    }
}
