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

#[cfg(test)]
mod tests {
    use crate::record::SentinelEventKind::*;
    use crate::sentinel::Config;
    use crate::sentinel::testing::{Lab, Mode, addr, short, when};
    use crate::wire::{Command, ErrorKind, Reply, Role, RunId, SentinelCommand, SentinelReply};

    #[test]
    fn a_killed_process_is_down_one_or_two_ticks_after_down_after() {
        let mut lab = Lab::ready(2, 0);
        lab.events();
        let killed = lab.now_ms();
        lab.kill(1);
        lab.run(7_000);
        let down = when(&lab.events(), SdownEntered, 1).expect("it is down") - killed;
        assert!((5_000..=5_205).contains(&down), "{down}");
    }

    #[test]
    fn a_silent_process_is_down_after_its_next_ping_went_unanswered() {
        let mut lab = Lab::ready(2, 0);
        lab.events();
        let stopped = lab.now_ms();
        lab.peer(1).mode = Mode::Silent;
        lab.run(8_000);
        let pings: Vec<u64> =
            lab.peer(1).received.iter().filter(|r| r.1 == Command::Ping && r.0 >= stopped).map(|r| r.0).collect();
        let down = when(&lab.events(), SdownEntered, 1).expect("it is down");
        assert!((5_000..=6_250).contains(&(down - stopped)), "{}", down - stopped);
        assert!((5_000..=5_103).contains(&(down - pings[0])), "SDOWN counts from the first unanswered PING");
    }

    #[test]
    fn an_old_command_connection_is_replaced_after_half_of_down_after() {
        let mut lab = Lab::ready(2, 0);
        let stopped = lab.now_ms();
        lab.peer(1).mode = Mode::Silent;
        lab.run(20_000);
        let named: Vec<u64> = lab
            .peer(1)
            .received
            .iter()
            .filter(|r| r.1 == Command::ClientSetName && r.0 >= stopped)
            .map(|r| r.0 - stopped)
            .collect();
        // Command connection: 2.5 s after the ping; Pub/Sub: 6 s after the last message; both immune for 15 s then.
        assert!((2_500..=3_800).contains(&named[0]), "{named:?}");
        assert!((4_000..=7_100).contains(&named[1]), "{named:?}");
        assert!(named[2] - named[0] > 15_000, "{named:?}");
    }

    #[test]
    fn a_connection_is_immune_for_fifteen_seconds() {
        let config = Config { down_after_milliseconds: 1_000, ..Config::default() };
        let mut lab = Lab::with(config, 0, 0, 3);
        lab.run(3_000);
        lab.peer(1).mode = Mode::Silent;
        lab.run(11_800);
        let named = |lab: &mut Lab| lab.peer(1).received.iter().filter(|r| r.1 == Command::ClientSetName).count();
        assert_eq!(named(&mut lab), 2, "nothing was opened again");
        lab.run(1_000);
        assert_eq!(named(&mut lab), 4, "after 15 s both were");
    }

    #[test]
    fn loading_and_masterdown_count_as_available_and_misconf_does_not() {
        for (reply, down) in [
            (ErrorKind::Loading, false),
            (ErrorKind::MasterDown, false),
            (ErrorKind::Misconf, true),
            (ErrorKind::NoAuth, true),
            (ErrorKind::Busy, true),
        ] {
            let mut lab = Lab::ready(1, 0);
            lab.events();
            lab.peer(2).ping = Reply::Error(reply);
            lab.run(8_000);
            assert_eq!(when(&lab.events(), SdownEntered, 2).is_some(), down, "{reply:?}");
        }
    }

    #[test]
    fn a_master_that_reports_slave_is_down_after_two_more_info_periods() {
        let mut lab = Lab::ready(1, 0);
        lab.events();
        let link = lab.peer(2).info.link;
        lab.peer(1).info.role = Role::Slave;
        lab.peer(1).info.link = link;
        let since = lab.now_ms();
        lab.run(40_000);
        let down = when(&lab.events(), SdownEntered, 1).expect("it is down") - since;
        assert!((25_000..=35_300).contains(&down), "{down}");
    }

