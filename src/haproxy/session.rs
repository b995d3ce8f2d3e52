//! Sessions: one client connection, one server connection, and what passes between them.
//!
//! A server is chosen once, when the session begins; it connects at once and does not wait for data of the client. What
//! the client sends meanwhile waits in order and follows when the server side is up, even if the client has left. Once
//! the session is up, every message is passed on unchanged; an end in one direction is passed on and leaves the other
//! direction open.
//!
//! Silence: each side has a timer that runs from the last read from it or write to it that the kernel accepted. A
//! message touches both sides. The timer of a session is not set again for every message: it is looked at when it
//! rings.
//!
//! Sources: `back_handle_st_ass`, `_con`, `_cer`, `_tar`, `back_may_abort_req` (backend.c); `process_stream`,
//! `stream_shutdown` (stream.c); spec H8 to H10.

use super::timer::{Tick, deadline, tick};
use super::{Haproxy, client_token, server_token};
use crate::kernel::{Span, Time};
use crate::program::{Ended, Note, Out, SessionEnd, Sock, TimerId};
use crate::wire::Message;

/// The pause before another attempt on the same server after an error (`back_handle_st_cer`).
const TURN_AROUND_MAX: Span = Span::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The slot is free.
    Free,
    /// An attempt to connect to the server is under way.
    Connecting,
    /// The pause after an attempt that ended in an error.
    TurnAround,
    /// Both sides are up.
    Established,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

/// One side of a session.
#[derive(Clone, Copy, Debug)]
struct Side {
    sock: Sock,
    /// Nothing more is read from it: it sent FIN, or its timer ran out.
    read_shut: bool,
    /// FIN was sent to it.
    write_shut: bool,
    /// The socket no longer exists.
    gone: bool,
    /// The last byte read from it or written to it, by HAProxy's clock.
    last: Time,
}

impl Side {
    fn open(sock: Sock, now: Time) -> Side {
        Side { sock, read_shut: false, write_shut: false, gone: false, last: now }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    phase: Phase,
    /// The server chosen.
    server: u32,
    /// Attempts that failed.
    failures: u32,
    /// The next attempt may go to another server.
    redispatch: bool,
    /// Shut by a change of the server's state: it closes as soon as the bytes that wait are delivered.
    condemned: bool,
    client: Side,
    /// Meaningless in [`Phase::TurnAround`].
    back: Side,
    /// End of the attempt or of the pause.
    attempt_ends: Tick,
    /// What the client sent before the server side was up.
    waiting: Vec<Message>,
    /// Why one side ended first, for notes.
    ending: Option<SessionEnd>,
}

impl Session {
    /// `back_may_abort_req`: the client left, or was sent away, and nothing waits to be delivered.
    fn may_abort(&self) -> bool {
        (self.client.read_shut || self.condemned) && self.waiting.is_empty()
    }
}

impl Haproxy {
    fn session_timer(&self, slot: usize) -> TimerId {
        TimerId((self.first_session_timer() + slot) as u32)
    }

    /// The session of a timer that is none of the checks'.
    pub(super) fn session_of_timer(&self, timer: TimerId) -> usize {
        timer.0 as usize - self.first_session_timer()
    }

    /// Accepts connections while there is room for them.
    pub(super) fn accept_waiting(&mut self, out: &mut Out) {
        while self.sessions_open < self.config.maxconn {
            let Some(sock) = self.backlog.pop_front() else { return };
            // Who was reset while waiting is not there to be accepted.
            if out.is_open(sock) {
                self.begin_session(sock, out);
            }
        }
    }

    fn begin_session(&mut self, sock: Sock, out: &mut Out) {
        let now = self.timers.clock(out);
        let Some(server) = self.choose_server(None) else {
            // No queue, no waiting: SC with <NOSRV>.
            out.note(|| Note::NoServer { client: sock });
            out.close(sock);
            return;
        };
        let session = Session {
            phase: Phase::TurnAround,
            server: server as u32,
            failures: 0,
            redispatch: false,
            condemned: false,
            client: Side::open(sock, now),
            back: Side::open(sock, now),
            attempt_ends: 0,
            waiting: Vec::new(),
            ending: None,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                let slot = slot as usize;
                assert_eq!(self.sessions[slot].phase, Phase::Free, "a slot is used by one session");
                self.sessions[slot] = session;
                slot
            }
            None => {
                self.sessions.push(session);
                self.sessions.len() - 1
            }
        };
        self.sessions_open += 1;
        out.accept(sock, client_token(slot));
        self.connect_session(slot, out);
    }

