//! CONFIG SET: changing directives while the server runs, and which values they may have (`config.c`).

use std::fmt;

use super::Config;
use super::config::{AppendFsync, DisklessLoad};
use crate::limits::MILLIS_MAX;
use crate::release::Released;
use crate::units;

/// Why a directive is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The real server refuses it with these words.
    Server(String),
    /// The real server would change it, the model knows the directive and not its change.
    NotWhileRunning(&'static str),
    /// Nothing here has this name.
    Unknown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Server(words) => f.write_str(words),
            Refusal::NotWhileRunning(why) => f.write_str(why),
            Refusal::Unknown => f.write_str("no directive has this name"),
        }
    }
}

const INT_MAX: u64 = i32::MAX as u64;

/// The least and the greatest value of each number (`createIntConfig`, `createUIntConfig`, `createLongLongConfig`,
/// `createTimeTConfig` of `config.c` 7.0.15).
pub const RANGES: [(&str, u64, u64); 24] = [
    ("auto-aof-rewrite-percentage", 0, INT_MAX),
    ("auto-aof-rewrite-min-size", 0, i64::MAX as u64),
    ("busy-reply-threshold", 0, i64::MAX as u64),
    ("hz", 0, INT_MAX),
    ("maxclients", 1, u32::MAX as u64),
    ("min-replicas-max-lag", 0, INT_MAX),
    ("min-replicas-to-write", 0, INT_MAX),
    ("repl-backlog-size", 1, i64::MAX as u64),
    ("repl-backlog-ttl", 0, i64::MAX as u64),
    ("repl-diskless-sync-delay", 0, INT_MAX),
    ("repl-diskless-sync-max-replicas", 0, INT_MAX),
    ("repl-ping-replica-period", 1, INT_MAX),
    ("repl-timeout", 1, INT_MAX),
    ("replica-priority", 0, INT_MAX),
    ("shutdown-timeout", 0, INT_MAX),
    ("tcp-backlog", 0, INT_MAX),
    ("tcp-keepalive", 0, INT_MAX),
    ("timeout", 0, INT_MAX),
    // Seconds and changes of a save point are read by `strtoll` and kept as time_t and int.
    ("save", 0, INT_MAX),
    ("dataset-bytes", 0, i64::MAX as u64),
    ("dataset-value-bytes", 0, i64::MAX as u64),
    ("dataset-save-rate", 0, i64::MAX as u64),
    ("dataset-load-rate", 0, i64::MAX as u64),
    ("dataset-send-rate", 0, i64::MAX as u64),
];

/// What is wrong with a number, in the server's words; none if it is within its range.
pub fn out_of_range(name: &str, value: u64) -> Option<String> {
    let (_, least, greatest) = RANGES.iter().find(|(known, ..)| *known == name)?;
    let good = (*least..=*greatest).contains(&value);
    (!good).then(|| format!("argument must be between {least} and {greatest} inclusive"))
}

/// The directive that an old name stands for (the aliases of `config.c`).
pub fn canonical(name: &str) -> &str {
    match name {
        "slave-priority" => "replica-priority",
        "slave-serve-stale-data" => "replica-serve-stale-data",
        "slave-read-only" => "replica-read-only",
        "slave-lazy-flush" => "replica-lazy-flush",
        "min-slaves-to-write" => "min-replicas-to-write",
        "min-slaves-max-lag" => "min-replicas-max-lag",
        "lua-time-limit" => "busy-reply-threshold",
        "repl-ping-slave-period" => "repl-ping-replica-period",
        name => name,
    }
}

