//! One Sentinel of Redis 7.0.15 as a state machine without I/O.
//!
//! It reads no clock, no network and no disk: the world calls [`Sentinel::handle`] with what happened, and carries out
//! what the Sentinel wants done. Everything follows the functions of `sentinel.c` by their conditions, operators and
//! order; the numbers in comments ("spec 9.1") are sections of the written statement of that behaviour.
//!
//! ```text
//!   Timer ──► tick ─► walk: master, replicas, Sentinels ─► link (connect) ─► periodic (INFO, PING, hello)
//!                      │                                   ─► down (SDOWN, ODOWN, ask) ─► failover (one state a tick)
//!                      └► reset (switch), last
//!   Data ───► reply: pong, INFO ─► failover, stray · answers of others ─► down
//!         ├─► hello: new Sentinels, epochs, configuration ─► reset (switch)
//!         └─► command: questions and votes, FAILOVER, RESET, SET … ─► vote, failover, reset
//!   every change that must survive ─► persist: the file is rewritten, the loop is blocked for that time
//! ```
//!
//! What is left out: notification and reconfiguration scripts; events pushed to subscribers of this Sentinel (they
//! get the confirmation and nothing more); authentication; host names; links that several masters share;
//! `±role-change`, which Redis logs only at level verbose.

mod command;
mod config;
mod down;
mod failover;
mod hello;
mod instance;
#[cfg(test)]
mod laws;
mod link;
mod note;
mod periodic;
mod persist;
mod process;
mod release;
mod reply;
mod reset;
mod stray;
#[cfg(test)]
mod testing;
mod tilt;
mod vote;
mod walk;

pub use config::Config;
pub use persist::{Persisted, PersistedMaster};

use std::collections::BTreeMap;

use crate::kernel::{Stream, Time};
use crate::program::{Ended, Input, Out, Token, Volume};
use crate::record::{Event, SentinelEvent};
use crate::wire::{Addr, ChannelId, Command, GroupId, Hello, Message, Payload, RunId};
use instance::Master;
use persist::Rewriting;
use process::{Owner, Pass, Process};

/// What a Sentinel is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its settings.
    pub config: Config,
    /// Its own address, as its hellos announce it.
    pub me: Addr,
    /// Its id, if this is the first start; otherwise the file's counts.
    pub id: RunId,
    /// `rand()` of the process, and its hash seed.
    pub program: Stream,
    /// How long its own work takes.
    pub work: Stream,
    /// The file that an earlier process left behind.
    pub state: Option<Persisted>,
    /// The masters to monitor, if this is the first start.
    pub masters: BTreeMap<GroupId, Addr>,
}

/// One Sentinel process.
#[derive(Clone, Debug)]
pub struct Sentinel {
    process: Process,
    monitor: Monitor,
}

/// What the process monitors.
#[derive(Clone, Debug)]
struct Monitor {
    /// Those of the file once it is read, without those that `SENTINEL REMOVE` took out.
    masters: BTreeMap<GroupId, Box<Master>>,
    /// The file has no id yet: it is written before anything else.
    first_start: bool,
    /// The addresses in the file that an operator wrote.
    configured: BTreeMap<GroupId, Addr>,
}

impl Sentinel {
    /// A process that is about to start.
    pub fn new(setup: Setup) -> Sentinel {
        let first_start = setup.state.is_none();
        let disk = setup.state.clone().unwrap_or_else(|| Persisted::initial(&setup));
        let Setup { config, me, program, work, masters, .. } = setup;
        let process = Process::new(&config, me, program, work, disk);
        Sentinel { process, monitor: Monitor { masters: BTreeMap::new(), first_start, configured: masters } }
    }

    /// Runs one pass of the event loop. After the process has ended, inputs are ignored.
    pub fn handle(&mut self, input: Input, out: &mut Out) {
        if self.process.exited {
            return;
        }
        self.process.rewritings.clear();
        let mut pass = Pass { process: &mut self.process, out };
        match input {
            Input::Timer(_) => {
                if pass.tick_is_due() {
                    self.monitor.tick(&mut pass);
                    pass.finish();
                }
            }
            input => {
                self.monitor.file_event(input, &mut pass);
                pass.finish();
            }
        }
    }

    /// Its random streams.
    pub(crate) fn streams(&mut self) -> Vec<&mut Stream> {
        self.process.streams()
    }

    /// What the configuration file says, as of its last rewriting.
    pub fn persisted(&self) -> Persisted {
        self.process.disk.clone()
    }

    /// What the configuration file says if its process is killed at `now`, or if the machine loses its power: a rewriting
    /// that has not come so far did not take place.
    pub fn left_behind(&self, now: Time, power_lost: bool) -> Persisted {
        let is_undone = |rewriting: &&Rewriting| now < if power_lost { rewriting.synced } else { rewriting.renamed };
        self.process.rewritings.iter().find(is_undone).map_or_else(|| self.persisted(), |undone| undone.before.clone())
    }

    /// How its disk is from now on.
    pub fn set_volume(&mut self, volume: Volume) {
        self.process.volume = volume;
    }

    /// The address that `SENTINEL GET-MASTER-ADDR-BY-NAME` answers (spec 11.7). Without a monitored master: the last
    /// address known.
    ///
    /// # Panics
    /// If the group was never heard of.
    pub fn believed_master(&self, group: GroupId) -> Addr {
        match self.monitor.masters.get(&group) {
            Some(master) => master.current_addr(),
            None => self
                .process
                .disk
                .masters
                .get(&group)
                .map_or_else(|| self.monitor.configured[&group], |master| master.addr),
        }
    }

