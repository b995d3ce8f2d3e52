//! Always: the ledger adds up: every published message is delivered, lost or undecided, and nothing is received that
//! was not published.
//!
//! Source: the ledger's own definition (`analysis::ledger`), which asserts the sums of fates and causes.

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;

pub(super) const PROPERTY: Property = Property {
    name: "ledger-adds-up",
    kind: Kind::Always,
    says: "every message has one fate, and what is received was published",
    source: "analysis::ledger",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let (sums, writes) = (&run.analysis.ledger.sums, &run.analysis.ledger.writes);
    if sums.published + writes.attempts == 0 {
        return Answer::Moot;
    }
    let failed: u64 = writes.failed.values().sum();
    if writes.attempts != writes.acknowledged + failed {
        return Answer::at_end(
            run,
            format!("{} writes, {} acknowledged and {failed} failed", writes.attempts, writes.acknowledged),
        );
    }
    // What is lost counts from the first write on, the sums from time 0 on.
    let acknowledged = run.recording().records.iter().filter(|record| {
        matches!(
            record.what,
            crate::record::What::Op(crate::record::Op::Set { outcome: crate::record::Outcome::Ok, .. })
        )
    });
    if run.result.lost_writes.len() > acknowledged.count() {
        return Answer::at_end(run, "more writes are lost than were acknowledged");
    }
    // A message that was on its way when its publisher died has no line of its own.
    let publisher_died = run.analysis.faults.iter().any(|fault| {
        let clients = &run.case.scenario.clients;
        let is_client = |node: &str| clients.iter().any(|client| client.name == node || client.host == node);
        !fault.is_undoing() && fault.nodes.iter().any(|node| is_client(node))
    });
    let go = run.case.scenario.clients.iter().any(|client| client.profile == crate::client::Profile::GoRedisV8);
    let in_flight = run.case.scenario.clients.iter().map(|client| u64::from(client.connections)).sum::<u64>();
    if sums.unmatched > in_flight && !publisher_died && !go {
        return Answer::at_end(run, format!("{} messages were received that nobody published", sums.unmatched));
    }
    if sums.published != sums.delivered + sums.lost + sums.undecided {
        return Answer::at_end(run, "the fates of the messages do not add up");
    }
    Answer::Holds
}
