//! Why a connection through HAProxy ended, as far as a recording tells.
//!
//! Programs that close a connection mostly say what they were doing: they die, a node is demoted and Sentinel kills its
//! clients, HAProxy marks a server down, Redis names the class of a client whose output buffer overflowed. HAProxy's
//! idle timeouts (`timeout client`, `timeout server`, `timeout tunnel`) say nothing: they are what is left when a quiet
//! connection ends and nobody had a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::fate::Ending;
use super::faults::windows;
use crate::record::{Effect, Event, Fault, HaproxyEvent, NodeKind, Recording, RedisEvent, What};

/// A reason reaches the client within this time: a close and its way through HAProxy, with room for a busy host.
const REACHES_US: i64 = 1_000_000;
/// A reason may be written this long after the client has seen its effect: a program that ends writes its last line when
/// its sockets are closed, and log lines have milliseconds.
const WRITTEN_LATE_US: i64 = 10_000;
/// A time limit shorter than this is not believed to be an idle timeout.
const SHORTEST_IDLE_US: i64 = 300_000;

/// Where a fault of links may end connections of clients: at these servers; at an empty name if at any.
fn reach(recording: &Recording, fault: &Fault) -> BTreeSet<String> {
    let names = &recording.names;
    let rest = |group: &Vec<String>| names.hosts.iter().filter(|host| !group.contains(host)).cloned().collect();
    let links: Vec<(Vec<String>, Vec<String>)> = match fault {
        Fault::Partition { groups } => match groups.as_slice() {
            [alone] => vec![(alone.clone(), rest(alone))],
            all => (1..all.len()).flat_map(|i| all[..i].iter().map(move |a| (a.clone(), all[i].clone()))).collect(),
        },
        Fault::Cut { from, to } => vec![(from.clone(), to.clone())],
        Fault::Degrade { hosts } => match hosts.as_slice() {
            [a, b] => vec![(vec![a.clone()], vec![b.clone()])],
            _ => Vec::new(),
        },
        _ => return BTreeSet::from([String::new()]),
    };
    let mut programs: BTreeMap<&str, BTreeSet<NodeKind>> = BTreeMap::new();
    for node in &names.nodes {
        programs.entry(names.host(node.host)).or_default().insert(node.kind);
    }
    let runs = |host: &String, kind| programs.get(host.as_str()).is_none_or(|kinds| kinds.contains(&kind));
    // Of a host of which nothing is known anybody may speak to servers.
    let speaks = |host: &String| runs(host, NodeKind::Client) || runs(host, NodeKind::Haproxy);
    let mut found = BTreeSet::new();
    for (a, b) in &links {
        for (here, there) in [(a, b), (b, a)] {
            if here.iter().any(speaks) && there.iter().any(speaks) {
                found.insert(String::new());
            } else if there.iter().any(speaks) {
                found.extend(here.iter().filter(|host| runs(host, NodeKind::Redis)).cloned());
            }
        }
    }
    found
}

/// All that ends connections, in order of time: when, at which node (empty: at any), and whether it is an output limit.
pub(super) struct Endings {
    reasons: Vec<(i64, String, bool)>,
    has_proxy: bool,
}

