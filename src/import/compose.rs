//! Compose files: merged, interpolated, and made into containers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::container::{Build, Container, Mount, Platform, Port, Source};
use super::interpolate::{Variables, env_file};
use super::origin::{Line, Origin, Text, lines_of};
use super::source::{Files, clean, folder_of, resolve};
use super::yaml::{Node, Value};
use crate::limits::IMPORT_NODES_MAX;

/// Keys of a service whose lists are replaced by an override, not added to.
const REPLACED: [&str; 4] = ["command", "entrypoint", "test", "profiles"];
/// The most containers of one service.
const REPLICAS_MAX: usize = 1_000;

/// The most projects that are included, over all levels.
const INCLUDES_MAX: usize = 64;

/// A compose project: one or more files that are read as one.
#[derive(Clone, Debug)]
pub(super) struct Project {
    /// The first of the files.
    pub file: std::sync::Arc<str>,
    /// What they say together.
    pub root: Node,
    /// The folder to which its paths are relative.
    pub folder: String,
    /// Files with its variables, if they are not in `.env`.
    pub env: Vec<String>,
}

impl Project {
    /// The project that is in `file` alone.
    pub(super) fn new(file: std::sync::Arc<str>, root: Node) -> Project {
        Project { folder: folder_of(&file).to_owned(), file, root, env: Vec::new() }
    }
}

/// Whether a YAML document is a compose file.
pub(super) fn is_one(node: &Node) -> bool {
    let ours = |key: &str| ["include", "services", "networks", "volumes", "name", "version"].contains(&key);
    if node.get("include").is_some() && node.entries().iter().all(|(key, _)| ours(&key.text)) {
        return true;
    }
    let services = node.get("services").map(Node::entries).unwrap_or_default();
    let known = ["image", "build", "command", "extends", "environment", "ports", "volumes", "restart"];
    services.iter().any(|(_, service)| known.iter().any(|key| service.entry(key).is_some()))
}

/// `over` worked into `base`, as `docker compose -f base -f over` does.
pub(super) fn merged(base: Node, over: &Node) -> Node {
    match (base.value, &over.value) {
        (Value::Map(mut entries), Value::Map(others)) => {
            let places: HashMap<String, usize> =
                entries.iter().enumerate().map(|(at, (name, _))| (name.text.clone(), at)).collect();
            for (key, value) in others {
                match places.get(&key.text).copied() {
                    Some(at) if REPLACED.contains(&key.text.as_str()) => entries[at].1 = value.clone(),
                    Some(at) => entries[at].1 = merged(entries[at].1.clone(), value),
                    None => entries.push((key.clone(), value.clone())),
                }
            }
            Node { value: Value::Map(entries), origin: base.origin }
        }
        (Value::List(mut items), Value::List(others)) => {
            items.extend(others.iter().cloned());
            Node { value: Value::List(items), origin: base.origin }
        }
        _ => over.clone(),
    }
}

/// What decides how a project is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices {
    /// Values of variables that go before `.env`.
    pub env: BTreeMap<String, Text>,
    /// The profiles that are on.
    pub profiles: BTreeSet<String>,
    /// Numbers of containers by service.
    pub scale: BTreeMap<String, usize>,
}

/// What came of reading a project.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The containers, in the order of the file.
    pub containers: Vec<Container>,
    /// Services that are left out because their profile is off.
    pub off: Vec<(String, String)>,
    /// The variables and what is known of them.
    pub variables: Variables,
    /// Texts with quotes that are part of a value of the environment.
    pub quoted: Vec<Text>,
    /// What was taken for granted: of which service, where, and what.
    pub assumed: Vec<(String, super::origin::Place, String)>,
    /// The files that it includes.
    pub included: BTreeSet<String>,
    /// What it includes and is not there, or does not go with the rest.
    pub missing: Vec<(super::origin::Place, String)>,
}

impl Read {
    /// Takes in what came of an included project.
    fn take(&mut self, other: Read, machine: &std::sync::Arc<str>) {
        let own: BTreeSet<String> = self.containers.iter().map(|one| one.service.clone()).collect();
        for mut one in other.containers {
            if own.contains(&one.service) {
                let text = format!("service {} is in an including file, too: compose refuses that", one.service);
                self.missing.push((one.place, text));
                continue;
            }
            one.machine = machine.clone();
            self.containers.push(one);
        }
        self.off.extend(other.off);
        self.variables.unset.extend(other.variables.unset);
        self.variables.used.extend(other.variables.used);
        self.quoted.extend(other.quoted);
        self.assumed.extend(other.assumed);
        self.included.extend(other.included);
        self.missing.extend(other.missing);
    }

