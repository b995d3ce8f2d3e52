//! Periodic commands: INFO, PING and hello (spec 5; `sentinelSendPeriodicCommands`).

use super::instance::Instance;
use super::link::Callback;
use super::process::Pass;
use crate::mistake::Mistake;
use crate::record::InstanceKind;
use crate::wire::{ChannelId, Command, Hello, InfoSection, Payload};

/// `SENTINEL_MAX_PENDING_COMMANDS`; with one master no link has more than one owner.
const MAX_PENDING_COMMANDS: i32 = 100;

/// INFO period of a replica in trouble: a literal in the source.
const INFO_PERIOD_TROUBLE_MS: i64 = 1000;

impl Instance {
    /// Sends what is due. `master_in_trouble`: the master is O_DOWN or being failed over.
    pub(super) fn send_periodic(&mut self, master_in_trouble: bool, hello: Hello, pass: &mut Pass<'_>) {
        if self.link.disconnected || self.link.pending_commands >= MAX_PENDING_COMMANDS {
            return;
        }
        let now = pass.now();
        let in_trouble = self.kind == InstanceKind::Slave && (master_in_trouble || self.master_link_down_time != 0);
        let info_period = if in_trouble { INFO_PERIOD_TROUBLE_MS } else { pass.process.periods.info };
        let info_due = self.info_refresh == 0 || now - self.info_refresh > info_period;
        if self.kind != InstanceKind::Sentinel && info_due {
            self.link.send(Command::Info(InfoSection::Default), Callback::Info, pass);
        }
        let slow = if pass.out.mistaken(Mistake::SlowPing) { 2 } else { 1 };
        let ping_period = self.down_after.min(pass.process.periods.ping) * slow;
        if now - self.link.last_pong_time > ping_period && now - self.link.last_ping_time > ping_period / 2 {
            self.link.send_ping(pass);
        }
        if now - self.last_pub_time > pass.process.periods.publish {
            let publish = Command::Publish(ChannelId::HELLO, Payload::Hello(hello));
            self.link.send(publish, Callback::Publish, pass);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sentinel::Config;
    use crate::sentinel::testing::{Lab, Mode};
    use crate::wire::{Command, InfoSection};

    fn gaps(lab: &mut Lab, host: u16, is: impl Fn(&Command) -> bool) -> Vec<u64> {
        let times: Vec<u64> = lab.peer(host).received.iter().filter(|r| is(&r.1)).map(|r| r.0).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn a_healthy_peer_is_pinged_every_second_and_asked_for_info_every_ten() {
        let mut lab = Lab::ready(2, 1);
        lab.peer(2).received.clear();
        lab.run(60_000);
        let pings = gaps(&mut lab, 2, |command| *command == Command::Ping);
        assert!(pings.iter().all(|gap| (1_000..=1_106).contains(gap)), "{pings:?}");
        let mean = pings.iter().sum::<u64>() / pings.len() as u64;
        assert!((1_030..=1_055).contains(&mean), "mean {mean}");
        let infos = gaps(&mut lab, 2, |command| matches!(command, Command::Info(_)));
        assert!(infos.iter().all(|gap| (10_000..=10_106).contains(gap)), "{infos:?}");
        let hellos = gaps(&mut lab, 12, |command| matches!(command, Command::Publish(..)));
        assert!(hellos.iter().all(|gap| (2_000..=2_106).contains(gap)), "{hellos:?}");
    }

    #[test]
    fn a_short_down_after_shortens_the_ping_period() {
        let config = Config { down_after_milliseconds: 400, ..Config::default() };
        let mut lab = Lab::with(config, 1, 0, 5);
        lab.run(20_000);
        let pings = gaps(&mut lab, 2, |command| *command == Command::Ping);
        assert!(pings[1..].iter().all(|gap| (400..=506).contains(gap)), "{pings:?}");
    }

    #[test]
    fn a_replica_whose_link_is_down_is_asked_every_second() {
        let mut lab = Lab::ready(1, 0);
        lab.peer(2).info.link.as_mut().expect("a replica").down_since_s = Some(3);
        lab.run(11_000);
        lab.peer(2).received.clear();
        lab.run(20_000);
        let infos = gaps(&mut lab, 2, |command| *command == Command::Info(InfoSection::Default));
        assert!(infos.iter().all(|gap| (1_000..=1_106).contains(gap)), "{infos:?}");
    }

    #[test]
    fn a_stopped_peer_collects_about_a_hundred_commands() {
        let config = Config { down_after_milliseconds: 30_000, ..Config::default() };
        let mut lab = Lab::ready_with(config, 1, 0);
        lab.peer(1).mode = Mode::Silent;
        lab.peer(1).received.clear();
        lab.run(14_500);
        let received = lab.peer(1).received.len();
        assert!((100..=102).contains(&received), "{received}");
    }

    #[test]
    fn ticks_are_one_of_ten_intervals_apart_plus_a_small_drift() {
        // An INFO that is never answered is repeated every tick.
        let mut lab = Lab::with(Config::default(), 0, 0, 1);
        lab.peer(1).mode = Mode::Silent;
        lab.run(6_000);
        let times = gaps(&mut lab, 1, |command| matches!(command, Command::Info(_)));
        assert!(times.len() > 50);
        let nominal = [100, 90, 83, 76, 71, 66, 62, 58, 55, 52];
        for gap in &times {
            assert!(nominal.iter().any(|n| (0..=4).contains(&(*gap as i64 - n))), "{gap}");
        }
    }
}
