//! Commands, replies, pushes and the replication stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Addr, ChannelId, ErrorKind, GroupId, Info, Key, Ranges, ReplId, RoleInfo, RunId, Script};
use crate::kernel::Span;

/// What a hello message says: the eight fields of the real text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The Sentinel that speaks.
    pub sentinel: Addr,
    /// Its id.
    pub id: RunId,
    /// Its current epoch.
    pub epoch: u32,
    /// Which master it speaks of.
    pub group: GroupId,
    /// The address of the master as it believes.
    pub master: Addr,
    /// The configuration epoch of that belief.
    pub config_epoch: u32,
}

/// What a PUBLISH carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A client's message: which publisher, and its sequence number.
    Sequence {
        /// The publishing client, by its place among the clients.
        publisher: u16,
        /// SEQ.
        seq: u32,
        /// To so many bytes it is filled up.
        bytes: u32,
    },
    /// A Sentinel's hello.
    Hello(Hello),
    /// A Sentinel's `+switch-master NAME OLD-IP OLD-PORT IP PORT`: the new address.
    SwitchMaster(Addr),
}

impl Payload {
    /// Whether this is a message of a client.
    pub fn is_message(&self, of: u16, number: u32) -> bool {
        matches!(self, Payload::Sequence { publisher, seq, .. } if (*publisher, *seq) == (of, number))
    }

    /// Length of the text in bytes.
    pub fn text_bytes(&self) -> u32 {
        match self {
            Payload::Sequence { seq, bytes, .. } => digits(*seq).max(*bytes),
            // Name, and both addresses of the reference network with the port 6379.
            Payload::SwitchMaster(_) => 38,
            // ip,port,id,epoch,name,ip,port,epoch: with addresses of the reference network and the name `mymaster`.
            Payload::Hello(hello) => {
                let addresses = 2 * 9 + digits(hello.sentinel.port as u32) + digits(hello.master.port as u32);
                addresses + 40 + 8 + digits(hello.epoch) + digits(hello.config_epoch) + 7
            }
        }
    }
}

/// Which sections INFO is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoSection {
    /// All default sections.
    Default,
    /// `info replication`.
    Replication,
}

/// TYPE of CLIENT KILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientType {
    /// Neither subscribed, nor a replica, nor the master link.
    Normal,
    /// At least one subscription.
    Pubsub,
    /// A replica's link.
    Replica,
    /// The link to the master.
    Master,
}

/// FAILOVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverCommand {
    /// `FAILOVER ABORT`
    Abort,
    /// `FAILOVER [TO host port] [FORCE] [TIMEOUT ms]`
    Begin {
        /// The replica that shall be master; none: the first that has all.
        to: Option<Addr>,
        /// At the end of the time it is master, whether it has all or not.
        force: bool,
        /// How long is waited; none: for ever.
        timeout: Option<Span>,
    },
}

/// Options of SENTINEL SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOption {
    /// `quorum`
    Quorum(u32),
    /// `down-after-milliseconds`
    DownAfterMilliseconds(u64),
    /// `failover-timeout`
    FailoverTimeout(u64),
    /// `parallel-syncs`
    ParallelSyncs(u32),
    /// `master-reboot-down-after-period`
    MasterRebootDownAfterPeriod(u64),
}

/// Subcommands of SENTINEL about one master.
#[derive(Clone, Debug, PartialEq)]
pub enum MasterCommand {
    /// `FAILOVER name`
    Failover,
    /// `CKQUORUM name`
    Ckquorum,
    /// `REPLICAS name`
    Replicas,
    /// `MASTER name`
    Master,
    /// `REMOVE name`
    Remove,
    /// `SET name option value …`
    Set(Vec<SetOption>),
}

