//! From files to stacks: which files belong together, which programs they start, and who is who.

use std::collections::{BTreeMap, BTreeSet};

use super::compose::{self, Choices, Project};
use super::container::Container;
use super::kubernetes;
use super::launch::{Kind, Program, launch};
use super::origin::{Place, Text};
use super::source::{Files, folder_of};
use super::stack::{Remark, Stack};
use super::yaml::{self, Node};
use super::{charts, identity, plain};

/// What decides how a set of files is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Values of variables that go before `.env`.
    pub env: BTreeMap<String, Text>,
    /// Profiles of compose that are on.
    pub profiles: BTreeSet<String>,
    /// Numbers of containers by service.
    pub scale: BTreeMap<String, usize>,
    /// The frontend through which clients write.
    pub frontend: Option<String>,
    /// The master, where several are monitored.
    pub master: Option<String>,
    /// The compose files that are read as one, if they were named.
    pub files: Vec<String>,
    /// `master=SERVICE`: which Redis node is the first master.
    pub first: Option<String>,
}

/// What was read of a set.
#[derive(Debug, Default)]
pub struct Set {
    /// The stacks.
    pub stacks: Vec<Stack>,
    /// Files that cannot be read as what they are, and why.
    pub broken: Vec<(Place, String)>,
    /// The first line of each template.
    pub templates: Vec<Place>,
}

/// Everything that YAML files say, by what it is.
#[derive(Default)]
pub(super) struct Documents {
    compose: Vec<Project>,
    manifests: Vec<Node>,
    pub(super) values: Vec<Node>,
}

/// Reads a set of files.
pub fn read(files: &Files, options: &Options) -> Set {
    let mut set = Set::default();
    let documents = documents(files, options, &mut set);
    let projects = with_overrides(documents.compose.clone(), options);
    let mut units: Vec<Unit> = projects.iter().map(|project| Unit::of_project(files, project, options)).collect();
    units.retain(|unit| !unit.programs.is_empty());
    // What another file includes is no stack of its own.
    let mut taken: BTreeSet<String> = documents.compose.iter().flat_map(compose::extended_files).collect();
    for unit in &units {
        if !taken.contains(&unit.label) {
            taken.extend(unit.included.iter().filter(|file| **file != unit.label).cloned());
        }
    }
    units.retain(|unit| !taken.contains(&unit.label));
    let manifests = kubernetes::read(&documents.manifests);
    let pods: Vec<Container> = manifests.containers;
    if !pods.is_empty() {
        let mut unit = Unit { label: "the manifests".to_owned(), kubernetes: true, ..Unit::default() };
        unit.launch(files, pods);
        if !unit.programs.is_empty() {
            units.push(unit);
        }
    }
    for unit in together(units) {
        set.stacks.push(identity::stack(files, unit, options));
    }
    if set.stacks.is_empty() {
        set.stacks.extend(charts::resources(&manifests.resources));
    }
    if set.stacks.is_empty() {
        set.stacks.extend(charts::values(files, &documents.values));
    }
    if set.stacks.is_empty() {
        set.stacks.extend(plain::stack(files, options));
    }
    let several = set.stacks.len() > 1;
    for stack in &mut set.stacks {
        if !several {
            plain::unused(files, stack);
        }
        plain::scripts(files, stack);
    }
    if several {
        unused_by_all(files, &mut set.stacks);
    }
    for stack in &mut set.stacks {
        // A single file is named; beyond the bounds there may be anything.
        let unread = files.unread().into_iter();
        let unread = unread.map(|text| Remark { place: None, matters: text.contains("what lies beyond"), text });
        stack.left_out.extend(unread);
    }
    set
}

/// Files that none of several stacks uses belong to the first that is told.
fn unused_by_all(files: &Files, stacks: &mut [Stack]) {
    let mut all = stacks[0].clone();
    for stack in &stacks[1..] {
        all.redis.extend(stack.redis.iter().cloned());
        all.sentinels.extend(stack.sentinels.iter().cloned());
        all.proxies.extend(stack.proxies.iter().cloned());
    }
    plain::unused(files, &mut all);
    stacks[0].unused = all.unused;
}

