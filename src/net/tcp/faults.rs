//! What faults do to processes and hosts.

use super::endpoint::Phase;
use super::retransmit::Written;
use super::{Carrier, Context, Header, Kind, Net, Segment};
use crate::kernel::Span;
use crate::program::{Handles, Sock};
use crate::wire::{HostId, NodeId};

/// Why what is sent on a connection does not arrive at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A partition or cut drops its packets.
    Cut,
    /// The other host is gone.
    HostGone,
}

impl Net {
    /// A process dies: its kernel closes its sockets.
    pub fn process_dies<E: Carrier>(&mut self, node: NodeId, host: HostId, cx: &mut Context<'_, E>) {
        let now = cx.kernel.now();
        self.hosts[host.0 as usize].listeners.retain(|listener| listener.node != node);
        let mut indices = self.owned[node.0 as usize].clone();
        indices.sort_unstable();
        for index in indices {
            match &self.endpoints[index as usize] {
                Some(endpoint) if endpoint.orphan => {}
                Some(endpoint) if endpoint.named => self.close(endpoint.sock, now, cx),
                // What it never accepted is reset.
                Some(endpoint) => self.reset(endpoint.sock, now, cx),
                None => {}
            }
        }
        self.unaccepted[node.0 as usize] = 0;
        self.stopped[node.0 as usize] = false;
    }

    /// A host's address disappears together with its kernel's sockets.
    pub fn host_vanishes(&mut self, host: HostId, handles: &mut Handles) {
        let incarnation = self.hosts[host.0 as usize].incarnation;
        self.hosts[host.0 as usize].present = false;
        self.hosts[host.0 as usize].listeners.clear();
        let there: Vec<Sock> = self
            .endpoints
            .iter()
            .flatten()
            .filter(|endpoint| endpoint.host == host)
            .map(|endpoint| endpoint.sock)
            .collect();
        for sock in there {
            self.release(sock, handles);
        }
        self.neighbours.vanish(host, incarnation);
    }

    /// A host is back under its old address: with a new hardware address if it is a container made anew.
    pub fn host_appears(&mut self, host: HostId, new_hardware: bool, reachable: Span) {
        let state = &mut self.hosts[host.0 as usize];
        assert!(!state.present, "a host appears after it vanished");
        state.present = true;
        state.incarnation += new_hardware as u32;
        let incarnation = state.incarnation;
        self.neighbours.appear(host, incarnation, reachable);
    }

    /// All links are as they were. What still waited for its turn on a slow one is lost with the queue in which it waited: whoever
    /// ends it drops what it holds (`nfqnl_flush` of the driver's, `qdisc_reset` of `netem`).
    pub fn restore_links<E: Carrier>(&mut self, cx: &mut Context<'_, E>) {
        let now = cx.kernel.now();
        let mut lost = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let Some(Segment { header: Header { from, from_host, to_host, number, .. }, arrives, .. }) = segment else {
                continue;
            };
            if let Some(bound) = self.topology.last_of_those_that_left(*from_host, *to_host, now)
                && *arrives > bound
            {
                lost.push((*number, index, *from, bound));
            }
        }
        self.topology.restore_links();
        lost.sort_unstable_by_key(|&(number, index, ..)| (number, index));
        for (number, index, from, bound) in lost {
            // Its event finds nothing.
            let Segment { kind, .. } = self.segments[index].take().expect("it was on its way");
            self.dropped += 1;
            if let Some(sender) = self.endpoint(from) {
                sender.last_arrival = sender.last_arrival.min(bound);
            }
            if matches!(kind, Kind::Data(_) | Kind::Fin) {
                self.stall(from, Written { number, kind }, now, cx);
            }
        }
    }

    /// How many connections are open between two programs' hosts, for reports.
    pub fn open_endpoints(&self) -> usize {
        self.endpoints.iter().flatten().filter(|endpoint| endpoint.phase == Phase::Open && !endpoint.orphan).count()
    }

    /// What keeps a packet of this endpoint from its peer at present, as far as the fault script is the reason.
    pub fn obstacle(&mut self, sock: Sock) -> Option<Obstacle> {
        let (from, to) = self.endpoint(sock).map(|endpoint| (endpoint.host, endpoint.peer_host))?;
        self.obstacle_between(from, to)
    }

    /// What keeps packets from one host to another at present, as far as the fault script is the reason.
    pub fn obstacle_between(&self, from: HostId, to: HostId) -> Option<Obstacle> {
        match (self.is_present(to), self.topology.is_blocked(from, to)) {
            (false, _) => Some(Obstacle::HostGone),
            (true, true) => Some(Obstacle::Cut),
            (true, false) => None,
        }
    }
}
