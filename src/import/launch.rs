//! From a container to the program in it: its command line, its configuration file, its settings.

use std::collections::BTreeMap;

use super::container::{Container, Platform};
use super::dockerfile::{self, Image};
use super::haproxy_cfg;
use super::images::{self, Kind as ImageKind};
use super::origin::{Line, Origin, Place, Text, lines_of};
use super::redis_conf::Directives;
use super::shell::{Outcome, Shell};
use super::source::Files;
use super::vfs::{ConfigFile, Home, Vfs};

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A Redis server.
    Redis,
    /// A Sentinel.
    Sentinel,
    /// HAProxy.
    Haproxy,
}

/// A program of the stack.
#[derive(Clone, Debug)]
pub struct Program {
    /// Which program it is.
    pub kind: Kind,
    /// The user's name for it.
    pub name: String,
    /// The container in which it runs; none if only its file is known.
    pub container: Option<Container>,
    /// Its configuration file, if it has one.
    pub config: Option<ConfigFile>,
    /// Its settings, if it is a Redis server or a Sentinel.
    pub settings: Directives,
    /// Its settings, if it is HAProxy.
    pub proxy: haproxy_cfg::Config,
    /// The name of its image.
    pub image: Option<images::Name>,
    /// Where the image is named.
    pub image_place: Option<Place>,
    /// What its start script does.
    pub outcome: Outcome,
    /// Whether its image makes the file from variables.
    pub made_by_image: bool,
    /// Whether the file was not where it should be and another one was taken for it.
    pub guessed: bool,
    /// Where it begins.
    pub place: Place,
    /// The variables of its image and its container.
    pub env: BTreeMap<String, Text>,
    /// Files of the set that its image was built from or its start read.
    pub files: Vec<String>,
}

impl Program {
    /// A program of which only a file of the set is known.
    pub fn of_file(kind: Kind, name: &str, file: &super::source::File) -> Program {
        let lines = lines_of(&file.path, &file.text);
        let place = Place::new(&file.path, 1);
        let config = ConfigFile {
            path: file.path.to_string(),
            lines: Some(lines.clone()),
            home: Home::Machine,
            read_only: false,
            regenerated: false,
            place: place.clone(),
            in_set: Some(file.path.to_string()),
        };
        let mut program = Program::empty(kind, name, place);
        match kind {
            Kind::Haproxy => program.proxy = haproxy_cfg::read(&lines, &BTreeMap::new()),
            _ => program.settings = Directives::of_lines(&lines),
        }
        program.config = Some(config);
        program.files = vec![file.path.to_string()];
        program
    }