/// Reads every YAML file and says what it is.
fn documents(files: &Files, options: &Options, set: &mut Set) -> Documents {
    let mut documents = Documents::default();
    let wanted: Vec<_> = match options.files.is_empty() {
        true => files.listed().collect(),
        false => options.files.iter().filter_map(|path| files.get(path)).collect(),
    };
    for file in wanted {
        let yaml = file.path.ends_with(".yml") || file.path.ends_with(".yaml");
        if let Some(line) = template_line(&file.text) {
            let matters = yaml
                || file.path.ends_with(".j2")
                || file.path.ends_with(".tpl")
                || file.path.ends_with(".conf")
                || file.path.ends_with(".cfg");
            let lower = file.text.to_ascii_lowercase();
            let about = ["redis", "sentinel"].iter().any(|word| lower.contains(word));
            // Rules of Prometheus have templates of their own.
            let about = about && !lower.contains("expr:");
            if matters && about {
                set.templates.push(Place::new(&file.path, line));
            }
            continue;
        }
        if !yaml {
            continue;
        }
        match yaml::read(&file.path, &file.text) {
            Ok(all) => {
                if all.first().is_some_and(compose::is_one) {
                    documents.compose.extend(all.into_iter().next().map(|root| Project::new(file.path.clone(), root)));
                } else if all.iter().any(kubernetes::is_one) {
                    documents.manifests.extend(all);
                } else {
                    documents.values.extend(all);
                }
            }
            Err((place, why)) => {
                let about = ["redis", "sentinel", "services:"].iter().any(|word| file.text.contains(word));
                if about {
                    set.broken.push((place, format!("this is not YAML: {why}")));
                }
            }
        }
    }
    documents
}

/// The first line that is part of a template, outside comments.
pub(super) fn template_line(text: &str) -> Option<usize> {
    let is_part = |line: &str| {
        // Docker's swarm mode fills these in itself, in each container.
        let code = ["{{.Task.", "{{.Node.", "{{.Service.", "{{ .Task.", "{{ .Node.", "{{ .Service."]
            .iter()
            .fold(line.trim_start().to_owned(), |code, own| code.replace(own, ""));
        !code.starts_with('#')
            && (code.contains("{{") && code.contains("}}") && !code.contains("--format") && !code.contains("inspect")
                || code.starts_with("{%"))
    };
    text.lines().position(is_part).map(|n| n + 1)
}

/// The projects, overrides worked in: those named by their file name, or those named one by one.
fn with_overrides(all: Vec<Project>, options: &Options) -> Vec<Project> {
    let name = |project: &Project| project.file.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if options.files.len() > 1
        && all.len() > 1
        && all.iter().all(|project| folder_of(&project.file) == folder_of(&all[0].file))
    {
        let mut all = all.into_iter();
        let Some(first) = all.next() else { return Vec::new() };
        let root = all.fold(first.root, |root, project| compose::merged(root, &project.root));
        return vec![Project { root, ..first }];
    }
    let (overrides, bases): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|project| name(project).contains(".override."));
    let mut projects = Vec::new();
    for mut base in bases {
        let usual = name(&base).trim_start_matches("docker-").starts_with("compose.");
        for over in overrides.iter().filter(|over| usual && folder_of(&over.file) == folder_of(&base.file)) {
            base.root = compose::merged(base.root, &over.root);
        }
        projects.push(base);
    }
    projects
}

/// The programs of one compose file, or of all manifests.
#[derive(Clone, Debug, Default)]
pub(super) struct Unit {
    pub(super) label: String,
    pub(super) programs: Vec<Program>,
    pub(super) others: Vec<Container>,
    pub(super) assumed: Vec<Remark>,
    pub(super) unset: Vec<(String, Place)>,
    pub(super) quoted: Vec<Text>,
    pub(super) kubernetes: bool,
    pub(super) machines: BTreeSet<String>,
    pub(super) included: BTreeSet<String>,
}

