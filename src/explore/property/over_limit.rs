//! Always: who is closed for its output buffer was above a limit.
//!
//! Source: `checkClientOutputBufferLimits` (networking.c): the hard limit is reached, or the soft one was for more than its seconds.

use super::disturbances::was_told;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, RedisEvent, What};

pub(super) const PROPERTY: Property = Property {
    name: "closed-above-limit",
    kind: Kind::Always,
    says: "a client is closed for its output buffer only when that is above a limit of its class",
    source: "checkClientOutputBufferLimits (networking.c)",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    if was_told(run, &["CONFIG"]) {
        return Answer::Moot;
    }
    let mut answer = Answer::Moot;
    for record in &run.recording().records {
        let What::Event(Event::Redis(RedisEvent::OutputLimit(over))) = &record.what else { continue };
        let Some(place) = run.layout.all_redis().position(|node| node == record.node) else { continue };
        let limits = &run.case.scenario.redis[place].client_output_buffer_limit;
        let limit = match over.class {
            "pubsub" => limits.pubsub,
            "slave" => limits.replica,
            _ => limits.normal,
        };
        let used = over.client.rsplit_once("omem=").and_then(|(_, used)| used.parse::<u64>().ok());
        let least = [limit.hard_bytes, limit.soft_bytes].into_iter().filter(|bytes| *bytes > 0).min();
        let is_above = used.zip(least).is_some_and(|(used, least)| used >= least);
        if !is_above {
            let what = format!("{} closes {} below every limit of its class", run.name(record.node), over.client);
            return Answer::found(run.recording().micros(record.time), what);
        }
        answer = Answer::Holds;
    }
    answer
}
