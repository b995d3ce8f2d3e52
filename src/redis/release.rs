//! What the releases of Redis and Valkey do differently: a row for each, with defaults and named differences.
//!
//! The base is 7.0.15, whose behaviour docs/behaviour/redis.md tells; docs/behaviour/releases.md tells what differs, under the
//! names of these fields. A program asks for a difference by its name and does not know which release it is.

use super::Config;
use super::config::Protected;
use crate::release::{Directive, Released, ServerRelease};

/// What a release does otherwise than its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// The wait before a diskless synchronisation must be longer than its delay, not as long (`replicationCron` of 6.0).
    pub diskless_wait_strict: bool,
    /// A replica whose link ends or that is told of a master connects at once, and not in the next `replicationCron` (
    /// `replicationSetMaster`, `replicationHandleMasterDisconnection` and `cancelReplicationHandshake` since 6.2).
    pub connects_at_once: bool,
    /// A replica acknowledges a streamed file as soon as it is loaded (`readSyncBulkPayload` since 6.2).
    pub acks_streamed_file: bool,
    /// The line that a replica is online after a streamed file comes with its first acknowledgement, not with the end of the
    /// child (`putSlaveOnline` before 7.0).
    pub online_line_at_ack: bool,
    /// A replica that reads `+FULLRESYNC` drops its history, its cached master and its own replicas at that moment, not when
    /// the file is there (`slaveTryPartialResynchronization` before 7.0).
    pub drops_history_at_fullresync: bool,
    /// REPLICAOF cuts the server's own replicas off (`replicationSetMaster` before 7.0).
    pub replicaof_cuts_replicas: bool,
    /// A replica that never had a link says that it has been down since 1970, and a promotion does not clear since when (
    /// `genRedisInfoString` and `replicationUnsetMaster` of 6.0).
    pub down_since_epoch: bool,
    /// A master that starts from an RDB file goes on with the history in it (`loadDataFromDisk` since 7.0).
    pub boot_keeps_history: bool,
    /// A replica without a link answers PING even if it serves no stale data (the command's flags before 7.0).
    pub pong_when_stale: bool,
    /// The backlog is a ring of exactly its size, and each replica has a copy of the stream in its output buffer (
    /// `feedReplicationBacklog` before 7.0).
    pub backlog_is_ring: bool,
    /// A master sends its replicas a PING only if the stream was silent for the period (`repl_stream_lastio` since 8.0).
    pub pings_when_silent: bool,
    /// `loading-process-events-interval-bytes`: so many bytes are loaded between two looks at the sockets.
    pub loading_step_bytes: u64,
    /// `RDB_VERSION`: the format of the files that it writes. It reads none of a later one (`rdbLoadRio`).
    pub rdb_format: u32,
    /// A replica begins to load before it frees its old data, and so says it in that order (`rdbLoadWithEmptyFunc`
    /// since 8.0).
    pub loads_before_flush: bool,
    /// The append-only file is one file, not a base with what came after it (`loadAppendOnlyFiles` since 7.0).
    pub aof_is_one_file: bool,
    /// The append-only file's clocks count milliseconds, not whole seconds of the wall clock (`flushAppendOnlyFile` since 7.4 and
    /// in Valkey).
    pub aof_counts_ms: bool,
    /// A replica whose files cannot be written answers PING, and applies what its master sends (`processCommand` before 7.0:
    /// `server.masterhost == NULL`).
    pub replicas_hide_disk_errors: bool,
    /// Replicas are told how long a key lives, as the client said it, not until when (`setGenericCommand` before 7.0): they count
    /// from the moment at which they hear of it.
    pub replicates_px: bool,
    /// A slow script has a SHA1 in the log, not a name (`luaMaskCountHook` before 7.0; `scriptInterrupt` since).
    pub script_has_sha1: bool,
}

/// 7.0.15.
const BASE: Rules = Rules {
    diskless_wait_strict: false,
    connects_at_once: true,
    acks_streamed_file: true,
    online_line_at_ack: false,
    drops_history_at_fullresync: false,
    replicaof_cuts_replicas: false,
    down_since_epoch: false,
    boot_keeps_history: true,
    pong_when_stale: false,
    backlog_is_ring: false,
    pings_when_silent: false,
    loading_step_bytes: 2 << 20,
    rdb_format: 10,
    loads_before_flush: false,
    aof_is_one_file: false,
    aof_counts_ms: false,
    replicas_hide_disk_errors: false,
    replicates_px: false,
    script_has_sha1: false,
};

