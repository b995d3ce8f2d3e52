//! Lines survive being printed and read; files survive being read and written.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::kernel::Span;
use crate::release::Dialect;
use crate::wire::{Addr, HostId, ReplId, Role, RunId};

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

const IDS: [u64; 4] = [1, 0x1234_5678, 0x1234_5678_9abc_def0, u64::MAX];

fn addr() -> impl Strategy<Value = Addr> {
    (0..7_u16, any::<u16>()).prop_map(|(host, port)| Addr { host: HostId(host), port })
}

fn run_id() -> impl Strategy<Value = RunId> {
    (0..IDS.len()).prop_map(|i| RunId(IDS[i]))
}

fn repl_id() -> impl Strategy<Value = ReplId> {
    prop_oneof![1 => Just(ReplId::NONE), 9 => (0..IDS.len()).prop_map(|i| ReplId(IDS[i]))]
}

fn instance() -> impl Strategy<Value = Instance> {
    (0..3, addr(), run_id(), addr()).prop_map(|(kind, addr, id, master)| match kind {
        0 => Instance { kind: InstanceKind::Master, addr, id: RunId::default(), master: addr },
        1 => Instance { kind: InstanceKind::Slave, addr, id: RunId::default(), master },
        _ => Instance { kind: InstanceKind::Sentinel, addr, id, master },
    })
}

fn sentinel_event() -> impl Strategy<Value = SentinelEvent> {
    use SentinelEvent as S;
    prop_oneof![
        10 => (0..SentinelEventKind::ALL.len(), instance()).prop_map(|(k, i)| S::About(SentinelEventKind::ALL[k], i)),
        1 => (instance(), any::<u32>()).prop_map(|(i, q)| S::Monitor(i, q)),
        1 => (instance(), any::<u32>(), any::<u32>()).prop_map(|(i, n, q)| S::Odown(i, n, q)),
        1 => any::<u32>().prop_map(S::NewEpoch),
        1 => (run_id(), any::<u32>()).prop_map(|(id, e)| S::VoteForLeader(id, e)),
        1 => (run_id(), run_id(), any::<u32>()).prop_map(|(v, id, e)| S::VotedFor(v, id, e)),
        1 => (addr(), addr()).prop_map(|(a, b)| S::SwitchMaster(a, b)),
        1 => (any::<bool>(), instance(), any::<bool>())
            .prop_map(|(e, i, r)| S::RoleChange(e, i, if r { Role::Master } else { Role::Slave })),
        1 => (instance(), addr(), run_id()).prop_map(|(i, a, id)| S::SentinelAddressSwitch(i, a, id)),
        1 => (instance(), "[a-z-]{1,20} [0-9]{1,6}").prop_map(|(i, t)| S::Set(i, t.into())),
        1 => any::<bool>().prop_map(S::Tilt),
        1 => (0..300 * 365 * 86_400_u64).prop_map(|s| S::NextFailoverDelay(Time(s * 1_000_000_000))),
        1 => Just(S::UserFailover),
        1 => Just(S::ConfigSaved),
        1 => run_id().prop_map(S::Id),
    ]
}

/// The lines of Redis that have no fields.
fn plain() -> Vec<RedisEvent> {
    let words = redis::ROWS.iter().map(|row| row.spoken(Dialect::default())).filter(|words| !words.contains("{}"));
    let parse = |words| Event::parse(NodeKind::Redis, words, &Names::default(), Dialect::default()).0;
    let of = |event| if let Event::Redis(event) = event { Some(event) } else { None };
    words.map(|words| of(parse(words)).expect("a row reads its own words")).collect()
}

fn reprinted(kind: NodeKind, text: &str, names: &Names) -> String {
    let (event, dialect) = Event::parse(kind, text, names, Dialect::default());
    event.spoken(dialect, names)
}

