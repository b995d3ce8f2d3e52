//! `sim run`: a scenario file in; timeline, summary and run folder out.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::{Failure, Verdict};
use crate::scenario::Scenario;
use crate::world::{Keep, RunResult, World};

/// Run a scenario
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The scenario file
    file: PathBuf,
    /// Seed of the first run; run k uses seed + k
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Write one recording a run into this folder
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
}

fn run(scenario: &Arc<Scenario>, seed: u64) -> RunResult {
    let mut world = World::new(scenario.clone(), seed, Keep { records: true, trace: false });
    world.run();
    world.finish()
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let scenario = Arc::new(Scenario::load(&arguments.file).map_err(|error| Failure::Bad(error.into()))?);
    if let Some(folder) = &arguments.recordings {
        std::fs::create_dir_all(folder).map_err(Failure::io(folder.display()))?;
    }
    (0..arguments.runs).into_par_iter().try_for_each(|k| {
        let seed = arguments.seed + k;
        let result = run(&scenario, seed);
        if let Some(folder) = &arguments.recordings {
            let path = folder.join(format!("{}.{seed}.jsonl", scenario.name));
            result.recording.write(&path).map_err(Failure::io(path.display()))?;
        }
        if arguments.runs == 1 {
            println!("{} events, digest {:032x}", result.events, result.digest);
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Verdict::Fine)
}
