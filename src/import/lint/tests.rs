//! Every rule has a stack in which it fires and one, differing in one line, in which it does not.

use std::collections::BTreeSet;

use super::{RULES, Severity, findings};
use crate::import::{Files, Options, Stack, read};

/// A stack with compose and HAProxy in which nothing is wrong that a line of it could mend.
const COMPOSE: &str = "\
services:
  a:
    image: redis:7.0.15
    command: redis-server /etc/redis/redis.conf
    restart: always
    volumes: [./a:/etc/redis, a:/data]
    ports: ['6379:6379']
    networks: {n: {ipv4_address: 10.0.0.1}}
  b:
    image: redis:7.0.15
    command: redis-server /etc/redis/redis.conf
    restart: always
    volumes: [./b:/etc/redis, b:/data]
    networks: {n: {ipv4_address: 10.0.0.2}}
  c:
    image: redis:7.0.15
    command: redis-server /etc/redis/redis.conf
    restart: always
    volumes: [./c:/etc/redis, c:/data]
    networks: {n: {ipv4_address: 10.0.0.3}}
  s1:
    image: redis:7.0.15
    command: redis-sentinel /etc/redis/sentinel.conf
    restart: always
    volumes: [./s1:/etc/redis]
    networks: {n: {ipv4_address: 10.0.0.11}}
  s2:
    image: redis:7.0.15
    command: redis-sentinel /etc/redis/sentinel.conf
    restart: always
    volumes: [./s2:/etc/redis]
    networks: {n: {ipv4_address: 10.0.0.12}}
  s3:
    image: redis:7.0.15
    command: redis-sentinel /etc/redis/sentinel.conf
    restart: always
    volumes: [./s3:/etc/redis]
    networks: {n: {ipv4_address: 10.0.0.13}}
  p1:
    image: haproxy:2.6
    restart: always
    volumes: [./p:/usr/local/etc/haproxy]
  p2:
    image: haproxy:2.6
    restart: always
    volumes: [./p:/usr/local/etc/haproxy]
";
const MASTER: &str = "\
port 6379
appendonly yes
protected-mode no
requirepass pw
masterauth pw
min-replicas-to-write 1
replica-announce-ip 10.0.0.1
client-output-buffer-limit pubsub 32mb 8mb 60
save 900 1
";
const REPLICA: &str = "\
port 6379
appendonly yes
protected-mode no
requirepass pw
masterauth pw
min-replicas-to-write 1
replicaof 10.0.0.1 6379
";
const SENTINEL: &str = "\
port 26379
sentinel monitor m 10.0.0.1 6379 2
sentinel auth-pass m pw
sentinel down-after-milliseconds m 5000
sentinel failover-timeout m 60000
sentinel parallel-syncs m 1
";
const HAPROXY: &str = "\
global
  maxconn 1000
defaults
  mode tcp
  timeout connect 5s
  timeout client 50s
  timeout server 50s
  timeout tunnel 24h
frontend f
  bind *:6379
  default_backend w
backend w
  option tcp-check
  tcp-check send AUTH\\ pw\\r\\n
  tcp-check expect string +OK
  tcp-check send info\\ replication\\r\\n
  tcp-check expect string role:master
  default-server inter 1s on-marked-down shutdown-sessions
  server a 10.0.0.1:6379 check maxconn 500
  server b 10.0.0.2:6379 check backup
  server c 10.0.0.3:6379 check backup
listen r
  bind *:6380
  option tcp-check
  tcp-check send AUTH\\ pw\\r\\n
  tcp-check expect string +OK
  tcp-check send info\\ replication\\r\\n
  tcp-check expect string role:slave
  server b 10.0.0.2:6379 check
  server c 10.0.0.3:6379 check
";

type Text = (String, String);

fn base() -> Vec<Text> {
    let files = [
        ("compose.yml", COMPOSE),
        ("a/redis.conf", MASTER),
        ("b/redis.conf", REPLICA),
        ("c/redis.conf", REPLICA),
        ("s1/sentinel.conf", SENTINEL),
        ("s2/sentinel.conf", SENTINEL),
        ("s3/sentinel.conf", SENTINEL),
        ("p/haproxy.cfg", HAPROXY),
    ];
    files.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec()
}

