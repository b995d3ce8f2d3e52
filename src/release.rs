//! The releases of the programs: their words in a scenario, and who descends from whom.
//!
//! What a release *does* otherwise stands in a row of `redis/release.rs`, `sentinel/release.rs` or `haproxy/release.rs`, as
//! defaults and named differences: a program asks its row for a difference, never for a version. Here is only what all of
//! them share: the names, the order in which they came, and the words of their logs.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A release of Redis or Valkey, of whose package a Sentinel is too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerRelease {
    /// Redis 6.0 (read and measured: 6.0.16).
    Redis6_0,
    /// Redis 6.2 (6.2.14).
    Redis6_2,
    /// Redis 7.0 (7.0.15): what everything else is compared with.
    #[default]
    Redis7_0,
    /// Redis 7.2 (7.2.6).
    Redis7_2,
    /// Redis 7.4 (7.4.1).
    Redis7_4,
    /// Redis 8.0 (8.0.2).
    Redis8_0,
    /// Redis 8.2 (8.2.3).
    Redis8_2,
    /// Valkey 8.1 (8.1.8), which descends from Redis 7.2.
    Valkey8_1,
}

/// A release of HAProxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProxyRelease {
    /// HAProxy 2.2 (read and measured: 2.2.9).
    Haproxy2_2,
    /// HAProxy 2.6 (2.6.12): what everything else is compared with.
    #[default]
    Haproxy2_6,
    /// HAProxy 2.8 (2.8.25).
    Haproxy2_8,
    /// HAProxy 3.0 (3.0.11).
    Haproxy3_0,
}

/// A release of any program: their words do not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyRelease {
    /// Of Redis, Valkey and their Sentinels.
    Server(ServerRelease),
    /// Of HAProxy.
    Proxy(ProxyRelease),
}

impl AnyRelease {
    const ALL: [AnyRelease; ServerRelease::ALL.len() + ProxyRelease::ALL.len()] = {
        let servers = ServerRelease::ALL;
        let mut all = [AnyRelease::Server(servers[0]); ServerRelease::ALL.len() + ProxyRelease::ALL.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = match place.checked_sub(servers.len()) {
                None => AnyRelease::Server(servers[place]),
                Some(proxy) => AnyRelease::Proxy(ProxyRelease::ALL[proxy]),
            };
            place += 1;
        }
        all
    };

    /// The word in a scenario.
    pub fn as_str(self) -> &'static str {
        match self {
            AnyRelease::Server(release) => release.as_str(),
            AnyRelease::Proxy(release) => release.as_str(),
        }
    }

    /// The program and its release.
    pub fn title(self) -> String {
        match self {
            AnyRelease::Server(release) => release.title(),
            AnyRelease::Proxy(release) => release.title(),
        }
    }

    fn from_word(word: &str) -> Option<AnyRelease> {
        AnyRelease::ALL.into_iter().find(|release| release.as_str() == word)
    }
}

/// How a server says things in its log. Every release speaks one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Redis up to 7.0.
    #[default]
    Redis,
    /// Redis 7.2 and 7.4.
    Redis7_2,
    /// Redis 8.
    Redis8,
    /// Valkey.
    Valkey,
}

impl Dialect {
    /// All of them, the usual one first.
    pub const ALL: [Dialect; 4] = [Dialect::Redis, Dialect::Redis7_2, Dialect::Redis8, Dialect::Valkey];
}

/// What both enumerations of releases can do.
pub trait Release: Copy + Default + Eq + fmt::Debug + 'static {
    /// All of them, from the oldest on.
    const ALL: &'static [Self];

    /// The word in a scenario, such as `7.0` or `valkey-8.1`.
    fn as_str(self) -> &'static str;

    /// The program and its release, as one says it: `Redis 7.0`.
    fn title(self) -> String;

    /// The version that was read and measured: `7.0.15`.
    fn version(self) -> &'static str;

    /// The release with this word.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|release| release.as_str() == word)
    }

    /// The release of a version as a program tells it, such as `8.2.3`; a fork stands before it, as in its word:
    /// `valkey-8.1.8`.
    fn of_version(version: &str) -> Option<Self> {
        let of = |release: &&Self| {
            version.strip_prefix(release.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        Self::ALL.iter().find(of).copied()
    }

    /// The release, if it is one of this kind.
    fn of_any(any: AnyRelease) -> Option<Self>;

    /// Whether it has what came with `since`: that release has it, and its descendants.
    fn has(self, since: Self) -> bool;
}

impl ServerRelease {
    /// The words of its log.
    pub const fn dialect(self) -> Dialect {
        match self {
            ServerRelease::Redis6_0 | ServerRelease::Redis6_2 | ServerRelease::Redis7_0 => Dialect::Redis,
            ServerRelease::Redis7_2 | ServerRelease::Redis7_4 => Dialect::Redis7_2,
            ServerRelease::Redis8_0 | ServerRelease::Redis8_2 => Dialect::Redis8,
            ServerRelease::Valkey8_1 => Dialect::Valkey,
        }
    }
}

impl ServerRelease {
    /// What INFO says in `redis_version`: Valkey names the Redis from which it descends (`server_name` and `valkey_version`
    /// say the rest).
    pub fn info_version(self) -> &'static str {
        if self == ServerRelease::Valkey8_1 { "7.2.4" } else { self.version() }
    }

    /// The name of the program, and its version.
    pub fn program(self) -> (&'static str, &'static str) {
        (if self == ServerRelease::Valkey8_1 { "Valkey" } else { "Redis" }, self.version())
    }
}

