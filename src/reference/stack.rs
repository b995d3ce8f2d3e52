//! The stack of a scenario, made of real programs.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use super::ask::{Value, ask, words};
use super::backend::{Backend, Host, Launch, Lines, Output, Running};
use super::{Error, Interrupt, Programs, dataset, settings};
use crate::client::{Kind, Via};
use crate::release::{AnyRelease, Release as _, Released as _, ServerRelease};
use crate::scenario::{Layout, REDIS_PORT, SENTINEL_PORT, Scenario, Seat};
use crate::wire::{HostId, NodeId};

/// Sentinels and HAProxy start this much later than the Redis nodes.
const SENTINELS_AFTER: Duration = Duration::from_millis(700);
/// Between two rounds of questions whether the stack is ready.
const POLL: Duration = Duration::from_millis(300);
/// A stack that is not ready after this long never will be.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// An interpreter that has not made its first attempt after this long never will.
const LIBRARY_LIMIT: Duration = Duration::from_secs(60);
/// How long an answer may take.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What takes longer than this is the fault of a machine that is too busy.
const LATE: Duration = Duration::from_millis(150);

/// What a node's program does now.
#[derive(Debug, Default)]
pub(super) enum Life {
    /// There is no process.
    #[default]
    Down,
    /// It runs.
    Up(Running),
    /// It stands still.
    Paused(Running),
}

/// A stack of real programs.
pub struct Stack {
    pub(super) scenario: Scenario,
    pub(super) layout: Layout,
    pub(super) work: PathBuf,
    pub(super) random: ChaCha8Rng,
    /// By node. Before the backend: processes end before their network does.
    pub(super) lives: Vec<Life>,
    /// Programs that hold packets up, by the host that they run on.
    pub(super) delays: Vec<(HostId, Running)>,
    /// HAProxy's lines.
    pub(super) lines: Lines,
    hosts: Vec<Host>,
    /// By host.
    pub(super) present: Vec<bool>,
    /// What took so long that the machine, not the stack, would be recorded.
    pub(super) late: Option<String>,
    /// Whether HAProxy's lines go to a file, since nobody will be there to read them.
    unread: bool,
    /// Whether it all outlives this value.
    kept: bool,
    pub(super) programs: Programs,
    pub(super) backend: Box<dyn Backend>,
}

impl Stack {
    /// The stack of a scenario, not started; files go to the folder `work`.
    pub fn new(scenario: &Scenario, backend: Box<dyn Backend>, programs: Programs, work: &Path) -> Stack {
        use std::hash::{BuildHasher as _, Hasher as _};
        let layout = Layout::of(scenario);
        let network = backend.network();
        // The real stack has no seed: each run is drawn anew.
        let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let hosts: Vec<Host> = layout
            .names
            .hosts
            .iter()
            .enumerate()
            .map(|(place, name)| Host {
                name: name.clone(),
                kind: layout.names.first_on(HostId(place as u16)),
                addr: address(network, &layout, place),
                mac: mac(&mut random),
            })
            .collect();
        Stack {
            lives: (0..layout.nodes()).map(|_| Life::Down).collect(),
            present: vec![false; hosts.len()],
            scenario: scenario.clone(),
            layout,
            work: work.to_path_buf(),
            random,
            delays: Vec::new(),
            lines: Lines::default(),
            hosts,
            late: None,
            unread: false,
            kept: false,
            programs,
            backend,
        }
    }

    /// Starts everything but the clients and waits until the stack is ready: replication is up, and every Sentinel knows
    /// all replicas and all other Sentinels.
    pub fn boot(&mut self, interrupt: &Interrupt) -> Result<(), Error> {
        for host in 0..self.hosts.len() {
            interrupt.check()?;
            self.plug(HostId(host as u16))?;
        }
        let (redis, sentinels) =
            (self.layout.all_redis().collect::<Vec<_>>(), self.layout.all_sentinels().collect::<Vec<_>>());
        for &node in &redis {
            self.start(node)?;
        }
        interrupt.wait(SENTINELS_AFTER)?;
        for &node in sentinels.iter().chain(&self.layout.haproxy()) {
            self.start(node)?;
        }
        let (begun, limit) = (Instant::now(), READY_LIMIT + self.dataset_span() * 5);
        while let Err(why) = self.ready() {
            if begun.elapsed() > limit {
                return Err(Error::Failed(format!("the stack is not ready after {} s: {why}", limit.as_secs())));
            }
            interrupt.wait(POLL)?;
        }
        Ok(())
    }

