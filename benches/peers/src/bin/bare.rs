//! The least that a simulator can do: a heap of times, without causes, digest or ties in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use peers::{ARRIVAL_NS, Desk, SERVICE_NS, Work, delay, exponential, luck, target};

fn main() {
    peers::main(&[("hold", hold), ("phold", phold), ("mm1", mm1)]);
}

fn hold(work: &Work) -> u64 {
    let mut luck = luck();
    let mut heap: BinaryHeap<_> = (0..work.size).map(|n| Reverse((delay(luck.bits()), n))).collect();
    let mut sum = 0_u64;
    for _ in 0..work.amount {
        let Reverse((now, n)) = heap.pop().expect("there is always one");
        sum = sum.wrapping_add(now);
        heap.push(Reverse((now + delay(luck.bits()), n)));
    }
    sum
}

fn phold(work: &Work) -> u64 {
    let (mut luck, mut counts) = (luck(), vec![0_u64; work.size]);
    let mut heap: BinaryHeap<_> = (0..work.size).map(|n| Reverse((delay(luck.bits()), n))).collect();
    let mut sum = 0_u64;
    for _ in 0..work.amount {
        let Reverse((now, here)) = heap.pop().expect("there is always one");
        counts[here] += 1;
        let draw = luck.bits();
        sum = sum.wrapping_add(now.wrapping_mul(here as u64 + 1));
        heap.push(Reverse((now + delay(draw), target(draw, counts.len()))));
    }
    sum
}

fn mm1(work: &Work) -> u64 {
    let (mut luck, mut desk, mut heap) = (luck(), Desk::default(), BinaryHeap::new());
    heap.push(Reverse((exponential(luck.bits(), ARRIVAL_NS), true)));
    while desk.served < work.amount {
        let Reverse((now, arrives)) = heap.pop().expect("there is always one");
        let serve = if arrives {
            heap.push(Reverse((now + exponential(luck.bits(), ARRIVAL_NS), true)));
            desk.arrive(now)
        } else {
            desk.leave(now)
        };
        if serve {
            heap.push(Reverse((now + exponential(luck.bits(), SERVICE_NS), false)));
        }
    }
    desk.spent_ns
}
