//! One Redis 7.0.15 server as a state machine without I/O.
//!
//! [`Redis::handle`] is one pass of the real event loop: one input, what it causes, and `beforeSleep`. Nothing reads a
//! clock, a socket or a file; what survives a restart is a [`Disk`]. The concerns are apart from one another:
//!
//! | file | concern | real source |
//! | --- | --- | --- |
//! | `client` | the table of connections | networking.c |
//! | `command` | which command is allowed when, and what it does | server.c `processCommand` |
//! | `pubsub` | channels | pubsub.c |
//! | `replica` | our link to a master | replication.c, second half |
//! | `master` | the replicas that we serve, the stream | replication.c, first half |
//! | `backlog` | the history of the stream | replication.c |
//! | `child` | RDB children, and the file's way to replicas | rdb.c, replication.c |
//! | `aof` | the append-only file | aof.c |
//! | `persist` | RDB files, loading, restart | rdb.c, server.c |
//! | `trouble` | a disk that is slow or full | server.c, aof.c, rdb.c |
//! | `speed` | how long work on the data set takes | measured |
//! | `shutdown` | SIGTERM and SHUTDOWN | server.c |
//! | `failover` | FAILOVER, from a master to its replica | replication.c |
//! | `script` | a script that never ends | script.c, eval.c |
//! | `info` | INFO and ROLE | server.c |
//! | `cron` | serverCron and its phase | server.c, ae.c |
//!
//! "Spec" with a number means the section of the behaviour notes for Redis 7.0.15.

mod aof;
mod backlog;
mod child;
mod client;
mod command;
mod config;
mod cron;
mod dataset;
mod expire;
mod failover;
mod info;
mod master;
mod pause;
mod persist;
mod pubsub;
mod rdb_channel;
mod release;
mod replica;
mod roster;
mod script;
mod settings;
mod shutdown;
mod speed;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trouble;

pub use aof::AofFile;
pub use config::{AppendFsync, Config, DisklessLoad, OutputLimit, OutputLimits, Protected, SavePoint, SavePoints};
pub use persist::{Disk, Rdb, RdbInfo};
pub(crate) use release::share_files;
pub use settings::{RANGES, Refusal, canonical, out_of_range, set};

use crate::kernel::{Span, Stream};
use crate::mistake::Mistake;
use crate::program::{ConnectError, Ended, Input, Out, Sock, Token, Volume};
use crate::record::{Event, OverLimit, RedisEvent};
use crate::release::Released as _;
use crate::wire::{Addr, ClientType, Command, ErrorKind, Ip, Key, Message, ReplId, ReplicaState, Reply, Role, RunId};

use aof::Aof;
use backlog::Backlog;
use child::{Bulk, Child};
use client::{Attached, Blocked, Clients, Lane, Slot};
use cron::{BULK, CHILD, CRON, Cron, LOAD};
use dataset::Dataset;
use failover::Failover;
use pause::Pause;
use persist::Loading;
use pubsub::Channels;
use rdb_channel::FILE_LINK;
use replica::Link;
use script::Running;
use shutdown::Shutdown;
use trouble::Trouble;

/// CPU time of one request that is not pipelined, with its share of the loop: poll, read, parse, write. Measured on
/// 7.0.15 with `redis-benchmark -c 1`: 28 to 32 µs of process time a PING, SET or PUBLISH, about a third of it the
/// kernel's delivery on the loopback, which belongs to the network here. The commands alone take 0.1 to 0.7 µs.
const REQUEST: Span = Span::from_micros(20);
/// What INFO takes more (measured like [`REQUEST`]: 42 µs in all).
const INFO_EXTRA: Span = Span::from_micros(12);
/// One command of the replication stream: they come in batches (measured with pipelining: 1.3 µs).
const STREAM_COMMAND: Span = Span::from_nanos(1_300);

/// With what a server is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Settings of the command line or of the configuration file as it was written by hand.
    pub config: Config,
    /// The address it serves.
    pub me: Addr,
    /// `--replicaof` of the command line.
    pub replica_of: Option<Addr>,
    /// Draws run ids and replication ids.
    pub identity: Stream,
    /// Draws how long the server's own work takes.
    pub work: Stream,
    /// What an earlier process left.
    pub disk: Disk,
}

