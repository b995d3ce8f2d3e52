//! The contract between a program and the world.
//!
//! A program (a Redis node, a Sentinel, HAProxy, a client) is a state machine without I/O. The world calls its
//! `handle(input, out)`; the program changes its state and says in [`Out`] what it wants done: sends, connects, timers,
//! log lines. It reads no clock but [`Out::now`], and nothing happens while it is not called. One call is one pass of
//! the real program's event loop: what it sends leaves at the end of the pass, after the time it said it worked
//! ([`Out::work`]); log lines carry the moment inside the pass at which they were written.
//!
//! Connections are named twice. The world names an endpoint with a [`Sock`]; the program attaches a [`Token`] of its own
//! choice (an index into its tables, as with epoll's user data) and finds it again in every input. After a program has
//! closed a socket it hears of it no more.

use super::note::{Note, Noted};
use crate::kernel::{EventId, Span, Time};
use crate::record::{Event, Op, Record, What};
use crate::release::Dialect;
use crate::wire::{Addr, HostId, Message, NodeId, Reply};

/// An endpoint of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sock {
    /// Slot in the table of endpoints.
    pub index: u32,
    /// Which use of the slot.
    pub generation: u32,
}

/// The program's own name for a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u32);

/// The program's own name for a timer: a small number, used as an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u32);

/// Why a connection could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// RST: the host lives, nobody listens.
    Refused,
    /// The address has no neighbour: `EHOSTUNREACH`.
    Unreachable,
    /// The kernel gave up repeating the SYN: `ETIMEDOUT`.
    TimedOut,
}

/// How an open connection ended, seen from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer sent FIN: nothing more will come, but writing is still possible until it answers with RST.
    Eof,
    /// The peer sent RST.
    Reset,
    /// The kernel gave up retransmitting: `ETIMEDOUT`.
    TimedOut,
}

/// What happens to a program.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The process begins to run. Always the first input; the program was just constructed.
    Start,
    /// Somebody connected to the program's port. The program must call [`Out::accept`] or close it.
    Accepted {
        /// The new endpoint.
        sock: Sock,
        /// The host at the other end.
        from: HostId,
    },
    /// A connect of this program succeeded.
    Connected {
        /// The program's name for it.
        token: Token,
    },
    /// A connect of this program failed; the socket is gone.
    ConnectFailed {
        /// The program's name for it.
        token: Token,
        /// Why.
        error: ConnectError,
    },
    /// Something was read.
    Data {
        /// On which socket.
        token: Token,
        /// What.
        message: Message,
    },
    /// The connection ended from the other side. After [`Ended::Eof`] the program still has to close its own side; after
    /// the other two the socket is gone.
    Ended {
        /// Which.
        token: Token,
        /// How.
        how: Ended,
    },
    /// A timer is due. It is no longer set.
    Timer(TimerId),
    /// SIGTERM.
    Terminate,
    /// A command that the fault script gives to this node, as if typed into `redis-cli`; the answer goes nowhere.
    Command(Message),
}

impl Input {
    /// A word that tells this input from others, for the digest of a run.
    #[inline]
    pub fn word(&self) -> u64 {
        match self {
            Input::Start => 1 << 48,
            Input::Accepted { sock, .. } => sock.index as u64 ^ (2 << 48),
            Input::Connected { token } => token.0 as u64 ^ (3 << 48),
            Input::ConnectFailed { token, error } => token.0 as u64 ^ (*error as u64) << 32 ^ (4 << 48),
            Input::Data { token, message } => message.word() ^ ((token.0 as u64) << 24) ^ (5 << 48),
            Input::Ended { token, how } => token.0 as u64 ^ (*how as u64) << 32 ^ (6 << 48),
            Input::Timer(timer) => timer.0 as u64 ^ (7 << 48),
            Input::Terminate => 8 << 48,
            Input::Command(message) => message.word() ^ (9 << 48),
        }
    }
}

/// What a program wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start to connect.
    Connect {
        /// The new endpoint.
        sock: Sock,
        /// Where to.
        to: Addr,
        /// The program's name for it.
        token: Token,
    },
    /// Name an accepted connection.
    Accept {
        /// Which.
        sock: Sock,
        /// The program's name for it.
        token: Token,
    },
    /// Write a message.
    Send {
        /// Where.
        sock: Sock,
        /// What.
        message: Message,
    },
    /// `close()`: FIN after what was written; RST if something arrived that was not read.
    Close(Sock),
    /// `close()` with SO_LINGER 0: RST at once, unsent data is discarded.
    Reset(Sock),
    /// `shutdown(SHUT_WR)`: FIN, but go on reading.
    ShutdownWrite(Sock),
    /// What is read from one socket is written to another: not read while the program's buffer between them is full.
    Relay {
        /// Read.
        from: Sock,
        /// Written.
        to: Sock,
        /// Size of the buffer.
        room_bytes: u32,
    },
    /// Set a timer, replacing an earlier setting.
    SetTimer(TimerId, Time),
    /// Clear a timer.
    ClearTimer(TimerId),
    /// Listen on the node's address from now on.
    Listen,
    /// The process ends by itself. Its sockets are closed by the kernel.
    Exit,
}

