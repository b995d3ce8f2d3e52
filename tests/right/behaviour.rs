//! Every paragraph of docs/behaviour that the code refers to is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The numbers of the paragraphs and headings of a page: `12.1` of "- **12.1** …", `12` of "## 12 …".
fn paragraphs(page: &str) -> impl Iterator<Item = String> + '_ {
    page.lines().filter_map(|line| {
        let marked = line.strip_prefix("- **").and_then(|rest| rest.split_once("**")).map(|(number, _)| number);
        let heading = line.strip_prefix("## ").and_then(|rest| rest.split(' ').next());
        marked.or(heading).map(str::to_owned)
    })
}

/// The numbers that a text refers to: `spec 12.1`, `spec H2.1`.
fn references(text: &str) -> impl Iterator<Item = String> + '_ {
    text.match_indices("spec ").filter_map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let number: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || ['.', 'H', 'T', 'C', 'R'].contains(c)).collect();
        let number = number.trim_end_matches('.').to_owned();
        number.ends_with(|c: char| c.is_ascii_digit()).then_some(number)
    })
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn known() -> BTreeSet<String> {
    let pages =
        ["sentinel", "redis", "haproxy", "recordings"].map(|page| root().join(format!("docs/behaviour/{page}.md")));
    let texts = pages.map(|page| fs::read_to_string(page).expect("a page"));
    texts.iter().flat_map(|text| paragraphs(text).collect::<Vec<_>>()).collect()
}

fn dangling(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    references(text).filter(|number| !known.contains(number)).collect()
}

#[test]
fn every_reference_to_the_behaviour_resolves() {
    let (known, mut files) = (known(), Vec::new());
    ["src", "tests", "benches"].iter().for_each(|folder| sources(&root().join(folder), &mut files));
    let mut count = 0;
    for file in files.iter().filter(|file| !file.ends_with("tests/right/behaviour.rs")) {
        let text = fs::read_to_string(file).expect("a source");
        count += references(&text).count();
        assert_eq!(dangling(&text, &known), Vec::<String>::new(), "{}", file.display());
    }
    assert!(count > 90, "only {count} references were found");
}

#[test]
fn a_paragraph_that_is_not_there_is_found_out() {
    assert_eq!(dangling("as in spec 12.1, and spec 99.9; spec H2.1.", &known()), ["99.9"]);
}
