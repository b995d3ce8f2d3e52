//! What must hold at the end of a run: the section `[expect]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::fault::OneOrMany;
use crate::kernel::Span;

/// What must hold at the end of a run; what is absent is not checked. Times count from time 0, and only what happens
/// from then on counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expect {
    /// How often the Sentinels moved the master: `+switch-master` lines that differ, however many Sentinels print each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failovers: Option<Within<u64>>,
    /// Failovers that were begun and given up: lines that begin with `-failover-abort`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted_failovers: Option<Within<u64>>,
    /// When the first Sentinel printed `+switch-master`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failover: Option<Within<Span>>,
    /// The Redis node that most Sentinels call master at the end, or a list of which one must be it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_master: Option<OneOrMany<String>>,
    /// What Redis nodes call themselves at the end: "master", "slave" (as INFO says), or "down".
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub final_roles: BTreeMap<String, FinalRole>,
    /// Which Sentinels may have been elected leader: every `+elected-leader` comes from one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<OneOrMany<String>>,
    /// Acknowledged SETs that the final master does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_acked_sets: Option<Within<u64>>,
    /// SETs that were answered with `-READONLY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readonly_sets: Option<Within<u64>>,
    /// Messages whose PUBLISH succeeded but which no subscriber got; those of the last second do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_lost: Option<Within<u64>>,
    /// Attempts to PUBLISH that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_ok: Option<Within<u64>>,
    /// Attempts to SET that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_ok: Option<Within<u64>>,
    /// The longest time between two PUBLISHes that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_outage: Option<Within<Span>>,
    /// The longest time between two SETs that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_outage: Option<Within<Span>>,
    /// The longest time in which a subscriber heard nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_gap: Option<Within<Span>>,
    /// How long, in sum, two or more Redis nodes that run called themselves master; a paused one does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub two_masters: Option<Within<Span>>,
    /// How long, in sum, HAProxy ran and had no server that was up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_server: Option<Within<Span>>,
    /// Connections that subscribers opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnects: Option<Within<u64>>,
    /// Log lines that must occur, each told by its beginning, with or without its node: "+tilt", "sentinel-1: +tilt".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventPattern>,
    /// Log lines that must not occur, told likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_events: Vec<EventPattern>,
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

impl<T: fmt::Display + PartialEq> fmt::Display for Within<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if min == max => write!(f, "{min}"),
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("anything"),
        }
    }
}

/// A value that a range can be of.
trait Bound: Copy + PartialOrd + JsonSchema {
    /// What is expected where a range of these is read.
    const EXPECTED: &'static str;
    /// A number that stands for a range which holds nothing else, if numbers do.
    fn exactly(number: i64) -> Option<Self>;
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
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let Limits { min, max } = Limits::deserialize(MapAccessDeserializer::new(map))?;
                match (&min, &max) {
                    (None, None) => Err(de::Error::custom("the range has no limit: give `min`, `max` or both")),
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
        match T::exactly(0) {
            Some(_) => json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, range] }),
            None => range,
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
