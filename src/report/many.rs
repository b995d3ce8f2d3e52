//! What many runs of one scenario leave behind: distributions instead of events.
//!
//! Figures are summed up as runs are added, in bounded memory. What charts and tables of single runs need is kept of the first
//! [`KEPT`] runs only, and those say so by their n. Figures are kept by column: a run is one number in each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
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
use super::folder::write_folder;
use super::lanes::Lanes;
use super::over_time::{Frame, LatencyOverTime, LossOverTime, OverTime};
use crate::analysis::Analysis;
use crate::analysis::ledger::Cause;
use crate::analysis::sample::Summary;
use crate::analysis::stats::quantile;
use crate::record::Source;

/// Names of the files of many runs.
const FILES: [&str; 9] = [
    "summary.json",
    "runs.csv",
    "failover.svg",
    "outages.svg",
    "losses.svg",
    "phases.svg",
    "causes.svg",
    "loss.svg",
    "latency.svg",
];

/// Quantiles in tables and summaries.
pub const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// Steps of a failover whose times after the fault are drawn.
const STEPS: [(&str, &str); 5] = [
    ("detected-s", "first +sdown"),
    ("promoted-s", "promoted"),
    ("propagated-s", "all Sentinels agree"),
    ("proxy-switched-s", "HAProxy switched"),
    ("publisher-ok-s", "publisher ok"),
];
const OUTAGES: [(&str, &str); 4] = [
    ("publish-outage-s", "publishers without success"),
    ("set-outage-s", "writers without success"),
    ("get-outage-s", "readers without success"),
    ("receive-gap-s", "subscribers without a message"),
];
const LOSSES: [(&str, &str); 2] = [("publish-lost", "messages lost"), ("lost-acked-sets", "acknowledged writes lost")];

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
    /// Expectations that were missed, in words.
    pub misses: Vec<String>,
    metrics: BTreeMap<String, f64>,
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
            misses: Vec::new(),
            metrics: analysis.metrics(),
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
    misses: Vec<String>,
    paths: Vec<Vec<f64>>,
}

/// `summary.json`.
#[derive(Serialize)]
struct ManyJson<'a> {
    count: u64,
    metrics: BTreeMap<String, serde_json::Value>,
    runs: Vec<RunJson>,
    scenario: &'a str,
    schema: u32,
    source: Source,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RunJson {
    Simulated { digest: String, events: u64, misses: Vec<String>, seed: u64 },
    Real { run: u64 },
}

/// Many runs of one scenario.
#[derive(Clone, Debug)]
pub struct Many {
    scenario: String,
    source: Source,
    version: String,
    frame: Frame,
    over_time: OverTime,
    /// Every figure, over the runs that have it.
    figures: BTreeMap<String, Summary>,
    first: u64,
    last: u64,
    count: u64,
    missed: usize,
    shown: Vec<(u64, Vec<String>)>,
    /// By number.
    runs: BTreeMap<u64, Kept>,
    /// By figure: its value in each kept run, in the order in which they were added; NaN where a run does not have it.
    columns: BTreeMap<String, Vec<f64>>,
    rows: usize,
}

impl Many {
    /// No runs yet; axes and faults are those of the first one.
    pub fn new(first: &Analysis, lanes: &Lanes, version: &str) -> Many {
        Many {
            scenario: first.scenario.clone(),
            source: first.source,
            version: version.into(),
            frame: Frame::of(lanes),
            over_time: OverTime::default(),
            figures: BTreeMap::new(),
            first: u64::MAX,
            last: 0,
            count: 0,
            missed: 0,
            shown: Vec::new(),
            runs: BTreeMap::new(),
            columns: BTreeMap::new(),
            rows: 0,
        }
    }

    /// Its axes.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Adds a run. The order of the runs decides the last bits of means, so it must not depend on chance.
    pub fn add(&mut self, run: OneRun) {
        for (name, value) in &run.metrics {
            self.figures.entry(name.clone()).or_default().add(*value);
        }
        (self.first, self.last, self.count) = (self.first.min(run.run), self.last.max(run.run), self.count + 1);
        if !run.misses.is_empty() {
            self.missed += 1;
            if self.shown.len() < SHOWN {
                self.shown.push((run.run, run.misses.clone()));
            }
        }
        self.over_time.merge(run.over_time);
        if self.runs.len() < KEPT {
            let row = self.rows;
            self.rows += 1;
            for (name, value) in run.metrics {
                let column = self.columns.entry(name).or_default();
                column.resize(row, f64::NAN);
                column.push(value);
            }
            let OneRun { digest, events, misses, paths, .. } = run;
            self.runs.insert(run.run, Kept { row, digest, events, misses, paths });
        }
    }

