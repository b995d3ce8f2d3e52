//! The data that a server holds at its start: an RDB file, written before the server runs.
//!
//! The simulator's servers find such a file when they start, and so do the real ones: filling them by commands would take
//! longer, and their replicas would be there already. The values are random bytes, which do not compress: a file of zeros
//! would be saved and sent in no time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::wire::Snapshot;

/// Random bytes, parts of which are the values.
const POOL_BYTES: usize = 4 << 20;

/// Writes the file of a data set with values of the given size.
pub(super) fn write(path: &Path, data: &Snapshot, value_bytes: u64) -> io::Result<()> {
    let mut pool = vec![0; POOL_BYTES];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut pool);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    // Version 9, which all releases read, database 0, how many keys it has (`RDB_OPCODE_SELECTDB`, `RDB_OPCODE_RESIZEDB` of rdb.h).
    out.write_all(b"REDIS0009\xfe\x00\xfb")?;
    write_length(&mut out, data.ballast.keys)?;
    write_length(&mut out, 0)?;
    for number in 0..data.ballast.keys {
        out.write_all(&[0])?;
        let key = format!("fill:{number}");
        write_length(&mut out, key.len() as u64)?;
        out.write_all(key.as_bytes())?;
        write_length(&mut out, value_bytes)?;
        let mut left = value_bytes as usize;
        let mut from = (number as usize).wrapping_mul(7_919) % POOL_BYTES;
        while left > 0 {
            let part = left.min(POOL_BYTES - from);
            out.write_all(&pool[from..from + part])?;
            left -= part;
            from = 0;
        }
    }
    // The end, and no checksum.
    out.write_all(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0])?;
    out.flush()
}

/// `rdbSaveLen`
fn write_length(out: &mut impl Write, length: u64) -> io::Result<()> {
    match length {
        0..64 => out.write_all(&[length as u8]),
        64..16_384 => out.write_all(&[0x40 | (length >> 8) as u8, length as u8]),
        _ if length <= u64::from(u32::MAX) => {
            out.write_all(&[0x80])?;
            out.write_all(&(length as u32).to_be_bytes())
        }
        _ => {
            out.write_all(&[0x81])?;
            out.write_all(&length.to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::Config;

    #[test]
    fn the_file_has_about_the_size_that_was_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        for value_bytes in [3, 100, 1_000, 100_000] {
            let config = Config { dataset_bytes: 3_000_000, dataset_value_bytes: value_bytes, ..Config::default() };
            let path = folder.path().join("dump.rdb");
            write(&path, &config.dataset(), value_bytes).expect("it can be written");
            let bytes = std::fs::metadata(&path).expect("it is there").len();
            assert!((2_500_000..3_200_000).contains(&bytes), "{bytes} with values of {value_bytes}");
        }
    }
}
