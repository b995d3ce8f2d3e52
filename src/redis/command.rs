//! Which command is allowed when, and what it does (`processCommand`, `call`; spec 6.2, 13, 27.4 to 27.7, 28.3).

use super::client::{Blocked, Slot, Transaction};
use super::config::Protected;
use super::{INFO_EXTRA, Redis, log, log_text, unixtime};
use crate::kernel::{Span, Time};
use crate::mistake::Mistake;
use crate::program::{Note, Out};
use crate::record::RedisEvent;
use crate::wire::{Addr, ClientType, Command, ErrorKind, PauseKind, Payload, Reply};

/// Marks of commands in the command table of 7.0.15.
#[derive(Clone, Copy)]
struct Flags {
    /// Allowed while loading.
    loading: bool,
    /// Allowed on a stale replica with `replica-serve-stale-data no`.
    stale: bool,
    /// Write, or may be replicated: postponed while writes are paused.
    replicates: bool,
}

fn flags(command: &Command) -> Flags {
    let (loading, stale) = match command {
        Command::Info(_)
        | Command::Role
        | Command::Publish(..)
        | Command::Subscribe(_)
        | Command::PSubscribe(_)
        | Command::Unsubscribe(_)
        | Command::ConfigSet(_)
        | Command::ConfigRewrite
        | Command::ClientKill(_)
        | Command::ClientPause(..)
        | Command::ClientUnpause
        | Command::ClientSetName
        | Command::Multi
        | Command::Exec
        | Command::Shutdown { .. }
        | Command::DebugSleep(_)
        | Command::DebugSegfault
        | Command::ScriptKill
        | Command::NoOp
        | Command::ReplconfHandshake { .. }
        | Command::ReplconfCapa { .. }
        | Command::ReplconfRdbChannel { .. }
        | Command::ReplconfAck(_)
        | Command::ReplconfGetack
        | Command::Unknown => (true, true),
        // Marked stale but not loading; with `no async loading`.
        Command::ReplicaOf(_) | Command::Failover(_) => (false, true),
        Command::Ping
        | Command::Set(..)
        | Command::Del(_)
        | Command::Get(_)
        | Command::Save
        | Command::BgSave
        | Command::BgRewriteAof
        | Command::FlushAll
        | Command::FlushDb
        | Command::Wait { .. }
        | Command::Psync(_)
        | Command::PsyncFailover(_)
        | Command::Select
        // Marked stale, and refused by itself (`scriptPrepareForRun`).
        | Command::Eval(_)
        | Command::Sentinel(_) => (false, false),
    };
    let replicates = command.is_write() || matches!(command, Command::Publish(..) | Command::Eval(_));
    Flags { loading, stale, replicates }
}

impl Redis {
    /// Sends a reply, if there is somebody to send it to.
    pub(super) fn reply(&mut self, slot: Slot, reply: Reply, out: &mut Out) {
        let Some(client) = self.clients.get(slot) else { return };
        if client.close_asap {
            return;
        }
        let Some(sock) = client.sock else { return out.answer(reply) };
        out.reply(sock, reply);
        if out.output_buffer_bytes(sock) > 0 {
            self.check_output_limit(slot, out);
        }
    }

    /// `processCommand`: refuses, queues, postpones or executes.
    pub(super) fn process_command(&mut self, slot: Slot, command: Command, out: &mut Out) {
        match self.refusal(slot, &command, out) {
            Some(error) => {
                if error == ErrorKind::NoReplicas {
                    let (good, needed) = (self.good_replicas, self.config.min_replicas_to_write);
                    out.note(|| Note::TooFewReplicas { good, needed });
                }
                // `rejectCommand` flags the transaction, and a refused EXEC ends it.
                let client = self.clients.get_mut(slot).expect("the client sent a command");
                let error = match (&command, client.transaction.as_mut()) {
                    (Command::Exec, Some(_)) => {
                        client.transaction = None;
                        ErrorKind::ExecAbort
                    }
                    (_, Some(transaction)) => {
                        transaction.dirty = true;
                        error
                    }
                    (_, None) => error,
                };
                self.reply(slot, Reply::Error(error), out);
                return;
            }
            None if self.pauses(slot, &command) => {
                let client = self.clients.get_mut(slot).expect("the client sent a command");
                client.blocked = Some(Blocked::Postponed);
                client.waiting_input.push(command);
                self.postpone(slot.token());
                return;
            }
            None => {}
        }
        let client = self.clients.get_mut(slot).expect("the client sent a command");
        if let Some(transaction) = client.transaction.as_mut()
            && !matches!(command, Command::Exec | Command::Multi)
        {
            transaction.queue.push(command);
            self.reply(slot, Reply::Queued, out);
            return;
        }
        self.current = Some(slot);
        let reply = match command {
            Command::Exec => Some(self.exec(slot, out)),
            command => self.execute(slot, command, false, out),
        };
        self.current = None;
        if let Some(reply) = reply {
            self.reply(slot, reply, out);
        }
    }