const REDIS_6_2: Rules = Rules {
    online_line_at_ack: true,
    drops_history_at_fullresync: true,
    replicaof_cuts_replicas: true,
    boot_keeps_history: false,
    pong_when_stale: true,
    backlog_is_ring: true,
    rdb_format: 9,
    aof_is_one_file: true,
    replicas_hide_disk_errors: true,
    replicates_px: true,
    script_has_sha1: true,
    ..BASE
};

const REDIS_6_0: Rules = Rules {
    diskless_wait_strict: true,
    connects_at_once: false,
    acks_streamed_file: false,
    down_since_epoch: true,
    ..REDIS_6_2
};

const REDIS_8: Rules =
    Rules { pings_when_silent: true, loading_step_bytes: 512 << 10, loads_before_flush: true, ..REDIS_7_4 };

const REDIS_7_2: Rules = Rules { rdb_format: 11, ..BASE };
const REDIS_7_4: Rules = Rules { rdb_format: 12, aof_counts_ms: true, ..BASE };
/// It kept the format of Redis 7.2.
const VALKEY_8_1: Rules = Rules { aof_counts_ms: true, ..REDIS_7_2 };

#[inline]
fn rules(release: ServerRelease) -> &'static Rules {
    match release {
        ServerRelease::Redis6_0 => &REDIS_6_0,
        ServerRelease::Redis6_2 => &REDIS_6_2,
        ServerRelease::Redis7_0 => &BASE,
        ServerRelease::Redis7_2 => &REDIS_7_2,
        ServerRelease::Redis7_4 => &REDIS_7_4,
        ServerRelease::Valkey8_1 => &VALKEY_8_1,
        ServerRelease::Redis8_0 | ServerRelease::Redis8_2 => &REDIS_8,
    }
}

/// Whether servers of these releases load what the other saves or sends.
pub(crate) fn share_files(one: ServerRelease, other: ServerRelease) -> bool {
    rules(one).rdb_format == rules(other).rdb_format
}

impl Config {
    /// What this server does otherwise than other releases.
    #[inline]
    pub(super) fn rules(&self) -> &'static Rules {
        rules(self.release)
    }
}

impl Released for Config {
    type Release = ServerRelease;

    fn release(&self) -> ServerRelease {
        self.release
    }

    /// The defaults of a release (`config.c` of each; CONFIG GET on the programs).
    fn of(release: ServerRelease) -> Config {
        let base = Config { release, ..Config::default() };
        let before_7 = Config {
            repl_diskless_sync: false,
            shutdown_timeout: 0,
            enable_debug_command: Protected::Yes,
            ..base.clone()
        };
        match release {
            // Without a `save` line there are no save points (`main` of 6.0: `resetServerSaveParams`).
            ServerRelease::Redis6_0 => Config { save: super::SavePoints(Vec::new()), ..before_7 },
            ServerRelease::Redis6_2 => before_7,
            ServerRelease::Valkey8_1 => {
                Config { repl_backlog_size: 10 << 20, replica_lazy_flush: true, dynamic_hz: false, ..base }
            }
            ServerRelease::Redis8_0 | ServerRelease::Redis8_2 => Config { repl_rdb_channel: true, ..base },
            _ => base,
        }
    }

    const DIRECTIVES: &'static [Directive<ServerRelease>] = &[
        Directive { name: "replica-announced", since: ServerRelease::Redis6_2, gone: &[] },
        Directive { name: "shutdown-timeout", since: ServerRelease::Redis7_0, gone: &[] },
        Directive { name: "repl-diskless-sync-max-replicas", since: ServerRelease::Redis7_0, gone: &[] },
        Directive { name: "enable-debug-command", since: ServerRelease::Redis7_0, gone: &[] },
        Directive { name: "repl-rdb-channel", since: ServerRelease::Redis8_0, gone: &[] },
        Directive { name: "dynamic-hz", since: ServerRelease::Redis6_0, gone: &[ServerRelease::Valkey8_1] },
    ];
}
