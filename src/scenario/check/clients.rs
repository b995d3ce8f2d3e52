//! The client programs.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::de::Deserializer;

use super::{Keys, Names, Places, Reader, Stack, Table, check_name};
use crate::client::{self, LibraryId};
use crate::kernel::Span;
use crate::limits::{CLIENTS_MAX, CONNECTIONS_MAX};
use crate::record::NOBODY;
use crate::scenario::error::Finding;
use crate::units::Limit;

/// The client programs; if the file has none, those of the reference stack.
pub(super) fn read(reader: &mut Reader, root: &mut Table<'_>, stack: Stack) -> Vec<client::Config> {
    let usual = stack.usual_way();
    let Some(value) = Reader::take(root, "client") else {
        let clients = client::Config::reference();
        return clients.into_iter().map(|client| client::Config { via: usual, ..client }).collect();
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
        if !places.has("via") {
            client.via = usual;
        }
        check_profile(reader, &client, &places);
        client.take_profile();
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

/// `proto-max-bulk-len`: the longest text that Redis takes.
const MOST_PAYLOAD: u64 = 512 << 20;

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
        report(
            key,
            format!("`{NOBODY}` cannot be anybody's name"),
            "this word means that there is none",
            "use another",
        );
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
    if client.payload > 0 && client.kind != client::Kind::Publish {
        let help = "leave the key out: a SET carries its number";
        report("payload", "only a publisher has messages".to_owned(), "not for this kind", help);
    }
    if client.payload > MOST_PAYLOAD {
        let message = format!("a message of {} bytes", client.payload);
        report("payload", message, "at most 512mb", "Redis takes no longer text (`proto-max-bulk-len`)");
    }
    check_then_set(client, &mut report);
    check_px(client, &mut report);
    check_wait(client, report);
    check_library(reader, client, places, stack);
    check_settings(reader, client, places);
}

/// Whether a client can follow each PUBLISH by a SET.
fn check_then_set(client: &client::Config, mut report: impl FnMut(&str, String, &str, &str)) {
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
}

/// Whether a client SETs keys that can end.
fn check_px(client: &client::Config, mut report: impl FnMut(&str, String, &str, &str)) {
    let Some(px) = client.px else { return };
    if !client.writes() {
        let help = "set kind = \"set\", or then-set = true for a publisher";
        report("px", "only a SET has PX".to_owned(), "not for this kind", help);
    } else if client.connections > 1 {
        let help = "leave `connections` out for keys of their own, or leave `px` out";
        report("px", "several connections SET one key again and again".to_owned(), "would hardly ever end", help);
    }
    if px.0 == 0 || !px.0.is_multiple_of(1_000_000) {
        let help = "give a time such as \"30s\" or \"1500ms\"";
        report("px", "PX counts milliseconds".to_owned(), "must be 1ms or more, and a whole number of them", help);
    }
}

/// Whether a client can follow each SET by WAIT on the same connection.
fn check_wait(client: &client::Config, mut report: impl FnMut(&str, String, &str, &str)) {
    let Some(wait) = client.wait else { return };
    if client.kind != client::Kind::Set {
        report("wait", "only a writer waits for replicas".to_owned(), "not for this kind", "set kind = \"set\"");
        return;
    }
    if wait.replicas == 0 {
        report("wait", "a wait for no replicas".to_owned(), "`replicas` must be 1 or more", "leave `wait` out");
    }
    if wait.timeout.as_millis() == 0 {
        let help = "give a time of 1ms or more, such as \"1s\": to the server 0 means for ever";
        report("wait", "a wait without an end".to_owned(), "`timeout` is less than 1ms", help);
    }
    if client.pause.is_some() || client.connections > 1 {
        let help = "give `every` instead of `pause` and `connections`, or leave `wait` out";
        report("wait", "a closed loop has one command".to_owned(), "has no effect here", help);
        return;
    }
    let library = client.library;
    let why = match client.habits().multiplex {
        Some(_) => "has one connection for all its commands, which WAIT would hold up",
        None if library.word.starts_with("go-redis") => {
            "takes any connection of its pool for a command, and WAIT speaks of its own connection's writes"
        }
        None => return,
    };
    let help = "take a library that keeps its connection, such as \"redis-py\", or leave `wait` out";
    report("wait", format!("the library \"{library}\" {why}"), "says nothing of the SET before", help);
}

/// `profile` is the old name of `library`, and says the way by itself.
fn check_profile(reader: &mut Reader, client: &client::Config, places: &Places) {
    let Some(profile) = client.profile else { return };
    let clash = if places.has("library") { Some("library") } else { None };
    let clash = clash.or((places.has("via") && profile == client::Profile::Sentinel).then_some("via"));
    if let Some(other) = clash {
        let message = format!("`profile` is the old name of `library`: give it or `{other}`");
        let finding = Finding::new(message, places.value("profile"), "the old key");
        reader.report(finding.and(places.value(other), "the new one").help("leave `profile` out"));
    }
}

/// Whether a library can do what the client does, by the way it shall go.
fn check_library(reader: &mut Reader, client: &client::Config, places: &Places, stack: Stack) {
    let library = client.library;
    let key = if places.has("profile") { "profile" } else { "library" };
    let mut report = |key: &str, message: String, label: &str, help: &str| {
        reader.report(Finding::new(message, places.value(key), label).help(help));
    };
    let counted = client.connections > 1;
    if (client.pause.is_some() || counted) && library != LibraryId::REFERENCE {
        let (key, what) = if counted { ("connections", "several connections") } else { ("pause", "a closed loop") };
        let message = format!("a client of library \"{library}\" cannot have {what}");
        let label = if counted { "more than one" } else { "a closed loop" };
        let help = "a library has connections and a pace of its own: leave this out and give `every`, or leave \
                    `library` out";
        report(key, message, label, help);
    }
    if client.then_set && client.runs_as_recorded() {
        let help = "give the client a library, such as library = \"go-redis-v8\", as the demo's publisher has it";
        report("then-set", "the reference's clients have one command".to_owned(), "not with this library", help);
    }
    let via = if places.has("via") { "via" } else { key };
    match client.via {
        client::Via::Sentinels if stack.sentinels == 0 => {
            let help = "set `sentinels` in [stack]";
            report(via, "there is no Sentinel to ask".to_owned(), "asks a Sentinel", help);
        }
        client::Via::Proxy if !stack.haproxy => {
            let message = "there is no HAProxy to connect to".to_owned();
            let help = "leave `via` out or set it to \"sentinels\", or set `haproxy = true` in [stack]";
            report(via, message, "connects to HAProxy", help);
        }
        client::Via::Sentinels if !library.asks_sentinels => {
            let message = format!("the library \"{library}\" asks no Sentinels");
            let help = "set via = \"proxy\" or via = \"address\", or take another library";
            report(via, message, "asks a Sentinel", help);
        }
        client::Via::Sentinels if counted && client.kind == client::Kind::Subscribe => {
            let help = "set via = \"proxy\", or give each subscriber a [[client]] of its own";
            report("connections", "a crowd of subscribers asks no Sentinel".to_owned(), "more than one", help);
        }
        _ => {}
    }
}

/// The settings of a client of one's own: each has an effect, or is refused.
fn check_settings(reader: &mut Reader, client: &client::Config, places: &Places) {
    let habits = client.habits();
    let listens = client.kind == client::Kind::Subscribe;
    let mut refuse = |key: &str, message: &str, help: &str| {
        if places.has(key) {
            reader.report(Finding::new(message.to_owned(), places.value(key), "has no effect").help(help));
        }
    };
    if client.pause.is_some() || client.connections > 1 {
        let help = "leave it out, or give `every` instead of `pause` and `connections`";
        for key in SETTINGS {
            refuse(key, "a closed loop has no such setting", help);
        }
        return;
    }
    if client.via != client::Via::Sentinels {
        refuse("sentinels", "this client asks no Sentinels", "set via = \"sentinels\", or leave it out");
    }
    if listens {
        for key in ["pool", "concurrency"] {
            refuse(key, "a subscriber has one connection and makes no attempts", "leave it out");
        }
        if !client.heeds_command_timeout() {
            let help = "give `ping-after`, whose answer it then awaits so long, or leave it out";
            refuse("command-timeout", "a subscriber of this library awaits the reply to no command", help);
        }
        if client.opens_for_ever() {
            refuse("retries", "this library opens its subscription again for ever", "leave it out");
        } else if habits.listening.resumes == 0 {
            refuse("backoff", "this subscriber opens nothing again by itself", "give `retries`, or leave it out");
        }
    } else if habits.multiplex.is_some() {
        for key in ["pool", "retries"] {
            refuse(
                key,
                "this library has one connection for all its commands",
                "leave it out, or take another library",
            );
        }
    } else {
        refuse(
            "ping-after",
            "between two commands this library writes nothing",
            "leave it out, or take another library",
        );
    }
    let sizes = client.pool.is_some_and(|pool| pool.size.is_some_and(|size| size > 0) || pool.wait.is_some());
    if !listens && habits.multiplex.is_none() && sizes && client.concurrency() == 1 {
        let help = "give `concurrency`, or leave its `size` and `wait` out";
        refuse("pool", "one attempt runs at a time, and never waits for a connection", help);
    }
    if !listens && habits.multiplex.is_none() && habits.retries == 0 {
        refuse("backoff", "this client tries nothing again", "give `retries`, or leave it out");
    }
    for (key, number) in [("concurrency", client.concurrency), ("pool", client.pool.and_then(|pool| pool.size))] {
        if number == Some(0) {
            let message = if key == "pool" { "a pool of no connections" } else { "no attempt may run" };
            reader
                .report(Finding::new(message.to_owned(), places.value(key), "must be 1 or more").help("leave it out"));
        }
    }
    check_limits(reader, client, places);
}

/// Times and counts that no program would take.
fn check_limits(reader: &mut Reader, client: &client::Config, places: &Places) {
    for (key, limit) in [
        ("connect-timeout", client.connect_timeout),
        ("command-timeout", client.command_timeout),
        ("ping-after", client.ping_after),
        ("tcp-user-timeout", client.tcp_user_timeout),
        ("sentinels", client.sentinels.and_then(|sentinels| sentinels.timeout)),
    ] {
        if limit == Some(Limit(Some(Span::ZERO))) {
            let message = format!("`{key}` is 0");
            let help = "give a time, or \"none\" where there shall be no limit";
            reader.report(Finding::new(message, places.value(key), "must be greater").help(help));
        }
    }
    if let Some(Limit(Some(after))) = client.ping_after
        && after < LEAST_PING
    {
        let finding = Finding::new("`ping-after` is too short", places.value("ping-after"), "less than 1ms");
        reader.report(finding.help("give at least \"1ms\", or \"none\""));
    }
    if let Some(keepalive) = client.keepalive {
        let second = Span::from_secs(1);
        let idle = keepalive.idle.0.unwrap_or(second);
        if idle < second || keepalive.interval < second || keepalive.count == 0 {
            let label = "TCP counts whole seconds: `idle` and `interval` from 1s, `count` from 1";
            let finding = Finding::new("keep-alive is too quick", places.value("keepalive"), label);
            reader.report(finding.help("give larger ones, or idle = \"none\" for no probes"));
        }
    }
}

/// Who writes PINGs more often does nothing else.
const LEAST_PING: Span = Span::from_millis(1);

/// The keys of a client of one's own.
const SETTINGS: [&str; 10] = [
    "connect-timeout",
    "command-timeout",
    "retries",
    "backoff",
    "pool",
    "ping-after",
    "tcp-user-timeout",
    "keepalive",
    "sentinels",
    "concurrency",
];
