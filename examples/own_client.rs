//! A client of one's own in a failover: `cargo run --release --example own_client`.
//!
//! `Patient` is the smallest useful client library: one connection, a time limit for every step, a new connection after
//! every failure. It publishes twenty messages a second through HAProxy while the master's process is stopped, and next to
//! it runs redis-py 8 as it is. The guide is docs/own-client.md.

use std::sync::Arc;

use sim::client::{ClientProgram, Make, Setup, Target};
use sim::kernel::{Span, Time};
use sim::program::{Ended, Input, Out, Sock, TimerId, Token};
use sim::record::{Op, Outcome};
use sim::scenario::Scenario;
use sim::wire::{Addr, ChannelId, Command, Message, Payload, Reply};

const SCENARIO: &str = r#"
duration = "45s"
[[client]]
name = "patient"
kind = "publish"
[[client]]
name = "redis-py"
kind = "publish"
library = "redis-py"
[[fault]]
at = "0s"
action = "pause"
node = "redis-1"
[[fault]]
at = "20s"
action = "resume"
node = "redis-1"
"#;

/// The limit of every step.
const LIMIT: Span = Span::from_millis(500);
/// The next message, and the end of a wait.
const TICK: TimerId = TimerId(0);
const WAIT: TimerId = TimerId(1);
/// Its one connection.
const CONNECTION: Token = Token(0);

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Connecting(Sock),
    Idle(Sock),
    Waiting(Sock),
}

#[derive(Clone, Debug)]
struct Patient {
    to: Addr,
    channel: ChannelId,
    index: u16,
    every: Span,
    state: State,
    seq: u32,
    began: Time,
}

impl Patient {
    fn make(setup: Setup) -> Box<dyn ClientProgram> {
        let Target::Proxy(to) = setup.target else { panic!("it knows one address") };
        let Setup { channel, index, counted, config, .. } = setup;
        let every = config.every;
        Box::new(Patient { to, channel, index, every, state: State::Closed, seq: counted, began: Time::ZERO })
    }

    fn begin(&mut self, out: &mut Out) {
        self.seq += 1;
        self.began = out.now();
        match self.state {
            State::Idle(sock) => self.write(sock, out),
            _ => {
                self.state = State::Connecting(out.connect(self.to, CONNECTION));
                out.set_timer(WAIT, out.now() + LIMIT);
            }
        }
    }

    fn write(&mut self, sock: Sock, out: &mut Out) {
        let payload = Payload::Sequence { publisher: self.index, seq: self.seq, bytes: 0 };
        out.command(sock, Command::Publish(self.channel, payload));
        self.state = State::Waiting(sock);
        out.set_timer(WAIT, out.now() + LIMIT);
    }

    /// An attempt is over: it is recorded, and the next one begins at its time.
    fn end(&mut self, outcome: Outcome, receivers: Option<u32>, out: &mut Out) {
        let took = out.now().since(self.began);
        out.op(self.began, Op::Publish { seq: self.seq, outcome, took, receivers });
        out.clear_timer(WAIT);
        out.set_timer(TICK, (self.began + self.every).max(out.now()));
    }
}

impl ClientProgram for Patient {
    fn handle(&mut self, input: Input, out: &mut Out) {
        match (self.state, input) {
            (_, Input::Start | Input::Timer(TICK)) => self.begin(out),
            (State::Connecting(sock), Input::Connected { .. }) => self.write(sock, out),
            (State::Connecting(_), Input::ConnectFailed { .. }) => {
                self.state = State::Closed;
                self.end(Outcome::ConnectRefused, None, out);
            }
            (State::Waiting(sock), Input::Data { message: Message::Reply(Reply::Int(receivers)), .. }) => {
                self.state = State::Idle(sock);
                self.end(Outcome::Ok, u32::try_from(receivers).ok(), out);
            }
            (State::Connecting(sock) | State::Waiting(sock), Input::Timer(WAIT)) => {
                out.close(sock);
                self.state = State::Closed;
                self.end(Outcome::ReplyTimeout, None, out);
            }
            (State::Idle(sock) | State::Waiting(sock), Input::Ended { how, .. }) => {
                // After the peer's FIN this side is still open; after a reset there is nothing left.
                if how == Ended::Eof {
                    out.close(sock);
                }
                let waited = matches!(self.state, State::Waiting(_));
                self.state = State::Closed;
                if waited {
                    self.end(Outcome::ReplyClosed, None, out);
                }
            }
            (_, Input::Terminate) => out.exit(),
            _ => {}
        }
    }

    fn clone_box(&self) -> Box<dyn ClientProgram> {
        Box::new(self.clone())
    }

    fn numbered(&self) -> u32 {
        self.seq
    }
}

fn main() {
    let scenario = Arc::new(Scenario::parse("own_client.toml", SCENARIO).expect("a right file"));
    let own: [(&str, Make); 1] = [("patient", Patient::make)];
    for seed in 1..=5 {
        let run = sim::run_with(&scenario, seed, &own);
        let recording = &run.result.recording;
        for client in ["patient", "redis-py"] {
            let (mut last, mut longest) = (0.0, 0.0f64);
            for record in &recording.records {
                let is_good = matches!(record.what, sim::record::What::Op(Op::Publish { outcome: Outcome::Ok, .. }));
                let at = recording.seconds(record.time);
                if is_good && at > 0.0 && recording.names.node(record.node) == client {
                    longest = longest.max(at - last);
                    last = at;
                }
            }
            println!("seed {seed}: {client} was out for {longest:.1} s");
        }
    }
}
