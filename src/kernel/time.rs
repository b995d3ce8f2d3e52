//! Virtual time as integer nanoseconds.
//!
//! Two types, so that an instant and a duration cannot be mixed up: [`Time`] counts nanoseconds since the simulated
//! world began to exist, [`Span`] is the distance between two instants. Arithmetic is checked: a clock that runs
//! backwards or overflows is a broken invariant and panics.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};

/// An instant of virtual time: nanoseconds since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A length of virtual time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Time {
    /// The beginning of the world.
    pub const ZERO: Time = Time(0);
    /// Later than every instant a run can reach: "never".
    pub const NEVER: Time = Time(u64::MAX);

    /// Whole milliseconds since the beginning, truncated as `mstime()` does.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Seconds from `origin` to this instant; negative when it lies before.
    pub fn seconds_since(self, origin: Time) -> f64 {
        (self.0 as i128 - origin.0 as i128) as f64 / 1e9
    }

    /// The span from `earlier` to this instant.
    ///
    /// # Panics
    /// If `earlier` is later: time never runs backwards.
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.checked_sub(earlier.0).expect("time runs forwards"))
    }

    /// The span from `earlier` to this instant, zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole nanoseconds.
    pub const fn from_nanos(n: u64) -> Span {
        Span(n)
    }
    /// A span of whole microseconds.
    pub const fn from_micros(n: u64) -> Span {
        Span(n * 1_000)
    }
    /// A span of whole milliseconds.
    pub const fn from_millis(n: u64) -> Span {
        Span(n * 1_000_000)
    }
    /// A span of whole seconds.
    pub const fn from_secs(n: u64) -> Span {
        Span(n * 1_000_000_000)
    }
    /// Whole milliseconds, truncated.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
    /// Seconds as a floating-point number, for reports only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// Milliseconds as a floating-point number, for reports only.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, rhs: Span) -> Time {
        Time(self.0.checked_add(rhs.0).expect("virtual time fits in 64 bits"))
    }
}
impl AddAssign<Span> for Time {
    fn add_assign(&mut self, rhs: Span) {
        *self = *self + rhs;
    }
}
impl Sub<Time> for Time {
    type Output = Span;
    fn sub(self, rhs: Time) -> Span {
        self.since(rhs)
    }
}
impl Add for Span {
    type Output = Span;
    fn add(self, rhs: Span) -> Span {
        Span(self.0.checked_add(rhs.0).expect("span fits in 64 bits"))
    }
}
impl AddAssign for Span {
    fn add_assign(&mut self, rhs: Span) {
        *self = *self + rhs;
    }
}
impl Sub for Span {
    type Output = Span;
    fn sub(self, rhs: Span) -> Span {
        Span(self.0.checked_sub(rhs.0).expect("span is not negative"))
    }
}
impl Mul<u64> for Span {
    type Output = Span;
    fn mul(self, rhs: u64) -> Span {
        Span(self.0.checked_mul(rhs).expect("span fits in 64 bits"))
    }
}

impl fmt::Display for Span {
    /// The shortest exact form in the scenario file's units: `250us`, `50ms`, `5s`, `2m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        let units = [(60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
        if n == 0 {
            return f.write_str("0s");
        }
        for (size, name) in units {
            if n.is_multiple_of(size) {
                return write!(f, "{}{name}", n / size);
            }
        }
        unreachable!("every number is a multiple of one")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.0 as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_in_their_largest_exact_unit() {
        let texts: Vec<String> =
            [0, 1_000, 50_000_000, 5_000_000_000, 120_000_000_000, 90_000_000_000, 1_500_000_000, 7]
                .map(|n| Span(n).to_string())
                .to_vec();
        assert_eq!(texts, ["0s", "1us", "50ms", "5s", "2m", "90s", "1500ms", "7ns"]);
    }

    #[test]
    fn milliseconds_are_truncated() {
        assert_eq!(Time(1_999_999).as_millis(), 1);
        assert_eq!(Span(1_999_999).as_millis(), 1);
    }
}
