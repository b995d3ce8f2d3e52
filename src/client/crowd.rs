//! A crowd of subscribers: one program with many connections, each of which subscribes and listens, as a load generator
//! for Pub/Sub does. It counts what it hears instead of recording it.
//!
//! Connections are opened as `redis-benchmark` opens its own. One that fails or ends is opened anew after the pause of
//! the reference's subscriber.

use super::timing::Timing;
use super::{Config, Counters, OPENED_AT_ONCE, OPENING_PAUSE, Setup, Target};
use crate::kernel::Span;
use crate::net::{Input, Out, Sock, TimerId, Token};
use crate::wire::{Addr, ChannelId, Command, Message};

/// The pause after a failure: that of the reference's subscriber.
const PAUSE: Span = Span::from_millis(100);

const OPENING: TimerId = TimerId(0);
/// Connection `n` has this token and timer plus `n`.
const FIRST: u32 = 1;

/// Many subscribers in one program.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    config: Config,
    channel: ChannelId,
    pub(super) timing: Timing,
    addr: Addr,
    socks: Vec<Option<Sock>>,
    open: u32,
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
            counters: Counters::default(),
            config: setup.config,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.open > 0
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        match input {
            Input::Start | Input::Timer(OPENING) => self.begin(out),
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
            Input::Data { message: Message::Push(..), .. } => self.counters.received += 1,
            Input::Data { .. } => self.counters.ok += 1,
            _ => {}
        }
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
