//! Health checks: `option tcp-check` with `send PING`, `expect string +PONG`, `send info replication`,
//! `expect string role:master`.
//!
//! Each round is a connection of its own, ended by RST. One deadline covers connect and all steps unless
//! `timeout check` is set. That sets another deadline once the connection is open, but the check keeps its place in the queue of
//! timers: a deadline that has come closer is met when the queue is walked through that far, which it is from its
//! beginning, whenever its first deadline has come, to the first that has not (`wake_expired_tasks`; strace of 2.6.12). With
//! `inter 4s` and `timeout check 1s` a round on a silent server lasts 1 to 4 s, depending on the rounds of the others and on
//! a task that runs once a second. A reply that does not match is not a failure: the rule waits for more bytes, until the deadline or
//! the peer's close. The interval runs from the end of one round to the start of the next.
//!
//! Sources: `process_chk_conn`, `srv_getinter`, `start_checks` (check.c); `tcpcheck_eval_connect`,
//! `tcpcheck_eval_expect` (tcpcheck.c); spec H2 to H5.

use super::health::Health;
use super::timer::{Tick, deadline, millis, tick};
use super::{CheckKind, Config, Haproxy, OnMarkedDown, OnMarkedUp, check_token};
use crate::kernel::{Span, Time};
use crate::program::{ConnectError, Ended, Note, Out, Sock, TimerId};
use crate::record::{CheckStatus, Event, HaproxyEvent};
use crate::wire::{Command, InfoSection, Message, Reply, Role};

/// `SRV_CHK_INTER_THRES`: shorter intervals do not set the spread of the first checks.
const SPREAD_INTERVAL_MIN: Span = Span::from_millis(1000);

/// The numbers of the steps as the log counts them.
const STEP_PONG: u8 = 2;
const STEP_ROLE: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// No round in flight.
    Idle,
    Connecting,
    AwaitPong,
    AwaitRole,
}

/// The checks of one server.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) health: Health,
    step: Step,
    sock: Option<Sock>,
    began: Time,
    /// The deadline, if it is earlier than the place in the queue of timers says.
    hurried: Option<Tick>,
}

impl Check {
    pub(super) fn new(config: &Config) -> Check {
        Check {
            health: Health::at_start(config.rise, config.fall),
            step: Step::Idle,
            sock: None,
            began: Time::ZERO,
            hurried: None,
        }
    }

    /// `srv_getinter`: the pause before the next round.
    fn pause(&self, config: &Config) -> Span {
        if self.health.is_full() {
            config.inter
        } else if self.health.is_zero() {
            config.downinter.unwrap_or(config.inter)
        } else {
            config.fastinter.unwrap_or(config.inter)
        }
    }
}

/// When the first round of the server at `position` starts, counted from the start of the check subsystem.
fn first_check_after(config: &Config, check: &Check, position: usize, number: usize) -> Span {
    let pause = check.pause(config);
    // All servers share one line of configuration, so that the smallest interval is everybody's.
    let shared = if pause >= SPREAD_INTERVAL_MIN { pause } else { Span::ZERO };
    let spread = shared.max(pause);
    Span::from_millis(millis(spread) * position as u64 / number as u64)
}

impl Haproxy {
    pub(super) fn check_timer(server: usize) -> TimerId {
        TimerId(1 + server as u32)
    }

    /// `start_checks`: spreads the first rounds evenly, in configuration order.
    pub(super) fn start_checks(&mut self, out: &mut Out) {
        let number = self.servers.len();
        for position in 0..number {
            let after = first_check_after(&self.config, &self.servers[position].check, position, number);
            self.timers.arm(Self::check_timer(position), deadline(self.timers.clock(out), after), out);
        }
    }

