//! A library that opens connections when a command needs one: redis-py, go-redis 9, redis-rb, phpredis, Jedis, hiredis,
//! and any client made of settings.
//!
//! A command takes a connection of the pool, or opens one by the way to the master, writes, and waits for the reply. What
//! a failure means is the library's habit: the command is tried again after a pause, or its caller hears of it. Attempts
//! are awaited one by one: the next begins `every` after the last one began, or at once if that took longer. With a
//! `concurrency` above 1 one begins every `every`, and is skipped while so many run.

use std::collections::VecDeque;

use super::habits::{Habits, OnReadonly, OnSwitch};
use super::library::Runtime;
use super::link::{Failure, Link, Stage, Step};
use super::route::{Route, Told};
use super::timing::Timing;
use super::{Config, Counters, Kind, Setup, Target, command, record_attempt, record_waited, reply_outcome};
use crate::kernel::{Span, Stream, Time};
use crate::program::{Ended, Input, Out, TimerId, Token};
use crate::record::{ConnectEnd, Op, Outcome};
use crate::wire::{Addr, ChannelId, Command, ErrorKind, Message, Reply};

const TICK: TimerId = TimerId(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Between two tries.
    BackingOff,
    /// Waits for a free connection.
    Queueing,
    /// Waits for a connection to open.
    Opening(u32),
    /// Waits for the reply.
    Waiting(u32),
    /// A SET that was acknowledged waits for the reply to its WAIT.
    Replicating(u32),
}

#[derive(Clone, Copy, Debug)]
struct Call {
    state: State,
    kind: Kind,
    seq: u32,
    began: Time,
    /// When its SET was acknowledged, if a WAIT goes on since.
    acknowledged: Option<Time>,
    tries: u32,
}

/// A connection and who uses it.
#[derive(Clone, Debug)]
struct Pooled {
    link: Link,
    user: Option<u32>,
    used_at: Time,
}

/// A program that calls such a library at a pace.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    config: Config,
    habits: Habits,
    runtime: Runtime,
    reports: bool,
    concurrency: u32,
    index: u16,
    channel: ChannelId,
    timing: Timing,
    draws: Stream,
    route: Route,
    asks: bool,
    pool: Vec<Pooled>,
    /// Unused connections, the one that was used last at the end.
    idle: Vec<u32>,
    /// Calls that wait for a connection.
    queue: VecDeque<u32>,
    calls: Vec<Call>,
    running: u32,
    due: Time,
    /// The client object is of no more use.
    dead: bool,
    pub(super) seq: u32,
    pub(super) counters: Counters,
}

impl Caller {
    pub(super) fn new(setup: Setup) -> Caller {
        assert!(setup.config.every > Span::ZERO, "a client at a pace has time between two attempts");
        let habits = setup.habits();
        let library = setup.config.library;
        let asks = matches!(setup.target, Target::Sentinels(_));
        Caller {
            habits,
            runtime: library.runtime,
            reports: library.reports_connections,
            concurrency: setup.config.concurrency(),
            index: setup.index,
            channel: setup.channel,
            timing: Timing::new(setup.work),
            draws: setup.program,
            route: Route::new(setup.target, habits.asking, library.runtime),
            asks,
            pool: Vec::new(),
            idle: Vec::new(),
            queue: VecDeque::new(),
            calls: Vec::new(),
            running: 0,
            due: Time::ZERO,
            dead: false,
            seq: setup.counted,
            counters: Counters::default(),
            config: setup.config,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.pool.iter().any(|pooled| pooled.link.is_open())
    }

    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![self.timing.stream(), &mut self.draws]
    }

    fn first_timer(&self) -> u32 {
        self.route.names() + 1
    }

    fn call_timer(&self, call: u32) -> TimerId {
        TimerId(self.first_timer() + 2 * call + 1)
    }

