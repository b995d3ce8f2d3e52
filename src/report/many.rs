//! What many runs of one scenario leave behind: distributions instead of events.
//!
//! Figures are summed up as runs are added, in bounded memory; their rows go to a temporary file that becomes `runs.csv`, all of
//! them. What charts need is kept of the first [`KEPT`] runs only, and those say so by their n; so is the list of runs in
//! `summary.json`, which says how many it holds. Figures are kept by column: a run is one number in each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::bars::{StackedBars, critical_path};
use super::causes;
use super::chart::{Chart, Drawn, Look, Pen, Theme, anchor, heading};
use super::ecdf::EcdfChart;
use super::folder::write_folder_with;
use super::lanes::Lanes;
use super::many_page;
use super::over_time::{Frame, LatencyOverTime, LossOverTime, OverTime};
use crate::analysis::ledger::Cause;
use crate::analysis::metrics::{Figure, Figures, Metric, field, met_field};
use crate::analysis::sample::Summary;
use crate::analysis::stats::quantile;
use crate::analysis::{Analysis, Miss};
use crate::record::Source;

/// Names of the files of many runs.
const FILES: [&str; 10] = [
    "summary.json",
    RUNS,
    "report.html",
    "failover.svg",
    "outages.svg",
    "losses.svg",
    "phases.svg",
    "causes.svg",
    "loss.svg",
    "latency.svg",
];

/// One row a run.
const RUNS: &str = "runs.csv";

/// Quantiles in tables and summaries.
pub const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// Steps of a failover whose times after the fault are drawn.
const STEPS: [(&str, &str); 5] = [
    ("detected", "first +sdown"),
    ("promoted", "promoted"),
    ("propagated", "all Sentinels agree"),
    ("proxy-switched", "HAProxy switched"),
    ("publisher-ok", "publisher ok"),
];
const OUTAGES: [(&str, &str); 4] = [
    ("publish-outage", "publishers without success"),
    ("set-outage", "writers without success"),
    ("get-outage", "readers without success"),
    ("receive-gap", "subscribers without a message"),
];
const LOSSES: [(&str, &str); 2] =
    [("publish-undelivered", "messages not delivered"), ("lost-acked-sets", "acknowledged writes lost")];

/// Runs that are kept one by one: enough for every chart; the figures are those of all runs.
pub const KEPT: usize = 10_000;

/// Runs that missed an expectation and are told one by one.
pub const SHOWN: usize = 10;

/// One run among many.
#[derive(Clone, Debug, PartialEq)]
pub struct OneRun {
    /// The seed, or a real run's number.
    pub run: u64,
    /// The digest over all events; none of a real run.
    pub digest: Option<u128>,
    /// How many events were dispatched.
    pub events: u64,
    /// Expectations that were missed; none if there are none.
    pub misses: Option<Vec<Miss>>,
    metrics: Figures,
    paths: Vec<Vec<f64>>,
    over_time: OverTime,
}

impl OneRun {
    /// What counts of a run, on the axes of its [`Many`].
    pub fn of(analysis: &Analysis, frame: &Frame) -> OneRun {
        OneRun {
            run: analysis.run,
            digest: None,
            events: 0,
            misses: None,
            metrics: analysis.figures(),
            paths: analysis.completed().filter_map(critical_path).collect(),
            over_time: OverTime::of(analysis, frame),
        }
    }
}

/// A run that is kept, without its figures.
#[derive(Clone, Debug)]
struct Kept {
    /// Its place in the columns.
    row: usize,
    digest: Option<u128>,
    events: u64,
    misses: Option<Vec<Miss>>,
    paths: Vec<Vec<f64>>,
}

/// `summary.json`.
#[derive(Serialize)]
struct ManyJson<'a> {
    count: u64,
    /// Runs that met the expectations; null if there are none.
    met: Option<u64>,
    metrics: BTreeMap<&'static str, serde_json::Value>,
    /// The first of them; `runs.csv` has all.
    runs: Vec<RunJson<'a>>,
    runs_listed: usize,
    scenario: &'a str,
    schema: u32,
    source: Source,
    version: &'a str,
}

