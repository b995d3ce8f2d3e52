//! Branching: what else could have come of a moment, and from which moment on an outcome was settled.
//!
//! The run of a seed is taken to a moment and left there many times, each time with fresh luck
//! ([`World::branch`](crate::world::World::branch)). The part of the branches that end with an outcome estimates how
//! likely it still was at that moment. Where all branches of a moment, and of every later one, end alike, the outcome is
//! settled: the point of no return lies before it.
//!
//! Branch 0 keeps its luck. That it ends as the run itself did, to the last bit of the digest, is asserted every time.

use std::sync::Arc;

use rayon::prelude::*;

use crate::analysis::Analysis;
use crate::analysis::metrics::{Figures, Metric};
use crate::analysis::stats::{Interval, proportion_interval};
use crate::kernel::Span;
use crate::scenario::Scenario;
use crate::units::SignedSpan;
use crate::world::{Keep, RunResult, World};

/// Branches leave this long before time 0 at the earliest: from there on the script's times are fixed.
pub const EARLIEST_US: i64 = -3_000_000;

/// A figure and the limit that it must keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which.
    pub metric: Metric,
    /// How value and limit are compared.
    pub relation: Relation,
    /// The limit.
    pub limit: f64,
}

/// How a value stands to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
}

impl Relation {
    /// With the signs that begin alike the longer first.
    pub const ALL: [(Relation, &'static str); 5] = [
        (Relation::AtLeast, ">="),
        (Relation::AtMost, "<="),
        (Relation::Above, ">"),
        (Relation::Below, "<"),
        (Relation::Equal, "="),
    ];
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = Relation::ALL.iter().find(|(relation, _)| *relation == self.relation).map_or("", |(_, sign)| sign);
        write!(f, "{} {sign} {}", self.metric, self.limit)
    }
}

impl Event {
    /// Whether it happened in a run; none if the run does not have the figure.
    pub fn happened(&self, metrics: &Figures) -> Option<bool> {
        let value = metrics.number(self.metric)?;
        Some(match self.relation {
            Relation::Above => value > self.limit,
            Relation::AtLeast => value >= self.limit,
            Relation::Below => value < self.limit,
            Relation::AtMost => value <= self.limit,
            Relation::Equal => value == self.limit,
        })
    }
}

/// The run that is branched.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// What is left of it.
    pub result: RunResult,
    /// What follows from that.
    pub analysis: Analysis,
    /// All metrics.
    pub metrics: Figures,
}

/// How a branch ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Its number, from 1.
    pub number: u64,
    /// Digest over all its events, those before the moment included.
    pub digest: u128,
    /// All metrics.
    pub metrics: Figures,
}

/// The branches that leave at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Fork {
    /// When, in microseconds after time 0.
    pub at_us: i64,
    /// How they ended, in the order of their numbers.
    pub leaves: Vec<Leaf>,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Share {
    /// When the branches left.
    pub at_us: i64,
    /// In how many of them it happened.
    pub happened: usize,
    /// Of how many that have the figure.
    pub of: usize,
}

impl Share {
    /// The part of the branches; none of none.
    pub fn part(&self) -> Option<f64> {
        (self.of > 0).then(|| self.happened as f64 / self.of as f64)
    }

    /// Its 95 % confidence interval (Wilson).
    pub fn interval(&self) -> Option<Interval> {
        proportion_interval(self.happened, self.of)
    }

    /// How all branches ended, if all ended alike.
    fn unanimous(&self) -> Option<bool> {
        match (self.happened, self.of) {
            (_, 0) => None,
            (0, _) => Some(false),
            (happened, of) => (happened == of).then_some(true),
        }
    }
}

/// When an outcome was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Settled {
    /// Whether it happens.
    pub happens: bool,
    /// The last moment at which the branches still ended differently, or otherwise; none: settled at the first moment.
    pub after_us: Option<i64>,
    /// The first moment from which on all branches end alike.
    pub at_us: i64,
}

impl Fork {
    /// How often an event happened among the branches.
    pub fn share(&self, event: &Event) -> Share {
        let outcomes = self.leaves.iter().filter_map(|leaf| event.happened(&leaf.metrics));
        let (happened, of) = outcomes.fold((0, 0), |(happened, of), yes| (happened + usize::from(yes), of + 1));
        Share { at_us: self.at_us, happened, of }
    }
}

/// From which of the moments on all branches end alike; none if those of the last moment do not.
pub fn settled(shares: &[Share]) -> Option<Settled> {
    let happens = shares.last()?.unanimous()?;
    let first = shares.iter().rposition(|share| share.unanimous() != Some(happens)).map_or(0, |last| last + 1);
    let after_us = first.checked_sub(1).map(|before| shares[before].at_us);
    Some(Settled { happens, after_us, at_us: shares[first].at_us })
}

fn end(mut world: World) -> (RunResult, Analysis) {
    world.run();
    let result = world.finish();
    let analysis = Analysis::of(&result.recording, Some(&result.lost_writes));
    (result, analysis)
}

