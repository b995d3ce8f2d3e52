//! The settings of one client program.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::habits::{AskingSettings, BackoffSettings, Greeting, Habits, KeepAliveSettings, PoolSettings, Settings};
use super::library::{Engine, LibraryId};
use crate::kernel::Span;
use crate::record::{Activity, ClientMark};
use crate::units::{self, Limit};
use crate::wire::{Command, Expiry, Reply};

/// The settings of one client program: what it asks, how often, and whose habits it has.
///
/// A client works at a *pace* (an attempt at every multiple of `every`, whatever became of the one before) or, if
/// `pause` is set, in a *closed loop* (the next attempt a pause after the reply to the last).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("required" = ["name", "kind"]))]
pub struct Config {
    /// The client's name: no other client and no node may have it.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// The host it runs on; nodes that share a host share its fate. Absent: a host of its own, named like the client.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The channel of a publisher or subscriber.
    pub channel: String,
    /// Time between two attempts; one that would begin while another runs is skipped. Reference clients: "50ms".
    pub every: Span,
    /// The client library whose habits it has: how it connects, waits and retries. Absent: "reference".
    pub library: LibraryId,
    /// The old name of `library`; "sentinel" stands for the reference's clients by way of the Sentinels.
    #[serde(skip_serializing)]
    pub profile: Option<Profile>,
    /// How it reaches Redis. Absent: "proxy", in a stack without HAProxy "sentinels", without Sentinels "address".
    pub via: Via,
    /// Limit for opening a connection; "none": as long as the kernel tries. Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Limit>,
    /// Limit for the reply to a command; "none": it waits for ever. Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_timeout: Option<Limit>,
    /// How often a command that failed is tried again, and a subscription opened again, before the program hears of it.
    /// Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The pauses before it tries again. Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<BackoffSettings>,
    /// Connections that it keeps. Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolSettings>,
    /// Silence after which it writes PING, whose answer a subscriber awaits for `command-timeout`; "none": it never does.
    /// Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_after: Option<Limit>,
    /// TCP_USER_TIMEOUT: data that are not acknowledged for so long end the connection; "none": the kernel goes on for
    /// some 15 minutes. Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_user_timeout: Option<Limit>,
    /// TCP keep-alive. Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<KeepAliveSettings>,
    /// How it asks Sentinels. Absent: the library's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinels: Option<AskingSettings>,
    /// How many attempts may run at once; one that would begin while so many run is skipped. Absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Size of a message in bytes: its number is filled up to so many. 0: the number alone.
    #[serde(with = "units::bytes", skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub payload: u64,
    /// Whether a PUBLISH that succeeds is followed by SET k:SEQ on the same client, as in the demo's publisher.
    pub then_set: bool,
    /// SETs have PX: the key lives so long, in whole milliseconds. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub px: Option<Span>,
    /// A writer follows each SET by WAIT: until so many replicas have it, or for so long. With fewer the outcome is `unreplicated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Closed loop: the pause between a reply and the next attempt, drawn evenly between two limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// The client stops after this many attempts, summed over its connections; absent: it never stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Connections that work side by side, each a closed loop of its own, or a subscriber of its own. More than one: they
    /// use one key, their attempts are counted instead of recorded, and one that fails is opened anew after `pause`, at
    /// least 100 ms.
    pub connections: u32,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

impl Default for Config {
    /// A client of the reference stack, not yet named.
    fn default() -> Self {
        Config {
            name: String::new(),
            kind: Kind::Publish,
            host: String::new(),
            channel: "ch".to_owned(),
            every: Span::from_millis(50),
            library: LibraryId::REFERENCE,
            profile: None,
            via: Via::Proxy,
            connect_timeout: None,
            command_timeout: None,
            retries: None,
            backoff: None,
            pool: None,
            ping_after: None,
            tcp_user_timeout: None,
            keepalive: None,
            sentinels: None,
            concurrency: None,
            payload: 0,
            then_set: false,
            px: None,
            wait: None,
            pause: None,
            requests: None,
            connections: 1,
        }
    }
}

impl Config {
    /// Name, kind and host of the three clients of the reference stack.
    pub(crate) const REFERENCE: [(&str, Kind, &str); 3] = [
        ("publisher", Kind::Publish, "clients"),
        ("subscriber", Kind::Subscribe, "clients"),
        ("writer", Kind::Set, "clients"),
    ];

    /// The three clients of the reference stack, on one host: publisher, subscriber and writer.
    pub fn reference() -> Vec<Config> {
        Config::REFERENCE
            .map(|(name, kind, host)| Config { name: name.into(), kind, host: host.into(), ..Config::default() })
            .to_vec()
    }

    /// The settings in which it differs from its library.
    pub fn settings(&self) -> Settings {
        Settings {
            connect_timeout: self.connect_timeout,
            command_timeout: self.command_timeout,
            retries: self.retries,
            backoff: self.backoff,
            pool: self.pool,
            ping_after: self.ping_after,
            tcp_user_timeout: self.tcp_user_timeout,
            keepalive: self.keepalive,
            sentinels: self.sentinels,
        }
    }

    /// What it does in every case: its library's habits with its own settings over them.
    pub fn habits(&self) -> Habits {
        self.settings().over(self.library.habits(self.via, self.kind), self.library.follows)
    }

