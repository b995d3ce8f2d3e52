//! What varies: a key of the scenario with a list of values, or a range from which values are drawn.
//!
//! Lists alone make a grid: every combination. As soon as a range is among the axes, or a number of samples is asked
//! for, settings are drawn by Latin hypercube sampling (McKay, Beckman and Conover 1979): with `n` samples each axis is
//! cut into `n` equal parts, and each part is hit once. The draws depend on the sweep's seed and the axis' place alone.

use crate::kernel::{Purpose, Span, Stream};
use crate::scenario::units::parse_span;

/// A key of the scenario and the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The key's path, such as `sentinel.down-after-milliseconds`.
    pub key: String,
    /// Its values.
    pub values: Values,
}

/// The values of an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// These, as they would stand in the file.
    Listed(Vec<String>),
    /// Any of a range.
    Between(Range),
}

/// What a number of a range stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A whole number.
    Whole,
    /// A number with a fraction.
    Fraction,
    /// A duration; numbers are nanoseconds.
    Duration,
}

/// A range of numbers or durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    unit: Unit,
    log: bool,
}

const USAGE: &str = "KEY=V1,V2,… or KEY=LOW..HIGH (log:LOW..HIGH for a logarithmic scale)";

impl Axis {
    /// Reads `KEY=V1,V2`, `KEY=[LIST]`, `KEY=LOW..HIGH` or `KEY=log:LOW..HIGH`.
    ///
    /// # Errors
    /// If it is none of them: what would be right.
    pub fn parse(text: &str) -> Result<Axis, String> {
        let (key, values) = text.split_once('=').ok_or(USAGE)?;
        let (key, values) = (key.trim(), values.trim());
        if key.is_empty() || values.is_empty() {
            return Err(USAGE.into());
        }
        let values = match Range::parse(values) {
            Some(range) => Values::Between(range?),
            None => Values::Listed(listed(values)?),
        };
        Ok(Axis { key: key.to_owned(), values })
    }

    fn at(&self, part: f64) -> String {
        match &self.values {
            Values::Listed(values) => values[((part * values.len() as f64) as usize).min(values.len() - 1)].clone(),
            Values::Between(range) => range.at(part),
        }
    }
}

fn listed(values: &str) -> Result<Vec<String>, String> {
    let values: Vec<String> = if values.starts_with('[') {
        let list: toml::Table =
            toml::from_str(&format!("list = {values}")).map_err(|error| error.message().to_owned())?;
        let list = list["list"].as_array().ok_or("a list of values")?;
        list.iter().map(ToString::to_string).collect()
    } else {
        values.split(',').map(|value| value.trim().to_owned()).collect()
    };
    if values.is_empty() || values.iter().any(String::is_empty) {
        return Err(USAGE.into());
    }
    Ok(values)
}

impl Range {
    /// Reads a range, if it is written as one.
    fn parse(text: &str) -> Option<Result<Range, String>> {
        let (log, text) = match text.strip_prefix("log:") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (low, high) = text.split_once("..")?;
        let (low, high) = (low.trim(), high.trim());
        let whole = |text: &str| text.parse::<u32>().ok().map(f64::from);
        let fraction = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let duration = |text: &str| parse_span(text).ok().map(|span| span.0 as f64);
        let both = |read: &dyn Fn(&str) -> Option<f64>| Some((read(low)?, read(high)?));
        let found = both(&whole)
            .map(|ends| (ends, Unit::Whole))
            .or_else(|| both(&fraction).map(|ends| (ends, Unit::Fraction)))
            .or_else(|| both(&duration).map(|ends| (ends, Unit::Duration)));
        let Some(((low, high), unit)) = found else {
            return Some(Err(format!("{text}: two numbers, or two durations such as 500ms..10s")));
        };
        if low >= high {
            return Some(Err(format!("{text}: the first end must be the smaller one")));
        }
        if log && low <= 0.0 {
            return Some(Err(format!("{text}: a logarithmic scale begins above 0")));
        }
        Some(Ok(Range { low, high, unit, log }))
    }

    /// Whether it is to be seen on a logarithmic scale.
    pub fn is_logarithmic(&self) -> bool {
        self.log
    }

    /// The value so far (0 to 1) along the range, rounded to about a thousandth of it.
    fn at(&self, part: f64) -> String {
        let value = match self.log {
            true => self.low * libm::pow(self.high / self.low, part),
            false => self.low + part * (self.high - self.low),
        };
        let scale = if self.log { value } else { self.high - self.low };
        let grain = libm::pow(10.0, libm::floor(libm::log10(scale)) - 3.0);
        match self.unit {
            Unit::Whole => format!("{}", libm::round(value.clamp(self.low, self.high)) as u64),
            Unit::Fraction => {
                let decimals = libm::ceil(-libm::log10(grain) - 1e-9).clamp(0.0, 15.0) as usize;
                format!("{value:.decimals$}")
            }
            Unit::Duration => {
                let grain = grain.max(1.0);
                Span::from_nanos((libm::round(value / grain) * grain) as u64).to_string()
            }
        }
    }
}

