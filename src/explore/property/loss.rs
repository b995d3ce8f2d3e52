//! Always: no acknowledged write is lost unless a fault of a documented kind overlapped it.
//!
//! Source: redis.io, "High availability with Redis Sentinel": replication is asynchronous, so writes that the promoted
//! replica has not got are lost, and all that a master accepts while it is cut off; redis.io, "Redis replication": a
//! master without persistence that is started again is empty, and so are then its replicas.
//!
//! Documented: a Redis server that dies, is paused or stalled; a link of one that is cut or slow; a Redis server that is
//! started again; REPLICAOF and FAILOVER by hand. Sentinels that are disturbed may fail over a healthy master (a quorum
//! of them cut off from it). Faults of HAProxy and of clients excuse nothing.

use super::disturbances::{disturbances, failover_timeout_us, hits_redis};
use super::{Answer, Kind, Property, RECORDING};
use crate::analysis::faults::Window;
use crate::client;
use crate::explore::observe::Run;
use crate::record::{Effect, NodeKind, Op, What};

pub(super) const PROPERTY: Property = Property {
    name: "no-undocumented-loss",
    kind: Kind::Always,
    says: "an acknowledged write is lost only near a fault of a kind that is documented to lose writes",
    source: "redis.io: Sentinel, asynchronous replication; Redis replication, safety without persistence",
    needs: RECORDING,
    check,
};

/// A write this long before a fault may not have reached the replicas yet.
const LAG_US: i64 = 1_500_000;

/// Whether a fault is of a kind that is documented to lose writes.
fn is_documented(run: &Run, fault: &Window) -> bool {
    let is_server =
        |name: &String| matches!(run.recording().names.kind_of(name), Some(NodeKind::Redis | NodeKind::Sentinel));
    match fault.effect() {
        Effect::Cuts | Effect::Slows => true,
        Effect::Skews => false,
        _ => fault.nodes.iter().any(is_server),
    }
}

fn check(run: &Run) -> Answer {
    if !run.case.scenario.clients.iter().any(client::Config::writes) {
        return Answer::Moot;
    }
    if run.analysis.final_master.is_none() {
        return Answer::Moot;
    }
    let all: Vec<&Window> = disturbances(run).into_iter().filter(|fault| is_documented(run, fault)).collect();
    // Until the Sentinels have settled it: an attempt may wait for twice the timeout, and take it once more.
    let settle = 3 * failover_timeout_us(run) + 60_000_000;
    // A server that starts again without its data takes everything with it that was written before.
    let started = all
        .iter()
        .filter(|fault| fault.effect() == Effect::Starts && hits_redis(run, fault))
        .map(|fault| fault.from_us);
    let started = started.max();
    let excused = |at: i64| {
        started.is_some_and(|started| at < started + settle)
            || all.iter().any(|fault| fault.overlaps(at - settle, at + LAG_US))
    };
    // A split brain that began near such a fault lasts for as long as nobody ends it, and what the loser takes is lost.
    let split = |at: i64| {
        let at = at.min(run.analysis.end_us);
        let mut windows = run.analysis.masters.two.iter().filter(|window| window.from_us <= at && at <= window.to_us);
        windows.any(|window| excused(window.from_us))
    };
    for (node, seq) in &run.result.lost_writes {
        let when = run.recording().records.iter().find_map(|record| match record.what {
            What::Op(Op::Set { seq: found, outcome, took, waited, .. })
                if outcome.is_acknowledged() && record.node == *node && found == *seq =>
            {
                Some(run.recording().micros(record.time) + ((took - waited).0 / 1_000) as i64)
            }
            _ => None,
        });
        let Some(at) = when else { continue };
        if !excused(at) && !split(at) {
            let what =
                format!("SET k:{seq} of {} was acknowledged, and the final master has not got it", run.name(*node));
            return Answer::found(at, what);
        }
    }
    Answer::Holds
}