    /// `connect_server`: begins an attempt.
    fn connect_session(&mut self, slot: usize, out: &mut Out) {
        let now = self.timers.clock(out);
        let server = self.sessions[slot].server as usize;
        let sock = out.connect(self.servers[server].addr, server_token(slot));
        self.servers[server].sessions += 1;
        let session = &mut self.sessions[slot];
        session.phase = Phase::Connecting;
        session.back = Side::open(sock, now);
        session.attempt_ends = deadline(now, self.config.timeout_connect);
        let (client, failures, host) = (session.client.sock, session.failures, self.servers[server].host);
        out.note(|| Note::SessionTo { client, back: sock, server: host, failures });
        self.arm_session(slot, out);
    }

    /// The server side is up.
    pub(super) fn session_connected(&mut self, slot: usize, out: &mut Out) {
        let now = self.timers.clock(out);
        let (tunnel, bufsize) = (self.config.timeout_tunnel.is_some(), self.config.tune.bufsize);
        let session = &mut self.sessions[slot];
        assert_eq!(session.phase, Phase::Connecting, "a session connects once");
        session.phase = Phase::Established;
        session.back.last = now;
        if tunnel {
            // `timeout tunnel` starts anew for both sides.
            session.client.last = now;
        }
        let (client, sock) = (session.client.sock, session.back.sock);
        out.relay(client, sock, bufsize);
        out.relay(sock, client, bufsize);
        for message in session.waiting.drain(..) {
            out.send(sock, message);
        }
        // Room for early bytes is needed once in the life of a session.
        session.waiting = Vec::new();
        if session.condemned {
            self.close_session(slot, SessionEnd::Marked, out);
            return;
        }
        if session.client.read_shut {
            session.back.write_shut = true;
            out.shutdown_write(sock);
        }
        self.arm_session(slot, out);
    }

    /// `back_handle_st_cer`: an attempt ended without a connection.
    pub(super) fn session_not_connected(&mut self, slot: usize, error: bool, out: &mut Out) {
        let now = self.timers.clock(out);
        let active = self.servers.iter().filter(|server| !server.backup && server.check.health.is_up()).count();
        let server = self.sessions[slot].server as usize;
        let server_up = self.servers[server].check.health.is_up();
        self.servers[server].sessions -= 1;
        let retries = self.config.retries;
        let session = &mut self.sessions[slot];
        assert_eq!(session.phase, Phase::Connecting, "only an attempt under way can fail");
        session.phase = Phase::TurnAround;
        session.failures += 1;
        if session.failures > retries {
            self.close_session(slot, SessionEnd::NotConnected, out);
            return;
        }
        // `stream_choose_redispatch` with the default of `option redispatch`, −1: on the last attempt.
        session.redispatch =
            self.config.redispatch && (!server_up || session.failures.is_multiple_of(retries) || active > 1);
        let pause = error && (!session.redispatch || active <= 1);
        if pause {
            session.attempt_ends = deadline(now, TURN_AROUND_MAX.min(self.config.timeout_connect));
            self.arm_session(slot, out);
        } else {
            self.attempt_again(slot, out);
        }
    }

    fn attempt_again(&mut self, slot: usize, out: &mut Out) {
        if self.sessions[slot].redispatch {
            self.sessions[slot].redispatch = false;
            let avoid = self.sessions[slot].server as usize;
            match self.choose_server(Some(avoid)) {
                Some(server) => self.sessions[slot].server = server as u32,
                None => {
                    self.close_session(slot, SessionEnd::NowhereToGo, out);
                    return;
                }
            }
        }
        self.connect_session(slot, out);
    }

