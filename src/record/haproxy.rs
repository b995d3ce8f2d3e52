//! The log lines of HAProxy: one table, from whose rows they are printed and read (spec H13.1).
//!
//! They are the same in all releases. Sources: `srv_append_status` and its callers (server.c of 2.2.9, 2.6.12, 2.8.0 and
//! 3.0.11), `chk_report_conn_err` (check.c), `tcpcheck_eval_recv` (tcpcheck.c), and the logs of 2.2.9, 2.6.12 and 2.8.25.

#[cfg(test)]
use proptest::prelude::*;

use super::Names;
use super::lines::{Field, lines};
use super::parse::Scan;
use crate::kernel::Span;
use crate::release::Dialect;
use crate::wire::HostId;

lines! {
    /// What HAProxy writes. A server's line ends otherwise when it comes up than when it goes down.
    pub(super) enum Line {
        NoServer = "backend redis_backend has no server available!";
        Up(backup: bool, server: HostId, status: CheckStatus, duration: Span, active: u32, backups: u32, on_backup: bool) =
            "{Backup |}Server redis_backend/{} is UP, reason: {}, check duration: {ms}ms. {} active and {} backup servers \
             online.{ Running on backup.|} 0 sessions requeued, 0 total in queue.";
        Down(backup: bool, server: HostId, status: CheckStatus, duration: Span, active: u32, backups: u32, on_backup: bool,
            sessions: u32) =
            "{Backup |}Server redis_backend/{} is DOWN, reason: {}, check duration: {ms}ms. {} active and {} backup servers \
             left.{ Running on backup.|} {} sessions active, 0 requeued, 0 remaining in queue.";
    }
}

/// How a health check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// Passed.
    L7Ok,
    /// Somebody listens, and no more is asked.
    L4Ok,
    /// Refused.
    L4Con,
    /// No route to the host.
    L4Unreachable,
    /// The connect was not answered in time.
    L4Tout,
    /// A step was not answered in time; which step.
    L7Tout(u8),
    /// Wrong or empty response at a step.
    L7Rsp(u8),
    /// Reset at a step.
    SockErr(u8),
}

/// HAProxy's log line about a server.
#[derive(Clone, Debug, PartialEq)]
pub enum HaproxyEvent {
    /// `[Backup ]Server redis_backend/<name> is UP|DOWN, reason: …`
    Server {
        /// Which server.
        server: HostId,
        /// Whether it is a backup server.
        backup: bool,
        /// UP or DOWN.
        up: bool,
        /// The check that decided.
        status: CheckStatus,
        /// How long that check took.
        duration: Span,
        /// Active servers left or online.
        active: u32,
        /// Backup servers left or online.
        backups: u32,
        /// Sessions on the server.
        sessions: u32,
    },
    /// `backend redis_backend has no server available!`
    NoServer,
}

impl HaproxyEvent {
    /// The line as HAProxy prints it.
    pub fn text(&self, names: &Names) -> String {
        let line = match *self {
            HaproxyEvent::NoServer => Line::NoServer,
            HaproxyEvent::Server { server, backup, up, status, duration, active, backups, sessions } => {
                let on_backup = active == 0 && backups > 0;
                match up {
                    true => Line::Up(backup, server, status, duration, active, backups, on_backup),
                    false => Line::Down(backup, server, status, duration, active, backups, on_backup, sessions),
                }
            }
        };
        let mut out = String::new();
        line.write(Dialect::default(), names, &mut out);
        out
    }

    /// The line that is printed so.
    pub(super) fn read(mut scan: Scan<'_>) -> Option<HaproxyEvent> {
        Some(match Line::read(&mut scan, Dialect::default(), true)? {
            Line::NoServer => HaproxyEvent::NoServer,
            Line::Up(backup, server, status, duration, active, backups, _) => {
                HaproxyEvent::Server { server, backup, up: true, status, duration, active, backups, sessions: 0 }
            }
            Line::Down(backup, server, status, duration, active, backups, _, sessions) => {
                HaproxyEvent::Server { server, backup, up: false, status, duration, active, backups, sessions }
            }
        })
    }
}

impl CheckStatus {
    /// All that a check of nine steps can end with.
    fn all() -> impl Iterator<Item = CheckStatus> {
        let steps = (1..=9).flat_map(|n| [CheckStatus::L7Tout(n), CheckStatus::L7Rsp(n), CheckStatus::SockErr(n)]);
        [CheckStatus::L7Ok, CheckStatus::L4Ok, CheckStatus::L4Con, CheckStatus::L4Unreachable, CheckStatus::L4Tout]
            .into_iter()
            .chain(steps)
    }

    /// What `chk_report_conn_err` and `tcpcheck_eval_recv` say: the error of the system, if there is one, and the step at
    /// which it happened.
    fn reason(self) -> String {
        let step = |n: u8| match n {
            2 => " at step 2 of tcp-check (expect string '+PONG')".to_string(),
            4 => " at step 4 of tcp-check (expect string 'role:master')".to_string(),
            n => format!(" at step {n} of tcp-check"),
        };
        match self {
            CheckStatus::L7Ok => "Layer7 check passed, code: 0, info: \"(tcp-check)\"".into(),
            CheckStatus::L4Ok => "Layer4 check passed".into(),
            CheckStatus::L4Con => {
                "Layer4 connection problem, info: \"Connection refused at initial connection step of tcp-check\"".into()
            }
            CheckStatus::L4Unreachable => {
                "Layer4 connection problem, info: \"No route to host at initial connection step of tcp-check\"".into()
            }
            CheckStatus::L4Tout => "Layer4 timeout, info: \" at initial connection step of tcp-check\"".into(),
            CheckStatus::L7Tout(n) => format!("Layer7 timeout, info: \"{}\"", step(n)),
            CheckStatus::L7Rsp(4) => {
                "Layer7 invalid response, info: \"TCPCHK did not match content 'role:master' at step 4\"".into()
            }
            CheckStatus::L7Rsp(n) => {
                format!("Layer7 invalid response, info: \"TCPCHK got an empty response at step {n}\"")
            }
            CheckStatus::SockErr(n) => format!("Socket error, info: \"Connection reset by peer{}\"", step(n)),
        }
    }
}

impl Field for CheckStatus {
    fn write(&self, _: &str, _: &Names, out: &mut String) {
        out.push_str(&self.reason());
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<CheckStatus> {
        let reason = scan.before(next)?;
        CheckStatus::all().find(|status| status.reason() == reason)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<CheckStatus> {
        let all: Vec<CheckStatus> = CheckStatus::all().collect();
        proptest::sample::select(all).boxed()
    }
}
