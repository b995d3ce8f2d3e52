//! One page for many runs: what came of them in a table, the runs that stand out, and their charts.

use std::fmt::Write as _;

use super::many::{Many, QUANTILES};
use super::page::{self, figure};
use super::words::escape;
use crate::analysis::metrics::{Metric, Unit};

/// What an operator asks first.
pub(crate) const FIRST: [&str; 9] = [
    "set-outage",
    "publish-outage",
    "receive-gap",
    "lost-acked-sets",
    "publish-undelivered",
    "publish-lost",
    "two-masters",
    "failovers",
    "first-failover",
];

/// Runs of a metric that are named because they are the worst.
const WORST: usize = 5;

/// The metrics with those first that are asked first.
pub(crate) fn in_order() -> impl Iterator<Item = Metric> {
    let first = FIRST.map(Metric::named);
    first.into_iter().chain(Metric::all().filter(move |metric| !first.contains(metric)))
}

/// A figure of a metric, for people.
pub(crate) fn shown(metric: Metric, value: f64) -> String {
    match metric.unit() {
        Unit::Seconds => format!("{value:.3} s"),
        Unit::Count if value == libm::floor(value) => format!("{value:.0}"),
        Unit::Count => format!("{value:.2}"),
        Unit::Ratio => format!("{:.2} %", value * 100.0),
    }
}

/// The page; `charts`: names and drawings, light and dark.
pub(super) fn text(many: &Many, scenario: &str, version: &str, charts: &[(&str, &str, &str)]) -> String {
    let mut out = String::new();
    let (first, last) = many.range();
    let lead = format!("{} runs, seeds {first} to {last}; sim {version}.", many.count());
    let (missed, told) = many.missed();
    if missed > 0 {
        let _ =
            writeln!(out, "<h2>Expectations that were missed</h2>\n<p>In {missed} of {} runs.</p>\n<ul>", many.count());
        for (seed, misses) in told {
            for miss in misses {
                let _ = writeln!(out, "<li>seed {seed}: {}</li>", escape(&miss.to_string()));
            }
        }
        out.push_str("</ul>\n");
    }
    worst(&mut out, many);
    for (name, light, dark) in charts {
        out.push_str(&figure(name.trim_end_matches(".svg"), light, dark));
    }
    table(&mut out, many);
    out.push_str("<p>One row a run: runs.csv.</p>\n");
    page::page(scenario, &lead, &out)
}

/// The runs that one looks at next.
fn worst(out: &mut String, many: &Many) {
    out.push_str("<h2>The runs that stand out</h2>\n");
    let mut rows = Vec::new();
    for metric in FIRST.map(Metric::named) {
        let worst = many.worst(metric, WORST);
        let Some(median) = many.sample(metric).quantile(0.5) else { continue };
        // What looks the same does not stand out.
        let same = |value: f64| shown(metric, value) == shown(metric, median);
        let Some((seed, most)) = worst.first().filter(|(_, value)| !same(*value)) else { continue };
        let others = worst[1..].iter().map(|(seed, value)| format!("seed {seed} ({})", shown(metric, *value)));
        rows.push(vec![
            metric.to_string(),
            shown(metric, median),
            format!("seed {seed} ({})", shown(metric, *most)),
            others.collect::<Vec<_>>().join(", "),
            many.command(*seed).map_or(String::new(), |text| page::command(&text)),
        ]);
    }
    let columns =
        [("metric", false), ("median", true), ("the worst", false), ("and then", false), ("see the worst", false)];
    match rows.is_empty() {
        true => out.push_str("<p>None does: in all that is asked first the runs are alike.</p>\n"),
        false => out.push_str(&page::table(&columns, &rows)),
    }
}

fn table(out: &mut String, many: &Many) {
    out.push_str("<h2>Every figure</h2>\n<div class=\"scroll\"><table><thead><tr><th>metric</th><th class=\"n\">runs</th><th class=\"n\">mean</th>");
    QUANTILES.iter().for_each(|(name, _)| out.push_str(&format!("<th class=\"n\">{name}</th>")));
    out.push_str("<th>meaning</th></tr></thead>\n<tbody>");
    for metric in in_order() {
        let sample = many.sample(metric);
        let Some(mean) = sample.mean() else { continue };
        if metric.is_of_a_cause() && sample.most() == Some(0.0) {
            continue;
        }
        let _ = write!(
            out,
            "<tr><td>{metric}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
            sample.count(),
            shown(metric, mean)
        );
        for (_, p) in QUANTILES {
            let value = sample.quantile(p).map_or("–".to_owned(), |value| shown(metric, value));
            let _ = write!(out, "<td class=\"n\">{value}</td>");
        }
        let _ = writeln!(out, "<td>{}</td></tr>", page::words(metric.says()));
    }
    out.push_str("</tbody></table></div>\n");
}
