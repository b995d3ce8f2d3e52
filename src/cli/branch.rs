//! `sim run --at … --branch N`: what else could have come of a moment, and from when on an outcome was settled.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::run::Format;
use super::{Failure, VERSION, Verdict};
use crate::analysis::metrics::Metric;
use crate::analysis::stats::{describe, quantile};
use crate::explore::branching::{self, EARLIEST_US, Event, Fork, Relation, Settled, Share, Trunk};
use crate::report::chances::{ChanceChart, ChanceSeries};
use crate::report::chart::{Chart, Theme};
use crate::report::lanes;
use crate::report::many_page::shown;
use crate::scenario::Scenario;

/// At most so many moments.
const MOMENTS_MAX: usize = 1_000;
/// At most so many lines of the run are shown where an outcome was settled.
const LINES_MAX: usize = 12;

#[derive(clap::Args)]
#[command(next_help_heading = "Branching")]
#[group(skip)]
pub(super) struct Arguments {
    /// A moment at which the run is branched, such as 7.3s, or several: 0s..10s/500ms
    #[arg(long = "at", value_name = "TIME", value_parser = moments, allow_hyphen_values = true, requires = "branches",
          conflicts_with_all = ["runs", "recordings"])]
    moments: Vec<Moments>,
    /// Rerun the rest from each moment so many times with fresh luck
    #[arg(long = "branch", value_name = "N", requires = "moments",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    branches: Option<u64>,
    /// Whose chance is charted against the moment; default: lost-acked-sets>0
    #[arg(long = "outcome", value_name = "METRIC>VALUE", value_parser = event, requires = "branches")]
    outcomes: Vec<Event>,
}

/// Moments in microseconds after time 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moments(Vec<i64>);

fn moments(text: &str) -> Result<Moments, String> {
    let Some((from, rest)) = text.split_once("..") else { return Ok(Moments(vec![super::time(text)?])) };
    let (to, step) = rest.split_once('/').ok_or("a range has a step: FROM..TO/STEP, such as 0s..10s/500ms")?;
    let (from, to, step) = (super::time(from)?, super::time(to)?, super::time(step)?);
    if step <= 0 || to < from {
        return Err("the range leads nowhere: FROM..TO/STEP with FROM before TO and STEP above 0".into());
    }
    let count = (to - from) / step + 1;
    if count > MOMENTS_MAX as i64 {
        return Err(format!("{count} moments: at most {MOMENTS_MAX} can be asked for"));
    }
    Ok(Moments((0..count).map(|n| from + n * step).collect()))
}

fn event(text: &str) -> Result<Event, String> {
    let found = Relation::ALL.iter().find_map(|(relation, sign)| {
        let (metric, limit) = text.split_once(sign)?;
        Some((metric.trim(), *relation, limit.trim()))
    });
    let (metric, relation, limit) = found.ok_or("a metric, one of > >= < <= =, and a value: lost-acked-sets>0")?;
    let metric = Metric::parse(metric)?;
    let limit = limit.parse::<f64>().ok().filter(|limit| limit.is_finite());
    let limit = limit.ok_or("the value is a number (of seconds, where the metric is a time)")?;
    Ok(Event { metric, relation, limit })
}

impl Arguments {
    /// Whether branches are asked for.
    pub(super) fn wanted(&self) -> bool {
        self.branches.is_some()
    }

    fn outcomes(&self) -> Vec<Event> {
        match self.outcomes.is_empty() {
            true => vec![Event { metric: Metric::named("lost-acked-sets"), relation: Relation::Above, limit: 0.0 }],
            false => self.outcomes.clone(),
        }
    }

    fn moments(&self, scenario: &Scenario) -> Result<Vec<i64>, Failure> {
        let mut moments: Vec<i64> = self.moments.iter().flat_map(|moments| moments.0.iter().copied()).collect();
        moments.sort_unstable();
        moments.dedup();
        let last = (scenario.duration.0 / 1_000) as i64;
        match moments.iter().find(|moment| !(EARLIEST_US..=last).contains(moment)) {
            None => Ok(moments),
            Some(moment) => Err(Failure::Bad(miette::miette!(
                help = format!(
                    "moments lie between {} and {}, the scenario's duration",
                    seconds(EARLIEST_US),
                    seconds(last)
                ),
                "--at {}: outside of the run",
                seconds(*moment)
            ))),
        }
    }
}

