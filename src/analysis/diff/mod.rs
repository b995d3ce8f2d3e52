//! Where two recordings part: the first event in which they differ, what both had in common before it, and how the
//! difference spread from node to node.
//!
//! Each node's lines are compared in their own order, so that two nodes that speak within the same instant cannot
//! change places. Two runs under the same luck are the same line by line until something differs, and times are held
//! against each other to the last digit. Two runs under different luck (two seeds, or two real runs) never are: of
//! them the *story* is compared, in which identities and counters are left out, a client's equal outcomes in a row
//! count once, and nothing before time 0 counts (see [`Reading::Story`]).

mod line;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use super::Analysis;
use super::faults::{Window, windows};
use super::metrics::Metric;
use crate::record::{Recording, Source};
use line::Lines;
pub use line::{Line, Reading};

/// How two recordings are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// What of a line counts.
    pub reading: Reading,
    /// How far the times of two lines may lie apart; none if times do not count.
    pub tolerance_us: Option<i64>,
    /// What happened before this does not count; none: everything counts.
    pub from_us: Option<i64>,
    /// How many lines before and after the first difference are kept.
    pub context: usize,
}

impl How {
    /// What suits two recordings: to the last digit if both are simulated under the same seed, else their stories.
    pub fn suited(a: &Recording, b: &Recording) -> How {
        let simulated = a.header.source == Source::Sim && b.header.source == Source::Sim;
        if simulated && a.header.run == b.header.run {
            How { reading: Reading::Verbatim, tolerance_us: Some(0), from_us: None, context: 6 }
        } else {
            How { reading: Reading::Story, tolerance_us: None, from_us: Some(0), context: 6 }
        }
    }
}

/// Two values of one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair<T> {
    /// In the first recording.
    pub a: T,
    /// In the second.
    pub b: T,
}

/// Where a node's lines part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeDifference {
    /// Which node.
    pub node: String,
    /// When: the earlier of the two times.
    pub at_us: i64,
    /// How many of its lines are the same before that.
    pub common: usize,
    /// The last of them.
    pub last_common: Option<Line>,
    /// The first line that differs; none where the node says no more.
    pub line: Pair<Option<Line>>,
}

/// A figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricDifference {
    /// Its name.
    pub name: &'static str,
    /// In the first recording, if it has it.
    pub a: Option<f64>,
    /// In the second.
    pub b: Option<f64>,
    /// The second less the first, where both have it.
    pub delta: Option<f64>,
}

/// A fact that the head of a recording states.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactDifference {
    /// Which.
    pub what: &'static str,
    /// In words, in the first recording.
    pub a: String,
    /// And in the second.
    pub b: String,
}

/// What tells two recordings apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// How many lines are the same before the first difference; all of them if there is none.
    pub common: usize,
    /// The nodes whose lines differ, in the order of time: the first is where the recordings part.
    pub nodes: Vec<NodeDifference>,
    /// The last lines, of all nodes, that both have before the first difference.
    pub before: Vec<Line>,
    /// The first lines of each recording from the difference on, of all nodes.
    pub after: Pair<Vec<Line>>,
    /// What the heads of the recordings state differently: the script as it was executed, the final state.
    pub facts: Vec<FactDifference>,
    /// Figures that differ, by name.
    pub metrics: Vec<MetricDifference>,
}

