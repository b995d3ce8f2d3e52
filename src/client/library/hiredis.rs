//! hiredis 1.2, by its source: a blocking context as its examples have it.
//!
//! `redisConnect` sets no limit for a connection nor for a reply, and sends nothing first; after an error the context is
//! of no more use, and the program makes another (`hiredis.c`, `net.c`). It knows no Sentinels.

use super::{Evidence, Library};
use crate::client::habits::Habits;

pub(super) const ROW: Library = Library {
    word: "hiredis",
    version: "1.2",
    evidence: Evidence::Source,
    asks_sentinels: false,
    habits: |_, _| Habits::BARE,
    ..super::ROW
};
