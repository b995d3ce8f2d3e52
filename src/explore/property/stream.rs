//! Always: the replication stream carries every SET and every PUBLISH that a master accepted.
//!
//! Source: `call` and `propagateNow` (server.c): PUBLISH is replicated although it is no write (`forceCommandPropagation`
//! in pubsub.c). Looked at before the first fault, where one master answers everything.

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Op, Outcome, What};

pub(super) const PROPERTY: Property = Property {
    name: "stream-carries-all",
    kind: Kind::Always,
    says: "a master's offset grows with every SET and PUBLISH that it accepts",
    source: "publishCommand: forceCommandPropagation (pubsub.c); call (server.c)",
    needs: RECORDING,
    check,
};

/// The least that a SET or a PUBLISH of one digit takes in the stream.
const LEAST_BYTES: u64 = 29;

fn check(run: &Run) -> Answer {
    // Until the first checks have failed, HAProxy takes every server that is not a backup for a good one.
    if run.case.scenario.stack.haproxy && !run.case.scenario.haproxy.backup {
        return Answer::Moot;
    }
    let first_fault = run.analysis.faults.first().map_or(run.analysis.end_us, |fault| fault.from_us);
    let before: Vec<_> = run.samples.iter().take_while(|sample| sample.at_us < first_fault - 100_000).collect();
    let (Some(first), Some(last)) = (before.first(), before.last()) else { return Answer::Moot };
    let (Some(old), Some(new)) = (first.redis[0], last.redis[0]) else { return Answer::Moot };
    let inside = |begun: i64, took_us: i64| begun > first.at_us && begun + took_us < last.at_us;
    let accepted = run.recording().records.iter().filter(|record| {
        let (What::Op(Op::Set { outcome: Outcome::Ok | Outcome::Unreplicated, took, .. })
        | What::Op(Op::Publish { outcome: Outcome::Ok, took, .. })) = record.what
        else {
            return false;
        };
        inside(run.recording().micros(record.time), (took.0 / 1_000) as i64)
    });
    let accepted = accepted.count() as u64;
    // A master that never had a replica has no stream.
    if accepted < 20 || old.replid != new.replid || old.offset == 0 {
        return Answer::Moot;
    }
    let grown = new.offset - old.offset;
    if grown < accepted * LEAST_BYTES {
        let what = format!("{accepted} SETs and PUBLISHes were accepted, and the stream grew by {grown} bytes only");
        return Answer::found(last.at_us, what);
    }
    Answer::Holds
}