/// One outcome with its chances.
struct Found {
    event: Event,
    /// Whether it happened in the run itself.
    in_run: Option<bool>,
    shares: Vec<Share>,
    settled: Option<Settled>,
}

/// What the run is called, and where its files go.
pub(super) struct Task<'a> {
    pub(super) scenario: &'a Arc<Scenario>,
    pub(super) seed: u64,
    pub(super) jobs: u64,
    pub(super) out: &'a Path,
    pub(super) format: Format,
}

pub(super) fn main(arguments: &Arguments, task: &Task<'_>) -> Result<Verdict, Failure> {
    let branches = arguments.branches.expect("branches are asked for");
    let moments = arguments.moments(task.scenario)?;
    let pool = super::threads(task.jobs)?;
    let bar = super::run::progress(moments.len() as u64 * (branches + 1));
    let (trunk, forks) =
        pool.install(|| branching::branch(task.scenario, task.seed, &moments, branches, &|| bar.inc(1)));
    bar.finish_and_clear();
    super::run::ready(task.scenario, task.seed, &trunk.result)?;
    let found: Vec<Found> = arguments
        .outcomes()
        .into_iter()
        .map(|event| {
            let shares: Vec<Share> = forks.iter().map(|fork| fork.share(&event)).collect();
            let settled = branching::settled(&shares).filter(|_| shares.len() > 1);
            Found { in_run: event.happened(&trunk.metrics), event, shares, settled }
        })
        .collect();
    let folder = task.out.join(format!("{}-{}-branches", task.scenario.name, task.seed));
    let files = write(&folder, task, branches, &trunk, &forks, &found).map_err(Failure::io(folder.display()))?;
    match task.format {
        Format::Json => json(task, branches, &trunk, &forks, &found, &mut anstream::stdout().lock())?,
        Format::Text => {
            let mut out = super::results();
            let (name, seed) = (&task.scenario.name, task.seed);
            writeln!(out, "{name}, seed {seed}: {branches} branches from each of {} moments\n", moments.len())?;
            if let [fork] = &forks[..] {
                let all = || distribution(&trunk, fork, &["p5", "p50", "p95", "max"]);
                let few = || distribution(&trunk, fork, &["p50", "max"]);
                let fewest = || distribution(&trunk, fork, &[]);
                writeln!(out, "{}\n", super::fitting([&all, &few, &fewest]))?;
            }
            let (all, short, shortest) = (|| chances(&found, 2), || chances(&found, 1), || chances(&found, 0));
            writeln!(out, "{}", super::fitting([&all, &short, &shortest]))?;
            found.iter().try_for_each(|found| turning(&trunk, found, &mut out))?;
            writeln!(out)?;
            files.iter().try_for_each(|file| writeln!(out, "{}", file.display()))?;
        }
    }
    Ok(Verdict::Fine)
}

fn seconds(us: i64) -> String {
    format!("{} s", us as f64 / 1e6)
}

/// The figures of the branches of one moment, where they are not all the same, with these quantiles.
fn distribution(trunk: &Trunk, fork: &Fork, wanted: &[&str]) -> Table {
    let mut table = Table::new();
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let header = [format!("branches at {}", seconds(fork.at_us)), "the run".into(), "n".into(), "mean".into()];
    let quantiles = [("p5", 0.05), ("p50", 0.5), ("p95", 0.95), ("max", 1.0)];
    let quantiles = || quantiles.into_iter().filter(move |(name, _)| wanted.contains(name));
    let header = header.into_iter().chain(quantiles().map(|(name, _)| name.to_owned()));
    table.load_preset(presets::NOTHING).set_header(header.enumerate().map(|(i, text)| match i {
        0 => Cell::new(text),
        _ => right(text),
    }));
    for metric in Metric::all() {
        let values: Vec<f64> = fork.leaves.iter().filter_map(|leaf| leaf.metrics.number(metric)).collect();
        let Some(described) = describe(&values) else { continue };
        let run = trunk.metrics.number(metric);
        if described.min == described.max && run == Some(described.min) && values.len() == fork.leaves.len() {
            continue;
        }
        let number = |value: Option<f64>| right(value.map_or("-".into(), |value| shown(metric, value)));
        let mut row =
            vec![Cell::new(metric.name()), number(run), right(values.len().to_string()), number(Some(described.mean))];
        row.extend(quantiles().map(|(_, p)| number(quantile(&values, p))));
        table.add_row(row);
    }
    table
}

