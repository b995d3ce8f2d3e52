//! The client programs.

mod config;

pub use config::{Config, Kind, Pause, Profile};
