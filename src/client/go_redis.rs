//! Commands of go-redis 8.11.5 (`redis.go`; spec C24).
//!
//! Every `every` a goroutine of its own runs one PUBLISH (or SET, or GET) and, with `then-set`, a SET if that
//! succeeds, both through one pool. A command makes up to four attempts and tells its caller only how the last one
//! ended. It does not care whether an attempt that it repeats was executed.

use std::collections::VecDeque;

use super::go_pool::{ConnId, DIAL_LIMIT, Got, POOL_WAIT, Pool, READ_LIMIT, REAP_PERIOD, dial_outcome};
use super::go_random::GoRandom;
use super::timing::Timing;
use super::{Config, Counters, Kind, Setup, Target, command, record_attempt, reply_outcome};
use crate::kernel::{Span, Time};
use crate::program::{Ended, Input, Out, TimerId};
use crate::record::Outcome;
use crate::wire::{ChannelId, ErrorKind, Message, Reply};

/// `MaxRetries` (`options.go`).
const RETRIES_MAX: u32 = 3;
/// `MinRetryBackoff` and `MaxRetryBackoff` (`options.go`).
const BACKOFF_MIN: Span = Span::from_millis(8);
const BACKOFF_MAX: Span = Span::from_millis(512);

/// The next tick. Timer 1 is the gate's.
const TICK: TimerId = TimerId(0);
const REAP: TimerId = TimerId(2);
/// Timer of the first command slot: the end of its back-off, its place in the queue, its dial or its read.
const FIRST_SLOT: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Between two attempts.
    BackingOff,
    /// Waits for a turn of the pool.
    Queueing,
    /// Has its turn, and runs as soon as the running goroutine is done.
    Ready,
    Dialing(ConnId),
    Reading(ConnId),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    state: State,
    kind: Kind,
    seq: u32,
    began: Time,
    retries: u32,
}

/// A program that calls go-redis at a pace.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    config: Config,
    index: u16,
    channel: ChannelId,
    pub(super) timing: Timing,
    random: GoRandom,
    pool: Pool,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Commands that were handed a turn during this call.
    ready: VecDeque<u32>,
    due: Time,
    pub(super) seq: u32,
    pub(super) counters: Counters,
}

impl Writer {
    pub(super) fn new(setup: Setup) -> Writer {
        let Target::Proxy(addr) = setup.target else { panic!("go-redis dials one address") };
        assert!(setup.config.every > Span::ZERO, "a client at a pace has time between two attempts");
        Writer {
            config: setup.config,
            index: setup.index,
            channel: setup.channel,
            timing: Timing::new(setup.work),
            random: GoRandom::default(),
            pool: Pool::new(addr),
            slots: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            due: Time::ZERO,
            seq: setup.counted,
            counters: Counters::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.pool.is_connected()
    }

    #[cfg(test)]
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        if self.pool.gate.handle(&input, &mut self.timing, out) {
            return;
        }
        match input {
            Input::Start => {
                self.due = out.now();
                self.next_tick(out);
                out.set_timer(REAP, out.now() + REAP_PERIOD);
            }
            Input::Timer(TICK) => {
                self.call(out);
                self.next_tick(out);
            }
            Input::Timer(REAP) => {
                self.pool.reap(out);
                out.set_timer(REAP, out.now() + REAP_PERIOD);
            }
            Input::Timer(TimerId(timer)) => self.expired(timer - FIRST_SLOT, out),
            Input::Connected { token } => {
                let conn = ConnId::of(token);
                self.pool.opened(conn);
                let slot = self.pool.user(conn).expect("a dial belongs to a command");
                self.write(slot, conn, out);
            }
            Input::ConnectFailed { token, error } => {
                let conn = ConnId::of(token);
                let slot = self.pool.user(conn).expect("a dial belongs to a command");
                self.pool.forget(conn);
                self.dial_failed(slot, dial_outcome(error), out);
            }
            Input::Data { token, message: Message::Reply(reply) } => {
                let conn = ConnId::of(token);
                if let Some(slot) = self.pool.user(conn) {
                    self.replied(slot, conn, &reply, out);
                }
            }
            Input::Ended { token, how } => {
                let conn = ConnId::of(token);
                self.pool.ended(conn, how);
                if let Some(slot) = self.pool.user(conn) {
                    self.broken(slot, conn, how, out);
                }
            }
            _ => {}
        }
        while let Some(slot) = self.ready.pop_front() {
            self.got_turn(slot, out);
        }
    }

    fn next_tick(&mut self, out: &mut Out) {
        self.due += self.config.every;
        if self.config.requests.is_none_or(|requests| self.counters.attempted < requests) {
            out.set_timer(TICK, self.timing.go_tick(self.due).max(out.now()));
        }
    }

    fn slot(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }

    fn set_timer(&mut self, slot: u32, span: Span, out: &mut Out) {
        out.set_timer(TimerId(FIRST_SLOT + slot), self.timing.go_sleep(out.now(), span));
    }

