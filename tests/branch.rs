//! `sim run --at … --branch N` as a user meets it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(out: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("NO_COLOR", "1");
    command.args(["run", "scenarios/close-call.toml", "--seed", "65", "--out", out.to_str().expect("a readable path")]);
    command.args(arguments).output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

#[test]
fn the_point_of_no_return_is_found_whatever_the_jobs() {
    let mut seen = Vec::new();
    for jobs in ["1", "2"] {
        let out = tempfile::tempdir().expect("a folder");
        let asked = ["--at", "4s..6s/1s", "--at", "-1s", "--branch", "20", "--outcome", "failovers>0", "--jobs", jobs];
        let output = run(out.path(), &asked);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let said = text(&output.stdout).replace(out.path().to_str().expect("a readable path"), "OUT");
        let folder = out.path().join("close-call-65-branches");
        let read = |name: &str| fs::read(folder.join(name)).expect("it was written");
        seen.push((said, ["branches.csv", "chances.svg", "chances.png"].map(read)));
    }
    assert!(seen[0] == seen[1], "the number of jobs changes something");
    let (said, [csv, ..]) = &seen[0];
    // A head, and twenty branches of each of four moments.
    assert_eq!(text(csv).lines().count(), 1 + 4 * 20);
    insta::assert_snapshot!("point_of_no_return", said);
}

#[test]
fn one_moment_has_a_distribution_and_json_says_all() {
    let out = tempfile::tempdir().expect("a folder");
    let output = run(out.path(), &["--at", "4.5s", "--branch", "20"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("set-outage") && said.contains("P(lost-acked-sets > 0)"), "{said}");
    let output = run(out.path(), &["--at", "4.5s", "--branch", "20", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let branches = found["moments"][0]["branches"].as_array().expect("the branches");
    let digests: std::collections::BTreeSet<&str> =
        branches.iter().filter_map(|branch| branch["digest"].as_str()).collect();
    assert_eq!((branches.len(), digests.len()), (20, 20));
    assert_eq!(found["outcomes"][0]["moments"][0]["of"], 20);
}

#[test]
fn nonsense_is_refused_and_nothing_is_written() {
    let out = tempfile::tempdir().expect("a folder");
    for arguments in [
        &["--at", "1s"][..],
        &["--branch", "10"],
        &["--at", "soon", "--branch", "10"],
        &["--at", "1s", "--branch", "0"],
        &["--at", "-4s", "--branch", "10"],
        &["--at", "15s", "--branch", "10"],
        &["--at", "0s..5s", "--branch", "10"],
        &["--at", "1s", "--branch", "10", "--outcome", "luck>0"],
        &["--at", "1s", "--branch", "10", "--runs", "5"],
    ] {
        let folder = out.path().join("none");
        let output = run(&folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stdout));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty() && !folder.exists(), "{arguments:?}");
    }
}
