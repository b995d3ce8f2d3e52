//! The way of one command through the stack: from its client through HAProxy to a server.

use super::run::Traced;
use super::story::{EndOf, Session};
use super::words;
use super::{Explanation, Step};
use crate::kernel::{EventId, Span, Time};
use crate::net::Obstacle;
use crate::program::{Input, SessionEnd, Sock};
use crate::record::{Op, Order, Outcome, Record, What};
use crate::wire::{Command, HostId, Key, Message, NodeId, Reply};
use crate::world::{Pass, Seat, Sent};

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parcel {
    /// A published message, from PUBLISH to the push that a subscriber reads: its publisher and its number.
    Message(u16, u32),
    /// A SET, also in the replication stream.
    Write(Key),
}

impl Parcel {
    /// Whether a message carries it.
    pub(super) fn is_in(&self, message: &Message) -> bool {
        match (self, message) {
            (
                Parcel::Message(publisher, seq),
                Message::Command(Command::Publish(_, payload)) | Message::Push(_, payload),
            ) => payload.is_message(*publisher, *seq),
            (Parcel::Write(mine), Message::Command(Command::Set(key, ..))) => key == mine,
            (Parcel::Write(mine), Message::Stream(item)) => {
                matches!(&item.command, Command::Set(key, ..) if key == mine)
            }
            _ => false,
        }
    }
}

/// A command of a client and the run through which it is followed.
pub(super) struct Trail<'a> {
    pub run: &'a Traced,
    pub outcome: Outcome,
    /// The client's node.
    pub node: NodeId,
    pub parcel: Parcel,
    /// The line of the attempt.
    pub record: &'a Record,
    pub from: Time,
    pub answered: Time,
}

/// Something that carried it: a send of a pass.
pub(super) type Carried<'a> = (&'a Pass, Sock, &'a Sent);

/// How far a command came.
pub(super) enum Arrival<'a> {
    /// A server read it: in which pass, on which endpoint.
    Read(&'a Pass, Sock),
    /// No server did, and why.
    Lost(String),
}

