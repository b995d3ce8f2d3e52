//! Who is in the stack: from the names in a file to [`NodeRef`]s.

use std::collections::BTreeSet;

use super::fault::{NodeRef, Role, Sense};
use super::plan::Stack;
use crate::client;
use crate::suggest::closest;

/// The names of a stack and its clients.
#[derive(Clone, Debug)]
pub(super) struct Names<'a> {
    stack: Stack,
    clients: &'a [client::Config],
    called: &'a [(NodeRef, String)],
}

impl<'a> Names<'a> {
    pub(super) fn new(stack: Stack, clients: &'a [client::Config]) -> Self {
        Names { stack, clients, called: &[] }
    }

    /// The same with the names that the file gives to nodes.
    pub(super) fn with_called(self, called: &'a [(NodeRef, String)]) -> Self {
        Names { called, ..self }
    }

    /// The name of a node in reports.
    pub(super) fn shown(&self, name: &str) -> String {
        let node = self.node(name);
        let called = self.called.iter().find(|(own, _)| Some(own) == node.as_ref());
        called.map_or_else(|| name.to_owned(), |(_, name)| name.clone())
    }

    /// The node called `name`: not a client, not a role.
    pub(super) fn node(&self, name: &str) -> Option<NodeRef> {
        let called = || self.called.iter().find(|(_, own)| own == name).map(|(node, _)| node.clone());
        self.redis(name)
            .or_else(called)
            .or_else(|| number(name, "sentinel-", self.stack.sentinels).map(NodeRef::Sentinel))
            .or_else(|| (name == "haproxy" && self.stack.haproxy).then_some(NodeRef::Haproxy))
    }

    /// The Redis node called `name`.
    pub(super) fn redis(&self, name: &str) -> Option<NodeRef> {
        let called = || {
            let redis = self.called.iter().filter(|(node, _)| matches!(node, NodeRef::Redis(_)));
            redis.into_iter().find(|(_, own)| own == name).map(|(node, _)| node.clone())
        };
        number(name, "redis-", self.stack.redis).map(NodeRef::Redis).or_else(called)
    }

    /// Who or what `name` is in the given sense. A client's place is its host.
    pub(super) fn resolve(&self, name: &str, sense: Sense) -> Option<NodeRef> {
        let role = || Role::ALL.into_iter().find(|role| role.name() == name).map(NodeRef::Role);
        let client = || self.clients.iter().find(|client| client.name == name);
        let client = || match sense {
            Sense::Program => client().map(|client| NodeRef::Client(client.name.clone())),
            Sense::Place => client().map(|client| self.host(&client.host)),
        };
        let host = || self.clients.iter().any(|client| client.host == name).then(|| NodeRef::Host(name.to_owned()));
        self.node(name).or_else(role).or_else(client).or_else(host)
    }

    /// Whether a host is called `name`: that of a node, or one of a client.
    pub(super) fn is_host(&self, name: &str) -> bool {
        self.node(name).is_some() || self.clients.iter().any(|client| client.host == name)
    }

    /// The host called `name`, which may be that of a node.
    fn host(&self, name: &str) -> NodeRef {
        self.node(name).unwrap_or_else(|| NodeRef::Host(name.to_owned()))
    }

    /// All programs that `target` is, by name; empty for a role.
    pub(super) fn programs(&self, target: &NodeRef) -> Vec<String> {
        match target {
            NodeRef::Role(_) => Vec::new(),
            NodeRef::Host(host) => self.on_host(host),
            node => vec![node.to_string()],
        }
    }

    /// All programs that share the fate of `target` when its host goes, by name; empty for a role.
    pub(super) fn host_mates(&self, target: &NodeRef) -> Vec<String> {
        let host = match target {
            NodeRef::Role(_) => return Vec::new(),
            NodeRef::Client(name) => &self.clients.iter().find(|client| client.name == *name).expect("resolved").host,
            node => &node.to_string(),
        };
        self.on_host(host)
    }

    fn on_host(&self, host: &str) -> Vec<String> {
        let node = self.node(host).map(|node| node.to_string());
        let clients = self.clients.iter().filter(|client| client.host == host).map(|client| client.name.clone());
        node.into_iter().chain(clients).collect()
    }

    /// All programs of the stack, by name.
    pub(super) fn all_programs(&self) -> Vec<String> {
        let mut names = self.nodes();
        names.extend(self.clients.iter().map(|client| client.name.clone()));
        names
    }

    /// All nodes of the stack, by name.
    pub(super) fn nodes(&self) -> Vec<String> {
        let redis = (1..=self.stack.redis).map(NodeRef::Redis);
        let sentinels = (1..=self.stack.sentinels).map(NodeRef::Sentinel);
        let haproxy = self.stack.haproxy.then_some(NodeRef::Haproxy);
        redis.chain(sentinels).chain(haproxy).map(|node| node.to_string()).collect()
    }

    /// What would be right instead of the unknown `name`.
    pub(super) fn remedy(&self, name: &str) -> String {
        if name == "haproxy" {
            return "the stack has none: set `haproxy = true` in [stack]".to_owned();
        }
        for (prefix, key, count) in
            [("redis-", "redis", self.stack.redis), ("sentinel-", "sentinels", self.stack.sentinels)]
        {
            let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
            if name.strip_prefix(prefix).is_some_and(is_number) {
                let exist = match count {
                    0 => "none".to_owned(),
                    1 => format!("only {prefix}1"),
                    n => format!("{prefix}1 to {prefix}{n}"),
                };
                return format!("the stack has {exist}; their number is `{key}` in [stack]");
            }
        }
        let mut known: Vec<String> = self.nodes();
        let clients: BTreeSet<&str> = self.clients.iter().flat_map(|c| [c.name.as_str(), c.host.as_str()]).collect();
        known.extend(clients.into_iter().filter(|name| self.node(name).is_none()).map(str::to_owned));
        known.extend(Role::ALL.map(|role| role.name().to_owned()));
        match closest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        }
    }
}

/// The number of a name such as `redis-2`, if it is one of `1..=count`.
pub(super) fn number(name: &str, prefix: &str, count: u16) -> Option<u16> {
    let digits = name.strip_prefix(prefix)?;
    let canonical = !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|n| canonical && (1..=count).contains(n))
}