/// Subcommands of SENTINEL.
#[derive(Clone, Debug, PartialEq)]
pub enum SentinelCommand {
    /// `IS-MASTER-DOWN-BY-ADDR ip port epoch runid`; no run id stands for `*`.
    IsMasterDownByAddr {
        /// The master in question.
        master: Addr,
        /// The asker's current epoch.
        epoch: u32,
        /// Asks for a vote if given.
        candidate: Option<RunId>,
    },
    /// `GET-MASTER-ADDR-BY-NAME name`; none stands for a name that nobody in the stack knows.
    GetMasterAddrByName(Option<GroupId>),
    /// `RESET pattern`: the names of the stack that it matches.
    Reset(Vec<GroupId>),
    /// A command about the master with a name; none stands for a name that nobody in the stack knows.
    About(Option<GroupId>, MasterCommand),
    /// `DEBUG name value`.
    Debug(&'static str, u64),
    /// `SIMULATE-FAILURE crash-after-election | crash-after-promotion`.
    SimulateFailure {
        /// Crash after the election.
        after_election: bool,
        /// Crash after the promotion.
        after_promotion: bool,
    },
    /// `FLUSHCONFIG`.
    FlushConfig,
    /// `MONITOR name ip port quorum`.
    Monitor {
        /// The name.
        name: GroupId,
        /// Address of the master.
        master: Addr,
        /// Its quorum.
        quorum: u32,
    },
}

/// How long a key lives that is SET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// For ever.
    #[default]
    Never,
    /// `PX`: so many milliseconds from the moment at which a server executes the SET.
    Px(u64),
    /// `PXAT`: until this millisecond of the Unix epoch, by the server's clock.
    PxAt(u64),
}

impl Expiry {
    /// Bytes of the two words in the protocol.
    fn bytes(self) -> u32 {
        let words = |name: u32, ms: u64| bulk(name) + bulk(ms.checked_ilog10().unwrap_or(0) + 1);
        match self {
            Expiry::Never => 0,
            Expiry::Px(ms) => words(2, ms),
            Expiry::PxAt(ms) => words(4, ms),
        }
    }
}

/// A command as a server receives it. Rare ones with large arguments are boxed.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// PING
    Ping,
    /// INFO
    Info(InfoSection),
    /// ROLE
    Role,
    /// PUBLISH channel payload
    Publish(ChannelId, Payload),
    /// SUBSCRIBE channel
    Subscribe(ChannelId),
    /// PSUBSCRIBE of a pattern that matches this one channel (patterns are resolved when the scenario is read)
    PSubscribe(ChannelId),
    /// UNSUBSCRIBE channel
    Unsubscribe(ChannelId),
    /// `SET key value [PX ms | PXAT ms]`; the value is the writer's sequence number
    Set(Key, u32, Expiry),
    /// DEL key: what a master tells its replicas of a key whose time is up
    Del(Key),
    /// GET key
    Get(Key),
    /// REPLICAOF host port, or NO ONE
    ReplicaOf(Option<Addr>),
    /// CONFIG SET parameter value …: all of them, or none
    ConfigSet(Vec<(String, String)>),
    /// CONFIG REWRITE
    ConfigRewrite,
    /// CLIENT KILL TYPE
    ClientKill(ClientType),
    /// CLIENT PAUSE
    ClientPause(PauseKind, Span),
    /// CLIENT UNPAUSE
    ClientUnpause,
    /// CLIENT SETNAME
    ClientSetName,
    /// MULTI
    Multi,
    /// EXEC
    Exec,
    /// `SHUTDOWN [NOW] [SAVE|NOSAVE]`
    Shutdown {
        /// Skip waiting for replicas.
        now: bool,
        /// Force or forbid the RDB; none follows the save points.
        save: Option<bool>,
    },
    /// DEBUG SLEEP, or any other command that blocks the loop that long
    DebugSleep(Span),
    /// DEBUG SEGFAULT, or any other crash that the program notices itself
    DebugSegfault,
    /// EVAL of a script that never ends
    Eval(Box<Script>),
    /// SCRIPT KILL
    ScriptKill,
    /// SAVE
    Save,
    /// BGSAVE
    BgSave,
    /// BGREWRITEAOF
    BgRewriteAof,
    /// FLUSHALL
    FlushAll,
    /// FLUSHDB: the one database that there is
    FlushDb,
    /// WAIT replicas timeout
    Wait {
        /// How many replicas must have acknowledged.
        replicas: u32,
        /// 0 waits for ever.
        timeout: Span,
    },
    /// AUTH, or another command that is answered with OK and has no effect here
    NoOp,
    /// REPLCONF listening-port
    ReplconfHandshake {
        /// The port that the replica serves.
        port: u16,
    },
    /// REPLCONF capa
    ReplconfCapa {
        /// `capa rdb-channel-repl`
        rdb_channel: bool,
    },
    /// REPLCONF rdb-only 1 rdb-channel 1 main-ch-client-id
    ReplconfRdbChannel {
        /// The port that the replica serves.
        port: u16,
        /// The master's number for the replica's main connection.
        main: u64,
    },
    /// REPLCONF ACK offset
    ReplconfAck(u64),
    /// REPLCONF GETACK *
    ReplconfGetack,
    /// PSYNC replid offset; no id stands for `? -1`
    Psync(Option<(ReplId, u64)>),
    /// PSYNC replid offset FAILOVER: the replica that is asked becomes master first
    PsyncFailover(Option<(ReplId, u64)>),
    /// FAILOVER
    Failover(Box<FailoverCommand>),
    /// SELECT 0 inside the replication stream
    Select,
    /// A command of a Sentinel
    Sentinel(Box<SentinelCommand>),
    /// A command with a name nobody knows
    Unknown,
}

