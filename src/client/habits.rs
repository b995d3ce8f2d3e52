//! What makes one client library differ from another: its limits, retries, pool and manners, as values.
//!
//! A row of [`super::library`] gives the [`Habits`] that a library has by default; the keys of a `[[client]]` change
//! single ones ([`Settings`]). The three programs of this room (`caller.rs`, `multiplexed.rs`, `listener.rs`) know
//! habits only, never a library's name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{Span, Stream};
use crate::program::KeepAlive;
use crate::units::Limit;

/// How long to wait before trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause, and what later ones are made of.
    pub base: Span,
    /// No pause is longer, jitter not counted where it is added.
    pub cap: Span,
    /// How pauses grow.
    pub grows: Growth,
    /// What is random about a pause.
    pub jitter: Jitter,
    /// Whether the first repeat comes at once; the pauses begin with the second.
    pub at_once: bool,
}

impl Backoff {
    /// No pause.
    pub const NONE: Backoff = Backoff::constant(Span::ZERO);

    /// Always the same pause.
    pub const fn constant(pause: Span) -> Backoff {
        Backoff { base: pause, cap: pause, grows: Growth::Constant, jitter: Jitter::None, at_once: false }
    }

    /// Whether pauses draw from a random stream.
    fn draws(&self) -> bool {
        !matches!(self.jitter, Jitter::None | Jitter::Seeded)
    }

    /// The pause before repeat `n`, which counts from 1 and begins anew after a success.
    pub(super) fn pause(&self, n: u32, stream: &mut Stream) -> Span {
        let n = if self.at_once { n.saturating_sub(1) } else { n };
        if n == 0 {
            return Span::ZERO;
        }
        let grown = match self.grows {
            Growth::Constant => self.base,
            Growth::Linear => Span(self.base.0.saturating_mul(u64::from(n))),
            Growth::Exponential => Span(self.base.0.saturating_mul(1 << (n - 1).min(40))),
        };
        // Far beyond any cap, and far below the end of the numbers.
        let grown = Span(grown.0.min(1 << 50));
        let below = if self.jitter == Jitter::Added { 2 * grown.0 } else { grown.0 + 1 };
        let drawn = if self.draws() { stream.below(below) } else { 0 };
        match self.jitter {
            Jitter::None => grown.min(self.cap),
            Jitter::Full => Span(drawn).min(self.cap),
            Jitter::Added => (self.base + Span(drawn)).min(self.cap),
            Jitter::Spread(most) => grown.min(self.cap) + Span(stream.below(most.0 + 1)),
            Jitter::Seeded => (grown + Span(seeded(n, grown.0))).min(self.cap),
        }
    }
}

/// How the pauses of a [`Backoff`] grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Growth {
    /// Not at all.
    #[default]
    Constant,
    /// By the first pause each time.
    Linear,
    /// Each is twice the one before.
    Exponential,
}

/// What is random about a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing.
    None,
    /// The pause is drawn evenly between nothing and what it would be.
    Full,
    /// To the first pause comes a number drawn below twice what the pause would be (go-redis's `RetryBackoff`: below
    /// `minBackoff << retry`, with `retry` from 1).
    Added,
    /// To the pause comes a number drawn up to this.
    Spread(Span),
    /// To the pause comes a share of it that a generator with a fixed seed gives: the same numbers in every process.
    /// redis-rs builds `backon` 1.6.0 without `std`, where `fastrand` is seeded with a constant (`RANDOM_SEED`).
    Seeded,
}

/// Number `n` (from 1) of `fastrand` seeded as `backon` does it, scaled to `of` (`fastrand::Rng::f32`, WyRand).
fn seeded(n: u32, of: u64) -> u64 {
    const SEED: u64 = 0x6261_636b_6f6e;
    const STEP: u64 = 0x2d35_8dcc_aa6c_78a5;
    const MIX: u64 = 0x8bb8_4b93_962e_acc9;
    let state = SEED.wrapping_add(STEP.wrapping_mul(u64::from(n)));
    let product = u128::from(state) * u128::from(state ^ MIX);
    let drawn = ((product as u64) ^ ((product >> 64) as u64)) >> 1;
    ((u128::from(drawn) * u128::from(of)) >> 63) as u64
}

