//! What recordings say: failovers step by step, outages, who was master, what became of every message and write; the
//! score against the real stack; statistics over many runs.
//!
//! Everything here is a function of a [`Recording`] alone, real or simulated, in memory or from a file, with the same
//! result: times are the written ones, in microseconds since time 0.

pub(crate) mod boots;
pub mod diff;
mod endings;
pub mod fate;
pub mod faults;
mod keys;
pub mod ledger;
mod loads;
pub mod masters;
pub mod metrics;
mod miss;
pub mod outages;
mod pace;
pub mod phases;
pub(crate) mod reach;
pub(crate) mod sample;
pub mod score;
pub mod sequences;
pub(crate) mod stats;
mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod timers;
pub mod writes;

pub use miss::{Check, Miss};
pub use summary::{RunFacts, SCHEMA, Summary};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{ClientMark, ConnectEnd, NodeKind, Op, Recording, Source, What};
use crate::wire::NodeId;
use faults::Window;
use ledger::{Ledger, ledger};
use masters::{Masters, masters};
use metrics::Figures;
use outages::{Activity, ClientOutages, outages};
use phases::{Ending, Failover, failovers};

/// The end of a recording: its header's, at the precision of written times.
fn end_us(recording: &Recording) -> i64 {
    (recording.header.end_s * 1e4).round() as i64 * 100
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at_us: i64,
    /// Whose.
    pub node: String,
    /// The text as the program prints it.
    pub text: String,
}

/// All that a recording says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The scenario's name.
    pub scenario: String,
    /// Which arm made the recording.
    pub source: Source,
    /// The run's number: the seed of a simulated run.
    pub run: u64,
    /// When the recording ends.
    pub end_us: i64,
    /// How many Sentinels there are.
    pub sentinels: usize,
    /// The client programs, as the recording names them; none where it does not.
    pub clients: Vec<ClientMark>,
    /// What the fault script did.
    pub faults: Vec<Window>,
    /// Every attempt at a failover.
    pub failovers: Vec<Failover>,
    /// Who acted as master, and where HAProxy sent sessions.
    pub masters: Masters,
    /// Times without success, by client.
    pub outages: Vec<ClientOutages>,
    /// Messages and writes.
    pub ledger: Ledger,
    /// Connections that each client opened after time 0.
    pub reconnects: BTreeMap<String, u64>,
    /// The master at the end, as the Sentinels say.
    pub final_master: Option<String>,
    /// `master`, `slave` or `down` by node at the end.
    pub final_roles: BTreeMap<String, String>,
    /// All log lines, for whoever looks for one.
    #[serde(skip)]
    pub lines: Vec<Line>,
}

impl Analysis {
    /// Analyses a recording. `lost_writes` are clients and SEQs of acknowledged writes that the final master does not hold,
    /// where the caller knows them.
    pub fn of(recording: &Recording, lost_writes: Option<&[(NodeId, u32)]>) -> Analysis {
        let masters = masters(recording);
        let outages = outages(recording);
        let mut reconnects = BTreeMap::new();
        let mut lines = Vec::new();
        for record in &recording.records {
            let at_us = recording.micros(record.time);
            let node = recording.names.node(record.node);
            match &record.what {
                What::Event(event) if event.is_logged() => {
                    lines.push(Line { at_us, node: node.to_string(), text: event.text(&recording.names) });
                }
                What::Op(op) => {
                    let opened = matches!(op, Op::Connect(ConnectEnd::Open)) && at_us >= 0;
                    *reconnects.entry(node.to_string()).or_default() += u64::from(opened);
                }
                What::Event(_) => {}
            }
        }
        Analysis {
            scenario: recording.header.scenario.clone(),
            source: recording.header.source,
            run: recording.header.run,
            end_us: end_us(recording),
            sentinels: recording.names.nodes.iter().filter(|node| node.kind == NodeKind::Sentinel).count(),
            clients: recording.header.clients.clone(),
            faults: faults::windows(recording),
            failovers: failovers(recording, &masters, &outages),
            ledger: ledger(recording, &masters, lost_writes),
            masters,
            outages,
            reconnects,
            final_master: recording.header.final_master.clone(),
            final_roles: recording.header.final_roles.clone(),
            lines,
        }
    }

    /// The run's name among runs of its scenario: a seed, or a real run's number.
    pub fn run_name(&self) -> String {
        match self.source {
            Source::Real => format!("real run {}", self.run),
            Source::Sim => format!("seed {}", self.run),
        }
    }

    /// Names the values of the settings that decided each step of each failover: without them only the settings are named.
    pub fn name_settings(&mut self, recording: &Recording, settings: &timers::Settings) {
        timers::decide(&mut self.failovers, recording, settings);
    }

    /// Failovers that took effect, in order.
    pub fn completed(&self) -> impl Iterator<Item = &Failover> {
        self.failovers.iter().filter(|failover| failover.took_effect())
    }

    /// Attempts at a failover that were given up.
    pub fn aborted(&self) -> impl Iterator<Item = &Failover> {
        self.failovers.iter().filter(|failover| matches!(failover.ending, Ending::Aborted(_)))
    }

    /// The Sentinels that led a failover that took effect, in order.
    pub fn leaders(&self) -> Vec<&str> {
        self.completed().map(|failover| failover.leader.as_str()).collect()
    }

    /// The longest time without success of any client with an activity; none if there is no such client.
    pub fn longest_outage_us(&self, activity: Activity) -> Option<i64> {
        let of_kind = self.outages.iter().filter(|client| client.activity == activity);
        of_kind.map(|client| client.longest_us).max()
    }

    /// The lines whose text contains `part`, of one node or of all.
    pub fn lines_with<'a>(&'a self, node: Option<&'a str>, part: &'a str) -> impl Iterator<Item = &'a Line> {
        let fits = move |line: &&Line| node.is_none_or(|node| line.node == node) && line.text.contains(part);
        self.lines.iter().filter(fits)
    }

    /// All metrics of the run.
    pub fn figures(&self) -> Figures {
        Figures::of(self)
    }
}