    #[test]
    fn a_restarted_master_may_load_for_its_reboot_period_only() {
        let config = Config { master_reboot_down_after_period: 3_000, ..Config::default() };
        let mut lab = Lab::ready_with(config, 1, 0);
        lab.events();
        lab.peer(1).info.run_id = RunId(77);
        lab.peer(1).ping = Reply::Error(ErrorKind::Loading);
        lab.run(15_000);
        let events = lab.events();
        let rebooted = when(&events, Reboot, 1).expect("a new run id");
        let down = when(&events, SdownEntered, 1).expect("it is down") - rebooted;
        assert!((3_000..=3_105).contains(&down), "{down}");
        lab.peer(1).ping = Reply::Pong;
        lab.run(3_000);
        assert!(when(&lab.events(), SdownLeft, 1).is_some());
    }

    #[test]
    fn odown_needs_the_quorum_and_the_first_question_leaves_with_sdown() {
        let mut lab = Lab::ready(2, 2);
        lab.events();
        lab.kill(1);
        lab.run(6_500);
        assert_eq!(lab.lines(), ["+sdown 1"], "nobody agrees");
        lab.peer(12).thinks_down = true;
        lab.run(1_500);
        let lines = lab.lines();
        assert_eq!(lines[..4], ["+odown 2/2", "+new-epoch 1", "+try-failover 1", "+vote-for-leader 11 1"]);
    }

    #[test]
    fn an_answered_question_is_repeated_after_the_ask_period_and_an_unanswered_one_every_tick() {
        let asked = |silent: bool| {
            let mut lab = Lab::ready(1, 1);
            lab.kill(1);
            lab.run(5_500);
            if silent {
                lab.peer(12).mode = Mode::Silent;
            }
            lab.run(1_200);
            lab.peer(12).received.clear();
            lab.run(3_000);
            lab.peer(12).received.iter().filter(|r| matches!(r.1, Command::Sentinel(_))).count()
        };
        assert!((2..=3).contains(&asked(false)));
        assert!((30..=57).contains(&asked(true)));
    }

    #[test]
    fn an_answer_expires_after_five_ask_periods() {
        let config = Config { quorum: 3, ..Config::default() };
        let mut lab = Lab::ready_with(config, 1, 1);
        lab.peer(12).thinks_down = true;
        lab.kill(1);
        lab.run(6_000);
        lab.events();
        lab.command(Command::Sentinel(Box::new(SentinelCommand::About(
            Some(crate::wire::GroupId::ONLY),
            crate::wire::MasterCommand::Set(vec![crate::wire::SetOption::Quorum(2)]),
        ))));
        lab.peer(12).mode = Mode::Silent;
        lab.run(6_500);
        let events = lab.events();
        let (odown, left) = (&events[1], events.iter().find(|e| short(&e.1) == "-odown 1").expect("it expires"));
        assert_eq!(short(&odown.1), "+odown 2/2");
        assert!(left.0 - odown.0 <= 5_300);
    }

    #[test]
    fn an_address_that_is_not_monitored_is_neither_down_nor_voted_for() {
        let mut lab = Lab::ready(1, 0);
        let question =
            |host, candidate| SentinelCommand::IsMasterDownByAddr { master: addr(host), epoch: 3, candidate };
        let no = SentinelReply::MasterDown { down: false, leader: None, leader_epoch: 0 };
        assert_eq!(lab.ask(question(2, Some(RunId(9)))), Reply::Sentinel(Box::new(no.clone())));
        assert_eq!(lab.ask(question(1, None)), Reply::Sentinel(Box::new(no)));
        lab.kill(1);
        lab.run(7_000);
        let Reply::Sentinel(reply) = lab.ask(question(1, None)) else { panic!("it answers") };
        assert!(matches!(*reply, SentinelReply::MasterDown { down: true, leader: None, .. }));
    }
}
