//! The way to the master: one address, or what the Sentinels say.
//!
//! A client with an address knows it. One with Sentinels asks them by its habits ([`Asking`]): one after the other or all
//! at once, with or without limits, and may believe only those that do not think the master down. It may also listen for
//! `+switch-master`. One question runs at a time: whoever needs the address meanwhile gets the same answer.

use super::Target;
use super::close_after;
use super::habits::{Asking, OnSwitch, Order};
use super::library::Runtime;
use super::timing::Timing;
use crate::kernel::{Span, Stream};
use crate::program::{Input, Out, Sock, TimerId, Token};
use crate::wire::{
    Addr, ChannelId, Command, GroupId, MasterCommand, Message, Payload, Reply, SentinelCommand, SentinelReply,
};

/// The pause of a thread that lost the Sentinel it listens to: `JedisSentinelPool`, 5 s, of clients that ask once …
const WATCH_PAUSE_ONCE: Span = Span::from_secs(5);
/// … and 100 ms of those whose subscription looks after itself (go-redis, `initMsgChan`).
const WATCH_PAUSE: Span = Span::from_millis(100);

/// A connection to a Sentinel for questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Idle,
    Pausing,
    Dialing(Sock),
    Waiting(Sock),
    /// It answered, and will be asked first.
    Kept(Sock),
}

/// A connection to a Sentinel for its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Off,
    Pausing,
    Dialing(Sock),
    Open(Sock),
}

#[derive(Clone, Debug)]
struct Sentinel {
    addr: Addr,
    ask: Ask,
    failures: u32,
    watch: Watch,
}

/// What an input meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing yet.
    Nothing,
    /// The master is here.
    Master(Addr),
    /// No Sentinel named one.
    Nobody,
    /// A Sentinel said that the master is here from now on.
    Switched(Addr),
}

/// How a client finds the master.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// What is known without asking: the one address, or what was learnt by a client that asks once.
    known: Option<Addr>,
    asking: Asking,
    runtime: Runtime,
    sentinels: Vec<Sentinel>,
    /// In which order they are asked, by place.
    order: Vec<usize>,
    /// Whose turn it is in that order.
    turn: usize,
    /// Whether a question is running.
    asks: bool,
    /// Whether the question goes to one alone, who has answered before.
    alone: Option<usize>,
    /// The first answer, while others are waited for.
    answer: Option<Addr>,
    /// Who gave the last answer.
    answered: Option<usize>,
}

impl Route {
    pub(super) fn new(target: Target, asking: Asking, runtime: Runtime) -> Route {
        let (known, sentinels) = match target {
            Target::Proxy(addr) => (Some(addr), Vec::new()),
            Target::Sentinels(sentinels) => (None, sentinels),
        };
        let sentinel = |addr| Sentinel { addr, ask: Ask::Idle, failures: 0, watch: Watch::Off };
        let sentinels: Vec<Sentinel> = sentinels.into_iter().map(sentinel).collect();
        let order = (0..sentinels.len()).collect();
        Route {
            known,
            asking,
            runtime,
            sentinels,
            order,
            turn: 0,
            asks: false,
            alone: None,
            answer: None,
            answered: None,
        }
    }

    /// Its tokens are below this number; its timers are from 1 to this number.
    pub(super) fn names(&self) -> u32 {
        2 * self.sentinels.len() as u32
    }

    /// Whether an input is for it.
    pub(super) fn takes(&self, input: &Input) -> bool {
        match input {
            Input::Connected { token: Token(token) }
            | Input::ConnectFailed { token: Token(token), .. }
            | Input::Data { token: Token(token), .. }
            | Input::Ended { token: Token(token), .. } => *token < self.names(),
            Input::Timer(TimerId(timer)) => (1..=self.names()).contains(timer),
            _ => false,
        }
    }

    /// Where the master is, if that is known; else it asks, and the answer comes by [`Route::handle`].
    pub(super) fn ask(&mut self, timing: &mut Timing, out: &mut Out) -> Option<Addr> {
        if self.known.is_some() || self.asks {
            return self.known;
        }
        self.asks = true;
        (self.turn, self.answer) = (0, None);
        for sentinel in &mut self.sentinels {
            sentinel.failures = 0;
        }
        match self.alone {
            Some(place) => self.question(place, timing, out),
            None if self.asking.order == Order::AllAtOnce => self.ask_all(None, timing, out),
            None => self.dial(self.order[0], timing, out),
        }
        None
    }

    fn ask_all(&mut self, but: Option<usize>, timing: &mut Timing, out: &mut Out) {
        for place in 0..self.sentinels.len() {
            if Some(place) != but {
                self.dial(place, timing, out);
            }
        }
    }

