//! Our link to a master (replication.c; spec 24, 25.6, 26.4, 29).

use super::backlog::Backlog;
use super::{DisklessLoad, History, Redis, STREAM_COMMAND, log, log_text, unixtime};
use crate::kernel::{Span, Time};
use crate::mistake::Mistake;
use crate::program::{Ended, Out, Sock, Token};
use crate::record::RedisEvent;
use crate::wire::{Addr, Command, ErrorKind, Message, RdbPiece, ReplId, Reply, Snapshot, StreamItem};

/// The name of the link's socket.
pub(super) const LINK: Token = Token(0);

/// `repl_state`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    /// A master.
    None,
    /// Must connect, at the next `replicationCron`.
    Connect,
    /// The TCP connection is being opened.
    Connecting,
    /// PING was sent.
    Ping,
    /// REPLCONF listening-port was sent.
    Handshake,
    /// REPLCONF capa was sent. It is written together with the port, but the link is not a client's yet and has no
    /// TCP_NODELAY: the kernel holds it back until the port is acknowledged, which the reply does (`tcp_nagle_test`).
    Capabilities,
    /// PSYNC was sent.
    Psync,
    /// The connection for the file is being opened.
    FileConnecting,
    /// REPLCONF was sent on it.
    FileHandshake,
    /// PSYNC was sent on it.
    FilePsync,
    /// The RDB file is coming, or is being loaded.
    Transfer,
    /// The stream is coming.
    Connected,
}

/// The link to the master, and what is remembered of it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// `masterhost` and `masterport`.
    pub master: Option<Addr>,
    /// Whether `masterhost` is a name: until somebody sends REPLICAOF with an address.
    pub by_name: bool,
    /// `repl_state`
    pub state: LinkState,
    sock: Option<Sock>,
    /// The connection on which the file comes, if it has one of its own.
    pub file_sock: Option<Sock>,
    /// The master's number for this link, once it said that the file comes on another.
    pub main_id: Option<u64>,
    /// `repl_transfer_lastio`, or `lastinteraction` of the master's client.
    pub last_io: i64,
    /// `repl_down_since`
    pub down_since: i64,
    /// `cached_master`: the history from which to continue, and the offset reached in it.
    pub cached: Option<(ReplId, u64)>,
    /// What `+FULLRESYNC` announced.
    initial: (ReplId, u64),
    /// When the first bytes of the RDB file came.
    receiving: Option<Time>,
    /// The file came straight from a child, and its master waits for a sign that it ended.
    streamed: bool,
    /// Commands that came while the RDB file was being loaded, or that wait in a pause.
    unread: Vec<StreamItem>,
}

impl Link {
    /// The link of a server that was told its role at the start.
    pub(super) fn new(master: Option<Addr>, by_name: bool) -> Link {
        let state = if master.is_some() { LinkState::Connect } else { LinkState::None };
        Link {
            master,
            by_name,
            state,
            sock: None,
            file_sock: None,
            main_id: None,
            last_io: 0,
            down_since: 0,
            cached: None,
            initial: (ReplId::NONE, 0),
            receiving: None,
            streamed: false,
            unread: Vec::new(),
        }
    }

    /// `master_link_status:up`
    pub(super) fn is_up(&self) -> bool {
        self.state == LinkState::Connected
    }

    fn in_handshake(&self) -> bool {
        matches!(
            self.state,
            LinkState::Connecting
                | LinkState::Ping
                | LinkState::Handshake
                | LinkState::Capabilities
                | LinkState::Psync
                | LinkState::FileConnecting
                | LinkState::FileHandshake
                | LinkState::FilePsync
        )
    }

    /// The word that ROLE prints.
    pub(super) fn state_word(&self) -> &'static str {
        match self.state {
            LinkState::None => "none",
            LinkState::Connect => "connect",
            LinkState::Connecting => "connecting",
            LinkState::Ping
            | LinkState::Handshake
            | LinkState::Capabilities
            | LinkState::Psync
            | LinkState::FileConnecting
            | LinkState::FileHandshake
            | LinkState::FilePsync => "handshake",
            LinkState::Transfer => "sync",
            LinkState::Connected => "connected",
        }
    }
}

