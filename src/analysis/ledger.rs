//! What became of every message and every write.
//!
//! Every message that was published is delivered (to at least one subscriber), lost, or undecided because the
//! recording ended while it was on its way; the sums are asserted. A lost message has one cause, as far as a recording
//! tells: what the publisher saw, what the subscribers' connections did, who acted as master and where HAProxy sent
//! sessions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::masters::Masters;
use crate::record::{ConnectEnd, Op, Outcome, Recording, What};
use crate::wire::NodeId;

/// A message that was acknowledged this shortly before the end of the recording and not received is undecided.
const UNDECIDED_US: i64 = 1_000_000;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The publisher was told that it succeeded, and a subscriber has it.
    Delivered,
    /// The publisher was told that it failed, and a subscriber has it all the same.
    FailedButDelivered,
    /// The publisher was told that it failed, and no subscriber has it.
    Failed,
    /// The publisher was told that it succeeded, and no subscriber has it.
    LostSilently,
    /// On its way when the recording ended.
    Undecided,
}

/// Why a message was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// HAProxy accepted the connection and closed it: it had no server.
    RefusedNoServer,
    /// HAProxy was not running, or its host was gone.
    ProxyDown,
    /// The connection was refused.
    ConnectionRefused,
    /// The connection did not open: no answer or no route.
    ConnectTimeout,
    /// The connection ended before the reply.
    ConnectionCut,
    /// No reply in time.
    ReplyTimeout,
    /// The client library had no free connection.
    PoolTimeout,
    /// No Sentinel named a master.
    NoMaster,
    /// The server answered with an error.
    ErrorReply,
    /// Accepted by a node that is not a master, to which no subscriber listens.
    AcceptedByReplica,
    /// Accepted; the subscriber was still connected to another server.
    SubscriberPinnedToOldMaster,
    /// Accepted; the subscriber was between two connections.
    SubscriberReconnecting,
    /// Accepted; nobody was subscribed.
    AcceptedButNobodySubscribed,
    /// Accepted and sent on; the subscriber's connection ended before it arrived.
    CutInDelivery,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 14] = [
        Cause::RefusedNoServer,
        Cause::ProxyDown,
        Cause::ConnectionRefused,
        Cause::ConnectTimeout,
        Cause::ConnectionCut,
        Cause::ReplyTimeout,
        Cause::PoolTimeout,
        Cause::NoMaster,
        Cause::ErrorReply,
        Cause::AcceptedByReplica,
        Cause::SubscriberPinnedToOldMaster,
        Cause::SubscriberReconnecting,
        Cause::AcceptedButNobodySubscribed,
        Cause::CutInDelivery,
    ];

    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::RefusedNoServer => "refused-no-server",
            Cause::ProxyDown => "proxy-down",
            Cause::ConnectionRefused => "connection-refused",
            Cause::ConnectTimeout => "connect-timeout",
            Cause::ConnectionCut => "connection-cut",
            Cause::ReplyTimeout => "reply-timeout",
            Cause::PoolTimeout => "pool-timeout",
            Cause::NoMaster => "no-master",
            Cause::ErrorReply => "error-reply",
            Cause::AcceptedByReplica => "accepted-by-replica",
            Cause::SubscriberPinnedToOldMaster => "subscriber-pinned-to-old-master",
            Cause::SubscriberReconnecting => "subscriber-reconnecting",
            Cause::AcceptedButNobodySubscribed => "accepted-but-nobody-subscribed",
            Cause::CutInDelivery => "cut-in-delivery",
        }
    }
}

/// A message's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who published it.
    pub client: String,
    /// SEQ.
    pub seq: u32,
    /// When the attempt began.
    pub published_us: i64,
    /// How it ended for the publisher.
    pub outcome: &'static str,
    /// How long the attempt took.
    pub took_us: i64,
    /// The integer reply.
    pub receivers: Option<u32>,
    /// Who received it and when, in order of time; twice if it came twice.
    pub received: Vec<(String, i64)>,
    /// What became of it.
    pub fate: Fate,
    /// Why it was lost, if it was.
    pub cause: Option<Cause>,
}

