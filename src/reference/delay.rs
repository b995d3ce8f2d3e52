//! A slow link: a program that holds packets up before a host gets them.
//!
//! The kernel's own `netem` would do, but many small kernels come without it, and its jitter is not the scenario's. A
//! packet filter hands the packets of a link to a queue, and this program lets each go on when its time has come.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

use nfq::{Message, Queue, Verdict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::stack::Stack;
use super::{Error, Launch, Output, Running};
use crate::kernel::Span;
use crate::wire::HostId;

/// How often the queue is looked at.
const LOOK: Duration = Duration::from_micros(300);
/// How long the program may take to bind its queue.
pub(super) const BIND: Duration = Duration::from_millis(20);

/// What a link does to a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay {
    /// Least time from one end to the other.
    pub latency: Span,
    /// Further time, drawn for every packet evenly between zero and this.
    pub jitter: Span,
    /// What the link carries in a second; none: no limit.
    pub bits_per_second: Option<u64>,
}

/// Starts the program on a host, for the queue of a number. It is ready after [`BIND`].
pub(super) fn start(stack: &mut Stack, host: HostId, queue: u16, delay: &Delay) -> Result<Running, Error> {
    let program = std::env::current_exe().map_err(Error::io("this program's own file"))?;
    let mut command = vec![program.display().to_string()];
    let arguments = format!("reference delay {queue} --latency {} --jitter {}", delay.latency, delay.jitter);
    command.extend(arguments.split(' ').map(str::to_string));
    if let Some(rate) = delay.bits_per_second {
        command.extend(["--rate".into(), rate.to_string()]);
    }
    let node = format!("delay-{queue}");
    let launch = Launch { output: Output::File(stack.work.join(&node)), folder: stack.work.clone(), node, command };
    let name = stack.host_name(host).to_string();
    stack.backend.launch(&name, &launch)
}

/// Holds up the packets of a queue until it is killed. Packets keep their order.
pub(crate) fn run(number: u16, delay: &Delay, seed: u64) -> io::Result<()> {
    let mut queue = Queue::open()?;
    queue.bind(number)?;
    queue.set_queue_max_len(number, 100_000)?;
    queue.set_nonblocking(true);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut held: VecDeque<(Instant, Message)> = VecDeque::new();
    let mut sent_until = Instant::now();
    loop {
        match queue.recv() {
            Ok(packet) => {
                let now = Instant::now();
                let bits = packet.get_payload().len() as u64 * 8;
                if let Some(rate) = delay.bits_per_second {
                    sent_until = sent_until.max(now) + Duration::from_nanos(bits * 1_000_000_000 / rate);
                }
                let extra = if delay.jitter.0 > 0 { random.random_range(0..delay.jitter.0) } else { 0 };
                let due = sent_until.max(now) + Duration::from_nanos(delay.latency.0 + extra);
                let due = held.back().map_or(due, |(before, _)| due.max(*before));
                held.push_back((due, packet));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOOK),
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        while held.front().is_some_and(|(due, _)| *due <= now) {
            let (_, mut packet) = held.pop_front().expect("it was there");
            packet.set_verdict(Verdict::Accept);
            queue.verdict(packet)?;
        }
    }
}
