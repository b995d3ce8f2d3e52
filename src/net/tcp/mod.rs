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
//! by a later segment's acknowledgement or by the timer, and the buffers of both kernels where a program does not read
//! (`pressure.rs`). What is not: congestion windows beyond "after a time-out only the oldest segment is sent" where programs
//! read, selective acknowledgement details.

mod close;
mod connect;
mod endpoint;
mod faults;
mod flow;
mod keepalive;
mod pressure;
mod receive;
mod retransmit;
mod send;

pub use faults::Obstacle;

use endpoint::Endpoint;

use super::addresses::Addresses;
use super::linux::TimerWheel;
use super::neighbour::Neighbours;
use super::topology::Topology;
use crate::kernel::{Class, Kernel, Span, Stream, Time, Word};
use crate::program::{ConnectError, Handles, Input, KeepAlive, Sock};
use crate::wire::{Addr, HostId, Ip, Message, NodeId};

/// An event of a queue that also carries the network's.
pub trait Carrier: Copy + Word + From<NetEvent> {}

impl<E: Copy + Word + From<NetEvent>> Carrier for E {}

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
    /// What an endpoint under pressure sent is acknowledged, or it probes a closed window.
    Acknowledge(Sock, u16),
    /// A program reads on from an endpoint from which it did not want to read.
    ReadOn(Sock),
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
            NetEvent::Acknowledge(endpoint, round) => sock(endpoint) ^ ((*round as u64) << 40) ^ (6 << 60),
            NetEvent::ReadOn(endpoint) => sock(endpoint) ^ (7 << 60),
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
    arrives: Time,
}

impl Header {
    /// Of a segment that has no number.
    fn control(from: Sock, to: Sock, from_host: HostId, to_host: HostId) -> Header {
        Header { from, to, from_host, to_host, number: 0 }
    }
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

/// The network of a world.
#[derive(Clone, Debug)]
pub struct Net {
    /// Links and partitions.
    pub topology: Topology,
    hosts: Vec<Host>,
    neighbours: Neighbours,
    wheel: TimerWheel,
    addresses: Addresses,
    endpoints: Vec<Option<Endpoint>>,
    /// By node: the indices of its endpoints, in no order.
    owned: Vec<Vec<u32>>,
    /// What is on its way, by the number in its event; none where that event is still to come and nothing comes with it.
    segments: Vec<Option<Segment>>,
    free_segments: Vec<u32>,
    /// Connections that a program has not accepted yet, by node.
    unaccepted: Vec<u32>,
    keepalive: Vec<Option<KeepAlive>>,
    /// TCP_USER_TIMEOUT of every program's sockets.
    user_timeout: Vec<Option<Span>>,
    /// By node: whether it is stopped.
    stopped: Vec<bool>,
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
        let count = luck.len();
        let hosts =
            luck.into_iter().map(|luck| Host { present: true, incarnation: 0, listeners: Vec::new(), luck }).collect();
        Net {
            topology,
            hosts,
            neighbours: Neighbours::new(reachable),
            wheel,
            addresses: Addresses::one_each(count),
            endpoints: Vec::new(),
            owned: vec![Vec::new(); nodes],
            segments: Vec::new(),
            free_segments: Vec::new(),
            unaccepted: vec![0; nodes],
            keepalive: vec![None; nodes],
            user_timeout: vec![None; nodes],
            stopped: vec![false; nodes],
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

    /// A program listens; up to `backlog + 1` connections wait for it to accept.
    pub fn listen(&mut self, node: NodeId, addr: Addr, backlog: u32) {
        let listeners = &mut self.hosts[self.addresses.host(addr.ip).0 as usize].listeners;
        listeners.retain(|listener| listener.port != addr.port);
        listeners.push(Listener { port: addr.port, node, backlog });
        self.unaccepted[node.0 as usize] = 0;
    }

    /// The host that has an address.
    pub fn host_at(&self, ip: Ip) -> HostId {
        self.addresses.host(ip)
    }

    /// Whether a host has its address.
    pub fn is_present(&self, host: HostId) -> bool {
        self.hosts[host.0 as usize].present
    }

    fn schedule<E: Carrier>(kernel: &mut Kernel<E>, at: Time, host: HostId, event: NetEvent) {
        kernel.schedule(at, Class::Network, host.0 as u32, E::from(event));
    }

    /// Carries out an event. At most one program hears of it.
    pub fn handle<E: Carrier>(&mut self, event: NetEvent, cx: &mut Context<'_, E>) -> Option<Delivery> {
        match event {
            NetEvent::Arrive(index) => self.arrive(index, cx),
            NetEvent::Retransmit(sock, round) => self.retransmit(sock, round, cx),
            NetEvent::RepeatSyn(sock, round) => self.repeat_syn(sock, round, cx),
            NetEvent::Ask(from, to) => {
                self.ask_again(from, to, cx);
                None
            }
            NetEvent::Fail(sock, error) => self.connect_fails(sock, error),
            NetEvent::KeepAlive(sock) => self.keepalive_fires(sock, cx),
            NetEvent::Acknowledge(sock, round) => self.acknowledge(sock, round, cx),
            NetEvent::ReadOn(sock) => self.read_on(sock, cx),
        }
    }
}
