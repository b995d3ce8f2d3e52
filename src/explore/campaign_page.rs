//! The page of a campaign: what was checked how often, what was found, and how to see it.

use super::campaign::{First, Report};
use super::property::{self, Kind, NO_PANIC};
use crate::report::escape;
use crate::report::page::{command, page, said, table};

/// Something that was found, the small scenario of it, and what to type.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The property.
    pub name: &'static str,
    /// Whether that is a failure, and not a rare thing that may happen.
    pub is_failure: bool,
    /// The file beside the page.
    pub file: String,
    /// What to type to check it again.
    pub again: String,
    /// What was found.
    pub finding: String,
}

/// What a campaign was, in a sentence.
pub(crate) fn lead(cases: u64, seed: u64, report: &Report) -> String {
    let failures = report.failures().len();
    let verdict = match failures {
        0 => "no property failed".to_owned(),
        1 => "1 property failed".to_owned(),
        many => format!("{many} properties failed"),
    };
    format!("{cases} cases of seed {seed}, {} events: {verdict}; sim {}.", report.events, env!("CARGO_PKG_VERSION"))
}

/// The text of the page.
pub(crate) fn text(
    title: &str,
    lead: &str,
    properties: &[&'static property::Property],
    report: &Report,
    shown: &[Shown],
) -> String {
    let mut body = String::new();
    if !shown.is_empty() {
        body.push_str("<h2>Found</h2>\n");
        let row = |one: &Shown| {
            vec![
                if one.is_failure { "<b>FAILED</b>".into() } else { "met".into() },
                one.name.to_owned(),
                escape(&one.finding),
                format!("<a href=\"{0}\">{0}</a>", escape(&one.file)),
                command(&one.again),
            ]
        };
        let columns = [("", false), ("property", false), ("finding", false), ("scenario", false), ("see it", false)];
        body.push_str(&table(&columns, &shown.iter().map(row).collect::<Vec<_>>()));
    }
    body.push_str("<h2>Every property</h2>\n");
    let all = std::iter::once((NO_PANIC, Kind::Always, "no model panics"));
    let all = all.chain(properties.iter().map(|property| (property.name, property.kind, property.says)));
    let rows: Vec<Vec<String>> = all
        .map(|(name, kind, says)| {
            let tally = report.tallies.get(name).copied().unwrap_or_default();
            let (checked, first) = (tally.holds + tally.found, report.firsts.get(name));
            vec![
                word(kind, first, checked).to_owned(),
                name.to_owned(),
                kind.as_str().to_owned(),
                checked.to_string(),
                tally.found.to_string(),
                first.map_or(String::new(), |first| format!("case {}", first.number)),
                escape(says),
            ]
        })
        .collect();
    let columns = [
        ("", false),
        ("property", false),
        ("kind", false),
        ("checked in", true),
        ("found in", true),
        ("first", false),
        ("it says", false),
    ];
    body.push_str(&said(&columns, &rows));
    page(title, lead, &body)
}

/// What became of a property.
fn word(kind: Kind, first: Option<&First>, checked: u64) -> &'static str {
    match (kind, first) {
        (kind, Some(_)) if kind.is_met() => "met",
        (_, Some(_)) => "<b>FAILED</b>",
        (kind, None) if kind.is_met() => "never",
        (_, None) if checked == 0 => "moot",
        (_, None) => "ok",
    }
}
