//! The summary of a run: `summary.json`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Analysis;
use super::Miss;
use super::faults::Window;
use super::ledger::{MessageSums, WriteSums};
use super::masters::{Route, TwoMasters};
use super::metrics::Figures;
use super::outages::ClientOutages;
use super::phases::Failover;
use crate::record::Source;

/// The version of the summary's form: it changes when a key changes its meaning or goes.
pub const SCHEMA: u32 = 2;

/// What the world knows of a run and its recording does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// The program's version.
    pub version: String,
    /// The digest over all events.
    pub digest: String,
    /// How many events were dispatched.
    pub events: u64,
}

/// The summary of a run. Times that end in `_us` are microseconds since time 0; of metrics, docs/metrics.md says the unit.
/// The order of the keys is that of the fields, and alphabetical within maps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Which arm made the recording.
    pub source: Source,
    /// The seed, or a real run's number.
    pub seed: u64,
    /// The program's version.
    pub version: String,
    /// The digest over all events.
    pub digest: String,
    /// How many events were dispatched.
    pub events: u64,
    /// When the run ended.
    pub end_us: i64,
    /// What the fault script did.
    pub faults: Vec<Window>,
    /// Every metric by its name; null where the run has none or nobody knows it.
    pub metrics: Figures,
    /// Why a metric is null.
    pub reasons: BTreeMap<&'static str, String>,
    /// The expectations of the scenario that were missed; null if it has none, or if the scenario is not known.
    pub misses: Option<Vec<Miss>>,
    /// Every attempt at a failover, with its phases.
    pub failovers: Vec<Failover>,
    /// Times without success, by client.
    pub outages: Vec<ClientOutages>,
    /// Sums of messages.
    pub messages: MessageSums,
    /// Sums of writes.
    pub writes: WriteSums,
    /// Times with several masters.
    pub two_masters: Vec<TwoMasters>,
    /// HAProxy's choices.
    pub routes: Vec<Route>,
    /// Connections that each client opened after time 0.
    pub reconnects: BTreeMap<String, u64>,
    /// The master at the end.
    pub final_master: Option<String>,
    /// `master`, `slave` or `down` by node at the end.
    pub final_roles: BTreeMap<String, String>,
}

impl Summary {
    /// The summary of an analysed run, with the expectations that it missed, if there are any.
    pub fn new(analysis: &Analysis, misses: Option<&[Miss]>, facts: &RunFacts) -> Summary {
        let figures = analysis.figures();
        Summary {
            schema: SCHEMA,
            scenario: analysis.scenario.clone(),
            source: analysis.source,
            seed: analysis.run,
            version: facts.version.clone(),
            digest: facts.digest.clone(),
            events: facts.events,
            end_us: analysis.end_us,
            faults: analysis.faults.clone(),
            reasons: figures.reasons(),
            metrics: figures,
            misses: misses.map(<[Miss]>::to_vec),
            failovers: analysis.failovers.clone(),
            outages: analysis.outages.clone(),
            messages: analysis.ledger.sums.clone(),
            writes: analysis.ledger.writes.clone(),
            two_masters: analysis.masters.two.clone(),
            routes: analysis.masters.routes.clone(),
            reconnects: analysis.reconnects.clone(),
            final_master: analysis.final_master.clone(),
            final_roles: analysis.final_roles.clone(),
        }
    }

    /// The text of `summary.json`, with a newline at the end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a summary has nothing that JSON cannot say");
        text.push('\n');
        text
    }
}