/// What a library says to a server before a connection may be used, and who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Nothing: an open connection is ready.
    None,
    /// HELLO, CLIENT SETINFO or INFO; the answer has the time limit of a command.
    Command,
    /// The same, and the answer has to come within the connection's own limit.
    Connect,
}

/// What an error reply does to the connection that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReadonly {
    /// Nothing: the next command goes the same way.
    Keep,
    /// It is closed, and the caller gets the error.
    Close,
    /// It is closed, and the command is tried on another one.
    Retry,
}

/// After which failures a command is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// The connection ended.
    pub closed: bool,
    /// No reply within the command's limit.
    pub command_timeout: bool,
    /// No connection, or no answer to the greeting, within their limits.
    pub connect_timeout: bool,
    /// The connection was refused, or nobody could say where the master is.
    pub refused: bool,
}

impl RetryOn {
    /// After any.
    pub const ANY: RetryOn = RetryOn { closed: true, command_timeout: true, connect_timeout: true, refused: true };
}

/// Connections that are kept for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many there may be.
    pub size: u32,
    /// How long a command waits for a free one; none waits for ever.
    pub wait: Option<Span>,
    /// One that was not used for so long is closed instead of used.
    pub idle: Option<Span>,
    /// Whether it is looked at before use: one that the peer has closed is not used.
    pub check: bool,
}

impl Pool {
    /// A single connection.
    pub const ONE: Pool = Pool { size: 1, wait: None, idle: None, check: false };
}

/// In which order the Sentinels are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they are listed, every time from the first.
    #[default]
    Listed,
    /// As they are listed, but the one that answered last comes first.
    AnsweredFirst,
    /// All at once: the first answer counts, and a Sentinel that was reached is waited for. The one that answered is asked
    /// alone the next time.
    AllAtOnce,
    /// The one that led to the master is left out the next time: the others are asked, in the order in which it lists them
    /// (SENTINEL SENTINELS), which is that of its hash table.
    Others,
}

/// What `+switch-master` of a Sentinel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSwitch {
    /// Nobody listens.
    Ignored,
    /// Idle connections to other nodes than the new master are closed.
    ClosesIdle,
    /// All connections to other nodes than the new master are closed.
    ClosesAll,
}

/// How a library finds the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Whom it asks first.
    pub order: Order,
    /// Limit for a connection to a Sentinel.
    pub connect_timeout: Option<Span>,
    /// Limit for a Sentinel's answer.
    pub reply_timeout: Option<Span>,
    /// How often one Sentinel is asked again before the next one's turn.
    pub retries: u32,
    /// The pauses in between.
    pub backoff: Backoff,
    /// Whether they are asked once, and only switches change what is known.
    pub once: bool,
    /// Whether an address is refused whose master the Sentinel thinks is down.
    pub refuses_down: bool,
    /// Whether ROLE is asked of the node before it is used.
    pub verifies_role: bool,
    /// Whether a master that cannot be reached sends it to the next Sentinel, within the same attempt, until all were asked.
    pub tries_next: bool,
    /// What a switch does.
    pub on_switch: OnSwitch,
}

impl Asking {
    /// One Sentinel after the other, without limits and without checks.
    pub const PLAIN: Asking = Asking {
        order: Order::Listed,
        connect_timeout: None,
        reply_timeout: None,
        retries: 0,
        backoff: Backoff::NONE,
        once: false,
        refuses_down: false,
        verifies_role: false,
        tries_next: false,
        on_switch: OnSwitch::Ignored,
    };
}

/// What becomes of a command that is given while there is no connection, in a library with a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// It waits until there is one.
    Waits,
    /// It waits for the reconnection that is under way, and fails with it.
    WaitsForReconnect,
}