/// A stack whose Sentinels are built from a Dockerfile with a start script.
fn built() -> Vec<Text> {
    let mut files = base();
    for n in 1..=3 {
        let old = format!(
            "    image: redis:7.0.15\n    command: redis-sentinel /etc/redis/sentinel.conf\n    restart: always\n    volumes: [./s{n}:/etc/redis]\n"
        );
        let new = format!("    build: ./img\n    restart: always\n    volumes: [s{n}:/data]\n    environment: [Q=2]\n");
        assert!(files[0].1.contains(&old));
        files[0].1 = files[0].1.replace(&old, &new);
    }
    files.retain(|(path, _)| !path.ends_with("sentinel.conf"));
    let text = SENTINEL.replace(" 2\n", " @Q@\n");
    let script = "#!/bin/sh\nif [ ! -f /data/s.conf ]; then sed \"s/@Q@/$Q/\" /etc/s.conf > /data/s.conf; fi\necho started\nexec \"$@\"\n";
    let docker = "FROM redis:7.0.15\nCOPY s.conf /etc/s.conf\nCOPY start.sh /usr/local/bin/\nENTRYPOINT [\"start.sh\"]\nCMD [\"redis-sentinel\", \
                  \"/data/s.conf\"]\n";
    for (path, text) in [("img/s.conf", text.as_str()), ("img/start.sh", script), ("img/Dockerfile", docker)] {
        files.push((path.to_owned(), text.to_owned()));
    }
    files
}

/// A stack on three machines, each with a file of its own.
fn machines() -> Vec<Text> {
    let mut files = Vec::new();
    for n in 1..=3 {
        let text = "services:\n  redis:\n    image: redis:7.0.15\n    command: redis-server /etc/redis/redis.conf\n    network_mode: host\n    volumes: \
             [./conf:/etc/redis, d:/data]\n  sentinel:\n    image: redis:7.0.15\n    command: redis-sentinel /etc/redis/sentinel.conf\n    \
             network_mode: host\n    volumes: [./conf:/etc/redis]\n";
        let proxy =
            "  proxy:\n    image: haproxy:2.6\n    network_mode: host\n    volumes: [./p:/usr/local/etc/haproxy]\n";
        let text = if n == 2 { format!("{text}{proxy}") } else { text.to_owned() };
        files.push((format!("vm{n}/compose.yml"), text));
        let redis = if n == 1 { MASTER } else { REPLICA };
        files.push((format!("vm{n}/conf/redis.conf"), redis.replace("replica-announce-ip 10.0.0.1\n", "")));
        files.push((format!("vm{n}/conf/sentinel.conf"), format!("{SENTINEL}sentinel announce-ip 10.0.0.{n}\n")));
    }
    files.push(("vm2/p/haproxy.cfg".to_owned(), HAPROXY.to_owned()));
    files.push(("vm1/p/haproxy.cfg".to_owned(), HAPROXY.to_owned()));
    files
}

/// A stack in Kubernetes.
fn pods() -> Vec<Text> {
    let set = |name: &str, replicas: usize, image: &str, command: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: {name}}}\nspec:\n  serviceName: {name}\n  replicas: {replicas}\n  template:\n    \
             metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n        - name: x\n          image: {image}\n          command: \
             [sh, -c, \"{command}\"]\n          volumeMounts: [{{name: data, mountPath: /data}}, {{name: conf, mountPath: /conf}}]\n      \
             volumes: [{{name: conf, configMap: {{name: conf}}}}]\n  volumeClaimTemplates: [{{metadata: {{name: data}}}}]\n---\n"
        )
    };
    let redis = "cp -n /conf/redis.conf /data/redis.conf; if [ $(hostname) != r-0 ]; then echo replicaof r-0.r 6379 >> /data/redis.conf; fi; exec \
                 redis-server /data/redis.conf";
    let sentinel = "cp -n /conf/sentinel.conf /data/s.conf; exec redis-sentinel /data/s.conf";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata:\n  redis.conf: |\n    port 6379\n    appendonly yes\n    save 900 1\n    \
                  min-replicas-to-write 1\n  sentinel.conf: |\n    sentinel resolve-hostnames yes\n    sentinel monitor m r-0.r 6379 2\n    sentinel \
                  failover-timeout m 60000\n    sentinel down-after-milliseconds m 5000\n---\n";
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: r}\nspec:\n  clusterIP: None\n  selector: {app: r}\n";
    let text = [config, &set("r", 3, "redis:7.2", redis), &set("s", 3, "redis:7.2", sentinel), service].concat();
    vec![("all.yaml".to_owned(), text)]
}

fn stacks(texts: &[Text]) -> Vec<Stack> {
    read(&Files::of(texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))), &Options::default()).stacks
}

