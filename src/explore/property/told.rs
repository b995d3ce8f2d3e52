//! Always: whatever happened can be told. Every file of the run's folder is made, and the text for the terminal; the
//! scenario that is written out is read again as the same plan, and the summary is JSON.
//!
//! Source: a run that ends is a run that can be shown; nothing that a scenario says may end a report.

use std::collections::BTreeMap;

use super::{Answer, Finding, Kind, Property, RECORDING};
use crate::explore::observe::{Run, watched};
use crate::report::{self, RunReport, lanes, metrics, text};
use crate::scenario::Scenario;

pub(super) const PROPERTY: Property = Property {
    name: "every-run-can-be-told",
    kind: Kind::Always,
    says: "every text and picture of the report is made, and its scenario is read again as it was",
    source: "report::files, report::text",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let found = |what| Answer::Found(Finding { at_us: None, what });
    match watched(|| tell(run)) {
        Ok(Ok(())) => Answer::Holds,
        Ok(Err(what)) => found(what),
        Err(panic) => found(format!("the report ends in a panic: {}", panic.message)),
    }
}

/// Tells all of a run; what is wrong with what was told.
fn tell(run: &Run) -> Result<(), String> {
    let scenario_toml = run.case.scenario.to_toml(run.case.seed, "0");
    let report = RunReport {
        recording: run.recording(),
        analysis: &run.analysis,
        misses: None,
        digest: run.result.digest,
        events: run.result.events,
        version: "0",
        scenario_toml: &scenario_toml,
        command: "sim run",
        causes: &BTreeMap::new(),
        scrape: metrics::SCRAPE,
    };
    if text::text(&report, &lanes::lanes(run.recording())).is_empty() {
        return Err("the terminal is told nothing".to_owned());
    }
    report::files(&report).iter().try_for_each(|(name, bytes)| is_good(name, bytes, &run.case.scenario))
}

/// Whether a file is what its name says.
fn is_good(name: &str, bytes: &[u8], scenario: &Scenario) -> Result<(), String> {
    let text = || std::str::from_utf8(bytes).map_err(|error| format!("{name} is no text: {error}"));
    match name.rsplit('.').next() {
        Some("json") => {
            serde_json::from_str(text()?).map(|_: serde_json::Value| ()).map_err(|e| format!("{name}: {e}"))
        }
        Some("svg") if !text()?.trim_end().ends_with("</svg>") => Err(format!("{name} has no end")),
        Some("png") if !bytes.starts_with(b"\x89PNG") => Err(format!("{name} is no picture")),
        Some("toml") => match Scenario::parse(name, text()?) {
            Ok(again) if again == *scenario => Ok(()),
            Ok(_) => Err(format!("{name} is read as another plan")),
            Err(error) => Err(format!("{name} is refused: {error:?}")),
        },
        _ if bytes.is_empty() => Err(format!("{name} is empty")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_what_it_says_is_found() {
        let scenario = Scenario::parse("x.toml", "").expect("the demo");
        let good = scenario.to_toml(1, "0");
        assert_eq!(is_good("scenario.toml", good.as_bytes(), &scenario), Ok(()));
        for (name, bytes) in [
            ("scenario.toml", &b"duration = '7s'"[..]),
            ("scenario.toml", b"nonsense = 1"),
            ("summary.json", b"{"),
            ("timeline.svg", b"<svg>"),
            ("timeline.png", b"<svg>"),
            ("report.html", b""),
            ("messages.csv", b""),
        ] {
            assert!(is_good(name, bytes, &scenario).is_err(), "{name}");
        }
    }
}
