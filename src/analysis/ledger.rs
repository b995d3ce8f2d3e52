//! What became of every message and every write.
//!
//! Every message that was published is delivered (to at least one subscriber), lost, or undecided because the
//! recording ended while it was on its way; the sums are asserted. A lost message has one cause, as far as a recording
//! tells: what the publisher saw, what the subscribers' connections did, who acted as master and where HAProxy sent
//! sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::endings::{Ending, Endings};
use super::masters::Masters;
use super::writes::{Write, WriteFate, writes};
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
    /// HAProxy closed the connection because nothing came for as long as its `timeout client`, `timeout server` or
    /// `timeout tunnel`: the publisher's before its reply, or the subscriber's, which was not back yet.
    ProxyIdleTimeout,
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
    /// Accepted; the server had closed the subscriber's connection because too much was waiting to be sent to it
    /// (`client-output-buffer-limit`), or dropped the message with it.
    OutputBufferKill,
    /// Accepted; nobody was subscribed.
    AcceptedButNobodySubscribed,
    /// Accepted and sent on; the subscriber's connection ended before it arrived.
    CutInDelivery,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 16] = [
        Cause::RefusedNoServer,
        Cause::ProxyDown,
        Cause::ConnectionRefused,
        Cause::ConnectTimeout,
        Cause::ConnectionCut,
        Cause::ProxyIdleTimeout,
        Cause::ReplyTimeout,
        Cause::PoolTimeout,
        Cause::NoMaster,
        Cause::ErrorReply,
        Cause::AcceptedByReplica,
        Cause::SubscriberPinnedToOldMaster,
        Cause::SubscriberReconnecting,
        Cause::OutputBufferKill,
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
            Cause::ProxyIdleTimeout => "proxy-idle-timeout",
            Cause::ReplyTimeout => "reply-timeout",
            Cause::PoolTimeout => "pool-timeout",
            Cause::NoMaster => "no-master",
            Cause::ErrorReply => "error-reply",
            Cause::AcceptedByReplica => "accepted-by-replica",
            Cause::SubscriberPinnedToOldMaster => "subscriber-pinned-to-old-master",
            Cause::SubscriberReconnecting => "subscriber-reconnecting",
            Cause::OutputBufferKill => "output-buffer-kill",
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
    pub outcome: Outcome,
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
    /// Attempts whose request was sent and whose reply was never seen: what became of the message.
    pub reply_never_seen: Unanswered,
    /// Receptions beyond the first of a message by a subscriber: what a client library sends again, for example.
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

/// What became of messages whose publisher sent the request and saw no reply: the connection ended first, or the time
/// was up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    /// A subscriber has them.
    pub delivered: u64,
    /// No subscriber has them.
    pub lost: u64,
}

/// Sums over all writes. Attempts count from time 0 on; what is lost counts from the first write on, as the header of a
/// recording counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WriteSums {
    /// Attempts to SET.
    pub attempts: u64,
    /// Acknowledged ones.
    pub acknowledged: u64,
    /// Acknowledged ones from before time 0.
    pub acknowledged_before: u64,
    /// Failed ones by outcome.
    pub failed: BTreeMap<&'static str, u64>,
    /// Failed ones by cause, in the words of [`Cause`].
    pub failed_by_cause: BTreeMap<&'static str, u64>,
    /// Acknowledged ones that the final master does not hold; unknown if there is no master.
    pub lost: Option<u64>,
    /// Lost ones by cause.
    pub lost_by_cause: BTreeMap<&'static str, u64>,
    /// Whether it is known which ones are lost; otherwise only their number is, and which ones they were follows from
    /// who acted as master when.
    pub lost_keys_known: bool,
    /// The SEQ of lost ones by client, in order.
    pub lost_keys: BTreeMap<String, Vec<u32>>,
}

/// The ledger of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Every message, in order of publishing.
    #[serde(skip)]
    pub messages: Vec<Message>,
    /// Every write, in order of its beginning.
    #[serde(skip)]
    pub sets: Vec<Write>,
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
    endings: &'a Endings,
    end: i64,
    publishers: BTreeMap<NodeId, Connections>,
    subscribers: BTreeMap<NodeId, Connections>,
}

