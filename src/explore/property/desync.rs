//! Always: Sentinels delay their next failover by random times.
//!
//! Source: `sentinelStartFailover` and `sentinelVoteLeader` add `rand() % SENTINEL_MAX_DESYNC` (1 s) to
//! `failover_start_time`, so that candidates do not stand at the same time again and again. The line `Next failover
//! delay` tells the sum; that two of them in a run are both within 5 ms of no delay happens once in 40 000 runs.

use std::collections::BTreeMap;

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Effect, Event, SentinelEvent, What};
use crate::wire::NodeId;

pub(super) const PROPERTY: Property = Property {
    name: "desynchronised",
    kind: Kind::Always,
    says: "the delay to the next failover has a random part",
    source: "SENTINEL_MAX_DESYNC (sentinel.c)",
    needs: RECORDING,
    check,
};

const NONE_US: i64 = 5_000;

fn check(run: &Run) -> Answer {
    if run.analysis.faults.iter().any(|fault| matches!(fault.effect(), Effect::Skews | Effect::Commands)) {
        return Answer::Moot;
    }
    let mut voted: BTreeMap<NodeId, i64> = BTreeMap::new();
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(event)) = &record.what else { continue };
        let at = run.recording().micros(record.time);
        match event {
            SentinelEvent::VoteForLeader(..) => {
                voted.insert(record.node, at);
            }
            SentinelEvent::NextFailoverDelay(until) => {
                let place = record.node.0 as usize - run.layout.all_redis().count();
                let timeout = run.case.scenario.sentinel[place].failover_timeout as i64;
                let Some(voted) = voted.get(&record.node) else { continue };
                parts.push((at, run.recording().micros(*until) - voted - timeout * 2_000));
            }
            _ => {}
        }
    }
    match parts.as_slice() {
        [] | [_] => Answer::Moot,
        [(at, _), ..] if parts.iter().all(|(_, part)| part.abs() < NONE_US) => {
            Answer::found(*at, format!("{} delays, none with a random part", parts.len()))
        }
        _ => Answer::Holds,
    }
}
