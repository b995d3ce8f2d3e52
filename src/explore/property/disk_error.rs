//! Always: a master that could not write its files takes no writes until it could.
//!
//! Source: `writeCommandsDeniedByDiskError` and its place in `processCommand` (server.c): `-MISCONF` after a failed BGSAVE with
//! `stop-writes-on-bgsave-error` and save points, and after a failed write of the append-only file.

use std::collections::BTreeMap;

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::{RedisView, Run};
use crate::wire::Role;

pub(super) const PROPERTY: Property = Property {
    name: "disk-error-refuses-writes",
    kind: Kind::Always,
    says: "a master whose last save or log write failed holds no new key until one succeeds",
    source: "writeCommandsDeniedByDiskError, processCommand (server.c)",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let mut answer = Answer::Moot;
    let mut before: BTreeMap<usize, RedisView> = BTreeMap::new();
    for sample in &run.samples {
        for (place, view) in sample.redis.iter().enumerate() {
            let refuses = view.filter(|view| view.refuses_for_disk && view.role == Some(Role::Master));
            let Some(view) = refuses else {
                before.remove(&place);
                continue;
            };
            if let Some(earlier) = before.insert(place, view).filter(|earlier| earlier.life == view.life) {
                answer = Answer::Holds;
                if view.keys > earlier.keys {
                    let name = run.redis_name(place);
                    let what =
                        format!("{name} refuses writes for its disk and has {} keys after {}", view.keys, earlier.keys);
                    return Answer::found(sample.at_us, what);
                }
            }
        }
    }
    answer
}
