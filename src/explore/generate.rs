//! Random stacks, settings and fault schedules.
//!
//! Swarm style: each case enables a random subset of the kinds of faults, so that some cases are all about one kind and
//! others mix them. A schedule has incidents, each with its end; a second incident often follows the first by as much as
//! the Sentinels need to notice it, where elections are. Unless it is asked for more, a schedule leaves a Redis server
//! and a majority of the Sentinels in action; at its end everything is undone, and a quiet time follows.
//!
//! A case is a function of the campaign's seed and its number alone.

use std::num::NonZeroU64;

use super::observe::Case;
use super::script::{Budget, fault, tidy, undo};
use crate::client::library::Evidence;
use crate::kernel::{Purpose, Span, Stream};
use crate::redis::AppendFsync;
use crate::release::{ProxyRelease, Release as _, Released as _, ServerRelease};
use crate::scenario::units::{Rate, Share, SignedSpan};
use crate::scenario::{Action, Fault, Link, Network, NodeRef, OneOrMany, Role, Scenario, Stack};
use crate::{client, haproxy, redis, sentinel};

/// The quiet time that follows the last fault beyond 2 × failover-timeout.
const QUIET: Span = Span::from_secs(30);
/// More time than the properties need: what ends late must not make a run say nothing.
const MARGIN: Span = Span::from_secs(8);
/// How long a Sentinel stays in TILT: a fault that may start one is followed by as much more quiet.
const TILT: Span = Span::from_secs(30);

/// How long the peers of a container that is made anew may send to its old hardware address.
const STALE_NEIGHBOUR: Span = Span::from_secs(55);

/// What may be generated.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// More faults at a time than the protocol can survive, and commands that make Sentinels forget each other.
    pub beyond: bool,
    /// The stack, its settings and clients, if they are given: only the schedule is drawn.
    pub stack: Option<Scenario>,
}

/// A kind of fault that a case may enable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultKind {
    Kill,
    KillHost,
    PowerOff,
    Terminate,
    Pause,
    Partition,
    Cut,
    Degrade,
    ClockJump,
    Stall,
    SlowDisk,
    DiskFull,
    Command,
}

const KINDS: [FaultKind; 13] = [
    FaultKind::Kill,
    FaultKind::KillHost,
    FaultKind::PowerOff,
    FaultKind::Terminate,
    FaultKind::Pause,
    FaultKind::Partition,
    FaultKind::Cut,
    FaultKind::Degrade,
    FaultKind::ClockJump,
    FaultKind::Stall,
    FaultKind::SlowDisk,
    FaultKind::DiskFull,
    FaultKind::Command,
];

struct Dice(Stream);

impl Dice {
    fn percent(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len() as u64) as usize].clone()
    }

    /// A time in tenths of a second.
    fn tenths(&mut self, low: u64, high: u64) -> Span {
        Span::from_millis(self.0.between(low, high) * 100)
    }
}

/// The case with a number in the campaign with a seed.
pub fn case(campaign: u64, number: u64, limits: &Limits) -> Case {
    let entity = u32::try_from(number).expect("a campaign has less than four thousand million cases");
    let mut dice = Dice(Stream::named(campaign, entity, Purpose::Generate));
    let mut scenario = match &limits.stack {
        Some(stack) => Scenario { faults: Vec::new(), ..stack.clone() },
        None => stack(&mut dice),
    };
    scenario.name = format!("check-{campaign}-{number}");
    schedule(&mut dice, &mut scenario, limits);
    let seed = 1 + dice.0.below(1_000_000);
    if limits.stack.is_none() && dice.percent(15) {
        let px = dice.pick(&[Span::from_millis(500), Span::from_secs(5), Span::from_secs(60)]);
        scenario.clients.iter_mut().filter(|client| client.writes()).for_each(|client| client.px = Some(px));
    }
    Case { seed, scenario }
}

