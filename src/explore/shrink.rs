//! Making a case that fails small: the same property must fail in what is left, in the same way. (Two failures of a
//! property are of one way if they are told in the same words but for their numbers: else a rare failure turns into a
//! common one on its way down.)
//!
//! Structure first, values next: fewer faults, fewer clients and nodes, default settings, shorter and rounder times, the
//! smallest seed. Each step proposes smaller cases; the first that still fails is taken, and the steps begin again,
//! until none helps or the limit of runs is reached. Candidates are tried side by side, and the first in their order
//! wins, whatever the number of threads.
//!
//! proptest's own shrinking is not used: it undoes the choices of a generator, and here the result must be a small file,
//! of which most parts have no choice of their own.

use rayon::prelude::*;
use toml::{Table, Value};

use super::campaign::{Build, judge};
use super::compact::{compact, usual_clients};
use super::observe::Case;
use super::property::Finding;
use super::script::tidy;
use crate::kernel::Span;
use crate::scenario::units::SignedSpan;
use crate::scenario::{Action, Link, Network, Scenario};
use crate::{client, haproxy, redis, sentinel};

/// More runs than this are not spent on one failure: some seconds.
const RUNS_MAX: usize = 1_500;
/// Candidates that are tried side by side.
const BATCH: usize = 8;
/// Seeds that are tried for a smaller one.
const SEEDS: u64 = 16;

/// A case that was made small.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shrunk {
    /// The case.
    pub case: Case,
    /// What the property finds in it.
    pub finding: Finding,
    /// How many runs it took.
    pub runs: usize,
}

type Step = fn(&Case) -> Vec<Case>;

const STEPS: [Step; 9] = [
    fewer_faults,
    fewer_clients,
    fewer_nodes,
    usual_sections,
    usual_keys,
    simpler_faults,
    shorter,
    rounder,
    smaller_seed,
];

struct Shrinker<'a> {
    property: &'a str,
    build: &'a Build,
    way: String,
    best: Shrunk,
}

/// A finding without its numbers, identities in hexadecimal included.
fn way(finding: &Finding) -> String {
    finding.what.chars().filter(|c| !c.is_ascii_hexdigit()).collect()
}

/// Makes a case small in which `property` was found to fail.
pub(crate) fn shrink(case: &Case, finding: &Finding, property: &str, build: &Build) -> Shrunk {
    let best = Shrunk { case: case.clone(), finding: finding.clone(), runs: 0 };
    let mut shrinker = Shrinker { property, build, way: way(finding), best };
    let mut step = 0;
    while step < STEPS.len() && shrinker.best.runs < RUNS_MAX {
        let mut helped = false;
        while shrinker.best.runs < RUNS_MAX && shrinker.take_first(STEPS[step](&shrinker.best.case)) {
            helped = true;
        }
        // What came before may work again on what is left.
        step = if helped && step > 0 { 0 } else { step + 1 };
    }
    shrinker.best
}

impl Shrinker<'_> {
    fn take_first(&mut self, candidates: Vec<Case>) -> bool {
        for batch in candidates.chunks(BATCH) {
            let found: Vec<Option<Finding>> = batch.par_iter().map(|case| self.fails(case)).collect();
            self.best.runs += batch.len();
            if let Some((case, Some(finding))) = batch.iter().zip(found).find(|(_, finding)| finding.is_some()) {
                self.best = Shrunk { case: case.clone(), finding, runs: self.best.runs };
                return true;
            }
            if self.best.runs >= RUNS_MAX {
                break;
            }
        }
        false
    }

    /// What the property finds in a candidate, if a file can say it.
    fn fails(&self, case: &Case) -> Option<Finding> {
        let scenario = Scenario::parse("candidate.toml", &compact(&case.scenario, "")).ok()?;
        let same = scenario == case.scenario;
        let found = (same && *case != self.best.case).then(|| judge(case, self.property, self.build)).flatten();
        found.filter(|finding| way(finding) == self.way)
    }
}

fn with(case: &Case, change: impl FnOnce(&mut Scenario)) -> Case {
    let mut case = case.clone();
    change(&mut case.scenario);
    tidy(&mut case.scenario, None);
    case
}

fn fewer_faults(case: &Case) -> Vec<Case> {
    let count = case.scenario.faults.len();
    let mut candidates = Vec::new();
    let mut width = count;
    while width > 0 {
        for from in (0..count).step_by(width) {
            candidates.push(with(case, |scenario| {
                scenario.faults.drain(from..(from + width).min(count));
            }));
        }
        width /= 2;
    }
    // A fault and its end, which stand apart.
    for first in 0..count {
        for second in first + 1..count {
            if count <= 12 {
                candidates.push(with(case, |scenario| {
                    scenario.faults.remove(second);
                    scenario.faults.remove(first);
                }));
            }
        }
    }
    candidates
}

