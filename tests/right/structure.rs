//! What is typed stays typed: a fault hits whom it names, a name decides nothing about its bearer, and what a recording
//! says is read as it was meant or refused.

use std::fmt::Write as _;

use sim::analysis::Analysis;
use sim::analysis::faults::windows;
use sim::record::{Effect, Event, Fault, NodeKind, Order, Recording, What};

use super::support::{refusal, run, scenario};

/// A publisher whose pace is slower than HAProxy's idle time limits.
const SLOWER_THAN_THE_LIMITS: &str = "duration = '40s'\nphase = '0s'\n[haproxy]\n'timeout client' = '2s'\n\
    'timeout server' = '2s'\n[[client]]\nname = 'publisher'\nkind = 'publish'\nevery = '2055ms'\n\
    [[client]]\nname = 'subscriber'\nkind = 'subscribe'\n";

fn every_half_second(fault: impl Fn(u32) -> String) -> String {
    (2..80).fold(String::new(), |mut text, half| {
        let _ = write!(text, "[[fault]]\nat = '{}ms'\n{}\n", half * 500, fault(half));
        text
    })
}

#[test]
fn a_bystander_that_stands_still_for_a_moment_ends_no_connection() {
    let causes = |faults: &str| run(&format!("{SLOWER_THAN_THE_LIMITS}{faults}"), 1).analysis.ledger.sums.by_cause;
    let quiet = causes("");
    assert!(quiet.get("proxy-idle-timeout").is_some_and(|count| *count > 2), "{quiet:?}");
    for bystander in ["redis-3", "redis-1", "sentinel-2", "haproxy"] {
        let stalls = every_half_second(|_| format!("action = 'stall'\nnode = '{bystander}'\nfor = '1ms'"));
        assert_eq!(causes(&stalls), quiet, "{bystander} stands still for 1 ms");
        let pauses = every_half_second(|half| {
            let at = half * 500 + 1;
            format!(
                "action = 'pause'\nnode = '{bystander}'\n[[fault]]\nat = '{at}ms'\naction = 'resume'\nnode = '{bystander}'"
            )
        });
        assert_eq!(causes(&pauses), quiet, "{bystander} is stopped for 1 ms");
    }
    let cuts = every_half_second(|half| match half % 2 {
        0 => "action = 'cut'\nfrom = 'sentinel-1'\nto = ['sentinel-2', 'redis-3']".into(),
        _ => "action = 'heal'".into(),
    });
    assert_eq!(causes(&cuts), quiet, "a cut beside the clients' way");
    let kills = every_half_second(|half| match half {
        20 => "action = 'kill'\nnode = 'redis-1'".into(),
        _ => "action = 'stall'\nnode = 'redis-3'\nfor = '1ms'".into(),
    });
    assert_ne!(causes(&kills), quiet, "the master dies");
}

#[test]
fn the_name_of_a_client_decides_nothing() {
    let with = |publisher: &str, subscriber: &str, writer: &str, host: &str| {
        let client =
            |name: &str, kind: &str| format!("[[client]]\nname = '{name}'\nkind = '{kind}'\nhost = '{host}'\n");
        let text = format!(
            "duration = '20s'\nphase = '0s'\n{}{}{}[[fault]]\nat = '2s'\naction = 'kill'\nnode = '@master'\n\
             [[fault]]\nat = '12s'\naction = 'pause'\nnode = '{subscriber}'\n",
            client(publisher, "publish"),
            client(subscriber, "subscribe"),
            client(writer, "set"),
        );
        let run = run(&text, 4);
        let file = run.result.recording.to_jsonl();
        let read = Recording::parse("r.jsonl", &file).expect("what was written can be read");
        assert_eq!(read.names.nodes, run.result.recording.names.nodes, "who is who survives the file");
        assert_eq!(read.names.hosts, run.result.recording.names.hosts);
        let again = Analysis::of(&read, None);
        assert_eq!(again.ledger.messages, run.analysis.ledger.messages);
        let (_, lines) = file.split_once('\n').expect("a header");
        let ours = [(publisher, "PUBLISHER"), (subscriber, "SUBSCRIBER"), (writer, "WRITER")];
        let lines = ours.into_iter().fold(lines.to_owned(), |lines, (name, word)| {
            lines.replace(&format!("\"client\":\"{name}\""), &format!("\"client\":\"{word}\""))
        });
        let mut sums = run.analysis.ledger.sums.clone();
        assert_eq!(sums.missed_by.len(), 1, "one client subscribes");
        for by in [&mut sums.missed_by, &mut sums.received_by] {
            *by = std::mem::take(by).into_values().map(|count| (String::new(), count)).collect();
        }
        (lines, sums, run.analysis.ledger.writes.lost, run.analysis.figures(), run.analysis.masters, run.result.digest)
    };
    let usual = with("some-publisher", "some-subscriber", "some-writer", "some-host");
    assert!(usual.0.contains("\"client\":\"SUBSCRIBER\",\"op\":\"receive\""), "somebody receives");
    for [a, b, c, host] in [
        ["redis-publisher", "sentinel-watcher", "haproxy-writer", "redis-hosts"],
        ["redis", "sentinel", "redis-cli", "sentinel-box"],
        ["haproxy2", "redis-04", "sentinel-", "haproxy-box"],
    ] {
        assert_eq!(with(a, b, c, host), usual, "{a}, {b}, {c} on {host}");
    }
}

