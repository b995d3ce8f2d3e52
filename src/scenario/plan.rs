//! The checked plan: what a run needs to know, every name resolved, every default filled in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expect::Expect;
use super::fault::{Fault, NodeRef};
use super::units::{Rate, Share};
use crate::analysis::timers::{Checks, Settings, Watch};
use crate::kernel::Span;
use crate::{client, haproxy, redis, sentinel};

/// A scenario, checked: whoever holds one may run it without looking for mistakes.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name; names the run folder.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub description: String,
    /// How long it runs from time 0.
    pub duration: Span,
    /// All faults of a run are shifted by one random time in `[0, phase)`.
    pub phase: Span,
    /// How many of what.
    pub stack: Stack,
    /// The settings of `redis-1`, `redis-2`, … in this order.
    pub redis: Vec<redis::Config>,
    /// The settings of `sentinel-1`, `sentinel-2`, … in this order.
    pub sentinel: Vec<sentinel::Config>,
    /// The settings of HAProxy, whether the stack has one or not.
    pub haproxy: haproxy::Config,
    /// What nodes are called in logs and reports, where the file gives them a name of their own.
    pub called: Vec<(NodeRef, String)>,
    /// The links between hosts.
    pub network: Network,
    /// The client programs, in the order of the file.
    pub clients: Vec<client::Config>,
    /// The fault script, in the order of time; at the same time in the order of the file.
    pub faults: Vec<Fault>,
    /// What must hold at the end of a run.
    pub expect: Option<Expect>,
}

impl Scenario {
    /// The name under which the Sentinels monitor the master: one for all of them.
    pub fn master_name(&self) -> &str {
        self.sentinel.first().map_or("mymaster", |config| config.master_name.as_str())
    }
}

/// How many nodes of each kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stack {
    /// Redis nodes, of which redis-1 is the first master. Demo: 3.
    pub redis: u16,
    /// Sentinels. Demo: 3.
    pub sentinels: u16,
    /// Whether clients go through HAProxy, as in the demo, or ask a Sentinel for the master. Without HAProxy and Sentinels
    /// they connect to redis-1.
    pub haproxy: bool,
}

impl Stack {
    /// How a client finds Redis if it does not say so: through HAProxy, by asking a Sentinel, or, where there is neither, at
    /// the address of redis-1.
    pub fn usual_way(self) -> client::Via {
        match (self.haproxy, self.sentinels) {
            (true, _) => client::Via::Proxy,
            (false, 0) => client::Via::Address,
            (false, _) => client::Via::Sentinels,
        }
    }

    /// The most nodes of one kind: up to here the simulator was measured (docs/performance.md).
    pub const MOST: u16 = 1_000;
    /// The most nodes of one kind in a real stack: more have no address on its network.
    pub const MOST_REAL: u16 = 64;
}

impl Default for Stack {
    /// The demo.
    fn default() -> Self {
        Stack { redis: 3, sentinels: 3, haproxy: true }
    }
}

/// The links between hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Every link that is not in `links`.
    pub default: Link,
    /// Links of their own: the names of both ends (nodes or hosts of clients) and what the link does, both ways.
    pub links: Vec<(String, String, Link)>,
}

/// What a link does to a packet, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// Least time from one end to the other. Default: one Ethernet bridge.
    pub latency: Span,
    /// Further time, drawn for every packet evenly between zero and this.
    pub jitter: Span,
    /// The share of packets that are lost, 0.0 to 1.0.
    pub loss: Share,
    /// What the link carries in a second, such as "100mbit".
    pub rate: Rate,
}

impl Default for Link {
    /// The bridge of the reference stack: well under 0.1 ms, nothing lost, no limit.
    fn default() -> Self {
        Link {
            latency: Span::from_micros(50),
            jitter: Span::from_micros(20),
            loss: Share::NEVER,
            rate: Rate::UNLIMITED,
        }
    }
}

impl Scenario {
    /// The settings that decide how long a failover takes.
    pub fn timer_settings(&self) -> Settings {
        let watch = |config: &sentinel::Config| Watch {
            down_after_ms: Some(config.down_after_milliseconds),
            failover_timeout_ms: Some(config.failover_timeout),
            quorum: Some(u64::from(config.quorum)),
            parallel_syncs: Some(u64::from(config.parallel_syncs)),
        };
        let name = |node: NodeRef| {
            let called = self.called.iter().find(|(own, _)| *own == node);
            called.map_or_else(|| node.to_string(), |(_, name)| name.clone())
        };
        let names = (1..=self.stack.sentinels).map(|number| name(NodeRef::Sentinel(number)));
        let proxy = &self.haproxy;
        let checks = Checks {
            inter_ms: proxy.inter.as_millis(),
            fastinter_ms: proxy.fastinter.map(Span::as_millis),
            downinter_ms: proxy.downinter.map(Span::as_millis),
            fall: proxy.fall,
            rise: proxy.rise,
        };
        Settings {
            sentinels: names.zip(self.sentinel.iter().map(watch)).collect(),
            proxy: self.stack.haproxy.then_some(checks),
        }
    }
}
