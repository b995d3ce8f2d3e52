//! Values as a scenario writes them.

use serde_json::Value as Json;

use super::haproxy_cfg::millis;
use super::images::Kind as Image;
use super::launch::Program;
use super::lint::cleaned;
use super::output::{Entry, Section};

/// The words that `release` takes in a section.
pub(super) fn release_words(schema: &Json, kind: &str) -> Vec<String> {
    fn collect(node: &Json, words: &mut Vec<String>) {
        match node {
            Json::Array(all) => all.iter().for_each(|node| collect(node, words)),
            Json::Object(all) => {
                for (key, node) in all {
                    match (key.as_str(), node) {
                        ("enum", Json::Array(all)) => {
                            words.extend(all.iter().filter_map(Json::as_str).map(str::to_owned))
                        }
                        ("const", Json::String(word)) => words.push(word.clone()),
                        ("description" | "default", _) => {}
                        (_, node) => collect(node, words),
                    }
                }
            }
            _ => {}
        }
    }
    let mut words = Vec::new();
    collect(&schema["properties"][kind]["properties"]["release"], &mut words);
    words
}

/// The release that is nearest to the version of a program, and whether it is that one.
pub(super) fn nearest(words: &[String], program: &Program) -> Option<(String, bool)> {
    let image = program.image.as_ref().filter(|image| image.kind != Image::Other || program.version().is_some())?;
    let (major, minor) = match image.kind {
        Image::Other => super::images::of_distribution(image).map(|(major, minor)| (major, Some(minor)))?,
        _ => image.numbers()?,
    };
    let number = |word: &str| -> Option<(u32, u32)> {
        let (major, minor) = word.trim_start_matches("valkey-").split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let own: Vec<&String> = words.iter().filter(|word| word.starts_with("valkey-") == image.valkey).collect();
    let own = if own.is_empty() { words.iter().collect() } else { own };
    let wanted = (major, minor.unwrap_or(99));
    let exact = own.iter().find(|word| number(word) == Some(wanted));
    let below = || {
        own.iter()
            .filter_map(|word| Some((number(word)?, *word)))
            .filter(|(number, _)| *number <= wanted)
            .max_by_key(|(number, _)| *number)
    };
    let above = || own.iter().filter_map(|word| Some((number(word)?, *word))).min_by_key(|(number, _)| *number);
    match exact {
        Some(word) => Some(((*word).clone(), true)),
        None => below().or_else(above).map(|((found, _), word)| (word.clone(), found == major && minor.is_none())),
    }
}

/// `[kind]` with what most nodes have, `[kind.kind-N]` with what differs.
pub(super) fn per_node(kind: &str, nodes: Vec<Section>) -> Vec<(String, Section)> {
    let mut common = Section::new();
    let keys: std::collections::BTreeSet<&String> = nodes.iter().flat_map(Section::keys).collect();
    for key in keys {
        let having: Vec<&Entry> = nodes.iter().filter_map(|node| node.get(key)).collect();
        let count = |value: &str| having.iter().filter(|entry| entry.value == value).count();
        let usual = having.iter().rev().max_by_key(|entry| count(&entry.value));
        // What one node lacks has its default there, so it cannot stand for all.
        if let Some(usual) = usual.filter(|_| having.len() == nodes.len()) {
            common.insert(key.clone(), (**usual).clone());
        }
    }
    let mut all = vec![(kind.to_owned(), common.clone())];
    for (n, node) in nodes.into_iter().enumerate() {
        let own: Section = node
            .into_iter()
            .filter(|(key, entry)| common.get(key).is_none_or(|usual| usual.value != entry.value))
            .collect();
        all.push((format!("{kind}.{kind}-{}", n + 1), own));
    }
    all
}

/// The order in which people read the keys of a section; what is not named stands behind, by name.
const ORDER: [&str; 35] = [
    "name",
    "redis",
    "sentinels",
    "haproxy",
    "release",
    "master-name",
    "quorum",
    "down-after-milliseconds",
    "failover-timeout",
    "parallel-syncs",
    "config-file",
    "master-by-name",
    "appendonly",
    "appendfsync",
    "save",
    "min-replicas-to-write",
    "min-replicas-max-lag",
    "replica-priority",
    "balance",
    "check",
    "inter",
    "fastinter",
    "downinter",
    "rise",
    "fall",
    "backup",
    "on-marked-down",
    "on-marked-up",
    "timeout connect",
    "timeout client",
    "timeout server",
    "timeout tunnel",
    "timeout check",
    "retries",
    "redispatch",
];

/// The keys of a section as they are written.
pub(super) fn in_order(section: &Section) -> Vec<(&String, &Entry)> {
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut all: Vec<_> = section.iter().collect();
    all.sort_by_key(|(key, _)| place(key));
    all
}

/// All `save` lines as one value: an empty one forgets those before it.
pub(super) fn save(settings: &super::redis_conf::Directives) -> String {
    let mut all: Vec<String> = Vec::new();
    for line in settings.every("save") {
        let value = line.value();
        if value.trim().is_empty() {
            all.clear();
        } else {
            all.push(value);
        }
    }
    all.join(" ")
}

/// A value as the schema of its key wants it.
pub(super) fn typed(schema: &Json, text: &str) -> String {
    let says = |kind: &str| {
        schema["type"] == kind
            || schema["anyOf"].as_array().is_some_and(|all| all.iter().any(|one| one["type"] == kind))
    };
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "yes" if says("boolean") => "true".to_owned(),
        "no" if says("boolean") => "false".to_owned(),
        _ => match text.parse::<u64>() {
            Ok(number) if says("integer") => number.to_string(),
            _ => string(text),
        },
    }
}

/// A time of haproxy.cfg with a unit.
pub(super) fn span(text: &str) -> String {
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => format!("{text}ms"),
        false if text.ends_with('d') => millis(text).map_or(text.to_owned(), |ms| format!("{}h", ms / 3_600_000)),
        false => text.to_owned(),
    }
}

/// A TOML string.
pub(super) fn string(text: &str) -> String {
    toml::Value::String(cleaned(text)).to_string()
}

/// A value as a user gives it: TOML if it is, else a string.
pub(super) fn literal(text: &str) -> String {
    let is_toml = format!("x = {text}").parse::<toml::Table>().is_ok_and(|table| table.len() == 1);
    if is_toml && !text.contains('\n') { text.to_owned() } else { string(text) }
}

pub(super) fn bare(key: &str) -> String {
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { key.to_owned() } else { string(key) }
}

pub(super) fn one_line(text: &str) -> String {
    cleaned(&text.replace(['\n', '\r', '\t'], " "))
}
