//! What must hold at the end of a run: the section `[expect]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor, value::MapAccessDeserializer};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use super::expect_runs::ExpectRuns;
use super::fault::OneOrMany;
use crate::analysis::metrics::{Metric, Unit, Value};
use crate::kernel::Span;
use crate::units::for_people;

/// What must hold at the end of a run; what is absent is not checked. Times count from time 0, and only what happens
/// from then on counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// In which range metrics lie.
    pub metrics: BTreeMap<Metric, Bounds>,
    /// The Redis node that most Sentinels call master at the end, or a list of which one must be it.
    pub final_master: Option<OneOrMany<String>>,
    /// What Redis nodes call themselves at the end.
    pub final_roles: BTreeMap<String, FinalRole>,
    /// Which Sentinels may have been elected leader.
    pub leader: Option<OneOrMany<String>>,
    /// Log lines that must occur, each told by its beginning.
    pub events: Vec<EventPattern>,
    /// Log lines that must not occur, told likewise.
    pub no_events: Vec<EventPattern>,
    /// What must hold of many runs together.
    pub runs: Option<ExpectRuns>,
}

/// The keys of `[expect]` that are no metrics.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are read through the schema only")]
struct Others {
    /// The Redis node that most Sentinels call master at the end, or a list of which one must be it.
    final_master: Option<OneOrMany<String>>,
    /// What Redis nodes call themselves at the end: "master", "slave" (as INFO says), or "down".
    #[serde(default)]
    final_roles: BTreeMap<String, FinalRole>,
    /// Which Sentinels may have been elected leader: every `+elected-leader` comes from one of these.
    leader: Option<OneOrMany<String>>,
    /// Log lines that must occur, each told by its beginning, with or without its node: "+tilt", "sentinel-1: +tilt".
    #[serde(default)]
    events: Vec<EventPattern>,
    /// Log lines that must not occur, told likewise.
    #[serde(default)]
    no_events: Vec<EventPattern>,
    /// What must hold of many runs together: of a metric mean, p50, p95, p99, min or max, as in
    /// `set-outage = { p99 = { max = "9s" } }`; and the part of the runs that meet the rest, `met = { min = "99%" }`.
    runs: Option<ExpectRuns>,
}

impl Serialize for Expect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (metric, bounds) in &self.metrics {
            match bounds {
                Bounds::Count(range) => map.serialize_entry(metric.name(), range)?,
                Bounds::Span(range) => map.serialize_entry(metric.name(), range)?,
                Bounds::Ratio(range) => map.serialize_entry(metric.name(), range)?,
            }
        }
        let Expect { metrics: _, final_master, final_roles, leader, events, no_events, runs } = self;
        final_master.iter().try_for_each(|masters| map.serialize_entry("final-master", masters))?;
        if !final_roles.is_empty() {
            map.serialize_entry("final-roles", final_roles)?;
        }
        leader.iter().try_for_each(|leaders| map.serialize_entry("leader", leaders))?;
        for (key, patterns) in [("events", events), ("no-events", no_events)] {
            if !patterns.is_empty() {
                map.serialize_entry(key, patterns)?;
            }
        }
        runs.iter().try_for_each(|runs| map.serialize_entry("runs", runs))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExpectVisitor;
        impl<'de> Visitor<'de> for ExpectVisitor {
            type Value = Expect;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of expectations")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Expect, A::Error> {
                let mut expect = Expect::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "final-master" => expect.final_master = Some(map.next_value()?),
                        "final-roles" => expect.final_roles = map.next_value()?,
                        "leader" => expect.leader = Some(map.next_value()?),
                        "events" => expect.events = map.next_value()?,
                        "no-events" => expect.no_events = map.next_value()?,
                        "runs" => expect.runs = Some(map.next_value()?),
                        name => {
                            let metric = Metric::parse(name).map_err(de::Error::custom)?;
                            let bounds = match metric.unit() {
                                Unit::Count => Bounds::Count(map.next_value()?),
                                Unit::Seconds => Bounds::Span(map.next_value()?),
                                Unit::Ratio => Bounds::Ratio(map.next_value()?),
                            };
                            expect.metrics.insert(metric, bounds);
                        }
                    }
                }
                Ok(expect)
            }
        }
        deserializer.deserialize_map(ExpectVisitor)
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Others::json_schema(generator);
        for metric in Metric::all() {
            let range = match metric.unit() {
                Unit::Count => generator.subschema_for::<Within<u64>>(),
                Unit::Seconds => generator.subschema_for::<Within<Span>>(),
                Unit::Ratio => generator.subschema_for::<Within<f64>>(),
            };
            let mut range = range.to_value();
            range["description"] = metric.says().into();
            schema.pointer_mut("/properties").expect("it is an object")[metric.name()] = range;
        }
        schema
    }
}

/// The range that a metric must lie in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds {
    /// Of a count.
    Count(Within<u64>),
    /// Of a time.
    Span(Within<Span>),
    /// Of a part of a whole.
    Ratio(Within<f64>),
}

impl Bounds {
    /// Whether a value lies in the range; one in another unit does not.
    pub fn contain(&self, value: Value) -> bool {
        match (self, value) {
            (Bounds::Count(range), Value::Count(count)) => range.contains(&count),
            (Bounds::Span(range), Value::Span(span)) => range.contains(&span),
            (Bounds::Ratio(range), Value::Ratio(ratio)) => range.contains(&ratio),
            _ => false,
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bounds::Count(range) => range.fmt(f),
            Bounds::Span(range) => f.write_str(&range.shown(|span| for_people(*span))),
            Bounds::Ratio(range) => range.fmt(f),
        }
    }
}

