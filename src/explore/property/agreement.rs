//! After the last heal and a quiet time of 2 × failover-timeout + 30 s: all live Sentinels name the same master, and it
//! lives and is one.
//!
//! The documented limits (`must_be_well`): a master that comes back as a replica while the replicas' links to it have been
//! down for more than 10 × down-after is replaced by nobody; a leader whose promoted replica died waits for it; a leader
//! that another one overtakes may keep its own master for ever; FAILOVER may have handed the role to a replica that no Sentinel
//! promotes.
//!
//! Source: redis.io, "High availability with Redis Sentinel": "the configuration with the greatest epoch wins and
//! spreads to all Sentinels"; a failover that failed is tried again after 2 × failover-timeout.

use super::disturbances::must_be_well;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::wire::Role;
use crate::world::State;

pub(super) const PROPERTY: Property = Property {
    name: "sentinels-agree",
    kind: Kind::AfterHeal,
    says: "all live Sentinels name the same master, which runs as one, but for known weaknesses",
    source: "redis.io: Sentinel, configuration propagation",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    if run.layout.all_sentinels().count() == 0 || !must_be_well(run) {
        return Answer::Moot;
    }
    let last = run.last();
    let named: Vec<(usize, Option<usize>)> =
        last.sentinels.iter().enumerate().filter_map(|(place, view)| Some((place, view.as_ref()?.names))).collect();
    let Some((_, first)) = named.first() else { return Answer::Moot };
    let name = |place: &Option<usize>| place.map_or("nobody", |place| run.redis_name(place)).to_owned();
    if let Some((dissenter, other)) = named.iter().find(|(_, names)| names != first) {
        let (dissenter, other, first) = (dissenter + 1, name(other), name(first));
        return Answer::at_end(run, format!("sentinel-{dissenter} names {other}, others name {first}"));
    }
    let master = first.and_then(|place| last.redis[place].as_ref());
    match master {
        Some(view) if view.role == Some(Role::Master) && view.state == State::Running => Answer::Holds,
        Some(_) => Answer::at_end(run, format!("all Sentinels name {}, which is not a master", name(first))),
        None => Answer::at_end(run, format!("all Sentinels name {}, which is down", name(first))),
    }
}
