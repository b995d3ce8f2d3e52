//! Which timer or setting decided when a step of a failover was reached.
//!
//! A recording shows what happened and when; the rules are Sentinel's, HAProxy's and the clients' (`sentinel.c` of Redis
//! 7.0.15, `check.c` of HAProxy 2.6, the clients' own code). Values of settings are named where the scenario is known;
//! otherwise only the settings are.

use super::boots::Boots;
use super::faults::{Window, windows};
use super::phases::{Failover, Phase, Step};
use crate::record::{ConnectEnd, Effect, Event, HaproxyEvent, Op, Recording, RedisEvent, What};
use crate::wire::Role;

/// Shorter than this, Sentinel did it in the same tick (at most 100 ms, `sentinelTimer`).
const TICK_US: i64 = 110_000;
/// Waits above this before an attempt are not the usual delay of at most 1 s.
const PATIENCE_US: i64 = 1_500_000;

/// A Sentinel asks a master for INFO every 10 s; one that says role:slave is down after two such periods and down-after
/// (`sentinelCheckSubjectivelyDown`).
const TWO_INFO_PERIODS_US: i64 = 20_000_000;

/// The settings that decide. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Sentinel's `down-after-milliseconds`.
    pub down_after_ms: Option<u64>,
    /// Sentinel's `failover-timeout`.
    pub failover_timeout_ms: Option<u64>,
    /// The quorum.
    pub quorum: Option<u32>,
    /// Sentinel's `parallel-syncs`.
    pub parallel_syncs: Option<u32>,
    /// HAProxy's `inter`.
    pub inter_ms: Option<u64>,
    /// HAProxy's `fall`.
    pub fall: Option<u32>,
    /// HAProxy's `rise`.
    pub rise: Option<u32>,
}

/// A setting with its value, if that is known.
fn named<T: ToString>(name: &str, value: Option<T>, unit: &str) -> String {
    value.map_or_else(|| name.to_string(), |value| format!("{name} {}{unit}", value.to_string()))
}

fn times(name: &str, count: Option<u32>, inter: Option<u64>) -> String {
    format!("{} × {}", named(name, count, ""), named("inter", inter, " ms"))
}

/// Says of every step of every attempt what decided it.
pub(super) fn decide(attempts: &mut [Failover], recording: &Recording, settings: &Settings) {
    for attempt in attempts {
        let leader = attempt.leader.clone();
        let old = attempt.old_master.clone();
        let new = attempt.new_master.clone().unwrap_or_default();
        let requested = attempt.requested;
        for step in &mut attempt.steps {
            step.decided_by = reason(step, recording, settings, requested, &leader, &old, &new);
        }
    }
}

fn reason(
    step: &Step,
    recording: &Recording,
    settings: &Settings,
    requested: bool,
    leader: &str,
    old: &str,
    new: &str,
) -> String {
    let took = step.took_us.unwrap_or(0);
    let down_after = || named("down-after-milliseconds", settings.down_after_ms, "");
    let timeout = || named("failover-timeout", settings.failover_timeout_ms, "");
    match step.phase {
        Phase::Fault => String::new(),
        Phase::Detected if says_slave(recording, old, step.at_us, settings.down_after_ms) => {
            format!("role:slave for {} + 2 × INFO every 10 s", down_after())
        }
        Phase::Detected => format!("{}, PING every 1 s", down_after()),
        Phase::Agreed => format!("{}; the others are asked every 1 s", named("quorum", settings.quorum, "")),
        Phase::Started if requested => "SENTINEL FAILOVER".into(),
        Phase::Started if took > PATIENCE_US => format!("2 × {} after the last attempt or vote", timeout()),
        Phase::Started => "at once".into(),
        Phase::Elected if requested => "nobody is asked".into(),
        Phase::Elected if took > PATIENCE_US => "votes of the majority, asked for every 1 s".into(),
        Phase::Elected => "votes of the majority, counted every tick (≤ 100 ms)".into(),
        Phase::Selected => "next tick (≤ 100 ms)".into(),
        Phase::Promoted if took < 2 * TICK_US => "REPLICAOF NO ONE, sent at the next tick (≤ 100 ms)".into(),
        Phase::Promoted => format!("REPLICAOF NO ONE, repeated until {}", timeout()),
        Phase::Confirmed => "INFO of the promoted node, every 1 s".into(),
        Phase::Propagated if step.who == leader => {
            format!("{}: the leader waits for the replicas", named("parallel-syncs", settings.parallel_syncs, ""))
        }
        Phase::Propagated => {
            let waited =
                |fault: &Window| fault.is_undoing() && fault.from_us <= step.at_us && fault.from_us > step.at_us - took;
            match windows(recording).iter().rev().find(|fault| waited(fault)) {
                Some(fault) => {
                    format!("{} at {:.3} s, then a hello, every 2 s", fault.word(), fault.from_us as f64 / 1e6)
                }
                None => "hello of a Sentinel that knows, every 2 s".into(),
            }
        }
        Phase::ProxyDown => {
            let rule = times("fall", settings.fall, settings.inter_ms);
            server_reason(recording, step.at_us, old, false).map_or(rule.clone(), |why| format!("{rule}; {why}"))
        }
        Phase::ProxySwitched => match server_reason(recording, step.at_us, new, true) {
            Some(_) => times("rise", settings.rise, settings.inter_ms),
            None => "the old master DOWN, and this one was UP".into(),
        },
        Phase::PublisherOk | Phase::WriterOk => attempt_reason(recording, step) + unswitched(step),
        Phase::SubscriberOk => subscriber_reason(recording, step) + unswitched(step),
    }
}

