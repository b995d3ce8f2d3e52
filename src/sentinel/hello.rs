//! Hello messages: how Sentinels find each other and spread the configuration (spec 15).

use super::instance::Master;
use super::process::Pass;
use crate::record::{SentinelEvent, SentinelEventKind};
use crate::wire::Hello;

impl Master {
    /// Something was read from the Pub/Sub connection of the object with this serial number; own messages are skipped
    /// (`sentinelReceiveHelloMessages`).
    pub(super) fn pubsub_message(&mut self, serial: u32, hello: Option<Hello>, pass: &mut Pass<'_>) {
        let Some(at) = self.find(serial) else { return };
        self.at_mut(at).link.pubsub_last_activity = pass.now();
        if let Some(hello) = hello
            && hello.id != pass.process.id
        {
            self.process_hello(hello, pass);
        }
    }

    /// `sentinelProcessHelloMessage` (spec 15.3). Not blocked by TILT.
    pub(super) fn process_hello(&mut self, hello: Hello, pass: &mut Pass<'_>) {
        let known = |master: &Master| {
            master.sentinels.iter().position(|other| other.id == hello.id && other.addr == hello.sentinel)
        };
        let index = match known(self) {
            Some(index) => index,
            None => {
                self.meet(hello, pass);
                known(self).expect("it was just added")
            }
        };
        if hello.epoch > pass.process.current_epoch {
            pass.process.current_epoch = hello.epoch;
            self.flush(pass);
            pass.log(|| SentinelEvent::NewEpoch(hello.epoch));
        }
        if self.config_epoch < hello.config_epoch {
            self.config_epoch = hello.config_epoch;
            let old = self.own.addr;
            if hello.master != old {
                pass.about(SentinelEventKind::ConfigUpdateFrom, self.sentinels[index].who(old));
                pass.log(|| SentinelEvent::SwitchMaster(old, hello.master));
                self.reset_and_change_address(hello.master, pass);
            }
        }
        self.sentinels[index].last_hello_time = pass.now();
    }

    /// A Sentinel that is new, or that has a new address.
    fn meet(&mut self, hello: Hello, pass: &mut Pass<'_>) {
        let master = self.own.addr;
        let same_id = |other: &super::instance::Instance| other.id == hello.id;
        let moved = self.sentinels.iter().position(same_id);
        if let Some(index) = moved {
            self.sentinels.remove(index).link.close(pass);
            let who = self.own.who(master);
            pass.log(|| SentinelEvent::SentinelAddressSwitch(who, hello.sentinel, hello.id));
        } else if let Some(index) = self.sentinels.iter().position(|other| other.addr == hello.sentinel) {
            pass.about(SentinelEventKind::SentinelInvalidAddr, self.sentinels[index].who(master));
            self.sentinels.remove(index).link.close(pass);
        }
        let added = self.add_sentinel(hello.sentinel, hello.id, pass);
        assert!(added, "entries with the same id were removed");
        if moved.is_none() {
            let sentinel = self.sentinels.iter().find(|other| same_id(other)).expect("it was just added");
            pass.about(SentinelEventKind::SentinelAdded, sentinel.who(master));
        }
        self.flush(pass);
    }

    /// Makes a hello to everybody due at the next tick (spec 15.5; `sentinelForceHelloUpdateForMaster`).
    pub(super) fn force_hello(&mut self, pass: &mut Pass<'_>) {
        let step = pass.process.periods.publish + 1;
        let all = std::iter::once(&mut self.own).chain(&mut self.sentinels).chain(&mut self.slaves);
        for instance in all.filter(|instance| instance.last_pub_time >= step) {
            instance.last_pub_time -= step;
        }
    }
}
