//! Who may know whom: the table of docs/architecture.md, held against the imports of the sources; and how long files and
//! functions may be.
//!
//! The table is read from the page, so that the page cannot say one thing and the crate do another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Rooms = BTreeMap<String, BTreeSet<String>>;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// The words in backquotes of a text, without what makes them files.
fn quoted(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('`').skip(1).step_by(2).map(|word| word.trim_end_matches('/').trim_end_matches(".rs").to_owned())
}

/// What the page allows: by room whom it may know.
fn table(page: &str) -> Rooms {
    let mut rooms = Rooms::new();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [names, _, known] = cells[..] else { panic!("a row has three cells: {row}") };
        let above: BTreeSet<String> = rooms.keys().cloned().collect();
        let mut allowed: BTreeSet<String> = quoted(known).collect();
        if known.contains("all of the above") {
            allowed.extend(above);
        }
        if known.contains("`world` and all that it knows") {
            allowed.extend(rooms["world"].clone());
        }
        quoted(names).for_each(|name| drop(rooms.insert(name, allowed.clone())));
    }
    let all: BTreeSet<String> = rooms.keys().cloned().collect();
    rooms.insert("cli".into(), all);
    rooms
}

/// The rooms that a line of a source names as `crate::ROOM` or `crate::{ROOM, …}`.
fn named(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let mut found = Vec::new();
    for (at, mark) in code.match_indices("crate::") {
        let rest = &code[at + mark.len()..];
        let list = rest.strip_prefix('{').map(|rest| rest.split('}').next().unwrap_or_default());
        for path in list.unwrap_or(rest).split(',').take(if list.is_some() { usize::MAX } else { 1 }) {
            let room = path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            found.push(room.to_owned());
        }
    }
    found
}

/// The source without its tests, which may use whatever helps.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// Imports of `text`, a source of `room`, that the table does not allow: the number of the line and whom it names.
fn breaches(room: &str, text: &str, rooms: &Rooms) -> Vec<(usize, String)> {
    let allowed = rooms.get(room).unwrap_or_else(|| panic!("docs/architecture.md has a row for `{room}`"));
    let lines = without_tests(text).lines().enumerate();
    let named = lines.flat_map(|(place, line)| named(line).into_iter().map(move |other| (place + 1, other)));
    named.filter(|(_, other)| other != room && rooms.contains_key(other) && !allowed.contains(other)).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn page() -> Rooms {
    table(&std::fs::read_to_string(Path::new(FOLDER).join("docs/architecture.md")).expect("the page"))
}

#[test]
fn nobody_knows_more_than_the_page_allows() {
    let (rooms, root) = (page(), Path::new(FOLDER).join("src"));
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut found = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&root).expect("below the sources");
        let room = inside.components().next().expect("a name").as_os_str().to_string_lossy();
        let room = room.trim_end_matches(".rs");
        let is_test = inside
            .components()
            .any(|part| ["tests", "tests.rs", "testing.rs"].iter().any(|name| part.as_os_str() == *name));
        if ["lib", "main"].contains(&room) || is_test {
            continue;
        }
        let text = std::fs::read_to_string(file).expect("a source can be read");
        let all = breaches(room, &text, &rooms);
        found.extend(all.into_iter().map(|(line, other)| format!("{}:{line} knows {other}", inside.display())));
    }
    assert!(files.len() > 150, "the sources were read");
    assert!(found.is_empty(), "docs/architecture.md does not allow this:\n{}", found.join("\n"));
}