/// What a Redis node calls itself at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinalRole {
    /// A master.
    Master,
    /// A replica.
    Slave,
    /// It does not run.
    Down,
}

/// A range with both limits inclusive; a limit that is absent does not bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within<T> {
    /// The least value that is accepted.
    pub min: Option<T>,
    /// The greatest value that is accepted.
    pub max: Option<T>,
}

impl<T: PartialOrd> Within<T> {
    /// Whether `value` lies in the range.
    pub fn contains(&self, value: &T) -> bool {
        self.min.as_ref().is_none_or(|min| min <= value) && self.max.as_ref().is_none_or(|max| value <= max)
    }
}

impl<T: PartialEq> Within<T> {
    /// In words, with limits as `show` writes them.
    pub fn shown(&self, show: impl Fn(&T) -> String) -> String {
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if min == max => show(min),
            (Some(min), Some(max)) => format!("{} to {}", show(min), show(max)),
            (Some(min), None) => format!("at least {}", show(min)),
            (None, Some(max)) => format!("at most {}", show(max)),
            (None, None) => "anything".to_owned(),
        }
    }
}

impl<T: fmt::Display + PartialEq> fmt::Display for Within<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(T::to_string))
    }
}

/// A value that a range can be of.
pub(super) trait Bound: Copy + PartialOrd + JsonSchema {
    /// What is expected where a range of these is read.
    const EXPECTED: &'static str;
    /// A number that stands for a range which holds nothing else, if numbers do.
    fn exactly(number: i64) -> Option<Self>;
    /// As [`Bound::exactly`], of a number with a fraction.
    fn exactly_real(_: f64) -> Option<Self> {
        None
    }
    /// Whether it can be a limit at all.
    fn is_sensible(&self) -> bool {
        true
    }
}

impl Bound for u64 {
    const EXPECTED: &'static str = "a whole number, or a range such as { min = 1, max = 3 }";
    fn exactly(number: i64) -> Option<u64> {
        u64::try_from(number).ok()
    }
}

impl Bound for Span {
    const EXPECTED: &'static str = "a range such as { min = \"1s\", max = \"3s\" }";
    fn exactly(_: i64) -> Option<Span> {
        None
    }
}

impl Bound for f64 {
    const EXPECTED: &'static str = "a number from 0 to 1, or a range such as { min = 0.9, max = 1.0 }";
    fn exactly(number: i64) -> Option<f64> {
        [0, 1].contains(&number).then_some(number as f64)
    }
    fn exactly_real(number: f64) -> Option<f64> {
        number.is_sensible().then_some(number)
    }
    fn is_sensible(&self) -> bool {
        (0.0..=1.0).contains(self)
    }
}

/// A range as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<T>,
}

impl<T: Serialize + Copy> Serialize for Within<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Limits { min: self.min, max: self.max }.serialize(serializer)
    }
}

impl<'de, T: Bound + Deserialize<'de>> Deserialize<'de> for Within<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WithinVisitor<T>(PhantomData<T>);
        impl<'de, T: Bound + Deserialize<'de>> Visitor<'de> for WithinVisitor<T> {
            type Value = Within<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                let value = T::exactly(number).ok_or_else(|| E::invalid_type(de::Unexpected::Signed(number), &self))?;
                Ok(Within { min: Some(value), max: Some(value) })
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                let wrong = || E::invalid_type(de::Unexpected::Float(number), &self);
                let value = T::exactly_real(number).ok_or_else(wrong)?;
                Ok(Within { min: Some(value), max: Some(value) })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let Limits { min, max } = Limits::deserialize(MapAccessDeserializer::new(map))?;
                match (&min, &max) {
                    (None, None) => Err(de::Error::custom("the range has no limit: give `min`, `max` or both")),
                    (min, max) if !min.iter().chain(max).all(T::is_sensible) => {
                        Err(de::Error::custom(format!("a limit is out of range: {}", T::EXPECTED)))
                    }
                    (Some(min), Some(max)) if min > max => Err(de::Error::custom("`min` is greater than `max`")),
                    _ => Ok(Within { min, max }),
                }
            }
        }
        deserializer.deserialize_any(WithinVisitor(PhantomData))
    }
}

impl<T: Bound> JsonSchema for Within<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Within_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let limit = generator.subschema_for::<T>();
        let range = json_schema!({
            "type": "object",
            "properties": { "min": limit, "max": limit },
            "minProperties": 1,
            "additionalProperties": false,
        });
        match (T::exactly_real(0.0), T::exactly(0)) {
            (Some(_), _) => json_schema!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 1 }, range] }),
            (None, Some(_)) => json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, range] }),
            (None, None) => range,
        }
    }
}

/// The beginning of a log line, and whose log it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct EventPattern {
    /// The node in whose log it is; absent: any.
    pub node: Option<String>,
    /// How the line begins.
    pub prefix: String,
}

impl EventPattern {
    /// Whether `line` of the log of `node` begins in this way.
    pub fn matches(&self, node: &str, line: &str) -> bool {
        self.node.as_deref().is_none_or(|wanted| wanted == node) && line.starts_with(&self.prefix)
    }
}

impl TryFrom<String> for EventPattern {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let node = text.split_once(": ").filter(|(node, _)| !node.contains(' '));
        let (node, prefix) = node.map_or((None, text.as_str()), |(node, prefix)| (Some(node.to_owned()), prefix));
        if prefix.trim().is_empty() {
            return Err("an empty text is the beginning of every line");
        }
        Ok(EventPattern { node, prefix: prefix.to_owned() })
    }
}

impl From<EventPattern> for String {
    fn from(pattern: EventPattern) -> String {
        pattern.to_string()
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node}: {}", self.prefix),
            None => f.write_str(&self.prefix),
        }
    }
}
