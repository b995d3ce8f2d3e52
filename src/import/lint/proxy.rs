//! Group E: HAProxy.

use super::roles::start_is_fixed;
use super::{Hit, hit};
use crate::import::container::Platform;
use crate::import::stack::{Pool, Stack, Use, is_address};

/// The pool for writes, if its checks look for the master.
fn by_role(stack: &Stack) -> Option<&Pool> {
    stack.write_pool().filter(|pool| pool.back.asks_role() == Some("master"))
}

pub(super) fn no_session_fencing(stack: &Stack) -> Vec<Hit> {
    let pools = stack.write_pool().filter(|pool| !pool.fences());
    pools.map(|pool| hit(pool.servers_place(), format!("pool {}: no `on-marked-down shutdown-sessions`: clients stay with a master that went down or was replaced", pool.back.name.text))).into_iter().collect()
}

pub(super) fn single_proxy(stack: &Stack) -> Vec<Hit> {
    match (stack.write_pool(), stack.proxies.len()) {
        (Some(_), 1) => vec![hit(
            &stack.proxies[0]
                .container
                .as_ref()
                .map_or(stack.proxies[0].place.clone(), |container| container.place.clone()),
            "one HAProxy for all writes: when it is gone, so is the service",
        )],
        _ => Vec::new(),
    }
}

pub(super) fn idle_cut(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = stack.write_pool() else { return Vec::new() };
    let front =
        stack.proxies[pool.proxy].proxy.proxies.iter().find(|proxy| Some(&proxy.name.text) == pool.front.as_ref());
    let client =
        front.and_then(|front| front.value(&["timeout", "client"])).or(pool.back.value(&["timeout", "client"]));
    let server = pool.back.value(&["timeout", "server"]);
    let limits = [client, server]
        .into_iter()
        .flatten()
        .filter_map(|text| Some((crate::import::haproxy_cfg::millis(&text.text)?, text)));
    let Some((ms, text)) = limits.min_by_key(|(ms, _)| *ms) else { return Vec::new() };
    if ms > 3_600_000 || pool.timeout("tunnel").is_some() {
        return Vec::new();
    }
    vec![hit(
        text.place(),
        format!(
            "a connection on which nothing is said for {} is cut: subscribers of quiet channels, idle pools",
            span(ms)
        ),
    )]
}

fn span(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}

pub(super) fn proxy_start_sends_to_replicas(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = by_role(stack).filter(|pool| pool.active() > 1 && !pool.fences() && !pool.guarded) else {
        return Vec::new();
    };
    vec![hit(
        pool.servers_place(),
        format!(
            "pool {}: {} active servers count as UP until their first check: who connects within {} of a start may stay on a replica",
            pool.back.name.text,
            pool.active(),
            span(pool.inter())
        ),
    )]
}

pub(super) fn returned_master_is_up(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = by_role(stack)
        .filter(|pool| pool.back.servers.len() > 1 && pool.rise() * pool.inter() < 11_000 && !pool.guarded)
    else {
        return Vec::new();
    };
    let fixed = stack.anybody_follows() && stack.redis.iter().any(start_is_fixed);
    if !fixed {
        return Vec::new();
    }
    vec![hit(
        pool.servers_place(),
        format!(
            "pool {}: a master that comes back is UP after {}, before a Sentinel demotes it (about 10 s)",
            pool.back.name.text,
            span(pool.rise() * pool.inter())
        ),
    )]
}

pub(super) fn proxy_slower_than_sentinel(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = by_role(stack).filter(|pool| !pool.back.servers.is_empty()) else { return Vec::new() };
    let (proxy, sentinel) = (pool.fall() * pool.inter(), stack.down_after());
    if proxy as i64 <= sentinel || stack.sentinels.is_empty() {
        return Vec::new();
    }
    vec![hit(
        pool.servers_place(),
        format!(
            "pool {}: fall × inter is {}, down-after {} ms: a hung master is still UP after a replica was promoted",
            pool.back.name.text,
            span(proxy),
            sentinel
        ),
    )]
}

pub(super) fn proxy_resolves_once(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = stack.write_pool() else { return Vec::new() };
    let program = &stack.proxies[pool.proxy];
    if pool.back.servers.iter().any(|server| server.has("resolvers"))
        || program.container.as_ref().is_none_or(|one| one.platform != Platform::Compose)
    {
        return Vec::new();
    }
    let named = |n: usize| {
        let server = &pool.back.servers[n];
        let fixed = pool.nodes[n]
            .and_then(|node| stack.redis[node].container.as_ref())
            .is_some_and(|container| !container.addresses.is_empty());
        !is_address(&server.host.text) && super::start::is_known(&server.host.text) && !fixed
    };
    match (0..pool.back.servers.len()).find(|n| named(*n)) {
        Some(n) => vec![hit(
            pool.back.servers[n].place(),
            format!(
                "pool {}: names are resolved once, at the start: a container that comes back with another address is never found again",
                pool.back.name.text
            ),
        )],
        None => Vec::new(),
    }
}

pub(super) fn read_pool_unchecked(stack: &Stack) -> Vec<Hit> {
    let bad = |pool: &&Pool| pool.used == Use::Read && pool.back.asks_role().is_none() && pool.back.servers.len() > 1;
    stack.pools.iter().filter(bad).map(|pool| hit(pool.place(), format!("pool {}: nothing asks whether a server is a replica in good order: stale and loading ones are read, and the master", pool.back.name.text))).collect()
}

pub(super) fn slow_way_back(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = by_role(stack).filter(|pool| !pool.back.servers.is_empty()) else { return Vec::new() };
    let each = pool.server_millis("downinter").unwrap_or(pool.inter());
    let ms = pool.rise() * each;
    if ms <= 5_000 {
        return Vec::new();
    }
    vec![hit(
        pool.servers_place(),
        format!("pool {}: a new master is UP only after {}: added to every failover", pool.back.name.text, span(ms)),
    )]
}

pub(super) fn check_timeout_long(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = stack.write_pool().filter(|pool| !pool.back.servers.is_empty()) else { return Vec::new() };
    match pool
        .back
        .value(&["timeout", "check"])
        .and_then(|text| Some((crate::import::haproxy_cfg::millis(&text.text)?, text)))
    {
        Some((ms, text)) if ms > pool.inter() => vec![hit(
            text.place(),
            format!(
                "timeout check is {}, inter {}: it, not inter, limits the check of a hung server",
                span(ms),
                span(pool.inter())
            ),
        )],
        _ => Vec::new(),
    }
}

pub(super) fn proxy_beside_master(stack: &Stack) -> Vec<Hit> {
    if stack.machines.len() < 2 || stack.proxies.len() != 1 || stack.write_pool().is_none() || stack.kubernetes {
        return Vec::new();
    }
    let machine =
        |one: &crate::import::launch::Program| one.container.as_ref().map(|container| container.machine.clone());
    match (machine(&stack.proxies[0]), stack.redis.first().and_then(machine)) {
        (Some(a), Some(b)) if a == b => vec![hit(
            &stack.proxies[0].place,
            "the only HAProxy runs on the machine of the first master: one machine takes both",
        )],
        _ => Vec::new(),
    }
}
