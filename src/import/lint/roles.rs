//! Group C: roles, identity and restarts.

use super::{Hit, all_of, hit};
use crate::import::container::{Mount, Platform, Source};
use crate::import::images::Kind as Image;
use crate::import::launch::Program;
use crate::import::source::clean;
use crate::import::stack::Stack;
use crate::import::vfs::Home;

/// The folder in which a Redis server keeps its data.
pub(super) fn data_folder(one: &Program) -> String {
    let bitnami = one.image.as_ref().is_some_and(|image| image.kind == Image::BitnamiRedis);
    let usual = if bitnami { "/bitnami/redis/data" } else { "/data" };
    match one.settings.word("dir") {
        Some(dir) if dir.starts_with('/') => clean(dir),
        Some(dir) if !dir.starts_with('.') => clean(&format!("{usual}/{dir}")),
        _ => one.env.get("PWD").filter(|_| !bitnami).map_or(usual.to_owned(), |folder| clean(&folder.text)),
    }
}

/// The mount in which a server keeps its data, if they outlive the container.
pub(super) fn data_mount(one: &Program) -> Option<&Mount> {
    let container = one.container.as_ref()?;
    let (mount, _) = container.mount_of(&data_folder(one)).or_else(|| container.mount_of("/data"))?;
    Some(mount)
}

/// Whether snapshots are made: by the file's `save` lines, or by Redis's default.
pub(super) fn saves(one: &Program) -> bool {
    let lines: Vec<String> = one.settings.every("save").map(|line| line.value()).collect();
    lines.last().is_none_or(|last| !last.trim().is_empty())
}

/// Whether what this Redis node is at its start is the same at every start, whatever Sentinel made of it.
pub(crate) fn start_is_fixed(one: &Program) -> bool {
    let argument = one.settings.get("replicaof").is_some_and(|line| line.argument);
    let Some(config) = &one.config else { return true };
    let in_place = one.is_older_than(6, 0) && config.home == Home::FileMount && !config.read_only;
    argument || one.made_by_image || config.regenerated || !config.can_be_replaced() && !in_place
}

pub(super) fn start_role_fixed(stack: &Stack) -> Vec<Hit> {
    if !stack.anybody_follows() {
        return Vec::new();
    }
    let known =
        |one: &&Program| (one.container.is_some() || one.config.is_some()) && (!one.guessed || one.config.is_some());
    let found: Vec<_> = stack
        .redis
        .iter()
        .filter(known)
        .filter(|one| start_is_fixed(one))
        .map(|one| {
            let argument = one.settings.get("replicaof").filter(|line| line.argument).map(|line| line.place().clone());
            let mounted = one
                .config
                .as_ref()
                .and_then(|config| one.container.as_ref()?.mount_of(&config.path))
                .map(|(mount, _)| mount.place.clone());
            (argument.or(mounted).unwrap_or(one.place.clone()), one.name.clone())
        })
        .collect();
    all_of(found, |names| {
        format!(
            "{names}: what it is at its start is fixed; the first master comes back as a second master until a Sentinel demotes it, about 10 s later"
        )
    })
}

pub(super) fn no_aof(stack: &Stack) -> Vec<Hit> {
    let lacking = stack.redis.iter().filter(|one| !one.settings.is("appendonly", "yes"));
    all_of(lacking.map(|one| (one.home(), one.name.clone())).collect(), |names| {
        format!("{names}: appendonly is not on; what a restart finds is the last snapshot")
    })
}

pub(super) fn no_restart_policy(stack: &Stack) -> Vec<Hit> {
    let ours = || {
        stack.servers().filter(|one| {
            one.container.as_ref().is_some_and(|container| matches!(container.platform, Platform::Compose))
        })
    };
    if ours().any(|one| one.restarts()) {
        return Vec::new();
    }
    let found = ours().filter_map(|one| Some((one.container.as_ref()?.place.clone(), one.name.clone()))).collect();
    all_of(found, |names| format!("{names}: nothing starts it again; what dies stays dead"))
}

pub(super) fn no_data_volume(stack: &Stack) -> Vec<Hit> {
    let lacks = |one: &&Program| {
        let real = one.container.as_ref().is_some_and(|container| container.platform != Platform::Unknown);
        real && data_mount(one).is_none_or(|mount| matches!(mount.source, Source::Scratch | Source::Files(_)))
    };
    let found = stack
        .redis
        .iter()
        .filter(lacks)
        .filter_map(|one| Some((one.container.as_ref()?.place.clone(), one.name.clone())))
        .collect();
    all_of(found, |names| format!("{names}: no volume holds the data; they do not outlive the container"))
}

fn has_own_id(one: &Program) -> bool {
    one.settings.get("sentinel myid").is_some()
        || one.outcome.words.iter().any(|text| text.text.contains("sentinel myid"))
}

/// Whether a Sentinel has another identity after every restart.
fn forgets_at_restart(one: &Program) -> bool {
    let Some(config) = &one.config else { return false };
    let in_place = one.is_older_than(6, 0) && config.home == Home::FileMount && !config.read_only;
    (config.regenerated || !config.can_be_replaced() && !in_place) && !has_own_id(one)
}

pub(super) fn sentinel_forgets_at_restart(stack: &Stack) -> Vec<Hit> {
    let found = stack.sentinels.iter().filter(|one| forgets_at_restart(one)).map(|one| {
        let mounted = one
            .config
            .as_ref()
            .and_then(|config| one.container.as_ref()?.mount_of(&config.path))
            .map(|(mount, _)| mount.place.clone());
        (mounted.unwrap_or(one.place.clone()), one.name.clone())
    });
    all_of(found.collect(), |names| {
        format!("{names}: at each restart a new id, epoch 0, the first master and no peers")
    })
}

