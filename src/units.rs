//! Quantities as people write them: durations, sizes, rates, shares and yes/no.
//!
//! Every quantity is kept as an integer and printed in its largest exact unit, so that what is written by
//! [`Scenario::to_toml`](crate::scenario::Scenario::to_toml) reads back as the same number.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::kernel::Span;
use crate::limits;

/// Why a text is no quantity, and what would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl UnitError {
    /// An error with this message, which should say what would be right.
    pub fn new(message: String) -> Self {
        UnitError(message)
    }
}

/// A unit: how it is written and how many of the base unit it holds.
type Unit = (&'static str, u64);

const DURATIONS: &[Unit] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// As `memtoull()` of Redis reads them: `k` is a thousand, `kb` is 1024.
const SIZES: &[Unit] = &[
    ("", 1),
    ("b", 1),
    ("k", 1_000),
    ("kb", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1 << 30),
];
/// As `tc` of Linux writes them: decimal, in bits.
const RATES: &[Unit] = &[("bit", 1), ("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000)];

/// The most of a quantity, in its base unit and in words.
type Most = (u64, &'static str);

const LONGEST: Most = (limits::SPAN_MAX.0, "ten years (87600h)");
const LARGEST: Most = (limits::BYTES_MAX, "1 TiB (1024gb)");
const FASTEST: Most = (1_000_000_000_000, "1000gbit");

/// Reads `NUMBER[.FRACTION]UNIT` exactly; `what` completes "a … is a number and a unit".
///
/// It may be `most` of the base unit at most, which is called `limit`.
fn quantity(text: &str, units: &[Unit], what: &str, example: &str, most: Most) -> Result<u64, UnitError> {
    let wrong = |why: &str| UnitError(format!("`{text}` is not a {what}: {why}, such as \"{example}\""));
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
    let Some((_, size)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(wrong(&format!("write a number and one of the units {}", names.join(", "))));
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !(fraction.is_empty() && !number.contains('.') || digits(fraction)) {
        return Err(wrong("it must begin with a number"));
    }
    let scale = 10u128.checked_pow(fraction.len() as u32).ok_or_else(|| wrong("it has too many digits"))?;
    let mantissa: u128 = format!("{whole}{fraction}").parse().map_err(|_| wrong("it has too many digits"))?;
    let too_large = || UnitError(format!("`{text}` is too large for a {what}: at most {}", most.1));
    let product = mantissa.checked_mul(u128::from(*size)).ok_or_else(too_large)?;
    if !product.is_multiple_of(scale) {
        return Err(wrong(&format!("it is finer than one {}", names[0])));
    }
    u64::try_from(product / scale).ok().filter(|number| *number <= most.0).ok_or_else(too_large)
}

/// Reads a duration: `"250us"`, `"50ms"`, `"1.5s"`, `"2m"`.
pub fn parse_span(text: &str) -> Result<Span, UnitError> {
    quantity(text, DURATIONS, "duration", "50ms", LONGEST).map(Span::from_nanos)
}

/// Reads a size in bytes as Redis does: `1048576`, `"1mb"` (2²⁰), `"1m"` (10⁶).
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    quantity(&text.to_ascii_lowercase(), SIZES, "size", "1mb", LARGEST)
}

/// Reads a text into `T` and says what was expected if something else is found.
struct TextVisitor<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, UnitError>,
}

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

/// Gives a type that is written as a text its serde and schema implementations.
macro_rules! written_as_text {
    ($type:ty, $name:literal, $parse:expr, $expected:literal, $pattern:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextVisitor { expected: $expected, parse: $parse })
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

written_as_text!(Span, "Duration", parse_span, "a duration such as \"50ms\"", r"^[0-9]+(\.[0-9]+)? *(ns|us|ms|s|m|h)$");

/// A time limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<Span>);

impl FromStr for Limit {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "none" { Ok(Limit(None)) } else { parse_span(text).map(|span| Limit(Some(span))) }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => span.fmt(f),
            None => f.write_str("none"),
        }
    }
}

written_as_text!(
    Limit,
    "Limit",
    Limit::from_str,
    "a duration such as \"5s\", or \"none\"",
    r"^([0-9]+(\.[0-9]+)? *(ns|us|ms|s|m|h)|none)$"
);

/// A signed length of time in nanoseconds: how far a clock jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedSpan(pub i64);

impl FromStr for SignedSpan {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let nanos = quantity(rest, DURATIONS, "duration", "-5s", LONGEST)?;
        Ok(SignedSpan(sign * i64::try_from(nanos).expect("quantities fit in a signed word")))
    }
}

impl fmt::Display for SignedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", Span(self.0.unsigned_abs()))
    }
}

written_as_text!(
    SignedSpan,
    "SignedDuration",
    SignedSpan::from_str,
    "a duration such as \"-5s\"",
    r"^[+-]?[0-9]+(\.[0-9]+)? *(ns|us|ms|s|m|h)$"
);

