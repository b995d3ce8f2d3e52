//! What a person meets who has the program and nothing else.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::sim;

/// What a command printed; it must have ended with `status`.
fn printed(folder: &Path, status: i32, arguments: &[&str]) -> String {
    said(&sim(folder, arguments), status, arguments)
}

fn said(output: &Output, status: i32, arguments: &[&str]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let both = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "sim {arguments:?}: {both}");
    both
}

/// `sim` with a text on its standard input.
fn sim_reading(folder: &Path, text: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(folder).env("NO_COLOR", "1").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn scenarios_are_in_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = printed(folder.path(), 0, &["list"]);
    assert!(list.contains("master-kill-container") && list.contains("dead-knobs"), "{list}");
    let traps = printed(folder.path(), 0, &["list", "traps"]);
    assert!(traps.contains("dead-knobs") && !traps.contains("master-kill-container"), "{traps}");
    assert!(printed(folder.path(), 2, &["list", "trap"]).contains("traps"));
    let text = printed(folder.path(), 0, &["show", "traps/dead-knobs"]);
    let on_disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/traps/dead-knobs.toml");
    assert_eq!(text, std::fs::read_to_string(on_disk).expect("it is shipped"));
    printed(folder.path(), 0, &["run", "dead-knobs"]);
    assert!(folder.path().join("output/dead-knobs-1/report.html").is_file());
    assert!(printed(folder.path(), 2, &["run", "ded-knobs"]).contains("did you mean `dead-knobs`?"));
}

#[test]
fn a_scenario_comes_from_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "duration = '5s'\n[expect]\nfailovers = 0\n";
    let output = sim_reading(folder.path(), text, &["run", "-"]);
    assert!(said(&output, 0, &["run", "-"]).contains("expectations: all met"));
    assert!(folder.path().join("output/stdin-1/report.html").is_file());
    let wrong = sim_reading(folder.path(), "qorum = 2\n", &["run", "-"]);
    assert!(said(&wrong, 2, &["run", "-"]).contains("stdin:1:1"));
}

#[test]
fn a_new_file_runs_and_is_never_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    printed(folder.path(), 0, &["new", "mine"]);
    assert!(printed(folder.path(), 0, &["run", "mine.toml"]).contains("expectations: all met"));
    assert!(printed(folder.path(), 2, &["new", "mine"]).contains("nothing is overwritten"));
    printed(folder.path(), 0, &["new", "split", "--from", "partition"]);
    let text = std::fs::read_to_string(folder.path().join("split.toml")).expect("it was written");
    assert!(text.contains("name = \"split\"\n") && text.contains("action = \"partition\""));
    assert!(printed(folder.path(), 2, &["new", "../up"]).contains("the name"));
}

/// A scenario in which the master dies, with what is expected.
fn dies(name: &str, expect: &str) -> String {
    format!(
        "name = '{name}'\nduration = '12s'\nphase = '1s'\n[sentinel]\ndown-after-milliseconds = 1000\n\
         [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n{expect}"
    )
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("it can be written");
}

#[test]
fn a_suite_says_of_each_expectation_what_was_found_beside_its_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = folder.path().join("suite");
    std::fs::create_dir(&suite).expect("a folder");
    write(&suite, "a-good.toml", &dies("good", "[expect]\nfailovers = { min = 1 }\n"));
    write(&suite, "b-bad.toml", &dies("bad", "[expect]\nset-outage = { max = '10ms' }\nfailovers = { min = 1 }\n"));
    write(&suite, "c-idle.toml", "name = 'idle'\nduration = '2s'\n");
    let arguments = ["run", "suite", "--junit", "junit.xml", "--markdown", "page.md"];
    let text = printed(folder.path(), 1, &arguments);
    for line in ["✓ good, seed 1", "✗ bad, seed 1", "limit: at most 10 ms", "– idle", "3 scenarios: 1 met, 1 missed"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let xml = std::fs::read_to_string(folder.path().join("junit.xml")).expect("it was written");
    assert!(xml.contains("tests=\"4\" failures=\"1\"") && xml.contains("sim run suite/b-bad.toml --seed 1"), "{xml}");
    let page = std::fs::read_to_string(folder.path().join("page.md")).expect("it was written");
    assert!(page.contains("| bad | `set-outage` |"), "{page}");
    // The newest of them is `latest`, and what it holds can be asked.
    assert!(printed(folder.path(), 0, &["explain", "output/latest"]).contains("idle"));
    let quiet = printed(folder.path(), 1, &["run", "suite", "--quiet"]);
    assert!(quiet.contains("set-outage") && !quiet.contains("good"), "{quiet}");
    let filtered = printed(folder.path(), 0, &["run", "suite", "--filter", "good"]);
    assert!(filtered.contains("1 scenario: 1 met"), "{filtered}");
    assert!(printed(folder.path(), 2, &["run", "suite", "--filter", "nosuch"]).contains("no scenario is left"));
    write(&suite, "a-bad.toml", &dies("worse", "[expect]\nfailovers = 3\n"));
    let early = printed(folder.path(), 1, &["run", "suite", "--fail-fast"]);
    assert!(early.contains("3 not run (--fail-fast)") && !early.contains("good"), "{early}");
    // One that is wrong: nothing runs, nothing is written.
    write(&suite, "d-wrong.toml", "qorum = 1\n");
    std::fs::remove_dir_all(folder.path().join("output")).expect("it was there");
    assert!(printed(folder.path(), 2, &["run", "suite"]).contains("qorum"));
    assert!(!folder.path().join("output").exists());
}