#[test]
fn nobody_is_no_name_for_somebody() {
    let client = |name: &str, host: &str| format!("[[client]]\nname = '{name}'\nkind = 'publish'\nhost = '{host}'\n");
    for text in [client("nobody", "box"), client("a", "nobody")] {
        assert!(refusal(&text).contains("`nobody` cannot be anybody's name"), "{text}");
    }
}

#[test]
fn a_recording_without_the_table_of_nodes_is_read_by_the_kinds_of_its_lines() {
    let run = run(
        "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'redis-app'\nkind = 'publish'\n[[client]]\nname = 'b'\nkind = 'subscribe'\n",
        1,
    );
    let text = run.result.recording.to_jsonl();
    let (head, lines) = text.split_once('\n').expect("a header");
    let mut head: serde_json::Value = serde_json::from_str(head).expect("the header is JSON");
    let table = head.as_object_mut().expect("an object").remove("nodes").expect("the table of nodes");
    assert_eq!(table[0], serde_json::json!({"name": "redis-1", "kind": "redis", "host": "redis-1"}));
    let old = Recording::parse("old.jsonl", &format!("{head}\n{lines}")).expect("it can be read");
    assert_eq!(old.names.kind_of("redis-app"), Some(NodeKind::Client), "only clients have lines of clients");
    assert_eq!(old.names.kind_of("redis-3"), Some(NodeKind::Redis));
    assert_eq!(Analysis::of(&old, None).ledger.sums.delivered, run.analysis.ledger.sums.delivered);
}

/// The head of a made-up recording with these faults and nodes.
fn head(faults: &str, nodes: &str) -> String {
    format!(
        "{{\"scenario\":\"s\",\"source\":\"real\",\"run\":1,\"config\":{{}},\"faults\":[{faults}],\"end\":20.0,\
         \"redis\":[\"redis-1\"],\"final_master\":null,\"final_roles\":{{}},\"lost_acked_sets\":null{nodes}}}\n"
    )
}

#[test]
fn what_a_head_says_is_read_or_refused() {
    let faults = "[0,\"kill_host\",\"redis-1\"],[1,\"stall\",\"redis-1\",\"350ms\"],[2,\"clock_jump\",\"redis-1\",\"-5s\"],\
                  [3,\"degrade\",\"redis-1,haproxy\"],[4,\"heal\"],[5,\"start\",\"nobody\"],[6,\"freeze_disk\",\"redis-1\"],\
                  [7,\"command\",\"redis-1\",\"CLIENT\",\"PAUSE\",\"100\"]";
    let read = Recording::parse("r.jsonl", &head(faults, "")).expect("all of it has a meaning");
    let marks: Vec<&Fault> = read.header.faults.iter().map(|mark| &mark.fault).collect();
    assert_eq!(*marks[0], Fault::Program { order: Order::KillHost, node: Some("redis-1".into()) });
    assert_eq!(*marks[5], Fault::Program { order: Order::Start, node: None });
    assert_eq!(marks[6].effect(), Effect::Unknown, "a word that nobody knows is kept as that");
    let again = Recording::parse("r.jsonl", &read.to_jsonl()).expect("it can be read again");
    assert_eq!(again.header, read.header);
    assert!(read.to_jsonl().contains("[6.0,\"freeze_disk\",\"redis-1\"]"), "{}", read.to_jsonl());

    let node = |name: &str, kind: &str| format!("{{\"name\":\"{name}\",\"kind\":\"{kind}\",\"host\":\"h\"}}");
    let table = |nodes: &[String]| format!(",\"nodes\":[{}]", nodes.join(","));
    for (faults, nodes, what) in [
        ("[0,\"stall\",\"redis-1\"]", String::new(), "`stall` with `redis-1`"),
        ("[0,\"stall\",\"redis-1\",\"soon\"]", String::new(), "`stall` with `redis-1`, `soon`"),
        ("[0,\"kill\",\"redis-1\",\"redis-2\"]", String::new(), "`kill` with"),
        ("[0,\"clock_jump\",\"redis-1\",\"5\"]", String::new(), "`clock_jump` with"),
        ("[0,\"cut\",\"redis-1\"]", String::new(), "`cut` with"),
        ("", table(&[node("redis-1", "redis"), node("redis-1", "client")]), "two nodes are called `redis-1`"),
        ("", table(&[node("redis-1", "client")]), "`redis-1` is not a Redis node"),
        ("", table(&[node("redis-1", "valkey")]), "unknown variant `valkey`"),
    ] {
        let error = Recording::parse("r.jsonl", &head(faults, &nodes)).expect_err(what);
        assert!(error.message.contains(what) && error.line == 1, "{}", error.message);
    }
    let line = "{\"t\":1.0,\"client\":\"a\",\"op\":\"publish\",\"seq\":1,\"outcome\":\"reply-lost\",\"ms\":1.0}\n";
    let error = Recording::parse("r.jsonl", &(head("", "") + line)).expect_err("no outcome is called so");
    assert!(error.message.contains("unknown outcome `reply-lost`"), "{}", error.message);
    let stranger = "{\"t\":1.0,\"node\":\"redis-9\",\"event\":\"x\"}\n";
    let error = Recording::parse("r.jsonl", &(head("", &table(&[node("redis-1", "redis")])) + stranger));
    assert!(error.expect_err("it is not in the table").message.contains("`redis-9` is not a node of this recording"));
}

