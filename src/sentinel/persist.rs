//! What survives a restart: the rewritten configuration file (spec 18).

use std::collections::BTreeMap;

use super::failover::State;
use super::instance::{Instance, Master, flag};
use super::process::{Pass, Process, ms};
use super::{Config, Setup};
use crate::kernel::Time;
use crate::record::InstanceKind;
use crate::wire::{Addr, GroupId, RunId};

/// The rewritten configuration file (`rewriteConfigSentinelOption`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persisted {
    /// `sentinel myid`
    pub id: RunId,
    /// `sentinel current-epoch`
    pub current_epoch: u32,
    /// The monitored masters; one that was removed by `SENTINEL REMOVE` is not among them.
    pub masters: BTreeMap<GroupId, PersistedMaster>,
}

/// The lines about a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistedMaster {
    /// `sentinel monitor`: the address, after an acknowledged promotion that of the promoted replica.
    pub addr: Addr,
    /// `sentinel monitor`: the quorum.
    pub quorum: u32,
    /// `sentinel down-after-milliseconds`
    pub down_after_milliseconds: u64,
    /// `sentinel failover-timeout`
    pub failover_timeout: u64,
    /// `sentinel parallel-syncs`
    pub parallel_syncs: u32,
    /// `sentinel master-reboot-down-after-period`
    pub master_reboot_down_after_period: u64,
    /// `sentinel config-epoch`
    pub config_epoch: u32,
    /// `sentinel leader-epoch`: the epoch of the last vote, without the vote itself.
    pub leader_epoch: u32,
    /// `sentinel known-replica`
    pub replicas: Vec<Addr>,
    /// `sentinel known-sentinel`
    pub sentinels: Vec<(Addr, RunId)>,
}

/// A rewriting of the file: a new one is written and synced, and takes the old one's name (`rewriteConfigOverwriteFile`).
#[derive(Clone, Debug)]
pub(super) struct Rewriting {
    /// What the file said before.
    pub before: Persisted,
    /// When the new one had its name: after the first `fsync`.
    pub renamed: Time,
    /// When that was on the disk.
    pub synced: Time,
}

impl Persisted {
    /// The file as an operator wrote it, with the id that the first start adds.
    pub(super) fn initial(setup: &Setup) -> Persisted {
        let config: &Config = &setup.config;
        let master = |addr| PersistedMaster {
            addr,
            quorum: config.quorum,
            down_after_milliseconds: config.down_after_milliseconds,
            failover_timeout: config.failover_timeout,
            parallel_syncs: config.parallel_syncs,
            master_reboot_down_after_period: config.master_reboot_down_after_period,
            config_epoch: 0,
            leader_epoch: 0,
            replicas: Vec::new(),
            sentinels: Vec::new(),
        };
        let masters = setup.masters.iter().map(|(&group, &addr)| (group, master(addr)));
        Persisted { id: setup.id, current_epoch: 0, masters: masters.collect() }
    }
}

impl Master {
    /// Builds the objects from the file, silently (spec 18.4). All their clocks start now.
    pub(super) fn load(group: GroupId, state: &PersistedMaster, pass: &mut Pass<'_>) -> Master {
        let down_after = ms(state.down_after_milliseconds);
        let mut own = Instance::new(InstanceKind::Master, state.addr, RunId::default(), down_after, pass);
        own.leader_epoch = state.leader_epoch;
        let mut master = Master {
            group,
            own,
            quorum: state.quorum,
            failover_timeout: ms(state.failover_timeout),
            parallel_syncs: state.parallel_syncs,
            reboot_down_after: ms(state.master_reboot_down_after_period),
            config_epoch: state.config_epoch,
            failover_state: State::None,
            failover_epoch: 0,
            failover_start_time: 0,
            failover_state_change_time: 0,
            failover_delay_logged: 0,
            promoted: None,
            slaves: Vec::new(),
            sentinels: Vec::new(),
            places: Vec::new(),
        };
        for &addr in &state.replicas {
            master.add_slave(addr, pass);
        }
        for &(addr, id) in &state.sentinels {
            master.add_sentinel(addr, id, pass);
        }
        master
    }

    /// Writes the file (`sentinelFlushConfig`); the lines about other masters are what they were, for each change of
    /// theirs has been written when it happened.
    pub(super) fn flush(&self, pass: &mut Pass<'_>) {
        if pass.cannot_flush() {
            return;
        }
        let state = self.persisted(pass.process);
        let mut masters = pass.process.disk.masters.clone();
        masters.insert(self.group, state);
        pass.flush(masters);
    }

    pub(super) fn persisted(&self, process: &Process) -> PersistedMaster {
        let addr = self.current_addr();
        // A value equal to the default that holds now is left out, and read back as the default of a new process.
        let setting = |value: i64, default_now: i64, default_new: u64| {
            if value == default_now { default_new } else { value as u64 }
        };
        let config = Config::default();
        let defaults = &process.periods;
        let in_place_of_promoted = |slave: &Instance| if slave.addr == addr { self.own.addr } else { slave.addr };
        PersistedMaster {
            addr,
            quorum: self.quorum,
            down_after_milliseconds: setting(
                self.own.down_after,
                defaults.default_down_after,
                config.default_down_after,
            ),
            failover_timeout: setting(
                self.failover_timeout,
                defaults.default_failover,
                config.default_failover_timeout,
            ),
            parallel_syncs: self.parallel_syncs,
            master_reboot_down_after_period: self.reboot_down_after as u64,
            config_epoch: self.config_epoch,
            leader_epoch: self.own.leader_epoch,
            replicas: self.slaves.iter().map(in_place_of_promoted).collect(),
            sentinels: self.sentinels.iter().map(|sentinel| (sentinel.addr, sentinel.id)).collect(),
        }
    }

    /// The flags as `SENTINEL MASTER` prints them (spec 19).
    pub(super) fn flags_text(&self) -> String {
        let own = &self.own;
        let mut words = Vec::new();
        let mut word = |on: bool, text: &'static str| {
            if on {
                words.push(text);
            }
        };
        word(own.is(flag::S_DOWN), "s_down");
        word(own.is(flag::O_DOWN), "o_down");
        word(true, "master");
        word(own.link.disconnected, "disconnected");
        word(own.is(flag::FAILOVER_IN_PROGRESS), "failover_in_progress");
        word(own.is(flag::FORCE_FAILOVER), "force_failover");
        word(own.is(flag::SCRIPT_KILL_SENT), "script_kill_sent");
        words.join(",")
    }
}
