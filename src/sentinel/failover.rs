//! The failover: start, state machine, choice of the replica, reconfiguration of the others (spec 10 to 14).

use std::cmp::Ordering;

use super::instance::{Instance, Master, flag};
use super::link::Callback;
use super::note::age;
use super::process::{DESYNC_MS, Pass};
use crate::kernel::Span;
use crate::mistake::Mistake;
pub(super) use crate::program::FailoverStep as State;
use crate::program::{Candidates, Note};
use crate::record::{SentinelEvent, SentinelEventKind};
use crate::wire::{Addr, ClientType, Command};

impl Instance {
    /// The transaction that changes a node's role and cuts its clients (spec 13; `sentinelSendSlaveOf`). False if there
    /// is no command connection.
    pub(super) fn send_slaveof(&mut self, to: Option<Addr>, pass: &mut Pass<'_>) -> bool {
        let keeps_clients = pass.out.mistaken(Mistake::ClientsNotKilled);
        [
            Command::Multi,
            Command::ReplicaOf(to),
            Command::ConfigRewrite,
            Command::ClientKill(ClientType::Normal),
            Command::ClientKill(ClientType::Pubsub),
            Command::Exec,
        ]
        .into_iter()
        .filter(|command| !(keeps_clients && matches!(command, Command::ClientKill(_))))
        .all(|command| self.link.send(command, Callback::Discard, pass))
    }
}

/// Better candidates first (spec 12.2; `compareSlavesForPromotion`).
fn compare_for_promotion(a: &Instance, b: &Instance) -> Ordering {
    let by_run_id = || match (a.run_id, b.run_id) {
        (Some(x), Some(y)) => x.cmp(&y),
        (x, y) => y.is_some().cmp(&x.is_some()),
    };
    a.slave_priority
        .cmp(&b.slave_priority)
        .then_with(|| b.slave_repl_offset.cmp(&a.slave_repl_offset))
        .then_with(by_run_id)
}

impl Master {
    /// Starts a failover if the master is O_DOWN, none runs, and the last attempt or vote is old enough (spec 10.1;
    /// `sentinelStartFailoverIfNeeded`).
    pub(super) fn start_failover_if_needed(&mut self, pass: &mut Pass<'_>) -> bool {
        if !self.own.is(flag::O_DOWN) || self.own.is(flag::FAILOVER_IN_PROGRESS) {
            return false;
        }
        let now = pass.now();
        if now - self.failover_start_time < self.failover_timeout * 2 && !pass.out.mistaken(Mistake::NoRetryDelay) {
            if self.failover_delay_logged != self.failover_start_time {
                self.failover_delay_logged = self.failover_start_time;
                let wait_ms = self.failover_start_time + self.failover_timeout * 2 - now;
                let until = pass.out.now() + Span::from_millis(wait_ms.max(0) as u64);
                pass.log(|| SentinelEvent::NextFailoverDelay(until));
            }
            return false;
        }
        self.start_failover(pass);
        true
    }

    /// `sentinelStartFailover` (spec 10.2).
    pub(super) fn start_failover(&mut self, pass: &mut Pass<'_>) {
        self.failover_state = State::WaitStart;
        self.own.flags |= flag::FAILOVER_IN_PROGRESS;
        pass.process.current_epoch += u32::from(!pass.out.mistaken(Mistake::EpochNotRaised));
        let epoch = pass.process.current_epoch;
        self.failover_epoch = epoch;
        pass.log(|| SentinelEvent::NewEpoch(epoch));
        pass.about(SentinelEventKind::TryFailover, self.own.who(self.own.addr));
        let desync = pass.process.rand(DESYNC_MS) as i64;
        self.failover_start_time = pass.now() + if pass.out.mistaken(Mistake::NoDesync) { 0 } else { desync };
        self.failover_state_change_time = pass.now();
        self.note_delay(None, pass);
    }

