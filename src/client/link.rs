//! One connection of a library, and how it is opened: where to, how often, what is said first.
//!
//! As [`super::line`] is for the reference clients, but by [`Habits`]. What happens to an idle connection is remembered
//! and found out by whoever uses it next.

use super::close_after;
use super::habits::{Greeting, Habits};
use super::library::Runtime;
use super::route::{Route, Told};
use super::timing::Timing;
use crate::kernel::Span;
use crate::program::{ConnectError, Ended, Input, Out, Sock, TimerId, Token};
use crate::record::{ConnectEnd, Outcome};
use crate::wire::{Addr, Command, Message, Reply, RoleInfo};

/// Why a link did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection took too long.
    Timeout,
    /// What was said first was not answered in time.
    GreetingTimeout,
    /// It was closed before what was said first was answered.
    GreetingClosed,
    /// ROLE was not answered in time.
    RoleTimeout,
    Refused,
    Unreachable,
    /// Nobody could say where the master is, or the node is none.
    NoMaster,
    /// It was closed before it could be used.
    Closed,
}

impl Failure {
    /// What the application is told: some libraries say of what they say first that reading failed, as of any command.
    pub(super) fn told(self, habits: &Habits) -> Outcome {
        match self {
            Failure::RoleTimeout => Outcome::ReplyTimeout,
            Failure::GreetingTimeout if habits.greeting_reads => Outcome::ReplyTimeout,
            Failure::GreetingClosed if habits.greeting_reads => Outcome::ReplyClosed,
            failure => failure.into(),
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Outcome {
        match failure {
            Failure::Timeout | Failure::GreetingTimeout | Failure::RoleTimeout => Outcome::ConnectTimeout,
            Failure::Refused => Outcome::ConnectRefused,
            Failure::Unreachable => Outcome::ConnectUnreachable,
            Failure::NoMaster => Outcome::NoMaster,
            Failure::Closed | Failure::GreetingClosed => Outcome::ConnectClosed,
        }
    }
}

impl From<Failure> for ConnectEnd {
    fn from(failure: Failure) -> ConnectEnd {
        match failure {
            Failure::Timeout | Failure::GreetingTimeout | Failure::RoleTimeout => ConnectEnd::ConnectTimeout,
            Failure::Refused => ConnectEnd::ConnectRefused,
            Failure::Unreachable => ConnectEnd::ConnectUnreachable,
            Failure::NoMaster => ConnectEnd::NoMaster,
            Failure::Closed | Failure::GreetingClosed => ConnectEnd::ConnectClosed,
        }
    }
}

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Closed,
    /// Waits for the address.
    Asking,
    /// Between two dials.
    Pausing,
    /// What was said first is repeated on a connection that is closed; why it failed the first time.
    Repeating(Failure),
    Dialing(Sock),
    /// Waits for the answer to what is said first.
    Greeting(Sock),
    /// Waits for the answer to ROLE.
    Verifying(Sock),
    Open(Sock),
    /// The peer or the kernel ended it, and nobody has looked yet.
    Stale(Sock, Ended),
}

/// What an input meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing that the program has to know.
    Nothing,
    /// The address is needed: the program asks, and goes on with [`Link::dial`] or [`Link::lost`].
    NeedsAddress,
    /// It is open.
    Opened,
    /// It did not open.
    Failed(Failure),
    /// Something was read.
    Read(Message),
    /// The open connection ended.
    Ended(Ended),
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    token: Token,
    timer: TimerId,
    dials: u32,
    to: Option<Addr>,
    pub(super) stage: Stage,
}

impl Link {
    pub(super) fn new(token: Token, timer: TimerId) -> Link {
        Link { token, timer, dials: 0, to: None, stage: Stage::Closed }
    }

    /// Where it leads, or led.
    pub(super) fn to(&self) -> Option<Addr> {
        self.to
    }

