//! The settings of one Redis server.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::kernel::Span;
use crate::limits::{MILLIS_MAX, SECONDS_MAX};
use crate::release::ServerRelease;
use crate::units::{self, UnitError};

/// The settings of one Redis server, named and defaulted as the directives of redis.conf 7.0.15 (`createStaticConfig`
/// entries of `config.c`), plus some that only a simulator needs:
/// `config-file`, `master-by-name` and those that begin with `dataset-`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The release of the server: its defaults, its ways and the words of its log. Directives that a release does not have
    /// are refused; the defaults named here are those of 7.0.
    pub release: ServerRelease,
    /// Sentinel promotes the replica with the lowest number; 0 means never.
    pub replica_priority: u32,
    /// Whether Sentinels list this replica in their answers to clients.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub replica_announced: bool,
    /// Writes are refused with `-NOREPLICAS` while fewer replicas than this are in good order; 0: never refused.
    pub min_replicas_to_write: u32,
    /// A replica is in good order if it acknowledged within this many seconds; 0 turns the rule off.
    #[schemars(range(max = SECONDS_MAX))]
    pub min_replicas_max_lag: u32,
    /// Whether a full synchronisation is sent straight from the child process instead of from a file on disk.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub repl_diskless_sync: bool,
    /// Seconds that a diskless synchronisation waits for further replicas to join it.
    #[schemars(range(max = SECONDS_MAX))]
    pub repl_diskless_sync_delay: u32,
    /// The wait ends early when this many replicas have come; 0: it never does.
    pub repl_diskless_sync_max_replicas: u32,
    /// How a replica loads a diskless synchronisation.
    pub repl_diskless_load: DisklessLoad,
    /// Since 8.0: whether a full synchronisation sends the RDB file on a connection of its own, beside the stream. On by
    /// default there; it needs both sides, and `repl-diskless-sync` on the master's.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub repl_rdb_channel: bool,
    /// Whether a replica frees its old data set in the background before a full synchronisation.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub replica_lazy_flush: bool,
    /// Seconds between a master's PINGs to its replicas.
    #[schemars(range(max = SECONDS_MAX))]
    pub repl_ping_replica_period: u32,
    /// Seconds of silence after which either side of a replication link gives it up.
    #[schemars(range(max = SECONDS_MAX))]
    pub repl_timeout: u32,
    /// Bytes of the replication stream kept for partial resynchronisation: a number, or a text such as "1mb".
    #[serde(with = "units::bytes")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub repl_backlog_size: u64,
    /// Seconds after which a master without replicas frees its backlog; 0: never.
    #[schemars(range(max = SECONDS_MAX))]
    pub repl_backlog_ttl: u32,
    /// Whether a replica answers with old data while it is cut off from its master.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub replica_serve_stale_data: bool,
    /// Whether a replica refuses writes with `-READONLY`.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub replica_read_only: bool,
    /// Whether files made only for synchronisation are removed afterwards.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub rdb_del_sync_files: bool,
    /// Seconds that a master waits for its replicas to catch up when it is told to stop.
    #[schemars(range(max = SECONDS_MAX))]
    pub shutdown_timeout: u32,
    /// When to save the data set: pairs of seconds and changes, such as "3600 1 300 100"; "" means never.
    pub save: SavePoints,
    /// Whether every write is also appended to a log on disk.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub appendonly: bool,
    /// When that log is synced to the disk: before a write is answered, every second in the background, or whenever the kernel
    /// writes it back. What is not synced is lost when the machine loses its power, not when the process dies.
    pub appendfsync: AppendFsync,
    /// Whether the log is not synced while a child saves or rewrites.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub no_appendfsync_on_rewrite: bool,
    /// The log is rewritten when it has grown by so many percent since the last rewriting; 0: never.
    pub auto_aof_rewrite_percentage: u32,
    /// The log is not rewritten of itself while it is no larger than this.
    #[serde(with = "units::bytes")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub auto_aof_rewrite_min_size: u64,
    /// When a client that does not read is cut off, as in CONFIG SET: "pubsub 32mb 8mb 60" (hard, soft, soft seconds;
    /// 0: no limit). Classes are `normal`, `replica` and `pubsub`; one that is not named keeps Redis's default.
    pub client_output_buffer_limit: OutputLimits,
    /// Connections that the kernel completes and holds before the server accepts them.
    pub tcp_backlog: u32,
    /// Seconds of silence before the kernel probes a client; 0: never.
    #[schemars(range(max = SECONDS_MAX))]
    pub tcp_keepalive: u32,
    /// Seconds after which an idle client is closed; 0: never. Does not apply to subscribers.
    #[schemars(range(max = SECONDS_MAX))]
    pub timeout: u32,
    /// Clients served at once; one more is refused with an error.
    pub maxclients: u32,
    /// Runs a second of the server's periodic job: 1 to 500; what lies outside counts as the nearer of the two.
    pub hz: u32,
    /// Whether `hz` is doubled for more than 200 clients a run, and doubled again.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub dynamic_hz: bool,
    /// Milliseconds after which a server that runs a script answers others with `-BUSY` instead of standing still; 0: never
    /// (`lua-time-limit` before 7.0).
    #[schemars(range(max = MILLIS_MAX))]
    pub busy_reply_threshold: u64,
    /// Whether writes are refused after a failed background save.
    #[serde(with = "units::yes_no")]
    #[schemars(schema_with = "units::yes_no::schema")]
    pub stop_writes_on_bgsave_error: bool,
    /// Whether DEBUG (DEBUG SLEEP, DEBUG SEGFAULT) is allowed: `no`, `yes`, or `local` for who asks on the server's own
    /// machine, as the commands of a fault script do. (A `stall` needs no permission.)
    pub enable_debug_command: Protected,
    /// Simulator key: whether the server was started with a configuration file, so that the CONFIG REWRITE which
    /// Sentinel sends makes a role outlive a restart. The reference stack starts its servers without one.
    pub config_file: bool,
    /// Simulator key: whether a replica is told its master by name (`replicaof cache-a 6379`) while the Sentinels know an
    /// address: they take it for another host, and point the replica to the address once, failover-timeout after each start.
    pub master_by_name: bool,
    /// Simulator key: bytes of data held at the start. Governs how long saving, sending and loading it takes.
    #[serde(with = "units::bytes")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub dataset_bytes: u64,
    /// Simulator key: the size of each value in `dataset-bytes`. Small ones are slower to save and to load, byte by byte.
    #[serde(with = "units::bytes")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub dataset_value_bytes: u64,
    /// Simulator key: bytes of an RDB file that this server's child writes in a second; 0: as was measured for values of
    /// `dataset-value-bytes`.
    #[serde(with = "units::bytes")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub dataset_save_rate: u64,
    /// Simulator key: bytes of an RDB file that this server loads in a second; 0: as was measured.
    #[serde(with = "units::bytes")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub dataset_load_rate: u64,
    /// Simulator key: bytes of a saved RDB file that this server can send a replica in a second; 0: as was measured. The
    /// link's own rate comes on top.
    #[serde(with = "units::bytes")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub dataset_send_rate: u64,
    /// Simulator key: how long the server stands still in `fork` for each gigabyte (10⁹ bytes) of its memory.
    pub dataset_fork_per_gb: Span,
}

