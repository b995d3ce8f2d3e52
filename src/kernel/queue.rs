//! The event queue: a four-ary heap of plain values.
//!
//! Events are ordered by meaning, never by insertion luck: time first, then the class of the event, then the entity
//! that scheduled it, then that entity's own counter. All four are packed into one 128-bit key, so that a comparison
//! is one instruction pair. Keys are unique; a repeated key is a broken invariant.

use super::Time;

/// The class decides among events of the same instant: the script first, then the network, then timers (a server loop
/// handles ready sockets before due timers: `aeProcessEvents`, ae.c), and last what comes from outside of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Something the script does to the world.
    Script = 0,
    /// A packet arrives, or a kernel timer of the network stack fires.
    Network = 1,
    /// A process gets to run again after it was busy or stopped.
    Wake = 2,
    /// A timer of a program.
    Timer = 3,
    /// Something is done to the world from outside. It comes last, so that whoever has seen an instant to its end can still
    /// act in it, and leaves the run that one would have who had said so before.
    Outside = 4,
}

/// Where an event stands in the order of all events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u128);

const SOURCE_BITS: u32 = 20;
const COUNT_BITS: u32 = 40;

impl Key {
    /// Packs time, class, source (below 2²⁰) and the source's counter (below 2⁴⁰).
    #[inline]
    pub fn new(time: Time, class: Class, source: u32, count: u64) -> Key {
        assert!(source < 1 << SOURCE_BITS, "at most a million sources");
        assert!(count < 1 << COUNT_BITS, "at most 2^40 events a source");
        let low = ((class as u64) << (SOURCE_BITS + COUNT_BITS)) | ((source as u64) << COUNT_BITS) | count;
        Key(((time.0 as u128) << 64) | low as u128)
    }

    /// The instant of the event.
    #[inline]
    pub fn time(self) -> Time {
        Time((self.0 >> 64) as u64)
    }

    /// Both halves, for the digest.
    #[inline]
    pub fn words(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    key: Key,
    event: E,
}

/// A priority queue of events, earliest key first. Push and pop cost O(log n).
#[derive(Clone, Debug)]
pub struct Queue<E> {
    heap: Vec<Entry<E>>,
}

const ARITY: usize = 4;

impl<E: Copy> Default for Queue<E> {
    fn default() -> Self {
        Queue { heap: Vec::new() }
    }
}

impl<E: Copy> Queue<E> {
    /// An empty queue with room for `capacity` pending events.
    pub fn with_capacity(capacity: usize) -> Self {
        Queue { heap: Vec::with_capacity(capacity) }
    }

    /// How many events are pending.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The earliest event.
    #[inline]
    pub fn peek(&self) -> Option<(Key, E)> {
        self.heap.first().map(|entry| (entry.key, entry.event))
    }

    /// Adds an event.
    #[inline]
    pub fn push(&mut self, key: Key, event: E) {
        let entry = Entry { key, event };
        self.heap.push(entry);
        let mut hole = self.heap.len() - 1;
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.heap[parent].key <= key {
                break;
            }
            self.heap[hole] = self.heap[parent];
            hole = parent;
        }
        self.heap[hole] = entry;
    }

    /// Takes the earliest event.
    #[inline]
    pub fn pop(&mut self) -> Option<(Key, E)> {
        let first = self.peek()?;
        self.remove_first();
        Some(first)
    }

    /// Removes the earliest event, which [`Queue::peek`] has shown: what was read in place need not be moved out.
    #[inline(never)]
    pub fn remove_first(&mut self) {
        let Some(last) = self.heap.pop() else { return };
        if self.heap.is_empty() {
            return;
        }
        let len = self.heap.len();
        let heap = &mut self.heap[..];
        let mut hole = 0;
        loop {
            let first = hole * ARITY + 1;
            let least = if first + ARITY <= len {
                // All four children exist: a tournament of three comparisons, without a loop.
                let (a, b) = (first + (heap[first + 1].key < heap[first].key) as usize, first + 2);
                let b = b + (heap[b + 1].key < heap[b].key) as usize;
                if heap[b].key < heap[a].key { b } else { a }
            } else if first < len {
                (first + 1..len)
                    .fold(first, |least, child| if heap[child].key < heap[least].key { child } else { least })
            } else {
                break;
            };
            if heap[least].key >= last.key {
                break;
            }
            heap[hole] = heap[least];
            hole = least;
        }
        heap[hole] = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pops_in_the_order_of_a_sorted_list(times in prop::collection::vec((0u64..50, 0u8..5, 0u32..5), 0..200)) {
            let mut queue = Queue::default();
            let mut keys = Vec::new();
            for (count, &(time, class, source)) in times.iter().enumerate() {
                let class = [Class::Script, Class::Network, Class::Wake, Class::Timer, Class::Outside][class as usize];
                let key = Key::new(Time(time), class, source, count as u64);
                queue.push(key, count);
                keys.push((key, count));
                if count % 3 == 2 {
                    keys.sort();
                    prop_assert_eq!(queue.pop(), Some(keys.remove(0)));
                }
            }
            keys.sort();
            for expected in keys {
                prop_assert_eq!(queue.pop(), Some(expected));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }

    #[test]
    fn class_source_and_counter_break_ties_in_that_order() {
        let at = |class, source, count| Key::new(Time(5), class, source, count);
        let mut keys = [
            at(Class::Timer, 0, 0),
            at(Class::Network, 2, 0),
            at(Class::Network, 1, 9),
            at(Class::Network, 1, 3),
            at(Class::Script, 9, 9),
        ];
        keys.sort();
        assert_eq!(
            keys,
            [
                at(Class::Script, 9, 9),
                at(Class::Network, 1, 3),
                at(Class::Network, 1, 9),
                at(Class::Network, 2, 0),
                at(Class::Timer, 0, 0),
            ]
        );
        assert_eq!(keys[0].time(), Time(5));
    }
}
