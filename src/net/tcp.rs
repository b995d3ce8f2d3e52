//! TCP connections as Linux behaves under faults.
//!
//! While the path is whole, a message costs one event: its arrival. Acknowledgements are implied. Only when something is
//! lost does a direction of a connection get a [`Stall`]: what was written waits in order, and the retransmission timer
//! decides when it gets through. So after a heal it is the *next retransmission* that lets each connection recover, up to
//! as long after the heal as the cut lasted.
//!
//! What is modelled: SYN repeats, refusal by a living host, silence, "no route to host" through the neighbour table, the
//! accept backlog, retransmission with exponential back-off and its end, orphaned sockets that go on sending what their
//! owner wrote, FIN and RST at close and at process death, half-close, keep-alive, loss on a degraded link with recovery
//! by a later segment's acknowledgement or by the timer. What is not: congestion windows beyond "after a time-out only
//! the oldest segment is sent", selective acknowledgement details, zero-window probes.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::io::{ConnectError, Ended, Handles, Input, Sock, Token};
use super::linux::{ORPHAN_RETRIES, RETRIES2_TIMEOUT, RoundTrips, SYNS, TimerWheel, syn_interval_jiffies};
use super::neighbour::{Asked, Neighbours, Resolution};
use super::topology::Topology;
use crate::kernel::{Class, Kernel, Span, Stream, Time, Word};
use crate::wire::{Addr, HostId, Message, NodeId};

/// An event of the network stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetEvent {
    /// A segment reaches its host.
    Arrive(u32),
    /// The retransmission timer of an endpoint fires.
    Retransmit(Sock, u16),
    /// The SYN of a connecting endpoint is to be repeated.
    RepeatSyn(Sock, u16),
    /// A host asks again for the hardware address of another.
    Ask(HostId, HostId),
    /// A connect fails.
    Fail(Sock, ConnectError),
    /// The keep-alive timer of an endpoint fires.
    KeepAlive(Sock),
}

impl Word for NetEvent {
    fn word(&self) -> u64 {
        let sock = |sock: &Sock| ((sock.generation as u64) << 32) | sock.index as u64;
        match self {
            NetEvent::Arrive(segment) => *segment as u64,
            NetEvent::Retransmit(endpoint, round) => sock(endpoint) ^ ((*round as u64) << 40) ^ (1 << 60),
            NetEvent::RepeatSyn(endpoint, round) => sock(endpoint) ^ ((*round as u64) << 40) ^ (2 << 60),
            NetEvent::Ask(from, to) => ((from.0 as u64) << 16) ^ to.0 as u64 ^ (3 << 60),
            NetEvent::Fail(endpoint, error) => sock(endpoint) ^ ((*error as u64) << 40) ^ (4 << 60),
            NetEvent::KeepAlive(endpoint) => sock(endpoint) ^ (5 << 60),
        }
    }
}

/// Something for a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Which program.
    pub node: NodeId,
    /// About which endpoint; its token is looked up when the program gets to see it.
    pub sock: Sock,
    /// What; with a token that is not valid yet.
    pub input: Input,
}

/// Keep-alive settings of a program's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe.
    pub idle: Span,
    /// Between probes.
    pub interval: Span,
    /// Unanswered probes before the connection is dead.
    pub count: u32,
}

/// What a segment is.
#[derive(Clone, Debug)]
enum Kind {
    /// A message.
    Data(Message),
    /// The end of a direction, numbered like its messages.
    Fin,
    Rst,
    Syn(Addr),
    SynAck,
    Refuse,
}

/// From where a segment goes to where.
#[derive(Clone, Copy, Debug)]
struct Header {
    from: Sock,
    to: Sock,
    from_host: HostId,
    to_host: HostId,
    /// The number of data or FIN in its direction of the connection.
    number: u32,
}

#[derive(Clone, Debug)]
struct Segment {
    header: Header,
    kind: Kind,
}

impl Header {
    /// Of a segment that has no number.
    fn control(from: Sock, to: Sock, from_host: HostId, to_host: HostId) -> Header {
        Header { from, to, from_host, to_host, number: 0 }
    }
}

/// A message or FIN that waits to be sent, with its number.
#[derive(Clone, Debug)]
struct Written {
    number: u32,
    kind: Kind,
}

/// A direction of a connection that waits for its retransmission timer.
#[derive(Clone, Debug)]
struct Stall {
    /// Written but not delivered, in order.
    queue: VecDeque<Written>,
    /// When the first segment was lost.
    since: Time,
    retransmissions: u32,
    /// More than one segment was out when the first timer fired: the tail-loss probe came early and repeated the last of
    /// them, so that the first timer is the retransmission time-out proper and backs off.
    several: bool,
    /// The oldest unacknowledged segment has been delivered; only its acknowledgement is missing.
    delivered: bool,
    next: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting {
        to: Addr,
        syns: u16,
    },
    Open,
    /// Reset or timed out; the program has not been told yet.
    Dead,
}

