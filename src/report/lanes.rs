//! What each node was doing when: the rows of the timeline, found from log lines and the fault script alone.
//!
//! All times are microseconds after time 0, as they stand in the written recording.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::analysis::boots::{Boots, is_crash};
use crate::analysis::faults::{Window, is_sudden_death, windows};
use crate::analysis::outages::Activity;
use crate::record::{
    ConnectEnd, Effect, Event, Fault, HaproxyEvent, Instance, InstanceKind, NodeKind, Op, Outcome, Record, Recording,
    RedisEvent, SentinelEvent, SentinelEventKind, What,
};
use crate::wire::Role;

/// What a Redis node was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedisState {
    /// It acts as master.
    Master,
    /// A replica whose link is up.
    Replica,
    /// A replica whose link to its master is down or being set up.
    LinkDown,
    /// Loading a data set.
    Loading,
    /// Stopped by SIGSTOP, or its event loop is blocked.
    Paused,
    /// Not running.
    Dead,
}

/// What a Sentinel thinks and does about the master it monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opinion {
    /// The master is fine.
    Fine,
    /// Subjectively down.
    Sdown,
    /// Objectively down.
    Odown,
    /// It leads a failover, or tries to.
    Leads,
    /// In TILT: it does not act.
    Tilt,
    /// Stopped by SIGSTOP.
    Paused,
    /// Not running.
    Dead,
}

/// What HAProxy thinks of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerState {
    /// UP.
    Up,
    /// DOWN.
    Down,
    /// HAProxy is stopped by SIGSTOP.
    Paused,
    /// HAProxy is not running.
    Dead,
}

/// A client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Open (and, for a subscriber, confirmed).
    Open,
    /// Between two connections.
    Closed,
}

/// A state and how long it lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bar<S> {
    /// Since when.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
    /// The state.
    pub state: S,
}

/// The row of a Redis node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RedisLane {
    /// The node.
    pub node: String,
    /// Its states, without a gap.
    pub bars: Vec<Bar<RedisState>>,
    /// Whose replica it is or was told to be: since when, whose.
    pub follows: Vec<(i64, String)>,
}

/// The row of a Sentinel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SentinelLane {
    /// The node.
    pub node: String,
    /// Its opinions, without a gap.
    pub bars: Vec<Bar<Opinion>>,
    /// Whom it believes to be the master: since when, who.
    pub beliefs: Vec<(i64, String)>,
    /// Epochs that it entered: when, which.
    pub epochs: Vec<(i64, u32)>,
    /// How many replicas it holds to be down: since when, how many.
    pub down_replicas: Vec<(i64, usize)>,
    /// How many other Sentinels it holds to be down: since when, how many.
    pub down_sentinels: Vec<(i64, usize)>,
}

/// The rows of HAProxy: one for each server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProxyLane {
    /// The node.
    pub node: String,
    /// The server's name.
    pub server: String,
    /// Its states, without a gap.
    pub bars: Vec<Bar<ServerState>>,
}

/// The row of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientLane {
    /// The client, by the name that stands in the recording.
    pub node: String,
    /// What it does.
    pub activity: Activity,
    /// When each attempt began, how it ended, and the SEQ; a reception counts as a successful attempt.
    pub attempts: Vec<(i64, Outcome, u32)>,
    /// How long each attempt took; empty for receptions.
    pub took_us: Vec<i64>,
    /// The connection, where the client says so; empty if it never does.
    pub bars: Vec<Bar<Link>>,
}

/// A fault, and how long it lasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultWindow {
    /// Since when.
    pub from_us: i64,
    /// Until when; equal to the beginning for what has no duration.
    pub to_us: i64,
    /// What was done.
    #[serde(skip)]
    pub fault: Fault,
    /// The nodes, if it is about nodes; empty if it is about the network.
    pub nodes: Vec<String>,
    /// What to write beside it.
    pub label: String,
}

