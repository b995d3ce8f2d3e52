//! A run, made again with its trace.

use std::sync::Arc;

use super::NoAnswer;
use super::story::Story;
use crate::analysis::Analysis;
use crate::kernel::Time;
use crate::scenario::Scenario;
use crate::world::{Keep, Layout, RunResult, World};

/// Every event of a run is kept in memory with what it did, some 300 bytes each.
const EVENTS_MAX: u64 = 8_000_000;

/// A run with its trace, its analysis, and an index of both.
pub struct Traced {
    /// What was run.
    pub scenario: Arc<Scenario>,
    /// With which seed.
    pub seed: u64,
    /// What is left of it.
    pub result: RunResult,
    /// What follows from its recording.
    pub analysis: Analysis,
    /// Who lives where.
    pub layout: Layout,
    pub(super) story: Story,
}

/// Runs without a trace, for what a setting would have changed.
pub(super) fn rerun(scenario: Arc<Scenario>, seed: u64) -> Analysis {
    let mut world = World::new(scenario, seed, Keep { records: true, trace: false });
    world.run();
    analyse(&world.finish())
}

fn analyse(result: &RunResult) -> Analysis {
    Analysis::of(&result.recording, Some(&result.lost_writes))
}

impl Traced {
    /// Runs `scenario` with `seed` and keeps everything.
    pub fn run(scenario: Arc<Scenario>, seed: u64) -> Result<Traced, NoAnswer> {
        let mut world = World::new(scenario.clone(), seed, Keep { records: true, trace: true });
        while !world.run_until(world.now() + crate::kernel::Span::from_secs(1)) {
            if world.events() > EVENTS_MAX {
                return Err(NoAnswer::new(
                    format!("this run has more than {EVENTS_MAX} events: too many to keep each of them"),
                    "ask about a shorter scenario, or one with less load",
                ));
            }
        }
        let layout = world.layout().clone();
        let result = world.finish();
        if let Some(unready) = &result.unready {
            return Err(NoAnswer::new(format!("{unready}; the script was not played"), "let the stack start first"));
        }
        let analysis = analyse(&result);
        let story = Story::of(&result);
        Ok(Traced { scenario, seed, result, analysis, layout, story })
    }

    /// Why a message was lost as the trace shows it, where it does: what its ledger says should be the same.
    pub fn seen_cause(&self, message: &crate::analysis::ledger::Message) -> Option<crate::analysis::fate::Cause> {
        super::seen::cause(self, message)
    }

    /// An instant of the world in microseconds since time 0.
    pub(super) fn micros(&self, at: Time) -> i64 {
        (at.0 as i64 - self.result.recording.origin.0 as i64).div_euclid(1_000)
    }

    /// Seconds since time 0, for text.
    pub(super) fn at(&self, at: Time) -> String {
        super::words::seconds(self.micros(at))
    }
}
