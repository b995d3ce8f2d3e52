//! The client programs: publishers, subscribers, writers and load, with the habits of several client libraries.
//!
//! Like every program of the stack a [`Client`] is a state machine without I/O: inputs go in, actions come out, and
//! nothing happens while it is not called (the contract is in [`crate::net`]). What it did and saw leaves as
//! [`Op`]s; the time of an attempt is its beginning.
//!
//! What a client library is, stands in a row of [`library`]; what its row says, in `habits`.
//!
//! | clients | file |
//! | --- | --- |
//! | of the recordings: blocking, in Python, through HAProxy or by asking Sentinels | `reference.rs`, `line.rs`, `sentinel_aware.rs` |
//! | the demo's, on go-redis 8: pool, retries, Pub/Sub | `go_redis.rs`, `go_pool.rs`, `go_pubsub.rs` |
//! | of any other library or of settings: connections when a command needs one | `caller.rs` |
//! | … one connection for all commands | `multiplexed.rs` |
//! | … subscribers | `listener.rs`; those whose connection a second thread looks after, `checked_listener.rs` |
//! | … and what those three share: the way to the master, a connection | `route.rs`, `link.rs` |
//! | in a closed loop (`pause`) | `load.rs`, `tally.rs` |
//! | subscribing on several `connections` | `crowd.rs` |
//!
//! A publisher of go-redis with `then-set` records its SETs under its own node; the recordings of the real stack list
//! them under the name `writer`.

mod caller;
mod checked_listener;
mod config;
mod crowd;
mod go_pool;
mod go_pubsub;
mod go_random;
mod go_redis;
pub(crate) mod habits;
mod histogram;
pub mod library;
mod line;
mod link;
mod listener;
mod load;
mod multiplexed;
mod reference;
mod route;
mod sentinel_aware;
mod tally;
#[cfg(test)]
mod testing;
mod timing;

pub use config::{Config, Kind, Pause, Profile, Via, Wait};
pub use histogram::Histogram;
pub use library::{Library, LibraryId};
pub use load::LoadReport;
pub use tally::{End, Slice, Tally, Times};

use library::Engine;

use crate::kernel::{Span, Stream, Time};
use crate::program::{Ended, Input, Out, Sock};
use crate::record::{Op, Outcome};
use crate::wire::{Addr, ChannelId, Command, ErrorKind, Key, Payload, Reply};

/// Where a client finds Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// At one address: HAProxy, or a node itself.
    Proxy(Addr),
    /// At the address that the Sentinels name.
    Sentinels(Vec<Addr>),
}

/// What a client needs to begin.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its settings.
    pub config: Config,
    /// Its place among the clients: the publisher of its messages, and its key space.
    pub index: u16,
    /// Where it finds Redis.
    pub target: Target,
    /// Its channel.
    pub channel: ChannelId,
    /// SEQs that earlier lives of it have given out: it goes on behind them, so that no two of its messages and keys are
    /// called the same.
    pub counted: u32,
    /// Time 0.
    pub origin: Time,
    /// The choices that it makes itself.
    pub program: Stream,
    /// How long its own work takes.
    pub work: Stream,
}

impl Setup {
    /// The habits of its library and its own settings, with as many Sentinels as it knows.
    fn habits(&self) -> habits::Habits {
        let habits = self.config.habits();
        match &self.target {
            Target::Sentinels(sentinels) if habits.asking.tries_next => {
                habits::Habits { dials: u32::try_from(sentinels.len()).unwrap_or(u32::MAX), ..habits }
            }
            _ => habits,
        }
    }
}

/// Connections that a load generator opens in one go, and the pause after them (`redis-benchmark.c`,
/// `createMissingClients`).
const OPENED_AT_ONCE: usize = 64;
const OPENING_PAUSE: Span = Span::from_millis(50);

/// What a client did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Attempts that began; of a subscriber, connections that it began to open.
    pub attempted: u64,
    /// Attempts that were answered without error; of a subscriber, confirmations.
    pub ok: u64,
    /// Messages that a subscriber read.
    pub received: u64,
}

/// A client program of one's own: a state machine without I/O, as all programs of a world are.
///
/// It is called with what happens to it ([`Input`]) and says in [`Out`] what it wants done: connect, write, close, set a
/// timer, record an attempt ([`Out::op`]). It reads no clock but [`Out::now`]; nothing happens while it is not called. What
/// differs from run to run it draws from the streams of its [`Setup`] and from nothing else: then the same seed gives the
/// same run.
pub trait ClientProgram: std::fmt::Debug + Send + Sync {
    /// Something happens to it. [`Input::Start`] comes first.
    fn handle(&mut self, input: Input, out: &mut Out);

    /// A copy of it as it is now: a world can be copied at any moment.
    fn clone_box(&self) -> Box<dyn ClientProgram>;

    /// What it did so far.
    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Whether it has a connection that, as far as it knows, is open.
    fn is_connected(&self) -> bool {
        false
    }

    /// The random streams that it keeps.
    fn streams(&mut self) -> Vec<&mut Stream> {
        Vec::new()
    }