    /// One step a tick (spec 11; `sentinelFailoverStateMachine`).
    pub(super) fn step_failover(&mut self, pass: &mut Pass<'_>) {
        if !self.own.is(flag::FAILOVER_IN_PROGRESS) {
            return;
        }
        match self.failover_state {
            State::WaitStart => self.wait_start(pass),
            State::SelectSlave => self.select_slave(pass),
            State::SendSlaveofNoone => self.send_slaveof_noone(pass),
            State::WaitPromotion => {
                if self.state_timed_out(pass) {
                    self.abort(SentinelEventKind::AbortSlaveTimeout, pass);
                }
            }
            State::ReconfSlaves => {
                self.reconf_next_slave(pass);
                self.detect_end(pass);
            }
            State::None | State::UpdateConfig => {}
        }
    }

    fn enter(&mut self, state: State, pass: &Pass<'_>) {
        self.failover_state = state;
        self.failover_state_change_time = pass.now();
    }

    fn state_timed_out(&self, pass: &Pass<'_>) -> bool {
        pass.now() - self.failover_state_change_time > self.failover_timeout
    }

    /// `sentinelAbortFailover` (spec 11.3).
    fn abort(&mut self, why: SentinelEventKind, pass: &mut Pass<'_>) {
        assert!(self.failover_state <= State::WaitPromotion, "an acknowledged promotion is not aborted");
        pass.about(why, self.own.who(self.own.addr));
        self.own.flags &= !(flag::FAILOVER_IN_PROGRESS | flag::FORCE_FAILOVER);
        self.enter(State::None, pass);
        if let Some(index) = self.promoted_index() {
            self.slaves[index].flags &= !flag::PROMOTED;
        }
        self.promoted = None;
    }

    /// `sentinelFailoverWaitStart`
    fn wait_start(&mut self, pass: &mut Pass<'_>) {
        let leader = self.leader(self.failover_epoch, pass);
        if leader != Some(pass.process.id) && !self.own.is(flag::FORCE_FAILOVER) {
            let timeout = pass.process.periods.election.min(self.failover_timeout);
            if pass.now() - self.failover_start_time > timeout {
                self.abort(SentinelEventKind::AbortNotElected, pass);
            }
            return;
        }
        let who = self.own.who(self.own.addr);
        pass.about(SentinelEventKind::ElectedLeader, who);
        pass.process.led_epoch = Some(self.failover_epoch);
        if pass.process.crash_after_election {
            pass.crash();
            return;
        }
        self.enter(State::SelectSlave, pass);
        pass.about(SentinelEventKind::StateSelectSlave, who);
    }

    /// `sentinelFailoverSelectSlave`
    fn select_slave(&mut self, pass: &mut Pass<'_>) {
        let Some(index) = self.choose_slave(pass) else {
            self.abort(SentinelEventKind::AbortNoGoodSlave, pass);
            return;
        };
        let master = self.own.addr;
        let slave = &mut self.slaves[index];
        let who = slave.who(master);
        pass.about(SentinelEventKind::SelectedSlave, who);
        slave.flags |= flag::PROMOTED;
        self.promoted = Some(slave.serial);
        self.enter(State::SendSlaveofNoone, pass);
        pass.about(SentinelEventKind::StateSendSlaveofNoone, who);
    }

