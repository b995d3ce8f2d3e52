//! No setting is accepted in silence: the schema of a scenario is walked through, and for every key there is a run that
//! differs by it, or a refusal that says why. A new key without a row here fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value as Json;
use sim::scenario::{Scenario, json_schema};

use crate::commands::{ask, stack};
use crate::support::{refusal, run};

/// What a key does.
enum Row {
    /// Two values make two runs that differ in what happens: the circumstances (with `@@` where the value stands, or
    /// without: then it stands before them, as a dotted key), and the two values.
    Run(&'static str, &'static str, &'static str),
    /// Two values make two answers to a command at time 0: the node, the command, and the two values.
    Answer(&'static str, &'static str, &'static str, &'static str),
    /// Nothing of what happens depends on it: it is told.
    Told,
    /// The one good value changes nothing, any other is refused: a file with another one, and the reason.
    Refused(&'static str, &'static str),
}
use Row::{Answer, Refused, Run, Told};

/// The master dies and comes back.
const DEATH: &str = "duration = '30s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n\
                     [[fault]]\nat = '12s'\naction = 'start'\nnode = 'redis-1'\n";
/// The same with data that take a while.
const LARGE: &str = "redis.dataset-bytes = '200mb'\nduration = '30s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n\
                     [[fault]]\nat = '12s'\naction = 'start'\nnode = 'redis-1'\n";
/// The same through a file.
const LARGE_FROM_DISK: &str = "redis.dataset-bytes = '200mb'\nredis.repl-diskless-sync = false\nduration = '30s'\nphase = '0s'\n\
     [[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n[[fault]]\nat = '12s'\naction = 'start'\nnode = 'redis-1'\n";
/// A subscriber stops reading.
const STOPPED_READER: &str = "haproxy.tune.bufsize = @@\nstack.redis = 1\nstack.sentinels = 1\nsentinel.quorum = 1\nduration = '4s'\nphase = '0s'\n\
    redis.client-output-buffer-limit = 'pubsub 256kb 64kb 5'\n\
    [[client]]\nname = 'p'\nkind = 'publish'\nhost = 'h'\npayload = '8kb'\npause = { min = '1ms', max = '1ms' }\n\
    [[client]]\nname = 's'\nkind = 'subscribe'\nhost = 'slow'\n[[fault]]\nat = '0s'\naction = 'pause'\nnode = 's'\n";
/// Nothing happens.
const CALM: &str = "duration = '5s'\nphase = '0s'\n";
/// The master stands still for a while.
const PAUSE: &str = "duration = '20s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n\
                     [[fault]]\nat = '9s'\naction = 'resume'\nnode = 'redis-1'\n";
/// A replica is cut off for a while.
const CUT_OFF: &str = "duration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'partition'\n\
                       groups = [['redis-2'], ['redis-1', 'redis-3', 'sentinel-1', 'sentinel-2', 'sentinel-3']]\n\
                       [[fault]]\nat = '20s'\naction = 'heal'\n";
/// The same, with short limits for silence.
const LOST_LINK: &str = "redis.repl-timeout = 5\nduration = '40s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'partition'\n\
                         groups = [['redis-1'], ['redis-2', 'redis-3']]\n[[fault]]\nat = '20s'\naction = 'heal'\n";
/// Everybody is frozen but the Sentinels: nobody can be promoted, again and again.
const NOBODY: &str = "duration = '60s'\nphase = '0s'\n\
                      [[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-2'\n\
                      [[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-3'\n\
                      [[fault]]\nat = '8s'\naction = 'kill'\nnode = 'redis-1'\n";
/// The Sentinels forget the master and are told of it again; later it dies.
const MONITORED_AGAIN: &str = "stack.sentinels = 1\nsentinel.quorum = 1\nduration = '20s'\nphase = '0s'\n\
    [[fault]]\nat = '1s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'REMOVE', 'mymaster']\n\
    [[fault]]\nat = '2s'\naction = 'command'\nnode = 'sentinel-1'\n\
    run = ['SENTINEL', 'MONITOR', 'mymaster', 'redis-1', '6379', '1']\n\
    [[fault]]\nat = '5s'\naction = 'kill'\nnode = 'redis-1'\n";

const ROWS: &[(&str, Row)] = &[
    ("name", Told),
    ("description", Told),
    ("duration", Run("@@phase = '0s'\n", "duration = '2s'\n", "duration = '3s'\n")),
    ("phase", Run("duration = '2s'\n", "'0s'", "'9s'")),
    ("stack.redis", Run(CALM, "2", "3")),
    ("stack.sentinels", Run(CALM, "2", "3")),
    ("stack.haproxy", Run(CALM, "true", "false")),
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
        "redis.stop-writes-on-bgsave-error",
        Refused("redis.stop-writes-on-bgsave-error = false\n", "no background save fails here"),
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
    // the network
    ("network.latency", Run(CALM, "'50us'", "'1ms'")),
    ("network.jitter", Run(CALM, "'20us'", "'1ms'")),
    ("network.loss", Run(CALM, "0.0", "0.1")),
    ("network.rate", Run(CALM, "'64kbit'", "'100mbit'")),
    (
        "network.link.between",
        Run(
            "duration = '5s'\nphase = '0s'\n[[network.link]]\nbetween = @@\nlatency = '5ms'\n",
            "['redis-1', 'redis-2']",
            "['redis-1', 'redis-3']",
        ),
    ),
    (
        "network.link.latency",
        Run(
            "duration = '5s'\nphase = '0s'\n[[network.link]]\nbetween = ['redis-1', 'redis-2']\nlatency = @@\n",
            "'50us'",
            "'5ms'",
        ),
    ),
    (
        "network.link.jitter",
        Run(
            "duration = '5s'\nphase = '0s'\n[[network.link]]\nbetween = ['redis-1', 'redis-2']\njitter = @@\n",
            "'20us'",
            "'5ms'",
        ),
    ),
    (
        "network.link.loss",
        Run(
            "duration = '5s'\nphase = '0s'\n[[network.link]]\nbetween = ['redis-1', 'redis-2']\nloss = @@\n",
            "0.0",
            "0.3",
        ),
    ),
    (
        "network.link.rate",
        Run(
            "duration = '5s'\nphase = '0s'\n[[network.link]]\nbetween = ['redis-1', 'redis-2']\nrate = @@\n",
            "'8kbit'",
            "'100mbit'",
        ),
    ),
    // clients
    ("client.name", Run("duration = '2s'\nphase = '0s'\n[[client]]\nname = @@\nkind = 'set'\n", "'a'", "'b'")),
    ("client.kind", Run("duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = @@\n", "'set'", "'get'")),
    (
        "client.host",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nhost = @@\n[[fault]]\nat = '1s'\naction = 'degrade'\nbetween = ['redis-2', 'redis-1']\nlatency = '100ms'\n",
            "'redis-2'",
            "'redis-3'",
        ),
    ),
    (
        "client.payload",
        Run(
            "duration = '2s'\nphase = '0s'\n[[network.link]]\nbetween = ['p', 'haproxy']\nrate = '10mbit'\n[[client]]\nname = 'p'\nkind = 'publish'\npayload = @@\n",
            "'1kb'",
            "'100kb'",
        ),
    ),
    (
        "client.channel",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'publish'\nchannel = @@\n[[client]]\nname = 'b'\nkind = 'subscribe'\nchannel = 'one'\n",
            "'one'",
            "'two'",
        ),
    ),
    (
        "client.every",
        Run("duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nevery = @@\n", "'20ms'", "'50ms'"),
    ),
    (
        "client.profile",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nprofile = @@\n",
            "'reference'",
            "'sentinel'",
        ),
    ),
    (
        "client.library",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nlibrary = @@\n",
            "'redis-py'",
            "'redis-rs'",
        ),
    ),
    (
        "client.via",
        Run("duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = @@\n", "'proxy'", "'address'"),
    ),
    (
        "client.connect-timeout",
        Run(
            "duration = '15s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'address'\nlibrary = 'redis-rb'\nconnect-timeout = @@\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n",
            "'1s'",
            "'none'",
        ),
    ),
    (
        "client.command-timeout",
        Run(
            "duration = '10s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nlibrary = 'hiredis'\ncommand-timeout = @@\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n",
            "'1s'",
            "'none'",
        ),
    ),
    (
        "client.retries",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'address'\nlibrary = 'redis-rb'\nretries = @@\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "0",
            "3",
        ),
    ),
    (
        "client.backoff.base",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'address'\nlibrary = 'redis-rb'\nretries = 3\nbackoff = { base = @@ }\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "'50ms'",
            "'200ms'",
        ),
    ),
    (
        "client.backoff.cap",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'address'\nlibrary = 'redis-rb'\nretries = 3\nbackoff = { base = '50ms', cap = @@, grows = 'exponential' }\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "'60ms'",
            "'1s'",
        ),
    ),
    (
        "client.backoff.grows",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'address'\nlibrary = 'redis-rb'\nretries = 3\nbackoff = { base = '50ms', grows = @@ }\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "'constant'",
            "'exponential'",
        ),
    ),
    (
        "client.backoff.jitter",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'address'\nlibrary = 'redis-rb'\nretries = 3\nbackoff = { base = '50ms', jitter = @@ }\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "true",
            "false",
        ),
    ),
    (
        "client.pool.size",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nlibrary = 'redis-py'\nconcurrency = 10\npool = { size = @@ }\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n",
            "1",
            "2",
        ),
    ),
    (
        "client.pool.wait",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nlibrary = 'redis-py'\nconcurrency = 10\npool = { size = 1, wait = @@ }\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n",
            "'100ms'",
            "'none'",
        ),
    ),
    (
        "client.pool.idle",
        Run(
            "duration = '8s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nevery = '2s'\nlibrary = 'redis-py'\npool = { idle = @@ }\n",
            "'1s'",
            "'none'",
        ),
    ),
    (
        "client.pool.check",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nlibrary = 'redis-rb'\npool = { check = @@ }\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'haproxy'\n[[fault]]\nat = '2s'\naction = 'start'\nnode = 'haproxy'\n",
            "true",
            "false",
        ),
    ),
    (
        "client.ping-after",
        Run(
            "duration = '10s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'subscribe'\nlibrary = 'redis-rb'\nping-after = @@\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n",
            "'1s'",
            "'none'",
        ),
    ),
    (
        "client.tcp-user-timeout",
        Run(
            "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'address'\nlibrary = 'hiredis'\ntcp-user-timeout = @@\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n",
            "'3s'",
            "'none'",
        ),
    ),
    (
        "client.keepalive.idle",
        Run(
            "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'subscribe'\nvia = 'address'\nlibrary = 'hiredis'\nkeepalive = { idle = @@, interval = '1s', count = 2 }\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n",
            "'3s'",
            "'none'",
        ),
    ),
    (
        "client.keepalive.interval",
        Run(
            "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'subscribe'\nvia = 'address'\nlibrary = 'hiredis'\nkeepalive = { idle = '3s', interval = @@, count = 2 }\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n",
            "'1s'",
            "'3s'",
        ),
    ),
    (
        "client.keepalive.count",
        Run(
            "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'subscribe'\nvia = 'address'\nlibrary = 'hiredis'\nkeepalive = { idle = '3s', interval = '1s', count = @@ }\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n",
            "1",
            "5",
        ),
    ),
    (
        "client.sentinels.order",
        Run(
            "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'sentinels'\nlibrary = 'redis-rb'\nsentinels = { order = @@, timeout = '500ms' }\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'sentinel-1'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "'listed'",
            "'answered-first'",
        ),
    ),
    (
        "client.sentinels.timeout",
        Run(
            "duration = '20s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'sentinels'\nlibrary = 'redis-rb'\nsentinels = { timeout = @@ }\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'sentinel-1'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "'500ms'",
            "'2s'",
        ),
    ),
    (
        "client.sentinels.switch-master",
        Run(
            "duration = '15s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'sentinels'\nlibrary = 'redis-py-5'\nsentinels = { switch-master = @@ }\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n",
            "true",
            "false",
        ),
    ),
    (
        "client.sentinels.verify-role",
        Run(
            "duration = '3s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'sentinels'\nlibrary = 'redis-rb'\nsentinels = { verify-role = @@ }\n",
            "true",
            "false",
        ),
    ),
    (
        "client.sentinels.refuse-down",
        Run(
            "duration = '10s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nvia = 'sentinels'\nlibrary = 'redis-rb'\nsentinels = { refuse-down = @@ }\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n",
            "true",
            "false",
        ),
    ),
    (
        "client.concurrency",
        Run(
            "duration = '5s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nconcurrency = @@\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n",
            "1",
            "5",
        ),
    ),
    (
        "client.then-set",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'publish'\nprofile = 'go-redis-v8'\nthen-set = @@\n",
            "true",
            "false",
        ),
    ),
    (
        "client.pause.min",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\npause = { min = @@, max = '50ms' }\n",
            "'0s'",
            "'50ms'",
        ),
    ),
    (
        "client.pause.max",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\npause = { min = '0s', max = @@ }\n",
            "'0s'",
            "'50ms'",
        ),
    ),
    (
        "client.requests",
        Run("duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nrequests = @@\n", "5", "10"),
    ),
    (
        "client.connections",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\npause = { min = '5ms', max = '5ms' }\nconnections = @@\n",
            "1",
            "3",
        ),
    ),
    // the fault script
    (
        "fault.at",
        Run("duration = '5s'\nphase = '0s'\n[[fault]]\nat = @@\naction = 'kill'\nnode = 'redis-1'\n", "'1s'", "'2s'"),
    ),
    (
        "fault.action",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = @@\nnode = 'redis-1'\n",
            "'kill'",
            "'power-off'",
        ),
    ),
    (
        "fault.kill.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.kill-host.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill-host'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.power-off.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'power-off'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.terminate.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'terminate'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.start.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-2'\n[[fault]]\nat = '2s'\naction = 'start'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.pause.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.resume.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-1'\n[[fault]]\nat = '1s'\naction = 'pause'\nnode = 'redis-2'\n[[fault]]\nat = '2s'\naction = 'resume'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.partition.groups",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'partition'\ngroups = [['redis-1'], @@]\n",
            "['redis-2']",
            "['redis-3']",
        ),
    ),
    (
        "fault.cut.from",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'cut'\nfrom = @@\nto = 'redis-1'\n",
            "'redis-2'",
            "'redis-3'",
        ),
    ),
    (
        "fault.cut.to",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'cut'\nfrom = 'redis-1'\nto = @@\n",
            "'redis-2'",
            "'redis-3'",
        ),
    ),
    (
        "fault.degrade.between",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'degrade'\nbetween = ['redis-1', @@]\nlatency = '5ms'\n",
            "'redis-2'",
            "'redis-3'",
        ),
    ),
    (
        "fault.degrade.latency",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'degrade'\nbetween = ['redis-1', 'redis-2']\nlatency = @@\n",
            "'5ms'",
            "'9ms'",
        ),
    ),
    (
        "fault.degrade.jitter",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'degrade'\nbetween = ['redis-1', 'redis-2']\njitter = @@\n",
            "'5ms'",
            "'9ms'",
        ),
    ),
    (
        "fault.degrade.loss",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'degrade'\nbetween = ['redis-1', 'redis-2']\nloss = @@\n",
            "0.1",
            "0.5",
        ),
    ),
    (
        "fault.degrade.rate",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'degrade'\nbetween = ['redis-1', 'redis-2']\nrate = @@\n",
            "'8kbit'",
            "'1mbit'",
        ),
    ),
    (
        "fault.upgrade.node",
        Run(
            "duration = '9s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'upgrade'\nrelease = 'valkey-8.1'\nnode = @@\n\
             [[fault]]\nat = '2s'\naction = 'kill'\nnode = 'redis-2'\n[[fault]]\nat = '3s'\naction = 'start'\nnode = 'redis-2'\n",
            "'redis-2'",
            "'redis-3'",
        ),
    ),
    (
        "fault.upgrade.release",
        Run(
            "duration = '9s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'upgrade'\nnode = 'redis-2'\nrelease = @@\n\
             [[fault]]\nat = '2s'\naction = 'kill'\nnode = 'redis-2'\n[[fault]]\nat = '3s'\naction = 'start'\nnode = 'redis-2'\n",
            "'6.0'",
            "'valkey-8.1'",
        ),
    ),
    (
        "fault.clock-jump.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'clock-jump'\nby = '9s'\nnode = @@\n",
            "'sentinel-1'",
            "'sentinel-2'",
        ),
    ),
    (
        "fault.clock-jump.by",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'clock-jump'\nnode = 'sentinel-1'\nby = @@\n",
            "'9s'",
            "'-9s'",
        ),
    ),
    (
        "fault.stall.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'stall'\nfor = '1s'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.stall.for",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'stall'\nnode = 'redis-1'\nfor = @@\n",
            "'1s'",
            "'2s'",
        ),
    ),
    (
        "fault.command.node",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nrun = ['SAVE']\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.command.run",
        Run(
            "duration = '5s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\nrun = @@\n",
            "['SAVE']",
            "['BGSAVE']",
        ),
    ),
];

