//! The append-only file: what is written when, what is synced when, and what a death leaves of it (aof.c; spec 34).
//!
//! A write passes three stations. The server collects it in a buffer (`aof_buf`), which it hands to the kernel before it sleeps
//! and before it answers; from then on the death of the process takes nothing. It is on the disk when an `fsync` that began
//! later has ended, or when the kernel wrote it back on its own; what is not there goes with a power loss. So a file is what
//! the disk holds, as a data set, and the writes that only the kernel holds, one by one and in order.
//!
//! How many files the log is cut into changes nothing of that: a rewriting gives it a new beginning, and while a server that
//! has just been synchronised writes its first one, a restart finds the log of before.

use std::collections::VecDeque;

use super::child::Target;
use super::dataset::Dataset;
use super::{AppendFsync, Redis, log, log_text};
use crate::kernel::{Span, Stream, Time};
use crate::mistake::Mistake;
use crate::program::{Out, Volume};
use crate::record::RedisEvent;
use crate::wire::{Command, ErrorKind, Expiry, Key, Reply, Snapshot};

/// One `fdatasync` after an append. Measured on ext4 on a virtual NVMe disk, 600 appends of 60 bytes in two folders: deciles 0.24
/// and 0.26, medians 0.30 and 0.35, ninth deciles 0.49 and 0.57 ms. A slower disk is a `slow-disk` fault at 0 s.
const FDATASYNC_NS: (u64, u64) = (240_000, 570_000);
/// After so long the kernel writes dirty pages back, and so often it looks for them (`vm.dirty_expire_centisecs`,
/// `vm.dirty_writeback_centisecs`: defaults of mm/page-writeback.c).
const DIRTY_EXPIRE: Span = Span::from_secs(30);
const WRITEBACK: Span = Span::from_secs(5);
/// A background `fsync` begins at most so often (`flushAppendOnlyFile`).
const SYNC_EVERY_MS: i64 = 1_000;
/// A write that waits for a background `fsync` waits no longer than this (`flushAppendOnlyFile`).
const POSTPONE_MAX_MS: i64 = 2_000;

/// The file that a first rewriting's writes go to until it is done (`getTempIncrAofName`).
const TEMPORARY_LOG: &str = "temp-appendonly.aof.incr";

/// The name of a file of the log (`getNewIncrAofName`).
fn log_name(number: u32) -> String {
    format!("appendonly.aof.{number}.incr.aof")
}

/// A write in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// Until a millisecond of the Unix epoch, or for ever.
    Set(Key, u32, Option<u64>),
    /// Its time was up.
    Delete(Key),
    /// FLUSHALL, FLUSHDB.
    Clear,
}

impl Entry {
    fn apply(self, data: &mut Dataset) {
        match self {
            Entry::Set(key, value, end_ms) => data.set(key, value, end_ms),
            Entry::Delete(key) => data.delete(key),
            Entry::Clear => data.clear(),
        }
    }

    /// As the protocol has it, which is how it stands in the file (`catAppendOnlyGenericCommand`).
    fn bytes(self) -> u64 {
        match self {
            Entry::Set(key, value, end_ms) => {
                let expiry = end_ms.map_or(Expiry::Never, Expiry::PxAt);
                Command::Set(key, value, expiry).stream_bytes() as u64
            }
            Entry::Delete(key) => Command::Del(key).stream_bytes() as u64,
            Entry::Clear => Command::FlushAll.stream_bytes() as u64,
        }
    }
}

fn without_keys(file: &Snapshot) -> Snapshot {
    Snapshot { bytes: file.bytes, ballast: file.ballast, format: file.format, ..Snapshot::default() }
}

/// An append-only file, as disk and kernel have it: what outlives the process.
#[derive(Clone, Debug, Default)]
pub struct AofFile {
    /// What the disk holds.
    durable: Dataset,
    /// What only the kernel holds, oldest first.
    cached: VecDeque<Entry>,
    /// How many of these an `fsync` covers that is under way, and when it ends.
    syncing: Option<(usize, Time)>,
    /// Since when the kernel holds something that the disk has not.
    dirty_since: Option<Time>,
    /// When the kernel looks for old pages, as a remainder of its period.
    writeback_phase: Span,
    /// Size and content of the base file, without its keys.
    base: Snapshot,
    /// Commands after the base file, and their bytes.
    commands: u64,
    command_bytes: u64,
}

