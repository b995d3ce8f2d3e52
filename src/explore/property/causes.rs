//! Always: the ledger says of a lost message what the trace of the run shows, and a lost write has a cause.
//!
//! The ledger concludes from the lines of a recording; an explanation sees what happened. Both ask one function
//! (`analysis::fate`), so that they can only differ in what they take for the facts. What lines cannot tell is left out:
//! a library that keeps a pool says nothing of its connections, a full output buffer is the server's secret, and where
//! several servers are active, nobody says to which of them HAProxy sent a session, nor, without HAProxy, whom the Sentinel
//! named that a client asked; a client that is stopped says nothing,
//! and who connects while a message is on its way may have come before or after it.
//!
//! Source: `analysis::fate`; the traces themselves. One run in four is looked at: it is made again for this.

use super::{Answer, Kind, Property, RECORDING};
use crate::analysis::fate::Cause;
use crate::analysis::faults::Window;
use crate::analysis::ledger::Message;
use crate::analysis::writes::{WriteFate, WriteLoss};
use crate::explain::Traced;
use crate::explore::observe::{Run, SAMPLE};
use crate::record::{Effect, Event, Op, What};
use crate::wire::Role;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const PROPERTY: Property = Property {
    name: "causes-are-seen",
    kind: Kind::Always,
    says: "the ledger gives a lost message the cause that the trace shows, and every lost write one",
    source: "analysis::fate, and the trace",
    needs: RECORDING,
    check,
};

/// One run in so many is traced.
const ONE_IN: u64 = 4;
/// So many lost messages of a run are looked at.
const LOOKED_AT: usize = 24;

fn check(run: &Run) -> Answer {
    let unexplained = |write: &&crate::analysis::writes::Write| write.fate == WriteFate::Lost(WriteLoss::Unexplained);
    if let Some(write) = run.analysis.ledger.sets.iter().find(unexplained) {
        return Answer::found(write.at_us, format!("k:{} of {} is lost for no reason", write.seq, write.client));
    }
    if run.analysis.ledger.writes.lost_by_cause.contains_key(WriteLoss::Unexplained.as_str()) {
        return Answer::at_end(run, "writes are lost for no reason");
    }
    let clients = &run.case.scenario.clients;
    let lost = run.analysis.ledger.messages.iter().any(|message| message.cause.is_some());
    // A program that tries again or works on several connections has more than one trace for a message.
    let repeats = clients.iter().any(|client| client.habits().executions_max() != Some(1));
    if !lost || repeats || !run.case.seed.is_multiple_of(ONE_IN) {
        return Answer::Moot;
    }
    let Ok(traced) = Traced::run(Arc::new(run.case.scenario.clone()), run.case.seed) else { return Answer::Moot };
    if traced.analysis.ledger.messages != run.analysis.ledger.messages {
        // A planted mistake made the run another one.
        return Answer::Moot;
    }
    let known = |message: &&Message| message.cause.is_some() && is_told_where(run, message);
    let lost: Vec<&Message> = run.analysis.ledger.messages.iter().filter(known).collect();
    let step = lost.len().div_ceil(LOOKED_AT).max(1);
    for message in lost.into_iter().step_by(step) {
        if let Some(found) = differs(&traced, message) {
            return Answer::found(message.published_us, found);
        }
    }
    Answer::Holds
}

/// Samples are so far apart.
const SAMPLE_US: i64 = (SAMPLE.0 / 1_000) as i64;
/// Log lines have whole milliseconds.
const LINE_US: i64 = 1_000;
/// Clients begin at most this long before time 0.
const CLIENTS_BEGIN_US: i64 = -20_000_000;

/// Whether at some moment until an instant there was more than one server to which a client without a proxy may have gone:
/// Sentinels name one, and another one acts as master.
fn is_unclear(run: &Run, until_us: i64) -> bool {
    run.samples.iter().take_while(|sample| sample.at_us <= until_us + SAMPLE_US).any(|sample| {
        let named = sample.sentinels.iter().flatten().map(|view| view.names);
        let acting = sample
            .redis
            .iter()
            .enumerate()
            .filter_map(|(place, view)| view.filter(|view| view.role == Some(Role::Master)).map(|_| Some(place)));
        let all: BTreeSet<Option<usize>> = named.chain(acting).collect();
        all.len() > 1
    })
}

/// Whether the lines tell to which servers the connections led that a message took or would have taken.
fn is_told_where(run: &Run, message: &Message) -> bool {
    let upto = message.published_us + message.took_us;
    let routes = &run.analysis.masters.routes;
    let several = routes.iter().any(|r| r.several && r.from_us <= upto && CLIENTS_BEGIN_US <= r.to_us);
    // A client that stands still does not say that its subscription was confirmed.
    let clients = &run.case.scenario.clients;
    let stops = |fault: &&Window| fault.effect() == Effect::Stops && clients.iter().any(|c| fault.hits(&c.name));
    let still = run.analysis.faults.iter().filter(stops).any(|fault| fault.overlaps(message.published_us, upto));
    // When a server executed it is not in the lines: who came or went meanwhile was there, or was not.
    let recording = run.recording();
    let meanwhile = recording.records.iter().any(|record| {
        let reports = matches!(record.what, What::Op(Op::Connect(_)));
        reports
            && (message.published_us..=upto).contains(&recording.micros(record.time))
            && recording.names.node(record.node) != message.client
    });
    // The line of a server that changes its role has its millisecond only.
    let turns = recording.records.iter().any(|record| {
        let turn =
            matches!(&record.what, What::Event(Event::Redis(event)) if event.leads() || event.follows().is_some());
        turn && (message.published_us - LINE_US..=upto + LINE_US).contains(&recording.micros(record.time))
    });
    let direct = run.layout.haproxy().is_none();
    // What ends as the last server goes DOWN was cut, or came or looked for another one at that moment.
    let either = run.analysis.masters.goes_down_at(upto);
    !(several || still || meanwhile || turns || either || direct && is_unclear(run, upto))
}

/// How the ledger's cause of a message differs from what the trace shows, if it does.
fn differs(traced: &Traced, message: &Message) -> Option<String> {
    let (told, seen) = (message.cause?, traced.seen_cause(message)?);
    let hidden = [told, seen].contains(&Cause::OutputBufferKill);
    (told != seen && !hidden).then(|| {
        let who = format!("message {} of {}", message.seq, message.client);
        format!("{who} is lost for {} in the ledger, and for {} in the trace", told.as_str(), seen.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn a_wrong_cause_is_caught() {
        let text = "duration = '15s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";
        let scenario = Arc::new(Scenario::parse("a.toml", text).expect("a right file"));
        let Ok(traced) = Traced::run(scenario, 4) else { panic!("it is short") };
        let lost: Vec<&Message> =
            traced.analysis.ledger.messages.iter().filter(|message| message.cause.is_some()).collect();
        assert!(lost.len() > 50, "{}", lost.len());
        assert!(lost.iter().all(|message| differs(&traced, message).is_none()));
        for message in lost {
            let wrong = if message.cause == Some(Cause::NoMaster) { Cause::PoolTimeout } else { Cause::NoMaster };
            let told = Message { cause: Some(wrong), ..message.clone() };
            assert!(differs(&traced, &told).is_some(), "{told:?}");
        }
    }
}
