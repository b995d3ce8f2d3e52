//! What log lines are compared by: the name of an event, free of the node that happened to win, of times and of numbers.
//!
//! The names are those of the cells of the reference's `score.py`.

use std::collections::BTreeMap;

use crate::record::{Event, NodeKind, Recording, What};

/// Parts of Redis log lines that the score looks at, and their names in cells.
const REDIS_KEYS: [(&str, &str); 16] = [
    ("MASTER MODE enabled", "master-mode"),
    ("REPLICAOF", "replicaof"),
    ("Partial resynchronization request from", "psync-accepted"),
    ("Partial resynchronization not accepted", "psync-refused"),
    ("Full resync requested by replica", "full-resync-requested"),
    ("Full resync from master", "full-resync"),
    ("Successful partial resynchronization with master", "psync-ok"),
    ("Finished with success", "sync-ok"),
    ("Connection with master lost", "master-lost"),
    ("Connection with replica", "replica-lost"),
    ("Timeout connecting to the MASTER", "master-timeout"),
    ("MASTER timeout", "master-timeout"),
    ("Setting secondary replication ID", "second-replid"),
    ("Ready to accept connections", "ready"),
    ("Starting BGSAVE for SYNC", "bgsave-for-sync"),
    ("Synchronization with replica", "replica-online"),
];

/// Sentinel events whose name alone is their cell.
const BARE_EVENTS: [&str; 9] = [
    "+vote-for-leader",
    "+new-epoch",
    "+sentinel",
    "+slave",
    "+monitor",
    "+sentinel-invalid-addr",
    "-dup-sentinel",
    "+sentinel-address-switch",
    "+set",
];

/// One log line of a program, at its written time.
pub(super) struct Line {
    pub at: f64,
    pub node: String,
    pub kind: NodeKind,
    pub text: String,
}

/// All log lines of a recording in its order, at their written times.
pub(super) fn lines(recording: &Recording) -> Vec<Line> {
    let line = |record: &crate::record::Record| match &record.what {
        What::Event(event) if event.is_logged() => Some(Line {
            at: recording.seconds(record.time),
            node: recording.names.node(record.node).to_string(),
            kind: recording.names.kind(record.node),
            text: match event {
                Event::Text(text) => text.to_string(),
                event => event.text(&recording.names),
            },
        }),
        _ => None,
    };
    recording.records.iter().filter_map(line).collect()
}

/// What the Redis nodes are called in cells, so that it does not matter which one won: `redis-1`, `new-master`,
/// `replica`.
pub(super) struct Roles(BTreeMap<String, &'static str>);

impl Roles {
    pub(super) fn of(recording: &Recording, lines: &[Line]) -> Roles {
        let is_redis = |line: &&Line| line.kind == NodeKind::Redis;
        let promoted = lines
            .iter()
            .filter(is_redis)
            .find(|line| line.at >= 0.0 && line.text.contains("MASTER MODE enabled"))
            .map(|line| line.node.as_str());
        let names = lines.iter().filter(is_redis).map(|line| &line.node).chain(&recording.header.redis);
        // Whatever it is called, it is the first of the stack.
        let all = &recording.header.redis;
        let first = all.iter().find(|name| *name == "redis-1").or(all.first()).map_or("redis-1", String::as_str);
        let role = |name: &String| match name.as_str() {
            name if name == first => "redis-1",
            name if Some(name) == promoted => "new-master",
            _ => "replica",
        };
        Roles(names.map(|name| (name.clone(), role(name))).collect())
    }

    fn name<'a>(&self, name: &'a str) -> &'a str {
        self.0.get(name).copied().unwrap_or(name)
    }
}