impl AofFile {
    /// A base file and an empty log.
    fn of(data: Dataset, base: &Snapshot, writeback_phase: Span) -> AofFile {
        AofFile { durable: data, base: without_keys(base), writeback_phase, ..AofFile::default() }
    }

    /// What a process that starts now reads from it.
    pub(super) fn contents(&self) -> Dataset {
        let mut data = self.durable.clone();
        self.cached.iter().for_each(|entry| entry.apply(&mut data));
        data
    }

    /// The power is lost at `now`: what is not on the disk is gone.
    fn lose_power(&mut self, now: Time) {
        self.settle(now);
        self.commands = self.commands.saturating_sub(self.cached.len() as u64);
        let lost = self.cached.drain(..).map(Entry::bytes).sum();
        self.command_bytes = self.command_bytes.saturating_sub(lost);
        (self.syncing, self.dirty_since) = (None, None);
    }

    /// What has reached the disk by `now`.
    fn settle(&mut self, now: Time) {
        if let Some((covered, ends)) = self.syncing
            && ends <= now
        {
            self.syncing = None;
            self.is_on_disk(covered, ends);
        }
        if let Some(since) = self.dirty_since {
            let expired = (since + DIRTY_EXPIRE).0;
            let looks = (expired.saturating_sub(self.writeback_phase.0)).div_ceil(WRITEBACK.0) * WRITEBACK.0;
            if looks + self.writeback_phase.0 <= now.0 {
                self.syncing = None;
                self.is_on_disk(self.cached.len(), now);
            }
        }
    }

    fn is_on_disk(&mut self, oldest: usize, at: Time) {
        let oldest = oldest.min(self.cached.len());
        for entry in self.cached.drain(..oldest) {
            entry.apply(&mut self.durable);
        }
        self.dirty_since = (!self.cached.is_empty()).then_some(at);
    }

    fn append(&mut self, entry: Entry, now: Time) {
        self.cached.push_back(entry);
        self.commands += 1;
        self.command_bytes += entry.bytes();
        self.dirty_since.get_or_insert(now);
    }

    /// An `fsync` that began a moment ago ends at `ends`.
    fn sync(&mut self, ends: Time) {
        self.syncing = Some((self.cached.len(), ends));
    }

    /// Whether something was appended that no `fsync` covers (`aof_last_incr_fsync_offset`).
    fn is_uncovered(&self) -> bool {
        self.cached.len() > self.syncing.map_or(0, |(covered, _)| covered)
    }

    /// `aof_current_size`
    fn bytes(&self) -> u64 {
        self.base.bytes + self.command_bytes
    }
}

/// `aof_state`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is none, or it is stopped for a full synchronisation.
    Off,
    /// Its first rewriting is under way or waits.
    WaitRewrite,
    On,
}

/// The append-only file of a running server.
#[derive(Clone, Debug)]
pub(super) struct Aof {
    state: State,
    file: AofFile,
    /// What a restart finds as long as there is no log that is written to, or its first rewriting is not done.
    before: Option<Box<AofFile>>,
    /// `aof_buf`
    buffer: Vec<Entry>,
    /// `aof_flush_postponed_start`, in milliseconds.
    postponed_ms: Option<i64>,
    /// `aof_last_fsync`, in milliseconds.
    last_fsync_ms: i64,
    /// `aof_delayed_fsync`
    delayed_fsyncs: u64,
    /// How many commands and bytes of the log came before the fork of the rewriting that runs.
    rewritten: (u64, u64),
    /// `aof_rewrite_base_size`
    rewrite_base_bytes: u64,
    /// `aof_rewrite_scheduled`
    rewrite_scheduled: bool,
    /// The number in the name of the base file, and of the file that is written to.
    numbers: (u32, u32),
}

impl Aof {
    fn new(file: AofFile, clock_ms: i64) -> Aof {
        Aof {
            state: State::On,
            rewrite_base_bytes: file.base.bytes,
            file,
            before: None,
            buffer: Vec::new(),
            postponed_ms: None,
            last_fsync_ms: clock_ms,
            delayed_fsyncs: 0,
            rewritten: (0, 0),
            rewrite_scheduled: false,
            numbers: (1, 1),
        }
    }

    /// A server that writes none, and the one that an earlier process left.
    fn off(before: Option<Box<AofFile>>, writeback_phase: Span) -> Aof {
        let file = AofFile { writeback_phase, ..AofFile::default() };
        let numbers = if before.is_some() { (1, 1) } else { (0, 0) };
        Aof { state: State::Off, before, numbers, ..Aof::new(file, 0) }
    }

