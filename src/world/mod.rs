//! The world: builds the stack of a scenario, runs it event by event, and executes its fault script.
//!
//! A [`World`] is plain data. `clone()` is a snapshot from which a run can branch; running it changes nothing outside of
//! it. The loop is short: take the next event, let the network or the script work it out, give what comes of it to one
//! program, carry out what the program wants done.
//!
//! ```text
//! script ─┐
//! network ┼─► next event ─► one program's handle(input, out) ─► actions ─► network, timers, records
//! timers ─┘
//! ```

mod boot;
mod branch;
mod disks;
mod faults;
mod held;
mod journal;
mod process;
mod program;
mod result;
mod script;
mod tallies;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use faults::NotAdded;
pub use journal::{Deed, Journal, Pass, Sent};
pub use process::State;
pub use result::{RunResult, Unready};

use crate::client::Make;
use crate::kernel::{Branch, Class, EventId, Kernel, Purpose, Span, Stream, Time, Word};
use crate::net::{Context, Delivery, Link, Net, NetEvent, TimerWheel, Topology};
use crate::program::{Action, Desk, Ended, Input, Noted, TimerId};
use crate::record::{FaultMark, Record};
use crate::release::AnyRelease;
use crate::scenario::Scenario;
pub use crate::scenario::{Layout, Seat};
use crate::wire::{Addr, GroupId, HostId, NodeId, Reply};
use process::{Death, Disk, Process};
use program::Program;
use script::Step;

/// An event of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The network's.
    Net(NetEvent),
    /// A program's timer.
    Timer(NodeId, Armed),
    /// A program that was busy goes on.
    Wake(NodeId),
    /// A step of the script.
    Script(u32),
    /// The next fault of the scenario.
    Fault,
}

/// One setting of a timer. Packed, so that an [`Event`] takes twelve bytes and its place in the queue half a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(2))]
pub struct Armed {
    /// Which timer.
    pub timer: TimerId,
    /// How often it had been set: an earlier setting is void.
    pub generation: u32,
}

impl From<NetEvent> for Event {
    #[inline]
    fn from(event: NetEvent) -> Event {
        Event::Net(event)
    }
}

impl Word for Event {
    #[inline]
    fn word(&self) -> u64 {
        match self {
            Event::Net(event) => event.word(),
            Event::Timer(node, setting) => ((node.0 as u64) << 32) ^ { setting.timer }.0 as u64 ^ (9 << 60),
            Event::Wake(node) => node.0 as u64 ^ (10 << 60),
            Event::Script(step) => *step as u64 ^ (11 << 60),
            Event::Fault => 12 << 60,
        }
    }
}

/// One event of a traced run: what led to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When it was dispatched.
    pub time: Time,
    /// The event that scheduled it.
    pub cause: EventId,
    /// What it was.
    pub event: Event,
    /// The program that heard of it, if any.
    pub node: Option<NodeId>,
}

/// What a world keeps of its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Log lines and client lines: needed for a recording and for every analysis.
    pub records: bool,
    /// Every event with its cause, what each program heard and did in it, and its notes: needed to explain a run.
    pub trace: bool,
}

