//! Sequences: in which order a Sentinel's events come, in reality and in simulation.
//!
//! The score compares each event's times by themselves. Two runs can agree in all of them and still be told apart,
//! because one thing follows another where in reality it precedes it. So every recording is also read as orderings: the
//! lines of one Sentinel after time 0, cut into *bursts* where nothing is said for [`PAUSE_S`], each burst a list of event
//! names without times, numbers or the names of nodes (the names of the score's cells). A pause lies between the tick of
//! 0.1 s, whose events belong together, and the cadences of 1 s and more, across which times tell more than order does.
//! Lines within one millisecond of each other are in no order; they are written in the order in which the same events
//! mostly come when they are further apart, in bursts of the same events if there are such.
//!
//! A Sentinel that was elected leader in the run has orderings of its own, and so has one to which the fault script does
//! what it does not do to the others. An ordering's frequency is the part of the runs in which it occurs in some Sentinel
//! of its kind: runs are independent, Sentinels of one run are not. Real and simulated frequencies are held against each
//! other by Fisher's exact test.
//!
//! What occurs on one side only needs another yardstick: of many rare orderings some are bound to be missing from a few
//! runs. So their number is held against the number that chance alone would give if both sides were the same
//! ([`Chance`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::keys::{Line, Roles, lines, sentinel_key};
use super::score::both_sides;
use super::stats::fisher_exact;
use crate::record::{FaultMark, NodeKind, ReadError, Recording};

/// Silence that ends a burst, in seconds.
pub const PAUSE_S: f64 = 0.5;
/// Lines at most this far apart are in no order: one millisecond, and what floats lose.
const TIE_S: f64 = 0.001_01;
/// Fisher's exact test: below this two frequencies differ. The same as the score's for distributions.
const P_MIN: f64 = 0.01;
/// Part of the simulated runs above which an ordering must have been seen in reality.
const UNSEEN: f64 = 0.05;

/// What one Sentinel says in one burst: groups of lines that are in no order among themselves.
type Burst = Vec<Vec<String>>;

/// The bursts of one recording, by kind of Sentinel: `leader`, `follower`, and what was done to it alone.
pub type Bursts = BTreeMap<String, Vec<Burst>>;

/// The bursts of a recording.
pub fn bursts(recording: &Recording) -> Bursts {
    let lines = lines(recording);
    let roles = Roles::of(recording, &lines);
    let sentinels: Vec<&str> = recording.names.of_kind(NodeKind::Sentinel).map(|(_, name)| name).collect();
    let fates: Vec<Vec<String>> = sentinels.iter().map(|name| fate(recording, name)).collect();
    let shared = |mark: &String| fates.iter().all(|fate| fate.contains(mark));
    let mut bursts = Bursts::new();
    for (sentinel, fate) in sentinels.iter().zip(&fates) {
        let own =
            lines.iter().filter(|line| line.node == *sentinel && (0.0..recording.header.end_s).contains(&line.at));
        let own: Vec<&Line> = own.collect();
        let leads = own.iter().any(|line| line.text.starts_with("+elected-leader"));
        let mut kind = vec![if leads { "leader" } else { "follower" }.to_string()];
        kind.extend(fate.iter().filter(|mark| !shared(mark)).cloned());
        bursts.entry(kind.join(", ")).or_default().extend(cut(&own, &roles));
    }
    bursts
}

/// What the fault script does to a node: two nodes with the same fate can be exchanged for each other.
fn fate(recording: &Recording, node: &str) -> Vec<String> {
    let mut marks = Vec::new();
    for FaultMark { at_s, fault } in &recording.header.faults {
        let arguments = fault.arguments();
        for (place, argument) in arguments.iter().enumerate() {
            if argument.split(',').any(|name| name == node) {
                let side = if arguments.len() > 1 { format!(" {}", place + 1) } else { String::new() };
                marks.push(format!("{}{side} at {at_s:.0} s", fault.word()));
            }
        }
    }
    marks
}

fn cut(lines: &[&Line], roles: &Roles) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = Vec::new();
    let mut before = f64::NEG_INFINITY;
    for line in lines {
        let Some(key) = sentinel_key(&line.text, roles) else { continue };
        let since = line.at - before;
        before = line.at;
        if since >= PAUSE_S {
            bursts.push(Vec::new());
        }
        let burst = bursts.last_mut().expect("the first line begins a burst");
        match burst.last_mut() {
            Some(tie) if since <= TIE_S => tie.push(key),
            _ => burst.push(vec![key]),
        }
    }
    bursts
}

/// How often one event comes before another where they are in an order: in bursts of the same events, and in all.
#[derive(Default)]
struct Precedence {
    alike: BTreeMap<Vec<String>, Counts>,
    all: Counts,
}

