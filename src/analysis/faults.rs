//! From when to when something was done to the stack, to whom, and of what kind its effect is.
//!
//! A recording's header lists what the fault script did, one mark a deed: a `heal` is a mark of its own, and how long a
//! partition lasted follows from two of them. Everybody who asks "what was disturbed then?" (who acted as master, why a
//! connection ended, which fault began a failover, what a property may expect, what a chart shades) asks this, so that
//! there is one answer.

use std::collections::BTreeSet;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::record::{Effect, Fault, FaultMark, Order, Recording};

/// A fault from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it began.
    pub from_us: i64,
    /// When it was undone or over; at once, where it has no duration; none where nothing ended it.
    pub until_us: Option<i64>,
    /// What was done.
    pub fault: Fault,
    /// The programs that it hit: for a fault of a link those on the hosts at its ends.
    pub nodes: Vec<String>,
    /// The hosts that it is about, if it is about links.
    pub hosts: Vec<String>,
    /// Those that it killed or stopped and that nobody started or resumed yet.
    left: BTreeSet<String>,
}

impl Window {
    /// The word of a scenario file.
    pub fn word(&self) -> &str {
        self.fault.word()
    }

    /// Of what kind its effect is.
    pub fn effect(&self) -> Effect {
        self.fault.effect()
    }

    /// Whether it ends another fault rather than being one.
    pub fn is_undoing(&self) -> bool {
        self.effect().is_undoing()
    }

    /// Whether it hit a node.
    pub fn hits(&self, node: &str) -> bool {
        self.nodes.iter().any(|name| name == node)
    }

    /// Whether it was in force at some moment of a time, both ends included.
    pub fn overlaps(&self, from_us: i64, to_us: i64) -> bool {
        self.from_us <= to_us && self.until_us.is_none_or(|until| from_us <= until)
    }

    /// When it ended, for whom a fault without an end lasts to `end_us`.
    pub fn until_or(&self, end_us: i64) -> i64 {
        self.until_us.unwrap_or(end_us)
    }
}

/// In files a window is the mark that began it: its moment, its word, its arguments.
impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Fault", 3)?;
        row.serialize_field("at_us", &self.from_us)?;
        row.serialize_field("action", self.word())?;
        row.serialize_field("args", &self.fault.arguments())?;
        row.end()
    }
}

/// The written time of a mark, in microseconds.
fn at_us(mark: &FaultMark) -> i64 {
    (mark.at_s * 1e4).round() as i64 * 100
}

/// The faults of a recording in order of time, each with its end: what is killed until it is started, what is paused
/// until it is resumed or dies, what the network suffers until it is healed.
pub fn windows(recording: &Recording) -> Vec<Window> {
    let mut marks: Vec<&FaultMark> = recording.header.faults.iter().collect();
    marks.sort_by_key(|mark| at_us(mark));
    let mut windows: Vec<Window> = Vec::with_capacity(marks.len());
    for mark in marks {
        let (fault, from_us) = (mark.fault.clone(), at_us(mark));
        let effect = fault.effect();
        let (nodes, hosts) = whom(recording, &fault);
        for open in windows.iter_mut().filter(|open| open.until_us.is_none()) {
            if ends(effect, &nodes, open) {
                open.until_us = Some(from_us);
            }
        }
        let until_us = match (&fault, fault.lasts()) {
            (_, Some(lasts)) => Some(from_us + (lasts.0 / 1_000) as i64),
            // Who is nobody is not killed for ever.
            (Fault::Program { node: None, .. }, _) => Some(from_us),
            _ => match effect {
                Effect::Kills | Effect::Stops | Effect::Cuts | Effect::Slows | Effect::Clogs => None,
                _ => Some(from_us),
            },
        };
        let left = nodes.iter().cloned().collect();
        windows.push(Window { from_us, until_us, fault, nodes, hosts, left });
    }
    windows
}

/// Whether something done to `nodes` ends an open window; what it leaves of it is noted there.
fn ends(effect: Effect, nodes: &[String], open: &mut Window) -> bool {
    let undoes = match open.effect() {
        Effect::Cuts | Effect::Slows | Effect::Clogs => return effect == Effect::Heals,
        Effect::Kills => effect == Effect::Starts,
        Effect::Stops => matches!(effect, Effect::Resumes | Effect::Kills),
        _ => false,
    };
    undoes && {
        open.left.retain(|name| !nodes.contains(name));
        open.left.is_empty()
    }
}

/// The nodes and the hosts that a fault is about.
fn whom(recording: &Recording, fault: &Fault) -> (Vec<String>, Vec<String>) {
    let names = &recording.names;
    let hosts: Vec<String> = fault.hosts().into_iter().map(str::to_owned).collect();
    let mut nodes: Vec<String> = fault.node().into_iter().map(str::to_owned).collect();
    let on: Vec<&str> = match fault.order() {
        Some(order) if order.hits_host() => fault.node().and_then(|node| names.host_of(node)).into_iter().collect(),
        _ => hosts.iter().map(String::as_str).collect(),
    };
    for (name, host) in names.homes() {
        if on.contains(&host) && !nodes.iter().any(|node| node == name) {
            nodes.push(name.to_owned());
        }
    }
    (nodes, hosts)
}

/// Whether the fault stopped or killed a process for good: one that SIGTERM was sent to ends in its own time.
pub fn is_sudden_death(fault: &Fault) -> bool {
    matches!(fault.order(), Some(Order::Kill | Order::KillHost | Order::PowerOff))
}
