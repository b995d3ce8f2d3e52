//! The behaviour of a whole HAProxy, by the paragraphs of docs/behaviour/haproxy.md.

mod check;
mod order;
mod session;

use proptest::prelude::*;

use super::testing::{Behaviour, Close, Lab, publish};
use super::{Config, OnMarkedDown, OnMarkedUp};
use crate::kernel::{Span, Time};
use crate::record::{CheckStatus, HaproxyEvent, Names};
use crate::wire::{Message, Reply};

const STACK: [Behaviour; 3] = [Behaviour::Master, Behaviour::Replica, Behaviour::Replica];

fn ms(n: u64) -> Span {
    Span::from_millis(n)
}

/// The demo's stack, ten seconds after its start.
fn settled(config: Config) -> Lab {
    let mut lab = Lab::new(config, &STACK);
    lab.run_for(Span::from_secs(10));
    lab
}

/// Asserts that something took `expected` to `expected + late` after `since`.
#[track_caller]
fn assert_took(since: Time, at: Time, expected: Span, late: Span) {
    let took = at.since(since);
    assert!(took >= expected && took <= expected + late, "took {took}, not {expected} and at most {late} more");
}

#[track_caller]
fn closed(lab: &Lab, peer: usize) -> (Time, Close) {
    lab.peers[peer].closed.expect("it is closed")
}

fn texts(lab: &Lab, peer: usize) -> Vec<Message> {
    lab.peers[peer].got.iter().map(|(_, message)| message.clone()).collect()
}

/// A settled stack with one open session: the client's and the server's end.
fn open_session(config: Config) -> (Lab, usize, usize) {
    let mut lab = settled(config);
    let client = lab.client();
    lab.run_for(ms(10));
    let session = lab.sessions_at(0)[0];
    (lab, client, session)
}
