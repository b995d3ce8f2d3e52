//! The replication backlog: the last bytes of the stream, in whole commands.
//!
//! The real one is a list of blocks; what it holds goes away a block at a time, so that the history is a little longer
//! than the setting (`feedReplicationBuffer`, `incrementalTrimReplicationBacklog`; spec 25.5). Only the first offsets
//! of the blocks are kept here, beside the commands.

use std::collections::VecDeque;

use crate::wire::{Command, StreamItem};

/// `PROTO_REPLY_CHUNK_BYTES`: the size of a block, unless one command is larger.
const BLOCK_BYTES: u64 = 16 * 1024;

/// The history from which a replica can be continued.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    items: VecDeque<StreamItem>,
    /// Offset of the first byte held, or of the next byte to come.
    first: u64,
    /// Offset of the last byte held.
    end: u64,
    /// Offsets of the first bytes of the blocks.
    blocks: VecDeque<u64>,
}

impl Backlog {
    /// An empty history after `offset` (`createReplicationBacklog`).
    pub(super) fn new(offset: u64) -> Backlog {
        Backlog { items: VecDeque::new(), first: offset + 1, end: offset, blocks: VecDeque::new() }
    }

    /// Whether a replica that asks for `offset` can be continued (spec 25.4); a ring holds its last bytes alone.
    pub(super) fn holds(&self, offset: u64, ring_bytes: Option<u64>) -> bool {
        let in_ring = ring_bytes.is_none_or(|bytes| offset + bytes > self.end);
        self.first <= offset && offset <= self.end + 1 && in_ring
    }

    /// Appends a command of `bytes` bytes and gives it back as it goes to the replicas. True if a new block began: the
    /// moment to trim and to look at output limits.
    pub(super) fn append(&mut self, command: Command, bytes: u64) -> (StreamItem, bool) {
        assert!(bytes > 0, "a command in the stream has bytes");
        let begin = self.end + 1;
        self.end += bytes;
        let mut new_block = false;
        while self.blocks.back().is_none_or(|&start| start + BLOCK_BYTES <= self.end) {
            let start = self.blocks.back().map_or(begin, |&start| start + BLOCK_BYTES);
            self.blocks.push_back(start);
            new_block = true;
        }
        let item = StreamItem { command, end: self.end };
        self.items.push_back(item.clone());
        (item, new_block)
    }

    /// Drops whole blocks while more than `size` bytes stay, but nothing that some replica has yet to be sent: the bytes
    /// after `needed`.
    pub(super) fn trim(&mut self, size: u64, needed: u64) {
        while self.blocks.len() > 1 {
            let next = self.blocks[1];
            if self.end + 1 - next <= size || needed + 1 < next {
                break;
            }
            self.blocks.pop_front();
            self.first = next;
        }
        while self.items.front().is_some_and(|item| item.end < self.first) {
            self.items.pop_front();
        }
    }

    /// The commands after `offset`, and how many bytes they are.
    pub(super) fn after(&self, offset: u64) -> (impl Iterator<Item = &StreamItem>, u64) {
        let from = self.items.partition_point(|item| item.end <= offset);
        (self.items.range(from..), self.end - offset.min(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_a_little_longer_than_the_setting() {
        let mut backlog = Backlog::new(100);
        for _ in 0..10_000 {
            let (_, new_block) = backlog.append(Command::Ping, 14);
            if new_block {
                backlog.trim(64 * 1024, u64::MAX - 1);
            }
        }
        let held = backlog.end + 1 - backlog.first;
        assert!(held > 64 * 1024 && held <= 64 * 1024 + 2 * BLOCK_BYTES, "{held}");
        assert!(backlog.holds(backlog.first, None) && !backlog.holds(backlog.first - 1, None));
        assert!(backlog.holds(backlog.end + 1, None) && !backlog.holds(backlog.end + 2, None));
        let ring = Some(1_000);
        assert!(backlog.holds(backlog.end - 999, ring) && !backlog.holds(backlog.end - 1_000, ring));
    }

    #[test]
    fn what_a_replica_still_needs_stays() {
        let mut backlog = Backlog::new(0);
        for _ in 0..10_000 {
            backlog.append(Command::Ping, 14);
            backlog.trim(1024, 14_000);
        }
        assert!(backlog.first <= 14_001);
        let (items, bytes) = backlog.after(14_000);
        assert_eq!((items.count(), bytes), (9_000, 126_000));
    }
}
