//! Times in which a client had no success.
//!
//! Two things are told apart. The longest time without success ([`ClientOutages::longest_us`]) is what it says, whoever
//! made it. An [`Outage`] is the stack's doing: attempts failed or took long, or nothing was heard of what was
//! published. The client's own pace, and that it was killed, are no outage: who asks every 45 s misses nothing in
//! between.

use std::collections::BTreeMap;

use serde::Serialize;

use super::faults::windows;
use super::loads;
use super::pace::{Attempt, Pace, Said, dead, usual_us};
use crate::kernel::Span;
pub use crate::record::Activity;
use crate::record::{ClientMark, Op, Outcome, Recording, What};
use crate::wire::NodeId;

/// Who tries for so long without success has an outage, even if no attempt failed.
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
    /// Gaps between successes in which an attempt failed, or in which it tried, or ought to have heard something, for
    /// more than 1 s.
    pub outages: Vec<Outage>,
}

impl ClientOutages {
    /// The longest of the outages that overlap a span of time.
    pub fn longest_within(&self, from_us: i64, to_us: i64) -> Option<&Outage> {
        let overlapping = self.outages.iter().filter(|outage| outage.from_us < to_us && outage.to_us > from_us);
        overlapping.max_by_key(|outage| (outage.lasted_us(), -outage.from_us))
    }
}

/// The attempts of a client.
#[derive(Default)]
struct Attempts {
    single: Vec<Attempt>,
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
        self.single.last().map(|attempt| attempt.at_us).or(counted)
    }

    fn add(&mut self, at: i64, outcome: Outcome, count: u32, (from, to, last): (i64, i64, i64)) {
        self.many.push(Many { at, outcome, count, gap: (from, to), last });
    }
}

