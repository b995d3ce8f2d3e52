//! RDB files: what they hold, loading one, and what a restart finds (rdb.c, server.c; spec 25.8, 27.7).

use super::aof::AofFile;
use super::backlog::Backlog;
use super::cron::LOAD;
use super::{Redis, log, log_text, unixtime};
use crate::kernel::{Span, Time};
use crate::program::Out;
use crate::record::RedisEvent;
use crate::wire::{Addr, ReplId, Snapshot};

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
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// dump.rdb
    pub rdb: Option<Rdb>,
    /// The append-only file.
    pub aof: Option<Box<AofFile>>,
    /// A process has run with this disk.
    pub started: bool,
    /// The configuration file as CONFIG REWRITE left it, with the role.
    pub rewritten: Option<(Config, Option<Addr>)>,
}

/// `fsync` of the received file and of its directory, before it is loaded. Recordings: "Flushing old data" to "Finished
/// with success" 1 ms in 303 of 503 cases, 2 in 143, mean 1.5.
const FSYNC_NS: (u64, u64) = (700_000, 2_500_000);
/// From the listening socket (`initServer`) to the event loop. Recordings, 430 starts of a stack: of the replicas whose loop
/// began 2 ms before their master's 5 of 29 were refused, at 3 ms 26 of 33, at 5 ms 29 of 32.
const START_UP_NS: (u64, u64) = (1_500_000, 4_500_000);

/// Why a file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadFor {
    /// At the start of the process.
    Boot,
    /// At the start of the process, from the append-only file.
    Aof,
    /// At the end of a full sync.
    Sync,
}

/// A load that takes longer than one pass.
#[derive(Clone, Debug)]
pub(super) struct Loading {
    snapshot: Snapshot,
    purpose: LoadFor,
    begun: Time,
    ends: Time,
}

impl Redis {
    pub(super) fn draw(&mut self, range: (u64, u64)) -> Span {
        Span::from_nanos(self.work.between(range.0, range.1))
    }

    /// A file and its folder.
    pub(super) fn draw_fsync(&mut self) -> Span {
        let usual = self.draw(FSYNC_NS);
        self.volume.fsyncs(2, usual)
    }

    /// `rdbPopulateSaveInfo`
    fn rdb_info(&self) -> Option<RdbInfo> {
        let known = match self.link.master {
            None => self.history.backlog.is_some(),
            Some(_) => self.link.is_up() || self.link.cached.is_some(),
        };
        known.then_some(RdbInfo { replid: self.history.replid, offset: self.history.offset })
    }

    pub(super) fn rdb_now(&self) -> Rdb {
        let snapshot = Snapshot { format: self.config.rules().rdb_format, ..self.data.snapshot() };
        Rdb { snapshot, info: self.rdb_info() }
    }

