//! The fault script.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::{Names, Places, Reader, Table, command, resolve};
use crate::kernel::Span;
use crate::limits::{FAULTS_MAX, FSYNC_MAX, SPAN_MAX};
use crate::release::{AnyRelease, Release, Released};
use crate::scenario::error::Finding;
use crate::scenario::fault::{Action, Fault, NodeRef};
use crate::scenario::file::{actions, fault_head_keys};
use crate::scenario::reader::{Keys, Value, find_text};
use crate::scenario::script::{self, Line};
use crate::suggest::closest;
use crate::{redis, sentinel};

/// To whom things are done.
pub(super) struct Cast<'a> {
    /// Who there is.
    pub names: &'a Names<'a>,
    /// The name of the monitored master.
    pub master: &'a str,
    /// The settings of the Redis nodes, in their order.
    pub redis: Vec<&'a redis::Config>,
    /// The settings of the Sentinels, in their order.
    pub sentinels: Vec<&'a sentinel::Config>,
}

/// The fault script in the order of time.
pub(super) fn read(
    reader: &mut Reader,
    root: &mut Table<'_>,
    cast: &Cast<'_>,
    (end, end_at): (Span, Range<usize>),
) -> Vec<Fault> {
    let Some(value) = Reader::take(root, "fault") else { return Vec::new() };
    let actions = actions();
    let head = fault_head_keys();
    let mut lines: Vec<Line> = Vec::new();
    let at = value.span();
    let tables = reader.tables("fault", value);
    if tables.len() > FAULTS_MAX {
        let finding = Finding::new(format!("{} faults", tables.len()), at, format!("more than {FAULTS_MAX}"));
        reader.report(finding.help("use fewer"));
        return Vec::new();
    }
    for table in tables {
        let before = reader.findings.len();
        let Some((fault, at, target)) = fault(reader, cast, &actions, &head, table) else { continue };
        if fault.at > end {
            let message = format!("a fault at {}, but the run ends at {end}", fault.at);
            let finding = Finding::new(message, at, "after the end");
            let finding = if end_at.is_empty() { finding } else { finding.and(end_at.clone(), "the end") };
            reader.report(
                finding.help(format!("set `duration` to more than \"{}\", or let it happen earlier", fault.at)),
            );
        }
        if reader.findings.len() == before {
            lines.push((fault, target));
        }
    }
    lines.sort_by_key(|(fault, _)| fault.at);
    check_sums(reader, &lines);
    reader.findings.extend(script::check(&lines, cast.names));
    lines.into_iter().map(|(fault, _)| fault).collect()
}

/// All stalls together, and all jumps of clocks, must not take longer than one may: they add up, and with them everything
/// that waits for them.
fn check_sums(reader: &mut Reader, lines: &[Line]) {
    let (mut stalls, mut jumps) = (0_u64, 0_u64);
    for (fault, _) in lines {
        let (sum, length) = match &fault.action {
            Action::Stall { duration, .. } => (&mut stalls, duration.0),
            Action::ClockJump { by, .. } => (&mut jumps, by.0.unsigned_abs()),
            _ => continue,
        };
        let before = *sum;
        *sum = sum.saturating_add(length);
        if before <= SPAN_MAX.0 && *sum > SPAN_MAX.0 {
            let message = format!("`{}` for more than ten years (87600h) in sum", fault.action.word());
            let finding = Finding::new(message, fault.span.clone(), "too long, with those before");
            reader.report(finding.help("let them be shorter: a run does not last longer than ten years"));
        }
    }
}