    /// Whether a subscriber awaits the reply to anything for as long as to a command.
    pub(crate) fn heeds_command_timeout(&self) -> bool {
        let habits = self.habits();
        let (listening, follows) = (habits.listening, self.library.follows);
        let greets = habits.greeting == Greeting::Command;
        let asks_role = self.via == Via::Sentinels && habits.asking.verifies_role;
        let pings = self.ping_after.is_some_and(|after| after.0.is_some());
        greets || asks_role || listening.confirms || pings || follows.connect || follows.listening
    }

    /// Whether the library opens a lost subscription again however often that fails.
    pub(crate) fn opens_for_ever(&self) -> bool {
        self.library.habits(self.via, self.kind).listening.resumes == u32::MAX
    }

    /// Whether it SETs keys.
    pub(crate) fn writes(&self) -> bool {
        self.kind == Kind::Set || self.then_set
    }

    /// How long the keys live that it SETs.
    pub(super) fn expiry(&self) -> Expiry {
        self.px.map_or(Expiry::Never, |px| Expiry::Px(px.as_millis()))
    }

    /// How many of its attempts may run at once.
    pub fn concurrency(&self) -> u32 {
        self.concurrency.unwrap_or(self.library.concurrency)
    }

    /// What kind of program it is: with its settings changed, or by another way, a library with a program of its own is
    /// one of habits.
    pub(super) fn engine(&self) -> Engine {
        let plain = !self.has_own_settings();
        match self.library.engine {
            Engine::Reference if plain => Engine::Reference,
            Engine::GoV8 if plain && self.via != Via::Sentinels => Engine::GoV8,
            _ => Engine::Habits,
        }
    }

    /// Whether it differs from its library's defaults.
    pub(crate) fn has_own_settings(&self) -> bool {
        self.settings() != Settings::default() || self.concurrency.is_some()
    }

    /// Whether it runs as the reference's clients, byte for byte.
    pub(crate) fn runs_as_recorded(&self) -> bool {
        self.engine() == Engine::Reference
    }

    /// Reads the old key `profile`, whose words are libraries and a way.
    pub(crate) fn take_profile(&mut self) {
        match self.profile.take() {
            None => {}
            Some(Profile::Reference) => self.library = LibraryId::REFERENCE,
            Some(Profile::GoRedisV8) => self.library = LibraryId::GO_REDIS_V8,
            Some(Profile::Sentinel) => (self.library, self.via) = (LibraryId::REFERENCE, Via::Sentinels),
        }
    }

    /// How the header of a recording names it.
    pub fn mark(&self) -> ClientMark {
        let does = match self.kind {
            Kind::Publish if self.then_set => vec![Activity::Publish, Activity::Set],
            Kind::Publish => vec![Activity::Publish],
            Kind::Set => vec![Activity::Set],
            Kind::Get => vec![Activity::Get],
            Kind::Subscribe => vec![Activity::Receive],
        };
        let library = match (self.library.is_default(), self.via) {
            (true, Via::Proxy) => None,
            (_, Via::Proxy) => Some(self.library.to_string()),
            (_, Via::Sentinels) => Some(format!("{} via sentinels", self.library)),
            (_, Via::Address) => Some(format!("{} via address", self.library)),
        };
        ClientMark {
            name: self.name.clone(),
            does,
            connections: self.connections,
            requests: self.requests,
            library,
            px: self.px,
        }
    }
}

/// What a client does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// PUBLISH channel SEQ.
    #[default]
    Publish,
    /// SET k:SEQ SEQ.
    Set,
    /// SUBSCRIBE channel, then listen.
    Subscribe,
    /// GET k:SEQ.
    Get,
}

impl Kind {
    /// The word of a scenario.
    pub fn verb(self) -> &'static str {
        match self {
            Kind::Publish => "publish",
            Kind::Set => "set",
            Kind::Subscribe => "subscribe",
            Kind::Get => "get",
        }
    }
}

/// How a client reaches Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Through HAProxy.
    #[default]
    Proxy,
    /// At the address that the Sentinels name.
    Sentinels,
    /// At the address of redis-1, whoever is the master.
    Address,
}

impl Via {
    /// The word of a scenario.
    pub const fn word(self) -> &'static str {
        match self {
            Via::Proxy => "proxy",
            Via::Sentinels => "sentinels",
            Via::Address => "address",
        }
    }
}

/// The words of the old key `profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The clients of the reference recordings: one blocking connection through HAProxy, time limits of 1 s.
    Reference,
    /// go-redis 8.11.5 with its default options, as the demo's programs: a pool, four attempts a command.
    GoRedisV8,
    /// As `reference`, but it asks the Sentinels where the master is and connects to that node.
    Sentinel,
}

/// What a writer asks for after each SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wait {
    /// How many replicas must have acknowledged the SET.
    pub replicas: u32,
    /// How long the server waits for them, in whole milliseconds.
    pub timeout: Span,
}

impl Wait {
    /// Whether an answer to WAIT says that enough replicas have it.
    pub(super) fn is_met(self, reply: &Reply) -> bool {
        matches!(reply, Reply::Int(replicas) if *replicas >= i64::from(self.replicas))
    }

    /// The command.
    pub(super) fn command(self) -> Command {
        Command::Wait { replicas: self.replicas, timeout: Span::from_millis(self.timeout.as_millis()) }
    }
}

/// Limits of a random pause, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pause {
    /// The shortest pause.
    pub min: Span,
    /// The longest pause.
    pub max: Span,
}
