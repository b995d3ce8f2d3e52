//! A disk that is slow or full, and what the server makes of it (spec 35).
//!
//! A server does not look at its disk: it learns from a file that could not be written. As long as the last one could not, it
//! refuses writes, and PING with them, which is how Sentinels and proxies learn of it.

use super::Redis;
use super::{log_text, unixtime};
use crate::program::{Out, Volume};
use crate::wire::{Command, ErrorKind};

/// After a failed BGSAVE the save points rest for so many seconds (`CONFIG_BGSAVE_RETRY_DELAY`).
const RETRY_DELAY_S: i64 = 5;
/// Errors of the append-only file are written to the log at most every so many seconds (`AOF_WRITE_LOG_ERROR_RATE`).
const AOF_ERROR_LOG_S: i64 = 30;
/// What stdio keeps before it writes (`BUFSIZ` of a file in glibc, st_blksize): a smaller RDB file fails when it is flushed.
const STDIO_BYTES: u64 = 4_096;

/// What went wrong with the files.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// `lastbgsave_status` is not OK.
    save_failed: bool,
    /// `lastbgsave_try`
    last_try: i64,
    /// `aof_last_write_status` is not OK.
    pub(super) aof_failed: bool,
    /// `last_write_error_log`
    aof_error_said: Option<i64>,
}

impl Redis {
    /// How its disk is from now on.
    pub fn set_volume(&mut self, volume: Volume) {
        self.volume = volume;
    }

    /// Whether it refuses writes for its disk: until a save or a write of the log succeeds.
    pub fn refuses_for_disk(&self) -> bool {
        self.disk_error().is_some()
    }

    /// `writeCommandsDeniedByDiskError`
    pub(super) fn disk_error(&self) -> Option<ErrorKind> {
        let Trouble { save_failed, aof_failed, .. } = self.trouble;
        if save_failed && self.config.stop_writes_on_bgsave_error && !self.config.save.0.is_empty() {
            return Some(ErrorKind::Misconf);
        }
        (aof_failed && self.aof.as_ref().is_some_and(|aof| aof.is_on())).then_some(ErrorKind::MisconfAof)
    }

    /// What a client is answered to a command that needs the disk, or that asks whether all is well (`processCommand`).
    pub(super) fn refused_for_disk(&self, command: &Command, is_write: bool) -> Option<ErrorKind> {
        if !is_write && *command != Command::Ping {
            return None;
        }
        let spared = self.link.master.is_some() && self.config.rules().replicas_hide_disk_errors;
        self.disk_error().filter(|_| !spared)
    }

    /// A replica that cannot write what its master sends it ends (`processCommand` since 7.0,
    /// `replica-ignore-disk-write-errors no`). True if it does.
    pub(super) fn ends_for_disk(&mut self, out: &mut Out) -> bool {
        if self.disk_error().is_none() || self.config.rules().replicas_hide_disk_errors {
            return false;
        }
        log_text(out, || "Guru Meditation: Replica was unable to write command to disk. #server.c:3890".into());
        self.die(out);
        true
    }

    /// Whether save points wait after a failure.
    pub(super) fn save_points_rest(&self, out: &Out) -> bool {
        self.trouble.save_failed && unixtime(out) - self.trouble.last_try <= RETRY_DELAY_S
    }

    /// `rdbSaveBackground` was called.
    pub(super) fn tries_to_save(&mut self, out: &Out) {
        self.trouble.last_try = unixtime(out);
    }

    /// Whether the last BGSAVE succeeded (`lastbgsave_status`).
    pub(super) fn saved(&mut self, success: bool) {
        self.trouble.save_failed = !success;
    }

    /// The line of whoever writes an RDB file to a full disk (`rdbSave`).
    pub(super) fn say_cannot_save(bytes: u64, out: &mut Out) {
        let operation = if bytes < STDIO_BYTES { "fflush" } else { "rdbSaveRio" };
        log_text(out, || format!("Write error saving DB on disk({operation}): No space left on device"));
    }

    /// The append-only file cannot be written to (`flushAppendOnlyFile`): under `always` the server ends, for it has answered
    /// nothing of it yet; else it keeps what there is and refuses more.
    pub(super) fn aof_write_failed(&mut self, always: bool, out: &mut Out) {
        let now_s = unixtime(out);
        if self.trouble.aof_error_said.is_none_or(|said| now_s - said > AOF_ERROR_LOG_S) {
            self.trouble.aof_error_said = Some(now_s);
            log_text(out, || "Error writing to the AOF file: No space left on device".into());
        }
        if always {
            log_text(out, || {
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...".into()
            });
            out.silence();
            self.give_up(out);
        } else {
            self.trouble.aof_failed = true;
        }
    }

    /// The append-only file could be written to.
    pub(super) fn aof_was_written(&mut self, out: &mut Out) {
        if std::mem::take(&mut self.trouble.aof_failed) {
            log_text(out, || "AOF write error looks solved, Redis can write again.".into());
        }
    }
}
