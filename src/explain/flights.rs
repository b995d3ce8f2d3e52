//! Every message of a traced run: who wrote it to whom, when it was read, or what was in its way.

use std::collections::{BTreeMap, VecDeque};

use super::run::Traced;
use super::words;
use crate::net::Obstacle;
use crate::program::{Action, Input, Sock};
use crate::report::flights::{Arrival, Family, Flight};
use crate::wire::{ChannelId, Command, Message, NodeId, Payload, Reply, SentinelCommand, SentinelReply};
use crate::world::{Pass, Seat};

/// Messages that a connection carries one way and that nobody has read yet.
type Waiting<'a> = VecDeque<(usize, &'a Message)>;

impl Traced {
    /// All messages, in the order in which they were written.
    pub fn flights(&self) -> Vec<Flight> {
        let passes = self.result.journal.as_ref().map_or(&[][..], |journal| &journal.passes[..]);
        let mut flights: Vec<Flight> = Vec::new();
        let mut waiting: BTreeMap<Sock, Waiting<'_>> = BTreeMap::new();
        // Of each end: what it asked and was not answered yet.
        let mut asked: BTreeMap<Sock, VecDeque<Family>> = BTreeMap::new();
        for (place, pass) in passes.iter().enumerate() {
            if let (Input::Data { message, .. }, Some(sock)) = (&pass.input, self.story.heard_on[place]) {
                self.read(sock, message, pass, &mut waiting, &mut flights);
            }
            for sent in &pass.sent {
                let Action::Send { sock, message } = &sent.action else { continue };
                let Some(to) = self.other_end(*sock) else { continue };
                let peer = self.story.peer(*sock);
                let (family, reply) =
                    self.family(message, pass.node, to, || peer.and_then(|peer| asked.get_mut(&peer)?.pop_front()));
                if matches!(message, Message::Command(command) if is_answered(command)) {
                    asked.entry(*sock).or_default().push_back(family);
                }
                if let Some(peer) = peer {
                    waiting.entry(peer).or_default().push_back((flights.len(), message));
                }
                flights.push(Flight {
                    sent_us: self.micros(pass.ended),
                    from: self.layout.names.node(pass.node).to_owned(),
                    to: self.layout.names.node(to).to_owned(),
                    family,
                    reply,
                    text: self.said(message),
                    arrival: match sent.obstacle {
                        Some(Obstacle::Cut) => Arrival::Cut,
                        Some(Obstacle::HostGone) => Arrival::Gone,
                        None => Arrival::Unread,
                    },
                });
            }
        }
        flights.sort_by_key(|flight| flight.sent_us);
        flights
    }

    /// A message is read: it is the first that waits and says the same; what waited before it was never read.
    fn read<'a>(
        &self,
        sock: Sock,
        message: &Message,
        pass: &Pass,
        waiting: &mut BTreeMap<Sock, Waiting<'a>>,
        flights: &mut [Flight],
    ) {
        let Some(queue) = waiting.get_mut(&sock) else { return };
        let Some(place) = queue.iter().position(|(_, waiting)| *waiting == message) else { return };
        let (flight, _) = queue.drain(..=place).next_back().expect("it is there");
        flights[flight].arrival = Arrival::Read(self.micros(pass.began));
    }

    /// Who is at the other end of a connection, or would be.
    fn other_end(&self, sock: Sock) -> Option<NodeId> {
        if let Some(node) = self.story.peer_node(sock) {
            return Some(node);
        }
        let to = self.story.endpoints.get(&sock)?.to?;
        (0..self.layout.nodes() as u16).map(NodeId).find(|node| self.layout.addr(*node) == to)
    }

    fn is_sentinel(&self, node: NodeId) -> bool {
        matches!(self.layout.seats[node.0 as usize], Seat::Sentinel(_))
    }

    /// What a message is about, and whether it answers another. `asked`: what it answers is about.
    fn family(
        &self,
        message: &Message,
        from: NodeId,
        to: NodeId,
        asked: impl FnOnce() -> Option<Family>,
    ) -> (Family, bool) {
        let kind = |node: NodeId| self.layout.seats[node.0 as usize];
        let is_redis = |node: NodeId| matches!(kind(node), Seat::Redis(_));
        let family = match message {
            Message::Reply(_) => return (asked().unwrap_or(Family::Replication), true),
            Message::Push(channel, _) | Message::Command(Command::Publish(channel, _))
                if *channel == ChannelId::HELLO =>
            {
                Family::Hello
            }
            Message::Push(..) => Family::Client,
            Message::Stream(_) | Message::Newline | Message::Rdb(_) => Family::Replication,
            Message::Command(_) if is_redis(from) && is_redis(to) => Family::Replication,
            Message::Command(Command::Sentinel(command)) if self.is_sentinel(from) => match **command {
                SentinelCommand::IsMasterDownByAddr { .. } => Family::Election,
                _ => Family::Order,
            },
            Message::Command(command) if self.is_sentinel(from) => match command {
                Command::Ping => Family::Ping,
                Command::Info(_) => Family::Info,
                Command::Subscribe(_) | Command::ClientSetName => Family::Hello,
                _ => Family::Order,
            },
            // Its probes ask for the role; what it relays is its clients'.
            Message::Command(command) if matches!(kind(from), Seat::Haproxy) => match command {
                Command::Info(_) | Command::Role | Command::Ping => Family::Probe,
                _ => Family::Client,
            },
            Message::Command(_) => Family::Client,
        };
        (family, false)
    }

    /// What a message says, in a few words.
    fn said(&self, message: &Message) -> String {
        let names = &self.layout.names;
        match message {
            Message::Command(Command::Publish(_, Payload::Sequence { seq, .. })) => format!("PUBLISH {seq}"),
            Message::Command(Command::Publish(_, Payload::Hello(hello))) => {
                format!("hello: master is {}, epoch {}", names.ip(hello.master.ip), hello.config_epoch)
            }
            Message::Push(_, Payload::Hello(hello)) => {
                format!("hello: master is {}, epoch {}", names.ip(hello.master.ip), hello.config_epoch)
            }
            Message::Command(Command::ReplconfAck(_)) => "REPLCONF ACK".into(),
            Message::Command(Command::Sentinel(command)) => match &**command {
                SentinelCommand::IsMasterDownByAddr { candidate: Some(_), epoch, .. } => {
                    format!("vote for me in epoch {epoch}?")
                }
                SentinelCommand::IsMasterDownByAddr { master, .. } => {
                    format!("is {} down?", names.ip(master.ip))
                }
                SentinelCommand::GetMasterAddrByName(_) => "who is the master?".into(),
                _ => words::message(message, names),
            },
            Message::Reply(Reply::Info(info)) => format!("role:{}", info.role.as_str()),
            Message::Reply(Reply::Sentinel(reply)) => match &**reply {
                SentinelReply::MasterDown { down, leader: Some(_), leader_epoch } => {
                    format!("{}, my vote of epoch {leader_epoch} is given", if *down { "down" } else { "not down" })
                }
                SentinelReply::MasterDown { down, .. } => if *down { "down" } else { "not down" }.into(),
                _ => words::message(message, names),
            },
            Message::Stream(item) => match &item.command {
                Command::Publish(_, Payload::Sequence { seq, .. }) => format!("stream: PUBLISH {seq}"),
                Command::Publish(..) => "stream: hello".into(),
                Command::Set(key, ..) => format!("stream: SET k:{}", key.index),
                Command::Del(key) => format!("stream: DEL k:{}", key.index),
                _ => words::message(message, names).replace(" in the replication stream", ", in the stream"),
            },
            _ => words::message(message, names),
        }
    }
}

