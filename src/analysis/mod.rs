//! What recordings say: failovers step by step, outages, who was master, what became of every message and write; the
//! score against the real stack; statistics over many runs.
//!
//! Everything here is a function of a [`Recording`] alone, real or simulated, in memory or from a file, with the same
//! result: times are the written ones, in microseconds since time 0.

pub mod diff;
mod endings;
pub mod expect;
pub mod faults;
mod keys;
pub mod ledger;
pub mod masters;
pub mod outages;
pub mod phases;
pub mod sample;
pub mod score;
pub mod sequences;
pub mod stats;
mod summary;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod writes;

pub use summary::{RunFacts, SCHEMA, Summary};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{ConnectEnd, Op, Recording, Source, What};
use crate::wire::NodeId;
use faults::Window;
use ledger::{Ledger, ledger};
use masters::{Masters, masters};
use outages::{Activity, ClientOutages, outages};
use phases::{Ending, Failover, Phase, failovers};

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

    /// Figures by name: what expectations, sweeps and `runs.csv` work with. Counts, and seconds where the name ends in
    /// `-s`; a figure that a run does not have is absent.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        let mut set = |name: &str, value: f64| {
            metrics.insert(name.to_string(), value);
        };
        let seconds = |micros: i64| micros as f64 / 1e6;
        set("failovers", self.completed().count() as f64);
        set("aborted-failovers", self.aborted().count() as f64);
        set("failover-attempts", self.failovers.len() as f64);
        if let Some(first) = self.completed().next() {
            let fault = first.step(Phase::Fault).map_or(0, |step| step.at_us);
            for step in first.steps.iter().filter(|step| step.phase != Phase::Fault) {
                set(&format!("{}-s", step.phase.as_str()), seconds(step.at_us - fault));
            }
            if let Some(step) = first.step(Phase::Confirmed) {
                set("first-failover-s", seconds(step.at_us));
            }
        }
        for activity in [Activity::Publish, Activity::Set, Activity::Get] {
            if let Some(longest) = self.longest_outage_us(activity) {
                set(&format!("{}-outage-s", activity.as_str()), seconds(longest));
            }
        }
        if let Some(longest) = self.longest_outage_us(Activity::Receive) {
            set("receive-gap-s", seconds(longest));
        }
        let sums = &self.ledger.sums;
        let ok = sums.by_outcome.get("ok").copied().unwrap_or(0);
        for (name, value) in [
            ("publish-attempts", sums.published),
            ("publish-acknowledged", ok),
            ("publish-failed", sums.published - ok),
            ("publish-delivered", sums.delivered),
            ("publish-lost", sums.lost),
            ("publish-lost-silently", sums.lost_silently),
            ("publish-failed-but-delivered", sums.failed_but_delivered),
            ("publish-undecided", sums.undecided),
            ("duplicates", sums.duplicates),
            ("set-attempts", self.ledger.writes.attempts),
            ("set-acknowledged", self.ledger.writes.acknowledged),
            ("set-failed", self.ledger.writes.attempts - self.ledger.writes.acknowledged),
        ] {
            set(name, value as f64);
        }
        for (cause, count) in &sums.by_cause {
            set(&format!("lost.{cause}"), *count as f64);
        }
        if let Some(lost) = self.ledger.writes.lost {
            set("lost-acked-sets", lost as f64);
        }
        for (cause, count) in &self.ledger.writes.lost_by_cause {
            set(&format!("lost-write.{cause}"), *count as f64);
        }
        set("two-masters-s", seconds(self.masters.two_masters_us()));
        set("no-server-s", seconds(self.masters.no_server_us()));
        let subscribers = self.outages.iter().filter(|client| client.activity == Activity::Receive);
        let reconnects = |client: &ClientOutages| self.reconnects.get(&client.client).copied().unwrap_or(0);
        set("reconnects", subscribers.map(reconnects).sum::<u64>() as f64);
        set("final-masters", self.final_roles.values().filter(|role| *role == "master").count() as f64);
        metrics
    }
}