    pub(super) fn handle(&mut self, input: Input, out: &mut Out) {
        if self.route.takes(&input) {
            let told = self.route.handle(&input, &mut self.timing, &mut self.draws, out);
            return self.told(told, out);
        }
        match input {
            Input::Start => {
                self.due = out.now();
                self.tick(out);
            }
            Input::Timer(TICK) => self.tick(out),
            Input::Timer(TimerId(timer)) => {
                let name = timer - self.first_timer();
                if name % 2 == 1 { self.expired(name / 2, out) } else { self.link(name / 2, input, out) }
            }
            Input::Connected { token: Token(token) }
            | Input::ConnectFailed { token: Token(token), .. }
            | Input::Data { token: Token(token), .. }
            | Input::Ended { token: Token(token), .. } => self.link(token - self.route.names(), input, out),
            _ => {}
        }
    }

    fn tick(&mut self, out: &mut Out) {
        if self.running < self.concurrency {
            self.begin(out);
        }
        // With one call at a time, the next tick is that after its end, which may have come at once.
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

    fn begin(&mut self, out: &mut Out) {
        self.seq += 1;
        self.counters.attempted += 1;
        self.running += 1;
        let call = Call {
            state: State::Free,
            kind: self.config.kind,
            seq: self.seq,
            began: out.now(),
            acknowledged: None,
            tries: 0,
        };
        let place = self.calls.iter().position(|call| call.state == State::Free);
        let place = place.unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        self.calls[place] = call;
        if self.dead {
            return self.finish(place as u32, Outcome::ConnectClosed, None, out);
        }
        self.attempt(place as u32, out);
    }

    /// Takes a connection, opens one, or waits.
    fn attempt(&mut self, call: u32, out: &mut Out) {
        self.timing.step(self.runtime, out);
        while let Some(place) = self.idle.pop() {
            let pooled = &mut self.pool[place as usize];
            let rested = out.now().since(pooled.used_at);
            let is_old = self.habits.pool.idle.is_some_and(|idle| rested >= idle);
            if is_old || (self.habits.pool.check && pooled.link.stale().is_some()) {
                pooled.link.close(out);
                continue;
            }
            pooled.user = Some(call);
            return self.write(call, place, out);
        }
        let free = self.pool.iter().position(|pooled| pooled.user.is_none() && pooled.link.stage == Stage::Closed);
        let place = match free {
            Some(place) => place,
            None if self.pool.len() < self.habits.pool.size as usize => {
                let place = self.pool.len() as u32;
                let token = Token(self.route.names() + place);
                let link = Link::new(token, TimerId(self.first_timer() + 2 * place));
                self.pool.push(Pooled { link, user: None, used_at: out.now() });
                self.pool.len() - 1
            }
            None => {
                self.calls[call as usize].state = State::Queueing;
                self.queue.push_back(call);
                if let Some(wait) = self.habits.pool.wait {
                    let at = self.timing.python_limit(out.now(), wait);
                    out.set_timer(self.call_timer(call), at);
                }
                return;
            }
        };
        self.pool[place].user = Some(call);
        self.calls[call as usize].state = State::Opening(place as u32);
        self.pool[place].link.begin();
        self.needs_address(place as u32, out);
    }

    fn needs_address(&mut self, place: u32, out: &mut Out) {
        self.pool[place as usize].link.seek(&mut self.route, &self.habits, &mut self.timing, out);
    }

    fn told(&mut self, told: Told, out: &mut Out) {
        match told {
            Told::Nothing => {}
            Told::Master(addr) => {
                for place in 0..self.pool.len() {
                    if self.pool[place].link.stage == Stage::Asking {
                        self.pool[place].link.dial(addr, &self.habits, &mut self.timing, out);
                    }
                }
            }
            Told::Nobody => {
                for place in 0..self.pool.len() {
                    if self.pool[place].link.stage == Stage::Asking {
                        let step = self.pool[place].link.lost(Failure::NoMaster, &self.habits, &mut self.timing, out);
                        self.stepped(place as u32, step, out);
                    }
                }
            }
            Told::Switched(addr) => self.switched(addr, out),
        }
    }

    /// The master is another node: connections to the old one are of no more use.
    fn switched(&mut self, addr: Addr, out: &mut Out) {
        let only_idle = self.habits.asking.on_switch == OnSwitch::ClosesIdle;
        for place in 0..self.pool.len() as u32 {
            let pooled = &mut self.pool[place as usize];
            let elsewhere = pooled.link.to().is_some_and(|to| to != addr);
            // A dial is not one of the pool's connections yet.
            if !elsewhere || !pooled.link.is_connected() {
                continue;
            }
            match pooled.user {
                None => {
                    pooled.link.close(out);
                    self.idle.retain(|idle| *idle != place);
                }
                Some(_) if only_idle => {}
                Some(call) => {
                    pooled.link.close(out);
                    let outcome = match self.calls[call as usize].state {
                        State::Opening(_) => Outcome::ConnectClosed,
                        State::Replicating(_) => Outcome::Unreplicated,
                        _ => Outcome::ReplyClosed,
                    };
                    self.release(place, out);
                    self.failed(call, outcome, out);
                }
            }
        }
    }

    fn link(&mut self, place: u32, input: Input, out: &mut Out) {
        let manner = (&self.habits, self.asks, self.runtime);
        let Some(pooled) = self.pool.get_mut(place as usize) else { return };
        let step = pooled.link.handle(input, manner, &mut self.timing, out);
        self.stepped(place, step, out);
    }

    fn stepped(&mut self, place: u32, step: Step, out: &mut Out) {
        let user = self.pool[place as usize].user;
        match (step, user) {
            (Step::NeedsAddress, _) => self.needs_address(place, out),
            (Step::Opened, Some(call)) => {
                self.route.arrived(&mut self.draws);
                if self.reports {
                    out.op(out.now(), Op::Connect(ConnectEnd::Open));
                }
                self.write(call, place, out);
            }
            (Step::Failed(failure), Some(call)) => {
                self.dead |= self.habits.dies;
                self.release(place, out);
                self.failed_as(call, failure.into(), failure.told(&self.habits), out);
            }
            (Step::Read(Message::Reply(reply)), Some(call)) => self.replied(call, place, &reply, out),
            (Step::Ended(how), Some(call)) => self.broken(call, place, how, out),
            _ => {}
        }
    }

    fn write(&mut self, call: u32, place: u32, out: &mut Out) {
        self.timing.step(self.runtime, out);
        let Call { kind, seq, .. } = self.calls[call as usize];
        self.calls[call as usize].state = State::Waiting(place);
        let asked = command(&self.config, kind, self.channel, self.index, seq, false);
        self.ask(call, place, asked, out);
    }

    /// Writes a command and waits for its reply.
    fn ask(&mut self, call: u32, place: u32, asked: Command, out: &mut Out) {
        let link = &mut self.pool[place as usize].link;
        link.command(asked, out);
        match link.stale() {
            // The kernel took the command, but the read finds the FIN; or the write failed.
            Some(how) => self.broken(call, place, how, out),
            None => match self.habits.command_timeout {
                Some(limit) => {
                    let at = self.timing.python_limit(out.now(), limit);
                    out.set_timer(self.call_timer(call), at);
                }
                None => out.clear_timer(self.call_timer(call)),
            },
        }
    }

    fn broken(&mut self, call: u32, place: u32, how: Ended, out: &mut Out) {
        self.timing.step(self.runtime, out);
        let outcome = match how {
            _ if self.is_acknowledged(call) => Outcome::Unreplicated,
            Ended::Eof | Ended::Reset => Outcome::ReplyClosed,
            Ended::TimedOut => Outcome::ReplyTimeout,
        };
        self.pool[place as usize].link.close(out);
        self.release(place, out);
        self.failed(call, outcome, out);
    }

    /// The connection is free: for the next use, or, if it is closed, for the next opening.
    fn release(&mut self, place: u32, out: &mut Out) {
        let pooled = &mut self.pool[place as usize];
        pooled.user = None;
        pooled.used_at = out.now();
        if pooled.link.is_open() {
            self.idle.push(place);
        }
        if let Some(next) = self.queue.pop_front() {
            out.clear_timer(self.call_timer(next));
            self.attempt(next, out);
        }
    }

    /// Whether its SET was acknowledged, and its WAIT is under way.
    fn is_acknowledged(&self, call: u32) -> bool {
        matches!(self.calls[call as usize].state, State::Replicating(_))
    }

    fn replied(&mut self, call: u32, place: u32, reply: &Reply, out: &mut Out) {
        if self.calls[call as usize].state == State::Replicating(place) {
            self.timing.step(self.runtime, out);
            let met = self.config.wait.is_some_and(|wait| wait.is_met(reply));
            self.release(place, out);
            return self.finish(call, if met { Outcome::Ok } else { Outcome::Unreplicated }, None, out);
        }
        if self.calls[call as usize].state != State::Waiting(place) {
            return;
        }
        self.timing.step(self.runtime, out);
        let outcome = reply_outcome(reply);
        if let (Outcome::Ok, Some(wait)) = (outcome, self.config.wait) {
            let acknowledged = &mut self.calls[call as usize];
            (acknowledged.state, acknowledged.acknowledged) = (State::Replicating(place), Some(out.now()));
            return self.ask(call, place, wait.command(), out);
        }
        let readonly = matches!(reply, Reply::Error(ErrorKind::Readonly));
        if readonly && self.habits.on_readonly != OnReadonly::Keep {
            self.pool[place as usize].link.close(out);
        }
        self.release(place, out);
        if readonly && self.habits.on_readonly == OnReadonly::Retry {
            return self.again(call, outcome, out);
        }
        let receivers = match reply {
            Reply::Int(count) => u32::try_from(*count).ok(),
            _ => None,
        };
        self.finish(call, outcome, receivers, out);
    }

    fn expired(&mut self, call: u32, out: &mut Out) {
        match self.calls[call as usize].state {
            State::BackingOff => self.attempt(call, out),
            State::Queueing => {
                self.queue.retain(|waiting| *waiting != call);
                self.finish(call, Outcome::PoolTimeout, None, out);
            }
            State::Waiting(place) | State::Replicating(place) => {
                self.timing.step(self.runtime, out);
                let outcome = if self.is_acknowledged(call) { Outcome::Unreplicated } else { Outcome::ReplyTimeout };
                self.pool[place as usize].link.close(out);
                self.release(place, out);
                self.failed(call, outcome, out);
            }
            State::Free | State::Opening(_) => {}
        }
    }

    fn failed(&mut self, call: u32, outcome: Outcome, out: &mut Out) {
        self.failed_as(call, outcome, outcome, out);
    }

    /// What happened decides whether it is tried again; the caller may be told something else.
    fn failed_as(&mut self, call: u32, outcome: Outcome, told: Outcome, out: &mut Out) {
        let on = self.habits.retry_on;
        let may = match outcome {
            Outcome::Unreplicated => false,
            Outcome::ReplyTimeout => on.command_timeout,
            Outcome::ConnectTimeout => on.connect_timeout,
            Outcome::ConnectRefused | Outcome::ConnectUnreachable | Outcome::NoMaster => on.refused,
            _ => on.closed,
        };
        if may { self.again(call, told, out) } else { self.finish(call, told, None, out) }
    }

    fn again(&mut self, call: u32, outcome: Outcome, out: &mut Out) {
        if self.calls[call as usize].tries >= self.habits.retries || self.dead {
            return self.finish(call, outcome, None, out);
        }
        let entry = &mut self.calls[call as usize];
        entry.tries += 1;
        (entry.state, entry.acknowledged) = (State::BackingOff, None);
        let pause = self.habits.backoff.pause(entry.tries, &mut self.draws);
        match pause {
            Span::ZERO => self.attempt(call, out),
            pause => {
                let at = self.timing.python_sleep(out.now(), pause);
                out.set_timer(self.call_timer(call), at);
            }
        }
    }

    fn finish(&mut self, call: u32, outcome: Outcome, receivers: Option<u32>, out: &mut Out) {
        out.clear_timer(self.call_timer(call));
        let Call { kind, seq, began, acknowledged, .. } = self.calls[call as usize];
        match acknowledged {
            Some(answered) => record_waited(seq, (began, answered), outcome, out),
            None => record_attempt(kind, seq, began, outcome, receivers, out),
        }
        let was_first = kind == self.config.kind;
        self.counters.ok += u64::from(was_first && outcome.is_acknowledged());
        if was_first && kind == Kind::Publish && self.config.then_set && outcome == Outcome::Ok {
            let entry = &mut self.calls[call as usize];
            *entry = Call { state: State::Free, kind: Kind::Set, seq, began: out.now(), acknowledged: None, tries: 0 };
            return self.attempt(call, out);
        }
        self.calls[call as usize].state = State::Free;
        self.running -= 1;
        if self.concurrency == 1 {
            self.next_tick(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::habits::PoolSettings;
    use crate::client::testing::{Bench, Service, library};
    use crate::client::{Config, Kind};
    use crate::kernel::Span;
    use crate::program::{ConnectError, Ended};
    use crate::record::Outcome;
    use crate::units::Limit;
    use crate::wire::{Command, ErrorKind};

    #[test]
    fn a_refused_command_is_tried_as_often_as_the_library_tries() {
        for (word, tries) in [("redis-rb", 2), ("hiredis", 1), ("go-redis-v9.7", 4)] {
            let mut bench = Bench::new(Config { requests: Some(1), ..library(Kind::Set, word) });
            bench.service = Service::Fails(ConnectError::Refused);
            bench.start(2_000);
            assert_eq!(bench.connects.len(), tries, "{word}");
            assert_eq!(bench.outcomes(), [Outcome::ConnectRefused], "{word}");
        }
    }

    #[test]
    fn a_connection_that_was_closed_meanwhile_is_found_out_before_or_after() {
        for (word, fails) in [("redis-py", false), ("redis-rb", false), ("hiredis", true)] {
            let mut bench = Bench::started(library(Kind::Set, word));
            bench.cut(Ended::Eof);
            bench.run(40);
            assert_eq!(bench.outcomes().contains(&Outcome::ReplyClosed), fails, "{word}: {:?}", bench.outcomes());
        }
    }

    #[test]
    fn after_readonly_the_connection_stays_or_goes() {
        for (word, connects) in [("redis-rb", 0), ("go-redis-v9", 4)] {
            let mut bench = Bench::started(Config { requests: Some(5), ..library(Kind::Set, word) });
            bench.service = Service::Error(ErrorKind::Readonly);
            bench.run(1_000);
            assert_eq!(bench.outcomes(), [Outcome::Readonly], "{word}");
            assert_eq!(bench.connects.len().min(4), connects.min(3), "{word}");
        }
    }

    #[test]
    fn an_object_that_was_refused_ten_times_is_dead() {
        let mut bench = Bench::new(library(Kind::Set, "phpredis"));
        bench.service = Service::Fails(ConnectError::Refused);
        bench.start(1_000);
        assert_eq!(bench.connects.len(), 10);
        // Each attempt fails within its tick, and none is left out.
        assert!(bench.outcomes().len() >= 18, "its program goes on: {}", bench.outcomes().len());
    }

    #[test]
    fn who_finds_no_free_connection_waits_so_long() {
        let wait = Some(Limit(Some(Span::from_millis(100))));
        let pool = Some(PoolSettings { size: Some(1), wait, ..PoolSettings::default() });
        let mut bench = Bench::new(Config { pool, concurrency: Some(9), ..library(Kind::Set, "hiredis") });
        bench.service = Service::Silent;
        bench.start(400);
        assert_eq!(bench.connects.len(), 1);
        assert!(bench.outcomes().iter().all(|outcome| *outcome == Outcome::PoolTimeout));
        assert!(bench.outcomes().len() >= 4, "{:?}", bench.outcomes());
    }

    #[test]
    fn what_is_said_first_has_the_limit_of_a_command() {
        let mut bench = Bench::new(Config { requests: Some(1), ..library(Kind::Set, "go-redis-v9") });
        bench.service = Service::Silent;
        bench.start(6_000);
        assert_eq!(bench.outcomes(), [Outcome::ReplyTimeout], "told as a read, and not tried again");
        assert!(bench.written.iter().all(|(_, _, command)| *command == Command::NoOp));
    }
}
