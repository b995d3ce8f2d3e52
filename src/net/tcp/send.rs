//! Writing: one event a message while the path is whole.

use super::endpoint::Phase;
use super::retransmit::{Stall, Written};
use super::{Carrier, Context, Header, Kind, Net, NetEvent, Segment};
use crate::kernel::{Span, Time};
use crate::net::neighbour::Resolution;
use crate::program::Sock;
use crate::wire::{HostId, Message};

/// What the neighbour table says to a packet.
#[derive(Debug)]
pub(super) enum Route {
    /// It leaves.
    Known,
    /// The question that it raised was answered at once: these wait for the answer, itself included.
    Answered(Vec<Sock>),
    /// It is discarded.
    Lost,
    /// It waits for the answer.
    Waits,
}

impl Net {
    /// A program writes a message at `at`. On a connection that ended it is discarded.
    #[inline]
    pub fn send<E: Carrier>(&mut self, sock: Sock, message: Message, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.orphan || endpoint.fin_queued || endpoint.phase == Phase::Dead {
            return;
        }
        let bytes = message.wire_bytes();
        if cx.handles.written(sock, bytes) && self.is_pressed(sock, bytes, cx) {
            return self.press(sock, Kind::Data(message), at, cx);
        }
        self.write(sock, Kind::Data(message), at, cx);
    }

    pub(super) fn write<E: Carrier>(&mut self, sock: Sock, kind: Kind, at: Time, cx: &mut Context<'_, E>) {
        let endpoint = self.endpoint(sock).expect("the writer's endpoint exists");
        if let Phase::Connecting { .. } = endpoint.phase {
            let stall = endpoint.stall.get_or_insert_with(|| Box::new(Stall::new(at)));
            stall.queue.push_back(Written { number: 0, kind });
            return;
        }
        let number = endpoint.sent;
        endpoint.sent += 1;
        let Some(stall) = &mut endpoint.stall else {
            self.transmit(sock, number, kind, at, cx);
            return;
        };
        if stall.delivered && stall.queue.is_empty() && stall.retransmissions == 0 {
            // Only the acknowledgement is missing, and the timer has not fired yet: new data still goes out.
            stall.several = true;
            self.transmit(sock, number, kind, at, cx);
            return;
        }
        stall.append(Written { number, kind });
        // On a lossy but open path the acknowledgement of this later segment shows the gap: the lost one is repeated
        // after one round trip (RACK), not when the timer fires.
        let (from, to, next) = (endpoint.host, endpoint.peer_host, stall.next);
        if !self.topology.is_blocked(from, to) && self.hosts[to.0 as usize].present {
            let link = *self.topology.link(from, to);
            let round_trip = (link.latency + link.jitter) * 2;
            let soon = at + round_trip + Span::from_millis(1);
            if link.loss > 0 && soon < next {
                self.arm(sock, soon, cx);
            }
        }
    }

    #[inline]
    pub(super) fn transmit<E: Carrier>(
        &mut self,
        sock: Sock,
        number: u32,
        kind: Kind,
        at: Time,
        cx: &mut Context<'_, E>,
    ) {
        match self.depart(sock, number, &kind, at, cx) {
            Some((header, arrival)) => self.put_segment(header, kind, arrival, cx),
            None => self.stall(sock, Written { number, kind }, at, cx),
        }
    }

    /// Where a segment that is sent now goes, and when it arrives; none if it is lost on the way.
    #[inline]
    pub(super) fn depart<E: Carrier>(
        &mut self,
        sock: Sock,
        number: u32,
        kind: &Kind,
        at: Time,
        cx: &mut Context<'_, E>,
    ) -> Option<(Header, Time)> {
        let endpoint = self.endpoint(sock).expect("the sender's endpoint exists");
        let (from_host, to_host) = (endpoint.host, endpoint.peer_host);
        let to = endpoint.peer.expect("an open connection has a peer");
        let bytes = || match kind {
            Kind::Data(message) => message.wire_bytes(),
            _ => 0,
        };
        let known = self.knows(from_host, to_host, sock, at, cx);
        let luck = &mut self.hosts[from_host.0 as usize].luck;
        let arrival = if known { self.topology.transit(from_host, to_host, bytes, at, luck) } else { None };
        let Some(arrival) = arrival else {
            self.dropped += 1;
            return None;
        };
        let endpoint = self.endpoint(sock).expect("the sender's endpoint exists");
        let arrival = arrival.max(endpoint.last_arrival);
        endpoint.last_arrival = arrival;
        Some((Header { from: sock, to, from_host, to_host, number }, arrival))
    }