    /// A goroutine calls the library.
    fn call(&mut self, out: &mut Out) {
        self.seq += 1;
        self.counters.attempted += 1;
        let command = Slot { state: State::Free, kind: self.config.kind, seq: self.seq, began: out.now(), retries: 0 };
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.slot(slot) = command;
                slot
            }
            None => {
                self.slots.push(command);
                self.slots.len() as u32 - 1
            }
        };
        self.attempt(slot, out);
    }

    fn attempt(&mut self, slot: u32, out: &mut Out) {
        if self.pool.take_turn(slot) {
            self.got_turn(slot, out);
        } else {
            self.slot(slot).state = State::Queueing;
            self.set_timer(slot, POOL_WAIT, out);
        }
    }

    fn got_turn(&mut self, slot: u32, out: &mut Out) {
        self.timing.go_step(out);
        match self.pool.get(slot, out) {
            Got::Idle(conn) => self.write(slot, conn, out),
            Got::Dialing(conn) => {
                self.slot(slot).state = State::Dialing(conn);
                self.set_timer(slot, DIAL_LIMIT, out);
            }
            Got::Failed(outcome) => {
                self.free_turn(out);
                self.retry(slot, outcome, out);
            }
        }
    }

    fn free_turn(&mut self, out: &mut Out) {
        if let Some(next) = self.pool.free_turn() {
            out.clear_timer(TimerId(FIRST_SLOT + next));
            self.slot(next).state = State::Ready;
            self.ready.push_back(next);
        }
    }

    fn write(&mut self, slot: u32, conn: ConnId, out: &mut Out) {
        self.timing.go_step(out);
        let Slot { kind, seq, .. } = *self.slot(slot);
        self.slot(slot).state = State::Reading(conn);
        let (sock, ended) = self.pool.write(conn, out.now());
        if let Some(sock) = sock {
            out.command(sock, command(&self.config, kind, self.channel, self.index, seq, false));
        }
        match ended {
            // The kernel took the command, but the read finds the FIN; or the write failed.
            Some(how) => self.broken(slot, conn, how, out),
            None => self.set_timer(slot, READ_LIMIT, out),
        }
    }

    /// The connection of a command ended.
    fn broken(&mut self, slot: u32, conn: ConnId, how: Ended, out: &mut Out) {
        let outcome = match how {
            Ended::Eof | Ended::Reset => Outcome::ReplyClosed,
            Ended::TimedOut => Outcome::ReplyTimeout,
        };
        self.remove(conn, out);
        self.retry(slot, outcome, out);
    }

    fn remove(&mut self, conn: ConnId, out: &mut Out) {
        self.free_turn(out);
        self.pool.close(conn, out);
    }

    fn dial_failed(&mut self, slot: u32, outcome: Outcome, out: &mut Out) {
        self.pool.gate.failed(outcome, &mut self.timing, out);
        self.free_turn(out);
        self.retry(slot, outcome, out);
    }

    /// The classification of `shouldRetry` and `isBadConn` (`error.go`).
    fn replied(&mut self, slot: u32, conn: ConnId, reply: &Reply, out: &mut Out) {
        self.timing.go_step(out);
        let outcome = reply_outcome(reply);
        match reply {
            Reply::Error(ErrorKind::Readonly) => {
                self.remove(conn, out);
                return self.retry(slot, outcome, out);
            }
            _ => {
                self.pool.put(conn);
                self.free_turn(out);
            }
        }
        match reply {
            Reply::Error(ErrorKind::Loading | ErrorKind::MaxClients) => self.retry(slot, outcome, out),
            Reply::Int(receivers) => self.finish(slot, outcome, u32::try_from(*receivers).ok(), out),
            _ => self.finish(slot, outcome, None, out),
        }
    }

    fn expired(&mut self, slot: u32, out: &mut Out) {
        match self.slot(slot).state {
            State::BackingOff => self.attempt(slot, out),
            State::Queueing => {
                self.pool.leave_queue(slot);
                self.finish(slot, Outcome::PoolTimeout, None, out);
            }
            State::Dialing(conn) => {
                self.pool.close(conn, out);
                self.dial_failed(slot, Outcome::ConnectTimeout, out);
            }
            State::Reading(conn) => {
                self.remove(conn, out);
                self.retry(slot, Outcome::ReplyTimeout, out);
            }
            State::Free | State::Ready => unreachable!("a command that waits for nothing has no timer"),
        }
    }

    fn retry(&mut self, slot: u32, outcome: Outcome, out: &mut Out) {
        if self.slot(slot).retries == RETRIES_MAX {
            return self.finish(slot, outcome, None, out);
        }
        let entry = self.slot(slot);
        entry.retries += 1;
        entry.state = State::BackingOff;
        let bound = BACKOFF_MIN.0 << entry.retries;
        let pause = BACKOFF_MIN + Span(self.random.below(bound));
        self.set_timer(slot, pause.min(BACKOFF_MAX), out);
    }

    fn finish(&mut self, slot: u32, outcome: Outcome, receivers: Option<u32>, out: &mut Out) {
        out.clear_timer(TimerId(FIRST_SLOT + slot));
        let Slot { kind, seq, began, .. } = *self.slot(slot);
        record_attempt(kind, seq, began, outcome, receivers, out);
        let was_first = kind == self.config.kind;
        self.counters.ok += u64::from(was_first && outcome == Outcome::Ok);
        if was_first && kind == Kind::Publish && self.config.then_set && outcome == Outcome::Ok {
            *self.slot(slot) = Slot { state: State::Free, kind: Kind::Set, seq, began: out.now(), retries: 0 };
            return self.attempt(slot, out);
        }
        self.slot(slot).state = State::Free;
        self.free.push(slot);
    }
}
