//! What is kept of a sample that may be endless.

use std::collections::BTreeMap;

use super::stats::{self, Interval};

/// Up to so many values, all are kept and every figure is exact.
const EXACT_MAX: usize = 4_096;

/// Values beyond that are counted in buckets of this relative width (1/256 of a power of two).
const BUCKETS_AN_OCTAVE: f64 = 256.0;

/// A sample: count, mean, spread and quantiles, in bounded memory.
///
/// Up to 4096 values, all are kept; of more, quantiles are exact to 0.4 %, and exactly those of the sample where only one value
/// fell into a bucket, as with small counts. Mean, spread, least and greatest value are exact, and depend on the order of the
/// values alone, which is that of the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    count: u64,
    mean: f64,
    squares: f64,
    least: f64,
    most: f64,
    values: Vec<f64>,
    buckets: BTreeMap<i64, Bucket>,
}

/// Values that are near each other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    count: u64,
    least: f64,
    most: f64,
}

fn bucket(value: f64) -> i64 {
    let size = libm::log2(value.abs().max(1e-9)) * BUCKETS_AN_OCTAVE;
    let index = size as i64 + 10_000;
    match value {
        value if value.abs() < 1e-9 => 0,
        value if value < 0.0 => -index,
        _ => index,
    }
}

fn middle(bucket: i64) -> f64 {
    let size = |index: i64| libm::exp2((index as f64 - 10_000.0 + 0.5) / BUCKETS_AN_OCTAVE);
    match bucket {
        0 => 0.0,
        bucket if bucket < 0 => -size(-bucket),
        bucket => size(bucket),
    }
}

impl Summary {
    /// Takes a value in (Welford's method for mean and spread).
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let from_mean = value - self.mean;
        self.mean += from_mean / self.count as f64;
        self.squares += from_mean * (value - self.mean);
        (self.least, self.most) = match self.count {
            1 => (value, value),
            _ => (self.least.min(value), self.most.max(value)),
        };
        if self.buckets.is_empty() && self.values.len() < EXACT_MAX {
            self.values.push(value);
            return;
        }
        for kept in std::mem::take(&mut self.values) {
            self.count_in(kept);
        }
        self.count_in(value);
    }

    fn count_in(&mut self, value: f64) {
        let new = Bucket { count: 0, least: value, most: value };
        let bucket = self.buckets.entry(bucket(value)).or_insert(new);
        bucket.count += 1;
        (bucket.least, bucket.most) = (bucket.least.min(value), bucket.most.max(value));
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// 95 % confidence interval of the mean; none below two values.
    pub fn mean_interval(&self) -> Option<Interval> {
        if self.count < 2 {
            return None;
        }
        let deviation = libm::sqrt(self.squares / (self.count - 1) as f64);
        let freedom = usize::try_from(self.count - 1).unwrap_or(usize::MAX);
        let half = stats::student_975(freedom) * deviation / libm::sqrt(self.count as f64);
        Some(Interval { low: self.mean - half, high: self.mean + half })
    }

    /// The value below which a part `p` of the sample lies.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        if self.buckets.is_empty() {
            return stats::quantile(&self.values, p);
        }
        let wanted = (p * (self.count - 1) as f64) as u64;
        let mut below = 0;
        for (index, bucket) in &self.buckets {
            // The first and the last of a bucket are known; between them its middle stands for all.
            if wanted == below {
                return Some(bucket.least);
            }
            below += bucket.count;
            if wanted + 1 == below {
                return Some(bucket.most);
            }
            if wanted < below {
                return Some(middle(*index).clamp(bucket.least, bucket.most));
            }
        }
        Some(self.most)
    }

    /// The smallest value.
    pub fn least(&self) -> Option<f64> {
        (self.count > 0).then_some(self.least)
    }

    /// The largest value.
    pub fn most(&self) -> Option<f64> {
        (self.count > 0).then_some(self.most)
    }

    /// The values, as long as all are kept: for distribution charts.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_sample_and_stay_close_when_it_is_long() {
        for count in [10_u32, 1_000, 20_000] {
            let sample: Vec<f64> = (0..count).map(|n| f64::from(n * 7_919 % count) / 100.0).collect();
            let mut summary = Summary::default();
            sample.iter().for_each(|value| summary.add(*value));
            assert!((summary.mean().expect("values") - stats::mean(&sample).expect("values")).abs() < 1e-6);
            for p in [0.05, 0.5, 0.95, 0.99] {
                let (got, exact) = (summary.quantile(p).expect("values"), stats::quantile(&sample, p).expect("values"));
                assert!((got - exact).abs() <= exact * 0.006 + 0.01, "{count} {p}: {got} and {exact}");
            }
            let most = sample.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!((summary.quantile(0.0), summary.quantile(1.0)), (Some(0.0), Some(most)));
            assert_eq!((summary.least(), summary.most()), (Some(0.0), Some(most)));
        }
    }

    #[test]
    fn the_greatest_value_is_never_below_one_that_was_seen() {
        let mut summary = Summary::default();
        (0..5_000).for_each(|_| summary.add(7.3));
        // One above the middle of its bucket, and one below.
        summary.add(7.311);
        summary.add(7.291);
        assert_eq!((summary.quantile(0.0), summary.quantile(1.0)), (Some(7.291), Some(7.311)));
    }

    #[test]
    fn quantiles_of_counts_are_counts() {
        let mut summary = Summary::default();
        (0..10_000).for_each(|n| summary.add(f64::from(n % 10)));
        for (p, count) in [(0.05, 0.0), (0.5, 4.0), (0.95, 9.0), (0.35, 3.0)] {
            assert_eq!(summary.quantile(p), Some(count), "{p}");
        }
    }

    #[test]
    fn negative_values_have_their_place() {
        let mut summary = Summary::default();
        (0..10_000).for_each(|n| summary.add(f64::from(n) - 5_000.0));
        let low = summary.quantile(0.1).expect("values");
        assert!((low + 4_000.0).abs() < 30.0, "{low}");
        assert!(summary.quantile(0.5).expect("values").abs() < 30.0);
    }
}