    /// The last SEQ that it has given out: a later life goes on behind it ([`Setup::counted`]).
    fn numbered(&self) -> u32 {
        0
    }
}

impl Clone for Box<dyn ClientProgram> {
    fn clone(&self) -> Self {
        self.clone_box()
    }
}

/// Makes a program of one's own when its process starts.
pub type Make = fn(Setup) -> Box<dyn ClientProgram>;

#[derive(Clone, Debug)]
enum Program {
    Writer(Box<reference::Writer>),
    Subscriber(Box<reference::Subscriber>),
    GoWriter(Box<go_redis::Writer>),
    GoSubscriber(Box<go_pubsub::Subscriber>),
    Load(Box<load::Load>),
    Crowd(Box<crowd::Crowd>),
    Caller(Box<caller::Caller>),
    Multiplexed(Box<multiplexed::Multiplexed>),
    Listener(Box<listener::Listener>),
    CheckedListener(Box<checked_listener::CheckedListener>),
    Own(Box<dyn ClientProgram>),
}

/// A client program.
#[derive(Clone, Debug)]
pub struct Client {
    program: Program,
}

impl Client {
    /// A client that has not begun to run.
    pub fn new(setup: Setup) -> Client {
        let closed_loop = setup.config.pause.is_some() || setup.config.connections > 1;
        let multiplex = setup.config.habits().multiplex.is_some();
        let program = match (setup.config.kind, setup.config.engine()) {
            (Kind::Subscribe, _) if setup.config.connections > 1 => Program::Crowd(Box::new(crowd::Crowd::new(setup))),
            (Kind::Subscribe, Engine::GoV8) => Program::GoSubscriber(Box::new(go_pubsub::Subscriber::new(setup))),
            (Kind::Subscribe, Engine::Reference) => Program::Subscriber(Box::new(reference::Subscriber::new(setup))),
            (Kind::Subscribe, Engine::Habits) => match setup.config.habits().listening.check {
                Some(check) => Program::CheckedListener(Box::new(checked_listener::CheckedListener::new(setup, check))),
                None => Program::Listener(Box::new(listener::Listener::new(setup))),
            },
            _ if closed_loop => Program::Load(Box::new(load::Load::new(setup))),
            (_, Engine::GoV8) => Program::GoWriter(Box::new(go_redis::Writer::new(setup))),
            (_, Engine::Reference) => Program::Writer(Box::new(reference::Writer::new(setup))),
            (_, Engine::Habits) if multiplex => Program::Multiplexed(Box::new(multiplexed::Multiplexed::new(setup))),
            (_, Engine::Habits) => Program::Caller(Box::new(caller::Caller::new(setup))),
        };
        Client { program }
    }

    /// A client that runs a program of one's own.
    pub fn own(program: Box<dyn ClientProgram>) -> Client {
        Client { program: Program::Own(program) }
    }

    /// Something happens to the client.
    pub fn handle(&mut self, input: Input, out: &mut Out) {
        match input {
            // None of these programs has a signal handler, listens, or takes commands.
            Input::Terminate if !self.is_own() => out.exit(),
            Input::Accepted { sock, .. } if !self.is_own() => out.close(sock),
            Input::Command(_) if !self.is_own() => {}
            input => match &mut self.program {
                Program::Writer(writer) => writer.handle(input, out),
                Program::Subscriber(subscriber) => subscriber.handle(input, out),
                Program::GoWriter(writer) => writer.handle(input, out),
                Program::GoSubscriber(subscriber) => subscriber.handle(input, out),
                Program::Load(load) => load.handle(input, out),
                Program::Crowd(crowd) => crowd.handle(input, out),
                Program::Caller(caller) => caller.handle(input, out),
                Program::Multiplexed(multiplexed) => multiplexed.handle(input, out),
                Program::Listener(listener) => listener.handle(input, out),
                Program::CheckedListener(listener) => listener.handle(input, out),
                Program::Own(own) => own.handle(input, out),
            },
        }
    }

    fn is_own(&self) -> bool {
        matches!(self.program, Program::Own(_))
    }

    /// Its random streams.
    pub(crate) fn streams(&mut self) -> Vec<&mut Stream> {
        match &mut self.program {
            Program::Writer(writer) => vec![writer.timing.stream()],
            Program::Subscriber(subscriber) => vec![subscriber.timing.stream()],
            Program::GoWriter(writer) => vec![writer.timing.stream()],
            Program::GoSubscriber(subscriber) => vec![subscriber.timing.stream()],
            Program::Load(load) => load.streams(),
            Program::Crowd(crowd) => vec![crowd.timing.stream()],
            Program::Caller(caller) => caller.streams(),
            Program::Multiplexed(multiplexed) => multiplexed.streams(),
            Program::Listener(listener) => listener.streams(),
            Program::CheckedListener(listener) => listener.streams(),
            Program::Own(own) => own.streams(),
        }
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        match &self.program {
            Program::Writer(writer) => writer.counters,
            Program::Subscriber(subscriber) => subscriber.counters,
            Program::GoWriter(writer) => writer.counters,
            Program::GoSubscriber(subscriber) => subscriber.counters,
            Program::Load(load) => load.counters(),
            Program::Crowd(crowd) => crowd.counters,
            Program::Caller(caller) => caller.counters,
            Program::Multiplexed(multiplexed) => multiplexed.counters,
            Program::Listener(listener) => listener.counters,
            Program::CheckedListener(listener) => listener.counters,
            Program::Own(own) => own.counters(),
        }
    }

