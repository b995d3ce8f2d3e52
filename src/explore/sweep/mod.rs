//! Sweeps: a grid or a random sample of settings, under many seeds.
//!
//! Run `k` of every combination has the same seed, and with it the same luck (common random numbers): every entity draws
//! from a stream of its own, so that the difference between two combinations is that of their settings. Rows come in one
//! order, whatever the number of threads: run by run, and within a run combination by combination. A shard is a
//! contiguous part of that order, so that the parts put one after the other are the whole.
//!
//! - `axis`: what varies, and the settings that follow; `stopping`: when the intervals are narrow enough.
//! - `rows`, `parquet`, `cell`: one row a run; `summary`: what is kept of a sample; `pauses`: false failovers a day.
//!
//! Memory does not grow with the number of runs: rows are written as they come, and what is kept of each combination and
//! metric is a `Summary` of bounded size.

pub mod axis;
mod cell;
#[cfg(feature = "charts")]
mod charts;
#[cfg(feature = "charts")]
mod page;
mod parquet;
pub(crate) mod pauses;
mod rows;
mod stopping;
mod thrift;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use axis::Axis;
pub use cell::{Cell, Kind};
pub use rows::{Columns, Key};
pub use stopping::Until;

use crate::analysis::Analysis;
use crate::analysis::metrics::Metric;
use crate::analysis::sample::Summary;
use crate::explore::in_order;
use crate::files;
use crate::scenario::unmet;
use crate::scenario::{Scenario, ScenarioError};
use crate::world::{Keep, RunResult, World};
use parquet::ParquetFile;
use pauses::{DailyCost, Pause, PauseRun, Pauses, PausesCsv};
use rows::{CsvFile, Row};

/// One value for each axis, and the scenario that it makes.
#[derive(Clone, Debug)]
pub struct Combination {
    /// By axis.
    pub values: Vec<String>,
    /// What is run.
    pub scenario: Arc<Scenario>,
}

/// The scenarios of some settings, each with one value for each axis.
///
/// # Errors
/// If one of them is no scenario.
pub fn combinations(
    source_name: &str,
    text: &str,
    axes: &[Axis],
    settings: Vec<Vec<String>>,
) -> Result<Vec<Combination>, ScenarioError> {
    let combination = |values: Vec<String>| {
        let overrides: Vec<(&str, &str)> =
            axes.iter().zip(&values).map(|(axis, value)| (axis.key.as_str(), value.as_str())).collect();
        let scenario = Scenario::parse_with_overrides(source_name, text, &overrides)?;
        Ok(Combination { values, scenario: Arc::new(scenario) })
    };
    settings.into_iter().map(combination).collect()
}

/// A part of a sweep: which, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u64,
    /// How many parts there are.
    pub of: u64,
}

impl Shard {
    /// The whole sweep.
    pub const WHOLE: Shard = Shard { index: 0, of: 1 };

    /// Its rows, of so many.
    pub fn range(self, rows: u64) -> Range<u64> {
        assert!(self.index < self.of, "a shard is one of its number");
        let border = |index: u64| (u128::from(rows) * u128::from(index) / u128::from(self.of)) as u64;
        border(self.index)..border(self.index + 1)
    }

    /// The name of its files, without the ending: `runs`, or `runs-03-of-16`.
    pub fn stem(self) -> String {
        match self.of {
            1 => "runs".to_owned(),
            of => format!("runs-{:0width$}-of-{of}", self.index, width = of.to_string().len()),
        }
    }
}

/// A sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What the user calls the scenario, for commands to copy.
    pub file: String,
    /// The keys that vary.
    pub axes: Vec<Axis>,
    /// Their combinations.
    pub combinations: Vec<Combination>,
    /// The seed of run 0; run k has this plus k.
    pub seed: u64,
    /// Runs of each combination; with `until`, at most so many.
    pub runs: u64,
    /// Which part of the rows.
    pub shard: Shard,
    /// The combination with which the others are compared run by run.
    pub baseline: Option<usize>,
    /// When to stop early.
    pub until: Option<Until>,
    /// Pauses of the master, to count false failovers.
    pub pauses: Option<Pauses>,
    /// Whether an interrupted sweep of the same settings in the same folder goes on where it ended.
    pub resume: bool,
    /// Metrics that are drawn; the first one that is an outage is weighed against false failovers.
    pub charts: Vec<Metric>,
}

