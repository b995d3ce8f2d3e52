//! CONFIG SET: changing one directive while the server runs (config.c).

use super::Config;
use crate::units;

/// Changes one directive. False if the name or the value is not understood.
pub fn set(config: &mut Config, name: &str, value: &str) -> bool {
    match name {
        "hz" => value.parse().map(|hz: u32| config.hz = hz.clamp(1, 500)).is_ok(),
        "maxclients" => parsed(&mut config.maxclients, value),
        "timeout" => parsed(&mut config.timeout, value),
        "replica-priority" | "slave-priority" => parsed(&mut config.replica_priority, value),
        "replica-announced" => yes_no(&mut config.replica_announced, value),
        "replica-serve-stale-data" | "slave-serve-stale-data" => yes_no(&mut config.replica_serve_stale_data, value),
        "replica-read-only" | "slave-read-only" => yes_no(&mut config.replica_read_only, value),
        "min-replicas-to-write" | "min-slaves-to-write" => parsed(&mut config.min_replicas_to_write, value),
        "min-replicas-max-lag" | "min-slaves-max-lag" => parsed(&mut config.min_replicas_max_lag, value),
        "repl-timeout" => parsed(&mut config.repl_timeout, value),
        "repl-ping-replica-period" | "repl-ping-slave-period" => parsed(&mut config.repl_ping_replica_period, value),
        "repl-backlog-size" => units::parse_bytes(value).map(|bytes| config.repl_backlog_size = bytes).is_ok(),
        "repl-backlog-ttl" => parsed(&mut config.repl_backlog_ttl, value),
        "repl-diskless-sync" => yes_no(&mut config.repl_diskless_sync, value),
        "repl-diskless-sync-delay" => parsed(&mut config.repl_diskless_sync_delay, value),
        "repl-diskless-sync-max-replicas" => parsed(&mut config.repl_diskless_sync_max_replicas, value),
        "rdb-del-sync-files" => yes_no(&mut config.rdb_del_sync_files, value),
        "shutdown-timeout" => parsed(&mut config.shutdown_timeout, value),
        "save" => parsed(&mut config.save, value.trim_matches('"')),
        "client-output-buffer-limit" => parsed(&mut config.client_output_buffer_limit, value.trim_matches('"')),
        _ => false,
    }
}

fn parsed<T: std::str::FromStr>(slot: &mut T, value: &str) -> bool {
    value.parse().map(|parsed| *slot = parsed).is_ok()
}

fn yes_no(slot: &mut bool, value: &str) -> bool {
    match value {
        "yes" => *slot = true,
        "no" => *slot = false,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_set_understands_what_redis_conf_says() {
        let mut config = Config::default();
        assert!(set(&mut config, "save", "") && config.save.0.is_empty());
        assert!(set(&mut config, "save", "10 1") && config.save.0[0].seconds == 10);
        assert!(set(&mut config, "repl-backlog-size", "64kb") && config.repl_backlog_size == 65_536);
        assert!(set(&mut config, "client-output-buffer-limit", "pubsub 1mb 512kb 5"));
        assert_eq!(config.client_output_buffer_limit.pubsub.hard_bytes, 1 << 20);
        assert!(!set(&mut config, "replica-read-only", "maybe") && !set(&mut config, "no-such-thing", "1"));
    }
}
