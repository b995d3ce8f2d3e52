//! One Redis node.

mod config;

pub use config::{Config, DisklessLoad, OutputLimit, OutputLimits, SavePoint, SavePoints};
