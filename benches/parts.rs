//! The parts of the stack by themselves: a mesh of messages, TCP connections from SYN to FIN, one tick of a Sentinel, one
//! health check of HAProxy. Figures are per message, connection, tick and check.

use divan::Bencher;
use divan::counter::ItemsCount;
use sim::haproxy::{self, Haproxy};
use sim::kernel::{EventId, Kernel, Purpose, Span, Stream, Time};
use sim::net::{Context, Link, Net, NetEvent, TimerWheel, Topology};
use sim::program::{Action, Desk, Ended, Handles, Input, Out, Sock, TimerId, Token};
use sim::sentinel::{self, Sentinel};
use sim::wire::{
    Addr, Command, Expiry, GroupId, HostId, Info, InfoReplica, Ip, Key, MasterLink, Message, NodeId, ReplId,
    ReplicaState, Reply, Role, RunId,
};

fn main() {
    divan::main();
}

const PORT: u16 = 6379;

/// Hosts with one node each, all listening, and nothing that runs on them.
struct Mesh {
    kernel: Kernel<NetEvent>,
    handles: Handles,
    net: Net,
}

impl Mesh {
    fn new(hosts: u32) -> Mesh {
        let count = hosts as usize;
        let luck = (0..hosts).map(|host| Stream::named(1, host, Purpose::Network)).collect();
        let wheel = TimerWheel { phase: Span::ZERO };
        let topology = Topology::new(count, Link::default());
        let mut net = Net::new(topology, luck, vec![Span::from_secs(30); count], wheel, count);
        for host in 0..hosts as u16 {
            net.listen(NodeId(host), Addr::new(Ip(host.into()), PORT), 511);
        }
        Mesh { kernel: Kernel::new(hosts), handles: Handles::default(), net }
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Net, Time, &mut Context<'_, NetEvent>) -> R) -> R {
        let now = self.kernel.now();
        act(&mut self.net, now, &mut Context { kernel: &mut self.kernel, handles: &mut self.handles })
    }

    fn connect(&mut self, from: u16, to: u16) -> Sock {
        let sock = self.handles.allocate();
        let ends = ((NodeId(from), HostId(from)), Addr::new(Ip(to.into()), PORT));
        self.act(|net, now, cx| net.connect(ends.0, sock, ends.1, Token(1), now, cx));
        sock
    }
}

/// Every node is connected with every other and passes on each message that it gets to the next, over real connections:
/// loss, order and time-outs are ready to happen.
#[divan::bench(args = [5, 16, 50], sample_count = 20)]
fn mesh_of_messages(bencher: Bencher, hosts: u32) {
    const MESSAGES: u64 = 20_000;
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        let mut mesh = Mesh::new(hosts);
        let mut socks: Vec<Vec<Sock>> = vec![Vec::new(); hosts as usize];
        for from in 0..hosts as u16 {
            for to in (0..hosts as u16).filter(|to| *to != from) {
                let sock = mesh.connect(from, to);
                socks[from as usize].push(sock);
            }
        }
        let (mut messages, mut turn) = (0, 0_usize);
        while messages < MESSAGES {
            let event = mesh.kernel.next(Time::NEVER).expect("messages go round").event;
            let Some(delivery) = mesh.act(|net, _, cx| net.handle(event, cx)) else { continue };
            let mine = &socks[delivery.node.0 as usize];
            let (sock, seq) = match delivery.input {
                Input::Accepted { sock, .. } => {
                    mesh.net.accept(sock, Token(2));
                    continue;
                }
                Input::Connected { .. } => (delivery.sock, 0),
                Input::Data { message: Message::Command(Command::Set(_, seq, _)), .. } => {
                    messages += 1;
                    turn += 1;
                    (mine[turn % mine.len()], seq + 1)
                }
                _ => continue,
            };
            let message = Message::Command(Command::Set(Key::new(0, seq), seq, Expiry::Never));
            mesh.act(|net, now, cx| net.send(sock, message, now, cx));
        }
        mesh.kernel.digest()
    });
}

/// Connections one after the other: SYN, accept, FIN, FIN.
#[divan::bench(sample_count = 20)]
fn tcp_connections(bencher: Bencher) {
    const CONNECTIONS: u64 = 5_000;
    bencher.counter(ItemsCount::new(CONNECTIONS)).bench_local(|| {
        let mut mesh = Mesh::new(2);
        let mut closed = 0;
        mesh.connect(0, 1);
        while closed < CONNECTIONS {
            let event = mesh.kernel.next(Time::NEVER).expect("connections come and go").event;
            let Some(delivery) = mesh.act(|net, _, cx| net.handle(event, cx)) else { continue };
            let sock = delivery.sock;
            match delivery.input {
                Input::Accepted { sock, .. } => drop(mesh.net.accept(sock, Token(2))),
                Input::Connected { .. } => mesh.act(|net, now, cx| net.close(sock, now, cx)),
                Input::Ended { how: Ended::Eof, .. } => {
                    mesh.act(|net, now, cx| net.close(sock, now, cx));
                    closed += 1;
                    mesh.connect(0, 1);
                }
                _ => {}
            }
        }
        mesh.kernel.digest()
    });
}

const MASTER: Addr = Addr::new(Ip(0), PORT);