#[test]
fn every_dialect_of_a_line_is_read_as_the_same_event() {
    let names = names();
    for row in redis::ROWS {
        let mut events = Vec::new();
        for dialect in Dialect::ALL {
            let words = row.spoken(dialect).replace("#{}", "#7").replace("{} seconds", "0.125 seconds");
            let words =
                words.replace("replica {}", "replica redis-2:6379").replace("Replica {}", "Replica redis-2:6379");
            let words = words.replace("MASTER {}", "MASTER redis-1:6379").replace("PRIMARY {}", "PRIMARY redis-1:6379");
            let words =
                words.replace("REPLICAOF {}", "REPLICAOF redis-1:6379").replace("from {} acc", "from redis-2:6379 acc");
            let words = words
                .replace("(rdbchannel) {}", "(rdbchannel) redis-2:6379")
                .replace("sync): {}", "sync): redis-2:6379");
            let words = words.replace("replica: {}", "replica: redis-2:6379");
            let words = words
                .replace("SYNC: {}", "SYNC: Broken pipe")
                .replace("'-{}'", "'-LOADING Redis is loading the dataset in memory'");
            let id = "0123456789abcdef0123456789abcdef01234567";
            let words = words.replace("'{}'", &format!("'{id}'")).replace("ID to {}", &format!("ID to {id}"));
            let words =
                words.replace("ID is {}", &format!("ID is {id}")).replace("changed to {}", &format!("changed to {id}"));
            let words = words.replace("{}:{}", &format!("{id}:77")).replace("{}", "42");
            let mut names = names.clone();
            names.learn_ids(&words);
            let (event, heard) = Event::parse(NodeKind::Redis, &words, &names, dialect);
            assert!(matches!(event, Event::Redis(_)), "{words}");
            assert_eq!((event.spoken(dialect, &names), heard), (words, dialect));
            events.push(event);
        }
        assert!(events.iter().all(|event| *event == events[0]), "{events:?}");
    }
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

fn redis_event() -> impl Strategy<Value = RedisEvent> {
    use RedisEvent as R;
    prop_oneof![
        10 => (0..plain().len()).prop_map(|i| plain()[i].clone()),
        1 => addr().prop_map(R::ReplicaOf),
        1 => addr().prop_map(R::ConnectingToMaster),
        1 => addr().prop_map(R::ReconnectingToMaster),
        1 => (0..redis::SOCKET_ERRORS.len()).prop_map(|i| R::SyncSocketError(redis::SOCKET_ERRORS[i])),
        1 => (0..redis::PING_ERRORS.len()).prop_map(|i| R::ErrorReplyToPing(redis::PING_ERRORS[i])),
        1 => (repl_id(), any::<u64>()).prop_map(|(id, n)| R::TryingPartial(id, n)),
        1 => (repl_id(), any::<u64>()).prop_map(|(id, n)| R::FullResyncFromMaster(id, n)),
        1 => repl_id().prop_map(R::MasterReplIdChanged),
        1 => (repl_id(), any::<u64>(), repl_id()).prop_map(|(a, n, b)| R::SecondaryReplId(a, n, b)),
        1 => (repl_id(), repl_id()).prop_map(|(a, b)| R::BacklogCreated(a, b)),
        1 => addr().prop_map(R::ReplicaAsks),
        1 => (addr(), any::<u64>(), any::<u64>()).prop_map(|(a, n, o)| R::PartialAccepted(a, n, o)),
        1 => (repl_id(), repl_id(), repl_id()).prop_map(|(a, b, c)| R::PartialRefusedId(a, b, c)),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(a, b)| R::PartialRefusedOffset(a, b)),
        1 => (addr(), any::<u64>()).prop_map(|(a, n)| R::PartialRefusedBacklog(a, n)),
        1 => addr().prop_map(R::FullResyncRequested),
        1 => addr().prop_map(R::RdbStreamed),
        1 => addr().prop_map(R::ReplicaOnline),
        1 => addr().prop_map(R::ReplicaLost),
        1 => any::<u32>().prop_map(R::ReplicaLostUnnamed),
        1 => addr().prop_map(R::ReplicaTimeout),
        1 => (0..3_usize, any::<u32>()).prop_map(|(place, id)| R::OutputLimit {
            class: ["pubsub", "slave", "normal"][place],
            client: format!("id={id} flags={} omem=266552", ["P", "S", "N"][place]).into(),
        }),
    ]
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
        sentinel_event().prop_map(|event| (NodeKind::Sentinel, Event::Sentinel(event))),
        redis_event().prop_map(|event| (NodeKind::Redis, Event::Redis(event))),
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
        attempt.clone().prop_map(|(seq, outcome, took)| (NodeId(9), Op::Set { seq, outcome, took, lost: false })),
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
                Op::Set { seq, outcome: Outcome::Ok, took: Span::ZERO, lost: false }
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
fn the_real_line_of_a_client_over_its_limit_is_typed() {
    let text = "Client id=3 addr=10.99.0.2:60436 laddr=10.99.0.1:6399 fd=7 name= age=1 idle=0 flags=P db=0 sub=1 psub=0 ssub=0 \
                multi=-1 qbuf=0 qbuf-free=20474 argv-mem=0 multi-mem=0 rbs=8192 rbp=4096 obl=4096 oll=13 omem=266552 \
                tot-mem=296048 events=rw cmd=subscribe user=default redir=-1 resp=2 scheduled to be closed ASAP for \
                overcoming of output buffer limits.";
    let (event, _) = Event::parse(NodeKind::Redis, text, &names(), Dialect::default());
    assert!(matches!(&event, Event::Redis(RedisEvent::OutputLimit { class: "pubsub", .. })), "{event:?}");
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
    let set = Op::Set { seq: 1, outcome: Outcome::ReplyTimeout, took: Span::from_secs(1), lost: false };
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
