//! A tiny world for tests: a few servers and scripted clients on a network without faults but those a test makes.

use std::collections::BTreeMap;

use super::{Config, Disk, Redis, Setup};
use crate::kernel::{Purpose, Span, Stream, Time};
use crate::program::testing::{Bench, Next};
use crate::program::{Action, ConnectError, Ended, Input, KERNEL_BUFFER_BYTES, Sock, Token, Volume};
use crate::record::{Event, Record, RedisEvent, What};
use crate::wire::{Addr, ChannelId, Command, Ip, Key, Message, NodeId, Payload, Reply};

const DELAY: Span = Span::from_micros(20);
pub(super) const PORT: u16 = 6379;

/// A scripted client.
pub(super) type ClientNo = usize;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    Node(usize),
    Client(ClientNo),
}

#[derive(Clone, Debug)]
struct End {
    owner: Owner,
    token: Option<Token>,
    peer: Option<Sock>,
}

#[derive(Clone, Debug)]
enum Arrival {
    Open { to: Addr, from: Sock },
    Data { at: Sock, message: Message, bytes: u64 },
    Ended { at: Sock, how: Ended },
    Connected { at: Sock },
    Failed { at: Sock, error: ConnectError },
}

pub(super) struct Net {
    bench: Bench<Arrival>,
    pub nodes: Vec<Option<Redis>>,
    disks: Vec<Disk>,
    volumes: Vec<Volume>,
    setups: Vec<(Config, Option<Addr>)>,
    ends: BTreeMap<Sock, End>,
    pub inbox: Vec<Vec<Message>>,
    client_socks: Vec<Sock>,
    pub closed: Vec<bool>,
    stalled: Vec<bool>,
    blocked: Vec<(u32, u32)>,
    starts: u64,
}

pub(super) fn addr(node: usize) -> Addr {
    Addr::new(Ip(node as u32), PORT)
}

pub(super) fn key(index: u32) -> Key {
    Key::new(0, index)
}

pub(super) fn publish(seq: u32) -> Command {
    Command::Publish(ChannelId(1), Payload::Sequence { publisher: 0, seq, bytes: 0 })
}

impl Net {
    /// Servers, each with its settings and the master it is told to follow. They have not started.
    pub(super) fn new(nodes: &[(Config, Option<usize>)]) -> Net {
        let count = nodes.len();
        Net {
            bench: Bench::at(Time(1_234_567_890)),
            nodes: (0..count).map(|_| None).collect(),
            disks: vec![Disk::default(); count],
            volumes: vec![Volume::default(); count],
            setups: nodes.iter().map(|(config, master)| (config.clone(), master.map(addr))).collect(),
            ends: BTreeMap::new(),
            inbox: Vec::new(),
            client_socks: Vec::new(),
            closed: Vec::new(),
            stalled: Vec::new(),
            blocked: Vec::new(),
            starts: 0,
        }
    }

    /// A master and `replicas` replicas, started and in sync.
    pub(super) fn synced(replicas: usize) -> Net {
        Net::synced_with(replicas, Config::default())
    }

    pub(super) fn synced_with(replicas: usize, config: Config) -> Net {
        let mut nodes = vec![(config.clone(), None)];
        nodes.extend((0..replicas).map(|_| (config.clone(), Some(0))));
        let mut net = Net::new(&nodes);
        (0..=replicas).for_each(|node| net.start(node));
        net.run(8_500);
        assert!((1..=replicas).all(|node| net.node(node).link_up()), "replicas are in sync");
        net
    }

    /// Now.
    pub(super) fn now(&self) -> Time {
        self.bench.now
    }

    pub(super) fn node(&self, node: usize) -> &Redis {
        self.nodes[node].as_ref().expect("the node runs")
    }

