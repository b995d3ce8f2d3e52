//! The lines of a recording as they are compared.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::How;
use crate::kernel::Span;
use crate::record::{Op, Outcome, Recording, What};

/// What of a line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// Every character.
    Verbatim,
    /// What was said, without what no two runs share: identities (a Sentinel's is replaced by its name), process
    /// numbers, offsets and sizes (numbers of three digits and more that are no port), durations. Of a client's attempts
    /// only changes of the outcome count.
    Story,
}

/// A line of a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// When; of a client's attempt, when it was over.
    pub at_us: i64,
    /// Whose.
    pub node: String,
    /// What it says.
    pub text: String,
    /// What of it is compared.
    #[serde(skip)]
    pub(super) compared: String,
    /// How many lines of its node come before it.
    #[serde(skip)]
    pub(super) place: usize,
}

/// The lines of a recording, node by node.
pub(super) struct Lines {
    pub(super) by_node: BTreeMap<String, Vec<Line>>,
    /// Node and place of every line, in the order of time.
    order: Vec<(String, usize)>,
}

impl Lines {
    pub(super) fn of(recording: &Recording, how: How) -> Lines {
        let publishers = recording.publishers();
        let mut lines = Vec::new();
        for record in &recording.records {
            let (at_us, text, is_attempt) = match &record.what {
                What::Event(event) if event.is_logged() => {
                    (recording.micros(record.time), event.text(&recording.names), false)
                }
                What::Event(_) => continue,
                What::Op(op) => (recording.micros(record.time) + took_us(op), words(op, how.reading), true),
            };
            if how.from_us.is_some_and(|from_us| at_us < from_us) {
                continue;
            }
            let node = recording.written_name(record, &publishers);
            lines.push((at_us, node, text, is_attempt));
        }
        // What clients say is known when it is over, and was written when it began.
        lines.sort_by_key(|(at_us, ..)| *at_us);
        let sentinels = sentinels(recording);
        let mut by_node: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        let mut order = Vec::new();
        for (at_us, node, text, is_attempt) in lines {
            let of_node = by_node.entry(node.to_owned()).or_default();
            let compared = match how.reading {
                Reading::Verbatim => text.clone(),
                Reading::Story => story(&text, &sentinels),
            };
            let again = of_node.last().is_some_and(|last| last.compared == compared);
            if how.reading == Reading::Story && is_attempt && again {
                continue;
            }
            let place = of_node.len();
            order.push((node.to_owned(), place));
            of_node.push(Line { at_us, node: node.to_owned(), text, compared, place });
        }
        Lines { by_node, order }
    }

    pub(super) fn of_node(&self, name: &str) -> &[Line] {
        self.by_node.get(name).map_or(&[], Vec::as_slice)
    }

    /// All lines in the order of time.
    pub(super) fn all(&self) -> impl Iterator<Item = &Line> {
        self.order.iter().map(|(node, place)| &self.by_node[node][*place])
    }
}

/// How long an attempt took, as a recording writes it.
fn took_us(op: &Op) -> i64 {
    match *op {
        Op::Publish { took, .. } | Op::Set { took, .. } | Op::Get { took, .. } => written_us(took),
        Op::Receive { .. } | Op::Connect(_) | Op::Load(_) | Op::Heard(_) => 0,
    }
}

fn written_us(took: Span) -> i64 {
    ((took.0 + 500) / 1_000) as i64
}

fn words(op: &Op, reading: Reading) -> String {
    let attempt = |word: &str, seq: u32, outcome: Outcome, took: Span| match reading {
        Reading::Verbatim => format!("{word} {seq}: {} in {:.3} ms", outcome.as_str(), written_us(took) as f64 / 1e3),
        Reading::Story => format!("{word}: {}", outcome.as_str()),
    };
    match *op {
        Op::Publish { seq, outcome, took, receivers } => {
            let mut text = attempt("publish", seq, outcome, took);
            if let Some(receivers) = receivers {
                text.push_str(&format!(", {receivers} receivers"));
            }
            text
        }
        Op::Set { seq, outcome, took, .. } => attempt("set", seq, outcome, took),
        Op::Get { seq, outcome, took } => attempt("get", seq, outcome, took),
        Op::Receive { publisher, seq } if reading == Reading::Verbatim => {
            format!("receive {seq} of publisher {publisher}")
        }
        Op::Receive { .. } => "receive".into(),
        Op::Connect(end) => format!("connection: {}", end.as_str()),
        Op::Load(load) => format!("{}: {} × {}", load.ask.many(), load.count, load.outcome.as_str()),
        Op::Heard(heard) => format!("receives: {} of publisher {}", heard.count, heard.publisher),
    }
}

/// The names of the Sentinels by their identities, as they print them when they start.
fn sentinels(recording: &Recording) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for record in &recording.records {
        if let What::Event(event) = &record.what
            && let Some(id) = event.text(&recording.names).strip_prefix("Sentinel ID is ")
        {
            names.insert(id.to_owned(), recording.names.node(record.node).to_owned());
        }
    }
    names
}

/// A line without what no two runs share.
fn story(text: &str, sentinels: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (between, from) = rest.split_at(start);
        out.push_str(between);
        let end = from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        out.push_str(&story_word(word, after, sentinels));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn story_word<'a>(word: &'a str, after: &str, sentinels: &'a BTreeMap<String, String>) -> Cow<'a, str> {
    const PORTS: [&str; 2] = ["6379", "26379"];
    if word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
        return sentinels.get(word).map_or(Cow::Borrowed("ID"), |name| Cow::Borrowed(name.as_str()));
    }
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let unit = [" MB", " Mb", " seconds", " bytes"].iter().any(|unit| after.starts_with(unit));
    match &word[digits..] {
        "ms" if digits > 0 => "Nms".into(),
        "" if PORTS.contains(&word) => word.into(),
        "" if digits > 2 || digits > 0 && unit => "N".into(),
        _ => word.into(),
    }
}