/// Moments down, outcomes across; `detail`: 2 with interval and number, 1 with the interval, 0 the chance alone.
fn chances(found: &[Found], detail: usize) -> Table {
    let mut table = Table::new();
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let names = found.iter().map(|found| right(format!("P({})", found.event)));
    table.load_preset(presets::NOTHING).set_header(std::iter::once(right("moment".into())).chain(names));
    for i in 0..found.first().map_or(0, |found| found.shares.len()) {
        let cell = |found: &Found| right(chance(&found.shares[i], detail));
        table.add_row(std::iter::once(right(seconds(found[0].shares[i].at_us))).chain(found.iter().map(cell)));
    }
    let cell = |found: &Found| right(found.in_run.map_or("-", |yes| if yes { "yes" } else { "no" }).into());
    table.add_row(std::iter::once(right("the run".into())).chain(found.iter().map(cell)));
    table
}

fn chance(share: &Share, detail: usize) -> String {
    let (Some(part), Some(interval)) = (share.part(), share.interval()) else { return "-".into() };
    let chance = format!("{:.1} %", part * 100.0);
    let interval = format!(" ({:.1} … {:.1})", interval.low * 100.0, interval.high * 100.0);
    let number = format!(", n = {}", share.of);
    [chance, interval, number].into_iter().take(detail + 1).collect()
}

/// When an outcome was settled, and what the run did then.
fn turning(trunk: &Trunk, found: &Found, out: &mut impl Write) -> std::io::Result<()> {
    if found.shares.len() < 2 {
        return Ok(());
    }
    let Some(settled) = found.settled else {
        return writeln!(out, "\n{}: still open at the last moment", found.event);
    };
    let verb = if settled.happens { "happens" } else { "does not happen" };
    let Some(after_us) = settled.after_us else {
        return writeln!(out, "\n{}: {verb} in every branch; settled by {}", found.event, seconds(settled.at_us));
    };
    let (after, at) = (seconds(after_us), seconds(settled.at_us));
    writeln!(out, "\n{}: settled between {after} and {at}; from then on it {verb} in every branch", found.event)?;
    let lines = || trunk.analysis.lines.iter().filter(|line| line.at_us > after_us && line.at_us <= settled.at_us);
    for line in lines().take(LINES_MAX) {
        writeln!(out, "  {:>10.4} s  {:12} {}", line.at_us as f64 / 1e6, line.node, line.text)?;
    }
    let more = lines().count().saturating_sub(LINES_MAX);
    if more > 0 {
        writeln!(out, "  … and {more} more lines")?;
    }
    Ok(())
}

fn chart(task: &Task<'_>, branches: u64, trunk: &Trunk, found: &[Found]) -> ChanceChart {
    let series = |found: &Found| {
        let point = |share: &Share| Some((share.at_us, share.part()?, share.interval()?));
        let settled_us = found.settled.and_then(|settled| Some((settled.after_us?, settled.at_us)));
        let when = match settled_us {
            Some((after, at)) => format!(": settled between {} and {}", seconds(after), seconds(at)),
            None => String::new(),
        };
        let points = found.shares.iter().filter_map(point).collect();
        ChanceSeries { name: format!("P({}){when}", found.event), points, settled_us }
    };
    let steps = trunk.analysis.failovers.iter().flat_map(|failover| &failover.steps);
    let mut steps: Vec<(i64, String)> = steps
        .filter(|step| step.phase != crate::analysis::phases::Phase::Fault)
        .map(|step| (step.at_us, step.phase.as_str().to_owned()))
        .collect();
    steps.sort();
    ChanceChart {
        subtitle: format!("{}, seed {}, n = {branches} branches a moment", task.scenario.name, task.seed),
        series: found.iter().map(series).collect(),
        faults: lanes::lanes(&trunk.result.recording).faults,
        steps,
    }
}

