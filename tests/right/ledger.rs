//! What became of every message and write, and why.

use sim::Run;
use sim::analysis::Analysis;
use sim::analysis::fate::Fate;
use sim::analysis::outages::Activity;
use sim::analysis::writes::WriteFate;
use sim::record::Recording;

use crate::support::{refusal, run, sim};

/// The analysis of a run's recording as it is in its file.
fn read_back(run: &Run) -> Analysis {
    let text = run.result.recording.to_jsonl();
    let recording = Recording::parse("recording.jsonl", &text).unwrap_or_else(|error| panic!("{error:?}"));
    Analysis::of(&recording, None)
}

fn missed(run: &Run) -> Vec<&'static str> {
    run.misses.iter().map(|miss| miss.key).collect()
}

/// A split brain: the clients' side has the old master and HAProxy.
fn closed_loop(connections: u32) -> String {
    format!(
        "duration = '40s'\nphase = '0s'\n\
         [[client]]\nname = 'load'\nkind = 'set'\npause = {{ min = '10ms', max = '20ms' }}\nconnections = {connections}\n\
         [[fault]]\nat = '0s'\naction = 'partition'\n\
         groups = [['redis-1', 'sentinel-1', 'haproxy', 'load'], ['redis-2', 'redis-3', 'sentinel-2', 'sentinel-3']]\n\
         [[fault]]\nat = '20s'\naction = 'heal'\n\
         [expect]\nlost-acked-sets = 0\nset-outage = {{ max = '1s' }}\nreadonly-sets = 0\nset-ok = {{ min = 1 }}\n"
    )
}

#[test]
fn writes_over_many_connections_are_counted_and_lost_as_those_over_one() {
    for seed in 1..=4 {
        let (one, many) = (run(&closed_loop(1), seed), run(&closed_loop(3), seed));
        let lost = |run: &Run| run.analysis.ledger.writes.lost.expect("there is a master");
        assert!((1_200..=2_600).contains(&lost(&one)), "{}", lost(&one));
        let ratio = lost(&many) as f64 / lost(&one) as f64;
        assert!((2.8..3.2).contains(&ratio), "three connections lose three times as much: {ratio}");
        assert!(missed(&many).contains(&"lost-acked-sets"), "{:?}", many.misses);
        let writes = &many.analysis.ledger.writes;
        assert!(writes.acknowledged > writes.lost.unwrap_or(0) && writes.attempts >= writes.acknowledged);
        assert!(!writes.lost_by_cause.contains_key("unexplained"), "{:?}", writes.lost_by_cause);
        assert_eq!(
            many.result.recording.header.lost_acked_sets,
            writes.lost.zip(writes.lost_before).map(|(a, b)| a + b)
        );
    }
}

#[test]
fn outages_of_a_client_with_many_connections_are_seen_to_their_end() {
    let text = "duration = '20s'\nphase = '0s'\n\
        [[client]]\nname = 'load'\nkind = 'set'\npause = { min = '5ms', max = '5ms' }\nconnections = 5\n\
        [[fault]]\nat = '2s'\naction = 'pause'\nnode = 'haproxy'\n\
        [[fault]]\nat = '6s'\naction = 'resume'\nnode = 'haproxy'\n\
        [[fault]]\nat = '15s'\naction = 'kill'\nnode = 'haproxy'\n";
    let run = run(text, 1);
    let client = run.analysis.outages.iter().find(|client| client.client == "load").expect("it is counted");
    assert_eq!(client.activity, Activity::Set);
    let long: Vec<(i64, i64, bool)> = client
        .outages
        .iter()
        .filter(|outage| outage.lasted_us() > 1_000_000)
        .map(|outage| (outage.from_us / 100_000, outage.to_us / 100_000, outage.recovered))
        .collect();
    assert_eq!(long.len(), 2, "{long:?}");
    assert!((19..=20).contains(&long[0].0) && (60..=61).contains(&long[0].1) && long[0].2, "{long:?}");
    assert!((149..=150).contains(&long[1].0) && long[1].1 == 200 && !long[1].2, "{long:?}");
    assert!(client.outages[1..].iter().any(|outage| outage.failed.contains_key("connect-refused")), "{client:?}");
}

