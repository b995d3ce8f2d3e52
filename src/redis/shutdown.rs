//! SIGTERM and SHUTDOWN (server.c `prepareForShutdown`, `finishShutdown`; spec 28).

use super::client::{Blocked, Slot};
use super::cron::LEAVE;
use super::{Redis, log, log_text};
use crate::kernel::Span;
use crate::program::{Input, Out};
use crate::record::RedisEvent;
use crate::wire::{Command, ErrorKind, Reply};

/// From a segmentation fault to the death of the process, in nanoseconds: its handler writes a report and then tests all
/// memory (`sigsegvHandler`, `doFastMemoryTest`). Measured with 7.0.15: 0.19 to 0.27 s, twice as long on a busy machine.
const CRASH_NS: (u64, u64) = (185_000_000, 275_000_000);

/// How far a shutdown is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shutdown {
    /// `shutdown_asap`: a signal came.
    asap: bool,
    /// `shutdown_mstime`: the wall clock's time, in ms, at which waiting ends.
    until_ms: Option<i64>,
    /// SAVE or NOSAVE.
    save: Option<bool>,
}

impl Shutdown {
    /// Whether the next serverCron has to look.
    pub(super) fn is_pending(&self) -> bool {
        self.asap || self.until_ms.is_some()
    }

    /// Whether it waits for replicas; writes are paused meanwhile (spec 28.3).
    pub(super) fn is_waiting(&self) -> bool {
        self.until_ms.is_some()
    }

    /// When waiting ends.
    pub(super) fn until_ms(&self) -> Option<i64> {
        self.until_ms
    }
}

impl Redis {
    /// `sigShutdownHandler`: acted on at the next serverCron. A signal that arrives during a load ends the process at
    /// once, without saving.
    pub(super) fn terminate(&mut self, out: &mut Out) {
        log_text(out, || "Received SIGTERM scheduling shutdown...".into());
        if self.loading.is_some() {
            self.leave(out);
            return;
        }
        self.shutdown.asap = true;
        self.cron.refine(out);
    }

    /// `isReadyToShutdown`
    fn replicas_are_level(&self) -> bool {
        self.streamed_replicas().all(|slot| self.clients.attached(slot).ack_offset == self.history.offset)
    }

    /// `prepareForShutdown`. True if the process has ended.
    fn prepare_shutdown(&mut self, now: bool, save: Option<bool>, out: &mut Out) -> bool {
        self.shutdown.save = if self.loading.is_some() { Some(false) } else { save };
        log(out, RedisEvent::ShutdownRequested);
        if !now && self.config.shutdown_timeout > 0 && !self.replicas_are_level() {
            self.shutdown.until_ms = Some(out.wall_ms() + self.config.shutdown_timeout as i64 * 1000);
            if !self.pause.is_ordered() {
                self.feed(Command::ReplconfGetack, out);
            }
            log(out, RedisEvent::ShutdownWaiting);
            self.cron.refine(out);
            return false;
        }
        self.finish_shutdown(out);
        self.leaving
    }

    /// `finishShutdown`: saves if save points are configured, and exits.
    fn finish_shutdown(&mut self, out: &mut Out) {
        if !self.close_aof(out) {
            self.cancel_shutdown(out);
            return;
        }
        self.child = None;
        let save = self.shutdown.save.unwrap_or(!self.config.save.0.is_empty());
        if save && self.loading.is_none() {
            log_text(out, || "Saving the final RDB snapshot before exiting.".into());
            if !self.save_now(out) {
                log_text(out, || "Error trying to save the DB, can't exit.".into());
                self.cancel_shutdown(out);
                return;
            }
        }
        self.leave(out);
    }

    /// `cancelShutdown`: it goes on; whoever asked is told so.
    fn cancel_shutdown(&mut self, out: &mut Out) {
        log_text(out, || "Errors trying to shut down the server. Check the logs for more information.".into());
        self.shutdown = Shutdown::default();
        for place in 0..self.clients.places() {
            let Some(slot) = self.clients.at(place) else { continue };
            let client = self.clients.get_mut(slot).expect("the order lists clients");
            if matches!(client.blocked, Some(Blocked::Shutdown)) {
                client.blocked = None;
                self.reply(slot, Reply::Error(ErrorKind::ShutdownFails), out);
            }
        }
    }

    fn leave(&mut self, out: &mut Out) {
        log(out, RedisEvent::Exiting);
        self.leaving = true;
        out.set_timer(LEAVE, out.now());
    }

    /// `exit(1)` at the start.
    pub(super) fn give_up(&mut self, out: &mut Out) {
        self.leaving = true;
        out.set_timer(LEAVE, out.now());
    }

    /// The part of serverCron. True if the process has ended.
    pub(super) fn cron_shutdown(&mut self, out: &mut Out) -> bool {
        if let Some(until_ms) = self.shutdown.until_ms {
            if out.wall_ms() >= until_ms || self.replicas_are_level() {
                self.finish_shutdown(out);
            }
        } else if std::mem::take(&mut self.shutdown.asap) {
            self.prepare_shutdown(false, None, out);
        }
        self.leaving
    }

    /// SIGSEGV: the loop stands still until the report is written, and the kernel closes the sockets. Nothing is saved.
    pub(super) fn crash(&mut self, out: &mut Out) {
        let (program, version) = self.config.release.program();
        log_text(out, || format!("{program} {version} crashed by signal: 11, si_code: 2"));
        self.die(out);
    }

    /// A crash report is written, and the process ends.
    pub(super) fn die(&mut self, out: &mut Out) {
        self.leaving = true;
        self.child = None;
        let report = Span::from_nanos(self.work.between(CRASH_NS.0, CRASH_NS.1));
        out.set_timer(LEAVE, out.now() + report);
    }

    /// Nothing is read any more.
    pub(super) fn leaving_goes_on(&mut self, input: &Input, out: &mut Out) {
        if matches!(input, Input::Timer(LEAVE)) {
            self.exited = true;
            out.exit();
        }
    }

    /// SHUTDOWN (spec 28.5).
    pub(super) fn shutdown_command(
        &mut self,
        slot: Slot,
        now: bool,
        save: Option<bool>,
        out: &mut Out,
    ) -> Option<Reply> {
        if self.shutdown.is_waiting() {
            return Some(Reply::Error(ErrorKind::Err));
        }
        if self.prepare_shutdown(now, save, out) {
            return None;
        }
        if !self.shutdown.is_waiting() {
            return Some(Reply::Error(ErrorKind::ShutdownFails));
        }
        if let Some(client) = self.clients.get_mut(slot) {
            client.blocked = Some(Blocked::Shutdown);
        }
        None
    }
}