/// What a sweep found about one combination: by metric, in the order of their table.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The values themselves.
    pub values: Vec<Summary>,
    /// Their differences from the baseline's value in the same run.
    pub differences: Vec<Summary>,
    /// By metric: its greatest value, and the first seed that has it.
    pub worst: Vec<Option<(f64, u64)>>,
    /// Runs that met the scenario's expectations.
    pub met: u64,
    /// Runs of a scenario with expectations.
    pub judged: u64,
}

/// What a sweep found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// By combination.
    pub found: Vec<Found>,
    /// By combination, what the pauses of a day cost; empty without a model of pauses.
    pub daily: Vec<DailyCost>,
    /// Rows that were written.
    pub rows: u64,
    /// Runs whose stack was never ready, so that nothing is known of them, and what was missing in the first.
    pub unready: Option<(u64, String)>,
    /// The files.
    pub files: Vec<PathBuf>,
}

impl Found {
    /// Nothing yet.
    fn none() -> Found {
        let empty = || vec![Summary::default(); Metric::count()];
        Found { values: empty(), differences: empty(), worst: vec![None; Metric::count()], met: 0, judged: 0 }
    }

    /// Counts a run.
    fn add(&mut self, row: &Row) {
        for ((summary, worst), value) in self.values.iter_mut().zip(&mut self.worst).zip(&row.metrics) {
            let Some(number) = value.map(|value| value.number()) else { continue };
            summary.add(number);
            if worst.is_none_or(|(most, _)| number > most) {
                *worst = Some((number, row.seed));
            }
        }
        self.judged += u64::from(row.met.is_some());
        self.met += u64::from(row.met == Some(true));
    }
}

/// What parts of a sweep came to, put together.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Whether every run met its scenario's expectations.
    pub met: bool,
    /// The keys that vary.
    pub keys: Vec<String>,
    /// The values of each setting, as a scenario would say them, and what was found of it.
    pub settings: Vec<(Vec<String>, Found)>,
}

/// What has come of a sweep so far.
struct Progress {
    csv: CsvFile,
    parquet: ParquetFile,
    found: Vec<Found>,
    added: u64,
    /// The rows of the run that is not complete.
    pending: Vec<Row>,
    unready: Option<(u64, String)>,
}

impl Progress {
    fn add(&mut self, sweep: &Sweep, cells: &[Vec<Cell>], row: Row) -> io::Result<()> {
        self.added += 1;
        self.csv.write(&row, &cells[row.place])?;
        self.parquet.write(&row, &cells[row.place])?;
        self.found[row.place].add(&row);
        if let Some(why) = &row.unready {
            self.unready.get_or_insert((0, why.clone())).0 += 1;
        }
        self.pending.push(row);
        if self.pending.last().is_some_and(|row| row.place + 1 == sweep.combinations.len()) {
            sweep.compare(&self.pending, &mut self.found);
            self.pending.clear();
        }
        Ok(())
    }
}

/// What the rows of a sweep that was interrupted are called.
fn partial(path: &Path) -> PathBuf {
    let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_extension(format!("partial.{ending}"))
}

/// A run and what follows from it.
fn analysed(scenario: Arc<Scenario>, seed: u64) -> (RunResult, Analysis) {
    let mut world = World::new(scenario, seed, Keep { records: true, trace: false });
    world.run();
    let result = world.finish();
    let analysis = Analysis::of(&result.recording, Some(&result.lost_writes));
    (result, analysis)
}

impl Sweep {
    /// Whether its settings are a random sample, and no grid.
    pub fn is_sampled(&self) -> bool {
        let every = self.axes.iter().map(|axis| match &axis.values {
            axis::Values::Listed(values) => values.len(),
            axis::Values::Between(_) => 0,
        });
        every.product::<usize>() != self.combinations.len()
    }