    /// How many containers of a service a script or page of the set asks for.
    fn by_script(&mut self, asked: &BTreeMap<String, (usize, super::origin::Place)>, service: &str) -> Option<usize> {
        let (count, place) = asked.get(service)?;
        let text = format!("{count} containers of {service}: as a command in the set has it (--scale {service}=N)");
        self.assumed.push((service.to_owned(), place.clone(), text));
        Some(*count)
    }

    /// How many containers a range of ports of the machine is for: it makes sense for several alone.
    fn by_ports(&mut self, container: &Container) -> usize {
        let range = container.ports.iter().find_map(|port| {
            let (first, last) = port.host.as_deref()?.split_once('-')?;
            let count = last.parse::<usize>().ok()?.checked_sub(first.parse().ok()?)? + 1;
            (count > 1 && !port.container.contains('-')).then_some((count.min(64), port.place.clone()))
        });
        let Some((count, place)) = range else { return 1 };
        let text = format!(
            "{count} containers of {}: as many as it has ports of the machine (--scale {}=1 for one)",
            container.service, container.service
        );
        self.assumed.push((container.service.clone(), place, text));
        count
    }
}

/// What scripts and pages of the set say behind `--scale`: SERVICE=N.
fn scales(files: &Files) -> BTreeMap<String, (usize, super::origin::Place)> {
    let tells = |file: &&super::source::File| {
        file.path.ends_with(".sh") || file.path.ends_with("Makefile") || file.path.ends_with(".md")
    };
    let mut all = BTreeMap::new();
    for file in files.all().filter(tells) {
        for (n, line) in
            file.text.lines().enumerate().filter(|(_, line)| line.contains("compose") && line.contains("scale"))
        {
            let words = line.split(|c: char| c.is_whitespace() || c == '`');
            for (name, number) in words.filter_map(|word| word.trim_start_matches("--scale=").split_once('=')) {
                if let Some(count) = number.parse().ok().filter(|n| (1..=REPLICAS_MAX).contains(n)) {
                    let place = super::origin::Place::new(&file.path, n + 1);
                    all.entry(name.to_owned()).or_insert((count, place));
                }
            }
        }
    }
    all
}

/// The containers of a project and of those that it includes.
pub(super) fn read(files: &Files, project: &Project, choices: &Choices) -> Read {
    let mut left = INCLUDES_MAX;
    with_included(files, project, choices, &mut left)
}

/// `left`: so many further projects may be included.
fn with_included(files: &Files, project: &Project, choices: &Choices, left: &mut usize) -> Read {
    let folder = project.folder.clone();
    let mut read = Read::default();
    let asked = scales(files);
    let beside = if folder.is_empty() { ".env".to_owned() } else { format!("{folder}/.env") };
    let env = if project.env.is_empty() { std::slice::from_ref(&beside) } else { &project.env };
    for file in env.iter().filter_map(|path| files.get(path)) {
        read.variables.set.extend(env_file(&lines_of(&file.path, &file.text)));
    }
    read.variables.set.extend(choices.env.clone());
    let root = interpolated(&project.root, &mut read.variables);
    for (name, service) in root.get("services").map(Node::entries).unwrap_or_default() {
        let service = extended(files, &folder, service, &root, &mut read.variables, 0);
        let profiles: Vec<Text> = service.get("profiles").map(Node::texts).unwrap_or_default();
        let on = |profile: &Text| choices.profiles.contains(&profile.text) || choices.profiles.contains("*");
        if !profiles.is_empty() && !profiles.iter().any(on) {
            let names: Vec<&str> = profiles.iter().map(|profile| profile.text.as_str()).collect();
            read.off.push((name.text.clone(), names.join(", ")));
            continue;
        }
        let reader = Reader { files, folder: &folder, root: &root };
        let container = reader.container(name, &service, &mut read);
        let said =
            [["deploy", "replicas"].as_slice(), ["scale"].as_slice()].iter().find_map(|path| service.text_at(path));
        let count = choices.scale.get(&name.text).copied();
        let count = count.or_else(|| said.and_then(|text| text.text.parse().ok()));
        let count = count.or_else(|| read.by_script(&asked, &name.text));
        let count = count.unwrap_or_else(|| read.by_ports(&container)).min(REPLICAS_MAX);
        if read.containers.len() > 4 * IMPORT_NODES_MAX {
            break;
        }
        for ordinal in 0..count {
            let mut one = Container { ordinal, replicas: count, ..container.clone() };
            if count > 1 {
                one.shared_names = std::mem::take(&mut one.names);
                one.addresses.clear();
                one.names.insert(one.name());
            }
            read.containers.push(one);
        }
    }
    let included = super::include::included(files, &folder, &root);
    read.included.extend(included.files);
    read.missing.extend(included.missing);
    let inner = Choices { env: read.variables.set.clone(), ..choices.clone() };
    for one in included.projects {
        let Some(rest) = left.checked_sub(1) else { break };
        *left = rest;
        let other = with_included(files, &one, &inner, left);
        read.take(other, &project.file);
    }
    linked(&root, &mut read.containers);
    read
}

