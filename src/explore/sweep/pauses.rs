//! False failovers: what settings do to a master that only stumbles.
//!
//! A shorter down-after ends a real outage sooner, and takes more of a master's pauses (slow commands, forks, a virtual
//! machine that stands still, a link that drops everything for a moment) for its death. To weigh one against the other
//! the pauses need a model: how many there are a day, and how long they last. This file runs the stack, without the
//! scenario's own faults, through one such pause a run, and adds up what the failovers that follow would cost a day.
//!
//! Short pauses are frequent and harmless, long ones rare and costly. Drawing them as they come would spend nearly all
//! runs on harmless ones. So the share of pauses that last longer is drawn evenly on a logarithmic scale, from 1 down to
//! the share that is met once in ten years, in as many equal parts as there are runs, and each run is weighted by what
//! it stands for (stratified importance sampling). The sum of weight × failovers × pauses a day is the expected number of
//! failovers a day, without bias but for what is rarer than once in ten years.
//!
//! Pauses are the same in every combination: run `k` has the same pause and the same seed.

use std::io::{self, Write};
use std::path::Path;

use super::axis::unit;
use super::cell::Cell;
use super::rows::Columns;
use crate::analysis::sample::Summary;
use crate::explore::generate::places;
use crate::explore::script::fault;
use crate::files::Whole;
use crate::kernel::{Purpose, Span, Stream};
use crate::scenario::units::parse_span;
use crate::scenario::{Action, NodeRef, Scenario};

/// How the lengths of pauses are distributed.
#[derive(Clone, Debug, PartialEq)]
pub enum Lengths {
    /// With this mean.
    Exponential(Span),
    /// The logarithm is normal: with this median, and this standard deviation of the natural logarithm.
    LogNormal(Span, f64),
    /// At least this long; longer than `x` with probability (least / x) to this power.
    Pareto(Span, f64),
    /// Those that were measured, in rising order.
    Measured(Vec<Span>),
}

/// What a pause is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum PauseKind {
    /// The master's event loop is blocked: a slow command, a fork.
    #[default]
    Stall,
    /// The master's process stands still: SIGSTOP, a virtual machine that is moved.
    Freeze,
    /// The master's host hears nobody and is heard by nobody.
    Unplug,
}

impl PauseKind {
    /// What it is, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            PauseKind::Stall => "event loop blocked",
            PauseKind::Freeze => "process stopped",
            PauseKind::Unplug => "host cut off",
        }
    }
}

/// How often the master pauses, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Pauses {
    /// Pauses a day.
    pub a_day: f64,
    /// Their lengths.
    pub lengths: Lengths,
    /// What they are.
    pub kind: PauseKind,
    /// As it was written.
    pub text: String,
}

const USAGE: &str = "RATE:DISTRIBUTION, such as 500/day:lognormal:80ms:1.2, 2/hour:exponential:500ms, \
                     40/day:pareto:100ms:1.5 or 40/day:file:pauses.txt (one duration a line)";

/// Days between two pauses as long as the longest that is run: ten years.
const RAREST_DAYS: f64 = 3_650.0;

/// Runs go on so long after a pause: it is found out, voted on, ended, and the old master demoted (10 s after it is seen).
const AFTERMATH: Span = Span::from_secs(30);

/// One pause of the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pause {
    /// How long it lasts.
    pub length: Span,
    /// How many pauses of an average one it stands for.
    pub weight: f64,
}

/// What the pauses of a day cost with one combination of settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DailyCost {
    /// Failovers a day.
    pub failovers: Summary,
    /// Seconds a day without a successful SET, in runs with a failover.
    pub outage_s: Summary,
    /// Acknowledged SETs lost a day.
    pub lost_sets: Summary,
}

/// What one run saw of a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PauseRun {
    /// What the run does not have, or nobody knows, is none.
    pub failovers: Option<f64>,
    pub outage_s: Option<f64>,
    pub lost_sets: Option<f64>,
}

impl DailyCost {
    pub(super) fn add(&mut self, a_day: f64, weight: f64, run: PauseRun) {
        let failed_over = run.failovers.is_some_and(|count| count > 0.0);
        let outage_s = run.outage_s.map(|seconds| if failed_over { seconds } else { 0.0 });
        let costs = [
            (&mut self.failovers, run.failovers),
            (&mut self.outage_s, outage_s),
            (&mut self.lost_sets, run.lost_sets),
        ];
        for (summary, cost) in costs {
            cost.into_iter().for_each(|cost| summary.add(a_day * weight * cost));
        }
    }
}