    /// The outage that is weighed against false failovers.
    pub fn outage_metric(&self) -> Metric {
        let is_outage = |metric: &&Metric| metric.name().ends_with("-outage") || metric.name() == "receive-gap";
        self.charts.iter().find(is_outage).copied().unwrap_or_else(|| Metric::named("set-outage"))
    }

    /// The row with a number.
    fn row(&self, number: u64) -> Row {
        let count = self.combinations.len() as u64;
        let (run, place) = (number / count, (number % count) as usize);
        let combination = &self.combinations[place];
        let seed = self.seed + run;
        let (result, analysis) = analysed(combination.scenario.clone(), seed);
        let unready = result.unready.map(|unready| format!("seed {seed}: {unready}"));
        // What was not played is unknown, and meets nothing.
        let is_met = |expect| unready.is_none() && unmet(expect, &analysis).is_empty();
        let met = combination.scenario.expect.as_ref().map(is_met);
        let known = |value: &Option<_>| if unready.is_none() { *value } else { None };
        let metrics = analysis.figures().iter().map(|(_, figure)| known(&figure.value())).collect();
        Row { place, seed, digest: result.digest, events: result.events, met, metrics, unready }
    }

    /// Draws what came of it.
    #[cfg(feature = "charts")]
    fn with_charts(&self, mut outcome: Outcome, folder: &Path) -> io::Result<Outcome> {
        outcome.files.extend(charts::write(self, &outcome, folder)?);
        Ok(outcome)
    }

    /// There is nothing to draw with.
    #[cfg(not(feature = "charts"))]
    fn with_charts(&self, outcome: Outcome, _: &Path) -> io::Result<Outcome> {
        Ok(outcome)
    }

    /// Runs the sweep and writes its rows into `folder`. `done` is called after each run.
    ///
    /// If the process was interrupted, it ends early: the rows that were complete by then are
    /// written into files of their own, `runs.partial.csv` and `runs.partial.parquet`, so that nobody takes them for all.
    ///
    /// # Errors
    /// If a file cannot be written. No file is left half-written.
    pub fn run(&self, folder: &Path, done: &(dyn Fn() + Sync)) -> io::Result<Outcome> {
        let count = self.combinations.len() as u64;
        let columns = Columns::new(&self.axes, &self.combinations);
        let cells: Vec<Vec<Cell>> =
            self.combinations.iter().map(|combination| columns.cells(&combination.values)).collect();
        let stem = self.shard.stem();
        let mut paths = [folder.join(format!("{stem}.csv")), folder.join(format!("{stem}.parquet"))];
        std::fs::create_dir_all(folder)?;
        let range = self.shard.range(self.runs * count);
        let partial = paths.clone().map(|path| partial(&path));
        let known = if self.resume { self.known(&partial[0], &columns, &cells, range.clone())? } else { Vec::new() };
        let mut progress = Progress {
            csv: CsvFile::create(&paths[0], &columns, self.shard.index == 0)?,
            parquet: ParquetFile::create(&paths[1], &columns)?,
            found: vec![Found::none(); self.combinations.len()],
            added: 0,
            pending: Vec::new(),
            unready: None,
        };
        self.run_rows(range, known, &cells, &mut progress, done)?;
        let Progress { csv, parquet, found, added, unready, .. } = progress;
        let is_cut = files::interrupted().is_some();
        if is_cut {
            paths.clone_from(&partial);
        }
        csv.finish_as(&paths[0])?;
        parquet.finish_as(&paths[1])?;
        if !is_cut {
            partial.iter().for_each(|path| drop(std::fs::remove_file(path)));
        }
        let (rows, mut files) = (added, paths.to_vec());
        if is_cut {
            return Ok(Outcome { found, daily: Vec::new(), rows, unready, files });
        }
        let daily = match &self.pauses {
            None => Vec::new(),
            Some(pauses) => {
                files.push(folder.join("pauses.csv"));
                self.run_pauses(pauses, rows.div_ceil(count), &files[2], &columns, done)?
            }
        };
        let outcome = Outcome { found, daily, rows, unready, files };
        if self.shard == Shard::WHOLE { self.with_charts(outcome, folder) } else { Ok(outcome) }
    }

