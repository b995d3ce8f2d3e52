//! `sim run`: a scenario file in; timeline, summary and run folder out.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

use super::{Failure, VERSION, Verdict};
use crate::analysis::expect::{Miss, check};
use crate::analysis::stats::{describe, quantile};
use crate::analysis::{Analysis, RunFacts, Summary};
use crate::explain;
use crate::kernel::{EventId, Span};
use crate::record::What;
use crate::report::{RunReport, lanes, metrics, text, write_run_folder};
use crate::scenario::{Scenario, units::parse_span};
use crate::world::{Keep, RunResult, World};

/// Run a scenario: print what happened and why, and write the run folder
///
/// With --runs, the distribution over many seeds is printed instead, and the folder is that of the first.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The scenario file
    file: PathBuf,
    /// Seed of the first run; run k uses seed + k
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    runs: u64,
    /// How many runs at a time; the results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// Where the run folder NAME-SEED/ goes
    #[arg(long, value_name = "DIR", default_value = "output")]
    out: PathBuf,
    /// Write one recording a run into this folder, as NAME.SEED.jsonl
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// How far apart the scrapes in metrics.om are
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = scrape_interval)]
    scrape_interval: Span,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A timeline and tables
    Text,
    /// The summary as JSON
    Json,
}

/// A scrape interval: Prometheus counts in milliseconds.
fn scrape_interval(text: &str) -> Result<Span, String> {
    let span = parse_span(text).map_err(|error| error.to_string())?;
    if span < Span::from_millis(1) { Err("at least 1ms: metrics have no finer times".into()) } else { Ok(span) }
}

/// One run with what follows from it.
struct Run {
    result: RunResult,
    analysis: Analysis,
    misses: Vec<Miss>,
}

/// What is kept of one run among many.
struct Row {
    seed: u64,
    digest: u128,
    events: u64,
    metrics: BTreeMap<String, f64>,
    misses: Vec<Miss>,
}

fn run(scenario: &Arc<Scenario>, seed: u64) -> Run {
    let mut world = World::new(scenario.clone(), seed, Keep { records: true, trace: false });
    world.run();
    let result = world.finish();
    let lost: Vec<u32> = result.lost_writes.iter().map(|&(_, seq)| seq).collect();
    let analysis = Analysis::of(&result.recording, Some(&lost));
    let misses = scenario.expect.as_ref().map_or(Vec::new(), |expect| check(expect, &analysis));
    Run { result, analysis, misses }
}

fn record(scenario: &Scenario, seed: u64, run: &Run, folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    let path = folder.join(format!("{}.{seed}.jsonl", scenario.name));
    run.result.recording.write(&path).map_err(Failure::io(path.display()))
}

/// Writes the run folder; answers its path.
fn write_folder(arguments: &Arguments, scenario: &Arc<Scenario>, run: &Run) -> Result<PathBuf, Failure> {
    let seed = arguments.seed;
    let folder = arguments.out.join(format!("{}-{seed}", scenario.name));
    let (toml, command, causes) = (scenario.to_toml(seed, VERSION), command(arguments), causes(scenario, seed, run));
    let report = RunReport { causes: &causes, scrape: arguments.scrape_interval, ..report(run, &toml, &command) };
    write_run_folder(&folder, &report).map_err(Failure::io(folder.display()))?;
    Ok(folder)
}

fn command(arguments: &Arguments) -> String {
    format!("sim run {} --seed {}", arguments.file.display(), arguments.seed)
}

/// What led to each log line, by event.
type Causes = BTreeMap<EventId, Vec<explain::Cause>>;

/// The run once more with its trace, for the causes of its log lines; none for a run with so many events that the trace
/// would cost more than it tells.
fn causes(scenario: &Arc<Scenario>, seed: u64, run: &Run) -> Causes {
    const EVENTS_MAX: u64 = 1_000_000;
    if run.result.events > EVENTS_MAX {
        return Causes::new();
    }
    let Ok(traced) = explain::Traced::run(scenario.clone(), seed) else { return Causes::new() };
    let lines = run.result.recording.records.iter().filter(|record| matches!(record.what, What::Event(_)));
    lines.map(|record| (record.during, traced.causes_of(record))).collect()
}

fn report<'a>(run: &'a Run, toml: &'a str, command: &'a str) -> RunReport<'a> {
    RunReport {
        recording: &run.result.recording,
        analysis: &run.analysis,
        digest: run.result.digest,
        events: run.result.events,
        version: VERSION,
        scenario_toml: toml,
        command,
        causes: const { &Causes::new() },
        scrape: metrics::SCRAPE,
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let scenario = Arc::new(Scenario::load(&arguments.file).map_err(|error| Failure::Bad(error.into()))?);
    if let Some(folder) = &arguments.recordings {
        std::fs::create_dir_all(folder).map_err(Failure::io(folder.display()))?;
    }
    if arguments.runs == 1 { one(arguments, &scenario) } else { many(arguments, &scenario) }
}

