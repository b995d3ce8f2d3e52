//! One process: a program together with what its host's kernel keeps for it.

use std::collections::VecDeque;

use super::held::Held;
use super::program::Program;
use crate::kernel::Time;
use crate::net::Delivery;
use crate::program::TimerId;
use crate::{redis, sentinel};

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no process.
    Down,
    /// It runs.
    Running,
    /// SIGSTOP: the kernel accepts and acknowledges, the program does nothing.
    Paused,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// By itself, at the end of a pass.
    Exit,
    /// SIGKILL, at any moment.
    Kill,
    /// Its machine loses its power, at any moment.
    PowerOff,
}

/// What a data folder keeps across restarts.
#[derive(Clone, Debug, Default)]
pub(super) enum Disk {
    /// Nothing.
    #[default]
    Empty,
    /// RDB file, and the configuration file if there is one.
    Redis(Box<redis::Disk>),
    /// The rewritten configuration.
    Sentinel(sentinel::Persisted),
    /// A client's last SEQ.
    Client(u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct Timer {
    generation: u32,
    set: bool,
}

/// A process and its surroundings.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// The program, while it runs.
    pub program: Option<Program>,
    /// Whether it runs.
    pub state: State,
    /// Its data folder.
    pub disk: Disk,
    /// How many times it was started: timers of earlier lives are void.
    pub life: u32,
    /// Until when the program is at work in one pass of its loop.
    pub busy_until: Time,
    /// How far its wall clock is off.
    pub wall_offset_ns: i64,
    /// What arrived while it was busy or paused, in order.
    pub inbox: VecDeque<Delivery>,
    /// Timers that fired while it was busy or paused.
    pub due: Vec<TimerId>,
    /// How many of what arrived belong to the pass that has begun.
    pub batch: usize,
    /// What its last pass wants done and what is not done before its work is over.
    pub held: Option<Box<Held>>,
    /// Whether an event is scheduled that lets it go on.
    pub wake_scheduled: bool,
    timers: Vec<Timer>,
}

impl Process {
    /// A process that does not run, on a host whose wall clock is off by `wall_offset_ns`.
    pub(super) fn down(wall_offset_ns: i64) -> Process {
        Process {
            program: None,
            state: State::Down,
            disk: Disk::Empty,
            life: 0,
            busy_until: Time::ZERO,
            wall_offset_ns,
            inbox: VecDeque::new(),
            due: Vec::new(),
            batch: 0,
            held: None,
            wake_scheduled: false,
            timers: Vec::new(),
        }
    }

    /// Sets a timer; answers the generation under which it is valid.
    #[inline]
    pub(super) fn set_timer(&mut self, timer: TimerId) -> u32 {
        let index = timer.0 as usize;
        if self.timers.len() <= index {
            self.timers.resize_with(index + 1, Timer::default);
        }
        let slot = &mut self.timers[index];
        slot.generation += 1;
        slot.set = true;
        self.due.retain(|&due| due != timer);
        slot.generation
    }

    /// Clears a timer.
    pub(super) fn clear_timer(&mut self, timer: TimerId) {
        if let Some(slot) = self.timers.get_mut(timer.0 as usize) {
            slot.set = false;
        }
        self.due.retain(|&due| due != timer);
    }

    /// Whether a timer that fires under this generation is still meant.
    #[inline]
    pub(super) fn timer_fires(&mut self, timer: TimerId, generation: u32) -> bool {
        let Some(slot) = self.timers.get_mut(timer.0 as usize) else { return false };
        let valid = slot.set && slot.generation == generation;
        if valid {
            slot.set = false;
        }
        valid
    }

    /// Forgets everything that died with the process.
    pub(super) fn die(&mut self) {
        self.state = State::Down;
        self.program = None;
        self.inbox.clear();
        self.due.clear();
        (self.batch, self.held) = (0, None);
        for timer in &mut self.timers {
            timer.set = false;
        }
    }

    /// Orders what arrived during a stop as the loop will find it: socket by socket in the order in which they became
    /// readable, each read to its end (epoll's ready list).
    pub(super) fn order_by_socket(&mut self) {
        let mut order: Vec<u32> = Vec::new();
        let mut rank = |delivery: &Delivery| {
            let index = match delivery.input {
                // New connections are taken from the listening socket, all at once.
                crate::program::Input::Accepted { .. } => u32::MAX,
                _ => delivery.sock.index,
            };
            order.iter().position(|&seen| seen == index).unwrap_or_else(|| {
                order.push(index);
                order.len() - 1
            })
        };
        let mut ranked: Vec<(usize, Delivery)> =
            self.inbox.drain(..).map(|delivery| (rank(&delivery), delivery)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        self.inbox.extend(ranked.into_iter().map(|(_, delivery)| delivery));
    }
}