    /// A message of the client.
    #[inline]
    pub(super) fn client_data(&mut self, slot: usize, message: Message, out: &mut Out) {
        let now = self.timers.clock(out);
        let session = &mut self.sessions[slot];
        if session.client.read_shut {
            return;
        }
        session.client.last = now;
        if session.phase != Phase::Established {
            session.waiting.push(message);
        } else if session.back.gone {
            // The write fails: the end of the session.
            self.close_session(slot, SessionEnd::Server, out);
        } else {
            pass_on(&mut session.back, now, message, out);
        }
    }

    /// A message of the server.
    #[inline]
    pub(super) fn server_data(&mut self, slot: usize, message: Message, out: &mut Out) {
        let now = self.timers.clock(out);
        let session = &mut self.sessions[slot];
        assert_eq!(session.phase, Phase::Established, "a server speaks on an open connection");
        if session.back.read_shut {
            return;
        }
        if session.client.gone {
            // The write fails: the end of the session.
            self.close_session(slot, SessionEnd::Client, out);
            return;
        }
        session.back.last = now;
        pass_on(&mut session.client, now, message, out);
    }

    /// The client's connection ended.
    pub(super) fn client_ended(&mut self, slot: usize, how: Ended, out: &mut Out) {
        match how {
            Ended::Eof => self.shut_read(slot, End::Client, SessionEnd::Client, out),
            Ended::Reset | Ended::TimedOut => {
                let session = &mut self.sessions[slot];
                session.client.gone = true;
                // A socket whose end was read is not polled any more: HAProxy learns of the reset when it writes
                // (measured with 2.6.12: the first write behind a FIN is lost, the second ends the session).
                if !session.client.read_shut {
                    self.abort_back(slot, out);
                    self.close_session(slot, SessionEnd::Client, out);
                }
            }
        }
    }

    /// The server's connection ended. An error becomes a FIN for the client.
    pub(super) fn server_ended(&mut self, slot: usize, how: Ended, out: &mut Out) {
        match how {
            Ended::Eof => self.shut_read(slot, End::Server, SessionEnd::Server, out),
            Ended::Reset | Ended::TimedOut => {
                let session = &mut self.sessions[slot];
                session.back.gone = true;
                // As with the client: behind a FIN, only the next write meets the error.
                if !session.back.read_shut {
                    self.close_session(slot, SessionEnd::Server, out);
                }
            }
        }
    }

    /// Nothing more is read from one side: the other gets a FIN, and what is shut both ways is closed.
    fn shut_read(&mut self, slot: usize, end: End, why: SessionEnd, out: &mut Out) {
        let session = &mut self.sessions[slot];
        session.ending.get_or_insert(why);
        if session.phase != Phase::Established {
            assert_eq!(end, End::Client, "a server that is not connected cannot end");
            session.client.read_shut = true;
            if session.may_abort() {
                self.abort_back(slot, out);
                self.close_session(slot, why, out);
            }
            return;
        }
        let (from, to) = match end {
            End::Client => (&mut session.client, &mut session.back),
            End::Server => (&mut session.back, &mut session.client),
        };
        from.read_shut = true;
        to.write_shut = true;
        assert_eq!(from.write_shut, to.read_shut, "an end that was read is passed on at once");
        if to.read_shut || to.gone {
            self.close_session(slot, why, out);
        } else {
            out.shutdown_write(to.sock);
        }
    }

    /// `on-marked-down shutdown-sessions` and `on-marked-up shutdown-backup-sessions`, for the sessions of one server.
    /// One that is still connecting ends at once if nothing waits to be delivered, and goes on trying otherwise (measured
    /// with 2.6.12: closed at DOWN, and after 20.009 s).
    pub(super) fn shut_sessions_of(&mut self, server: usize, out: &mut Out) {
        for slot in 0..self.sessions.len() {
            let session = &mut self.sessions[slot];
            let is_on_server = session.phase != Phase::Free && session.server as usize == server;
            // `stream_shutdown` leaves alone what is shut towards the server, and what waits for a new choice has none.
            if !is_on_server || session.client.read_shut || session.redispatch {
                continue;
            }
            session.condemned = true;
            if session.phase == Phase::Established {
                self.close_session(slot, SessionEnd::Marked, out);
            } else if session.may_abort() {
                self.abort_back(slot, out);
                self.close_session(slot, SessionEnd::Marked, out);
            }
        }
    }

