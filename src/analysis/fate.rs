//! What may become of a message, and the one place that decides why it was lost.
//!
//! The ledger reads what it knows off the lines of a recording, an explanation off the trace of a run; both put it into a
//! [`Failure`] or an [`Unheard`], and what these amount to is said here alone.

use serde::Serialize;

use crate::record::Outcome;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The publisher was told that it succeeded, and a subscriber has it.
    Delivered,
    /// The publisher was told that it failed, and a subscriber has it all the same.
    FailedButDelivered,
    /// The publisher was told that it failed, and no subscriber has it.
    Failed,
    /// The publisher was told that it succeeded, and no subscriber has it.
    LostSilently,
    /// On its way when the recording ended.
    Undecided,
}

/// Why a message was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// HAProxy accepted the connection and closed it: it had no server.
    RefusedNoServer,
    /// HAProxy was not running, or its host was gone.
    ProxyDown,
    /// The connection was refused.
    ConnectionRefused,
    /// The connection did not open: no answer or no route.
    ConnectTimeout,
    /// The connection ended before the reply.
    ConnectionCut,
    /// HAProxy closed the connection because nothing came for as long as its `timeout client`, `timeout server` or
    /// `timeout tunnel`: the publisher's before its reply, or the subscriber's, which was not back yet.
    ProxyIdleTimeout,
    /// No reply in time.
    ReplyTimeout,
    /// The client library had no free connection.
    PoolTimeout,
    /// No Sentinel named a master.
    NoMaster,
    /// The server was loading its data and said so (`-LOADING`).
    Loading,
    /// The server answered with another error.
    ErrorReply,
    /// Accepted by a node that is not a master, to which no subscriber listens.
    AcceptedByReplica,
    /// Accepted; the subscriber was still connected to another server.
    SubscriberPinnedToOldMaster,
    /// Accepted; the subscriber was between two connections.
    SubscriberReconnecting,
    /// Accepted; the server had closed the subscriber's connection because too much was waiting to be sent to it
    /// (`client-output-buffer-limit`), or dropped the message with it.
    OutputBufferKill,
    /// Accepted; nobody was subscribed.
    AcceptedButNobodySubscribed,
    /// Accepted and sent on; the subscriber's connection ended before it arrived.
    CutInDelivery,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 17] = [
        Cause::RefusedNoServer,
        Cause::ProxyDown,
        Cause::ConnectionRefused,
        Cause::ConnectTimeout,
        Cause::ConnectionCut,
        Cause::ProxyIdleTimeout,
        Cause::ReplyTimeout,
        Cause::PoolTimeout,
        Cause::NoMaster,
        Cause::Loading,
        Cause::ErrorReply,
        Cause::AcceptedByReplica,
        Cause::SubscriberPinnedToOldMaster,
        Cause::SubscriberReconnecting,
        Cause::OutputBufferKill,
        Cause::AcceptedButNobodySubscribed,
        Cause::CutInDelivery,
    ];

    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::RefusedNoServer => "refused-no-server",
            Cause::ProxyDown => "proxy-down",
            Cause::ConnectionRefused => "connection-refused",
            Cause::ConnectTimeout => "connect-timeout",
            Cause::ConnectionCut => "connection-cut",
            Cause::ProxyIdleTimeout => "proxy-idle-timeout",
            Cause::ReplyTimeout => "reply-timeout",
            Cause::PoolTimeout => "pool-timeout",
            Cause::NoMaster => "no-master",
            Cause::Loading => "loading",
            Cause::ErrorReply => "error-reply",
            Cause::AcceptedByReplica => "accepted-by-replica",
            Cause::SubscriberPinnedToOldMaster => "subscriber-pinned-to-old-master",
            Cause::SubscriberReconnecting => "subscriber-reconnecting",
            Cause::OutputBufferKill => "output-buffer-kill",
            Cause::AcceptedButNobodySubscribed => "accepted-but-nobody-subscribed",
            Cause::CutInDelivery => "cut-in-delivery",
        }
    }
}

impl Fate {
    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::FailedButDelivered => "failed-but-delivered",
            Fate::Failed => "failed",
            Fate::LostSilently => "lost-silently",
            Fate::Undecided => "undecided",
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A program died, was demoted or marked down, the network failed, or the connection was not quiet.
    Explained,
    /// `client-output-buffer-limit`.
    OutputLimit,
    /// HAProxy's idle timeouts.
    Idle,
}

/// What is known of an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ended for the client.
    pub outcome: Outcome,
    /// HAProxy was not running, or its host was gone, when it began or ended.
    pub proxy_down: bool,
    /// HAProxy had no server when it began or ended.
    pub no_server: bool,
    /// Why its connection ended, if it did.
    pub ended: Ending,
}

impl Failure {
    /// Why it failed.
    pub fn cause(&self) -> Cause {
        match self.outcome {
            Outcome::Ok | Outcome::Unreplicated => unreachable!("only failed attempts are judged here"),
            Outcome::Loading => Cause::Loading,
            Outcome::Readonly
            | Outcome::NoReplicas
            | Outcome::MasterDown
            | Outcome::Misconf
            | Outcome::Busy
            | Outcome::Err => Cause::ErrorReply,
            Outcome::NoMaster => Cause::NoMaster,
            _ if self.proxy_down => Cause::ProxyDown,
            Outcome::ReplyClosed | Outcome::ConnectClosed if self.no_server => Cause::RefusedNoServer,
            Outcome::ReplyClosed if self.ended == Ending::Idle => Cause::ProxyIdleTimeout,
            Outcome::ReplyClosed | Outcome::ConnectClosed => Cause::ConnectionCut,
            Outcome::ConnectRefused => Cause::ConnectionRefused,
            Outcome::ConnectTimeout | Outcome::ConnectUnreachable => Cause::ConnectTimeout,
            Outcome::ReplyTimeout => Cause::ReplyTimeout,
            Outcome::PoolTimeout => Cause::PoolTimeout,
        }
    }
}

/// Where a subscriber was when a message was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Its connection led to another server.
    Elsewhere,
    /// Its connection led to the same server, or nobody knows where to.
    Connected,
    /// It had no connection, or had not subscribed on it, after the one before ended so.
    Between(Ending),
    /// It had never been connected.
    Never,
}

/// What is known of a message that was accepted and that nobody heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// Whether the server told it to somebody.
    pub told: bool,
    /// Whether a server closed a subscriber's connection for its output buffer while the message was in it.
    pub dropped_from_buffer: bool,
    /// Whether the server was a replica.
    pub by_replica: bool,
    /// Where each subscriber was.
    pub listeners: Vec<Listener>,
}

impl Unheard {
    /// Why nobody heard it.
    pub fn cause(&self) -> Cause {
        if self.told {
            return if self.dropped_from_buffer { Cause::OutputBufferKill } else { Cause::CutInDelivery };
        }
        if self.by_replica {
            return Cause::AcceptedByReplica;
        }
        if self.listeners.contains(&Listener::Elsewhere) {
            return Cause::SubscriberPinnedToOldMaster;
        }
        let between = self.listeners.iter().rev().find_map(|listener| match listener {
            Listener::Between(ending) => Some(*ending),
            _ => None,
        });
        match between {
            Some(Ending::OutputLimit) => Cause::OutputBufferKill,
            Some(Ending::Idle) => Cause::ProxyIdleTimeout,
            Some(Ending::Explained) => Cause::SubscriberReconnecting,
            None => Cause::AcceptedButNobodySubscribed,
        }
    }
}
