//! The journal of a traced run: what every program heard and did in every pass of its loop, and what the script did.
//!
//! The trace names events by the slots of the network's tables, which are used again and again. The journal keeps the
//! values themselves, with the names of both ends of each connection, so that a message can be followed from program
//! to program afterwards. It is written beside the run and changes nothing in it.

use super::World;
use super::script::Step;
use crate::kernel::{EventId, Time};
use crate::net::Obstacle;
use crate::program::{Action, Input, Sock};
use crate::wire::{HostId, NodeId};

/// What programs and the script did, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Journal {
    /// Passes of programs.
    pub passes: Vec<Pass>,
    /// Steps of the script.
    pub deeds: Vec<(EventId, Deed)>,
    /// What the program hears whose pass is being run.
    heard: Option<Input>,
}

/// One pass of a program's loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// The event during which it ran.
    pub event: EventId,
    /// Whose.
    pub node: NodeId,
    /// When it began.
    pub began: Time,
    /// When it ended: what it wants done is done then.
    pub ended: Time,
    /// What it heard.
    pub input: Input,
    /// Of an accepted connection: the endpoint that opened it.
    pub peer: Option<Sock>,
    /// What it wanted done.
    pub sent: Vec<Sent>,
}

/// One thing that a program wanted done.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// What.
    pub action: Action,
    /// Of what is sent or connected: what kept packets from the other host at that moment.
    pub obstacle: Option<Obstacle>,
}

/// A step of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A process begins to run.
    Starts(NodeId),
    /// The driver asks whether the stack is ready.
    Asks,
    /// A fault of the scenario, by its place.
    Fault(usize),
    /// A killed process dies.
    Dies(NodeId),
    /// A killed container's address disappears.
    AddressGone(HostId),
    /// A node is ordered to start.
    OrderedToStart(NodeId),
    /// Packets of one direction are dropped from now on.
    Cut(HostId, HostId),
    /// What is sent to a host arrives again.
    Healed(HostId),
    /// A disk is as it was before a fault.
    DiskIsWell(HostId),
    /// The command of a fault of the scenario, by its place, reaches its node.
    Command(NodeId, usize),
    /// The driver stops the clients.
    StopsClients,
}

impl World {
    /// Keeps what a program is about to hear.
    #[cold]
    #[inline(never)]
    pub(super) fn hear(&mut self, input: &Input) {
        self.journal.as_mut().expect("only a traced run has passes to write down").heard = Some(input.clone());
    }

    /// Writes down the pass that has just been run and whose actions have not been carried out yet.
    #[cold]
    #[inline(never)]
    pub(super) fn write_journal(&mut self, node: NodeId, began: Time) {
        let heard = self.journal.as_mut().and_then(|journal| journal.heard.take());
        let input = heard.expect("what a pass is about was heard before it");
        let host = self.layout.host(node);
        let peer = match input {
            Input::Accepted { sock, .. } => self.net.peer(sock),
            _ => None,
        };
        let mut sent = Vec::with_capacity(self.desk.actions().len());
        for action in self.desk.actions() {
            let obstacle = match action {
                Action::Send { sock, .. } => self.net.obstacle(*sock),
                Action::Connect { to, .. } => self.net.obstacle_between(host, self.net.host_at(to.ip)),
                _ => None,
            };
            sent.push(Sent { action: action.clone(), obstacle });
        }
        let pass = Pass { event: self.kernel.current(), node, began, ended: self.desk.ended(), input, peer, sent };
        self.journal.as_mut().expect("only a traced run has passes to write down").passes.push(pass);
    }

    /// Writes down a step of the script.
    pub(super) fn write_step(&mut self, step: u32) {
        let deed = match self.steps[step as usize] {
            Step::Start(node) => Deed::Starts(node),
            Step::Poll => Deed::Asks,
            Step::Die(node) => Deed::Dies(node),
            Step::Vanish(host) => Deed::AddressGone(host),
            Step::Order(node) => Deed::OrderedToStart(node),
            Step::Block(from, to) => Deed::Cut(from, to),
            Step::Flush(host) => Deed::Healed(host),
            Step::Command(node, commanded) => Deed::Command(node, commanded.fault),
            Step::DiskIsWell(host, ..) => Deed::DiskIsWell(host),
            Step::StopClients => Deed::StopsClients,
        };
        self.write_deed(deed);
    }

    /// Writes down what the script does.
    pub(super) fn write_deed(&mut self, deed: Deed) {
        let Some(journal) = &mut self.journal else { return };
        journal.deeds.push((self.kernel.current(), deed));
    }
}
