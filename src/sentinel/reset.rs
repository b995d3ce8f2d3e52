//! What a reset or a switch does to the objects (spec 17).

use super::failover::State;
use super::instance::Master;
use super::process::Pass;
use crate::record::SentinelEventKind;
use crate::wire::{Addr, Role};

impl Master {
    /// `sentinelResetMaster` (spec 17.1). `leader_epoch`, `config_epoch`, `info_refresh`, `last_reconn_time` and
    /// `last_pub_time` stay.
    pub(super) fn reset(&mut self, keep_sentinels: bool, pass: &mut Pass<'_>) {
        for mut slave in self.slaves.drain(..) {
            slave.link.close(pass);
        }
        if !keep_sentinels {
            for mut sentinel in self.sentinels.drain(..) {
                sentinel.link.close(pass);
            }
        }
        let now = pass.now();
        let own = &mut self.own;
        own.link.close(pass);
        own.flags = 0;
        own.leader = None;
        own.run_id = None;
        own.slave_master_host = None;
        own.link.act_ping_time = now;
        own.link.last_ping_time = 0;
        own.link.last_avail_time = now;
        own.link.last_pong_time = now;
        own.role_reported_time = now;
        own.role_reported = Some(Role::Master);
        self.failover_state = State::None;
        self.failover_state_change_time = 0;
        self.failover_start_time = 0;
        self.promoted = None;
    }

    /// `SENTINEL RESET` of this master.
    pub(super) fn reset_by_user(&mut self, pass: &mut Pass<'_>) {
        self.reset(false, pass);
        pass.about(SentinelEventKind::ResetMaster, self.own.who(self.own.addr));
    }

    /// The switch (spec 17.2; `sentinelResetMasterAndChangeAddress`): Sentinels stay, replicas are made anew, the old
    /// master becomes the last of them.
    pub(super) fn reset_and_change_address(&mut self, new: Addr, pass: &mut Pass<'_>) {
        let old = self.own.addr;
        let mut slaves: Vec<Addr> = self.slaves.iter().map(|slave| slave.addr).filter(|addr| *addr != new).collect();
        if new != old {
            slaves.push(old);
        }
        self.reset(true, pass);
        self.own.addr = new;
        self.own.o_down_since_time = 0;
        self.own.s_down_since_time = 0;
        for addr in slaves {
            if self.add_slave(addr, pass) {
                let slave = self.slaves.iter().find(|slave| slave.addr == addr).expect("it was just added");
                pass.about(SentinelEventKind::SlaveAdded, slave.who(new));
            }
        }
        self.flush(pass);
    }
}

#[cfg(test)]
mod tests {
    use crate::sentinel::testing::{Lab, addr};
    use crate::wire::{GroupId, Reply, SentinelCommand};

    #[test]
    fn a_reset_forgets_all_but_the_epochs_and_everybody_comes_back() {
        let mut lab = Lab::ready(2, 2);
        lab.hear(12, 4, addr(1), 3);
        lab.events();
        assert_eq!(lab.ask(SentinelCommand::Reset(vec![GroupId::ONLY])), Reply::Int(1));
        assert_eq!(lab.lines(), ["+reset-master 1"]);
        assert_eq!(lab.sentinel.knows(GroupId::ONLY), (0, 0));
        lab.hear(12, 4, addr(1), 3);
        lab.run(10_500);
        let mut lines = lab.lines();
        lines.sort();
        assert_eq!(lines, ["+sentinel 12", "+slave 2", "+slave 3"]);
        assert_eq!(lab.sentinel.current_epoch(), 4);
    }

    #[test]
    fn a_switch_prints_no_end_of_the_down_states() {
        let mut lab = Lab::ready(2, 2);
        lab.kill(1);
        lab.run(6_000);
        lab.events();
        lab.hear(12, 1, addr(2), 1);
        lab.run(3_000);
        assert!(lab.lines().iter().all(|line| !line.starts_with('-')));
    }
}
