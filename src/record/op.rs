//! What clients do and see.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kernel::Span;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// PUBLISH.
    Publish,
    /// SET.
    Set,
    /// GET.
    Get,
    /// Receiving messages.
    Receive,
}

impl Activity {
    /// The word in recordings and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Activity::Publish => "publish",
            Activity::Set => "set",
            Activity::Get => "get",
            Activity::Receive => "receive",
        }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
    /// `-BUSY`: the server runs a script.
    Busy,
    /// A SET that was acknowledged, whose WAIT named fewer replicas than the writer asks for, or was not answered.
    Unreplicated,
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
    const TABLE: [(Outcome, &'static str); 17] = [
        (Outcome::Ok, "ok"),
        (Outcome::Readonly, "readonly"),
        (Outcome::Loading, "loading"),
        (Outcome::NoReplicas, "noreplicas"),
        (Outcome::MasterDown, "masterdown"),
        (Outcome::Misconf, "misconf"),
        (Outcome::Busy, "busy"),
        (Outcome::Unreplicated, "unreplicated"),
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

    /// Whether the server said that it did what was asked.
    pub const fn is_acknowledged(self) -> bool {
        matches!(self, Outcome::Ok | Outcome::Unreplicated)
    }

    /// Whether it is a reply, an error's among them: the connection is still there.
    pub const fn is_reply(self) -> bool {
        matches!(
            self,
            Outcome::Ok
                | Outcome::Readonly
                | Outcome::Loading
                | Outcome::NoReplicas
                | Outcome::MasterDown
                | Outcome::Misconf
                | Outcome::Busy
                | Outcome::Err
        )
    }

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
        /// How much of that its WAIT took, after the SET was acknowledged; nothing without one.
        waited: Span,
        /// Acknowledged, and known not to be in the final master's data.
        lost: bool,
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
    /// Attempts of a client with many connections: its time is when the first of them began.
    Load(Load),
    /// Messages that a crowd of subscribers heard: its time is when it heard the first of them.
    Heard(Heard),
}

/// What an attempt asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// PUBLISH
    Publish,
    /// SET
    Set,
    /// GET
    Get,
}

impl Ask {
    /// All of them.
    pub const ALL: [Ask; 3] = [Ask::Publish, Ask::Set, Ask::Get];

    /// What a client does that makes such attempts.
    pub const fn activity(self) -> Activity {
        match self {
            Ask::Publish => Activity::Publish,
            Ask::Set => Activity::Set,
            Ask::Get => Activity::Get,
        }
    }

    /// The word in a recording for one attempt.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ask::Publish => "publish",
            Ask::Set => "set",
            Ask::Get => "get",
        }
    }

    /// The word in a recording for many of them.
    pub const fn many(self) -> &'static str {
        match self {
            Ask::Publish => "publishes",
            Ask::Set => "sets",
            Ask::Get => "gets",
        }
    }
}

/// Units of written time, 100 µs each, after the time of the record: at most five days.
pub type Ticks = u32;

/// When many attempts or receptions that stand in one record came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The last answer, or the last reception.
    pub last: Ticks,
    /// The longest time without a success that one of these ended.
    pub gap: Ticks,
    /// When that was.
    pub gap_end: Ticks,
}

/// Attempts of a client with many connections that began within the same tenth of a second and ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What they asked for.
    pub ask: Ask,
    /// How each of them ended.
    pub outcome: Outcome,
    /// Acknowledged PUBLISHes: whether each was answered with 0 receivers.
    pub nobody: bool,
    /// How many they are.
    pub count: u32,
    /// Of PUBLISHes, how many no subscriber heard, whatever their outcome; of acknowledged SETs, how many are not in the
    /// final master's data. None if nobody can say.
    pub lost: Option<u32>,
    /// First and last SEQ of all attempts that began within that tenth of a second, whatever their outcomes.
    pub seqs: (u32, u32),
    /// When they were answered.
    pub pace: Pace,
}

/// Messages of one publisher that a crowd of subscribers heard within a tenth of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Whose messages.
    pub publisher: u16,
    /// First and last SEQ: each in between was heard, on one connection at least.
    pub seqs: (u32, u32),
    /// Receptions on all connections.
    pub count: u32,
    /// When they came.
    pub pace: Pace,
}
