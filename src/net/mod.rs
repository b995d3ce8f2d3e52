//! The network: hosts, links, TCP as Linux behaves, and the contract between a program and the world.
//!
//! [`Net`] moves messages between programs. It owns no clock and no queue: the world hands it each of its events and
//! passes on what comes out. [`Input`] and [`Out`] are the contract that every program is written against.

mod io;
mod linux;
mod neighbour;
mod note;
mod pairs;
mod poll;
mod tcp;
#[cfg(test)]
mod tests;
mod topology;

pub use io::{
    Action, ConnectError, Ended, Handles, Input, KERNEL_BUFFER_BYTES, Out, PRESSED_FROM, Sock, TimerId, Token,
};
pub use linux::{BASE_REACHABLE_TIME, JIFFY, TimerWheel};
pub use note::{Candidate, Candidates, FailoverStep, Note, Noted, OtherSentinel, SentinelTick, SessionEnd};
pub use poll::LoopTimer;
pub use tcp::{Context, Delivery, KeepAlive, Net, NetEvent, Obstacle};
pub use topology::{Link, Topology};
