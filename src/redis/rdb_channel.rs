//! The RDB channel: a full synchronisation whose file travels on a connection of its own, beside the stream
//! (`rdbChannelFullSyncWithMaster` and `replicationSetupSlaveForFullResync`, replication.c since 8.0).
//!
//! ```text
//! replica                                   master
//!   PSYNC ─────── main connection ─────────►  +RDBCHANNELSYNC id          waits
//!   connects again, REPLCONF rdb-channel ──►  +OK
//!   PSYNC ? -1 ── RDB connection ──────────►  the delay begins, then fork: +FULLRESYNC
//!   ◄──────────── RDB connection ──────────   the file
//!   ◄──────────── main connection ─────────   the stream from the fork on, at the same time
//!   loaded: RDB connection closed, ACK ────►  online
//!   what came beside the file is applied
//! ```
//!
//! So the stream waits for no acknowledgement, and a slow load holds up the replica's memory and not the master's. It takes
//! both sides: a replica offers it, and a master with `repl-diskless-sync` takes the offer.
//!
//! What is simpler: the replica's buffer has no limit (`replica-full-sync-buffer-limit`), and the file passes through the
//! master's loop, not straight from its child to the socket.

use super::client::{Attached, Lane, Slot};
use super::replica::LinkState;
use super::{Redis, log};
use crate::program::{Ended, Out, Token};
use crate::record::RedisEvent;
use crate::wire::{Command, Message, ReplicaState, Reply};

/// The name of the socket on which a replica gets its file. Clients have small numbers.
pub(super) const FILE_LINK: Token = Token(u32::MAX);

/// The master's side.
impl Redis {
    /// Whether a replica that has to be given everything gets its file on a connection of its own.
    pub(super) fn offers_channel(&self, slot: Slot) -> bool {
        let client = self.clients.get(slot).expect("the client sent PSYNC");
        client.takes_channel && self.config.repl_rdb_channel && self.config.repl_diskless_sync
    }

    /// Whether a client is a connection for a file alone.
    pub(super) fn is_file_lane(&self, slot: Slot) -> bool {
        self.clients.get(slot).and_then(|client| client.attached).is_some_and(|replica| replica.lane == Lane::File)
    }

    /// The attached replicas, each once.
    pub(super) fn streamed_replicas(&self) -> impl Iterator<Item = Slot> {
        self.replicas.iter().copied().filter(|&slot| !self.is_file_lane(slot))
    }

    /// The main connection of the replica that has its file on this one.
    fn main_of(&self, slot: Slot) -> Option<Slot> {
        let main = self.clients.get(slot)?.file_for?;
        self.replicas.iter().copied().find(|&other| self.clients.get(other).is_some_and(|client| client.id == main))
    }

    /// The fork has happened: from here on the stream flows on the main connections.
    pub(super) fn deliver_stream(&mut self, files: &[Slot], out: &mut Out) {
        for main in files.iter().filter_map(|&slot| self.main_of(slot)).collect::<Vec<_>>() {
            let offset = self.history.offset;
            let replica: &mut Attached = self.clients.attached_mut(main);
            replica.state = ReplicaState::SendBulkAndStream;
            replica.sent = offset;
            replica.streaming = true;
            let addr = self.clients.get(main).expect("the list of replicas holds clients").replica_addr();
            log(out, RedisEvent::DeliveringRdbAndStream(addr));
        }
    }

    /// The child has ended: who has not said that it has loaded counts as online all the same.
    pub(super) fn files_are_delivered(&mut self, files: &[Slot], out: &mut Out) {
        for &slot in files {
            // It waits for nothing any more but the replica's closing it.
            self.clients.attached_mut(slot).state = ReplicaState::SendBulk;
            let Some(main) = self.main_of(slot) else { continue };
            if self.clients.attached(main).state == ReplicaState::SendBulkAndStream {
                self.put_online(main, out);
            }
        }
    }

    /// One of the two connections of a replica is gone; `file_is_sent`: with the file, or after it.
    pub(super) fn lane_gone(&mut self, lane: Lane, id: u64, file_for: Option<u64>, file_is_sent: bool) {
        let other = self.replicas.iter().copied().find(|&slot| {
            self.clients.get(slot).is_some_and(|client| match lane {
                Lane::File => Some(client.id) == file_for,
                Lane::Stream => client.file_for == Some(id),
                Lane::Both => false,
            })
        });
        let Some(other) = other else { return };
        let waits = self.clients.attached(other).state == ReplicaState::WaitRdbChannel;
        if lane == Lane::Stream || waits || !file_is_sent {
            self.close_soon(other);
        }
    }
}

/// The replica's side.
impl Redis {
    /// `+RDBCHANNELSYNC`
    pub(super) fn begin_channel(&mut self, main: u64, out: &mut Out) {
        log(out, RedisEvent::InitializeRdbChannel);
        let master = self.link.master.expect("who asked has a master");
        self.link.main_id = Some(main);
        self.link.file_sock = Some(out.connect(master, FILE_LINK));
        self.link.state = LinkState::FileConnecting;
    }

    /// The connection for the file is open.
    pub(super) fn file_link_connected(&mut self, out: &mut Out) {
        assert_eq!(self.link.state, LinkState::FileConnecting, "only that connects");
        self.link.state = LinkState::FileHandshake;
        let (port, main) = (self.me.port, self.link.main_id.expect("the master has said it"));
        self.send_on_file_link(Command::ReplconfRdbChannel { port, main }, out);
    }

    fn send_on_file_link(&mut self, command: Command, out: &mut Out) {
        out.command(self.link.file_sock.expect("a link that speaks is open"), command);
    }

    /// It could not be opened: everything begins anew at the next `replicationCron`.
    pub(super) fn file_link_failed(&mut self, why: &'static str, out: &mut Out) {
        log(out, RedisEvent::SyncSocketError(why));
        self.link.file_sock = None;
        self.abort_handshake(out);
    }

    /// Something came on it.
    pub(super) fn file_link_data(&mut self, message: Message, out: &mut Out) {
        self.link.last_io = super::unixtime(out);
        match (self.link.state, message) {
            (_, Message::Newline) => {}
            (LinkState::FileHandshake, Message::Reply(Reply::Ok)) => {
                self.link.state = LinkState::FilePsync;
                self.send_on_file_link(Command::Psync(None), out);
            }
            (LinkState::FilePsync, Message::Reply(Reply::FullResync(replid, offset))) => {
                log(out, RedisEvent::ReceivingInParallel);
                self.full_resync_begins(replid, offset, out);
            }
            (LinkState::Transfer, Message::Rdb(piece)) => self.receive_piece(*piece, out),
            (LinkState::FileHandshake | LinkState::FilePsync, Message::Reply(_)) => self.abort_handshake(out),
            (state, message) => unreachable!("a master does not send {message:?} to a replica in {state:?}"),
        }
    }

    /// It ended from the other side. A file that is there is loaded; else all begins anew.
    pub(super) fn file_link_ended(&mut self, how: Ended, out: &mut Out) {
        if how != Ended::Eof {
            self.link.file_sock = None;
        }
        if self.loading.is_none() {
            log(out, RedisEvent::SyncIoError);
            self.abort_handshake(out);
        } else {
            self.close_file_link(out);
        }
    }

    /// The replica closes it.
    pub(super) fn close_file_link(&mut self, out: &mut Out) {
        if let Some(sock) = self.link.file_sock.take() {
            out.discard(sock);
            out.close(sock);
        }
    }
}
