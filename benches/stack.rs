//! The whole stack: `master-kill-container` with its clients, with and without a recording.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use sim::scenario::Scenario;
use sim::world::{Keep, World};

fn main() {
    divan::main();
}

fn scenario() -> Arc<Scenario> {
    Arc::new(Scenario::load("scenarios/master-kill-container.toml").expect("a shipped scenario is right"))
}

fn bench(bencher: Bencher, records: bool) {
    let scenario = scenario();
    let keep = Keep { records, trace: false };
    let mut probe = World::new(scenario.clone(), 1, keep);
    probe.run();
    bencher.counter(ItemsCount::new(probe.events())).bench_local(|| {
        let mut world = World::new(scenario.clone(), 1, keep);
        world.run();
        world.digest()
    });
}

/// Events a second without a recording.
#[divan::bench]
fn master_kill_container(bencher: Bencher) {
    bench(bencher, false);
}

/// Events a second with every log line and message kept.
#[divan::bench]
fn master_kill_container_recorded(bencher: Bencher) {
    bench(bencher, true);
}
