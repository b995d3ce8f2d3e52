//! The one connection of a blocking client, and how it is opened.
//!
//! A [`Line`] connects to the address it was given or, if it was given Sentinels, to the master that they name. A
//! blocking client looks at its socket only when it waits for something. What happened to an idle connection is
//! therefore remembered here, and found out by the next attempt.

use super::sentinel_aware::{Answer, Asker};
use super::timing::Timing;
use super::{Target, close_after};
use crate::kernel::Span;
use crate::program::{ConnectError, Ended, Input, Out, Sock, TimerId, Token};
use crate::record::{ConnectEnd, Outcome};
use crate::wire::{Addr, Command, Message};

/// Connect timeout of the reference clients (spec R4.1).
const CONNECT_LIMIT: Span = Span::from_secs(1);

const SERVICE: Token = Token(0);
const SENTINEL: Token = Token(1);
/// The line's own timer; programs number theirs from 1.
const OPENING: TimerId = TimerId(0);

/// Why a line did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Timeout,
    Refused,
    Unreachable,
    NoMaster,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        match error {
            ConnectError::Refused => Failure::Refused,
            ConnectError::Unreachable => Failure::Unreachable,
            ConnectError::TimedOut => Failure::Timeout,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Outcome {
        match failure {
            Failure::Timeout => Outcome::ConnectTimeout,
            Failure::Refused => Outcome::ConnectRefused,
            Failure::Unreachable => Outcome::ConnectUnreachable,
            Failure::NoMaster => Outcome::NoMaster,
        }
    }
}

impl From<Failure> for ConnectEnd {
    fn from(failure: Failure) -> ConnectEnd {
        match failure {
            Failure::Timeout => ConnectEnd::ConnectTimeout,
            Failure::Refused => ConnectEnd::ConnectRefused,
            Failure::Unreachable => ConnectEnd::ConnectUnreachable,
            Failure::NoMaster => ConnectEnd::NoMaster,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Asking,
    Connecting(Sock),
    Open(Sock),
    /// The peer or the kernel ended it, and the client has not looked yet.
    Stale(Sock, Ended),
}

/// What an input meant for the line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing that the program has to know.
    Nothing,
    /// The connection is open.
    Opened,
    /// It did not open.
    Failed(Failure),
    /// Something was read.
    Read(Message),
    /// The open connection ended. The program closes it, now or when it looks.
    Ended(Ended),
}

/// The one connection of a blocking client.
#[derive(Clone, Debug)]
pub(super) struct Line {
    proxy: Option<Addr>,
    asker: Option<Asker>,
    state: State,
}

impl Line {
    pub(super) fn new(target: Target) -> Line {
        let (proxy, asker) = match target {
            Target::Proxy(addr) => (Some(addr), None),
            Target::Sentinels(sentinels) => (None, Some(Asker::new(sentinels, SENTINEL, OPENING))),
        };
        Line { proxy, asker, state: State::Closed }
    }

    /// Whether it reaches the master by asking Sentinels.
    pub(super) fn asks_sentinels(&self) -> bool {
        self.asker.is_some()
    }

    /// Whether a connection is open as far as the client knows.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Stale(..))
    }

    /// How the connection ended that the client still believes in.
    pub(super) fn stale(&self) -> Option<Ended> {
        match self.state {
            State::Stale(_, how) => Some(how),
            _ => None,
        }
    }

    /// Begins to open it.
    ///
    /// # Panics
    /// If it is not closed.
    pub(super) fn open(&mut self, timing: &mut Timing, out: &mut Out) {
        assert_eq!(self.state, State::Closed, "a line is opened when it is closed");
        match (self.proxy, &mut self.asker) {
            (Some(addr), _) => self.connect(addr, timing, out),
            (None, Some(asker)) => {
                self.state = State::Asking;
                asker.start(timing, out);
            }
            (None, None) => unreachable!("a line has an address or Sentinels"),
        }
    }

    fn connect(&mut self, addr: Addr, timing: &mut Timing, out: &mut Out) {
        self.state = State::Connecting(out.connect(addr, SERVICE));
        out.set_timer(OPENING, timing.python_limit(out.now(), CONNECT_LIMIT));
    }

    /// Writes a command. On a connection that was reset, the kernel refuses it.
    pub(super) fn command(&mut self, command: Command, out: &mut Out) {
        match self.state {
            State::Open(sock) | State::Stale(sock, Ended::Eof) => out.command(sock, command),
            State::Stale(..) => {}
            State::Closed | State::Asking | State::Connecting(_) => panic!("a client writes when it is connected"),
        }
    }

    /// Closes it, if it is open.
    pub(super) fn close(&mut self, out: &mut Out) {
        match self.state {
            State::Open(sock) => out.close(sock),
            State::Stale(sock, how) => close_after(how, sock, out),
            State::Closed => {}
            State::Asking | State::Connecting(_) => panic!("a blocking client cannot close while it connects"),
        }
        self.state = State::Closed;
    }

    /// Takes an input that is not the program's own timer.
    pub(super) fn handle(&mut self, input: Input, timing: &mut Timing, out: &mut Out) -> Step {
        if self.state == State::Asking {
            let asker = self.asker.as_mut().expect("only a line with Sentinels asks");
            return match asker.handle(&input, timing, out) {
                Answer::Pending => Step::Nothing,
                Answer::Master(addr) => {
                    self.connect(addr, timing, out);
                    Step::Nothing
                }
                Answer::Nobody => {
                    self.state = State::Closed;
                    Step::Failed(Failure::NoMaster)
                }
            };
        }
        match (self.state, input) {
            (State::Connecting(sock), Input::Connected { token: SERVICE }) => {
                out.clear_timer(OPENING);
                self.state = State::Open(sock);
                Step::Opened
            }
            (State::Connecting(_), Input::ConnectFailed { token: SERVICE, error }) => {
                out.clear_timer(OPENING);
                self.state = State::Closed;
                Step::Failed(error.into())
            }
            (State::Connecting(sock), Input::Timer(OPENING)) => {
                out.close(sock);
                self.state = State::Closed;
                Step::Failed(Failure::Timeout)
            }
            (State::Open(_), Input::Data { token: SERVICE, message }) => Step::Read(message),
            (State::Open(sock), Input::Ended { token: SERVICE, how }) => {
                self.state = State::Stale(sock, how);
                Step::Ended(how)
            }
            // A peer that sent FIN resets the connection when the client writes nevertheless.
            (State::Stale(sock, Ended::Eof), Input::Ended { token: SERVICE, how }) => {
                self.state = State::Stale(sock, how);
                Step::Ended(how)
            }
            _ => Step::Nothing,
        }
    }
}
