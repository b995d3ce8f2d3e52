//! The command line as a user meets it: exit status, what is written and what is not.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("NO_COLOR", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    sim().args(arguments).output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

const FILES: [&str; 11] = [
    "latency.svg",
    "loss.svg",
    "messages.csv",
    "metrics.om",
    "recording.jsonl",
    "report.html",
    "scenario.toml",
    "summary.json",
    "timeline.png",
    "timeline.svg",
    "trace.json",
];

#[test]
fn a_run_prints_what_happened_and_leaves_its_folder() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let folder = out.path().to_str().expect("a readable path");
    let output = run(&["run", "scenarios/partition.toml", "--out", folder]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for part in ["TWO MASTERS", "+switch-master", "acknowledged", "two masters", "expectations: all met"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "NO_COLOR is honoured");
    let mut names: Vec<String> = fs::read_dir(out.path().join("partition-1"))
        .expect("the run folder")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, FILES);
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_every_file() {
    let (a, b) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for folder in [&a, &b] {
        let output = run(&[
            "run",
            "scenarios/master-recovery.toml",
            "--seed",
            "4",
            "--out",
            folder.path().to_str().expect("a path"),
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    }
    for file in FILES {
        let read = |folder: &Path| fs::read(folder.join("master-recovery-4").join(file)).expect("it was written");
        assert!(read(a.path()) == read(b.path()), "{file} differs");
    }
    // The scenario as run is a scenario, and it is the same run.
    let again = tempfile::tempdir().expect("a folder");
    let scenario = a.path().join("master-recovery-4/scenario.toml");
    let output = run(&[
        "run",
        scenario.to_str().expect("a path"),
        "--seed",
        "4",
        "--out",
        again.path().to_str().expect("a path"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let recording = |folder: &Path| fs::read(folder.join("master-recovery-4/recording.jsonl")).expect("it was written");
    assert!(recording(a.path()) == recording(again.path()));
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let mut seen = Vec::new();
    for jobs in ["1", "2"] {
        let (out, recordings) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let output = run(&[
            "run",
            "scenarios/master-kill-process.toml",
            "--runs",
            "6",
            "--jobs",
            jobs,
            "--format",
            "json",
            "--out",
            out.path().to_str().expect("a path"),
            "--recordings",
            recordings.path().to_str().expect("a path"),
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let files: Vec<Vec<u8>> = (1..=6)
            .map(|seed| {
                fs::read(recordings.path().join(format!("master-kill-process.{seed}.jsonl"))).expect("it is there")
            })
            .collect();
        seen.push((output.stdout, files));
    }
    assert!(seen[0] == seen[1]);
}

#[test]
fn a_bad_file_is_refused_with_its_place_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.toml");
    fs::write(&file, "[sentinel]\nquorum = 9\n").expect("it can be written");
    let out = folder.path().join("out");
    let output = run(&["run", file.to_str().expect("a path"), "--out", out.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("bad.toml:2:") && said.contains("quorum"), "{said}");
    assert!(!out.exists() && output.stdout.is_empty());
}

#[test]
fn a_missing_file_and_bad_usage_are_exit_status_2() {
    for arguments in [
        &["run", "scenarios/there-is-none.toml"][..],
        &["run"],
        &["fly"],
        &["run", "scenarios/partition.toml", "--runs", "0"],
        &["run", "scenarios/partition.toml", "--seed", "one"],
        &["compare", "tests/data", "there/is/none"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn an_expectation_that_is_missed_is_exit_status_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calm.toml");
    fs::write(&file, "duration = '5s'\n[expect]\nfailovers = 1\n").expect("it can be written");
    let output = run(&["run", file.to_str().expect("a path"), "--out", folder.path().to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("expectation missed with seed 1: expected failovers = 1, found 0"), "{said}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = sim()
        .args(["run", "scenarios/partition.toml", "--out", folder.path().to_str().expect("a path")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn schema_and_completions_are_printed() {
    let schema = run(&["schema"]);
    assert_eq!(schema.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("it is JSON");
    assert!(schema["properties"]["sentinel"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("sim"));
    }
}

#[test]
fn comparing_a_folder_with_itself_finds_no_difference() {
    let folder = "tests/data/recordings";
    let output = run(&["compare", folder, folder, "--at-least", "100"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).ends_with("= 100.0%\n"), "{}", text(&output.stdout));
}

/// All files of a folder, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("a file").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut files: Vec<(String, Vec<u8>)> =
        entries.map(|path| (name(&path), fs::read(&path).expect("it can be read"))).collect();
    files.sort();
    files
}

#[test]
fn a_sweep_does_not_depend_on_the_number_of_jobs() {
    let base = ["sweep", "scenarios/master-kill-process.toml", "--vary", "sentinel.down-after-milliseconds=1000..3000"];
    let grid = ["sweep", "scenarios/master-kill-process.toml", "--vary", "sentinel.down-after-milliseconds=1000,2000"];
    let sampled = [&base[..], &["--vary", "haproxy.inter=log:200ms..1s", "--samples", "3", "--runs", "4"]].concat();
    let stopped = [&grid[..], &["--until", "set-outage=0.5", "--pauses", "20/day:exponential:1s"]].concat();
    for arguments in [sampled, stopped] {
        let outcome = |jobs: &str| {
            let out = tempfile::tempdir().expect("a temporary folder");
            let folder = out.path().to_str().expect("a readable path");
            let output = run(&[&arguments[..], &["--jobs", jobs, "--out", folder]].concat());
            // With a shorter down-after the first failover comes earlier than the scenario expects.
            assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
            let said = text(&output.stdout).replace(folder, "DIR");
            (said, contents(out.path()))
        };
        let one = outcome("1");
        assert!(one.1.iter().any(|(name, _)| name.ends_with(".svg")) && one.0.contains("set-outage\n"), "{}", one.0);
        assert!(one == outcome("2"), "one job and two differ");
    }
}

#[test]
fn a_sweep_that_makes_no_sense_is_refused() {
    let file = "scenarios/master-kill-process.toml";
    let vary = "sentinel.quorum=1,2";
    let bad: [(&[&str], &str); 7] = [
        (&["--vary", "sentinel.quorum=3..1"], "smaller"),
        (&["--vary", "sentinel.qorum=1,2"], "qorum"),
        (&["--vary", vary, "--until", "outage=1"], "there is no metric"),
        (&["--vary", vary, "--until", "set-outage=0"], "above 0"),
        (&["--vary", vary, "--pauses", "5/day:normal:1s"], "lognormal"),
        (&["--vary", vary, "--baseline", "7"], "no combination"),
        (&["--samples", "5"], "--vary"),
    ];
    let out = tempfile::tempdir().expect("a temporary folder");
    let folder = out.path().join("none");
    for (arguments, word) in bad {
        let output = run(&[&["sweep", file, "--out", folder.to_str().expect("a path")], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        // A complaint ends where the terminal does.
        let said = text(&output.stderr).replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert!(!folder.exists(), "{arguments:?} wrote something");
    }
}

const MANY: [&str; 10] = [
    "causes.svg",
    "failover.svg",
    "latency.svg",
    "loss.svg",
    "losses.svg",
    "outages.svg",
    "phases.svg",
    "report.html",
    "runs.csv",
    "summary.json",
];

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("a file").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[test]
fn charts_of_many_runs_stand_beside_the_first_run_and_do_not_depend_on_the_jobs() {
    let mut seen = Vec::new();
    for jobs in ["1", "3"] {
        let out = tempfile::tempdir().expect("a folder");
        let folder = out.path().to_str().expect("a path");
        let output = run(&["run", "scenarios/g-kill-container.toml", "--runs", "8", "--jobs", jobs, "--out", folder]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let many = out.path().join("g-kill-container-1..8");
        assert_eq!(names_in(&many), MANY);
        assert_eq!(names_in(&out.path().join("g-kill-container-1")), FILES);
        seen.push(MANY.map(|name| fs::read(many.join(name)).expect("it is there")));
    }
    assert!(seen[0] == seen[1]);
    let runs = text(&seen[0][8]);
    assert_eq!(runs.lines().count(), 9);
    for (name, bytes) in MANY.iter().zip(&seen[0]).filter(|(name, _)| name.ends_with(".svg")) {
        let svg = text(bytes);
        assert!(svg.contains("n = ") && svg.ends_with("</svg>\n"), "{name} says its n");
    }
}

#[test]
fn a_run_folder_can_be_drawn_again() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().to_str().expect("a path");
    assert_eq!(run(&["run", "scenarios/partition.toml", "--out", folder]).status.code(), Some(0));
    let own = out.path().join("partition-1");
    let before: Vec<Vec<u8>> = FILES.iter().map(|name| fs::read(own.join(name)).expect("it is there")).collect();
    fs::remove_file(own.join("timeline.svg")).expect("it was there");
    let output = run(&["plot", own.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for (name, before) in FILES.iter().zip(before) {
        // The report and the trace also show what a recording in a file does not keep.
        if !["report.html", "trace.json", "metrics.om"].contains(name) {
            assert!(fs::read(own.join(name)).expect("it is there again") == before, "{name} is the same again");
        }
    }
}

#[test]
fn recordings_of_the_real_stack_are_drawn_one_by_one_and_together() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().to_str().expect("a path");
    let one = "tests/data/recordings/partition-split-brain.00.jsonl.gz";
    let output = run(&["plot", one, "--out", folder, "--scenario", "scenarios/partition-split-brain.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(names_in(&out.path().join("partition-split-brain-real-0")), FILES);
    let summary =
        fs::read_to_string(out.path().join("partition-split-brain-real-0/summary.json")).expect("it is there");
    assert!(summary.contains("down-after-milliseconds 5000") && summary.contains("overwritten-at-resync"));
    // Every scenario that was recorded, with all its runs.
    let output = run(&["plot", "reference/recordings", "reference/recordings/demo", "--out", folder]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let folders: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(folders.len() >= 46, "{folders:?}");
    for folder in &folders {
        assert_eq!(names_in(Path::new(folder)), MANY, "{folder}");
    }
}

#[test]
fn what_is_no_recording_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let header =
        |more: &str| format!("{{\"scenario\":\"x\",\"source\":\"sim\",\"run\":1,\"redis\":[\"redis-1\"],{more}}}\n");
    let bad = [
        ("empty.jsonl", String::new()),
        ("garbage.jsonl", "\u{0}\u{1}not a recording".into()),
        ("gzip.jsonl.gz", "not compressed".into()),
        ("endless.jsonl", header("\"end\":1e300")),
        ("decades.jsonl", header("\"end\":9e8")),
        ("fault.jsonl", header("\"end\":5,\"faults\":[[1e300,\"kill\",\"redis-1\"]]")),
        ("line.jsonl", header("\"end\":5") + "{\"t\":1}\n"),
    ];
    for (name, content) in bad {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("it can be written");
        let output = run(&["plot", path.to_str().expect("a path"), "--out", out.to_str().expect("a path")]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(name) && !said.contains("panicked"), "{name}: {said}");
    }
    for arguments in [&["plot"][..], &["plot", "there/is/none"], &["plot", "docs"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert!(!out.exists(), "nothing is written");
    // What is a recording and says next to nothing is drawn, and its name leads nowhere else.
    let odd = header("\"end\":5").replace("\"x\"", "\"../../x y\"");
    for (name, content) in [("bare.jsonl", odd), ("nobody.jsonl", header("\"end\":0").replace("[\"redis-1\"]", "[]"))] {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("it can be written");
        let output = run(&["plot", path.to_str().expect("a path"), "--out", out.to_str().expect("a path")]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
    }
    assert_eq!(names_in(&out).len(), 2);
}

#[test]
fn sequences_and_charts_of_a_comparison() {
    let folder = "tests/data/recordings";
    let output = run(&["compare", folder, folder, "--sequences", "--at-least", "100"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).ends_with("100.0% are not off\n"), "{}", text(&output.stdout));
    let output = run(&["compare", folder, folder, "--sequences", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(json["scenarios"][0]["verdicts"][0]["finding"], "agrees");

    let charts = tempfile::tempdir().expect("a folder");
    let path = charts.path().to_str().expect("a path");
    let output = run(&["compare", folder, folder, "--format", "markdown", "--charts", path, "--cells", "outage,lost"]);
    assert!(text(&output.stdout).starts_with("| scenario |"), "{}", text(&output.stdout));
    for name in ["partition-split-brain.svg", "partition-split-brain.png"] {
        assert!(fs::metadata(charts.path().join(name)).is_ok_and(|file| file.len() > 1000), "{name}");
    }
    // A folder without recordings is none to compare with.
    let empty = tempfile::tempdir().expect("a folder");
    let output = run(&["compare", folder, empty.path().to_str().expect("a path"), "--sequences", "--at-least", "50"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
}