#[derive(Serialize)]
struct RunJson<'a> {
    run: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    misses: Option<&'a [Miss]>,
}

/// Many runs of one scenario.
#[derive(Debug)]
pub struct Many {
    scenario: String,
    source: Source,
    version: String,
    frame: Frame,
    over_time: OverTime,
    /// Every metric, over the runs in which it is known.
    figures: Vec<Summary>,
    /// In how many runs it is unknown.
    unknown: Vec<u64>,
    /// What runs one of them again, but for its seed.
    command: Option<String>,
    /// The rows of all runs.
    csv: BufWriter<File>,
    first: u64,
    last: u64,
    count: u64,
    judged: u64,
    missed: usize,
    shown: Vec<(u64, Vec<Miss>)>,
    /// By number.
    runs: BTreeMap<u64, Kept>,
    /// By metric: its value in each kept run, in the order in which they were added; NaN where it has none.
    columns: Vec<Vec<f64>>,
}

impl Many {
    /// No runs yet; axes and faults are those of the first one.
    ///
    /// # Errors
    /// If there is no room for a temporary file.
    pub fn new(first: &Analysis, lanes: &Lanes, version: &str) -> io::Result<Many> {
        let mut csv = BufWriter::new(tempfile::tempfile()?);
        let names: Vec<&str> = Metric::all().map(Metric::name).collect();
        writeln!(csv, "run,digest,events,met,{}", names.join(","))?;
        Ok(Many {
            scenario: first.scenario.clone(),
            source: first.source,
            version: version.into(),
            frame: Frame::of(lanes),
            over_time: OverTime::default(),
            figures: vec![Summary::default(); Metric::count()],
            unknown: vec![0; Metric::count()],
            command: None,
            csv,
            first: u64::MAX,
            last: 0,
            count: 0,
            judged: 0,
            missed: 0,
            shown: Vec::new(),
            runs: BTreeMap::new(),
            columns: vec![Vec::new(); Metric::count()],
        })
    }

    /// Its axes.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Adds a run. The order of the runs decides the last bits of means, so it must not depend on chance.
    ///
    /// # Errors
    /// If its row cannot be written.
    pub fn add(&mut self, run: OneRun) -> io::Result<()> {
        self.write_row(&run)?;
        for ((metric, figure), summary) in run.metrics.iter().zip(&mut self.figures) {
            figure.number().iter().for_each(|value| summary.add(*value));
            self.unknown[metric.index()] += u64::from(matches!(figure, Figure::Unknown(_)));
        }
        (self.first, self.last, self.count) = (self.first.min(run.run), self.last.max(run.run), self.count + 1);
        self.judged += u64::from(run.misses.is_some());
        if let Some(misses) = run.misses.as_ref().filter(|misses| !misses.is_empty()) {
            self.missed += 1;
            if self.shown.len() < SHOWN {
                self.shown.push((run.run, misses.clone()));
            }
        }
        self.over_time.merge(run.over_time);
        if self.runs.len() < KEPT {
            let row = self.runs.len();
            for (column, value) in self.columns.iter_mut().zip(run.metrics.numbers()) {
                column.push(value.unwrap_or(f64::NAN));
            }
            let OneRun { digest, events, misses, paths, .. } = run;
            let double = self.runs.insert(run.run, Kept { row, digest, events, misses, paths });
            assert!(double.is_none(), "every run has a number of its own");
        }
        Ok(())
    }

    fn write_row(&mut self, run: &OneRun) -> io::Result<()> {
        let (digest, events) = match run.digest {
            Some(digest) => (format!("{digest:032x}"), run.events.to_string()),
            None => Default::default(),
        };
        let met = run.misses.as_ref().map(Vec::is_empty);
        let mut row = format!("{},{digest},{events},{}", run.run, met_field(met));
        for (_, figure) in run.metrics.iter() {
            let _ = write!(row, ",{}", field(figure.value()));
        }
        writeln!(self.csv, "{row}")
    }

