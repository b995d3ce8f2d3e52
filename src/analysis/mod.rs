//! What recordings say.

pub mod score;
pub mod stats;
