//! fred 10.1.0, with `ReconnectPolicy::default()`: without a policy it does not reconnect at all.
//!
//! | what | | where |
//! | --- | --- | --- |
//! | a connection, and again PING, CLIENT ID and INFO on it | 10 s | `types/config.rs` (`ConnectionConfig`), `protocol/connection.rs` (`create`, `setup`) |
//! | a reply | no limit | `types/config.rs` (`default_command_timeout`) |
//! | reconnects | for ever, 1 s and up to 100 ms more after each loss or failure; commands wait | `types/config.rs` (`ReconnectPolicy`, `DEFAULT_JITTER_MS`), `router/utils.rs` (`reconnect_with_policy`) |
//! | a command that was sent | is sent again on the next connection | `router/utils.rs` (`disconnect`), `router/commands.rs` |
//! | READONLY | the connection stays | `router/responses.rs` (`check_fatal_errors`; the feature `custom-reconnect-errors` is off) |
//! | a connection on which nothing comes | is not looked for | `types/config.rs` (`UnresponsiveConfig`) |
//! | a subscriber (`SubscriberClient`, `manage_subscriptions`) | subscribes again after each reconnection | `clients/pubsub.rs` |
//! | Sentinels | in order; then ROLE, and from then on those that the one that was asked lists: it is not among them | `router/sentinel.rs` (`update_cached_client_state`), `modules/inner.rs` (`update_sentinel_nodes`) |

use super::Library;
use crate::client::habits::{Asking, Backoff, Greeting, Growth, Habits, Jitter, Listening, Multiplex, Offline, Order};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library = Library { word: "fred", version: "10.1.0", habits, ..super::ROW };

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
        asking: Asking {
            order: Order::Others,
            connect_timeout: limit,
            reply_timeout: limit,
            verifies_role: true,
            ..Asking::PLAIN
        },
        listening: Listening { resumes: u32::MAX, backoff, ..Habits::BARE.listening },
        ..Habits::BARE
    }
}
