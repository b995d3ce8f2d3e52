//! One Sentinel.

mod config;

pub use config::Config;
