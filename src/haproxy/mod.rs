//! One HAProxy.

mod config;

pub use config::{Balance, Config, OnMarkedDown, OnMarkedUp};
