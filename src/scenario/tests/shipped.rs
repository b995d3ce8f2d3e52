//! The files in `scenarios/`.

use std::path::PathBuf;

use super::*;

fn shipped() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let entries = std::fs::read_dir(folder).expect("the scenarios are shipped");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    paths.sort();
    paths
}

#[test]
fn every_shipped_scenario_is_good_and_expects_something() {
    let paths = shipped();
    assert!(paths.len() >= 15, "{paths:?}");
    for path in paths {
        let plan = Scenario::load(&path).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
        assert_eq!(Some(plan.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()));
        assert!(!plan.description.is_empty(), "{path:?}");
        assert!(plan.expect.as_ref().is_some_and(|expect| *expect != Expect::default()), "{path:?}");
        let again = Scenario::parse("again.toml", &plan.to_toml(1, "0")).expect("what is written reads back");
        assert_eq!(again, plan);
    }
}

#[test]
fn every_shipped_scenario_is_in_the_table() {
    let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/README.md"));
    for path in shipped() {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a file has a name");
        assert!(table.contains(name), "{name} is missing in scenarios/README.md");
    }
}
