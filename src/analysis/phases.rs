//! The phase budget of each failover: from the fault to the clients, step by step.
//!
//! An attempt begins with `+try-failover` and belongs to the Sentinel that printed it. Its steps before that are the
//! fault that hit the master and what the Sentinels concluded; its steps after it are the leader's, the promoted
//! node's, HAProxy's and the clients'.

use std::collections::BTreeMap;

use serde::Serialize;

use super::faults::{Window, windows};
use super::masters::Masters;
use super::outages::{Activity, ClientOutages};
use crate::record::{Event, InstanceKind, Recording, RedisEvent, SentinelEvent, SentinelEventKind as Kind, What};

/// Outages shorter than this are not a failover's doing.
const OUTAGE_US: i64 = 250_000;

/// A step of a failover, in the order of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The fault that hit the master.
    Fault,
    /// The first Sentinel holds the master to be down (`+sdown`).
    Detected,
    /// The leader-to-be finds a quorum (`+odown`).
    Agreed,
    /// It starts (`+try-failover`).
    Started,
    /// It is elected (`+elected-leader`).
    Elected,
    /// It has chosen a replica (`+selected-slave`).
    Selected,
    /// The replica has become a master (`MASTER MODE enabled`).
    Promoted,
    /// The leader has seen it (`+promoted-slave`).
    Confirmed,
    /// The last Sentinel has the new configuration (`+switch-master`).
    Propagated,
    /// HAProxy gives up the old master.
    ProxyDown,
    /// HAProxy sends new sessions to the new master.
    ProxySwitched,
    /// Publishers succeed again.
    PublisherOk,
    /// Writers succeed again.
    WriterOk,
    /// Subscribers receive again.
    SubscriberOk,
}

impl Phase {
    /// All steps in order.
    pub const ALL: [Phase; 14] = [
        Phase::Fault,
        Phase::Detected,
        Phase::Agreed,
        Phase::Started,
        Phase::Elected,
        Phase::Selected,
        Phase::Promoted,
        Phase::Confirmed,
        Phase::Propagated,
        Phase::ProxyDown,
        Phase::ProxySwitched,
        Phase::PublisherOk,
        Phase::WriterOk,
        Phase::SubscriberOk,
    ];

    /// The word in tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Fault => "fault",
            Phase::Detected => "detected",
            Phase::Agreed => "agreed",
            Phase::Started => "started",
            Phase::Elected => "elected",
            Phase::Selected => "selected",
            Phase::Promoted => "promoted",
            Phase::Confirmed => "confirmed",
            Phase::Propagated => "propagated",
            Phase::ProxyDown => "proxy-down",
            Phase::ProxySwitched => "proxy-switched",
            Phase::PublisherOk => "publisher-ok",
            Phase::WriterOk => "writer-ok",
            Phase::SubscriberOk => "subscriber-ok",
        }
    }

    /// The steps that this one waits for, the nearest first; the duration of a step counts from the nearest that was
    /// reached before it. A client behind HAProxy (`proxy`) comes back when HAProxy has a server for it: if that was not
    /// the promoted node, the failover had no part in it. A client that asks the Sentinels waits for what they announce.
    pub(super) const fn waits_for(self, proxy: bool) -> &'static [Phase] {
        use Phase::{Agreed, Confirmed, Detected, Elected, Fault, Promoted, ProxySwitched, Selected, Started};
        const CHAIN: &[Phase] = &[Confirmed, Promoted, Selected, Elected, Started, Agreed, Detected, Fault];
        match self {
            Phase::Fault => &[],
            Phase::Detected | Phase::ProxyDown => CHAIN.split_at(7).1,
            Phase::Agreed => CHAIN.split_at(6).1,
            Phase::Started => CHAIN.split_at(5).1,
            Phase::Elected => CHAIN.split_at(4).1,
            Phase::Selected => CHAIN.split_at(3).1,
            Phase::Promoted => CHAIN.split_at(2).1,
            Phase::Confirmed | Phase::ProxySwitched => CHAIN.split_at(1).1,
            Phase::PublisherOk | Phase::WriterOk | Phase::SubscriberOk if proxy => &[ProxySwitched, Fault, Started],
            Phase::Propagated | Phase::PublisherOk | Phase::WriterOk | Phase::SubscriberOk => CHAIN,
        }
    }
}

