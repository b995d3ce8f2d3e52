//! `sim run`: a scenario file in; timeline, summary and run folder out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap_complete::engine::ArgValueCompleter;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, VERSION, Verdict, folders, suite};
use crate::Run;
use crate::analysis::metrics::Metric;
use crate::analysis::{Check, Miss, RunFacts, Summary};
use crate::client::LibraryId;
use crate::explain;
use crate::explore::in_order;
use crate::kernel::{EventId, Span};
use crate::record::What;
use crate::report::flights::Flight;
use crate::report::many::{Many, OneRun, QUANTILES, SHOWN};
use crate::report::many_page::{in_order as metrics_in_order, shown};
use crate::report::page::quoted;
use crate::report::suite::Case;
use crate::report::{CausalLink, RunReport, lanes, metrics, text, write_run_folder};
use crate::scenario::{Runs, Scenario, checks, units::parse_span};
use crate::world::RunResult;

/// Run a scenario: print what happened and why, and write the run folder
///
/// With --runs, the distribution over many seeds is printed instead; beside the run folder of the first seed, the folder
/// NAME-FIRST..LAST/ holds its charts and one row a run. Several scenarios, or a folder of them, are a suite: a line for
/// each expectation with what was found beside its limit, and exit status 1 if one was missed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Scenarios: files, names and themes that `sim list` shows, folders of files, or `-` for standard input
    #[arg(required = true, value_name = "SCENARIO", add = ArgValueCompleter::new(super::completions::scenarios_and_files))]
    pub(super) files: Vec<PathBuf>,
    /// Seed of the first run; run k uses seed + k
    #[arg(long, default_value_t = 1, value_parser = super::seed())]
    pub(super) seed: u64,
    /// How many runs; without it one, or 100 of a scenario with [expect.runs]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) runs: Option<u64>,
    /// A key of the scenario and its value, such as sentinel.quorum=3 (may be given several times)
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting, add = ArgValueCompleter::new(super::completions::keys))]
    pub(super) set: Vec<(String, String)>,
    /// How many threads; 0: one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::jobs())]
    pub(super) jobs: u64,
    /// Where the run folder NAME-SEED/ goes; `latest` in it leads to the newest
    #[arg(long, value_name = "DIR", default_value = "output")]
    pub(super) out: PathBuf,
    /// Write one recording a run into this folder, as NAME.SEED.jsonl
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// Every client runs on this library, as with `sim reference record --client`
    #[arg(long, value_name = "LIBRARY", value_parser = LibraryId::parse)]
    pub(super) client: Option<LibraryId>,
    /// How far apart the scrapes in metrics.om are
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = scrape_interval)]
    scrape_interval: Span,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Of several scenarios, only those whose path or name contains this
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    /// End with the first scenario that misses an expectation
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// Write the expectations as JUnit XML, for CI
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Write them as a page in Markdown, such as a job's summary
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Run it again whenever a file of it is saved, until an interrupt
    #[arg(long, conflicts_with_all = ["branches", "moments"])]
    watch: bool,
    /// Begin even if the machine has too little memory for it
    #[arg(long)]
    large: bool,
    #[command(flatten)]
    pub(super) branching: super::branch::Arguments,
}

const EXAMPLES: &str = "\
Examples:
  sim run partition                 a scenario that is in the program
  sim run my.toml --runs 1000       the distribution of everything
  sim run my.toml --watch           again whenever it is saved
  sim run tests/ --junit junit.xml  a folder of scenarios, as a suite
  sim run traps --filter master     those of a theme, by their names
  sim import . | sim run -          the stack of your own files";

/// A scenario that is to be run, and how.
pub(super) struct Job {
    /// What the user calls it.
    pub(super) file: String,
    pub(super) scenario: Arc<Scenario>,
    pub(super) runs: u64,
    /// What its folders are called beyond their usual names.
    pub(super) suffix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// A timeline and tables
    #[default]
    Text,
    /// The summary as JSON
    Json,
}

/// A key and its value.
fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE, such as sentinel.quorum=3")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
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
fn write_folder(arguments: &Arguments, job: &Job, run: &Run) -> Result<PathBuf, Failure> {
    let (seed, scenario) = (arguments.seed, &job.scenario);
    let folder = arguments.out.join(format!("{}-{seed}{}", scenario.name, job.suffix));
    let toml = folders::scenario_toml(scenario, seed, &job.file);
    let (command, seen) = (command(arguments, job), seen(scenario, seed, run));
    let misses = misses(scenario, run);
    let report = RunReport {
        misses,
        causes: &seen.causes,
        flights: &seen.flights,
        scrape: arguments.scrape_interval,
        ..report(run, &toml, &command)
    };
    write_run_folder(&folder, &report).map_err(Failure::io(folder.display()))?;
    super::detail(|| format!("wrote {}", folder.display()));
    Ok(folder)
}