fn one(arguments: &Arguments, scenario: &Arc<Scenario>) -> Result<Verdict, Failure> {
    let run = run(scenario, arguments.seed);
    record(scenario, arguments.seed, &run, arguments.recordings.as_deref())?;
    let folder = write_folder(arguments, scenario, &run)?;
    let mut out = anstream::stdout().lock();
    match arguments.format {
        Format::Json => {
            let facts = RunFacts {
                version: VERSION.into(),
                digest: format!("{:032x}", run.result.digest),
                events: run.result.events,
            };
            write!(out, "{}", Summary::new(&run.analysis, &facts).to_json())?;
        }
        Format::Text => {
            let lanes = lanes::lanes(&run.result.recording);
            write!(out, "{}", text::text(&report(&run, "", &command(arguments)), &lanes))?;
            if !run.result.was_ready {
                writeln!(
                    out,
                    "\nThe stack was never ready: no replication, or Sentinels that do not know each other."
                )?;
            }
            writeln!(out, "\nrun folder: {} (open report.html)", folder.display())?;
        }
    }
    verdict(&[(arguments.seed, &run.misses)], scenario, arguments.format, &mut out)
}

fn many(arguments: &Arguments, scenario: &Arc<Scenario>) -> Result<Verdict, Failure> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.jobs.unwrap_or(0) as usize)
        .build()
        .expect("threads can be started");
    let progress = progress(arguments.runs);
    let rows: Result<Vec<Row>, Failure> = pool.install(|| {
        (0..arguments.runs)
            .into_par_iter()
            .map(|k| {
                let seed = arguments.seed + k;
                let run = run(scenario, seed);
                record(scenario, seed, &run, arguments.recordings.as_deref())?;
                if k == 0 {
                    write_folder(arguments, scenario, &run)?;
                }
                progress.inc(1);
                let metrics = run.analysis.metrics();
                let (digest, events) = (run.result.digest, run.result.events);
                Ok(Row { seed, digest, events, metrics, misses: run.misses })
            })
            .collect()
    });
    progress.finish_and_clear();
    let rows = rows?;
    let mut out = anstream::stdout().lock();
    match arguments.format {
        Format::Json => json(scenario, &rows, &mut out)?,
        Format::Text => table(scenario, &rows, &mut out)?,
    }
    let misses: Vec<(u64, &Vec<Miss>)> = rows.iter().map(|row| (row.seed, &row.misses)).collect();
    verdict(&misses, scenario, arguments.format, &mut out)
}

fn progress(runs: u64) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left").expect("the template is right");
    ProgressBar::with_draw_target(Some(runs), target).with_style(style)
}

/// The samples of every figure, over the runs that have it.
fn samples(rows: &[Row]) -> BTreeMap<&str, Vec<f64>> {
    let mut samples: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in rows.iter().flat_map(|row| &row.metrics) {
        samples.entry(name).or_default().push(*value);
    }
    samples
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

fn table(scenario: &Scenario, rows: &[Row], out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}: {} runs, seeds {} to {}\n", scenario.name, rows.len(), rows[0].seed, rows[rows.len() - 1].seed)?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut header = vec!["", "runs", "mean"];
    header.extend(QUANTILES.map(|(name, _)| name));
    table.set_header(header);
    for (name, values) in samples(rows) {
        let Some(mean) = describe(&values).map(|description| description.mean) else { continue };
        let mut cells = vec![name.to_string(), values.len().to_string(), format!("{mean:.3}")];
        cells.extend(QUANTILES.map(|(_, p)| quantile(&values, p).map_or("-".into(), |value| format!("{value:.3}"))));
        table.add_row(cells);
    }
    for column in 1..3 + QUANTILES.len() {
        table.column_mut(column).expect("the column exists").set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")
}

fn json(scenario: &Scenario, rows: &[Row], out: &mut impl Write) -> std::io::Result<()> {
    let metrics: BTreeMap<&str, serde_json::Value> = samples(rows)
        .into_iter()
        .map(|(name, values)| {
            let mean = describe(&values).map(|description| description.mean);
            let mut figure = serde_json::json!({ "runs": values.len(), "mean": mean });
            for (name, p) in QUANTILES {
                figure[name] = serde_json::json!(quantile(&values, p));
            }
            (name, figure)
        })
        .collect();
    let runs: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            let misses: Vec<String> = row.misses.iter().map(Miss::to_string).collect();
            serde_json::json!({
                "seed": row.seed,
                "digest": format!("{:032x}", row.digest),
                "events": row.events,
                "misses": misses,
            })
        })
        .collect();
    let all = serde_json::json!({
        "schema": 1,
        "scenario": scenario.name,
        "version": VERSION,
        "metrics": metrics,
        "runs": runs,
    });
    writeln!(out, "{}", serde_json::to_string_pretty(&all).expect("figures are valid JSON"))
}

/// Says which expectations were missed; in JSON the runs carry them.
fn verdict(
    runs: &[(u64, &Vec<Miss>)],
    scenario: &Scenario,
    format: Format,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    let missed: Vec<&(u64, &Vec<Miss>)> = runs.iter().filter(|(_, misses)| !misses.is_empty()).collect();
    if format == Format::Text && scenario.expect.is_some() {
        if missed.is_empty() {
            writeln!(out, "\nexpectations: all met")?;
        }
        const SHOWN: usize = 10;
        for (seed, misses) in missed.iter().take(SHOWN) {
            for miss in misses.iter() {
                writeln!(out, "\nexpectation missed with seed {seed}: {miss}")?;
            }
        }
        if missed.len() > SHOWN {
            writeln!(out, "… and in {} more runs", missed.len() - SHOWN)?;
        }
    }
    Ok(if missed.is_empty() { Verdict::Fine } else { Verdict::Missed })
}