    /// A segment is on its way, and arrives at `arrival`.
    #[inline]
    pub(super) fn put_segment<E: Carrier>(
        &mut self,
        header: Header,
        kind: Kind,
        arrival: Time,
        cx: &mut Context<'_, E>,
    ) {
        let segment = Some(Segment { header, kind, arrives: arrival });
        let index = match self.free_segments.pop() {
            Some(index) => {
                self.segments[index as usize] = segment;
                index
            }
            None => {
                self.segments.push(segment);
                self.segments.len() as u32 - 1
            }
        };
        Self::schedule(cx.kernel, arrival, header.from_host, NetEvent::Arrive(index));
    }

    /// The segment with a number; none if it was lost on the way, and its number is free now.
    #[inline]
    pub(super) fn segment(&mut self, index: u32) -> Option<&Segment> {
        if self.segments[index as usize].is_none() {
            self.free_segments.push(index);
        }
        self.segments[index as usize].as_ref()
    }

    #[inline]
    pub(super) fn take_segment(&mut self, index: u32) -> Kind {
        self.free_segments.push(index);
        self.segments[index as usize].take().expect("a segment arrives once").kind
    }

    /// What a segment and its acknowledgement take at present, on average.
    pub(super) fn round_trip(&self, from: HostId, to: HostId) -> Span {
        let (there, back) = (self.topology.link(from, to), self.topology.link(to, from));
        there.latency + back.latency + Span((there.jitter.0 + back.jitter.0) / 2)
    }

    /// Whether a packet of `sock` can leave `from` for `to` now.
    pub(super) fn knows<E: Carrier>(
        &mut self,
        from: HostId,
        to: HostId,
        sock: Sock,
        at: Time,
        cx: &mut Context<'_, E>,
    ) -> bool {
        matches!(self.resolve(from, to, sock, at, cx), Route::Known | Route::Answered(_))
    }

    /// Looks up the neighbour. If the packet raises a question by broadcast, that is asked: an entry that waits for an answer
    /// to a question that nobody put would wait for ever.
    pub(super) fn resolve<E: Carrier>(
        &mut self,
        from: HostId,
        to: HostId,
        sock: Sock,
        at: Time,
        cx: &mut Context<'_, E>,
    ) -> Route {
        match self.neighbours.resolve(from, to, sock, at, &self.wheel) {
            Resolution::Known => Route::Known,
            Resolution::Lost => Route::Lost,
            Resolution::Asking(None) => Route::Waits,
            Resolution::Asking(Some(_)) if self.hosts[to.0 as usize].present => {
                Route::Answered(self.neighbours.settle(from, to))
            }
            Resolution::Asking(Some(next)) => {
                Self::schedule(cx.kernel, next, from, NetEvent::Ask(from, to));
                Route::Waits
            }
        }
    }

    /// Sends a segment that nobody retransmits.
    pub(super) fn fire_and_forget<E: Carrier>(
        &mut self,
        header: Header,
        kind: Kind,
        at: Time,
        floor: Time,
        cx: &mut Context<'_, E>,
    ) {
        let (from, to) = (header.from_host, header.to_host);
        if !self.knows(from, to, header.from, at, cx) {
            self.dropped += 1;
            return;
        }
        let luck = &mut self.hosts[from.0 as usize].luck;
        match self.topology.transit(from, to, || 0, at, luck) {
            Some(arrival) => self.put_segment(header, kind, arrival.max(floor), cx),
            None => self.dropped += 1,
        }
    }
}
