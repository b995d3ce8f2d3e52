//! What must hold at the end.

use std::ops::Range;

use super::{Names, Reader, Table};
use crate::analysis::metrics::Metric;
use crate::scenario::error::Finding;
use crate::scenario::expect::Expect;
use crate::scenario::fault::NodeRef;
use crate::scenario::reader::find_text;

/// Reports every key that is the former name of a metric and takes it out.
fn rename(reader: &mut Reader, table: &mut Table<'_>) {
    let entries = std::mem::take(table.get_mut()).into_iter();
    let kept = entries.filter(|(key, _)| {
        let new = Metric::renamed(key.get_ref()).filter(|_| Metric::find(key.get_ref()).is_none());
        if let Some(new) = new {
            let finding =
                Finding::new(format!("unknown key `{}`", key.get_ref()), key.span(), "[expect] has no such key");
            reader.report(finding.help(format!("this metric is called `{new}` now")));
        }
        new.is_none()
    });
    *table.get_mut() = kept.collect();
}

/// The section `[expect]`, if there is one.
pub(super) fn read(reader: &mut Reader, root: &mut Table<'_>, names: &Names<'_>) -> Option<Expect> {
    let value = Reader::take(root, "expect")?;
    let mut table = reader.table("expect", value)?;
    rename(reader, &mut table);
    let texts = table.clone();
    let (expect, places) = reader.read::<Expect>("[expect]", table)?;
    let place = |key: &str, text: &str| {
        let value = texts.get_ref().get(key);
        value.and_then(|value| find_text(value, text).into_iter().next()).unwrap_or(places.value(key))
    };
    let mut unknown = |at: Range<usize>, name: &str, kind: &str| {
        let finding = Finding::new(format!("unknown {kind} `{name}`"), at, format!("no {kind} has this name"));
        let exists = names.node(name).is_some();
        reader.report(finding.help(if exists { format!("name a {kind}") } else { names.remedy(name) }));
    };
    for name in expect.final_master.iter().flat_map(|masters| &masters.0) {
        if names.redis(name).is_none() {
            unknown(place("final-master", name), name, "Redis node");
        }
    }
    for name in expect.final_roles.keys().filter(|name| names.redis(name).is_none()) {
        unknown(places.value("final-roles"), name, "Redis node");
    }
    for name in expect.leader.iter().flat_map(|leaders| &leaders.0) {
        if !matches!(names.node(name), Some(NodeRef::Sentinel(_))) {
            unknown(place("leader", name), name, "Sentinel");
        }
    }
    for (key, patterns) in [("events", &expect.events), ("no-events", &expect.no_events)] {
        for pattern in patterns {
            if let Some(node) = pattern.node.as_deref().filter(|node| names.node(node).is_none()) {
                unknown(place(key, &pattern.to_string()), node, "node");
            }
        }
    }
    Some(expect)
}
