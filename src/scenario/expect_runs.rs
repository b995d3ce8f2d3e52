//! What must hold of many runs together: the section `[expect.runs]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use super::expect::{Bound, Within};
use crate::analysis::Check;
use crate::analysis::metrics::{Metric, Unit};
use crate::analysis::sample::Summary;
use crate::kernel::Span;
use crate::suggest::closest;
use crate::units::for_people;

/// How many runs are made of a scenario that expects something of many, if nobody says.
pub const RUNS: u64 = 100;

/// What must hold of many runs together; what is absent is not checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectRuns {
    /// The part of the runs that must meet the rest of `[expect]`; without it, all must.
    pub met: Option<Within<Part>>,
    /// Statistics of metrics, over the runs in which they are known.
    pub metrics: BTreeMap<Metric, BTreeMap<Statistic, RunBounds>>,
}

/// A figure of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The median.
    P50,
    /// The value that 95 % do not exceed.
    P95,
    /// The value that 99 % do not exceed.
    P99,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Statistic; 6] =
        [Statistic::Mean, Statistic::P50, Statistic::P95, Statistic::P99, Statistic::Min, Statistic::Max];

    /// Its key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::P50 => "p50",
            Statistic::P95 => "p95",
            Statistic::P99 => "p99",
            Statistic::Min => "min",
            Statistic::Max => "max",
        }
    }

    /// Its value in a sample; none of an empty one.
    pub fn of(self, sample: &Summary) -> Option<f64> {
        match self {
            Statistic::Mean => sample.mean(),
            Statistic::P50 => sample.quantile(0.5),
            Statistic::P95 => sample.quantile(0.95),
            Statistic::P99 => sample.quantile(0.99),
            Statistic::Min => sample.least(),
            Statistic::Max => sample.most(),
        }
    }
}

/// A part of a whole: a number from 0 to 1, or a text such as `"99%"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Part(pub f64);

/// A number that need not be whole, such as a mean of counts.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Number(pub f64);

/// The range of a statistic, in the unit of its metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunBounds {
    /// Of a count.
    Number(Within<Number>),
    /// Of a time.
    Span(Within<Span>),
    /// Of a part of a whole.
    Part(Within<Part>),
}

impl RunBounds {
    /// Whether a value lies in the range: seconds of a time.
    fn contain(&self, value: f64) -> bool {
        match self {
            RunBounds::Number(range) => range.contains(&Number(value)),
            RunBounds::Part(range) => range.contains(&Part(value)),
            RunBounds::Span(range) => {
                let seconds = |span: Span| span.0 as f64 / 1e9;
                range.min.is_none_or(|min| seconds(min) <= value) && range.max.is_none_or(|max| value <= seconds(max))
            }
        }
    }

    /// A value in its unit, for people.
    fn shown(&self, value: f64) -> String {
        match self {
            RunBounds::Number(_) => Number(value).to_string(),
            RunBounds::Part(_) => Part(value).to_string(),
            RunBounds::Span(_) => for_people(Span((value * 1e9) as u64)),
        }
    }
}

impl fmt::Display for RunBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunBounds::Number(range) => range.fmt(f),
            RunBounds::Part(range) => range.fmt(f),
            RunBounds::Span(range) => f.write_str(&range.shown(|span| for_people(*span))),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two digits after the point, of which zeros are left out.
        write!(f, "{} %", libm::round(self.0 * 10_000.0) / 100.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", libm::round(self.0 * 1_000.0) / 1_000.0)
    }
}

impl Bound for Part {
    const EXPECTED: &'static str = "a part such as 0.99 or \"99%\", or a range such as { min = \"99%\" }";
    fn exactly(number: i64) -> Option<Part> {
        [0, 1].contains(&number).then_some(Part(number as f64))
    }
    fn exactly_real(number: f64) -> Option<Part> {
        Some(Part(number)).filter(Part::is_sensible)
    }
    fn is_sensible(&self) -> bool {
        (0.0..=1.0).contains(&self.0)
    }
}

