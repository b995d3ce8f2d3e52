//! The ledger of clients with many connections, whose attempts a recording counts by the tenth of a second.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Accountant, Cause, MessageSums, UNDECIDED_US, WriteSums};
use super::writes::WriteLoss;
use crate::record::{Ask, Heard, Load, Op, Outcome, Pace, Record, Recording, What};
use crate::wire::{NodeId, Ranges};

/// Attempts that began and ended alike, with their place in time.
struct Batch {
    node: NodeId,
    at: i64,
    last: i64,
    load: Load,
}

/// All that clients with many connections tried, and who heard what of it.
pub(super) struct Loads {
    batches: Vec<Batch>,
    publishers: BTreeSet<NodeId>,
    /// By publisher and subscriber.
    heard: BTreeMap<(NodeId, NodeId), Ranges>,
    /// Receptions of a message that its subscriber had already, where that is known.
    duplicates: u64,
}

impl Loads {
    pub(super) fn of(recording: &Recording) -> Loads {
        let mut loads =
            Loads { batches: Vec::new(), publishers: BTreeSet::new(), heard: BTreeMap::new(), duplicates: 0 };
        for record in &recording.records {
            let What::Op(Op::Load(load)) = record.what else { continue };
            let last = recording.micros_after(record, load.pace.last);
            loads.batches.push(Batch { node: record.node, at: recording.micros(record.time), last, load });
            if load.ask == Ask::Publish {
                loads.publishers.insert(record.node);
            }
        }
        if !loads.publishers.is_empty() {
            recording.records.iter().for_each(|record| loads.hear(recording, record));
        }
        loads
    }

    fn hear(&mut self, recording: &Recording, record: &Record) {
        let publisher = match record.what {
            What::Op(Op::Receive { publisher, .. } | Op::Heard(Heard { publisher, .. })) => publisher,
            _ => return,
        };
        let Some(node) = recording.client(publisher).filter(|node| self.publishers.contains(node)) else { return };
        let heard = self.heard.entry((node, record.node)).or_default();
        match record.what {
            What::Op(Op::Receive { seq, .. }) => self.duplicates += u64::from(!heard.insert(seq)),
            What::Op(Op::Heard(Heard { seqs: (first, last), .. })) => heard.insert_all(first, last),
            _ => {}
        }
    }

    /// Whether a client publishes over many connections.
    pub(super) fn publishes(&self, node: NodeId) -> bool {
        self.publishers.contains(&node)
    }

    /// Acknowledged SETs that the final master does not hold, from the first on.
    pub(super) fn lost_sets(&self) -> u64 {
        let sets = self.batches.iter().filter(|batch| batch.load.ask == Ask::Set);
        sets.filter_map(|batch| batch.load.lost).map(u64::from).sum()
    }

    /// Adds what was published from time 0 on.
    pub(super) fn add_messages(&self, sums: &mut MessageSums, accountant: &Accountant<'_>) {
        sums.duplicates += self.duplicates;
        let mut slices: BTreeMap<(NodeId, (u32, u32)), u64> = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| batch.at >= 0 && batch.load.ask == Ask::Publish) {
            let Load { outcome, nobody, count, lost, seqs, .. } = batch.load;
            let (count, lost) = (u64::from(count), u64::from(lost.unwrap_or(0)));
            *slices.entry((batch.node, seqs)).or_default() += count;
            sums.published += count;
            *sums.by_outcome.entry(outcome.as_str()).or_default() += count;
            sums.delivered += count - lost;
            let cause = if outcome == Outcome::Ok {
                if !nobody && batch.at > accountant.end - UNDECIDED_US {
                    sums.undecided += lost;
                    continue;
                }
                sums.lost_silently += lost;
                accountant.why_unheard(batch.node, batch.at, batch.last, !nobody)
            } else {
                sums.failed_but_delivered += count - lost;
                accountant.why_failed(batch.node, outcome, batch.at, batch.last)
            };
            sums.lost += lost;
            if lost > 0 {
                *sums.by_cause.entry(cause.as_str()).or_default() += lost;
            }
            if [Outcome::ReplyTimeout, Outcome::ReplyClosed].contains(&outcome) {
                sums.reply_never_seen.delivered += count - lost;
                sums.reply_never_seen.lost += lost;
            }
        }
        for ((publisher, (first, last)), count) in slices {
            for node in &accountant.subscribers {
                let heard = self.heard.get(&(publisher, *node)).map_or(0, |heard| heard.count_within(first, last));
                // What a dying client never saw the end of was heard, perhaps, and is not counted as published.
                let heard = heard.min(count);
                let name = accountant.recording.names.node(*node);
                *sums.received_by.entry(name.to_string()).or_default() += heard;
                *sums.missed_by.entry(name.to_string()).or_default() += count - heard;
            }
        }
    }

    /// Adds what was written from time 0 on.
    pub(super) fn add_writes(&self, sums: &mut WriteSums, accountant: &Accountant<'_>) {
        for batch in self.batches.iter().filter(|batch| batch.load.ask == Ask::Set) {
            let Load { outcome, count, lost, .. } = batch.load;
            let count = u64::from(count);
            if batch.at < 0 {
                sums.acknowledged_before += if outcome == Outcome::Ok { count } else { 0 };
                sums.lost_before =
                    sums.lost_before.zip(lost).map(|(sum, lost)| sum + u64::from(lost)).or(sums.lost_before);
                continue;
            }
            sums.attempts += count;
            if outcome != Outcome::Ok {
                let cause: Cause = accountant.why_failed(batch.node, outcome, batch.at, batch.last);
                *sums.failed.entry(outcome.as_str()).or_default() += count;
                *sums.failed_by_cause.entry(cause.as_str()).or_default() += count;
                continue;
            }
            sums.acknowledged += count;
            match (lost, &mut sums.lost) {
                (Some(lost), Some(sum)) => {
                    *sum += u64::from(lost);
                    if lost > 0 {
                        let why: WriteLoss = accountant.write_loss(batch.node, batch.at, batch.last).0;
                        *sums.lost_by_cause.entry(why.as_str()).or_default() += u64::from(lost);
                    }
                }
                // One that is unknown makes the sum unknown.
                (None, _) => {
                    sums.lost = None;
                    sums.lost_by_cause.clear();
                }
                (Some(_), None) => {}
            }
        }
    }
}

/// The longest time without a success that one of many attempts or receptions ended, from when and to when, and when the
/// last of them was answered.
pub(super) fn gap(recording: &Recording, record: &Record, pace: Pace) -> (i64, i64, i64) {
    let (to, last) = (recording.micros_after(record, pace.gap_end), recording.micros_after(record, pace.last));
    (to - i64::from(pace.gap) * 100, to, last)
}