    pub(super) fn start(&mut self, node: usize) {
        assert!(self.nodes[node].is_none());
        self.starts += 1;
        let (config, replica_of) = self.setups[node].clone();
        let stream = |purpose| Stream::named(7, node as u32 + 100 * self.starts as u32, purpose);
        // Tests stop a server by DEBUG SLEEP.
        let setup = Setup {
            config: Config { enable_debug_command: crate::redis::Protected::Yes, ..config },
            me: addr(node),
            replica_of,
            identity: stream(Purpose::Identity),
            work: stream(Purpose::Work),
            disk: self.disks[node].clone(),
        };
        let mut redis = Redis::new(setup);
        redis.set_volume(self.volumes[node]);
        self.nodes[node] = Some(redis);
        self.bench.clear(node);
        self.call(node, Input::Start);
    }

    /// Its data folder is lost.
    pub(super) fn wipe(&mut self, node: usize) {
        self.disks[node] = Disk::default();
    }

    /// SIGKILL: the kernel closes all sockets.
    pub(super) fn kill(&mut self, node: usize) {
        let mut redis = self.nodes[node].take().expect("the node runs");
        self.disks[node] = redis.take_disk();
        self.close_all(node);
    }

    /// The machine loses its power.
    pub(super) fn cut_power(&mut self, node: usize) {
        self.kill(node);
        self.lose_power(node);
    }

    /// The machine loses its power after the process has ended.
    pub(super) fn lose_power(&mut self, node: usize) {
        self.disks[node].lose_power(self.bench.now);
    }

    /// How its disk is from now on.
    pub(super) fn set_volume(&mut self, node: usize, volume: Volume) {
        self.volumes[node] = volume;
        if let Some(redis) = self.nodes[node].as_mut() {
            redis.set_volume(volume);
        }
    }

    /// It is started with other settings the next time.
    pub(super) fn configure(&mut self, node: usize, config: Config) {
        self.setups[node].0 = config;
    }

    fn close_all(&mut self, node: usize) {
        self.bench.clear(node);
        let mine: Vec<Sock> =
            self.ends.iter().filter(|(_, end)| end.owner == Owner::Node(node)).map(|(&sock, _)| sock).collect();
        for sock in mine {
            self.close(sock, Ended::Eof);
        }
    }

    fn close(&mut self, sock: Sock, how: Ended) {
        let Some(end) = self.ends.remove(&sock) else { return };
        self.bench.handles().release(sock);
        if let Some(peer) = end.peer {
            self.push(DELAY, Arrival::Ended { at: peer, how });
        }
    }

    fn push(&mut self, delay: Span, arrival: Arrival) {
        self.bench.post(self.bench.now + delay, arrival);
    }

    /// Resets every connection between two servers.
    pub(super) fn reset_between(&mut self, a: usize, b: usize) {
        let pairs: Vec<(Sock, Sock)> = self
            .ends
            .iter()
            .filter(|(_, end)| end.owner == Owner::Node(a))
            .filter_map(|(&sock, end)| Some((sock, end.peer?)))
            .filter(|(_, peer)| self.ends.get(peer).is_some_and(|end| end.owner == Owner::Node(b)))
            .collect();
        for (mine, theirs) in pairs {
            self.push(DELAY, Arrival::Ended { at: mine, how: Ended::Reset });
            self.push(DELAY, Arrival::Ended { at: theirs, how: Ended::Reset });
        }
    }

    /// New connections between two servers fail from now on.
    pub(super) fn block(&mut self, a: usize, b: usize) {
        self.blocked.push((a as u32, b as u32));
        self.blocked.push((b as u32, a as u32));
    }

    pub(super) fn unblock_all(&mut self) {
        self.blocked.clear();
    }

    pub(super) fn client(&mut self, node: usize) -> ClientNo {
        let no = self.inbox.len();
        self.inbox.push(Vec::new());
        self.closed.push(false);
        self.stalled.push(false);
        let sock = self.bench.handles().allocate();
        self.client_socks.push(sock);
        self.ends.insert(sock, End { owner: Owner::Client(no), token: None, peer: None });
        self.push(DELAY, Arrival::Open { to: addr(node), from: sock });
        self.run(1);
        no
    }

