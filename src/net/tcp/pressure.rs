//! Back-pressure: a direction whose reader does not read.
//!
//! As long as a program reads, its connections have no buffers worth counting. When it does not (it is stopped, busy, or
//! cannot pass on what it reads) and more than [`PRESSED_FROM`](crate::program::PRESSED_FROM) is unread, the direction gets a [`Pressure`]: messages then go through the
//! [`Flow`], which says how much of them has reached the receiver's kernel, lies in the sender's, or is left in the
//! program's own output buffer ([`Handles`](crate::program::Handles) carries that number to the program). It ends when all is read.
//! A message is passed on to the receiver's host when its last byte is.
//!
//! A proxy stops reading from one side while the buffer before the other side is full ([`Net::relay`]): then it is itself a
//! reader that does not read, and the pressure goes on to the server.

use std::collections::VecDeque;

use super::endpoint::{Endpoint, Phase};
use super::flow::Flow;
use super::{Carrier, Context, Delivery, Kind, Net, NetEvent};
use crate::kernel::{Span, Time};
use crate::net::linux::{DELAYED_ACK_JIFFIES, ETHERNET_MSS, FIRST_WINDOW, LOOPBACK_MSS};
use crate::program::{Ended, Handles, Sock};
use crate::wire::NodeId;

/// What was written and not passed on yet.
#[derive(Clone, Debug)]
struct Waiting {
    kind: Kind,
    /// The position of its last byte.
    end: u64,
}

/// A direction under pressure.
#[derive(Clone, Debug)]
pub(super) struct Pressure {
    flow: Flow,
    queue: VecDeque<Waiting>,
    /// Which timer is the valid one, and when it fires.
    round: u16,
    fires_at: Time,
}

/// From where a socket of a proxy is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Feed {
    /// What is written to a socket was read from this one.
    from: Sock,
    /// Room for it in the program.
    room_bytes: u32,
}

impl Endpoint {
    /// Whether what arrives is not given to the program now, but after what waits already.
    #[inline]
    pub(super) fn holds(&self) -> bool {
        !self.named || self.shut_tap || !self.held.is_empty()
    }

    /// Whether its program takes what arrives as it arrives.
    fn is_read(&self) -> bool {
        self.phase != Phase::Open || self.unread == 0 && !self.holds()
    }
}

impl Net {
    /// A program is stopped, or goes on: its kernel receives, nobody reads.
    pub fn set_stopped<E: Carrier>(&mut self, node: NodeId, stopped: bool, cx: &mut Context<'_, E>) {
        self.stopped[node.0 as usize] = stopped;
        if !stopped {
            for index in self.owned[node.0 as usize].clone() {
                let sender = self.endpoints[index as usize].as_ref().and_then(|endpoint| endpoint.peer);
                if let Some(sender) = sender {
                    self.was_read(sender, cx);
                }
            }
        }
    }

    /// A program passes on what it reads from one of its sockets to another, through a buffer of `room_bytes`.
    pub fn relay(&mut self, from: Sock, to: Sock, room_bytes: u32) {
        if let Some(endpoint) = self.endpoint(to) {
            endpoint.feed = Some(Feed { from, room_bytes });
        }
    }

    fn is_read(&mut self, receiver: Sock) -> bool {
        let Some(endpoint) = self.endpoint(receiver) else { return true };
        let (owner, is_read) = (endpoint.owner, endpoint.is_read());
        is_read && !self.stopped[owner.0 as usize]
    }

    /// Much of what was written to `sock` is unread. Whether the reader is the reason.
    #[cold]
    pub(super) fn is_pressed(&mut self, sock: Sock, bytes: u64, cx: &mut Context<'_, impl Carrier>) -> bool {
        let Some(endpoint) = self.endpoint(sock) else { return false };
        if endpoint.pressure.is_some() {
            return true;
        }
        let (open, stalled, peer) = (endpoint.phase == Phase::Open, endpoint.stall.is_some(), endpoint.peer);
        let mss = if endpoint.host == endpoint.peer_host { LOOPBACK_MSS } else { ETHERNET_MSS };
        let Some(peer) = peer.filter(|&peer| open && !stalled && !self.is_read(peer)) else { return false };
        let Some(receiver) = self.endpoint(peer) else { return false };
        let (messages, owner) = (receiver.unread + receiver.held.len() as u32, receiver.owner);
        let runs = !receiver.holds() && !self.stopped[owner.0 as usize];
        let unread = cx.handles.unread_bytes(sock) - bytes;
        // Who is merely busy reads in a moment; the first window is there for it in any case.
        if runs && unread < FIRST_WINDOW {
            return false;
        }
        let pressure = Pressure {
            flow: Flow::new(mss, unread, messages),
            queue: VecDeque::new(),
            round: 0,
            fires_at: Time::NEVER,
        };
        self.endpoint(sock).expect("just seen").pressure = Some(Box::new(pressure));
        cx.handles.press(sock);
        true
    }

