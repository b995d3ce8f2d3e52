//! Who is who in a recording: every node with what it is and where it runs.
//!
//! A name says nothing about what bears it: a publisher may be called `redis-publisher`. What a node is stands in this
//! table, the table stands in the head of a recording, and only for recordings without one names are guessed from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::release::{Release, ServerRelease};
use crate::wire::{GroupId, HostId, Ip, NodeId, ReplId, RunId, hex40};

/// What kind of program a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A Redis server.
    Redis,
    /// A Sentinel.
    Sentinel,
    /// HAProxy.
    Haproxy,
    /// A publisher, subscriber or writer.
    Client,
}

/// A program of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Where it runs.
    pub host: HostId,
    /// Which release it is, as the head of the recording says: the word of a scenario, or a whole version. None: that of
    /// the reference stack, or the recording does not say.
    pub release: Option<String>,
}

/// Names of hosts and nodes, what the nodes are, and where they run.
#[derive(Clone, Debug, PartialEq)]
pub struct Names {
    /// By [`HostId`].
    pub hosts: Vec<String>,
    /// By [`NodeId`].
    pub nodes: Vec<Node>,
    /// Forty-digit identities that were read from a file, by their first sixteen digits: those of real programs do not
    /// follow from them. Empty for a simulated run.
    pub ids: BTreeMap<u64, Box<str>>,
    /// The name under which the Sentinels monitor the master.
    pub master: String,
    /// What a scenario calls nodes that have another name in reports: `redis-1` and so on.
    pub aliases: BTreeMap<String, NodeId>,
}

/// Whether a text can be the name of a master: "The valid charset is A-z 0-9 and the three characters \".-_\""
/// (sentinel.conf).
pub fn is_master_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(good)
}

/// What the demo calls its master, and so recordings that do not say it.
const MASTER: &str = "mymaster";

impl Default for Names {
    fn default() -> Self {
        Names {
            hosts: Vec::new(),
            nodes: Vec::new(),
            ids: BTreeMap::new(),
            master: MASTER.into(),
            aliases: BTreeMap::new(),
        }
    }
}

