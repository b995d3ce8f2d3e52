//! Loss: what was written waits in order for the retransmission timer.

use std::collections::VecDeque;

use super::endpoint::{Endpoint, Phase};
use super::{Carrier, Context, Delivery, Kind, Net, NetEvent};
use crate::kernel::Time;
use crate::net::linux::{
    ETHERNET_MSS, INITIAL_CONGESTION_WINDOW, LOOPBACK_MSS, ORPHAN_RETRIES, RETRIES2_TIMEOUT, send_buffer,
};
use crate::program::{Ended, Handles, KERNEL_BUFFER_BYTES, Sock};

/// A message or FIN that waits to be sent, with its number.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) number: u32,
    pub(super) kind: Kind,
}

/// A direction of a connection that waits for its retransmission timer.
#[derive(Clone, Debug)]
pub(super) struct Stall {
    /// Written but not delivered, in order.
    pub(super) queue: VecDeque<Written>,
    /// When the first segment was lost.
    pub(super) since: Time,
    pub(super) retransmissions: u32,
    /// More than one segment was out when the first timer fired: the tail-loss probe came early and repeated the last of
    /// them, so that the first timer is the retransmission time-out proper and backs off.
    pub(super) several: bool,
    /// The oldest unacknowledged segment has been delivered; only its acknowledgement is missing.
    pub(super) delivered: bool,
    pub(super) next: Time,
}

impl Stall {
    /// Adds a segment in the order of the numbers.
    pub(super) fn append(&mut self, written: Written) {
        self.several |= self.retransmissions == 0;
        let before = self.queue.iter().rposition(|queued| queued.number < written.number);
        self.queue.insert(before.map_or(0, |before| before + 1), written);
    }

    /// Adds a segment that was sent and lost. If it is the oldest, then the oldest has not been delivered.
    pub(super) fn take_back(&mut self, written: Written) {
        let number = written.number;
        self.append(written);
        self.delivered &= self.queue.front().is_some_and(|oldest| oldest.number != number);
    }

    pub(super) fn new(since: Time) -> Stall {
        Stall { queue: VecDeque::new(), since, retransmissions: 0, several: false, delivered: false, next: Time::NEVER }
    }
}

/// What a proxy passes on to a connection on which nothing is acknowledged lies in the send buffer, which is still as large
/// as at the beginning: its window was never used. Who writes by itself may have used more.
fn narrow(endpoint: &Endpoint, sock: Sock, handles: &mut Handles) {
    if endpoint.feed.is_some() {
        let mss = if endpoint.host == endpoint.peer_host { LOOPBACK_MSS } else { ETHERNET_MSS };
        handles.set_kernel_bytes(sock, send_buffer(INITIAL_CONGESTION_WINDOW, mss));
    }
}

impl Net {
    /// A segment of `sock` was lost: it waits for the retransmission timer.
    pub(super) fn stall<E: Carrier>(&mut self, sock: Sock, written: Written, now: Time, cx: &mut Context<'_, E>) {
        let wheel = self.wheel;
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.phase == Phase::Dead {
            return;
        }
        match &mut endpoint.stall {
            Some(stall) => stall.take_back(written),
            None => {
                let mut stall = Stall::new(now);
                stall.queue.push_back(written);
                endpoint.stall = Some(Box::new(stall));
                narrow(endpoint, sock, cx.handles);
                let first = wheel.fires_at(now, endpoint.round_trips.interval_jiffies(0));
                self.arm(sock, first, cx);
            }
        }
    }

