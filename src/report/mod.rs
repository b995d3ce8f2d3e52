//! What a person sees of a run.

pub mod bars;
pub mod causes;
pub mod chart;
pub mod ecdf;
pub mod lanes;
pub mod latency;
pub mod loss;
pub mod timeline;
