//! Opening a connection: SYN and its repeats, refusal, silence, the accept backlog.

use std::collections::VecDeque;

use super::endpoint::{Endpoint, Phase};
use super::send::Route;
use super::{Carrier, Context, Delivery, Header, Kind, Net, NetEvent};
use crate::kernel::Time;
use crate::net::linux::{RoundTrips, SYNS, syn_interval_jiffies};
use crate::net::neighbour::Asked;
use crate::program::{ConnectError, Input, Sock, Token};
use crate::wire::{Addr, HostId, NodeId};

impl Net {
    /// A program opens a connection at `at`.
    pub fn connect<E: Carrier>(
        &mut self,
        (node, host): (NodeId, HostId),
        sock: Sock,
        to: Addr,
        token: Token,
        at: Time,
        cx: &mut Context<'_, E>,
    ) {
        let peer_host = self.addresses.host(to.ip);
        let round_trips = RoundTrips::first(self.round_trip(host, peer_host));
        let mut endpoint = Endpoint::new(sock, (node, host), peer_host, Phase::Connecting { to, syns: 0 }, round_trips);
        (endpoint.token, endpoint.named) = (token, true);
        self.insert(endpoint);
        self.send_syn(sock, at, cx);
    }

    /// A program names a connection that it accepts. Returns what had arrived on it meanwhile.
    pub fn accept(&mut self, sock: Sock, token: Token) -> VecDeque<Delivery> {
        let Some(endpoint) = self.endpoint(sock) else { return VecDeque::new() };
        assert!(!endpoint.named, "a connection is accepted once");
        endpoint.named = true;
        endpoint.token = token;
        let (owner, held) = (endpoint.owner, std::mem::take(&mut endpoint.held));
        let waiting = &mut self.unaccepted[owner.0 as usize];
        *waiting = waiting.saturating_sub(1);
        held
    }

    pub(super) fn send_syn<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        let Phase::Connecting { to, syns } = &mut endpoint.phase else { return };
        let (to, host) = (*to, endpoint.host);
        *syns += 1;
        let round = *syns;
        let again = self.wheel.fires_at(at, syn_interval_jiffies(round as u32));
        Self::schedule(cx.kernel, again, host, NetEvent::RepeatSyn(sock, round));
        self.resolve_and_send_syn(sock, host, to, at, cx);
    }

    pub(super) fn resolve_and_send_syn<E: Carrier>(
        &mut self,
        sock: Sock,
        host: HostId,
        to: Addr,
        at: Time,
        cx: &mut Context<'_, E>,
    ) {
        let (hosts, peer_host) = (&self.hosts, self.addresses.host(to.ip));
        self.neighbours.announce(host, peer_host, |peer| hosts[peer.0 as usize].present);
        match self.resolve(host, peer_host, sock, at, cx) {
            Route::Known => {
                let header = Header::control(sock, sock, host, peer_host);
                let luck = &mut self.hosts[host.0 as usize].luck;
                match self.topology.transit(host, peer_host, || 0, at, luck) {
                    Some(arrival) => self.put_segment(header, Kind::Syn(to), arrival, cx),
                    None => self.dropped += 1,
                }
            }
            Route::Answered(waiting) => waiting.into_iter().for_each(|sock| self.resume(sock, at, cx)),
            Route::Lost => self.dropped += 1,
            Route::Waits => {}
        }
    }

    /// A packet that waited for its neighbour goes out.
    pub(super) fn resume<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        match endpoint.phase {
            Phase::Connecting { to, .. } => {
                let host = endpoint.host;
                self.resolve_and_send_syn(sock, host, to, at, cx);
            }
            Phase::Open => {
                if endpoint.stall.is_some() {
                    self.arm(sock, at, cx);
                }
            }
            Phase::Dead => {}
        }
    }

    pub(super) fn syn_arrives<E: Carrier>(
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
        let mut endpoint = Endpoint::new(server, (listener.node, host), client_host, Phase::Open, round_trips);
        endpoint.peer = Some(client);
        (endpoint.last_arrival, endpoint.last_heard) = (now, now);
        self.insert(endpoint);
        self.endpoint(client).expect("just seen").peer = Some(server);
        self.arm_keepalive(server, now, cx);
        self.answer_syn(server, client, now, cx);
        let from = self.addresses.of(client_host);
        Some(Delivery { node: listener.node, sock: server, input: Input::Accepted { sock: server, from } })
    }

    /// Sends SYN-ACK. Whatever the server sends next, FIN included, comes after it.
    pub(super) fn answer_syn<E: Carrier>(&mut self, server: Sock, client: Sock, now: Time, cx: &mut Context<'_, E>) {
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

    pub(super) fn syn_ack_arrives<E: Carrier>(
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

    pub(super) fn connect_fails(&mut self, sock: Sock, error: ConnectError) -> Option<Delivery> {
        let endpoint = self.endpoint(sock)?;
        if !matches!(endpoint.phase, Phase::Connecting { .. }) {
            return None;
        }
        endpoint.phase = Phase::Dead;
        let token = endpoint.token;
        Some(Delivery { node: endpoint.owner, sock, input: Input::ConnectFailed { token, error } })
    }

    /// The SYN of a connecting endpoint is repeated, until the kernel gives up.
    pub(super) fn repeat_syn<E: Carrier>(
        &mut self,
        sock: Sock,
        round: u16,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let Phase::Connecting { syns, .. } = self.endpoint(sock)?.phase else { return None };
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

    /// A host asks again for the hardware address of another.
    pub(super) fn ask_again<E: Carrier>(&mut self, from: HostId, to: HostId, cx: &mut Context<'_, E>) {
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
    }
}