/// How a library keeps one connection for all its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplex {
    /// What happens without a connection.
    pub offline: Offline,
    /// Whether commands that were sent and not answered are sent again on the next connection.
    pub resends: bool,
    /// Whether it reconnects only when a command fails, and not when the connection ends.
    pub lazy: bool,
    /// Whether the first attempt to reconnect comes at once, and not after the first pause.
    pub at_once: bool,
    /// Attempts to connect before waiting commands fail; none goes on for ever.
    pub reconnects: Option<u32>,
    /// Every so many failed attempts, waiting commands fail.
    pub flush_every: Option<u32>,
    /// If commands time out and nothing was read for so long, the connection is closed.
    pub dead_after: Option<Span>,
}

/// The thread that looks after a subscriber's connection (`checked_listener.rs`): limits for what it does, from before it
/// waits for its turn; none waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// For a PING, and for the connection that it may need.
    pub ping: Option<Span>,
    /// For the reconnection after a PING that failed.
    pub reconnect: Option<Span>,
}

/// What a library does while it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Silence after which it gives the connection up; none listens for ever.
    pub read_timeout: Option<Span>,
    /// Whether the confirmation of SUBSCRIBE has the time limit of a command.
    pub confirms: bool,
    /// Silence after which it writes PING.
    pub ping_after: Option<Span>,
    /// How long it waits for the answer; none awaits none.
    pub ping_timeout: Option<Span>,
    /// A second thread writes the PING, and opens the connection if it finds none; none: there is no such thread.
    pub check: Option<Check>,
    /// Whether the program is told of the confirmation of SUBSCRIBE; if not, it takes a connection that is open for a subscription.
    pub tells_of_it: bool,
    /// How often the library itself opens the subscription again before the program hears of it.
    pub resumes: u32,
    /// The pauses in between.
    pub backoff: Backoff,
    /// The pause of the program before it begins again: 100 ms, as in the programs that were measured.
    pub pause: Span,
}

/// Everything in which one library differs from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// Limit for a connection.
    pub connect_timeout: Option<Span>,
    /// How often in a row a connection is tried.
    pub dials: u32,
    /// The pause in between.
    pub dial_pause: Span,
    /// Whether a client whose dials all failed is dead for good.
    pub dies: bool,
    /// What is said first.
    pub greeting: Greeting,
    /// Whether what is said first is a command like others, tried again on the connection that was just closed under it:
    /// that cannot help, and costs the pauses.
    pub greeting_repeats: bool,
    /// Whether a failure of what is said first is told as one of reading a reply.
    pub greeting_reads: bool,
    /// Limit for the reply to a command.
    pub command_timeout: Option<Span>,
    /// Whether a connection is closed whose reply came too late.
    pub timeout_closes: bool,
    /// How often a command is tried again.
    pub retries: u32,
    /// After what.
    pub retry_on: RetryOn,
    /// The pauses in between.
    pub backoff: Backoff,
    /// What READONLY does.
    pub on_readonly: OnReadonly,
    /// Its connections.
    pub pool: Pool,
    /// One connection for all commands, kept in the background; `pool` has no meaning then.
    pub multiplex: Option<Multiplex>,
    /// Silence on a multiplexed connection after which it writes PING.
    pub ping_after: Option<Span>,
    /// TCP keep-alive.
    pub keepalive: Option<KeepAlive>,
    /// TCP_USER_TIMEOUT: unacknowledged data for so long end the connection.
    pub tcp_user_timeout: Option<Span>,
    /// How it asks Sentinels.
    pub asking: Asking,
    /// As a subscriber.
    pub listening: Listening,
}

