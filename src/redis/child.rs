//! The child that writes an RDB file, and the file's way to the replicas (rdb.c, replication.c; spec 26).
//!
//! A file is passed on while it is being written: the real server reads its child's pipe and writes what it read to the
//! sockets, 16 kB at a time, and reads no more while one of the replicas does not take it (`rdbPipeReadHandler`). A saved
//! file is read and sent in the same manner (`sendBulkToSlave`). Here a file travels in pieces large enough to be few
//! whatever its size ([`piece_bytes`]), and small enough that whoever counts seconds between two of them sees no
//! difference. The first is what fits into a pipe: with it the replica learns that the file has begun.

use super::client::Slot;
use super::cron::{BULK, CHILD};
use super::persist::Rdb;
use super::speed::piece_bytes;
use super::{Redis, log, log_text, unixtime};
use crate::kernel::{Span, Time};
use crate::program::{KERNEL_BUFFER_BYTES, Out};
use crate::record::RedisEvent;
use crate::wire::{Message, RdbPiece, ReplicaState, Snapshot};

/// How long `fork` stops a server without data, in nanoseconds. Recordings, whole ms: "Starting BGSAVE" to "started by pid" 1 ms in
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
/// Where a child's RDB file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Through a pipe to the sockets of replicas.
    Sockets,
    /// To dump.rdb.
    Disk,
    /// To a new base of the append-only file.
    Aof,
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
pub(super) struct Child {
    target: Target,
    stage: Stage,
    pub(super) rdb: Rdb,
    /// Replicas that this file is for.
    served: Vec<Served>,
    dirty_before: u64,
    /// Its file goes out on connections of its own.
    on_channel: bool,
    /// It could not write its file.
    failed: bool,
    /// How long writing all of the file takes.
    span: Span,
    /// Bytes that were passed on to the replicas.
    passed: u64,
}

/// A saved file on its way to a replica.
#[derive(Clone, Debug)]
pub(super) struct Bulk {
    slot: Slot,
    file: Snapshot,
    /// Bytes that were written to the socket.
    passed: u64,
    /// When it goes on.
    due: Time,
}

/// What a pipe holds (Linux, `pipe(7)`).
const PIPE_BYTES: u64 = 64 << 10;
/// How often the server looks whether a reader that is slower than the writer has taken what it was sent. The kernel's
/// buffers keep a link of a gigabit a second busy for longer than this.
const SLOW_READER: Span = Span::from_millis(50);

/// The size of the next piece of a file.
fn next_piece(passed: u64, file_bytes: u64) -> u64 {
    let piece = piece_bytes(file_bytes);
    if passed == 0 && file_bytes > piece { PIPE_BYTES } else { piece.min(file_bytes - passed) }
}

impl Child {
    /// How long it takes from one piece to the next, or to the end of a file for the disk.
    fn until_next(&self) -> Span {
        let bytes = self.rdb.snapshot.bytes;
        let next = next_piece(self.passed, bytes);
        match self.target {
            Target::Disk | Target::Aof => self.span,
            // The first piece of a large file is there as soon as the child is.
            Target::Sockets if self.passed == 0 && next < bytes => Span::ZERO,
            Target::Sockets => Span::from_nanos((self.span.0 as u128 * next as u128 / bytes as u128) as u64),
        }
    }

    /// Whether all that it has to write is written.
    pub(super) fn is_written(&self) -> bool {
        self.passed == self.rdb.snapshot.bytes
    }

    /// Its line when its file is written, or cannot be.
    fn say_written(&self, out: &mut Out) {
        match (self.target, self.failed) {
            (Target::Aof, false) => {
                log_text(out, || "Successfully created the temporary AOF base file temp-rewriteaof-bg-1.aof".into());
            }
            (Target::Aof, true) => {
                log_text(out, || "Write error writing append only file on disk: No space left on device".into());
            }
            (_, false) => log(out, RedisEvent::DbSaved),
            (_, true) => Redis::say_cannot_save(self.rdb.snapshot.bytes, out),
        }
    }

    /// Where its file goes.
    pub(super) fn target(&self) -> Target {
        self.target
    }