#[test]
fn one_answer_to_from_when_to_when_and_whom() {
    let text = "duration = '20s'\nphase = '0s'\n\
        [[client]]\nname = 'a'\nkind = 'publish'\nhost = 'box'\n[[client]]\nname = 'b'\nkind = 'subscribe'\nhost = 'box'\n\
        [[client]]\nname = 'c'\nkind = 'set'\n\
        [[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-3'\n\
        [[fault]]\nat = '2s'\naction = 'kill-host'\nnode = 'a'\n\
        [[fault]]\nat = '3s'\naction = 'partition'\ngroups = [['c', 'haproxy'], ['redis-1']]\n\
        [[fault]]\nat = '4s'\naction = 'kill'\nnode = 'redis-3'\n\
        [[fault]]\nat = '5s'\naction = 'start'\nnode = 'a'\n\
        [[fault]]\nat = '6s'\naction = 'heal'\n\
        [[fault]]\nat = '7s'\naction = 'start'\nnode = 'b'\n\
        [[fault]]\nat = '8s'\naction = 'stall'\nnode = 'sentinel-1'\nfor = '1500ms'\n\
        [[fault]]\nat = '9s'\naction = 'clock-jump'\nnode = 'sentinel-1'\nby = '2s'\n";
    let run = run(text, 2);
    let found = windows(&run.result.recording);
    let told: Vec<(i64, Option<i64>, Effect, String)> = found
        .iter()
        .map(|window| {
            let ms = |us: i64| us / 1_000;
            (ms(window.from_us), window.until_us.map(ms), window.effect(), window.nodes.join(" "))
        })
        .collect();
    let row = |from, until, effect, nodes: &str| (from, until, effect, nodes.to_owned());
    assert_eq!(
        told,
        [
            row(1_000, Some(4_000), Effect::Stops, "redis-3"),
            row(2_000, Some(7_000), Effect::Kills, "a b"),
            row(3_000, Some(6_000), Effect::Cuts, "redis-1 haproxy c"),
            row(4_000, None, Effect::Kills, "redis-3"),
            row(5_000, Some(5_000), Effect::Starts, "a"),
            row(6_000, Some(6_000), Effect::Heals, ""),
            row(7_000, Some(7_000), Effect::Starts, "b"),
            row(8_000, Some(9_500), Effect::Stops, "sentinel-1"),
            row(9_000, Some(9_000), Effect::Skews, "sentinel-1"),
        ]
    );
    let read = Recording::parse("r.jsonl", &run.result.recording.to_jsonl()).expect("it can be read");
    assert_eq!(windows(&read), found, "a file says the same");
    assert_eq!(run.analysis.faults, found);
    assert_eq!(scenario(text).faults.len(), found.len());
}

