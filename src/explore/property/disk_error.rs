//! Always: a master that could not write its files takes no writes until it could.
//!
//! Source: `writeCommandsDeniedByDiskError` and its place in `processCommand` (server.c): `-MISCONF` after a failed BGSAVE with
//! `stop-writes-on-bgsave-error` and save points, and after a failed write of the append-only file.

use std::collections::BTreeMap;

use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::{RedisView, Run};
use crate::record::Effect;
use crate::wire::Role;

pub(super) const PROPERTY: Property = Property {
    name: "disk-error-refuses-writes",
    kind: Kind::Always,
    says: "a master whose last save or log write failed holds no new key until one succeeds",
    source: "writeCommandsDeniedByDiskError, processCommand (server.c)",
    needs: RECORDING,
    check,
};

/// After a disk is well again the log is written within a second (`serverCron`, `flushAppendOnlyFile`); until a save that had
/// begun before it fails, writes are taken.
const RETRIED_US: i64 = 1_500_000;

/// Whether a disk was well again shortly before or during a span of time.
fn is_healed(run: &Run, from_us: i64, to_us: i64) -> bool {
    let mut ends =
        run.analysis.faults.iter().filter(|fault| fault.effect() == Effect::Clogs).filter_map(|fault| fault.until_us);
    ends.any(|end| end <= to_us && from_us <= end + RETRIED_US)
}

fn check(run: &Run) -> Answer {
    let mut answer = Answer::Moot;
    let mut before: BTreeMap<usize, (i64, RedisView)> = BTreeMap::new();
    for sample in &run.samples {
        for (place, view) in sample.redis.iter().enumerate() {
            let refuses = view.filter(|view| view.refuses_for_disk && view.role == Some(Role::Master));
            let Some(view) = refuses else {
                before.remove(&place);
                continue;
            };
            let earlier = before.insert(place, (sample.at_us, view)).filter(|(_, earlier)| earlier.life == view.life);
            if let Some((_, earlier)) = earlier.filter(|(since_us, _)| !is_healed(run, *since_us, sample.at_us)) {
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
