//! Known images: which program they hold, in which version, and which variables they read.

use std::collections::BTreeMap;

use super::origin::{Line, Origin, Text};

/// What an image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The official images of Redis and Valkey, and those that start the same way: `docker-entrypoint.sh`, then
    /// `redis-server`.
    Redis,
    /// An image that starts a Sentinel, of unknown content.
    Sentinel,
    /// Bitnami's Redis or Valkey: its file is made from variables at each start.
    BitnamiRedis,
    /// Bitnami's Sentinel.
    BitnamiSentinel,
    /// HAProxy.
    Haproxy,
    /// Anything else.
    Other,
}

/// An image's name, cut up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// What it holds.
    pub kind: Kind,
    /// The last part of its path.
    pub name: String,
    /// Its tag, if it has one.
    pub tag: Option<String>,
    /// Whether it is Valkey.
    pub valkey: bool,
}

/// Reads the name of an image.
pub(crate) fn read(image: &str) -> Name {
    let image = image.split('@').next().unwrap_or_default();
    let (path, tag) = match image.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
        _ => (image, None),
    };
    let parts: Vec<&str> = path.split('/').collect();
    let name = parts.last().copied().unwrap_or_default().to_ascii_lowercase();
    let bitnami = parts.iter().any(|part| part.starts_with("bitnami"));
    let valkey = name.contains("valkey");
    let tag_says = tag.as_deref().unwrap_or_default();
    let kind = match name.as_str() {
        "redis" | "valkey" if bitnami => Kind::BitnamiRedis,
        "redis-sentinel" | "valkey-sentinel" if bitnami => Kind::BitnamiSentinel,
        "redis" if tag_says == "sentinel" => Kind::Sentinel,
        "redis" if tag_says == "haproxy" => Kind::Haproxy,
        "redis" | "valkey" | "redis-stack" | "redis-stack-server" | "redis-alpine" | "keydb" => Kind::Redis,
        name if name == "haproxy"
            || name.starts_with("haproxy-alpine")
            || name.starts_with("haproxy-debian")
            || name.starts_with("haproxy-ubuntu") =>
        {
            Kind::Haproxy
        }
        name if name.ends_with("sentinel") => Kind::Sentinel,
        _ => Kind::Other,
    };
    Name { kind, name, tag, valkey }
}

impl Name {
    /// The version that the tag pins: at least major and minor.
    pub fn version(&self) -> Option<(u32, u32)> {
        let (major, minor) = self.numbers()?;
        Some((major, minor?))
    }

    /// The numbers at the beginning of the tag.
    pub fn numbers(&self) -> Option<(u32, Option<u32>)> {
        let tag = self.tag.as_deref()?.trim_start_matches('v');
        let end = tag.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(tag.len());
        let mut numbers = tag[..end].split('.').map(|part| part.parse::<u32>().ok());
        let major = numbers.next()??;
        Some((major, numbers.next().flatten()))
    }

    /// Whether the tag leaves the version open.
    pub fn is_unpinned(&self) -> bool {
        self.version().is_none()
    }
}

/// The Redis that a distribution's packages hold, by the image that a Dockerfile begins with.
pub(crate) fn of_distribution(image: &Name) -> Option<(u32, u32)> {
    let tag = image.tag.as_deref().unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| tag.starts_with(word));
    match image.name.as_str() {
        "ubuntu" if has(&["bionic", "18.04"]) => Some((4, 0)),
        "ubuntu" if has(&["focal", "20.04"]) => Some((5, 0)),
        "ubuntu" if has(&["jammy", "22.04"]) => Some((6, 0)),
        "ubuntu" if has(&["noble", "24.04"]) => Some((7, 0)),
        "debian" if has(&["buster", "10"]) => Some((5, 0)),
        "debian" if has(&["bullseye", "11"]) => Some((6, 0)),
        "debian" if has(&["bookworm", "12"]) => Some((7, 0)),
        _ => None,
    }
}

/// Variables that every image may read: of the system, not of the program.
const COMMON: [&str; 20] = [
    "TZ",
    "LANG",
    "LC_ALL",
    "LANGUAGE",
    "PATH",
    "HOME",
    "USER",
    "PUID",
    "PGID",
    "UMASK",
    "DEBIAN_FRONTEND",
    "HOSTNAME",
    "TERM",
    "POD_IP",
    "POD_NAME",
    "POD_NAMESPACE",
    "MALLOC_CONF",
    "LD_PRELOAD",
    "NODE_NAME",
    "HOST_IP",
];

