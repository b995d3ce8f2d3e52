//! The fault script: each action of the interface, done to the world as the reference driver does it to the real stack.

use super::Seat;
use super::process::{Death, State};
use super::program::Program;
use super::{World, boot, disks};
use crate::kernel::{Purpose, Span, Time};
use crate::net::{Context, Delivery};
use crate::program::{Input, Sock};
use crate::record::{Fault, FaultMark, Order};
use crate::scenario::{Action, NodeRef, Role, partition_pairs};
use crate::wire::{Command, HostId, Known, Message, NodeId, Reply, parse_command};

/// From the order to the death of a process: the kernel takes its memory apart before it closes its sockets. Seen in the
/// recordings: replicas lose their master 5 to 11 ms after SIGKILL was sent.
const DEATH_MIN: Span = Span::from_micros(4_500);
const DEATH_MAX: Span = Span::from_micros(10_500);
/// And so much longer for a gigabyte of memory (`exit_mm` comes before `exit_files`). Measured with servers of 0.5 and 1.5
/// GB: the FIN came 113 and 83, 176 and 268 ms after SIGKILL.
const TEARDOWN_A_GB: Span = Span::from_millis(160);
/// From the death of a container's process to the end of its network interface (10 to 50 ms after the order, says the
/// spec R3). Of 120 links of Sentinels to such a process 5 still met the refusal of a living
/// host, at one attempt in 72 ms: so these are a few milliseconds.
const INTERFACE_GONE_MIN: Span = Span::from_millis(2);
const INTERFACE_GONE_MAX: Span = Span::from_millis(6);
/// From the order to start a node to its exec: an interface is made, a process is forked. Seen in the recordings: the
/// first log line comes 38 to 75 ms after the order.
const START_MIN: Span = Span::from_millis(38);
const START_MAX: Span = Span::from_millis(70);
/// The same where the host and its interface are still there: 9 to 15 ms, in recordings of a master that is killed and
/// started again on its host.
const RESTART_MIN: Span = Span::from_millis(9);
const RESTART_MAX: Span = Span::from_millis(15);
/// From the order to give a command to its arrival: the driver connects and writes. Seen in recordings of SENTINEL
/// FAILOVER: its first line comes 1 to 4 ms after the order.
const COMMAND_MIN: Span = Span::from_millis(1);
const COMMAND_MAX: Span = Span::from_millis(4);
/// Packet-filter rules are set one by one, pair by pair in the order of the groups. All are in place after about 0.13 s
/// (spec R3); how fast it goes differs from run to run: in 20 recordings of `partition-master`
/// the last message before the cut passes 0.002 to 0.147 s after the order.
const RULES_MIN: Span = Span::from_millis(40);
const RULES_MAX: Span = Span::from_millis(140);
/// A heal goes node by node, in no particular order. How long it takes is the driver's: eight hosts take 25 ms with
/// namespaces and nothing beside them, 160 ms with containers (same source).
const FLUSHES_MIN: Span = Span::from_millis(25);
const FLUSHES_MAX: Span = Span::from_millis(160);

/// The socket of what comes over no connection.
const NOBODY: Sock = Sock { index: u32::MAX, generation: 0 };

/// One step of the script.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A process begins to run.
    Start(NodeId),
    /// The driver asks whether the stack is ready.
    Poll,
    /// A killed process dies.
    Die(NodeId),
    /// A killed container's address disappears.
    Vanish(HostId),
    /// A node is ordered to start, after what was under way has come to its end.
    Order(NodeId),
    /// Packets of one direction are dropped from now on.
    Block(HostId, HostId),
    /// The rules of a host are gone: what is sent to it arrives again.
    Flush(HostId),
    /// The command of a fault of the scenario reaches its node.
    Command(NodeId, Commanded),
    /// The time of a fault of a disk is over, if none has come since.
    DiskIsWell(HostId, disks::Ailment, u32),
    /// The scenario's time is over: the driver stops the clients.
    StopClients,
}

/// A command on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commanded {
    /// The place of its fault in the scenario.
    pub(super) fault: usize,
    /// The place of its mark in the header of the recording.
    mark: usize,
}