fn fewer_clients(case: &Case) -> Vec<Case> {
    let usual = usual_clients(&case.scenario);
    let mut candidates = Vec::new();
    if case.scenario.clients == usual {
        return candidates;
    }
    candidates.push(with(case, |scenario| scenario.clients.clone_from(&usual)));
    for place in 0..case.scenario.clients.len() {
        if case.scenario.clients.len() > 1 {
            candidates.push(with(case, |scenario| {
                scenario.clients.remove(place);
            }));
        }
        let config = &case.scenario.clients[place];
        let every = Span::from_millis(50);
        if config.every != every {
            candidates.push(with(case, |scenario| scenario.clients[place].every = every));
        }
        let (library, via) = (usual[0].library, usual[0].via);
        if (config.library, config.via) != (library, via) {
            candidates.push(with(case, |scenario| {
                (scenario.clients[place].library, scenario.clients[place].via) = (library, via);
            }));
        }
        if config.then_set {
            candidates.push(with(case, |scenario| scenario.clients[place].then_set = false));
        }
    }
    candidates
}

fn fewer_nodes(case: &Case) -> Vec<Case> {
    let stack = case.scenario.stack;
    let mut candidates = Vec::new();
    for redis in 1..stack.redis {
        candidates.push(with(case, |scenario| {
            scenario.stack.redis = redis;
            scenario.redis.truncate(usize::from(redis));
        }));
    }
    for sentinels in 1..stack.sentinels {
        candidates.push(with(case, |scenario| {
            scenario.stack.sentinels = sentinels;
            scenario.sentinel.truncate(usize::from(sentinels));
            scenario.sentinel.iter_mut().for_each(|config| config.quorum = config.quorum.min(u32::from(sentinels)));
        }));
    }
    if stack.haproxy {
        candidates.push(with(case, |scenario| {
            scenario.stack.haproxy = false;
            scenario.haproxy = haproxy::Config::default();
            for client in &mut scenario.clients {
                client.via = client::Via::Sentinels;
            }
        }));
    }
    candidates
}

fn usual_sentinel(config: &sentinel::Config, sentinels: u16) -> sentinel::Config {
    let usual = sentinel::Config::default();
    let quorum = usual.quorum.min(u32::from(sentinels));
    let _ = config;
    sentinel::Config { quorum, ..usual }
}

fn usual_sections(case: &Case) -> Vec<Case> {
    let sentinels = case.scenario.stack.sentinels;
    let changes: [fn(&mut Scenario, u16); 5] = [
        |scenario, _| scenario.redis.iter_mut().for_each(|config| *config = redis::Config::default()),
        |scenario, n| scenario.sentinel.iter_mut().for_each(|config| *config = usual_sentinel(config, n)),
        |scenario, _| scenario.haproxy = haproxy::Config::default(),
        |scenario, _| scenario.network = Network { default: Link::default(), links: Vec::new() },
        |scenario, _| scenario.phase = Span::ZERO,
    ];
    let changed = changes.into_iter().map(|change| with(case, |scenario| change(scenario, sentinels)));
    changed.filter(|candidate| candidate != case).collect()
}

fn table<T: serde::Serialize>(value: &T) -> Table {
    match Value::try_from(value).expect("plans hold nothing that TOML cannot") {
        Value::Table(table) => table,
        other => unreachable!("sections are tables, not {other}"),
    }
}

/// The settings with one key of their own made usual, for every such key.
fn keys<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq>(configs: &[T], usual: &T) -> Vec<Vec<T>> {
    let usual_table = table(usual);
    let tables: Vec<Table> = configs.iter().map(table).collect();
    let mut names: Vec<&String> = tables.iter().flat_map(Table::keys).collect();
    names.sort();
    names.dedup();
    let odd = |name: &&String| tables.iter().any(|table| table.get(*name) != usual_table.get(*name));
    let mend = |name: &String| {
        let mended = tables.iter().map(|table| {
            let mut table = table.clone();
            match usual_table.get(name) {
                Some(value) => table.insert(name.clone(), value.clone()),
                None => table.remove(name),
            };
            Value::Table(table).try_into::<T>()
        });
        mended.collect::<Result<Vec<T>, _>>().ok()
    };
    names.into_iter().filter(odd).filter_map(mend).collect()
}