fn fired(texts: &[Text]) -> BTreeSet<&'static str> {
    stacks(texts).iter().flat_map(|stack| findings(stack, &[])).map(|finding| finding.rule).collect()
}

/// The rule, the stack, and the edit that makes it fire: file, text, replacement; `+` adds a line.
type Case = (&'static str, fn() -> Vec<Text>, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("sentinel-announces-wrong-address", base, "s1/sentinel.conf", "+", "sentinel announce-ip 127.0.0.1"),
    ("sentinel-announces-wrong-address", machines, "vm2/conf/sentinel.conf", "announce-ip 10.0.0.2", "announce-ip 10.0.0.1"),
    ("monitor-not-a-node", base, "s1/sentinel.conf", "10.0.0.1", "10.0.0.99"),
    ("name-not-resolved", base, "s1/sentinel.conf", "monitor m 10.0.0.1", "monitor m a"),
    ("placeholder-left", base, "s1/sentinel.conf", "10.0.0.1", "xx.xx.xx.xx"),
    ("proxy-ignores-role", || edited(base(), "p/haproxy.cfg", " check backup\n  server c", " check\n  server c"), "p/haproxy.cfg", "  tcp-check expect string role:master\n", ""),
    ("shared-state", base, "compose.yml", "[./c:/etc/redis, c:/data]", "[./c:/etc/redis, b:/data]"),
    ("auth-mismatch", base, "b/redis.conf", "masterauth pw\n", ""),
    ("auth-mismatch", base, "s1/sentinel.conf", "auth-pass m pw", "auth-pass m other"),
    ("min-replicas-unreachable", base, "a/redis.conf", "write 1", "write 3"),
    ("no-replication", base, "b/redis.conf", "replicaof 10.0.0.1 6379\n", ""),
    ("port-without-listener", base, "compose.yml", "'6379:6379'", "'6379:6380'"),
    ("proxy-leads-to-sentinel", || edited(base(), "p/haproxy.cfg", "backend w\n  option", "backend z\n  server s 10.0.0.11:26379 check\nbackend w\n  option"), "p/haproxy.cfg", "default_backend w", "default_backend z"),
    ("restart-empty", || edited(base(), "a/redis.conf", "appendonly yes\n", ""), "a/redis.conf", "save 900 1", "save \"\""),
    ("trailing-comment", base, "a/redis.conf", "appendonly yes", "appendonly yes # always"),
    ("check-auth-mismatch", base, "p/haproxy.cfg", "  tcp-check send AUTH\\ pw\\r\\n\n", ""),
    ("check-matches-replicas", base, "p/haproxy.cfg", "string role:master", "string master"),
    ("protected-mode", || edited_all(base(), "requirepass pw\n", ""), "a/redis.conf", "protected-mode no", "protected-mode yes"),
    ("renamed-command", base, "a/redis.conf", "+", "rename-command CONFIG \"\""),
    ("dead-config", base, "old/redis.conf", "", MASTER),
    ("dead-config", base, "p/haproxy.cfg", "default_backend w", "default_backend v"),
    ("dead-env", base, "compose.yml", "    ports: ['6379:6379']", "    ports: ['6379:6379']\n    environment: [REDIS_ROLE=master]"),
    ("compose-v1-names", || with_names(base()), "p/haproxy.cfg", "10.0.0.2:6379 check backup", "app_b_1:6379 check backup"),
    ("server-maxconn-above-global", base, "p/haproxy.cfg", "maxconn 500", "maxconn 5000"),
    ("substitution", built, "img/start.sh", "s/@Q@/", "s/@QUORUM@/"),
    ("state-in-repository", base, "s1/sentinel.conf", "+", "sentinel myid 0123456789012345678901234567890123456789"),
    ("version-mixed", base, "compose.yml", "    image: redis:7.0.15\n    command: redis-sentinel /etc/redis/sentinel.conf\n    restart: always\n    volumes: [./s1", "    image: redis:6.2\n    command: redis-sentinel /etc/redis/sentinel.conf\n    restart: always\n    volumes: [./s1"),
    ("healthcheck-without-password", base, "compose.yml", "    ports: ['6379:6379']", "    ports: ['6379:6379']\n    healthcheck: {test: redis-cli ping}"),
    ("quoted-env", base, "compose.yml", "    ports: ['6379:6379']", "    ports: ['6379:6379']\n    environment: ['TZ=\"UTC\"']"),
    ("trap-before-exec", built, "img/start.sh", "echo started", "trap 'redis-cli shutdown' TERM"),
    ("vip-watches-other-program", || added(base(), "keepalived.conf", "vrrp_script c {\n  script \"killall -0 haproxy\"\n}\n"), "keepalived.conf", "-0 haproxy", "-0 redis-server"),
    ("sentinels-differ", base, "s2/sentinel.conf", "milliseconds m 5000", "milliseconds m 6000"),
    ("start-role-fixed", base, "compose.yml", "command: redis-server /etc/redis/redis.conf\n    restart: always\n    volumes: [./b", "command: redis-server /etc/redis/redis.conf --replicaof 10.0.0.1 6379\n    restart: always\n    volumes: [./b"),
    ("no-aof", base, "b/redis.conf", "appendonly yes\n", ""),
    ("no-restart-policy", one_policy, "compose.yml", "    restart: unless-stopped\n", ""),
    ("no-data-volume", base, "compose.yml", "[./c:/etc/redis, c:/data]", "[./c:/etc/redis]"),
    ("sentinel-forgets-at-restart", built, "img/start.sh", "if [ ! -f /data/s.conf ]; then sed \"s/@Q@/$Q/\" /etc/s.conf > /data/s.conf; fi", "sed \"s/@Q@/$Q/\" /etc/s.conf > /data/s.conf"),
    ("sentinel-forgets-when-recreated", built, "compose.yml", "    volumes: [s1:/data]\n", ""),
    ("config-on-file-mount", base, "compose.yml", "./b:/etc/redis, b", "./b/redis.conf:/etc/redis/redis.conf, b"),
    ("file-may-be-unwritable", base, "compose.yml", "command: redis-sentinel /etc/redis/sentinel.conf", "command: redis-server /etc/redis/sentinel.conf --sentinel"),
    ("restart-stale", base, "a/redis.conf", "appendonly yes\n", ""),
    ("replication-by-hand", || added(base(), "init.sh", "#!/bin/sh\nredis-cli -h b PING\n"), "init.sh", "PING", "REPLICAOF a 6379"),
    ("restart-policy-differs", base, "compose.yml", "    restart: always\n    volumes: [./b", "    volumes: [./b"),
    ("writable-replica", base, "b/redis.conf", "+", "replica-read-only no"),
    ("sentinel-reset-hook", || added(base(), "stop.sh", "#!/bin/sh\nredis-cli -p 26379 PING\n"), "stop.sh", "PING", "SENTINEL RESET m"),
    ("no-min-replicas", base, "a/redis.conf", "min-replicas-to-write 1\n", ""),
    ("failover-timeout-default", base, "s1/sentinel.conf", "sentinel failover-timeout m 60000\n", ""),
    ("name-against-address", base, "b/redis.conf", "replicaof 10.0.0.1", "replicaof a"),
    ("failover-timeout-short", base, "s1/sentinel.conf", "failover-timeout m 60000", "failover-timeout m 6000"),
    ("few-sentinels", base, "compose.yml", "    command: redis-sentinel /etc/redis/sentinel.conf\n    restart: always\n    volumes: [./s3", "    command: sleep 1\n    restart: always\n    volumes: [./s3"),
    ("even-sentinels", base, "compose.yml", "    command: redis-sentinel /etc/redis/sentinel.conf\n    restart: always\n    volumes: [./s3", "    command: sleep 1\n    restart: always\n    volumes: [./s3"),
    ("one-replica", base, "compose.yml", "    command: redis-server /etc/redis/redis.conf\n    restart: always\n    volumes: [./c", "    command: sleep 1\n    restart: always\n    volumes: [./c"),
    ("quorum-one", base, "s1/sentinel.conf", "6379 2", "6379 1"),
    ("quorum-below-majority", base, "s1/sentinel.conf", "6379 2", "6379 1"),
    ("quorum-all", base, "s1/sentinel.conf", "6379 2", "6379 3"),
    ("down-after-long", base, "s1/sentinel.conf", "milliseconds m 5000", "milliseconds m 60000"),
    ("down-after-short", base, "s1/sentinel.conf", "milliseconds m 5000", "milliseconds m 1000"),
    ("parallel-syncs-all", base, "s1/sentinel.conf", "syncs m 1", "syncs m 2"),
    ("no-session-fencing", base, "p/haproxy.cfg", " on-marked-down shutdown-sessions", ""),
    ("single-proxy", base, "compose.yml", "  p2:\n    image: haproxy:2.6", "  p2:\n    image: nginx:1"),
    ("idle-cut", base, "p/haproxy.cfg", "  timeout tunnel 24h\n", ""),
    ("proxy-start-sends-to-replicas", || edited(base(), "p/haproxy.cfg", " on-marked-down shutdown-sessions", ""), "p/haproxy.cfg", "10.0.0.2:6379 check backup", "10.0.0.2:6379 check"),
    ("returned-master-is-up", || edited(edited(base(), "p/haproxy.cfg", "inter 1s", "inter 1s rise 15"), "compose.yml", "redis-server /etc/redis/redis.conf\n    restart: always\n    volumes: [./b", "redis-server /etc/redis/redis.conf --replicaof 10.0.0.1 6379\n    restart: always\n    volumes: [./b"), "p/haproxy.cfg", "rise 15", "rise 2"),
    ("proxy-slower-than-sentinel", base, "p/haproxy.cfg", "inter 1s", "inter 3s"),
    ("proxy-resolves-once", || with_names(base()), "p/haproxy.cfg", "10.0.0.1:6379 check", "a:6379 check"),
    ("no-timeouts", base, "p/haproxy.cfg", "  timeout client 50s\n", ""),
    ("read-pool-unchecked", base, "p/haproxy.cfg", "  tcp-check expect string role:slave\n", ""),
    ("slow-way-back", base, "p/haproxy.cfg", "inter 1s", "inter 1s rise 6"),
    ("check-timeout-long", base, "p/haproxy.cfg", "  timeout tunnel 24h", "  timeout tunnel 24h\n  timeout check 5s"),
    ("version-unpinned", base, "compose.yml", "image: haproxy:2.6", "image: haproxy"),
    ("published-but-not-announced", base, "a/redis.conf", "replica-announce-ip 10.0.0.1\n", ""),
    ("version-not-modelled", base, "compose.yml", "image: redis:7.0.15", "image: redis:6.2"),
    ("client-timeout", base, "a/redis.conf", "+", "timeout 300"),
    ("keepalive-off", base, "a/redis.conf", "+", "tcp-keepalive 0"),
    ("output-limit", base, "a/redis.conf", "pubsub 32mb 8mb 60", "pubsub 0 0 0"),
    ("several-masters", base, "s1/sentinel.conf", "+", "sentinel monitor other 10.0.0.9 6379 2"),
    ("tls", base, "a/redis.conf", "+", "tls-port 6390"),
    ("proxy-beside-master", || edited(machines(), "vm1/compose.yml", "  sentinel:\n", "  proxy:\n    image: haproxy:2.6\n    network_mode: host\n    volumes: [./p:/usr/local/etc/haproxy]\n  sentinel:\n"), "vm2/compose.yml", "image: haproxy:2.6", "image: nginx:1"),
    ("one-machine", || edited(base(), "compose.yml", "10.0.0.3}}\n", "10.0.0.3}}\n    deploy: {placement: {constraints: [node.hostname == b]}}\n"), "compose.yml", "    deploy: {placement: {constraints: [node.hostname == b]}}\n", ""),
    ("start-role-unknown", || edited(without_files(), "compose.yml", "command: redis-server /etc/redis/redis.conf\n    restart: always\n    volumes: [./b", "command: redis-server /etc/redis/redis.conf --replicaof 10.0.0.1 6379\n    restart: always\n    volumes: [./b"), "compose.yml", " --replicaof 10.0.0.1 6379", ""),
    ("shared-file", || edited(base(), "compose.yml", "./b:/etc/redis,", "./b/redis.conf:/etc/redis/redis.conf,"), "compose.yml", "./c:/etc/redis,", "./b/redis.conf:/etc/redis/redis.conf,"),
    ("service-vip", || edited(pods(), "all.yaml", "  clusterIP: None\n", ""), "all.yaml", "monitor m r-0.r", "monitor m r"),
];