impl Default for Config {
    /// The defaults of Redis 7.0.15 (`config.c`); no configuration file and no data, as in the reference stack.
    fn default() -> Self {
        Config {
            release: ServerRelease::default(),
            replica_priority: 100,
            replica_announced: true,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,
            repl_diskless_sync: true,
            repl_diskless_sync_delay: 5,
            repl_diskless_sync_max_replicas: 0,
            repl_diskless_load: DisklessLoad::Disabled,
            repl_rdb_channel: false,
            replica_lazy_flush: false,
            repl_ping_replica_period: 10,
            repl_timeout: 60,
            repl_backlog_size: 1 << 20,
            repl_backlog_ttl: 3600,
            replica_serve_stale_data: true,
            replica_read_only: true,
            rdb_del_sync_files: false,
            shutdown_timeout: 10,
            save: SavePoints::default(),
            appendonly: false,
            appendfsync: AppendFsync::Everysec,
            no_appendfsync_on_rewrite: false,
            auto_aof_rewrite_percentage: 100,
            auto_aof_rewrite_min_size: 64 << 20,
            client_output_buffer_limit: OutputLimits::default(),
            tcp_backlog: 511,
            tcp_keepalive: 300,
            timeout: 0,
            maxclients: 10_000,
            hz: 10,
            dynamic_hz: true,
            busy_reply_threshold: 5_000,
            stop_writes_on_bgsave_error: true,
            enable_debug_command: Protected::No,
            config_file: false,
            master_by_name: false,
            dataset_bytes: 0,
            dataset_value_bytes: 1_000,
            dataset_save_rate: 0,
            dataset_load_rate: 0,
            dataset_send_rate: 0,
            dataset_fork_per_gb: super::speed::FORK_A_GB,
        }
    }
}