    /// Another release is installed for the next start of a node, and what was set for it stays.
    pub(super) fn install(&mut self, node: NodeId, release: AnyRelease) {
        self.programs.install(node, release);
        match (self.layout.seats[node.0 as usize], release) {
            (Seat::Redis(place), AnyRelease::Server(release)) => {
                self.scenario.redis[place] = self.scenario.redis[place].under(release);
            }
            (Seat::Sentinel(place), AnyRelease::Server(release)) => {
                self.scenario.sentinel[place] = self.scenario.sentinel[place].under(release);
            }
            (Seat::Haproxy, AnyRelease::Proxy(release)) => {
                self.scenario.haproxy = self.scenario.haproxy.under(release);
            }
            _ => unreachable!("a scenario installs a program where it runs"),
        }
    }

    /// Starts the clients.
    pub fn start_clients(&mut self) -> Result<(), Error> {
        for node in self.layout.all_clients().collect::<Vec<_>>() {
            self.start(node)?;
        }
        Ok(())
    }

    /// Waits until every client that runs on a real library has a first line: interpreters start at their own pace.
    pub(super) fn await_libraries(&mut self, interrupt: &Interrupt) -> Result<(), Error> {
        let begun = Instant::now();
        for (node, _) in self.library_clients() {
            while fs::metadata(self.log(node)).map_or(0, |file| file.len()) == 0 {
                let ended = self.is_down(node);
                if ended || begun.elapsed() > LIBRARY_LIMIT {
                    let how = if ended { "ended" } else { "did nothing" };
                    return Err(Error::Failed(format!("{} {how}: {}", self.name(node), self.complaint(node))));
                }
                interrupt.wait(POLL / 10)?;
            }
        }
        Ok(())
    }

    /// No client's program has ended by itself: its recording would show an outage that there was not.
    pub(super) fn expect_clients_alive(&mut self) -> Result<(), Error> {
        for (node, host) in self.library_clients() {
            let started = matches!(self.lives[node.0 as usize], Life::Up(_));
            if started && self.present[host.0 as usize] && self.is_down(node) {
                return Err(Error::Failed(format!("{} ended: {}", self.name(node), self.complaint(node))));
            }
        }
        Ok(())
    }

    fn library_clients(&self) -> Vec<(NodeId, HostId)> {
        let of = |node: &NodeId| match self.layout.seats[node.0 as usize] {
            Seat::Client(place) => !self.scenario.clients[place].runs_as_recorded(),
            _ => false,
        };
        self.layout.all_clients().filter(of).map(|node| (node, self.layout.host(node))).collect()
    }

    /// The last line that a node's program wrote to its standard error.
    fn complaint(&self, node: NodeId) -> String {
        let path = self.folder(node).join(format!("{}.stderr", self.name(node)));
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().last().unwrap_or("it says nothing").to_owned()
    }

    /// Lets everything run on when this is dropped: `sim reference down` will end it.
    pub fn keep(&mut self) {
        self.kept = true;
        self.backend.keep();
    }

    /// Output goes to files only, so that the stack can outlive this process.
    pub fn without_reader(mut self) -> Stack {
        self.unread = true;
        self
    }

    /// Names, addresses and ports of all that can be spoken to.
    pub fn addresses(&self) -> Vec<(String, Ipv4Addr, u16)> {
        let servers = (0..self.layout.nodes() - self.scenario.clients.len()).map(|node| NodeId(node as u16));
        servers.map(|node| (self.name(node).to_string(), self.addr(node), self.layout.addr(node).port)).collect()
    }