/// Names under which services know others (`links: SERVICE:NAME`).
fn linked(root: &Node, containers: &mut [Container]) {
    for (_, service) in root.get("services").map(Node::entries).unwrap_or_default() {
        for link in service.get("links").map(Node::texts).unwrap_or_default() {
            let Some((name, alias)) = link.text.split_once(':') else { continue };
            let known = containers.iter().any(|one| one.service == alias || one.names.contains(alias));
            for one in containers.iter_mut().filter(|one| one.service == name && one.replicas < 2 && !known) {
                one.names.insert(alias.to_owned());
            }
        }
    }
}

/// All texts of `node` with their variables replaced.
fn interpolated(node: &Node, variables: &mut Variables) -> Node {
    let origin = node.origin.clone();
    let value = match &node.value {
        Value::Null => Value::Null,
        Value::Text(text, quoted) => {
            let text = variables.apply(&Text::new(text.clone(), origin));
            return Node { value: Value::Text(text.text, *quoted), origin: text.origin };
        }
        Value::List(items) => Value::List(items.iter().map(|item| interpolated(item, variables)).collect()),
        Value::Map(entries) => {
            // What nobody uses (`x-…`) may mention what is not set.
            let used = entries.iter().filter(|(key, _)| !key.text.starts_with("x-"));
            Value::Map(used.map(|(key, value)| (key.clone(), interpolated(value, variables))).collect())
        }
    };
    Node { value, origin }
}

/// The other files that hold what services of a project extend: they are no stacks of their own.
pub(super) fn extended_files(project: &Project) -> Vec<String> {
    let services = project.root.get("services").map(Node::entries).unwrap_or_default();
    let files = services.iter().filter_map(|(_, service)| service.at(&["extends", "file"])?.as_text());
    let files = files.filter_map(|file| resolve(&project.folder, &file.text));
    files.filter(|file| **file != *project.file).collect()
}

/// A service with what it extends worked in.
fn extended(files: &Files, folder: &str, service: &Node, root: &Node, variables: &mut Variables, depth: usize) -> Node {
    let Some(extends) = service.get("extends").filter(|_| depth < 8) else { return service.clone() };
    let name = extends.text_at(&["service"]).or_else(|| extends.as_text());
    let Some(name) = name else { return service.clone() };
    let base = match extends.text_at(&["file"]) {
        None => {
            root.at(&["services", &name.text]).map(|base| extended(files, folder, base, root, variables, depth + 1))
        }
        Some(file) => {
            let file = resolve(folder, &file.text).and_then(|path| files.get(&path));
            let document = file.and_then(|file| super::yaml::read(&file.path, &file.text).ok()?.into_iter().next());
            document.and_then(|document| {
                let document = interpolated(&document, variables);
                let base = document.at(&["services", &name.text])?.clone();
                let folder = file.map_or("", |file| folder_of(&file.path)).to_owned();
                Some(extended(files, &folder, &base, &document, variables, depth + 1))
            })
        }
    };
    base.map_or_else(|| service.clone(), |base| merged(base, service))
}

struct Reader<'a> {
    files: &'a Files,
    folder: &'a str,
    root: &'a Node,
}

