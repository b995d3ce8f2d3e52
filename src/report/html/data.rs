//! The data that the report's script draws, in columns.

use std::collections::{BTreeMap, BTreeSet};

use plotters::style::RGBColor;
use serde_json::{Value, json};

use crate::analysis::Analysis;
use crate::analysis::ledger::{Cause, Fate};
use crate::kernel::EventId;
use crate::record::{Activity, Event, HaproxyEvent, Op, Outcome, What};
use crate::report::chart::{Look, Theme, blend, palette};
use crate::report::lanes::{Bar, ClientLane, Lanes, Link, Opinion, RedisState, ServerState};
use crate::report::text::{self, named};
use crate::report::timeline::{opinion_color, redis_color, server_color};
use crate::report::words::{opinion_word, redis_word, server_word};
use crate::report::{RunReport, causes, moment};

const FATES: [(Fate, &str); 5] = [
    (Fate::Delivered, "delivered"),
    (Fate::FailedButDelivered, "failed-but-delivered"),
    (Fate::Failed, "failed"),
    (Fate::LostSilently, "lost-silently"),
    (Fate::Undecided, "undecided"),
];

fn pair(color: impl Fn(&Look) -> RGBColor) -> Value {
    let css = |theme| palette::css(color(&Look::of(theme)));
    json!([css(Theme::Light), css(Theme::Dark)])
}

fn bars<S: Copy + PartialEq>(bars: &[Bar<S>], order: &[S]) -> Value {
    let place = |state: S| order.iter().position(|s| *s == state).expect("every state is in the list");
    Value::Array(bars.iter().map(|bar| json!([bar.from_us, bar.to_us, place(bar.state)])).collect())
}

/// A column of numbers: as runs of a value and its count where that is shorter.
pub(in crate::report) fn column(values: Vec<i64>) -> Value {
    let mut runs: Vec<i64> = Vec::new();
    for value in &values {
        match runs.as_mut_slice() {
            [.., last, count] if last == value => *count += 1,
            _ => runs.extend([*value, 1]),
        }
    }
    if runs.len() < values.len() { json!({"r": runs}) } else { json!(values) }
}

/// A column of differences.
fn deltas(values: impl IntoIterator<Item = i64>) -> Value {
    let mut last = 0;
    column(values.into_iter().map(|value| value - std::mem::replace(&mut last, value)).collect())
}

const REDIS: [RedisState; 6] = [
    RedisState::Master,
    RedisState::Replica,
    RedisState::LinkDown,
    RedisState::Loading,
    RedisState::Paused,
    RedisState::Dead,
];
const OPINIONS: [Opinion; 7] =
    [Opinion::Fine, Opinion::Sdown, Opinion::Odown, Opinion::Leads, Opinion::Tilt, Opinion::Paused, Opinion::Dead];
const SERVERS: [ServerState; 4] = [ServerState::Up, ServerState::Down, ServerState::Paused, ServerState::Dead];

/// What the script draws.
pub(super) fn data(run: &RunReport<'_>, lanes: &Lanes) -> Value {
    let analysis = run.analysis;
    let mut rows: Vec<Value> = Vec::new();
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    let mut servers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for lane in &lanes.redis {
        place.insert(&lane.node, rows.len());
        rows.push(json!({"k": "r", "n": lane.node, "node": lane.node, "bars": bars(&lane.bars, &REDIS),
            "follows": lane.follows}));
    }
    for lane in &lanes.sentinels {
        place.insert(&lane.node, rows.len());
        rows.push(json!({"k": "s", "n": lane.node, "node": lane.node, "bars": bars(&lane.bars, &OPINIONS),
            "believes": lane.beliefs, "epochs": lane.epochs}));
    }
    for lane in &lanes.proxies {
        place.entry(&lane.node).or_insert(rows.len());
        servers.insert((&lane.node, &lane.server), rows.len());
        let name = format!("{} → {}", lane.node, lane.server);
        rows.push(json!({"k": "p", "n": name, "node": lane.node, "bars": bars(&lane.bars, &SERVERS)}));
    }
    let outcomes = Outcomes::of(lanes, analysis);
    let messages: BTreeMap<(&str, i64, u32), usize> = analysis
        .ledger
        .messages
        .iter()
        .enumerate()
        .map(|(i, m)| ((m.client.as_str(), m.published_us, m.seq), i))
        .collect();
    for lane in &lanes.clients {
        place.entry(&lane.node).or_insert(rows.len());
        rows.push(client_row(lane, analysis, &messages, &outcomes));
    }
    let chains = Chains::of(run);
    let mut all = json!({
        "begin": lanes.begin_us, "from": lanes.shown_from_us, "end": lanes.end_us,
        "redis": lanes.redis.len(),
        "lanes": rows,
        "states": {
            "r": REDIS.map(|s| json!({"w": redis_word(s), "c": pair(|look| redis_color(s, look))})),
            "s": OPINIONS.map(|s| json!({"w": opinion_word(s), "c": pair(|look| opinion_color(s, look))})),
            "p": SERVERS.map(|s| json!({"w": server_word(s), "c": pair(|look| server_color(s, look))})),
        },
        "faults": lanes.faults.iter().map(|fault| json!({"from": fault.from_us, "to": fault.to_us, "label": fault.label,
            "net": fault.nodes.is_empty(), "groups": moment::groups(&fault.fault)})).collect::<Vec<_>>(),
        "two": analysis.masters.two.iter().map(|two| json!({"from": two.from_us, "to": two.to_us, "nodes": two.nodes}))
            .collect::<Vec<_>>(),
        "log": log_columns(run, &place, &servers, &chains),
        "messages": message_columns(analysis, &outcomes),
        "clients": clients(analysis),
        "outcomes": outcomes.words(),
        "fates": FATES.map(|(_, word)| word),
        "causes_of_loss": Cause::ALL.map(|cause| json!({"w": causes::words(cause),
            "count": analysis.ledger.sums.by_cause.get(cause.as_str()).copied().unwrap_or(0)})),
        "kinds": kinds(),
    });
    if !run.causes.is_empty() {
        all["causes"] = chains.columns();
    }
    if let Some(messages) = moment::messages(run, lanes.shown_from_us) {
        all["flights"] = messages;
    }
    all
}

