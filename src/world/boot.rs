//! How the stack starts: the same way as the reference driver starts the real one.
//!
//! The Redis nodes start together, Sentinels and HAProxy 0.7 s later. When replication is up and every Sentinel knows all
//! replicas and all other Sentinels, the clients start, 3 s go by, and then a random time within the scenario's phase, so
//! that faults meet every phase of every timer.

use super::Seat;
use super::process::{Disk, State};
use super::program::Program;
use super::script::Step;
use super::{Event, World};
use crate::client::{self, Client};
use crate::haproxy::{self, Haproxy};
use crate::kernel::{Class, Purpose, Span, Stream, Time};
use crate::mistake::Mistake;
use crate::net::BASE_REACHABLE_TIME;
use crate::program::{Input, KeepAlive};
use crate::redis::{self, Redis};
use crate::release::{Release as _, Released};
use crate::scenario::Scenario;
use crate::sentinel::{self, Sentinel};
use crate::wire::{ChannelId, GroupId, NodeId, RunId};

/// `net.core.somaxconn` bounds every backlog.
const SOMAXCONN: u32 = 4_096;
/// When the first process is started.
const BOOT_AT: Time = Time(1_000_000_000);
/// Sentinels and HAProxy start this much later (spec R2).
const SENTINELS_AFTER: Span = Span::from_millis(700);
/// The driver launches one process after the other: a fork takes it this long. Seen in the first log lines of 230
/// recordings: redis-3 speaks 4 ms after redis-1 in the mean, sentinel-3 9 ms after sentinel-1.
const LAUNCH_REDIS: Span = Span::from_millis(2);
const LAUNCH_SENTINEL: Span = Span::from_millis(4);
/// From its launch to the first line of a program's log, in the mean; it is exponentially distributed. Seen in the same
/// lines: the middle four fifths of the differences between two Redis nodes span 17 ms, between two Sentinels 31 ms.
const EXEC_REDIS_MEAN: Span = Span::from_millis(5);
const EXEC_SENTINEL_MEAN: Span = Span::from_millis(10);
/// HAProxy takes its own time from exec to its listener.
const EXEC_HAPROXY: Span = Span::from_millis(15);
/// Clients of a kind are up within this of each other.
const EXEC_CLIENT: Span = Span::from_millis(15);
/// The driver asks for readiness once all are launched, and then in rounds of about this length.
const POLL: Span = Span::from_millis(300);
/// A stack that is not ready after this long never will be.
const READY_LIMIT: Span = Span::from_secs(600);
/// And this is added for its data at most: a day.
const READY_LONGEST: Span = Span::from_secs(86_400);
/// The driver launches a client in this time. Once all are launched, the time with clients begins: their first lines come 5
/// to 10 ms after that (recordings of `loop-in-cut`, which has no phase: 2.987 to 3.008 s before time 0).
const LAUNCH_CLIENT: Span = Span::from_millis(1);
/// Publishers and writers are started this much after the subscribers: their first lines come 50 ms later.
const EXEC_LATER: Span = Span::from_millis(50);
/// The driver notices the end within this and stops the clients: their last lines come 15 to 130 ms after it.
const STOP_CLIENTS: Span = Span::from_millis(100);
/// Then it lets the stack come to rest before it asks for the final state: the last log lines of 230 recordings come up to
/// 3.2 s after the end.
pub(super) const REST: Span = Span::from_millis(3_200);
/// Time with clients before the phase begins.
const SETTLE: Span = Span::from_secs(3);

/// How long a host trusts a neighbour entry: uniform in 0.5 to 1.5 times the base (`neigh_rand_reach_time`), drawn when
/// its interface is made.
pub(super) fn reachable_time(mut stream: Stream) -> Span {
    Span(stream.between(BASE_REACHABLE_TIME.0 / 2, BASE_REACHABLE_TIME.0 * 3 / 2))
}

impl World {
    pub(super) fn schedule_boot(&mut self) {
        let (redis, sentinels) = (self.layout.all_redis(), self.layout.all_sentinels());
        let mut launch = BOOT_AT;
        for node in redis {
            launch += LAUNCH_REDIS;
            let exec = Span(self.script.exponential(EXEC_REDIS_MEAN.0));
            self.plan(launch + exec, Step::Start(node));
        }
        launch += SENTINELS_AFTER;
        for node in sentinels {
            launch += LAUNCH_SENTINEL;
            let exec = Span(self.script.exponential(EXEC_SENTINEL_MEAN.0));
            self.plan(launch + exec, Step::Start(node));
        }
        if let Some(node) = self.layout.haproxy() {
            let at = launch + Span(self.script.below(EXEC_HAPROXY.0));
            self.plan(at, Step::Start(node));
        }
        self.plan(launch, Step::Poll);
    }