fn stack(dice: &mut Dice) -> Scenario {
    let redis = dice.pick(&[2, 2, 3, 3, 3, 3, 4, 5]);
    let sentinels: u16 = dice.pick(&[1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 7]);
    let haproxy = dice.percent(80);
    let stack = Stack { redis, sentinels, haproxy };
    let mut sentinel = sentinel::Config::default();
    let mut node = redis::Config::default();
    let mut proxy = haproxy::Config::default();
    let mut link = Link::default();
    sentinel.quorum = sentinel.quorum.min(u32::from(sentinels));
    if dice.percent(60) {
        sentinel_settings(dice, &mut sentinel, sentinels);
    }
    if dice.percent(50) {
        redis_settings(dice, &mut node, redis);
    }
    if dice.percent(50) {
        haproxy_settings(dice, &mut proxy);
    }
    if dice.percent(25) {
        link.latency = dice.pick(&[Span::from_micros(200), Span::from_millis(1), Span::from_millis(5)]);
        link.jitter = dice.pick(&[Span::ZERO, Span::from_micros(500), Span::from_millis(3)]);
    }
    let mut nodes = vec![node; usize::from(redis)];
    if dice.percent(25) {
        let place = 1 + dice.0.below(u64::from(redis) - 1) as usize;
        nodes[place].replica_priority = match redis {
            2 => 50,
            _ => dice.pick(&[0, 0, 50]),
        };
    }
    let mut watchers = vec![sentinel; usize::from(sentinels)];
    if dice.percent(30) {
        releases(dice, &mut nodes, &mut watchers, &mut proxy);
    }
    Scenario {
        name: String::new(),
        description: String::new(),
        duration: Span::from_secs(30),
        phase: Span::ZERO,
        stack,
        redis: nodes,
        sentinel: watchers,
        haproxy: if haproxy { proxy } else { haproxy::Config::default() },
        called: Vec::new(),
        network: Network { default: link, links: Vec::new() },
        clients: clients(dice, haproxy),
        faults: Vec::new(),
        expect: None,
    }
}

/// Other releases than the usual ones. Redis servers of one stack read each other's files, as after a half of an upgrade that
/// anybody could live with; Sentinels are of any release.
fn releases(
    dice: &mut Dice,
    nodes: &mut [redis::Config],
    watchers: &mut [sentinel::Config],
    proxy: &mut haproxy::Config,
) {
    let first = dice.pick(ServerRelease::ALL);
    let kin: Vec<ServerRelease> =
        ServerRelease::ALL.iter().copied().filter(|&other| redis::share_files(first, other)).collect();
    let mixed = dice.percent(30);
    for node in nodes {
        *node = node.under(if mixed { dice.pick(&kin) } else { first });
    }
    for watcher in watchers {
        *watcher = watcher.under(if mixed { dice.pick(ServerRelease::ALL) } else { first });
    }
    *proxy = proxy.under(dice.pick(ProxyRelease::ALL));
}

fn sentinel_settings(dice: &mut Dice, config: &mut sentinel::Config, sentinels: u16) {
    if dice.percent(50) {
        config.quorum = 1 + dice.0.below(u64::from(sentinels)) as u32;
    }
    if dice.percent(60) {
        config.down_after_milliseconds = dice.pick(&[500, 1_000, 2_000, 3_000, 10_000]);
    }
    if dice.percent(50) {
        config.failover_timeout = dice.pick(&[3_000, 5_000, 20_000]);
    }
    if dice.percent(30) {
        config.parallel_syncs = dice.pick(&[2, 5]);
    }
}

fn redis_settings(dice: &mut Dice, config: &mut redis::Config, redis: u16) {
    if dice.percent(40) {
        config.min_replicas_to_write = dice.pick(&[1, u32::from(redis) - 1]);
        config.min_replicas_max_lag = dice.pick(&[2, 3, 10]);
    }
    if dice.percent(30) {
        config.repl_diskless_sync_delay = dice.pick(&[0, 1]);
    }
    if dice.percent(20) {
        config.repl_diskless_sync = false;
    }
    if dice.percent(30) {
        config.repl_backlog_size = dice.pick(&[16 << 10, 64 << 10]);
    }
    if dice.percent(20) {
        config.repl_timeout = dice.pick(&[5, 10, 20]);
        config.repl_ping_replica_period = dice.pick(&[1, 2]);
    }
    if dice.percent(20) {
        config.config_file = true;
    }
    if dice.percent(20) {
        config.appendonly = true;
        config.appendfsync =
            dice.pick(&[AppendFsync::Always, AppendFsync::Always, AppendFsync::Everysec, AppendFsync::No]);
        config.no_appendfsync_on_rewrite = dice.percent(20);
        if dice.percent(30) {
            config.auto_aof_rewrite_min_size = 1 << 10;
        }
    }
    if dice.percent(20) {
        config.save = dice.pick(&["", "5 1"]).parse().expect("these are save points");
    }
    if dice.percent(15) {
        config.dataset_bytes = dice.pick(&[1 << 20, 50 << 20]);
    }
    if dice.percent(15) {
        config.replica_serve_stale_data = false;
    }
    if dice.percent(15) {
        let (hard_bytes, soft_bytes, soft_seconds) = dice.pick(&[(256 << 10, 64 << 10, 5), (1 << 20, 0, 0)]);
        config.client_output_buffer_limit.pubsub = redis::OutputLimit { hard_bytes, soft_bytes, soft_seconds };
    }
    if dice.percent(10) {
        config.stop_writes_on_bgsave_error = false;
    }
}