/// What the kernel can hold for one direction of a connection that is cut or slow while its reader reads, in bytes: send buffer
/// and receive buffer at their automatic maxima (`tcp_wmem` 4 MiB, `tcp_rmem` 6 MiB; about 8 MB were measured through a
/// proxy, spec T22.2). Where the reader does not read, `tcp/flow.rs` counts.
pub const KERNEL_BUFFER_BYTES: u64 = 8 << 20;

/// From so many unread bytes of one direction on it is looked at whether its reader reads. Before that, no buffer of either
/// kernel can be full: the smallest, a send buffer, takes 46 080 bytes (`tcp_init_buffer_space`).
pub const PRESSED_FROM: u64 = 8_192;

#[derive(Clone, Debug, Default)]
struct Slot {
    generation: u32,
    in_use: bool,
    /// Bytes written here and not yet read by the program at the other end.
    queued_bytes: u64,
    /// More queued bytes than this are worth a look: [`PRESSED_FROM`], or 0 where the reader does not read.
    look_from: u64,
    /// Where the reader does not read: bytes that the kernel has not taken.
    backlog_bytes: u64,
}

/// Allocates endpoints and counts the bytes that lie between writer and reader.
#[derive(Clone, Debug, Default)]
pub struct Handles {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Handles {
    /// A new endpoint.
    pub fn allocate(&mut self) -> Sock {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.in_use = true;
        (slot.queued_bytes, slot.look_from, slot.backlog_bytes) = (0, PRESSED_FROM, 0);
        Sock { index, generation: slot.generation }
    }

    /// Gives an endpoint back.
    ///
    /// # Panics
    /// If it is not in use.
    pub fn release(&mut self, sock: Sock) {
        let slot = &mut self.slots[sock.index as usize];
        assert!(slot.in_use && slot.generation == sock.generation, "an endpoint is released once");
        slot.in_use = false;
        slot.generation += 1;
        self.free.push(sock.index);
    }

    /// Whether this endpoint still exists.
    #[inline]
    pub fn is_live(&self, sock: Sock) -> bool {
        let slot = &self.slots[sock.index as usize];
        slot.in_use && slot.generation == sock.generation
    }

    /// The number of slots ever used at once.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Bytes are on their way from `sock`. Whether there are so many that it matters who reads them.
    #[inline]
    pub fn written(&mut self, sock: Sock, bytes: u64) -> bool {
        let slot = &mut self.slots[sock.index as usize];
        slot.queued_bytes += bytes;
        slot.queued_bytes > slot.look_from
    }

    /// Bytes from `sock` were read at the other end, or discarded. Whether they had been in the way of others.
    #[inline]
    pub fn consumed(&mut self, sock: Sock, bytes: u64) -> bool {
        if !self.is_live(sock) {
            return false;
        }
        let slot = &mut self.slots[sock.index as usize];
        slot.queued_bytes = slot.queued_bytes.saturating_sub(bytes);
        slot.look_from == 0
    }

    /// Bytes written to `sock` and not read at the other end.
    pub fn unread_bytes(&self, sock: Sock) -> u64 {
        self.slots[sock.index as usize].queued_bytes
    }

    /// Bytes written to `sock` that are still in its program.
    #[inline]
    pub fn output_buffer_bytes(&self, sock: Sock) -> u64 {
        let slot = &self.slots[sock.index as usize];
        match slot.look_from {
            0 => slot.backlog_bytes,
            _ => slot.queued_bytes.saturating_sub(KERNEL_BUFFER_BYTES),
        }
    }

    /// The reader of what is written to `sock` does not read.
    pub fn press(&mut self, sock: Sock) {
        self.slots[sock.index as usize].look_from = 0;
    }

    /// So many of the bytes written to `sock` were not taken by the kernel.
    pub fn set_backlog(&mut self, sock: Sock, bytes: u64) {
        self.slots[sock.index as usize].backlog_bytes = bytes;
    }

