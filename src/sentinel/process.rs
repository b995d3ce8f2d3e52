//! What belongs to the process and not to a monitored master: the epoch, TILT, random streams, sockets, the disk,
//! and the pass of the event loop that is being run.

use std::collections::BTreeMap;

use super::Config;
use super::persist::{Persisted, PersistedMaster, Rewriting};
use super::release::{self, Rules};
use crate::kernel::{Span, Stream, Time};
use crate::program::{LoopTimer, Out, Sock, TimerId, Token, Volume};
use crate::record::{Event, Instance as Who, SentinelEvent, SentinelEventKind};
use crate::wire::{Addr, ChannelId, Command, GroupId, Message, Payload, RunId};

/// The only timer: `serverCron`.
pub(super) const TICK: TimerId = TimerId(0);

/// `CONFIG_DEFAULT_HZ`; each tick draws the next frequency from `10..20` (`sentinelTimer`; spec 1.4).
const HZ: u64 = 10;

/// `SENTINEL_MAX_DESYNC`: bound of the draws added to `failover_start_time` (spec 9.4).
pub(super) const DESYNC_MS: u64 = 1000;

/// The file-scope constants of sentinel.c that `SENTINEL DEBUG` can change, in ms (spec 2).
#[derive(Clone, Debug)]
pub(super) struct Periods {
    pub info: i64,
    pub ping: i64,
    pub ask: i64,
    pub publish: i64,
    pub tilt_trigger: i64,
    pub tilt: i64,
    pub slave_reconf: i64,
    pub min_link_reconnect: i64,
    pub election: i64,
    pub default_down_after: i64,
    pub default_failover: i64,
}

/// A setting as `mstime_t`; far below the overflow of any sum made of it.
pub(super) fn ms(value: u64) -> i64 {
    value.min(1 << 50) as i64
}

impl Periods {
    fn new(config: &Config) -> Periods {
        Periods {
            info: ms(config.info_period),
            ping: ms(config.ping_period),
            ask: ms(config.ask_period),
            publish: ms(config.publish_period),
            tilt_trigger: ms(config.tilt_trigger),
            tilt: ms(config.tilt_period),
            slave_reconf: ms(config.slave_reconf_timeout),
            min_link_reconnect: ms(config.min_link_reconnect_period),
            election: ms(config.election_timeout),
            default_down_after: ms(config.default_down_after),
            default_failover: ms(config.default_failover_timeout),
        }
    }

    /// `SENTINEL DEBUG name value` (`sentinelSetDebugConfigParameters`). False: unknown name or a value that is not
    /// positive. Script limits are accepted by the real program too; no scripts run here.
    pub(super) fn set(&mut self, name: &str, value: u64) -> bool {
        let period = match name {
            "info-period" => &mut self.info,
            "ping-period" => &mut self.ping,
            "ask-period" => &mut self.ask,
            "publish-period" => &mut self.publish,
            "tilt-trigger" => &mut self.tilt_trigger,
            "tilt-period" => &mut self.tilt,
            "slave-reconf-timeout" => &mut self.slave_reconf,
            "min-link-reconnect-period" => &mut self.min_link_reconnect,
            "election-timeout" => &mut self.election,
            "default-down-after" => &mut self.default_down_after,
            "default-failover-timeout" => &mut self.default_failover,
            _ => return false,
        };
        if value > 0 {
            *period = ms(value);
        }
        value > 0
    }
}

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nothing: the slot is free.
    Free,
    /// Command connection of the object with this serial number.
    Command(u32),
    /// Pub/Sub connection of the object with this serial number.
    Pubsub(u32),
    /// Somebody who connected to this Sentinel.
    Client(Sock),
}

/// A connection that this Sentinel opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conn {
    pub sock: Sock,
    pub token: Token,
}

/// The state of the process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub me: Addr,
    pub id: RunId,
    pub periods: Periods,
    pub rules: &'static Rules,
    pub current_epoch: u32,
    pub tilt: bool,
    pub tilt_start_time: i64,
    pub previous_time: i64,
    pub crash_after_election: bool,
    pub crash_after_promotion: bool,
    /// The epoch of the last election won.
    pub led_epoch: Option<u32>,
    /// SIGTERM was received.
    pub terminating: bool,
    /// The process has ended.
    pub exited: bool,
    /// What the rewritten configuration file says.
    pub disk: Persisted,
    /// The rewritings of this pass.
    pub rewritings: Vec<Rewriting>,
    /// How its disk is.
    pub volume: Volume,
    program: Stream,
    work: Stream,
    hash_salt: u64,
    serials: u32,
    owners: Vec<Owner>,
    free: Vec<u32>,
    /// Output buffers of the client library: written when the pass is over, lost if the connection is closed before.
    outbox: Vec<(Sock, Message)>,
    /// Clients that subscribed to `+switch-master`.
    pub listeners: Vec<Sock>,
    tick: LoopTimer,
    /// The tick runs in the pass that found it due.
    overdue: bool,
}

