//! What a Prometheus would have scraped: OpenMetrics text under the names of redis_exporter 1.x and of HAProxy's own
//! exporter, one sample a scrape, with virtual timestamps.
//!
//! `promtool tsdb create-blocks-from openmetrics metrics.om` takes it. A 15-second scrape misses what lies between two
//! scrapes: that is the point of sampling instead of writing every change.
//!
//! Names, types, helps and labels are those that redis_exporter 1.45 and HAProxy 2.6 were seen to give; a test holds them
//! against the real exporters. Only what a recording tells is written: no offsets, no counts of commands. An address is a
//! node's name, as everywhere in a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::lanes::{Bar, Lanes, Opinion, RedisState, ServerState};
use crate::kernel::Span;
use crate::record::{Event, HaproxyEvent, Names, NodeKind, Recording, RedisEvent, SentinelEvent, What};

/// The instant that time 0 of a run has in the metrics: 2026-01-01 00:00:00 UTC, in seconds.
pub const EPOCH_S: i64 = 1_767_225_600;
/// Prometheus's usual scrape interval in this ecosystem.
pub const SCRAPE: Span = Span::from_secs(15);

/// A family of samples: its type and help, and the samples of each set of labels in order of time.
struct Family {
    kind: &'static str,
    help: &'static str,
    /// Whether its samples end in `_total`.
    counter: bool,
    samples: BTreeMap<String, Vec<(i64, u64)>>,
}

#[derive(Default)]
struct Families(BTreeMap<&'static str, Family>);

impl Families {
    fn add(&mut self, at: i64, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: u64) {
        // A counter's family has its name without the ending of its samples.
        let (name, counter) = name.strip_suffix("_total").map_or((name, false), |name| (name, true));
        let kind = if counter { "counter" } else { "gauge" };
        let family = self.0.entry(name).or_insert(Family { kind, help, counter, samples: BTreeMap::new() });
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", label(value))).collect();
        family.samples.entry(labels.join(",")).or_default().push((at, value));
    }
}

/// A label's value, escaped.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn state<S: Copy>(bars: &[Bar<S>], at: i64) -> Option<S> {
    let after = bars.partition_point(|bar| bar.from_us <= at);
    after.checked_sub(1).map(|i| bars[i].state)
}

fn last<T>(changes: &[(i64, T)], at: i64) -> Option<&T> {
    let after = changes.partition_point(|(since, _)| *since <= at);
    after.checked_sub(1).map(|i| &changes[i].1)
}

/// The metrics of a run, scraped every `interval` from the first line of the recording to its end.
///
/// # Panics
/// If the interval is shorter than a microsecond.
pub fn metrics(recording: &Recording, lanes: &Lanes, interval: Span) -> String {
    let interval = (interval.0 / 1_000) as i64;
    assert!(interval > 0, "a scrape interval is at least a microsecond");
    let quorum = quorum(recording);
    let backups = backups(recording);
    let replicas = connected_replicas(recording, lanes);
    let mut families = Families::default();
    // Scrapes are at whole multiples of the interval, so that one of them is at time 0.
    let first = -(-lanes.begin_us).div_euclid(interval);
    for scrape in first..=lanes.end_us.div_euclid(interval) {
        let at = scrape * interval;
        redis(&mut families, &recording.names, lanes, at, &replicas);
        sentinels(&mut families, &recording.names, lanes, at, quorum);
        haproxy(&mut families, lanes, at, &backups);
        clients(&mut families, lanes, at);
        let job = [("job", "sim")];
        let (name, help) = ("sim_scrape_interval_milliseconds", "How far apart the scrapes are");
        families.add(at, name, help, &job, interval as u64 / 1_000);
    }
    let mut out = String::new();
    for (name, family) in &families.0 {
        let _ = writeln!(out, "# TYPE {name} {}\n# HELP {name} {}", family.kind, family.help);
        let suffix = if family.counter { "_total" } else { "" };
        for (labels, samples) in &family.samples {
            for (at, value) in samples {
                let millis = EPOCH_S * 1_000 + at.div_euclid(1_000);
                let _ = writeln!(
                    out,
                    "{name}{suffix}{{{labels}}} {value} {}.{:03}",
                    millis.div_euclid(1_000),
                    millis.rem_euclid(1_000)
                );
            }
        }
    }
    out.push_str("# EOF\n");
    out
}

