//! Always: what the scenario itself expects. A random scenario expects nothing; a given one is held to its word under every
//! seed, and under every schedule that is drawn for it.

use super::{Answer, Finding, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::scenario::unmet;

pub(super) const PROPERTY: Property = Property {
    name: EXPECTATIONS,
    kind: Kind::Always,
    says: "the run meets the [expect] of its scenario",
    source: "the scenario itself",
    needs: RECORDING,
    check,
};

/// Its name.
pub const EXPECTATIONS: &str = "expectations";

fn check(run: &Run) -> Answer {
    let Some(expected) = &run.case.scenario.expect else { return Answer::Moot };
    let misses = unmet(expected, &run.analysis);
    match misses.is_empty() {
        true => Answer::Holds,
        false => {
            let what: Vec<String> = misses.iter().map(ToString::to_string).collect();
            Answer::Found(Finding { at_us: None, what: what.join("; ") })
        }
    }
}
