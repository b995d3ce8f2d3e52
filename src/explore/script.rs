//! Keeping a fault schedule sensible: what certainly does nothing is dropped, what is too much is dropped, and what was
//! done is undone at the end.
//!
//! It follows the schedule as the scenario's own check does (`scenario::script`), so that what is kept here is accepted
//! there, and counts who is out of action.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::Span;
use crate::record::NodeKind;
use crate::scenario::{Action, Fault, NodeRef, OneOrMany, Role, Scenario, Touch};

/// What is known of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Runs,
    Paused,
    Dead,
    /// A fault named a role: it may be dead.
    MaybeDead,
    /// Likewise: it may be paused.
    MaybePaused,
}

/// How many may be out of action at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Redis servers.
    pub redis: usize,
    /// Sentinels.
    pub sentinels: usize,
}

impl Budget {
    /// What the protocol survives: a server is left, and a majority of the Sentinels.
    pub(super) fn survivable(scenario: &Scenario) -> Budget {
        Budget { redis: scenario.redis.len() - 1, sentinels: scenario.sentinel.len().saturating_sub(1) / 2 }
    }
}

struct Stage<'a> {
    scenario: &'a Scenario,
    lives: BTreeMap<String, Life>,
    /// Faults on roles that are not undone: by class, nobody knows whom they hit.
    hidden: BTreeMap<NodeKind, usize>,
    /// Their disk was full: they may have ended at any time since.
    full: BTreeSet<String>,
    disturbed: bool,
}

/// A fault at a time.
pub(super) fn fault(at: Span, action: Action) -> Fault {
    Fault { at, action, span: 0..0 }
}

/// Orders the schedule of a scenario and drops what does nothing, what names nobody, and what is beyond the budget.
pub(super) fn tidy(scenario: &mut Scenario, budget: Option<Budget>) {
    let mut faults = std::mem::take(&mut scenario.faults);
    faults.sort_by_key(|fault| fault.at);
    let mut stage = Stage::new(scenario);
    let mut kept = Vec::new();
    for mut fault in faults {
        if fault.at <= scenario.duration && stage.names_exist(&mut fault.action) && stage.play(&fault.action, budget) {
            kept.push(fault);
        }
    }
    scenario.faults = kept;
}

/// What undoes everything that the schedule leaves behind, at one time.
pub(super) fn undo(scenario: &Scenario, at: Span) -> Vec<Fault> {
    let mut stage = Stage::new(scenario);
    for fault in &scenario.faults {
        stage.play(&fault.action, None);
    }
    let mut done = Vec::new();
    if stage.disturbed {
        done.push(fault(at, Action::Heal {}));
    }
    for (name, life) in &stage.lives {
        let node = node_ref(scenario, name);
        match life {
            Life::Runs => {}
            Life::Paused | Life::MaybePaused => done.push(fault(at, Action::Resume { node })),
            Life::Dead | Life::MaybeDead => done.push(fault(at, Action::Start { node })),
        }
    }
    done
}

fn node_ref(scenario: &Scenario, name: &str) -> NodeRef {
    let number = |prefix: &str| name.strip_prefix(prefix).and_then(|digits| digits.parse().ok());
    if scenario.clients.iter().any(|client| client.name == name) {
        NodeRef::Client(name.to_owned())
    } else if let Some(n) = number("redis-") {
        NodeRef::Redis(n)
    } else if let Some(n) = number("sentinel-") {
        NodeRef::Sentinel(n)
    } else {
        NodeRef::Haproxy
    }
}

/// What those are who can play a role.
fn class(role: Role) -> NodeKind {
    if role == Role::Leader { NodeKind::Sentinel } else { NodeKind::Redis }
}

/// What a node is.
fn kind(scenario: &Scenario, name: &str) -> NodeKind {
    match node_ref(scenario, name) {
        NodeRef::Redis(_) => NodeKind::Redis,
        NodeRef::Sentinel(_) => NodeKind::Sentinel,
        NodeRef::Haproxy => NodeKind::Haproxy,
        NodeRef::Client(_) | NodeRef::Host(_) | NodeRef::Role(_) => NodeKind::Client,
    }
}

