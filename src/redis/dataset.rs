//! The data set, and its size as an RDB file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::kernel::mix;
use crate::wire::{Ballast, Gathering, Key, Ranges, Snapshot};

/// Keys and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Dataset {
    entries: BTreeMap<Key, u32>,
    /// Keys that live for a time only: until which millisecond of the Unix epoch (`db->expires`).
    ends: BTreeMap<Key, u64>,
    /// The same keys in an order that has nothing to do with their names, as in a table of hashes, and how far the
    /// expiry has walked through it (`expires_cursor`).
    walk: BTreeSet<(u64, Key)>,
    cursor: Option<(u64, Key)>,
    /// By writer with one key for all, or with keys that live for a time only: which of its SETs were in the data. No
    /// server knows: it is how a SET is told from the one that took its place, and one whose time is up from one that
    /// never arrived.
    histories: BTreeMap<u16, Gathering>,
    bytes: u64,
    ballast: Ballast,
}

/// An RDB file without keys. Measured on 7.0.15: 89 bytes without replication information, which adds about 84
/// (`repl-stream-db`, `repl-id`, `repl-offset`); a diskless transfer adds the 40-byte mark twice, with its prefix.
const RDB_EMPTY_BYTES: u64 = 89 + 84 + 87;

/// What the end of a key's time adds to it in an RDB file: `RDB_OPCODE_EXPIRETIME_MS` and eight bytes.
const END_BYTES: u64 = 9;

