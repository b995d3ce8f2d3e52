//! Replies on the command connections (spec 6).

use super::failover::State;
use super::instance::{At, Master, flag};
use super::link::Callback;
use super::process::{Conn, Owner, Pass};
use super::stray;
use crate::record::{InstanceKind, SentinelEventKind};
use crate::wire::{Addr, Command, ErrorKind, Info, Reply, Role, SentinelReply};

impl Master {
    /// The next reply on the command connection of the object with this serial number. Replies for objects that are
    /// gone are dropped (spec 6.6).
    pub(super) fn command_reply(&mut self, serial: u32, reply: Reply, pass: &mut Pass<'_>) {
        let Some(at) = self.find(serial) else { return };
        let Some(callback) = self.at_mut(at).link.take_callback() else { return };
        match (callback, reply) {
            (Callback::Ping, reply) => self.ping_reply(at, &reply, pass),
            (Callback::Info, Reply::Info(info)) => self.refresh_info(at, &info, pass),
            (Callback::Publish, Reply::Error(_)) => {}
            (Callback::Publish, _) => self.at_mut(at).last_pub_time = pass.now(),
            (Callback::MasterDown, Reply::Sentinel(reply)) => {
                if let (At::Sentinel(index), SentinelReply::MasterDown { down, leader, leader_epoch }) = (at, *reply) {
                    self.master_down_reply(index, down, leader, leader_epoch, pass);
                }
            }
            (Callback::Discard | Callback::Info | Callback::MasterDown, _) => {}
        }
    }

    /// `sentinelPingReplyCallback` (spec 6.1).
    fn ping_reply(&mut self, at: At, reply: &Reply, pass: &mut Pass<'_>) {
        let now = pass.now();
        let instance = self.at_mut(at);
        match reply {
            Reply::Pong | Reply::Error(ErrorKind::Loading | ErrorKind::MasterDown) => {
                instance.link.last_avail_time = now;
                instance.link.act_ping_time = 0;
                if *reply == Reply::Pong {
                    instance.flags &= !flag::MASTER_REBOOT;
                }
            }
            Reply::Error(ErrorKind::Busy) if instance.is(flag::S_DOWN) && !instance.is(flag::SCRIPT_KILL_SENT) => {
                instance.link.send(Command::ScriptKill, Callback::Discard, pass);
                instance.flags |= flag::SCRIPT_KILL_SENT;
            }
            _ => {}
        }
        instance.link.last_pong_time = now;
    }

    /// `sentinelRefreshInstanceInfo` (spec 6.3): the lines in the order in which INFO prints them, then the acting half.
    fn refresh_info(&mut self, at: At, info: &Info, pass: &mut Pass<'_>) {
        let master = self.own.addr;
        let now = pass.now();
        let reboot_down_after = self.reboot_down_after;
        let instance = self.at_mut(at);
        instance.master_link_down_time = 0;
        match instance.run_id {
            Some(known) if known != info.run_id => {
                pass.about(SentinelEventKind::Reboot, instance.who(master));
                if instance.kind == InstanceKind::Master && reboot_down_after != 0 {
                    instance.flags |= flag::MASTER_REBOOT;
                    instance.master_reboot_since_time = now;
                }
            }
            _ => {}
        }
        instance.run_id = Some(info.run_id);
        if let (Role::Slave, Some(link)) = (info.role, &info.link) {
            let host = (!link.by_name).then_some(link.master.ip);
            if instance.slave_master_host != host {
                instance.slave_master_host = host;
                instance.slave_conf_change_time = now;
            }
            if instance.slave_master_port != link.master.port {
                instance.slave_master_port = link.master.port;
                instance.slave_conf_change_time = now;
            }
            instance.slave_master_link_up = link.up;
            instance.master_link_down_time = link.down_since_s.unwrap_or(0).saturating_mul(1000);
            instance.slave_priority = link.priority;
            instance.slave_repl_offset = link.offset;
            instance.replica_announced = link.announced;
        }
        if at == At::Master {
            for replica in &info.replicas {
                self.discover_slave(replica.addr, pass);
            }
        }
        // A replica does not move in its table while its own INFO is read, so `at` still holds.
        let now = pass.now();
        let instance = self.at_mut(at);
        instance.info_refresh = now;
        if instance.role_reported != Some(info.role) {
            instance.role_reported_time = now;
            instance.role_reported = Some(info.role);
            if info.role == Role::Slave {
                instance.slave_conf_change_time = now;
            }
            // `±role-change` has level verbose: published, but not logged at the default level.
        }
        if pass.process.tilt {
            return;
        }
        if let At::Slave(index) = at {
            match info.role {
                Role::Master => self.slave_reports_master(index, pass),
                Role::Slave => self.slave_reports_slave(index, pass),
            }
        }
    }

    fn discover_slave(&mut self, addr: Addr, pass: &mut Pass<'_>) {
        if self.add_slave(addr, pass) {
            let slave = self.slaves.iter().find(|slave| slave.addr == addr).expect("it was just added");
            pass.about(SentinelEventKind::SlaveAdded, slave.who(self.own.addr));
            self.flush(pass);
        }
    }

    fn slave_reports_master(&mut self, index: usize, pass: &mut Pass<'_>) {
        let awaited = self.slaves[index].is(flag::PROMOTED)
            && self.own.is(flag::FAILOVER_IN_PROGRESS)
            && self.failover_state == State::WaitPromotion;
        if awaited {
            self.promotion_acknowledged(index, pass);
        } else {
            stray::convert_to_slave(self, index, pass);
        }
    }

    fn slave_reports_slave(&mut self, index: usize, pass: &mut Pass<'_>) {
        stray::fix_slave_config(self, index, pass);
        self.reconf_progress(index, pass);
    }

    /// A replica that was told of the new master moves on (spec 14.3).
    fn reconf_progress(&mut self, index: usize, pass: &mut Pass<'_>) {
        let promoted = self.promoted_index().map(|index| self.slaves[index].addr);
        let master = self.own.addr;
        let slave = &mut self.slaves[index];
        let follows_promoted = promoted
            .is_some_and(|addr| slave.slave_master_host == Some(addr.ip) && slave.slave_master_port == addr.port);
        if slave.is(flag::RECONF_SENT) && follows_promoted {
            slave.flags &= !flag::RECONF_SENT;
            slave.flags |= flag::RECONF_INPROG;
            pass.about(SentinelEventKind::SlaveReconfInprog, slave.who(master));
        }
        if slave.is(flag::RECONF_INPROG) && slave.slave_master_link_up {
            slave.flags &= !flag::RECONF_INPROG;
            slave.flags |= flag::RECONF_DONE;
            pass.about(SentinelEventKind::SlaveReconfDone, slave.who(master));
        }
    }

    /// The connection behind a token ended: the object no longer has it.
    pub(super) fn connection_lost(&mut self, serial: u32, owner: Owner) -> Option<Conn> {
        let at = self.find(serial)?;
        let link = &mut self.at_mut(at).link;
        if matches!(owner, Owner::Pubsub(_)) { link.pubsub_lost() } else { link.command_lost() }
    }

    /// A reply on the Pub/Sub connection: the name, or the confirmation of the subscription, which counts as activity.
    pub(super) fn pubsub_reply(&mut self, serial: u32, reply: &Reply, pass: &mut Pass<'_>) {
        if let Reply::Subscribed(..) = reply {
            self.pubsub_heard(serial, pass);
        } else if let Some(at) = self.find(serial) {
            self.at_mut(at).link.pubsub_reply();
        }
    }
}
