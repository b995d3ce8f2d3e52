//! Commands that others give to this Sentinel (spec 19).

use super::Monitor;
use super::instance::{Instance, Master, flag};
use super::persist::PersistedMaster;
use super::process::{Pass, ms};
use crate::record::{SentinelEvent, SentinelEventKind};
use crate::wire::{
    Addr, ChannelId, Command, ErrorKind, GroupId, MasterCommand, Payload, Reply, RunId, SentinelCommand, SentinelReply,
    SetOption,
};

impl Monitor {
    /// Executes a command and returns its reply.
    pub(super) fn execute(&mut self, command: Command, pass: &mut Pass<'_>) -> Reply {
        match command {
            Command::Ping => Reply::Pong,
            Command::Publish(ChannelId::HELLO, Payload::Hello(hello)) => {
                self.process_hello(hello, pass);
                Reply::Int(1)
            }
            // Of all events only `+switch-master` is pushed: no client of this stack listens for others.
            Command::Subscribe(channel) | Command::PSubscribe(channel) => Reply::Subscribed(channel, 1),
            Command::Unsubscribe(channel) => Reply::Unsubscribed(channel, 0),
            Command::ClientSetName | Command::NoOp => Reply::Ok,
            Command::Shutdown { .. } => {
                pass.exit();
                Reply::Ok
            }
            Command::Sentinel(command) => self.execute_sentinel(*command, pass),
            // What a Sentinel has, and nobody in this stack asks: refused where a scenario is read.
            Command::Info(_)
            | Command::Role
            | Command::Publish(..)
            | Command::ClientKill(_)
            | Command::ClientPause(..)
            | Command::ClientUnpause => Reply::Error(ErrorKind::Err),
            _ => Reply::Error(ErrorKind::UnknownCommand),
        }
    }

    /// `sentinelCommand`
    fn execute_sentinel(&mut self, command: SentinelCommand, pass: &mut Pass<'_>) -> Reply {
        match command {
            SentinelCommand::Debug(name, value) => match pass.process.periods.set(name, value) {
                true => Reply::Ok,
                false => Reply::Error(ErrorKind::InvalidArgument { of: "DEBUG", option: name, value }),
            },
            SentinelCommand::SimulateFailure { after_election, after_promotion } => {
                pass.process.crash_after_election = after_election;
                pass.process.crash_after_promotion = after_promotion;
                Reply::Ok
            }
            SentinelCommand::FlushConfig => {
                self.flush(pass);
                // `sentinelFlushConfigAndReply`
                if pass.process.volume.full { Reply::Error(ErrorKind::Err) } else { Reply::Ok }
            }
            SentinelCommand::Monitor { name, master, quorum } => self.monitor(name, master, quorum, pass),
            SentinelCommand::IsMasterDownByAddr { master: addr, epoch, candidate } => {
                let master = self.masters.values_mut().find(|master| master.own.addr == addr);
                sentinel(match master {
                    Some(master) => master.is_master_down(epoch, candidate, pass),
                    None => SentinelReply::MasterDown { down: false, leader: None, leader_epoch: 0 },
                })
            }
            SentinelCommand::GetMasterAddrByName(name) => {
                let addr = self.monitored(name).map(|master| master.current_addr());
                sentinel(SentinelReply::MasterAddr(addr))
            }
            SentinelCommand::Reset(names) => {
                let matched = names.into_iter().filter(|name| {
                    let master = self.monitored(Some(*name));
                    let is_monitored = master.is_some();
                    master.into_iter().for_each(|master| master.reset_by_user(pass));
                    is_monitored
                });
                Reply::Int(matched.count() as i64)
            }
            SentinelCommand::About(name, command) => self.about(name, command, pass),
        }
    }

    /// The master that is monitored under a name (`sentinelGetMasterByName`).
    fn monitored(&mut self, name: Option<GroupId>) -> Option<&mut Master> {
        self.masters.get_mut(&name?).map(|master| &mut **master)
    }

