//! What clients do and see.

use std::fmt;

use serde::Serialize;

use crate::kernel::Span;

/// How an attempt of a publisher or writer ended. The text is the recording's `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum Outcome {
    /// Answered without error.
    Ok,
    /// `-READONLY`
    Readonly,
    /// `-LOADING`
    Loading,
    /// `-NOREPLICAS`
    NoReplicas,
    /// `-MASTERDOWN`
    MasterDown,
    /// `-MISCONF`
    Misconf,
    /// Any other error reply.
    Err,
    /// The connection did not open in time.
    ConnectTimeout,
    /// The connection was refused.
    ConnectRefused,
    /// No route to the host.
    ConnectUnreachable,
    /// The connection was closed while opening.
    ConnectClosed,
    /// No reply in time.
    ReplyTimeout,
    /// The connection ended before the reply.
    ReplyClosed,
    /// go-redis: no free connection in the pool in time.
    PoolTimeout,
    /// A Sentinel-aware client: no Sentinel named a master.
    NoMaster,
}

impl From<Outcome> for &'static str {
    fn from(outcome: Outcome) -> Self {
        outcome.as_str()
    }
}

impl Outcome {
    const TABLE: [(Outcome, &'static str); 15] = [
        (Outcome::Ok, "ok"),
        (Outcome::Readonly, "readonly"),
        (Outcome::Loading, "loading"),
        (Outcome::NoReplicas, "noreplicas"),
        (Outcome::MasterDown, "masterdown"),
        (Outcome::Misconf, "misconf"),
        (Outcome::Err, "err"),
        (Outcome::ConnectTimeout, "connect-timeout"),
        (Outcome::ConnectRefused, "connect-refused"),
        (Outcome::ConnectUnreachable, "connect-unreachable"),
        (Outcome::ConnectClosed, "connect-closed"),
        (Outcome::ReplyTimeout, "reply-timeout"),
        (Outcome::ReplyClosed, "reply-closed"),
        (Outcome::PoolTimeout, "pool-timeout"),
        (Outcome::NoMaster, "no-master"),
    ];

    /// The word in a recording.
    pub fn as_str(self) -> &'static str {
        Self::TABLE.iter().find(|(outcome, _)| *outcome == self).expect("every outcome is in the table").1
    }

    /// The outcome that a recording's word stands for.
    pub fn parse(text: &str) -> Option<Outcome> {
        Self::TABLE.iter().find(|(_, word)| *word == text).map(|(outcome, _)| *outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where and why a subscriber's connection ended, or that it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectEnd {
    /// Connected (and, for a subscriber, confirmed).
    Open,
    /// The connect timed out.
    ConnectTimeout,
    /// Refused.
    ConnectRefused,
    /// No route to the host.
    ConnectUnreachable,
    /// Closed while connecting.
    ConnectClosed,
    /// No confirmation in time.
    SubscribeTimeout,
    /// Closed before the confirmation.
    SubscribeClosed,
    /// An open subscription: no answer to PING.
    ReadTimeout,
    /// An open subscription was closed.
    ReadClosed,
    /// A Sentinel-aware client: no Sentinel named a master.
    NoMaster,
}

impl ConnectEnd {
    const TABLE: [(ConnectEnd, &'static str); 10] = [
        (ConnectEnd::Open, "open"),
        (ConnectEnd::ConnectTimeout, "connect-timeout"),
        (ConnectEnd::ConnectRefused, "connect-refused"),
        (ConnectEnd::ConnectUnreachable, "connect-unreachable"),
        (ConnectEnd::ConnectClosed, "connect-closed"),
        (ConnectEnd::SubscribeTimeout, "subscribe-timeout"),
        (ConnectEnd::SubscribeClosed, "subscribe-closed"),
        (ConnectEnd::ReadTimeout, "read-timeout"),
        (ConnectEnd::ReadClosed, "read-closed"),
        (ConnectEnd::NoMaster, "no-master"),
    ];

    /// The word in a recording.
    pub fn as_str(self) -> &'static str {
        Self::TABLE.iter().find(|(end, _)| *end == self).expect("every end is in the table").1
    }

    /// The end that a recording's word stands for.
    pub fn parse(text: &str) -> Option<ConnectEnd> {
        Self::TABLE.iter().find(|(_, word)| *word == text).map(|(end, _)| *end)
    }
}

/// One line of a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// An attempt to PUBLISH.
    Publish {
        /// SEQ.
        seq: u32,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        took: Span,
        /// The integer reply, when it was ok.
        receivers: Option<u32>,
    },
    /// An attempt to SET.
    Set {
        /// SEQ.
        seq: u32,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        took: Span,
    },
    /// An attempt to GET.
    Get {
        /// SEQ.
        seq: u32,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        took: Span,
    },
    /// A message reached a subscriber.
    Receive {
        /// Whose message.
        publisher: u16,
        /// SEQ.
        seq: u32,
    },
    /// A connection opened, or a subscriber's ended.
    Connect(ConnectEnd),
}
