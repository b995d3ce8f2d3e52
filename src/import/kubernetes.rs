//! Kubernetes manifests, as they are rendered: workloads made into containers, with the names by which pods reach each
//! other. No templates: `helm template` and `kustomize build` print what can be read.

use std::collections::{BTreeMap, BTreeSet};

use super::compose::block;
use super::container::{Container, Mount, Platform, Port, Source};
use super::origin::{Line, Place, Text};
use super::source::clean;
use super::yaml::Node;

/// Stands for the name of the pod until that is known.
const OWN_NAME: &str = "\u{1}pod";
/// The most pods of one workload.
const REPLICAS_MAX: usize = 1_000;

/// What the manifests say together.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The containers of all pods.
    pub containers: Vec<Container>,
    /// Custom resources that describe a whole stack.
    pub resources: Vec<Node>,
}

/// Whether a YAML document is a manifest.
pub(super) fn is_one(node: &Node) -> bool {
    node.get("apiVersion").is_some() && node.get("kind").is_some()
}

/// The documents, with the items of lists among them.
pub(super) fn flat(documents: &[Node]) -> Vec<&Node> {
    documents
        .iter()
        .flat_map(|node| match node.text_at(&["kind"]) {
            Some(kind) if kind.text == "List" => {
                node.get("items").map(Node::items).unwrap_or_default().iter().collect()
            }
            _ => vec![node],
        })
        .collect()
}

/// Reads all manifests of a stack.
pub(super) fn read(documents: &[Node]) -> Read {
    let documents = flat(documents);
    let kind = |node: &Node| node.text_at(&["kind"]).map_or(String::new(), |text| text.text);
    let name = |node: &Node| node.text_at(&["metadata", "name"]).map_or(String::new(), |text| text.text);
    let mut maps: BTreeMap<String, BTreeMap<String, Vec<Line>>> = BTreeMap::new();
    let mut values: BTreeMap<String, BTreeMap<String, Text>> = BTreeMap::new();
    let mut claims: BTreeSet<String> = BTreeSet::new();
    for node in documents.iter().filter(|node| ["ConfigMap", "PersistentVolumeClaim"].contains(&kind(node).as_str())) {
        if kind(node) == "PersistentVolumeClaim" {
            claims.insert(name(node));
            continue;
        }
        let data = node.get("data").map(Node::entries).unwrap_or_default();
        let files =
            data.iter().filter_map(|(key, value)| Some((key.text.clone(), block(value.text()?, &below(value, key)))));
        maps.insert(name(node), files.collect());
        let texts = data.iter().filter_map(|(key, value)| Some((key.text.clone(), value.as_text()?)));
        values.insert(name(node), texts.collect());
    }
    let mut read = Read::default();
    for node in &documents {
        let workload = ["StatefulSet", "Deployment", "DaemonSet", "ReplicaSet", "Pod"].contains(&kind(node).as_str());
        if workload {
            let reader =
                Reader { node, maps: &maps, values: &values, name: name(node), stateful: kind(node) == "StatefulSet" };
            read.containers.extend(reader.containers(kind(node) == "Pod"));
        } else if ["RedisFailover", "RedisReplication", "RedisSentinel"].contains(&kind(node).as_str()) {
            read.resources.push((*node).clone());
        }
    }
    for node in documents.iter().filter(|node| kind(node) == "Service") {
        service(node, &name(node), &mut read);
    }
    read
}

/// The origin of a block: the line below its key.
fn below(value: &Node, key: &Text) -> super::origin::Origin {
    let line = value.place().line.max(key.place().line + 1);
    super::origin::Origin::at(Place::new(&key.place().file, line))
}

/// Gives the pods behind a Service its name.
fn service(node: &Node, name: &str, read: &mut Read) {
    let selector = node.at(&["spec", "selector"]).map(Node::entries).unwrap_or_default();
    let namespace = node.text_at(&["metadata", "namespace"]).map_or("default".to_owned(), |text| text.text);
    let headless = node.text_at(&["spec", "clusterIP"]).is_some_and(|text| text.text == "None");
    let names = [
        name.to_owned(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ];
    let pod = selector
        .iter()
        .find(|(key, _)| key.text == "statefulset.kubernetes.io/pod-name")
        .and_then(|(_, value)| value.as_text());
    let fits = |container: &Container| match &pod {
        Some(pod) => container.name() == pod.text,
        None => {
            !selector.is_empty()
                && selector.iter().all(|(key, value)| {
                    let label = container.labels.get(&key.text).map(String::as_str);
                    label.is_some() && label == value.text()
                })
        }
    };
    let hits: BTreeSet<String> = read.containers.iter().filter(|one| fits(one)).map(Container::name).collect();
    for container in read.containers.iter_mut().filter(|one| hits.contains(&one.name())) {
        if hits.len() == 1 {
            container.names.extend(names.iter().cloned());
            container
                .addresses
                .extend(node.text_at(&["spec", "clusterIP"]).map(|text| text.text).filter(|text| text != "None"));
        } else {
            container.shared_names.extend(names.iter().cloned());
            if !headless {
                container.virtual_names.extend(names.iter().cloned());
            }
        }
        if container.numbered || headless {
            // The names of single pods behind a headless Service.
            let pod = container.name();
            container.names.extend(names.iter().map(|name| format!("{pod}.{name}")));
        }
    }
}

struct Reader<'a> {
    node: &'a Node,
    maps: &'a BTreeMap<String, BTreeMap<String, Vec<Line>>>,
    values: &'a BTreeMap<String, BTreeMap<String, Text>>,
    name: String,
    stateful: bool,
}

