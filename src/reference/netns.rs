//! Plain processes in network namespaces: a namespace for each host, and one with the bridge that joins them.
//!
//! Nothing of it touches the machine's own network: the bridge, too, lives in a namespace, so that stacks side by side
//! may use the same addresses. Needs root, iproute2 and util-linux.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::backend::{Backend, Host, Launch, Running, tool, within};
use super::{Error, leftovers};

/// Where `ip netns` keeps namespaces.
pub(super) const NAMESPACES: &str = "/run/netns";

/// The stack's network.
const ROUTE: &str = "10.77.0.0/16";

/// One stack's namespaces.
#[derive(Debug)]
pub(crate) struct Netns {
    prefix: String,
    /// The end of a host's cable at the bridge, by the host's name.
    ports: BTreeMap<String, String>,
    plugged: usize,
    kept: bool,
}

impl Netns {
    /// A bridge with nothing on it.
    pub(crate) fn new(slot: usize, _work: &Path) -> Result<Netns, Error> {
        let prefix = leftovers::name(slot);
        let netns = Netns { prefix, ports: BTreeMap::new(), plugged: 0, kept: false };
        let switch = netns.name("switch");
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        Ok(netns)
    }

    fn name(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }
}

fn ip(arguments: &[&str]) -> Result<String, Error> {
    tool(Command::new("ip").args(arguments))
}

impl Backend for Netns {
    fn network(&self) -> [u8; 2] {
        // Each stack's network is a world of its own.
        [10, 77]
    }

    fn plug(&mut self, host: &Host) -> Result<(), Error> {
        let (name, switch) = (self.name(&host.name), self.name("switch"));
        self.plugged += 1;
        let port = format!("port{}", self.plugged);
        let mac = host.mac.map(|byte| format!("{byte:02x}")).join(":");
        let addr = format!("{}/16", host.addr);
        ip(&["netns", "add", &name])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        let cable = ["link", "add", "eth0", "address", &mac, "netns", &name, "type", "veth", "peer", "name", &port];
        ip(&[&cable[..], &["netns", &switch]].concat())?;
        ip(&["-n", &switch, "link", "set", &port, "master", "bridge", "up"])?;
        ip(&["-n", &name, "addr", "add", &addr, "dev", "eth0"])?;
        ip(&["-n", &name, "link", "set", "eth0", "up"])?;
        // The kernel's own defaults, whatever this machine's are: they decide what a reader that stops holds back.
        let addr = host.addr.to_string();
        let route = ["route", "replace", ROUTE, "dev", "eth0", "proto", "kernel", "scope", "link", "src", &addr];
        ip(&[&["-n", &name], &route[..], &["congctl", "cubic"]].concat())?;
        ip(&["netns", "exec", &name, "sysctl", "-q", "-w", "net.ipv4.tcp_rmem=4096 131072 6291456"])?;
        self.ports.insert(host.name.clone(), port);
        Ok(())
    }

    fn plug_limit(&self) -> Duration {
        Duration::from_millis(150)
    }

    fn unplug(&mut self, host: &str) -> Result<(), Error> {
        if let Some(port) = self.ports.remove(host) {
            ip(&["-n", &self.name("switch"), "link", "del", &port])?;
            ip(&["netns", "del", &self.name(host)])?;
        }
        Ok(())
    }

    fn launch(&mut self, host: &str, launch: &Launch) -> Result<Running, Error> {
        let mut command = within(&self.namespace(host), &launch.command[0]);
        command.args(&launch.command[1..]);
        Running::spawn(launch, command)
    }

    fn namespace(&self, host: &str) -> PathBuf {
        Path::new(NAMESPACES).join(self.name(host))
    }

    fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if !self.kept {
            leftovers::remove_namespaces(&self.prefix);
        }
    }
}
