//! Always: at most one leader an epoch.
//!
//! Source: Redis documentation, "High availability with Redis Sentinel", on configuration epochs: "every time a Sentinel
//! is authorized, it gets a unique configuration epoch". A Sentinel that was told `SENTINEL FAILOVER` leads without
//! votes (`SRI_FORCE_FAILOVER`), so such an election does not count. Nor does it say anything of a stack in which a Sentinel could
//! not write its vote: it may vote again after a restart.

use std::collections::BTreeMap;

use super::disturbances::disk_was_full;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, SentinelEvent, SentinelEventKind, What};
use crate::wire::NodeId;

pub(super) const PROPERTY: Property = Property {
    name: "one-leader-an-epoch",
    kind: Kind::Always,
    says: "in no epoch are two Sentinels elected, nor one twice",
    source: "redis.io, High availability with Redis Sentinel: configuration epochs; sentinelGetLeader",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let mut epochs: BTreeMap<NodeId, u32> = BTreeMap::new();
    // Of each one's attempt: the epoch, which stays its own if it learns of a later one, and whether it needs no votes.
    let mut attempts: BTreeMap<NodeId, (u32, bool)> = BTreeMap::new();
    let mut leaders: BTreeMap<u32, NodeId> = BTreeMap::new();
    let mut user = false;
    if run.layout.all_sentinels().any(|node| disk_was_full(run, node)) {
        return Answer::Moot;
    }
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(event)) = &record.what else { continue };
        match event {
            SentinelEvent::UserFailover(_) => user = true,
            SentinelEvent::NewEpoch(epoch) => {
                epochs.insert(record.node, *epoch);
            }
            SentinelEvent::About(SentinelEventKind::TryFailover, _) => {
                let epoch = epochs.get(&record.node).copied().unwrap_or(0);
                attempts.insert(record.node, (epoch, std::mem::take(&mut user)));
            }
            SentinelEvent::About(SentinelEventKind::ElectedLeader, _) => {
                let (epoch, forced) = attempts.get(&record.node).copied().unwrap_or_default();
                if forced {
                    continue;
                }
                if let Some(other) = leaders.insert(epoch, record.node) {
                    let (first, second) = (run.name(other), run.name(record.node));
                    let what = format!("{second} is elected leader of epoch {epoch}, in which {first} was elected");
                    return Answer::found(run.recording().micros(record.time), what);
                }
            }
            _ => {}
        }
    }
    if leaders.is_empty() { Answer::Moot } else { Answer::Holds }
}
