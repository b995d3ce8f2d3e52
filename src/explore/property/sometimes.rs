//! Sometimes: what a campaign must meet now and then. One that never does says nothing about what follows from it.
//!
//! Sources: the questions that users ask (split votes, aborted failovers, lost writes, two masters, TILT, full
//! synchronisations), each by the log line that real programs print.

use super::{Answer, Kind, Property, RECORDING, disturbances};
use crate::explore::observe::{Run, Sample};
use crate::record::{Event, Op, Outcome, RedisEvent, SentinelEvent, SentinelEventKind, What};
use crate::wire::Role;
use crate::world::State;

const fn sometimes(
    name: &'static str,
    says: &'static str,
    source: &'static str,
    check: fn(&Run) -> Answer,
) -> Property {
    Property { name, kind: Kind::Sometimes, says, source, needs: RECORDING, check }
}

/// The first record from time 0 on that `is` what is looked for.
fn first(run: &Run, is: impl Fn(&What) -> bool) -> Answer {
    let recording = run.recording();
    let found = recording.records.iter().find(|record| recording.micros(record.time) >= 0 && is(&record.what));
    found.map_or(Answer::Holds, |record| {
        let text = match &record.what {
            What::Event(event) => event.text(&recording.names),
            What::Op(Op::Set { seq, outcome, .. }) => format!("SET k:{seq} is answered {}", outcome.as_str()),
            What::Op(op) => format!("{op:?}"),
        };
        Answer::found(recording.micros(record.time), format!("{}: {text}", run.name(record.node)))
    })
}

fn sentinel(run: &Run, kind: SentinelEventKind) -> Answer {
    first(run, |what| matches!(what, What::Event(Event::Sentinel(SentinelEvent::About(found, _))) if *found == kind))
}

pub(super) const SPLIT_VOTE: Property = sometimes(
    "split-vote",
    "no candidate gets a majority, and the election is given up",
    "-failover-abort-not-elected; redis#4334, redis#12865",
    |run| sentinel(run, SentinelEventKind::AbortNotElected),
);

pub(super) const ABORTED_FAILOVER: Property = sometimes(
    "aborted-failover",
    "an elected leader gives up: no good replica, or the chosen one does not answer",
    "-failover-abort-no-good-slave, -failover-abort-slave-timeout; redis#5677",
    |run| {
        let kinds = [SentinelEventKind::AbortNoGoodSlave, SentinelEventKind::AbortSlaveTimeout];
        let is = |what: &What| matches!(what, What::Event(Event::Sentinel(SentinelEvent::About(found, _))) if kinds.contains(found));
        first(run, is)
    },
);

pub(super) const COMPLETED_FAILOVER: Property =
    sometimes("completed-failover", "a failover comes to its end", "+failover-end", |run| {
        sentinel(run, SentinelEventKind::FailoverEnd)
    });

pub(super) const SECOND_FAILOVER: Property =
    sometimes("second-failover", "a run has two failovers that take effect", "+promoted-slave", |run| {
        match run.analysis.completed().nth(1) {
            Some(failover) => Answer::found(failover.started_us(), format!("{} leads a second one", failover.leader)),
            None => Answer::Holds,
        }
    });

pub(super) const LOST_WRITE: Property = sometimes(
    "lost-acknowledged-write",
    "an acknowledged write is not in the final master's data",
    "redis.io: Sentinel does not guarantee that acknowledged writes are retained; aphyr.com, Jepsen: Redis",
    |run| match run.result.lost_writes.first() {
        Some((node, seq)) => {
            let count = run.result.lost_writes.len();
            Answer::at_end(run, format!("{count} writes, the first of them k:{seq} of {}", run.name(*node)))
        }
        None => Answer::Holds,
    },
);

pub(super) const LOST_MESSAGE: Property = sometimes(
    "message-lost-silently",
    "a PUBLISH succeeds and nobody receives the message",
    "redis#2942, redis#8711: PUBLISH on a replica succeeds and nobody hears it",
    |run| {
        use crate::analysis::ledger::Fate;
        let lost = run.analysis.ledger.messages.iter().find(|message| message.fate == Fate::LostSilently);
        lost.map_or(Answer::Holds, |message| {
            let why = message.cause.map_or("", crate::analysis::ledger::Cause::as_str);
            Answer::found(message.published_us, format!("message {} of {}: {why}", message.seq, message.client))
        })
    },
);

