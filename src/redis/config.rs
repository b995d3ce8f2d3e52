//! The settings of a Redis server, named like the directives of redis.conf. Defaults are those of 7.0.15 (spec 33).

use serde::{Deserialize, Serialize};

/// One line of `client-output-buffer-limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OutputLimit {
    /// Closed at once at this many bytes; 0 is no limit.
    pub hard: u64,
    /// Closed after `seconds` without a break at this many bytes; 0 is no limit.
    pub soft: u64,
    /// See `soft`.
    pub seconds: u64,
}

/// The settings of one server. Times are whole seconds, as in redis.conf; sizes are bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// `hz`
    pub hz: u32,
    /// `maxclients`
    pub maxclients: u32,
    /// `save`: pairs of seconds and changes.
    pub save: Vec<(u64, u64)>,
    /// `replica-priority`
    pub replica_priority: u32,
    /// `replica-announced`
    pub replica_announced: bool,
    /// `replica-serve-stale-data`
    pub replica_serve_stale_data: bool,
    /// `replica-read-only`
    pub replica_read_only: bool,
    /// `min-replicas-to-write`
    pub min_replicas_to_write: u32,
    /// `min-replicas-max-lag`
    pub min_replicas_max_lag: u64,
    /// `repl-timeout`
    pub repl_timeout: u64,
    /// `repl-ping-replica-period`
    pub repl_ping_replica_period: u64,
    /// `repl-backlog-size`
    pub repl_backlog_size: u64,
    /// `repl-backlog-ttl`
    pub repl_backlog_ttl: u64,
    /// `repl-diskless-sync`
    pub repl_diskless_sync: bool,
    /// `repl-diskless-sync-delay`
    pub repl_diskless_sync_delay: u64,
    /// `repl-diskless-sync-max-replicas`
    pub repl_diskless_sync_max_replicas: u32,
    /// `shutdown-timeout`
    pub shutdown_timeout: u64,
    /// `client-output-buffer-limit normal`
    pub client_output_buffer_limit_normal: OutputLimit,
    /// `client-output-buffer-limit replica`
    pub client_output_buffer_limit_replica: OutputLimit,
    /// `client-output-buffer-limit pubsub`
    pub client_output_buffer_limit_pubsub: OutputLimit,
    /// Whether the server was started with a configuration file, so that CONFIG REWRITE works (spec 27.9).
    pub config_file: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hz: 10,
            maxclients: 10_000,
            save: vec![(3600, 1), (300, 100), (60, 10_000)],
            replica_priority: 100,
            replica_announced: true,
            replica_serve_stale_data: true,
            replica_read_only: true,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,
            repl_timeout: 60,
            repl_ping_replica_period: 10,
            repl_backlog_size: 1 << 20,
            repl_backlog_ttl: 3600,
            repl_diskless_sync: true,
            repl_diskless_sync_delay: 5,
            repl_diskless_sync_max_replicas: 0,
            shutdown_timeout: 10,
            client_output_buffer_limit_normal: OutputLimit { hard: 0, soft: 0, seconds: 0 },
            client_output_buffer_limit_replica: OutputLimit { hard: 256 << 20, soft: 64 << 20, seconds: 60 },
            client_output_buffer_limit_pubsub: OutputLimit { hard: 32 << 20, soft: 8 << 20, seconds: 60 },
            config_file: false,
        }
    }
}

impl Config {
    /// CONFIG SET: changes one directive. False if the name or the value is not understood.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        fn number<T: std::str::FromStr>(slot: &mut T, value: &str) -> bool {
            value.parse().map(|n| *slot = n).is_ok()
        }
        fn yes_no(slot: &mut bool, value: &str) -> bool {
            match value {
                "yes" => *slot = true,
                "no" => *slot = false,
                _ => return false,
            }
            true
        }
        match name {
            "hz" => value.parse().map(|hz: u32| self.hz = hz.clamp(1, 500)).is_ok(),
            "maxclients" => number(&mut self.maxclients, value),
            "replica-priority" | "slave-priority" => number(&mut self.replica_priority, value),
            "replica-announced" => yes_no(&mut self.replica_announced, value),
            "replica-serve-stale-data" => yes_no(&mut self.replica_serve_stale_data, value),
            "replica-read-only" => yes_no(&mut self.replica_read_only, value),
            "min-replicas-to-write" | "min-slaves-to-write" => number(&mut self.min_replicas_to_write, value),
            "min-replicas-max-lag" | "min-slaves-max-lag" => number(&mut self.min_replicas_max_lag, value),
            "repl-timeout" => number(&mut self.repl_timeout, value),
            "repl-ping-replica-period" => number(&mut self.repl_ping_replica_period, value),
            "repl-backlog-size" => parse_bytes(value).map(|n| self.repl_backlog_size = n).is_some(),
            "repl-backlog-ttl" => number(&mut self.repl_backlog_ttl, value),
            "repl-diskless-sync" => yes_no(&mut self.repl_diskless_sync, value),
            "repl-diskless-sync-delay" => number(&mut self.repl_diskless_sync_delay, value),
            "repl-diskless-sync-max-replicas" => number(&mut self.repl_diskless_sync_max_replicas, value),
            "shutdown-timeout" => number(&mut self.shutdown_timeout, value),
            "save" => parse_save(value).map(|rules| self.save = rules).is_some(),
            "client-output-buffer-limit" => self.set_output_limits(value),
            _ => false,
        }
    }

    fn set_output_limits(&mut self, value: &str) -> bool {
        let words: Vec<&str> = value.split_whitespace().collect();
        if words.is_empty() || !words.len().is_multiple_of(4) {
            return false;
        }
        for line in words.chunks(4) {
            let (Some(hard), Some(soft), Ok(seconds)) = (parse_bytes(line[1]), parse_bytes(line[2]), line[3].parse())
            else {
                return false;
            };
            let limit = OutputLimit { hard, soft, seconds };
            match line[0] {
                "normal" => self.client_output_buffer_limit_normal = limit,
                "replica" | "slave" => self.client_output_buffer_limit_replica = limit,
                "pubsub" => self.client_output_buffer_limit_pubsub = limit,
                _ => return false,
            }
        }
        true
    }
}

/// `1mb`, `64k`, `100`: units as in redis.conf.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// `3600 1 300 100`, or nothing.
fn parse_save(text: &str) -> Option<Vec<(u64, u64)>> {
    let numbers: Vec<u64> =
        text.trim_matches('"').split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
    numbers.len().is_multiple_of(2).then(|| numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_set_understands_what_redis_conf_says() {
        let mut config = Config::default();
        assert!(config.set("save", "") && config.save.is_empty());
        assert!(config.set("save", "10 1") && config.save == [(10, 1)]);
        assert!(config.set("repl-backlog-size", "64kb") && config.repl_backlog_size == 65_536);
        assert!(config.set("client-output-buffer-limit", "pubsub 1mb 512kb 5"));
        assert_eq!(config.client_output_buffer_limit_pubsub, OutputLimit { hard: 1 << 20, soft: 512 << 10, seconds: 5 });
        assert!(!config.set("replica-read-only", "maybe") && !config.set("no-such-thing", "1"));
    }
}
