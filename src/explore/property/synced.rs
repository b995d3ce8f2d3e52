//! Always: what a server under `appendfsync always` has answered is in its append-only file, whatever ends it.
//!
//! Looked at where it shows: a master that was one since its start ends, is started again as a master, and reads its log. It
//! must hold what it held before, but for the writes that it had not answered yet: one a connection.
//!
//! Source: redis.conf, `appendfsync always`: "fsync after every write to the append only log"; `beforeSleep` writes and syncs
//! the file before replies are sent.

use super::disturbances::was_told;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::{RedisView, Run};
use crate::record::{Event, RedisEvent, What};
use crate::redis::AppendFsync;
use crate::wire::Role;

pub(super) const PROPERTY: Property = Property {
    name: "synced-before-answered",
    kind: Kind::Always,
    says: "under appendfsync always a master that starts again holds all that it had answered",
    source: "redis.conf: appendfsync always; server.c, beforeSleep",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    if was_told(run, &["FLUSHALL", "FLUSHDB", "CONFIG"]) {
        return Answer::Moot;
    }
    // Keys that live for a time only may have ended meanwhile.
    if run.case.scenario.clients.iter().any(|client| client.px.is_some()) {
        return Answer::Moot;
    }
    let writers = run.case.scenario.clients.iter().filter(|client| client.writes());
    let unanswered: usize = writers.map(|client| client.connections as usize).sum();
    let mut answer = Answer::Moot;
    for record in &run.recording().records {
        let What::Event(Event::Redis(RedisEvent::AofLoaded(_))) = record.what else { continue };
        let Some(place) = run.layout.all_redis().position(|node| node == record.node) else { continue };
        let config = &run.case.scenario.redis[place];
        if config.appendfsync != AppendFsync::Always || config.no_appendfsync_on_rewrite {
            continue;
        }
        let at_us = run.recording().micros(record.time);
        let Some((before, after)) = around(run, place, at_us) else { continue };
        if before.keys > after.keys + unanswered {
            let name = run.redis_name(place);
            let what = format!(
                "{name} held {} keys before it ended, and {} when it had read its log",
                before.keys, after.keys
            );
            return Answer::found(at_us, what);
        }
        answer = Answer::Holds;
    }
    answer
}

/// What a server held when its last process was seen last and when the next had read its log, if both were masters
/// from their start.
fn around(run: &Run, place: usize, at_us: i64) -> Option<(RedisView, RedisView)> {
    let views = run.samples.iter().filter_map(|sample| Some((sample.at_us, sample.redis[place]?)));
    let (old, new): (Vec<_>, Vec<_>) = views.partition(|(at, _)| *at < at_us);
    let (_, after) = *new.first()?;
    let (_, before) = *old.iter().rev().find(|(_, view)| view.life < after.life)?;
    let is_master = |(_, view): &&(i64, RedisView)| view.life == before.life && view.role != Some(Role::Master);
    (after.role == Some(Role::Master) && old.iter().find(is_master).is_none()).then_some((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::observe::{Case, Needs, observe_with};
    use crate::mistake::Mistake;
    use crate::scenario::Scenario;
    use crate::world::World;

    const POWER_CUT: &str = "duration = '12s'\nphase = '0s'\nredis.appendonly = true\nredis.appendfsync = 'always'\n\
        [[fault]]\nat = '5s'\naction = 'power-off'\nnode = 'redis-1'\n\
        [[fault]]\nat = '6s'\naction = 'start'\nnode = 'redis-1'\n";

    fn answer(mistake: Option<Mistake>) -> Answer {
        let case = Case { scenario: Scenario::parse("a.toml", POWER_CUT).expect("a right file"), seed: 1 };
        let build = move |scenario, seed, keep| match mistake {
            Some(mistake) => World::with_mistake(scenario, seed, keep, mistake),
            None => World::new(scenario, seed, keep),
        };
        check(&observe_with(&case, Needs::default(), &build).expect("no invariant breaks"))
    }

    #[test]
    fn a_server_that_does_not_wait_for_its_disk_is_found() {
        assert_eq!(answer(None), Answer::Holds);
        assert!(matches!(answer(Some(Mistake::AnswersBeforeFsync)), Answer::Found(_)));
    }
}
