//! The names that the real programs have for their settings: what is real and not modelled is no typing error.

use super::reader::Keys;
use crate::redis;
use crate::suggest::closest;

/// One name a line; lines that begin with `#` say where they come from.
const REDIS: &str = include_str!("real/redis-7.0.15.txt");
const SENTINEL: &str = include_str!("real/sentinel-7.0.15.txt");
const HAPROXY: &str = include_str!("real/haproxy-2.6.txt");

fn has(list: &str, name: &str) -> bool {
    list.lines().any(|line| line == name && !line.starts_with('#'))
}

/// What is wrong with a key that a section does not have and the real program has: the message, what to write at its
/// place, and a remedy.
pub(super) fn of_section(section: &str, key: &str, keys: &Keys) -> Option<(String, String, String)> {
    let modelled = |name: &str| keys.names().any(|key| key == name);
    let (file, is_real) = match section {
        "[redis]" => ("redis.conf 7.0.15", has(REDIS, key)),
        "[sentinel]" => ("sentinel.conf 7.0.15", has(SENTINEL, key) || has(REDIS, key)),
        "[haproxy]" => ("haproxy.cfg 2.6", has(HAPROXY, key)),
        _ => return None,
    };
    let here = [redis::canonical(key), key.trim_start_matches("option ")];
    if let Some(name) = here.into_iter().find(|name| *name != key && modelled(name)) {
        let message = format!("`{key}` has another name here");
        return Some((message, "a real name, but not the one that is used here".to_owned(), format!("write `{name}`")));
    }
    is_real.then(|| {
        let label = format!("a real directive of {file} that is not modelled");
        let help = "it would change nothing here: leave it out (docs/laboratory.md says what is modelled)".to_owned();
        (format!("`{key}` is not modelled"), label, help)
    })
}

/// A directive that CONFIG SET does not know here: the message, what to write at its place, and a remedy.
pub(super) fn unknown_directive(name: &str) -> (String, String, String) {
    if has(REDIS, name) {
        let message = format!("CONFIG SET of `{name}` is not modelled");
        let label = "a real directive of redis.conf 7.0.15 that is not modelled".to_owned();
        return (message, label, "leave it out: docs/laboratory.md says what is modelled".to_owned());
    }
    let keys = Keys::of::<redis::Config>();
    let help = match closest(name, keys.names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "give a directive of redis.conf 7.0.15".to_owned(),
    };
    (
        format!("CONFIG SET of `{name}`: there is no such directive"),
        "Redis 7.0.15 has none of this name".to_owned(),
        help,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Released, ServerRelease};
    use crate::{haproxy, sentinel};

    /// Keys that only the simulator has, and numbers that only `SENTINEL DEBUG` sets.
    const OF_THE_SIMULATOR: [&str; 23] = [
        "config-file",
        "master-by-name",
        "dataset-bytes",
        "dataset-value-bytes",
        "dataset-save-rate",
        "dataset-load-rate",
        "dataset-send-rate",
        "dataset-fork-per-gb",
        "master-name",
        "quorum",
        "info-period",
        "ping-period",
        "ask-period",
        "publish-period",
        "tilt-trigger",
        "tilt-period",
        "slave-reconf-timeout",
        "min-link-reconnect-period",
        "election-timeout",
        "default-down-after",
        "default-failover-timeout",
        "release",
        "check",
    ];

    #[test]
    fn every_key_is_a_real_directive_or_the_simulators_own() {
        let redis = Keys::of::<redis::Config>();
        let sentinel = Keys::of::<sentinel::Config>();
        let haproxy = Keys::of::<haproxy::Config>();
        for (keys, list) in [(&redis, REDIS), (&sentinel, SENTINEL), (&haproxy, HAPROXY)] {
            let later = |key: &str| redis::Config::lacking(ServerRelease::default(), key).is_some();
            for key in keys.names().filter(|key| !OF_THE_SIMULATOR.contains(key) && !later(key)) {
                let is_family =
                    list.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
                assert!(has(list, key) || has(list, &format!("option {key}")) || is_family, "{key} is in no list");
            }
        }
    }

    #[test]
    fn a_real_name_is_told_from_a_typing_error() {
        let keys = Keys::of::<redis::Config>();
        let (_, label, _) = of_section("[redis]", "maxmemory", &keys).expect("real");
        assert_eq!(label, "a real directive of redis.conf 7.0.15 that is not modelled");
        assert_eq!(of_section("[redis]", "maxmemoryy", &keys), None);
        let (_, _, help) = of_section("[redis]", "slave-priority", &keys).expect("an old name");
        assert_eq!(help, "write `replica-priority`");
        let keys = Keys::of::<haproxy::Config>();
        assert!(of_section("[haproxy]", "timeout http-request", &keys).is_some());
        assert_eq!(of_section("[haproxy]", "option redispatch", &keys).expect("real").2, "write `redispatch`");
        assert_eq!(of_section("[network]", "maxmemory", &keys), None);
    }
}
