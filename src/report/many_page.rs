//! One page for many runs: what came of them in a table, the runs that stand out, and their charts.

use std::fmt::Write as _;

use super::chart::escape;
use super::many::{Many, QUANTILES};
use crate::analysis::metrics::{Metric, Unit};

/// What an operator asks first.
pub const FIRST: [&str; 9] = [
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
pub fn in_order() -> impl Iterator<Item = Metric> {
    let first = FIRST.map(Metric::named);
    first.into_iter().chain(Metric::all().filter(move |metric| !first.contains(metric)))
}

/// A figure of a metric, for people.
pub fn shown(metric: Metric, value: f64) -> String {
    match metric.unit() {
        Unit::Seconds => format!("{value:.3} s"),
        Unit::Count if value == libm::floor(value) => format!("{value:.0}"),
        Unit::Count => format!("{value:.2}"),
        Unit::Ratio => format!("{:.2} %", value * 100.0),
    }
}

/// The page; `charts`: names and drawings.
pub(super) fn page(many: &Many, scenario: &str, version: &str, charts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let (first, last) = many.range();
    let (title, count) = (escape(scenario), many.count());
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\" data-theme=\"light\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title} · {count} runs</title>\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p class=\"lead\">{count} runs, seeds {first} to {last}; sim {}.</p>",
        super::html::STYLE,
        escape(version)
    );
    let (missed, told) = many.missed();
    if missed > 0 {
        let _ = writeln!(out, "<h2>Expectations that were missed</h2>\n<p>In {missed} of {count} runs.</p>\n<ul>");
        for (seed, misses) in told {
            for miss in misses {
                let _ = writeln!(out, "<li>seed {seed}: {}</li>", escape(&miss.to_string()));
            }
        }
        out.push_str("</ul>\n");
    }
    worst(&mut out, many);
    for (name, svg) in charts {
        let _ = writeln!(out, "<figure id=\"{}\">{svg}</figure>", name.trim_end_matches(".svg"));
    }
    table(&mut out, many);
    out.push_str("<p>One row a run: runs.csv.</p>\n</body>\n</html>\n");
    out
}

/// The runs that one looks at next.
fn worst(out: &mut String, many: &Many) {
    out.push_str("<h2>The runs that stand out</h2>\n<div class=\"scroll\"><table><thead><tr><th>metric</th><th>median</th><th>the worst</th></tr></thead>\n<tbody>");
    for metric in FIRST.map(Metric::named) {
        let worst = many.worst(metric, WORST);
        let Some(median) = many.sample(metric).quantile(0.5) else { continue };
        if worst.first().is_none_or(|(_, value)| *value == median) {
            continue;
        }
        let seeds: Vec<String> =
            worst.iter().map(|(seed, value)| format!("seed {seed} ({})", shown(metric, *value))).collect();
        let _ =
            writeln!(out, "<tr><td>{metric}</td><td>{}</td><td>{}</td></tr>", shown(metric, median), seeds.join(", "));
    }
    out.push_str("</tbody></table></div>\n<p class=\"hint\">The same command with --seed and without --runs shows what happened in one of them.</p>\n");
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
        let _ = writeln!(out, "<td>{}</td></tr>", escape(metric.says()));
    }
    out.push_str("</tbody></table></div>\n");
}