    /// The data that a server holds at the start lies in its folder before it first runs: as an RDB file, or as the base of its log,
    /// for who has a log reads no other file.
    fn fill(&self, config: &crate::redis::Config, folder: &Path) -> Result<(), Error> {
        let path = match (config.appendonly, config.release.has(ServerRelease::Redis7_0)) {
            (false, _) => folder.join("dump.rdb"),
            (true, false) => folder.join("appendonly.aof"),
            (true, true) => {
                let log = folder.join("appendonlydir");
                let write = |name: &str, text: &str| fs::write(log.join(name), text).map_err(Error::io(log.display()));
                fs::create_dir_all(&log).map_err(Error::io(log.display()))?;
                let [base, rest] = ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"];
                write(rest, "")?;
                write("appendonly.aof.manifest", &format!("file {base} seq 1 type b\nfile {rest} seq 1 type i\n"))?;
                log.join(base)
            }
        };
        dataset::write(&path, &config.dataset(), config.dataset_value_bytes).map_err(Error::io(path.display()))
    }

    /// How long the largest data set takes to be loaded and to reach a replica.
    fn dataset_span(&self) -> Duration {
        let spans = self.scenario.redis.iter().filter(|config| config.dataset_bytes > 0).map(|c| c.dataset_span());
        spans.max().map_or(Duration::ZERO, |span| Duration::from_nanos(span.0))
    }

    fn ready(&self) -> Result<(), String> {
        for node in self.layout.all_redis().skip(1) {
            let info = self.ask(node, words("INFO replication")).map_err(|error| error.to_string())?;
            if !info.text().unwrap_or_default().contains("master_link_status:up") {
                return Err(format!("{} has no link to its master", self.name(node)));
            }
        }
        let sentinels = self.scenario.sentinel.len();
        for node in self.layout.all_sentinels() {
            let Seat::Sentinel(place) = self.layout.seats[node.0 as usize] else { continue };
            let master = &self.scenario.sentinel[place].master_name;
            for (what, count) in [("REPLICAS", self.scenario.redis.len() - 1), ("SENTINELS", sentinels - 1)] {
                let reply = self.ask(node, words(&format!("SENTINEL {what} {master}"))).map_err(|e| e.to_string())?;
                let known = reply.list().map_or(0, <[Value]>::len);
                if known != count {
                    return Err(format!("{} knows {known} of {count} {}", self.name(node), what.to_lowercase()));
                }
            }
        }
        Ok(())
    }

    /// A command, and the reply of the node's program.
    pub(super) fn ask(&self, node: NodeId, command: Vec<String>) -> Result<Value, Error> {
        // A server that frees or forks a large data set answers nobody meanwhile.
        let mut replies = self.ask_all(node, ANSWER_LIMIT + self.dataset_span() / 5, &[command])?;
        Ok(replies.remove(0))
    }

    pub(super) fn ask_all(&self, node: NodeId, limit: Duration, commands: &[Vec<String>]) -> Result<Vec<Value>, Error> {
        ask(&self.namespace(self.layout.host(node)), self.layout.addr(node).port, limit, commands)
            .map_err(Error::io(format!("asking {}", self.name(node))))
    }

    pub(super) fn name(&self, node: NodeId) -> &str {
        self.layout.names.node(node)
    }

    pub(super) fn host_name(&self, host: HostId) -> &str {
        self.layout.names.host(host)
    }

    pub(super) fn host_addr(&self, host: HostId) -> Ipv4Addr {
        self.hosts[host.0 as usize].addr
    }

    pub(super) fn addr(&self, node: NodeId) -> Ipv4Addr {
        self.host_addr(self.layout.host(node))
    }

    pub(super) fn namespace(&self, host: HostId) -> PathBuf {
        self.backend.namespace(self.host_name(host))
    }

    /// The name of the host with an address.
    pub(super) fn name_of(&self, addr: Ipv4Addr) -> Option<String> {
        self.hosts.iter().find(|host| host.addr == addr).map(|host| host.name.clone())
    }

    pub(super) fn nodes_on(&self, host: HostId) -> Vec<NodeId> {
        (0..self.layout.nodes() as u16).map(NodeId).filter(|&node| self.layout.host(node) == host).collect()
    }