impl Process {
    /// Its random streams.
    pub(super) fn streams(&mut self) -> Vec<&mut Stream> {
        vec![&mut self.program, &mut self.work]
    }

    pub(super) fn new(config: &Config, me: Addr, mut program: Stream, work: Stream, disk: Persisted) -> Process {
        let hash_salt = program.bits();
        Process {
            me,
            id: disk.id,
            periods: Periods::new(config),
            rules: release::rules(config.release),
            current_epoch: disk.current_epoch,
            tilt: false,
            tilt_start_time: 0,
            previous_time: 0,
            crash_after_election: false,
            crash_after_promotion: false,
            led_epoch: None,
            terminating: false,
            exited: false,
            disk,
            rewritings: Vec::new(),
            volume: Volume::default(),
            program,
            work,
            hash_salt,
            serials: 0,
            owners: Vec::new(),
            free: Vec::new(),
            outbox: Vec::new(),
            listeners: Vec::new(),
            tick: LoopTimer::default(),
            overdue: false,
        }
    }

    /// What a token stands for.
    pub(super) fn owner(&self, token: Token) -> Owner {
        self.owners.get(token.0 as usize).copied().unwrap_or(Owner::Free)
    }

    /// A free token for `owner`.
    pub(super) fn attach(&mut self, owner: Owner) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.owners.push(Owner::Free);
            self.owners.len() as u32 - 1
        });
        self.owners[index as usize] = owner;
        Token(index)
    }

    /// Gives a token back.
    ///
    /// # Panics
    /// If it is not in use.
    pub(super) fn detach(&mut self, token: Token) {
        let slot = &mut self.owners[token.0 as usize];
        assert!(*slot != Owner::Free, "a token is given back once");
        *slot = Owner::Free;
        self.free.push(token.0);
    }

    /// A number that no other object of this process has or had.
    pub(super) fn next_serial(&mut self) -> u32 {
        self.serials += 1;
        self.serials
    }

    /// The hash of a key under this process's random seed (spec 1.7).
    pub(super) fn hash(&self, key: u64) -> u64 {
        crate::kernel::mix(key ^ self.hash_salt)
    }

    /// `rand() % bound` of the process.
    pub(super) fn rand(&mut self, bound: u64) -> u64 {
        self.program.below(bound)
    }

    /// How long one `sentinelFlushConfig` blocks: as long as its `fsync` calls. Measured with the three of 7.0 on the reference stack (2 000 gaps between a log line and
    /// the next one across a flush): mean 1.9 ms; 85 % lie between 1 and 2 ms, the rest has a tail of some ms.
    fn flush_span(&mut self) -> Span {
        const MEASURED_FSYNCS: u64 = 3;
        let measured = if self.work.below(100) < 85 {
            Span::from_micros(self.work.between(1_000, 2_000))
        } else {
            Span::from_micros((2_000 + self.work.exponential(1_900)).min(13_000))
        };
        Span(measured.0 * u64::from(self.rules.fsyncs_per_flush) / MEASURED_FSYNCS)
    }
}

/// One pass of the event loop.
pub(super) struct Pass<'a> {
    pub process: &'a mut Process,
    pub out: &'a mut Out,
}