/// A place for a key in a table of hashes (the real hash is keyed anew in every process).
fn hash(key: Key) -> u64 {
    mix((u64::from(key.space) << 32 | u64::from(key.index)).wrapping_add(0x9e37_79b9_7f4a_7c15))
}

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
    /// SET, of a key that lives until a millisecond of the Unix epoch, or for ever.
    pub(super) fn set(&mut self, key: Key, value: u32, end_ms: Option<u64>) {
        if key.one || end_ms.is_some() {
            self.histories.entry(key.space).or_default().add(key.index);
        }
        let key = Key { index: key.number(), ..key };
        if let Some(old) = self.entries.insert(key, value) {
            self.bytes -= entry_bytes(key, old);
        }
        self.bytes += entry_bytes(key, value);
        if !self.ends.is_empty() {
            self.live_for_ever(key);
        }
        if let Some(end_ms) = end_ms {
            self.ends.insert(key, end_ms);
            self.walk.insert((hash(key), key));
            self.bytes += END_BYTES;
        }
    }

    fn live_for_ever(&mut self, key: Key) {
        if self.ends.remove(&key).is_some() {
            self.walk.remove(&(hash(key), key));
            self.bytes -= END_BYTES;
        }
    }

    /// DEL. What was SET stays in the history.
    pub(super) fn delete(&mut self, key: Key) {
        let key = Key { index: key.number(), ..key };
        if let Some(old) = self.entries.remove(&key) {
            self.bytes -= entry_bytes(key, old);
        }
        self.live_for_ever(key);
    }

    /// How many of its keys live for a time only.
    pub(super) fn expiring(&self) -> usize {
        self.ends.len()
    }

    /// Whether a key's time is up (`keyIsExpired`).
    pub(super) fn is_over(&self, key: Key, now_ms: u64) -> bool {
        self.ends.get(&Key { index: key.number(), ..key }).is_some_and(|&end| now_ms > end)
    }

    /// The next so many of the keys that live for a time only, and which of them are over: the walk goes on behind them,
    /// and begins again behind the last (`dictScan`).
    pub(super) fn sample(&mut self, most: usize, now_ms: u64) -> (usize, Vec<Key>) {
        let from = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = (from, Bound::Unbounded);
        let found: Vec<(u64, Key)> = self.walk.range(behind).chain(&self.walk).take(most).copied().collect();
        self.cursor = found.last().copied().or(self.cursor);
        let over = found.iter().map(|(_, key)| *key).filter(|key| self.is_over(*key, now_ms)).collect();
        (found.len(), over)
    }

    /// Drops every key whose time is up: what a master does not load from an RDB file.
    pub(super) fn drop_over(&mut self, now_ms: u64) -> Vec<Key> {
        let over: Vec<Key> = self.ends.iter().filter(|(_, end)| now_ms > **end).map(|(key, _)| *key).collect();
        over.iter().for_each(|key| self.delete(*key));
        over
    }

    /// GET.
    pub(super) fn get(&self, key: Key) -> Option<u32> {
        self.entries.get(&Key { index: key.number(), ..key }).copied()
    }

    /// Which SETs of a writer with one key for all, or with keys that live for a time only, were in the data.
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
        let ends = Arc::new(self.ends.iter().map(|(&key, &end)| (key, end)).collect());
        let ranges = |(space, history): (&u16, &Gathering)| (*space, history.ranges());
        let histories = Arc::new(self.histories.iter().map(ranges).collect());
        let bytes = RDB_EMPTY_BYTES + self.bytes + self.ballast.bytes;
        Snapshot { entries, ends, histories, bytes, ballast: self.ballast, format: 0 }
    }

    /// The content of an RDB file, in place of what was there.
    pub(super) fn load(&mut self, snapshot: &Snapshot) {
        self.entries = snapshot.entries.iter().copied().collect();
        let gathering = |(space, history): (&u16, &Ranges)| (*space, history.clone().into());
        self.histories = snapshot.histories.iter().map(gathering).collect();
        self.ends = snapshot.ends.iter().copied().collect();
        self.walk = self.ends.keys().map(|&key| (hash(key), key)).collect();
        self.bytes = snapshot.entries.iter().map(|&(key, value)| entry_bytes(key, value)).sum();
        self.bytes += END_BYTES * self.ends.len() as u64;
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
            data.set(Key::new(0, n), n, None);
        }
        data.set(Key::new(1, 1), 1, Some(5));
        let mut copy = Dataset::default();
        copy.set(Key::new(9, 9), 9, Some(9));
        copy.load(&data.snapshot());
        assert_eq!(copy.snapshot(), data.snapshot());
        assert_eq!((copy.len(), copy.get(Key::new(0, 500))), (4, Some(500)));
        assert_eq!(
            (copy.expiring(), copy.is_over(Key::new(1, 1), 6), copy.is_over(Key::new(9, 9), 99)),
            (1, true, false)
        );
    }

    #[test]
    fn a_walk_comes_to_every_key_and_what_is_over_goes() {
        let mut data = Dataset::default();
        for n in 0..50 {
            data.set(Key::new(0, n), n, Some(u64::from(n % 2) * 10));
        }
        data.set(Key::new(0, 50), 50, None);
        let full = data.bytes;
        let mut over = Vec::new();
        for most in [20, 20, 10] {
            let (sampled, found) = data.sample(most, 5);
            assert_eq!(sampled, most);
            over.extend(found);
        }
        over.sort_unstable();
        assert_eq!(over, (0..25).map(|n| Key::new(0, 2 * n)).collect::<Vec<_>>(), "each once, in one round");
        // At its last millisecond a key still lives.
        assert_eq!(data.drop_over(10).len(), 25);
        assert_eq!((data.len(), data.expiring()), (26, 25));
        assert!(data.bytes < full && data.history(0).is_some_and(|history| history.count_within(0, 49) == 50));
        // Whoever is SET again without a time lives for ever.
        (0..50).for_each(|n| data.set(Key::new(0, n), n, None));
        assert_eq!((data.drop_over(u64::MAX).len(), data.len()), (0, 51));
        let mut plain = Dataset::default();
        (0..51).for_each(|n| plain.set(Key::new(0, n), n, None));
        assert_eq!(data.bytes, plain.bytes);
    }
    #[test]
    fn one_key_for_all_is_one_key_and_remembers_what_was_set() {
        let one = |index| Key { space: 3, one: true, index };
        let mut data = Dataset::default();
        [1, 2, 4].into_iter().for_each(|index| data.set(one(index), 0, None));
        assert_eq!((data.len(), data.get(one(77))), (1, Some(0)));
        let mut copy = Dataset::default();
        copy.load(&data.snapshot());
        assert_eq!(copy.history(3).map(|history| history.intervals().to_vec()), Some(vec![(1, 2), (4, 4)]));
        data.clear();
        assert_eq!(data.history(3), None);
    }
}
