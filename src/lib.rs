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
//!
//! let text = "duration = '12s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = '@master'\n";
//! let scenario = Scenario::parse("kill.toml", text).expect("a right file");
//! let run = sim::run(&Arc::new(scenario), 7);
//! assert_ne!(run.result.recording.header.final_master.as_deref(), Some("redis-1"));
//! ```

pub mod analysis;
pub mod cli;
pub mod client;
pub mod explain;
pub mod explore;
pub mod files;
pub mod haproxy;
pub mod import;
pub mod kernel;
pub mod limits;
pub mod logs;
pub mod mistake;
pub mod net;
pub mod record;
pub mod redis;
#[cfg(target_os = "linux")]
pub mod reference;
pub mod release;
pub mod report;
pub mod scenario;
pub mod sentinel;
mod suggest;
pub mod units;
pub mod wire;
pub mod world;

use std::sync::Arc;

/// A finished run with what follows from it.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is left of it: its recording, its digest, and what only the simulator can know.
    pub result: world::RunResult,
    /// What follows from the recording.
    pub analysis: analysis::Analysis,
    /// The expectations of the scenario that it does not meet.
    pub misses: Vec<analysis::Miss>,
}

/// Runs `scenario` with `seed` to its end and analyses it: the same two give the same run, on every machine.
pub fn run(scenario: &Arc<scenario::Scenario>, seed: u64) -> Run {
    run_with(scenario, seed, &[])
}

/// As [`run`], but the clients with these names run programs of one's own ([`client::ClientProgram`]).
///
/// # Panics
/// If the scenario has no client with one of the names.
pub fn run_with(scenario: &Arc<scenario::Scenario>, seed: u64, clients: &[(&str, client::Make)]) -> Run {
    let keep = world::Keep { records: true, trace: false };
    let mut world = world::World::with_clients(scenario.clone(), seed, keep, clients);
    world.run();
    let result = world.finish();
    let mut analysis = analysis::Analysis::of(&result.recording, Some(&result.lost_writes));
    analysis.name_settings(&result.recording, &scenario.timer_settings());
    let misses = scenario.expect.as_ref().map_or(Vec::new(), |expect| scenario::unmet(expect, &analysis));
    Run { result, analysis, misses }
}
