//! What people get wrong about such a stack, found in a run.
//!
//! Each trap is a belief that the run contradicts; a finding says where. They are looked for in the lines of the
//! recording; with the trace, what a replica executed is seen and not concluded.

use std::collections::BTreeMap;

use super::words::{plural, seconds};
use super::{Ask, Step, Subject};
use crate::analysis::ledger::Cause;
use crate::analysis::masters::Route;
use crate::program::Note;
use crate::record::{Event, HaproxyEvent, NodeKind, Op, SentinelEvent, What};
use crate::wire::Role;

/// Shorter disagreements are every failover's.
const WORTH_US: i64 = 1_000_000;

/// A trap that a run shows.
pub(super) struct Finding {
    /// Its name, as in the documentation.
    pub trap: &'static str,
    /// Where and how.
    pub step: Step,
    /// What to ask about it.
    pub ask: Option<Ask>,
}

/// All findings of a run, in the order of the documentation.
pub(super) fn findings(subject: &Subject) -> Vec<Finding> {
    let looks = [haproxy_does_not_ask, original_master_returns, no_session_fencing, success_is_not_success];
    let mut found: Vec<Finding> = looks.iter().filter_map(|look| look(subject)).collect();
    found.extend(publish_is_no_write(subject));
    found.extend(no_read_only_mode(subject));
    found
}

/// The arguments that ask for a message: with its publisher only where there are several.
pub(super) fn message_argument(subject: &Subject, client: &str, seq: u32) -> String {
    let alone = subject.recording().publishers().len() < 2;
    if alone { format!("--message {seq}") } else { format!("--message {client}:{seq}") }
}

/// The master as the majority of the Sentinels names it, from when on.
fn named_masters(subject: &Subject) -> Vec<(i64, String)> {
    let recording = subject.recording();
    let first = recording.header.redis.first().cloned().unwrap_or_default();
    let sentinels = recording.names.of_kind(NodeKind::Sentinel);
    let mut beliefs: BTreeMap<&str, String> = sentinels.map(|(_, name)| (name, first.clone())).collect();
    let mut named = vec![(i64::MIN, first)];
    for record in &recording.records {
        let What::Event(Event::Sentinel(SentinelEvent::SwitchMaster(_, _, new))) = &record.what else { continue };
        let new = recording.names.ip(new.ip);
        beliefs.insert(recording.names.node(record.node), new.to_string());
        let agreeing = beliefs.values().filter(|name| *name == new).count();
        if agreeing * 2 > beliefs.len() && named.last().is_none_or(|(_, name)| name != new) {
            named.push((recording.micros(record.time), new.to_string()));
        }
    }
    named
}

fn named_at(named: &[(i64, String)], at: i64) -> &str {
    named.iter().rev().find(|(since, _)| *since <= at).map_or("", |(_, name)| name)
}

fn setting<'a>(
    subject: &'a Subject,
    step: Step,
    of: impl Fn(&'a crate::scenario::Scenario) -> (&'static str, String),
) -> Step {
    match subject {
        Subject::Traced(run) => {
            let (name, value) = of(&run.scenario);
            step.set(name, value)
        }
        Subject::Lines(_) => step,
    }
}

/// The parts of HAProxy's routes after time 0, cut where the Sentinels change their mind.
fn routes<'a>(subject: &'a Subject, named: &[(i64, String)]) -> Vec<(i64, i64, &'a Route)> {
    let mut parts = Vec::new();
    for route in &subject.analysis().masters.routes {
        let mut from = route.from_us.max(0);
        for (at, _) in named.iter().filter(|(at, _)| route.from_us.max(0) < *at && *at < route.to_us) {
            parts.push((from, *at, route));
            from = *at;
        }
        parts.push((from, route.to_us, route));
    }
    parts.retain(|(from, to, _)| from < to);
    parts
}

