//! Group A: the stack does not start, or cannot do its work.

use std::collections::BTreeMap;

use super::{Hit, Severity, all_of, hit};
use crate::import::UNKNOWN;
use crate::import::container::{Platform, Source};
use crate::import::identity::placeholders;
use crate::import::launch::{Kind, Program};
use crate::import::origin::Place;
use crate::import::stack::{Stack, Use, is_address, is_any, is_loopback, is_placeholder};
use crate::import::vfs::Home;

/// Whether the value can be looked at: neither a placeholder nor unknown.
pub(super) fn is_known(text: &str) -> bool {
    !text.contains(UNKNOWN) && !is_placeholder(text)
}

pub(super) fn announces_wrong_address(stack: &Stack) -> Vec<Hit> {
    if stack.sentinels.len() < 2 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut taken: BTreeMap<(String, String), String> = BTreeMap::new();
    for one in &stack.sentinels {
        let Some(line) = one.settings.get("sentinel announce-ip") else { continue };
        let ip = line.word(0).unwrap_or_default().to_owned();
        if is_any(&ip) || is_loopback(&ip) && one.container.is_some() {
            found.push((line.place().clone(), format!("{} announces {ip}", one.name)));
            continue;
        }
        if !is_known(&ip) {
            continue;
        }
        let port = one.settings.word("sentinel announce-port").map_or_else(|| one.port(), str::to_owned);
        let foreign = stack.find(Kind::Redis, &ip, None).filter(|_| !stack.kubernetes);
        let monitored = stack.monitor(one).and_then(|line| line.word(1)) == Some(&ip);
        let redis = foreign.is_some_and(|n| !same_machine(&stack.redis[n], one))
            // In a pod the first master and a Sentinel have one name.
            || monitored && one.container.as_ref().is_some_and(|c| !c.host_network && !c.names.contains(&ip));
        if let Some(other) = taken.insert((ip.clone(), port.clone()), one.name.clone()) {
            found.push((line.place().clone(), format!("{} announces {ip}:{port}, as {other} does", one.name)));
        } else if redis && stack.machines.len() < 2 {
            found.push((line.place().clone(), format!("{} announces {ip}, which is the master's address", one.name)));
        }
    }
    if found.is_empty() && stack.machines.len() > 1 && !stack.kubernetes {
        let bridged = |one: &&Program| {
            one.container
                .as_ref()
                .is_some_and(|container| !container.host_network && container.platform == Platform::Compose)
        };
        let silent =
            stack.sentinels.iter().filter(bridged).filter(|one| one.settings.get("sentinel announce-ip").is_none());
        found.extend(
            silent
                .map(|one| (one.home(), format!("{} announces its address on a bridge of its own machine", one.name))),
        );
    }
    all_of(found, |what| {
        format!(
            "{what}: the other Sentinels do not reach it there, or reach themselves; no failover, or one by a single Sentinel"
        )
    })
}

fn same_machine(a: &Program, b: &Program) -> bool {
    match (&a.container, &b.container) {
        (Some(a), Some(b)) => a.host_network && b.host_network && a.machine == b.machine,
        _ => true,
    }
}

pub(super) fn monitor_not_a_node(stack: &Stack) -> Vec<Hit> {
    let mut found = Vec::new();
    for (one, node) in stack.sentinels.iter().zip(&stack.monitored) {
        let Some(line) = stack.monitor(one) else { continue };
        let (Some(host), Some(container)) = (line.word(1), &one.container) else { continue };
        if !is_known(host) || container.platform == Platform::Unknown || stack.kubernetes {
            continue;
        }
        // An address that only a published port leads to is that of the author's machine, unless a node announces it.
        let by_port = node.is_some_and(|n| {
            let redis = &stack.redis[n];
            let own = redis.container.as_ref().is_some_and(|container| {
                container.addresses.iter().any(|address| address == host) || container.host_network
            });
            is_address(host) && !own && redis.settings.word("replica-announce-ip") != Some(host)
        });
        // On several machines a port leads to as many nodes: whose address it is, nobody says.
        let open = |one: &Program| {
            one.container.as_ref().is_some_and(|container| container.host_network || !container.ports.is_empty())
        };
        let one_of_many = stack.machines.len() > 1 && is_address(host) && stack.redis.iter().any(open);
        if (node.is_none() || by_port) && !one_of_many {
            found.push((line.place().clone(), host.to_owned()));
        }
    }
    all_of(found, |host| {
        format!("`sentinel monitor` names {host}, which is neither the name nor a fixed address of a Redis service")
    })
}

