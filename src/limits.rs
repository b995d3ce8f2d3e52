//! The largest values that are taken, in one place.
//!
//! They are checked where a value comes in (a scenario file, an override of a sweep, an argument, a recording), with its
//! place and with the limit in the complaint. All of them together leave room for what the models do with a value: a sum
//! of fifty of the longest durations still fits the virtual clock (64 bits of nanoseconds, 584 years), and ten times the
//! longest time in milliseconds does too (Sentinel waits for `down-after-milliseconds * 10`).

use std::io::{self, Read};

use crate::kernel::Span;

/// Ten years, in seconds: directives that count seconds end here.
pub(crate) const SECONDS_MAX: u64 = 10 * 365 * 86_400;
/// Ten years, in milliseconds: directives that count milliseconds end here.
pub(crate) const MILLIS_MAX: u64 = SECONDS_MAX * 1_000;
/// Ten years: every duration ends here, and so do all stalls of a script together, and all jumps of its clocks.
pub(crate) const SPAN_MAX: Span = Span::from_secs(SECONDS_MAX);
/// An hour: what one `fsync` on a slow disk takes ends here, since a program may make several in one pass.
pub(crate) const FSYNC_MAX: Span = Span::from_secs(3_600);
/// Every other whole number of a scenario ends here.
pub(crate) const COUNT_MAX: u64 = 1_000_000_000;
/// Every size in bytes ends here: 1 TiB.
pub(crate) const BYTES_MAX: u64 = 1 << 40;
/// Seeds, and the numbers of runs, end here: with any number of runs added they still fit 63 bits, as TOML and Parquet
/// need.
pub(crate) const SEED_MAX: u64 = 1_000_000_000_000_000_000;
/// The most client programs: up to here their pictures and reports were looked at.
pub(crate) const CLIENTS_MAX: usize = 10_000;
/// The most connections of all clients together: up to 100 000 the simulator was measured (docs/performance.md).
pub(crate) const CONNECTIONS_MAX: u64 = 200_000;
/// The most faults of a script.
pub(crate) const FAULTS_MAX: usize = 100_000;
/// The longest name, in bytes: with what is put around it (`.SEED.jsonl.gz`, `-FIRST..LAST`) it still is a file name, which
/// Linux ends at 255 bytes.
pub(crate) const NAME_MAX: usize = 100;
/// The longest text of a scenario (a description, a word of a command), in bytes.
pub(crate) const TEXT_MAX: usize = 10_000;
/// The largest scenario file, in bytes: 16 MiB.
pub(crate) const FILE_MAX: u64 = 16 << 20;
/// The largest recording, in bytes, decompressed: 1 GiB, twice a day of the demo.
pub(crate) const RECORDING_MAX: u64 = 1 << 30;
/// The most files of a folder that is imported.
pub(crate) const IMPORT_FILES_MAX: usize = 2_000;
/// The most entries of folders that are looked at while files to import are sought.
pub(crate) const IMPORT_ENTRIES_MAX: usize = 50_000;
/// The most bytes of all files that are imported together: 64 MiB.
pub(crate) const IMPORT_BYTES_MAX: usize = 64 << 20;
/// The most lines of a configuration file or script that are looked at.
pub(crate) const IMPORT_LINES_MAX: usize = 50_000;
/// The most programs of a kind in an imported stack: as many as a scenario may have.
pub(crate) const IMPORT_NODES_MAX: usize = 1_000;
/// The largest file of a folder that is imported, in bytes: 1 MiB.
pub(crate) const IMPORT_FILE_MAX: u64 = 1 << 20;
/// The most worker threads.
pub(crate) const JOBS_MAX: u64 = 4_096;

/// Reads all of `input`, of which there may be `most` bytes.
///
/// # Errors
/// If it cannot be read, or is larger.
pub(crate) fn read_all(input: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        false => Ok(bytes),
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than the limit of {}", size(most)))),
    }
}

/// The text of the file at `path`, which may be a pipe, up to [`FILE_MAX`].
///
/// # Errors
/// If it cannot be read, is larger, or is no UTF-8.
pub(crate) fn read_text(path: &std::path::Path) -> io::Result<String> {
    read_text_of(std::fs::File::open(path)?)
}

