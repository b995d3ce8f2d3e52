//! What every command has on a terminal: lines that fit, colour, quiet, man pages, completions, `--watch`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sim(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(folder).env_remove("NO_COLOR").env_remove("COLUMNS").env_remove("CLICOLOR_FORCE");
    command
}

fn run(folder: &Path, line: &str) -> Output {
    sim(folder).args(line.split(' ')).output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

const SUBCOMMANDS: &str =
    "list show new run sweep check plot read compare explain diff import lint reference schema completions man";

/// In forty columns too: figures with their units stay whole, and nothing but words that are wider is cut.
#[test]
fn tables_fit_a_narrow_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = run(folder.path(), "sweep master-pause --vary sentinel.down-after-milliseconds=1000,5000 --runs 2");
    let whole = text(&whole.stdout);
    assert!(whole.contains(" s ") && !whole.contains("(s)"), "{whole}");
    for line in [
        "sweep master-pause --vary sentinel.down-after-milliseconds=1000,5000 --runs 2",
        "run close-call --at 0s..1s/500ms --branch 4 --outcome lost-acked-sets>0 --outcome set-outage>=7.5",
        "run close-call --at 1s --branch 4",
    ] {
        let output = sim(folder.path()).env("COLUMNS", "40").args(line.split(' ')).output();
        let said = text(&output.expect("the program can be started").stdout);
        for printed in said.lines() {
            let wide = printed.chars().count() > 40 && printed.trim().contains(' ');
            assert!(!wide, "sim {line}: {printed:?}");
            // A number and its unit stay together.
            let alone = ["s", "s,", "ms", "ms,", "%"].contains(&printed.split_whitespace().next().unwrap_or("whole"));
            assert!(!alone, "sim {line}: {printed:?}");
        }
    }
    // The names of metrics and nodes are words: a complaint does not cut them.
    for columns in ["40", "60", "80"] {
        let line = "sweep partition --vary sentinel.quorum=2 --metric publish-undelivered-subscriber-reconnectin";
        let output = sim(folder.path()).env("COLUMNS", columns).args(line.split(' ')).output();
        let said = text(&output.expect("the program can be started").stderr);
        assert!(said.contains("publish-undelivered-subscriber-reconnectin"), "{said}");
        assert!(!said.lines().any(|printed| printed.trim_end().ends_with('-')), "{said}");
    }
}

#[test]
fn lines_end_where_the_terminal_does_and_words_stay_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let narrow = |line: &str| {
        let output = sim(folder.path()).env("COLUMNS", "80").args(line.split(' ')).output();
        let output = output.expect("the program can be started");
        text(&output.stdout) + &text(&output.stderr)
    };
    let mut lines: Vec<String> = [
        "--help",
        "list",
        "run partition",
        "run partition --runs 3 --jobs 1",
        "check --cases 2",
        "check --list",
        "sweep partition --vary sentinel.down-after-milliseconds=1000,5000 --runs 2",
        "diff partition master-pause",
        "explain partition --failover",
        "run no-such",
        "run partition --set sentinel.quorum=9",
    ]
    .map(str::to_owned)
    .to_vec();
    lines.extend(SUBCOMMANDS.split(' ').map(|name| format!("{name} --help")));
    for line in &lines {
        let said = narrow(line);
        for printed in said.lines() {
            let wide = printed.chars().count() > 80 && printed.trim().contains(' ');
            assert!(!wide, "sim {line}: {printed:?}");
        }
        assert!(!said.contains("\n\n\n\n"), "sim {line} leaves empty lines:\n{said}");
        // What is not cut is whole in the wide as well.
        let whole = text(&run(folder.path(), line).stdout);
        let words = |text: &str| {
            text.split_whitespace()
                .filter(|word| word.chars().all(char::is_alphabetic))
                .map(str::to_owned)
                .collect::<std::collections::BTreeSet<_>>()
        };
        if line.ends_with("--help") || *line == "run partition" {
            let broken: Vec<String> = words(&said).difference(&words(&whole)).cloned().collect();
            assert!(broken.is_empty(), "sim {line} breaks words: {broken:?}");
        }
    }
}

#[test]
fn colour_is_as_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    for (line, coloured) in [
        ("run partition --color always", true),
        ("run partition --color never", false),
        ("run partition", false),
        ("run no-such --color=always", true),
        ("run no-such", false),
        ("--color always run --no-such", true),
        ("run --no-such", false),
    ] {
        let output = run(folder.path(), line);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(said.contains('\u{1b}'), coloured, "sim {line}: {said:?}");
    }
    assert_eq!(run(folder.path(), "run partition --color loud").status.code(), Some(2));
}

