//! What nodes are called: `name` in `[redis.redis-N]`, `[sentinel.sentinel-N]` and `[haproxy]`.
//!
//! Who imports a stack knows its programs by names of his own. A scenario numbers them all the same, so that it can be
//! compared with others; a name is for people, and stands wherever a run tells of a node.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Names, Reader, Table, check_name};
use crate::client;
use crate::scenario::error::Finding;
use crate::scenario::expect::Expect;
use crate::scenario::fault::{NodeRef, OneOrMany};
use crate::scenario::names::number;
use crate::scenario::plan::Stack;

/// A name, whose it is, and where it stands.
type Called = (NodeRef, String, Range<usize>);

const HELP: &str = "write a text, such as \"cache-a\"";

/// Takes the names of nodes out of the file.
pub(super) fn take(reader: &mut Reader, root: &mut Table<'_>, stack: Stack) -> Vec<Called> {
    let mut all = Vec::new();
    let mut read = |node: NodeRef, value: Spanned<DeValue<'_>>| {
        let span = value.span();
        all.extend(reader.value::<String>("name", value, HELP).map(|name| (node, name, span)));
    };
    for (section, count) in [("redis", stack.redis), ("sentinel", stack.sentinels)] {
        let Some(table) = root.get_mut().get_mut(section).and_then(table_of) else { continue };
        for (key, value) in table.iter_mut() {
            let number = number(key.get_ref(), &format!("{section}-"), count);
            let (Some(n), Some(own)) = (number, table_of(value)) else { continue };
            if let Some(value) = own.remove("name") {
                read(if section == "redis" { NodeRef::Redis(n) } else { NodeRef::Sentinel(n) }, value);
            }
        }
    }
    let haproxy = root.get_mut().get_mut("haproxy").filter(|_| stack.haproxy);
    if let Some(value) = haproxy.and_then(table_of).and_then(|table| table.remove("name")) {
        read(NodeRef::Haproxy, value);
    }
    all
}

fn table_of<'a, 'i>(value: &'a mut Spanned<DeValue<'i>>) -> Option<&'a mut DeTable<'i>> {
    match value.get_mut() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The names that can be: plain, and nobody else's.
pub(super) fn checked(
    reader: &mut Reader,
    all: Vec<Called>,
    stack: Stack,
    clients: &[client::Config],
) -> Vec<(NodeRef, String)> {
    let names = Names::new(stack, clients);
    let mut good: Vec<(NodeRef, String)> = Vec::new();
    for (node, name, at) in all {
        check_name(reader, &name, at.clone(), false);
        let role = name.starts_with('@');
        let other = names.node(&name).is_some_and(|known| known != node);
        let client = clients.iter().any(|client| client.name == name || client.host == name);
        if role
            || other
            || client
            || name == "haproxy" && node != NodeRef::Haproxy
            || good.iter().any(|(_, own)| *own == name)
        {
            let finding = Finding::new(format!("`{node}` is called like somebody else"), at, "this name is taken");
            reader.report(finding.help("give it a name that no other node, client or host has"));
        } else if name != node.to_string() {
            good.push((node, name));
        }
    }
    good
}

/// The same expectations, of nodes by the names that a run gives them.
pub(super) fn in_expectations(mut expect: Expect, names: &Names<'_>) -> Expect {
    let shown = |all: &mut OneOrMany<String>| all.0.iter_mut().for_each(|name| *name = names.shown(name));
    expect.final_master.iter_mut().for_each(shown);
    expect.leader.iter_mut().for_each(shown);
    let roles = std::mem::take(&mut expect.final_roles);
    expect.final_roles = roles.into_iter().map(|(name, role)| (names.shown(&name), role)).collect();
    for pattern in expect.events.iter_mut().chain(&mut expect.no_events) {
        pattern.node = pattern.node.as_deref().map(|name| names.shown(name));
    }
    expect
}
