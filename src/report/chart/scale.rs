//! Scales, their steps, and the words of their ticks.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Drawn, Pen, anchor};

/// A horizontal scale of times.
#[derive(Clone, Copy, Debug)]
pub struct TimeScale {
    /// The instant at the left edge, in microseconds.
    pub from_us: i64,
    /// The instant at the right edge.
    pub to_us: i64,
    /// The left edge.
    pub left: f64,
    /// The right edge.
    pub right: f64,
}

impl TimeScale {
    /// The place of an instant, kept between the edges.
    pub fn x(&self, us: i64) -> f64 {
        let us = us.clamp(self.from_us, self.to_us);
        let part = (us - self.from_us) as f64 / (self.to_us - self.from_us).max(1) as f64;
        self.left + part * (self.right - self.left)
    }

    /// How many seconds it covers.
    pub fn seconds(&self) -> f64 {
        (self.to_us - self.from_us) as f64 / 1e6
    }

    /// Grid lines, ticks and the axis below a plot.
    pub fn draw<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, top: f64, bottom: f64) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        let span = self.seconds();
        let step = nice_step(span, ((self.right - self.left) / 70.0) as usize);
        let first = libm::ceil(self.from_us as f64 / 1e6 / step) as i64;
        let last = libm::floor(self.to_us as f64 / 1e6 / step) as i64;
        let style = anchor(look.text(11, look.faint), HPos::Center, VPos::Top);
        for tick in first..=last {
            let seconds = tick as f64 * step;
            let x = self.x(libm::round(seconds * 1e6) as i64);
            pen.line((x, top), (x, bottom), look.grid, 1.0, 1)?;
            pen.line((x, bottom), (x, bottom + 4.0), look.faint, 1.0, 2)?;
            pen.text(x, bottom + 6.0, &tick_label(seconds, span, step), &style)?;
        }
        pen.line((self.left, bottom), (self.right, bottom), look.faint, 1.0, 2)?;
        let label = format!("time after the first fault ({})", tick_unit(span));
        let style = anchor(look.text(11, look.ink), HPos::Center, VPos::Top);
        pen.text((self.left + self.right) / 2.0, bottom + 22.0, &label, &style)
    }
}

/// A vertical scale.
#[derive(Clone, Copy, Debug)]
pub struct ValueScale {
    /// The value at the bottom.
    pub low: f64,
    /// The value at the top.
    pub high: f64,
    /// Whether equal distances are equal ratios.
    pub log: bool,
    /// The upper edge.
    pub top: f64,
    /// The lower edge.
    pub bottom: f64,
}

impl ValueScale {
    /// A linear scale from zero to a round number at or above `most`.
    pub fn linear(most: f64, top: f64, bottom: f64) -> ValueScale {
        let step = round_step(most / 5.0);
        let high = (libm::ceil(most / step) * step).max(step);
        ValueScale { low: 0.0, high, log: false, top, bottom }
    }

    /// A logarithmic scale over whole decades that holds `low` and `high`.
    pub fn decades(low: f64, high: f64, top: f64, bottom: f64) -> ValueScale {
        let down = |v: f64| libm::pow(10.0, libm::floor(libm::log10(v.max(1e-9))));
        let low = down(low);
        let mut up = low * 10.0;
        while up < high {
            up *= 10.0;
        }
        ValueScale { low, high: up, log: true, top, bottom }
    }

    /// The place of a value, kept between the edges.
    pub fn y(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let part = if self.log {
            libm::log10(value / self.low) / libm::log10(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.bottom - part * (self.bottom - self.top)
    }

    /// Grid lines and labels at the left, and the axis' title above it.
    pub fn draw<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        left: f64,
        right: f64,
        title: &str,
        label: impl Fn(f64) -> String,
    ) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        let style = anchor(look.text(11, look.faint), HPos::Right, VPos::Center);
        let mut values = Vec::new();
        if self.log {
            let mut value = self.low;
            while value < self.high * 1.001 {
                values.push(value);
                value *= 10.0;
            }
        } else {
            let step = round_step(self.high / 5.0);
            let mut n = 0.0;
            while n * step < self.high * 1.001 {
                values.push(n * step);
                n += 1.0;
            }
        }
        for value in values {
            let y = self.y(value);
            pen.line((left, y), (right, y), look.grid, 1.0, 1)?;
            pen.text(left - 6.0, y, &label(value), &style)?;
        }
        let style = anchor(look.text(11, look.ink), HPos::Left, VPos::Bottom);
        pen.text(left - 50.0, self.top - 9.0, title, &style)
    }
}