#[derive(Default)]
struct Counts(BTreeMap<(String, String), usize>);

impl Counts {
    fn balance(&self, first: &str, second: &str) -> i64 {
        let count = |a: &str, b: &str| self.0.get(&(a.to_string(), b.to_string())).copied().unwrap_or(0) as i64;
        count(first, second) - count(second, first)
    }
}

/// The events of a burst, whatever their order.
fn contents(burst: &Burst) -> Vec<String> {
    let mut events: Vec<String> = burst.iter().flatten().cloned().collect();
    events.sort();
    events
}

impl Precedence {
    fn learn(&mut self, burst: &Burst) {
        let alike = self.alike.entry(contents(burst)).or_default();
        for (i, tie) in burst.iter().enumerate() {
            for first in tie {
                for second in burst[i + 1..].iter().flatten().filter(|second| *second != first) {
                    *alike.0.entry((first.clone(), second.clone())).or_default() += 1;
                    *self.all.0.entry((first.clone(), second.clone())).or_default() += 1;
                }
            }
        }
    }

    fn precedes(&self, alike: Option<&Counts>, first: &str, second: &str) -> bool {
        let known = alike.map_or(0, |alike| alike.balance(first, second));
        (if known == 0 { self.all.balance(first, second) } else { known }) > 0
    }

    /// A burst as a list. What precedes most of those it is tied with comes first, then the alphabet decides; repeated
    /// events become one with a number.
    fn flatten(&self, burst: &Burst) -> Ordering {
        let alike = self.alike.get(&contents(burst));
        let mut flat: Vec<(&str, usize)> = Vec::new();
        for tie in burst {
            let rank = |key: &String| tie.iter().filter(|other| self.precedes(alike, key, other)).count();
            let mut sorted: Vec<(usize, &String)> = tie.iter().map(|key| (rank(key), key)).collect();
            sorted.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            for (_, key) in sorted {
                match flat.last_mut() {
                    Some((last, times)) if *last == key.as_str() => *times += 1,
                    _ => flat.push((key, 1)),
                }
            }
        }
        let text = |(key, times): (&str, usize)| if times == 1 { key.to_string() } else { format!("{key} ×{times}") };
        flat.into_iter().map(text).collect()
    }
}

/// Events in their order.
pub type Ordering = Vec<String>;

/// Whether an ordering is as frequent in simulation as in reality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The frequencies cannot be told apart.
    Agrees,
    /// They can be told apart.
    Frequency,
    /// Never seen in simulation; the real runs are too few to say that it should have been.
    NotSimulated,
    /// In more than 5 % of the simulated runs and in no real one; the real runs are too few to say that it should have
    /// been.
    NotSeen,
}

/// The verdict on one ordering.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SequenceVerdict {
    /// The kind of Sentinel.
    pub kind: String,
    /// The events.
    pub ordering: Ordering,
    /// Real runs in which it occurs.
    pub real: usize,
    /// Simulated runs in which it occurs.
    pub sim: usize,
    /// Fisher's exact test of the two frequencies.
    pub p: f64,
    /// The verdict.
    pub finding: Finding,
}

/// How many orderings one side would miss by chance, if both were the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Chance {
    /// Orderings above 5 % in simulation that the real runs would miss: each is missed by all n runs with probability
    /// (1 − f)ⁿ.
    pub not_seen: f64,
    /// Orderings of the real runs that the simulated ones would miss. Good and Turing: what is yet unseen has together the
    /// probability of all that was seen in one run only.
    pub not_simulated: f64,
}

impl std::ops::Add for Chance {
    type Output = Chance;

    fn add(self, other: Chance) -> Chance {
        Chance { not_seen: self.not_seen + other.not_seen, not_simulated: self.not_simulated + other.not_simulated }
    }
}

/// The orderings of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioSequences {
    /// The scenario's name.
    pub scenario: String,
    /// Number of real runs.
    pub real_runs: usize,
    /// Number of simulated runs; with none, the scenario counts as one ordering that disagrees.
    pub sim_runs: usize,
    /// By kind of Sentinel, the most frequent first.
    pub verdicts: Vec<SequenceVerdict>,
    /// What one side may miss by chance.
    pub chance: Chance,
}

impl ScenarioSequences {
    /// How many orderings have this finding.
    pub fn count(&self, finding: Finding) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.finding == finding).count()
    }

    /// Orderings that can be judged: all but those that are rare in simulation and absent in reality.
    pub fn orderings(&self) -> usize {
        if self.sim_runs == 0 { 1 } else { self.verdicts.len() }
    }
}

/// The orderings of all scenarios.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sequences {
    /// By scenario, in order of their names.
    pub scenarios: Vec<ScenarioSequences>,
}

