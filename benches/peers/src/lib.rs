//! What all programs share: the work, stated once, and the way to say what came of it.
//!
//! Every program is called with the name of a work, its size and how much of it is to be done, and prints one line:
//! seconds, units of work, checksum. The draws of `hold`, `phold` and `mm1` come from one ChaCha8 stream, one draw an
//! event, in every program but SimPy's; equal checksums show that the same events were executed at the same times.
//!
//! - **hold**: `size` events are pending; the earliest is taken and scheduled again a random time later.
//! - **phold**: `size` logical processes; an event at one of them counts, and schedules an event at a random one.
//! - **mm1**: customers arrive at random, wait in a queue, are served one by one (load 0.9).
//! - **mesh**: every one of `size` nodes sends a message to every other; who gets one passes it on to the next node in
//!   turn. 1 to 10 ms of latency.
//! - **heartbeat**: `size` nodes send a message to every other once a second, and are idle between. The amount is in
//!   seconds of virtual time.

use std::time::Instant;

use sim::kernel::{Purpose, Stream};

/// What is to be done.
pub struct Work {
    /// Which.
    pub name: String,
    /// Pending events, processes or nodes.
    pub size: usize,
    /// Events, customers, messages or seconds of virtual time.
    pub amount: u64,
}

impl Work {
    /// Reads the arguments.
    fn asked() -> Work {
        let arguments: Vec<String> = std::env::args().collect();
        let [_, name, size, amount] = &arguments[..] else { panic!("WORK SIZE AMOUNT") };
        let size = size.parse().expect("a size");
        Work { name: name.clone(), size, amount: amount.parse().expect("an amount") }
    }
}

/// A work, and how a program does it; the answer is the checksum.
pub type Way = (&'static str, fn(&Work) -> u64);

/// The main function of every program: does the work that is asked for and prints seconds, amount and checksum.
pub fn main(ways: &[Way]) {
    let work = Work::asked();
    let (_, way) = ways.iter().find(|(name, _)| *name == work.name).expect("this program does this work");
    let start = Instant::now();
    let checksum = way(&work);
    println!("{} {} {checksum:016x}", start.elapsed().as_secs_f64(), work.amount);
}

/// The draws of all programs.
pub fn luck() -> Stream {
    Stream::named(1, 0, Purpose::Load)
}

/// A delay of 1 to 2³⁷ ns (about two minutes: so long that no two events meet), and what is left of the draw.
#[inline]
pub fn delay(draw: u64) -> u64 {
    1 + (draw >> 27)
}

/// A process below `size`, from the bits of the draw that the delay does not use.
#[inline]
pub fn target(draw: u64, size: usize) -> usize {
    (((draw & ((1 << 27) - 1)) * size as u64) >> 27) as usize
}

/// An exponentially distributed number of nanoseconds.
#[inline]
pub fn exponential(draw: u64, mean_ns: f64) -> u64 {
    let unit = ((draw >> 11) + 1) as f64 / (1u64 << 53) as f64;
    1 + (-libm::log(unit) * mean_ns) as u64
}

/// Mean time between arrivals: so long that no customer comes at the nanosecond in which another leaves, since programs
/// differ in which of the two comes first.
pub const ARRIVAL_NS: f64 = SERVICE_NS / 0.9;
/// Mean time of service.
pub const SERVICE_NS: f64 = 1e9;

/// The state of the M/M/1 queue, the same in every program.
#[derive(Default)]
pub struct Desk {
    /// Times of arrival of those who wait or are served.
    pub queue: std::collections::VecDeque<u64>,
    /// Customers who have left.
    pub served: u64,
    /// Sum of their times in the system.
    pub spent_ns: u64,
}

impl Desk {
    /// A customer comes; whether the service of one must be scheduled.
    pub fn arrive(&mut self, now: u64) -> bool {
        self.queue.push_back(now);
        self.queue.len() == 1
    }

    /// A customer leaves; whether the next is to be served.
    pub fn leave(&mut self, now: u64) -> bool {
        let came = self.queue.pop_front().expect("one was served");
        self.served += 1;
        self.spent_ns = self.spent_ns.wrapping_add(now - came);
        !self.queue.is_empty()
    }
}
