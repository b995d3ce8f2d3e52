//! Jedis 7, by its source.
//!
//! 2 s for a connection and for a reply (`Protocol.DEFAULT_TIMEOUT`), no retries, CLIENT SETINFO first. The pool has 8
//! connections, waits for a free one without limit, and hands them out untested (`ConnectionPoolConfig`, commons-pool2);
//! one that was idle for 60 s is evicted (the PING every 30 s by which the evictor tests idle ones is left out). A connection with a failure is closed; an error reply, READONLY among them, keeps
//! it. `subscribe` reads without limit (`setTimeoutInfinite`), and the program loops. Sentinels
//! (`SentineledConnectionProvider`): asked once at the start; then a thread for each listens to `+switch-master`, after a
//! loss again after 5 s, and asks first. A switch makes a new pool: idle connections of the old one are closed.

use super::{Evidence, Library};
use crate::client::habits::{Asking, Greeting, Habits, OnSwitch, Pool};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library =
    Library { word: "jedis", version: "7", evidence: Evidence::Source, habits, ..super::ROW };

fn habits(_: Via, _: Kind) -> Habits {
    let limit = Some(Span::from_secs(2));
    Habits {
        connect_timeout: limit,
        greeting: Greeting::Command,
        command_timeout: limit,
        pool: Pool { size: 8, wait: None, idle: Some(Span::from_secs(60)), check: false },
        asking: Asking {
            connect_timeout: limit,
            reply_timeout: limit,
            once: true,
            on_switch: OnSwitch::ClosesIdle,
            ..Asking::PLAIN
        },
        ..Habits::BARE
    }
}
