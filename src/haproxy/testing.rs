//! A small world around one HAProxy: a server behaves as it is told to, clients are scripted, time is virtual.

use super::{Config, Haproxy, Server, Setup};
use crate::kernel::{Purpose, Span, Stream, Time};
use crate::program::testing::{Bench, Next};
use crate::program::{Action, ConnectError, Ended, Input, Sock, Token};
use crate::record::{Event, HaproxyEvent, What};
use crate::wire::{
    Addr, ChannelId, Command, ErrorKind, HostId, Info, Ip, Message, Payload, ReplId, Reply, Role, RunId,
};

/// One way through the network.
const LATENCY: Span = Span::from_micros(50);
/// A SYN that was lost is repeated (linear phase).
const SYN_REPEAT: Span = Span::from_secs(1);

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Master,
    Replica,
    /// Answers PING with `-LOADING`.
    Loading,
    /// Nobody listens.
    Refused,
    /// The neighbour lookup fails after this long.
    Unreachable(Span),
    /// Packets are lost.
    Silent,
    /// The kernel accepts, nobody answers.
    Hung,
    /// Accepts and resets.
    Resets,
    /// Reads the first command, then closes.
    ReadsAndCloses,
    /// Answers the first command with an error, then closes.
    AnswersAndCloses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    Fin,
    Rst,
}

/// What one end of a connection of HAProxy's has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Which server it is at, for those that HAProxy opened.
    pub(super) server: Option<usize>,
    pub(super) opened: Option<Time>,
    pub(super) connected: bool,
    pub(super) got: Vec<(Time, Message)>,
    pub(super) closed: Option<(Time, Close)>,
    sock: Option<Sock>,
    token: Token,
    /// HAProxy closed or reset the socket, or it was reset from outside.
    dead: bool,
    /// It sent FIN, or will in a moment.
    finned: bool,
}

#[derive(Clone, Debug)]
enum Happening {
    /// Something for HAProxy on the connection of a peer.
    Arrives(usize, Input),
    /// Something for the peer.
    Reaches(usize, Arrival),
    Syn(usize),
}

#[derive(Clone, Debug)]
enum Arrival {
    Message(Message),
    End(Close),
}

#[derive(Debug)]
pub(super) struct Lab {
    pub(super) haproxy: Haproxy,
    pub(super) peers: Vec<Peer>,
    pub(super) exited: bool,
    servers: Vec<Behaviour>,
    bench: Bench<Happening>,
}

/// The address of a server.
fn addr(server: usize) -> Addr {
    Addr::new(Ip(server as u32), 6379)
}

/// A client's message.
pub(super) fn publish(seq: u32) -> Message {
    Message::Command(Command::Publish(ChannelId(1), Payload::Sequence { publisher: 0, seq, bytes: 0 }))
}

fn info(role: Role) -> Message {
    Message::Reply(Reply::Info(Box::new(Info {
        run_id: RunId(1),
        role,
        link: None,
        replicas: Vec::new(),
        replid: ReplId(1),
        replid2: ReplId::NONE,
        offset: 0,
        second_offset: -1,
        loading: false,
        shutdown_in: None,
        connected_clients: 1,
    })))
}

impl Lab {
    /// A started HAProxy in front of servers; the first is active, the others as the configuration says.
    pub(super) fn new(config: Config, servers: &[Behaviour]) -> Lab {
        Lab::seeded(config, servers, 1)
    }

    pub(super) fn seeded(config: Config, servers: &[Behaviour], seed: u64) -> Lab {
        let backup = config.backup;
        let lines = (0..servers.len())
            .map(|i| Server { host: HostId(i as u16), addr: addr(i), backup: backup && i > 0 })
            .collect();
        let work = Stream::named(seed, 1, Purpose::Work);
        let mut lab = Lab {
            haproxy: Haproxy::new(Setup { config, servers: lines, work }),
            peers: Vec::new(),
            exited: false,
            servers: servers.to_vec(),
            bench: Bench::at(Time::ZERO),
        };
        lab.give(Input::Start);
        lab
    }

    /// Tells a server to behave differently from now on.
    pub(super) fn behave(&mut self, server: usize, behaviour: Behaviour) {
        self.servers[server] = behaviour;
    }

    /// A hung server goes on as a master: it answers what it was sent meanwhile.
    pub(super) fn resume(&mut self, server: usize) {
        assert_eq!(self.servers[server], Behaviour::Hung, "only what hangs can be resumed");
        self.servers[server] = Behaviour::Master;
        for peer in 0..self.peers.len() {
            let unanswered = match self.peers[peer].server {
                Some(at) if at == server && !self.peers[peer].dead => self.peers[peer].got.clone(),
                _ => continue,
            };
            for (_, message) in unanswered {
                self.answer(peer, &message);
            }
        }
    }

    /// Now.
    pub(super) fn now(&self) -> Time {
        self.bench.now
    }