    /// What a process that starts after this one finds. What was not handed to the kernel is gone.
    pub(super) fn left(&self) -> Option<Box<AofFile>> {
        match self.state {
            State::On => Some(Box::new(self.file.clone())),
            State::Off | State::WaitRewrite => self.before.clone(),
        }
    }

    /// Whether writes go to it.
    pub(super) fn is_on(&self) -> bool {
        self.state != State::Off
    }
}

fn draw_fdatasync(work: &mut Stream, volume: Volume) -> Span {
    volume.fsyncs(1, Span::from_nanos(work.between(FDATASYNC_NS.0, FDATASYNC_NS.1)))
}

impl super::Disk {
    /// The machine loses its power at `now`: what no `fsync` has put on the disk by then is gone. RDB files and the
    /// configuration are renamed into their place when they are synced (`rdbSave`, `rewriteConfigOverwriteFile`), so that
    /// the one of before stays.
    pub fn lose_power(&mut self, now: Time) {
        if let Some(file) = self.aof.as_mut() {
            file.lose_power(now);
        }
    }
}

impl Redis {
    /// How often a server had to write although an `fsync` was under way (`aof_delayed_fsync`).
    pub fn delayed_fsyncs(&self) -> u64 {
        self.aof.as_ref().map_or(0, |aof| aof.delayed_fsyncs)
    }

    /// The time of the log's clocks: whole seconds before 7.4 (`unixtime`), milliseconds since.
    fn aof_clock_ms(&self, out: &Out) -> i64 {
        let ms = out.wall_ms();
        if self.config.rules().aof_counts_ms { ms } else { ms.div_euclid(1_000) * 1_000 }
    }

    /// `feedAppendOnlyFile`
    #[inline]
    pub(super) fn log_set(&mut self, key: Key, value: u32, end_ms: Option<u64>, out: &mut Out) {
        if self.aof.is_some() {
            self.append_to_aof(Entry::Set(key, value, end_ms), out);
        }
    }

    /// `feedAppendOnlyFile`
    pub(super) fn log_delete(&mut self, key: Key, out: &mut Out) {
        self.append_to_aof(Entry::Delete(key), out);
    }

    /// `feedAppendOnlyFile`
    pub(super) fn log_flush(&mut self, out: &mut Out) {
        self.append_to_aof(Entry::Clear, out);
    }

    #[cold]
    fn append_to_aof(&mut self, entry: Entry, out: &mut Out) {
        let rewriting = self.child.as_ref().is_some_and(|child| child.target() == Target::Aof);
        let Some(aof) = self.aof.as_mut() else { return };
        if aof.state == State::On || (aof.state == State::WaitRewrite && rewriting) {
            aof.buffer.push(entry);
            // It may have to be synced by a tick that has nothing else to do.
            self.cron.refine(out);
        }
    }

    /// Whether the next tick may have something to write or to sync.
    pub(super) fn aof_wants_ticks(&self) -> bool {
        self.aof.as_ref().is_some_and(|aof| {
            aof.rewrite_scheduled
                || !aof.buffer.is_empty()
                || (self.config.appendfsync == AppendFsync::Everysec && aof.file.is_uncovered())
        })
    }

    /// `flushAppendOnlyFile`
    pub(super) fn flush_aof(&mut self, force: bool, out: &mut Out) {
        let clock_ms = self.aof_clock_ms(out);
        let Redis { aof: Some(aof), config, .. } = self else { return };
        if !aof.is_on() {
            return;
        }
        aof.file.settle(out.now());
        let second_over = clock_ms - aof.last_fsync_ms >= SYNC_EVERY_MS;
        let under_way = aof.file.syncing.map(|(_, ends)| ends);
        if aof.buffer.is_empty() {
            let due = match config.appendfsync {
                AppendFsync::Always => true,
                AppendFsync::Everysec => second_over && under_way.is_none(),
                AppendFsync::No => false,
            };
            if !due || !aof.file.is_uncovered() {
                return;
            }
        } else if !self.write_aof(force, under_way, clock_ms, out) {
            return;
        }
        let Redis { aof: Some(aof), config, child, work, volume, .. } = self else { return };
        if config.no_appendfsync_on_rewrite && child.is_some() {
            return;
        }
        match config.appendfsync {
            AppendFsync::Always if out.mistaken(Mistake::AnswersBeforeFsync) => {}
            AppendFsync::Always => {
                out.work(draw_fdatasync(work, *volume));
                aof.file.sync(out.now());
                aof.last_fsync_ms = clock_ms;
                out.hold();
            }
            AppendFsync::Everysec if second_over => {
                if under_way.is_none() {
                    aof.file.sync(out.now() + draw_fdatasync(work, *volume));
                }
                aof.last_fsync_ms = clock_ms;
            }
            AppendFsync::Everysec | AppendFsync::No => {}
        }
    }

