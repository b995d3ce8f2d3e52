//! Loss and latency over time, summed over many runs.

use std::collections::BTreeMap;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::causes;
use super::chart::{
    Chart, Drawn, Key, Look, Pen, TimeScale, ValueScale, duration_label, heading, legend, legend_rows, mark_faults,
    nice_step, palette, plain, shade_faults,
};
use super::lanes::{FaultWindow, Lanes};
use crate::analysis::Analysis;
use crate::analysis::ledger::Cause;
use crate::record::Outcome;

const WIDTH: u32 = 1280;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 1262.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 300.0;
/// Classes of durations for a factor of ten: neighbours differ by 15 %.
const CLASSES: f64 = 16.0;

/// The axis of time, and what was done to the stack.
#[derive(Clone, Debug)]
pub struct Frame {
    from_us: i64,
    to_us: i64,
    step_us: i64,
    faults: Vec<FaultWindow>,
}

impl Frame {
    /// The frame of a run.
    pub fn of(lanes: &Lanes) -> Frame {
        let (from_us, to_us) = (lanes.shown_from_us, lanes.end_us);
        let step = nice_step((to_us - from_us) as f64 / 1e6, 120);
        Frame { from_us, to_us, step_us: ((step * 1e6) as i64).max(1), faults: lanes.faults.clone() }
    }

    fn scale(&self) -> TimeScale {
        TimeScale { from_us: self.from_us, to_us: self.to_us, left: LEFT, right: RIGHT }
    }

    /// The part of a bucket that is shown, and how long it is.
    fn seen(&self, index: i64) -> (i64, i64, f64) {
        let from = (index * self.step_us).max(self.from_us);
        let to = ((index + 1) * self.step_us).min(self.to_us);
        (from, to, ((to - from) as f64 / 1e6).max(self.step_us as f64 / 4e6))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bucket {
    published: u64,
    lost: BTreeMap<Cause, u64>,
    /// Acknowledged attempts by class of their duration.
    took: BTreeMap<i32, u64>,
}

/// Counts over time. Runs can be added in any order: only whole numbers are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OverTime {
    buckets: BTreeMap<i64, Bucket>,
}

impl OverTime {
    /// The messages of a run.
    pub(crate) fn of(analysis: &Analysis, frame: &Frame) -> OverTime {
        let mut counts = OverTime::default();
        let shown = |at: i64| at >= frame.from_us && at <= frame.to_us;
        for message in analysis.ledger.messages.iter().filter(|message| shown(message.published_us)) {
            let bucket = counts.buckets.entry(message.published_us.div_euclid(frame.step_us)).or_default();
            bucket.published += 1;
            if let Some(cause) = message.cause {
                *bucket.lost.entry(cause).or_default() += 1;
            }
            if message.outcome == Outcome::Ok {
                let class = libm::floor(libm::log10(message.took_us.max(1) as f64) * CLASSES) as i32;
                *bucket.took.entry(class).or_default() += 1;
            }
        }
        counts
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn merge(&mut self, other: OverTime) {
        for (index, counted) in other.buckets {
            let bucket = self.buckets.entry(index).or_default();
            bucket.published += counted.published;
            for (cause, count) in counted.lost {
                *bucket.lost.entry(cause).or_default() += count;
            }
            for (class, count) in counted.took {
                *bucket.took.entry(class).or_default() += count;
            }
        }
    }

    fn lost(&self) -> BTreeMap<Cause, u64> {
        let mut sums = BTreeMap::new();
        for (cause, count) in self.buckets.values().flat_map(|bucket| &bucket.lost) {
            *sums.entry(*cause).or_default() += count;
        }
        sums
    }
}

/// The middle of a class of durations, in milliseconds.
fn middle(class: i32) -> f64 {
    libm::pow(10.0, (f64::from(class) + 0.5) / CLASSES) / 1e3
}

/// The class below which a part of the counts lies.
fn class_at(counts: &BTreeMap<i32, u64>, part: f64) -> Option<i32> {
    let all: u64 = counts.values().sum();
    let wanted = (libm::ceil(all as f64 * part) as u64).max(1);
    let mut sum = 0;
    counts.iter().find_map(|(class, count)| {
        sum += count;
        (sum >= wanted).then_some(*class)
    })
}

/// Messages lost over time by cause: the mean of many runs.
pub(crate) struct LossOverTime<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// How many runs.
    pub n: usize,
    /// The axis.
    pub frame: &'a Frame,
    /// The counts.
    pub data: &'a OverTime,
}

impl LossOverTime<'_> {
    fn keys(&self, look: &Look) -> Vec<Key> {
        let mut keys = vec![Key { color: look.good, text: "published".into() }];
        for (cause, count) in self.data.lost() {
            let mean = count as f64 / self.n.max(1) as f64;
            let text = format!("{} ({mean:.1} a run)", causes::words(cause));
            keys.push(Key { color: look.shade(causes::color(cause)), text });
        }
        keys
    }
}