    pub(super) fn run_for(&mut self, span: Span) {
        self.run_until(self.bench.now + span);
    }

    pub(super) fn run_until(&mut self, until: Time) {
        while let Some(next) = self.bench.next(until) {
            match next {
                Next::Arrival(happening) => self.happen(happening),
                Next::Timer(_, timer) => self.give(Input::Timer(timer)),
            }
        }
    }

    /// SIGSTOP for a while: what happens to HAProxy meanwhile reaches it at the end, what arrived before timers.
    pub(super) fn stop_for(&mut self, span: Span) {
        let end = self.bench.now + span;
        let (mut arrived, mut rang) = (Vec::new(), Vec::new());
        while let Some(next) = self.bench.next(end) {
            match next {
                Next::Arrival(happening @ Happening::Arrives(..)) => arrived.push(happening),
                Next::Arrival(happening) => self.happen(happening),
                Next::Timer(_, timer) => rang.push(timer),
            }
        }
        arrived.into_iter().for_each(|happening| self.happen(happening));
        for timer in rang {
            // Unless a pass has set the timer anew meanwhile.
            if self.bench.timer(0, timer).is_none() {
                self.give(Input::Timer(timer));
            }
        }
    }

    fn schedule(&mut self, after: Span, happening: Happening) {
        self.bench.post(self.bench.now + after, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(peer, input) => {
                if self.peers[peer].dead {
                    return;
                }
                let ends = matches!(
                    input,
                    Input::ConnectFailed { .. } | Input::Ended { how: Ended::Reset | Ended::TimedOut, .. }
                );
                self.peers[peer].dead |= ends;
                self.peers[peer].connected |= matches!(input, Input::Connected { .. });
                self.give(input);
            }
            Happening::Reaches(peer, Arrival::Message(message)) => {
                if self.peers[peer].server.is_some_and(|server| self.servers[server] == Behaviour::Silent) {
                    return;
                }
                self.peers[peer].got.push((self.bench.now, message.clone()));
                self.answer(peer, &message);
            }
            Happening::Reaches(peer, Arrival::End(close)) => self.peers[peer].closed = Some((self.bench.now, close)),
            Happening::Syn(peer) => self.syn(peer),
        }
    }

    /// A SYN reaches a server, or does not.
    fn syn(&mut self, peer: usize) {
        if self.peers[peer].dead {
            return;
        }
        let server = self.peers[peer].server.expect("SYNs go to servers");
        let token = self.peers[peer].token;
        let failed = |error| Input::ConnectFailed { token, error };
        match self.servers[server] {
            Behaviour::Silent => self.schedule(SYN_REPEAT, Happening::Syn(peer)),
            Behaviour::Refused => self.schedule(LATENCY * 2, Happening::Arrives(peer, failed(ConnectError::Refused))),
            Behaviour::Unreachable(after) => {
                self.schedule(after, Happening::Arrives(peer, failed(ConnectError::Unreachable)));
            }
            Behaviour::Resets => {
                self.schedule(LATENCY * 2, Happening::Arrives(peer, Input::Connected { token }));
                let reset = Input::Ended { token, how: Ended::Reset };
                self.schedule(LATENCY * 3, Happening::Arrives(peer, reset));
            }
            _ => self.schedule(LATENCY * 2, Happening::Arrives(peer, Input::Connected { token })),
        }
    }

    fn answer(&mut self, peer: usize, message: &Message) {
        let Some(server) = self.peers[peer].server else { return };
        let Message::Command(command) = message else { return };
        if self.peers[peer].finned {
            return;
        }
        let token = self.peers[peer].token;
        let behaviour = self.servers[server];
        let reply = match (behaviour, command) {
            (Behaviour::Master | Behaviour::Replica, Command::Ping) => Some(Message::Reply(Reply::Pong)),
            (Behaviour::Master, Command::Info(_)) => Some(info(Role::Master)),
            (Behaviour::Replica, Command::Info(_)) => Some(info(Role::Slave)),
            (Behaviour::Master | Behaviour::Replica, _) => Some(Message::Reply(Reply::Int(1))),
            (Behaviour::Loading | Behaviour::AnswersAndCloses, _) => {
                Some(Message::Reply(Reply::Error(ErrorKind::Loading)))
            }
            _ => None,
        };
        if let Some(message) = reply {
            self.schedule(LATENCY, Happening::Arrives(peer, Input::Data { token, message }));
        }
        if matches!(behaviour, Behaviour::ReadsAndCloses | Behaviour::AnswersAndCloses) {
            let eof = Input::Ended { token, how: Ended::Eof };
            self.peers[peer].finned = true;
            self.schedule(LATENCY, Happening::Arrives(peer, eof));
        }
    }

    fn give(&mut self, input: Input) {
        let (_, actions) = self.bench.pass(0, |out| self.haproxy.handle(input, out));
        actions.into_iter().for_each(|action| self.act(action));
    }

