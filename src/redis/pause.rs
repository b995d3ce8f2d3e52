//! CLIENT PAUSE: clients whose commands wait (networking.c `pauseClients`, `unblockPostponedClients`; server.c
//! `processCommand`).
//!
//! `CLIENT PAUSE ms` holds up every command of every client, `CLIENT PAUSE ms WRITE` those that write or may be
//! replicated, PUBLISH among them; a shutdown that waits for replicas and a FAILOVER pause writes too. A command that waits holds up all
//! that its client sends after it, whatever that is: a Sentinel's hello is a PUBLISH on the connection of its PINGs, so
//! that a long pause of writes looks like a master that is down. Attached
//! replicas are never paused, but the link to a master is like any client's.
//!
//! The end of a pause is not a timer. It is noticed when somebody looks: serverCron, and on a master every turn of the
//! loop (the fast cycle of expiry), by the clock as it stood at the last command or serverCron.
//!
//! What is simpler: a command of the fault script that would have to wait is dropped, as for an operator who gives up at once.

use super::client::{Blocked, Slot};
use super::replica::LINK;
use super::{Redis, unixtime};
use crate::kernel::Span;
use crate::program::{Out, Token};
use crate::wire::PauseKind;

/// Who waits, and for how long.
#[derive(Clone, Debug, Default)]
pub(super) struct Pause {
    /// CLIENT PAUSE: what waits, and until when, in ms of the wall clock.
    ordered: Option<(PauseKind, i64)>,
    /// Sockets whose input waits, in the order in which they began to (`postponed_clients`).
    postponed: Vec<Token>,
    /// Those that go on before the loop sleeps (`unblocked_clients`).
    unblocked: Vec<Token>,
    /// `server.mstime`: the wall clock at the last command or serverCron.
    cached_ms: i64,
}

impl Pause {
    /// Whether CLIENT PAUSE is in force, or was when somebody last looked.
    pub(super) fn is_ordered(&self) -> bool {
        self.ordered.is_some()
    }

    /// Whether the input of a socket waits.
    pub(super) fn holds(&self, token: Token) -> bool {
        self.postponed.contains(&token)
    }

    /// A client is no more.
    pub(super) fn forget(&mut self, token: Token) {
        self.postponed.retain(|&other| other != token);
    }
}

impl Redis {
    /// `client_pause_type`
    pub(super) fn pause_kind(&self) -> Option<PauseKind> {
        let ordered = self.pause.ordered.map(|(kind, _)| kind);
        let by_itself = self.shutdown.is_waiting() || self.failover.is_some();
        ordered.max(by_itself.then_some(PauseKind::Write))
    }

    /// CLIENT PAUSE. The longer and the stricter of two pauses counts.
    pub(super) fn pause_clients(&mut self, kind: PauseKind, span: Span, out: &mut Out) {
        let until_ms = out.wall_ms() + span.as_millis() as i64;
        self.pause.ordered = Some(match self.pause.ordered {
            Some((other, end)) => (kind.max(other), until_ms.max(end)),
            None => (kind, until_ms),
        });
        self.cron.refine(out);
    }

    /// CLIENT UNPAUSE, or the end of the time.
    pub(super) fn unpause_clients(&mut self) {
        if self.pause.ordered.take().is_some() {
            self.ask_postponed();
        }
    }

    /// Who waited is asked again, and may have to wait again.
    pub(super) fn ask_postponed(&mut self) {
        let postponed = std::mem::take(&mut self.pause.postponed);
        self.pause.unblocked.extend(postponed);
    }

    /// `server.mstime` follows the clock.
    #[inline]
    pub(super) fn cache_time(&mut self, out: &Out) {
        if self.pause.ordered.is_some() {
            self.pause.cached_ms = out.wall_ms();
        }
    }

    /// `checkClientPauseTimeoutAndReturnIfPaused`
    pub(super) fn check_pause(&mut self) {
        if self.pause.ordered.is_some_and(|(_, until_ms)| until_ms < self.pause.cached_ms) {
            self.unpause_clients();
        }
    }

    /// A client's command waits.
    pub(super) fn postpone(&mut self, token: Token) {
        self.pause.postponed.push(token);
    }