/// The text of `input`, up to [`FILE_MAX`].
///
/// # Errors
/// If it cannot be read, is larger, or is no UTF-8.
pub(crate) fn read_text_of(input: impl Read) -> io::Result<String> {
    String::from_utf8(read_all(input, FILE_MAX)?).map_err(io::Error::other)
}

/// What the system says of a file, without the number of the error and without the hidden name under which it was written.
pub(crate) fn system_says(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        bytes if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes => format!("{bytes} bytes"),
    }
}

/// What is wrong with `name` as the name of a scenario, client, host or channel; `None` if it is plain.
///
/// One rule for all of them: a name is used in the names of files, in tables, charts, pages and messages, so it is made of
/// letters and digits of any script and the characters `-`, `_`, `.`, `:`, `+`, `#`, `=` and `@` inside; it begins with a
/// letter or digit, and has at most [`NAME_MAX`] bytes. Blanks may stand inside a scenario's name and nowhere else.
pub(crate) fn name_fault(name: &str, blanks: bool) -> Option<String> {
    let inside = |c: char| c.is_alphanumeric() || "-_.:+#=@".contains(c) || blanks && c == ' ';
    let first = name.chars().next();
    match first {
        None => Some("it is empty".to_owned()),
        Some(_) if name.len() > NAME_MAX => {
            Some(format!("it has {} bytes; at most {NAME_MAX} are allowed", name.len()))
        }
        Some(first) if !(first.is_alphanumeric() || first == '_') => Some(format!("it begins with {first:?}")),
        Some(_) => match name.chars().find(|c| !inside(*c)) {
            Some(c) => Some(format!("it contains {c:?}")),
            None if name.ends_with(' ') => Some("it ends with a blank".to_owned()),
            None => None,
        },
    }
}

/// A plain name that is as near as can be to `name`, for names that are not the user's own: that of a file, or one in a
/// recording.
pub fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let mut plain: String = name.trim_start_matches(['.', '-']).chars().map(plain).collect();
    while plain.len() > NAME_MAX {
        plain.pop();
    }
    if plain.is_empty() { "unnamed".to_owned() } else { plain }
}

/// What would be right instead of a name that is none.
pub(crate) const NAME_HELP: &str =
    "begin with a letter or digit; then letters, digits and - _ . : + # = @, at most 100 bytes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_leave_room_for_sums() {
        assert!(SPAN_MAX.0.checked_mul(50).is_some());
        assert!((MILLIS_MAX * 10).checked_mul(1_000_000).is_some());
        assert!(i64::try_from(SEED_MAX + 2 * COUNT_MAX).is_ok());
        assert!(NAME_HELP.contains(&NAME_MAX.to_string()));
    }

    #[test]
    fn more_than_the_limit_is_not_read() {
        assert_eq!(read_all(io::repeat(7).take(5), 5).expect("just enough"), [7; 5]);
        let error = read_all(io::repeat(7), 2 << 20).expect_err("it never ends");
        assert!(error.to_string().contains("2 MiB"), "{error}");
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "redis-benchmark", "k8s.prod_1", "Straße", "読者", "ch:1", "_x"] {
            assert_eq!(name_fault(good, false), None, "{good}");
        }
        assert_eq!(name_fault("a b", true), None);
        for name in ["../../etc/passwd", "-x", "", "...", "a b\u{1b}", &"é".repeat(200), "/"] {
            assert_eq!(name_fault(&plain_name(name), false), None, "{name}");
        }
        let long = "x".repeat(300);
        let bad = ["", "-a", "=1+1", "+1", "@x", ".hidden", "a/b", "a\\b", "a b", "a\u{1b}[31m", "a\u{202e}b", "a\nb"];
        for bad in bad.into_iter().chain(["..", "a,b", "a\"b", "<b>", "a;b", "a\u{0}", "a\u{200b}b", &long]) {
            assert!(name_fault(bad, false).is_some(), "{bad:?}");
        }
    }
}
