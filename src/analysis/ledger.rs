//! What became of every message and every write.
//!
//! Every message that was published is delivered (to at least one subscriber), lost, or undecided because the
//! recording ended while it was on its way; the sums are asserted. A lost message has one cause, as far as a recording
//! tells: what the publisher saw, what the subscribers' connections did, who acted as master and where HAProxy sent
//! sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::endings::Endings;
pub use super::fate::{Cause, Fate};
use super::fate::{Ending, Failure, Listener, Unheard};
use super::faults::windows;
use super::loads::Loads;
use super::masters::{Masters, Several};
use super::writes::{History, Write, WriteFate, WriteLoss, writes};
use crate::kernel::Span;
use crate::record::{ConnectEnd, Effect, Heard, Op, Outcome, Recording, What, csv_field};
use crate::wire::NodeId;

/// A message that was acknowledged this shortly before the end of the recording and not received is undecided.
pub(super) const UNDECIDED_US: i64 = 1_000_000;

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
    /// Published messages that a subscriber has, by subscriber; a crowd is one.
    pub received_by: BTreeMap<String, u64>,
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

/// Sums over all writes that were tried from time 0 on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WriteSums {
    /// Attempts to SET.
    pub attempts: u64,
    /// Acknowledged ones.
    pub acknowledged: u64,
    /// Acknowledged ones that fewer replicas had in time than their writer's WAIT asked for.
    #[serde(skip_serializing_if = "super::writes::is_none")]
    pub unreplicated: u64,
    /// Acknowledged ones whose time was up before the end.
    #[serde(skip_serializing_if = "super::writes::is_none")]
    pub expired: u64,
    /// Acknowledged ones from before time 0.
    pub acknowledged_before: u64,
    /// Failed ones by outcome.
    pub failed: BTreeMap<&'static str, u64>,
    /// Failed ones by cause, in the words of [`Cause`].
    pub failed_by_cause: BTreeMap<&'static str, u64>,
    /// Acknowledged ones that the final master does not hold; unknown if there is no master, or the recording does not say.
    pub lost: Option<u64>,
    /// The same of those from before time 0: the header of a recording counts both.
    pub lost_before: Option<u64>,
    /// Lost ones by cause.
    pub lost_by_cause: BTreeMap<&'static str, u64>,
    /// Whether it is known which ones are lost; otherwise only their number is, and which ones they were follows from
    /// who acted as master when.
    pub lost_keys_known: bool,
    /// The SEQ of lost ones by client, in order; those from before time 0 too, and none of clients with many connections.
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
    /// How many reports there are at or before an instant.
    fn upto(&self, at: i64) -> usize {
        self.changes.partition_point(|(t, _)| *t <= at)
    }

    /// Whether the last report at or before an instant is that a connection opened.
    fn is_open(&self, at: i64) -> bool {
        self.changes[..self.upto(at)].last().is_some_and(|(_, end)| *end == ConnectEnd::Open)
    }

    /// The first moment of a time at which no connection was open.
    fn not_open(&self, from: i64, to: i64) -> Option<i64> {
        let mut reports = self.changes[self.upto(from)..self.upto(to)].iter();
        let mut ended = || reports.find(|(_, end)| *end != ConnectEnd::Open).map(|(t, _)| *t);
        if self.is_open(from) { ended() } else { Some(from) }
    }

    /// When the last connection at or before an instant opened.
    fn opened(&self, at: i64) -> Option<i64> {
        let upto = self.changes.partition_point(|(t, _)| *t <= at);
        self.changes[..upto].iter().rev().find(|(_, end)| *end == ConnectEnd::Open).map(|(t, _)| *t)
    }

    /// How many receptions there are at or before an instant.
    fn heard(&self, at: i64) -> usize {
        self.receptions.partition_point(|t| *t <= at)
    }

    fn last_reception(&self, at: i64) -> Option<i64> {
        self.receptions[..self.heard(at)].last().copied()
    }
}

/// Written times are this far apart.
const TICK_US: i64 = 100;
/// The least time after which a client library tries again: `MinRetryBackoff` of go-redis (`options.go`).
const RETRY_MIN: Span = Span::from_millis(8);

/// The attempts of a client that records each of them, in order of their beginnings.
#[derive(Default)]
struct Attempts {
    all: Vec<Attempt>,
    /// Whether the last one lost its connection.
    lost: bool,
    last_reply: Option<i64>,
}

