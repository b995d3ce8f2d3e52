//! What a client was up to while it had no success: whether it tried, whether there was something to hear, whether it lived.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::faults::Window;
use crate::record::{Ask, Effect, Load, Op, Outcome, Recording, What};
use crate::wire::NodeId;

/// An attempt, or a message that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub at_us: i64,
    /// How long it took.
    pub took_us: i64,
    pub outcome: Outcome,
}

/// What a client was up to in a time without success.
pub(super) struct Pace {
    /// When there was something to hear, for one who listens: the beginnings of attempts to publish it, in order.
    pub said: Option<Rc<[i64]>>,
    /// The usual time from one attempt to the next, if there was a next one.
    pub usual_us: Option<i64>,
    /// From when to when it was dead, by the script's doing.
    pub dead: Vec<(i64, i64)>,
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
    pub(super) fn died_us(&self, at_us: i64) -> Option<i64> {
        self.dead.iter().find(|(died, back)| *died <= at_us && at_us <= *back).map(|(died, _)| *died)
    }

    /// For how long of a gap without failures between `last` and the next success, or the end of the run, it tried.
    pub(super) fn tried_us(&self, last: Option<Attempt>, from_us: i64, to_us: i64, ended: bool) -> i64 {
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
pub(super) fn usual_us(attempts: &[Attempt]) -> Option<i64> {
    let mut distances: Vec<i64> = attempts.windows(2).map(|pair| pair[1].at_us - pair[0].at_us).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied()
}

/// When attempts to publish began, for those who listen.
#[derive(Default)]
pub(super) struct Said {
    by: BTreeMap<NodeId, Vec<i64>>,
    /// Whom each subscriber ever heard.
    heard: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// Many listen to the same.
    known: BTreeMap<BTreeSet<NodeId>, Rc<[i64]>>,
}

impl Said {
    pub(super) fn of(recording: &Recording) -> Said {
        let mut said = Said::default();
        for record in &recording.records {
            match record.what {
                What::Op(Op::Publish { .. } | Op::Load(Load { ask: Ask::Publish, .. })) => {
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
    pub(super) fn to(&mut self, subscriber: NodeId) -> Rc<[i64]> {
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
pub(super) fn dead(faults: &[Window], client: &str) -> Vec<(i64, i64)> {
    let killed = faults.iter().filter(|fault| fault.effect() == Effect::Kills && fault.hits(client));
    killed.map(|fault| (fault.from_us, fault.until_or(i64::MAX))).collect()
}
