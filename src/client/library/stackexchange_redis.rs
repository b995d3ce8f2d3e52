//! StackExchange.Redis 2.8 and later, by its source.
//!
//! `ConnectTimeout` and `SyncTimeout` 5 s (`DefaultOptionsProvider.cs`); a command that takes longer is an error, and the
//! connection stays. If commands time out and nothing at all was read for four time-outs, 20 s, the socket is taken for
//! dead and closed (`PhysicalBridge.OnHeartbeat`). After a loss it connects at once, then again after 2.5 s and up to a
//! second more (`ExponentialRetry(ConnectTimeout / 2)`, looked at by a heartbeat of 1 s; its growth by 1.1 is left out).
//! Commands wait in the backlog meanwhile, those that were sent fail. PING after 60 s without a write (`KeepAliveInterval`).
//! Sentinels: asked in order, ROLE of the node is verified, `+switch-master` makes it connect anew
//! (`ConnectionMultiplexer.Sentinel.cs`).

use super::{Evidence, Library};
use crate::client::habits::{
    Asking, Backoff, Greeting, Growth, Habits, Jitter, Listening, Multiplex, Offline, OnSwitch,
};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library =
    Library { word: "stackexchange-redis", version: "2.8", evidence: Evidence::Source, habits, ..super::ROW };

fn habits(_: Via, _: Kind) -> Habits {
    let limit = Some(Span::from_secs(5));
    let backoff = Backoff {
        base: Span::from_millis(2_500),
        cap: Span::from_secs(10),
        grows: Growth::Constant,
        jitter: Jitter::Spread(Span::from_secs(1)),
        at_once: false,
    };
    Habits {
        connect_timeout: limit,
        greeting: Greeting::Connect,
        command_timeout: limit,
        timeout_closes: false,
        backoff,
        ping_after: Some(Span::from_secs(60)),
        multiplex: Some(Multiplex {
            offline: Offline::Waits,
            resends: false,
            lazy: false,
            at_once: true,
            reconnects: None,
            flush_every: None,
            dead_after: Some(Span::from_secs(20)),
        }),
        asking: Asking {
            connect_timeout: limit,
            reply_timeout: limit,
            verifies_role: true,
            on_switch: OnSwitch::ClosesAll,
            ..Asking::PLAIN
        },
        listening: Listening {
            ping_after: Some(Span::from_secs(60)),
            resumes: u32::MAX,
            backoff: Backoff { at_once: true, ..backoff },
            ..Habits::BARE.listening
        },
        ..Habits::BARE
    }
}
