//! placeholder
use super::{Explanation, Subject};
pub(super) fn summary(subject: &Subject) -> Explanation {
    Explanation::new(subject, "")
}