fn haproxy_settings(dice: &mut Dice, config: &mut haproxy::Config) {
    if dice.percent(40) {
        config.inter = dice.pick(&[Span::from_millis(200), Span::from_millis(500), Span::from_secs(2)]);
    }
    if dice.percent(30) {
        config.rise = dice.pick(&[1, 3, 10]);
        config.fall = dice.pick(&[1, 2]);
    }
    if dice.percent(20) {
        config.downinter = Some(Span::from_secs(3));
    }
    if dice.percent(40) {
        config.backup = false;
    }
    if dice.percent(30) {
        config.on_marked_down = haproxy::OnMarkedDown::ShutdownSessions;
    }
    if dice.percent(20) {
        config.on_marked_up = haproxy::OnMarkedUp::ShutdownBackupSessions;
    }
    if dice.percent(20) {
        config.timeout_connect = dice.pick(&[Span::from_millis(500), Span::from_secs(1)]);
    }
    if dice.percent(20) {
        config.redispatch = true;
    }
    if dice.percent(15) {
        config.timeout_client = Span::from_secs(10);
        config.timeout_server = Span::from_secs(10);
    }
}

/// The library of the recordings beside the reference's own clients.
fn recorded() -> Option<client::LibraryId> {
    let is_it = |library: &client::LibraryId| library.evidence == Evidence::Recorded && !library.is_default();
    client::LibraryId::all().find(is_it)
}

fn clients(dice: &mut Dice, haproxy: bool) -> Vec<client::Config> {
    let usual = if haproxy { client::Via::Proxy } else { client::Via::Sentinels };
    let mut clients: Vec<client::Config> =
        client::Config::reference().into_iter().map(|config| client::Config { via: usual, ..config }).collect();
    if let Some(another) = recorded().filter(|_| haproxy && dice.percent(20)) {
        for client in clients.iter_mut().filter(|client| client.kind != client::Kind::Set) {
            client.library = another;
        }
        clients[0].then_set = dice.percent(50);
    }
    if dice.percent(30) {
        for client in &mut clients {
            client.every = dice.pick(&[Span::from_millis(20), Span::from_millis(100), Span::from_millis(200)]);
        }
    }
    if dice.percent(25) {
        for client in &mut clients {
            client.host.clone_from(&client.name);
        }
    }
    if dice.percent(20) {
        let again = client::Config { name: "subscriber-2".into(), host: "subscriber-2".into(), ..clients[1].clone() };
        clients.push(again);
    }
    if dice.percent(20) {
        clients[0].payload = dice.pick(&[200, 4_000, 60_000]);
    }
    if haproxy && dice.percent(10) {
        clients[2].via = client::Via::Sentinels;
    }
    clients
}

/// Where packets begin and end: everybody's host.
pub(super) fn places(scenario: &Scenario) -> Vec<NodeRef> {
    let mut places: Vec<NodeRef> = (1..=scenario.stack.redis).map(NodeRef::Redis).collect();
    places.extend((1..=scenario.stack.sentinels).map(NodeRef::Sentinel));
    places.extend(scenario.stack.haproxy.then_some(NodeRef::Haproxy));
    for client in &scenario.clients {
        let host = NodeRef::Host(client.host.clone());
        if !places.contains(&host) && !places.iter().any(|place| place.to_string() == client.host) {
            places.push(host);
        }
    }
    places
}

