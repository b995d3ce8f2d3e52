//! The chain of causes of an event: what it heard, who sent that, what that one had heard, and so on.

use super::run::Traced;
use super::words;
use crate::kernel::EventId;
use crate::net::NetEvent;
use crate::program::{Action, Input};
use crate::record::Record;
use crate::report::CausalLink;
use crate::scenario;
use crate::world::{Event, Pass};

/// What led to an event, the event itself first. The chain ends where a timer was set by its own last ringing (a
/// periodic one has no other cause), at a step of the script, or with the beginning of the world.
pub fn causes(run: &Traced, event: EventId) -> Vec<CausalLink> {
    let Some(trace) = &run.result.trace else { return Vec::new() };
    let mut chain: Vec<CausalLink> = Vec::new();
    let mut id = event;
    while id.0 > 0
        && let Some(entry) = trace.get(id.0 as usize)
    {
        if let Some(cause) = run.cause(id) {
            chain.push(cause);
        }
        let before = trace.get(entry.cause.0 as usize).map(|before| before.event);
        let periodic = match (entry.event, before) {
            (Event::Timer(node, setting), Some(Event::Timer(other, earlier))) => {
                (node, { setting.timer }) == (other, { earlier.timer })
            }
            _ => false,
        };
        if periodic || matches!(entry.event, Event::Script(_) | Event::Fault) {
            break;
        }
        id = entry.cause;
    }
    chain
}

impl Traced {
    /// What led to a line of the recording.
    pub fn causes_of(&self, record: &Record) -> Vec<CausalLink> {
        causes(self, record.during)
    }

    /// The passes that ran during an event.
    pub(super) fn passes(&self, event: EventId) -> &[Pass] {
        let Some(journal) = &self.result.journal else { return &[] };
        let from = journal.passes.partition_point(|pass| pass.event < event);
        let to = journal.passes.partition_point(|pass| pass.event <= event);
        &journal.passes[from..to]
    }

    /// An event in words; none if it was nothing that anybody noticed.
    pub(super) fn cause(&self, id: EventId) -> Option<CausalLink> {
        let entry = self.result.trace.as_ref()?.get(id.0 as usize)?;
        let names = &self.layout.names;
        let name = |node: Option<crate::wire::NodeId>| node.map_or(String::new(), |node| names.node(node).to_string());
        let servers = self.scenario.redis.len();
        let (who, text) = match (entry.event, self.passes(id)) {
            (Event::Script(_) | Event::Fault, _) => (String::new(), self.deed(id)?),
            (_, passes @ [pass, ..]) => {
                let heard: Vec<String> = passes.iter().take(3).map(|pass| self.heard(pass, servers)).collect();
                (name(Some(pass.node)), heard.join("; then "))
            }
            (Event::Net(NetEvent::Arrive(_)), []) => (name(entry.node), self.arrival(entry.node)),
            (Event::Net(NetEvent::Retransmit(sock, _)), []) => {
                let owner = self.story.endpoints.get(&sock).map(|endpoint| endpoint.node);
                (name(owner), "its kernel sends again what was not acknowledged".into())
            }
            (Event::Net(NetEvent::RepeatSyn(sock, _)), []) => {
                let owner = self.story.endpoints.get(&sock).map(|endpoint| endpoint.node);
                (name(owner), "its kernel repeats the SYN".into())
            }
            (Event::Net(NetEvent::Ask(from, to)), []) => {
                (names.host(from).into(), format!("asks for the hardware address of {}", names.host(to)))
            }
            (Event::Net(NetEvent::Acknowledge(sock, _)), []) => {
                let owner = self.story.endpoints.get(&sock).map(|endpoint| endpoint.node);
                (name(owner), "its kernel looks whether the reader has room".into())
            }
            (Event::Net(NetEvent::ReadOn(_)), []) => (name(entry.node), "reads on".into()),
            (Event::Net(NetEvent::KeepAlive(_)), []) => (name(entry.node), "the keep-alive timer rings".into()),
            (Event::Net(NetEvent::Fail(..)), []) => (name(entry.node), "a connect fails".into()),
            (Event::Timer(node, setting), []) => {
                let kind = self.layout.seats[node.0 as usize];
                (name(Some(node)), format!("{} is due", words::timer(kind, setting.timer, servers, names)))
            }
            (Event::Wake(node), []) => (name(Some(node)), "goes on".into()),
        };
        Some(CausalLink { at_us: self.micros(entry.time), event: id.0, who, text })
    }

    fn arrival(&self, node: Option<crate::wire::NodeId>) -> String {
        match node {
            Some(_) => "something arrives while the program is busy or stopped".into(),
            None => "a segment arrives".into(),
        }
    }

    fn deed(&self, id: EventId) -> Option<String> {
        let deeds = &self.result.journal.as_ref()?.deeds;
        let place = deeds.binary_search_by_key(&id, |(event, _)| *event).ok()?;
        Some(words::deed(deeds[place].1, &self.layout.names, |fault| self.fault(fault)))
    }

    /// A fault of the scenario in words.
    pub(super) fn fault(&self, place: usize) -> String {
        let Some(fault) = self.scenario.faults.get(place) else { return "none".into() };
        let word = fault.action.word();
        match (&fault.action, fault.action.node()) {
            (scenario::Action::Command { node, run }, _) => format!("{} on {node}", run.join(" ")),
            (_, Some(node)) => format!("{word} {node}"),
            (_, None) => word.to_owned(),
        }
    }

    /// What a program heard in a pass.
    fn heard(&self, pass: &Pass, servers: usize) -> String {
        let names = &self.layout.names;
        let on = self.heard_on(pass);
        let from = on.and_then(|sock| self.story.peer_node(sock)).map_or("the other end", |node| names.node(node));
        match &pass.input {
            Input::Start => "begins to run".into(),
            Input::Accepted { .. } => format!("accepts a connection of {from}"),
            Input::Connected { .. } => format!("its connection to {} is open", self.opened_to(pass)),
            Input::ConnectFailed { error, .. } => {
                format!("its connect to {} failed: {}", self.opened_to(pass), words::connect_error(*error))
            }
            Input::Data { message, .. } => format!("reads {} from {from}", words::message(message, names)),
            Input::Ended { how, .. } => format!("reads {} from {from}", words::ended(*how)),
            Input::Timer(timer) => {
                let kind = self.layout.seats[pass.node.0 as usize];
                format!("{} is due", words::timer(kind, *timer, servers, names))
            }
            Input::Terminate => "gets SIGTERM".into(),
            Input::Command(message) => format!("is told {}", words::message(message, names)),
        }
    }

    pub(super) fn heard_on(&self, pass: &Pass) -> Option<crate::program::Sock> {
        let passes = &self.result.journal.as_ref()?.passes;
        let place = passes.partition_point(|other| other.event < pass.event);
        let within = passes[place..].iter().position(|other| std::ptr::eq(other, pass))?;
        self.story.heard_on[place + within]
    }

    fn opened_to(&self, pass: &Pass) -> String {
        let endpoint = self.heard_on(pass).and_then(|sock| self.story.endpoints.get(&sock));
        endpoint
            .and_then(|endpoint| endpoint.to)
            .map_or("somebody".into(), |to| self.layout.names.ip(to.ip).to_string())
    }

    /// The sends of a pass with the endpoints.
    pub(super) fn sends(
        pass: &Pass,
    ) -> impl Iterator<Item = (crate::program::Sock, &crate::wire::Message, &crate::world::Sent)> {
        pass.sent.iter().filter_map(|sent| match &sent.action {
            Action::Send { sock, message } => Some((*sock, message, sent)),
            _ => None,
        })
    }
}
