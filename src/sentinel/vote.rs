//! Votes and election (spec 9).

use super::instance::Master;
use super::process::{DESYNC_MS, Pass};
use crate::record::SentinelEvent;
use crate::wire::RunId;

impl Master {
    /// Votes once an epoch, first come first served, written to disk before it is told; returns the vote held
    /// (spec 9.1; `sentinelVoteLeader`).
    pub(super) fn vote_leader(
        &mut self,
        request_epoch: u32,
        candidate: RunId,
        pass: &mut Pass<'_>,
    ) -> (Option<RunId>, u32) {
        if request_epoch > pass.process.current_epoch {
            pass.process.current_epoch = request_epoch;
            self.flush(pass);
            pass.log(|| SentinelEvent::NewEpoch(request_epoch));
        }
        if self.own.leader_epoch < request_epoch && pass.process.current_epoch <= request_epoch {
            let epoch = pass.process.current_epoch;
            self.own.leader = Some(candidate);
            self.own.leader_epoch = epoch;
            self.flush(pass);
            pass.log(|| SentinelEvent::VoteForLeader(candidate, epoch));
            if candidate != pass.process.id {
                self.failover_start_time = pass.now() + pass.process.rand(DESYNC_MS) as i64;
            }
        }
        (self.own.leader, self.own.leader_epoch)
    }

    /// Who leads in `epoch`, if anybody has both the majority of all Sentinels ever known and the quorum (spec 9.3;
    /// `sentinelGetLeader`).
    pub(super) fn leader(&mut self, epoch: u32, pass: &mut Pass<'_>) -> Option<RunId> {
        let voters = self.sentinels.len() as u32 + 1;
        let mut counts: Vec<(RunId, u32)> = Vec::with_capacity(self.sentinels.len() + 1);
        fn count(counts: &mut Vec<(RunId, u32)>, id: RunId) -> u32 {
            match counts.iter_mut().find(|(known, _)| *known == id) {
                Some((_, votes)) => {
                    *votes += 1;
                    *votes
                }
                None => {
                    counts.push((id, 1));
                    1
                }
            }
        }
        for sentinel in &self.sentinels {
            if let Some(leader) = sentinel.leader
                && sentinel.leader_epoch == pass.process.current_epoch
            {
                count(&mut counts, leader);
            }
        }
        // On a tie the first in the order of the hash table stays.
        counts.sort_unstable_by_key(|(id, _)| pass.process.hash(id.0));
        let mut winner: Option<RunId> = None;
        let mut votes_max = 0;
        for &(id, votes) in &counts {
            if votes > votes_max {
                (winner, votes_max) = (Some(id), votes);
            }
        }
        let my_candidate = winner.unwrap_or(pass.process.id);
        let (mine, mine_epoch) = self.vote_leader(epoch, my_candidate, pass);
        if let Some(mine) = mine
            && mine_epoch == epoch
        {
            let votes = count(&mut counts, mine);
            if votes > votes_max {
                (winner, votes_max) = (Some(mine), votes);
            }
        }
        winner.filter(|_| votes_max >= voters / 2 + 1 && votes_max >= self.quorum)
    }
}
