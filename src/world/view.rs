//! Looking at a world from outside: what the programs hold at this moment.

use super::World;
use super::program::Program;
use crate::haproxy::Haproxy;
use crate::redis::Redis;
use crate::sentinel::Sentinel;
use crate::wire::NodeId;

impl World {
    fn program_of(&self, node: NodeId) -> Option<&Program> {
        self.processes[node.0 as usize].program.as_ref()
    }

    /// The Redis server on a node, while its process exists.
    pub fn redis(&self, node: NodeId) -> Option<&Redis> {
        match self.program_of(node) {
            Some(Program::Redis(redis)) => Some(redis),
            _ => None,
        }
    }

    /// The Sentinel on a node, while its process exists.
    pub fn sentinel(&self, node: NodeId) -> Option<&Sentinel> {
        match self.program_of(node) {
            Some(Program::Sentinel(sentinel)) => Some(sentinel),
            _ => None,
        }
    }

    /// The proxy, while its process exists.
    pub fn haproxy(&self) -> Option<&Haproxy> {
        match self.layout.haproxy().and_then(|node| self.program_of(node)) {
            Some(Program::Haproxy(haproxy)) => Some(haproxy),
            _ => None,
        }
    }

    /// How many times a node's process was started.
    pub fn life(&self, node: NodeId) -> u32 {
        self.processes[node.0 as usize].life
    }
}