    /// The server side is given up at once, without lingering.
    fn abort_back(&mut self, slot: usize, out: &mut Out) {
        let session = &mut self.sessions[slot];
        if matches!(session.phase, Phase::Connecting | Phase::Established) && !session.back.gone {
            session.back.gone = true;
            out.reset(session.back.sock);
        }
    }

    /// The session is over: FIN to whoever is still there.
    fn close_session(&mut self, slot: usize, why: SessionEnd, out: &mut Out) {
        let timer = self.session_timer(slot);
        let session = &mut self.sessions[slot];
        assert_ne!(session.phase, Phase::Free, "a session ends once");
        let (client, server) = (session.client.sock, self.servers[session.server as usize].host);
        let why = session.ending.unwrap_or(why);
        out.note(|| Note::SessionEnds { client, server, why });
        if !session.client.gone {
            out.close(session.client.sock);
        }
        if matches!(session.phase, Phase::Connecting | Phase::Established) {
            if !session.back.gone {
                out.close(session.back.sock);
            }
            self.servers[session.server as usize].sessions -= 1;
        }
        session.phase = Phase::Free;
        session.waiting = Vec::new();
        self.free.push(slot as u32);
        self.sessions_open -= 1;
        self.timers.disarm(timer, out);
    }

    /// The end of silence that is allowed to one side; never, if nothing more is read from it.
    fn silence_ends(&self, session: &Session, end: End) -> Tick {
        let (side, timeout) = match end {
            End::Client => (&session.client, self.config.timeout_client),
            End::Server => (&session.back, self.config.timeout_server),
        };
        if side.read_shut {
            return Tick::MAX;
        }
        let tunnel = self.config.timeout_tunnel.filter(|_| session.phase == Phase::Established);
        deadline(side.last, tunnel.unwrap_or(timeout))
    }

    /// The earliest deadline of a session.
    pub(super) fn session_deadline(&self, slot: usize) -> Tick {
        let session = &self.sessions[slot];
        let client = self.silence_ends(session, End::Client);
        match session.phase {
            Phase::Free => unreachable!("a free slot has no timer"),
            Phase::Connecting | Phase::TurnAround => client.min(session.attempt_ends),
            Phase::Established => client.min(self.silence_ends(session, End::Server)),
        }
    }

    pub(super) fn arm_session(&mut self, slot: usize, out: &mut Out) {
        let at = self.session_deadline(slot);
        self.timers.arm(self.session_timer(slot), at, out);
    }

    /// A deadline of the session has come.
    pub(super) fn session_timer_fired(&mut self, slot: usize, out: &mut Out) {
        let now = tick(self.timers.clock(out));
        let phase = self.sessions[slot].phase;
        if matches!(phase, Phase::Connecting | Phase::TurnAround) && self.sessions[slot].attempt_ends <= now {
            if phase == Phase::TurnAround {
                self.attempt_again(slot, out);
            } else {
                out.reset(self.sessions[slot].back.sock);
                self.sessions[slot].back.gone = true;
                self.session_not_connected(slot, false, out);
            }
            return;
        }
        for end in [End::Client, End::Server] {
            let session = &self.sessions[slot];
            let applies = match session.phase {
                Phase::Free => false,
                Phase::Established => true,
                Phase::Connecting | Phase::TurnAround => end == End::Client,
            };
            if applies && self.silence_ends(session, end) <= now {
                self.shut_read(slot, end, SessionEnd::Idle, out);
            }
        }
        if self.sessions[slot].phase != Phase::Free {
            self.arm_session(slot, out);
        }
    }
}

/// Writes a message to a side. It counts as activity there unless the kernel's buffers are full.
#[inline]
fn pass_on(to: &mut Side, now: Time, message: Message, out: &mut Out) {
    if out.output_buffer_bytes(to.sock) == 0 {
        to.last = now;
    }
    if super::FORWARD_WORK > Span::ZERO {
        out.work(super::FORWARD_WORK);
    }
    out.send(to.sock, message);
}
