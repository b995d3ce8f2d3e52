//! Always: a replica never answers a write with OK.
//!
//! Source: redis.conf on `replica-read-only`; `processCommand` (server.c). Who answered follows from the causes of the
//! events: the reply that the client read was caused, step by step, by the server that sent it.

use super::{Answer, Kind, Property};
use crate::explore::observe::{Needs, Run};
use crate::kernel::{EventId, Time};
use crate::record::{Op, What};
use crate::wire::{NodeId, Role};
use crate::world::Seat;

pub(super) const PROPERTY: Property = Property {
    name: "replicas-refuse-writes",
    kind: Kind::Always,
    says: "no SET is answered with OK by a server that is a replica",
    source: "processCommand: -READONLY (server.c)",
    needs: Needs { trace: true, repetition: false },
    check,
};

/// Causes that are followed back from a client's reply: the proxy, a wake-up, packets.
const STEPS_MAX: usize = 32;

fn check(run: &Run) -> Answer {
    if run.result.trace.is_none() {
        return Answer::Moot;
    }
    if run.case.scenario.redis.iter().any(|config| !config.replica_read_only) {
        return Answer::Moot;
    }
    let mut answer = Answer::Moot;
    for record in &run.recording().records {
        let What::Op(Op::Set { seq, outcome, .. }) = record.what else { continue };
        if !outcome.is_acknowledged() {
            continue;
        }
        let Some((node, at, _)) = answered_by(run, record.during) else { continue };
        let at = run.recording().micros(at);
        let index = run.samples.partition_point(|sample| sample.at_us <= at);
        let around = [index.checked_sub(1).and_then(|i| run.samples.get(i)), run.samples.get(index)];
        let is_replica = around.iter().all(|sample| {
            let view = sample.and_then(|sample| sample.redis[node.0 as usize]);
            view.is_some_and(|view| view.role == Some(Role::Slave))
        });
        answer = Answer::Holds;
        if is_replica {
            return Answer::found(at, format!("{}, a replica, answers SET k:{seq} with OK", run.name(node)));
        }
    }
    answer
}

/// The Redis server whose event led to the event in which a client read a reply, when that was, and that event.
pub(super) fn answered_by(run: &Run, read_in: EventId) -> Option<(NodeId, Time, EventId)> {
    let trace = run.result.trace.as_ref()?;
    let mut event = read_in;
    for _ in 0..STEPS_MAX {
        let traced = trace.get(event.0 as usize)?;
        let is_server = |node: &NodeId| matches!(run.layout.seats[node.0 as usize], Seat::Redis(_));
        if let Some(node) = traced.node.filter(is_server) {
            return Some((node, traced.time, event));
        }
        event = traced.cause;
    }
    None
}