#[test]
fn many_runs_are_expected_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let often = "[expect]\nfailovers = { min = 1 }\n[expect.runs]\nmet = { min = '80%' }\n\
                 set-outage = { p99 = { max = '8s' }, min = { min = '100ms' } }\n";
    write(folder.path(), "often.toml", &dies("often", often));
    let text = printed(folder.path(), 0, &["run", "often.toml", "--runs", "30"]);
    assert!(text.contains("✓ set-outage p99") && text.contains("limit: at most 8 s"), "{text}");
    let never = often.replace("p99 = { max = '8s' }", "p50 = { max = '10ms' }");
    write(folder.path(), "never.toml", &dies("never", &never));
    assert!(printed(folder.path(), 1, &["run", "never.toml", "--runs", "30"]).contains("✗ set-outage p50"));
    // A single run says that it cannot tell.
    let one = printed(folder.path(), 0, &["run", "never.toml", "--runs", "1"]);
    assert!(one.contains("[expect.runs] is not checked in a single run"), "{one}");
    let vary = "sentinel.down-after-milliseconds=4000,1000";
    let limit =
        often.replace("p99 = { max = '8s' }", "p99 = { max = '4s' }").replace("met = { min = '1%' }\n", "met = 0\n");
    let limit = limit.replace("met = 0\n", "met = { min = 0 }\n");
    write(folder.path(), "sweep.toml", &dies("swept", &limit));
    let swept = printed(folder.path(), 1, &["sweep", "sweep.toml", "--vary", vary, "--runs", "10"]);
    let best = "the first setting that meets it, in the order of --vary: sentinel.down-after-milliseconds=1000";
    assert!(swept.contains(best), "{swept}");
}

#[test]
fn files_of_one_name_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "one.toml", "name = 'same'\nduration = '2s'\n");
    write(folder.path(), "two.toml", "name = 'same'\nduration = '3s'\n");
    let own = |name: &str| std::fs::read(folder.path().join("output").join(name).join("recording.jsonl"));
    printed(folder.path(), 0, &["run", "one.toml"]);
    let first = own("same-1").expect("it was written");
    assert!(printed(folder.path(), 0, &["run", "two.toml"]).contains("output/same-1-two"));
    assert_eq!(own("same-1").expect("it stays"), first);
    // The same file again replaces its own run, edited or not.
    write(folder.path(), "two.toml", "name = 'same'\nduration = '4s'\n");
    printed(folder.path(), 0, &["run", "two.toml"]);
    let names: Vec<_> = std::fs::read_dir(folder.path().join("output")).expect("a folder").collect();
    assert_eq!(names.len(), 3, "{names:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let latest = folder.path().join("output/latest/report.html");
        let mode = std::fs::metadata(latest).expect("the link leads there").permissions().mode();
        assert_eq!(mode & 0o600, 0o600);
    }
}

#[test]
fn a_message_diagram_shows_who_asked_and_ordered_what() {
    let folder = tempfile::tempdir().expect("a folder");
    printed(folder.path(), 0, &["run", "partition", "--quiet"]);
    let path = printed(folder.path(), 0, &["plot", "output/latest", "--messages", "5s..8s"]);
    let svg = std::fs::read_to_string(folder.path().join(path.trim())).expect("it was drawn");
    for words in ["vote for me in epoch 1?", "REPLICAOF NO ONE", "+elected-leader", "dropped"] {
        assert!(svg.contains(words), "{words}");
    }
    // A run that replaces the folder takes it away.
    printed(folder.path(), 0, &["run", "partition", "--quiet"]);
    assert!(!folder.path().join(path.trim()).exists());
    let report = std::fs::read_to_string(folder.path().join("output/latest/report.html")).expect("it was written");
    assert!(report.contains("id=\"moment-topology\"") && report.contains("\"flights\":{"));
    let lines = printed(folder.path(), 2, &["plot", "output/latest/recording.jsonl", "--messages", "5s..8s"]);
    assert!(lines.contains("log lines, no messages"), "{lines}");
}