/// Chains of causes as a forest: links that several lines share stand once.
#[derive(Default)]
struct Chains<'a> {
    /// The place of an event's link.
    place: BTreeMap<u32, usize>,
    links: Vec<&'a crate::report::CausalLink>,
    before: Vec<i64>,
}

/// How many links of a chain are kept beyond the line itself.
const LINKS: usize = 8;

impl<'a> Chains<'a> {
    fn of(run: &RunReport<'a>) -> Chains<'a> {
        let mut chains = Chains::default();
        for chain in run.causes.values() {
            let mut child: Option<usize> = None;
            for link in chain.iter().take(LINKS) {
                let known = chains.place.get(&link.event).copied();
                let place = known.unwrap_or(chains.links.len());
                if let Some(child) = child {
                    chains.before[child] = place as i64;
                }
                if known.is_none() {
                    chains.place.insert(link.event, place);
                    chains.links.push(link);
                    chains.before.push(-1);
                }
                child = Some(place);
            }
        }
        chains
    }

    fn of_event(&self, event: EventId) -> i64 {
        self.place.get(&event.0).map_or(-1, |place| *place as i64)
    }

    fn columns(&self) -> Value {
        json!({
            "t": self.links.iter().map(|link| link.at_us).collect::<Vec<_>>(),
            "who": self.links.iter().map(|link| link.who.as_str()).collect::<Vec<_>>(),
            "text": self.links.iter().map(|link| link.text.as_str()).collect::<Vec<_>>(),
            "before": self.before,
        })
    }
}

/// What can become of an attempt, in the order in which it is stacked: good, failed but delivered, one for each cause,
/// failed write, lost write.
fn kinds() -> Vec<Value> {
    let mut kinds = vec![
        json!({"w": "ok", "c": pair(|look| look.good)}),
        json!({"w": "failed, but delivered", "c": pair(|_| palette::GREEN)}),
    ];
    for cause in Cause::ALL {
        kinds.push(
            json!({"w": format!("lost: {}", causes::words(cause)), "c": pair(|look| look.shade(causes::color(cause)))}),
        );
    }
    kinds.push(json!({"w": "failed", "c": pair(|look| blend(look.ink, look.paper, 0.75))}));
    kinds.push(json!({"w": "acknowledged, then lost", "c": pair(|look| look.shade(causes::LOST_WRITE))}));
    kinds
}

fn clients(analysis: &Analysis) -> Vec<&str> {
    let mut names: Vec<&str> = analysis.ledger.messages.iter().map(|message| message.client.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The words of outcomes that occur, and their numbers.
struct Outcomes(Vec<&'static str>);

impl Outcomes {
    fn of(lanes: &Lanes, analysis: &Analysis) -> Outcomes {
        let attempts = lanes.clients.iter().flat_map(|lane| &lane.attempts).map(|(_, outcome, _)| outcome.as_str());
        let words: BTreeSet<&'static str> =
            attempts.chain(analysis.ledger.messages.iter().map(|message| message.outcome.as_str())).collect();
        Outcomes(words.into_iter().collect())
    }

    fn number(&self, outcome: Outcome) -> usize {
        self.0.binary_search(&outcome.as_str()).expect("every outcome that occurs is in the table")
    }

    fn words(&self) -> &[&'static str] {
        &self.0
    }
}

/// Attempts from time 0 on, as everywhere else they are counted.
fn from_zero(lane: &ClientLane) -> usize {
    lane.attempts.iter().filter(|(at, ..)| *at >= 0).count()
}

fn client_row(
    lane: &ClientLane,
    analysis: &Analysis,
    messages: &BTreeMap<(&str, i64, u32), usize>,
    outcomes: &Outcomes,
) -> Value {
    let causes_at = 2;
    let (failed, lost) = (causes_at + Cause::ALL.len(), causes_at + Cause::ALL.len() + 1);
    let mut kind = Vec::with_capacity(lane.attempts.len());
    let mut message = Vec::new();
    for (at, outcome, seq) in &lane.attempts {
        let index =
            messages.get(&(lane.node.as_str(), *at, *seq)).filter(|_| lane.activity == Activity::Publish).copied();
        kind.push(match index.map(|i| &analysis.ledger.messages[i]) {
            Some(message) => match (message.cause, message.fate) {
                (Some(cause), _) => causes_at + cause as usize,
                (None, Fate::FailedButDelivered) => 1,
                (None, _) => 0,
            },
            None if !outcome.is_acknowledged() => failed,
            None if lane.activity == Activity::Set && analysis.ledger.writes.has_lost(&lane.node, *seq) => lost,
            None => 0,
        });
        message.push(index.map_or(-1, |i| i as i64));
    }
    let mut ops = json!({
        "t": deltas(lane.attempts.iter().map(|(at, ..)| *at)),
        "seq": deltas(lane.attempts.iter().map(|(_, _, seq)| i64::from(*seq))),
        "outcome": column(lane.attempts.iter().map(|(_, outcome, _)| outcomes.number(*outcome) as i64).collect()),
        "kind": column(kind.into_iter().map(|kind| kind as i64).collect()),
    });
    if lane.activity != Activity::Receive {
        ops["took"] = column(lane.took_us.clone());
    }
    if lane.activity == Activity::Publish {
        ops["message"] = deltas(message);
    }
    let outages: Vec<(i64, i64)> = crate::report::timeline::outages(lane, analysis).collect();
    json!({"k": "c", "n": lane.node, "node": lane.node, "sub": format!("{}, n = {}", lane.activity, from_zero(lane)),
        "bars": bars(&lane.bars, &[Link::Open, Link::Closed]), "ops": ops, "outages": outages})
}

fn log_columns(
    run: &RunReport<'_>,
    place: &BTreeMap<&str, usize>,
    servers: &BTreeMap<(&str, &str), usize>,
    chains: &Chains<'_>,
) -> Value {
    let recording = run.recording;
    let ids = text::ids(recording);
    let (mut t, mut lane, mut text, mut during, mut cause) = (vec![], vec![], vec![], vec![], vec![]);
    for record in &recording.records {
        let node = recording.names.node(record.node);
        let (words, server) = match &record.what {
            What::Event(event) if event.is_logged() => {
                let server = match event {
                    Event::Haproxy(HaproxyEvent::Server { server, .. }) => Some(recording.names.host(*server)),
                    _ => None,
                };
                (named(&event.text(&recording.names), &ids), server)
            }
            What::Op(Op::Connect(how)) => (format!("connection: {}", how.as_str()), None),
            _ => continue,
        };
        let found = server.and_then(|server| servers.get(&(node, server))).or_else(|| place.get(node));
        if let Some(row) = found {
            t.push(recording.micros(record.time));
            lane.push(*row);
            text.push(words);
            during.push(record.during.0);
            cause.push(chains.of_event(record.during));
        }
    }
    let mut columns = json!({"t": deltas(t), "lane": lane, "text": text});
    if during.iter().any(|number| *number != 0) {
        columns["during"] = json!(during);
    }
    if !run.causes.is_empty() {
        columns["cause"] = json!(cause);
    }
    columns
}

fn message_columns(analysis: &Analysis, outcomes: &Outcomes) -> Value {
    let all = &analysis.ledger.messages;
    let names = clients(analysis);
    let column = |f: &dyn Fn(&crate::analysis::ledger::Message) -> i64| column(all.iter().map(f).collect());
    let fate = |fate: Fate| FATES.iter().position(|(f, _)| *f == fate).expect("every fate is in the table") as i64;
    let client = |name: &str| names.binary_search(&name).expect("every publisher is in the list") as i64;
    json!({
        "t": deltas(all.iter().map(|m| m.published_us)),
        "seq": deltas(all.iter().map(|m| i64::from(m.seq))),
        "client": column(&|m| client(&m.client)),
        "outcome": column(&|m| outcomes.number(m.outcome) as i64),
        "took": column(&|m| m.took_us),
        "receivers": column(&|m| m.receivers.map_or(-1, i64::from)),
        "count": column(&|m| m.received.len() as i64),
        "after": column(&|m| m.received.first().map_or(0, |(_, at)| at - m.published_us)),
        "fate": column(&|m| fate(m.fate)),
        "cause": column(&|m| m.cause.map_or(-1, |cause| cause as i64)),
    })
}
