//! Values of known charts, and the resources of known operators: their defaults are those of the versions named here.

use super::UNKNOWN;
use super::container::{Container, Mount, Platform, Source};
use super::identity;
use super::images;
use super::launch::{Kind, Program};
use super::origin::{Line, Origin, Text};
use super::redis_conf::Directives;
use super::source::Files;
use super::stack::{Remark, Stack};
use super::vfs::{ConfigFile, Home};
use super::yaml::Node;

/// The most nodes of a kind.
const NODES_MAX: usize = 1_000;

/// A stack that is being made from values.
struct Maker<'a> {
    stack: Stack,
    chart: &'static str,
    node: &'a Node,
}

impl Maker<'_> {
    /// The value at `path`, or what the chart has if it is absent.
    fn value(&self, path: &[&str], default: &str) -> Line {
        match self.node.text_at(path) {
            Some(text) => Line { parts: vec![text.clone()], text: text.text, origin: text.origin },
            None => {
                let mut origin = Origin::at(self.node.place().clone());
                origin.through.push(format!("the default of {}", self.chart));
                Line { text: default.to_owned(), origin, parts: Vec::new() }
            }
        }
    }

    /// A directive with the value at `path`.
    fn line(&self, directive: &str, path: &[&str], default: &str) -> Line {
        let value = self.value(path, default);
        Line {
            text: format!("{directive} {}", value.text),
            parts: vec![Text::new(value.text.clone(), value.origin.clone())],
            origin: value.origin,
        }
    }

    fn number(&self, path: &[&str], default: usize) -> usize {
        self.node.text_at(path).and_then(|text| text.text.parse().ok()).unwrap_or(default).clamp(1, NODES_MAX)
    }

    fn program(&self, kind: Kind, name: &str, lines: Vec<Line>, image: Option<Text>, data: Source) -> Program {
        let place = lines.first().map_or(self.node.place().clone(), |line| line.origin.place.clone());
        let mut container = Container::new(name, place.clone());
        container.platform = Platform::Kubernetes;
        container.restarts = true;
        container.image = image.clone();
        container.mounts.push(Mount {
            target: "/data".into(),
            source: data,
            read_only: false,
            place: place.clone(),
            volume: None,
        });
        let mut program = Program::empty(kind, name, place.clone());
        program.settings = Directives::of_lines(&lines);
        program.image = image.as_ref().map(|text| images::read(&text.text));
        program.image_place = image.map(|text| text.origin.place);
        program.config = Some(ConfigFile {
            path: "/data/conf".into(),
            lines: Some(lines),
            home: Home::Volume,
            read_only: false,
            regenerated: false,
            place,
            in_set: None,
        });
        program.container = Some(container);
        program
    }
}

/// Lines of a block of redis.conf or sentinel.conf.
fn block(node: &Node) -> Vec<Line> {
    let text = node.text().unwrap_or_default();
    super::compose::block(text, &node.origin)
}

/// The stack that the values of a known chart describe.
pub(super) fn values(files: &Files, documents: &[Node]) -> Option<Stack> {
    let bitnami = |node: &&Node| {
        node.get("sentinel").is_some() && (node.get("architecture").is_some() || node.get("replica").is_some())
    };
    let ha = |node: &&Node| {
        node.at(&["redis", "masterGroupName"]).is_some()
            || node.get("haproxy").is_some() && node.get("redis").is_some() && node.get("sentinel").is_some()
    };
    let chart = files.all().any(|file| file.path.ends_with("Chart.yaml"));
    if let Some(node) = documents.iter().find(ha) {
        return Some(redis_ha(node));
    }
    let node = documents.iter().find(bitnami)?;
    let on = node.at(&["sentinel", "enabled"]).is_some_and(Node::is_true);
    (on || chart).then(|| bitnami_chart(node, on))
}

