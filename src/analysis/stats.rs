//! Samples from many runs: quantiles, distributions, intervals, and distances between two samples.
//!
//! Plain sums in the order of the sample, `libm` for what the platform might compute differently: the same sample
//! gives the same figures everywhere.

use serde::Serialize;

/// Arithmetic mean; none of an empty sample.
pub(crate) fn mean(sample: &[f64]) -> Option<f64> {
    (!sample.is_empty()).then(|| sample.iter().sum::<f64>() / sample.len() as f64)
}

/// Standard deviation of the population that the sample comes from (divisor n − 1); none below two values.
pub(crate) fn deviation(sample: &[f64]) -> Option<f64> {
    let mean = mean(sample)?;
    let squares: f64 = sample.iter().map(|x| (x - mean) * (x - mean)).sum();
    (sample.len() > 1).then(|| libm::sqrt(squares / (sample.len() - 1) as f64))
}

/// The middle value, or the mean of the two middle values.
pub(crate) fn median(sample: &[f64]) -> Option<f64> {
    let sorted = sorted(sample);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The value below which a part `p` of the sample lies, between neighbours by linear interpolation (Hyndman and Fan's
/// type 7); none of an empty sample.
///
/// # Panics
/// If `p` is not in 0 to 1.
pub(crate) fn quantile(sample: &[f64], p: f64) -> Option<f64> {
    assert!((0.0..=1.0).contains(&p), "a quantile is between 0 and 1");
    let sorted = sorted(sample);
    let place = p * sorted.len().checked_sub(1)? as f64;
    let low = place as usize;
    let high = (low + 1).min(sorted.len() - 1);
    let weight = place - low as f64;
    Some(sorted[low] + (sorted[high] - sorted[low]) * weight)
}

/// An interval that holds a value with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// 95 % confidence interval of the mean by Student's t; none below two values.
pub(crate) fn mean_interval(sample: &[f64]) -> Option<Interval> {
    let half = student_975(sample.len().checked_sub(1)?) * deviation(sample)? / libm::sqrt(sample.len() as f64);
    mean(sample).map(|mean| Interval { low: mean - half, high: mean + half })
}

/// 95 % confidence interval of a proportion (Wilson's score interval); none of zero trials.
pub(crate) fn proportion_interval(successes: usize, trials: usize) -> Option<Interval> {
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return None;
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * libm::sqrt(p * (1.0 - p) / n + Z * Z / (4.0 * n * n));
    Some(Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

/// The 97.5 % point of Student's t distribution: a table up to 30 degrees of freedom, beyond it the first terms of
/// its expansion around the normal distribution (Abramowitz and Stegun, 26.7.5).
pub(crate) fn student_975(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    const Z: f64 = 1.959_963_984_540_054;
    match freedom {
        0 => f64::INFINITY,
        1..=30 => TABLE[freedom - 1],
        n => Z + (Z * Z * Z + Z) / (4.0 * n as f64),
    }
}

/// What a table shows of a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Description {
    /// Number of values.
    pub count: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// 95 % confidence interval of the mean.
    pub mean_interval: Option<Interval>,
    /// Smallest value.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 95 % quantile.
    pub p95: f64,
    /// 99 % quantile.
    pub p99: f64,
    /// Largest value.
    pub max: f64,
}

/// Describes a sample; none of an empty one.
pub(crate) fn describe(sample: &[f64]) -> Option<Description> {
    let at = |p| quantile(sample, p);
    Some(Description {
        count: sample.len(),
        mean: mean(sample)?,
        mean_interval: mean_interval(sample),
        min: at(0.0)?,
        p50: at(0.5)?,
        p95: at(0.95)?,
        p99: at(0.99)?,
        max: at(1.0)?,
    })
}

/// 1-Wasserstein distance of two samples of any sizes: the area between their quantile functions.
///
/// # Panics
/// If a sample is empty.
pub(crate) fn wasserstein(a: &[f64], b: &[f64]) -> f64 {
    assert!(!a.is_empty() && !b.is_empty(), "a distance needs two samples");
    let (a, b) = (sorted(a), sorted(b));
    let corners = |n: usize| (1..=n).map(move |i| i as f64 / n as f64);
    let mut levels: Vec<f64> = corners(a.len()).chain(corners(b.len())).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let (mut distance, mut low) = (0.0, 0.0);
    for level in levels {
        let middle = (low + level) / 2.0;
        let at = |sample: &[f64]| sample[((middle * sample.len() as f64) as usize).min(sample.len() - 1)];
        distance += (level - low) * (at(&a) - at(&b)).abs();
        low = level;
    }
    distance
}

/// The probability that two samples of one distribution differ by as much as these do, by the asymptotic
/// Kolmogorov–Smirnov test with Stephens's correction for small samples.
///
/// # Panics
/// If a sample is empty.
pub(crate) fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    assert!(!a.is_empty() && !b.is_empty(), "a test needs two samples");
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut distance) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        while i < a.len() && a[i] <= x {
            i += 1;
        }
        while j < b.len() && b[j] <= x {
            j += 1;
        }
        distance = distance.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    let n = libm::sqrt((a.len() * b.len()) as f64 / (a.len() + b.len()) as f64);
    let lambda = (n + 0.12 + 0.11 / n) * distance;
    if lambda < 1e-3 {
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sign * libm::exp(-2.0 * (k * k) as f64 * lambda * lambda)
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// Fisher's exact test, two-sided: the chance that two groups with one common rate differ at least as much as these do,
/// each `(successes, trials)`.
///
/// # Panics
/// If a group has more successes than trials.
pub(crate) fn fisher_exact(a: (usize, usize), b: (usize, usize)) -> f64 {
    assert!(a.0 <= a.1 && b.0 <= b.1, "successes are trials");
    let log_choose = |n: usize, k: usize| {
        let log_factorial = |n: usize| libm::lgamma(n as f64 + 1.0);
        log_factorial(n) - log_factorial(k) - log_factorial(n - k)
    };
    let successes = a.0 + b.0;
    let all = log_choose(a.1 + b.1, successes);
    let chance = |k: usize| libm::exp(log_choose(a.1, k) + log_choose(b.1, successes - k) - all);
    // Tables as likely as this one count as well, whatever the last digits say.
    let limit = chance(a.0) * (1.0 + 1e-7);
    let tables = successes.saturating_sub(b.1)..=successes.min(a.1);
    tables.map(chance).filter(|chance| *chance <= limit).sum::<f64>().min(1.0)
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec((-1_000_000..1_000_000_i32).prop_map(|n| n as f64 / 1e3), 1..60)
    }

    proptest! {
        #[test]
        fn quantiles_rise_from_the_least_to_the_greatest_value(sample in sample(), p in 0.0..1.0_f64, q in 0.0..1.0_f64) {
            let at = |p| quantile(&sample, p).expect("the sample is not empty");
            prop_assert!(at(f64::min(p, q)) <= at(f64::max(p, q)));
            prop_assert_eq!(at(0.0), sample.iter().copied().fold(f64::INFINITY, f64::min));
            prop_assert_eq!(at(1.0), sample.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            prop_assert!((at(0.5) - median(&sample).expect("the sample is not empty")).abs() < 1e-9);
        }

        #[test]
        fn the_distance_is_a_metric(a in sample(), b in sample(), c in sample(), shift in 0.0..100.0_f64) {
            prop_assert_eq!(wasserstein(&a, &a), 0.0);
            prop_assert_eq!(wasserstein(&a, &b), wasserstein(&b, &a));
            prop_assert!(wasserstein(&a, &c) <= wasserstein(&a, &b) + wasserstein(&b, &c) + 1e-6);
            let moved: Vec<f64> = a.iter().map(|x| x + shift).collect();
            prop_assert!((wasserstein(&a, &moved) - shift).abs() < 1e-6_f64);
        }

        #[test]
        fn the_distance_is_the_area_between_the_distribution_functions(a in sample(), b in sample()) {
            let mut corners: Vec<f64> = a.iter().chain(&b).copied().collect();
            corners.sort_by(f64::total_cmp);
            let part = |of: &[f64], x: f64| of.iter().filter(|value| **value <= x).count() as f64 / of.len() as f64;
            let area: f64 = corners.windows(2).map(|w| (w[1] - w[0]) * (part(&a, w[0]) - part(&b, w[0])).abs()).sum();
            prop_assert!((wasserstein(&a, &b) - area).abs() < 1e-6 * (1.0 + area));
        }

        #[test]
        fn the_test_is_symmetric_and_knows_equal_samples(a in sample(), b in sample()) {
            prop_assert_eq!(kolmogorov_smirnov(&a, &a), 1.0);
            prop_assert_eq!(kolmogorov_smirnov(&a, &b), kolmogorov_smirnov(&b, &a));
            prop_assert!((0.0..=1.0).contains(&kolmogorov_smirnov(&a, &b)));
        }

        #[test]
        fn intervals_hold_what_they_are_about(sample in sample(), trials in 1..500_usize, part in 0.0..1.0) {
            if let (Some(interval), Some(mean)) = (mean_interval(&sample), mean(&sample)) {
                prop_assert!(interval.low <= mean && mean <= interval.high);
            }
            let successes = (part * trials as f64) as usize;
            let interval = proportion_interval(successes, trials).expect("there are trials");
            let p = successes as f64 / trials as f64;
            prop_assert!(0.0 <= interval.low && interval.low <= p + 1e-12 && p <= interval.high + 1e-12);
        }
    }

    #[test]
    fn fisher_s_test_gives_the_known_figures() {
        // Fisher's tea: 3 of 4 and 1 of 4. The others by sums of exact fractions.
        for (a, b, p) in [
            ((3, 4), (1, 4), 0.485_714),
            ((0, 20), (20, 200), 0.227_956),
            ((1, 20), (0, 200), 0.090_909),
            ((10, 20), (20, 200), 0.000_037_2),
            ((0, 20), (0, 200), 1.0),
            ((20, 20), (200, 200), 1.0),
        ] {
            let found = fisher_exact(a, b);
            assert!((found - p).abs() < 1e-5, "{a:?} {b:?}: {found}");
            assert!((fisher_exact(b, a) - found).abs() < 1e-12);
        }
    }

    #[test]
    fn samples_far_apart_are_told_apart() {
        let low: Vec<f64> = (0..20).map(f64::from).collect();
        let high: Vec<f64> = (100..120).map(f64::from).collect();
        assert!(kolmogorov_smirnov(&low, &high) < 1e-6);
        assert!((wasserstein(&low, &high) - 100.0).abs() < 1e-9);
        assert_eq!((mean(&[]), median(&[]), quantile(&[], 0.5), describe(&[])), (None, None, None, None));
    }
}