/// One step that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which.
    pub phase: Phase,
    /// When.
    pub at_us: i64,
    /// How long after the step that it waited for; none if it waited for none.
    pub took_us: Option<i64>,
    /// The step that it waited for, from which its duration counts.
    pub after: Option<Phase>,
    /// Who: a node, a client, or a fault's action.
    pub who: String,
    /// Which timer or setting decided it (`timers`); empty for the fault.
    pub decided_by: String,
}

/// How an attempt at a failover ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// `+failover-end`, or its timeout, and the switch.
    Completed,
    /// `-failover-abort-…`: the reason.
    Aborted(&'static str),
    /// Another Sentinel's configuration came first.
    Superseded,
    /// Still under way at the end of the recording, or the leader died.
    Unfinished,
}

/// One attempt at a failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failover {
    /// The Sentinel that tried.
    pub leader: String,
    /// The epoch of the attempt.
    pub epoch: Option<u32>,
    /// The master that was to be replaced.
    pub old_master: String,
    /// The replica that was promoted.
    pub new_master: Option<String>,
    /// Whether an operator asked for it.
    pub requested: bool,
    /// How it ended.
    pub ending: Ending,
    /// The steps that were reached, in the order of [`Phase::ALL`].
    pub steps: Vec<Step>,
    /// When each Sentinel took over the new configuration.
    pub switched: BTreeMap<String, i64>,
}

impl Failover {
    /// A step, if it was reached.
    pub fn step(&self, phase: Phase) -> Option<&Step> {
        self.steps.iter().find(|step| step.phase == phase)
    }

    /// Whether it changed the configuration: the leader saw a replica promoted, and some Sentinel took that over. A
    /// leader that dies in between has told nobody.
    pub fn took_effect(&self) -> bool {
        self.confirmed() && !self.switched.is_empty()
    }

    /// Whether the leader saw a replica promoted.
    pub fn confirmed(&self) -> bool {
        self.step(Phase::Confirmed).is_some()
    }

    /// When the attempt started.
    pub fn started_us(&self) -> i64 {
        self.step(Phase::Started).map_or(0, |step| step.at_us)
    }

    fn set(&mut self, phase: Phase, at_us: i64, who: &str) {
        if self.step(phase).is_none() {
            let (who, decided_by) = (who.to_string(), String::new());
            self.steps.push(Step { phase, at_us, took_us: None, after: None, who, decided_by });
        }
    }
}

/// What the Sentinels print, followed from line to line.
#[derive(Default)]
struct Follower {
    attempts: Vec<Failover>,
    /// Index of each Sentinel's attempt that is under way.
    open: BTreeMap<String, usize>,
    /// Since when each Sentinel holds which master to be down.
    down: BTreeMap<String, (String, i64)>,
    /// When each Sentinel last found a quorum.
    agreed: BTreeMap<String, i64>,
    /// The last epoch that each Sentinel knows.
    epoch: BTreeMap<String, u32>,
    requested: BTreeMap<String, bool>,
}

/// The failovers of a run, in order of their beginning.
pub fn failovers(recording: &Recording, masters: &Masters, outages: &[ClientOutages]) -> Vec<Failover> {
    let mut follower = Follower::default();
    for record in &recording.records {
        let at = recording.micros(record.time);
        let node = recording.names.node(record.node);
        match &record.what {
            What::Event(Event::Sentinel(event)) => follower.sentinel(recording, at, node, event),
            What::Event(Event::Redis(RedisEvent::MasterModeEnabled)) => follower.promoted(at, node),
            _ => {}
        }
    }
    let faults = windows(recording);
    let end = super::end_us(recording);
    let mut attempts = follower.attempts;
    let starts: Vec<i64> = attempts.iter().map(Failover::started_us).collect();
    for (i, attempt) in attempts.iter_mut().enumerate() {
        let until = starts.iter().skip(i + 1).find(|start| **start > starts[i]).copied().unwrap_or(end);
        add_fault(attempt, &faults);
        add_propagation(attempt);
        if attempt.confirmed() {
            add_proxy(attempt, masters, until);
            add_clients(attempt, outages, until);
        }
        attempt.steps.sort_by_key(|step| step.phase);
        for index in 0..attempt.steps.len() {
            let step = &attempt.steps[index];
            let before = reached_before(attempt, step, !masters.routes.is_empty());
            let (took, after) = before.map(|before| (step.at_us - before.at_us, before.phase)).unzip();
            (attempt.steps[index].took_us, attempt.steps[index].after) = (took, after);
        }
    }
    super::timers::decide(&mut attempts, recording, &super::timers::Settings::default());
    attempts
}

