//! What a suite of scenarios came to: for the terminal, for CI (JUnit) and for a page (Markdown).

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::words::escape;
use crate::analysis::Check;

/// One scenario of a suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Case {
    /// What the user calls it.
    pub file: String,
    /// The scenario's name.
    pub name: String,
    /// The first seed.
    pub seed: u64,
    /// How many runs.
    pub runs: u64,
    /// How many of them met what is expected of each run; none if nothing is.
    pub runs_met: Option<u64>,
    /// Each expectation with what was found: of the run, or, of many runs, those over all of them and what the first that
    /// failed missed.
    pub checks: Vec<Check>,
    /// Whether that is as it should be.
    pub met: bool,
    /// What is not checked, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The run folder.
    pub folder: String,
}

impl Case {
    /// Whether anything was expected.
    pub(crate) fn is_judged(&self) -> bool {
        self.runs_met.is_some() || !self.checks.is_empty()
    }

    fn seeds(&self) -> String {
        match self.runs {
            1 => format!("seed {}", self.seed),
            runs => format!("{runs} runs, seeds {} to {}", self.seed, self.seed + runs - 1),
        }
    }

    /// What to type to see it again.
    fn command(&self) -> String {
        let runs = if self.runs > 1 { format!(" --runs {}", self.runs) } else { String::new() };
        format!("sim run {} --seed {}{runs}", self.file, self.seed)
    }

    fn mark(&self) -> (&'static str, Style) {
        match (self.is_judged(), self.met) {
            (false, _) => ("–", Style::new().dimmed()),
            (true, true) => ("✓", Style::new().fg_color(Some(AnsiColor::Green.into()))),
            (true, false) => ("✗", Style::new().fg_color(Some(AnsiColor::Red.into())).bold()),
        }
    }

    /// Its lines in the terminal; `quiet`: only what failed.
    pub(crate) fn text(&self, quiet: bool) -> String {
        let mut out = String::new();
        if quiet && (self.met || !self.is_judged()) {
            return out;
        }
        let (bold, faint) = (Style::new().bold(), Style::new().dimmed());
        let (mark, style) = self.mark();
        let seeds = self.seeds();
        let _ = write!(out, "{style}{mark}{style:#} {bold}{}{bold:#}{faint}, {seeds}{faint:#}", self.name);
        let _ = match (self.is_judged(), self.runs_met) {
            (false, _) => write!(out, ": nothing is expected"),
            (_, Some(met)) if self.runs > 1 => write!(out, ": {met} of {} runs met it", self.runs),
            _ => Ok(()),
        };
        out.push('\n');
        let shown: Vec<&Check> = self.checks.iter().filter(|check| !quiet || !check.met).collect();
        let wide = |of: fn(&Check) -> &str, most: usize| {
            shown.iter().map(|check| of(check).chars().count().min(most)).max().unwrap_or(0)
        };
        let (keys, found) = (wide(|check| &check.key, 32), wide(|check| &check.found, 24));
        for check in shown {
            let style = Case { met: check.met, ..self.clone() }.mark().1;
            let mark = if check.met { "✓" } else { "✗" };
            let line = format!("{:<keys$}  {:<found$}  {}", check.key, check.found, limit(check));
            let _ = writeln!(out, "    {style}{mark}{style:#} {}", line.trim_end());
        }
        if let Some(note) = &self.note {
            let _ = writeln!(out, "    {note}");
        }
        if !self.met {
            let _ = writeln!(out, "    {faint}see {}{faint:#}", self.folder);
        }
        out
    }
}

/// What was expected, beside what was found.
fn limit(check: &Check) -> String {
    match check.expected.split_once(' ') {
        Some(("at", _)) => format!("limit: {}", check.expected),
        _ => format!("expected: {}", check.expected),
    }
}

/// What a test is called: keys that stand for several expectations say which.
fn test_name(check: &Check) -> String {
    match check.key.as_str() {
        "events" | "no-events" | "final-roles" => format!("{}: {}", check.key, check.expected),
        key => key.to_owned(),
    }
}

/// How many there are, what failed, in one line.
pub(crate) fn closing(cases: &[Case]) -> String {
    let judged = cases.iter().filter(|case| case.is_judged()).count();
    let missed = cases.iter().filter(|case| !case.met).count();
    let mut parts = vec![format!("{} met", judged - missed)];
    if missed > 0 {
        parts.push(format!("{missed} missed"));
    }
    if judged < cases.len() {
        parts.push(format!("{} without expectations", cases.len() - judged));
    }
    let noun = if cases.len() == 1 { "scenario" } else { "scenarios" };
    format!("{} {noun}: {}", cases.len(), parts.join(", "))
}