/// A step of 1, 2 or 5 times a power of ten that is at least `wanted`.
pub fn round_step(wanted: f64) -> f64 {
    let mut unit = libm::pow(10.0, libm::floor(libm::log10(wanted.max(1e-9))));
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if unit * factor >= wanted * 0.999_999 {
                return unit * factor;
            }
        }
        unit *= 10.0;
    }
}

/// A number without idle zeros behind the point.
pub fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// A duration given in milliseconds, with its unit.
pub fn duration_label(ms: f64) -> String {
    if ms >= 999.5 {
        format!("{} s", plain(ms / 1e3))
    } else if ms >= 0.9995 {
        format!("{} ms", plain(ms))
    } else {
        format!("{} µs", plain(ms * 1e3))
    }
}

/// A step of 1, 2 or 5 times a power of ten (for times also 15, 30 and 60 and their multiples) that divides `span` into
/// at most `most` parts.
pub fn nice_step(span: f64, most: usize) -> f64 {
    const STEPS: [f64; 24] = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0,
        300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
    ];
    let wanted = span / most.max(1) as f64;
    STEPS.into_iter().find(|step| *step >= wanted).unwrap_or_else(|| libm::ceil(wanted / 7200.0) * 7200.0)
}

/// A time on an axis: seconds below ten minutes, beyond that minutes.
pub fn tick_label(seconds: f64, span: f64, step: f64) -> String {
    if span > 600.0 {
        let sign = if seconds < 0.0 { "−" } else { "" };
        let whole = libm::round(seconds.abs()) as u64;
        if step >= 60.0 { format!("{sign}{}", whole / 60) } else { format!("{sign}{}:{:02}", whole / 60, whole % 60) }
    } else {
        let decimals = if step >= 1.0 {
            0
        } else if step >= 0.1 && step != 0.25 {
            1
        } else {
            2
        };
        let text = format!("{seconds:.decimals$}");
        if let Some(rest) = text.strip_prefix('-') { format!("−{rest}") } else { text }
    }
}

/// The unit that [`tick_label`] counts in.
pub fn tick_unit(span: f64) -> &'static str {
    if span > 600.0 { "min" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_few() {
        for span in [0.5, 3.0, 28.0, 30.0, 55.0, 600.0, 1800.0, 86_400.0] {
            let step = nice_step(span, 12);
            assert!(span / step <= 12.0 && span / step >= 2.0, "{span} in steps of {step}");
        }
        assert_eq!(nice_step(30.0, 15), 2.0);
        assert_eq!(nice_step(1800.0, 12), 300.0);
    }

    #[test]
    fn labels_have_the_digits_they_need() {
        assert_eq!(tick_label(-5.0, 30.0, 5.0), "−5");
        assert_eq!(tick_label(0.25, 3.0, 0.25), "0.25");
        assert_eq!(tick_label(900.0, 1800.0, 300.0), "15");
        assert_eq!(tick_label(90.0, 700.0, 30.0), "1:30");
    }

    #[test]
    fn value_scales_hold_what_they_were_made_for() {
        let scale = ValueScale::linear(37.0, 0.0, 100.0);
        assert_eq!((scale.high, scale.y(0.0), scale.y(40.0)), (40.0, 100.0, 0.0));
        let scale = ValueScale::decades(0.3, 1200.0, 0.0, 100.0);
        assert!((scale.low - 0.1).abs() < 1e-9 && (scale.high - 10_000.0).abs() < 1e-6);
        assert!((scale.y(31.622_776_6) - 50.0).abs() < 1e-3);
        assert_eq!([0.2, 15.0, 1500.0].map(duration_label), ["200 µs", "15 ms", "1.5 s"]);
    }
}
