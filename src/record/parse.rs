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
use crate::wire::{Addr, HostId, ReplId, Role, RunId};

/// Reasons that [`RedisEvent::SyncSocketError`] can give.
pub(super) const SOCKET_ERRORS: [&str; 7] = [
    "Connection refused",
    "Connection reset by peer",
    "No route to host",
    "Connection timed out",
    "Network is unreachable",
    "Broken pipe",
    "Operation now in progress",
];
/// Error replies that [`RedisEvent::ErrorReplyToPing`] can show.
pub(super) const PING_ERRORS: [&str; 3] = [
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
];

impl Event {
    /// The event that a line of a program's log stands for.
    pub fn parse(kind: NodeKind, text: &str, names: &Names) -> Event {
        let scan = Scan { rest: text, names };
        let event = match kind {
            NodeKind::Sentinel => scan.sentinel().map(Event::Sentinel),
            NodeKind::Redis => redis(scan).map(Event::Redis),
            NodeKind::Haproxy => scan.haproxy().map(Event::Haproxy),
            NodeKind::Client => None,
        };
        event.filter(|event| event.text(names) == text).unwrap_or_else(|| Event::Text(text.into()))
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
struct Scan<'a> {
    rest: &'a str,
    names: &'a Names,
}

impl<'a> Scan<'a> {
    fn lit(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    fn until(&mut self, mark: &str) -> Option<&'a str> {
        let (word, rest) = self.rest.split_once(mark)?;
        self.rest = rest;
        Some(word)
    }

    fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
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
    fn addr(&mut self, mark: &str) -> Option<Addr> {
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

    fn repl_id(&mut self) -> Option<ReplId> {
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
    [CheckStatus::L7Ok, CheckStatus::L4Con, CheckStatus::L4Unreachable, CheckStatus::L4Tout]
        .into_iter()
        .chain(steps)
        .find(|status| status.reason() == reason)
}

/// Lines without arguments.
pub(super) const PLAIN: [RedisEvent; 28] = [
    RedisEvent::Ready,
    RedisEvent::MasterModeEnabled,
    RedisEvent::BeforeTurningIntoReplica,
    RedisEvent::SyncStarted,
    RedisEvent::NonBlockingConnectFired,
    RedisEvent::MasterRepliedToPing,
    RedisEvent::MasterDidNotRespond,
    RedisEvent::PartialNotPossible,
    RedisEvent::SuccessfulPartial,
    RedisEvent::MasterAcceptedPartial,
    RedisEvent::ReceivingRdb,
    RedisEvent::FlushingOldData,
    RedisEvent::LoadingDb,
    RedisEvent::FinishedWithSuccess,
    RedisEvent::MasterConnectionLost,
    RedisEvent::CachingMaster,
    RedisEvent::DiscardingCachedMaster,
    RedisEvent::TimeoutConnecting,
    RedisEvent::TimeoutReceivingBulk,
    RedisEvent::MasterTimeout,
    RedisEvent::DelayNextBgsave,
    RedisEvent::StartingBgsave,
    RedisEvent::RdbTransferStarted,
    RedisEvent::RdbTransferDone,
    RedisEvent::DbSaved,
    RedisEvent::ShutdownRequested,
    RedisEvent::ShutdownWaiting,
    RedisEvent::Exiting,
];

/// A Redis server's line. Each attempt works on its own copy of the scanner, so that a failed one leaves no trace.
fn redis(scan: Scan<'_>) -> Option<RedisEvent> {
    let attempts: [fn(Scan<'_>) -> Option<RedisEvent>; 21] = [
        |mut s| {
            s.lit("REPLICAOF ")?;
            s.addr(":").map(RedisEvent::ReplicaOf)
        },
        |mut s| {
            s.lit("Client ")?;
            let client = s.until(" scheduled to be closed ASAP for overcoming of output buffer limits.")?;
            let (_, flags) = client.split_once(" flags=")?;
            let flags = flags.split(' ').next()?;
            // A client that listens and replicates counts as a replica (`getClientType`).
            let class = match () {
                () if flags.contains('S') => "slave",
                () if flags.contains('P') => "pubsub",
                () => "normal",
            };
            Some(RedisEvent::OutputLimit { class, client: client.into() })
        },
        |mut s| {
            s.lit("Connecting to MASTER ")?;
            s.addr(":").map(RedisEvent::ConnectingToMaster)
        },
        |mut s| {
            s.lit("Reconnecting to MASTER ")?;
            s.addr(":").map(RedisEvent::ReconnectingToMaster)
        },
        |mut s| {
            s.lit("Error condition on socket for SYNC: ")?;
            known(&SOCKET_ERRORS, s.rest).map(RedisEvent::SyncSocketError)
        },
        |mut s| {
            s.lit("Error reply to PING from master: '-")?;
            known(&PING_ERRORS, s.rest.strip_suffix('\'')?).map(RedisEvent::ErrorReplyToPing)
        },
        |mut s| {
            s.lit("Trying a partial resynchronization (request ")?;
            let id = s.repl_id()?;
            s.lit(":")?;
            Some(RedisEvent::TryingPartial(id, s.number()?))
        },
        |mut s| {
            s.lit("Full resync from master: ")?;
            let id = s.repl_id()?;
            s.lit(":")?;
            Some(RedisEvent::FullResyncFromMaster(id, s.number()?))
        },
        |mut s| {
            s.lit("Master replication ID changed to ")?;
            s.repl_id().map(RedisEvent::MasterReplIdChanged)
        },
        |mut s| {
            s.lit("Setting secondary replication ID to ")?;
            let old = s.repl_id()?;
            s.lit(", valid up to offset: ")?;
            let offset = s.number()?;
            s.lit(". New replication ID is ")?;
            Some(RedisEvent::SecondaryReplId(old, offset, s.repl_id()?))
        },
        |mut s| {
            s.lit("Replication backlog created, my new replication IDs are '")?;
            let id = s.repl_id()?;
            s.lit("' and '")?;
            Some(RedisEvent::BacklogCreated(id, s.repl_id()?))
        },
        |mut s| {
            s.lit("Replica ")?;
            s.addr(":").map(RedisEvent::ReplicaAsks)
        },
        |mut s| {
            s.lit("Partial resynchronization request from ")?;
            let replica = s.addr(":")?;
            s.lit(" accepted. Sending ")?;
            let bytes = s.number()?;
            s.lit(" bytes of backlog starting from offset ")?;
            Some(RedisEvent::PartialAccepted(replica, bytes, s.number()?))
        },
        |mut s| {
            s.lit("Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '")?;
            let asked = s.repl_id()?;
            s.lit("', my replication IDs are '")?;
            let id = s.repl_id()?;
            s.lit("' and '")?;
            Some(RedisEvent::PartialRefusedId(asked, id, s.repl_id()?))
        },
        |mut s| {
            s.lit("Partial resynchronization not accepted: Requested offset for second ID was ")?;
            let asked = s.number()?;
            s.lit(", but I can reply up to ")?;
            Some(RedisEvent::PartialRefusedOffset(asked, s.number()?))
        },
        |mut s| {
            s.lit("Unable to partial resync with replica ")?;
            let replica = s.addr(":")?;
            s.lit(" for lack of backlog (Replica request was: ")?;
            Some(RedisEvent::PartialRefusedBacklog(replica, s.number()?))
        },
        |mut s| {
            s.lit("Full resync requested by replica ")?;
            s.addr(":").map(RedisEvent::FullResyncRequested)
        },
        |mut s| {
            s.lit("Connection with replica ")?;
            if s.lit("client id #").is_some() {
                return s.number().map(RedisEvent::ReplicaLostUnnamed);
            }
            s.addr(":").map(RedisEvent::ReplicaLost)
        },
        |mut s| {
            s.lit("Streamed RDB transfer with replica ")?;
            let replica = s.addr(":")?;
            s.lit(" succeeded (socket). Waiting for REPLCONF ACK from slave to enable streaming")?;
            Some(RedisEvent::RdbStreamed(replica))
        },
        |mut s| {
            s.lit("DB loaded from disk: ")?;
            let seconds: f64 = s.rest.strip_suffix(" seconds")?.parse().ok()?;
            Some(RedisEvent::DbLoaded(Span::from_micros((seconds * 1e6).round() as u64)))
        },
        |mut s| {
            if s.lit("Synchronization with replica ").is_some() {
                return s.addr(":").map(RedisEvent::ReplicaOnline);
            }
            s.lit("Disconnecting timedout replica (streaming sync): ")?;
            s.addr(":").map(RedisEvent::ReplicaTimeout)
        },
    ];
    let nobody = Names::default();
    attempts
        .iter()
        .find_map(|attempt| attempt(scan))
        .or_else(|| PLAIN.iter().find(|event| event.text(&nobody) == scan.rest).cloned())
}

fn known(table: &[&'static str], text: &str) -> Option<&'static str> {
    table.iter().find(|entry| **entry == text).copied()
}
