//! The scenarios that are in the program: the folder `scenarios/`, as it was when it was built.
//!
//! Whoever has nothing but the program can list them, read them, run them and begin a file of his own from one.

use include_dir::{Dir, include_dir};

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/scenarios");

/// The themes, in the order in which a newcomer reads them: their folder, and what they are about.
pub const THEMES: [(&str, &str); 8] = [
    ("", "The demo's situations"),
    ("cookbook", "Questions that operators ask"),
    ("traps", "What people get wrong"),
    ("commands", "What commands do to a stack"),
    ("published", "What others measured and printed"),
    ("witness", "Rare things that can happen, found by `sim check`"),
    ("regressions", "What `sim check` once found to be wrong here"),
    ("conformance", "Redis's own tests of Sentinel"),
];

/// A scenario that is in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its folder below `scenarios/`; empty at the top.
    pub theme: &'static str,
    /// Its name without folder and ending.
    pub stem: &'static str,
    /// The file.
    pub text: &'static str,
}

impl Shipped {
    /// What one calls it: `partition`, `traps/dead-knobs`.
    pub fn name(&self) -> String {
        if self.theme.is_empty() { self.stem.to_owned() } else { format!("{}/{}", self.theme, self.stem) }
    }

    /// One sentence: its description, or the first line of its comment.
    pub fn says(&self) -> String {
        let value = toml::from_str::<toml::Table>(self.text).ok();
        let described = value.as_ref().and_then(|table| table.get("description")).and_then(toml::Value::as_str);
        let comment = || self.text.lines().find_map(|line| line.strip_prefix("# "));
        let text = described.or_else(comment).unwrap_or_default();
        text.strip_prefix(self.stem).map_or(text, |rest| rest.trim_start_matches([':', ' '])).to_owned()
    }
}

/// All of them, theme by theme, in order of their names.
pub fn all() -> Vec<Shipped> {
    let mut found = Vec::new();
    for (theme, _) in THEMES {
        let folder = if theme.is_empty() { Some(&FOLDER) } else { FOLDER.get_dir(theme) };
        let files = folder.into_iter().flat_map(|folder| folder.files());
        let mut of_theme: Vec<Shipped> = files
            .filter_map(|file| {
                let stem = file.path().file_name()?.to_str()?.strip_suffix(".toml")?;
                Some(Shipped { theme, stem, text: file.contents_utf8()? })
            })
            .collect();
        of_theme.sort_by_key(|shipped| shipped.stem);
        found.extend(of_theme);
    }
    found
}

/// The one of this name, with or without its folder, as `traps/dead-knobs`, `dead-knobs` or as the path in the
/// repository, `scenarios/traps/dead-knobs.toml`.
pub fn find(name: &str) -> Option<Shipped> {
    let name = name.strip_prefix("scenarios/").unwrap_or(name);
    let name = name.strip_suffix(".toml").unwrap_or(name);
    all().into_iter().find(|shipped| shipped.stem == name || shipped.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn every_file_is_there_under_one_name() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut there = BTreeSet::new();
        files(&root, &mut there);
        let known: BTreeSet<String> =
            all().iter().map(|one| root.join(one.name() + ".toml").to_string_lossy().into_owned()).collect();
        assert_eq!(known, there);
        let stems: BTreeSet<&str> = all().iter().map(|one| one.stem).collect();
        assert_eq!(stems.len(), there.len(), "the short names differ");
    }

    #[test]
    fn each_says_what_it_is_about_and_is_found() {
        for shipped in all() {
            assert!(shipped.says().len() > 15, "{}: {}", shipped.name(), shipped.says());
            for name in [shipped.name(), shipped.stem.to_owned(), format!("scenarios/{}.toml", shipped.name())] {
                assert_eq!(find(&name), Some(shipped), "{name}");
            }
        }
        assert_eq!(find("no-such"), None);
    }
}
