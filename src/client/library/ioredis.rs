//! ioredis 5.11.1, by its source.
//!
//! `connectTimeout` 10 s, `commandTimeout` none, no keep-alive (`redis/RedisOptions.ts`). A connection is ready after the
//! answer to INFO, for which there is no limit (`event_handler.ts`, `_readyCheck`). It reconnects for ever after
//! min(n × 50, 2000) ms; commands wait meanwhile, those that were sent are sent again
//! (`autoResendUnfulfilledCommands`), and at every 21st failure all that wait fail (`maxRetriesPerRequest` 20). READONLY
//! changes nothing (`reconnectOnError` null). Sentinels: in the order of the list, each with 10 s for the connection and
//! none for the answer; the role in INFO must be the master's (`SentinelConnector.check`); nobody listens to
//! `+switch-master` (`failoverDetector` false).

use super::{Evidence, Library, Runtime};
use crate::client::habits::{Asking, Backoff, Greeting, Growth, Habits, Jitter, Listening, Multiplex, Offline};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library = Library {
    word: "ioredis",
    version: "5.11.1",
    evidence: Evidence::Source,
    runtime: Runtime::Interpreted,
    habits,
    ..super::ROW
};

fn habits(_: Via, _: Kind) -> Habits {
    let limit = Some(Span::from_secs(10));
    let backoff = Backoff {
        base: Span::from_millis(50),
        cap: Span::from_secs(2),
        grows: Growth::Linear,
        jitter: Jitter::None,
        at_once: false,
    };
    Habits {
        connect_timeout: limit,
        greeting: Greeting::Command,
        backoff,
        multiplex: Some(Multiplex {
            offline: Offline::Waits,
            resends: true,
            lazy: false,
            at_once: false,
            reconnects: None,
            flush_every: Some(21),
            dead_after: None,
        }),
        asking: Asking { connect_timeout: limit, verifies_role: true, ..Asking::PLAIN },
        listening: Listening { resumes: u32::MAX, backoff, ..Habits::BARE.listening },
        ..Habits::BARE
    }
}