impl Release for ServerRelease {
    const ALL: &'static [ServerRelease] = &[
        ServerRelease::Redis6_0,
        ServerRelease::Redis6_2,
        ServerRelease::Redis7_0,
        ServerRelease::Redis7_2,
        ServerRelease::Redis7_4,
        ServerRelease::Redis8_0,
        ServerRelease::Redis8_2,
        ServerRelease::Valkey8_1,
    ];

    fn as_str(self) -> &'static str {
        match self {
            ServerRelease::Redis6_0 => "6.0",
            ServerRelease::Redis6_2 => "6.2",
            ServerRelease::Redis7_0 => "7.0",
            ServerRelease::Redis7_2 => "7.2",
            ServerRelease::Redis7_4 => "7.4",
            ServerRelease::Redis8_0 => "8.0",
            ServerRelease::Redis8_2 => "8.2",
            ServerRelease::Valkey8_1 => "valkey-8.1",
        }
    }

    fn title(self) -> String {
        let word = self.as_str();
        format!("{} {}", self.program().0, word.strip_prefix("valkey-").unwrap_or(word))
    }

    fn version(self) -> &'static str {
        match self {
            ServerRelease::Redis6_0 => "6.0.16",
            ServerRelease::Redis6_2 => "6.2.14",
            ServerRelease::Redis7_0 => "7.0.15",
            ServerRelease::Redis7_2 => "7.2.6",
            ServerRelease::Redis7_4 => "7.4.1",
            ServerRelease::Redis8_0 => "8.0.2",
            ServerRelease::Redis8_2 => "8.2.3",
            ServerRelease::Valkey8_1 => "8.1.8",
        }
    }

    fn of_any(any: AnyRelease) -> Option<ServerRelease> {
        if let AnyRelease::Server(release) = any { Some(release) } else { None }
    }

    /// Valkey descends from Redis 7.2 (valkey 7.2.5 is redis 7.2.4 under another name).
    fn has(self, since: ServerRelease) -> bool {
        match self {
            ServerRelease::Valkey8_1 => since <= ServerRelease::Redis7_2 || since == self,
            redis => since <= redis,
        }
    }
}

impl Release for ProxyRelease {
    const ALL: &'static [ProxyRelease] =
        &[ProxyRelease::Haproxy2_2, ProxyRelease::Haproxy2_6, ProxyRelease::Haproxy2_8, ProxyRelease::Haproxy3_0];

    fn as_str(self) -> &'static str {
        match self {
            ProxyRelease::Haproxy2_2 => "2.2",
            ProxyRelease::Haproxy2_6 => "2.6",
            ProxyRelease::Haproxy2_8 => "2.8",
            ProxyRelease::Haproxy3_0 => "3.0",
        }
    }

    fn title(self) -> String {
        format!("HAProxy {}", self.as_str())
    }

    fn version(self) -> &'static str {
        match self {
            ProxyRelease::Haproxy2_2 => "2.2.9",
            ProxyRelease::Haproxy2_6 => "2.6.12",
            ProxyRelease::Haproxy2_8 => "2.8.25",
            ProxyRelease::Haproxy3_0 => "3.0.11",
        }
    }

    fn of_any(any: AnyRelease) -> Option<ProxyRelease> {
        if let AnyRelease::Proxy(release) = any { Some(release) } else { None }
    }

    fn has(self, since: ProxyRelease) -> bool {
        since <= self
    }
}

/// A directive that not every release has.
#[derive(Clone, Copy, Debug)]
pub struct Directive<R: 'static> {
    /// Its name in a scenario.
    pub name: &'static str,
    /// The release that brought it.
    pub since: R,
    /// The releases that gave it up.
    pub gone: &'static [R],
}

