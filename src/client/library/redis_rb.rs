//! redis-rb 4.8.0.
//!
//! 5 s for a connection and for a reply (`client.rb`, `DEFAULTS`); one immediate second try after any failure, time-outs
//! among them (`reconnect_attempts` 1, `ensure_connected`); a subscriber reads without limit (`call_loop`). One connection,
//! not looked at before use. Sentinels: in order, then ROLE of the node (`Connector::Sentinel`).

use super::{Library, Runtime};
use crate::client::habits::{Asking, Habits, Listening};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library =
    Library { word: "redis-rb", version: "4.8.0", runtime: Runtime::Interpreted, habits, ..super::ROW };

fn habits(_: Via, _: Kind) -> Habits {
    let limit = Some(Span::from_secs(5));
    Habits {
        connect_timeout: limit,
        command_timeout: limit,
        retries: 1,
        asking: Asking { connect_timeout: limit, reply_timeout: limit, verifies_role: true, ..Asking::PLAIN },
        listening: Listening { resumes: 1, ..Habits::BARE.listening },
        ..Habits::BARE
    }
}