impl Habits {
    /// A client without limits, retries or checks: one blocking connection. Rows say in what a library differs from it.
    pub const BARE: Habits = Habits {
        connect_timeout: None,
        dials: 1,
        dial_pause: Span::ZERO,
        dies: false,
        greeting: Greeting::None,
        greeting_repeats: false,
        greeting_reads: false,
        command_timeout: None,
        timeout_closes: true,
        retries: 0,
        retry_on: RetryOn::ANY,
        backoff: Backoff::NONE,
        on_readonly: OnReadonly::Keep,
        pool: Pool::ONE,
        multiplex: None,
        ping_after: None,
        keepalive: None,
        tcp_user_timeout: None,
        asking: Asking::PLAIN,
        listening: Listening {
            read_timeout: None,
            confirms: false,
            ping_after: None,
            ping_timeout: None,
            check: None,
            tells_of_it: true,
            resumes: 0,
            backoff: Backoff::NONE,
            pause: Span::from_millis(100),
        },
    };
}

/// `backoff` of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BackoffSettings {
    /// The first pause.
    pub base: Span,
    /// The longest pause. Absent: there is no bound but ten minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<Span>,
    /// How pauses grow: "constant", "linear" or "exponential".
    #[serde(default)]
    pub grows: Growth,
    /// Whether each is drawn evenly between nothing and what it would be.
    #[serde(default)]
    pub jitter: bool,
}

impl BackoffSettings {
    fn value(self) -> Backoff {
        let jitter = if self.jitter { Jitter::Full } else { Jitter::None };
        let cap = self.cap.unwrap_or(Span::from_secs(600));
        Backoff { base: self.base, cap, grows: self.grows, jitter, at_once: false }
    }
}

/// `pool` of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PoolSettings {
    /// The most connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// How long a command waits for a free connection; "none": for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Limit>,
    /// A connection that was not used for so long is not used again; "none": it always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Limit>,
    /// Whether a connection is looked at before it is used: one that the peer has closed is replaced at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<bool>,
}

/// `keepalive` of a client: TCP's own probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeepAliveSettings {
    /// Silence before the first probe (TCP_KEEPIDLE); "none": there are no probes.
    pub idle: Limit,
    /// Time between probes (TCP_KEEPINTVL). Linux: 75s.
    #[serde(default = "KeepAliveSettings::interval")]
    pub interval: Span,
    /// Unanswered probes before the connection is dead (TCP_KEEPCNT). Linux: 9.
    #[serde(default = "KeepAliveSettings::count")]
    pub count: u32,
}

impl KeepAliveSettings {
    fn interval() -> Span {
        Span::from_secs(75)
    }

    fn count() -> u32 {
        9
    }

    fn value(self) -> Option<KeepAlive> {
        self.idle.0.map(|idle| KeepAlive { idle, interval: self.interval, count: self.count })
    }
}

/// `sentinels` of a client: how it asks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct AskingSettings {
    /// Whom it asks first: "listed", "answered-first", "all-at-once" or "others".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Limit for a connection to a Sentinel and again for its answer; "none": it waits for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Limit>,
    /// Whether it listens for `+switch-master` and then closes its connections to other nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_master: Option<bool>,
    /// Whether it asks ROLE of a node before it uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_role: Option<bool>,
    /// Whether it refuses the address of a master that the Sentinel thinks is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse_down: Option<bool>,
}

/// Habits that a `[[client]]` changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub(super) connect_timeout: Option<Limit>,
    pub(super) command_timeout: Option<Limit>,
    pub(super) retries: Option<u32>,
    pub(super) backoff: Option<BackoffSettings>,
    pub(super) pool: Option<PoolSettings>,
    pub(super) ping_after: Option<Limit>,
    pub(super) tcp_user_timeout: Option<Limit>,
    pub(super) keepalive: Option<KeepAliveSettings>,
    pub(super) sentinels: Option<AskingSettings>,
}

