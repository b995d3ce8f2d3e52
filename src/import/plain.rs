//! Stacks that are given as plain configuration files, and what other files of a set say.

use std::collections::BTreeSet;

use super::UNKNOWN;
use super::assemble::{Options, Unit};
use super::container::{Build, Container, Platform};
use super::haproxy_cfg;
use super::identity;
use super::launch::{Kind, Program};
use super::origin::{Line, Place, lines_of};
use super::source::{File, Files, folder_of};
use super::stack::{Remark, Stack, is_placeholder};

/// All directives of redis.conf 7.0.15, one a line.
const DIRECTIVES: &str = include_str!("../scenario/real/redis-7.0.15.txt");
/// Directives by which a redis.conf is known.
const REDIS_WORDS: [&str; 24] = [
    "port",
    "bind",
    "protected-mode",
    "replicaof",
    "slaveof",
    "appendonly",
    "save",
    "dir",
    "requirepass",
    "masterauth",
    "maxmemory",
    "maxmemory-policy",
    "tcp-backlog",
    "tcp-keepalive",
    "timeout",
    "daemonize",
    "dbfilename",
    "appendfsync",
    "loglevel",
    "logfile",
    "databases",
    "pidfile",
    "supervised",
    "replica-announce-ip",
];

/// Whether the text is a sentinel.conf.
pub(super) fn is_sentinel(text: &str) -> bool {
    let lines =
        text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ").to_ascii_lowercase());
    lines.filter(|line| line == "sentinel monitor").count() > 0
        && !text.starts_with("#!")
        && !text.contains("redis-cli")
}

/// Whether the text is a redis.conf: every line is a directive, and at least two are well known.
pub(super) fn is_redis(text: &str) -> bool {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("{%"))
        .collect();
    let first = |line: &&&str| line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let well_known = lines.iter().filter(|line| REDIS_WORDS.contains(&first(line).as_str())).count();
    let is_directive = |name: &str| {
        let name = name.replace("slave", "replica");
        DIRECTIVES.lines().any(|line| line == name) || REDIS_WORDS.contains(&name.as_str()) || name == "replicaof"
    };
    let all = lines.iter().filter(|line| is_directive(&first(line))).count();
    let valued = lines.iter().all(|line| line.split_whitespace().count() > 1);
    well_known >= 2 && valued && all * 4 >= lines.len() * 3 && !is_sentinel(text)
}

fn is_configuration(file: &File) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    !name.ends_with(".yml")
        && !name.ends_with(".yaml")
        && !name.ends_with(".md")
        && !name.ends_with(".sh")
        && !name.starts_with("Dockerfile")
}

/// The stack that plain files are, if they are one.
pub(super) fn stack(files: &Files, options: &Options) -> Option<Stack> {
    if let Some(unit) = from_dockerfiles(files) {
        return Some(identity::stack(files, unit, options));
    }
    let all: Vec<&File> = files.listed().filter(|file| is_configuration(file)).collect();
    let of =
        |fits: &dyn Fn(&str) -> bool| -> Vec<&File> { all.iter().copied().filter(|file| fits(&file.text)).collect() };
    let (sentinels, redis, proxies) = (of(&is_sentinel), of(&is_redis), of(&haproxy_cfg::is_one));
    if sentinels.is_empty() && redis.is_empty() && proxies.is_empty() {
        return None;
    }
    let mut stack = Stack { label: "the configuration files".to_owned(), ..Stack::default() };
    let make = |kind, files: &[&File]| -> Vec<Program> {
        files.iter().map(|file| Program::of_file(kind, &name_of(file), file)).collect()
    };
    stack.redis = make(Kind::Redis, &redis);
    stack.sentinels = make(Kind::Sentinel, &sentinels);
    stack.proxies = make(Kind::Haproxy, &proxies);
    if stack.sentinels.is_empty() && stack.redis.is_empty() && !asks_for_redis(&stack) {
        return None;
    }
    copied_at_start(files, &mut stack);
    complete(&mut stack, options);
    identity::finish(&mut stack, options);
    Some(stack)
}

