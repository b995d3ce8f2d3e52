//! What the fault script did to whom and for how long, and since when a run is calm: shared by the properties.

use std::collections::BTreeMap;

use crate::analysis::faults::Window;
use crate::explore::observe::{RedisView, Run, Sample};
use crate::record::{Effect, Event, Fault, InstanceKind, Order, SentinelEvent, SentinelEventKind, What};
use crate::wire::{NodeId, Role};
use crate::world::State;

/// All that disturbed a run, in order of its beginning. A start disturbs too; to heal and to resume only ends something.
pub(super) fn disturbances(run: &Run) -> Vec<&Window> {
    let only_ends = |window: &&Window| matches!(window.effect(), Effect::Heals | Effect::Resumes);
    run.analysis.faults.iter().filter(|window| !only_ends(window)).collect()
}

/// Whether a fault hit a Redis server.
pub(super) fn hits_redis(run: &Run, fault: &Window) -> bool {
    fault.nodes.iter().any(|name| run.recording().names.is_redis(name))
}

/// Whether the disk of a node was full at some time: a Sentinel goes on then, and does not remember after a restart what it
/// voted and learnt (`sentinelFlushConfig`). This is the documented limit of what it promises.
pub(super) fn disk_was_full(run: &Run, node: NodeId) -> bool {
    let name = run.name(node);
    let hits = |window: &Window| matches!(window.fault, Fault::DiskFull { .. }) && window.hits(name);
    run.analysis.faults.iter().any(hits)
}

/// Whether a command that has one of these words was executed, whatever their case.
pub(super) fn was_told(run: &Run, words: &[&str]) -> bool {
    let is_one = |word: &String| words.iter().any(|wanted| wanted.eq_ignore_ascii_case(word));
    run.analysis.faults.iter().any(|window| window.fault.command().iter().any(is_one))
}

/// Whether a server was told FAILOVER. SENTINEL FAILOVER is another command.
pub(super) fn was_told_failover(run: &Run) -> bool {
    let hands_over = |window: &Window| window.fault.command().first().is_some_and(|word| word == "FAILOVER");
    run.analysis.faults.iter().any(hands_over)
}

/// The longest `failover-timeout` of all Sentinels of a run, in microseconds.
pub(super) fn failover_timeout_us(run: &Run) -> i64 {
    let longest = run.case.scenario.sentinel.iter().map(|config| config.failover_timeout).max();
    longest.unwrap_or(0) as i64 * 1_000
}

/// A container that is made anew has another hardware address, and its peers send to the old one for as long as they trust
/// it: up to 1.5 × 30 s (REACHABLE), 5 s (DELAY) and three probes (net/core/neighbour.c).
const STALE_NEIGHBOUR_US: i64 = 55_000_000;

/// Since when nothing disturbs the run any more, if that is so and a majority of the Sentinels lives: the end of the
/// last fault, of the last TILT, and of the time by which a wall clock was set back.
fn calm_since(run: &Run) -> Option<i64> {
    let mut since = 0;
    let all = disturbances(run);
    for disturbance in &all {
        if disturbance.until_us.is_none() && disturbance.effect() != Effect::Kills {
            return None;
        }
        since = since.max(disturbance.until_or(disturbance.from_us));
        // A terminated process may take its time (`shutdown-timeout`).
        if disturbance.fault.order() == Some(Order::Terminate) {
            since = since.max(disturbance.from_us + 10_000_000);
        }
    }
    let removed: Vec<&str> = all
        .iter()
        .filter(|fault| fault.fault.order() == Some(Order::KillHost))
        .flat_map(|fault| &fault.nodes)
        .map(String::as_str)
        .collect();
    for start in all.iter().filter(|fault| fault.effect() == Effect::Starts) {
        if start.nodes.iter().any(|node| removed.contains(&node.as_str())) {
            since = since.max(start.from_us + STALE_NEIGHBOUR_US);
        }
    }
    // Nobody told the peers of a machine that lost its power: a replica that was just shaking hands with it, or loading
    // from it, waits for `repl-timeout` (`replicationCron`).
    let powered_off = |fault: &&&Window| fault.fault.order() == Some(Order::PowerOff) && hits_redis(run, fault);
    let patience = run.case.scenario.redis.iter().map(|config| config.repl_timeout as i64).max().unwrap_or(0);
    for until in all.iter().filter(powered_off).filter_map(|fault| fault.until_us) {
        since = since.max(until + patience * 1_000_000);
    }
    for fault in &all {
        if let Fault::ClockJump { by, .. } = fault.fault {
            since = since.max(fault.from_us + (by.0.unsigned_abs() / 1_000) as i64);
        }
    }
    for record in &run.recording().records {
        if let What::Event(Event::Sentinel(SentinelEvent::Tilt(true))) = record.what {
            let period = run.case.scenario.sentinel.iter().map(|config| config.tilt_period).max().unwrap_or(0);
            since = since.max(run.recording().micros(record.time) + period as i64 * 1_000);
        }
    }
    since = since.max(late_failovers(run, since)).max(answers_as_replica(run, since)).max(refuses_all(run)?);
    run.last().redis.iter().flatten().next()?;
    let sentinels = &run.last().sentinels;
    let alive = sentinels.iter().flatten().count();
    let quorum = run.case.scenario.sentinel.iter().map(|config| config.quorum as usize).max().unwrap_or(0);
    (alive * 2 > sentinels.len() && alive >= quorum).then_some(since)
}

