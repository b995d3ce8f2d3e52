//! After heal and quiet time: HAProxy routes to the master that the Sentinels name, and no session is left elsewhere.
//!
//! Source: HAProxy's check asks for `role:master`, and only one server is one; Sentinel closes the clients of a server
//! whose role it changes (`CLIENT KILL TYPE normal` and `pubsub` in `sentinelSendSlaveOf`).

use super::disturbances::{disturbances, hits_redis, is_pinned, must_be_well};
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::Effect;
use crate::world::State;

pub(super) const PROPERTY: Property = Property {
    name: "proxy-routes-to-master",
    kind: Kind::AfterHeal,
    says: "HAProxy sends sessions to the named master; with shutdown-sessions none is on another server",
    source: "haproxy.cfg: tcp-check expect role:master; sentinelSendSlaveOf: CLIENT KILL (sentinel.c)",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let last = run.last();
    let (Some(view), true) = (&last.haproxy, must_be_well(run)) else { return Answer::Moot };
    if view.state != State::Running {
        return Answer::Moot;
    }
    let Some(place) = last.sentinels.iter().flatten().find_map(|view| view.names) else { return Answer::Moot };
    let of = run.redis_name(place);
    if view.usable != Some(place) {
        let whom = view.usable.map_or("nobody", |place| run.redis_name(place));
        return Answer::at_end(run, format!("HAProxy routes to {whom}, the master is {of}"));
    }
    // REPLICAOF by hand closes nobody's connection, and a packet may be lost for good when its sender has died.
    let by_hand = disturbances(run).iter().any(|fault| fault.effect() == Effect::Commands && hits_redis(run, fault));
    let elsewhere = view.sessions.iter().enumerate().find(|(other, sessions)| *other != place && **sessions > 0);
    match elsewhere {
        Some((other, sessions)) if !by_hand && !is_pinned(run) && last.redis[other].is_some() => {
            let what = format!("{sessions} sessions are still on {}, the master is {of}", run.redis_name(other));
            Answer::at_end(run, what)
        }
        _ => Answer::Holds,
    }
}
