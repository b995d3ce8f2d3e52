//! Pub/Sub of go-redis 8.11.5 (`pubsub.go`; spec C26).
//!
//! Two goroutines share one connection behind one lock. The *reader* reads without any deadline; on an error it closes
//! the connection and opens another one. The *health check* writes a PING after 3 s without a reply, and awaits no
//! answer: only a write or a dial that fails makes it reconnect. Whoever dials holds the lock meanwhile. SUBSCRIBE is
//! written at once and its confirmation is just another reply.

use std::collections::VecDeque;

use super::go_pool::{DIAL_LIMIT, Gate, dial_outcome};
use super::timing::Timing;
use super::{Counters, Setup, Target, close_after};
use crate::kernel::Span;
use crate::program::{Ended, Input, Out, Sock, TimerId, Token};
use crate::record::{Op, Outcome};
use crate::wire::{ChannelId, Command, ErrorKind, Message, Payload, Reply};

/// `checkInterval` (`newChannel`).
const HEALTH_PERIOD: Span = Span::from_secs(3);
/// The pause before every receive but the first after an error (`initMsgChan`).
const PAUSE: Span = Span::from_millis(100);

/// The one connection. The gate's names are token 0 and timer 1.
const SERVICE: Token = Token(1);
const DIAL: TimerId = TimerId(2);
const SLEEP: TimerId = TimerId(3);
const HEALTH: TimerId = TimerId(4);

/// Who holds the lock, or waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    /// The call of `Subscribe`, before there are goroutines.
    Caller,
    Reader,
    Health,
}

/// What is done under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// `connWithLock`: the current connection, or a new one.
    Conn,
    /// `releaseConnWithLock` with a bad error: reconnects if that connection is still the current one.
    Release(u32),
    /// `reconnect`.
    Reconnect,
}

#[derive(Clone, Debug)]
struct Conn {
    sock: Sock,
    serial: u32,
    /// What the kernel holds and the reader has not read.
    unread: VecDeque<Message>,
    ended: Option<Ended>,
}

/// A program that reads `Channel()` without ever being slow.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    channel: ChannelId,
    pub(super) timing: Timing,
    gate: Gate,
    conn: Option<Conn>,
    serial: u32,
    dialing: Option<Sock>,
    holder: Option<(Actor, Task)>,
    queue: VecDeque<(Actor, Task)>,
    /// The connection that the reader is blocked on.
    reading: Option<u32>,
    errors_in_a_row: u32,
    /// Whether the health check waits for its timer.
    health_waits: bool,
    pub(super) counters: Counters,
}

