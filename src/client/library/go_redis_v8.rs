//! go-redis 8.11.5 with its default options (docs/behaviour, C23 to C26).
//!
//! Through one address it is the demo's own program (`go_redis.rs`, `go_pool.rs`, `go_pubsub.rs`). Its `FailoverClient`
//! (`sentinel.go`) dials with the user's `DialTimeout`, which is 0: no limit.

use super::{Engine, Evidence, Library};
use crate::client::habits::{
    Asking, Backoff, Check, Growth, Habits, Jitter, Listening, OnReadonly, OnSwitch, Order, Pool, RetryOn,
};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library = Library {
    word: "go-redis-v8",
    version: "8.11.5",
    evidence: Evidence::Recorded,
    engine: Engine::GoV8,
    // Its programs call it from a goroutine for every attempt.
    concurrency: u32::MAX,
    reports_connections: false,
    habits,
    ..super::ROW
};

/// `options.go`; spec C23 to C26.
pub(super) fn habits(via: Via, _: Kind) -> Habits {
    Habits {
        connect_timeout: (via != Via::Sentinels).then_some(Span::from_secs(5)),
        command_timeout: Some(Span::from_secs(3)),
        retries: 3,
        retry_on: RetryOn::ANY,
        backoff: Backoff {
            base: Span::from_millis(8),
            cap: Span::from_millis(512),
            grows: Growth::Exponential,
            jitter: Jitter::Added,
            at_once: false,
        },
        on_readonly: OnReadonly::Retry,
        pool: Pool { size: 20, wait: Some(Span::from_secs(4)), idle: Some(Span::from_secs(300)), check: false },
        asking: Asking {
            order: Order::AnsweredFirst,
            connect_timeout: Some(Span::from_secs(5)),
            reply_timeout: Some(Span::from_secs(3)),
            retries: 3,
            on_switch: OnSwitch::ClosesAll,
            ..Asking::PLAIN
        },
        listening: Listening {
            ping_after: Some(Span::from_secs(3)),
            check: Some(Check { ping: None, reconnect: None }),
            resumes: u32::MAX,
            backoff: Backoff { at_once: true, ..Backoff::constant(Span::from_millis(100)) },
            ..Habits::BARE.listening
        },
        ..Habits::BARE
    }
}