/// The end of the failovers that begin late because one found nobody to promote, if they are later than `since`.
fn late_failovers(run: &Run, mut since: i64) -> i64 {
    // A failover that found nobody to promote is tried again after 2 × failover-timeout (`sentinelStartFailoverIfNeeded`);
    // a replica that it leaves behind is put right a further 8 s and an INFO later (`fix-slave-config`).
    let (mut nobody, mut tried) = (false, None);
    for record in &run.recording().records {
        match record.what {
            What::Event(Event::Sentinel(SentinelEvent::About(SentinelEventKind::AbortNoGoodSlave, _))) => nobody = true,
            What::Event(Event::Sentinel(SentinelEvent::About(SentinelEventKind::TryFailover, _))) if nobody => {
                tried = Some(run.recording().micros(record.time));
            }
            // An attempt that ends as those before it did is no news; one that promotes somebody is.
            What::Event(Event::Sentinel(SentinelEvent::About(SentinelEventKind::PromotedSlave, _))) => {
                since = since.max(tried.take().unwrap_or(since));
            }
            _ => {}
        }
    }
    since
}

/// The last moment at which a server refused PING for its disk or a script; none if it still does so at the end: nothing
/// but a save that succeeds ends the one (`writeCommandsDeniedByDiskError`), and the next save point may be an hour away;
/// and nobody need be able to end the other.
fn refuses_all(run: &Run) -> Option<i64> {
    let refuses =
        |sample: &&Sample| sample.redis.iter().flatten().any(|view| view.refuses_for_disk || view.runs_script);
    let until = run.samples.iter().rev().find(refuses).map_or(0, |sample| sample.at_us);
    (!refuses(&run.last())).then_some(until)
}

/// The last moment at which a Sentinel called down a master that answers as a replica, if it is later than `since`.
fn answers_as_replica(run: &Run, mut since: i64) -> i64 {
    // A master that answers as a replica is down only when that has been so for down-after and two INFO periods: then a
    // failover begins that no fault announced (`sentinelCheckSubjectivelyDown`).
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(SentinelEvent::About(SentinelEventKind::SdownEntered, who))) = &record.what
        else {
            continue;
        };
        let at = run.recording().micros(record.time);
        let is_replica = |sample: &Sample| {
            let place =
                run.layout.redis_at(who.addr).map(|node| run.layout.all_redis().position(|other| other == node));
            let view = place.flatten().and_then(|place| sample.redis[place]);
            view.is_some_and(|view| view.role == Some(Role::Slave) && view.state == State::Running)
        };
        if who.kind == InstanceKind::Master && run.sample_at(at).is_some_and(is_replica) {
            since = since.max(at);
        }
    }
    since
}

/// The quiet time after which all must be well: 2 × failover-timeout + 30 s.
pub(super) fn quiet_us(run: &Run) -> i64 {
    2 * failover_timeout_us(run) + 30_000_000
}

/// Whether sessions of HAProxy are left on servers that are not the master, which HAProxy does not close unless it is
/// told to (`on-marked-down shutdown-sessions`): a client that came back to a demoted server before HAProxy noticed stays
/// there for ever (redis-py#460, haproxy#962). This is the documented limit of what a stack without fencing promises.
pub(super) fn is_pinned(run: &Run) -> bool {
    let last = run.last();
    let master = last.sentinels.iter().flatten().find_map(|view| view.names);
    let fenced = run.case.scenario.haproxy.on_marked_down == crate::haproxy::OnMarkedDown::ShutdownSessions;
    let elsewhere = |view: &crate::explore::observe::HaproxyView| {
        let sessions = view.sessions.iter().enumerate();
        sessions.filter(|(server, _)| Some(*server) != master).any(|(_, sessions)| *sessions > 0)
    };
    !fenced && last.haproxy.as_ref().is_some_and(elsewhere)
}

