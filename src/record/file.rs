//! Recordings in files: JSON Lines, as the recordings of the real stack are, compressed if the name ends in `.gz`.
//!
//! Clients with many connections have rows of many: `publishes`, `sets` and `gets` for the attempts that began within the
//! same tenth of a second and ended alike, `receives` for what a crowd heard within one. `seq` and `to` are the first and
//! last SEQ (of attempts: of all that began then), `count` is how many they are, `missing` how many of them nobody heard or
//! the final master does not hold, `receivers` 0 that they were answered so; `last`, `gap` and `gap_end` are in seconds
//! after `t`: the last answer, the longest time without a success that one of them ended, and when that was.
//!
//! Times are written in units of 100 µs, and everything that looks at a recording looks at these written times
//! ([`Recording::ticks`]), so that a run in memory and its file yield the same figures.

mod reading;
mod writing;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder, read::MultiGzDecoder};
use serde::{Deserialize, Serialize};

use super::visible::visible;
use super::{Ask, ClientMark, Load, Names, Node, NodeKind, Op, Record, Recording, Ticks, What};
use crate::excerpt::Excerpt;
use crate::files;
use crate::kernel::Time;
use crate::limits;
use crate::wire::NodeId;

/// Length of one unit of written time.
const TICK_NANOS: u64 = 100_000;
/// Times beyond this many seconds are not believed: ten years.
const MAX_SECONDS: f64 = limits::SECONDS_MAX as f64;
/// The longest line, in bytes: 16 MiB. A header with a hundred thousand faults is shorter.
const LINE_MAX: u64 = 16 << 20;
/// The most programs and clients: twice of what a scenario can have.
const NAMES_MAX: usize = 2 * limits::CLIENTS_MAX;
/// The longest name, in bytes.
const NAME_MAX: usize = 255;
const TICKS_A_SECOND: u64 = 1_000_000_000 / TICK_NANOS;
/// Pauses within one record beyond this many seconds are not believed: they are kept in 32 bits.
const MAX_PACE_SECONDS: f64 = 4e5;

/// The host of clients of which a recording does not say more.
const CLIENTS: &str = "clients";

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened, read or decompressed.
    #[error("{}: {}", path.display(), limits::system_says(cause))]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A folder of recordings has none.
    #[error("{}: no recording in this folder", path.display())]
    NoRecording {
        /// Which folder.
        path: PathBuf,
    },
    /// A line is not a recording's.
    #[error(transparent)]
    Line(#[from] Box<LineError>),
}

/// A line that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct LineError {
    /// Name of the file.
    pub file: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: &'static str,
    /// The line, as far below the top as it is in the file.
    code: Excerpt,
    /// The part of it that is not empty.
    at: Range<usize>,
}

#[cfg(feature = "cli")]
impl miette::Diagnostic for ReadError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        match self {
            ReadError::Io { .. } => Some(Box::new("a recording is a file NAME.RUN.jsonl or NAME.RUN.jsonl.gz")),
            ReadError::NoRecording { .. } => {
                Some(Box::new("recordings are DIR/NAME.RUN.jsonl or DIR/NAME/NAME.RUN.jsonl, both also .gz"))
            }
            ReadError::Line(error) => error.help(),
        }
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        match self {
            ReadError::Io { .. } | ReadError::NoRecording { .. } => None,
            ReadError::Line(error) => error.source_code(),
        }
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        match self {
            ReadError::Io { .. } | ReadError::NoRecording { .. } => None,
            ReadError::Line(error) => error.labels(),
        }
    }
}

#[cfg(feature = "cli")]
impl miette::Diagnostic for LineError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.help))
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.code)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(miette::LabeledSpan::at(self.at.clone(), "this line"))))
    }
}

#[derive(Serialize, Deserialize)]
struct HeaderRow {
    scenario: String,
    source: String,
    run: u64,
    #[serde(default)]
    config: serde_json::Value,
    #[serde(default)]
    faults: Vec<Vec<serde_json::Value>>,
    /// `[seconds, place among the faults, text]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replies: Vec<(f64, usize, String)>,
    end: f64,
    redis: Vec<String>,
    #[serde(default)]
    final_master: Option<String>,
    #[serde(default)]
    final_roles: BTreeMap<String, String>,
    #[serde(default)]
    lost_acked_sets: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    clients: Vec<ClientMark>,
    /// Every node, in the order of their numbers; not there in recordings that were made before this table was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<NodeRow>,
    /// The name of the monitored master; not there in old recordings either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    master_name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct NodeRow {
    name: String,
    kind: NodeKind,
    host: String,
    /// The release, unless it is that of the reference stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    t: f64,
    node: Option<String>,
    event: Option<String>,
    client: Option<String>,
    op: Option<String>,
    seq: Option<u32>,
    outcome: Option<String>,
    ms: Option<f64>,
    wait_ms: Option<f64>,
    receivers: Option<u32>,
    from: Option<String>,
    /// Of a SET: acknowledged, and not in the final master's data.
    #[serde(default)]
    lost: bool,
    // What follows is of many attempts or receptions in one row.
    to: Option<u32>,
    count: Option<u32>,
    missing: Option<u32>,
    last: Option<f64>,
    gap: Option<f64>,
    gap_end: Option<f64>,
}

impl Recording {
    /// The written time of an instant: units of 100 µs since time 0, rounded to the nearest.
    pub fn ticks(&self, at: Time) -> i64 {
        let nanos = at.0 as i128 - self.origin.0 as i128;
        (nanos + TICK_NANOS as i128 / 2).div_euclid(TICK_NANOS as i128) as i64
    }

