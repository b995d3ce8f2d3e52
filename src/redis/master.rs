//! Serving replicas: PSYNC, full syncs, the stream, its acknowledgements (replication.c; spec 25 to 27).

use super::backlog::Backlog;
use super::client::{Attached, Lane, Slot};
use super::{Redis, draw_replid, log, log_text, unixtime};
use crate::program::Out;
use crate::record::RedisEvent;
use crate::wire::{Command, ErrorKind, Message, ReplId, ReplicaState, Reply};

/// A backlog never trims what a replica still waits for; this is "nobody waits".
const NOBODY: u64 = u64::MAX - 1;

impl Redis {
    /// `replicationFeedSlaves`: a command enters the stream. Only a master writes one, and nothing is counted until a
    /// backlog exists (spec 25.2).
    pub(super) fn feed(&mut self, command: Command, out: &mut Out) {
        if self.link.master.is_some() || self.history.backlog.is_none() {
            return;
        }
        // PING and GETACK are sent for whatever database was selected last, so they never cause a SELECT.
        if !self.history.selected && !matches!(command, Command::Ping | Command::ReplconfGetack) {
            self.history.selected = true;
            self.append_to_stream(Command::Select, out);
        }
        self.append_to_stream(command, out);
    }

    /// `feedReplicationBuffer`: counts the bytes, keeps them, and passes them on.
    pub(super) fn append_to_stream(&mut self, command: Command, out: &mut Out) {
        let bytes = command.stream_bytes() as u64;
        let Some(backlog) = self.history.backlog.as_mut() else { return };
        let (item, new_block) = backlog.append(command, bytes);
        self.history.offset = item.end;
        self.history.stream_at = unixtime(out);
        for i in 0..self.replicas.len() {
            let slot = self.replicas[i];
            let client = self.clients.get_mut(slot).expect("the list of replicas holds clients");
            let replica = client.attached.as_mut().expect("the list of replicas holds replicas");
            if replica.streaming {
                replica.sent = item.end;
                if let Some(sock) = client.sock {
                    out.send(sock, Message::Stream(item.clone()));
                }
            }
        }
        if new_block {
            for i in 0..self.replicas.len() {
                self.check_output_limit(self.replicas[i], out);
            }
            self.trim_backlog(out);
        }
    }

    /// `incrementalTrimReplicationBacklog`: blocks that a replica has not been sent stay (spec 25.5).
    fn trim_backlog(&mut self, out: &Out) {
        let mut needed = NOBODY;
        for &slot in &self.replicas {
            let client = self.clients.get(slot).expect("the list of replicas holds clients");
            let replica = client.attached.as_ref().expect("the list of replicas holds replicas");
            if replica.lane == Lane::File || replica.state == ReplicaState::WaitRdbChannel {
                continue;
            }
            if replica.state != ReplicaState::WaitBgsave || self.child.as_ref().is_some_and(|child| child.serves(slot))
            {
                let unread = client.sock.map_or(0, |sock| out.output_buffer_bytes(sock));
                needed = needed.min(replica.sent.saturating_sub(unread));
            }
        }
        if let Some(backlog) = self.history.backlog.as_mut() {
            backlog.trim(self.config.repl_backlog_size, needed);
        }
    }

    /// PSYNC (`syncCommand`). No reply means that a full sync begins.
    pub(super) fn psync(&mut self, slot: Slot, request: Option<(ReplId, u64)>, out: &mut Out) -> Option<Reply> {
        let client = self.clients.get(slot).expect("the client sent PSYNC");
        if client.attached.is_some() {
            return None;
        }
        if self.failover.is_some() || self.link.master.is_some() && !self.link.is_up() {
            return Some(Reply::Error(ErrorKind::NoMasterLink));
        }
        let (addr, id) = (client.replica_addr(), client.id);
        let is_file = client.file_for.is_some();
        log(out, RedisEvent::ReplicaAsks(addr));
        if is_file {
            log(out, RedisEvent::FullResyncRequestedOnChannel(addr));
        } else if self.try_partial(slot, request, out) {
            return None;
        }
        let now_s = unixtime(out);
        let lane = match is_file {
            true => Lane::File,
            false if self.offers_channel(slot) => Lane::Stream,
            false => Lane::Both,
        };
        self.clients.get_mut(slot).expect("the client sent PSYNC").attached = Some(Attached {
            lane,
            state: if lane == Lane::Stream { ReplicaState::WaitRdbChannel } else { ReplicaState::WaitBgsave },
            ack_offset: 0,
            ack_time: now_s,
            sent: 0,
            streaming: false,
        });
        self.replicas.push(slot);
        if self.replicas.len() == 1 && self.history.backlog.is_none() {
            self.history.replid = draw_replid(&mut self.identity);
            self.clear_second_id();
            self.history.backlog = Some(Backlog::new(self.history.offset));
            log(out, RedisEvent::BacklogCreated(self.history.replid, self.history.replid2));
        }
        if lane == Lane::Stream {
            log(out, RedisEvent::RdbChannelPossible(addr));
            return Some(Reply::RdbChannelSync(id));
        }
        self.begin_full_sync(slot, out);
        None
    }