/// The cell that a line belongs to, if any.
pub(super) fn key(line: &Line, roles: &Roles) -> Option<String> {
    let text = line.text.as_str();
    match line.kind {
        NodeKind::Sentinel => sentinel_key(text, roles).map(|key| format!("sentinel {key}")),
        NodeKind::Redis => {
            let (_, key) = REDIS_KEYS.iter().find(|(part, _)| text.contains(part))?;
            Some(format!("{} {key}", roles.name(&line.node)))
        }
        NodeKind::Haproxy => haproxy_key(text, roles).map(|key| format!("haproxy {key}")),
        NodeKind::Client => None,
    }
}

pub(super) fn sentinel_key(text: &str, roles: &Roles) -> Option<String> {
    let mut start = text.bytes();
    if !matches!(start.next(), Some(b'+' | b'-')) || !start.next().is_some_and(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let word = |i: usize| words.get(i).copied().unwrap_or_default();
    Some(match word(0) {
        event if BARE_EVENTS.contains(&event) => event.to_string(),
        "+switch-master" => format!("+switch-master {}>{}", roles.name(word(2)), roles.name(word(4))),
        "+odown" => "+odown master".to_string(),
        event if word(1) == "slave" && words.len() > 3 => format!("{event} slave {}", roles.name(word(3))),
        event => format!("{event} {}", word(1)),
    })
}

fn haproxy_key(text: &str, roles: &Roles) -> Option<String> {
    for (at, mark) in text.match_indices("Server ") {
        let rest = &text[at + mark.len()..];
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        // `backend/server`: the backend has at least one character, and so has the server.
        let second = rest.chars().next().map_or(0, char::len_utf8).min(end);
        let server = rest[second..end].split_once('/').map(|(_, server)| server);
        let state = ["UP", "DOWN"]
            .into_iter()
            .find(|state| rest[end..].strip_prefix(" is ").is_some_and(|rest| rest.starts_with(state)));
        if let (Some(server), Some(state)) = (server.filter(|server| !server.is_empty()), state) {
            return Some(format!("server {} {state}", roles.name(server)));
        }
    }
    text.contains("has no server available").then(|| "no server available".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_meet_their_cells() {
        let roles = Roles([("redis-1".to_string(), "redis-1"), ("redis-2".to_string(), "new-master")].into());
        let cell = |node: &str, text: &str| {
            let kind = match node {
                "sentinel-1" => NodeKind::Sentinel,
                "haproxy" => NodeKind::Haproxy,
                _ => NodeKind::Client,
            };
            key(&Line { at: 0.0, node: node.to_string(), kind, text: text.to_string() }, &roles)
        };
        let cases = [
            ("sentinel-1", "+sdown master mymaster redis-1 6379", Some("sentinel +sdown master")),
            (
                "sentinel-1",
                "+sdown slave redis-2:6379 redis-2 6379 @ m redis-1 1",
                Some("sentinel +sdown slave new-master"),
            ),
            (
                "sentinel-1",
                "+switch-master m redis-1 6379 redis-2 6379",
                Some("sentinel +switch-master redis-1>new-master"),
            ),
            ("sentinel-1", "+tilt #tilt mode entered", Some("sentinel +tilt #tilt")),
            ("sentinel-1", "+Odd", None),
            ("sentinel-1", "Sentinel ID is", None),
            ("sentinel-1", "+odown", Some("sentinel +odown master")),
            ("sentinel-1", "-failover", Some("sentinel -failover ")),
            ("haproxy", "Backup Server b/redis-2 is UP, reason", Some("haproxy server new-master UP")),
            ("haproxy", "Server /redis-2 is UP", None),
            ("haproxy", "Server a/b/c is DOWN", Some("haproxy server b/c DOWN")),
            ("haproxy", "Server Server b/redis-1 is DOWN", Some("haproxy server redis-1 DOWN")),
            ("haproxy", "backend b has no server available!", Some("haproxy no server available")),
            ("clients", "+sdown", None),
        ];
        for (node, text, expected) in cases {
            assert_eq!(cell(node, text).as_deref(), expected, "{text}");
        }
    }
}