    /// The epoch of the last election that this process won, by votes or by force.
    pub fn led_epoch(&self) -> Option<u32> {
        self.process.led_epoch
    }

    /// Its id.
    pub fn id(&self) -> RunId {
        self.process.id
    }

    /// `current-epoch`.
    pub fn current_epoch(&self) -> u32 {
        self.process.current_epoch
    }

    /// How many replicas and how many other Sentinels of a master it knows.
    pub fn knows(&self, group: GroupId) -> (usize, usize) {
        self.monitor.masters.get(&group).map_or((0, 0), |master| (master.slaves.len(), master.sentinels.len()))
    }
}

impl Monitor {
    /// Everything but the timer: what `aeProcessEvents` calls file events, and what a process is told otherwise.
    fn file_event(&mut self, input: Input, pass: &mut Pass<'_>) {
        match input {
            Input::Start => {
                pass.out.listen();
                self.start(pass);
            }
            Input::Accepted { sock, .. } => {
                let token = pass.process.attach(Owner::Client(sock));
                pass.out.accept(sock, token);
            }
            Input::Data { token, message } => self.read(token, message, pass),
            Input::ConnectFailed { token, .. } => self.lost(token, None, pass),
            Input::Ended { token, how } => self.lost(token, Some(how), pass),
            Input::Terminate => pass.process.terminating = true,
            Input::Command(Message::Command(command)) => {
                let reply = self.execute(command, pass);
                pass.out.answer(reply);
            }
            // A connect in progress counted as connected already (spec 4.3).
            Input::Connected { .. } | Input::Command(_) | Input::Timer(_) => {}
        }
    }

    /// Reads the file, makes the objects and says so (`initSentinel`, `sentinelIsRunning`; spec 18.4).
    fn start(&mut self, pass: &mut Pass<'_>) {
        let started = pass.out.now();
        pass.process.previous_time = pass.now();
        let file = pass.process.disk.masters.clone();
        let load = |(group, state)| (group, Box::new(Master::load(group, &state, pass)));
        self.masters = file.into_iter().map(load).collect();
        if self.first_start {
            self.flush(pass);
        }
        let id = pass.process.id;
        pass.log(|| SentinelEvent::Id(id));
        for master in self.masters.values() {
            let (who, quorum) = (master.own.who(master.own.addr), master.quorum);
            pass.log(|| SentinelEvent::Monitor(who, quorum));
        }
        pass.arm_first_tick(started);
    }

    /// `serverCron`, of which `sentinelTimer` is a part (spec 1.4, 1.5).
    fn tick(&mut self, pass: &mut Pass<'_>) {
        if pass.process.terminating {
            pass.out.log(|| Event::Text("User requested shutdown...".into()));
            pass.out.log(|| Event::Text("Sentinel is now ready to exit, bye bye...".into()));
            pass.exit();
            return;
        }
        tilt::check_condition(pass);
        for master in self.masters.values_mut() {
            master.handle(pass);
        }
        if !pass.process.exited {
            pass.arm_next_tick();
        }
    }

    fn read(&mut self, token: Token, message: Message, pass: &mut Pass<'_>) {
        let owner = pass.process.owner(token);
        match (owner, message) {
            (Owner::Client(sock), Message::Command(command)) => {
                if command == Command::Subscribe(ChannelId::SWITCH_MASTER) {
                    pass.process.listeners.push(sock);
                }
                let reply = self.execute(command, pass);
                pass.out.reply(sock, reply);
            }
            (Owner::Command(serial), Message::Reply(reply)) => {
                if let Some(master) = self.master_of(serial) {
                    master.command_reply(serial, reply, pass);
                }
            }
            (Owner::Pubsub(serial), Message::Push(_, Payload::Hello(hello))) => {
                let Some(master) = self.master_of(serial) else { return };
                master.pubsub_heard(serial, pass);
                // Own messages are skipped (`sentinelReceiveHelloMessages`).
                if hello.id != pass.process.id {
                    self.process_hello(hello, pass);
                }
            }
            (Owner::Pubsub(serial), Message::Reply(reply)) => {
                if let Some(master) = self.master_of(serial) {
                    master.pubsub_reply(serial, &reply, pass);
                }
            }
            _ => {}
        }
    }

    /// The master to which the object with a serial number belongs: the process numbers all of them.
    fn master_of(&mut self, serial: u32) -> Option<&mut Master> {
        self.masters.values_mut().map(|master| &mut **master).find(|master| master.find(serial).is_some())
    }

    /// A hello, about whichever master it is (`sentinelProcessHelloMessage`).
    fn process_hello(&mut self, hello: Hello, pass: &mut Pass<'_>) {
        if let Some(master) = self.masters.get_mut(&hello.group) {
            master.process_hello(hello, pass);
        }
    }

    /// A connection ended, or could not be opened.
    fn lost(&mut self, token: Token, how: Option<Ended>, pass: &mut Pass<'_>) {
        let owner = pass.process.owner(token);
        if owner == Owner::Free {
            return;
        }
        pass.process.detach(token);
        let sock = match owner {
            Owner::Client(sock) => {
                pass.process.listeners.retain(|listener| *listener != sock);
                Some(sock)
            }
            Owner::Command(serial) | Owner::Pubsub(serial) => {
                let conn = self.master_of(serial).and_then(|master| master.connection_lost(serial, owner));
                conn.map(|conn| conn.sock)
            }
            Owner::Free => None,
        };
        // After the peer's FIN this side is still open.
        if let (Some(sock), Some(Ended::Eof)) = (sock, how) {
            pass.out.close(sock);
        }
    }
}