    /// All that was written to `sock` has been read.
    pub fn release_pressure(&mut self, sock: Sock) {
        let slot = &mut self.slots[sock.index as usize];
        (slot.look_from, slot.backlog_bytes) = (PRESSED_FROM, 0);
    }
}

/// Collects what one call of a program wants done.
#[derive(Clone, Debug)]
pub struct Out {
    now: Time,
    worked: Span,
    wall_offset_ns: i64,
    node: NodeId,
    during: EventId,
    /// The words of what is logged.
    dialect: Dialect,
    recording: bool,
    #[cfg(any(test, feature = "mistakes"))]
    mistake: Option<crate::mistake::Mistake>,
    actions: Vec<Action>,
    /// Messages that this call has sent.
    sends: u32,
    records: Vec<Record>,
    /// Why programs decided as they did, if somebody traces.
    notes: Option<Vec<Noted>>,
    /// The answer to a command that came over no connection.
    answer: Option<Reply>,
    /// Endpoint allocation, shared with the network.
    pub handles: Handles,
}

impl Out {
    /// An empty collector. With `recording` off, log lines are not even built.
    pub fn new(recording: bool) -> Out {
        Out {
            now: Time::ZERO,
            worked: Span::ZERO,
            wall_offset_ns: 0,
            node: NodeId(0),
            during: EventId(0),
            dialect: Dialect::default(),
            recording,
            #[cfg(any(test, feature = "mistakes"))]
            mistake: None,
            actions: Vec::with_capacity(16),
            sends: 0,
            records: Vec::new(),
            notes: None,
            answer: None,
            handles: Handles::default(),
        }
    }

    /// Plants a mistake in whatever is called from now on.
    #[cfg(any(test, feature = "mistakes"))]
    pub fn plant(&mut self, mistake: Option<crate::mistake::Mistake>) {
        self.mistake = mistake;
    }

    /// Whether a model shall make this mistake: never but in tests.
    #[inline(always)]
    pub fn mistaken(&self, mistake: crate::mistake::Mistake) -> bool {
        #[cfg(any(test, feature = "mistakes"))]
        return self.mistake == Some(mistake);
        #[cfg(not(any(test, feature = "mistakes")))]
        {
            let _ = mistake;
            false
        }
    }

    /// Begins a call for `node` at `now`, whose wall clock is off by `wall_offset_ns`.
    pub fn begin(&mut self, now: Time, node: NodeId, during: EventId, wall_offset_ns: i64) {
        assert!(self.actions.is_empty(), "the actions of the last call were carried out");
        self.now = now;
        self.worked = Span::ZERO;
        self.sends = 0;
        self.node = node;
        self.during = during;
        self.dialect = Dialect::default();
        self.wall_offset_ns = wall_offset_ns;
    }

    /// The moment inside this call: when it began, plus the work done so far.
    #[inline]
    pub fn now(&self) -> Time {
        self.now + self.worked
    }

    /// The program's wall clock in whole milliseconds, truncated (`mstime()`); it jumps when the script says so.
    #[inline]
    pub fn wall_ms(&self) -> i64 {
        // A million seconds keep the clock positive after any jump backwards.
        (self.now().0 as i64 + self.wall_offset_ns).div_euclid(1_000_000) + 1_000_000_000
    }

    /// The program is busy for `span`: nothing else is handled meanwhile, and what it sends leaves afterwards.
    #[inline]
    pub fn work(&mut self, span: Span) {
        self.worked += span;
    }

    /// How long the program worked in this call.
    #[inline]
    pub fn worked(&self) -> Span {
        self.worked
    }

    /// Opens a connection to `to`; the outcome arrives as [`Input::Connected`] or [`Input::ConnectFailed`].
    pub fn connect(&mut self, to: Addr, token: Token) -> Sock {
        let sock = self.handles.allocate();
        self.actions.push(Action::Connect { sock, to, token });
        sock
    }

    /// Names an accepted connection.
    pub fn accept(&mut self, sock: Sock, token: Token) {
        self.actions.push(Action::Accept { sock, token });
    }

    /// Writes a message. Data written before the connect succeeds waits for it.
    #[inline]
    pub fn send(&mut self, sock: Sock, message: Message) {
        self.sends += 1;
        self.actions.push(Action::Send { sock, message });
    }

    /// Writes a command.
    #[inline]
    pub fn command(&mut self, sock: Sock, command: crate::wire::Command) {
        self.send(sock, Message::Command(command));
    }

    /// Writes a reply.
    #[inline]
    pub fn reply(&mut self, sock: Sock, reply: Reply) {
        self.send(sock, Message::Reply(reply));
    }

    /// Answers a command that came over no connection.
    pub fn answer(&mut self, reply: Reply) {
        self.answer = Some(reply);
    }

    /// The last such answer.
    pub fn last_answer(&self) -> Option<&Reply> {
        self.answer.as_ref()
    }

    /// The last such answer, once.
    pub fn take_answer(&mut self) -> Option<Reply> {
        self.answer.take()
    }

