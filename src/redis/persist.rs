//! RDB files: the child that writes one, loading one, and what a restart finds (rdb.c, server.c; spec 25.8, 26, 27.7).

use super::backlog::Backlog;
use super::client::Slot;
use super::cron::{CHILD, LOAD};
use super::{Redis, log, log_text, unixtime};
use crate::kernel::{Span, Time};
use crate::net::Out;
use crate::record::RedisEvent;
use crate::wire::{Addr, Message, ReplId, ReplicaState, Snapshot};

use super::{Config, SavePoint};

/// What an RDB file says about replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RdbInfo {
    /// `repl-id`
    pub replid: ReplId,
    /// `repl-offset`
    pub offset: u64,
}

/// An RDB file.
#[derive(Clone, Debug, PartialEq)]
pub struct Rdb {
    /// The data.
    pub snapshot: Snapshot,
    /// Present if the writer had a backlog or a master.
    pub info: Option<RdbInfo>,
}

/// What survives the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    /// dump.rdb
    pub rdb: Option<Rdb>,
    /// A process has run with this disk.
    pub started: bool,
    /// The configuration file as CONFIG REWRITE left it, with the role.
    pub rewritten: Option<(Config, Option<Addr>)>,
}

/// How long `fork` stops the server, in nanoseconds. Recordings, whole ms: "Starting BGSAVE" to "started by pid" 1 ms in
/// 193 of 219 cases, else 2 to 4.
const FORK_NS: (u64, u64) = (800_000, 1_800_000);
/// From the fork to the last byte of an empty RDB file in the pipe. Recordings: the master's "started by pid" to the
/// replicas' "receiving streamed RDB" 1.2 ms on average in 168 syncs of a starting stack, 2.2 in 51 of a working one.
const CHILD_START_NS: (u64, u64) = (700_000, 2_200_000);
/// The child adds up its private memory ("Fork CoW for RDB", from /proc/self/smaps) before it closes its end of the pipe; by
/// then the replicas have read the file.
/// Recordings: "receiving streamed RDB" to the master's "done reading from pipe" 0.6 and 0.7 ms on average.
const CHILD_COW_NS: (u64, u64) = (200_000, 1_100_000);
/// From the moment the child may exit to the moment `waitpid` sees it: at least this, and an exponential rest. Measured on
/// 7.0.15 with a replica that sends an ACK every 0.1 ms: its stream begins 1.3 ms on average after the last byte of the file
/// (deciles 0.5, 1.2 and 2.4 ms), of which [`CHILD_COW_NS`] is the first part.
const CHILD_EXIT_MIN: Span = Span::from_micros(100);
const CHILD_EXIT_MEAN_NS: u64 = 550_000;
/// `fsync` of the received file and of its directory, before it is loaded. Recordings: "Flushing old data" to "Finished
/// with success" 1 ms in 303 of 503 cases, 2 in 143, mean 1.5.
const FSYNC_NS: (u64, u64) = (700_000, 2_500_000);
/// How fast a child writes small keys, in bytes per second. Measured on 7.0.15: SAVE of a million `k:N` keys, a file of
/// 14.8 MB, took 0.61 s of process time.
const RDB_WRITE_RATE: u64 = 24_000_000;
/// How fast small keys are loaded, in bytes per second. Measured with the same file: DEBUG RELOAD NOSAVE took 0.84 s of
/// process time, flushing included.
const RDB_LOAD_RATE: u64 = 18_000_000;
/// From the listening socket (`initServer`) to the event loop. Recordings, 430 starts of a stack: of the replicas whose loop
/// began 2 ms before their master's 5 of 29 were refused, at 3 ms 26 of 33, at 5 ms 29 of 32.
const START_UP_NS: (u64, u64) = (1_500_000, 4_500_000);
/// `loading-process-events-interval-bytes`: a smaller file is loaded without looking at the sockets.
const LOADING_EVENTS_BYTES: u64 = 2 << 20;