    /// How many runs were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Numbers of the first and the last run.
    pub fn range(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// Every metric over all runs in which it is known, and in how many it is unknown.
    pub fn figures(&self) -> impl Iterator<Item = (Metric, &Summary, u64)> {
        Metric::all()
            .zip(&self.figures)
            .zip(&self.unknown)
            .map(|((metric, summary), unknown)| (metric, summary, *unknown))
    }

    /// A metric over the runs in which it is known.
    pub fn sample(&self, metric: Metric) -> &Summary {
        &self.figures[metric.index()]
    }

    /// The runs with the greatest values of a metric, of those that are kept: numbers and values.
    pub fn worst(&self, metric: Metric, most: usize) -> Vec<(u64, f64)> {
        let column = &self.columns[metric.index()];
        let mut runs: Vec<(u64, f64)> = self.runs.iter().map(|(number, run)| (*number, column[run.row])).collect();
        runs.retain(|(_, value)| !value.is_nan());
        runs.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        runs.truncate(most);
        runs
    }

    /// Says what runs one of them again, but for `--seed`: `sim run partition`.
    pub fn set_command(&mut self, command: &str) {
        self.command = Some(command.to_owned());
    }

    /// What to type to see one of the runs, if that is known.
    pub fn command(&self, seed: u64) -> Option<String> {
        self.command.as_ref().map(|command| format!("{command} --seed {seed}"))
    }

    /// How many runs missed an expectation, and the first [`SHOWN`] of them with what they missed.
    pub fn missed(&self) -> (usize, &[(u64, Vec<Miss>)]) {
        (self.missed, &self.shown)
    }

    /// The numbers of the runs that are kept, in order.
    pub fn runs(&self) -> impl Iterator<Item = u64> {
        self.runs.keys().copied()
    }

    /// A metric in each run that is kept and in which it is known, in order of their numbers.
    fn values(&self, metric: &str) -> impl Iterator<Item = f64> {
        let column = &self.columns[Metric::named(metric).index()];
        self.runs.values().map(|run| column[run.row]).filter(|value| !value.is_nan())
    }

    /// The name of their folder: the scenario's and the first and last number, as in `partition-1..1000`.
    pub fn folder(&self) -> String {
        let real = if self.source == Source::Real { "-real" } else { "" };
        format!("{}{real}-{}..{}", super::safe_name(&self.scenario), self.first, self.last)
    }

    /// The text of `summary.json`: mean and quantiles of each metric, and the runs that are kept.
    pub fn to_json(&self) -> String {
        let figure = |(metric, sample, unknown): (Metric, &Summary, u64)| {
            let mut figure = json!({ "runs": sample.count(), "mean": sample.mean(), "min": sample.least() });
            for (name, p) in QUANTILES {
                figure[name] = json!(sample.quantile(p));
            }
            if unknown > 0 {
                figure["unknown"] = json!(unknown);
            }
            (metric.name(), figure)
        };
        let runs = self.runs.iter().map(|(&run, kept)| RunJson {
            run,
            digest: kept.digest.map(|digest| format!("{digest:032x}")),
            events: kept.digest.map(|_| kept.events),
            misses: kept.misses.as_deref(),
        });
        let all = ManyJson {
            count: self.count,
            met: (self.judged > 0).then(|| self.judged - self.missed as u64),
            metrics: self.figures().map(figure).collect(),
            runs: runs.collect(),
            runs_listed: self.runs.len(),
            scenario: &self.scenario,
            schema: crate::analysis::SCHEMA,
            source: self.source,
            version: &self.version,
        };
        serde_json::to_string_pretty(&all).expect("figures are valid JSON") + "\n"
    }

    fn ecdf(&self, title: &str, unit: &str, series: &[(&str, &str)]) -> EcdfChart {
        let present = series.iter().filter_map(|(metric, name)| {
            let sample: Vec<f64> = self.values(metric).collect();
            (!sample.is_empty()).then(|| (name.to_string(), sample))
        });
        let title = format!("{}: {title}", self.scenario);
        EcdfChart { title, unit: unit.into(), series: present.collect() }
    }

    /// The files but `runs.csv`: names and contents.
    fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let n = self.runs.len();
        let mut paths: Vec<Vec<f64>> = self.runs.values().flat_map(|run| run.paths.clone()).collect();
        let phases = StackedBars::paths(ranked(&mut paths));
        let mut causes = CauseBars { scenario: self.scenario.clone(), n, rows: Vec::new() };
        for cause in Cause::ALL {
            let sample: Vec<f64> = self.values(&format!("publish-undelivered-{}", cause.as_str())).collect();
            if sample.iter().any(|count| *count > 0.0) {
                causes.rows.push((cause, sample));
            }
        }
        let failover = self.ecdf("first failover, time after the fault", "s", &STEPS);
        let outages = self.ecdf("longest time without success", "s", &OUTAGES);
        let losses = self.ecdf("lost in a run", "messages or writes", &LOSSES);
        let loss = LossOverTime { scenario: &self.scenario, n, frame: &self.frame, data: &self.over_time };
        let latency = LatencyOverTime { scenario: &self.scenario, n, frame: &self.frame, data: &self.over_time };
        /// A chart's file, and how it is drawn.
        type Drawing<'a> = (&'static str, &'a (dyn Fn(Theme) -> String + Sync));
        let contents: [Drawing<'_>; FILES.len() - 3] = [
            ("failover.svg", &|theme| failover.svg(theme)),
            ("outages.svg", &|theme| outages.svg(theme)),
            ("losses.svg", &|theme| losses.svg(theme)),
            ("phases.svg", &|theme| phases.svg(theme)),
            ("causes.svg", &|theme| causes.svg(theme)),
            ("loss.svg", &|theme| loss.svg(theme)),
            ("latency.svg", &|theme| latency.svg(theme)),
        ];
        let drawn: Vec<(&'static str, String, String)> =
            contents.into_par_iter().map(|(name, draw)| (name, draw(Theme::Light), draw(Theme::Dark))).collect();
        let charts: Vec<(&str, &str, &str)> =
            drawn.iter().map(|(name, light, dark)| (*name, light.as_str(), dark.as_str())).collect();
        let page = many_page::text(self, &self.scenario, &self.version, &charts);
        let files = drawn.into_iter().map(|(name, light, _)| (name, light));
        let files = files.chain([("summary.json", self.to_json()), ("report.html", page)]);
        files.map(|(name, content)| (name, content.into_bytes())).collect()
    }

    /// Writes the files into the folder `dir`, all of them or none; returns their paths.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn write(&mut self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.csv.flush()?;
        write_folder_with(dir, &self.files(), Some((RUNS, self.csv.get_mut())), &FILES)
    }
}