fn redis(families: &mut Families, names: &Names, lanes: &Lanes, at: i64, replicas: &BTreeMap<String, Vec<(i64, u64)>>) {
    for lane in &lanes.redis {
        let instance = format!("{}:6379", lane.node);
        let target = ("instance", instance.as_str());
        let job = ("job", "redis");
        let Some(state) = state(&lane.bars, at) else { continue };
        let up = !matches!(state, RedisState::Dead | RedisState::Paused);
        families.add(at, "up", "Whether the exporter answered", &[job, target], 1);
        families.add(at, "redis_up", "Information about the Redis instance", &[job, target], u64::from(up));
        if !up {
            continue;
        }
        let version = names.find_node(&lane.node).map_or("".into(), |node| names.server_version(node));
        let role = if state == RedisState::Master { "master" } else { "slave" };
        let labels = [
            job,
            target,
            ("maxmemory_policy", "noeviction"),
            ("redis_mode", "standalone"),
            ("redis_version", version.as_ref()),
            ("role", role),
            ("tcp_port", "6379"),
        ];
        families.add(at, "redis_instance_info", "Information about the Redis instance", &labels, 1);
        let connected = replicas.get(&lane.node).and_then(|row| last(row, at)).copied().unwrap_or(0);
        families.add(at, "redis_connected_slaves", "connected_slaves metric", &[job, target], connected);
        let loading = u64::from(state == RedisState::Loading);
        families.add(at, "redis_loading_dump_file", "loading_dump_file metric", &[job, target], loading);
        if state != RedisState::Master {
            let master = last(&lane.follows, at).map_or("", String::as_str);
            let labels = [job, target, ("master_host", master), ("master_port", "6379")];
            let linked = u64::from(state == RedisState::Replica);
            families.add(at, "redis_master_link_up", "Master link status on Redis slave", &labels, linked);
            let labels = [job, target, ("master_host", master), ("master_port", "6379"), ("read_only", "1")];
            families.add(at, "redis_slave_info", "Information about the Redis slave", &labels, 1);
        }
    }
}

fn sentinels(families: &mut Families, names: &Names, lanes: &Lanes, at: i64, quorum: u64) {
    let master = names.master.as_str();
    let all = lanes.sentinels.len() as u64;
    for lane in &lanes.sentinels {
        let instance = format!("{}:26379", lane.node);
        let target = ("instance", instance.as_str());
        let job = ("job", "sentinel");
        let Some(state) = state(&lane.bars, at) else { continue };
        let up = !matches!(state, Opinion::Dead | Opinion::Paused);
        families.add(at, "up", "Whether the exporter answered", &[job, target], 1);
        families.add(at, "redis_up", "Information about the Redis instance", &[job, target], u64::from(up));
        if !up {
            continue;
        }
        let version = names.find_node(&lane.node).map_or("".into(), |node| names.server_version(node));
        // A Sentinel's INFO has neither a role nor a memory policy: the exporter gives both labels empty.
        let labels = [
            job,
            target,
            ("maxmemory_policy", ""),
            ("redis_mode", "sentinel"),
            ("redis_version", version.as_ref()),
            ("role", ""),
            ("tcp_port", "26379"),
        ];
        families.add(at, "redis_instance_info", "Information about the Redis instance", &labels, 1);
        let help = "The number of masters this sentinel is watching";
        families.add(at, "redis_sentinel_masters", help, &[job, target], 1);
        let tilt = u64::from(state == Opinion::Tilt);
        families.add(at, "redis_sentinel_tilt", "Sentinel is in TILT mode", &[job, target], tilt);
        let address = format!("{}:6379", last(&lane.beliefs, at).map_or("", String::as_str));
        let (name, address) = (("master_name", master), ("master_address", address.as_str()));
        let status = match state {
            Opinion::Sdown => "sdown",
            Opinion::Odown | Opinion::Leads => "odown",
            _ => "ok",
        };
        let labels = [job, target, name, address, ("master_status", status)];
        families.add(at, "redis_sentinel_master_status", "Master status on Sentinel", &labels, 1);
        let replicas = lanes.redis.len().saturating_sub(1) as u64;
        let down_replicas = last(&lane.down_replicas, at).copied().unwrap_or(0) as u64;
        let down = last(&lane.down_sentinels, at).copied().unwrap_or(0) as u64;
        let usable = all.saturating_sub(down);
        let message = ckquorum(usable, quorum, all / 2 + 1);
        let ok = u64::from(message.starts_with("OK"));
        let labels = [job, target, name, ("message", message.as_str())];
        families.add(at, "redis_sentinel_master_ckquorum_status", "Master ckquorum status", &labels, ok);
        let labels = [job, target, name, address];
        for (metric, help, value) in [
            ("redis_sentinel_master_slaves", "The number of slaves of the master", replicas),
            ("redis_sentinel_master_sentinels", "The number of sentinels monitoring this master", all),
            (
                "redis_sentinel_master_ok_slaves",
                "The number of okay slaves of the master",
                replicas.saturating_sub(down_replicas),
            ),
            ("redis_sentinel_master_ok_sentinels", "The number of okay sentinels monitoring this master", usable),
        ] {
            families.add(at, metric, help, &labels, value);
        }
    }
}

