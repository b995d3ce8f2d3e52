//! A pass whose effects wait for the end of its work.
//!
//! What a program does leaves at the end of its pass, and the world may put it on its way when the pass begins: nobody
//! notices a death in the microseconds between. A pass that waits for a disk is longer, and an answer that waits with it
//! must not leave a machine that lost its power meanwhile. So it is kept with its process, and dies with it.

use super::World;
use super::process::Disk;
use crate::program::{Action, Sock};
use crate::wire::NodeId;

/// What a program wants done when its work is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// In the order in which it was said.
    actions: Vec<Action>,
    /// Whether the pass is over, so that only its work is waited for.
    complete: bool,
}

impl Held {
    /// Whether the program has closed a socket, and its kernel does not know yet.
    pub(super) fn has_closed(&self, sock: Sock) -> bool {
        self.actions
            .iter()
            .any(|action| matches!(action, Action::Close(closed) | Action::Reset(closed) if *closed == sock))
    }
}

impl World {
    /// Keeps what a program wants done until its pass is over, with its work.
    #[cold]
    pub(super) fn hold(&mut self, node: NodeId) {
        let mut actions = self.desk.take_actions();
        let complete = !self.desk.has_more();
        let held = self.processes[node.0 as usize].held.get_or_insert_default();
        held.actions.append(&mut actions);
        held.complete = complete;
        self.desk.recycle(actions);
        self.schedule_wake(node);
    }

    /// Does what was kept, if the work of its pass is over. False if that is still to come, and the program is busy.
    #[cold]
    pub(super) fn release(&mut self, node: NodeId) -> bool {
        let now = self.kernel.now();
        let process = &mut self.processes[node.0 as usize];
        if process.busy_until > now {
            self.schedule_wake(node);
            return false;
        }
        if let Some(held) = process.held.take_if(|held| held.complete) {
            let mut actions = held.actions;
            self.do_all(node, &mut actions, now);
        }
        true
    }

    /// The machine of a program that runs no more loses its power, and what its kernel had not written to the disk.
    pub(super) fn lose_power(&mut self, node: NodeId) {
        if let Disk::Redis(disk) = &mut self.processes[node.0 as usize].disk {
            disk.lose_power(self.kernel.now());
        }
    }
}
