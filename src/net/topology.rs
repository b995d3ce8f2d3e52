//! Hosts and links: who can send to whom, how long it takes, and what is lost.
//!
//! Every pair of hosts has a link, and each of its directions what it does to packets; faults change these. Who can talk to
//! whom is asked afterwards, of a recording ([`crate::analysis::reach`]).

use super::pairs::Pairs;
use crate::kernel::{Span, Stream, Time};
use crate::limits::SPAN_MAX;
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
    /// One Ethernet bridge on one machine: well under 0.1 ms (spec R1).
    fn default() -> Self {
        Link { latency: Span::from_micros(50), jitter: Span::from_micros(20), loss: 0, rate_bits_per_s: None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    base: Link,
    now: Link,
    /// When the last packet has left, on a link with a rate.
    free_at: Time,
}

fn is_local(link: &Link) -> bool {
    link.latency + link.jitter < LOCAL_ONE_WAY
}

/// Links whose both directions together take less than this are local: there is nothing to learn from a round trip.
const LOCAL_ONE_WAY: Span = Span::from_micros(500);

/// All hosts and the directed links between them.
#[derive(Clone, Debug)]
pub struct Topology {
    hosts: usize,
    edges: Pairs<Edge>,
    blocked: Pairs<bool>,
    blocks: usize,
    local: bool,
    /// How often links were changed, and one.
    version: u32,
}

impl Topology {
    /// A full mesh of `hosts` hosts with the same link everywhere.
    pub fn new(hosts: usize, link: Link) -> Topology {
        let edge = Edge { base: link, now: link, free_at: Time::ZERO };
        let (edges, blocked) = (Pairs::new(hosts, edge), Pairs::new(hosts, false));
        Topology { hosts, edges, blocked, blocks: 0, local: is_local(&link), version: 1 }
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// Sets the ordinary properties of both directions between two hosts.
    pub fn set_link(&mut self, a: HostId, b: HostId, link: Link) {
        self.version += 1;
        self.local &= is_local(&link);
        for (from, to) in [(a, b), (b, a)] {
            let edge = self.edges.get_mut(from, to);
            (edge.base, edge.now) = (link, link);
        }
    }

    /// The present properties of a direction.
    #[inline]
    pub fn link(&self, from: HostId, to: HostId) -> &Link {
        &self.edges.get(from, to).now
    }

    /// Whether no link was ever anything but local: well below a millisecond there and back.
    #[inline]
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Another number whenever the properties of links may have changed.
    #[inline]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Degrades both directions until the next [`super::Net::restore_links`].
    pub fn degrade(&mut self, a: HostId, b: HostId, change: impl Fn(&mut Link)) {
        self.version += 1;
        for (from, to) in [(a, b), (b, a)] {
            let edge = self.edges.get_mut(from, to);
            change(&mut edge.now);
            self.local &= is_local(&edge.now);
        }
    }

    /// Drops what `from` sends to `to`.
    pub fn block(&mut self, from: HostId, to: HostId) {
        self.blocks += !std::mem::replace(self.blocked.get_mut(from, to), true) as usize;
    }

    /// Ends the block of one direction.
    pub fn unblock(&mut self, from: HostId, to: HostId) {
        if self.is_blocked(from, to) {
            *self.blocked.get_mut(from, to) = false;
            self.blocks -= 1;
        }
    }

    /// Restores the ordinary properties of all links; nothing waits on those that were slow.
    pub(super) fn restore_links(&mut self) {
        self.version += 1;
        for edge in self.edges.written().filter(|edge| edge.now != edge.base) {
            (edge.now, edge.free_at) = (edge.base, Time::ZERO);
        }
    }

    /// When the last packet arrives that has left by now, on a link that was made slow and on which others still wait for their
    /// turn.
    pub(super) fn last_of_those_that_left(&self, from: HostId, to: HostId, now: Time) -> Option<Time> {
        let Edge { base, now: link, free_at } = self.edges.get(from, to);
        (free_at > &now && link != base).then(|| now + link.latency + link.jitter)
    }

    /// Whether packets from `from` to `to` are dropped on arrival.
    #[inline]
    pub fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        self.blocks > 0 && *self.blocked.get(from, to)
    }

    /// When a packet of `bytes` that leaves at `at` arrives; none if it is lost on the way.
    #[inline]
    pub fn transit(
        &mut self,
        from: HostId,
        to: HostId,
        bytes: impl FnOnce() -> u64,
        at: Time,
        luck: &mut Stream,
    ) -> Option<Time> {
        if from == to {
            // The loopback interface: a few microseconds.
            return Some(at + Span::from_micros(10));
        }
        let mut departs = at;
        if let Some(rate) = self.link(from, to).rate_bits_per_s {
            let sending = bytes() as u128 * 8 * 1_000_000_000 / rate.max(1) as u128;
            let edge = self.edges.get_mut(from, to);
            // What leaves later than a run can last never does.
            let departs_ns = u128::from(at.max(edge.free_at).0) + sending;
            departs = Time(departs_ns.min(u128::from((at + SPAN_MAX).0)) as u64);
            edge.free_at = departs;
        }
        let link = self.link(from, to);
        if link.loss > 0 && luck.chance(link.loss) {
            return None;
        }
        let jitter = if link.jitter == Span::ZERO { 0 } else { luck.below(link.jitter.0 + 1) };
        Some(departs + link.latency + Span(jitter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Purpose;

    #[test]
    fn a_block_is_of_one_direction() {
        let mut topology = Topology::new(3, Link::default());
        topology.block(HostId(0), HostId(1));
        assert!(topology.is_blocked(HostId(0), HostId(1)) && !topology.is_blocked(HostId(1), HostId(0)));
        assert!(!topology.is_blocked(HostId(0), HostId(2)));
        topology.unblock(HostId(0), HostId(1));
        assert!(!topology.is_blocked(HostId(0), HostId(1)));
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
        let first = topology.transit(HostId(0), HostId(1), || 10, Time::ZERO, &mut luck).expect("no loss");
        let second = topology.transit(HostId(0), HostId(1), || 10, Time::ZERO, &mut luck).expect("no loss");
        // 10 bytes at 1000 bytes a second take 10 ms each.
        assert!((11_000_000..=11_100_000).contains(&first.0), "{first}");
        assert!((21_000_000..=21_100_000).contains(&second.0), "{second}");
    }

    #[test]
    fn loss_is_the_stated_fraction() {
        let mut luck = Stream::named(1, 1, Purpose::Network);
        let mut topology = Topology::new(2, Link { loss: 1 << 30, ..Link::default() });
        let lost = (0..10_000)
            .filter(|_| topology.transit(HostId(0), HostId(1), || 10, Time::ZERO, &mut luck).is_none())
            .count();
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }
}
