//! Running one case with open eyes: samples of what the programs hold, the recording and its analysis.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Once};

use crate::analysis::Analysis;
use crate::kernel::{Span, Time};
use crate::record::Recording;
use crate::scenario::Scenario;
use crate::wire::{GroupId, HostId, NodeId, ReplId, Role};
use crate::world::{Keep, Layout, RunResult, State, World};

/// A scenario and the luck it meets.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The stack, its settings and what is done to it.
    pub scenario: Scenario,
    /// The seed of the run.
    pub seed: u64,
}

/// The time between two samples.
pub const SAMPLE: Span = Span::from_millis(100);

/// What a Redis server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisView {
    /// Whether its process runs.
    pub state: State,
    /// Which of its processes this is, from 1.
    pub life: u32,
    /// The role it claims; none while it is down.
    pub role: Option<Role>,
    /// The master it follows, by its place; none for a master.
    pub master: Option<usize>,
    /// Whether its link to the master is up.
    pub link_up: bool,
    /// Its history.
    pub replid: ReplId,
    /// How far it is in that history.
    pub offset: u64,
    /// How many keys it holds.
    pub keys: usize,
    /// Whether it refuses writes, and PING, because it could not write its files.
    pub refuses_for_disk: bool,
    /// Whether a script without end holds it up.
    pub runs_script: bool,
    /// How many connections clients of the scenario have to it, with no HAProxy between.
    pub clients: usize,
}

/// What a Sentinel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentinelView {
    /// Whether its process runs.
    pub state: State,
    /// Which of its processes this is, from 1.
    pub life: u32,
    /// The Redis server that it names as the master, by its place.
    pub names: Option<usize>,
    /// `config-epoch` in its file.
    pub config_epoch: u32,
    /// `leader-epoch` in its file: the epoch of its last vote.
    pub vote_epoch: u32,
    /// `current-epoch` in memory.
    pub current_epoch: u32,
}

/// What HAProxy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaproxyView {
    /// Whether its process runs.
    pub state: State,
    /// Which servers are UP.
    pub up: Vec<bool>,
    /// Sessions by server.
    pub sessions: Vec<u32>,
    /// Where a session that begins now goes.
    pub usable: Option<usize>,
}

/// What the programs hold at one moment. A process that is down has no view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, in microseconds since time 0.
    pub at_us: i64,
    /// By place.
    pub redis: Vec<Option<RedisView>>,
    /// By place.
    pub sentinels: Vec<Option<SentinelView>>,
    /// None without one.
    pub haproxy: Option<HaproxyView>,
}

/// What a property wants to see beside recording and samples: it costs time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Every event with its cause.
    pub trace: bool,
    /// The digest of a second run.
    pub repetition: bool,
}

/// A run that was watched.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was run.
    pub case: Case,
    /// Who lived where.
    pub layout: Layout,
    /// Samples in order of time, the last one at the end.
    pub samples: Vec<Sample>,
    /// What is left of the run.
    pub result: RunResult,
    /// What its recording says.
    pub analysis: Analysis,
    /// The digest of a repetition, if it was wanted.
    pub repetition: Option<u128>,
}

impl Run {
    /// The recording.
    pub fn recording(&self) -> &Recording {
        &self.result.recording
    }

    /// The last sample of the scenario's time: after its end clients stop, and the stack rests.
    pub fn last(&self) -> &Sample {
        self.sample_at(self.analysis.end_us).or(self.samples.first()).expect("a run is sampled from time 0 on")
    }

    /// The last sample at or before an instant.
    pub fn sample_at(&self, at_us: i64) -> Option<&Sample> {
        let after = self.samples.partition_point(|sample| sample.at_us <= at_us);
        after.checked_sub(1).map(|index| &self.samples[index])
    }

    /// The name of a node.
    pub fn name(&self, node: NodeId) -> &str {
        self.layout.names.node(node)
    }

    /// The name of a Redis server by its place.
    pub fn redis_name(&self, place: usize) -> &str {
        self.name(self.layout.redis(place))
    }
}

