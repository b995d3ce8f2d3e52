//! Hosts and links: who can send to whom, how long it takes, and what is lost.
//!
//! The topology is a directed graph (petgraph): an edge is one direction of a link. Faults change edges; the hot path
//! reads a flat matrix compiled from them.

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, EdgeRef};

use crate::kernel::{Span, Stream, Time};
use crate::wire::HostId;

/// What one direction of a link does to packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Fixed part of the delay.
    pub latency: Span,
    /// Uniform random part of the delay, added to it.
    pub jitter: Span,
    /// Probability of loss in parts of 2⁻³².
    pub loss: u64,
    /// Bits a second; none is unlimited.
    pub rate_bits_per_s: Option<u64>,
}

impl Default for Link {
    /// One Ethernet bridge on one machine: well under 0.1 ms (README of the reference recordings).
    fn default() -> Self {
        Link { latency: Span::from_micros(50), jitter: Span::from_micros(20), loss: 0, rate_bits_per_s: None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    base: Link,
    now: Link,
    blocked: bool,
    /// When the last packet has left, on a link with a rate.
    free_at: Time,
}

/// All hosts and the directed links between them.
#[derive(Clone, Debug)]
pub struct Topology {
    hosts: usize,
    edges: Vec<Edge>,
    impaired: bool,
}

impl Topology {
    /// A full mesh of `hosts` hosts with the same link everywhere.
    pub fn new(hosts: usize, link: Link) -> Topology {
        let edge = Edge { base: link, now: link, blocked: false, free_at: Time::ZERO };
        Topology { hosts, edges: vec![edge; hosts * hosts], impaired: false }
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    fn at(&self, from: HostId, to: HostId) -> usize {
        from.0 as usize * self.hosts + to.0 as usize
    }

    /// Sets the ordinary properties of both directions between two hosts.
    pub fn set_link(&mut self, a: HostId, b: HostId, link: Link) {
        for (from, to) in [(a, b), (b, a)] {
            let index = self.at(from, to);
            self.edges[index].base = link;
            self.edges[index].now = link;
        }
    }

    /// The present properties of a direction.
    pub fn link(&self, from: HostId, to: HostId) -> Link {
        self.edges[self.at(from, to)].now
    }

    /// Degrades both directions until the next [`Topology::restore_links`].
    pub fn degrade(&mut self, a: HostId, b: HostId, change: impl Fn(&mut Link)) {
        for (from, to) in [(a, b), (b, a)] {
            let index = self.at(from, to);
            change(&mut self.edges[index].now);
        }
    }

    /// Drops what `from` sends to `to`.
    pub fn block(&mut self, from: HostId, to: HostId) {
        let index = self.at(from, to);
        self.edges[index].blocked = true;
        self.impaired = true;
    }

    /// Ends the block of one direction.
    pub fn unblock(&mut self, from: HostId, to: HostId) {
        let index = self.at(from, to);
        self.edges[index].blocked = false;
        self.impaired = self.edges.iter().any(|edge| edge.blocked);
    }

    /// Restores the ordinary properties of all links.
    pub fn restore_links(&mut self) {
        for edge in &mut self.edges {
            edge.now = edge.base;
        }
    }

    /// Whether packets from `from` to `to` are dropped on arrival.
    #[inline]
    pub fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        self.impaired && self.edges[self.at(from, to)].blocked
    }

    /// When a packet of `bytes` that leaves at `at` arrives; none if it is lost on the way.
    #[inline]
    pub fn transit(&mut self, from: HostId, to: HostId, bytes: u64, at: Time, luck: &mut Stream) -> Option<Time> {
        if from == to {
            // The loopback interface: a few microseconds.
            return Some(at + Span::from_micros(10));
        }
        let index = self.at(from, to);
        let edge = &mut self.edges[index];
        let mut departs = at;
        if let Some(rate) = edge.now.rate_bits_per_s {
            let sending = Span((bytes as u128 * 8 * 1_000_000_000 / rate.max(1) as u128) as u64);
            departs = at.max(edge.free_at) + sending;
            edge.free_at = departs;
        }
        if edge.now.loss > 0 && luck.chance(edge.now.loss) {
            return None;
        }
        let jitter = if edge.now.jitter == Span::ZERO { 0 } else { luck.below(edge.now.jitter.0 + 1) };
        Some(departs + edge.now.latency + Span(jitter))
    }

    /// The graph of open directions, for questions of reachability.
    pub fn graph(&self) -> DiGraph<HostId, Link> {
        let mut graph = DiGraph::new();
        let nodes: Vec<NodeIndex> = (0..self.hosts).map(|host| graph.add_node(HostId(host as u16))).collect();
        for from in 0..self.hosts {
            for to in 0..self.hosts {
                let edge = &self.edges[from * self.hosts + to];
                if from != to && !edge.blocked {
                    graph.add_edge(nodes[from], nodes[to], edge.now);
                }
            }
        }
        graph
    }

    /// The hosts with which `host` can talk directly in both directions, itself included.
    pub fn peers(&self, host: HostId) -> Vec<HostId> {
        let graph = self.graph();
        let node = NodeIndex::new(host.0 as usize);
        let mut both: Vec<HostId> = graph
            .edges(node)
            .filter(|edge| graph.find_edge(edge.target(), node).is_some())
            .map(|edge| graph[edge.target()])
            .collect();
        both.push(host);
        both.sort();
        both
    }

    /// The sides of a partition: hosts that reach each other over any number of hops, in order.
    pub fn sides(&self) -> Vec<Vec<HostId>> {
        let graph = self.graph();
        let mut seen = vec![false; self.hosts];
        let mut sides = Vec::new();
        for start in 0..self.hosts {
            if seen[start] {
                continue;
            }
            let mut side = Vec::new();
            let mut walk = Dfs::new(&graph, NodeIndex::new(start));
            while let Some(node) = walk.next(&graph) {
                if !std::mem::replace(&mut seen[node.index()], true) {
                    side.push(graph[node]);
                }
            }
            side.sort();
            sides.push(side);
        }
        sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Purpose;

    #[test]
    fn a_cut_blocks_one_direction_and_a_partition_makes_sides() {
        let mut topology = Topology::new(4, Link::default());
        topology.block(HostId(0), HostId(1));
        assert!(topology.is_blocked(HostId(0), HostId(1)) && !topology.is_blocked(HostId(1), HostId(0)));
        assert_eq!(topology.peers(HostId(0)), [HostId(0), HostId(2), HostId(3)]);
        for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            topology.block(HostId(a), HostId(b));
            topology.block(HostId(b), HostId(a));
        }
        topology.unblock(HostId(0), HostId(1));
        assert_eq!(topology.sides().len(), 2);
    }

    #[test]
    fn delay_is_latency_plus_jitter_and_rate_queues() {
        let mut luck = Stream::named(1, 1, Purpose::Network);
        let link = Link {
            latency: Span::from_millis(1),
            jitter: Span::from_micros(100),
            loss: 0,
            rate_bits_per_s: Some(8_000),
        };
        let mut topology = Topology::new(2, link);
        let first = topology.transit(HostId(0), HostId(1), 10, Time::ZERO, &mut luck).expect("no loss");
        let second = topology.transit(HostId(0), HostId(1), 10, Time::ZERO, &mut luck).expect("no loss");
        // 10 bytes at 1000 bytes a second take 10 ms each.
        assert!((11_000_000..=11_100_000).contains(&first.0), "{first}");
        assert!((21_000_000..=21_100_000).contains(&second.0), "{second}");
    }

    #[test]
    fn loss_is_the_stated_fraction() {
        let mut luck = Stream::named(1, 1, Purpose::Network);
        let mut topology = Topology::new(2, Link { loss: 1 << 30, ..Link::default() });
        let lost =
            (0..10_000).filter(|_| topology.transit(HostId(0), HostId(1), 10, Time::ZERO, &mut luck).is_none()).count();
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }
}
