//! Always: no failover without the votes of a majority of the known Sentinels and of the quorum.
//!
//! Source: `sentinelGetLeader`: "to win, a Sentinel needs 50 % + 1 of all the Sentinels ever known, and at least the
//! quorum"; the majority counts the dead. `SENTINEL FAILOVER` needs no votes.

use std::collections::{BTreeMap, BTreeSet};

use super::disturbances::was_told;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, SentinelEvent, SentinelEventKind, What};
use crate::wire::{NodeId, RunId};

pub(super) const PROPERTY: Property = Property {
    name: "majority-and-quorum",
    kind: Kind::Always,
    says: "a leader has the votes of a majority of all Sentinels and of the quorum",
    source: "sentinelGetLeader (sentinel.c); redis.io: Sentinel quorum",
    needs: RECORDING,
    check,
};

/// What a Sentinel knows of the election in which it stands.
#[derive(Default)]
struct Stand {
    id: Option<RunId>,
    epoch: u32,
    /// The epoch of its attempt: its own vote counts in that, those of the others in the current one (`sentinelGetLeader`).
    tries: u32,
    forced: bool,
    /// Votes by voter: the epoch and for whom.
    votes: BTreeMap<RunId, (u32, RunId)>,
}

fn check(run: &Run) -> Answer {
    if was_told(run, &["RESET", "REMOVE"]) {
        return Answer::Moot;
    }
    let mut stands: BTreeMap<NodeId, Stand> = BTreeMap::new();
    let mut elections = 0;
    let mut user: BTreeSet<NodeId> = BTreeSet::new();
    let all = run.layout.all_sentinels().count();
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(event)) = &record.what else { continue };
        let stand = stands.entry(record.node).or_default();
        match event {
            SentinelEvent::Id(id) => stand.id = Some(*id),
            SentinelEvent::UserFailover(_) => {
                user.insert(record.node);
            }
            SentinelEvent::NewEpoch(epoch) => stand.epoch = *epoch,
            SentinelEvent::About(SentinelEventKind::TryFailover, _) => {
                (stand.forced, stand.tries) = (user.remove(&record.node), stand.epoch);
            }
            SentinelEvent::VoteForLeader(candidate, epoch) => {
                if let Some(me) = stand.id {
                    stand.votes.insert(me, (*epoch, *candidate));
                }
            }
            SentinelEvent::VotedFor(voter, candidate, epoch) => {
                stand.votes.insert(*voter, (*epoch, *candidate));
            }
            SentinelEvent::About(SentinelEventKind::ElectedLeader, _) if !stand.forced => {
                elections += 1;
                let Some(me) = stand.id else { continue };
                let counts = |(voter, vote): &(&RunId, &(u32, RunId))| {
                    **vote == (if **voter == me { stand.tries } else { stand.epoch }, me)
                };
                let votes = stand.votes.iter().filter(counts).count();
                let quorum = quorum_of(run, record.node);
                if votes <= all / 2 || votes < quorum {
                    let what = format!(
                        "{} is elected leader of epoch {} with {votes} votes of {all} Sentinels, quorum {quorum}",
                        run.name(record.node),
                        stand.epoch,
                    );
                    return Answer::found(run.recording().micros(record.time), what);
                }
            }
            _ => {}
        }
    }
    if elections == 0 { Answer::Moot } else { Answer::Holds }
}

/// The quorum that a Sentinel was started with; `SENTINEL SET` may have lowered it.
fn quorum_of(run: &Run, node: NodeId) -> usize {
    let place = run.layout.all_sentinels().position(|sentinel| sentinel == node).expect("it is a Sentinel");
    if was_told(run, &["quorum"]) { 1 } else { run.case.scenario.sentinel[place].quorum as usize }
}
