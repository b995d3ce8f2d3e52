//! No setting is accepted in silence: the schema of a scenario is walked through, and for every key there is a run that
//! differs by it, or a refusal that says why. A new key without a row here fails.

mod programs;
mod scenario;

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value as Json;
use sim::scenario::{Scenario, json_schema};

use crate::commands::{ask, stack};
use crate::support::{refusal, run};

/// What a key does.
enum Row {
    /// Two values make two runs that differ in what happens: the circumstances (with `@@` where the value stands, or
    /// without: then it stands before them, as a dotted key), and the two values.
    Run(&'static str, &'static str, &'static str),
    /// Two values make two answers to a command at time 0: the node, the command, and the two values.
    Answer(&'static str, &'static str, &'static str, &'static str),
    /// Nothing of what happens depends on it: it is told.
    Told,
    /// The one good value changes nothing, any other is refused: a file with another one, and the reason.
    Refused(&'static str, &'static str),
}
use Row::{Answer, Refused, Run, Told};

/// The master dies and comes back.
const DEATH: &str = "duration = '30s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n\
                     [[fault]]\nat = '12s'\naction = 'start'\nnode = 'redis-1'\n";
/// The same with data that take a while.
const LARGE: &str = "redis.dataset-bytes = '200mb'\nduration = '30s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n\
                     [[fault]]\nat = '12s'\naction = 'start'\nnode = 'redis-1'\n";
/// The same through a file.
const LARGE_FROM_DISK: &str = "redis.dataset-bytes = '200mb'\nredis.repl-diskless-sync = false\nduration = '30s'\nphase = '0s'\n\
     [[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n[[fault]]\nat = '12s'\naction = 'start'\nnode = 'redis-1'\n";
/// A subscriber stops reading.
const STOPPED_READER: &str = "haproxy.tune.bufsize = @@\nstack.redis = 1\nstack.sentinels = 1\nsentinel.quorum = 1\nduration = '4s'\nphase = '0s'\n\
    redis.client-output-buffer-limit = 'pubsub 256kb 64kb 5'\n\
    [[client]]\nname = 'p'\nkind = 'publish'\nhost = 'h'\npayload = '8kb'\npause = { min = '1ms', max = '1ms' }\n\
    [[client]]\nname = 's'\nkind = 'subscribe'\nhost = 'slow'\n[[fault]]\nat = '0s'\naction = 'pause'\nnode = 's'\n";
/// An append-only file that is rewritten soon.
const SMALL_LOG: &str =
    "redis.appendonly = true\nredis.auto-aof-rewrite-min-size = '1kb'\nduration = '10s'\nphase = '0s'\n";
/// Nothing happens.
const CALM: &str = "duration = '5s'\nphase = '0s'\n";
/// The master stands still for a while.
const PAUSE: &str = "duration = '20s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n\
                     [[fault]]\nat = '9s'\naction = 'resume'\nnode = 'redis-1'\n";
/// A replica is cut off for a while.
const CUT_OFF: &str = "duration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'partition'\n\
                       groups = [['redis-2'], ['redis-1', 'redis-3', 'sentinel-1', 'sentinel-2', 'sentinel-3']]\n\
                       [[fault]]\nat = '20s'\naction = 'heal'\n";
/// The same, with short limits for silence.
const LOST_LINK: &str = "redis.repl-timeout = 5\nduration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'partition'\n\
                         groups = [['redis-1'], ['redis-2', 'redis-3']]\n[[fault]]\nat = '20s'\naction = 'heal'\n";
/// Everybody is frozen but the Sentinels: nobody can be promoted, again and again.
const NOBODY: &str = "duration = '60s'\nphase = '0s'\n\
                      [[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-2'\n\
                      [[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-3'\n\
                      [[fault]]\nat = '8s'\naction = 'kill'\nnode = 'redis-1'\n";
/// The Sentinels forget the master and are told of it again; later it dies.
const MONITORED_AGAIN: &str = "stack.sentinels = 1\nsentinel.quorum = 1\nduration = '20s'\nphase = '0s'\n\
    [[fault]]\nat = '1s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'REMOVE', 'mymaster']\n\
    [[fault]]\nat = '2s'\naction = 'command'\nnode = 'sentinel-1'\n\
    run = ['SENTINEL', 'MONITOR', 'mymaster', 'redis-1', '6379', '1']\n\
    [[fault]]\nat = '5s'\naction = 'kill'\nnode = 'redis-1'\n";

/// A row for each key.
fn rows() -> impl Iterator<Item = &'static (&'static str, Row)> {
    programs::ROWS.iter().chain(scenario::ROWS)
}