impl Subscriber {
    pub(super) fn new(setup: Setup) -> Subscriber {
        let Target::Proxy(addr) = setup.target else { panic!("go-redis dials one address") };
        Subscriber {
            channel: setup.channel,
            timing: Timing::new(setup.work),
            gate: Gate::new(addr),
            conn: None,
            serial: 0,
            dialing: None,
            holder: None,
            queue: VecDeque::new(),
            reading: None,
            errors_in_a_row: 0,
            health_waits: false,
            counters: Counters::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.conn.is_some()
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        if self.gate.handle(&input, &mut self.timing, out) {
            return;
        }
        match input {
            Input::Start => self.lock(Actor::Caller, Task::Conn, out),
            Input::Connected { token: SERVICE } => {
                let sock = self.dialing.take().expect("only a dial in progress succeeds");
                out.clear_timer(DIAL);
                self.timing.go_step(out);
                out.command(sock, Command::Subscribe(self.channel));
                self.serial += 1;
                self.conn = Some(Conn { sock, serial: self.serial, unread: VecDeque::new(), ended: None });
                self.unlock(true, out);
            }
            Input::ConnectFailed { token: SERVICE, error } => {
                self.dialing = None;
                out.clear_timer(DIAL);
                self.dial_failed(dial_outcome(error), out);
            }
            Input::Timer(DIAL) => {
                let sock = self.dialing.take().expect("only a dial in progress times out");
                out.close(sock);
                self.dial_failed(Outcome::ConnectTimeout, out);
            }
            Input::Timer(SLEEP) => self.lock(Actor::Reader, Task::Conn, out),
            Input::Timer(HEALTH) => {
                self.health_waits = false;
                self.lock(Actor::Health, Task::Conn, out);
            }
            Input::Data { token: SERVICE, message } => {
                let conn = self.conn.as_mut().expect("data arrives on the current connection");
                conn.unread.push_back(message);
                self.read(out);
            }
            Input::Ended { token: SERVICE, how } => {
                self.conn.as_mut().expect("the current connection ends").ended = Some(how);
                self.read(out);
            }
            _ => {}
        }
    }

    fn lock(&mut self, actor: Actor, task: Task, out: &mut Out) {
        if self.holder.is_some() {
            assert!(self.queue.len() < 2, "a goroutine waits for one lock at a time");
            self.queue.push_back((actor, task));
            return;
        }
        self.holder = Some((actor, task));
        let has_to_dial = match task {
            Task::Conn => self.conn.is_none(),
            Task::Release(serial) => self.conn.as_ref().is_some_and(|conn| conn.serial == serial),
            Task::Reconnect => true,
        };
        if !has_to_dial {
            return self.unlock(true, out);
        }
        self.close(out);
        self.notice_closed(out);
        self.dial(out);
    }

    fn close(&mut self, out: &mut Out) {
        if let Some(conn) = self.conn.take() {
            close_after(conn.ended.unwrap_or(Ended::Eof), conn.sock, out);
        }
    }

    fn dial(&mut self, out: &mut Out) {
        self.timing.go_step(out);
        self.counters.attempted += 1;
        match self.gate.dial(SERVICE, out) {
            Ok(sock) => {
                self.dialing = Some(sock);
                out.set_timer(DIAL, self.timing.go_sleep(out.now(), DIAL_LIMIT));
            }
            Err(_) => self.unlock(false, out),
        }
    }

    fn dial_failed(&mut self, outcome: Outcome, out: &mut Out) {
        self.gate.failed(outcome, &mut self.timing, out);
        self.unlock(false, out);
    }

    /// What was done under the lock is done: the next one gets it, and the holder goes on.
    fn unlock(&mut self, succeeded: bool, out: &mut Out) {
        let (actor, task) = self.holder.take().expect("the lock is held");
        if let Some((next, task)) = self.queue.pop_front() {
            self.lock(next, task, out);
        }
        match (actor, task) {
            (Actor::Caller, _) => {
                // `Channel()` starts both goroutines; an error of the first dial was ignored.
                self.health_wait(out);
                self.lock(Actor::Reader, Task::Conn, out);
            }
            (Actor::Reader, Task::Conn) if succeeded => {
                // The health check may have closed it in between: then the read fails at once.
                self.reading = self.conn.as_ref().map(|conn| conn.serial);
                if self.reading.is_some() { self.read(out) } else { self.receive_failed(out) }
            }
            (Actor::Reader, _) => self.receive_failed(out),
            (Actor::Health, Task::Conn) => self.ping(succeeded, out),
            // The failed PING reconnected once inside `Ping`; its caller does it again.
            (Actor::Health, Task::Release(_)) => self.lock(Actor::Health, Task::Reconnect, out),
            (Actor::Health, Task::Reconnect) => self.health_wait(out),
        }
    }

    /// A reader that is blocked on a connection that was closed under it gets an error, and finds another connection.
    fn notice_closed(&mut self, out: &mut Out) {
        let Some(serial) = self.reading else { return };
        if self.conn.as_ref().is_none_or(|conn| conn.serial != serial) {
            self.reading = None;
            self.lock(Actor::Reader, Task::Release(serial), out);
        }
    }

    /// The reader takes what is there.
    fn read(&mut self, out: &mut Out) {
        while let Some(serial) = self.reading {
            let Some(conn) = self.conn.as_mut().filter(|conn| conn.serial == serial) else { return };
            let Some(message) = conn.unread.pop_front() else {
                if conn.ended.is_some() {
                    self.reading = None;
                    self.lock(Actor::Reader, Task::Release(serial), out);
                }
                return;
            };
            self.timing.go_step(out);
            match message {
                Message::Reply(Reply::Error(kind)) => {
                    self.reading = None;
                    // Of all error replies only READONLY makes a connection bad (`isBadConn`).
                    if kind == ErrorKind::Readonly {
                        self.lock(Actor::Reader, Task::Release(serial), out);
                    } else {
                        self.receive_failed(out);
                    }
                    return;
                }
                Message::Push(_, Payload::Sequence { publisher, seq, .. }) => {
                    self.counters.received += 1;
                    out.op(out.now(), Op::Receive { publisher, seq });
                }
                Message::Reply(Reply::Subscribed(..)) => self.counters.ok += 1,
                _ => {}
            }
            self.errors_in_a_row = 0;
            if self.health_waits {
                self.health_wait(out);
            }
        }
    }

    fn receive_failed(&mut self, out: &mut Out) {
        self.errors_in_a_row += 1;
        if self.errors_in_a_row == 1 {
            self.lock(Actor::Reader, Task::Conn, out);
        } else {
            out.set_timer(SLEEP, self.timing.go_sleep(out.now(), PAUSE));
        }
    }

    fn health_wait(&mut self, out: &mut Out) {
        self.health_waits = true;
        out.set_timer(HEALTH, self.timing.go_sleep(out.now(), HEALTH_PERIOD));
    }

    /// As if the reader slept between two receives.
    #[cfg(test)]
    pub(super) fn stop_reading(&mut self) {
        self.reading = None;
    }

    fn ping(&mut self, connected: bool, out: &mut Out) {
        self.timing.go_step(out);
        let Some(conn) = self.conn.as_ref().filter(|_| connected) else {
            return self.lock(Actor::Health, Task::Reconnect, out);
        };
        match conn.ended {
            None | Some(Ended::Eof) => {
                out.command(conn.sock, Command::Ping);
                self.health_wait(out);
            }
            Some(Ended::Reset | Ended::TimedOut) => {
                let serial = conn.serial;
                self.lock(Actor::Health, Task::Release(serial), out);
            }
        }
    }
}
