//! go-redis 9.22.0 and 9.7.3 with their default options.
//!
//! | what | 9.22.0 | 9.7.3 | where |
//! | --- | --- | --- | --- |
//! | a dial | 5 s, five in a row 100 ms apart; of a subscriber one | 5 s, one | `options.go` (`init`), `internal/pool/pool.go` (`dialConn`), `internal/pool/pubsub.go` |
//! | a reply | 5 s | 3 s | `options.go` |
//! | back-off | 10 ms to 1 s | 8 to 512 ms | `options.go` |
//! | HELLO on connect, with the limit of a reply | yes | yes | `redis.go` (`initConn`) |
//! | HELLO on a connection that is closed under it is tried three times more, in vain | yes | yes | `redis.go` (`initConn`), `internal/pool/pool_single.go` (`stickyErr`) |
//! | a failed HELLO is told as `i/o timeout` or `EOF` of a read | yes | yes | `redis.go` (`initConn`) |
//! | a dial or HELLO that takes too long is tried again | no | no | `redis.go` (`_process`: `retryTimeout` is 0 until there is a connection) |
//! | `FailoverClient`: limit of a dial | 5 s for commands, none for subscribers | none | `sentinel.go` (`masterReplicaDialer`) |
//! | … whom it asks | the Sentinel that answered last, else all at once | the same, else one after the other | `sentinel.go` (`MasterAddr`) |
//! | … `+switch-master` closes connections to other nodes | those of commands | all | `sentinel.go` (`listen`), `internal/pool/pubsub.go` |
//! | a subscriber's second goroutine writes PING after 3 s of silence and awaits no answer; without a connection it dials | for 5 s at the most, waiting for the lock included, and then for 10 s | no limit of its own | `pubsub.go` (`initHealthCheck`, `conn`) |
//! | a pooled connection is looked at before use | yes | yes | `internal/pool/conn_check.go` |

use super::Library;
use super::go_redis_v8;
use crate::client::habits::{Asking, Backoff, Check, Greeting, Habits, Listening, OnSwitch, Order, Pool, RetryOn};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library =
    Library { word: "go-redis-v9", aliases: &["go-redis-v9.22"], version: "9.22.0", habits, ..super::ROW };

pub(super) const ROW_9_7: Library =
    Library { word: "go-redis-v9.7", version: "9.7.3", habits: habits_9_7, ..super::ROW };

fn habits_9_7(via: Via, kind: Kind) -> Habits {
    let v8 = go_redis_v8::habits(via, kind);
    Habits {
        greeting: Greeting::Command,
        greeting_repeats: true,
        greeting_reads: true,
        retry_on: RetryOn { connect_timeout: false, ..RetryOn::ANY },
        pool: Pool { idle: Some(Span::from_secs(1_800)), check: true, ..v8.pool },
        ..v8
    }
}

fn habits(via: Via, kind: Kind) -> Habits {
    let v9_7 = habits_9_7(via, kind);
    let limit = Some(Span::from_secs(5));
    let listens_to_sentinels = via == Via::Sentinels && kind == Kind::Subscribe;
    Habits {
        connect_timeout: limit.filter(|_| !listens_to_sentinels),
        dials: if kind == Kind::Subscribe { 1 } else { 5 },
        dial_pause: Span::from_millis(100),
        command_timeout: limit,
        backoff: Backoff { base: Span::from_millis(10), cap: Span::from_secs(1), ..v9_7.backoff },
        asking: Asking {
            order: Order::AllAtOnce,
            reply_timeout: limit,
            on_switch: if kind == Kind::Subscribe { OnSwitch::Ignored } else { OnSwitch::ClosesAll },
            ..v9_7.asking
        },
        listening: Listening {
            check: Some(Check { ping: limit, reconnect: Some(Span::from_secs(10)) }),
            ..v9_7.listening
        },
        ..v9_7
    }
}
