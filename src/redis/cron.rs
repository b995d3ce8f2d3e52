//! serverCron and when it runs (spec 1.2, 1.3, 23).
//!
//! The real timer fires every 1000/hz ms plus a little, and almost all of its work is done in every tenth run, the one
//! with `replicationCron`. So the program sleeps through the ticks that have nothing to do: they are made up for when it
//! is called again, each with its own delay, which depends on the passes before it. When the process was stopped or busy,
//! the first tick it missed runs at once, and the others follow after it (spec 23.2: shifted, nothing is caught up).

use super::Redis;
use crate::kernel::{Span, Stream, Time};
use crate::program::{LoopTimer, Out, TimerId};

/// The timer of serverCron.
pub(super) const CRON: TimerId = TimerId(0);
/// The timer of the child process.
pub(super) const CHILD: TimerId = TimerId(1);
/// The timer of a load that takes longer than one pass.
pub(super) const LOAD: TimerId = TimerId(2);
/// The end of a process that has written its report or its last file.
pub(super) const LEAVE: TimerId = TimerId(3);
/// The hook of a script that runs.
pub(super) const SCRIPT: TimerId = TimerId(5);
/// The timer of saved files on their way to replicas.
pub(super) const BULK: TimerId = TimerId(4);

/// A timer later than this was missed because the process did not run.
const MISSED: Span = Span::from_millis(5);

/// The ticks until the next `replicationCron`.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    /// The next tick.
    tick: LoopTimer,
    /// How many ticks remain, the one with `replicationCron` included.
    left: u32,
    /// Whether the next tick has something to do even if it is a plain one.
    fine: bool,
    /// What the timer is set for.
    armed: Time,
    running: bool,
}

/// What the tick that fires now has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// serverCron.
    Plain,
    /// serverCron with `replicationCron`.
    Replication,
}

/// Not yet started.
impl Default for Cron {
    fn default() -> Cron {
        Cron { tick: LoopTimer::default(), left: 1, fine: false, armed: Time::NEVER, running: false }
    }
}

impl Cron {
    fn interval(hz: u32) -> Span {
        Span::from_millis((1000 / hz.max(1)) as u64)
    }

    /// The loop begins: the first tick was due 1 ms after `initServer` (spec 1.3), and so runs at once; it is one with
    /// `replicationCron` (spec 23.2).
    pub(super) fn start(&mut self, out: &mut Out) {
        self.tick = LoopTimer::first(out.now(), Span::ZERO);
        self.left = 1;
        self.running = true;
        self.arm(self.tick.wakes_at(), out);
    }

    /// No tick runs any more (loading).
    pub(super) fn stop(&mut self, out: &mut Out) {
        self.running = false;
        out.clear_timer(CRON);
    }

    /// Whether `stop` was called, or `start` not yet.
    pub(super) fn is_stopped(&self) -> bool {
        !self.running
    }

    /// After `stop`: a tick that is due runs at once; the others follow as they would have.
    pub(super) fn resume(&mut self, out: &mut Out) {
        self.running = true;
        self.arm(out.now(), out);
    }

    /// A pass begins: makes up for the ticks that had nothing to do.
    pub(super) fn pass_begins(&mut self, out: &Out, hz: u32, work: &mut Stream) {
        let now = out.now();
        if !self.running || now > self.armed + MISSED {
            return;
        }
        while self.may_skip() && self.tick.wakes_at() <= now {
            self.skip(self.tick.wakes_at(), hz, work);
        }
    }

    /// A pass ends: a tick that is due runs in it.
    pub(super) fn pass_ends(&mut self, hz: u32, work: &mut Stream, out: &mut Out) {
        let now = out.now();
        if !self.tick.pass_ended(now) || !self.running {
            return;
        }
        if self.may_skip() {
            self.skip(now, hz, work);
            self.arm_next(hz, out);
        } else if self.armed > now {
            self.arm(now, out);
        }
    }

    /// The timer fired. None if no tick is due that has something to do; then the timer is set again.
    pub(super) fn fire(&mut self, hz: u32, out: &mut Out) -> Option<Tick> {
        if !self.running {
            return None;
        }
        if self.may_skip() || self.tick.wakes_at() > out.now() {
            self.arm_next(hz, out);
            return None;
        }
        Some(if self.left == 1 { Tick::Replication } else { Tick::Plain })
    }

    /// After the handler of a tick: plans the next one.
    pub(super) fn next(&mut self, fine: bool, hz: u32, work: &mut Stream, out: &mut Out) {
        if self.running {
            self.skip(out.now(), hz, work);
            self.fine = fine;
            self.arm_next(hz, out);
        }
    }

    /// Something needs the very next tick.
    pub(super) fn refine(&mut self, out: &mut Out) {
        if self.running && !self.fine {
            self.fine = true;
            self.arm(self.tick.wakes_at(), out);
        }
    }

    /// Whether the tick that runs is one of every 100 ms (`run_with_period(100)`).
    pub(super) fn is_tenth(&self, hz: u32) -> bool {
        let ticks = (Span::from_millis(100).0 / Cron::interval(hz).0).max(1);
        u64::from(self.left - 1).is_multiple_of(ticks)
    }

    fn may_skip(&self) -> bool {
        self.left > 1 && !self.fine
    }

    /// The next tick's handler has ended at `at`. `run_with_period(1000)` counts ticks.
    fn skip(&mut self, at: Time, hz: u32, work: &mut Stream) {
        let interval = Cron::interval(hz);
        self.left = match self.left {
            1 => (Span::from_secs(1).0 / interval.0).max(1) as u32,
            left => left - 1,
        };
        self.tick = LoopTimer::again(at, interval, work);
    }

    /// Sets the timer for the next tick that has something to do, or for the earliest moment at which it may come.
    fn arm_next(&mut self, hz: u32, out: &mut Out) {
        let at = match self.may_skip() {
            true => self.tick.due() + Cron::interval(hz) * (self.left - 1) as u64,
            false => self.tick.wakes_at(),
        };
        self.arm(at, out);
    }

    fn arm(&mut self, at: Time, out: &mut Out) {
        self.armed = at.max(out.now());
        out.set_timer(CRON, self.armed);
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
        self.expire(out);
        if self.child.is_some() {
            self.poll_child(out);
            self.check_child_done(out);
        } else {
            self.check_save_points(out);
            self.aof_cron(out);
        }
        if tick == Tick::Replication {
            self.clients_cron(out);
        }
        if tick == Tick::Replication || self.failover.is_some() && self.cron.is_tenth(self.hz()) {
            self.replication_cron(out);
        }
    }

    /// Ticks a second (`updateHZ`; the head of serverCron): with `dynamic-hz` twice as many for as long as there are more
    /// than 200 clients a tick (`MAX_CLIENTS_PER_CLOCK_TICK`).
    #[inline]
    pub(super) fn hz(&self) -> u32 {
        const LEAST: u32 = 1;
        const MOST: u32 = 500;
        let mut hz = self.config.hz.clamp(LEAST, MOST);
        while self.config.dynamic_hz && hz < MOST && self.clients.len() as u32 / hz > 200 {
            hz = (hz * 2).min(MOST);
        }
        hz
    }

    /// Whether something waits for the next tick, not for the next `replicationCron`.
    pub(super) fn needs_fine_ticks(&self, out: &Out) -> bool {
        self.shutdown.is_pending()
            || self.child.is_some()
            || self.waiters > 0
            || self.pause.is_ordered()
            || self.failover.is_some()
            || self.save_point_near(out)
            || self.expires()
            || self.aof_wants_ticks()
    }
}