    /// A message, or the end, is written to a direction under pressure.
    pub(super) fn press<E: Carrier>(&mut self, sock: Sock, kind: Kind, at: Time, cx: &mut Context<'_, E>) {
        let endpoint = self.endpoint(sock).expect("the writer's endpoint exists");
        let pressure = endpoint.pressure.as_mut().expect("it is under pressure");
        if pressure.flow.acknowledges_at.is_some_and(|due| due <= at) {
            pressure.flow.acknowledge();
        }
        if let Kind::Data(message) = &kind {
            pressure.flow.write(message.wire_bytes());
        }
        let end = pressure.flow.written();
        pressure.queue.push_back(Waiting { kind, end });
        self.move_on(sock, at, cx);
    }

    /// The program closed its socket: what it had not handed to the kernel is gone with it.
    pub(super) fn discard_backlog(&mut self, sock: Sock, handles: &mut Handles) {
        let Some(pressure) = self.endpoint(sock).and_then(|endpoint| endpoint.pressure.as_mut()) else { return };
        handles.consumed(sock, pressure.flow.backlog());
        let kept = pressure.flow.discard_backlog();
        pressure.queue.retain(|waiting| waiting.end <= kept);
    }

    /// Sends what can be sent, and sees to it that what cannot is not forgotten.
    fn move_on<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        // What is lost comes first; its recovery calls again.
        if endpoint.stall.is_some() {
            return;
        }
        let Some(pressure) = &mut endpoint.pressure else { return };
        pressure.flow.transmit(false);
        while let Some(waiting) = self.next_complete(sock) {
            self.write(sock, waiting.kind, at, cx);
        }
        let Some(endpoint) = self.endpoint(sock) else { return };
        let (host, peer_host, peer) = (endpoint.host, endpoint.peer_host, endpoint.peer);
        let is_read = peer.is_none_or(|peer| self.is_read(peer));
        let (wheel, back) = (self.wheel, self.topology.link(peer_host, host).latency);
        let endpoint = self.endpoint(sock).expect("just seen");
        let probe = endpoint.round_trips.rto_jiffies();
        let Some(pressure) = &mut endpoint.pressure else { return };
        let flow = &mut pressure.flow;
        if flow.is_in_flight() {
            flow.acknowledges_at.get_or_insert(wheel.fires_at(at, DELAYED_ACK_JIFFIES));
        }
        if is_read && flow.read_to(flow.sent()) | flow.is_in_flight() {
            // A program that reads is followed by an acknowledgement.
            flow.acknowledges_at = Some(flow.acknowledges_at.map_or(at + back, |due| due.min(at + back)));
        }
        cx.handles.set_backlog(sock, flow.backlog());
        let due = match (flow.waits(), flow.acknowledges_at) {
            (false, _) => None,
            (true, Some(due)) => Some(due),
            (true, None) => Some(wheel.fires_at(at, probe << flow.probes.min(20))),
        };
        if let Some(due) = due.filter(|&due| due < pressure.fires_at) {
            pressure.round = pressure.round.wrapping_add(1);
            pressure.fires_at = due;
            let round = pressure.round;
            Self::schedule(cx.kernel, due, host, NetEvent::Acknowledge(sock, round));
        }
        self.see_to_tap(sock, at, cx);
    }

    /// The oldest message that has wholly reached the receiver's kernel.
    fn next_complete(&mut self, sock: Sock) -> Option<Waiting> {
        let pressure = self.endpoint(sock)?.pressure.as_mut()?;
        let sent = pressure.flow.sent();
        if pressure.queue.front()?.end > sent {
            return None;
        }
        pressure.queue.pop_front()
    }

    /// The receiver acknowledges, or the sender probes a closed window.
    pub(super) fn acknowledge<E: Carrier>(
        &mut self,
        sock: Sock,
        round: u16,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let endpoint = self.endpoint(sock)?;
        let (from, to, orphan) = (endpoint.host, endpoint.peer_host, endpoint.orphan);
        let pressure = endpoint.pressure.as_mut().filter(|pressure| pressure.round == round)?;
        pressure.fires_at = Time::NEVER;
        let silent = self.topology.is_blocked(from, to)
            || self.topology.is_blocked(to, from)
            || !self.hosts[to.0 as usize].present;
        let pressure = self.endpoint(sock)?.pressure.as_mut()?;
        let flow = &mut pressure.flow;
        if silent {
            flow.acknowledges_at = None;
            flow.probes += 1;
        } else if flow.acknowledges_at.is_some() {
            flow.acknowledge();
        } else {
            flow.probes += 1;
            flow.acknowledge();
            flow.transmit(true);
        }
        if orphan && flow.is_given_up() {
            return self.die(sock, Ended::TimedOut, cx);
        }
        self.move_on(sock, now, cx);
        self.end_pressure(sock, cx.handles);
        None
    }

    /// What was lost has been repeated: the rest follows.
    pub(super) fn recovered<E: Carrier>(&mut self, sock: Sock, cx: &mut Context<'_, E>) {
        let now = cx.kernel.now();
        let Some(pressure) = self.endpoint(sock).and_then(|endpoint| endpoint.pressure.as_mut()) else { return };
        pressure.flow.acknowledge();
        self.move_on(sock, now, cx);
    }

    /// The program at the other end has read something of what `sock` sent.
    pub fn was_read<E: Carrier>(&mut self, sock: Sock, cx: &mut Context<'_, E>) {
        let now = cx.kernel.now();
        let Some(endpoint) = self.endpoint(sock) else { return };
        let (host, peer_host) = (endpoint.host, endpoint.peer_host);
        let Some(pressure) = &mut endpoint.pressure else { return };
        let read = pressure.flow.written().saturating_sub(cx.handles.unread_bytes(sock));
        let news = pressure.flow.read_to(read);
        if news {
            let due = now + self.topology.link(peer_host, host).latency;
            let pressure = self.endpoint(sock).and_then(|endpoint| endpoint.pressure.as_mut()).expect("just seen");
            let soonest = pressure.flow.acknowledges_at.map_or(due, |set| set.min(due));
            pressure.flow.acknowledges_at = Some(soonest);
        }
        self.move_on(sock, now, cx);
        self.end_pressure(sock, cx.handles);
    }

    fn end_pressure(&mut self, sock: Sock, handles: &mut Handles) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.pressure.as_ref().is_some_and(|pressure| pressure.flow.is_drained() && pressure.queue.is_empty()) {
            endpoint.pressure = None;
            handles.release_pressure(sock);
        }
    }

    /// Shuts or opens the tap of the socket from which this one is fed.
    fn see_to_tap<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        let (Some(feed), Some(pressure)) = (endpoint.feed, &endpoint.pressure) else { return };
        let full = pressure.flow.backlog() >= feed.room_bytes as u64;
        self.turn_tap(feed.from, full, at, cx);
    }

    fn turn_tap<E: Carrier>(&mut self, sock: Sock, shut: bool, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        let (host, waits) = (endpoint.host, endpoint.named && !endpoint.held.is_empty());
        if std::mem::replace(&mut endpoint.shut_tap, shut) && !shut && waits {
            Self::schedule(cx.kernel, at.max(cx.kernel.now()) + Span(1), host, NetEvent::ReadOn(sock));
        }
    }

    /// A proxy reads on: one message.
    pub(super) fn read_on<E: Carrier>(&mut self, sock: Sock, cx: &mut Context<'_, E>) -> Option<Delivery> {
        let endpoint = self.endpoint(sock).filter(|endpoint| !endpoint.shut_tap && endpoint.named)?;
        let host = endpoint.host;
        let delivery = endpoint.held.pop_front()?;
        if !endpoint.held.is_empty() {
            Self::schedule(cx.kernel, cx.kernel.now() + Span(1), host, NetEvent::ReadOn(sock));
        }
        Some(delivery)
    }

    /// A connection that has ended presses nobody.
    pub(super) fn forget_pressure<E: Carrier>(&mut self, sock: Sock, cx: &mut Context<'_, E>) {
        let now = cx.kernel.now();
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.pressure.take().is_some() {
            let feed = endpoint.feed;
            cx.handles.release_pressure(sock);
            if let Some(feed) = feed {
                self.turn_tap(feed.from, false, now, cx);
            }
        }
    }
}
