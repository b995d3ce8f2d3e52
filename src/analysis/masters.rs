//! Who acts as master, and where HAProxy sends new sessions.
//!
//! Both follow from the log lines and the fault script alone. A node acts as master while it runs, is not paused, and
//! began as one or was made one since: what it is when it begins, it says itself (`boots`). A partition does
//! not stop a master from acting: that is what makes two of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::boots::{Boots, ORDERED_US, is_crash};
use super::faults::{Window, is_sudden_death, windows};
use crate::record::{Effect, Event, HaproxyEvent, Order, Recording, RedisEvent, What};
use crate::wire::{NodeId, Role};

/// A time during which a node acted as master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// The node.
    pub node: String,
    /// Since when; before the first line of the recording counts as at that line.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
}

impl Lane {
    /// Whether it has a moment in common with a span of time.
    fn touches(&self, from_us: i64, to_us: i64) -> bool {
        self.from_us <= to_us && from_us < self.to_us
    }
}

/// A time during which several nodes acted as master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TwoMasters {
    /// Since when.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
    /// Which nodes.
    pub nodes: Vec<String>,
    /// To which of the servers HAProxy sent new sessions meanwhile.
    pub routed_to: Vec<String>,
}

/// So long after its server went DOWN a session that is shut down then ends for its client, at the most: what the way there takes.
const MARKED_DOWN_US: i64 = 50_000;

/// What HAProxy does in one pass is over within so long.
const PASS_US: i64 = 1_000;

/// A time during which HAProxy sent new sessions to one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Since when.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
    /// The server; none if HAProxy had none or did not run.
    pub server: Option<String>,
    /// Whether it is one of several that were active: lines do not say to which of them a session went.
    #[serde(skip)]
    pub several: bool,
    /// Whether HAProxy ran.
    pub running: bool,
}

/// Who acted as master when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Masters {
    /// Each node's times as master, in order of their beginnings.
    pub lanes: Vec<Lane>,
    /// Times in which a process that is about to be a master loads its data: it answers PUBLISH already.
    #[serde(skip)]
    pub(super) loads: Vec<Lane>,
    /// The times as master as in `lanes`, but on behind the end of the run: clients are stopped a little later.
    #[serde(skip)]
    to_the_last: Vec<Lane>,
    /// Times with several masters.
    pub two: Vec<TwoMasters>,
    /// HAProxy's choices, without a gap; empty for a stack without HAProxy. Where several servers are active, the
    /// first of them stands for all.
    pub routes: Vec<Route>,
}

/// A connection may lead to one of several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Several;

impl Route {
    /// Whether sessions go to the same place.
    fn goes_where(&self, other: &Route) -> bool {
        (&self.server, self.several, self.running) == (&other.server, other.several, other.running)
    }
}

impl Masters {
    /// The times as master that a span of time touches, in order of their beginnings; behind the end of the run too.
    pub(super) fn acting(&self, from_us: i64, to_us: i64) -> impl Iterator<Item = &Lane> {
        self.to_the_last.iter().filter(move |lane| lane.touches(from_us, to_us))
    }

    /// The times as master that were over at an instant, the last first.
    pub(super) fn acted_before(&self, at_us: i64) -> impl Iterator<Item = &Lane> {
        let mut over: Vec<&Lane> = self.to_the_last.iter().filter(|lane| lane.to_us <= at_us).collect();
        over.sort_by_key(|lane| std::cmp::Reverse(lane.to_us));
        over.into_iter()
    }

    /// Whether a node acts as master.
    pub fn acts(&self, node: &str, at_us: i64) -> bool {
        self.acted(node, at_us, at_us)
    }

    /// Whether a node acted as master at some moment of a span of time.
    pub fn acted(&self, node: &str, from_us: i64, to_us: i64) -> bool {
        self.acting(from_us, to_us).any(|lane| lane.node == node)
    }

    /// Whether a server, or any where nobody knows which, executed as a master what a client published in a span of time.
    pub(super) fn published_at_master(&self, server: Option<&str>, from_us: i64, to_us: i64) -> bool {
        let loads = self.loads.iter().filter(|load| load.touches(from_us, to_us));
        self.acting(from_us, to_us).chain(loads).any(|lane| server.is_none_or(|server| lane.node == server))
    }

    /// HAProxy's choice at an instant.
    pub fn route(&self, at_us: i64) -> Option<&Route> {
        self.routes.iter().rev().find(|route| route.from_us <= at_us)
    }

