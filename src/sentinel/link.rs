//! Links: the command connection and the Pub/Sub connection to an object (spec 4).

use std::collections::VecDeque;

use super::instance::Instance;
use super::process::{Conn, Owner, Pass};
use crate::record::InstanceKind;
use crate::wire::{ChannelId, Command};

/// Who waits for the next reply on a command connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callback {
    /// Nobody looks at it (`sentinelDiscardReplyCallback`).
    Discard,
    /// `sentinelPingReplyCallback`
    Ping,
    /// `sentinelInfoReplyCallback`
    Info,
    /// `sentinelPublishReplyCallback`
    Publish,
    /// `sentinelReceiveIsMasterDownReply`
    MasterDown,
}

/// `instanceLink`; spec 3.2 and 3.3.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// A needed connection is missing. A connect in progress counts as connected (spec 4.3).
    pub disconnected: bool,
    /// Commands without reply. Only opening or closing the command connection sets it to 0, so it can drift as the real
    /// counter does when a connection breaks.
    pub pending_commands: i32,
    pub command: Option<Conn>,
    pub pubsub: Option<Conn>,
    callbacks: VecDeque<Callback>,
    /// The name given on the Pub/Sub connection is not confirmed yet.
    pubsub_name_pending: bool,
    pub command_conn_time: i64,
    pub pubsub_conn_time: i64,
    pub last_reconn_time: i64,
    pub pubsub_last_activity: i64,
    pub act_ping_time: i64,
    pub last_ping_time: i64,
    pub last_avail_time: i64,
    pub last_pong_time: i64,
}

impl Link {
    /// A link that was never up (`createInstanceLink`).
    pub(super) fn new(now: i64) -> Link {
        Link {
            disconnected: true,
            pending_commands: 0,
            command: None,
            pubsub: None,
            callbacks: VecDeque::new(),
            pubsub_name_pending: false,
            command_conn_time: 0,
            pubsub_conn_time: 0,
            last_reconn_time: 0,
            pubsub_last_activity: 0,
            act_ping_time: now,
            last_ping_time: 0,
            last_avail_time: now,
            last_pong_time: now,
        }
    }

    /// Queues a command on the command connection; false if there is none.
    pub(super) fn send(&mut self, command: Command, callback: Callback, pass: &mut Pass<'_>) -> bool {
        let Some(conn) = self.command else { return false };
        pass.send(conn, command);
        self.callbacks.push_back(callback);
        self.pending_commands += 1;
        true
    }

    /// `sentinelSendPing` (spec 5.4).
    pub(super) fn send_ping(&mut self, pass: &mut Pass<'_>) {
        if self.send(Command::Ping, Callback::Ping, pass) {
            self.last_ping_time = pass.now();
            if self.act_ping_time == 0 {
                self.act_ping_time = self.last_ping_time;
            }
        }
    }

    /// A reply arrived on the command connection: who waits for it.
    pub(super) fn take_callback(&mut self) -> Option<Callback> {
        let callback = self.callbacks.pop_front()?;
        self.pending_commands -= 1;
        Some(callback)
    }

    /// A reply that is no push arrived on the Pub/Sub connection.
    pub(super) fn pubsub_reply(&mut self) {
        if std::mem::take(&mut self.pubsub_name_pending) {
            self.pending_commands -= 1;
        }
    }

    /// Closes the command connection (`instanceLinkCloseConnection`).
    pub(super) fn close_command(&mut self, pass: &mut Pass<'_>) {
        if let Some(conn) = self.command.take() {
            self.pending_commands = 0;
            self.callbacks.clear();
            self.disconnected = true;
            pass.close(conn);
        }
    }

    /// Closes the Pub/Sub connection.
    pub(super) fn close_pubsub(&mut self, pass: &mut Pass<'_>) {
        if let Some(conn) = self.pubsub.take() {
            self.pubsub_name_pending = false;
            self.disconnected = true;
            pass.close(conn);
        }
    }

    /// Closes both.
    pub(super) fn close(&mut self, pass: &mut Pass<'_>) {
        self.close_command(pass);
        self.close_pubsub(pass);
    }

    /// The command connection ended by itself (spec 4.4; `instanceLinkConnectionError`). Outstanding replies become
    /// null: only those that nobody looks at are counted off.
    pub(super) fn command_lost(&mut self) -> Option<Conn> {
        let discarded = self.callbacks.iter().filter(|callback| **callback == Callback::Discard).count();
        self.pending_commands -= discarded as i32;
        self.callbacks.clear();
        self.disconnected = true;
        self.command.take()
    }

    /// The Pub/Sub connection ended by itself.
    pub(super) fn pubsub_lost(&mut self) -> Option<Conn> {
        self.pubsub_reply();
        self.disconnected = true;
        self.pubsub.take()
    }
}

impl Instance {
    /// First step of each tick: opens what is missing, at most once a ping period (spec 4.2;
    /// `sentinelReconnectInstance`).
    #[inline]
    pub(super) fn reconnect(&mut self, pass: &mut Pass<'_>) {
        if self.link.disconnected {
            self.open_missing(pass);
        }
    }

    fn open_missing(&mut self, pass: &mut Pass<'_>) {
        let now = pass.now();
        if self.addr.port == 0 || now - self.link.last_reconn_time < pass.process.periods.ping {
            return;
        }
        let (serial, addr, link) = (self.serial, self.addr, &mut self.link);
        link.last_reconn_time = now;
        if link.command.is_none() {
            link.command = Some(pass.connect(addr, Owner::Command(serial)));
            link.pending_commands = 0;
            link.command_conn_time = now;
            link.send(Command::ClientSetName, Callback::Discard, pass);
            link.send_ping(pass);
        }
        let needs_pubsub = self.kind != InstanceKind::Sentinel;
        if needs_pubsub && link.pubsub.is_none() {
            let conn = pass.connect(addr, Owner::Pubsub(serial));
            link.pubsub = Some(conn);
            link.pubsub_conn_time = now;
            pass.send(conn, Command::ClientSetName);
            link.pubsub_name_pending = true;
            link.pending_commands += 1;
            pass.send(conn, Command::Subscribe(ChannelId::HELLO));
        }
        link.disconnected = false;
    }
}
