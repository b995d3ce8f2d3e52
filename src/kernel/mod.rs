//! The kernel: virtual time, the order of events, random streams and the digest of a run.
//!
//! It knows nothing of Redis or of networks. A world owns a [`Kernel`], schedules plain values into it and takes them
//! out again in their order; between two events no time passes and nothing is computed. Every dispatched event has a
//! number, and every scheduled event remembers the number of the event during which it was scheduled: its cause.
//!
//! The whole state is plain data: `clone()` is a snapshot from which a run can branch.

mod digest;
mod queue;
mod rng;
mod time;

pub use digest::Digest;
pub use queue::{Class, Key, Queue};
pub(crate) use rng::mix;
pub use rng::{Branch, Purpose, Stream};
pub use time::{Span, Time};

/// The number of a dispatched event: 1 for the first; 0 stands for "before the first event".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u32);

/// What can be folded into the digest of a run.
pub trait Word {
    /// A word that tells this event from others at the same key.
    fn word(&self) -> u64;
}

#[derive(Clone, Copy, Debug)]
struct Pending<E> {
    cause: EventId,
    event: E,
}

/// An event as it is dispatched.
#[derive(Clone, Copy, Debug)]
pub struct Dispatched<E> {
    /// Its number.
    pub id: EventId,
    /// The event that scheduled it.
    pub cause: EventId,
    /// The event itself.
    pub event: E,
}

/// The clock, the pending events and the digest of one run.
#[derive(Clone, Debug)]
pub struct Kernel<E> {
    now: Time,
    queue: Queue<Pending<E>>,
    counters: Vec<u64>,
    dispatched: u64,
    digest: Digest,
}

impl<E: Copy + Word> Kernel<E> {
    /// A kernel at time zero whose events come from sources `0..sources`.
    pub fn new(sources: u32) -> Self {
        Kernel {
            now: Time::ZERO,
            queue: Queue::with_capacity(256),
            counters: vec![0; sources as usize],
            dispatched: 0,
            digest: Digest::default(),
        }
    }

    /// The instant of the event being dispatched.
    #[inline]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The number of the event being dispatched.
    #[inline]
    pub fn current(&self) -> EventId {
        EventId(self.dispatched as u32)
    }

    /// How many events were dispatched.
    pub fn dispatched(&self) -> u64 {
        self.dispatched
    }

    /// How many events are pending.
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// The instant of the next event.
    pub fn next_time(&self) -> Option<Time> {
        self.queue.peek().map(|(key, _)| key.time())
    }

    /// Schedules `event` for `at`, in the name of `source`.
    ///
    /// # Panics
    /// If `at` lies in the past.
    #[inline]
    pub fn schedule(&mut self, at: Time, class: Class, source: u32, event: E) {
        assert!(at >= self.now, "an event cannot be scheduled into the past: {at} is before {}", self.now);
        let counter = &mut self.counters[source as usize];
        let key = Key::new(at, class, source, *counter);
        *counter += 1;
        let cause = EventId(self.dispatched as u32);
        self.queue.push(key, Pending { cause, event });
    }

    /// Schedules `event` for `at` in the name of nobody in the run: it has no cause there, and no source counts it, so that
    /// it makes no difference when it is scheduled. `count` orders those of one instant, and tells them apart.
    ///
    /// # Panics
    /// If `at` lies in the past.
    pub fn schedule_outside(&mut self, at: Time, count: u64, event: E) {
        assert!(at >= self.now, "an event cannot be scheduled into the past: {at} is before {}", self.now);
        self.queue.push(Key::new(at, Class::Outside, 0, count), Pending { cause: EventId(0), event });
    }

    /// Dispatches the next event unless it lies after `until`.
    #[inline(always)]
    pub fn next(&mut self, until: Time) -> Option<Dispatched<E>> {
        let (key, Pending { cause, event }) = self.queue.peek()?;
        if key.time() > until {
            return None;
        }
        self.queue.remove_first();
        let (time, rest) = key.words();
        self.now = Time(time);
        self.dispatched += 1;
        self.digest.mix(time ^ event.word(), rest);
        Some(Dispatched { id: EventId(self.dispatched as u32), cause, event })
    }

    /// Folds more of what an event did into the digest.
    #[inline]
    pub fn note(&mut self, word: u64) {
        self.digest.mix(word, self.dispatched);
    }

    /// Moves the clock to `to` when nothing is pending before it.
    ///
    /// # Panics
    /// If an event is pending before `to`.
    pub fn advance(&mut self, to: Time) {
        assert!(self.next_time().is_none_or(|next| next >= to), "the clock may not skip a pending event");
        assert!(to >= self.now, "time runs forwards");
        self.now = to;
    }

    /// The digest over all events dispatched so far.
    pub fn digest(&self) -> u128 {
        self.digest.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Tick(u64);
    impl Word for Tick {
        fn word(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn events_know_their_cause() {
        let mut kernel = Kernel::new(1);
        kernel.schedule(Time(10), Class::Timer, 0, Tick(1));
        let first = kernel.next(Time::NEVER).expect("one is pending");
        assert_eq!((first.id, first.cause), (EventId(1), EventId(0)));
        kernel.schedule(Time(20), Class::Timer, 0, Tick(2));
        let second = kernel.next(Time::NEVER).expect("one is pending");
        assert_eq!((second.id, second.cause, kernel.now()), (EventId(2), EventId(1), Time(20)));
    }

    #[test]
    fn a_clone_continues_as_the_original_does() {
        let mut kernel = Kernel::new(2);
        for n in 0..100 {
            kernel.schedule(Time(n * 7 % 50), Class::Timer, (n % 2) as u32, Tick(n));
        }
        for _ in 0..40 {
            kernel.next(Time::NEVER);
        }
        let mut branch = kernel.clone();
        while kernel.next(Time::NEVER).is_some() {}
        while branch.next(Time::NEVER).is_some() {}
        assert_eq!(kernel.digest(), branch.digest());
    }

    #[test]
    fn what_comes_from_outside_is_the_same_whenever_it_is_scheduled() {
        // Given before the run or once `given` is over, for `at`; what it leads to is counted by a source of the run.
        let run = |given: u64, at: u64| {
            let mut kernel = Kernel::new(1);
            (1..8).for_each(|n| kernel.schedule(Time(n * 10), Class::Timer, 0, Tick(n)));
            while kernel.next(Time(given)).is_some() {}
            kernel.schedule_outside(Time(at), 0, Tick(99));
            let mut outside = None;
            while let Some(dispatched) = kernel.next(Time::NEVER) {
                if dispatched.event == Tick(99) {
                    outside = Some((dispatched.id, dispatched.cause));
                    kernel.schedule(kernel.now(), Class::Timer, 0, Tick(100));
                }
            }
            (kernel.digest(), outside)
        };
        let before = run(0, 40);
        assert_eq!(before.1, Some((EventId(5), EventId(0))), "after all that happens at its instant");
        assert_eq!(before, run(30, 40));
        assert_eq!(before, run(40, 40), "its own instant is not too late");
        assert_ne!(before.0, run(0, 41).0, "another instant is another run");
    }

    #[test]
    fn nothing_is_dispatched_after_the_limit() {
        let mut kernel = Kernel::new(1);
        kernel.schedule(Time(10), Class::Timer, 0, Tick(1));
        assert!(kernel.next(Time(9)).is_none());
        assert!(kernel.next(Time(10)).is_some());
    }
}