/// What CLIENT PAUSE holds up, the stricter last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseKind {
    /// Commands that write or may be replicated.
    Write,
    /// All commands.
    All,
}

/// Decimal digits of a number.
#[inline]
pub(crate) fn digits(n: u32) -> u32 {
    match n {
        // Most are small, and a logarithm is slower.
        0..10 => 1,
        10..100 => 2,
        _ => n.ilog10() + 1,
    }
}

/// Bytes of one RESP bulk string: `$<digits>\r\n<text>\r\n`.
#[inline]
fn bulk(len: u32) -> u32 {
    len + digits(len) + 5
}

impl Command {
    /// Bytes that this command takes in the replication stream: `4 + Σ (len + digits(len) + 5)` (7.0.15,
    /// `feedReplicationBuffer`; spec 25.3).
    pub fn stream_bytes(&self) -> u32 {
        match self {
            Command::Ping => 14,
            Command::Select => 23,
            Command::ReplconfGetack => 37,
            Command::Publish(channel, payload) => {
                let channel_bytes = if *channel == ChannelId::HELLO { 18 } else { 2 };
                4 + bulk(7) + bulk(channel_bytes) + bulk(payload.text_bytes())
            }
            Command::Set(key, value, expiry) => {
                4 + bulk(3) + bulk(2 + digits(key.number())) + bulk(digits(*value)) + expiry.bytes()
            }
            Command::Del(key) => 4 + bulk(3) + bulk(2 + digits(key.number())),
            Command::FlushAll => 4 + bulk(8),
            Command::FlushDb => 4 + bulk(7),
            _ => 0,
        }
    }

    /// Whether the command carries the write flag: refused on replicas and when `min-replicas-to-write` is not met.
    pub fn is_write(&self) -> bool {
        matches!(self, Command::Set(..) | Command::Del(_) | Command::FlushAll | Command::FlushDb)
    }
}

