//! From what the programs left behind to a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::backend::epoch_micros;
use super::client::Line;
use super::script::Played;
use super::stack::{ANSWER_LIMIT, Stack};
use super::{Error, Interrupt};
use crate::kernel::{EventId, Span, Time};
use crate::logs::line as logs;
use crate::record::{ConnectEnd, Event, Header, Op, Outcome, Record, Recording, Source, What};
use crate::reference::ask::Value;
use crate::release::Dialect;
use crate::scenario::Seat;
use crate::wire::NodeId;

/// Where time 0 lies in a recording's own time: later than everything before it.
const ORIGIN: Time = Time(1_000_000_000_000);
/// The servers of the shared recordings were watched this long after the end of a run.
const AFTERGLOW: Duration = Duration::from_millis(3_200);
/// Keys that are asked for at once.
const AT_ONCE: usize = 1_000;

/// The recording of a script that has been played. The clients end here, everything else a little later.
#[allow(clippy::too_many_lines, reason = "one literal of many fields, and what they are made of")]
pub(super) fn recording(stack: &mut Stack, played: Played, interrupt: &Interrupt) -> Result<Recording, Error> {
    stack.expect_clients_alive()?;
    for node in stack.layout.all_clients().collect::<Vec<_>>() {
        stack.kill(node);
    }
    interrupt.wait(AFTERGLOW)?;
    let last = epoch_micros(SystemTime::now());
    // Who stands still cannot answer; the run is over.
    for node in stack.layout.all_redis().collect::<Vec<_>>() {
        stack.resume(node);
    }
    let final_roles: BTreeMap<String, String> = stack
        .layout
        .all_redis()
        .map(|node| (stack.name(node).to_string(), stack.role(node).unwrap_or_else(|| "down".into())))
        .collect();
    let final_master = stack.named_master().filter(|&node| final_roles[stack.name(node)] == "master");
    let mut names = stack.layout.names.clone();
    let mut records = Vec::new();
    let mut dialects: BTreeMap<NodeId, Dialect> = BTreeMap::new();
    let mut add = |node: NodeId, at: i64, dialect: Dialect, what: What| {
        if at <= last {
            let time = Time((ORIGIN.0 as i64 + (at - played.origin) * 1_000) as u64);
            records.push(Record { time, node, during: EventId::default(), dialect, what });
        }
    };
    for (node, at, text) in lines_of_programs(stack)? {
        names.learn_ids(&text);
        let usual = dialects.entry(node).or_default();
        let (event, dialect) = Event::parse(names.kind(node), &text, &names, *usual);
        *usual = dialect;
        add(node, at, dialect, What::Event(event));
    }
    let (mut acknowledged, mut over) = (Vec::new(), 0_u64);
    for node in stack.layout.all_clients().collect::<Vec<_>>() {
        let Seat::Client(place) = stack.layout.seats[node.0 as usize] else { continue };
        for line in lines_of_client(stack, node)? {
            let op = op(stack, place, &line)?;
            if let Op::Set { seq, outcome, took, waited, .. } = op
                && outcome.is_acknowledged()
            {
                // Whether the master ever had a key that is over by now nobody can be asked.
                let end = stack.scenario.clients[place].px.map(|px| line.at + ((took - waited + px).0 / 1_000) as i64);
                match end.is_some_and(|end| end <= last + ASKING) {
                    true => over += 1,
                    false => acknowledged.push(format!("{}{seq}", stack.keys(place))),
                }
            }
            add(node, line.at, Dialect::default(), What::Op(op));
        }
    }
    records.sort_by_key(|record| record.time);
    let lost = match final_master {
        Some(master) => Some(lost(stack, master, acknowledged)?),
        None => None,
    };
    let lost_acked_sets = lost.map(|lost| mark_lost(stack, &lost, &mut records)).filter(|_| over == 0);
    for node in (0..stack.layout.nodes()).map(|node| NodeId(node as u16)) {
        if let Some(program) = stack.programs.first_of(node) {
            names.nodes[node.0 as usize].release = Some(program.version.clone());
        }
    }
    let header = Header {
        scenario: stack.scenario.name.clone(),
        source: Source::Real,
        run: played.run,
        config: serde_json::json!({}),
        faults: played.marks,
        replies: played.replies,
        end_s: (played.end - played.origin) as f64 / 1e6,
        redis: stack.layout.all_redis().map(|node| stack.name(node).to_string()).collect(),
        final_master: final_master.map(|node| stack.name(node).to_string()),
        final_roles,
        lost_acked_sets,
        clients: stack.scenario.clients.iter().map(|client| client.mark()).collect(),
    };
    Ok(Recording { header, names, origin: ORIGIN, records })
}

