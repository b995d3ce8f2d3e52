//! Deadlines as HAProxy keeps them: ticks of one millisecond, met by an event loop that sleeps in `epoll_wait`.
//!
//! A deadline is `tick_add(now_ms, timeout)`, with `now_ms` the time of the loop's last pass, truncated. The loop sleeps
//! for what remains until the earliest deadline, plus 1 ms (`compute_poll_timeout`), counted from the end of the pass;
//! the kernel adds up to a thousandth of that sleep, at least 50 µs and at most 100 ms
//! (`select_estimate_accuracy`, fs/select.c). Any other event wakes the loop earlier, and every pass serves whatever
//! deadline has been reached. So a deadline is met 0 to 2 ms late, and a little more after a long sleep: with two
//! neighbouring events in different fractions of a millisecond, a check of 1000 ms lasts "1000ms" or "1001ms".
//!
//! The clock is HAProxy's own (`clock_update_date`): it follows the system's, unless a sleep lasted more than 100 ms
//! longer than was asked for. Then the date is taken to have jumped, and the clock goes on from where it stood before
//! the sleep. So a process that was stopped with SIGSTOP lost that time for all its deadlines and durations: the stop makes
//! `epoll_wait` return EINTR (signal(7)), which counts as an interruption, after which nothing is added at all.
//!
//! Two things follow for the way the world's timers are used. A timer is set for its *tick*, when a pass that happens
//! for another reason may serve it; when it rings, `Timers::rings` says whether the loop is awake, and if not, sets it
//! again for the moment when the loop wakes up. That first ring is no pass of the loop.

use super::release::Rules;
use crate::kernel::{Span, Stream, Time};
use crate::program::{Out, TimerId};

/// A point on HAProxy's clock: whole milliseconds.
pub(super) type Tick = u64;

/// The kernel's default timer slack of a thread (`init_task.timer_slack_ns`).
const SLACK_MIN: Span = Span::from_micros(50);
/// `MAX_SLACK` (fs/select.c).
const SLACK_MAX: Span = Span::from_millis(100);

/// The tick of an instant.
#[inline]
pub(super) fn tick(at: Time) -> Tick {
    at.as_millis()
}

/// A time of haproxy.cfg: whole milliseconds, rounded up (`parse_time_err`, tools.c).
#[inline]
pub(super) const fn millis(written: Span) -> Tick {
    written.0.div_ceil(1_000_000)
}

/// The deadline that is set at `at` for `timeout` later.
#[inline]
pub(super) fn deadline(at: Time, timeout: Span) -> Tick {
    tick(at) + millis(timeout)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    /// Set for a tick.
    Armed(Tick),
    /// This tick has come, and the next pass of the loop serves it.
    Due(Tick),
}

/// The deadlines of one HAProxy, by [`TimerId`].
#[derive(Clone, Debug)]
pub(super) struct Timers {
    states: Vec<State>,
    /// Those that are [`State::Due`], in the order of their ticks.
    due: Vec<TimerId>,
    /// The clock of the last pass.
    now_ms: Tick,
    /// When the last pass began, by the world's clock.
    last_pass: Time,
    /// When it ended and the loop went to sleep.
    asleep_since: Time,
    /// How far HAProxy's clock is behind the world's.
    lost: Span,
    work: Stream,
    rules: &'static Rules,
}

impl Timers {
    pub(super) fn new(work: Stream, rules: &'static Rules) -> Timers {
        Timers {
            rules,
            states: Vec::new(),
            due: Vec::new(),
            now_ms: 0,
            last_pass: Time::ZERO,
            asleep_since: Time::ZERO,
            lost: Span::ZERO,
            work,
        }
    }

