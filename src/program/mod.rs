//! The contract between a program and the world.
//!
//! A program (a Redis node, a Sentinel, HAProxy, a client) is a state machine without I/O. The world calls its
//! `handle(input, out)`; the program changes its state and says in [`Out`] what it wants done: sends, connects, timers,
//! log lines. It reads no clock but [`Out::now`], and nothing happens while it is not called. One call is one pass of
//! the real program's event loop: what it sends leaves at the end of the pass, after the time it said it worked
//! ([`Out::work`]); log lines carry the moment inside the pass at which they were written. While it works or is stopped, inputs
//! wait in their order, and sockets come before timers, as in `aeProcessEvents`.
//!
//! Connections are named twice. The world names an endpoint with a [`Sock`]; the program attaches a [`Token`] of its own
//! choice (an index into its tables, as with epoll's user data) and finds it again in every input. After a program has
//! closed a socket it hears of it no more.
//!
//! Whoever calls programs (the world, a test) holds the [`Desk`]:
//!
//! ```
//! use sim::kernel::{EventId, Span, Time};
//! use sim::program::{Action, Desk, Input, Out, TimerId};
//! use sim::wire::NodeId;
//!
//! /// Rings once a second.
//! fn handle(input: Input, out: &mut Out) {
//!     if let Input::Start | Input::Timer(_) = input {
//!         out.set_timer(TimerId(0), out.now() + Span::from_secs(1));
//!     }
//! }
//!
//! let mut desk = Desk::new(true);
//! handle(Input::Start, desk.begin(Time(5), NodeId(0), EventId(0), 0));
//! assert_eq!(desk.take_actions(), [Action::SetTimer(TimerId(0), Time(1_000_000_005))]);
//! ```

mod handles;
mod io;
mod note;
mod out;
mod poll;
#[cfg(test)]
pub(crate) mod testing;

pub use handles::{Handles, KERNEL_BUFFER_BYTES, PRESSED_FROM};
pub use io::{Action, ConnectError, Ended, Input, KeepAlive, Sock, TimerId, Token, Volume};
pub use note::{Candidate, Candidates, FailoverStep, Note, Noted, OtherSentinel, SentinelTick, SessionEnd};
pub use out::{Desk, Out};
pub use poll::LoopTimer;