/// Sums over all messages that were published from time 0 on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MessageSums {
    /// Attempts to publish.
    pub published: u64,
    /// Messages that a subscriber has: those acknowledged and those whose publisher was told that they failed.
    pub delivered: u64,
    /// Messages that no subscriber has.
    pub lost: u64,
    /// Messages on their way when the recording ended.
    pub undecided: u64,
    /// Lost without an error.
    pub lost_silently: u64,
    /// Delivered in spite of an error.
    pub failed_but_delivered: u64,
    /// Receptions beyond the first of a message by a subscriber.
    pub duplicates: u64,
    /// Receptions of messages whose publishing is not in the recording.
    pub unmatched: u64,
    /// Attempts by outcome.
    pub by_outcome: BTreeMap<&'static str, u64>,
    /// Lost messages by cause.
    pub by_cause: BTreeMap<&'static str, u64>,
    /// Published messages that a subscriber does not have, by subscriber.
    pub missed_by: BTreeMap<String, u64>,
}

/// Sums over all writes from time 0 on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WriteSums {
    /// Attempts to SET.
    pub attempts: u64,
    /// Acknowledged ones.
    pub acknowledged: u64,
    /// Failed ones by outcome.
    pub failed: BTreeMap<&'static str, u64>,
    /// Acknowledged ones that the final master does not hold; unknown if there is no master.
    pub lost: Option<u64>,
    /// Their keys, if they are known.
    pub lost_keys: Vec<u32>,
}

/// The ledger of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Every message, in order of publishing.
    #[serde(skip)]
    pub messages: Vec<Message>,
    /// Sums of messages.
    pub sums: MessageSums,
    /// Sums of writes.
    pub writes: WriteSums,
}

/// Connections of one client, as it reports them.
#[derive(Default)]
struct Connections {
    changes: Vec<(i64, ConnectEnd)>,
    receptions: Vec<i64>,
}

impl Connections {
    /// The last report at or before an instant.
    fn last(&self, at: i64) -> Option<(i64, ConnectEnd)> {
        let upto = self.changes.partition_point(|(t, _)| *t <= at);
        upto.checked_sub(1).map(|i| self.changes[i])
    }

    /// When the last connection at or before an instant opened.
    fn opened(&self, at: i64) -> Option<i64> {
        let upto = self.changes.partition_point(|(t, _)| *t <= at);
        self.changes[..upto].iter().rev().find(|(_, end)| *end == ConnectEnd::Open).map(|(t, _)| *t)
    }

    fn last_reception(&self, at: i64) -> Option<i64> {
        self.receptions[..self.receptions.partition_point(|t| *t <= at)].last().copied()
    }
}

struct Accountant<'a> {
    recording: &'a Recording,
    masters: &'a Masters,
    end: i64,
    publishers: BTreeMap<NodeId, Connections>,
    subscribers: BTreeMap<NodeId, Connections>,
}

/// Draws up the ledger. `lost_writes` are the keys of acknowledged writes that the final master does not hold, where
/// the caller knows them; otherwise the header says how many there are.
///
/// # Panics
/// If the sums do not add up.
pub fn ledger(recording: &Recording, masters: &Masters, lost_writes: Option<&[u32]>) -> Ledger {
    let mut accountant = Accountant {
        recording,
        masters,
        end: super::end_us(recording),
        publishers: recording.publishers().into_iter().map(|node| (node, Connections::default())).collect(),
        subscribers: BTreeMap::new(),
    };
    let mut ledger = Ledger::default();
    ledger.writes.lost = lost_writes.map(|keys| keys.len() as u64).or(recording.header.lost_acked_sets);
    ledger.writes.lost_keys = lost_writes.map(<[u32]>::to_vec).unwrap_or_default();
    let mut index: BTreeMap<(NodeId, u32), Vec<usize>> = BTreeMap::new();
    let mut nodes = Vec::new();
    for record in &recording.records {
        let at = recording.micros(record.time);
        match record.what {
            What::Op(Op::Publish { seq, outcome, took, receivers }) => {
                index.entry((record.node, seq)).or_default().push(ledger.messages.len());
                nodes.push((record.node, outcome));
                ledger.messages.push(Message {
                    client: recording.names.node(record.node).to_string(),
                    seq,
                    published_us: at,
                    outcome: outcome.as_str(),
                    took_us: ((took.0 + 500) / 1_000) as i64,
                    receivers,
                    received: Vec::new(),
                    fate: Fate::Undecided,
                    cause: None,
                });
            }
            What::Op(Op::Set { outcome, .. }) if at >= 0 => {
                ledger.writes.attempts += 1;
                if outcome == Outcome::Ok {
                    ledger.writes.acknowledged += 1;
                } else {
                    *ledger.writes.failed.entry(outcome.as_str()).or_default() += 1;
                }
            }
            What::Op(Op::Receive { .. }) => {
                accountant.subscribers.entry(record.node).or_default().receptions.push(at);
            }
            What::Op(Op::Connect(end)) => match accountant.publishers.get_mut(&record.node) {
                Some(connections) => connections.changes.push((at, end)),
                // A writer's connections stand among the subscribers' until it is known that it never receives.
                None => accountant.subscribers.entry(record.node).or_default().changes.push((at, end)),
            },
            _ => {}
        }
    }
    let writers: Vec<NodeId> = accountant.subscribers.keys().copied().filter(|node| writes(recording, *node)).collect();
    for node in writers {
        accountant.subscribers.remove(&node);
    }
    match_receptions(recording, &index, &mut ledger);
    for (message, (node, outcome)) in ledger.messages.iter_mut().zip(nodes) {
        (message.fate, message.cause) = accountant.judge(message, node, outcome);
    }
    sum_up(&mut ledger, &accountant);
    ledger
}