pub(super) fn sentinel_forgets_when_recreated(stack: &Stack) -> Vec<Hit> {
    let goes = |one: &&Program| {
        let container = one.container.as_ref().is_some_and(|container| container.platform != Platform::Unknown);
        let home = one.config.as_ref().map(|config| config.home);
        container
            && !forgets_at_restart(one)
            && !has_own_id(one)
            && matches!(home, None | Some(Home::Image | Home::Layer | Home::Scratch))
    };
    let found = stack.sentinels.iter().filter(goes).map(|one| (one.place.clone(), one.name.clone()));
    all_of(found.collect(), |names| {
        format!("{names}: its file lives in the container: a recreated one has a new id and no memory")
    })
}

pub(super) fn config_on_file_mount(stack: &Stack) -> Vec<Hit> {
    let mut found = Vec::new();
    for one in stack.servers() {
        let (Some(config), Some(container)) = (&one.config, &one.container) else { continue };
        let mounted = !config.regenerated
            && !config.can_be_replaced()
            && matches!(config.home, Home::FileMount | Home::FolderMount | Home::Platform);
        if mounted && !one.is_older_than(6, 0) {
            let place = container.mount_of(&config.path).map_or(one.place.clone(), |(mount, _)| mount.place.clone());
            found.push((place, one.name.clone()));
        }
    }
    all_of(found, |names| {
        format!(
            "{names}: the configuration is a single mounted file or read-only; CONFIG REWRITE cannot put a new one in its place"
        )
    })
}

pub(super) fn file_may_be_unwritable(stack: &Stack) -> Vec<Hit> {
    let fits = |one: &&Program| {
        let official = one.image.as_ref().is_some_and(|image| image.kind == Image::Redis);
        let bound = one
            .config
            .as_ref()
            .is_some_and(|config| matches!(config.home, Home::FileMount | Home::FolderMount) && !config.read_only);
        let flag = one
            .outcome
            .start
            .as_ref()
            .is_some_and(|start| start.arguments.iter().any(|word| word.text == "--sentinel"));
        let user =
            one.container.as_ref().is_some_and(|container| container.entrypoint.is_none() && container.build.is_none());
        official && bound && flag && user
    };
    let found = stack.sentinels.iter().filter(fits).map(|one| (one.place.clone(), one.name.clone())).collect();
    all_of(found, |names| {
        format!(
            "{names}: the image's entrypoint runs `redis-server … --sentinel` as uid 999; a file of another user cannot be written, and Sentinel exits"
        )
    })
}

pub(super) fn replication_by_hand(stack: &Stack) -> Vec<Hit> {
    let orders =
        stack.orders.iter().filter(|(_, order)| ["slaveof", "replicaof", "sentinel monitor"].contains(&order.as_str()));
    all_of(orders.map(|(place, order)| (place.clone(), order.to_uppercase())).collect(), |orders| {
        format!("a script sends {orders} after the start: it is gone at the next start of a server without a file")
    })
}

pub(super) fn restart_policy_differs(stack: &Stack) -> Vec<Hit> {
    let ours: Vec<&Program> = stack
        .programs()
        .filter(|one| one.container.as_ref().is_some_and(|container| container.platform == Platform::Compose))
        .collect();
    let (with, without): (Vec<&Program>, Vec<&Program>) = ours.into_iter().partition(|one| one.restarts());
    if with.is_empty() {
        return Vec::new();
    }
    let found =
        without.iter().filter_map(|one| Some((one.container.as_ref()?.place.clone(), one.name.clone()))).collect();
    all_of(found, |names| format!("{names}: no restart policy, while {} is started again by itself", with[0].name))
}

pub(super) fn writable_replica(stack: &Stack) -> Vec<Hit> {
    let found = stack.redis.iter().filter_map(|one| {
        let line = one
            .settings
            .get("replica-read-only")
            .filter(|line| line.word(0).is_some_and(|word| word.eq_ignore_ascii_case("no")))?;
        Some((line.place().clone(), one.name.clone()))
    });
    all_of(found.collect(), |names| format!("{names}: a SET on a replica succeeds and exists nowhere else"))
}

pub(super) fn sentinel_reset_hook(stack: &Stack) -> Vec<Hit> {
    let orders =
        stack.orders.iter().filter(|(_, order)| ["sentinel reset", "sentinel failover"].contains(&order.as_str()));
    all_of(orders.map(|(place, order)| (place.clone(), order.to_uppercase())).collect(), |orders| {
        format!("{orders} is sent at start or stop: for some seconds the Sentinel knows no replica")
    })
}

pub(super) fn start_role_unknown(stack: &Stack) -> Vec<Hit> {
    let unsure = stack.redis.len() > 1 && !stack.anybody_follows() && !stack.kubernetes && stack.orders.is_empty();
    let known = stack.redis.iter().all(|one| {
        one.guessed
            && one.config.is_some()
            && one.container.as_ref().is_some_and(|container| container.platform != Platform::Unknown)
    });
    if !unsure || !known {
        return Vec::new();
    }
    vec![hit(
        &stack.redis[0].place,
        "nothing says who follows whom: the file with it is not in the set; replicas are assumed",
    )]
}
