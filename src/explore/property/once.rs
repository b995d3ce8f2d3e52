//! Always: a subscriber sees each publisher's messages in order and none twice; with a client library that retries
//! after a lost reply, none more often than its attempts. A message whose publisher gave up waiting may come late: the
//! kernel goes on sending for a connection that is closed. A message that is older than the subscriber's connection comes by
//! the replication stream, and may come late and again: the publisher has moved to a server that the stream reaches later.
//! Servers that follow each other in a circle (an operator's REPLICAOF of a master to its own replica) hand a message round
//! until one of the links breaks: a server gives what it gets from its master on to its replicas and to its subscribers
//! (`replicationFeedStreamFromMasterStream`, `publishCommand`), and so gives its own message to its subscribers again. In
//! ten of ten runs of the real 7.0.15 a subscriber gets messages twice and out of order then. From the moment at which a
//! circle closes the property says nothing.
//!
//! Source: redis.io, "Redis Pub/Sub": at most once, in order on one connection. go-redis 8 sends a command up to
//! `MaxRetries` + 1 = 4 times (`Options.MaxRetries`, default 3).

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Kind, Property, RECORDING};
use crate::client::Kind as ClientKind;
use crate::explore::observe::Run;
use crate::kernel::Time;
use crate::record::{ConnectEnd, Effect, Event, Op, Outcome, RedisEvent, What};
use crate::wire::NodeId;

pub(super) const PROPERTY: Property = Property {
    name: "in-order-and-once",
    kind: Kind::Always,
    says: "a subscriber gets each publisher's messages in order and none twice",
    source: "redis.io, Redis Pub/Sub: at-most-once delivery; go-redis Options.MaxRetries",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let clients = &run.case.scenario.clients;
    let restarted = |place: u16| {
        let name = &clients[place as usize].name;
        run.analysis.faults.iter().any(|fault| fault.effect() == Effect::Starts && fault.hits(name))
    };
    let acknowledged = acknowledged(run);
    let circle = circle_closes(run);
    let mut late: BTreeMap<(NodeId, u16, u32), u32> = BTreeMap::new();
    let mut last: BTreeMap<(NodeId, u16), (u32, u32)> = BTreeMap::new();
    let mut published: BTreeMap<(NodeId, u32), i64> = BTreeMap::new();
    let mut connected: BTreeMap<NodeId, i64> = BTreeMap::new();
    for record in &run.recording().records {
        let at = run.recording().micros(record.time);
        if circle.is_some_and(|circle| record.time >= circle) {
            break;
        }
        let (publisher, seq) = match record.what {
            What::Op(Op::Receive { publisher, seq }) => (publisher, seq),
            What::Op(Op::Publish { seq, .. }) => {
                published.entry((record.node, seq)).or_insert(at);
                continue;
            }
            What::Op(Op::Connect(ConnectEnd::Open)) => {
                connected.insert(record.node, at);
                continue;
            }
            _ => continue,
        };
        let config = &clients[publisher as usize];
        debug_assert_eq!(config.kind, ClientKind::Publish, "only publishers publish");
        // A publisher that was started again counts from one again; side by side, connections overtake each other.
        if restarted(publisher) || config.connections > 1 {
            continue;
        }
        // An attempt that was given up is still on its way: the kernel goes on sending for a closed connection.
        let client = run.recording().client(publisher).expect("a publisher is a client");
        if !acknowledged.contains(&(client, seq)) {
            let times = late.entry((record.node, publisher, seq)).or_default();
            *times += 1;
            if config.habits().executions_max().is_some_and(|most| *times > most) {
                let (subscriber, name) = (run.name(record.node), &config.name);
                return Answer::found(at, format!("{subscriber} gets message {seq} of {name} {times} times"));
            }
            continue;
        }
        let begun = connected.get(&record.node).copied().unwrap_or(i64::MIN);
        let (newest, times) = last.entry((record.node, publisher)).or_insert((0, 0));
        if seq <= *newest && published.get(&(client, seq)).is_some_and(|time| *time < begun) {
            continue;
        }
        let (subscriber, name) = (run.name(record.node), &config.name);
        if seq > *newest {
            (*newest, *times) = (seq, 1);
        } else if seq == *newest {
            *times += 1;
            if config.habits().executions_max().is_some_and(|most| *times > most) {
                return Answer::found(at, format!("{subscriber} gets message {seq} of {name} {times} times"));
            }
        } else if config.habits().executions_max() == Some(1) {
            return Answer::found(at, format!("{subscriber} gets message {seq} of {name} after {newest}"));
        }
    }
    if last.is_empty() { Answer::Moot } else { Answer::Holds }
}

/// The messages whose PUBLISH succeeded.
fn acknowledged(run: &Run) -> BTreeSet<(NodeId, u32)> {
    run.recording()
        .records
        .iter()
        .filter_map(|record| match record.what {
            What::Op(Op::Publish { seq, outcome: Outcome::Ok, .. }) => Some((record.node, seq)),
            _ => None,
        })
        .collect()
}

/// The first moment at which servers follow each other in a circle, whether their links are up or not.
fn circle_closes(run: &Run) -> Option<Time> {
    let first = run.layout.redis(0);
    let config = |node: NodeId| &run.case.scenario.redis[node.0 as usize];
    let mut follows: BTreeMap<NodeId, NodeId> =
        run.layout.all_redis().filter(|node| *node != first).map(|node| (node, first)).collect();
    for record in &run.recording().records {
        match &record.what {
            What::Event(Event::Redis(event)) if event.follows().is_some() => {
                let master = run.layout.redis_at(event.follows()?)?;
                follows.insert(record.node, master);
            }
            What::Event(Event::Redis(event)) if event.leads() => {
                follows.remove(&record.node);
                continue;
            }
            // A server without a file begins as its command line says.
            What::Event(Event::Redis(RedisEvent::Ready)) if !config(record.node).config_file => {
                follows.remove(&record.node);
                if record.node != first {
                    follows.insert(record.node, first);
                }
            }
            _ => continue,
        }
        let mut at = record.node;
        for _ in 0..follows.len() {
            let Some(&master) = follows.get(&at) else { break };
            if master == record.node {
                return Some(record.time);
            }
            at = master;
        }
    }
    None
}
