//! Which timer or setting decided when a step of a failover was reached.
//!
//! A recording shows what happened and when; the rules are Sentinel's, HAProxy's and the clients' (`sentinel.c` of Redis
//! 7.0.15, `check.c` of HAProxy 2.6, the clients' own code). Values of settings are named where the scenario is known;
//! otherwise only the settings are.

use std::collections::BTreeMap;

use super::boots::Boots;
use super::faults::{Window, windows};
use super::phases::{Failover, Phase, Step};
use crate::record::{ConnectEnd, Effect, Event, HaproxyEvent, Op, Recording, RedisEvent, SentinelEvent, What};
use crate::wire::Role;

/// Shorter than this, Sentinel did it in the same tick (at most 100 ms, `sentinelTimer`).
const TICK_US: i64 = 110_000;
/// Waits above this before an attempt are not the usual delay of at most 1 s.
const PATIENCE_US: i64 = 1_500_000;

/// A Sentinel asks a master for INFO every 10 s; one that says role:slave is down after two such periods and down-after
/// (`sentinelCheckSubjectivelyDown`).
const TWO_INFO_PERIODS_US: i64 = 20_000_000;

/// The settings of one Sentinel that decide. Times in milliseconds; none where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// `down-after-milliseconds`
    pub down_after_ms: Option<u64>,
    /// `failover-timeout`
    pub failover_timeout_ms: Option<u64>,
    /// The quorum.
    pub quorum: Option<u64>,
    /// `parallel-syncs`
    pub parallel_syncs: Option<u64>,
}

impl Watch {
    /// A value that SENTINEL SET changes; none of a setting that decides nothing here.
    fn named(&mut self, option: &str) -> Option<&mut Option<u64>> {
        Some(match option.to_ascii_lowercase().as_str() {
            "down-after-milliseconds" => &mut self.down_after_ms,
            "failover-timeout" => &mut self.failover_timeout_ms,
            "quorum" => &mut self.quorum,
            "parallel-syncs" => &mut self.parallel_syncs,
            _ => return None,
        })
    }
}

/// The settings of HAProxy that decide. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// `inter`
    pub inter_ms: u64,
    /// `fastinter`, for a server that is about to change its state.
    pub fastinter_ms: Option<u64>,
    /// `downinter`, for a server that is DOWN.
    pub downinter_ms: Option<u64>,
    /// `fall`
    pub fall: u32,
    /// `rise`
    pub rise: u32,
}

/// The settings that decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What each Sentinel was started with, by its name.
    pub sentinels: BTreeMap<String, Watch>,
    /// HAProxy's.
    pub proxy: Option<Checks>,
}

impl Settings {
    /// What a Sentinel goes by at an instant: what it was started with, and what SENTINEL SET made of it since.
    pub fn watch(&self, recording: &Recording, sentinel: &str, at_us: i64) -> Watch {
        let mut watch = self.sentinels.get(sentinel).copied().unwrap_or_default();
        for record in &recording.records {
            if let What::Event(Event::Sentinel(SentinelEvent::Set(_, what))) = &record.what
                && recording.micros(record.time) <= at_us
                && recording.names.node(record.node) == sentinel
                && let Some((option, value)) = what.split_once(' ')
                && let Some(known) = watch.named(option)
            {
                *known = value.parse().ok();
            }
        }
        watch
    }
}

/// What log lines say of roles, in order of time.
struct Turns<'a> {
    recording: &'a Recording,
    /// Since when which Redis server follows another one, or does so no more.
    roles: Vec<(i64, &'a str, bool)>,
}