    fn limit(&mut self, timer: u32, limit: Option<Span>, timing: &mut Timing, out: &mut Out) {
        match limit {
            Some(limit) => out.set_timer(TimerId(1 + timer), timing.python_limit(out.now(), limit)),
            None => out.clear_timer(TimerId(1 + timer)),
        }
    }

    fn dial(&mut self, place: usize, timing: &mut Timing, out: &mut Out) {
        let name = 2 * place as u32;
        self.sentinels[place].ask = Ask::Dialing(out.connect(self.sentinels[place].addr, Token(name)));
        self.limit(name, self.asking.connect_timeout, timing, out);
    }

    /// Asks on the open connection, or opens it first.
    fn question(&mut self, place: usize, timing: &mut Timing, out: &mut Out) {
        let (Ask::Kept(sock) | Ask::Dialing(sock)) = self.sentinels[place].ask else {
            return self.dial(place, timing, out);
        };
        timing.step(self.runtime, out);
        let question = match self.asking.refuses_down {
            true => SentinelCommand::About(Some(GroupId::ONLY), MasterCommand::Master),
            false => SentinelCommand::GetMasterAddrByName(Some(GroupId::ONLY)),
        };
        out.command(sock, Command::Sentinel(Box::new(question)));
        self.sentinels[place].ask = Ask::Waiting(sock);
        self.limit(2 * place as u32, self.asking.reply_timeout, timing, out);
    }

    /// Takes an input for which [`Route::takes`].
    pub(super) fn handle(&mut self, input: &Input, timing: &mut Timing, draws: &mut Stream, out: &mut Out) -> Told {
        let name = match input {
            Input::Connected { token }
            | Input::ConnectFailed { token, .. }
            | Input::Data { token, .. }
            | Input::Ended { token, .. } => token.0,
            Input::Timer(TimerId(timer)) => timer - 1,
            _ => return Told::Nothing,
        };
        let place = name as usize / 2;
        if name % 2 == 1 {
            return self.watched(place, input, timing, out);
        }
        match (self.sentinels[place].ask, input) {
            (Ask::Dialing(_), Input::Connected { .. }) => {
                self.question(place, timing, out);
                Told::Nothing
            }
            (Ask::Waiting(sock), Input::Data { message: Message::Reply(reply), .. }) => {
                timing.step(self.runtime, out);
                out.clear_timer(TimerId(1 + name));
                match self.believed(reply) {
                    Some(addr) => self.answered(place, sock, addr, timing, out),
                    None => {
                        out.close(sock);
                        self.next(place, timing, out)
                    }
                }
            }
            (Ask::Pausing, Input::Timer(_)) => {
                self.dial(place, timing, out);
                Told::Nothing
            }
            (Ask::Dialing(sock) | Ask::Waiting(sock), Input::Timer(_)) => {
                out.close(sock);
                self.failed(place, timing, draws, out)
            }
            (Ask::Dialing(_), Input::ConnectFailed { .. }) => self.failed(place, timing, draws, out),
            (Ask::Waiting(sock), Input::Ended { how, .. }) => {
                close_after(*how, sock, out);
                self.failed(place, timing, draws, out)
            }
            (Ask::Kept(sock), Input::Ended { how, .. }) => {
                close_after(*how, sock, out);
                self.sentinels[place].ask = Ask::Idle;
                Told::Nothing
            }
            _ => Told::Nothing,
        }
    }

    /// The address of an answer, if it is one that this client takes.
    fn believed(&self, reply: &Reply) -> Option<Addr> {
        let Reply::Sentinel(reply) = reply else { return None };
        match &**reply {
            SentinelReply::MasterAddr(addr) => *addr,
            SentinelReply::Master { flags, addr, .. } => {
                let down = flags.split(',').any(|flag| flag == "s_down" || flag == "o_down");
                (!down).then_some(*addr)
            }
            _ => None,
        }
    }

    /// The last answer led to a connection.
    pub(super) fn arrived(&mut self, draws: &mut Stream) {
        let Some(place) = self.answered.filter(|_| self.asking.order == Order::Others) else { return };
        self.order = (0..self.sentinels.len()).filter(|other| *other != place).collect();
        for last in (1..self.order.len()).rev() {
            let other = draws.below(last as u64 + 1) as usize;
            self.order.swap(last, other);
        }
        // Who knows no others keeps its list.
        if self.order.is_empty() {
            self.order.push(place);
        }
    }