    /// Whether HAProxy had no server for a session that began and ended at these instants. One that had a server, and ends as
    /// that goes DOWN, was cut (`on-marked-down shutdown-sessions`).
    pub(super) fn found_no_server(&self, from_us: i64, to_us: i64) -> bool {
        // A session that is taken in the pass in which a server comes UP still finds none.
        let (began, ended) = (self.route(from_us - PASS_US), self.route(to_us));
        let is_none = |route: &Route| route.server.is_none();
        began.is_some_and(is_none) || ended.is_some_and(is_none) && !self.goes_down_at(to_us)
    }

    /// Whether HAProxy lost its last server at an instant.
    pub(crate) fn goes_down_at(&self, at_us: i64) -> bool {
        self.route(at_us).is_some_and(|route| route.server.is_none() && at_us - route.from_us <= MARKED_DOWN_US)
    }

    /// The server to which a connection leads that a client opens at an instant, none if there is no server: HAProxy's
    /// choice, or without HAProxy the node that acts as master, of which the Sentinels tell.
    ///
    /// # Errors
    /// If there are several, and lines do not say which one it is.
    pub(super) fn leads_to(&self, at_us: i64) -> Result<Option<&str>, Several> {
        if let Some(route) = self.route(at_us) {
            return if route.several { Err(Several) } else { Ok(route.server.as_deref()) };
        }
        let mut acting = self.acting(at_us, at_us);
        match (acting.next(), acting.next()) {
            (first, None) => Ok(first.map(|lane| lane.node.as_str())),
            _ => Err(Several),
        }
    }

    /// As [`Masters::leads_to`], of a connection that was opened at an unknown moment of a span of time and has a server.
    pub(super) fn led_to(&self, from_us: i64, to_us: i64) -> Result<Option<&str>, Several> {
        let within = |route: &&Route| route.from_us <= to_us && from_us < route.to_us;
        let mut routes = self.routes.iter().filter(within).filter(|route| route.server.is_some());
        let Some(first) = routes.next() else { return self.leads_to(to_us) };
        let alike = !first.several && routes.all(|route| !route.several && route.server == first.server);
        if alike { Ok(first.server.as_deref()) } else { Err(Several) }
    }

    /// The whole time after 0 with several masters.
    pub fn two_masters_us(&self) -> i64 {
        self.two.iter().map(|window| (window.to_us - window.from_us.max(0)).max(0)).sum()
    }

    /// The whole time after 0 in which HAProxy ran and had no server.
    pub fn no_server_us(&self) -> i64 {
        let without = self.routes.iter().filter(|route| route.running && route.server.is_none());
        without.map(|route| (route.to_us - route.from_us.max(0)).max(0)).sum()
    }
}

/// The name of the node that is master at the beginning.
pub(super) fn first_master(recording: &Recording) -> &str {
    let redis = &recording.header.redis;
    redis.iter().find(|name| *name == "redis-1").or(redis.first()).map_or("redis-1", String::as_str)
}

/// The servers that HAProxy uses only where no other one is left: as its first line on each says; of those on which it
/// says nothing, all but the first master, as in the demo.
fn backups(recording: &Recording, first: &str) -> BTreeSet<String> {
    let mut said: BTreeMap<&str, bool> = BTreeMap::new();
    for record in &recording.records {
        if let What::Event(Event::Haproxy(HaproxyEvent::Server { server, backup, .. })) = &record.what {
            said.entry(recording.names.host(*server)).or_insert(*backup);
        }
    }
    let is_backup = |name: &&String| said.get(name.as_str()).copied().unwrap_or(*name != first);
    recording.header.redis.iter().filter(is_backup).cloned().collect()
}

#[derive(Clone, Copy)]
struct Node {
    running: bool,
    paused: bool,
    master: bool,
}

struct Proxy {
    running: bool,
    up: BTreeSet<String>,
    backups: BTreeSet<String>,
}

