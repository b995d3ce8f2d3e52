//! What became of a message: from the publisher through HAProxy to a server, and from there to each subscriber.

use std::collections::BTreeSet;

use super::run::Traced;
use super::story::{EndOf, Session};
use super::words;
use super::{Ask, Explanation, NoAnswer, Step, Subject};
use crate::analysis::ledger::{Fate, Message as Entry};
use crate::client::{Kind, Profile};
use crate::kernel::{EventId, Span, Time};
use crate::net::{Input, Note, Obstacle, Sock};
use crate::record::{Op, Outcome, Record, What};
use crate::report::causes::words as cause_words;
use crate::wire::{Command, HostId, Message, NodeId, Payload, Reply, Role};
use crate::world::{NodeKind, Pass, Sent};

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
        Subject::Traced(run) => Trail::new(run, entry).follow(&mut done),
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
struct Trail<'a> {
    run: &'a Traced,
    entry: &'a Entry,
    publisher: NodeId,
    payload: Payload,
    /// The line of the attempt.
    record: &'a Record,
    from: Time,
    answered: Time,
}

/// Something that carried the message: a send of a pass.
type Carried<'a> = (&'a Pass, Sock, &'a Sent);

/// Where a subscriber was at an instant.
struct Whereabouts {
    text: String,
    server: Option<HostId>,
    subscribed: bool,
}

