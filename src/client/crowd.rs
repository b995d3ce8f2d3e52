//! A crowd of subscribers: one program with many connections, each of which subscribes and listens, as a load generator
//! for Pub/Sub does. It counts what it hears instead of recording each reception: which messages of whom, how often, and
//! when the first and the last came, tenth of a second by tenth of a second.
//!
//! Connections are opened as `redis-benchmark` opens its own. One that fails or ends is opened anew after the pause of
//! the reference's subscriber.

use super::tally::{Times, slice};
use super::timing::Timing;
use super::{Config, Counters, OPENED_AT_ONCE, OPENING_PAUSE, Setup, Target};
use crate::kernel::{Span, Time};
use crate::program::{Input, Out, Sock, TimerId, Token};
use crate::record::{Heard, Op, Pace, Recording};
use crate::wire::{Addr, ChannelId, Command, Message, Payload};

/// The pause after a failure: that of the reference's subscriber.
const PAUSE: Span = Span::from_millis(100);

const OPENING: TimerId = TimerId(0);
/// Connection `n` has this token and timer plus `n`.
const FIRST: u32 = 1;

/// Messages of one publisher that were heard within one slice of time.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    slice: u64,
    began: Time,
    /// First and last SEQ; all in between were heard.
    seqs: (u32, u32),
    times: Times,
}

impl Stretch {
    fn op(&self, publisher: u16) -> Op {
        let ticks = |at: Time| Recording::ticks_between(self.began, at);
        let Times { count, last, gap, gap_end } = self.times;
        let gap = Recording::ticks_between(Time::ZERO, Time::ZERO + gap);
        let pace = Pace { last: ticks(last), gap, gap_end: ticks(gap_end) };
        Op::Heard(Heard { publisher, seqs: self.seqs, count, pace })
    }
}

/// Many subscribers in one program.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    config: Config,
    channel: ChannelId,
    pub(super) timing: Timing,
    addr: Addr,
    socks: Vec<Option<Sock>>,
    open: u32,
    origin: Time,
    /// By publisher: what is not recorded yet.
    stretches: Vec<Option<Stretch>>,
    last_heard: Time,
    pub(super) counters: Counters,
}

impl Crowd {
    pub(super) fn new(setup: Setup) -> Crowd {
        let Target::Proxy(addr) = setup.target else { unreachable!("the scenario was checked: a crowd has a proxy") };
        Crowd {
            channel: setup.channel,
            timing: Timing::new(setup.work),
            addr,
            socks: Vec::with_capacity(setup.config.connections as usize),
            open: 0,
            origin: setup.origin,
            stretches: Vec::new(),
            last_heard: Time::ZERO,
            counters: Counters::default(),
            config: setup.config,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.open > 0
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        match input {
            Input::Start => {
                self.last_heard = out.now();
                self.begin(out);
            }
            Input::Timer(OPENING) => self.begin(out),
            Input::Timer(TimerId(timer)) => self.connect(timer - FIRST, out),
            Input::Connected { token: Token(token) } => {
                self.open += 1;
                let sock = self.socks[(token - FIRST) as usize].expect("what is connected was opened");
                out.command(sock, Command::Subscribe(self.channel));
            }
            Input::ConnectFailed { token: Token(token), .. } => self.again(token - FIRST, out),
            Input::Ended { token: Token(token), how } => {
                self.open -= 1;
                let sock = self.socks[(token - FIRST) as usize].expect("what ends was opened");
                super::close_after(how, sock, out);
                self.again(token - FIRST, out);
            }
            Input::Data { message: Message::Push(_, payload), .. } => {
                self.counters.received += 1;
                if let Payload::Sequence { publisher, seq, .. } = payload {
                    self.hear(publisher, seq, out);
                }
            }
            Input::Data { .. } => self.counters.ok += 1,
            _ => {}
        }
    }

    fn hear(&mut self, publisher: u16, seq: u32, out: &mut Out) {
        let (now, place) = (out.now(), publisher as usize);
        let gap = now.since(std::mem::replace(&mut self.last_heard, now));
        if self.stretches.len() <= place {
            self.stretches.resize(place + 1, None);
        }
        let slice = slice(now, self.origin);
        let entry = &mut self.stretches[place];
        match entry {
            Some(stretch)
                if stretch.slice == slice && (stretch.seqs.0..=stretch.seqs.1.saturating_add(1)).contains(&seq) =>
            {
                stretch.seqs.1 = stretch.seqs.1.max(seq);
                stretch.times.add(now, gap);
            }
            _ => {
                let new = Stretch { slice, began: now, seqs: (seq, seq), times: Times::one(now, gap) };
                if let Some(old) = entry.replace(new) {
                    out.op(old.began, old.op(publisher));
                }
            }
        }
    }

    /// What it has heard and not recorded.
    pub(super) fn unrecorded(&self) -> Vec<(Time, Op)> {
        let of = |(publisher, stretch): (usize, &Option<Stretch>)| {
            stretch.map(|stretch| (stretch.began, stretch.op(publisher as u16)))
        };
        self.stretches.iter().enumerate().filter_map(of).collect()
    }

    /// Opens the next connections.
    fn begin(&mut self, out: &mut Out) {
        for _ in 0..OPENED_AT_ONCE {
            if self.socks.len() == self.config.connections as usize {
                return;
            }
            self.socks.push(None);
            self.connect(self.socks.len() as u32 - 1, out);
        }
        out.set_timer(OPENING, self.timing.python_sleep(out.now(), OPENING_PAUSE));
    }

    fn connect(&mut self, number: u32, out: &mut Out) {
        self.counters.attempted += 1;
        self.socks[number as usize] = Some(out.connect(self.addr, Token(FIRST + number)));
    }

    fn again(&mut self, number: u32, out: &mut Out) {
        self.socks[number as usize] = None;
        out.set_timer(TimerId(FIRST + number), self.timing.python_sleep(out.now(), PAUSE));
    }
}