/// The log lines of all servers, addresses replaced by names.
fn lines_of_programs(stack: &Stack) -> Result<Vec<(NodeId, i64, String)>, Error> {
    let mut lines = Vec::new();
    for node in stack.layout.all_redis().chain(stack.layout.all_sentinels()) {
        let path = stack.log(node);
        let log = std::fs::read(&path).map_err(Error::io(path.display()))?;
        for (at, text) in String::from_utf8_lossy(&log).lines().filter_map(logs::redis_line) {
            lines.push((node, at, logs::clean(text, |addr| stack.name_of(addr))));
        }
    }
    if let Some(node) = stack.layout.haproxy() {
        let own = stack.lines.lock().expect("nothing panics while it holds the lines");
        for (at, text) in own.iter().filter(|(_, text)| logs::is_server_state(text)) {
            lines.push((node, *at, logs::clean(text, |addr| stack.name_of(addr))));
        }
    }
    Ok(lines)
}

fn lines_of_client(stack: &Stack, node: NodeId) -> Result<Vec<Line>, Error> {
    let path = stack.log(node);
    let text = std::fs::read_to_string(&path).map_err(Error::io(path.display()))?;
    // A client that is killed may leave half a line at the end.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn op(stack: &Stack, place: usize, line: &Line) -> Result<Op, Error> {
    let strange = || Error::Failed(format!("a client wrote {line:?}"));
    let word = || line.outcome.as_deref().ok_or_else(strange);
    if line.op == "connect" {
        return Ok(Op::Connect(ConnectEnd::parse(word()?).ok_or_else(strange)?));
    }
    let seq = line.seq.ok_or_else(strange)?;
    if line.op == "receive" {
        let clients = &stack.scenario.clients;
        let publishes = |client: &crate::client::Config| {
            client.kind == crate::client::Kind::Publish && client.channel == clients[place].channel
        };
        let from = match &line.from {
            Some(name) => clients.iter().position(|client| client.name == *name),
            None => clients.iter().position(publishes),
        };
        return Ok(Op::Receive { publisher: from.unwrap_or(place) as u16, seq });
    }
    let outcome = Outcome::parse(word()?).unwrap_or(Outcome::Err);
    let took = Span::from_micros(line.us.ok_or_else(strange)?);
    let waited = Span::from_micros(line.wait_us.unwrap_or(0)).min(took);
    Ok(match line.op.as_str() {
        "publish" => Op::Publish { seq, outcome, took, receivers: line.receivers },
        "set" => Op::Set { seq, outcome, took, waited, lost: false },
        "get" => Op::Get { seq, outcome, took },
        _ => return Err(strange()),
    })
}

/// Asking for all keys takes less, in microseconds: a key that ends meanwhile says nothing.
const ASKING: i64 = 30_000_000;

/// Marks the acknowledged SETs of lost keys, and answers how many they are.
fn mark_lost(stack: &Stack, keys: &BTreeSet<String>, records: &mut [Record]) -> u64 {
    let mut marked = 0;
    for record in records {
        if let What::Op(Op::Set { seq, outcome, lost, .. }) = &mut record.what
            && outcome.is_acknowledged()
            && let Seat::Client(place) = stack.layout.seats[record.node.0 as usize]
            && keys.contains(&format!("{}{seq}", stack.keys(place)))
        {
            *lost = true;
            marked += 1;
        }
    }
    marked
}

/// The keys that a node does not hold.
fn lost(stack: &Stack, master: NodeId, keys: Vec<String>) -> Result<BTreeSet<String>, Error> {
    let mut lost = BTreeSet::new();
    for keys in keys.chunks(AT_ONCE) {
        let commands: Vec<Vec<String>> = keys.iter().map(|key| vec!["EXISTS".into(), key.clone()]).collect();
        let replies = stack.ask_all(master, ANSWER_LIMIT * 5, &commands)?;
        let gone = keys.iter().zip(&replies).filter(|(_, reply)| **reply == Value::Int(0));
        lost.extend(gone.map(|(key, _)| key.clone()));
    }
    Ok(lost)
}