impl Unit {
    fn of_project(files: &Files, project: &Project, options: &Options) -> Unit {
        let choices =
            Choices { env: options.env.clone(), profiles: options.profiles.clone(), scale: options.scale.clone() };
        let mut unit = Unit { label: project.file.to_string(), ..Unit::default() };
        unit.machines.insert(project.file.to_string());
        let mut read = compose::read(files, project, &choices);
        unit.launch(files, read.containers);
        let kinds = |unit: &Unit| (unit.count(Kind::Redis), unit.count(Kind::Sentinel));
        let (redis, sentinels) = kinds(&unit);
        if (redis == 0 || sentinels == 0) && !read.off.is_empty() && options.profiles.is_empty() {
            // Nothing of the stack is without a profile: then all of them are meant.
            let names: BTreeSet<&str> = read.off.iter().flat_map(|(_, names)| names.split(", ")).collect();
            let text = format!(
                "profiles {}: on, since without them there is no stack (--profile)",
                names.into_iter().collect::<Vec<_>>().join(", ")
            );
            let all = Choices { profiles: BTreeSet::from(["*".to_owned()]), ..choices };
            read = compose::read(files, project, &all);
            unit.programs.clear();
            unit.others.clear();
            unit.assumed.push(Remark { place: None, text, matters: false });
            let containers = std::mem::take(&mut read.containers);
            unit.launch(files, containers);
        }
        unit.unset = read.variables.unset;
        unit.quoted = read.quoted;
        let containers = unit.programs.iter().filter_map(|one| one.container.as_ref());
        let ours: BTreeSet<&str> = containers.map(|container| container.service.as_str()).collect();
        let assumed = read.assumed.into_iter().filter(|(service, ..)| ours.contains(service.as_str()));
        // Another number of nodes is another stack.
        let assumed: Vec<Remark> =
            assumed.map(|(_, place, text)| Remark { place: Some(place), text, matters: true }).collect();
        unit.assumed.extend(assumed);
        unit.assumed.extend(read.missing.into_iter().map(|(place, text)| Remark {
            place: Some(place),
            text,
            matters: true,
        }));
        unit.included = read.included;
        unit
    }

    pub(super) fn launch(&mut self, files: &Files, containers: Vec<Container>) {
        for container in containers {
            match launch(files, &container) {
                Some(program) => self.programs.push(program),
                None => self.others.push(container),
            }
        }
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.programs.iter().filter(|program| program.kind == kind).count()
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Program> {
        self.programs.iter().filter(move |program| program.kind == kind)
    }

    /// Whether it is a stack by itself: it has a first master, and as many Sentinels as they need.
    fn is_whole(&self) -> bool {
        let quorum = self
            .of(Kind::Sentinel)
            .filter_map(|one| one.settings.every("sentinel monitor").last()?.word(3)?.parse::<usize>().ok())
            .max();
        let master = self.of(Kind::Redis).any(|one| one.settings.get("replicaof").is_none());
        master && self.count(Kind::Sentinel) >= quorum.unwrap_or(1).max(1) && self.count(Kind::Redis) > 1
    }

    fn services(&self) -> BTreeSet<String> {
        let programs = self.programs.iter().filter_map(|one| one.container.as_ref()).chain(&self.others);
        programs.map(|container| container.service.clone()).collect()
    }

    fn join(&mut self, other: Unit) {
        self.programs.extend(other.programs);
        self.others.extend(other.others);
        self.assumed.extend(other.assumed);
        self.unset.extend(other.unset);
        self.quoted.extend(other.quoted);
        self.machines.extend(other.machines);
        self.label = format!("{}, {}", self.label, other.label);
    }
}

/// Units that are no stack by themselves, put together: on one machine if they complete each other, else each is a machine
/// of its own.
fn together(units: Vec<Unit>) -> Vec<Unit> {
    let (mut whole, parts): (Vec<_>, Vec<_>) = units.into_iter().partition(Unit::is_whole);
    let mut rest: Option<Unit> = None;
    for mut part in parts {
        let alone = whole.len() == 1
            && part.services().is_disjoint(&whole[0].services())
            && part.kubernetes == whole[0].kubernetes;
        match (alone, &mut rest) {
            (true, _) => whole[0].join(part),
            (false, Some(rest)) => {
                let disjoint = rest.services().is_disjoint(&part.services());
                if disjoint {
                    // One machine runs what several files start.
                    let machine = rest.machines.iter().next().cloned().unwrap_or_default();
                    part.machines = BTreeSet::from([machine]);
                }
                rest.join(part);
            }
            (false, None) => rest = Some(part),
        }
    }
    // What cannot be a stack beside one that is: a variant, or something else.
    let useful = rest.filter(|rest| whole.is_empty() || rest.is_whole());
    whole.extend(useful);
    whole
}
