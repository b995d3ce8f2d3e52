//! `sim sweep`: a grid or a random sample of settings, under many seeds.

use std::io::Write;
use std::path::PathBuf;

use clap_complete::engine::ArgValueCompleter;
use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::source::Source;
use super::{Failure, Verdict, completions};
use crate::analysis::Check;
use crate::analysis::metrics::Metric;
use crate::analysis::sample::Summary;
use crate::analysis::stats::proportion_interval;
use crate::explore::sweep::pauses::{DailyCost, PauseKind, Pauses};
use crate::explore::sweep::{self, Axis, Combination, Found, Outcome, Shard, Sweep, Until, axis};
use crate::report::many_page::shown;
use crate::scenario::Runs;

/// Compare settings under the same luck
///
/// Runs every combination of the varied settings (or a random sample of them) under the same seeds, prints a table of the
/// main metrics with confidence intervals and of how often [expect] was met, draws charts, and writes one row a run to
/// runs.csv and runs.parquet. The rows do not depend on --jobs, and the parts of a sharded sweep put together (--merge) are
/// the unsharded files. Exit status 1 if any run missed an expectation of its scenario; of the parts, --merge says so.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The scenario: a file, a name that `sim list` shows, or `-`; with --merge, the folder of the parts
    #[arg(add = ArgValueCompleter::new(completions::scenarios_and_files))]
    file: PathBuf,
    /// A key of the scenario and its values, such as sentinel.down-after-milliseconds=1000,2000,5000; a list in TOML
    /// (KEY=[[1,2],[3]]) has values with commas; a range (KEY=500..10000, KEY=log:100ms..5s) is sampled.
    /// Of the settings that meet [expect] the first is named: write what costs least first
    #[arg(long = "vary", value_name = "KEY=V1,V2,…|LOW..HIGH", value_parser = Axis::parse, add = ArgValueCompleter::new(completions::keys))]
    axes: Vec<Axis>,
    /// So many random settings (Latin hypercube) instead of every combination; with a range among the values: 32
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000), requires = "axes")]
    samples: Option<u64>,
    /// Runs of each combination: 100; with --until, at most so many: 100000
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    runs: Option<u64>,
    /// Seed of the first run; run k of every combination uses seed + k
    #[arg(long, default_value_t = 1, value_parser = super::seed())]
    seed: u64,
    /// How many threads; 0: one a core; the results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::jobs())]
    jobs: u64,
    /// Only this part of the rows, from 0/N; `auto` or `auto/N` asks the variables of a Slurm array or an Indexed Job
    #[arg(long, value_name = "I/N", value_parser = shard, conflicts_with_all = ["until", "baseline", "pauses"])]
    shard: Option<Shard>,
    /// Folder for runs.csv, runs.parquet and the charts; default: output/NAME-sweep
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Metrics of the tables and charts, by the names of docs/metrics.md
    #[arg(long = "metric", value_name = "NAME", value_parser = Metric::parse, add = ArgValueCompleter::new(completions::metrics))]
    metrics: Vec<Metric>,
    /// Compare with the combination of these values, one for each --vary, run by run
    #[arg(long, value_name = "V1,V2,…")]
    baseline: Option<String>,
    /// Stop when the mean of this metric is known this well in every combination (95 %), such as set-outage=0.1; with
    /// --baseline, when its differences are
    #[arg(long, value_name = "METRIC=HALF-WIDTH", value_parser = until, add = ArgValueCompleter::new(completions::metrics_before_equals))]
    until: Option<Until>,
    /// Count false failovers, too: how often the master pauses and for how long, such as 500/day:lognormal:80ms:1.2,
    /// 2/hour:exponential:500ms, 40/day:pareto:100ms:1.5 or 40/day:file:pauses.txt (one duration a line)
    #[arg(long, value_name = "RATE:DISTRIBUTION", value_parser = Pauses::parse)]
    pauses: Option<Pauses>,
    /// What a pause is
    #[arg(long, value_enum, default_value_t = PauseKind::Stall, requires = "pauses")]
    pause_kind: PauseKind,
    /// Go on where this sweep was interrupted: with the rows of runs.partial.csv
    #[arg(long, conflicts_with = "merge")]
    resume: bool,
    /// Begin even if the machine has too little memory for it
    #[arg(long)]
    large: bool,
    /// With --merge: the scenario whose [expect.runs] is checked over all parts
    #[arg(long, value_name = "SCENARIO", requires = "merge",
          add = ArgValueCompleter::new(completions::scenarios_and_files))]
    expect: Option<PathBuf>,
    /// Put the parts of a sharded sweep together
    #[arg(long, conflicts_with_all = ["axes", "shard", "until", "baseline", "pauses"])]
    merge: bool,
}

