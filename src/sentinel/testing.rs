//! A small laboratory for one Sentinel: a virtual clock and peers that answer at once.
//!
//! Peers are fakes: they know just enough to answer. A message takes [`LATENCY`] each way. Nothing here is random.

use std::collections::BTreeMap;

use super::{Config, Sentinel, Setup};
use crate::kernel::{Purpose, Span, Stream, Time};
use crate::program::testing::{Bench, Next};
use crate::program::{Action, ConnectError, Ended, Input, Sock, Token};
use crate::record::{Event, SentinelEvent, SentinelEventKind, What};
use crate::wire::{
    Addr, ChannelId, Command, ErrorKind, GroupId, Hello, Info, InfoReplica, Ip, MasterCommand, MasterLink, Message,
    Payload, ReplId, ReplicaState, Reply, Role, RunId, SentinelCommand, SentinelReply,
};

/// One way.
pub(super) const LATENCY: Span = Span::from_micros(200);

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Answers.
    Live,
    /// Its process is gone, its host is there.
    Refusing,
    /// Neither answers nor refuses.
    Silent,
}

/// A peer: a Redis node, or another Sentinel if it has an id.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub mode: Mode,
    pub ping: Reply,
    /// A Redis node's INFO.
    pub info: Info,
    /// A Sentinel's id.
    pub id: Option<RunId>,
    /// What a Sentinel thinks of the master.
    pub thinks_down: bool,
    /// Whether it votes for whoever asks.
    pub votes: bool,
    /// An epoch in which it voted for somebody else.
    pub voted: Option<(RunId, u32)>,
    /// What it received, with the time in ms.
    pub received: Vec<(u64, Command)>,
    /// The transaction being queued.
    queued: Option<Command>,
    /// Whether it obeys transactions.
    pub obeys: bool,
}

pub(super) fn addr(host: u16) -> Addr {
    let port = if host > 10 { 26379 } else { 6379 };
    Addr::new(Ip(host.into()), port)
}

/// Master at 1, replicas at 2, 3, …; this Sentinel at 11, the others at 12, 13, …
pub(super) struct Lab {
    pub sentinel: Sentinel,
    pub peers: BTreeMap<Addr, Peer>,
    pub bench: Bench<Input>,
    pub exited: bool,
    /// What the Sentinel announced to whom.
    pub hellos: Vec<(u64, Addr, Hello)>,
    pub replies: Vec<Reply>,
    conns: Vec<(Sock, Token, Addr)>,
    seen: usize,
}

pub(super) fn node(role: Role, replicas: &[Addr]) -> Peer {
    let line = |&addr: &Addr| InfoReplica { addr, state: ReplicaState::Online, offset: 1000, lag_s: 0 };
    let link = MasterLink {
        master: addr(1),
        by_name: false,
        up: true,
        down_since_s: None,
        offset: 1000,
        priority: 100,
        announced: true,
        sync_in_progress: false,
    };
    let info = Info {
        run_id: RunId(0),
        role,
        link: (role == Role::Slave).then_some(link),
        replicas: replicas.iter().map(line).collect(),
        replid: ReplId(1),
        replid2: ReplId::NONE,
        offset: 1000,
        second_offset: -1,
        loading: false,
        shutdown_in: None,
        connected_clients: 1,
    };
    Peer {
        mode: Mode::Live,
        ping: Reply::Pong,
        info,
        id: None,
        thinks_down: false,
        votes: true,
        voted: None,
        received: Vec::new(),
        queued: None,
        obeys: true,
    }
}

