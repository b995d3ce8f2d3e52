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

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder, read::MultiGzDecoder};
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultMark, NOBODY, Order};
use super::names::is_master_name;
use super::visible::visible;
use super::{
    Ask, ClientMark, ConnectEnd, Event, Header, Heard, Load, Names, Node, NodeKind, Op, Outcome, Pace, Record,
    Recording, ReplyMark, Source, Ticks, What,
};
use crate::files;
use crate::kernel::{EventId, Span, Time};
use crate::limits;
use crate::release::Dialect;
use crate::units::parse_span;
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
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ReadError {
    /// The file cannot be opened, read or decompressed.
    #[error("{}: {source}", path.display())]
    #[diagnostic(help("a recording is a file NAME.RUN.jsonl or NAME.RUN.jsonl.gz"))]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is not a recording's.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Line(#[from] Box<LineError>),
}

/// A line that cannot be understood.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{file}:{line}: {message}")]
#[diagnostic(help("{help}"))]
pub struct LineError {
    /// Name of the file.
    pub file: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: &'static str,
    #[source_code]
    code: NamedSource<String>,
    #[label("this line")]
    at: SourceSpan,
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

    /// The recording as JSON Lines.
    pub fn to_jsonl(&self) -> String {
        let mut out = String::with_capacity(256 + self.records.len() * 96);
        out.push_str(&self.header.to_json(&self.names));
        out.push('\n');
        let publishers = self.publishers();
        if self.records.is_sorted_by_key(|record| record.time) {
            self.records.iter().for_each(|record| self.write_row(record, &publishers, &mut out));
        } else {
            let mut ordered: Vec<&Record> = self.records.iter().collect();
            ordered.sort_by_key(|record| record.time);
            ordered.into_iter().for_each(|record| self.write_row(record, &publishers, &mut out));
        }
        out
    }

    fn write_row(&self, record: &Record, publishers: &BTreeSet<NodeId>, out: &mut String) {
        if matches!(&record.what, What::Event(event) if !event.is_logged()) {
            return;
        }
        out.push_str("{\"t\":");
        push_fixed(out, self.ticks(record.time), 4);
        let name = self.written_name(record, publishers);
        match &record.what {
            What::Event(event) => {
                out.push_str(",\"node\":");
                push_string(out, name);
                out.push_str(",\"event\":");
                match event {
                    Event::Text(text) => push_string(out, text),
                    event => push_string(out, &event.spoken(record.dialect, &self.names)),
                }
            }
            What::Op(op) => {
                out.push_str(",\"client\":");
                push_string(out, name);
                self.write_op(op, publishers, out);
            }
        }
        out.push_str("}\n");
    }

