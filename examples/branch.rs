//! What else could have come of a run: `cargo run --release --example branch`.
//!
//! Two seconds after the master died everything stays as it is, and luck is drawn anew a hundred times.

use std::sync::Arc;

use sim::analysis::metrics::{Figures, Metric};
use sim::explore::branching::branch;
use sim::scenario::Scenario;

const SCENARIO: &str = r#"
duration = "30s"
[[fault]]
at = "0s"
action = "kill-host"
node = "@master"
"#;

fn main() {
    let scenario = Scenario::parse("kill.toml", SCENARIO).unwrap_or_else(|error| panic!("{error:?}"));
    let metric = Metric::named("set-outage");
    let (trunk, forks) = branch(&Arc::new(scenario), 7, &[2_000_000], 100, &|| {});
    let seconds = |figures: &Figures| figures.number(metric);

    println!("this run: {:.2} s without a write", seconds(&trunk.metrics).expect("there is a writer"));
    let mut others: Vec<f64> = forks[0].leaves.iter().filter_map(|leaf| seconds(&leaf.metrics)).collect();
    others.sort_by(f64::total_cmp);
    println!("what else could have come of it 2 s after: {:.2} to {:.2} s", others[0], others[others.len() - 1]);
}