/// The nearest of the steps that `step` waits for which was reached before it, or in the same instant.
fn reached_before<'a>(attempt: &'a Failover, step: &Step, proxy: bool) -> Option<&'a Step> {
    let reached = |phase: &Phase| attempt.step(*phase).filter(|before| before.at_us <= step.at_us);
    step.phase.waits_for(proxy).iter().find_map(reached)
}

impl Follower {
    fn attempt(&mut self, leader: &str) -> Option<&mut Failover> {
        self.open.get(leader).map(|i| &mut self.attempts[*i])
    }

    fn sentinel(&mut self, recording: &Recording, at: i64, node: &str, event: &SentinelEvent) {
        let names = &recording.names;
        match event {
            SentinelEvent::NewEpoch(epoch) => {
                self.epoch.insert(node.to_string(), *epoch);
                // The leader announces the attempt's epoch right after or right before the attempt itself.
                if let Some(attempt) = self.attempt(node).filter(|attempt| attempt.started_us() == at) {
                    attempt.epoch = Some(*epoch);
                }
            }
            SentinelEvent::UserFailover(_) => {
                self.requested.insert(node.to_string(), true);
            }
            SentinelEvent::Odown(..) => {
                self.agreed.insert(node.to_string(), at);
            }
            SentinelEvent::SwitchMaster(_, old, new) => {
                self.switched(at, node, names.ip(old.ip), names.ip(new.ip));
            }
            SentinelEvent::About(kind, who) => self.about(at, node, *kind, who.kind, names.ip(who.addr.ip)),
            _ => {}
        }
    }

    fn about(&mut self, at: i64, node: &str, kind: Kind, what: InstanceKind, about: &str) {
        let master = what == InstanceKind::Master;
        match kind {
            Kind::SdownEntered if master => {
                self.down.insert(node.to_string(), (about.to_string(), at));
            }
            Kind::SdownLeft if master => {
                self.down.remove(node);
                self.agreed.remove(node);
            }
            Kind::OdownLeft => {
                self.agreed.remove(node);
            }
            Kind::TryFailover => self.start(at, node, about),
            Kind::ElectedLeader => self.step(node, Phase::Elected, at),
            Kind::SelectedSlave => {
                self.step(node, Phase::Selected, at);
                if let Some(attempt) = self.attempt(node) {
                    attempt.new_master = Some(about.to_string());
                }
            }
            Kind::PromotedSlave => self.step(node, Phase::Confirmed, at),
            Kind::FailoverEnd | Kind::FailoverEndForTimeout => self.end(node, Ending::Completed),
            Kind::AbortNotElected => self.end(node, Ending::Aborted("not-elected")),
            Kind::AbortNoGoodSlave => self.end(node, Ending::Aborted("no-good-slave")),
            Kind::AbortSlaveTimeout => self.end(node, Ending::Aborted("slave-timeout")),
            _ => {}
        }
    }

    fn start(&mut self, at: i64, node: &str, old_master: &str) {
        let mut attempt = Failover {
            leader: node.to_string(),
            epoch: self.epoch.get(node).copied(),
            old_master: old_master.to_string(),
            new_master: None,
            requested: self.requested.remove(node).unwrap_or(false),
            ending: Ending::Unfinished,
            steps: Vec::new(),
            switched: BTreeMap::new(),
        };
        let downs = self.down.iter().filter(|(_, (master, _))| master == old_master);
        if let Some((who, (_, since))) = downs.min_by_key(|(_, (_, since))| *since)
            && !attempt.requested
        {
            attempt.set(Phase::Detected, *since, who);
        }
        if let Some(agreed) = self.agreed.get(node).filter(|_| !attempt.requested) {
            attempt.set(Phase::Agreed, *agreed, node);
        }
        attempt.set(Phase::Started, at, node);
        self.open.insert(node.to_string(), self.attempts.len());
        self.attempts.push(attempt);
    }

    fn step(&mut self, leader: &str, phase: Phase, at: i64) {
        if let Some(attempt) = self.attempt(leader) {
            attempt.set(phase, at, leader);
        }
    }

