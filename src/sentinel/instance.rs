//! The objects: the master, its replicas and the other Sentinels (spec 3; `createSentinelRedisInstance`).

use std::cmp::Reverse;

use super::failover::State;
use super::link::Link;
use super::process::{Pass, Process};
use crate::record::{Instance as Who, InstanceKind};
use crate::wire::{Addr, GroupId, Hello, Ip, Role, RunId};

/// Flags of an object.
pub(super) mod flag {
    pub(crate) const S_DOWN: u16 = 1 << 0;
    pub(crate) const O_DOWN: u16 = 1 << 1;
    pub(crate) const MASTER_DOWN: u16 = 1 << 2;
    pub(crate) const FAILOVER_IN_PROGRESS: u16 = 1 << 3;
    pub(crate) const PROMOTED: u16 = 1 << 4;
    pub(crate) const RECONF_SENT: u16 = 1 << 5;
    pub(crate) const RECONF_INPROG: u16 = 1 << 6;
    pub(crate) const RECONF_DONE: u16 = 1 << 7;
    pub(crate) const FORCE_FAILOVER: u16 = 1 << 8;
    pub(crate) const SCRIPT_KILL_SENT: u16 = 1 << 9;
    pub(crate) const MASTER_REBOOT: u16 = 1 << 10;
}

/// `SENTINEL_DEFAULT_SLAVE_PRIORITY`.
const DEFAULT_SLAVE_PRIORITY: u32 = 100;

/// One monitored object. All times are wall-clock milliseconds; 0 means "never".
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// Distinguishes this object from all others, earlier ones included.
    pub serial: u32,
    hash: u64,
    pub kind: InstanceKind,
    pub addr: Addr,
    /// A Sentinel's id, which is its name; the default for others.
    pub id: RunId,
    /// `run_id` of the last INFO; none before the first.
    pub run_id: Option<RunId>,
    pub flags: u16,
    pub link: Link,
    pub last_pub_time: i64,
    pub last_hello_time: i64,
    pub last_master_down_reply_time: i64,
    pub s_down_since_time: i64,
    pub o_down_since_time: i64,
    pub down_after: i64,
    pub info_refresh: i64,
    pub role_reported: Option<Role>,
    pub role_reported_time: i64,
    pub master_reboot_since_time: i64,
    pub master_link_down_time: i64,
    pub slave_conf_change_time: i64,
    pub slave_priority: u32,
    pub slave_reconf_sent_time: i64,
    pub slave_master_host: Option<Ip>,
    pub slave_master_port: u16,
    pub slave_master_link_up: bool,
    pub slave_repl_offset: u64,
    pub replica_announced: bool,
    /// A master's: my vote. A Sentinel's: its vote as it told me.
    pub leader: Option<RunId>,
    pub leader_epoch: u32,
}

impl Instance {
    /// A new object with the initial values of spec 3.2 and 3.4.
    pub(super) fn new(kind: InstanceKind, addr: Addr, id: RunId, down_after: i64, pass: &mut Pass<'_>) -> Instance {
        let now = pass.now();
        let process: &mut Process = pass.process;
        let hash = process.hash(key(kind, addr, id));
        Instance {
            serial: process.next_serial(),
            hash,
            kind,
            addr,
            id,
            run_id: None,
            flags: 0,
            link: Link::new(now),
            last_pub_time: now,
            last_hello_time: now,
            last_master_down_reply_time: now,
            s_down_since_time: 0,
            o_down_since_time: 0,
            down_after,
            info_refresh: 0,
            role_reported: match kind {
                InstanceKind::Master => Some(Role::Master),
                InstanceKind::Slave => Some(Role::Slave),
                InstanceKind::Sentinel => None,
            },
            role_reported_time: now,
            master_reboot_since_time: 0,
            master_link_down_time: 0,
            slave_conf_change_time: now,
            slave_priority: DEFAULT_SLAVE_PRIORITY,
            slave_reconf_sent_time: 0,
            slave_master_host: None,
            slave_master_port: 0,
            slave_master_link_up: false,
            slave_repl_offset: 0,
            replica_announced: true,
            leader: None,
            leader_epoch: 0,
        }
    }

    /// Whether any of these flags is set.
    #[inline]
    pub(super) fn is(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// How log lines name it (spec 21.2).
    #[inline]
    pub(super) fn who(&self, master: Addr) -> Who {
        Who { kind: self.kind, addr: self.addr, id: self.id, name: GroupId::ONLY, master }
    }

    /// Neither SDOWN nor ODOWN began within the last `span_ms` (`sentinelRedisInstanceNoDownFor`).
    pub(super) fn no_down_for(&self, span_ms: i64, now: i64) -> bool {
        let latest = self.s_down_since_time.max(self.o_down_since_time);
        latest == 0 || now - latest > span_ms
    }
}

/// Puts objects into the order in which dict.c walks them: by bucket, and in a bucket the newest first. The table has
/// four buckets or the next power of two that holds all.
fn order(instances: &mut [Instance], places: &mut Vec<u32>) {
    let mask = mask(instances);
    instances.sort_unstable_by_key(|instance| (instance.hash & mask, Reverse(instance.serial)));
    for (place, instance) in instances.iter().enumerate() {
        let serial = instance.serial as usize;
        if places.len() <= serial {
            places.resize(serial + 1, u32::MAX);
        }
        places[serial] = place as u32;
    }
}

fn mask(instances: &[Instance]) -> u64 {
    instances.len().next_power_of_two().max(4) as u64 - 1
}

/// Where an object is, by the hash of its key: in its bucket, as the order has it. Who is not there is looked for
/// everywhere, since a list that has lost an object is out of order until the next is added.
fn position(instances: &[Instance], hash: u64, wanted: impl Fn(&Instance) -> bool) -> Option<usize> {
    let mask = mask(instances);
    let first = instances.partition_point(|instance| instance.hash & mask < hash & mask);
    let bucket = instances[first..].iter().take_while(|instance| instance.hash & mask == hash & mask);
    let found = bucket.enumerate().find(|(_, instance)| wanted(instance)).map(|(place, _)| first + place);
    found.or_else(|| instances.iter().position(wanted))
}

fn key(kind: InstanceKind, addr: Addr, id: RunId) -> u64 {
    match kind {
        InstanceKind::Sentinel => id.0,
        _ => u64::from(addr.ip.0) << 16 | addr.port as u64,
    }
}

/// Which object of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Master,
    Slave(usize),
    Sentinel(usize),
}

