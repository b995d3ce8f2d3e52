//! Who was master, how a failover went, and what the timeline and the pages say of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use sim::Run;
use sim::analysis::faults::{Window, windows};
use sim::analysis::masters::masters;
use sim::analysis::outages::Activity;
use sim::analysis::phases::{Failover, Phase};
use sim::analysis::{Analysis, RunFacts, Summary};
use sim::explain::{Question, Subject, Traced};
use sim::explore::generate::{Limits, case};
use sim::record::{Order, Recording};
use sim::report::lanes::lanes;
use sim::report::text;

use super::support::{run, scenario, sim};

/// Two nodes come back from their files as masters, one of them after it had been replaced.
const TWO_FROM_FILES: &str = "
duration = '60s'
phase = '0s'
[redis]
config-file = true
[redis.redis-3]
replica-priority = 0
[[fault]]
at = '0s'
action = 'kill'
node = 'redis-1'
[[fault]]
at = '15s'
action = 'kill'
node = '@master'
[[fault]]
at = '16s'
action = 'start'
node = 'redis-2'
[[fault]]
at = '16.1s'
action = 'start'
node = 'redis-1'
[expect]
two-masters = { max = '0s' }
";

/// Everything that `text` repeats: the story of a run.
fn told(run: &Run) -> Vec<text::Entry> {
    let recording = &run.result.recording;
    text::story(recording, &run.analysis, &lanes(recording))
}

fn is_pause(fault: &Window) -> bool {
    fault.fault.order() == Some(Order::Pause)
}

/// The names of those that act as master at the end of a recording and of the rest after it, and the names of those that
/// said so when they were asked then; paused ones are in neither.
fn at_the_end(recording: &Recording) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut whole = recording.clone();
    let last = recording.records.last().map_or(0.0, |record| recording.seconds(record.time));
    whole.header.end_s = whole.header.end_s.max(last) + 1.0;
    let analysis = masters(&whole);
    let end = analysis.lanes.iter().map(|lane| lane.to_us).max().unwrap_or(0);
    let acting =
        analysis.lanes.iter().filter(|lane| lane.to_us == end && end as f64 / 1e6 >= whole.header.end_s - 0.01);
    let faults = windows(recording);
    let paused =
        |node: &str| faults.iter().any(|fault| is_pause(fault) && fault.until_us.is_none() && fault.hits(node));
    let says = recording.header.final_roles.iter().filter(|(_, role)| *role == "master");
    let says = says.map(|(node, _)| node.clone()).filter(|node| !paused(node));
    (acting.map(|lane| lane.node.clone()).collect(), says.collect())
}

#[test]
fn two_masters_from_their_files_are_seen_as_long_as_both_say_so() {
    let run = run(TWO_FROM_FILES, 1);
    assert!(run.misses.iter().any(|miss| miss.to_string().contains("two-masters")), "{:?}", run.misses);
    let [window] = &run.analysis.masters.two[..] else { panic!("{:?}", run.analysis.masters.two) };
    assert_eq!(window.nodes, ["redis-1", "redis-2"]);
    // Both serve from their start on, until Sentinel makes redis-1 a replica.
    let demoted = run.analysis.lines_with(Some("redis-1"), "REPLICAOF redis-2").next().expect("it is demoted").at_us;
    assert!((16_100_000..16_200_000).contains(&window.from_us), "{window:?}");
    assert_eq!(window.to_us, demoted);
    let acting: Vec<&str> = ["redis-1", "redis-2", "redis-3"]
        .into_iter()
        .filter(|node| run.analysis.masters.acts(node, run.analysis.end_us - 1))
        .collect();
    assert_eq!(acting, ["redis-2"]);
    let metrics = sim::report::metrics::metrics(
        &run.result.recording,
        &lanes(&run.result.recording),
        sim::kernel::Span::from_secs(1),
    );
    let last =
        metrics.lines().rfind(|line| line.starts_with("redis_instance_info") && line.contains("role=\"master\""));
    assert!(last.is_some_and(|line| line.contains("redis-2:6379")), "{last:?}");
}