fn command(arguments: &Arguments, job: &Job) -> String {
    format!("{} --seed {}", without_seed(arguments, job), arguments.seed)
}

/// What runs a scenario with the same settings.
fn without_seed(arguments: &Arguments, job: &Job) -> String {
    let sets = arguments.set.iter().map(|(key, value)| format!(" --set {}", quoted(&format!("{key}={value}"))));
    let client = arguments.client.map_or(String::new(), |library| format!(" --client {}", library.word));
    format!("sim run {}{client}{}", quoted(&job.file), sets.collect::<String>())
}

/// What led to each log line, by event.
pub(super) type Causes = BTreeMap<EventId, Vec<CausalLink>>;

/// What only a trace tells of a run.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) causes: Causes,
    pub(super) flights: Vec<Flight>,
}

/// The run once more with its trace; nothing of a run with so many events that the trace would cost more than it tells.
pub(super) fn seen(scenario: &Arc<Scenario>, seed: u64, run: &Run) -> Seen {
    const EVENTS_MAX: u64 = 1_000_000;
    if run.result.events > EVENTS_MAX {
        return Seen::default();
    }
    let Ok(traced) = explain::Traced::run(scenario.clone(), seed) else { return Seen::default() };
    let lines = run.result.recording.records.iter().filter(|record| matches!(record.what, What::Event(_)));
    let causes = lines.map(|record| (record.during, traced.causes_of(record))).collect();
    Seen { causes, flights: traced.flights() }
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
        flights: &[],
        scrape: metrics::SCRAPE,
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    if arguments.watch { super::watch::main(&arguments.files, &|| once(arguments)) } else { once(arguments) }
}

/// Runs what the arguments name.
fn once(arguments: &Arguments) -> Result<Verdict, Failure> {
    let sources = suite::named(arguments)?;
    let jobs = suite::jobs(arguments, &sources)?;
    for job in jobs.iter().filter(|_| !arguments.branching.wanted()) {
        let counted = if job.runs == 1 { 0 } else { super::at_once(arguments.jobs, job.runs) };
        super::afford(job.scenario.cost(), job.runs, (1, counted), arguments.large)?;
    }
    if let Some(folder) = &arguments.recordings {
        std::fs::create_dir_all(folder).map_err(Failure::io(folder.display()))?;
    }
    match &jobs[..] {
        [job] if arguments.branching.wanted() => {
            let task = super::branch::Task {
                scenario: &job.scenario,
                seed: arguments.seed,
                jobs: arguments.jobs,
                out: &arguments.out,
                format: arguments.format,
            };
            super::branch::main(&arguments.branching, &task)
        }
        jobs if arguments.branching.wanted() => Err(Failure::Bad(miette::miette!(
            help = "name one scenario",
            "--branch is of one scenario, not of {}",
            jobs.len()
        ))),
        [job] if arguments.files.len() == 1 && !arguments.files[0].is_dir() => match job.runs {
            1 => print_one(arguments, job),
            _ => print_many(arguments, job),
        },
        jobs => suite::main(arguments, jobs),
    }
}

/// Makes one run and writes its folder.
pub(super) fn single(arguments: &Arguments, job: &Job) -> Result<(Run, PathBuf), Failure> {
    let begun = std::time::Instant::now();
    let run = crate::run(&job.scenario, arguments.seed);
    super::detail(|| ran(job, arguments.seed, run.result.events, begun));
    ready(&job.scenario, arguments.seed, &run.result)?;
    record(&job.scenario, arguments.seed, &run, arguments.recordings.as_deref())?;
    let folder = write_folder(arguments, job, &run)?;
    Ok((run, folder))
}

/// What a run was, for who asks.
fn ran(job: &Job, seed: u64, events: u64, begun: std::time::Instant) -> String {
    format!("{}, seed {seed}: {events} events in {} ms", job.file, begun.elapsed().as_millis())
}

/// What came of one run.
pub(super) fn case_of_run(arguments: &Arguments, job: &Job, run: &Run, folder: &Path) -> Case {
    let expect = job.scenario.expect.as_ref();
    let of_many = expect.is_some_and(|expect| expect.runs.is_some());
    let checks = expect.map_or(Vec::new(), |expect| checks(expect, &run.analysis));
    Case {
        file: without_seed(arguments, job).trim_start_matches("sim run ").to_owned(),
        name: job.scenario.name.clone(),
        seed: arguments.seed,
        runs: 1,
        runs_met: (!checks.is_empty()).then(|| u64::from(run.misses.is_empty())),
        checks,
        met: run.misses.is_empty(),
        note: of_many.then(|| NOT_CHECKED.to_owned()),
        folder: folder.display().to_string(),
    }
}

