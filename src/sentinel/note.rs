//! What a Sentinel knows and does not print, for whoever traces.

use super::instance::{Instance, Master, flag};
use super::process::Pass;
use crate::kernel::Span;
use crate::program::{Candidate, Note, OtherSentinel, SentinelTick};
use crate::wire::RunId;

/// A difference of two wall-clock times as a length; what lies ahead has no age.
pub(super) fn age(ms: i64) -> Span {
    Span::from_millis(ms.clamp(0, 1 << 42) as u64)
}

impl Instance {
    pub(super) fn as_candidate(&self, now: i64, fit: bool) -> Candidate {
        Candidate {
            addr: self.addr,
            down: self.is(flag::S_DOWN | flag::O_DOWN),
            connected: !self.link.disconnected,
            last_answer: age(now - self.link.last_avail_time),
            priority: self.slave_priority,
            info_age: age(now - self.info_refresh),
            link_down: age(self.master_link_down_time),
            offset: self.slave_repl_offset,
            fit,
        }
    }

    fn as_other(&self) -> OtherSentinel {
        OtherSentinel {
            addr: self.addr,
            id: self.id,
            connected: !self.link.disconnected,
            sdown: self.is(flag::S_DOWN),
            says_down: self.is(flag::MASTER_DOWN),
            vote: self.leader.map(|leader| (leader, self.leader_epoch)),
        }
    }
}

impl Master {
    /// `failover_start_time` was set: by an own attempt, or by a vote for another.
    pub(super) fn note_delay(&self, vote_for: Option<RunId>, pass: &mut Pass<'_>) {
        let wait = age(self.failover_start_time + self.failover_timeout * 2 - pass.now());
        let until = pass.out.now() + wait;
        let failover_timeout = age(self.failover_timeout);
        pass.out.note(|| Note::DelayArmed { vote_for, until, failover_timeout });
    }

    /// The end of the master's part of a tick.
    pub(super) fn note_tick(&self, pass: &mut Pass<'_>) {
        if !pass.out.is_noting() {
            return;
        }
        let now = pass.now();
        let link = &self.own.link;
        let agreeing = self.sentinels.iter().filter(|other| other.is(flag::MASTER_DOWN)).count() as u32;
        let known = self.sentinels.len() as u32 + 1;
        let left = |until: i64| (until > now).then(|| age(until - now));
        let tick = SentinelTick {
            master: self.own.addr,
            tilt_left: pass.process.tilt.then(|| age(pass.process.tilt_start_time + pass.process.periods.tilt - now)),
            connected: !link.disconnected,
            unanswered: (link.act_ping_time != 0).then(|| age(now - link.act_ping_time)),
            last_answer: age(now - link.last_avail_time),
            role_reported: self.own.role_reported,
            role_for: age(now - self.own.role_reported_time),
            down_after: age(self.own.down_after),
            sdown: self.own.is(flag::S_DOWN),
            odown: self.own.is(flag::O_DOWN),
            quorum: self.quorum,
            agreeing: agreeing + u32::from(self.own.is(flag::S_DOWN)),
            others: self.sentinels.iter().map(Instance::as_other).collect(),
            votes_needed: (known / 2 + 1).max(self.quorum),
            vote: self.own.leader.map(|leader| (leader, self.own.leader_epoch)),
            failover_epoch: self.failover_epoch,
            failover: self.failover_state,
            delay_left: left(self.failover_start_time + self.failover_timeout * 2),
        };
        pass.out.note(|| Note::Tick(Box::new(tick)));
    }
}