fn usual_keys(case: &Case) -> Vec<Case> {
    let scenario = &case.scenario;
    let mut candidates = Vec::new();
    for nodes in keys(&scenario.redis, &redis::Config::default()) {
        candidates.push(with(case, |scenario| scenario.redis = nodes));
    }
    let usual = scenario.sentinel.first().map(|config| usual_sentinel(config, scenario.stack.sentinels));
    if let Some(usual) = usual {
        for nodes in keys(&scenario.sentinel, &usual) {
            candidates.push(with(case, |scenario| scenario.sentinel = nodes));
        }
    }
    for mut proxy in keys(std::slice::from_ref(&scenario.haproxy), &haproxy::Config::default()) {
        candidates.push(with(case, |scenario| scenario.haproxy = proxy.remove(0)));
    }
    for mut link in keys(std::slice::from_ref(&scenario.network.default), &Link::default()) {
        candidates.push(with(case, |scenario| scenario.network.default = link.remove(0)));
    }
    candidates.retain(|candidate| candidate != case);
    candidates
}

fn simpler_faults(case: &Case) -> Vec<Case> {
    let mut candidates = Vec::new();
    for (index, fault) in case.scenario.faults.iter().enumerate() {
        match &fault.action {
            Action::Partition { groups } => {
                for (group, members) in groups.iter().enumerate() {
                    for member in 0..members.len() {
                        candidates.push(with(case, |scenario| {
                            if let Action::Partition { groups } = &mut scenario.faults[index].action {
                                groups[group].remove(member);
                                groups.retain(|group| !group.is_empty());
                            }
                        }));
                    }
                }
            }
            Action::Cut { from, to } => {
                for (side, members) in [from.0.len(), to.0.len()].into_iter().enumerate() {
                    for member in 0..members {
                        candidates.push(with(case, |scenario| {
                            if let Action::Cut { from, to } = &mut scenario.faults[index].action {
                                [&mut from.0, &mut to.0][side].remove(member);
                            }
                        }));
                    }
                }
            }
            Action::KillHost { node } | Action::PowerOff { node } | Action::Terminate { node } => {
                let node = node.clone();
                candidates.push(with(case, |scenario| scenario.faults[index].action = Action::Kill { node }));
            }
            Action::Stall { duration, .. } => {
                for shorter in rounded(*duration) {
                    candidates.push(with(case, |scenario| {
                        if let Action::Stall { duration, .. } = &mut scenario.faults[index].action {
                            *duration = shorter.max(Span::from_millis(100));
                        }
                    }));
                }
            }
            Action::ClockJump { by, .. } => {
                let smaller = by.0 / 2 / 500_000_000 * 500_000_000;
                if smaller != 0 {
                    candidates.push(with(case, |scenario| {
                        if let Action::ClockJump { by, .. } = &mut scenario.faults[index].action {
                            *by = SignedSpan(smaller);
                        }
                    }));
                }
            }
            _ => {}
        }
    }
    candidates
}

/// The same time, rounder; the roundest first.
fn rounded(span: Span) -> Vec<Span> {
    let units_ms = [10_000, 5_000, 1_000, 500];
    let mut rounder: Vec<Span> = Vec::new();
    for unit in units_ms.map(|ms| Span::from_millis(ms).0) {
        for candidate in [Span(span.0 / unit * unit), Span((span.0 + unit / 2) / unit * unit)] {
            if candidate != span && !rounder.contains(&candidate) && !span.0.is_multiple_of(unit) {
                rounder.push(candidate);
            }
        }
    }
    rounder
}

fn shorter(case: &Case) -> Vec<Case> {
    let scenario = &case.scenario;
    let mut candidates = Vec::new();
    let mut last = Span::ZERO;
    for index in 0..scenario.faults.len() {
        let at = scenario.faults[index].at;
        let gap = at.0 - last.0;
        for part in [gap, gap / 2, gap / 4] {
            let part = part / 100_000_000 * 100_000_000;
            if part > 0 {
                candidates.push(with(case, |scenario| {
                    scenario.faults[index..].iter_mut().for_each(|fault| fault.at = Span(fault.at.0 - part));
                    scenario.duration = Span(scenario.duration.0 - part);
                }));
            }
        }
        last = at;
    }
    let tail = scenario.duration.0.saturating_sub(last.0);
    for part in [tail / 2, tail / 4, tail / 8] {
        let part = part / 1_000_000_000 * 1_000_000_000;
        if part > 0 {
            candidates.push(with(case, |scenario| scenario.duration = Span(scenario.duration.0 - part)));
        }
    }
    candidates
}

fn rounder(case: &Case) -> Vec<Case> {
    let scenario = &case.scenario;
    let mut candidates = Vec::new();
    for duration in rounded(scenario.duration) {
        candidates.push(with(case, |scenario| scenario.duration = duration));
    }
    for index in 0..scenario.faults.len() {
        for at in rounded(scenario.faults[index].at) {
            candidates.push(with(case, |scenario| scenario.faults[index].at = at));
        }
    }
    candidates
}

fn smaller_seed(case: &Case) -> Vec<Case> {
    (1..case.seed.min(SEEDS + 1)).map(|seed| Case { seed, ..case.clone() }).collect()
}