    /// Makes the rows of a range, the `known` ones being its first, until they are all there, are enough, or the process
    /// is interrupted.
    fn run_rows(
        &self,
        range: Range<u64>,
        known: Vec<Row>,
        cells: &[Vec<Cell>],
        progress: &mut Progress,
        done: &(dyn Fn() + Sync),
    ) -> io::Result<()> {
        let count = self.combinations.len() as u64;
        let (mut next, mut look) = (range.start, 0);
        for row in known {
            done();
            next += 1;
            progress.add(self, cells, row)?;
        }
        while next < range.end {
            let border = match self.until {
                Some(_) => {
                    look = stopping::next_look(look);
                    look * count
                }
                None => range.end,
            };
            // Of an interrupted sweep: there it did not stop.
            if border <= next {
                continue;
            }
            let end = border.min(range.end);
            let work = |number| {
                if files::interrupted().is_some() {
                    return Err(io::Error::from(io::ErrorKind::Interrupted));
                }
                let row = self.row(number);
                done();
                Ok::<_, io::Error>(row)
            };
            match in_order(next..end, work, |row: Row| progress.add(self, cells, row)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => break,
                done => done?,
            }
            next = end;
            if self.until.as_ref().is_some_and(|until| until.is_reached(&progress.found, self.baseline)) {
                break;
            }
        }
        Ok(())
    }

    /// The rows that an interrupted sweep left, if they are the first of this one.
    fn known(&self, path: &Path, columns: &Columns, cells: &[Vec<Cell>], range: Range<u64>) -> io::Result<Vec<Row>> {
        let other = |why: &str| {
            let why = format!("{}: {why}; leave --resume out to begin anew", path.display());
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        };
        if !path.exists() {
            return other("there is no interrupted sweep to resume");
        }
        let mut known = rows::read(path, columns, self.shard.index == 0)?;
        let count = self.combinations.len() as u64;
        for ((row, values), number) in known.iter_mut().zip(range.clone()) {
            row.place = (number % count) as usize;
            if row.seed != self.seed + number / count || *values != cells[row.place] {
                return other("these are rows of another sweep");
            }
        }
        if known.len() as u64 > range.end - range.start {
            return other("these are more rows than this sweep has");
        }
        // The first and the last once more: neither the scenario nor the program is another.
        for (number, (row, _)) in
            [known.first().map(|row| (0, row)), known.last().map(|row| (known.len() - 1, row))].into_iter().flatten()
        {
            if self.row(range.start + number as u64).digest != row.digest {
                return other("the scenario or the program has changed since");
            }
        }
        Ok(known.into_iter().map(|(row, _)| row).collect())
    }

    /// As many runs of each combination with a pause of the master as there were with the scenario's own faults.
    fn run_pauses(
        &self,
        pauses: &Pauses,
        runs: u64,
        path: &Path,
        columns: &Columns,
        done: &(dyn Fn() + Sync),
    ) -> io::Result<Vec<DailyCost>> {
        let count = self.combinations.len() as u64;
        let sample = pauses.sample(runs, self.seed);
        let mut csv = PausesCsv::create(path, columns)?;
        let cells: Vec<Vec<Cell>> =
            self.combinations.iter().map(|combination| columns.cells(&combination.values)).collect();
        let mut daily = vec![DailyCost::default(); self.combinations.len()];
        let run = |number: u64| {
            let (pause, place) = (sample[(number / count) as usize], (number % count) as usize);
            let scenario = pauses.scenario(&self.combinations[place].scenario, pause);
            let (_, analysis) = analysed(Arc::new(scenario), self.seed + number / count);
            let metric = |name: &str| Metric::named(name).of(&analysis).number();
            done();
            let found = PauseRun {
                failovers: metric("failovers"),
                outage_s: metric("set-outage"),
                lost_sets: metric("lost-acked-sets"),
            };
            Ok::<_, io::Error>((number, found))
        };
        let add = |(number, found): (u64, PauseRun)| {
            let (k, place) = (number / count, (number % count) as usize);
            let pause: Pause = sample[k as usize];
            csv.write(self.seed + k, &cells[place], pause, found)?;
            daily[place].add(pauses.a_day, pause.weight, found);
            Ok(())
        };
        in_order(0..runs * count, run, add)?;
        csv.finish()?;
        Ok(daily)
    }