impl Reader<'_> {
    fn container(&self, name: &Text, service: &Node, read: &mut Read) -> Container {
        let mut one = Container::new(&name.text, name.place().clone());
        for key in ["container_name", "hostname"] {
            one.names.extend(service.text_at(&[key]).map(|text| text.text));
        }
        self.networks(service, &mut one);
        one.image = service.text_at(&["image"]);
        one.build = service.get("build").map(|build| self.build(build));
        one.entrypoint = service.get("entrypoint").map(words);
        one.command = service.get("command").map(words);
        one.folder = service.text_at(&["working_dir"]);
        self.environment(service, &mut one, read);
        for volume in service.get("volumes").map(Node::items).unwrap_or_default() {
            one.mounts.extend(self.volume(volume));
        }
        for tmpfs in service.get("tmpfs").map(Node::texts).unwrap_or_default() {
            let target = clean(tmpfs.text.split(':').next().unwrap_or_default());
            one.mounts.push(Mount {
                target,
                source: Source::Scratch,
                read_only: false,
                place: tmpfs.origin.place,
                volume: None,
            });
        }
        one.mounts.extend(self.configs(service));
        for port in service.get("ports").map(Node::items).unwrap_or_default() {
            one.ports.extend(ports(port));
        }
        one.health = service.at(&["healthcheck", "test"]).map(|test| {
            let words: Vec<String> = test.texts().into_iter().map(|word| word.text).collect();
            Text::new(words.join(" "), test.origin.clone())
        });
        self.restart(service, &mut one);
        one
    }

    fn networks(&self, service: &Node, one: &mut Container) {
        one.host_network = service.text_at(&["network_mode"]).is_some_and(|mode| mode.text == "host");
        for (_, network) in service.get("networks").map(Node::entries).unwrap_or_default() {
            for key in ["ipv4_address", "ipv6_address"] {
                one.addresses.extend(network.text_at(&[key]).map(|text| text.text));
            }
            let aliases = network.get("aliases").map(Node::texts).unwrap_or_default();
            one.names.extend(aliases.into_iter().map(|alias| alias.text));
        }
    }

    fn build(&self, build: &Node) -> Build {
        let context = build.text_at(&["context"]).or_else(|| build.as_text()).map_or(".".to_owned(), |text| text.text);
        let context = resolve(self.folder, &context).unwrap_or_default();
        let dockerfile = build.text_at(&["dockerfile"]).map_or("Dockerfile".to_owned(), |text| text.text);
        let dockerfile = resolve(&context, &dockerfile).unwrap_or_default();
        let args = build.get("args");
        let pairs = args.map(Node::entries).unwrap_or_default().iter();
        let mut arguments: BTreeMap<String, Text> =
            pairs.filter_map(|(name, value)| Some((name.text.clone(), value.as_text()?))).collect();
        for pair in args.map(Node::texts).unwrap_or_default() {
            if let Some((name, value)) = pair.text.split_once('=') {
                arguments.insert(name.to_owned(), Text::new(value, pair.origin.clone()));
            }
        }
        let target = build.text_at(&["target"]).map(|target| target.text);
        Build { context, dockerfile, target, arguments, place: build.place().clone() }
    }

    fn environment(&self, service: &Node, one: &mut Container, read: &mut Read) {
        for file in service.get("env_file").into_iter().flat_map(|node| match &node.value {
            Value::List(items) => items.clone(),
            _ => vec![node.clone()],
        }) {
            let path = file.text_at(&["path"]).or_else(|| file.as_text());
            let path = path.and_then(|path| resolve(self.folder, &path.text));
            if let Some(file) = path.and_then(|path| self.files.get(&path)) {
                one.env.extend(env_file(&lines_of(&file.path, &file.text)));
            }
        }
        let Some(environment) = service.get("environment") else { return };
        for (name, value) in environment.entries() {
            let known = || read.variables.set.get(&name.text).cloned();
            if let Some(value) = value.as_text().or_else(known) {
                one.env.insert(name.text.clone(), value);
            }
        }
        for item in environment.texts() {
            let (name, value) = item.text.split_once('=').map_or((item.text.as_str(), None), |(n, v)| (n, Some(v)));
            let value = match value {
                Some(value) => Some(Text::new(value, item.origin.clone())),
                None => read.variables.set.get(name).cloned(),
            };
            let Some(value) = value else { continue };
            let quoted =
                |quote: char| value.text.len() >= 2 && value.text.starts_with(quote) && value.text.ends_with(quote);
            if quoted('"') || quoted('\'') {
                read.quoted.push(Text::new(name, value.origin.clone()));
            }
            one.env.insert(name.to_owned(), value);
        }
    }

    fn volume(&self, volume: &Node) -> Option<Mount> {
        let place = volume.place().clone();
        if let Some(text) = volume.text() {
            let mut parts: Vec<&str> = text.split(':').collect();
            let modes = if parts.len() > 2 { parts.pop().unwrap_or_default() } else { "" };
            let (source, target) = match parts[..] {
                [target] => (Source::Anonymous, target),
                [source, target] => (self.source(source), target),
                _ => return None,
            };
            let read_only = modes.split(',').any(|mode| mode == "ro");
            return Some(Mount { target: clean(target), source, read_only, place, volume: None });
        }
        let target = clean(&volume.text_at(&["target"])?.text);
        let kind = volume.text_at(&["type"]).map_or("volume".to_owned(), |text| text.text);
        let source = match (kind.as_str(), volume.text_at(&["source"])) {
            ("tmpfs", _) => Source::Scratch,
            (_, Some(source)) => self.source(&source.text),
            _ => Source::Anonymous,
        };
        let read_only = volume.get("read_only").is_some_and(Node::is_true);
        Some(Mount { target, source, read_only, place, volume: None })
    }

    /// What a mount's source is: a path, or the name of a volume, which may be bound to a path.
    fn source(&self, source: &str) -> Source {
        if source.starts_with(['.', '/', '~', '$']) || source.contains('/') {
            return Source::Bind(resolve(self.folder, source).or_else(|| Some(source.to_owned())));
        }
        match self.root.at(&["volumes", source, "driver_opts", "device"]).and_then(Node::as_text) {
            Some(device) => Source::Bind(resolve(self.folder, &device.text).or(Some(device.text))),
            None => Source::Volume(source.to_owned()),
        }
    }

    /// `configs` and `secrets` of a service.
    fn configs(&self, service: &Node) -> Vec<Mount> {
        let mut mounts = Vec::new();
        for kind in ["configs", "secrets"] {
            for item in service.get(kind).map(Node::items).unwrap_or_default() {
                let Some(name) = item.text_at(&["source"]).or_else(|| item.as_text()) else { continue };
                let usual =
                    if kind == "configs" { format!("/{}", name.text) } else { format!("/run/secrets/{}", name.text) };
                let target = item.text_at(&["target"]).map_or(usual, |text| text.text);
                let declared = self.root.at(&[kind, &name.text]);
                let file =
                    declared.and_then(|node| node.text_at(&["file"])).and_then(|file| resolve(self.folder, &file.text));
                let content = declared.and_then(|node| node.get("content"));
                let lines: Option<Vec<Line>> = match (file.as_ref().and_then(|path| self.files.get(path)), content) {
                    _ if kind == "secrets" => None,
                    (Some(file), _) => Some(lines_of(&file.path, &file.text)),
                    (None, Some(content)) => content.text().map(|text| block(text, &content.origin)),
                    _ => None,
                };
                let source = match lines {
                    Some(lines) => Source::Files(BTreeMap::from([(String::new(), lines)])),
                    None => Source::Unknown,
                };
                mounts.push(Mount {
                    target: clean(&target),
                    source,
                    read_only: true,
                    place: item.place().clone(),
                    volume: None,
                });
            }
        }
        mounts
    }

    fn restart(&self, service: &Node, one: &mut Container) {
        let deploy = service.get("deploy");
        let swarm = ["mode", "placement", "endpoint_mode", "update_config", "rollback_config"];
        if deploy.is_some_and(|deploy| swarm.iter().any(|key| deploy.entry(key).is_some())) {
            one.platform = Platform::Swarm;
        }
        let policy = deploy.and_then(|deploy| deploy.text_at(&["restart_policy", "condition"]));
        let policy = policy.or_else(|| {
            deploy
                .and_then(|deploy| deploy.entry("restart_policy"))
                .map(|(key, _)| Text::new("any", key.origin.clone()))
        });
        one.restart = service.text_at(&["restart"]).or(policy);
        let written = one.restart.as_ref().map_or("", |text| text.text.as_str());
        one.restarts = one.platform == Platform::Swarm && written.is_empty()
            || ["always", "unless-stopped", "any"].contains(&written)
            || written.starts_with("on-failure");
        let direct =
            deploy.and_then(|deploy| deploy.text_at(&["endpoint_mode"])).is_some_and(|mode| mode.text == "dnsrr");
        if one.platform == Platform::Swarm && !direct {
            one.virtual_names.insert(one.service.clone());
        }
    }
}

