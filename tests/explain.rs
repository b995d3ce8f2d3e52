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

/// Begins a paragraph of the output: a step, a section, a remark, a question.
fn begins(line: &str) -> bool {
    let step = line.trim_start().split_once(" s  ").is_some_and(|(at, _)| at.parse::<f64>().is_ok());
    step || line.is_empty() || line.starts_with("- ") || line.starts_with("  sim explain")
}

/// What a paragraph says, without its figures.
fn shape(lines: &[&str]) -> String {
    lines.join(" ").split_whitespace().map(|word| word.replace(|c: char| c.is_ascii_digit(), "")).collect()
}

/// The output with the paragraphs that a block shows, and `…` for the others: how a page is written anew.
fn excerpt(shown: &[String], printed: &[&str]) -> Vec<String> {
    let paragraphs = |lines: &[&'_ str]| -> Vec<Vec<String>> {
        let mut done: Vec<Vec<String>> = Vec::new();
        for line in lines {
            if done.is_empty() || begins(line) || *line == "…" {
                done.push(Vec::new());
            }
            done.last_mut().expect("one was just added").push(line.to_string());
        }
        done
    };
    let as_shape = |lines: &Vec<String>| shape(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let lines: Vec<&str> = shown.iter().map(String::as_str).collect();
    let wanted: Vec<String> = paragraphs(&lines).iter().map(as_shape).collect();
    let all = !wanted.contains(&"…".to_string());
    let mut done: Vec<String> = Vec::new();
    for paragraph in paragraphs(printed) {
        if all || wanted.contains(&as_shape(&paragraph)) {
            done.extend(paragraph);
        } else if done.last().is_none_or(|last| last != "…") {
            done.push("…".into());
        }
    }
    done
}

/// Every command on the pages prints what they show. After a change of the model that changes these runs, write the pages
/// anew with `SIM_PAGES=write cargo test --test explain`, and read them.
#[test]
fn the_pages_show_what_is_printed() {
    let write = std::env::var("SIM_PAGES").is_ok_and(|what| what == "write");
    let mut checked = 0;
    for page in ["docs/traps.md", "docs/explain.md"] {
        let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
        let mut text_of_page = fs::read_to_string(&path).expect("the page is there");
        for (arguments, lines) in shown(&text_of_page.clone()) {
            let mut all = vec!["explain"];
            all.extend(arguments.iter().map(String::as_str));
            let output = sim(&all);
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
            let printed = text(&output.stdout);
            let printed_lines: Vec<&str> = printed.lines().collect();
            if write {
                let head = format!("$ sim explain {}\n", arguments.join(" "));
                let (old, new) = (lines.join("\n"), excerpt(&lines, &printed_lines).join("\n"));
                text_of_page = text_of_page.replace(&format!("{head}{old}\n```"), &format!("{head}{new}\n```"));
                fs::write(&path, &text_of_page).expect("the page can be written");
                continue;
            }
            assert!(
                agree(&lines, &printed_lines),
                "{page} shows for {arguments:?}:\n{}\nbut it is:\n{printed}",
                lines.join("\n")
            );
            checked += 1;
        }
    }
    assert!(write || checked >= 10, "{checked} commands are shown");
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