/// Whether a server answers the command.
fn is_answered(command: &Command) -> bool {
    !matches!(command, Command::ReplconfAck(_))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::Scenario;

    fn flights(text: &str) -> Vec<Flight> {
        let scenario = Scenario::parse("test.toml", text).expect("a right file");
        Traced::run(Arc::new(scenario), 1).unwrap_or_else(|error| panic!("{error:?}")).flights()
    }

    const CUT: &str = "duration = '20s'\nphase = '0s'\n[[fault]]\nat = '0s'\naction = 'partition'\n\
                       groups = [['redis-1', 'haproxy', 'clients'], ['redis-2', 'redis-3', 'sentinel-1', 'sentinel-2', \
                       'sentinel-3']]\n";

    #[test]
    fn what_is_sent_arrives_unless_a_fault_is_in_its_way() {
        let flights = flights(CUT);
        let before = flights.iter().filter(|flight| flight.sent_us < -10_000);
        let lost: Vec<&Flight> = before.clone().filter(|flight| flight.read_us().is_none()).take(5).collect();
        assert!(before.count() > 1_000 && lost.is_empty(), "{lost:?}");
        let across = |flight: &&Flight| {
            let side = |name: &str| name.starts_with("sentinel") || name == "redis-2" || name == "redis-3";
            side(&flight.from) != side(&flight.to)
        };
        let cut: Vec<&Flight> = flights.iter().filter(|flight| flight.sent_us > 0).filter(across).collect();
        // What is written to a connection that does not open is in nobody's way, and nobody reads it.
        let read = cut.iter().find(|flight| flight.read_us().is_some());
        assert!(cut.len() > 10 && read.is_none(), "{read:?}");
        assert!(cut.iter().filter(|flight| flight.arrival == Arrival::Cut).count() > 10);
        for flight in flights.iter().filter(|flight| flight.sent_us > 0) {
            if let Some(read) = flight.read_us() {
                assert!((0..1_000_000).contains(&(read - flight.sent_us)), "{flight:?}");
            }
        }
    }

    #[test]
    fn a_failover_shows_its_questions_votes_and_orders() {
        let flights = flights(CUT);
        let said = |family: Family, text: &str| {
            flights.iter().any(|flight| flight.sent_us > 0 && flight.family == family && flight.text.starts_with(text))
        };
        for (family, text) in [
            (Family::Election, "is redis-1 down?"),
            (Family::Election, "vote for me in epoch 1?"),
            (Family::Order, "REPLICAOF NO ONE"),
            (Family::Ping, "+PONG"),
            (Family::Info, "role:"),
            (Family::Hello, "hello: master is redis-"),
            (Family::Replication, "PSYNC"),
            (Family::Probe, "role:master"),
            (Family::Client, "PUBLISH"),
        ] {
            assert!(said(family, text), "{family:?} {text}");
        }
    }
}
