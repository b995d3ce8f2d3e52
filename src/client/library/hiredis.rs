//! hiredis 0.14.1, as Debian 12 has it: a blocking context as its examples have it.
//!
//! `redisConnect` sets no limit for a connection nor for a reply, and sends nothing first; after an error the context is
//! of no more use, and the program makes another (`hiredis.c`; `net.c`, `_redisContextConnectTcp`). All of that is the same
//! in 1.2 and 1.3. It knows no Sentinels.

use super::Library;
use crate::client::habits::Habits;

pub(super) const ROW: Library =
    Library { word: "hiredis", version: "0.14.1", asks_sentinels: false, habits: |_, _| Habits::BARE, ..super::ROW };
