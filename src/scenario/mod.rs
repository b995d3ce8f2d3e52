//! From a scenario file (TOML) to a checked plan.
//!
//! A scenario says which stack runs with which settings, what is done to it and when, and what must come of it. The
//! same file drives the simulator and the real stack. [`Scenario::parse`] gives a plan in which every name is
//! resolved, every default is filled in and every rule is checked, or a [`ScenarioError`] that tells everything that is
//! wrong, each with its place in the file and a remedy: nobody behind this door looks for mistakes in input again.
//!
//! ```
//! use sim::scenario::Scenario;
//!
//! let text = "[[fault]]\nat = '0s'\naction = 'kill'\nnode = '@master'\n";
//! let plan = Scenario::parse("kill.toml", text).expect("a good file");
//! assert_eq!((plan.name.as_str(), plan.redis.len()), ("kill", 3));
//!
//! let error = Scenario::parse("bad.toml", "[sentinel]\nqorum = 2\n").expect_err("a bad file");
//! let problem = &error.problems()[0];
//! assert_eq!(problem.place(), Some(("bad.toml", 2, 1)));
//! assert_eq!(problem.remedy(), Some("did you mean `quorum`?"));
//! ```
//!
//! Defaults: what the demo sets has the demo's value, the rest that of the real program. An empty file is the demo,
//! running undisturbed for 30 s.

mod check;
mod cost;
mod error;
mod expect;
mod expect_runs;
mod fault;
mod file;
mod layout;
mod met;
mod names;
mod overrides;
mod plan;
mod reader;
mod real;
mod script;
pub mod shipped;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use crate::limits;
pub use crate::units;

use std::path::Path;

use toml::de::DeTable;

pub use cost::Cost;
pub use error::{Problem, ScenarioError};
pub use expect::{Bounds, EventPattern, Expect, FinalRole, Within};
pub use expect_runs::{ExpectRuns, Number, Part, RUNS, RunBounds, Runs, Statistic};
pub(crate) use fault::Touch;
pub use fault::{Action, Fault, NodeRef, OneOrMany, Role, partition_pairs};
pub use file::json_schema;
pub use layout::{Layout, REDIS_PORT, SENTINEL_PORT, Seat};
pub use met::{checks, unmet};
pub use plan::{Link, Network, Scenario, Stack};

use error::{Finding, Sources};
use reader::Reader;

impl Scenario {
    /// Reads the scenario in `text`; `source_name` is what errors call the file, and its stem the default name.
    pub fn parse(source_name: &str, text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::parse_with_overrides(source_name, text, &[])
    }

    /// Reads the scenario file at `path`.
    pub fn load(path: impl AsRef<Path>) -> Result<Scenario, ScenarioError> {
        let path = path.as_ref();
        let source_name = path.display().to_string();
        let text = Scenario::read(path)?;
        Scenario::parse(&source_name, &text)
    }

    /// The text of the scenario file at `path`, read once: it may be a pipe.
    pub fn read(path: impl AsRef<Path>) -> Result<String, ScenarioError> {
        let path = path.as_ref();
        limits::read_text(path).map_err(|error| ScenarioError::unreadable(&path.display().to_string(), &error))
    }

    /// Reads the scenario in `text` with some keys set anew, each given by its path and its value, such as
    /// `("sentinel.down-after-milliseconds", "1000")`, `("haproxy.timeout connect", "2s")` or `("fault.0.at", "5s")`.
    ///
    /// Everything is checked as if the file said so; a complaint about an override points at the override.
    pub fn parse_with_overrides(
        source_name: &str,
        text: &str,
        overrides: &[(&str, &str)],
    ) -> Result<Scenario, ScenarioError> {
        let mut sources = Sources::new(source_name, text);
        let (mut root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let finding = |error: &toml::de::Error| {
                let at = error.span().unwrap_or(0..0);
                Finding::new("this is not TOML", at, error.message()).help("the format is described at https://toml.io")
            };
            return Err(sources.refuse(errors.iter().map(finding).collect()));
        }
        let mut reader = Reader::default();
        for override_ in overrides {
            overrides::apply(&mut reader, &mut sources, &mut root, *override_);
        }
        let stem = Path::new(source_name).file_stem().map_or("scenario".into(), |stem| stem.to_string_lossy());
        let plan = check::scenario(&mut reader, root, &stem);
        if reader.findings.is_empty() { Ok(plan) } else { Err(sources.refuse(reader.findings)) }
    }
}
