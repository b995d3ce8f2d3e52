//! Logs of a real stack, as containers leave them, become the recording that its driver made.

use std::collections::BTreeMap;
use std::path::Path;

use sim::analysis::Analysis;
use sim::analysis::phases::Phase;
use sim::logs;
use sim::record::{NodeKind, Recording, What};

use super::support::sim;

/// 23 November 2026, 16:00:00 UTC, in microseconds of the Unix epoch.
const BEGIN_US: i64 = 1_795_449_600_000_000;

fn real(scenario: &str) -> Recording {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    Recording::read(&folder.join(format!("{scenario}.00.jsonl.gz"))).expect("it is in the repository")
}

/// Names as addresses: redis-2 is 10.0.1.2, sentinel-3 is 10.0.2.3.
fn with_addresses(text: &str) -> String {
    let mut text = text.to_owned();
    for n in 1..=3 {
        // A server's name in haproxy.cfg stays.
        if !text.contains("Server ") {
            text = text.replace(&format!("redis-{n}"), &format!("10.0.1.{n}"));
        }
        text = text.replace(&format!("sentinel-{n}"), &format!("10.0.2.{n}"));
    }
    text
}

/// A moment as Redis writes it.
fn clock(us: i64) -> String {
    let millis = (us - BEGIN_US).div_euclid(1_000) + 16 * 3_600_000;
    let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
    format!("23 Nov 2026 {hour:02}:{minute:02}:{:02}.{:03}", millis / 1_000 % 60, millis % 1_000)
}

fn stamp(us: i64) -> String {
    let at = clock(us);
    format!("2026-11-23T{}000000Z", at.rsplit(' ').next().expect("a time"))
}

/// What `docker compose logs --timestamps` would have printed of it; clocks of nodes may be wrong.
fn compose_logs(recording: &Recording, ahead: &BTreeMap<&str, i64>) -> String {
    let mut out = String::from("app-1  | 2026-11-23T16:00:00Z GET / 200\n");
    for record in &recording.records {
        let What::Event(event) = &record.what else { continue };
        let node = recording.names.node(record.node);
        let host = BEGIN_US + 60_000_000 + recording.micros(record.time);
        let at = host + ahead.get(node).copied().unwrap_or(0);
        let text = event.text(&recording.names);
        let own = match recording.names.kind(record.node) {
            NodeKind::Redis => format!("1:M {} * {}", clock(at), with_addresses(&text)),
            NodeKind::Sentinel => format!("1:X {} # {}", clock(at), with_addresses(&text)),
            NodeKind::Haproxy => format!("[WARNING]  (8) : {text}"),
            NodeKind::Client => continue,
        };
        // The clock of the container is that of its host.
        out += &format!("{node}  | {} {own}\n", stamp(at));
    }
    out
}

/// Lines by node, in order.
fn lines(recording: &Recording) -> BTreeMap<&str, Vec<String>> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for record in &recording.records {
        if let What::Event(event) = &record.what {
            found.entry(recording.names.node(record.node)).or_default().push(event.text(&recording.names));
        }
    }
    found.values_mut().for_each(|lines| lines.sort());
    found
}

#[test]
fn logs_become_the_recording_that_the_driver_made() {
    for scenario in ["master-kill-container", "partition-split-brain", "g-kill-container"] {
        let real = real(scenario);
        let text = compose_logs(&real, &BTreeMap::new());
        let found = logs::read("incident", &[("stdin".into(), text)], &[]).expect("it is a log");
        let (ours, theirs) = (lines(&found.recording), lines(&real));
        for (node, theirs) in &theirs {
            let missing: Vec<&String> = theirs.iter().filter(|line| !ours[node].contains(line)).take(3).collect();
            assert_eq!(missing, Vec::<&String>::new(), "{scenario} {node}: {:?} {:?}", found.notes, ours[node].last());
        }
        // The failover is the same, step by step, from the first sign that the logs have.
        let phases = |recording: &Recording| {
            let analysis = Analysis::of(recording, None);
            let failover = analysis.completed().next().expect("there is a failover").clone();
            let steps =
                failover.steps.iter().filter(|step| step.phase != Phase::Fault && !step.who.contains("publisher"));
            let sentinels = [Phase::Detected, Phase::Agreed, Phase::Elected, Phase::Promoted];
            let at = steps.filter(|step| sentinels.contains(&step.phase)).map(|step| step.at_us);
            let at: Vec<i64> = at.collect();
            (failover.leader, failover.new_master, at.iter().map(|us| (us - at[0]) / 3_000).collect::<Vec<_>>())
        };
        let (ours, theirs) = (phases(&found.recording), phases(&real));
        assert_eq!((&ours.0, &ours.1), (&theirs.0, &theirs.1));
        assert!(ours.2.iter().zip(&theirs.2).all(|(a, b)| (a - b).abs() <= 1), "{ours:?} {theirs:?}");
    }
}

