//! FAILOVER: a master hands its role to a replica (replication.c `failoverCommand`, `updateFailoverStatus`, `abortFailover`;
//! spec 37). Since 6.2.
//!
//! Writes are paused until the target has acknowledged all; then the master becomes its replica and asks for the stream with
//! PSYNC … FAILOVER, which makes the target a master. Nobody else is told: not the other replicas, not Sentinel.
//!
//! What is simpler: the pause of 6.2 is one with that of CLIENT PAUSE there, which ends both; here each ends by itself, as since 7.0.

use super::client::Slot;
use super::{Redis, log};
use crate::program::Out;
use crate::record::RedisEvent;
use crate::wire::{Addr, ErrorKind, FailoverCommand, ReplId, Reply};

/// A FAILOVER that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failover {
    /// `target_replica_host` and `target_replica_port`; none as long as any will do.
    target: Option<Addr>,
    /// `failover_end_time`
    until_ms: Option<i64>,
    force: bool,
    /// FAILOVER_IN_PROGRESS: it has become the target's replica. Before, FAILOVER_WAIT_FOR_SYNC.
    in_progress: bool,
}

fn refused(words: &'static str) -> Reply {
    Reply::Error(ErrorKind::Said(words))
}

impl Redis {
    /// FAILOVER.
    pub(super) fn failover(&mut self, command: FailoverCommand, out: &mut Out) -> Reply {
        let FailoverCommand::Begin { to, force, timeout } = command else {
            if self.failover.is_none() {
                return refused("No failover in progress.");
            }
            self.abort_failover("Failover manually aborted", out);
            return Reply::Ok;
        };
        if self.failover.is_some() {
            return refused("FAILOVER already in progress.");
        }
        if self.link.master.is_some() {
            return refused("FAILOVER is not valid when server is a replica.");
        }
        if self.replicas.is_empty() {
            return refused("FAILOVER requires connected replicas.");
        }
        match to {
            None => log(out, RedisEvent::FailoverRequestedAny),
            Some(target) => {
                let Some(replica) = self.find_replica(target) else {
                    return refused("FAILOVER target HOST and PORT is not a replica.");
                };
                if self.clients.attached(replica).state != crate::wire::ReplicaState::Online {
                    return refused("FAILOVER target replica is not online.");
                }
                log(out, RedisEvent::FailoverRequested(target));
            }
        }
        let until_ms = timeout.map(|span| out.wall_ms() + span.as_millis() as i64);
        self.failover = Some(Failover { target: to, until_ms, force, in_progress: false });
        self.cron.refine(out);
        Reply::Ok
    }

    /// `findReplica`
    fn find_replica(&self, addr: Addr) -> Option<Slot> {
        let is_it = |slot: &Slot| self.clients.get(*slot).is_some_and(|client| client.replica_addr() == addr);
        self.replicas.iter().copied().find(is_it)
    }

    /// Whether it gives up its role and is not yet answered.
    pub(super) fn is_failing_over(&self) -> bool {
        self.failover.is_some_and(|failover| failover.in_progress)
    }

    /// Whether replicas get no PING, which would move the offset that they are to reach (`replicationCron`).
    pub(super) fn failover_keeps_still(&self) -> bool {
        self.failover.is_some_and(|failover| failover.until_ms.is_some())
    }

    /// `updateFailoverStatus`
    pub(super) fn update_failover(&mut self, out: &mut Out) {
        let Some(failover) = self.failover.filter(|failover| !failover.in_progress) else { return };
        if failover.until_ms.is_some_and(|until_ms| until_ms <= out.wall_ms()) {
            match failover.target.filter(|_| failover.force) {
                Some(target) => {
                    log(out, RedisEvent::FailoverForced(target));
                    self.hand_over(target, out);
                }
                None => self.abort_failover("Replica never caught up before timeout", out),
            }
            return;
        }
        let has_all = |slot: &Slot| self.clients.attached(*slot).ack_offset == self.history.offset;
        let replica = match failover.target {
            Some(target) => self.find_replica(target).filter(has_all),
            None => self.replicas.iter().copied().find(has_all),
        };
        if let Some(client) = replica.and_then(|slot| self.clients.get(slot)) {
            let target = client.replica_addr();
            log(out, RedisEvent::FailoverSynced(target));
            self.hand_over(target, out);
        }
    }

    /// The master becomes the replica of its replica.
    fn hand_over(&mut self, target: Addr, out: &mut Out) {
        if let Some(failover) = self.failover.as_mut() {
            (failover.target, failover.in_progress) = (Some(target), true);
        }
        self.set_master(target, out);
    }

    /// The target has taken the role, or it was given up (`clearFailoverState`). Who waited goes on before the loop sleeps
    /// the next time.
    pub(super) fn failover_ends(&mut self, out: &mut Out) {
        if self.failover.take().is_some() {
            self.ask_postponed();
            self.cron.refine(out);
        }
    }

    /// `abortFailover`: a master that had become a replica is a master again, with a new history.
    pub(super) fn abort_failover(&mut self, why: &'static str, out: &mut Out) {
        let Some(failover) = self.failover else { return };
        log(
            out,
            match failover.target {
                Some(target) => RedisEvent::FailoverAborted(target, why.into()),
                None => RedisEvent::FailoverAbortedAny(why.into()),
            },
        );
        if failover.in_progress {
            self.unset_master(false, out);
        }
        self.failover_ends(out);
    }

    /// PSYNC … FAILOVER: its master asks it to take the role (`syncCommand`).
    pub(super) fn psync_failover(
        &mut self,
        slot: Slot,
        request: Option<(ReplId, u64)>,
        out: &mut Out,
    ) -> Option<Reply> {
        if self.clients.get(slot).is_some_and(|client| client.attached.is_some()) {
            return None;
        }
        let asked = request.map_or(ReplId::NONE, |(replid, _)| replid);
        log(out, RedisEvent::FailoverRequestReceived(asked));
        if self.link.master.is_none() {
            return Some(refused("PSYNC FAILOVER can't be sent to a master."));
        }
        if asked != self.history.replid {
            return Some(refused("PSYNC FAILOVER replid must match my replid."));
        }
        self.unset_master(false, out);
        log(out, RedisEvent::MasterModeByFailover);
        self.psync(slot, request, out)
    }
}