/// `bitnami/redis` (defaults of chart 23.1): each pod holds a Redis and a Sentinel and asks the Sentinels at its start.
fn bitnami_chart(node: &Node, on: bool) -> Stack {
    let mut maker = Maker { stack: Stack::default(), chart: "chart bitnami/redis 23.1", node };
    let name = maker.value(&["sentinel", "masterSet"], "mymaster");
    let set = name.text.clone();
    let image = |path: &[&str]| -> Option<Text> {
        let image = node.at(path)?;
        let (repository, tag) = (image.text_at(&["repository"])?, image.text_at(&["tag"])?);
        Some(Text::new(format!("{}:{}", repository.text, tag.text), tag.origin))
    };
    let (redis_image, sentinel_image) = (image(&["image"]), image(&["sentinel", "image"]));
    let count = maker.number(&["replica", "replicaCount"], 3);
    let kept = node.at(&["replica", "persistence", "enabled"]).is_none_or(Node::is_true);
    let data = if kept { Source::Volume("data".into()) } else { Source::Scratch };
    let mut common = node.get("commonConfiguration").map(block).unwrap_or_default();
    if common.is_empty() {
        common.push(maker.line("appendonly", &["\u{1}"], "yes"));
        common.push(maker.line("save", &["\u{1}"], "\"\""));
    }
    common.extend(node.at(&["replica", "configuration"]).map(block).unwrap_or_default());
    let quorum = maker.value(&["sentinel", "quorum"], "2");
    let monitor = Line {
        text: format!("sentinel monitor {set} redis-node-0 6379 {}", quorum.text),
        parts: vec![Text::new(quorum.text.clone(), quorum.origin.clone()), Text::new(set.clone(), name.origin.clone())],
        origin: quorum.origin,
    };
    let mut lines = vec![monitor];
    for (directive, path, default) in [
        ("down-after-milliseconds", "downAfterMilliseconds", "60000"),
        ("failover-timeout", "failoverTimeout", "180000"),
        ("parallel-syncs", "parallelSyncs", "1"),
    ] {
        lines.push(maker.line(&format!("sentinel {directive} {set}"), &["sentinel", path], default));
    }
    lines.push(maker.line("sentinel resolve-hostnames", &["\u{1}"], "yes"));
    lines.extend(node.at(&["sentinel", "configuration"]).map(block).unwrap_or_default());
    let place = node.at(&["sentinel"]).map_or(node.place(), Node::place).clone();
    if !on {
        let text =
            "sentinel.enabled: on; the file has it off, and without Sentinel there is nothing to simulate".to_owned();
        maker.stack.assumed.push(Remark { place: Some(place), text, matters: true });
    }
    pods(&mut maker, count, &common, &lines, (redis_image, sentinel_image), data, "redis-node");
    ask_sentinel(&mut maker.stack);
    finished(maker)
}

/// Both programs of each pod.
fn pods(
    maker: &mut Maker<'_>,
    count: usize,
    redis: &[Line],
    sentinel: &[Line],
    images: (Option<Text>, Option<Text>),
    data: Source,
    name: &str,
) {
    for n in 0..count {
        let own = format!("{name}-{n}");
        let mut lines = redis.to_vec();
        if n > 0 {
            let master = if name.contains("ha-server") { UNKNOWN.to_string() } else { format!("{name}-0") };
            lines.push(Line::at(&format!("replicaof {master} 6379"), maker.node.place().clone()));
        }
        let program = maker.program(Kind::Redis, &own, lines, images.0.clone(), data.clone());
        maker.stack.redis.push(program);
        let mut program =
            maker.program(Kind::Sentinel, &own, sentinel.to_vec(), images.1.clone().or(images.0.clone()), data.clone());
        program.settings.all.push(super::redis_conf::Directive {
            name: "sentinel myid".into(),
            written: "sentinel myid".into(),
            words: vec![Text::new(format!("pod-{n}"), Origin::at(maker.node.place().clone()))],
            origin: Origin::at(maker.node.place().clone()),
            argument: false,
            comment_behind: false,
        });
        maker.stack.sentinels.push(program);
        maker.stack.machines.insert(own);
    }
}

