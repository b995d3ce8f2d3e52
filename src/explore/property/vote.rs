//! Always: a Sentinel votes once an epoch, its restarts included, and its vote is on disk before it is told.
//!
//! Source: `sentinelVoteLeader`: `leader_epoch` is raised and `sentinelFlushConfig` called before the reply is sent. The
//! vote belongs to the monitored master: after SENTINEL REMOVE the file has none, and a master that is monitored anew
//! begins with no vote, so that a Sentinel may vote a second time in the epoch that is current (`createSentinelRedisInstance`
//! sets `leader_epoch` to 0; `sentinelVoteLeader` asks for `current_epoch <= req_epoch`). A Sentinel whose disk is full votes and
//! does not remember it.

use std::collections::BTreeMap;

use super::disturbances::disk_was_full;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, SentinelEvent, SentinelEventKind, What};
use crate::wire::NodeId;

pub(super) const PROPERTY: Property = Property {
    name: "one-vote-an-epoch",
    kind: Kind::Always,
    says: "a Sentinel votes once an epoch, and its vote survives a restart",
    source: "sentinelVoteLeader (sentinel.c)",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let mut last: BTreeMap<NodeId, Vec<(i64, u32)>> = BTreeMap::new();
    let mut removed: BTreeMap<NodeId, i64> = BTreeMap::new();
    for record in &run.recording().records {
        let at = run.recording().micros(record.time);
        let epoch = match record.what {
            What::Event(Event::Sentinel(SentinelEvent::VoteForLeader(_, epoch))) => epoch,
            What::Event(Event::Sentinel(SentinelEvent::About(SentinelEventKind::MonitorRemoved, _))) => {
                last.remove(&record.node);
                removed.insert(record.node, at);
                continue;
            }
            _ => continue,
        };
        if disk_was_full(run, record.node) {
            continue;
        }
        let votes = last.entry(record.node).or_default();
        if let Some((_, earlier)) = votes.last()
            && *earlier >= epoch
        {
            let what = format!("{} votes in epoch {epoch} after it voted in epoch {earlier}", run.name(record.node));
            return Answer::found(at, what);
        }
        votes.push((at, epoch));
    }
    if last.is_empty() {
        return Answer::Moot;
    }
    for (node, votes) in &last {
        let place = node.0 as usize - run.layout.all_redis().count();
        for sample in &run.samples {
            let Some(view) = &sample.sentinels[place] else { continue };
            if removed.get(node).is_some_and(|at| sample.at_us <= *at) {
                continue;
            }
            // The line's time is that of the event during which the file was written.
            let told = votes.iter().rev().find(|(at, _)| *at + 1_000 < sample.at_us);
            if let Some((_, epoch)) = told
                && view.vote_epoch < *epoch
            {
                let what = format!("{}'s file does not hold its vote of epoch {epoch}", run.name(*node));
                return Answer::found(sample.at_us, what);
            }
        }
    }
    Answer::Holds
}
