//! How long a data set takes: to be saved, sent, loaded and freed, and how long a fork of its server stands still.
//!
//! A server works on keys and on bytes, and each has its price: a gigabyte of tiny keys takes four times as long to save as
//! one of large values. So a data set is known by both, and what they cost was measured on Redis 7.0.15 with keys `fill:N`
//! and values of random bytes on a file system in memory: CPU time of SAVE, of a start and of FLUSHALL SYNC,
//! `latest_fork_usec`, and the times in the logs of full synchronisations (docs/laboratory.md). Whoever knows his own machine
//! says so with `dataset-save-rate`, `dataset-load-rate`, `dataset-send-rate` and `dataset-fork-per-gb`.

use super::{Config, DisklessLoad};
use crate::kernel::Span;
use crate::wire::{Ballast, Snapshot};

/// What work on a data set costs.
#[derive(Clone, Copy, Debug)]
struct Price {
    ns_a_key: u64,
    /// Picoseconds a byte of the RDB file.
    ps_a_byte: u64,
}

impl Price {
    fn of(self, data: Ballast) -> Span {
        let ps = data.keys as u128 * self.ns_a_key as u128 * 1_000 + data.bytes as u128 * self.ps_a_byte as u128;
        Span::from_nanos((ps / 1_000) as u64)
    }
}

/// How fast the keys that clients write are saved, in bytes a second: a million `k:N`, a file of 14.8 MB, took 0.61 s.
const CLIENTS_SAVE_RATE: u64 = 24_000_000;
/// How fast they are loaded: DEBUG RELOAD NOSAVE of the same file took 0.84 s, the freeing of the old ones included.
const CLIENTS_LOAD_RATE: u64 = 18_000_000;
/// Reading a command of the append-only file and executing it: 600 000 SETs of 3 bytes took 0.72 s, the least of two starts.
const REPLAY_NS: u64 = 1_200;
/// `lzf_compress`, tried in vain on every value above 20 bytes, and the checksum. SAVE took 0.52 µs a key with values of 3
/// bytes, 1.8 to 2.1 with 100, 10 to 11 with 1 000, 87 to 96 with 10 000 and 830 to 914 with 100 000.
const SAVE: Price = Price { ns_a_key: 600, ps_a_byte: 9_000 };
/// The checksum again, and for each key an allocation and its place in the table. Loads took 0.63, 0.95, 2.8, 16 and 147 µs
/// a key of the same sizes.
const LOAD: Price = Price { ns_a_key: 850, ps_a_byte: 1_500 };
/// `emptyData`: FLUSHALL SYNC took 0.40, 0.86, 0.86 and 1.3 µs a key, and nothing for keys of 100 000 bytes.
const FREE: Price = Price { ns_a_key: 700, ps_a_byte: 0 };
/// `sendBulkToSlave`: 16 kB are read from the page cache and written to the socket in each pass of the loop. 405 MB took
/// 0.56 s on the loopback.
const SEND: Price = Price { ns_a_key: 0, ps_a_byte: 1_400 };
/// What a key takes in memory beyond its bytes in the file: entry, object, string headers, its share of the table
/// (`used_memory`: 72 to 89 with values up to 1 000 bytes).
const MEMORY_A_KEY: u64 = 85;
/// How long `fork` stands still for a gigabyte of memory, unless `dataset-fork-per-gb` says otherwise. The least of four
/// `latest_fork_usec` was 16 to 36 ms a gigabyte in a virtual machine.
pub(super) const FORK_A_GB: Span = Span::from_millis(24);

/// How fast a server works on its data set.
pub(super) fn of_rate(bytes: u64, rate: u64) -> Span {
    Span::from_nanos((bytes as u128 * 1_000_000_000 / rate.max(1) as u128) as u64)
}

/// About what such data takes in memory.
pub(super) fn memory_bytes(data: Ballast) -> u64 {
    data.bytes.saturating_add(data.keys.saturating_mul(MEMORY_A_KEY))
}

fn priced(rate: u64, price: Price, clients_rate: u64, file: &Snapshot) -> Span {
    let ballast = match rate {
        0 => price.of(file.ballast),
        rate => of_rate(file.ballast.bytes, rate),
    };
    of_rate(file.bytes.saturating_sub(file.ballast.bytes), clients_rate) + ballast
}

impl Config {
    /// How long the process that saves takes for all of it.
    pub(super) fn save_span(&self, snapshot: &Snapshot) -> Span {
        priced(self.dataset_save_rate, SAVE, CLIENTS_SAVE_RATE, snapshot)
    }

    /// How long loading all of it takes.
    pub(super) fn load_span(&self, snapshot: &Snapshot) -> Span {
        priced(self.dataset_load_rate, LOAD, CLIENTS_LOAD_RATE, snapshot)
    }

    /// How long so many commands of the append-only file take to be read and executed.
    pub(super) fn replay_span(&self, commands: u64) -> Span {
        Span::from_nanos(commands.saturating_mul(REPLAY_NS))
    }

    /// How long a master takes to send so much of a file.
    pub(super) fn send_span(&self, bytes: u64) -> Span {
        match self.dataset_send_rate {
            0 => SEND.of(Ballast { keys: 0, bytes }),
            rate => of_rate(bytes, rate),
        }
    }

    /// How long the loop stands still while old data is freed.
    pub(super) fn free_span(&self, old: Ballast) -> Span {
        match self.replica_lazy_flush || self.repl_diskless_load == DisklessLoad::Swapdb {
            true => Span::ZERO,
            false => FREE.of(old),
        }
    }

    /// The RDB file that the server finds when it first starts.
    pub fn dataset(&self) -> Snapshot {
        super::dataset::ballast_file(self.dataset_bytes, self.dataset_value_bytes)
    }

    /// About how long the data of `dataset-bytes` takes to be loaded, and to reach a replica.
    pub fn dataset_span(&self) -> Span {
        let file = self.dataset();
        let free = self.free_span(file.ballast);
        self.load_span(&file) * 2 + self.save_span(&file) + self.send_span(file.bytes) + free
    }

    /// How much longer `fork` stands still than with no data.
    pub(super) fn fork_span(&self, data: Ballast) -> Span {
        let memory = memory_bytes(data);
        Span::from_nanos((memory as u128 * self.dataset_fork_per_gb.0 as u128 / 1_000_000_000) as u64)
    }
}

/// How much of an RDB file travels as one piece: at most a thousand pieces whatever the size, none smaller than this.
pub(super) fn piece_bytes(file_bytes: u64) -> u64 {
    const PIECES_MAX: u64 = 1_024;
    const PIECE_MIN: u64 = 256 << 10;
    file_bytes.div_ceil(PIECES_MAX).max(PIECE_MIN)
}
