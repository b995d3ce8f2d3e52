//! Sweeps: every combination of some settings, under many seeds.
//!
//! Run `k` of every combination has the same seed, and with it the same luck (common random numbers): the difference
//! between two combinations is that of their settings. Rows come in one order, whatever the number of threads: run by
//! run, and within a run combination by combination. A shard is a contiguous part of that order, so that the parts put
//! one after the other are the whole.
//!
//! Memory does not grow with the number of runs: rows are written as they come, and what is kept of each combination and
//! metric is a [`Summary`] of bounded size.

mod parquet;
mod rows;
mod summary;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

pub use rows::{Columns, METRICS};
pub use summary::Summary;

use crate::analysis::Analysis;
use crate::scenario::{Scenario, ScenarioError};
use crate::world::{Keep, World};
use parquet::ParquetFile;
use rows::{CsvFile, Row};

/// A key of the scenario and the values that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The key's path, such as `sentinel.down-after-milliseconds`.
    pub key: String,
    /// Its values, as they would stand in the file.
    pub values: Vec<String>,
}

/// One value for each axis, and the scenario that it makes.
#[derive(Clone, Debug)]
pub struct Combination {
    /// By axis.
    pub values: Vec<String>,
    /// What is run.
    pub scenario: Arc<Scenario>,
}

/// Every combination of the axes' values; the last axis varies fastest.
///
/// # Errors
/// If a combination is no scenario.
pub fn combinations(source_name: &str, text: &str, axes: &[Axis]) -> Result<Vec<Combination>, ScenarioError> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for axis in axes {
        let extend = |prefix: &Vec<String>| {
            let prefix = prefix.clone();
            axis.values.iter().map(move |value| [prefix.clone(), vec![value.clone()]].concat())
        };
        all = all.iter().flat_map(extend).collect();
    }
    let combination = |values: Vec<String>| {
        let overrides: Vec<(&str, &str)> =
            axes.iter().zip(&values).map(|(axis, value)| (axis.key.as_str(), value.as_str())).collect();
        let scenario = Scenario::parse_with_overrides(source_name, text, &overrides)?;
        Ok(Combination { values, scenario: Arc::new(scenario) })
    };
    all.into_iter().map(combination).collect()
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
    pub fn range(self, rows: u64) -> std::ops::Range<u64> {
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

/// When a sweep is exact enough: the half width of the mean's 95 % confidence interval of a metric, in every combination.
#[derive(Clone, Debug, PartialEq)]
pub struct Until {
    /// The metric.
    pub metric: String,
    /// The half width.
    pub half_width: f64,
}

/// A sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
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
}

/// What a sweep found about one combination: by metric, in the order of [`METRICS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The values themselves.
    pub values: Vec<Summary>,
    /// Their differences from the baseline's value in the same run.
    pub differences: Vec<Summary>,
}

/// What a sweep found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// By combination.
    pub found: Vec<Found>,
    /// Rows that were written.
    pub rows: u64,
    /// The files.
    pub files: Vec<PathBuf>,
}

/// Rows that are worked out side by side before they are written.
const BATCH: u64 = 256;

/// Runs of each combination between two looks at the confidence intervals.
const LOOK: u64 = 16;

impl Sweep {
    /// The row with a number.
    fn row(&self, number: u64) -> Row {
        let count = self.combinations.len() as u64;
        let (run, place) = (number / count, (number % count) as usize);
        let combination = &self.combinations[place];
        let seed = self.seed + run;
        let mut world = World::new(combination.scenario.clone(), seed, Keep { records: true, trace: false });
        world.run();
        let result = world.finish();
        let metrics = Analysis::of(&result.recording, Some(&result.lost_writes)).metrics();
        let metrics = METRICS.iter().map(|name| metrics.get(name.as_str()).copied()).collect();
        Row { run, place, seed, digest: result.digest, events: result.events, metrics }
    }