fn loading_or_other(error: ErrorKind) -> &'static str {
    match error {
        ErrorKind::Loading => "LOADING Redis is loading the dataset in memory",
        ErrorKind::MasterDown => "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ErrorKind::Misconf => "MISCONF Redis is configured to save RDB snapshots",
        ErrorKind::MisconfAof => "MISCONF Errors writing to the AOF file",
        ErrorKind::MaxClients => "ERR max number of clients reached",
        _ => "ERR",
    }
}

impl Redis {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn close_link_socket(&mut self, out: &mut Out) {
        if let Some(sock) = self.link.sock.take() {
            out.discard(sock);
            out.close(sock);
        }
        self.close_file_link(out);
    }

    /// `connectWithMaster`
    pub(super) fn connect_with_master(&mut self, out: &mut Out) {
        let Some(master) = self.link.master else { return };
        assert!(self.link.sock.is_none(), "there is one link at a time");
        self.link.sock = Some(out.connect(master, LINK));
        self.link.main_id = None;
        self.link.last_io = unixtime(out);
        self.link.state = LinkState::Connecting;
        log(out, RedisEvent::SyncStarted);
    }

    /// `replicationSetMaster`: REPLICAOF host port.
    pub(super) fn set_master(&mut self, master: Addr, out: &mut Out) {
        let was_master = self.link.master.take().is_none();
        self.free_master_client(out);
        self.disconnect_blocked(out);
        self.link.master = Some(master);
        self.link.by_name = false;
        let rules = self.config.rules();
        if rules.replicaof_cuts_replicas {
            self.disconnect_replicas(out);
        }
        self.cancel_handshake(false, out);
        if was_master {
            self.discard_cached_master(out);
            self.cache_master_using_myself(out);
        }
        self.link.state = LinkState::Connect;
        if rules.connects_at_once {
            log(out, RedisEvent::ConnectingToMaster(master));
            self.connect_with_master(out);
        }
    }

    /// `replicationUnsetMaster`: REPLICAOF NO ONE.
    pub(super) fn unset_master(&mut self, in_exec: bool, out: &mut Out) {
        self.link.master = None;
        self.free_master_client(out);
        self.discard_cached_master(out);
        self.cancel_handshake(false, out);
        self.shift_replid(out);
        self.disconnect_replicas(out);
        self.link.state = LinkState::None;
        self.history.selected = false;
        self.history.no_replicas_since = unixtime(out);
        if !self.config.rules().down_since_epoch {
            self.link.down_since = 0;
        }
        self.start_aof(in_exec, out);
        self.expect_expiry(out);
    }

    /// `replicationCacheMasterUsingMyself` (spec 25.6).
    pub(super) fn cache_master_using_myself(&mut self, out: &mut Out) {
        log(out, RedisEvent::BeforeTurningIntoReplica);
        let history = &mut self.history;
        if history.backlog.is_none() {
            history.backlog = Some(Backlog::new(history.offset));
        }
        self.link.cached = Some((history.replid, history.offset));
        self.clients.take_id();
    }

    fn discard_cached_master(&mut self, out: &mut Out) {
        if self.link.cached.take().is_some() {
            log(out, RedisEvent::DiscardingCachedMaster);
        }
    }

    /// `freeClient` of the master's client: an established link ends, its state is kept for a partial resync.
    fn free_master_client(&mut self, out: &mut Out) {
        if !self.link.is_up() {
            return;
        }
        log(out, RedisEvent::MasterConnectionLost);
        log(out, RedisEvent::CachingMaster);
        self.link.cached = Some((self.history.replid, self.history.offset));
        self.link.unread.clear();
        self.pause.forget(LINK);
        self.close_link_socket(out);
        // `replicationHandleMasterDisconnection`: connects again at once, unless the role is just being changed.
        self.link.state = LinkState::Connect;
        self.link.down_since = unixtime(out);
        self.connect_again(out);
    }

