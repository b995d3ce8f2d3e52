//! Closed loops: every connection sends its next command when the reply to the last is there.
//!
//! One connection is a script, as `redis-mock-data`: a pause, a command, its reply; every attempt is recorded, and after
//! a failure it connects anew with the next attempt. Several connections load Redis as `redis-benchmark` 7.0 does: they
//! are opened 64 at a time with 50 ms in between, share the number of requests, use one key, and count and measure
//! ([`Tally`]) instead of recording (`redis-benchmark.c`: `createMissingClients`, `writeHandler`, `readHandler`). There
//! the likeness ends: `redis-benchmark` exits with its first broken connection, which would make every test of a failover
//! the test of a program that is not there. This one is a program that goes on: a connection that fails or ends is opened
//! anew with the next attempt, after its pause and at least [`RETRY_PAUSE`].
//!
//! No attempt has a time limit of its own: a connection waits for its reply as long as the kernel keeps it.

use super::histogram::Histogram;
use super::sentinel_aware::{Answer, Asker};
use super::tally::Tally;
use super::timing::Timing;
use super::{
    Config, Counters, Kind, OPENED_AT_ONCE, OPENING_PAUSE, Setup, Target, command, record_attempt, reply_outcome,
};
use crate::kernel::{Span, Stream, Time};
use crate::program::{ConnectError, Ended, Input, Out, Sock, TimerId, Token};
use crate::record::Outcome;
use crate::wire::{Addr, ChannelId, Message, Reply};

/// The pause after all Sentinels were asked in vain.
const ASKING_PAUSE: Span = Span::from_secs(1);
/// The least pause of one of several connections after a failure: that of the reference's subscriber.
const RETRY_PAUSE: Span = Span::from_millis(100);

/// The asker's, and those of the whole program; connection `n` has token and timer `FIRST + n`.
const SENTINEL: Token = Token(0);
const ASKING: TimerId = TimerId(0);
const OPENING: TimerId = TimerId(1);
const FIRST: u32 = 2;

/// What a closed loop measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Requests that were begun.
    pub issued: u64,
    /// Requests that were answered without error.
    pub ok: u64,
    /// Requests that were answered with an error.
    pub errors: u64,
    /// Requests that were not answered: their connection failed.
    pub lost: u64,
    /// When the program started.
    pub started: Time,
    /// When the last reply came.
    pub finished: Time,
    /// From writing a command to reading its reply.
    pub latency: Histogram,
}