fn ask_sentinel(stack: &mut Stack) {
    let text =
        "a pod asks the Sentinels for the master when it starts: here it keeps its last role (config-file)".to_owned();
    stack.left_out.push(Remark { place: None, text, matters: true });
}

/// `dandydeveloper/redis-ha` (defaults of chart 4.33).
fn redis_ha(node: &Node) -> Stack {
    let mut maker = Maker { stack: Stack::default(), chart: "chart redis-ha 4.33", node };
    let name = maker.value(&["redis", "masterGroupName"], "mymaster");
    let set = name.text.clone();
    let count = maker.number(&["replicas"], 3);
    let image = node.at(&["image"]).and_then(|image| {
        let (repository, tag) = (image.text_at(&["repository"])?, image.text_at(&["tag"])?);
        Some(Text::new(format!("{}:{}", repository.text, tag.text), tag.origin))
    });
    let entries = |path: &[&str], defaults: &[(&str, &str)]| -> Vec<(String, Line)> {
        let said = node.at(path).map(Node::entries).unwrap_or_default();
        let mut all: Vec<(String, Line)> = said
            .iter()
            .filter_map(|(key, value)| {
                let text = value.as_text()?;
                Some((
                    key.text.clone(),
                    Line { text: text.text.clone(), parts: vec![text.clone()], origin: text.origin },
                ))
            })
            .collect();
        for (key, default) in defaults.iter().filter(|(key, _)| !said.iter().any(|(own, _)| own.text == *key)) {
            all.push(((*key).to_owned(), maker.value(&["\u{1}"], default)));
        }
        all
    };
    let with = |name: String, value: Line| Line { text: format!("{name} {}", value.text), ..value };
    let redis: Vec<Line> = entries(
        &["redis", "config"],
        &[("min-replicas-to-write", "1"), ("min-replicas-max-lag", "5"), ("save", "900 1")],
    )
    .into_iter()
    .map(|(name, value)| with(name, value))
    .collect();
    let mut sentinel =
        vec![with(format!("sentinel monitor {set} {UNKNOWN} 6379"), maker.value(&["sentinel", "quorum"], "2"))];
    let config = entries(
        &["sentinel", "config"],
        &[("down-after-milliseconds", "10000"), ("failover-timeout", "180000"), ("parallel-syncs", "5")],
    );
    sentinel.extend(
        config
            .into_iter()
            .filter(|(name, _)| name != "maxclients")
            .map(|(name, value)| with(format!("sentinel {name} {set}"), value)),
    );
    let kept = node.at(&["persistentVolume", "enabled"]).is_none_or(Node::is_true);
    let data = if kept { Source::Volume("data".into()) } else { Source::Scratch };
    pods(&mut maker, count, &redis, &sentinel, (image.clone(), image), data, "redis-ha-server");
    if node.at(&["haproxy", "enabled"]).is_some_and(Node::is_true) {
        ha_proxy(&mut maker, count);
    }
    ask_sentinel(&mut maker.stack);
    finished(maker)
}

