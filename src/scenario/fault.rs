//! The fault script: what is done to the stack, to whom and when.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::kernel::Span;
use crate::record::Order;
use crate::release::AnyRelease;
use crate::units::{Rate, Share, SignedSpan};

/// One line of the fault script.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When, counted from time 0.
    pub at: Span,
    /// What is done.
    pub action: Action,
    /// Where it stands in the file, in bytes. Two faults are equal whatever their places.
    pub span: Range<usize>,
}

impl PartialEq for Fault {
    fn eq(&self, other: &Self) -> bool {
        (self.at, &self.action) == (other.at, &other.action)
    }
}

/// What is done to the stack. `N` is how targets are named: texts in a file, [`NodeRef`]s in a checked plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Action<N = NodeRef> {
    /// SIGKILL; the host stays: its kernel sends FIN and RST to peers and refuses later connections.
    Kill {
        /// Who: a node, a client, a host, or a role such as "@master".
        node: N,
    },
    /// As `kill`, then the address disappears, as when a container is removed.
    KillHost {
        /// Who: a node, a client, a host, or a role such as "@master".
        node: N,
    },
    /// The host vanishes at once: nobody is told.
    PowerOff {
        /// Who: a node, a client, a host, or a role such as "@master".
        node: N,
    },
    /// SIGTERM: an orderly shutdown, with what the program does then.
    Terminate {
        /// Who: a node, a client, a host, or a role such as "@master".
        node: N,
    },
    /// Boot again: original command line, kept data folder, same address.
    Start {
        /// Who: a node, a client, a host, or a role such as "@old-master".
        node: N,
    },
    /// Another release is installed: the program that runs goes on, and the next one that is started there is of this release,
    /// with what was set and its own defaults otherwise.
    Upgrade {
        /// Whose: a Redis node, a Sentinel or "haproxy", by its name.
        node: N,
        /// The release, such as "7.2".
        release: AnyRelease,
    },
    /// SIGSTOP: the program stands still, its kernel still accepts and acknowledges.
    Pause {
        /// Who: a node, a client, a host, or a role such as "@master".
        node: N,
    },
    /// SIGCONT: a paused program goes on.
    Resume {
        /// Who: a node, a client, a host, or a role such as "@old-master".
        node: N,
    },
    /// Packets between nodes of different groups are dropped; nodes in no group are not affected.
    Partition {
        /// At least two lists of nodes, clients or hosts.
        groups: Vec<Vec<N>>,
    },
    /// Packets one way are dropped.
    Cut {
        /// The senders: one name or a list.
        from: OneOrMany<N>,
        /// The receivers: one name or a list.
        to: OneOrMany<N>,
    },
    /// All partitions, cuts and degradations end, and all disks are well again.
    Heal {},
    /// A link becomes slow or lossy, both ways; what is not given stays as it is.
    Degrade {
        /// The two ends, each a node, a client, a host or a role.
        between: [N; 2],
        /// New latency, one way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency: Option<Span>,
        /// New jitter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jitter: Option<Span>,
        /// New share of packets that are lost, 0.0 to 1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loss: Option<Share>,
        /// New rate, such as "10mbit".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<Rate>,
    },
    /// The node's wall clock jumps; a Sentinel that sees it enters TILT.
    ClockJump {
        /// Whose clock: a node or a role.
        node: N,
        /// How far, such as "-5s" or "3s".
        by: SignedSpan,
    },
    /// The event loop is blocked, as by DEBUG SLEEP or a slow command.
    Stall {
        /// Whose: a node or a role.
        node: N,
        /// How long.
        #[serde(rename = "for")]
        duration: Span,
    },
    /// The disk of a machine becomes slow: every `fsync` there takes at least so long, until `heal` or for a time.
    SlowDisk {
        /// Whose: a Redis node, a Sentinel or a role.
        node: N,
        /// How long an `fsync` takes that begins from now on.
        fsync: Span,
        /// For how long; until `heal` if it is not given.
        #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
        duration: Option<Span>,
    },
    /// The disk of a machine has no room left, until `heal` or for a time.
    DiskFull {
        /// Whose: a Redis node, a Sentinel or a role.
        node: N,
        /// For how long; until `heal` if it is not given.
        #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
        duration: Option<Span>,
    },
    /// A Redis or Sentinel command is executed.
    Command {
        /// By whom: a Redis node, a Sentinel or a role.
        node: N,
        /// The command and its arguments, such as ["SENTINEL", "FAILOVER", "mymaster"].
        run: Vec<String>,
    },
}