impl LoadReport {
    /// Replies per second, rounded down; zero if no time went by.
    pub fn replies_per_second(&self) -> u64 {
        let nanos = u128::from(self.finished.saturating_since(self.started).0);
        let replies = u128::from(self.ok + self.errors);
        u64::try_from((replies * 1_000_000_000).checked_div(nanos).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Waits for the Sentinels' answer.
    Asking,
    Connecting(Sock),
    /// Between two requests.
    Idle(Sock),
    Waiting(Sock),
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    state: State,
    began: Time,
    seq: u32,
}

/// A program that loads Redis in closed loops.
#[derive(Clone, Debug)]
pub(super) struct Load {
    config: Config,
    index: u16,
    channel: ChannelId,
    timing: Timing,
    pauses: Stream,
    addr: Option<Addr>,
    asker: Option<Asker>,
    /// Whether the Sentinels are being asked.
    asking: bool,
    lanes: Vec<Lane>,
    /// Attempts of earlier lives: SEQs go on behind them.
    counted: u32,
    tally: Tally,
    report: LoadReport,
}

impl Load {
    pub(super) fn new(setup: Setup) -> Load {
        assert!(setup.config.connections > 0, "a closed loop has a connection");
        let (addr, asker) = match setup.target {
            Target::Proxy(addr) => (Some(addr), None),
            Target::Sentinels(sentinels) => (None, Some(Asker::new(sentinels, SENTINEL, ASKING))),
        };
        Load {
            index: setup.index,
            channel: setup.channel,
            timing: Timing::new(setup.work),
            pauses: setup.program,
            addr,
            asker,
            asking: false,
            counted: setup.counted,
            tally: Tally::new(setup.origin),
            lanes: Vec::with_capacity(setup.config.connections as usize),
            config: setup.config,
            report: LoadReport::default(),
        }
    }

    /// Its random streams.
    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![self.timing.stream(), &mut self.pauses]
    }

    pub(super) fn report(&self) -> &LoadReport {
        &self.report
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { attempted: self.report.issued, ok: self.report.ok, received: 0 }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.lanes.iter().any(|lane| matches!(lane.state, State::Idle(_) | State::Waiting(_)))
    }

    /// What was counted; nothing where every attempt is recorded.
    pub(super) fn tally(&self) -> Option<&Tally> {
        (!self.is_script()).then_some(&self.tally)
    }

    /// The last SEQ that it gave out.
    pub(super) fn numbered(&self) -> u32 {
        self.counted + self.report.issued as u32
    }

    /// A script with one connection is recorded attempt by attempt; of several the attempts are counted.
    fn is_script(&self) -> bool {
        self.config.connections == 1
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        match input {
            Input::Start => {
                self.report.started = out.now();
                self.begin(out);
            }
            Input::Timer(OPENING) => self.begin(out),
            Input::Timer(TimerId(timer)) if timer >= FIRST => self.next(timer - FIRST, out),
            Input::Connected { token: Token(token) } if token >= FIRST => {
                let State::Connecting(sock) = self.lane(token - FIRST).state else {
                    unreachable!("only a connect in progress succeeds")
                };
                self.lane(token - FIRST).state = State::Idle(sock);
                self.send(token - FIRST, out);
            }
            Input::ConnectFailed { token: Token(token), error } if token >= FIRST => {
                let outcome = match error {
                    ConnectError::Refused => Outcome::ConnectRefused,
                    ConnectError::Unreachable => Outcome::ConnectUnreachable,
                    ConnectError::TimedOut => Outcome::ConnectTimeout,
                };
                self.lost(token - FIRST, outcome, out);
            }
            Input::Data { token: Token(token), message: Message::Reply(reply) } if token >= FIRST => {
                self.replied(token - FIRST, &reply, out);
            }
            Input::Ended { token: Token(token), how } if token >= FIRST => self.ended(token - FIRST, how, out),
            input => self.asked(&input, out),
        }
    }

    fn asked(&mut self, input: &Input, out: &mut Out) {
        let Some(asker) = &mut self.asker else { return };
        match asker.handle(input, &mut self.timing, out) {
            Answer::Pending => {}
            Answer::Master(addr) => {
                (self.addr, self.asking) = (Some(addr), false);
                for lane in 0..self.lanes.len() as u32 {
                    if self.lane(lane).state == State::Asking {
                        self.lane(lane).state = State::Closed;
                        self.next(lane, out);
                    }
                }
                self.begin(out);
            }
            Answer::Nobody => out.set_timer(OPENING, self.timing.python_sleep(out.now(), ASKING_PAUSE)),
        }
    }

    /// Opens the next connections, or asks where to.
    fn begin(&mut self, out: &mut Out) {
        if self.addr.is_none() {
            return self.ask(out);
        }
        for _ in 0..OPENED_AT_ONCE {
            if self.lanes.len() == self.config.connections as usize {
                return;
            }
            self.lanes.push(Lane { state: State::Closed, began: out.now(), seq: 0 });
            self.next(self.lanes.len() as u32 - 1, out);
        }
        out.set_timer(OPENING, self.timing.python_sleep(out.now(), OPENING_PAUSE));
    }

    /// Asks the Sentinels, unless that is under way.
    fn ask(&mut self, out: &mut Out) {
        let asker = self.asker.as_mut().expect("a client without an address asks for it");
        asker.start(&mut self.timing, out);
        self.asking = true;
    }

    fn lane(&mut self, lane: u32) -> &mut Lane {
        &mut self.lanes[lane as usize]
    }

    /// The next request of a connection, if there is one left.
    fn next(&mut self, lane: u32, out: &mut Out) {
        let Some(addr) = self.addr else {
            self.lane(lane).state = State::Asking;
            if !self.asking {
                self.ask(out);
            }
            return;
        };
        let is_last = self.config.requests.is_some_and(|requests| self.report.issued >= requests);
        match self.lane(lane).state {
            State::Idle(sock) if is_last => {
                out.close(sock);
                self.lane(lane).state = State::Done;
            }
            State::Closed if is_last => self.lane(lane).state = State::Done,
            State::Idle(_) => {
                self.take_number(lane, out);
                self.send(lane, out);
            }
            State::Closed => {
                self.take_number(lane, out);
                let sock = out.connect(addr, Token(FIRST + lane));
                self.lane(lane).state = State::Connecting(sock);
            }
            State::Connecting(_) | State::Waiting(_) | State::Asking | State::Done => {
                unreachable!("one request at a time")
            }
        }
    }

    fn take_number(&mut self, lane: u32, out: &Out) {
        self.report.issued += 1;
        let issued = u32::try_from(self.report.issued).ok();
        let seq = issued.and_then(|issued| issued.checked_add(self.counted)).expect("requests fit in 32 bits");
        if !self.is_script() {
            self.tally.begins(seq, out.now());
        }
        *self.lane(lane) = Lane { began: out.now(), seq, ..*self.lane(lane) };
    }

    fn send(&mut self, lane: u32, out: &mut Out) {
        if self.is_script() {
            self.timing.python_step(out);
        } else {
            self.lane(lane).began = out.now();
        }
        let Lane { state: State::Idle(sock), seq, .. } = *self.lane(lane) else {
            unreachable!("a request is written to an open connection")
        };
        // Without `-r` the key of redis-benchmark is always the same.
        let one_key = !self.is_script();
        out.command(sock, command(&self.config, self.config.kind, self.channel, self.index, seq, one_key));
        self.lane(lane).state = State::Waiting(sock);
    }

    fn replied(&mut self, lane: u32, reply: &Reply, out: &mut Out) {
        let Lane { state: State::Waiting(sock), began, seq } = *self.lane(lane) else { return };
        if self.is_script() {
            self.timing.python_step(out);
        }
        let outcome = reply_outcome(reply);
        if outcome == Outcome::Ok {
            self.report.ok += 1;
        } else {
            self.report.errors += 1;
        }
        self.report.finished = out.now();
        self.report.latency.record(out.now().since(began));
        self.lane(lane).state = State::Idle(sock);
        let receivers = match reply {
            Reply::Int(count) => u32::try_from(*count).ok(),
            _ => None,
        };
        if self.is_script() {
            record_attempt(self.config.kind, seq, began, outcome, receivers, out);
        } else {
            let nobody = self.config.kind == Kind::Publish && receivers == Some(0);
            self.tally.ends(seq, (outcome, nobody), out.now());
        }
        if outcome == Outcome::Readonly && self.asker.is_some() {
            out.close(sock);
            self.lane(lane).state = State::Closed;
            self.addr = None;
        }
        self.pause(lane, out);
    }

    fn pause(&mut self, lane: u32, out: &mut Out) {
        let failed = self.lane(lane).state == State::Closed;
        let least = if failed && !self.is_script() { RETRY_PAUSE } else { Span::ZERO };
        let span = match self.config.pause {
            Some(pause) if pause.max > Span::ZERO => Span(self.pauses.between(pause.min.0, pause.max.0)),
            _ => Span::ZERO,
        };
        match span.max(least) {
            Span::ZERO => self.next(lane, out),
            span => out.set_timer(TimerId(FIRST + lane), self.timing.python_sleep(out.now(), span)),
        }
    }

    fn ended(&mut self, lane: u32, how: Ended, out: &mut Out) {
        match self.lane(lane).state {
            State::Idle(sock) => {
                super::close_after(how, sock, out);
                self.lane(lane).state = State::Closed;
            }
            State::Waiting(sock) => {
                super::close_after(how, sock, out);
                self.lost(lane, Outcome::ReplyClosed, out);
            }
            State::Closed | State::Asking | State::Connecting(_) | State::Done => {}
        }
    }

    /// A request will not be answered.
    fn lost(&mut self, lane: u32, outcome: Outcome, out: &mut Out) {
        self.report.lost += 1;
        self.lane(lane).state = State::Closed;
        let Lane { began, seq, .. } = *self.lane(lane);
        if self.is_script() {
            record_attempt(self.config.kind, seq, began, outcome, None, out);
        } else {
            self.tally.ends(seq, (outcome, false), out.now());
        }
        if self.asker.is_some() {
            self.addr = None;
        }
        self.pause(lane, out);
    }
}
