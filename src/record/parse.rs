//! Log lines read back into typed events.
//!
//! What is read is what was printed: an event is recognised only if it prints the same text again, anything else
//! stays verbatim as [`Event::Text`].

use super::event::{MONTHS, WALL_CLOCK_START, days};
use super::{
    CheckStatus, Event, HaproxyEvent, Instance, InstanceKind, Names, NodeKind, RedisEvent, SentinelEvent,
    SentinelEventKind,
};
use crate::kernel::{Span, Time};
use crate::release::Dialect;
use crate::wire::{Addr, HostId, ReplId, Role, RunId};

impl Event {
    /// The event that a line of a program's log stands for, and in which dialect it was said: in `usual`, if that says so.
    pub fn parse(kind: NodeKind, text: &str, names: &Names, usual: Dialect) -> (Event, Dialect) {
        let others = Dialect::ALL.into_iter().filter(|dialect| *dialect != usual);
        std::iter::once(usual)
            .chain(others.filter(|_| kind == NodeKind::Redis))
            .find_map(|dialect| Some((Event::heard(kind, text, names, dialect)?, dialect)))
            .unwrap_or_else(|| (Event::Text(text.into()), usual))
    }

    /// The event that a line stands for in a dialect.
    fn heard(kind: NodeKind, text: &str, names: &Names, dialect: Dialect) -> Option<Event> {
        let scan = Scan { rest: text, names };
        let event = match kind {
            NodeKind::Sentinel => scan.sentinel().map(Event::Sentinel),
            NodeKind::Redis => RedisEvent::parse(scan, dialect).map(Event::Redis),
            NodeKind::Haproxy => scan.haproxy().map(Event::Haproxy),
            NodeKind::Client => None,
        };
        event.filter(|event| event.spoken(dialect, names) == text)
    }
}

impl Names {
    /// Remembers the identities in a line of a file, so that they can be typed and print as they were.
    /// Of two identities with the same first sixteen digits only the first is remembered.
    pub fn learn_ids(&mut self, text: &str) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            if let Some(number) = id_number(word).filter(|number| *number != 0) {
                self.ids.entry(number).or_insert_with(|| word.into());
            }
        }
    }
}

fn id_number(word: &str) -> Option<u64> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (word.len() == 40 && word.bytes().all(digit)).then(|| u64::from_str_radix(&word[..16], 16).ok()).flatten()
}

/// What is left of a line. Every step either takes its part off the front or gives up.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    rest: &'a str,
    names: &'a Names,
}

impl<'a> Scan<'a> {
    pub(super) fn lit(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// The characters at the front that are so.
    pub(super) fn take_while(&mut self, so: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !so(c)).unwrap_or(self.rest.len());
        let (front, rest) = self.rest.split_at(end);
        self.rest = rest;
        front
    }

