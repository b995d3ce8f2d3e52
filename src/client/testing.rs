//! A client, a clock and a scripted service: the smallest world that a client can live in.

use super::{Client, Config, Kind, Profile, Setup, Target};
use crate::kernel::{Purpose, Span, Stream, Time};
use crate::program::testing::{self, Next};
use crate::program::{Action, ConnectError, Ended, Input, Sock, Token};
use crate::record::{Op, Outcome, Record, What};
use crate::wire::{
    Addr, ChannelId, Command, ErrorKind, GroupId, Ip, MasterCommand, Message, Payload, Reply, RoleInfo,
    SentinelCommand, SentinelReply,
};

/// What the service does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Service {
    /// Answers as a master with one subscriber does.
    Healthy,
    /// Opens, reads, and never answers.
    Silent,
    /// SYNs vanish.
    BlackHole,
    /// Fails connects.
    Fails(ConnectError),
    /// Opens and closes at once.
    Closes,
    /// Answers writes with this error.
    Error(ErrorKind),
}

/// Half a round trip.
const LATENCY: Span = Span::from_micros(50);
pub(super) const SERVICE: Addr = Addr::new(Ip(1), 6379);
pub(super) const CHANNEL: ChannelId = ChannelId(1);

/// A client in a small world.
pub(super) struct Bench {
    pub(super) client: Client,
    pub(super) service: Service,
    /// What Sentinels (any address but the service's) answer; none are silent.
    pub(super) master: Option<Addr>,
    /// What WAIT is answered; none: nothing.
    pub(super) replicas: Option<i64>,
    /// The flags of the master in SENTINEL MASTER.
    pub(super) flags: &'static str,
    /// Every command that was written, with its time and socket.
    pub(super) written: Vec<(Time, Sock, Command)>,
    /// Every connect, with its time and address.
    pub(super) connects: Vec<(Time, Addr)>,
    pub(super) exited: bool,
    bench: testing::Bench<(Sock, Input)>,
    socks: Vec<(Sock, Token, Addr, bool)>,
}

impl Bench {
    pub(super) fn new(config: Config) -> Bench {
        Bench::with_target(config, Target::Proxy(SERVICE))
    }

    pub(super) fn with_target(config: Config, target: Target) -> Bench {
        let program = Stream::named(1, 1, Purpose::Program);
        let work = Stream::named(1, 1, Purpose::Work);
        let setup = Setup {
            config,
            index: 0,
            target,
            channel: CHANNEL,
            counted: 0,
            origin: Time(2_000_000_000),
            program,
            work,
        };
        Bench {
            client: Client::new(setup),
            service: Service::Healthy,
            master: Some(SERVICE),
            replicas: Some(2),
            flags: "master",
            written: Vec::new(),
            connects: Vec::new(),
            exited: false,
            bench: testing::Bench::at(Time(1_000_000_000)),
            socks: Vec::new(),
        }
    }

