//! placeholder
use super::{Explanation, NoAnswer, Subject};
pub(super) fn failover(subject: &Subject, _n: usize) -> Result<Explanation, NoAnswer> {
    Ok(Explanation::new(subject, ""))
}
