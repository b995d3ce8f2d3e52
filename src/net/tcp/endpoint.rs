//! One end of a connection: its fields, and the table of all ends.

use std::collections::VecDeque;

use super::pressure::{Feed, Pressure};
use super::retransmit::Stall;
use super::{Delivery, Net};
use crate::kernel::Time;
use crate::net::linux::RoundTrips;
use crate::program::{Handles, Sock, Token};
use crate::wire::{Addr, HostId, NodeId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting {
        to: Addr,
        syns: u16,
    },
    Open,
    /// Reset or timed out; the program has not been told yet.
    Dead,
}

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) sock: Sock,
    pub(super) owner: NodeId,
    pub(super) host: HostId,
    pub(super) peer_host: HostId,
    pub(super) peer: Option<Sock>,
    pub(super) token: Token,
    pub(super) phase: Phase,
    pub(super) named: bool,
    /// The program closed it: it hears no more, but the kernel may still have data to send.
    pub(super) orphan: bool,
    pub(super) fin_queued: bool,
    pub(super) fin_delivered: bool,
    pub(super) eof_seen: bool,
    pub(super) last_arrival: Time,
    pub(super) last_heard: Time,
    pub(super) keepalive_probes: u32,
    /// Which retransmission timer is the valid one: those of earlier rounds, and of losses that were made good, are void. It
    /// may wrap: a timer that was replaced fires before its number comes again.
    pub(super) round: u16,
    pub(super) round_trips: RoundTrips,
    /// The version of the topology under which the peer learns nothing more from its round trips.
    pub(super) settled: u32,
    /// How many messages were numbered.
    pub(super) sent: u32,
    /// The number that the next message from the peer must have.
    pub(super) expected: u32,
    /// Messages in the owner's inbox: read() has not taken them yet.
    pub(super) unread: u32,
    /// Its place in the list of its owner's endpoints.
    pub(super) place: u32,
    pub(super) stall: Option<Box<Stall>>,
    /// What arrived and is not given out yet: the program has not accepted the connection, or has shut the tap.
    pub(super) held: VecDeque<Delivery>,
    /// The program does not read until it has passed on what it has.
    pub(super) shut_tap: bool,
    pub(super) feed: Option<Feed>,
    pub(super) pressure: Option<Box<Pressure>>,
}

impl Endpoint {
    /// An end that its program has not named yet.
    pub(super) fn new(
        sock: Sock,
        (owner, host): (NodeId, HostId),
        peer_host: HostId,
        phase: Phase,
        round_trips: RoundTrips,
    ) -> Endpoint {
        Endpoint {
            sock,
            owner,
            host,
            peer_host,
            peer: None,
            token: Token(0),
            phase,
            named: false,
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
            held: VecDeque::new(),
            shut_tap: false,
            feed: None,
            pressure: None,
        }
    }
}

impl Net {
    #[inline]
    pub(super) fn endpoint(&mut self, sock: Sock) -> Option<&mut Endpoint> {
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

    /// The other end of a connection.
    pub fn peer(&mut self, sock: Sock) -> Option<Sock> {
        self.endpoint(sock)?.peer
    }

    pub(super) fn insert(&mut self, mut endpoint: Endpoint) {
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

    pub(super) fn release(&mut self, sock: Sock, handles: &mut Handles) {
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

    /// The program was told that a connection is gone: the slot is free again.
    pub fn finish(&mut self, sock: Sock, handles: &mut Handles) {
        if self.endpoint(sock).is_some_and(|endpoint| endpoint.phase == Phase::Dead) {
            self.release(sock, handles);
        }
    }

    /// Messages of a connection that its program has not read: `more` of them came, or went.
    #[inline]
    pub fn unread(&mut self, sock: Sock, more: i32) {
        if let Some(endpoint) = self.endpoint(sock) {
            endpoint.unread = endpoint.unread.checked_add_signed(more).expect("what is read had come");
        }
    }
}