#[test]
fn what_comes_back_from_its_file_as_a_replica_is_no_master() {
    let scenario = Arc::new(scenario(include_str!("../../reference/scenarios/rewritten-config.toml")));
    let simulated = (1..=4).map(|seed| sim::run(&scenario, seed).result.recording);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/recordings");
    let real = (0..6).map(|n| folder.join(format!("rewritten-config/rewritten-config.{n:02}.jsonl.gz")));
    let real = real.map(|path| Recording::read(&path).expect("a recording of the repository"));
    for recording in simulated.chain(real) {
        let masters = masters(&recording);
        // The old master was frozen until 15 s; it is killed at 28 s and started at 30 s.
        assert!(masters.two.iter().all(|two| two.to_us < 28_000_000), "{:?}", masters.two);
        assert_eq!(masters.two.len(), 1, "{:?}", masters.two);
        let (acting, says) = at_the_end(&recording);
        assert_eq!((acting.len(), &acting), (1, &says));
    }
}

#[test]
fn who_crashes_is_master_no_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/recordings");
    let real = Recording::read(&folder.join("crash-and-flush/crash-and-flush.00.jsonl.gz"))
        .expect("a recording of the repository");
    let scenario = Arc::new(scenario(include_str!("../../reference/scenarios/crash-and-flush.toml")));
    for recording in [real, sim::run(&scenario, 1).result.recording] {
        let masters = masters(&recording);
        assert!(!masters.acts("redis-1", 9_000_000), "it crashed at 8 s: {:?}", masters.lanes);
        assert!(masters.acts("redis-1", 11_000_000), "it was started at 10 s: {:?}", masters.lanes);
    }
}

#[test]
fn who_acts_as_master_at_the_end_says_so() {
    let limits = Limits::default();
    let mut seen = 0;
    for number in 0..60 {
        let case = case(20_261_129, number, &limits);
        let mut scenario = case.scenario;
        // Files are where roles outlive a process.
        scenario.redis.iter_mut().for_each(|config| config.config_file |= number % 2 == 0);
        let run = sim::run(&Arc::new(scenario), case.seed);
        let recording = &run.result.recording;
        let (acting, says) = at_the_end(recording);
        assert_eq!(acting, says, "case {number}: {:?}\n{:?}", recording.header, run.analysis.masters.lanes);
        seen += says.len();
        // A claim that is wrong is seen.
        let mut wrong = recording.clone();
        let name = wrong.header.redis[0].clone();
        let other = if says.contains(&name) { "slave" } else { "master" };
        let paused = run.analysis.faults.iter().any(is_pause);
        wrong.header.final_roles.insert(name, other.into());
        let (acting, says) = at_the_end(&wrong);
        assert!(paused || acting != says);
    }
    assert!(seen > 30, "{seen}");
}

const NEGATIVE: &str = "
duration = '40s'
phase = '0s'
[haproxy]
fall = 1
[[fault]]
at = '0s'
action = 'kill'
node = 'redis-1'
[[fault]]
at = '4800ms'
action = 'start'
node = 'redis-1'
";

fn assert_orderly(failover: &Failover) {
    for step in &failover.steps {
        assert!(step.took_us.is_none_or(|took| took >= 0), "{step:?}");
        let before = step.after.map(|phase| failover.step(phase).expect("what it waited for was reached").at_us);
        assert_eq!(step.took_us, before.map(|before| step.at_us - before), "{step:?}");
    }
}

#[test]
fn no_step_of_a_failover_takes_less_than_no_time() {
    let negative = run(NEGATIVE, 1);
    let [failover] = &negative.analysis.failovers[..] else { panic!("one failover") };
    // HAProxy found the old master again: the clients came back before it switched.
    let step = |phase| failover.step(phase).expect("it was reached");
    assert!(step(Phase::PublisherOk).at_us < step(Phase::ProxySwitched).at_us);
    assert_eq!(step(Phase::PublisherOk).after, Some(Phase::Fault));
    assert_orderly(failover);
    for number in 0..40 {
        let case = case(7, number, &Limits::default());
        let run = sim::run(&Arc::new(case.scenario), case.seed);
        run.analysis.failovers.iter().for_each(assert_orderly);
    }
}