fn edited(mut files: Vec<Text>, path: &str, from: &str, to: &str) -> Vec<Text> {
    if let Some((_, text)) = files.iter_mut().find(|(own, _)| own == path) {
        *text = text.replace(from, to);
    }
    files
}

fn edited_all(mut files: Vec<Text>, from: &str, to: &str) -> Vec<Text> {
    files.iter_mut().for_each(|(_, text)| *text = text.replace(from, to));
    files
}

fn added(mut files: Vec<Text>, path: &str, text: &str) -> Vec<Text> {
    files.push((path.to_owned(), text.to_owned()));
    files
}

/// The folders of the Redis nodes are not in the set; one file of the name is.
fn without_files() -> Vec<Text> {
    let mut files = base();
    files.retain(|(path, _)| !path.ends_with("redis.conf"));
    added(files, "redis.conf", MASTER)
}

/// Without fixed addresses for Redis: by their names.
fn with_names(files: Vec<Text>) -> Vec<Text> {
    let files = edited_all(files, "    networks: {n: {ipv4_address: 10.0.0.1}}\n", "");
    edited_all(files, "    networks: {n: {ipv4_address: 10.0.0.2}}\n", "")
}

/// A single program of Redis and Sentinel has a restart policy.
fn one_policy() -> Vec<Text> {
    let mut files = edited_all(base(), "    restart: always\n", "");
    files[0].1 =
        files[0].1.replacen("    ports: ['6379:6379']\n", "    ports: ['6379:6379']\n    restart: unless-stopped\n", 1);
    files
}

