//! `sim explain` as a user meets it, and the documentation that shows it: what a page says was printed is printed.

use std::fs;
use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NO_COLOR", "1")
        .args(arguments)
        .output()
        .expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

/// The commands of a page and what it says they print: blocks of `console` that begin with `$ sim explain`.
fn shown(page: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let mut blocks = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let mut lines = block.lines();
        let Some(command) = lines.next().and_then(|line| line.strip_prefix("$ sim explain ")) else { continue };
        let arguments = command.split_whitespace().map(str::to_string).collect();
        blocks.push((arguments, lines.map(str::to_string).collect()));
    }
    blocks
}

/// Whether lines are those of the output, where `…` stands for any number of lines.
fn agree(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "…" => (0..=printed.len()).any(|skip| agree(rest, &printed[skip..])),
        Some((line, rest)) => printed.split_first().is_some_and(|(head, tail)| head == line && agree(rest, tail)),
    }
}

#[test]
fn the_pages_show_what_is_printed() {
    let mut checked = 0;
    for page in ["docs/traps.md", "docs/explain.md"] {
        let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
        for (arguments, lines) in shown(&fs::read_to_string(path).expect("the page is there")) {
            let mut all = vec!["explain"];
            all.extend(arguments.iter().map(String::as_str));
            let output = sim(&all);
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
            let printed = text(&output.stdout);
            let printed_lines: Vec<&str> = printed.lines().collect();
            assert!(
                agree(&lines, &printed_lines),
                "{page} shows for {arguments:?}:\n{}\nbut it is:\n{printed}",
                lines.join("\n")
            );
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked} commands are shown");
    assert!(!agree(&["a".into(), "…".into()], &["b"]) && agree(&["…".into(), "b".into()], &["a", "b"]));
}

#[test]
fn a_run_folder_is_run_again_and_compared() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().to_str().expect("a path");
    assert_eq!(
        sim(&["run", "scenarios/master-kill-process.toml", "--seed", "4", "--out", folder]).status.code(),
        Some(0)
    );
    let run = out.path().join("master-kill-process-4");
    let path = run.to_str().expect("a path");
    let output = sim(&["explain", path, "--failover", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(json["basis"], "trace");
    assert!(json["steps"].as_array().is_some_and(|steps| steps.iter().any(|step| step["event"].is_u64())), "{json}");
    let said = |output: &Output| text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!said(&sim(&["explain", path])).contains("is not what this scenario and seed give"));
    // Another recording: it is said.
    fs::write(run.join("recording.jsonl"), "{}\n").expect("it can be written");
    assert!(said(&sim(&["explain", path])).contains("is not what this scenario and seed give"));
    // Another version: it is said too.
    let scenario = fs::read_to_string(run.join("scenario.toml")).expect("it is there");
    let version = format!("sim {} with", env!("CARGO_PKG_VERSION"));
    fs::write(run.join("scenario.toml"), scenario.replacen(&version, "sim 0.0.9 with", 1)).expect("it can be written");
    assert!(said(&sim(&["explain", path])).contains("written by sim 0.0.9"));
    // The recording alone is known by its lines.
    let recording = "tests/data/recordings/partition-split-brain.00.jsonl.gz";
    assert!(said(&sim(&["explain", recording])).contains("From the lines of a recording"));
}

#[test]
fn bad_questions_are_exit_status_2_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().to_str().expect("a path");
    for (arguments, remedy) in [
        (&["scenarios/quorum-loss.toml", "--message", "999999"][..], "publisher published 1 to"),
        (&["scenarios/quorum-loss.toml", "--message", "many"], "NAME:NUMBER"),
        (&["scenarios/quorum-loss.toml", "--failover", "9"], "counted from 1"),
        (&["scenarios/replica-kill.toml", "--failover"], "--between"),
        (&["scenarios/quorum-loss.toml", "--between", "9s", "9s"], "--between 12s 32s"),
        (&["scenarios/quorum-loss.toml", "--between", "9s", "soon"], "soon"),
        (&["scenarios/quorum-loss.toml", "--between", "900s", "901s"], "time 0"),
        (&["scenarios/quorum-loss.toml", "--failover", "--message", "3"], "cannot be used with"),
        (&["there/is/none"], "give a run folder"),
        (&["Cargo.lock"], "give a run folder"),
        (&[empty], "scenario.toml"),
        (&["tests/data/recordings/partition-split-brain.00.jsonl.gz", "--seed", "1"], "leave --seed out"),
    ] {
        let output = sim(&[&["explain"], arguments].concat());
        let said = text(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(remedy), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
