//! Who lives where: nodes, hosts, addresses and names of a scenario's stack.

use super::{NodeRef, Scenario};
use crate::record::{self, Names};
use crate::release::Release;
use crate::wire::{Addr, HostId, Ip, NodeId};

/// The port of Redis and of HAProxy's frontend.
pub const REDIS_PORT: u16 = 6379;
/// The port of Sentinel.
pub const SENTINEL_PORT: u16 = 26379;

/// Where a node sits in the stack: which program it runs ([`record::NodeKind`]), and its place among those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// Redis server, by its place (0 is redis-1).
    Redis(usize),
    /// Sentinel, by its place.
    Sentinel(usize),
    /// The proxy.
    Haproxy,
    /// A client, by its place in the scenario.
    Client(usize),
}

impl Seat {
    /// The kind of program, as recordings have it.
    pub const fn program(self) -> record::NodeKind {
        match self {
            Seat::Redis(_) => record::NodeKind::Redis,
            Seat::Sentinel(_) => record::NodeKind::Sentinel,
            Seat::Haproxy => record::NodeKind::Haproxy,
            Seat::Client(_) => record::NodeKind::Client,
        }
    }
}

/// Nodes are numbered Redis servers first, then Sentinels, HAProxy, clients. Hosts likewise, clients' hosts by first
/// mention.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Names of hosts and nodes.
    pub names: Names,
    /// By node.
    pub seats: Vec<Seat>,
    /// By node.
    pub hosts: Vec<HostId>,
    redis: usize,
    sentinels: usize,
    haproxy: bool,
}

impl Layout {
    /// The layout of a scenario.
    pub fn of(scenario: &Scenario) -> Layout {
        let mut layout = Layout {
            names: Names::default(),
            seats: Vec::new(),
            hosts: Vec::new(),
            redis: scenario.redis.len(),
            sentinels: scenario.sentinel.len(),
            haproxy: scenario.stack.haproxy,
        };
        if let Some(config) = scenario.sentinel.first() {
            layout.names.master.clone_from(&config.master_name);
        }
        for (n, config) in scenario.redis.iter().enumerate() {
            let name = format!("redis-{}", n + 1);
            layout.add(&name, &name, Seat::Redis(n));
            layout.say_release(config.release);
        }
        for (n, config) in scenario.sentinel.iter().enumerate() {
            let name = format!("sentinel-{}", n + 1);
            layout.add(&name, &name, Seat::Sentinel(n));
            layout.say_release(config.release);
        }
        if layout.haproxy {
            layout.add("haproxy", "haproxy", Seat::Haproxy);
            layout.say_release(scenario.haproxy.release);
        }
        for (n, client) in scenario.clients.iter().enumerate() {
            layout.add(&client.name, &client.host, Seat::Client(n));
        }
        for (node, name) in &scenario.called {
            if let Some(node) = layout.node(node) {
                layout.names.rename(node, name);
            }
        }
        layout
    }

    fn add(&mut self, name: &str, host: &str, kind: Seat) {
        let node = self.names.add(name, kind.program(), host);
        self.seats.push(kind);
        self.hosts.push(self.names.nodes[node.0 as usize].host);
    }

    /// The node added last has this release; that of the reference stack goes without saying.
    fn say_release<R: Release>(&mut self, release: R) {
        if release != R::default() {
            let node = self.names.nodes.last_mut().expect("a node was added");
            node.release = Some(release.as_str().to_owned());
        }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.seats.len()
    }

    /// A Redis server.
    pub fn redis(&self, place: usize) -> NodeId {
        assert!(place < self.redis, "the Redis server exists");
        NodeId(place as u16)
    }

    /// All Redis servers.
    pub fn all_redis(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.redis as u16).map(NodeId)
    }

    /// All Sentinels.
    pub fn all_sentinels(&self) -> impl Iterator<Item = NodeId> + use<> {
        let first = self.redis as u16;
        (first..first + self.sentinels as u16).map(NodeId)
    }

    /// The proxy.
    pub fn haproxy(&self) -> Option<NodeId> {
        self.haproxy.then(|| NodeId((self.redis + self.sentinels) as u16))
    }

    /// All clients.
    pub fn all_clients(&self) -> impl Iterator<Item = NodeId> + use<> {
        let first = (self.redis + self.sentinels) as u16 + self.haproxy as u16;
        (first..self.seats.len() as u16).map(NodeId)
    }

    /// The host of a node.
    #[inline]
    pub fn host(&self, node: NodeId) -> HostId {
        self.hosts[node.0 as usize]
    }

    /// The address at which a node listens.
    pub fn addr(&self, node: NodeId) -> Addr {
        let port = match self.seats[node.0 as usize] {
            Seat::Sentinel(_) => SENTINEL_PORT,
            _ => REDIS_PORT,
        };
        Addr::new(self.names.address(self.host(node)), port)
    }

    /// The host that has an address from the beginning.
    pub fn host_at(&self, ip: Ip) -> HostId {
        let hosts = (0..self.names.hosts.len() as u16).map(HostId);
        hosts.into_iter().find(|host| self.names.address(*host) == ip).expect("every address is a host's")
    }

    /// The Redis server at an address.
    pub fn redis_at(&self, addr: Addr) -> Option<NodeId> {
        self.all_redis().find(|&node| self.addr(node) == addr)
    }

    /// The node that a scenario names, unless it is a role or a mere host.
    pub fn node(&self, name: &NodeRef) -> Option<NodeId> {
        self.names.find_node(&name.to_string())
    }

    /// The hosts that a scenario's name stands for: a host, or the host of a node.
    pub fn host_of(&self, name: &NodeRef) -> Option<HostId> {
        let text = name.to_string();
        self.names.find_host(&text).or_else(|| self.names.find_node(&text).map(|node| self.host(node)))
    }
}