/// Of what a single run says nothing.
const NOT_CHECKED: &str = "[expect.runs] is not checked in a single run: give --runs N";

fn print_one(arguments: &Arguments, job: &Job) -> Result<Verdict, Failure> {
    let scenario = &job.scenario;
    let (run, folder) = single(arguments, job)?;
    folders::link_latest(&folder)?;
    let case = case_of_run(arguments, job, &run, &folder);
    let mut out = super::said();
    match arguments.format {
        Format::Json => {
            let facts = RunFacts {
                version: VERSION.into(),
                digest: format!("{:032x}", run.result.digest),
                events: run.result.events,
            };
            let summary = Summary::new(&run.analysis, misses(scenario, &run), &facts);
            write!(anstream::stdout(), "{}", summary.to_json())?;
        }
        Format::Text if super::quiet() => {}
        Format::Text => {
            let lanes = lanes::lanes(&run.result.recording);
            write!(out, "{}", text::text(&report(&run, "", &command(arguments, job)), &lanes))?;
            for hint in crate::explain::hints(scenario, &run.result.recording) {
                writeln!(out, "Hint: {hint}")?;
            }
            writeln!(out, "\nrun folder: {} (open report.html)", folder.display())?;
        }
    }
    suite::files(arguments, std::slice::from_ref(&case), &[])?;
    if arguments.format == Format::Text {
        case.note.iter().try_for_each(|note| writeln!(out, "\n{note}"))?;
        let missed = usize::from(!run.misses.is_empty());
        say(case.met, missed, &[(arguments.seed, run.misses)], scenario, &mut out)?;
    }
    Ok(if case.met { Verdict::Fine } else { Verdict::Missed })
}

/// Makes many runs and writes the folder of the first and that of all: the runs, and both folders.
pub(super) fn many(arguments: &Arguments, job: &Job) -> Result<(Many, PathBuf, PathBuf), Failure> {
    let scenario = &job.scenario;
    let pool = super::threads(arguments.jobs)?;
    let progress = progress(job.runs);
    // The first run sets the axes of the charts.
    let first = crate::run(scenario, arguments.seed);
    ready(scenario, arguments.seed, &first.result)?;
    let mut many = Many::new(&first.analysis, &lanes::lanes(&first.result.recording), VERSION)?;
    many.set_command(&without_seed(arguments, job));
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
    let first_folder = move || write_folder(arguments, job, &first);
    let (written, done) = pool.install(|| rayon::join(first_folder, || in_order(1..job.runs, work, add)));
    let first_folder = written?;
    done?;
    progress.finish_and_clear();
    let folder = arguments.out.join(many.folder() + &job.suffix);
    pool.install(|| many.write(&folder)).map_err(Failure::io(folder.display()))?;
    Ok((many, first_folder, folder))
}

/// What came of many runs.
pub(super) fn case_of_many(arguments: &Arguments, job: &Job, many: &Many, folder: &Path) -> Case {
    let expect = job.scenario.expect.as_ref();
    let of_runs = expect.and_then(|expect| expect.runs.as_ref());
    let (missed, shown) = many.missed();
    let mut checks = of_runs.map_or(Vec::new(), |runs| {
        let sample = |metric| many.sample(metric);
        runs.checks(&Runs { count: many.count(), met: many.count() - missed as u64, sample: &sample })
    });
    // Without a part that must meet them, each run must.
    let each = of_runs.is_none_or(|runs| runs.met.is_none());
    if each && expect.is_some() {
        let found = format!("{} of {} runs", many.count() - missed as u64, many.count());
        checks.push(Check { key: "met".into(), expected: "every run".into(), found, met: missed == 0 });
        for (seed, misses) in shown.iter().take(1) {
            let check = |miss: &Miss| Check {
                key: miss.key.into(),
                expected: miss.expected.clone(),
                found: format!("{} (seed {seed})", miss.found),
                met: false,
            };
            checks.extend(misses.iter().map(check));
        }
    }
    Case {
        file: without_seed(arguments, job).trim_start_matches("sim run ").to_owned(),
        name: job.scenario.name.clone(),
        seed: arguments.seed,
        runs: many.count(),
        runs_met: expect.map(|_| many.count() - missed as u64),
        met: checks.iter().all(|check| check.met),
        checks,
        note: None,
        folder: folder.display().to_string(),
    }
}

