//! One HAProxy 2.6 in TCP mode: a state machine without I/O.
//!
//! ```text
//!            ┌────────────── Haproxy ───────────────┐
//! clients ──►│ sessions ──► balance ──► servers     │──► Redis
//!            │                 ▲           ▲        │
//!            │            up or down ── checks      │
//!            └──────────── timers (1 ms) ───────────┘
//! ```
//!
//! - `check`: a round of checks on each server, and what a change of its state does;
//! - `health`: the counter that turns rounds into states;
//! - `balance`: the server for a new session;
//! - `session`: connecting, passing on, half-closing, idling;
//! - `timer`: ticks of 1 ms, the lateness of the event loop, and a clock that a stopped process loses time on.
//!
//! What is simpler than the real program:
//!
//! - One event loop; the real one runs a thread per CPU, and each has wake-ups of its own.
//! - The buffer of 16 KiB per direction has no end here: a session never stops reading. What a client sends before its
//!   server is up waits in full, where the real one leaves the rest to the kernel; the order and the fate of the bytes
//!   are the same, except that a FIN behind more than 16 KiB is seen at once.
//! - While a receiver takes nothing, its side is not refreshed by writes; the write timer that runs beside it in the
//!   real program has the same length and needs no timer of its own.
//! - Weights, queues, cookies, name resolution and `observe` do not exist: nothing in this stack sets them.

mod balance;
mod check;
mod config;
mod health;
mod release;
mod session;
mod timer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use balance::{Candidate, RoundRobin};
use check::Check;
pub use config::{Balance, CheckKind, Config, OnMarkedDown, OnMarkedUp};
use session::Session;
use timer::Timers;

use crate::kernel::{Span, Stream};
use crate::program::{Input, Out, Sock, TimerId, Token};
use crate::wire::{Addr, HostId};

/// Processor time to pass one message on. HAProxy forwards some 100 000 to 200 000 small requests a second and thread
/// (derived from published benchmarks, not measured here), so about 5 µs each, spread over as many threads as there are
/// CPUs: it is never the bottleneck of this stack, and zero keeps it out of the way of every message.
pub const FORWARD_WORK: Span = Span::ZERO;

/// From exec to bound listeners and the start of the checks, which come within a millisecond of each other: 28 to
/// 71 ms, measured on 2.6.12 on loopback (spec H12.3 has 50 to 100 ms).
const BOOT_MIN: Span = Span::from_millis(28);
const BOOT_MAX: Span = Span::from_millis(71);

const BOOT_TIMER: TimerId = TimerId(0);
/// The task of the resolvers that HAProxy makes of /etc/resolv.conf, once it has started: it has nothing to resolve, but
/// wakes the loop, so that the date is taken and deadlines that wait for a visit are seen.
const RESOLVERS: TimerId = TimerId(0);
/// `timeout resolve` of these resolvers.
const RESOLVE: Span = Span::from_secs(1);

/// A `server` line of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name: that of a host.
    pub host: HostId,
    /// Where it listens.
    pub addr: Addr,
    /// `backup`.
    pub backup: bool,
}

/// What an HAProxy is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The settings.
    pub config: Config,
    /// The backend's servers in the order of the configuration. `backup` here decides; [`Config::backup`] is the
    /// scenario's way to say it.
    pub servers: Vec<Server>,
    /// Where lateness is drawn from.
    pub work: Stream,
}

#[derive(Clone, Debug)]
struct Backend {
    host: HostId,
    addr: Addr,
    backup: bool,
    check: Check,
    /// `cur_sess`: sessions connecting or connected to it.
    sessions: u32,
}

/// One HAProxy process.
#[derive(Clone, Debug)]
pub struct Haproxy {
    config: Config,
    servers: Vec<Backend>,
    robin: RoundRobin,
    sessions: Vec<Session>,
    /// Free slots of `sessions`.
    free: Vec<u32>,
    sessions_open: u32,
    /// Connections not accepted yet: the process is still starting, or has `maxconn` sessions.
    backlog: VecDeque<Sock>,
    timers: Timers,
    booted: bool,
}

/// Whom a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    Check,
    Client,
    Server,
}

fn check_token(server: usize) -> Token {
    Token((server as u32) << 2)
}

fn client_token(slot: usize) -> Token {
    Token((slot as u32) << 2 | 1)
}

fn server_token(slot: usize) -> Token {
    Token((slot as u32) << 2 | 2)
}

#[inline]
fn party(token: Token) -> (Party, usize) {
    let party = match token.0 & 3 {
        0 => Party::Check,
        1 => Party::Client,
        2 => Party::Server,
        _ => unreachable!("no such token was given out"),
    };
    (party, (token.0 >> 2) as usize)
}

impl Haproxy {
    /// Its random streams.
    pub(crate) fn streams(&mut self) -> Vec<&mut Stream> {
        self.timers.streams()
    }

    /// A process that is about to run.
    pub fn new(setup: Setup) -> Haproxy {
        let Setup { config, servers, work } = setup;
        assert!(!servers.is_empty(), "a backend has a server");
        let backend = |server: Server| Backend {
            host: server.host,
            addr: server.addr,
            backup: server.backup,
            check: Check::new(&config),
            sessions: 0,
        };
        let servers = servers.into_iter().map(backend).collect();
        let timers = Timers::new(work, release::rules(config.release));
        Haproxy {
            config,
            servers,
            robin: RoundRobin::default(),
            sessions: Vec::new(),
            free: Vec::new(),
            sessions_open: 0,
            backlog: VecDeque::new(),
            timers,
            booted: false,
        }
    }

    /// Whether the listener is bound: before, the kernel refuses connections.
    pub fn is_listening(&self) -> bool {
        self.booted
    }

