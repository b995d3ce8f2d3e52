//! Connections of go-redis 8.11.5: the pool, and the gate that dial errors close (`internal/pool/pool.go`;
//! spec C25).

use std::collections::VecDeque;

use super::close_after;
use super::timing::Timing;
use crate::kernel::{Span, Time};
use crate::program::{ConnectError, Ended, Input, Out, Sock, TimerId, Token};
use crate::record::Outcome;
use crate::wire::Addr;

/// `PoolSize`: 10 × GOMAXPROCS, on the 2 processors of the reference machine (`options.go`).
pub(super) const POOL_SIZE: usize = 20;
/// `PoolTimeout` (`options.go`).
pub(super) const POOL_WAIT: Span = Span::from_secs(4);
/// `DialTimeout` (`options.go`).
pub(super) const DIAL_LIMIT: Span = Span::from_secs(5);
/// `ReadTimeout` (`options.go`).
pub(super) const READ_LIMIT: Span = Span::from_secs(3);
/// `IdleTimeout` (`options.go`).
const IDLE_LIMIT: Span = Span::from_secs(300);
/// `IdleCheckFrequency` (`options.go`).
pub(super) const REAP_PERIOD: Span = Span::from_secs(60);
/// The pause of the background dialler after a failure (`tryDial`).
const GATE_PAUSE: Span = Span::from_secs(1);

/// The gate's own names; whoever uses it numbers from 1 and 2.
const GATE: Token = Token(0);
const GATE_TIMER: TimerId = TimerId(1);

/// The error that a failed dial returns.
pub(super) fn dial_outcome(error: ConnectError) -> Outcome {
    match error {
        ConnectError::Refused => Outcome::ConnectRefused,
        ConnectError::Unreachable => Outcome::ConnectUnreachable,
        ConnectError::TimedOut => Outcome::ConnectTimeout,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Background {
    Off,
    Dialing(Sock),
    Pausing,
}

/// Counts failed dials (`dialErrorsNum`). Successful ones do not reset the count; once it has reached the pool's size,
/// every dial fails at once with the last error, until a background loop has dialled successfully (`dialConn`,
/// `tryDial`).
#[derive(Clone, Debug)]
pub(super) struct Gate {
    addr: Addr,
    errors: usize,
    last: Outcome,
    background: Background,
}

impl Gate {
    pub(super) fn new(addr: Addr) -> Gate {
        Gate { addr, errors: 0, last: Outcome::ConnectClosed, background: Background::Off }
    }

    /// Dials, or says why that fails at once.
    pub(super) fn dial(&self, token: Token, out: &mut Out) -> Result<Sock, Outcome> {
        assert_ne!(token, GATE, "the gate dials for itself");
        if self.errors >= POOL_SIZE { Err(self.last) } else { Ok(out.connect(self.addr, token)) }
    }

    /// A dial failed.
    pub(super) fn failed(&mut self, outcome: Outcome, timing: &mut Timing, out: &mut Out) {
        self.last = outcome;
        self.errors += 1;
        if self.errors == POOL_SIZE {
            assert_eq!(self.background, Background::Off, "one background loop at a time");
            self.dial_in_background(timing, out);
        }
    }

    fn dial_in_background(&mut self, timing: &mut Timing, out: &mut Out) {
        self.background = Background::Dialing(out.connect(self.addr, GATE));
        out.set_timer(GATE_TIMER, timing.go_sleep(out.now(), DIAL_LIMIT));
    }

    /// Takes an input if it is the gate's.
    pub(super) fn handle(&mut self, input: &Input, timing: &mut Timing, out: &mut Out) -> bool {
        match (self.background, input) {
            (Background::Dialing(sock), Input::Connected { token: GATE }) => {
                out.clear_timer(GATE_TIMER);
                self.errors = 0;
                self.background = Background::Off;
                out.close(sock);
            }
            (Background::Dialing(_), Input::ConnectFailed { token: GATE, error }) => {
                self.pause(dial_outcome(*error), timing, out);
            }
            (Background::Dialing(sock), Input::Timer(GATE_TIMER)) => {
                out.close(sock);
                self.pause(Outcome::ConnectTimeout, timing, out);
            }
            (Background::Pausing, Input::Timer(GATE_TIMER)) => self.dial_in_background(timing, out),
            _ => return false,
        }
        true
    }

    fn pause(&mut self, outcome: Outcome, timing: &mut Timing, out: &mut Out) {
        self.last = outcome;
        self.background = Background::Pausing;
        out.set_timer(GATE_TIMER, timing.go_sleep(out.now(), GATE_PAUSE));
    }
}

/// A connection of the pool, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnId(pub u32);

impl ConnId {
    /// The name under which its events arrive.
    pub(super) fn token(self) -> Token {
        Token(self.0 + 1)
    }

    /// The connection that a name stands for.
    pub(super) fn of(token: Token) -> ConnId {
        assert_ne!(token, GATE, "the gate took its own events");
        ConnId(token.0 - 1)
    }
}

#[derive(Clone, Copy, Debug)]
struct Conn {
    sock: Sock,
    /// The command that uses it.
    user: Option<u32>,
    /// How it ended, if that was noticed by nobody yet.
    ended: Option<Ended>,
    open: bool,
    used_at: Time,
}

/// What a command that has its turn gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Got {
    /// An idle connection, untested.
    Idle(ConnId),
    /// A dial that has begun.
    Dialing(ConnId),
    /// An error at once.
    Failed(Outcome),
}

/// The pool: a queue of turns, a stack of idle connections, and those in use.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) gate: Gate,
    conns: Vec<Option<Conn>>,
    free: Vec<u32>,
    idle: Vec<ConnId>,
    turns: usize,
    waiting: VecDeque<u32>,
}

