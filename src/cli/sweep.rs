//! `sim sweep`: every combination of some settings, under many seeds.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, Verdict};
use crate::explore::sweep::{self, Axis, Combination, METRICS, Outcome, Shard, Summary, Sweep, Until};
use crate::scenario::Scenario;

/// Compare settings under the same luck
///
/// Runs every combination of the varied settings under the same seeds, prints a table of the main metrics with
/// confidence intervals, and writes one row a run to runs.csv and runs.parquet. The rows do not depend on --jobs, and
/// the parts of a sharded sweep put together (--merge) are the unsharded files.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The scenario; with --merge, the folder of the parts
    file: PathBuf,
    /// A key of the scenario and its values, such as sentinel.down-after-milliseconds=1000,2000,5000; a list in TOML
    /// (KEY=[[1,2],[3]]) has values with commas
    #[arg(long = "vary", value_name = "KEY=V1,V2,…", value_parser = axis)]
    axes: Vec<Axis>,
    /// Runs of each combination; with --until, at most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    runs: u64,
    /// Seed of the first run; run k of every combination uses seed + k
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads; 0: one a core
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Only this part of the rows, from 0/N; `auto` or `auto/N` asks the variables of a Slurm array or an Indexed Job
    #[arg(long, value_name = "I/N", value_parser = shard, conflicts_with_all = ["until", "baseline"])]
    shard: Option<Shard>,
    /// Folder for runs.csv and runs.parquet; default: output/NAME-sweep
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Metrics of the table
    #[arg(long = "metric", value_name = "NAME", value_parser = metric)]
    metrics: Vec<String>,
    /// Compare with the combination of these values, one for each --vary, run by run
    #[arg(long, value_name = "V1,V2,…")]
    baseline: Option<String>,
    /// Stop when the mean of this metric is known this well in every combination (95 %), such as set-outage-s=0.1
    #[arg(long, value_name = "METRIC=HALF-WIDTH", value_parser = until)]
    until: Option<Until>,
    /// Put the parts of a sharded sweep together
    #[arg(long, conflicts_with_all = ["axes", "shard", "until", "baseline"])]
    merge: bool,
}

const EXAMPLES: &str = "\
Examples:
  sim sweep scenarios/master-kill-container.toml --vary sentinel.down-after-milliseconds=1000,2000,5000
  sim sweep FILE --vary haproxy.inter=1s,2s --vary haproxy.rise=1,2,10 --baseline 1s,2 --until set-outage-s=0.05";

/// The metrics that are shown if none is asked for.
const MAIN: [&str; 6] =
    ["set-outage-s", "publish-outage-s", "receive-gap-s", "lost-acked-sets", "two-masters-s", "failovers"];

fn axis(text: &str) -> Result<Axis, String> {
    let (key, values) = text.split_once('=').ok_or("a key and its values: KEY=V1,V2")?;
    let values: Vec<String> = if values.starts_with('[') {
        let list: toml::Table =
            toml::from_str(&format!("list = {values}")).map_err(|error| error.message().to_owned())?;
        let list = list["list"].as_array().ok_or("a list of values")?;
        list.iter().map(ToString::to_string).collect()
    } else {
        values.split(',').map(|value| value.trim().to_owned()).collect()
    };
    if key.is_empty() || values.is_empty() || values.iter().any(String::is_empty) {
        return Err("a key and its values: KEY=V1,V2".into());
    }
    Ok(Axis { key: key.trim().to_owned(), values })
}

fn known_metric(name: &str) -> Result<(), String> {
    match METRICS.iter().any(|metric| metric == name) {
        true => Ok(()),
        false => Err(format!("there is no such metric; there are {}", METRICS.join(", "))),
    }
}

fn metric(name: &str) -> Result<String, String> {
    known_metric(name).map(|()| name.to_owned())
}