/// Images whose start copies the configuration to its place, as a JSON file of the set says (kolla's `config_files`).
fn copied_at_start(files: &Files, stack: &mut Stack) {
    let is_one = |file: &&File| {
        file.text.contains("\"config_files\"")
            && file.text.contains("\"command\"")
            && file.text.contains("redis-server")
    };
    if files.all().any(|file| is_one(&file)) {
        stack.redis.iter_mut().filter_map(|one| one.config.as_mut()).for_each(|config| config.regenerated = true);
    }
}

fn asks_for_redis(stack: &Stack) -> bool {
    stack.proxies.iter().flat_map(|one| &one.proxy.proxies).any(|proxy| proxy.asks_role().is_some())
}

/// A file's name without what all such files are called; its folder if nothing is left.
fn name_of(file: &File) -> String {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or(name);
    let folder = folder_of(&file.path).rsplit('/').next().unwrap_or_default();
    if ["redis", "sentinel", "haproxy"].contains(&stem) && !folder.is_empty() {
        folder.to_owned()
    } else {
        stem.to_owned()
    }
}

/// The programs of Dockerfiles that no compose file names.
fn from_dockerfiles(files: &Files) -> Option<Unit> {
    let mut unit = Unit { label: "the Dockerfiles".to_owned(), ..Unit::default() };
    let is_one = |file: &&File| {
        file.path.rsplit('/').next().is_some_and(|name| name.starts_with("Dockerfile") || name.ends_with(".Dockerfile"))
    };
    let mut containers = Vec::new();
    for file in files.listed().filter(is_one) {
        let folder = folder_of(&file.path);
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let service = name.strip_prefix("Dockerfile.").or_else(|| name.strip_suffix(".Dockerfile"));
        let service = service.or_else(|| folder.rsplit('/').next().filter(|name| !name.is_empty())).unwrap_or("redis");
        let place = Place::new(&file.path, 1);
        let mut container = Container::new(service, place.clone());
        container.platform = Platform::Unknown;
        container.build = Some(Build::of_file(folder, &file.path, place));
        containers.push(container);
    }
    unit.launch(files, containers);
    for_both_roles(files, &mut unit);
    (unit.count(Kind::Redis) > 0 && unit.count(Kind::Sentinel) > 0).then_some(unit)
}

/// One image whose start script makes a master or a replica of it stands for both.
fn for_both_roles(files: &Files, unit: &mut Unit) {
    let mut servers = unit.programs.iter().enumerate().filter(|(_, one)| one.kind == Kind::Redis);
    let (Some((at, one)), None) = (servers.next(), servers.next()) else { return };
    let follows = |text: &str| {
        let lower = text.to_ascii_lowercase();
        lower.contains("replicaof ") || lower.contains("slaveof ")
    };
    let texts = one.files.iter().filter_map(|path| files.get(path));
    let Some(script) = texts.into_iter().find(|file| follows(&file.text)) else { return };
    let line = script.text.lines().position(follows).unwrap_or(0) + 1;
    let mut replica = Program { guessed: true, ..one.clone() };
    replica.name = format!("{}-replica", one.name);
    let place = Place::new(&script.path, line);
    let line = Line::at(&format!("replicaof {UNKNOWN} 6379"), place.clone());
    replica.settings.add(super::redis_conf::Directives::of_lines(&[line]));
    let text = format!("two Redis nodes of {}: its start script makes a master or a replica of it", one.name);
    unit.assumed.push(Remark { place: Some(place), text, matters: false });
    unit.programs.insert(at + 1, replica);
}

