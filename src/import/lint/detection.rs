//! Group D: detection and voting.

use super::start::is_known;
use super::{Hit, Severity, all_of, hit};
use crate::import::UNKNOWN;
use crate::import::launch::Program;
use crate::import::origin::Place;
use crate::import::stack::{Stack, is_address, is_loopback};

/// The place of a setting of the first Sentinel, or where it belongs.
fn place(stack: &Stack, name: &str) -> Place {
    let line = stack.sentinels.iter().find_map(|one| one.settings.of_master(name, &stack.master_name));
    let origin = line.map(|line| &line.source().place);
    origin
        .cloned()
        .or_else(|| stack.sentinels.first().map(Program::home))
        .unwrap_or_else(|| Place::new(&stack.label.as_str().into(), 1))
}

pub(super) fn no_min_replicas(stack: &Stack) -> Vec<Hit> {
    let lacks = |one: &&Program| one.settings.number("min-replicas-to-write").unwrap_or(0) < 1;
    if stack.redis.len() < 2 {
        return Vec::new();
    }
    let found = stack.redis.iter().filter(lacks).map(|one| {
        (one.settings.get("min-replicas-to-write").map_or(one.home(), |line| line.place().clone()), one.name.clone())
    });
    all_of(found.collect(), |names| {
        format!(
            "{names}: no min-replicas-to-write: what a cut-off master accepts is lost, for as long as the cut lasts"
        )
    })
}

pub(super) fn failover_timeout_default(stack: &Stack) -> Vec<Hit> {
    let usual = |one: &&Program| {
        stack.monitor(one).is_some()
            && stack.sentinel_number(one, "sentinel failover-timeout").unwrap_or(180_000) == 180_000
    };
    let found = stack.sentinels.iter().filter(usual).map(|one| {
        let line = one.settings.of_master("sentinel failover-timeout", &stack.master_name);
        (line.map_or(one.home(), |line| line.source().place.clone()), one.name.clone())
    });
    all_of(found.collect(), |names| {
        format!("{names}: failover-timeout is 180000 ms: a failed attempt is repeated after 6 minutes")
    })
}

pub(super) fn failover_timeout_short(stack: &Stack) -> Vec<Hit> {
    let ms = stack.failover_timeout();
    if stack.sentinels.is_empty() || ms >= 10_000 {
        return Vec::new();
    }
    let worse = if ms <= stack.down_after() { ", and not longer than down-after" } else { "" };
    vec![hit(
        &place(stack, "sentinel failover-timeout"),
        format!(
            "failover-timeout is {ms} ms{worse}: it also limits elections and each phase; nodes that follow slowly are given up"
        ),
    )]
}

/// The replicas that name their master otherwise than the Sentinels compare it: number, line and whether Sentinel has an address.
pub(in crate::import) fn named_otherwise(stack: &Stack) -> Vec<(usize, Place, bool)> {
    let Some((sentinel, line)) = stack.sentinels.iter().find_map(|one| Some((one, stack.monitor(one)?))) else {
        return Vec::new();
    };
    let monitored = line.word(1).unwrap_or_default();
    let by_address = is_address(monitored) || monitored.chars().all(|c| c == UNKNOWN) && !monitored.is_empty();
    let resolves = sentinel.settings.is("sentinel resolve-hostnames", "yes") && !sentinel.is_older_than(6, 2);
    // A new Sentinel that may not resolve a name does not start: another rule says so.
    if !by_address && (resolves || !sentinel.is_older_than(6, 2) || stack.kubernetes) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (n, one) in stack.redis.iter().enumerate().skip(1) {
        let Some(line) = one.settings.get("replicaof") else { continue };
        let host = line.word(0).unwrap_or_default();
        let differs = if is_loopback(host) && is_loopback(monitored) { host != monitored } else { !is_address(host) };
        if is_known(host) && differs && host != "no" {
            found.push((n, line.place().clone(), by_address));
        }
    }
    found
}

pub(super) fn name_against_address(stack: &Stack) -> Vec<Hit> {
    let found = named_otherwise(stack);
    let by_address = found.first().is_some_and(|(_, _, by_address)| *by_address);
    let shown = if by_address { "knows it by an address" } else { "resolves its name once" };
    let found = found.into_iter().map(|(n, place, _)| (place, stack.redis[n].name.clone())).collect();
    all_of(found, |names| {
        format!(
            "{names}: `replicaof` names the master, and Sentinel {shown}: each replica is pointed to it anew failover-timeout after every start"
        )
    })
}

