//! What became of a message: from the publisher through HAProxy to a server, and from there to each subscriber.

use std::collections::BTreeSet;

use super::run::Traced;
use super::story::EndOf;
use super::trail::{Arrival, Carried, Parcel, Trail};
use super::words;
use super::{Ask, Explanation, NoAnswer, Step, Subject};
use crate::analysis::faults::Window;
use crate::analysis::ledger::{Fate, Message as Entry};
use crate::client::Kind;
use crate::kernel::{EventId, Time};
use crate::net::Obstacle;
use crate::program::{Input, Note, Sock};
use crate::record::{Effect, Op, Outcome};
use crate::report::causes::words as cause_words;
use crate::wire::{Command, HostId, Message, NodeId, Reply, Role};
use crate::world::{Pass, Seat};

/// Answers what became of a message.
pub(super) fn message(subject: &Subject, client: Option<&str>, seq: u32) -> Result<Explanation, NoAnswer> {
    let entries = find(subject, client, seq)?;
    let first = entries[0];
    let mut done = Explanation::new(subject, format!("What became of message {seq} of {}?", first.client));
    if entries.len() > 1 {
        done.remarks.push(format!(
            "{} was started again and counts from 1 each time: {} messages have this number; this is the last.",
            first.client,
            entries.len()
        ));
    }
    let entry = entries[entries.len() - 1];
    match subject {
        Subject::Traced(run) => Followed::new(run, entry).follow(&mut done),
        Subject::Lines(_) => super::lines::message(subject, entry, &mut done),
    }
    if let Some(cause) = entry.cause {
        done.remarks.push(format!("In the ledger of the run: {} ({}).", cause.as_str(), cause_words(cause)));
    }
    Ok(done)
}

fn find<'a>(subject: &'a Subject, client: Option<&str>, seq: u32) -> Result<Vec<&'a Entry>, NoAnswer> {
    let all = &subject.analysis().ledger.messages;
    let publishers: BTreeSet<&str> = all.iter().map(|entry| entry.client.as_str()).collect();
    if publishers.is_empty() {
        return Err(NoAnswer::new(
            format!("there is no message {seq}: nobody published in this run"),
            "a message needs a [[client]] of kind \"publish\"",
        ));
    }
    let known: Vec<String> = publishers
        .iter()
        .map(|name| {
            let last = all.iter().filter(|entry| entry.client == *name).map(|entry| entry.seq).max().unwrap_or(0);
            format!("{name} published 1 to {last}")
        })
        .collect();
    if let Some(name) = client.filter(|name| !publishers.contains(name)) {
        return Err(NoAnswer::new(format!("`{name}` published nothing in this run"), known.join("; ")));
    }
    let fits = |entry: &&Entry| entry.seq == seq && client.is_none_or(|name| entry.client == name);
    let found: Vec<&Entry> = all.iter().filter(fits).collect();
    let names: BTreeSet<&str> = found.iter().map(|entry| entry.client.as_str()).collect();
    match names.len() {
        0 => Err(NoAnswer::new(format!("there is no message {seq}"), known.join("; "))),
        1 => Ok(found),
        _ => {
            let ways: Vec<String> = names.iter().map(|name| format!("--message {name}:{seq}")).collect();
            Err(NoAnswer::new(
                format!("{} publishers have a message {seq}", names.len()),
                format!("say whose: {}", ways.join(" or ")),
            ))
        }
    }
}

/// A message and the run through which it is followed.
pub(super) struct Followed<'a> {
    trail: Trail<'a>,
    entry: &'a Entry,
}

/// Where a subscriber was at an instant.
pub(super) struct Whereabouts {
    text: String,
    pub(super) server: Option<HostId>,
    pub(super) subscribed: bool,
}