impl<'a> Trail<'a> {
    /// The trail of the attempt with a number that began at an instant.
    pub(super) fn new(run: &'a Traced, client: &'a str, at_us: i64, fits: impl Fn(&Op) -> bool) -> Trail<'a> {
        let recording = &run.result.recording;
        let node = recording.names.find_node(client).expect("the ledger names clients of the recording");
        let Seat::Client(place) = run.layout.seats[node.0 as usize] else { unreachable!("only clients make attempts") };
        let attempt = |record: &&Record| {
            record.node == node
                && matches!(&record.what, What::Op(op) if fits(op))
                && recording.micros(record.time) == at_us
        };
        let record = recording.records.iter().find(attempt).expect("the ledger is made from the records");
        let (parcel, outcome, took) = match record.what {
            What::Op(Op::Publish { seq, outcome, took, .. }) => (Parcel::Message(place as u16, seq), outcome, took),
            What::Op(Op::Set { seq, outcome, took, .. }) => (Parcel::Write(Key::new(place as u16, seq)), outcome, took),
            _ => unreachable!("a message or a write was asked for"),
        };
        let answered = record.time + took;
        Trail { run, outcome, node, parcel, record, from: record.time, answered }
    }

    pub(super) fn name(&self, node: NodeId) -> &'a str {
        self.run.layout.names.node(node)
    }

    pub(super) fn host(&self, host: HostId) -> &'a str {
        self.run.layout.names.host(host)
    }

    pub(super) fn step(&self, at: Time, node: NodeId, event: EventId, text: String) -> Step {
        Step::new(self.run.micros(at), self.name(node), text).event(event)
    }

    pub(super) fn carries(&self, message: &Message) -> bool {
        self.parcel.is_in(message)
    }

    pub(super) fn passes(&self) -> impl Iterator<Item = (usize, &'a Pass)> + use<'a> {
        let passes = self.run.result.journal.as_ref().map_or(&[][..], |journal| &journal.passes[..]);
        let first = passes.partition_point(|pass| pass.ended < self.from);
        passes.iter().enumerate().skip(first)
    }

    /// What a kind of node sent that carries the message.
    pub(super) fn sends(&self, by: impl Fn(NodeId) -> bool) -> Vec<Carried<'a>> {
        self.passes()
            .filter(|(_, pass)| by(pass.node))
            .flat_map(|(_, pass)| Traced::sends(pass).map(move |(sock, message, sent)| (pass, sock, message, sent)))
            .filter(|(_, _, message, _)| self.carries(message))
            .map(|(pass, sock, _, sent)| (pass, sock, sent))
            .collect()
    }

    /// The pass in which a connection's end read the message.
    pub(super) fn read_on(&self, sock: Sock) -> Option<&'a Pass> {
        self.passes()
            .find(|(place, pass)| {
                self.run.story.heard_on[*place] == Some(sock)
                    && matches!(&pass.input, Input::Data { message, .. } if self.carries(message))
            })
            .map(|(_, pass)| pass)
    }

    pub(super) fn is(&self, node: NodeId, kind: fn(&Seat) -> bool) -> bool {
        kind(&self.run.layout.seats[node.0 as usize])
    }

    /// Follows it from the client to whoever read it, send by send; the last one counts.
    pub(super) fn walk(&self, done: &mut Explanation) -> Arrival<'a> {
        let sends = self.sends(|node| node == self.node);
        let several = sends.len() > 1;
        let mut arrival = None;
        for (pass, sock, sent) in &sends {
            arrival = Some(self.hop(pass, *sock, sent, several, done));
        }
        arrival.unwrap_or_else(|| Arrival::Lost(self.never_sent(done)))
    }

    /// What keeps a host from answering whose address is gone.
    fn gone(&self, host: &str, at: Time) -> String {
        let at_us = self.run.micros(at);
        let mut faults = self.run.analysis.faults.iter().filter(|fault| fault.from_us <= at_us);
        let here = |name: &String| {
            let node = self.run.layout.names.find_node(name);
            node.is_some_and(|node| self.host(self.run.layout.host(node)) == host)
        };
        let last = faults.rfind(|fault| fault.nodes.iter().any(here));
        match last.is_some_and(|fault| fault.fault.order() == Some(Order::PowerOff)) {
            true => format!("{host}'s machine has no power"),
            false => format!("{host}'s address does not exist"),
        }
    }

    /// The publisher never got a connection on which to send it.
    fn never_sent(&self, done: &mut Explanation) -> String {
        let tried = self.run.story.opened_by(self.node, self.answered);
        let tried: Vec<_> = tried.into_iter().filter(|(_, endpoint)| endpoint.since >= self.from).collect();
        let mut why = String::from("It was never sent: its client had no connection.");
        for (sock, endpoint) in tried {
            let to = endpoint.to.map_or("somebody", |to| self.run.layout.names.ip(to.ip));
            let obstacle = self.obstacle_of_connect(sock);
            let gone = match obstacle {
                Some(Obstacle::HostGone) => format!("; {}", self.gone(to, endpoint.since)),
                Some(Obstacle::Cut) => format!("; packets to {to} are dropped"),
                None => String::new(),
            };
            let text = format!("opens a connection to {to}{gone}");
            done.steps.push(self.step(endpoint.since, self.node, endpoint.event, text));
            match endpoint.ended {
                Some((at, event, EndOf::Failed(error))) => {
                    let what = words::connect_error(error);
                    done.steps.push(self.step(at, self.node, event, format!("its connect fails: {what}")));
                    why = format!("It was never sent: the connect to {to} failed, {what}.");
                }
                Some((at, event, EndOf::Peer(how))) if at <= self.answered => {
                    let text = format!("reads {} from {to}", words::ended(how));
                    done.steps.push(self.step(at, self.node, event, text));
                    why = format!("It was never sent: {to} ended the connection first.");
                }
                _ if self.outcome == Outcome::ConnectTimeout => {
                    let because = match obstacle {
                        Some(Obstacle::HostGone) => format!(" ({})", self.gone(to, endpoint.since)),
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
            |sent: &Sent| matches!(sent.action, crate::program::Action::Connect { sock: opened, .. } if opened == sock);
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

    /// From the client on: one send.
    fn hop(&self, pass: &Pass, sock: Sock, sent: &Sent, several: bool, done: &mut Explanation) -> Arrival<'a> {
        let endpoint = self.run.story.endpoints.get(&sock);
        let to = endpoint.and_then(|endpoint| endpoint.to).map_or("somebody", |to| self.run.layout.names.ip(to.ip));
        let since = endpoint.map_or(pass.ended, |endpoint| endpoint.since);
        let on = if since >= self.from {
            "a connection that it has just opened".to_string()
        } else {
            format!("the connection that it opened at {}", self.run.at(since))
        };
        let again = if several { "sends it (one of several attempts of its library)" } else { "sends it" };
        let mut step = self.step(pass.ended, self.node, pass.event, format!("{again} to {to} on {on}"));
        match sent.obstacle {
            Some(Obstacle::Cut) => {
                step.text.push_str(&format!("; packets to {to} are being dropped"));
                step = step.rule("the kernel sends it again with growing intervals until the cut ends or it gives up");
            }
            Some(Obstacle::HostGone) => step.text.push_str(&format!("; {}", self.gone(to, pass.ended))),
            None => {}
        }
        done.steps.push(step);
        let Some(far) = self.run.story.peer(sock) else {
            return Arrival::Lost(format!("{to} never accepted the connection on which it was sent."));
        };
        let Some(session) = self.run.story.sessions.get(&far) else { return self.read_by(far, to, sent.obstacle) };
        self.proxied(far, session, sent.obstacle, done)
    }

    /// Through HAProxy.
    fn proxied(
        &self,
        client: Sock,
        session: &Session,
        obstacle: Option<Obstacle>,
        done: &mut Explanation,
    ) -> Arrival<'a> {
        if let Some((at, event)) = session.no_server {
            return Arrival::Lost(self.no_server(at, event, done));
        }
        let Some(haproxy) = self.run.layout.haproxy() else { return Arrival::Lost(String::new()) };
        let server = session.attempts.last().map_or("a server", |(_, _, server, _)| self.host(*server));
        if let Some((at, event, host, _)) = session.attempts.first() {
            let why = self.run.why_chosen(*host, *at);
            let text = format!("gave that connection to {}: {why}", self.host(*host));
            let step = self.step(*at, haproxy, *event, text);
            let rule = "a session stays with its server until one side ends it, whatever becomes of the server's role";
            done.steps.push(step.rule(rule).set("haproxy.on-marked-down", on_marked_down(self.run)));
        }
        if self.read_on(client).is_none() {
            let ended = session.ended.filter(|(at, ..)| *at <= self.answered);
            return Arrival::Lost(match (obstacle, ended) {
                (_, Some((at, event, why))) => {
                    let text = format!("ends that connection: {}", words::session_end(why));
                    done.steps.push(self.idle_settings(self.step(at, haproxy, event, text), why));
                    format!("HAProxy never read it: it had ended that connection, {}.", words::session_end(why))
                }
                (Some(Obstacle::Cut), _) => "It never reached HAProxy: packets to it were being dropped.".into(),
                (Some(Obstacle::HostGone), _) => {
                    format!("It never reached HAProxy: {}.", self.gone("haproxy", self.answered))
                }
                (None, _) => "HAProxy never read it: the connection ended first, or HAProxy did not run on.".into(),
            });
        }
        let forwards: Vec<Carried<'_>> = self
            .sends(|node| node == haproxy)
            .into_iter()
            .filter(|(_, sock, _)| self.belongs(*sock, session))
            .collect();
        let Some((pass, back, sent)) = forwards.last() else {
            return Arrival::Lost(self.not_forwarded(session, server, done));
        };
        let host = session.attempts.iter().rev().find(|(_, _, _, sock)| sock == back).map(|(_, _, host, _)| *host);
        let server = host.map_or(server, |host| self.host(host));
        let mut text = format!("passes it on to {server}");
        match sent.obstacle {
            Some(Obstacle::Cut) => text.push_str("; packets to it are being dropped"),
            Some(Obstacle::HostGone) => text.push_str(&format!("; {}", self.gone(server, pass.ended))),
            None => {}
        }
        done.steps.push(self.step(pass.ended, haproxy, pass.event, text));
        match self.run.story.peer(*back) {
            Some(far) => self.read_by(far, server, sent.obstacle),
            None => Arrival::Lost(format!("{server} never accepted HAProxy's connection.")),
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
                done.steps.push(self.idle_settings(self.step(at, haproxy, event, text), why));
                format!("HAProxy could not pass it on to {server}: {}.", words::session_end(why))
            }
            None => format!("HAProxy was still trying to connect it to {server} when the client gave up."),
        }
    }

    /// The time limits by which HAProxy ends an idle session.
    fn idle_settings(&self, step: Step, why: SessionEnd) -> Step {
        let config = &self.run.scenario.haproxy;
        if why != SessionEnd::Idle {
            return step;
        }
        let step = step.rule("HAProxy ends a session on which nothing comes for so long; nothing in its log says so");
        step.set("haproxy.timeout client", config.timeout_client).set("haproxy.timeout server", config.timeout_server)
    }

    fn read_by(&self, far: Sock, server: &str, obstacle: Option<Obstacle>) -> Arrival<'a> {
        if let Some(pass) = self.read_on(far) {
            return Arrival::Read(pass, far);
        }
        Arrival::Lost(match obstacle {
            Some(Obstacle::Cut) => format!("It never reached {server}: packets to it were being dropped."),
            Some(Obstacle::HostGone) => format!("It never reached {server}: {}.", self.gone(server, self.answered)),
            None => {
                format!("{server} never read it: its process stood still or died, or the connection ended first.")
            }
        })
    }

    /// What a server answered to what it read on an endpoint in a pass, and in which pass: a later one, if the command was
    /// held meanwhile.
    pub(super) fn reply_to(&self, pass: &Pass, far: Sock) -> Option<(&'a Pass, &'a Reply)> {
        let of = |pass: &'a Pass| {
            Traced::sends(pass).find_map(|(sock, message, _)| match message {
                Message::Reply(reply) if sock == far => Some((pass, reply)),
                _ => None,
            })
        };
        self.passes()
            .map(|(_, pass)| pass)
            .filter(|later| later.node == pass.node && later.began >= pass.began)
            .find_map(of)
    }

    /// Why a server that read a command never answered: it held the command and stopped, or the run ended.
    pub(super) fn held(&self, pass: &Pass, server: &str, done: &mut Explanation) -> String {
        let lines = &self.run.result.recording.records;
        let stops = |record: &&Record| {
            use crate::record::{Event, RedisEvent};
            record.node == pass.node
                && record.time + Span::from_millis(1) >= pass.began
                && matches!(record.what, What::Event(Event::Redis(RedisEvent::Exiting)))
        };
        match lines.iter().find(stops) {
            Some(record) => {
                let text = "exits, and the command that it held goes with it".to_string();
                let step = self.step(record.time, pass.node, record.during, text);
                done.steps.push(step.rule(
                    "an orderly shutdown pauses commands that write or publish until the replicas have caught up \
                     (shutdown-timeout)",
                ));
                format!("{server} held it while it was shutting down, and exited.")
            }
            None => format!("{server} read it and never answered."),
        }
    }
}

/// `on-marked-down` as haproxy.cfg has it.
pub(super) fn on_marked_down(run: &Traced) -> &'static str {
    match run.scenario.haproxy.on_marked_down {
        crate::haproxy::OnMarkedDown::None => "none",
        crate::haproxy::OnMarkedDown::ShutdownSessions => "shutdown-sessions",
    }
}
