//! The settings of HAProxy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::Span;
use crate::release::ProxyRelease;
use crate::units;

/// The settings of HAProxy, named as the keywords of haproxy.cfg 2.6.
///
/// What the demo sets has the demo's value; the rest has HAProxy's own default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The release of HAProxy.
    pub release: ProxyRelease,
    /// Time between two checks of a server, and time limit of one check. Demo: "1s"; HAProxy: "2s".
    pub inter: Span,
    /// Time between checks of a server that is about to change its state; unset: `inter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fastinter: Option<Span>,
    /// Time between checks of a server that is down; unset: `inter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downinter: Option<Span>,
    /// Good checks in a row that bring a server up (`DEF_RISETIME`).
    pub rise: u32,
    /// Bad checks in a row that take a server down (`DEF_FALLTIME`).
    pub fall: u32,
    /// Whether redis-2 and all further servers are `backup`, as in the demo, or all servers are active.
    pub backup: bool,
    /// What happens to the sessions of a server that goes down.
    pub on_marked_down: OnMarkedDown,
    /// What happens to the sessions of backup servers when an active one comes up.
    pub on_marked_up: OnMarkedUp,
    /// Time limit of one attempt to connect to a server. "none": no limit. Demo: "5s".
    #[serde(rename = "timeout connect", with = "units::or_none")]
    #[schemars(schema_with = "units::or_none::schema")]
    pub timeout_connect: Span,
    /// How long a client may be silent; "none": for ever. Demo: "50s".
    #[serde(rename = "timeout client", with = "units::or_none")]
    #[schemars(schema_with = "units::or_none::schema")]
    pub timeout_client: Span,
    /// How long a server may be silent; "none": for ever. Demo: "50s".
    #[serde(rename = "timeout server", with = "units::or_none")]
    #[schemars(schema_with = "units::or_none::schema")]
    pub timeout_server: Span,
    /// Replaces both silence limits once data flows both ways; unset: they stay.
    #[serde(rename = "timeout tunnel", skip_serializing_if = "Option::is_none")]
    pub timeout_tunnel: Option<Span>,
    /// Time limit of a check after its connection is up; unset: `inter` limits the whole check.
    #[serde(rename = "timeout check", skip_serializing_if = "Option::is_none")]
    pub timeout_check: Option<Span>,
    /// How long a session may wait for a free server; unset: as `timeout connect`.
    #[serde(rename = "timeout queue", skip_serializing_if = "Option::is_none")]
    pub timeout_queue: Option<Span>,
    /// Further attempts to connect after a failed one (`CONN_RETRIES`).
    pub retries: u32,
    /// `option redispatch`: whether the last attempt may go to another server.
    pub redispatch: bool,
    /// Connections served at once; further ones wait in the kernel. Demo: 4096.
    pub maxconn: u32,
    /// How a new session chooses among servers that are up.
    pub balance: Balance,
    /// Simulator key: what a check asks.
    #[serde(skip_serializing_if = "CheckKind::is_role")]
    pub check: CheckKind,
    /// Global settings that begin with `tune.`.
    pub tune: Tune,
}

impl Default for Config {
    /// The demo's haproxy.cfg over the defaults of HAProxy 2.6.
    fn default() -> Self {
        Config {
            release: ProxyRelease::default(),
            inter: Span::from_secs(1),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            backup: true,
            on_marked_down: OnMarkedDown::None,
            on_marked_up: OnMarkedUp::None,
            timeout_connect: Span::from_secs(5),
            timeout_client: Span::from_secs(50),
            timeout_server: Span::from_secs(50),
            timeout_tunnel: None,
            timeout_check: None,
            timeout_queue: None,
            retries: 3,
            redispatch: false,
            maxconn: 4096,
            balance: Balance::Roundrobin,
            check: CheckKind::Role,
            tune: Tune::default(),
        }
    }
}

/// The `tune.` keywords that are modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tune {
    /// `tune.bufsize`: bytes of a session that HAProxy holds in one direction; while they are there it reads no more.
    pub bufsize: u32,
}

impl Default for Tune {
    /// HAProxy's own default.
    fn default() -> Self {
        Tune { bufsize: 16_384 }
    }
}

/// `on-marked-down` of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMarkedDown {
    /// They go on: HAProxy's default.
    #[default]
    None,
    /// They are closed.
    ShutdownSessions,
}

/// `on-marked-up` of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMarkedUp {
    /// They go on: HAProxy's default.
    #[default]
    None,
    /// They are closed.
    ShutdownBackupSessions,
}

/// `balance`: the algorithms that are modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Each active server in turn: HAProxy's default.
    #[default]
    Roundrobin,
    /// The first active server in the order of the file that is up (`fas_get_next_server`); servers have no `maxconn` here.
    First,
}

/// What a check asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// `PING`, then `info replication`: only a master passes. The demo.
    #[default]
    Role,
    /// `PING`: every server that answers passes.
    Ping,
    /// Whether somebody listens, as `check` without `option tcp-check`.
    Connect,
}

impl CheckKind {
    /// Whether it is the demo's: what is usual need not be written.
    fn is_role(&self) -> bool {
        *self == CheckKind::Role
    }
}
