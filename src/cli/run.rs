//! `sim run`: a scenario file in; timeline, summary and run folder out.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

use super::{Failure, VERSION, Verdict};
use crate::analysis::expect::{Miss, check};
use crate::analysis::stats::{describe, quantile};
use crate::analysis::{Analysis, RunFacts, Summary};
use crate::report::many::{Many, OneRun, QUANTILES};
use crate::report::{RunReport, lanes, settings, text, write_run_folder};
use crate::scenario::Scenario;
use crate::world::{Keep, RunResult, World};

/// Run a scenario: print what happened and why, and write the run folder
///
/// With --runs, the distribution over many seeds is printed instead; beside the run folder of the first seed, the folder
/// NAME-FIRST..LAST/ holds its charts and one row a run.
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

/// One run with what follows from it.
struct Run {
    result: RunResult,
    analysis: Analysis,
    misses: Vec<Miss>,
}

fn run(scenario: &Arc<Scenario>, seed: u64) -> Run {
    let mut world = World::new(scenario.clone(), seed, Keep { records: true, trace: false });
    world.run();
    let result = world.finish();
    let mut analysis = Analysis::of(&result.recording, Some(&result.lost_writes));
    analysis.name_settings(&result.recording, &settings(scenario));
    let misses = scenario.expect.as_ref().map_or(Vec::new(), |expect| check(expect, &analysis));
    Run { result, analysis, misses }
}

fn record(scenario: &Scenario, seed: u64, run: &Run, folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    let path = folder.join(format!("{}.{seed}.jsonl", scenario.name));
    run.result.recording.write(&path).map_err(Failure::io(path.display()))
}

/// Writes the run folder; answers its path.
fn write_folder(arguments: &Arguments, scenario: &Scenario, run: &Run) -> Result<PathBuf, Failure> {
    let seed = arguments.seed;
    let folder = arguments.out.join(format!("{}-{seed}", scenario.name));
    let report =
        report(run, &scenario.to_toml(seed, VERSION), &command(arguments), |report| write_run_folder(&folder, report));
    report.map_err(Failure::io(folder.display()))?;
    Ok(folder)
}

fn command(arguments: &Arguments) -> String {
    format!("sim run {} --seed {}", arguments.file.display(), arguments.seed)
}

fn report<R>(run: &Run, toml: &str, command: &str, use_it: impl FnOnce(&RunReport<'_>) -> R) -> R {
    use_it(&RunReport {
        recording: &run.result.recording,
        analysis: &run.analysis,
        digest: run.result.digest,
        events: run.result.events,
        version: VERSION,
        scenario_toml: toml,
        command,
    })
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
            write!(out, "{}", report(&run, "", &command(arguments), |report| text::text(report, &lanes)))?;
            if !run.result.was_ready {
                writeln!(
                    out,
                    "\nThe stack was never ready: no replication, or Sentinels that do not know each other."
                )?;
            }
            writeln!(out, "\nrun folder: {} (open report.html)", folder.display())?;
        }
    }
    let misses: Vec<String> = run.misses.iter().map(Miss::to_string).collect();
    verdict(&[(arguments.seed, &misses)], scenario, arguments.format, &mut out)
}

fn many(arguments: &Arguments, scenario: &Arc<Scenario>) -> Result<Verdict, Failure> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.jobs.unwrap_or(0) as usize)
        .build()
        .expect("threads can be started");
    let progress = progress(arguments.runs);
    // The first run sets the axes of the charts.
    let first = run(scenario, arguments.seed);
    let many = Mutex::new(Many::new(&first.analysis, &lanes::lanes(&first.result.recording), VERSION));
    write_folder(arguments, scenario, &first)?;
    let keep = |seed: u64, run: &Run| {
        record(scenario, seed, run, arguments.recordings.as_deref())?;
        let mut one = OneRun::of(&run.analysis);
        (one.digest, one.events) = (Some(run.result.digest), run.result.events);
        one.misses = run.misses.iter().map(Miss::to_string).collect();
        many.lock().expect("no thread panics while it adds a run").add(one, &run.analysis);
        progress.inc(1);
        Ok(())
    };
    keep(arguments.seed, &first)?;
    drop(first);
    pool.install(|| {
        (1..arguments.runs).into_par_iter().try_for_each(|k| {
            let seed = arguments.seed + k;
            keep(seed, &run(scenario, seed))
        })
    })
    .map_err(|error: Failure| error)?;
    progress.finish_and_clear();
    let many = many.into_inner().expect("no thread panics while it adds a run");
    let folder = arguments.out.join(many.folder());
    many.write(&folder).map_err(Failure::io(folder.display()))?;
    let mut out = anstream::stdout().lock();
    match arguments.format {
        Format::Json => write!(out, "{}", many.to_json())?,
        Format::Text => {
            table(scenario, &many, &mut out)?;
            writeln!(out, "\ncharts: {}", folder.display())?;
        }
    }
    let misses: Vec<(u64, &[String])> = many.runs().map(|run| (run.run, run.misses.as_slice())).collect();
    verdict(&misses, scenario, arguments.format, &mut out)
}

fn progress(runs: u64) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left").expect("the template is right");
    ProgressBar::with_draw_target(Some(runs), target).with_style(style)
}

fn table(scenario: &Scenario, many: &Many, out: &mut impl Write) -> std::io::Result<()> {
    let seeds: Vec<u64> = many.runs().map(|run| run.run).collect();
    writeln!(out, "{}: {} runs, seeds {} to {}\n", scenario.name, seeds.len(), seeds[0], seeds[seeds.len() - 1])?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut header = vec!["", "runs", "mean"];
    header.extend(QUANTILES.map(|(name, _)| name));
    table.set_header(header);
    for (name, values) in many.samples() {
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

/// Says which expectations were missed; in JSON the runs carry them.
fn verdict(
    runs: &[(u64, &[String])],
    scenario: &Scenario,
    format: Format,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    let missed: Vec<&(u64, &[String])> = runs.iter().filter(|(_, misses)| !misses.is_empty()).collect();
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
