//! The links between hosts.

use serde::Deserialize;
use toml::de::Deserializer;

use super::{Names, Reader, Table, no_table, resolve};
use crate::scenario::error::Finding;
use crate::scenario::fault::{NodeRef, Sense};
use crate::scenario::file::link_keys;
use crate::scenario::plan::{Link, Network};
use crate::scenario::reader::{Keys, find_text};

/// The section `[network]` and its links.
pub(super) fn read(reader: &mut Reader, root: &mut Table<'_>, names: &Names<'_>) -> Network {
    let table = Reader::take(root, "network").and_then(|value| reader.table("network", value));
    let mut table = table.unwrap_or_else(no_table);
    let links = Reader::take(&mut table, "link").map(|value| reader.tables("network.link", value)).unwrap_or_default();
    reader.drop_unknown("[network]", &Keys::of::<Link>(), &mut table);
    let default = reader.read::<Link>("[network]", table.clone()).unwrap_or_default().0;
    let keys = Keys::new(link_keys());
    let mut network = Network { default, links: Vec::new() };
    for link in links {
        if let Some(link) = own_link(reader, names, &keys, &table, link) {
            network.links.push(link);
        }
    }
    network
}

/// One `[[network.link]]`: what it does not say is as in `[network]`.
fn own_link<'i>(
    reader: &mut Reader,
    names: &Names<'_>,
    keys: &Keys,
    default: &Table<'i>,
    own: Table<'i>,
) -> Option<(String, String, Link)> {
    let ends = own.get_ref().get("between").cloned();
    let mut merged = own;
    for (key, value) in default.get_ref() {
        if !merged.get_ref().contains_key(key.get_ref().as_ref()) {
            merged.get_mut().insert(key.clone(), value.clone());
        }
    }
    let read = |mut table: Table<'i>| {
        table.get_mut().remove("between");
        Link::deserialize(Deserializer::from(table))
    };
    let (link, places) = reader.read_with("[[network.link]]", keys, merged, read)?;
    let ends = ends?;
    let both: [String; 2] = reader.value("between", ends.clone(), &keys.help("between"))?;
    let [a, b] = both.map(|name| {
        let at = find_text(&ends, &name).into_iter().next().unwrap_or(ends.span());
        resolve(reader, names, &name, Sense::Place, at)
    });
    let (a, b) = (a?, b?);
    for end in [&a, &b] {
        if let NodeRef::Role(role) = end {
            let finding =
                Finding::new("a link lies between hosts", places.value("between"), format!("{} moves", role.name()));
            reader.report(finding.help("name the nodes; for a role use the action `degrade`"));
        }
    }
    if a == b {
        let finding = Finding::new(format!("a link from `{a}` to itself"), ends.span(), "both ends are on one host");
        reader.report(finding.help("name two hosts"));
    }
    Some((a.to_string(), b.to_string(), link))
}