/// Whether the image itself reads the variable.
pub(crate) fn reads(kind: Kind, name: &str) -> bool {
    let bitnami = ["REDIS_", "VALKEY_", "ALLOW_EMPTY_PASSWORD", "BITNAMI_", "DISABLE_"];
    COMMON.contains(&name)
        || match kind {
            Kind::BitnamiRedis | Kind::BitnamiSentinel => bitnami.iter().any(|prefix| name.starts_with(prefix)),
            // What an image of unknown content reads is unknown.
            Kind::Sentinel | Kind::Other => true,
            Kind::Redis | Kind::Haproxy => {
                name.starts_with("HAPROXY_")
                    || name == "SKIP_FIX_PERMS"
                    || name == "SKIP_DROP_PRIVS"
                    || name == "REDIS_ARGS"
                    || name == "VALKEY_EXTRA_FLAGS"
            }
        }
}

/// The environment under Redis's names: Valkey's images have the same variables with another prefix.
fn get<'a>(env: &'a BTreeMap<String, Text>, name: &str) -> Option<&'a Text> {
    let value = env.get(&format!("REDIS_{name}")).or_else(|| env.get(&format!("VALKEY_{name}")));
    value.filter(|text| !text.text.is_empty())
}

/// A line of a file that an image makes from a variable.
fn line(text: String, value: &Text, name: &str) -> Line {
    let origin = Origin { seams: None, ..value.origin.clone() };
    Line { parts: vec![Text::new(value.text.clone(), value.origin.clone())], text, origin: origin.put_into_name(name) }
}

impl Origin {
    fn put_into_name(mut self, name: &str) -> Origin {
        self.through.push(format!("the image's variable {name}"));
        self
    }
}

/// The redis.conf that Bitnami's image makes (scripts of 7.4), with the image's own defaults.
pub(crate) fn bitnami_redis(env: &BTreeMap<String, Text>, origin: &Origin) -> Vec<Line> {
    let mut lines = Vec::new();
    let own =
        |text: &str| Line { text: text.to_owned(), origin: origin.clone().put_into_name("default"), parts: Vec::new() };
    let yes = |name: &str| {
        get(env, name).is_some_and(|text| ["yes", "true", "1"].contains(&text.text.to_ascii_lowercase().as_str()))
    };
    match get(env, "AOF_ENABLED") {
        Some(value) => lines.push(line(
            format!("appendonly {}", if yes("AOF_ENABLED") { "yes" } else { "no" }),
            value,
            "REDIS_AOF_ENABLED",
        )),
        None => lines.push(own("appendonly yes")),
    }
    match (get(env, "RDB_POLICY"), get(env, "RDB_POLICY_DISABLED")) {
        (_, Some(value)) if yes("RDB_POLICY_DISABLED") => {
            lines.push(line("save \"\"".to_owned(), value, "REDIS_RDB_POLICY_DISABLED"))
        }
        (Some(value), _) => {
            for pair in value.text.split_whitespace() {
                lines.push(line(format!("save {}", pair.replace('#', " ")), value, "REDIS_RDB_POLICY"));
            }
        }
        _ => {}
    }
    let pairs = [
        ("PORT_NUMBER", "port"),
        ("PASSWORD", "requirepass"),
        ("MASTER_PASSWORD", "masterauth"),
        ("REPLICA_IP", "replica-announce-ip"),
        ("REPLICA_PORT", "replica-announce-port"),
    ];
    for (name, directive) in pairs {
        if let Some(value) = get(env, name) {
            lines.push(line(
                format!("{directive} \"{}\"", value.text.replace(['"', '\\'], "")),
                value,
                &format!("REDIS_{name}"),
            ));
        }
    }
    let open = env.get("ALLOW_EMPTY_PASSWORD").filter(|text| ["yes", "true"].contains(&text.text.as_str()));
    match open {
        Some(value) => lines.push(line("protected-mode no".to_owned(), value, "ALLOW_EMPTY_PASSWORD")),
        None if get(env, "PASSWORD").is_some() => {}
        None => lines.push(own("protected-mode yes")),
    }
    let mode = get(env, "REPLICATION_MODE").filter(|mode| ["slave", "replica"].contains(&mode.text.as_str()));
    if let Some(mode) = mode {
        let port = get(env, "MASTER_PORT_NUMBER").map_or("6379".to_owned(), |text| text.text.clone());
        let (host, source) = match get(env, "MASTER_HOST") {
            Some(host) => (host.text.clone(), host),
            None => ("localhost".to_owned(), mode),
        };
        lines.push(line(format!("replicaof {host} {port}"), source, "REDIS_MASTER_HOST"));
    }
    lines
}