    /// The replica to promote, if any is fit (spec 12.1; `sentinelSelectSlave`).
    pub(super) fn choose_slave(&self, pass: &mut Pass<'_>) -> Option<usize> {
        let now = pass.now();
        let periods = &pass.process.periods;
        let master_down = self.own.is(flag::S_DOWN);
        let mut master_down_time_max = self.own.down_after * 10;
        if master_down {
            master_down_time_max += now - self.own.s_down_since_time;
        }
        let info_validity = if master_down { periods.ping * 5 } else { periods.info * 3 };
        let takes_priority_zero = pass.out.mistaken(Mistake::PriorityZero);
        let fit = |slave: &Instance| {
            !slave.is(flag::S_DOWN | flag::O_DOWN)
                && !slave.link.disconnected
                && now - slave.link.last_avail_time <= periods.ping * 5
                && (slave.slave_priority != 0 || takes_priority_zero)
                && now - slave.info_refresh <= info_validity
                && slave.master_link_down_time <= master_down_time_max
        };
        let candidates = self.slaves.iter().enumerate().filter(|(_, slave)| fit(slave));
        let chosen = candidates.min_by(|(_, a), (_, b)| compare_for_promotion(a, b)).map(|(index, _)| index);
        pass.out.note(|| {
            let candidate = |slave: &Instance| slave.as_candidate(now, fit(slave));
            Note::Candidates(Box::new(Candidates {
                replicas: self.slaves.iter().map(candidate).collect(),
                chosen: chosen.map(|index| self.slaves[index].addr),
                answer_limit: age(periods.ping * 5),
                info_limit: age(info_validity),
                link_down_limit: age(master_down_time_max),
            }))
        });
        chosen
    }

    /// `sentinelFailoverSendSlaveOfNoOne`
    fn send_slaveof_noone(&mut self, pass: &mut Pass<'_>) {
        let Some(index) = self.promoted_index() else { return };
        if self.slaves[index].link.disconnected {
            if self.state_timed_out(pass) {
                self.abort(SentinelEventKind::AbortSlaveTimeout, pass);
            }
            return;
        }
        if self.slaves[index].send_slaveof(None, pass) {
            pass.about(SentinelEventKind::StateWaitPromotion, self.slaves[index].who(self.own.addr));
            self.enter(State::WaitPromotion, pass);
        }
    }

    /// The INFO of the promoted replica says master (spec 11.5; in `sentinelRefreshInstanceInfo`).
    pub(super) fn promotion_acknowledged(&mut self, index: usize, pass: &mut Pass<'_>) {
        self.config_epoch = self.failover_epoch;
        self.enter(State::ReconfSlaves, pass);
        self.flush(pass);
        pass.about(SentinelEventKind::PromotedSlave, self.slaves[index].who(self.own.addr));
        if pass.process.crash_after_promotion {
            pass.crash();
            return;
        }
        pass.about(SentinelEventKind::StateReconfSlaves, self.own.who(self.own.addr));
        self.force_hello(pass);
    }

    /// Tells further replicas of the new master, at most `parallel_syncs` at a time (spec 14.1;
    /// `sentinelFailoverReconfNextSlave`).
    fn reconf_next_slave(&mut self, pass: &mut Pass<'_>) {
        let Some(promoted) = self.promoted_index() else { return };
        let (master, to) = (self.own.addr, self.slaves[promoted].addr);
        let busy = flag::RECONF_SENT | flag::RECONF_INPROG;
        let mut in_progress = self.slaves.iter().filter(|slave| slave.is(busy)).count();
        for slave in &mut self.slaves {
            if in_progress >= self.parallel_syncs as usize {
                break;
            }
            if slave.is(flag::PROMOTED | flag::RECONF_DONE) {
                continue;
            }
            let sent_for = pass.now() - slave.slave_reconf_sent_time;
            if slave.is(flag::RECONF_SENT) && sent_for > pass.process.periods.slave_reconf {
                pass.about(SentinelEventKind::SlaveReconfSentTimeout, slave.who(master));
                slave.flags &= !flag::RECONF_SENT;
                slave.flags |= flag::RECONF_DONE;
            }
            if slave.is(busy) || slave.link.disconnected {
                continue;
            }
            if slave.send_slaveof(Some(to), pass) {
                slave.flags |= flag::RECONF_SENT;
                slave.slave_reconf_sent_time = pass.now();
                pass.about(SentinelEventKind::SlaveReconfSent, slave.who(master));
                in_progress += 1;
            }
        }
    }