    /// A node's data folder.
    pub(super) fn folder(&self, node: NodeId) -> PathBuf {
        self.work.join(self.name(node))
    }

    /// A node's log, or a client's own lines.
    pub(super) fn log(&self, node: NodeId) -> PathBuf {
        self.folder(node).join("log")
    }

    pub(super) fn plug(&mut self, host: HostId) -> Result<(), Error> {
        let place = host.0 as usize;
        self.backend.plug(&self.hosts[place])?;
        self.present[place] = true;
        Ok(())
    }

    pub(super) fn unplug(&mut self, host: HostId) -> Result<(), Error> {
        let place = host.0 as usize;
        self.present[place] = false;
        self.backend.unplug(&self.hosts[place].name)
    }

    /// The host will have another hardware address, as every new container has.
    pub(super) fn forget_mac(&mut self, host: HostId) {
        self.hosts[host.0 as usize].mac = mac(&mut self.random);
    }

    /// A random time between two limits.
    pub(super) fn between(&mut self, min: Duration, max: Duration) -> Duration {
        if min >= max { min } else { self.random.random_range(min..max) }
    }

    /// Starts a node's program.
    pub(super) fn start(&mut self, node: NodeId) -> Result<(), Error> {
        let folder = self.folder(node);
        fs::create_dir_all(&folder).map_err(Error::io(folder.display()))?;
        let launch = self.launch(node)?;
        let host = self.host_name(self.layout.host(node)).to_string();
        let running = self.backend.launch(&host, &launch)?;
        self.lives[node.0 as usize] = Life::Up(running);
        self.set_debug_numbers(node);
        Ok(())
    }

