//! What must hold in every run, what must hold once the faults are over, and what must be met now and then.
//!
//! One file a property, each with its source. A property looks at a finished [`Run`] and answers whether it holds, with
//! the first bad event if it does not. Where the real protocol breaks a natural property, the property states the
//! documented limit.

mod agreement;
mod backup;
mod bounded_loss;
mod causes;
mod clients_cut;
mod config_epoch;
mod desync;
mod detection;
mod digest;
mod disk_error;
mod disturbances;
mod expectations;
mod following;
mod leader;
mod ledger;
mod loss;
mod majority;
mod offsets;
mod once;
mod over_limit;
mod priority;
mod read_back;
mod replica_writes;
mod retry_delay;
mod routing;
mod service;
mod sometimes;
mod stream;
mod synced;
mod told;
mod vote;

use std::fmt;

pub use expectations::EXPECTATIONS;

use super::observe::{Needs, Run};

/// When a property must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// At every moment of every run.
    Always,
    /// At the end of every run whose last fault was healed long enough ago.
    AfterHeal,
    /// In some run of a campaign: one that never meets it is too weak.
    Sometimes,
    /// In one run of thousands, so that a campaign need not meet it: a weakness of the real protocol, kept to be shown.
    Rarely,
}

impl Kind {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Always => "always",
            Kind::AfterHeal => "after heal",
            Kind::Sometimes => "sometimes",
            Kind::Rarely => "rarely",
        }
    }

    /// Whether meeting it is no failure.
    pub const fn is_met(self) -> bool {
        matches!(self, Kind::Sometimes | Kind::Rarely)
    }
}

/// What a property found: the first bad event, or the first moment at which a rare thing was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When, in microseconds since time 0; none if it is about the whole run.
    pub at_us: Option<i64>,
    /// What.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_us {
            Some(at_us) => write!(f, "{:.3} s: {}", at_us as f64 / 1e6, self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What a property answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The run says nothing about it.
    Moot,
    /// It holds; a rare thing was not met.
    Holds,
    /// It fails; a rare thing was met.
    Found(Finding),
}

impl Answer {
    fn found(at_us: i64, what: impl Into<String>) -> Answer {
        Answer::Found(Finding { at_us: Some(at_us), what: what.into() })
    }

    fn at_end(run: &Run, what: impl Into<String>) -> Answer {
        Answer::found(run.analysis.end_us, what)
    }
}

/// A property.
#[derive(Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// When it must hold.
    pub kind: Kind,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// What it wants to see.
    pub needs: Needs,
    /// Looks at a run.
    pub check: fn(&Run) -> Answer,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Property({})", self.name)
    }
}

const RECORDING: Needs = Needs { trace: false, repetition: false };

/// The name under which a panic of a model is reported.
pub const NO_PANIC: &str = "no-broken-invariant";

/// All properties, in the order in which they are reported.
pub const ALL: &[Property] = &[
    expectations::PROPERTY,
    leader::PROPERTY,
    majority::PROPERTY,
    vote::PROPERTY,
    config_epoch::PROPERTY,
    retry_delay::PROPERTY,
    priority::PROPERTY,
    detection::PROPERTY,
    offsets::PROPERTY,
    stream::PROPERTY,
    replica_writes::PROPERTY,
    backup::PROPERTY,
    clients_cut::PROPERTY,
    desync::PROPERTY,
    once::PROPERTY,
    ledger::PROPERTY,
    causes::PROPERTY,
    told::PROPERTY,
    read_back::PROPERTY,
    synced::PROPERTY,
    disk_error::PROPERTY,
    over_limit::PROPERTY,
    loss::PROPERTY,
    bounded_loss::PROPERTY,
    digest::PROPERTY,
    agreement::PROPERTY,
    following::PROPERTY,
    routing::PROPERTY,
    service::PROPERTY,
    sometimes::SPLIT_VOTE,
    sometimes::ABORTED_FAILOVER,
    sometimes::COMPLETED_FAILOVER,
    sometimes::SECOND_FAILOVER,
    sometimes::LOST_WRITE,
    sometimes::LOST_MESSAGE,
    sometimes::TWO_MASTERS,
    sometimes::TILT,
    sometimes::PARTIAL_ACCEPTED,
    sometimes::PARTIAL_REFUSED,
    sometimes::NO_SERVER,
    sometimes::NO_REPLICAS,
    sometimes::READONLY,
    sometimes::CONVERTED,
    sometimes::REBOOT,
    sometimes::DELIVERED_TWICE,
    sometimes::PINNED,
    sometimes::STRANDED,
    sometimes::UNENDED,
    sometimes::DISAGREEMENT,
];

/// The property with a name.
pub fn find(name: &str) -> Option<&'static Property> {
    ALL.iter().find(|property| property.name == name)
}

/// What all properties together want to see.
pub fn needs(properties: &[&Property]) -> Needs {
    properties.iter().fold(Needs::default(), |needs, property| Needs {
        trace: needs.trace || property.needs.trace,
        repetition: needs.repetition || property.needs.repetition,
    })
}