fn schedule(dice: &mut Dice, scenario: &mut Scenario, limits: &Limits) {
    let share = dice.pick(&[15, 30, 50]);
    let mut kinds: Vec<FaultKind> = KINDS.into_iter().filter(|_| dice.percent(share)).collect();
    if kinds.is_empty() {
        kinds.push(dice.pick(&KINDS));
    }
    let incidents = dice.pick(&[1, 1, 2, 2, 3, 4, 6]);
    let stretch = dice.pick(&[100, 200, 400]);
    let down_after = scenario.sentinel.first().map_or(5_000, |config| config.down_after_milliseconds) / 100;
    let mut extra = Span::ZERO;
    for _ in 0..incidents {
        let begin = dice.tenths(0, stretch);
        let kind = dice.pick(&kinds);
        let first = incident(dice, scenario, limits, kind, begin, &mut extra);
        scenario.faults.extend(first);
        if dice.percent(40) {
            // When the Sentinels notice, elect and promote.
            let echo = begin + dice.tenths(down_after.saturating_sub(5), down_after + 40);
            let kind = dice.pick(&kinds);
            let second = incident(dice, scenario, limits, kind, echo, &mut extra);
            scenario.faults.extend(second);
        }
    }
    let last = scenario.faults.iter().map(|fault| fault.at).max().unwrap_or(Span::ZERO);
    scenario.duration = last;
    tidy(scenario, (!limits.beyond).then(|| Budget::survivable(scenario)));
    let end = scenario.faults.iter().map(|fault| fault.at).max().unwrap_or(Span::ZERO) + Span::from_secs(1);
    let undone = undo(scenario, end);
    scenario.faults.extend(undone);
    let timeout = scenario.sentinel.iter().map(|config| config.failover_timeout).max().unwrap_or(0);
    scenario.duration = end + Span::from_millis(2 * timeout) + QUIET + MARGIN + extra;
    tidy(scenario, None);
}

/// Who is hit: mostly servers, often by their role.
fn target(dice: &mut Dice, scenario: &Scenario, with_clients: bool) -> NodeRef {
    let redis = |dice: &mut Dice| NodeRef::Redis(1 + dice.0.below(u64::from(scenario.stack.redis)) as u16);
    match dice.0.below(100) {
        0..20 => NodeRef::Redis(1),
        20..35 => redis(dice),
        35..50 => NodeRef::Role(dice.pick(&[Role::Master, Role::Master, Role::Replica, Role::OldMaster])),
        50..75 => NodeRef::Sentinel(1 + dice.0.below(u64::from(scenario.stack.sentinels.max(1))) as u16),
        75..82 => NodeRef::Role(Role::Leader),
        82..92 => NodeRef::Haproxy,
        _ if with_clients && !scenario.clients.is_empty() => NodeRef::Client(dice.pick(&scenario.clients).name),
        _ => redis(dice),
    }
}

/// A subscriber to large messages of servers with small output limits.
fn may_overflow(scenario: &Scenario) -> Option<&client::Config> {
    const LARGE: u64 = 4_000;
    const SMALL: u64 = 1 << 20;
    let is_large = scenario.clients.iter().any(|client| client.payload >= LARGE);
    let is_small = |config: &redis::Config| (1..=SMALL).contains(&config.client_output_buffer_limit.pubsub.hard_bytes);
    let subscriber = scenario.clients.iter().find(|client| client.kind == client::Kind::Subscribe);
    subscriber.filter(|_| is_large && scenario.redis.iter().any(is_small))
}

/// Who has files, by name: what a full disk does to a program may end it, and must be undone.
fn target_with_files(dice: &mut Dice, scenario: &Scenario) -> NodeRef {
    loop {
        let node = target(dice, scenario, false);
        if matches!(node, NodeRef::Redis(_) | NodeRef::Sentinel(_)) {
            return node;
        }
    }
}