    /// A command about one master (`sentinelGetMasterByNameOrReplyError`).
    fn about(&mut self, name: Option<GroupId>, command: MasterCommand, pass: &mut Pass<'_>) -> Reply {
        let Some(master) = self.monitored(name) else { return Reply::Error(ErrorKind::NoSuchMaster) };
        match command {
            MasterCommand::Failover => master.failover_by_user(pass),
            MasterCommand::Ckquorum => master.check_quorum(),
            MasterCommand::Replicas => sentinel(SentinelReply::Replicas(master.announced_replicas())),
            MasterCommand::Remove => {
                let group = master.group;
                self.remove(group, pass)
            }
            MasterCommand::Set(options) => master.set(&options, pass),
            MasterCommand::Master => sentinel(SentinelReply::Master {
                flags: master.flags_text(),
                addr: master.own.addr,
                slaves: master.slaves.len() as u32,
                sentinels: master.sentinels.len() as u32,
                quorum: master.quorum,
                config_epoch: master.config_epoch,
            }),
        }
    }

    /// `SENTINEL MONITOR` (`createSentinelRedisInstance`): the quorum is looked at before the name.
    fn monitor(&mut self, name: GroupId, addr: Addr, quorum: u32, pass: &mut Pass<'_>) -> Reply {
        if quorum == 0 {
            return Reply::Error(ErrorKind::QuorumIsZero);
        }
        if self.monitored(Some(name)).is_some() {
            return Reply::Error(ErrorKind::DuplicateMaster);
        }
        let state = PersistedMaster {
            addr,
            quorum,
            down_after_milliseconds: pass.process.periods.default_down_after as u64,
            failover_timeout: pass.process.periods.default_failover as u64,
            parallel_syncs: 1,
            master_reboot_down_after_period: 0,
            config_epoch: 0,
            leader_epoch: 0,
            replicas: Vec::new(),
            sentinels: Vec::new(),
        };
        let master = Master::load(name, &state, pass);
        master.flush(pass);
        let who = master.own.who(addr);
        pass.log(|| SentinelEvent::Monitor(who, quorum));
        self.masters.insert(name, Box::new(master));
        Reply::Ok
    }

    /// Writes the file with all masters that there are.
    pub(super) fn flush(&self, pass: &mut Pass<'_>) {
        if pass.cannot_flush() {
            return;
        }
        let masters = self.masters.iter().map(|(group, master)| (*group, master.persisted(pass.process)));
        let masters = masters.collect();
        pass.flush(masters);
    }

    /// `SENTINEL REMOVE`
    fn remove(&mut self, group: GroupId, pass: &mut Pass<'_>) -> Reply {
        let Some(mut master) = self.masters.remove(&group) else { return Reply::Error(ErrorKind::NoSuchMaster) };
        pass.about(SentinelEventKind::MonitorRemoved, master.own.who(master.own.addr));
        master.own.link.close(pass);
        for instance in master.slaves.iter_mut().chain(&mut master.sentinels) {
            instance.link.close(pass);
        }
        self.flush(pass);
        Reply::Ok
    }
}

fn sentinel(reply: SentinelReply) -> Reply {
    Reply::Sentinel(Box::new(reply))
}

impl Master {
    /// Answers another Sentinel, and votes if it asks for that, whatever is thought of the master here (spec 8.4, 9.1).
    fn is_master_down(&mut self, epoch: u32, candidate: Option<RunId>, pass: &mut Pass<'_>) -> SentinelReply {
        let down = !pass.process.tilt && self.own.is(flag::S_DOWN);
        let (leader, leader_epoch) = match candidate {
            Some(candidate) => self.vote_leader(epoch, candidate, pass),
            None => (None, 0),
        };
        SentinelReply::MasterDown { down, leader, leader_epoch }
    }

