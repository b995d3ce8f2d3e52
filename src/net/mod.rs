//! The network: hosts, links, and TCP as Linux behaves.
//!
//! [`Net`] moves messages between programs. It owns no clock and no queue: the world hands it each of its events and
//! passes on what comes out.

mod addresses;
mod linux;
mod neighbour;
mod pairs;
mod tcp;
#[cfg(test)]
mod tests;
mod topology;

pub use linux::{BASE_REACHABLE_TIME, JIFFY, TimerWheel};
pub use tcp::{Context, Delivery, Net, NetEvent, Obstacle};
pub use topology::{Link, Topology};