    /// Its random streams.
    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![&mut self.work]
    }

    /// A uniform span between two.
    pub(super) fn draw(&mut self, low: Span, high: Span) -> Span {
        Span(self.work.between(low.0, high.0))
    }

    /// HAProxy's clock.
    #[inline]
    pub(super) fn clock(&self, out: &Out) -> Time {
        Time(out.now().0 - self.lost.0)
    }

    /// The world's time at which a tick begins.
    fn begins(&self, at: Tick) -> Time {
        Time(at.saturating_mul(1_000_000).saturating_add(self.lost.0))
    }

    /// A pass begins. True if the loop slept far too long, so that the clock stands where it stood at the last pass and
    /// all deadlines are as far away as then.
    #[inline]
    pub(super) fn overslept(&mut self, out: &mut Out) -> bool {
        out.now().since(self.asleep_since) > self.rules.oversleep_max && self.stops_clock(out)
    }

    #[cold]
    fn stops_clock(&mut self, out: &mut Out) -> bool {
        let ticks = self.states.iter().filter_map(|state| match state {
            State::Off => None,
            State::Armed(at) | State::Due(at) => Some(*at),
        });
        let Some(earliest) = ticks.min() else { return false };
        let wait = Span::from_millis(earliest.saturating_sub(self.now_ms).saturating_add(1).min(u32::MAX.into()));
        let wait = wait.min(Span::from_millis(self.rules.sleep_ms_max));
        if out.now() <= self.asleep_since + wait + self.rules.oversleep_max {
            return false;
        }
        // Which of the threads that wake up looks at its clock first is not known; seen in 5 of 8 stops: one that had slept
        // long enough to find its date right.
        if self.rules.threads_share_date && self.work.below(2) == 0 {
            return false;
        }
        self.lost += out.now().since(self.last_pass);
        self.due.clear();
        for index in 0..self.states.len() {
            if let State::Armed(at) | State::Due(at) = self.states[index] {
                self.states[index] = State::Armed(at);
                out.set_timer(TimerId(index as u32), self.begins(at).max(out.now()));
            }
        }
        true
    }

    /// Sets a deadline, replacing its earlier setting.
    pub(super) fn arm(&mut self, timer: TimerId, at: Tick, out: &mut Out) {
        let index = timer.0 as usize;
        if index >= self.states.len() {
            self.states.resize(index + 1, State::Off);
        }
        self.forget_due(timer);
        self.states[index] = State::Armed(at);
        out.set_timer(timer, self.begins(at).max(out.now()));
    }

    /// The tick that a deadline is set for and that has not come.
    pub(super) fn armed(&self, timer: TimerId) -> Option<Tick> {
        match self.states.get(timer.0 as usize) {
            Some(State::Armed(at)) => Some(*at),
            _ => None,
        }
    }

    /// Takes a deadline back.
    pub(super) fn disarm(&mut self, timer: TimerId, out: &mut Out) {
        let index = timer.0 as usize;
        if index < self.states.len() && self.states[index] != State::Off {
            self.forget_due(timer);
            self.states[index] = State::Off;
            out.clear_timer(timer);
        }
    }

    fn forget_due(&mut self, timer: TimerId) {
        if let State::Due(_) = self.states[timer.0 as usize] {
            self.due.retain(|&other| other != timer);
        }
    }

    /// The world's timer rang. True if the loop is awake: then a pass happens, and [`Timers::next_due`] names what it
    /// has to serve.
    pub(super) fn rings(&mut self, timer: TimerId, out: &mut Out) -> bool {
        let index = timer.0 as usize;
        match self.states[index] {
            State::Off => false,
            State::Due(_) => true,
            State::Armed(at) => {
                self.states[index] = State::Due(at);
                self.due.push(timer);
                let wakes = self.wakes(at);
                let awake = wakes <= out.now();
                if !awake {
                    out.set_timer(timer, wakes);
                }
                awake
            }
        }
    }

    /// When a loop with nothing else to do wakes up for a deadline.
    fn wakes(&mut self, at: Tick) -> Time {
        if at <= self.now_ms {
            return self.asleep_since;
        }
        let sleep_ms = at - self.now_ms + 1;
        // Longer waits are several sleeps, of which only the last is inexact.
        let earlier_ms = (sleep_ms - 1) / self.rules.sleep_ms_max * self.rules.sleep_ms_max;
        let last = Span::from_millis(sleep_ms - earlier_ms);
        let slack = Span(last.0 / 1000).clamp(SLACK_MIN, SLACK_MAX);
        self.asleep_since + Span::from_millis(earlier_ms) + last + self.draw(Span::ZERO, slack)
    }

    /// Whether wake-ups for nothing are worth a timer: the clock stands at the last of them when the process is stopped.
    pub(super) fn wakes_for_nothing(&self) -> bool {
        self.rules.sleep_ms_max < Rules::LONG_SLEEP_MS
    }

    /// When the sleep that begins now ends, if nothing happens.
    pub(super) fn wakes_idle(&self, out: &Out) -> Time {
        out.now() + Span::from_millis(self.rules.sleep_ms_max + 1)
    }

    /// Takes the next deadline that this pass has to serve.
    pub(super) fn next_due(&mut self, out: &mut Out) -> Option<TimerId> {
        if self.due.is_empty() {
            return None;
        }
        let timer = self.due.remove(0);
        self.states[timer.0 as usize] = State::Off;
        out.clear_timer(timer);
        Some(timer)
    }

    /// Whether this pass has a deadline to serve.
    #[inline]
    pub(super) fn any_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// A pass that began at `began` is over.
    #[inline]
    pub(super) fn pass_ends(&mut self, began: Time, out: &Out) {
        self.now_ms = tick(Time(began.0 - self.lost.0));
        self.last_pass = began;
        self.asleep_since = out.now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::release::rules;
    use crate::kernel::Purpose;
    use crate::program::testing::Bench;
    use crate::release::ProxyRelease;

    const TIMER: TimerId = TimerId(1);

    fn micros(n: u64) -> Time {
        Time(n * 1000)
    }

    /// A loop that armed a deadline of `timeout_ms` at `armed` and made passes at `passes`; when it meets the deadline.
    fn met(armed: Time, timeout_ms: u64, passes: &[Time]) -> Time {
        let mut timers = Timers::new(Stream::named(1, 1, Purpose::Work), rules(ProxyRelease::default()));
        let mut bench = Bench::<()>::at(armed);
        bench.pass(0, |out| {
            timers.arm(TIMER, deadline(armed, Span::from_millis(timeout_ms)), out);
            timers.pass_ends(armed, out);
        });
        let mut rings = deadline(armed, Span::from_millis(timeout_ms)) * 1000;
        let mut passes = passes.iter().copied().peekable();
        loop {
            if let Some(pass) = passes.next_if(|&pass| pass < micros(rings)) {
                bench.now = pass;
                let mut is_due = false;
                bench.pass(0, |out| {
                    is_due = timers.next_due(out).is_some();
                    timers.pass_ends(pass, out);
                });
                if is_due {
                    return pass;
                }
                continue;
            }
            bench.now = micros(rings);
            let mut rang = false;
            bench.pass(0, |out| rang = timers.rings(TIMER, out));
            if rang {
                return micros(rings);
            }
            rings = bench.timer(0, TIMER).expect("it is set again").0.div_ceil(1000);
        }
    }

    #[test]
    fn an_idle_loop_is_one_millisecond_late() {
        let late = met(micros(5_300), 1000, &[]).since(micros(1_005_300));
        assert!((1000..=2002).contains(&(late.0 / 1000)), "{late}");
        let late = met(micros(5_300), 10, &[]).since(micros(15_300));
        assert!((1000..=1051).contains(&(late.0 / 1000)), "{late}");
    }

    #[test]
    fn the_fraction_of_the_last_pass_decides() {
        let met = met(micros(5_900), 1000, &[micros(1_000_100)]);
        assert!((1_006_100..=1_006_151).contains(&(met.0 / 1000)), "{met}");
    }

    #[test]
    fn another_event_serves_a_deadline_that_has_come() {
        assert_eq!(met(micros(5_900), 1000, &[micros(1_004_999), micros(1_005_010)]), micros(1_005_010));
    }
}