impl World {
    pub(super) fn step(&mut self, index: u32) {
        let now = self.kernel.now();
        self.write_step(index);
        match self.steps[index as usize].clone() {
            // Two orders make one process, and a host that lost its power meanwhile makes none.
            Step::Start(node) if self.state(node) != State::Down || !self.net.is_present(self.layout.host(node)) => {}
            Step::Start(node) => self.start(node),
            Step::Poll => self.poll(),
            Step::Command(node, commanded) => self.scripted_command(node, commanded),
            Step::Die(node) => self.process_dies(node, Death::Kill),
            Step::Vanish(host) => self.vanish(host),
            Step::Order(node) => self.order_start(node, now),
            Step::DiskIsWell(host, ailment, fault) => self.disk_is_well(host, ailment, fault),
            Step::StopClients => {
                self.layout.clone().all_clients().for_each(|node| self.process_dies(node, Death::Exit))
            }
            Step::Block(from, to) => self.net.topology.block(from, to),
            Step::Flush(to) => {
                for from in 0..self.layout.names.hosts.len() as u16 {
                    self.net.topology.unblock(HostId(from), to);
                }
            }
        }
    }

    fn vanish(&mut self, host: HostId) {
        if self.net.is_present(host) {
            self.net.host_vanishes(host, self.desk.handles());
        }
    }

    /// The node that a name stands for at this moment; none if there is no such node now.
    pub(super) fn resolve(&self, name: &NodeRef) -> Option<NodeId> {
        let NodeRef::Role(role) = name else { return self.layout.node(name) };
        let master = self.masters.last().and_then(|&addr| self.layout.redis_at(addr));
        match role {
            Role::Master => master,
            Role::Replica => self
                .layout
                .all_redis()
                .find(|&node| Some(node) != master && self.processes[node.0 as usize].state != State::Down),
            Role::Leader => self
                .layout
                .all_sentinels()
                .filter_map(|node| match &self.processes[node.0 as usize].program {
                    Some(Program::Sentinel(sentinel)) => sentinel.led_epoch().map(|epoch| (epoch, node)),
                    _ => None,
                })
                .max_by_key(|&(epoch, node)| (epoch, std::cmp::Reverse(node)))
                .map(|(_, node)| node),
            Role::OldMaster => {
                let current = self.masters.last()?;
                let old = self.masters.iter().rev().find(|addr| *addr != current)?;
                self.layout.redis_at(*old)
            }
        }
    }

    /// The programs that a name stands for at this moment, for what is to be done to them; of a host all that run there,
    /// or the first where the whole host is hit anyway.
    fn programs(&self, name: &NodeRef, order: Order) -> Vec<NodeId> {
        match (name, self.layout.host_of(name)) {
            (NodeRef::Host(_), Some(host)) => {
                let all = if order.hits_host() { 1 } else { usize::MAX };
                self.nodes_on(host).into_iter().take(all).collect()
            }
            _ => self.resolve(name).into_iter().collect(),
        }
    }

    fn hosts_of(&self, names: &[NodeRef]) -> Vec<HostId> {
        let mut hosts: Vec<HostId> = Vec::new();
        for name in names {
            let host = match name {
                NodeRef::Role(_) => self.resolve(name).map(|node| self.layout.host(node)),
                name => self.layout.host_of(name),
            };
            hosts.extend(host.filter(|host| !hosts.contains(host)));
        }
        hosts
    }

    fn mark(&mut self, now: Time, fault: Fault) {
        let origin = self.origin.expect("faults come after time 0");
        self.marks.push(FaultMark { at_s: now.seconds_since(origin), fault });
    }

