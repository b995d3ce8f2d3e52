//! Always: a replica with `replica-priority 0` is never promoted by a Sentinel.
//!
//! Source: redis.conf on `replica-priority`; `sentinelSelectSlave`.

use super::disturbances::was_told;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, SentinelEvent, SentinelEventKind, What};

pub(super) const PROPERTY: Property = Property {
    name: "priority-zero",
    kind: Kind::Always,
    says: "a replica with priority 0 is never selected",
    source: "redis.conf: replica-priority; sentinelSelectSlave (sentinel.c)",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    if was_told(run, &["replica-priority", "slave-priority"]) {
        return Answer::Moot;
    }
    let mut answer = Answer::Moot;
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(SentinelEvent::About(SentinelEventKind::SelectedSlave, who))) = &record.what
        else {
            continue;
        };
        answer = Answer::Holds;
        let Some(node) = run.layout.redis_at(who.addr) else { continue };
        if run.case.scenario.redis[node.0 as usize].replica_priority == 0 {
            let what = format!("{} selects {}, whose priority is 0", run.name(record.node), run.name(node));
            return Answer::found(run.recording().micros(record.time), what);
        }
    }
    answer
}
