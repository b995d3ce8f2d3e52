//! The index of a trace: which connection each input came on, where its other end is, and what became of it.

use std::collections::BTreeMap;

use crate::analysis::faults::windows;
use crate::kernel::{EventId, Time};
use crate::program::{Action, ConnectError, Ended, Input, Note, Noted, SessionEnd, Sock, Token};
use crate::record::{Effect, Recording};
use crate::wire::{Addr, HostId, NodeId};
use crate::world::{Journal, Pass, RunResult};

/// One end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// Whose.
    pub node: NodeId,
    /// Where it was opened to; none for the accepting end.
    pub to: Option<Addr>,
    /// When it was opened or accepted.
    pub since: Time,
    /// The event of that.
    pub event: EventId,
    /// The other end, once somebody accepted.
    pub peer: Option<Sock>,
    /// When and how its owner saw the end of it, or ended it.
    pub ended: Option<(Time, EventId, EndOf)>,
}

/// How a connection ended for the program that owns an end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOf {
    /// It closed it itself.
    Own,
    /// The other end did, or the kernel.
    Peer(Ended),
    /// It never opened.
    Failed(ConnectError),
}

/// HAProxy's session of a client's connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// Attempts to connect to a server: when, the event, the server, the endpoint.
    pub attempts: Vec<(Time, EventId, HostId, Sock)>,
    /// It had no server.
    pub no_server: Option<(Time, EventId)>,
    /// When and why it ended.
    pub ended: Option<(Time, EventId, SessionEnd)>,
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// For each pass of the journal: the endpoint on which its input came.
    pub heard_on: Vec<Option<Sock>>,
    /// All endpoints.
    pub endpoints: BTreeMap<Sock, Endpoint>,
    /// Sessions by the endpoint at which HAProxy accepted the client.
    pub sessions: BTreeMap<Sock, Session>,
}

impl Story {
    /// Reads a traced run.
    pub(super) fn of(result: &RunResult) -> Story {
        let mut story = Story::default();
        if let Some(journal) = &result.journal {
            story.read(journal);
            story.end_killed(&result.recording);
        }
        for noted in &result.notes {
            story.read_note(noted);
        }
        story
    }

    fn read(&mut self, journal: &Journal) {
        let mut names: BTreeMap<(NodeId, Token), Sock> = BTreeMap::new();
        for pass in &journal.passes {
            let named = |token: Token| names.get(&(pass.node, token)).copied();
            let sock = match pass.input {
                Input::Accepted { sock, .. } => Some(sock),
                Input::Connected { token }
                | Input::ConnectFailed { token, .. }
                | Input::Data { token, .. }
                | Input::Ended { token, .. } => named(token),
                _ => None,
            };
            self.heard_on.push(sock);
            if let Some(sock) = sock {
                self.hear(sock, pass);
            }
            for sent in &pass.sent {
                match sent.action {
                    Action::Connect { sock, to, token } => {
                        names.insert((pass.node, token), sock);
                        let endpoint = Endpoint {
                            node: pass.node,
                            to: Some(to),
                            since: pass.ended,
                            event: pass.event,
                            peer: None,
                            ended: None,
                        };
                        self.endpoints.insert(sock, endpoint);
                    }
                    Action::Accept { sock, token } => {
                        names.insert((pass.node, token), sock);
                    }
                    Action::Close(sock) | Action::Reset(sock) => self.end(sock, pass.ended, pass.event, EndOf::Own),
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, sock: Sock, pass: &Pass) {
        match pass.input {
            Input::Accepted { .. } => {
                let endpoint = Endpoint {
                    node: pass.node,
                    to: None,
                    since: pass.began,
                    event: pass.event,
                    peer: pass.peer,
                    ended: None,
                };
                self.endpoints.insert(sock, endpoint);
                if let Some(opener) = pass.peer.and_then(|peer| self.endpoints.get_mut(&peer)) {
                    opener.peer = Some(sock);
                }
            }
            Input::Ended { how, .. } => self.end(sock, pass.began, pass.event, EndOf::Peer(how)),
            Input::ConnectFailed { error, .. } => self.end(sock, pass.began, pass.event, EndOf::Failed(error)),
            _ => {}
        }
    }

    /// A process that is killed ends its connections, and hears of it no more.
    fn end_killed(&mut self, recording: &Recording) {
        for fault in windows(recording).iter().filter(|fault| fault.effect() == Effect::Kills) {
            let at = Time((recording.origin.0 as i64 + fault.from_us * 1_000).max(0) as u64);
            let hit = |endpoint: &&mut Endpoint| fault.hits(recording.names.node(endpoint.node));
            for endpoint in self.endpoints.values_mut().filter(hit) {
                if endpoint.since <= at && endpoint.ended.is_none_or(|(ended, ..)| ended > at) {
                    endpoint.ended = Some((at, endpoint.event, EndOf::Own));
                }
            }
        }
    }

    fn end(&mut self, sock: Sock, at: Time, event: EventId, how: EndOf) {
        if let Some(endpoint) = self.endpoints.get_mut(&sock) {
            endpoint.ended.get_or_insert((at, event, how));
        }
    }

    fn read_note(&mut self, noted: &Noted) {
        let (at, event) = (noted.time, noted.during);
        match noted.note {
            Note::SessionTo { client, back, server, .. } => {
                self.sessions.entry(client).or_default().attempts.push((at, event, server, back));
            }
            Note::NoServer { client } => self.sessions.entry(client).or_default().no_server = Some((at, event)),
            Note::SessionEnds { client, why, .. } => {
                self.sessions.entry(client).or_default().ended = Some((at, event, why));
            }
            _ => {}
        }
    }

    /// The other end of a connection, if somebody accepted it.
    pub(super) fn peer(&self, sock: Sock) -> Option<Sock> {
        self.endpoints.get(&sock)?.peer
    }

    /// Who is at the other end.
    pub(super) fn peer_node(&self, sock: Sock) -> Option<NodeId> {
        self.endpoints.get(&self.peer(sock)?).map(|endpoint| endpoint.node)
    }

    /// HAProxy's session of a connection that a client opened.
    pub(super) fn session_of(&self, opened: Sock) -> Option<&Session> {
        self.sessions.get(&self.peer(opened)?)
    }

    /// The session to which a connection of HAProxy to a server belongs: the client's connection as HAProxy accepted it.
    pub(super) fn session_behind(&self, back: Sock) -> Option<Sock> {
        let belongs = |session: &Session| session.attempts.iter().any(|(_, _, _, sock)| *sock == back);
        self.sessions.iter().find(|(_, session)| belongs(session)).map(|(client, _)| *client)
    }

    /// The connections that a node opened up to an instant, in order.
    pub(super) fn opened_by(&self, node: NodeId, until: Time) -> Vec<(Sock, &Endpoint)> {
        let mut opened: Vec<(Sock, &Endpoint)> = self
            .endpoints
            .iter()
            .filter(|(_, endpoint)| endpoint.node == node && endpoint.to.is_some() && endpoint.since <= until)
            .map(|(sock, endpoint)| (*sock, endpoint))
            .collect();
        opened.sort_by_key(|(_, endpoint)| endpoint.since);
        opened
    }
}

impl Session {
    /// The server of the last attempt that began by an instant.
    pub(super) fn server_at(&self, at: Time) -> Option<HostId> {
        self.attempts.iter().rev().find(|(since, ..)| *since <= at).map(|(_, _, server, _)| *server)
    }
}
