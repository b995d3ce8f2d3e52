//! Scenarios that `sim check` once found hold their properties now, and witnesses of real weaknesses still are ones.

use std::path::{Path, PathBuf};

use sim::explore::campaign::judge;
use sim::explore::observe::Case;
use sim::explore::property;
use sim::scenario::Scenario;
use sim::world::World;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder exists");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    files
}

/// The seed that a file's head names: `sim run FILE --seed N`.
fn case(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).expect("the file can be read");
    let seed = text.split("--seed ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    let scenario = Scenario::load(path).unwrap_or_else(|error| panic!("{error:?}"));
    Case { scenario, seed: seed.unwrap_or_else(|| panic!("{}: the head names no seed", path.display())) }
}

#[test]
fn what_was_mended_stays_mended() {
    for path in files("regressions") {
        let case = case(&path);
        let broken = judge(&case, property::NO_PANIC, &World::new);
        assert_eq!(broken, None, "{}", path.display());
        for property in property::ALL.iter().filter(|property| !property.kind.is_met()) {
            let found = judge(&case, property.name, &World::new);
            assert_eq!(found, None, "{}: {}", path.display(), property.name);
        }
    }
}

#[test]
fn witnesses_show_what_they_are_named_after() {
    let files = files("witness");
    assert!(files.len() >= 3, "three real weaknesses at least");
    for path in files {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let property = property::find(&name).unwrap_or_else(|| panic!("{name} is no property"));
        assert!(property.kind.is_met(), "{name}");
        assert!(judge(&case(&path), &name, &World::new).is_some(), "{}", path.display());
    }
}
