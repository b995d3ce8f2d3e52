//! The page of a sweep: which setting met what is expected, each metric by setting with its worst run, and the charts.

use super::{Combination, Found, Outcome, Sweep};
use crate::analysis::metrics::Metric;
use crate::report::escape;
use crate::report::many_page::shown;
use crate::report::page::{command, figure, page, quoted, table, words};

/// A chart: its name, and how it looks in the light and in the dark.
pub(super) type Picture = (String, String, String);

/// Writes the text of the page.
pub(super) fn text(sweep: &Sweep, outcome: &Outcome, pictures: &[Picture]) -> String {
    let first = sweep.combinations.first().map_or("", |combination| &combination.scenario.name);
    let (rows, settings) = (outcome.rows, sweep.combinations.len());
    let runs = rows / settings.max(1) as u64;
    let lead = format!(
        "{settings} settings under the same luck: {runs} runs of each, seeds {} to {}; sim {}.",
        sweep.seed,
        sweep.seed + runs.saturating_sub(1),
        env!("CARGO_PKG_VERSION")
    );
    let mut body = String::new();
    if outcome.found.iter().any(|found| found.judged > 0) {
        body.push_str("<h2>Runs that met [expect]</h2>\n");
        let rows: Vec<Vec<String>> = all(sweep, outcome)
            .map(|(combination, found)| {
                let part = found.met as f64 / found.judged.max(1) as f64 * 100.0;
                let figures = [format!("{} of {}", found.met, found.judged), format!("{part:.1} %")];
                setting(combination).chain(figures).collect()
            })
            .collect();
        body.push_str(&table(&columns(sweep, &[("met", true), ("part", true)]), &rows));
    }
    for metric in &sweep.charts {
        body.push_str(&of_metric(sweep, outcome, *metric));
        let mine = pictures.iter().filter(|(name, ..)| is_of(name, *metric));
        mine.for_each(|(name, light, dark)| body.push_str(&figure(name, light, dark)));
    }
    let rest = pictures.iter().filter(|(name, ..)| !sweep.charts.iter().any(|metric| is_of(name, *metric)));
    rest.for_each(|(name, light, dark)| body.push_str(&figure(name, light, dark)));
    body.push_str("<p>One row a run: runs.csv and runs.parquet.</p>\n");
    page(&format!("{first}: sweep"), &lead, &body)
}

/// Whether a chart is of a metric: `ecdf-set-outage`, `ecdf-set-outage-2`.
fn is_of(chart: &str, metric: Metric) -> bool {
    let rest = chart.split_once('-').and_then(|(_, rest)| rest.strip_prefix(metric.name()));
    rest.is_some_and(|rest| rest.trim_start_matches('-').chars().all(|c| c.is_ascii_digit()))
}

fn all<'a>(sweep: &'a Sweep, outcome: &'a Outcome) -> impl Iterator<Item = (&'a Combination, &'a Found)> {
    sweep.combinations.iter().zip(&outcome.found)
}

fn setting(combination: &Combination) -> impl Iterator<Item = String> + '_ {
    combination.values.iter().map(|value| escape(value))
}

fn columns<'a>(sweep: &'a Sweep, more: &[(&'a str, bool)]) -> Vec<(&'a str, bool)> {
    sweep.axes.iter().map(|axis| (axis.key.as_str(), false)).chain(more.iter().copied()).collect()
}

/// What to type to see one run of a setting.
fn again(sweep: &Sweep, combination: &Combination, seed: u64) -> String {
    let sets = sweep.axes.iter().zip(&combination.values);
    let sets: String =
        sets.map(|(axis, value)| format!(" --set {}", quoted(&format!("{}={value}", axis.key)))).collect();
    format!("sim run {}{sets} --seed {seed}", quoted(&sweep.file))
}

/// A metric by setting, with the run in which it is greatest.
fn of_metric(sweep: &Sweep, outcome: &Outcome, metric: Metric) -> String {
    let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| shown(metric, value));
    let index = metric.index();
    let mut rows = Vec::new();
    for (combination, found) in all(sweep, outcome) {
        let values = &found.values[index];
        if values.count() == 0 {
            continue;
        }
        let mut cells: Vec<String> = setting(combination).collect();
        cells.push(values.count().to_string());
        cells.push(figure(values.mean()));
        cells.extend([0.5, 0.95, 0.99].map(|p| figure(values.quantile(p))));
        cells.push(figure(values.most()));
        // Where all runs are alike there is none to look at.
        let worst = found.worst[index].filter(|_| values.most() != values.least());
        cells.push(worst.map_or("–".to_owned(), |(_, seed)| seed.to_string()));
        cells.push(worst.map_or(String::new(), |(_, seed)| command(&again(sweep, combination, seed))));
        rows.push(cells);
    }
    if rows.is_empty() {
        return String::new();
    }
    let more = [
        ("runs", true),
        ("mean", true),
        ("p50", true),
        ("p95", true),
        ("p99", true),
        ("max", true),
        ("the worst seed", true),
        ("see it", false),
    ];
    format!("<h2>{metric}</h2>\n<p>{}</p>\n{}", words(metric.says()), table(&columns(sweep, &more), &rows))
}