    fn write_op(&self, op: &Op, publishers: &BTreeSet<NodeId>, out: &mut String) {
        // Where one client publishes, every message is its.
        let alone = |publisher: &NodeId| publishers.len() == 1 && publishers.contains(publisher);
        let attempt = |word: &str, seq: u32, outcome: Outcome, took: Span, out: &mut String| {
            out.push_str(",\"op\":\"");
            out.push_str(word);
            out.push_str("\",\"seq\":");
            push_integer(out, seq as u64);
            out.push_str(",\"outcome\":\"");
            out.push_str(outcome.as_str());
            out.push_str("\",\"ms\":");
            push_fixed(out, ((took.0 + 500) / 1_000) as i64, 3);
        };
        match *op {
            Op::Publish { seq, outcome, took, receivers } => {
                attempt("publish", seq, outcome, took, out);
                if let Some(receivers) = receivers {
                    out.push_str(",\"receivers\":");
                    push_integer(out, receivers as u64);
                }
            }
            Op::Set { seq, outcome, took, lost } => {
                attempt("set", seq, outcome, took, out);
                if lost {
                    out.push_str(",\"lost\":true");
                }
            }
            Op::Get { seq, outcome, took } => attempt("get", seq, outcome, took, out),
            Op::Receive { publisher, seq } => {
                out.push_str(",\"op\":\"receive\",\"seq\":");
                push_integer(out, seq as u64);
                if let Some(node) = self.client(publisher).filter(|node| !alone(node)) {
                    out.push_str(",\"from\":");
                    push_string(out, self.names.node(node));
                }
            }
            Op::Connect(end) => {
                out.push_str(",\"op\":\"connect\",\"outcome\":\"");
                out.push_str(end.as_str());
                out.push('"');
            }
            Op::Load(load) => write_load(&load, out),
            Op::Heard(heard) => {
                out.push_str(",\"op\":\"receives\",\"from\":");
                push_string(out, self.client(heard.publisher).map_or("", |node| self.names.node(node)));
                push_many(heard.seqs, heard.count, heard.pace, out);
            }
        }
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
    /// If it cannot be read, is larger than [`limits::RECORDING_MAX`], or is no recording.
    pub fn read(path: &Path) -> Result<Recording, ReadError> {
        let io = |source| ReadError::Io { path: path.to_path_buf(), source };
        let mut file = BufReader::with_capacity(1 << 16, std::fs::File::open(path).map_err(io)?);
        let text = if file.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]) {
            read_lines(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)))
        } else {
            read_lines(file)
        };
        Ok(Recording::parse(&path.display().to_string(), &text.map_err(io)?)?)
    }

    /// Reads a recording's text; `file` is its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Recording, Box<LineError>> {
        let reader = Reader { file, text };
        let mut lines = reader.lines();
        let (number, first) = lines.next().ok_or_else(|| {
            reader.error(1, "the file is empty".into(), "the first line of a recording is its header")
        })?;
        let (header, table, master) = reader.header(number, first)?;
        let mut rows = Vec::new();
        for (number, line) in lines {
            let row: Row = serde_json::from_str(line).map_err(|error| reader.json(number, &error))?;
            if row.t.is_nan() || row.t.abs() > MAX_SECONDS {
                return Err(reader.error(number, format!("t is {}", row.t), "t is in seconds after time 0"));
            }
            let row = row.cleaned();
            let names = [&row.node, &row.client, &row.from];
            if names.into_iter().flatten().any(|name| name.len() > NAME_MAX) {
                return Err(reader.error(number, "a name is too long".into(), "names have 255 bytes at most"));
            }
            rows.push((number, row));
        }
        let mut names = if table.is_empty() {
            collect_names(&header, rows.iter().map(|(_, row)| row))
        } else {
            reader.names(number, &header, &table, &rows)?
        };
        if names.nodes.len() > NAMES_MAX {
            return Err(reader.error(number, format!("{} nodes", names.nodes.len()), "a recording has 20000 at most"));
        }
        let events = || rows.iter().filter_map(|(_, row)| row.event.as_deref());
        if let Some(master) = master.as_deref().or_else(|| events().find_map(monitored)) {
            names.master = master.to_owned();
        }
        let first = rows.iter().map(|(_, row)| row.t).fold(0.0, f64::min);
        let origin = Time((-first).ceil() as u64 * 1_000_000_000);
        let nodes: BTreeMap<String, NodeId> =
            names.nodes.iter().enumerate().map(|(i, node)| (node.name.clone(), NodeId(i as u16))).collect();
        let clients = names.of_kind(NodeKind::Client).zip(0..);
        let clients: BTreeMap<String, u16> = clients.map(|((_, name), place)| (name.to_owned(), place)).collect();
        let place = |name: &str| clients.get(name).copied().unwrap_or(0);
        let publisher = rows.iter().find(|(_, row)| row.op.as_deref() == Some("publish"));
        let publisher = publisher.and_then(|(_, row)| row.client.as_deref()).map_or(0, place);
        let mut records = Vec::with_capacity(rows.len());
        let mut dialects: BTreeMap<NodeId, Dialect> = BTreeMap::new();
        for (number, row) in rows {
            let time = Time((origin.0 as i64 + (row.t * 1e9).round() as i64) as u64);
            let (name, what) = match (&row.node, &row.event, &row.client, &row.op) {
                (Some(node), Some(event), None, None) => {
                    names.learn_ids(event);
                    let usual = dialects.entry(nodes[node]).or_default();
                    let (event, dialect) = Event::parse(names.kind(nodes[node]), event, &names, *usual);
                    *usual = dialect;
                    (node, What::Event(event))
                }
                (None, None, Some(client), Some(op)) => {
                    let from = row.from.as_deref().map_or(publisher, place);
                    let op = reader.op(number, op, &row, from)?;
                    (client, What::Op(op))
                }
                _ => {
                    return Err(reader.error(
                        number,
                        "neither a node's line nor a client's".into(),
                        "a node's line has \"node\" and \"event\", a client's has \"client\" and \"op\"",
                    ));
                }
            };
            let node = nodes[name];
            let dialect = dialects.get(&node).copied().unwrap_or_default();
            records.push(Record { time, node, during: EventId::default(), dialect, what });
        }
        records.sort_by_key(|record| record.time);
        Ok(Recording { header, names, origin, records })
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

