//! The kernel against a bare loop: the hold model (take the earliest event, schedule another a random time later) and
//! PHOLD (the same, spread over many entities that send to one another) at several numbers of pending events, and M/M/1.
//! Both sides draw from ChaCha; the figures are ratios.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use divan::Bencher;
use divan::counter::ItemsCount;
use sim::kernel::{Class, Kernel, Purpose, Span, Stream, Time, Word};

fn main() {
    divan::main();
}

const EVENTS: u64 = 100_000;
const PENDING: [usize; 4] = [16, 64, 1_024, 16_384];
const SAMPLES: u32 = 30;

#[derive(Clone, Copy)]
struct Tick(u64);

impl Word for Tick {
    fn word(&self) -> u64 {
        self.0
    }
}

/// The kernel: ordered by meaning, with causes and the digest on.
#[divan::bench(args = PENDING, sample_count = SAMPLES)]
fn kernel_hold(bencher: Bencher, pending: usize) {
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut stream = Stream::named(1, 0, Purpose::Load);
        let mut kernel = Kernel::new(1);
        for n in 0..pending as u64 {
            kernel.schedule(Time(stream.below(1_000_000)), Class::Timer, 0, Tick(n));
        }
        for _ in 0..EVENTS {
            let Tick(n) = kernel.next(Time::NEVER).expect("there is always one").event;
            let at = kernel.now() + Span(1 + stream.below(1_000_000));
            kernel.schedule(at, Class::Timer, 0, Tick(n));
        }
        kernel.digest()
    });
}

/// The least a simulator can do: the standard library's heap of (time, number), no digest, no causes.
#[divan::bench(args = PENDING, sample_count = SAMPLES)]
fn bare_hold(bencher: Bencher, pending: usize) {
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut stream = Stream::named(1, 0, Purpose::Load);
        let mut heap = BinaryHeap::new();
        for n in 0..pending as u64 {
            heap.push(Reverse((stream.below(1_000_000), n)));
        }
        let mut last = 0;
        for _ in 0..EVENTS {
            let Reverse((now, n)) = heap.pop().expect("there is always one");
            heap.push(Reverse((now + 1 + stream.below(1_000_000), n)));
            last = now;
        }
        last
    });
}

/// PHOLD: an event of one of 64 entities sends the next to a random entity, from whose own stream the delay is drawn.
#[divan::bench(args = PENDING, sample_count = SAMPLES)]
fn kernel_phold(bencher: Bencher, pending: usize) {
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut streams: Vec<Stream> = (0..64).map(|entity| Stream::named(1, entity, Purpose::Load)).collect();
        let mut kernel = Kernel::new(64);
        for n in 0..pending as u64 {
            kernel.schedule(Time(streams[0].below(1_000_000)), Class::Network, n as u32 % 64, Tick(n % 64));
        }
        for _ in 0..EVENTS {
            let Tick(entity) = kernel.next(Time::NEVER).expect("there is always one").event;
            let stream = &mut streams[entity as usize];
            let (to, delay) = (stream.below(64), Span(1 + stream.below(1_000_000)));
            kernel.schedule(kernel.now() + delay, Class::Network, entity as u32, Tick(to));
        }
        kernel.digest()
    });
}

/// PHOLD on the standard library's heap.
#[divan::bench(args = PENDING, sample_count = SAMPLES)]
fn bare_phold(bencher: Bencher, pending: usize) {
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut streams: Vec<Stream> = (0..64).map(|entity| Stream::named(1, entity, Purpose::Load)).collect();
        let mut heap = BinaryHeap::new();
        for n in 0..pending as u64 {
            heap.push(Reverse((streams[0].below(1_000_000), n, n % 64)));
        }
        let mut number = pending as u64;
        for _ in 0..EVENTS {
            let Reverse((now, _, entity)) = heap.pop().expect("there is always one");
            let stream = &mut streams[entity as usize];
            let (to, delay) = (stream.below(64), 1 + stream.below(1_000_000));
            heap.push(Reverse((now + delay, number, to)));
            number += 1;
        }
        number
    });
}

const ARRIVAL: u64 = 1;
const DEPARTURE: u64 = 2;

/// M/M/1 at 80 % load: at most two events are pending, so that the rest of the loop counts.
#[divan::bench(sample_count = SAMPLES)]
fn kernel_mm1(bencher: Bencher) {
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut stream = Stream::named(1, 0, Purpose::Load);
        let mut kernel = Kernel::new(1);
        let mut queue = 0_u64;
        kernel.schedule(Time(0), Class::Timer, 0, Tick(ARRIVAL));
        for _ in 0..EVENTS {
            let Tick(kind) = kernel.next(Time::NEVER).expect("arrivals never end").event;
            let now = kernel.now();
            if kind == ARRIVAL {
                kernel.schedule(now + Span(stream.exponential(1_000_000)), Class::Timer, 0, Tick(ARRIVAL));
                queue += 1;
            } else {
                queue -= 1;
            }
            let begins = if kind == ARRIVAL { queue == 1 } else { queue > 0 };
            if begins {
                kernel.schedule(now + Span(stream.exponential(800_000)), Class::Timer, 0, Tick(DEPARTURE));
            }
        }
        kernel.digest()
    });
}

/// M/M/1 on the standard library's heap.
#[divan::bench(sample_count = SAMPLES)]
fn bare_mm1(bencher: Bencher) {
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut stream = Stream::named(1, 0, Purpose::Load);
        let mut heap = BinaryHeap::new();
        let (mut queue, mut number) = (0_u64, 0_u64);
        heap.push(Reverse((0, number, ARRIVAL)));
        for _ in 0..EVENTS {
            let Reverse((now, _, kind)) = heap.pop().expect("arrivals never end");
            number += 2;
            if kind == ARRIVAL {
                heap.push(Reverse((now + stream.exponential(1_000_000), number, ARRIVAL)));
                queue += 1;
            } else {
                queue -= 1;
            }
            let begins = if kind == ARRIVAL { queue == 1 } else { queue > 0 };
            if begins {
                heap.push(Reverse((now + stream.exponential(800_000), number + 1, DEPARTURE)));
            }
        }
        number
    });
}