const EXAMPLES: &str = "\
Examples:
  sim sweep master-pause --vary sentinel.down-after-milliseconds=1000,2000,5000
  sim sweep FILE --vary haproxy.inter=1s,2s --vary haproxy.rise=1,2,10 \\
      --baseline 1s,2 --until set-outage=0.05
  sim sweep FILE --vary sentinel.down-after-milliseconds=log:500..20000 \\
      --vary haproxy.inter=200ms..2s --samples 50
  sim sweep FILE --vary sentinel.down-after-milliseconds=1000,2000,5000 \\
      --pauses 500/day:lognormal:80ms:1.2";

/// The metrics that are shown if none is asked for.
const MAIN: [&str; 6] = ["set-outage", "publish-outage", "receive-gap", "lost-acked-sets", "two-masters", "failovers"];

fn until(text: &str) -> Result<Until, String> {
    let (metric, width) = text.split_once('=').ok_or("METRIC=HALF-WIDTH")?;
    let metric = Metric::parse(metric)?;
    match width.trim_start_matches('±').parse::<f64>() {
        Ok(half_width) if half_width > 0.0 && half_width.is_finite() => Ok(Until { metric, half_width }),
        _ => Err("the half width is a number above 0".into()),
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    super::shard::parse(text, |name| std::env::var(name).ok())
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::Bad(miette::Report::msg(message.into()))
}

#[allow(clippy::too_many_lines, reason = "a command from its arguments to its exit status, step by step")]
pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut out = super::results();
    if arguments.merge {
        return merge(arguments, &mut out);
    }
    let source = Source::read(&arguments.file)?;
    let scenario = source.parse()?;
    let Source { name, text } = source;
    let mut settings = axis::settings(&arguments.axes, arguments.samples, arguments.seed);
    let wanted = arguments.baseline.as_ref().map(|values| baseline(values, arguments)).transpose()?;
    let random = settings.len() as u64 != grid_size(&arguments.axes);
    let baseline = match wanted {
        None => None,
        Some(wanted) => match settings.iter().position(|values| *values == wanted) {
            Some(place) => Some(place),
            // A sample rarely hits it: it is run beside the sample.
            None if random => {
                settings.insert(0, wanted);
                Some(0)
            }
            None => return Err(bad(format!("--baseline {}: no combination has these values", wanted.join(",")))),
        },
    };
    let combinations =
        sweep::combinations(&name, &text, &arguments.axes, settings).map_err(|error| Failure::Bad(error.into()))?;
    let shard = arguments.shard.unwrap_or(Shard::WHOLE);
    let runs = arguments.runs.unwrap_or(if arguments.until.is_some() { 100_000 } else { 100 });
    let rows = shard.range(runs * combinations.len() as u64);
    let bar = match &arguments.until {
        // Nobody knows how long it will take.
        Some(_) => ProgressBar::no_length(),
        None => ProgressBar::new((rows.end - rows.start) * if arguments.pauses.is_some() { 2 } else { 1 }),
    };
    let bar = progress(bar);
    let costs = combinations.iter().map(|combination| combination.scenario.cost());
    let cost = costs.max_by_key(|cost| (cost.lines, cost.core_seconds)).expect("there is a combination");
    // With --until nobody knows how many there will be.
    let count = if arguments.until.is_some() { combinations.len() as u64 } else { rows.end - rows.start };
    super::afford(cost, count, (0, super::at_once(arguments.jobs, count)), arguments.large)?;
    let sweep = Sweep {
        file: name,
        axes: arguments.axes.clone(),
        combinations,
        seed: arguments.seed,
        runs,
        shard,
        baseline,
        until: arguments.until.clone(),
        pauses: arguments.pauses.clone().map(|pauses| Pauses { kind: arguments.pause_kind, ..pauses }),
        resume: arguments.resume,
        charts: wanted_metrics(arguments),
    };
    let threads = super::threads(arguments.jobs)?;
    let folder =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("output").join(format!("{}-sweep", scenario.name)));
    let ends_itself = crate::files::EndsItself::begin();
    let outcome = threads.install(|| sweep.run(&folder, &|| bar.inc(1)));
    bar.finish_and_clear();
    let outcome = outcome.map_err(Failure::io(folder.display()))?;
    drop(ends_itself);
    print(arguments, &sweep, &outcome, &mut out)?;
    if let Some(signal) = crate::files::interrupted() {
        writeln!(out, "interrupted: only what was complete is in these files; the same command with --resume goes on")?;
        return Ok(Verdict::Interrupted(signal));
    }
    // A part has done its work whatever its runs met: schedulers would start it again.
    let met = arguments.shard.is_some()
        || sweep.combinations.iter().zip(&outcome.found).all(|(combination, found)| is_met(combination, found));
    Ok(if met { Verdict::Fine } else { Verdict::Missed })
}