impl Chart for LossOverTime<'_> {
    fn size(&self) -> (u32, u32) {
        let keys = self.keys(&Look::of(super::chart::Theme::Light));
        (WIDTH, BOTTOM as u32 + 50 + legend_rows(&keys, RIGHT - 20.0) * 18 + 12)
    }

    fn title(&self) -> String {
        format!("{}: messages lost over time by cause, mean of n = {} runs", self.scenario, self.n)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        let (frame, scale) = (self.frame, self.frame.scale());
        heading(&pen, &format!("{}: messages lost over time", self.scenario), &format!("mean of n = {} runs", self.n))?;
        let runs = self.n.max(1) as f64;
        let rate = |count: u64, index: i64| count as f64 / runs / frame.seen(index).2;
        let buckets = &self.data.buckets;
        let most = buckets.iter().map(|(index, bucket)| rate(bucket.published, *index)).fold(1.0, f64::max);
        let values = ValueScale::linear(most, TOP, BOTTOM);
        for (index, bucket) in buckets {
            let (from, to, _) = frame.seen(*index);
            let top = values.y(rate(bucket.published, *index));
            pen.rect(scale.x(from), top, scale.x(to) - scale.x(from), BOTTOM - top, look.good, 1.0)?;
        }
        shade_faults(&pen, &scale, &frame.faults, TOP, BOTTOM)?;
        let step = plain(frame.step_us as f64 / 1e6);
        values.draw(&pen, LEFT, RIGHT, &format!("messages per second (in steps of {step} s)"), plain)?;
        scale.draw(&pen, TOP, BOTTOM)?;
        for (index, bucket) in buckets {
            let (from, to, _) = frame.seen(*index);
            let mut below = 0;
            for (cause, count) in &bucket.lost {
                let (y0, y1) = (values.y(rate(below + count, *index)), values.y(rate(below, *index)));
                let color = look.shade(causes::color(*cause));
                pen.rect(scale.x(from), y0, scale.x(to) - scale.x(from), y1 - y0, color, 1.0)?;
                below += count;
            }
        }
        mark_faults(&pen, &scale, &frame.faults, TOP, BOTTOM)?;
        legend(&pen, &self.keys(look), 20.0, RIGHT, BOTTOM + 50.0)?;
        Ok(())
    }
}

/// How long acknowledged attempts to publish took over time, in many runs.
pub(crate) struct LatencyOverTime<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// How many runs.
    pub n: usize,
    /// The axis.
    pub frame: &'a Frame,
    /// The counts.
    pub data: &'a OverTime,
}

/// Parts of the attempts in each step of time, from the widest to the median.
const BANDS: [(f64, f64, f64, &str); 3] =
    [(0.0, 1.0, 0.25, "all acknowledged attempts"), (0.05, 0.95, 0.5, "5 % to 95 %"), (0.5, 0.5, 1.0, "median")];

impl LatencyOverTime<'_> {
    fn keys(&self, look: &Look) -> Vec<Key> {
        let color = look.shade(palette::BLUE);
        let key = |(.., alpha, text): (f64, f64, f64, &str)| Key {
            color: super::chart::blend(color, look.paper, alpha),
            text: text.into(),
        };
        BANDS.map(key).to_vec()
    }
}

impl Chart for LatencyOverTime<'_> {
    fn size(&self) -> (u32, u32) {
        (WIDTH, BOTTOM as u32 + 80)
    }

    fn title(&self) -> String {
        let n: u64 = self.data.buckets.values().flat_map(|bucket| bucket.took.values()).sum();
        format!("{}: time that attempts to publish took, n = {n} acknowledged in {} runs", self.scenario, self.n)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        let (frame, scale) = (self.frame, self.frame.scale());
        let title = self.title();
        let (name, rest) = title.split_once(", n").unwrap_or((&title, ""));
        heading(&pen, name, &format!("n{rest}"))?;
        let classes = || self.data.buckets.values().flat_map(|bucket| bucket.took.keys());
        let (low, high) = (classes().min().copied().unwrap_or(0), classes().max().copied().unwrap_or(0));
        let values = ValueScale::decades(middle(low), middle(high).max(1.0), TOP, BOTTOM);
        values.draw(&pen, LEFT, RIGHT, "duration (logarithmic)", duration_label)?;
        scale.draw(&pen, TOP, BOTTOM)?;
        shade_faults(&pen, &scale, &frame.faults, TOP, BOTTOM)?;
        let color = look.shade(palette::BLUE);
        for (index, bucket) in &self.data.buckets {
            let (from, to, _) = frame.seen(*index);
            let width = scale.x(to) - scale.x(from);
            for (low, high, alpha, _) in BANDS {
                let y = |part| class_at(&bucket.took, part).map(|class| values.y(middle(class)));
                if let (Some(bottom), Some(top)) = (y(low), y(high)) {
                    let color = super::chart::blend(color, look.paper, alpha);
                    pen.rect(scale.x(from), top - 1.0, width, bottom - top + 2.0, color, 1.0)?;
                }
            }
        }
        mark_faults(&pen, &scale, &frame.faults, TOP, BOTTOM)?;
        legend(&pen, &self.keys(look), 20.0, RIGHT, BOTTOM + 50.0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_their_durations() {
        for us in [1_i64, 10, 999, 12_345, 5_000_000] {
            let class = libm::floor(libm::log10(us as f64) * CLASSES) as i32;
            let ratio = middle(class) * 1e3 / us as f64;
            assert!((0.85..1.18).contains(&ratio), "{us} {ratio}");
        }
    }

    #[test]
    fn parts_of_counts_are_found() {
        let counts = BTreeMap::from([(1, 5), (2, 90), (9, 5)]);
        assert_eq!(
            [0.0, 0.05, 0.06, 0.5, 0.95, 0.96, 1.0].map(|p| class_at(&counts, p)),
            [1, 1, 2, 2, 2, 9, 9].map(Some)
        );
        assert_eq!(class_at(&BTreeMap::new(), 0.5), None);
    }
}
