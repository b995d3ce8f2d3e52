//! A metric's value in one run: known, unknown or not there.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::kernel::Span;
use crate::units::for_people;

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Time: seconds in files and on charts, a duration such as `"9350ms"` in a scenario.
    Seconds,
    /// A part of a whole, 0 to 1.
    Ratio,
}

impl Unit {
    /// The word in tables and on charts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Seconds => "s",
            Unit::Ratio => "ratio",
        }
    }
}

/// A value in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A time.
    Span(Span),
    /// A part of a whole.
    Ratio(f64),
}

impl Value {
    /// The value as a number: seconds of a time.
    pub fn number(self) -> f64 {
        match self {
            Value::Count(count) => count as f64,
            Value::Span(span) => span.0 as f64 / 1e9,
            Value::Ratio(ratio) => ratio,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Count(count) => write!(f, "{count}"),
            Value::Span(span) => f.write_str(&for_people(*span)),
            Value::Ratio(ratio) => write!(f, "{ratio}"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Count(count) => serializer.serialize_u64(*count),
            other => serializer.serialize_f64(other.number()),
        }
    }
}

/// A metric of a run. What was not counted is unknown, and what does not exist is absent: neither is ever 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// The value.
    Known(Value),
    /// There is a value and nobody knows it: why.
    Unknown(Cow<'static, str>),
    /// The run has no such thing: why.
    Absent(Cow<'static, str>),
}

impl Figure {
    pub(super) fn count(count: u64) -> Figure {
        Figure::Known(Value::Count(count))
    }

    /// A time in microseconds; one below 0 does not exist.
    pub(super) fn micros(micros: i64) -> Figure {
        match u64::try_from(micros) {
            Ok(micros) => Figure::Known(Value::Span(Span::from_micros(micros))),
            Err(_) => Figure::Absent("it came before what it counts from".into()),
        }
    }

    /// A part of a whole, to nine digits: so many read back as the same number from any file.
    pub(super) fn ratio(part: u64, of: u64) -> Figure {
        const DIGITS: f64 = 1e9;
        match of {
            0 => Figure::Absent("there was no attempt".into()),
            of => Figure::Known(Value::Ratio(libm::round(part as f64 / of as f64 * DIGITS) / DIGITS)),
        }
    }

    /// The value, if it is known.
    pub fn value(&self) -> Option<Value> {
        match self {
            Figure::Known(value) => Some(*value),
            Figure::Unknown(_) | Figure::Absent(_) => None,
        }
    }

    /// The value as a number, if it is known: seconds of a time.
    pub fn number(&self) -> Option<f64> {
        self.value().map(Value::number)
    }

    /// Why there is no value, if there is none: begins with `unknown` or `none`.
    pub fn reason(&self) -> Option<String> {
        match self {
            Figure::Known(_) => None,
            Figure::Unknown(why) => Some(format!("unknown: {why}")),
            Figure::Absent(why) => Some(format!("none: {why}")),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Figure::Known(value) => write!(f, "{value}"),
            Figure::Unknown(_) => f.write_str("unknown"),
            Figure::Absent(_) => f.write_str("none"),
        }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

/// A metric as a field of a CSV file: empty if there is none.
pub fn field(value: Option<Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::Count(count)) => count.to_string(),
        Some(value) => value.number().to_string(),
    }
}

/// Whether expectations were met, as a field of a CSV file: empty if there are none.
pub fn met_field(met: Option<bool>) -> &'static str {
    met.map_or("", |met| if met { "1" } else { "0" })
}