/// Programs whose files are not there, or stand for several: as many as the others say.
fn complete(stack: &mut Stack, options: &Options) {
    let proxies = stack.proxies.iter().flat_map(|one| &one.proxy.proxies).filter(|proxy| proxy.kind != "frontend");
    let pools: Vec<_> = proxies.filter(|proxy| !proxy.is_stats()).cloned().collect();
    let at_sentinels = |proxy: &&haproxy_cfg::Proxy| {
        proxy.sends("sentinel").is_some() || proxy.servers.iter().any(|server| server.port.as_deref() == Some("26379"))
    };
    let servers = pools
        .iter()
        .filter(|pool| !at_sentinels(pool) && pool.asks_role().is_some())
        .max_by_key(|pool| pool.servers.len());
    let asked = pools.iter().filter(at_sentinels).map(|pool| pool.servers.len()).max().unwrap_or(0);
    let quorum = stack
        .sentinels
        .iter()
        .filter_map(|one| one.settings.every("sentinel monitor").last()?.word(3)?.parse::<usize>().ok())
        .max();
    let known = |name: &str| stack.sentinels.iter().map(|one| one.settings.every(name).count()).max().unwrap_or(0);
    let (known_sentinels, known_replicas) = (known("sentinel known-sentinel"), known("sentinel known-replica"));
    if let Some(pool) = servers.filter(|pool| pool.servers.len() > stack.redis.len()) {
        let template = stack.redis.first().cloned();
        for server in pool.servers.iter().skip(stack.redis.len()) {
            let mut one = match &template {
                Some(template) => Program { guessed: true, ..template.clone() },
                None => {
                    Program { guessed: true, ..Program::empty(Kind::Redis, &server.name.text, server.place().clone()) }
                }
            };
            one.name.clone_from(&server.name.text);
            stack.redis.push(one);
        }
        let text = format!("{} Redis nodes: as many as HAProxy has servers", stack.redis.len());
        stack.assumed.push(Remark { place: Some(pool.name.place().clone()), text, matters: false });
        by_servers(stack, pool);
    }
    let quorum = quorum.unwrap_or(2).clamp(1, 500);
    let wanted = if known_replicas > 0 { known_replicas + 1 } else { 2 * quorum - 1 };
    if stack.redis.len() == 1 && wanted > 1 && servers.is_none() {
        let wanted = options.scale.get("redis").copied().unwrap_or(wanted).clamp(1, 1_000);
        stack.redis[0].guessed = true;
        let one = stack.redis[0].clone().renamed();
        stack.redis.resize(wanted, one);
        let text = format!("{wanted} Redis nodes of one redis.conf: nothing says how many (--scale redis=N)");
        stack.assumed.push(Remark { place: None, text, matters: true });
    }
    let wanted = asked.max(if known_sentinels > 0 { known_sentinels + 1 } else { 2 * quorum - 1 });
    if stack.sentinels.len() == 1 && wanted > 1 {
        let wanted = options.scale.get("sentinel").copied().unwrap_or(wanted).clamp(1, 1_000);
        let one = stack.sentinels[0].clone();
        stack.sentinels.resize(wanted, one);
        let why = if asked > 0 { "as many as HAProxy asks" } else { "nothing says how many (--scale sentinel=N)" };
        let text = format!("{wanted} Sentinels of one sentinel.conf: {why}");
        stack.assumed.push(Remark { place: Some(stack.sentinels[0].place.clone()), text, matters: asked == 0 });
    }
}

/// Gives nodes that are known by their place alone the addresses of the servers.
fn by_servers(stack: &mut Stack, pool: &haproxy_cfg::Proxy) {
    for (one, server) in stack.redis.iter_mut().zip(&pool.servers) {
        let mut container = Container::new(&server.name.text, server.place().clone());
        container.platform = Platform::Unknown;
        if !is_placeholder(&server.host.text) {
            container.addresses.push(server.host.text.clone());
            container.names.insert(server.host.text.clone());
        }
        one.name.clone_from(&server.name.text);
        if one.guessed && super::stack::is_loopback(&server.host.text) {
            // Several on one machine: the port tells them apart.
            container.addresses.clear();
            container.names =
                BTreeSet::from([format!("{}:{}", server.host.text, server.port.clone().unwrap_or_default())]);
        }
        if one.guessed {
            one.container = Some(container);
        }
    }
}

impl Program {
    fn renamed(mut self) -> Program {
        self.name = "redis".to_owned();
        self
    }
}