pub(super) fn few_sentinels(stack: &Stack) -> Vec<Hit> {
    match stack.sentinels.len() {
        1 => vec![hit(&stack.sentinels[0].home(), "one Sentinel: it may not be lost with the master".to_owned())],
        2 => vec![hit(&stack.sentinels[0].home(), "two Sentinels: none may be lost with the master".to_owned())],
        _ => Vec::new(),
    }
}

pub(super) fn one_replica(stack: &Stack) -> Vec<Hit> {
    if stack.redis.len() != 2 || !(stack.anybody_follows() || stack.redis[1].guessed) {
        return Vec::new();
    }
    vec![hit(&stack.redis[1].home(), "one replica: after a failover there is none")]
}

pub(super) fn quorum_rules(stack: &Stack, kind: &str) -> Vec<Hit> {
    let Some(quorum) = stack.first_quorum() else { return Vec::new() };
    let count = stack.sentinels.len() as i64;
    let majority = count / 2 + 1;
    let at = place(stack, "sentinel monitor");
    match kind {
        "quorum-one" if quorum == 1 => {
            vec![hit(&at, "quorum 1: one Sentinel with a bad link replaces a healthy master")]
        }
        "quorum-below-majority" if quorum > 0 && quorum < majority => {
            vec![hit(
                &at,
                format!(
                    "quorum {quorum} of {count} Sentinels: fewer can say that the master is down than can agree on a failover ({majority})"
                ),
            )]
        }
        "quorum-all" if quorum > count && count > 0 => {
            vec![
                hit(&at, format!("quorum {quorum}, and there are {count} Sentinels: there is never a failover"))
                    .with_severity(Severity::Error),
            ]
        }
        "quorum-all" if quorum == count && count > 1 => {
            vec![hit(&at, format!("quorum {quorum} of {count} Sentinels: none may be down"))]
        }
        _ => Vec::new(),
    }
}

pub(super) fn quorum_one(stack: &Stack) -> Vec<Hit> {
    quorum_rules(stack, "quorum-one")
}

pub(super) fn quorum_below_majority(stack: &Stack) -> Vec<Hit> {
    quorum_rules(stack, "quorum-below-majority")
}

pub(super) fn quorum_all(stack: &Stack) -> Vec<Hit> {
    quorum_rules(stack, "quorum-all")
}

pub(super) fn down_after_long(stack: &Stack) -> Vec<Hit> {
    let ms = stack.down_after();
    let some = stack.sentinels.iter().any(|one| stack.monitor(one).is_some());
    if ms < 30_000 || !some {
        return Vec::new();
    }
    vec![hit(
        &place(stack, "sentinel down-after-milliseconds"),
        format!("down-after-milliseconds is {ms}: an outage is at least that long"),
    )]
}

pub(super) fn down_after_short(stack: &Stack) -> Vec<Hit> {
    let ms = stack.down_after();
    if ms > 1_000 || stack.sentinels.is_empty() {
        return Vec::new();
    }
    vec![hit(
        &place(stack, "sentinel down-after-milliseconds"),
        format!("down-after-milliseconds is {ms}: PINGs come once a second, so one late answer is enough"),
    )]
}

pub(super) fn even_sentinels(stack: &Stack) -> Vec<Hit> {
    match stack.sentinels.len() {
        n if n > 0 && n % 2 == 0 => vec![hit(
            &stack.sentinels[0].home(),
            format!("{n} Sentinels: the majority is {}, as with {}", n / 2 + 1, n + 1),
        )],
        _ => Vec::new(),
    }
}

pub(super) fn parallel_syncs_all(stack: &Stack) -> Vec<Hit> {
    let replicas = stack.redis.len().saturating_sub(1) as i64;
    let Some(number) = stack.sentinels.iter().find_map(|one| stack.sentinel_number(one, "sentinel parallel-syncs"))
    else {
        return Vec::new();
    };
    if replicas < 2 || number < replicas {
        return Vec::new();
    }
    vec![hit(
        &place(stack, "sentinel parallel-syncs"),
        format!(
            "parallel-syncs {number} of {replicas} replicas: all copy the data at once, and none serves readers meanwhile"
        ),
    )]
}
