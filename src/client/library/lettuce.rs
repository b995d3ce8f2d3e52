//! Lettuce 7, by its source.
//!
//! 10 s for a connection (`SocketOptions`), 60 s for a command, the time that it waits included, after which the caller
//! gets an error and the connection stays (`RedisURI`, `TimeoutOptions`). HELLO before a connection is used. It reconnects
//! for ever after 2ⁿ ms, at most 30 s (`Delay.exponential`); commands wait, and those that were sent are sent again.
//! Keep-alive 13 s, then 3 × 13 s. Sentinels: in the order of the list, at every connection (`RedisClient.lookupRedis`); no
//! ROLE, nobody listens to `+switch-master` (that is `MasterReplica`'s).

use super::{Evidence, Library};
use crate::client::habits::{Asking, Backoff, Greeting, Growth, Habits, Jitter, Listening, Multiplex, Offline};
use crate::client::{Kind, Via};
use crate::kernel::Span;
use crate::program::KeepAlive;

pub(super) const ROW: Library =
    Library { word: "lettuce", version: "7", evidence: Evidence::Source, habits, ..super::ROW };

fn habits(_: Via, _: Kind) -> Habits {
    let connect = Some(Span::from_secs(10));
    let command = Some(Span::from_secs(60));
    let backoff = Backoff {
        base: Span::from_millis(1),
        cap: Span::from_secs(30),
        grows: Growth::Exponential,
        jitter: Jitter::None,
        at_once: false,
    };
    Habits {
        connect_timeout: connect,
        greeting: Greeting::Command,
        command_timeout: command,
        timeout_closes: false,
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
        keepalive: Some(KeepAlive { idle: Span::from_secs(13), interval: Span::from_secs(13), count: 3 }),
        asking: Asking { connect_timeout: connect, reply_timeout: command, ..Asking::PLAIN },
        listening: Listening { resumes: u32::MAX, backoff, ..Habits::BARE.listening },
        ..Habits::BARE
    }
}