    /// Whether it writes to sockets.
    pub(super) fn is_diskless(&self) -> bool {
        self.target == Target::Sockets
    }

    /// Whether some replica waits for its file on the disk, so that another may share it.
    pub(super) fn is_shared(&self) -> bool {
        self.target == Target::Disk && !self.served.is_empty()
    }

    /// Whether this replica waits for its file.
    pub(super) fn serves(&self, slot: Slot) -> bool {
        self.served.iter().any(|served| served.slot == slot)
    }

    /// For how many seconds this replica has taken nothing of a diskless transfer.
    pub(super) fn stuck_for(&self, slot: Slot, now_s: i64) -> i64 {
        self.served
            .iter()
            .find(|served| served.slot == slot)
            .and_then(|served| served.stuck_since)
            .map_or(0, |since| now_s - since)
    }
}

impl Redis {
    pub(super) fn fork(&mut self, target: Target, on_channel: bool, out: &mut Out) {
        assert!(self.child.is_none(), "one child at a time");
        let rdb = self.rdb_now();
        let fork = self.draw(FORK_NS) + self.config.fork_span(self.data.ballast());
        let start = self.draw(CHILD_START_NS);
        let span = match target {
            Target::Sockets => self.config.save_span(&rdb.snapshot),
            // It fails at its first write.
            Target::Disk | Target::Aof if self.volume.full => Span::ZERO,
            // The file is synced, and its folder.
            Target::Disk | Target::Aof => self.config.save_span(&rdb.snapshot) + self.volume.fsyncs(2, Span::ZERO),
        };
        out.work(fork);
        let dirty_before = self.dirty;
        let (stage, served) = (Stage::Killed, Vec::new());
        let mut child = Child { target, stage, rdb, served, dirty_before, on_channel, failed: false, span, passed: 0 };
        let until = out.now() + start + child.until_next();
        child.stage = Stage::Producing(until);
        self.child = Some(child);
        out.set_timer(CHILD, until);
        self.cron.refine(out);
    }

    /// `startBgsaveForReplication`: one file for all that wait.
    pub(super) fn start_bgsave_for_replication(&mut self, out: &mut Out) {
        let mut waiting = self.waiting_for_fork();
        // Who asked first decides; who wants it otherwise waits for the next.
        let on_channel = waiting.first().is_some_and(|&slot| self.is_file_lane(slot));
        waiting.retain(|&slot| self.is_file_lane(slot) == on_channel);
        let diskless = self.config.repl_diskless_sync || on_channel;
        let offset = self.history.offset;
        log(
            out,
            match (diskless, on_channel) {
                (_, true) => RedisEvent::StartingBgsaveOnChannel,
                (true, false) => RedisEvent::StartingBgsave,
                (false, false) => RedisEvent::StartingBgsaveToDisk,
            },
        );
        for &slot in &waiting {
            self.setup_full_sync(slot, offset, out);
        }
        self.deliver_stream(&waiting, out);
        self.fork(if diskless { Target::Sockets } else { Target::Disk }, on_channel, out);
        let child = self.child.as_mut().expect("forked a moment ago");
        child.served = waiting.iter().map(|&slot| Served { slot, stuck_since: None, unread: 0 }).collect();
        if on_channel {
            log(out, RedisEvent::RdbTransferStartedOnChannel);
        } else if diskless {
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
            if child.target != Target::Sockets {
                child.stage = Stage::Exiting(out.now());
                child.failed = self.volume.full;
                return child.say_written(out);
            }
            if !self.pass_on(out) {
                return;
            }
        }
        if self.child.as_ref().is_some_and(|child| child.stage == Stage::Draining) {
            if !self.readers_are_level(out) {
                out.set_timer(CHILD, out.now() + SLOW_READER);
                return;
            }
            let until = out.now() + self.draw(CHILD_COW_NS);
            self.set_child_stage(Stage::Counting(until));
            out.set_timer(CHILD, until);
        }
        let Some(child) = self.child.as_ref() else { return };
        if let Stage::Counting(until) = child.stage
            && out.now() >= until
        {
            let count = child.served.len();
            if !child.on_channel {
                log_text(out, || format!("Diskless rdb transfer, done reading from pipe, {count} replicas still up."));
            }
            let exit = CHILD_EXIT_MIN + Span::from_nanos(self.work.exponential(CHILD_EXIT_MEAN_NS));
            self.set_child_stage(Stage::Exiting(out.now() + exit));
        }
    }

