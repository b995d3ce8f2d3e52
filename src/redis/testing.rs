//! A tiny world for tests: a few servers and scripted clients on a network without faults but those a test makes.

use std::collections::BTreeMap;

use super::{Config, Disk, Redis, Setup};
use crate::kernel::{EventId, Purpose, Span, Stream, Time};
use crate::net::{Action, ConnectError, Ended, Input, KERNEL_BUFFER_BYTES, Out, Sock, TimerId, Token};
use crate::record::{Event, RedisEvent, What};
use crate::wire::{Addr, ChannelId, Command, HostId, Key, Message, NodeId, Payload, Reply};

const DELAY: Span = Span::from_micros(20);
pub const PORT: u16 = 6379;

/// A scripted client.
pub type ClientNo = usize;

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

pub struct Net {
    pub out: Out,
    pub now: Time,
    pub nodes: Vec<Option<Redis>>,
    disks: Vec<Disk>,
    setups: Vec<(Config, Option<Addr>)>,
    timers: Vec<BTreeMap<u32, Time>>,
    busy_until: Vec<Time>,
    queue: BTreeMap<(Time, u64), Arrival>,
    count: u64,
    ends: BTreeMap<Sock, End>,
    pub inbox: Vec<Vec<Message>>,
    client_socks: Vec<Sock>,
    pub closed: Vec<bool>,
    stalled: Vec<bool>,
    blocked: Vec<(u16, u16)>,
    starts: u64,
}

pub fn addr(node: usize) -> Addr {
    Addr::new(HostId(node as u16), PORT)
}

pub fn key(index: u32) -> Key {
    Key::new(0, index)
}

pub fn publish(seq: u32) -> Command {
    Command::Publish(ChannelId(1), Payload::Sequence { publisher: 0, seq, bytes: 0 })
}

