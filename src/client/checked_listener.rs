//! A subscriber whose connection is looked after by a second thread: one connection, one lock (go-redis 9, `pubsub.go`).
//!
//! The *reader* reads without a limit; on an error it closes the connection and opens another one. The *check* writes a PING
//! after some silence and awaits no answer. Whoever finds no connection opens one and holds the lock meanwhile, and the
//! other waits: so it is the check, and not the reader, that dials after the reader's first attempt has failed. What it does
//! may have a limit of its own ([`Check`]), which runs while it waits for the lock, and which what is said first on a
//! connection does not heed.

use std::collections::VecDeque;

use super::habits::{Check, Habits, OnSwitch};
use super::library::Runtime;
use super::link::{Failure, Link, Stage, Step};
use super::route::{Route, Told};
use super::timing::Timing;
use super::{Counters, Setup, Target};
use crate::kernel::{Span, Stream, Time};
use crate::program::{Ended, Input, Out, TimerId, Token};
use crate::record::{ConnectEnd, Op};
use crate::wire::{ChannelId, Command, ErrorKind, Message, Payload, Reply};

const SLEEP: TimerId = TimerId(0);

/// Who holds the lock, or waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    /// The call that subscribes, before there are threads.
    Caller,
    Reader,
    Check,
}

/// What is done under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// The current connection, or a new one.
    Conn,
    /// A new connection, if the one with this number is still the current one.
    Release(u32),
    /// A new connection.
    Reconnect,
}

/// A program that subscribes and listens, and looks after its connection.
#[derive(Clone, Debug)]
pub(super) struct CheckedListener {
    habits: Habits,
    check: Check,
    runtime: Runtime,
    channel: ChannelId,
    timing: Timing,
    draws: Stream,
    route: Route,
    asks: bool,
    link: Link,
    /// The number of the current connection.
    current: Option<u32>,
    serial: u32,
    /// What the kernel holds and the reader has not read.
    unread: VecDeque<Message>,
    holder: Option<(Actor, Task)>,
    queue: VecDeque<(Actor, Task)>,
    /// The connection that the reader is blocked on.
    reading: Option<u32>,
    errors_in_a_row: u32,
    /// Whether the check waits for silence.
    check_waits: bool,
    /// When what the check does is over.
    deadline: Option<Time>,
    pub(super) counters: Counters,
}

impl CheckedListener {
    pub(super) fn new(setup: Setup, check: Check) -> CheckedListener {
        let habits = setup.habits();
        let library = setup.config.library;
        let asks = matches!(setup.target, Target::Sentinels(_));
        let route = Route::new(setup.target, habits.asking, library.runtime);
        let link = Link::new(Token(route.names()), TimerId(route.names() + 1));
        CheckedListener {
            habits,
            check,
            runtime: library.runtime,
            channel: setup.channel,
            timing: Timing::new(setup.work),
            draws: setup.program,
            route,
            asks,
            link,
            current: None,
            serial: 0,
            unread: VecDeque::new(),
            holder: None,
            queue: VecDeque::new(),
            reading: None,
            errors_in_a_row: 0,
            check_waits: false,
            deadline: None,
            counters: Counters::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_open()
    }

    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![self.timing.stream(), &mut self.draws]
    }

    /// The end of a silence.
    fn silence_timer(&self) -> TimerId {
        TimerId(self.route.names() + 2)
    }

    /// The end of what the check does.
    fn deadline_timer(&self) -> TimerId {
        TimerId(self.route.names() + 3)
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        if self.route.takes(&input) {
            let told = self.route.handle(&input, &mut self.timing, &mut self.draws, out);
            return self.told(told, out);
        }
        match input {
            Input::Start => self.lock(Actor::Caller, Task::Conn, out),
            Input::Timer(SLEEP) => self.lock(Actor::Reader, Task::Conn, out),
            Input::Timer(timer) if timer == self.silence_timer() => {
                self.check_waits = false;
                self.limit(self.check.ping, out);
                self.lock(Actor::Check, Task::Conn, out);
            }
            Input::Timer(timer) if timer == self.deadline_timer() => {
                let dials = matches!(self.link.stage, Stage::Asking | Stage::Dialing(_));
                if dials && self.holder.is_some_and(|(actor, _)| actor == Actor::Check) {
                    self.link.close(out);
                    self.not_opened(Failure::Timeout, out);
                }
            }
            input => {
                let manner = (&self.habits, self.asks, self.runtime);
                let step = self.link.handle(input, manner, &mut self.timing, out);
                self.stepped(step, out);
            }
        }
    }

    /// The check begins something that may take so long.
    fn limit(&mut self, limit: Option<Span>, out: &mut Out) {
        self.deadline = limit.map(|limit| out.now() + limit);
        match self.deadline {
            Some(deadline) => out.set_timer(self.deadline_timer(), deadline),
            None => out.clear_timer(self.deadline_timer()),
        }
    }