/// What happens at `at` and ends some time later; `extra` is how much longer than its faults it takes to be over.
#[allow(clippy::too_many_lines, reason = "a table: one arm a kind of fault")]
fn incident(
    dice: &mut Dice,
    scenario: &Scenario,
    limits: &Limits,
    kind: FaultKind,
    at: Span,
    extra: &mut Span,
) -> Vec<Fault> {
    let lasts = match dice.0.below(3) {
        0 => dice.tenths(1, 20),
        1 => dice.tenths(20, 100),
        _ => dice.tenths(100, 250),
    };
    let end = at + lasts;
    let mut done = Vec::new();
    let mut add = |at: Span, action: Action| done.push(fault(at, action));
    match kind {
        FaultKind::Kill | FaultKind::KillHost | FaultKind::PowerOff | FaultKind::Terminate => {
            let node = target(dice, scenario, true);
            let back = match &node {
                NodeRef::Role(Role::Master) => NodeRef::Role(Role::OldMaster),
                node => node.clone(),
            };
            add(
                at,
                match kind {
                    FaultKind::Kill => Action::Kill { node },
                    FaultKind::KillHost => Action::KillHost { node },
                    FaultKind::PowerOff => Action::PowerOff { node },
                    _ => Action::Terminate { node },
                },
            );
            add(end, Action::Start { node: back });
            match kind {
                FaultKind::KillHost => *extra = (*extra).max(STALE_NEIGHBOUR),
                // A replica that waits for a machine that vanished waits for `repl-timeout`.
                FaultKind::PowerOff => {
                    let patience = scenario.redis.iter().map(|config| u64::from(config.repl_timeout)).max();
                    *extra = (*extra).max(Span::from_secs(patience.unwrap_or(0)));
                }
                _ => {}
            }
        }
        FaultKind::Pause => {
            // Whoever may overflow its output buffer by standing still often does.
            let node = match may_overflow(scenario).filter(|_| dice.percent(50)) {
                Some(subscriber) => NodeRef::Client(subscriber.name.clone()),
                None => target(dice, scenario, true),
            };
            let back = match &node {
                NodeRef::Role(Role::Master) => NodeRef::Role(Role::OldMaster),
                node => node.clone(),
            };
            add(at, Action::Pause { node });
            add(end, Action::Resume { node: back });
            *extra = (*extra).max(TILT);
        }
        FaultKind::Partition => {
            let groups = groups(dice, scenario);
            add(at, Action::Partition { groups });
            add(end, Action::Heal {});
        }
        FaultKind::Cut => {
            let mut places = places(scenario);
            dice.0.shuffle(&mut places);
            let one = places.pop().expect("a stack has nodes");
            let many = 1 + dice.0.below(places.len() as u64) as usize;
            places.truncate(many);
            let (from, to) = if dice.percent(50) { (vec![one], places) } else { (places, vec![one]) };
            add(at, Action::Cut { from: OneOrMany(from), to: OneOrMany(to) });
            add(end, Action::Heal {});
        }
        FaultKind::Degrade => {
            let mut places = places(scenario);
            dice.0.shuffle(&mut places);
            let [Some(a), Some(b)] = [places.pop(), places.pop()] else { return done };
            let mut chosen = |percent: u64| dice.percent(percent);
            let [slow, wobbly, lossy, narrow] = [chosen(50), chosen(30), chosen(50), chosen(20)];
            let slow = slow || !(wobbly || lossy || narrow);
            let latency = slow.then(|| dice.pick(&[5, 50, 200, 700]).min(700)).map(Span::from_millis);
            let jitter = wobbly.then(|| Span::from_millis(dice.pick(&[1, 20, 100])));
            let loss = lossy.then(|| Share::from_f64(dice.pick(&[0.01, 0.1, 0.3])).expect("a share"));
            let rate = narrow.then(|| dice.pick(&[64_000, 1_000_000])).and_then(NonZeroU64::new).map(Rate::bits);
            add(at, Action::Degrade { between: [a, b], latency, jitter, loss, rate });
            add(end, Action::Heal {});
        }
        FaultKind::ClockJump => {
            let node = match dice.percent(70) {
                true => NodeRef::Sentinel(1 + dice.0.below(u64::from(scenario.stack.sentinels.max(1))) as u16),
                false => NodeRef::Redis(1 + dice.0.below(u64::from(scenario.stack.redis)) as u16),
            };
            let by = dice.pick(&[-10_000, -3_000, -500, 500, 1_500, 3_000, 10_000]);
            add(at, Action::ClockJump { node, by: SignedSpan(by * 1_000_000) });
            *extra = (*extra).max(TILT + Span::from_secs(10));
        }
        FaultKind::Stall => {
            let node = target(dice, scenario, false);
            let duration = dice.tenths(1, 120);
            add(at, Action::Stall { node, duration });
            *extra = (*extra).max(TILT + duration);
        }
        FaultKind::SlowDisk => {
            let node = target_with_files(dice, scenario);
            let fsync = Span::from_millis(dice.pick(&[20, 300, 1_500, 4_000]));
            let duration = dice.percent(70).then_some(lasts);
            add(at, Action::SlowDisk { node, fsync, duration });
            if duration.is_none() {
                add(end, Action::Heal {});
            }
            // A Sentinel syncs three times before it votes, and may be in TILT for it.
            *extra = (*extra).max(TILT + fsync * 6);
        }
        FaultKind::DiskFull => {
            let node = target_with_files(dice, scenario);
            let duration = dice.percent(70).then_some(lasts);
            // Only who tries to save learns of it, but for a log.
            let saves = matches!(node, NodeRef::Redis(_)) && dice.percent(50);
            add(at, Action::DiskFull { node: node.clone(), duration });
            if saves {
                add(at + Span::from_millis(100), Action::Command { node: node.clone(), run: vec!["BGSAVE".into()] });
            }
            if duration.is_none() {
                add(end, Action::Heal {});
            }
            if saves {
                // The next save point may be minutes away, and until a save succeeds PING is answered with an error.
                let cured = end + Span::from_millis(500);
                add(cured, Action::Start { node: node.clone() });
                add(cured + Span::from_secs(5), Action::Command { node, run: vec!["BGSAVE".into()] });
            }
        }
        FaultKind::Command => {
            let (node, run) = command(dice, scenario, limits.beyond);
            let run: Vec<String> = run.split(' ').map(str::to_owned).collect();
            let ends = run[0] == "SHUTDOWN";
            add(at, Action::Command { node: node.clone(), run });
            if ends {
                add(end, Action::Start { node });
                *extra = (*extra).max(Span::from_secs(10));
            }
        }
    }
    done
}