impl Header {
    fn to_json(&self, names: &Names) -> String {
        let round = |seconds: f64| (seconds * 1e4).round() / 1e4;
        let fault = |mark: &FaultMark| {
            let mut row = vec![round(mark.at_s).into(), written_word(&mark.fault).into()];
            row.extend(mark.fault.arguments().into_iter().map(serde_json::Value::from));
            row
        };
        let config = if self.config.is_null() { serde_json::json!({}) } else { self.config.clone() };
        let row = HeaderRow {
            scenario: self.scenario.clone(),
            source: self.source.as_str().into(),
            run: self.run,
            config,
            faults: self.faults.iter().map(fault).collect(),
            replies: self.replies.iter().map(|reply| (round(reply.at_s), reply.fault, reply.text.clone())).collect(),
            end: round(self.end_s),
            redis: self.redis.clone(),
            final_master: self.final_master.clone(),
            final_roles: self.final_roles.clone(),
            lost_acked_sets: self.lost_acked_sets,
            clients: self.clients.clone(),
            nodes: names.nodes.iter().map(|node| NodeRow::of(node, names)).collect(),
            master_name: Some(names.master.clone()),
        };
        serde_json::to_string(&row).expect("a header has nothing that JSON cannot say")
    }
}

/// So many characters of a wrong line are shown.
const SHOWN: usize = 300;

/// The word of a fault in a recording: that of a scenario file with underscores.
fn written_word(fault: &Fault) -> String {
    match fault {
        Fault::Other { action, .. } => action.clone(),
        known => known.word().replace('-', "_"),
    }
}

/// The fault that a recording's word and arguments stand for; the error says what would be right. A word that is not
/// known is kept as it is.
fn read_fault(action: &str, args: &[String]) -> Result<Fault, &'static str> {
    let word = action.replace('_', "-");
    let group = |text: &String| -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    if let Some(order) = Order::ALL.into_iter().find(|order| order.word() == word) {
        let [node] = args else { return Err("it has one argument: the node that it was done to") };
        return Ok(Fault::Program { order, node: (node != NOBODY).then(|| node.clone()) });
    }
    match (word.as_str(), args) {
        ("partition", [_, ..]) => Ok(Fault::Partition { groups: args.iter().map(group).collect() }),
        ("partition", _) => Err("its arguments are groups of hosts, their names separated by commas"),
        ("cut", [from, to]) => Ok(Fault::Cut { from: group(from), to: group(to) }),
        ("cut", _) => Err("its arguments are the sending hosts and the receiving hosts"),
        ("heal", []) => Ok(Fault::Heal),
        ("heal", _) => Err("it has no arguments"),
        ("degrade", [hosts]) => Ok(Fault::Degrade { hosts: group(hosts) }),
        ("degrade", _) => Err("it has one argument: the hosts at the ends, separated by a comma"),
        ("clock-jump", [node, by]) => match by.parse() {
            Ok(by) => Ok(Fault::ClockJump { node: node.clone(), by }),
            Err(_) => Err("the second argument is how far, such as \"-5s\""),
        },
        ("clock-jump", _) => Err("its arguments are a node and how far its clock jumped"),
        ("upgrade", [node, release]) => Ok(Fault::Upgrade { node: node.clone(), release: release.clone() }),
        ("upgrade", _) => Err("its arguments are a node and the release"),
        ("stall", [node, lasts]) => match parse_span(lasts) {
            Ok(lasts) => Ok(Fault::Stall { node: node.clone(), lasts }),
            Err(_) => Err("the second argument is how long, such as \"350ms\""),
        },
        ("stall", _) => Err("its arguments are a node and how long it stood still"),
        ("command", [node, words @ ..]) => Ok(Fault::Command { node: node.clone(), words: words.to_vec() }),
        ("command", _) => Err("its arguments are a node and the words of the command"),
        _ => Ok(Fault::Other { action: action.to_owned(), args: args.to_vec() }),
    }
}