fn print_many(arguments: &Arguments, job: &Job) -> Result<Verdict, Failure> {
    let scenario = &job.scenario;
    let (many, first, folder) = many(arguments, job)?;
    folders::link_latest(&first)?;
    let case = case_of_many(arguments, job, &many, &folder);
    suite::files(arguments, std::slice::from_ref(&case), &[])?;
    let mut out = super::said();
    match arguments.format {
        Format::Json => write!(anstream::stdout(), "{}", many.to_json())?,
        Format::Text => {
            if !super::quiet() {
                table(scenario, &many, &mut out)?;
                writeln!(out, "\ncharts: {} (open report.html)", folder.display())?;
            }
            if scenario.expect.as_ref().is_some_and(|expect| expect.runs.is_some()) {
                write!(out, "\n{}", case.text(super::quiet()))?;
            }
            let (missed, shown) = many.missed();
            say(case.met, missed, shown, scenario, &mut out)?;
        }
    }
    Ok(if case.met { Verdict::Fine } else { Verdict::Missed })
}

pub(super) fn progress(runs: u64) -> ProgressBar {
    let target = if super::shows_progress() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left").expect("the template is right");
    ProgressBar::with_draw_target(Some(runs), target).with_style(style)
}

/// What an operator asks first, in a line each: the median, and how bad it gets.
fn headline(many: &Many, out: &mut impl Write) -> std::io::Result<()> {
    for (name, words) in [
        ("set-outage", "writers' outage"),
        ("publish-outage", "publishers' outage"),
        ("receive-gap", "subscribers' gap"),
        ("lost-acked-sets", "acknowledged writes lost"),
        ("publish-undelivered", "messages not delivered"),
        ("two-masters", "two masters at once"),
    ] {
        let metric = Metric::named(name);
        let sample = many.sample(metric);
        let (Some(median), Some(high), Some(most)) = (sample.quantile(0.5), sample.quantile(0.99), sample.most())
        else {
            continue;
        };
        let worst = many.worst(metric, 1).first().map_or(String::new(), |(seed, _)| format!(" (seed {seed})"));
        let [median, high, most] = [median, high, most].map(|value| shown(metric, value));
        writeln!(out, "{words:<24} median {median:>8}, p99 {high:>8}, max {most:>8}{worst}")?;
    }
    writeln!(out)
}

fn table(scenario: &Scenario, many: &Many, out: &mut impl Write) -> std::io::Result<()> {
    let (first, last) = many.range();
    writeln!(out, "{}: {} runs, seeds {first} to {last}\n", scenario.name, many.count())?;
    headline(many, out)?;
    let (all, few) = (|| figures(many, &[]), || figures(many, &["runs", "p5", "p25", "p75", "p90"]));
    let fewest = || figures(many, &["runs", "mean", "min", "p5", "p25", "p75", "p90", "p95"]);
    writeln!(out, "{}", super::fitting([&all, &few, &fewest]))
}

/// A line a metric, without the columns that are left out.
fn figures(many: &Many, without: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let header: Vec<&str> = ["", "runs", "mean"].into_iter().chain(QUANTILES.map(|(name, _)| name)).collect();
    let kept: Vec<bool> = header.iter().map(|name| !without.contains(name)).collect();
    let keep = |cells: Vec<String>| {
        let cells = cells.into_iter().zip(&kept).filter(|(_, kept)| **kept);
        cells.map(|(cell, _)| cell).collect::<Vec<_>>()
    };
    table.set_header(keep(header.iter().map(|name| (*name).to_owned()).collect()));
    let unknown: Vec<u64> = many.figures().map(|(_, _, unknown)| unknown).collect();
    for metric in metrics_in_order() {
        let (sample, unknown) = (many.sample(metric), unknown[metric.index()]);
        // Files have them; a person reads the causes that there were.
        if metric.is_of_a_cause() && sample.most() == Some(0.0) {
            continue;
        }
        let mean = match (sample.mean(), unknown) {
            (Some(mean), _) => shown(metric, mean),
            (None, 0) => continue,
            (None, _) => "unknown".into(),
        };
        let mut cells = vec![metric.name().to_owned(), sample.count().to_string(), mean];
        cells.extend(QUANTILES.map(|(_, p)| sample.quantile(p).map_or("-".into(), |value| shown(metric, value))));
        table.add_row(keep(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Says which expectations were missed.
fn say(
    met: bool,
    missed: usize,
    runs: &[(u64, Vec<Miss>)],
    scenario: &Scenario,
    out: &mut impl Write,
) -> std::io::Result<()> {
    if scenario.expect.is_none() {
        return Ok(());
    }
    if met && missed == 0 && !super::quiet() {
        writeln!(out, "\nexpectations: all met")?;
    }
    if missed > 0 {
        writeln!(out)?;
    }
    for (seed, misses) in runs.iter().filter(|(_, misses)| !misses.is_empty()) {
        for miss in misses.iter() {
            writeln!(out, "expectation missed with seed {seed}: {miss}")?;
        }
    }
    if missed > SHOWN {
        writeln!(out, "… and in {} more runs", missed - SHOWN)?;
    }
    Ok(())
}