/// Puts parts together, and checks what is expected of them together.
fn merge(arguments: &Arguments, out: &mut impl Write) -> Result<Verdict, Failure> {
    let source = arguments.expect.as_deref().map(Source::read).transpose()?;
    let merged = sweep::merge(&arguments.file).map_err(Failure::io(arguments.file.display()))?;
    for file in &merged.files {
        writeln!(out, "{}", file.display())?;
    }
    let Some(source) = source else {
        return Ok(if merged.met { Verdict::Fine } else { Verdict::Missed });
    };
    let mut settings = Vec::new();
    for (values, found) in merged.settings {
        let set: Vec<(String, String)> = merged.keys.iter().cloned().zip(values.iter().cloned()).collect();
        let scenario = std::sync::Arc::new(source.parse_with(None, &set)?);
        settings.push((Combination { values, scenario }, found));
    }
    let keys: Vec<&str> = merged.keys.iter().map(String::as_str).collect();
    let all: Vec<(&Combination, &Found)> = settings.iter().map(|(combination, found)| (combination, found)).collect();
    writeln!(out)?;
    checked(&keys, &all, out)?;
    let met = all.iter().all(|(combination, found)| is_met(combination, found));
    Ok(if met { Verdict::Fine } else { Verdict::Missed })
}

/// How many combinations a grid would have; 0 with a range.
fn grid_size(axes: &[Axis]) -> u64 {
    let every = axes.iter().map(|axis| match &axis.values {
        axis::Values::Listed(values) => values.len() as u64,
        axis::Values::Between(_) => 0,
    });
    every.product()
}

/// The values of the baseline; with one axis commas are part of its value.
fn baseline(values: &str, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let values: Vec<String> = match arguments.axes.len() {
        1 => vec![values.trim().to_owned()],
        _ => values.split(',').map(|value| value.trim().to_owned()).collect(),
    };
    match values.len() == arguments.axes.len() {
        true => Ok(values),
        false => Err(bad(format!(
            "--baseline {}: {} values for {} --vary; write one for each",
            values.join(","),
            values.len(),
            arguments.axes.len()
        ))),
    }
}

fn wanted_metrics(arguments: &Arguments) -> Vec<Metric> {
    match arguments.metrics.is_empty() {
        true => MAIN.map(Metric::named).to_vec(),
        false => arguments.metrics.clone(),
    }
}