/// The name in a Sentinel's line that it monitors a master.
fn monitored(event: &str) -> Option<&str> {
    let (name, _) = event.strip_prefix("+monitor master ")?.split_once(' ')?;
    is_master_name(name).then_some(name)
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

/// The text of a recording while it is read.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim().is_empty())
    }

    fn error(&self, line: usize, message: String, help: &'static str) -> Box<LineError> {
        // The line alone, at its place: the file may be large, and what it says is shown, not obeyed.
        let shown: String = self.text.lines().nth(line - 1).unwrap_or_default().chars().take(SHOWN).collect();
        let shown = visible(&shown).into_owned();
        let at = (line - 1, shown.len()).into();
        let code = NamedSource::new(visible(self.file), "\n".repeat(line - 1) + &shown);
        let message = visible(&message).into_owned();
        Box::new(LineError { file: visible(self.file).into(), line, message, help, code, at })
    }

    fn json(&self, line: usize, error: &serde_json::Error) -> Box<LineError> {
        self.error(line, error.to_string(), "every line of a recording is one JSON object")
    }

    fn header(&self, number: usize, line: &str) -> Result<(Header, Vec<NodeRow>, Option<String>), Box<LineError>> {
        const HELP: &str =
            "the header has scenario, source, run, config, faults, end, redis, final_master, final_roles";
        let row: HeaderRow = serde_json::from_str(line).map_err(|error| self.error(number, error.to_string(), HELP))?;
        let source = Source::parse(&row.source)
            .ok_or_else(|| self.error(number, format!("unknown source `{}`", row.source), "`real` or `sim`"))?;
        if !(-MAX_SECONDS..=MAX_SECONDS).contains(&row.end) {
            return Err(self.error(number, format!("end is {}", row.end), "end is in seconds after time 0"));
        }
        let mut faults = Vec::new();
        for fault in &row.faults {
            let texts = fault.iter().skip(1).map(|value| value.as_str().map(|text| visible(text).into_owned()));
            let texts: Option<Vec<String>> = texts.collect();
            match (fault.first().and_then(serde_json::Value::as_f64), texts.as_deref()) {
                (Some(at_s), Some([action, args @ ..])) if at_s.abs() <= MAX_SECONDS => {
                    let fault = read_fault(action, args).map_err(|help| {
                        let message = format!("`{action}` with `{}`", args.join("`, `"));
                        self.error(number, message, help)
                    })?;
                    faults.push(FaultMark { at_s, fault });
                }
                _ => {
                    let message = format!("fault {} is malformed", serde_json::json!(fault));
                    return Err(self.error(number, message, "a fault is [seconds, \"action\", \"argument\", …]"));
                }
            }
        }
        if row.run > limits::SEED_MAX {
            return Err(self.error(number, format!("run is {}", row.run), "runs are numbered up to 10^18"));
        }
        let mut replies = Vec::new();
        for (at_s, fault, text) in row.replies {
            if at_s.is_nan() || at_s.abs() > MAX_SECONDS || fault >= faults.len() {
                let message = format!("reply {} is to no command", serde_json::json!([at_s, fault, text]));
                return Err(self.error(number, message, "a reply is [seconds, place among the faults, \"text\"]"));
            }
            replies.push(ReplyMark { at_s, fault, text: cleaned(text) });
        }
        let header = Header {
            scenario: cleaned(row.scenario),
            replies,
            source,
            run: row.run,
            config: row.config,
            faults,
            end_s: row.end,
            redis: row.redis.into_iter().map(cleaned).collect(),
            final_master: row.final_master.map(cleaned),
            final_roles: row.final_roles.into_iter().map(|(name, role)| (cleaned(name), cleaned(role))).collect(),
            lost_acked_sets: row.lost_acked_sets,
            clients: row.clients,
        };
        if let Some(name) = row.master_name.as_ref().filter(|name| !is_master_name(name)) {
            let help = "letters, digits and the characters `.`, `-`, `_`";
            return Err(self.error(number, format!("`{}` is not a name of a master", name.escape_debug()), help));
        }
        let nodes = row.nodes.into_iter().map(NodeRow::cleaned);
        Ok((header, nodes.collect(), row.master_name))
    }

    /// The names of a recording whose head has the table of nodes. A publisher that also writes does so under a name of
    /// its own that the table does not have.
    fn names(
        &self,
        head: usize,
        header: &Header,
        table: &[NodeRow],
        rows: &[(usize, Row)],
    ) -> Result<Names, Box<LineError>> {
        const HELP: &str = "the header's `nodes` names every node once, with its `kind` and its `host`";
        let mut names = Names::default();
        let mut kinds: BTreeMap<&str, NodeKind> = BTreeMap::new();
        for NodeRow { name, kind, host, release } in table.iter().take(NAMES_MAX + 1) {
            let longest = name.len().max(host.len()).max(release.as_ref().map_or(0, String::len));
            if longest > NAME_MAX {
                return Err(self.error(head, "a name is too long".into(), "names have 255 bytes at most"));
            }
            if kinds.insert(name, *kind).is_some() {
                return Err(self.error(head, format!("two nodes are called `{name}`"), HELP));
            }
            let node = names.add(name, *kind, host);
            names.nodes[node.0 as usize].release.clone_from(release);
        }
        for name in &header.redis {
            if kinds.get(name.as_str()) != Some(&NodeKind::Redis) {
                return Err(self.error(head, format!("`{name}` is not a Redis node of `nodes`"), HELP));
            }
        }
        let mut more: BTreeSet<&str> = BTreeSet::new();
        for (number, row) in rows {
            if let Some(node) = row.node.as_deref().filter(|node| !kinds.contains_key(node)) {
                return Err(self.error(*number, format!("`{node}` is not a node of this recording"), HELP));
            }
            for client in row.client.iter().chain(&row.from) {
                match kinds.get(client.as_str()) {
                    Some(NodeKind::Client) => {}
                    Some(_) => return Err(self.error(*number, format!("`{client}` is not a client"), HELP)),
                    None => drop(more.insert(client)),
                }
            }
        }
        for client in more.into_iter().take(NAMES_MAX + 1 - names.nodes.len()) {
            names.add(client, NodeKind::Client, CLIENTS);
        }
        Ok(names)
    }

    fn op(&self, line: usize, op: &str, row: &Row, publisher: u16) -> Result<Op, Box<LineError>> {
        let missing = |what: &str| self.error(line, format!("`{op}` without `{what}`"), "see the recordings' format");
        if op == "connect" {
            let word = row.outcome.as_deref().ok_or_else(|| missing("outcome"))?;
            let end = ConnectEnd::parse(word).ok_or_else(|| {
                self.error(line, format!("unknown outcome `{word}`"), "for example `open` or `read-closed`")
            })?;
            return Ok(Op::Connect(end));
        }
        let seq = row.seq.ok_or_else(|| missing("seq"));
        if op == "receive" {
            return Ok(Op::Receive { publisher, seq: seq? });
        }
        if op == "receives" {
            let (seqs, count, pace) = self.many(line, op, row)?;
            return Ok(Op::Heard(Heard { publisher, seqs, count, pace }));
        }
        let many = Ask::ALL.into_iter().find(|ask| ask.many() == op);
        if many.is_none() && !Ask::ALL.into_iter().any(|ask| ask.as_str() == op) {
            let help = "`publish`, `set`, `get`, `receive`, `connect`, `publishes`, `sets`, `gets` or `receives`";
            return Err(self.error(line, format!("unknown op `{op}`"), help));
        }
        let word = row.outcome.as_deref().ok_or_else(|| missing("outcome"))?;
        // The first word of an error reply is a single word: those without an outcome of their own are `err`.
        let reply = || word.bytes().all(|b| b.is_ascii_alphanumeric()).then_some(Outcome::Err);
        let outcome = Outcome::parse(word).or_else(reply).ok_or_else(|| {
            self.error(line, format!("unknown outcome `{word}`"), "for example `ok`, `readonly` or `reply-timeout`")
        })?;
        if let Some(ask) = many {
            let (seqs, count, pace) = self.many(line, op, row)?;
            if row.missing.is_some_and(|missing| missing > count) {
                return Err(self.error(
                    line,
                    "more are missing than there are".into(),
                    "`missing` is a part of `count`",
                ));
            }
            if ask == Ask::Publish && row.missing.is_none() {
                return Err(missing("missing"));
            }
            let nobody = row.receivers == Some(0);
            return Ok(Op::Load(Load { ask, outcome, nobody, count, lost: row.missing, seqs, pace }));
        }
        let ms = row.ms.ok_or_else(|| missing("ms"))?;
        if !(0.0..=MAX_SECONDS * 1e3).contains(&ms) {
            return Err(self.error(line, format!("ms is {ms}"), "ms is how long the attempt took"));
        }
        let (seq, took, receivers) = (seq?, Span((ms * 1e6).round() as u64), row.receivers);
        Ok(match op {
            "publish" => Op::Publish { seq, outcome, took, receivers },
            "set" => Op::Set { seq, outcome, took, lost: row.lost },
            _ => Op::Get { seq, outcome, took },
        })
    }

    /// What rows of many attempts or receptions have in common.
    fn many(&self, line: usize, op: &str, row: &Row) -> Result<((u32, u32), u32, Pace), Box<LineError>> {
        let missing = |what: &str| self.error(line, format!("`{op}` without `{what}`"), "see the recordings' format");
        let seqs = (row.seq.ok_or_else(|| missing("seq"))?, row.to.ok_or_else(|| missing("to"))?);
        let count = row.count.ok_or_else(|| missing("count"))?;
        if seqs.0 > seqs.1 || count == 0 {
            return Err(self.error(line, "a row of nothing".into(), "`seq` ≤ `to`, and `count` is 1 or more"));
        }
        let ticks = |seconds: Option<f64>| match seconds.unwrap_or(0.0) {
            seconds if (0.0..=MAX_PACE_SECONDS).contains(&seconds) => {
                Ok((seconds * TICKS_A_SECOND as f64).round() as Ticks)
            }
            seconds => Err(self.error(line, format!("{seconds} s is no time within a run"), "seconds after `t`")),
        };
        Ok((seqs, count, Pace { last: ticks(row.last)?, gap: ticks(row.gap)?, gap_end: ticks(row.gap_end)? }))
    }
}

