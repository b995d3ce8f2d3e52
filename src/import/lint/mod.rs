//! What is wrong with a stack: a table of rules, each a function from the model of the stack to what it finds.
//!
//! Ids are stable: people allow them by name. Severity: an *error* is a stack that does not start or does not do what it is
//! for; a *warning* loses data, time or messages in a failure, or is a setting that is not in force; a *note* is worth
//! knowing. Each finding says why it is one; docs/lint.md lists the rules.

mod auth;
mod deceit;
mod detection;
mod proxy;
mod roles;
mod start;
mod surroundings;
mod table;

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

pub(in crate::import) use detection::named_otherwise;
pub(crate) use roles::start_is_fixed;
pub(crate) use table::{RULES, markdown, rule};

use super::origin::Place;
use super::stack::Stack;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Severity {
    /// Worth knowing.
    Note,
    /// Loses something in a failure, or is not in force.
    Warn,
    /// Does not start, or does not do what it is for.
    Error,
}

impl Severity {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warn => "warning",
            Severity::Error => "error",
        }
    }
}

/// A run that shows what a rule says: a situation, a metric, and what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The situation of `sim import --situation`.
    pub situation: &'static str,
    /// The metric to look at, by its name in `summary.json`.
    pub metric: &'static str,
    /// The remedy as a key of the scenario and its value, if it is one.
    pub remedy: Option<(&'static str, &'static str)>,
}

/// A rule.
pub(crate) struct Rule {
    /// Its id.
    pub id: &'static str,
    /// Its group: A to F.
    pub group: char,
    /// How bad it is, unless a finding says otherwise.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// A run that shows it, if one can.
    pub proof: Option<Proof>,
    check: fn(&Stack) -> Vec<Hit>,
}

/// What a rule found.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    place: Place,
    also: Vec<Place>,
    text: String,
    severity: Option<Severity>,
}

/// At `place`, what `text` says.
fn hit(place: &Place, text: impl Into<String>) -> Hit {
    Hit { place: place.clone(), also: Vec::new(), text: text.into(), severity: None }
}

/// One finding of many places: at the first, naming all.
fn all_of(found: Vec<(Place, String)>, text: impl Fn(&str) -> String) -> Vec<Hit> {
    let Some((place, _)) = found.first().cloned() else { return Vec::new() };
    let mut names: Vec<&str> = Vec::new();
    for (_, name) in &found {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let shown = match names.len() {
        0..=5 => names.join(", "),
        n => format!("{} and {} more", names[..4].join(", "), n - 4),
    };
    let mut also: Vec<Place> =
        found.iter().skip(1).map(|(place, _)| place.clone()).filter(|other| *other != place).collect();
    also.dedup();
    vec![Hit { place, also, text: text(&shown), severity: None }]
}

impl Hit {
    fn with_severity(mut self, severity: Severity) -> Hit {
        self.severity = Some(severity);
        self
    }
}

/// A finding.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The id of its rule.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where the wrong text stands, or where what is absent belongs.
    pub place: Place,
    /// Further places of the same.
    pub also: Vec<Place>,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
    /// The finding that is its cause, if one is.
    pub because_of: Option<&'static str>,
}

/// Errors of stacks that start and serve all the same: a scenario is made of them.
pub(crate) const SERVES: [&str; 3] = ["shared-state", "port-without-listener", "restart-empty"];

/// Findings that follow from another one.
const EFFECTS: [(&str, &[&str]); 1] = [("config-on-file-mount", &["start-role-fixed", "sentinel-forgets-at-restart"])];

/// All findings of a stack, those that `allowed` names left out: the worst first, then in the order of the files.
pub(crate) fn findings(stack: &Stack, allowed: &[String]) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for rule in RULES.iter().filter(|rule| !allowed.iter().any(|id| id == rule.id)) {
        for hit in (rule.check)(stack) {
            all.push(Finding {
                rule: rule.id,
                severity: hit.severity.unwrap_or(rule.severity),
                place: hit.place,
                also: hit.also,
                message: cleaned(&hit.text),
                remedy: rule.remedy,
                because_of: None,
            });
        }
    }
    for (cause, effects) in EFFECTS {
        let files: Vec<Place> = all
            .iter()
            .filter(|one| one.rule == cause)
            .flat_map(|one| std::iter::once(&one.place).chain(&one.also))
            .cloned()
            .collect();
        for finding in all.iter_mut().filter(|one| effects.contains(&one.rule)) {
            if files.iter().any(|place| place.file == finding.place.file) {
                finding.because_of = Some(cause);
            }
        }
    }
    all.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| a.place.cmp(&b.place)).then_with(|| a.rule.cmp(b.rule))
    });
    all.dedup_by(|a, b| a.rule == b.rule && a.place == b.place && a.message == b.message);
    all
}

/// What stands in for a value that is not known, and characters that a terminal obeys, made plain.
pub(crate) fn cleaned(text: &str) -> String {
    let plain = |c: char| match c {
        super::UNKNOWN => '?',
        c if crate::record::is_hidden(c) => '?',
        c => c,
    };
    text.chars().map(plain).collect()
}

/// How many findings of each severity there are.
pub(crate) fn counts(findings: &[Finding]) -> BTreeMap<Severity, usize> {
    let mut counts = BTreeMap::new();
    findings.iter().for_each(|finding| *counts.entry(finding.severity).or_insert(0) += 1);
    counts
}
