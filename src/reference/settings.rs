//! Configuration files and command lines of the real programs, from a scenario's directives.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use serde::Serialize;

use crate::redis::Protected;
use crate::release::Released;
use crate::scenario::Scenario;
use crate::scenario::{REDIS_PORT, SENTINEL_PORT};
use crate::{haproxy, redis, sentinel};

/// Directives that are not those of a redis.conf begin with this, or are `config-file` and `master-by-name`.
const OF_THE_SIMULATOR: &str = "dataset-";
/// Numbers that only `SENTINEL DEBUG` can set.
const OF_SENTINEL_DEBUG: [&str; 11] = [
    "info-period",
    "ping-period",
    "ask-period",
    "publish-period",
    "default-down-after",
    "tilt-trigger",
    "tilt-period",
    "slave-reconf-timeout",
    "min-link-reconnect-period",
    "election-timeout",
    "default-failover-timeout",
];

/// The directives of a Redis node that differ from the program's own defaults: name and arguments.
pub(super) fn redis_directives(config: &redis::Config, needs_debug: bool) -> Vec<(String, Vec<String>)> {
    let (usual, own) = (table(&redis::Config::of(config.release)), table(config));
    let mut directives = Vec::new();
    for (name, value) in own {
        if usual.get(&name) == Some(&value)
            || name.starts_with(OF_THE_SIMULATOR)
            || ["config-file", "master-by-name"].contains(&name.as_str())
            || redis::Config::lacking(config.release, &name).is_some()
            || name == "enable-debug-command"
        {
            continue;
        }
        let mut words: Vec<String> = plain(&value).split_whitespace().map(str::to_string).collect();
        if words.is_empty() {
            words.push(String::new());
        }
        // The name that all releases know: from 7.0 on it is an alias.
        let name = if name == "busy-reply-threshold" { "lua-time-limit".into() } else { name };
        directives.push((name, words));
    }
    let debug = match config.enable_debug_command {
        // The driver asks on the node's own machine.
        Protected::No if needs_debug => Protected::Local,
        own => own,
    };
    if debug != Protected::No && redis::Config::lacking(config.release, "enable-debug-command").is_none() {
        directives.push(("enable-debug-command".into(), vec![plain(&toml::Value::try_from(debug).expect("a word"))]));
    }
    directives
}

/// The command line of a Redis node, which is all the configuration it has unless `config-file` is set; in that case
/// the second part is the file.
pub(super) fn redis_command(
    config: &redis::Config,
    folder: &Path,
    log: &Path,
    master: Option<Ipv4Addr>,
    needs_debug: bool,
) -> (Vec<String>, Option<String>) {
    let text = |path: &Path| vec![path.display().to_string()];
    let mut directives = vec![
        ("port".to_string(), vec![REDIS_PORT.to_string()]),
        ("dir".into(), text(folder)),
        ("logfile".into(), text(log)),
        ("protected-mode".into(), vec!["no".into()]),
    ];
    if let Some(master) = master {
        directives.push(("replicaof".into(), vec![master.to_string(), REDIS_PORT.to_string()]));
    }
    directives.extend(redis_directives(config, needs_debug));
    if config.config_file {
        let mut file = String::new();
        for (name, words) in directives {
            let words: Vec<String> =
                words.into_iter().map(|word| if word.is_empty() { "\"\"".into() } else { word }).collect();
            let _ = writeln!(file, "{name} {}", words.join(" "));
        }
        return (vec!["redis-server".into(), folder.join("redis.conf").display().to_string()], Some(file));
    }
    let mut command = vec!["redis-server".to_string()];
    for (name, words) in directives {
        command.push(format!("--{name}"));
        command.extend(words);
    }
    (command, None)
}

/// A Sentinel's configuration file, as it is before the Sentinel rewrites it.
pub(super) fn sentinel_file(config: &sentinel::Config, folder: &Path, log: &Path, master: Ipv4Addr) -> String {
    let name = &config.master_name;
    let mut out = String::new();
    let mut line = |text: String| out.push_str(&(text + "\n"));
    line(format!("port {SENTINEL_PORT}"));
    line(format!("dir {}", folder.display()));
    line(format!("logfile {}", log.display()));
    line(format!("sentinel monitor {name} {master} {REDIS_PORT} {}", config.quorum));
    line(format!("sentinel down-after-milliseconds {name} {}", config.down_after_milliseconds));
    line(format!("sentinel failover-timeout {name} {}", config.failover_timeout));
    line(format!("sentinel parallel-syncs {name} {}", config.parallel_syncs));
    if config.master_reboot_down_after_period > 0 {
        let period = config.master_reboot_down_after_period;
        line(format!("sentinel master-reboot-down-after-period {name} {period}"));
    }
    out
}

/// The `SENTINEL DEBUG` command that sets the numbers which differ from the program's own, if any do.
pub(super) fn sentinel_debug(config: &sentinel::Config) -> Option<Vec<String>> {
    let (usual, own) = (table(&sentinel::Config::default()), table(config));
    let mut command = vec!["SENTINEL".to_string(), "DEBUG".into()];
    for name in OF_SENTINEL_DEBUG {
        if own.get(name) != usual.get(name) {
            command.push(name.into());
            command.extend(own.get(name).map(plain));
        }
    }
    (command.len() > 2).then_some(command)
}