    fn is_over(&self, actor: Actor, out: &Out) -> bool {
        actor == Actor::Check && self.deadline.is_some_and(|deadline| out.now() >= deadline)
    }

    fn lock(&mut self, actor: Actor, task: Task, out: &mut Out) {
        if self.holder.is_some() {
            assert!(self.queue.len() < 2, "a thread waits for one lock at a time");
            self.queue.push_back((actor, task));
            return;
        }
        self.holder = Some((actor, task));
        let has_to_open = match task {
            Task::Conn => self.current.is_none(),
            Task::Release(serial) => self.current == Some(serial),
            Task::Reconnect => true,
        };
        if !has_to_open {
            return self.unlock(true, out);
        }
        self.link.close(out);
        self.current = None;
        self.unread.clear();
        self.notice_closed(out);
        self.counters.attempted += 1;
        if self.is_over(actor, out) {
            return self.not_opened(Failure::Timeout, out);
        }
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
                if elsewhere && self.habits.asking.on_switch == OnSwitch::ClosesAll {
                    self.switched(out);
                }
            }
            told => {
                let step = self.link.heard(told, &self.habits, &mut self.timing, out);
                self.stepped(step, out);
            }
        }
    }

    /// The connection is closed under whoever uses it.
    fn switched(&mut self, out: &mut Out) {
        if self.link.is_open() {
            self.link.close(out);
            self.lost(out);
        } else if self.link.is_connected() {
            self.link.close(out);
            self.not_opened(Failure::GreetingClosed, out);
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
                self.serial += 1;
                self.current = Some(self.serial);
                self.unlock(true, out);
            }
            Step::Failed(failure) => self.not_opened(failure, out),
            Step::Read(message) => {
                self.unread.push_back(message);
                self.read(out);
            }
            Step::Ended(_) => self.lost(out),
        }
    }

    fn not_opened(&mut self, failure: Failure, out: &mut Out) {
        self.timing.step(self.runtime, out);
        out.op(out.now(), Op::Connect(failure.into()));
        self.unlock(false, out);
    }

    /// The connection ended, or was closed: the reader finds it out when it reads.
    fn lost(&mut self, out: &mut Out) {
        if self.reading.is_some() {
            self.read(out);
        }
    }

    /// What was done under the lock is done: the next one gets it, and the holder goes on.
    fn unlock(&mut self, succeeded: bool, out: &mut Out) {
        let (actor, task) = self.holder.take().expect("the lock is held");
        if let Some((next, task)) = self.queue.pop_front() {
            self.lock(next, task, out);
        }
        match (actor, task) {
            (Actor::Caller, _) => {
                self.check_wait(out);
                self.lock(Actor::Reader, Task::Conn, out);
            }
            (Actor::Reader, Task::Conn) if succeeded => {
                // The check may have closed it in between: then reading fails at once.
                self.reading = self.current;
                if self.reading.is_some() { self.read(out) } else { self.receive_failed(out) }
            }
            (Actor::Reader, _) => self.receive_failed(out),
            (Actor::Check, Task::Conn) => self.ping(succeeded, out),
            // A PING that failed has reconnected by itself; whoever wanted it does that again.
            (Actor::Check, Task::Release(_)) => self.reconnect(out),
            (Actor::Check, Task::Reconnect) => self.check_wait(out),
        }
    }

    /// A reader that is blocked on a connection that was closed under it gets an error, and finds another one.
    fn notice_closed(&mut self, out: &mut Out) {
        let Some(serial) = self.reading else { return };
        if self.current != Some(serial) {
            self.reading = None;
            self.lock(Actor::Reader, Task::Release(serial), out);
        }
    }

    /// The reader takes what is there.
    fn read(&mut self, out: &mut Out) {
        while let Some(serial) = self.reading.filter(|serial| self.current == Some(*serial)) {
            let Some(message) = self.unread.pop_front() else {
                if !self.link.is_open() || self.link.stale().is_some() {
                    self.reading = None;
                    self.timing.step(self.runtime, out);
                    out.op(out.now(), Op::Connect(ConnectEnd::ReadClosed));
                    self.lock(Actor::Reader, Task::Release(serial), out);
                }
                return;
            };
            self.timing.step(self.runtime, out);
            match message {
                Message::Reply(Reply::Error(kind)) => {
                    self.reading = None;
                    // Of all error replies only READONLY makes a connection bad.
                    if kind == ErrorKind::Readonly {
                        self.lock(Actor::Reader, Task::Release(serial), out);
                    } else {
                        self.receive_failed(out);
                    }
                    return;
                }
                Message::Push(_, Payload::Sequence { publisher, seq, .. }) => {
                    self.counters.received += 1;
                    out.op(out.now(), Op::Receive { publisher, seq });
                }
                Message::Reply(Reply::Subscribed(..)) => {
                    self.counters.ok += 1;
                    out.op(out.now(), Op::Connect(ConnectEnd::Open));
                }
                _ => {}
            }
            self.errors_in_a_row = 0;
            if self.check_waits {
                self.check_wait(out);
            }
        }
    }

    fn receive_failed(&mut self, out: &mut Out) {
        self.errors_in_a_row += 1;
        match self.habits.listening.backoff.pause(self.errors_in_a_row, &mut self.draws) {
            Span::ZERO => self.lock(Actor::Reader, Task::Conn, out),
            pause => out.set_timer(SLEEP, self.timing.python_sleep(out.now(), pause)),
        }
    }

    fn check_wait(&mut self, out: &mut Out) {
        self.check_waits = true;
        let Some(silence) = self.habits.listening.ping_after else { return };
        out.set_timer(self.silence_timer(), self.timing.python_sleep(out.now(), silence));
    }

    fn reconnect(&mut self, out: &mut Out) {
        self.limit(self.check.reconnect, out);
        self.lock(Actor::Check, Task::Reconnect, out);
    }

    fn ping(&mut self, connected: bool, out: &mut Out) {
        self.timing.step(self.runtime, out);
        let Some(serial) = self.current.filter(|_| connected) else { return self.reconnect(out) };
        let writable = self.link.is_open() && matches!(self.link.stale(), None | Some(Ended::Eof));
        if writable && !self.is_over(Actor::Check, out) {
            self.link.command(Command::Ping, out);
            self.check_wait(out);
        } else {
            self.lock(Actor::Check, Task::Release(serial), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::testing::{Bench, Service, library};
    use crate::client::{Config, Kind};
    use crate::program::{Ended, Input, Token};
    use crate::units::Limit;
    use crate::wire::Command;

    fn subscribed(word: &str) -> Bench {
        let mut bench = Bench::new(library(Kind::Subscribe, word));
        bench.start(100);
        assert_eq!(bench.open(), 1, "{word}");
        bench.forget();
        bench
    }

    /// Tenths of a second from the end of the connection on.
    fn dials(bench: &Bench) -> Vec<i64> {
        bench.connects.iter().map(|(at, _)| ((Bench::millis(*at) - 100.0) / 100.0).round() as i64).collect()
    }

    #[test]
    fn the_check_dials_after_the_reader_for_as_long_as_its_limit_lets_it() {
        // The check began 3 s after the confirmation, and of its 5 s it waited 2 for the lock.
        for (word, expected) in [("go-redis-v9", [0, 50, 79, 129]), ("go-redis-v9.7", [0, 50, 100, 150])] {
            let mut bench = subscribed(word);
            bench.service = Service::BlackHole;
            bench.cut(Ended::Eof);
            bench.run(15_500);
            assert_eq!(dials(&bench), expected, "{word}");
        }
    }

    #[test]
    fn what_is_said_first_does_not_heed_the_limit_of_the_check() {
        let mut bench = subscribed("go-redis-v9");
        bench.service = Service::Silent;
        bench.cut(Ended::Eof);
        bench.run(10_500);
        // HELLO has 5 s, whoever waits for its answer, though the check's own 5 s began before.
        assert_eq!(dials(&bench), [0, 50, 100]);
    }

    #[test]
    fn a_check_that_got_its_turn_too_late_replaces_a_good_connection() {
        let config = Config { connect_timeout: Some(Limit(None)), ..library(Kind::Subscribe, "go-redis-v9") };
        let mut bench = Bench::new(config);
        bench.start(100);
        bench.service = Service::BlackHole;
        bench.cut(Ended::Eof);
        bench.run(9_000);
        bench.forget();
        // The reader's SYN is answered at last: it held the lock for longer than the 5 s that the check has.
        bench.service = Service::Healthy;
        bench.give(Input::Connected { token: Token(0) });
        bench.run(100);
        assert_eq!(bench.connects.len(), 1, "its PING cannot be written");
        let subscribed = bench.written.iter().filter(|(.., command)| matches!(command, Command::Subscribe(_))).count();
        assert_eq!(subscribed, 2);
    }

    #[test]
    fn a_lost_connection_is_replaced_at_once_and_messages_spare_the_ping() {
        let mut bench = subscribed("go-redis-v9");
        bench.cut(Ended::Reset);
        for seq in 0..40 {
            bench.run(500);
            bench.push(seq);
        }
        assert_eq!(bench.connects.len(), 1);
        assert!(bench.written.iter().all(|(.., command)| *command != Command::Ping));
        assert_eq!(bench.ops().iter().filter(|(_, op)| matches!(op, crate::record::Op::Receive { .. })).count(), 40);
    }
}