/// The same with the edit.
fn wrong(case: &Case) -> Option<Vec<Text>> {
    let (_, stack, path, from, to) = *case;
    let mut files = stack();
    match (path, from) {
        (path, "") => files.push((path.to_owned(), to.to_owned())),
        (path, "+") => files.iter_mut().find(|(own, _)| own == path)?.1.push_str(&format!("{to}\n")),
        (path, from) => {
            let text = &mut files.iter_mut().find(|(own, _)| own == path)?.1;
            if !text.contains(from) {
                return None;
            }
            *text = text.replacen(from, to, 1);
        }
    }
    Some(files)
}

/// How many lines only one of two sets has: two, if they differ in one.
fn lines_apart(a: &[Text], b: &[Text]) -> usize {
    let mut lines: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for (files, sign) in [(a, 1), (b, -1)] {
        for (path, text) in files {
            text.lines().for_each(|line| *lines.entry(format!("{path}: {line}")).or_insert(0) += sign);
        }
    }
    lines.values().map(|count| count.unsigned_abs() as usize).sum()
}

#[test]
fn each_rule_fires_on_one_line_and_not_without_it() {
    let mut shown = BTreeSet::new();
    let mut wrongs = Vec::new();
    for case in CASES {
        let Some(files) = wrong(case) else { continue };
        if lines_apart(&case.1(), &files) <= 2 {
            shown.insert(case.0);
        }
        if fired(&case.1()).contains(case.0) {
            wrongs.push(format!("{} fires without {:?}", case.0, case.4));
        }
        if !fired(&files).contains(case.0) {
            wrongs.push(format!("{} does not fire on {:?}", case.0, case.4));
        }
    }
    let missing: Vec<&str> = RULES.iter().map(|rule| rule.id).filter(|id| !shown.contains(id)).collect();
    assert!(wrongs.is_empty() && missing.is_empty(), "{wrongs:#?}\nrules without a stack: {missing:?}");
}

