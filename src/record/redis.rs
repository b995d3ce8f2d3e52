//! The log lines of a Redis server: one table, from whose rows they are printed and read.
//!
//! Sources: `serverLog` calls of replication.c, rdb.c and server.c of 7.0.15, 7.2.6, 8.0.2 and Valkey 8.1.1, and the logs of
//! 7.4.1, 8.2.3 and Valkey 8.1.8.

#[cfg(test)]
use proptest::prelude::*;

use super::Names;
use super::lines::{Field, lines};
use super::parse::Scan;
use crate::kernel::Span;
use crate::release::Dialect;
use crate::wire::{Addr, ReplId};

lines! {
    /// A Redis server's log line.
    pub enum RedisEvent {
        Ready = "Ready to accept connections", since_7_2: "Ready to accept connections tcp";
        MasterModeEnabled = "MASTER MODE enabled (user request)", valkey: "PRIMARY MODE enabled (user request)";
        /// At the request of its own master, which FAILOVER was given to.
        MasterModeByFailover = "MASTER MODE enabled (failover request)",
            valkey: "PRIMARY MODE enabled (failover request)";
        FailoverRequestedAny = "FAILOVER requested to any replica.";
        FailoverRequested(target: Addr) = "FAILOVER requested to {}.";
        /// The master becomes the target's replica.
        FailoverSynced(target: Addr) = "Failover target {} is synced, failing over.";
        FailoverForced(target: Addr) = "FAILOVER to {} time out exceeded, failing over.";
        FailoverAbortedAny(why: Box<str>) = "FAILOVER to any replica aborted: {}";
        FailoverAborted(target: Addr, why: Box<str>) = "FAILOVER to {} aborted: {}";
        FailoverRequestReceived(history: ReplId) = "Failover request received for replid {}.";
        ReplicaOf(master: Addr) = "REPLICAOF {} enabled (user request)";
        ReplicaOfNothingToDo = "REPLICAOF would result into synchronization with the master we are already connected with. No \
            operation performed.",
            valkey: "REPLICAOF would result into synchronization with the primary we are already connected with. No \
            operation performed.";
        BeforeTurningIntoReplica = "Before turning into a replica, using my own master parameters to synthesize a cached \
            master: I may be able to synchronize with the new master with just a partial transfer.",
            valkey: "Before turning into a replica, using my own primary parameters to synthesize a cached primary: I may be \
            able to synchronize with the new primary with just a partial transfer.";
        ConnectingToMaster(master: Addr) = "Connecting to MASTER {}", valkey: "Connecting to PRIMARY {}";
        ReconnectingToMaster(master: Addr) = "Reconnecting to MASTER {}", valkey: "Reconnecting to PRIMARY {}";
        SyncStarted = "MASTER <-> REPLICA sync started", valkey: "PRIMARY <-> REPLICA sync started";
        NonBlockingConnectFired = "Non blocking connect for SYNC fired the event.";
        SyncSocketError(reason: &'static str) = "Error condition on socket for SYNC: {}";
        MasterRepliedToPing = "Master replied to PING, replication can continue...",
            valkey: "Primary replied to PING, replication can continue...";
        ErrorReplyToPing(error: &'static str) = "Error reply to PING from master: '-{}'",
            valkey: "Error reply to PING from primary: '-{}'";
        MasterDidNotRespond = "Master did not respond to command during SYNC handshake",
            valkey: "Primary did not respond to command during SYNC handshake";
        MasterDidNotReplyToPsync = "Master did not reply to PSYNC, will try later",
            valkey: "Primary did not reply to PSYNC, will try later";
        MasterUnableToPsync = "Master is currently unable to PSYNC but should be in the future",
            valkey: "Primary is currently unable to PSYNC but should be in the future";
        SyncIoError = "I/O error trying to sync with MASTER: connection lost",
            valkey: "I/O error trying to sync with PRIMARY: connection lost";
        PartialNotPossible = "Partial resynchronization not possible (no cached master)",
            valkey: "Partial resynchronization not possible (no cached primary)";
        TryingPartial(history: ReplId, offset: u64) = "Trying a partial resynchronization (request {}:{}).";
        FullResyncFromMaster(history: ReplId, offset: u64) = "Full resync from master: {}:{}",
            valkey: "Full resync from primary: {}:{}";
        InitializeRdbChannel = "PSYNC is not possible, initialize RDB channel.";
        ReceivingInParallel = "Starting to receive RDB and replication stream in parallel.";
        SuccessfulPartial = "Successful partial resynchronization with master.",
            valkey: "Successful partial resynchronization with primary.";
        MasterReplIdChanged(history: ReplId) = "Master replication ID changed to {}",
            valkey: "Primary replication ID changed to {}";
        MasterAcceptedPartial = "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.",
            valkey: "PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization.";
        ReceivingRdb = "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk",
            valkey: "PRIMARY <-> REPLICA sync: receiving streamed RDB from primary with EOF to disk";
        ReceivingRdbToParser = "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to parser",
            valkey: "PRIMARY <-> REPLICA sync: receiving streamed RDB from primary with EOF to parser";
        ReceivingFile(bytes: u64) = "MASTER <-> REPLICA sync: receiving {} bytes from master to disk",
            valkey: "PRIMARY <-> REPLICA sync: receiving {} bytes from primary to disk";
        ReceivingFileToParser(bytes: u64) = "MASTER <-> REPLICA sync: receiving {} bytes from master to parser",
            valkey: "PRIMARY <-> REPLICA sync: receiving {} bytes from primary to parser";
        FlushingOldData = "MASTER <-> REPLICA sync: Flushing old data",
            valkey: "PRIMARY <-> REPLICA sync: Flushing old data";
        LoadingDb = "MASTER <-> REPLICA sync: Loading DB in memory",
            valkey: "PRIMARY <-> REPLICA sync: Loading DB in memory";
        /// The format of the file.
        CannotLoadFormat(format: u32) = "Can't handle RDB format version {}";
        CannotLoadSync = "Failed trying to load the MASTER synchronization DB from disk",
            since_7_2: "Failed trying to load the MASTER synchronization DB from disk, check server logs.",
            valkey: "Failed trying to load the PRIMARY synchronization DB from disk, check server logs.";
        FinishedWithSuccess = "MASTER <-> REPLICA sync: Finished with success",
            valkey: "PRIMARY <-> REPLICA sync: Finished with success";
        /// Bytes of the stream that came beside the RDB file.
        ApplyingBuffer(bytes: u64) = "MASTER <-> REPLICA sync: Starting to stream replication buffer into the db ({} bytes).";
        AppliedBuffer(bytes: u64) =
            "MASTER <-> REPLICA sync: Successfully streamed replication buffer into the db ({} bytes in total)";
        MasterConnectionLost = "Connection with master lost.", valkey: "Connection with primary lost.";
        CachingMaster = "Caching the disconnected master state.", valkey: "Caching the disconnected primary state.";
        DiscardingCachedMaster = "Discarding previously cached master state.",
            valkey: "Discarding previously cached primary state.";
        TimeoutConnecting = "Timeout connecting to the MASTER...", valkey: "Timeout connecting to the PRIMARY...";
        TimeoutReceivingBulk = "Timeout receiving bulk data from MASTER... If the problem persists try to set the \
            'repl-timeout' parameter in redis.conf to a larger value.",
            valkey: "Timeout receiving bulk data from PRIMARY... If the problem persists try to set the 'repl-timeout' \
            parameter in valkey.conf to a larger value.";
        MasterTimeout = "MASTER timeout: no data nor PING received...",
            valkey: "PRIMARY timeout: no data nor PING received...";
        /// The old history, up to which offset it is valid, and the new one.
        SecondaryReplId(old: ReplId, offset: u64, new: ReplId) =
            "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {}";
        BacklogCreated(history: ReplId, second: ReplId) =
            "Replication backlog created, my new replication IDs are '{}' and '{}'";
        ReplicaAsks(replica: Addr) = "Replica {} asks for synchronization";
        /// The bytes sent, and the offset from which on.
        PartialAccepted(replica: Addr, bytes: u64, offset: u64) =
            "Partial resynchronization request from {} accepted. Sending {} bytes of backlog starting from offset {}.";
        PartialRefusedId(asked: ReplId, history: ReplId, second: ReplId) = "Partial resynchronization not accepted: \
            Replication ID mismatch (Replica asked for '{}', my replication IDs are '{}' and '{}')";
        PartialRefusedOffset(asked: u64, limit: u64) = "Partial resynchronization not accepted: Requested offset for second \
            ID was {}, but I can reply up to {}";
        PartialRefusedBacklog(replica: Addr, offset: u64) =
            "Unable to partial resync with replica {} for lack of backlog (Replica request was: {}).";
        FullResyncRequested(replica: Addr) = "Full resync requested by replica {}",
            redis_8: "Full resync requested by replica {} ";
        FullResyncRequestedOnChannel(replica: Addr) = "Full resync requested by replica {} (rdb-channel)";
        RdbChannelPossible(replica: Addr) = "Replica {} is capable of rdb channel synchronization, and partial sync isn't \
            possible. Full sync will continue with dedicated rdb channel.";
        DelayNextBgsave = "Delay next BGSAVE for diskless SYNC";
        StartingBgsave = "Starting BGSAVE for SYNC with target: replicas sockets",
            valkey: "Starting BGSAVE for SYNC with target: replicas sockets using: normal sync";
        StartingBgsaveOnChannel = "Starting BGSAVE for SYNC with target: replicas sockets (rdb-channel)";
        StartingBgsaveToDisk = "Starting BGSAVE for SYNC with target: disk",
            valkey: "Starting BGSAVE for SYNC with target: disk using: normal sync";
        DeliveringRdbAndStream(replica: Addr) = "Starting to deliver RDB and replication stream to replica: {}";
        RdbTransferStarted = "Background RDB transfer started by pid 1",
            redis_8: "Background RDB transfer started by pid 1 to parent process pipe",
            valkey: "Background RDB transfer started by pid 1 to pipe through parent process";
        RdbTransferStartedOnChannel = "Background RDB transfer started by pid 1 to replica socket";
        RdbTransferDone = "Background RDB transfer terminated with success";
        RdbStreamed(replica: Addr) = "Streamed RDB transfer with replica {} succeeded (socket). Waiting for REPLCONF ACK from \
            slave to enable streaming",
            since_7_2: "Streamed RDB transfer with replica {} succeeded (socket). Waiting for REPLCONF ACK from replica to \
            enable streaming";
        ReplicaOnline(replica: Addr) = "Synchronization with replica {} succeeded";
        /// A replica's link whose port is not known yet.
        ReplicaLostUnnamed(client: u32) = "Connection with replica client id #{} lost.";
        RdbChannelLostUnnamed(client: u32) = "Connection with replica (rdbchannel) client id #{} lost.";
        RdbChannelLost(replica: Addr) = "Connection with replica (rdbchannel) {} lost.";
        ReplicaLost(replica: Addr) = "Connection with replica {} lost.";
        ReplicaTimeout(replica: Addr) = "Disconnecting timedout replica (streaming sync): {}";
        /// How long it took.
        DbLoaded(took: Span) = "DB loaded from disk: {s} seconds";
        DbSaved = "DB saved on disk";
        /// How long it took.
        AofLoaded(took: Span) = "DB loaded from append only file: {s} seconds";
        AofFsyncSlow = "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for \
            fsync to complete, this may slow down Redis.";
        /// How long it has run, and its name.
        SlowScript(ran: Span, name: Box<str>) = "Slow script detected: still in execution after {ms} milliseconds. You can \
            try killing the script using the SCRIPT KILL command. Script name is: {}.";
        /// The same before 7.0.
        SlowScriptBefore7(ran: Span, name: Box<str>) = "Lua slow script detected: still in execution after {ms} \
            milliseconds. You can try killing the script using the SCRIPT KILL command. Script SHA1 is: {}";
        ScriptKilled = "Lua script killed by user with SCRIPT KILL.";
        ShutdownRequested = "User requested shutdown...";
        ShutdownWaiting = "Waiting for replicas before shutting down.";
        Exiting = "Redis is now ready to exit, bye bye...", valkey: "Valkey is now ready to exit, bye bye...";
        /// A client over its output-buffer limit was closed.
        OutputLimit(client: OverLimit) = "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.";
    }
}

impl RedisEvent {
    /// Whether a server that follows another is a master from this line on.
    pub const fn leads(&self) -> bool {
        matches!(
            self,
            RedisEvent::MasterModeEnabled
                | RedisEvent::MasterModeByFailover
                | RedisEvent::FailoverAborted(..)
                | RedisEvent::FailoverAbortedAny(_)
        )
    }

    /// The server that this one follows from this line on.
    pub const fn follows(&self) -> Option<Addr> {
        match self {
            RedisEvent::ReplicaOf(master) | RedisEvent::FailoverSynced(master) | RedisEvent::FailoverForced(master) => {
                Some(*master)
            }
            _ => None,
        }
    }

    /// The line in the words of the reference stack.
    pub fn text(&self, names: &Names) -> String {
        let mut out = String::new();
        self.write(Dialect::default(), names, &mut out);
        out
    }
}

/// Reasons that [`RedisEvent::SyncSocketError`] can give.
const SOCKET_ERRORS: [&str; 7] = [
    "Connection refused",
    "Connection reset by peer",
    "No route to host",
    "Connection timed out",
    "Network is unreachable",
    "Broken pipe",
    "Operation now in progress",
];
/// Error replies that [`RedisEvent::ErrorReplyToPing`] can show.
const PING_ERRORS: [&str; 6] = [
    "MISCONF Redis is configured to save RDB snapshots",
    "MISCONF Errors writing to the AOF file",
    "LOADING Redis is loading the dataset in memory",
    "LOADING Valkey is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
];

/// One of the known reasons.
impl Field for &'static str {
    fn write(&self, _: &str, _: &Names, out: &mut String) {
        out.push_str(self);
    }
    fn read(scan: &mut Scan<'_>, _: &str, _: &str) -> Option<&'static str> {
        let known = SOCKET_ERRORS.iter().chain(&PING_ERRORS).find(|known| scan.rest().starts_with(**known))?;
        scan.lit(known)?;
        Some(known)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<&'static str> {
        proptest::sample::select([&SOCKET_ERRORS[..], &PING_ERRORS].concat()).boxed()
    }
}

/// A client over its output-buffer limit.
#[derive(Clone, Debug, PartialEq)]
pub struct OverLimit {
    /// `pubsub`, `slave` or `normal`.
    pub class: &'static str,
    /// What the line says of it: `id=3 … flags=P … omem=266552 …` (`catClientInfoString`).
    pub client: Box<str>,
}

impl Field for OverLimit {
    fn write(&self, _: &str, _: &Names, out: &mut String) {
        out.push_str(&self.client);
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<OverLimit> {
        let client = scan.before(next)?;
        let (_, flags) = client.split_once(" flags=")?;
        let flags = flags.split(' ').next()?;
        // A client that listens and replicates counts as a replica (`getClientType`).
        let class = match () {
            () if flags.contains('S') => "slave",
            () if flags.contains('P') => "pubsub",
            () => "normal",
        };
        Some(OverLimit { class, client: client.into() })
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<OverLimit> {
        let of = |(place, id): (usize, u32)| OverLimit {
            class: ["pubsub", "slave", "normal"][place],
            client: format!("id={id} flags={} omem=266552", ["P", "S", "N"][place]).into(),
        };
        (0..3_usize, any::<u32>()).prop_map(of).boxed()
    }
}