impl<'a> Followed<'a> {
    pub(super) fn new(run: &'a Traced, entry: &'a Entry) -> Followed<'a> {
        let fits = |op: &Op| matches!(op, Op::Publish { seq, .. } if *seq == entry.seq);
        Followed { trail: Trail::new(run, &entry.client, entry.published_us, fits), entry }
    }

    fn follow(&self, done: &mut Explanation) {
        let begins = self.trail.run.micros(self.trail.from);
        let every = self.config().map(|config| config.every);
        let mut begin = Step::new(begins, &self.entry.client, format!("begins to publish message {}", self.entry.seq));
        if let Some(every) = every {
            begin = begin.set(&format!("client.{}.every", self.entry.client), every);
        }
        done.steps.push(begin);
        let answer = match self.trail.walk(done) {
            Arrival::Read(pass, far) => self.executed(pass, far, done),
            Arrival::Lost(why) => why,
        };
        self.outcome(done);
        done.answer = format!("{} {answer}", self.fate());
        if self.entry.fate != Fate::Delivered {
            let around = (self.entry.published_us / 1_000_000).clamp(0, self.trail.run.analysis.end_us / 1_000_000);
            done.ask_next.push(Ask {
                arguments: format!("--between {}s {}s", (around - 5).max(0), around + 10),
                why: "what the Sentinels were waiting for around it".into(),
            });
        }
    }

    fn config(&self) -> Option<&'a crate::client::Config> {
        self.trail.run.scenario.clients.iter().find(|client| client.name == self.entry.client)
    }

    fn fate(&self) -> String {
        let entry = self.entry;
        let who = format!("Message {} of {}", entry.seq, entry.client);
        match entry.fate {
            Fate::Delivered => format!("{who} was delivered."),
            Fate::FailedButDelivered => {
                format!("{who} was delivered, although its publisher was told that it failed ({}).", entry.outcome)
            }
            Fate::Failed => format!("{who} was lost, and its publisher was told so ({}).", entry.outcome),
            Fate::LostSilently => format!("{who} was lost, although its publisher was told that it succeeded."),
            Fate::Undecided => format!("{who} was on its way when the run ended."),
        }
    }

    /// How the attempt ended for the publisher.
    fn outcome(&self, done: &mut Explanation) {
        let entry = self.entry;
        let at = self.trail.run.micros(self.trail.answered);
        let took = entry.took_us as f64 / 1e3;
        let mut step = match entry.outcome {
            Outcome::Ok => {
                let receivers = entry
                    .receivers
                    .map_or(String::new(), |n| format!(", and hears of {}", words::plural(u64::from(n), "receiver")));
                Step::new(at, &entry.client, format!("is told that it succeeded, after {took:.3} ms{receivers}"))
            }
            outcome => Step::new(at, &entry.client, format!("gives the attempt up after {took:.3} ms: {outcome}")),
        };
        if entry.outcome == Outcome::Ok && entry.receivers == Some(0) {
            step =
                step.rule("PUBLISH answers with a number, not with an error: 0 receivers is a success to the client");
        }
        if [Outcome::ReplyTimeout, Outcome::ConnectTimeout].contains(&entry.outcome)
            && let Some(config) = self.config()
        {
            step = step.rule(super::manner::limits(config));
        }
        done.steps.push(step.event(self.trail.record.during));
    }

    /// At a server.
    fn executed(&self, pass: &Pass, far: Sock, done: &mut Explanation) -> String {
        let run = self.trail.run;
        let server = self.trail.name(pass.node);
        let is_it = |note: &Note| {
            matches!(note, Note::Published { publisher: Some(publisher), seq, .. }
                if self.trail.parcel == Parcel::Message(*publisher, *seq))
        };
        let noted = run
            .result
            .notes
            .iter()
            .find(|noted| noted.node == pass.node && noted.time >= pass.began && is_it(&noted.note));
        let Some((noted, role, receivers, replicas)) = noted.and_then(|noted| match noted.note {
            Note::Published { role, receivers, replicas, .. } => Some((noted, role, receivers, replicas)),
            _ => None,
        }) else {
            let Some((_, Reply::Error(kind))) = self.trail.reply_to(pass, far) else {
                return self.trail.held(pass, server, done);
            };
            let answer = words::error(*kind);
            let text = format!("refuses the PUBLISH: {answer}");
            done.steps.push(self.trail.step(pass.began, pass.node, pass.event, text));
            return format!("{server} refused it: {answer}.");
        };
        if noted.during != pass.event {
            let text = "reads it and holds it: commands that publish are paused".to_string();
            done.steps.push(self.trail.step(pass.began, pass.node, pass.event, text));
        }
        let executed =
            self.trail.passes().map(|(_, pass)| pass).find(|pass| pass.event == noted.during).unwrap_or(pass);
        let text = format!(
            "executes the PUBLISH as a {}: {} of its own, and {} that {}",
            words::role(role),
            words::plural(u64::from(receivers), "subscriber"),
            words::plural(u64::from(replicas), "replica"),
            if replicas == 1 { "follows it" } else { "follow it" },
        );
        let mut step = self.trail.step(noted.time, pass.node, noted.during, text);
        if role == Role::Slave {
            step = step.rule(
                "PUBLISH is not a write: a replica takes it, tells its own subscribers, and nothing flows up to its master",
            );
        }
        done.steps.push(step);
        self.subscribers(executed, server, role, done)
    }

    /// From a server to each subscriber.
    fn subscribers(&self, executed: &Pass, server: &str, role: Role, done: &mut Explanation) -> String {
        let redis = |node: NodeId| self.trail.is(node, |kind| matches!(kind, Seat::Redis(_)));
        let pushes = self.trail.sends(redis);
        for (pass, _, _) in pushes.iter().filter(|(pass, ..)| pass.node != executed.node) {
            let text = "gets it in the replication stream and writes it to a subscriber of its own".to_string();
            done.steps.push(self.trail.step(pass.ended, pass.node, pass.event, text));
        }
        let channel = self.config().map(|config| config.channel.as_str());
        let mut missed = Vec::new();
        for (place, client) in self.trail.run.scenario.clients.iter().enumerate() {
            if client.kind != Kind::Subscribe || Some(client.channel.as_str()) != channel {
                continue;
            }
            let Some(node) = self.trail.run.layout.all_clients().nth(place) else { continue };
            match self.entry.received.iter().find(|(name, _)| *name == client.name) {
                Some((_, at)) => {
                    let mut step = Step::new(*at, &client.name, "receives it");
                    if let Some(event) = self.received_in(node) {
                        step = step.event(event);
                    }
                    done.steps.push(step);
                }
                None => {
                    let place = self.whereabouts(node, executed.began);
                    done.steps.push(Step::new(self.trail.run.micros(executed.began), &client.name, place.text.clone()));
                    missed.push((client.name.as_str(), place));
                }
            }
        }
        let Some((who, place)) = missed.first() else {
            return format!("{server} executed it as a {}.", words::role(role));
        };
        let to_it = |(_, sock, _): &&Carried<'_>| self.leads_to(*sock, who);
        let cut = pushes.iter().find(to_it);
        if let Some((pass, _, sent)) = cut {
            let how = match sent.obstacle {
                Some(Obstacle::Cut) => "packets on the way were being dropped",
                Some(Obstacle::HostGone) => "the host it was sent to was gone",
                None => "the connection ended before it arrived",
            };
            return format!("{} wrote it to {who}'s connection, but {how}.", self.trail.name(pass.node));
        }
        let as_role = words::role(role);
        let elsewhere = place.server.filter(|host| self.trail.host(*host) != server);
        match (elsewhere, place.server) {
            _ if role == Role::Slave => format!(
                "{server} executed it as a replica, and nothing flows from a replica to its master; {who} {}.",
                place.text
            ),
            (Some(host), _) if place.subscribed => format!(
                "{server} executed it as a {as_role}, but {who} was subscribed at {}: its connection stays with the \
                 server that it was given, and messages flow from a master to its replicas only.",
                self.trail.host(host)
            ),
            (None, Some(_)) if !place.subscribed => {
                format!("{server} executed it as a {as_role} before the SUBSCRIBE of {who} was there.")
            }
            _ => format!("{server} executed it as a {as_role}, and nobody heard it: {who} {}.", place.text),
        }
    }

    fn received_in(&self, node: NodeId) -> Option<EventId> {
        let heard = |pass: &&Pass| {
            pass.node == node && matches!(&pass.input, Input::Data { message, .. } if self.trail.parcel.is_in(message))
        };
        self.trail.passes().map(|(_, pass)| pass).find(heard).map(|pass| pass.event)
    }

    /// Whether what a server writes to a connection is for a client.
    fn leads_to(&self, sock: Sock, client: &str) -> bool {
        let Some(node) = self.trail.run.layout.names.find_node(client) else { return false };
        let story = &self.trail.run.story;
        let Some(far) = story.peer(sock) else { return false };
        let owner = |sock: Sock| story.endpoints.get(&sock).map(|endpoint| endpoint.node);
        match story.session_behind(far) {
            Some(front) => story.peer(front).and_then(owner) == Some(node),
            None => owner(far) == Some(node),
        }
    }

    /// Where a subscriber was at an instant.
    pub(super) fn whereabouts(&self, node: NodeId, at: Time) -> Whereabouts {
        let (name, micros) = (self.trail.name(node), self.trail.run.micros(at));
        let kills = |fault: &&Window| fault.effect() == Effect::Kills && fault.hits(name);
        if self.trail.run.analysis.faults.iter().filter(kills).any(|fault| fault.overlaps(micros, micros)) {
            return Whereabouts { text: "was not running".into(), server: None, subscribed: false };
        }
        let opened = self.trail.run.story.opened_by(node, at);
        let open = |endpoint: &super::story::Endpoint| endpoint.ended.is_none_or(|(ended, ..)| ended > at);
        let live: Vec<_> = opened.iter().filter(|(_, endpoint)| open(endpoint)).collect();
        let subscribed = |sock: Sock| self.subscribed_at(sock).filter(|since| *since <= at);
        let best = live.iter().rev().find(|(sock, _)| subscribed(*sock).is_some()).or(live.last());
        let Some((sock, endpoint)) = best else {
            let Some((_, last)) = opened.last() else {
                let text = "had not opened a connection yet".into();
                return Whereabouts { text, server: None, subscribed: false };
            };
            let (ended, _, how) = last.ended.expect("it is not open any more");
            let how = match how {
                EndOf::Own => "closed it".to_string(),
                EndOf::Peer(how) => format!("read {}", words::ended(how)),
                EndOf::Failed(error) => format!("could not open it: {}", words::connect_error(error)),
            };
            let text = format!("was between two connections: it {how} at {}", self.trail.run.at(ended));
            return Whereabouts { text, server: None, subscribed: false };
        };
        let since = self.trail.run.at(endpoint.since);
        let server = match self.trail.run.story.session_of(*sock) {
            Some(session) => session.server_at(at),
            None => endpoint.to.map(|to| self.trail.run.layout.host_at(to.ip)).filter(|host| {
                let haproxy = self.trail.run.layout.haproxy().map(|node| self.trail.run.layout.host(node));
                Some(*host) != haproxy
            }),
        };
        let is_subscribed = subscribed(*sock).is_some();
        let text = match (server, is_subscribed) {
            (Some(server), true) => {
                format!("was subscribed at {} on the connection that it opened at {since}", self.trail.host(server))
            }
            (Some(server), false) if !self.connected(*sock, at) => format!(
                "had a connection of {since} that HAProxy was still trying to pass on to {} (timeout connect {}, {} \
                 retries)",
                self.trail.host(server),
                self.trail.run.scenario.haproxy.timeout_connect,
                self.trail.run.scenario.haproxy.retries
            ),
            (Some(server), false) => {
                format!("was not subscribed yet: its connection of {since} leads to {}", self.trail.host(server))
            }
            (None, _) => format!("had a connection of {since} that led to no server"),
        };
        Whereabouts { text, server, subscribed: is_subscribed }
    }

    /// Whether HAProxy's connection to the server of a session was accepted by an instant.
    fn connected(&self, sock: Sock, at: Time) -> bool {
        let story = &self.trail.run.story;
        let Some(session) = story.session_of(sock) else { return true };
        session.attempts.iter().any(|(_, _, _, back)| {
            let far = story.peer(*back).and_then(|far| story.endpoints.get(&far));
            far.is_some_and(|far| far.since <= at)
        })
    }

    /// When a server read SUBSCRIBE on the way behind a subscriber's connection.
    fn subscribed_at(&self, sock: Sock) -> Option<Time> {
        let story = &self.trail.run.story;
        let backs: Vec<Sock> = match story.session_of(sock) {
            Some(session) => session.attempts.iter().filter_map(|(_, _, _, back)| story.peer(*back)).collect(),
            None => story.peer(sock).into_iter().collect(),
        };
        let passes = &self.trail.run.result.journal.as_ref()?.passes;
        let subscribes = |pass: &Pass| {
            matches!(&pass.input, Input::Data { message: Message::Command(command), .. }
                if matches!(command, Command::Subscribe(_) | Command::PSubscribe(_)))
        };
        passes
            .iter()
            .zip(&story.heard_on)
            .find(|(pass, on)| on.is_some_and(|on| backs.contains(&on)) && subscribes(pass))
            .map(|(pass, _)| pass.ended)
    }
}