/// JUnit XML: a suite a scenario, a test case an expectation. `skipped`: scenarios that `--fail-fast` left out.
pub(crate) fn junit(cases: &[Case], skipped: &[String]) -> String {
    let failures: usize = cases.iter().flat_map(|case| &case.checks).filter(|check| !check.met).count();
    let tests: usize = cases.iter().map(|case| case.checks.len().max(1)).sum::<usize>() + skipped.len();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"sim\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">");
    for case in cases {
        let name = escape(&case.name);
        let tests = case.checks.len().max(1);
        let failed = case.checks.iter().filter(|check| !check.met).count();
        let skipped = usize::from(case.checks.is_empty());
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\">"
        );
        if case.checks.is_empty() {
            let _ = writeln!(
                out,
                "    <testcase classname=\"{name}\" name=\"runs\"><skipped message=\"nothing is expected\"/></testcase>"
            );
        }
        for check in &case.checks {
            let key = escape(&test_name(check));
            let _ = write!(out, "    <testcase classname=\"{name}\" name=\"{key}\"");
            if check.met {
                out.push_str("/>\n");
                continue;
            }
            let message = escape(&check.to_string());
            let again = [check.to_string(), format!("again: {}", case.command()), format!("folder: {}", case.folder)];
            let body = again.map(|line| escape(&line)).join("\n");
            let _ = writeln!(out, "><failure message=\"{message}\">{body}</failure></testcase>");
        }
        out.push_str("  </testsuite>\n");
    }
    for name in skipped {
        let name = escape(name);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\"><testcase classname=\"{name}\" \
             name=\"runs\"><skipped message=\"not run: --fail-fast\"/></testcase></testsuite>"
        );
    }
    out.push_str("</testsuites>\n");
    out
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A page in Markdown, as a CI shows it: what failed first, then every scenario.
pub(crate) fn markdown(cases: &[Case], skipped: &[String]) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let missed: Vec<&Case> = cases.iter().filter(|case| !case.met).collect();
    let mut out = format!("## {} {}\n\n", if missed.is_empty() { "✅" } else { "❌" }, closing(cases));
    if !missed.is_empty() {
        out.push_str("| missed | | found | expected |\n| --- | --- | --- | --- |\n");
        for (case, check) in missed.iter().flat_map(|case| case.checks.iter().map(move |check| (case, check))) {
            if !check.met {
                let (name, key) = (cell(&case.name), cell(&check.key));
                let _ = writeln!(out, "| {name} | `{key}` | {} | {} |", cell(&check.found), cell(&check.expected));
            }
        }
        out.push_str("\nAgain, with the report of what happened:\n\n```sh\n");
        for case in &missed {
            let _ = writeln!(out, "{}", case.command());
        }
        out.push_str("```\n\n");
    }
    if !skipped.is_empty() {
        let _ = writeln!(out, "Not run (`--fail-fast`): {}\n", skipped.join(", "));
    }
    out.push_str("| | scenario | runs | expectations |\n| --- | --- | --- | --- |\n");
    for case in cases {
        let mark = match (case.is_judged(), case.met) {
            (false, _) => "–",
            (true, true) => "✅",
            (true, false) => "❌",
        };
        let found: Vec<String> = case
            .checks
            .iter()
            .map(|check| format!("`{}` {} ({})", check.key, cut(&check.found), check.expected))
            .collect();
        let _ = writeln!(out, "| {mark} | {} | {} | {} |", cell(&case.name), case.seeds(), cell(&found.join(" · ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, found: &str, met: bool) -> Case {
        let check = |key: &str, found: &str, met| Check {
            key: key.into(),
            expected: "at most 9 s".into(),
            found: found.into(),
            met,
        };
        Case {
            file: format!("{name}.toml"),
            name: name.into(),
            seed: 1,
            runs: 1,
            runs_met: Some(u64::from(met)),
            checks: vec![check("set-outage", found, met), check("events", "`+odown <a&b>`", true)],
            met,
            note: None,
            folder: format!("output/{name}-1"),
        }
    }

    #[test]
    fn a_failure_is_told_everywhere_with_its_value_beside_the_limit() {
        let cases = [case("good", "7.2 s", true), case("bad", "12.5 s", false)];
        let text: String =
            cases.iter().map(|case| anstream::adapter::strip_str(&case.text(false)).to_string()).collect();
        assert!(text.contains("✓ good, seed 1") && text.contains("✗ bad, seed 1"), "{text}");
        assert!(text.contains("✗ set-outage  12.5 s          limit: at most 9 s"), "{text}");
        assert!(cases[0].text(true).is_empty() && !cases[1].text(true).contains("events"));
        assert_eq!(closing(&cases), "2 scenarios: 1 met, 1 missed");
        let xml = junit(&cases, &["later".into()]);
        assert!(xml.contains("tests=\"5\" failures=\"1\""), "{xml}");
        assert!(xml.contains("found 12.5 s\nagain: sim run bad.toml --seed 1"), "{xml}");
        let page = markdown(&cases, &[]);
        assert!(
            page.starts_with("## ❌ 2 scenarios") && page.contains("| bad | `set-outage` | 12.5 s | at most 9 s |")
        );
    }
}