impl Net {
    /// Servers, each with its settings and the master it is told to follow. They have not started.
    pub fn new(nodes: &[(Config, Option<usize>)]) -> Net {
        let count = nodes.len();
        Net {
            out: Out::new(true),
            now: Time(1_234_567_890),
            nodes: (0..count).map(|_| None).collect(),
            disks: vec![Disk::default(); count],
            setups: nodes.iter().map(|(config, master)| (config.clone(), master.map(addr))).collect(),
            timers: vec![BTreeMap::new(); count],
            busy_until: vec![Time::ZERO; count],
            queue: BTreeMap::new(),
            count: 0,
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
    pub fn synced(replicas: usize) -> Net {
        Net::synced_with(replicas, Config::default())
    }

    pub fn synced_with(replicas: usize, config: Config) -> Net {
        let mut nodes = vec![(config.clone(), None)];
        nodes.extend((0..replicas).map(|_| (config.clone(), Some(0))));
        let mut net = Net::new(&nodes);
        (0..=replicas).for_each(|node| net.start(node));
        net.run(8_500);
        assert!((1..=replicas).all(|node| net.node(node).link_up()), "replicas are in sync");
        net
    }

    pub fn node(&self, node: usize) -> &Redis {
        self.nodes[node].as_ref().expect("the node runs")
    }

    pub fn start(&mut self, node: usize) {
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
        self.nodes[node] = Some(Redis::new(setup));
        self.timers[node].clear();
        self.busy_until[node] = self.now;
        self.call(node, Input::Start);
    }

    /// Its data folder is lost.
    pub fn wipe(&mut self, node: usize) {
        self.disks[node] = Disk::default();
    }

    /// SIGKILL: the kernel closes all sockets.
    pub fn kill(&mut self, node: usize) {
        let mut redis = self.nodes[node].take().expect("the node runs");
        self.disks[node] = redis.take_disk();
        self.close_all(node);
    }

    fn close_all(&mut self, node: usize) {
        self.timers[node].clear();
        let mine: Vec<Sock> =
            self.ends.iter().filter(|(_, end)| end.owner == Owner::Node(node)).map(|(&sock, _)| sock).collect();
        for sock in mine {
            self.close(sock, Ended::Eof);
        }
    }

    fn close(&mut self, sock: Sock, how: Ended) {
        let Some(end) = self.ends.remove(&sock) else { return };
        self.out.handles.release(sock);
        if let Some(peer) = end.peer {
            self.push(DELAY, Arrival::Ended { at: peer, how });
        }
    }

    fn push(&mut self, delay: Span, arrival: Arrival) {
        self.count += 1;
        self.queue.insert((self.now + delay, self.count), arrival);
    }

    /// Resets every connection between two servers.
    pub fn reset_between(&mut self, a: usize, b: usize) {
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
    pub fn block(&mut self, a: usize, b: usize) {
        self.blocked.push((a as u16, b as u16));
        self.blocked.push((b as u16, a as u16));
    }

    pub fn unblock_all(&mut self) {
        self.blocked.clear();
    }

    pub fn client(&mut self, node: usize) -> ClientNo {
        let no = self.inbox.len();
        self.inbox.push(Vec::new());
        self.closed.push(false);
        self.stalled.push(false);
        let sock = self.out.handles.allocate();
        self.client_socks.push(sock);
        self.ends.insert(sock, End { owner: Owner::Client(no), token: None, peer: None });
        self.push(DELAY, Arrival::Open { to: addr(node), from: sock });
        self.run(1);
        no
    }

    /// The client reads nothing more, and the kernel's buffers are full.
    pub fn stall(&mut self, client: ClientNo) {
        self.stalled[client] = true;
        let server = self.ends[&self.client_socks[client]].peer.expect("the client is connected");
        self.out.handles.written(server, KERNEL_BUFFER_BYTES);
    }

    pub fn send(&mut self, client: ClientNo, command: Command) {
        let peer = self.ends.get(&self.client_socks[client]).and_then(|end| end.peer);
        if let Some(at) = peer {
            self.push(DELAY, Arrival::Data { at, message: Message::Command(command), bytes: 0 });
        }
    }

    /// Sends a command and gives what came within some milliseconds.
    pub fn ask(&mut self, client: ClientNo, command: Command) -> Option<Reply> {
        let before = self.inbox[client].len();
        self.send(client, command);
        self.run(4);
        self.inbox[client][before..].iter().find_map(|message| match message {
            Message::Reply(reply) => Some(reply.clone()),
            _ => None,
        })
    }

    /// Sequence numbers pushed to a client.
    pub fn pushed(&self, client: ClientNo) -> Vec<u32> {
        let seq = |message: &Message| match message {
            Message::Push(_, Payload::Sequence { seq, .. }) => Some(*seq),
            _ => None,
        };
        self.inbox[client].iter().filter_map(seq).collect()
    }

    /// Log lines of a node since `from`.
    pub fn log(&self, node: usize, from: Time) -> Vec<RedisEvent> {
        let mine = self.out.records().iter().filter(|r| r.node == NodeId(node as u16) && r.time >= from);
        mine.filter_map(|record| match &record.what {
            What::Event(Event::Redis(event)) => Some(event.clone()),
            _ => None,
        })
        .collect()
    }

    /// When a node first logged something like this since `from`.
    pub fn when(&self, node: usize, from: Time, like: impl Fn(&RedisEvent) -> bool) -> Option<Time> {
        let mine = self.out.records().iter().filter(|r| r.node == NodeId(node as u16) && r.time >= from);
        mine.filter(|record| matches!(&record.what, What::Event(Event::Redis(event)) if like(event)))
            .map(|record| record.time)
            .next()
    }

    /// When a node first logged a line with this part since `from`.
    pub fn when_text(&self, node: usize, from: Time, part: &str) -> Option<Time> {
        let mine = self.out.records().iter().filter(|r| r.node == NodeId(node as u16) && r.time >= from);
        mine.filter(|record| matches!(&record.what, What::Event(Event::Text(text)) if text.contains(part)))
            .map(|record| record.time)
            .next()
    }

    pub fn terminate(&mut self, node: usize) {
        self.call(node, Input::Terminate);
    }

    /// A command from the fault script.
    pub fn command(&mut self, node: usize, command: Command) {
        self.call(node, Input::Command(Message::Command(command)));
    }

    fn call(&mut self, node: usize, input: Input) {
        let Some(redis) = self.nodes[node].as_mut() else { return };
        self.out.begin(self.now, NodeId(node as u16), EventId(1), 0);
        redis.handle(input, &mut self.out);
        let worked = self.out.worked();
        self.busy_until[node] = self.now + worked;
        let delay = worked + DELAY;
        for action in self.out.take_actions() {
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
                        self.out.handles.written(sock, bytes);
                        self.push(delay, Arrival::Data { at, message, bytes });
                    }
                }
                Action::Close(sock) => {
                    if let Some(end) = self.ends.remove(&sock) {
                        self.out.handles.release(sock);
                        if let Some(peer) = end.peer {
                            self.push(delay, Arrival::Ended { at: peer, how: Ended::Eof });
                        }
                    }
                }
                Action::SetTimer(TimerId(timer), at) => {
                    self.timers[node].insert(timer, at);
                }
                Action::ClearTimer(TimerId(timer)) => {
                    self.timers[node].remove(&timer);
                }
                Action::Listen => {}
                Action::Exit => {
                    let mut redis = self.nodes[node].take().expect("it runs");
                    self.disks[node] = redis.take_disk();
                    self.close_all(node);
                    return;
                }
                Action::Reset(_) | Action::ShutdownWrite(_) | Action::Relay { .. } => {
                    unreachable!("a Redis server does neither")
                }
            }
        }
    }

