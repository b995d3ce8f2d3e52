//! Asking the Sentinels where the master is.
//!
//! A client that knows the Sentinels opens a connection to one after the other, asks GET-MASTER-ADDR-BY-NAME, and takes
//! the first address it hears; the Sentinel that answered is asked first the next time (redis-py 5, `sentinel.py`,
//! `discover_master`). Each step has a time limit of [`TIME_LIMIT`]. It asks whenever it opens a connection, so on every
//! failure; a client that meets READONLY closes its connection and asks again (`SentinelManagedConnection`).

use super::timing::Timing;
use crate::kernel::Span;
use crate::program::{Input, Out, Sock, TimerId, Token};
use crate::wire::{Addr, Command, GroupId, Message, Reply, SentinelCommand, SentinelReply};

/// `socket_timeout` for connecting to a Sentinel, and again for its answer: as the reference clients' own limits.
const TIME_LIMIT: Span = Span::from_secs(1);

/// What asking came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Still asking.
    Pending,
    /// The first address heard.
    Master(Addr),
    /// Every Sentinel was asked in vain.
    Nobody,
}

/// Asks the Sentinels in turn.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    sentinels: Vec<Addr>,
    token: Token,
    timer: TimerId,
    asked: usize,
    sock: Option<Sock>,
}

impl Asker {
    pub(super) fn new(sentinels: Vec<Addr>, token: Token, timer: TimerId) -> Asker {
        assert!(!sentinels.is_empty(), "a client that asks Sentinels knows at least one");
        Asker { sentinels, token, timer, asked: 0, sock: None }
    }

    /// Begins with the Sentinel that answered last.
    pub(super) fn start(&mut self, timing: &mut Timing, out: &mut Out) {
        assert!(self.sock.is_none(), "one question at a time");
        self.asked = 0;
        self.ask(timing, out);
    }

    fn ask(&mut self, timing: &mut Timing, out: &mut Out) {
        self.sock = Some(out.connect(self.sentinels[self.asked], self.token));
        out.set_timer(self.timer, timing.python_limit(out.now(), TIME_LIMIT));
    }

    /// Takes an input that bears its token or timer.
    pub(super) fn handle(&mut self, input: &Input, timing: &mut Timing, out: &mut Out) -> Answer {
        let Some(sock) = self.sock else { return Answer::Pending };
        match input {
            Input::Connected { token } if *token == self.token => {
                timing.python_step(out);
                let question = SentinelCommand::GetMasterAddrByName(Some(GroupId::ONLY));
                out.command(sock, Command::Sentinel(Box::new(question)));
                out.set_timer(self.timer, timing.python_limit(out.now(), TIME_LIMIT));
                return Answer::Pending;
            }
            Input::Data { token, message } if *token == self.token => {
                timing.python_step(out);
                out.close(sock);
                if let Message::Reply(Reply::Sentinel(reply)) = message
                    && let SentinelReply::MasterAddr(Some(addr)) = **reply
                {
                    self.sock = None;
                    out.clear_timer(self.timer);
                    self.sentinels.swap(0, self.asked);
                    return Answer::Master(addr);
                }
            }
            Input::ConnectFailed { token, .. } if *token == self.token => {}
            Input::Ended { token, how } if *token == self.token => super::close_after(*how, sock, out),
            Input::Timer(timer) if *timer == self.timer => out.close(sock),
            _ => return Answer::Pending,
        }

        self.sock = None;
        self.asked += 1;
        if self.asked < self.sentinels.len() {
            self.ask(timing, out);
            return Answer::Pending;
        }
        out.clear_timer(self.timer);
        Answer::Nobody
    }
}