    fn promoted(&mut self, at: i64, node: &str) {
        let chosen = |attempt: &&mut Failover| {
            let waits = attempt.ending == Ending::Unfinished && !attempt.confirmed();
            waits && attempt.new_master.as_deref() == Some(node)
        };
        if let Some(attempt) = self.attempts.iter_mut().rev().find(chosen) {
            attempt.set(Phase::Promoted, at, node);
        }
    }

    fn end(&mut self, leader: &str, ending: Ending) {
        if let Some(attempt) = self.attempt(leader) {
            attempt.ending = ending;
        }
        self.open.remove(leader);
    }

    fn switched(&mut self, at: i64, node: &str, old: &str, new: &str) {
        self.down.remove(node);
        self.agreed.remove(node);
        if let Some(i) = self.open.remove(node) {
            let attempt = &mut self.attempts[i];
            attempt.ending = if attempt.confirmed() { Ending::Completed } else { Ending::Superseded };
        }
        let fits = |attempt: &&mut Failover| {
            attempt.confirmed() && attempt.old_master == old && attempt.new_master.as_deref() == Some(new)
        };
        if let Some(attempt) = self.attempts.iter_mut().rev().find(fits) {
            attempt.switched.entry(node.to_string()).or_insert(at);
        }
    }
}

/// The last fault before the detection (or the start) that hit the old master; if none did, the last fault at all.
fn add_fault(attempt: &mut Failover, faults: &[Window]) {
    let until = attempt.step(Phase::Detected).map_or(attempt.started_us(), |step| step.at_us);
    let before = || faults.iter().rev().filter(|fault| fault.from_us <= until && !fault.is_undoing());
    let hit = before().find(|fault| fault.hits(&attempt.old_master));
    if let Some(fault) = hit.or_else(|| before().next()).filter(|_| !attempt.requested) {
        attempt.set(Phase::Fault, fault.from_us, fault.word());
    }
}

fn add_propagation(attempt: &mut Failover) {
    if let Some((who, at)) = attempt.switched.clone().into_iter().max_by_key(|(_, at)| *at) {
        attempt.set(Phase::Propagated, at, &who);
    }
}

fn add_proxy(attempt: &mut Failover, masters: &Masters, until: i64) {
    let from = attempt.step(Phase::Fault).map_or(attempt.started_us(), |step| step.at_us);
    let routed_old = |server: &Option<String>| server.as_ref() == Some(&attempt.old_master);
    let left = masters
        .routes
        .windows(2)
        .find(|pair| pair[1].from_us >= from && pair[1].from_us <= until && routed_old(&pair[0].server))
        .map(|pair| pair[1].from_us);
    let promoted = attempt.step(Phase::Promoted).map_or(attempt.started_us(), |step| step.at_us);
    // HAProxy may have sent sessions there all the time: then it did not switch.
    let switched = masters
        .routes
        .iter()
        .find(|route| route.to_us > promoted && route.from_us <= until && route.server == attempt.new_master)
        .map(|route| route.from_us)
        .filter(|at| *at >= from);
    if let Some(at) = left {
        attempt.set(Phase::ProxyDown, at, "haproxy");
    }
    if let Some(at) = switched {
        attempt.set(Phase::ProxySwitched, at, "haproxy");
    }
}

/// When each kind of client came back: the end of the longest outage since the fault, of the client that took longest.
fn add_clients(attempt: &mut Failover, outages: &[ClientOutages], until: i64) {
    let from = attempt.step(Phase::Fault).map_or(attempt.started_us(), |step| step.at_us);
    let kinds = [
        (Activity::Publish, Phase::PublisherOk),
        (Activity::Set, Phase::WriterOk),
        (Activity::Receive, Phase::SubscriberOk),
    ];
    for (activity, phase) in kinds {
        let of_kind: Vec<&ClientOutages> = outages.iter().filter(|client| client.activity == activity).collect();
        let longest: Vec<_> = of_kind
            .iter()
            .filter_map(|client| client.longest_within(from, until).map(|outage| (outage, &client.client)))
            .filter(|(outage, _)| outage.lasted_us() >= OUTAGE_US)
            .collect();
        // One that never came back leaves the step open.
        if longest.iter().all(|(outage, _)| outage.recovered)
            && let Some((outage, client)) = longest.iter().max_by_key(|(outage, _)| outage.to_us)
        {
            attempt.set(phase, outage.to_us, client);
        }
    }
}
