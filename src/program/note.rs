//! Notes: why a program decided as it did, where its log lines do not say.
//!
//! A real program knows more than it prints: how long its PING has been unanswered, which test a replica failed, which
//! server it chose for a session. A model may say so with [`Out::note`](super::Out::note). Notes are kept with the trace
//! and only then; they change neither the events of a run nor its digest, and where nobody traces not even the value is
//! made.

use super::Sock;
use crate::kernel::{EventId, Span, Time};
use crate::record::CheckStatus;
use crate::wire::{Addr, HostId, NodeId, Role, RunId};

/// A note with its time and place.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
    /// When.
    pub time: Time,
    /// Whose.
    pub node: NodeId,
    /// The event during which it was written.
    pub during: EventId,
    /// What it says.
    pub note: Note,
}

/// Why a program decided as it did.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// What a Sentinel held at the end of a tick.
    Tick(Box<SentinelTick>),
    /// A Sentinel will start no failover before a time.
    DelayArmed {
        /// The candidate that got its vote; none if it tried a failover itself.
        vote_for: Option<RunId>,
        /// When it may start again: `failover_start_time` plus twice the `failover-timeout`.
        until: Time,
        /// `failover-timeout`.
        failover_timeout: Span,
    },
    /// A Sentinel looked for a replica to promote.
    Candidates(Box<Candidates>),
    /// HAProxy begins an attempt to connect a session to a server.
    SessionTo {
        /// The client's connection.
        client: Sock,
        /// The connection to the server.
        back: Sock,
        /// The server.
        server: HostId,
        /// Attempts that failed before.
        failures: u32,
    },
    /// HAProxy had no server for a connection and closed it.
    NoServer {
        /// The client's connection.
        client: Sock,
    },
    /// HAProxy ended a session.
    SessionEnds {
        /// The client's connection.
        client: Sock,
        /// The server.
        server: HostId,
        /// Why.
        why: SessionEnd,
    },
    /// HAProxy finished a health check.
    Checked {
        /// The server.
        server: HostId,
        /// How it ended.
        status: CheckStatus,
        /// Whether the server counted as up before it.
        was_up: bool,
        /// Whether it does now.
        is_up: bool,
        /// How long the check took.
        took: Span,
    },
    /// A Redis server executed a PUBLISH.
    Published {
        /// The publisher, by its place among the clients; none for a Sentinel's hello.
        publisher: Option<u16>,
        /// SEQ.
        seq: u32,
        /// As what.
        role: Role,
        /// Subscribers of its own that it wrote the message to.
        receivers: u32,
        /// Replicas that get the message through the replication stream.
        replicas: u32,
    },
    /// A Redis server refused a write with `-NOREPLICAS`.
    TooFewReplicas {
        /// Replicas in good order.
        good: u32,
        /// `min-replicas-to-write`.
        needed: u32,
    },
}

/// What a Sentinel held at the end of a tick. Ages count to that moment.
#[derive(Clone, Debug, PartialEq)]
pub struct SentinelTick {
    /// The address of the monitored master.
    pub master: Addr,
    /// For how much longer it is in TILT; none outside of it.
    pub tilt_left: Option<Span>,
    /// Whether the command and Pub/Sub connections to the master exist.
    pub connected: bool,
    /// Age of the first PING that is not answered; none if all are. A lost connection is counted as one from its loss.
    pub unanswered: Option<Span>,
    /// Age of the last answer that counts as one: PONG, `-LOADING` or `-MASTERDOWN`.
    pub last_answer: Span,
    /// What the master said of itself in its last INFO.
    pub role_reported: Option<Role>,
    /// For how long it has said so.
    pub role_for: Span,
    /// `down-after-milliseconds`.
    pub down_after: Span,
    /// Subjectively down.
    pub sdown: bool,
    /// Objectively down.
    pub odown: bool,
    /// How many must say so.
    pub quorum: u32,
    /// How many do, this Sentinel included.
    pub agreeing: u32,
    /// The other Sentinels it knows.
    pub others: Vec<OtherSentinel>,
    /// Votes that win an election: more than half of all known Sentinels, and the quorum.
    pub votes_needed: u32,
    /// Its own vote and the epoch of it.
    pub vote: Option<(RunId, u32)>,
    /// The epoch of the failover that it tries.
    pub failover_epoch: u32,
    /// How far its own attempt at a failover is.
    pub failover: FailoverStep,
    /// For how much longer it may not start one; none if it may.
    pub delay_left: Option<Span>,
}

/// Another Sentinel, as one knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherSentinel {
    /// Its address.
    pub addr: Addr,
    /// Its id.
    pub id: RunId,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// Whether it counts as down itself.
    pub sdown: bool,
    /// Whether it said, not more than 5 s ago, that the master is down.
    pub says_down: bool,
    /// The last vote it told, and its epoch.
    pub vote: Option<(RunId, u32)>,
}

/// How far a Sentinel's attempt at a failover is (`failover_state`), in the order in which it walks through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailoverStep {
    /// There is none.
    None,
    /// It waits for votes.
    WaitStart,
    /// It chooses a replica.
    SelectSlave,
    /// It tells the replica.
    SendSlaveofNoone,
    /// It waits for the replica's INFO to say master.
    WaitPromotion,
    /// It points the other replicas to the new master.
    ReconfSlaves,
    /// It takes over the new configuration.
    UpdateConfig,
}

/// A look at all replicas for one to promote (`sentinelSelectSlave`).
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// The replicas in the order in which they are walked.
    pub replicas: Vec<Candidate>,
    /// The chosen one.
    pub chosen: Option<Addr>,
    /// Limit of the age of the last answer to PING: five PING periods.
    pub answer_limit: Span,
    /// Limit of the age of INFO: five PING periods while the master is down, else three INFO periods.
    pub info_limit: Span,
    /// Limit of `master_link_down_since`: ten times down-after, plus the time since the master is down.
    pub link_down_limit: Span,
}

/// A replica as a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its address.
    pub addr: Addr,
    /// It counts as down.
    pub down: bool,
    /// There is a connection to it.
    pub connected: bool,
    /// Age of its last answer to PING.
    pub last_answer: Span,
    /// `replica-priority`; 0 means never.
    pub priority: u32,
    /// Age of its last INFO.
    pub info_age: Span,
    /// For how long it has had no link to its master, as it says.
    pub link_down: Span,
    /// How far it is in the replication stream.
    pub offset: u64,
    /// Whether it passed all tests.
    pub fit: bool,
}

/// Why HAProxy ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The client left.
    Client,
    /// The server closed or reset its connection.
    Server,
    /// `timeout client` or `timeout server` (or `timeout tunnel`) ran out.
    Idle,
    /// No attempt to connect to the server succeeded, `retries` included.
    NotConnected,
    /// `option redispatch` found no other server.
    NowhereToGo,
    /// `on-marked-down shutdown-sessions`, or `on-marked-up shutdown-backup-sessions`.
    Marked,
}
