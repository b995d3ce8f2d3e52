//! What a person sees of a run: pictures, the report, the trace, the metrics, and the text for the terminal.
//!
//! Everything here is a function of a recording and its analysis: the same run gives the same bytes.

pub mod bars;
pub mod causes;
pub mod chart;
pub mod ecdf;
pub mod effect;
mod folder;
pub mod heat;
pub mod html;
pub mod lanes;
pub mod latency;
pub mod loss;
pub mod metrics;
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
use crate::explain::Cause;
use crate::kernel::{EventId, Span};
use crate::record::Recording;

/// A run and what is to be said of it.
#[derive(Clone, Copy, Debug)]
pub struct RunReport<'a> {
    /// What happened.
    pub recording: &'a Recording,
    /// What follows from it.
    pub analysis: &'a Analysis,
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
