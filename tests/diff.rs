//! `sim diff` as a user meets it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const KILL: &str = "duration = \"10s\"\n[[fault]]\nat = \"0s\"\naction = \"kill\"\nnode = \"redis-1\"\n";

/// Runs the program in a folder that holds `a.toml`, `b.toml` with another setting, and `c.toml`, a copy of `a.toml`.
fn diff(folder: &Path, arguments: &[&str]) -> Output {
    let other = format!("{KILL}[sentinel]\ndown-after-milliseconds = 3000\n");
    for (name, text) in [("a.toml", KILL), ("b.toml", &other), ("c.toml", KILL)] {
        fs::write(folder.join(name), format!("name = \"kill\"\n{text}")).expect("it can be written");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(folder).env("NO_COLOR", "1").arg("diff").args(arguments);
    command.output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

fn real(run: u32) -> String {
    format!("{}/reference/recordings/lone-sentinel/lone-sentinel.{run:02}.jsonl.gz", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn another_setting_is_told_from_the_first_event_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = diff(folder.path(), &["a.toml", "b.toml", "--context", "3"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    insta::assert_snapshot!("another_setting", text(&output.stdout));
}

#[test]
fn the_story_of_two_real_runs_is_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = diff(folder.path(), &[&real(0), &real(1), "--context", "2"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    insta::assert_snapshot!("two_real_runs", text(&output.stdout).replace(env!("CARGO_MANIFEST_DIR"), "."));
    let output = diff(folder.path(), &[&real(0), &real(0)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn what_is_the_same_is_exit_status_0_also_in_json_and_as_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = diff(folder.path(), &["a.toml", "c.toml", "--seed", "4", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!((&found["same"], &found["nodes"]), (&serde_json::json!(true), &serde_json::json!([])));
    let run = Command::new(env!("CARGO_BIN_EXE_sim"))
        .current_dir(folder.path())
        .args(["run", "a.toml", "--seed", "4", "--out", "out"])
        .output();
    assert!(run.expect("it can be started").status.success());
    for other in ["out/kill-4", "out/kill-4/recording.jsonl"] {
        let output = diff(folder.path(), &["a.toml", other, "--seed", "4"]);
        assert_eq!(output.status.code(), Some(0), "{other}: {}", text(&output.stdout));
    }
    let output = diff(folder.path(), &["b.toml", "out/kill-4", "--seed", "4", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(found["settings"][0]["key"], "sentinel.down-after-milliseconds");
    assert!(found["nodes"][0]["at_us"].as_i64().is_some_and(|at_us| (2_900_000..3_300_000).contains(&at_us)));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("bad.jsonl"), "{}\n").expect("it can be written");
    for arguments in [
        &["a.toml"][..],
        &["a.toml", "."],
        &["a.toml", "there-is-none.jsonl"],
        &["a.toml", "bad.jsonl"],
        &["a.toml", "c.toml", "--tolerance", "soon"],
        &["a.toml", "c.toml", "--from", "late"],
    ] {
        let output = diff(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stdout));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}