/// Where a child's RDB file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// Through a pipe to the sockets of replicas.
    Sockets,
    /// To dump.rdb.
    Disk,
}

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Writing until then.
    Producing(Time),
    /// Its output waits for slow replicas.
    Draining,
    /// All is written; it measures its memory until then.
    Counting(Time),
    /// Exits then.
    Exiting(Time),
    /// Killed by the server itself, which notices at the next serverCron.
    Killed,
}

/// A replica that a diskless child serves.
#[derive(Clone, Copy, Debug)]
struct Served {
    slot: Slot,
    /// `repl_last_partial_write`
    stuck_since: Option<i64>,
    /// What it had not read when that was last looked at.
    unread: u64,
}

/// A child process that writes an RDB file.
#[derive(Clone, Debug)]
pub struct Child {
    target: Target,
    stage: Stage,
    pub(super) rdb: Rdb,
    /// Replicas that this file is for.
    served: Vec<Served>,
    dirty_before: u64,
}

impl Child {
    /// Whether it writes to sockets.
    pub fn is_diskless(&self) -> bool {
        self.target == Target::Sockets
    }

    /// Whether some replica waits for its file on the disk, so that another may share it.
    pub fn is_shared(&self) -> bool {
        self.target == Target::Disk && !self.served.is_empty()
    }

    /// Whether this replica waits for its file.
    pub fn serves(&self, slot: Slot) -> bool {
        self.served.iter().any(|served| served.slot == slot)
    }

    /// For how many seconds this replica has taken nothing of a diskless transfer.
    pub fn stuck_for(&self, slot: Slot, now_s: i64) -> i64 {
        self.served
            .iter()
            .find(|served| served.slot == slot)
            .and_then(|served| served.stuck_since)
            .map_or(0, |since| now_s - since)
    }
}

/// Why a file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadFor {
    /// At the start of the process.
    Boot,
    /// At the end of a full sync.
    Sync,
}

/// A load that takes longer than one pass.
#[derive(Clone, Debug)]
pub struct Loading {
    snapshot: Snapshot,
    purpose: LoadFor,
}

fn transfer_span(bytes: u64, rate: u64) -> Span {
    Span::from_nanos((bytes as u128 * 1_000_000_000 / rate as u128) as u64)
}

impl Redis {
    fn draw(&mut self, range: (u64, u64)) -> Span {
        Span::from_nanos(self.work.between(range.0, range.1))
    }

    pub(super) fn draw_fsync(&mut self) -> Span {
        self.draw(FSYNC_NS)
    }

    /// `rdbPopulateSaveInfo`
    fn rdb_info(&self) -> Option<RdbInfo> {
        let known = match self.link.master {
            None => self.history.backlog.is_some(),
            Some(_) => self.link.is_up() || self.link.cached.is_some(),
        };
        known.then_some(RdbInfo { replid: self.history.replid, offset: self.history.offset })
    }

    fn rdb_now(&self) -> Rdb {
        Rdb { snapshot: self.data.snapshot(), info: self.rdb_info() }
    }

    fn fork(&mut self, target: Target, out: &mut Out) {
        assert!(self.child.is_none(), "one child at a time");
        let rdb = self.rdb_now();
        let fork = self.draw(FORK_NS);
        let writing = self.draw(CHILD_START_NS) + transfer_span(rdb.snapshot.bytes, RDB_WRITE_RATE);
        out.work(fork);
        let until = out.now() + writing;
        self.child =
            Some(Child { target, stage: Stage::Producing(until), rdb, served: Vec::new(), dirty_before: self.dirty });
        out.set_timer(CHILD, until);
        self.cron.refine(out);
    }