pub(super) fn name_not_resolved(stack: &Stack) -> Vec<Hit> {
    let mut found = Vec::new();
    for one in &stack.sentinels {
        let Some(line) = stack.monitor(one) else { continue };
        let host = line.word(1).unwrap_or_default();
        let name = is_known(host) && !is_address(host) && host != "localhost" && !host.is_empty();
        let resolves = one.settings.is("sentinel resolve-hostnames", "yes");
        if name && !resolves && !one.is_older_than(6, 2) && one.config.is_some() {
            found.push((line.place().clone(), host.to_owned()));
        }
    }
    all_of(found, |host| {
        format!(
            "`sentinel monitor` names {host}, and nothing says `sentinel resolve-hostnames yes`: Sentinel 6.2 and newer exits"
        )
    })
}

pub(super) fn placeholder_left(stack: &Stack) -> Vec<Hit> {
    placeholders(stack)
        .into_iter()
        .map(|(place, what)| hit(&place, format!("{what} still has to be filled in")))
        .collect()
}

pub(super) fn proxy_ignores_role(stack: &Stack) -> Vec<Hit> {
    let Some(pool) = stack.write_pool() else { return Vec::new() };
    let other_check = pool.back.line(&["option", "httpchk"]).is_some()
        || pool.back.line(&["external-check"]).is_some()
        || pool.back.servers.iter().any(|s| s.has("agent-check"));
    if pool.active() < 2 || pool.back.asks_role().is_some() || pool.back.sends("sentinel").is_some() || other_check {
        return Vec::new();
    }
    let how = match (pool.back.checks_answers(), pool.back.servers.iter().any(|server| server.has("check"))) {
        (true, _) => "a check that every node passes",
        (false, true) => "a check whether somebody listens",
        _ => "no check",
    };
    vec![hit(
        pool.servers_place(),
        format!(
            "pool {} has {} active servers and {how}: writes go to replicas in turn (-READONLY)",
            pool.back.name.text,
            pool.active()
        ),
    )]
}

pub(super) fn shared_file(stack: &Stack) -> Vec<Hit> {
    let mut by_file: BTreeMap<String, Vec<(Place, String)>> = BTreeMap::new();
    for one in stack.servers() {
        let Some(config) = &one.config else { continue };
        if let (Home::FileMount, false, Some(file)) = (config.home, config.read_only, &config.in_set) {
            let place = one
                .container
                .as_ref()
                .and_then(|container| container.mount_of(&config.path))
                .map_or(one.place.clone(), |(mount, _)| mount.place.clone());
            by_file.entry(file.clone()).or_default().push((place, one.name.clone()));
        }
    }
    let shared = by_file.into_iter().filter(|(_, users)| users.len() > 1);
    shared
        .flat_map(|(file, users)| {
            all_of(users, |names| {
                format!("{file} is mounted in {names}: what one of them writes into it is every other's configuration")
            })
        })
        .collect()
}

/// A key for what is mounted, if it is the same for all that mount it.
fn identity_of(source: &Source, machine: &str) -> Option<String> {
    match source {
        Source::Bind(Some(path)) => Some(format!("{machine}\n{path}")),
        Source::Volume(name) => Some(format!("{machine}\nvolume {name}")),
        _ => None,
    }
}

pub(super) fn shared_state(stack: &Stack) -> Vec<Hit> {
    let mut by_source: BTreeMap<(Kind, String), Vec<(Place, String)>> = BTreeMap::new();
    for one in stack.servers() {
        let Some(container) = one.container.as_ref().filter(|container| container.platform != Platform::Kubernetes)
        else {
            continue;
        };
        let data = super::roles::data_folder(one);
        for mount in container.mounts.iter().filter(|mount| !mount.read_only) {
            let holds = |path: &str| container.mount_of(path).is_some_and(|(hit, _)| hit.target == mount.target);
            let config =
                one.config.as_ref().filter(|config| config.home == Home::FolderMount || config.home == Home::Volume);
            let state = holds(&data)
                || config.is_some_and(|config| holds(&config.path))
                || mount.target.starts_with("/bitnami");
            let Some(source) = identity_of(&mount.source, &container.machine).filter(|_| state && mount.target != "/")
            else {
                continue;
            };
            if matches!(one.config.as_ref().map(|config| config.home), Some(Home::FileMount)) && !holds(&data) {
                continue;
            }
            by_source.entry((one.kind, source)).or_default().push((mount.place.clone(), one.name.clone()));
        }
    }
    let shared = by_source.into_iter().filter(|(_, users)| users.len() > 1);
    shared
        .flat_map(|((_, source), users)| {
            let what = source.split('\n').next_back().unwrap_or_default().to_owned();
            all_of(users, |names| {
                format!("{names} share the writable {what}: they overwrite each other's data or role")
            })
        })
        .collect()
}