fn until(text: &str) -> Result<Until, String> {
    let (metric, width) = text.split_once('=').ok_or("METRIC=HALF-WIDTH")?;
    known_metric(metric)?;
    match width.parse::<f64>() {
        Ok(half_width) if half_width > 0.0 => Ok(Until { metric: metric.to_owned(), half_width }),
        _ => Err("the half width is a number above 0".into()),
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

fn shard(text: &str) -> Result<Shard, String> {
    let usage = || "a part such as 0/4 to 3/4, `auto` or `auto/N`".to_owned();
    let (index, of) = match text.split_once('/') {
        Some((index, of)) => (index, Some(of.parse::<u64>().map_err(|_| usage())?)),
        None if text == "auto" => ("auto", None),
        None => return Err(usage()),
    };
    let index = match index {
        "auto" => {
            let slurm =
                variable("SLURM_ARRAY_TASK_ID").map(|id| id - variable("SLURM_ARRAY_TASK_MIN").unwrap_or(0).min(id));
            let found = slurm.or_else(|| variable("JOB_COMPLETION_INDEX"));
            found.ok_or("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set")?
        }
        index => index.parse().map_err(|_| usage())?,
    };
    let of = of.or_else(|| variable("SLURM_ARRAY_TASK_COUNT")).ok_or("how many parts? Write auto/N")?;
    if index >= of {
        return Err(format!("part {index} of {of}: parts are numbered from 0 to {}", of.saturating_sub(1)));
    }
    Ok(Shard { index, of })
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::Bad(miette::Report::msg(message.into()))
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut out = anstream::stdout().lock();
    if arguments.merge {
        let files = sweep::merge(&arguments.file).map_err(Failure::io(arguments.file.display()))?;
        for file in files {
            writeln!(out, "{}", file.display())?;
        }
        return Ok(Verdict::Fine);
    }
    let name = arguments.file.display().to_string();
    // A file that cannot be read is told as `sim run` tells it.
    let scenario = Scenario::load(&arguments.file).map_err(|error| Failure::Bad(error.into()))?;
    let text = std::fs::read_to_string(&arguments.file).map_err(Failure::io(&name))?;
    let combinations =
        sweep::combinations(&name, &text, &arguments.axes).map_err(|error| Failure::Bad(error.into()))?;
    let baseline = match &arguments.baseline {
        None => None,
        Some(values) => {
            let values: Vec<&str> = values.split(',').map(str::trim).collect();
            let found = combinations.iter().position(|combination| combination.values == values);
            Some(
                found
                    .ok_or_else(|| bad(format!("--baseline {}: no combination has these values", values.join(","))))?,
            )
        }
    };
    let shard = arguments.shard.unwrap_or(Shard::WHOLE);
    let rows = shard.range(arguments.runs * combinations.len() as u64);
    let bar = progress(rows.end - rows.start);
    let sweep = Sweep {
        axes: arguments.axes.clone(),
        combinations,
        seed: arguments.seed,
        runs: arguments.runs,
        shard,
        baseline,
        until: arguments.until.clone(),
    };
    let threads = rayon::ThreadPoolBuilder::new().num_threads(arguments.jobs).build();
    let threads = threads.map_err(|error| Failure::Io("threads".into(), std::io::Error::other(error)))?;
    let folder =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("output").join(format!("{}-sweep", scenario.name)));
    let outcome = threads.install(|| sweep.run(&folder, &|| bar.inc(1)));
    bar.finish_and_clear();
    let outcome = outcome.map_err(Failure::io(folder.display()))?;
    print(arguments, &sweep, &outcome, &mut out)?;
    Ok(Verdict::Fine)
}

fn progress(runs: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs, {eta} left").expect("a good template");
    ProgressBar::new(runs).with_style(style)
}

fn print(arguments: &Arguments, sweep: &Sweep, outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
    let asked = &arguments.metrics;
    let wanted: Vec<&str> = if asked.is_empty() { MAIN.to_vec() } else { asked.iter().map(String::as_str).collect() };
    for name in wanted {
        let index = METRICS.iter().position(|metric| metric == name).expect("the names were checked");
        let values: Vec<&Summary> = outcome.found.iter().map(|found| &found.values[index]).collect();
        if values.iter().all(|summary| summary.count() == 0) {
            continue;
        }
        writeln!(out, "{name}\n{}\n", table(sweep, &values))?;
        if let Some(baseline) = sweep.baseline {
            let differences: Vec<&Summary> = outcome.found.iter().map(|found| &found.differences[index]).collect();
            let base = sweep.combinations[baseline].values.join(", ");
            writeln!(out, "{name}: difference from {base}, run by run\n{}\n", table(sweep, &differences))?;
        }
    }
    let runs = outcome.rows as f64 / sweep.combinations.len() as f64;
    writeln!(out, "{} runs, {runs} of each of {} combinations", outcome.rows, sweep.combinations.len())?;
    for file in &outcome.files {
        writeln!(out, "{}", file.display())?;
    }
    Ok(())
}

fn table(sweep: &Sweep, summaries: &[&Summary]) -> Table {
    let mut table = Table::new();
    let keys = sweep.axes.iter().map(|axis| axis.key.as_str());
    let header: Vec<&str> = keys.chain(["runs", "mean", "95 % interval", "p5", "p50", "p95", "p99", "max"]).collect();
    table.load_preset(presets::NOTHING).set_header(header);
    for (Combination { values, .. }, summary) in sweep.combinations.iter().zip(summaries) {
        if summary.count() == 0 {
            continue;
        }
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let interval = summary.mean_interval();
        let interval = interval.map_or("-".to_owned(), |found| format!("{:.3} … {:.3}", found.low, found.high));
        let figures = [
            summary.count().to_string(),
            number(summary.mean()),
            interval,
            number(summary.quantile(0.05)),
            number(summary.quantile(0.5)),
            number(summary.quantile(0.95)),
            number(summary.quantile(0.99)),
            number(summary.most()),
        ];
        let figures = figures.into_iter().map(|text| Cell::new(text).set_alignment(CellAlignment::Right));
        table.add_row(values.iter().map(Cell::new).chain(figures));
    }
    table
}
