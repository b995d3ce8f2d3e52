//! A library that keeps one connection for all its commands: node-redis, ioredis, Lettuce, StackExchange.Redis, fred,
//! and the `ConnectionManager` of redis-rs.
//!
//! The connection is looked after in the background. Commands are written one behind the other without waiting, replies
//! come in the same order; a command that is given up leaves its place in that order behind, so that its late reply is
//! thrown away. Without a connection commands wait. What becomes of those that were sent when it ends is the library's
//! habit: they fail, or they are sent again.

use std::collections::VecDeque;

use super::habits::{Habits, Multiplex, Offline, OnReadonly, OnSwitch};
use super::library::Runtime;
use super::link::{Failure, Link, Stage, Step};
use super::route::{Route, Told};
use super::timing::Timing;
use super::{Config, Counters, Kind, Setup, Target, command, record_attempt, reply_outcome};
use crate::kernel::{Span, Stream, Time};
use crate::program::{Ended, Input, Out, TimerId, Token};
use crate::record::{ConnectEnd, Op, Outcome};
use crate::wire::{ChannelId, Command, ErrorKind, Message, Reply};

const TICK: TimerId = TimerId(0);

#[derive(Clone, Copy, Debug)]
struct Call {
    kind: Kind,
    seq: u32,
    began: Time,
    /// From when on its limit counts.
    since: Time,
    /// It has an outcome, and only its place is kept.
    over: bool,
}

/// A program that calls such a library at a pace.
#[derive(Clone, Debug)]
pub(super) struct Multiplexed {
    config: Config,
    habits: Habits,
    manner: Multiplex,
    runtime: Runtime,
    reports: bool,
    concurrency: u32,
    index: u16,
    channel: ChannelId,
    timing: Timing,
    draws: Stream,
    route: Route,
    asks: bool,
    link: Link,
    /// Sent, in the order of the replies.
    sent: VecDeque<Call>,
    /// Not sent.
    waiting: VecDeque<Call>,
    /// Whether a reconnection is under way.
    reconnects: bool,
    failures: u32,
    running: u32,
    last_read: Time,
    last_write: Time,
    due: Time,
    pub(super) seq: u32,
    pub(super) counters: Counters,
}

impl Multiplexed {
    pub(super) fn new(setup: Setup) -> Multiplexed {
        assert!(setup.config.every > Span::ZERO, "a client at a pace has time between two attempts");
        let habits = setup.habits();
        let library = setup.config.library;
        let asks = matches!(setup.target, Target::Sentinels(_));
        let route = Route::new(setup.target, habits.asking, library.runtime);
        let link = Link::new(Token(route.names()), TimerId(route.names() + 1));
        Multiplexed {
            manner: habits.multiplex.expect("a library with a connection of its own"),
            habits,
            runtime: library.runtime,
            reports: library.reports_connections,
            concurrency: setup.config.concurrency(),
            index: setup.index,
            channel: setup.channel,
            timing: Timing::new(setup.work),
            draws: setup.program,
            route,
            asks,
            link,
            sent: VecDeque::new(),
            waiting: VecDeque::new(),
            reconnects: false,
            failures: 0,
            running: 0,
            last_read: Time::ZERO,
            last_write: Time::ZERO,
            due: Time::ZERO,
            seq: setup.counted,
            counters: Counters::default(),
            config: setup.config,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_open()
    }

    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![self.timing.stream(), &mut self.draws]
    }

    /// The pause between two reconnections.
    fn pause_timer(&self) -> TimerId {
        TimerId(self.route.names() + 2)
    }

    /// The oldest command's limit.
    fn limit_timer(&self) -> TimerId {
        TimerId(self.route.names() + 3)
    }