/// The keys of a table, with those of the tables in it.
fn keys(path: &str, schema: &Json, found: &mut BTreeSet<String>) {
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match path.as_str() {
            // Each expectation is held against the value of its metric elsewhere.
            "expect" => {}
            "fault" => faults(property, found),
            _ if property["properties"].is_object() => keys(&path, property, found),
            _ if property["items"]["properties"].is_object() => keys(&path, &property["items"], found),
            _ => {
                found.insert(path);
            }
        }
    }
}

fn faults(schema: &Json, found: &mut BTreeSet<String>) {
    for action in schema["items"]["oneOf"].as_array().expect("one schema an action") {
        let name = action["properties"]["action"]["const"].as_str().expect("an action has a name");
        for key in action["properties"].as_object().expect("an action has keys").keys() {
            found.insert(match key.as_str() {
                "at" | "action" => format!("fault.{key}"),
                key => format!("fault.{name}.{key}"),
            });
        }
    }
}

#[test]
fn every_key_has_a_row_and_every_row_a_key() {
    let mut found = BTreeSet::new();
    keys("", &json_schema(), &mut found);
    let rows: BTreeSet<String> = ROWS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(rows.len(), ROWS.len(), "a key has two rows");
    let missing: Vec<_> = found.difference(&rows).collect();
    assert!(missing.is_empty(), "keys without a row, so that nobody knows whether they change a run: {missing:?}");
    let stale: Vec<_> = rows.difference(&found).collect();
    assert!(stale.is_empty(), "rows of keys that there are not: {stale:?}");
}