/// Whether a client of HAProxy is served by a master at this moment that most Sentinels do not name, while theirs serves.
fn serves_the_wrong_one(sample: &Sample) -> bool {
    let is_master = |place: usize| {
        let view = sample.redis.get(place).and_then(Option::as_ref);
        view.is_some_and(|view| view.role == Some(Role::Master) && view.state == State::Running)
    };
    let named: Vec<usize> = sample.sentinels.iter().flatten().filter_map(|view| view.names).collect();
    let most = |place: &usize| named.iter().filter(|other| *other == place).count() * 2 > sample.sentinels.len();
    let Some(right) = named.iter().copied().find(most).filter(|place| is_master(*place)) else { return false };
    let Some(proxy) = sample.haproxy.as_ref().filter(|proxy| proxy.state == State::Running) else { return false };
    let sessions = proxy.sessions.iter().enumerate();
    sessions.filter(|(place, _)| *place != right && is_master(*place)).any(|(_, sessions)| *sessions > 0)
}

pub(super) const TWO_MASTERS: Property = sometimes(
    "two-masters",
    "two servers are masters for more than a second, and clients are acknowledged by the one that is not named",
    "redis#1813, redis#13424: 10 to 15 s with two masters",
    |run| {
        let recording = run.recording();
        let acknowledged = |from_us: i64, to_us: i64| {
            let ok = |what: &What| {
                matches!(
                    what,
                    What::Op(
                        Op::Set { outcome: Outcome::Ok | Outcome::Unreplicated, .. }
                            | Op::Publish { outcome: Outcome::Ok, .. }
                    )
                )
            };
            recording
                .records
                .iter()
                .any(|record| (from_us..to_us).contains(&recording.micros(record.time)) && ok(&record.what))
        };
        let seen = |window: &&crate::analysis::masters::TwoMasters| {
            let inside = |sample: &&Sample| (window.from_us..window.to_us).contains(&sample.at_us);
            let mut wrong = run.samples.iter().filter(inside).filter(|sample| serves_the_wrong_one(sample));
            let Some(first) = wrong.next() else { return false };
            let last = wrong.next_back().unwrap_or(first);
            window.to_us - window.from_us > 1_000_000 && acknowledged(first.at_us, last.at_us)
        };
        run.analysis.masters.two.iter().find(seen).map_or(Answer::Holds, |window| {
            let long = (window.to_us - window.from_us) as f64 / 1e6;
            Answer::found(window.from_us, format!("{} for {long:.1} s", window.nodes.join(" and ")))
        })
    },
);

pub(super) const TILT: Property =
    sometimes("tilt", "a Sentinel finds its clock odd and stops to act", "+tilt; redis#10547, redis#13185", |run| {
        first(run, |what| matches!(what, What::Event(Event::Sentinel(SentinelEvent::Tilt(true)))))
    });

pub(super) const PARTIAL_ACCEPTED: Property = sometimes(
    "partial-resync-accepted",
    "a replica that was cut off catches up from the backlog",
    "Partial resynchronization request accepted (replication.c)",
    |run| first(run, |what| matches!(what, What::Event(Event::Redis(RedisEvent::PartialAccepted(..))))),
);

pub(super) const PARTIAL_REFUSED: Property = sometimes(
    "partial-resync-refused",
    "a replica asks for what its new master cannot give: a full synchronisation follows",
    "Partial resynchronization not accepted, Unable to partial resync (replication.c); redis#13483",
    |run| {
        first(run, |what| {
            let What::Event(Event::Redis(event)) = what else { return false };
            matches!(
                event,
                RedisEvent::PartialRefusedId(..)
                    | RedisEvent::PartialRefusedOffset(..)
                    | RedisEvent::PartialRefusedBacklog(..)
            )
        })
    },
);

pub(super) const NO_SERVER: Property =
    sometimes("no-server", "HAProxy runs and has no server", "backend redis_backend has no server available!", |run| {
        first(run, |what| matches!(what, What::Event(Event::Haproxy(crate::record::HaproxyEvent::NoServer))))
    });