    /// Ends the failover when all reachable replicas are done, or after the timeout (spec 14.4;
    /// `sentinelFailoverDetectEnd`).
    fn detect_end(&mut self, pass: &mut Pass<'_>) {
        let Some(promoted) = self.promoted_index() else { return };
        if self.slaves[promoted].is(flag::S_DOWN) {
            return;
        }
        let (master, to) = (self.own.addr, self.slaves[promoted].addr);
        let settled = flag::PROMOTED | flag::RECONF_DONE | flag::S_DOWN;
        let pending = self.slaves.iter().any(|slave| !slave.is(settled));
        let timed_out = self.state_timed_out(pass);
        if timed_out {
            pass.about(SentinelEventKind::FailoverEndForTimeout, self.own.who(master));
        }
        if timed_out || !pending {
            pass.about(SentinelEventKind::FailoverEnd, self.own.who(master));
            self.enter(State::UpdateConfig, pass);
        }
        if timed_out {
            for slave in &mut self.slaves {
                let told = flag::PROMOTED | flag::RECONF_DONE | flag::RECONF_SENT;
                if slave.is(told) || slave.link.disconnected {
                    continue;
                }
                if slave.send_slaveof(Some(to), pass) {
                    pass.about(SentinelEventKind::SlaveReconfSentBe, slave.who(master));
                    slave.flags |= flag::RECONF_SENT;
                }
            }
        }
    }

    /// At the end of the tick in which the failover ended (spec 14.5; `sentinelFailoverSwitchToPromotedSlave`).
    pub(super) fn switch_to_promoted(&mut self, pass: &mut Pass<'_>) {
        let old = self.own.addr;
        let new = self.promoted_index().map_or(old, |index| self.slaves[index].addr);
        pass.switch_master(self.group, old, new);
        self.reset_and_change_address(new, pass);
    }
}

#[cfg(test)]
mod tests {
    use crate::record::SentinelEventKind::*;
    use crate::sentinel::Config;
    use crate::sentinel::testing::{Lab, Mode, Peer, addr, short, when};
    use crate::wire::{Command, ErrorKind, GroupId, MasterCommand, MasterLink, Reply, SentinelCommand};

    fn command(command: SentinelCommand) -> Command {
        Command::Sentinel(Box::new(command))
    }

    fn link(peer: &mut Peer) -> &mut MasterLink {
        peer.info.link.as_mut().expect("a replica")
    }

    /// A stack in which the others agree as soon as they are asked.
    fn agreeing(replicas: u16) -> Lab {
        let mut lab = Lab::ready(replicas, 2);
        lab.peer(12).thinks_down = true;
        lab.peer(13).thinks_down = true;
        lab.events();
        lab
    }

    #[test]
    fn a_whole_failover_takes_one_state_a_tick_and_a_second_for_info() {
        let mut lab = agreeing(2);
        link(lab.peer(3)).offset = 1_001;
        lab.kill(1);
        lab.run(10_000);
        let events = lab.events();
        let lines: Vec<String> = events.iter().map(|(_, event)| short(event)).collect();
        let expected = [
            "+sdown 1",
            "+odown 2/2",
            "+new-epoch 1",
            "+try-failover 1",
            "+vote-for-leader 11 1",
            "12 voted for 11 1",
            "13 voted for 11 1",
            "+elected-leader 1",
            "+failover-state-select-slave 1",
            "+selected-slave 3",
            "+failover-state-send-slaveof-noone 3",
            "+failover-state-wait-promotion 3",
            "+promoted-slave 3",
            "+failover-state-reconf-slaves 1",
            "+slave-reconf-sent 2",
            "+slave-reconf-inprog 2",
            "+slave-reconf-done 2",
            "+failover-end 1",
            "+switch-master 1 3",
        ];
        let lines: Vec<&str> =
            lines.iter().map(|line| if line == "+odown 3/2" { "+odown 2/2" } else { line }).collect();
        let voted = |line: &&str| line.contains(" voted for ");
        let (votes, rest): (Vec<&str>, Vec<&str>) = lines.iter().copied().partition(voted);
        let (_, expected): (Vec<&str>, Vec<&str>) = expected.iter().copied().partition(voted);
        assert_eq!(rest[..expected.len()], expected);
        assert_eq!(votes.len(), 2);
        assert!(lines.contains(&"+slave 1") && lines.contains(&"+slave 2"));
        let at = |kind, host| when(&events, kind, host).expect("it happens");
        let begun = at(TryFailover, 1);
        assert!((156..=310).contains(&(at(StateWaitPromotion, 3) - begun)));
        assert!((1_000..=1_250).contains(&(at(PromotedSlave, 3) - begun)));
        assert!((50..=106).contains(&(at(SlaveReconfSent, 2) - at(PromotedSlave, 3))));
        assert_eq!((lab.sentinel.believed_master(GroupId::ONLY), lab.sentinel.led_epoch()), (addr(3), Some(1)));
        let forced = lab.hellos.iter().find(|h| h.2.config_epoch == 1).expect("a hello spreads the news");
        assert!((50..=106).contains(&(forced.0 - at(PromotedSlave, 3))));
        assert_eq!(forced.2.master, addr(3));
        lab.run(6_000);
        assert!(when(&lab.events(), SdownEntered, 1).is_some(), "the old master is a dead replica now");
    }