impl Pauses {
    /// Reads `RATE:DISTRIBUTION`.
    ///
    /// # Errors
    /// If it is no model of pauses: what would be right.
    pub fn parse(text: &str) -> Result<Pauses, String> {
        let wrong = || format!("{text}: {USAGE}");
        let (rate, lengths) = text.split_once(':').ok_or_else(wrong)?;
        let (count, each) = rate.split_once('/').ok_or_else(wrong)?;
        let days = match each {
            "day" | "d" => 1.0,
            "hour" | "h" => 24.0,
            "minute" | "min" => 1_440.0,
            _ => return Err(wrong()),
        };
        let positive = |text: &str| text.parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
        let a_day = positive(count).ok_or_else(wrong)? * days;
        let span = |text: &str| {
            parse_span(text).map_err(|error| error.to_string()).and_then(|span| {
                if span == Span::ZERO { Err(format!("{text}: a pause has a length")) } else { Ok(span) }
            })
        };
        let lengths = match lengths.split(':').collect::<Vec<_>>().as_slice() {
            ["exponential", mean] => Lengths::Exponential(span(mean)?),
            ["lognormal", median, sigma] => Lengths::LogNormal(span(median)?, positive(sigma).ok_or_else(wrong)?),
            ["pareto", least, power] => Lengths::Pareto(span(least)?, positive(power).ok_or_else(wrong)?),
            ["file", path @ ..] if !path.is_empty() => Lengths::Measured(measured(&path.join(":"))?),
            _ => return Err(wrong()),
        };
        Ok(Pauses { a_day, lengths, kind: PauseKind::default(), text: text.to_owned() })
    }

    /// The length that this share of all pauses exceeds.
    pub fn exceeded_by(&self, share: f64) -> Span {
        let nanos = |span: &Span| span.0 as f64;
        let length = match &self.lengths {
            Lengths::Exponential(mean) => -nanos(mean) * libm::log(share),
            Lengths::LogNormal(median, sigma) => nanos(median) * libm::exp(sigma * normal_exceeded_by(share)),
            Lengths::Pareto(least, power) => nanos(least) * libm::pow(share, -1.0 / power),
            Lengths::Measured(lengths) => {
                let place = ((1.0 - share) * lengths.len() as f64) as usize;
                nanos(&lengths[place.min(lengths.len() - 1)])
            }
        };
        // Nobody waits longer for an answer than an hour, and a run must end.
        let micros = (length / 1e3).clamp(1.0, 3.6e9) as u64;
        Span::from_micros(micros)
    }

    /// The share of the pauses that are longer than the longest that is run.
    fn rarest(&self) -> f64 {
        let share = (1.0 / (self.a_day * RAREST_DAYS)).min(0.1);
        match &self.lengths {
            Lengths::Measured(lengths) => share.max(0.5 / lengths.len() as f64),
            _ => share,
        }
    }

    /// The pauses of `runs` runs.
    pub fn sample(&self, runs: u64, seed: u64) -> Vec<Pause> {
        let mut stream = Stream::named(seed, u32::MAX, Purpose::Settings);
        let depth = -libm::log(self.rarest());
        let pause = |run: u64| {
            let share = libm::exp(-depth * (run as f64 + unit(&mut stream)) / runs as f64);
            Pause { length: self.exceeded_by(share), weight: depth * share }
        };
        (0..runs).map(pause).collect()
    }

    /// The scenario without its faults, and with one pause.
    pub(super) fn scenario(&self, scenario: &Scenario, pause: Pause) -> Scenario {
        let node = NodeRef::Redis(1);
        let faults = match self.kind {
            PauseKind::Stall => vec![fault(Span::ZERO, Action::Stall { node, duration: pause.length })],
            PauseKind::Freeze => vec![
                fault(Span::ZERO, Action::Pause { node: node.clone() }),
                fault(pause.length, Action::Resume { node }),
            ],
            PauseKind::Unplug => {
                let others = places(scenario).into_iter().filter(|place| *place != node).collect();
                vec![
                    fault(Span::ZERO, Action::Partition { groups: vec![vec![node], others] }),
                    fault(pause.length, Action::Heal {}),
                ]
            }
        };
        let down_after = scenario.sentinel.iter().map(|config| config.down_after_milliseconds).max().unwrap_or(0);
        let duration = pause.length + Span::from_millis(down_after) + AFTERMATH;
        Scenario { faults, duration, expect: None, ..scenario.clone() }
    }
}