impl Names {
    /// Adds a node on a host, which is added too if it is new.
    pub fn add(&mut self, name: &str, kind: NodeKind, host: &str) -> NodeId {
        let host = self.find_host(host).unwrap_or_else(|| {
            self.hosts.push(host.to_owned());
            HostId(u16::try_from(self.hosts.len() - 1).expect("hosts have numbers of 16 bits"))
        });
        self.nodes.push(Node { name: name.to_owned(), kind, host, release: None });
        NodeId(u16::try_from(self.nodes.len() - 1).expect("nodes have numbers of 16 bits"))
    }
    /// Gives a node, and the host that bears its name, another name; it is still found under the old one.
    pub fn rename(&mut self, node: NodeId, name: &str) {
        let host = self.nodes[node.0 as usize].host;
        let old = std::mem::replace(&mut self.nodes[node.0 as usize].name, name.to_owned());
        let home = &mut self.hosts[host.0 as usize];
        if *home == old {
            name.clone_into(home);
        }
        self.aliases.insert(old, node);
    }
    /// Which version of Redis or Valkey a server or Sentinel is; that of the reference stack if nothing is said.
    pub fn server_version(&self, node: NodeId) -> Cow<'_, str> {
        match self.nodes[node.0 as usize].release.as_deref() {
            None => ServerRelease::default().version().into(),
            Some(said) => match ServerRelease::from_word(said) {
                Some(release) => release.info_version().into(),
                None if said.starts_with("valkey-") => ServerRelease::Valkey8_1.info_version().into(),
                None => said.into(),
            },
        }
    }
    /// The programs of another release than the reference stack's, as a sentence names them; none if there are none.
    pub fn releases(&self) -> Option<String> {
        let mut by_title: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            let Some(said) = node.release.as_deref() else { continue };
            let number = said.strip_prefix("valkey-");
            let program = match (node.kind, number) {
                (NodeKind::Haproxy, _) => "HAProxy",
                (NodeKind::Sentinel, None) => "Sentinel of Redis",
                (NodeKind::Sentinel, Some(_)) => "Sentinel of Valkey",
                (_, Some(_)) => "Valkey",
                (_, None) => "Redis",
            };
            by_title.entry(format!("{program} {}", number.unwrap_or(said))).or_default().push(&node.name);
        }
        let list = |(title, nodes): (&String, &Vec<&str>)| format!("{title} ({})", nodes.join(", "));
        let words: Vec<String> = by_title.iter().map(list).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
    /// The name of a host.
    pub fn host(&self, host: HostId) -> &str {
        &self.hosts[host.0 as usize]
    }
    /// The address of a host: each has one, with its number.
    pub fn address(&self, host: HostId) -> Ip {
        Ip(u32::from(host.0))
    }

    /// An address as it is printed: the name of the host that has it.
    pub fn ip(&self, ip: Ip) -> &str {
        &self.hosts[ip.0 as usize]
    }

    /// The address that a host's name stands for.
    pub fn find_ip(&self, name: &str) -> Option<Ip> {
        self.find_host(name).map(|host| self.address(host))
    }

    /// The name of a node.
    pub fn node(&self, node: NodeId) -> &str {
        &self.nodes[node.0 as usize].name
    }
    /// What a node is.
    pub fn kind(&self, node: NodeId) -> NodeKind {
        self.nodes[node.0 as usize].kind
    }
    /// What the node with a name is.
    pub fn kind_of(&self, name: &str) -> Option<NodeKind> {
        self.find_node(name).map(|node| self.kind(node))
    }
    /// Whether a name is that of a Redis server.
    pub fn is_redis(&self, name: &str) -> bool {
        self.kind_of(name) == Some(NodeKind::Redis)
    }
    /// All nodes of a kind, in the order of their numbers.
    pub fn of_kind(&self, kind: NodeKind) -> impl Iterator<Item = (NodeId, &str)> {
        let nodes = (0..).map(NodeId).zip(&self.nodes);
        nodes.filter(move |(_, node)| node.kind == kind).map(|(id, node)| (id, node.name.as_str()))
    }
    /// HAProxy, if there is one.
    pub fn haproxy(&self) -> Option<NodeId> {
        self.of_kind(NodeKind::Haproxy).next().map(|(node, _)| node)
    }
    /// Every node's name with that of its host.
    pub fn homes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.nodes.iter().map(|node| (node.name.as_str(), self.host(node.host)))
    }
    /// The name of the host on which the node with a name runs.
    pub fn host_of(&self, name: &str) -> Option<&str> {
        self.find_node(name).map(|node| self.host(self.nodes[node.0 as usize].host))
    }
    /// What the first program on a host is.
    ///
    /// # Panics
    /// If nothing runs there.
    pub fn first_on(&self, host: HostId) -> NodeKind {
        self.nodes.iter().find(|node| node.host == host).expect("a host has a program").kind
    }
    /// The forty digits of a process's identity.
    pub fn id(&self, id: RunId) -> Cow<'_, str> {
        match self.ids.get(&id.0) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(hex40(id.0)),
        }
    }
    /// The forty digits of a replication history's identity.
    pub fn repl_id(&self, id: ReplId) -> Cow<'_, str> {
        match self.ids.get(&id.0) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(id.to_string()),
        }
    }
    /// The name under which a master is monitored.
    pub fn master(&self, _: GroupId) -> &str {
        &self.master
    }
    /// The master that is monitored under a name.
    pub fn find_master(&self, name: &str) -> Option<GroupId> {
        (name == self.master).then_some(GroupId::ONLY)
    }
    /// The node with a name.
    pub fn find_node(&self, name: &str) -> Option<NodeId> {
        let named = self.nodes.iter().position(|node| node.name == name).map(|i| NodeId(i as u16));
        named.or_else(|| self.aliases.get(name).copied())
    }
    /// The host with a name.
    pub fn find_host(&self, name: &str) -> Option<HostId> {
        let named = self.hosts.iter().position(|n| n == name).map(|i| HostId(i as u16));
        named.or_else(|| self.aliases.get(name).map(|node| self.nodes[node.0 as usize].host))
    }
}