/// The replication state that both roles share.
#[derive(Clone, Debug)]
struct History {
    replid: ReplId,
    replid2: ReplId,
    /// `second_replid_offset`; −1 if there is none.
    second_offset: i64,
    /// `master_repl_offset`.
    offset: u64,
    backlog: Option<Backlog>,
    /// `slaveseldb` is 0; else the next command is preceded by SELECT (spec 25.3).
    selected: bool,
    /// `repl_stream_lastio`: when the last byte was written to the stream.
    stream_at: i64,
    /// `repl_no_slaves_since`
    no_replicas_since: i64,
}

/// One Redis server.
#[derive(Clone, Debug)]
pub struct Redis {
    config: Config,
    me: Addr,
    identity: Stream,
    work: Stream,
    disk: Disk,
    run_id: RunId,
    data: Dataset,
    /// With `appendonly`, or when there was one, or BGREWRITEAOF.
    aof: Option<Box<Aof>>,
    /// How its disk is.
    volume: Volume,
    trouble: Trouble,
    clients: Clients,
    channels: Channels,
    history: History,
    link: Link,
    /// Attached replicas in the order of their PSYNC.
    replicas: Vec<Slot>,
    /// `repl_good_slaves_count`
    good_replicas: u32,
    replication_cron_loops: u64,
    child: Option<Child>,
    /// Saved files that are being sent.
    bulks: Vec<Bulk>,
    loading: Option<Loading>,
    /// Changes since the last save.
    dirty: u64,
    /// `lastsave`
    last_save: i64,
    shutdown: Shutdown,
    /// FAILOVER, while it is under way.
    failover: Option<Failover>,
    /// The script that runs.
    script: Option<Box<Running>>,
    cron: Cron,
    /// `get_ack_from_slaves`
    getack_wanted: bool,
    /// How many clients are blocked in WAIT.
    waiters: u32,
    pause: Pause,
    /// It ends: it does nothing any more but write its report or its file, and the kernel closes its sockets then.
    leaving: bool,
    to_close: Vec<Slot>,
    /// The client whose command runs.
    current: Option<Slot>,
    exited: bool,
}

fn log(out: &mut Out, event: RedisEvent) {
    out.log(|| Event::Redis(event));
}

fn log_text(out: &mut Out, text: impl FnOnce() -> String) {
    out.log(|| Event::Text(text().into()));
}

/// `unixtime`: the wall clock in whole seconds.
fn unixtime(out: &Out) -> i64 {
    out.wall_ms().div_euclid(1000)
}

fn draw_replid(identity: &mut Stream) -> ReplId {
    ReplId(identity.bits().max(1))
}

/// What output limits count for `bytes` of replies and pushes (`getClientOutputBufferMemoryUsage`): blocks of
/// `PROTO_REPLY_CHUNK_BYTES`, which the allocator rounds up to 20 480 bytes, each with 40 bytes of a list's node and its own
/// head. The buffer of the client itself (`PROTO_REPLY_MIN_BYTES` when it has long been idle) does not count.
fn reply_memory(bytes: u64) -> u64 {
    const BLOCK_HEAD: u64 = 16;
    const BLOCK: u64 = 20_480 - BLOCK_HEAD;
    const NODE: u64 = 24;
    const OWN_BUFFER: u64 = 1_024;
    bytes.saturating_sub(OWN_BUFFER).div_ceil(BLOCK) * (BLOCK + BLOCK_HEAD + NODE)
}

