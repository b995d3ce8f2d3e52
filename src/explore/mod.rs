//! Running a stack again and again: random fault schedules held against properties, and sweeps over settings.
//!
//! ```text
//! generate ─► case (scenario, seed) ─► observe ─► run ─► properties ─► shrink ─► small scenario file
//! sweep: scenario × settings × seeds ─► rows ─► table, CSV, Parquet
//! ```
//!
//! - `generate` draws stacks, settings and fault schedules; `script` keeps a schedule within what the protocol survives.
//! - `observe` runs a case and samples what its programs hold; `property` has one file a property.
//! - `campaign` runs many cases on all cores; `shrink` makes a case that fails small; `compact` writes it for a reader.
//! - `in_order` spreads runs over the cores and adds their results in their order.
//! - `sweep` compares settings under the same luck; `branching` reruns one run from a moment with fresh luck.
//!
//! Everything is a function of the campaign's seed: neither the number of threads nor the machine changes a result.

pub mod branching;
pub mod campaign;
pub(crate) mod campaign_page;
pub(crate) mod compact;
pub mod generate;
mod in_order;
pub mod observe;
pub mod property;
mod script;
pub(crate) mod shrink;
pub mod sweep;
#[cfg(test)]
mod tests;

pub use in_order::in_order;
