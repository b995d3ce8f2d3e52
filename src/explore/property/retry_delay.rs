//! Always: a Sentinel starts no failover by itself within 2 × failover-timeout of its last attempt or of a vote for
//! another.
//!
//! Source: `sentinelStartFailoverIfNeeded` with `failover_start_time`, which `sentinelStartFailover` and
//! `sentinelVoteLeader` set (each up to 1 s into the future: the desynchronisation). A switch forgets it.

use std::collections::BTreeMap;

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Effect, Event, NodeKind, SentinelEvent, SentinelEventKind, What};
use crate::wire::{NodeId, RunId};

pub(super) const PROPERTY: Property = Property {
    name: "retry-delay",
    kind: Kind::Always,
    says: "between two attempts of a Sentinel lie 2 × failover-timeout",
    source: "sentinelStartFailoverIfNeeded (sentinel.c); redis.io: failover-timeout",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    // Wall clocks that jump move the delay, and commands may change or skip it.
    let is_sentinel = |name: &String| run.recording().names.kind_of(name) == Some(NodeKind::Sentinel);
    let odd = run.analysis.faults.iter().any(|fault| match fault.effect() {
        Effect::Skews => true,
        Effect::Commands => fault.nodes.iter().any(is_sentinel),
        _ => false,
    });
    if odd {
        return Answer::Moot;
    }
    let mut last: BTreeMap<NodeId, i64> = BTreeMap::new();
    let mut own: BTreeMap<NodeId, RunId> = BTreeMap::new();
    let mut attempts = 0;
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(event)) = &record.what else { continue };
        let at = run.recording().micros(record.time);
        match event {
            SentinelEvent::Id(id) => {
                own.insert(record.node, *id);
                last.remove(&record.node);
            }
            SentinelEvent::SwitchMaster(..) => {
                last.remove(&record.node);
            }
            // For itself: the attempt counts, which began before its file was on the disk.
            SentinelEvent::VoteForLeader(candidate, _) if own.get(&record.node) == Some(candidate) => {}
            SentinelEvent::VoteForLeader(..) => {
                last.insert(record.node, at);
            }
            SentinelEvent::About(SentinelEventKind::ConvertToSlave | SentinelEventKind::ResetMaster, _) => {}
            SentinelEvent::About(SentinelEventKind::TryFailover, _) => {
                attempts += 1;
                let place = record.node.0 as usize - run.layout.all_redis().count();
                let delay = run.case.scenario.sentinel[place].failover_timeout as i64 * 2_000;
                if let Some(earlier) = last.insert(record.node, at)
                    && at - earlier < delay - 2_000
                {
                    let after = (at - earlier) as f64 / 1e6;
                    let what =
                        format!("{} tries again {after:.3} s after its last vote or attempt", run.name(record.node));
                    return Answer::found(at, what);
                }
            }
            _ => {}
        }
    }
    if attempts == 0 { Answer::Moot } else { Answer::Holds }
}