impl Redis {
    /// Its random streams.
    pub(crate) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![&mut self.identity, &mut self.work]
    }

    /// A process that has not yet run. A rewritten configuration on the disk goes before the command line (spec 27.9).
    pub fn new(setup: Setup) -> Redis {
        let Setup { config, me, replica_of, mut identity, work, disk } = setup;
        let (config, replica_of, by_name) = match &disk.rewritten {
            // Written by another release, it is read by this one. What Sentinel had written is an address.
            Some((written, role)) if written.config_file => (written.under(config.release), *role, false),
            _ => {
                let by_name = config.master_by_name;
                (config, replica_of, by_name)
            }
        };
        let run_id = RunId(identity.bits());
        let replid = draw_replid(&mut identity);
        Redis {
            config,
            me,
            identity,
            work,
            disk,
            run_id,
            data: Dataset::default(),
            aof: None,
            volume: Volume::default(),
            trouble: Trouble::default(),
            clients: Clients::default(),
            channels: Channels::default(),
            history: History {
                replid,
                replid2: ReplId::NONE,
                second_offset: -1,
                offset: 0,
                backlog: None,
                selected: false,
                stream_at: 0,
                no_replicas_since: 0,
            },
            link: Link::new(replica_of, by_name && replica_of.is_some()),
            replicas: Vec::new(),
            good_replicas: 0,
            replication_cron_loops: 0,
            child: None,
            bulks: Vec::new(),
            loading: None,
            dirty: 0,
            last_save: 0,
            shutdown: Shutdown::default(),
            failover: None,
            script: None,
            cron: Cron::default(),
            getack_wanted: false,
            waiters: 0,
            pause: Pause::default(),
            leaving: false,
            to_close: Vec::new(),
            current: None,
            exited: false,
        }
    }

    /// One pass of the event loop.
    pub fn handle(&mut self, input: Input, out: &mut Out) {
        assert!(!self.exited, "a process that has exited is not called");
        if self.leaving {
            self.leaving_goes_on(&input, out);
            return;
        }
        out.speak(self.config.release.dialect());
        if self.script.is_some() {
            return self.while_blocked(input, out);
        }
        self.cron.pass_begins(out, self.hz(), &mut self.work);
        self.take(input, out);
        if !self.leaving && self.script.is_none() {
            self.before_sleep(out);
            self.cron.pass_ends(self.hz(), &mut self.work, out);
        }
    }

    /// What happens is handled.
    fn take(&mut self, input: Input, out: &mut Out) {
        match input {
            Input::Data { token: Token(0), message } => self.link_data(message, out),
            Input::Data { token: FILE_LINK, message } => self.file_link_data(message, out),
            Input::Data { token, message } => self.client_data(Slot::of(token), message, out),
            Input::Accepted { sock, from } => self.accepted(sock, from, out),
            Input::Ended { token: Token(0), how } => self.link_ended(how, out),
            Input::Ended { token: FILE_LINK, how } => self.file_link_ended(how, out),
            Input::Ended { token, how } => self.client_ended(Slot::of(token), how, out),
            Input::Connected { token: FILE_LINK } => self.file_link_connected(out),
            Input::Connected { .. } => self.link_connected(out),
            Input::ConnectFailed { error, token } => {
                let why = match error {
                    ConnectError::Refused => "Connection refused",
                    ConnectError::Unreachable => "No route to host",
                    ConnectError::TimedOut => "Connection timed out",
                };
                match token {
                    FILE_LINK => self.file_link_failed(why, out),
                    _ => self.link_connect_failed(why, out),
                }
            }
            Input::Timer(CRON) => {
                if let Some(tick) = self.cron.fire(self.hz(), out) {
                    self.server_cron(tick, out);
                    if !self.leaving {
                        let fine = self.needs_fine_ticks(out);
                        self.cron.next(fine, self.hz(), &mut self.work, out);
                    }
                }
            }
            Input::Timer(CHILD) => self.poll_child(out),
            Input::Timer(LOAD) => self.loading_goes_on(out),
            Input::Timer(BULK) => self.send_bulks(out),
            Input::Timer(_) => {}
            Input::Start => {
                out.listen();
                self.start(out);
            }
            Input::Terminate => self.terminate(out),
            Input::Command(message) => {
                if let Message::Command(command) = message {
                    let slot = self.clients.add(None, self.me.ip, unixtime(out));
                    self.process_command(slot, command, out);
                    if self.clients.get(slot).is_some() {
                        self.free_client(slot, false, out);
                    }
                }
            }
        }
    }

    /// `beforeSleep`: clients that wait, requests for acknowledgements, clients to close.
    fn before_sleep(&mut self, out: &mut Out) {
        if self.link.master.is_none() {
            self.check_pause();
        }
        if self.waiters > 0 {
            self.process_waiters(out);
        }
        self.process_unblocked(out);
        if self.getack_wanted && self.pause_kind().is_none() {
            self.getack_wanted = false;
            self.feed(Command::ReplconfGetack, out);
        }
        self.update_failover(out);
        self.close_and_flush(out);
    }

    /// The part of `beforeSleep` that a script lets through, too.
    fn close_and_flush(&mut self, out: &mut Out) {
        while let Some(slot) = self.to_close.pop() {
            if self.clients.get(slot).is_some_and(|client| client.close_asap) {
                self.free_client(slot, false, out);
            }
        }
        if self.aof.is_some() {
            self.flush_aof(false, out);
        }
    }

    fn accepted(&mut self, sock: Sock, from: Ip, out: &mut Out) {
        if self.clients.len() >= self.config.maxclients as usize {
            out.reply(sock, Reply::Error(ErrorKind::MaxClients));
            out.close(sock);
            return;
        }
        let slot = self.clients.add(Some(sock), from, unixtime(out));
        out.accept(sock, slot.token());
    }

    fn client_data(&mut self, slot: Slot, message: Message, out: &mut Out) {
        let now_s = unixtime(out);
        let Some(client) = self.clients.get_mut(slot) else { return };
        if client.close_asap {
            return;
        }
        client.last_interaction = now_s;
        let Message::Command(command) = message else {
            // A newline: all that a replica says while it loads (`processInlineBuffer`).
            if let Some(attached) = client.attached.as_mut() {
                attached.ack_time = now_s;
            }
            return;
        };
        match &client.blocked {
            // What follows SHUTDOWN is never executed.
            Some(Blocked::Shutdown) => return,
            Some(Blocked::Wait { .. } | Blocked::Postponed | Blocked::Script) => {
                client.waiting_input.push(command);
                return;
            }
            None => {}
        }
        out.work(if client.attached.is_some() { STREAM_COMMAND } else { REQUEST });
        self.process_command(slot, command, out);
    }

    fn client_ended(&mut self, slot: Slot, how: Ended, out: &mut Out) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if how != Ended::Eof {
            // The socket is gone; its peer's name cannot be asked for any more (`connPeerToString`).
            client.sock = None;
        }
        self.free_client(slot, how != Ended::Eof, out);
    }

    /// `freeClient`. An `unnamed` client's socket has no peer any more, so a log line shows its number.
    fn free_client(&mut self, slot: Slot, unnamed: bool, out: &mut Out) {
        self.unsubscribe_all(slot);
        let client = self.clients.remove(slot);
        self.pause.forget(slot.token());
        if matches!(client.blocked, Some(Blocked::Wait { .. })) {
            self.waiters -= 1;
        }
        if let Some(sock) = client.sock {
            // Output that was not yet written is dropped with the client.
            out.discard(sock);
            out.close(sock);
        }
        if let Some(Attached { lane, .. }) = client.attached {
            let (addr, id) = (client.replica_addr(), client.id as u32);
            log(
                out,
                match (lane, unnamed) {
                    (Lane::File, true) => RedisEvent::RdbChannelLostUnnamed(id),
                    (Lane::File, false) => RedisEvent::RdbChannelLost(addr),
                    (_, true) => RedisEvent::ReplicaLostUnnamed(id),
                    (_, false) => RedisEvent::ReplicaLost(addr),
                },
            );
            let file_is_sent = self.child.as_ref().is_none_or(|child| child.is_written() || !child.serves(slot));
            self.replica_gone(slot, out);
            if lane != Lane::Both {
                self.lane_gone(lane, client.id, client.file_for, file_is_sent);
            }
        }
    }

    /// `freeClientAsync`
    fn close_soon(&mut self, slot: Slot) {
        if let Some(client) = self.clients.get_mut(slot)
            && !client.close_asap
        {
            client.close_asap = true;
            self.to_close.push(slot);
        }
    }

    /// `checkClientOutputBufferLimits` and `closeClientOnOutputBufferLimitReached` (spec 31.9).
    fn check_output_limit(&mut self, slot: Slot, out: &mut Out) {
        let Some(client) = self.clients.get(slot) else { return };
        let Some(sock) = client.sock else { return };
        let (limit, class) = match client.kind() {
            ClientType::Replica => (self.config.client_output_buffer_limit.replica, "slave"),
            ClientType::Pubsub => (self.config.client_output_buffer_limit.pubsub, "pubsub"),
            ClientType::Normal | ClientType::Master => (self.config.client_output_buffer_limit.normal, "normal"),
        };
        let mut hard_limit = limit.hard_bytes;
        let bytes = out.output_buffer_bytes(sock);
        let mut used = if client.attached.is_some() { bytes } else { reply_memory(bytes) };
        if let Some(attached) = &client.attached {
            if hard_limit > 0 && !self.config.rules().backlog_is_ring {
                hard_limit = hard_limit.max(self.config.repl_backlog_size);
            }
            let kept = attached.state != ReplicaState::WaitBgsave
                || self.child.as_ref().is_some_and(|child| child.serves(slot));
            if attached.lane == Lane::File {
                used = 0;
            } else if !attached.streaming {
                // An RDB file on its way is no output of the client: it lies in the pipe or on the disk.
                used = if kept { self.history.offset.saturating_sub(attached.sent) } else { 0 };
            }
        }
        if out.mistaken(Mistake::HalfTheLimit) {
            hard_limit /= 2;
        }
        let hard = hard_limit > 0 && used >= hard_limit;
        let now_s = unixtime(out);
        let client = self.clients.get_mut(slot).expect("it was there a moment ago");
        if client.close_asap {
            return;
        }
        let mut soft = false;
        if limit.soft_bytes > 0 && used >= limit.soft_bytes {
            match client.soft_limit_since {
                None => client.soft_limit_since = Some(now_s),
                Some(since) => soft = now_s - since > limit.soft_seconds as i64,
            }
        } else {
            client.soft_limit_since = None;
        }
        let id = client.id;
        if hard || soft {
            self.close_soon(slot);
            let flag = match class {
                "pubsub" => 'P',
                "slave" => 'S',
                _ => 'N',
            };
            // The parts of the real line that there are here.
            let client = || format!("id={id} flags={flag} omem={used}").into();
            out.log(|| Event::Redis(RedisEvent::OutputLimit(OverLimit { class, client: client() })));
        }
    }

    /// What `clientsCron` does: output limits and idle clients (`timeout`), every client about once a second.
    fn clients_cron(&mut self, out: &mut Out) {
        for place in 0..self.clients.places() {
            let Some(slot) = self.clients.at(place) else { continue };
            let client = self.clients.get(slot).expect("the order lists clients");
            let pressed = client.sock.is_some_and(|sock| out.output_buffer_bytes(sock) > 0);
            let idle = unixtime(out) - client.last_interaction;
            if pressed || client.soft_limit_since.is_some() {
                self.check_output_limit(slot, out);
            } else if self.config.timeout > 0
                && idle > self.config.timeout as i64
                && client.kind() == ClientType::Normal
                && client.blocked.is_none()
            {
                self.close_soon(slot);
            }
        }
    }

    /// The role it claims.
    pub fn role(&self) -> Role {
        if self.link.master.is_none() { Role::Master } else { Role::Slave }
    }

    /// The master it follows.
    pub fn master(&self) -> Option<Addr> {
        self.link.master
    }

    /// Whether it is a replica whose link is up (`master_link_status:up`).
    pub fn link_up(&self) -> bool {
        self.link.is_up()
    }

    /// The identity of this process.
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// The identity of its history.
    pub fn replid(&self) -> ReplId {
        self.history.replid
    }

    /// `master_repl_offset`
    pub fn offset(&self) -> u64 {
        self.history.offset
    }

    /// GET, without a command.
    pub fn data(&self, key: &Key) -> Option<u32> {
        self.data.get(*key)
    }

    /// Which SETs of a writer with one key for all it has in the history of that key.
    pub fn sets_of(&self, space: u16) -> Option<crate::wire::Ranges> {
        self.data.history(space)
    }

    /// How many keys it holds.
    pub fn key_count(&self) -> usize {
        self.data.len()
    }

    /// How far its link to the master is, for whoever waits for it.
    pub fn why_not_in_sync(&self) -> String {
        match &self.loading {
            Some(_) => "loads its data".into(),
            None => format!("has no link to its master (state `{}`)", self.link.state_word()),
        }
    }

    /// About what its data takes in memory.
    pub fn memory_bytes(&self) -> u64 {
        speed::memory_bytes(self.data.ballast())
    }

    /// Whether it loads an RDB file.
    pub fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// `connected_slaves`: the addresses in the order of attachment.
    pub fn connected_replicas(&self) -> Vec<Addr> {
        self.streamed_replicas().filter_map(|slot| self.clients.get(slot)).map(|client| client.replica_addr()).collect()
    }

    /// The hosts of those that are connected to it, one a connection.
    pub fn peers(&self) -> impl Iterator<Item = Ip> {
        self.clients.peers()
    }

    /// What a process that starts after this one finds.
    pub fn disk(&self) -> Disk {
        self.with_aof(self.disk.clone())
    }

    /// Takes what a process that starts after this one finds.
    pub fn take_disk(&mut self) -> Disk {
        let disk = std::mem::take(&mut self.disk);
        self.with_aof(disk)
    }

    fn with_aof(&self, disk: Disk) -> Disk {
        let aof = self.aof.as_ref().map_or(disk.aof, |aof| aof.left());
        Disk { aof, ..disk }
    }
}