/// Two groups, rarely three: one node against the rest, or any split; now and then somebody is in none.
fn groups(dice: &mut Dice, scenario: &Scenario) -> Vec<Vec<NodeRef>> {
    let mut places = places(scenario);
    dice.0.shuffle(&mut places);
    if dice.percent(10) && places.len() > 3 {
        places.pop();
    }
    let at = if dice.percent(35) { 1 } else { 1 + dice.0.below(places.len() as u64 - 1) as usize };
    let mut rest = places.split_off(at);
    let mut groups = vec![places];
    if dice.percent(10) && rest.len() > 1 {
        let third = rest.split_off(rest.len() / 2);
        groups.push(third);
    }
    groups.push(rest);
    groups.iter_mut().for_each(|group| group.sort());
    groups
}

fn command(dice: &mut Dice, scenario: &Scenario, beyond: bool) -> (NodeRef, String) {
    let sentinel = NodeRef::Sentinel(1 + dice.0.below(u64::from(scenario.stack.sentinels.max(1))) as u16);
    let redis = NodeRef::Redis(1 + dice.0.below(u64::from(scenario.stack.redis)) as u16);
    let server = if dice.percent(40) { NodeRef::Role(Role::Master) } else { redis.clone() };
    let name = scenario.sentinel.first().map_or("mymaster", |config| config.master_name.as_str());
    let other = 1 + dice.0.below(u64::from(scenario.stack.redis));
    if beyond && dice.percent(30) {
        let words = [
            format!("SENTINEL RESET {name}"),
            format!("SENTINEL SET {name} quorum 1"),
            "SENTINEL SIMULATE-FAILURE crash-after-election".to_owned(),
            "SENTINEL SIMULATE-FAILURE crash-after-promotion".to_owned(),
        ];
        return (sentinel, dice.pick(&words));
    }
    match dice.0.below(14) {
        0..3 => (sentinel, format!("SENTINEL FAILOVER {name}")),
        3 => (sentinel, format!("SENTINEL SET {name} down-after-milliseconds {}", dice.pick(&[500, 2_000, 8_000]))),
        4 => (sentinel, format!("SENTINEL SET {name} parallel-syncs {}", dice.pick(&[1, 3]))),
        5 => (
            sentinel,
            dice.pick(&["SENTINEL FLUSHCONFIG".to_owned(), format!("SENTINEL CKQUORUM {name}"), "PING".to_owned()]),
        ),
        6 => (server, "REPLICAOF NO ONE".to_owned()),
        7 if NodeRef::Redis(other as u16) != redis => (redis, format!("REPLICAOF redis-{other} 6379")),
        8 => (server, format!("CLIENT KILL TYPE {}", dice.pick(&["normal", "pubsub", "replica", "master"]))),
        9 => (server, format!("CONFIG SET repl-backlog-size {}", dice.pick(&["16kb", "1mb"]))),
        10 => (server, "CONFIG REWRITE".to_owned()),
        11 => {
            let now = scenario.redis.iter().all(|config| config.release.has(ServerRelease::Redis7_0));
            let last = if now { "SHUTDOWN NOW SAVE" } else { "SHUTDOWN SAVE" };
            (redis, dice.pick(&["SHUTDOWN", "SHUTDOWN NOSAVE", last]).to_owned())
        }
        12 => (
            server,
            dice.pick(&["BGSAVE", "BGREWRITEAOF", "CONFIG SET appendonly yes", "CONFIG SET appendonly no"]).to_owned(),
        ),
        _ => (server, dice.pick(&["INFO", "ROLE", "PING"]).to_owned()),
    }
}