    /// Schedules a step of the script.
    pub(super) fn plan(&mut self, at: Time, step: Step) {
        self.steps.push(step);
        let event = Event::Script(self.steps.len() as u32 - 1);
        let source = self.script_source();
        self.kernel.schedule(at, Class::Script, source, event);
    }

    /// Asks whether the stack is ready; starts the clients if so. A stack that never will be ends the run: a script that was
    /// played on it would show something else than it says.
    pub(super) fn poll(&mut self) {
        let now = self.kernel.now();
        let missing = self.missing();
        if !missing.is_empty() {
            if now.since(BOOT_AT) < self.ready_limit() {
                self.plan(now + POLL, Step::Poll);
            } else {
                self.unready = Some((now, missing));
            }
            return;
        }
        let clients: Vec<NodeId> = self.layout.all_clients().collect();
        let mut started = now;
        for node in clients {
            started += LAUNCH_CLIENT;
            // Who listens comes first, so that nothing is said to an empty room.
            let Seat::Client(place) = self.layout.seats[node.0 as usize] else { continue };
            let listens = self.scenario.clients[place].kind == client::Kind::Subscribe;
            let after = if listens { Span::ZERO } else { EXEC_LATER };
            let at = started + after + Span(self.script.below(EXEC_CLIENT.0));
            self.plan(at, Step::Start(node));
        }
        let phase = match self.scenario.phase {
            Span::ZERO => Span::ZERO,
            phase => Span(self.script.below(phase.0)),
        };
        let origin = started + SETTLE + phase;
        self.origin = Some(origin);
        let stop = Span(self.script.below(STOP_CLIENTS.0));
        self.plan(origin + self.scenario.duration + stop, Step::StopClients);
        self.give_faults();
    }

    /// How long the stack may take: a while, and what its data takes to be loaded, saved, sent and loaded again. What
    /// a link would be sending for longer than a day is not waited for.
    fn ready_limit(&self) -> Span {
        let links = self.scenario.network.links.iter().map(|(_, _, link)| link);
        let rates = links.chain([&self.scenario.network.default]).filter_map(|link| link.rate.bits_per_second());
        let slowest = rates.min();
        let data = self.scenario.redis.iter().map(|config| {
            let sent = slowest.map_or(0, |rate| config.dataset_bytes as u128 * 8_000_000_000 / u128::from(rate.get()));
            (u128::from(config.dataset_span().0) + sent) * 3
        });
        let longest = data.max().unwrap_or(0).min(u128::from(READY_LONGEST.0));
        READY_LIMIT + Span(longest as u64)
    }

    /// What a ready stack would have and this one has not: replication is up, and every Sentinel knows all replicas and
    /// all other Sentinels.
    fn missing(&self) -> Vec<String> {
        let (replicas, sentinels) = (self.scenario.redis.len() - 1, self.scenario.sentinel.len());
        let servers = self.layout.nodes() - self.scenario.clients.len();
        let mut missing = Vec::new();
        for (index, process) in self.processes[..servers].iter().enumerate() {
            let mut say =
                |what: String| missing.push(format!("{} {what}", self.layout.names.node(NodeId(index as u16))));
            match &process.program {
                Some(_) if process.state != State::Running => say("does not run".into()),
                Some(Program::Redis(redis)) if redis.master().is_some() && !redis.link_up() => {
                    say(redis.why_not_in_sync())
                }
                Some(Program::Sentinel(sentinel)) => {
                    let (known, others) = sentinel.knows(GroupId::ONLY);
                    let all_others = sentinels.saturating_sub(1);
                    if known < replicas {
                        say(format!("knows {known} of {replicas} replicas"));
                    }
                    if others < all_others {
                        say(format!("knows {others} of {all_others} other Sentinels"));
                    }
                }
                Some(_) => {}
                None => say("does not run".into()),
            }
        }
        missing
    }

    /// Constructs a node's program and lets it run.
    pub(super) fn start(&mut self, node: NodeId) {
        let index = node.0 as usize;
        assert_eq!(self.processes[index].state, State::Down, "only a stopped node is started");
        let process = &mut self.processes[index];
        process.life += 1;
        let life = process.life;
        let disk = std::mem::take(&mut process.disk);
        let mut program = self.program(node, life, disk);
        program.set_volume(self.volume(node));
        let keepalive = self.keepalive(node);
        self.net.set_keepalive(node, keepalive);
        if let Seat::Client(place) = self.layout.seats[node.0 as usize] {
            self.net.set_user_timeout(node, self.scenario.clients[place].habits().tcp_user_timeout);
        }
        let now = self.kernel.now();
        let process = &mut self.processes[index];
        process.program = Some(program);
        process.state = State::Running;
        process.busy_until = now;
        self.call(node, Input::Start);
    }

