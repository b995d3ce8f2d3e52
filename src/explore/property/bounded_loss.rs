//! Always: with `min-replicas-to-write` at the number of replicas the loss is bounded by lag × rate for every change of
//! the master. With a smaller number the old master may keep enough replicas on its side, and its loss has no bound.
//!
//! Source: redis.io, "High availability with Redis Sentinel": with `min-replicas-to-write 1` and `min-replicas-max-lag
//! 10` "the old master will be unavailable after 10 seconds". The lag is counted in whole seconds, by a job that runs
//! once a second (`refreshGoodSlavesCount`), so two more seconds may pass.
//!
//! The lag is the age of the last acknowledgement, not of what it acknowledges. After a cut TCP repeats what was lost in
//! it at once or when it has waited as long again (RFC 6298, 5.5), each direction by a clock of its own: in a short time
//! between two cuts an acknowledgement may arrive and the data not, and the lag begins anew.

use super::disturbances::{disturbances, hits_redis};
use super::{Answer, Kind, Property, RECORDING};
use crate::analysis::faults::Window;
use crate::explore::observe::Run;
use crate::record::{Effect, Event, What};

pub(super) const PROPERTY: Property = Property {
    name: "bounded-loss",
    kind: Kind::Always,
    says: "with min-replicas-to-write, each change of the master loses at most (lag + 2 s) × rate",
    source: "redis.io: Sentinel, min-replicas-to-write; refreshGoodSlavesCount (replication.c)",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let scenario = &run.case.scenario;
    // Fewer than all replicas may be on the old master's side with a Sentinel that cannot promote any of them.
    let all = scenario.redis.len() - 1;
    let guarded = scenario
        .redis
        .iter()
        .all(|config| config.min_replicas_to_write as usize >= all && config.min_replicas_max_lag > 0);
    if !guarded || all == 0 {
        return Answer::Moot;
    }
    // Not what it promises anything about: servers that come back empty, links so slow that acknowledgements come and
    // data does not, settings changed under way, a master made by hand.
    let outside = disturbances(run).iter().any(|fault| match fault.effect() {
        Effect::Slows => true,
        Effect::Starts | Effect::Commands | Effect::Skews | Effect::Prepares | Effect::Clogs => hits_redis(run, fault),
        _ => false,
    });
    let paced = scenario.clients.iter().all(|client| client.pause.is_none());
    let slow = scenario.network.default.rate.bits_per_second().is_some();
    if outside || !paced || slow || run.analysis.final_master.is_none() {
        return Answer::Moot;
    }
    let writers = scenario.clients.iter().filter(|client| client.writes());
    let rate: f64 = writers.map(|client| 1.0 / client.every.as_secs_f64()).sum();
    let lag = scenario.redis.iter().map(|config| config.min_replicas_max_lag).max().unwrap_or(0);
    let changes = run.recording().records.iter().filter(|record| {
        let changed = matches!(&record.what, What::Event(Event::Redis(event)) if event.leads());
        changed && run.recording().micros(record.time) >= 0
    });
    let changes = changes.count();
    let bound = changes as f64 * rate * f64::from(lag + 2) + rate * unrepeated_s(&disturbances(run)) + 2.0;
    let lost = run.result.lost_writes.len();
    if lost as f64 > bound {
        let what = format!("{lost} acknowledged writes are lost in {changes} changes; the bound is {bound:.0}");
        return Answer::at_end(run, what);
    }
    if changes > 0 { Answer::Holds } else { Answer::Moot }
}

/// For how long data may have waited in cuts and in the times between them, all together, in seconds.
fn unrepeated_s(disturbances: &[&Window]) -> f64 {
    let mut waited_us = 0;
    // Since when data waits, by when it is repeated, and when the last disturbance began before that.
    let mut waiting: Option<(i64, i64, i64)> = None;
    for window in disturbances {
        let from_us = window.from_us;
        let (since_us, mut by_us, last_us) =
            waiting.filter(|&(_, by_us, _)| from_us <= by_us).unwrap_or((from_us, from_us, from_us));
        waited_us += from_us - last_us;
        if window.effect() == Effect::Cuts {
            let healed_us = window.until_or(i64::MAX / 4);
            by_us = by_us.max(healed_us + (healed_us - since_us));
        }
        waiting = Some((since_us, by_us, from_us));
    }
    waited_us as f64 / 1e6
}
