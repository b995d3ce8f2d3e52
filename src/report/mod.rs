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
pub mod flights;
mod folder;
pub mod heat;
pub mod html;
pub mod lanes;
pub mod latency;
pub mod loss;
pub mod many;
pub mod many_page;
pub mod metrics;
mod moment;
pub mod over_time;
pub mod scale;
pub mod sequence;
pub mod suite;
#[cfg(test)]
mod tests;
pub mod text;
pub mod timeline;
pub mod trace;
pub mod tradeoff;

pub use folder::{MESSAGES, files, redraw_run_folder, write_run_folder};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::analysis::Analysis;
use crate::analysis::Miss;
use crate::kernel::{EventId, Span};
use crate::record::Recording;
use flights::Flight;

/// One link of a chain of causes: what `explain` finds and a report shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CausalLink {
    /// When, in microseconds since time 0.
    pub at_us: i64,
    /// The number of the event in the trace.
    pub event: u32,
    /// Who: a node; empty for the network and the script.
    pub who: String,
    /// What.
    pub text: String,
}

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
    pub causes: &'a BTreeMap<EventId, Vec<CausalLink>>,
    /// Every message that was on its way; empty where the trace was not kept.
    pub flights: &'a [Flight],
    /// How far apart the scrapes of the metrics are.
    pub scrape: Span,
}

/// A name that a recording gives, as part of a file's name: nothing in it leads to another folder.
pub use crate::limits::plain_name as safe_name;