impl Lab {
    /// A new Sentinel in front of a master, replicas and other Sentinels that have not yet spoken.
    pub(super) fn with(config: Config, replicas: u16, sentinels: u16, seed: u64) -> Lab {
        let setup = Setup {
            config,
            me: addr(11),
            id: RunId(11),
            program: Stream::named(seed, 1, Purpose::Program),
            work: Stream::named(seed, 1, Purpose::Work),
            state: None,
            masters: [(GroupId::ONLY, addr(1))].into(),
        };
        let slaves: Vec<Addr> = (2..2 + replicas).map(addr).collect();
        let mut peers = BTreeMap::new();
        peers.insert(addr(1), node(Role::Master, &slaves));
        for &slave in &slaves {
            peers.insert(slave, node(Role::Slave, &[]));
        }
        for host in 12..12 + sentinels {
            let mut peer = node(Role::Master, &[]);
            peer.id = Some(RunId(host as u64));
            peers.insert(addr(host), peer);
        }
        for (at, peer) in &mut peers {
            peer.info.run_id = RunId(u64::from(at.ip.0));
        }
        let mut lab = Lab {
            sentinel: Sentinel::new(setup),
            peers,
            bench: Bench::at(Time::ZERO),
            exited: false,
            hellos: Vec::new(),
            replies: Vec::new(),
            conns: Vec::new(),
            seen: 0,
        };
        lab.give(Input::Start);
        lab
    }

    /// The usual stack with the demo's settings, ready: every other Sentinel has said hello once.
    pub(super) fn ready(replicas: u16, sentinels: u16) -> Lab {
        Lab::ready_with(Config::default(), replicas, sentinels)
    }

    pub(super) fn ready_with(config: Config, replicas: u16, sentinels: u16) -> Lab {
        let mut lab = Lab::with(config, replicas, sentinels, 7);
        lab.run(1_000);
        for host in 12..12 + sentinels {
            lab.hear(host, 0, addr(1), 0);
        }
        lab.run(24_000);
        assert_eq!(lab.sentinel.knows(GroupId::ONLY), (replicas as usize, sentinels as usize));
        lab
    }

    /// A hello arrives from the Sentinel at `host`, directly.
    pub(super) fn hear(&mut self, host: u16, epoch: u32, master: Addr, config_epoch: u32) {
        let hello =
            Hello { sentinel: addr(host), id: RunId(host as u64), epoch, group: GroupId::ONLY, master, config_epoch };
        self.command(Command::Publish(ChannelId::HELLO, Payload::Hello(hello)));
    }

    /// A client's command.
    pub(super) fn command(&mut self, command: Command) {
        self.give(Input::Command(Message::Command(command)));
    }

    /// SIGTERM.
    pub(super) fn terminate(&mut self) {
        self.give(Input::Terminate);
    }

    /// A client connects, gives a command, reads the reply and goes.
    pub(super) fn ask(&mut self, command: SentinelCommand) -> Reply {
        self.give_command(Command::Sentinel(Box::new(command)))
    }

    /// A command over a connection of its own, and its reply.
    pub(super) fn give_command(&mut self, command: Command) -> Reply {
        let sock = self.bench.handles().allocate();
        self.give(Input::Accepted { sock, from: Ip(99) });
        let token = self.conns.last().expect("it was accepted").1;
        let before = self.replies.len();
        self.give(Input::Data { token, message: Message::Command(command) });
        self.give(Input::Ended { token, how: Ended::Eof });
        assert_eq!(self.replies.len(), before + 1, "each command has one reply");
        self.replies[before].clone()
    }

    /// Asks about the master.
    pub(super) fn ask_about(&mut self, command: MasterCommand) -> Reply {
        self.ask(SentinelCommand::About(Some(GroupId::ONLY), command))
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.bench.now.as_millis()
    }

    pub(super) fn peer(&mut self, host: u16) -> &mut Peer {
        self.peers.get_mut(&addr(host)).expect("the peer exists")
    }

    /// The process of a peer dies.
    pub(super) fn kill(&mut self, host: u16) {
        self.peer(host).mode = Mode::Refusing;
        self.end_connections(addr(host), None);
    }

    fn end_connections(&mut self, to: Addr, but: Option<Sock>) {
        let gone: Vec<Token> =
            self.conns.iter().filter(|(sock, _, peer)| *peer == to && Some(*sock) != but).map(|c| c.1).collect();
        for token in gone {
            self.post(LATENCY, Input::Ended { token, how: Ended::Eof });
        }
    }

