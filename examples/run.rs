//! One run, and what follows from it: `cargo run --release --example run`.
//!
//! The master's process is killed. The run says who was promoted, how long nobody could write, and what was lost.

use std::sync::Arc;

use sim::analysis::outages::Activity;
use sim::scenario::Scenario;

const SCENARIO: &str = r#"
duration = "30s"
[[fault]]
at = "0s"
action = "kill"
node = "@master"
[expect]
lost-acked-sets = { max = 5 }
"#;

fn main() {
    let scenario = Scenario::parse("kill.toml", SCENARIO).unwrap_or_else(|error| panic!("{error:?}"));
    let run = sim::run(&Arc::new(scenario), 7);
    assert!(run.result.unready.is_none(), "the stack starts");

    let analysis = &run.analysis;
    for failover in analysis.completed() {
        println!("{} led a failover", failover.leader);
    }
    println!("master at the end: {}", analysis.final_master.as_deref().unwrap_or("none"));
    if let Some(outage_us) = analysis.longest_outage_us(Activity::Set) {
        println!("nobody could write for {:.2} s", outage_us as f64 / 1e6);
    }
    println!("messages lost: {}", analysis.ledger.sums.lost);
    for miss in &run.misses {
        println!("missed: {} {}", miss.key, miss.found);
    }
    println!("digest of all events: {:032x}", run.result.digest);
}
