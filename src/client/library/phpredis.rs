//! phpredis 5.3.7.
//!
//! `default_socket_timeout` of PHP, 60 s, for a connection and for a reply; a subscriber is told to read without limit, as
//! the usual advice has it. A command that fails in reading is not repeated; before each command the connection is looked
//! at, and one that the peer has closed is opened again, up to ten times without a pause (`library.c`, `redis_check_eof`).
//! If all ten fail the object is dead for good: ten refusals take some milliseconds. READONLY is an exception, and the connection stays
//! (`redis_error_throw`). It asks no Sentinels by itself.
//!
//! `phpredis-anew` is a program that makes a new object after every exception.

use super::{Library, Runtime};
use crate::client::habits::{Habits, Listening, OnReadonly, Pool};
use crate::client::{Kind, Via};
use crate::kernel::Span;

pub(super) const ROW: Library = Library {
    word: "phpredis",
    version: "5.3.7",
    runtime: Runtime::Interpreted,
    asks_sentinels: false,
    habits,
    ..super::ROW
};

pub(super) const ANEW: Library = Library { word: "phpredis-anew", habits: anew, ..ROW };

fn habits(_: Via, _: Kind) -> Habits {
    let limit = Some(Span::from_secs(60));
    Habits {
        connect_timeout: limit,
        dials: 10,
        dies: true,
        command_timeout: limit,
        pool: Pool { check: true, ..Pool::ONE },
        // `subscribe` calls back with messages alone.
        listening: Listening { tells_of_it: false, ..Habits::BARE.listening },
        ..Habits::BARE
    }
}

fn anew(via: Via, kind: Kind) -> Habits {
    Habits { dies: false, on_readonly: OnReadonly::Close, ..habits(via, kind) }
}