/// The haproxy.cfg that the chart makes, as far as it matters here.
fn ha_proxy(maker: &mut Maker<'_>, count: usize) {
    let mut lines = Vec::new();
    let plain = |text: &str| Line::at(text, maker.node.place().clone());
    lines.push(plain("defaults"));
    lines.push(plain("mode tcp"));
    for (name, default) in
        [("connect", "4s"), ("server", "330s"), ("client", "330s"), ("check", "2s"), ("tunnel", "1h")]
    {
        lines.push(maker.line(&format!("timeout {name}"), &["haproxy", "timeout", name], default));
    }
    for text in [
        "frontend ft_redis_master",
        "bind *:6379",
        "default_backend bk_redis_master",
        "backend bk_redis_master",
        "option tcp-check",
        "tcp-check connect",
        "tcp-check send PING\\r\\n",
        "tcp-check expect string +PONG",
        "tcp-check send info\\ replication\\r\\n",
        "tcp-check expect string role:master",
        "tcp-check send QUIT\\r\\n",
        "tcp-check expect string +OK",
    ] {
        lines.push(plain(text));
    }
    let inter = maker.value(&["haproxy", "checkInterval"], "1s");
    let fall = maker.value(&["haproxy", "checkFall"], "1");
    for n in 0..count {
        let text = format!("server R{n} redis-ha-server-{n}:6379 check inter {} fall {} rise 1", inter.text, fall.text);
        let parts = vec![Text::new(inter.text.clone(), inter.origin.clone())];
        lines.push(Line { text, origin: inter.origin.clone(), parts });
    }
    let mut program = maker.program(Kind::Haproxy, "haproxy", Vec::new(), None, Source::Unknown);
    program.proxy = super::haproxy_cfg::read(&lines, &std::collections::BTreeMap::new());
    let number = maker.number(&["haproxy", "replicas"], 3);
    for _ in 0..number {
        maker.stack.proxies.push(program.clone());
    }
}

fn finished(mut maker: Maker<'_>) -> Stack {
    maker.stack.label = maker.node.place().file.to_string();
    maker.stack.kubernetes = true;
    identity::finish(&mut maker.stack, &super::assemble::Options::default());
    maker.stack
}

/// The stacks that operators' resources describe: one each.
pub(super) fn resources(documents: &[Node]) -> Vec<Stack> {
    let kind = |node: &Node| node.text_at(&["kind"]).map_or(String::new(), |text| text.text);
    let mut stacks: Vec<Stack> = documents.iter().filter(|node| kind(node) == "RedisFailover").map(failover).collect();
    let redis = documents.iter().find(|node| kind(node) == "RedisReplication");
    let sentinel = documents.iter().find(|node| kind(node) == "RedisSentinel");
    stacks.extend(redis.map(|redis| opstree(redis, sentinel)));
    stacks
}

/// `RedisFailover` of spotahome's operator 1.2: it tells the nodes who the master is, and the Sentinels whom to monitor.
fn failover(node: &Node) -> Stack {
    let mut maker = Maker { stack: Stack::default(), chart: "spotahome's operator", node };
    let redis = maker.number(&["spec", "redis", "replicas"], 3);
    let sentinels = maker.number(&["spec", "sentinel", "replicas"], 3);
    let mut lines = custom(node.at(&["spec", "redis", "customConfig"]), "");
    if !lines.iter().any(|line| line.text.starts_with("save")) {
        lines.push(maker.line("save", &["\u{1}"], "900 1"));
    }
    let image = node.text_at(&["spec", "redis", "image"]);
    let claim = node.at(&["spec", "redis", "storage", "persistentVolumeClaim"]).is_some();
    let data = if claim { Source::Volume("data".into()) } else { Source::Scratch };
    let own = custom(node.at(&["spec", "sentinel", "customConfig"]), "mymaster");
    let monitor = sentinel_lines(&maker, "mymaster", &UNKNOWN.to_string(), sentinels / 2 + 1, ("5000", "10000"), own);
    for n in 0..redis {
        let mut lines = lines.clone();
        if n > 0 {
            lines.push(Line::at(&format!("replicaof {UNKNOWN} 6379"), node.place().clone()));
        }
        let program = maker.program(Kind::Redis, &format!("rfr-{n}"), lines, image.clone(), data.clone());
        maker.stack.redis.push(program);
    }
    several_sentinels(&mut maker, sentinels, &monitor, node.text_at(&["spec", "sentinel", "image"]), "rfs");
    by_operator(&mut maker.stack);
    finished(maker)
}

