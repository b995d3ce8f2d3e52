//! The table of all rules.

use super::Severity::{Error, Note, Warn};
use super::{Hit, Proof, Rule, Severity, auth, deceit, detection, proxy, roles, start, surroundings};
use crate::import::stack::Stack;

const fn new(
    id: &'static str,
    group: char,
    severity: Severity,
    check: fn(&Stack) -> Vec<Hit>,
    title: &'static str,
    remedy: &'static str,
) -> Rule {
    Rule { id, group, severity, title, remedy, proof: None, check }
}

impl Rule {
    const fn shown(
        mut self,
        situation: &'static str,
        metric: &'static str,
        key: &'static str,
        value: &'static str,
    ) -> Rule {
        self.proof = Some(Proof { situation, metric, remedy: Some((key, value)) });
        self
    }

    /// Shown by a run whose remedy is no setting.
    const fn seen(mut self, situation: &'static str, metric: &'static str) -> Rule {
        self.proof = Some(Proof { situation, metric, remedy: None });
        self
    }
}

/// All rules as a table of a page.
pub(crate) fn markdown() -> String {
    let mut out =
        "| rule | severity | what is wrong | what to do | seen by |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for rule in RULES {
        let cell = |text: &str| text.replace('|', "\\|");
        let seen = rule.proof.map_or(String::new(), |proof| format!("`{}`: {}", proof.situation, proof.metric));
        let row = [&format!("`{}`", rule.id), rule.severity.name(), &cell(rule.title), &cell(rule.remedy), &seen];
        out.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    out
}