    fn post(&mut self, after: Span, input: Input) {
        self.bench.post(self.bench.now + after, input);
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, span_ms: u64) {
        let until = self.bench.now + Span::from_millis(span_ms);
        while !self.exited
            && let Some(next) = self.bench.next(until)
        {
            match next {
                Next::Arrival(input) => self.give(input),
                Next::Timer(_, timer) => {
                    self.give(Input::Timer(timer));
                    assert!(self.bench.has_timer(0) || self.exited, "a Sentinel always has its timer");
                }
            }
        }
        self.bench.now = self.bench.now.max(until);
    }

    fn give(&mut self, input: Input) {
        // An input for a connection that was closed meanwhile does not arrive.
        if let Input::Data { token, .. } | Input::Ended { token, .. } | Input::ConnectFailed { token, .. } = &input
            && !self.conns.iter().any(|conn| conn.1 == *token)
        {
            return;
        }
        if let Input::ConnectFailed { token, .. } = &input {
            let token = *token;
            self.conns.retain(|conn| conn.1 != token);
        }
        let (ended, actions) = self.bench.pass(0, |out| self.sentinel.handle(input, out));
        self.bench.now = ended;
        actions.into_iter().for_each(|action| self.carry_out(action));
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect { sock, to, token } => {
                self.conns.push((sock, token, to));
                match self.peers.get(&to).map(|peer| peer.mode) {
                    Some(Mode::Live) => self.post(LATENCY, Input::Connected { token }),
                    Some(Mode::Silent) => {}
                    _ => self.post(LATENCY, Input::ConnectFailed { token, error: ConnectError::Refused }),
                }
            }
            Action::Accept { sock, token } => self.conns.push((sock, token, addr(99))),
            Action::Send { sock, message } => match message {
                Message::Command(command) => self.serve(sock, command),
                Message::Reply(reply) => self.replies.push(reply),
                _ => panic!("a Sentinel sends commands and replies"),
            },
            Action::Close(sock) => {
                let closed = self.conns.iter().position(|conn| conn.0 == sock).map(|index| self.conns.remove(index).1);
                self.bench.retain(|input| match input {
                    Input::Data { token, .. }
                    | Input::Ended { token, .. }
                    | Input::Connected { token }
                    | Input::ConnectFailed { token, .. } => Some(*token) != closed,
                    _ => true,
                });
            }
            Action::Listen => {}
            Action::Exit => self.exited = true,
            _ => panic!("a Sentinel does not do that"),
        }
    }

    /// A peer receives a command and answers after two latencies.
    fn serve(&mut self, sock: Sock, command: Command) {
        let Some(&(_, token, to)) = self.conns.iter().find(|conn| conn.0 == sock) else { return };
        let now = self.bench.now.as_millis();
        let Some(peer) = self.peers.get_mut(&to) else { return };
        peer.received.push((now, command.clone()));
        if let Command::Publish(_, Payload::Hello(hello)) = &command {
            self.hellos.push((now, to, *hello));
        }
        if peer.mode != Mode::Live {
            return;
        }
        let mut cut = false;
        let reply = match &command {
            Command::Ping => peer.ping.clone(),
            Command::Info(_) => Reply::Info(Box::new(peer.info.clone())),
            Command::Publish(..) => Reply::Int(1),
            Command::Subscribe(channel) => Reply::Subscribed(*channel, 1),
            Command::Multi | Command::ClientSetName => Reply::Ok,
            Command::ReplicaOf(_) => {
                peer.queued = Some(command.clone());
                Reply::Queued
            }
            Command::Exec => {
                if let (true, Some(Command::ReplicaOf(master))) = (peer.obeys, peer.queued.take()) {
                    peer.info.role = if master.is_some() { Role::Slave } else { Role::Master };
                    let like = node(Role::Slave, &[]).info.link.expect("a replica has a link");
                    peer.info.link = master.map(|master| MasterLink { master, by_name: false, ..like });
                    cut = true;
                }
                Reply::Exec
            }
            Command::Sentinel(question) => match **question {
                SentinelCommand::IsMasterDownByAddr { epoch, candidate, .. } => {
                    if let (Some(candidate), true) = (candidate, peer.votes)
                        && peer.voted.is_none_or(|(_, voted)| voted < epoch)
                    {
                        peer.voted = Some((candidate, epoch));
                    }
                    let vote = candidate.and(peer.voted);
                    Reply::Sentinel(Box::new(SentinelReply::MasterDown {
                        down: peer.thinks_down,
                        leader: vote.map(|vote| vote.0),
                        leader_epoch: vote.map_or(0, |vote| vote.1),
                    }))
                }
                _ => Reply::Error(ErrorKind::Err),
            },
            _ => Reply::Queued,
        };
        self.post(LATENCY * 2, Input::Data { token, message: Message::Reply(reply) });
        if let Command::Publish(channel, payload) = command {
            // The Pub/Sub connection hears it as well.
            let others: Vec<Token> = self.conns.iter().filter(|c| c.2 == to && c.0 != sock).map(|c| c.1).collect();
            for token in others {
                self.post(LATENCY * 2, Input::Data { token, message: Message::Push(channel, payload) });
            }
        }
        if cut {
            self.end_connections(to, Some(sock));
        }
    }

    /// Log lines since the last call, with their times in ms; lines about saving are left out.
    pub(super) fn events(&mut self) -> Vec<(u64, SentinelEvent)> {
        let records = &self.bench.records()[self.seen..];
        let events = records.iter().filter_map(|record| match &record.what {
            What::Event(Event::Sentinel(SentinelEvent::ConfigSaved)) => None,
            What::Event(Event::Sentinel(event)) => Some((record.time.as_millis(), event.clone())),
            _ => None,
        });
        let events = events.collect();
        self.seen = self.bench.records().len();
        events
    }

    /// The first words of the log lines since the last call, with the host they are about.
    pub(super) fn lines(&mut self) -> Vec<String> {
        self.events().iter().map(|(_, event)| short(event)).collect()
    }
}

