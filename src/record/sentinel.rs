//! The log lines of a Sentinel: one table, from whose rows they are printed and read (spec 21).
//!
//! They are the same in all releases, of Valkey too: its Sentinel still speaks of `master` and `slave`. Sources:
//! `sentinelEvent` and its callers (sentinel.c of 6.0.16, 6.2.14, 7.0.15, 8.0.2 and Valkey 8.1.1), and the logs of 6.2.14, 7.4.1, 8.2.3
//! and Valkey 8.1.8.

#[cfg(test)]
use proptest::prelude::*;

use super::Names;
use super::lines::{Field, lines};
use super::parse::Scan;
use crate::kernel::Time;
use crate::release::Dialect;
use crate::wire::{Addr, GroupId, Role, RunId};

lines! {
    /// A Sentinel's log line.
    pub enum SentinelEvent {
        Monitor(who: Instance, quorum: u32) = "+monitor {} quorum {}";
        /// How many say so, and how many must.
        Odown(who: Instance, count: u32, quorum: u32) = "+odown {} #quorum {}/{}";
        NewEpoch(epoch: u32) = "+new-epoch {}";
        VoteForLeader(leader: RunId, epoch: u32) = "+vote-for-leader {} {}";
        /// The voter, whom it votes for, and in which epoch; log only.
        VotedFor(voter: RunId, leader: RunId, epoch: u32) = "{} voted for {} {}";
        SwitchMaster(name: GroupId, old: Addr, new: Addr) = "+switch-master {} { } { }";
        /// True: the new role is the one that the object stands for. Verbose, so published, not logged.
        RoleChange(expected: bool, who: Instance, role: Role) = "{+|-}role-change {} new reported role is {}";
        /// Its new address, and whose id it bears.
        SentinelAddressSwitch(who: Instance, to: Addr, id: RunId) = "+sentinel-address-switch {} ip { port } for {}";
        /// Option and value.
        Set(who: Instance, what: Box<str>) = "+set {} {}";
        /// True: entered.
        Tilt(on: bool) = "{+tilt #tilt mode entered|-tilt #tilt mode exited}";
        /// Log only.
        NextFailoverDelay(until: Time) = "Next failover delay: I will not start a failover before {}";
        /// Log only.
        UserFailover(name: GroupId) = "Executing user requested FAILOVER of '{}'";
        /// Log only.
        ConfigSaved = "Sentinel new configuration saved on disk";
        /// Log only.
        Id(own: RunId) = "Sentinel ID is {}";
        /// Every other event, about the instance that it names.
        About(kind: SentinelEventKind, who: Instance) = "{} {}";
    }
}

lines! {
    /// How an instance is written (spec 21.2). A replica's name is its address, a Sentinel's its id.
    pub(super) enum Written {
        Master(name: GroupId, addr: Addr) = "master {} { }";
        Slave(own: Addr, addr: Addr, name: GroupId, master: Addr) = "slave {} { } @ {} { }";
        Sentinel(id: RunId, addr: Addr, name: GroupId, master: Addr) = "sentinel {} { } @ {} { }";
    }
}

/// Which kind of object a Sentinel event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// The monitored master.
    Master,
    /// One of its replicas.
    Slave,
    /// Another Sentinel.
    Sentinel,
}

/// The instance that a Sentinel event is about (`@` in spec 21.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What it is.
    pub kind: InstanceKind,
    /// Its address.
    pub addr: Addr,
    /// A Sentinel's id, which is also its name.
    pub id: RunId,
    /// Under which name the master is monitored that it is, or belongs to.
    pub name: GroupId,
    /// The address of the master object at that moment.
    pub master: Addr,
}

macro_rules! sentinel_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Events whose text is `<event> @` and nothing else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is named by its own text")]
        pub enum SentinelEventKind { $($(#[$doc])* $name),+ }

        impl SentinelEventKind {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [SentinelEventKind] = &[$(SentinelEventKind::$name),+];

            /// The event's name as Sentinel prints it.
            pub const fn as_str(self) -> &'static str {
                match self { $(SentinelEventKind::$name => $text),+ }
            }
        }
    };
}

