//! Several servers together, in the tiny world of `testing`.

mod aof;
mod commands;
mod expire;
mod failover;
mod large;
mod persist;
mod replication;
mod script;
mod trouble;

use proptest::prelude::*;

use super::testing::{Net, addr, key, publish};
use super::{Config, History};
use crate::kernel::{Span, Time};
use crate::record::{OverLimit, RedisEvent};
use crate::release::{Released, ServerRelease};
use crate::wire::{
    ChannelId, ClientType, Command, ErrorKind, Expiry, InfoSection, ReplicaState, Reply, Role, RoleInfo, Snapshot,
};

fn set(index: u32) -> Command {
    Command::Set(key(index), index, Expiry::Never)
}

/// A server starts again after its process, or the power of its machine, has ended.
fn back_after(net: &mut Net, end: fn(&mut Net, usize), node: usize) {
    end(net, node);
    net.start(node);
    net.run(20);
}

fn history(net: &Net, node: usize) -> &History {
    &net.node(node).history
}

fn info(net: &mut Net, client: usize) -> crate::wire::Info {
    match net.ask(client, Command::Info(InfoSection::Replication)) {
        Some(Reply::Info(info)) => *info,
        other => panic!("INFO is answered, not {other:?}"),
    }
}
