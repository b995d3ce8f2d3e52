//! `sim run`: a scenario file in; timeline, summary and run folder out.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, VERSION, Verdict};
use crate::Run;
use crate::analysis::Miss;
use crate::analysis::{RunFacts, Summary};
use crate::explain;
use crate::explore::in_order;
use crate::kernel::{EventId, Span};
use crate::record::What;
use crate::report::many::{Many, OneRun, QUANTILES, SHOWN};
use crate::report::{CausalLink, RunReport, lanes, metrics, text, write_run_folder};
use crate::scenario::{Scenario, units::parse_span};
use crate::world::RunResult;

/// Run a scenario: print what happened and why, and write the run folder
///
/// With --runs, the distribution over many seeds is printed instead; beside the run folder of the first seed, the folder
/// NAME-FIRST..LAST/ holds its charts and one row a run.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The scenario: a file, a name that `sim list` shows, or `-` for standard input
    file: PathBuf,
    /// Seed of the first run; run k uses seed + k
    #[arg(long, default_value_t = 1, value_parser = super::seed())]
    seed: u64,
    /// How many runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    runs: u64,
    /// How many threads; 0: one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::jobs())]
    jobs: u64,
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
    /// Begin even if the machine has too little memory for it
    #[arg(long)]
    large: bool,
    #[command(flatten)]
    branching: super::branch::Arguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// A timeline and tables
    #[default]
    Text,
    /// The summary as JSON
    Json,
}

/// A scrape interval: Prometheus counts in milliseconds.
fn scrape_interval(text: &str) -> Result<Span, String> {
    let span = parse_span(text).map_err(|error| error.to_string())?;
    if span < Span::from_millis(1) { Err("at least 1ms: metrics have no finer times".into()) } else { Ok(span) }
}

fn record(scenario: &Scenario, seed: u64, run: &Run, folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    let path = folder.join(format!("{}.{seed}.jsonl", scenario.name));
    run.result.recording.write(&path).map_err(Failure::io(path.display()))
}

/// Refuses a run whose script was not played.
pub(super) fn ready(scenario: &Scenario, seed: u64, result: &RunResult) -> Result<(), Failure> {
    let Some(unready) = &result.unready else { return Ok(()) };
    Err(Failure::Bad(miette::miette!(
        help = "its settings never let it start: look at repl-timeout, the size of the data, rates and losses of links",
        "{} with seed {seed}: {unready}; the script was not played, and nothing was written",
        scenario.name
    )))
}

/// Writes the run folder; answers its path.
fn write_folder(arguments: &Arguments, scenario: &Arc<Scenario>, run: &Run) -> Result<PathBuf, Failure> {
    let seed = arguments.seed;
    let folder = arguments.out.join(format!("{}-{seed}", scenario.name));
    let (toml, command, causes) = (scenario.to_toml(seed, VERSION), command(arguments), causes(scenario, seed, run));
    let misses = misses(scenario, run);
    let report =
        RunReport { misses, causes: &causes, scrape: arguments.scrape_interval, ..report(run, &toml, &command) };
    write_run_folder(&folder, &report).map_err(Failure::io(folder.display()))?;
    Ok(folder)
}

fn command(arguments: &Arguments) -> String {
    format!("sim run {} --seed {}", arguments.file.display(), arguments.seed)
}

/// What led to each log line, by event.
pub(super) type Causes = BTreeMap<EventId, Vec<CausalLink>>;

/// The run once more with its trace, for the causes of its log lines; none for a run with so many events that the trace
/// would cost more than it tells.
pub(super) fn causes(scenario: &Arc<Scenario>, seed: u64, run: &Run) -> Causes {
    const EVENTS_MAX: u64 = 1_000_000;
    if run.result.events > EVENTS_MAX {
        return Causes::new();
    }
    let Ok(traced) = explain::Traced::run(scenario.clone(), seed) else { return Causes::new() };
    let lines = run.result.recording.records.iter().filter(|record| matches!(record.what, What::Event(_)));
    lines.map(|record| (record.during, traced.causes_of(record))).collect()
}

/// What a run missed; none if the scenario expects nothing.
fn misses<'a>(scenario: &Scenario, run: &'a Run) -> Option<&'a [Miss]> {
    scenario.expect.as_ref().map(|_| &run.misses[..])
}

fn report<'a>(run: &'a Run, toml: &'a str, command: &'a str) -> RunReport<'a> {
    RunReport {
        recording: &run.result.recording,
        analysis: &run.analysis,
        misses: None,
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
    let scenario = Arc::new(super::source::load(&arguments.file)?);
    if arguments.branching.wanted() {
        let task = super::branch::Task {
            scenario: &scenario,
            seed: arguments.seed,
            jobs: arguments.jobs,
            out: &arguments.out,
            format: arguments.format,
        };
        return super::branch::main(&arguments.branching, &task);
    }
    let counted = if arguments.runs == 1 { 0 } else { super::at_once(arguments.jobs, arguments.runs) };
    super::afford(scenario.cost(), arguments.runs, (1, counted), arguments.large)?;
    if let Some(folder) = &arguments.recordings {
        std::fs::create_dir_all(folder).map_err(Failure::io(folder.display()))?;
    }
    if arguments.runs == 1 { one(arguments, &scenario) } else { many(arguments, &scenario) }
}

