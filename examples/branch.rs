//! What else could have come of a run: `cargo run --release --example branch`.
//!
//! Two seconds after the master died everything stays as it is, and luck is drawn anew a hundred times; then again, with
//! another server dying at that moment.

use std::sync::Arc;

use sim::analysis::Analysis;
use sim::analysis::metrics::{Figures, Metric};
use sim::explore::branching::branch;
use sim::kernel::Span;
use sim::scenario::{Action, Scenario};
use sim::units::SignedSpan;
use sim::world::{Keep, World};

const SCENARIO: &str = r#"
duration = "30s"
[[fault]]
at = "0s"
action = "kill-host"
node = "@master"
"#;

fn main() {
    let scenario = Arc::new(Scenario::parse("kill.toml", SCENARIO).unwrap_or_else(|error| panic!("{error:?}")));
    let metric = Metric::named("set-outage");
    let (trunk, forks) = branch(&scenario, 7, &[2_000_000], 100, &|| {});
    let seconds = |figures: &Figures| figures.number(metric);

    println!("this run: {:.2} s without a write", seconds(&trunk.metrics).expect("there is a writer"));
    let others = forks[0].leaves.iter().filter_map(|leaf| seconds(&leaf.metrics));
    show("what else could have come of it 2 s after", others.collect());

    let mut world = World::new(scenario, 7, Keep { records: true, trace: false });
    assert!(world.run_to(SignedSpan(2_000_000_000)), "the stack is ready before time 0");
    let worse = (1..=100).filter_map(|number| {
        let mut world = world.branch(number);
        // A fault that is given at its moment makes the run that it would make in the file.
        let stop = Action::Pause { node: "redis-2" };
        world.add_fault(Span::from_secs(2), &stop).unwrap_or_else(|error| panic!("{error}"));
        world.run();
        let result = world.finish();
        seconds(&Analysis::of(&result.recording, Some(&result.lost_writes)).figures())
    });
    show("and if redis-2 stood still from then on", worse.collect());
}

fn show(what: &str, mut seconds: Vec<f64>) {
    seconds.sort_by(f64::total_cmp);
    println!("{what}: {:.2} to {:.2} s", seconds[0], seconds[seconds.len() - 1]);
}
