//! The programs of the stack behind one face.

use crate::client::Client;
use crate::haproxy::Haproxy;
use crate::kernel::Stream;
use crate::program::{Input, Out, Volume};
use crate::redis::Redis;
use crate::sentinel::Sentinel;

/// A running program.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are a dozen of them, and each is reached on the hot path")]
pub(super) enum Program {
    /// A Redis server.
    Redis(Redis),
    /// A Sentinel.
    Sentinel(Sentinel),
    /// The proxy.
    Haproxy(Haproxy),
    /// A publisher, subscriber or writer.
    Client(Client),
}

impl Program {
    /// Its random streams.
    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        match self {
            Program::Redis(redis) => redis.streams(),
            Program::Sentinel(sentinel) => sentinel.streams(),
            Program::Haproxy(haproxy) => haproxy.streams(),
            Program::Client(client) => client.streams(),
        }
    }

    /// How the disk is on which its files lie.
    pub(super) fn set_volume(&mut self, volume: Volume) {
        match self {
            Program::Redis(redis) => redis.set_volume(volume),
            Program::Sentinel(sentinel) => sentinel.set_volume(volume),
            // They write no files.
            Program::Haproxy(_) | Program::Client(_) => {}
        }
    }

    /// One pass of the program's event loop.
    #[inline]
    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        match self {
            Program::Redis(redis) => redis.handle(input, out),
            Program::Sentinel(sentinel) => sentinel.handle(input, out),
            Program::Haproxy(haproxy) => haproxy.handle(input, out),
            Program::Client(client) => client.handle(input, out),
        }
    }
}