fn one(arguments: &Arguments, scenario: &Arc<Scenario>) -> Result<Verdict, Failure> {
    let run = crate::run(scenario, arguments.seed);
    ready(scenario, arguments.seed, &run.result)?;
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
            write!(out, "{}", Summary::new(&run.analysis, misses(scenario, &run), &facts).to_json())?;
        }
        Format::Text => {
            let lanes = lanes::lanes(&run.result.recording);
            write!(out, "{}", text::text(&report(&run, "", &command(arguments)), &lanes))?;
            writeln!(out, "\nrun folder: {} (open report.html)", folder.display())?;
        }
    }
    let missed = usize::from(!run.misses.is_empty());
    verdict(missed, &[(arguments.seed, run.misses)], scenario, arguments.format, &mut out)
}

fn many(arguments: &Arguments, scenario: &Arc<Scenario>) -> Result<Verdict, Failure> {
    let pool = super::threads(arguments.jobs)?;
    let progress = progress(arguments.runs);
    // The first run sets the axes of the charts.
    let first = crate::run(scenario, arguments.seed);
    ready(scenario, arguments.seed, &first.result)?;
    let mut many = Many::new(&first.analysis, &lanes::lanes(&first.result.recording), VERSION)?;
    let frame = many.frame().clone();
    let one = |seed: u64, run: &Run| {
        ready(scenario, seed, &run.result)?;
        record(scenario, seed, run, arguments.recordings.as_deref())?;
        let mut one = OneRun::of(&run.analysis, &frame);
        (one.digest, one.events) = (Some(run.result.digest), run.result.events);
        one.misses = misses(scenario, run).map(<[Miss]>::to_vec);
        progress.inc(1);
        Ok(one)
    };
    many.add(one(arguments.seed, &first)?)?;
    let work = |k| one(arguments.seed + k, &crate::run(scenario, arguments.seed + k));
    let add = |one| many.add(one).map_err(Failure::from);
    let first_folder = move || write_folder(arguments, scenario, &first);
    let (written, done) = pool.install(|| rayon::join(first_folder, || in_order(1..arguments.runs, work, add)));
    written.and(done)?;
    progress.finish_and_clear();
    let folder = arguments.out.join(many.folder());
    pool.install(|| many.write(&folder)).map_err(Failure::io(folder.display()))?;
    let mut out = anstream::stdout().lock();
    match arguments.format {
        Format::Json => write!(out, "{}", many.to_json())?,
        Format::Text => {
            table(scenario, &many, &mut out)?;
            writeln!(out, "\ncharts: {}", folder.display())?;
        }
    }
    let (missed, shown) = many.missed();
    verdict(missed, shown, scenario, arguments.format, &mut out)
}

pub(super) fn progress(runs: u64) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left").expect("the template is right");
    ProgressBar::with_draw_target(Some(runs), target).with_style(style)
}

fn table(scenario: &Scenario, many: &Many, out: &mut impl Write) -> std::io::Result<()> {
    let (first, last) = many.range();
    writeln!(out, "{}: {} runs, seeds {first} to {last}\n", scenario.name, many.count())?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut header = vec!["", "runs", "mean"];
    header.extend(QUANTILES.map(|(name, _)| name));
    table.set_header(header);
    for (metric, sample, unknown) in many.figures() {
        // Files have them; a person reads the causes that there were.
        if metric.is_of_a_cause() && sample.most() == Some(0.0) {
            continue;
        }
        let mean = match (sample.mean(), unknown) {
            (Some(mean), _) => format!("{mean:.3}"),
            (None, 0) => continue,
            (None, _) => "unknown".into(),
        };
        let mut cells = vec![metric.name().to_owned(), sample.count().to_string(), mean];
        cells.extend(QUANTILES.map(|(_, p)| sample.quantile(p).map_or("-".into(), |value| format!("{value:.3}"))));
        table.add_row(cells);
    }
    for column in 1..3 + QUANTILES.len() {
        table.column_mut(column).expect("the column exists").set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")
}

/// Says which expectations were missed; in JSON the runs carry them.
fn verdict(
    missed: usize,
    runs: &[(u64, Vec<Miss>)],
    scenario: &Scenario,
    format: Format,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    if format == Format::Text && scenario.expect.is_some() {
        if missed == 0 {
            writeln!(out, "\nexpectations: all met")?;
        }
        for (seed, misses) in runs.iter().filter(|(_, misses)| !misses.is_empty()) {
            for miss in misses.iter() {
                writeln!(out, "\nexpectation missed with seed {seed}: {miss}")?;
            }
        }
        if missed > SHOWN {
            writeln!(out, "… and in {} more runs", missed - SHOWN)?;
        }
    }
    Ok(if missed == 0 { Verdict::Fine } else { Verdict::Missed })
}