/// The number that a value stands for, to place it on a chart: itself, or a duration in seconds.
pub fn number(value: &str) -> Option<f64> {
    let value = value.trim_matches('"');
    value.parse().ok().filter(|number: &f64| number.is_finite()).or_else(|| Some(parse_span(value).ok()?.as_secs_f64()))
}

/// The settings of a sweep, one value for each axis: every combination, the last axis fastest; or so many samples.
pub fn settings(axes: &[Axis], samples: Option<u64>, seed: u64) -> Vec<Vec<String>> {
    let random = axes.iter().any(|axis| matches!(axis.values, Values::Between(_)));
    match samples {
        None if !random => grid(axes),
        samples => sampled(axes, samples.unwrap_or(SAMPLES), seed),
    }
}

/// How many settings are drawn if nobody says how many.
pub const SAMPLES: u64 = 32;

fn grid(axes: &[Axis]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for axis in axes {
        let Values::Listed(values) = &axis.values else { unreachable!("a grid has lists only") };
        let extend = |prefix: &Vec<String>| {
            let prefix = prefix.clone();
            values.iter().map(move |value| [prefix.clone(), vec![value.clone()]].concat())
        };
        all = all.iter().flat_map(extend).collect();
    }
    all
}

/// A uniform number in 0 to 1, without 1.
pub(super) fn unit(stream: &mut Stream) -> f64 {
    (stream.bits() >> 11) as f64 / (1u64 << 53) as f64
}

fn sampled(axes: &[Axis], count: u64, seed: u64) -> Vec<Vec<String>> {
    let columns = axes.iter().zip(0..).map(|(axis, place)| {
        let mut stream = Stream::named(seed, place, Purpose::Settings);
        let mut parts: Vec<u64> = (0..count).collect();
        stream.shuffle(&mut parts);
        parts.into_iter().map(|part| axis.at((part as f64 + unit(&mut stream)) / count as f64)).collect::<Vec<_>>()
    });
    let columns: Vec<Vec<String>> = columns.collect();
    let mut settings: Vec<Vec<String>> = Vec::new();
    for sample in 0..count as usize {
        let setting: Vec<String> = columns.iter().map(|column| column[sample].clone()).collect();
        if !settings.contains(&setting) {
            settings.push(setting);
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(texts: &[&str]) -> Vec<Axis> {
        texts.iter().map(|text| Axis::parse(text).expect("a good axis")).collect()
    }

    #[test]
    fn lists_make_a_grid() {
        let axes = axes(&["a=1,2", "b=[[1, 2], [3]]"]);
        let settings = settings(&axes, None, 1);
        let expected = [["1", "[1, 2]"], ["1", "[3]"], ["2", "[1, 2]"], ["2", "[3]"]];
        assert_eq!(settings, expected.map(|row| row.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_sample_hits_every_part_of_every_axis_once() {
        let axes = axes(&["a=1000..3000", "b=100ms..10.1s", "c=0.0..0.4", "d=log:1..10000"]);
        let count = 40;
        let settings = settings(&axes, Some(count), 7);
        assert_eq!(settings.len(), 40);
        let parts = |column: usize, part: &dyn Fn(f64) -> f64| {
            let mut parts: Vec<i64> = settings
                .iter()
                .map(|row| (part(number(&row[column]).expect("a number")) * count as f64).clamp(0.0, 39.9) as i64)
                .collect();
            parts.sort_unstable();
            parts
        };
        // Values are rounded, and a value at a border may fall to its neighbour.
        let each_once = |parts: Vec<i64>| parts.iter().zip(0..).all(|(part, place)| (part - place).abs() <= 1);
        assert!(each_once(parts(0, &|value| (value - 1000.0) / 2000.0)));
        assert!(each_once(parts(1, &|value| (value - 0.1) / 10.0)));
        assert!(each_once(parts(2, &|value| value / 0.4)));
        let small = settings.iter().filter(|row| number(&row[3]).expect("a number") < 100.0).count();
        assert!((18..=22).contains(&small), "half of a logarithmic scale lies below its geometric mean: {small}");
        assert_eq!(settings, super::settings(&axes, Some(count), 7));
        assert_ne!(settings, super::settings(&axes, Some(count), 8));
    }

    #[test]
    fn samples_of_lists_are_of_the_list_and_none_is_drawn_twice() {
        let settings = settings(&axes(&["a=1,2", "b=x,y"]), Some(50), 1);
        assert!(settings.len() <= 4 && settings.iter().all(|row| ["1", "2"].contains(&row[0].as_str())));
    }

    #[test]
    fn bad_axes_say_what_would_be_right() {
        for (text, word) in [
            ("a", "KEY=V1"),
            ("a=", "KEY=V1"),
            ("=1", "KEY=V1"),
            ("a=1,,2", "KEY=V1"),
            ("a=5..1", "smaller"),
            ("a=log:0..1", "above 0"),
            ("a=1..5s", "two durations"),
        ] {
            let error = Axis::parse(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
