//! Group F: surroundings.

use super::{Hit, all_of, hit};
use crate::import::container::Platform;
use crate::import::images::Kind as Image;
use crate::import::launch::{Kind, Program};
use crate::import::stack::Stack;

pub(super) fn one_machine(stack: &Stack) -> Vec<Hit> {
    let compose = stack
        .programs()
        .all(|one| one.container.as_ref().is_some_and(|container| container.platform == Platform::Compose));
    match stack.redis.first() {
        Some(first) if compose && stack.machines.len() == 1 => {
            vec![hit(
                &first.container.as_ref().map_or(first.place.clone(), |container| container.place.clone()),
                "everything runs on one Docker host: it is the single point of failure, and no partition can happen",
            )]
        }
        _ => Vec::new(),
    }
}

pub(super) fn version_unpinned(stack: &Stack) -> Vec<Hit> {
    let open = |one: &&Program| {
        one.image
            .as_ref()
            .is_some_and(|image| !matches!(image.kind, Image::Other | Image::Sentinel) && image.numbers().is_none())
    };
    let found = stack
        .programs()
        .filter(open)
        .map(|one| (one.image_place.clone().unwrap_or(one.place.clone()), one.name.clone()));
    all_of(found.collect(), |names| {
        format!("{names}: the image has no fixed version; the simulator's own (7.0.15, HAProxy 2.6) is simulated")
    })
}

pub(super) fn published_but_not_announced(stack: &Stack) -> Vec<Hit> {
    if stack.machines.len() > 1 || stack.kubernetes {
        return Vec::new();
    }
    let published = |one: &&Program| {
        one.container.as_ref().is_some_and(|container| {
            !container.host_network
                && container.platform != Platform::Unknown
                && container.ports.iter().any(|port| {
                    port.host.is_some() && port.container == one.port()
                        || port.host.is_none() && port.container == one.port()
                })
        })
    };
    let announced = |one: &Program| match one.kind {
        Kind::Sentinel => one.settings.get("sentinel announce-ip").is_some(),
        _ => one.settings.get("replica-announce-ip").is_some(),
    };
    let redis: Vec<&Program> = stack.redis.iter().filter(published).collect();
    let ours: Vec<&Program> = if redis.is_empty() { stack.sentinels.iter().filter(published).collect() } else { redis };
    let found = ours.into_iter().filter(|one| !announced(one)).filter_map(|one| {
        let container = one.container.as_ref()?;
        let port = container.ports.iter().find(|port| port.container == one.port())?;
        Some((port.place.clone(), one.name.clone()))
    });
    all_of(found.collect(), |names| {
        format!(
            "{names}: the port is published and no address announced: clients outside that ask a Sentinel get addresses of the bridge"
        )
    })
}

pub(super) fn version_not_modelled(stack: &Stack) -> Vec<Hit> {
    let old = |one: &&Program| one.kind != Kind::Haproxy && one.is_older_than(7, 0);
    let found = stack
        .programs()
        .filter(old)
        .map(|one| (one.image_place.clone().unwrap_or(one.place.clone()), one.name.clone()));
    all_of(found.collect(), |names| {
        format!(
            "{names}: older than 7.0; the nearest release that is modelled stands in for it, with the defaults that differ written out"
        )
    })
}

pub(super) fn client_timeout(stack: &Stack) -> Vec<Hit> {
    let found = stack.redis.iter().filter_map(|one| {
        let line = one
            .settings
            .get("timeout")
            .filter(|line| line.word(0).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) > 0)?;
        Some((line.place().clone(), one.name.clone()))
    });
    all_of(found.collect(), |names| format!("{names}: idle clients are closed; subscribers are not"))
}

pub(super) fn keepalive_off(stack: &Stack) -> Vec<Hit> {
    let found = stack.redis.iter().filter_map(|one| {
        let line = one.settings.get("tcp-keepalive").filter(|line| line.word(0) == Some("0"))?;
        Some((line.place().clone(), one.name.clone()))
    });
    all_of(found.collect(), |names| format!("{names}: tcp-keepalive 0: a dead peer is never noticed"))
}

pub(super) fn output_limit(stack: &Stack) -> Vec<Hit> {
    let found = stack.redis.iter().filter_map(|one| {
        let line = one.settings.every("client-output-buffer-limit").rfind(|line| line.word(0) == Some("pubsub"))?;
        let open = line.words.iter().skip(1).take(2).all(|word| word.text.trim_end_matches(char::is_alphabetic) == "0");
        open.then(|| (line.place().clone(), one.name.clone()))
    });
    all_of(found.collect(), |names| format!("{names}: nothing bounds what is kept for a slow subscriber"))
}

pub(super) fn several_masters(stack: &Stack) -> Vec<Hit> {
    let found = stack.sentinels.iter().filter_map(|one| {
        let other = one.settings.every("sentinel monitor").find(|line| line.word(0) != Some(&stack.master_name))?;
        Some((other.place().clone(), other.word(0).unwrap_or_default().to_owned()))
    });
    all_of(found.collect(), |names| {
        format!("another master is monitored: {names}; one is imported, {}", stack.master_name)
    })
}

pub(super) fn tls(stack: &Stack) -> Vec<Hit> {
    let servers = stack.servers().filter_map(|one| {
        let line = one.settings.get("tls-port").filter(|line| line.word(0) != Some("0"))?;
        Some((line.place().clone(), one.name.clone()))
    });
    let proxied = stack
        .pools
        .iter()
        .flat_map(|pool| &pool.back.servers)
        .filter(|server| server.has("ssl"))
        .map(|server| (server.place().clone(), server.name.text.clone()));
    all_of(servers.chain(proxied).collect(), |names| {
        format!("{names}: TLS; the time of its handshakes is not modelled")
    })
}