/// The rule with this id.
pub(crate) fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// All rules, by group.
#[rustfmt::skip]
pub(crate) static RULES: &[Rule] = &[
    // A: it does not start, or cannot do its work.
    new("sentinel-announces-wrong-address", 'A', Error, start::announces_wrong_address, "a Sentinel announces an address that leads elsewhere", "announce an address of its own at which the others reach it, or nothing on a common network"),
    new("monitor-not-a-node", 'A', Warn, start::monitor_not_a_node, "`sentinel monitor` names nobody of the stack", "name the service (with `resolve-hostnames yes`) or give it a fixed address"),
    new("name-not-resolved", 'A', Error, start::name_not_resolved, "a host name, and Sentinel may not resolve names", "add `sentinel resolve-hostnames yes`, or monitor an address"),
    new("placeholder-left", 'A', Error, start::placeholder_left, "a value still has to be filled in", "put the real value there"),
    new("proxy-ignores-role", 'A', Error, start::proxy_ignores_role, "a pool for writes does not ask who is the master", "check the role: `tcp-check send info\\ replication\\r\\n`, `tcp-check expect string role:master`"),
    new("shared-file", 'A', Warn, start::shared_file, "one file is mounted in two instances", "give each a copy of its own in a folder of its own"),
    new("shared-state", 'A', Error, start::shared_state, "instances share a writable folder", "give each a folder or volume of its own"),
    new("auth-mismatch", 'A', Error, auth::auth_mismatch, "passwords do not fit", "set the same `requirepass` and `masterauth` on every node, and `sentinel auth-pass` on every Sentinel"),
    new("min-replicas-unreachable", 'A', Error, start::min_replicas_unreachable, "min-replicas-to-write is more than there are", "set it to less than the number of replicas").shown("none", "set-ok-ratio", "redis.min-replicas-to-write", "1"),
    new("no-replication", 'A', Error, start::no_replication, "a node follows nobody", "give it `replicaof MASTER PORT`"),
    new("port-without-listener", 'A', Error, start::port_without_listener, "a published port has no listener", "publish the port on which the program listens"),
    new("proxy-leads-to-sentinel", 'A', Error, start::proxy_leads_to_sentinel, "the port of Redis leads to Sentinels", "let the frontend lead to the Redis nodes, with a role check"),
    new("restart-empty", 'A', Error, start::restart_empty, "the master restarts empty, before it is missed", "`appendonly yes` on a volume, or no restart policy for Redis").shown("restarts", "lost-acked-sets", "redis.appendonly", "true"),
    new("service-vip", 'A', Error, start::service_vip, "a virtual address stands for one node", "`endpoint_mode: dnsrr`, a headless Service, or the name of the one pod"),
    new("trailing-comment", 'A', Error, start::trailing_comment, "a comment behind a directive", "put the comment on a line of its own"),
    new("check-auth-mismatch", 'A', Error, auth::check_auth_mismatch, "a check's AUTH does not fit its servers", "send AUTH in the check if and only if the servers have a password"),
    new("check-matches-replicas", 'A', Error, auth::check_matches_replicas, "a check passes on replicas too", "expect `role:master` of `info replication`"),
    new("protected-mode", 'A', Error, auth::protected_mode, "protected-mode shuts the others out", "set a password, or `protected-mode no` on a network of your own"),
    new("renamed-command", 'A', Error, start::renamed_command, "a command that Sentinel needs is renamed", "tell each Sentinel: `sentinel rename-command MASTER COMMAND NAME`"),
    // B: it says one thing and does another.
    new("dead-config", 'B', Warn, deceit::dead_config, "a configuration that nothing uses", "mount it, or remove it"),
    new("dead-env", 'B', Warn, deceit::dead_env, "a variable that nothing reads", "set the value in the file that is read, or remove the variable"),
    new("compose-v1-names", 'B', Warn, deceit::compose_v1_names, "a container's name as compose v1 made it", "use the name of the service"),
    new("server-maxconn-above-global", 'B', Note, deceit::server_maxconn, "a server's maxconn is above the proxy's", "raise `maxconn` in `global`, or lower the server's"),
    new("substitution", 'B', Warn, deceit::substitution, "a replacement in a start script misses or hits too much", "give each value a placeholder of its own, and look at the file that comes of it"),
    new("state-in-repository", 'B', Note, deceit::state_in_repository, "Sentinel's state in a file of the set", "keep only what you wrote; let Sentinel work on a copy"),
    new("version-mixed", 'B', Warn, deceit::version_mixed, "Redis and Sentinel of different versions", "use the same image for both"),
    new("healthcheck-without-password", 'B', Note, deceit::healthcheck_without_password, "a health check that is always healthy", "give the password (REDISCLI_AUTH) and look for PONG"),
    new("quoted-env", 'B', Warn, deceit::quoted_env, "quotes that are part of a value", "write NAME=value without quotes, or the mapping form"),
    new("trap-before-exec", 'B', Warn, deceit::trap_before_exec, "a trap that `exec` throws away", "start the server without `exec` and wait for it, or drop the trap"),
    new("vip-watches-other-program", 'B', Warn, deceit::vip_watches, "keepalived watches another program", "let `track_script` look at HAProxy"),
    new("sentinels-differ", 'B', Warn, deceit::sentinels_differ, "Sentinels of one group differ", "give them all the same settings"),
    // C: roles, identity and restarts.
    new("start-role-fixed", 'C', Warn, roles::start_role_fixed, "the role at start is fixed", "start from a configuration file in a folder that Redis may write, made only if it is not there"),
    new("no-aof", 'C', Note, roles::no_aof, "no append-only file", "`appendonly yes`"),
    new("no-restart-policy", 'C', Note, roles::no_restart_policy, "nothing restarts Redis or Sentinel", "`restart: unless-stopped` with `appendonly yes`, or none by intent"),
    new("no-data-volume", 'C', Note, roles::no_data_volume, "data live no longer than the container", "mount a volume at the data folder"),
    new("sentinel-forgets-at-restart", 'C', Warn, roles::sentinel_forgets_at_restart, "a Sentinel forgets who it is at each restart", "copy the file into a writable volume only if it is not there, or give it a fixed `sentinel myid`"),
    new("sentinel-forgets-when-recreated", 'C', Warn, roles::sentinel_forgets_when_recreated, "a recreated Sentinel forgets who it is", "keep its file in a volume"),
    new("config-on-file-mount", 'C', Warn, roles::config_on_file_mount, "the configuration cannot be rewritten", "mount its folder, or copy it at start only if it is not there"),
    new("file-may-be-unwritable", 'C', Note, roles::file_may_be_unwritable, "Sentinel may not be allowed to write its file", "start it as `redis-sentinel FILE`, or give the file to uid 999"),
    new("restart-stale", 'C', Warn, start::restart_stale, "the master restarts with old data, before it is missed", "`appendonly yes`, or no restart policy for Redis").shown("restarts", "lost-acked-sets", "redis.appendonly", "true"),
    new("replication-by-hand", 'C', Warn, roles::replication_by_hand, "a script makes the roles after the start", "say it in the configuration: `replicaof`, `sentinel monitor`"),
    new("restart-policy-differs", 'C', Warn, roles::restart_policy_differs, "some restart by themselves and others do not", "give all the same policy"),
    new("writable-replica", 'C', Warn, roles::writable_replica, "replicas accept writes", "`replica-read-only yes`"),
    new("sentinel-reset-hook", 'C', Warn, roles::sentinel_reset_hook, "a hook resets Sentinel or forces a failover", "leave it to Sentinel"),
    new("start-role-unknown", 'C', Note, roles::start_role_unknown, "nothing says who follows whom", "put `replicaof` into the set"),
    // D: detection and voting.
    new("no-min-replicas", 'D', Warn, detection::no_min_replicas, "no min-replicas-to-write", "`min-replicas-to-write 1` and `min-replicas-max-lag 10` on every node").shown("cut-off", "lost-acked-sets", "redis.min-replicas-to-write", "1"),
    new("failover-timeout-default", 'D', Note, detection::failover_timeout_default, "failover-timeout is three minutes", "set it to 10000 to 60000"),
    new("name-against-address", 'D', Warn, detection::name_against_address, "the replicas name the master otherwise than Sentinel", "write the same in `replicaof` and `sentinel monitor`: the address, or the name with `resolve-hostnames` and `announce-hostnames`"),
    new("failover-timeout-short", 'D', Warn, detection::failover_timeout_short, "failover-timeout is short", "at least 10000, and longer than down-after"),
    new("few-sentinels", 'D', Warn, detection::few_sentinels, "fewer than three Sentinels", "three Sentinels, on three machines"),
    new("one-replica", 'D', Warn, detection::one_replica, "one replica", "two replicas: one is left after a failover"),
    new("quorum-one", 'D', Warn, detection::quorum_one, "quorum 1", "a quorum of 2, of three Sentinels").shown("bad-link", "failovers", "sentinel.quorum", "2"),
    new("down-after-long", 'D', Note, detection::down_after_long, "down-after is long", "`down-after-milliseconds 5000` is usual").shown("master-dies", "set-outage", "sentinel.down-after-milliseconds", "5000"),
    new("down-after-short", 'D', Warn, detection::down_after_short, "down-after is short", "`down-after-milliseconds` of at least 2000").shown("stalls", "failovers", "sentinel.down-after-milliseconds", "5000"),
    new("even-sentinels", 'D', Warn, detection::even_sentinels, "an even number of Sentinels", "one Sentinel less, or one more"),
    new("parallel-syncs-all", 'D', Note, detection::parallel_syncs_all, "all replicas copy at once", "`parallel-syncs 1`"),
    new("quorum-below-majority", 'D', Warn, detection::quorum_below_majority, "the quorum is below the majority", "a quorum that is the majority of the Sentinels"),
    new("quorum-all", 'D', Warn, detection::quorum_all, "the quorum is all Sentinels", "a quorum that is the majority of the Sentinels"),
    // E: HAProxy.
    new("no-session-fencing", 'E', Warn, proxy::no_session_fencing, "sessions outlive the master that they lead to", "`on-marked-down shutdown-sessions` on each server").shown("cut-off", "readonly-sets", "haproxy.on-marked-down", "shutdown-sessions"),
    new("single-proxy", 'E', Note, proxy::single_proxy, "one HAProxy", "two HAProxies, behind an address that moves"),
    new("idle-cut", 'E', Warn, proxy::idle_cut, "quiet connections are cut", "`timeout tunnel`, and pings of the clients"),
    new("proxy-start-sends-to-replicas", 'E', Warn, proxy::proxy_start_sends_to_replicas, "after a start of HAProxy clients land on replicas", "`backup` for all but one, or `on-marked-down shutdown-sessions`").shown("none", "readonly-sets", "haproxy.on-marked-down", "shutdown-sessions"),
    new("returned-master-is-up", 'E', Warn, proxy::returned_master_is_up, "a master that returns is used before it is demoted", "start roles that last, or rise × inter above 11 s"),
    new("proxy-slower-than-sentinel", 'E', Note, proxy::proxy_slower_than_sentinel, "HAProxy notices later than Sentinel", "`fall` × `inter` below `down-after-milliseconds`").shown("master-hangs", "set-outage", "haproxy.inter", "1s"),
    new("proxy-resolves-once", 'E', Warn, proxy::proxy_resolves_once, "names are resolved once", "`resolvers` with Docker's 127.0.0.11, or fixed addresses"),
    new("no-timeouts", 'E', Warn, deceit::no_timeouts, "no timeouts", "`timeout connect`, `timeout client`, `timeout server`"),
    new("read-pool-unchecked", 'E', Warn, proxy::read_pool_unchecked, "a read pool that asks nothing", "expect `role:slave`, and `master_link_status:up`"),
    new("slow-way-back", 'E', Note, proxy::slow_way_back, "a new master is UP late", "rise 1, or a shorter downinter").shown("master-dies", "set-outage", "haproxy.rise", "1"),
    new("check-timeout-long", 'E', Warn, proxy::check_timeout_long, "timeout check is longer than inter", "`timeout check` not longer than `inter`").shown("master-hangs", "set-outage", "haproxy.timeout check", "1s"),
    new("proxy-beside-master", 'E', Warn, proxy::proxy_beside_master, "the only HAProxy beside the first master", "HAProxy on another machine, or two of them behind an address that moves").seen("machine", "set-outage"),
    // F: surroundings.
    new("one-machine", 'F', Note, surroundings::one_machine, "one machine", "spread Redis and Sentinels over three"),
    new("version-unpinned", 'F', Note, surroundings::version_unpinned, "an image without a fixed version", "an image's tag with major and minor version"),
    new("published-but-not-announced", 'F', Note, surroundings::published_but_not_announced, "published, but not announced", "`replica-announce-ip`, `sentinel announce-ip` with the address that clients see"),
    new("version-not-modelled", 'F', Note, surroundings::version_not_modelled, "a version before 7.0", "a newer image; docs/versions.md says what differs"),
    new("client-timeout", 'F', Note, surroundings::client_timeout, "idle clients are closed", "`timeout 0`, and keepalive"),
    new("keepalive-off", 'F', Warn, surroundings::keepalive_off, "no keepalive", "`tcp-keepalive 300`"),
    new("output-limit", 'F', Warn, surroundings::output_limit, "no limit for slow subscribers", "`client-output-buffer-limit pubsub 32mb 8mb 60`"),
    new("several-masters", 'F', Note, surroundings::several_masters, "several masters", "--master NAME chooses one"),
    new("tls", 'F', Note, surroundings::tls, "TLS", "nothing: know that it is not timed"),
];
