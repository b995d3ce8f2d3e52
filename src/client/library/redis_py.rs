//! redis-py 8.1.0 and 5.2.1 with their default options.
//!
//! | what | 8.1.0 | 5.2.1 | where |
//! | --- | --- | --- | --- |
//! | a connection | 5 s | none, or `socket_timeout` | `_defaults.py`; `connection.py` |
//! | a reply | 5 s | none | `_defaults.py` |
//! | HELLO or CLIENT SETINFO on connect, with the limit of a reply | yes | yes | `connection.py` (`on_connect`) |
//! | tried again | 10 times, exponential, base 10 ms, cap 1 s, full jitter; Sentinel clients 0 | 0 | `client.py`, `sentinel.py` |
//! | a pooled connection is looked at before use | yes | yes | `connection.py` (`get_connection`: `can_read`) |
//! | TCP keep-alive | 30 s, then 3 × 5 s | off | `_defaults.py` |
//! | a subscriber that hears nothing | listens on | listens on, or `socket_timeout` | `client.py` (`parse_response`) |
//! | … and reconnects at once, then with the same pauses | yes | no | `client.py` (`PubSub._execute`, `_reconnect`) |
//! | Sentinels in order, the one that answered moves to the front; a master that is down is refused | yes | yes | `sentinel.py` (`discover_master`, `check_master_state`) |
//! | READONLY closes the connection of a Sentinel client | yes | yes | `sentinel.py` (`read_response`) |

use super::{Library, Runtime};
use crate::client::habits::{
    Asking, Backoff, Follows, Greeting, Growth, Habits, Jitter, Listening, OnReadonly, Order, Pool,
};
use crate::client::{Kind, Via};
use crate::kernel::Span;
use crate::program::KeepAlive;

pub(super) const ROW: Library = Library {
    word: "redis-py",
    aliases: &["redis-py-8"],
    version: "8.1.0",
    runtime: Runtime::Interpreted,
    habits,
    ..super::ROW
};

pub(super) const ROW_5: Library = Library {
    word: "redis-py-5",
    version: "5.2.1",
    runtime: Runtime::Interpreted,
    follows: Follows { connect: true, listening: true },
    habits: habits_5,
    ..super::ROW
};

fn habits_5(via: Via, _: Kind) -> Habits {
    Habits {
        greeting: Greeting::Command,
        on_readonly: if via == Via::Sentinels { OnReadonly::Close } else { OnReadonly::Keep },
        pool: Pool { size: 1 << 16, check: true, ..Pool::ONE },
        asking: Asking { order: Order::AnsweredFirst, refuses_down: true, ..Asking::PLAIN },
        ..Habits::BARE
    }
}

fn habits(via: Via, kind: Kind) -> Habits {
    let limit = Some(Span::from_secs(5));
    let retries = if via == Via::Sentinels { 0 } else { 10 };
    let backoff = Backoff {
        base: Span::from_millis(20),
        cap: Span::from_secs(1),
        grows: Growth::Exponential,
        jitter: Jitter::Full,
        at_once: false,
    };
    let v5 = habits_5(via, kind);
    Habits {
        connect_timeout: limit,
        command_timeout: limit,
        retries,
        backoff,
        keepalive: Some(KeepAlive { idle: Span::from_secs(30), interval: Span::from_secs(5), count: 3 }),
        asking: Asking { connect_timeout: limit, reply_timeout: limit, retries: 10, backoff, ..v5.asking },
        // The first repeat is made by the callback that closes the connection, and has tries of its own.
        listening: Listening { resumes: retries + 1, backoff: Backoff { at_once: true, ..backoff }, ..v5.listening },
        ..v5
    }
}