/// The lines of a text in a block (`|`): its first line stands below the key.
pub(super) fn block(text: &str, origin: &Origin) -> Vec<Line> {
    if origin.seams.is_some() {
        return origin.lines(text);
    }
    let place = |n: usize| super::origin::Place::new(&origin.place.file, origin.place.line + n);
    text.lines().enumerate().map(|(n, line)| Line::at(line, place(n))).collect()
}

/// A command: a list as it is, a text split as a shell would.
pub(super) fn words(node: &Node) -> Vec<Text> {
    let Some(text) = node.text() else { return node.texts() };
    let piece = |(word, bytes): (String, Range<usize>)| {
        // Without its quotes, where nothing else is different.
        let inside = text[bytes.clone()].find(&word).map(|at| bytes.start + at);
        let bytes = inside.map_or(bytes, |from| from..from + word.len());
        Text::new(word, node.origin.of_bytes(bytes))
    };
    pieces(text).into_iter().map(piece).collect()
}

/// Splits a text into words as compose does: quotes and backslashes, no variables.
pub(super) fn shlex(text: &str) -> Vec<String> {
    pieces(text).into_iter().map(|(word, _)| word).collect()
}

/// The same words, with the bytes of each.
fn pieces(text: &str) -> Vec<(String, Range<usize>)> {
    let (mut words, mut word, mut from, mut quote) = (Vec::new(), String::new(), None, None);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                words.extend(from.take().map(|from| (std::mem::take(&mut word), from..at)));
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            (None, '\\') => word.extend(chars.next().map(|(_, c)| c)),
            (Some('"'), '\\') => match chars.peek() {
                Some((_, '"' | '\\' | '$' | '`')) => word.extend(chars.next().map(|(_, c)| c)),
                _ => word.push('\\'),
            },
            (_, c) => word.push(c),
        }
        from.get_or_insert(at);
    }
    words.extend(from.map(|from| (word, from..text.len())));
    words
}

