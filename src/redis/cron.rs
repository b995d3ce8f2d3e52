//! serverCron and when it runs (spec 1.2, 1.3, 23).
//!
//! The real timer fires every 1000/hz ms plus a little, and almost all of its work is done in every tenth run, the one
//! with `replicationCron`. So the ticks of one such round are drawn together and the program sleeps through those that
//! have nothing to do. A tick keeps its meaning of a *loop*: when the process was stopped or busy, the first tick it
//! missed runs at once, and the rest of the round follows after it (spec 23.2: shifted, nothing is caught up).

use super::Redis;
use crate::kernel::{Span, Stream, Time};
use crate::net::{Out, TimerId};

/// The timer of serverCron.
pub const CRON: TimerId = TimerId(0);
/// The timer of the child process and of loading.
pub const CHILD: TimerId = TimerId(1);
/// The timer of a load that takes longer than one pass.
pub const LOAD: TimerId = TimerId(2);
/// The end of a process that crashes.
pub const CRASH: TimerId = TimerId(3);

/// What a tick comes later than its interval, in nanoseconds: poll's timeout is rounded up to whole milliseconds, and the
/// interval counts from the end of the handler (spec 1.2, measured).
const TICK_EXTRA_NS: (u64, u64) = (300_000, 600_000);
/// A tick later than this was missed because the process did not run.
const MISSED: Span = Span::from_millis(5);

/// The plan of ticks until the next `replicationCron`.
#[derive(Clone, Debug, Default)]
pub struct Cron {
    /// When the ticks of this round are due; the last is the one with `replicationCron`.
    ticks: Vec<Time>,
    /// How many of them have passed.
    passed: usize,
    /// Whether the timer is set for the next tick, not for the last.
    fine: bool,
    /// When the program was last called.
    last_call: Time,
    running: bool,
}

/// What the tick that fires now has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// serverCron.
    Plain,
    /// serverCron with `replicationCron`.
    Replication,
}

impl Cron {
    fn interval(hz: u32) -> Span {
        Span::from_millis((1000 / hz.max(1)) as u64)
    }

    fn extra(work: &mut Stream) -> Span {
        Span::from_nanos(work.between(TICK_EXTRA_NS.0, TICK_EXTRA_NS.1))
    }

    /// The first tick is due at `at`; it is one with `replicationCron` (spec 23.2).
    pub fn start(&mut self, at: Time, out: &mut Out) {
        self.ticks.clear();
        self.ticks.push(at);
        self.passed = 0;
        self.running = true;
        self.last_call = out.now();
        self.arm(out);
    }

    /// No tick runs any more (loading).
    pub fn stop(&mut self, out: &mut Out) {
        self.running = false;
        out.clear_timer(CRON);
    }

    /// Whether `stop` was called, or `start` not yet.
    pub fn is_stopped(&self) -> bool {
        !self.running
    }

    /// After `stop`: the tick that is due runs at once; its round goes on where it was.
    pub fn resume(&mut self, out: &mut Out) {
        self.running = true;
        if self.ticks.is_empty() {
            self.ticks.push(out.now());
            self.passed = 0;
        }
        self.arm(out);
    }

    /// The program is called. If it was stopped or busy since a tick was due, that tick is the next to run, and the rest
    /// of the round follows after it.
    pub fn called(&mut self, out: &mut Out, hz: u32, work: &mut Stream) {
        let now = out.now();
        let last_call = std::mem::replace(&mut self.last_call, now);
        let Some(&last) = self.ticks.last() else { return };
        let armed = if self.fine { self.ticks[self.passed.min(self.ticks.len() - 1)] } else { last };
        if !self.running || now < armed + MISSED {
            return;
        }
        while self.passed + 1 < self.ticks.len() && self.ticks[self.passed] < last_call {
            self.passed += 1;
        }
        let mut at = now;
        for tick in &mut self.ticks[self.passed..] {
            *tick = at;
            at += Cron::interval(hz) + Cron::extra(work);
        }
        self.arm(out);
    }

    /// The timer fired. None if it was stale.
    pub fn fire(&mut self, now: Time) -> Option<Tick> {
        if !self.running {
            return None;
        }
        while self.passed < self.ticks.len() && self.ticks[self.passed] <= now {
            self.passed += 1;
        }
        match self.passed {
            0 => None,
            passed if passed == self.ticks.len() => Some(Tick::Replication),
            _ => Some(Tick::Plain),
        }
    }

    /// After the handler: plans the next round if this one is over, and sets the timer.
    pub fn next(&mut self, fine: bool, hz: u32, work: &mut Stream, out: &mut Out) {
        if !self.running {
            return;
        }
        if self.passed >= self.ticks.len() {
            let loops = 1000 / (1000 / hz.max(1)).max(1);
            self.ticks.clear();
            self.passed = 0;
            let mut at = out.now();
            for _ in 0..loops.max(1) {
                at += Cron::interval(hz) + Cron::extra(work);
                self.ticks.push(at);
            }
        }
        self.fine = fine;
        self.arm(out);
    }

    /// Something needs the very next tick.
    pub fn refine(&mut self, out: &mut Out) {
        if self.running && !self.fine {
            self.fine = true;
            let now = out.now();
            while self.passed + 1 < self.ticks.len() && self.ticks[self.passed] < now {
                self.passed += 1;
            }
            self.arm(out);
        }
    }

    fn arm(&mut self, out: &mut Out) {
        let now = out.now();
        let next = if self.fine { self.passed.min(self.ticks.len() - 1) } else { self.ticks.len() - 1 };
        let at = self.ticks[next];
        out.set_timer(CRON, at.max(now));
    }
}

impl Redis {
    /// serverCron.
    pub(super) fn server_cron(&mut self, tick: Tick, out: &mut Out) {
        self.cache_time(out);
        self.check_pause();
        if self.cron_shutdown(out) {
            return;
        }
        if self.child.is_some() {
            self.poll_child(out);
            self.check_child_done(out);
        } else {
            self.check_save_points(out);
        }
        if tick == Tick::Replication {
            self.clients_cron(out);
            self.replication_cron(out);
        }
    }

    /// Whether something waits for the next tick, not for the next `replicationCron`.
    pub(super) fn needs_fine_ticks(&self, out: &Out) -> bool {
        self.shutdown.is_pending()
            || self.child.is_some()
            || self.waiters > 0
            || self.pause.is_ordered()
            || self.save_point_near(out)
    }
}