    fn note_published(&self, payload: Payload, receivers: i64, out: &mut Out) {
        let (publisher, seq) = match payload {
            Payload::Sequence { publisher, seq, .. } => (Some(publisher), seq),
            Payload::Hello(_) | Payload::SwitchMaster(_) => (None, 0),
        };
        out.note(|| Note::Published {
            publisher,
            seq,
            role: self.role(),
            receivers: receivers as u32,
            replicas: self.streamed_replicas().count() as u32,
        });
    }

    fn queued<'a>(&'a self, slot: Slot, command: &Command) -> &'a [Command] {
        match (command, self.clients.get(slot).and_then(|client| client.transaction.as_ref())) {
            (Command::Exec, Some(transaction)) => &transaction.queue,
            _ => &[],
        }
    }

    /// Whether a pause holds up a command of a client. Attached replicas are never paused.
    fn pauses(&self, slot: Slot, command: &Command) -> bool {
        let Some(kind) = self.pause_kind() else { return false };
        self.clients.get(slot).is_some_and(|client| client.attached.is_none())
            && (kind == PauseKind::All || self.may_replicate(slot, command))
    }

    /// Whether a pause holds up a command of the master's stream.
    pub(super) fn pause_holds(&self, command: &Command) -> bool {
        self.pause_kind().is_some_and(|kind| kind == PauseKind::All || flags(command).replicates)
    }

    fn may_replicate(&self, slot: Slot, command: &Command) -> bool {
        flags(command).replicates || self.queued(slot, command).iter().any(|queued| flags(queued).replicates)
    }

    /// Why a command is not executed, in the order in which the real program looks.
    fn refusal(&self, slot: Slot, command: &Command, out: &Out) -> Option<ErrorKind> {
        let client = self.clients.get(slot)?;
        if matches!(command, Command::Unknown | Command::Sentinel(_)) {
            return Some(ErrorKind::UnknownCommand);
        }
        // `allowProtectedAction`: what comes over a connection comes from another host; what comes over none is typed in.
        if matches!(command, Command::DebugSleep(_) | Command::DebugSegfault)
            && !match self.config.enable_debug_command {
                Protected::No => false,
                Protected::Local => client.sock.is_none(),
                Protected::Yes => true,
            }
        {
            return Some(ErrorKind::DebugNotAllowed);
        }
        let queued = self.queued(slot, command);
        let is_write = command.is_write() || queued.iter().any(Command::is_write);
        let is_replica = self.link.master.is_some();
        if let Some(error) = self.refused_for_disk(command, is_write)
            && !out.mistaken(Mistake::IgnoresDiskError)
        {
            return Some(error);
        }
        if is_write && !is_replica && !self.enough_good_replicas() {
            return Some(ErrorKind::NoReplicas);
        }
        if is_write && is_replica && self.config.replica_read_only && !out.mistaken(Mistake::ReplicaAcceptsWrites) {
            return Some(ErrorKind::Readonly);
        }
        let allowed_to_subscribers =
            matches!(command, Command::Ping | Command::Subscribe(_) | Command::PSubscribe(_) | Command::Unsubscribe(_));
        if client.subscriptions() > 0 && !allowed_to_subscribers {
            return Some(ErrorKind::Err);
        }
        let stale = is_replica && !self.link.is_up() && !self.config.replica_serve_stale_data;
        let pong = *command == Command::Ping && self.config.rules().pong_when_stale;
        if stale && !pong && !(flags(command).stale && queued.iter().all(|queued| flags(queued).stale)) {
            return Some(ErrorKind::MasterDown);
        }
        if self.loading.is_some() && !(flags(command).loading && queued.iter().all(|queued| flags(queued).loading)) {
            return Some(ErrorKind::Loading);
        }
        if self.is_busy() && !super::script::allowed_while_busy(command) {
            return Some(ErrorKind::Busy);
        }
        if client.attached.is_some() && (is_write || matches!(command, Command::Publish(..) | Command::Get(_))) {
            return Some(ErrorKind::Err);
        }
        None
    }

    /// EXEC: everything in one go (spec 13.2).
    fn exec(&mut self, slot: Slot, out: &mut Out) -> Reply {
        let client = self.clients.get_mut(slot).expect("the client sent EXEC");
        let Some(transaction) = client.transaction.take() else { return Reply::Error(ErrorKind::Err) };
        if transaction.dirty {
            return Reply::Error(ErrorKind::ExecAbort);
        }
        for command in transaction.queue {
            self.execute(slot, command, true, out);
        }
        Reply::Exec
    }

    /// `call`: executes a command of a client and gives its reply.
    #[allow(clippy::too_many_lines, reason = "a table: one arm a command")]
    fn execute(&mut self, slot: Slot, command: Command, in_exec: bool, out: &mut Out) -> Option<Reply> {
        let error = Some(Reply::Error(ErrorKind::Err));
        self.cache_time(out);
        match command {
            // A RESP2 subscriber gets a two-element array; nobody looks at the difference.
            Command::Ping => Some(Reply::Pong),
            Command::Get(key) => Some(Reply::Value(self.look_up(key, out))),
            Command::Set(key, value, expiry) => {
                let replicated = self.set(key, value, expiry, out);
                self.dirty += 1;
                self.feed(replicated, out);
                self.remember_write(slot);
                if self.save_point_near(out) {
                    self.cron.refine(out);
                }
                Some(Reply::Ok)
            }
            Command::Del(_) => unreachable!("no client deletes keys: it stands in the stream of a master alone"),
            Command::Publish(channel, payload) => {
                let receivers = self.deliver(channel, payload, out);
                self.note_published(payload, receivers, out);
                if self.loading.is_none() && !out.mistaken(Mistake::PublishNotReplicated) {
                    self.feed(Command::Publish(channel, payload), out);
                }
                self.remember_write(slot);
                Some(Reply::Int(receivers))
            }
            Command::Subscribe(channel) => Some(self.subscribe(slot, channel, false)),
            Command::PSubscribe(channel) => Some(self.subscribe(slot, channel, true)),
            Command::Unsubscribe(channel) => Some(self.unsubscribe(slot, channel)),
            Command::Info(_) => {
                out.work(INFO_EXTRA);
                Some(Reply::Info(Box::new(self.info(out))))
            }
            Command::Role => Some(Reply::Role(Box::new(self.role_info()))),
            Command::ReplicaOf(_) if self.failover.is_some() => {
                Some(Reply::Error(ErrorKind::Said("REPLICAOF not allowed while failing over.")))
            }
            Command::Failover(command) => Some(self.failover(*command, out)),
            Command::ReplicaOf(Some(master)) => Some(self.replicaof(master, out)),
            Command::ReplicaOf(None) => {
                if self.link.master.is_some() {
                    self.unset_master(in_exec, out);
                    log(out, RedisEvent::MasterModeEnabled);
                }
                Some(Reply::Ok)
            }
            Command::ConfigSet(pairs) => {
                // DENY_LOADING_CONFIG
                if self.loading.is_some() && pairs.iter().any(|(name, _)| name == "appendonly") {
                    return Some(Reply::Error(ErrorKind::Loading));
                }
                let mut config = self.config.clone();
                let set = |(name, value): &(String, String)| super::settings::set(&mut config, name, value);
                if pairs.iter().try_for_each(set).is_err() {
                    return Some(Reply::Error(ErrorKind::ConfigSet));
                }
                let had_log = std::mem::replace(&mut self.config, config).appendonly;
                match (had_log, self.config.appendonly) {
                    (false, true) => self.start_aof(in_exec, out),
                    (true, false) => self.stop_aof(out),
                    _ => {}
                }
                self.refresh_good_replicas(unixtime(out));
                Some(Reply::Ok)
            }
            Command::ConfigRewrite if self.config.config_file && self.volume.full => {
                log_text(out, || "CONFIG REWRITE failed: No space left on device".into());
                error
            }
            Command::ConfigRewrite if self.config.config_file => {
                // The file, and its folder.
                out.work(self.volume.fsyncs(2, Span::ZERO));
                self.disk.rewritten = Some((self.config.clone(), self.link.master));
                log_text(out, || "CONFIG REWRITE executed with success.".into());
                Some(Reply::Ok)
            }
            Command::ConfigRewrite => Some(Reply::Error(ErrorKind::NoConfigFile)),
            Command::ClientKill(kind) => Some(Reply::Int(self.client_kill(kind, out))),
            Command::ClientPause(kind, span) => {
                self.pause_clients(kind, span, out);
                Some(Reply::Ok)
            }
            Command::ClientUnpause => {
                self.unpause_clients();
                Some(Reply::Ok)
            }
            Command::ClientSetName | Command::NoOp | Command::Select => Some(Reply::Ok),
            Command::Multi => {
                let client = self.clients.get_mut(slot).expect("the client sent MULTI");
                if client.transaction.is_some() {
                    return error;
                }
                client.transaction = Some(Box::<Transaction>::default());
                Some(Reply::Ok)
            }
            Command::Exec => unreachable!("EXEC is not queued and not executed here"),
            Command::Shutdown { now, save } => {
                if in_exec {
                    return Some(Reply::Error(ErrorKind::InTransaction));
                }
                self.shutdown_command(slot, now, save, out)
            }
            Command::DebugSleep(span) => {
                out.work(span);
                Some(Reply::Ok)
            }
            Command::DebugSegfault => {
                self.crash(out);
                None
            }
            Command::Eval(script) => self.eval(slot, *script, out),
            Command::ScriptKill => Some(self.script_kill(out)),
            Command::Save if in_exec => Some(Reply::Error(ErrorKind::InTransaction)),
            Command::Save if self.child.is_some() && !self.is_rewriting_aof() => {
                Some(Reply::Error(ErrorKind::SaveInProgress))
            }
            Command::Save => match self.save_now(out) {
                true => Some(Reply::Ok),
                false => error,
            },
            // Another child process is active.
            Command::BgSave if self.is_rewriting_aof() => error,
            Command::BgSave if self.child.is_some() => Some(Reply::Error(ErrorKind::SaveInProgress)),
            Command::BgSave => {
                self.background_save(out);
                Some(Reply::SavingStarted)
            }
            Command::BgRewriteAof => Some(self.background_rewrite(in_exec, out)),
            Command::FlushAll | Command::FlushDb => {
                match command {
                    Command::FlushAll => self.flush_all(out),
                    _ => self.flush_db(),
                }
                self.dirty += 1;
                self.log_flush(out);
                self.feed(command, out);
                self.remember_write(slot);
                Some(Reply::Ok)
            }
            Command::Wait { replicas, timeout } => self.wait(slot, replicas, timeout, in_exec, out),
            Command::ReplconfHandshake { port } => {
                self.clients.get_mut(slot).expect("the client sent REPLCONF").listening_port = Some(port);
                Some(Reply::Ok)
            }
            Command::ReplconfCapa { rdb_channel } => {
                self.clients.get_mut(slot).expect("the client sent REPLCONF").takes_channel = rdb_channel;
                Some(Reply::Ok)
            }
            Command::ReplconfRdbChannel { port, main } => {
                let client = self.clients.get_mut(slot).expect("the client sent REPLCONF");
                (client.listening_port, client.file_for) = (Some(port), Some(main));
                Some(Reply::Ok)
            }
            Command::ReplconfAck(offset) => {
                self.replica_ack(slot, offset, out);
                None
            }
            Command::ReplconfGetack => None,
            Command::Psync(request) => self.psync(slot, request, out),
            Command::PsyncFailover(request) => self.psync_failover(slot, request, out),
            Command::Sentinel(_) | Command::Unknown => Some(Reply::Error(ErrorKind::UnknownCommand)),
        }
    }

    /// `woff`: what WAIT compares with. Counted after the command was propagated.
    fn remember_write(&mut self, slot: Slot) {
        let offset = self.history.offset;
        self.clients.get_mut(slot).expect("the client sent a write").write_offset = offset;
    }

    /// CLIENT KILL TYPE: every client of the type at once, except the one that asks (spec 13.2).
    fn client_kill(&mut self, kind: ClientType, out: &mut Out) -> i64 {
        if kind == ClientType::Master {
            return if self.kill_master_link(out) { 1 } else { 0 };
        }
        let victims: Vec<Slot> = self.clients.order().collect();
        let mut killed = 0;
        for slot in victims {
            let Some(client) = self.clients.get(slot) else { continue };
            if client.kind() == kind && self.current != Some(slot) {
                self.free_client(slot, false, out);
                killed += 1;
            }
        }
        killed
    }

    /// REPLICAOF host port.
    fn replicaof(&mut self, master: Addr, out: &mut Out) -> Reply {
        if self.link.master == Some(master) && !self.link.by_name {
            log(out, RedisEvent::ReplicaOfNothingToDo);
            return Reply::Ok;
        }
        self.set_master(master, out);
        log(out, RedisEvent::ReplicaOf(master));
        Reply::Ok
    }

    /// `disconnectAllBlockedClients`: those of WAIT get an error and are closed; postponed ones stay (spec 29).
    pub(super) fn disconnect_blocked(&mut self, out: &mut Out) {
        for place in 0..self.clients.places() {
            let Some(slot) = self.clients.at(place) else { continue };
            let client = self.clients.get_mut(slot).expect("the order lists clients");
            if matches!(client.blocked, Some(Blocked::Wait { .. } | Blocked::Shutdown)) {
                if let Some(Blocked::Wait { .. }) = client.blocked.take() {
                    self.waiters -= 1;
                }
                client.waiting_input.clear();
                self.reply(slot, Reply::Error(ErrorKind::Unblocked), out);
                // Closed after the reply was written: the sends of this pass go out before the close.
                self.unsubscribe_all(slot);
                let client = self.clients.get_mut(slot).expect("it was there a moment ago");
                client.close_asap = true;
                if let Some(sock) = client.sock.take() {
                    out.close(sock);
                }
                self.to_close.push(slot);
            }
        }
    }

    /// WAIT (spec 27.6).
    fn wait(
        &mut self,
        slot: Slot,
        replicas: u32,
        timeout: crate::kernel::Span,
        in_exec: bool,
        out: &mut Out,
    ) -> Option<Reply> {
        if self.link.master.is_some() {
            return Some(Reply::Error(ErrorKind::WaitOnReplica));
        }
        let offset = self.clients.get(slot).expect("the client sent WAIT").write_offset;
        let acks = self.count_acks(offset);
        if acks >= replicas || in_exec {
            return Some(Reply::Int(acks as i64));
        }
        let deadline = if timeout.0 == 0 { Time::NEVER } else { out.now() + timeout };
        let client = self.clients.get_mut(slot).expect("the client sent WAIT");
        client.blocked = Some(Blocked::Wait { offset, replicas, deadline });
        self.waiters += 1;
        self.getack_wanted = true;
        self.cron.refine(out);
        None
    }

    fn count_acks(&self, offset: u64) -> u32 {
        self.replicas
            .iter()
            .map(|&slot| self.clients.attached(slot))
            .filter(|replica| replica.state == crate::wire::ReplicaState::Online && replica.ack_offset >= offset)
            .count() as u32
    }

    /// `processClientsWaitingReplicas` and the time-outs of blocked clients. Those are looked at when the loop turns, so
    /// an idle server answers up to one tick late.
    pub(super) fn process_waiters(&mut self, out: &mut Out) {
        let now = out.now();
        for place in 0..self.clients.places() {
            let Some(slot) = self.clients.at(place) else { continue };
            let Some(client) = self.clients.get(slot) else { continue };
            let Some(Blocked::Wait { offset, replicas, deadline }) = client.blocked else { continue };
            let acks = self.count_acks(offset);
            if acks >= replicas || now >= deadline {
                self.clients.get_mut(slot).expect("it was there a moment ago").blocked = None;
                self.waiters -= 1;
                self.reply(slot, Reply::Int(acks as i64), out);
                self.process_waiting_input(slot, out);
            }
        }
    }

    /// `processInputBuffer` of a client that was blocked: all that it has sent since, or as much as comes before it is
    /// blocked again.
    pub(super) fn process_waiting_input(&mut self, slot: Slot, out: &mut Out) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let mut input = std::mem::take(&mut client.waiting_input).into_iter();
        for command in input.by_ref() {
            self.process_command(slot, command, out);
            if self.clients.get(slot).is_none_or(|client| client.blocked.is_some()) {
                break;
            }
        }
        if let Some(client) = self.clients.get_mut(slot) {
            client.waiting_input.extend(input);
        }
    }
}