impl<'a> Turns<'a> {
    fn of(recording: &'a Recording) -> Turns<'a> {
        let boots = Boots::of(recording);
        let mut turns = Turns { recording, roles: Vec::new() };
        for record in &recording.records {
            let (at_us, name) = (recording.micros(record.time), recording.names.node(record.node));
            match &record.what {
                What::Event(Event::Redis(RedisEvent::Ready)) => {
                    turns.roles.push((at_us, name, boots.at(record.node, at_us) == Role::Slave));
                }
                What::Event(Event::Redis(event)) if event.leads() => turns.roles.push((at_us, name, false)),
                What::Event(Event::Redis(event)) if event.follows().is_some() => turns.roles.push((at_us, name, true)),
                _ => {}
            }
        }
        turns
    }

    /// Whether a Sentinel held a master to be down at an instant because that says `role:slave`: it had followed another
    /// one for longer than down-after and two INFO periods, and nothing kept it from answering PING.
    fn says_slave(&self, master: &str, at_us: i64, watch: Watch) -> bool {
        let mut follows_since_us = None;
        for (turn_us, _, follows) in self.roles.iter().filter(|(turn_us, name, _)| *turn_us <= at_us && *name == master)
        {
            follows_since_us = follows.then(|| follows_since_us.unwrap_or(*turn_us));
        }
        let longer_than_us = TWO_INFO_PERIODS_US + watch.down_after_ms.unwrap_or(0) as i64 * 1_000;
        let silences = |window: &Window| {
            let kind = matches!(window.effect(), Effect::Kills | Effect::Stops | Effect::Cuts);
            kind && window.hits(master) && window.overlaps(at_us, at_us)
        };
        follows_since_us.is_some_and(|since_us| at_us - since_us > longer_than_us)
            && !windows(self.recording).iter().any(silences)
    }
}

/// Whether the master of a failover was held to be down because it said `role:slave`, as far as lines tell.
pub(crate) fn says_slave(recording: &Recording, master: &str, at_us: i64) -> bool {
    Turns::of(recording).says_slave(master, at_us, Watch::default())
}

/// A setting with its value, if that is known.
fn named<T: ToString>(name: &str, value: Option<T>, unit: &str) -> String {
    value.map_or_else(|| name.to_string(), |value| format!("{name} {}{unit}", value.to_string()))
}

/// So many checks in a row: the first after its time, the others at the pace of a server that is about to change its state.
fn times(
    name: &str,
    checks: Option<Checks>,
    count: fn(Checks) -> u32,
    first: fn(Checks) -> (&'static str, u64),
) -> String {
    let Some(checks) = checks else { return format!("{name} × inter") };
    let (count, (first, first_ms)) = (count(checks), first(checks));
    let (then, then_ms) = match checks.fastinter_ms {
        Some(fast_ms) => ("fastinter", fast_ms),
        None => ("inter", checks.inter_ms),
    };
    if first == then || count == 1 {
        return format!("{name} {count} × {first} {first_ms} ms");
    }
    format!("{name} {count}: {first} {first_ms} ms, then {then} {then_ms} ms")
}

/// Says of every step of every attempt what decided it.
pub(super) fn decide(attempts: &mut [Failover], recording: &Recording, settings: &Settings) {
    if attempts.is_empty() {
        return;
    }
    let turns = Turns::of(recording);
    for attempt in attempts {
        let leader = attempt.leader.clone();
        let old = attempt.old_master.clone();
        let new = attempt.new_master.clone().unwrap_or_default();
        let requested = attempt.requested;
        for step in &mut attempt.steps {
            step.decided_by = reason(step, &turns, settings, requested, &leader, &old, &new);
        }
    }
}

fn reason(
    step: &Step,
    turns: &Turns<'_>,
    settings: &Settings,
    requested: bool,
    leader: &str,
    old: &str,
    new: &str,
) -> String {
    let recording = turns.recording;
    let took = step.took_us.unwrap_or(0);
    let watch = |sentinel: &str| settings.watch(recording, sentinel, step.at_us);
    let timeout = || named("failover-timeout", watch(leader).failover_timeout_ms, "");
    match step.phase {
        Phase::Fault => String::new(),
        Phase::Detected => {
            let watch = watch(&step.who);
            let down_after = named("down-after-milliseconds", watch.down_after_ms, "");
            match turns.says_slave(old, step.at_us, watch) {
                true => format!("role:slave for {down_after} + 2 × INFO every 10 s"),
                false => format!("{down_after}, PING every 1 s"),
            }
        }
        Phase::Agreed => format!("{}; the others are asked every 1 s", named("quorum", watch(&step.who).quorum, "")),
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
            format!("{}: the leader waits for the replicas", named("parallel-syncs", watch(leader).parallel_syncs, ""))
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
            let rule = times("fall", settings.proxy, |checks| checks.fall, |checks| ("inter", checks.inter_ms));
            server_reason(recording, step.at_us, old, false).map_or(rule.clone(), |why| format!("{rule}; {why}"))
        }
        Phase::ProxySwitched => match server_reason(recording, step.at_us, new, true) {
            Some(_) => times(
                "rise",
                settings.proxy,
                |checks| checks.rise,
                |checks| match checks.downinter_ms {
                    Some(down_ms) => ("downinter", down_ms),
                    None => ("inter", checks.inter_ms),
                },
            ),
            None => "the old master DOWN, and this one was UP".into(),
        },
        Phase::PublisherOk | Phase::WriterOk => attempt_reason(recording, step) + unswitched(step),
        Phase::SubscriberOk => subscriber_reason(recording, step) + unswitched(step),
    }
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