/// `+sdown 1`, `+vote-for-leader 11 1`, …
pub(super) fn short(event: &SentinelEvent) -> String {
    match event {
        SentinelEvent::About(kind, who) => format!("{} {}", kind.as_str(), who.addr.ip.0),
        SentinelEvent::Odown(_, count, quorum) => format!("+odown {count}/{quorum}"),
        SentinelEvent::NewEpoch(epoch) => format!("+new-epoch {epoch}"),
        SentinelEvent::VoteForLeader(id, epoch) => format!("+vote-for-leader {} {epoch}", id.0),
        SentinelEvent::VotedFor(voter, id, epoch) => format!("{} voted for {} {epoch}", voter.0, id.0),
        SentinelEvent::SwitchMaster(_, old, new) => format!("+switch-master {} {}", old.ip.0, new.ip.0),
        SentinelEvent::SentinelAddressSwitch(_, to, id) => format!("+sentinel-address-switch {} {}", to.ip.0, id.0),
        SentinelEvent::Set(_, what) => format!("+set {what}"),
        SentinelEvent::UserFailover(_) => "UserFailover".to_string(),
        SentinelEvent::Tilt(on) => if *on { "+tilt" } else { "-tilt" }.to_string(),
        SentinelEvent::NextFailoverDelay(_) => "next-failover-delay".to_string(),
        other => format!("{other:?}"),
    }
}

/// The time of the first event of a kind about a host.
pub(super) fn when(events: &[(u64, SentinelEvent)], kind: SentinelEventKind, host: u16) -> Option<u64> {
    let is = |event: &SentinelEvent| matches!(event, SentinelEvent::About(k, who) if *k == kind && who.addr.ip.0 == u32::from(host));
    events.iter().find(|(_, event)| is(event)).map(|(time, _)| *time)
}
