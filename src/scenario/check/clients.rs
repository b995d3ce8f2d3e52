//! The client programs.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::de::Deserializer;

use super::{Keys, Names, Places, Reader, Stack, Table, check_name};
use crate::client;
use crate::kernel::Span;
use crate::limits::{CLIENTS_MAX, CONNECTIONS_MAX};
use crate::record::NOBODY;
use crate::scenario::error::Finding;

/// The client programs; if the file has none, those of the reference stack.
pub(super) fn read(reader: &mut Reader, root: &mut Table<'_>, stack: Stack) -> Vec<client::Config> {
    let usual = stack.usual_profile();
    let Some(value) = Reader::take(root, "client") else {
        let clients = client::Config::reference();
        return clients.into_iter().map(|client| client::Config { profile: usual, ..client }).collect();
    };
    let at = value.span();
    let tables = reader.tables("client", value);
    if tables.len() > CLIENTS_MAX {
        let finding = Finding::new(format!("{} clients", tables.len()), at, format!("more than {CLIENTS_MAX}"));
        reader.report(finding.help("give one client several `connections`, or use fewer"));
        return Vec::new();
    }
    let keys = Keys::of::<client::Config>();
    let nodes = Names::new(stack, &[]);
    let mut clients: Vec<(client::Config, Places)> = Vec::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for table in tables {
        let read = |table| client::Config::deserialize(Deserializer::from(table));
        let Some((mut client, places)) = reader.read_with("[[client]]", &keys, table, read) else { continue };
        if !places.has("profile") {
            client.profile = usual;
        }
        if client.host.is_empty() {
            client.host.clone_from(&client.name);
        }
        check_client(reader, &client, &places, stack, &nodes);
        if let Some(earlier) = taken.insert(client.name.clone(), clients.len()) {
            let (_, earlier) = &clients[earlier];
            let message = format!("two clients are called `{}`", client.name);
            let finding = Finding::new(message, places.value("name"), "this name is taken");
            reader.report(
                finding.and(earlier.value("name"), "by this client").help("give each client a name of its own"),
            );
        }
        clients.push((client, places));
    }
    for (client, places) in &clients {
        let namesake = taken.get(&client.host).map(|place| &clients[*place]);
        if let Some((_, other)) = namesake.filter(|(other, _)| other.host != client.host) {
            let message = format!("`{}` is a host here and a client there", client.host);
            let finding = Finding::new(message, places.value("host"), "the host");
            reader.report(finding.and(other.value("name"), "the client, on another host").help("rename one of them"));
        }
    }
    let connections: u64 = clients.iter().map(|(client, _)| u64::from(client.connections)).sum();
    if connections > CONNECTIONS_MAX {
        let most = clients.iter().max_by_key(|(client, _)| client.connections).expect("someone has connections");
        let label = format!("{connections} of all clients together; at most {CONNECTIONS_MAX}");
        let finding = Finding::new("too many connections", most.1.value("connections"), label);
        reader.report(finding.help("use fewer: the simulator was measured with 100000"));
    }
    clients.into_iter().map(|(client, _)| client).collect()
}

fn check_client(reader: &mut Reader, client: &client::Config, places: &Places, stack: Stack, nodes: &Names<'_>) {
    for (key, name) in [("name", &client.name), ("host", &client.host), ("channel", &client.channel)] {
        if places.has(key) {
            check_name(reader, name, places.value(key), false);
        }
    }
    let mut report = |key: &str, message: String, label: &str, help: &str| {
        reader.report(Finding::new(message, places.value(key), label).help(help));
    };
    let name = &client.name;
    if [name, &client.host].into_iter().any(|name| name == NOBODY) {
        let key = if name == NOBODY { "name" } else { "host" };
        report(key, format!("`{NOBODY}` is no name for anybody"), "this word means that there is none", "use another");
    }
    if nodes.node(name).is_some() || name == "haproxy" {
        let message = format!("the client `{name}` is called like a node");
        report("name", message, "this name is taken", "give it another name, for example \"publisher\"");
    }
    if client.every == Span::ZERO {
        let help = "give the time between two attempts, such as \"50ms\"; for no pause at all write \
                    pause = { min = \"0s\", max = \"0s\" }";
        report("every", "`every` is 0".to_owned(), "must be greater", help);
    }
    if let Some(pause) = client.pause {
        if places.has("every") {
            let help = "keep `every` for a steady pace, or `pause` for a closed loop";
            report("every", "a client has either `every` or `pause`".to_owned(), "there is a `pause` too", help);
        }
        if client.kind == client::Kind::Subscribe {
            let message = "a subscriber makes no attempts between which it could pause".to_owned();
            report("pause", message, "has no effect", "leave `pause` out");
        }
        if pause.min > pause.max {
            report("pause", "the pause is empty".to_owned(), "`min` is greater than `max`", "exchange them");
        }
    }
    match client.connections {
        0 => report("connections", "a client without connections".to_owned(), "must be 1 or more", "leave the key out"),
        1 => {}
        _ if client.kind == client::Kind::Subscribe => {}
        _ if client.pause.is_none() => {
            let help = "give a `pause`: { min = \"0s\", max = \"0s\" } sends the next as soon as the reply is there";
            report("connections", "several connections need a closed loop".to_owned(), "more than one", help);
        }
        _ => {}
    }
    if client.requests == Some(0) {
        report("requests", "`requests` is 0".to_owned(), "must be greater", "leave the key out for no limit");
    }
    if client.then_set && client.profile != client::Profile::GoRedisV8 {
        let help = "set profile = \"go-redis-v8\", as the demo's publisher has it";
        report("then-set", "only a go-redis client can SET after it".to_owned(), "not with this profile", help);
    }
    let counted = client.connections > 1;
    if (client.pause.is_some() || counted) && client.profile == client::Profile::GoRedisV8 {
        let (key, what) = if counted { ("connections", "several connections") } else { ("pause", "a closed loop") };
        let message = format!("a client of profile \"go-redis-v8\" cannot have {what}");
        let label = if counted { "more than one" } else { "a closed loop" };
        let help = "go-redis has a pool and a pace of its own: leave this out and give `every`, or leave `profile` out";
        report(key, message, label, help);
    }
    if counted && client.kind == client::Kind::Subscribe && client.profile == client::Profile::Sentinel {
        let help = "leave `profile` out, or give each subscriber a [[client]] of its own";
        report("connections", "a crowd of subscribers asks no Sentinel".to_owned(), "more than one", help);
    }
    if client.then_set && client.pause.is_some() {
        let help = "give `every` instead of `pause`, or leave `then-set` out";
        report("then-set", "a closed loop has one command".to_owned(), "has no effect with `pause`", help);
    }
    if client.then_set && client.kind != client::Kind::Publish {
        report(
            "then-set",
            "only a publisher can SET after it".to_owned(),
            "not for this kind",
            "set kind = \"publish\"",
        );
    }
    match client.profile {
        client::Profile::Sentinel if stack.sentinels == 0 => {
            report(
                "profile",
                "there is no Sentinel to ask".to_owned(),
                "asks a Sentinel",
                "set `sentinels` in [stack]",
            );
        }
        client::Profile::Reference | client::Profile::GoRedisV8 if !stack.haproxy && stack.sentinels > 0 => {
            let message = "there is no HAProxy to connect to".to_owned();
            let help = "leave `profile` out or set it to \"sentinel\", or set `haproxy = true` in [stack]";
            report("profile", message, "connects to HAProxy", help);
        }
        _ => {}
    }
}