/// Draws up the ledger. `lost_writes` are the clients and SEQs of acknowledged writes that the final master does not
/// hold, where the caller knows them; otherwise the header says how many there are.
///
/// # Panics
/// If the sums do not add up.
pub fn ledger(recording: &Recording, masters: &Masters, lost_writes: Option<&[(NodeId, u32)]>) -> Ledger {
    // Without a master at the end nobody can say what is lost.
    let lost_writes = lost_writes.filter(|_| recording.header.final_master.is_some());
    let endings = Endings::of(recording);
    let mut accountant = Accountant {
        recording,
        masters,
        endings: &endings,
        end: super::end_us(recording),
        publishers: recording.publishers().into_iter().map(|node| (node, Connections::default())).collect(),
        subscribers: BTreeMap::new(),
    };
    let mut ledger = Ledger::default();
    let mut index: BTreeMap<(NodeId, u32), Vec<usize>> = BTreeMap::new();
    let mut nodes = Vec::new();
    let mut writers: BTreeSet<NodeId> = BTreeSet::new();
    for record in &recording.records {
        let at = recording.micros(record.time);
        match record.what {
            What::Op(Op::Publish { seq, outcome, took, receivers }) => {
                index.entry((record.node, seq)).or_default().push(ledger.messages.len());
                nodes.push(record.node);
                ledger.messages.push(Message {
                    client: recording.names.node(record.node).to_string(),
                    seq,
                    published_us: at,
                    outcome,
                    took_us: ((took.0 + 500) / 1_000) as i64,
                    receivers,
                    received: Vec::new(),
                    fate: Fate::Undecided,
                    cause: None,
                });
            }
            What::Op(Op::Set { .. } | Op::Get { .. }) => {
                writers.insert(record.node);
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
    let mut connections = BTreeMap::new();
    for node in writers {
        if let Some(of_writer) = accountant.subscribers.remove(&node) {
            connections.insert(node, of_writer);
        }
    }
    match_receptions(recording, &index, &mut ledger);
    for (message, node) in ledger.messages.iter_mut().zip(nodes) {
        (message.fate, message.cause) = accountant.judge(message, node);
    }
    sum_up(&mut ledger, &accountant);
    let why_failed = |outcome, from, to| accountant.why_failed(outcome, from, to);
    let opened = |node, at| connections.get(&node).and_then(|connections: &Connections| connections.opened(at));
    ledger.sets = writes(recording, masters, lost_writes, why_failed, opened);
    ledger.writes.lost_keys_known = lost_writes.is_some();
    sum_up_writes(&mut ledger, lost_writes.is_some() || recording.header.lost_acked_sets.is_some());
    ledger
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
        *sums.by_outcome.entry(message.outcome.as_str()).or_default() += 1;
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
        if [Outcome::ReplyTimeout, Outcome::ReplyClosed].contains(&message.outcome) {
            match message.fate {
                Fate::FailedButDelivered => sums.reply_never_seen.delivered += 1,
                _ => sums.reply_never_seen.lost += 1,
            }
        }
        if let Some(cause) = message.cause {
            *sums.by_cause.entry(cause.as_str()).or_default() += 1;
        }
        for (subscriber, missed) in &mut sums.missed_by {
            *missed += u64::from(!message.received.iter().any(|(name, _)| name == subscriber));
        }
    }
    sums.assert_they_add_up();
}

fn sum_up_writes(ledger: &mut Ledger, known: bool) {
    let sums = &mut ledger.writes;
    let (mut kept, mut lost) = (0, 0);
    for write in &ledger.sets {
        let counts = write.at_us >= 0;
        sums.attempts += u64::from(counts);
        match write.fate {
            WriteFate::Failed(cause) if counts => {
                *sums.failed.entry(write.outcome.as_str()).or_default() += 1;
                *sums.failed_by_cause.entry(cause.as_str()).or_default() += 1;
            }
            WriteFate::Failed(_) => continue,
            WriteFate::Kept | WriteFate::Unknown => kept += 1,
            WriteFate::Lost(why) => {
                lost += 1;
                *sums.lost_by_cause.entry(why.as_str()).or_default() += 1;
                sums.lost_keys.entry(write.client.to_string()).or_default().push(write.seq);
            }
        }
        if write.outcome == Outcome::Ok {
            *(if counts { &mut sums.acknowledged } else { &mut sums.acknowledged_before }) += 1;
        }
    }
    sums.lost_keys.values_mut().for_each(|keys| keys.sort_unstable());
    sums.lost = known.then_some(lost);
    assert_eq!(
        sums.acknowledged + sums.acknowledged_before,
        kept + lost,
        "every acknowledged write is kept or lost, or nobody knows"
    );
    sums.assert_they_add_up();
}

impl MessageSums {
    /// # Panics
    /// If a message has no fate or two, or a lost one no cause or two.
    pub fn assert_they_add_up(&self) {
        assert_eq!(self.published, self.delivered + self.lost + self.undecided, "every message has one fate");
        assert_eq!(self.lost, self.by_cause.values().sum::<u64>(), "every lost message has one cause");
    }
}

impl WriteSums {
    /// # Panics
    /// If a failed or a lost write has no cause or two.
    pub fn assert_they_add_up(&self) {
        let sum = |causes: &BTreeMap<&'static str, u64>| causes.values().sum::<u64>();
        assert_eq!(self.attempts, self.acknowledged + sum(&self.failed), "every write is acknowledged or failed");
        assert_eq!(sum(&self.failed), sum(&self.failed_by_cause), "every failed write has one cause");
        assert_eq!(self.lost.unwrap_or(0), sum(&self.lost_by_cause), "every lost write has one cause");
    }

    /// Whether an acknowledged write is lost.
    pub fn has_lost(&self, client: &str, seq: u32) -> bool {
        self.lost_keys.get(client).is_some_and(|keys| keys.binary_search(&seq).is_ok())
    }
}

impl Accountant<'_> {
    fn judge(&self, message: &Message, publisher: NodeId) -> (Fate, Option<Cause>) {
        match (message.outcome == Outcome::Ok, message.received.is_empty()) {
            (true, false) => (Fate::Delivered, None),
            (false, false) => (Fate::FailedButDelivered, None),
            (false, true) => {
                let (from, to) = (message.published_us, message.published_us + message.took_us);
                (Fate::Failed, Some(self.why_failed(message.outcome, from, to)))
            }
            (true, true) if message.receivers != Some(0) && message.published_us > self.end - UNDECIDED_US => {
                (Fate::Undecided, None)
            }
            (true, true) => (Fate::LostSilently, Some(self.why_unheard(message, publisher))),
        }
    }

    /// Why an attempt from `from` to `to` failed.
    fn why_failed(&self, outcome: Outcome, from: i64, to: i64) -> Cause {
        let routes = [from, to].map(|at| self.masters.route(at));
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
            Outcome::ReplyClosed if self.endings.why(from, to, self.server(from)) == Ending::Idle => {
                Cause::ProxyIdleTimeout
            }
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
            return if self.killed_in_delivery(message) { Cause::OutputBufferKill } else { Cause::CutInDelivery };
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
                cause = match self.how_ended(subscriber, at) {
                    Ending::OutputLimit => Cause::OutputBufferKill,
                    Ending::Idle => Cause::ProxyIdleTimeout,
                    Ending::Explained => Cause::SubscriberReconnecting,
                };
            }
        }
        cause
    }

    /// Why the subscription that a subscriber lacks at an instant ended.
    fn how_ended(&self, subscriber: &Connections, at: i64) -> Ending {
        let upto = subscriber.changes.partition_point(|(t, _)| *t <= at);
        let before = &subscriber.changes[..upto];
        let opened = before.iter().rposition(|(_, end)| *end == ConnectEnd::Open);
        let Some(((since, _), Some((ended, end)))) = opened.map(|i| (before[i], before.get(i + 1))) else {
            return Ending::Explained;
        };
        if *end != ConnectEnd::ReadClosed {
            return Ending::Explained;
        }
        let last = subscriber.last_reception(*ended).unwrap_or(since).max(since);
        self.endings.why(last, *ended, self.server(since))
    }

    /// Whether a server closed a subscriber's connection for its output buffer while a message was in it.
    fn killed_in_delivery(&self, message: &Message) -> bool {
        let after = message.published_us;
        self.subscribers.values().any(|subscriber| {
            let next = subscriber.changes[subscriber.changes.partition_point(|(t, _)| *t < after)..].first();
            next.is_some_and(|(ended, end)| {
                *end == ConnectEnd::ReadClosed && self.how_ended(subscriber, *ended) == Ending::OutputLimit
            })
        })
    }
}

