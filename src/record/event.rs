//! Log lines as values, and their text as Sentinel and HAProxy print it; those of a Redis server are in `redis`.
//!
//! The texts are those of the shared recordings: node names in place of addresses, level mark and time removed.
//! Sources: `sentinelEvent` and its callers (sentinel.c), `serverLog` calls of replication.c and server.c, and
//! `srv_append_status` (HAProxy's server.c).

use std::fmt::Write as _;

use super::{Names, RedisEvent};

use crate::kernel::{Span, Time};
use crate::release::Dialect;
use crate::wire::{Addr, HostId, Role, RunId};

/// A line of a program's log.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A Sentinel's.
    Sentinel(SentinelEvent),
    /// A Redis server's.
    Redis(RedisEvent),
    /// HAProxy's.
    Haproxy(HaproxyEvent),
    /// Any other line, verbatim.
    Text(Box<str>),
}

/// Which kind of object a Sentinel event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// The monitored master.
    Master,
    /// One of its replicas.
    Slave,
    /// Another Sentinel.
    Sentinel,
}

/// The instance that a Sentinel event is about (`@` in spec 21.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What it is.
    pub kind: InstanceKind,
    /// Its address.
    pub addr: Addr,
    /// A Sentinel's id, which is also its name.
    pub id: RunId,
    /// The address of the master object at that moment.
    pub master: Addr,
}

macro_rules! sentinel_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Events whose text is `<event> @` and nothing else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is named by its own text")]
        pub enum SentinelEventKind { $($(#[$doc])* $name),+ }

        impl SentinelEventKind {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [SentinelEventKind] = &[$(SentinelEventKind::$name),+];

            /// The event's name as Sentinel prints it.
            pub const fn as_str(self) -> &'static str {
                match self { $(SentinelEventKind::$name => $text),+ }
            }
        }
    };
}

sentinel_kinds! {
    MonitorRemoved = "-monitor",
    ResetMaster = "+reset-master",
    SlaveAdded = "+slave",
    SentinelAdded = "+sentinel",
    SentinelInvalidAddr = "+sentinel-invalid-addr",
    SdownEntered = "+sdown",
    SdownLeft = "-sdown",
    OdownLeft = "-odown",
    TryFailover = "+try-failover",
    ElectedLeader = "+elected-leader",
    StateSelectSlave = "+failover-state-select-slave",
    SelectedSlave = "+selected-slave",
    StateSendSlaveofNoone = "+failover-state-send-slaveof-noone",
    StateWaitPromotion = "+failover-state-wait-promotion",
    PromotedSlave = "+promoted-slave",
    StateReconfSlaves = "+failover-state-reconf-slaves",
    SlaveReconfSent = "+slave-reconf-sent",
    SlaveReconfInprog = "+slave-reconf-inprog",
    SlaveReconfDone = "+slave-reconf-done",
    SlaveReconfSentTimeout = "-slave-reconf-sent-timeout",
    SlaveReconfSentBe = "+slave-reconf-sent-be",
    FailoverEndForTimeout = "+failover-end-for-timeout",
    FailoverEnd = "+failover-end",
    ConfigUpdateFrom = "+config-update-from",
    AbortNotElected = "-failover-abort-not-elected",
    AbortNoGoodSlave = "-failover-abort-no-good-slave",
    AbortSlaveTimeout = "-failover-abort-slave-timeout",
    Reboot = "+reboot",
    ConvertToSlave = "+convert-to-slave",
    FixSlaveConfig = "+fix-slave-config",
}

/// A Sentinel's log line.
#[derive(Clone, Debug, PartialEq)]
pub enum SentinelEvent {
    /// `<event> @`
    About(SentinelEventKind, Instance),
    /// `+monitor @ quorum <q>`
    Monitor(Instance, u32),
    /// `+odown @ #quorum <count>/<quorum>`
    Odown(Instance, u32, u32),
    /// `+new-epoch <epoch>`
    NewEpoch(u32),
    /// `+vote-for-leader <id> <epoch>`
    VoteForLeader(RunId, u32),
    /// `<voter> voted for <id> <epoch>`: log only
    VotedFor(RunId, RunId, u32),
    /// `+switch-master <name> <old> <new>`
    SwitchMaster(Addr, Addr),
    /// `+role-change` (true: the new role is the object's kind) or `-role-change`; verbose, so published, not logged
    RoleChange(bool, Instance, Role),
    /// `+sentinel-address-switch @ ip <ip> port <port> for <id>`
    SentinelAddressSwitch(Instance, Addr, RunId),
    /// `+set @ <option> <value>`
    Set(Instance, Box<str>),
    /// `+tilt` / `-tilt`
    Tilt(bool),
    /// `Next failover delay: I will not start a failover before …`; log only
    NextFailoverDelay(Time),
    /// `Executing user requested FAILOVER of '<name>'`; log only
    UserFailover,
    /// `Sentinel new configuration saved on disk`; log only
    ConfigSaved,
    /// `Sentinel ID is <id>`; log only
    Id(RunId),
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

impl Instance {
    fn write(&self, names: &Names, out: &mut String) {
        let (host, port) = (names.host(self.addr.host), self.addr.port);
        let (name, master, master_port) = (&names.master, names.host(self.master.host), self.master.port);
        let _ = match self.kind {
            InstanceKind::Master => write!(out, "master {name} {host} {port}"),
            InstanceKind::Slave => {
                write!(out, "slave {host}:{port} {host} {port} @ {name} {master} {master_port}")
            }
            InstanceKind::Sentinel => {
                let id = names.id(self.id);
                write!(out, "sentinel {id} {host} {port} @ {name} {master} {master_port}")
            }
        };
    }

