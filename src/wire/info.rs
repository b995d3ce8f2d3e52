//! The answer to INFO, as far as the stack reads it, and the answer to ROLE.

use super::{Addr, ReplId, RunId};
use crate::kernel::Span;

/// The role a Redis node claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `role:master`
    Master,
    /// `role:slave`
    Slave,
}

impl Role {
    /// The word that Redis prints.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Slave => "slave",
        }
    }
}

/// State of an attached replica in `slaveN:` lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// Waiting for the child process that writes the RDB.
    WaitBgsave,
    /// The RDB is being sent.
    SendBulk,
    /// `wait_bgsave` too: the RDB will come on a connection of its own, which has not asked for it yet.
    WaitRdbChannel,
    /// `send_bulk_and_stream`: the RDB is being sent on a connection of its own, the stream on this one.
    SendBulkAndStream,
    /// Receiving the stream.
    Online,
}

/// One `slaveN:` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoReplica {
    /// `ip=` and `port=`.
    pub addr: Addr,
    /// `state=`.
    pub state: ReplicaState,
    /// `offset=`: the last acknowledged offset.
    pub offset: u64,
    /// `lag=` in seconds.
    pub lag_s: u64,
}

/// The replica's part of the section Replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterLink {
    /// `master_host` and `master_port`.
    pub master: Addr,
    /// Whether `master_host` is a name, which a Sentinel that knows the address takes for another host.
    pub by_name: bool,
    /// `master_link_status:up`.
    pub up: bool,
    /// `master_link_down_since_seconds`: absent while up; −1 if the link never was up or the node was just demoted.
    pub down_since_s: Option<i64>,
    /// `slave_repl_offset`.
    pub offset: u64,
    /// `slave_priority`.
    pub priority: u32,
    /// `replica_announced`.
    pub announced: bool,
    /// `master_sync_in_progress`.
    pub sync_in_progress: bool,
}

/// What INFO says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// `run_id`; absent from `info replication`.
    pub run_id: RunId,
    /// `role`.
    pub role: Role,
    /// Present on replicas.
    pub link: Option<MasterLink>,
    /// `slaveN` lines in their order.
    pub replicas: Vec<InfoReplica>,
    /// `master_replid`.
    pub replid: ReplId,
    /// `master_replid2`.
    pub replid2: ReplId,
    /// `master_repl_offset`.
    pub offset: u64,
    /// `second_repl_offset`; −1 if there is none.
    pub second_offset: i64,
    /// `loading:1`.
    pub loading: bool,
    /// `shutdown_in_milliseconds`, while a shutdown waits for replicas.
    pub shutdown_in: Option<Span>,
    /// `connected_clients`.
    pub connected_clients: u32,
}

/// What ROLE says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleInfo {
    /// `master OFFSET [replicas]`.
    Master {
        /// Replication offset.
        offset: u64,
        /// Online replicas with their acknowledged offsets.
        replicas: Vec<(Addr, u64)>,
    },
    /// `slave HOST PORT STATE OFFSET`.
    Slave {
        /// The master it follows.
        master: Addr,
        /// One of `none`, `connect`, `connecting`, `handshake`, `sync`, `connected`.
        state: &'static str,
        /// −1 without link.
        offset: i64,
    },
}