    /// The client reads nothing more, and the kernel's buffers are full.
    pub(super) fn stall(&mut self, client: ClientNo) {
        self.stalled[client] = true;
        let server = self.ends[&self.client_socks[client]].peer.expect("the client is connected");
        self.bench.handles().written(server, KERNEL_BUFFER_BYTES);
    }

    pub(super) fn send(&mut self, client: ClientNo, command: Command) {
        let peer = self.ends.get(&self.client_socks[client]).and_then(|end| end.peer);
        if let Some(at) = peer {
            self.push(DELAY, Arrival::Data { at, message: Message::Command(command), bytes: 0 });
        }
    }

    /// Sends a command and gives what came within some milliseconds.
    pub(super) fn ask(&mut self, client: ClientNo, command: Command) -> Option<Reply> {
        let before = self.inbox[client].len();
        self.send(client, command);
        self.run(4);
        self.inbox[client][before..].iter().find_map(|message| match message {
            Message::Reply(reply) => Some(reply.clone()),
            _ => None,
        })
    }

    /// Sequence numbers pushed to a client.
    pub(super) fn pushed(&self, client: ClientNo) -> Vec<u32> {
        let seq = |message: &Message| match message {
            Message::Push(_, Payload::Sequence { seq, .. }) => Some(*seq),
            _ => None,
        };
        self.inbox[client].iter().filter_map(seq).collect()
    }

    fn records(&self, node: usize, from: Time) -> impl Iterator<Item = &Record> {
        self.bench.records().iter().filter(move |r| r.node == NodeId(node as u16) && r.time >= from)
    }

    /// Log lines of a node since `from`.
    pub(super) fn log(&self, node: usize, from: Time) -> Vec<RedisEvent> {
        self.records(node, from)
            .filter_map(|record| match &record.what {
                What::Event(Event::Redis(event)) => Some(event.clone()),
                _ => None,
            })
            .collect()
    }

    /// When a node first logged something like this since `from`.
    pub(super) fn when(&self, node: usize, from: Time, like: impl Fn(&RedisEvent) -> bool) -> Option<Time> {
        self.records(node, from)
            .filter(|record| matches!(&record.what, What::Event(Event::Redis(event)) if like(event)))
            .map(|record| record.time)
            .next()
    }

    /// When a node first logged a line with this part since `from`.
    pub(super) fn when_text(&self, node: usize, from: Time, part: &str) -> Option<Time> {
        self.records(node, from)
            .filter(|record| matches!(&record.what, What::Event(Event::Text(text)) if text.contains(part)))
            .map(|record| record.time)
            .next()
    }

    pub(super) fn terminate(&mut self, node: usize) {
        self.call(node, Input::Terminate);
    }

    /// A command from the fault script.
    pub(super) fn command(&mut self, node: usize, command: Command) {
        self.call(node, Input::Command(Message::Command(command)));
    }

    fn call(&mut self, node: usize, input: Input) {
        let Some(redis) = self.nodes[node].as_mut() else { return };
        let (ended, actions) = self.bench.pass(node, |out| redis.handle(input, out));
        let delay = ended.since(self.bench.now) + DELAY;
        for action in actions {
            match action {
                Action::Connect { sock, to, token } => {
                    self.ends.insert(sock, End { owner: Owner::Node(node), token: Some(token), peer: None });
                    self.push(delay, Arrival::Open { to, from: sock });
                }
                Action::Accept { sock, token } => {
                    self.ends.get_mut(&sock).expect("accepted sockets exist").token = Some(token);
                }
                Action::Send { sock, message } => {
                    let bytes = message.wire_bytes();
                    if let Some(at) = self.ends.get(&sock).and_then(|end| end.peer) {
                        self.bench.handles().written(sock, bytes);
                        self.push(delay, Arrival::Data { at, message, bytes });
                    }
                }
                Action::Close(sock) => {
                    if let Some(end) = self.ends.remove(&sock) {
                        self.bench.handles().release(sock);
                        if let Some(peer) = end.peer {
                            self.push(delay, Arrival::Ended { at: peer, how: Ended::Eof });
                        }
                    }
                }
                Action::Listen => {}
                Action::Exit => {
                    let mut redis = self.nodes[node].take().expect("it runs");
                    self.disks[node] = redis.take_disk();
                    self.close_all(node);
                    return;
                }
                other => unreachable!("a Redis server does not {other:?}"),
            }
        }
    }