impl FaultWindow {
    /// Whether it lasts.
    pub fn lasts(&self) -> bool {
        self.to_us > self.from_us
    }
}

/// All rows of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanes {
    /// The first line of the recording.
    pub begin_us: i64,
    /// The end of the recording.
    pub end_us: i64,
    /// Where a picture of the run begins: shortly before time 0, when all is still well.
    pub shown_from_us: i64,
    /// Redis nodes.
    pub redis: Vec<RedisLane>,
    /// Sentinels.
    pub sentinels: Vec<SentinelLane>,
    /// HAProxy's servers.
    pub proxies: Vec<ProxyLane>,
    /// Clients.
    pub clients: Vec<ClientLane>,
    /// Faults, in order of time.
    pub faults: Vec<FaultWindow>,
}

impl Lanes {
    /// The first `most` lanes of each kind, and how many are left out.
    pub fn at_most(&self, most: usize) -> (Cow<'_, Lanes>, usize) {
        let counts = [self.redis.len(), self.sentinels.len(), self.proxies.len(), self.clients.len()];
        let hidden = counts.iter().map(|count| count.saturating_sub(most)).sum();
        if hidden == 0 {
            return (Cow::Borrowed(self), 0);
        }
        let lanes = Lanes {
            redis: self.redis.iter().take(most).cloned().collect(),
            sentinels: self.sentinels.iter().take(most).cloned().collect(),
            proxies: self.proxies.iter().take(most).cloned().collect(),
            clients: self.clients.iter().take(most).cloned().collect(),
            faults: self.faults.clone(),
            ..*self
        };
        (Cow::Owned(lanes), hidden)
    }
}

/// Collects the successive states of one row.
#[derive(Clone)]
struct Track<S> {
    bars: Vec<Bar<S>>,
    since: i64,
    state: S,
    /// While set, the state is hidden by what a fault does to the process.
    hidden: Option<S>,
}

impl<S: Copy + PartialEq> Track<S> {
    fn new(since: i64, state: S) -> Self {
        Track { bars: Vec::new(), since, state, hidden: None }
    }

    fn shown(&self) -> S {
        self.hidden.unwrap_or(self.state)
    }

    fn change(&mut self, at: i64, f: impl FnOnce(&mut Self)) {
        let before = self.shown();
        f(self);
        if self.shown() != before {
            self.push(at, before);
            self.since = self.since.max(at);
        }
    }

    fn push(&mut self, at: i64, state: S) {
        if at <= self.since {
            return;
        }
        match self.bars.last_mut() {
            Some(last) if last.state == state && last.to_us == self.since => last.to_us = at,
            _ => self.bars.push(Bar { from_us: self.since, to_us: at, state }),
        }
    }

    fn to(&mut self, at: i64, state: S) {
        self.change(at, |track| track.state = state);
    }

    fn hide(&mut self, at: i64, state: Option<S>) {
        self.change(at, |track| track.hidden = state);
    }

    fn finish(mut self, end: i64) -> Vec<Bar<S>> {
        let state = self.shown();
        self.push(end, state);
        self.bars
    }
}

struct SentinelTrack {
    track: Track<Opinion>,
    sdown: bool,
    odown: bool,
    leads: bool,
    tilt: bool,
    beliefs: Vec<(i64, String)>,
    epochs: Vec<(i64, u32)>,
    down: Vec<Instance>,
    down_replicas: Vec<(i64, usize)>,
    down_sentinels: Vec<(i64, usize)>,
}

impl SentinelTrack {
    /// Notes whether another instance is held to be down.
    fn other(&mut self, at: i64, who: Instance, is_down: bool) {
        // The same instance under another master is the same.
        let who = Instance { master: who.addr, ..who };
        self.down.retain(|other| *other != who);
        if is_down {
            self.down.push(who);
        }
        self.count(at);
    }