    /// Connects to the master again, unless the release leaves that to the next `replicationCron`.
    fn connect_again(&mut self, out: &mut Out) {
        if let (true, Some(master)) = (self.config.rules().connects_at_once, self.link.master) {
            log(out, RedisEvent::ReconnectingToMaster(master));
            self.connect_with_master(out);
        }
    }

    /// CLIENT KILL TYPE master.
    pub(super) fn kill_master_link(&mut self, out: &mut Out) -> bool {
        let was_up = self.link.is_up();
        self.free_master_client(out);
        was_up
    }

    /// `cancelReplicationHandshake`
    fn cancel_handshake(&mut self, reconnect: bool, out: &mut Out) {
        if !self.link.in_handshake() && self.link.state != LinkState::Transfer {
            return;
        }
        self.close_link_socket(out);
        self.link.unread.clear();
        self.link.state = LinkState::Connect;
        if reconnect {
            self.connect_again(out);
        }
    }

    /// A step of the handshake failed: the next `replicationCron` tries again.
    pub(super) fn abort_handshake(&mut self, out: &mut Out) {
        self.close_link_socket(out);
        self.link.unread.clear();
        self.link.state = LinkState::Connect;
    }

    /// PSYNC was refused or not answered: the next `replicationCron` tries again, unless it was to give up the role.
    fn psync_fails(&mut self, out: &mut Out) {
        match self.is_failing_over() {
            true => self.abort_failover("Failover target rejected psync request", out),
            false => self.abort_handshake(out),
        }
    }

    /// The TCP connection is open.
    pub(super) fn link_connected(&mut self, out: &mut Out) {
        assert_eq!(self.link.state, LinkState::Connecting, "only the link connects");
        log(out, RedisEvent::NonBlockingConnectFired);
        self.link.state = LinkState::Ping;
        self.send_to_master(Command::Ping, out);
    }

    /// The TCP connection could not be opened.
    pub(super) fn link_connect_failed(&mut self, why: &'static str, out: &mut Out) {
        assert_eq!(self.link.state, LinkState::Connecting, "only the link connects");
        log(out, RedisEvent::SyncSocketError(why));
        self.link.sock = None;
        self.link.state = LinkState::Connect;
    }

    fn send_to_master(&mut self, command: Command, out: &mut Out) {
        let sock = self.link.sock.expect("a link that speaks is open");
        out.command(sock, command);
    }

    /// `replicationSendAck`
    pub(super) fn send_ack(&mut self, out: &mut Out) {
        // The master may have gone during the load, which is noticed afterwards.
        if self.link.sock.is_some() {
            let offset = self.history.offset;
            self.send_to_master(Command::ReplconfAck(offset), out);
        }
    }

    /// The connection ended from the other side.
    pub(super) fn link_ended(&mut self, how: Ended, out: &mut Out) {
        if how != Ended::Eof {
            self.link.sock = None;
        }
        match self.link.state {
            LinkState::Connected => self.free_master_client(out),
            LinkState::Transfer if self.loading.is_some() => {
                // Noticed when the load is over and the link is read again: what came before a FIN is still there then,
                // what came before a RST is not.
                if how == Ended::Reset {
                    self.link.unread.clear();
                }
                self.close_link_socket(out);
            }
            LinkState::Transfer => {
                log(out, RedisEvent::SyncIoError);
                self.cancel_handshake(true, out);
            }
            LinkState::Psync | LinkState::FileConnecting | LinkState::FileHandshake | LinkState::FilePsync => {
                log(out, RedisEvent::MasterDidNotReplyToPsync);
                self.psync_fails(out);
            }
            LinkState::Ping | LinkState::Handshake | LinkState::Capabilities => {
                log(out, RedisEvent::MasterDidNotRespond);
                self.abort_handshake(out);
            }
            LinkState::Connecting => {
                log(out, RedisEvent::SyncSocketError("Connection reset by peer"));
                self.abort_handshake(out);
            }
            LinkState::None | LinkState::Connect => unreachable!("no socket in this state"),
        }
    }