    fn node_of(&self, arrival: &Arrival) -> Option<usize> {
        let at = match arrival {
            Arrival::Open { to, .. } => return Some(to.host.0 as usize),
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
    pub fn run(&mut self, ms: u64) {
        let until = self.now + Span::from_millis(ms);
        loop {
            let arrival = self.queue.keys().next().map(|key| key.0);
            let timer = (0..self.nodes.len())
                .flat_map(|node| {
                    let busy = self.busy_until[node];
                    self.timers[node].iter().map(move |(&timer, &at)| (at.max(busy), node, timer))
                })
                .min();
            let next_timer = timer.map(|(at, ..)| at);
            match (arrival, next_timer) {
                (None, None) => break,
                (Some(at), other) if other.is_none_or(|other| at <= other) => {
                    if at > until {
                        break;
                    }
                    let ((at, count), arrival) = self.queue.pop_first().expect("there is one");
                    self.now = self.now.max(at);
                    if let Some(node) = self.node_of(&arrival)
                        && self.busy_until[node] > at
                    {
                        self.queue.insert((self.busy_until[node], count), arrival);
                        continue;
                    }
                    self.arrive(arrival);
                }
                (_, Some(at)) => {
                    if at > until {
                        break;
                    }
                    let (_, node, timer) = timer.expect("there is one");
                    self.now = self.now.max(at);
                    self.timers[node].remove(&timer);
                    self.call(node, Input::Timer(TimerId(timer)));
                }
                _ => unreachable!(),
            }
        }
        self.now = until;
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Open { to, from } => {
                let Some(end) = self.ends.get(&from) else { return };
                let host = match end.owner {
                    Owner::Node(node) => HostId(node as u16),
                    Owner::Client(_) => HostId(99),
                };
                let node = to.host.0 as usize;
                if self.nodes[node].is_none() || self.blocked.contains(&(host.0, to.host.0)) {
                    self.push(DELAY, Arrival::Failed { at: from, error: ConnectError::Refused });
                    return;
                }
                let sock = self.out.handles.allocate();
                self.ends.insert(sock, End { owner: Owner::Node(node), token: None, peer: Some(from) });
                self.ends.get_mut(&from).expect("looked at a moment ago").peer = Some(sock);
                self.push(DELAY, Arrival::Connected { at: from });
                self.call(node, Input::Accepted { sock, from: host });
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
                    self.out.handles.consumed(peer, bytes);
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
                            self.out.handles.release(at);
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
                    self.out.handles.release(at);
                    self.call(node, Input::ConnectFailed { token, error });
                }
            }
        }
    }
}