impl<'a> Stage<'a> {
    fn new(scenario: &'a Scenario) -> Stage<'a> {
        let redis = (1..=scenario.stack.redis).map(|n| format!("redis-{n}"));
        let sentinels = (1..=scenario.stack.sentinels).map(|n| format!("sentinel-{n}"));
        let haproxy = scenario.stack.haproxy.then(|| "haproxy".to_owned());
        let clients = scenario.clients.iter().map(|client| client.name.clone());
        let lives = redis.chain(sentinels).chain(haproxy).chain(clients).map(|name| (name, Life::Runs)).collect();
        Stage { scenario, lives, hidden: BTreeMap::new(), full: BTreeSet::new(), disturbed: false }
    }

    fn exists(&self, node: &NodeRef) -> bool {
        match node {
            NodeRef::Redis(n) => *n <= self.scenario.stack.redis,
            NodeRef::Sentinel(n) => *n <= self.scenario.stack.sentinels,
            NodeRef::Haproxy => self.scenario.stack.haproxy,
            NodeRef::Client(name) => self.scenario.clients.iter().any(|client| client.name == *name),
            NodeRef::Host(name) => self.scenario.clients.iter().any(|client| client.host == *name),
            NodeRef::Role(role) => *role != Role::Leader || self.scenario.stack.sentinels > 0,
        }
    }

    /// Takes out the names that exist no more; false if nothing is left to be done.
    fn names_exist(&self, action: &mut Action) -> bool {
        match action {
            Action::Partition { groups } => {
                groups.iter_mut().for_each(|group| group.retain(|node| self.exists(node)));
                groups.retain(|group| !group.is_empty());
                groups.len() > 1
            }
            Action::Cut { from: OneOrMany(from), to: OneOrMany(to) } => {
                from.retain(|node| self.exists(node));
                to.retain(|node| self.exists(node));
                !from.is_empty() && !to.is_empty()
            }
            Action::Degrade { between: [a, b], .. } => self.exists(a) && self.exists(b),
            Action::Heal {} => true,
            Action::Command { node, run } => {
                let named = run.iter().filter_map(|word| word.strip_prefix("redis-")?.parse::<u16>().ok());
                self.exists(node) && named.into_iter().all(|n| n <= self.scenario.stack.redis)
            }
            other => other.node().is_some_and(|node| self.exists(node)),
        }
    }

    /// All programs that a fault hits.
    fn programs(&self, node: &NodeRef, whole_host: bool) -> Vec<String> {
        let host = match node {
            NodeRef::Role(_) => return Vec::new(),
            NodeRef::Host(host) => host,
            NodeRef::Client(name) if whole_host => {
                let client = self.scenario.clients.iter().find(|client| client.name == *name);
                &client.expect("only existing clients are asked for").host
            }
            node => return vec![node.to_string()],
        };
        let mates = self.scenario.clients.iter().filter(|client| client.host == *host);
        mates.map(|client| client.name.clone()).collect()
    }

    fn out_of_action(&self, class: NodeKind) -> usize {
        let sure = |(name, life): &(&String, &Life)| {
            kind(self.scenario, name) == class && matches!(life, Life::Dead | Life::Paused)
        };
        self.lives.iter().filter(sure).count() + self.hidden.get(&class).copied().unwrap_or(0)
    }

    fn within(&self, budget: Option<Budget>, more: &[String], hidden: Option<NodeKind>) -> bool {
        let Some(budget) = budget else { return true };
        let fits = |class: NodeKind, most: usize| {
            let new = more.iter().filter(|name| kind(self.scenario, name) == class).count()
                + usize::from(hidden == Some(class));
            new == 0 || self.out_of_action(class) + new <= most
        };
        fits(NodeKind::Redis, budget.redis) && fits(NodeKind::Sentinel, budget.sentinels)
    }

    /// Plays one fault; false if it does nothing, or too much.
    fn play(&mut self, action: &Action, budget: Option<Budget>) -> bool {
        match action.touch() {
            Touch::Ends { node, with_host } => self.end(node, with_host, Life::Dead, budget),
            Touch::AskedToEnd(node) => {
                let paused = |name: &String| self.lives.get(name) == Some(&Life::Paused);
                !self.programs(node, false).iter().any(paused) && self.end(node, false, Life::Dead, budget)
            }
            Touch::Pauses(node) => self.end(node, false, Life::Paused, budget),
            Touch::Starts(node) => self.revive(node, &[Life::Dead, Life::MaybeDead]),
            Touch::Resumes(node) => self.revive(node, &[Life::Paused, Life::MaybePaused]),
            Touch::Needs { node, may_end: true } => {
                let is_role = matches!(node, NodeRef::Role(_));
                self.is_alive(node) && !is_role && self.end(node, false, Life::MaybeDead, budget)
            }
            Touch::Needs { node, may_end: false } => self.is_alive(node),
            Touch::Disturbs => {
                self.disturbed = true;
                true
            }
            Touch::MayEndAnyTime(node) => {
                let is_redis = matches!(node, NodeRef::Redis(_));
                let fits = matches!(node, NodeRef::Sentinel(_))
                    || (is_redis && self.end(node, false, Life::MaybeDead, budget));
                if fits && is_redis {
                    self.full.insert(node.to_string());
                }
                self.disturbed |= fits;
                fits
            }
            Touch::Heals => std::mem::take(&mut self.disturbed),
            Touch::Nothing => true,
        }
    }

    fn is_alive(&self, node: &NodeRef) -> bool {
        let programs = self.programs(node, false);
        programs.iter().all(|name| !matches!(self.lives.get(name), Some(Life::Dead) | None))
    }

    fn end(&mut self, node: &NodeRef, whole_host: bool, life: Life, budget: Option<Budget>) -> bool {
        if let NodeRef::Role(role) = node {
            let class = class(*role);
            let (maybe, other) = match life {
                Life::Paused => (Life::MaybePaused, [Life::Dead, Life::MaybeDead]),
                _ => (Life::MaybeDead, [Life::Paused, Life::MaybePaused]),
            };
            let mut of_class = self.lives.iter().filter(|(name, _)| kind(self.scenario, name) == class);
            if of_class.any(|(_, life)| other.contains(life)) || !self.within(budget, &[], Some(class)) {
                return false;
            }
            *self.hidden.entry(class).or_default() += 1;
            let scenario = self.scenario;
            for (_, life) in self.lives.iter_mut().filter(|(name, _)| kind(scenario, name) == class) {
                *life = maybe;
            }
            return true;
        }
        let programs = self.programs(node, whole_host);
        let hit = |name: &&String| {
            matches!((self.lives.get(*name), life), (Some(Life::Runs), _) | (Some(Life::Paused), Life::Dead))
        };
        let hit: Vec<String> = programs.iter().filter(hit).cloned().collect();
        let new: Vec<String> = hit.iter().filter(|name| self.lives[*name] == Life::Runs).cloned().collect();
        if hit.is_empty() || hit.len() < programs.len() || !self.within(budget, &new, None) {
            return false;
        }
        for name in hit {
            self.lives.insert(name, life);
        }
        true
    }

    fn revive(&mut self, node: &NodeRef, from: &[Life]) -> bool {
        if let NodeRef::Role(role) = node {
            let class = class(*role);
            let maybe = from[1];
            return self.lives.iter().any(|(name, life)| kind(self.scenario, name) == class && *life == maybe);
        }
        let programs = self.programs(node, false);
        let fits = programs.iter().all(|name| self.lives.get(name).is_some_and(|life| from.contains(life)));
        if programs.is_empty() || !fits {
            return false;
        }
        for name in programs {
            let life = if self.full.contains(&name) { Life::MaybeDead } else { Life::Runs };
            self.lives.insert(name, life);
        }
        true
    }
}