#[test]
fn a_line_that_climbs_is_found() {
    let rooms = page();
    for (room, line) in [
        ("kernel", "use crate::wire::NodeId;"),
        ("redis", "use crate::scenario::units;"),
        ("record", "    let windows = crate::analysis::faults::windows(self);"),
        ("report", "use crate::explain::Traced;"),
        ("reference", "use crate::world::World;"),
        ("scenario", "use crate::{client, world};"),
    ] {
        let text = format!("//! A room.\n\nuse std::fmt;\n{line}\n");
        assert_eq!(breaches(room, &text, &rooms).len(), 1, "{room}: {line}");
        let tests = format!("use std::fmt;\n\n#[cfg(test)]\nmod tests {{\n    {line}\n}}\n");
        assert!(breaches(room, &tests, &rooms).is_empty(), "{room}: {line} in tests");
    }
    for (room, line) in
        [("world", "use crate::redis::Redis;"), ("cli", "use crate::explain;"), ("net", "// crate::world::x")]
    {
        assert!(breaches(room, line, &rooms).is_empty(), "{room}: {line}");
    }
}

#[test]
fn the_page_has_no_circle() {
    let rooms = page();
    // A room may know those above it in the table and no others: the order of the rows is the order of the floors.
    let text = std::fs::read_to_string(Path::new(FOLDER).join("docs/architecture.md")).expect("the page");
    let mut above: BTreeSet<String> = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let names: Vec<String> = quoted(row.split(" | ").next().expect("a cell")).collect();
        for name in &names {
            let up: Vec<&String> =
                rooms[name].iter().filter(|other| *other != name && !above.contains(*other)).collect();
            assert!(up.is_empty() || name == "cli", "`{name}` may know {up:?}, which stand below it");
        }
        above.extend(names);
    }
}

/// The most lines of a file.
const FILE_MAX: usize = 700;
/// The most lines of a function, from its name to its last brace. A longer one says at its head why it is.
const FUNCTION_MAX: usize = 70;
/// How a function says so; a reason stands behind it.
const EXCUSE: &str = "#[allow(clippy::too_many_lines, reason = ";

/// The name of the function that begins in a line, as rustfmt leaves it.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_word = |word: &str| ["pub", "const", "async", "unsafe"].contains(&word);
    let is_head =
        before.split_whitespace().all(|word| is_word(word) || word.starts_with("pub(") || word.ends_with(')'));
    let ends_here = line.ends_with('}') || line.ends_with(';');
    (is_head && !ends_here).then(|| after.split(['(', '<']).next().unwrap_or_default())
}

/// The functions of a source that are too long and do not say why: line, name and length.
fn too_long(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[place..].iter().position(|line| *line == end).map_or(0, |at| at + 1);
        let head = lines[..place].iter().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
        if length > FUNCTION_MAX && !head.into_iter().any(|line| line.contains(EXCUSE)) {
            found.push((place + 1, name.to_owned(), length));
        }
    }
    found
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        sources(&Path::new(FOLDER).join(folder), &mut files);
    }
    let mut found = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a source can be read");
        let name = file.strip_prefix(FOLDER).expect("it is inside").display().to_string();
        let lines = text.lines().count();
        if lines > FILE_MAX {
            found.push(format!("{name} has {lines} lines"));
        }
        let functions = too_long(&text).into_iter();
        found.extend(functions.map(|(line, function, length)| format!("{name}:{line} {function} has {length} lines")));
    }
    assert!(files.len() > 250, "the sources were read");
    assert!(found.is_empty(), "at most {FILE_MAX} lines a file, {FUNCTION_MAX} a function:\n{}", found.join("\n"));
}

#[test]
fn a_long_function_is_found_unless_it_says_why() {
    let function = |head: &str, lines: usize| {
        format!("impl A {{\n{head}    pub fn long() {{\n{}    }}\n}}\n", "        x();\n".repeat(lines))
    };
    assert_eq!(too_long(&function("", FUNCTION_MAX - 1)), [(2, "long".to_owned(), FUNCTION_MAX + 1)]);
    assert!(too_long(&function("", FUNCTION_MAX - 2)).is_empty());
    let excused = format!("    {EXCUSE}\"a table: one arm a command\")]\n");
    assert!(too_long(&function(&excused, 200)).is_empty());
    assert_eq!(too_long(&function("    #[inline]\n", 200)).len(), 1);
}
