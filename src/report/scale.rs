//! A horizontal scale of numbers, linear or logarithmic, for charts that compare settings.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{Drawn, Pen, anchor, plain, round_step};

/// Places numbers between a left and a right edge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberScale {
    /// The number at the left edge.
    pub low: f64,
    /// The number at the right edge.
    pub high: f64,
    /// Whether equal distances are equal ratios.
    pub log: bool,
    /// The left edge.
    pub left: f64,
    /// The right edge.
    pub right: f64,
}

impl NumberScale {
    /// A scale that holds all of these numbers with some room at both ends; numbers that are not above 0 are left out of
    /// a logarithmic one.
    pub(crate) fn holding(numbers: impl Iterator<Item = f64>, log: bool, (left, right): (f64, f64)) -> NumberScale {
        let kept = numbers.filter(|number| number.is_finite() && (!log || *number > 0.0));
        let (low, high) = kept.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n| (low.min(n), high.max(n)));
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        let (low, high) = match log {
            true if high / low > 1.2 => (low / 1.15, high * 1.15),
            true => (low / 2.0, high * 2.0),
            false => {
                let room = if high > low { (high - low) * 0.05 } else { high.abs().max(1.0) / 2.0 };
                (if low >= 0.0 { (low - room).max(0.0) } else { low - room }, high + room)
            }
        };
        NumberScale { low, high, log, left, right }
    }

    /// The place of a number, kept between the edges.
    pub(crate) fn x(&self, number: f64) -> f64 {
        let number = number.clamp(self.low, self.high);
        let part = match self.log {
            true => libm::log(number / self.low) / libm::log(self.high / self.low),
            false => (number - self.low) / (self.high - self.low),
        };
        self.left + part * (self.right - self.left)
    }

    /// Round numbers on it.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        if !self.log {
            let step = round_step((self.high - self.low) / 8.0);
            let (first, last) = (libm::ceil(self.low / step) as i64, libm::floor(self.high / step) as i64);
            return (first..=last).map(|n| n as f64 * step).collect();
        }
        let decades = libm::log10(self.high / self.low);
        let factors: &[f64] = if decades > 4.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let first = libm::floor(libm::log10(self.low)) as i32;
        let unit = |n: i32| libm::pow(10.0, f64::from(first + n));
        let all = (0..=decades as i32 + 1).flat_map(|n| factors.iter().map(move |factor| unit(n) * factor));
        all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }

    /// Grid lines, ticks and a title below.
    pub(crate) fn draw<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, top: f64, bottom: f64, title: &str) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        let style = anchor(look.text(11, look.faint), HPos::Center, VPos::Top);
        for tick in self.ticks() {
            let x = self.x(tick);
            pen.line((x, top), (x, bottom), look.grid, 1.0, 1)?;
            pen.text(x, bottom + 6.0, &plain(tick), &style)?;
        }
        pen.line((self.left, bottom), (self.right, bottom), look.faint, 1.0, 2)?;
        let style = anchor(look.text(12, look.ink), HPos::Center, VPos::Top);
        pen.text((self.left + self.right) / 2.0, bottom + 24.0, title, &style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let scale = NumberScale::holding([500.0, 10_000.0].into_iter(), true, (0.0, 100.0));
        assert_eq!(scale.ticks(), [500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0]);
        assert!(scale.x(500.0) > 0.0 && scale.x(10_000.0) < 100.0 && (scale.x(2_236.068) - 50.0).abs() < 1e-3);
        let scale = NumberScale::holding([1.0, 9.0].into_iter(), false, (0.0, 100.0));
        assert!(scale.ticks().len() >= 4 && scale.ticks().iter().all(|tick| (0.6..=9.4).contains(tick)));
        let nothing = NumberScale::holding(std::iter::empty(), true, (0.0, 100.0));
        assert!(nothing.x(3.0).is_finite());
    }
}