    /// Something came from the master (`syncWithMaster`, `readSyncBulkPayload`, `readQueryFromClient`).
    pub(super) fn link_data(&mut self, message: Message, out: &mut Out) {
        self.link.last_io = unixtime(out);
        match (self.link.state, message) {
            (LinkState::Connected, Message::Stream(item)) => self.stream_item(item, out),
            (
                LinkState::Transfer | LinkState::FileConnecting | LinkState::FileHandshake | LinkState::FilePsync,
                Message::Stream(item),
            ) => self.link.unread.push(item),
            (_, Message::Newline) => {}
            (LinkState::Ping, Message::Reply(Reply::Error(error))) if error != ErrorKind::NoAuth => {
                log(out, RedisEvent::ErrorReplyToPing(loading_or_other(error)));
                self.abort_handshake(out);
            }
            (LinkState::Ping, Message::Reply(_)) => {
                log(out, RedisEvent::MasterRepliedToPing);
                self.link.state = LinkState::Handshake;
                let port = self.me.port;
                self.send_to_master(Command::ReplconfHandshake { port }, out);
            }
            (LinkState::Handshake, Message::Reply(_)) => {
                self.link.state = LinkState::Capabilities;
                let rdb_channel = self.config.repl_rdb_channel;
                self.send_to_master(Command::ReplconfCapa { rdb_channel }, out);
            }
            (LinkState::Capabilities, Message::Reply(_)) => {
                self.link.state = LinkState::Psync;
                let request = self.link.cached.map(|(replid, offset)| (replid, offset + 1));
                log(
                    out,
                    match request {
                        Some((replid, offset)) => RedisEvent::TryingPartial(replid, offset),
                        None => RedisEvent::PartialNotPossible,
                    },
                );
                let asks = if self.is_failing_over() { Command::PsyncFailover } else { Command::Psync };
                self.send_to_master(asks(request), out);
            }
            (LinkState::Psync, Message::Reply(Reply::Continue(replid))) => {
                self.failover_ends(out);
                self.continue_from_cached(replid, out);
            }
            (LinkState::Psync, Message::Reply(Reply::FullResync(replid, offset))) => {
                log(out, RedisEvent::FullResyncFromMaster(replid, offset));
                self.failover_ends(out);
                self.full_resync_begins(replid, offset, out);
            }
            (LinkState::Psync, Message::Reply(Reply::RdbChannelSync(main))) => {
                self.failover_ends(out);
                self.begin_channel(main, out);
            }
            (LinkState::Psync, Message::Reply(_)) => {
                log(out, RedisEvent::MasterUnableToPsync);
                self.psync_fails(out);
            }
            (LinkState::Transfer, Message::Rdb(piece)) => self.receive_piece(*piece, out),
            (state, message) => unreachable!("a master does not send {message:?} to a replica in {state:?}"),
        }
    }

    /// `+FULLRESYNC`: a file of this history, up to this offset, will come.
    pub(super) fn full_resync_begins(&mut self, replid: ReplId, offset: u64, out: &mut Out) {
        self.link.initial = (replid, offset);
        self.link.receiving = None;
        self.link.state = LinkState::Transfer;
        if self.config.rules().drops_history_at_fullresync {
            self.drop_history(out);
        }
    }

