//! `sim`: a deterministic discrete-event simulator of a Redis Sentinel high-availability stack.
//!
//! Data walks through the crate one way. A scenario file becomes a checked plan ([`scenario`]); the plan becomes a world
//! of programs on a network ([`world`], with [`redis`], [`sentinel`], [`haproxy`] and [`client`] on [`net`], all on the
//! [`kernel`]); a run of the world leaves typed records ([`record`]); records are analysed ([`analysis`]) and drawn
//! ([`report`]). What travels between programs is in [`wire`]; [`cli`] is the command line.
//!
//! ```
//! use std::sync::Arc;
//! use sim::scenario::Scenario;
//! use sim::world::{Keep, World};
//!
//! let text = "duration = '12s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = '@master'\n";
//! let scenario = Scenario::parse("kill.toml", text).expect("a right file");
//! let mut world = World::new(Arc::new(scenario), 7, Keep { records: true, trace: false });
//! world.run();
//! let run = world.finish();
//! assert_ne!(run.recording.header.final_master.as_deref(), Some("redis-1"));
//! ```

pub mod analysis;
pub mod cli;
pub mod client;
pub mod explain;
pub mod explore;
pub mod haproxy;
pub mod kernel;
pub mod mistake;
pub mod net;
pub mod record;
pub mod redis;
pub mod reference;
pub mod report;
pub mod scenario;
pub mod sentinel;
pub mod wire;
pub mod world;
