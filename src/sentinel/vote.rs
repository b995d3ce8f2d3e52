//! Votes and election (spec 9).

use super::instance::Master;
use super::process::{DESYNC_MS, Pass};
use crate::mistake::Mistake;
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
        let again = pass.out.mistaken(Mistake::VotesTwice) && candidate != pass.process.id;
        if (self.own.leader_epoch < request_epoch || again) && pass.process.current_epoch <= request_epoch {
            let epoch = pass.process.current_epoch;
            self.own.leader = Some(candidate);
            self.own.leader_epoch = epoch;
            if !pass.out.mistaken(Mistake::VoteNotPersisted) {
                self.flush(pass);
            }
            pass.log(|| SentinelEvent::VoteForLeader(candidate, epoch));
            if candidate != pass.process.id {
                let desync = pass.process.rand(DESYNC_MS) as i64;
                self.failover_start_time = pass.now() + if pass.out.mistaken(Mistake::NoDesync) { 0 } else { desync };
                self.note_delay(Some(candidate), pass);
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
        let majority = if pass.out.mistaken(Mistake::QuorumIsEnough) { 0 } else { voters / 2 };
        winner.filter(|_| votes_max > majority && votes_max >= self.quorum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::kernel::{Purpose, Span, Stream};
    use crate::program::{Input, Volume};
    use crate::record::SentinelEvent;
    use crate::sentinel::testing::{Lab, addr, short};
    use crate::sentinel::{Config, Sentinel, Setup};
    use crate::wire::{Command, GroupId, Reply, RunId, SentinelCommand, SentinelReply};

    fn vote(lab: &mut Lab, epoch: u32, candidate: u64) -> (Option<RunId>, u32) {
        let question =
            SentinelCommand::IsMasterDownByAddr { master: addr(1), epoch, candidate: Some(RunId(candidate)) };
        let Reply::Sentinel(reply) = lab.ask(question) else { panic!("it answers") };
        let SentinelReply::MasterDown { leader, leader_epoch, .. } = *reply else { panic!("with three elements") };
        (leader, leader_epoch)
    }

    #[test]
    fn one_vote_an_epoch_first_come_first_served_whatever_the_voter_thinks() {
        let mut lab = Lab::ready(1, 2);
        lab.events();
        assert_eq!(vote(&mut lab, 3, 12), (Some(RunId(12)), 3));
        assert_eq!(vote(&mut lab, 3, 13), (Some(RunId(12)), 3));
        assert_eq!(vote(&mut lab, 2, 13), (Some(RunId(12)), 3));
        assert_eq!(lab.lines(), ["+new-epoch 3", "+vote-for-leader 12 3"]);
        assert_eq!(vote(&mut lab, 4, 13), (Some(RunId(13)), 4));
    }

    #[test]
    fn a_restarted_voter_does_not_vote_twice() {
        let mut lab = Lab::ready(1, 2);
        vote(&mut lab, 3, 12);
        let state = lab.sentinel.persisted();
        assert_eq!((state.current_epoch, state.masters[&GroupId::ONLY].leader_epoch), (3, 3));
        let setup = Setup {
            config: Config::default(),
            me: addr(11),
            id: RunId(999),
            program: Stream::named(9, 1, Purpose::Program),
            work: Stream::named(9, 1, Purpose::Work),
            state: Some(state),
            masters: [(GroupId::ONLY, addr(1))].into(),
        };
        lab.sentinel = Sentinel::new(setup);
        lab.bench.pass(0, |out| lab.sentinel.handle(Input::Start, out));
        assert_eq!(lab.sentinel.knows(GroupId::ONLY), (1, 2), "known objects are back at once");
        assert_eq!(lab.sentinel.id(), RunId(11));
        assert_eq!(vote(&mut lab, 3, 13), (None, 3));
    }

    /// On a disk whose `fsync` takes a second the epoch is written and then the vote, three of them each.
    #[test]
    fn a_voter_that_is_killed_while_it_writes_leaves_what_has_its_name_behind() {
        let mut lab = Lab::ready(1, 2);
        lab.sentinel.set_volume(Volume { fsync: Span::from_secs(1), ..Volume::default() });
        let began = lab.bench.now;
        let question = SentinelCommand::IsMasterDownByAddr { master: addr(1), epoch: 3, candidate: Some(RunId(12)) };
        lab.command(Command::Sentinel(Box::new(question)));
        let left = |after_ms: u64, power_lost: bool| {
            let file = lab.sentinel.left_behind(began + Span::from_millis(after_ms), power_lost);
            (file.current_epoch, file.masters[&GroupId::ONLY].leader_epoch)
        };
        let killed = [500, 1_500, 3_500, 4_500].map(|after_ms| left(after_ms, false));
        assert_eq!(killed, [(0, 0), (3, 0), (3, 0), (3, 3)]);
        let without_power = [1_500, 3_500, 4_500, 6_500].map(|after_ms| left(after_ms, true));
        assert_eq!(without_power, [(0, 0), (3, 0), (3, 0), (3, 3)]);
    }

    #[test]
    fn the_majority_counts_the_dead_and_an_election_ends_after_its_timeout() {
        let config = Config { quorum: 1, failover_timeout: 3_000, ..Config::default() };
        let mut lab = Lab::ready_with(config, 1, 2);
        lab.events();
        lab.kill(12);
        lab.kill(13);
        lab.kill(1);
        lab.run(25_000);
        let events = lab.events();
        let times = |what: &str| -> Vec<u64> {
            events.iter().filter(|(_, event)| short(event) == what).map(|(time, _)| *time).collect()
        };
        let (tries, aborts) = (times("+try-failover 1"), times("-failover-abort-not-elected 1"));
        assert!(tries.len() >= 3 && times("+elected-leader 1").is_empty());
        for (begin, end) in tries.iter().zip(&aborts) {
            assert!((3_000..=4_105).contains(&(end - begin)), "timeout plus a draw: {}", end - begin);
        }
        for pair in tries.windows(2) {
            assert!((6_000..=7_105).contains(&(pair[1] - pair[0])), "twice the failover timeout: {pair:?}");
        }
    }

    #[test]
    fn the_election_timeout_is_at_most_ten_seconds() {
        let config = Config { quorum: 1, failover_timeout: 60_000, ..Config::default() };
        let mut lab = Lab::ready_with(config, 1, 2);
        lab.kill(12);
        lab.kill(13);
        lab.kill(1);
        lab.run(20_000);
        let events = lab.events();
        let at = |what: &str| events.iter().find(|(_, event)| short(event) == what).map(|(time, _)| *time);
        let took = at("-failover-abort-not-elected 1").expect("given up") - at("+try-failover 1").expect("begun");
        assert!((10_000..=11_105).contains(&took), "{took}");
    }

    #[test]
    fn a_voter_waits_twice_the_failover_timeout_from_its_vote() {
        let mut lab = Lab::ready(1, 2);
        lab.kill(1);
        lab.run(6_000);
        let voted = lab.now_ms();
        vote(&mut lab, 1, 12);
        lab.peer(12).thinks_down = true;
        lab.events();
        lab.run(22_000);
        let events = lab.events();
        let begun = events.iter().find(|(_, e)| short(e) == "+try-failover 1").map(|(time, _)| time - voted);
        assert!((20_000..=21_205).contains(&begun.expect("it tries")), "{begun:?}");
        assert!(events.iter().any(|(_, e)| matches!(e, SentinelEvent::NextFailoverDelay(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn under_any_requests_votes_never_change_and_epochs_never_go_back(
            requests in prop::collection::vec((0u8..3, 1u32..8, 12u16..15), 1..60)
        ) {
            let mut lab = Lab::ready(1, 1);
            let mut given: std::collections::BTreeMap<u32, RunId> = Default::default();
            let mut epoch_before = 0;
            for (kind, epoch, host) in requests {
                match kind {
                    0 => lab.hear(host, epoch, addr(1), epoch % 3),
                    1 => lab.run(200),
                    _ => {
                        let (leader, leader_epoch) = vote(&mut lab, epoch, host as u64);
                        if let Some(leader) = leader {
                            prop_assert_eq!(*given.entry(leader_epoch).or_insert(leader), leader);
                            let disk = lab.sentinel.persisted();
                            prop_assert_eq!(disk.masters[&GroupId::ONLY].leader_epoch, leader_epoch);
                        }
                    }
                }
                prop_assert!(lab.sentinel.current_epoch() >= epoch_before);
                epoch_before = lab.sentinel.current_epoch();
            }
            let votes: Vec<u32> = lab.events().iter().filter_map(|(_, event)| match event {
                SentinelEvent::VoteForLeader(_, epoch) => Some(*epoch),
                _ => None,
            }).collect();
            prop_assert!(votes.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", votes);
        }
    }
}