fn outcome(run: &Run, wanted: Outcome) -> Answer {
    first(run, |what| matches!(what, What::Op(Op::Set { outcome, .. }) if *outcome == wanted))
}

pub(super) const NO_REPLICAS: Property = sometimes(
    "write-refused-noreplicas",
    "a master with too few good replicas refuses a write",
    "-NOREPLICAS; redis#13483",
    |run| outcome(run, Outcome::NoReplicas),
);

pub(super) const READONLY: Property = sometimes(
    "write-refused-readonly",
    "a client writes to a server that has become a replica",
    "-READONLY; redis-py#460, jedis#1194",
    |run| outcome(run, Outcome::Readonly),
);

pub(super) const CONVERTED: Property =
    sometimes("convert-to-slave", "a Sentinel demotes a master that came back", "+convert-to-slave", |run| {
        sentinel(run, SentinelEventKind::ConvertToSlave)
    });

pub(super) const REBOOT: Property =
    sometimes("reboot", "a Sentinel sees that a server was started again", "+reboot", |run| {
        sentinel(run, SentinelEventKind::Reboot)
    });

pub(super) const DELIVERED_TWICE: Property = sometimes(
    "failed-but-delivered",
    "a publisher is told that it failed, and a subscriber has the message all the same",
    "redis.io: a lost reply says nothing about the command",
    |run| match run.analysis.ledger.sums.failed_but_delivered {
        0 => Answer::Holds,
        count => Answer::at_end(run, format!("{count} messages")),
    },
);

pub(super) const PINNED: Property = sometimes(
    "pinned-to-a-replica",
    "long after the last heal HAProxy still holds sessions on a server that is not the master",
    "haproxy#962, redis-py#460: sessions stay without on-marked-down shutdown-sessions",
    |run| match disturbances::is_quiet(run) && disturbances::is_pinned(run) {
        true => Answer::at_end(run, "clients that came back before HAProxy noticed stay on the demoted server"),
        false => Answer::Holds,
    },
);

const fn rarely(name: &'static str, says: &'static str, source: &'static str, check: fn(&Run) -> Answer) -> Property {
    Property { name, kind: Kind::Rarely, says, source, needs: RECORDING, check }
}

pub(super) const STRANDED: Property = rarely(
    "nobody-to-promote",
    "long after the last heal there is no master, and no replica is good enough to become one: an operator is needed",
    "-failover-abort-no-good-slave; sentinelSelectSlave: link down for more than 10 × down-after (sentinel.c); redis#5677",
    |run| match disturbances::is_quiet(run) && disturbances::is_stranded(run) {
        true => Answer::at_end(run, "every attempt ends in -failover-abort-no-good-slave"),
        false => Answer::Holds,
    },
);

pub(super) const UNENDED: Property = rarely(
    "failover-without-end",
    "a leader waits beyond failover-timeout, because the replica that it promoted is down",
    "sentinelFailoverDetectEnd: returns while the promoted replica is SRI_S_DOWN (sentinel.c)",
    |run| match disturbances::unended_failover(run) {
        Some((at, node)) => {
            Answer::found(at, format!("{} has promoted a replica, and does not end it", run.name(node)))
        }
        None => Answer::Holds,
    },
);

pub(super) const DISAGREEMENT: Property = rarely(
    "sentinels-disagree",
    "long after the last heal two Sentinels name different masters in the same configuration epoch",
    "sentinelProcessHelloMessage: a newer epoch with the address that is held changes the epoch only (sentinel.c)",
    |run| {
        let last = run.last();
        let views: Vec<_> = last.sentinels.iter().flatten().collect();
        let pairs = views.iter().flat_map(|a| views.iter().map(move |b| (a, b)));
        let odd = pairs.into_iter().find(|(a, b)| a.config_epoch == b.config_epoch && a.names != b.names);
        let name = |place: Option<usize>| place.map_or("nobody", |place| run.redis_name(place)).to_owned();
        match odd {
            Some((a, b)) if disturbances::is_quiet(run) => {
                let what = format!("{} and {} are named in epoch {}", name(a.names), name(b.names), a.config_epoch);
                Answer::at_end(run, what)
            }
            _ => Answer::Holds,
        }
    },
);