impl Diff {
    /// Compares two recordings.
    pub fn of(a: &Recording, b: &Recording, how: How) -> Diff {
        let (lines_a, lines_b) = (Lines::of(a, how), Lines::of(b, how));
        let names: std::collections::BTreeSet<&String> = lines_a.by_node.keys().chain(lines_b.by_node.keys()).collect();
        let mut nodes: Vec<NodeDifference> =
            names.into_iter().filter_map(|name| of_node(name, &lines_a, &lines_b, how)).collect();
        nodes.sort_by_key(|node| node.at_us);
        let first_us = nodes.first().map_or(i64::MAX, |node| node.at_us);
        let parted: BTreeMap<&str, usize> = nodes.iter().map(|node| (node.node.as_str(), node.common)).collect();
        // Lines in common, in the order of the first recording.
        let is_common = |line: &&Line| {
            line.at_us <= first_us && line.place < parted.get(line.node.as_str()).copied().unwrap_or(usize::MAX)
        };
        let common: Vec<&Line> = lines_a.all().filter(is_common).collect();
        let before = common[common.len().saturating_sub(how.context)..].iter().map(|line| (*line).clone()).collect();
        let after = |lines: &Lines| -> Vec<Line> {
            lines.all().filter(|line| line.at_us >= first_us && !is_common(line)).take(how.context).cloned().collect()
        };
        let after = Pair { a: after(&lines_a), b: after(&lines_b) };
        Diff {
            common: common.len(),
            before: if nodes.is_empty() { Vec::new() } else { before },
            after,
            facts: facts(a, b, how),
            metrics: metrics(a, b),
            nodes,
        }
    }

    /// Whether nothing that happened differs. Figures follow from what happened and do not count by themselves.
    pub fn is_same(&self) -> bool {
        self.nodes.is_empty() && self.facts.is_empty()
    }
}

fn of_node(name: &str, a: &Lines, b: &Lines, how: How) -> Option<NodeDifference> {
    let (a, b) = (a.of_node(name), b.of_node(name));
    let near = |a: &Line, b: &Line| how.tolerance_us.is_none_or(|tolerance| (a.at_us - b.at_us).abs() <= tolerance);
    let same = |(a, b): &(&Line, &Line)| a.compared == b.compared && near(a, b);
    let common = a.iter().zip(b).take_while(same).count();
    let line = Pair { a: a.get(common).cloned(), b: b.get(common).cloned() };
    let at_us = line.a.iter().chain(&line.b).map(|line| line.at_us).min()?;
    let last_common = common.checked_sub(1).map(|last| a[last].clone());
    Some(NodeDifference { node: name.to_owned(), at_us, common, last_common, line })
}

fn facts(a: &Recording, b: &Recording, how: How) -> Vec<FactDifference> {
    let verbatim = how.reading == Reading::Verbatim;
    let script = |recording: &Recording| -> Vec<String> {
        let mark = |Window { from_us, fault, .. }: &Window| {
            if how.tolerance_us == Some(0) {
                format!("{:.4} s {fault}", *from_us as f64 / 1e6)
            } else {
                fault.to_string()
            }
        };
        windows(recording).iter().map(mark).collect()
    };
    let master = |recording: &Recording| recording.header.final_master.clone().unwrap_or_else(|| "none".into());
    let roles = |recording: &Recording| {
        let role = |(name, role): (&String, &String)| format!("{name} {role}");
        recording.header.final_roles.iter().map(role).collect::<Vec<_>>().join(", ")
    };
    let lost = |recording: &Recording| recording.header.lost_acked_sets.map_or("unknown".into(), |n| n.to_string());
    let mut facts = Vec::new();
    let mut compare = |what, a: String, b: String| {
        if a != b {
            facts.push(FactDifference { what, a, b });
        }
    };
    compare("scenario", a.header.scenario.clone(), b.header.scenario.clone());
    compare("faults", script(a).join("; "), script(b).join("; "));
    compare("final master", master(a), master(b));
    compare("final roles", roles(a), roles(b));
    if verbatim {
        compare("lost acknowledged writes", lost(a), lost(b));
    }
    facts
}

fn metrics(a: &Recording, b: &Recording) -> Vec<MetricDifference> {
    let (a, b) = (Analysis::of(a, None).figures(), Analysis::of(b, None).figures());
    let difference = |metric: Metric| {
        let (a, b) = (a.number(metric), b.number(metric));
        let delta = a.zip(b).map(|(a, b)| b - a);
        MetricDifference { name: metric.name(), a, b, delta }
    };
    Metric::all().map(difference).filter(|difference| difference.a != difference.b).collect()
}
