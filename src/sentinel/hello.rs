//! Hello messages: how Sentinels find each other and spread the configuration (spec 15).

use super::instance::Master;
use super::process::Pass;
use crate::mistake::Mistake;
use crate::record::{SentinelEvent, SentinelEventKind};
use crate::wire::Hello;

impl Master {
    /// Something was read from the Pub/Sub connection of the object with this serial number.
    pub(super) fn pubsub_heard(&mut self, serial: u32, pass: &Pass<'_>) {
        if let Some(at) = self.find(serial) {
            self.at_mut(at).link.pubsub_last_activity = pass.now();
        }
    }

    /// `sentinelProcessHelloMessage` (spec 15.3). Not blocked by TILT.
    pub(super) fn process_hello(&mut self, hello: Hello, pass: &mut Pass<'_>) {
        let index = match self.sentinel_with(hello.id, hello.sentinel, pass.process) {
            Some(index) => index,
            None => {
                self.meet(hello, pass);
                self.sentinel_with(hello.id, hello.sentinel, pass.process).expect("it was just added")
            }
        };
        if hello.epoch > pass.process.current_epoch {
            pass.process.current_epoch = hello.epoch;
            self.flush(pass);
            pass.log(|| SentinelEvent::NewEpoch(hello.epoch));
        }
        let older = pass.out.mistaken(Mistake::OlderConfiguration) && hello.master != self.own.addr;
        if self.config_epoch < hello.config_epoch || older {
            self.config_epoch = hello.config_epoch;
            let old = self.own.addr;
            if hello.master != old {
                pass.about(SentinelEventKind::ConfigUpdateFrom, self.sentinels[index].who(old));
                pass.switch_master(self.group, old, hello.master);
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
            if pass.process.rules.keeps_invalid_sentinel {
                self.sentinels[index].addr.port = 0;
                self.sentinels[index].link.close(pass);
            } else {
                self.sentinels.remove(index).link.close(pass);
            }
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

#[cfg(test)]
mod tests {
    use crate::sentinel::testing::{Lab, addr};
    use crate::wire::{ChannelId, Command, GroupId, Hello, Payload, RunId};

    #[test]
    fn a_newer_configuration_switches_at_once_and_keeps_the_sentinels() {
        let mut lab = Lab::ready(2, 2);
        lab.events();
        lab.hear(12, 1, addr(2), 1);
        let mut lines = lab.lines();
        assert_eq!(lines[..3], ["+new-epoch 1", "+config-update-from 12", "+switch-master 1 2"]);
        assert_eq!(lines.split_off(3), ["+slave 3", "+slave 1"], "the old master is the last");
        assert_eq!(lab.sentinel.knows(GroupId::ONLY), (2, 2));
        assert_eq!(lab.sentinel.believed_master(GroupId::ONLY), addr(2));
        lab.hear(13, 1, addr(3), 1);
        assert!(lab.lines().is_empty(), "an equal config epoch changes nothing");
        lab.hear(13, 1, addr(2), 5);
        assert!(lab.lines().is_empty(), "a larger one with the same address changes only the number");
        assert_eq!(lab.sentinel.persisted().masters[&GroupId::ONLY].config_epoch, 1, "and is not written");
    }

    #[test]
    fn a_sentinel_that_moves_or_takes_an_address_replaces_the_old_entry() {
        let mut lab = Lab::ready(1, 2);
        lab.events();
        let hello = |sentinel, id| {
            let hello =
                Hello { sentinel, id: RunId(id), epoch: 0, group: GroupId::ONLY, master: addr(1), config_epoch: 0 };
            Command::Publish(ChannelId::HELLO, Payload::Hello(hello))
        };
        lab.command(hello(addr(20), 12));
        assert_eq!(lab.lines(), ["+sentinel-address-switch 20 12"]);
        lab.command(hello(addr(13), 99));
        assert_eq!(lab.lines(), ["+sentinel-invalid-addr 13", "+sentinel 13"]);
        assert_eq!(lab.sentinel.knows(GroupId::ONLY), (1, 2));
    }

    #[test]
    fn the_first_hello_comes_two_seconds_after_start_and_own_ones_are_skipped() {
        let mut lab = Lab::with(Default::default(), 1, 0, 4);
        lab.run(10_000);
        assert!((2_000..=2_110).contains(&lab.hellos[0].0), "{}", lab.hellos[0].0);
        assert!(lab.sentinel.knows(GroupId::ONLY).1 < 1, "it does not meet itself");
    }
}
