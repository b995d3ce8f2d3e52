//! What a person sees of a run: pictures, the report, the trace, the metrics, and the text for the terminal.
//!
//! Everything here is a function of a recording and its analysis: the same run gives the same bytes.

pub mod bars;
pub mod causes;
pub mod chances;
pub mod chart;
pub mod compare;
pub mod ecdf;
pub mod effect;
mod folder;
pub mod heat;
pub mod html;
pub mod lanes;
pub mod latency;
pub mod loss;
pub mod many;
pub mod metrics;
pub mod over_time;
pub mod scale;
#[cfg(test)]
mod tests;
pub mod text;
pub mod timeline;
pub mod trace;
pub mod tradeoff;

pub use folder::{files, write_run_folder};

use std::collections::BTreeMap;

use crate::analysis::Analysis;
use crate::analysis::expect::Miss;
use crate::analysis::timers::Settings;
use crate::explain::Cause;
use crate::kernel::{EventId, Span};
use crate::record::Recording;
use crate::scenario::Scenario;

/// A run and what is to be said of it.
#[derive(Clone, Copy, Debug)]
pub struct RunReport<'a> {
    /// What happened.
    pub recording: &'a Recording,
    /// What follows from it.
    pub analysis: &'a Analysis,
    /// The expectations that the run missed; none if its scenario has none or is not known.
    pub misses: Option<&'a [Miss]>,
    /// The digest over all events; 0 for a real run.
    pub digest: u128,
    /// How many events were dispatched; 0 for a real run.
    pub events: u64,
    /// The program's version.
    pub version: &'a str,
    /// The scenario as it was run; empty if it is not known.
    pub scenario_toml: &'a str,
    /// The command that repeats the run; empty if there is none.
    pub command: &'a str,
    /// What led to each line of the recording, by the event that wrote it; empty where the trace was not kept.
    pub causes: &'a BTreeMap<EventId, Vec<Cause>>,
    /// How far apart the scrapes of the metrics are.
    pub scrape: Span,
}

/// A name that a recording gives, as part of a file's name: nothing in it leads to another folder.
pub use crate::limits::plain_name as safe_name;

/// The settings of a scenario that decide how long a failover takes; those of one node alone are not told apart.
pub fn settings(scenario: &Scenario) -> Settings {
    let sentinel = scenario.sentinel.first();
    let proxy = Some(&scenario.haproxy).filter(|_| scenario.stack.haproxy);
    Settings {
        down_after_ms: sentinel.map(|config| config.down_after_milliseconds),
        failover_timeout_ms: sentinel.map(|config| config.failover_timeout),
        quorum: sentinel.map(|config| config.quorum),
        parallel_syncs: sentinel.map(|config| config.parallel_syncs),
        inter_ms: proxy.map(|config| config.inter.as_millis()),
        fall: proxy.map(|config| config.fall),
        rise: proxy.map(|config| config.rise),
    }
}
