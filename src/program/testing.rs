//! One bench for the tests of all programs: a clock, what is on its way, timers, and what was recorded.
//!
//! How a peer answers is a matter of the test that puts a program on the bench; when things happen is the bench's: what
//! arrives comes before a timer of the same moment, and nothing comes to a program that is busy or held.

use std::collections::BTreeMap;

use super::{Action, Desk, Handles, Out, TimerId};
use crate::kernel::{EventId, Time};
use crate::record::Record;
use crate::wire::NodeId;

/// A bench on which things of the kind `T` are on their way to programs with the numbers 0, 1, …
#[derive(Debug)]
pub(crate) struct Bench<T> {
    /// Now.
    pub now: Time,
    /// How far the wall clocks are off.
    pub wall_offset_ns: i64,
    /// Nothing happens before this.
    pub held_until: Time,
    desk: Desk,
    timers: BTreeMap<(usize, TimerId), Time>,
    busy_until: BTreeMap<usize, Time>,
    queue: BTreeMap<(Time, u64), T>,
    count: u64,
}

/// What happens next.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Something arrives.
    Arrival(T),
    /// A timer of a program is due; it is no longer set.
    Timer(usize, TimerId),
}

impl<T> Bench<T> {
    /// An empty bench at `now`.
    pub(crate) fn at(now: Time) -> Bench<T> {
        Bench {
            now,
            wall_offset_ns: 0,
            held_until: Time::ZERO,
            desk: Desk::new(true),
            timers: BTreeMap::new(),
            busy_until: BTreeMap::new(),
            queue: BTreeMap::new(),
            count: 0,
        }
    }

    /// One pass of a program. Its timers are set; the rest of what it wants done is given back, with the end of its work.
    pub(crate) fn pass(&mut self, program: usize, handle: impl FnOnce(&mut Out)) -> (Time, Vec<Action>) {
        handle(self.desk.begin(self.now, NodeId(program as u16), EventId(1), self.wall_offset_ns));
        let ended = self.desk.ended();
        self.busy_until.insert(program, ended);
        let mut actions = self.desk.take_actions();
        actions.retain(|action| match *action {
            Action::SetTimer(timer, at) => {
                assert!(at >= self.now, "a timer is set for the future");
                self.timers.insert((program, timer), at);
                false
            }
            Action::ClearTimer(timer) => {
                self.timers.remove(&(program, timer));
                false
            }
            _ => true,
        });
        (ended, actions)
    }

    /// Something arrives at `at`.
    pub(crate) fn post(&mut self, at: Time, what: T) {
        self.count += 1;
        self.queue.insert((at, self.count), what);
    }

    /// What is on its way and `stays`.
    pub(crate) fn retain(&mut self, stays: impl Fn(&T) -> bool) {
        self.queue.retain(|_, what| stays(what));
    }

    /// When a program's work ends.
    pub(crate) fn busy_until(&self, program: usize) -> Time {
        self.busy_until.get(&program).copied().unwrap_or_default()
    }

    /// Whether a program has a timer.
    pub(crate) fn has_timer(&self, program: usize) -> bool {
        self.timers.keys().any(|(other, _)| *other == program)
    }

    /// Whether this timer is set, and for when.
    pub(crate) fn timer(&self, program: usize, timer: TimerId) -> Option<Time> {
        self.timers.get(&(program, timer)).copied()
    }

    /// A program's process is gone.
    pub(crate) fn clear(&mut self, program: usize) {
        self.timers.retain(|(other, _), _| *other != program);
        self.busy_until.remove(&program);
    }

    /// The next thing that happens, and it is its time now; none up to `until`, and it is `until`.
    pub(crate) fn next(&mut self, until: Time) -> Option<Next<T>> {
        let timers = self.timers.iter().map(|(&of, &at)| (at.max(self.busy_until(of.0)), of));
        let timer = timers.min_by_key(|(at, _)| *at);
        let arrival = self.queue.keys().next().map(|(at, _)| *at);
        let first = arrival.into_iter().chain(timer.map(|(at, _)| at)).min();
        let Some(at) = first.map(|at| at.max(self.held_until).max(self.now)).filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = at;
        if arrival == first {
            return self.queue.pop_first().map(|(_, what)| Next::Arrival(what));
        }
        timer.map(|(_, of)| {
            self.timers.remove(&of);
            Next::Timer(of.0, of.1)
        })
    }

    /// The endpoints.
    pub(crate) fn handles(&mut self) -> &mut Handles {
        self.desk.handles()
    }

    /// All that was recorded.
    pub(crate) fn records(&self) -> &[Record] {
        self.desk.records()
    }

    /// Forgets what was recorded.
    pub(crate) fn forget(&mut self) {
        self.desk.take_records();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Span;

    #[test]
    fn what_arrives_comes_before_a_timer_of_the_same_moment_and_a_busy_program_hears_late() {
        let mut bench = Bench::at(Time(10));
        let (ended, actions) = bench.pass(0, |out| {
            out.set_timer(TimerId(1), Time(20));
            out.work(Span(15));
            out.listen();
        });
        assert_eq!((ended, actions), (Time(25), vec![Action::Listen]));
        bench.post(Time(25), "hello");
        assert!(bench.next(Time(24)).is_none());
        assert!(matches!(bench.next(Time(30)), Some(Next::Arrival("hello"))));
        assert!(matches!(bench.next(Time(30)), Some(Next::Timer(0, TimerId(1)))));
        assert_eq!(bench.now, Time(25));
        assert!(bench.next(Time(30)).is_none());
        assert_eq!(bench.now, Time(30));
    }
}