    /// A program of which nothing is known.
    pub fn empty(kind: Kind, name: &str, place: Place) -> Program {
        Program {
            kind,
            name: name.to_owned(),
            container: None,
            config: None,
            settings: Directives::default(),
            proxy: haproxy_cfg::Config::default(),
            image: None,
            image_place: None,
            outcome: Outcome::default(),
            made_by_image: false,
            guessed: false,
            place,
            env: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    /// The port on which it listens.
    pub fn port(&self) -> String {
        let usual = if self.kind == Kind::Sentinel { "26379" } else { "6379" };
        self.settings.word("port").unwrap_or(usual).to_owned()
    }

    /// The version that its image pins.
    pub fn version(&self) -> Option<(u32, u32)> {
        let image = self.image.as_ref()?;
        if image.kind == ImageKind::Other {
            return images::of_distribution(image);
        }
        image.numbers().map(|(major, minor)| (major, minor.unwrap_or(if major >= 8 { 0 } else { 99 })))
    }

    /// Where it is named: its service, or its file.
    pub fn named_at(&self) -> &Place {
        self.container.as_ref().map_or(&self.place, |container| &container.place)
    }

    /// Whether its version is known to be older than `major.minor`.
    pub fn is_older_than(&self, major: u32, minor: u32) -> bool {
        !self.image.as_ref().is_some_and(|image| image.valkey)
            && self.version().is_some_and(|version| version < (major, minor))
    }

    /// The place in which something that is absent belongs: the configuration file, or where the program is named.
    pub fn home(&self) -> Place {
        let first = self.config.as_ref().and_then(|config| config.lines.as_ref()?.first().cloned());
        let absent = self.made_by_image || self.config.is_none();
        match (first, &self.container) {
            (Some(line), _) if !absent => line.origin.place,
            (_, Some(container)) => container.place.clone(),
            _ => self.place.clone(),
        }
    }

    /// Whether something starts it again when it ends.
    pub fn restarts(&self) -> bool {
        self.container.as_ref().is_some_and(|container| container.restarts)
    }

    /// Whether the container runs in a pod.
    pub fn in_kubernetes(&self) -> bool {
        self.container.as_ref().is_some_and(|container| container.platform == Platform::Kubernetes)
    }
}

/// What a container is built from: the Dockerfile that it names, or a stage that has the name of its tag.
fn image_of(files: &Files, container: &Container, name: Option<&images::Name>) -> Option<Image> {
    if let Some(build) = &container.build {
        return dockerfile::read_with(
            files,
            (&build.dockerfile, &build.context),
            build.target.as_deref(),
            &build.arguments,
        );
    }
    // An image by a tag that is no version was built by hand: from a stage of this name, if there is one.
    let name = name.filter(|name| name.numbers().is_none())?;
    let tag = name.tag.clone().filter(|tag| !["latest", "alpine", "bookworm", "bullseye"].contains(&tag.as_str()))?;
    for file in
        files.all().filter(|file| file.path.rsplit('/').next().is_some_and(|name| name.starts_with("Dockerfile")))
    {
        let stages = dockerfile::stages(&file.text);
        for wanted in [tag.as_str(), name.name.as_str()] {
            if stages.iter().any(|stage| stage == wanted) {
                return dockerfile::read(files, &file.path, dockerfile::usual_context(&file.path), Some(wanted));
            }
        }
    }
    None
}

/// The program in `container`, if it is one of the stack's.
pub(crate) fn launch(files: &Files, container: &Container) -> Option<Program> {
    let named = container.image.as_ref().map(|image| images::read(&image.text));
    let built = image_of(files, container, named.as_ref());
    let base = built.as_ref().and_then(|image| image.base.clone());
    let image_text = if built.is_some() { base.or_else(|| container.image.clone()) } else { container.image.clone() };
    let image = image_text.as_ref().map(|text| images::read(&text.text));
    let kind = image.as_ref().map_or(ImageKind::Other, |image| image.kind);

    let mut vfs = Vfs::new(files, container);
    let mut env = BTreeMap::new();
    if let Some(image) = &built {
        vfs.image = image.files.clone();
        env.extend(image.env.clone());
        build_steps(&mut vfs, image, &env);
    }
    env.extend(container.env.clone());
    if let Some(folder) = container
        .folder
        .clone()
        .or_else(|| built.as_ref().map(|image| Text::new(&*image.folder, Origin::at(container.place.clone()))))
    {
        env.entry("PWD".to_owned()).or_insert(folder);
    } else if kind == ImageKind::Redis {
        env.entry("PWD".to_owned()).or_insert(Text::new("/data", Origin::at(container.place.clone())));
    }
    let words = command_line(container, built.as_ref(), kind);
    let mut shell = Shell::new(&mut vfs, env.clone(), &container.name());
    shell.open = container.platform == Platform::Unknown;
    for before in &container.before {
        shell.command(before);
        shell.outcome.start = None;
        shell.vfs.settle();
    }
    shell.command(&words);
    let outcome = std::mem::take(&mut shell.outcome);
    let started = outcome.start.clone();
    let place = started.as_ref().map_or(container.place.clone(), |start| start.place.clone());
    let wanted = match started.as_ref().map(|start| start.program.as_str()) {
        Some("redis-server" | "keydb-server") => Kind::Redis,
        Some("redis-sentinel") => Kind::Sentinel,
        Some("haproxy") => Kind::Haproxy,
        _ => by_image(kind, container, &words)?,
    };
    let mut program = Program::empty(wanted, &container.name(), place);
    program.env = env;
    program.outcome = outcome;
    program.image_place = image_text.as_ref().map(|text| text.place().clone());
    program.image = image;
    program.container = Some(container.clone());
    let arguments = started.map(|start| start.arguments).unwrap_or_default();
    settings(&mut program, &mut vfs, kind, &arguments, container);
    program.files = vfs.read.clone();
    program.files.extend(built.map(|image| image.copied).unwrap_or_default());
    Some(program)
}

/// What the commands of a Dockerfile do to files.
fn build_steps(vfs: &mut Vfs<'_>, image: &Image, env: &BTreeMap<String, Text>) {
    for run in &image.runs {
        let text = &run.text;
        if !["sed", "echo", "cp ", "mv ", "cat ", "printf"].iter().any(|word| text.contains(word)) {
            continue;
        }
        let line = Line::at(text, run.place().clone());
        let mut shell = Shell::new(vfs, env.clone(), "build");
        shell.script(&[line], &[]);
    }
}

/// The whole command line: the image's entrypoint and command, unless the container has its own.
fn command_line(container: &Container, built: Option<&Image>, kind: ImageKind) -> Vec<Text> {
    let word = |text: &str| Text::new(text, Origin::at(container.place.clone()));
    let image_entry = built.and_then(|image| image.entrypoint.clone());
    let image_command = built.and_then(|image| image.command.clone());
    let own_entry = container.entrypoint.clone().filter(|words| !words.is_empty());
    let own_command = container.command.clone().filter(|words| !words.is_empty());
    let usual = match kind {
        ImageKind::Redis => vec![word("redis-server")],
        ImageKind::Haproxy => vec![word("haproxy"), word("-f"), word("/usr/local/etc/haproxy/haproxy.cfg")],
        _ => Vec::new(),
    };
    let mut words = own_entry.clone().or(image_entry).unwrap_or_default();
    let command = match (&own_entry, own_command) {
        (_, Some(command)) => command,
        // A new entrypoint also drops the image's command.
        (Some(_), None) => Vec::new(),
        (None, None) => image_command.unwrap_or(if words.is_empty() { usual } else { Vec::new() }),
    };
    words.extend(command);
    // The official entrypoints put the program before what is no program.
    let option = words.first().is_some_and(|word| word.text.starts_with('-') || word.text.ends_with(".conf"));
    if option && kind == ImageKind::Redis {
        words.insert(0, word("redis-server"));
    } else if option && kind == ImageKind::Haproxy {
        words.insert(0, word("haproxy"));
    }
    words
}

/// The program of a container whose start is not understood.
fn by_image(kind: ImageKind, container: &Container, words: &[Text]) -> Option<Kind> {
    // Who starts something else is something else: `redis-cli`, `sh -c 'sleep 1'` in an image of Redis.
    let own = container.command.is_some() || container.entrypoint.is_some();
    let says = |text: &str| words.iter().any(|word| word.text.contains(text));
    match kind {
        ImageKind::Sentinel | ImageKind::BitnamiSentinel => Some(Kind::Sentinel),
        ImageKind::BitnamiRedis if !own || says("run.sh") || says("start-") => {
            Some(if says("sentinel") { Kind::Sentinel } else { Kind::Redis })
        }
        ImageKind::Redis if !own => Some(Kind::Redis),
        ImageKind::Redis if says("redis-sentinel") || says("--sentinel") => Some(Kind::Sentinel),
        ImageKind::Redis if says("redis-server") => Some(Kind::Redis),
        ImageKind::Haproxy => Some(Kind::Haproxy),
        _ => None,
    }
}

fn settings(program: &mut Program, vfs: &mut Vfs<'_>, kind: ImageKind, arguments: &[Text], container: &Container) {
    let origin = Origin::at(container.place.clone());
    if program.kind == Kind::Haproxy {
        let path = after(arguments, "-f").unwrap_or_else(|| "/usr/local/etc/haproxy/haproxy.cfg".to_owned());
        let path = if vfs.lines(&path).is_none() && vfs.lines(&format!("{path}/haproxy.cfg")).is_some() {
            format!("{path}/haproxy.cfg")
        } else {
            path
        };
        let config = vfs.config(&path, &program.place);
        if let Some(lines) = &config.lines {
            program.proxy = haproxy_cfg::read(lines, &program.env);
        }
        program.outcome.used.extend(program.proxy.variables.iter().cloned());
        program.config = Some(config);
        return;
    }
    let file = arguments.first().filter(|word| !word.text.starts_with("--") && word.text != "-");
    let bitnami =
        matches!(kind, ImageKind::BitnamiRedis | ImageKind::BitnamiSentinel) && program.outcome.start.is_none();
    if let Some(file) = file {
        let folder = program.env.get("PWD").map_or("/", |text| text.text.as_str());
        let path = if file.text.starts_with('/') {
            file.text.clone()
        } else {
            super::source::clean(&format!("{folder}/{}", file.text))
        };
        let config = vfs.config(&super::source::clean(&path), file.place());
        if let Some(lines) = &config.lines {
            program.settings = with_includes(vfs, lines, 0);
        }
        program.config = Some(config);
    } else if bitnami {
        let name = if program.kind == Kind::Sentinel { "sentinel.conf" } else { "redis.conf" };
        let mounted = format!(
            "/opt/bitnami/redis{}/mounted-etc/{name}",
            if program.kind == Kind::Sentinel { "-sentinel" } else { "" }
        );
        let old = program.is_older_than(6, 2);
        let lines = match (vfs.lines(&mounted), program.kind) {
            (Some(lines), _) => lines,
            (None, Kind::Sentinel) => images::bitnami_sentinel(&program.env, &origin, old),
            (None, _) => images::bitnami_redis(&program.env, &origin),
        };
        program.settings = Directives::of_lines(&lines);
        program.made_by_image = true;
        let path = format!("/opt/bitnami/redis/etc/{name}");
        let mut config = vfs.config(&path, &program.place);
        if program.kind == Kind::Sentinel {
            let (home, read_only) = vfs.home("/bitnami/redis-sentinel/conf");
            (config.home, config.read_only) = (home, read_only);
        }
        (config.lines, config.regenerated) = (Some(lines), program.kind == Kind::Redis);
        program.config = Some(config);
    }
    let mut all = Directives::default();
    all.add_arguments(arguments);
    follow_includes(vfs, &mut all);
    if let Some(extra) =
        program.env.get("REDIS_EXTRA_FLAGS").or(program.env.get("VALKEY_EXTRA_FLAGS")).filter(|_| bitnami)
    {
        let words: Vec<Text> =
            super::compose::shlex(&extra.text).into_iter().map(|word| Text::new(word, extra.origin.clone())).collect();
        all.add_arguments(&words);
    }
    program.settings.add(all);
}

/// Adds what the files say that arguments include.
fn follow_includes(vfs: &mut Vfs<'_>, all: &mut Directives) {
    let includes = all.all.iter().filter(|line| line.name == "include");
    let paths: Vec<String> = includes.filter_map(|line| Some(line.word(0)?.to_owned())).collect();
    for path in paths {
        let lines = vfs.lines(&path).unwrap_or_default();
        let inner = with_includes(vfs, &lines, 1);
        all.add(inner);
    }
}

/// The directives of a file and of what it includes.
fn with_includes(vfs: &mut Vfs<'_>, lines: &[Line], depth: usize) -> Directives {
    let mut all = Directives::default();
    for line in lines {
        let one = Directives::of_lines(std::slice::from_ref(line));
        let include = one
            .all
            .first()
            .filter(|directive| directive.name == "include")
            .and_then(|directive| directive.word(0).map(str::to_owned));
        all.add(one);
        if let Some(lines) = include.filter(|_| depth < 8).and_then(|path| vfs.lines(&path)) {
            let inner = with_includes(vfs, &lines, depth + 1);
            all.add(inner);
        }
    }
    all
}

/// The word behind an option.
fn after(arguments: &[Text], option: &str) -> Option<String> {
    let at = arguments.iter().position(|word| word.text == option)?;
    arguments.get(at + 1).map(|word| word.text.clone())
}
