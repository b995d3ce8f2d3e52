//! Always: every run can be told: its report, its summary, its text, its trace and its metrics are made of any run at all,
//! and no figure in them is none.
//!
//! Source: the files of a run folder (`report::folder`), of a run without its trace. The picture in PNG is left out: it is drawn by the same code as
//! the one in SVG, and costs more than all the rest.

use super::{Answer, Kind, Property, RECORDING};
use crate::analysis::{RunFacts, Summary};
use crate::explore::observe::{Run, watched};
#[cfg(feature = "charts")]
use crate::report::html;
use crate::report::{RunReport, lanes, metrics, text, trace};
use std::collections::BTreeMap;

pub(super) const PROPERTY: Property = Property {
    name: "every-run-can-be-told",
    kind: Kind::Always,
    says: "report, summary, text, trace and metrics can be made of every run",
    source: "report::folder",
    needs: RECORDING,
    check: |run| check(run, &told),
};

/// A file's name and its text.
type Told = Vec<(&'static str, String)>;

/// What is told of a run, as its folder has it.
fn told(run: &Run) -> Told {
    let causes = BTreeMap::new();
    let report = RunReport {
        recording: run.recording(),
        analysis: &run.analysis,
        misses: None,
        digest: run.result.digest,
        events: run.result.events,
        version: "",
        scenario_toml: &run.case.scenario.to_toml(run.case.seed, ""),
        command: "",
        causes: &causes,
        flights: &[],
        scrape: metrics::SCRAPE,
    };
    let lanes = lanes::lanes(run.recording());
    let facts = RunFacts { version: String::new(), digest: String::new(), events: run.result.events };
    vec![
        #[cfg(feature = "charts")]
        ("report.html", html::html(&report, &lanes)),
        ("summary.json", Summary::new(&run.analysis, None, &facts).to_json()),
        ("messages.csv", run.analysis.ledger.write_csv()),
        ("the text", text::text(&report, &lanes)),
        ("trace.json", trace::trace(run.recording(), &run.analysis, &lanes)),
        ("metrics.om", metrics::metrics(run.recording(), &lanes, metrics::SCRAPE)),
    ]
}

fn check(run: &Run, tell: &dyn Fn(&Run) -> Told) -> Answer {
    let files = match watched(|| tell(run)) {
        Ok(files) => files,
        Err(panic) => return Answer::at_end(run, format!("the run cannot be told: {}", panic.message)),
    };
    for (name, text) in &files {
        if let Some(what) = bad(name, text) {
            return Answer::at_end(run, format!("{name} {what}"));
        }
    }
    Answer::Holds
}

/// What is wrong with a file.
fn bad(name: &str, text: &str) -> Option<String> {
    if name.ends_with(".json")
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        return Some(format!("is not JSON: {error}"));
    }
    if name.ends_with(".html") && !text.trim_end().ends_with("</html>") {
        return Some("has no end".into());
    }
    if name.ends_with(".om") && !text.ends_with("# EOF\n") {
        return Some("has no end".into());
    }
    let place = ["NaN", "inf ", "inf<", "-inf"].into_iter().find_map(|none| Some((none, text.find(none)?)));
    // The page's own script knows these words.
    let (none, at) = place.filter(|_| name != "report.html")?;
    let from = text[..at].char_indices().rev().nth(40).map_or(0, |(i, _)| i);
    Some(format!("says {none:?} after {:?}", &text[from..at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::observe::{Case, Needs, observe};
    use crate::scenario::Scenario;

    fn run() -> Run {
        let text = "duration = '8s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";
        let scenario = Scenario::parse("a.toml", text).expect("a right file");
        observe(&Case { scenario, seed: 3 }, Needs::default()).expect("no invariant breaks")
    }

    #[test]
    fn what_cannot_be_told_is_found() {
        let run = run();
        assert_eq!(check(&run, &told), Answer::Holds);
        let found = |tell: &dyn Fn(&Run) -> Told| match check(&run, tell) {
            Answer::Found(finding) => finding.what,
            other => panic!("nothing was found: {other:?}"),
        };
        assert!(found(&|_| panic!("no lane")).contains("the run cannot be told: no lane"));
        assert!(found(&|_| vec![("summary.json", "{\"a\": }".into())]).contains("summary.json is not JSON"));
        assert!(found(&|_| vec![("the text", "lost NaN".into())]).contains("the text says \"NaN\""));
        for index in 0..2 {
            let torn = |run: &Run| {
                let mut files = told(run);
                let half = files[index].1.len() / 2;
                let half = (half..).find(|at| files[index].1.is_char_boundary(*at)).expect("the end is one");
                files[index].1.truncate(half);
                files
            };
            assert!(!found(&torn).is_empty());
        }
    }
}