/// A file with a value in its place.
fn file(key: &str, circumstances: &str, value: &str) -> String {
    if circumstances.contains("@@") {
        return circumstances.replace("@@", value);
    }
    match key.split_once('.') {
        Some((section, key)) => format!("{section}.'{key}' = {value}\n{circumstances}"),
        None => format!("{key} = {value}\n{circumstances}"),
    }
}

/// All that happened, without what the header says of settings.
fn happened(text: &str) -> String {
    let run = run(text, 3);
    let mut recording = run.result.recording;
    recording.header.config = Json::Null;
    format!("{:032x}\n{}", run.result.digest, recording.to_jsonl())
}

#[test]
fn every_setting_changes_a_run_or_is_refused() {
    let silent: Vec<&str> = ROWS
        .par_iter()
        .filter(|(key, row)| match row {
            Run(circumstances, one, other) => {
                let [one, other] = [one, other].map(|value| file(key, circumstances, value));
                happened(&one) == happened(&other)
            }
            Answer(node, words, one, other) => {
                let [one, other] = [one, other].map(|value| ask(&mut stack(&file(key, "", value)), node, words));
                one == other
            }
            Told => false,
            Refused(text, reason) => !refusal(text).contains(reason),
        })
        .map(|(key, _)| *key)
        .collect();
    assert!(silent.is_empty(), "accepted in silence: {silent:?}");
}

#[test]
fn a_setting_that_changes_nothing_would_be_noticed() {
    let described = |text: &str| file("description", CALM, text);
    assert_eq!(happened(&described("'a'")), happened(&described("'b'")));
    let told = |text: &str| Arc::new(Scenario::parse("x.toml", &described(text)).expect("a good file"));
    assert_ne!(told("'a'"), told("'b'"), "it is told");
}