    /// The retransmission timer of a stalled direction fires at `at`; an earlier setting is void.
    pub(super) fn arm<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let endpoint = self.endpoint(sock).expect("who waits for a timer exists");
        let (owner, orphan) = (endpoint.owner, endpoint.orphan);
        let since = endpoint.stall.as_ref().expect("only what is stalled waits for the timer").since;
        let deadline = self.user_deadline(owner, since).filter(|_| !orphan);
        let at = deadline.map_or(at, |deadline| at.min(deadline.max(cx.kernel.now())));
        let endpoint = self.endpoint(sock).expect("who waits for a timer exists");
        endpoint.stall.as_mut().expect("only what is stalled waits for the timer").next = at;
        endpoint.round = endpoint.round.wrapping_add(1);
        let (host, round) = (endpoint.host, endpoint.round);
        Self::schedule(cx.kernel, at, host, NetEvent::Retransmit(sock, round));
    }

    /// The data arrived, its acknowledgement does not: the sender will repeat, the receiver will discard.
    pub(super) fn acknowledgement_lost<E: Carrier>(&mut self, sender: Sock, now: Time, cx: &mut Context<'_, E>) {
        let wheel = self.wheel;
        let Some(endpoint) = self.endpoint(sender) else { return };
        if let Some(stall) = &mut endpoint.stall {
            stall.delivered = true;
        } else {
            let mut stall = Stall::new(now);
            stall.delivered = true;
            let first = wheel.fires_at(now, endpoint.round_trips.interval_jiffies(0));
            endpoint.stall = Some(Box::new(stall));
            narrow(endpoint, sender, cx.handles);
            self.arm(sender, first, cx);
        }
    }

    pub(super) fn retransmit<E: Carrier>(
        &mut self,
        sock: Sock,
        round: u16,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let wheel = self.wheel;
        let endpoint = self.endpoint(sock)?;
        let (from, to, orphan, owner) = (endpoint.host, endpoint.peer_host, endpoint.orphan, endpoint.owner);
        let round_trips = endpoint.round_trips;
        if endpoint.round != round {
            return None;
        }
        let since = endpoint.stall.as_ref()?.since;
        let deadline = self.user_deadline(owner, since).filter(|_| !orphan);
        let stall = self.endpoint(sock)?.stall.as_mut()?;
        stall.retransmissions += 1;
        let given_up = stall.retransmissions > ORPHAN_RETRIES && orphan || now.since(stall.since) >= RETRIES2_TIMEOUT;
        if given_up || deadline.is_some_and(|deadline| now >= deadline) {
            return self.die(sock, Ended::TimedOut, cx);
        }
        let next = wheel.fires_at(now, round_trips.interval_jiffies(stall.retransmissions + stall.several as u32));
        let present = self.hosts[to.0 as usize].present;
        let known = self.knows(from, to, sock, now, cx);
        if !known || !present || self.topology.is_blocked(from, to) {
            self.dropped += 1;
            self.arm(sock, next, cx);
            return None;
        }
        let acknowledged = !self.topology.is_blocked(to, from);
        // The oldest segment is repeated. If it was delivered before, all that it can bring is an acknowledgement.
        let stall = self.endpoint(sock).and_then(|endpoint| endpoint.stall.as_mut()).expect("just seen");
        let oldest = if stall.delivered { None } else { stall.queue.pop_front() };
        let lost = oldest.and_then(|written| match self.depart(sock, written.number, &written.kind, now, cx) {
            Some((header, arrival)) => {
                self.put_segment(header, written.kind, arrival, cx);
                None
            }
            None => Some(written),
        });
        let endpoint = self.endpoint(sock).expect("just seen");
        let stall = endpoint.stall.as_mut().expect("just seen");
        let arrived = lost.is_none();
        stall.delivered |= arrived;
        if let Some(written) = lost {
            stall.queue.push_front(written);
        }
        if !(arrived && acknowledged) {
            // Nothing follows it until it is acknowledged.
            self.arm(sock, next, cx);
            return None;
        }
        // The timer is void.
        endpoint.round = endpoint.round.wrapping_add(1);
        let rest = endpoint.stall.take().map(|stall| stall.queue).unwrap_or_default();
        cx.handles.set_kernel_bytes(sock, KERNEL_BUFFER_BYTES);
        for written in rest {
            match self.endpoint(sock).and_then(|endpoint| endpoint.stall.as_mut()) {
                // One of those before was lost again: the order is kept.
                Some(stall) => stall.queue.push_back(written),
                None => self.transmit(sock, written.number, written.kind, now, cx),
            }
        }
        self.recovered(sock, cx);
        None
    }
}