/// The sentinel.conf that Bitnami's image makes, with the image's own defaults.
pub(crate) fn bitnami_sentinel(env: &BTreeMap<String, Text>, origin: &Origin, old: bool) -> Vec<Line> {
    let own = |text: String| Line { text, origin: origin.clone().put_into_name("default"), parts: Vec::new() };
    let or = |name: &str, default: &str| get(env, name).map_or(default.to_owned(), |text| text.text.clone());
    let set = or("MASTER_SET", "mymaster");
    let mut lines = Vec::new();
    let mut put =
        |names: &[&str], text: String| match names.iter().find_map(|name| get(env, name).map(|value| (name, value))) {
            Some((name, value)) => {
                let mut made = line(text, value, &format!("REDIS_{name}"));
                made.parts = names.iter().filter_map(|name| get(env, name)).cloned().collect();
                lines.push(made);
            }
            None => lines.push(own(text)),
        };
    let monitor = format!(
        "sentinel monitor {set} {} {} {}",
        or("MASTER_HOST", "redis"),
        or("MASTER_PORT_NUMBER", "6379"),
        or("SENTINEL_QUORUM", "2")
    );
    put(&["SENTINEL_QUORUM", "MASTER_HOST", "MASTER_PORT_NUMBER", "MASTER_SET"], monitor);
    for (name, directive, default) in [
        ("SENTINEL_DOWN_AFTER_MILLISECONDS", "down-after-milliseconds", "60000"),
        ("SENTINEL_FAILOVER_TIMEOUT", "failover-timeout", "180000"),
        ("SENTINEL_MASTER_REBOOT_DOWN_AFTER_PERIOD", "master-reboot-down-after-period", "0"),
    ] {
        put(&[name], format!("sentinel {directive} {set} {}", or(name, default)));
    }
    put(&[], format!("sentinel parallel-syncs {set} 1"));
    if !old {
        put(
            &["SENTINEL_RESOLVE_HOSTNAMES"],
            format!("sentinel resolve-hostnames {}", or("SENTINEL_RESOLVE_HOSTNAMES", "yes")),
        );
        put(
            &["SENTINEL_ANNOUNCE_HOSTNAMES"],
            format!("sentinel announce-hostnames {}", or("SENTINEL_ANNOUNCE_HOSTNAMES", "no")),
        );
    }
    for (name, text) in [
        ("SENTINEL_ANNOUNCE_IP", "sentinel announce-ip"),
        ("SENTINEL_ANNOUNCE_PORT", "sentinel announce-port"),
        ("SENTINEL_PORT_NUMBER", "port"),
        ("SENTINEL_PASSWORD", "requirepass"),
    ] {
        if let Some(value) = get(env, name) {
            put(&[name], format!("{text} {}", value.text));
        }
    }
    if let Some(value) = get(env, "MASTER_PASSWORD") {
        put(&["MASTER_PASSWORD"], format!("sentinel auth-pass {set} \"{}\"", value.text.replace(['"', '\\'], "")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_kind_and_version() {
        let kind = |image: &str| (read(image).kind, read(image).version());
        assert_eq!(kind("redis:7.0.15-alpine"), (Kind::Redis, Some((7, 0))));
        assert_eq!(kind("docker.io/bitnami/redis-sentinel:8.2.1-debian-12-r0"), (Kind::BitnamiSentinel, Some((8, 2))));
        assert_eq!(kind("localhost:5000/haproxy"), (Kind::Haproxy, None));
        assert_eq!(kind("oliver006/redis_exporter:v1.2"), (Kind::Other, Some((1, 2))));
        assert_eq!(kind("redis:4-alpine"), (Kind::Redis, None));
        assert!(read("valkey/valkey:8.1").valkey);
        assert_eq!(read("redis:4-alpine").numbers(), Some((4, None)));
    }
}