    /// `masterTryPartialResynchronization` (spec 25.4).
    fn try_partial(&mut self, slot: Slot, request: Option<(ReplId, u64)>, out: &mut Out) -> bool {
        let addr = self.clients.get(slot).expect("the client sent PSYNC").replica_addr();
        let history = &self.history;
        let Some((asked, offset)) = request else {
            log(out, RedisEvent::FullResyncRequested(addr));
            return false;
        };
        if asked != history.replid && (asked != history.replid2 || offset as i64 > history.second_offset) {
            let event = if asked != history.replid2 {
                RedisEvent::PartialRefusedId(asked, history.replid, history.replid2)
            } else {
                RedisEvent::PartialRefusedOffset(offset, history.second_offset as u64)
            };
            log(out, event);
            return false;
        }
        let Some(backlog) = history.backlog.as_ref().filter(|backlog| backlog.holds(offset, self.ring_bytes())) else {
            log(out, RedisEvent::PartialRefusedBacklog(addr, offset));
            if offset > history.offset {
                log_text(out, || {
                    "Warning: replica tried to PSYNC with an offset that is greater than the master replication \
                     offset."
                        .into()
                });
            }
            return false;
        };
        let now_s = unixtime(out);
        let client = self.clients.get_mut(slot).expect("the client sent PSYNC");
        client.attached = Some(Attached {
            lane: Lane::Both,
            state: ReplicaState::Online,
            ack_offset: 0,
            ack_time: now_s,
            sent: history.offset,
            streaming: true,
        });
        let bytes = {
            let (items, bytes) = backlog.after(offset - 1);
            if let Some(sock) = client.sock {
                out.reply(sock, Reply::Continue(history.replid));
                for item in items {
                    out.send(sock, Message::Stream(item.clone()));
                }
            }
            bytes
        };
        self.replicas.push(slot);
        log(out, RedisEvent::PartialAccepted(addr, bytes, offset));
        self.refresh_good_replicas(now_s);
        true
    }

    /// The bytes that a backlog which is a ring has at the most. What else the model keeps in it lies in the output buffers
    /// of replicas.
    fn ring_bytes(&self) -> Option<u64> {
        self.config.rules().backlog_is_ring.then_some(self.config.repl_backlog_size)
    }

    /// The shared part of PSYNC's three cases (spec 26.1).
    fn begin_full_sync(&mut self, slot: Slot, out: &mut Out) {
        if let Some(child) = self.child.as_ref().filter(|_| !self.is_rewriting_aof()) {
            if child.is_diskless() {
                log_text(out, || "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC".into());
            } else if let Some(offset) = self.shared_bgsave_offset().filter(|_| !self.is_file_lane(slot)) {
                self.setup_full_sync(slot, offset, out);
                self.share_child(slot);
                log_text(out, || "Waiting for end of BGSAVE for SYNC".into());
            } else {
                log_text(out, || {
                    "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC".into()
                });
            }
        } else if self.config.repl_diskless_sync && self.config.repl_diskless_sync_delay > 0 {
            log(out, RedisEvent::DelayNextBgsave);
        } else if self.child.is_some() {
            log_text(out, || {
                "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed".into()
            });
        } else {
            self.start_bgsave_for_replication(out);
        }
    }

    /// The offset of a running disk-based save that some other replica waits for.
    fn shared_bgsave_offset(&self) -> Option<u64> {
        let child = self.child.as_ref()?;
        child.is_shared().then(|| child.rdb.info.map_or(0, |info| info.offset))
    }