    /// How many runs were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Numbers of the first and the last run.
    pub fn range(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// Every figure, over all runs that have it.
    pub fn figures(&self) -> &BTreeMap<String, Summary> {
        &self.figures
    }

    /// How many runs missed an expectation, and the first [`SHOWN`] of them with what they missed.
    pub fn missed(&self) -> (usize, &[(u64, Vec<String>)]) {
        (self.missed, &self.shown)
    }

    /// The numbers of the runs that are kept, in order.
    pub fn runs(&self) -> impl Iterator<Item = u64> {
        self.runs.keys().copied()
    }

    /// A figure in each run that is kept, in order of their numbers; none where a run does not have it.
    fn values(&self, figure: &str) -> impl Iterator<Item = Option<f64>> {
        let column = self.columns.get(figure).map_or(&[][..], Vec::as_slice);
        self.runs.values().map(|run| column.get(run.row).copied().filter(|value| !value.is_nan()))
    }

    /// The name of their folder: the scenario's and the first and last number, as in `partition-1..1000`.
    pub fn folder(&self) -> String {
        let real = if self.source == Source::Real { "-real" } else { "" };
        format!("{}{real}-{}..{}", super::safe_name(&self.scenario), self.first, self.last)
    }

    /// The text of `summary.json`: mean and quantiles of each figure, and every run.
    pub fn to_json(&self) -> String {
        let figure = |(name, sample): (&String, &Summary)| {
            let mut figure = json!({ "runs": sample.count(), "mean": sample.mean() });
            for (name, p) in QUANTILES {
                figure[name] = json!(sample.quantile(p));
            }
            (name.clone(), figure)
        };
        let metrics: BTreeMap<String, serde_json::Value> = self.figures.iter().map(figure).collect();
        let run = |(&number, run): (&u64, &Kept)| match run.digest {
            Some(digest) => RunJson::Simulated {
                digest: format!("{digest:032x}"),
                events: run.events,
                misses: run.misses.clone(),
                seed: number,
            },
            None => RunJson::Real { run: number },
        };
        let all = ManyJson {
            count: self.count,
            metrics,
            runs: self.runs.iter().map(run).collect(),
            scenario: &self.scenario,
            schema: 1,
            source: self.source,
            version: &self.version,
        };
        serde_json::to_string_pretty(&all).expect("figures are valid JSON") + "\n"
    }

    /// One row a run, one column a figure that any run has; empty where a run does not have it.
    fn to_csv(&self) -> String {
        let names: Vec<&str> = self.columns.keys().map(String::as_str).collect();
        let mut out = format!("run,{}\n", names.join(","));
        let mut columns: Vec<_> = names.iter().map(|name| self.values(name)).collect();
        for number in self.runs() {
            let _ = write!(out, "{number}");
            for column in &mut columns {
                let _ = match column.next().flatten() {
                    Some(value) => write!(out, ",{value}"),
                    None => write!(out, ","),
                };
            }
            out.push('\n');
        }
        out
    }

    fn ecdf(&self, title: &str, unit: &str, series: &[(&str, &str)]) -> EcdfChart {
        let present = series.iter().filter_map(|(metric, name)| {
            let sample: Vec<f64> = self.values(metric).flatten().collect();
            (!sample.is_empty()).then(|| (name.to_string(), sample))
        });
        let title = format!("{}: {title}", self.scenario);
        EcdfChart { title, unit: unit.into(), series: present.collect() }
    }

    /// The files: names and contents.
    pub fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let n = self.runs.len();
        let mut paths: Vec<Vec<f64>> = self.runs.values().flat_map(|run| run.paths.clone()).collect();
        let phases = StackedBars::paths(ranked(&mut paths));
        let mut causes = CauseBars { scenario: self.scenario.clone(), n, rows: Vec::new() };
        for cause in Cause::ALL {
            let name = format!("lost.{}", cause.as_str());
            let sample: Vec<f64> = self.values(&name).map(|value| value.unwrap_or(0.0)).collect();
            if sample.iter().any(|count| *count > 0.0) {
                causes.rows.push((cause, sample));
            }
        }
        let failover = self.ecdf("first failover, time after the fault", "s", &STEPS);
        let outages = self.ecdf("longest time without success", "s", &OUTAGES);
        let losses = self.ecdf("lost in a run", "messages or writes", &LOSSES);
        let loss = LossOverTime { scenario: &self.scenario, n, frame: &self.frame, data: &self.over_time };
        let latency = LatencyOverTime { scenario: &self.scenario, n, frame: &self.frame, data: &self.over_time };
        let light = Theme::Light;
        let contents: [&(dyn Fn() -> String + Sync); FILES.len()] = [
            &|| self.to_json(),
            &|| self.to_csv(),
            &|| failover.svg(light),
            &|| outages.svg(light),
            &|| losses.svg(light),
            &|| phases.svg(light),
            &|| causes.svg(light),
            &|| loss.svg(light),
            &|| latency.svg(light),
        ];
        FILES.into_par_iter().zip(contents).map(|(name, content)| (name, content().into_bytes())).collect()
    }

    /// Writes the files into the folder `dir`, all of them or none; returns their paths.
    pub fn write(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        write_folder(dir, &self.files(), &FILES)
    }
}

/// All failovers, and those in the middle, near the end and at the end of their order by length.
fn ranked(paths: &mut [Vec<f64>]) -> Vec<(String, Vec<Vec<f64>>)> {
    let length = |path: &Vec<f64>| path.iter().sum::<f64>();
    paths.sort_by(|a, b| length(a).total_cmp(&length(b)));
    let mut rows = vec![("mean of all failovers".to_string(), paths.to_vec())];
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
