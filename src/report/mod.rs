//! What a person sees of a run: pictures, the report, the trace, the metrics, and the text for the terminal.
//!
//! Everything here is a function of a recording and its analysis: the same run gives the same bytes.

#[cfg(feature = "charts")]
pub(crate) mod bars;
pub(crate) mod causes;
#[cfg(feature = "charts")]
pub(crate) mod chances;
#[cfg(feature = "charts")]
pub mod chart;
#[cfg(feature = "charts")]
pub(crate) mod compare;
#[cfg(feature = "charts")]
pub(crate) mod ecdf;
#[cfg(feature = "charts")]
pub(crate) mod effect;
pub(crate) mod fit;
pub(crate) mod flights;
#[cfg(feature = "charts")]
mod folder;
#[cfg(feature = "charts")]
pub(crate) mod heat;
#[cfg(feature = "charts")]
pub mod html;
pub mod lanes;
#[cfg(feature = "charts")]
pub mod latency;
#[cfg(feature = "charts")]
pub mod loss;
#[cfg(feature = "charts")]
pub mod many;
#[cfg(feature = "charts")]
pub(crate) mod many_page;
pub mod metrics;
#[cfg(feature = "charts")]
mod moment;
#[cfg(feature = "charts")]
pub(crate) mod over_time;
pub(crate) mod page;
#[cfg(feature = "charts")]
pub(crate) mod scale;
#[cfg(feature = "charts")]
pub(crate) mod sequence;
pub(crate) mod suite;
#[cfg(all(test, feature = "charts"))]
mod tests;
pub mod text;
#[cfg(feature = "charts")]
pub mod timeline;
pub mod trace;
#[cfg(feature = "charts")]
pub(crate) mod tradeoff;
mod words;

#[cfg(feature = "charts")]
pub use folder::{MESSAGES, files, redraw_run_folder, write_run_folder};

pub use words::escape;

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
