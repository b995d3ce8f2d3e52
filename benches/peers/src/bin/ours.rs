//! Our kernel, with causes and the digest on; mesh and heartbeat over our network, which is TCP with all that can go wrong.

use peers::{ARRIVAL_NS, Desk, SERVICE_NS, Work, delay, exponential, luck, target};
use sim::kernel::{Class, Kernel, Purpose, Span, Stream, Time, Word};
use sim::net::{Context, Link, Net, NetEvent, TimerWheel, Topology};
use sim::program::{Handles, Input, Sock, Token};
use sim::wire::{Addr, Command, HostId, Ip, Key, Message, NodeId};

fn main() {
    peers::main(&[("hold", hold), ("phold", phold), ("mm1", mm1), ("mesh", mesh), ("heartbeat", heartbeat)]);
}

#[derive(Clone, Copy)]
struct Tick(u64);

impl Word for Tick {
    fn word(&self) -> u64 {
        self.0
    }
}

fn hold(work: &Work) -> u64 {
    let mut luck = luck();
    let mut kernel = Kernel::new(1);
    for n in 0..work.size as u64 {
        kernel.schedule(Time(delay(luck.bits())), Class::Timer, 0, Tick(n));
    }
    let mut sum = 0_u64;
    for _ in 0..work.amount {
        let tick = kernel.next(Time::NEVER).expect("there is always one").event;
        let now = kernel.now();
        sum = sum.wrapping_add(now.0);
        kernel.schedule(now + Span(delay(luck.bits())), Class::Timer, 0, tick);
    }
    sum
}

fn phold(work: &Work) -> u64 {
    let mut luck = luck();
    let mut counts = vec![0_u64; work.size];
    let mut kernel = Kernel::new(work.size as u32);
    for n in 0..work.size as u64 {
        kernel.schedule(Time(delay(luck.bits())), Class::Timer, n as u32, Tick(n));
    }
    let mut sum = 0_u64;
    for _ in 0..work.amount {
        let Tick(here) = kernel.next(Time::NEVER).expect("there is always one").event;
        counts[here as usize] += 1;
        let (now, draw) = (kernel.now(), luck.bits());
        sum = sum.wrapping_add(now.0.wrapping_mul(here + 1));
        let there = target(draw, counts.len()) as u64;
        kernel.schedule(now + Span(delay(draw)), Class::Timer, here as u32, Tick(there));
    }
    sum
}

#[derive(Clone, Copy)]
enum Customer {
    Arrives,
    Leaves,
}

impl Word for Customer {
    fn word(&self) -> u64 {
        *self as u64
    }
}

fn mm1(work: &Work) -> u64 {
    let (mut luck, mut desk, mut kernel) = (luck(), Desk::default(), Kernel::new(1));
    kernel.schedule(Time(exponential(luck.bits(), ARRIVAL_NS)), Class::Timer, 0, Customer::Arrives);
    while desk.served < work.amount {
        let event = kernel.next(Time::NEVER).expect("there is always one").event;
        let now = kernel.now();
        let serve = match event {
            Customer::Arrives => {
                let next = now + Span(exponential(luck.bits(), ARRIVAL_NS));
                kernel.schedule(next, Class::Timer, 0, Customer::Arrives);
                desk.arrive(now.0)
            }
            Customer::Leaves => desk.leave(now.0),
        };
        if serve {
            let end = now + Span(exponential(luck.bits(), SERVICE_NS));
            kernel.schedule(end, Class::Timer, 0, Customer::Leaves);
        }
    }
    desk.spent_ns
}

#[derive(Clone, Copy)]
enum Event {
    Net(NetEvent),
    Beat(u16),
}

impl From<NetEvent> for Event {
    fn from(event: NetEvent) -> Event {
        Event::Net(event)
    }
}

impl Word for Event {
    fn word(&self) -> u64 {
        match self {
            Event::Net(event) => event.word(),
            Event::Beat(node) => u64::from(*node) ^ (15 << 60),
        }
    }
}

const PORT: u16 = 6379;