    /// `SENTINEL FAILOVER`
    fn failover_by_user(&mut self, pass: &mut Pass<'_>) -> Reply {
        if self.own.is(flag::FAILOVER_IN_PROGRESS) {
            return Reply::Error(ErrorKind::InProg);
        }
        if self.choose_slave(pass).is_none() {
            return Reply::Error(ErrorKind::NoGoodSlave);
        }
        let group = self.group;
        pass.log(|| SentinelEvent::UserFailover(group));
        self.start_failover(pass);
        self.own.flags |= flag::FORCE_FAILOVER;
        Reply::Ok
    }

    /// `SENTINEL REPLICAS` (`addReplyDictOfRedisInstances`): those that are not to be announced are left out.
    fn announced_replicas(&self) -> Vec<Addr> {
        let announced = self.slaves.iter().filter(|slave| slave.replica_announced);
        announced.map(|slave| slave.addr).collect()
    }

    /// `SENTINEL CKQUORUM` (`sentinelIsQuorumReachable`)
    fn check_quorum(&self) -> Reply {
        let up = |sentinel: &&Instance| !sentinel.is(flag::S_DOWN | flag::O_DOWN);
        let usable = 1 + self.sentinels.iter().filter(up).count() as u32;
        let voters = 1 + self.sentinels.len() as u32;
        let (below_quorum, below_majority) = (usable < self.quorum, usable <= voters / 2);
        match below_quorum || below_majority {
            true => Reply::Error(ErrorKind::NoQuorum { usable, below_quorum, below_majority }),
            false => sentinel(SentinelReply::Quorum(usable)),
        }
    }

    /// `SENTINEL SET`: an invalid option keeps the earlier ones (`sentinelSetCommand`).
    fn set(&mut self, options: &[SetOption], pass: &mut Pass<'_>) -> Reply {
        let mut reply = Reply::Ok;
        let mut changes = 0;
        for &option in options {
            let (name, value) = match option {
                SetOption::Quorum(value) => ("quorum", value as u64),
                SetOption::DownAfterMilliseconds(value) => ("down-after-milliseconds", value),
                SetOption::FailoverTimeout(value) => ("failover-timeout", value),
                SetOption::ParallelSyncs(value) => ("parallel-syncs", value as u64),
                SetOption::MasterRebootDownAfterPeriod(value) => ("master-reboot-down-after-period", value),
            };
            if value == 0 && !matches!(option, SetOption::MasterRebootDownAfterPeriod(_)) {
                reply = Reply::Error(ErrorKind::InvalidArgument { of: "SET", option: name, value });
                break;
            }
            match option {
                SetOption::Quorum(value) => self.quorum = value,
                SetOption::DownAfterMilliseconds(value) => self.set_down_after(ms(value)),
                SetOption::FailoverTimeout(value) => self.failover_timeout = ms(value),
                SetOption::ParallelSyncs(value) => self.parallel_syncs = value,
                SetOption::MasterRebootDownAfterPeriod(value) => self.reboot_down_after = ms(value),
            }
            changes += 1;
            let who = self.own.who(self.own.addr);
            pass.log(|| SentinelEvent::Set(who, format!("{name} {value}").into()));
        }
        if changes > 0 {
            self.flush(pass);
        }
        reply
    }

