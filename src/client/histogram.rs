//! Latencies of a million requests in a few kilobytes.

use crate::kernel::Span;

/// Each power of two is divided into this many buckets: a quantile is exact to 1/32.
const SUB_BUCKETS: u64 = 32;
const SUB_BITS: u32 = SUB_BUCKETS.ilog2();

/// A log-linear histogram of spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum_ns: u128,
    longest: Span,
}

/// Values below [`SUB_BUCKETS`] have a bucket each; above, the leading six bits decide.
fn bucket(value: u64) -> usize {
    let shift = value.max(1).ilog2().saturating_sub(SUB_BITS);
    (shift as u64 * SUB_BUCKETS + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / SUB_BUCKETS).saturating_sub(1);
    let first = (bucket - shift * SUB_BUCKETS) << shift;
    first + ((1 << shift) - 1)
}

impl Histogram {
    /// Counts one span.
    pub fn record(&mut self, span: Span) {
        let bucket = bucket(span.0);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.sum_ns += u128::from(span.0);
        self.longest = self.longest.max(span);
    }

    /// How many spans were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest span, exactly.
    pub fn longest(&self) -> Span {
        self.longest
    }

    /// The mean, exactly; zero if nothing was counted.
    pub fn mean(&self) -> Span {
        Span((self.sum_ns / u128::from(self.total.max(1))) as u64)
    }

    /// The smallest bucket limit that at least `permille` thousandths of all spans do not exceed; never above the
    /// longest span. Zero if nothing was counted.
    pub fn quantile(&self, permille: u64) -> Span {
        assert!(permille <= 1_000, "a quantile is a share of the whole");
        let rank = u64::try_from((u128::from(self.total) * u128::from(permille)).div_ceil(1_000))
            .expect("a share of a count is a count");
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return Span(upper(bucket)).min(self.longest);
            }
        }
        Span::ZERO
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum_ns += other.sum_ns;
        self.longest = self.longest.max(other.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        let values = (0..5_000).chain((12..63).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]));
        for value in values.chain([u64::MAX]) {
            let bucket = bucket(value);
            assert!(value <= upper(bucket), "{value}");
            assert!(bucket == 0 || value > upper(bucket - 1), "{value}");
            assert!(upper(bucket) - value <= value / SUB_BUCKETS, "{value}");
        }
    }

    #[test]
    fn quantiles_are_exact_to_a_thirtysecond() {
        let mut histogram = Histogram::default();
        for n in 1..=10_000u64 {
            histogram.record(Span(n * 100));
        }
        assert_eq!(
            (histogram.total(), histogram.longest(), histogram.mean()),
            (10_000, Span(1_000_000), Span(500_050))
        );
        let median = histogram.quantile(500).0;
        assert!((500_000..500_000 + 500_000 / 32).contains(&median), "{median}");
        assert_eq!(histogram.quantile(1_000), Span(1_000_000));
        assert_eq!(Histogram::default().quantile(990), Span::ZERO);
    }

    #[test]
    fn merging_adds_up() {
        let (mut low, mut high) = (Histogram::default(), Histogram::default());
        low.record(Span(10));
        high.record(Span(1_000_000));
        low.merge(&high);
        assert_eq!((low.total(), low.longest(), low.quantile(500)), (2, Span(1_000_000), Span(10)));
    }
}
