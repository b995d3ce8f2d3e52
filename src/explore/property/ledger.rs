//! Always: the ledger adds up: every published message is delivered, lost or undecided, and nothing is received that
//! was not published. Every write that failed and every one that is lost has one cause.
//!
//! Source: the ledger's own definition (`analysis::ledger`), which asserts the sums of fates and causes.

use super::{Answer, Kind, Property, RECORDING};
use crate::analysis::ledger::WriteSums;
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
    if let Some(what) = do_not_add_up(writes) {
        return Answer::at_end(run, what);
    }
    // What is lost counts from the first write on, the sums from time 0 on.
    let acknowledged = run.recording().records.iter().filter(|record| {
        matches!(
            record.what,
            crate::record::What::Op(crate::record::Op::Set { outcome, .. }) if outcome.is_acknowledged()
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
    // Who tries a command again does not count how often it was executed.
    let repeats = run.case.scenario.clients.iter().any(|client| client.habits().executions_max() != Some(1));
    let in_flight = run.case.scenario.clients.iter().map(|client| u64::from(client.connections)).sum::<u64>();
    if sums.unmatched > in_flight && !publisher_died && !repeats {
        return Answer::at_end(run, format!("{} messages were received that nobody published", sums.unmatched));
    }
    if sums.published != sums.delivered + sums.lost + sums.undecided {
        return Answer::at_end(run, "the fates of the messages do not add up");
    }
    Answer::Holds
}

/// Which sums of the writes are not those of their parts.
fn do_not_add_up(writes: &WriteSums) -> Option<String> {
    let [failed, by_cause, lost_by_cause] =
        [&writes.failed, &writes.failed_by_cause, &writes.lost_by_cause].map(|parts| parts.values().sum::<u64>());
    if failed != by_cause {
        return Some(format!("{failed} writes failed, and {by_cause} have a cause"));
    }
    let lost = writes.lost?;
    if lost != lost_by_cause {
        return Some(format!("{lost} acknowledged writes are lost, and {lost_by_cause} have a cause"));
    }
    let acknowledged = writes.acknowledged + writes.acknowledged_before;
    (lost > acknowledged).then(|| format!("{acknowledged} writes acknowledged, {lost} of these lost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_are_wrong_are_found() {
        let good = WriteSums {
            attempts: 5,
            acknowledged: 3,
            failed: [("readonly", 2)].into(),
            failed_by_cause: [("readonly", 2)].into(),
            lost: Some(1),
            lost_by_cause: [("unexplained", 1)].into(),
            ..WriteSums::default()
        };
        assert_eq!(do_not_add_up(&good), None);
        let without_cause = WriteSums { failed_by_cause: [("readonly", 1)].into(), ..good.clone() };
        assert!(do_not_add_up(&without_cause).expect("found").contains("2 writes failed, and 1 have a cause"));
        let lost = WriteSums { lost: Some(2), ..good.clone() };
        assert!(do_not_add_up(&lost).expect("found").contains("2 acknowledged writes are lost, and 1 have a cause"));
        let many = WriteSums { acknowledged: 0, ..good };
        assert!(do_not_add_up(&many).expect("found").contains("0 writes acknowledged, 1 of these lost"));
    }
}