/// What a link carries in a second; unlimited unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate(Option<NonZeroU64>);

impl Rate {
    /// No limit: a packet takes no time of its own.
    pub const UNLIMITED: Rate = Rate(None);

    /// A rate in bits a second.
    pub const fn bits(bits_per_second: NonZeroU64) -> Rate {
        Rate(Some(bits_per_second))
    }

    /// The limit in bits a second, if there is one.
    pub const fn bits_per_second(self) -> Option<NonZeroU64> {
        self.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "unlimited" {
            return Ok(Rate::UNLIMITED);
        }
        let bits = quantity(text, RATES, "rate", "100mbit", FASTEST)?;
        match NonZeroU64::new(bits) {
            Some(bits) => Ok(Rate::bits(bits)),
            None => Err(UnitError(format!("`{text}` carries nothing: to cut a link, write loss = 1.0"))),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bits) = self.0.map(NonZeroU64::get) else { return f.write_str("unlimited") };
        let (name, size) = RATES.iter().rev().find(|(_, size)| bits.is_multiple_of(*size)).expect("one divides all");
        write!(f, "{}{name}", bits / size)
    }
}

written_as_text!(
    Rate,
    "Rate",
    Rate::from_str,
    "a rate such as \"100mbit\", or \"unlimited\"",
    r"^([0-9]+(\.[0-9]+)? *(bit|kbit|mbit|gbit)|unlimited)$"
);

/// A time as people read it: to a thousandth of the unit that fits, `6.396 s`, `250 ms`, `85.5 us`.
pub fn for_people(span: Span) -> String {
    let (size, unit) = match span.0 {
        0 => return "0 s".to_owned(),
        1_000_000_000.. => (1e9, "s"),
        1_000_000.. => (1e6, "ms"),
        1_000.. => (1e3, "us"),
        _ => (1.0, "ns"),
    };
    let rounded = libm::round(span.0 as f64 / size * 1_000.0) / 1_000.0;
    format!("{rounded} {unit}")
}

/// A probability as a whole number of 2⁻³² parts, 0 to 2³² inclusive, so that no platform rounds it in its own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    /// Never.
    pub const NEVER: Share = Share(0);
    /// Always.
    pub const ALWAYS: Share = Share(Share::WHOLE);
    /// How many parts make a whole: 2³².
    pub const WHOLE: u64 = 1 << 32;

    /// The share nearest to `x`, if that lies in 0 to 1.
    pub fn from_f64(x: f64) -> Option<Share> {
        // Scaling by a power of two is exact; only the last step rounds.
        (0.0..=1.0).contains(&x).then_some(Share((x * Share::WHOLE as f64 + 0.5) as u64))
    }

    /// The numerator over 2³²: something happens if a uniform 32-bit draw is less.
    pub const fn parts(self) -> u64 {
        self.0
    }

    /// The shortest decimal fraction that means this share.
    fn as_f64(self) -> f64 {
        let exact = self.0 as f64 / Share::WHOLE as f64;
        (0..12)
            .filter_map(|digits| format!("{exact:.digits$}").parse().ok())
            .find(|x| Share::from_f64(*x) == Some(self))
            .unwrap_or(exact)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShareVisitor;
        impl Visitor<'_> for ShareVisitor {
            type Value = Share;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0.0 to 1.0")
            }
            fn visit_f64<E: de::Error>(self, x: f64) -> Result<Share, E> {
                Share::from_f64(x).ok_or_else(|| E::custom(format!("{x} lies outside 0.0 to 1.0")))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Share, E> {
                self.visit_f64(n as f64)
            }
        }
        deserializer.deserialize_any(ShareVisitor)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// Serde for switches: `true` and `false`, or `"yes"` and `"no"` as redis.conf has them.
pub(crate) mod yes_no {
    use super::*;

    /// Writes a TOML boolean.
    pub(crate) fn serialize<S: Serializer>(on: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*on)
    }

    /// Reads a TOML boolean or one of Redis's two words.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        struct YesNoVisitor;
        impl Visitor<'_> for YesNoVisitor {
            type Value = bool;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, \"yes\" or \"no\"")
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<bool, E> {
                Ok(on)
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<bool, E> {
                match word {
                    "yes" => Ok(true),
                    "no" => Ok(false),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(YesNoVisitor)
    }

    /// The schema of a switch.
    pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "enum": ["yes", "no"] }] })
    }
}

/// Serde for time limits: a duration, or "none", which is as long as the longest run.
pub(crate) mod or_none {
    use super::*;

    /// Writes the duration, or "none".
    pub(crate) fn serialize<S: Serializer>(limit: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        match *limit >= limits::SPAN_MAX {
            true => serializer.serialize_str("none"),
            false => limit.serialize(serializer),
        }
    }