/// The keys of a table, with those of the tables in it.
fn keys(path: &str, schema: &Json, found: &mut BTreeSet<String>) {
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match path.as_str() {
            // Each expectation is held against the value of its metric elsewhere.
            "expect" => {}
            "fault" => faults(property, found),
            _ if property["properties"].is_object() => keys(&path, property, found),
            _ if property["items"]["properties"].is_object() => keys(&path, &property["items"], found),
            _ => {
                found.insert(path);
            }
        }
    }
}

fn faults(schema: &Json, found: &mut BTreeSet<String>) {
    for action in schema["items"]["oneOf"].as_array().expect("one schema an action") {
        let name = action["properties"]["action"]["const"].as_str().expect("an action has a name");
        for key in action["properties"].as_object().expect("an action has keys").keys() {
            found.insert(match key.as_str() {
                "at" | "action" => format!("fault.{key}"),
                key => format!("fault.{name}.{key}"),
            });
        }
    }
}

#[test]
fn every_key_has_a_row_and_every_row_a_key() {
    let mut found = BTreeSet::new();
    keys("", &json_schema(), &mut found);
    let rows: BTreeSet<String> = self::rows().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(rows.len(), self::rows().count(), "a key has two rows");
    let missing: Vec<_> = found.difference(&rows).collect();
    assert!(missing.is_empty(), "keys without a row, so that nobody knows whether they change a run: {missing:?}");
    let stale: Vec<_> = rows.difference(&found).collect();
    assert!(stale.is_empty(), "rows of keys that there are not: {stale:?}");
}

/// A file with a value in its place.
fn file(key: &str, circumstances: &str, value: &str) -> String {
    if circumstances.contains("@@") {
        return circumstances.replace("@@", value);
    }
    match key.split_once('.') {
        Some((section, key)) => format!("{section}.'{key}' = {value}\n{circumstances}"),
        None => format!("{key} = {value}\n{circumstances}"),
    }
}

/// All that happened, without what the header says of settings.
fn happened(text: &str) -> String {
    let run = run(text, 3);
    let mut recording = run.result.recording;
    recording.header.config = Json::Null;
    format!("{:032x}\n{}", run.result.digest, recording.to_jsonl())
}

#[test]
fn every_setting_changes_a_run_or_is_refused() {
    let silent: Vec<&str> = rows()
        .collect::<Vec<_>>()
        .into_par_iter()
        .filter(|(key, row)| match row {
            Run(circumstances, one, other) => {
                let [one, other] = [one, other].map(|value| file(key, circumstances, value));
                happened(&one) == happened(&other)
            }
            Answer(node, words, one, other) => {
                let [one, other] = [one, other].map(|value| ask(&mut stack(&file(key, "", value)), node, words));
                one == other
            }
            Told => false,
            Refused(text, reason) => !refusal(text).contains(reason),
        })
        .map(|(key, _)| *key)
        .collect();
    assert!(silent.is_empty(), "accepted in silence: {silent:?}");
}

#[test]
fn a_setting_that_changes_nothing_would_be_noticed() {
    let described = |text: &str| file("description", CALM, text);
    assert_eq!(happened(&described("'a'")), happened(&described("'b'")));
    let told = |text: &str| Arc::new(Scenario::parse("x.toml", &described(text)).expect("a good file"));
    assert_ne!(told("'a'"), told("'b'"), "it is told");
}