#[derive(Clone, Copy)]
struct Attempt {
    at: i64,
    /// Since when the connection it used was open, by a client that does not report it: since the first attempt after
    /// one that lost its connection, or the end of one that took long enough to be tried again.
    opened: i64,
    /// The last reply before it.
    last_reply: Option<i64>,
}

impl Attempts {
    fn add(&mut self, at: i64, took: Span, outcome: Outcome) {
        // As it is written, so that a recording that is read again says the same.
        let took = Span::from_micros((took.0 + 500) / 1_000);
        let answered = at + (took.0 / 1_000) as i64;
        let opened = match self.all.last().filter(|_| !self.lost) {
            // A library that tries again does so on another connection, and does not tell.
            Some(_) | None if took >= RETRY_MIN => answered,
            Some(last) => last.opened,
            None => at,
        };
        self.all.push(Attempt { at, opened, last_reply: self.last_reply });
        self.lost = !outcome.is_reply();
        if !self.lost {
            self.last_reply = Some(answered);
        }
    }

    /// The attempt that began at an instant.
    fn find(&self, began: i64) -> Option<&Attempt> {
        self.all.get(self.all.partition_point(|attempt| attempt.at < began)).filter(|attempt| attempt.at == began)
    }
}

pub(super) struct Accountant<'a> {
    pub(super) recording: &'a Recording,
    pub(super) masters: &'a Masters,
    endings: &'a Endings,
    pub(super) end: i64,
    history: History,
    attempts: BTreeMap<NodeId, Attempts>,
    connections: BTreeMap<NodeId, Connections>,
    pub(super) subscribers: BTreeSet<NodeId>,
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
    let loads = Loads::of(recording);
    let mut accountant = Accountant {
        recording,
        masters,
        endings: &endings,
        end: super::end_us(recording),
        history: History::of(recording),
        attempts: BTreeMap::new(),
        connections: BTreeMap::new(),
        subscribers: BTreeSet::new(),
    };
    let mut ledger = Ledger::default();
    let mut index: BTreeMap<(NodeId, u32), Vec<usize>> = BTreeMap::new();
    let mut nodes = Vec::new();
    let makes_attempts = recording.attempting();
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
                accountant.attempts.entry(record.node).or_default().add(at, took, outcome);
            }
            What::Op(Op::Set { outcome, took, .. } | Op::Get { outcome, took, .. }) => {
                accountant.attempts.entry(record.node).or_default().add(at, took, outcome);
            }
            What::Op(Op::Receive { .. } | Op::Heard(_)) => {
                accountant.subscribers.insert(record.node);
                accountant.connections.entry(record.node).or_default().receptions.push(at);
            }
            What::Op(Op::Connect(end)) => {
                if !makes_attempts.contains(&record.node) {
                    accountant.subscribers.insert(record.node);
                }
                accountant.connections.entry(record.node).or_default().changes.push((at, end));
            }
            _ => {}
        }
    }
    accountant.end_with_their_programs();
    match_receptions(recording, &index, &loads, &mut ledger);
    for (message, node) in ledger.messages.iter_mut().zip(nodes) {
        (message.fate, message.cause) = accountant.judge(message, node);
    }
    sum_up(&mut ledger, &accountant);
    loads.add_messages(&mut ledger.sums, &accountant);
    ledger.sums.assert_they_add_up();
    enter_writes(&mut ledger, &accountant, &loads, lost_writes);
    ledger
}

/// What became of every write.
fn enter_writes(
    ledger: &mut Ledger,
    accountant: &Accountant<'_>,
    loads: &Loads,
    lost_writes: Option<&[(NodeId, u32)]>,
) {
    let recording = accountant.recording;
    let lost_loads = loads.lost_sets();
    ledger.sets = writes(recording, accountant, lost_writes, lost_loads);
    let marked = lost_writes.is_some() || super::writes::all_are_marked(recording, lost_loads);
    let known = lost_writes.is_some() || recording.header.lost_acked_sets.is_some();
    ledger.writes.lost_keys_known = marked;
    sum_up_writes(ledger, known);
    loads.add_writes(&mut ledger.writes, accountant);
    ledger.writes.assert_they_add_up();
}