    fn answered(&mut self, place: usize, sock: Sock, addr: Addr, timing: &mut Timing, out: &mut Out) -> Told {
        self.answered = Some(place);
        if self.asking.order == Order::AllAtOnce {
            match self.answer {
                // A later answer is not looked at.
                Some(_) => {
                    out.close(sock);
                    self.sentinels[place].ask = Ask::Idle;
                }
                None => {
                    self.answer = Some(addr);
                    self.alone = Some(place);
                    self.sentinels[place].ask = Ask::Kept(sock);
                    self.cancel(place, out);
                }
            }
            return self.settled(place, timing, out);
        }
        out.close(sock);
        self.sentinels[place].ask = Ask::Idle;
        if self.asking.order == Order::AnsweredFirst {
            self.order.swap(0, self.turn);
        }
        self.answer = Some(addr);
        self.settled(place, timing, out)
    }

    /// The first answer is there: whoever was not reached yet is left alone.
    fn cancel(&mut self, answered: usize, out: &mut Out) {
        for (place, sentinel) in self.sentinels.iter_mut().enumerate().filter(|(place, _)| *place != answered) {
            match sentinel.ask {
                Ask::Dialing(sock) => out.close(sock),
                Ask::Pausing => {}
                _ => continue,
            }
            out.clear_timer(TimerId(1 + 2 * place as u32));
            sentinel.ask = Ask::Idle;
        }
    }

    /// The question is over, if nobody is waited for.
    fn settled(&mut self, place: usize, timing: &mut Timing, out: &mut Out) -> Told {
        if self
            .sentinels
            .iter()
            .any(|sentinel| matches!(sentinel.ask, Ask::Dialing(_) | Ask::Waiting(_) | Ask::Pausing))
        {
            return Told::Nothing;
        }
        self.asks = false;
        let Some(addr) = self.answer else {
            self.alone = None;
            return Told::Nobody;
        };
        if self.asking.once {
            self.known = Some(addr);
        }
        self.listen(self.alone.unwrap_or(place), timing, out);
        Told::Master(addr)
    }

    /// A Sentinel did not answer.
    fn failed(&mut self, place: usize, timing: &mut Timing, draws: &mut Stream, out: &mut Out) -> Told {
        let name = 2 * place as u32;
        let sentinel = &mut self.sentinels[place];
        sentinel.failures += 1;
        // After the first answer, whoever fails is not asked again.
        if sentinel.failures <= self.asking.retries && self.answer.is_none() {
            sentinel.ask = Ask::Pausing;
            let pause = self.asking.backoff.pause(sentinel.failures, draws);
            out.set_timer(TimerId(1 + name), timing.python_sleep(out.now(), pause));
            return Told::Nothing;
        }
        out.clear_timer(TimerId(1 + name));
        self.next(place, timing, out)
    }

    /// The next Sentinel's turn.
    fn next(&mut self, place: usize, timing: &mut Timing, out: &mut Out) -> Told {
        self.sentinels[place].ask = Ask::Idle;
        if self.asking.order == Order::AllAtOnce {
            if self.alone.take().is_some() && self.answer.is_none() {
                self.ask_all(Some(place), timing, out);
            }
            return self.settled(place, timing, out);
        }
        self.turn += 1;
        if let Some(next) = self.order.get(self.turn) {
            self.dial(*next, timing, out);
            return Told::Nothing;
        }
        self.settled(place, timing, out)
    }

    /// Listens to the Sentinel that answered, or to all of them.
    fn listen(&mut self, answered: usize, timing: &mut Timing, out: &mut Out) {
        if self.asking.on_switch == OnSwitch::Ignored {
            return;
        }
        for place in 0..self.sentinels.len() {
            let wanted = self.asking.once || place == answered;
            match self.sentinels[place].watch {
                Watch::Off if wanted => self.open_watch(place, timing, out),
                Watch::Dialing(sock) | Watch::Open(sock) if !wanted => {
                    out.close(sock);
                    self.sentinels[place].watch = Watch::Off;
                }
                Watch::Pausing if !wanted => self.sentinels[place].watch = Watch::Off,
                _ => {}
            }
        }
    }

    fn open_watch(&mut self, place: usize, timing: &mut Timing, out: &mut Out) {
        let name = 2 * place as u32 + 1;
        self.sentinels[place].watch = Watch::Dialing(out.connect(self.sentinels[place].addr, Token(name)));
        self.limit(name, self.asking.connect_timeout, timing, out);
    }