impl Pool {
    pub(super) fn new(addr: Addr) -> Pool {
        Pool {
            gate: Gate::new(addr),
            conns: Vec::new(),
            free: Vec::new(),
            idle: Vec::new(),
            turns: 0,
            waiting: VecDeque::new(),
        }
    }

    /// A command asks for its turn; if there is none it waits in line.
    pub(super) fn take_turn(&mut self, command: u32) -> bool {
        if self.turns < POOL_SIZE {
            assert!(self.waiting.is_empty(), "nobody waits while there are turns");
            self.turns += 1;
            return true;
        }
        self.waiting.push_back(command);
        false
    }

    /// A command gives up waiting.
    pub(super) fn leave_queue(&mut self, command: u32) {
        let place = self.waiting.iter().position(|waiting| *waiting == command).expect("it was waiting");
        self.waiting.remove(place);
    }

    /// A turn ends and passes to the command that waited longest, which is returned.
    #[must_use]
    pub(super) fn free_turn(&mut self) -> Option<u32> {
        assert!(self.turns > 0, "only a turn that was taken can end");
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.turns -= 1;
        }
        next
    }

    /// A connection for a command that has its turn: the one used last, else a new one.
    pub(super) fn get(&mut self, command: u32, out: &mut Out) -> Got {
        while let Some(id) = self.idle.pop() {
            if out.now().saturating_since(self.conn(id).used_at) >= IDLE_LIMIT {
                self.close(id, out);
                continue;
            }
            self.conn_mut(id).user = Some(command);
            return Got::Idle(id);
        }
        let place = self.free.last().copied().unwrap_or(self.conns.len() as u32);
        let id = ConnId(place);
        let sock = match self.gate.dial(id.token(), out) {
            Ok(sock) => sock,
            Err(outcome) => return Got::Failed(outcome),
        };
        if self.free.pop().is_none() {
            self.conns.push(None);
        }
        let conn = Conn { sock, user: Some(command), ended: None, open: false, used_at: out.now() };
        self.conns[place as usize] = Some(conn);
        assert!(self.conns.len() <= POOL_SIZE, "a pool has no more connections than turns");
        Got::Dialing(id)
    }

    fn conn(&self, id: ConnId) -> &Conn {
        self.conns[id.0 as usize].as_ref().expect("the connection exists")
    }

    fn conn_mut(&mut self, id: ConnId) -> &mut Conn {
        self.conns[id.0 as usize].as_mut().expect("the connection exists")
    }

    /// The command that uses a connection.
    pub(super) fn user(&self, id: ConnId) -> Option<u32> {
        self.conn(id).user
    }

    /// A dial succeeded.
    pub(super) fn opened(&mut self, id: ConnId) {
        self.conn_mut(id).open = true;
    }

    /// A command writes to its connection: the socket, unless the kernel refuses, and how the connection ended before.
    pub(super) fn write(&mut self, id: ConnId, now: Time) -> (Option<Sock>, Option<Ended>) {
        let conn = self.conn_mut(id);
        assert!(conn.open && conn.user.is_some(), "a command writes to an open connection of its own");
        conn.used_at = now;
        let writable = matches!(conn.ended, None | Some(Ended::Eof));
        (writable.then_some(conn.sock), conn.ended)
    }

    /// A connection ended. Nobody notices while it is idle.
    pub(super) fn ended(&mut self, id: ConnId, how: Ended) {
        self.conn_mut(id).ended = Some(how);
    }

    /// A command is done with a connection that is fine: it becomes the next to be used.
    pub(super) fn put(&mut self, id: ConnId) {
        self.conn_mut(id).user = None;
        self.idle.push(id);
    }

    /// The kernel has given a socket up: a dial failed.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.conns[id.0 as usize].take().expect("the connection exists");
        self.free.push(id.0);
    }

    /// A connection is closed and removed.
    pub(super) fn close(&mut self, id: ConnId, out: &mut Out) {
        let conn = self.conns[id.0 as usize].take().expect("the connection exists");
        self.free.push(id.0);
        close_after(conn.ended.unwrap_or(Ended::Eof), conn.sock, out);
    }

    /// Closes idle connections that nobody used for long, the least recently used first (`reaper`).
    pub(super) fn reap(&mut self, out: &mut Out) {
        let is_stale = |pool: &Pool, id: ConnId| out.now().saturating_since(pool.conn(id).used_at) >= IDLE_LIMIT;
        let stale = self.idle.iter().take_while(|id| is_stale(self, **id)).count();
        let stale: Vec<ConnId> = self.idle.drain(..stale).collect();
        for id in stale {
            self.close(id, out);
        }
    }

    /// Whether any connection is open as far as the client knows.
    pub(super) fn is_connected(&self) -> bool {
        self.conns.iter().flatten().any(|conn| conn.open)
    }

    #[cfg(test)]
    pub(super) fn idle_count(&self) -> usize {
        self.idle.len()
    }
}
