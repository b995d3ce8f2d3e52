//! What a scenario file looks like on the outside: its sections, and its JSON Schema.

use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::expect::Expect;
use super::fault::Action;
use super::plan::{Link, Stack};
use super::reader::{Keys, schema_of};
use crate::kernel::Span;
use crate::{client, haproxy, redis, sentinel};

/// A scenario of the simulator `sim`: a stack, its settings, what is done to it and what must come of it.
///
/// Every key may be absent: an empty file is the demo, running undisturbed.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are read through the schema only")]
struct File {
    /// The scenario's name; names the run folder: letters, digits and - _ . : + # = @, at most 100 bytes. Absent: the name
    /// of the file.
    name: Option<String>,
    /// What the scenario shows, in a sentence or two: free text.
    #[schemars(extend("x-free-text" = true))]
    description: Option<String>,
    /// Virtual time to run, counted from time 0, such as "45s"; ten years at most, as every duration. Absent: "30s".
    duration: Option<Span>,
    /// Each run shifts all faults by a random time in `[0, phase)`, so that they meet every phase of every timer.
    /// Absent: "10s".
    phase: Option<Span>,
    /// How many nodes of which kind.
    stack: Option<Stack>,
    /// Directives of redis.conf for every Redis node; a section `[redis.redis-2]` has those of one.
    redis: Option<redis::Config>,
    /// Directives of sentinel.conf for every Sentinel; a section `[sentinel.sentinel-2]` has those of one.
    sentinel: Option<sentinel::Config>,
    /// Keywords of haproxy.cfg.
    haproxy: Option<haproxy::Config>,
    /// What every link does; `[[network.link]]` has links of their own.
    network: Option<Link>,
    /// Client programs. Absent: publisher, subscriber and writer of the reference stack.
    client: Option<Vec<client::Config>>,
    /// The fault script.
    fault: Option<Vec<FaultHead>>,
    /// What must hold at the end of a run; a miss is exit status 1.
    expect: Option<Expect>,
}

/// The keys that every fault has.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the fields are read through the schema only")]
struct FaultHead {
    /// When it happens, counted from time 0, such as "8s".
    at: Span,
    /// What happens: `kill`, `partition`, `heal` and so on.
    action: String,
}

/// The keys that may stand before the first section.
pub(super) fn top_keys() -> Keys {
    Keys::of::<File>()
}

/// The keys that every fault has.
pub(super) fn fault_head_keys() -> Keys {
    Keys::of::<FaultHead>()
}

/// The actions, each with its description and the schema of its own keys.
pub(super) fn actions() -> Vec<(String, Json)> {
    let schema = schema_of::<Action<String>>();
    let variants = schema["oneOf"].as_array().expect("an enum has variants");
    variants
        .iter()
        .map(|variant| {
            let (name, keys) = variant["properties"].as_object().and_then(|p| p.iter().next()).expect("one key each");
            let mut keys = keys.clone();
            keys["description"] = variant["description"].clone();
            (name.clone(), keys)
        })
        .collect()
}

/// The keys of `[[network.link]]`: those of a link, and `between`.
pub(super) fn link_keys() -> Json {
    let mut schema = schema_of::<Link>();
    schema["properties"]["between"] = json!({
        "description": "The two ends: nodes, clients or hosts of clients, such as [\"redis-1\", \"redis-2\"].",
        "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2,
    });
    schema["required"] = json!(["between"]);
    schema
}

/// The key by which a node gets a name of its own.
fn name_key() -> Json {
    let says = "What the node is called in logs and reports: a name that no other node, client or host has. Faults and \
                expectations know it by either.";
    json!({ "description": says, "type": "string", "maxLength": crate::limits::TEXT_MAX })
}

/// The JSON Schema (draft 7) of a scenario file.
pub fn json_schema() -> Json {
    let mut schema = schema_of::<File>();
    let properties = &mut schema["properties"];
    for (section, pattern) in [("redis", "^redis-[1-9][0-9]*$"), ("sentinel", "^sentinel-[1-9][0-9]*$")] {
        let section = &mut properties[section];
        let mut one = section.clone();
        // A key that is absent for one node has the value that all nodes have, not the default.
        for (_, key) in one["properties"].as_object_mut().into_iter().flatten() {
            key.as_object_mut().map(|key| key.remove("default"));
        }
        one["properties"]["name"] = name_key();
        section["patternProperties"] = json!({ pattern: one });
    }
    properties["haproxy"]["properties"]["name"] = name_key();
    properties["network"]["properties"]["link"] =
        json!({ "description": "Links of their own.", "type": "array", "items": link_keys() });

    let head = schema_of::<FaultHead>();
    let faults = actions().into_iter().map(|(name, mut keys)| {
        for (key, property) in head["properties"].as_object().into_iter().flatten() {
            keys["properties"][key] = property.clone();
        }
        keys["properties"]["action"] = json!({ "description": keys["description"], "const": name });
        let own = keys["required"].as_array().cloned().unwrap_or_default();
        keys["required"] = json!([&[json!("at"), json!("action")], own.as_slice()].concat());
        keys
    });
    properties["fault"]["items"] = json!({ "oneOf": faults.collect::<Vec<_>>() });
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Scenario");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_section() {
        let schema = json_schema();
        let properties = &schema["properties"];
        assert_eq!(properties["sentinel"]["properties"]["quorum"]["default"], 2);
        assert!(properties["redis"]["patternProperties"]["^redis-[1-9][0-9]*$"]["properties"]["save"].is_object());
        assert!(properties["network"]["properties"]["link"]["items"]["properties"]["between"].is_object());
        let actions = properties["fault"]["items"]["oneOf"].as_array().expect("one schema an action");
        assert_eq!(actions.len(), 17);
        for action in actions {
            assert!(action["properties"]["action"]["description"].is_string(), "{action}");
            assert!(action["properties"]["at"].is_object(), "{action}");
        }
    }

    #[test]
    fn every_key_is_documented() {
        fn check(path: &str, schema: &Json) {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                let documented = property["description"].is_string();
                let limit_of_a_range = key == "min" || key == "max";
                assert!(documented || limit_of_a_range, "{path}.{key} has no description");
                check(&format!("{path}.{key}"), property);
                check(&format!("{path}.{key}"), &property["items"]);
            }
        }
        check("file", &json_schema());
    }
}
