//! The data set, and its size as an RDB file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::wire::{Ballast, Gathering, Key, Ranges, Snapshot};

/// Keys and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Dataset {
    entries: BTreeMap<Key, u32>,
    /// By writer with one key for all: which of its SETs are in the history of that key. No server knows: it is how a
    /// SET is told from the one that took its place.
    histories: BTreeMap<u16, Gathering>,
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
    1 + 1 + 2 + length_digits(key.number() as u64) + value_bytes
}

/// What a filling key takes in an RDB file beyond its value: type, length bytes and `fill:` with its number
/// (`rdbSaveStringObject`: lengths above 63 take two bytes, above 16383 five).
const FILL_KEY_BYTES: u64 = 1 + 1 + 12 + 2;

/// An RDB file of about so many bytes of data that nobody looks at, in values of the given size.
pub(super) fn ballast_file(bytes: u64, value_bytes: u64) -> Snapshot {
    let ballast = Ballast { keys: bytes.div_ceil(value_bytes + FILL_KEY_BYTES), bytes };
    Snapshot { bytes: RDB_EMPTY_BYTES + bytes, ballast, ..Snapshot::default() }
}

impl Dataset {
    /// SET.
    pub(super) fn set(&mut self, key: Key, value: u32) {
        if key.one {
            self.histories.entry(key.space).or_default().add(key.index);
        }
        let key = Key { index: key.number(), ..key };
        if let Some(old) = self.entries.insert(key, value) {
            self.bytes -= entry_bytes(key, old);
        }
        self.bytes += entry_bytes(key, value);
    }

    /// GET.
    pub(super) fn get(&self, key: Key) -> Option<u32> {
        self.entries.get(&Key { index: key.number(), ..key }).copied()
    }

    /// Which SETs of a writer with one key for all are in the history of that key.
    pub(super) fn history(&self, space: u16) -> Option<Ranges> {
        self.histories.get(&space).map(Gathering::ranges)
    }

    /// FLUSHALL.
    pub(super) fn clear(&mut self) {
        *self = Dataset::default();
    }

    /// How many keys it holds that clients wrote.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// DBSIZE.
    pub(super) fn keys(&self) -> u64 {
        self.entries.len() as u64 + self.ballast.keys
    }

    /// The part that nobody looks at.
    pub(super) fn ballast(&self) -> Ballast {
        self.ballast
    }

    /// All of it, as a child process sees it at the fork.
    pub(super) fn snapshot(&self) -> Snapshot {
        let entries = Arc::new(self.entries.iter().map(|(&key, &value)| (key, value)).collect());
        let ranges = |(space, history): (&u16, &Gathering)| (*space, history.ranges());
        let histories = Arc::new(self.histories.iter().map(ranges).collect());
        let bytes = RDB_EMPTY_BYTES + self.bytes + self.ballast.bytes;
        Snapshot { entries, histories, bytes, ballast: self.ballast, format: 0 }
    }

    /// The content of an RDB file, in place of what was there.
    pub(super) fn load(&mut self, snapshot: &Snapshot) {
        self.entries = snapshot.entries.iter().copied().collect();
        let gathering = |(space, history): (&u16, &Ranges)| (*space, history.clone().into());
        self.histories = snapshot.histories.iter().map(gathering).collect();
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
            data.set(Key::new(0, n), n);
        }
        let mut copy = Dataset::default();
        copy.set(Key::new(9, 9), 9);
        copy.load(&data.snapshot());
        assert_eq!(copy.snapshot(), data.snapshot());
        assert_eq!((copy.len(), copy.get(Key::new(0, 500))), (3, Some(500)));
    }
    #[test]
    fn one_key_for_all_is_one_key_and_remembers_what_was_set() {
        let one = |index| Key { space: 3, one: true, index };
        let mut data = Dataset::default();
        [1, 2, 4].into_iter().for_each(|index| data.set(one(index), 0));
        assert_eq!((data.len(), data.get(one(77))), (1, Some(0)));
        let mut copy = Dataset::default();
        copy.load(&data.snapshot());
        assert_eq!(copy.history(3).map(|history| history.intervals().to_vec()), Some(vec![(1, 2), (4, 4)]));
        data.clear();
        assert_eq!(data.history(3), None);
    }
}
