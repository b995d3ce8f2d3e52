//! Times in which a client had no success.
//!
//! Two things are told apart. The longest time without success ([`ClientOutages::longest_us`]) is what it says, whoever
//! made it. An [`Outage`] is the stack's doing: attempts failed or took long, or nothing was heard of what was
//! published. The client's own pace, and that it was killed, are no outage: who asks every 45 s misses nothing in
//! between.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::Serialize;

use super::faults::{Window, windows};
use crate::kernel::Span;
use crate::record::{Effect, Op, Outcome, Recording, What};
use crate::wire::NodeId;

/// Who tries for so long without success has an outage, even if no attempt failed.
const LISTED_US: i64 = 1_000_000;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// PUBLISH.
    Publish,
    /// SET.
    Set,
    /// GET.
    Get,
    /// Receiving messages.
    Receive,
}

impl Activity {
    /// The word in recordings and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Activity::Publish => "publish",
            Activity::Set => "set",
            Activity::Get => "get",
            Activity::Receive => "receive",
        }
    }
}

impl std::fmt::Display for Activity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A time without success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// The last success before it (the beginning of that attempt), or 0.
    pub from_us: i64,
    /// The first success after it, or the end of the recording.
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
    /// The longest time without success; the end of the recording ends one.
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

/// An attempt, or a message that arrived.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    at_us: i64,
    /// How long it took.
    took_us: i64,
    outcome: Outcome,
}

/// What a client was up to in a time without success.
struct Pace {
    /// When there was something to hear, for one who listens: the beginnings of attempts to publish it, in order.
    said: Option<Rc<[i64]>>,
    /// The usual time from one attempt to the next, if there was a next one.
    usual_us: Option<i64>,
    /// From when to when it was dead, by the script's doing.
    dead: Vec<(i64, i64)>,
}

impl Pace {
    /// How much of a time it was alive.
    fn alive_us(&self, from_us: i64, to_us: i64) -> i64 {
        let (mut alive, mut upto) = (0, from_us);
        for (died, back) in &self.dead {
            alive += ((*died).min(to_us) - upto).max(0);
            upto = upto.max(*back);
        }
        alive + (to_us - upto).max(0)
    }

    /// When it died, if it is dead at an instant.
    fn died_us(&self, at_us: i64) -> Option<i64> {
        self.dead.iter().find(|(died, back)| *died <= at_us && at_us <= *back).map(|(died, _)| *died)
    }

    /// For how long of a gap without failures between `last` and the next success, or the end of the run, it tried.
    fn tried_us(&self, last: Option<Attempt>, from_us: i64, to_us: i64, ended: bool) -> i64 {
        if let Some(said) = &self.said {
            let next = said.get(said.partition_point(|at| *at <= from_us));
            return next.map_or(0, |at| self.alive_us(*at, to_us));
        }
        let Some(last) = last else { return self.alive_us(from_us, to_us) };
        let rest = self.alive_us((last.at_us + last.took_us).clamp(from_us, to_us), to_us);
        match (ended, self.usual_us) {
            // What began and did not end is in no recording: it is missed when another attempt was due.
            (true, Some(usual)) if rest > 2 * usual => last.took_us.max(rest - usual),
            _ => last.took_us,
        }
    }
}

/// The usual distance between attempts: the median.
fn usual_us(attempts: &[Attempt]) -> Option<i64> {
    let mut distances: Vec<i64> = attempts.windows(2).map(|pair| pair[1].at_us - pair[0].at_us).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied()
}

/// When attempts to publish began, for those who listen.
#[derive(Default)]
struct Said {
    by: BTreeMap<NodeId, Vec<i64>>,
    /// Whom each subscriber ever heard.
    heard: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// Many listen to the same.
    known: BTreeMap<BTreeSet<NodeId>, Rc<[i64]>>,
}

impl Said {
    fn of(recording: &Recording) -> Said {
        let mut said = Said::default();
        for record in &recording.records {
            match record.what {
                What::Op(Op::Publish { .. }) => {
                    said.by.entry(record.node).or_default().push(recording.micros(record.time));
                }
                What::Op(Op::Receive { publisher, .. }) => {
                    said.heard.entry(record.node).or_default().extend(recording.client(publisher));
                }
                _ => {}
            }
        }
        said
    }

    /// What there was to hear for a subscriber, in order: of those whom it ever heard, or of all if it heard nobody.
    fn to(&mut self, subscriber: NodeId) -> Rc<[i64]> {
        let heard = self.heard.remove(&subscriber).unwrap_or_default();
        if let Some(known) = self.known.get(&heard) {
            return known.clone();
        }
        let of = self.by.iter().filter(|(publisher, _)| heard.is_empty() || heard.contains(publisher));
        let mut said: Vec<i64> = of.flat_map(|(_, begun)| begun.iter().copied()).collect();
        said.sort_unstable();
        let said: Rc<[i64]> = said.into();
        self.known.insert(heard, said.clone());
        said
    }
}

/// From when to when the script left a client dead.
fn dead(faults: &[Window], client: &str) -> Vec<(i64, i64)> {
    let killed = faults.iter().filter(|fault| fault.effect() == Effect::Kills && fault.hits(client));
    killed.map(|fault| (fault.from_us, fault.until_or(i64::MAX))).collect()
}

/// The outages of all clients, in the order of the clients.
pub fn outages(recording: &Recording) -> Vec<ClientOutages> {
    let mut clients: BTreeMap<(NodeId, Activity), Vec<Attempt>> = BTreeMap::new();
    for record in &recording.records {
        let at_us = recording.micros(record.time);
        let (activity, outcome, took) = match record.what {
            What::Op(Op::Publish { outcome, took, .. }) => (Activity::Publish, outcome, took),
            What::Op(Op::Set { outcome, took, .. }) => (Activity::Set, outcome, took),
            What::Op(Op::Get { outcome, took, .. }) => (Activity::Get, outcome, took),
            What::Op(Op::Receive { .. }) => (Activity::Receive, Outcome::Ok, Span::ZERO),
            _ => continue,
        };
        let took_us = ((took.0 + 500) / 1_000) as i64;
        clients.entry((record.node, activity)).or_default().push(Attempt { at_us, took_us, outcome });
    }
    let publishers = recording.publishers();
    let end = super::end_us(recording);
    let mut said = Said::of(recording);
    let faults = windows(recording);
    let of = |((node, activity), attempts): ((NodeId, Activity), Vec<Attempt>)| {
        let writes = activity == Activity::Set && publishers.contains(&node);
        let client = if writes { recording.writer(node) } else { recording.names.node(node) };
        let pace = Pace {
            said: (activity == Activity::Receive).then(|| said.to(node)),
            usual_us: usual_us(&attempts),
            dead: dead(&faults, recording.names.node(node)),
        };
        client_outages(client.to_string(), activity, &attempts, &pace, end)
    };
    clients.into_iter().map(of).collect()
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
        if attempt.outcome == Outcome::Ok {
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
