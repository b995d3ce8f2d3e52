//! The clients of the reference recordings: blocking Python programs with one connection each.
//!
//! spec R4. Through HAProxy or to the master that the Sentinels name.

use super::line::{Line, Step};
use super::timing::Timing;
use super::{Config, Counters, Setup, Wait, command, record_attempt, record_waited, reply_outcome};
use crate::kernel::{Span, Time};
use crate::program::{Ended, Input, Out, TimerId};
use crate::record::{ConnectEnd, Op, Outcome};
use crate::wire::{ChannelId, Command, Message, Payload, Reply};

/// How long a client waits for a reply or a confirmation.
const REPLY_LIMIT: Span = Span::from_secs(1);
/// After this long without anything a subscriber sends PING.
const QUIET_LIMIT: Span = Span::from_secs(3);
/// How long a subscriber waits for an answer to its PING.
const PING_LIMIT: Span = Span::from_secs(1);
/// The pause of a subscriber after any failure.
const PAUSE: Span = Span::from_millis(100);

/// The next tick of a writer, or the end of a subscriber's pause.
const TICK: TimerId = TimerId(1);
/// The end of a wait for something to read.
const WAIT: TimerId = TimerId(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between two attempts.
    Idle,
    /// An attempt that waits for the connection.
    Opening,
    /// An attempt that waits for its reply.
    Waiting,
    /// A SET that was acknowledged waits for the reply to its WAIT.
    Replicating,
}

/// A publisher, or a client that sets or reads keys: one attempt at every multiple of `every` since its start.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    config: Config,
    index: u16,
    channel: ChannelId,
    line: Line,
    pub(super) timing: Timing,
    start: Time,
    phase: Phase,
    began: Time,
    /// When its SET was acknowledged, if a WAIT goes on since.
    acknowledged: Option<Time>,
    pub(super) seq: u32,
    pub(super) counters: Counters,
}

