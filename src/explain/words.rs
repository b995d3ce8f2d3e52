//! Words for what programs say to each other and do.

use crate::kernel::Span;
use crate::program::{ConnectError, Ended, SessionEnd, TimerId};
use crate::record::Names;
use crate::wire::{Command, ErrorKind, MasterCommand, Message, Payload, Reply, Role, SentinelCommand, SentinelReply};
use crate::world::{Deed, Seat};

/// Microseconds as seconds with three digits.
pub(super) fn seconds(us: i64) -> String {
    format!("{:.3} s", us as f64 / 1e6)
}

/// A span in the unit that suits it.
pub(super) fn span(span: Span) -> String {
    match span.as_millis() {
        0 => format!("{:.3} ms", span.as_millis_f64()),
        ms @ 1..1_000 => format!("{ms} ms"),
        _ => format!("{:.2} s", span.as_secs_f64()),
    }
}

/// What a message says.
pub(super) fn message(message: &Message, names: &Names) -> String {
    match message {
        Message::Command(command) => self::command(command, names),
        Message::Reply(reply) => self::reply(reply, names),
        Message::Push(_, Payload::Sequence { seq, .. }) => format!("message {seq}"),
        Message::Push(_, Payload::Hello(_)) => "a hello".into(),
        Message::Push(_, Payload::SwitchMaster(_)) => "+switch-master".into(),
        Message::Stream(item) => format!("{} in the replication stream", self::command(&item.command, names)),
        Message::Newline => "a newline".into(),
        Message::Rdb(piece) if piece.file.is_some() => "an RDB file".into(),
        Message::Rdb(_) => "a part of an RDB file".into(),
    }
}

fn command(command: &Command, names: &Names) -> String {
    match command {
        Command::Ping => "PING".into(),
        Command::Info(_) => "INFO".into(),
        Command::Role => "ROLE".into(),
        Command::Publish(_, Payload::Sequence { seq, .. }) => format!("PUBLISH of message {seq}"),
        Command::Publish(_, Payload::SwitchMaster(_)) => "+switch-master".into(),
        Command::Publish(_, Payload::Hello(hello)) => {
            format!("a hello that names {} as master", names.ip(hello.master.ip))
        }
        Command::Subscribe(_) | Command::PSubscribe(_) => "SUBSCRIBE".into(),
        Command::Unsubscribe(_) => "UNSUBSCRIBE".into(),
        Command::Set(key, ..) => format!("SET k:{}", key.index),
        Command::Del(key) => format!("DEL k:{}", key.index),
        Command::Get(key) => format!("GET k:{}", key.index),
        Command::ReplicaOf(None) => "REPLICAOF NO ONE".into(),
        Command::ReplicaOf(Some(addr)) => format!("REPLICAOF {}", names.ip(addr.ip)),
        Command::ConfigSet(_) => "CONFIG SET".into(),
        Command::ConfigRewrite => "CONFIG REWRITE".into(),
        Command::ClientKill(_) => "CLIENT KILL".into(),
        Command::ClientPause(..) => "CLIENT PAUSE".into(),
        Command::ClientUnpause => "CLIENT UNPAUSE".into(),
        Command::ClientSetName => "CLIENT SETNAME".into(),
        Command::Multi => "MULTI".into(),
        Command::Exec => "EXEC".into(),
        Command::Shutdown { .. } => "SHUTDOWN".into(),
        Command::DebugSleep(_) => "DEBUG SLEEP".into(),
        Command::DebugSegfault => "DEBUG SEGFAULT".into(),
        Command::Eval(_) => "EVAL of a script that never ends".into(),
        Command::ScriptKill => "SCRIPT KILL".into(),
        Command::Save => "SAVE".into(),
        Command::BgSave => "BGSAVE".into(),
        Command::BgRewriteAof => "BGREWRITEAOF".into(),
        Command::FlushAll => "FLUSHALL".into(),
        Command::FlushDb => "FLUSHDB".into(),
        Command::Wait { .. } => "WAIT".into(),
        Command::NoOp | Command::Unknown => "a command".into(),
        Command::ReplconfHandshake { .. } | Command::ReplconfCapa { .. } | Command::ReplconfRdbChannel { .. } => {
            "REPLCONF".into()
        }
        Command::ReplconfAck(offset) => format!("REPLCONF ACK {offset}"),
        Command::ReplconfGetack => "REPLCONF GETACK".into(),
        Command::Psync(_) => "PSYNC".into(),
        Command::PsyncFailover(_) => "PSYNC FAILOVER, a request to become master".into(),
        Command::Failover(_) => "FAILOVER".into(),
        Command::Select => "SELECT".into(),
        Command::Sentinel(command) => match &**command {
            SentinelCommand::IsMasterDownByAddr { candidate: Some(_), epoch, .. } => {
                format!("a request for its vote in epoch {epoch}")
            }
            SentinelCommand::IsMasterDownByAddr { .. } => "the question whether the master is down".into(),
            SentinelCommand::GetMasterAddrByName(_) => "the question for the master's address".into(),
            SentinelCommand::About(_, MasterCommand::Failover) => "SENTINEL FAILOVER".into(),
            _ => "a SENTINEL command".into(),
        },
    }
}

