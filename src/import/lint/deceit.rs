//! Group B: it says one thing and does another.

use std::collections::{BTreeMap, BTreeSet};

use super::start::is_known;
use super::{Hit, Severity, all_of, hit};
use crate::import::haproxy_cfg::millis;
use crate::import::images::{self, Kind as Image};
use crate::import::launch::Program;
use crate::import::origin::Place;
use crate::import::stack::{Stack, Use};

pub(super) fn dead_config(stack: &Stack) -> Vec<Hit> {
    let mut hits: Vec<Hit> = stack
        .unused
        .iter()
        .map(|place| hit(place, format!("{} is used by nobody: its numbers are not in force", place.file)))
        .collect();
    for pool in stack.pools.iter().filter(|pool| pool.used == Use::Dead) {
        // Pools that only count what others ask about are used by rules.
        let name = &pool.back.name.text;
        let asked = stack.proxies[pool.proxy]
            .proxy
            .proxies
            .iter()
            .flat_map(|proxy| &proxy.lines)
            .flatten()
            .any(|word| word.text.contains(&format!("({name})")) || word.text.contains(&format!("({name}/")));
        if !asked {
            hits.push(hit(pool.place(), format!("no frontend leads to backend {name}")));
        }
    }
    hits
}

pub(super) fn dead_env(stack: &Stack) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for one in stack.programs() {
        let (Some(container), Some(image)) = (&one.container, &one.image) else { continue };
        // In a pod, probes and hooks read variables too.
        if one.in_kubernetes() {
            continue;
        }
        if !one.outcome.skipped.is_empty() || image.kind == Image::Other && one.outcome.start.is_none() {
            continue;
        }
        let kind = if image.kind == Image::Other { Image::Redis } else { image.kind };
        let mut dead: Vec<(Place, String)> = Vec::new();
        for (name, value) in container.env.iter().filter(|(name, _)| !images::reads(kind, name)) {
            // What an env file gives to many is meant for some of them.
            let yaml = value.place().file.ends_with(".yml") || value.place().file.ends_with(".yaml");
            if value.origin.through.is_empty() && !yaml {
                continue;
            }
            let health = container.health.as_ref().is_some_and(|text| text.text.contains(name.as_str()));
            let missed: Vec<_> =
                one.outcome.substitutions.iter().filter(|sub| sub.pattern.contains(name.as_str())).collect();
            let misses = !missed.is_empty() && missed.iter().all(|sub| sub.hits == 0);
            if (!one.outcome.used.contains(name) && !health) || misses {
                dead.push((value.place().clone(), name.clone()));
            }
        }
        hits.extend(all_of(dead, |names| format!("{}: nothing reads {names}", one.name)));
    }
    hits
}

pub(super) fn compose_v1_names(stack: &Stack) -> Vec<Hit> {
    all_of(stack.v1_names.clone(), |names| {
        format!("{names}: compose v1 names containers like this; v2 writes PROJECT-SERVICE-N")
    })
}

pub(super) fn server_maxconn(stack: &Stack) -> Vec<Hit> {
    let mut hits = Vec::new();
    // Where no way leads to Redis, nothing is in force.
    for pool in stack.pools.iter().filter(|_| stack.write.is_some()) {
        let config = &stack.proxies[pool.proxy].proxy;
        let front = config.proxies.iter().find(|proxy| Some(&proxy.name.text) == pool.front.as_ref());
        let limits = [config.global("maxconn"), front.and_then(|front| front.value(&["maxconn"]))];
        let limit = limits.into_iter().flatten().filter_map(|text| text.text.parse::<u64>().ok()).min();
        let server = pool
            .server_value("maxconn")
            .and_then(|text| text.text.parse::<u64>().ok().map(|n| (n, text.place().clone())));
        if let (Some(limit), Some((own, place))) = (limit, server)
            && own > limit
        {
            hits.push(hit(
                &place,
                format!(
                    "maxconn {own} of the servers of {}, and {limit} of the whole proxy: the smaller one is in force",
                    pool.back.name.text
                ),
            ));
        }
    }
    hits
}

