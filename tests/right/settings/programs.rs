//! The keys of redis.conf, sentinel.conf and haproxy.cfg.

use super::*;

pub(super) const ROWS: &[(&str, Row)] = &[
    // redis.conf
    ("redis.release", Run(DEATH, "'6.2'", "'7.0'")),
    ("redis.replica-priority", Run(DEATH, "100", "0")),
    ("redis.replica-announced", Answer("sentinel-1", "SENTINEL REPLICAS mymaster", "true", "false")),
    ("redis.min-replicas-to-write", Run(CALM, "0", "5")),
    (
        "redis.min-replicas-max-lag",
        Run(
            "redis.min-replicas-to-write = 2\nduration = '15s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'pause'\n\
             node = 'redis-2'\n",
            "2",
            "10",
        ),
    ),
    ("redis.repl-rdb-channel", Run("redis.release = '8.2'\nduration = '5s'\nphase = '0s'\n", "true", "false")),
    ("redis.repl-diskless-sync", Run(DEATH, "true", "false")),
    ("redis.repl-diskless-sync-delay", Run(DEATH, "0", "5")),
    ("redis.repl-diskless-sync-max-replicas", Run(DEATH, "0", "1")),
    (
        "redis.repl-diskless-load",
        Run("redis.redis-1.dataset-bytes = '200mb'\nduration = '5s'\nphase = '0s'\n", "'disabled'", "'on-empty-db'"),
    ),
    ("redis.replica-lazy-flush", Run(LARGE, "true", "false")),
    ("redis.repl-ping-replica-period", Run(CALM, "1", "10")),
    ("redis.repl-timeout", Run(CUT_OFF, "5", "60")),
    (
        "redis.repl-backlog-size",
        Run(
            "redis.repl-timeout = 5\nduration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'partition'\n\
             groups = [['redis-2'], ['redis-1']]\n[[fault]]\nat = '20s'\naction = 'heal'\n",
            "'16kb'",
            "'1mb'",
        ),
    ),
    ("redis.repl-backlog-ttl", Run(LOST_LINK, "1", "3600")),
    ("redis.replica-serve-stale-data", Run(DEATH, "true", "false")),
    (
        "redis.replica-read-only",
        Run(
            "duration = '3s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\n\
             run = ['REPLICAOF', 'redis-2', '6379']\n",
            "true",
            "false",
        ),
    ),
    (
        "redis.rdb-del-sync-files",
        Run(
            "redis.save = ''\nredis.repl-diskless-sync = false\nduration = '20s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-2'\n\
             [[fault]]\nat = '3s'\naction = 'start'\nnode = 'redis-2'\n",
            "true",
            "false",
        ),
    ),
    (
        "redis.shutdown-timeout",
        Run(
            "duration = '20s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-2'\n\
             [[fault]]\nat = '2s'\naction = 'terminate'\nnode = 'redis-1'\n",
            "1",
            "10",
        ),
    ),
    (
        "redis.save",
        Run(
            "duration = '10s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'terminate'\nnode = 'redis-2'\n",
            "''",
            "'3600 1'",
        ),
    ),
    ("redis.appendonly", Run(DEATH, "true", "false")),
    (
        "redis.appendfsync",
        Run(
            "redis.appendonly = true\nduration = '12s'\nphase = '0s'\n\
             [[fault]]\nat = '5s'\naction = 'power-off'\nnode = 'redis-1'\n\
             [[fault]]\nat = '6s'\naction = 'start'\nnode = 'redis-1'\n",
            "'always'",
            "'no'",
        ),
    ),
    (
        "redis.no-appendfsync-on-rewrite",
        Run(
            "redis.appendonly = true\nredis.appendfsync = 'always'\nduration = '3s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\nrun = ['BGSAVE']\n",
            "true",
            "false",
        ),
    ),
    ("redis.auto-aof-rewrite-percentage", Run(SMALL_LOG, "100", "0")),
    (
        "redis.auto-aof-rewrite-min-size",
        Run("redis.appendonly = true\nduration = '10s'\nphase = '0s'\n", "'1kb'", "'64mb'"),
    ),
    (
        "redis.client-output-buffer-limit",
        Run(
            "duration = '14s'\nphase = '0s'\n\
             [[client]]\nname = 'p'\nkind = 'publish'\npause = { min = '0s', max = '0s' }\nconnections = 20\n\
             [[client]]\nname = 's'\nkind = 'subscribe'\nprofile = 'sentinel'\n\
             [[fault]]\nat = '1s'\naction = 'pause'\nnode = 's'\n",
            "'pubsub 1kb 0 0'",
            "'pubsub 0 0 0'",
        ),
    ),
    ("redis.tcp-backlog", Run(PAUSE, "1", "511")),
    (
        "redis.tcp-keepalive",
        Run(
            "duration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'haproxy'\n",
            "3",
            "300",
        ),
    ),
    (
        "redis.timeout",
        Run("duration = '30s'\nphase = '0s'\n[[client]]\nname = 'w'\nkind = 'set'\nevery = '8s'\n", "2", "0"),
    ),
    ("redis.maxclients", Run(CALM, "4", "10000")),
    ("redis.hz", Run(CALM, "1", "500")),
    (
        "redis.dynamic-hz",
        Run(
            "redis.hz = 1\nduration = '3s'\nphase = '0s'\n[[client]]\nname = 's'\nkind = 'subscribe'\nconnections = 300\n",
            "true",
            "false",
        ),
    ),
    (
        "redis.busy-reply-threshold",
        Run(
            "duration = '6s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\n\
             run = ['EVAL', 'while true do end', '0']\n",
            "500",
            "3000",
        ),
    ),
    (
        "redis.stop-writes-on-bgsave-error",
        Run(
            "redis.save = '1 1'\nduration = '12s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'disk-full'\nnode = 'redis-1'\n",
            "true",
            "false",
        ),
    ),
    (
        "redis.enable-debug-command",
        Run(
            "duration = '3s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\n\
             run = ['DEBUG', 'SLEEP', '1']\n",
            "'no'",
            "'local'",
        ),
    ),
    (
        "redis.config-file",
        Run(
            "duration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n[[fault]]\nat = '20s'\naction = 'kill'\nnode = '@master'\n[[fault]]\nat = '21s'\naction = 'start'\nnode = '@master'\n",
            "true",
            "false",
        ),
    ),
    ("redis.master-by-name", Run("duration = '20s'\nphase = '0s'\n", "true", "false")),
    ("redis.dataset-bytes", Run(DEATH, "'20mb'", "0")),
    ("redis.dataset-value-bytes", Run(LARGE, "3", "1000")),
    ("redis.dataset-save-rate", Run(LARGE, "'20mb'", "'40mb'")),
    ("redis.dataset-load-rate", Run(LARGE, "'20mb'", "'40mb'")),
    ("redis.dataset-send-rate", Run(LARGE_FROM_DISK, "'20mb'", "'40mb'")),
    ("redis.dataset-fork-per-gb", Run(LARGE, "'0ms'", "'1s'")),
    // sentinel.conf
    ("sentinel.release", Run(DEATH, "'6.2'", "'7.0'")),
    ("sentinel.master-name", Run(DEATH, "'orders'", "'mymaster'")),
    ("sentinel.quorum", Run(DEATH, "1", "3")),
    ("sentinel.down-after-milliseconds", Run(DEATH, "2000", "5000")),
    ("sentinel.failover-timeout", Run(NOBODY, "3000", "10000")),
    (
        "sentinel.parallel-syncs",
        Run(
            "stack.redis = 4\nredis.dataset-bytes = '20mb'\nduration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "1",
            "2",
        ),
    ),
    (
        "sentinel.master-reboot-down-after-period",
        Run(
            "stack.haproxy = false\nredis.config-file = true\nsentinel.down-after-milliseconds = 2000\nduration = '60s'\n\
             phase = '0s'\nredis.redis-1.dataset-bytes = '512mb'\n\
             redis.dataset-load-rate = '18mb'\n\
             [[fault]]\nat = '20s'\naction = 'kill'\nnode = 'redis-1'\n\
             [[fault]]\nat = '20100ms'\naction = 'start'\nnode = 'redis-1'\n",
            "3000",
            "0",
        ),
    ),
    ("sentinel.info-period", Run(CALM, "1000", "10000")),
    ("sentinel.ping-period", Run(CALM, "300", "1000")),
    ("sentinel.ask-period", Run(PAUSE, "200", "1000")),
    ("sentinel.publish-period", Run(CALM, "500", "2000")),
    (
        "sentinel.tilt-trigger",
        Run(
            "duration = '10s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'stall'\nnode = 'sentinel-1'\nfor = '1s'\n",
            "500",
            "2000",
        ),
    ),
    (
        "sentinel.tilt-period",
        Run(
            "duration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'stall'\nnode = 'sentinel-1'\nfor = '3s'\n",
            "5000",
            "30000",
        ),
    ),
    (
        "sentinel.slave-reconf-timeout",
        Run(
            "stack.redis = 4\nsentinel.parallel-syncs = 2\nsentinel.failover-timeout = 60000\nredis.redis-2.replica-priority = 1\nduration = '40s'\n\
             phase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n\
             [[fault]]\nat = '6500ms'\naction = 'pause'\nnode = 'redis-3'\n\
             ",
            "1000",
            "10000",
        ),
    ),
    ("sentinel.min-link-reconnect-period", Run(PAUSE, "1000", "15000")),
    (
        "sentinel.election-timeout",
        Run(
            "duration = '60s'\nphase = '0s'\n[[fault]]\nat = '0s'\naction = 'partition'\ngroups = [['sentinel-1'], ['sentinel-2'], ['sentinel-3']]\n[[fault]]\nat = '0s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'SET', 'mymaster', 'quorum', '1']\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "1000",
            "10000",
        ),
    ),
    ("sentinel.default-down-after", Run(MONITORED_AGAIN, "1000", "30000")),
    (
        "sentinel.default-failover-timeout",
        Run(
            "sentinel.default-down-after = 1000\nstack.sentinels = 1\nsentinel.quorum = 1\nduration = '60s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'REMOVE', 'mymaster']\n[[fault]]\nat = '2s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'MONITOR', 'mymaster', 'redis-1', '6379', '1']\n[[fault]]\nat = '15s'\naction = 'pause'\nnode = 'redis-2'\n[[fault]]\nat = '15s'\naction = 'pause'\nnode = 'redis-3'\n[[fault]]\nat = '20s'\naction = 'kill'\nnode = 'redis-1'\n",
            "2000",
            "180000",
        ),
    ),
    // haproxy.cfg
    (
        "haproxy.release",
        Run(
            "duration = '9s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'haproxy'\n\
             [[fault]]\nat = '1.9s'\naction = 'resume'\nnode = 'haproxy'\n",
            "'2.2'",
            "'2.6'",
        ),
    ),
    ("haproxy.inter", Run(CALM, "'300ms'", "'1s'")),
    ("haproxy.fastinter", Run(DEATH, "'200ms'", "'1s'")),
    ("haproxy.downinter", Run(DEATH, "'200ms'", "'1s'")),
    ("haproxy.rise", Run(DEATH, "1", "5")),
    ("haproxy.fall", Run(DEATH, "1", "5")),
    ("haproxy.backup", Run(DEATH, "true", "false")),
    ("haproxy.name", Run(CALM, "'a'", "'b'")),
    ("haproxy.on-marked-down", Run(PAUSE, "'none'", "'shutdown-sessions'")),
    (
        "haproxy.on-marked-up",
        Run(
            "duration = '60s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n[[fault]]\nat = '15s'\naction = 'start'\nnode = 'redis-1'\n[[fault]]\nat = '40s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'FAILOVER', 'mymaster']\n",
            "'none'",
            "'shutdown-backup-sessions'",
        ),
    ),
    (
        "haproxy.timeout connect",
        Run(
            "duration = '20s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n",
            "'500ms'",
            "'5s'",
        ),
    ),
    (
        "haproxy.timeout client",
        Run(
            "haproxy.'timeout server' = '20s'\nduration = '30s'\nphase = '0s'\n[[client]]\nname = 's'\nkind = 'subscribe'\n",
            "'5s'",
            "'50s'",
        ),
    ),
    (
        "haproxy.timeout server",
        Run(
            "haproxy.'timeout client' = '20s'\nduration = '30s'\nphase = '0s'\n[[client]]\nname = 's'\nkind = 'subscribe'\n",
            "'5s'",
            "'50s'",
        ),
    ),
    (
        "haproxy.timeout tunnel",
        Run("duration = '30s'\nphase = '0s'\n[[client]]\nname = 's'\nkind = 'subscribe'\n", "'5s'", "'100s'"),
    ),
    ("haproxy.timeout check", Run(PAUSE, "'200ms'", "'900ms'")),
    ("haproxy.timeout queue", Refused("haproxy.'timeout queue' = '1s'\n", "no session waits for a server here")),
    ("haproxy.retries", Run(DEATH, "0", "3")),
    ("haproxy.tune.bufsize", Run(STOPPED_READER, "16384", "65536")),
    ("haproxy.redispatch", Run(DEATH, "true", "false")),
    (
        "haproxy.maxconn",
        Run(
            "duration = '10s'\nphase = '0s'\n[[client]]\nname = 's'\nkind = 'subscribe'\nconnections = 5\n",
            "2",
            "4096",
        ),
    ),
    (
        "haproxy.balance",
        Run(
            "haproxy.backup = false\nhaproxy.check = 'connect'\nduration = '5s'\nphase = '0s'\n",
            "'roundrobin'",
            "'first'",
        ),
    ),
    ("haproxy.check", Run(CALM, "'role'", "'connect'")),
];