fn reply(reply: &Reply, names: &Names) -> String {
    match reply {
        Reply::Ok => "+OK".into(),
        Reply::Pong => "+PONG".into(),
        Reply::Queued => "+QUEUED".into(),
        Reply::SavingStarted => "+Background saving started".into(),
        Reply::RewritingStarted | Reply::RewritingScheduled => format!("+{}", reply.shown()),
        Reply::Int(n) => format!(":{n}"),
        Reply::Value(_) => "a value".into(),
        Reply::Error(kind) => error(*kind),
        Reply::Info(info) => format!("INFO with role:{}", info.role.as_str()),
        Reply::Role(_) => "the answer to ROLE".into(),
        Reply::Exec => "the answer to EXEC".into(),
        Reply::Subscribed(..) => "the confirmation of its subscription".into(),
        Reply::Unsubscribed(..) => "the end of its subscription".into(),
        Reply::Sentinel(reply) => match &**reply {
            SentinelReply::MasterDown { down, leader: Some(_), leader_epoch } => {
                format!("\"{}\" and a vote in epoch {leader_epoch}", if *down { "down" } else { "not down" })
            }
            SentinelReply::MasterDown { down, .. } => format!("\"{}\"", if *down { "down" } else { "not down" }),
            SentinelReply::MasterAddr(Some(addr)) => format!("the address of {}", names.ip(addr.ip)),
            _ => "an answer".into(),
        },
        Reply::Continue(_) => "+CONTINUE".into(),
        Reply::FullResync(..) => "+FULLRESYNC".into(),
        Reply::RdbChannelSync(_) => "+RDBCHANNELSYNC".into(),
    }
}

/// An error as Redis prints it: its first word, or the whole text where that says no more than that it is one.
pub(super) fn error(kind: ErrorKind) -> String {
    if kind == ErrorKind::Loading {
        return "-LOADING, its data is still being loaded".into();
    }
    if kind == ErrorKind::Busy {
        return "-BUSY, a script runs in it and does not end".into();
    }
    let text = kind.text();
    match text.split_once(' ') {
        Some((word, _)) if word != "ERR" => format!("-{word}"),
        _ => format!("-{text}"),
    }
}

/// A role in words.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Master => "master",
        Role::Slave => "replica",
    }
}

/// Why a connect failed.
pub(super) const fn connect_error(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Refused => "it was refused: the host lives, nobody listens",
        ConnectError::Unreachable => "there was no route to the host: nobody answered for its address",
        ConnectError::TimedOut => "the kernel gave up repeating the SYN",
    }
}

/// How a connection ended.
pub(super) const fn ended(how: Ended) -> &'static str {
    match how {
        Ended::Eof => "FIN",
        Ended::Reset => "a reset (RST)",
        Ended::TimedOut => "the end of retransmission (ETIMEDOUT)",
    }
}

/// Why HAProxy ended a session.
pub(super) const fn session_end(why: SessionEnd) -> &'static str {
    match why {
        SessionEnd::Client => "the client left",
        SessionEnd::Server => "the server ended its connection",
        SessionEnd::Idle => {
            "nothing came on it for too long (idle): `timeout client`, `timeout server` or `timeout tunnel` ran out"
        }
        SessionEnd::NotConnected => "no attempt to connect to the server succeeded, `retries` included",
        SessionEnd::NowhereToGo => "`option redispatch` found no server that is UP",
        SessionEnd::Marked => "`on-marked-down` or `on-marked-up` closes it",
    }
}

/// A step of the script; none for the driver's question whether the stack is ready.
pub(super) fn deed(deed: Deed, names: &Names, fault: impl Fn(usize) -> String) -> String {
    match deed {
        Deed::Starts(node) => format!("{} is started", names.node(node)),
        Deed::Asks => "the driver asks whether the stack is ready".into(),
        Deed::Fault(place) => format!("fault: {}", fault(place)),
        Deed::Dies(node) => format!("{}'s process dies", names.node(node)),
        Deed::AddressGone(host) => format!("the address of {} disappears", names.host(host)),
        Deed::OrderedToStart(node) => format!("{} is ordered to start", names.node(node)),
        Deed::Cut(from, to) => {
            format!("packets from {} to {} are dropped from now on", names.host(from), names.host(to))
        }
        Deed::Healed(host) => format!("what is sent to {} arrives again", names.host(host)),
        Deed::Command(node, place) => format!("{} gets the command: {}", names.node(node), fault(place)),
        Deed::DiskIsWell(host) => format!("the time of a fault of {}'s disk is over", names.host(host)),
        Deed::StopsClients => "the driver stops the clients".into(),
    }
}

/// A timer of a program.
pub(super) fn timer(kind: Seat, timer: TimerId, servers: usize, names: &Names) -> String {
    match (kind, timer.0 as usize) {
        (Seat::Sentinel(_), _) => "its tick (every 52 to 100 ms)".into(),
        (Seat::Redis(_), 0) => "serverCron".into(),
        (Seat::Redis(_), 1) => "its RDB child goes on".into(),
        (Seat::Redis(_), 2) => "its loading goes on".into(),
        (Seat::Redis(_), 5) => "its script looks at the events".into(),
        (Seat::Redis(_), _) => "a saved file goes on to a replica".into(),
        (Seat::Haproxy, 0) => "its start is over".into(),
        (Seat::Haproxy, n) if n <= servers => {
            format!("the timer of the health check of {}", names.nodes[n - 1].name)
        }
        (Seat::Haproxy, _) => "the timer of a session".into(),
        (Seat::Client(_), _) => "its timer".into(),
    }
}

/// A number of things.
pub(super) fn plural(n: u64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// A number, where it is known.
pub(super) fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}

/// A setting that nodes may have each for themselves.
pub(super) fn of_each<T: ToString>(names: &str, values: impl Iterator<Item = T>) -> String {
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    match values.first() {
        Some(first) if values.iter().all(|value| value == first) => first.clone(),
        _ => values.iter().zip(1..).map(|(value, n)| format!("{names}-{n}: {value}")).collect::<Vec<_>>().join(", "),
    }
}