#[test]
fn messages_over_many_connections_are_published_heard_and_lost() {
    let text = "duration = '20s'\nphase = '0s'\n\
        [[client]]\nname = 'p'\nkind = 'publish'\npause = { min = '10ms', max = '20ms' }\nconnections = 3\n\
        [[client]]\nname = 's'\nkind = 'subscribe'\nconnections = 3\n\
        [[fault]]\nat = '2s'\naction = 'kill'\nnode = 'redis-1'\n\
        [expect]\npublish-lost = 0\npublish-ok = { min = 1000 }\n";
    let run = run(text, 1);
    let sums = &run.analysis.ledger.sums;
    assert!(sums.published > 1_500 && sums.delivered > 1_000 && sums.lost > 0, "{sums:?}");
    assert_eq!(sums.received_by["s"], sums.delivered);
    assert_eq!(sums.missed_by["s"], sums.published - sums.delivered);
    let heard = run.analysis.outages.iter().find(|client| client.client == "s").expect("it listens");
    assert!(heard.successes > 3 * 1_000 && heard.longest_us > 5_000_000, "{heard:?}");
    // Nobody listens: what is acknowledged is lost, all of it.
    let silent = text.replace("kind = 'subscribe'\nconnections = 3", "kind = 'get'\nevery = '1s'");
    let silent = crate::support::run(&silent, 1);
    assert!(missed(&silent).contains(&"publish-lost"), "{:?}", silent.misses);
    let sums = &silent.analysis.ledger.sums;
    assert_eq!(sums.lost + sums.undecided, sums.published);
    assert!(sums.lost_silently > 1_000, "{sums:?}");
}

#[test]
fn a_crowd_hears_what_recorded_publishers_say() {
    let text = "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'p'\nkind = 'publish'\n\
        [[client]]\nname = 's'\nkind = 'subscribe'\nconnections = 7\n";
    let sums = run(text, 1).analysis.ledger.sums;
    assert!(sums.published >= 100, "{sums:?}");
    assert_eq!((sums.lost, sums.unmatched, sums.duplicates), (0, 0, 0), "{sums:?}");
    assert_eq!(sums.received_by["s"], sums.delivered);
}

#[test]
fn a_recording_of_counted_clients_gives_the_figures_of_the_run() {
    let mixed = "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'sub'\nkind = 'subscribe'\n\
        [[client]]\nname = 'load'\nkind = 'publish'\npause = { min = '1ms', max = '5ms' }\nconnections = 20\n\
        [[client]]\nname = 'p'\nkind = 'publish'\n";
    for text in [mixed.to_string(), closed_loop(3), closed_loop(1), RESTARTS.to_string()] {
        let run = run(&text, 2);
        let read = read_back(&run);
        assert_eq!(read.figures(), run.analysis.figures());
        assert_eq!(read.ledger.sums, run.analysis.ledger.sums);
        assert_eq!(read.ledger.writes, run.analysis.ledger.writes);
        // A file knows its clients by their names, a run by their places.
        let by_name = |analysis: &Analysis| {
            let mut outages = analysis.outages.clone();
            outages.sort_by(|a, b| a.client.cmp(&b.client));
            outages
        };
        assert_eq!(by_name(&read), by_name(&run.analysis));
    }
    let run = run(mixed, 1);
    assert!(run.analysis.ledger.sums.published > 20_000, "{:?}", run.analysis.ledger.sums);
    assert_eq!((run.analysis.ledger.sums.lost, run.analysis.ledger.sums.unmatched), (0, 0));
}

/// A writer is killed and started again while two nodes are masters.
const RESTARTS: &str = "duration = '60s'\nphase = '10s'\n\
    [[client]]\nname = 'publisher'\nkind = 'publish'\nhost = 'clients'\nevery = '100ms'\n\
    [[client]]\nname = 'subscriber-1'\nkind = 'subscribe'\nhost = 'clients'\n\
    [[client]]\nname = 'writer'\nkind = 'set'\nhost = 'clients'\nevery = '100ms'\n\
    [[client]]\nname = 'latecomer'\nkind = 'set'\nhost = 'clients-2'\nevery = '100ms'\n\
    [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n\
    [[fault]]\nat = '1s'\naction = 'kill'\nnode = 'latecomer'\n\
    [[fault]]\nat = '20s'\naction = 'start'\nnode = 'redis-1'\n\
    [[fault]]\nat = '24s'\naction = 'start'\nnode = 'latecomer'\n\
    [expect]\nlost-acked-sets = { min = 40 }\n";