/// Something that changes who acts or where HAProxy routes.
enum Change<'a> {
    Fault(&'a Window),
    Redis(NodeId, &'a RedisEvent),
    Crash(NodeId),
    Haproxy(&'a HaproxyEvent),
}

/// All that can change who acts as master, in order of time.
fn changes<'a>(recording: &'a Recording, faults: &'a [Window]) -> Vec<(i64, Change<'a>)> {
    let mut changes: Vec<(i64, Change<'_>)> =
        faults.iter().map(|fault| (fault.from_us, Change::Fault(fault))).collect();
    for record in &recording.records {
        let change = match &record.what {
            What::Event(Event::Redis(event)) => Change::Redis(record.node, event),
            What::Event(Event::Haproxy(event)) => Change::Haproxy(event),
            What::Event(event) if is_crash(event) => Change::Crash(record.node),
            _ => continue,
        };
        changes.push((recording.micros(record.time), change));
    }
    changes.sort_by_key(|(at, _)| *at);
    changes
}

/// When processes that became masters with it loaded their data: from `Server initialized` on they answer.
fn loads(recording: &Recording, boots: &Boots) -> Vec<Lane> {
    let (mut began, mut ready, mut loads) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for record in &recording.records {
        let at = recording.micros(record.time);
        match &record.what {
            // The lines of one millisecond are out of order: this one may follow the end of its load.
            What::Event(Event::Text(text))
                if text.starts_with("Server initialized")
                    && ready.get(&record.node).is_none_or(|ready| at - ready > ORDERED_US) =>
            {
                began.insert(record.node, at);
            }
            What::Event(Event::Redis(RedisEvent::Ready)) => {
                ready.insert(record.node, at);
                let load = began.remove(&record.node).filter(|_| boots.at(record.node, at) == Role::Master);
                let node = recording.names.node(record.node).to_owned();
                loads.extend(load.map(|from_us| Lane { node, from_us, to_us: at }));
            }
            _ => {}
        }
    }
    loads
}

/// Finds out who acted as master when.
pub fn masters(recording: &Recording) -> Masters {
    let end = super::end_us(recording);
    let start = recording.records.first().map_or(0, |record| recording.micros(record.time)).min(0);
    let first = first_master(recording).to_string();
    let boots = Boots::of(recording);
    let servers = &recording.header.redis;
    let mut nodes: BTreeMap<&str, Node> = servers
        .iter()
        .map(|name| {
            let role = recording.names.find_node(name).map(|node| boots.first(node));
            (name.as_str(), Node { running: true, paused: false, master: role == Some(Role::Master) })
        })
        .collect();
    let mut proxy = Proxy { running: true, up: servers.iter().cloned().collect(), backups: backups(recording, &first) };
    let proxy_name = recording.names.haproxy().map(|node| recording.names.node(node));
    let has_proxy = proxy_name.is_some();
    let faults = windows(recording);
    let changes = changes(recording, &faults);
    // A fault may stand before the first line.
    let start = changes.first().map_or(start, |(at, _)| start.min(*at));

    let done = Masters { loads: loads(recording, &boots), ..Masters::default() };
    let mut builder = Builder { lanes: BTreeMap::new(), done, now: start };
    builder.note(start, &nodes, has_proxy.then_some(&proxy), servers);
    for (at, change) in changes {
        match change {
            Change::Fault(fault) => apply_fault(fault, &mut nodes, &mut proxy, (proxy_name, servers)),
            Change::Crash(node) => {
                if let Some(node) = nodes.get_mut(recording.names.node(node)) {
                    node.running = false;
                }
            }
            Change::Redis(id, event) => {
                if let Some(node) = nodes.get_mut(recording.names.node(id)) {
                    match event {
                        RedisEvent::Ready => {
                            let master = boots.at(id, at) == Role::Master;
                            *node = Node { running: true, paused: false, master };
                        }
                        event if event.leads() => node.master = true,
                        event if event.follows().is_some() => node.master = false,
                        RedisEvent::Exiting => node.running = false,
                        _ => {}
                    }
                }
            }
            Change::Haproxy(HaproxyEvent::Server { server, backup, up, .. }) => {
                let name = recording.names.host(*server).to_string();
                if *backup {
                    proxy.backups.insert(name.clone());
                } else {
                    proxy.backups.remove(&name);
                }
                if *up {
                    proxy.up.insert(name);
                } else {
                    proxy.up.remove(&name);
                }
            }
            Change::Haproxy(HaproxyEvent::NoServer) => {}
        }
        builder.note(at, &nodes, has_proxy.then_some(&proxy).filter(|_| at <= end), servers);
    }
    builder.finish(end)
}

fn apply_fault(
    fault: &Window,
    nodes: &mut BTreeMap<&str, Node>,
    proxy: &mut Proxy,
    (proxy_name, servers): (Option<&str>, &[String]),
) {
    let (effect, order) = (fault.effect(), fault.fault.order());
    for name in &fault.nodes {
        let on_proxy = proxy_name == Some(name);
        if let Some(node) = nodes.get_mut(name.as_str()) {
            match effect {
                // A server that is told to end says itself when it does.
                Effect::Kills => node.running &= !is_sudden_death(&fault.fault),
                Effect::Stops => node.paused |= order == Some(Order::Pause),
                Effect::Resumes => node.paused = false,
                _ => {}
            }
        } else if on_proxy && effect == Effect::Kills {
            proxy.running = false;
        } else if on_proxy && effect == Effect::Starts {
            proxy.running = true;
            proxy.up = servers.iter().cloned().collect();
        }
    }
}

/// Turns states at successive instants into lanes, windows and routes.
struct Builder {
    lanes: BTreeMap<String, i64>,
    done: Masters,
    now: i64,
}

impl Builder {
    fn note(&mut self, at: i64, nodes: &BTreeMap<&str, Node>, proxy: Option<&Proxy>, servers: &[String]) {
        assert!(self.now <= at, "changes are in order of time");
        self.now = at;
        let acting: BTreeSet<&str> = nodes
            .iter()
            .filter(|(_, node)| node.running && node.master && !node.paused)
            .map(|(name, _)| *name)
            .collect();
        let ended: Vec<String> = self.lanes.keys().filter(|name| !acting.contains(name.as_str())).cloned().collect();
        for name in ended {
            let from_us = self.lanes.remove(&name).expect("it was just listed");
            self.close_lane(name, from_us, at);
        }
        for name in acting {
            self.lanes.entry(name.to_string()).or_insert(at);
        }
        if let Some(proxy) = proxy {
            let mut active = servers.iter().filter(|name| proxy.up.contains(*name) && !proxy.backups.contains(*name));
            // Of backup servers only the first is used.
            let backup = || servers.iter().find(|name| proxy.up.contains(*name) && proxy.backups.contains(*name));
            let server = active.next().or_else(backup).filter(|_| proxy.running).cloned();
            let several = proxy.running && active.next().is_some();
            let route = Route { from_us: at, to_us: at, server, several, running: proxy.running };
            match self.done.routes.last_mut() {
                Some(last) if last.goes_where(&route) => {}
                Some(last) => {
                    last.to_us = at;
                    self.done.routes.push(route);
                }
                None => self.done.routes.push(route),
            }
        }
    }

    fn close_lane(&mut self, node: String, from_us: i64, to_us: i64) {
        if from_us < to_us {
            self.done.to_the_last.push(Lane { node, from_us, to_us });
        }
    }

    fn finish(mut self, end: i64) -> Masters {
        for (node, from_us) in std::mem::take(&mut self.lanes) {
            self.close_lane(node, from_us, i64::MAX);
        }
        let mut done = self.done;
        if let Some(last) = done.routes.last_mut() {
            last.to_us = end.max(last.from_us);
        }
        done.routes.retain(|route| route.from_us < route.to_us);
        done.to_the_last.sort_by(|a, b| (a.from_us, &a.node).cmp(&(b.from_us, &b.node)));
        let within = |lane: &Lane| Lane { to_us: lane.to_us.min(end), ..lane.clone() };
        done.lanes = done.to_the_last.iter().map(within).filter(|lane| lane.from_us < lane.to_us).collect();
        done.two = overlaps(&done.lanes, &done.routes);
        done
    }
}

/// The windows in which at least two lanes run, one for each set of nodes.
fn overlaps(lanes: &[Lane], routes: &[Route]) -> Vec<TwoMasters> {
    let edges: BTreeSet<i64> = lanes.iter().flat_map(|lane| [lane.from_us, lane.to_us]).collect();
    let edges: Vec<i64> = edges.into_iter().collect();
    let mut windows: Vec<TwoMasters> = Vec::new();
    for pair in edges.windows(2) {
        let (from_us, to_us) = (pair[0], pair[1]);
        let nodes: BTreeSet<&String> =
            lanes.iter().filter(|lane| lane.from_us <= from_us && to_us <= lane.to_us).map(|lane| &lane.node).collect();
        if nodes.len() < 2 {
            continue;
        }
        let nodes: Vec<String> = nodes.into_iter().cloned().collect();
        match windows.last_mut() {
            Some(last) if last.to_us == from_us && last.nodes == nodes => last.to_us = to_us,
            _ => windows.push(TwoMasters { from_us, to_us, nodes, routed_to: Vec::new() }),
        }
    }
    for window in &mut windows {
        for route in routes.iter().filter(|route| route.from_us < window.to_us && window.from_us < route.to_us) {
            if let Some(server) = route.server.as_ref().filter(|server| !window.routed_to.contains(*server)) {
                window.routed_to.push(server.clone());
            }
        }
    }
    windows
}