    /// Takes back what this call has written to `sock`: a real program's output buffer, dropped before it was flushed.
    pub fn discard(&mut self, sock: Sock) {
        if self.sends > 0 {
            self.actions.retain(|action| !matches!(action, Action::Send { sock: to, .. } if *to == sock));
        }
    }

    /// Closes a socket. The program hears of it no more.
    pub fn close(&mut self, sock: Sock) {
        self.actions.push(Action::Close(sock));
    }

    /// Resets a connection. The program hears of it no more.
    pub fn reset(&mut self, sock: Sock) {
        self.actions.push(Action::Reset(sock));
    }

    /// Sends FIN but goes on reading.
    pub fn shutdown_write(&mut self, sock: Sock) {
        self.actions.push(Action::ShutdownWrite(sock));
    }

    /// Sets a timer for `at`, replacing its earlier setting.
    #[inline]
    pub fn set_timer(&mut self, timer: TimerId, at: Time) {
        self.actions.push(Action::SetTimer(timer, at));
    }

    /// Clears a timer.
    pub fn clear_timer(&mut self, timer: TimerId) {
        self.actions.push(Action::ClearTimer(timer));
    }

    /// Listens on the node's address from now on.
    pub fn listen(&mut self) {
        self.actions.push(Action::Listen);
    }

    /// Ends the process.
    pub fn exit(&mut self) {
        self.actions.push(Action::Exit);
    }

    /// What is read from `from` is written to `to`: it is not read while `room_bytes` of it could not be written.
    pub fn relay(&mut self, from: Sock, to: Sock, room_bytes: u32) {
        self.actions.push(Action::Relay { from, to, room_bytes });
    }

    /// Bytes written to `sock` that neither the peer nor the kernel's buffers have taken: the program's own output
    /// buffer.
    #[inline]
    pub fn output_buffer_bytes(&self, sock: Sock) -> u64 {
        self.handles.output_buffer_bytes(sock)
    }

    /// The words of the log lines of this call; those of the reference stack if nothing is said.
    #[inline]
    pub fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Writes a log line. The closure runs only if somebody records.
    #[inline]
    pub fn log(&mut self, event: impl FnOnce() -> Event) {
        if self.recording {
            let (time, node, during, dialect) = (self.now(), self.node, self.during, self.dialect);
            self.records.push(Record { time, node, during, dialect, what: What::Event(event()) });
        }
    }

    /// Keeps notes from now on.
    pub fn keep_notes(&mut self) {
        self.notes = Some(Vec::new());
    }

    /// Whether notes are kept.
    #[inline]
    pub fn is_noting(&self) -> bool {
        self.notes.is_some()
    }

    /// Says why something was decided. The closure runs only if somebody traces.
    #[inline]
    pub fn note(&mut self, note: impl FnOnce() -> Note) {
        if self.notes.is_some() {
            self.write_note(note);
        }
    }

    /// Apart from [`Out::note`], so that the making of notes stays out of the functions that may write one.
    #[cold]
    #[inline(never)]
    fn write_note(&mut self, note: impl FnOnce() -> Note) {
        let noted = Noted { time: self.now(), node: self.node, during: self.during, note: note() };
        self.notes.get_or_insert_default().push(noted);
    }

    /// The notes so far.
    pub fn notes(&self) -> &[Noted] {
        self.notes.as_deref().unwrap_or_default()
    }

    /// Takes the notes so far.
    pub fn take_notes(&mut self) -> Vec<Noted> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What this call wants done so far.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Records what a client did, beginning at `time`.
    #[inline]
    pub fn op(&mut self, time: Time, op: Op) {
        if self.recording {
            let (node, during, dialect) = (self.node, self.during, Dialect::default());
            self.records.push(Record { time, node, during, dialect, what: What::Op(op) });
        }
    }

    /// Whether anybody records.
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    /// Takes the actions of this call.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Gives the emptied list of actions back, to be used again.
    pub fn recycle(&mut self, mut actions: Vec<Action>) {
        actions.clear();
        self.actions = actions;
    }

    /// The records so far.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Takes the records so far.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Adds a record that the world itself writes.
    pub fn push_record(&mut self, record: Record) {
        if self.recording {
            self.records.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_moves_the_moment_inside_a_call() {
        let mut out = Out::new(true);
        out.begin(Time(5_000_000), NodeId(1), EventId(1), 0);
        let before = out.wall_ms();
        out.work(Span::from_millis(2));
        assert_eq!(out.now(), Time(7_000_000));
        assert_eq!(out.wall_ms() - before, 2);
    }

    #[test]
    fn a_released_endpoint_is_dead_and_its_slot_is_used_again() {
        let mut handles = Handles::default();
        let first = handles.allocate();
        handles.release(first);
        let second = handles.allocate();
        assert_eq!(first.index, second.index);
        assert!(!handles.is_live(first) && handles.is_live(second));
    }
}