/// What `SENTINEL CKQUORUM` answers (`sentinelCommand` in sentinel.c).
fn ckquorum(usable: u64, quorum: u64, majority: u64) -> String {
    let mut lacks = Vec::new();
    if usable < quorum {
        lacks.push("Not enough available Sentinels to reach the specified quorum for this master");
    }
    if usable < majority {
        lacks.push("Not enough available Sentinels to reach the majority and authorize a failover");
    }
    if lacks.is_empty() {
        return format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached");
    }
    format!("NOQUORUM {usable} usable Sentinels. {}", lacks.join(". "))
}

/// The states of a server, as HAProxy's exporter lists them.
const SERVER_STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];
const STATUS_HELP: &str = "Current status of the service, per state label value.";

fn haproxy(families: &mut Families, lanes: &Lanes, at: i64, backups: &BTreeSet<String>) {
    let nodes: BTreeSet<&str> = lanes.proxies.iter().map(|lane| lane.node.as_str()).collect();
    for node in nodes {
        let instance = format!("{node}:8404");
        let target = ("instance", instance.as_str());
        let (job, proxy) = (("job", "haproxy"), ("proxy", "redis_backend"));
        let servers = || lanes.proxies.iter().filter(|lane| lane.node == node);
        let answers = servers().any(|lane| matches!(state(&lane.bars, at), Some(ServerState::Up | ServerState::Down)));
        families.add(at, "up", "Whether the exporter answered", &[job, target], u64::from(answers));
        if !answers {
            continue;
        }
        let (mut active, mut spare) = (0, 0);
        for lane in servers() {
            let up = state(&lane.bars, at) == Some(ServerState::Up);
            for word in SERVER_STATES {
                let holds = word == if up { "UP" } else { "DOWN" };
                let labels = [job, target, proxy, ("server", lane.server.as_str()), ("state", word)];
                families.add(at, "haproxy_server_status", STATUS_HELP, &labels, u64::from(holds));
            }
            let changes = lane.bars.windows(2).filter(|pair| pair[1].from_us <= at);
            let downs = changes.filter(|pair| pair[0].state == ServerState::Up && pair[1].state == ServerState::Down);
            let labels = [job, target, proxy, ("server", lane.server.as_str())];
            let help = "Total number of failed checks causing UP to DOWN server transitions, per server/backend, since the \
                        worker process started";
            families.add(at, "haproxy_server_check_up_down_total", help, &labels, downs.count() as u64);
            if backups.contains(&lane.server) {
                spare += u64::from(up);
            } else {
                active += u64::from(up);
            }
        }
        let labels = [job, target, proxy];
        families.add(
            at,
            "haproxy_backend_active_servers",
            "Total number of active UP servers with a non-zero weight",
            &labels,
            active,
        );
        families.add(
            at,
            "haproxy_backend_backup_servers",
            "Total number of backup UP servers with a non-zero weight",
            &labels,
            spare,
        );
        for (word, holds) in [("UP", active + spare > 0), ("DOWN", active + spare == 0)] {
            let labels = [job, target, proxy, ("state", word)];
            families.add(at, "haproxy_backend_status", STATUS_HELP, &labels, u64::from(holds));
        }
    }
}