#[test]
fn clocks_that_differ_are_set_right() {
    let real = real("master-kill-container");
    let text = compose_logs(&real, &BTreeMap::from([("sentinel-2", 3_000_000), ("sentinel-3", -7_200_000_000)]));
    let found = logs::read("incident", &[("stdin".into(), text)], &[]).expect("it is a log");
    let said = found.notes.join("\n");
    assert!(said.contains("sentinel-2: its clock is 3.0") && said.contains("s ahead"), "{said}");
    assert!(said.contains("sentinel-3: its clock is 7") && said.contains("behind"), "{said}");
    let votes: Vec<i64> = found
        .recording
        .records
        .iter()
        .filter(|record| matches!(&record.what, What::Event(event) if event.text(&found.recording.names).starts_with("+vote")))
        .map(|record| found.recording.micros(record.time))
        .collect();
    let spread = votes.iter().max().expect("votes") - votes.iter().min().expect("votes");
    assert!(votes.len() >= 3 && spread < 200_000, "{votes:?}");
}

#[test]
fn an_incident_is_read_explained_and_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = compose_logs(&real("master-kill-container"), &BTreeMap::new());
    std::fs::write(folder.path().join("all.log"), text).expect("it can be written");
    let ran = |arguments: &[&str]| {
        let output = sim(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let (status, said) = ran(&["read", "all.log", "--out", "incident.jsonl"]);
    assert!(
        status == Some(0) && said.contains("redis-1: it is silent") && said.contains("no client is recorded"),
        "{said}"
    );
    let (status, said) = ran(&["explain", "incident.jsonl", "--failover"]);
    assert!(status == Some(0) && said.contains("redis-2"), "{said}");
    let (status, said) = ran(&["plot", "incident.jsonl"]);
    assert!(status == Some(0) && folder.path().join("output/incident-real-0/report.html").is_file(), "{said}");
    std::fs::write(folder.path().join("other.log"), "nothing of ours\n").expect("it can be written");
    let (status, said) = ran(&["read", "other.log", "--out", "other.jsonl"]);
    assert!(status == Some(2) && said.contains("no line is one of Redis"), "{said}");
    assert!(!folder.path().join("other.jsonl").exists());
}

/// Four failovers of the reference stack, by hand, within two minutes: `docker kill` of the master and `docker start` half a
/// minute later, `docker pause` of the next for 25 s, SENTINEL FAILOVER, `docker network disconnect`. What
/// `docker-compose logs` printed, without times of containers, and of it the lines that matter.
#[test]
fn four_failovers_in_a_row_are_told_apart() {
    let text = include_str!("../data/incidents/four-failovers.log").to_owned();
    let found = logs::read("incident", &[("stdin".into(), text.clone())], &[]).expect("it is a log");
    let said = found.notes.join("\n");
    assert!(!said.contains("its clock is") && !said.contains("spoken of"), "{said}");
    assert!(said.contains("redis-1: called down (+sdown), and started again at "), "{said}");
    let analysis = Analysis::of(&found.recording, None);
    let moves: Vec<(String, String)> = analysis
        .completed()
        .map(|failover| (failover.old_master.clone(), failover.new_master.clone().unwrap_or_default()))
        .collect();
    let move_of = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let all = [("redis-1", "redis-3"), ("redis-3", "redis-2"), ("redis-2", "redis-3"), ("redis-3", "redis-1")];
    assert_eq!(moves, all.map(|(from, to)| move_of(from, to)));
    let orders: Vec<String> = found.recording.header.faults.iter().map(|mark| format!("{:?}", mark.fault)).collect();
    assert!(orders.len() >= 2 && orders[0].contains("redis-1") && orders[1].contains("redis-1"), "{orders:?}");
    // The clock of one server is two hours off: found, though its log has three promotions and a demotion.
    let wrong: String = text
        .lines()
        .map(|line| if line.starts_with("redis-3") { line.replace(" 00:5", " 02:5") } else { line.to_owned() } + "\n")
        .collect();
    let found = logs::read("incident", &[("stdin".into(), wrong)], &[]).expect("it is a log");
    let said = found.notes.join("\n");
    assert!(said.contains("redis-3: its clock is 7200.0") || said.contains("redis-3: its clock is 7199.9"), "{said}");
    assert_eq!(Analysis::of(&found.recording, None).completed().count(), 4);
}