    fn set_child_stage(&mut self, stage: Stage) {
        self.child.as_mut().expect("there is a child").stage = stage;
    }

    /// Passes the next piece of the child's output on to all its replicas, if they have taken the one before; the child
    /// writes no more than a pipe holds until then. True if that was the whole file, and the kernel holds it.
    fn pass_on(&mut self, out: &mut Out) -> bool {
        if !self.readers_are_level(out) {
            out.set_timer(CHILD, out.now() + SLOW_READER);
            return false;
        }
        let child = self.child.as_mut().expect("it has written something");
        let file_bytes = child.rdb.snapshot.bytes;
        let bytes = next_piece(child.passed, file_bytes);
        child.passed += bytes;
        let last = child.passed == file_bytes;
        for served in &child.served {
            if let Some(sock) = self.clients.get(served.slot).and_then(|client| client.sock) {
                let file = last.then(|| child.rdb.snapshot.clone());
                out.send(sock, Message::Rdb(Box::new(RdbPiece { size: None, bytes, file })));
            }
        }
        // What was just written counts from the next look on.
        let next = if last { Span::ZERO } else { child.until_next() };
        child.stage = if last { Stage::Draining } else { Stage::Producing(out.now() + next) };
        let at_once = last && bytes == file_bytes && bytes <= KERNEL_BUFFER_BYTES;
        if !at_once {
            out.set_timer(CHILD, out.now() + next);
        }
        at_once
    }