    /// `startBgsaveForReplication`: one file for all that wait.
    pub(super) fn start_bgsave_for_replication(&mut self, out: &mut Out) {
        let waiting = self.waiting_for_fork();
        let diskless = self.config.repl_diskless_sync;
        let offset = self.history.offset;
        if diskless {
            log(out, RedisEvent::StartingBgsave);
        } else {
            log_text(out, || "Starting BGSAVE for SYNC with target: disk".into());
        }
        for &slot in &waiting {
            self.setup_full_sync(slot, offset, out);
        }
        self.fork(if diskless { Target::Sockets } else { Target::Disk }, out);
        let child = self.child.as_mut().expect("forked a moment ago");
        child.served = waiting.iter().map(|&slot| Served { slot, stuck_since: None, unread: 0 }).collect();
        if diskless {
            log(out, RedisEvent::RdbTransferStarted);
        } else {
            log_text(out, || "Background saving started by pid 1".into());
        }
    }

    /// A replica joins a disk-based save that is running.
    pub(super) fn share_child(&mut self, slot: Slot) {
        let child = self.child.as_mut().expect("there is a child to share");
        child.served.push(Served { slot, stuck_since: None, unread: 0 });
    }

    /// Looks how far the child and its readers are (`rdbPipeReadHandler`, `rdbPipeWriteHandler`).
    pub(super) fn poll_child(&mut self, out: &mut Out) {
        let Some(child) = self.child.as_mut() else { return };
        if let Stage::Producing(until) = child.stage {
            if out.now() < until {
                return;
            }
            if child.target == Target::Disk {
                child.stage = Stage::Exiting(out.now());
                log(out, RedisEvent::DbSaved);
                return;
            }
            child.stage = Stage::Draining;
            for served in &child.served {
                if let Some(sock) = self.clients.get(served.slot).and_then(|client| client.sock) {
                    out.send(sock, Message::Rdb(Box::new(child.rdb.snapshot.clone())));
                }
            }
            // What was just written counts from the next look on.
            if child.rdb.snapshot.bytes > crate::net::KERNEL_BUFFER_BYTES {
                return;
            }
        }
        let now_s = unixtime(out);
        let Some(child) = self.child.as_mut() else { return };
        if child.stage == Stage::Draining {
            let mut drained = true;
            for served in &mut child.served {
                let sock = self.clients.get(served.slot).and_then(|client| client.sock);
                let unread = sock.map_or(0, |sock| out.output_buffer_bytes(sock));
                drained &= unread == 0;
                if unread == 0 {
                    served.stuck_since = None;
                } else if served.stuck_since.is_none() || unread != served.unread {
                    served.stuck_since = Some(now_s);
                }
                served.unread = unread;
            }
            if drained {
                let until = out.now() + Span::from_nanos(self.work.between(CHILD_COW_NS.0, CHILD_COW_NS.1));
                child.stage = Stage::Counting(until);
                out.set_timer(CHILD, until);
            }
        }
        if let Stage::Counting(until) = child.stage
            && out.now() >= until
        {
            let count = child.served.len();
            log_text(out, || format!("Diskless rdb transfer, done reading from pipe, {count} replicas still up."));
            let exit = CHILD_EXIT_MIN + Span::from_nanos(self.work.exponential(CHILD_EXIT_MEAN_NS));
            child.stage = Stage::Exiting(out.now() + exit);
        }
    }

    /// `checkChildrenDone`: at every serverCron, and when an ACK comes before that.
    pub(super) fn check_child_done(&mut self, out: &mut Out) {
        match self.child.as_ref().map(|child| child.stage) {
            Some(Stage::Exiting(at)) if out.now() >= at => {}
            Some(Stage::Killed) => {
                self.killed_child(out);
                return;
            }
            _ => return,
        }
        let child = self.child.take().expect("it exits");
        match child.target {
            Target::Sockets => {
                log(out, RedisEvent::RdbTransferDone);
                for served in &child.served {
                    let addr = self.clients.get(served.slot).expect("served replicas are clients").replica_addr();
                    log(out, RedisEvent::RdbStreamed(addr));
                    self.put_online(served.slot, out);
                }
            }
            Target::Disk => {
                log_text(out, || "Background saving terminated with success".into());
                self.dirty -= child.dirty_before.min(self.dirty);
                self.last_save = unixtime(out);
                // The file is sent in one go; a replica is online when its last byte is written.
                for served in &child.served {
                    if let Some(sock) = self.clients.get(served.slot).and_then(|client| client.sock) {
                        out.send(sock, Message::Rdb(Box::new(child.rdb.snapshot.clone())));
                    }
                    self.clients.attached_mut(served.slot).state = ReplicaState::SendBulk;
                    self.put_online(served.slot, out);
                    self.start_stream(served.slot, out);
                }
                self.disk.rdb = Some(child.rdb);
            }
        }
        self.start_pending_fork(out);
    }