#[derive(Clone, Debug)]
struct Endpoint {
    sock: Sock,
    owner: NodeId,
    host: HostId,
    peer_host: HostId,
    peer: Option<Sock>,
    token: Token,
    phase: Phase,
    named: bool,
    /// The program closed it: it hears no more, but the kernel may still have data to send.
    orphan: bool,
    fin_queued: bool,
    fin_delivered: bool,
    eof_seen: bool,
    last_arrival: Time,
    last_heard: Time,
    keepalive_probes: u32,
    /// Which retransmission timer is the valid one: those of earlier rounds, and of losses that were made good, are void. It
    /// may wrap: a timer that was replaced fires before its number comes again.
    round: u16,
    round_trips: RoundTrips,
    /// The version of the topology under which the peer learns nothing more from its round trips.
    settled: u32,
    /// How many messages were numbered.
    sent: u32,
    /// The number that the next message from the peer must have.
    expected: u32,
    /// Messages in the owner's inbox: read() has not taken them yet.
    unread: u32,
    /// Its place in the list of its owner's endpoints.
    place: u32,
    stall: Option<Box<Stall>>,
    held: Vec<Delivery>,
}

#[derive(Clone, Debug)]
struct Listener {
    port: u16,
    node: NodeId,
    backlog: u32,
}

#[derive(Clone, Debug)]
struct Host {
    present: bool,
    incarnation: u32,
    listeners: Vec<Listener>,
    luck: Stream,
}

/// Why what is sent on a connection does not arrive at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A partition or cut drops its packets.
    Cut,
    /// The other host is gone.
    HostGone,
}

/// The network of a world.
#[derive(Clone, Debug)]
pub struct Net {
    /// Links and partitions.
    pub topology: Topology,
    hosts: Vec<Host>,
    neighbours: Neighbours,
    wheel: TimerWheel,
    endpoints: Vec<Option<Endpoint>>,
    /// By node: the indices of its endpoints, in no order.
    owned: Vec<Vec<u32>>,
    segments: Vec<Option<Segment>>,
    free_segments: Vec<u32>,
    /// Connections that a program has not accepted yet, by node.
    unaccepted: Vec<u32>,
    keepalive: Vec<Option<KeepAlive>>,
    dropped: u64,
}

/// What the network needs of the world: its clock and queue, and the table of endpoints.
pub struct Context<'a, E> {
    /// Clock and queue.
    pub kernel: &'a mut Kernel<E>,
    /// Endpoints.
    pub handles: &'a mut Handles,
}

impl Net {
    /// A network of hosts that are all present. `luck` has one stream a host; `reachable` says how long each host trusts
    /// its neighbour entries; `nodes` is the number of programs.
    pub fn new(topology: Topology, luck: Vec<Stream>, reachable: Vec<Span>, wheel: TimerWheel, nodes: usize) -> Net {
        assert_eq!(topology.hosts(), luck.len(), "one stream a host");
        let hosts =
            luck.into_iter().map(|luck| Host { present: true, incarnation: 0, listeners: Vec::new(), luck }).collect();
        Net {
            topology,
            hosts,
            neighbours: Neighbours::new(reachable),
            wheel,
            endpoints: Vec::new(),
            owned: vec![Vec::new(); nodes],
            segments: Vec::new(),
            free_segments: Vec::new(),
            unaccepted: vec![0; nodes],
            keepalive: vec![None; nodes],
            dropped: 0,
        }
    }