#[test]
fn a_client_that_is_started_again_writes_keys_of_its_own() {
    for seed in 1..=6 {
        let run = run(RESTARTS, seed);
        assert_eq!(missed(&run), Vec::<&str>::new(), "seed {seed}");
        let mut keys: Vec<(&str, u32)> = Vec::new();
        keys.extend(run.analysis.ledger.sets.iter().map(|write| (&*write.client, write.seq)));
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all, "no key is written twice");
    }
}

#[test]
fn acknowledged_and_lost_writes_count_from_time_0() {
    // Everything that was ever written is gone.
    let text = "duration = '10s'\nphase = '0s'\n\
        [[fault]]\nat = '5s'\naction = 'command'\nnode = 'redis-1'\nrun = ['FLUSHALL']\n";
    let run = run(text, 1);
    let writes = &run.analysis.ledger.writes;
    let lost = writes.lost.expect("there is a master");
    assert!((90..=101).contains(&lost) && lost <= writes.acknowledged, "{writes:?}");
    let before = writes.lost_before.expect("there is a master");
    assert!((55..=61).contains(&before) && before == writes.acknowledged_before, "{writes:?}");
    assert_eq!(writes.lost_by_cause.get("deleted-by-command"), Some(&lost));
    assert_eq!(run.result.recording.header.lost_acked_sets, Some(lost + before), "the header counts all");
}

#[test]
fn what_a_promoted_master_forgets_is_laid_to_its_restart() {
    // redis-2 is promoted for redis-1, and then loses all that it had from it.
    let text = "duration = '40s'\nphase = '0s'\n[redis]\nsave = ''\nconfig-file = true\n[redis.redis-3]\nreplica-priority = 0\n\
        [[fault]]\nat = '5s'\naction = 'kill'\nnode = 'redis-1'\n\
        [[fault]]\nat = '25s'\naction = 'kill'\nnode = 'redis-2'\n\
        [[fault]]\nat = '25.5s'\naction = 'start'\nnode = 'redis-2'\n";
    let mut restarts = 0;
    for seed in 1..=4 {
        let run = run(text, seed);
        let causes = &run.analysis.ledger.writes.lost_by_cause;
        let at_restart = causes.get("lost-at-restart").copied().unwrap_or(0);
        let early = run.analysis.ledger.sets.iter().filter(|write| write.at_us < 4_900_000);
        let early: Vec<_> = early.filter(|write| matches!(write.fate, WriteFate::Lost(_))).collect();
        if early.is_empty() {
            continue;
        }
        restarts += 1;
        assert!(at_restart >= early.iter().filter(|write| write.at_us >= 0).count() as u64, "{causes:?}");
        assert!(
            early.iter().all(|write| write.fate == WriteFate::Lost(sim::analysis::writes::WriteLoss::LostAtRestart))
        );
    }
    assert!(restarts > 0, "no seed loses what was replicated");
}

#[test]
fn what_a_frozen_master_acknowledges_after_the_thaw_has_a_cause() {
    let text = "duration = '40s'\nphase = '0s'\n\
        [[client]]\nname = 'load'\nkind = 'set'\npause = { min = '10ms', max = '20ms' }\n\
        [[client]]\nname = 'many'\nkind = 'set'\npause = { min = '10ms', max = '20ms' }\nconnections = 40\n\
        [haproxy]\n'timeout server' = '60s'\n'timeout client' = '60s'\n\
        [[fault]]\nat = '0s'\naction = 'pause'\nnode = 'redis-1'\n\
        [[fault]]\nat = '20s'\naction = 'resume'\nnode = 'redis-1'\n";
    let mut lost = 0;
    for seed in 1..=4 {
        let writes = run(text, seed).analysis.ledger.writes;
        lost += writes.lost.unwrap_or(0);
        assert!(!writes.lost_by_cause.contains_key("unexplained"), "{:?}", writes.lost_by_cause);
    }
    assert!(lost > 0, "nothing was lost: the test shows nothing");
}

