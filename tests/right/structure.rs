//! What a node is comes from the scenario, never from its name.

use super::support::{refusal, run};

#[test]
fn what_the_other_tests_stand_on_works() {
    assert!(run("duration = '1s'\nphase = '0s'", 1).misses.is_empty());
    assert!(refusal("durations = '1s'").contains("durations"));
    let schema = super::support::sim(std::path::Path::new("."), &["schema"]);
    assert!(schema.status.success());
}