#[test]
fn without_haproxy_nobody_waits_for_it() {
    let text = "duration = '20s'\n[stack]\nhaproxy = false\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = '@master'\n";
    let run = run(text, 1);
    let [failover] = &run.analysis.failovers[..] else { panic!("one failover") };
    for phase in [Phase::PublisherOk, Phase::WriterOk, Phase::SubscriberOk] {
        let step = failover.step(phase).expect("the clients come back");
        assert_eq!(step.after, Some(Phase::Confirmed), "{step:?}");
    }
    assert!(!text::summary(&run.analysis).contains("proxy-switched"));
}

#[test]
fn a_clients_own_pace_and_its_end_are_no_outages() {
    let text = "
duration = '120s'
[[client]]
name = 'calm'
kind = 'set'
every = '45s'
[[client]]
name = 'talker'
kind = 'publish'
every = '45s'
[[client]]
name = 'listener'
kind = 'subscribe'
[[client]]
name = 'mortal'
kind = 'set'
[[fault]]
at = '10s'
action = 'kill'
node = 'mortal'
";
    let run = run(text, 1);
    let of = |name: &str| run.analysis.outages.iter().find(|client| client.client == name).expect("it is there");
    assert_eq!(of("mortal").outages, [], "it was killed: nothing failed");
    assert!(of("mortal").longest_us > 100_000_000, "the longest time without success is what it says");
    for (name, activity) in [("calm", Activity::Set), ("talker", Activity::Publish), ("listener", Activity::Receive)] {
        let client = of(name);
        assert_eq!(client.activity, activity);
        assert_eq!(client.outages, [], "{name}");
        assert_eq!(told(&run).iter().filter(|entry| entry.who == name).count(), 0);
    }
    // What fails is an outage whatever the pace.
    let broken = format!("{text}[[fault]]\nat = '60s'\naction = 'kill-host'\nnode = 'haproxy'\n");
    let run = self::run(&broken, 1);
    for name in ["calm", "talker"] {
        let client = run.analysis.outages.iter().find(|client| client.client == name).expect("it is there");
        let [outage] = &client.outages[..] else { panic!("{:?}", client.outages) };
        assert!(!outage.recovered && outage.to_us == run.analysis.end_us && !outage.failed.is_empty(), "{outage:?}");
    }
}