#[test]
fn a_profile_is_not_replaced_in_silence() {
    let client = |rest: &str| format!("[[client]]\nname = 'c'\n{rest}");
    let pause = "pause = { min = '1ms', max = '2ms' }\n";
    let go = "profile = 'go-redis-v8'\n";
    for (text, word) in [
        (client(&format!("kind = 'set'\n{pause}{go}")), "closed loop"),
        (client(&format!("kind = 'set'\nconnections = 3\n{pause}{go}")), "several connections"),
        (client(&format!("kind = 'subscribe'\nconnections = 3\n{go}")), "several connections"),
        (client("kind = 'subscribe'\nconnections = 3\nprofile = 'sentinel'\n"), "asks no Sentinel"),
        (client(&format!("kind = 'subscribe'\n{pause}")), "makes no attempts"),
        (client(&format!("kind = 'publish'\nthen-set = true\n{pause}")), "one command"),
    ] {
        let said = refusal(&text);
        assert!(said.contains(word), "{text}\n{said}");
    }
}

#[test]
fn plotting_a_run_s_own_recording_gives_its_figures() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.toml"), format!("name = 'a'\n{}", closed_loop(3))).expect("it can be written");
    let ran = sim(folder.path(), &["run", "a.toml", "--recordings", "rec"]);
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    let plotted = sim(folder.path(), &["plot", "rec/a.1.jsonl", "--out", "plotted"]);
    assert!(plotted.status.success(), "{}", String::from_utf8_lossy(&plotted.stderr));
    let figures = |path: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.path().join(path)).expect(path);
        let summary: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        serde_json::json!([summary["metrics"], summary["writes"], summary["messages"]])
    };
    assert_eq!(figures("output/a-1/summary.json"), figures("plotted/a-1/summary.json"));
}

#[test]
fn a_write_is_explained_from_its_client_to_its_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("name = 'a'\n{}", closed_loop(1).replace("kind = 'set'", "kind = 'set'\nrequests = 3000"));
    std::fs::write(folder.path().join("a.toml"), text).expect("it can be written");
    let explain = |arguments: &[&str]| {
        let output = sim(folder.path(), &[&["explain", "a.toml", "--seed", "2"], arguments].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, summary) = explain(&[]);
    assert_eq!(code, Some(0));
    let asked =
        summary.lines().find_map(|line| line.trim().split_once("--write ")).expect("a lost write is worth asking");
    let (code, answer) = explain(&["--write", asked.1]);
    assert_eq!(code, Some(0));
    for part in
        ["was acknowledged, and the final master does not hold it", "redis-1 executed it", "In the ledger of the run"]
    {
        assert!(answer.contains(part), "{answer}");
    }
    let (code, answer) = explain(&["--write", "load:1"]);
    assert!(
        code == Some(0) && answer.contains("is in the final master's data") && answer.contains("replication stream")
    );
    for wrong in ["load:900000", "nobody:1", "x"] {
        assert_eq!(explain(&["--write", wrong]).0, Some(2), "{wrong}");
    }
    // From lines alone.
    let _ = sim(folder.path(), &["run", "a.toml", "--seed", "2", "--recordings", "rec"]);
    let lines = sim(folder.path(), &["explain", "rec/a.2.jsonl", "--write", asked.1]);
    let answer = String::from_utf8_lossy(&lines.stdout).into_owned();
    assert!(lines.status.success() && answer.contains("Most likely:"), "{answer}");
}

#[test]
fn what_haproxy_closed_while_nobody_spoke_is_its_idle_timeout() {
    // The publisher is quiet for longer than HAProxy waits: each second attempt finds its connection closed.
    let text = "duration = '30s'\nphase = '0s'\n[haproxy]\n'timeout client' = '1s'\n'timeout server' = '1s'\n\
        [[client]]\nname = 'p'\nkind = 'publish'\nevery = '3s'\n[[client]]\nname = 's'\nkind = 'subscribe'\n";
    let run = run(text, 1);
    let causes = &run.analysis.ledger.sums.by_cause;
    assert!(causes.get("proxy-idle-timeout").is_some_and(|count| *count >= 4), "{causes:?}");
    assert!(!causes.contains_key("connection-cut"), "{causes:?}");
}

#[test]
fn a_master_that_was_paused_is_no_replica() {
    let text = "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'p'\nkind = 'publish'\nevery = '20ms'\n\
        [[fault]]\nat = '2s'\naction = 'pause'\nnode = 'redis-1'\n\
        [[fault]]\nat = '2.5s'\naction = 'resume'\nnode = 'redis-1'\n";
    for seed in 1..=4 {
        let causes = run(text, seed).analysis.ledger.sums.by_cause;
        assert!(!causes.contains_key("accepted-by-replica"), "{causes:?}");
        assert!(causes.get("accepted-but-nobody-subscribed").is_some_and(|count| *count > 500), "{causes:?}");
    }
}

