//! What a Prometheus would have scraped: OpenMetrics text under the names of redis_exporter 1.x and of HAProxy's own
//! exporter, one sample a scrape, with virtual timestamps.
//!
//! `promtool tsdb create-blocks-from openmetrics metrics.om` takes it. A 15-second scrape misses what lies between two
//! scrapes: that is the point of sampling instead of writing every change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::lanes::{Bar, Lanes, Opinion, RedisState, ServerState};
use crate::kernel::Span;
use crate::record::{Event, HaproxyEvent, Recording, SentinelEvent, What};

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
        let counter = name.ends_with("_attempts");
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
    let mut families = Families::default();
    // Scrapes are at whole multiples of the interval, so that one of them is at time 0.
    let first = -(-lanes.begin_us).div_euclid(interval);
    for scrape in first..=lanes.end_us.div_euclid(interval) {
        let at = scrape * interval;
        redis(&mut families, lanes, at);
        sentinels(&mut families, lanes, at, quorum);
        haproxy(&mut families, lanes, at, &backups);
        clients(&mut families, lanes, at);
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

fn redis(families: &mut Families, lanes: &Lanes, at: i64) {
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
        let role = if state == RedisState::Master { "master" } else { "slave" };
        let labels = [job, target, ("role", role), ("redis_mode", "standalone"), ("redis_version", "7.0.15")];
        families.add(at, "redis_instance_info", "Information about the Redis instance", &labels, 1);
        let replicas = lanes.redis.iter().filter(|other| {
            let linked = self::state(&other.bars, at) == Some(RedisState::Replica);
            linked && last(&other.follows, at) == Some(&lane.node)
        });
        let replicas = replicas.count() as u64;
        families.add(at, "redis_connected_slaves", "connected_slaves metric", &[job, target], replicas);
        let loading = u64::from(state == RedisState::Loading);
        families.add(at, "redis_loading_dump_file", "loading_dump_file metric", &[job, target], loading);
        if state != RedisState::Master {
            let master = last(&lane.follows, at).map_or("", String::as_str);
            let labels = [job, target, ("master_host", master), ("master_port", "6379")];
            let linked = u64::from(state == RedisState::Replica);
            families.add(at, "redis_master_link_up", "master_link_up metric", &labels, linked);
            let labels = [job, target, ("master_host", master), ("master_port", "6379"), ("read_only", "1")];
            families.add(at, "redis_slave_info", "Information about the Redis slave", &labels, 1);
        }
    }
}

fn sentinels(families: &mut Families, lanes: &Lanes, at: i64, quorum: u64) {
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
        families.add(
            at,
            "redis_sentinel_masters",
            "The number of masters this sentinel is watching",
            &[job, target],
            1,
        );
        let tilt = u64::from(state == Opinion::Tilt);
        families.add(at, "redis_sentinel_tilt", "Whether sentinel is in TILT mode", &[job, target], tilt);
        let address = format!("{}:6379", last(&lane.beliefs, at).map_or("", String::as_str));
        let (name, address) = (("master_name", "mymaster"), ("master_address", address.as_str()));
        let status = match state {
            Opinion::Sdown => "sdown",
            Opinion::Odown | Opinion::Leads => "odown",
            _ => "ok",
        };
        let labels = [job, target, name, address, ("master_status", status)];
        families.add(at, "redis_sentinel_master_status", "Master status on Sentinel", &labels, 1);
        let labels = [job, target, name, address];
        let replicas = lanes.redis.len().saturating_sub(1) as u64;
        let down_replicas = last(&lane.down_replicas, at).copied().unwrap_or(0) as u64;
        let down = last(&lane.down_sentinels, at).copied().unwrap_or(0) as u64;
        let usable = all.saturating_sub(down);
        let ok = u64::from(usable >= quorum.max(all / 2 + 1));
        for (metric, help, value) in [
            ("redis_sentinel_master_slaves", "The number of slaves of the master", replicas),
            ("redis_sentinel_master_sentinels", "The number of sentinels monitoring this master", all),
            (
                "redis_sentinel_master_ok_slaves",
                "The number of okay slaves of the master",
                replicas.saturating_sub(down_replicas),
            ),
            ("redis_sentinel_master_ok_sentinels", "The number of okay sentinels monitoring this master", usable),
            ("redis_sentinel_master_ckquorum_status", "Master ckquorum status", ok),
        ] {
            families.add(at, metric, help, &labels, value);
        }
    }
}

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
            for (word, holds) in [("UP", up), ("DOWN", !up)] {
                let labels = [job, target, proxy, ("server", lane.server.as_str()), ("state", word)];
                families.add(at, "haproxy_server_status", "Current status of the service", &labels, u64::from(holds));
            }
            if backups.contains(&lane.server) {
                spare += u64::from(up);
            } else {
                active += u64::from(up);
            }
        }
        let labels = [job, target, proxy];
        families.add(at, "haproxy_backend_active_servers", "Total number of active UP servers", &labels, active);
        families.add(at, "haproxy_backend_backup_servers", "Total number of backup UP servers", &labels, spare);
        for (word, holds) in [("UP", active + spare > 0), ("DOWN", active + spare == 0)] {
            let labels = [job, target, proxy, ("state", word)];
            families.add(at, "haproxy_backend_status", "Current status of the service", &labels, u64::from(holds));
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
                ("activity", lane.activity),
                ("outcome", outcome),
            ];
            families.add(at, "sim_client_attempts", "Attempts of the clients by outcome", &labels, count);
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