    /// A client that has run for 170 ms, and all of whose SETs were answered: what it did is forgotten.
    pub(super) fn started(config: Config) -> Bench {
        let mut bench = Bench::new(config);
        bench.start(170);
        let outcomes = bench.outcomes();
        assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == Outcome::Ok), "{outcomes:?}");
        bench.forget();
        bench
    }

    /// Now.
    pub(super) fn now(&self) -> Time {
        self.bench.now
    }

    /// Starts the client and lets it run for a while.
    pub(super) fn start(&mut self, millis: u64) {
        self.give(Input::Start);
        self.run(millis);
    }

    /// Gives one input now.
    pub(super) fn give(&mut self, input: Input) {
        let (at, actions) = self.bench.pass(0, |out| self.client.handle(input, out));
        actions.into_iter().for_each(|action| self.act(at, action));
    }

    fn later(&mut self, at: Time, sock: Sock, input: Input) {
        self.bench.post(at + LATENCY + LATENCY, (sock, input));
    }

    fn act(&mut self, at: Time, action: Action) {
        match action {
            Action::Connect { sock, to, token } => {
                self.connects.push((at, to));
                self.socks.push((sock, token, to, false));
                let service = if to == SERVICE { self.service } else { Service::Healthy };
                match service {
                    Service::BlackHole => {}
                    Service::Fails(error) => self.later(at, sock, Input::ConnectFailed { token, error }),
                    _ => self.later(at, sock, Input::Connected { token }),
                }
            }
            Action::Send { sock, message: Message::Command(command) } => {
                let (_, token, to, _) = *self.find(sock).expect("a client writes to a socket that it has");
                self.written.push((at, sock, command.clone()));
                if let Some(reply) = self.answer(to, &command) {
                    self.later(at, sock, Input::Data { token, message: Message::Reply(reply) });
                }
            }
            Action::Close(sock) => self.drop_sock(sock),
            Action::Exit => self.exited = true,
            other => panic!("a client does not {other:?}"),
        }
    }

    fn find(&self, sock: Sock) -> Option<&(Sock, Token, Addr, bool)> {
        self.socks.iter().find(|(open, ..)| *open == sock)
    }

    fn drop_sock(&mut self, sock: Sock) {
        assert!(self.find(sock).is_some(), "a socket is closed once");
        self.socks.retain(|(open, ..)| *open != sock);
        self.bench.retain(|(on, _)| *on != sock);
        self.bench.handles().release(sock);
    }

    fn answer(&self, to: Addr, command: &Command) -> Option<Reply> {
        if to != SERVICE {
            let addr = self.master?;
            let answer = match command {
                Command::Subscribe(channel) => return Some(Reply::Subscribed(*channel, 1)),
                Command::Sentinel(command) => match &**command {
                    SentinelCommand::GetMasterAddrByName(Some(GroupId::ONLY)) => SentinelReply::MasterAddr(Some(addr)),
                    SentinelCommand::About(Some(GroupId::ONLY), MasterCommand::Master) => SentinelReply::Master {
                        flags: self.flags.to_owned(),
                        addr,
                        slaves: 2,
                        sentinels: 2,
                        quorum: 2,
                        config_epoch: 0,
                    },
                    other => panic!("no client asks {other:?}"),
                },
                other => panic!("no client asks {other:?}"),
            };
            return Some(Reply::Sentinel(Box::new(answer)));
        }
        match (self.service, command) {
            (Service::Error(kind), Command::Publish(..) | Command::Set(..) | Command::Get(_)) => {
                Some(Reply::Error(kind))
            }
            (Service::Healthy, Command::Wait { .. }) => self.replicas.map(Reply::Int),
            (Service::Healthy | Service::Error(_), command) => Some(match command {
                Command::Publish(..) => Reply::Int(1),
                Command::Set(..) => Reply::Ok,
                Command::Get(_) => Reply::Value(Some(7)),
                Command::Subscribe(channel) => Reply::Subscribed(*channel, 1),
                Command::Ping => Reply::Pong,
                Command::NoOp => Reply::Ok,
                Command::Role => Reply::Role(Box::new(RoleInfo::Master { offset: 0, replicas: Vec::new() })),
                other => panic!("no client of these sends {other:?}"),
            }),
            _ => None,
        }
    }

    /// Lets time go by.
    pub(super) fn run(&mut self, millis: u64) {
        let until = self.bench.now + Span::from_millis(millis);
        while let Some(next) = self.bench.next(until) {
            match next {
                Next::Arrival((sock, input)) => self.deliver(sock, input),
                Next::Timer(_, timer) => self.give(Input::Timer(timer)),
            }
        }
    }

    fn deliver(&mut self, sock: Sock, input: Input) {
        match &input {
            Input::Connected { token } => {
                let token = *token;
                self.socks.iter_mut().find(|(open, ..)| *open == sock).expect("it exists").3 = true;
                if self.service == Service::Closes {
                    self.later(self.bench.now, sock, Input::Ended { token, how: Ended::Eof });
                }
            }
            Input::ConnectFailed { .. } | Input::Ended { how: Ended::Reset | Ended::TimedOut, .. } => {
                self.drop_sock(sock);
            }
            _ => {}
        }
        self.give(input);
    }

    /// Ends every open connection from the other side.
    pub(super) fn cut(&mut self, how: Ended) {
        let open: Vec<(Sock, Token)> =
            self.socks.iter().filter(|(.., open)| *open).map(|(sock, token, ..)| (*sock, *token)).collect();
        for (sock, token) in open {
            if self.find(sock).is_some() {
                self.bench.retain(|(on, _)| *on != sock);
                self.deliver(sock, Input::Ended { token, how });
            }
        }
    }

    /// Sends a published message to every open connection.
    pub(super) fn push(&mut self, seq: u32) {
        let open: Vec<Token> = self.socks.iter().filter(|(.., open)| *open).map(|(_, token, ..)| *token).collect();
        for token in open {
            let message = Message::Push(CHANNEL, Payload::Sequence { publisher: 3, seq, bytes: 0 });
            self.give(Input::Data { token, message });
        }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.socks.iter().filter(|(.., open)| *open).count()
    }

    /// What the client recorded: milliseconds since the bench began, and the line.
    pub(super) fn ops(&self) -> Vec<(f64, Op)> {
        let line = |record: &Record| match record.what {
            What::Op(op) => (record.time.seconds_since(Time(1_000_000_000)) * 1e3, op),
            What::Event(_) => panic!("a client writes no log"),
        };
        self.bench.records().iter().map(line).collect()
    }

    /// How its SETs ended.
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |op| if let Op::Set { outcome, .. } = op { Some(outcome) } else { None };
        self.ops().into_iter().filter_map(|(_, op)| outcome(op)).collect()
    }

    /// Forgets what was recorded, written and connected so far.
    pub(super) fn forget(&mut self) {
        self.bench.forget();
        self.written.clear();
        self.connects.clear();
    }

    /// Milliseconds since the bench began.
    pub(super) fn millis(time: Time) -> f64 {
        time.seconds_since(Time(1_000_000_000)) * 1e3
    }
}

/// A client of a library in a test.
pub(super) fn library(kind: Kind, word: &str) -> Config {
    let library = super::LibraryId::find(word).expect("there is such a library");
    Config { name: "client".to_owned(), kind, library, ..Config::default() }
}

/// Settings of a client in a test.
pub(super) fn config(kind: Kind, profile: Profile) -> Config {
    let profile = Some(profile);
    let mut config = Config { name: "client".to_owned(), kind, profile, ..Config::default() };
    config.take_profile();
    config
}
