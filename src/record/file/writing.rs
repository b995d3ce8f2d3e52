//! Recordings as text: a header, then a row a record.

use std::collections::BTreeSet;

use super::{HeaderRow, NodeRow};
use crate::kernel::Span;
use crate::record::{Event, Fault, FaultMark, Header, Load, Names, Op, Outcome, Pace, Record, Recording, What};
use crate::wire::NodeId;

impl Recording {
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
            Op::Set { seq, outcome, took, waited, lost } => {
                attempt("set", seq, outcome, took, out);
                if waited > Span::ZERO {
                    out.push_str(",\"wait_ms\":");
                    push_fixed(out, ((waited.0 + 500) / 1_000) as i64, 3);
                }
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

/// The word of a fault in a recording: that of a scenario file with underscores.
fn written_word(fault: &Fault) -> String {
    match fault {
        Fault::Other { action, .. } => action.clone(),
        known => known.word().replace('-', "_"),
    }
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
