//! Keep-alive: probes on a quiet connection.

use super::endpoint::Phase;
use super::{Carrier, Context, Delivery, Net, NetEvent};
use crate::kernel::{Span, Time};
use crate::program::{Ended, KeepAlive, Sock};
use crate::wire::NodeId;

impl Net {
    /// Keep-alive of all sockets of a program from now on.
    pub fn set_keepalive(&mut self, node: NodeId, keepalive: Option<KeepAlive>) {
        self.keepalive[node.0 as usize] = keepalive;
    }

    /// TCP_USER_TIMEOUT of all sockets of a program from now on: data of an open connection that are not acknowledged for so
    /// long end it (`retransmits_timed_out`; the timer is set so that it ends in time, `tcp_clamp_rto_to_user_timeout`).
    pub fn set_user_timeout(&mut self, node: NodeId, limit: Option<Span>) {
        self.user_timeout[node.0 as usize] = limit;
    }

    /// When a direction that has been stalled since `since` is given up by TCP_USER_TIMEOUT.
    pub(super) fn user_deadline(&self, owner: NodeId, since: Time) -> Option<Time> {
        self.user_timeout[owner.0 as usize].map(|limit| since + limit)
    }

    pub(super) fn arm_keepalive<E: Carrier>(&mut self, sock: Sock, now: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        let (owner, host) = (endpoint.owner, endpoint.host);
        if let Some(keepalive) = self.keepalive[owner.0 as usize] {
            Self::schedule(cx.kernel, now + keepalive.idle, host, NetEvent::KeepAlive(sock));
        }
    }

    pub(super) fn keepalive_fires<E: Carrier>(&mut self, sock: Sock, cx: &mut Context<'_, E>) -> Option<Delivery> {
        let now = cx.kernel.now();
        let endpoint = self.endpoint(sock)?;
        let (owner, from, to, peer) = (endpoint.owner, endpoint.host, endpoint.peer_host, endpoint.peer);
        let keepalive = self.keepalive[owner.0 as usize]?;
        let endpoint = self.endpoint(sock)?;
        if endpoint.phase != Phase::Open {
            return None;
        }
        let quiet = now.since(endpoint.last_heard);
        // Probes are sent only while nothing is unacknowledged.
        if endpoint.stall.is_some() || (quiet < keepalive.idle && endpoint.keepalive_probes == 0) {
            let due = (endpoint.last_heard + keepalive.idle).max(now + Span::from_secs(1));
            Self::schedule(cx.kernel, due, from, NetEvent::KeepAlive(sock));
            return None;
        }
        let known = self.knows(from, to, sock, now, cx);
        let both_ways = !self.topology.is_blocked(from, to) && !self.topology.is_blocked(to, from);
        if known && both_ways && self.hosts[to.0 as usize].present {
            if !peer.is_some_and(|peer| cx.handles.is_live(peer)) {
                return self.die(sock, Ended::Reset, cx);
            }
            let endpoint = self.endpoint(sock).expect("just seen");
            endpoint.last_heard = now;
            endpoint.keepalive_probes = 0;
            Self::schedule(cx.kernel, now + keepalive.idle, from, NetEvent::KeepAlive(sock));
            return None;
        }
        let endpoint = self.endpoint(sock).expect("just seen");
        if endpoint.keepalive_probes >= keepalive.count {
            return self.die(sock, Ended::TimedOut, cx);
        }
        endpoint.keepalive_probes += 1;
        Self::schedule(cx.kernel, now + keepalive.interval, from, NetEvent::KeepAlive(sock));
        None
    }
}
