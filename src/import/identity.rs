//! Who is who in a stack: from names and addresses to nodes, the first master, and the pool through which clients write.

use std::collections::BTreeSet;

use super::UNKNOWN;
use super::assemble::{Options, Unit};
use super::launch::{Kind, Program};
use super::origin::{Place, lines_of};
use super::redis_conf::Directives;
use super::source::Files;
use super::stack::{Pool, Remark, Stack, Use, find, is_placeholder};
use crate::limits::IMPORT_NODES_MAX;

/// The stack of a unit.
pub(super) fn stack(files: &Files, unit: Unit, options: &Options) -> Stack {
    let mut stack = Stack {
        label: unit.label.clone(),
        others: unit.others,
        assumed: unit.assumed,
        unset: unit.unset,
        quoted: unit.quoted,
        kubernetes: unit.kubernetes,
        machines: unit.machines,
        ..Stack::default()
    };
    for mut program in unit.programs {
        missing_file(files, &mut program, &mut stack.assumed);
        match program.kind {
            Kind::Redis => stack.redis.push(program),
            Kind::Sentinel => stack.sentinels.push(program),
            Kind::Haproxy => stack.proxies.push(program),
        }
    }
    orders_at_run_time(files, &mut stack);
    copies_of_a_machine(files, &mut stack);
    finish(&mut stack, options);
    stack
}

/// Everything that is the same for stacks from containers and from plain files.
pub(super) fn finish(stack: &mut Stack, options: &Options) {
    for (kind, all) in
        [("Redis nodes", &mut stack.redis), ("Sentinels", &mut stack.sentinels), ("HAProxies", &mut stack.proxies)]
    {
        if all.len() > IMPORT_NODES_MAX {
            all.truncate(IMPORT_NODES_MAX);
            let help = "--scale SERVICE=N, or name only the files that matter".to_owned();
            stack.refused.push((None, format!("more than {IMPORT_NODES_MAX} {kind}"), help));
        }
    }
    name_of_master(stack, options);
    first_master(stack, options);
    pools(stack);
    choose(stack, options);
    order(stack);
    distinct_names(stack);
    unknown_values(stack);
}

/// Numbers of Sentinel that are set to what cannot be known: there is no sensible answer but that of who knows them.
fn unknown_values(stack: &mut Stack) {
    let monitors = |one: &Program| one.settings.get("sentinel monitor").is_some();
    let ordered = stack.orders.iter().any(|(_, order)| order == "sentinel monitor");
    if let Some(first) = stack.sentinels.first().filter(|_| !stack.sentinels.iter().any(monitors) && !ordered) {
        let what =
            format!("{}: no line `sentinel monitor` is known: whom it watches, and with which quorum", first.name);
        let help = "give its file, or say it: --set sentinel.quorum=N".to_owned();
        stack.refused.push((Some(first.home()), what, help));
    }
    let half_known = stack.servers().filter_map(|one| one.settings.all.iter().find(|line| line.name.contains(UNKNOWN)));
    let mut places: Vec<Place> = half_known.map(|line| line.place().clone()).collect();
    places.dedup();
    for place in places {
        let text = "what stands here in the configuration is known at the start alone: it is left out".to_owned();
        stack.left_out.push(Remark { place: Some(place), text, matters: true });
    }
    let needed = [
        ("sentinel monitor", 3, "quorum"),
        ("sentinel down-after-milliseconds", 1, "down-after-milliseconds"),
        ("sentinel failover-timeout", 1, "failover-timeout"),
        ("sentinel parallel-syncs", 1, "parallel-syncs"),
    ];
    for (name, at, key) in needed {
        let unknown = stack.sentinels.iter().find_map(|one| {
            let line = one.settings.of_master(name, &stack.master_name)?;
            let word = line.word(at).unwrap_or_default();
            (word.trim().parse::<u64>().is_err() && !is_placeholder(word)).then(|| line.source().place.clone())
        });
        if let Some(place) = unknown {
            let help = format!("say it: --set {place}=N for what stands there, or --set sentinel.{key}=N");
            stack.refused.push((Some(place), format!("{key}: the value is not known"), help));
        }
    }
}

