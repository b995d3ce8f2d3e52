//! Always: a repetition of a run has the same digest, whether its records are kept or not.
//!
//! Source: the second rule of the house: the same seed gives the same bytes.

use super::{Answer, Kind, Property};
use crate::explore::observe::{Needs, Run};

pub(super) const PROPERTY: Property = Property {
    name: "same-digest-again",
    kind: Kind::Always,
    says: "a repetition of a run has its digest",
    source: "docs: the same seed gives the same bytes",
    needs: Needs { trace: false, repetition: true },
    check,
};

fn check(run: &Run) -> Answer {
    match run.repetition {
        None => Answer::Moot,
        Some(digest) if digest == run.result.digest => Answer::Holds,
        Some(digest) => {
            Answer::at_end(run, format!("digest {:032x}, and {digest:032x} when repeated", run.result.digest))
        }
    }
}