impl Endings {
    /// The reasons that a recording names.
    pub(super) fn of(recording: &Recording) -> Endings {
        let mut reasons: Vec<(i64, String, bool)> = Vec::new();
        let faults = windows(recording);
        for fault in &faults {
            let at = |name: &str| (fault.from_us, name.to_string(), false);
            match fault.effect() {
                Effect::Cuts | Effect::Slows | Effect::Unknown => {
                    reasons.extend(reach(recording, &fault.fault).iter().map(|name| at(name)));
                }
                // What was held up arrives where it was held up.
                Effect::Heals => {
                    let healed = faults.iter().filter(|cut| cut.effect().is_of_network() && !cut.is_undoing());
                    let healed = healed.filter(|cut| cut.until_us == Some(fault.from_us));
                    let reached: BTreeSet<String> = healed.flat_map(|cut| reach(recording, &cut.fault)).collect();
                    reasons.extend(reached.iter().map(|name| at(name)));
                }
                // Who stands still closes nothing, and what it does not answer others say; a clock is no connection.
                Effect::Stops | Effect::Resumes | Effect::Skews | Effect::Prepares | Effect::Clogs => {}
                Effect::Kills | Effect::Starts | Effect::Commands => {
                    let whose = |name: &String| match recording.names.kind_of(name) {
                        Some(NodeKind::Redis) => Some(at(name)),
                        // HAProxy may end any connection.
                        Some(NodeKind::Haproxy) | None => Some(at("")),
                        // No connection of a client leads to a Sentinel; what one does to servers, these log. A client
                        // ends its own connections only, and does not live to see it.
                        Some(NodeKind::Sentinel | NodeKind::Client) => None,
                    };
                    reasons.extend(fault.nodes.iter().filter_map(whose));
                }
            }
        }
        for record in &recording.records {
            let at = recording.micros(record.time);
            let node = || recording.names.node(record.node).to_string();
            match &record.what {
                What::Event(Event::Redis(RedisEvent::OutputLimit(limit))) if limit.class == "pubsub" => {
                    reasons.push((at, node(), true));
                }
                What::Event(Event::Redis(event))
                    if matches!(event, RedisEvent::Exiting | RedisEvent::Ready)
                        || event.leads()
                        || event.follows().is_some() =>
                {
                    reasons.push((at, node(), false));
                }
                // `on-marked-up shutdown-backup-sessions` ends sessions of the others.
                What::Event(Event::Haproxy(HaproxyEvent::Server { server, up, .. })) => {
                    let whose = if *up { String::new() } else { recording.names.host(*server).to_string() };
                    reasons.push((at, whose, false));
                }
                _ => {}
            }
        }
        reasons.sort_by_key(|(at, ..)| *at);
        Endings { reasons, has_proxy: recording.names.haproxy().is_some() }
    }

    /// Whether an output limit may have ended a connection to `server` that was open from `since` to `found`, on which
    /// something was received at `receptions`: whoever stands still does not notice for long, and reads what lies in its
    /// kernel's buffers before it does.
    pub(super) fn overflowed(&self, since: i64, found: i64, receptions: &[i64], server: Option<&str>) -> bool {
        let here = |name: &str| server.is_none_or(|server| server == name);
        let closes = |(at, name, limit): &&(i64, String, bool)| *limit && here(name) && (since..=found).contains(at);
        self.reasons.iter().filter(closes).any(|(at, ..)| {
            let from = receptions.partition_point(|t| *t <= at + REACHES_US);
            receptions[from..].first().is_none_or(|t| *t > found - REACHES_US)
        })
    }

    /// Why a connection to `server` that was quiet from `last` on ended, which its client found between `from` and `found`:
    /// it may have ended earlier, if the client did not look.
    pub(super) fn why(&self, last: i64, from: i64, found: i64, server: Option<&str>) -> Ending {
        let here = |name: &str| name.is_empty() || server.is_none_or(|server| server == name);
        let near = |since: i64| {
            let begin = self.reasons.partition_point(|(at, ..)| *at < since);
            let end = self.reasons.partition_point(|(at, ..)| *at <= found + WRITTEN_LATE_US);
            self.reasons[begin.min(end)..end].iter().filter(|(_, name, _)| here(name))
        };
        // An attempt that fails at once finds an end that came any time since the last reply.
        let at_once = found - from < SHORTEST_IDLE_US;
        let since = if at_once { last.min(found - REACHES_US) } else { found - REACHES_US };
        let quiet = found - last >= SHORTEST_IDLE_US;
        if self.has_proxy && quiet && near(since).next().is_none() { Ending::Idle } else { Ending::Explained }
    }
}