    /// Hands the buffer to the kernel. False if that is put off, or fails.
    fn write_aof(&mut self, force: bool, under_way: Option<Time>, clock_ms: i64, out: &mut Out) -> bool {
        let Redis { aof: Some(aof), config, volume, .. } = self else { return false };
        let mode = config.appendfsync;
        if mode == AppendFsync::Always && !force && out.has_more() {
            // The real pass reads all that is ready before it writes and syncs once, and answers then.
            out.hold();
            return false;
        }
        if mode == AppendFsync::Everysec && under_way.is_some() && !force {
            let since = *aof.postponed_ms.get_or_insert(clock_ms);
            if clock_ms - since < POSTPONE_MAX_MS {
                return false;
            }
            aof.delayed_fsyncs += 1;
            log(out, RedisEvent::AofFsyncSlow);
        }
        aof.postponed_ms = None;
        if volume.full {
            self.aof_write_failed(mode == AppendFsync::Always, out);
            return false;
        }
        if let Some(ends) = under_way {
            // `write` waits in the kernel until the file is synced.
            out.work(Span(ends.0.saturating_sub(out.now().0)));
            out.hold();
            aof.file.settle(out.now());
        }
        let now = out.now();
        aof.buffer.drain(..).for_each(|entry| aof.file.append(entry, now));
        self.aof_was_written(out);
        true
    }

    /// Writes and syncs all there is, and blocks meanwhile.
    fn sync_aof(&mut self, out: &mut Out) {
        self.flush_aof(true, out);
        let Redis { aof: Some(aof), work, volume, .. } = self else { return };
        out.work(draw_fdatasync(work, *volume));
        aof.file.sync(out.now());
        aof.file.settle(out.now());
    }

    /// The part of serverCron (spec 34.5).
    pub(super) fn aof_cron(&mut self, out: &mut Out) {
        let Redis { aof: Some(aof), config, child: None, volume: Volume { full: false, .. }, .. } = self else {
            return;
        };
        if aof.rewrite_scheduled {
            self.rewrite_aof(out);
            return;
        }
        let bytes = aof.file.bytes();
        if aof.state == State::On && config.auto_aof_rewrite_percentage > 0 && bytes > config.auto_aof_rewrite_min_size
        {
            let growth = (u128::from(bytes) * 100 / u128::from(aof.rewrite_base_bytes.max(1))).saturating_sub(100);
            if growth >= u128::from(config.auto_aof_rewrite_percentage) {
                log_text(out, || format!("Starting automatic rewriting of AOF on {growth}% growth"));
                self.rewrite_aof(out);
            }
        }
    }

    /// `rewriteAppendOnlyFileBackground`: a child writes what there is as a new base file, and the log goes on in another.
    fn rewrite_aof(&mut self, out: &mut Out) {
        self.flush_aof(true, out);
        let one_file = self.config.rules().aof_is_one_file;
        let data = self.data.clone();
        let base = self.rdb_now().snapshot;
        let Some(aof) = self.aof.as_mut() else { return };
        aof.rewrite_scheduled = false;
        if aof.state == State::WaitRewrite {
            aof.file = AofFile::of(data, &base, aof.file.writeback_phase);
        }
        aof.rewritten = (aof.file.commands, aof.file.command_bytes);
        if aof.is_on() {
            if !one_file {
                let name = match aof.state {
                    State::WaitRewrite => TEMPORARY_LOG.to_owned(),
                    _ => {
                        aof.numbers.1 += 1;
                        log_name(aof.numbers.1)
                    }
                };
                log_text(out, || format!("Creating AOF incr file {name} on background rewrite"));
            }
            // The manifest, and its folder.
            out.work(self.volume.fsyncs(2, Span::ZERO));
        }
        self.fork(Target::Aof, false, out);
        log_text(out, || "Background append only file rewriting started by pid 1".into());
    }