    fn node_of(&self, arrival: &Arrival) -> Option<usize> {
        let at = match arrival {
            Arrival::Open { to, .. } => return Some(to.ip.0 as usize),
            Arrival::Data { at, .. }
            | Arrival::Ended { at, .. }
            | Arrival::Connected { at }
            | Arrival::Failed { at, .. } => at,
        };
        match self.ends.get(at)?.owner {
            Owner::Node(node) => Some(node),
            Owner::Client(_) => None,
        }
    }

    /// Lets milliseconds pass.
    pub(super) fn run(&mut self, ms: u64) {
        let until = self.bench.now + Span::from_millis(ms);
        while let Some(next) = self.bench.next(until) {
            match next {
                Next::Timer(node, timer) => self.call(node, Input::Timer(timer)),
                Next::Arrival(arrival) => match self.node_of(&arrival).map(|node| self.bench.busy_until(node)) {
                    // It waits until the server has time.
                    Some(busy) if busy > self.bench.now => self.bench.post(busy, arrival),
                    _ => self.arrive(arrival),
                },
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Open { to, from } => {
                let Some(end) = self.ends.get(&from) else { return };
                let ip = match end.owner {
                    Owner::Node(node) => Ip(node as u32),
                    Owner::Client(_) => Ip(99),
                };
                let node = to.ip.0 as usize;
                if self.nodes[node].is_none() || self.blocked.contains(&(ip.0, to.ip.0)) {
                    self.push(DELAY, Arrival::Failed { at: from, error: ConnectError::Refused });
                    return;
                }
                let sock = self.bench.handles().allocate();
                self.ends.insert(sock, End { owner: Owner::Node(node), token: None, peer: Some(from) });
                self.ends.get_mut(&from).expect("looked at a moment ago").peer = Some(sock);
                self.push(DELAY, Arrival::Connected { at: from });
                self.call(node, Input::Accepted { sock, from: ip });
            }
            Arrival::Data { at, message, bytes } => {
                let Some(End { owner, token, peer }) = self.ends.get(&at).cloned() else { return };
                if let Owner::Client(no) = owner {
                    if self.stalled[no] {
                        return;
                    }
                    self.inbox[no].push(message);
                } else if let (Owner::Node(node), Some(token)) = (owner, token) {
                    self.call(node, Input::Data { token, message });
                }
                if let Some(peer) = peer
                    && self.ends.contains_key(&peer)
                {
                    self.bench.handles().consumed(peer, bytes);
                }
            }
            Arrival::Ended { at, how } => {
                let Some(End { owner, token, .. }) = self.ends.get(&at).cloned() else { return };
                match (owner, token) {
                    (Owner::Node(node), Some(token)) => {
                        if how == Ended::Eof {
                            self.ends.get_mut(&at).expect("looked at a moment ago").peer = None;
                        } else {
                            self.ends.remove(&at);
                            self.bench.handles().release(at);
                        }
                        self.call(node, Input::Ended { token, how });
                    }
                    (Owner::Client(no), _) => self.closed[no] = true,
                    _ => {}
                }
            }
            Arrival::Connected { at } => {
                if let Some(End { owner: Owner::Node(node), token: Some(token), .. }) = self.ends.get(&at).cloned() {
                    self.call(node, Input::Connected { token });
                }
            }
            Arrival::Failed { at, error } => {
                if let Some(End { owner: Owner::Node(node), token: Some(token), .. }) = self.ends.remove(&at) {
                    self.bench.handles().release(at);
                    self.call(node, Input::ConnectFailed { token, error });
                }
            }
        }
    }
}