/// A stack, its network and its script at one moment of virtual time.
#[derive(Clone, Debug)]
pub struct World {
    scenario: Arc<Scenario>,
    /// By place among the clients: programs of one's own.
    own: BTreeMap<usize, Make>,
    layout: Arc<Layout>,
    seed: u64,
    kernel: Kernel<Event>,
    net: Net,
    desk: Desk,
    processes: Vec<Process>,
    steps: Vec<Step>,
    script: Stream,
    /// How this world left the run that its seed alone names, oldest first.
    branches: Vec<Branch>,
    channels: Vec<String>,
    origin: Option<Time>,
    /// When the boot was given up, and what was missing.
    unready: Option<(Time, Vec<String>)>,
    /// Releases that were installed during the run, by node.
    installed: BTreeMap<NodeId, AnyRelease>,
    /// Masters as the majority of the Sentinels named them, oldest first.
    masters: Vec<Addr>,
    beliefs: Vec<Addr>,
    marks: Vec<FaultMark>,
    /// So many faults of the scenario have happened.
    faults_done: usize,
    /// Commands of the script that their nodes have not come to yet: which node, and the place of the mark.
    asked: VecDeque<(NodeId, usize)>,
    /// What was answered to those that nodes came to: when, the place of the mark, the answer.
    answers: Vec<(Time, usize, Reply)>,
    /// When the driver will have set or removed the last packet rule that it was told to.
    rules_done_at: Time,
    /// Hosts that lost power rather than their container.
    powered_off: Vec<HostId>,
    /// By host: how its disk is.
    volumes: Vec<disks::Disturbed>,
    /// By host: when the last killing that was ordered comes to its end.
    killed_until: Vec<Time>,
    /// By host: when the last start that was ordered is done. What is killed while it starts dies then.
    begun: Vec<Time>,
    trace: Option<Vec<Traced>>,
    journal: Option<Box<Journal>>,
    /// What clients that are gone had counted.
    tallies: tallies::Tallies,
}

impl World {
    /// As [`World::new`], but the clients with these names run programs of one's own.
    ///
    /// # Panics
    /// If the scenario has no client with one of the names.
    pub fn with_clients(scenario: Arc<Scenario>, seed: u64, keep: Keep, own: &[(&str, Make)]) -> World {
        let place = |name: &str| scenario.clients.iter().position(|client| client.name == name);
        let found = own.iter().map(|(name, make)| {
            (place(name).unwrap_or_else(|| panic!("the scenario has no client called `{name}`")), *make)
        });
        let own = found.collect();
        World { own, ..World::new(scenario, seed, keep) }
    }

    /// The stack of `scenario` before its boot.
    #[allow(clippy::too_many_lines, reason = "one literal of many fields, and what they are made of")]
    pub fn new(scenario: Arc<Scenario>, seed: u64, keep: Keep) -> World {
        let layout = Layout::of(&scenario);
        let hosts = layout.names.hosts.len();
        let nodes = layout.nodes();
        let link = |link: &crate::scenario::Link| Link {
            latency: link.latency,
            jitter: link.jitter,
            loss: link.loss.parts(),
            rate_bits_per_s: link.rate.bits_per_second().map(std::num::NonZeroU64::get),
        };
        let mut topology = Topology::new(hosts, link(&scenario.network.default));
        for (a, b, properties) in &scenario.network.links {
            let host = |name: &str| {
                layout
                    .names
                    .find_host(name)
                    .or_else(|| layout.names.find_node(name).map(|node| layout.host(node)))
                    .expect("the scenario was checked: links name known places")
            };
            topology.set_link(host(a), host(b), link(properties));
        }
        // Streams: hosts first, then nodes, then the script.
        let stream = |entity, purpose| Stream::named(seed, entity, purpose);
        let luck = (0..hosts as u32).map(|host| stream(host, Purpose::Network)).collect();
        let mut script = stream(u32::MAX, Purpose::Script);
        let reachable = (0..hosts as u32).map(|host| boot::reachable_time(stream(host, Purpose::Host))).collect();
        let wheel = TimerWheel { phase: Span(script.below(1 << 40)) };
        let net = Net::new(topology, luck, reachable, wheel, nodes);
        // The world does not begin at a whole second: `unixtime` counts from here.
        let wall_offset_ns = script.below(1_000) as i64 * 1_000_000;
        let mut channels = vec!["__sentinel__:hello".to_string()];
        for client in &scenario.clients {
            if !channels.contains(&client.channel) {
                channels.push(client.channel.clone());
            }
        }
        let first_master = layout.addr(layout.redis(0));
        let beliefs = vec![first_master; scenario.sentinel.len()];
        let mut world = World {
            kernel: Kernel::new((hosts + nodes + 1) as u32),
            net,
            desk: Desk::new(keep.records),
            processes: vec![Process::down(wall_offset_ns); nodes],
            steps: Vec::new(),
            script,
            branches: Vec::new(),
            channels,
            origin: None,
            unready: None,
            installed: BTreeMap::new(),
            masters: vec![first_master],
            beliefs,
            marks: Vec::new(),
            faults_done: 0,
            asked: VecDeque::new(),
            answers: Vec::new(),
            rules_done_at: Time::ZERO,
            powered_off: Vec::new(),
            volumes: vec![disks::Disturbed::default(); hosts],
            killed_until: vec![Time::ZERO; hosts],
            begun: vec![Time::ZERO; hosts],
            trace: keep
                .trace
                .then(|| vec![Traced { time: Time::ZERO, cause: EventId(0), event: Event::Script(0), node: None }]),
            journal: keep.trace.then(Box::default),
            tallies: tallies::Tallies::default(),
            seed,
            own: BTreeMap::new(),
            layout: Arc::new(layout),
            scenario,
        };
        if keep.trace {
            world.desk.keep_notes();
        }
        world.schedule_boot();
        world
    }