    /// The differences within one run.
    fn compare(&self, rows: &[Row], found: &mut [Found]) {
        let Some(baseline) = self.baseline else { return };
        let Some(base) = rows.iter().find(|row| row.place == baseline) else { return };
        for row in rows.iter().filter(|row| row.place != baseline) {
            let pairs = row.metrics.iter().zip(&base.metrics);
            for (summary, pair) in found[row.place].differences.iter_mut().zip(pairs) {
                if let (Some(value), Some(base)) = pair {
                    summary.add(value.number() - base.number());
                }
            }
        }
    }
}

/// Puts the parts that the shards of a sweep wrote together: the files are those of the whole, byte for byte. Returns them, and
/// whether every run met the scenario's expectations.
///
/// # Errors
/// If a part is missing, is none, is cut, or is of another sweep than the others.
pub fn merge(folder: &Path) -> io::Result<Merged> {
    let mut parts: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("runs-") && name.contains("-of-") && name.ends_with(".csv") {
            parts.push(path);
        }
    }
    parts.sort();
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let of = parts.first().and_then(|path| stem(path).rsplit('-').next()?.parse::<u64>().ok()).unwrap_or(0);
    let expected = (0..of).map(|index| Shard { index, of }.stem());
    if parts.is_empty() || !parts.iter().map(stem).eq(expected) {
        let here: Vec<String> = parts.iter().map(stem).collect();
        let message = format!("these are not all parts of one sweep: {}", here.join(", "));
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    rows::merge(&parts, &folder.join("runs.csv"), &folder.join("runs.parquet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "duration = '8s'\nphase = '2s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";

    fn sweep(shard: Shard) -> Sweep {
        of(&["sentinel.down-after-milliseconds=1000,3000", "haproxy.inter=500ms,1s"], shard)
    }

    fn of(axes: &[&str], shard: Shard) -> Sweep {
        let axes: Vec<Axis> = axes.iter().map(|text| Axis::parse(text).expect("a good axis")).collect();
        let settings = axis::settings(&axes, None, 3);
        let combinations = combinations("test.toml", TEXT, &axes, settings).expect("good settings");
        let charts = vec![Metric::named("set-outage")];
        Sweep {
            file: "test.toml".into(),
            axes,
            combinations,
            seed: 3,
            runs: 5,
            shard,
            baseline: None,
            until: None,
            pauses: None,
            resume: false,
            charts,
        }
    }

    fn bytes(folder: &Path, name: &str) -> Vec<u8> {
        std::fs::read(folder.join(name)).expect("the file is there")
    }

    #[test]
    fn rows_do_not_depend_on_threads_and_parts_are_the_whole() {
        let (whole, parts) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let outcome = sweep(Shard::WHOLE).run(whole.path(), &|| {}).expect("it can be written");
        assert_eq!((outcome.rows, outcome.found.len()), (20, 4));
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        for index in [2, 0, 1] {
            let part = sweep(Shard { index, of: 3 });
            one.install(|| part.run(parts.path(), &|| {})).expect("it can be written");
        }
        let merged = merge(parts.path()).expect("all parts are there");
        assert!(merged.settings.iter().map(|(_, found)| found).eq(&outcome.found), "what is found is found of parts");
        let values = sweep(Shard::WHOLE).combinations.into_iter().map(|combination| combination.values);
        assert!(merged.settings.iter().map(|(values, _)| values.clone()).eq(values));
        for name in ["runs.csv", "runs.parquet"] {
            assert_eq!(bytes(whole.path(), name), bytes(parts.path(), name), "{name}");
        }
        std::fs::remove_file(parts.path().join("runs-1-of-3.csv")).expect("it was there");
        assert!(merge(parts.path()).is_err());
        // A part of another sweep does not take the place of the one that is missing.
        std::fs::write(parts.path().join("runs-1-of-4.csv"), "").expect("it can be written");
        assert!(merge(parts.path()).is_err());
    }

    #[test]
    fn an_interrupted_sweep_goes_on_and_no_other_does() {
        let (whole, cut) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        sweep(Shard::WHOLE).run(whole.path(), &|| {}).expect("it can be written");
        let text = String::from_utf8(bytes(whole.path(), "runs.csv")).expect("it is text");
        let rows: Vec<&str> = text.split_inclusive('\n').take(8).collect();
        let path = cut.path().join("runs.partial.csv");
        std::fs::write(&path, rows.concat()).expect("it can be written");
        let resumed = |sweep: Sweep| Sweep { resume: true, ..sweep }.run(cut.path(), &|| {});
        for other in [Sweep { seed: 4, ..sweep(Shard::WHOLE) }, of(&["sentinel.quorum=2,3"], Shard::WHOLE)] {
            assert!(resumed(other).is_err());
        }
        let stale = cut.path().join("ecdf-two-masters.svg");
        std::fs::write(&stale, "of an earlier sweep").expect("it can be written");
        resumed(sweep(Shard::WHOLE)).expect("it goes on");
        for name in ["runs.csv", "runs.parquet"] {
            assert_eq!(bytes(whole.path(), name), bytes(cut.path(), name), "{name}");
        }
        assert!(!path.exists() && !stale.exists());
        assert!(resumed(sweep(Shard::WHOLE)).is_err(), "nothing is left to resume");
    }

    #[test]
    fn the_same_seeds_are_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let sweep = Sweep { baseline: Some(0), ..sweep(Shard::WHOLE) };
        let outcome = sweep.run(folder.path(), &|| {}).expect("it can be written");
        let outage = Metric::named("set-outage").index();
        let mean = |summary: &Summary| summary.mean().expect("there are values");
        let [base, other] = [&outcome.found[0], &outcome.found[3]];
        let difference = mean(&other.values[outage]) - mean(&base.values[outage]);
        assert!((mean(&other.differences[outage]) - difference).abs() < 1e-9);
        assert!(difference > 1.0, "two seconds more of down-after: {difference}");
    }

    #[test]
    fn a_setting_that_says_the_same_has_the_same_luck() {
        let folder = tempfile::tempdir().expect("a folder");
        of(&["haproxy.inter=1s,1000ms"], Shard::WHOLE).run(folder.path(), &|| {}).expect("it can be written");
        let text = String::from_utf8(bytes(folder.path(), "runs.csv")).expect("it is text");
        let digests: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(2).expect("a digest")).collect();
        assert_eq!(digests.len(), 10);
        assert!(digests.chunks(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
        assert_ne!(digests[0], digests[2], "another run is another luck");
    }

    #[test]
    fn pairs_tell_more_than_two_samples_would() {
        // A second of HAProxy's pace changes little of a run's luck: the difference varies less than its two sides.
        let folder = tempfile::tempdir().expect("a folder");
        let sweep =
            Sweep { baseline: Some(0), runs: 40, ..of(&["sentinel.down-after-milliseconds=3000,4000"], Shard::WHOLE) };
        let outcome = sweep.run(folder.path(), &|| {}).expect("it can be written");
        let metric = Metric::named("first-failover").index();
        let width =
            |summary: &Summary| summary.mean_interval().map(|found| found.high - found.low).expect("an interval");
        let [base, other] = [&outcome.found[0], &outcome.found[1]];
        let sides = libm::hypot(width(&base.values[metric]), width(&other.values[metric]));
        let paired = width(&other.differences[metric]);
        println!("paired {paired:.4}, unpaired {sides:.4}");
        assert!(paired < 0.8 * sides, "paired {paired}, unpaired {sides}");
    }

    #[test]
    fn a_sweep_stops_at_the_same_run_whatever_the_number_of_threads() {
        let until = Until { metric: Metric::named("set-outage"), half_width: 0.05 };
        let sweep = Sweep { runs: 400, until: Some(until.clone()), ..of(&["haproxy.inter=500ms,1s"], Shard::WHOLE) };
        let with_threads = |threads: usize| {
            let folder = tempfile::tempdir().expect("a folder");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let outcome = pool.install(|| sweep.run(folder.path(), &|| {})).expect("it can be written");
            assert!(until.widest(&outcome.found, None) <= 0.05);
            (outcome.rows, bytes(folder.path(), "runs.csv"), bytes(folder.path(), "runs.parquet"))
        };
        let one = with_threads(1);
        assert!((128..800).contains(&one.0), "it stops early, and not at once: {}", one.0);
        assert_eq!(one, with_threads(3));
    }

    #[test]
    fn longer_pauses_and_a_shorter_down_after_make_more_false_failovers() {
        let folder = tempfile::tempdir().expect("a folder");
        let pauses = Pauses::parse("100/day:exponential:1s").expect("a good model");
        let sweep = |kind| Sweep {
            runs: 24,
            pauses: Some(Pauses { kind, ..pauses.clone() }),
            ..of(&["sentinel.down-after-milliseconds=1000,3000"], Shard::WHOLE)
        };
        for kind in [pauses::PauseKind::Stall, pauses::PauseKind::Freeze, pauses::PauseKind::Unplug] {
            let outcome = sweep(kind).run(folder.path(), &|| {}).expect("it can be written");
            let a_day: Vec<f64> = outcome.daily.iter().map(|cost| cost.failovers.mean().expect("values")).collect();
            // A PING is sent once a second at most: pauses of down-after to down-after + 1 s are found out or not. What is
            // sent into a pulled cable is repeated after 0.2, 0.6 and 1.4 s: after 0.6 s of it the answer is too late.
            let shortest = if kind == pauses::PauseKind::Unplug { 0.6 } else { 1.0 };
            let (most, least) = (100.0 * libm::exp(-shortest), 100.0 * libm::exp(-2.5));
            assert!((least..1.4 * most).contains(&a_day[0]), "{kind:?}: {a_day:?}");
            assert!(a_day[1] < a_day[0] / 2.0 && a_day[1] > 0.0, "{kind:?}: {a_day:?}");
        }
        assert!(folder.path().join("tradeoff.svg").exists() && folder.path().join("pauses.csv").exists());
    }

    #[test]
    fn a_data_tool_reads_numbers_as_numbers() {
        use ::parquet::file::reader::{FileReader, SerializedFileReader};
        use ::parquet::record::Field;
        let folder = tempfile::tempdir().expect("a folder");
        let axes = ["sentinel.down-after-milliseconds=1000", "network.loss=0.0", "haproxy.inter=1s"];
        Sweep { runs: 2, ..of(&axes, Shard::WHOLE) }.run(folder.path(), &|| {}).expect("it can be written");
        let file = std::fs::File::open(folder.path().join("runs.parquet")).expect("it is there");
        let reader = SerializedFileReader::new(file).expect("it is a Parquet file");
        let rows: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
        assert_eq!(rows.len(), 2);
        let column = |name: &str| {
            let found = rows[1].get_column_iter().find(|(column, _)| *column == name);
            found.unwrap_or_else(|| panic!("a column {name}")).1.clone()
        };
        assert_eq!(column("sentinel.down-after-milliseconds"), Field::Long(1_000));
        assert_eq!(column("network.loss"), Field::Double(0.0));
        assert_eq!(column("haproxy.inter"), Field::Str("1s".into()));
        // The run is its seed: the sweep begins with 3.
        assert_eq!((column("run"), column("failovers")), (Field::Long(4), Field::Long(1)));
        // The scenario expects nothing, and nobody reads.
        assert_eq!((column("met"), column("get-outage")), (Field::Null, Field::Null));
        assert!(matches!(column("set-outage"), Field::Double(seconds) if seconds > 1.0));
    }

    #[test]
    fn an_override_that_leads_nowhere_is_refused() {
        let axes = [Axis::parse("sentinel.qorum=1").expect("it has a key and a value")];
        assert!(combinations("test.toml", TEXT, &axes, axis::settings(&axes, None, 1)).is_err());
    }
}