fn haproxy_does_not_ask(subject: &Subject) -> Option<Finding> {
    let named = named_masters(subject);
    let disagree = |(from, _, route): &(i64, i64, &Route)| {
        route.running && route.server.as_deref() != Some(named_at(&named, *from))
    };
    let (from, to, route) =
        routes(subject, &named).into_iter().filter(disagree).max_by_key(|(from, to, _)| (to - from, -from))?;
    if to - from < WORTH_US {
        return None;
    }
    let sends =
        route.server.as_deref().map_or("has no server".to_string(), |server| format!("sends new sessions to {server}"));
    let text = format!(
        "{sends} until {}, while the Sentinels name {}: two failure detectors that do not know of each other",
        seconds(to),
        named_at(&named, from)
    );
    let step = Step::new(from, "haproxy", text)
        .rule("HAProxy's check asks each server for role:master; it never asks a Sentinel");
    let step = setting(subject, step, |s| ("haproxy.inter", s.haproxy.inter.to_string()));
    Some(Finding { trap: "haproxy-does-not-ask-sentinel", step, ask: None })
}

fn original_master_returns(subject: &Subject) -> Option<Finding> {
    let recording = subject.recording();
    let named = named_masters(subject);
    let mut back: Option<(i64, &str)> = None;
    let mut demoted = None;
    for record in &recording.records {
        let at = recording.micros(record.time);
        match &record.what {
            What::Event(Event::Haproxy(HaproxyEvent::Server { server, backup: false, up: true, .. })) if at >= 0 => {
                let name = recording.names.host(*server);
                if back.is_none() && name != named_at(&named, at) && named.len() > 1 {
                    back = Some((at, name));
                }
            }
            What::Event(Event::Redis(event)) if event.follows().is_some() => {
                if let Some((since, name)) = back
                    && demoted.is_none()
                    && at > since
                    && recording.names.node(record.node) == name
                {
                    demoted = Some(at);
                }
            }
            _ => {}
        }
    }
    let (at, name) = back?;
    let until = demoted.map_or("and nobody demotes it before the end".into(), |until| {
        format!("until a Sentinel demotes it at {}", seconds(until))
    });
    let text = format!(
        "{name} is back, says role:master and is UP: as an active server it gets all new sessions from the backups, {until}, \
         while the Sentinels name {}",
        named_at(&named, at)
    );
    let step = Step::new(at, "haproxy", text).rule(
        "backups are used only while no active server is UP; a master that came back is demoted about 10 s later",
    );
    let step = setting(subject, step, |s| ("haproxy.backup", s.haproxy.backup.to_string()));
    let step = setting(subject, step, |s| ("haproxy.rise", s.haproxy.rise.to_string()));
    Some(Finding { trap: "original-master-returns", step, ask: None })
}

fn no_session_fencing(subject: &Subject) -> Option<Finding> {
    let recording = subject.recording();
    let (at, server, sessions) = recording.records.iter().find_map(|record| match &record.what {
        What::Event(Event::Haproxy(HaproxyEvent::Server { server, up: false, sessions, .. }))
            if *sessions > 0 && recording.micros(record.time) >= 0 =>
        {
            Some((recording.micros(record.time), recording.names.host(*server), *sessions))
        }
        _ => None,
    })?;
    if let Subject::Traced(run) = subject
        && super::trail::on_marked_down(run) != "none"
    {
        return None;
    }
    let text = format!(
        "marks {server} DOWN and leaves {} on it untouched: DOWN counts for new sessions only",
        plural(u64::from(sessions), "session")
    );
    let step = Step::new(at, "haproxy", text)
        .rule("a session ends when one of its sides ends it, when it is idle for too long, or by on-marked-down");
    let step = setting(subject, step, |s| match s.haproxy.on_marked_down {
        crate::haproxy::OnMarkedDown::None => ("haproxy.on-marked-down", "none".into()),
        crate::haproxy::OnMarkedDown::ShutdownSessions => ("haproxy.on-marked-down", "shutdown-sessions".into()),
    });
    Some(Finding { trap: "no-session-fencing", step, ask: None })
}

