//! A script that never ends (script.c, eval.c, script_lua.c; spec 36).
//!
//! Until `busy-reply-threshold` the server stands still. From then on the script's hook, called every 100 000 instructions of
//! Lua, handles what happens on sockets, and nothing else: no timer runs, and so no serverCron, no PING to replicas and none of
//! their time limits. Almost every command is answered with `-BUSY`. SCRIPT KILL ends a script that has not written;
//! one that has ends with its process, and what it wrote with it: it would have been replicated after its end.

use super::client::{Blocked, Slot};
use super::cron::SCRIPT;
use super::replica::LINK;
use super::{Redis, log};
use crate::kernel::{Span, Time};
use crate::limits::SPAN_MAX;
use crate::program::{Input, Out};
use crate::record::RedisEvent;
use crate::wire::{Command, ErrorKind, Reply, Script};

/// Between two calls of the hook (`LUA_MASKCOUNT` of 100 000), in nanoseconds. Measured with 7.0.15: a PING during `while
/// true do end` was answered 0.03 to 0.19 ms later than by an idle server (5 % to 75 % of 500).
const HOOK_NS: u64 = 200_000;

/// A script that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    script: Script,
    /// Who asked for it.
    caller: Slot,
    began: Time,
    /// Whether others are answered: the threshold has passed (`SCRIPT_TIMEDOUT`).
    yields: bool,
    /// `SCRIPT_KILLED`
    killed: bool,
}

/// `CMD_ALLOW_BUSY`; before 7.0 the list in `processCommand`.
pub(super) fn allowed_while_busy(command: &Command) -> bool {
    matches!(
        command,
        Command::NoOp
            | Command::Multi
            | Command::ReplconfHandshake { .. }
            | Command::ReplconfCapa { .. }
            | Command::ReplconfRdbChannel { .. }
            | Command::ReplconfAck(_)
            | Command::ReplconfGetack
            | Command::ScriptKill
            | Command::Shutdown { save: Some(false), .. }
    )
}

impl Redis {
    /// Whether a script runs.
    pub fn runs_script(&self) -> bool {
        self.script.is_some()
    }

    /// Whether a script runs and others are answered (`isInsideYieldingLongCommand`).
    pub(super) fn is_busy(&self) -> bool {
        self.script.as_ref().is_some_and(|script| script.yields)
    }

    /// EVAL. A write that is refused ends the script with that error (`scriptVerifyWriteCommandAllow`).
    pub(super) fn eval(&mut self, slot: Slot, script: Script, out: &mut Out) -> Option<Reply> {
        if script.writes {
            let is_replica = self.link.master.is_some();
            let refused = match () {
                () if is_replica && self.config.replica_read_only => Some(ErrorKind::Readonly),
                () if self.disk_error().is_some() => self.disk_error(),
                () if !is_replica && !self.enough_good_replicas() => Some(ErrorKind::NoReplicas),
                () => None,
            };
            if let Some(error) = refused {
                return Some(Reply::Error(error));
            }
        }
        let Some(threshold) = Some(self.config.busy_reply_threshold).filter(|ms| *ms > 0).map(Span::from_millis) else {
            // Without a threshold there is no hook: nothing ends this but the end of the process.
            out.work(SPAN_MAX);
            return None;
        };
        if let Some(client) = self.clients.get_mut(slot) {
            client.blocked = Some(Blocked::Script);
        }
        self.script = Some(Box::new(Running { script, caller: slot, began: out.now(), yields: false, killed: false }));
        self.cron.stop(out);
        out.set_timer(SCRIPT, out.now() + threshold);
        out.work(threshold);
        None
    }

    /// SCRIPT KILL (`scriptKill`): acted on when the hook is done with its events.
    pub(super) fn script_kill(&mut self, out: &mut Out) -> Reply {
        let hook = self.hook();
        let Some(running) = self.script.as_mut() else { return Reply::Error(ErrorKind::NotBusy) };
        if running.script.writes {
            return Reply::Error(ErrorKind::Unkillable);
        }
        running.killed = true;
        out.set_timer(SCRIPT, out.now() + hook);
        Reply::Ok
    }

    /// How long the next call of the hook is away.
    fn hook(&mut self) -> Span {
        Span::from_nanos(self.work.below(HOOK_NS))
    }

    /// The hook handles an event (`scriptInterrupt`, `processEventsWhileBlocked`).
    pub(super) fn while_blocked(&mut self, input: Input, out: &mut Out) {
        self.begin_to_yield(out);
        match input {
            Input::Timer(SCRIPT) if self.script.as_ref().is_some_and(|running| running.killed) => {
                self.script_ends(out);
                self.before_sleep(out);
                return;
            }
            // No time events.
            Input::Timer(SCRIPT | super::CRON) => {}
            input => {
                let hook = self.hook();
                out.work(hook);
                self.take(input, out);
            }
        }
        if !self.leaving {
            self.close_and_flush(out);
        }
    }

    /// The first call of the hook after the threshold.
    fn begin_to_yield(&mut self, out: &mut Out) {
        let threshold = Span::from_millis(self.config.busy_reply_threshold);
        let Some(running) = self.script.as_mut().filter(|running| !running.yields) else { return };
        running.yields = true;
        if out.now() < running.began + threshold {
            out.work(running.began + threshold - out.now());
        }
        let (ran, name) = (out.now() - running.began, running.script.name.clone());
        log(
            out,
            match self.config.rules().script_has_sha1 {
                true => RedisEvent::SlowScriptBefore7(ran, name),
                false => RedisEvent::SlowScript(ran, name),
            },
        );
    }

    /// The script was killed: all goes on where it stood.
    fn script_ends(&mut self, out: &mut Out) {
        let running = self.script.take().expect("it was killed while it ran");
        log(out, RedisEvent::ScriptKilled);
        let caller = running.caller;
        if let Some(client) = self.clients.get_mut(caller)
            && matches!(client.blocked, Some(Blocked::Script))
        {
            client.blocked = None;
            self.reply(caller, Reply::Error(ErrorKind::ScriptKilled), out);
            self.process_waiting_input(caller, out);
        }
        if self.loading.is_none() {
            self.cron.resume(out);
            if !self.pause.holds(LINK) {
                self.link_goes_on(out);
            }
        }
    }
}
