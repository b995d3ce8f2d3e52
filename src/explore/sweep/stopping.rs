//! When a sweep is exact enough: sequential stopping.
//!
//! The rule is Chow and Robbins's (1965): go on until the confidence interval, computed as if the sample size had been
//! fixed, is narrow enough. Looking again and again at a small sample would stop too often by luck; so the first look
//! is at 64 runs, and later ones are a sixteenth of the sample apart. The test below measures what is left of the 95 %.
//!
//! What is decided depends on the rows alone, in their order, and so not on the number of threads.

use super::Found;
use crate::analysis::metrics::Metric;
use crate::analysis::sample::Summary;

/// How exact a sweep shall be: the half width of the 95 % confidence interval of a metric's mean, in every combination;
/// with a baseline, of the mean difference from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Until {
    /// The metric.
    pub metric: Metric,
    /// The half width, in the metric's unit.
    pub half_width: f64,
}

/// Runs of each combination before the first look.
const FIRST_LOOK: u64 = 64;

/// Runs of each combination at the look after the one at `runs`.
pub(super) fn next_look(runs: u64) -> u64 {
    if runs < FIRST_LOOK { FIRST_LOOK } else { runs + runs / 16 }
}

/// The half width of the interval around a mean; none below two values.
fn half_width(summary: &Summary) -> Option<f64> {
    summary.mean_interval().map(|interval| (interval.high - interval.low) / 2.0)
}

impl Until {
    /// The widest of the intervals that count, as a half width: infinite if one has less than two values. Combinations
    /// in which the metric has no value at all do not count, nor does the baseline's difference from itself.
    pub fn widest(&self, found: &[Found], baseline: Option<usize>) -> f64 {
        let index = self.metric.index();
        let counting = found.iter().enumerate().filter(|(place, _)| Some(*place) != baseline);
        let summaries = counting.map(|(_, found)| match baseline {
            Some(_) => &found.differences[index],
            None => &found.values[index],
        });
        let with_values = summaries.filter(|summary| summary.count() > 0);
        with_values.map(|summary| half_width(summary).unwrap_or(f64::INFINITY)).fold(0.0, f64::max)
    }

    pub(super) fn is_reached(&self, found: &[Found], baseline: Option<usize>) -> bool {
        self.widest(found, baseline) <= self.half_width
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::sweep::axis::unit;
    use crate::kernel::{Purpose, Stream};

    /// How often the interval at which the rule stops holds the mean, of 2000 sweeps; and the mean number of runs.
    fn coverage(draw: fn(&mut Stream) -> f64, mean: f64, width: f64) -> (f64, f64) {
        let (mut held, mut runs) = (0, 0);
        for sweep in 0..2_000 {
            let mut stream = Stream::named(9, sweep, Purpose::Settings);
            let mut summary = Summary::default();
            let mut look = 0;
            loop {
                let next = next_look(look);
                (look..next).for_each(|_| summary.add(draw(&mut stream)));
                look = next;
                if half_width(&summary).is_some_and(|half| half <= width) {
                    break;
                }
            }
            let interval = summary.mean_interval().expect("there are values");
            held += u32::from(interval.low <= mean && mean <= interval.high);
            runs += look;
        }
        (f64::from(held) / 2_000.0, runs as f64 / 2_000.0)
    }

    #[test]
    fn the_interval_still_holds_the_mean_when_the_rule_has_stopped() {
        // Uniform, exponential (as skewed as outages get), and three of ten.
        let uniform = coverage(unit, 0.5, 0.03);
        let skewed = coverage(|stream| -libm::log(1.0 - unit(stream)), 1.0, 0.1);
        let rare = coverage(|stream| f64::from(u8::from(unit(stream) < 0.3)), 0.3, 0.05);
        for (name, (covered, runs)) in [("uniform", uniform), ("exponential", skewed), ("three of ten", rare)] {
            println!("{name}: {covered:.3} of the intervals hold the mean, {runs:.0} runs");
            assert!(covered > 0.925, "{name}: {covered}");
            assert!(covered < 0.98, "{name}: {covered} is wider than it says");
            assert!(runs > 300.0, "{name}: {runs} runs are no test of the rule");
        }
    }

    #[test]
    fn looks_are_rare() {
        assert_eq!([0, 64, 68, 1_600].map(next_look), [64, 68, 72, 1_700]);
    }
}
