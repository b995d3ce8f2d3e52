//! The event queue against a bare loop: the classic hold model (take the earliest event, schedule another a random time
//! later) at several numbers of pending events. Both sides draw from ChaCha and print nothing; the figures are ratios.

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

#[derive(Clone, Copy)]
struct Tick(u64);

impl Word for Tick {
    fn word(&self) -> u64 {
        self.0
    }
}

/// The kernel: ordered by meaning, with causes and the digest on.
#[divan::bench(args = PENDING)]
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
#[divan::bench(args = PENDING)]
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