impl Sequences {
    /// How many orderings have this finding.
    pub fn count(&self, finding: Finding) -> usize {
        self.scenarios.iter().map(|scenario| scenario.count(finding)).sum()
    }

    /// All orderings.
    pub fn orderings(&self) -> usize {
        self.scenarios.iter().map(ScenarioSequences::orderings).sum()
    }

    /// What may be missing by chance, of all scenarios.
    pub fn chance(&self) -> Chance {
        self.scenarios.iter().fold(Chance::default(), |sum, scenario| sum + scenario.chance)
    }

    /// The part of the orderings whose frequencies can't be told apart.
    pub fn figure(&self) -> f64 {
        let off: usize = self
            .scenarios
            .iter()
            .map(|scenario| if scenario.sim_runs == 0 { 1 } else { scenario.count(Finding::Frequency) })
            .sum();
        1.0 - off as f64 / self.orderings().max(1) as f64
    }
}

/// The verdicts on all orderings that occur in reality, or in more than 5 % of the simulated runs, and what may be missing
/// by chance.
///
/// # Panics
/// If a side has no run.
pub fn compare(real: &[Bursts], sim: &[Bursts]) -> (Vec<SequenceVerdict>, Chance) {
    assert!(!real.is_empty() && !sim.is_empty(), "a comparison needs runs on both sides");
    let kinds: BTreeSet<&String> = real.iter().chain(sim).flat_map(BTreeMap::keys).collect();
    let mut verdicts = Vec::new();
    let mut chance = Chance::default();
    let often = |in_sim: usize| in_sim as f64 > UNSEEN * sim.len() as f64;
    for kind in kinds {
        let mut precedence = Precedence::default();
        real.iter().chain(sim).filter_map(|run| run.get(kind)).flatten().for_each(|burst| precedence.learn(burst));
        // An ordering's runs: real, simulated.
        let mut runs: BTreeMap<Ordering, [usize; 2]> = BTreeMap::new();
        for (side, recordings) in [real, sim].into_iter().enumerate() {
            for run in recordings {
                let orderings: BTreeSet<Ordering> =
                    run.get(kind).into_iter().flatten().map(|burst| precedence.flatten(burst)).collect();
                orderings.into_iter().for_each(|ordering| runs.entry(ordering).or_default()[side] += 1);
            }
        }
        for &[_, in_sim] in runs.values() {
            if often(in_sim) {
                chance.not_seen += (1.0 - in_sim as f64 / sim.len() as f64).powi(real.len() as i32);
            }
            if in_sim == 1 {
                chance.not_simulated += real.len() as f64 / sim.len() as f64;
            }
        }
        let mut of_kind: Vec<SequenceVerdict> = runs
            .into_iter()
            .filter(|(_, [in_real, in_sim])| *in_real > 0 || often(*in_sim))
            .map(|(ordering, [in_real, in_sim])| {
                let p = fisher_exact((in_real, real.len()), (in_sim, sim.len()));
                let finding = match (in_real, in_sim) {
                    _ if p < P_MIN => Finding::Frequency,
                    (0, _) => Finding::NotSeen,
                    (_, 0) => Finding::NotSimulated,
                    _ => Finding::Agrees,
                };
                SequenceVerdict { kind: kind.clone(), ordering, real: in_real, sim: in_sim, p, finding }
            })
            .collect();
        of_kind.sort_by(|a, b| b.real.cmp(&a.real).then(b.sim.cmp(&a.sim)).then_with(|| a.ordering.cmp(&b.ordering)));
        verdicts.extend(of_kind);
    }
    (verdicts, chance)
}

/// The bursts of recordings in files, in their order.
pub fn bursts_of(paths: &[PathBuf]) -> Result<Vec<Bursts>, ReadError> {
    paths.par_iter().map(|path| Recording::read(path).map(|recording| bursts(&recording))).collect()
}

/// The orderings of a folder of simulated recordings against those of folders of real ones.
pub fn sequences_of_dirs(real: &[PathBuf], sim: &Path) -> Result<Sequences, ReadError> {
    let (real, sim) = both_sides(real, sim)?;
    let mut scenarios = Vec::new();
    for (scenario, real) in real {
        let none = Vec::new();
        let sim = sim.get(&scenario).unwrap_or(&none);
        let (verdicts, chance) =
            if sim.is_empty() { Default::default() } else { compare(&bursts_of(&real)?, &bursts_of(sim)?) };
        scenarios.push(ScenarioSequences { scenario, real_runs: real.len(), sim_runs: sim.len(), verdicts, chance });
    }
    Ok(Sequences { scenarios })
}

#[cfg(test)]
mod tests;
