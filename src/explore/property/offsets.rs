//! Always: offsets and histories are consistent.
//!
//! A replica whose link is up is in its master's history and never ahead of it, and two servers at the same offset of
//! the same history hold the same data.
//!
//! Source: redis.io, "Redis replication": "a replication ID marks a given history of the data set; if two instances
//! have the same ID and offset, they have exactly the same data". A restarted server may reuse neither.

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::{RedisView, Run};
use crate::wire::Role;
use crate::world::State;

pub(super) const PROPERTY: Property = Property {
    name: "offsets-and-histories",
    kind: Kind::Always,
    says: "a linked replica is in its master's history and not ahead; the same offset means the same data",
    source: "redis.io, Redis replication: replication ID and offset",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let mut seen = false;
    // Whom each replica has been linked to since its link came up, and which of that server's processes it was: a link to one
    // that lost its power looks up until TCP finds out, whatever runs there now.
    let mut links: Vec<Option<(usize, u32)>> = Vec::new();
    for sample in &run.samples {
        links.resize(sample.redis.len(), None);
        let views: Vec<(usize, &RedisView)> =
            sample.redis.iter().enumerate().filter_map(|(place, view)| Some((place, view.as_ref()?))).collect();
        for (place, view) in &views {
            let name = run.redis_name(*place);
            let linked = view.role == Some(Role::Slave) && view.link_up && view.state == State::Running;
            let master = view.master.and_then(|master| sample.redis[master].as_ref().map(|view| (master, view)));
            links[*place] = match links[*place].filter(|(of, _)| view.master == Some(*of)) {
                _ if !view.link_up => None,
                // Also while nothing runs there.
                Some(link) => Some(link),
                None => master.map(|(master, held)| (master, held.life)),
            };
            if let (true, Some((master, held))) = (linked, master)
                && links[*place] == Some((master, held.life))
                && held.replid == view.replid
            {
                seen = true;
                if view.offset > held.offset {
                    let of = run.redis_name(master);
                    let what = format!("{name} is at offset {}, its master {of} at {}", view.offset, held.offset);
                    return Answer::found(sample.at_us, what);
                }
            }
            let twin = views.iter().find(|(other, twin)| {
                let settled = |view: &RedisView| view.role == Some(Role::Master) || view.link_up;
                other > place
                    && (twin.replid, twin.offset) == (view.replid, view.offset)
                    && settled(twin)
                    && settled(view)
                    && twin.keys != view.keys
            });
            if let Some((other, twin)) = twin {
                let other = run.redis_name(*other);
                let what = format!(
                    "{name} and {other} are at offset {} of one history and hold {} and {} keys",
                    view.offset, view.keys, twin.keys
                );
                return Answer::found(sample.at_us, what);
            }
        }
    }
    if seen { Answer::Holds } else { Answer::Moot }
}