    /// The random streams of its hosts.
    pub(crate) fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.hosts.iter_mut().map(|host| &mut host.luck)
    }

    /// Packets that faults have dropped so far: shows that a fault took effect.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Keep-alive of all sockets of a program from now on.
    pub fn set_keepalive(&mut self, node: NodeId, keepalive: Option<KeepAlive>) {
        self.keepalive[node.0 as usize] = keepalive;
    }

    /// A program listens; up to `backlog + 1` connections wait for it to accept.
    pub fn listen(&mut self, node: NodeId, addr: Addr, backlog: u32) {
        let listeners = &mut self.hosts[addr.host.0 as usize].listeners;
        listeners.retain(|listener| listener.port != addr.port);
        listeners.push(Listener { port: addr.port, node, backlog });
        self.unaccepted[node.0 as usize] = 0;
    }

    /// Whether a host has its address.
    pub fn is_present(&self, host: HostId) -> bool {
        self.hosts[host.0 as usize].present
    }

    #[inline]
    fn endpoint(&mut self, sock: Sock) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(sock.index as usize)?.as_mut().filter(|endpoint| endpoint.sock == sock)
    }

    /// The program's name for an endpoint, unless the program is done with it or does not know it yet.
    #[inline]
    pub fn token(&mut self, sock: Sock) -> Option<Token> {
        self.endpoint(sock).filter(|endpoint| !endpoint.orphan && endpoint.named).map(|endpoint| endpoint.token)
    }

    /// Whether a program has accepted (or itself opened) this endpoint.
    pub fn is_named(&mut self, sock: Sock) -> bool {
        self.endpoint(sock).is_some_and(|endpoint| endpoint.named)
    }

    fn insert(&mut self, mut endpoint: Endpoint) {
        let siblings = &mut self.owned[endpoint.owner.0 as usize];
        endpoint.place = siblings.len() as u32;
        siblings.push(endpoint.sock.index);
        let index = endpoint.sock.index as usize;
        if self.endpoints.len() <= index {
            self.endpoints.resize_with(index + 1, || None);
        }
        assert!(self.endpoints[index].is_none(), "a slot holds one endpoint");
        self.endpoints[index] = Some(endpoint);
    }

    fn release(&mut self, sock: Sock, handles: &mut Handles) {
        let endpoint = self.endpoints[sock.index as usize].take().expect("a released endpoint exists");
        let siblings = &mut self.owned[endpoint.owner.0 as usize];
        siblings.swap_remove(endpoint.place as usize);
        if let Some(&moved) = siblings.get(endpoint.place as usize) {
            self.endpoints[moved as usize].as_mut().expect("what a node owns exists").place = endpoint.place;
        }
        if !endpoint.named && !matches!(endpoint.phase, Phase::Connecting { .. }) {
            let waiting = &mut self.unaccepted[endpoint.owner.0 as usize];
            *waiting = waiting.saturating_sub(1);
        }
        handles.release(sock);
    }

    fn schedule<E: Copy + Word + From<NetEvent>>(kernel: &mut Kernel<E>, at: Time, host: HostId, event: NetEvent) {
        kernel.schedule(at, Class::Network, host.0 as u32, E::from(event));
    }

    /// What a segment and its acknowledgement take at present, on average.
    fn round_trip(&self, from: HostId, to: HostId) -> Span {
        let (there, back) = (self.topology.link(from, to), self.topology.link(to, from));
        there.latency + back.latency + Span((there.jitter.0 + back.jitter.0) / 2)
    }

    /// The sender of a segment that reached `receiver` gets another sample of the round trip.
    fn learn_round_trip(&mut self, sender: Sock, receiver: Sock, from: HostId, to: HostId) {
        let slow = self.topology.link(from, to).latency.0 + self.topology.link(to, from).latency.0 >= 1_000_000;
        let sample = self.round_trip(from, to);
        let Some(endpoint) = self.endpoint(sender) else { return };
        let before = endpoint.round_trips;
        if slow || !before.is_local() {
            endpoint.round_trips.sample(sample);
        }
        if endpoint.round_trips == before {
            let version = self.topology.version();
            self.endpoint(receiver).expect("it got the segment").settled = version;
        }
    }

    /// A segment is on its way, and arrives at `arrival`.
    #[inline]
    fn put_segment<E: Copy + Word + From<NetEvent>>(
        &mut self,
        header: Header,
        kind: Kind,
        arrival: Time,
        cx: &mut Context<'_, E>,
    ) {
        let segment = Some(Segment { header, kind });
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

    #[inline]
    fn take_segment(&mut self, index: u32) -> Kind {
        self.free_segments.push(index);
        self.segments[index as usize].take().expect("a segment arrives once").kind
    }

    // ---- what programs ask for

    /// A program opens a connection at `at`.
    pub fn connect<E: Copy + Word + From<NetEvent>>(
        &mut self,
        (node, host): (NodeId, HostId),
        sock: Sock,
        to: Addr,
        token: Token,
        at: Time,
        cx: &mut Context<'_, E>,
    ) {
        let round_trips = RoundTrips::first(self.round_trip(host, to.host));
        self.insert(Endpoint {
            sock,
            owner: node,
            host,
            peer_host: to.host,
            peer: None,
            token,
            phase: Phase::Connecting { to, syns: 0 },
            named: true,
            orphan: false,
            fin_queued: false,
            fin_delivered: false,
            eof_seen: false,
            last_arrival: Time::ZERO,
            last_heard: Time::ZERO,
            keepalive_probes: 0,
            round: 0,
            round_trips,
            settled: 0,
            sent: 0,
            expected: 0,
            unread: 0,
            place: 0,
            stall: None,
            held: Vec::new(),
        });
        self.send_syn(sock, at, cx);
    }

    /// A program names a connection that it accepts. Answers what had arrived on it meanwhile.
    pub fn accept(&mut self, sock: Sock, token: Token) -> Vec<Delivery> {
        let Some(endpoint) = self.endpoint(sock) else { return Vec::new() };
        assert!(!endpoint.named, "a connection is accepted once");
        endpoint.named = true;
        endpoint.token = token;
        let (owner, held) = (endpoint.owner, std::mem::take(&mut endpoint.held));
        let waiting = &mut self.unaccepted[owner.0 as usize];
        *waiting = waiting.saturating_sub(1);
        held
    }

    /// A program writes a message at `at`. On a connection that ended it is discarded.
    #[inline]
    pub fn send<E: Copy + Word + From<NetEvent>>(
        &mut self,
        sock: Sock,
        message: Message,
        at: Time,
        cx: &mut Context<'_, E>,
    ) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.orphan || endpoint.fin_queued || endpoint.phase == Phase::Dead {
            return;
        }
        cx.handles.written(sock, message.wire_bytes());
        self.write(sock, Kind::Data(message), at, cx);
    }

    fn write<E: Copy + Word + From<NetEvent>>(&mut self, sock: Sock, kind: Kind, at: Time, cx: &mut Context<'_, E>) {
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
        let (from, to) = (endpoint.host, endpoint.peer_host);
        if !self.topology.is_blocked(from, to) && self.hosts[to.0 as usize].present {
            let link = *self.topology.link(from, to);
            let round_trip = (link.latency + link.jitter) * 2;
            let soon = at + round_trip + Span::from_millis(1);
            let endpoint = self.endpoint(sock).expect("just seen");
            let stall = endpoint.stall.as_mut().expect("just seen");
            if link.loss > 0 && soon < stall.next {
                stall.next = soon;
                endpoint.round = endpoint.round.wrapping_add(1);
                let round = endpoint.round;
                Self::schedule(cx.kernel, soon, from, NetEvent::Retransmit(sock, round));
            }
        }
    }

    #[inline]
    fn transmit<E: Copy + Word + From<NetEvent>>(
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
    fn depart<E: Copy + Word + From<NetEvent>>(
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

    /// A segment of `sock` was lost: it waits for the retransmission timer.
    fn stall<E: Copy + Word + From<NetEvent>>(
        &mut self,
        sock: Sock,
        written: Written,
        now: Time,
        cx: &mut Context<'_, E>,
    ) {
        let wheel = self.wheel;
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.phase == Phase::Dead {
            return;
        }
        let host = endpoint.host;
        match &mut endpoint.stall {
            Some(stall) => stall.take_back(written),
            None => {
                let mut stall = Stall::new(now);
                stall.queue.push_back(written);
                stall.next = wheel.fires_at(now, endpoint.round_trips.interval_jiffies(0));
                endpoint.round = endpoint.round.wrapping_add(1);
                Self::schedule(cx.kernel, stall.next, host, NetEvent::Retransmit(sock, endpoint.round));
                endpoint.stall = Some(Box::new(stall));
            }
        }
    }

    /// Messages of a connection that its program has not read: `more` of them came, or went.
    #[inline]
    pub fn unread(&mut self, sock: Sock, more: i32) {
        if let Some(endpoint) = self.endpoint(sock) {
            endpoint.unread = endpoint.unread.checked_add_signed(more).expect("what is read had come");
        }
    }

    /// A program closes a socket at `at`. With unread input the peer gets RST instead of FIN.
    pub fn close<E: Copy + Word + From<NetEvent>>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.orphan {
            return;
        }
        let unread = endpoint.unread > 0 || !endpoint.held.is_empty();
        match endpoint.phase {
            Phase::Connecting { .. } | Phase::Dead => self.release(sock, cx.handles),
            Phase::Open if unread => self.reset(sock, at, cx),
            Phase::Open => {
                endpoint.orphan = true;
                if !std::mem::replace(&mut endpoint.fin_queued, true) {
                    self.write(sock, Kind::Fin, at, cx);
                } else if endpoint.fin_delivered {
                    self.release(sock, cx.handles);
                }
            }
        }
    }

    /// A program sends FIN but goes on reading.
    pub fn shutdown_write<E: Copy + Word + From<NetEvent>>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.phase == Phase::Open && !std::mem::replace(&mut endpoint.fin_queued, true) {
            self.write(sock, Kind::Fin, at, cx);
        }
    }

    /// A program resets a connection: RST goes out once, everything unsent is discarded.
    pub fn reset<E: Copy + Word + From<NetEvent>>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if let (Phase::Open, Some(peer)) = (endpoint.phase, endpoint.peer) {
            let (from_host, to_host, floor) = (endpoint.host, endpoint.peer_host, endpoint.last_arrival);
            self.fire_and_forget(Header::control(sock, peer, from_host, to_host), Kind::Rst, at, floor, cx);
        }
        self.release(sock, cx.handles);
    }

    /// Whether a packet of `sock` can leave `from` for `to` now. If it raises a question by broadcast, that is asked: an
    /// entry that waits for an answer to a question that nobody put would wait for ever.
    fn knows<E: Copy + Word + From<NetEvent>>(
        &mut self,
        from: HostId,
        to: HostId,
        sock: Sock,
        at: Time,
        cx: &mut Context<'_, E>,
    ) -> bool {
        match self.neighbours.resolve(from, to, sock, at, &self.wheel) {
            Resolution::Known => true,
            Resolution::Lost | Resolution::Asking(None) => false,
            Resolution::Asking(Some(_)) if self.hosts[to.0 as usize].present => {
                self.neighbours.settle(from, to);
                true
            }
            Resolution::Asking(Some(next)) => {
                Self::schedule(cx.kernel, next, from, NetEvent::Ask(from, to));
                false
            }
        }
    }

    /// Sends a segment that nobody retransmits.
    fn fire_and_forget<E: Copy + Word + From<NetEvent>>(
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

    // ---- connecting

    fn send_syn<E: Copy + Word + From<NetEvent>>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        let Phase::Connecting { to, syns } = &mut endpoint.phase else { return };
        let (to, host) = (*to, endpoint.host);
        *syns += 1;
        let round = *syns;
        let again = self.wheel.fires_at(at, syn_interval_jiffies(round as u32));
        Self::schedule(cx.kernel, again, host, NetEvent::RepeatSyn(sock, round));
        self.resolve_and_send_syn(sock, host, to, at, cx);
    }

    fn resolve_and_send_syn<E: Copy + Word + From<NetEvent>>(
        &mut self,
        sock: Sock,
        host: HostId,
        to: Addr,
        at: Time,
        cx: &mut Context<'_, E>,
    ) {
        let hosts = &self.hosts;
        self.neighbours.announce(host, to.host, |peer| hosts[peer.0 as usize].present);
        match self.neighbours.resolve(host, to.host, sock, at, &self.wheel) {
            Resolution::Known => {
                let header = Header::control(sock, sock, host, to.host);
                let luck = &mut self.hosts[host.0 as usize].luck;
                match self.topology.transit(host, to.host, || 0, at, luck) {
                    Some(arrival) => self.put_segment(header, Kind::Syn(to), arrival, cx),
                    None => self.dropped += 1,
                }
            }
            Resolution::Lost => self.dropped += 1,
            Resolution::Asking(None) => {}
            Resolution::Asking(Some(next)) => {
                if self.hosts[to.host.0 as usize].present {
                    for waiting in self.neighbours.settle(host, to.host) {
                        self.resume(waiting, at, cx);
                    }
                } else {
                    Self::schedule(cx.kernel, next, host, NetEvent::Ask(host, to.host));
                }
            }
        }
    }

    /// A packet that waited for its neighbour goes out.
    fn resume<E: Copy + Word + From<NetEvent>>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        match endpoint.phase {
            Phase::Connecting { to, .. } => {
                let host = endpoint.host;
                self.resolve_and_send_syn(sock, host, to, at, cx);
            }
            Phase::Open => {
                if endpoint.stall.is_some() {
                    endpoint.round = endpoint.round.wrapping_add(1);
                    let (round, host) = (endpoint.round, endpoint.host);
                    Self::schedule(cx.kernel, at, host, NetEvent::Retransmit(sock, round));
                }
            }
            Phase::Dead => {}
        }
    }

    fn syn_arrives<E: Copy + Word + From<NetEvent>>(
        &mut self,
        header: Header,
        to: Addr,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let Header { from: client, from_host: client_host, to_host: host, .. } = header;
        // The answer would not get through: to the client this is silence, and the connection is not accepted.
        if self.topology.is_blocked(host, client_host) {
            self.dropped += 1;
            return None;
        }
        let endpoint = self.endpoint(client)?;
        if !matches!(endpoint.phase, Phase::Connecting { .. }) {
            return None;
        }
        if let Some(server) = endpoint.peer {
            // The answer to an earlier SYN was lost: it is repeated.
            self.answer_syn(server, client, now, cx);
            return None;
        }
        let listener = self.hosts[host.0 as usize].listeners.iter().find(|listener| listener.port == to.port).cloned();
        let Some(listener) = listener else {
            self.fire_and_forget(Header::control(client, client, host, client_host), Kind::Refuse, now, now, cx);
            return None;
        };
        let waiting = &mut self.unaccepted[listener.node.0 as usize];
        if *waiting > listener.backlog {
            self.dropped += 1;
            return None;
        }
        *waiting += 1;
        let server = cx.handles.allocate();
        let round_trips = RoundTrips::first(self.round_trip(host, client_host));
        self.insert(Endpoint {
            sock: server,
            owner: listener.node,
            host,
            peer_host: client_host,
            peer: Some(client),
            token: Token(0),
            phase: Phase::Open,
            named: false,
            orphan: false,
            fin_queued: false,
            fin_delivered: false,
            eof_seen: false,
            last_arrival: now,
            last_heard: now,
            keepalive_probes: 0,
            round: 0,
            round_trips,
            settled: 0,
            sent: 0,
            expected: 0,
            unread: 0,
            place: 0,
            stall: None,
            held: Vec::new(),
        });
        self.endpoint(client).expect("just seen").peer = Some(server);
        self.arm_keepalive(server, now, cx);
        self.answer_syn(server, client, now, cx);
        Some(Delivery { node: listener.node, sock: server, input: Input::Accepted { sock: server, from: client_host } })
    }

    /// Sends SYN-ACK. Whatever the server sends next, FIN included, comes after it.
    fn answer_syn<E: Copy + Word + From<NetEvent>>(
        &mut self,
        server: Sock,
        client: Sock,
        now: Time,
        cx: &mut Context<'_, E>,
    ) {
        let Some(endpoint) = self.endpoint(server) else { return };
        let (from, to) = (endpoint.host, endpoint.peer_host);
        let luck = &mut self.hosts[from.0 as usize].luck;
        match self.topology.transit(from, to, || 0, now, luck) {
            Some(arrival) => {
                let endpoint = self.endpoint(server).expect("just seen");
                endpoint.last_arrival = endpoint.last_arrival.max(arrival);
                self.put_segment(Header::control(server, client, from, to), Kind::SynAck, arrival, cx);
            }
            None => self.dropped += 1,
        }
    }

    fn syn_ack_arrives<E: Copy + Word + From<NetEvent>>(
        &mut self,
        Header { from: server, to: client, from_host, to_host, .. }: Header,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let Some(endpoint) = self.endpoint(client) else {
            // The client gave up meanwhile: its kernel answers with RST.
            self.fire_and_forget(Header::control(client, server, to_host, from_host), Kind::Rst, now, now, cx);
            return None;
        };
        if !matches!(endpoint.phase, Phase::Connecting { .. }) {
            return None;
        }
        endpoint.phase = Phase::Open;
        endpoint.last_heard = now;
        let (node, token, early) = (endpoint.owner, endpoint.token, endpoint.stall.take());
        for written in early.into_iter().flat_map(|stall| stall.queue) {
            self.write(client, written.kind, now, cx);
        }
        self.arm_keepalive(client, now, cx);
        Some(Delivery { node, sock: client, input: Input::Connected { token } })
    }

    fn connect_fails(&mut self, sock: Sock, error: ConnectError) -> Option<Delivery> {
        let endpoint = self.endpoint(sock)?;
        if !matches!(endpoint.phase, Phase::Connecting { .. }) {
            return None;
        }
        endpoint.phase = Phase::Dead;
        let token = endpoint.token;
        Some(Delivery { node: endpoint.owner, sock, input: Input::ConnectFailed { token, error } })
    }

    // ---- what happens

    /// Carries out an event. At most one program hears of it.
    pub fn handle<E: Copy + Word + From<NetEvent>>(
        &mut self,
        event: NetEvent,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        match event {
            NetEvent::Arrive(index) => self.arrive(index, cx),
            NetEvent::Retransmit(sock, round) => self.retransmit(sock, round, cx),
            NetEvent::RepeatSyn(sock, round) => {
                let endpoint = self.endpoint(sock)?;
                let Phase::Connecting { syns, .. } = endpoint.phase else { return None };
                if syns != round {
                    return None;
                }
                if syns as u32 >= SYNS {
                    return self.connect_fails(sock, ConnectError::TimedOut);
                }
                let now = cx.kernel.now();
                self.send_syn(sock, now, cx);
                None
            }
            NetEvent::Ask(from, to) => {
                let now = cx.kernel.now();
                let answers = self.hosts[to.0 as usize].present && self.hosts[from.0 as usize].present;
                match self.neighbours.ask(from, to, now, &self.wheel, answers) {
                    Asked::Settled => {}
                    Asked::Again(next) => Self::schedule(cx.kernel, next, from, NetEvent::Ask(from, to)),
                    Asked::Answered(waiting) => waiting.into_iter().for_each(|sock| self.resume(sock, now, cx)),
                    Asked::GivenUp(waiting) => {
                        for sock in waiting {
                            Self::schedule(cx.kernel, now, from, NetEvent::Fail(sock, ConnectError::Unreachable));
                        }
                    }
                }
                None
            }
            NetEvent::Fail(sock, error) => self.connect_fails(sock, error),
            NetEvent::KeepAlive(sock) => self.keepalive_fires(sock, cx),
        }
    }

    #[inline]
    fn arrive<E: Copy + Word + From<NetEvent>>(&mut self, index: u32, cx: &mut Context<'_, E>) -> Option<Delivery> {
        let now = cx.kernel.now();
        let segment = self.segments[index as usize].as_ref().expect("a segment arrives once");
        let header = segment.header;
        let data = matches!(segment.kind, Kind::Data(_));
        let numbered = data || matches!(segment.kind, Kind::Fin);
        let Header { from, to, from_host, to_host, number } = header;
        if self.topology.is_blocked(from_host, to_host) || !self.hosts[to_host.0 as usize].present {
            self.dropped += 1;
            let kind = self.take_segment(index);
            if numbered {
                self.stall(from, Written { number, kind }, now, cx);
            }
            return None;
        }
        self.neighbours.confirm(to_host, from_host, now);
        if numbered && let Some(receiver) = self.endpoint(to) {
            // The SYN-ACK before it was lost: to the client this belongs to no connection yet.
            let unready = matches!(receiver.phase, Phase::Connecting { .. });
            match number.cmp(&receiver.expected) {
                Ordering::Equal if !unready => receiver.expected += 1,
                // Repeated: the receiver discards it.
                Ordering::Less if !unready => {
                    self.take_segment(index);
                    return None;
                }
                // One before it is missing: the program does not see it until that one is repeated.
                _ => {
                    let kind = self.take_segment(index);
                    self.stall(from, Written { number, kind }, now, cx);
                    return None;
                }
            }
        }
        if data {
            return self.data_arrives(index, header, cx);
        }
        match self.take_segment(index) {
            Kind::Data(_) => unreachable!("data was dealt with"),
            Kind::Fin => {
                if self.topology.is_blocked(to_host, from_host) {
                    self.acknowledgement_lost(from, now, cx);
                }
                if let Some(sender) = self.endpoint(from) {
                    sender.fin_delivered = true;
                    if sender.orphan {
                        self.release(from, cx.handles);
                    }
                }
                let receiver = self.endpoint(to)?;
                if receiver.orphan || receiver.phase == Phase::Dead || std::mem::replace(&mut receiver.eof_seen, true) {
                    return None;
                }
                receiver.last_heard = now;
                self.tell_end(to, Ended::Eof)
            }
            Kind::Rst => {
                let receiver = self.endpoint(to)?;
                match receiver.phase {
                    Phase::Connecting { .. } => self.connect_fails(to, ConnectError::Refused),
                    Phase::Open => self.die(to, Ended::Reset, cx),
                    Phase::Dead => None,
                }
            }
            Kind::Syn(addr) => self.syn_arrives(header, addr, cx),
            Kind::SynAck => self.syn_ack_arrives(header, cx),
            Kind::Refuse => self.connect_fails(to, ConnectError::Refused),
        }
    }

    /// The next data of a connection reaches its host. The message stays where it is until it is known what becomes of it,
    /// and is moved once.
    #[inline]
    fn data_arrives<E: Copy + Word + From<NetEvent>>(
        &mut self,
        index: u32,
        Header { from, to, from_host, to_host, .. }: Header,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let reverse_blocked = self.topology.is_blocked(to_host, from_host);
        let version = self.topology.version();
        let Some(receiver) = self.endpoint(to).filter(|receiver| !receiver.orphan) else {
            self.take_segment(index);
            return self.data_for_nobody(from, to, (from_host, to_host), cx);
        };
        receiver.last_heard = now;
        let (node, token, named) = (receiver.owner, receiver.token, receiver.named);
        if receiver.phase == Phase::Dead {
            self.take_segment(index);
            return None;
        }
        if reverse_blocked {
            self.acknowledgement_lost(from, now, cx);
        } else if receiver.settled != version && !self.topology.is_local() {
            self.learn_round_trip(from, to, from_host, to_host);
        }
        let Kind::Data(message) = self.take_segment(index) else { unreachable!("it is data") };
        let delivery = Delivery { node, sock: to, input: Input::Data { token, message } };
        if named {
            return Some(delivery);
        }
        self.endpoint(to).expect("just seen").held.push(delivery);
        None
    }

    /// Tells the program of an end, after what it has not read yet.
    fn tell_end(&mut self, sock: Sock, how: Ended) -> Option<Delivery> {
        let endpoint = self.endpoint(sock).expect("an ending endpoint exists");
        let (node, token, named) = (endpoint.owner, endpoint.token, endpoint.named);
        let delivery = Delivery { node, sock, input: Input::Ended { token, how } };
        if named {
            return Some(delivery);
        }
        endpoint.held.push(delivery);
        None
    }

    fn die<E>(&mut self, sock: Sock, how: Ended, cx: &mut Context<'_, E>) -> Option<Delivery> {
        let endpoint = self.endpoint(sock).expect("a dying endpoint exists");
        endpoint.phase = Phase::Dead;
        endpoint.stall = None;
        if endpoint.orphan {
            self.release(sock, cx.handles);
            return None;
        }
        self.tell_end(sock, how)
    }

    /// The program was told that a connection is gone: the slot is free again.
    pub fn finish(&mut self, sock: Sock, handles: &mut Handles) {
        if self.endpoint(sock).is_some_and(|endpoint| endpoint.phase == Phase::Dead) {
            self.release(sock, handles);
        }
    }

    /// Data reached a closed socket: RST goes back.
    fn data_for_nobody<E: Copy + Word + From<NetEvent>>(
        &mut self,
        sender: Sock,
        receiver: Sock,
        (sender_host, receiver_host): (HostId, HostId),
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let floor = self.endpoint(receiver).map_or(now, |receiver| receiver.last_arrival);
        let header = Header::control(receiver, sender, receiver_host, sender_host);
        self.fire_and_forget(header, Kind::Rst, now, floor.max(now), cx);
        if self.endpoint(receiver).is_some() {
            self.release(receiver, cx.handles);
        }
        None
    }

    /// The data arrived, its acknowledgement does not: the sender will repeat, the receiver will discard.
    fn acknowledgement_lost<E: Copy + Word + From<NetEvent>>(
        &mut self,
        sender: Sock,
        now: Time,
        cx: &mut Context<'_, E>,
    ) {
        let wheel = self.wheel;
        let Some(endpoint) = self.endpoint(sender) else { return };
        if let Some(stall) = &mut endpoint.stall {
            stall.delivered = true;
        } else {
            let mut stall = Stall::new(now);
            stall.delivered = true;
            stall.next = wheel.fires_at(now, endpoint.round_trips.interval_jiffies(0));
            endpoint.round = endpoint.round.wrapping_add(1);
            Self::schedule(cx.kernel, stall.next, endpoint.host, NetEvent::Retransmit(sender, endpoint.round));
            endpoint.stall = Some(Box::new(stall));
        }
    }

    fn retransmit<E: Copy + Word + From<NetEvent>>(
        &mut self,
        sock: Sock,
        round: u16,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let wheel = self.wheel;
        let endpoint = self.endpoint(sock)?;
        let (from, to, orphan) = (endpoint.host, endpoint.peer_host, endpoint.orphan);
        let round_trips = endpoint.round_trips;
        if endpoint.round != round {
            return None;
        }
        let stall = endpoint.stall.as_mut()?;
        stall.retransmissions += 1;
        let given_up = stall.retransmissions > ORPHAN_RETRIES && orphan || now.since(stall.since) >= RETRIES2_TIMEOUT;
        if given_up {
            return self.die(sock, Ended::TimedOut, cx);
        }
        let next = wheel.fires_at(now, round_trips.interval_jiffies(stall.retransmissions + stall.several as u32));
        stall.next = next;
        endpoint.round = endpoint.round.wrapping_add(1);
        let round = endpoint.round;
        let present = self.hosts[to.0 as usize].present;
        let mut known = self.neighbours.resolve(from, to, sock, now, &self.wheel);
        if let Resolution::Asking(Some(next)) = known {
            if present {
                self.neighbours.settle(from, to);
                known = Resolution::Known;
            } else {
                Self::schedule(cx.kernel, next, from, NetEvent::Ask(from, to));
            }
        }
        if known != Resolution::Known || !present || self.topology.is_blocked(from, to) {
            self.dropped += 1;
            Self::schedule(cx.kernel, next, from, NetEvent::Retransmit(sock, round));
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
            Self::schedule(cx.kernel, next, from, NetEvent::Retransmit(sock, round));
            return None;
        }
        let rest = endpoint.stall.take().map(|stall| stall.queue).unwrap_or_default();
        for written in rest {
            match self.endpoint(sock).and_then(|endpoint| endpoint.stall.as_mut()) {
                // One of those before was lost again: the order is kept.
                Some(stall) => stall.queue.push_back(written),
                None => self.transmit(sock, written.number, written.kind, now, cx),
            }
        }
        None
    }

    // ---- keep-alive

    fn arm_keepalive<E: Copy + Word + From<NetEvent>>(&mut self, sock: Sock, now: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        let (owner, host) = (endpoint.owner, endpoint.host);
        if let Some(keepalive) = self.keepalive[owner.0 as usize] {
            Self::schedule(cx.kernel, now + keepalive.idle, host, NetEvent::KeepAlive(sock));
        }
    }

    fn keepalive_fires<E: Copy + Word + From<NetEvent>>(
        &mut self,
        sock: Sock,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
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

    // ---- what faults do

    /// A process dies: its kernel closes its sockets.
    pub fn process_dies<E: Copy + Word + From<NetEvent>>(
        &mut self,
        node: NodeId,
        host: HostId,
        cx: &mut Context<'_, E>,
    ) {
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

    /// The other end of a connection.
    pub fn peer(&mut self, sock: Sock) -> Option<Sock> {
        self.endpoint(sock)?.peer
    }
}

impl Stall {
    /// Adds a segment in the order of the numbers.
    fn append(&mut self, written: Written) {
        self.several |= self.retransmissions == 0;
        let before = self.queue.iter().rposition(|queued| queued.number < written.number);
        self.queue.insert(before.map_or(0, |before| before + 1), written);
    }

    /// Adds a segment that was sent and lost. If it is the oldest, then the oldest has not been delivered.
    fn take_back(&mut self, written: Written) {
        let number = written.number;
        self.append(written);
        self.delivered &= self.queue.front().is_some_and(|oldest| oldest.number != number);
    }

    fn new(since: Time) -> Stall {
        Stall { queue: VecDeque::new(), since, retransmissions: 0, several: false, delivered: false, next: Time::NEVER }
    }
}
