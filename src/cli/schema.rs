//! `sim schema`: the scenario file's JSON Schema, and the same for people.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value;

use super::{Failure, Verdict};
use crate::analysis::metrics::Metric;

/// Print the JSON Schema of the scenario file, or its keys as a page to read
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// JSON Schema, for editors and programs
    Json,
    /// Every key and every fault with its default and meaning: docs/keys.md
    Markdown,
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let schema = crate::scenario::json_schema();
    let text = match arguments.format {
        Format::Json => serde_json::to_string_pretty(&schema).expect("a schema is valid JSON") + "\n",
        Format::Markdown => page(&serde_json::to_value(&schema).expect("a schema is valid JSON")),
    };
    write!(std::io::stdout(), "{text}")?;
    Ok(Verdict::Fine)
}

/// The sections in the order in which one writes them.
const SECTIONS: [(&str, &str); 7] = [
    ("stack", "[stack]"),
    ("redis", "[redis]"),
    ("sentinel", "[sentinel]"),
    ("haproxy", "[haproxy]"),
    ("network", "[network]"),
    ("client", "[[client]]"),
    ("expect", "[expect]"),
];

const HEAD: &str = "\
# Every key of a scenario, and every fault

Made by `sim schema --format markdown` from the schema that the program itself reads with; a test holds this page against it. An absent
key has the demo's value, and where the demo says nothing the real program's default: an empty file is the demo, undisturbed.
Durations are texts such as `\"250us\"`, `\"50ms\"`, `\"5s\"`, `\"2m\"`; directives of Redis and Sentinel that are plain numbers keep their own units.

";

fn page(schema: &Value) -> String {
    let mut out = String::from(HEAD);
    let all = &schema["properties"];
    let sections: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).chain(["fault"]).collect();
    out.push_str("## At the top\n\n");
    let top = all.as_object().into_iter().flatten().filter(|(name, _)| !sections.contains(&name.as_str()));
    table(&mut out, "", top);
    for (name, title) in SECTIONS {
        let section = &all[name];
        let _ = writeln!(out, "## {title}\n\n{}\n", told(section));
        let items = if section["items"].is_object() { &section["items"] } else { section };
        let keys = items["properties"].as_object().into_iter().flatten();
        let keys = keys.filter(|(key, _)| name != "expect" || !is_metric(key));
        table(&mut out, "", keys);
        if name == "expect" {
            out.push_str(
                "Every other key is the name of a metric ([metrics.md](metrics.md)): a number, a duration, or limits such as \
                 `{ min = 1, max = 3 }`.\n\n",
            );
        }
    }
    out.push_str("## [[fault]]\n\nEach has `at`, when it happens, and `action`, which decides the other keys.\n\n");
    for fault in all["fault"]["items"]["oneOf"].as_array().into_iter().flatten() {
        let action = fault["properties"]["action"]["const"].as_str().unwrap_or_default();
        let _ = writeln!(out, "### {action}\n\n{}\n", told(fault));
        let own = fault["properties"].as_object().into_iter().flatten();
        let own: Vec<_> = own.filter(|(key, _)| !["action", "at"].contains(&key.as_str())).collect();
        if !own.is_empty() {
            table(&mut out, "", own.into_iter());
        }
    }
    out.trim_end().to_owned() + "\n"
}

fn is_metric(key: &str) -> bool {
    Metric::all().any(|metric| metric.name() == key)
}

/// A line a key; what a key holds is told below it.
fn table<'a>(out: &mut String, before: &str, keys: impl Iterator<Item = (&'a String, &'a Value)>) {
    if before.is_empty() {
        out.push_str("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    }
    for (key, value) in keys {
        // It is read, and written no more.
        if value["writeOnly"] == true || (before == "runs." && is_metric(key)) {
            continue;
        }
        let default = match &value["default"] {
            Value::Null => String::new(),
            Value::Array(list) if list.is_empty() => String::new(),
            Value::Object(map) if map.is_empty() || value["properties"].is_object() => String::new(),
            default => format!("`{default}`"),
        };
        let _ = writeln!(out, "| `{before}{key}` | {} | {} | {} |", kind(value), cell(&default), cell(&told(value)));
        let inner = if value["items"]["properties"].is_object() { &value["items"] } else { value };
        if let Some(inner) = inner["properties"].as_object() {
            table(out, &format!("{before}{key}."), inner.iter());
        }
    }
    if before.is_empty() {
        out.push('\n');
    }
}

/// What a key says of itself, in one paragraph.
fn told(value: &Value) -> String {
    let text = value["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What may be written as its value.
fn kind(value: &Value) -> String {
    let choices = |list: &Value| -> Vec<String> {
        list.as_array()
            .into_iter()
            .flatten()
            .map(|one| if one["const"].is_null() { one } else { &one["const"] })
            .map(|one| format!("`{one}`"))
            .collect()
    };
    let constants = |list: &Value| list.as_array().is_some_and(|list| list.iter().all(|one| !one["const"].is_null()));
    if value["enum"].is_array() {
        return choices(&value["enum"]).join(", ");
    }
    if constants(&value["oneOf"]) {
        return choices(&value["oneOf"]).join(", ");
    }
    for list in [&value["anyOf"], &value["oneOf"]] {
        if let Some(list) = list.as_array() {
            let mut kinds: Vec<String> = list.iter().map(kind).filter(|kind| !kind.is_empty()).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
    }
    let pattern = value["pattern"].as_str().unwrap_or_default();
    match value["type"].as_str() {
        Some("string") if pattern.contains("ms|s|m|h") && pattern.contains("none") => "duration or `\"none\"`".into(),
        Some("string") if pattern.contains("ms|s|m|h") => "duration".into(),
        Some("string") if pattern.contains("mbit") => "rate".into(),
        Some("string") => "text".into(),
        Some("integer") => "whole number".into(),
        Some("number") => "number".into(),
        Some("boolean") => "`true`, `false`".into(),
        Some("array") => "list".into(),
        Some("object") => "table".into(),
        _ => String::new(),
    }
}