impl<'a> Trail<'a> {
    fn new(run: &'a Traced, entry: &'a Entry) -> Trail<'a> {
        let recording = &run.result.recording;
        let publisher = recording.names.find_node(&entry.client).expect("the ledger names clients of the recording");
        let NodeKind::Client(place) = run.layout.kinds[publisher.0 as usize] else {
            unreachable!("only clients publish")
        };
        let attempt = |record: &&Record| {
            record.node == publisher
                && matches!(record.what, What::Op(Op::Publish { seq, .. }) if seq == entry.seq)
                && recording.micros(record.time) == entry.published_us
        };
        let record = recording.records.iter().find(attempt).expect("the ledger is made from the records");
        let What::Op(Op::Publish { took, .. }) = record.what else { unreachable!("it was just matched") };
        Trail {
            run,
            entry,
            publisher,
            payload: Payload::Sequence { publisher: place as u16, seq: entry.seq },
            record,
            from: record.time,
            answered: record.time + took,
        }
    }

    fn name(&self, node: NodeId) -> &'a str {
        self.run.layout.names.node(node)
    }

    fn host(&self, host: HostId) -> &'a str {
        self.run.layout.names.host(host)
    }

    fn step(&self, at: Time, node: NodeId, event: EventId, text: String) -> Step {
        Step::new(self.run.micros(at), self.name(node), text).event(event)
    }

    fn carries(&self, message: &Message) -> bool {
        match message {
            Message::Command(Command::Publish(_, payload)) | Message::Push(_, payload) => *payload == self.payload,
            _ => false,
        }
    }

    fn passes(&self) -> impl Iterator<Item = (usize, &'a Pass)> + use<'a> {
        let passes = self.run.result.journal.as_ref().map_or(&[][..], |journal| &journal.passes[..]);
        let first = passes.partition_point(|pass| pass.ended < self.from);
        passes.iter().enumerate().skip(first)
    }

    /// What a kind of node sent that carries the message.
    fn sends(&self, by: impl Fn(NodeId) -> bool) -> Vec<Carried<'a>> {
        self.passes()
            .filter(|(_, pass)| by(pass.node))
            .flat_map(|(_, pass)| Traced::sends(pass).map(move |(sock, message, sent)| (pass, sock, message, sent)))
            .filter(|(_, _, message, _)| self.carries(message))
            .map(|(pass, sock, _, sent)| (pass, sock, sent))
            .collect()
    }

    /// The pass in which a connection's end read the message.
    fn read_on(&self, sock: Sock) -> Option<&'a Pass> {
        self.passes()
            .find(|(place, pass)| {
                self.run.story.heard_on[*place] == Some(sock)
                    && matches!(&pass.input, Input::Data { message, .. } if self.carries(message))
            })
            .map(|(_, pass)| pass)
    }

    fn is(&self, node: NodeId, kind: fn(&NodeKind) -> bool) -> bool {
        kind(&self.run.layout.kinds[node.0 as usize])
    }

    fn follow(&self, done: &mut Explanation) {
        let begins = self.run.micros(self.from);
        let every = self.config().map(|config| config.every);
        let mut begin = Step::new(begins, &self.entry.client, format!("begins to publish message {}", self.entry.seq));
        if let Some(every) = every {
            begin = begin.set(&format!("client.{}.every", self.entry.client), every);
        }
        done.steps.push(begin);
        let sends = self.sends(|node| node == self.publisher);
        let mut answer = None;
        if sends.is_empty() {
            answer = Some(self.never_sent(done));
        }
        let several = sends.len() > 1;
        for (pass, sock, sent) in &sends {
            answer = Some(self.hop(pass, *sock, sent, several, done));
        }
        self.outcome(done);
        let answer = answer.expect("a message was sent or it was not");
        done.answer = format!("{} {answer}", self.fate());
        if self.entry.fate != Fate::Delivered {
            let around = (self.entry.published_us / 1_000_000).clamp(0, self.run.analysis.end_us / 1_000_000);
            done.ask_next.push(Ask {
                arguments: format!("--between {}s {}s", (around - 5).max(0), around + 10),
                why: "what the Sentinels were waiting for around it".into(),
            });
        }
    }

    fn config(&self) -> Option<&'a crate::client::Config> {
        self.run.scenario.clients.iter().find(|client| client.name == self.entry.client)
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
        let at = self.run.micros(self.answered);
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
        let profile = self.config().map_or(Profile::Reference, |config| config.profile);
        if [Outcome::ReplyTimeout, Outcome::ConnectTimeout].contains(&entry.outcome) {
            step = match profile {
                Profile::Reference | Profile::Sentinel => {
                    step.rule("this client waits 1 s for a connection and 1 s for a reply")
                }
                Profile::GoRedisV8 => {
                    step.rule("go-redis waits 5 s for a connection and 3 s for a reply, up to 4 times")
                }
            };
        }
        done.steps.push(step.event(self.record.during));
    }

    /// The publisher never got a connection on which to send it.
    fn never_sent(&self, done: &mut Explanation) -> String {
        let tried = self.run.story.opened_by(self.publisher, self.answered);
        let tried: Vec<_> = tried.into_iter().filter(|(_, endpoint)| endpoint.since >= self.from).collect();
        let mut why = String::from("It was never sent: its publisher had no connection.");
        for (sock, endpoint) in tried {
            let to = endpoint.to.map_or("somebody", |to| self.host(to.host));
            let obstacle = self.obstacle_of_connect(sock);
            let gone = match obstacle {
                Some(Obstacle::HostGone) => format!("; {to}'s address does not exist"),
                Some(Obstacle::Cut) => format!("; packets to {to} are dropped"),
                None => String::new(),
            };
            let text = format!("opens a connection to {to}{gone}");
            done.steps.push(self.step(endpoint.since, self.publisher, endpoint.event, text));
            match endpoint.ended {
                Some((at, event, EndOf::Failed(error))) => {
                    let what = words::connect_error(error);
                    done.steps.push(self.step(at, self.publisher, event, format!("its connect fails: {what}")));
                    why = format!("It was never sent: the connect to {to} failed, {what}.");
                }
                Some((at, event, EndOf::Peer(how))) if at <= self.answered => {
                    let text = format!("reads {} from {to}", words::ended(how));
                    done.steps.push(self.step(at, self.publisher, event, text));
                    why = format!("It was never sent: {to} ended the connection first.");
                }
                _ if self.entry.outcome == Outcome::ConnectTimeout => {
                    let because = match obstacle {
                        Some(Obstacle::HostGone) => format!(" ({to}'s address does not exist)"),
                        Some(Obstacle::Cut) => format!(" (packets to {to} were dropped)"),
                        None => String::new(),
                    };
                    why = format!("It was never sent: nobody answered the connect to {to} in time{because}.");
                }
                _ => {}
            }
            if let Some(session) = self.run.story.session_of(sock)
                && let Some((at, event)) = session.no_server
            {
                why = self.no_server(at, event, done);
            }
        }
        why
    }

    fn obstacle_of_connect(&self, sock: Sock) -> Option<Obstacle> {
        let opens =
            |sent: &Sent| matches!(sent.action, crate::net::Action::Connect { sock: opened, .. } if opened == sock);
        self.passes().find_map(|(_, pass)| pass.sent.iter().find(|sent| opens(sent))).and_then(|sent| sent.obstacle)
    }

    fn no_server(&self, at: Time, event: EventId, done: &mut Explanation) -> String {
        let Some(haproxy) = self.run.layout.haproxy() else { return String::new() };
        let states: Vec<String> = self.run.server_states(at).into_iter().map(|state| state.words).collect();
        let config = &self.run.scenario.haproxy;
        let step = self
            .step(
                at,
                haproxy,
                event,
                format!("has no server that is UP and closes the connection: {}", states.join("; ")),
            )
            .rule("a server is UP if its last checks found role:master; HAProxy asks the servers, not the Sentinels")
            .set("haproxy.inter", config.inter)
            .set("haproxy.rise", config.rise)
            .set("haproxy.fall", config.fall);
        done.steps.push(step);
        "HAProxy had no server that said role:master, accepted the connection and closed it at once.".into()
    }

    /// From the publisher on: one send.
    fn hop(&self, pass: &Pass, sock: Sock, sent: &Sent, several: bool, done: &mut Explanation) -> String {
        let endpoint = self.run.story.endpoints.get(&sock);
        let to = endpoint.and_then(|endpoint| endpoint.to).map_or("somebody", |to| self.host(to.host));
        let since = endpoint.map_or(pass.ended, |endpoint| endpoint.since);
        let on = if since >= self.from {
            "a connection that it has just opened".to_string()
        } else {
            format!("the connection that it opened at {}", self.run.at(since))
        };
        let again = if several { "sends it (one of several attempts of its library)" } else { "sends it" };
        let mut step = self.step(pass.ended, self.publisher, pass.event, format!("{again} to {to} on {on}"));
        match sent.obstacle {
            Some(Obstacle::Cut) => {
                step.text.push_str(&format!("; packets to {to} are being dropped"));
                step = step.rule("the kernel sends it again with growing intervals until the cut ends or it gives up");
            }
            Some(Obstacle::HostGone) => step.text.push_str(&format!("; {to}'s address no longer exists")),
            None => {}
        }
        done.steps.push(step);
        let Some(far) = self.run.story.peer(sock) else {
            return format!("{to} never accepted the connection on which it was sent.");
        };
        let Some(session) = self.run.story.sessions.get(&far) else { return self.server(far, to, sent.obstacle, done) };
        self.proxied(far, session, sent.obstacle, done)
    }

    /// Through HAProxy.
    fn proxied(&self, client: Sock, session: &Session, obstacle: Option<Obstacle>, done: &mut Explanation) -> String {
        if let Some((at, event)) = session.no_server {
            return self.no_server(at, event, done);
        }
        let Some(haproxy) = self.run.layout.haproxy() else { return String::new() };
        let server = session.attempts.last().map_or("a server", |(_, _, server, _)| self.host(*server));
        if let Some((at, event, host, _)) = session.attempts.first() {
            let why = self.run.why_chosen(*host, *at);
            let text = format!("gave that connection to {}: {why}", self.host(*host));
            let step = self.step(*at, haproxy, *event, text);
            let rule = "a session stays with its server until one side ends it, whatever becomes of the server's role";
            done.steps.push(step.rule(rule).set("haproxy.on-marked-down", on_marked_down(self.run)));
        }
        if self.read_on(client).is_none() {
            return match obstacle {
                Some(Obstacle::Cut) => "It never reached HAProxy: packets to it were being dropped.".into(),
                Some(Obstacle::HostGone) => "It never reached HAProxy: its address was gone.".into(),
                None => "HAProxy never read it: the connection ended first, or HAProxy did not run on.".into(),
            };
        }
        let forwards: Vec<Carried<'_>> = self
            .sends(|node| node == haproxy)
            .into_iter()
            .filter(|(_, sock, _)| self.belongs(*sock, session))
            .collect();
        let Some((pass, back, sent)) = forwards.last() else { return self.not_forwarded(session, server, done) };
        let host = session.attempts.iter().rev().find(|(_, _, _, sock)| sock == back).map(|(_, _, host, _)| *host);
        let server = host.map_or(server, |host| self.host(host));
        let mut text = format!("passes it on to {server}");
        match sent.obstacle {
            Some(Obstacle::Cut) => text.push_str("; packets to it are being dropped"),
            Some(Obstacle::HostGone) => text.push_str("; its address no longer exists"),
            None => {}
        }
        done.steps.push(self.step(pass.ended, haproxy, pass.event, text));
        match self.run.story.peer(*back) {
            Some(far) => self.server(far, server, sent.obstacle, done),
            None => format!("{server} never accepted HAProxy's connection."),
        }
    }

    fn belongs(&self, back: Sock, session: &Session) -> bool {
        session.attempts.iter().any(|(_, _, _, sock)| *sock == back)
    }

    fn not_forwarded(&self, session: &Session, server: &str, done: &mut Explanation) -> String {
        let config = &self.run.scenario.haproxy;
        let Some(haproxy) = self.run.layout.haproxy() else { return String::new() };
        let tried = |(at, ..): &&(Time, EventId, HostId, Sock)| *at <= self.answered;
        for (n, (at, event, host, _)) in session.attempts.iter().filter(tried).enumerate() {
            let text = format!("tries to connect to {} for it, attempt {}", self.host(*host), n + 1);
            let step = self.step(*at, haproxy, *event, text);
            done.steps.push(
                step.set("haproxy.timeout connect", config.timeout_connect).set("haproxy.retries", config.retries),
            );
        }
        match session.ended.filter(|(at, ..)| *at <= self.answered + Span::from_millis(1)) {
            Some((at, event, why)) => {
                let text = format!("ends the session: {}", words::session_end(why));
                done.steps.push(self.step(at, haproxy, event, text));
                format!("HAProxy could not pass it on to {server}: {}.", words::session_end(why))
            }
            None => format!("HAProxy was still trying to connect it to {server} when the publisher gave up."),
        }
    }

    /// At a server.
    fn server(&self, far: Sock, server: &str, obstacle: Option<Obstacle>, done: &mut Explanation) -> String {
        let Some(pass) = self.read_on(far) else {
            return match obstacle {
                Some(Obstacle::Cut) => format!("It never reached {server}: packets to it were being dropped."),
                Some(Obstacle::HostGone) => format!("It never reached {server}: its address was gone."),
                None => {
                    format!("{server} never read it: its process stood still or died, or the connection ended first.")
                }
            };
        };
        let refusal = Traced::sends(pass).find_map(|(sock, message, _)| match message {
            Message::Reply(Reply::Error(kind)) if sock == far => Some(*kind),
            _ => None,
        });
        let published = self.run.result.notes.iter().find(|noted| {
            noted.during == pass.event
                && noted.node == pass.node
                && matches!(noted.note, Note::Published { publisher: Some(publisher), seq, .. }
                    if self.payload == (Payload::Sequence { publisher, seq }))
        });
        let Some((role, receivers, replicas)) = published.and_then(|noted| match noted.note {
            Note::Published { role, receivers, replicas, .. } => Some((role, receivers, replicas)),
            _ => None,
        }) else {
            let answer = refusal.map_or("no answer", words::error);
            done.steps.push(self.step(pass.began, pass.node, pass.event, format!("refuses the PUBLISH: {answer}")));
            return format!("{server} refused it: {answer}.");
        };
        let text = format!(
            "executes the PUBLISH as a {}: {} of its own, and {} that follow it",
            words::role(role),
            words::plural(u64::from(receivers), "subscriber"),
            words::plural(u64::from(replicas), "replica"),
        );
        let mut step = self.step(pass.began, pass.node, pass.event, text);
        if role == Role::Slave {
            step = step.rule(
                "PUBLISH is no write: a replica takes it, tells its own subscribers, and nothing flows up to its master",
            );
        }
        done.steps.push(step);
        self.subscribers(pass, server, role, done)
    }

    /// From a server to each subscriber.
    fn subscribers(&self, executed: &Pass, server: &str, role: Role, done: &mut Explanation) -> String {
        let redis = |node: NodeId| self.is(node, |kind| matches!(kind, NodeKind::Redis(_)));
        let pushes = self.sends(redis);
        for (pass, _, _) in pushes.iter().filter(|(pass, ..)| pass.node != executed.node) {
            let text = "gets it in the replication stream and writes it to a subscriber of its own".to_string();
            done.steps.push(self.step(pass.ended, pass.node, pass.event, text));
        }
        let channel = self.config().map(|config| config.channel.as_str());
        let mut missed = Vec::new();
        for (place, client) in self.run.scenario.clients.iter().enumerate() {
            if client.kind != Kind::Subscribe || Some(client.channel.as_str()) != channel {
                continue;
            }
            let Some(node) = self.run.layout.all_clients().nth(place) else { continue };
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
                    done.steps.push(Step::new(self.run.micros(executed.began), &client.name, place.text.clone()));
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
            return format!("{} wrote it to {who}'s connection, but {how}.", self.name(pass.node));
        }
        let as_role = words::role(role);
        let elsewhere = place.server.filter(|host| self.host(*host) != server);
        match (elsewhere, place.server) {
            _ if role == Role::Slave => format!(
                "{server} executed it as a replica, and nothing flows from a replica to its master; {who} {}.",
                place.text
            ),
            (Some(host), _) if place.subscribed => format!(
                "{server} executed it as a {as_role}, but {who} was subscribed at {}: its connection stays with the \
                 server that it was given, and messages flow from a master to its replicas only.",
                self.host(host)
            ),
            (None, Some(_)) if !place.subscribed => {
                format!("{server} executed it as a {as_role} before the SUBSCRIBE of {who} was there.")
            }
            _ => format!("{server} executed it as a {as_role}, and nobody heard it: {who} {}.", place.text),
        }
    }

    fn received_in(&self, node: NodeId) -> Option<EventId> {
        let heard = |pass: &&Pass| {
            pass.node == node && matches!(&pass.input, Input::Data { message, .. } if self.carries(message))
        };
        self.passes().map(|(_, pass)| pass).find(heard).map(|pass| pass.event)
    }

    /// Whether what a server writes to a connection is for a client.
    fn leads_to(&self, sock: Sock, client: &str) -> bool {
        let Some(node) = self.run.layout.names.find_node(client) else { return false };
        let story = &self.run.story;
        let Some(far) = story.peer(sock) else { return false };
        let owner = |sock: Sock| story.endpoints.get(&sock).map(|endpoint| endpoint.node);
        match story.session_behind(far) {
            Some(front) => story.peer(front).and_then(owner) == Some(node),
            None => owner(far) == Some(node),
        }
    }

    /// Where a subscriber was at an instant.
    fn whereabouts(&self, node: NodeId, at: Time) -> Whereabouts {
        let opened = self.run.story.opened_by(node, at);
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
            let text = format!("was between two connections: it {how} at {}", self.run.at(ended));
            return Whereabouts { text, server: None, subscribed: false };
        };
        let since = self.run.at(endpoint.since);
        let server = match self.run.story.session_of(*sock) {
            Some(session) => session.server_at(at),
            None => endpoint.to.map(|to| to.host).filter(|host| {
                let haproxy = self.run.layout.haproxy().map(|node| self.run.layout.host(node));
                Some(*host) != haproxy
            }),
        };
        let is_subscribed = subscribed(*sock).is_some();
        let text = match (server, is_subscribed) {
            (Some(server), true) => {
                format!("was subscribed at {} on the connection that it opened at {since}", self.host(server))
            }
            (Some(server), false) if !self.connected(*sock, at) => format!(
                "had a connection of {since} that HAProxy was still trying to pass on to {} (timeout connect {}, {} \
                 retries)",
                self.host(server),
                self.run.scenario.haproxy.timeout_connect,
                self.run.scenario.haproxy.retries
            ),
            (Some(server), false) => {
                format!("was not subscribed yet: its connection of {since} leads to {}", self.host(server))
            }
            (None, _) => format!("had a connection of {since} that led to no server"),
        };
        Whereabouts { text, server, subscribed: is_subscribed }
    }

    /// Whether HAProxy's connection to the server of a session was accepted by an instant.
    fn connected(&self, sock: Sock, at: Time) -> bool {
        let story = &self.run.story;
        let Some(session) = story.session_of(sock) else { return true };
        session.attempts.iter().any(|(_, _, _, back)| {
            let far = story.peer(*back).and_then(|far| story.endpoints.get(&far));
            far.is_some_and(|far| far.since <= at)
        })
    }

    /// When a server read SUBSCRIBE on the way behind a subscriber's connection.
    fn subscribed_at(&self, sock: Sock) -> Option<Time> {
        let story = &self.run.story;
        let backs: Vec<Sock> = match story.session_of(sock) {
            Some(session) => session.attempts.iter().filter_map(|(_, _, _, back)| story.peer(*back)).collect(),
            None => story.peer(sock).into_iter().collect(),
        };
        let passes = &self.run.result.journal.as_ref()?.passes;
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

/// `on-marked-down` as haproxy.cfg has it.
pub(super) fn on_marked_down(run: &Traced) -> &'static str {
    match run.scenario.haproxy.on_marked_down {
        crate::haproxy::OnMarkedDown::None => "none",
        crate::haproxy::OnMarkedDown::ShutdownSessions => "shutdown-sessions",
    }
}
