//! What one tick does with the objects, and in which order (spec 1.6).

use super::failover::State;
use super::instance::{Master, flag};
use super::process::Pass;
use super::tilt;

impl Master {
    /// `sentinelHandleRedisInstance` for the master, then its replicas, then its Sentinels; the switch comes last
    /// (spec 1.6).
    pub(super) fn handle(&mut self, pass: &mut Pass<'_>) {
        self.handle_own(pass);
        self.note_tick(pass);
        if pass.process.exited {
            return;
        }
        let hello = self.hello(pass.process);
        let master = self.own.addr;
        let in_trouble = self.own.is(flag::O_DOWN | flag::FAILOVER_IN_PROGRESS);
        for instance in self.slaves.iter_mut().chain(&mut self.sentinels) {
            instance.reconnect(pass);
            instance.send_periodic(in_trouble, hello, pass);
            if tilt::may_act(pass) {
                instance.check_subjectively_down(master, 0, pass);
            }
        }
        if self.failover_state == State::UpdateConfig {
            self.switch_to_promoted(pass);
        }
    }

    fn handle_own(&mut self, pass: &mut Pass<'_>) {
        let hello = self.hello(pass.process);
        self.own.reconnect(pass);
        self.own.send_periodic(false, hello, pass);
        if !tilt::may_act(pass) {
            return;
        }
        self.own.check_subjectively_down(self.own.addr, self.reboot_down_after, pass);
        self.check_objectively_down(pass);
        if self.start_failover_if_needed(pass) {
            self.ask_others(true, pass);
        }
        self.step_failover(pass);
        if !pass.process.exited {
            self.ask_others(false, pass);
        }
    }
}