impl Settings {
    /// Lays these settings over the habits of a library, whose own rules (`follows`) say what one limit does to others.
    pub(super) fn over(&self, mut habits: Habits, follows: Follows) -> Habits {
        if let Some(limit) = self.command_timeout {
            habits.command_timeout = limit.0;
            if follows.connect {
                habits.connect_timeout = limit.0;
            }
            if follows.listening {
                habits.listening.read_timeout = limit.0;
            }
        }
        if let Some(limit) = self.connect_timeout {
            habits.connect_timeout = limit.0;
        }
        if let Some(retries) = self.retries {
            habits.retries = retries;
            if habits.listening.resumes != u32::MAX {
                habits.listening.resumes = retries;
            }
        }
        if let Some(backoff) = self.backoff {
            (habits.backoff, habits.listening.backoff) = (backoff.value(), backoff.value());
        }
        if let Some(pool) = self.pool {
            let own = &mut habits.pool;
            own.size = pool.size.unwrap_or(own.size);
            own.wait = pool.wait.map_or(own.wait, |limit| limit.0);
            own.idle = pool.idle.map_or(own.idle, |limit| limit.0);
            own.check = pool.check.unwrap_or(own.check);
        }
        if let Some(limit) = self.ping_after {
            habits.ping_after = limit.0;
            habits.listening.ping_after = limit.0;
            habits.listening.ping_timeout = habits.listening.ping_timeout.or(habits.command_timeout);
            habits.listening.check = None;
        }
        if let Some(limit) = self.tcp_user_timeout {
            habits.tcp_user_timeout = limit.0;
        }
        if let Some(keepalive) = self.keepalive {
            habits.keepalive = keepalive.value();
        }
        if let Some(asking) = self.sentinels {
            let own = &mut habits.asking;
            own.order = asking.order.unwrap_or(own.order);
            if let Some(limit) = asking.timeout {
                (own.connect_timeout, own.reply_timeout) = (limit.0, limit.0);
            }
            own.verifies_role = asking.verify_role.unwrap_or(own.verifies_role);
            own.refuses_down = asking.refuse_down.unwrap_or(own.refuses_down);
            if let Some(listens) = asking.switch_master {
                own.on_switch = if listens { OnSwitch::ClosesAll } else { OnSwitch::Ignored };
            }
        }
        habits
    }
}

/// Which limits of a library follow another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Follows {
    /// The connection's limit is the command's unless it is given.
    pub connect: bool,
    /// A subscriber that hears nothing for the command's limit gives up.
    pub listening: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Purpose;

    fn pauses(backoff: Backoff, count: u32) -> Vec<u64> {
        let mut stream = Stream::named(1, 1, Purpose::Program);
        (1..=count).map(|n| backoff.pause(n, &mut stream).0 / 1_000_000).collect()
    }

    #[test]
    fn pauses_grow_as_told() {
        let base = Backoff::constant(Span::from_millis(50));
        assert_eq!(pauses(base, 3), [50, 50, 50]);
        let linear = Backoff { grows: Growth::Linear, cap: Span::from_millis(120), at_once: true, ..base };
        assert_eq!(pauses(linear, 5), [0, 50, 100, 120, 120]);
        let exponential = Backoff { grows: Growth::Exponential, cap: Span::from_millis(150), ..base };
        assert_eq!(pauses(exponential, 4), [50, 100, 150, 150]);
        let jittered = Backoff { jitter: Jitter::Full, ..exponential };
        assert!(pauses(jittered, 50).iter().all(|pause| *pause <= 150));
        assert!(pauses(jittered, 50).windows(2).any(|two| two[0] != two[1]), "it is drawn");
    }

    #[test]
    fn the_seeded_jitter_is_that_of_backon() {
        // Computed from fastrand 2.5.0 with the seed of backon 1.6.0: 0.481, 0.948, 0.529, 0.618, 0.168, 0.603.
        let backoff = Backoff {
            base: Span::from_millis(100),
            cap: Span::from_secs(600),
            grows: Growth::Exponential,
            jitter: Jitter::Seeded,
            at_once: false,
        };
        assert_eq!(pauses(backoff, 6), [148, 389, 611, 1294, 1868, 5129]);
    }
}