fn progress(bar: ProgressBar) -> ProgressBar {
    if !super::shows_progress() {
        return ProgressBar::hidden();
    }
    let template = match bar.length() {
        Some(_) => "{wide_bar} {pos}/{len} runs, {eta} left",
        None => "{spinner} {pos} runs, {elapsed}",
    };
    bar.with_style(ProgressStyle::with_template(template).expect("a good template"))
}

fn print(arguments: &Arguments, sweep: &Sweep, outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
    for metric in wanted_metrics(arguments) {
        let index = metric.index();
        let values: Vec<&Summary> = outcome.found.iter().map(|found| &found.values[index]).collect();
        if values.iter().all(|summary| summary.count() == 0) {
            continue;
        }
        writeln!(out, "{metric}\n{}\n", table(sweep, metric, &values))?;
        if let Some(baseline) = sweep.baseline {
            let differences: Vec<&Summary> = outcome.found.iter().map(|found| &found.differences[index]).collect();
            let base = sweep.combinations[baseline].values.join(", ");
            writeln!(out, "{metric}: difference from {base}, run by run\n{}\n", table(sweep, metric, &differences))?;
        }
    }
    if let Some(pauses) = &sweep.pauses {
        let model = format!("{}, {}", pauses.text, pauses.kind.as_str());
        writeln!(out, "what pauses of the master cost a day ({model})\n{}\n", daily_table(sweep, &outcome.daily))?;
    }
    if outcome.found.iter().any(|found| found.judged > 0) {
        writeln!(out, "[expect]: runs that met it\n{}\n", met_table(sweep, outcome))?;
        over_runs(arguments, sweep, outcome, out)?;
    }
    let runs = outcome.rows as f64 / sweep.combinations.len() as f64;
    let combinations = super::counted(sweep.combinations.len() as u64, "combination");
    writeln!(out, "{}, {runs} of each of {combinations}", super::counted(outcome.rows, "run"))?;
    if let Some((count, first)) = &outcome.unready {
        writeln!(out, "in {count} of these runs nothing was played, and nothing is known of them ({first})")?;
    }
    if let Some(until) = &sweep.until {
        let widest = until.widest(&outcome.found, sweep.baseline);
        let word = if widest <= until.half_width { "reached" } else { "NOT reached: give it more --runs" };
        writeln!(out, "{} known to ± {widest:.4} at least; {} was asked for: {word}", until.metric, until.half_width)?;
    }
    for file in &outcome.files {
        writeln!(out, "{}", file.display())?;
    }
    Ok(())
}

/// A mean with its interval.
fn figure(summary: &Summary) -> String {
    let Some(mean) = summary.mean() else { return "-".into() };
    let digits = |value: f64| match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    match summary.mean_interval() {
        Some(found) => format!("{} ({} … {})", digits(mean), digits(found.low.max(0.0)), digits(found.high)),
        None => digits(mean),
    }
}

fn daily_table(sweep: &Sweep, daily: &[DailyCost]) -> Table {
    let mut table = Table::new();
    let keys = sweep.axes.iter().map(|axis| axis.key.as_str());
    let costs = ["failovers a day", "seconds without SET a day", "acknowledged SETs lost a day"];
    table.load_preset(presets::NOTHING).set_header(keys.chain(costs));
    for (Combination { values, .. }, cost) in sweep.combinations.iter().zip(daily) {
        let figures = [&cost.failovers, &cost.outage_s, &cost.lost_sets].map(figure);
        let figures = figures.into_iter().map(|text| Cell::new(text).set_alignment(CellAlignment::Right));
        table.add_row(values.iter().map(Cell::new).chain(figures));
    }
    table
}

/// What `[expect.runs]` says of a combination, with what was found.
fn checks(combination: &Combination, found: &Found) -> Vec<Check> {
    let runs = combination.scenario.expect.as_ref().and_then(|expect| expect.runs.as_ref());
    let sample = |metric: Metric| &found.values[metric.index()];
    runs.map_or(Vec::new(), |runs| runs.checks(&Runs { count: found.judged, met: found.met, sample: &sample }))
}

