//! Subjective and objective down, and asking the others (spec 7, 8).

use super::failover::State;
use super::instance::{Instance, Master, flag};
use super::link::Callback;
use super::process::Pass;
use crate::record::{InstanceKind, SentinelEvent, SentinelEventKind};
use crate::wire::{Addr, Command, Role, RunId, SentinelCommand};

impl Instance {
    /// Closes hung connections, then decides on SDOWN (spec 4.5, 7; `sentinelCheckSubjectivelyDown`). `reboot_down_after`
    /// is the master's setting and only looked at with the reboot flag, which only a master has.
    pub(super) fn check_subjectively_down(&mut self, master: Addr, reboot_down_after: i64, pass: &mut Pass<'_>) {
        let now = pass.now();
        let elapsed = if self.link.act_ping_time != 0 {
            now - self.link.act_ping_time
        } else if self.link.disconnected {
            now - self.link.last_avail_time
        } else {
            0
        };
        self.close_hung(now, pass);

        let is_master = self.kind == InstanceKind::Master;
        let demoted_period = self.down_after + pass.process.periods.info * 2;
        let down = elapsed > self.down_after
            || (is_master && self.role_reported == Some(Role::Slave) && now - self.role_reported_time > demoted_period)
            || (self.is(flag::MASTER_REBOOT) && now - self.master_reboot_since_time > reboot_down_after);
        if down && !self.is(flag::S_DOWN) {
            pass.about(SentinelEventKind::SdownEntered, self.who(master));
            self.s_down_since_time = now;
            self.flags |= flag::S_DOWN;
        } else if !down && self.is(flag::S_DOWN) {
            pass.about(SentinelEventKind::SdownLeft, self.who(master));
            self.flags &= !(flag::S_DOWN | flag::SCRIPT_KILL_SENT);
        }
    }

    fn close_hung(&mut self, now: i64, pass: &mut Pass<'_>) {
        let immune = pass.process.periods.min_link_reconnect;
        let half = self.down_after / 2;
        let link = &mut self.link;
        if link.command.is_some()
            && now - link.command_conn_time > immune
            && link.act_ping_time != 0
            && now - link.act_ping_time > half
            && now - link.last_pong_time > half
        {
            link.close_command(pass);
        }
        if link.pubsub.is_some()
            && now - link.pubsub_conn_time > immune
            && now - link.pubsub_last_activity > pass.process.periods.publish * 3
        {
            link.close_pubsub(pass);
        }
    }
}

impl Master {
    /// `sentinelCheckObjectivelyDown` (spec 8.1).
    pub(super) fn check_objectively_down(&mut self, pass: &mut Pass<'_>) {
        let who = self.own.who(self.own.addr);
        let mut count = 0;
        if self.own.is(flag::S_DOWN) {
            count = 1 + self.sentinels.iter().filter(|sentinel| sentinel.is(flag::MASTER_DOWN)).count() as u32;
        }
        let down = count > 0 && count >= self.quorum;
        if down && !self.own.is(flag::O_DOWN) {
            let quorum = self.quorum;
            pass.log(|| SentinelEvent::Odown(who, count, quorum));
            self.own.flags |= flag::O_DOWN;
            self.own.o_down_since_time = pass.now();
        } else if !down && self.own.is(flag::O_DOWN) {
            pass.about(SentinelEventKind::OdownLeft, who);
            self.own.flags &= !flag::O_DOWN;
        }
    }

    /// Forgets old answers and asks again (spec 8.3; `sentinelAskMasterStateToOtherSentinels`).
    pub(super) fn ask_others(&mut self, forced: bool, pass: &mut Pass<'_>) {
        let now = pass.now();
        let ask_period = pass.process.periods.ask;
        let down = self.own.is(flag::S_DOWN);
        let candidate = (self.failover_state > State::None).then_some(pass.process.id);
        let question =
            SentinelCommand::IsMasterDownByAddr { master: self.own.addr, epoch: pass.process.current_epoch, candidate };
        for sentinel in &mut self.sentinels {
            let elapsed = now - sentinel.last_master_down_reply_time;
            if elapsed > ask_period * 5 {
                sentinel.flags &= !flag::MASTER_DOWN;
                sentinel.leader = None;
            }
            if !down || sentinel.link.disconnected || (!forced && elapsed < ask_period) {
                continue;
            }
            let command = Command::Sentinel(Box::new(question.clone()));
            sentinel.link.send(command, Callback::MasterDown, pass);
        }
    }

    /// The answer of another Sentinel (spec 8.4; `sentinelReceiveIsMasterDownReply`).
    pub(super) fn master_down_reply(
        &mut self,
        index: usize,
        down: bool,
        vote: Option<RunId>,
        epoch: u32,
        pass: &mut Pass<'_>,
    ) {
        let sentinel = &mut self.sentinels[index];
        sentinel.last_master_down_reply_time = pass.now();
        if down {
            sentinel.flags |= flag::MASTER_DOWN;
        } else {
            sentinel.flags &= !flag::MASTER_DOWN;
        }
        if let Some(leader) = vote {
            if sentinel.leader_epoch != epoch {
                let voter = sentinel.id;
                pass.log(|| SentinelEvent::VotedFor(voter, leader, epoch));
            }
            sentinel.leader = Some(leader);
            sentinel.leader_epoch = epoch;
        }
    }
}
