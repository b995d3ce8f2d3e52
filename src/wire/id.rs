//! Identities that occur inside messages.

use std::fmt;

/// A host: something with an address of its own on the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u16);

/// A program on a host (a Redis node, a Sentinel, HAProxy, a client). Nodes are numbered in the order of the scenario:
/// Redis nodes, Sentinels, HAProxy, clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// An IP address. Which host has it is for the network to know; it is printed by the names of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ip(pub u32);

/// An IP address and port: where to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    /// The IP address.
    pub ip: Ip,
    /// The TCP port.
    pub port: u16,
}

impl Addr {
    /// `port` at `ip`.
    pub const fn new(ip: Ip, port: u16) -> Addr {
        Addr { ip, port }
    }
}

/// A 40-digit hexadecimal identity, drawn at start. Only 64 bits are drawn: they are the first sixteen digits, and the
/// others follow from them, so that comparing numbers compares texts.
fn write_hex40(value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&hex40(value))
}

/// The forty digits that stand for `value`.
pub fn hex40(value: u64) -> String {
    let spread = |salt: u64| {
        let product = ((value ^ salt) as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        product as u64 ^ (product >> 64) as u64
    };
    let tail = spread(0x243f_6a88_85a3_08d3);
    let end = spread(0x1319_8a2e_0370_7344) as u32;
    format!("{value:016x}{tail:016x}{end:08x}")
}

/// The identity of a process: `run_id` of a Redis server, or the id of a Sentinel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex40(self.0, f)
    }
}

/// The identity of a replication history. Zero prints as forty zeros and means "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplId(pub u64);

impl ReplId {
    /// No history.
    pub const NONE: ReplId = ReplId(0);
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == ReplId::NONE { f.write_str(&"0".repeat(40)) } else { write_hex40(self.0, f) }
    }
}

/// A group: a monitored master with its replicas, known by the name under which Sentinels monitor it. Numbered by the stack:
/// there is one, number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

impl GroupId {
    /// The one group of the stack.
    pub const ONLY: GroupId = GroupId(0);
}

/// A Pub/Sub channel, numbered by the world. Number 0 is `__sentinel__:hello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u16);

impl ChannelId {
    /// `__sentinel__:hello`.
    pub const HELLO: ChannelId = ChannelId(0);
    /// `+switch-master`, on which a Sentinel tells its clients of a new master.
    pub const SWITCH_MASTER: ChannelId = ChannelId(u16::MAX);
}

/// A key of the data set: `k:INDEX` in the key space of one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which writer's key space.
    pub space: u16,
    /// Whether the writer has one key, `k:0`, for all that it sets, as `redis-benchmark` without `-r`: `index` then only
    /// tells its SETs apart, and no server sees it.
    pub one: bool,
    /// The number behind the colon.
    pub index: u32,
}

impl Key {
    /// `k:INDEX` in the key space of a writer.
    pub const fn new(space: u16, index: u32) -> Key {
        Key { space, one: false, index }
    }

    /// The number behind the colon as servers see it.
    pub const fn number(&self) -> u32 {
        if self.one { 0 } else { self.index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_forty_digits_and_sort_as_their_numbers() {
        let texts: Vec<String> = [1, 2, 0x10, u64::MAX].map(|n| RunId(n).to_string()).to_vec();
        assert!(texts.iter().all(|text| text.len() == 40));
        assert!(texts.is_sorted());
        assert_eq!(ReplId::NONE.to_string(), "0".repeat(40));
    }
}