impl Ledger {
    /// One line a message and one a write, in order of their beginnings:
    /// `client,op,seq,at_s,outcome,took_ms,receivers,received_by,received_at_s,fate,cause`; several receptions are
    /// separated by semicolons.
    pub fn write_csv(&self) -> String {
        let mut out = String::with_capacity(80 * (self.messages.len() + self.sets.len() + 1));
        out.push_str("client,op,seq,at_s,outcome,took_ms,receivers,received_by,received_at_s,fate,cause\n");
        let mut sets = self.sets.iter().peekable();
        for message in &self.messages {
            while let Some(set) = sets.next_if(|set| set.at_us < message.published_us) {
                set.write_csv(&mut out);
            }
            let by: Vec<&str> = message.received.iter().map(|(name, _)| name.as_str()).collect();
            let at: Vec<String> = message.received.iter().map(|(_, at)| fixed(*at, 1_000_000)).collect();
            let receivers = message.receivers.map(|n| n.to_string()).unwrap_or_default();
            let _ = writeln!(
                out,
                "{},publish,{},{},{},{},{},{},{},{},{}",
                quoted(&message.client),
                message.seq,
                fixed(message.published_us, 1_000_000),
                message.outcome.as_str(),
                fixed(message.took_us, 1_000),
                receivers,
                quoted(&by.join(";")),
                at.join(";"),
                message.fate.as_str(),
                message.cause.map_or("", Cause::as_str),
            );
        }
        sets.for_each(|set| set.write_csv(&mut out));
        out
    }
}

impl Write {
    fn write_csv(&self, out: &mut String) {
        let cause = match self.fate {
            WriteFate::Failed(cause) => cause.as_str(),
            WriteFate::Lost(why) => why.as_str(),
            WriteFate::Kept | WriteFate::Unknown => "",
        };
        let _ = writeln!(
            out,
            "{},set,{},{},{},{},,,,{},{cause}",
            quoted(&self.client),
            self.seq,
            fixed(self.at_us, 1_000_000),
            self.outcome.as_str(),
            fixed(self.took_us, 1_000),
            self.fate.as_str(),
        );
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