    /// Whether it has a connection that, as far as it knows, is open.
    pub fn is_connected(&self) -> bool {
        match &self.program {
            Program::Writer(writer) => writer.is_connected(),
            Program::Subscriber(subscriber) => subscriber.is_connected(),
            Program::GoWriter(writer) => writer.is_connected(),
            Program::GoSubscriber(subscriber) => subscriber.is_connected(),
            Program::Load(load) => load.is_connected(),
            Program::Crowd(crowd) => crowd.is_connected(),
            Program::Caller(caller) => caller.is_connected(),
            Program::Multiplexed(multiplexed) => multiplexed.is_connected(),
            Program::Listener(listener) => listener.is_connected(),
            Program::CheckedListener(listener) => listener.is_connected(),
            Program::Own(own) => own.is_connected(),
        }
    }

    /// What a client with many connections counted; nothing for one whose attempts are recorded.
    pub fn tally(&self) -> Option<&Tally> {
        match &self.program {
            Program::Load(load) => load.tally(),
            _ => None,
        }
    }

    /// What a crowd has heard and not yet recorded.
    pub fn unrecorded(&self) -> Vec<(Time, Op)> {
        match &self.program {
            Program::Crowd(crowd) => crowd.unrecorded(),
            _ => Vec::new(),
        }
    }

    /// The last SEQ that it, or an earlier life of it, has given out.
    pub fn numbered(&self) -> u32 {
        match &self.program {
            Program::Writer(writer) => writer.seq,
            Program::GoWriter(writer) => writer.seq,
            Program::Load(load) => load.numbered(),
            Program::Own(own) => own.numbered(),
            Program::Caller(caller) => caller.seq,
            Program::Multiplexed(multiplexed) => multiplexed.seq,
            Program::Subscriber(_)
            | Program::GoSubscriber(_)
            | Program::Crowd(_)
            | Program::Listener(_)
            | Program::CheckedListener(_) => 0,
        }
    }

    /// What a closed loop measured; nothing for a client at a pace.
    pub fn load_report(&self) -> Option<&LoadReport> {
        match &self.program {
            Program::Load(load) => Some(load.report()),
            _ => None,
        }
    }
}

/// The command of an attempt; with one key for all keys of the client, or one of its own.
fn command(config: &Config, kind: Kind, channel: ChannelId, index: u16, seq: u32, one: bool) -> Command {
    let key = Key { space: index, one, index: seq };
    match kind {
        Kind::Publish => {
            let bytes = u32::try_from(config.payload).expect("the scenario was checked: Redis takes no longer text");
            Command::Publish(channel, Payload::Sequence { publisher: index, seq, bytes })
        }
        Kind::Set => Command::Set(key, key.number(), config.expiry()),
        Kind::Get => Command::Get(key),
        Kind::Subscribe => unreachable!("a subscriber makes no attempts"),
    }
}

/// Records an attempt that ends now.
fn record_attempt(kind: Kind, seq: u32, began: Time, outcome: Outcome, receivers: Option<u32>, out: &mut Out) {
    let took = out.now().since(began);
    let op = match kind {
        Kind::Publish => Op::Publish { seq, outcome, took, receivers: receivers.filter(|_| outcome == Outcome::Ok) },
        Kind::Set => Op::Set { seq, outcome, took, waited: Span::ZERO, lost: false },
        Kind::Get => Op::Get { seq, outcome, took },
        Kind::Subscribe => unreachable!("a subscriber makes no attempts"),
    };
    out.op(began, op);
}

/// Records an attempt that ends now, of a client that sends WAIT after a SET that was acknowledged at `answered`.
fn record_waited(seq: u32, (began, answered): (Time, Time), outcome: Outcome, out: &mut Out) {
    let (took, waited) = (out.now().since(began), out.now().since(answered));
    out.op(began, Op::Set { seq, outcome, took, waited, lost: false });
}

/// What a reply makes of an attempt.
fn reply_outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Error(ErrorKind::Readonly) => Outcome::Readonly,
        Reply::Error(ErrorKind::Loading) => Outcome::Loading,
        Reply::Error(ErrorKind::NoReplicas) => Outcome::NoReplicas,
        Reply::Error(ErrorKind::MasterDown) => Outcome::MasterDown,
        Reply::Error(ErrorKind::Misconf | ErrorKind::MisconfAof) => Outcome::Misconf,
        Reply::Error(ErrorKind::Busy) => Outcome::Busy,
        Reply::Error(_) => Outcome::Err,
        _ => Outcome::Ok,
    }
}

/// The client closes its side of a connection that ended, if there is anything left of it.
fn close_after(how: Ended, sock: Sock, out: &mut Out) {
    match how {
        Ended::Eof => out.close(sock),
        Ended::Reset | Ended::TimedOut => {}
    }
}

#[cfg(test)]
mod tests;
