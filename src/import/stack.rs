//! The model of a user's stack: which programs there are, who is who, and what the set says about each.

use std::collections::BTreeSet;

use super::container::Container;
use super::haproxy_cfg::{Proxy, Server};
use super::launch::{Kind, Program};
use super::origin::{Place, Text};

/// What the reading took for granted, or left out, in words.
#[derive(Clone, Debug)]
pub struct Remark {
    /// Where, if it is somewhere.
    pub place: Option<Place>,
    /// What.
    pub text: String,
    /// Whether it changes what a run shows.
    pub matters: bool,
}

/// What a pool of HAProxy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Writes go through it.
    Write,
    /// Only reads go through it.
    Read,
    /// It leads to Sentinels, or asks them.
    Sentinels,
    /// No frontend leads to it.
    Dead,
}

/// A pool of servers for Redis.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The HAProxy that has it.
    pub proxy: usize,
    /// The frontend that leads to it, or its own name if it listens itself.
    pub front: Option<String>,
    /// Its section.
    pub back: Proxy,
    /// What it is for.
    pub used: Use,
    /// The Redis node of each server, if it is one.
    pub nodes: Vec<Option<usize>>,
    /// Whether the frontend chooses it only if Sentinels agree.
    pub guarded: bool,
}

impl Pool {
    /// Servers that take sessions from the beginning.
    pub fn active(&self) -> usize {
        self.back.servers.iter().filter(|server| !server.has("backup")).count()
    }

    /// The value of a keyword for the pool: that of its first server.
    pub fn server_value(&self, keyword: &str) -> Option<&Text> {
        self.back.servers.iter().find_map(|server| server.value(keyword))
    }

    /// A time of the servers, in ms.
    pub fn server_millis(&self, keyword: &str) -> Option<u64> {
        self.server_value(keyword).and_then(|text| super::haproxy_cfg::millis(&text.text))
    }

    /// The time between two checks, in ms: HAProxy's default is two seconds.
    pub fn inter(&self) -> u64 {
        self.server_millis("inter").unwrap_or(2_000)
    }

    /// `rise`: good checks until a server is UP.
    pub fn rise(&self) -> u64 {
        self.server_value("rise").and_then(|text| text.text.parse().ok()).unwrap_or(2)
    }

    /// `fall`: bad checks until a server is DOWN.
    pub fn fall(&self) -> u64 {
        self.server_value("fall").and_then(|text| text.text.parse().ok()).unwrap_or(3)
    }

    /// A `timeout`, in ms.
    pub fn timeout(&self, name: &str) -> Option<u64> {
        self.back.value(&["timeout", name]).and_then(|text| super::haproxy_cfg::millis(&text.text))
    }

    /// Whether the sessions of a server that goes down are closed.
    pub fn fences(&self) -> bool {
        let fences =
            |server: &Server| server.value("on-marked-down").is_some_and(|text| text.text == "shutdown-sessions");
        !self.back.servers.is_empty() && self.back.servers.iter().all(fences)
    }

    /// Where the pool stands.
    pub fn place(&self) -> &Place {
        self.back.name.place()
    }

    /// Where its first server stands, or itself.
    pub fn servers_place(&self) -> &Place {
        self.back.servers.first().map_or(self.place(), Server::place)
    }
}

/// A stack.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// The file or folder that describes it.
    pub label: String,
    /// The Redis nodes: the first master, then its replicas.
    pub redis: Vec<Program>,
    /// The Sentinels.
    pub sentinels: Vec<Program>,
    /// The HAProxies.
    pub proxies: Vec<Program>,
    /// What else runs.
    pub others: Vec<Container>,
    /// The pools for Redis of the HAProxies.
    pub pools: Vec<Pool>,
    /// The pool through which clients write, if there is one.
    pub write: Option<usize>,
    /// The name of the master.
    pub master_name: String,
    /// Whether the first Redis node is known to be the master, and how.
    pub master_by: String,
    /// Whom the Sentinels' `monitor` names: each Sentinel's, as an index into `redis`.
    pub monitored: Vec<Option<usize>>,
    /// Which machines there are.
    pub machines: BTreeSet<String>,
    /// What was taken for granted.
    pub assumed: Vec<Remark>,
    /// What a scenario cannot say.
    pub left_out: Vec<Remark>,
    /// What forbids to make a scenario of it, each with a remedy.
    pub refused: Vec<(Option<Place>, String, String)>,
    /// Configuration files of the set that nothing uses.
    pub unused: Vec<Place>,
    /// Variables of compose files that are not set.
    pub unset: Vec<(String, Place)>,
    /// Values in quotes that are part of them.
    pub quoted: Vec<Text>,
    /// Orders to servers in scripts of the set.
    pub orders: Vec<(Place, String)>,
    /// A keepalived that watches another program: where.
    pub blind_vip: Option<Place>,
    /// Whether the stack is written for Kubernetes.
    pub kubernetes: bool,
    /// Names of containers as compose v1 made them.
    pub v1_names: Vec<(Place, String)>,
    /// Lines in files of the set that Sentinel itself writes.
    pub state: Vec<(Place, String)>,
    /// Replacements by start scripts of images that nobody builds.
    pub loose_substitutions: Vec<super::shell::Substitution>,
}