impl Bound for Number {
    const EXPECTED: &'static str = "a number, or a range such as { max = 12.5 }";
    fn exactly(number: i64) -> Option<Number> {
        (number >= 0).then_some(Number(number as f64))
    }
    fn exactly_real(number: f64) -> Option<Number> {
        Some(Number(number)).filter(Number::is_sensible)
    }
    fn is_sensible(&self) -> bool {
        self.0.is_finite() && self.0 >= 0.0
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Part, D::Error> {
        struct PartVisitor;
        impl Visitor<'_> for PartVisitor {
            type Value = Part;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1, or a text such as \"99%\"")
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Part, E> {
                Part::exactly_real(number).ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Part, E> {
                Part::exactly(number).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Part, E> {
                let number = text.strip_suffix('%').and_then(|digits| digits.trim().parse::<f64>().ok());
                let part = number.and_then(|number| Part::exactly_real(number / 100.0));
                part.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(PartVisitor)
    }
}

impl JsonSchema for Part {
    fn schema_name() -> Cow<'static, str> {
        "Part".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 1 }, { "type": "string", "pattern": "^[0-9.]+ *%$" }] })
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        f64::deserialize(deserializer).map(Number)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

impl Serialize for RunBounds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RunBounds::Number(range) => range.serialize(serializer),
            RunBounds::Span(range) => range.serialize(serializer),
            RunBounds::Part(range) => range.serialize(serializer),
        }
    }
}

impl Serialize for ExpectRuns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.met.iter().try_for_each(|met| map.serialize_entry("met", met))?;
        for (metric, statistics) in &self.metrics {
            let by_name: BTreeMap<&str, &RunBounds> =
                statistics.iter().map(|(statistic, bounds)| (statistic.as_str(), bounds)).collect();
            map.serialize_entry(metric.name(), &by_name)?;
        }
        map.end()
    }
}

/// The statistics of one metric.
struct Statistics(Unit);

impl<'de> de::DeserializeSeed<'de> for Statistics {
    type Value = BTreeMap<Statistic, RunBounds>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Statistics {
    type Value = BTreeMap<Statistic, RunBounds>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("statistics and their ranges, such as { p99 = { max = \"9s\" } }")
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(statistic) = Statistic::ALL.into_iter().find(|statistic| statistic.as_str() == key) else {
                let names = Statistic::ALL.map(Statistic::as_str);
                let near = closest(&key, names).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                let known = names.join(", ");
                return Err(de::Error::custom(format!("there is no statistic `{key}`, only {known}{near}")));
            };
            let bounds = match self.0 {
                Unit::Count => RunBounds::Number(map.next_value()?),
                Unit::Seconds => RunBounds::Span(map.next_value()?),
                Unit::Ratio => RunBounds::Part(map.next_value()?),
            };
            found.insert(statistic, bounds);
        }
        match found.is_empty() {
            true => Err(de::Error::custom("no statistic is given: mean, p50, p95, p99, min or max")),
            false => Ok(found),
        }
    }
}

impl<'de> Deserialize<'de> for ExpectRuns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RunsVisitor;
        impl<'de> Visitor<'de> for RunsVisitor {
            type Value = ExpectRuns;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of expectations over many runs")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ExpectRuns, A::Error> {
                let mut expect = ExpectRuns::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "met" {
                        expect.met = Some(map.next_value()?);
                        continue;
                    }
                    let metric = Metric::parse(&key).map_err(de::Error::custom)?;
                    expect.metrics.insert(metric, map.next_value_seed(Statistics(metric.unit()))?);
                }
                Ok(expect)
            }
        }
        deserializer.deserialize_map(RunsVisitor)
    }
}

impl JsonSchema for ExpectRuns {
    fn schema_name() -> Cow<'static, str> {
        "ExpectRuns".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let part = generator.subschema_for::<Within<Part>>();
        let mut met = part.clone().to_value();
        met["description"] = "The part of the runs that must meet the rest of [expect]; without it, all must.".into();
        let mut properties = serde_json::Map::new();
        properties.insert("met".to_owned(), met);
        let statistics: Vec<&str> = Statistic::ALL.map(Statistic::as_str).to_vec();
        for metric in Metric::all() {
            let range = match metric.unit() {
                Unit::Count => generator.subschema_for::<Within<Number>>(),
                Unit::Seconds => generator.subschema_for::<Within<Span>>(),
                Unit::Ratio => part.clone(),
            };
            let of_metric = serde_json::json!({
                "type": "object", "minProperties": 1, "description": metric.says(),
                "propertyNames": { "enum": statistics }, "additionalProperties": range,
            });
            properties.insert(metric.name().to_owned(), of_metric);
        }
        json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

/// What is known of many runs.
pub struct Runs<'a> {
    /// How many there were.
    pub count: u64,
    /// How many of them met the rest of `[expect]`.
    pub met: u64,
    /// A metric over the runs in which it is known.
    pub sample: &'a dyn Fn(Metric) -> &'a Summary,
}