sentinel_kinds! {
    MonitorRemoved = "-monitor",
    ResetMaster = "+reset-master",
    SlaveAdded = "+slave",
    SentinelAdded = "+sentinel",
    SentinelInvalidAddr = "+sentinel-invalid-addr",
    SdownEntered = "+sdown",
    SdownLeft = "-sdown",
    OdownLeft = "-odown",
    TryFailover = "+try-failover",
    ElectedLeader = "+elected-leader",
    StateSelectSlave = "+failover-state-select-slave",
    SelectedSlave = "+selected-slave",
    StateSendSlaveofNoone = "+failover-state-send-slaveof-noone",
    StateWaitPromotion = "+failover-state-wait-promotion",
    PromotedSlave = "+promoted-slave",
    StateReconfSlaves = "+failover-state-reconf-slaves",
    SlaveReconfSent = "+slave-reconf-sent",
    SlaveReconfInprog = "+slave-reconf-inprog",
    SlaveReconfDone = "+slave-reconf-done",
    SlaveReconfSentTimeout = "-slave-reconf-sent-timeout",
    SlaveReconfSentBe = "+slave-reconf-sent-be",
    FailoverEndForTimeout = "+failover-end-for-timeout",
    FailoverEnd = "+failover-end",
    ConfigUpdateFrom = "+config-update-from",
    AbortNotElected = "-failover-abort-not-elected",
    AbortNoGoodSlave = "-failover-abort-no-good-slave",
    AbortSlaveTimeout = "-failover-abort-slave-timeout",
    Reboot = "+reboot",
    ConvertToSlave = "+convert-to-slave",
    FixSlaveConfig = "+fix-slave-config",
}

impl SentinelEvent {
    /// The line as a Sentinel prints it.
    pub fn text(&self, names: &Names) -> String {
        let mut out = String::new();
        self.write(Dialect::default(), names, &mut out);
        out
    }
}

impl Field for SentinelEventKind {
    fn write(&self, _: &str, _: &Names, out: &mut String) {
        out.push_str(self.as_str());
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<SentinelEventKind> {
        let word = scan.before(next)?;
        SentinelEventKind::ALL.iter().find(|kind| kind.as_str() == word).copied()
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<SentinelEventKind> {
        (0..SentinelEventKind::ALL.len()).prop_map(|place| SentinelEventKind::ALL[place]).boxed()
    }
}

impl Field for Instance {
    fn write(&self, _: &str, names: &Names, out: &mut String) {
        let Instance { kind, addr, id, name, master } = *self;
        let written = match kind {
            InstanceKind::Master => Written::Master(name, addr),
            InstanceKind::Slave => Written::Slave(addr, addr, name, master),
            InstanceKind::Sentinel => Written::Sentinel(id, addr, name, master),
        };
        written.write(Dialect::default(), names, out);
    }
    fn read(scan: &mut Scan<'_>, _: &str, _: &str) -> Option<Instance> {
        let id = RunId::default();
        Some(match Written::read(scan, Dialect::default(), false)? {
            Written::Master(name, addr) => Instance { kind: InstanceKind::Master, addr, id, name, master: addr },
            Written::Slave(_, addr, name, master) => Instance { kind: InstanceKind::Slave, addr, id, name, master },
            Written::Sentinel(id, addr, name, master) => {
                Instance { kind: InstanceKind::Sentinel, addr, id, name, master }
            }
        })
    }
    #[cfg(test)]
    fn any(form: &'static str) -> BoxedStrategy<Instance> {
        let fields = (0..3, Addr::any(form), RunId::any(form), GroupId::any(form), Addr::any(form));
        let of = |(kind, addr, id, name, master)| match kind {
            0 => Instance { kind: InstanceKind::Master, addr, id: RunId::default(), name, master: addr },
            1 => Instance { kind: InstanceKind::Slave, addr, id: RunId::default(), name, master },
            _ => Instance { kind: InstanceKind::Sentinel, addr, id, name, master },
        };
        fields.prop_map(of).boxed()
    }
}