impl Reader<'_> {
    fn containers(&self, pod: bool) -> Vec<Container> {
        let template = if pod { Some(self.node) } else { self.node.at(&["spec", "template"]) };
        let Some((template, spec)) = template.and_then(|template| Some((template, template.get("spec")?))) else {
            return Vec::new();
        };
        let replicas = self.node.text_at(&["spec", "replicas"]).and_then(|text| text.text.parse().ok());
        let replicas = if pod { 1 } else { replicas.unwrap_or(1).min(REPLICAS_MAX) };
        let mut all = Vec::new();
        for ordinal in 0..replicas {
            for container in spec.get("containers").map(Node::items).unwrap_or_default() {
                let mut one = self.container(container, template, spec);
                (one.ordinal, one.replicas, one.numbered) = (ordinal, replicas, self.stateful);
                one.names = BTreeSet::from([one.name()]);
                let name = one.name();
                for value in one.env.values_mut().filter(|value| value.text == OWN_NAME) {
                    value.text.clone_from(&name);
                }
                if let Some(service) = self.node.text_at(&["spec", "serviceName"]) {
                    let base = format!("{}.{}", one.name(), service.text);
                    one.names.insert(base);
                }
                all.push(one);
            }
        }
        all
    }

    fn container(&self, container: &Node, template: &Node, spec: &Node) -> Container {
        let mut one = Container::new(&self.name, container.place().clone());
        one.platform = Platform::Kubernetes;
        one.image = container.text_at(&["image"]);
        one.entrypoint = container.get("command").map(Node::texts);
        one.command = container.get("args").map(Node::texts);
        one.folder = container.text_at(&["workingDir"]);
        one.restarts = spec.text_at(&["restartPolicy"]).is_none_or(|policy| policy.text != "Never");
        one.host_network = spec.get("hostNetwork").is_some_and(Node::is_true);
        self.environment(container, &mut one);
        for (key, value) in template.at(&["metadata", "labels"]).map(Node::entries).unwrap_or_default() {
            one.labels.extend(value.text().map(|text| (key.text.clone(), text.to_owned())));
        }
        one.mounts = self.mounts(container, spec);
        for init in spec.get("initContainers").map(Node::items).unwrap_or_default() {
            for mount in self.mounts(init, spec) {
                if !one.mounts.iter().any(|own| own.target == mount.target) {
                    one.mounts.push(mount);
                }
            }
            let words = init.get("command").map(Node::texts).unwrap_or_default();
            let words: Vec<Text> =
                words.into_iter().chain(init.get("args").map(Node::texts).unwrap_or_default()).collect();
            if !words.is_empty() {
                one.before.push(words);
            }
            let mut env = Container::new("", init.place().clone());
            self.environment(init, &mut env);
            for (name, value) in env.env {
                one.env.entry(name).or_insert(value);
            }
        }
        for port in container.get("ports").map(Node::items).unwrap_or_default() {
            if let Some(number) = port.text_at(&["containerPort"]) {
                let host = port.text_at(&["hostPort"]).map(|text| text.text);
                one.ports.push(Port { host, container: number.text, place: port.place().clone() });
            }
        }
        for hook in ["preStop", "postStart"] {
            let words = container.at(&["lifecycle", hook, "exec", "command"]).map(Node::texts).unwrap_or_default();
            if let Some(first) = words.first() {
                let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
                one.hooks.push(Text::new(text, first.origin.clone()));
            }
        }
        one
    }

    fn environment(&self, container: &Node, one: &mut Container) {
        for item in container.get("envFrom").map(Node::items).unwrap_or_default() {
            if let Some(map) = item.text_at(&["configMapRef", "name"]).and_then(|name| self.values.get(&name.text)) {
                one.env.extend(map.clone());
            }
        }
        for item in container.get("env").map(Node::items).unwrap_or_default() {
            let Some(name) = item.text_at(&["name"]) else { continue };
            let from = || {
                let map = item.text_at(&["valueFrom", "configMapKeyRef", "name"])?;
                let key = item.text_at(&["valueFrom", "configMapKeyRef", "key"])?;
                self.values.get(&map.text)?.get(&key.text).cloned()
            };
            let field =
                item.text_at(&["valueFrom", "fieldRef", "fieldPath"]).filter(|path| path.text == "metadata.name");
            let unknown =
                item.get("valueFrom").map(|node| Text::new(super::shell::UNKNOWN.to_string(), node.origin.clone()));
            let value = item.text_at(&["value"]).or_else(from);
            // The name of the pod is that of the host: scripts ask for either.
            let value = value.or_else(|| field.map(|path| Text::new(OWN_NAME, path.origin)));
            one.env.extend(value.or(unknown).map(|value| (name.text, value)));
        }
    }

    fn mounts(&self, container: &Node, spec: &Node) -> Vec<Mount> {
        let volumes = spec.get("volumes").map(Node::items).unwrap_or_default();
        let mut mounts = Vec::new();
        for mount in container.get("volumeMounts").map(Node::items).unwrap_or_default() {
            let (Some(name), Some(target)) = (mount.text_at(&["name"]), mount.text_at(&["mountPath"])) else {
                continue;
            };
            let volume =
                volumes.iter().find(|volume| volume.text_at(&["name"]).is_some_and(|own| own.text == name.text));
            let source = match volume {
                Some(volume) if volume.entry("emptyDir").is_some() => Source::Scratch,
                Some(volume) if volume.get("configMap").is_some() => self.config_map(volume),
                Some(volume) if volume.get("persistentVolumeClaim").is_some() => Source::Volume(name.text.clone()),
                Some(volume) if volume.get("hostPath").is_some() => Source::Bind(None),
                Some(_) => Source::Unknown,
                None => Source::Volume(name.text.clone()),
            };
            let place = mount.place().clone();
            let sub = mount.text_at(&["subPath"]).map(|text| text.text);
            let (source, read_only) = match (source, sub) {
                (Source::Files(files), Some(sub)) => {
                    let lines = files.get(&sub).cloned().unwrap_or_default();
                    (Source::Files(BTreeMap::from([(String::new(), lines)])), true)
                }
                (Source::Files(files), None) => (Source::Files(files), true),
                (source, _) => (source, mount.get("readOnly").is_some_and(Node::is_true)),
            };
            mounts.push(Mount { target: clean(&target.text), source, read_only, place, volume: Some(name.text) });
        }
        mounts
    }

    fn config_map(&self, volume: &Node) -> Source {
        let Some(files) = volume.text_at(&["configMap", "name"]).and_then(|name| self.maps.get(&name.text)) else {
            return Source::Unknown;
        };
        let items = volume.at(&["configMap", "items"]).map(Node::items).unwrap_or_default();
        if items.is_empty() {
            return Source::Files(files.clone());
        }
        let chosen = items.iter().filter_map(|item| {
            let (key, path) = (item.text_at(&["key"])?, item.text_at(&["path"])?);
            Some((path.text, files.get(&key.text)?.clone()))
        });
        Source::Files(chosen.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  redis.conf: |\n    port 6379\n    save 900 1\n---\napiVersion: \
        v1\nkind: Service\nmetadata: {name: h, namespace: n}\nspec: {clusterIP: None, selector: {app: r}}\n---\napiVersion: apps/v1\nkind: \
        StatefulSet\nmetadata: {name: r}\nspec:\n  serviceName: h\n  replicas: 2\n  template:\n    metadata: {labels: {app: r}}\n    spec:\n      \
        containers:\n        - name: redis\n          image: redis:7.2\n          command: [redis-server, /etc/redis.conf]\n          volumeMounts: \
        [{name: v, mountPath: /etc/redis.conf, subPath: redis.conf}]\n      volumes: [{name: v, configMap: {name: c}}]\n";

    #[test]
    fn pods_have_names_and_files() {
        let documents = super::super::yaml::read(&"m.yaml".into(), TEXT).expect("YAML");
        let read = read(&documents);
        assert_eq!(read.containers.len(), 2);
        assert!(
            read.containers[1].names.contains("r-1.h")
                && read.containers[1].names.contains("r-1.h.n.svc.cluster.local")
        );
        assert!(read.containers[0].virtual_names.is_empty());
        let Source::Files(files) = &read.containers[0].mounts[0].source else { panic!("a file") };
        assert_eq!(files[""][1].text, "save 900 1");
        assert_eq!(files[""][1].origin.place.line, 7);
    }
}
