//! The fault script, done to real programs: `sim::world::script` is the same in virtual time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use super::ask::{Value, ask, words};
use super::backend::{epoch_micros, tool, tool_with_input, within};
use super::stack::{ANSWER_LIMIT, Life, Stack};
use super::{Error, Interrupt, Part};
use crate::kernel::Span;
use crate::logs::line as logs;
use crate::record::{Fault, FaultMark, Order, ReplyMark};
use crate::redis::{AppendFsync, Protected};
use crate::scenario::{Action, NodeRef, Role, Scenario, Seat, partition_pairs};
use crate::wire::{HostId, NodeId};

/// Time with clients before the phase begins.
const SETTLE: Duration = Duration::from_secs(3);
/// What takes longer to be in place was no partition of one moment. It takes 18 to 35 ms on a machine that is not busy, and
/// seconds on one whose real-time programs keep the kernel from its work.
const FILTER_LIMIT: Duration = Duration::from_millis(300);

/// Refuses a script with faults that cannot be done to real programs, with the reason.
pub(super) fn refuse_faults(scenario: &Scenario) -> Result<(), Error> {
    let refused = |why: String| Err(Error::Refused(why));
    for fault in &scenario.faults {
        match &fault.action {
            Action::ClockJump { .. } => {
                return refused(format!(
                    "`clock-jump` at {}: all nodes share the machine's clock, and it is not ours to set",
                    fault.at
                ));
            }
            Action::SlowDisk { .. } | Action::DiskFull { .. } => {
                return refused(format!(
                    "`{}` at {}: all nodes write to the machine's own file system, which is not ours to slow down or to fill",
                    fault.action.word(),
                    fault.at
                ));
            }
            Action::PowerOff { .. }
                if scenario
                    .redis
                    .iter()
                    .any(|config| config.appendonly && config.appendfsync != AppendFsync::Always) =>
            {
                return refused(format!(
                    "`power-off` at {}: the machine's kernel lives on and writes what the append-only file had not synced; \
                     only `appendfsync = \"always\"` loses nothing in either case",
                    fault.at
                ));
            }
            Action::Command { node, .. }
                if !matches!(node, NodeRef::Redis(_) | NodeRef::Sentinel(_) | NodeRef::Role(_)) =>
            {
                return refused(format!("`command` at {}: `{node}` takes no commands", fault.at));
            }
            Action::Command { run, .. }
                if run.first().is_some_and(|word| word.eq_ignore_ascii_case("debug"))
                    && driver_needs_debug(scenario)
                    && scenario.redis.iter().any(|config| config.enable_debug_command == Protected::No) =>
            {
                return refused(format!(
                    "DEBUG at {} is to be refused by the server, and the driver needs it to stall the server",
                    fault.at
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the driver itself gives DEBUG commands to Redis: to stall it (DEBUG SLEEP).
pub(super) fn driver_needs_debug(scenario: &Scenario) -> bool {
    scenario.faults.iter().any(|fault| matches!(fault.action, Action::Stall { .. }))
}

/// A script that has been played.
pub(super) struct Played {
    /// The run's number.
    pub(super) run: u64,
    /// Time 0, in microseconds of the Unix epoch.
    pub(super) origin: i64,
    /// When the run ended.
    pub(super) end: i64,
    /// What was done.
    pub(super) marks: Vec<FaultMark>,
    /// What was answered to commands, as far as it came before the end.
    pub(super) replies: Vec<ReplyMark>,
}

/// What is due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fault(usize),
    Continue(NodeId),
    End,
}

/// Plays the script of a stack that is ready, from the start of the clients to the end of the run.
pub(super) fn run(
    stack: &mut Stack,
    run: u64,
    part: Option<&mut Part<'_>>,
    interrupt: &Interrupt,
) -> Result<Played, Error> {
    stack.start_clients()?;
    stack.await_libraries(interrupt)?;
    part.map_or(Ok(()), |part| part.started(interrupt))?;
    interrupt.wait(SETTLE)?;
    let phase = stack.between(Duration::ZERO, duration(stack.scenario.phase));
    interrupt.wait(phase)?;
    let start = Instant::now();
    // Redis cuts the times in its logs to the millisecond; so is time 0, or what follows a fault would precede it.
    let origin = epoch_micros(SystemTime::now());
    let origin = origin - origin.rem_euclid(1_000);
    let mut player = Player { start, origin, marks: Vec::new(), replies: Arc::default(), steps: Vec::new(), stack };
    for (place, fault) in player.stack.scenario.faults.iter().enumerate() {
        player.steps.push((start + duration(fault.at), Step::Fault(place)));
    }
    player.steps.push((start + duration(player.stack.scenario.duration), Step::End));
    player.play(interrupt)?;
    let end = epoch_micros(SystemTime::now());
    let mut replies = std::mem::take(&mut *player.replies.lock().expect("nothing panics while it holds the replies"));
    // A stall is a command, too, of the driver's own.
    replies
        .retain(|reply| player.marks.get(reply.fault).is_some_and(|mark| matches!(mark.fault, Fault::Command { .. })));
    replies.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    Ok(Played { run, origin: player.origin, end, marks: std::mem::take(&mut player.marks), replies })
}

fn duration(span: Span) -> Duration {
    Duration::from_nanos(span.0)
}

struct Player<'a> {
    stack: &'a mut Stack,
    start: Instant,
    origin: i64,
    marks: Vec<FaultMark>,
    replies: Arc<Mutex<Vec<ReplyMark>>>,
    /// What is still to be done; at the same time in this order.
    steps: Vec<(Instant, Step)>,
}

impl Player<'_> {
    fn play(&mut self, interrupt: &Interrupt) -> Result<(), Error> {
        loop {
            let place = self.next().expect("the end is a step");
            let (at, step) = self.steps.remove(place);
            interrupt.wait_until(at)?;
            self.stack.expect_soon(at, "a step of the script");
            match step {
                Step::Fault(fault) if self.degrades(fault) => {
                    let mut faults = vec![fault];
                    while let Some(place) = self.next()
                        && let (next_at, Step::Fault(fault)) = self.steps[place]
                        && next_at == at
                        && self.degrades(fault)
                    {
                        self.steps.remove(place);
                        faults.push(fault);
                    }
                    self.degrade(&faults)?;
                }
                Step::Fault(fault) => {
                    self.fault(fault)?;
                    if self.filters(fault) {
                        self.stack.expect_within(FILTER_LIMIT, at, "a partition or its end");
                    }
                }
                Step::Continue(node) => self.stack.resume(node),
                Step::End => return Ok(()),
            }
        }
    }

    /// The place of the step that is due next.
    fn next(&self) -> Option<usize> {
        let next = self.steps.iter().enumerate().min_by_key(|(place, (at, _))| (*at, *place));
        next.map(|(place, _)| place)
    }

    fn degrades(&self, fault: usize) -> bool {
        matches!(self.stack.scenario.faults[fault].action, Action::Degrade { .. })
    }

    /// Whether a fault sets packet filters, pair by pair.
    fn filters(&self, fault: usize) -> bool {
        let action = &self.stack.scenario.faults[fault].action;
        matches!(action, Action::Partition { .. } | Action::Cut { .. } | Action::Heal { .. })
    }

    fn mark(&mut self, fault: Fault) {
        self.marks.push(FaultMark { at_s: self.start.elapsed().as_secs_f64(), fault });
    }

    #[allow(clippy::too_many_lines, reason = "a table: one arm an action")]
    fn fault(&mut self, place: usize) -> Result<(), Error> {
        let action = self.stack.scenario.faults[place].action.clone();
        if let Some((order, node)) = action.order() {
            let mut nodes = self.programs(node);
            if order.hits_host() {
                nodes.truncate(1);
            }
            if nodes.is_empty() {
                self.mark(Fault::Program { order, node: None });
            }
            for node in nodes {
                self.mark(Fault::Program { order, node: Some(self.stack.name(node).to_string()) });
                self.order(order, node)?;
            }
            return Ok(());
        }
        match &action {
            Action::Partition { groups } => {
                let groups: Vec<Vec<HostId>> = groups.iter().map(|group| self.hosts_of(group)).collect();
                self.mark(Fault::Partition { groups: groups.iter().map(|group| self.host_names(group)).collect() });
                partition_pairs(&groups).into_iter().try_for_each(|(from, to)| self.block(from, to))
            }
            Action::Cut { from, to } => {
                let (from, to) = (self.hosts_of(&from.0), self.hosts_of(&to.0));
                self.mark(Fault::Cut { from: self.host_names(&from), to: self.host_names(&to) });
                for &a in &from {
                    for &b in to.iter().filter(|&&b| b != a) {
                        self.block(a, b)?;
                    }
                }
                Ok(())
            }
            Action::Heal {} => {
                self.mark(Fault::Heal);
                for host in 0..self.stack.present.len() as u16 {
                    self.filter(HostId(host), &words("-F INPUT"))?;
                }
                for (_, delay) in self.stack.delays.drain(..) {
                    delay.kill();
                }
                Ok(())
            }
            Action::Degrade { .. } => unreachable!("these are done together"),
            Action::Stall { node, duration: span } => {
                for node in self.programs(node) {
                    self.mark(Fault::Stall { node: self.stack.name(node).to_string(), lasts: *span });
                    self.stall(node, duration(*span));
                }
                Ok(())
            }
            Action::Command { node, run } => {
                for node in self.programs(node) {
                    self.mark(Fault::Command { node: self.stack.name(node).to_string(), words: run.clone() });
                    self.send(node, run.clone(), ANSWER_LIMIT);
                }
                Ok(())
            }
            Action::Upgrade { node, release } => {
                for node in self.programs(node) {
                    self.mark(Fault::Upgrade {
                        node: self.stack.name(node).to_string(),
                        release: release.as_str().into(),
                    });
                    self.stack.install(node, *release);
                }
                Ok(())
            }
            Action::ClockJump { .. } => unreachable!("scenarios with a clock that jumps are refused"),
            Action::SlowDisk { .. } | Action::DiskFull { .. } => unreachable!("scenarios with such disks are refused"),
            program => unreachable!("{program:?} is an order"),
        }
    }

    fn order(&mut self, order: Order, node: NodeId) -> Result<(), Error> {
        let host = self.stack.layout.host(node);
        match order {
            Order::Kill => self.stack.kill(node),
            Order::KillHost => {
                for mate in self.stack.nodes_on(host) {
                    self.stack.kill(mate);
                }
                self.stack.forget_mac(host);
                // The interface goes a few milliseconds after the process, as in the shared recordings: whoever tries to
                // reconnect before that is refused, and tries again a second later than all others.
                if self.stack.present[host.0 as usize] {
                    self.stack.unplug(host)?;
                }
            }
            Order::PowerOff => {
                // First the interface, so that nobody is told.
                if self.stack.present[host.0 as usize] {
                    self.stack.unplug(host)?;
                }
                for mate in self.stack.nodes_on(host) {
                    self.stack.kill(mate);
                }
            }
            Order::Terminate => self.stack.signal(node, Signal::TERM),
            Order::Start => {
                if self.stack.is_down(node) {
                    let mut begun = Instant::now();
                    if !self.stack.present[host.0 as usize] {
                        self.stack.plug(host)?;
                        self.stack.expect_within(self.stack.backend.plug_limit(), begun, "the appearance of a host");
                        begun = Instant::now();
                    }
                    self.stack.start(node)?;
                    self.stack.expect_soon(begun, "a start");
                }
            }
            Order::Pause => self.stack.pause(node),
            Order::Resume => self.stack.resume(node),
        }
        Ok(())
    }

    /// Changes the packet filter of a host that is there.
    fn filter(&self, host: HostId, rule: &[String]) -> Result<(), Error> {
        if self.stack.present[host.0 as usize] {
            tool(within(&self.stack.namespace(host), "iptables").arg("-w").args(rule))?;
        }
        Ok(())
    }

    /// What one host sends is dropped when it arrives at the other.
    fn block(&self, from: HostId, to: HostId) -> Result<(), Error> {
        self.filter(to, &words(&format!("-I INPUT -s {} -j DROP", self.stack.host_addr(from))))
    }

    /// Faults of one moment that make links worse: one after the other, several of them would take too long.
    fn degrade(&mut self, faults: &[usize]) -> Result<(), Error> {
        let mut rules: BTreeMap<HostId, String> = BTreeMap::new();
        let delays = self.stack.delays.len();
        for &fault in faults {
            let action = self.stack.scenario.faults[fault].action.clone();
            let Action::Degrade { between, .. } = &action else { unreachable!("that is what these are") };
            let hosts = self.hosts_of(between);
            self.mark(Fault::Degrade { hosts: self.host_names(&hosts) });
            if let [a, b] = hosts[..] {
                for (from, to) in [(a, b), (b, a)] {
                    self.add_rules(&action, from, to, rules.entry(to).or_default())?;
                }
            }
        }
        if self.stack.delays.len() > delays {
            std::thread::sleep(super::delay::BIND);
        }
        for (host, rules) in rules {
            if self.stack.present[host.0 as usize] {
                let mut restore = within(&self.stack.namespace(host), "iptables-restore");
                tool_with_input(restore.args(["-w", "--noflush"]), &format!("*filter\n{rules}COMMIT\n"))?;
            }
        }
        Ok(())
    }

    /// The packet-filter rules, and the program, by which what one host sends is lost or held up when it arrives at the other.
    fn add_rules(&mut self, action: &Action, from: HostId, to: HostId, rules: &mut String) -> Result<(), Error> {
        let Action::Degrade { latency, jitter, loss, rate, .. } = action else { unreachable!("that is what this is") };
        let addr = self.stack.host_addr(from);
        if let Some(loss) = loss {
            let share = loss.parts() as f64 / crate::scenario::units::Share::WHOLE as f64;
            let _ = writeln!(rules, "-A INPUT -s {addr} -m statistic --mode random --probability {share} -j DROP");
        }
        if latency.is_none() && jitter.is_none() && rate.is_none() {
            return Ok(());
        }
        let queue = self.stack.delays.len() as u16 + 1;
        let delay = super::delay::Delay {
            latency: latency.unwrap_or(Span::ZERO),
            jitter: jitter.unwrap_or(Span::ZERO),
            bits_per_second: rate.and_then(|rate| rate.bits_per_second()).map(std::num::NonZeroU64::get),
        };
        let running = super::delay::start(self.stack, to, queue, &delay)?;
        self.stack.delays.push((to, running));
        let _ = writeln!(rules, "-A INPUT -s {addr} -j NFQUEUE --queue-num {queue}");
        Ok(())
    }

    /// Blocks a program's event loop: a Redis node sleeps by command, anything else is stopped for the time.
    fn stall(&mut self, node: NodeId, span: Duration) {
        if matches!(self.stack.layout.seats[node.0 as usize], Seat::Redis(_)) {
            let command = vec!["DEBUG".into(), "SLEEP".into(), span.as_secs_f64().to_string()];
            self.send(node, command, span + ANSWER_LIMIT);
        } else {
            self.stack.pause(node);
            self.steps.push((Instant::now() + span, Step::Continue(node)));
        }
    }

    /// Sends a command and does not wait for the reply. An error reply is told to whoever watches. Hosts have no names on
    /// their network: where one stands in the command, it becomes an address.
    fn send(&self, node: NodeId, mut command: Vec<String>, limit: Duration) {
        for word in &mut command {
            if let Some(host) = self.stack.layout.names.find_host(word) {
                *word = self.stack.host_addr(host).to_string();
            }
        }
        let namespace = self.stack.namespace(self.stack.layout.host(node));
        let (port, name) = (self.stack.layout.addr(node).port, self.stack.name(node).to_string());
        let (start, fault, kept) = (self.start, self.marks.len().saturating_sub(1), self.replies.clone());
        std::thread::spawn(move || {
            let Ok(replies) = ask(&namespace, port, limit, std::slice::from_ref(&command)) else { return };
            let Some(reply) = replies.first() else { return };
            if let Value::Error(text) = reply {
                super::tell(&format!("sim: {name} answers {}: {text}", command.join(" ")));
            }
            let reply = ReplyMark { at_s: start.elapsed().as_secs_f64(), fault, text: reply.shown() };
            kept.lock().expect("nothing panics while it holds the replies").push(reply);
        });
    }

    /// The programs that a name stands for at this moment.
    fn programs(&mut self, name: &NodeRef) -> Vec<NodeId> {
        match name {
            NodeRef::Role(role) => self.in_role(*role).into_iter().collect(),
            NodeRef::Host(_) => self.stack.layout.host_of(name).map_or(Vec::new(), |host| self.stack.nodes_on(host)),
            name => self.stack.layout.node(name).into_iter().collect(),
        }
    }

    fn hosts_of(&mut self, names: &[NodeRef]) -> Vec<HostId> {
        let mut hosts: Vec<HostId> = Vec::new();
        for name in names {
            let host = match name {
                NodeRef::Role(role) => self.in_role(*role).map(|node| self.stack.layout.host(node)),
                name => self.stack.layout.host_of(name),
            };
            hosts.extend(host.filter(|host| !hosts.contains(host)));
        }
        hosts
    }

    fn host_names(&self, hosts: &[HostId]) -> Vec<String> {
        hosts.iter().map(|&host| self.stack.host_name(host).to_string()).collect()
    }

    fn in_role(&mut self, role: Role) -> Option<NodeId> {
        match role {
            Role::Master => self.stack.named_master(),
            Role::Replica => {
                let master = self.stack.named_master();
                let mut others = self.stack.layout.all_redis().filter(|&node| Some(node) != master);
                others.find(|node| !matches!(self.stack.lives[node.0 as usize], Life::Down))
            }
            Role::Leader => self.last_line("+elected-leader ").map(|(node, _)| node),
            Role::OldMaster => {
                let (_, text) = self.last_line("+switch-master ")?;
                let addr: Ipv4Addr = text.split(' ').nth(2)?.parse().ok()?;
                self.stack.layout.all_redis().find(|&node| self.stack.addr(node) == addr)
            }
        }
    }

    /// The latest line of any Sentinel's log that begins with `start`.
    fn last_line(&self, start: &str) -> Option<(NodeId, String)> {
        let mut found: Option<(i64, NodeId, String)> = None;
        for node in self.stack.layout.all_sentinels() {
            let log = std::fs::read_to_string(self.stack.log(node)).unwrap_or_default();
            for (at, text) in log.lines().filter_map(logs::redis_line) {
                if text.starts_with(start) && found.as_ref().is_none_or(|(latest, _, _)| at > *latest) {
                    found = Some((at, node, text.to_string()));
                }
            }
        }
        found.map(|(_, node, text)| (node, text))
    }
}