impl Writer {
    pub(super) fn new(setup: Setup) -> Writer {
        assert!(setup.config.every > Span::ZERO, "a client at a pace has time between two attempts");
        Writer {
            line: Line::new(setup.target),
            timing: Timing::new(setup.work),
            config: setup.config,
            index: setup.index,
            channel: setup.channel,
            start: Time::ZERO,
            phase: Phase::Idle,
            began: Time::ZERO,
            acknowledged: None,
            seq: setup.counted,
            counters: Counters::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.line.is_open()
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        match input {
            Input::Start => {
                self.start = out.now();
                self.attempt(out);
            }
            Input::Timer(TICK) => self.attempt(out),
            Input::Timer(WAIT) => self.fail(self.unless_acknowledged(Outcome::ReplyTimeout), out),
            input => match self.line.handle(input, &mut self.timing, out) {
                Step::Opened => {
                    self.timing.python_step(out);
                    out.op(out.now(), Op::Connect(ConnectEnd::Open));
                    self.send(out);
                }
                Step::Failed(failure) => self.fail(failure.into(), out),
                Step::Read(Message::Reply(reply)) => self.replied(&reply, out),
                Step::Ended(how) if matches!(self.phase, Phase::Waiting | Phase::Replicating) => {
                    self.fail(self.unless_acknowledged(ended(how)), out);
                }
                Step::Nothing | Step::Read(_) | Step::Ended(_) => {}
            },
        }
    }

    fn attempt(&mut self, out: &mut Out) {
        assert_eq!(self.phase, Phase::Idle, "a tick that falls into a running attempt is skipped");
        self.seq += 1;
        self.counters.attempted += 1;
        self.began = out.now();
        if self.line.is_open() {
            self.send(out);
        } else {
            self.phase = Phase::Opening;
            self.line.open(&mut self.timing, out);
        }
    }

    fn send(&mut self, out: &mut Out) {
        self.timing.python_step(out);
        self.line.command(command(&self.config, self.config.kind, self.channel, self.index, self.seq, false), out);
        self.phase = Phase::Waiting;
        match self.line.stale() {
            // The kernel takes the command, and the read finds the FIN that has been there all along; or the peer's
            // reset is there, and the write fails.
            Some(how) => self.fail(ended(how), out),
            None => out.set_timer(WAIT, self.timing.python_limit(out.now(), REPLY_LIMIT)),
        }
    }

    /// What became of an attempt: a SET that was acknowledged is one, whatever becomes of its WAIT.
    fn unless_acknowledged(&self, outcome: Outcome) -> Outcome {
        if self.phase == Phase::Replicating { Outcome::Unreplicated } else { outcome }
    }

    /// WAIT, after a SET that was acknowledged. The client's own limit comes after the server's.
    fn wait(&mut self, wait: Wait, out: &mut Out) {
        self.line.command(wait.command(), out);
        (self.phase, self.acknowledged) = (Phase::Replicating, Some(out.now()));
        match self.line.stale() {
            Some(_) => self.fail(Outcome::Unreplicated, out),
            None => out.set_timer(WAIT, self.timing.python_limit(out.now(), wait.timeout + REPLY_LIMIT)),
        }
    }

    fn replied(&mut self, reply: &Reply, out: &mut Out) {
        match self.phase {
            Phase::Waiting => {}
            Phase::Replicating => {
                self.timing.python_step(out);
                let met = self.config.wait.is_some_and(|wait| wait.is_met(reply));
                return self.finish(if met { Outcome::Ok } else { Outcome::Unreplicated }, None, out);
            }
            Phase::Idle | Phase::Opening => return,
        }
        self.timing.python_step(out);
        let outcome = reply_outcome(reply);
        if let (Outcome::Ok, Some(wait)) = (outcome, self.config.wait) {
            return self.wait(wait, out);
        }
        if outcome == Outcome::Readonly && self.line.asks_sentinels() {
            self.line.close(out);
        }
        let receivers = match reply {
            Reply::Int(count) => u32::try_from(*count).ok(),
            _ => None,
        };
        self.finish(outcome, receivers, out);
    }

    fn fail(&mut self, outcome: Outcome, out: &mut Out) {
        self.timing.python_step(out);
        self.line.close(out);
        self.finish(outcome, None, out);
    }

    fn finish(&mut self, outcome: Outcome, receivers: Option<u32>, out: &mut Out) {
        let now = out.now();
        out.clear_timer(WAIT);
        self.phase = Phase::Idle;
        self.counters.ok += u64::from(outcome.is_acknowledged());
        match self.acknowledged.take() {
            Some(answered) => record_waited(self.seq, (self.began, answered), outcome, out),
            None => record_attempt(self.config.kind, self.seq, self.began, outcome, receivers, out),
        }
        if self.config.requests.is_some_and(|requests| self.counters.attempted >= requests) {
            self.line.close(out);
            return;
        }
        let ticks = now.since(self.start).0 / self.config.every.0 + 1;
        let due = self.start + self.config.every * ticks;
        out.set_timer(TICK, self.timing.python_sleep(now, due.since(now)));
    }
}

fn ended(how: Ended) -> Outcome {
    match how {
        Ended::Eof | Ended::Reset => Outcome::ReplyClosed,
        // Python's ETIMEDOUT is the same exception as its own time limit.
        Ended::TimedOut => Outcome::ReplyTimeout,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    Pausing,
    Opening,
    /// SUBSCRIBE was sent.
    Confirming,
    Reading,
    /// Nothing came for a while, and PING was sent.
    Pinging,
}

/// A subscriber that pings a quiet connection and starts again after any failure.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    channel: ChannelId,
    line: Line,
    pub(super) timing: Timing,
    state: Listening,
    pub(super) counters: Counters,
}

impl Subscriber {
    pub(super) fn new(setup: Setup) -> Subscriber {
        Subscriber {
            line: Line::new(setup.target),
            timing: Timing::new(setup.work),
            channel: setup.channel,
            state: Listening::Pausing,
            counters: Counters::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.line.is_open()
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        match input {
            Input::Start | Input::Timer(TICK) => {
                self.state = Listening::Opening;
                self.counters.attempted += 1;
                self.line.open(&mut self.timing, out);
            }
            Input::Timer(WAIT) => self.heard_nothing(out),
            input => match self.line.handle(input, &mut self.timing, out) {
                Step::Opened => {
                    self.timing.python_step(out);
                    self.line.command(Command::Subscribe(self.channel), out);
                    self.state = Listening::Confirming;
                    self.wait(REPLY_LIMIT, out);
                }
                Step::Failed(failure) => self.fail(failure.into(), out),
                Step::Read(message) => self.read(message, out),
                Step::Ended(_) => self.ended(out),
                Step::Nothing => {}
            },
        }
    }

    fn wait(&mut self, limit: Span, out: &mut Out) {
        out.set_timer(WAIT, self.timing.python_limit(out.now(), limit));
    }

    fn read(&mut self, message: Message, out: &mut Out) {
        self.timing.python_step(out);
        match (self.state, message) {
            (Listening::Confirming, Message::Reply(Reply::Subscribed(..))) => {
                self.counters.ok += 1;
                out.op(out.now(), Op::Connect(ConnectEnd::Open));
            }
            (Listening::Confirming, _) => return self.fail(ConnectEnd::SubscribeClosed, out),
            (_, Message::Push(_, Payload::Sequence { publisher, seq, .. })) => {
                self.counters.received += 1;
                out.op(out.now(), Op::Receive { publisher, seq });
            }
            _ => {}
        }
        self.state = Listening::Reading;
        self.wait(QUIET_LIMIT, out);
    }

    fn heard_nothing(&mut self, out: &mut Out) {
        match self.state {
            Listening::Confirming => self.fail(ConnectEnd::SubscribeTimeout, out),
            Listening::Reading => {
                self.timing.python_step(out);
                self.line.command(Command::Ping, out);
                self.state = Listening::Pinging;
                self.wait(PING_LIMIT, out);
            }
            Listening::Pinging => self.fail(ConnectEnd::ReadTimeout, out),
            Listening::Pausing | Listening::Opening => unreachable!("nothing is read before the connection is open"),
        }
    }

    fn ended(&mut self, out: &mut Out) {
        let confirmed = self.state != Listening::Confirming;
        self.fail(if confirmed { ConnectEnd::ReadClosed } else { ConnectEnd::SubscribeClosed }, out);
    }

    fn fail(&mut self, end: ConnectEnd, out: &mut Out) {
        self.timing.python_step(out);
        self.line.close(out);
        out.clear_timer(WAIT);
        out.op(out.now(), Op::Connect(end));
        self.state = Listening::Pausing;
        out.set_timer(TICK, self.timing.python_sleep(out.now(), PAUSE));
    }
}