/// Names of all that occurs, for recordings without the table of nodes: Redis nodes, Sentinels, HAProxy, clients; each
/// kind in the order of its numbers. There a program that is no client is what its name begins with.
fn collect_names<'a>(header: &Header, rows: impl Iterator<Item = &'a Row>) -> Names {
    let mut programs: BTreeSet<String> = header.redis.iter().cloned().collect();
    let mut clients = BTreeSet::new();
    programs.extend(header.final_roles.keys().cloned());
    for row in rows {
        let add = |name: &Option<String>, set: &mut BTreeSet<String>| {
            if let Some(name) = name.as_ref().filter(|name| !set.contains(*name)) {
                set.insert(name.clone());
            }
        };
        add(&row.node, &mut programs);
        add(&row.client, &mut clients);
        add(&row.from, &mut clients);
    }
    for FaultMark { fault, .. } in &header.faults {
        let named = fault.node().into_iter().chain(fault.hosts());
        let named = named.filter(|name| kind_by_name(name) != NodeKind::Client && !clients.contains(*name));
        programs.extend(named.map(str::to_owned));
    }
    let mut programs: Vec<String> = programs.into_iter().collect();
    programs.sort_by_key(|name| {
        let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
        (kind_by_name(name), number.unwrap_or(0_u64))
    });
    let mut names = Names::default();
    for name in programs.iter().take(NAMES_MAX + 1) {
        names.add(name, kind_by_name(name), name);
        clients.remove(name);
    }
    names.hosts.push(CLIENTS.into());
    for name in clients.iter().take(NAMES_MAX + 1 - names.nodes.len()) {
        names.add(name, NodeKind::Client, CLIENTS);
    }
    names
}

