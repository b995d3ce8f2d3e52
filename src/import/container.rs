//! What compose files and manifests have in common: a container, and what it is started with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::origin::{Line, Place, Text};

/// Who starts the containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// `docker compose` on one machine.
    #[default]
    Compose,
    /// Docker's swarm mode.
    Swarm,
    /// Kubernetes.
    Kubernetes,
    /// Somebody else: only how the image is built is known.
    Unknown,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A path of the machine: that of a file or folder of the set, if it is one.
    Bind(Option<String>),
    /// A volume with a name, which outlives containers.
    Volume(String),
    /// A volume without a name: a new one for each new container.
    Anonymous,
    /// Memory, or a folder that goes with the pod.
    Scratch,
    /// Files that the platform puts there, read-only: a ConfigMap, `configs`.
    Files(BTreeMap<String, Vec<Line>>),
    /// Something with unknown content: a secret, a claim of unknown kind.
    Unknown,
}

/// A mount.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The path in the container.
    pub target: String,
    /// What is there.
    pub source: Source,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Where it is said.
    pub place: Place,
    /// The volume of the pod that it is, by name.
    pub volume: Option<String>,
}

/// A published port.
#[derive(Clone, Debug)]
pub struct Port {
    /// The port of the machine, if it is fixed.
    pub host: Option<String>,
    /// The port in the container.
    pub container: String,
    /// Where it is said.
    pub place: Place,
}

/// An image that is built from a Dockerfile of the set.
#[derive(Clone, Debug)]
pub struct Build {
    /// The folder.
    pub context: String,
    /// The Dockerfile.
    pub dockerfile: String,
    /// The stage that is wanted.
    pub target: Option<String>,
    /// The values that its `ARG`s are given.
    pub arguments: BTreeMap<String, Text>,
    /// Where it is said.
    pub place: Place,
}

impl Build {
    /// The last stage of a Dockerfile, with the values for its `ARG`s that it has itself.
    pub fn of_file(context: &str, dockerfile: &str, place: Place) -> Build {
        Build {
            context: context.to_owned(),
            dockerfile: dockerfile.to_owned(),
            target: None,
            arguments: BTreeMap::new(),
            place,
        }
    }
}

/// A container: one of several if its service has replicas.
#[derive(Clone, Debug)]
pub struct Container {
    /// The name of its service, workload or pod.
    pub service: String,
    /// Which of its replicas it is, from 0.
    pub ordinal: usize,
    /// How many there are.
    pub replicas: usize,
    /// Where it begins.
    pub place: Place,
    /// The compose file: one machine each, where several files are one stack.
    pub machine: Arc<str>,
    /// Names by which others reach it, and only it.
    pub names: BTreeSet<String>,
    /// Names behind which there are several containers.
    pub shared_names: BTreeSet<String>,
    /// Addresses that are fixed.
    pub addresses: Vec<String>,
    /// Whether it uses the machine's own network.
    pub host_network: bool,
    /// The image.
    pub image: Option<Text>,
    /// Or how it is built.
    pub build: Option<Build>,
    /// What is started instead of the image's ENTRYPOINT.
    pub entrypoint: Option<Vec<Text>>,
    /// What is started instead of the image's CMD.
    pub command: Option<Vec<Text>>,
    /// The environment.
    pub env: BTreeMap<String, Text>,
    /// The mounts.
    pub mounts: Vec<Mount>,
    /// The published ports.
    pub ports: Vec<Port>,
    /// The restart policy as it is written.
    pub restart: Option<Text>,
    /// Whether something starts it again when it ends.
    pub restarts: bool,
    /// The health check, in one line.
    pub health: Option<Text>,
    /// Commands that run before it, in the same pod.
    pub before: Vec<Vec<Text>>,
    /// Commands that run at its start and end.
    pub hooks: Vec<Text>,
    /// Who starts it.
    pub platform: Platform,
    /// The folder in which it starts.
    pub folder: Option<Text>,
    /// The labels of its pod.
    pub labels: BTreeMap<String, String>,
    /// Whether its pods are numbered (a StatefulSet).
    pub numbered: bool,
    /// Names that lead to an address of nobody, behind which several containers stand.
    pub virtual_names: BTreeSet<String>,
}

impl Container {
    /// A container of which nothing is known yet.
    pub fn new(service: &str, place: Place) -> Container {
        Container {
            service: service.to_owned(),
            ordinal: 0,
            replicas: 1,
            machine: place.file.clone(),
            place,
            names: BTreeSet::from([service.to_owned()]),
            shared_names: BTreeSet::new(),
            addresses: Vec::new(),
            host_network: false,
            image: None,
            build: None,
            entrypoint: None,
            command: None,
            env: BTreeMap::new(),
            mounts: Vec::new(),
            ports: Vec::new(),
            restart: None,
            restarts: false,
            health: None,
            before: Vec::new(),
            hooks: Vec::new(),
            platform: Platform::Compose,
            folder: None,
            labels: BTreeMap::new(),
            numbered: false,
            virtual_names: BTreeSet::new(),
        }
    }

    /// The name that people know it by: with its number if there are several.
    pub fn name(&self) -> String {
        match (self.numbered, self.replicas, self.platform) {
            (false, 0 | 1, _) => self.service.clone(),
            (_, _, Platform::Kubernetes) => format!("{}-{}", self.service, self.ordinal),
            _ => format!("{}-{}", self.service, self.ordinal + 1),
        }
    }

    /// The mount that holds the path `target` in the container: the deepest.
    pub fn mount_of(&self, path: &str) -> Option<(&Mount, String)> {
        let inside = |mount: &&Mount| {
            path == mount.target || path.starts_with(&format!("{}/", mount.target.trim_end_matches('/')))
        };
        let mount = self.mounts.iter().filter(inside).max_by_key(|mount| mount.target.len())?;
        let rest = path[mount.target.trim_end_matches('/').len()..].trim_start_matches('/');
        Some((mount, rest.to_owned()))
    }
}