/// A monitored master with everything that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Master {
    /// Under which name it is monitored.
    pub group: GroupId,
    /// The master's own object.
    pub own: Instance,
    pub quorum: u32,
    pub failover_timeout: i64,
    pub parallel_syncs: u32,
    pub reboot_down_after: i64,
    pub config_epoch: u32,
    pub failover_state: State,
    pub failover_epoch: u32,
    pub failover_start_time: i64,
    pub failover_state_change_time: i64,
    pub failover_delay_logged: i64,
    /// Serial number of the replica that is being promoted.
    pub promoted: Option<u32>,
    pub slaves: Vec<Instance>,
    pub sentinels: Vec<Instance>,
    /// By serial number: the place in its list when that was last put in order.
    pub places: Vec<u32>,
}

impl Master {
    /// The object with a serial number.
    pub(super) fn find(&self, serial: u32) -> Option<At> {
        if self.own.serial == serial {
            return Some(At::Master);
        }
        let place = self.places.get(serial as usize).map_or(usize::MAX, |&place| place as usize);
        let is_there = |list: &[Instance]| list.get(place).is_some_and(|instance| instance.serial == serial);
        if is_there(&self.slaves) {
            return Some(At::Slave(place));
        }
        if is_there(&self.sentinels) {
            return Some(At::Sentinel(place));
        }
        let among = |list: &[Instance]| list.iter().position(|instance| instance.serial == serial);
        among(&self.slaves).map(At::Slave).or_else(|| among(&self.sentinels).map(At::Sentinel))
    }

    /// The replica with an address.
    pub(super) fn slave_at(&self, addr: Addr, process: &Process) -> Option<usize> {
        let hash = process.hash(key(InstanceKind::Slave, addr, RunId::default()));
        position(&self.slaves, hash, |slave| slave.addr == addr)
    }

    /// The Sentinel with an id at an address.
    pub(super) fn sentinel_with(&self, id: RunId, addr: Addr, process: &Process) -> Option<usize> {
        let hash = process.hash(key(InstanceKind::Sentinel, addr, id));
        position(&self.sentinels, hash, |sentinel| sentinel.id == id && sentinel.addr == addr)
    }

    /// The object at a place.
    pub(super) fn at_mut(&mut self, at: At) -> &mut Instance {
        match at {
            At::Master => &mut self.own,
            At::Slave(index) => &mut self.slaves[index],
            At::Sentinel(index) => &mut self.sentinels[index],
        }
    }

    /// Adds a replica unless it is known; true if it was added.
    pub(super) fn add_slave(&mut self, addr: Addr, pass: &mut Pass<'_>) -> bool {
        if self.slave_at(addr, pass.process).is_some() {
            return false;
        }
        let slave = Instance::new(InstanceKind::Slave, addr, RunId::default(), self.own.down_after, pass);
        self.slaves.push(slave);
        order(&mut self.slaves, &mut self.places);
        true
    }

    /// Adds a Sentinel unless its id is known; true if it was added.
    pub(super) fn add_sentinel(&mut self, addr: Addr, id: RunId, pass: &mut Pass<'_>) -> bool {
        if self.sentinels.iter().any(|sentinel| sentinel.id == id) {
            return false;
        }
        let sentinel = Instance::new(InstanceKind::Sentinel, addr, id, self.own.down_after, pass);
        self.sentinels.push(sentinel);
        order(&mut self.sentinels, &mut self.places);
        true
    }

    /// The replica that is being promoted.
    pub(super) fn promoted_index(&self) -> Option<usize> {
        let serial = self.promoted?;
        self.slaves.iter().position(|slave| slave.serial == serial)
    }

    /// The address to tell others: that of the promoted replica once it acknowledged (spec 11.7;
    /// `sentinelGetCurrentMasterAddress`).
    pub(super) fn current_addr(&self) -> Addr {
        let acknowledged = self.own.is(flag::FAILOVER_IN_PROGRESS) && self.failover_state >= State::ReconfSlaves;
        match self.promoted_index() {
            Some(index) if acknowledged => self.slaves[index].addr,
            _ => self.own.addr,
        }
    }

    /// What a hello says now (spec 15.1).
    pub(super) fn hello(&self, process: &Process) -> Hello {
        Hello {
            sentinel: process.me,
            id: process.id,
            epoch: process.current_epoch,
            group: self.group,
            master: self.current_addr(),
            config_epoch: self.config_epoch,
        }
    }
}