    fn count(&mut self, at: i64) {
        let of = |kind| self.down.iter().filter(|who| who.kind == kind).count();
        let (replicas, sentinels) = (of(InstanceKind::Slave), of(InstanceKind::Sentinel));
        for (row, now) in [(&mut self.down_replicas, replicas), (&mut self.down_sentinels, sentinels)] {
            if row.last().map_or(0, |(_, last)| *last) != now {
                row.push((at, now));
            }
        }
    }

    fn settle(&mut self, at: i64) {
        let state = match self {
            SentinelTrack { tilt: true, .. } => Opinion::Tilt,
            SentinelTrack { leads: true, .. } => Opinion::Leads,
            SentinelTrack { odown: true, .. } => Opinion::Odown,
            SentinelTrack { sdown: true, .. } => Opinion::Sdown,
            _ => Opinion::Fine,
        };
        self.track.to(at, state);
    }

    fn forget(&mut self) {
        (self.sdown, self.odown, self.leads, self.tilt) = (false, false, false, false);
    }

    fn event(&mut self, at: i64, event: &SentinelEvent, recording: &Recording) {
        use SentinelEventKind as Kind;
        match event {
            SentinelEvent::About(kind, who) => match (kind, who.kind) {
                (Kind::SdownEntered, InstanceKind::Master) => self.sdown = true,
                (Kind::SdownLeft, InstanceKind::Master) => (self.sdown, self.odown) = (false, false),
                (Kind::OdownLeft, InstanceKind::Master) => self.odown = false,
                (Kind::SdownEntered, _) => self.other(at, *who, true),
                (Kind::SdownLeft, _) => self.other(at, *who, false),
                (Kind::TryFailover, _) => self.leads = true,
                (
                    Kind::FailoverEnd
                    | Kind::FailoverEndForTimeout
                    | Kind::AbortNotElected
                    | Kind::AbortNoGoodSlave
                    | Kind::AbortSlaveTimeout,
                    _,
                ) => self.leads = false,
                _ => {}
            },
            SentinelEvent::Odown(..) => self.odown = true,
            SentinelEvent::Tilt(on) => self.tilt = *on,
            SentinelEvent::NewEpoch(epoch) => self.epochs.push((at, *epoch)),
            SentinelEvent::Monitor(who, _) => self.believe(at, recording.names.ip(who.addr.ip)),
            SentinelEvent::SwitchMaster(_, _, new) => {
                (self.sdown, self.odown, self.leads) = (false, false, false);
                self.down.retain(|who| who.kind != InstanceKind::Slave);
                self.count(at);
                self.believe(at, recording.names.ip(new.ip));
            }
            _ => {}
        }
        self.settle(at);
    }

    fn believe(&mut self, at: i64, who: &str) {
        if self.beliefs.last().is_none_or(|(_, last)| last != who) {
            self.beliefs.push((at, who.to_string()));
        }
    }
}

