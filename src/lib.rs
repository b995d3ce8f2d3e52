//! `sim`: a deterministic discrete-event simulator of a Redis Sentinel high-availability stack.
//!
//! Data walks through the crate one way: a scenario file becomes a plan, the plan becomes a world of
//! programs on a network, a run of the world leaves records ([`record`]), and records are analysed and drawn
//!.

pub mod analysis;
pub mod cli;
pub mod client;
pub mod haproxy;
pub mod kernel;
pub mod net;
pub mod record;
pub mod redis;
pub mod reference;
pub mod scenario;
pub mod sentinel;
pub mod wire;
pub mod world;