/// Changes one directive.
pub fn set(config: &mut Config, name: &str, value: &str) -> Result<(), Refusal> {
    let name = canonical(name);
    let failed = |why: &str| Refusal::Server(failure(name, why));
    if Config::lacking(config.release, name).is_some() {
        // Since 7.0; before: `ERR Unsupported CONFIG parameter: …`.
        return Err(Refusal::Server(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")));
    }
    match name {
        "hz" => number(&mut config.hz, name, value)?,
        "maxclients" => number(&mut config.maxclients, name, value)?,
        "timeout" => number(&mut config.timeout, name, value)?,
        "replica-priority" => number(&mut config.replica_priority, name, value)?,
        "min-replicas-to-write" => number(&mut config.min_replicas_to_write, name, value)?,
        "min-replicas-max-lag" => number(&mut config.min_replicas_max_lag, name, value)?,
        "repl-timeout" => number(&mut config.repl_timeout, name, value)?,
        "repl-ping-replica-period" => number(&mut config.repl_ping_replica_period, name, value)?,
        "repl-backlog-ttl" => number(&mut config.repl_backlog_ttl, name, value)?,
        "repl-diskless-sync-delay" => number(&mut config.repl_diskless_sync_delay, name, value)?,
        "repl-diskless-sync-max-replicas" => number(&mut config.repl_diskless_sync_max_replicas, name, value)?,
        "shutdown-timeout" => number(&mut config.shutdown_timeout, name, value)?,
        "replica-announced" => yes_no(&mut config.replica_announced, name, value)?,
        "replica-serve-stale-data" => yes_no(&mut config.replica_serve_stale_data, name, value)?,
        "replica-read-only" => yes_no(&mut config.replica_read_only, name, value)?,
        "repl-rdb-channel" => yes_no(&mut config.repl_rdb_channel, name, value)?,
        "repl-diskless-sync" => yes_no(&mut config.repl_diskless_sync, name, value)?,
        "rdb-del-sync-files" => yes_no(&mut config.rdb_del_sync_files, name, value)?,
        "dynamic-hz" => yes_no(&mut config.dynamic_hz, name, value)?,
        "no-appendfsync-on-rewrite" => yes_no(&mut config.no_appendfsync_on_rewrite, name, value)?,
        "auto-aof-rewrite-percentage" => number(&mut config.auto_aof_rewrite_percentage, name, value)?,
        "appendfsync" => {
            config.appendfsync = match value.to_ascii_lowercase().as_str() {
                "always" => AppendFsync::Always,
                "everysec" => AppendFsync::Everysec,
                "no" => AppendFsync::No,
                _ => return Err(failed("argument(s) must be one of the following: everysec, always, no")),
            };
        }
        "repl-diskless-load" => {
            config.repl_diskless_load = match value.to_ascii_lowercase().as_str() {
                "disabled" => DisklessLoad::Disabled,
                "on-empty-db" => DisklessLoad::OnEmptyDb,
                "swapdb" => DisklessLoad::Swapdb,
                _ => return Err(failed("argument(s) must be one of the following: disabled, on-empty-db, swapdb")),
            };
        }
        "busy-reply-threshold" => long(&mut config.busy_reply_threshold, name, value)?,
        "repl-backlog-size" => memory(&mut config.repl_backlog_size, name, value)?,
        "auto-aof-rewrite-min-size" => memory(&mut config.auto_aof_rewrite_min_size, name, value)?,
        "save" => {
            config.save = value.trim_matches('"').parse().map_err(|_| failed("Invalid save parameters"))?;
        }
        "client-output-buffer-limit" => {
            let wrong = |_| failed("Wrong number of arguments in buffer limit configuration.");
            let mut limits = config.client_output_buffer_limit;
            limits.read(value.trim_matches('"')).map_err(wrong)?;
            config.client_output_buffer_limit = limits;
        }
        "tcp-backlog" | "enable-debug-command" => return Err(failed("can't set immutable config")),
        "appendonly" => yes_no(&mut config.appendonly, name, value)?,
        "stop-writes-on-bgsave-error" => yes_no(&mut config.stop_writes_on_bgsave_error, name, value)?,
        "replica-lazy-flush" | "tcp-keepalive" => {
            return Err(Refusal::NotWhileRunning("its change while the server runs is not modelled"));
        }
        _ => return Err(Refusal::Unknown),
    }
    Ok(())
}

/// What the server answers to a directive that it does not take.
fn failure(name: &str, why: &str) -> String {
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
}

fn number(slot: &mut u32, name: &str, value: &str) -> Result<(), Refusal> {
    *slot = u32::try_from(integer(name, value)?).unwrap_or(u32::MAX);
    Ok(())
}

/// A number of milliseconds: more than ten years are as good as ten.
fn long(slot: &mut u64, name: &str, value: &str) -> Result<(), Refusal> {
    *slot = integer(name, value)?.min(MILLIS_MAX);
    Ok(())
}

/// A whole number within its range.
fn integer(name: &str, value: &str) -> Result<u64, Refusal> {
    let failed = |why: &str| Refusal::Server(failure(name, why));
    let read: i128 = value.parse().map_err(|_| failed("argument couldn't be parsed into an integer"))?;
    // A negative number lies outside of every range.
    let read = u64::try_from(read).unwrap_or(u64::MAX);
    if let Some(why) = out_of_range(name, read) {
        return Err(failed(&why));
    }
    Ok(read)
}

fn memory(slot: &mut u64, name: &str, value: &str) -> Result<(), Refusal> {
    let failed = |why: &str| Refusal::Server(failure(name, why));
    let bytes = units::parse_bytes(value).map_err(|_| failed("argument must be a memory value"))?;
    out_of_range(name, bytes).map_or(Ok(()), |why| Err(failed(&why)))?;
    *slot = bytes;
    Ok(())
}

fn yes_no(slot: &mut bool, name: &str, value: &str) -> Result<(), Refusal> {
    *slot = match value.to_ascii_lowercase().as_str() {
        "yes" => true,
        "no" => false,
        _ => return Err(Refusal::Server(failure(name, "argument must be 'yes' or 'no'"))),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_set_understands_what_redis_conf_says() {
        let mut config = Config::default();
        let mut good = |name: &str, value: &str| {
            assert_eq!(set(&mut config, name, value), Ok(()), "{name} {value}");
            config.clone()
        };
        assert!(good("save", "").save.0.is_empty());
        assert_eq!(good("save", "10 1").save.0[0].seconds, 10);
        assert_eq!(good("repl-backlog-size", "64kb").repl_backlog_size, 65_536);
        assert_eq!(good("slave-priority", "7").replica_priority, 7);
        assert_eq!(good("repl-diskless-load", "SwapDB").repl_diskless_load, DisklessLoad::Swapdb);
        good("client-output-buffer-limit", "normal 1mb 0 0");
        let limits = good("client-output-buffer-limit", "pubsub 1mb 512kb 5").client_output_buffer_limit;
        assert_eq!((limits.pubsub.hard_bytes, limits.normal.hard_bytes), (1 << 20, 1 << 20));
    }

    /// The answers of redis-server 7.0.15.
    #[test]
    fn what_the_server_refuses_is_refused_in_its_words() {
        for (name, value, why) in [
            ("hz", "x", "argument couldn't be parsed into an integer"),
            ("hz", "-1", "argument must be between 0 and 2147483647 inclusive"),
            ("repl-timeout", "0", "argument must be between 1 and 2147483647 inclusive"),
            ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
            ("replica-priority", "99999999999", "argument must be between 0 and 2147483647 inclusive"),
            ("replica-read-only", "maybe", "argument must be 'yes' or 'no'"),
            ("repl-backlog-size", "x", "argument must be a memory value"),
            ("save", "a", "Invalid save parameters"),
            ("tcp-backlog", "5", "can't set immutable config"),
            ("enable-debug-command", "yes", "can't set immutable config"),
        ] {
            let text = format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}");
            assert_eq!(set(&mut Config::default(), name, value), Err(Refusal::Server(text)));
        }
        assert_eq!(set(&mut Config::default(), "no-such-thing", "1"), Err(Refusal::Unknown));
        assert!(matches!(set(&mut Config::default(), "tcp-keepalive", "1"), Err(Refusal::NotWhileRunning(_))));
    }

    #[test]
    fn every_number_of_the_settings_has_its_range() {
        let table = toml::Table::try_from(Config::default()).expect("settings are a table");
        for (name, value) in table {
            if let toml::Value::Integer(value) = value {
                assert!(RANGES.iter().any(|(known, ..)| *known == name), "{name} has no range");
                assert_eq!(out_of_range(&name, value as u64), None, "the default of {name}");
            }
        }
    }
}