    /// The peer at a socket. A dead one is never found: HAProxy must not touch a socket that it has closed.
    fn peer(&self, sock: Sock) -> usize {
        let alive = |peer: &Peer| peer.sock == Some(sock) && !peer.dead;
        self.peers.iter().rposition(alive).expect("HAProxy touches open sockets only")
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { sock, to, token } => {
                let peer = Peer {
                    server: Some(to.ip.0 as usize),
                    sock: Some(sock),
                    token,
                    opened: Some(self.bench.now),
                    ..Peer::default()
                };
                self.peers.push(peer);
                self.syn(self.peers.len() - 1);
            }
            Action::Accept { sock, token } => {
                let peer = self.peer(sock);
                self.peers[peer].token = token;
                self.peers[peer].connected = true;
            }
            Action::Send { sock, message } => {
                let peer = self.peer(sock);
                self.schedule(LATENCY, Happening::Reaches(peer, Arrival::Message(message)));
            }
            Action::Close(sock) => self.end(sock, Close::Fin, true),
            Action::Reset(sock) => self.end(sock, Close::Rst, true),
            Action::ShutdownWrite(sock) => self.end(sock, Close::Fin, false),
            Action::Listen | Action::Relay { .. } => {}
            Action::Exit => self.exited = true,
            Action::SetTimer(..) | Action::ClearTimer(_) => unreachable!("the bench has the timers"),
        }
    }

    fn end(&mut self, sock: Sock, close: Close, dead: bool) {
        let peer = self.peer(sock);
        self.peers[peer].dead = dead;
        if self.peers[peer].closed.is_none() {
            self.schedule(LATENCY, Happening::Reaches(peer, Arrival::End(close)));
        }
    }

    /// A client connects; its index among the peers.
    pub(super) fn client(&mut self) -> usize {
        let sock = self.bench.handles().allocate();
        let client = self.peers.len();
        self.peers.push(Peer { sock: Some(sock), opened: Some(self.bench.now), ..Peer::default() });
        self.give(Input::Accepted { sock, from: Ip(99) });
        client
    }

    /// Something arrives from a peer at this moment.
    fn arrives(&mut self, peer: usize, input: Input) {
        self.happen(Happening::Arrives(peer, input));
    }

    pub(super) fn says(&mut self, peer: usize, message: Message) {
        let token = self.peers[peer].token;
        self.arrives(peer, Input::Data { token, message });
    }

    /// Whether something can arrive from a peer: the connection is up, and it did not end it.
    pub(super) fn can_speak(&self, peer: usize) -> bool {
        let peer = &self.peers[peer];
        peer.connected && !peer.dead && !peer.finned
    }

    pub(super) fn is_client(&self, peer: usize) -> bool {
        self.peers[peer].server.is_none()
    }

    /// Whether nothing is left of the connection of a peer.
    pub(super) fn is_over(&self, peer: usize) -> bool {
        self.peers[peer].dead
    }

    pub(super) fn fin(&mut self, peer: usize) {
        self.peers[peer].finned = true;
        let token = self.peers[peer].token;
        self.arrives(peer, Input::Ended { token, how: Ended::Eof });
    }

    pub(super) fn reset(&mut self, peer: usize) {
        let token = self.peers[peer].token;
        self.arrives(peer, Input::Ended { token, how: Ended::Reset });
    }

    pub(super) fn terminate(&mut self) {
        self.give(Input::Terminate);
    }

    /// The connections that sessions opened to a server, in their order.
    pub(super) fn sessions_at(&self, server: usize) -> Vec<usize> {
        let is_session = |peer: &Peer| peer.server == Some(server) && peer.token.0 & 3 == 2;
        (0..self.peers.len()).filter(|&i| is_session(&self.peers[i])).collect()
    }

    /// The connections of the checks of a server, in their order.
    pub(super) fn checks_at(&self, server: usize) -> Vec<usize> {
        let is_check = |peer: &Peer| peer.server == Some(server) && peer.token.0 & 3 == 0;
        (0..self.peers.len()).filter(|&i| is_check(&self.peers[i])).collect()
    }

    /// The log so far.
    pub(super) fn log(&self) -> Vec<(Time, HaproxyEvent)> {
        let event = |what: &What| match what {
            What::Event(Event::Haproxy(event)) => Some(event.clone()),
            _ => None,
        };
        self.bench.records().iter().filter_map(|r| Some((r.time, event(&r.what)?))).collect()
    }

    /// When a server last came up or went down, if it did since `since`.
    pub(super) fn changed(&self, server: usize, to_up: bool, since: Time) -> Option<Time> {
        let is_it = |event: &HaproxyEvent| matches!(event, HaproxyEvent::Server { server: s, up, .. } if s.0 as usize == server && *up == to_up);
        self.log().iter().find(|(at, event)| *at >= since && is_it(event)).map(|(at, _)| *at)
    }
}