    /// The deadline of a round, or the end of the pause between two.
    pub(super) fn check_deadline(&mut self, server: usize, out: &mut Out) {
        match self.servers[server].check.step {
            Step::Idle => self.begin_check(server, out),
            Step::Connecting => self.end_check(server, CheckStatus::L4Tout, out),
            Step::AwaitPong => self.end_check(server, CheckStatus::L7Tout(STEP_PONG), out),
            Step::AwaitRole => self.end_check(server, CheckStatus::L7Tout(STEP_ROLE), out),
        }
    }

    /// The rest of a walk through the queue of timers whose first deadline has come: checks whose deadline has passed
    /// unnoticed are taken out of it and named.
    pub(super) fn walk_checks(&mut self, out: &mut Out) -> Vec<usize> {
        let mut overdue = Vec::new();
        if self.config.timeout_check.is_none() {
            return overdue;
        }
        let now = tick(self.timers.clock(out));
        loop {
            let placed = (0..=self.servers.len() as u32)
                .filter_map(|timer| Some((self.timers.armed(TimerId(timer))?, timer)))
                .filter(|&(place, _)| place > now);
            let Some((_, timer)) = placed.min() else { return overdue };
            let server = (timer as usize).checked_sub(1);
            let Some((server, limit)) =
                server.and_then(|server| Some((server, self.servers[server].check.hurried.take()?)))
            else {
                return overdue;
            };
            if limit <= now {
                self.timers.disarm(TimerId(timer), out);
                overdue.push(server);
            } else {
                self.timers.arm(TimerId(timer), limit, out);
            }
        }
    }

    fn begin_check(&mut self, server: usize, out: &mut Out) {
        let now = self.timers.clock(out);
        let sock = out.connect(self.servers[server].addr, check_token(server));
        let check = &mut self.servers[server].check;
        check.sock = Some(sock);
        check.step = Step::Connecting;
        check.began = now;
        // `inter`, whichever interval is in force; with `timeout check`, `timeout connect` bounds it too.
        let mut limit = deadline(now, self.config.inter);
        if self.config.timeout_check.is_some() {
            limit = limit.min(deadline(now, self.config.timeout_connect));
        }
        self.timers.arm(Self::check_timer(server), limit, out);
    }

    pub(super) fn check_connected(&mut self, server: usize, out: &mut Out) {
        let check = &mut self.servers[server].check;
        assert_eq!(check.step, Step::Connecting, "a check connects once");
        if self.config.check == CheckKind::Connect {
            return self.end_check(server, CheckStatus::L4Ok, out);
        }
        check.step = Step::AwaitPong;
        let sock = check.sock.expect("a round in flight has a socket");
        out.command(sock, Command::Ping);
        if let Some(limit) = self.config.timeout_check {
            let (timer, limit) = (Self::check_timer(server), deadline(self.timers.clock(out), limit));
            if self.timers.armed(timer).is_some_and(|place| limit < place) {
                check.hurried = Some(limit);
            } else {
                self.timers.arm(timer, limit, out);
            }
        }
    }

    pub(super) fn check_connect_failed(&mut self, server: usize, error: ConnectError, out: &mut Out) {
        self.servers[server].check.sock = None;
        let status = match error {
            ConnectError::Refused => CheckStatus::L4Con,
            // The kernel gives up on a SYN after two minutes: only a deadline longer than that would see it.
            ConnectError::Unreachable | ConnectError::TimedOut => CheckStatus::L4Unreachable,
        };
        self.end_check(server, status, out);
    }

    pub(super) fn check_data(&mut self, server: usize, message: &Message, out: &mut Out) {
        let check = &mut self.servers[server].check;
        match (check.step, message) {
            (Step::AwaitPong, Message::Reply(Reply::Pong)) if self.config.check == CheckKind::Ping => {
                self.end_check(server, CheckStatus::L7Ok, out);
            }
            (Step::AwaitPong, Message::Reply(Reply::Pong)) => {
                check.step = Step::AwaitRole;
                let sock = check.sock.expect("a round in flight has a socket");
                out.command(sock, Command::Info(InfoSection::Replication));
            }
            (Step::AwaitRole, Message::Reply(Reply::Info(info))) if info.role == Role::Master => {
                self.end_check(server, CheckStatus::L7Ok, out);
            }
            // No match: the rule waits for more.
            _ => {}
        }
    }

