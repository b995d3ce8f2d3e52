//! The scenario of a stack: every value with its line, or with the reason why it was assumed; what a scenario cannot say at
//! its head, with what that changes.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value as Json;

use super::haproxy_cfg::millis;
use super::launch::Program;
use super::lint::{Finding, Severity};
use super::situation;
use super::stack::{Remark, Stack};
use super::values::{bare, in_order, literal, nearest, one_line, per_node, release_words, save, span, string, typed};
use crate::limits;
use crate::redis;
use crate::scenario::{Scenario, json_schema};

/// A value of the scenario and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) comment: String,
}

/// The keys of a section, in order.
pub(super) type Section = BTreeMap<String, Entry>;

/// A scenario that was made of a stack.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    /// Its text.
    pub toml: String,
    /// What was taken for granted.
    pub assumed: Vec<Remark>,
    /// What it cannot say.
    pub left_out: Vec<Remark>,
}

/// What a scenario is made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// The situation.
    pub situation: String,
    /// Keys of the scenario and their values, which go before what the files say.
    pub set: Vec<(String, String)>,
    /// What was read, for the first line.
    pub from: String,
}

/// Settings that are no part of a run: a scenario that holds a password would be a leak.
const SECRETS: [&str; 6] = ["requirepass", "masterauth", "auth-pass", "sentinel-pass", "masteruser", "auth-user"];

/// So many letters have room beside a timeline.
const NAME_ROOM: usize = 20;

/// The end of a long name, which is what tells nodes apart: `redis-ha-server-0` of `shop-cache-redis-ha-server-0`.
fn short(mut name: &str) -> &str {
    while name.chars().count() > NAME_ROOM {
        let Some((_, rest)) = name.split_once(['-', '_', '.']) else { break };
        name = rest;
    }
    name
}

/// Makes a scenario of `stack`. What a scenario does not take is left out and said.
pub(crate) fn scenario(stack: &Stack, findings: &[Finding], wishes: &Wishes) -> Imported {
    let mut maker =
        Maker { stack, schema: json_schema(), assumed: stack.assumed.clone(), left_out: stack.left_out.clone() };
    maker.leave_out();
    let mut sections: Vec<(String, Section)> = vec![("stack".to_owned(), maker.stack_section())];
    sections.extend(maker.sentinels());
    sections.extend(maker.redis());
    if stack.write.is_some() {
        sections.push(("haproxy".to_owned(), maker.haproxy()));
    }
    maker.name_nodes(&mut sections);
    let mut refused = Vec::new();
    for _ in 0..40 {
        let toml = maker.text(&sections, findings, wishes);
        let Err(error) = Scenario::parse("imported.toml", &toml) else {
            return Imported { toml, assumed: maker.assumed, left_out: maker.left_out };
        };
        // A value that the scenario does not take: it is left out, which is said.
        let lines: Vec<&str> = toml.lines().collect();
        let Some(problem) = error.problems().first() else { break };
        let line = problem.place().map_or("", |(_, line, _)| lines.get(line - 1).copied().unwrap_or_default());
        let key = line.split(" = ").next().unwrap_or_default().trim_matches('"').to_owned();
        let comment = line.split(" # ").nth(1).unwrap_or_default().to_owned();
        let before: usize = sections.iter().map(|(_, section)| section.len()).sum();
        sections
            .iter_mut()
            .filter(|(name, _)| name != "stack")
            .for_each(|(_, section)| section.retain(|name, entry| *name != key || !line.ends_with(&entry.comment)));
        let after: usize = sections.iter().map(|(_, section)| section.len()).sum();
        let text = format!("{comment}: {key}: {problem}");
        if before == after {
            refused.push(text);
            break;
        }
        maker.left_out.push(Remark { place: None, text, matters: true });
    }
    let toml = maker.text(&sections, findings, wishes);
    maker.left_out.extend(refused.into_iter().map(|text| Remark { place: None, text, matters: true }));
    Imported { toml, assumed: maker.assumed, left_out: maker.left_out }
}

struct Maker<'a> {
    stack: &'a Stack,
    schema: Json,
    assumed: Vec<Remark>,
    left_out: Vec<Remark>,
}

