//! Disks that are slow or full: what ails them, until when, and who is told.
//!
//! A disk belongs to a host and outlives its programs. A program learns nothing of it until it uses it; it is told all the
//! same when that changes, for it has no other way to find out.

use super::World;
use super::script::Step;
use crate::kernel::{Span, Time};
use crate::program::Volume;
use crate::wire::{HostId, NodeId};

/// How a disk is in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ailment {
    /// One `fsync` takes at least so long.
    Slow(Span),
    /// There is no room on it.
    Full(bool),
}

impl Ailment {
    /// No slowness.
    const QUICK: Ailment = Ailment::Slow(Span::ZERO);
    /// Room again.
    const ROOM: Ailment = Ailment::Full(false);

    /// What ends it.
    const fn cure(self) -> Ailment {
        match self {
            Ailment::Slow(_) => Ailment::QUICK,
            Ailment::Full(_) => Ailment::ROOM,
        }
    }
}

/// A disk, and how often it was changed in each respect: an end that was planned before is void.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Disturbed {
    volume: Volume,
    slow: u32,
    full: u32,
}

impl Disturbed {
    fn changes(&mut self, respect: Ailment) -> &mut u32 {
        match respect {
            Ailment::Slow(_) => &mut self.slow,
            Ailment::Full(_) => &mut self.full,
        }
    }
}

impl World {
    /// How the disk of a node's host is.
    pub(super) fn volume(&self, node: NodeId) -> Volume {
        self.volumes[self.layout.host(node).0 as usize].volume
    }

    /// Something is wrong with the disk of a node's host from `now` on, for `duration` or until it is healed.
    pub(super) fn disturb_disk(&mut self, node: NodeId, ailment: Ailment, duration: Option<Span>, now: Time) {
        let host = self.layout.host(node);
        let count = self.change_disk(host, ailment);
        if let Some(duration) = duration {
            self.plan(now + duration, Step::DiskIsWell(host, ailment.cure(), count));
        }
    }

    /// The planned end of an ailment, unless the disk was changed in this respect since.
    pub(super) fn disk_is_well(&mut self, host: HostId, cure: Ailment, count: u32) {
        if *self.volumes[host.0 as usize].changes(cure) == count {
            self.change_disk(host, cure);
        }
    }

    /// `heal`: all disks are well again. An `fsync` that has begun takes its time.
    pub(super) fn heal_disks(&mut self) {
        for place in 0..self.volumes.len() {
            if self.volumes[place].volume != Volume::default() {
                for cure in [Ailment::QUICK, Ailment::ROOM] {
                    self.change_disk(HostId(place as u16), cure);
                }
            }
        }
    }

    /// Changes a disk and tells the programs of its host; gives how often it was changed in this respect.
    fn change_disk(&mut self, host: HostId, ailment: Ailment) -> u32 {
        let disk = &mut self.volumes[host.0 as usize];
        match ailment {
            Ailment::Slow(fsync) => disk.volume.fsync = fsync,
            Ailment::Full(full) => disk.volume.full = full,
        }
        *disk.changes(ailment) += 1;
        let (count, volume) = (*disk.changes(ailment), disk.volume);
        for node in self.nodes_on(host) {
            if let Some(program) = &mut self.processes[node.0 as usize].program {
                program.set_volume(volume);
            }
        }
        count
    }
}