    /// `backgroundRewriteDoneHandler`
    pub(super) fn aof_is_rewritten(&mut self, base: &Snapshot, out: &mut Out) {
        let one_file = self.config.rules().aof_is_one_file;
        let Some(aof) = self.aof.as_mut() else { return };
        log_text(out, || "Background AOF rewrite terminated with success".into());
        // The new base file is synced (`rewriteAppendOnlyFile`), and what it covers needs no log any more.
        aof.file.settle(out.now());
        let appended = aof.file.commands - aof.rewritten.0;
        let only_cached = (aof.file.cached.len() as u64).min(appended) as usize;
        aof.file.is_on_disk(aof.file.cached.len() - only_cached, out.now());
        aof.file.syncing = None;
        aof.file.base = without_keys(base);
        aof.file.commands = appended;
        aof.file.command_bytes -= aof.rewritten.1;
        aof.numbers.0 += 1;
        if !one_file {
            let base = aof.numbers.0;
            log_text(out, || {
                format!(
                    "Successfully renamed the temporary AOF base file temp-rewriteaof-bg-1.aof into \
                     appendonly.aof.{base}.base.rdb"
                )
            });
        }
        match aof.state {
            State::On => {}
            State::WaitRewrite => {
                aof.numbers.1 += 1;
                let name = log_name(aof.numbers.1);
                if !one_file {
                    log_text(out, || {
                        format!("Successfully renamed the temporary AOF incr file {TEMPORARY_LOG} into {name}")
                    });
                }
                (aof.state, aof.before) = (State::On, None);
            }
            // A base and no log: whoever starts with it has what there was at the fork.
            State::Off => {
                let mut data = Dataset::default();
                data.load(base);
                aof.before = Some(Box::new(AofFile::of(data, base, aof.file.writeback_phase)));
            }
        }
        aof.rewrite_base_bytes = aof.file.bytes();
        log_text(out, || "Background AOF rewrite finished successfully".into());
    }

    /// `backgroundRewriteDoneHandler` after a failure: a first rewriting is tried again.
    pub(super) fn aof_is_not_rewritten(&mut self, out: &mut Out) {
        log_text(out, || "Background AOF rewrite terminated with error".into());
        if let Some(aof) = self.aof.as_mut().filter(|aof| aof.state == State::WaitRewrite) {
            aof.buffer.clear();
            aof.rewrite_scheduled = true;
        }
    }

    /// `stopAppendOnly`: what is in memory is about to be replaced, or nobody wants a log any more.
    pub(super) fn stop_aof(&mut self, out: &mut Out) {
        if self.aof.as_ref().is_none_or(|aof| !aof.is_on()) {
            return;
        }
        self.sync_aof(out);
        self.kill_aof_child(out);
        let Some(aof) = self.aof.as_mut() else { return };
        let empty = AofFile { writeback_phase: aof.file.writeback_phase, ..AofFile::default() };
        let file = std::mem::replace(&mut aof.file, empty);
        if aof.state == State::On {
            aof.before = Some(Box::new(file));
        }
        (aof.state, aof.rewrite_scheduled, aof.postponed_ms) = (State::Off, false, None);
        aof.buffer.clear();
    }

    /// `startAppendOnly`: the log begins with what is in memory now, if there is to be one and there is none.
    pub(super) fn start_aof(&mut self, in_exec: bool, out: &mut Out) {
        if !self.config.appendonly || self.aof.as_ref().is_some_and(|aof| aof.is_on()) {
            return;
        }
        let clock_ms = self.aof_clock_ms(out);
        let has_child = self.child.is_some() && !self.is_rewriting_aof();
        // On a full disk the child would not get far; the cron tries again.
        let later = has_child || in_exec || self.volume.full;
        let aof = self.aof_or_none();
        aof.state = State::WaitRewrite;
        aof.rewrite_scheduled = later;
        aof.last_fsync_ms = clock_ms;
        self.trouble.aof_failed = false;
        if has_child {
            log_text(out, || {
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to \
                 start when possible."
                    .into()
            });
        } else if in_exec {
            log_text(out, || {
                "AOF was enabled during a transaction. An AOF background was scheduled to start when possible.".into()
            });
        } else if !later {
            if self.is_rewriting_aof() {
                log_text(out, || {
                    "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and \
                     starting a rewrite now."
                        .into()
                });
                self.kill_aof_child(out);
            }
            self.rewrite_aof(out);
        }
        // Every tick asks whether what was scheduled can begin.
        self.cron.refine(out);
    }

