//! The network: hosts, links, TCP as Linux behaves, and the contract between a program and the world.

mod io;

pub use io::{Action, ConnectError, Ended, Handles, Input, KERNEL_BUFFER_BYTES, Out, Sock, TimerId, Token};