fn match_receptions(
    recording: &Recording,
    index: &BTreeMap<(NodeId, u32), Vec<usize>>,
    loads: &Loads,
    ledger: &mut Ledger,
) {
    for record in &recording.records {
        let at = recording.micros(record.time);
        let (publisher, first, last, crowd) = match record.what {
            What::Op(Op::Receive { publisher, seq }) => (publisher, seq, seq, false),
            What::Op(Op::Heard(Heard { publisher, seqs: (first, last), .. })) => (publisher, first, last, true),
            _ => continue,
        };
        let Some(node) = recording.client(publisher) else {
            ledger.sums.unmatched += 1;
            continue;
        };
        if loads.publishes(node) {
            // Counted there.
            continue;
        }
        let subscriber = recording.names.node(record.node);
        let mut found = false;
        for candidates in index.range((node, first)..=(node, last)).map(|(_, candidates)| candidates) {
            // A publisher of an old recording that was started again counts from one again: the last one that was
            // published by then.
            let before = candidates.iter().rev().find(|i| ledger.messages[**i].published_us <= at);
            let Some(place) = before.or(candidates.first()).copied() else { continue };
            found = true;
            let received = &mut ledger.messages[place].received;
            let again = received.iter().any(|(name, _)| name == subscriber);
            // Each connection of a crowd is a subscriber of its own, and may be late.
            if crowd && again {
                continue;
            }
            ledger.sums.duplicates += u64::from(again);
            received.push((subscriber.to_string(), at));
        }
        ledger.sums.unmatched += u64::from(!found && !crowd);
    }
}

fn sum_up(ledger: &mut Ledger, accountant: &Accountant<'_>) {
    let sums = &mut ledger.sums;
    for node in &accountant.subscribers {
        sums.missed_by.insert(accountant.recording.names.node(*node).to_string(), 0);
    }
    sums.received_by = sums.missed_by.clone();
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
        for ((subscriber, missed), received) in sums.missed_by.iter_mut().zip(sums.received_by.values_mut()) {
            let has_it = message.received.iter().any(|(name, _)| name == subscriber);
            *(if has_it { received } else { missed }) += 1;
        }
    }
}

fn sum_up_writes(ledger: &mut Ledger, known: bool) {
    let sums = &mut ledger.writes;
    let (mut lost, mut lost_before) = (0, 0);
    for write in &ledger.sets {
        let counts = write.at_us >= 0;
        sums.attempts += u64::from(counts);
        match write.fate {
            WriteFate::Failed(cause) if counts => {
                *sums.failed.entry(write.outcome.as_str()).or_default() += 1;
                *sums.failed_by_cause.entry(cause.as_str()).or_default() += 1;
            }
            WriteFate::Expired => sums.expired += u64::from(counts),
            WriteFate::Failed(_) | WriteFate::Kept | WriteFate::Unknown => {}
            WriteFate::Lost(why) => {
                sums.lost_keys.entry(write.client.to_string()).or_default().push(write.seq);
                if counts {
                    *sums.lost_by_cause.entry(why.as_str()).or_default() += 1;
                }
                *(if counts { &mut lost } else { &mut lost_before }) += 1;
            }
        }
        sums.unreplicated += u64::from(counts && write.outcome == Outcome::Unreplicated);
        if write.outcome.is_acknowledged() {
            *(if counts { &mut sums.acknowledged } else { &mut sums.acknowledged_before }) += 1;
        }
    }
    sums.lost_keys.values_mut().for_each(|keys| keys.sort_unstable());
    (sums.lost, sums.lost_before) = (known.then_some(lost), known.then_some(lost_before));
}

impl MessageSums {
    /// # Panics
    /// If a message has no fate or two, or a lost one no cause or two.
    pub fn assert_they_add_up(&self) {
        assert_eq!(self.published, self.delivered + self.lost + self.undecided, "every message has one fate");
        assert_eq!(self.lost, self.by_cause.values().sum::<u64>(), "every lost message has one cause");
        assert!(self.missed_by.keys().eq(self.received_by.keys()), "every subscriber has two sums");
        for (missed, received) in self.missed_by.values().zip(self.received_by.values()) {
            assert_eq!(self.published, missed + received, "every subscriber has a message or misses it");
        }
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
        assert!(self.lost.is_none_or(|lost| lost <= self.acknowledged), "what is lost was acknowledged");
        assert!(self.lost_before.is_none_or(|lost| lost <= self.acknowledged_before), "what is lost was acknowledged");
    }