    fn watched(&mut self, place: usize, input: &Input, timing: &mut Timing, out: &mut Out) -> Told {
        let name = 2 * place as u32 + 1;
        match (self.sentinels[place].watch, input) {
            (Watch::Dialing(sock), Input::Connected { .. }) => {
                out.clear_timer(TimerId(1 + name));
                timing.step(self.runtime, out);
                if self.asking.once {
                    let question = SentinelCommand::GetMasterAddrByName(Some(GroupId::ONLY));
                    out.command(sock, Command::Sentinel(Box::new(question)));
                }
                out.command(sock, Command::Subscribe(ChannelId::SWITCH_MASTER));
                self.sentinels[place].watch = Watch::Open(sock);
            }
            (Watch::Open(_), Input::Data { message, .. }) => {
                let addr = match message {
                    Message::Push(_, Payload::SwitchMaster(addr)) => Some(*addr),
                    Message::Reply(reply) => self.believed(reply),
                    _ => None,
                };
                if let Some(addr) = addr {
                    timing.step(self.runtime, out);
                    if self.asking.once {
                        self.known = Some(addr);
                    }
                    return Told::Switched(addr);
                }
            }
            (Watch::Dialing(sock), Input::Timer(_)) => {
                out.close(sock);
                self.pause_watch(place, timing, out);
            }
            (Watch::Pausing, Input::Timer(_)) => self.open_watch(place, timing, out),
            (Watch::Dialing(_), Input::ConnectFailed { .. }) => self.pause_watch(place, timing, out),
            (Watch::Open(sock), Input::Ended { how, .. }) => {
                close_after(*how, sock, out);
                self.pause_watch(place, timing, out);
            }
            _ => {}
        }
        Told::Nothing
    }

    fn pause_watch(&mut self, place: usize, timing: &mut Timing, out: &mut Out) {
        self.sentinels[place].watch = Watch::Pausing;
        let pause = if self.asking.once { WATCH_PAUSE_ONCE } else { WATCH_PAUSE };
        out.set_timer(TimerId(2 + 2 * place as u32), timing.python_sleep(out.now(), pause));
    }
}

#[cfg(test)]
mod tests {
    use crate::client::testing::{Bench, SERVICE, Service, library};
    use crate::client::{Config, Kind, Target, Via};
    use crate::program::{ConnectError, Ended};
    use crate::record::Outcome;
    use crate::wire::{Addr, Ip};

    const SENTINELS: [Addr; 3] = [Addr::new(Ip(2), 26379), Addr::new(Ip(3), 26379), Addr::new(Ip(4), 26379)];

    fn bench(word: &str) -> Bench {
        let config = Config { via: Via::Sentinels, ..library(Kind::Set, word) };
        Bench::with_target(config, Target::Sentinels(SENTINELS.to_vec()))
    }

    #[test]
    fn the_first_answer_is_taken() {
        for (word, asked) in [("redis-rb", 1), ("redis-py-5", 1), ("go-redis-v9", 3)] {
            let mut bench = bench(word);
            bench.start(120);
            assert!(bench.outcomes().contains(&Outcome::Ok), "{word}");
            let sentinels: Vec<Addr> =
                bench.connects.iter().map(|(_, to)| *to).take_while(|to| *to != SERVICE).collect();
            assert_eq!(sentinels.iter().filter(|to| SENTINELS.contains(to)).count().min(3), asked, "{word}");
        }
    }

    #[test]
    fn a_master_that_is_down_is_refused_by_those_who_look() {
        for (word, refused) in [("redis-py-5", true), ("redis-rb", false)] {
            let mut bench = bench(word);
            bench.flags = "s_down,o_down,master";
            bench.start(120);
            assert_eq!(bench.outcomes().contains(&Outcome::NoMaster), refused, "{word}");
            assert_eq!(bench.connects.iter().any(|(_, to)| *to == SERVICE), !refused, "{word}");
        }
    }

    #[test]
    fn who_led_to_the_master_is_left_out_the_next_time() {
        let mut bench = bench("fred");
        let mut before = None;
        bench.start(1_500);
        for _ in 0..8 {
            let asked: Vec<Addr> = bench.connects.iter().map(|(_, to)| *to).filter(|to| *to != SERVICE).collect();
            assert_eq!(asked.len(), 1, "the first of its list answers");
            assert_ne!(before.replace(asked[0]), Some(asked[0]));
            bench.forget();
            bench.cut(Ended::Eof);
            bench.run(1_500);
        }
        // One that leads nowhere stays on the list.
        bench.service = Service::Fails(ConnectError::Refused);
        bench.cut(Ended::Eof);
        bench.forget();
        bench.run(3_500);
        let asked: Vec<Addr> = bench.connects.iter().map(|(_, to)| *to).filter(|to| *to != SERVICE).collect();
        assert!(asked.len() == 3 && asked.iter().all(|to| *to == asked[0]), "{asked:?}");
    }

    #[test]
    fn a_silent_sentinel_takes_its_limit_and_its_tries() {
        let mut bench = bench("redis-rb");
        bench.master = None;
        bench.start(14_900);
        // Three Sentinels, 5 s each.
        assert_eq!(bench.connects.len(), 3);
        assert!(bench.outcomes().is_empty());
    }
}