/// Runs a scenario, and again from each of the moments (in rising order) in so many branches; a run whose stack was never
/// ready has none. `done` is called after each branch.
///
/// # Panics
/// If a moment lies before [`EARLIEST_US`] or after the scenario's end.
pub fn branch(
    scenario: &Arc<Scenario>,
    seed: u64,
    moments_us: &[i64],
    branches: u64,
    done: &(dyn Fn() + Sync),
) -> (Trunk, Vec<Fork>) {
    let keep = Keep { records: true, ..Keep::default() };
    let start = World::new(scenario.clone(), seed, keep);
    let (result, analysis) = end(start.clone());
    let trunk = Trunk { metrics: analysis.figures(), result, analysis };
    if trunk.result.unready.is_some() {
        return (trunk, Vec::new());
    }
    let digest = trunk.result.digest;
    let mut world = start;
    let mut forks = Vec::with_capacity(moments_us.len());
    for &at_us in moments_us {
        assert!(
            at_us >= EARLIEST_US && Span::from_micros(at_us.max(0) as u64) <= scenario.duration,
            "a moment of the run"
        );
        assert!(world.run_to(SignedSpan(at_us * 1_000)), "the moments rise, and the stack is ready 3 s before time 0");
        let leaves = (0..=branches).into_par_iter().map(|number| {
            let (result, analysis) = end(world.branch(number));
            done();
            Leaf { number, digest: result.digest, metrics: analysis.figures() }
        });
        let mut leaves: Vec<Leaf> = leaves.collect();
        let same = leaves.remove(0);
        assert_eq!(same.digest, digest, "the branch that keeps its luck is the run itself");
        forks.push(Fork { at_us, leaves });
    }
    (trunk, forks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Purpose;

    /// A partition that heals at about the time of the failover: whether it happens is a matter of luck.
    const CLOSE: &str = "duration = '14s'\n\
        [[fault]]\nat = '0s'\naction = 'partition'\n\
        groups = [['redis-1', 'haproxy', 'clients'], ['redis-2', 'redis-3', 'sentinel-1', 'sentinel-2', 'sentinel-3']]\n\
        [[fault]]\nat = '4700ms'\naction = 'heal'\n";

    fn scenario(text: &str) -> Arc<Scenario> {
        Arc::new(Scenario::parse("close.toml", text).expect("a right scenario"))
    }

    fn world_at(seed: u64, at_us: i64) -> World {
        let mut world = World::new(scenario(CLOSE), seed, Keep { records: true, ..Keep::default() });
        assert!(world.run_to(SignedSpan(at_us * 1_000)));
        world
    }

    #[test]
    fn a_branch_that_keeps_its_luck_ends_as_the_run_does() {
        let mut run = World::new(scenario(CLOSE), 3, Keep { records: true, ..Keep::default() });
        run.run();
        for at_us in [-3_000_000, 0, 4_000_000, 14_000_000] {
            let mut branch = world_at(3, at_us).branch(0);
            branch.run();
            assert_eq!(branch.digest(), run.digest());
        }
    }

    #[test]
    fn branches_differ_after_the_moment_and_not_before() {
        let trunk = world_at(3, 4_000_000);
        let (moment, before) = (trunk.now(), trunk.records().len());
        let mut ends = std::collections::BTreeSet::new();
        for number in 0..6 {
            let mut branch = trunk.branch(number);
            assert_eq!(branch.digest(), trunk.digest());
            branch.run();
            assert_eq!(&branch.records()[..before], trunk.records());
            assert!(branch.records()[before..].iter().any(|record| record.time > moment));
            ends.insert(branch.digest());
            // The same branch again is the same.
            let mut again = trunk.branch(number);
            again.run();
            assert_eq!(again.digest(), branch.digest());
        }
        assert_eq!(ends.len(), 6);
    }

    #[test]
    fn every_stream_of_a_branch_is_fresh() {
        let mut trunk = world_at(3, 4_000_000);
        let mut branch = trunk.branch(1);
        let draws =
            |world: &mut World| -> Vec<u64> { world.streams().into_iter().map(|stream| stream.bits()).collect() };
        let (old, new) = (draws(&mut trunk), draws(&mut branch));
        // Eight hosts, the script, two a Redis server and a Sentinel, one for HAProxy, one a client.
        assert_eq!((old.len(), new.len()), (8 + 1 + 6 + 6 + 1 + 3, old.len()));
        assert!(old.iter().zip(&new).all(|(old, new)| old != new));
        let born = |world: &World| world.stream(99, Purpose::Work).bits();
        assert_ne!(born(&trunk), born(&branch));
    }

    #[test]
    fn an_outcome_is_open_at_first_and_settled_in_the_end_whatever_the_threads() {
        let event = Event { metric: Metric::named("failovers"), relation: Relation::Above, limit: 0.0 };
        let moments = [0, 5_000_000, 9_000_000];
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| branch(&scenario(CLOSE), 65, &moments, 24, &|| {}))
        };
        let (trunk, forks) = run(2);
        let shares: Vec<Share> = forks.iter().map(|fork| fork.share(&event)).collect();
        assert!(shares[0].happened > 0 && shares[0].happened < 24, "{shares:?}");
        let settled = settled(&shares).expect("at 9 s all is over");
        assert_eq!(Some(settled.happens), event.happened(&trunk.metrics));
        assert!(settled.at_us > 0 && settled.after_us.is_some(), "{settled:?}");
        assert_eq!(run(1).1, forks);
    }

    #[test]
    fn an_outcome_is_settled_from_the_last_change_on() {
        let shares = |counts: &[usize]| -> Vec<Share> {
            let share = |(i, &happened): (usize, &usize)| Share { at_us: i as i64, happened, of: 10 };
            counts.iter().enumerate().map(share).collect()
        };
        let of = |counts: &[usize]| settled(&shares(counts)).map(|s| (s.happens, s.after_us, s.at_us));
        assert_eq!(of(&[3, 10, 9, 10, 10]), Some((true, Some(2), 3)));
        assert_eq!(of(&[3, 10, 0, 0]), Some((false, Some(1), 2)));
        assert_eq!(of(&[10, 10]), Some((true, None, 0)));
        assert_eq!(of(&[10, 4]), None);
        assert_eq!(of(&[]), None);
    }
}