    /// `replicationSetupSlaveForFullResync`: from here on the stream is kept for this replica.
    pub(super) fn setup_full_sync(&mut self, slot: Slot, offset: u64, out: &mut Out) {
        self.history.selected = false;
        let replid = self.history.replid;
        let replica = self.clients.attached_mut(slot);
        replica.sent = offset;
        replica.streaming = false;
        if let Some(sock) = self.clients.get(slot).and_then(|client| client.sock) {
            out.reply(sock, Reply::FullResync(replid, offset));
        }
    }

    /// Replicas that wait for a fork, in their order.
    pub(super) fn waiting_for_fork(&self) -> Vec<Slot> {
        let in_transfer = |slot: &Slot| self.child.as_ref().is_some_and(|child| child.serves(*slot));
        self.replicas
            .iter()
            .copied()
            .filter(|slot| self.clients.attached(*slot).state == ReplicaState::WaitBgsave && !in_transfer(slot))
            .collect()
    }

    /// `replicationStartPendingFork` (spec 26.2): whole seconds of the wall clock.
    pub(super) fn start_pending_fork(&mut self, out: &mut Out) {
        if self.child.is_some() {
            return;
        }
        let waiting = self.waiting_for_fork();
        if waiting.is_empty() {
            return;
        }
        let now_s = unixtime(out);
        let idle = waiting
            .iter()
            .filter_map(|&slot| self.clients.get(slot))
            .map(|client| now_s - client.last_interaction)
            .max()
            .unwrap_or(0)
            .max(0);
        let enough = self.config.repl_diskless_sync_max_replicas;
        if !self.config.repl_diskless_sync
            || (enough > 0 && waiting.len() >= enough as usize)
            || idle >= self.config.repl_diskless_sync_delay as i64 + i64::from(self.config.rules().diskless_wait_strict)
        {
            self.start_bgsave_for_replication(out);
        }
    }

    /// REPLCONF ACK.
    pub(super) fn replica_ack(&mut self, slot: Slot, offset: u64, out: &mut Out) {
        let now_s = unixtime(out);
        let Some(replica) = self.clients.get_mut(slot).and_then(|client| client.attached.as_mut()) else { return };
        replica.ack_offset = replica.ack_offset.max(offset);
        replica.ack_time = now_s;
        // The ACK may come before it was noticed that the child has ended.
        if replica.state == ReplicaState::WaitBgsave && self.child.as_ref().is_some_and(|child| child.serves(slot)) {
            self.check_child_done(out);
        }
        let replica = self.clients.attached(slot);
        if replica.state == ReplicaState::SendBulkAndStream {
            self.put_online(slot, out);
        } else if replica.state == ReplicaState::Online && !replica.streaming {
            if self.config.rules().online_line_at_ack {
                self.put_online(slot, out);
            }
            self.start_stream(slot, out);
        }
    }

    /// `replicaStartCommandStream`: what was kept since the fork goes out (spec 26.5).
    pub(super) fn start_stream(&mut self, slot: Slot, out: &mut Out) {
        let client = self.clients.get_mut(slot).expect("the list of replicas holds clients");
        let replica = client.attached.as_mut().expect("the list of replicas holds replicas");
        if let (Some(backlog), Some(sock)) = (self.history.backlog.as_ref(), client.sock) {
            let (items, _) = backlog.after(replica.sent);
            for item in items {
                out.send(sock, Message::Stream(item.clone()));
            }
        }
        replica.sent = self.history.offset;
        replica.streaming = true;
    }

    /// A replica counts as online.
    pub(super) fn count_online(&mut self, slot: Slot, out: &mut Out) {
        let now_s = unixtime(out);
        let replica = self.clients.attached_mut(slot);
        replica.state = ReplicaState::Online;
        replica.ack_time = now_s;
        self.refresh_good_replicas(now_s);
    }

    /// `replicaPutOnline`
    pub(super) fn put_online(&mut self, slot: Slot, out: &mut Out) {
        self.count_online(slot, out);
        let addr = self.clients.get(slot).expect("the list of replicas holds clients").replica_addr();
        log(out, RedisEvent::ReplicaOnline(addr));
    }

    /// A replica's client was freed.
    pub(super) fn replica_gone(&mut self, slot: Slot, out: &mut Out) {
        let now_s = unixtime(out);
        self.replicas.retain(|&other| other != slot);
        if self.replicas.is_empty() {
            self.history.no_replicas_since = now_s;
        }
        self.refresh_good_replicas(now_s);
        self.child_lost_replica(slot, out);
    }

