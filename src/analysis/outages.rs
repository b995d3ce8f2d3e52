//! Times in which a client had no success.

use std::collections::BTreeMap;

use serde::Serialize;

use super::loads;
pub use crate::record::Activity;
use crate::record::{ClientMark, Op, Outcome, Recording, What};
use crate::wire::NodeId;

/// Gaps between successes that are listed even if no attempt failed in them.
const LISTED_US: i64 = 1_000_000;
/// Gaps of clients whose attempts are counted are listed from this length on: by so much time they are counted.
const COUNTED_US: i64 = 100_000;

/// A time without success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// The last success before it (the beginning of that attempt), or 0.
    pub from_us: i64,
    /// The first success after it, or the end: of the recording, or of a client that has made all its requests.
    pub to_us: i64,
    /// Whether a success ended it.
    pub recovered: bool,
    /// Attempts that failed in it, by outcome.
    pub failed: BTreeMap<&'static str, u64>,
}

impl Outage {
    /// How long it lasted.
    pub fn lasted_us(&self) -> i64 {
        self.to_us - self.from_us
    }
}

/// The outages of one client's activity, from time 0 on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientOutages {
    /// The client.
    pub client: String,
    /// What it does.
    pub activity: Activity,
    /// Successes.
    pub successes: u64,
    /// The longest time without success; the end of the recording ends one, and so does the last of the client's requests.
    pub longest_us: i64,
    /// When that time began.
    pub longest_from_us: i64,
    /// Gaps between successes in which an attempt failed, or that are longer than 1 s.
    pub outages: Vec<Outage>,
}

impl ClientOutages {
    /// The longest of the outages that overlap a span of time.
    pub fn longest_within(&self, from_us: i64, to_us: i64) -> Option<&Outage> {
        let overlapping = self.outages.iter().filter(|outage| outage.from_us < to_us && outage.to_us > from_us);
        overlapping.max_by_key(|outage| (outage.lasted_us(), -outage.from_us))
    }
}

/// Attempts from time 0 on; of those that are counted, all.
#[derive(Default)]
struct Attempts {
    single: Vec<(i64, Outcome)>,
    many: Vec<Many>,
}

/// Attempts that one record stands for: when the first began, how they ended, how many, the longest time without a
/// success that one of them ended, and when the last was answered.
struct Many {
    at: i64,
    outcome: Outcome,
    count: u32,
    gap: (i64, i64),
    last: i64,
}

impl Attempts {
    fn count(&self) -> u64 {
        self.single.len() as u64 + self.many.iter().map(|many| u64::from(many.count)).sum::<u64>()
    }

    /// When the last of them began, or was answered.
    fn last(&self) -> Option<i64> {
        let counted = self.many.iter().map(|many| many.last).max();
        self.single.last().map(|(at, _)| *at).or(counted)
    }

    fn add(&mut self, at: i64, outcome: Outcome, count: u32, (from, to, last): (i64, i64, i64)) {
        self.many.push(Many { at, outcome, count, gap: (from, to), last });
    }
}

/// The outages of a client whose attempts are counted: from answer to answer, as each of its connections waits for its
/// own.
fn many_outages(client: String, activity: Activity, attempts: &[Many], end: i64) -> ClientOutages {
    let successes = || attempts.iter().filter(|many| many.outcome == Outcome::Ok);
    // What began before time 0 may have been answered long after it.
    let clipped = |many: &Many| (many.gap.0.max(0), many.gap.1, true);
    let mut gaps: Vec<(i64, i64, bool)> = successes().map(clipped).filter(|(from, to, _)| from < to).collect();
    let last = successes().map(|many| many.last).max().unwrap_or(0).max(0);
    gaps.push((last, end.max(last), false));
    gaps.sort_unstable();
    let (from, to, _) = gaps.iter().max_by_key(|(from, to, _)| (to - from, -from)).expect("the end ends one");
    let counted = successes().filter(|many| many.at >= 0);
    let mut done = ClientOutages {
        client,
        activity,
        successes: counted.map(|many| u64::from(many.count)).sum(),
        longest_us: to - from,
        longest_from_us: *from,
        outages: vec![],
    };
    let failures: Vec<&Many> = attempts.iter().filter(|many| many.outcome != Outcome::Ok).collect();
    for (from_us, to_us, recovered) in gaps.into_iter().filter(|(from, to, _)| to - from >= COUNTED_US) {
        let mut failed: BTreeMap<&'static str, u64> = BTreeMap::new();
        let begin = failures.partition_point(|many| many.at < from_us);
        for many in failures[begin..].iter().take_while(|many| many.at < to_us) {
            *failed.entry(many.outcome.as_str()).or_default() += u64::from(many.count);
        }
        if !failed.is_empty() || to_us - from_us >= LISTED_US {
            done.outages.push(Outage { from_us, to_us, recovered, failed });
        }
    }
    done
}

