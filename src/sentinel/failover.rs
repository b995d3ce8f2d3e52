//! The failover: start, state machine, choice of the replica, reconfiguration of the others (spec 10 to 14).

use std::cmp::Ordering;

use super::instance::{Instance, Master, flag};
use super::link::Callback;
use super::process::{DESYNC_MS, Pass};
use crate::kernel::Span;
use crate::record::{SentinelEvent, SentinelEventKind};
use crate::wire::{Addr, ClientType, Command};

/// `failover_state`, in the order in which a failover walks through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    None,
    WaitStart,
    SelectSlave,
    SendSlaveofNoone,
    WaitPromotion,
    ReconfSlaves,
    UpdateConfig,
}

impl Instance {
    /// The transaction that changes a node's role and cuts its clients (spec 13; `sentinelSendSlaveOf`). False if there
    /// is no command connection.
    pub(super) fn send_slaveof(&mut self, to: Option<Addr>, pass: &mut Pass<'_>) -> bool {
        [
            Command::Multi,
            Command::ReplicaOf(to),
            Command::ConfigRewrite,
            Command::ClientKill(ClientType::Normal),
            Command::ClientKill(ClientType::Pubsub),
            Command::Exec,
        ]
        .into_iter()
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
        if now - self.failover_start_time < self.failover_timeout * 2 {
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
        pass.process.current_epoch += 1;
        let epoch = pass.process.current_epoch;
        self.failover_epoch = epoch;
        pass.log(|| SentinelEvent::NewEpoch(epoch));
        pass.about(SentinelEventKind::TryFailover, self.own.who(self.own.addr));
        self.failover_start_time = pass.now() + pass.process.rand(DESYNC_MS) as i64;
        self.failover_state_change_time = pass.now();
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
    pub(super) fn choose_slave(&self, pass: &Pass<'_>) -> Option<usize> {
        let now = pass.now();
        let periods = &pass.process.periods;
        let master_down = self.own.is(flag::S_DOWN);
        let mut master_down_time_max = self.own.down_after * 10;
        if master_down {
            master_down_time_max += now - self.own.s_down_since_time;
        }
        let info_validity = if master_down { periods.ping * 5 } else { periods.info * 3 };
        let fit = |slave: &Instance| {
            !slave.is(flag::S_DOWN | flag::O_DOWN)
                && !slave.link.disconnected
                && now - slave.link.last_avail_time <= periods.ping * 5
                && slave.slave_priority != 0
                && now - slave.info_refresh <= info_validity
                && slave.master_link_down_time <= master_down_time_max
        };
        let candidates = self.slaves.iter().enumerate().filter(|(_, slave)| fit(slave));
        candidates.min_by(|(_, a), (_, b)| compare_for_promotion(a, b)).map(|(index, _)| index)
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
        pass.log(|| SentinelEvent::SwitchMaster(old, new));
        self.reset_and_change_address(new, pass);
    }
}