/// Lost messages by cause, those from before time 0 too.
fn causes(run: &Run) -> std::collections::BTreeMap<&'static str, usize> {
    let mut causes = std::collections::BTreeMap::new();
    for cause in run.analysis.ledger.messages.iter().filter_map(|message| message.cause) {
        *causes.entry(cause.as_str()).or_default() += 1;
    }
    causes
}

#[test]
fn what_an_orderly_shutdown_holds_is_no_idle_timeout() {
    // The replica stands still: the master waits for it until shutdown-timeout, and holds what publishes meanwhile.
    let text = "duration = '14s'\nphase = '0s'\n[redis]\nshutdown-timeout = 3\n\
        [sentinel]\ndown-after-milliseconds = 30000\n\
        [[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-2'\n\
        [[fault]]\nat = '2s'\naction = 'terminate'\nnode = 'redis-1'\n";
    let held_by = |run: &Run| -> Vec<sim::analysis::ledger::Message> {
        let held = |message: &&sim::analysis::ledger::Message| {
            (2_100_000..4_900_000).contains(&message.published_us) && message.took_us > 500_000
        };
        run.analysis.ledger.messages.iter().filter(held).cloned().collect()
    };
    let run = run(text, 1);
    let held = held_by(&run);
    assert!(!held.is_empty(), "{:?}", causes(&run));
    for message in held {
        let cause = message.cause.expect("nobody heard it").as_str();
        assert!(["reply-timeout", "connection-cut"].contains(&cause), "{message:?}");
    }
    // HAProxy that does not wait so long closes it for its idle timeout.
    let impatient = format!("{text}[haproxy]\n'timeout client' = '900ms'\n'timeout server' = '900ms'\n");
    for message in held_by(&self::run(&impatient, 1)) {
        assert_eq!(message.cause.map(|cause| cause.as_str()), Some("proxy-idle-timeout"), "{message:?}");
    }
}

#[test]
fn who_is_pinned_to_the_old_master_is_not_between_connections() {
    for profile in ["reference", "go-redis-v8"] {
        let text = format!(
            "duration = '30s'\nphase = '0s'\n\
             [[client]]\nname = 'publisher'\nkind = 'publish'\nhost = 'clients'\nprofile = '{profile}'\n\
             [[client]]\nname = 'subscriber'\nkind = 'subscribe'\nhost = 'clients'\n\
             [[fault]]\nat = '0s'\naction = 'partition'\n\
             groups = [['redis-1', 'haproxy', 'clients'], ['redis-2', 'redis-3', 'sentinel-1', 'sentinel-2', 'sentinel-3']]\n\
             [[fault]]\nat = '15s'\naction = 'command'\nnode = 'redis-1'\nrun = ['CLIENT', 'KILL', 'TYPE', 'normal']\n\
             [[fault]]\nat = '16s'\naction = 'heal'\n"
        );
        let run = run(&text, 1);
        let silent: Vec<_> =
            run.analysis.ledger.messages.iter().filter(|message| message.fate == Fate::LostSilently).collect();
        for message in &silent {
            let cause = message.cause.expect("it is lost").as_str();
            assert_ne!(cause, "accepted-but-nobody-subscribed", "{profile}: {message:?}");
        }
    }
}

#[test]
fn what_is_lost_with_an_output_buffer_is_laid_to_its_limit_from_the_kill_on() {
    let text = "duration = '20s'\nphase = '0s'\n[redis]\nclient-output-buffer-limit = 'pubsub 1mb 0 0'\n\
        [[client]]\nname = 'publisher'\nkind = 'publish'\nhost = 'clients'\nevery = '20ms'\npayload = '64kb'\n\
        [[client]]\nname = 'subscriber'\nkind = 'subscribe'\nhost = 'clients'\n\
        [[fault]]\nat = '0s'\naction = 'pause'\nnode = 'subscriber'\n\
        [[fault]]\nat = '8s'\naction = 'resume'\nnode = 'subscriber'\n";
    let run = run(text, 1);
    let causes = causes(&run);
    assert!(causes["output-buffer-kill"] > 300, "{causes:?}");
    let others: usize = causes.iter().filter(|(cause, _)| **cause != "output-buffer-kill").map(|(_, n)| n).sum();
    assert!(others <= 3, "{causes:?}");
}