/// The ports of one entry, which may be a range.
fn ports(port: &Node) -> Vec<Port> {
    let place = port.place().clone();
    if let Some(text) = port.text() {
        let text = text.split('/').next().unwrap_or_default();
        let parts: Vec<&str> = text.rsplitn(3, ':').collect();
        let container = parts.first().copied().unwrap_or_default();
        let host = parts.get(1).filter(|host| !host.is_empty()).map(|host| (*host).to_owned());
        return vec![Port { host, container: container.to_owned(), place }];
    }
    let Some(target) = port.text_at(&["target"]) else { return Vec::new() };
    let host = port.text_at(&["published"]).map(|text| text.text);
    vec![Port { host, container: target.text, place }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> Project {
        let file: std::sync::Arc<str> = "compose.yml".into();
        let root = super::super::yaml::read(&file, text).expect("YAML").remove(0);
        Project::new(file, root)
    }

    #[test]
    fn a_service_becomes_a_container() {
        let text = "x-r: &r\n  image: redis:${TAG:-7}\n  restart: always\nservices:\n  a:\n    <<: *r\n    command: redis-server --save '' --port \
            ${P}\n    environment: ['A=1', 'Q=\"x\"']\n    volumes: ['./data:/data', 'v:/v:ro', '/w']\n    ports: ['127.0.0.1:6380:6379']\n    \
            networks: {n: {ipv4_address: 10.0.0.2, aliases: [alias]}}\n  b:\n    extends: a\n    deploy: {replicas: 2}\n  c:\n    image: x\n    \
            profiles: [p]\n";
        let files = Files::of([(".env", "P=6379\n"), ("data/x", "")]);
        let read = read(&files, &project(text), &Choices::default());
        assert_eq!(read.containers.len(), 3);
        let a = &read.containers[0];
        assert_eq!(a.image.as_ref().expect("set").text, "redis:7");
        let words: Vec<&str> = a.command.as_ref().expect("set").iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, ["redis-server", "--save", "", "--port", "6379"]);
        assert_eq!(a.mounts[0].source, Source::Bind(Some("data".into())));
        assert!(a.mounts[1].read_only && a.mounts[2].source == Source::Anonymous);
        assert!(a.names.contains("alias") && a.addresses == ["10.0.0.2"] && a.restarts);
        assert_eq!((a.ports[0].host.as_deref(), a.ports[0].container.as_str()), (Some("6380"), "6379"));
        assert_eq!(read.containers[2].name(), "b-2");
        assert!(read.containers[2].restarts && read.containers[2].shared_names.contains("b"));
        assert_eq!((read.quoted.len(), read.off.len()), (2, 1));
    }
}