/// Whether a Sentinel held a master to be down at an instant because that says `role:slave`: it had followed another one
/// for longer than down-after and two INFO periods, and nothing kept it from answering PING.
pub(crate) fn says_slave(recording: &Recording, master: &str, at_us: i64, down_after_ms: Option<u64>) -> bool {
    let boots = Boots::of(recording);
    let mut follows_since_us = None;
    for record in &recording.records {
        let now_us = recording.micros(record.time);
        if now_us > at_us {
            break;
        }
        let What::Event(Event::Redis(event)) = &record.what else { continue };
        if recording.names.node(record.node) != master {
            continue;
        }
        match event {
            RedisEvent::Ready if boots.at(record.node, now_us) == Role::Master => follows_since_us = None,
            event if event.leads() => follows_since_us = None,
            event if event.follows().is_some() || *event == RedisEvent::Ready => {
                follows_since_us = follows_since_us.or(Some(now_us));
            }
            _ => {}
        }
    }
    let longer_than_us = TWO_INFO_PERIODS_US + down_after_ms.unwrap_or(0) as i64 * 1_000;
    let silences = |window: &Window| {
        let kind = matches!(window.effect(), Effect::Kills | Effect::Stops | Effect::Cuts);
        kind && window.hits(master) && window.overlaps(at_us, at_us)
    };
    follows_since_us.is_some_and(|since_us| at_us - since_us > longer_than_us)
        && !windows(recording).iter().any(silences)
}

/// What to add of a client that came back without the promoted node.
const fn unswitched(step: &Step) -> &'static str {
    match step.after {
        Some(Phase::Fault | Phase::Started) => "; before HAProxy switched",
        _ => "",
    }
}

/// The reason in HAProxy's line about a server at an instant.
fn server_reason(recording: &Recording, at_us: i64, server: &str, wanted: bool) -> Option<String> {
    recording.records.iter().find_map(|record| match &record.what {
        What::Event(Event::Haproxy(event @ HaproxyEvent::Server { server: host, up, .. }))
            if recording.micros(record.time) == at_us && *up == wanted && recording.names.host(*host) == server =>
        {
            let text = event.text(&recording.names);
            let why = text.split_once("reason: ")?.1.split(", ").next()?;
            Some(why.to_string())
        }
        _ => None,
    })
}

/// What the client's last attempt before the one that succeeded waited for.
fn attempt_reason(recording: &Recording, step: &Step) -> String {
    let writes = step.phase == Phase::WriterOk;
    let mut last = None;
    let publishers = recording.publishers();
    for record in &recording.records {
        let at = recording.micros(record.time);
        if at >= step.at_us {
            break;
        }
        let attempt = match record.what {
            What::Op(Op::Publish { outcome, took, .. }) if !writes => (outcome, took),
            What::Op(Op::Set { outcome, took, .. }) if writes => (outcome, took),
            _ => continue,
        };
        if recording.written_name(record, &publishers) == step.who {
            last = Some(attempt);
        }
    }
    match last {
        Some((outcome, took)) if !outcome.is_acknowledged() => {
            let seconds = took.as_secs_f64();
            if seconds >= 0.1 {
                format!("next attempt after {} of {seconds:.2} s", outcome.as_str())
            } else {
                format!("next attempt after {}", outcome.as_str())
            }
        }
        _ => "next attempt".into(),
    }
}

/// How the subscriber's last connection ended, and when the one that works was opened.
fn subscriber_reason(recording: &Recording, step: &Step) -> String {
    let mut ended = None;
    let mut opened = None;
    for record in &recording.records {
        let at = recording.micros(record.time);
        if at > step.at_us {
            break;
        }
        if let What::Op(Op::Connect(end)) = record.what
            && recording.names.node(record.node) == step.who
        {
            if end == ConnectEnd::Open {
                opened = Some(at);
            } else {
                ended = Some(end);
            }
        }
    }
    match (ended, opened) {
        (Some(end), Some(at)) => {
            format!("{} ended its connection; back at {:.3} s", end.as_str(), at as f64 / 1e6)
        }
        _ => "first message that reached it".into(),
    }
}
