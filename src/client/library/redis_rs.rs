//! redis-rs 1.8.1: `ConnectionManager` (`redis-rs`) and blocking connections (`redis-rs-blocking`).
//!
//! | what | manager | blocking | where |
//! | --- | --- | --- | --- |
//! | a connection, CLIENT SETINFO included | 1 s | none | `client.rs` (`DEFAULT_CONNECTION_TIMEOUT`), `connection.rs` |
//! | a reply | 0.5 s; the connection stays | none | `client.rs` (`DEFAULT_RESPONSE_TIMEOUT`), `errors/redis_error.rs` |
//! | reconnects | after a command failed: 1 + 6 times, 100 ms × 2ⁿ and a jitter that is the same in every process; commands wait | the program does | `aio/connection_manager.rs`; `backon` without `std` |
//! | READONLY | the connection stays | the same | `errors/server_error.rs` |
//! | a subscriber | no limit for anything, the connection neither | none | `client.rs` (`get_async_pubsub`) |
//! | Sentinels (`SentinelClient`, blocking) | | in order, master must not be down, then ROLE | `sentinel.rs` |
//!
//! There is no manager that asks Sentinels: by that way both are the blocking `SentinelClient`.

use super::Library;
use crate::client::habits::{Asking, Backoff, Greeting, Growth, Habits, Jitter, Multiplex, Offline, OnReadonly};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library = Library { word: "redis-rs", version: "1.8.1", habits, ..super::ROW };

pub(super) const BLOCKING: Library =
    Library { word: "redis-rs-blocking", version: "1.8.1", habits: blocking, ..super::ROW };

fn blocking(_: Via, _: Kind) -> Habits {
    Habits {
        greeting: Greeting::Command,
        on_readonly: OnReadonly::Keep,
        // `find_master_address` goes on to the next Sentinel if the master of one cannot be asked for its ROLE.
        asking: Asking { refuses_down: true, verifies_role: true, tries_next: true, ..Asking::PLAIN },
        ..Habits::BARE
    }
}

fn habits(via: Via, kind: Kind) -> Habits {
    if via == Via::Sentinels || kind == Kind::Subscribe {
        return blocking(via, kind);
    }
    Habits {
        connect_timeout: Some(Span::from_secs(1)),
        greeting: Greeting::Connect,
        command_timeout: Some(Span::from_millis(500)),
        timeout_closes: false,
        backoff: Backoff {
            base: Span::from_millis(100),
            cap: Span::from_secs(600),
            grows: Growth::Exponential,
            jitter: Jitter::Seeded,
            at_once: false,
        },
        multiplex: Some(Multiplex {
            offline: Offline::WaitsForReconnect,
            resends: false,
            lazy: true,
            at_once: true,
            reconnects: Some(7),
            flush_every: None,
            dead_after: None,
        }),
        ..Habits::BARE
    }
}