/// Configuration files of the set that no program uses.
pub(super) fn unused(files: &Files, stack: &mut Stack) {
    let mut used: BTreeSet<String> = BTreeSet::new();
    for one in stack.programs() {
        used.extend(one.files.iter().cloned());
        used.insert(one.place.file.to_string());
        let lines = one.config.iter().filter_map(|config| config.lines.as_ref()).flatten();
        used.extend(lines.map(|line| line.origin.place.file.to_string()));
        used.extend(
            one.container.iter().filter_map(|container| container.build.as_ref()).map(|build| build.dockerfile.clone()),
        );
    }
    let candidates = files.listed().filter(|file| is_configuration(file) && !used.contains(&*file.path));
    let ours =
        candidates.filter(|file| is_sentinel(&file.text) || is_redis(&file.text) || haproxy_cfg::is_one(&file.text));
    stack.unused = ours.map(|file| Place::new(&file.path, 1)).collect();
}

/// What scripts and other programs of the set do to the stack.
pub(super) fn scripts(files: &Files, stack: &mut Stack) {
    let mut orders: Vec<(Place, String)> = stack.programs().flat_map(|one| one.outcome.orders.clone()).collect();
    for file in files.all() {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let script = name.ends_with(".sh") || file.text.starts_with("#!") || name == "Makefile";
        if script {
            for (n, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
                let lower = line.to_ascii_lowercase();
                let words = ["slaveof ", "replicaof ", "sentinel monitor ", "sentinel reset ", "sentinel failover "];
                if let Some(word) = words.iter().find(|word| lower.contains(**word) && lower.contains("-cli")) {
                    orders.push((Place::new(&file.path, n + 1), word.trim().to_owned()));
                }
            }
        }
        if file.text.contains("vrrp_script") {
            let lines = file.text.lines().enumerate();
            let scripts: Vec<(usize, &str)> =
                lines.filter(|(_, line)| line.trim_start().starts_with("script ")).collect();
            let looks = |line: &str| {
                let named = line.split(|c: char| c == '"' || c.is_whitespace()).find(|word| word.ends_with(".sh"));
                let inner = named
                    .and_then(|name| name.rsplit('/').next())
                    .and_then(|name| files.all().find(|file| file.path.ends_with(name)));
                line.contains("haproxy") || inner.is_some_and(|file| file.text.contains("haproxy"))
            };
            if let Some((n, _)) = scripts.iter().find(|(_, line)| !looks(line)) {
                stack.blind_vip = Some(Place::new(&file.path, n + 1));
            }
        }
    }
    for container in stack.programs().filter_map(|one| one.container.as_ref()) {
        for hook in &container.hooks {
            let lower = hook.text.to_ascii_lowercase();
            for word in ["sentinel reset", "sentinel failover"] {
                if lower.contains(word) {
                    orders.push((hook.place().clone(), word.to_owned()));
                }
            }
        }
    }
    orders.sort();
    orders.dedup();
    stack.orders = orders;
    stack.v1_names = v1_names(files, stack);
    stack.state = state(files, stack);
    loose_substitutions(files, stack);
}

/// Names of the form PROJECT_SERVICE_N, wherever they stand.
fn v1_names(files: &Files, stack: &Stack) -> Vec<(Place, String)> {
    let services: BTreeSet<String> = stack
        .programs()
        .filter_map(|one| one.container.as_ref())
        .filter(|one| one.platform != Platform::Unknown)
        .map(|one| one.service.clone())
        .collect();
    let mut found: Vec<(Place, String)> = Vec::new();
    for file in files.all().filter(|_| !services.is_empty()) {
        for (n, line) in
            file.text.lines().enumerate().filter(|(_, line)| line.contains("_1") && !line.trim_start().starts_with('#'))
        {
            let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
            for word in words.filter(|word| is_v1_name(word, &services)) {
                // The name of a server of HAProxy is only a name.
                let label =
                    line.trim_start().starts_with(&format!("server {word} ")) && !line.contains(&format!(" {word}:"));
                if !label && !found.iter().any(|(_, known)| known == word) && found.len() < 100 {
                    found.push((Place::new(&file.path, n + 1), word.to_owned()));
                }
            }
        }
    }
    found
}