pub(super) fn min_replicas_unreachable(stack: &Stack) -> Vec<Hit> {
    let replicas = stack.redis.len().saturating_sub(1) as i64;
    let mut hits = Vec::new();
    for one in &stack.redis {
        let Some(line) = one.settings.get("min-replicas-to-write") else { continue };
        let Some(wanted) = line.word(0).and_then(|word| word.parse::<i64>().ok()).filter(|n| *n > 0) else { continue };
        let place = &line.source().place;
        if wanted > replicas {
            hits.push(hit(place, format!("min-replicas-to-write {wanted}, and there are {replicas} replicas: every write is refused, for ever")));
        } else if wanted == replicas {
            let text = format!(
                "min-replicas-to-write {wanted} of {replicas} replicas: writes are refused while one of them is away, and after every failover"
            );
            hits.push(hit(place, text).with_severity(Severity::Warn));
        }
    }
    hits.truncate(1);
    hits
}

pub(super) fn no_replication(stack: &Stack) -> Vec<Hit> {
    let by_script = stack.orders.iter().any(|(_, order)| order.contains("slaveof") || order.contains("replicaof"));
    if stack.redis.len() < 2 || by_script || stack.kubernetes {
        return Vec::new();
    }
    let lone = |one: &&Program| {
        let known = one.config.as_ref().is_none_or(|config| config.lines.is_some()) && !one.guessed;
        let started = one.outcome.start.is_some() || one.made_by_image || one.container.is_none();
        known && started && !stack.follows(one) && one.outcome.skipped.is_empty()
    };
    let found = stack.redis.iter().skip(1).filter(lone).map(|one| (one.home(), one.name.clone())).collect();
    all_of(found, |names| {
        format!("{names}: nothing says whom to follow, so it is a second master that no Sentinel knows")
    })
}

pub(super) fn port_without_listener(stack: &Stack) -> Vec<Hit> {
    let mut hits = Vec::new();
    for one in stack.programs() {
        let Some(container) = one.container.as_ref().filter(|container| container.platform != Platform::Kubernetes)
        else {
            continue;
        };
        if one.config.as_ref().is_some_and(|config| config.lines.is_none()) {
            continue;
        }
        let listens: Vec<String> = match one.kind {
            Kind::Haproxy => one.proxy.proxies.iter().flat_map(|proxy| proxy.ports()).map(|(port, _)| port).collect(),
            _ => vec![one.port(), one.settings.word("tls-port").unwrap_or_default().to_owned()],
        };
        if listens.is_empty() || listens.iter().any(|port| port.contains(['-', '$'])) {
            continue;
        }
        for port in container.ports.iter().filter(|port| port.container.bytes().all(|b| b.is_ascii_digit())) {
            // The bus of a cluster, and what other programs of an image listen on, are no matter here.
            let bus = one.kind != Kind::Haproxy && !["63", "26"].iter().any(|front| port.container.starts_with(front));
            if !listens.contains(&port.container) && !bus {
                hits.push(hit(
                    &port.place,
                    format!(
                        "{}: port {} is published, but nobody listens on it ({})",
                        one.name,
                        port.container,
                        listens.iter().filter(|port| !port.is_empty()).cloned().collect::<Vec<_>>().join(", ")
                    ),
                ));
            }
        }
    }
    hits
}