/// The outages of all clients, in the order of the clients.
pub fn outages(recording: &Recording) -> Vec<ClientOutages> {
    let mut clients: BTreeMap<(NodeId, Activity), Attempts> = BTreeMap::new();
    let mut before: BTreeMap<(NodeId, Activity), u64> = BTreeMap::new();
    for record in &recording.records {
        let at = recording.micros(record.time);
        let (activity, outcome) = match record.what {
            What::Op(Op::Publish { outcome, .. }) => (Activity::Publish, outcome),
            What::Op(Op::Set { outcome, .. }) => (Activity::Set, outcome),
            What::Op(Op::Get { outcome, .. }) => (Activity::Get, outcome),
            What::Op(Op::Receive { .. }) => (Activity::Receive, Outcome::Ok),
            What::Op(Op::Load(load)) => {
                let activity = load.ask.activity();
                let gap = loads::gap(recording, record, load.pace);
                clients.entry((record.node, activity)).or_default().add(at, load.outcome, load.count, gap);
                continue;
            }
            What::Op(Op::Heard(heard)) => {
                let gap = loads::gap(recording, record, heard.pace);
                clients.entry((record.node, Activity::Receive)).or_default().add(at, Outcome::Ok, heard.count, gap);
                continue;
            }
            _ => continue,
        };
        let attempts = clients.entry((record.node, activity)).or_default();
        if at >= 0 {
            attempts.single.push((at, outcome));
        } else {
            *before.entry((record.node, activity)).or_default() += 1;
        }
    }
    let publishers = recording.publishers();
    let end = super::end_us(recording);
    // A client that has made all its requests wants nothing any more. One that was started again begins to count anew.
    let is_done = |node: NodeId, activity: Activity, attempts: &Attempts| {
        let client = recording.header.clients.iter().find(|client| client.name == recording.names.node(node));
        let made = attempts.count() + before.get(&(node, activity)).copied().unwrap_or(0);
        client.and_then(|client| client.requests).is_some_and(|requests| made > 0 && made.is_multiple_of(requests))
    };
    let of = |((node, activity), attempts): ((NodeId, Activity), Attempts)| {
        let end = if is_done(node, activity, &attempts) { attempts.last().unwrap_or(0).max(0) } else { end };
        let writes = activity == Activity::Set && publishers.contains(&node);
        let client = if writes { "writer" } else { recording.names.node(node) };
        match attempts.many.is_empty() {
            true => client_outages(client.to_string(), activity, &attempts.single, end),
            false => many_outages(client.to_string(), activity, &attempts.many, end),
        }
    };
    let mut all: Vec<ClientOutages> = clients.into_iter().map(of).collect();
    for client in recording.header.clients.iter().filter(|client| client.is_recorded()) {
        for &activity in &client.does {
            let label = written_as(client, activity);
            if !all.iter().any(|known| known.client == label && known.activity == activity) {
                // It never had an answer, good or bad.
                all.push(client_outages(label.to_owned(), activity, &[], end));
            }
        }
    }
    all
}

/// The name under which a client's attempts stand: a publisher that also writes does so as `writer`.
fn written_as(client: &ClientMark, activity: Activity) -> &str {
    let also_writes = activity == Activity::Set && client.does.contains(&Activity::Publish);
    if also_writes { "writer" } else { &client.name }
}

fn client_outages(client: String, activity: Activity, attempts: &[(i64, Outcome)], end: i64) -> ClientOutages {
    let mut done = ClientOutages { client, activity, successes: 0, longest_us: 0, longest_from_us: 0, outages: vec![] };
    let mut failed: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut last = 0;
    let mut close = |from_us: i64, to_us: i64, recovered, failed: &mut BTreeMap<&'static str, u64>| {
        if to_us - from_us > done.longest_us {
            (done.longest_us, done.longest_from_us) = (to_us - from_us, from_us);
        }
        done.successes += u64::from(recovered);
        let failed = std::mem::take(failed);
        if !failed.is_empty() || to_us - from_us >= LISTED_US {
            done.outages.push(Outage { from_us, to_us, recovered, failed });
        }
    };
    for (at, outcome) in attempts {
        if *outcome == Outcome::Ok {
            close(last, *at, true, &mut failed);
            last = *at;
        } else {
            *failed.entry(outcome.as_str()).or_default() += 1;
        }
    }
    close(last, end.max(last), false, &mut failed);
    done
}