/// The message of a broken invariant, with its place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// What was said.
    pub message: String,
}

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets panics of watched runs be noted instead of printed; those of other threads are printed as before.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WATCHED.get() {
                let text = info.payload_as_str().unwrap_or("a panic without words");
                let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
                LAST_PANIC.set(Some(format!("{text} ({})", place.unwrap_or_default())));
            } else {
                usual(info);
            }
        }));
    });
}

/// Runs a case and watches it. A broken invariant of the models is an error that says which.
pub fn observe(case: &Case, needs: Needs) -> Result<Run, Panic> {
    observe_with(case, needs, &World::new)
}

/// As [`observe`], with another way to build the world.
pub fn observe_with(
    case: &Case,
    needs: Needs,
    build: &(dyn Fn(Arc<Scenario>, u64, Keep) -> World + Sync),
) -> Result<Run, Panic> {
    watched(|| watch(case, needs, build))
}

/// Does something; a panic is noted instead of printed.
pub(super) fn watched<T>(what: impl FnOnce() -> T) -> Result<T, Panic> {
    note_panics();
    let outer = WATCHED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(what));
    WATCHED.set(outer);
    done.map_err(|_| Panic { message: LAST_PANIC.take().unwrap_or_else(|| "a panic".to_owned()) })
}

fn watch(case: &Case, needs: Needs, build: &(dyn Fn(Arc<Scenario>, u64, Keep) -> World + Sync)) -> Run {
    let scenario = Arc::new(case.scenario.clone());
    let mut world = build(scenario.clone(), case.seed, Keep { records: true, trace: needs.trace });
    let layout = world.layout().clone();
    let mut samples = Vec::new();
    let mut ended = false;
    while !ended {
        ended = world.run_until(world.now() + SAMPLE);
        if let Some(origin) = world.origin() {
            samples.push(sample(&world, &layout, origin));
        }
    }
    let result = world.finish();
    let analysis = Analysis::of(&result.recording, Some(&result.lost_writes));
    let repetition = needs.repetition.then(|| {
        let mut again = build(scenario, case.seed, Keep::default());
        again.run();
        again.digest()
    });
    Run { case: case.clone(), layout, samples, result, analysis, repetition }
}

fn micros(at: Time, origin: Time) -> i64 {
    (at.0 as i64 - origin.0 as i64).div_euclid(1_000)
}

fn sample(world: &World, layout: &Layout, origin: Time) -> Sample {
    let place = |addr| layout.redis_at(addr).map(|node| node.0 as usize);
    let client_hosts: BTreeSet<HostId> = layout.all_clients().map(|client| layout.host(client)).collect();
    let redis = |node: NodeId| {
        world.redis(node).map(|redis| RedisView {
            state: world.state(node),
            life: world.life(node),
            role: Some(redis.role()),
            master: redis.master().and_then(place),
            link_up: redis.link_up(),
            replid: redis.replid(),
            offset: redis.offset(),
            keys: redis.key_count(),
            refuses_for_disk: redis.refuses_for_disk(),
            runs_script: redis.runs_script(),
            clients: redis.peers().filter(|peer| client_hosts.contains(&layout.host_at(*peer))).count(),
        })
    };
    let sentinel = |node: NodeId| {
        world.sentinel(node).map(|sentinel| {
            let file = sentinel.left_behind(world.now(), false);
            SentinelView {
                state: world.state(node),
                life: world.life(node),
                names: place(sentinel.believed_master(GroupId::ONLY)),
                config_epoch: file.masters.get(&GroupId::ONLY).map_or(0, |master| master.config_epoch),
                vote_epoch: file.masters.get(&GroupId::ONLY).map_or(0, |master| master.leader_epoch),
                current_epoch: sentinel.current_epoch(),
            }
        })
    };
    let haproxy = world.haproxy().map(|haproxy| {
        let servers = 0..layout.all_redis().count();
        HaproxyView {
            state: layout.haproxy().map_or(State::Down, |node| world.state(node)),
            up: servers.clone().map(|server| haproxy.server_is_up(server)).collect(),
            sessions: servers.map(|server| haproxy.sessions_on(server)).collect(),
            usable: haproxy.usable_server(),
        }
    });
    Sample {
        at_us: micros(world.now(), origin),
        redis: layout.all_redis().map(redis).collect(),
        sentinels: layout.all_sentinels().map(sentinel).collect(),
        haproxy,
    }
}
