//! The table of clients: connections that others opened to this server.

use super::roster::Roster;
use crate::kernel::Time;
use crate::program::{Sock, Token};
use crate::wire::{Addr, ChannelId, ClientType, Command, Ip, ReplicaState};

/// The place of a client in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub u32);

impl Slot {
    /// The name of the client's socket. Number 0 is the link to the master.
    pub(super) fn token(self) -> Token {
        Token(self.0 + 1)
    }

    /// The client whose socket has this name.
    pub(super) fn of(token: Token) -> Slot {
        Slot(token.0 - 1)
    }
}

/// Commands queued between MULTI and EXEC.
#[derive(Clone, Debug, Default)]
pub(super) struct Transaction {
    /// In their order.
    pub queue: Vec<Command>,
    /// A command was refused: EXEC aborts (`flagTransaction`).
    pub dirty: bool,
}

/// Why a client's input is not read (`blockClient`).
#[derive(Clone, Debug)]
pub(super) enum Blocked {
    /// WAIT.
    Wait {
        /// The offset that must have been acknowledged.
        offset: u64,
        /// By how many replicas.
        replicas: u32,
        /// When it gives up.
        deadline: Time,
    },
    /// A command during a pause; it is the first of the waiting input.
    Postponed,
    /// SHUTDOWN, waiting for replicas.
    Shutdown,
    /// EVAL: its script runs.
    Script,
}

/// What a replica gets on one of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Everything: it has but this one.
    Both,
    /// The stream, while its file comes on another.
    Stream,
    /// The file alone.
    File,
}

/// A client that sent PSYNC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attached {
    /// What it gets here.
    pub lane: Lane,
    /// `replstate`.
    pub state: ReplicaState,
    /// `repl_ack_off`: the greatest acknowledged offset.
    pub ack_offset: u64,
    /// `repl_ack_time`, seconds of the wall clock.
    pub ack_time: i64,
    /// The offset up to which the stream was written to it.
    pub sent: u64,
    /// Whether the stream is written as it comes. Otherwise it is kept: during the transfer of the RDB, and until the
    /// first ACK after a diskless one (spec 26.5).
    pub streaming: bool,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// With which it leaves the list of clients.
    pub ticket: u64,
    /// None for the command that a fault script gives.
    pub sock: Option<Sock>,
    /// Counts connections; appears in log lines.
    pub id: u64,
    /// The host at the other end.
    pub from: Ip,
    /// Channels subscribed to.
    pub channels: Vec<(ChannelId, u64)>,
    /// Patterns subscribed to, each of which matches one channel.
    pub patterns: Vec<(ChannelId, u64)>,
    /// Between MULTI and EXEC.
    pub transaction: Option<Box<Transaction>>,
    /// Not read from.
    pub blocked: Option<Blocked>,
    /// Input that waits until the client is no longer blocked.
    pub waiting_input: Vec<Command>,
    /// `woff`: the offset after the client's last write.
    pub write_offset: u64,
    /// What REPLCONF listening-port told.
    pub listening_port: Option<u16>,
    /// It said that it can get its file on a connection of its own.
    pub takes_channel: bool,
    /// It is such a connection: for the client with this number.
    pub file_for: Option<u64>,
    /// Since it sent PSYNC.
    pub attached: Option<Attached>,
    /// `lastinteraction`, seconds of the wall clock.
    pub last_interaction: i64,
    /// `obuf_soft_limit_reached_time`.
    pub soft_limit_since: Option<i64>,
    /// To be closed before the loop sleeps.
    pub close_asap: bool,
}

impl Client {
    /// `getClientType`.
    pub(super) fn kind(&self) -> ClientType {
        if self.attached.is_some() {
            ClientType::Replica
        } else if self.subscriptions() > 0 {
            ClientType::Pubsub
        } else {
            ClientType::Normal
        }
    }

    /// Channels and patterns together: what a confirmation counts.
    pub(super) fn subscriptions(&self) -> u32 {
        (self.channels.len() + self.patterns.len()) as u32
    }

    /// The address that a replica serves, as log lines name it.
    pub(super) fn replica_addr(&self) -> Addr {
        Addr::new(self.from, self.listening_port.unwrap_or(0))
    }
}

/// All clients. Slots are used again; `order` keeps the order of connection.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    slots: Vec<Option<Client>>,
    free: Vec<u32>,
    order: Roster,
    next_id: u64,
}

impl Default for Clients {
    fn default() -> Clients {
        // Two internal clients (Lua, functions) take the first numbers: recordings show #3 as the first connection.
        Clients { slots: Vec::new(), free: Vec::new(), order: Roster::default(), next_id: 3 }
    }
}

impl Clients {
    /// The hosts at the other ends, one a connection.
    pub(super) fn peers(&self) -> impl Iterator<Item = Ip> {
        self.slots.iter().flatten().map(|client| client.from)
    }

    /// A number for a new client, also for the link to the master.
    pub(super) fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// A new client.
    pub(super) fn add(&mut self, sock: Option<Sock>, from: Ip, unixtime: i64) -> Slot {
        let id = self.take_id();
        let slot = Slot(self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        }));
        let client = Client {
            ticket: self.order.join(slot),
            sock,
            id,
            from,
            channels: Vec::new(),
            patterns: Vec::new(),
            transaction: None,
            blocked: None,
            waiting_input: Vec::new(),
            write_offset: 0,
            listening_port: None,
            takes_channel: false,
            file_for: None,
            attached: None,
            last_interaction: unixtime,
            soft_limit_since: None,
            close_asap: false,
        };
        assert!(self.slots[slot.0 as usize].is_none(), "a free slot is empty");
        self.slots[slot.0 as usize] = Some(client);
        slot
    }

    /// Removes a client.
    pub(super) fn remove(&mut self, slot: Slot) -> Client {
        let client = self.slots[slot.0 as usize].take().expect("a client is removed once");
        self.order.leave(client.ticket);
        self.free.push(slot.0);
        client
    }

    /// The client, if it still exists.
    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Client> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// The client, if it still exists.
    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Client> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }

    /// The replica's part of a client that is one.
    ///
    /// # Panics
    /// If it is none.
    #[inline]
    pub(super) fn attached_mut(&mut self, slot: Slot) -> &mut Attached {
        self.get_mut(slot).and_then(|client| client.attached.as_mut()).expect("the list of replicas holds replicas")
    }

    /// The replica's part of a client that is one.
    ///
    /// # Panics
    /// If it is none.
    #[inline]
    pub(super) fn attached(&self, slot: Slot) -> &Attached {
        self.get(slot).and_then(|client| client.attached.as_ref()).expect("the list of replicas holds replicas")
    }

    /// All slots, in the order of connecting (`server.clients`).
    pub(super) fn order(&self) -> impl Iterator<Item = Slot> {
        self.order.iter()
    }

    /// How many places that order has; some may be empty.
    pub(super) fn places(&self) -> usize {
        self.order.places()
    }

    /// Who stands at a place of that order.
    #[inline]
    pub(super) fn at(&self, place: usize) -> Option<Slot> {
        self.order.at(place)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
