//! Keys that live for a time only (`expire.c`, `db.c` `expireIfNeeded`, `t_string.c` `setGenericCommand`).
//!
//! A key ends by the clock of the server that holds it, and only a master lets it end: in every serverCron it looks at
//! twenty of the keys that have an end, in the order of their hashes, and goes on as long as more than a tenth of them were
//! over; a GET of one that is over deletes it too. Replicas are sent a DEL for each. Until that comes a replica keeps
//! the key, whatever its clock says, and only answers as if it had none: one that is cut off keeps it for ever, and the
//! one that is promoted begins to look. A server that starts as a master does not load what is over from its RDB file, and
//! tells its replicas of it if it goes on with the history in there; one that starts as a replica does, and so does everybody from an append-only file.
//!
//! Nothing ends while clients are paused (`isPausedActionsWithUpdate`). The fast cycle before the loop sleeps runs only if
//! the slow one ran out of time, a quarter of a tick: for that there are too few keys here.
//!
//! What is simpler: a key that a client SETs on a writable replica stays until its master sends a DEL of the same name
//! (`expireSlaveKeys` deletes it); nobody can tell, for a GET finds none.

use super::Redis;
use super::persist::LoadFor;
use crate::kernel::Time;
use crate::program::Out;
use crate::wire::{Command, Expiry, Key};

/// `ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP`, with the default effort.
const KEYS_PER_LOOP: usize = 20;
/// `ACTIVE_EXPIRE_CYCLE_ACCEPTABLE_STALE`: with more than so many in a hundred over, it looks at the next twenty at once.
const ACCEPTABLE_STALE: usize = 10;

fn clock_ms(out: &Out) -> u64 {
    u64::try_from(out.wall_ms()).unwrap_or(0)
}

impl Redis {
    /// SET, of a client or of the master's stream. Gives the command as replicas are told it.
    #[inline]
    pub(super) fn set(&mut self, key: Key, value: u32, expiry: Expiry, out: &mut Out) -> Command {
        let end_ms = match expiry {
            Expiry::Never => None,
            Expiry::Px(ms) => Some(clock_ms(out).saturating_add(ms)),
            Expiry::PxAt(ms) => Some(ms),
        };
        self.data.set(key, value, end_ms);
        self.log_set(key, value, end_ms, out);
        let Some(end_ms) = end_ms else { return Command::Set(key, value, Expiry::Never) };
        self.expect_expiry(out);
        let as_said = self.config.rules().replicates_px;
        Command::Set(key, value, if as_said { expiry } else { Expiry::PxAt(end_ms) })
    }

    /// GET.
    pub(super) fn look_up(&mut self, key: Key, out: &mut Out) -> Option<u32> {
        if self.data.expiring() > 0 && self.data.is_over(key, clock_ms(out)) {
            if self.expires() && self.pause_kind().is_none() {
                self.let_expire(key, out);
            }
            return None;
        }
        self.data.get(key)
    }

    /// Whether it is this server that lets keys end, and there are any.
    pub(super) fn expires(&self) -> bool {
        self.link.master.is_none() && self.data.expiring() > 0
    }

    /// From now on every tick has something to do, if there are such keys.
    pub(super) fn expect_expiry(&mut self, out: &mut Out) {
        if self.expires() {
            self.cron.refine(out);
        }
    }

    /// `activeExpireCycle`, the slow one.
    pub(super) fn expire(&mut self, out: &mut Out) {
        if !self.expires() || self.pause_kind().is_some() {
            return;
        }
        let now_ms = clock_ms(out);
        loop {
            let most = self.data.expiring().min(KEYS_PER_LOOP);
            let (sampled, over) = self.data.sample(most, now_ms);
            let stale = over.len();
            for key in over {
                self.let_expire(key, out);
            }
            if stale * 100 <= sampled * ACCEPTABLE_STALE {
                break;
            }
        }
    }

    /// `deleteExpiredKeyAndPropagate`
    fn let_expire(&mut self, key: Key, out: &mut Out) {
        self.data.delete(key);
        self.log_delete(key, out);
        self.feed(Command::Del(key), out);
    }

    /// What a file that was read from `begun` on holds and its reader does not take: keys whose time was up by then
    /// (`rdbLoadRioWithLoadingCtx`).
    pub(super) fn forget_what_is_over(&mut self, purpose: LoadFor, begun: Time, out: &Out) -> Vec<Key> {
        if purpose != LoadFor::Boot || self.link.master.is_some() {
            return Vec::new();
        }
        let began_ms = clock_ms(out).saturating_sub(out.now().since(begun).as_millis());
        self.data.drop_over(began_ms)
    }

    /// A master that goes on with the history of its file goes on with a DEL for each, for replicas that still have them
    /// (`RDBFLAGS_FEED_REPL`).
    pub(super) fn tell_what_was_over(&mut self, over: Vec<Key>, out: &mut Out) {
        over.into_iter().for_each(|key| self.feed(Command::Del(key), out));
    }
}