    /// `disconnectSlaves`
    pub(super) fn disconnect_replicas(&mut self, out: &mut Out) {
        for slot in self.replicas.clone() {
            self.free_client(slot, false, out);
        }
    }

    /// `refreshGoodSlavesCount` (spec 27.5).
    pub(super) fn refresh_good_replicas(&mut self, now_s: i64) {
        let lag = self.config.min_replicas_max_lag as i64;
        if self.config.min_replicas_to_write == 0 || lag == 0 {
            return;
        }
        let good = |slot: &&Slot| {
            let replica = self.clients.attached(**slot);
            replica.state == ReplicaState::Online && now_s - replica.ack_time <= lag
        };
        self.good_replicas = self.replicas.iter().filter(good).count() as u32;
    }

    /// `checkGoodReplicasStatus`, on a master.
    pub(super) fn enough_good_replicas(&self) -> bool {
        self.config.min_replicas_to_write == 0
            || self.config.min_replicas_max_lag == 0
            || self.good_replicas >= self.config.min_replicas_to_write
    }

    /// `clearReplicationId2`
    pub(super) fn clear_second_id(&mut self) {
        self.history.replid2 = ReplId::NONE;
        self.history.second_offset = -1;
    }

    /// `shiftReplicationId`: the old history ends here, a new one begins (spec 25.6).
    pub(super) fn shift_replid(&mut self, out: &mut Out) {
        let history = &mut self.history;
        history.replid2 = history.replid;
        history.second_offset = history.offset as i64 + 1;
        history.replid = draw_replid(&mut self.identity);
        log(out, RedisEvent::SecondaryReplId(history.replid2, history.offset + 1, history.replid));
    }

    /// `replicationCron`, in its order (spec 23.2).
    pub(super) fn replication_cron(&mut self, out: &mut Out) {
        self.update_failover(out);
        self.link_cron(out);
        let now_s = unixtime(out);
        let period = self.config.repl_ping_replica_period.max(1);
        let due = match self.config.rules().pings_when_silent {
            false => self.replication_cron_loops.is_multiple_of(period as u64),
            true => now_s >= self.history.stream_at + period as i64,
        };
        if due && !self.replicas.is_empty() && !self.failover_keeps_still() {
            self.feed(Command::Ping, out);
        }
        let diskless = self.child.as_ref().is_some_and(|child| child.is_diskless());
        for slot in self.replicas.clone() {
            let client = self.clients.get(slot).expect("the list of replicas holds clients");
            let replica = client.attached.as_ref().expect("the list of replicas holds replicas");
            let being_served = self.child.as_ref().is_some_and(|child| child.serves(slot));
            if replica.state == ReplicaState::WaitBgsave
                && !(diskless && being_served)
                && let Some(sock) = client.sock
            {
                out.send(sock, Message::Newline);
            }
        }
        for slot in self.replicas.clone() {
            let client = self.clients.get(slot).expect("the list of replicas holds clients");
            let replica = client.attached.as_ref().expect("the list of replicas holds replicas");
            let timeout = self.config.repl_timeout as i64;
            if replica.state == ReplicaState::Online && now_s - replica.ack_time > timeout {
                log(out, RedisEvent::ReplicaTimeout(client.replica_addr()));
                self.free_client(slot, false, out);
            } else if self.child.as_ref().is_some_and(|child| child.stuck_for(slot, now_s) > timeout) {
                let addr = client.replica_addr();
                log_text(out, || format!("Disconnecting timedout replica (full sync): {}:{}", addr.ip.0, addr.port));
                self.free_client(slot, false, out);
            }
        }
        let ttl = self.config.repl_backlog_ttl as i64;
        if self.replicas.is_empty() && ttl > 0 && self.history.backlog.is_some() && self.link.master.is_none() {
            let idle = now_s - self.history.no_replicas_since;
            if idle > ttl {
                self.history.replid = draw_replid(&mut self.identity);
                self.clear_second_id();
                self.history.backlog = None;
                log_text(out, || format!("Replication backlog freed after {ttl} seconds without connected replicas."));
            }
        }
        self.start_pending_fork(out);
        self.refresh_good_replicas(now_s);
        self.replication_cron_loops += 1;
    }
}