    /// Whether an acknowledged write is lost.
    pub fn has_lost(&self, client: &str, seq: u32) -> bool {
        self.lost_keys.get(client).is_some_and(|keys| keys.binary_search(&seq).is_ok())
    }
}

impl Accountant<'_> {
    /// A subscriber that is killed ends its connections and does not live to report it.
    fn end_with_their_programs(&mut self) {
        let faults = windows(self.recording);
        for fault in faults.iter().filter(|fault| fault.effect() == Effect::Kills) {
            for node in &self.subscribers {
                let name = self.recording.names.node(*node);
                let Some(connections) = self.connections.get_mut(node).filter(|_| fault.hits(name)) else { continue };
                let place = connections.upto(fault.from_us);
                if connections.is_open(fault.from_us) {
                    connections.changes.insert(place, (fault.from_us, ConnectEnd::ReadTimeout));
                }
            }
        }
    }

    fn judge(&self, message: &Message, publisher: NodeId) -> (Fate, Option<Cause>) {
        match (message.outcome == Outcome::Ok, message.received.is_empty()) {
            (true, false) => (Fate::Delivered, None),
            (false, false) => (Fate::FailedButDelivered, None),
            (false, true) => {
                let (from, to) = (message.published_us, message.published_us + message.took_us);
                (Fate::Failed, Some(self.why_failed(publisher, message.outcome, from, to)))
            }
            (true, true) if message.receivers != Some(0) && message.published_us > self.end - UNDECIDED_US => {
                (Fate::Undecided, None)
            }
            (true, true) => (
                Fate::LostSilently,
                Some({
                    let at = message.published_us;
                    let told = message.receivers.is_some_and(|receivers| receivers > 0);
                    self.why_unheard(publisher, at, at + message.took_us, told)
                }),
            ),
        }
    }

    /// Why an attempt of a client from `from` to `to` failed.
    pub(super) fn why_failed(&self, client: NodeId, outcome: Outcome, from: i64, to: i64) -> Cause {
        let routes = [from, to].map(|at| self.masters.route(at));
        let opened = self.opened(client, from, to);
        let reports = self.connections.get(&client).is_some_and(|connections| !connections.changes.is_empty());
        let stood = reports && opened.is_some_and(|opened| opened < from);
        // Quiet was the connection since the last reply on it, if that is known.
        let reply = self.attempts.get(&client).and_then(|attempts| attempts.find(from)?.last_reply);
        let quiet = reply.filter(|reply| opened.is_none_or(|opened| opened <= *reply)).unwrap_or(from);
        Failure {
            outcome,
            proxy_down: routes.iter().flatten().any(|route| !route.running),
            // HAProxy closes what it cannot pass on; a session that stood before was cut.
            no_server: !stood && self.masters.found_no_server(from, to),
            ended: match outcome {
                Outcome::ReplyClosed => {
                    self.endings.why(quiet, from, to, opened.and_then(|opened| self.server(opened)))
                }
                _ => Ending::Explained,
            },
        }
        .cause()
    }

    /// When the connection was opened that a client used for an attempt from `from` to `to`: as it reports, or as its
    /// attempts tell. A session stays with the server that HAProxy chose when it began. A library that reports nothing
    /// and has several connections may have tried several times: nobody knows.
    fn opened(&self, client: NodeId, from: i64, to: i64) -> Option<i64> {
        let reported = self.connections.get(&client).filter(|connections| !connections.changes.is_empty());
        match reported {
            // Written times are rounded.
            Some(connections) => connections.opened(to + TICK_US),
            None => self.attempts.get(&client)?.find(from).map(|attempt| attempt.opened),
        }
    }

    /// Why an acknowledged write would be lost, and how long after its answer that was decided. Where nobody knows which
    /// connection it took, it was the one to the server of the moment at which it was sent.
    pub(super) fn write_loss(&self, client: NodeId, at: i64, answered: i64) -> (WriteLoss, i64) {
        let opened = self.opened(client, at, answered).unwrap_or(at);
        self.history.loss_of(self.recording, self.masters, opened, (at, answered))
    }

    /// The server to which a connection leads that is opened at an instant, if that is known.
    fn server(&self, at: i64) -> Option<&str> {
        self.masters.leads_to(at).ok().flatten()
    }

    /// Why a message that was published from `at` to `answered` was accepted and not heard.
    pub(super) fn why_unheard(&self, publisher: NodeId, at: i64, answered: i64, told: bool) -> Cause {
        let opened = self.opened(publisher, at, answered).unwrap_or(answered);
        let server = self.masters.leads_to(opened);
        let elsewhere = |other: Result<Option<&str>, Several>| match (server, other) {
            (Ok(Some(server)), Ok(Some(other))) => other != server,
            (Ok(_), Ok(_)) => false,
            // Whoever is subscribed and was not told is at another of the servers.
            _ => !told,
        };
        let listener = |subscriber: &Connections| {
            if subscriber.changes.is_empty() {
                // A client library that does not report its connections: it was where it last received something.
                let since = subscriber.last_reception(at);
                return match since.is_some_and(|since| elsewhere(self.masters.leads_to(since))) {
                    true => Listener::Elsewhere,
                    false => Listener::Between(Ending::Explained),
                };
            }
            // The message was executed in between. Who was not told of it was not there at that moment.
            match subscriber.not_open(at, if told { at } else { answered }) {
                between if between != Some(at) && elsewhere(self.subscribed_at(subscriber, at)) => Listener::Elsewhere,
                Some(between) => Listener::Between(self.how_ended(subscriber, between)),
                None if !told && self.was_killed(subscriber, at) => Listener::Between(Ending::OutputLimit),
                None => Listener::Connected,
            }
        };
        let subscribers = || self.subscribers.iter().filter_map(|node| self.connections.get(node));
        Unheard {
            told,
            dropped_from_buffer: told && self.killed_in_delivery(at),
            // Who acts as master is known up to the end; clients are stopped a little later.
            by_replica: !self.masters.published_at_master(server.ok().flatten(), at.min(self.end - 1), answered),
            listeners: subscribers().map(listener).collect(),
        }
        .cause()
    }

    /// The server at which a subscriber is whose connection is open at an instant. It says so when its subscription is
    /// confirmed; HAProxy chose the server earlier, at some time since the attempt before.
    fn subscribed_at(&self, subscriber: &Connections, at: i64) -> Result<Option<&str>, Several> {
        let Some(place) = subscriber.changes[..subscriber.upto(at)].len().checked_sub(1) else { return Ok(None) };
        let (since, _) = subscriber.changes[place];
        let from = place.checked_sub(1).map_or(since, |before| subscriber.changes[before].0);
        self.masters.led_to(from, since)
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
        let heard = &subscriber.receptions[..subscriber.heard(*ended)];
        if self.endings.overflowed(since, *ended, heard, self.server(since)) {
            return Ending::OutputLimit;
        }
        let last = heard.last().copied().unwrap_or(since).max(since);
        self.endings.why(last, *ended, *ended, self.server(since))
    }

    /// Whether the server closed the connection of a subscriber that stands still, which does not notice, for its output
    /// buffer.
    fn was_killed(&self, subscriber: &Connections, at: i64) -> bool {
        let server = self.subscribed_at(subscriber, at).ok().flatten();
        let since = subscriber.opened(at).unwrap_or(at);
        self.endings.overflowed(since, at, &subscriber.receptions[..subscriber.heard(at)], server)
    }

    /// Whether a server closed a subscriber's connection for its output buffer while a message was in it.
    fn killed_in_delivery(&self, after: i64) -> bool {
        self.subscribers.iter().filter_map(|node| self.connections.get(node)).any(|subscriber| {
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
                csv_field(&message.client),
                message.seq,
                fixed(message.published_us, 1_000_000),
                message.outcome.as_str(),
                fixed(message.took_us, 1_000),
                receivers,
                csv_field(&by.join(";")),
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
            WriteFate::Kept | WriteFate::Expired | WriteFate::Unknown => "",
        };
        let _ = writeln!(
            out,
            "{},set,{},{},{},{},,,,{},{cause}",
            csv_field(&self.client),
            self.seq,
            fixed(self.at_us, 1_000_000),
            self.outcome.as_str(),
            fixed(self.took_us, 1_000),
            self.fate.as_str(),
        );
    }
}

/// Microseconds in a larger unit, with all decimals.
fn fixed(micros: i64, unit: u64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let width = unit.ilog10() as usize;
    format!("{sign}{}.{:0width$}", micros / unit, micros % unit)
}