    /// The log of a server that may have none.
    fn aof_or_none(&mut self) -> &mut Aof {
        let Redis { aof, disk, work, .. } = self;
        aof.get_or_insert_with(|| {
            let phase = Span::from_nanos(work.below(WRITEBACK.0));
            Box::new(Aof::off(disk.aof.take(), phase))
        })
    }

    /// BGREWRITEAOF (`bgrewriteaofCommand`). Without `appendonly` it leaves a base file that only a start with `appendonly` reads.
    pub(super) fn background_rewrite(&mut self, in_exec: bool, out: &mut Out) -> Reply {
        if self.is_rewriting_aof() {
            return Reply::Error(ErrorKind::RewriteInProgress);
        }
        if self.child.is_some() || in_exec {
            self.aof_or_none().rewrite_scheduled = true;
            self.cron.refine(out);
            return Reply::RewritingScheduled;
        }
        if self.volume.full {
            return Reply::Error(ErrorKind::CannotRewrite);
        }
        self.aof_or_none();
        self.rewrite_aof(out);
        Reply::RewritingStarted
    }

    /// The end of an orderly shutdown (`finishShutdown`). False if it cannot end now.
    pub(super) fn close_aof(&mut self, out: &mut Out) -> bool {
        if let Some(aof) = &self.aof {
            if aof.state == State::WaitRewrite && self.is_rewriting_aof() {
                log_text(out, || "Writing initial AOF, can't exit.".into());
                return false;
            }
            if self.is_rewriting_aof() {
                log_text(out, || "There is a child rewriting the AOF. Killing it!".into());
                self.kill_aof_child(out);
            }
            if self.aof.as_ref().is_some_and(|aof| aof.is_on()) {
                log_text(out, || "Calling fsync() on the AOF file.".into());
                self.sync_aof(out);
            }
        }
        true
    }

    /// The server starts with an append-only file: it reads the log, and no RDB file (`loadDataFromDisk`). True if it has
    /// begun to load one.
    pub(super) fn load_aof(&mut self, out: &mut Out) -> bool {
        let clock_ms = self.aof_clock_ms(out);
        let phase = Span::from_nanos(self.work.below(WRITEBACK.0));
        let first = !self.disk.started && self.config.dataset_bytes > 0 && self.disk.aof.is_none();
        if first {
            // Data held at the start lies in the base file.
            let mut data = Dataset::default();
            let base = self.config.dataset();
            data.load(&base);
            self.disk.aof = Some(Box::new(AofFile::of(data, &base, phase)));
        }
        let Some(file) = self.disk.aof.take() else {
            if self.volume.full {
                log_text(out, || "Write error writing append only file on disk: No space left on device".into());
                self.give_up(out);
                return true;
            }
            let data = Dataset::default();
            let base = Snapshot { format: self.config.rules().rdb_format, ..data.snapshot() };
            self.aof = Some(Box::new(Aof::new(AofFile::of(data, &base, phase), clock_ms)));
            if !self.config.rules().aof_is_one_file {
                log_text(out, || "Creating AOF base file appendonly.aof.1.base.rdb on server start".into());
                log_text(out, || "Creating AOF incr file appendonly.aof.1.incr.aof on server start".into());
            }
            return false;
        };
        let span = self.config.load_span(&file.base) + self.config.replay_span(file.commands);
        let snapshot = Snapshot { bytes: file.bytes(), format: file.base.format, ..file.contents().snapshot() };
        self.aof = Some(Box::new(Aof::new(*file, clock_ms)));
        self.begin_loading_aof(snapshot, span, out);
        true
    }

    /// The log is read and open (`loadAppendOnlyFiles`, `aofOpenIfNeededOnServerStart`). Nothing is left of replication.
    pub(super) fn aof_is_loaded(&mut self, took: Span, out: &mut Out) {
        let Some(aof) = self.aof.as_ref() else { return };
        let one_file = self.config.rules().aof_is_one_file;
        if !one_file {
            let base = self.config.load_span(&aof.file.base).as_secs_f64();
            let rest = self.config.replay_span(aof.file.commands).as_secs_f64();
            let has_commands = aof.file.commands > 0;
            log_text(out, || format!("DB loaded from base file appendonly.aof.1.base.rdb: {base:.3} seconds"));
            if has_commands {
                log_text(out, || format!("DB loaded from incr file appendonly.aof.1.incr.aof: {rest:.3} seconds"));
            }
        }
        log(out, RedisEvent::AofLoaded(took));
        if !one_file {
            log_text(out, || "Opening AOF incr file appendonly.aof.1.incr.aof on server start".into());
        }
    }
}