/// Whether a word is a name of the form PROJECT_SERVICE_N of one of the services.
fn is_v1_name(word: &str, services: &BTreeSet<String>) -> bool {
    let Some((front, number)) = word.rsplit_once('_') else { return false };
    let counted = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    counted && front.match_indices('_').any(|(at, _)| at > 0 && services.contains(&front[at + 1..]))
}

/// Lines that Sentinel itself writes into its file, in files of the set.
fn state(files: &Files, stack: &Stack) -> Vec<(Place, String)> {
    let words = [
        "sentinel myid ",
        "sentinel known-",
        "sentinel config-epoch ",
        "sentinel leader-epoch ",
        "sentinel current-epoch ",
    ];
    let mut found = Vec::new();
    for file in files.all().filter(|file| is_sentinel(&file.text) && !stack.kubernetes) {
        for (n, line) in file.text.lines().enumerate() {
            let hit = words.iter().any(|word| line.trim_start().starts_with(word))
                && !line.contains("{{")
                && !line.contains('$');
            let zero = line.contains("epoch") && line.trim_end().ends_with(" 0");
            if hit && !zero {
                let what: Vec<&str> = line.split_whitespace().take(2).collect();
                found.push((Place::new(&file.path, n + 1), what.join(" ")));
            }
        }
    }
    found
}

/// What the start scripts of Dockerfiles that nobody builds replace.
fn loose_substitutions(files: &Files, stack: &mut Stack) {
    let used: BTreeSet<String> = stack
        .programs()
        .filter_map(|one| one.container.as_ref()?.build.as_ref())
        .map(|build| build.dockerfile.clone())
        .collect();
    let is_one = |file: &&File| file.path.rsplit('/').next().is_some_and(|name| name.starts_with("Dockerfile"));
    for file in files.listed().filter(is_one).filter(|file| !used.contains(&*file.path)).take(100) {
        let place = Place::new(&file.path, 1);
        let mut container = Container::new("image", place.clone());
        container.build = Some(Build::of_file(folder_of(&file.path), &file.path, place));
        if let Some(program) = super::launch::launch(files, &container) {
            stack.loose_substitutions.extend(program.outcome.substitutions);
        }
    }
}

/// What the scripts of a set tell Sentinels to monitor, as lines of a sentinel.conf.
pub(super) fn sentinel_lines(files: &Files) -> Vec<Line> {
    let scripts = files
        .all()
        .filter(|file| file.path.ends_with(".sh") || file.text.starts_with("#!") || file.path.ends_with("Makefile"));
    let lines: Vec<Line> = scripts.flat_map(|file| lines_of(&file.path, &file.text)).collect();
    sentinel_words(lines.iter().map(|line| (line.origin.place.clone(), line.text.as_str())))
}

/// The same for single texts.
pub(super) fn sentinel_words<'a>(texts: impl Iterator<Item = (Place, &'a str)>) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::new();
    for (place, text) in texts {
        let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches(['"', '\'', ';'])).collect();
        let Some(at) = words
            .iter()
            .position(|word| word.eq_ignore_ascii_case("sentinel") || word.to_ascii_lowercase().ends_with("/sentinel"))
        else {
            continue;
        };
        let made = match words[at + 1..] {
            [order, name, host, port, quorum, ..] if order.eq_ignore_ascii_case("monitor") => {
                let end = quorum.find(|c: char| !c.is_ascii_digit()).unwrap_or(quorum.len());
                let hidden = super::UNKNOWN.to_string();
                let host = if host.starts_with('$') { hidden.as_str() } else { host };
                let port = if port.bytes().all(|b| b.is_ascii_digit()) { port } else { "6379" };
                (end > 0 && plain(name)).then(|| format!("sentinel monitor {name} {host} {port} {}", &quorum[..end]))
            }
            [order, name, directive, value, ..] if order.eq_ignore_ascii_case("set") && plain(name) => {
                Some(format!("sentinel {directive} {name} {value}"))
            }
            _ => None,
        };
        if let Some(text) = made.filter(|text| !out.iter().any(|line| line.text == *text)) {
            out.push(Line::at(&text, place));
        }
    }
    out
}

fn plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
