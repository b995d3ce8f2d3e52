//! After heal and quiet time: publishers, writers and subscribers work.
//!
//! In the last seconds of the run every live publisher and writer has a success, and every live subscriber receives
//! every message that was acknowledged. A client whose own pace is slower than that is given two turns.
//!
//! Source: the promise of the stack as a whole.

use std::collections::BTreeMap;

use super::disturbances::{disturbances, is_pinned, is_pinned_by_itself, must_be_well, quiet_us, was_told};
use super::{Answer, Kind, Property, RECORDING};
use crate::client::{self, Kind as ClientKind};
use crate::explore::observe::Run;
use crate::kernel::Span;
use crate::record::{Effect, Op, Outcome, What};
use crate::world::Seat;

pub(super) const PROPERTY: Property = Property {
    name: "clients-work",
    kind: Kind::AfterHeal,
    says: "publishers and writers succeed, and subscribers receive what is acknowledged",
    source: "the stack's purpose",
    needs: RECORDING,
    check,
};

/// The time that is looked at, and what is left for messages on their way.
const WINDOW_US: i64 = 6_000_000;
const TAIL_US: i64 = 1_000_000;

fn micros(span: Span) -> i64 {
    (span.0 / 1_000) as i64
}

fn check(run: &Run) -> Answer {
    if !must_be_well(run) || run.last().sentinels.iter().flatten().next().is_none() {
        return Answer::Moot;
    }
    let scenario = &run.case.scenario;
    if scenario.stack.haproxy && run.last().haproxy.is_none() || is_pinned(run) || is_pinned_by_itself(run) {
        return Answer::Moot;
    }
    let replicas = run.last().redis.iter().flatten().count().saturating_sub(1);
    let starved = scenario.redis.iter().any(|config| config.min_replicas_to_write as usize > replicas)
        || was_told(run, &["min-replicas-to-write", "min-replicas-max-lag"]);
    let dead: Vec<&String> = disturbances(run)
        .into_iter()
        .filter(|fault| fault.effect() == Effect::Kills && fault.until_us.is_none())
        .flat_map(|fault| &fault.nodes)
        .collect();
    let gone = |client: &&client::Config| dead.contains(&&client.name);
    let tried = tried(run, starved);
    let mut working =
        scenario.clients.iter().enumerate().filter(|(_, client)| !gone(client) && client.requests.is_none());
    let fruitless =
        working.find_map(|(place, client)| without_success(run, client, starved, tried.get(&place).copied()));
    let listening = || scenario.clients.iter().filter(|client| client.kind == ClientKind::Subscribe && !gone(client));
    match fruitless.or_else(|| listening().find_map(|subscriber| without_messages(run, subscriber))) {
        Some(what) => Answer::at_end(run, what),
        None => Answer::Holds,
    }
}

/// The length of the time in which a client must succeed: two turns of it, if the quiet time has as many.
fn window_us(run: &Run, client: &client::Config) -> Option<i64> {
    let window = WINDOW_US.max(2 * micros(client.every) + TAIL_US);
    (window <= quiet_us(run)).then_some(window)
}

/// Successes, failures and the last failure of each client by its place, in the time that is looked at.
fn tried(run: &Run, starved: bool) -> BTreeMap<usize, (u32, u32, &'static str)> {
    let to = run.analysis.end_us - TAIL_US;
    let mut tried: BTreeMap<usize, (u32, u32, &'static str)> = BTreeMap::new();
    for record in &run.recording().records {
        let at = run.recording().micros(record.time);
        let outcome = match record.what {
            What::Op(Op::Publish { outcome, .. }) => outcome,
            What::Op(Op::Set { outcome, .. }) if !starved => outcome,
            _ => continue,
        };
        let Seat::Client(place) = run.layout.seats[record.node.0 as usize] else { continue };
        let begin =
            window_us(run, &run.case.scenario.clients[place]).map_or(i64::MAX, |window| run.analysis.end_us - window);
        if (begin..to).contains(&at) {
            let (good, bad, last) = tried.entry(place).or_default();
            if outcome.is_acknowledged() {
                *good += 1;
            } else {
                *bad += 1;
                *last = outcome.as_str();
            }
        }
    }
    tried
}

/// What a publisher or writer that should succeed and does not does instead.
fn without_success(
    run: &Run,
    client: &client::Config,
    starved: bool,
    tried: Option<(u32, u32, &'static str)>,
) -> Option<String> {
    let works = match client.kind {
        ClientKind::Publish => true,
        ClientKind::Set => !starved,
        ClientKind::Subscribe | ClientKind::Get => false,
    };
    let window = window_us(run, client).filter(|_| works && client.pause.is_none())?;
    let (good, bad, last) = tried.unwrap_or_default();
    let why = if bad > 0 { format!("{bad} attempts end in {last}") } else { "it does nothing".to_owned() };
    (good == 0).then(|| format!("{} has no success in the last {} s: {why}", client.name, window / 1_000_000))
}

/// What a subscriber misses of the acknowledged messages, if it is more than its library may.
fn without_messages(run: &Run, subscriber: &client::Config) -> Option<String> {
    let (from, to) = (run.analysis.end_us - WINDOW_US, run.analysis.end_us - TAIL_US);
    // go-redis's health check may close a connection that is well (its ping is answered late under a full buffer).
    let heard =
        |message: &crate::analysis::ledger::Message| message.received.iter().any(|(who, _)| *who == subscriber.name);
    let channel =
        |name: &str| run.case.scenario.clients.iter().find(|client| client.name == name).map(|client| &client.channel);
    let meant = run.analysis.ledger.messages.iter().filter(|message| {
        (from..to).contains(&message.published_us)
            && message.outcome == Outcome::Ok
            && channel(&message.client) == Some(&subscriber.channel)
    });
    let (mut missed, mut total) = (0, 0);
    for message in meant {
        total += 1;
        missed += u32::from(!heard(message));
    }
    let tolerated = if subscriber.habits().notices_silence() { 0 } else { total / 2 };
    (missed > tolerated).then(|| {
        format!(
            "{} misses {missed} of {total} acknowledged messages of the last {} s",
            subscriber.name,
            WINDOW_US / 1_000_000
        )
    })
}
