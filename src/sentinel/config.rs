//! The settings of one Sentinel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::MILLIS_MAX;
use crate::release::ServerRelease;

/// The settings of one Sentinel: the directives of sentinel.conf by their own names, and the numbers that `SENTINEL
/// DEBUG` of 7.0 can change by theirs (`sentinelDebugConfig…` of `sentinel.c`). All times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The release of the Sentinel. Directives and DEBUG numbers that a release does not have are refused.
    pub release: ServerRelease,
    /// The name under which the master is monitored. Demo: "mymaster".
    pub master_name: String,
    /// How many Sentinels must agree that the master is down. Demo: 2; Redis has no default.
    pub quorum: u32,
    /// A node that gives no valid answer for this long, in ms, is subjectively down. Demo: 5000; Redis: 30000.
    #[schemars(range(max = MILLIS_MAX))]
    pub down_after_milliseconds: u64,
    /// Limit of a failover's phases, in ms; twice this passes between two attempts. Demo: 10000; Redis: 180000.
    #[schemars(range(max = MILLIS_MAX))]
    pub failover_timeout: u64,
    /// How many replicas are pointed to the new master at the same time. Demo and Redis: 1.
    pub parallel_syncs: u32,
    /// For how long, in ms, a restarted master may answer `-LOADING` before it counts as down; 0: no limit.
    #[schemars(range(max = MILLIS_MAX))]
    pub master_reboot_down_after_period: u64,
    /// DEBUG: ms between INFO commands to masters and healthy replicas (`sentinel_info_period`).
    #[schemars(range(max = MILLIS_MAX))]
    pub info_period: u64,
    /// DEBUG: upper bound of the ms between PINGs, and gap between reconnect attempts (`sentinel_ping_period`).
    #[schemars(range(max = MILLIS_MAX))]
    pub ping_period: u64,
    /// DEBUG: ms between questions about a master that seems down (`sentinel_ask_period`).
    #[schemars(range(max = MILLIS_MAX))]
    pub ask_period: u64,
    /// DEBUG: ms between hello messages (`sentinel_publish_period`).
    #[schemars(range(max = MILLIS_MAX))]
    pub publish_period: u64,
    /// DEBUG: a tick later than this many ms starts TILT (`sentinel_tilt_trigger`).
    #[schemars(range(max = MILLIS_MAX))]
    pub tilt_trigger: u64,
    /// DEBUG: how long TILT lasts, in ms (`sentinel_tilt_period`).
    #[schemars(range(max = MILLIS_MAX))]
    pub tilt_period: u64,
    /// DEBUG: ms after which a replica that was told of the new master counts as stuck (`sentinel_slave_reconf_timeout`).
    #[schemars(range(max = MILLIS_MAX))]
    pub slave_reconf_timeout: u64,
    /// DEBUG: ms that a connection must have lived before Sentinel closes it as hung
    /// (`sentinel_min_link_reconnect_period`).
    #[schemars(range(max = MILLIS_MAX))]
    pub min_link_reconnect_period: u64,
    /// DEBUG: an election not won within this many ms, or `failover-timeout` if that is less, is given up
    /// (`sentinel_election_timeout`).
    #[schemars(range(max = MILLIS_MAX))]
    pub election_timeout: u64,
    /// DEBUG: `down-after-milliseconds` of masters that are added later (`sentinel_default_down_after`).
    #[schemars(range(max = MILLIS_MAX))]
    pub default_down_after: u64,
    /// DEBUG: `failover-timeout` of masters that are added later (`sentinel_default_failover_timeout`).
    #[schemars(range(max = MILLIS_MAX))]
    pub default_failover_timeout: u64,
}

impl Default for Config {
    /// The demo's five settings; everything else as in Redis 7.0.15.
    fn default() -> Self {
        Config {
            release: ServerRelease::default(),
            master_name: "mymaster".to_owned(),
            quorum: 2,
            down_after_milliseconds: 5_000,
            failover_timeout: 10_000,
            parallel_syncs: 1,
            master_reboot_down_after_period: 0,
            info_period: 10_000,
            ping_period: 1_000,
            ask_period: 1_000,
            publish_period: 2_000,
            tilt_trigger: 2_000,
            tilt_period: 30_000,
            slave_reconf_timeout: 10_000,
            min_link_reconnect_period: 15_000,
            election_timeout: 10_000,
            default_down_after: 30_000,
            default_failover_timeout: 180_000,
        }
    }
}