fn success_is_not_success(subject: &Subject) -> Option<Finding> {
    let recording = subject.recording();
    let publishers = recording.publishers();
    let mut failed = recording.records.iter().filter_map(|record| match record.what {
        What::Op(Op::Set { seq, outcome, .. }) if publishers.contains(&record.node) && !outcome.is_acknowledged() => {
            Some((recording.micros(record.time), record, seq, outcome))
        }
        _ => None,
    });
    let (at, record, seq, outcome) = failed.by_ref().find(|(at, ..)| *at >= 0)?;
    let times = 1 + failed.count() as u64;
    let name = recording.names.node(record.node);
    let text = format!(
        "its PUBLISH of message {seq} succeeded and the SET of k:{seq} after it ended with {} ({} in this run): a \
         program that looks at the first alone reports success",
        outcome.as_str(),
        plural(times, "time")
    );
    let step = Step::new(at, name, text)
        .rule("each command has an answer of its own; a replica takes PUBLISH and refuses SET")
        .event(record.during);
    let ask = Some(Ask { arguments: message_argument(subject, name, seq), why: "what became of that message".into() });
    Some(Finding { trap: "http-200-is-not-success", step, ask })
}

fn publish_is_no_write(subject: &Subject) -> Option<Finding> {
    let rule = "a replica executes PUBLISH for its own subscribers; nothing flows to its master, and neither \
                replica-read-only nor min-replicas-to-write stops it";
    match subject {
        Subject::Traced(run) => {
            let mut taken = run.result.notes.iter().filter_map(|noted| match noted.note {
                Note::Published { publisher: Some(publisher), seq, role: Role::Slave, receivers, .. }
                    if run.micros(noted.time) >= 0 =>
                {
                    Some((noted, publisher, seq, receivers))
                }
                _ => None,
            });
            let (noted, publisher, seq, receivers) = taken.next()?;
            let times = 1 + taken.count() as u64;
            let node = run.layout.names.node(noted.node);
            let who = run.scenario.clients.get(usize::from(publisher)).map_or("publisher", |client| &client.name);
            let text = format!(
                "takes message {seq} of {who} as a replica and tells {} of its own ({} in this run)",
                plural(u64::from(receivers), "subscriber"),
                plural(times, "time")
            );
            let step = Step::new(run.micros(noted.time), node, text).rule(rule).event(noted.during);
            let ask = Some(Ask {
                arguments: message_argument(subject, who, seq),
                why: "who heard it, and who did not".into(),
            });
            Some(Finding { trap: "publish-is-no-write", step, ask })
        }
        Subject::Lines(run) => {
            let lost = run.1.ledger.messages.iter().find(|entry| entry.cause == Some(Cause::AcceptedByReplica))?;
            let text = format!("message {} succeeded, it seems on a replica, and nobody heard it", lost.seq);
            let ask = Some(Ask { arguments: message_argument(subject, &lost.client, lost.seq), why: "its way".into() });
            let step = Step::new(lost.published_us, &lost.client, text).rule(rule);
            Some(Finding { trap: "publish-is-no-write", step, ask })
        }
    }
}

fn no_read_only_mode(subject: &Subject) -> Option<Finding> {
    let without = |route: &&Route| route.running && route.server.is_none() && route.to_us > 0;
    let route =
        subject.analysis().masters.routes.iter().filter(without).max_by_key(|route| route.to_us - route.from_us)?;
    let from = route.from_us.max(0);
    if route.to_us - from < WORTH_US {
        return None;
    }
    let masters = &subject.analysis().masters;
    let acting = masters.lanes.iter().any(|lane| lane.from_us < route.to_us && from < lane.to_us - WORTH_US);
    let why = if acting { "no node that it reaches" } else { "no node" };
    let text = format!(
        "has no server until {}: {why} says role:master, and every new connection is closed; there is no read-only mode \
         in which the replicas serve",
        seconds(route.to_us)
    );
    let step = Step::new(from, "haproxy", text)
        .rule("a replica never says role:master, so that it is DOWN for HAProxy however healthy it is");
    let ask = Ask {
        arguments: format!("--between {}s {}s", from / 1_000_000, route.to_us / 1_000_000 + 1),
        why: "why no replica was promoted meanwhile".into(),
    };
    Some(Finding { trap: "no-read-only-mode", step, ask: Some(ask) })
}
