//! Containers of a Docker engine: one for each host, on a network of the stack's own.
//!
//! A host's container sleeps; it holds the address, the namespaces and the image's files. Programs are started in its
//! namespaces, so that one of them can die while its host lives, and at once, without the half second that an engine
//! takes for a container. They run as the host's root with all its capabilities (`nsenter` cannot give them less: an engine
//! does that by itself, for its own children): whoever chooses this backend is told so, and trusts the images. Needs root, a Docker engine and util-linux. Images: `REDIS_IMAGE`, `HAPROXY_IMAGE` and
//! `CLIENT_IMAGE` in the environment, as for `reference/compose.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::backend::{Backend, Host, Launch, Running, tool, within};
use super::{Error, leftovers};
use crate::record::NodeKind;

/// The label that all containers and networks of stacks bear.
pub(super) const LABEL: &str = "simref";

/// One stack's containers.
#[derive(Debug)]
pub(crate) struct Docker {
    prefix: String,
    work: PathBuf,
    net: u8,
    /// The process that holds a host's namespaces, by the host's name.
    holders: BTreeMap<String, u32>,
    kept: bool,
}

impl Docker {
    /// A network with nothing on it.
    pub(crate) fn new(slot: usize, work: &Path) -> Result<Docker, Error> {
        let prefix = leftovers::name(slot);
        // The engine's networks must not overlap; another driver's may be there.
        let first = 100 + (std::process::id() % 100) as u8;
        let mut last = Error::Failed("no free network".into());
        for net in (0..100).map(|n| 100 + (first - 100 + n + slot as u8) % 100) {
            let subnet = format!("10.{net}.0.0/16");
            let labels = ["--label", LABEL, "--internal"];
            match docker(&[&["network", "create", "--subnet", &subnet][..], &labels, &[&prefix]].concat()) {
                Ok(_) => {
                    return Ok(Docker { prefix, work: work.to_path_buf(), net, holders: BTreeMap::new(), kept: false });
                }
                Err(error) if error.to_string().contains("overlap") => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn container(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }
}

fn docker(arguments: &[&str]) -> Result<String, Error> {
    tool(Command::new("docker").args(arguments))
}

/// The image of a host, by what runs there.
fn image(kind: NodeKind) -> String {
    let setting = |name: &str| std::env::var(name).ok().filter(|image| !image.is_empty());
    let redis = || setting("REDIS_IMAGE").unwrap_or_else(|| "redis:7.0.15".into());
    match kind {
        NodeKind::Redis | NodeKind::Sentinel => redis(),
        NodeKind::Haproxy => setting("HAPROXY_IMAGE").unwrap_or_else(|| "haproxy:2.6".into()),
        NodeKind::Client => setting("CLIENT_IMAGE").unwrap_or_else(redis),
    }
}

impl Backend for Docker {
    fn network(&self) -> [u8; 2] {
        [10, self.net]
    }

    fn plug(&mut self, host: &Host) -> Result<(), Error> {
        let name = self.container(&host.name);
        let mac = host.mac.map(|byte| format!("{byte:02x}")).join(":");
        let work = format!("{0}:{0}", self.work.display());
        let this = std::env::current_exe().map_err(Error::io("this program's own file"))?;
        let this = format!("{0}:{0}:ro", this.display());
        let addr = host.addr.to_string();
        let place = ["--network", &self.prefix, "--ip", &addr, "-v", &work, "-v", &this];
        let image = image(host.kind);
        let holder = ["--label", LABEL, "--user", "0", "--entrypoint", "sleep", &image, "infinity"];
        docker(&[&["run", "-d", "--name", &name][..], &place, &holder].concat())?;
        let pid = docker(&["inspect", "-f", "{{.State.Pid}}", &name])?;
        let pid = pid.trim().parse().map_err(|_| Error::Failed(format!("{name} has no process: {pid}")))?;
        self.holders.insert(host.name.clone(), pid);
        // Engines differ in the address that they choose, and in how they are told of another.
        let namespace = self.namespace(&host.name);
        tool(within(&namespace, "ip").args(["link", "set", "eth0", "address", &mac])).map(|_| ())
    }

    fn plug_limit(&self) -> Duration {
        // An engine takes a third to two thirds of a second for a container; a demo's `docker start` takes them as well.
        Duration::from_secs(2)
    }

    fn unplug(&mut self, host: &str) -> Result<(), Error> {
        // At once, as the engine's own way is not.
        tool(within(&self.namespace(host), "ip").args(["link", "del", "eth0"]))?;
        self.holders.remove(host);
        docker(&["rm", "-f", &self.container(host)]).map(|_| ())
    }

    fn launch(&mut self, host: &str, launch: &Launch) -> Result<Running, Error> {
        let holder = self.holders.get(host).ok_or_else(|| Error::Failed(format!("{host} is not there")))?;
        let mut command = Command::new("nsenter");
        command.args(["-t", &holder.to_string(), "--net", "--mount", "--uts", "--ipc", "--"]).args(&launch.command);
        Running::spawn(launch, command)
    }

    fn namespace(&self, host: &str) -> PathBuf {
        let holder = self.holders.get(host).copied().unwrap_or_default();
        PathBuf::from(format!("/proc/{holder}/ns/net"))
    }

    fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if !self.kept {
            remove_containers(|name| name == self.prefix || name.starts_with(&format!("{}-", self.prefix)));
        }
    }
}

/// Removes the containers and networks of stacks whose names are due. Never fails: what is gone already is gone.
pub(super) fn remove_containers(due: impl Fn(&str) -> bool) -> usize {
    let filter = format!("label={LABEL}");
    let list = |arguments: &[&str], format: &str| -> Vec<String> {
        let text = docker(&[arguments, &["--filter", &filter, "--format", format]].concat());
        text.unwrap_or_default().lines().filter(|name| due(name)).map(str::to_string).collect()
    };
    let containers = list(&["ps", "-a"], "{{.Names}}");
    for name in &containers {
        // What runs in its namespaces is not its own: it goes first.
        if let Ok(pid) = docker(&["inspect", "-f", "{{.State.Pid}}", name]) {
            leftovers::kill_all_in(Path::new(&format!("/proc/{}/ns/net", pid.trim())));
        }
    }
    if !containers.is_empty() {
        let names: Vec<&str> = containers.iter().map(String::as_str).collect();
        let _ = docker(&[&["rm", "-f"][..], &names].concat());
    }
    let networks = list(&["network", "ls"], "{{.Name}}");
    for name in &networks {
        let _ = docker(&["network", "rm", name]);
    }
    containers.len() + networks.len()
}
