//! What travels on a connection: commands, replies and pushes of the Redis protocol, as plain values.
//!
//! A [`Message`] is one unit that a program writes and its peer reads. It is small, `Copy` where it is frequent, and is
//! never formatted on the hot path. Sizes in bytes follow RESP2 where something depends on them: replication offsets
//! ([`Command::stream_bytes`]) and transfer times ([`Message::wire_bytes`]).

mod error;
mod glob;
mod id;
mod info;
mod message;
mod parse;
mod ranges;
mod script;
mod shown;

pub use error::ErrorKind;
pub use id::{Addr, ChannelId, GroupId, HostId, Ip, Key, NodeId, ReplId, RunId, hex40};
pub use info::{Info, InfoReplica, MasterLink, ReplicaState, Role, RoleInfo};
pub use message::{
    Ballast, ClientType, Command, Expiry, FailoverCommand, Hello, InfoSection, MasterCommand, Message, PauseKind,
    Payload, RdbPiece, Reply, SentinelCommand, SentinelReply, SetOption, Snapshot, StreamItem,
};
pub use parse::{Known, parse_command};
pub use ranges::{Gathering, Ranges};
pub use script::Script;