    /// FLUSHDB.
    pub(super) fn flush_db(&mut self) {
        self.dirty += self.data.keys();
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

    /// Save points in serverCron (spec 28.4).
    pub(super) fn check_save_points(&mut self, out: &mut Out) {
        let since = unixtime(out) - self.last_save;
        let due = |point: &&SavePoint| self.dirty >= point.changes as u64 && since > point.seconds as i64;
        let Some(&SavePoint { seconds, changes }) = self.config.save.0.iter().find(due) else { return };
        if self.save_points_rest(out) {
            return;
        }
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

    /// `rdbSave` without a child. False if the disk has no room.
    pub(super) fn save_now(&mut self, out: &mut Out) -> bool {
        let rdb = self.rdb_now();
        if self.volume.full {
            Redis::say_cannot_save(rdb.snapshot.bytes, out);
            return false;
        }
        let fsync = self.draw_fsync();
        out.work(fsync + self.config.save_span(&rdb.snapshot));
        self.disk.rdb = Some(rdb);
        self.dirty = 0;
        self.last_save = unixtime(out);
        self.saved(true);
        log(out, RedisEvent::DbSaved);
        true
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
        self.history.stream_at = now_s;
        // The kernel already accepts connections.
        let start_up = self.draw(START_UP_NS);
        out.work(start_up);
        log_text(out, || "Running mode=standalone, port=6379.".into());
        log_text(out, || "Server initialized".into());
        if self.config.appendonly {
            let loads = self.load_aof(out);
            self.disk.started = true;
            if !loads {
                self.serve(out);
            }
            return;
        }
        if !std::mem::replace(&mut self.disk.started, true) && self.config.dataset_bytes > 0 && self.disk.rdb.is_none()
        {
            // Data held at the start lies in an RDB file that knows no replication.
            let snapshot = self.config.dataset();
            self.disk.rdb = Some(Rdb { snapshot, info: None });
        }
        match self.disk.rdb.clone() {
            Some(rdb) => self.begin_loading(rdb.snapshot, LoadFor::Boot, Span::ZERO, out),
            None => self.serve(out),
        }
    }

    /// Small files are loaded within the pass, larger ones with the sockets being served (spec 27.7). What was loaded while
    /// the file was still coming takes no time any more.
    pub(super) fn begin_loading(&mut self, snapshot: Snapshot, purpose: LoadFor, done: Span, out: &mut Out) {
        if snapshot.format > self.config.rules().rdb_format {
            self.cannot_load(snapshot.format, purpose, out);
            return;
        }
        let span = Span(self.config.load_span(&snapshot).0.saturating_sub(done.0));
        self.load_for(snapshot, purpose, span, out);
    }

    /// The same for the append-only file, whose base is an RDB file.
    pub(super) fn begin_loading_aof(&mut self, contents: Snapshot, span: Span, out: &mut Out) {
        if contents.format > self.config.rules().rdb_format {
            self.cannot_load(contents.format, LoadFor::Aof, out);
            return;
        }
        self.load_for(contents, LoadFor::Aof, span, out);
    }

    fn load_for(&mut self, snapshot: Snapshot, purpose: LoadFor, span: Span, out: &mut Out) {
        let (begun, bytes) = (out.now(), snapshot.bytes);
        self.loading = Some(Loading { snapshot, purpose, begun, ends: begun + span });
        // A smaller file is loaded without looking at the sockets.
        let step_bytes = self.config.rules().loading_step_bytes;
        if bytes <= step_bytes {
            out.work(span);
            self.finish_loading(out);
        } else {
            self.cron.stop(out);
            let first_look = Span((span.0 as u128 * step_bytes as u128 / bytes as u128) as u64);
            out.set_timer(LOAD, begun + if purpose == LoadFor::Sync { first_look } else { span });
        }
    }

    /// A file of a later format: a server that starts with it gives up; a replica has lost its old data already and asks again,
    /// for ever (`rdbLoadRio`, `loadDataFromDisk`, `readSyncBulkPayload`).
    fn cannot_load(&mut self, format: u32, purpose: LoadFor, out: &mut Out) {
        log(out, RedisEvent::CannotLoadFormat(format));
        match purpose {
            LoadFor::Aof => {
                log_text(out, || {
                    "Error reading the RDB preamble of the AOF file appendonly.aof.1.base.rdb, AOF loading aborted"
                        .into()
                });
                self.give_up(out);
            }
            LoadFor::Boot => {
                log_text(out, || "Fatal error loading the DB, check server logs. Exiting.".into());
                self.give_up(out);
            }
            LoadFor::Sync => {
                log(out, RedisEvent::CannotLoadSync);
                self.data.clear();
                // The file is removed (`bg_unlink`).
                self.disk.rdb = None;
                self.sync_failed(out);
            }
        }
    }

    /// `rdbLoadProgressCallback`: a loading replica tells its master once a second that it lives.
    pub(super) fn loading_goes_on(&mut self, out: &mut Out) {
        let Some(ends) = self.loading.as_ref().map(|loading| loading.ends) else { return };
        if out.now() >= ends {
            self.finish_loading(out);
            return;
        }
        self.send_newline_to_master(out);
        let next_second = Span::from_millis(1_000 - out.wall_ms().rem_euclid(1_000) as u64);
        out.set_timer(LOAD, ends.min(out.now() + next_second));
    }

    /// The last key is loaded.
    fn finish_loading(&mut self, out: &mut Out) {
        let Loading { snapshot, purpose, begun, .. } = self.loading.take().expect("a load was begun");
        self.data.load(&snapshot);
        let over = self.forget_what_is_over(purpose, begun, out);
        let (keys, expired) = (snapshot.keys() - over.len() as u64, over.len());
        log_text(out, || format!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}."));
        let resume = self.cron.is_stopped() && self.script.is_none();
        match purpose {
            LoadFor::Aof => {
                self.aof_is_loaded(out.now() - begun, out);
                self.serve(out);
            }
            LoadFor::Boot => {
                log(out, RedisEvent::DbLoaded(out.now() - begun));
                self.restore_history(out);
                self.tell_what_was_over(over, out);
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
        if self.link.master.is_some() {
            history.offset = info.offset;
            history.replid = info.replid;
            self.cache_master_using_myself(out);
        } else if self.config.rules().boot_keeps_history {
            history.offset = info.offset;
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
