//! When a process wakes up, and what a step of it costs.
//!
//! A time limit never ends exactly on time. Two mechanisms make it late by up to a millisecond, and both are modelled;
//! the last tens of microseconds (interrupt, scheduler, interpreter) are drawn.

use super::library::Runtime;
use crate::kernel::{Span, Stream, Time};
use crate::program::Out;

/// Mean time from the expiry of a timer to the first instruction of the process that waits for it (observed: half of
/// the reference clients' ticks begin within 0.1 ms of their multiple).
const WAKE_UP_MEAN: Span = Span::from_micros(50);

/// One wake-up of a sleeping client in so many finds its processor at work for another process, and waits for this long on
/// average. Seen in the ticks of the reference clients before time 0: in the shared recordings 3.7 % come more than 1 ms
/// late and 1.1 % more than 2 ms; in ours, made on a machine with less to do, 1.2 and 0.6 %. It decides how long the
/// longest pause of an undisturbed client is, and when it comes.
const BUSY_ONE_IN: u64 = 8;
const BUSY_MEAN: Span = Span::from_micros(800);

/// `timer_slack_ns` of an ordinary process (Linux, `init_task`).
const TIMER_SLACK: Span = Span::from_micros(50);

/// Mean time between two timer interrupts on the processor where a process waits (observed: a quarter of the reference
/// clients' 1 s limits ends more than 0.3 ms before the slack is used up).
const INTERRUPT_MEAN: Span = Span::from_micros(2_500);

/// Mean cost of one Python step: encode and send, or receive and parse (observed: a reply comes back 0.19 ms after the
/// attempt began at the earliest, 0.1 ms of it in the client).
const PYTHON_STEP_MEAN: Span = Span::from_micros(40);

/// Mean cost of one step of a Go program (observed: as above, 0.1 ms for a whole SET at the earliest).
const GO_STEP_MEAN: Span = Span::from_micros(10);

const MILLISECOND: u64 = 1_000_000;

/// Draws what differs from one wake-up to the next.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    work: Stream,
}

impl Timing {
    pub(super) fn new(work: Stream) -> Timing {
        Timing { work }
    }

    /// Its random stream.
    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.work
    }

    fn exponential(&mut self, mean: Span) -> Span {
        Span(self.work.exponential(mean.0))
    }

    /// When a Python process that sleeps for `span` runs again (`clock_nanosleep`: the timer may be late by its slack).
    pub(super) fn python_sleep(&mut self, now: Time, span: Span) -> Time {
        let busy = self.work.below(BUSY_ONE_IN) == 0;
        let waits = if busy { self.exponential(BUSY_MEAN) } else { Span::ZERO };
        now + span + Span(self.work.below(TIMER_SLACK.0 + 1)) + waits + self.exponential(WAKE_UP_MEAN)
    }

    /// When a Python process learns that nothing came on a socket for `span`.
    ///
    /// The wait is a `poll`, whose slack is a thousandth of the limit, at most 100 ms (Linux,
    /// `select_estimate_accuracy`): the limit ends with the first timer interrupt after it, at the latest when the
    /// slack is used up.
    pub(super) fn python_limit(&mut self, now: Time, span: Span) -> Time {
        let slack = (span.0 / 1_000).clamp(TIMER_SLACK.0, 100 * MILLISECOND);
        let late = self.exponential(INTERRUPT_MEAN).0.min(slack);
        now + span + Span(late) + self.exponential(WAKE_UP_MEAN)
    }

    /// A Python step takes its time.
    pub(super) fn python_step(&mut self, out: &mut Out) {
        out.work(Span(PYTHON_STEP_MEAN.0 / 2) + Span(self.work.exponential(PYTHON_STEP_MEAN.0 / 2)));
    }

    /// When a goroutine that sleeps for `span` runs again.
    ///
    /// The scheduler waits in `epoll_wait` for whole milliseconds, rounded down, and then for one more (Go,
    /// `netpoll`: a delay below 1 ms becomes 1 ms): in a process that does nothing else meanwhile, the end is rounded up.
    pub(super) fn go_sleep(&mut self, now: Time, span: Span) -> Time {
        now + Span(span.0.div_ceil(MILLISECOND) * MILLISECOND) + self.exponential(WAKE_UP_MEAN)
    }

    /// When a goroutine sees the tick that is due at `due`: the same rounding, at an arbitrary phase.
    pub(super) fn go_tick(&mut self, due: Time) -> Time {
        due + Span(self.work.below(MILLISECOND)) + self.exponential(WAKE_UP_MEAN)
    }

    /// A step of a program takes its time.
    pub(super) fn step(&mut self, runtime: Runtime, out: &mut Out) {
        match runtime {
            Runtime::Interpreted => self.python_step(out),
            Runtime::Compiled => self.go_step(out),
        }
    }

    /// A step of a Go program takes its time.
    pub(super) fn go_step(&mut self, out: &mut Out) {
        out.work(Span(GO_STEP_MEAN.0 / 2) + Span(self.work.exponential(GO_STEP_MEAN.0 / 2)));
    }
}