fn writes(recording: &Recording, node: NodeId) -> bool {
    recording
        .records
        .iter()
        .any(|record| record.node == node && matches!(record.what, What::Op(Op::Set { .. } | Op::Get { .. })))
}

fn match_receptions(recording: &Recording, index: &BTreeMap<(NodeId, u32), Vec<usize>>, ledger: &mut Ledger) {
    for record in &recording.records {
        let What::Op(Op::Receive { publisher, seq }) = record.what else { continue };
        let at = recording.micros(record.time);
        let candidates = recording.client(publisher).and_then(|node| index.get(&(node, seq)));
        // A publisher that was started again counts from one again: the last one that was published by then.
        let found = candidates.and_then(|candidates| {
            let before = candidates.iter().rev().find(|i| ledger.messages[**i].published_us <= at);
            before.or(candidates.first()).copied()
        });
        match found {
            Some(i) => {
                let subscriber = recording.names.node(record.node).to_string();
                let received = &mut ledger.messages[i].received;
                ledger.sums.duplicates += u64::from(received.iter().any(|(name, _)| *name == subscriber));
                received.push((subscriber, at));
            }
            None => ledger.sums.unmatched += 1,
        }
    }
}

fn sum_up(ledger: &mut Ledger, accountant: &Accountant<'_>) {
    let sums = &mut ledger.sums;
    for node in accountant.subscribers.keys() {
        sums.missed_by.insert(accountant.recording.names.node(*node).to_string(), 0);
    }
    for message in ledger.messages.iter().filter(|message| message.published_us >= 0) {
        sums.published += 1;
        *sums.by_outcome.entry(message.outcome).or_default() += 1;
        match message.fate {
            Fate::Delivered => sums.delivered += 1,
            Fate::FailedButDelivered => {
                sums.delivered += 1;
                sums.failed_but_delivered += 1;
            }
            Fate::Failed => sums.lost += 1,
            Fate::LostSilently => {
                sums.lost += 1;
                sums.lost_silently += 1;
            }
            Fate::Undecided => sums.undecided += 1,
        }
        if let Some(cause) = message.cause {
            *sums.by_cause.entry(cause.as_str()).or_default() += 1;
        }
        for (subscriber, missed) in &mut sums.missed_by {
            *missed += u64::from(!message.received.iter().any(|(name, _)| name == subscriber));
        }
    }
    assert_eq!(sums.published, sums.delivered + sums.lost + sums.undecided, "every message has one fate");
    assert_eq!(sums.lost, sums.by_cause.values().sum::<u64>(), "every lost message has one cause");
}