/// How a replica loads a diskless synchronisation (`repl-diskless-load`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisklessLoad {
    /// Through a file on disk.
    #[default]
    Disabled,
    /// Straight from the socket if the replica holds no data.
    OnEmptyDb,
    /// Straight from the socket, the old data kept until it has succeeded.
    Swapdb,
}

/// When the append-only file is synced to the disk (`appendfsync`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppendFsync {
    /// Before the answers of each pass of the event loop.
    Always,
    /// Once a second, in the background.
    #[default]
    Everysec,
    /// Never: the kernel writes back what is older than 30 s.
    No,
}

/// Who may give a command that is protected (`protected_action_enum` of `config.c`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protected {
    /// Nobody.
    #[default]
    No,
    /// Everybody.
    Yes,
    /// Who is connected from the server's own machine.
    Local,
}

impl<'de> Deserialize<'de> for Protected {
    /// Reads one of the three words, or a boolean for the first two.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ProtectedVisitor;
        impl Visitor<'_> for ProtectedVisitor {
            type Value = Protected;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"no\", \"yes\" or \"local\"")
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Protected, E> {
                Ok(if on { Protected::Yes } else { Protected::No })
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Protected, E> {
                match word {
                    "no" => Ok(Protected::No),
                    "yes" => Ok(Protected::Yes),
                    "local" => Ok(Protected::Local),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(ProtectedVisitor)
    }
}

impl JsonSchema for Protected {
    fn schema_name() -> Cow<'static, str> {
        "Protected".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["no", "yes", "local"] }, { "type": "boolean" }] })
    }
}

/// A save point: save after `seconds` if at least `changes` writes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last save.
    pub seconds: u32,
    /// Writes since the last save.
    pub changes: u32,
}

/// The save points of a server (`save`), in the order written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SavePoints(pub Vec<SavePoint>);

impl Default for SavePoints {
    /// `save 3600 1 300 100 60 10000` (`initServerConfig` of `server.c`).
    fn default() -> Self {
        let points = [(3600, 1), (300, 100), (60, 10_000)];
        SavePoints(points.map(|(seconds, changes)| SavePoint { seconds, changes }).to_vec())
    }
}

impl FromStr for SavePoints {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let numbers: Result<Vec<u32>, _> = text.split_whitespace().map(str::parse).collect();
        match numbers {
            Ok(numbers) if numbers.iter().any(|number| u64::from(*number) > SECONDS_MAX) => {
                Err(UnitError::new(format!("`{text}`: seconds and changes are {SECONDS_MAX} at most")))
            }
            Ok(numbers) if numbers.len() % 2 == 0 => {
                let point = |pair: &[u32]| SavePoint { seconds: pair[0], changes: pair[1] };
                Ok(SavePoints(numbers.chunks_exact(2).map(point).collect()))
            }
            _ => Err(UnitError::new(format!(
                "`{text}` is not a list of save points: write pairs of seconds and changes, such as \"3600 1 300 100\""
            ))),
        }
    }
}