/// Nodes that are all connected with one another.
struct Nodes {
    kernel: Kernel<Event>,
    handles: Handles,
    net: Net,
    /// By node: its connections to the others.
    socks: Vec<Vec<Sock>>,
}

impl Nodes {
    fn new(size: usize) -> Nodes {
        let luck = (0..size as u32).map(|host| Stream::named(1, host, Purpose::Network)).collect();
        let link = Link { latency: Span::from_millis(1), jitter: Span::from_millis(9), ..Link::default() };
        let wheel = TimerWheel { phase: Span::ZERO };
        let net = Net::new(Topology::new(size, link), luck, vec![Span::from_secs(30); size], wheel, size);
        let mut nodes = Nodes {
            // One source of events more than there are hosts: the heartbeats' timers.
            kernel: Kernel::new(size as u32 + 1),
            handles: Handles::default(),
            net,
            socks: vec![Vec::new(); size],
        };
        for host in 0..size as u16 {
            nodes.net.listen(NodeId(host), Addr::new(Ip(host.into()), PORT), 511);
        }
        for from in 0..size as u16 {
            for to in (0..size as u16).filter(|to| *to != from) {
                let sock = nodes.handles.allocate();
                let ends = ((NodeId(from), HostId(from)), Addr::new(Ip(to.into()), PORT));
                nodes.act(|net, now, cx| net.connect(ends.0, sock, ends.1, Token(1), now, cx));
                nodes.socks[from as usize].push(sock);
            }
        }
        nodes
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Net, Time, &mut Context<'_, Event>) -> R) -> R {
        let now = self.kernel.now();
        act(&mut self.net, now, &mut Context { kernel: &mut self.kernel, handles: &mut self.handles })
    }

    fn send(&mut self, sock: Sock, seq: u32) {
        let message = Message::Command(Command::Set(Key { space: 0, index: seq }, seq));
        self.act(|net, now, cx| net.send(sock, message, now, cx));
    }
}

fn mesh(work: &Work) -> u64 {
    let mut nodes = Nodes::new(work.size);
    let mut turns = vec![0_usize; work.size];
    let mut messages = 0;
    while messages < work.amount {
        let event = nodes.kernel.next(Time::NEVER).expect("messages go round").event;
        let Event::Net(event) = event else { continue };
        let delivery = nodes.act(|net, _, cx| net.handle(event, cx));
        let Some(delivery) = &delivery else { continue };
        match &delivery.input {
            Input::Accepted { sock, .. } => drop(nodes.net.accept(*sock, Token(2))),
            Input::Connected { .. } => nodes.send(delivery.sock, 0),
            Input::Data { message: Message::Command(Command::Set(_, seq)), .. } => {
                messages += 1;
                let node = delivery.node.0 as usize;
                let turn = turns[node] % nodes.socks[node].len();
                turns[node] += 1;
                nodes.send(nodes.socks[node][turn], seq + 1);
            }
            _ => {}
        }
    }
    nodes.kernel.digest() as u64
}

fn heartbeat(work: &Work) -> u64 {
    let mut nodes = Nodes::new(work.size);
    let timers = work.size as u32;
    for node in 0..work.size as u16 {
        nodes.kernel.schedule(Time(1_000_000_000), Class::Timer, timers, Event::Beat(node));
    }
    let end = Time(work.amount * 1_000_000_000);
    while let Some(dispatched) = nodes.kernel.next(end) {
        match dispatched.event {
            Event::Net(event) => {
                let Some(delivery) = nodes.act(|net, _, cx| net.handle(event, cx)) else { continue };
                if let Input::Accepted { sock, .. } = delivery.input {
                    nodes.net.accept(sock, Token(2));
                }
            }
            Event::Beat(node) => {
                for place in 0..nodes.socks[node as usize].len() {
                    nodes.send(nodes.socks[node as usize][place], 0);
                }
                let next = nodes.kernel.now() + Span::from_secs(1);
                nodes.kernel.schedule(next, Class::Timer, timers, Event::Beat(node));
            }
        }
    }
    nodes.kernel.digest() as u64
}