/// The outages of a client whose attempts are counted: from answer to answer, as each of its connections waits for its
/// own.
fn many_outages(client: String, activity: Activity, attempts: &[Many], end: i64) -> ClientOutages {
    let successes = || attempts.iter().filter(|many| many.outcome.is_acknowledged());
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
    let failures: Vec<&Many> = attempts.iter().filter(|many| !many.outcome.is_acknowledged()).collect();
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
    for record in &recording.records {
        let at = recording.micros(record.time);
        let (activity, outcome, took) = match record.what {
            What::Op(Op::Publish { outcome, took, .. }) => (Activity::Publish, outcome, took),
            What::Op(Op::Set { outcome, took, .. }) => (Activity::Set, outcome, took),
            What::Op(Op::Get { outcome, took, .. }) => (Activity::Get, outcome, took),
            What::Op(Op::Receive { .. }) => (Activity::Receive, Outcome::Ok, Span::ZERO),
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
        let took_us = ((took.0 + 500) / 1_000) as i64;
        clients.entry((record.node, activity)).or_default().single.push(Attempt { at_us: at, took_us, outcome });
    }
    let publishers = recording.publishers();
    let end = super::end_us(recording);
    // A client that has made all its requests wants nothing any more. One that was started again begins to count anew.
    let is_done = |node: NodeId, attempts: &Attempts| {
        let client = recording.header.clients.iter().find(|client| client.name == recording.names.node(node));
        let made = attempts.count();
        client.and_then(|client| client.requests).is_some_and(|requests| made > 0 && made.is_multiple_of(requests))
    };
    let mut said = Said::of(recording);
    let faults = windows(recording);
    let of = |((node, activity), attempts): ((NodeId, Activity), Attempts)| {
        let end = if is_done(node, &attempts) { attempts.last().unwrap_or(0).max(0) } else { end };
        let writes = activity == Activity::Set && publishers.contains(&node);
        let client = if writes { recording.writer(node) } else { recording.names.node(node) };
        match attempts.many.is_empty() {
            true => {
                let pace = Pace {
                    said: (activity == Activity::Receive).then(|| said.to(node)),
                    usual_us: usual_us(&attempts.single),
                    dead: dead(&faults, recording.names.node(node)),
                };
                client_outages(client.to_string(), activity, &attempts.single, &pace, end)
            }
            false => many_outages(client.to_string(), activity, &attempts.many, end),
        }
    };
    let mut all: Vec<ClientOutages> = clients.into_iter().map(of).collect();
    for client in recording.header.clients.iter().filter(|client| client.is_recorded()) {
        for &activity in &client.does {
            let label = written_as(recording, client, activity);
            if !all.iter().any(|known| known.client == label && known.activity == activity) {
                // It never had an answer, good or bad.
                let pace = Pace { said: None, usual_us: None, dead: dead(&faults, &client.name) };
                all.push(client_outages(label.to_owned(), activity, &[], &pace, end));
            }
        }
    }
    all
}

/// The name under which a client's attempts stand: that of a publisher's writes is [`Recording::writer`].
fn written_as<'a>(recording: &'a Recording, client: &'a ClientMark, activity: Activity) -> &'a str {
    let also_writes = activity == Activity::Set && client.does.contains(&Activity::Publish);
    let node = recording.names.find_node(&client.name).filter(|_| also_writes);
    node.map_or(&client.name, |node| recording.writer(node))
}

fn client_outages(client: String, activity: Activity, attempts: &[Attempt], pace: &Pace, end: i64) -> ClientOutages {
    let mut done = ClientOutages { client, activity, successes: 0, longest_us: 0, longest_from_us: 0, outages: vec![] };
    let mut failed: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut last = 0;
    let mut close = |from_us: i64, to_us: i64, recovered: bool, tried_us, failed: &mut BTreeMap<&'static str, u64>| {
        if to_us - from_us > done.longest_us {
            (done.longest_us, done.longest_from_us) = (to_us - from_us, from_us);
        }
        done.successes += u64::from(recovered);
        let failed = std::mem::take(failed);
        if !failed.is_empty() || tried_us >= LISTED_US {
            let died = pace.died_us(to_us).filter(|_| !recovered);
            let to_us = died.map_or(to_us, |died| died.clamp(from_us, to_us));
            done.outages.push(Outage { from_us, to_us, recovered, failed });
        }
    };
    let before = attempts.iter().take_while(|attempt| attempt.at_us < 0);
    let mut attempt_before = before.last().copied();
    for attempt in attempts.iter().filter(|attempt| attempt.at_us >= 0) {
        if attempt.outcome.is_acknowledged() {
            let tried = pace.tried_us(attempt_before, last, attempt.at_us, false);
            close(last, attempt.at_us, true, tried, &mut failed);
            last = attempt.at_us;
        } else {
            *failed.entry(attempt.outcome.as_str()).or_default() += 1;
        }
        attempt_before = Some(*attempt);
    }
    let end = end.max(last);
    close(last, end, false, pace.tried_us(attempt_before, last, end, true), &mut failed);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(attempts: &[(i64, i64)], pace: &Pace, end: i64) -> Vec<(i64, i64, bool)> {
        let attempts: Vec<Attempt> = attempts
            .iter()
            .map(|(at_us, took_us)| Attempt { at_us: *at_us, took_us: *took_us, outcome: Outcome::Ok })
            .collect();
        let pace = Pace { said: pace.said.clone(), usual_us: usual_us(&attempts), dead: pace.dead.clone() };
        let done = client_outages("c".into(), Activity::Set, &attempts, &pace, end);
        done.outages.iter().map(|outage| (outage.from_us, outage.to_us, outage.recovered)).collect()
    }

    const S: i64 = 1_000_000;

    #[test]
    fn only_what_was_tried_is_missed() {
        let calm = Pace { said: None, usual_us: None, dead: Vec::new() };
        let steady: Vec<(i64, i64)> = (-5..30).map(|n| (n * 10 * S, 1_000)).collect();
        assert_eq!(listed(&steady, &calm, 299 * S), []);
        // It began an attempt at 300 s, and there is no word of it.
        assert_eq!(listed(&steady, &calm, 330 * S), [(290 * S, 330 * S, false)]);
        let dead = Pace { dead: vec![(295 * S, i64::MAX)], ..calm };
        assert_eq!(listed(&steady, &dead, 330 * S), []);
        // An attempt that took long is an outage though it succeeded.
        assert_eq!(listed(&[(-S, 1_000), (9 * S, 7 * S), (19 * S, 1_000)], &dead, 20 * S), [(9 * S, 19 * S, true)]);
    }

    #[test]
    fn who_listens_misses_what_was_said() {
        let pace =
            |said: &[i64], dead: &[(i64, i64)]| Pace { said: Some(said.into()), usual_us: None, dead: dead.to_vec() };
        let heard = [(10 * S, 0), (55 * S, 0)];
        assert_eq!(listed(&heard, &pace(&[9 * S, 54_999_000], &[]), 60 * S), [(0, 10 * S, true)]);
        assert_eq!(listed(&heard, &pace(&[9_999_000, 54_999_000], &[]), 60 * S), []);
        assert_eq!(listed(&heard, &pace(&[9_999_000, 30 * S], &[]), 60 * S), [(10 * S, 55 * S, true)]);
        assert_eq!(listed(&heard, &pace(&[9_999_000, 30 * S], &[(20 * S, 54_500_000)]), 60 * S), []);
    }
}
