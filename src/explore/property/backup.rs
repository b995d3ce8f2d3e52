//! Always: while a server without `backup` is UP, HAProxy sends no new session to one with it.
//!
//! Source: HAProxy configuration manual, `backup`: "the server will only be used in load balancing when all other
//! non-backup servers are unavailable"; without `option allbackups` the first backup takes everything.

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;

pub(super) const PROPERTY: Property = Property {
    name: "backup-is-backup",
    kind: Kind::Always,
    says: "a backup server gets no session while redis-1 is up; among backups the first takes all",
    source: "HAProxy configuration manual: backup, option allbackups",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    if !run.case.scenario.stack.haproxy || !run.case.scenario.haproxy.backup {
        return Answer::Moot;
    }
    let mut answer = Answer::Moot;
    for sample in &run.samples {
        let Some(view) = &sample.haproxy else { continue };
        if view.up.iter().filter(|up| **up).count() > 1 {
            answer = Answer::Holds;
        }
        let right = view.up.iter().position(|up| *up);
        if view.usable != right {
            let name = |server: Option<usize>| server.map_or("nobody", |server| run.redis_name(server)).to_owned();
            let what = format!("a new session goes to {} and not to {}", name(view.usable), name(right));
            return Answer::found(sample.at_us, what);
        }
    }
    answer
}