pub(super) fn proxy_leads_to_sentinel(stack: &Stack) -> Vec<Hit> {
    let fits = |pool: &&crate::import::stack::Pool| {
        let program = &stack.proxies[pool.proxy];
        let front = program.proxy.proxies.iter().find(|proxy| Some(&proxy.name.text) == pool.front.as_ref());
        let ports: Vec<String> =
            front.map(|front| front.ports().into_iter().map(|(port, _)| port).collect()).unwrap_or_default();
        let outside = |port: &String| {
            program.container.as_ref().is_some_and(|container| {
                container.ports.iter().any(|own| own.container == *port && own.host.as_deref() == Some("6379"))
            })
        };
        pool.used == Use::Sentinels
            && pool.back.sends("sentinel").is_none()
            && ports.iter().any(|port| port == "6379" || outside(port))
    };
    let found = stack.pools.iter().filter(fits);
    found
        .map(|pool| {
            hit(
                pool.servers_place(),
                format!(
                    "the port of Redis leads to pool {}, which holds the Sentinels: every SET is an unknown command",
                    pool.back.name.text
                ),
            )
        })
        .collect()
}

pub(super) fn service_vip(stack: &Stack) -> Vec<Hit> {
    let mut found = Vec::new();
    let virtual_name = |host: &str| {
        stack
            .redis
            .iter()
            .any(|one| one.container.as_ref().is_some_and(|container| container.virtual_names.contains(host)))
    };
    for one in &stack.sentinels {
        if let Some(line) = stack.monitor(one)
            && let Some(host) = line.word(1).filter(|host| virtual_name(host))
        {
            found.push((line.place().clone(), host.to_owned()));
        }
    }
    all_of(found, |host| {
        format!("`sentinel monitor` names {host}, a virtual address: Sentinel watches whoever is behind it today")
    })
}

pub(super) fn trailing_comment(stack: &Stack) -> Vec<Hit> {
    let mut hits = Vec::new();
    for one in stack.servers() {
        for line in one.settings.all.iter().filter(|line| line.comment_behind && !line.argument) {
            let text = format!(
                "`{}`: what follows `#` is not a comment here but a word too many; the server exits",
                line.written
            );
            if !hits.iter().any(|known: &Hit| known.place == *line.place()) {
                hits.push(hit(line.place(), text));
            }
        }
    }
    hits
}

pub(super) fn renamed_command(stack: &Stack) -> Vec<Hit> {
    const NEEDED: [&str; 15] = [
        "config",
        "slaveof",
        "replicaof",
        "info",
        "ping",
        "role",
        "publish",
        "subscribe",
        "client",
        "multi",
        "exec",
        "script",
        "hello",
        "auth",
        "psync",
    ];
    let told = |command: &str| {
        stack.sentinels.iter().any(|one| {
            one.settings
                .every("sentinel rename-command")
                .any(|line| line.word(1).is_some_and(|word| word.eq_ignore_ascii_case(command)))
        })
    };
    let mut hits = Vec::new();
    for one in &stack.redis {
        for line in one.settings.every("rename-command") {
            let command = line.word(0).unwrap_or_default().to_ascii_lowercase();
            if NEEDED.contains(&command.as_str()) && !told(&command) {
                hits.push(hit(
                    line.place(),
                    format!(
                        "{} is renamed, and no Sentinel is told: it cannot make {} a replica or a master",
                        command.to_ascii_uppercase(),
                        one.name
                    ),
                ));
            }
        }
    }
    hits
}

pub(super) fn restart_empty(stack: &Stack) -> Vec<Hit> {
    let Some(master) = stack.redis.first().filter(|one| one.restarts()) else { return Vec::new() };
    let saves = super::roles::saves(master);
    let kept = super::roles::data_mount(master).is_some() || !stack.kubernetes;
    if master.settings.is("appendonly", "yes") || saves && kept || stack.down_after() <= 1_000 {
        return Vec::new();
    }
    let place = master.settings.get("save").map_or(master.home(), |line| line.source().place.clone());
    let why = if saves { "its data go with the container" } else { "it saves nothing" };
    vec![hit(
        &place,
        format!(
            "{}: {why}, and it is started again at once: it is back as an empty master before a Sentinel sees it go, and the replicas copy that",
            master.name
        ),
    )]
}

pub(super) fn restart_stale(stack: &Stack) -> Vec<Hit> {
    let Some(master) = stack.redis.first().filter(|one| one.restarts()) else { return Vec::new() };
    let kept = super::roles::data_mount(master).is_some() || !stack.kubernetes;
    if master.settings.is("appendonly", "yes") || !super::roles::saves(master) || !kept {
        return Vec::new();
    }
    vec![hit(
        &master.home(),
        format!(
            "{}: it is started again at once with its last snapshot: writes since then are lost, on the replicas too",
            master.name
        ),
    )]
}