pub(super) fn substitution(stack: &Stack) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let own = stack.programs().flat_map(|one| &one.outcome.substitutions).chain(&stack.loose_substitutions);
    let mut best: BTreeMap<(Place, String), (usize, usize, bool)> = BTreeMap::new();
    for sub in own {
        let entry = best.entry((sub.place.clone(), sub.pattern.clone())).or_insert((0, 0, sub.empty));
        entry.0 = entry.0.max(sub.hits);
        entry.1 = entry.1.max(sub.partial);
    }
    for ((place, pattern), (count, partial, empty)) in best {
        let text = match (empty, count, partial) {
            (true, ..) => "the variable is replaced on both sides: nothing is left to look for".to_owned(),
            (_, 0, _) => format!("`{pattern}` is in no line of the file: nothing is replaced"),
            (_, _, 1..) => format!("`{pattern}` is also replaced where it is part of a longer name"),
            (_, 2.., _) if is_host(&pattern) => {
                format!("`{pattern}` is replaced in {count} lines: in one of them another value is meant")
            }
            _ => continue,
        };
        hits.push(hit(&place, text));
    }
    hits
}

/// Whether a placeholder is for an address: one that is used twice names two different nodes.
fn is_host(pattern: &str) -> bool {
    let lower = pattern.to_ascii_lowercase();
    lower.contains("host") && !lower.contains("pod")
}

pub(super) fn state_in_repository(stack: &Stack) -> Vec<Hit> {
    let mut hits = all_of(stack.state.iter().map(|(place, what)| (place.clone(), what.clone())).collect(), |what| {
        format!("{what}: Sentinel's own state stands in a file of the set")
    });
    let mut ids: BTreeMap<String, &Program> = BTreeMap::new();
    for one in &stack.sentinels {
        let Some(line) = one.settings.get("sentinel myid") else { continue };
        let id = line.word(0).unwrap_or_default();
        let copies =
            one.container.is_none() && stack.sentinels.iter().filter(|other| other.place == one.place).count() > 1;
        if !is_known(id) || copies {
            continue;
        }
        if let Some(other) = ids.insert(id.to_owned(), one) {
            hits.push(
                hit(
                    line.place(),
                    format!("{} and {} have the same myid: they count as one Sentinel", other.name, one.name),
                )
                .with_severity(Severity::Error),
            );
        }
    }
    hits
}

pub(super) fn version_mixed(stack: &Stack) -> Vec<Hit> {
    let known = |one: &&Program| {
        one.image
            .as_ref()
            .is_some_and(|image| matches!(image.kind, Image::Redis | Image::BitnamiRedis | Image::BitnamiSentinel))
    };
    let first = |all: &[Program]| all.iter().find(|one| known(one)).cloned();
    let (Some(redis), Some(sentinel)) = (first(&stack.redis), first(&stack.sentinels)) else { return Vec::new() };
    let numbers = |one: &Program| one.image.as_ref().and_then(|image| image.numbers()).map(|(major, _)| major);
    let (a, b) = (numbers(&redis), numbers(&sentinel));
    if a == b {
        return Vec::new();
    }
    let shown = |major: Option<u32>| major.map_or("no fixed version".to_owned(), |major| format!("{major}"));
    let place = sentinel.image_place.clone().unwrap_or(sentinel.place.clone());
    vec![hit(
        &place,
        format!(
            "Redis is {} and Sentinel {}: they know different things of each other (CLIENT KILL by type 6.0, host names 6.2, reboot period 7.0)",
            shown(a),
            shown(b)
        ),
    )]
}

