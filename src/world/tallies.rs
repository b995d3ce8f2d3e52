//! What clients with many connections counted, as records: put together at the end, when it is known which writes the
//! final master holds and who heard what.

use std::collections::BTreeMap;

use crate::client::{Client, Kind, Tally, Times};
use crate::kernel::{EventId, Span, Time};
use crate::program::Desk;
use crate::record::{Ask, Heard, Load, Op, Outcome, Pace, Record, Recording, What};
use crate::release::Dialect;
use crate::wire::{NodeId, Ranges};

/// What clients that are gone have left.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies {
    loads: Vec<(NodeId, Tally)>,
    records: Vec<Record>,
}

/// What becomes of a client's attempts, as far as the world knows.
pub(super) struct Ends {
    /// What the client asks for.
    pub ask: Ask,
    /// The SEQs that arrived: heard by somebody, or in the final master's data; none if nobody can say.
    pub arrived: Option<Ranges>,
}

impl Tallies {
    /// Keeps what a client has counted whose process dies.
    pub(super) fn take(&mut self, node: NodeId, client: &Client, desk: &Desk) {
        if !desk.is_recording() {
            return;
        }
        self.loads.extend(client.tally().map(|tally| (node, tally.clone())));
        let record = |(time, op)| Record {
            time,
            node,
            during: EventId::default(),
            dialect: Dialect::default(),
            what: What::Op(op),
        };
        self.records.extend(client.unrecorded().into_iter().map(record));
    }

    /// The records that are finished.
    pub(super) fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// The records of all attempts, and how many acknowledged SETs are lost.
    pub(super) fn loads(&self, ends: impl Fn(NodeId) -> Ends) -> (Vec<Record>, u64) {
        let (mut records, mut lost) = (Vec::new(), 0);
        for (node, tally) in &self.loads {
            let Ends { ask, arrived } = ends(*node);
            let counts = |outcome| ask == Ask::Publish || (ask == Ask::Set && outcome == Outcome::Ok);
            let by_end: Vec<(crate::client::End, Option<Ranges>)> = tally
                .by_end()
                .into_iter()
                .map(|(end, seqs)| (end, arrived.as_ref().filter(|_| counts(end.0)).map(|arrived| seqs.minus(arrived))))
                .collect();
            for slice in tally.slices() {
                for (end, times) in &slice.ends {
                    let missing = by_end.iter().find(|(other, _)| other == end).and_then(|(_, seqs)| seqs.as_ref());
                    let (first, last) = slice.seqs;
                    let missing = missing.map(|seqs| seqs.count_within(first, last) as u32);
                    lost += u64::from(missing.filter(|_| ask == Ask::Set).unwrap_or(0));
                    let op = Op::Load(Load {
                        ask,
                        outcome: end.0,
                        nobody: end.1,
                        count: times.count,
                        lost: missing,
                        seqs: slice.seqs,
                        pace: pace(slice.began, times),
                    });
                    records.push(Record {
                        time: slice.began,
                        node: *node,
                        during: EventId::default(),
                        dialect: Dialect::default(),
                        what: What::Op(op),
                    });
                }
            }
        }
        (records, lost)
    }

    /// The clients that left a count.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.loads.iter().map(|(node, _)| *node)
    }
}

fn pace(began: Time, times: &Times) -> Pace {
    let span = |span: Span| Recording::ticks_between(Time::ZERO, Time::ZERO + span);
    let after = |at: Time| span(at.since(began));
    Pace { last: after(times.last), gap: span(times.gap), gap_end: after(times.gap_end) }
}

/// What a client of a kind asks for.
pub(super) fn ask(kind: Kind) -> Option<Ask> {
    match kind {
        Kind::Publish => Some(Ask::Publish),
        Kind::Set => Some(Ask::Set),
        Kind::Get => Some(Ask::Get),
        Kind::Subscribe => None,
    }
}

/// Which messages of whom anybody heard, by the publisher's place among the clients.
pub(super) fn heard(records: &[Record]) -> BTreeMap<u16, Ranges> {
    let mut heard: BTreeMap<u16, Ranges> = BTreeMap::new();
    for record in records {
        match record.what {
            What::Op(Op::Receive { publisher, seq }) => {
                heard.entry(publisher).or_default().insert(seq);
            }
            What::Op(Op::Heard(Heard { publisher, seqs: (first, last), .. })) => {
                heard.entry(publisher).or_default().insert_all(first, last);
            }
            _ => {}
        }
    }
    heard
}