impl Stack {
    /// All programs.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        self.redis.iter().chain(&self.sentinels).chain(&self.proxies)
    }

    /// Redis nodes and Sentinels.
    pub fn servers(&self) -> impl Iterator<Item = &Program> {
        self.redis.iter().chain(&self.sentinels)
    }

    /// The pool through which clients write.
    pub fn write_pool(&self) -> Option<&Pool> {
        self.write.and_then(|at| self.pools.get(at))
    }

    /// The value that a Sentinel has for its master, as a number.
    pub fn sentinel_number(&self, sentinel: &Program, name: &str) -> Option<i64> {
        sentinel.settings.of_master(name, &self.master_name)?.word(1)?.parse().ok()
    }

    /// The line `sentinel monitor` of a Sentinel.
    pub fn monitor<'a>(&self, sentinel: &'a Program) -> Option<&'a super::redis_conf::Directive> {
        sentinel.settings.of_master("sentinel monitor", &self.master_name)
    }

    /// The quorum of a Sentinel.
    pub fn quorum(&self, sentinel: &Program) -> Option<i64> {
        self.monitor(sentinel)?.word(3)?.trim().parse().ok()
    }

    /// The first quorum that is said.
    pub fn first_quorum(&self) -> Option<i64> {
        self.sentinels.iter().find_map(|sentinel| self.quorum(sentinel))
    }

    /// `down-after-milliseconds`: Redis's default is 30 s.
    pub fn down_after(&self) -> i64 {
        let first = self.sentinels.iter().find_map(|one| self.sentinel_number(one, "sentinel down-after-milliseconds"));
        first.unwrap_or(30_000)
    }

    /// `failover-timeout`: Redis's default is three minutes.
    pub fn failover_timeout(&self) -> i64 {
        let first = self.sentinels.iter().find_map(|one| self.sentinel_number(one, "sentinel failover-timeout"));
        first.unwrap_or(180_000)
    }

    /// Whether this Redis node is told whom to follow.
    pub fn follows(&self, program: &Program) -> bool {
        program.settings.get("replicaof").is_some_and(|directive| directive.word(0) != Some("no"))
    }

    /// Whether any Redis node is told whom to follow.
    pub fn anybody_follows(&self) -> bool {
        self.redis.iter().any(|one| self.follows(one))
    }

    /// The Redis node or Sentinel that is reached at `host` and `port`, among programs of `kind`.
    pub fn find(&self, kind: Kind, host: &str, port: Option<&str>) -> Option<usize> {
        let all = if kind == Kind::Redis { &self.redis } else { &self.sentinels };
        find(all, host, port)
    }
}

/// The one of `all` that is reached at `host` and `port`.
pub(crate) fn find(all: &[Program], host: &str, port: Option<&str>) -> Option<usize> {
    let host = host.trim_matches(['"', '\'']);
    let only = |fits: &dyn Fn(&Program) -> bool| {
        let mut hits = all.iter().enumerate().filter(|(_, one)| fits(one)).map(|(n, _)| n);
        hits.next().filter(|_| hits.next().is_none())
    };
    let named = |one: &Program| {
        one.name == host
            || one.container.as_ref().is_some_and(|container| {
                container.names.contains(host)
                    || container.addresses.iter().any(|address| address == host)
                    || is_v1_name(host, &container.service)
            })
    };
    let announced = |one: &Program| {
        let ip = one.settings.word("replica-announce-ip");
        ip == Some(host) && port.is_none_or(|port| one.settings.word("replica-announce-port").unwrap_or("6379") == port)
    };
    let bound = |one: &Program| {
        one.container.is_none()
            && one
                .settings
                .get("bind")
                .is_some_and(|bind| bind.words.iter().any(|word| word.text == host && !is_any(host)))
    };
    let published = |one: &Program| {
        let own = |container: &Container| match container.host_network {
            true => port == Some(&one.port()),
            false => container.ports.iter().any(|mapped| port.is_some() && mapped.host.as_deref() == port),
        };
        is_address(host) && one.container.as_ref().is_some_and(own)
    };
    let local = |one: &Program| one.container.is_none() && is_loopback(host) && port == Some(&one.port());
    let inside = |one: &Program| {
        // The service's name stands for the one container that listens on the port.
        one.container.as_ref().is_some_and(|container| container.shared_names.contains(host))
            && port.is_none_or(|port| port == one.port())
    };
    only(&named)
        .or_else(|| only(&announced))
        .or_else(|| only(&bound))
        .or_else(|| only(&published))
        .or_else(|| only(&local))
        .or_else(|| only(&inside))
}

/// Whether `host` is a name of the form PROJECT_SERVICE_N for the service.
pub(crate) fn is_v1_name(host: &str, service: &str) -> bool {
    let Some((front, number)) = host.rsplit_once('_') else { return false };
    !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && front.strip_suffix(service).is_some_and(|project| project.ends_with('_') && project.len() > 1)
}

/// Whether it is an address of this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.") || host == "::1"
}

/// Whether it stands for every address.
pub(crate) fn is_any(host: &str) -> bool {
    ["0.0.0.0", "*", "::", "::*", "-::*", ""].contains(&host)
}

/// Whether it is an address and no name.
pub(crate) fn is_address(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

/// Whether a text is a placeholder that somebody must fill in.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('.').collect();
    let crossed = parts.len() == 4 && parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c == 'x'));
    let pointed = text.starts_with('<') && text.contains('>') || text.contains("<your") || text.contains("<ip");
    crossed
        || pointed
        || text.contains("{{")
        || text.contains("{%")
        || text.contains("${")
        || text.starts_with('$') && text[1..].starts_with(|c: char| c.is_ascii_alphabetic())
        || text.starts_with("__") && text.ends_with("__") && text.len() > 4
        || lower.contains("change_me")
        || lower.contains("changeme") && lower.contains("ip")
}
