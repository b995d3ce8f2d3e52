//! Client libraries: one file and one row each.
//!
//! A row says what a library is called, which version of it is meant and from where that is known, what kind of program
//! it is ([`Engine`]), by which ways it reaches Redis, and its `Habits` by way and kind of client. Whoever wants to know
//! something about a client asks its row: no other place knows a library's name.
//!
//! A new library is a new file here and its line in [`LIBRARIES`].

mod fred;
mod go_redis_v8;
mod go_redis_v9;
mod hiredis;
mod ioredis;
mod jedis;
mod lettuce;
mod node_redis;
mod phpredis;
mod redis_py;
mod redis_rb;
mod redis_rs;
mod reference;
mod stackexchange_redis;

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::habits::{Follows, Habits, Multiplex};
use super::{Kind, Via};
use crate::suggest::closest;

/// How a row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The program is part of the recordings of the real stack.
    Recorded,
    /// The library was run on the real stack; its figures are in docs/clients.md.
    Measured,
    /// By its source, not run.
    Source,
}

/// What kind of program a library makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The reference clients (`reference.rs`), as long as no setting is changed.
    Reference,
    /// go-redis 8 through one address (`go_redis.rs`, `go_pubsub.rs`).
    GoV8,
    /// Connections that are opened when a command needs one (`caller.rs`), or one that is kept for all (`multiplexed.rs`);
    /// subscribers are `listener.rs`.
    Habits,
}

/// What a step of a program costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Python's measured costs; taken for Ruby, PHP and Node too.
    Interpreted,
    /// Go's measured costs; taken for Rust, C, Java and .NET too.
    Compiled,
}

/// A row: one client library in one version.
#[derive(Debug)]
pub struct Library {
    /// The word in a scenario.
    pub word: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// Which version this is.
    pub version: &'static str,
    /// How it is known.
    pub evidence: Evidence,
    /// What kind of program it is.
    pub(super) engine: Engine,
    /// What its steps cost.
    pub(super) runtime: Runtime,
    /// Whether it can ask Sentinels.
    pub asks_sentinels: bool,
    /// How many attempts of a program run at once if the file does not say.
    pub concurrency: u32,
    /// Which of its limits follow others.
    pub(super) follows: Follows,
    /// Whether its connections are told in a recording.
    pub reports_connections: bool,
    /// Its habits on a way, as a client of some kind.
    pub(super) habits: fn(Via, Kind) -> Habits,
}

/// What most rows have in common.
const ROW: Library = Library {
    word: "",
    aliases: &[],
    version: "",
    evidence: Evidence::Measured,
    engine: Engine::Habits,
    runtime: Runtime::Compiled,
    asks_sentinels: true,
    concurrency: 1,
    follows: Follows { connect: false, listening: false },
    reports_connections: true,
    habits: |_, _| Habits::BARE,
};

/// All rows.
pub const LIBRARIES: &[&Library] = &[
    &reference::ROW,
    &go_redis_v8::ROW,
    &go_redis_v9::ROW,
    &go_redis_v9::ROW_9_7,
    &redis_py::ROW,
    &redis_py::ROW_5,
    &redis_rs::ROW,
    &redis_rs::BLOCKING,
    &node_redis::ROW,
    &redis_rb::ROW,
    &phpredis::ROW,
    &phpredis::ANEW,
    &ioredis::ROW,
    &jedis::ROW,
    &lettuce::ROW,
    &stackexchange_redis::ROW,
    &hiredis::ROW,
    &fred::ROW,
];

impl Library {
    /// Its habits by default.
    pub fn habits(&self, via: Via, kind: Kind) -> Habits {
        (self.habits)(via, kind)
    }

    /// Whether it works on connections of a pool, so that it has one to set.
    pub fn has_pool(&self) -> bool {
        self.habits(Via::Proxy, Kind::Publish).multiplex.is_none()
    }
}

impl Habits {
    /// How often a command can be executed, at the most; none: there is no bound.
    pub fn executions_max(&self) -> Option<u32> {
        match self.multiplex {
            Some(Multiplex { resends: true, .. }) => None,
            _ => Some(self.retries.saturating_add(1)),
        }
    }

    /// Whether a subscriber with these habits ever gives up a connection on which nothing comes.
    pub fn notices_silence(&self) -> bool {
        let listening = self.listening;
        listening.read_timeout.is_some() || (listening.ping_after.is_some() && listening.ping_timeout.is_some())
    }
}

/// A library by its row.
#[derive(Clone, Copy)]
pub struct LibraryId(&'static Library);

impl LibraryId {
    /// The clients of the reference recordings.
    pub const REFERENCE: LibraryId = LibraryId(&reference::ROW);
    /// The demo's own library.
    pub const GO_REDIS_V8: LibraryId = LibraryId(&go_redis_v8::ROW);

    /// Whether it is what a client has that names none.
    pub fn is_default(self) -> bool {
        self == LibraryId::REFERENCE
    }

    /// The library with this name.
    pub fn find(word: &str) -> Option<LibraryId> {
        let is_it = |row: &&&Library| row.word == word || row.aliases.contains(&word);
        LIBRARIES.iter().find(is_it).map(|row| LibraryId(row))
    }

    /// The library with this name.
    ///
    /// # Errors
    /// If there is none, with what may have been meant.
    pub fn parse(word: &str) -> Result<LibraryId, String> {
        LibraryId::find(word).ok_or_else(|| {
            let words = || LIBRARIES.iter().map(|row| row.word);
            match closest(word, words()) {
                Some(near) => format!("there is no library `{word}`; did you mean `{near}`?"),
                None => {
                    let known: Vec<&str> = words().collect();
                    format!("there is no library `{word}`; there are: {}", known.join(", "))
                }
            }
        })
    }

    /// Every library.
    pub fn all() -> impl Iterator<Item = LibraryId> {
        LIBRARIES.iter().map(|row| LibraryId(row))
    }
}

impl std::ops::Deref for LibraryId {
    type Target = Library;
    fn deref(&self) -> &Library {
        self.0
    }
}

impl PartialEq for LibraryId {
    fn eq(&self, other: &LibraryId) -> bool {
        self.0.word == other.0.word
    }
}

impl Eq for LibraryId {}

impl fmt::Debug for LibraryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

impl fmt::Display for LibraryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

impl Serialize for LibraryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word)
    }
}

impl<'de> Deserialize<'de> for LibraryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(deserializer)?;
        LibraryId::parse(&word).map_err(de::Error::custom)
    }
}

impl JsonSchema for LibraryId {
    fn schema_name() -> Cow<'static, str> {
        "Library".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> =
            LIBRARIES.iter().flat_map(|row| std::iter::once(row.word).chain(row.aliases.iter().copied())).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_name_of_its_own_and_says_which_version_it_is() {
        let mut seen = BTreeSet::new();
        for row in LIBRARIES {
            assert!(!row.version.is_empty(), "{}", row.word);
            for word in std::iter::once(&row.word).chain(row.aliases) {
                assert!(seen.insert(*word), "{word} is taken");
            }
            for via in [Via::Proxy, Via::Sentinels, Via::Address] {
                for kind in [Kind::Publish, Kind::Subscribe] {
                    let habits = row.habits(via, kind);
                    assert!(habits.dials > 0 && habits.pool.size > 0, "{}", row.word);
                }
            }
        }
    }
}
