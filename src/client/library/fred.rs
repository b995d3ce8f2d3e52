//! fred 10.1.0, by its source, with `ReconnectPolicy::default()`.
//!
//! 10 s for a connection and for the HELLO on it (`ConnectionConfig`), none for a command (`default_command_timeout` 0).
//! It reconnects for ever after 1 s and up to 100 ms more (`ReconnectPolicy::Constant`, `DEFAULT_JITTER_MS`); commands wait,
//! and those that were sent are sent again (`max_command_attempts` 3 is not counted here). Unresponsive connections are not
//! looked for (`UnresponsiveConfig`: none). Sentinels: in order, ROLE of the node is verified.

use super::{Evidence, Library};
use crate::client::habits::{Asking, Backoff, Greeting, Growth, Habits, Jitter, Listening, Multiplex, Offline};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library =
    Library { word: "fred", version: "10.1.0", evidence: Evidence::Source, habits, ..super::ROW };

fn habits(_: Via, _: Kind) -> Habits {
    let limit = Some(Span::from_secs(10));
    let backoff = Backoff {
        base: Span::from_secs(1),
        cap: Span::from_secs(10),
        grows: Growth::Constant,
        jitter: Jitter::Spread(Span::from_millis(100)),
        at_once: false,
    };
    Habits {
        connect_timeout: limit,
        greeting: Greeting::Connect,
        backoff,
        multiplex: Some(Multiplex {
            offline: Offline::Waits,
            resends: true,
            lazy: false,
            at_once: false,
            reconnects: None,
            flush_every: None,
            dead_after: None,
        }),
        asking: Asking { connect_timeout: limit, reply_timeout: limit, verifies_role: true, ..Asking::PLAIN },
        listening: Listening { resumes: u32::MAX, backoff, ..Habits::BARE.listening },
        ..Habits::BARE
    }
}
