//! Always: a Sentinel votes once an epoch, its restarts included, and its vote is on disk before it is told.
//!
//! Source: `sentinelVoteLeader`: `leader_epoch` is raised and `sentinelFlushConfig` called before the reply is sent.

use std::collections::BTreeMap;

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, SentinelEvent, What};
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
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(SentinelEvent::VoteForLeader(_, epoch))) = record.what else { continue };
        let at = run.recording().micros(record.time);
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
