//! What a run leaves behind: typed records, their text as the real programs print it, and recordings in files.
//!
//! A [`Record`] is one line of a recording. Programs emit typed [`Event`]s; text is made only when a recording is
//! written, and read back into the same types, so that whatever looks at a simulated run can look at a real one.

mod ctime;
mod event;
mod fault;
mod file;
mod haproxy;
mod lines;
mod names;
mod op;
mod parse;
mod redis;
mod sentinel;
#[cfg(test)]
pub(crate) mod tests;
mod visible;

pub use event::Event;
pub use fault::{Effect, Fault, FaultMark, NOBODY, Order};
pub use file::{LineError, ReadError};
pub use haproxy::{CheckStatus, HaproxyEvent};
pub use names::{Names, Node, NodeKind, is_master_name};
pub use op::{Activity, Ask, ConnectEnd, Heard, Load, Op, Outcome, Pace, Ticks};
pub use redis::{OverLimit, RedisEvent};
pub use sentinel::{Instance, InstanceKind, SentinelEvent, SentinelEventKind};
pub use visible::{csv_field, is_hidden, visible};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kernel::{EventId, Span, Time};
use crate::release::Dialect;
use crate::wire::NodeId;

/// One line of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it happened; for an attempt of a client, when the attempt began.
    pub time: Time,
    /// Whose log or whose attempt.
    pub node: NodeId,
    /// The event during which it was written; 0 in recordings that were read from a file.
    pub during: EventId,
    /// In which words it was said.
    pub dialect: Dialect,
    /// What happened.
    pub what: What,
}

/// A line of a program's log, or something a client did or saw.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A log line.
    Event(Event),
    /// A client's line.
    Op(Op),
}

/// Which arm made a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Real programs.
    Real,
    /// The simulator.
    Sim,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Source {
    /// The word in recordings and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Real => "real",
            Source::Sim => "sim",
        }
    }

    /// The arm that a word stands for.
    pub fn parse(text: &str) -> Option<Source> {
        [Source::Real, Source::Sim].into_iter().find(|source| source.as_str() == text)
    }
}

/// What a program answered to a command of the fault script.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyMark {
    /// When it was sent, in seconds after time 0.
    pub at_s: f64,
    /// The place of the command among the header's faults.
    pub fault: usize,
    /// As `redis-cli` shows it: `OK`, `(integer) 1`, `-ERR …`.
    pub text: String,
}

/// A client program of the run. Without it a recording could not tell a client that did nothing from one that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMark {
    /// Its name.
    pub name: String,
    /// What it does, the main thing first.
    pub does: Vec<Activity>,
    /// Connections that work side by side; absent: one. What several did is counted in the recording.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub connections: u32,
    /// After how many attempts it is done; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// The library that it runs on, and the way it takes if that is not through HAProxy; absent: the reference's client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// How long the keys live that it SETs; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub px: Option<Span>,
}

const fn one() -> u32 {
    1
}

fn is_one(connections: &u32) -> bool {
    *connections == 1
}

impl ClientMark {
    /// Whether each of its attempts, or of its receptions, has a row of its own.
    pub fn is_recorded(&self) -> bool {
        self.connections == 1
    }
}

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The scenario's name.
    pub scenario: String,
    /// Which arm made it.
    pub source: Source,
    /// The run's number: the seed of a simulated run.
    pub run: u64,
    /// Settings that differ from the demo's.
    pub config: serde_json::Value,
    /// What the fault script did.
    pub faults: Vec<FaultMark>,
    /// What was answered to the commands among them; one that nobody answered, or whose answer is not known, is not here.
    pub replies: Vec<ReplyMark>,
    /// When the run ended, in seconds after time 0.
    pub end_s: f64,
    /// The names of the Redis nodes.
    pub redis: Vec<String>,
    /// The node that holds the role of master at the end, as the Sentinels say; none if it is down.
    pub final_master: Option<String>,
    /// `master`, `slave` or `down` by node name.
    pub final_roles: BTreeMap<String, String>,
    /// How many acknowledged SETs the final master does not hold at the end; none if there is no master, or if nobody can tell:
    /// a real server was not asked while it would have had a key that lives for a time only.
    pub lost_acked_sets: Option<u64>,
    /// The client programs; none in recordings that do not say.
    pub clients: Vec<ClientMark>,
}

/// A whole recording: its header and its records in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The first line.
    pub header: Header,
    /// Names of hosts and nodes.
    pub names: Names,
    /// The instant that counts as time 0.
    pub origin: Time,
    /// All other lines, in order of time.
    pub records: Vec<Record>,
}
