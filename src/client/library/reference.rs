//! The clients of the reference recordings, as habits (docs/behaviour/recordings.md, R4).
//!
//! With all settings as they are they run as `client/reference.rs`, whose bytes the recordings were scored with; a client
//! that changes a setting runs with these habits.

use super::{Engine, Evidence, Library, Runtime};
use crate::client::habits::{Asking, Habits, Listening, OnReadonly, Order, Pool};
use crate::client::{Kind, Via};
use crate::kernel::Span;

const SECOND: Option<Span> = Some(Span::from_secs(1));

pub(super) const ROW: Library = Library {
    word: "reference",
    version: "the blocking Python clients of the recordings",
    evidence: Evidence::Recorded,
    engine: Engine::Reference,
    runtime: Runtime::Interpreted,
    habits,
    ..super::ROW
};

fn habits(via: Via, _: Kind) -> Habits {
    Habits {
        connect_timeout: SECOND,
        command_timeout: SECOND,
        on_readonly: if via == Via::Sentinels { OnReadonly::Close } else { OnReadonly::Keep },
        pool: Pool::ONE,
        asking: Asking { order: Order::AnsweredFirst, connect_timeout: SECOND, reply_timeout: SECOND, ..Asking::PLAIN },
        listening: Listening {
            confirms: true,
            ping_after: Some(Span::from_secs(3)),
            ping_timeout: SECOND,
            ..Habits::BARE.listening
        },
        ..Habits::BARE
    }
}