    /// Does what a fault of the scenario says.
    #[allow(clippy::too_many_lines, reason = "a table: one arm an action")]
    pub(super) fn fault(&mut self, index: usize, now: Time) {
        let scenario = self.scenario.clone();
        let action = &scenario.faults[index].action;
        if let Some((order, node)) = action.order() {
            let nodes = self.programs(node, order);
            if nodes.is_empty() {
                // A role that nobody has now: the fault falls away, and the recording says so.
                self.mark(now, Fault::Program { order, node: None });
            }
            for node in nodes {
                self.mark(now, Fault::Program { order, node: Some(self.name(node)) });
                self.order(order, node, now);
            }
            return;
        }
        match action {
            Action::Partition { groups } => {
                let groups: Vec<Vec<HostId>> = groups.iter().map(|group| self.hosts_of(group)).collect();
                self.mark(
                    now,
                    Fault::Partition { groups: groups.iter().map(|group| self.host_names(group)).collect() },
                );
                self.set_rules(partition_pairs(&groups), now);
            }
            Action::Cut { from, to } => {
                let (from, to) = (self.hosts_of(&from.0), self.hosts_of(&to.0));
                self.mark(now, Fault::Cut { from: self.host_names(&from), to: self.host_names(&to) });
                let pairs = from.iter().flat_map(|&a| to.iter().filter(move |&&b| b != a).map(move |&b| (a, b)));
                self.set_rules(pairs.collect(), now);
            }
            Action::Heal {} => {
                self.mark(now, Fault::Heal);
                self.heal_disks();
                self.net.restore_links(&mut Context { kernel: &mut self.kernel, handles: self.desk.handles() });
                let mut hosts: Vec<HostId> = (0..self.layout.names.hosts.len() as u16).map(HostId).collect();
                self.script.shuffle(&mut hosts);
                let count = hosts.len() as u64;
                let begin = now.max(self.rules_done_at);
                let takes = self.script.between(FLUSHES_MIN.0, FLUSHES_MAX.0);
                self.rules_done_at = begin + Span(takes);
                for (place, host) in (1..).zip(hosts) {
                    self.plan(begin + Span(takes * place / count), Step::Flush(host));
                }
            }
            Action::Degrade { between, latency, jitter, loss, rate } => {
                let hosts = self.hosts_of(between);
                self.mark(now, Fault::Degrade { hosts: self.host_names(&hosts) });
                let [a, b] = hosts[..] else { return };
                self.net.topology.degrade(a, b, |link| {
                    link.latency = latency.unwrap_or(link.latency);
                    link.jitter = jitter.unwrap_or(link.jitter);
                    link.loss = loss.map_or(link.loss, |loss| loss.parts());
                    link.rate_bits_per_s =
                        rate.map_or(link.rate_bits_per_s, |rate| rate.bits_per_second().map(std::num::NonZeroU64::get));
                });
            }
            Action::Upgrade { node, release } => {
                let Some(node) = self.resolve(node) else { return };
                self.mark(now, Fault::Upgrade { node: self.name(node), release: release.as_str().into() });
                self.installed.insert(node, *release);
            }
            Action::ClockJump { node, by } => {
                let Some(node) = self.resolve(node) else { return };
                self.mark(now, Fault::ClockJump { node: self.name(node), by: *by });
                self.processes[node.0 as usize].wall_offset_ns += by.0;
            }
            Action::Stall { node, duration } => {
                let Some(node) = self.resolve(node) else { return };
                self.mark(now, Fault::Stall { node: self.name(node), lasts: *duration });
                let process = &mut self.processes[node.0 as usize];
                process.busy_until = process.busy_until.max(now) + *duration;
            }
            Action::SlowDisk { node, fsync, duration } => {
                let Some(node) = self.resolve(node) else { return };
                self.mark(now, Fault::SlowDisk { node: self.name(node), fsync: *fsync, lasts: *duration });
                self.disturb_disk(node, disks::Ailment::Slow(*fsync), *duration, now);
            }
            Action::DiskFull { node, duration } => {
                let Some(node) = self.resolve(node) else { return };
                self.mark(now, Fault::DiskFull { node: self.name(node), lasts: *duration });
                self.disturb_disk(node, disks::Ailment::Full(true), *duration, now);
            }
            Action::Command { node, run } => {
                let Some(node) = self.resolve(node) else { return };
                self.mark(now, Fault::Command { node: self.name(node), words: run.clone() });
                let delay = Span(self.script.between(COMMAND_MIN.0, COMMAND_MAX.0));
                let commanded = Commanded { fault: index, mark: self.marks.len() - 1 };
                self.plan(now + delay, Step::Command(node, commanded));
            }
            program => unreachable!("{program:?} is an order"),
        }
    }

    fn scripted_command(&mut self, node: NodeId, Commanded { fault, mark }: Commanded) {
        let scenario = self.scenario.clone();
        let Action::Command { run, .. } = &scenario.faults[fault].action else {
            unreachable!("only commands are planned as such")
        };
        let ip = |name: &str| self.layout.names.find_ip(name);
        let command = parse_command(run, Known { ip: &ip, master: scenario.master_name() })
            .expect("the scenario was checked: its commands are commands");
        if self.state(node) != State::Down {
            self.asked.push_back((node, mark));
        }
        self.command(node, command);
    }

    /// A command without a connection.
    fn command(&mut self, node: NodeId, command: Command) {
        self.deliver(Delivery { node, sock: NOBODY, input: Input::Command(Message::Command(command)) });
    }

    /// Asks a node at this moment as an operator would, outside of the network, and gives its answer; none if it does
    /// not run, is busy, or does not answer at once.
    pub fn ask(&mut self, node: NodeId, command: Command) -> Option<Reply> {
        self.desk.take_answer();
        self.command(node, command);
        self.desk.take_answer()
    }