/// A file that should be in a folder of the machine and is not in the set: the only one of its name is taken for it.
fn missing_file(files: &Files, program: &mut Program, assumed: &mut Vec<Remark>) {
    let Some(config) = program.config.clone().filter(|config| config.lines.is_none()) else { return };
    let name = config.path.rsplit('/').next().unwrap_or_default().to_owned();
    let fits = |text: &str| match program.kind {
        Kind::Sentinel => super::plain::is_sentinel(text),
        Kind::Redis => super::plain::is_redis(text),
        Kind::Haproxy => super::haproxy_cfg::is_one(text),
    };
    let all: Vec<_> =
        files.all().filter(|file| file.path.rsplit('/').next() == Some(&name) && fits(&file.text)).collect();
    let folder = super::source::folder_of(&program.place.file).to_owned();
    let near: Vec<_> = all.iter().filter(|file| file.path.starts_with(&folder)).collect();
    let chosen = match (&all[..], &near[..]) {
        ([only], _) => Some(*only),
        (_, [only]) => Some(**only),
        (_, [first, ..]) => Some(
            **near
                .iter()
                .find(|file| !file.text.contains("replicaof ") && !file.text.contains("slaveof "))
                .unwrap_or(first),
        ),
        _ => None,
    };
    let Some(file) = chosen else { return };
    let lines = lines_of(&file.path, &file.text);
    let text = format!("{}: {} is not in the set; {} is taken for it", program.name, config.path, file.path);
    assumed.push(Remark { place: Some(config.place.clone()), text, matters: false });
    match program.kind {
        Kind::Haproxy => program.proxy = super::haproxy_cfg::read(&lines, &program.env),
        _ => {
            let mut settings = Directives::of_lines(&lines);
            settings.add(std::mem::take(&mut program.settings));
            program.settings = settings;
        }
    }
    program.guessed = true;
    program.files.push(file.path.to_string());
    if let Some(config) = &mut program.config {
        config.lines = Some(lines);
    }
}

/// Sentinels that are told what to monitor by a script, at run time or in a way that is not followed.
fn orders_at_run_time(files: &Files, stack: &mut Stack) {
    let lacks = |one: &Program| one.settings.get("sentinel monitor").is_none();
    if !stack.sentinels.iter().any(lacks) {
        return;
    }
    let scripts = super::plain::sentinel_lines(files);
    for one in stack.sentinels.iter_mut().filter(|one| lacks(one)) {
        let own = super::plain::sentinel_words(
            one.outcome.words.iter().map(|text| (text.place().clone(), text.text.as_str())),
        );
        let lines = if own.is_empty() { scripts.clone() } else { own };
        if let Some(line) = lines.first() {
            let text = format!("{}: no file says what it monitors; the orders of a script are taken for it", one.name);
            stack.assumed.push(Remark { place: Some(line.origin.place.clone()), text, matters: false });
        }
        let mut settings = Directives::of_lines(&lines);
        std::mem::swap(&mut settings, &mut one.settings);
        one.settings.add(settings);
    }
}

/// A compose file that is started on each of several machines: as many as the proxy leads to.
fn copies_of_a_machine(files: &Files, stack: &mut Stack) {
    if stack.redis.len() != 1 || stack.sentinels.len() > 1 || stack.kubernetes {
        return;
    }
    let servers = stack.proxies.iter().flat_map(|one| &one.proxy.proxies).flat_map(|proxy| &proxy.servers);
    let hosts: BTreeSet<String> =
        servers.map(|server| server.host.text.clone()).filter(|host| super::stack::is_address(host)).collect();
    if hosts.len() < 2 {
        return;
    }
    let others: Vec<_> = files.all().filter(|file| super::plain::is_redis(&file.text)).collect();
    let follows =
        others.iter().find(|file| Directives::of_lines(&lines_of(&file.path, &file.text)).get("replicaof").is_some());
    let text = format!(
        "{}: {} machines, as the servers of HAProxy are, each of which starts this file",
        stack.redis[0].place.file,
        hosts.len()
    );
    stack.assumed.push(Remark { place: None, text, matters: false });
    for (n, host) in hosts.iter().enumerate() {
        if n > 0 {
            let mut copy = stack.redis[0].clone();
            if let Some(file) = follows.filter(|_| copy.guessed) {
                copy.settings = Directives::of_lines(&lines_of(&file.path, &file.text));
                copy.files.push(file.path.to_string());
            }
            stack.redis.push(copy);
            stack.sentinels.extend(stack.sentinels.first().cloned());
        }
        stack.machines.insert(host.clone());
        let place_at = |program: &mut Program| {
            if let Some(container) = &mut program.container {
                container.addresses = vec![host.clone()];
                container.machine = host.as_str().into();
            }
        };
        stack.redis.last_mut().into_iter().chain(stack.sentinels.last_mut()).for_each(place_at);
    }
}