/// `RedisReplication` and `RedisSentinel` of OT-CONTAINER-KIT's operator.
fn opstree(redis: &Node, sentinel: Option<&Node>) -> Stack {
    let mut maker = Maker { stack: Stack::default(), chart: "the OT operator", node: redis };
    let count = maker.number(&["spec", "clusterSize"], 3);
    let image = redis.text_at(&["spec", "kubernetesConfig", "image"]);
    let claim = redis.at(&["spec", "storage", "volumeClaimTemplate"]).is_some();
    let data = if claim { Source::Volume("data".into()) } else { Source::Scratch };
    for n in 0..count {
        let lines = if n > 0 {
            vec![Line::at(&format!("replicaof {UNKNOWN} 6379"), redis.place().clone())]
        } else {
            Vec::new()
        };
        let program = maker.program(Kind::Redis, &format!("redis-{n}"), lines, image.clone(), data.clone());
        maker.stack.redis.push(program);
    }
    if let Some(node) = sentinel {
        maker.node = node;
        let number = maker.number(&["spec", "clusterSize"], 3);
        let config = |key: &str, default: &str| maker.value(&["spec", "redisSentinelConfig", key], default);
        let set = config("masterGroupName", "myMaster").text;
        let quorum = config("quorum", &(number / 2 + 1).to_string());
        let mut lines = vec![Line { text: format!("sentinel monitor {set} {UNKNOWN} 6379 {}", quorum.text), ..quorum }];
        for (directive, key, default) in [
            ("down-after-milliseconds", "downAfterMilliseconds", "30000"),
            ("failover-timeout", "failoverTimeout", "180000"),
            ("parallel-syncs", "parallelSyncs", "1"),
        ] {
            lines.push(maker.line(
                &format!("sentinel {directive} {set}"),
                &["spec", "redisSentinelConfig", key],
                default,
            ));
        }
        several_sentinels(&mut maker, number, &lines, node.text_at(&["spec", "kubernetesConfig", "image"]), "sentinel");
    }
    by_operator(&mut maker.stack);
    finished(maker)
}

fn several_sentinels(maker: &mut Maker<'_>, count: usize, lines: &[Line], image: Option<Text>, name: &str) {
    for n in 0..count {
        let mut program =
            maker.program(Kind::Sentinel, &format!("{name}-{n}"), lines.to_vec(), image.clone(), Source::Scratch);
        if let Some(config) = &mut program.config {
            config.home = Home::Scratch;
        }
        maker.stack.sentinels.push(program);
    }
}

fn by_operator(stack: &mut Stack) {
    let text = "the operator makes the roles right again when pods come back: here nobody but Sentinel does".to_owned();
    stack.left_out.push(Remark { place: None, text, matters: true });
}

/// `customConfig`: lines of a file; those of Sentinel without the name of the master.
fn custom(node: Option<&Node>, master: &str) -> Vec<Line> {
    let texts = node.map(Node::texts).unwrap_or_default();
    texts
        .into_iter()
        .map(|text| {
            let (name, rest) = text.text.split_once(' ').unwrap_or((text.text.as_str(), ""));
            let line = if master.is_empty() { text.text.clone() } else { format!("sentinel {name} {master} {rest}") };
            Line { text: line, origin: text.origin, parts: Vec::new() }
        })
        .collect()
}

fn sentinel_lines(
    maker: &Maker<'_>,
    set: &str,
    host: &str,
    quorum: usize,
    defaults: (&str, &str),
    own: Vec<Line>,
) -> Vec<Line> {
    let mut lines = vec![
        maker.line(&format!("sentinel monitor {set} {host} 6379"), &["\u{1}"], &quorum.to_string()),
        maker.line(&format!("sentinel down-after-milliseconds {set}"), &["\u{1}"], defaults.0),
        maker.line(&format!("sentinel failover-timeout {set}"), &["\u{1}"], defaults.1),
    ];
    lines.extend(own);
    lines
}