/// The settings of a program that comes in several releases.
pub trait Released: Serialize + DeserializeOwned + JsonSchema + Default {
    /// Its releases.
    type Release: Release;

    /// The release.
    fn release(&self) -> Self::Release;

    /// The settings of this release, as if nothing else had been said.
    fn of(release: Self::Release) -> Self;

    /// The directives that not all releases have.
    const DIRECTIVES: &'static [Directive<Self::Release>];

    /// The same settings under another release: what was set stays, the rest has that release's defaults.
    fn under(&self, release: Self::Release) -> Self {
        let table = |config: &Self| toml::Table::try_from(config).expect("settings are a table");
        let (own, usual, mut settled) = (table(self), table(&Self::of(self.release())), table(&Self::of(release)));
        let set = own.into_iter().filter(|(key, value)| usual.get(key) != Some(value));
        settled.extend(set.filter(|(key, _)| Self::lacking(release, key).is_none()));
        settled.try_into().expect("settings read as they are written")
    }

    /// The row of a directive that this release does not have.
    fn lacking(release: Self::Release, name: &str) -> Option<&'static Directive<Self::Release>> {
        let row = Self::DIRECTIVES.iter().find(|row| row.name == name)?;
        let has = release.has(row.since) && !row.gone.contains(&release);
        (!has).then_some(row)
    }
}

impl<R: Release> Directive<R> {
    /// Why `release` has not got it, and what to do: two sentences without full stops.
    pub fn why_not(&self, release: R) -> (String, String) {
        let (name, title) = (self.name, release.title());
        if self.gone.contains(&release) {
            let why = format!("{title} has given `{name}` up");
            return (why, format!("leave `{name}` out, or set another `release`"));
        }
        let came = format!("`{name}` came with {}, and this is {title}", self.since.title());
        (came, format!("leave `{name}` out, or set `release = \"{}\"`", self.since.as_str()))
    }
}

/// A release is read from its word or, as `7.0` is also a number, from that; it is written as its word.
macro_rules! serde_word {
    ($type:ty, $name:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct WordVisitor;
                impl Visitor<'_> for WordVisitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        let words: Vec<String> =
                            <$type>::ALL.iter().map(|release| format!("\"{}\"", release.as_str())).collect();
                        write!(f, "one of {}", words.join(", "))
                    }
                    fn visit_str<E: de::Error>(self, word: &str) -> Result<$type, E> {
                        <$type>::from_word(word).ok_or_else(|| E::invalid_value(de::Unexpected::Str(word), &self))
                    }
                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$type, E> {
                        self.visit_str(&format!("{number:.1}"))
                    }
                }
                deserializer.deserialize_any(WordVisitor)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words: Vec<&str> = <$type>::ALL.iter().map(|release| release.as_str()).collect();
                json_schema!({ "anyOf": [{ "enum": words }, { "type": "number" }] })
            }
        }
    };
}
serde_word!(ServerRelease, "ServerRelease");
serde_word!(ProxyRelease, "ProxyRelease");
serde_word!(AnyRelease, "AnyRelease");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for &release in ServerRelease::ALL {
            assert_eq!(ServerRelease::from_word(release.as_str()), Some(release));
        }
        for &release in ProxyRelease::ALL {
            assert_eq!(ProxyRelease::from_word(release.as_str()), Some(release));
        }
        assert_eq!(ServerRelease::from_word("7.0.15"), None);
        assert_eq!(ServerRelease::of_version("7.0.15"), Some(ServerRelease::Redis7_0));
        assert_eq!(ServerRelease::of_version("valkey-8.1.8"), Some(ServerRelease::Valkey8_1));
        assert_eq!(ServerRelease::of_version("7.00"), None);
        #[derive(serde::Deserialize)]
        struct File {
            a: ServerRelease,
            b: ServerRelease,
        }
        let file: File = toml::from_str("a = 6.2\nb = 'valkey-8.1'").expect("both are words");
        assert_eq!((file.a, file.b), (ServerRelease::Redis6_2, ServerRelease::Valkey8_1));
        assert!(toml::from_str::<File>("a = 6.3\nb = '7.0'").is_err());
    }

    #[test]
    fn valkey_has_what_redis_had_when_it_left() {
        let valkey = ServerRelease::Valkey8_1;
        assert!(valkey.has(ServerRelease::Redis7_0) && valkey.has(ServerRelease::Redis7_2));
        assert!(!valkey.has(ServerRelease::Redis7_4) && !valkey.has(ServerRelease::Redis8_0));
        assert!(!ServerRelease::Redis8_2.has(valkey));
    }
}