#[test]
fn a_wait_has_its_cause_before_it() {
    let text = "
duration = '70s'
phase = '0s'
[stack]
sentinels = 4
haproxy = false
[[fault]]
at = '0s'
action = 'power-off'
node = 'redis-1'
[[fault]]
at = '0s'
action = 'power-off'
node = 'sentinel-1'
[[fault]]
at = '0s'
action = 'power-off'
node = 'sentinel-2'
";
    let scenario = Arc::new(scenario(text));
    let traced = Traced::run(scenario.clone(), 1).expect("it can be traced");
    let attempts: Vec<i64> = traced.analysis.failovers.iter().map(Failover::started_us).collect();
    assert!(attempts.len() >= 3 && attempts[0] < 18_000_000 && attempts[1] > 18_000_000, "{attempts:?}");
    let subject = Subject::Traced(Box::new(traced));
    let question = Question::Between(18_000_000, 70_000_000);
    let explanation = subject.explain(&question).expect("it has an answer");
    // Each wait names the moment that armed it: none lies after the wait's beginning, and two waits with two causes are two.
    let mut waits = 0;
    for step in explanation.steps.iter().filter(|step| step.text.contains("starts no failover before")) {
        let because = step.text.split("because ").nth(1).expect("it has a cause");
        let at: f64 = because
            .split(" at ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .expect("it has a time")
            .parse()
            .expect("seconds");
        assert!((at * 1e6) as i64 <= step.at_us + 1_000, "{} {}", step.at_us, step.text);
        waits += 1;
    }
    assert!(waits >= 4, "{explanation:?}");
    let first = explanation.answer.split("because ").nth(1).expect("the answer has a cause");
    let at: f64 = first
        .split(" at ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect("it has a time")
        .parse()
        .expect("seconds");
    assert!(at < 18.0, "{}", explanation.answer);
    // From the lines alone: the same.
    let recording = sim::run(&scenario, 1).result.recording;
    let analysis = Analysis::of(&recording, None);
    let lines = Subject::Lines(Box::new((recording, analysis)));
    let answer = lines.explain(&question).expect("it has an answer").answer;
    assert!(answer.contains("waited, when this time began"), "{answer}");
}

#[test]
fn a_failover_that_nobody_heard_of_did_not_happen() {
    let mut text = "duration = '8s'\nphase = '0s'\n".to_string();
    for n in 1..=3 {
        text.push_str(&format!(
            "[[fault]]\nat = '0s'\naction = 'command'\nnode = 'sentinel-{n}'\nrun = ['SENTINEL', 'SIMULATE-FAILURE', 'crash-after-promotion']\n"
        ));
    }
    text.push_str("[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n");
    let run = run(&text, 1);
    let failover = run.analysis.failovers.first().expect("one was tried");
    assert!(failover.confirmed() && !failover.took_effect(), "{failover:?}");
    assert_eq!(run.analysis.completed().count(), 0);
    assert!(text::summary(&run.analysis).contains("announced to nobody"));
    let traced = Traced::run(Arc::new(scenario(&text)), 1).expect("it can be traced");
    let question = Question::Between(0, 8_000_000);
    let answer = Subject::Traced(Box::new(traced)).explain(&question).expect("it has an answer").answer;
    assert!(!answer.contains("happened"), "{answer}");
}

#[test]
fn a_repetition_is_counted_on_the_line_that_came_twice() {
    let text = "
duration = '20s'
phase = '0s'
[sentinel]
down-after-milliseconds = 1000
[[fault]]
at = '0s'
action = 'cut'
from = ['redis-2', 'redis-3']
to = 'sentinel-1'
[[fault]]
at = '3s'
action = 'heal'
[[fault]]
at = '5s'
action = 'cut'
from = ['redis-2', 'redis-3']
to = 'sentinel-1'
[[fault]]
at = '8s'
action = 'heal'
";
    for seed in 1..=8 {
        for entry in told(&run(text, seed)) {
            let Some((line, count)) = entry.text.split_once("  (× ") else { continue };
            assert!(line.starts_with("+sdown slave") || line.starts_with("-sdown slave"), "{entry:?}");
            assert!(count.starts_with("2, last at ") && entry.who == "sentinel-1", "{entry:?}");
        }
    }
}

#[test]
fn long_repetitions_are_folded_for_all_alike() {
    let mut text = "duration = '200s'\nphase = '0s'\n[sentinel]\ndown-after-milliseconds = 60000\n".to_string();
    for n in 0..12 {
        let at = 10 + n * 15;
        text.push_str(&format!("[[fault]]\nat = '{at}s'\naction = 'pause'\nnode = 'redis-1'\n"));
        text.push_str(&format!("[[fault]]\nat = '{}s'\naction = 'resume'\nnode = 'redis-1'\n", at + 5));
    }
    let entries = told(&run(&text, 1));
    for (who, start) in
        [("fault", "pause redis-1"), ("writer", "last set"), ("writer", "first set"), ("publisher", "last publish")]
    {
        let lines: Vec<&text::Entry> =
            entries.iter().filter(|entry| entry.who == who && entry.text.starts_with(start)).collect();
        assert_eq!(lines.len(), 6, "{who} {start}: {lines:?}");
        assert!(lines[5].text.contains("and 6 more times like this"), "{:?}", lines[5]);
        assert!(lines[..5].iter().all(|line| !line.text.contains("more times")));
    }
}

#[test]
fn a_story_can_be_told_of_whatever_happens() {
    let text = "
[sentinel.sentinel-2]
down-after-milliseconds = 2
[network]
latency = '1s'
[[client]]
name = 'c0'
kind = 'subscribe'
[[client]]
name = 'c1'
kind = 'get'
[[client]]
name = 'c2'
kind = 'publish'
";
    assert!(!told(&run(text, 411_117)).is_empty());
}

#[test]
fn a_full_synchronisation_is_named_and_so_is_a_replica_that_never_gets_there() {
    let text = "
duration = '60s'
phase = '0s'
[stack]
sentinels = 0
[redis]
repl-backlog-size = '16kb'
[[fault]]
at = '1s'
action = 'partition'
groups = [['redis-2'], ['redis-1', 'redis-3', 'haproxy', 'clients']]
[[fault]]
at = '5s'
action = 'kill'
node = 'redis-3'
[[fault]]
at = '45s'
action = 'start'
node = 'redis-3'
";
    let entries = told(&run(text, 1));
    let has = |who: &str, part: &str| entries.iter().any(|entry| entry.who == who && entry.text.contains(part));
    assert!(has("redis-1", "for lack of backlog"), "{entries:?}");
    assert!(!has("redis-3", "is not synchronised any more"), "it gets there: {entries:?}");
    let cut_off = text.replace("duration = '60s'", "duration = '100s'");
    let entries = told(&run(&cut_off, 1));
    let named =
        entries.iter().find(|entry| entry.who == "redis-2" && entry.text.contains("is not synchronised any more"));
    assert!(named.is_some_and(|entry| entry.at_us > 50_000_000), "after repl-timeout it knows: {entries:?}");
}

#[test]
fn a_replica_that_asks_for_everything_is_named() {
    let text = "
duration = '12s'
phase = '0s'
[redis]
repl-diskless-load = 'swapdb'
[[fault]]
at = '1s'
action = 'kill'
node = 'redis-3'
[[fault]]
at = '2s'
action = 'start'
node = 'redis-3'
";
    let entries = told(&run(text, 1));
    let asked = entries.iter().find(|entry| entry.text == "Full resync requested by replica redis-3:6379");
    assert!(asked.is_some_and(|entry| entry.who == "redis-1"), "{entries:?}");
}

#[test]
fn what_a_program_answered_is_in_the_timeline_and_in_the_recording() {
    let text = "
duration = '30s'
phase = '0s'
[[fault]]
at = '1s'
action = 'command'
node = 'sentinel-2'
run = ['SENTINEL', 'FAILOVER', 'mymaster']
[[fault]]
at = '1500ms'
action = 'command'
node = 'sentinel-2'
run = ['SENTINEL', 'FAILOVER', 'mymaster']
[[fault]]
at = '20s'
action = 'pause'
node = 'redis-3'
[[fault]]
at = '21s'
action = 'command'
node = 'redis-3'
run = ['CONFIG', 'SET', 'repl-timeout', '30']
[[fault]]
at = '25s'
action = 'resume'
node = 'redis-3'
";
    let run = run(text, 1);
    let replies = &run.result.recording.header.replies;
    let places: Vec<usize> = replies.iter().map(|reply| reply.fault).collect();
    assert_eq!(places, [0, 1, 3], "{replies:?}");
    let texts: Vec<String> =
        told(&run).into_iter().map(|entry| entry.text).filter(|text| text.starts_with('→')).collect();
    assert_eq!((texts[0].as_str(), texts[2].as_str()), ("→ OK", "→ OK"));
    assert!(texts[1].starts_with("→ -INPROG"), "{texts:?}");
    assert!(replies[2].at_s >= 25.0, "it was frozen: {replies:?}");
    let read = Recording::parse("r.jsonl", &run.result.recording.to_jsonl()).expect("it can be read");
    assert_eq!(
        read.header.replies.iter().map(|reply| &reply.text).collect::<Vec<_>>(),
        replies.iter().map(|reply| &reply.text).collect::<Vec<_>>()
    );
    let foreign = run.result.recording.to_jsonl().replacen("\"replies\":[[", "\"replies\":[[1.0,99,\"OK\"],[", 1);
    assert!(Recording::parse("r.jsonl", &foreign).is_err(), "an answer to no command is no recording's");
}

/// The files of a folder: names and contents.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .expect("it is a folder")
        .map(|entry| entry.expect("it can be read"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("it is a file")))
        .collect();
    files.sort();
    files
}

const KILL: &str = "name = 'k'\nduration = '12s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = '@master'\n";

#[test]
fn no_command_makes_a_folder_poorer() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("k.toml"), KILL).expect("it can be written");
    fs::write(here.join("other.toml"), KILL.replace("'kill'", "'power-off'")).expect("it can be written");
    let ran = sim(here, &["run", "k.toml", "--recordings", "rec", "--scrape-interval", "1s"]);
    assert!(ran.status.success(), "{ran:?}");
    let ran = sim(here, &["run", "k.toml", "--runs", "3", "--out", "three", "--recordings", "rec3"]);
    assert!(ran.status.success(), "{ran:?}");
    let run = here.join("output/k-1");
    let before = files(&run);
    let (_, report) = before.iter().find(|(name, _)| name == "report.html").expect("a report");
    assert!(String::from_utf8_lossy(report).contains("\"causes\":{"), "a run tells causes");
    // In place, from the recording, and by asking and comparing.
    for arguments in [
        vec!["plot", "output/k-1"],
        vec!["plot", "rec/k.1.jsonl"],
        vec!["plot", "output/k-1/recording.jsonl"],
        vec!["explain", "output/k-1"],
        vec!["diff", "output/k-1", "rec/k.1.jsonl"],
        vec!["compare", "rec", "rec"],
    ] {
        sim(here, &arguments);
        let after = files(&run);
        for ((name, old), (now, new)) in before.iter().zip(&after) {
            assert_eq!(name, now, "{arguments:?}");
            // The report names the command that repeats the run: by its own scenario.toml, once it was drawn again.
            let report =
                |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("sim run scenario.toml ", "sim run k.toml ");
            assert!(old == new || (name == "report.html" && report(old) == report(new)), "{name} after {arguments:?}");
        }
        assert_eq!(before.len(), after.len(), "{arguments:?}");
    }
    // Another run of the same name and seed is not drawn over it.
    let other = sim(here, &["run", "other.toml", "--out", "elsewhere", "--recordings", "rec-other"]);
    assert!(other.status.success(), "{other:?}");
    fs::rename(here.join("rec-other/other.1.jsonl"), here.join("k.jsonl")).unwrap_or_else(|_| {
        fs::rename(here.join("rec-other/k.1.jsonl"), here.join("k.jsonl")).expect("it was recorded");
    });
    let refused = sim(here, &["plot", "k.jsonl"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--out"), "{refused:?}");
    // Nor are recordings over the runs that they are of.
    let many = here.join("three/k-1..3");
    let before = files(&many);
    let refused = sim(here, &["plot", "rec3", "--out", "three"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(before, files(&many));
}

#[test]
fn what_stands_beside_a_sweep_a_campaign_and_a_branch_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("k.toml"), KILL).expect("it can be written");
    let sweep = ["sweep", "k.toml", "--vary", "sentinel.down-after-milliseconds=1000,5000", "--runs", "3"];
    let branch = ["run", "k.toml", "--branch", "4", "--at", "1s..3s/1s"];
    let check = ["check", "k.toml", "--cases", "3"];
    // What the commands wrote, with a note of the user's in every folder.
    let everything = || {
        let mut folders: Vec<_> = fs::read_dir(here.join("output"))
            .expect("there is output")
            .map(|entry| entry.expect("it can be read").path())
            .filter(|path| path.is_dir() && !path.is_symlink())
            .collect();
        folders.sort();
        folders.into_iter().map(|folder| (folder.clone(), files(&folder))).collect::<Vec<_>>()
    };
    for arguments in [&["run", "k.toml"][..], &sweep, &branch, &check] {
        let ran = sim(here, arguments);
        assert!(ran.status.success(), "{arguments:?}: {ran:?}");
    }
    // A run writes only to a folder that has nothing else in it; the others leave what is not theirs.
    for (folder, _) in everything().iter().filter(|(folder, _)| !folder.ends_with("k-1")) {
        fs::write(folder.join("note.txt"), "mine").expect("it can be written");
    }
    let before = everything();
    assert!(before.len() >= 3, "{before:?}");
    // Again: the same bytes. Wrong: nothing at all.
    let wrong = ["sweep", "k.toml", "--vary", "sentinel.down-after-milliseconds=1000,soon", "--runs", "3"];
    for (arguments, status) in
        [(&sweep[..], 0), (&branch, 0), (&check, 0), (&wrong, 2), (&["check", "none.toml"], 2), (&["run", "k.toml"], 0)]
    {
        let ran = sim(here, arguments);
        assert_eq!(ran.status.code(), Some(status), "{arguments:?}: {ran:?}");
        let after = everything();
        for ((folder, old), (now, new)) in before.iter().zip(&after) {
            assert_eq!(folder, now, "{arguments:?}");
            let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            assert_eq!(names(old), names(new), "{arguments:?}");
            assert!(old == new, "{} after {arguments:?}", folder.display());
        }
        assert_eq!(before.len(), after.len(), "{arguments:?}");
    }
    // A sweep of one metric less takes its own charts away, and nothing of others.
    let fewer = [
        "sweep",
        "k.toml",
        "--vary",
        "sentinel.down-after-milliseconds=1000,5000",
        "--runs",
        "3",
        "--metric",
        "set-outage",
    ];
    assert!(sim(here, &fewer).status.success());
    for ((folder, old), (_, new)) in before.iter().zip(&everything()) {
        let note = |files: &[(String, Vec<u8>)]| files.iter().any(|(name, _)| name == "note.txt");
        assert_eq!(note(new), note(old), "{}", folder.display());
        assert!(folder.ends_with("k-sweep") || old == new, "{}", folder.display());
    }
}

#[test]
fn a_recording_gives_the_figures_of_its_run() {
    let facts = RunFacts::default();
    for number in 0..60 {
        let case = case(11, number, &Limits::default());
        let run = sim::run(&Arc::new(case.scenario), case.seed);
        let written = run.result.recording.to_jsonl();
        let read = Recording::parse("r.jsonl", &written).expect("what was written can be read");
        assert_eq!(read.to_jsonl(), written, "case {number}");
        let analysis = |recording: &Recording| Summary::new(&Analysis::of(recording, None), None, &facts).to_json();
        let (ours, theirs) = (analysis(&run.result.recording), analysis(&read));
        let differs = || ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
        assert!(ours == theirs, "case {number}: {:?}", differs());
    }
}

#[test]
fn who_is_killed_while_it_starts_is_dead() {
    for action in ["kill", "kill-host"] {
        let text = format!(
            "duration = '20s'\nphase = '0s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'haproxy'\n\
             [[fault]]\nat = '100ms'\naction = 'start'\nnode = 'haproxy'\n\
             [[fault]]\nat = '100ms'\naction = '{action}'\nnode = 'haproxy'\n"
        );
        for seed in 1..=6 {
            let run = run(&text, seed);
            let late = |record: &&sim::record::Record| {
                let haproxy = matches!(record.what, sim::record::What::Event(sim::record::Event::Haproxy(_)));
                haproxy && run.result.recording.micros(record.time) > 1_000_000
            };
            assert_eq!(run.result.recording.records.iter().filter(late).count(), 0, "{action} {seed}");
        }
    }
}

#[test]
fn a_write_at_the_very_end_of_its_master_has_a_cause() {
    // Log lines have milliseconds, clients' lines tenths of these.
    let text = "duration = '22s'\nphase = '0s'\n[stack]\nhaproxy = false\nredis = 4\n[[client]]\nkind = 'set'\nname = 'writer'\n\
        every = '2ms'\n[[fault]]\nat = '9900ms'\naction = 'command'\nnode = 'sentinel-2'\n\
        run = ['SENTINEL', 'FAILOVER', 'mymaster']\n";
    let far = format!("{text}[network]\nlatency = '5ms'\n");
    for (text, seed) in [(text, 1), (text, 2), (&far, 1), (&far, 2)] {
        let writes = run(text, seed).analysis.ledger.writes;
        assert!(writes.lost.is_some_and(|lost| lost > 0), "{writes:?}");
        assert!(!writes.lost_by_cause.contains_key("unexplained"), "{seed}: {:?}", writes.lost_by_cause);
    }
}