#[test]
fn quiet_prints_what_failed_and_verbose_says_what_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    for (line, status) in [
        ("run partition -q", 0),
        ("run partition --runs 2 --quiet", 0),
        ("sweep partition --vary sentinel.quorum=2 --runs 2 -q", 0),
        ("plot output/partition-1 -q", 0),
        ("diff partition master-pause -q", 1),
        ("new mine -q", 0),
        ("run close-call --at 1s --branch 2 -q", 0),
        ("man pages -q", 0),
        ("check partition --cases 1 --property no-such-thing -q", 2),
    ] {
        let output = run(folder.path(), line);
        assert_eq!(output.status.code(), Some(status), "sim {line}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "", "sim {line}");
    }
    for line in
        ["list", "show partition", "schema", "completions bash", "explain partition", "check --list", "lint --rules"]
    {
        let output = run(folder.path(), &format!("{line} -q"));
        assert_eq!(output.status.code(), Some(2), "sim {line}");
        assert!(text(&output.stderr).contains("nothing but print"), "sim {line}: {}", text(&output.stderr));
    }
    let missed = run(folder.path(), "run traps/dead-knobs --set duration=1s -q");
    if missed.status.code() == Some(1) {
        assert!(text(&missed.stdout).contains("expectation missed"), "{}", text(&missed.stdout));
    }
    let detail = text(&run(folder.path(), "run partition -v").stderr);
    assert!(detail.contains("events in") && detail.contains("wrote output"), "{detail}");
    assert_eq!(run(folder.path(), "run partition -q -v").status.code(), Some(2));
}

/// The three styles that there were: of wrong arguments, of files, and of what the system says.
#[test]
fn complaints_have_one_style() {
    let folder = tempfile::tempdir().expect("a folder");
    for line in [
        "nonsense",
        "run",
        "run partition --runs x",
        "run partition --no-such",
        "run no-such",
        "run partition --set sentinel.quorum=9",
        "run partition --out /dev/null/x",
        "read nothing-here",
        "read nothing-here.gz",
        "plot nothing-here",
        "compare nothing here",
        "explain nothing-here",
        "import nothing-here",
        "import . --env nothing-here",
        "lint nothing-here",
        "lint",
        "list no-theme",
        "new a/b",
        "schema --format loud",
    ] {
        let output = run(folder.path(), line);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "sim {line}: {said}");
        assert_eq!(text(&output.stdout), "", "sim {line}");
        assert!(said.contains("  × ") && said.contains("help: "), "sim {line}: {said}");
        assert!(!said.contains("error:") && !said.contains("os error"), "sim {line}: {said}");
        assert!(said.matches("No such file").count() < 2, "sim {line}: {said}");
    }
    assert!(fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing was written");
}

#[test]
fn man_pages_tell_of_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(run(folder.path(), "man man1").status.code(), Some(0));
    for name in SUBCOMMANDS.split(' ') {
        let page = fs::read_to_string(folder.path().join(format!("man1/sim-{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            page.contains(".SH SYNOPSIS") && page.contains(&format!("sim {name}").replace(' ', "\\-"))
                || page.contains(&format!("sim\\-{name}")),
            "{name}: {page}"
        );
    }
    let page = fs::read_to_string(folder.path().join("man1/sim.1")).expect("a page");
    assert!(page.contains("sim\\-run"), "{page}");
}

#[test]
fn a_shell_is_told_the_names_of_this_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let offered = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let index = (words.len() - 1).to_string();
        let output = sim(folder.path())
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", index)
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_IFS", "\n")
            .arg("--")
            .args(words)
            .output()
            .expect("the program can be started");
        text(&output.stdout)
    };
    for (line, name) in [
        ("sim run parti", "partition"),
        ("sim show quorum", "quorum-loss"),
        ("sim sweep partition --metric set-out", "set-outage"),
        ("sim sweep partition --vary sentinel.quo", "sentinel.quorum="),
        ("sim check --property causes", "causes-are-seen"),
        ("sim sw", "sweep"),
        ("sim run --wat", "--watch"),
    ] {
        let found = offered(line);
        assert!(found.lines().any(|offered| offered.trim() == name), "{line}: {found:?}");
    }
    fs::write(folder.path().join("own.toml"), "").expect("a file");
    assert!(offered("sim run ow").contains("own.toml"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(text(&run(folder.path(), &format!("completions {shell}")).stdout).contains("COMPLETE"), "{shell}");
    }
    assert_eq!(run(folder.path(), "completions csh").status.code(), Some(2));
}