/// The directions in which packets are dropped between groups: pair by pair in the order of the groups, both ways.
pub fn partition_pairs<T: Copy>(groups: &[Vec<T>]) -> Vec<(T, T)> {
    let mut pairs = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        for other in &groups[place + 1..] {
            for &a in group {
                pairs.extend(other.iter().flat_map(|&b| [(a, b), (b, a)]));
            }
        }
    }
    pairs
}

/// What a name in an action is a name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// A program, or all programs of a host.
    Program,
    /// An end of a link: a host.
    Place,
}

/// What an action does to programs, as far as it can be told without a world. Whoever follows a script asks this and no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch<'a, N> {
    /// They end at once; with the host, all that are on it.
    Ends { node: &'a N, with_host: bool },
    /// They are told to end: one that is paused does so only when it goes on.
    AskedToEnd(&'a N),
    /// They are started: none of them may run.
    Starts(&'a N),
    /// They stand still: all of them must run.
    Pauses(&'a N),
    /// They go on: all of them must be paused.
    Resumes(&'a N),
    /// They must be alive, and stay so, unless what they are told may end them.
    Needs { node: &'a N, may_end: bool },
    /// Links or disks are disturbed.
    Disturbs,
    /// As long as that lasts, they may end at any time.
    MayEndAnyTime(&'a N),
    /// All links and disks are as they were.
    Heals,
    /// No program notices.
    Nothing,
}

impl<N> Action<N> {
    /// What it does to programs.
    pub(crate) fn touch(&self) -> Touch<'_, N> {
        match self {
            Action::Kill { node } => Touch::Ends { node, with_host: false },
            Action::KillHost { node } | Action::PowerOff { node } => Touch::Ends { node, with_host: true },
            Action::Terminate { node } => Touch::AskedToEnd(node),
            Action::Start { node } => Touch::Starts(node),
            Action::Pause { node } => Touch::Pauses(node),
            Action::Resume { node } => Touch::Resumes(node),
            Action::ClockJump { node, .. } | Action::Stall { node, .. } => Touch::Needs { node, may_end: false },
            Action::Command { node, run } => {
                let is = |word: &str| run.first().is_some_and(|first| first.eq_ignore_ascii_case(word));
                Touch::Needs { node, may_end: is("SHUTDOWN") || is("DEBUG") }
            }
            Action::Partition { .. } | Action::Cut { .. } | Action::Degrade { .. } | Action::SlowDisk { .. } => {
                Touch::Disturbs
            }
            // A replica that cannot write what its master sends it, a log under `appendfsync always`.
            Action::DiskFull { node, .. } => Touch::MayEndAnyTime(node),
            Action::Heal {} => Touch::Heals,
            Action::Upgrade { .. } => Touch::Nothing,
        }
    }

    /// The name of the action, as a file has it.
    pub const fn word(&self) -> &'static str {
        match self {
            Action::Partition { .. } => "partition",
            Action::Cut { .. } => "cut",
            Action::Heal {} => "heal",
            Action::Degrade { .. } => "degrade",
            Action::ClockJump { .. } => "clock-jump",
            Action::Upgrade { .. } => "upgrade",
            Action::Stall { .. } => "stall",
            Action::SlowDisk { .. } => "slow-disk",
            Action::DiskFull { .. } => "disk-full",
            Action::Command { .. } => "command",
            program => program.order().expect("all others are done to a program").0.word(),
        }
    }

    /// What is done to a program or its host, and to whose; none for all that is done to links, clocks and event loops.
    pub const fn order(&self) -> Option<(Order, &N)> {
        Some(match self {
            Action::Kill { node } => (Order::Kill, node),
            Action::KillHost { node } => (Order::KillHost, node),
            Action::PowerOff { node } => (Order::PowerOff, node),
            Action::Terminate { node } => (Order::Terminate, node),
            Action::Start { node } => (Order::Start, node),
            Action::Pause { node } => (Order::Pause, node),
            Action::Resume { node } => (Order::Resume, node),
            _ => return None,
        })
    }

    /// The node that it is about; none for what is about links.
    pub const fn node(&self) -> Option<&N> {
        match self {
            Action::ClockJump { node, .. }
            | Action::Stall { node, .. }
            | Action::SlowDisk { node, .. }
            | Action::DiskFull { node, .. }
            | Action::Command { node, .. }
            | Action::Upgrade { node, .. } => Some(node),
            Action::Partition { .. } | Action::Cut { .. } | Action::Heal {} | Action::Degrade { .. } => None,
            program => match program.order() {
                Some((_, node)) => Some(node),
                None => None,
            },
        }
    }

    /// The same action with every name translated by `name`; `None` if one has no translation.
    pub(super) fn try_map<M>(self, mut name: impl FnMut(N, Sense) -> Option<M>) -> Option<Action<M>> {
        let mut program = |node| name(node, Sense::Program);
        Some(match self {
            Action::Kill { node } => Action::Kill { node: program(node)? },
            Action::KillHost { node } => Action::KillHost { node: program(node)? },
            Action::PowerOff { node } => Action::PowerOff { node: program(node)? },
            Action::Terminate { node } => Action::Terminate { node: program(node)? },
            Action::Start { node } => Action::Start { node: program(node)? },
            Action::Pause { node } => Action::Pause { node: program(node)? },
            Action::Resume { node } => Action::Resume { node: program(node)? },
            Action::ClockJump { node, by } => Action::ClockJump { node: program(node)?, by },
            Action::Upgrade { node, release } => Action::Upgrade { node: program(node)?, release },
            Action::Stall { node, duration } => Action::Stall { node: program(node)?, duration },
            Action::SlowDisk { node, fsync, duration } => Action::SlowDisk { node: program(node)?, fsync, duration },
            Action::DiskFull { node, duration } => Action::DiskFull { node: program(node)?, duration },
            Action::Command { node, run } => Action::Command { node: program(node)?, run },
            Action::Heal {} => Action::Heal {},
            Action::Partition { groups } => {
                // Every name is looked up, so that every unknown one is reported.
                let groups: Vec<Option<Vec<M>>> = groups.into_iter().map(|group| places(group, &mut name)).collect();
                Action::Partition { groups: groups.into_iter().collect::<Option<_>>()? }
            }
            Action::Cut { from, to } => {
                let (from, to) = (places(from.0, &mut name), places(to.0, &mut name));
                Action::Cut { from: OneOrMany(from?), to: OneOrMany(to?) }
            }
            Action::Degrade { between: [a, b], latency, jitter, loss, rate } => {
                let (a, b) = (name(a, Sense::Place), name(b, Sense::Place));
                Action::Degrade { between: [a?, b?], latency, jitter, loss, rate }
            }
        })
    }
}

fn places<N, M>(names: Vec<N>, name: &mut impl FnMut(N, Sense) -> Option<M>) -> Option<Vec<M>> {
    let found: Vec<Option<M>> = names.into_iter().map(|node| name(node, Sense::Place)).collect();
    found.into_iter().collect()
}

/// A target, resolved: it exists in the stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeRef {
    /// `redis-N`, with the number of its name, from 1.
    Redis(u16),
    /// `sentinel-N`, with the number of its name, from 1.
    Sentinel(u16),
    /// `haproxy`.
    Haproxy,
    /// A client program.
    Client(String),
    /// A host of clients: all programs on it, or their end of a link.
    Host(String),
    /// Whoever plays this role at that moment.
    Role(Role),
}

impl fmt::Display for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeRef::Redis(n) => write!(f, "redis-{n}"),
            NodeRef::Sentinel(n) => write!(f, "sentinel-{n}"),
            NodeRef::Haproxy => f.write_str("haproxy"),
            NodeRef::Client(name) | NodeRef::Host(name) => f.write_str(name),
            NodeRef::Role(role) => f.write_str(role.name()),
        }
    }
}

impl Serialize for NodeRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A part that different nodes play at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `@master`: the master as the Sentinels see it.
    Master,
    /// `@replica`: the lowest-numbered replica.
    Replica,
    /// `@leader`: the Sentinel that leads or led the last failover.
    Leader,
    /// `@old-master`: the master before the last failover.
    OldMaster,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Master, Role::Replica, Role::Leader, Role::OldMaster];

    /// As it is written in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Master => "@master",
            Role::Replica => "@replica",
            Role::Leader => "@leader",
            Role::OldMaster => "@old-master",
        }
    }
}

/// One thing or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(|one| OneOrMany(vec![one]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(OneOrManyVisitor(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}