    /// Drops packets from now on between pairs of hosts, rule by rule.
    fn set_rules(&mut self, pairs: Vec<(HostId, HostId)>, now: Time) {
        let takes = self.script.between(RULES_MIN.0, RULES_MAX.0);
        let count = pairs.len() as u64;
        // The driver does one thing after the other: a heal cannot overtake the rules that it takes away.
        let begin = now.max(self.rules_done_at);
        self.rules_done_at = begin + Span(takes);
        for (place, (from, to)) in (1..).zip(pairs) {
            self.plan(begin + Span(takes * place / count), Step::Block(from, to));
        }
    }

    /// How long the kernel takes the memory of a killed process apart; it runs no more meanwhile, and its sockets are open.
    fn teardown(&mut self, node: NodeId) -> Span {
        let memory = self.redis(node).map_or(0, |redis| redis.memory_bytes());
        let span = Span((memory as u128 * TEARDOWN_A_GB.0 as u128 / 1_000_000_000) as u64);
        if span < Span::from_millis(1) {
            return Span::ZERO;
        }
        let process = &mut self.processes[node.0 as usize];
        if process.state == State::Running {
            process.state = State::Paused;
        }
        span
    }

    fn order(&mut self, order: Order, node: NodeId, now: Time) {
        let host = self.layout.host(node);
        let state = self.processes[node.0 as usize].state;
        match order {
            Order::Kill => {
                let now = now.max(self.begun[host.0 as usize]);
                let death = now + Span(self.script.between(DEATH_MIN.0, DEATH_MAX.0)) + self.teardown(node);
                self.plan(death, Step::Die(node));
                self.killed_until[host.0 as usize] = death;
            }
            Order::KillHost => {
                let now = now.max(self.begun[host.0 as usize]);
                let mut death = now + Span(self.script.between(DEATH_MIN.0, DEATH_MAX.0));
                for node in self.nodes_on(host) {
                    let dies = death + self.teardown(node);
                    self.plan(dies, Step::Die(node));
                    death = death.max(dies);
                }
                self.powered_off.retain(|&machine| machine != host);
                let delay = Span(self.script.between(INTERFACE_GONE_MIN.0, INTERFACE_GONE_MAX.0));
                self.plan(death + delay, Step::Vanish(host));
                self.killed_until[host.0 as usize] = death + delay;
            }
            Order::PowerOff => {
                // The kernel dies first: nobody is told. A machine keeps its hardware address, a container does not.
                self.powered_off.push(host);
                self.vanish(host);
                for node in self.nodes_on(host) {
                    self.process_dies(node, Death::PowerOff);
                    self.lose_power(node);
                }
            }
            Order::Terminate if state != State::Down => {
                self.deliver(Delivery { node, sock: NOBODY, input: Input::Terminate });
            }
            Order::Terminate => {}
            // The driver gives one order after the other: it waits until a process or a container is gone.
            Order::Start if self.killed_until[host.0 as usize] >= now => {
                self.plan(self.killed_until[host.0 as usize] + Span(1), Step::Order(node));
            }
            Order::Start => self.order_start(node, now),
            Order::Pause if state == State::Running => {
                self.processes[node.0 as usize].state = State::Paused;
                self.set_stopped(node, true);
            }
            Order::Resume if state == State::Paused => {
                let process = &mut self.processes[node.0 as usize];
                process.state = State::Running;
                process.order_by_socket();
                self.schedule_wake(node);
                self.set_stopped(node, false);
            }
            Order::Pause | Order::Resume => {}
        }
    }

    fn set_stopped(&mut self, node: NodeId, stopped: bool) {
        let cx = &mut Context { kernel: &mut self.kernel, handles: self.desk.handles() };
        self.net.set_stopped(node, stopped, cx);
    }

    fn order_start(&mut self, node: NodeId, now: Time) {
        let host = self.layout.host(node);
        if self.state(node) != State::Down {
            return;
        }
        let mut delay = Span(self.script.between(RESTART_MIN.0, RESTART_MAX.0));
        if !self.net.is_present(host) {
            delay = Span(self.script.between(START_MIN.0, START_MAX.0));
            let life = self.processes[node.0 as usize].life;
            let reachable = boot::reachable_time(self.stream(host.0 as u32 | (life << 16), Purpose::Host));
            self.net.host_appears(host, !self.powered_off.contains(&host), reachable);
        }
        let begun = &mut self.begun[host.0 as usize];
        *begun = (*begun).max(now + delay);
        self.plan(now + delay, Step::Start(node));
    }

    pub(super) fn nodes_on(&self, host: HostId) -> Vec<NodeId> {
        (0..self.layout.nodes() as u16).map(NodeId).filter(|&node| self.layout.host(node) == host).collect()
    }

    /// Which program a node runs, and its place among those.
    pub fn seat(&self, node: NodeId) -> Seat {
        self.layout.seats[node.0 as usize]
    }
}