/// All failovers, and those in the middle, near the end and at the end of their order by length.
fn ranked(paths: &mut [Vec<f64>]) -> Vec<(String, Vec<Vec<f64>>)> {
    let length = |path: &Vec<f64>| path.iter().sum::<f64>();
    paths.sort_by(|a, b| length(a).total_cmp(&length(b)));
    // A bar of nothing says nothing.
    let mut rows = Vec::new();
    if !paths.is_empty() {
        rows.push(("mean of all failovers".to_string(), paths.to_vec()));
    }
    if let Some(last) = paths.len().checked_sub(1) {
        for (name, part) in
            [("the shortest", 0.0), ("the median", 0.5), ("longer than 95 %", 0.95), ("the longest", 1.0)]
        {
            let place = libm::round(last as f64 * part) as usize;
            rows.push((name.to_string(), vec![paths[place].clone()]));
        }
    }
    rows
}

const WIDTH: u32 = 1000;
const LEFT: f64 = 290.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 56.0;
const STEP: f64 = 30.0;
const BAR: f64 = 20.0;

/// Losses by cause: the mean over the runs, and the range of the middle nine tenths.
struct CauseBars {
    scenario: String,
    n: usize,
    rows: Vec<(Cause, Vec<f64>)>,
}

impl CauseBars {
    fn bottom(&self) -> f64 {
        TOP + self.rows.len().max(1) as f64 * STEP + 4.0
    }
}

