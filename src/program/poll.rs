//! When the timer of a Redis program runs (`aeProcessEvents`, `processTimeEvents`; spec 1.1, 1.2).
//!
//! The event loop sleeps in `epoll_wait` until its timer is due, rounded up to whole milliseconds from the moment at which
//! it goes to sleep. Whoever wakes it before that moves this moment: a timer comes 0.3 ms late in an idle process and 0.8 ms
//! late in a busy one, and since the next interval counts from the end of the handler, nothing is made up for. So a busy
//! Redis node calls `replicationCron` every 1.008 s, an idle one every 1.003 s.

use crate::kernel::{Span, Stream, Time};

/// The one timer of an event loop.
#[derive(Clone, Debug)]
pub struct LoopTimer {
    /// End of the last handler plus its interval.
    due: Time,
    /// End of the last pass: when the loop went to sleep.
    slept_at: Time,
    /// How late the sleeping process runs again.
    wake_latency: Span,
}

/// Not set.
impl Default for LoopTimer {
    fn default() -> LoopTimer {
        LoopTimer { due: Time::NEVER, slept_at: Time::ZERO, wake_latency: Span::ZERO }
    }
}

impl LoopTimer {
    /// The first timer of a process whose loop begins at `now`.
    pub fn first(now: Time, interval: Span) -> LoopTimer {
        LoopTimer { due: now + interval, slept_at: now, wake_latency: Span::ZERO }
    }

    /// The handler has ended at `now`, and the loop goes to sleep.
    pub fn again(now: Time, interval: Span, work: &mut Stream) -> LoopTimer {
        LoopTimer { due: now + interval, slept_at: now, wake_latency: wake_latency(work) }
    }

    /// When it is due.
    pub fn due(&self) -> Time {
        self.due
    }

    /// When the handler runs if nobody wakes the loop before; at once if a pass has ended after it was due, since timers
    /// run at the end of a pass.
    pub fn wakes_at(&self) -> Time {
        if self.slept_at >= self.due {
            return self.slept_at;
        }
        let sleep_ms = (self.due - self.slept_at).0.div_ceil(1_000_000);
        self.slept_at + Span::from_millis(sleep_ms) + self.wake_latency
    }

    /// A pass has ended at `now`. True if the timer is due, so that its handler runs in this very pass.
    pub fn pass_ended(&mut self, now: Time) -> bool {
        self.slept_at = now;
        now >= self.due
    }
}

/// How long after its sleep the process runs the timer: the handler's own time plus the kernel's wake-up. Measured as the gap
/// between ticks of a real 7.0.15 minus the nominal interval. Sentinel: 0.55 ms with one pass right after each tick, 0.79 ms with
/// passes at random moments, rarely up to 3 ms. A Redis node: 0.26 ms idle, 0.50 ms with 8 passes a second, 0.71 ms with 120. Up
/// to 0.5 ms of it is the rounding that [`LoopTimer`] does.
fn wake_latency(work: &mut Stream) -> Span {
    let usual = work.between(150, 410);
    let rare = if work.below(100) == 0 { work.exponential(700).min(3_000) } else { 0 };
    Span::from_micros(usual + rare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Purpose;

    /// Mean delay of a timer of 100 ms in µs, with a pass every so often.
    fn mean_delay_us(pass_every: Option<Span>) -> u64 {
        let mut work = Stream::named(1, 0, Purpose::Work);
        let mut timer = LoopTimer::first(Time::ZERO, Span::from_millis(100));
        let mut next_pass = pass_every.map_or(Time::NEVER, |span| Time::ZERO + span);
        let mut last = Time::ZERO;
        for _ in 0..1_000 {
            while next_pass < timer.wakes_at() {
                let due = timer.pass_ended(next_pass);
                next_pass += pass_every.unwrap_or_default();
                if due {
                    break;
                }
            }
            last = timer.wakes_at();
            timer = LoopTimer::again(last, Span::from_millis(100), &mut work);
        }
        (last - Time::ZERO).0 / 1_000_000 - 100_000
    }

    #[test]
    fn passes_make_a_timer_later_by_half_a_millisecond() {
        let idle = mean_delay_us(None);
        let busy = mean_delay_us(Some(Span::from_micros(7_321)));
        assert!((250..=350).contains(&idle), "{idle}");
        assert!((550..=850).contains(&busy), "{busy}");
    }

    #[test]
    fn a_pass_that_ends_after_it_was_due_runs_the_timer_itself() {
        let mut timer = LoopTimer::first(Time::ZERO, Span::from_micros(100_300));
        assert_eq!(timer.wakes_at(), Time(101_000_000));
        assert!(timer.pass_ended(Time(100_500_000)));
        assert_eq!(timer.wakes_at(), Time(100_500_000));
    }
}
