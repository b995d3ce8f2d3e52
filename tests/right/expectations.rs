//! Expectations and figures: one name, one meaning, and what was not counted is unknown.