    /// Numbers that only a command can set.
    fn set_debug_numbers(&self, node: NodeId) {
        let Seat::Sentinel(place) = self.layout.seats[node.0 as usize] else { return };
        let Some(command) = settings::sentinel_debug(&self.scenario.sentinel[place]) else { return };
        let namespace = self.namespace(self.layout.host(node));
        std::thread::spawn(move || {
            for _ in 0..50 {
                if ask(&namespace, SENTINEL_PORT, ANSWER_LIMIT, std::slice::from_ref(&command)).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }

    fn launch(&self, node: NodeId) -> Result<Launch, Error> {
        let (folder, log) = (self.folder(node), self.log(node));
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(Error::io(path.display()))?;
            Ok::<String, Error>(path.display().to_string())
        };
        let first_master = self.addr(self.layout.redis(0));
        let mut output = Output::File(folder.join("stdout"));
        let program = self.programs.of(node).map(|program| program.file.display().to_string());
        let command = match self.layout.seats[node.0 as usize] {
            Seat::Redis(place) => {
                let config = &self.scenario.redis[place];
                if config.dataset_bytes > 0 && !log.exists() {
                    self.fill(config, &folder)?;
                }
                let master = (place > 0).then_some(first_master);
                let (mut command, file) = settings::redis_command(config, &folder, &log, master, self.needs_debug());
                // A file that Sentinel has had rewritten outlives a restart.
                if let Some(text) = file.filter(|_| !folder.join("redis.conf").exists()) {
                    write("redis.conf", &text)?;
                }
                command.splice(..1, program.or_else(|| Some("redis-server".into())));
                command
            }
            Seat::Sentinel(place) => {
                let path = folder.join("sentinel.conf");
                if !path.exists() {
                    let config = &self.scenario.sentinel[place];
                    write("sentinel.conf", &settings::sentinel_file(config, &folder, &log, first_master))?;
                }
                // `redis-sentinel` is another name of the server's file.
                let path = path.display().to_string();
                match program {
                    Some(program) => vec![program, path, "--sentinel".into()],
                    None => vec!["redis-sentinel".into(), path],
                }
            }
            Seat::Haproxy => {
                let servers: Vec<(String, Ipv4Addr)> =
                    self.layout.all_redis().map(|redis| (self.name(redis).to_string(), self.addr(redis))).collect();
                let path = write("haproxy.cfg", &settings::haproxy_file(&self.scenario, &servers))?;
                output = if self.unread { Output::File(log) } else { Output::Lines(self.lines.clone()) };
                vec![program.unwrap_or_else(|| "haproxy".into()), "-db".into(), "-f".into(), path]
            }
            Seat::Client(place) => self.client_command(place, &log)?,
        };
        Ok(Launch { node: self.name(node).to_string(), command, folder, output })
    }

    fn client_command(&self, place: usize, log: &Path) -> Result<Vec<String>, Error> {
        let config = &self.scenario.clients[place];
        if let Some(program) = self.programs.client(config.library).filter(|_| !config.runs_as_recorded()) {
            return self.library_command(program, place, log);
        }
        let program = std::env::current_exe().map_err(Error::io("this program's own file"))?;
        let server = match config.via {
            Via::Address => self.layout.redis(0),
            _ => self.layout.haproxy().expect("without HAProxy no such client is left"),
        };
        let kind = config.kind.verb();
        let mut command = vec![program.display().to_string()];
        command.extend(words(&format!("reference client {kind} {}:{REDIS_PORT}", self.addr(server))));
        let mut option = |name: &str, value: String| command.extend([name.to_string(), value]);
        option("--out", log.display().to_string());
        option("--channel", config.channel.clone());
        option("--every", config.every.to_string());
        option("--keys", self.keys(place));
        option("--payload", config.payload.to_string());
        if let Some(requests) = config.requests {
            option("--requests", requests.to_string());
        }
        if self.scenario.clients.iter().filter(|client| client.kind == Kind::Publish).count() > 1 {
            option("--mark", config.name.clone());
        }
        if let Some(px) = config.px {
            option("--px", px.to_string());
        }
        if let Some(wait) = config.wait {
            option("--wait-replicas", wait.replicas.to_string());
            option("--wait-timeout", wait.timeout.to_string());
        }
        if config.then_set {
            command.push("--then-set".into());
        }
        Ok(command)
    }

    /// A client that runs on a real library: its words are told in `libraries.rs`.
    fn library_command(&self, program: &Path, place: usize, log: &Path) -> Result<Vec<String>, Error> {
        let config = &self.scenario.clients[place];
        let at = |node: NodeId| format!("{}:{}", self.addr(node), self.layout.addr(node).port);
        let (way, addresses) = match config.via {
            Via::Sentinels => ("sentinels", self.layout.all_sentinels().map(at).collect::<Vec<_>>().join(",")),
            _ => ("proxy", at(self.layout.haproxy().expect("a client by this way has a HAProxy"))),
        };
        let master = self.scenario.sentinel.first().map_or("mymaster", |sentinel| sentinel.master_name.as_str());
        let first = super::client::counted(log).map_err(Error::io(log.display()))? + 1;
        let words = [
            program.display().to_string(),
            config.kind.verb().into(),
            way.into(),
            addresses,
            master.into(),
            log.display().to_string(),
            config.channel.clone(),
            self.keys(place),
            (config.every.0 / 1_000).to_string(),
            first.to_string(),
        ];
        Ok(words.to_vec())
    }

    /// What the keys of a client begin with: several writers do not share keys.
    pub(super) fn keys(&self, place: usize) -> String {
        let first = self.scenario.clients.iter().position(crate::client::Config::writes);
        if first.is_none_or(|first| first == place) { "k:".into() } else { format!("k{place}:") }
    }

    /// Whether the driver itself gives DEBUG commands to Redis: to stall it.
    fn needs_debug(&self) -> bool {
        super::script::driver_needs_debug(&self.scenario)
    }

    pub(super) fn kill(&mut self, node: NodeId) {
        if let Life::Up(running) | Life::Paused(running) = std::mem::take(&mut self.lives[node.0 as usize]) {
            let begun = Instant::now();
            running.kill();
            self.expect_soon(begun, &format!("the death of {}", self.name(node)));
        }
    }

    /// Remembers what took too long since `due`.
    pub(super) fn expect_soon(&mut self, due: Instant, what: &str) {
        self.expect_within(LATE, due, what);
    }

    /// Remembers what took longer than `limit` since `due`.
    pub(super) fn expect_within(&mut self, limit: Duration, due: Instant, what: &str) {
        let late = due.elapsed();
        // The kernel frees the memory of a dead process before it closes its sockets.
        let limit = limit + self.dataset_span() / 20;
        if late > limit && self.late.is_none() {
            self.late = Some(format!("{what} took {:.3} s", late.as_secs_f64()));
        }
    }

    pub(super) fn is_down(&mut self, node: NodeId) -> bool {
        let life = &mut self.lives[node.0 as usize];
        if let Life::Up(running) | Life::Paused(running) = life
            && running.has_ended()
        {
            *life = Life::Down;
        }
        matches!(life, Life::Down)
    }

    pub(super) fn signal(&self, node: NodeId, signal: Signal) {
        if let Life::Up(running) | Life::Paused(running) = &self.lives[node.0 as usize] {
            running.signal(signal);
        }
    }

    pub(super) fn pause(&mut self, node: NodeId) {
        self.signal(node, Signal::STOP);
        let life = &mut self.lives[node.0 as usize];
        *life = match std::mem::take(life) {
            Life::Up(running) => Life::Paused(running),
            life => life,
        };
    }

    pub(super) fn resume(&mut self, node: NodeId) {
        self.signal(node, Signal::CONT);
        let life = &mut self.lives[node.0 as usize];
        *life = match std::mem::take(life) {
            Life::Paused(running) => Life::Up(running),
            life => life,
        };
    }

    /// Who the master is, as most of the Sentinels say that answer; without Sentinels the first node that says so.
    pub(super) fn named_master(&mut self) -> Option<NodeId> {
        let mut votes: BTreeMap<NodeId, usize> = BTreeMap::new();
        for node in self.layout.all_sentinels() {
            let Seat::Sentinel(place) = self.layout.seats[node.0 as usize] else { continue };
            if !matches!(self.lives[node.0 as usize], Life::Up(_)) {
                continue;
            }
            let master = &self.scenario.sentinel[place].master_name;
            let reply = self.ask(node, words(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {master}"))).ok();
            let addr = reply.as_ref().and_then(Value::list).and_then(|list| list.first()?.text()?.parse().ok());
            let named = addr.and_then(|addr: Ipv4Addr| self.layout.all_redis().find(|&redis| self.addr(redis) == addr));
            if let Some(named) = named {
                *votes.entry(named).or_default() += 1;
            }
        }
        let most = votes.iter().max_by_key(|&(_, count)| *count).map(|(&node, _)| node);
        most.or_else(|| self.layout.all_redis().find(|&node| self.role(node).as_deref() == Some("master")))
    }

    /// The role that a Redis node claims; none if it does not answer.
    pub(super) fn role(&self, node: NodeId) -> Option<String> {
        if matches!(self.lives[node.0 as usize], Life::Down) {
            return None;
        }
        let reply = self.ask(node, words("ROLE")).ok()?;
        reply.list()?.first()?.text().map(str::to_string)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for node in 0..self.lives.len() {
            // Its lateness is nobody's concern any more.
            self.kill(NodeId(node as u16));
        }
        for (_, delay) in self.delays.drain(..) {
            delay.kill();
        }
    }
}

/// Redis nodes, Sentinels, HAProxy and the clients' hosts each have a net of their own.
fn address([a, b]: [u8; 2], layout: &Layout, host: usize) -> Ipv4Addr {
    let node = layout.hosts.iter().position(|id| id.0 as usize == host).expect("every host has a node");
    match layout.seats[node] {
        Seat::Redis(place) => Ipv4Addr::new(a, b, 1, place as u8 + 1),
        Seat::Sentinel(place) => Ipv4Addr::new(a, b, 2, place as u8 + 1),
        Seat::Haproxy => Ipv4Addr::new(a, b, 3, 1),
        Seat::Client(place) => Ipv4Addr::new(a, b, 4 + (place / 250) as u8, (place % 250) as u8 + 1),
    }
}

/// A hardware address of one's own making: not multicast, locally administered.
fn mac(random: &mut ChaCha8Rng) -> [u8; 6] {
    let mut mac: [u8; 6] = random.random();
    mac[0] = 0x02;
    mac
}