/// HAProxy's configuration file: the demo's, with the scenario's keywords.
pub(super) fn haproxy_file(scenario: &Scenario, servers: &[(String, Ipv4Addr)]) -> String {
    let config = &scenario.haproxy;
    let mut out = String::new();
    let mut line = |text: String| out.push_str(&(text + "\n"));
    line("global".into());
    line("    log stdout format raw local0 notice".into());
    line(format!("    maxconn {}", config.maxconn));
    line(format!("    tune.bufsize {}", config.tune.bufsize));
    line("defaults".into());
    line("    mode tcp".into());
    line("    log global".into());
    line(format!("    retries {}", config.retries));
    if config.redispatch {
        line("    option redispatch".into());
    }
    for (name, value) in table(config) {
        // "none" is what HAProxy has where nothing is said.
        if name.starts_with("timeout ") && plain(&value) != "none" {
            line(format!("    {name} {}", plain(&value)));
        }
    }
    line("frontend redis_frontend".into());
    line(format!("    bind :{REDIS_PORT}"));
    line("    default_backend redis_backend".into());
    line("backend redis_backend".into());
    line(format!("    balance {}", plain(&table(config)["balance"])));
    if config.check != haproxy::CheckKind::Connect {
        line("    option tcp-check".into());
        line("    tcp-check send PING\\r\\n".into());
        line("    tcp-check expect string +PONG".into());
    }
    if config.check == haproxy::CheckKind::Role {
        line("    tcp-check send info\\ replication\\r\\n".into());
        line("    tcp-check expect string role:master".into());
    }
    for (place, (name, addr)) in servers.iter().enumerate() {
        let backup = if config.backup && place > 0 { " backup" } else { "" };
        line(format!("    server {name} {addr}:{REDIS_PORT} check{}{backup}", server_options(config)));
    }
    out
}

fn server_options(config: &haproxy::Config) -> String {
    let (usual, own) = (table(&haproxy::Config::default()), table(config));
    let mut out = format!(" inter {}", config.inter);
    for name in ["fastinter", "downinter", "rise", "fall", "on-marked-down", "on-marked-up"] {
        if let Some(value) = own.get(name).filter(|value| usual.get(name) != Some(value)) {
            let _ = write!(out, " {name} {}", plain(value));
        }
    }
    out
}

fn table<T: Serialize>(value: &T) -> toml::Table {
    toml::Table::try_from(value).expect("settings are tables")
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(on) => if *on { "yes" } else { "no" }.into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Scenario {
        Scenario::parse("test.toml", text).expect("a good file")
    }

    #[test]
    fn a_node_of_the_demo_has_no_directives_of_its_own() {
        assert_eq!(redis_directives(&redis::Config::default(), false), []);
        let (command, file) = redis_command(
            &redis::Config::default(),
            "/d".as_ref(),
            "/d/log".as_ref(),
            Some([10, 0, 0, 1].into()),
            false,
        );
        let expected =
            "redis-server --port 6379 --dir /d --logfile /d/log --protected-mode no --replicaof 10.0.0.1 6379";
        assert_eq!((command.join(" ").as_str(), file), (expected, None));
    }

    #[test]
    fn directives_are_written_as_redis_reads_them() {
        let plan = scenario("[redis]\nsave = ''\nrepl-timeout = 5\nmin-replicas-to-write = 1\nconfig-file = true\n");
        let (command, file) = redis_command(&plan.redis[0], "/d".as_ref(), "/d/log".as_ref(), None, true);
        assert_eq!(command, ["redis-server", "/d/redis.conf"]);
        let file = file.expect("a file");
        for line in ["save \"\"", "repl-timeout 5", "min-replicas-to-write 1", "enable-debug-command local"] {
            assert!(file.lines().any(|l| l == line), "{line} in {file}");
        }
    }

    #[test]
    fn sentinels_are_told_what_the_scenario_says() {
        let plan = scenario("[sentinel]\nquorum = 3\ninfo-period = 1000\n");
        let file = sentinel_file(&plan.sentinel[0], "/d".as_ref(), "/d/log".as_ref(), [10, 0, 0, 1].into());
        assert!(file.contains("sentinel monitor mymaster 10.0.0.1 6379 3\n"), "{file}");
        assert!(file.contains("sentinel failover-timeout mymaster 10000\n"), "{file}");
        let debug = sentinel_debug(&plan.sentinel[0]).expect("a number differs");
        assert_eq!(debug, ["SENTINEL", "DEBUG", "info-period", "1000"]);
        assert_eq!(sentinel_debug(&sentinel::Config::default()), None);
    }

    #[test]
    fn haproxy_is_configured_as_in_the_demo() {
        let servers = [("redis-1".to_string(), [10, 0, 0, 1].into()), ("redis-2".into(), [10, 0, 0, 2].into())];
        let file = haproxy_file(&scenario(""), &servers);
        for line in [
            "    timeout connect 5s",
            "    timeout server 50s",
            "    tcp-check send info\\ replication\\r\\n",
            "    server redis-1 10.0.0.1:6379 check inter 1s",
            "    server redis-2 10.0.0.2:6379 check inter 1s backup",
        ] {
            assert!(file.lines().any(|l| l == line), "{line} in {file}");
        }
        let plan = scenario("[haproxy]\non-marked-down = 'shutdown-sessions'\nfall = 2\nbackup = false\n");
        let file = haproxy_file(&plan, &servers);
        let line = "    server redis-2 10.0.0.2:6379 check inter 1s fall 2 on-marked-down shutdown-sessions";
        assert!(file.lines().any(|l| l == line), "{file}");
    }
}