    pub(super) fn check_ended(&mut self, server: usize, how: Ended, out: &mut Out) {
        let check = &mut self.servers[server].check;
        let step = if check.step == Step::AwaitRole { STEP_ROLE } else { STEP_PONG };
        let status = match how {
            Ended::Eof => CheckStatus::L7Rsp(step),
            Ended::Reset | Ended::TimedOut => {
                check.sock = None;
                CheckStatus::SockErr(step)
            }
        };
        self.end_check(server, status, out);
    }

    /// A round is over: the counter moves, and with it perhaps the server.
    fn end_check(&mut self, server: usize, status: CheckStatus, out: &mut Out) {
        let check = &mut self.servers[server].check;
        assert_ne!(check.step, Step::Idle, "a round in flight ends once");
        if let Some(sock) = check.sock.take() {
            out.reset(sock);
        }
        check.step = Step::Idle;
        check.hurried = None;
        let duration = self.timers.clock(out).since(check.began);
        let was_up = check.health.is_up();
        if matches!(status, CheckStatus::L7Ok | CheckStatus::L4Ok) {
            check.health.pass()
        } else {
            check.health.fail()
        }
        let is_up = check.health.is_up();
        let pause = check.pause(&self.config);
        let host = self.servers[server].host;
        out.note(|| Note::Checked { server: host, status, was_up, is_up, took: duration });
        if was_up != is_up {
            self.server_changed(server, is_up, status, duration, out);
        }
        let now = self.timers.clock(out);
        let next: Tick = deadline(now, pause);
        // `reschedule`: a pause of less than a tick does not stop the clock.
        let next = if next <= tick(now) { next + millis(self.config.inter) } else { next };
        self.timers.arm(Self::check_timer(server), next, out);
    }

    /// `srv_update_status`: the log lines, and what `on-marked-down` and `on-marked-up` ask for.
    fn server_changed(&mut self, server: usize, up: bool, status: CheckStatus, duration: Span, out: &mut Out) {
        let backup = self.servers[server].backup;
        let count =
            |backup| self.servers.iter().filter(|s| s.backup == backup && s.check.health.is_up()).count() as u32;
        let (active, backups) = (count(false), count(true));
        let sessions = self.servers[server].sessions;
        let host = self.servers[server].host;
        out.log(|| {
            let server = host;
            Event::Haproxy(HaproxyEvent::Server { server, backup, up, status, duration, active, backups, sessions })
        });
        if !up && active == 0 && backups == 0 {
            out.log(|| Event::Haproxy(HaproxyEvent::NoServer));
        }
        if !up && self.config.on_marked_down == OnMarkedDown::ShutdownSessions {
            self.shut_sessions_of(server, out);
        }
        if up && !backup && self.config.on_marked_up == OnMarkedUp::ShutdownBackupSessions {
            for other in 0..self.servers.len() {
                if self.servers[other].backup {
                    self.shut_sessions_of(other, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_checks_are_spread_over_the_interval() {
        let spread = |config: &Config| {
            let check = Check::new(config);
            [0, 1, 2].map(|position| first_check_after(config, &check, position, 3).as_millis())
        };
        assert_eq!(spread(&Config::default()), [0, 333, 666]);
        // A server that is neither fully healthy nor down is checked in `fastinter`, and so the first time.
        let fast = Config { fastinter: Some(Span::from_millis(300)), ..Config::default() };
        assert_eq!(spread(&fast), [0, 100, 200]);
        let slow = Config { inter: Span::from_secs(2), ..Config::default() };
        assert_eq!(spread(&slow), [0, 666, 1333]);
    }
}