impl Chart for CauseBars {
    fn size(&self) -> (u32, u32) {
        (WIDTH, self.bottom() as u32 + 52)
    }

    fn title(&self) -> String {
        format!("{}: messages lost by cause, mean over n = {} runs", self.scenario, self.n)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        let rest = format!("mean over n = {} runs; the line spans 5 % to 95 % of the runs", self.n);
        heading(&pen, &format!("{}: messages lost by cause", self.scenario), &rest)?;
        let bottom = self.bottom();
        let part = |sample: &[f64], p| quantile(sample, p).unwrap_or(0.0);
        let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len().max(1) as f64;
        let most = self.rows.iter().map(|(_, sample)| part(sample, 0.95).max(mean(sample))).fold(1.0, f64::max);
        let x = pen.value_axis(most, (LEFT, RIGHT), (TOP, bottom), "messages lost in a run")?;
        let right = anchor(look.text(12, look.ink), HPos::Right, VPos::Center);
        if self.rows.is_empty() {
            pen.text(LEFT - 8.0, TOP + STEP / 2.0, "nothing was lost in any run", &right)?;
        }
        for (i, (cause, sample)) in self.rows.iter().enumerate() {
            let y = TOP + i as f64 * STEP + STEP / 2.0;
            let mean = mean(sample);
            let (low, high) = (part(sample, 0.05), part(sample, 0.95));
            pen.text(LEFT - 8.0, y, causes::words(*cause), &right)?;
            pen.rect(LEFT, y - BAR / 2.0, x(mean) - LEFT, BAR, look.shade(causes::color(*cause)), 1.0)?;
            pen.line((x(low), y), (x(high), y), look.ink, 1.0, 3)?;
            for end in [low, high] {
                pen.line((x(end), y - 5.0), (x(end), y + 5.0), look.ink, 1.0, 3)?;
            }
            let hit = sample.iter().filter(|count| **count > 0.0).count();
            let text = format!("{mean:.1}, in {hit} of {} runs", self.n);
            let left = anchor(look.text(11, look.ink), HPos::Left, VPos::Center);
            pen.text(x(high.max(mean)) + 8.0, y, &text, &left)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::report::lanes;
    use crate::scenario::Scenario;

    #[test]
    fn every_run_has_its_row_and_its_part_in_the_figures() {
        let scenario = Scenario::parse("calm.toml", "duration = '1s'\nphase = '0s'\n").expect("a right file");
        let run = crate::run(&Arc::new(scenario), 1);
        let mut many = Many::new(&run.analysis, &lanes::lanes(&run.result.recording), "0").expect("there is room");
        let one = OneRun::of(&run.analysis, many.frame());
        let runs = KEPT as u64 + 5;
        for number in 1..=runs {
            many.add(OneRun { run: number, ..one.clone() }).expect("there is room");
        }
        let folder = tempfile::tempdir().expect("a folder");
        many.write(&folder.path().join("many")).expect("it can be written");
        let csv = std::fs::read_to_string(folder.path().join("many/runs.csv")).expect("it was written");
        let rows: Vec<&str> = csv.lines().skip(1).map(|row| row.split(',').next().expect("a run")).collect();
        assert!(rows.iter().map(|run| run.parse::<u64>()).eq((1..=runs).map(Ok)), "{} rows", rows.len());
        let summary: serde_json::Value = serde_json::from_str(&many.to_json()).expect("it is JSON");
        assert_eq!((&summary["count"], &summary["runs_listed"]), (&runs.into(), &KEPT.into()));
        assert_eq!(summary["metrics"]["set-ok"]["runs"], runs);
        let ok = one.metrics.number(Metric::named("set-ok"));
        assert_eq!(summary["metrics"]["set-ok"]["max"].as_f64(), ok);
        assert_eq!(summary["metrics"]["first-failover"]["runs"], 0);
    }
}
