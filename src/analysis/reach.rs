//! Who could talk to whom while faults cut the network.
//!
//! Two hosts can talk if packets pass between them both ways: TCP needs both. That is an undirected graph (petgraph), and
//! its maximal cliques, the largest sets of hosts that can all talk to each other, are what a person calls the sides of a
//! partition. A host that a partition leaves out is on every side; a cut of one way parts its two ends.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::maximal_cliques;
use petgraph::graph::UnGraph;

use super::faults::Window;
use crate::record::{Effect, Fault, Recording};

/// Cuts that make more kinds of hosts than this have too many sides to tell: sides can double with each cut of one way.
const KINDS_MAX: usize = 12;

/// A time in which not everybody could talk to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parted {
    /// From when.
    pub from_us: i64,
    /// Until when.
    pub until_us: i64,
    /// Hosts that could all talk to each other; no side is part of another.
    pub sides: Vec<Vec<String>>,
}

/// The times between two instants in which the network was parted, in their order; those that are too tangled to tell are
/// left out.
pub(crate) fn parted(recording: &Recording, faults: &[Window], (from_us, to_us): (i64, i64)) -> Vec<Parted> {
    let cuts = || faults.iter().filter(|fault| fault.effect() == Effect::Cuts);
    let bounds = cuts().flat_map(|cut| [cut.from_us, cut.until_or(to_us)]).map(|at| at.clamp(from_us, to_us));
    let moments: BTreeSet<i64> = bounds.collect();
    let moments: Vec<i64> = moments.into_iter().collect();
    let times = moments.windows(2).map(|pair| (pair[0], pair[1]));
    let of = |(from_us, until_us): (i64, i64)| {
        let in_force = cuts().filter(|cut| cut.from_us <= from_us && until_us <= cut.until_or(to_us));
        let sides = sides(&recording.names.hosts, in_force.map(|cut| &cut.fault))?;
        (sides.len() > 1).then_some(Parted { from_us, until_us, sides })
    };
    times.filter_map(of).collect()
}

/// The sides that these faults make; none if they are too many to tell.
fn sides<'a>(hosts: &[String], faults: impl Iterator<Item = &'a Fault>) -> Option<Vec<Vec<String>>> {
    let place = |name: &String| hosts.iter().position(|host| host == name);
    let mut talk = vec![vec![true; hosts.len()]; hosts.len()];
    let mut part = |these: &[String], those: &[String]| {
        for a in these.iter().filter_map(place) {
            for b in those.iter().filter_map(place).filter(|b| *b != a) {
                (talk[a][b], talk[b][a]) = (false, false);
            }
        }
    };
    for fault in faults {
        match fault {
            Fault::Partition { groups } => {
                for (place, group) in groups.iter().enumerate() {
                    groups[place + 1..].iter().for_each(|other| part(group, other));
                }
            }
            Fault::Cut { from, to } => part(from, to),
            _ => {}
        }
    }
    // Hosts that can talk to the same ones are of one kind, and on the same sides.
    let mut kinds: BTreeMap<&[bool], Vec<usize>> = BTreeMap::new();
    for (host, row) in talk.iter().enumerate() {
        kinds.entry(row).or_default().push(host);
    }
    if kinds.len() > KINDS_MAX {
        return None;
    }
    let mut graph: UnGraph<Vec<usize>, ()> = UnGraph::default();
    let nodes: Vec<_> = kinds.into_values().map(|hosts| graph.add_node(hosts)).collect();
    for (n, a) in nodes.iter().enumerate() {
        for b in &nodes[n + 1..] {
            if talk[graph[*a][0]][graph[*b][0]] {
                graph.add_edge(*a, *b, ());
            }
        }
    }
    let mut sides: Vec<Vec<usize>> = Vec::new();
    for clique in maximal_cliques(&graph) {
        let mut side: Vec<usize> = clique.into_iter().flat_map(|kind| graph[kind].iter().copied()).collect();
        side.sort_unstable();
        sides.push(side);
    }
    sides.sort();
    Some(sides.into_iter().map(|side| side.into_iter().map(|host| hosts[host].clone()).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(faults: &[Fault]) -> Option<Vec<String>> {
        let hosts: Vec<String> = "a b c d e".split(' ').map(str::to_owned).collect();
        Some(sides(&hosts, faults.iter())?.into_iter().map(|side| side.concat()).collect())
    }

    fn names(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    fn cut(from: &str, to: &str) -> Fault {
        Fault::Cut { from: names(from), to: names(to) }
    }

    #[test]
    fn sides_are_those_who_can_all_talk_to_each_other() {
        let partition =
            |groups: &[&str]| Fault::Partition { groups: groups.iter().map(|group| names(group)).collect() };
        let told = |faults: &[Fault]| told(faults).expect("few enough to tell");
        assert_eq!(told(&[]), ["abcde"]);
        assert_eq!(told(&[partition(&["abc", "de"])]), ["abc", "de"]);
        assert_eq!(told(&[partition(&["ab", "cd"])]), ["abe", "cde"], "who is left out is on both sides");
        assert_eq!(told(&[partition(&["a", "b", "cde"])]), ["a", "b", "cde"]);
        assert_eq!(told(&[cut("a", "b")]), ["acde", "bcde"], "one way is enough");
        assert_eq!(told(&[cut("a", "b"), cut("c", "d")]), ["ace", "ade", "bce", "bde"]);
        assert_eq!(told(&[partition(&["ab", "cde"]), cut("e", "cd")]), ["ab", "cd", "e"]);
    }

    #[test]
    fn what_is_too_tangled_is_not_told() {
        let hosts: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let one = |n: usize| vec![hosts[n].clone()];
        let cuts: Vec<Fault> = (0..20).map(|n| Fault::Cut { from: one(2 * n), to: one(2 * n + 1) }).collect();
        assert_eq!(sides(&hosts, cuts.iter()), None);
        assert_eq!(sides(&hosts, cuts[..3].iter()).map(|sides| sides.len()), Some(8));
    }
}