    /// `+CONTINUE` (spec 25.6).
    fn continue_from_cached(&mut self, replid: ReplId, out: &mut Out) {
        log(out, RedisEvent::SuccessfulPartial);
        let (cached_id, _) = self.link.cached.take().expect("only a cached master is continued");
        if replid != cached_id {
            let history = self.history();
            history.replid2 = cached_id;
            history.second_offset = history.offset as i64 + 1;
            history.replid = replid;
            log(out, RedisEvent::MasterReplIdChanged(replid));
            self.disconnect_replicas(out);
        }
        self.link.state = LinkState::Connected;
        self.link.down_since = 0;
        let history = self.history();
        if history.backlog.is_none() {
            history.backlog = Some(Backlog::new(history.offset));
        }
        log(out, RedisEvent::MasterAcceptedPartial);
    }

    /// `replicationSendNewlineToMaster`: best effort, while nothing else can be said.
    pub(super) fn send_newline_to_master(&mut self, out: &mut Out) {
        if let Some(sock) = self.link.sock {
            out.send(sock, Message::Newline);
        }
    }

    /// `useDisklessLoad`
    fn loads_from_the_socket(&self) -> bool {
        match self.config.repl_diskless_load {
            DisklessLoad::Disabled => false,
            DisklessLoad::OnEmptyDb => self.data.keys() == 0,
            DisklessLoad::Swapdb => true,
        }
    }

    /// Some bytes of the RDB file came (`readSyncBulkPayload`, spec 26.4).
    pub(super) fn receive_piece(&mut self, piece: RdbPiece, out: &mut Out) {
        let begun = match self.link.receiving {
            Some(begun) => begun,
            None => {
                self.log_begin_of_transfer(piece.size, out);
                *self.link.receiving.insert(out.now())
            }
        };
        if self.volume.full && !self.loads_from_the_socket() {
            log_text(out, || {
                "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: No \
                 space left on device"
                    .into()
            });
            self.cancel_handshake(true, out);
            return;
        }
        if let Some(file) = piece.file {
            self.link.streamed = piece.size.is_none();
            self.receive_rdb(file, begun, out);
        }
    }

    fn log_begin_of_transfer(&self, size: Option<u64>, out: &mut Out) {
        let event = match (size, self.loads_from_the_socket()) {
            (None, false) => RedisEvent::ReceivingRdb,
            (None, true) => RedisEvent::ReceivingRdbToParser,
            (Some(bytes), false) => RedisEvent::ReceivingFile(bytes),
            (Some(bytes), true) => RedisEvent::ReceivingFileToParser(bytes),
        };
        log(out, event);
    }

    /// What comes is another history: nobody is continued in the old one.
    fn drop_history(&mut self, out: &mut Out) {
        self.discard_cached_master(out);
        self.disconnect_replicas(out);
        self.history.backlog = None;
    }

    /// The last byte of the RDB file came. Unless it is loaded from the socket, it stays on the disk (spec 25.8).
    fn receive_rdb(&mut self, file: Snapshot, begun: Time, out: &mut Out) {
        let to_disk = !self.loads_from_the_socket();
        self.stop_aof(out);
        self.kill_child_before_load(to_disk, out);
        self.drop_history(out);
        let loads_first = self.config.rules().loads_before_flush;
        if loads_first {
            log(out, RedisEvent::LoadingDb);
        }
        log(out, RedisEvent::FlushingOldData);
        out.work(self.config.free_span(self.data.ballast()));
        if !loads_first {
            log(out, RedisEvent::LoadingDb);
        }
        let mut done = out.now() - begun;
        if to_disk {
            done = Span::ZERO;
            let fsync = self.draw_fsync();
            out.work(fsync);
            if !self.config.rdb_del_sync_files {
                self.store_received(&file, self.link.initial);
            }
        }
        self.begin_loading(file, super::persist::LoadFor::Sync, done, out);
    }

    /// The RDB file cannot be loaded: all begins anew.
    pub(super) fn sync_failed(&mut self, out: &mut Out) {
        self.cancel_handshake(true, out);
    }

