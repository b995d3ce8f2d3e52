//! What happens to a program, and what it wants done.

use crate::kernel::{Span, Time};
use crate::wire::{Addr, Ip, Message};

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

/// How the disk is on which a program's files lie, beyond what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// One `fsync` takes at least so long.
    pub fsync: Span,
    /// There is no room on it.
    pub full: bool,
}

impl Volume {
    /// How long so many `fsync` calls take, one after the other, that usually take `usual`.
    pub fn fsyncs(self, count: u64, usual: Span) -> Span {
        usual.max(self.fsync * count)
    }
}

/// What happens to a program.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The process begins to run. Always the first input; the program was just constructed.
    Start,
    /// Somebody connected to the program's port. The program must call `Out::accept` or close it.
    Accepted {
        /// The new endpoint.
        sock: Sock,
        /// The address at the other end.
        from: Ip,
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
    /// A command that comes over no connection, as if typed into `redis-cli`: [`Out::answer`](super::Out::answer) answers it.
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

/// Keep-alive settings of a program's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe.
    pub idle: Span,
    /// Between probes.
    pub interval: Span,
    /// Unanswered probes before the connection is dead.
    pub count: u32,
}
