//! node-redis 4.5.1 (`@redis/client` 1.4.2).
//!
//! A connection has 5 s; a reply has no limit, and nothing is written while nothing is asked (`pingInterval` is unset). A
//! loss is followed by a connection at once, failures by pauses of n × 50 ms up to 500 ms, for ever
//! (`client/socket.js`, `reconnectStrategy`). A command that was sent is rejected when the connection closes, one that was
//! not waits without limit (`client/commands-queue.js`, `flushWaitingForReply`). TCP keep-alive 5 s
//! (`socket.js`, `initiateOptions`): Node sets TCP_KEEPIDLE and leaves the kernel's 75 s and 9 probes. It knows no Sentinels.

use super::{Library, Runtime};
use crate::client::habits::{Backoff, Growth, Habits, Jitter, Listening, Multiplex, Offline};
use crate::client::{Kind, Via};
use crate::kernel::Span;
use crate::program::KeepAlive;

pub(super) const ROW: Library = Library {
    word: "node-redis",
    version: "4.5.1",
    runtime: Runtime::Interpreted,
    asks_sentinels: false,
    habits,
    ..super::ROW
};

fn habits(_: Via, _: Kind) -> Habits {
    let backoff = Backoff {
        base: Span::from_millis(50),
        cap: Span::from_millis(500),
        grows: Growth::Linear,
        jitter: Jitter::None,
        at_once: true,
    };
    Habits {
        connect_timeout: Some(Span::from_secs(5)),
        backoff,
        multiplex: Some(Multiplex {
            offline: Offline::Waits,
            resends: false,
            lazy: false,
            at_once: true,
            reconnects: None,
            flush_every: None,
            dead_after: None,
        }),
        keepalive: Some(KeepAlive { idle: Span::from_secs(5), interval: Span::from_secs(75), count: 9 }),
        listening: Listening { resumes: u32::MAX, backoff, ..Habits::BARE.listening },
        ..Habits::BARE
    }
}