    /// A program listens on its node's address.
    pub(super) fn listen(&mut self, node: NodeId) {
        let backlog = match self.layout.seats[node.0 as usize] {
            Seat::Redis(place) => self.scenario.redis[place].tcp_backlog,
            // Sentinel's default tcp-backlog; HAProxy's is the global maxconn.
            Seat::Sentinel(_) => 511,
            Seat::Haproxy | Seat::Client(_) => self.scenario.haproxy.maxconn,
        };
        self.net.listen(node, self.layout.addr(node), backlog.min(SOMAXCONN));
    }

    /// The settings with which a node's program is started: those of the scenario, under the release that is installed.
    fn settings_of<T: Released + Clone>(&self, node: NodeId, config: &T) -> T {
        let release = self.installed.get(&node).and_then(|release| T::Release::of_any(*release));
        release.map_or_else(|| config.clone(), |release| config.under(release))
    }

    #[allow(clippy::too_many_lines, reason = "a table: one arm a kind of program")]
    fn program(&self, node: NodeId, life: u32, disk: Disk) -> Program {
        let scenario: &Scenario = &self.scenario;
        let first_source = self.layout.names.hosts.len() as u32;
        let entity = (first_source + node.0 as u32) | (life << 16);
        let stream = |purpose| self.stream(entity, purpose);
        let me = self.layout.addr(node);
        let first_master = self.layout.addr(self.layout.redis(0));
        match self.layout.seats[node.0 as usize] {
            Seat::Redis(place) => {
                let disk = match disk {
                    Disk::Redis(disk) => *disk,
                    _ => redis::Disk::default(),
                };
                Program::Redis(Redis::new(redis::Setup {
                    config: self.settings_of(node, &scenario.redis[place]),
                    me,
                    replica_of: (place > 0).then_some(first_master),
                    identity: stream(Purpose::Identity),
                    work: stream(Purpose::Work),
                    disk,
                }))
            }
            Seat::Sentinel(place) => {
                let state = match disk {
                    Disk::Sentinel(state) => Some(state),
                    _ => None,
                };
                // The id is drawn once and kept in the rewritten configuration.
                let id = Stream::named(self.seed, first_source + node.0 as u32, Purpose::Identity).bits();
                Program::Sentinel(Sentinel::new(sentinel::Setup {
                    config: self.settings_of(node, &scenario.sentinel[place]),
                    me,
                    id: RunId(id),
                    program: stream(Purpose::Program),
                    work: stream(Purpose::Work),
                    state,
                    masters: [(GroupId::ONLY, first_master)].into(),
                }))
            }
            Seat::Haproxy => {
                let servers = self
                    .layout
                    .all_redis()
                    .enumerate()
                    .map(|(place, node)| haproxy::Server {
                        host: self.layout.host(node),
                        addr: self.layout.addr(node),
                        backup: scenario.haproxy.backup && place > 0 && !self.desk.mistaken(Mistake::BackupIgnored),
                    })
                    .collect();
                Program::Haproxy(Haproxy::new(haproxy::Setup {
                    config: self.settings_of(node, &scenario.haproxy),
                    servers,
                    work: stream(Purpose::Work),
                }))
            }
            Seat::Client(place) => {
                let config = scenario.clients[place].clone();
                let channel = self
                    .channels
                    .iter()
                    .position(|name| *name == config.channel)
                    .expect("every client's channel was numbered");
                let target = match (config.via, self.layout.haproxy()) {
                    (client::Via::Sentinels, _) => client::Target::Sentinels(
                        self.layout.all_sentinels().map(|sentinel| self.layout.addr(sentinel)).collect(),
                    ),
                    (client::Via::Proxy, Some(haproxy)) => client::Target::Proxy(self.layout.addr(haproxy)),
                    (client::Via::Proxy | client::Via::Address, _) => client::Target::Proxy(first_master),
                };
                let setup = client::Setup {
                    config,
                    index: place as u16,
                    target,
                    channel: ChannelId(channel as u16),
                    counted: if let Disk::Client(numbered) = disk { numbered } else { 0 },
                    origin: self.origin.expect("clients start once time 0 is known"),
                    program: stream(Purpose::Program),
                    work: stream(Purpose::Work),
                };
                Program::Client(match self.own.get(&place) {
                    Some(make) => Client::own(make(setup)),
                    None => Client::new(setup),
                })
            }
        }
    }

    /// Keep-alive as the programs set it: Redis on every accepted and replication socket (`tcp-keepalive`: idle, then a
    /// third of it, three probes; anetKeepAlive), clients as their library does, the others not at all.
    fn keepalive(&self, node: NodeId) -> Option<KeepAlive> {
        let place = match self.layout.seats[node.0 as usize] {
            Seat::Redis(place) => place,
            Seat::Client(place) => return self.scenario.clients[place].habits().keepalive,
            _ => return None,
        };
        let idle_s = self.scenario.redis[place].tcp_keepalive as u64;
        (idle_s > 0).then(|| KeepAlive {
            idle: Span::from_secs(idle_s),
            interval: Span::from_secs((idle_s / 3).max(1)),
            count: 3,
        })
    }
}