    pub(super) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    pub(super) fn until(&mut self, mark: &str) -> Option<&'a str> {
        let (word, rest) = self.rest.split_once(mark)?;
        self.rest = rest;
        Some(word)
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        digits.parse().ok()
    }

    fn host(&mut self, mark: &str) -> Option<HostId> {
        let word = self.until(mark)?;
        self.names.find_host(word)
    }

    /// `redis-1 6379` or `redis-1:6379`.
    pub(super) fn addr(&mut self, mark: &str) -> Option<Addr> {
        let host = self.host(mark)?;
        Some(Addr { host, port: self.number()? })
    }

    fn id(&mut self) -> Option<u64> {
        let word = self.rest.get(..40)?;
        self.rest = &self.rest[40..];
        id_number(word)
    }

    fn run_id(&mut self) -> Option<RunId> {
        self.id().map(RunId)
    }

    pub(super) fn repl_id(&mut self) -> Option<ReplId> {
        self.id().map(ReplId)
    }

    /// The name of the monitored master, and a space.
    fn master(&mut self) -> Option<()> {
        self.lit(&self.names.master)?;
        self.lit(" ")
    }

    /// The instance text (spec 21.2).
    fn instance(&mut self) -> Option<Instance> {
        let kind = match self.until(" ")? {
            "master" => InstanceKind::Master,
            "slave" => InstanceKind::Slave,
            "sentinel" => InstanceKind::Sentinel,
            _ => return None,
        };
        let mut id = RunId::default();
        match kind {
            InstanceKind::Master => self.master()?,
            InstanceKind::Slave => {
                self.addr(":")?;
                self.lit(" ")?;
            }
            InstanceKind::Sentinel => {
                id = self.run_id()?;
                self.lit(" ")?;
            }
        }
        let addr = self.addr(" ")?;
        let master = if kind == InstanceKind::Master {
            addr
        } else {
            self.lit(" @ ")?;
            self.master()?;
            self.addr(" ")?
        };
        Some(Instance { kind, addr, id, master })
    }

    fn sentinel(mut self) -> Option<SentinelEvent> {
        match self.rest {
            "+tilt #tilt mode entered" => return Some(SentinelEvent::Tilt(true)),
            "-tilt #tilt mode exited" => return Some(SentinelEvent::Tilt(false)),
            "Sentinel new configuration saved on disk" => return Some(SentinelEvent::ConfigSaved),
            _ => {}
        }
        if self.lit("Executing user requested FAILOVER of '").is_some() {
            self.lit(&self.names.master)?;
            return (self.rest == "'").then_some(SentinelEvent::UserFailover);
        }
        if self.lit("Sentinel ID is ").is_some() {
            let id = self.run_id()?;
            return self.end().map(|()| SentinelEvent::Id(id));
        }
        if self.lit("Next failover delay: I will not start a failover before ").is_some() {
            return self.ctime().map(SentinelEvent::NextFailoverDelay);
        }
        if !self.rest.starts_with(['+', '-']) {
            let voter = self.run_id()?;
            self.lit(" voted for ")?;
            let leader = self.run_id()?;
            self.lit(" ")?;
            let epoch = self.number()?;
            return self.end().map(|()| SentinelEvent::VotedFor(voter, leader, epoch));
        }
        let event = match self.until(" ")? {
            "+new-epoch" => SentinelEvent::NewEpoch(self.number()?),
            "+vote-for-leader" => {
                let id = self.run_id()?;
                self.lit(" ")?;
                SentinelEvent::VoteForLeader(id, self.number()?)
            }
            "+switch-master" => {
                self.master()?;
                let old = self.addr(" ")?;
                self.lit(" ")?;
                SentinelEvent::SwitchMaster(old, self.addr(" ")?)
            }
            "+monitor" => {
                let who = self.instance()?;
                self.lit(" quorum ")?;
                SentinelEvent::Monitor(who, self.number()?)
            }
            "+odown" => {
                let who = self.instance()?;
                self.lit(" #quorum ")?;
                let count = self.number()?;
                self.lit("/")?;
                SentinelEvent::Odown(who, count, self.number()?)
            }
            word @ ("+role-change" | "-role-change") => {
                let who = self.instance()?;
                self.lit(" new reported role is ")?;
                let role = match std::mem::take(&mut self.rest) {
                    "master" => Role::Master,
                    "slave" => Role::Slave,
                    _ => return None,
                };
                SentinelEvent::RoleChange(word.starts_with('+'), who, role)
            }
            "+sentinel-address-switch" => {
                let who = self.instance()?;
                self.lit(" ip ")?;
                let host = self.host(" ")?;
                self.lit("port ")?;
                let port = self.number()?;
                self.lit(" for ")?;
                SentinelEvent::SentinelAddressSwitch(who, Addr { host, port }, self.run_id()?)
            }
            "+set" => {
                let who = self.instance()?;
                self.lit(" ")?;
                SentinelEvent::Set(who, std::mem::take(&mut self.rest).into())
            }
            word => {
                let kind = SentinelEventKind::ALL.iter().find(|kind| kind.as_str() == word)?;
                SentinelEvent::About(*kind, self.instance()?)
            }
        };
        self.end().map(|()| event)
    }

    /// A date as `ctime()` prints it, from the start of the simulated wall clock on.
    fn ctime(mut self) -> Option<Time> {
        self.until(" ")?;
        let month = self.until(" ")?;
        let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
        self.rest = self.rest.trim_start();
        let day: u64 = self.number()?;
        self.lit(" ")?;
        let hour: u64 = self.number()?;
        self.lit(":")?;
        let minute: u64 = self.number()?;
        self.lit(":")?;
        let second: u64 = self.number()?;
        self.lit(" ")?;
        let year: u64 = self.number()?;
        let sane = (2026..2400).contains(&year) && (1..32).contains(&day) && hour < 24 && minute < 60 && second < 60;
        if !sane || !self.rest.is_empty() {
            return None;
        }
        let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        seconds.checked_sub(WALL_CLOCK_START).map(|s| Time(s * 1_000_000_000))
    }

    fn haproxy(mut self) -> Option<HaproxyEvent> {
        if self.rest == "backend redis_backend has no server available!" {
            return Some(HaproxyEvent::NoServer);
        }
        let backup = self.lit("Backup ").is_some();
        self.lit("Server redis_backend/")?;
        let server = self.host(" ")?;
        self.lit("is ")?;
        let up = match self.until(", reason: ")? {
            "UP" => true,
            "DOWN" => false,
            _ => return None,
        };
        let status = check_status(self.until(", check duration: ")?)?;
        let duration = Span::from_nanos(self.number::<u64>()?.checked_mul(1_000_000)?);
        self.lit("ms. ")?;
        let active = self.number()?;
        self.lit(" active and ")?;
        let backups = self.number()?;
        self.lit(if up { " backup servers online." } else { " backup servers left." })?;
        let _ = self.lit(" Running on backup.");
        let mut sessions = 0;
        if up {
            self.lit(" 0 sessions requeued, 0 total in queue.")?;
        } else {
            self.lit(" ")?;
            sessions = self.number()?;
            self.lit(" sessions active, 0 requeued, 0 remaining in queue.")?;
        }
        self.end()?;
        Some(HaproxyEvent::Server { server, backup, up, status, duration, active, backups, sessions })
    }
}

fn check_status(reason: &str) -> Option<CheckStatus> {
    let steps = (1..=9).flat_map(|n| [CheckStatus::L7Tout(n), CheckStatus::L7Rsp(n), CheckStatus::SockErr(n)]);
    [CheckStatus::L7Ok, CheckStatus::L4Ok, CheckStatus::L4Con, CheckStatus::L4Unreachable, CheckStatus::L4Tout]
        .into_iter()
        .chain(steps)
        .find(|status| status.reason() == reason)
}
