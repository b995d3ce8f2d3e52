//! Why a message was lost as the trace of a run shows it: what the ledger concludes from lines is held against this.

use super::message::Followed;
use super::run::Traced;
use super::trail::Trail;
use crate::analysis::fate::{Cause, Ending, Failure, Fate, Listener, Unheard};
use crate::analysis::ledger::Message;
use crate::program::{Note, SessionEnd};
use crate::record::{Op, Outcome, What};
use crate::wire::Role;

/// The cause of a lost message; none if it was not lost, or if the trace does not show it.
pub(super) fn cause(run: &Traced, entry: &Message) -> Option<Cause> {
    match entry.fate {
        Fate::Failed => failure(run, entry),
        Fate::LostSilently => unheard(run, entry),
        Fate::Delivered | Fate::FailedButDelivered | Fate::Undecided => None,
    }
}

fn failure(run: &Traced, entry: &Message) -> Option<Cause> {
    let trail = trail(run, entry);
    let What::Op(Op::Publish { outcome, .. }) = trail.record.what else { return None };
    let sends = trail.sends(|node| node == trail.node);
    let opened = run.story.opened_by(trail.node, trail.answered);
    let sock = sends.last().map(|(_, sock, _)| *sock).or(opened.last().map(|(sock, _)| *sock));
    let session = sock.and_then(|sock| run.story.session_of(sock));
    let ended = session.and_then(|session| session.ended).filter(|(at, ..)| *at <= trail.answered);
    // Where HAProxy stood is known from lines alone, so it is asked for the moments that stand in lines: written times are
    // rounded, and an attempt may begin on the other side of an order than it is written.
    let routes = [entry.published_us, entry.published_us + entry.took_us].map(|at| run.analysis.masters.route(at));
    let failure = Failure {
        outcome,
        proxy_down: routes.iter().flatten().any(|route| !route.running),
        no_server: session.is_some_and(|session| session.no_server.is_some())
            || matches!(ended, Some((.., SessionEnd::NowhereToGo))),
        ended: match ended {
            Some((.., SessionEnd::Idle)) if outcome == Outcome::ReplyClosed => Ending::Idle,
            _ => Ending::Explained,
        },
    };
    Some(failure.cause())
}

fn unheard(run: &Traced, entry: &Message) -> Option<Cause> {
    let followed = Followed::new(run, entry);
    let trail = trail(run, entry);
    let node = trail.node;
    let is_it = |note: &Note| {
        matches!(note, Note::Published { publisher: Some(publisher), seq, .. }
            if trail.parcel == super::trail::Parcel::Message(*publisher, *seq))
    };
    // The last time that it was executed is the one that was answered.
    let noted = run.result.notes.iter().rev().find(|noted| noted.time <= trail.answered && is_it(&noted.note))?;
    let Note::Published { role, receivers, .. } = noted.note else { return None };
    let host = run.layout.host(noted.node);
    let channel = |name: &str| run.scenario.clients.iter().find(|client| client.name == name);
    let mine = &channel(run.layout.names.node(node))?.channel;
    let mut listeners = Vec::new();
    for (place, client) in run.scenario.clients.iter().enumerate() {
        if client.kind != crate::client::Kind::Subscribe || client.channel != *mine {
            continue;
        }
        let subscriber = run.layout.all_clients().nth(place)?;
        let place = followed.whereabouts(subscriber, noted.time);
        listeners.push(match place.server {
            Some(server) if place.subscribed && server != host => Listener::Elsewhere,
            Some(_) if place.subscribed => Listener::Connected,
            _ => match run.story.opened_by(subscriber, noted.time).iter().rev().find_map(|(sock, endpoint)| {
                let session = run.story.session_of(*sock)?;
                let (at, _, why) = session.ended.filter(|(at, ..)| *at <= noted.time)?;
                // Who has given a connection up does not lose it by what HAProxy does later.
                Some(endpoint.ended.is_none_or(|(own, ..)| at <= own).then_some(why))
            }) {
                Some(Some(SessionEnd::Idle)) => Listener::Between(Ending::Idle),
                _ => Listener::Between(Ending::Explained),
            },
        });
    }
    let told = receivers > 0;
    Some(Unheard { told, dropped_from_buffer: false, by_replica: role == Role::Slave, listeners }.cause())
}

fn trail<'a>(run: &'a Traced, entry: &'a Message) -> Trail<'a> {
    let fits = |op: &Op| matches!(op, Op::Publish { seq, .. } if *seq == entry.seq);
    Trail::new(run, &entry.client, entry.published_us, fits)
}