#[test]
fn the_page_of_rules_is_that_of_the_table() {
    let page = include_str!("../../../docs/lint.md");
    let table = super::markdown();
    if !page.contains(&table) {
        let stale = table.lines().find(|line| !page.contains(line));
        panic!("docs/lint.md is stale: `sim lint --rules --format markdown` prints its table; first: {stale:?}");
    }
}

#[test]
fn the_table_is_sound() {
    let ids: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!((ids.len(), RULES.len()), (79, 79));
    for rule in RULES {
        assert!(('A'..='F').contains(&rule.group) && !rule.title.is_empty() && rule.remedy.len() > 10, "{}", rule.id);
        if let Some(proof) = rule.proof {
            assert!(
                crate::import::situation::SITUATIONS.iter().any(|(name, _)| *name == proof.situation),
                "{}",
                rule.id
            );
        }
    }
}

#[test]
fn a_good_stack_has_no_errors_and_secrets_are_never_told() {
    let stacks = stacks(&base());
    let found = findings(&stacks[0], &[]);
    let bad: Vec<_> = found.iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let secret = edited_all(base(), "requirepass pw", "requirepass hunter2");
    let stacks =
        read(&Files::of(secret.iter().map(|(path, text)| (path.as_str(), text.as_str()))), &Options::default()).stacks;
    let found = findings(&stacks[0], &[]);
    let toml = crate::import::output::scenario(&stacks[0], &found, &crate::import::output::Wishes::default()).toml;
    assert!(found.iter().all(|finding| !finding.message.contains("hunter2")) && !toml.contains("hunter2"));
    assert!(found.iter().any(|finding| finding.rule == "auth-mismatch"));
}