impl ExpectRuns {
    /// Each expectation with what was found. A statistic of a metric that no run has lies in no range.
    pub fn checks(&self, runs: &Runs<'_>) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(range) = &self.met {
            let part = Part(if runs.count == 0 { 0.0 } else { runs.met as f64 / runs.count as f64 });
            let found = format!("{part} ({} of {} runs)", runs.met, runs.count);
            let is_met = runs.count > 0 && range.contains(&part);
            checks.push(Check { key: "met".into(), expected: range.to_string(), found, met: is_met });
        }
        for (metric, statistics) in &self.metrics {
            let sample = (runs.sample)(*metric);
            for (statistic, bounds) in statistics {
                let value = statistic.of(sample);
                let of = match sample.count() {
                    known if known == runs.count => String::new(),
                    known => format!(" (known in {known} of {} runs)", runs.count),
                };
                checks.push(Check {
                    key: format!("{metric} {}", statistic.as_str()),
                    expected: bounds.to_string(),
                    found: value.map_or("unknown".to_owned(), |value| bounds.shown(value)) + &of,
                    met: value.is_some_and(|value| bounds.contain(value)),
                });
            }
        }
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn runs(text: &str) -> Result<ExpectRuns, String> {
        let scenario = Scenario::parse("test.toml", &format!("[expect.runs]\n{text}"));
        match scenario {
            Ok(scenario) => Ok(scenario.expect.expect("it expects").runs.expect("of runs")),
            Err(error) => Err(format!("{:?}", miette::Report::new(error))),
        }
    }

    fn sample(values: impl Iterator<Item = u32>) -> Summary {
        let mut summary = Summary::default();
        values.for_each(|value| summary.add(f64::from(value)));
        summary
    }

    #[test]
    fn every_statistic_can_be_met_and_missed() {
        let (known, none) = (sample(1..=100), Summary::default());
        let outage = Metric::named("set-outage");
        let judged = |text: &str| {
            let sample = |metric: Metric| if metric == outage { &known } else { &none };
            let expect = runs(text).expect("it is right");
            let checks = expect.checks(&Runs { count: 100, met: 97, sample: &sample });
            checks.into_iter().map(|check| (check.met, check.found)).collect::<Vec<_>>()
        };
        for (statistic, met, missed, found) in [
            ("mean", "51s", "50s", "50.5 s"),
            ("p50", "51s", "50s", "50.5 s"),
            ("p95", "96s", "95s", "95.05 s"),
            ("p99", "100s", "99s", "99.01 s"),
            ("max", "100s", "99s", "100 s"),
        ] {
            for (limit, is_met) in [(met, true), (missed, false)] {
                let text = format!("set-outage = {{ {statistic} = {{ max = '{limit}' }} }}");
                assert_eq!(judged(&text), [(is_met, found.to_owned())], "{text}");
            }
        }
        assert_eq!(judged("set-outage = { min = { min = '1s' } }"), [(true, "1 s".to_owned())]);
        assert_eq!(judged("met = { min = '97%' }"), [(true, "97 % (97 of 100 runs)".to_owned())]);
        assert_eq!(judged("met = { min = 0.98 }"), [(false, "97 % (97 of 100 runs)".to_owned())]);
        let nobody = judged("set-ok = { min = { min = 0 } }");
        assert_eq!(nobody, [(false, "unknown (known in 0 of 100 runs)".to_owned())]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        for (text, remedy) in [
            ("set-outge = { p99 = { max = '9s' } }", "did you mean `set-outage`?"),
            ("set-outage-s = { p99 = { max = '9s' } }", "set-outage"),
            ("set-outage = { p90 = { max = '9s' } }", "mean, p50, p95, p99, min, max"),
            ("set-outage = { p99 = { max = 9 } }", "50ms"),
            ("set-outage = {}", "no statistic is given"),
            ("met = { min = '101%' }", "99%"),
            ("met = { min = '99' }", "99%"),
        ] {
            let said = runs(text).expect_err("it is wrong");
            assert!(said.contains(remedy), "{text}: {said}");
        }
    }

    #[test]
    fn it_is_written_back_as_it_was() {
        let text = "[expect]\nfailovers = 1\n[expect.runs]\nmet = { min = '99%' }\nset-outage = { p99 = { max = '9s' } }\n\
                    lost-acked-sets = { mean = { max = 2.5 } }\nset-ok-ratio = { min = { min = 0.5 } }\n";
        let scenario = Scenario::parse("test.toml", text).expect("it is right");
        let again = Scenario::parse("test.toml", &scenario.to_toml(1, "test")).expect("it is right");
        assert_eq!(scenario, again);
    }
}