    /// Reads a duration or "none".
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "none" => Ok(limits::SPAN_MAX),
            text => parse_span(text).map_err(de::Error::custom),
        }
    }

    /// The schema of a limit: a text.
    pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["5s", "none"] })
    }
}

/// Serde for sizes: a number of bytes, or a text with a unit as redis.conf has it.
pub(crate) mod bytes {
    use super::*;

    /// Writes the number of bytes.
    pub(crate) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(*bytes)
    }

    /// Reads a number of bytes or a text with a unit.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = u64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes or a size such as \"1mb\"")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<u64, E> {
                let bytes = u64::try_from(n).ok().filter(|bytes| *bytes <= limits::BYTES_MAX);
                bytes.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(n), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
                parse_bytes(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(BytesVisitor)
    }

    /// The schema of a size.
    pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": limits::BYTES_MAX },
            { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *([kKmMgG]?[bB]|[kKmMgG])?$" },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_exact() {
        assert_eq!(parse_span("250us"), Ok(Span::from_micros(250)));
        assert_eq!(parse_span("1.5s"), Ok(Span::from_millis(1500)));
        assert_eq!(parse_span("2m"), Ok(Span::from_secs(120)));
        assert_eq!(parse_span("0s"), Ok(Span::ZERO));
        assert_eq!(parse_span("0.2 s"), Ok(Span::from_millis(200)));
    }

    #[test]
    fn bad_durations_name_the_remedy() {
        for text in ["5", "", "s", "5 sec", "-5s", "1.s", ".5s", "1.2.3s", "0.5ns", "1e3s", "٣s"] {
            let error = parse_span(text).expect_err(text).to_string();
            assert!(error.contains("such as \"50ms\""), "{error}");
        }
    }

    #[test]
    fn what_is_too_large_names_the_limit() {
        assert_eq!(parse_span("87600h"), Ok(limits::SPAN_MAX));
        for text in ["87601h", "99999999999h", "9223372036854775807ns", "340282366920938463463374607431768211455h"] {
            let error = parse_span(text).expect_err(text).to_string();
            assert!(error.contains("87600h"), "{error}");
        }
        assert!(SignedSpan::from_str("-87601h").is_err());
        assert!(parse_bytes("1025gb").expect_err("too large").to_string().contains("1 TiB"));
        assert!("1001gbit".parse::<Rate>().expect_err("too fast").to_string().contains("1000gbit"));
    }

    #[test]
    fn sizes_are_those_of_redis() {
        assert_eq!(parse_bytes("1mb"), Ok(1 << 20));
        assert_eq!(parse_bytes("1M"), Ok(1_000_000));
        assert_eq!(parse_bytes("512"), Ok(512));
        assert_eq!(parse_bytes("2GB"), Ok(2 << 30));
        assert!(parse_bytes("1tb").is_err());
    }

    #[test]
    fn rates_print_in_their_largest_unit() {
        assert_eq!("100mbit".parse::<Rate>().map(|r| r.to_string()), Ok("100mbit".to_owned()));
        assert_eq!("1500kbit".parse::<Rate>().map(|r| r.to_string()), Ok("1500kbit".to_owned()));
        assert_eq!("0.5gbit".parse::<Rate>().map(|r| r.to_string()), Ok("500mbit".to_owned()));
        assert_eq!("unlimited".parse::<Rate>(), Ok(Rate::UNLIMITED));
        assert!("0bit".parse::<Rate>().is_err());
    }

    #[test]
    fn shares_stay_within_the_whole() {
        assert_eq!(Share::from_f64(1.0), Some(Share::ALWAYS));
        assert_eq!(Share::from_f64(0.5).map(Share::parts), Some(1 << 31));
        assert_eq!(Share::from_f64(0.01).map(Share::as_f64), Some(0.01));
        for x in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::from_f64(x), None);
        }
    }

    #[test]
    fn clocks_jump_both_ways() {
        assert_eq!("-5s".parse(), Ok(SignedSpan(-5_000_000_000)));
        assert_eq!("+2ms".parse(), Ok(SignedSpan(2_000_000)));
        assert_eq!(SignedSpan(-1_500_000_000).to_string(), "-1500ms");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos in 0..=limits::SPAN_MAX.0, jump in -(limits::SPAN_MAX.0 as i64)..=limits::SPAN_MAX.0 as i64, parts in 0..=Share::WHOLE) {
            prop_assert_eq!(parse_span(&Span(nanos).to_string()), Ok(Span(nanos)));
            prop_assert_eq!(SignedSpan(jump).to_string().parse(), Ok(SignedSpan(jump)));
            prop_assert_eq!(Share::from_f64(Share(parts).as_f64()), Some(Share(parts)));
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC*") {
            let _ = (parse_span(&text), parse_bytes(&text), text.parse::<Rate>(), text.parse::<SignedSpan>());
        }
    }
}