/// One fault; with the places of its time and of its target.
fn fault(
    reader: &mut Reader,
    cast: &Cast<'_>,
    actions: &[(String, serde_json::Value)],
    head: &Keys,
    mut table: Table<'_>,
) -> Option<(Fault, Range<usize>, Range<usize>)> {
    let span = table.span();
    let places = Places::of(&table);
    for key in ["at", "action"] {
        if !places.has(key) {
            let finding = Finding::new(format!("a fault needs the key `{key}`"), span.clone(), "it is missing here");
            reader.report(finding.help(head.help(key)));
        }
    }
    let at = reader.scalar(&mut table, head, "at");
    let name: String = reader.scalar(&mut table, head, "action")?;
    let Some((_, keys)) = actions.iter().find(|(action, _)| *action == name) else {
        let known: Vec<&str> = actions.iter().map(|(action, _)| action.as_str()).collect();
        let finding =
            Finding::new(format!("unknown action `{name}`"), places.value("action"), "no action has this name");
        reader.report(finding.help(match closest(&name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known actions: {}", known.join(", ")),
        }));
        return None;
    };
    let texts = table.clone();
    let action = as_action(reader, &name, keys, table)?;
    let action = action.try_map(|name: String, sense| {
        let place = places_of(&texts, &name).into_iter().next().unwrap_or(span.clone());
        resolve(reader, cast.names, &name, sense, place)
    })?;
    check_action(reader, &action, &texts);
    if let Action::Upgrade { node, release: AnyRelease::Server(release) } = &action {
        let lost = match *node {
            NodeRef::Redis(number) => lost(cast.redis[usize::from(number) - 1], *release),
            NodeRef::Sentinel(number) => lost(cast.sentinels[usize::from(number) - 1], *release),
            _ => None,
        };
        if let Some((name, (why, _))) = lost {
            let message = format!("`{name}` is set for {node}, and {} has none", release.title());
            let finding = Finding::new(
                message,
                places_of(&texts, release.as_str()).into_iter().next().unwrap_or(span.clone()),
                why,
            );
            reader.report(finding.help(format!("leave `{name}` out, or install another release")));
        }
    }
    if let Action::Command { node, run } = &action {
        command::check(reader, cast, (node, run), &texts);
    }
    let target = if places.has("node") { places.value("node") } else { places.value("action") };
    Some((Fault { at: at?, action, span }, places.value("at"), target))
}

/// Reads the keys of an action. To serde an action is a table with the action's name for its only key.
fn as_action(reader: &mut Reader, name: &str, keys: &serde_json::Value, table: Table<'_>) -> Option<Action<String>> {
    let what = format!("the action `{name}`");
    let keys = Keys::new(keys.clone());
    let read = |table: Table<'_>| {
        let span = table.span();
        let inner = Spanned::new(span.clone(), DeValue::Table(table.into_inner()));
        let outer = DeTable::from_iter([(Spanned::new(span.clone(), name.to_owned().into()), inner)]);
        Action::deserialize(Deserializer::from(Spanned::new(span, outer)))
    };
    reader.read_with(&what, &keys, table, read).map(|(action, _)| action)
}

/// The places of a node's name in a fault: everywhere but in the command that is run.
fn places_of(fault: &Table<'_>, name: &str) -> Vec<Range<usize>> {
    let mut places: Vec<_> = fault
        .get_ref()
        .iter()
        .filter(|(key, _)| key.get_ref() != "run")
        .flat_map(|(_, value)| find_text(value, name))
        .collect();
    places.sort_by_key(|place| place.start);
    places
}

/// Rules of single actions that types do not tell.
fn check_action(reader: &mut Reader, action: &Action, texts: &Table<'_>) {
    let places = Places::of(texts);
    let mut report = |key: &str, message: &str, label: &str, help: &str| {
        reader.report(Finding::new(message, places.value(key), label).help(help));
    };
    match action {
        Action::Partition { groups } => {
            if groups.len() < 2 {
                let help = "packets are dropped between groups: name those on the other side in a second group";
                report("groups", "a partition needs two groups", "too few", help);
            }
            if groups.iter().any(Vec::is_empty) {
                report("groups", "a group is empty", "nobody is in one of these", "name its nodes, or leave it out");
            }
            check_members(reader, groups, texts, &places);
        }
        Action::Cut { from, to } => {
            for (key, ends) in [("from", from), ("to", to)] {
                if ends.0.is_empty() {
                    report(key, "a cut needs two ends", "nobody is named here", "name a node or a list of nodes");
                }
            }
            if let Some(both) = from.0.iter().find(|node| to.0.contains(node)) {
                let message = format!("`{both}` is at both ends of the cut");
                report("to", &message, "on the other side too", "a host always reaches itself: name it once");
            }
        }
        Action::Degrade { between: [a, b], latency, jitter, loss, rate } => {
            if a == b {
                report("between", "a link from a host to itself", "both ends are on one host", "name two hosts");
            }
            if latency.is_none() && jitter.is_none() && loss.is_none() && rate.is_none() {
                let help = "give at least one of `latency`, `jitter`, `loss`, `rate`";
                report("between", "nothing becomes worse", "no change is given for this link", help);
            }
        }
        Action::Stall { node, duration } => {
            if *duration == Span::ZERO {
                report("for", "a stall of no length", "must be greater than 0", "give a time such as \"3s\"");
            }
            if matches!(node, NodeRef::Client(_) | NodeRef::Host(_)) {
                report("node", "only nodes can be stalled", "this is a client", "to stop a client, `pause` it");
            }
        }
        Action::SlowDisk { .. } | Action::DiskFull { .. } => check_disk(action, report),
        Action::ClockJump { node, by } => {
            if by.0 == 0 {
                report("by", "a jump of no length", "must not be 0", "give a time such as \"-5s\" or \"3s\"");
            }
            if matches!(node, NodeRef::Client(_) | NodeRef::Host(_)) {
                report("node", "only the clocks of nodes can jump", "this is a client", "name a node");
            }
        }
        Action::Upgrade { node, release } => {
            check_upgrade(node, *release, report);
        }
        Action::Kill { .. }
        | Action::KillHost { .. }
        | Action::PowerOff { .. }
        | Action::Terminate { .. }
        | Action::Start { .. }
        | Action::Pause { .. }
        | Action::Resume { .. }
        | Action::Heal {}
        | Action::Command { .. } => {}
    }
}