fn csv(forks: &[Fork]) -> String {
    let mut text = String::from("at_us,branch,digest");
    Metric::all().for_each(|metric| {
        text.push(',');
        text.push_str(metric.name());
    });
    text.push('\n');
    for fork in forks {
        for leaf in &fork.leaves {
            let _ = write!(text, "{},{},{:032x}", fork.at_us, leaf.number, leaf.digest);
            for number in leaf.metrics.numbers() {
                let _ = match number {
                    Some(value) => write!(text, ",{value}"),
                    None => write!(text, ","),
                };
            }
            text.push('\n');
        }
    }
    text
}

fn write(
    folder: &Path,
    task: &Task<'_>,
    branches: u64,
    trunk: &Trunk,
    forks: &[Fork],
    found: &[Found],
) -> std::io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let chart = chart(task, branches, trunk, found);
    let mut files = vec![("branches.csv", csv(forks).into_bytes())];
    if forks.len() > 1 {
        files.push(("chances.svg", chart.svg(Theme::Light).into_bytes()));
        files.push(("chances.png", chart.png(Theme::Light)));
    }
    // Charts of other branches do not stay.
    for name in ["chances.svg", "chances.png"].into_iter().filter(|_| forks.len() < 2) {
        let _ = std::fs::remove_file(folder.join(name));
    }
    let mut paths = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        crate::files::write(&path, &bytes)?;
        paths.push(path);
    }
    Ok(paths)
}

fn json(
    task: &Task<'_>,
    branches: u64,
    trunk: &Trunk,
    forks: &[Fork],
    found: &[Found],
    out: &mut impl Write,
) -> std::io::Result<()> {
    let outcome = |found: &Found| {
        let share = |share: &Share| {
            serde_json::json!({
                "at_us": share.at_us, "happened": share.happened, "of": share.of,
                "part": share.part(), "interval": share.interval(),
            })
        };
        let shares: Vec<serde_json::Value> = found.shares.iter().map(share).collect();
        serde_json::json!({
            "outcome": found.event.to_string(), "in_the_run": found.in_run, "moments": shares, "settled": found.settled,
        })
    };
    let fork = |fork: &Fork| {
        let leaf = |leaf: &branching::Leaf| {
            let digest = format!("{:032x}", leaf.digest);
            serde_json::json!({ "branch": leaf.number, "digest": digest, "metrics": leaf.metrics })
        };
        serde_json::json!({ "at_us": fork.at_us, "branches": fork.leaves.iter().map(leaf).collect::<Vec<_>>() })
    };
    let all = serde_json::json!({
        "schema": crate::analysis::SCHEMA,
        "version": VERSION,
        "scenario": task.scenario.name,
        "seed": task.seed,
        "digest": format!("{:032x}", trunk.result.digest),
        "metrics": trunk.metrics,
        "branches": branches,
        "outcomes": found.iter().map(outcome).collect::<Vec<_>>(),
        "moments": forks.iter().map(fork).collect::<Vec<_>>(),
    });
    writeln!(out, "{}", serde_json::to_string_pretty(&all).expect("figures are valid JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_nonsense_is_refused() {
        assert_eq!(moments("7.3s"), Ok(Moments(vec![7_300_000])));
        assert_eq!(moments("-1s..1s/1s"), Ok(Moments(vec![-1_000_000, 0, 1_000_000])));
        assert_eq!(moments("0s..900ms/400ms"), Ok(Moments(vec![0, 400_000, 800_000])));
        for wrong in ["soon", "1s..2s", "2s..1s/1s", "0s..1s/0s", "0s..1s/-1s", "0s..100s/1ms", ""] {
            assert!(moments(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn outcomes_are_read_and_nonsense_is_refused() {
        for text in ["failovers>0", "set-outage >= 7.5", "failovers=0", "two-masters<1", "failovers<=2"] {
            let event = event(text).expect("a right outcome");
            assert_eq!(event.to_string().replace(' ', ""), text.replace(' ', ""));
        }
        for wrong in ["failovers", "failures>0", "set-outage-s>7", "failovers>many", "failovers>inf", ">0"] {
            assert!(event(wrong).is_err(), "{wrong}");
        }
    }
}