impl Accountant<'_> {
    fn judge(&self, message: &Message, publisher: NodeId, outcome: Outcome) -> (Fate, Option<Cause>) {
        match (outcome == Outcome::Ok, message.received.is_empty()) {
            (true, false) => (Fate::Delivered, None),
            (false, false) => (Fate::FailedButDelivered, None),
            (false, true) => (Fate::Failed, Some(self.why_failed(message, outcome))),
            (true, true) if message.receivers != Some(0) && message.published_us > self.end - UNDECIDED_US => {
                (Fate::Undecided, None)
            }
            (true, true) => (Fate::LostSilently, Some(self.why_unheard(message, publisher))),
        }
    }

    fn why_failed(&self, message: &Message, outcome: Outcome) -> Cause {
        let instants = [message.published_us, message.published_us + message.took_us];
        let routes = instants.map(|at| self.masters.route(at));
        let stopped = routes.iter().flatten().any(|route| !route.running);
        let no_server = routes.iter().flatten().any(|route| route.server.is_none());
        match outcome {
            Outcome::Ok => unreachable!("only failed attempts are judged here"),
            Outcome::Readonly
            | Outcome::Loading
            | Outcome::NoReplicas
            | Outcome::MasterDown
            | Outcome::Misconf
            | Outcome::Err => Cause::ErrorReply,
            Outcome::NoMaster => Cause::NoMaster,
            _ if stopped => Cause::ProxyDown,
            Outcome::ReplyClosed | Outcome::ConnectClosed if no_server => Cause::RefusedNoServer,
            Outcome::ReplyClosed | Outcome::ConnectClosed => Cause::ConnectionCut,
            Outcome::ConnectRefused => Cause::ConnectionRefused,
            Outcome::ConnectTimeout | Outcome::ConnectUnreachable => Cause::ConnectTimeout,
            Outcome::ReplyTimeout => Cause::ReplyTimeout,
            Outcome::PoolTimeout => Cause::PoolTimeout,
        }
    }

    fn server(&self, at: i64) -> Option<&str> {
        self.masters.route(at)?.server.as_deref()
    }

    fn why_unheard(&self, message: &Message, publisher: NodeId) -> Cause {
        if message.receivers.is_some_and(|receivers| receivers > 0) {
            return Cause::CutInDelivery;
        }
        let at = message.published_us;
        let answered = at + message.took_us;
        // A session stays with the server that HAProxy chose when it began. A library that does not report its
        // connections may have tried several times: the last one was answered.
        let server = self.server(self.publishers[&publisher].opened(answered).unwrap_or(answered));
        if server.is_some_and(|server| !self.masters.acts(server, answered)) {
            return Cause::AcceptedByReplica;
        }
        let elsewhere = |since: i64| server.is_some() && self.server(since).is_some_and(|other| Some(other) != server);
        let mut cause = Cause::AcceptedButNobodySubscribed;
        for subscriber in self.subscribers.values() {
            // A client library that does not report its connections: it was where it last received something.
            let (connected, since) = match subscriber.last(at) {
                Some((since, end)) => (end == ConnectEnd::Open, Some(since)),
                None if subscriber.changes.is_empty() => (false, subscriber.last_reception(at)),
                None => (false, None),
            };
            let silent = subscriber.changes.is_empty();
            if (connected || silent) && since.is_some_and(elsewhere) {
                return Cause::SubscriberPinnedToOldMaster;
            }
            if !connected {
                cause = Cause::SubscriberReconnecting;
            }
        }
        cause
    }
}

impl Ledger {
    /// One line a message: `client,seq,published_at_s,outcome,took_ms,receivers,received_by,received_at_s,fate,cause`;
    /// several receptions are separated by semicolons.
    pub fn write_csv(&self) -> String {
        let mut out = String::with_capacity(80 * (self.messages.len() + 1));
        out.push_str("client,seq,published_at_s,outcome,took_ms,receivers,received_by,received_at_s,fate,cause\n");
        for message in &self.messages {
            let by: Vec<&str> = message.received.iter().map(|(name, _)| name.as_str()).collect();
            let at: Vec<String> = message.received.iter().map(|(_, at)| fixed(*at, 1_000_000)).collect();
            let receivers = message.receivers.map(|n| n.to_string()).unwrap_or_default();
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{}",
                quoted(&message.client),
                message.seq,
                fixed(message.published_us, 1_000_000),
                message.outcome,
                fixed(message.took_us, 1_000),
                receivers,
                quoted(&by.join(";")),
                at.join(";"),
                message.fate.as_str(),
                message.cause.map_or("", Cause::as_str),
            );
        }
        out
    }
}

impl Fate {
    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::FailedButDelivered => "failed-but-delivered",
            Fate::Failed => "failed",
            Fate::LostSilently => "lost-silently",
            Fate::Undecided => "undecided",
        }
    }
}

/// Microseconds in a larger unit, with all decimals.
fn fixed(micros: i64, unit: u64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let width = unit.ilog10() as usize;
    format!("{sign}{}.{:0width$}", micros / unit, micros % unit)
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}