    #[test]
    fn priority_beats_offset_beats_run_id() {
        let chosen = |prepare: &dyn Fn(&mut Lab)| {
            let mut lab = agreeing(3);
            prepare(&mut lab);
            lab.kill(1);
            lab.run(8_000);
            let line = lab.lines().into_iter().find(|line| line.starts_with("+selected-slave"));
            line.map(|line| line.rsplit(' ').next().map(str::to_owned).unwrap_or_default())
        };
        assert_eq!(chosen(&|_| {}).as_deref(), Some("2"), "the smallest run id");
        assert_eq!(chosen(&|lab| link(lab.peer(4)).offset = 1_001).as_deref(), Some("4"));
        let both = |lab: &mut Lab| {
            link(lab.peer(4)).offset = 1_001;
            link(lab.peer(3)).priority = 99;
        };
        assert_eq!(chosen(&both).as_deref(), Some("3"));
        // Exclusions: priority 0, a hung one, a dead one, one that lost its master too long ago.
        assert_eq!(chosen(&|lab| link(lab.peer(2)).priority = 0).as_deref(), Some("3"));
        assert_eq!(chosen(&|lab| lab.peer(2).mode = Mode::Silent).as_deref(), Some("3"));
        assert_eq!(chosen(&|lab| lab.kill(2)).as_deref(), Some("3"));
        assert_eq!(chosen(&|lab| link(lab.peer(2)).down_since_s = Some(60)).as_deref(), Some("3"));
        assert_eq!(chosen(&|lab| link(lab.peer(2)).down_since_s = Some(50)).as_deref(), Some("2"));
        let none = |lab: &mut Lab| (2..5).for_each(|host| link(lab.peer(host)).priority = 0);
        assert_eq!(chosen(&none), None);
    }

    #[test]
    fn without_a_good_replica_the_attempt_is_aborted_and_nothing_is_sent() {
        let mut lab = agreeing(1);
        link(lab.peer(2)).priority = 0;
        lab.kill(1);
        lab.run(8_000);
        assert!(lab.lines().contains(&"-failover-abort-no-good-slave 1".to_string()));
        assert!(!lab.peer(2).received.iter().any(|r| r.1 == Command::Multi));
        assert_eq!(lab.sentinel.believed_master(GroupId::ONLY), addr(1));
    }

    #[test]
    fn a_replica_that_does_not_obey_ends_the_attempt_after_the_failover_timeout() {
        let mut lab = agreeing(1);
        lab.peer(2).obeys = false;
        lab.kill(1);
        lab.run(17_000);
        let events = lab.events();
        let at = |kind, host| when(&events, kind, host).expect("it happens");
        let took = at(AbortSlaveTimeout, 1) - at(StateWaitPromotion, 2);
        assert!((10_000..=10_105).contains(&took), "{took}");
    }

