//! The book (docs/): every page is in its contents, every link leads somewhere, the page of keys is what the program says,
//! and the tutorial's commands print what it shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn sim(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    let output = command.current_dir(folder).env("NO_COLOR", "1").env_remove("COLUMNS").args(arguments).output();
    let output = output.expect("the program can be started");
    assert!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("output is text")
}

/// The pages: those of the book, and those that lead to it.
fn pages() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let root = Path::new(ROOT);
    let mut found: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root.join(name)).to_vec();
    ["docs", "reference", "scenarios"].iter().for_each(|folder| below(&root.join(folder), &mut found));
    found.sort();
    found
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of a page's links.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let ends = prose.match_indices("](").map(|(place, _)| place + 2);
    ends.filter_map(|from| Some(prose[from..].split_once(')')?.0.to_owned())).collect()
}

/// What GitHub calls a heading in an address.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|rest| anchor(rest.trim_start_matches('#')))
        .collect()
}

/// Links of a page that lead nowhere.
fn broken(page: &Path, text: &str) -> Vec<String> {
    let outside = |link: &String| !link.contains("://") && !link.starts_with("mailto:");
    let leads = |link: &String| {
        let (path, heading) =
            link.split_once('#').map_or((link.as_str(), None), |(path, heading)| (path, Some(heading)));
        let target = if path.is_empty() { page.to_owned() } else { page.parent().expect("a folder").join(path) };
        let known = |heading: &str| fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(heading));
        target.exists() && heading.is_none_or(known)
    };
    links(text).into_iter().filter(outside).filter(|link| !leads(link)).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        found.extend(broken(&page, &text).into_iter().map(|link| format!("{}: {link}", page.display())));
    }
    assert!(found.is_empty(), "these links lead nowhere:\n{}", found.join("\n"));
    let page = Path::new(ROOT).join("docs/README.md");
    let planted = "[a](no-such.md) [b](model.md#no-such) [c](model.md) [d](keys.md#client) ```[e](no)```";
    assert_eq!(broken(&page, planted), ["no-such.md", "model.md#no-such"]);
}

#[test]
fn every_page_is_in_the_contents() {
    let docs = Path::new(ROOT).join("docs");
    let contents = fs::read_to_string(docs.join("README.md")).expect("the contents");
    let listed: BTreeSet<PathBuf> = links(&contents).iter().map(|link| docs.join(link)).collect();
    let missing: Vec<PathBuf> = pages()
        .into_iter()
        .filter(|page| page.starts_with(&docs) && *page != docs.join("README.md"))
        .filter(|page| !listed.contains(page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not list {missing:?}");
}

/// After a change of the schema, write the page anew with `SIM_PAGES=write cargo test --test book`.
#[test]
fn the_page_of_keys_is_what_the_program_reads() {
    let path = Path::new(ROOT).join("docs/keys.md");
    let printed = sim(Path::new(ROOT), &["schema", "--format", "markdown"]);
    if std::env::var("SIM_PAGES").is_ok_and(|what| what == "write") {
        fs::write(&path, &printed).expect("the page can be written");
    }
    assert!(fs::read_to_string(&path).is_ok_and(|page| page == printed), "docs/keys.md is stale: see this test");
    for key in
        ["`down-after-milliseconds`", "`min-replicas-to-write`", "### partition", "`command-timeout`", "`duration`"]
    {
        assert!(printed.contains(key), "{key}");
    }
    assert!(
        printed
            .lines()
            .filter(|line| line.starts_with('|'))
            .all(|line| line.replace("\\|", "").matches('|').count() == 5)
    );
}

/// Whether lines are those of the output, where `…` stands for any number of lines.
fn agree(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if *line == "…" => (0..=printed.len()).any(|skip| agree(rest, &printed[skip..])),
        Some((line, rest)) => {
            printed.split_first().is_some_and(|(head, tail)| head.trim_end() == *line && agree(rest, tail))
        }
    }
}

/// What a text asks `sim explain` about, behind a flag.
fn asked(text: &str, flag: &str) -> Vec<String> {
    let asks = text.lines().filter(|line| line.contains("sim explain output/partition-1"));
    asks.filter_map(|line| Some(line.split(flag).nth(1)?.split_whitespace().next()?.trim_end_matches('`').to_owned()))
        .collect()
}

/// The examples that people paste ask about what was lost. After a change of the model choose others: `sim explain
/// output/partition-1` names some.
#[test]
fn examples_ask_about_what_was_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    sim(folder.path(), &["run", "partition"]);
    let table = fs::read_to_string(folder.path().join("output/partition-1/messages.csv")).expect("a table");
    let fate = |op: &str, seq: &str| {
        let row = table.lines().map(|row| row.split(',').collect::<Vec<_>>()).find(|row| row[1] == op && row[2] == seq);
        row.map(|row| row[row.len() - 2].to_owned()).unwrap_or_default()
    };
    let texts =
        ["README.md", "docs/teacher.md"].map(|name| fs::read_to_string(Path::new(ROOT).join(name)).expect("a page"));
    let help = sim(folder.path(), &["explain", "--help"]);
    let mut count = 0;
    for text in texts.iter().chain([&help]) {
        for seq in asked(text, "--message ") {
            assert!(
                ["lost-silently", "failed"].contains(&fate("publish", &seq).as_str()),
                "message {seq}: {}",
                fate("publish", &seq)
            );
            count += 1;
        }
        for write in asked(text, "--write ") {
            let seq = write.trim_start_matches("writer:");
            assert_eq!(fate("set", seq), "lost-after-acknowledgement", "write {write}");
            count += 1;
        }
    }
    assert!(count >= 5, "{count} examples were found");
}