/// What a Sentinel answers with more than a status.
#[derive(Clone, Debug, PartialEq)]
pub enum SentinelReply {
    /// Answer to IS-MASTER-DOWN-BY-ADDR.
    MasterDown {
        /// The first element.
        down: bool,
        /// The vote held, `*` if none.
        leader: Option<RunId>,
        /// Its epoch.
        leader_epoch: u32,
    },
    /// Answer to GET-MASTER-ADDR-BY-NAME: null for an unknown name.
    MasterAddr(Option<Addr>),
    /// Answer to CKQUORUM: how many Sentinels are not down, which suffice.
    Quorum(u32),
    /// Answer to REPLICAS: the replicas that want to be announced.
    Replicas(Vec<Addr>),
    /// Answer to MASTER: flags and numbers that scenarios look at.
    Master {
        /// The flags string.
        flags: String,
        /// Address of the master object.
        addr: Addr,
        /// `num-slaves`.
        slaves: u32,
        /// `num-other-sentinels`.
        sentinels: u32,
        /// `quorum`.
        quorum: u32,
        /// `config-epoch`.
        config_epoch: u32,
    },
}

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+OK`
    Ok,
    /// `+PONG`
    Pong,
    /// `+QUEUED`
    Queued,
    /// `+Background saving started`
    SavingStarted,
    /// `+Background append only file rewriting started`
    RewritingStarted,
    /// `+Background append only file rewriting scheduled`
    RewritingScheduled,
    /// An integer.
    Int(i64),
    /// A value, or null.
    Value(Option<u32>),
    /// An error.
    Error(ErrorKind),
    /// The answer to INFO.
    Info(Box<Info>),
    /// The answer to ROLE.
    Role(Box<RoleInfo>),
    /// The answer to EXEC: nobody in this stack looks inside.
    Exec,
    /// The confirmation of a subscription, with the number of subscriptions of the client.
    Subscribed(ChannelId, u32),
    /// The confirmation that a subscription ended.
    Unsubscribed(ChannelId, u32),
    /// Answer of a Sentinel.
    Sentinel(Box<SentinelReply>),
    /// `+CONTINUE replid`
    Continue(ReplId),
    /// `+FULLRESYNC replid offset`
    FullResync(ReplId, u64),
    /// `+RDBCHANNELSYNC client-id`
    RdbChannelSync(u64),
}

/// One propagated command in the replication stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamItem {
    /// The command: SELECT, PING, PUBLISH, SET, REPLCONF GETACK.
    pub command: Command,
    /// The replication offset after it: the offset of its last byte.
    pub end: u64,
}

/// One unit written to a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Client to server.
    Command(Command),
    /// Server to client.
    Reply(Reply),
    /// A published message to a subscriber.
    Push(ChannelId, Payload),
    /// Master to replica: one command of the stream.
    Stream(StreamItem),
    /// Master to replica: a newline that keeps a waiting replica's timers quiet.
    Newline,
    /// Master to replica: the next bytes of an RDB file.
    Rdb(Box<RdbPiece>),
}

/// Some bytes of an RDB file on its way from a master to a replica.
#[derive(Clone, Debug, PartialEq)]
pub struct RdbPiece {
    /// What the master announced before the file: its size in bytes. None if it comes straight from a child, whose file
    /// ends with a mark instead.
    pub size: Option<u64>,
    /// How many bytes these are.
    pub bytes: u64,
    /// With the last of them: all that the file holds.
    pub file: Option<Snapshot>,
}

/// The data set as an RDB file carries it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Every key with its value, in key order. Shared: one RDB serves several replicas.
    pub entries: Arc<Vec<(Key, u32)>>,
    /// Keys that live for a time only: until which millisecond of the Unix epoch. In the order of [`Self::entries`].
    pub ends: Arc<Vec<(Key, u64)>>,
    /// By writer with one key for all, or with keys that live for a time only: which of its SETs were in the data, whatever
    /// became of them.
    pub histories: Arc<BTreeMap<u16, Ranges>>,
    /// Size of the file in bytes: what a transfer takes.
    pub bytes: u64,
    /// The part of it that nobody looks at (`dataset-bytes`).
    pub ballast: Ballast,
    /// The format of the file (`RDB_VERSION` of its writer); 0: one that everybody reads.
    pub format: u32,
}

/// Data that nobody looks at (`dataset-bytes`): only its amount is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ballast {
    /// Keys.
    pub keys: u64,
    /// Bytes in an RDB file.
    pub bytes: u64,
}

impl Snapshot {
    /// How many keys it holds.
    pub fn keys(&self) -> u64 {
        self.entries.len() as u64 + self.ballast.keys
    }
}

impl Message {
    /// Bytes on the wire, for links with a rate and for buffers. Replies to INFO are those of a real 7.0.15.
    pub fn wire_bytes(&self) -> u64 {
        match self {
            Message::Command(command) => match command {
                Command::Publish(..) | Command::Set(..) => command.stream_bytes() as u64,
                Command::Ping => 14,
                _ => 60,
            },
            Message::Reply(Reply::Info(_)) => 5_000,
            Message::Reply(_) => 16,
            Message::Push(_, payload) => 30 + payload.text_bytes() as u64,
            Message::Stream(item) => item.command.stream_bytes() as u64,
            Message::Newline => 1,
            Message::Rdb(piece) => piece.bytes,
        }
    }
}

impl Payload {
    fn word(&self) -> u64 {
        match self {
            Payload::Sequence { publisher, seq, .. } => ((*publisher as u64) << 32) | *seq as u64,
            Payload::Hello(hello) => hello.id.0 ^ ((hello.epoch as u64) << 32) ^ hello.config_epoch as u64,
            Payload::SwitchMaster(addr) => (u64::from(addr.ip.0) << 16) | addr.port as u64,
        }
    }
}

impl Message {
    /// A word that tells this message from others, for the digest of a run.
    pub fn word(&self) -> u64 {
        match self {
            Message::Command(Command::Publish(channel, payload)) => payload.word() ^ ((channel.0 as u64) << 48),
            Message::Command(Command::Set(key, value, _)) => {
                ((key.space as u64) << 48) ^ ((key.number() as u64) << 20) ^ *value as u64 ^ (1 << 63)
            }
            Message::Command(Command::ReplconfAck(offset)) => *offset ^ (2 << 60),
            Message::Command(command) => command.stream_bytes() as u64 ^ (3 << 60),
            Message::Reply(Reply::Int(n)) => *n as u64 ^ (4 << 60),
            Message::Reply(Reply::Info(info)) => info.offset ^ info.run_id.0,
            Message::Reply(Reply::Error(kind)) => kind.word() ^ (5 << 60),
            Message::Reply(_) => 6 << 60,
            Message::Push(channel, payload) => payload.word() ^ ((channel.0 as u64) << 48) ^ (7 << 60),
            Message::Stream(item) => item.end ^ (8 << 60),
            Message::Newline => 9 << 60,
            Message::Rdb(piece) => match &piece.file {
                Some(snapshot) => snapshot.entries.len() as u64 ^ (10 << 60),
                None => piece.bytes ^ (11 << 60),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_bytes_are_those_of_resp() {
        assert_eq!(Command::Ping.stream_bytes(), 4 + 4 + 1 + 5);
        // *3\r\n $7\r\nPUBLISH\r\n $2\r\nch\r\n $1\r\n7\r\n
        let publish = Command::Publish(ChannelId(1), Payload::Sequence { publisher: 0, seq: 7, bytes: 0 });
        assert_eq!(publish.stream_bytes() as usize, "*3\r\n$7\r\nPUBLISH\r\n$2\r\nch\r\n$1\r\n7\r\n".len());
        let set = Command::Set(Key::new(0, 12), 12, Expiry::Never);
        assert_eq!(set.stream_bytes() as usize, "*3\r\n$3\r\nSET\r\n$4\r\nk:12\r\n$2\r\n12\r\n".len());
        assert_eq!(Command::Select.stream_bytes() as usize, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".len());
    }

    #[test]
    fn messages_are_small() {
        assert!(std::mem::size_of::<Message>() <= 64, "{}", std::mem::size_of::<Message>());
    }
}
