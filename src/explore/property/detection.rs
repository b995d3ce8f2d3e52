//! Always: a Sentinel that nothing disturbs calls a silent master subjectively down in time.
//!
//! Source: `sentinelCheckSubjectivelyDown`: the oldest PING without an answer is `down-after-milliseconds` old; a PING
//! is sent every `ping-period` or `down-after-milliseconds`, whichever is less (`sentinelSendPeriodicCommands`). So it
//! takes down-after, plus at most one such period, plus a few ticks of 100 ms.

use super::disturbances::disturbances;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, InstanceKind, Order, SentinelEvent, SentinelEventKind, What};

pub(super) const PROPERTY: Property = Property {
    name: "detection-in-time",
    kind: Kind::Always,
    says: "a silent master is +sdown after down-after, plus at most one ping period",
    source: "sentinelCheckSubjectivelyDown, sentinelSendPeriodicCommands (sentinel.c)",
    needs: RECORDING,
    check,
};

/// Three ticks, their jitter, and a slow link.
const SLACK_US: i64 = 400_000;

fn check(run: &Run) -> Answer {
    let all = disturbances(run);
    let mut answer = Answer::Moot;
    for fault in &all {
        let falls_silent = matches!(fault.fault.order(), Some(Order::Pause | Order::PowerOff));
        let silent = fault.fault.node().filter(|name| falls_silent && run.recording().names.is_redis(name));
        let Some(silent) = silent else { continue };
        for (place, node) in run.layout.all_sentinels().enumerate() {
            let config = &run.case.scenario.sentinel[place];
            let limit =
                (config.down_after_milliseconds + config.ping_period.min(config.down_after_milliseconds)) as i64;
            let deadline = fault.from_us + limit * 1_000 + SLACK_US;
            // Anything else that happens from shortly before until then may have a part in it.
            let alone = all.iter().all(|other| other == fault || !other.overlaps(fault.from_us - 35_000_000, deadline));
            if !alone || fault.until_us.is_some_and(|until| until < deadline) || run.analysis.end_us < deadline {
                continue;
            }
            let before = run.sample_at(fault.from_us - 1);
            let Some(view) = before.and_then(|sample| sample.sentinels[place]) else { continue };
            let is_master = view.names.is_some_and(|place| run.redis_name(place) == silent);
            if !is_master || tilted(run, node, fault.from_us - 35_000_000, deadline) {
                continue;
            }
            answer = Answer::Holds;
            let detected = run.recording().records.iter().any(|record| {
                let at = run.recording().micros(record.time);
                let What::Event(Event::Sentinel(SentinelEvent::About(SentinelEventKind::SdownEntered, who))) =
                    &record.what
                else {
                    return false;
                };
                record.node == node && who.kind == InstanceKind::Master && (fault.from_us..=deadline).contains(&at)
            });
            if !detected && !moved_on(run, node, fault.from_us, deadline) {
                let took = limit + SLACK_US / 1_000;
                let what = format!("{} has not called {silent} down {took} ms after its silence", run.name(node));
                return Answer::found(deadline, what);
            }
        }
    }
    answer
}

fn tilted(run: &Run, node: crate::wire::NodeId, from_us: i64, to_us: i64) -> bool {
    run.recording().records.iter().any(|record| {
        let at = run.recording().micros(record.time);
        record.node == node
            && (from_us..=to_us).contains(&at)
            && matches!(record.what, What::Event(Event::Sentinel(SentinelEvent::Tilt(_))))
    })
}

/// Another Sentinel was quicker, and this one follows the new master already.
fn moved_on(run: &Run, node: crate::wire::NodeId, from_us: i64, to_us: i64) -> bool {
    run.recording().records.iter().any(|record| {
        let at = run.recording().micros(record.time);
        record.node == node
            && (from_us..=to_us).contains(&at)
            && matches!(record.what, What::Event(Event::Sentinel(SentinelEvent::SwitchMaster(..))))
    })
}