    fn ping_timer(&self) -> TimerId {
        TimerId(self.route.names() + 4)
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        if self.route.takes(&input) {
            let told = self.route.handle(&input, &mut self.timing, &mut self.draws, out);
            return self.told(told, out);
        }
        match input {
            Input::Start => {
                self.due = out.now();
                (self.last_read, self.last_write) = (out.now(), out.now());
                self.reconnect(out);
                self.tick(out);
            }
            Input::Timer(TICK) => self.tick(out),
            Input::Timer(timer) if timer == self.pause_timer() => self.open(out),
            Input::Timer(timer) if timer == self.limit_timer() => self.expired(out),
            Input::Timer(timer) if timer == self.ping_timer() => self.ping(out),
            input => {
                let manner = (&self.habits, self.asks, self.runtime);
                let step = self.link.handle(input, manner, &mut self.timing, out);
                self.stepped(step, out);
            }
        }
    }

    fn tick(&mut self, out: &mut Out) {
        if self.running < self.concurrency {
            self.seq += 1;
            self.counters.attempted += 1;
            self.running += 1;
            let call = Call { kind: self.config.kind, seq: self.seq, began: out.now(), since: out.now(), over: false };
            self.give(call, out);
        }
        if self.concurrency > 1 {
            self.next_tick(out);
        }
    }

    fn next_tick(&mut self, out: &mut Out) {
        let now = out.now();
        if self.config.requests.is_some_and(|requests| self.counters.attempted >= requests) {
            return;
        }
        self.due += self.config.every;
        if self.due < now && self.concurrency == 1 {
            // A loop that awaits is late, and goes on at once.
            self.due = now;
        }
        let rest = self.due.saturating_since(now);
        out.set_timer(TICK, if rest == Span::ZERO { now } else { self.timing.python_sleep(now, rest) });
    }

    /// A command is given to the library.
    fn give(&mut self, call: Call, out: &mut Out) {
        self.timing.step(self.runtime, out);
        if self.link.stale().is_some() {
            // Its driver is gone; who finds that out gets the error and starts the reconnection.
            self.finish(call, Outcome::ReplyClosed, None, out);
            self.lost(out);
        } else if self.link.is_open() {
            self.send(call, out);
        } else {
            self.waiting.push_back(call);
            if !self.reconnects {
                self.reconnect(out);
            }
        }
        self.set_limit(out);
    }

    fn send(&mut self, call: Call, out: &mut Out) {
        self.link.command(command(&self.config, call.kind, self.channel, self.index, call.seq, false), out);
        self.last_write = out.now();
        self.sent.push_back(call);
    }

    /// The limit of the command that has waited longest.
    fn set_limit(&mut self, out: &mut Out) {
        let Some(limit) = self.habits.command_timeout else { return };
        // In some libraries the time begins when the command can be written.
        let counts_waiting = self.manner.offline == Offline::Waits;
        let waiting = self.waiting.iter().filter(|_| counts_waiting);
        let oldest = self.sent.iter().chain(waiting).filter(|call| !call.over).map(|call| call.since).min();
        match oldest {
            Some(since) => {
                let left = (since + limit).saturating_since(out.now());
                out.set_timer(self.limit_timer(), self.timing.python_limit(out.now(), left));
            }
            None => out.clear_timer(self.limit_timer()),
        }
    }

    fn expired(&mut self, out: &mut Out) {
        let Some(limit) = self.habits.command_timeout else { return };
        let now = out.now();
        let is_late = |call: &Call| !call.over && now.saturating_since(call.since) >= limit;
        let mut late: Vec<Call> = Vec::new();
        for call in self.sent.iter_mut().filter(|call| is_late(call)) {
            late.push(*call);
            call.over = true;
        }
        if self.manner.offline == Offline::Waits {
            late.extend(self.waiting.iter().filter(|call| is_late(call)));
            self.waiting.retain(|call| !is_late(call));
        }
        let any = !late.is_empty();
        for call in late {
            self.finish(call, Outcome::ReplyTimeout, None, out);
        }
        let silent = now.saturating_since(self.last_read);
        let is_dead = self.manner.dead_after.is_some_and(|dead| silent >= dead);
        if any && self.link.is_open() && (self.habits.timeout_closes || is_dead) {
            self.lost(out);
        }
        self.set_limit(out);
    }