enum Change<'a> {
    Fault(&'a FaultWindow, bool),
    Line(&'a Record),
}

/// Finds out what every node was doing when.
pub fn lanes(recording: &Recording) -> Lanes {
    let end = (recording.header.end_s * 1e6).round() as i64;
    let first = recording.records.first().map_or(0, |record| recording.micros(record.time)).min(0);
    let end = end.max(1);
    let faults = fault_windows(recording, end);
    let mut rows = Rows::new(recording, first);
    let mut changes: Vec<(i64, Change<'_>)> = Vec::new();
    for fault in &faults {
        changes.push((fault.from_us, Change::Fault(fault, true)));
        if let Fault::Stall { .. } = fault.fault {
            changes.push((fault.to_us, Change::Fault(fault, false)));
        }
    }
    changes.extend(recording.records.iter().map(|record| (recording.micros(record.time), Change::Line(record))));
    changes.retain(|(at, _)| *at <= end);
    changes.sort_by_key(|(at, _)| *at);
    for (at, change) in changes {
        match change {
            Change::Fault(fault, begins) => rows.fault(at, fault, begins),
            Change::Line(record) => match &record.what {
                What::Event(event) => rows.line(at, recording.names.node(record.node), event, recording),
                What::Op(_) => {}
            },
        }
    }
    let before = (end / 12).clamp(1_500_000, 30_000_000);
    Lanes {
        begin_us: first,
        end_us: end,
        shown_from_us: first.max(-before),
        clients: clients(recording, first, end),
        redis: rows
            .redis
            .into_iter()
            .map(|(node, track)| RedisLane {
                follows: rows.follows.remove(&node).unwrap_or_default(),
                node,
                bars: track.finish(end),
            })
            .collect(),
        sentinels: rows
            .sentinels
            .into_iter()
            .map(|(node, row)| SentinelLane {
                node,
                bars: row.track.finish(end),
                beliefs: row.beliefs,
                epochs: row.epochs,
                down_replicas: row.down_replicas,
                down_sentinels: row.down_sentinels,
            })
            .collect(),
        proxies: rows
            .proxies
            .into_iter()
            .map(|(node, server, track)| ProxyLane { node, server, bars: track.finish(end) })
            .collect(),
        faults,
    }
}

struct Rows {
    boots: Boots,
    redis: Vec<(String, Track<RedisState>)>,
    /// When a replica last finished loading: recordings of real programs have the lines of an instant out of order.
    loaded: BTreeMap<String, i64>,
    follows: BTreeMap<String, Vec<(i64, String)>>,
    sentinels: Vec<(String, SentinelTrack)>,
    proxies: Vec<(String, String, Track<ServerState>)>,
}

impl Rows {
    fn new(recording: &Recording, first: i64) -> Rows {
        let of = |kind| recording.names.of_kind(kind).map(|(_, name)| name.to_owned());
        let servers = &recording.header.redis;
        let first_master = servers.iter().find(|name| *name == "redis-1").or(servers.first()).cloned();
        let first_master = first_master.unwrap_or_default();
        let boots = Boots::of(recording);
        let redis = of(NodeKind::Redis).map(|name| {
            let role = recording.names.find_node(&name).map(|node| boots.first(node));
            let state = if role == Some(Role::Master) { RedisState::Master } else { RedisState::LinkDown };
            (name, Track::new(first, state))
        });
        let sentinels = of(NodeKind::Sentinel).map(|name| {
            let row = SentinelTrack {
                track: Track::new(first, Opinion::Fine),
                sdown: false,
                odown: false,
                leads: false,
                tilt: false,
                beliefs: vec![(first, first_master.clone())],
                epochs: Vec::new(),
                down: Vec::new(),
                down_replicas: Vec::new(),
                down_sentinels: Vec::new(),
            };
            (name, row)
        });
        let proxies = of(NodeKind::Haproxy).flat_map(|name| {
            let row = |server: &String| (name.clone(), server.clone(), Track::new(first, ServerState::Up));
            servers.iter().map(row).collect::<Vec<_>>()
        });
        Rows {
            redis: redis.collect(),
            loaded: BTreeMap::new(),
            follows: BTreeMap::new(),
            sentinels: sentinels.collect(),
            proxies: proxies.collect(),
            boots,
        }
    }

    fn fault(&mut self, at: i64, fault: &FaultWindow, begins: bool) {
        for node in &fault.nodes {
            let redis = self.redis.iter_mut().find(|(name, _)| name == node).map(|(_, track)| track);
            let sentinel = self.sentinels.iter_mut().find(|(name, _)| name == node).map(|(_, row)| row);
            let proxies = self.proxies.iter_mut().filter(|(name, ..)| name == node).map(|(.., track)| track);
            match fault.fault.effect() {
                Effect::Kills if is_sudden_death(&fault.fault) => {
                    redis.into_iter().for_each(|t| t.change(at, |t| (t.state, t.hidden) = (RedisState::Dead, None)));
                    if let Some(row) = sentinel {
                        row.forget();
                        row.track.change(at, |t| (t.state, t.hidden) = (Opinion::Dead, None));
                    }
                    proxies.for_each(|t| t.change(at, |t| (t.state, t.hidden) = (ServerState::Dead, None)));
                }
                Effect::Kills => {
                    // A Redis node says itself when it exits.
                    if let Some(row) = sentinel {
                        row.forget();
                        row.track.to(at, Opinion::Dead);
                    }
                    proxies.for_each(|t| t.to(at, ServerState::Dead));
                }
                Effect::Starts => {
                    redis.into_iter().for_each(|t| t.to(at, RedisState::Loading));
                    if let Some(row) = sentinel {
                        row.settle(at);
                    }
                    proxies.for_each(|t| t.to(at, ServerState::Up));
                }
                Effect::Stops | Effect::Resumes => {
                    let on = fault.fault.effect() == Effect::Stops && begins;
                    redis.into_iter().for_each(|t| t.hide(at, on.then_some(RedisState::Paused)));
                    sentinel.into_iter().for_each(|row| row.track.hide(at, on.then_some(Opinion::Paused)));
                    proxies.for_each(|t| t.hide(at, on.then_some(ServerState::Paused)));
                }
                _ => {}
            }
        }
    }

    fn line(&mut self, at: i64, node: &str, event: &Event, recording: &Recording) {
        match event {
            Event::Redis(event) => {
                let connects = match event {
                    RedisEvent::ConnectingToMaster(addr) | RedisEvent::ReconnectingToMaster(addr) => Some(*addr),
                    event => event.follows(),
                };
                if let Some(addr) = connects {
                    let whose = recording.names.ip(addr.ip).to_string();
                    let row = self.follows.entry(node.to_string()).or_default();
                    if row.last().is_none_or(|(_, last)| *last != whose) {
                        row.push((at, whose));
                    }
                }
                let began = recording.names.find_node(node).map_or(Role::Slave, |node| self.boots.at(node, at));
                if let Some((_, track)) = self.redis.iter_mut().find(|(name, _)| name == node)
                    && let Some(state) = redis_state(track.state, event, began)
                {
                    if *event == RedisEvent::FinishedWithSuccess {
                        self.loaded.insert(node.to_string(), at);
                    }
                    if state != RedisState::Loading || self.loaded.get(node) != Some(&at) {
                        track.to(at, state);
                    }
                }
            }
            Event::Sentinel(event) => {
                if let Some((_, row)) = self.sentinels.iter_mut().find(|(name, _)| name == node) {
                    row.event(at, event, recording);
                }
            }
            Event::Haproxy(HaproxyEvent::Server { server, up, .. }) => {
                let host = recording.names.host(*server);
                let found = self.proxies.iter_mut().find(|(name, server, _)| name == node && server == host);
                if let Some((.., track)) = found {
                    track.to(at, if *up { ServerState::Up } else { ServerState::Down });
                }
            }
            event if is_crash(event) => {
                if let Some((_, track)) = self.redis.iter_mut().find(|(name, _)| name == node) {
                    track.change(at, |t| (t.state, t.hidden) = (RedisState::Dead, None));
                }
            }
            Event::Haproxy(HaproxyEvent::NoServer) | Event::Text(_) => {}
        }
    }
}

/// The state that a log line leads to, if it changes it.
fn redis_state(now: RedisState, event: &RedisEvent, began: Role) -> Option<RedisState> {
    match event {
        RedisEvent::Ready => match now {
            RedisState::Dead | RedisState::Loading if began == Role::Master => Some(RedisState::Master),
            RedisState::Dead | RedisState::Loading => Some(RedisState::LinkDown),
            _ => None,
        },
        event if event.leads() => Some(RedisState::Master),
        event if event.follows().is_some() => Some(RedisState::LinkDown),
        RedisEvent::BeforeTurningIntoReplica => Some(RedisState::LinkDown),
        RedisEvent::ConnectingToMaster(_) | RedisEvent::SyncStarted | RedisEvent::ReconnectingToMaster(_) => {
            Some(RedisState::LinkDown)
        }
        RedisEvent::MasterConnectionLost | RedisEvent::MasterTimeout => {
            (now != RedisState::Master).then_some(RedisState::LinkDown)
        }
        RedisEvent::ReceivingRdb | RedisEvent::FlushingOldData | RedisEvent::LoadingDb => Some(RedisState::Loading),
        RedisEvent::FinishedWithSuccess | RedisEvent::MasterAcceptedPartial | RedisEvent::SuccessfulPartial => {
            Some(RedisState::Replica)
        }
        RedisEvent::Exiting => Some(RedisState::Dead),
        _ => None,
    }
}

fn clients(recording: &Recording, first: i64, end: i64) -> Vec<ClientLane> {
    let publishers = recording.publishers();
    let mut rows: BTreeMap<(usize, Activity), ClientLane> = BTreeMap::new();
    let row = |node: String, activity| ClientLane { node, activity, attempts: vec![], took_us: vec![], bars: vec![] };
    let mut links: BTreeMap<usize, Track<Link>> = BTreeMap::new();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for record in &recording.records {
        let What::Op(op) = &record.what else { continue };
        let node = record.node.0 as usize;
        let at = recording.micros(record.time);
        if at > end {
            break;
        }
        let (activity, outcome, seq, took) = match *op {
            Op::Publish { seq, outcome, took, .. } => (Activity::Publish, outcome, seq, Some(took)),
            Op::Set { seq, outcome, took, .. } => (Activity::Set, outcome, seq, Some(took)),
            Op::Get { seq, outcome, took } => (Activity::Get, outcome, seq, Some(took)),
            Op::Receive { seq, .. } => (Activity::Receive, Outcome::Ok, seq, None),
            // Counted, not recorded one by one.
            Op::Load(_) | Op::Heard(_) => continue,
            Op::Connect(how) => {
                let track = links.entry(node).or_insert_with(|| Track::new(at.max(first), Link::Closed));
                track.to(at, if how == ConnectEnd::Open { Link::Open } else { Link::Closed });
                continue;
            }
        };
        seen.insert(node);
        let name = recording.written_name(record, &publishers).to_string();
        let lane = rows.entry((node, activity)).or_insert_with(|| row(name, activity));
        lane.attempts.push((at, outcome, seq));
        lane.took_us.extend(took.map(|took| ((took.0 + 500) / 1_000) as i64));
    }
    for node in links.keys().filter(|node| !seen.contains(node)) {
        rows.insert((*node, Activity::Receive), row(recording.names.nodes[*node].name.clone(), Activity::Receive));
    }
    for ((node, activity), lane) in &mut rows {
        // Publishers and writers tell when a connection opened, not when it ended.
        if let Some(track) = links.get(node).filter(|_| *activity == Activity::Receive) {
            lane.bars = track.clone().finish(end);
        }
    }
    rows.into_values().collect()
}

/// The faults of a run as a chart shades and labels them.
pub fn fault_windows(recording: &Recording, end: i64) -> Vec<FaultWindow> {
    let window = |window: Window| {
        let (from_us, label) = (window.from_us, window.fault.label());
        let to_us = window.until_or(end).min(end).max(from_us);
        let nodes = if window.effect().is_of_network() { Vec::new() } else { window.nodes };
        FaultWindow { from_us, to_us, fault: window.fault, nodes, label }
    };
    windows(recording).into_iter().map(window).collect()
}

/// A [`FaultWindow`]'s label in at most `most` characters.
pub fn shorten(label: &str, most: usize) -> String {
    if label.chars().count() <= most {
        return label.to_string();
    }
    let mut short: String = label.chars().take(most.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}
