//! After heal and quiet time: all live replicas follow the master and hold its data.
//!
//! Source: Sentinel points every replica to the master that it names (`+slave-reconf-sent`, `+fix-slave-config`,
//! `+convert-to-slave`), and replication brings them up to date.

use super::disturbances::must_be_well;
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::wire::Role;

pub(super) const PROPERTY: Property = Property {
    name: "replicas-follow",
    kind: Kind::AfterHeal,
    says: "all live replicas follow the named master, linked, in its history, with its data",
    source: "sentinelRefreshInstanceInfo: fix-slave-config, convert-to-slave (sentinel.c)",
    needs: RECORDING,
    check,
};

/// What may be on its way to a replica, in bytes of the stream and in keys: a slow link's worth.
const BEHIND_BYTES: u64 = 1 << 16;
const BEHIND_KEYS: usize = 200;

fn check(run: &Run) -> Answer {
    if !must_be_well(run) {
        return Answer::Moot;
    }
    let last = run.last();
    let Some(place) = last.sentinels.iter().flatten().find_map(|view| view.names) else { return Answer::Moot };
    let Some(master) = &last.redis[place] else { return Answer::Moot };
    let mut answer = Answer::Moot;
    for (other, view) in last.redis.iter().enumerate() {
        let (Some(view), true) = (view, other != place) else { continue };
        answer = Answer::Holds;
        let (name, of) = (run.redis_name(other), run.redis_name(place));
        if view.role != Some(Role::Slave) {
            return Answer::at_end(run, format!("{name} is still a master beside {of}"));
        }
        if view.master != Some(place) {
            let whom = view.master.map_or("nobody", |place| run.redis_name(place));
            return Answer::at_end(run, format!("{name} follows {whom}, the master is {of}"));
        }
        if !view.link_up || view.replid != master.replid {
            return Answer::at_end(run, format!("{name} is not linked to {of}"));
        }
        if view.offset + BEHIND_BYTES < master.offset || view.keys + BEHIND_KEYS < master.keys {
            let what = format!(
                "{name} holds {} keys at {}, {of} {} at {}",
                view.keys, view.offset, master.keys, master.offset
            );
            return Answer::at_end(run, what);
        }
    }
    answer
}
