//! What a user names as a scenario: a file, `-` for standard input, or a scenario that is in the program.

use std::io;
use std::path::Path;

use miette::miette;

use super::Failure;
use crate::client::LibraryId;
use crate::limits;
use crate::scenario::{Scenario, shipped};
use crate::suggest::closest;

/// What standard input is called in complaints, and its scenario if it has no name of its own.
const STDIN: &str = "stdin";

/// A scenario as text, and what complaints call it.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    /// Reads it, once: it may be a pipe. What exists as a file is the file.
    pub(super) fn read(path: &Path) -> Result<Source, Failure> {
        let given = path.display().to_string();
        if given == "-" {
            let text = limits::read_text_of(io::stdin().lock()).map_err(Failure::io("standard input"))?;
            return Ok(Source { name: STDIN.into(), text });
        }
        if path.exists() {
            let text = Scenario::read(path).map_err(|error| Failure::Bad(error.into()))?;
            return Ok(Source { name: given, text });
        }
        match shipped::find(&given) {
            Some(shipped) => Ok(Source { name: given, text: shipped.text.to_owned() }),
            None => Err(unknown(&given)),
        }
    }

    pub(super) fn parse(&self) -> Result<Scenario, Failure> {
        self.parse_with_client(None)
    }

    /// The same with all of its clients on one library, if one is given.
    pub(super) fn parse_with_client(&self, client: Option<LibraryId>) -> Result<Scenario, Failure> {
        self.parse_with(client, &[])
    }

    /// The same with some keys set anew.
    pub(super) fn parse_with(&self, client: Option<LibraryId>, set: &[(String, String)]) -> Result<Scenario, Failure> {
        let library = client.map(|library| ("client.*.library", library.word));
        let set = set.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let overrides: Vec<(&str, &str)> = library.into_iter().chain(set).collect();
        Scenario::parse_with_overrides(&self.name, &self.text, &overrides).map_err(|error| Failure::Bad(error.into()))
    }
}

/// The scenario that a user names.
pub(super) fn load(path: &Path) -> Result<Scenario, Failure> {
    Source::read(path)?.parse()
}

/// The scenario that a user names, with all of its clients on one library if one is given.
pub(super) fn load_with_client(path: &Path, client: Option<LibraryId>) -> Result<Scenario, Failure> {
    Source::read(path)?.parse_with_client(client)
}

/// There is neither such a file nor such a scenario.
pub(super) fn unknown(given: &str) -> Failure {
    let all = shipped::all();
    let names: Vec<String> = all.iter().map(shipped::Shipped::name).collect();
    let short = given.strip_suffix(".toml").unwrap_or(given);
    let candidates = names.iter().map(String::as_str).chain(all.iter().map(|one| one.stem));
    let help = match closest(short, candidates) {
        Some(name) => format!("did you mean `{name}`? `sim list` shows the scenarios that are in the program"),
        None => "give the path of a scenario file (TOML), or a name that `sim list` shows".to_owned(),
    };
    Failure::Bad(miette!(help = help, "there is no file and no scenario `{given}`"))
}
