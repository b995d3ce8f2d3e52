//! The whole stack: the scenarios of the recordings without and with a recording, the control plane alone, a sweep on one
//! core and on two, and the reading and writing of recordings.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rayon::prelude::*;
use sim::analysis::Analysis;
use sim::kernel::Span;
use sim::record::Recording;
use sim::scenario::Scenario;
use sim::world::{Keep, World};

fn main() {
    divan::main();
}

const SCENARIOS: [&str; 10] = [
    "haproxy-kill",
    "master-kill-container",
    "master-kill-process",
    "master-pause",
    "master-recovery",
    "partition-master",
    "partition-split-brain",
    "quorum-loss",
    "replica-kill",
    "sentinel-restart",
];

fn scenario(name: &str) -> Scenario {
    Scenario::load(format!("scenarios/{name}.toml")).expect("a shipped scenario is right")
}

fn ran(scenario: &Arc<Scenario>, seed: u64, records: bool) -> World {
    let mut world = World::new(scenario.clone(), seed, Keep { records, trace: false });
    world.run();
    world
}

fn bench(bencher: Bencher, scenario: Scenario, records: bool) {
    let scenario = Arc::new(scenario);
    let events = ran(&scenario, 1, records).events();
    bencher.counter(ItemsCount::new(events)).bench_local(|| ran(&scenario, 1, records).digest());
}

/// Events a second without a recording.
#[divan::bench(args = SCENARIOS, sample_count = 30)]
fn run(bencher: Bencher, name: &str) {
    bench(bencher, scenario(name), false);
}

/// Events a second with every log line and message kept.
#[divan::bench(args = SCENARIOS, sample_count = 30)]
fn run_recorded(bencher: Bencher, name: &str) {
    bench(bencher, scenario(name), true);
}

/// A minute of the demo without clients: seconds of virtual time are the items.
#[divan::bench(sample_count = 30)]
fn control_plane_seconds(bencher: Bencher) {
    let mut scenario = Scenario::parse("demo.toml", "duration = '600s'").expect("the demo");
    scenario.clients.clear();
    let scenario = Arc::new(scenario);
    let seconds = ran(&scenario, 1, false).now().0 / Span::from_secs(1).0;
    bencher.counter(ItemsCount::new(seconds)).bench_local(|| ran(&scenario, 1, false).digest());
}

/// The same with the clients of `master-kill-container`.
#[divan::bench(sample_count = 30)]
fn master_kill_container_seconds(bencher: Bencher) {
    let scenario = Arc::new(scenario("master-kill-container"));
    let seconds = ran(&scenario, 1, false).now().0 / Span::from_secs(1).0;
    bencher.counter(ItemsCount::new(seconds)).bench_local(|| ran(&scenario, 1, false).digest());
}

/// 100 000 SETs over a thousand closed-loop connections: a tenth of `redis-benchmark.toml`.
#[divan::bench(sample_count = 3)]
fn load_requests(bencher: Bencher) {
    let text = std::fs::read_to_string("scenarios/redis-benchmark.toml").expect("a shipped scenario is there");
    let text = text.replace("1_000_000", "100_000");
    let scenario = Arc::new(Scenario::parse("redis-benchmark.toml", &text).expect("a shipped scenario is right"));
    bencher.counter(ItemsCount::new(100_000_u64)).bench_local(|| ran(&scenario, 1, false).digest());
}

/// Runs of `master-kill-container` with their analysis, as `--runs` makes them, on so many cores.
#[divan::bench(args = [1, 2], sample_count = 5)]
fn sweep_on_cores(bencher: Bencher, cores: usize) {
    const RUNS: u64 = 200;
    let scenario = Arc::new(scenario("master-kill-container"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build().expect("threads can be started");
    bencher.counter(ItemsCount::new(RUNS)).bench_local(|| {
        pool.install(|| {
            let run = |seed| Analysis::of(&ran(&scenario, seed, true).finish().recording, None).failovers.len();
            (1..=RUNS).into_par_iter().map(run).sum::<usize>()
        })
    });
}

/// A recording of `master-kill-container` becomes text.
#[divan::bench(sample_count = 30)]
fn write_recording(bencher: Bencher) {
    let recording = ran(&Arc::new(scenario("master-kill-container")), 1, true).finish().recording;
    bencher.counter(BytesCount::new(recording.to_jsonl().len())).bench_local(|| recording.to_jsonl());
}

/// The text becomes a recording.
#[divan::bench(sample_count = 30)]
fn read_recording(bencher: Bencher) {
    let text = ran(&Arc::new(scenario("master-kill-container")), 1, true).finish().recording.to_jsonl();
    bencher.counter(BytesCount::new(text.len())).bench_local(|| Recording::parse("text", &text).expect("our own text"));
}