    /// Whether every replica of a diskless child has taken what it was sent.
    fn readers_are_level(&mut self, out: &Out) -> bool {
        let now_s = unixtime(out);
        let child = self.child.as_mut().expect("there is a child with readers");
        let mut level = true;
        for served in &mut child.served {
            let sock = self.clients.get(served.slot).and_then(|client| client.sock);
            let unread = sock.map_or(0, |sock| out.output_buffer_bytes(sock));
            level &= unread == 0;
            if unread == 0 {
                served.stuck_since = None;
            } else if served.stuck_since.is_none() || unread != served.unread {
                served.stuck_since = Some(now_s);
            }
            served.unread = unread;
        }
        level
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
            Target::Sockets if child.on_channel => {
                log(out, RedisEvent::RdbTransferDone);
                let files: Vec<Slot> = child.served.iter().map(|served| served.slot).collect();
                self.files_are_delivered(&files, out);
            }
            Target::Sockets => {
                log(out, RedisEvent::RdbTransferDone);
                for served in &child.served {
                    let addr = self.clients.get(served.slot).expect("served replicas are clients").replica_addr();
                    log(out, RedisEvent::RdbStreamed(addr));
                    match self.config.rules().online_line_at_ack {
                        false => self.put_online(served.slot, out),
                        true => self.count_online(served.slot, out),
                    }
                }
            }
            Target::Disk if child.failed => {
                log_text(out, || "Background saving error".into());
                self.saved(false);
                self.refuse_served(child.served, out);
            }
            Target::Disk => {
                self.saved(true);
                log_text(out, || "Background saving terminated with success".into());
                self.dirty -= child.dirty_before.min(self.dirty);
                self.last_save = unixtime(out);
                for served in &child.served {
                    self.clients.attached_mut(served.slot).state = ReplicaState::SendBulk;
                    let file = child.rdb.snapshot.clone();
                    self.bulks.push(Bulk { slot: served.slot, file, passed: 0, due: out.now() });
                }
                self.send_bulks(out);
                self.disk.rdb = Some(child.rdb);
            }
            Target::Aof if child.failed => self.aof_is_not_rewritten(out),
            Target::Aof => self.aof_is_rewritten(&child.rdb.snapshot, out),
        }
        self.start_pending_fork(out);
    }

    /// A file that a child still writes must not come after the one that is loaded (`readSyncBulkPayload`).
    pub(super) fn kill_child_before_load(&mut self, from_disk: bool, out: &mut Out) {
        if self.child.is_none() || self.is_rewriting_aof() {
            return;
        }
        if from_disk {
            log_text(out, || {
                "Replica is about to load the RDB file received from the master, but there is a pending RDB child \
                 running. Killing process 1 and removing its temp file to avoid any race"
                    .into()
            });
        }
        self.kill_child(out);
    }

    /// Whether the child rewrites the append-only file.
    pub(super) fn is_rewriting_aof(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.target == Target::Aof)
    }

    /// `killAppendOnlyChild`, which waits for its death.
    pub(super) fn kill_aof_child(&mut self, out: &mut Out) {
        if self.is_rewriting_aof() {
            log_text(out, || "Killing running AOF rewrite child: 1".into());
            self.child = None;
            out.clear_timer(CHILD);
        }
    }

    /// `killRDBChild`
    pub(super) fn kill_child(&mut self, out: &mut Out) {
        if let Some(child) = self.child.as_mut().filter(|child| child.target != Target::Aof) {
            child.stage = Stage::Killed;
            out.clear_timer(CHILD);
            self.cron.refine(out);
        }
    }

    /// `updateSlavesWaitingBgsave` after a child that a signal ended: its replicas have to ask again.
    fn killed_child(&mut self, out: &mut Out) {
        let child = self.child.take().expect("it was killed");
        self.refuse_served(child.served, out);
        self.start_pending_fork(out);
    }

    fn refuse_served(&mut self, served: Vec<Served>, out: &mut Out) {
        for served in served {
            log_text(out, || "SYNC failed. BGSAVE child returned an error".into());
            self.free_client(served.slot, false, out);
        }
    }

    /// `sendBulkToSlave`: saved files go on to their replicas. One is online when the kernel has taken its last byte.
    pub(super) fn send_bulks(&mut self, out: &mut Out) {
        let mut bulks = std::mem::take(&mut self.bulks);
        let side_by_side = bulks.len() as u64;
        bulks.retain_mut(|bulk| {
            let Some(sock) = self.clients.get(bulk.slot).and_then(|client| client.sock) else { return false };
            if out.now() < bulk.due {
                return true;
            }
            if out.output_buffer_bytes(sock) > 0 {
                bulk.due = out.now() + SLOW_READER;
                return true;
            }
            let file_bytes = bulk.file.bytes;
            let bytes = next_piece(bulk.passed, file_bytes);
            if bytes > 0 {
                bulk.passed += bytes;
                let file = (bulk.passed == file_bytes).then(|| bulk.file.clone());
                out.send(sock, Message::Rdb(Box::new(RdbPiece { size: Some(file_bytes), bytes, file })));
                if bytes < file_bytes {
                    bulk.due = out.now() + self.config.send_span(bytes) * side_by_side;
                    return true;
                }
            }
            self.put_online(bulk.slot, out);
            self.start_stream(bulk.slot, out);
            false
        });
        if let Some(due) = bulks.iter().map(|bulk| bulk.due).min() {
            out.set_timer(BULK, due);
        }
        self.bulks = bulks;
    }

    /// BGSAVE (`rdbSaveBackground`).
    pub(super) fn background_save(&mut self, out: &mut Out) {
        self.tries_to_save(out);
        self.fork(Target::Disk, false, out);
        log_text(out, || "Background saving started by pid 1".into());
    }

    /// A replica went away while a child may be writing for it.
    pub(super) fn child_lost_replica(&mut self, slot: Slot, out: &mut Out) {
        self.bulks.retain(|bulk| bulk.slot != slot);
        let Some(child) = self.child.as_mut() else { return };
        if !child.serves(slot) {
            return;
        }
        child.served.retain(|served| served.slot != slot);
        if !child.served.is_empty() {
            return;
        }
        match child.target {
            // A replica that has its whole file leaves before the child does.
            Target::Sockets if child.on_channel && child.is_written() => {}
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
}