#[test]
fn settings_of_a_run_can_be_said_on_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), "run partition --set sentinel.down-after-milliseconds=2000");
    assert_eq!(output.status.code().map(|code| code < 2), Some(true), "{}", text(&output.stderr));
    let scenario =
        fs::read_to_string(folder.path().join("output/partition-1/scenario.toml")).expect("the scenario as run");
    assert!(scenario.contains("down-after-milliseconds = 2000"), "{scenario}");
    let report = fs::read_to_string(folder.path().join("output/partition-1/report.html")).expect("the report");
    assert!(report.contains("--set sentinel.down-after-milliseconds=2000 --seed 1"));
    let refused = run(folder.path(), "run partition --set sentinel.quorum=9 --out elsewhere");
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("quorum"), "{}", text(&refused.stderr));
    assert!(!folder.path().join("elsewhere").exists());
}

/// The first command on a page, without `sim`.
fn command_on(page: &str) -> String {
    let command = page.split("<code>sim ").nth(1).and_then(|rest| rest.split("</code>").next());
    command.expect("the page has a command").to_owned()
}

#[test]
fn pages_of_many_runs_name_the_worst_with_a_command_that_shows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = |line: &str, path: &str| {
        let output = run(folder.path(), line);
        assert!(output.status.code().is_some_and(|code| code < 2), "sim {line}: {}", text(&output.stderr));
        fs::read_to_string(folder.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    for (line, path) in [
        ("run master-pause --runs 4", "output/master-pause-1..4/report.html"),
        (
            "sweep master-pause --vary sentinel.down-after-milliseconds=1000,5000 --runs 4",
            "output/master-pause-sweep/report.html",
        ),
    ] {
        let page = page(line, path);
        assert!(page.contains("class=\"light-only\"") && page.contains("class=\"dark-only\""), "sim {line}");
        let command = command_on(&page) + " --out again";
        assert!(command.contains("--seed "), "{command}");
        let output = run(folder.path(), &command);
        assert!(output.status.code().is_some_and(|code| code < 2), "sim {command}: {}", text(&output.stderr));
    }
    let page = page("check --cases 3", "output/check/report.html");
    assert!(page.contains("one-leader-an-epoch") && page.contains("3 cases of seed 1"), "{page}");
}

#[test]
fn what_is_expected_of_many_runs_is_checked_of_parts_put_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let fault = "duration = '12s'\nphase = '1s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";
    let sweep = "sweep mine.toml --vary sentinel.down-after-milliseconds=500,1000 --runs 4";
    for (limit, status) in [("11s", 0), ("1s", 1)] {
        let file = format!("{fault}[expect.runs]\nset-outage = {{ max = {{ max = '{limit}' }} }}\n");
        fs::write(folder.path().join("mine.toml"), file).expect("a file");
        for part in ["0/2", "1/2"] {
            let output = run(folder.path(), &format!("{sweep} --shard {part} --out parts"));
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            assert!(text(&output.stdout).contains("--merge --expect"), "{}", text(&output.stdout));
        }
        let merged = run(folder.path(), "sweep parts --merge --expect mine.toml");
        let said = text(&merged.stdout);
        assert_eq!(merged.status.code(), Some(status), "{said}{}", text(&merged.stderr));
        let whole = text(&run(folder.path(), sweep).stdout);
        let checked: Vec<&str> = said.lines().filter(|line| line.contains("set-outage max: ")).collect();
        assert_eq!(checked.len(), 2, "{said}");
        assert!(checked.iter().all(|line| whole.contains(line)), "{said}\nbut the whole:\n{whole}");
    }
    assert_eq!(run(folder.path(), "sweep mine.toml --expect mine.toml").status.code(), Some(2));
}

/// Runs again when the file is saved, tells what is wrong with it and goes on, and ends with the interrupt's status.
#[cfg(unix)]
#[test]
fn watching_runs_again_and_ends_with_an_interrupt() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    fs::write(&file, "duration = '2s'\nphase = '0s'\n").expect("a file");
    let mut child = sim(folder.path())
        .args(["run", "mine.toml", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut notes = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut wait_for = |what: &str| {
        let found = notes.by_ref().map_while(Result::ok).find(|line| line.contains(what));
        assert!(found.is_some(), "nothing said {what}");
    };
    wait_for("waiting for a file to be saved");
    fs::write(&file, "duration = '2s'\nphase = '0s'\nno-such = 1\n").expect("a file");
    wait_for("no-such");
    wait_for("waiting for a file to be saved");
    fs::write(&file, "name = 'second'\nduration = '3s'\nphase = '0s'\n").expect("a file");
    wait_for("waiting for a file to be saved");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill can be started");
    assert!(kill.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let said = text(&output.stdout);
    assert!(said.contains("mine, seed 1") && said.contains("second, seed 1"), "{said}");
    assert!(folder.path().join("output/second-1/report.html").is_file());
    let hidden = fs::read_dir(folder.path().join("output")).expect("a folder").filter_map(Result::ok);
    assert!(hidden.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with('.')));
    let refused = run(folder.path(), "run partition --watch");
    assert_eq!(refused.status.code(), Some(2));
}
