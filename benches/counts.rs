//! Fixed runs whose instructions are counted: `.ci/counts` runs each of them under callgrind and holds the counts against
//! `benches/counts.txt`. Times are noisy on a shared machine, instruction counts are not.
//!
//! `counts NAME` makes one run; without a name (as `cargo bench` calls it) all of them, and says what each did.

use std::hint::black_box;
use std::sync::Arc;

use sim::analysis::Analysis;
use sim::kernel::{Class, Kernel, Purpose, Span, Stream, Time, Word};
use sim::scenario::Scenario;
use sim::world::{Keep, World};

/// What a run did, so that two counts are known to be of the same work.
struct Done {
    events: u64,
    digest: u128,
}

type Run = (&'static str, fn() -> Done);

const RUNS: [Run; 3] = [("hold", hold), ("failover", failover), ("load", load)];

fn main() {
    let wanted = std::env::args().nth(1).filter(|name| !name.starts_with("--"));
    for (name, run) in RUNS.into_iter().filter(|(name, _)| wanted.as_deref().is_none_or(|wanted| wanted == *name)) {
        let Done { events, digest } = run();
        println!("{name}: {events} events, digest {digest:032x}");
    }
}

#[derive(Clone, Copy)]
struct Tick(u64);

impl Word for Tick {
    fn word(&self) -> u64 {
        self.0
    }
}

/// The event queue alone: 1 024 events pending, each of which schedules another.
#[inline(never)]
fn hold() -> Done {
    let mut stream = Stream::named(1, 0, Purpose::Load);
    let mut kernel = Kernel::new(1);
    for n in 0..1_024 {
        kernel.schedule(Time(stream.below(1_000_000)), Class::Timer, 0, Tick(n));
    }
    // The planted slow-down by which `.ci/counts` is shown to see one: 8 % more work.
    let rounds = if std::env::var_os("COUNTS_PLANTED").is_some() { 540_000 } else { 500_000 };
    for _ in 0..rounds {
        let Tick(n) = kernel.next(Time::NEVER).expect("there is always one").event;
        let at = kernel.now() + Span(1 + stream.below(1_000_000));
        kernel.schedule(at, Class::Timer, 0, Tick(n));
    }
    Done { events: kernel.dispatched(), digest: kernel.digest() }
}

/// A whole failover with its clients, recorded and analysed, five times: what `--runs` does.
#[inline(never)]
fn failover() -> Done {
    let scenario = load_scenario("scenarios/master-kill-container.toml", |text| text);
    let mut done = Done { events: 0, digest: 0 };
    for seed in 1..=5 {
        let mut world = World::new(scenario.clone(), seed, Keep { records: true, trace: false });
        world.run();
        done.events += world.events();
        done.digest ^= world.digest();
        black_box(Analysis::of(&world.finish().recording, None));
    }
    done
}

/// A thousand connections at full speed through HAProxy.
#[inline(never)]
fn load() -> Done {
    let scenario = load_scenario("scenarios/redis-benchmark.toml", |text| {
        text.replace("requests = 1_000_000", "requests = 20_000")
            .replace("set-ok = { min = 700_000, max = 1_000_000 }", "")
    });
    let mut world = World::new(scenario, 1, Keep { records: false, trace: false });
    world.run();
    Done { events: world.events(), digest: world.digest() }
}

fn load_scenario(path: &str, change: impl Fn(String) -> String) -> Arc<Scenario> {
    let text = change(std::fs::read_to_string(path).expect("a shipped scenario is there"));
    Arc::new(Scenario::parse(path, &text).expect("a shipped scenario is right"))
}