    /// `killRDBChild`
    fn kill_child(&mut self, out: &mut Out) {
        if let Some(child) = self.child.as_mut() {
            child.stage = Stage::Killed;
            out.clear_timer(CHILD);
            self.cron.refine(out);
        }
    }

    /// `updateSlavesWaitingBgsave` after a child that a signal ended: its replicas have to ask again.
    fn killed_child(&mut self, out: &mut Out) {
        let child = self.child.take().expect("it was killed");
        for served in child.served {
            log_text(out, || "SYNC failed. BGSAVE child returned an error".into());
            self.free_client(served.slot, false, out);
        }
        self.start_pending_fork(out);
    }

    /// BGSAVE (`rdbSaveBackground`).
    pub(super) fn background_save(&mut self, out: &mut Out) {
        self.fork(Target::Disk, out);
        log_text(out, || "Background saving started by pid 1".into());
    }

    /// FLUSHDB.
    pub(super) fn flush_db(&mut self) {
        self.dirty += self.data.len() as u64;
        self.data.clear();
    }

    /// FLUSHALL (`flushAllDataAndResetRDB`): with save points, the empty data set is written to the disk at once.
    pub(super) fn flush_all(&mut self, out: &mut Out) {
        self.flush_db();
        self.kill_child(out);
        if !self.config.save.0.is_empty() {
            self.save_now(out);
        }
    }

    /// A replica went away while a child may be writing for it.
    pub(super) fn child_lost_replica(&mut self, slot: Slot, out: &mut Out) {
        let Some(child) = self.child.as_mut() else { return };
        if !child.serves(slot) {
            return;
        }
        child.served.retain(|served| served.slot != slot);
        if !child.served.is_empty() {
            return;
        }
        match child.target {
            Target::Sockets if !matches!(child.stage, Stage::Exiting(_) | Stage::Killed) => {
                log_text(out, || "Diskless rdb transfer, last replica dropped, killing fork child.".into());
                self.child = None;
                out.clear_timer(CHILD);
            }
            Target::Disk if self.config.save.0.is_empty() => {
                self.child = None;
                out.clear_timer(CHILD);
            }
            _ => {}
        }
    }

    /// Save points in serverCron (spec 28.4).
    pub(super) fn check_save_points(&mut self, out: &mut Out) {
        let since = unixtime(out) - self.last_save;
        let due = |point: &&SavePoint| self.dirty >= point.changes as u64 && since > point.seconds as i64;
        let Some(&SavePoint { seconds, changes }) = self.config.save.0.iter().find(due) else { return };
        log_text(out, || format!("{changes} changes in {seconds} seconds. Saving..."));
        self.background_save(out);
    }

    /// Whether a save point may become due before the next `replicationCron`.
    pub(super) fn save_point_near(&self, out: &Out) -> bool {
        if self.dirty == 0 || self.child.is_some() {
            return false;
        }
        let since = unixtime(out) - self.last_save + 2;
        self.config.save.0.iter().any(|point| self.dirty >= point.changes as u64 && since > point.seconds as i64)
    }

    /// `rdbSave` without a child.
    pub(super) fn save_now(&mut self, out: &mut Out) {
        let rdb = self.rdb_now();
        let fsync = self.draw_fsync();
        out.work(fsync + transfer_span(rdb.snapshot.bytes, RDB_WRITE_RATE));
        self.disk.rdb = Some(rdb);
        self.dirty = 0;
        self.last_save = unixtime(out);
        log(out, RedisEvent::DbSaved);
    }