    /// Whether a server is UP.
    pub fn server_is_up(&self, server: usize) -> bool {
        self.servers[server].check.health.is_up()
    }

    /// How many sessions are connecting or connected to a server.
    pub fn sessions_on(&self, server: usize) -> u32 {
        self.servers[server].sessions
    }

    /// The server that a session would get which began now.
    pub fn usable_server(&self) -> Option<usize> {
        self.turn().peek(&self.candidates(), None)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |server: &Backend| Candidate { up: server.check.health.is_up(), backup: server.backup };
        self.servers.iter().map(candidate).collect()
    }

    fn choose_server(&mut self, avoid: Option<usize>) -> Option<usize> {
        let candidates = self.candidates();
        let mut turn = self.turn();
        let chosen = turn.choose(&candidates, avoid);
        self.robin = turn;
        chosen
    }

    /// Whose turn it is: `balance first` begins at the first server each time.
    fn turn(&self) -> RoundRobin {
        match self.config.balance {
            Balance::Roundrobin => self.robin,
            Balance::First => RoundRobin::default(),
        }
    }

    /// One pass of the event loop.
    #[allow(clippy::too_many_lines, reason = "a table: one arm an input")]
    pub fn handle(&mut self, input: Input, out: &mut Out) {
        let began = out.now();
        if self.timers.overslept(out)
            && let Input::Timer(_) = input
        {
            // The deadline that rang is in the future again.
            self.timers.pass_ends(began, out);
            return;
        }
        match input {
            Input::Data { token, message } => match party(token) {
                (Party::Client, slot) => self.client_data(slot, message, out),
                (Party::Server, slot) => self.server_data(slot, message, out),
                (Party::Check, server) => self.check_data(server, &message, out),
            },
            Input::Timer(BOOT_TIMER) if !self.booted => {
                self.booted = true;
                out.listen();
                self.start_checks(out);
                if release::rules(self.config.release).idle_resolvers {
                    self.arm_resolvers(out);
                }
            }
            // A sleep is over, and the next one begins.
            Input::Timer(timer) if self.idle_timer() == Some(timer) => {}
            Input::Timer(timer) => {
                if self.put_off(timer, out) || !self.timers.rings(timer, out) {
                    // The loop sleeps on: this was no pass.
                    return;
                }
            }
            Input::Start => {
                let boot = self.timers.draw(BOOT_MIN, BOOT_MAX);
                out.set_timer(BOOT_TIMER, began + boot);
            }
            Input::Accepted { sock, .. } => self.backlog.push_back(sock),
            Input::Connected { token } => match party(token) {
                (Party::Check, server) => self.check_connected(server, out),
                (Party::Server, slot) => self.session_connected(slot, out),
                (Party::Client, _) => unreachable!("a client's connection is accepted, not connected"),
            },
            Input::ConnectFailed { token, error } => match party(token) {
                (Party::Check, server) => self.check_connect_failed(server, error, out),
                (Party::Server, slot) => self.session_not_connected(slot, true, out),
                (Party::Client, _) => unreachable!("a client's connection is accepted, not connected"),
            },
            Input::Ended { token, how } => match party(token) {
                (Party::Check, server) => self.check_ended(server, how, out),
                (Party::Client, slot) => self.client_ended(slot, how, out),
                (Party::Server, slot) => self.server_ended(slot, how, out),
            },
            // SIGTERM is a hard stop: `deinit` at once; SIGUSR1 would be the soft one.
            Input::Terminate => {
                out.exit();
                return;
            }
            // Nobody speaks to HAProxy itself: it has no stats socket here.
            Input::Command(_) => {}
        }
        if self.timers.any_due() {
            self.serve_deadlines(out);
        }
        if !self.backlog.is_empty() && self.booted {
            self.accept_waiting(out);
        }
        self.timers.pass_ends(began, out);
        if let (Some(timer), true) = (self.idle_timer(), self.booted) {
            out.set_timer(timer, self.timers.wakes_idle(out));
        }
    }

    /// Rings when the loop wakes up for nothing, if its longest sleep is short enough to matter.
    fn idle_timer(&self) -> Option<TimerId> {
        self.timers.wakes_for_nothing().then_some(TimerId(1 + self.servers.len() as u32))
    }

    fn first_session_timer(&self) -> usize {
        1 + self.servers.len() + usize::from(self.timers.wakes_for_nothing())
    }

    /// A session's timer may stand for a deadline that traffic has moved: then it is only set again.
    fn put_off(&mut self, timer: TimerId, out: &mut Out) -> bool {
        if (timer.0 as usize) < self.first_session_timer() {
            return false;
        }
        let slot = self.session_of_timer(timer);
        if self.session_deadline(slot) <= timer::tick(self.timers.clock(out)) {
            return false;
        }
        self.arm_session(slot, out);
        true
    }

    /// `resolv_update_resolvers_timeout`
    fn arm_resolvers(&mut self, out: &mut Out) {
        let next = timer::deadline(self.timers.clock(out), RESOLVE);
        self.timers.arm(RESOLVERS, next, out);
    }

    fn serve_deadlines(&mut self, out: &mut Out) {
        while let Some(timer) = self.timers.next_due(out) {
            if timer.0 as usize >= self.first_session_timer() {
                self.session_timer_fired(self.session_of_timer(timer), out);
                continue;
            }
            let overdue = self.walk_checks(out);
            match timer {
                RESOLVERS => self.arm_resolvers(out),
                TimerId(check) => self.check_deadline(check as usize - 1, out),
            }
            overdue.into_iter().for_each(|server| self.check_deadline(server, out));
        }
    }
}