pub(super) fn healthcheck_without_password(stack: &Stack) -> Vec<Hit> {
    let mut found = Vec::new();
    for one in &stack.redis {
        let Some(health) = one.container.as_ref().and_then(|container| container.health.as_ref()) else { continue };
        let asks = health.text.contains("redis-cli") && health.text.contains("ping");
        let tells = health.text.contains("-a ")
            || health.text.contains("--pass")
            || health.text.contains("--askpass")
            || one.env.contains_key("REDISCLI_AUTH")
            || health.text.contains("grep");
        if asks && !tells && one.settings.word("requirepass").is_some_and(|word| !word.is_empty()) {
            found.push((health.place().clone(), one.name.clone()));
        }
    }
    all_of(found, |names| {
        format!("{names}: `redis-cli ping` without the password ends well on NOAUTH too: always healthy")
    })
}

pub(super) fn quoted_env(stack: &Stack) -> Vec<Hit> {
    let programs: BTreeSet<Place> = stack
        .programs()
        .filter_map(|one| one.container.as_ref())
        .flat_map(|container| container.env.values().map(|value| value.place().clone()))
        .collect();
    let found = stack
        .quoted
        .iter()
        .filter(|text| programs.contains(text.place()))
        .map(|text| (text.place().clone(), text.text.clone()))
        .collect();
    all_of(found, |names| format!("{names}: in this form the quotes are part of the value"))
}

pub(super) fn trap_before_exec(stack: &Stack) -> Vec<Hit> {
    let found = stack.programs().filter_map(|one| Some((one.outcome.trap.clone()?, one.name.clone()))).collect();
    all_of(found, |names| {
        format!("{names}: the trap goes with the shell that `exec` replaces: what it was to do at the end is not done")
    })
}

pub(super) fn vip_watches(stack: &Stack) -> Vec<Hit> {
    stack
        .blind_vip
        .iter()
        .map(|place| hit(place, "keepalived does not look at HAProxy: a dead proxy keeps the address"))
        .collect()
}

pub(super) fn sentinels_differ(stack: &Stack) -> Vec<Hit> {
    let mut hits = Vec::new();
    let Some(first) = stack.sentinels.first() else { return hits };
    let value = |one: &Program, name: &str| match name {
        "quorum" => stack.quorum(one),
        name => stack.sentinel_number(one, &format!("sentinel {name}")),
    };
    for name in ["quorum", "down-after-milliseconds", "failover-timeout"] {
        let differs = stack.sentinels.iter().find(|one| value(one, name) != value(first, name));
        if let Some(other) = differs.filter(|other| stack.monitor(other).is_some()) {
            let line = if name == "quorum" {
                stack.monitor(other)
            } else {
                other.settings.of_master(&format!("sentinel {name}"), &stack.master_name)
            };
            let place = line.map_or(other.home(), |line| line.place().clone());
            let shown = |one| value(one, name).map_or("its default".to_owned(), |n| n.to_string());
            hits.push(hit(
                &place,
                format!("{name}: {} has {}, {} has {}", first.name, shown(first), other.name, shown(other)),
            ));
        }
    }
    let strangers = stack
        .sentinels
        .iter()
        .filter(|one| stack.monitor(one).is_none() && one.settings.get("sentinel monitor").is_some());
    hits.extend(all_of(strangers.map(|one| (one.home(), one.name.clone())).collect(), |names| {
        format!("{names}: it knows the master by another name, so it is not a peer of the others")
    }));
    hits
}

pub(super) fn no_timeouts(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = stack.write_pool() else { return Vec::new() };
    let front =
        stack.proxies[pool.proxy].proxy.proxies.iter().find(|proxy| Some(&proxy.name.text) == pool.front.as_ref());
    let has = |name: &str| {
        [Some(&pool.back), front]
            .into_iter()
            .flatten()
            .any(|proxy| proxy.value(&["timeout", name]).and_then(|text| millis(&text.text)).is_some())
    };
    let missing: Vec<&str> = ["connect", "client", "server"].into_iter().filter(|name| !has(name)).collect();
    match missing[..] {
        [] => Vec::new(),
        _ => vec![hit(
            pool.place(),
            format!("pool {} has no timeout {}: half-dead sessions stay", pool.back.name.text, missing.join(", ")),
        )],
    }
}