#[test]
fn the_master_bears_its_name_everywhere() {
    let with = |name: &str| {
        let text = format!(
            "duration = '25s'\nphase = '0s'\n[sentinel]\nmaster-name = '{name}'\n\
             [[fault]]\nat = '1s'\naction = 'kill'\nnode = '@master'\n\
             [[fault]]\nat = '18s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'FAILOVER', '{name}']\n"
        );
        run(&text, 1)
    };
    let (orders, usual) = (with("orders"), with("mymaster"));
    assert_eq!(orders.result.digest, usual.result.digest, "a name of the same meaning makes the same run");
    let faces = |run: &sim::Run| {
        let recording = &run.result.recording;
        let lanes = sim::report::lanes::lanes(recording);
        let metrics = sim::report::metrics::metrics(recording, &lanes, sim::kernel::Span::from_secs(5));
        let lines: Vec<String> =
            run.analysis.lines.iter().map(|line| format!("{} {}\n", line.node, line.text)).collect();
        let report = sim::report::text::story(recording, &run.analysis, &lanes);
        let told: Vec<String> = report.iter().map(|entry| format!("{} {}\n", entry.who, entry.text)).collect();
        [
            ("recording", recording.to_jsonl()),
            ("metrics", metrics),
            ("lines", lines.concat()),
            ("timeline", told.concat()),
        ]
    };
    for ((face, ours), (_, theirs)) in faces(&orders).into_iter().zip(faces(&usual)) {
        assert!(!ours.contains("mymaster") && ours.contains("orders"), "{face}: {ours}");
        assert_eq!(ours.replace("orders", "mymaster"), theirs, "{face}");
    }
    assert!(faces(&orders)[2].1.contains("sentinel-1 Executing user requested FAILOVER of 'orders'"));
    let text = orders.result.recording.to_jsonl();
    let read = Recording::parse("r.jsonl", &text).expect("it can be read");
    assert_eq!(Analysis::of(&read, None).failovers, Analysis::of(&orders.result.recording, None).failovers);
    let unknown = |what: &What| matches!(what, What::Event(Event::Text(text)) if text.contains("orders"));
    let unknown: Vec<_> = read.records.iter().filter(|record| unknown(&record.what)).collect();
    assert!(unknown.is_empty(), "every line with the name is known: {unknown:?}");
    // A recording of real programs that was made before heads said the name: the Sentinels' lines say it.
    let old = text.replacen(",\"master_name\":\"orders\"", "", 1);
    assert!(old.len() < text.len(), "the head says the name");
    let read = Recording::parse("old.jsonl", &old).expect("it can be read");
    assert_eq!(Analysis::of(&read, None).completed().count(), orders.analysis.completed().count());
    let odd = text.replacen("\"master_name\":\"orders\"", "\"master_name\":\"a b\"", 1);
    assert!(Recording::parse("odd.jsonl", &odd).expect_err("no name").message.contains("`a b`"));
}

#[test]
fn a_host_of_clients_stands_for_all_that_runs_there() {
    let text = "duration = '12s'\nphase = '0s'\n\
        [[client]]\nname = 'a'\nkind = 'publish'\nhost = 'box'\n[[client]]\nname = 'b'\nkind = 'set'\nhost = 'box'\n\
        [[client]]\nname = 'c'\nkind = 'subscribe'\n\
        [[fault]]\nat = '2s'\naction = 'kill'\nnode = 'box'\n[[fault]]\nat = '4s'\naction = 'start'\nnode = 'box'\n\
        [[fault]]\nat = '6s'\naction = 'kill-host'\nnode = 'box'\n[[fault]]\nat = '8s'\naction = 'start'\nnode = 'box'\n\
        [[fault]]\nat = '10s'\naction = 'pause'\nnode = 'box'\n[[fault]]\nat = '11s'\naction = 'resume'\nnode = 'box'\n";
    let run = run(text, 3);
    let told: Vec<String> = windows(&run.result.recording)
        .iter()
        .map(|window| format!("{} {}", window.fault, window.nodes.len()))
        .collect();
    assert_eq!(
        told,
        [
            "kill a 1",
            "kill b 1",
            "start a 1",
            "start b 1",
            "kill-host a 2",
            "start a 1",
            "start b 1",
            "pause a 1",
            "pause b 1",
            "resume a 1",
            "resume b 1"
        ]
    );
    for client in ["a", "b"] {
        let attempts = run.result.recording.records.iter().filter(|record| {
            matches!(record.what, What::Op(_)) && run.result.recording.names.node(record.node) == client
        });
        let at: Vec<i64> = attempts.map(|record| run.result.recording.micros(record.time) / 1_000).collect();
        for silent in [2_100..3_990, 6_100..7_990, 10_100..10_990] {
            assert!(!at.iter().any(|at| silent.contains(at)), "{client} is dead in {silent:?}");
        }
        for alive in [1_000..1_900, 4_200..5_900, 8_200..9_900] {
            assert!(at.iter().any(|at| alive.contains(at)), "{client} lives in {alive:?}");
        }
    }
}