/// A program, the peers that answer it at once, and its timers.
struct Alone<P> {
    program: P,
    handle: fn(&mut P, Input, &mut Out),
    desk: Desk,
    now: Time,
    timers: Vec<(Time, TimerId)>,
    /// Inputs that the program's actions have led to.
    inputs: Vec<Input>,
    /// How many connections it has opened.
    connects: u64,
    /// By socket: where it leads and the program's name for it.
    peers: Vec<(Addr, Token)>,
}

impl<P> Alone<P> {
    fn new(program: P, handle: fn(&mut P, Input, &mut Out)) -> Alone<P> {
        let (desk, now) = (Desk::new(false), Time(1_000_000_000));
        let mut alone = Alone {
            program,
            handle,
            desk,
            now,
            timers: Vec::new(),
            inputs: Vec::new(),
            connects: 0,
            peers: Vec::new(),
        };
        alone.give(Input::Start);
        alone
    }

    fn give(&mut self, input: Input) {
        self.inputs.push(input);
        while let Some(input) = self.inputs.pop() {
            (self.handle)(&mut self.program, input, self.desk.begin(self.now, NodeId(9), EventId(0), 0));
            self.now = self.desk.ended();
            let mut actions = self.desk.take_actions();
            for action in actions.drain(..) {
                match action {
                    Action::SetTimer(timer, at) => {
                        self.timers.retain(|(_, other)| *other != timer);
                        self.timers.push((at, timer));
                    }
                    Action::ClearTimer(timer) => self.timers.retain(|(_, other)| *other != timer),
                    Action::Connect { sock, to, token } => {
                        self.connects += 1;
                        let index = sock.index as usize;
                        self.peers.resize(self.peers.len().max(index + 1), (to, token));
                        self.peers[index] = (to, token);
                        self.inputs.push(Input::Connected { token });
                    }
                    Action::Send { sock, message: Message::Command(command) } => {
                        let (to, token) = self.peers[sock.index as usize];
                        self.inputs.push(Input::Data { token, message: Message::Reply(answer(to, &command)) });
                    }
                    Action::Close(sock) | Action::Reset(sock) => self.desk.handles().release(sock),
                    _ => {}
                }
            }
            self.desk.recycle(actions);
        }
    }

    /// Lets the next timer fire.
    fn step(&mut self) {
        let next = (0..self.timers.len()).min_by_key(|&index| self.timers[index]).expect("a timer is always set");
        let (at, timer) = self.timers.swap_remove(next);
        self.now = self.now.max(at);
        self.give(Input::Timer(timer));
    }
}

/// What a healthy stack of three says.
fn answer(to: Addr, command: &Command) -> Reply {
    let replica =
        |host: u32| InfoReplica { addr: Addr::new(Ip(host), PORT), state: ReplicaState::Online, offset: 100, lag_s: 0 };
    match command {
        Command::Ping => Reply::Pong,
        Command::Info(_) => Reply::Info(Box::new(Info {
            run_id: RunId(u64::from(to.ip.0) + 1),
            role: if to == MASTER { Role::Master } else { Role::Slave },
            link: (to != MASTER).then_some(MasterLink {
                by_name: false,
                master: MASTER,
                up: true,
                down_since_s: None,
                offset: 100,
                priority: 100,
                announced: true,
                sync_in_progress: false,
            }),
            replicas: if to == MASTER { vec![replica(1), replica(2)] } else { Vec::new() },
            replid: ReplId(1),
            replid2: ReplId(0),
            offset: 100,
            second_offset: -1,
            loading: false,
            shutdown_in: None,
            connected_clients: 1,
        })),
        Command::Publish(..) => Reply::Int(1),
        Command::Subscribe(channel) => Reply::Subscribed(*channel, 1),
        _ => Reply::Ok,
    }
}

const STEPS: u64 = 1_000;

/// A tick of a Sentinel with a master and two replicas, and the replies that it brings.
#[divan::bench(sample_count = 20)]
fn sentinel_tick(bencher: Bencher) {
    let new = || {
        let stream = |purpose| Stream::named(1, 9, purpose);
        let setup = sentinel::Setup {
            config: sentinel::Config::default(),
            me: Addr::new(Ip(9), 26379),
            id: RunId(99),
            program: stream(Purpose::Program),
            work: stream(Purpose::Work),
            state: None,
            masters: [(GroupId::ONLY, MASTER)].into(),
        };
        let mut alone = Alone::new(Sentinel::new(setup), Sentinel::handle);
        (0..100).for_each(|_| alone.step());
        assert_eq!(alone.program.knows(GroupId::ONLY), (2, 0), "it found the replicas");
        alone
    };
    bencher.counter(ItemsCount::new(STEPS)).with_inputs(new).bench_local_refs(|alone| {
        (0..STEPS).for_each(|_| alone.step());
    });
}

/// A health check of HAProxy with three servers: connect, PING, INFO, close.
#[divan::bench(sample_count = 20)]
fn haproxy_check(bencher: Bencher) {
    let new = || {
        let server =
            |host| haproxy::Server { host: HostId(host), addr: Addr::new(Ip(host.into()), PORT), backup: host > 0 };
        let setup = haproxy::Setup {
            config: haproxy::Config::default(),
            servers: (0..3).map(server).collect(),
            work: Stream::named(1, 8, Purpose::Work),
        };
        let mut alone = Alone::new(Haproxy::new(setup), Haproxy::handle);
        (0..30).for_each(|_| alone.step());
        alone
    };
    bencher.counter(ItemsCount::new(STEPS)).with_inputs(new).bench_local_refs(|alone| {
        let enough = alone.connects + STEPS;
        while alone.connects < enough {
            alone.step();
        }
    });
}
