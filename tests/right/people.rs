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
