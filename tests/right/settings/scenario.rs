//! The keys of the scenario itself: stack, network, clients, script.

use super::*;

pub(super) const ROWS: &[(&str, Row)] = &[
    ("name", Told),
    ("description", Told),
    ("duration", Run("@@phase = '0s'\n", "duration = '2s'\n", "duration = '3s'\n")),
    ("phase", Run("duration = '2s'\n", "'0s'", "'9s'")),
    ("stack.redis", Run(CALM, "2", "3")),
    ("stack.sentinels", Run(CALM, "2", "3")),
    ("stack.haproxy", Run(CALM, "true", "false")),
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
        "client.px",
        Run("duration = '4s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\npx = @@\n", "'1s'", "'3s'"),
    ),
    (
        "client.wait.replicas",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nwait = { replicas = @@, timeout = '100ms' }\n",
            "1",
            "3",
        ),
    ),
    (
        "client.wait.timeout",
        Run(
            "duration = '2s'\nphase = '0s'\n[[client]]\nname = 'a'\nkind = 'set'\nwait = { replicas = 3, timeout = @@ }\n",
            "'100ms'",
            "'200ms'",
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
        "fault.slow-disk.node",
        Run(
            "redis.appendonly = true\nredis.appendfsync = 'always'\nduration = '5s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'slow-disk'\nfsync = '500ms'\nnode = @@\n",
            "'redis-1'",
            "'redis-2'",
        ),
    ),
    (
        "fault.slow-disk.fsync",
        Run(
            "redis.appendonly = true\nredis.appendfsync = 'always'\nduration = '5s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'slow-disk'\nnode = 'redis-1'\nfsync = @@\n",
            "'200ms'",
            "'500ms'",
        ),
    ),
    (
        "fault.slow-disk.for",
        Run(
            "redis.appendonly = true\nredis.appendfsync = 'always'\nduration = '5s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'slow-disk'\nnode = 'redis-1'\nfsync = '500ms'\nfor = @@\n",
            "'1s'",
            "'2s'",
        ),
    ),
    (
        "fault.disk-full.node",
        Run(
            "redis.appendonly = true\nduration = '5s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'disk-full'\nnode = @@\n",
            "'redis-1'",
            "'sentinel-1'",
        ),
    ),
    (
        "fault.disk-full.for",
        Run(
            "redis.appendonly = true\nduration = '5s'\nphase = '0s'\n\
             [[fault]]\nat = '1s'\naction = 'disk-full'\nnode = 'redis-1'\nfor = @@\n",
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