fn name_of_master(stack: &mut Stack, options: &Options) {
    let mut names: Vec<String> = Vec::new();
    for one in &stack.sentinels {
        for name in one.settings.every("sentinel monitor").filter_map(|line| line.word(0)) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    let wanted = options.master.clone().filter(|name| names.contains(name));
    if let (Some(name), None) = (&options.master, &wanted) {
        let text = format!("no Sentinel monitors a master called {name}");
        stack.refused.push((None, text, format!("--master takes one of: {}", names.join(", "))));
    }
    if names.len() > 1 && options.master.is_none() && several(stack) {
        let text = format!("the Sentinels monitor several masters: {}", names.join(", "));
        stack.refused.push((None, text, format!("take one: --master {}", names[0])));
    }
    stack.master_name = wanted.or_else(|| names.first().cloned()).unwrap_or_else(|| "mymaster".to_owned());
}

/// Whether a single Sentinel monitors more than one master.
fn several(stack: &Stack) -> bool {
    stack.sentinels.iter().any(|one| {
        let names: BTreeSet<_> = one.settings.every("sentinel monitor").filter_map(|line| line.word(0)).collect();
        names.len() > 1
    })
}

/// Puts the first master in front.
fn first_master(stack: &mut Stack, options: &Options) {
    let wanted = options.first.as_ref().map(|name| (name, find(&stack.redis, name, None)));
    let monitored: Vec<Option<usize>> = stack
        .sentinels
        .iter()
        .map(|one| {
            let line = stack.monitor(one)?;
            find(&stack.redis, line.word(1)?, line.word(2))
        })
        .collect();
    let free: Vec<usize> = (0..stack.redis.len()).filter(|n| !stack.follows(&stack.redis[*n])).collect();
    let named = monitored.iter().flatten().next().copied();
    let followed = stack.redis.iter().find_map(|one| {
        let line = one.settings.get("replicaof")?;
        find(&stack.redis, line.word(0)?, line.word(1))
    });
    let (at, how) = match (wanted, named, followed, &free[..]) {
        (Some((_, Some(at))), ..) => (at, "--set master"),
        (Some((name, None)), ..) => {
            let text = format!("no Redis node is called {name}");
            stack.refused.push((None, text, format!("--set master=NAME takes one of: {}", names(&stack.redis))));
            (0, "")
        }
        (None, Some(at), ..) => (at, "sentinel monitor names it"),
        (None, None, Some(at), _) => (at, "the others follow it"),
        (None, None, None, [only]) => (*only, "the only one without replicaof"),
        (None, None, None, []) => (0, "the first of the file"),
        (None, None, None, [first, ..]) => {
            let definite = !stack.kubernetes && stack.redis.iter().all(|one| !one.guessed && one.container.is_some());
            if definite && stack.redis.len() > 1 {
                let text =
                    "several Redis nodes start as masters, and nothing says which one the Sentinels monitor".to_owned();
                stack.refused.push((
                    stack.redis[*first].place.clone().into(),
                    text,
                    format!("say it: --set master=NAME, one of {}", names(&stack.redis)),
                ));
            }
            (*first, "the first of the file")
        }
    };
    stack.master_by = how.to_owned();
    if at < stack.redis.len() {
        let master = stack.redis.remove(at);
        stack.redis.insert(0, master);
    }
    stack.monitored = monitored.into_iter().map(|hit| hit.map(|n| moved(n, at))).collect();
}

/// The new number of `n` when `at` was put in front.
fn moved(n: usize, at: usize) -> usize {
    match n {
        n if n == at => 0,
        n if n < at => n + 1,
        n => n,
    }
}

fn names(all: &[Program]) -> String {
    all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The pools of all HAProxies that have to do with Redis.
fn pools(stack: &mut Stack) {
    let mut pools = Vec::new();
    for (number, one) in stack.proxies.iter().enumerate() {
        let config = &one.proxy;
        for back in config.proxies.iter().filter(|proxy| proxy.kind != "frontend" && !proxy.is_stats()) {
            let fronts = config.proxies.iter().filter(|front| front.kind == "frontend");
            let mut fronts =
                fronts.filter(|front| config.targets(front).iter().any(|name| name.text == back.name.text));
            let front = if back.kind == "listen" {
                Some(back.name.text.clone())
            } else {
                fronts.next().map(|front| front.name.text.clone())
            };
            let nodes: Vec<Option<usize>> = back
                .servers
                .iter()
                .map(|server| find(&stack.redis, &server.host.text, server.port.as_deref().or(Some("6379"))))
                .collect();
            let ports = |port: &str| back.servers.iter().any(|server| server.port.as_deref() == Some(port));
            let at_sentinels = ports("26379")
                || back.servers.iter().any(|server| at_sentinel(stack, server))
                || back.sends("sentinel").is_some();
            let role = back.asks_role();
            let redis =
                role.is_some() || ports("6379") || nodes.iter().any(Option::is_some) || back.sends("ping").is_some();
            if !redis && !at_sentinels || back.is_http() && role.is_none() && front.is_some() {
                continue;
            }
            let used = match (&front, at_sentinels, role) {
                (_, true, None) => Use::Sentinels,
                (None, ..) => Use::Dead,
                (_, _, Some("slave")) => Use::Read,
                _ => Use::Write,
            };
            let chooses = |line: &Vec<super::origin::Text>| {
                line[0].text == "use_backend" && line.iter().any(|word| word.text.contains("nbsrv"))
            };
            let guarded = config
                .proxies
                .iter()
                .any(|proxy| Some(&proxy.name.text) == front.as_ref() && proxy.lines.iter().any(chooses));
            pools.push(Pool { proxy: number, front, back: back.clone(), used, nodes, guarded });
        }
    }
    stack.pools = pools;
}

/// Whether a server is a Sentinel.
fn at_sentinel(stack: &Stack, server: &super::haproxy_cfg::Server) -> bool {
    let hit = find(&stack.sentinels, &server.host.text, server.port.as_deref());
    hit.is_some_and(|n| server.port.as_deref() == Some(&stack.sentinels[n].port()))
}

/// Chooses the pool through which clients write.
fn choose(stack: &mut Stack, options: &Options) {
    if let Some(name) = &options.frontend {
        stack.write =
            stack.pools.iter().position(|pool| pool.front.as_ref() == Some(name) || pool.back.name.text == *name);
        if stack.write.is_none() {
            let known: Vec<&str> = stack.pools.iter().filter_map(|pool| pool.front.as_deref()).collect();
            let text = format!("no frontend for Redis is called {name}");
            stack.refused.push((None, text, format!("--frontend takes one of: {}", known.join(", "))));
        }
    } else {
        let score = |pool: &Pool| {
            let config = &stack.proxies[pool.proxy].proxy;
            let front = config.proxies.iter().find(|proxy| Some(&proxy.name.text) == pool.front.as_ref());
            let default = front.is_none_or(|front| {
                front.kind == "listen"
                    || front.value(&["default_backend"]).is_some_and(|name| name.text == pool.back.name.text)
            });
            let port = front.is_some_and(|front| front.ports().iter().any(|(port, _)| port == "6379"));
            let role = pool.back.asks_role() == Some("master");
            4 * usize::from(role)
                + 2 * usize::from(default)
                + usize::from(port)
                + usize::from(pool.back.servers.len() > 1)
        };
        let candidates = stack.pools.iter().enumerate().filter(|(_, pool)| pool.used == Use::Write);
        let best = candidates.rev().max_by_key(|(_, pool)| score(pool)).map(|(n, _)| n);
        // A frontend that leads to Sentinels is the way of the clients if there is no other.
        let sentinels = || {
            stack.pools.iter().position(|pool| {
                pool.used == Use::Sentinels && pool.front.is_some() && pool.back.sends("sentinel").is_none()
            })
        };
        stack.write = best.or_else(sentinels);
    }
    // Of several pools without a role check, the one beside a pool with one is for reads.
    let write_asks = stack.write_pool().is_some_and(|pool| pool.back.asks_role() == Some("master"));
    for (n, pool) in stack.pools.iter_mut().enumerate() {
        if write_asks && Some(n) != stack.write && pool.used == Use::Write && pool.back.asks_role().is_none() {
            pool.used = Use::Read;
        }
    }
}

/// The replicas in the order of the servers of HAProxy.
fn order(stack: &mut Stack) {
    let Some(pool) = stack.write_pool() else { return };
    let mut order: Vec<usize> = vec![0];
    for node in pool.nodes.iter().flatten() {
        if !order.contains(node) {
            order.push(*node);
        }
    }
    let all = 0..stack.redis.len();
    order.extend(all.filter(|n| !order.contains(n)).collect::<Vec<_>>());
    order.retain(|n| *n < stack.redis.len());
    let place = |n: usize| order.iter().position(|old| *old == n).unwrap_or(n);
    stack.redis = order.iter().map(|n| stack.redis[*n].clone()).collect();
    for node in stack.pools.iter_mut().flat_map(|pool| &mut pool.nodes).chain(&mut stack.monitored) {
        *node = node.map(place);
    }
}

/// Two programs of one name get numbers.
fn distinct_names(stack: &mut Stack) {
    for all in [&mut stack.redis, &mut stack.sentinels, &mut stack.proxies] {
        for n in 0..all.len() {
            let same: Vec<usize> = (0..all.len()).filter(|other| all[*other].name == all[n].name).collect();
            if same.len() > 1 {
                let machines: BTreeSet<String> =
                    same.iter().filter_map(|other| Some(all[*other].container.as_ref()?.machine.to_string())).collect();
                let name = all[n].name.clone();
                for (number, other) in same.iter().enumerate() {
                    let machine = all[*other].container.as_ref().map(|container| container.machine.to_string());
                    all[*other].name = match machine.filter(|_| machines.len() == same.len()) {
                        Some(machine) => format!(
                            "{name}@{}",
                            machine.rsplit_once('/').map_or(machine.as_str(), |(folder, _)| folder)
                        ),
                        None => format!("{name}-{}", number + 1),
                    };
                }
            }
        }
    }
}

/// Places of values that are placeholders, with what they are.
pub(super) fn placeholders(stack: &Stack) -> Vec<(Place, String)> {
    let mut all: Vec<(Place, String)> = Vec::new();
    let mut put = |place: &Place, what: String| {
        if !all.iter().any(|(known, _)| known == place) {
            all.push((place.clone(), what));
        }
    };
    let names = [
        "sentinel monitor",
        "replicaof",
        "sentinel announce-ip",
        "replica-announce-ip",
        "sentinel down-after-milliseconds",
        "sentinel failover-timeout",
        "port",
        "bind",
    ];
    for one in stack.servers() {
        for line in one.settings.all.iter().filter(|line| names.contains(&line.name.as_str())) {
            // A template is another thing: it is told as one.
            let template = |text: &str| text.contains("{{") || text.contains("}}") || text.contains("{%");
            let whole = line.words.iter().any(|word| template(&word.text));
            if let Some(word) = line.words.iter().find(|word| is_placeholder(&word.text) && !whole) {
                put(line.place(), format!("`{}` in `{}`", word.text, line.name));
            }
        }
    }
    for pool in &stack.pools {
        for server in &pool.back.servers {
            let port = server.port.clone().unwrap_or_default();
            if is_placeholder(&server.host.text) || is_placeholder(&port) {
                put(server.place(), format!("`{}` as the address of server {}", server.host.text, server.name.text));
            }
        }
        for line in pool.back.lines.iter().filter(|line| line[0].text == "tcp-check") {
            if let Some(word) = line.iter().find(|word| word.text.contains("<your") || word.text.starts_with("<ip")) {
                put(word.place(), "what a check asks for".to_owned());
            }
        }
    }
    all
}