    #[test]
    fn a_stuck_replica_is_given_up_after_the_failover_timeout_and_the_rest_is_told_at_best_effort() {
        let mut lab = agreeing(3);
        link(lab.peer(2)).offset = 2_000;
        lab.peer(3).obeys = false;
        lab.peer(4).obeys = false;
        lab.kill(1);
        lab.run(20_000);
        let lines = lab.lines();
        let count = |text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
        assert_eq!((count("+slave-reconf-sent "), count("+slave-reconf-sent-be ")), (1, 1));
        assert_eq!((count("+failover-end-for-timeout"), count("+switch-master 1 2")), (1, 1));
        assert_eq!(count("-slave-reconf-sent-timeout"), 0, "with parallel-syncs 1 it cannot fire");
    }

    #[test]
    fn with_room_a_stuck_replica_times_out_and_is_told_again() {
        let config = Config { parallel_syncs: 5, failover_timeout: 30_000, ..Config::default() };
        let mut lab = Lab::ready_with(config, 2, 2);
        lab.peer(12).thinks_down = true;
        lab.peer(13).thinks_down = true;
        link(lab.peer(2)).offset = 2_000;
        lab.peer(3).obeys = false;
        lab.kill(1);
        lab.run(30_000);
        let lines = lab.lines();
        let position = |text: &str| lines.iter().position(|line| line == text).expect("it happens");
        let timeout = position("-slave-reconf-sent-timeout 3");
        assert_eq!(lines[timeout + 1..timeout + 3], ["+slave-reconf-sent 3", "+failover-end 1"]);
    }

    #[test]
    fn a_user_failover_needs_neither_votes_nor_odown() {
        let mut lab = Lab::ready(2, 2);
        lab.peer(12).votes = false;
        lab.peer(13).votes = false;
        lab.events();
        assert_eq!(lab.ask_about(MasterCommand::Failover), Reply::Ok);
        assert_eq!(lab.ask_about(MasterCommand::Failover), Reply::Error(ErrorKind::InProg));
        lab.run(5_000);
        let lines = lab.lines();
        assert_eq!(
            lines[..6],
            [
                "UserFailover",
                "+new-epoch 1",
                "+try-failover 1",
                "+vote-for-leader 11 1",
                "+elected-leader 1",
                "+failover-state-select-slave 1"
            ]
        );
        assert!(lines.iter().any(|line| line.starts_with("+switch-master 1")));
    }

    #[test]
    fn a_user_failover_without_a_candidate_starts_nothing() {
        let mut lab = Lab::ready(1, 0);
        lab.kill(2);
        lab.run(1_000);
        lab.events();
        assert_eq!(lab.ask_about(MasterCommand::Failover), Reply::Error(ErrorKind::NoGoodSlave));
        assert!(lab.lines().is_empty());
    }

    #[test]
    fn simulated_crashes_come_right_after_their_event() {
        for (after_election, last) in [(true, "+elected-leader 1"), (false, "+promoted-slave 2")] {
            let mut lab = agreeing(1);
            let after_promotion = !after_election;
            lab.command(command(SentinelCommand::SimulateFailure { after_election, after_promotion }));
            lab.kill(1);
            lab.run(10_000);
            assert!(lab.exited);
            assert_eq!(lab.lines().last().map(String::as_str), Some(last));
            let believed = lab.sentinel.persisted().masters[&GroupId::ONLY].addr;
            assert_eq!(believed, if after_election { addr(1) } else { addr(2) });
        }
    }

    #[test]
    fn a_dead_promoted_replica_freezes_the_failover() {
        let mut lab = agreeing(3);
        link(lab.peer(2)).offset = 2_000;
        lab.peer(3).obeys = false;
        lab.kill(1);
        lab.run(8_000);
        assert!(lab.lines().contains(&"+promoted-slave 2".to_string()));
        lab.kill(2);
        lab.run(60_000);
        let lines = lab.lines();
        assert!(
            lines.contains(&"+sdown 2".to_string()) && !lines.iter().any(|line| line.contains("-end")),
            "{lines:?}"
        );
    }
}