    /// With `appendonly yes` a restart finds all data in the log, but no replication identity (spec 25.8).
    pub(super) fn clone_aof(&self, mut disk: Disk) -> Disk {
        if self.config.appendonly {
            disk.rdb = Some(Rdb { snapshot: self.data.snapshot(), info: None });
        }
        disk
    }

    /// The file of a full sync stays as dump.rdb.
    pub(super) fn store_received(&mut self, snapshot: &Snapshot, (replid, offset): (ReplId, u64)) {
        self.disk.rdb = Some(Rdb { snapshot: snapshot.clone(), info: Some(RdbInfo { replid, offset }) });
    }

    /// The process begins (`main`, `loadDataFromDisk`).
    pub(super) fn start(&mut self, out: &mut Out) {
        let now_s = unixtime(out);
        self.last_save = now_s;
        self.history.no_replicas_since = now_s;
        // The kernel already accepts connections.
        let start_up = self.draw(START_UP_NS);
        out.work(start_up);
        log_text(out, || "Running mode=standalone, port=6379.".into());
        log_text(out, || "Server initialized".into());
        if !std::mem::replace(&mut self.disk.started, true) && self.config.dataset_bytes > 0 && self.disk.rdb.is_none()
        {
            // Data held at the start lies in an RDB file that knows no replication.
            let snapshot = Snapshot { bytes: self.config.dataset_bytes, ..Snapshot::default() };
            self.disk.rdb = Some(Rdb { snapshot, info: None });
        }
        match self.disk.rdb.clone() {
            Some(rdb) => self.begin_loading(rdb.snapshot, LoadFor::Boot, out),
            None => self.serve(out),
        }
    }

    /// Small files are loaded within the pass, larger ones with the sockets being served (spec 27.7).
    pub(super) fn begin_loading(&mut self, snapshot: Snapshot, purpose: LoadFor, out: &mut Out) {
        let span = transfer_span(snapshot.bytes, RDB_LOAD_RATE);
        let bytes = snapshot.bytes;
        self.loading = Some(Loading { snapshot, purpose });
        if bytes <= LOADING_EVENTS_BYTES {
            out.work(span);
            self.finish_loading(out);
        } else {
            self.cron.stop(out);
            out.set_timer(LOAD, out.now() + span);
        }
    }

    /// The last key is loaded.
    pub(super) fn finish_loading(&mut self, out: &mut Out) {
        let Loading { snapshot, purpose } = self.loading.take().expect("a load was begun");
        let keys = snapshot.entries.len();
        self.data.load(&snapshot);
        log_text(out, || format!("Done loading RDB, keys loaded: {keys}, keys expired: 0."));
        let resume = self.cron.is_stopped();
        match purpose {
            LoadFor::Boot => {
                log(out, RedisEvent::DbLoaded);
                self.restore_history(out);
                self.serve(out);
            }
            LoadFor::Sync => {
                if resume {
                    self.cron.resume(out);
                }
                self.sync_done(out);
            }
        }
    }

    /// What the RDB file says about replication (spec 25.8).
    fn restore_history(&mut self, out: &mut Out) {
        let Some(info) = self.disk.rdb.as_ref().and_then(|rdb| rdb.info) else { return };
        let history = &mut self.history;
        history.offset = info.offset;
        if self.link.master.is_some() {
            history.replid = info.replid;
            self.cache_master_using_myself(out);
        } else {
            history.replid2 = info.replid;
            history.second_offset = info.offset as i64 + 1;
            history.backlog = Some(Backlog::new(info.offset));
            history.no_replicas_since = unixtime(out);
        }
    }

    /// The event loop begins.
    fn serve(&mut self, out: &mut Out) {
        log(out, RedisEvent::Ready);
        self.cron.start(out);
    }
}