impl Pass<'_> {
    /// `mstime()`.
    #[inline]
    pub(super) fn now(&self) -> i64 {
        self.out.wall_ms()
    }

    /// Writes a log line.
    #[inline]
    pub(super) fn log(&mut self, event: impl FnOnce() -> SentinelEvent) {
        self.out.log(|| Event::Sentinel(event()));
    }

    /// Writes `<event> @`.
    #[inline]
    pub(super) fn about(&mut self, kind: SentinelEventKind, who: Who) {
        self.log(|| SentinelEvent::About(kind, who));
    }

    /// Appends a command to the output buffer of a link; it leaves when the pass is over.
    #[inline]
    pub(super) fn send(&mut self, conn: Conn, command: Command) {
        self.process.outbox.push((conn.sock, Message::Command(command)));
    }

    /// `sentinelEvent` of `+switch-master`: the log line, and the message for those who subscribed.
    pub(super) fn switch_master(&mut self, group: GroupId, old: Addr, new: Addr) {
        self.log(|| SentinelEvent::SwitchMaster(group, old, new));
        for sock in &self.process.listeners {
            let message = Message::Push(ChannelId::SWITCH_MASTER, Payload::SwitchMaster(new));
            self.process.outbox.push((*sock, message));
        }
    }

    /// Opens a connection.
    pub(super) fn connect(&mut self, to: Addr, owner: Owner) -> Conn {
        let token = self.process.attach(owner);
        Conn { sock: self.out.connect(to, token), token }
    }

    /// Closes a connection of the client library (`redisAsyncFree`): what was not written yet is lost.
    pub(super) fn close(&mut self, conn: Conn) {
        self.process.outbox.retain(|(sock, _)| *sock != conn.sock);
        self.process.detach(conn.token);
        self.out.close(conn.sock);
    }

    /// Ends the process at once.
    pub(super) fn exit(&mut self) {
        self.process.outbox.clear();
        self.process.exited = true;
        self.out.exit();
    }

    /// `sentinelSimFailureCrash` (spec 19).
    pub(super) fn crash(&mut self) {
        self.out.log(|| Event::Text("Sentinel CRASH because of SENTINEL simulate-failure".into()));
        self.exit();
    }

    /// `sentinelFlushConfig`: rewrites the file, blocks for the fsync, and says so (spec 1.8, 18.1).
    pub(super) fn flush(&mut self, masters: BTreeMap<GroupId, PersistedMaster>) {
        let process = &mut *self.process;
        let file = Persisted { id: process.id, current_epoch: process.current_epoch, masters };
        let before = std::mem::replace(&mut process.disk, file);
        let usual = self.process.flush_span();
        let fsyncs = u64::from(self.process.rules.fsyncs_per_flush);
        let (began, takes) = (self.out.now(), self.process.volume.fsyncs(fsyncs, usual));
        self.out.work(takes);
        let renamed = began + Span(takes.0 / fsyncs);
        self.process.rewritings.push(Rewriting { before, renamed, synced: self.out.now() });
        if self.process.volume.fsync > Span::ZERO {
            // What it says with this file on the disk must not leave a machine that lost its power meanwhile.
            self.out.hold();
        }
        if self.process.rules.logs_flush {
            self.log(|| SentinelEvent::ConfigSaved);
        }
    }

    /// Whether the file cannot be written, because its disk is full: it says so and goes on (`sentinelFlushConfig`).
    pub(super) fn cannot_flush(&mut self) -> bool {
        let full = self.process.volume.full;
        if full {
            let why =
                "WARNING: Sentinel was not able to save the new configuration on disk!!!: No space left on device";
            self.out.log(|| Event::Text(why.into()));
        }
        full
    }

    /// The first tick comes 1 ms after `initServer`, or when the start is over.
    pub(super) fn arm_first_tick(&mut self, started: Time) {
        self.process.tick = LoopTimer::first(started, Span::from_millis(1));
        let at = self.process.tick.due().max(self.out.now());
        self.out.set_timer(TICK, at);
    }

    /// Draws the next frequency and arms the timer (spec 1.2, 1.4).
    pub(super) fn arm_next_tick(&mut self) {
        let hz = HZ + self.process.rand(HZ);
        let interval = Span::from_millis(1000 / hz);
        self.process.tick = LoopTimer::again(self.out.now(), interval, &mut self.process.work);
        self.process.overdue = false;
        self.out.set_timer(TICK, self.process.tick.wakes_at());
    }

    /// Whether the timer that fired may run its handler now. Passes since the timer was set have moved the moment at
    /// which the rounded sleep ends; then the timer is set again.
    pub(super) fn tick_is_due(&mut self) -> bool {
        let wakes_at = self.process.tick.wakes_at();
        if wakes_at > self.out.now() {
            self.out.set_timer(TICK, wakes_at);
            return false;
        }
        true
    }

    /// Ends the pass: output is written, the loop goes to sleep.
    pub(super) fn finish(&mut self) {
        for (sock, message) in self.process.outbox.drain(..) {
            self.out.send(sock, message);
        }
        // Due timers run in the pass that finds them due, after all file events.
        let now = self.out.now();
        if self.process.tick.pass_ended(now) && !self.process.overdue && !self.process.exited {
            self.process.overdue = true;
            self.out.set_timer(TICK, now);
        }
    }
}