    fn ping(&mut self, out: &mut Out) {
        let Some(after) = self.habits.ping_after else { return };
        let due = self.last_write + after;
        if out.now() >= due && self.link.is_open() && self.link.stale().is_none() {
            self.link.command(Command::Ping, out);
            self.last_write = out.now();
            self.sent.push_back(Call {
                kind: self.config.kind,
                seq: 0,
                began: out.now(),
                since: out.now(),
                over: true,
            });
        }
        let next = (self.last_write + after).max(out.now() + Span::from_millis(1));
        out.set_timer(self.ping_timer(), next);
    }

    /// The connection is given up: what was sent fails or waits, and another one is opened.
    fn lost(&mut self, out: &mut Out) {
        self.link.close(out);
        let sent = std::mem::take(&mut self.sent);
        let open: Vec<Call> = sent.into_iter().filter(|call| !call.over).collect();
        if self.manner.resends {
            open.into_iter().rev().for_each(|call| self.waiting.push_front(call));
        } else {
            for call in open {
                self.finish(call, Outcome::ReplyClosed, None, out);
            }
        }
        if !self.reconnects {
            self.reconnect(out);
        }
    }

    fn reconnect(&mut self, out: &mut Out) {
        self.reconnects = true;
        self.failures = 0;
        if self.manner.at_once { self.open(out) } else { self.pause(out) }
    }

    fn pause(&mut self, out: &mut Out) {
        let n = self.failures + u32::from(!self.manner.at_once);
        match self.habits.backoff.pause(n, &mut self.draws) {
            Span::ZERO => self.open(out),
            pause => out.set_timer(self.pause_timer(), self.timing.python_sleep(out.now(), pause)),
        }
    }

    fn open(&mut self, out: &mut Out) {
        if self.link.stage == Stage::Closed {
            self.link.begin();
            self.needs_address(out);
        }
    }

    fn needs_address(&mut self, out: &mut Out) {
        self.link.seek(&mut self.route, &self.habits, &mut self.timing, out);
    }