/// Whether a combination met everything: its runs, or the part of them that must, and what is expected of all together.
fn is_met(combination: &Combination, found: &Found) -> bool {
    let runs = combination.scenario.expect.as_ref().and_then(|expect| expect.runs.as_ref());
    let each = runs.is_none_or(|runs| runs.met.is_none());
    (!each || found.met == found.judged) && checks(combination, found).iter().all(|check| check.met)
}

/// A line for each expectation over runs of each setting, and the first setting that meets all.
fn over_runs(arguments: &Arguments, sweep: &Sweep, outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
    if arguments.shard.is_some() {
        return writeln!(out, "[expect.runs] is not checked of a part: sim sweep FOLDER --merge --expect FILE does\n");
    }
    let keys: Vec<&str> = sweep.axes.iter().map(|axis| axis.key.as_str()).collect();
    checked(&keys, &sweep.combinations.iter().zip(&outcome.found).collect::<Vec<_>>(), out)
}

/// The same of settings wherever they come from.
fn checked(keys: &[&str], all: &[(&Combination, &Found)], out: &mut impl Write) -> std::io::Result<()> {
    let all = || all.iter().copied();
    if all().any(|(combination, found)| !checks(combination, found).is_empty()) {
        writeln!(out, "[expect.runs]")?;
        for (combination, found) in all() {
            writeln!(out, "{} {}", mark(is_met(combination, found)), named(keys, combination))?;
            for check in checks(combination, found) {
                let Check { key, expected, found, met } = check;
                writeln!(out, "    {} {key}: {found}; expected: {expected}", mark(met))?;
            }
        }
        writeln!(out)?;
    }
    let cheapest = all().find(|(combination, found)| is_met(combination, found));
    match cheapest {
        Some((combination, _)) => {
            writeln!(out, "the first setting that meets it, in the order of --vary: {}\n", named(keys, combination))
        }
        None => writeln!(out, "no setting meets it\n"),
    }
}

fn mark(met: bool) -> char {
    if met { '✓' } else { '✗' }
}

