//! Recordings from text, line by line; what cannot be understood is named with its line.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CLIENTS, HeaderRow, LineError, MAX_PACE_SECONDS, MAX_SECONDS, NAME_MAX, NAMES_MAX, NodeRow, Row, TICKS_A_SECOND,
    cleaned,
};
use crate::excerpt::Excerpt;
use crate::kernel::{EventId, Span, Time};
use crate::limits;
use crate::record::names::is_master_name;
use crate::record::visible::visible;
use crate::record::{
    Ask, ConnectEnd, Event, Fault, FaultMark, Header, Heard, Load, Names, NodeKind, Op, Outcome, Pace, Record,
    Recording, ReplyMark, Source, Ticks, What,
};
use crate::release::Dialect;
use crate::wire::NodeId;

/// So many characters of a wrong line are shown.
const SHOWN: usize = 300;

impl Recording {
    /// Reads a recording's text; `file` is its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Recording, Box<LineError>> {
        let reader = Reader { file, text };
        let mut lines = reader.lines();
        let (number, first) = lines.next().ok_or_else(|| {
            reader.error(1, "the file is empty".into(), "the first line of a recording is its header")
        })?;
        let (header, table, master) = reader.header(number, first)?;
        let rows = reader.rows(lines)?;
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
        let records = reader.records(rows, &mut names, origin)?;
        Ok(Recording { header, names, origin, records })
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
        let at = line - 1..line - 1 + shown.len();
        let code = Excerpt::new(visible(self.file), "\n".repeat(line - 1) + &shown);
        let message = visible(&message).into_owned();
        Box::new(LineError { file: visible(self.file).into(), line, message, help, code, at })
    }

    fn json(&self, line: usize, error: &serde_json::Error) -> Box<LineError> {
        self.error(line, error.to_string(), "every line of a recording is one JSON object")
    }

    /// The rows behind the header.
    fn rows(&self, lines: impl Iterator<Item = (usize, &'a str)>) -> Result<Vec<(usize, Row)>, Box<LineError>> {
        let mut rows = Vec::new();
        for (number, line) in lines {
            let row: Row = serde_json::from_str(line).map_err(|error| self.json(number, &error))?;
            if row.t.is_nan() || row.t.abs() > MAX_SECONDS {
                return Err(self.error(number, format!("t is {}", row.t), "t is in seconds after time 0"));
            }
            let row = row.cleaned();
            let names = [&row.node, &row.client, &row.from];
            if names.into_iter().flatten().any(|name| name.len() > NAME_MAX) {
                return Err(self.error(number, "a name is too long".into(), "names have 255 bytes at most"));
            }
            rows.push((number, row));
        }
        Ok(rows)
    }

    /// What the rows say, in order of time. Identities that they name are learned.
    fn records(&self, rows: Vec<(usize, Row)>, names: &mut Names, origin: Time) -> Result<Vec<Record>, Box<LineError>> {
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
                    let (event, dialect) = Event::parse(names.kind(nodes[node]), event, names, *usual);
                    *usual = dialect;
                    (node, What::Event(event))
                }
                (None, None, Some(client), Some(op)) => {
                    let from = row.from.as_deref().map_or(publisher, place);
                    let op = self.op(number, op, &row, from)?;
                    (client, What::Op(op))
                }
                _ => {
                    return Err(self.error(
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
        Ok(records)
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
                    let fault = Fault::read(action, args).map_err(|help| {
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
        let wait_ms = row.wait_ms.unwrap_or(0.0);
        if !(0.0..=ms).contains(&wait_ms) {
            let help = "its WAIT is a part of the attempt";
            return Err(self.error(line, format!("wait_ms is {wait_ms}, and ms {ms}"), help));
        }
        let [took, waited] = [ms, wait_ms].map(|ms| Span((ms * 1e6).round() as u64));
        let (seq, receivers) = (seq?, row.receivers);
        Ok(match op {
            "publish" => Op::Publish { seq, outcome, took, receivers },
            "set" => Op::Set { seq, outcome, took, waited, lost: row.lost },
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
            seconds => Err(self.error(line, format!("{seconds} s is not a time within a run"), "seconds after `t`")),
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

/// The name in a Sentinel's line that it monitors a master.
fn monitored(event: &str) -> Option<&str> {
    let (name, _) = event.strip_prefix("+monitor master ")?.split_once(' ')?;
    is_master_name(name).then_some(name)
}
