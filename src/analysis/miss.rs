//! What a run lacks of what was expected of it.

use std::fmt::Display;

use serde::Serialize;

/// An expectation that a run did not meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The key in `[expect]`.
    pub key: &'static str,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Display for Miss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {} = {}, found {}", self.key, self.expected, self.found)
    }
}
