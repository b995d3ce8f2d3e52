//! Many cases, held against all properties, on all cores.
//!
//! The report is a function of the campaign's seed and size: cases are numbered, each is drawn from its number, and
//! what is reported is ordered by number, whatever the number of threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::generate::{self, Limits};
use super::observe::{Case, Needs, observe_with};
use super::property::{ALL, Answer, Finding, Kind, NO_PANIC, Property, needs};
use crate::scenario::Scenario;
use crate::world::{Keep, World};

/// How worlds are built: other than `World::new` only to plant mistakes.
pub type Build = dyn Fn(Arc<Scenario>, u64, Keep) -> World + Sync;

/// Where the cases come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Random schedules, on random stacks or on a given one.
    Random(Box<Limits>),
    /// One scenario with its own schedule, under seed after seed.
    Fixed(Box<Scenario>),
}

/// A campaign.
pub struct Campaign<'a> {
    /// Where the cases come from.
    pub source: Source,
    /// How many there are.
    pub cases: u64,
    /// The number of the first.
    pub first: u64,
    /// The seed that they are drawn from; of a fixed scenario, the seed of its first run.
    pub seed: u64,
    /// What must hold.
    pub properties: Vec<&'static Property>,
    /// How worlds are built.
    pub build: &'a Build,
}

/// How often a property said what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that say nothing about it.
    pub moot: u64,
    /// Runs in which it holds, or the rare thing was not met.
    pub holds: u64,
    /// Runs in which it fails, or the rare thing was met.
    pub found: u64,
}

/// The first case in which something was found.
#[derive(Clone, Debug, PartialEq)]
pub struct First {
    /// The case's number.
    pub number: u64,
    /// The case.
    pub case: Case,
    /// What was found.
    pub finding: Finding,
}

/// What a campaign found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// By the property's name; a broken invariant of a model is under [`NO_PANIC`].
    pub tallies: BTreeMap<&'static str, Tally>,
    /// The first case in which a property was found to fail, or a rare thing to happen.
    pub firsts: BTreeMap<&'static str, First>,
    /// Events of all runs.
    pub events: u64,
    /// Runs whose stack was never ready: they say nothing about any property.
    pub unready: u64,
    /// The number of the first of these, and what was missing.
    pub first_unready: Option<(u64, String)>,
}

impl Report {
    /// The properties that fail, in the order of [`ALL`], a broken invariant first.
    pub fn failures(&self) -> Vec<(&'static str, &First)> {
        let broken = self.firsts.get(NO_PANIC).map(|first| (NO_PANIC, first));
        let firm = ALL.iter().filter(|property| !property.kind.is_met());
        broken
            .into_iter()
            .chain(firm.filter_map(|property| Some((property.name, self.firsts.get(property.name)?))))
            .collect()
    }

    /// The rare things that no case met.
    pub fn never_met(&self) -> Vec<&'static Property> {
        let rare = ALL.iter().filter(|property| property.kind == Kind::Sometimes);
        rare.filter(|property| self.tallies.contains_key(property.name) && !self.firsts.contains_key(property.name))
            .collect()
    }
}

/// All properties.
pub fn all_properties() -> Vec<&'static Property> {
    ALL.iter().collect()
}

/// What one property finds in one case; a broken invariant is found under [`NO_PANIC`] only.
pub fn judge(case: &Case, name: &str, build: &Build) -> Option<Finding> {
    let property = super::property::find(name);
    match observe_with(case, property.map_or(Needs::default(), |property| property.needs), build) {
        Err(panic) if name == NO_PANIC => Some(Finding { at_us: None, what: panic.message }),
        Err(_) => None,
        Ok(run) if run.result.unready.is_some() => None,
        Ok(run) => match (property?.check)(&run) {
            Answer::Found(finding) => Some(finding),
            Answer::Moot | Answer::Holds => None,
        },
    }
}

struct Outcome {
    answers: Vec<Answer>,
    broken: Option<String>,
    unready: Option<String>,
    events: u64,
}

impl Campaign<'_> {
    /// The case with a number.
    pub fn case(&self, number: u64) -> Case {
        match &self.source {
            Source::Random(limits) => generate::case(self.seed, number, limits),
            Source::Fixed(scenario) => Case { scenario: (**scenario).clone(), seed: self.seed + number },
        }
    }

    fn outcome(&self, number: u64) -> Outcome {
        match observe_with(&self.case(number), needs(&self.properties), self.build) {
            Err(panic) => Outcome { answers: Vec::new(), broken: Some(panic.message), unready: None, events: 0 },
            Ok(run) if run.result.unready.is_some() => {
                let answers = vec![Answer::Moot; self.properties.len()];
                let unready = run.result.unready.map(|unready| unready.to_string());
                Outcome { answers, broken: None, unready, events: run.result.events }
            }
            Ok(run) => {
                let answers = self.properties.iter().map(|property| (property.check)(&run)).collect();
                Outcome { answers, broken: None, unready: None, events: run.result.events }
            }
        }
    }

    /// Runs all cases; `done` is called after each.
    pub fn run(&self, done: &(dyn Fn() + Sync)) -> Report {
        let outcome = |number| {
            let outcome = self.outcome(number);
            done();
            outcome
        };
        let outcomes: Vec<Outcome> = (self.first..self.first + self.cases).into_par_iter().map(outcome).collect();
        let mut report = Report::default();
        for property in &self.properties {
            report.tallies.insert(property.name, Tally::default());
        }
        report.tallies.insert(NO_PANIC, Tally::default());
        for (number, outcome) in (self.first..).zip(outcomes) {
            report.events += outcome.events;
            if let Some(why) = outcome.unready {
                report.unready += 1;
                report.first_unready.get_or_insert((number, why));
            }
            let tally = report.tallies.get_mut(NO_PANIC).expect("it was put there");
            match outcome.broken {
                Some(message) => {
                    tally.found += 1;
                    self.note(&mut report, NO_PANIC, number, Finding { at_us: None, what: message });
                }
                None => tally.holds += 1,
            }
            for (property, answer) in self.properties.iter().zip(outcome.answers) {
                let tally = report.tallies.get_mut(property.name).expect("it was put there");
                match answer {
                    Answer::Moot => tally.moot += 1,
                    Answer::Holds => tally.holds += 1,
                    Answer::Found(finding) => {
                        tally.found += 1;
                        self.note(&mut report, property.name, number, finding);
                    }
                }
            }
        }
        report
    }

    fn note(&self, report: &mut Report, name: &'static str, number: u64, finding: Finding) {
        let first = || First { number, case: self.case(number), finding };
        report.firsts.entry(name).or_insert_with(first);
    }
}