impl Maker<'_> {
    fn knows(&self, section: &str, key: &str) -> bool {
        self.schema["properties"][section]["properties"][key].is_object()
    }

    fn leave(&mut self, place: Option<&super::origin::Place>, matters: bool, text: impl Into<String>) {
        let remark = Remark { place: place.cloned(), text: text.into(), matters };
        if !self.left_out.iter().any(|known| known.text == remark.text) {
            self.left_out.push(remark);
        }
    }

    fn stack_section(&self) -> Section {
        let said = |all: &[Program]| {
            let names: Vec<String> = all.iter().take(5).map(|one| one.named_at().to_string()).collect();
            let more = if all.len() > 5 { format!(" and {} more", all.len() - 5) } else { String::new() };
            if names.is_empty() { "none in the set".to_owned() } else { format!("{}{more}", names.join(", ")) }
        };
        let mut section = Section::new();
        let mut put =
            |key: &str, value: String, comment: String| section.insert(key.to_owned(), Entry { value, comment });
        put("redis", self.stack.redis.len().to_string(), said(&self.stack.redis));
        put("sentinels", self.stack.sentinels.len().to_string(), said(&self.stack.sentinels));
        let proxy = match self.stack.write_pool() {
            Some(pool) => format!("{} pool {}", pool.place(), pool.back.name.text),
            None if self.stack.proxies.is_empty() => "assumed: there is none in the set".to_owned(),
            None => "assumed: no frontend leads to Redis".to_owned(),
        };
        put("haproxy", self.stack.write.is_some().to_string(), proxy);
        section
    }

    fn sentinels(&mut self) -> Vec<(String, Section)> {
        let stack = self.stack;
        let one = |program: &Program| {
            let mut section = Section::new();
            if let Some(line) = stack.monitor(program) {
                let origin =
                    |n: usize| line.words.get(n).map_or(line.origin.to_string(), |word| word.origin.to_string());
                section.insert("master-name".into(), Entry { value: string(&stack.master_name), comment: origin(0) });
                if let Some(quorum) = stack.quorum(program) {
                    section.insert("quorum".into(), Entry { value: quorum.to_string(), comment: origin(3) });
                }
            }
            let directives = [
                ("down-after-milliseconds", "30000"),
                ("failover-timeout", "180000"),
                ("parallel-syncs", "1"),
                ("master-reboot-down-after-period", ""),
            ];
            for (key, default) in directives {
                let line = program.settings.of_master(&format!("sentinel {key}"), &stack.master_name);
                let value = line.and_then(|line| Some((line.word(1)?.parse::<u64>().ok()?, line)));
                match value {
                    Some((value, line)) => section.insert(
                        key.into(),
                        Entry {
                            value: value.to_string(),
                            comment: line.words.get(1).map_or(&line.origin, |word| &word.origin).to_string(),
                        },
                    ),
                    None if default.is_empty() => None,
                    None => section.insert(
                        key.into(),
                        Entry { value: default.into(), comment: "assumed: no directive; Redis's default".into() },
                    ),
                };
            }
            section
        };
        let mut all: Vec<Section> = stack.sentinels.iter().map(one).collect();
        for (section, program) in all.iter_mut().zip(&stack.sentinels) {
            self.release("sentinel", program, section);
        }
        per_node("sentinel", all)
    }

    /// The user's names, where they can be told apart from the scenario's own and from each other.
    fn name_nodes(&self, sections: &mut [(String, Section)]) {
        let stack = self.stack;
        let ids = |kind: &'static str, all: &'_ [Program]| -> Vec<String> {
            (1..=all.len()).map(|n| format!("{kind}.{kind}-{n}")).collect()
        };
        let proxy = stack.write_pool().map(|pool| &stack.proxies[pool.proxy]);
        let nodes = ids("redis", &stack.redis).into_iter().zip(&stack.redis);
        let nodes = nodes.chain(ids("sentinel", &stack.sentinels).into_iter().zip(&stack.sentinels));
        let nodes: Vec<(String, &Program)> = nodes.chain(proxy.map(|one| ("haproxy".to_owned(), one))).collect();
        let id = |section: &str| section.rsplit('.').next().unwrap_or(section).to_owned();
        let mut taken: Vec<String> = nodes.iter().map(|(section, _)| id(section)).collect();
        taken.extend(["clients", "publisher", "subscriber", "writer"].map(str::to_owned));
        for (section, one) in nodes {
            let own = id(&section);
            let kind = own.split('-').next().unwrap_or_default();
            let free = |name: &String| limits::name_fault(name, false).is_none() && !taken.contains(name);
            let called = short(&one.name);
            let name = [called.to_owned(), format!("{called}-{kind}")].into_iter().find(free);
            let keys = sections.iter_mut().find(|(name, _)| *name == section).map(|(_, keys)| keys);
            if let (Some(name), Some(keys), true) = (name, keys, one.name != own) {
                keys.insert("name".into(), Entry { value: string(&name), comment: one.named_at().to_string() });
                taken.push(name);
            }
        }
    }

    fn release(&self, kind: &str, program: &Program, section: &mut Section) {
        if !self.knows(kind, "release") {
            return;
        }
        let place = program.image_place.as_ref().map_or(program.place.to_string(), ToString::to_string);
        let words = release_words(&self.schema, kind);
        if let Some((release, exact)) = nearest(&words, program) {
            let comment = if exact {
                place
            } else {
                format!("assumed: {place} names no release that is modelled; this is the nearest")
            };
            section.insert("release".into(), Entry { value: string(&release), comment });
        } else if program.image.as_ref().is_some_and(|image| image.kind != super::images::Kind::Other) {
            let release = if kind == "haproxy" { "2.6" } else { "7.0" };
            let comment = format!("assumed: {place} names no version");
            section.insert("release".into(), Entry { value: string(release), comment });
        }
    }

    fn redis(&mut self) -> Vec<(String, Section)> {
        let mut all = Vec::new();
        let named = super::lint::named_otherwise(self.stack);
        for (n, program) in self.stack.redis.iter().enumerate() {
            let mut section = self.redis_node(program);
            if let Some((_, place, _)) = named.iter().find(|(other, ..)| *other == n) {
                let comment = format!("{place}: by a name that Sentinel does not compare");
                section.insert("master-by-name".into(), Entry { value: "true".into(), comment });
            }
            self.release("redis", program, &mut section);
            all.push(section);
        }
        per_node("redis", all)
    }

    fn redis_node(&self, program: &Program) -> Section {
        let mut section = Section::new();
        let settings = &program.settings;
        for line in settings.in_force() {
            let key = redis::canonical(&line.name);
            if !self.knows("redis", key)
                || SECRETS.contains(&key)
                || ["release", "config-file"].contains(&key)
                || key.starts_with("dataset-")
            {
                continue;
            }
            let text = match key {
                "save" => save(settings),
                "client-output-buffer-limit" => settings
                    .every("client-output-buffer-limit")
                    .map(|line| line.value().replace("slave", "replica"))
                    .collect::<Vec<_>>()
                    .join(" "),
                // Its words are read whatever their case (`configEnumGetValue`).
                "appendfsync" => line.value().to_ascii_lowercase(),
                _ => line.value(),
            };
            let kind = &self.schema["properties"]["redis"]["properties"][key];
            section.insert(key.to_owned(), Entry { value: typed(kind, &text), comment: line.source().to_string() });
        }
        let fixed = super::lint::start_is_fixed(program);
        let why = match &program.config {
            None => format!("{}: started without a file, so that no role lasts", program.place),
            Some(config) if fixed => format!("{}: what it is at its start is fixed", config.place),
            Some(config) => format!("{}: a file that Redis may write", config.place),
        };
        let why = if program.guessed { format!("assumed: {why}") } else { why };
        section.insert("config-file".into(), Entry { value: (!fixed).to_string(), comment: why });
        if program.is_older_than(7, 0) && !self.knows("redis", "release") {
            let image = program.image_place.as_ref().map_or(program.place.to_string(), ToString::to_string);
            for (key, value, was) in [
                ("repl-diskless-sync", "false", "`no`"),
                ("enable-debug-command", "\"yes\"", "`yes`"),
                ("shutdown-timeout", "0", "no wait"),
            ] {
                let comment = format!("assumed: {image} is older than 7.0, where the default was {was}");
                section.entry(key.into()).or_insert(Entry { value: value.into(), comment });
            }
        }
        section
    }

    #[allow(clippy::too_many_lines, reason = "a list: one key after the other")]
    fn haproxy(&mut self) -> Section {
        let stack = self.stack;
        let mut section = Section::new();
        let Some(pool) = stack.write_pool() else { return section };
        let program = &stack.proxies[pool.proxy];
        let front = program.proxy.proxies.iter().find(|proxy| Some(&proxy.name.text) == pool.front.as_ref());
        let mut put =
            |key: &str, value: String, comment: String| drop(section.insert(key.to_owned(), Entry { value, comment }));
        for (key, default) in [("inter", "2s"), ("fastinter", ""), ("downinter", ""), ("rise", "2"), ("fall", "3")] {
            let time = key.ends_with("inter");
            match pool.server_value(key) {
                Some(text) if time && millis(&text.text).is_some() => {
                    put(key, string(&span(&text.text)), text.origin.to_string())
                }
                Some(text) if !time && text.text.parse::<u64>().is_ok() => {
                    put(key, text.text.clone(), text.origin.to_string())
                }
                _ if default.is_empty() => {}
                _ => put(
                    key,
                    if time { string(default) } else { default.to_owned() },
                    format!("assumed: no `{key}`; HAProxy's default"),
                ),
            }
        }
        let backups = pool.back.servers.len() - pool.active();
        put("backup", (backups > 0).to_string(), pool.servers_place().to_string());
        for (key, word) in [("on-marked-down", "shutdown-sessions"), ("on-marked-up", "shutdown-backup-sessions")] {
            if let Some(text) = pool.server_value(key).filter(|text| text.text == word) {
                put(key, string(word), text.origin.to_string());
            }
        }
        for name in ["connect", "client", "server", "check", "tunnel", "queue"] {
            let found =
                pool.back.value(&["timeout", name]).or_else(|| front.and_then(|front| front.value(&["timeout", name])));
            let key = format!("timeout {name}");
            match found.filter(|text| millis(&text.text).is_some()) {
                Some(text) => put(&key, string(&span(&text.text)), text.origin.to_string()),
                None if ["connect", "client", "server"].contains(&name) => {
                    let none = self.schema["properties"]["haproxy"]["properties"][&key].to_string().contains("none");
                    let value = if none { "none" } else { "24h" };
                    put(&key, string(value), "assumed: no such timeout; HAProxy has no limit then".to_owned());
                }
                None => {}
            }
        }
        let retries = pool.back.value(&["retries"]);
        put(
            "retries",
            retries.map_or("3".into(), |text| text.text.clone()),
            retries.map_or("assumed: HAProxy's default".into(), |text| text.origin.to_string()),
        );
        if let Some(line) = pool.back.line(&["option", "redispatch"]) {
            put("redispatch", "true".into(), line[0].origin.to_string());
        }
        let limits = [
            program.proxy.global("maxconn"),
            front.and_then(|front| front.value(&["maxconn"])),
            pool.back.value(&["maxconn"]).filter(|_| pool.back.kind == "listen"),
        ];
        let limit = limits
            .into_iter()
            .flatten()
            .filter(|text| text.text.parse::<u64>().is_ok_and(|n| n > 0))
            .min_by_key(|text| text.text.parse::<u64>().unwrap_or(u64::MAX));
        match limit {
            Some(text) => put("maxconn", text.text.clone(), text.origin.to_string()),
            None => put(
                "maxconn",
                "4096".into(),
                "assumed: no `maxconn`; HAProxy computes one from its limit of open files".into(),
            ),
        }
        let mut more = Section::new();
        self.kinds_of_proxy(&mut more);
        self.release("haproxy", program, &mut more);
        section.extend(more);
        section
    }

    /// `check` and `balance`, where the scenario knows them.
    fn kinds_of_proxy(&mut self, section: &mut Section) {
        let Some(pool) = self.stack.write_pool() else { return };
        let check = match (pool.back.asks_role(), pool.back.checks_answers()) {
            (Some(_), _) => "role",
            (None, true) => "ping",
            (None, false) => "connect",
        };
        let place =
            pool.back.line(&["option", "tcp-check"]).map_or(pool.place().clone(), |line| line[0].place().clone());
        if self.knows("haproxy", "check") {
            section.insert("check".into(), Entry { value: string(check), comment: place.to_string() });
        } else if check != "role" {
            self.leave(
                Some(&place),
                true,
                "the check does not ask for the role; here it does: a run shows a better stack than this one",
            );
        }
        if let Some(text) = pool.back.value(&["balance"]).filter(|text| text.text != "roundrobin") {
            let known = self.schema["properties"]["haproxy"]["properties"]["balance"]
                .to_string()
                .contains(&format!("\"{}\"", text.text));
            if known {
                section.insert("balance".into(), Entry { value: string(&text.text), comment: text.origin.to_string() });
            } else {
                let active = pool.active();
                self.leave(
                    Some(text.place()),
                    active > 1,
                    format!("balance {}: sessions go round; the same while one server is UP", text.text),
                );
            }
        }
    }

    /// What a scenario cannot say.
    #[allow(clippy::too_many_lines, reason = "a list: one thing that is left out after the other")]
    fn leave_out(&mut self) {
        let stack = self.stack;
        for (n, pool) in stack.pools.iter().enumerate() {
            let again = stack.write_pool().is_some_and(|write| write.place() == pool.place());
            if Some(n) != stack.write && !again && pool.front.is_some() && pool.used != super::stack::Use::Dead {
                let text = format!(
                    "pool {} ({} server{}): only the way of writes is simulated",
                    pool.back.name.text,
                    pool.back.servers.len(),
                    if pool.back.servers.len() == 1 { "" } else { "s" },
                );
                let matters = pool.used == super::stack::Use::Read
                    && stack.proxies[pool.proxy].name
                        == stack.proxies[stack.pools[stack.write.unwrap_or(0)].proxy].name;
                self.leave(Some(pool.place()), matters, text);
            }
        }
        if let Some(pool) = stack.write_pool() {
            if stack.proxies.len() > 1 {
                self.leave(
                    Some(&stack.proxies[1].place),
                    true,
                    format!("{} HAProxies: one is simulated, and it does not move", stack.proxies.len()),
                );
            }
            if pool.guarded || pool.back.every("use-server").next().is_some() {
                self.leave(
                    Some(pool.place()),
                    true,
                    "servers are chosen only while Sentinels agree: here the role alone decides",
                );
            }
            if pool.back.servers.is_empty() {
                self.leave(
                    Some(pool.place()),
                    true,
                    "servers are added at run time: here all Redis nodes are servers from the beginning",
                );
            }
            let admin = stack.proxies[pool.proxy]
                .proxy
                .global
                .iter()
                .any(|line| line[0].text == "stats" && line.iter().any(|word| word.text == "admin"));
            if admin {
                self.leave(
                    Some(pool.place()),
                    true,
                    "another program may change HAProxy through its socket: here nobody does",
                );
            }
            if let Some(text) = pool.server_value("maxconn") {
                self.leave(Some(text.place()), false, "maxconn of servers: no session waits for a server here");
            }
        }
        let servers: Vec<&Program> = stack.servers().collect();
        if let Some(one) = servers.iter().find(|one| one.restarts()) {
            let policy = one.container.as_ref().and_then(|container| container.restart.as_ref());
            let place = policy.map_or(one.place.clone(), |text| text.place().clone());
            let said = policy.map_or("started again by itself".to_owned(), |text| format!("restart: {}", text.text));
            self.leave(
                Some(&place),
                false,
                format!("{said}: a killed program stays dead here; see the situation `restarts`"),
            );
        }
        let first = |name: &str| servers.iter().find_map(|one| one.settings.get(name).map(|line| line.place().clone()));
        let reasons = [
            ("maxmemory", false, "maxmemory: nothing is evicted here"),
            ("loadmodule", false, "modules are not simulated"),
            ("sentinel notification-script", true, "what the notification script does is lost"),
            ("sentinel client-reconfig-script", true, "what the client-reconfig script does is lost"),
            ("requirepass", false, "passwords: the round trip of AUTH is left out"),
            ("tls-port", false, "TLS: the time of its handshakes is left out"),
        ];
        for (name, matters, text) in reasons {
            if let Some(place) = first(name) {
                self.leave(Some(&place), matters, text);
            }
        }
        if let Some(hook) =
            stack.servers().filter_map(|one| one.container.as_ref()).flat_map(|container| &container.hooks).next()
        {
            self.leave(Some(hook.place()), true, "hooks at start and stop are not played");
        }
        if stack.machines.len() > 1 {
            self.leave(
                None,
                false,
                format!(
                    "{} machines: the network between them is that of one bridge; see [network]",
                    stack.machines.len()
                ),
            );
        }
    }

    fn text(&self, sections: &[(String, Section)], findings: &[Finding], wishes: &Wishes) -> String {
        let mut out = String::new();
        self.head(&mut out, findings, wishes).expect("writing to a string does not fail");
        let (faults, seconds) = situation::script(self.stack, &wishes.situation);
        let name = limits::plain_name(
            wishes
                .from
                .rsplit('/')
                .find(|part| !part.is_empty() && *part != "." && *part != "..")
                .unwrap_or("imported"),
        );
        let name = if limits::name_fault(&name, false).is_some() { "imported".to_owned() } else { name };
        let what =
            situation::SITUATIONS.iter().find(|(known, _)| *known == wishes.situation).map_or("", |(_, what)| what);
        let mut write = |text: String| out.push_str(&text);
        write(format!("name = {}\n", string(&name)));
        write(format!("description = {}\n", string(&format!("Imported; {}: {what}.", wishes.situation))));
        let own = |key: &str| wishes.set.iter().any(|(set, _)| set == key);
        if !own("duration") {
            write(format!("duration = \"{seconds}s\"\n"));
        }
        for (key, value) in wishes.set.iter().filter(|(key, _)| !key.contains('.')) {
            write(format!("{} = {}   # --set\n", bare(key), literal(value)));
        }
        let mut sections = sections.to_vec();
        for (path, value) in wishes.set.iter().filter(|(key, _)| key.contains('.')) {
            let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
            let entry = Entry { value: literal(value), comment: "--set".into() };
            match sections.iter_mut().find(|(name, _)| name == section) {
                Some((_, keys)) => drop(keys.insert(key.to_owned(), entry)),
                None => sections.push((section.to_owned(), Section::from([(key.to_owned(), entry)]))),
            }
            // What is set for all holds for each.
            let nodes = format!("{section}.");
            sections
                .iter_mut()
                .filter(|(name, _)| name.starts_with(&nodes))
                .for_each(|(_, keys)| drop(keys.remove(key)));
        }
        for (name, section) in sections.iter().filter(|(_, section)| !section.is_empty()) {
            write(format!("\n[{name}]\n"));
            let width = section
                .iter()
                .map(|(key, entry)| bare(key).chars().count() + entry.value.chars().count())
                .filter(|width| *width < 50)
                .max()
                .unwrap_or(0);
            for (key, entry) in in_order(section) {
                let text = format!("{} = {}", bare(key), entry.value);
                write(format!("{text:width$} # {}\n", one_line(&entry.comment), width = width + 3));
            }
        }
        out.push_str(&faults);
        let others: Vec<&str> =
            situation::SITUATIONS.iter().map(|(name, _)| *name).filter(|name| *name != wishes.situation).collect();
        out.push_str(&format!("\n# Other situations, with --situation: {}\n", others.join(", ")));
        out
    }

    fn head(&self, out: &mut String, findings: &[Finding], wishes: &Wishes) -> std::fmt::Result {
        let stack = self.stack;
        writeln!(out, "# Imported by sim from {} ({}).", one_line(&wishes.from), one_line(&stack.label))?;
        writeln!(out, "#\n# Who is who:")?;
        for (kind, all) in [("redis", &stack.redis), ("sentinel", &stack.sentinels)] {
            for (n, one) in all.iter().enumerate() {
                let note = if n == 0 && kind == "redis" {
                    format!("   the first master: {}", stack.master_by)
                } else {
                    String::new()
                };
                writeln!(
                    out,
                    "#   {:<12} {}   {}{note}",
                    format!("{kind}-{}", n + 1),
                    one_line(&one.name),
                    one.named_at()
                )?;
            }
        }
        if let Some(pool) = stack.write_pool() {
            writeln!(
                out,
                "#   {:<12} {}   frontend {}, pool {}",
                "haproxy",
                one_line(&stack.proxies[pool.proxy].name),
                one_line(pool.front.as_deref().unwrap_or("-")),
                one_line(&pool.back.name.text)
            )?;
        }
        let errors: Vec<&Finding> = findings.iter().filter(|one| one.severity == Severity::Error).collect();
        if !errors.is_empty() {
            writeln!(out, "#\n# The stack does not work as it stands, and a run does not show that:")?;
            for one in errors {
                writeln!(out, "#   {}   {}: {}", one.place, one.rule, one_line(&one.message))?;
            }
        }
        let remark = |remark: &Remark| {
            let place = remark.place.as_ref().map_or(String::new(), |place| format!("{place}   "));
            let mark = if remark.matters { '*' } else { ' ' };
            format!("# {mark} {place}{}", one_line(&remark.text))
        };
        if !self.left_out.is_empty() {
            writeln!(out, "#\n# Left out, and what that changes (* what a run shows):")?;
            self.left_out.iter().try_for_each(|one| writeln!(out, "{}", remark(one)))?;
        }
        if !self.assumed.is_empty() {
            writeln!(out, "#\n# Assumed:")?;
            self.assumed.iter().try_for_each(|one| writeln!(out, "{}", remark(one)))?;
        }
        writeln!(out, "# Clients and network: the demo's, assumed.\n")
    }
}
