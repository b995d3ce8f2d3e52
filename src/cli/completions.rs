//! `sim completions`, and what it completes: commands, flags, and the names that only the program knows.
//!
//! The script that a shell reads asks the program itself (`COMPLETE=bash sim …`), so that names are those of this
//! version: scenarios, metrics, properties, keys of the scenario file.

use std::ffi::OsStr;
use std::io::Write as _;

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::{CompleteEnv, Shells};

use super::{Failure, Verdict};
use crate::analysis::metrics::Metric;
use crate::explore::property;
use crate::scenario::{json_schema, shipped};

/// The variable by which a shell asks.
const ASKED_BY: &str = "COMPLETE";

/// Print completions for a shell: commands, flags, and names of scenarios, metrics, properties and keys
///
/// For the shell that runs now: source <(sim completions bash)
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Which shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

/// Answers a shell that asks for completions, and ends the program then.
pub(super) fn answer() {
    CompleteEnv::with_factory(super::command).var(ASKED_BY).bin("sim").complete();
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let shells = Shells::builtins();
    let shell = shells.completer(&arguments.shell).expect("clap knows the shells that it was told");
    let mut text = Vec::new();
    shell.write_registration(ASKED_BY, "sim", "sim", "sim", &mut text)?;
    std::io::stdout().write_all(&text)?;
    Ok(Verdict::Fine)
}

/// Those that begin like what was typed.
fn beginning<'a>(typed: &OsStr, all: impl IntoIterator<Item = (String, &'a str)>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let found = all.into_iter().filter(|(name, _)| name.starts_with(typed));
    found.map(|(name, says)| CompletionCandidate::new(name).help(Some(says.to_owned().into()))).collect()
}

/// The scenarios that are in the program, and their themes.
pub(super) fn scenarios(typed: &OsStr) -> Vec<CompletionCandidate> {
    let themes = shipped::THEMES.iter().filter(|(theme, _)| !theme.is_empty());
    let themes = themes.map(|(theme, title)| ((*theme).to_owned(), *title));
    let all = shipped::all();
    let says: Vec<(String, String)> = all.iter().map(|one| (one.stem.to_owned(), one.says())).collect();
    let stems = says.iter().map(|(stem, says)| (stem.clone(), says.as_str()));
    beginning(typed, stems.chain(themes))
}

/// Scenarios, and files.
pub(super) fn scenarios_and_files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::any().complete(typed);
    found.extend(scenarios(typed));
    found
}

/// The names of metrics.
pub(super) fn metrics(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, Metric::all().map(|metric| (metric.name().to_owned(), metric.says())))
}

/// The names of metrics, before `=`.
pub(super) fn metrics_before_equals(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, Metric::all().map(|metric| (format!("{}=", metric.name()), metric.says())))
}

/// The names of the properties of `sim check`.
pub(super) fn properties(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, property::ALL.iter().map(|property| (property.name.to_owned(), property.says)))
}

/// The keys that `--vary` and `--set` take, before `=`: those of the sections that there is one of.
pub(super) fn keys(typed: &OsStr) -> Vec<CompletionCandidate> {
    let schema = json_schema();
    let schema = serde_json::to_value(&schema).expect("a schema is valid JSON");
    let mut found = Vec::new();
    let of = |value: &serde_json::Value| value["properties"].as_object().cloned().unwrap_or_default();
    for (key, value) in of(&schema) {
        let target = reference(&schema, &value);
        let inner = of(target);
        if inner.is_empty() && target["type"] != "array" {
            found.push(format!("{key}="));
        }
        found.extend(inner.into_iter().map(|(name, _)| format!("{key}.{name}=")));
    }
    beginning(typed, found.into_iter().map(|key| (key, "")))
}

/// The part of the schema that a value refers to.
fn reference<'a>(schema: &'a serde_json::Value, value: &'a serde_json::Value) -> &'a serde_json::Value {
    let several = value["anyOf"].as_array().and_then(|all| all.first()).unwrap_or(value);
    let path = several["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| schema.pointer(path)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[CompletionCandidate]) -> Vec<String> {
        found.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn names_that_only_the_program_knows_are_offered() {
        assert!(names(&scenarios(OsStr::new("part"))).contains(&"partition".into()));
        assert_eq!(names(&scenarios(OsStr::new("cookb"))), ["cookbook"]);
        assert_eq!(names(&metrics(OsStr::new("set-out"))), ["set-outage"]);
        assert_eq!(names(&metrics_before_equals(OsStr::new("set-out"))), ["set-outage="]);
        assert!(names(&properties(OsStr::new("causes"))).contains(&"causes-are-seen".into()));
        let found = names(&keys(OsStr::new("sentinel.down")));
        assert_eq!(found, ["sentinel.down-after-milliseconds="]);
        assert!(names(&keys(OsStr::new("dur"))).contains(&"duration=".into()));
        assert!(metrics(OsStr::new("no-such")).is_empty());
    }
}
