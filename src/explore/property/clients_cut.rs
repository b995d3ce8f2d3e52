//! Always: a server whose role a Sentinel changes closes its clients.
//!
//! Source: `sentinelSendSlaveOf`: `CLIENT KILL TYPE normal` and `TYPE pubsub` in the transaction that changes the role.
//! So no client reads `-READONLY` on a connection that is older than the demotion. Who answered follows from the causes
//! of events.

use super::disturbances::{disturbances, was_told, was_told_failover};
use super::replica_writes::answered_by;
use super::{Answer, Kind, Property};
use crate::analysis::faults::Window;
use crate::explore::observe::{Needs, Run};
use crate::record::{ConnectEnd, Effect, Event, Op, Outcome, What};

pub(super) const PROPERTY: Property = Property {
    name: "demotion-cuts-clients",
    kind: Kind::Always,
    says: "no client is answered READONLY on a connection older than the demotion by a Sentinel",
    source: "sentinelSendSlaveOf: CLIENT KILL TYPE normal, pubsub (sentinel.c)",
    needs: Needs { trace: true, repetition: false },
    check,
};

/// A connection that a client opened may have waited for its server's accept for so long.
const ACCEPT_US: i64 = 5_000_000;

fn check(run: &Run) -> Answer {
    // Only what a Sentinel sends has CLIENT KILL with it.
    let by_hand = was_told(run, &["REPLICAOF", "SLAVEOF"]) || was_told_failover(run);
    // A proxy that stands still, or that packets do not reach, opens its own side of a connection late: what the client
    // opened before the demotion may lead to a session after it. A server that stands still accepts late.
    let all = disturbances(run);
    let still = |fault: &Window| fault.effect() == Effect::Stops;
    let proxy = run.layout.haproxy().map(|node| run.name(node));
    if by_hand || all.iter().any(|fault| proxy.is_some_and(|proxy| fault.hits(proxy))) || run.result.trace.is_none() {
        return Answer::Moot;
    }
    let records = &run.recording().records;
    let mut answer = Answer::Moot;
    for record in records {
        let What::Op(Op::Set { outcome: Outcome::Readonly, took, .. }) = record.what else { continue };
        let Some((server, answered, during)) = answered_by(run, record.during) else { continue };
        let at = run.recording().micros(answered);
        // An attempt's time is that of its beginning; its connection may have opened after that.
        let opened = records.iter().rev().find(|other| {
            let opens = matches!(other.what, What::Op(Op::Connect(ConnectEnd::Open)));
            opens && other.node == record.node && other.time <= record.time + took
        });
        let demoted = records.iter().rev().find(|earlier| {
            let changed = matches!(&earlier.what, What::Event(Event::Redis(event)) if event.follows().is_some());
            // A log line has its millisecond only: what came first the events tell.
            earlier.node == server && changed && earlier.during < during
        });
        let (Some(opened), Some(demoted)) = (opened, demoted) else { continue };
        let since = run.recording().micros(opened.time) - ACCEPT_US;
        if all.iter().any(|fault| still(fault) && fault.hits(run.name(server)) && fault.overlaps(since, at)) {
            continue;
        }
        answer = Answer::Holds;
        if opened.time < demoted.time {
            let (client, server) = (run.name(record.node), run.name(server));
            return Answer::found(
                at,
                format!("{client} is answered READONLY by {server}, which did not close its connection"),
            );
        }
    }
    answer
}