/// How many standard deviations the share of a normal distribution exceeds, by halving: its tail is known exactly.
fn normal_exceeded_by(share: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        let exceeds = 0.5 * libm::erfc(middle / std::f64::consts::SQRT_2);
        if exceeds > share { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

fn measured(path: &str) -> Result<Vec<Span>, String> {
    let text = crate::limits::read_text(Path::new(path)).map_err(|error| format!("{path}: {error}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let span = |(number, line): (usize, &str)| {
        parse_span(line.trim()).map_err(|error| format!("{path}, line {}: {error}", number + 1))
    };
    let mut lengths: Vec<Span> = lines.map(span).collect::<Result<_, String>>()?;
    if lengths.is_empty() {
        return Err(format!("{path}: no pause in it; one duration a line, such as 120ms"));
    }
    lengths.sort();
    Ok(lengths)
}

/// `pauses.csv`: one row a run.
pub(super) struct PausesCsv(Whole);

impl PausesCsv {
    pub(super) fn create(path: &Path, columns: &Columns) -> io::Result<PausesCsv> {
        let mut file = Whole::create(path)?;
        let keys: String = columns.keys.iter().map(|key| format!(",{}", crate::record::csv_field(&key.name))).collect();
        writeln!(file, "run{keys},pause,weight,failovers,set-outage,lost-acked-sets")?;
        Ok(PausesCsv(file))
    }

    pub(super) fn write(&mut self, seed: u64, values: &[Cell], pause: Pause, found: PauseRun) -> io::Result<()> {
        let values: String = values.iter().map(|value| format!(",{value}")).collect();
        let (length, weight) = (pause.length.as_secs_f64(), pause.weight);
        let number = |number: Option<f64>| number.map_or(String::new(), |number| number.to_string());
        let [failovers, outage_s, lost_sets] = [found.failovers, found.outage_s, found.lost_sets].map(number);
        writeln!(self.0, "{seed}{values},{length},{weight},{failovers},{outage_s},{lost_sets}")
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(text: &str) -> Pauses {
        Pauses::parse(text).expect("a good model")
    }

    /// The share of pauses longer than `limit`, from a weighted sample.
    fn longer(pauses: &Pauses, limit: Span) -> f64 {
        let runs = 400;
        let sample = pauses.sample(runs, 3);
        sample.iter().filter(|pause| pause.length > limit).map(|pause| pause.weight).sum::<f64>() / runs as f64
    }

    #[test]
    fn the_weighted_sample_has_the_tails_of_the_model() {
        let second = Span::from_secs(1);
        let near = |got: f64, right: f64| assert!((got / right - 1.0).abs() < 0.1, "{got} and {right}");
        near(longer(&pauses("100/day:exponential:200ms"), second), libm::exp(-5.0));
        near(longer(&pauses("100/day:pareto:100ms:2"), second), 0.01);
        // One second is 2.105 deviations from the median: 0.01766 of a normal distribution lie beyond.
        near(longer(&pauses("2000/day:lognormal:80ms:1.2"), second), 0.017_66);
        assert!(pauses("1/h:exponential:1s").a_day == 24.0);
    }

    #[test]
    fn a_weighted_sum_is_the_expected_cost() {
        let pauses = pauses("100/day:exponential:500ms");
        let mut cost = DailyCost::default();
        for pause in pauses.sample(500, 1) {
            let failovers = f64::from(u8::from(pause.length > Span::from_secs(2)));
            cost.add(
                pauses.a_day,
                pause.weight,
                PauseRun { failovers: Some(failovers), outage_s: Some(7.0), lost_sets: Some(0.0) },
            );
        }
        let right = 100.0 * libm::exp(-4.0);
        let got = cost.failovers.mean().expect("values");
        assert!((got / right - 1.0).abs() < 0.05, "{got} and {right}");
        assert!((cost.outage_s.mean().expect("values") / got - 7.0).abs() < 1e-9);
    }

    #[test]
    fn measured_pauses_are_drawn_as_they_are() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let lines: String = (1..=100).map(|n| format!("{}ms\n", n * 10)).collect();
        std::fs::write(file.path(), lines).expect("it can be written");
        let pauses = pauses(&format!("10/day:file:{}", file.path().display()));
        assert!((longer(&pauses, Span::from_millis(900)) - 0.1).abs() < 0.02);
        std::fs::write(file.path(), "10ms\nsoon\n").expect("it can be written");
        let error = Pauses::parse(&format!("10/day:file:{}", file.path().display())).expect_err("no duration");
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn bad_models_say_what_would_be_right() {
        for text in ["", "5:exponential:1s", "5/year:exponential:1s", "5/day:normal:1s", "0/day:exponential:1s"] {
            assert!(Pauses::parse(text).expect_err(text).contains("lognormal"), "{text}");
        }
        assert!(Pauses::parse("5/day:exponential:0s").expect_err("no length").contains("length"));
    }
}
