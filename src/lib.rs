//! `sim`: a deterministic discrete-event simulator of a Redis Sentinel high-availability stack.
//!
//! # The promise
//!
//! The same scenario and the same seed give the same bytes, on every machine, whatever the number of threads. Time is
//! virtual: a minute of the stack takes milliseconds. What the programs do is what the real ones did when they were
//! recorded from the same scenario files (docs/conformance.md).
//!
//! # Run, and read what follows
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
//!
//! [`run`] answers with the recording ([`record`]), what follows from it ([`analysis`]: failovers and their phases, outages,
//! who was master, what became of every message and write) and the expectations that were missed. A run whose stack
//! never became ready says so in [`world::RunResult::unready`]: look there first.
//!
//! # Go on from there
//!
//! - *Many runs*: call [`run`] with seed after seed; [`explore::sweep`] does it over settings, on all cores.
//! - *Branch*: [`explore::branching::branch`] stops a run at a moment and draws its luck anew from there.
//! - *Step*: [`world::World`] can be run to an instant, looked into, and cloned.
//! - *Disturb*: [`world::World::add_fault`] does something to the stack now or later. The run is the one that a file with this
//!   fault leads to, and [`world::World::scenario`] is that file.
//! - *Ask why*: [`explain`] follows a message, a write or a failover through a run.
//! - *A program of one's own*: a client library implements [`client::ClientProgram`] and joins with [`run_with`]
//!   (docs/own-client.md).
//!
//! `examples/` has one of each: `run`, `sweep`, `branch`, `own_client`.
//!
//! # Features
//!
//! The simulator, its analysis, `sim read`'s and `sim import`'s work, `explain` and `explore` are always there. On top, and by default:
//!
//! - `cli`: the command `sim` (`cli`), and `miette::Diagnostic` for the errors. Brings `charts`.
//! - `charts`: pictures and the report in HTML, in [`report`]; a sweep draws.
//! - `reference`: the real stack (`reference`). On Linux only: elsewhere the feature is empty.
//!
//! `default-features = false` leaves them out, and with them clap, miette, plotters and nfq.
//!
//! # Panics
//!
//! Bad input is an error with its place and a remedy, never a panic. A panic is a broken invariant of a model: a fault of
//! this crate.
//!
//! # The way of the data
//!
//! A scenario file becomes a checked plan ([`scenario`]); the plan becomes a world of programs on a network ([`world`], with
//! [`redis`], [`sentinel`], [`haproxy`] and [`client`], written against the contract in [`program`], on [`net`], all on the
//! [`kernel`]); a run of the world leaves typed records ([`record`]); records are analysed ([`analysis`]) and drawn ([`report`]). What travels between programs is in
//! [`wire`]; [`cli`] is the command line.

pub mod analysis;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
mod excerpt;
pub mod explain;
pub mod explore;
mod files;
pub mod haproxy;
pub mod import;
pub mod kernel;
mod limits;
pub mod logs;
mod mistake;
pub mod net;
pub mod program;
pub mod record;
pub mod redis;
#[cfg(all(target_os = "linux", feature = "reference"))]
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