    /// Whether it is open as far as the program knows.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_) | Stage::Stale(..))
    }

    /// Whether its connection was accepted, ready or not.
    pub(super) fn is_connected(&self) -> bool {
        self.is_open() || matches!(self.stage, Stage::Greeting(_) | Stage::Verifying(_))
    }

    /// How it ended, if nobody has looked yet.
    pub(super) fn stale(&self) -> Option<Ended> {
        match self.stage {
            Stage::Stale(_, how) => Some(how),
            _ => None,
        }
    }

    /// Begins to open it: it waits for its address.
    ///
    /// # Panics
    /// If it is not closed.
    pub(super) fn begin(&mut self) {
        assert_eq!(self.stage, Stage::Closed, "a link is opened when it is closed");
        self.dials = 0;
        self.stage = Stage::Asking;
    }

    /// Connects, if the address is known; else it is asked for.
    pub(super) fn seek(&mut self, route: &mut Route, habits: &Habits, timing: &mut Timing, out: &mut Out) {
        if let Some(addr) = route.ask(timing, out) {
            self.dial(addr, habits, timing, out);
        }
    }

    /// What the Sentinels said, if it waits for that.
    pub(super) fn heard(&mut self, told: Told, habits: &Habits, timing: &mut Timing, out: &mut Out) -> Step {
        match told {
            Told::Master(addr) if self.stage == Stage::Asking => self.dial(addr, habits, timing, out),
            Told::Nobody if self.stage == Stage::Asking => return self.lost(Failure::NoMaster, habits, timing, out),
            _ => {}
        }
        Step::Nothing
    }

    /// Connects to the address it waited for.
    pub(super) fn dial(&mut self, to: Addr, habits: &Habits, timing: &mut Timing, out: &mut Out) {
        self.dials += 1;
        self.to = Some(to);
        self.stage = Stage::Dialing(out.connect(to, self.token));
        self.limit(habits.connect_timeout, timing, out);
    }

    fn limit(&self, limit: Option<Span>, timing: &mut Timing, out: &mut Out) {
        match limit {
            Some(limit) => out.set_timer(self.timer, timing.python_limit(out.now(), limit)),
            None => out.clear_timer(self.timer),
        }
    }

    /// An attempt to open it failed: another one, or the end.
    pub(super) fn lost(&mut self, failure: Failure, habits: &Habits, timing: &mut Timing, out: &mut Out) -> Step {
        self.drop_sock(out);
        out.clear_timer(self.timer);
        // What was said first is not repeated here: only dials are.
        let may_dial = self.dials < habits.dials && failure != Failure::Closed && failure != Failure::NoMaster;
        match may_dial && self.stage != Stage::Closed {
            true => {
                self.stage = Stage::Pausing;
                out.set_timer(self.timer, timing.python_sleep(out.now(), habits.dial_pause));
                Step::Nothing
            }
            false => {
                self.stage = Stage::Closed;
                Step::Failed(failure)
            }
        }
    }

    fn drop_sock(&mut self, out: &mut Out) {
        match self.stage {
            Stage::Dialing(sock) | Stage::Greeting(sock) | Stage::Verifying(sock) | Stage::Open(sock) => {
                out.close(sock)
            }
            Stage::Stale(sock, how) => close_after(how, sock, out),
            Stage::Closed | Stage::Asking | Stage::Pausing | Stage::Repeating(_) => {}
        }
    }

    /// Closes it, wherever it is.
    pub(super) fn close(&mut self, out: &mut Out) {
        self.drop_sock(out);
        out.clear_timer(self.timer);
        self.stage = Stage::Closed;
    }

    /// Writes a command. On a connection that was reset, the kernel refuses it.
    pub(super) fn command(&mut self, command: Command, out: &mut Out) {
        match self.stage {
            Stage::Open(sock) | Stage::Stale(sock, Ended::Eof) => out.command(sock, command),
            Stage::Stale(..) => {}
            _ => panic!("a command is written to an open connection"),
        }
    }

    /// What comes after `done`, whose stage is over.
    fn advance(
        &mut self,
        sock: Sock,
        greeted: bool,
        habits: &Habits,
        asks: bool,
        timing: &mut Timing,
        out: &mut Out,
    ) -> Step {
        if !greeted && habits.greeting != Greeting::None {
            self.stage = Stage::Greeting(sock);
            out.command(sock, Command::NoOp);
            if habits.greeting == Greeting::Command {
                self.limit(habits.command_timeout, timing, out);
            }
            return Step::Nothing;
        }
        if asks && habits.asking.verifies_role && !matches!(self.stage, Stage::Verifying(_)) {
            self.stage = Stage::Verifying(sock);
            out.command(sock, Command::Role);
            self.limit(habits.command_timeout, timing, out);
            return Step::Nothing;
        }
        out.clear_timer(self.timer);
        self.stage = Stage::Open(sock);
        Step::Opened
    }

    /// What is said first failed: some repeat it on the connection that is no more, all their tries if that was closed under it, and one if
    /// the answer took too long (go-redis's `_process`: a second failure is one without a connection, which ends it).
    fn repeat_in_vain(&mut self, failure: Failure, habits: &Habits, timing: &mut Timing, out: &mut Out) -> Step {
        if !habits.greeting_repeats {
            return Step::Failed(failure);
        }
        let tries = if failure == Failure::GreetingTimeout { habits.retries.min(1) } else { habits.retries };
        let pauses = (1..=tries).map(|n| habits.backoff.pause(n, timing.stream()));
        let pause = pauses.fold(Span::ZERO, |sum, pause| sum + pause);
        self.stage = Stage::Repeating(failure);
        out.set_timer(self.timer, timing.python_sleep(out.now(), pause));
        Step::Nothing
    }

    /// Takes an input that bears its token or its timer; `asks`: whether Sentinels named the address.
    pub(super) fn handle(
        &mut self,
        input: Input,
        (habits, asks, runtime): (&Habits, bool, Runtime),
        timing: &mut Timing,
        out: &mut Out,
    ) -> Step {
        match (self.stage, input) {
            (Stage::Dialing(sock), Input::Connected { .. }) => {
                timing.step(runtime, out);
                self.advance(sock, false, habits, asks, timing, out)
            }
            (Stage::Dialing(_), Input::ConnectFailed { error, .. }) => {
                self.stage = Stage::Asking;
                let failure = match error {
                    ConnectError::Refused => Failure::Refused,
                    ConnectError::Unreachable => Failure::Unreachable,
                    ConnectError::TimedOut => Failure::Timeout,
                };
                self.lost(failure, habits, timing, out)
            }
            (Stage::Dialing(_), Input::Timer(_)) => self.lost(Failure::Timeout, habits, timing, out),
            (stage @ (Stage::Greeting(_) | Stage::Verifying(_)), Input::Timer(_)) => {
                self.close(out);
                match stage {
                    Stage::Greeting(_) => self.repeat_in_vain(Failure::GreetingTimeout, habits, timing, out),
                    _ => Step::Failed(Failure::RoleTimeout),
                }
            }
            (Stage::Pausing, Input::Timer(_)) => {
                self.stage = Stage::Asking;
                Step::NeedsAddress
            }
            (Stage::Greeting(sock), Input::Data { .. }) => {
                timing.step(runtime, out);
                self.advance(sock, true, habits, asks, timing, out)
            }
            (Stage::Verifying(sock), Input::Data { message, .. }) => {
                timing.step(runtime, out);
                let is_master = matches!(&message, Message::Reply(Reply::Role(role))
                    if matches!(**role, RoleInfo::Master { .. }));
                if is_master {
                    return self.advance(sock, true, habits, asks, timing, out);
                }
                self.close(out);
                Step::Failed(Failure::NoMaster)
            }
            (Stage::Greeting(sock) | Stage::Verifying(sock), Input::Ended { how, .. }) => {
                self.stage = Stage::Stale(sock, how);
                self.close(out);
                self.repeat_in_vain(Failure::GreetingClosed, habits, timing, out)
            }
            (Stage::Repeating(failure), Input::Timer(_)) => {
                self.stage = Stage::Closed;
                Step::Failed(failure)
            }
            (Stage::Open(_), Input::Data { message, .. }) => Step::Read(message),
            (Stage::Open(sock), Input::Ended { how, .. }) => {
                self.stage = Stage::Stale(sock, how);
                Step::Ended(how)
            }
            // A peer that sent FIN resets the connection when the client writes nevertheless.
            (Stage::Stale(sock, Ended::Eof), Input::Ended { how, .. }) => {
                self.stage = Stage::Stale(sock, how);
                Step::Nothing
            }
            _ => Step::Nothing,
        }
    }
}
