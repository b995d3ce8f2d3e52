//! Branches: what else could have come of this moment.
//!
//! A branch is a world that has lived the same life up to now and has other luck from here on: every random stream gets
//! a key of its own. What is decided stays decided: packets on their way arrive when they were going to, timers that are
//! set fire when they were set for.

use super::World;
use crate::kernel::{Branch, Purpose, Stream};

impl World {
    /// The branch with a number. Branch 0 keeps its luck: it ends as this world ends.
    pub fn branch(&self, number: u64) -> World {
        let mut world = self.clone();
        if number == 0 {
            return world;
        }
        let branch = Branch { moment: world.now(), number };
        world.streams().into_iter().for_each(|stream| stream.branch(branch));
        world.branches.push(branch);
        world
    }

    /// Every random stream: the script's, the hosts', the programs'.
    pub(crate) fn streams(&mut self) -> Vec<&mut Stream> {
        let programs = self.processes.iter_mut().filter_map(|process| process.program.as_mut());
        let programs = programs.flat_map(|program| program.streams());
        std::iter::once(&mut self.script).chain(self.net.streams()).chain(programs).collect()
    }

    /// The stream of an entity that begins to draw now.
    pub(crate) fn stream(&self, entity: u32, purpose: Purpose) -> Stream {
        let mut stream = Stream::named(self.seed, entity, purpose);
        self.branches.iter().for_each(|branch| stream.branch(*branch));
        stream
    }
}