impl fmt::Display for SavePoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(|p| format!("{} {}", p.seconds, p.changes)).collect();
        f.write_str(&texts.join(" "))
    }
}

/// When a client of one class is cut off because it does not read its replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes of unread output that end the connection at once; 0: no limit.
    pub hard_bytes: u64,
    /// Bytes of unread output that end it when exceeded for longer than `soft_seconds`; 0: no limit.
    pub soft_bytes: u64,
    /// Seconds for which `soft_bytes` may be exceeded.
    pub soft_seconds: u64,
}

/// The limits of all classes of clients (`client-output-buffer-limit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Subscribers.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    /// `clientBufferLimitsDefaults` of `config.c`.
    fn default() -> Self {
        let limit = |hard_bytes, soft_bytes, soft_seconds| OutputLimit { hard_bytes, soft_bytes, soft_seconds };
        OutputLimits {
            normal: limit(0, 0, 0),
            replica: limit(256 << 20, 64 << 20, 60),
            pubsub: limit(32 << 20, 8 << 20, 60),
        }
    }
}

impl OutputLimits {
    /// Reads limits of some classes and leaves the others as they are.
    pub(super) fn read(&mut self, text: &str) -> Result<(), UnitError> {
        let wrong = || {
            UnitError::new(format!(
                "`{text}` is not a list of output limits: write a class (normal, replica, pubsub), the hard limit, the soft \
                 limit and its seconds, such as \"pubsub 32mb 8mb 60\""
            ))
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let limits = self;
        let quads = words.chunks_exact(4);
        if words.is_empty() || !quads.remainder().is_empty() {
            return Err(wrong());
        }
        for quad in quads {
            let limit = OutputLimit {
                hard_bytes: units::parse_bytes(quad[1])?,
                soft_bytes: units::parse_bytes(quad[2])?,
                soft_seconds: quad[3].parse().ok().filter(|seconds| *seconds <= SECONDS_MAX).ok_or_else(wrong)?,
            };
            match quad[0] {
                "normal" => limits.normal = limit,
                "replica" | "slave" => limits.replica = limit,
                "pubsub" => limits.pubsub = limit,
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }
}

impl FromStr for OutputLimits {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut limits = OutputLimits::default();
        limits.read(text)?;
        Ok(limits)
    }
}

impl fmt::Display for OutputLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = [("normal", self.normal), ("replica", self.replica), ("pubsub", self.pubsub)];
        let text = classes.map(|(name, l)| format!("{name} {} {} {}", l.hard_bytes, l.soft_bytes, l.soft_seconds));
        f.write_str(&text.join(" "))
    }
}

/// Texts that serde reads through `FromStr` and writes through `Display`.
macro_rules! serde_through_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = UnitError;
            fn try_from(text: String) -> Result<Self, UnitError> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}
serde_through_text!(SavePoints);
serde_through_text!(OutputLimits);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn save_points_read_as_redis_reads_them() {
        assert_eq!("3600 1 300 100 60 10000".parse(), Ok(SavePoints::default()));
        assert_eq!("".parse(), Ok(SavePoints(Vec::new())));
        assert!("3600".parse::<SavePoints>().is_err());
        assert!("a b".parse::<SavePoints>().is_err());
    }

    #[test]
    fn output_limits_name_their_class() {
        let limits: OutputLimits = "pubsub 1mb 512kb 10".parse().expect("as redis.conf has it");
        let pubsub = OutputLimit { hard_bytes: 1 << 20, soft_bytes: 512 << 10, soft_seconds: 10 };
        assert_eq!(limits, OutputLimits { pubsub, ..OutputLimits::default() });
        assert_eq!(limits.to_string().parse(), Ok(limits));
        for bad in ["", "pubsub", "pubsub 1 2", "pubsub 1 2 x", "all 1 2 3", "pubsub 1 2 3 4"] {
            assert!(bad.parse::<OutputLimits>().is_err(), "{bad}");
        }
    }
}