    /// The RDB file is loaded: the link is up.
    pub(super) fn sync_done(&mut self, out: &mut Out) {
        let (replid, offset) = self.link.initial;
        let history = self.history();
        history.replid = replid;
        history.offset = offset;
        history.backlog = Some(Backlog::new(offset));
        self.clear_second_id();
        self.clients.take_id();
        self.link.state = LinkState::Connected;
        self.link.down_since = 0;
        self.link.last_io = unixtime(out);
        log(out, RedisEvent::FinishedWithSuccess);
        self.start_aof(false, out);
        let on_channel = self.link.main_id.is_some();
        self.close_file_link(out);
        if self.link.streamed && self.config.rules().acks_streamed_file {
            self.send_ack(out);
        }
        let buffered = self.link.unread.last().map_or(0, |item| item.end - offset);
        if on_channel {
            log(out, RedisEvent::ApplyingBuffer(buffered));
        }
        self.link_goes_on(out);
        if on_channel {
            log(out, RedisEvent::AppliedBuffer(buffered));
        }
        if self.link.sock.is_none() {
            self.free_master_client(out);
        }
    }

    /// What waited is read.
    pub(super) fn link_goes_on(&mut self, out: &mut Out) {
        for item in std::mem::take(&mut self.link.unread) {
            if self.leaving {
                return;
            }
            self.stream_item(item, out);
        }
    }

    /// A command of the stream: executed, or it waits, and with it all that follows. Pauses spare the replicas of a master,
    /// not its replica's link to it.
    fn stream_item(&mut self, item: StreamItem, out: &mut Out) {
        if self.is_busy() {
            self.link.unread.push(item);
            return;
        }
        if self.link.unread.is_empty() {
            if !self.pause_holds(&item.command) {
                self.apply(item, out);
                return;
            }
            self.postpone(LINK);
        }
        self.link.unread.push(item);
    }

    /// A command of the stream: executed, then passed on byte by byte (spec 27.3). The offset counts it afterwards.
    fn apply(&mut self, item: StreamItem, out: &mut Out) {
        out.work(STREAM_COMMAND);
        self.cache_time(out);
        if item.command.is_write() && self.ends_for_disk(out) {
            return;
        }
        match &item.command {
            Command::Set(key, value, expiry) => {
                if !(out.mistaken(Mistake::ReplicaSkipsWrites) && key.index % 50 == 49) {
                    self.set(*key, *value, *expiry, out);
                }
                self.dirty += 1;
                if self.save_point_near(out) {
                    self.cron.refine(out);
                }
            }
            Command::Publish(channel, payload) => {
                self.deliver(*channel, *payload, out);
            }
            Command::Del(key) => {
                self.data.delete(*key);
                self.log_delete(*key, out);
                self.dirty += 1;
            }
            Command::ReplconfGetack => self.send_ack(out),
            Command::FlushAll => {
                self.flush_all(out);
                self.log_flush(out);
            }
            Command::FlushDb => {
                self.flush_db();
                self.log_flush(out);
            }
            _ => {}
        }
        self.append_to_stream(item.command, out);
        assert_eq!(self.history.offset, item.end, "a replica counts the bytes of its master");
    }

    /// The link's part of `replicationCron` (spec 24.2, 24.3, 27.1).
    pub(super) fn link_cron(&mut self, out: &mut Out) {
        let Some(master) = self.link.master else { return };
        let silent = unixtime(out) - self.link.last_io > self.config.repl_timeout as i64;
        if silent && self.link.in_handshake() {
            log(out, RedisEvent::TimeoutConnecting);
            self.cancel_handshake(true, out);
        } else if silent && self.link.state == LinkState::Transfer {
            log(out, RedisEvent::TimeoutReceivingBulk);
            self.cancel_handshake(true, out);
        } else if silent && self.link.state == LinkState::Connected {
            log(out, RedisEvent::MasterTimeout);
            self.free_master_client(out);
        }
        if self.link.state == LinkState::Connect {
            log(out, RedisEvent::ConnectingToMaster(master));
            self.connect_with_master(out);
        }
        if self.link.is_up() {
            self.send_ack(out);
        }
    }
}