/// Whether clients that need no HAProxy are left on servers that are not the master: one that asked a Sentinel which had not
/// heard of the failover yet, or that knows one address only, and whose library does not ask for ROLE. PUBLISH succeeds
/// there, and nobody who follows the master hears it.
pub(super) fn is_pinned_by_itself(run: &Run) -> bool {
    let last = run.last();
    let master = last.sentinels.iter().flatten().find_map(|view| view.names);
    let servers = last.redis.iter().enumerate();
    servers.filter(|(place, _)| Some(*place) != master).any(|(_, view)| view.is_some_and(|view| view.clients > 0))
}

/// Whether the Sentinels cannot promote anybody any more: the master that they name is none, and no replica has been
/// linked to it for longer than 10 × down-after beyond the time that it is down, so that none is good enough
/// (`sentinelSelectSlave`). Nothing but an operator ends that (redis#5677). This is the documented limit of what a quorum
/// of Sentinels promises.
pub(super) fn is_stranded(run: &Run) -> bool {
    let records = run.recording().records.iter().rev();
    let last = records.into_iter().find_map(|record| match &record.what {
        What::Event(Event::Sentinel(SentinelEvent::About(kind, _))) => match kind {
            SentinelEventKind::AbortNoGoodSlave => Some(true),
            SentinelEventKind::PromotedSlave => Some(false),
            _ => None,
        },
        _ => None,
    });
    let sample = run.last();
    let alone = |view: &RedisView| view.role == Some(Role::Slave) && !view.link_up;
    last == Some(true) && sample.redis.iter().flatten().all(alone)
}

/// The failovers of a run that took effect: who led it, from the promotion to its end.
fn failovers(run: &Run) -> Vec<(NodeId, i64, i64)> {
    let mut open: BTreeMap<NodeId, i64> = BTreeMap::new();
    let mut done = Vec::new();
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(event)) = &record.what else { continue };
        let at = run.recording().micros(record.time);
        match event {
            SentinelEvent::About(SentinelEventKind::PromotedSlave, _) => {
                open.insert(record.node, at);
            }
            SentinelEvent::About(SentinelEventKind::FailoverEnd, _)
            | SentinelEvent::SwitchMaster(..)
            | SentinelEvent::Id(_) => done.extend(open.remove(&record.node).map(|from| (record.node, from, at))),
            _ => {}
        }
    }
    done.extend(open.into_iter().map(|(node, from)| (node, from, i64::MAX)));
    done
}

/// A failover that a leader has not ended by the time at which it should have given up waiting for replicas: when the
/// replica was promoted, and by whom. As long as the replica that it promoted is down, a leader waits for it, whatever
/// `failover-timeout` says (`sentinelFailoverDetectEnd` returns at once), and fails over to nobody else.
pub(super) fn unended_failover(run: &Run) -> Option<(i64, NodeId)> {
    let patience = failover_timeout_us(run) + 5_000_000;
    let late = |(_, from, to): &(NodeId, i64, i64)| (*to).min(run.analysis.end_us) - from > patience;
    failovers(run).into_iter().find(late).map(|(node, from, _)| (from, node))
}

/// Whether a replica was promoted while another Sentinel was still ending its failover. If that goes back to the master
/// whose address the first leader still holds, the news changes its epoch and not its master
/// (`sentinelProcessHelloMessage` compares addresses), and it disagrees with the others for ever. This is the documented
/// limit of what Sentinels agree on.
fn is_overtaken(run: &Run) -> bool {
    let all = failovers(run);
    let inside = |a: &(NodeId, i64, i64), b: &(NodeId, i64, i64)| a.0 != b.0 && a.1 <= b.1 && b.1 < a.2;
    all.iter().any(|a| all.iter().any(|b| inside(a, b)))
}

/// Whether the faults have been over for long enough at the end of the run.
pub(super) fn is_quiet(run: &Run) -> bool {
    calm_since(run).is_some_and(|since| run.analysis.end_us - since >= quiet_us(run))
}

/// FAILOVER may hand the role to a server that no Sentinel promotes (`replica-priority 0`): they call the master down that
/// they know, because it says that it is a replica, find nobody, and go on so for ever.
fn is_handed_over(run: &Run) -> bool {
    let views = run.last().redis.iter().zip(&run.case.scenario.redis);
    let is_one = |view: &RedisView| view.role == Some(Role::Master);
    was_told_failover(run)
        && views.into_iter().any(|(view, config)| config.replica_priority == 0 && view.as_ref().is_some_and(is_one))
}

/// Whether all must be well by now: the faults have been over for long enough, and no documented limit stands against it.
pub(super) fn must_be_well(run: &Run) -> bool {
    is_quiet(run) && !is_handed_over(run) && !is_stranded(run) && !is_overtaken(run) && unended_failover(run).is_none()
}
