//! The data set, and its size as an RDB file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::wire::{Ballast, Key, Snapshot};

/// Keys and values.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    entries: BTreeMap<Key, u32>,
    bytes: u64,
    ballast: Ballast,
}

/// An RDB file without keys. Measured on 7.0.15: 89 bytes without replication information, which adds about 84
/// (`repl-stream-db`, `repl-id`, `repl-offset`); a diskless transfer adds the 40-byte mark twice, with its prefix.
const RDB_EMPTY_BYTES: u64 = 89 + 84 + 87;

fn length_digits(n: u64) -> u64 {
    n.checked_ilog10().unwrap_or(0) as u64 + 1
}

/// Type byte, key with its length byte, and the value as the smallest integer encoding (`rdbSaveStringObject`).
fn entry_bytes(key: Key, value: u32) -> u64 {
    let value_bytes = match value {
        0..=127 => 2,
        128..=32_767 => 3,
        _ => 5,
    };
    1 + 1 + 2 + length_digits(key.index as u64) + value_bytes
}

/// What a filling key takes in an RDB file beyond its value: type, length bytes and `fill:` with its number
/// (`rdbSaveStringObject`: lengths above 63 take two bytes, above 16383 five).
const FILL_KEY_BYTES: u64 = 1 + 1 + 12 + 2;

/// An RDB file of about so many bytes of data that nobody looks at, in values of the given size.
pub fn ballast_file(bytes: u64, value_bytes: u64) -> Snapshot {
    let ballast = Ballast { keys: bytes.div_ceil(value_bytes + FILL_KEY_BYTES), bytes };
    Snapshot { bytes: RDB_EMPTY_BYTES + bytes, ballast, ..Snapshot::default() }
}

impl Dataset {
    /// SET.
    pub fn set(&mut self, key: Key, value: u32) {
        if let Some(old) = self.entries.insert(key, value) {
            self.bytes -= entry_bytes(key, old);
        }
        self.bytes += entry_bytes(key, value);
    }

    /// GET.
    pub fn get(&self, key: Key) -> Option<u32> {
        self.entries.get(&key).copied()
    }

    /// FLUSHALL.
    pub fn clear(&mut self) {
        *self = Dataset::default();
    }

    /// How many keys it holds that clients wrote.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// DBSIZE.
    pub fn keys(&self) -> u64 {
        self.entries.len() as u64 + self.ballast.keys
    }

    /// The part that nobody looks at.
    pub fn ballast(&self) -> Ballast {
        self.ballast
    }

    /// All of it, as a child process sees it at the fork.
    pub fn snapshot(&self) -> Snapshot {
        let entries = Arc::new(self.entries.iter().map(|(&key, &value)| (key, value)).collect());
        Snapshot { entries, bytes: RDB_EMPTY_BYTES + self.bytes + self.ballast.bytes, ballast: self.ballast }
    }

    /// The content of an RDB file, in place of what was there.
    pub fn load(&mut self, snapshot: &Snapshot) {
        self.entries = snapshot.entries.iter().copied().collect();
        self.bytes = snapshot.entries.iter().map(|&(key, value)| entry_bytes(key, value)).sum();
        self.ballast = snapshot.ballast;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_loads_into_the_same_data() {
        let mut data = Dataset::default();
        for n in [1, 500, 70_000, 1] {
            data.set(Key { space: 0, index: n }, n);
        }
        let mut copy = Dataset::default();
        copy.set(Key { space: 9, index: 9 }, 9);
        copy.load(&data.snapshot());
        assert_eq!(copy.snapshot(), data.snapshot());
        assert_eq!((copy.len(), copy.get(Key { space: 0, index: 500 })), (3, Some(500)));
    }
}