/// A combination by its keys and values.
fn named(keys: &[&str], combination: &Combination) -> String {
    let pairs = keys.iter().zip(&combination.values);
    pairs.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// How many runs met what is expected: as much of it as the terminal has place for.
fn met_table(sweep: &Sweep, outcome: &Outcome) -> String {
    let all = || met_figures(sweep, outcome, false, 4);
    let short = || met_figures(sweep, outcome, true, 4);
    let few = || met_figures(sweep, outcome, true, 3);
    let table = super::fitting([&all, &short, &few]);
    let width = super::manner::line_width();
    if table.lines().all(|line| line.trim_end().chars().count() <= width) {
        return table.to_string();
    }
    let keys: Vec<&str> = sweep.axes.iter().map(|axis| axis.key.as_str()).collect();
    let told = |(combination, found): (&Combination, &Found)| {
        format!("{}\n  {} of {} runs met it", named(&keys, combination), found.met, found.judged)
    };
    sweep.combinations.iter().zip(&outcome.found).map(told).collect::<Vec<_>>().join("\n")
}

/// The table with so many figures; `short`: keys without their sections.
fn met_figures(sweep: &Sweep, outcome: &Outcome, short: bool, kept: usize) -> Table {
    let mut table = Table::new();
    let keys = sweep.axes.iter().map(|axis| key_of(axis, short));
    let names = ["runs", "met", "part", "95 % interval"].into_iter().take(kept).map(str::to_owned);
    table.load_preset(presets::NOTHING).set_header(keys.chain(names));
    for (Combination { values, .. }, found) in sweep.combinations.iter().zip(&outcome.found) {
        let (met, judged) = (found.met as usize, found.judged as usize);
        let part = if judged == 0 { "-".into() } else { format!("{:.1} %", met as f64 / judged as f64 * 100.0) };
        let interval = proportion_interval(met, judged);
        let interval = interval.map(|found| format!("{:.1} … {:.1} %", found.low * 100.0, found.high * 100.0));
        let figures = [judged.to_string(), met.to_string(), part, interval.unwrap_or("-".into())];
        let figures = figures.into_iter().take(kept).map(|text| Cell::new(text).set_alignment(CellAlignment::Right));
        table.add_row(values.iter().map(Cell::new).chain(figures));
    }
    table
}

/// The key of an axis; `short`: without its section.
fn key_of(axis: &Axis, short: bool) -> String {
    match axis.key.rsplit_once('.') {
        Some((_, key)) if short => key.to_owned(),
        _ => axis.key.clone(),
    }
}

/// The figures of each setting: as many columns as the terminal has place for; where that is too narrow for any, a line of
/// figures for each setting.
fn table(sweep: &Sweep, metric: Metric, summaries: &[&Summary]) -> String {
    let all = || table_without(sweep, metric, summaries, &[], false);
    let short = || table_without(sweep, metric, summaries, &[], true);
    let few = || table_without(sweep, metric, summaries, &["p5", "95 % interval"], true);
    let fewest = || table_without(sweep, metric, summaries, &["p5", "95 % interval", "runs", "p95"], true);
    let table = super::fitting([&all, &short, &few, &fewest]);
    let width = super::manner::line_width();
    if table.lines().all(|line| line.trim_end().chars().count() <= width) {
        return table.to_string();
    }
    let keys: Vec<&str> = sweep.axes.iter().map(|axis| axis.key.as_str()).collect();
    let known = sweep.combinations.iter().zip(summaries).filter(|(_, summary)| summary.count() > 0);
    let told = |(combination, summary): (&Combination, &&Summary)| {
        let figures =
            COLUMNS.iter().zip(figures(metric, summary)).map(|(name, figure)| format!("  {name:<14}{figure:>17}"));
        named(&keys, combination) + "\n" + &figures.collect::<Vec<_>>().join("\n")
    };
    known.map(told).collect::<Vec<_>>().join("\n")
}

/// What is told of a metric in many runs.
const COLUMNS: [&str; 8] = ["runs", "mean", "95 % interval", "p5", "p50", "p95", "p99", "max"];

/// The figures of these columns, each in its unit.
fn figures(metric: Metric, summary: &Summary) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| shown(metric, value));
    // The unit stands once.
    let interval = summary.mean_interval().map_or("-".to_owned(), |found| {
        let low = shown(metric, found.low);
        format!("{} … {}", low.split(' ').next().unwrap_or_default(), shown(metric, found.high))
    });
    [
        summary.count().to_string(),
        number(summary.mean()),
        interval,
        number(summary.quantile(0.05)),
        number(summary.quantile(0.5)),
        number(summary.quantile(0.95)),
        number(summary.quantile(0.99)),
        number(summary.most()),
    ]
}

/// Their table without these columns; `short`: keys without their sections.
fn table_without(sweep: &Sweep, metric: Metric, summaries: &[&Summary], without: &[&str], short: bool) -> Table {
    let mut table = Table::new();
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let kept = COLUMNS.map(|name| !without.contains(&name));
    let names = COLUMNS.iter().zip(kept).filter(|(_, kept)| *kept).map(|(name, _)| right((*name).to_owned()));
    table
        .load_preset(presets::NOTHING)
        .set_header(sweep.axes.iter().map(|axis| Cell::new(key_of(axis, short))).chain(names));
    for (Combination { values, .. }, summary) in sweep.combinations.iter().zip(summaries) {
        if summary.count() == 0 {
            continue;
        }
        let figures = figures(metric, summary).into_iter().zip(kept).filter(|(_, kept)| *kept);
        table.add_row(values.iter().map(Cell::new).chain(figures.map(|(text, _)| right(text))));
    }
    table
}
