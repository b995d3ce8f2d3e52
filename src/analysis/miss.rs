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

/// An expectation, and whether it was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The key in `[expect]`; of many runs, with the statistic.
    pub key: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Whether that is what was expected.
    pub met: bool,
}

impl Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {} = {}, found {}", self.key, self.expected, self.found)
    }
}
