//! A scenario as a file that a person can read: only what differs from the defaults.

use serde::Serialize;
use toml::{Table, Value};

use crate::client;
use crate::release::{Release as _, Released};
use crate::scenario::{Link, Scenario, Stack};

/// The scenario as a file; read again, it gives the same plan. `head` is put on top as a comment, line by line.
pub(crate) fn compact(scenario: &Scenario, head: &str) -> String {
    let mut out = String::new();
    for line in head.lines() {
        out.push_str(format!("# {line}").trim_end());
        out.push('\n');
    }
    let mut top = Table::new();
    top.insert("name".into(), scenario.name.clone().into());
    if !scenario.description.is_empty() {
        top.insert("description".into(), scenario.description.clone().into());
    }
    top.insert("duration".into(), scenario.duration.to_string().into());
    top.insert("phase".into(), scenario.phase.to_string().into());
    section(&mut out, "", &top);
    let reference = usual_clients(scenario);
    if scenario.clients.is_empty() {
        out.push_str("client = []\n");
    }
    section(&mut out, "[stack]", &difference(&scenario.stack, &Stack::default()));
    per_node(&mut out, "redis", &scenario.redis);
    per_node(&mut out, "sentinel", &scenario.sentinel);
    if scenario.stack.haproxy {
        section(&mut out, "[haproxy]", &of_a_release(&scenario.haproxy));
    }
    section(&mut out, "[network]", &difference(&scenario.network.default, &Link::default()));
    for (a, b, link) in &scenario.network.links {
        let mut keys = difference(link, &scenario.network.default);
        keys.insert("between".into(), vec![a.clone(), b.clone()].into());
        section(&mut out, "[[network.link]]", &keys);
    }
    if scenario.clients != reference {
        for config in &scenario.clients {
            section(&mut out, "[[client]]", &client_keys(config, scenario.stack));
        }
    }
    for fault in &scenario.faults {
        let (action, keys) = table(&fault.action).into_iter().next().expect("an action has one name");
        out.push_str(&format!("\n[[fault]]\nat = \"{}\"\naction = \"{action}\"\n", fault.at));
        entries(&mut out, keys.as_table().expect("an action's keys are a table"));
    }
    if let Some(expect) = &scenario.expect {
        section(&mut out, "[expect]", &table(expect));
    }
    out
}

/// The clients of a file that names none.
pub(super) fn usual_clients(scenario: &Scenario) -> Vec<client::Config> {
    let via = scenario.stack.usual_way();
    client::Config::reference().into_iter().map(|client| client::Config { via, ..client }).collect()
}

fn client_keys(config: &client::Config, stack: Stack) -> Table {
    let usual = client::Config {
        host: config.name.clone(),
        via: stack.usual_way(),
        kind: config.kind,
        ..client::Config::default()
    };
    let mut keys = difference(config, &usual);
    let whole = table(config);
    for key in ["name", "kind"] {
        keys.insert(key.into(), whole[key].clone());
    }
    if config.pause.is_some() {
        keys.remove("every");
    }
    keys
}

fn table<T: Serialize>(value: &T) -> Table {
    match Value::try_from(value).expect("plans hold nothing that TOML cannot") {
        Value::Table(table) => table,
        other => unreachable!("sections are tables, not {other}"),
    }
}

fn difference<T: Serialize>(value: &T, usual: &T) -> Table {
    let usual = table(usual);
    table(value).into_iter().filter(|(key, value)| usual.get(key) != Some(value)).collect()
}

/// What differs from the defaults of the release, and the release if it is not the usual one.
fn of_a_release<T: Released>(config: &T) -> Table {
    let release = config.release();
    let mut keys = difference(config, &T::of(release));
    if release != T::Release::default() {
        keys.insert("release".into(), release.as_str().into());
    }
    keys
}

fn section(out: &mut String, header: &str, keys: &Table) {
    if keys.is_empty() {
        return;
    }
    if !header.is_empty() {
        out.push_str(&format!("\n{header}\n"));
    }
    entries(out, keys);
}

fn entries(out: &mut String, keys: &Table) {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    for (key, value) in keys {
        let key = if key.chars().all(bare) { key.clone() } else { Value::String(key.clone()).to_string() };
        out.push_str(&format!("{key} = {value}\n"));
    }
}

/// `[kind]` with what all nodes share, `[kind.kind-N]` with what is one node's own.
fn per_node<T: Released>(out: &mut String, kind: &str, configs: &[T]) {
    let nodes: Vec<Table> = configs.iter().map(of_a_release).collect();
    let Some(first) = nodes.first() else { return };
    let shared = |key: &String, value: &Value| nodes.iter().all(|node| node.get(key) == Some(value));
    let common: Table = first
        .iter()
        .filter(|(key, value)| shared(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    section(out, &format!("[{kind}]"), &common);
    for (node, n) in nodes.into_iter().zip(1..) {
        let own: Table = node.into_iter().filter(|(key, _)| !common.contains_key(key)).collect();
        section(out, &format!("[{kind}.{kind}-{n}]"), &own);
    }
}