/// A block of code with what stands before it.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let parts: Vec<&str> = text.split("```").collect();
    let blocks = parts.windows(2).enumerate().filter(|(place, _)| place % 2 == 0);
    blocks
        .map(|(_, pair)| (pair[0], pair[1]))
        .map(|(before, block)| {
            let (language, body) = block.split_once('\n').unwrap_or_default();
            (before, language, body)
        })
        .collect::<Vec<_>>()
        .into_iter()
}

/// The file that a comment before a block names: `<!-- file: mine.toml -->`.
fn named<'a>(before: &'a str, mark: &str) -> Option<&'a str> {
    let line = before.trim_end().lines().next_back()?;
    line.strip_prefix("<!-- ")?.strip_prefix(mark)?.strip_suffix(" -->").map(str::trim)
}

#[test]
fn the_tutorial_prints_what_it_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = fs::read_to_string(Path::new(ROOT).join("docs/tutorial.md")).expect("the page");
    let mut commands = 0;
    for (before, language, body) in blocks(&page) {
        if let Some(file) = named(before, "file:") {
            fs::write(folder.path().join(file), body).expect("a file");
        } else if let Some(file) = named(before, "append:") {
            let path = folder.path().join(file);
            let text = fs::read_to_string(&path).expect("the file is there") + "\n" + body;
            fs::write(path, text).expect("a file");
        } else if language == "console" {
            let (command, shown) = body.split_once('\n').expect("a command and what it prints");
            let words: Vec<&str> = command.strip_prefix("$ sim ").expect("a command of sim").split(' ').collect();
            let printed = sim(folder.path(), &words);
            let (shown, lines): (Vec<&str>, Vec<&str>) = (shown.lines().collect(), printed.lines().collect());
            assert!(
                agree(&shown, &lines),
                "docs/tutorial.md shows for `{command}`:\n{}\nbut it is:\n{printed}",
                shown.join("\n")
            );
            commands += 1;
        }
    }
    assert_eq!(commands, 4);
    assert!(!agree(&["a", "…"], &["b"]) && agree(&["…", "b"], &["a", "b"]));
}