fn clients(families: &mut Families, lanes: &Lanes, at: i64) {
    for lane in &lanes.clients {
        let upto = lane.attempts.partition_point(|(when, ..)| *when <= at);
        let mut by_outcome: BTreeMap<&str, u64> = BTreeMap::new();
        // An outcome that comes later starts at zero, so that `rate` sees its first occurrence.
        for (_, outcome, _) in &lane.attempts {
            by_outcome.entry(outcome.as_str()).or_default();
        }
        for (_, outcome, _) in &lane.attempts[..upto] {
            *by_outcome.entry(outcome.as_str()).or_default() += 1;
        }
        for (outcome, count) in by_outcome {
            let labels = [
                ("job", "clients"),
                ("instance", lane.node.as_str()),
                ("activity", lane.activity.as_str()),
                ("outcome", outcome),
            ];
            families.add(at, "sim_client_attempts_total", "Attempts of the clients by outcome", &labels, count);
        }
    }
}

/// The quorum that the Sentinels say; the demo's if none does.
fn quorum(recording: &Recording) -> u64 {
    let said = recording.records.iter().find_map(|record| match record.what {
        What::Event(Event::Sentinel(SentinelEvent::Monitor(_, quorum))) => Some(u64::from(quorum)),
        _ => None,
    });
    said.unwrap_or(2)
}

/// The servers that HAProxy calls backup servers; all but the first if it names none.
fn backups(recording: &Recording) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut active = false;
    for record in &recording.records {
        if let What::Event(Event::Haproxy(HaproxyEvent::Server { server, backup, .. })) = record.what {
            active |= !backup;
            if backup {
                named.insert(recording.names.host(server).to_string());
            }
        }
    }
    if named.is_empty() && !active { recording.header.redis.iter().skip(1).cloned().collect() } else { named }
}

/// How many replicas each node counts as connected: since when, how many. It is the node's own count, from its own log:
/// a replica that was cut off stays connected until the connection ends.
fn connected_replicas(recording: &Recording, lanes: &Lanes) -> BTreeMap<String, Vec<(i64, u64)>> {
    let mut changes: BTreeMap<&str, Vec<(i64, Option<i64>)>> = BTreeMap::new();
    for lane in &lanes.redis {
        // A process that ends forgets its replicas.
        let ends = lane.bars.iter().filter(|bar| bar.state == RedisState::Dead).map(|bar| (bar.from_us, None));
        changes.entry(&lane.node).or_default().extend(ends);
    }
    for record in &recording.records {
        let node = recording.names.node(record.node);
        let What::Event(Event::Redis(event)) = &record.what else { continue };
        if recording.names.kind(record.node) != NodeKind::Redis {
            continue;
        }
        let by = match event {
            RedisEvent::ReplicaAsks(_) => 1,
            RedisEvent::ReplicaLost(_) | RedisEvent::ReplicaLostUnnamed(_) => -1,
            _ => continue,
        };
        changes.entry(node).or_default().push((recording.micros(record.time), Some(by)));
    }
    let counted = changes.into_iter().map(|(node, mut changes)| {
        changes.sort_by_key(|(at, _)| *at);
        let mut count = 0u64;
        let row = changes.into_iter().map(|(at, by)| {
            count = by.map_or(0, |by| count.saturating_add_signed(by));
            (at, count)
        });
        (node.to_string(), row.collect())
    });
    counted.collect()
}