    /// Runs the sweep and writes its rows into `folder`. `done` is called after each run.
    ///
    /// # Errors
    /// If a file cannot be written. No file is left half-written.
    pub fn run(&self, folder: &Path, done: &(dyn Fn() + Sync)) -> io::Result<Outcome> {
        let count = self.combinations.len() as u64;
        let columns = Columns::new(&self.axes);
        let stem = self.shard.stem();
        let files = [folder.join(format!("{stem}.csv")), folder.join(format!("{stem}.parquet"))];
        std::fs::create_dir_all(folder)?;
        let mut csv = CsvFile::create(&files[0], &columns, self.shard.index == 0)?;
        let mut parquet = ParquetFile::create(&files[1], &columns)?;
        let none = Found {
            values: vec![Summary::default(); METRICS.len()],
            differences: vec![Summary::default(); METRICS.len()],
        };
        let mut found = vec![none; self.combinations.len()];
        let range = self.shard.range(self.runs * count);
        let batch = if self.until.is_some() { LOOK * count } else { BATCH };
        let mut next = range.start;
        let mut pending: Vec<Row> = Vec::new();
        while next < range.end {
            let end = (next + batch).min(range.end);
            let work = |number| {
                let row = self.row(number);
                done();
                row
            };
            let rows: Vec<Row> = (next..end).into_par_iter().map(work).collect();
            for row in rows {
                let values = &self.combinations[row.place].values;
                csv.write(&row, values)?;
                parquet.write(&row, values)?;
                for (summary, value) in found[row.place].values.iter_mut().zip(&row.metrics) {
                    value.iter().for_each(|value| summary.add(*value));
                }
                pending.push(row);
                if pending.last().is_some_and(|row| row.place + 1 == self.combinations.len()) {
                    self.compare(&pending, &mut found);
                    pending.clear();
                }
            }
            next = end;
            if self.is_exact_enough(&found) {
                break;
            }
        }
        csv.finish()?;
        parquet.finish()?;
        Ok(Outcome { found, rows: next - range.start, files: files.to_vec() })
    }

    /// The differences within one run.
    fn compare(&self, rows: &[Row], found: &mut [Found]) {
        let Some(baseline) = self.baseline else { return };
        let Some(base) = rows.iter().find(|row| row.place == baseline) else { return };
        for row in rows.iter().filter(|row| row.place != baseline) {
            let pairs = row.metrics.iter().zip(&base.metrics);
            for (summary, pair) in found[row.place].differences.iter_mut().zip(pairs) {
                if let (Some(value), Some(base)) = pair {
                    summary.add(value - base);
                }
            }
        }
    }

    fn is_exact_enough(&self, found: &[Found]) -> bool {
        let Some(until) = &self.until else { return false };
        let Some(index) = METRICS.iter().position(|name| *name == until.metric) else { return false };
        let half =
            |found: &Found| found.values[index].mean_interval().map(|interval| (interval.high - interval.low) / 2.0);
        found.iter().all(|found| half(found).is_some_and(|half| half <= until.half_width))
    }
}

/// Puts the parts that the shards of a sweep wrote together: the files are those of the whole, byte for byte.
///
/// # Errors
/// If a part is missing or is none.
pub fn merge(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut parts: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("runs-") && name.contains("-of-") && name.ends_with(".csv") {
            parts.push(path);
        }
    }
    parts.sort();
    let of = parts.first().and_then(|path| {
        let stem = path.file_stem()?.to_string_lossy().into_owned();
        stem.rsplit('-').next()?.parse::<usize>().ok()
    });
    if of != Some(parts.len()) {
        let message = format!("{} parts are here, of {}", parts.len(), of.map_or("none".into(), |of| of.to_string()));
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    rows::merge(&parts, &folder.join("runs.csv"), &folder.join("runs.parquet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "duration = '8s'\nphase = '2s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";

    fn sweep(shard: Shard) -> Sweep {
        let values = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
        let axes = vec![
            Axis { key: "sentinel.down-after-milliseconds".into(), values: values(["1000", "3000"]) },
            Axis { key: "haproxy.inter".into(), values: values(["500ms", "1s"]) },
        ];
        let combinations = combinations("test.toml", TEXT, &axes).expect("good settings");
        Sweep { axes, combinations, seed: 3, runs: 5, shard, baseline: None, until: None }
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
        merge(parts.path()).expect("all parts are there");
        for name in ["runs.csv", "runs.parquet"] {
            assert_eq!(bytes(whole.path(), name), bytes(parts.path(), name), "{name}");
        }
        std::fs::remove_file(parts.path().join("runs-1-of-3.csv")).expect("it was there");
        assert!(merge(parts.path()).is_err());
    }

    #[test]
    fn the_same_seeds_are_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let sweep = Sweep { baseline: Some(0), ..sweep(Shard::WHOLE) };
        let outcome = sweep.run(folder.path(), &|| {}).expect("it can be written");
        let outage = METRICS.iter().position(|name| name == "set-outage-s").expect("a metric");
        let mean = |summary: &Summary| summary.mean().expect("there are values");
        let [base, other] = [&outcome.found[0], &outcome.found[3]];
        let difference = mean(&other.values[outage]) - mean(&base.values[outage]);
        assert!((mean(&other.differences[outage]) - difference).abs() < 1e-9);
        assert!(difference > 1.0, "two seconds more of down-after: {difference}");
    }

    #[test]
    fn an_override_that_leads_nowhere_is_refused() {
        let axes = [Axis { key: "sentinel.qorum".into(), values: vec!["1".into()] }];
        assert!(combinations("test.toml", TEXT, &axes).is_err());
    }
}