/// The disk of a program that writes files is disturbed, and for some time.
fn check_disk(action: &Action, mut report: impl FnMut(&str, &str, &str, &str)) {
    let (Action::SlowDisk { node, duration, .. } | Action::DiskFull { node, duration }) = action else { return };
    if *duration == Some(Span::ZERO) {
        report("for", "a disturbance of no length", "must be greater than 0", "give a time such as \"30s\"");
    }
    match action {
        Action::SlowDisk { fsync: Span::ZERO, .. } => {
            report("fsync", "a disk that is not slow", "must be greater than 0", "give a time such as \"500ms\"");
        }
        Action::SlowDisk { fsync, .. } if *fsync > FSYNC_MAX => {
            let message = format!("an `fsync` of {fsync}");
            report("fsync", &message, "longer than an hour", "give a shorter time, or a stall");
        }
        _ => {}
    }
    if matches!(node, NodeRef::Client(_) | NodeRef::Host(_) | NodeRef::Haproxy) {
        let help = "name a Redis node, a Sentinel or a role";
        report("node", "this program writes no files", "its disk would change nothing", help);
    }
}

/// A node takes a release of its own program.
fn check_upgrade(node: &NodeRef, release: AnyRelease, mut report: impl FnMut(&str, &str, &str, &str)) {
    let fits = matches!(
        (node, release),
        (NodeRef::Redis(_) | NodeRef::Sentinel(_), AnyRelease::Server(_)) | (NodeRef::Haproxy, AnyRelease::Proxy(_))
    );
    if !fits {
        let message = format!("`{node}` cannot be {}", release.title());
        let help =
            "name a Redis node or a Sentinel and a release of Redis or Valkey, or \"haproxy\" and one of HAProxy";
        report("release", &message, "this is a release of another program, or this node is not a program", help);
    }
}

/// A directive that is set and that a release does not have, and why.
fn lost<T: Released>(config: &T, release: T::Release) -> Option<(&'static str, (String, String))> {
    let table = |config: &T| toml::Table::try_from(config).expect("settings are a table");
    let (own, usual) = (table(config), table(&T::of(config.release())));
    let set = |name: &str| own.get(name) != usual.get(name);
    let row = T::DIRECTIVES.iter().find(|row| set(row.name) && T::lacking(release, row.name).is_some())?;
    Some((row.name, row.why_not(release)))
}

/// No host may be in two groups, nor in one group twice.
fn check_members(reader: &mut Reader, groups: &[Vec<NodeRef>], texts: &Table<'_>, places: &Places) {
    let values = texts.get_ref().get("groups").map(member_places).unwrap_or_default();
    let mut seen: BTreeMap<&NodeRef, usize> = BTreeMap::new();
    for (index, node) in groups.iter().flatten().enumerate() {
        let at = |index: usize| values.get(index).cloned().unwrap_or(places.value("groups"));
        if let Some(earlier) = seen.insert(node, index) {
            let finding = Finding::new(format!("`{node}` is named twice in this partition"), at(index), "again here");
            reader.report(finding.and(at(earlier), "first here").help("a host can be in one group only"));
        }
    }
}

/// The places of all members of all groups, in order.
fn member_places(groups: &Value<'_>) -> Vec<Range<usize>> {
    let DeValue::Array(groups) = groups.get_ref() else { return Vec::new() };
    let members = groups.iter().filter_map(|group| group.get_ref().as_array());
    members.flatten().map(Spanned::span).collect()
}