    /// The stack of `scenario` with a mistake planted in its models.
    #[cfg(any(test, feature = "mistakes"))]
    pub fn with_mistake(scenario: Arc<Scenario>, seed: u64, keep: Keep, mistake: crate::mistake::Mistake) -> World {
        let mut world = World::new(scenario, seed, keep);
        world.desk.plant(Some(mistake));
        world
    }

    /// The scenario that this world runs, with the faults that were added to it.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Who lives where.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The instant that counts as time 0, once the stack was ready.
    pub fn origin(&self) -> Option<Time> {
        self.origin
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.kernel.now()
    }

    /// How many events were dispatched.
    pub fn events(&self) -> u64 {
        self.kernel.dispatched()
    }

    /// The digest of the run so far.
    pub fn digest(&self) -> u128 {
        self.kernel.digest()
    }

    /// The records so far, in the order in which they were written.
    pub fn records(&self) -> &[Record] {
        self.desk.records()
    }

    /// Every event so far, by its number, if they are kept.
    pub fn trace(&self) -> Option<&[Traced]> {
        self.trace.as_deref()
    }

    /// What every program heard, did and why so far, if the trace is kept.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_deref()
    }

    /// Why programs decided as they did so far, if the trace is kept.
    pub fn notes(&self) -> &[Noted] {
        self.desk.notes()
    }

    fn script_source(&self) -> u32 {
        (self.layout.names.hosts.len() + self.layout.nodes()) as u32
    }

    #[inline]
    fn node_source(&self, node: NodeId) -> u32 {
        self.layout.names.hosts.len() as u32 + node.0 as u32
    }

    /// Runs until the instant `until` (of the world's own clock), or to the end of the scenario. Returns whether the end
    /// was reached.
    pub fn run_until(&mut self, until: Time) -> bool {
        loop {
            let end = self.end();
            let limit = end.map_or(until, |end| end.min(until));
            match self.kernel.next(limit) {
                Some(dispatched) => {
                    if self.trace.is_some() {
                        self.trace_event(dispatched.cause, dispatched.event);
                    }
                    self.dispatch(dispatched.event);
                }
                None => {
                    if limit > self.kernel.now() && limit != Time::NEVER {
                        self.kernel.advance(limit);
                    }
                    return end.is_some_and(|end| end <= until);
                }
            }
        }
    }

    /// Runs so many events at most, or to the end of the scenario. Returns whether the end was reached.
    pub fn run_events(&mut self, most: u64) -> bool {
        let last = self.events().saturating_add(most);
        while self.events() < last {
            let Some(dispatched) = self.kernel.next(self.end().unwrap_or(Time::NEVER)) else {
                return self.run_until(Time::NEVER);
            };
            if self.trace.is_some() {
                self.trace_event(dispatched.cause, dispatched.event);
            }
            self.dispatch(dispatched.event);
        }
        false
    }

    /// Runs to the end of the scenario.
    pub fn run(&mut self) {
        let ended = self.run_until(Time::NEVER);
        assert!(ended, "a run ends when its time is over");
    }

    /// When the run ends, once time 0 is known: the stack comes to rest for some seconds after the scenario's end, with
    /// its clients stopped, before its final state counts. A boot that was given up ends it, too.
    pub fn end(&self) -> Option<Time> {
        let given_up = self.unready.as_ref().map(|(at, _)| *at);
        self.origin.map(|origin| origin + self.scenario.duration + boot::REST).or(given_up)
    }

    fn trace_event(&mut self, cause: EventId, event: Event) {
        let node = match event {
            Event::Timer(node, ..) | Event::Wake(node) => Some(node),
            Event::Net(_) | Event::Script(_) | Event::Fault => None,
        };
        let time = self.kernel.now();
        if let Some(trace) = &mut self.trace {
            trace.push(Traced { time, cause, event, node });
        }
    }

    #[inline]
    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Net(event) => {
                let cx = &mut Context { kernel: &mut self.kernel, handles: self.desk.handles() };
                if let Some(delivery) = self.net.handle(event, cx) {
                    self.deliver(delivery);
                }
            }
            Event::Timer(node, Armed { timer, generation }) => self.timer_fires(node, timer, generation),
            Event::Wake(node) => self.wake(node),
            Event::Script(step) => self.step(step),
            Event::Fault => self.next_fault(),
        }
    }

    /// Something happened to a program: now, or when it has time for it.
    #[inline]
    fn deliver(&mut self, delivery: Delivery) {
        let now = self.kernel.now();
        let node = delivery.node;
        if let Some(trace) = &mut self.trace
            && let Some(last) = trace.last_mut()
        {
            last.node = Some(node);
        }
        let process = &mut self.processes[node.0 as usize];
        match process.state {
            State::Down => {}
            State::Running if process.busy_until <= now && process.inbox.is_empty() => self.give(delivery),
            State::Running => {
                self.put_into_inbox(delivery);
                self.schedule_wake(node);
            }
            State::Paused => self.put_into_inbox(delivery),
        }
    }

    fn put_into_inbox(&mut self, delivery: Delivery) {
        if let Input::Data { .. } = delivery.input {
            self.net.unread(delivery.sock, 1);
        }
        self.processes[delivery.node.0 as usize].inbox.push_back(delivery);
    }

    fn timer_fires(&mut self, node: NodeId, timer: TimerId, generation: u32) {
        let now = self.kernel.now();
        let process = &mut self.processes[node.0 as usize];
        if !process.timer_fires(timer, generation) {
            return;
        }
        match process.state {
            State::Down => {}
            State::Running if process.busy_until <= now && process.inbox.is_empty() => {
                self.call(node, Input::Timer(timer));
            }
            State::Running => {
                process.due.push(timer);
                self.schedule_wake(node);
            }
            State::Paused => process.due.push(timer),
        }
    }

    fn schedule_wake(&mut self, node: NodeId) {
        let source = self.node_source(node);
        let process = &mut self.processes[node.0 as usize];
        if !process.wake_scheduled {
            process.wake_scheduled = true;
            let at = process.busy_until.max(self.kernel.now());
            self.kernel.schedule(at, Class::Wake, source, Event::Wake(node));
        }
    }

    /// A program goes on: first what arrived, then its timers, as long as it is not busy again.
    fn wake(&mut self, node: NodeId) {
        let now = self.kernel.now();
        self.processes[node.0 as usize].wake_scheduled = false;
        loop {
            let process = &mut self.processes[node.0 as usize];
            if process.state != State::Running {
                return;
            }
            if process.held.is_some() && !self.release(node) {
                return;
            }
            let process = &mut self.processes[node.0 as usize];
            if process.inbox.is_empty() && process.due.is_empty() {
                return;
            }
            if process.busy_until > now {
                self.schedule_wake(node);
                return;
            }
            if process.batch == 0 {
                process.batch = process.inbox.len();
            }
            if let Some(delivery) = process.inbox.pop_front() {
                process.batch -= 1;
                self.desk.follow(process.batch > 0);
                if let Input::Data { .. } = delivery.input {
                    self.net.unread(delivery.sock, -1);
                }
                self.give(delivery);
                self.desk.follow(false);
            } else {
                let timer = process.due.remove(0);
                self.call(node, Input::Timer(timer));
            }
        }
    }

    /// A program gets to see a delivery.
    #[inline]
    fn give(&mut self, delivery: Delivery) {
        let Delivery { node, sock, input } = delivery;
        let closed = self.processes[node.0 as usize].held.as_ref().is_some_and(|held| held.has_closed(sock));
        let token = |net: &mut Net| net.token(sock).filter(|_| !closed);
        let input = match input {
            Input::Command(_) => return self.give_command(node, input),
            Input::Accepted { .. } | Input::Terminate | Input::Start | Input::Timer(_) => input,
            Input::Data { message, .. } => {
                if let Some(peer) = self.net.peer(sock)
                    && self.desk.handles().consumed(peer, message.wire_bytes())
                {
                    let cx = &mut Context { kernel: &mut self.kernel, handles: self.desk.handles() };
                    self.net.was_read(peer, cx);
                }
                let Some(token) = token(&mut self.net) else { return };
                Input::Data { token, message }
            }
            Input::Connected { .. } => {
                let Some(token) = token(&mut self.net) else { return };
                Input::Connected { token }
            }
            Input::ConnectFailed { error, .. } => {
                let token = token(&mut self.net);
                self.net.finish(sock, self.desk.handles());
                let Some(token) = token else { return };
                Input::ConnectFailed { token, error }
            }
            Input::Ended { how, .. } => {
                let token = token(&mut self.net);
                if how != Ended::Eof {
                    self.net.finish(sock, self.desk.handles());
                }
                let Some(token) = token else { return };
                Input::Ended { token, how }
            }
        };
        self.call(node, input);
    }

    /// A program gets to see a command that came over no connection. What it answers to the script is kept.
    fn give_command(&mut self, node: NodeId, input: Input) {
        self.desk.take_answer();
        self.call(node, input);
        let Some(place) = self.asked.iter().position(|(asked, _)| *asked == node) else { return };
        if let Some((_, mark)) = self.asked.remove(place)
            && let Some(answer) = self.desk.last_answer()
        {
            self.answers.push((self.desk.ended(), mark, answer.clone()));
        }
    }

    /// One pass of a program's loop.
    #[inline]
    fn call(&mut self, node: NodeId, input: Input) {
        if self.journal.is_some() {
            self.hear(&input);
        }
        let now = self.kernel.now();
        self.kernel.note(((node.0 as u64) << 56) ^ input.word());
        let process = &mut self.processes[node.0 as usize];
        let Some(program) = process.program.as_mut() else { return };
        let out = self.desk.begin(now, node, self.kernel.current(), process.wall_offset_ns);
        program.handle(input, out);
        let end = self.desk.ended();
        process.busy_until = end;
        if self.journal.is_some() {
            self.write_journal(node, now);
        }
        if self.desk.is_held() || self.processes[node.0 as usize].held.is_some() {
            self.hold(node);
        } else {
            self.carry_out(node, end);
        }
        if let Seat::Sentinel(place) = self.layout.seats[node.0 as usize] {
            self.note_belief(node, place);
        }
    }

    /// Carries out what a program wants done at the end of its pass.
    #[inline]
    fn carry_out(&mut self, node: NodeId, at: Time) {
        let mut actions = self.desk.take_actions();
        self.do_all(node, &mut actions, at);
        self.desk.recycle(actions);
    }

    #[inline]
    fn do_all(&mut self, node: NodeId, actions: &mut Vec<Action>, at: Time) {
        let host = self.layout.host(node);
        for action in actions.drain(..) {
            let cx = &mut Context { kernel: &mut self.kernel, handles: self.desk.handles() };
            match action {
                Action::Send { sock, message } => self.net.send(sock, message, at, cx),
                Action::SetTimer(timer, due) => {
                    let generation = self.processes[node.0 as usize].set_timer(timer);
                    let source = self.layout.names.hosts.len() as u32 + node.0 as u32;
                    let due = due.max(at);
                    let event = Event::Timer(node, Armed { timer, generation });
                    self.kernel.schedule(due, Class::Timer, source, event);
                }
                Action::ClearTimer(timer) => self.processes[node.0 as usize].clear_timer(timer),
                Action::Connect { sock, to, token } => self.net.connect((node, host), sock, to, token, at, cx),
                Action::Accept { sock, token } => {
                    let held = self.net.accept(sock, token);
                    if !held.is_empty() {
                        // What had arrived before the program took the connection comes before anything newer, but
                        // after all that was ready already: the socket joins the end of epoll's list.
                        let process = &mut self.processes[node.0 as usize];
                        for delivery in held {
                            if let Input::Data { .. } = delivery.input {
                                self.net.unread(delivery.sock, 1);
                            }
                            process.inbox.push_back(delivery);
                        }
                        self.schedule_wake(node);
                    }
                }
                Action::Close(sock) => self.net.close(sock, at, cx),
                Action::Reset(sock) => self.net.reset(sock, at, cx),
                Action::ShutdownWrite(sock) => self.net.shutdown_write(sock, at, cx),
                Action::Relay { from, to, room_bytes } => self.net.relay(from, to, room_bytes),
                Action::Listen => self.listen(node),
                Action::Exit => self.process_dies(node, Death::Exit),
            }
        }
    }

    /// The kernel closes a dead process's sockets.
    fn process_dies(&mut self, node: NodeId, death: Death) {
        let (host, now) = (self.layout.host(node), self.kernel.now());
        let process = &mut self.processes[node.0 as usize];
        if process.state == State::Down {
            return;
        }
        if death != Death::Exit && process.busy_until > now {
            self.desk.forget(node, now);
        }
        process.disk = match &process.program {
            Some(Program::Redis(redis)) => Disk::Redis(Box::new(redis.disk())),
            Some(Program::Sentinel(sentinel)) => Disk::Sentinel(match death {
                Death::Exit => sentinel.persisted(),
                Death::Kill => sentinel.left_behind(now, false),
                Death::PowerOff => sentinel.left_behind(now, true),
            }),
            Some(Program::Client(client)) => {
                self.tallies.take(node, client, &self.desk);
                Disk::Client(client.numbered())
            }
            _ => Disk::Empty,
        };
        let inbox = std::mem::take(&mut process.inbox);
        process.die();
        self.asked.retain(|(asked, _)| *asked != node);
        let cx = &mut Context { kernel: &mut self.kernel, handles: self.desk.handles() };
        self.net.process_dies(node, host, cx);
        // Deliveries of connections that had already ended hold slots until they are read.
        for delivery in &inbox {
            self.net.finish(delivery.sock, self.desk.handles());
        }
    }

    /// Remembers which master the majority of the Sentinels names.
    #[inline]
    fn note_belief(&mut self, node: NodeId, place: usize) {
        let Some(Program::Sentinel(sentinel)) = &self.processes[node.0 as usize].program else { return };
        let belief = sentinel.believed_master(GroupId::ONLY);
        if self.beliefs[place] == belief {
            return;
        }
        self.beliefs[place] = belief;
        let agreeing = self.beliefs.iter().filter(|&&other| other == belief).count();
        if agreeing * 2 > self.beliefs.len() && self.masters.last() != Some(&belief) {
            self.masters.push(belief);
        }
    }

    /// The present state of a node's process.
    pub fn state(&self, node: NodeId) -> State {
        self.processes[node.0 as usize].state
    }

    fn host_names(&self, hosts: &[HostId]) -> Vec<String> {
        hosts.iter().map(|&host| self.layout.names.host(host).to_owned()).collect()
    }

    fn name(&self, node: NodeId) -> String {
        self.layout.names.node(node).to_owned()
    }
}