    fn text(&self, names: &Names) -> String {
        let mut out = String::new();
        self.write(names, &mut out);
        out
    }
}

impl Event {
    /// Whether the line is in the program's log at its default level; Sentinel publishes its verbose events, but does
    /// not log them.
    pub fn is_logged(&self) -> bool {
        !matches!(self, Event::Sentinel(SentinelEvent::RoleChange(..)))
    }

    /// The line in the words of the reference stack: the same for one event, whoever speaks of it.
    pub fn text(&self, names: &Names) -> String {
        self.spoken(Dialect::default(), names)
    }

    /// The line in a dialect. What is not typed has one text only.
    pub fn spoken(&self, dialect: Dialect, names: &Names) -> String {
        match self {
            Event::Sentinel(event) => event.text(names),
            Event::Redis(event) => event.spoken(dialect, names),
            Event::Haproxy(event) => event.text(names),
            Event::Text(text) => text.to_string(),
        }
    }
}

impl SentinelEvent {
    /// The line as Sentinel prints it.
    pub fn text(&self, names: &Names) -> String {
        let addr = |a: &Addr| format!("{} {}", names.host(a.host), a.port);
        match self {
            SentinelEvent::About(kind, who) => format!("{} {}", kind.as_str(), who.text(names)),
            SentinelEvent::Monitor(who, quorum) => format!("+monitor {} quorum {quorum}", who.text(names)),
            SentinelEvent::Odown(who, count, quorum) => {
                format!("+odown {} #quorum {count}/{quorum}", who.text(names))
            }
            SentinelEvent::NewEpoch(epoch) => format!("+new-epoch {epoch}"),
            SentinelEvent::VoteForLeader(id, epoch) => format!("+vote-for-leader {} {epoch}", names.id(*id)),
            SentinelEvent::VotedFor(voter, id, epoch) => {
                format!("{} voted for {} {epoch}", names.id(*voter), names.id(*id))
            }
            SentinelEvent::SwitchMaster(old, new) => {
                format!("+switch-master {} {} {}", names.master, addr(old), addr(new))
            }
            SentinelEvent::RoleChange(expected, who, role) => {
                let sign = if *expected { '+' } else { '-' };
                format!("{sign}role-change {} new reported role is {}", who.text(names), role.as_str())
            }
            SentinelEvent::SentinelAddressSwitch(who, to, id) => {
                let host = names.host(to.host);
                let id = names.id(*id);
                format!("+sentinel-address-switch {} ip {host} port {} for {id}", who.text(names), to.port)
            }
            SentinelEvent::Set(who, what) => format!("+set {} {what}", who.text(names)),
            SentinelEvent::Tilt(true) => "+tilt #tilt mode entered".into(),
            SentinelEvent::Tilt(false) => "-tilt #tilt mode exited".into(),
            SentinelEvent::NextFailoverDelay(at) => {
                format!("Next failover delay: I will not start a failover before {}", ctime(*at))
            }
            SentinelEvent::UserFailover => format!("Executing user requested FAILOVER of '{}'", names.master),
            SentinelEvent::ConfigSaved => "Sentinel new configuration saved on disk".into(),
            SentinelEvent::Id(id) => format!("Sentinel ID is {}", names.id(*id)),
        }
    }
}

impl CheckStatus {
    /// What `chk_report_conn_err` and `tcpcheck_eval_recv` (HAProxy's check.c and tcpcheck.c) say: the error of the
    /// system, if there is one, and the step at which it happened.
    pub(super) fn reason(self) -> String {
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

impl HaproxyEvent {
    /// The line as HAProxy prints it.
    pub fn text(&self, names: &Names) -> String {
        match self {
            HaproxyEvent::NoServer => "backend redis_backend has no server available!".into(),
            HaproxyEvent::Server { server, backup, up, status, duration, active, backups, sessions } => {
                let mut out = String::new();
                let mark = if *backup { "Backup " } else { "" };
                let state = if *up { "UP" } else { "DOWN" };
                let _ = write!(out, "{mark}Server redis_backend/{} is {state}, reason: ", names.host(*server));
                let _ = write!(out, "{}, check duration: {}ms. ", status.reason(), duration.as_millis());
                let tense = if *up { "online" } else { "left" };
                let _ = write!(out, "{active} active and {backups} backup servers {tense}.");
                if *active == 0 && *backups > 0 {
                    out.push_str(" Running on backup.");
                }
                let _ = if *up {
                    write!(out, " 0 sessions requeued, 0 total in queue.")
                } else {
                    write!(out, " {sessions} sessions active, 0 requeued, 0 remaining in queue.")
                };
                out
            }
        }
    }
}

/// Seconds from 1970 to the date at which the simulated world's wall clocks start: 2026-01-01 00:00:00 UTC.
pub(super) const WALL_CLOCK_START: u64 = 1_767_225_600;

pub(super) const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant as `ctime()` prints it, in UTC.
pub(super) fn ctime(at: Time) -> String {
    let seconds = WALL_CLOCK_START + at.0 / 1_000_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (weekday, month) = (WEEKDAYS[(days % 7) as usize], MONTHS[month as usize - 1]);
    format!("{weekday} {month} {day:2} {:02}:{:02}:{:02} {year}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a number of days since 1970 (Hinnant's `civil_from_days`, for dates after it).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (era * 400 + yoe + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days from 1970 to a date (Hinnant's `days_from_civil`).
pub(super) fn days(year: u64, month: u64, day: u64) -> u64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}