/// What a program is in a recording that does not say it, by the naming rule of scenario files.
fn kind_by_name(name: &str) -> NodeKind {
    let kinds = [("redis", NodeKind::Redis), ("sentinel", NodeKind::Sentinel), ("haproxy", NodeKind::Haproxy)];
    kinds.into_iter().find(|(prefix, _)| name.starts_with(prefix)).map_or(NodeKind::Client, |(_, kind)| kind)
}

fn write_load(load: &Load, out: &mut String) {
    out.push_str(",\"op\":\"");
    out.push_str(load.ask.many());
    out.push_str("\",\"outcome\":\"");
    out.push_str(load.outcome.as_str());
    out.push('"');
    push_many(load.seqs, load.count, load.pace, out);
    if load.nobody {
        out.push_str(",\"receivers\":0");
    }
    if let Some(lost) = load.lost {
        out.push_str(",\"missing\":");
        push_integer(out, lost as u64);
    }
}

fn push_many((first, last): (u32, u32), count: u32, pace: Pace, out: &mut String) {
    for (word, number) in [(",\"seq\":", first), (",\"to\":", last), (",\"count\":", count)] {
        out.push_str(word);
        push_integer(out, number as u64);
    }
    for (word, ticks) in [(",\"last\":", pace.last), (",\"gap\":", pace.gap), (",\"gap_end\":", pace.gap_end)] {
        out.push_str(word);
        push_fixed(out, ticks as i64, 4);
    }
}

fn push_integer(out: &mut String, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

/// `value` / 10^`decimals` with at least one digit and no idle zeros behind the point, as Python prints a number.
fn push_fixed(out: &mut String, value: i64, decimals: u32) {
    let scale = 10_u64.pow(decimals);
    if value < 0 {
        out.push('-');
    }
    push_integer(out, value.unsigned_abs() / scale);
    out.push('.');
    let (mut rest, mut unit) = (value.unsigned_abs() % scale, scale / 10);
    loop {
        push_integer(out, rest / unit);
        rest %= unit;
        unit /= 10;
        if rest == 0 {
            break;
        }
    }
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c < ' ' => {
                    out.push_str("\\u00");
                    out.push(if c as u32 >= 16 { '1' } else { '0' });
                    out.push(char::from_digit(c as u32 % 16, 16).expect("below 16"));
                }
                c => out.push(c),
            }
        }
    }
    out.push('"');
}