    fn told(&mut self, told: Told, out: &mut Out) {
        match told {
            Told::Switched(addr) => {
                let elsewhere = self.link.to().is_some_and(|to| to != addr);
                let closes = self.habits.asking.on_switch == OnSwitch::ClosesAll;
                if elsewhere && closes && self.link.is_connected() {
                    self.reconnects = false;
                    self.lost(out);
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
            Step::Opened => self.opened(out),
            Step::Failed(failure) => self.not_opened(failure, out),
            Step::Read(Message::Reply(reply)) => self.replied(&reply, out),
            Step::Read(_) => {}
            // Who reconnects only when a command fails has not looked yet, unless commands wait for replies.
            Step::Ended(how) if !self.manner.lazy || self.sent.iter().any(|call| !call.over) => self.ended(how, out),
            Step::Ended(_) => {}
        }
    }

    fn ended(&mut self, how: Ended, out: &mut Out) {
        debug_assert!(self.link.stale() == Some(how), "it has just ended");
        self.timing.step(self.runtime, out);
        self.lost(out);
        self.set_limit(out);
    }

    fn opened(&mut self, out: &mut Out) {
        self.route.arrived(&mut self.draws);
        if self.reports {
            out.op(out.now(), Op::Connect(ConnectEnd::Open));
        }
        self.reconnects = false;
        self.failures = 0;
        self.last_read = out.now();
        for mut call in std::mem::take(&mut self.waiting) {
            self.timing.step(self.runtime, out);
            if self.manner.offline == Offline::WaitsForReconnect {
                call.since = out.now();
            }
            self.send(call, out);
        }
        if self.habits.ping_after.is_some() {
            self.ping(out);
        }
        self.set_limit(out);
    }

    fn not_opened(&mut self, failure: Failure, out: &mut Out) {
        if self.reports {
            out.op(out.now(), Op::Connect(failure.into()));
        }
        self.failures += 1;
        let gives_up = self.manner.reconnects.is_some_and(|most| self.failures >= most);
        let flushes = self.manner.flush_every.is_some_and(|every| self.failures.is_multiple_of(every));
        if gives_up || flushes {
            for call in std::mem::take(&mut self.waiting) {
                self.finish(call, failure.into(), None, out);
            }
        }
        if gives_up {
            self.reconnects = false;
        } else {
            self.pause(out);
        }
        self.set_limit(out);
    }

    fn replied(&mut self, reply: &Reply, out: &mut Out) {
        self.timing.step(self.runtime, out);
        self.last_read = out.now();
        let Some(call) = self.sent.pop_front() else { return };
        if call.over {
            return self.set_limit(out);
        }
        let receivers = match reply {
            Reply::Int(count) => u32::try_from(*count).ok(),
            _ => None,
        };
        let outcome = reply_outcome(reply);
        self.finish(call, outcome, receivers, out);
        if matches!(reply, Reply::Error(ErrorKind::Readonly)) && self.habits.on_readonly != OnReadonly::Keep {
            self.lost(out);
        }
        self.set_limit(out);
    }

    fn finish(&mut self, call: Call, outcome: Outcome, receivers: Option<u32>, out: &mut Out) {
        record_attempt(call.kind, call.seq, call.began, outcome, receivers, out);
        let was_first = call.kind == self.config.kind;
        self.counters.ok += u64::from(was_first && outcome == Outcome::Ok);
        if was_first && call.kind == Kind::Publish && self.config.then_set && outcome == Outcome::Ok {
            let call = Call { kind: Kind::Set, began: out.now(), since: out.now(), ..call };
            return self.give(call, out);
        }
        self.running -= 1;
        if self.concurrency == 1 {
            self.next_tick(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::Kind;
    use crate::client::testing::{Bench, Service, library};
    use crate::program::Ended;
    use crate::record::Outcome;
    use crate::wire::Command;

    fn sets(bench: &Bench) -> Vec<&Command> {
        bench
            .written
            .iter()
            .map(|(_, _, command)| command)
            .filter(|command| matches!(command, Command::Set(..)))
            .collect()
    }

    #[test]
    fn a_late_reply_is_an_error_and_the_connection_stays() {
        let mut bench = Bench::started(library(Kind::Set, "redis-rs"));
        bench.service = Service::Silent;
        bench.run(2_600);
        assert!(bench.connects.is_empty(), "it is not given up");
        assert_eq!(bench.outcomes().iter().filter(|outcome| **outcome == Outcome::ReplyTimeout).count(), 5);
    }

    #[test]
    fn the_tries_of_the_manager_are_at_the_same_times_in_every_process() {
        let mut bench = Bench::started(library(Kind::Set, "redis-rs"));
        bench.service = Service::Silent;
        bench.cut(Ended::Eof);
        bench.run(9_500);
        let first = Bench::millis(bench.connects[0].0);
        let at: Vec<i64> =
            bench.connects.iter().map(|(at, _)| ((Bench::millis(*at) - first) / 10.0).round() as i64).collect();
        assert_eq!(at, [0, 115, 254, 415, 645, 932], "hundredths of a second");
        assert_eq!(bench.outcomes(), [Outcome::ReplyClosed], "the one that found it out; others wait");
    }

    #[test]
    fn what_was_sent_fails_or_is_sent_again() {
        for (word, again) in [("node-redis", false), ("ioredis", true)] {
            let mut bench = Bench::started(library(Kind::Set, word));
            bench.service = Service::Silent;
            bench.run(200);
            assert_eq!(sets(&bench).len(), 1, "{word}: the program awaits it");
            bench.service = Service::Healthy;
            bench.cut(Ended::Eof);
            bench.run(300);
            let sets = sets(&bench);
            assert_eq!(sets[0] == sets[1], again, "{word}");
            assert_eq!(bench.outcomes().contains(&Outcome::ReplyClosed), !again, "{word}");
        }
    }
}