    /// The value holds for all objects of the master (`sentinelPropagateDownAfterPeriod`).
    fn set_down_after(&mut self, down_after: i64) {
        self.own.down_after = down_after;
        for instance in self.slaves.iter_mut().chain(&mut self.sentinels) {
            instance.down_after = down_after;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::record::SentinelEventKind;
    use crate::sentinel::testing::{Lab, addr, node, when};
    use crate::wire::{
        ChannelId, Command, ErrorKind, GroupId, Hello, MasterCommand, Payload, Reply, Role, RunId, SentinelCommand,
        SentinelReply, SetOption,
    };

    #[test]
    fn set_changes_and_writes_and_keeps_what_came_before_a_mistake() {
        let mut lab = Lab::ready(1, 1);
        lab.events();
        let options = vec![SetOption::DownAfterMilliseconds(900), SetOption::Quorum(0), SetOption::ParallelSyncs(9)];
        let wrong = ErrorKind::InvalidArgument { of: "SET", option: "quorum", value: 0 };
        assert_eq!(lab.ask_about(MasterCommand::Set(options)), Reply::Error(wrong));
        assert_eq!(wrong.text(), "ERR Invalid argument '0' for SENTINEL SET 'quorum'");
        assert_eq!(lab.lines(), ["+set down-after-milliseconds 900"]);
        let master = lab.sentinel.persisted().masters.remove(&GroupId::ONLY).expect("one");
        assert_eq!((master.down_after_milliseconds, master.quorum, master.parallel_syncs), (900, 2, 1));
    }

    #[test]
    fn debug_changes_a_period_and_is_not_written() {
        let mut lab = Lab::ready(1, 0);
        assert_eq!(lab.ask(SentinelCommand::Debug("info-period", 500)), Reply::Ok);
        let wrong = ErrorKind::InvalidArgument { of: "DEBUG", option: "info-period", value: 0 };
        assert_eq!(lab.ask(SentinelCommand::Debug("info-period", 0)), Reply::Error(wrong));
        lab.peer(1).received.clear();
        lab.run(6_000);
        let infos = lab.peer(1).received.iter().filter(|r| matches!(r.1, Command::Info(_))).count();
        assert!((9..=12).contains(&infos), "{infos}");
    }

    #[test]
    fn ckquorum_counts_who_is_up() {
        let mut lab = Lab::ready(1, 2);
        let enough = Reply::Sentinel(Box::new(SentinelReply::Quorum(3)));
        assert_eq!(lab.ask_about(MasterCommand::Ckquorum), enough);
        lab.kill(12);
        lab.kill(13);
        lab.run(7_000);
        let few = ErrorKind::NoQuorum { usable: 1, below_quorum: true, below_majority: true };
        assert_eq!(lab.ask_about(MasterCommand::Ckquorum), Reply::Error(few));
    }

    #[test]
    fn a_removed_master_is_unknown_until_it_is_monitored_again() {
        let mut lab = Lab::ready(1, 1);
        lab.events();
        assert_eq!(lab.ask_about(MasterCommand::Remove), Reply::Ok);
        let unknown = Reply::Sentinel(Box::new(SentinelReply::MasterAddr(None)));
        assert_eq!(lab.ask(SentinelCommand::GetMasterAddrByName(Some(GroupId::ONLY))), unknown);
        assert_eq!(lab.ask_about(MasterCommand::Remove), Reply::Error(ErrorKind::NoSuchMaster));
        assert_eq!(lab.ask(SentinelCommand::Reset(vec![GroupId::ONLY])), Reply::Int(0));
        assert!(lab.sentinel.persisted().masters.is_empty());
        lab.hear(12, 9, addr(2), 9);
        lab.run(3_000);
        let monitor = |quorum| SentinelCommand::Monitor { name: GroupId::ONLY, master: addr(1), quorum };
        assert_eq!(lab.ask(monitor(0)), Reply::Error(ErrorKind::QuorumIsZero));
        assert_eq!(lab.ask(monitor(1)), Reply::Ok);
        assert_eq!(lab.ask(monitor(1)), Reply::Error(ErrorKind::DuplicateMaster));
        lab.run(1_000);
        assert_eq!(lab.lines()[0], "-monitor 1");
        let master = lab.sentinel.persisted().masters.remove(&GroupId::ONLY).expect("one");
        assert_eq!((master.down_after_milliseconds, master.failover_timeout), (30_000, 180_000));
        assert_eq!(lab.sentinel.knows(GroupId::ONLY), (1, 0));
    }

    #[test]
    fn a_second_master_is_watched_beside_the_first() {
        let mut lab = Lab::ready(1, 2);
        let other = GroupId(1);
        lab.peers.insert(addr(4), node(Role::Master, &[]));
        assert_eq!(lab.ask(SentinelCommand::Monitor { name: other, master: addr(4), quorum: 1 }), Reply::Ok);
        let set = MasterCommand::Set(vec![SetOption::DownAfterMilliseconds(900)]);
        assert_eq!(lab.ask(SentinelCommand::About(Some(other), set)), Reply::Ok);
        lab.run(2_000);
        assert_eq!((lab.sentinel.knows(GroupId::ONLY), lab.sentinel.knows(other)), ((1, 2), (0, 0)));
        lab.events();
        lab.kill(4);
        lab.run(3_000);
        let events = lab.events();
        let down = |host| when(&events, SentinelEventKind::SdownEntered, host);
        assert!(down(4).is_some() && down(1).is_none(), "{events:?}");
        // Whoever asks names a master by its address, and a hello by its name.
        let mut is_down = |master| {
            let Reply::Sentinel(reply) =
                lab.ask(SentinelCommand::IsMasterDownByAddr { master, epoch: 0, candidate: None })
            else {
                panic!("it answers")
            };
            matches!(*reply, SentinelReply::MasterDown { down: true, .. })
        };
        assert_eq!((is_down(addr(4)), is_down(addr(1))), (true, false));
        let hello =
            Hello { sentinel: addr(12), id: RunId(12), epoch: 9, group: other, master: addr(3), config_epoch: 9 };
        lab.command(Command::Publish(ChannelId::HELLO, Payload::Hello(hello)));
        let believed = |lab: &Lab, group| lab.sentinel.believed_master(group);
        assert_eq!((believed(&lab, other), believed(&lab, GroupId::ONLY)), (addr(3), addr(1)));
        let file = lab.sentinel.persisted();
        assert_eq!((file.masters[&other].addr, file.masters[&GroupId::ONLY].addr), (addr(3), addr(1)));
        assert_eq!(lab.ask(SentinelCommand::About(Some(other), MasterCommand::Remove)), Reply::Ok);
        assert_eq!(lab.sentinel.persisted().masters.into_keys().collect::<Vec<_>>(), [GroupId::ONLY]);
        lab.events();
        lab.run(2_000);
        assert!(lab.lines().is_empty(), "the first goes on as if nothing had been");
    }

    #[test]
    fn a_name_that_nobody_monitors_changes_nothing() {
        let mut lab = Lab::ready(1, 2);
        lab.events();
        let file = lab.sentinel.persisted();
        for command in [
            MasterCommand::Failover,
            MasterCommand::Ckquorum,
            MasterCommand::Replicas,
            MasterCommand::Master,
            MasterCommand::Remove,
            MasterCommand::Set(vec![SetOption::Quorum(1)]),
        ] {
            assert_eq!(lab.ask(SentinelCommand::About(None, command)), Reply::Error(ErrorKind::NoSuchMaster));
        }
        assert_eq!(lab.ask(SentinelCommand::Reset(Vec::new())), Reply::Int(0));
        let unknown = Reply::Sentinel(Box::new(SentinelReply::MasterAddr(None)));
        assert_eq!(lab.ask(SentinelCommand::GetMasterAddrByName(None)), unknown);
        lab.run(15_000);
        assert!(lab.lines().is_empty() && lab.sentinel.persisted() == file);
    }

    #[test]
    fn what_only_a_server_has_is_unknown_to_a_sentinel() {
        let mut lab = Lab::ready(1, 0);
        let reply = lab.give_command(Command::DebugSleep(crate::kernel::Span::from_secs(1)));
        assert_eq!(reply, Reply::Error(ErrorKind::UnknownCommand));
    }

    #[test]
    fn sigterm_ends_the_process_at_the_next_tick() {
        let mut lab = Lab::ready(1, 0);
        let before = lab.now_ms();
        lab.terminate();
        lab.run(1_000);
        assert!(lab.exited && lab.now_ms() > before);
    }
}
