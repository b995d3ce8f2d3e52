//! Periodic commands: INFO, PING and hello (spec 5; `sentinelSendPeriodicCommands`).

use super::instance::Instance;
use super::link::Callback;
use super::process::Pass;
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
        let ping_period = self.down_after.min(pass.process.periods.ping);
        if now - self.link.last_pong_time > ping_period && now - self.link.last_ping_time > ping_period / 2 {
            self.link.send_ping(pass);
        }
        if now - self.last_pub_time > pass.process.periods.publish {
            let publish = Command::Publish(ChannelId::HELLO, Payload::Hello(hello));
            self.link.send(publish, Callback::Publish, pass);
        }
    }
}
