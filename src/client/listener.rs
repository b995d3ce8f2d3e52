//! A subscriber by its library's habits: one connection, SUBSCRIBE, and listening.
//!
//! Most libraries set no limit while they listen, so that a connection on which nothing comes any more is never given up;
//! what limits there are hold for opening it and for what is said first. After a failure the library opens the subscription
//! again, some times or for ever; when it has given up, the program begins anew after a pause.

use super::habits::Habits;
use super::library::Runtime;
use super::link::{Link, Step};
use super::route::{Route, Told};
use super::timing::Timing;
use super::{Counters, Setup, Target};
use crate::kernel::{Span, Stream};
use crate::program::{Input, Out, TimerId, Token};
use crate::record::{ConnectEnd, Op};
use crate::wire::{ChannelId, Command, Message, Payload, Reply};

const TICK: TimerId = TimerId(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pausing,
    Opening,
    /// SUBSCRIBE was sent.
    Confirming,
    Reading,
    /// PING was sent, and its answer is awaited.
    Pinging,
}

/// A program that subscribes and listens.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    habits: Habits,
    runtime: Runtime,
    channel: ChannelId,
    timing: Timing,
    draws: Stream,
    route: Route,
    asks: bool,
    link: Link,
    state: State,
    /// Since something was read.
    failures: u32,
    pub(super) counters: Counters,
}

impl Listener {
    pub(super) fn new(setup: Setup) -> Listener {
        let habits = setup.habits();
        let library = setup.config.library;
        let asks = matches!(setup.target, Target::Sentinels(_));
        let route = Route::new(setup.target, habits.asking, library.runtime);
        let link = Link::new(Token(route.names()), TimerId(route.names() + 1));
        Listener {
            habits,
            runtime: library.runtime,
            channel: setup.channel,
            timing: Timing::new(setup.work),
            draws: setup.program,
            route,
            asks,
            link,
            state: State::Pausing,
            failures: 0,
            counters: Counters::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_open()
    }

    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![self.timing.stream(), &mut self.draws]
    }

    /// The end of a wait for something to read, or of a pause.
    fn wait_timer(&self) -> TimerId {
        TimerId(self.route.names() + 2)
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        if self.route.takes(&input) {
            let told = self.route.handle(&input, &mut self.timing, &mut self.draws, out);
            return self.told(told, out);
        }
        match input {
            Input::Start | Input::Timer(TICK) => self.open(out),
            Input::Timer(timer) if timer == self.wait_timer() => self.heard_nothing(out),
            input => {
                let manner = (&self.habits, self.asks, self.runtime);
                let step = self.link.handle(input, manner, &mut self.timing, out);
                self.stepped(step, out);
            }
        }
    }

    fn open(&mut self, out: &mut Out) {
        self.state = State::Opening;
        self.counters.attempted += 1;
        self.link.begin();
        self.needs_address(out);
    }

    fn needs_address(&mut self, out: &mut Out) {
        self.link.seek(&mut self.route, &self.habits, &mut self.timing, out);
    }

    fn told(&mut self, told: Told, out: &mut Out) {
        match told {
            Told::Switched(addr) => {
                let elsewhere = self.link.to().is_some_and(|to| to != addr);
                let in_use = self.link.is_connected();
                // A subscriber's connection is in use: only who closes all of them closes it.
                if elsewhere && in_use && self.habits.asking.on_switch == super::habits::OnSwitch::ClosesAll {
                    self.fail(ConnectEnd::ReadClosed, out);
                }
            }
            told => {
                let step = self.link.heard(told, &self.habits, &mut self.timing, out);
                self.stepped(step, out);
            }
        }
    }

    fn stepped(&mut self, step: Step, out: &mut Out) {
        match step {
            Step::Nothing => {}
            Step::NeedsAddress => self.needs_address(out),
            Step::Opened => {
                self.route.arrived(&mut self.draws);
                self.timing.step(self.runtime, out);
                self.link.command(Command::Subscribe(self.channel), out);
                self.state = State::Confirming;
                if !self.habits.listening.tells_of_it {
                    self.opened(out);
                }
                let listening = self.habits.listening;
                let limit = if listening.confirms { self.habits.command_timeout } else { self.silence() };
                self.wait(limit, out);
            }
            Step::Failed(failure) => self.fail(failure.into(), out),
            Step::Read(message) => self.read(message, out),
            Step::Ended(_) if self.state == State::Confirming && self.habits.listening.tells_of_it => {
                self.fail(ConnectEnd::SubscribeClosed, out)
            }
            Step::Ended(_) => self.fail(ConnectEnd::ReadClosed, out),
        }
    }