    /// `processUnblockedClients`: the commands that waited, then what came after them.
    pub(super) fn process_unblocked(&mut self, out: &mut Out) {
        for token in std::mem::take(&mut self.pause.unblocked) {
            if token == LINK {
                self.link_goes_on(out);
                continue;
            }
            let slot = Slot::of(token);
            if let Some(client) = self.clients.get_mut(slot)
                && matches!(client.blocked, Some(Blocked::Postponed))
            {
                client.blocked = None;
                client.last_interaction = unixtime(out);
                self.process_waiting_input(slot, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::testing::{Net, key, publish};
    use crate::kernel::Span;
    use crate::wire::{ChannelId, Command, Expiry, InfoSection, Message, PauseKind, Reply};

    fn set(index: u32) -> Command {
        Command::Set(key(index), index, Expiry::Never)
    }

    fn pause(kind: PauseKind, ms: u64) -> Command {
        Command::ClientPause(kind, Span::from_millis(ms))
    }

    /// Runs until a client has got so many replies, and says how long that took in ms.
    fn until(net: &mut Net, client: usize, replies: usize) -> u64 {
        let begin = net.now();
        while net.inbox[client].len() < replies {
            net.run(1);
            assert!(net.now().since(begin) < Span::from_secs(60), "{:?}", net.inbox[client]);
        }
        net.now().since(begin).as_millis()
    }

    #[test]
    fn a_pause_of_writes_holds_up_what_may_be_replicated_and_all_behind_it() {
        let mut net = Net::synced(1);
        let (operator, reader, writer, sentinel) = (net.client(0), net.client(0), net.client(0), net.client(0));
        assert_eq!(net.ask(operator, pause(PauseKind::Write, 3_000)), Some(Reply::Ok));
        assert_eq!(net.ask(reader, Command::Ping), Some(Reply::Pong));
        assert!(matches!(net.ask(reader, Command::Info(InfoSection::Default)), Some(Reply::Info(_))));
        assert_eq!(net.ask(writer, set(1)), None);
        assert_eq!(net.ask(sentinel, publish(1)), None);
        assert_eq!(net.ask(sentinel, Command::Ping), None, "a ping behind a hello waits too");
        let took = until(&mut net, sentinel, 2);
        assert!((2_950..=3_110).contains(&took), "noticed by a serverCron at the latest: {took}");
        assert_eq!(net.inbox[sentinel][1], Message::Reply(Reply::Pong), "in their order");
        assert_eq!(net.inbox[writer], [Message::Reply(Reply::Ok)]);
        assert_eq!(net.node(0).data(&key(1)), Some(1));
        assert!(net.node(1).link_up(), "replicas are never paused");
    }

    #[test]
    fn a_pause_of_everything_spares_replicas_only() {
        let mut net = Net::synced(1);
        let (operator, other) = (net.client(0), net.client(0));
        let seen = net.node(0).offset();
        net.ask(operator, pause(PauseKind::All, 12_000));
        assert_eq!(net.ask(other, Command::Ping), None);
        assert_eq!(net.ask(operator, Command::ClientUnpause), None, "the way out is shut as well");
        net.run(11_500);
        assert!(net.node(0).offset() > seen && net.node(1).offset() > seen, "the master still pings its replica");
        assert!(net.inbox[other].is_empty());
        until(&mut net, other, 1);
    }

    #[test]
    fn a_client_that_gives_up_takes_its_command_with_it() {
        let mut net = Net::synced(0);
        let operator = net.client(0);
        net.ask(operator, pause(PauseKind::Write, 1_000));
        net.command(0, set(1));
        net.run(3_000);
        assert_eq!(net.node(0).data(&key(1)), None);
    }

    #[test]
    fn unpause_lets_writes_go_on_at_once_and_the_longer_of_two_pauses_counts() {
        let mut net = Net::synced(0);
        let (operator, writer) = (net.client(0), net.client(0));
        net.ask(operator, pause(PauseKind::Write, 5_000));
        net.ask(operator, pause(PauseKind::Write, 1_000));
        net.send(writer, set(1));
        net.run(3_000);
        assert!(net.inbox[writer].is_empty());
        net.ask(operator, Command::ClientUnpause);
        assert_eq!(net.inbox[writer], [Message::Reply(Reply::Ok)]);
    }

    #[test]
    fn on_a_master_a_command_ends_a_pause_that_is_over() {
        // Without one it is serverCron, up to 100 ms later.
        let mut net = Net::synced_with(0, Config { hz: 1, dynamic_hz: false, ..Config::default() });
        let (operator, writer, reader) = (net.client(0), net.client(0), net.client(0));
        let mut longest = 0;
        for _ in 0..5 {
            net.run(173);
            net.ask(operator, pause(PauseKind::Write, 300));
            let replies = net.inbox[writer].len();
            net.send(writer, set(1));
            net.run(300);
            net.ask(reader, Command::Ping);
            longest = longest.max(until(&mut net, writer, replies + 1));
        }
        assert!(longest <= 5, "{longest}");
    }

    #[test]
    fn a_paused_replica_reads_its_master_s_stream_later() {
        let mut net = Net::synced(1);
        let (operator, writer, subscriber) = (net.client(1), net.client(0), net.client(1));
        net.ask(subscriber, Command::Subscribe(ChannelId(1)));
        net.ask(operator, pause(PauseKind::Write, 2_000));
        net.ask(writer, set(1));
        net.ask(writer, publish(7));
        net.run(1_000);
        assert_eq!((net.node(1).data(&key(1)), net.pushed(subscriber).len()), (None, 0));
        net.run(1_500);
        assert_eq!((net.node(1).data(&key(1)), net.pushed(subscriber)), (Some(1), vec![7]));
        assert!(net.node(1).link_up());
        assert_eq!(net.node(1).offset(), net.node(0).offset());
    }
}
