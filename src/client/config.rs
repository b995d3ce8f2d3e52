//! The settings of one client program.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::Span;
use crate::record::{Activity, ClientMark};
use crate::units;

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
    /// How it connects, waits and retries. Absent: "reference", or "sentinel" in a stack without HAProxy.
    pub profile: Profile,
    /// Size of a message in bytes: its number is filled up to so many. 0: the number alone.
    #[serde(with = "units::bytes", skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "units::bytes::schema")]
    pub payload: u64,
    /// Whether a PUBLISH that succeeds is followed by SET k:SEQ on the same client, as in the demo's publisher.
    pub then_set: bool,
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
            profile: Profile::Reference,
            payload: 0,
            then_set: false,
            pause: None,
            requests: None,
            connections: 1,
        }
    }
}

impl Config {
    /// The three clients of the reference stack, on one host: publisher, subscriber and writer.
    pub fn reference() -> Vec<Config> {
        [("publisher", Kind::Publish), ("subscriber", Kind::Subscribe), ("writer", Kind::Set)]
            .map(|(name, kind)| Config { name: name.to_owned(), kind, host: "clients".to_owned(), ..Config::default() })
            .to_vec()
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
        ClientMark { name: self.name.clone(), does, connections: self.connections, requests: self.requests }
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

/// Whose habits a client has when it connects, waits and retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The clients of the reference recordings: one blocking connection through HAProxy, time limits of 1 s.
    #[default]
    Reference,
    /// go-redis 8.11.5 with its default options, as the demo's programs: a pool, four attempts a command.
    GoRedisV8,
    /// As `reference`, but it asks the Sentinels where the master is and connects to that node.
    Sentinel,
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