    /// How long silence may last before something is done.
    fn silence(&self) -> Option<Span> {
        self.habits.listening.read_timeout.or(self.habits.listening.ping_after)
    }

    fn wait(&mut self, limit: Option<Span>, out: &mut Out) {
        match limit {
            Some(limit) => out.set_timer(self.wait_timer(), self.timing.python_limit(out.now(), limit)),
            None => out.clear_timer(self.wait_timer()),
        }
    }

    fn read(&mut self, message: Message, out: &mut Out) {
        self.timing.step(self.runtime, out);
        self.failures = 0;
        match (self.state, message) {
            (State::Confirming, Message::Reply(Reply::Subscribed(..))) if self.habits.listening.tells_of_it => {
                self.opened(out);
            }
            (_, Message::Reply(Reply::Error(_))) => return self.fail(ConnectEnd::SubscribeClosed, out),
            (_, Message::Push(_, Payload::Sequence { publisher, seq, .. })) => {
                self.counters.received += 1;
                out.op(out.now(), Op::Receive { publisher, seq });
            }
            _ => {}
        }
        self.state = State::Reading;
        self.wait(self.silence(), out);
    }

    fn opened(&mut self, out: &mut Out) {
        self.counters.ok += 1;
        out.op(out.now(), Op::Connect(ConnectEnd::Open));
    }

    fn heard_nothing(&mut self, out: &mut Out) {
        let listening = self.habits.listening;
        match self.state {
            State::Confirming if listening.confirms => self.fail(ConnectEnd::SubscribeTimeout, out),
            State::Confirming | State::Reading if listening.read_timeout.is_some() => {
                self.fail(ConnectEnd::ReadTimeout, out);
            }
            State::Confirming | State::Reading => {
                self.timing.step(self.runtime, out);
                self.link.command(Command::Ping, out);
                match listening.ping_timeout {
                    Some(limit) => {
                        self.state = State::Pinging;
                        self.wait(Some(limit), out);
                    }
                    None => self.wait(listening.ping_after, out),
                }
            }
            State::Pinging => self.fail(ConnectEnd::ReadTimeout, out),
            State::Pausing | State::Opening => {}
        }
    }

    fn fail(&mut self, end: ConnectEnd, out: &mut Out) {
        self.timing.step(self.runtime, out);
        self.link.close(out);
        out.clear_timer(self.wait_timer());
        out.op(out.now(), Op::Connect(end));
        let listening = self.habits.listening;
        // Who opens a lost connection at once does so with none that never was one.
        let never_was = self.state == State::Opening && self.failures == 0 && listening.backoff.at_once;
        self.state = State::Pausing;
        self.failures += if never_was { 2 } else { 1 };
        let pause = if self.failures <= listening.resumes {
            listening.backoff.pause(self.failures, &mut self.draws)
        } else {
            self.failures = 0;
            listening.pause
        };
        match pause {
            Span::ZERO => self.open(out),
            pause => out.set_timer(TICK, self.timing.python_sleep(out.now(), pause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::testing::{Bench, Service, library};
    use crate::client::{Config, Kind};
    use crate::kernel::Span;
    use crate::program::Ended;
    use crate::units::Limit;
    use crate::wire::Command;

    fn pings(bench: &Bench) -> usize {
        bench.written.iter().filter(|(_, _, command)| *command == Command::Ping).count()
    }

    #[test]
    fn silence_is_not_noticed_unless_an_answer_is_awaited() {
        let limit = |secs| Some(Limit(Some(Span::from_secs(secs))));
        let own = Config { ping_after: limit(3), command_timeout: limit(1), ..library(Kind::Subscribe, "redis-rb") };
        for (config, connects, at_least) in
            [(library(Kind::Subscribe, "redis-rb"), 0, 0), (library(Kind::Subscribe, "go-redis-v9"), 0, 9), (own, 1, 1)]
        {
            let word = config.library;
            let mut bench = Bench::new(config);
            bench.start(100);
            bench.forget();
            bench.service = Service::Silent;
            bench.run(30_000);
            assert_eq!(bench.connects.len().min(1), connects, "{word}");
            assert!(pings(&bench) >= at_least, "{word}: {}", pings(&bench));
        }
    }

    #[test]
    fn a_lost_subscription_is_opened_again() {
        // At once by the library, or after the program's pause.
        for (word, millis) in [("go-redis-v9", 20), ("redis-py", 2), ("redis-rb", 20), ("hiredis", 120)] {
            let mut bench = Bench::new(library(Kind::Subscribe, word));
            bench.start(100);
            bench.forget();
            bench.cut(Ended::Eof);
            bench.run(millis);
            assert_eq!(bench.connects.len(), 1, "{word}");
        }
    }
}