    /// The written time of an instant in microseconds since time 0.
    pub fn micros(&self, at: Time) -> i64 {
        self.ticks(at) * (TICK_NANOS as i64 / 1_000)
    }

    /// The written length of a time, for what stands in a record as [`Ticks`] after its own time.
    pub fn ticks_between(from: Time, to: Time) -> Ticks {
        Ticks::try_from((to.since(from).0 + TICK_NANOS / 2) / TICK_NANOS).unwrap_or(Ticks::MAX)
    }

    /// The instant so many ticks after a record's own, in microseconds since time 0.
    pub fn micros_after(&self, record: &Record, ticks: Ticks) -> i64 {
        (self.ticks(record.time) + i64::from(ticks)) * (TICK_NANOS as i64 / 1_000)
    }

    /// The written time of an instant in seconds since time 0: the number that a reader of the file gets.
    pub fn seconds(&self, at: Time) -> f64 {
        self.ticks(at) as f64 / TICKS_A_SECOND as f64
    }

    /// The name under which a record stands in a file: a publisher that also writes does so as [`Recording::writer`].
    pub fn written_name<'a>(&'a self, record: &Record, publishers: &BTreeSet<NodeId>) -> &'a str {
        match record.what {
            What::Op(Op::Set { .. }) if publishers.contains(&record.node) => self.writer(record.node),
            _ => self.names.node(record.node),
        }
    }

    /// The name under which the writes of a publisher stand in a file: `writer`, unless somebody else is called so.
    pub fn writer(&self, publisher: NodeId) -> &str {
        if self.names.find_node("writer").is_some() { self.names.node(publisher) } else { "writer" }
    }

    /// The clients that publish.
    pub fn publishers(&self) -> BTreeSet<NodeId> {
        let publishes = |record: &&Record| {
            matches!(record.what, What::Op(Op::Publish { .. } | Op::Load(Load { ask: Ask::Publish, .. })))
        };
        self.records.iter().filter(publishes).map(|record| record.node).collect()
    }

    /// The clients that make attempts.
    pub fn attempting(&self) -> BTreeSet<NodeId> {
        let attempts = |record: &&Record| {
            matches!(record.what, What::Op(Op::Publish { .. } | Op::Set { .. } | Op::Get { .. } | Op::Load(_)))
        };
        self.records.iter().filter(attempts).map(|record| record.node).collect()
    }

    /// The client with a number, as [`Op::Receive`] numbers publishers.
    pub fn client(&self, place: u16) -> Option<NodeId> {
        self.names.of_kind(NodeKind::Client).nth(place as usize).map(|(node, _)| node)
    }

    /// Writes the recording to a file, all of it or nothing; compressed if the name ends in `.gz`.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = self.to_jsonl();
        let mut file = files::Whole::create(path)?;
        if path.extension().is_some_and(|extension| extension == "gz") {
            let mut encoder = GzBuilder::new().mtime(0).write(&mut file, Compression::default());
            encoder.write_all(text.as_bytes())?;
            encoder.finish()?;
        } else {
            file.write_all(text.as_bytes())?;
        }
        file.finish()
    }

    /// Reads a recording, compressed or not (all members of a gzip file), simulated or real.
    ///
    /// # Errors
    /// If it cannot be read, is larger than `RECORDING_MAX`, or is no recording.
    pub fn read(path: &Path) -> Result<Recording, ReadError> {
        let io = |cause| ReadError::Io { path: path.to_path_buf(), cause };
        let mut file = BufReader::with_capacity(1 << 16, std::fs::File::open(path).map_err(io)?);
        let text = if file.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]) {
            read_lines(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)))
        } else {
            read_lines(file)
        };
        Ok(Recording::parse(&path.display().to_string(), &text.map_err(io)?)?)
    }
}

/// All lines of `input`: of any number, but neither too long nor too much in sum.
fn read_lines(mut input: impl BufRead) -> std::io::Result<String> {
    let too_large = |what: String| std::io::Error::new(std::io::ErrorKind::FileTooLarge, what);
    let mut bytes = Vec::new();
    for line in 1_u64.. {
        let read = input.by_ref().take(LINE_MAX + 1).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            break;
        }
        if read > LINE_MAX {
            return Err(too_large(format!("line {line} is longer than the limit of {} MiB", LINE_MAX >> 20)));
        }
        if bytes.len() as u64 > limits::RECORDING_MAX {
            return Err(too_large(format!("larger than the limit of {} MiB", limits::RECORDING_MAX >> 20)));
        }
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// The text without characters that are obeyed instead of shown.
fn cleaned(text: String) -> String {
    match visible(&text) {
        Cow::Owned(visible) => visible,
        Cow::Borrowed(_) => text,
    }
}

impl Row {
    /// The row with all its texts [`cleaned`].
    fn cleaned(mut self) -> Row {
        for text in [&mut self.node, &mut self.event, &mut self.client, &mut self.op, &mut self.outcome, &mut self.from]
        {
            *text = text.take().map(cleaned);
        }
        self
    }
}

impl NodeRow {
    /// The row with all its texts [`cleaned`].
    fn cleaned(self) -> NodeRow {
        let release = self.release.map(cleaned);
        NodeRow { name: cleaned(self.name), kind: self.kind, host: cleaned(self.host), release }
    }

    fn of(node: &Node, names: &Names) -> NodeRow {
        let host = names.host(node.host).to_owned();
        NodeRow { name: node.name.clone(), kind: node.kind, host, release: node.release.clone() }
    }
}
