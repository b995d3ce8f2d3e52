//! FAILOVER.

use super::*;
use crate::wire::FailoverCommand;

fn begin(to: Option<usize>, force: bool, timeout_ms: Option<u64>) -> Command {
    let timeout = timeout_ms.map(Span::from_millis);
    Command::Failover(Box::new(FailoverCommand::Begin { to: to.map(addr), force, timeout }))
}

fn abort() -> Command {
    Command::Failover(Box::new(FailoverCommand::Abort))
}

fn said(words: &'static str) -> Option<Reply> {
    Some(Reply::Error(ErrorKind::Said(words)))
}

/// Nothing a replica writes arrives at the master: it is stopped for so long.
fn stop(net: &mut Net, node: usize, span: Span) {
    let client = net.client(node);
    net.send(client, Command::DebugSleep(span));
    net.run(1);
}

#[test]
fn the_target_takes_the_role_with_all_that_was_written() {
    let mut net = Net::synced(2);
    let (operator, writer) = (net.client(0), net.client(0));
    let before = net.now();
    assert_eq!(net.ask(writer, set(1)), Some(Reply::Ok));
    assert_eq!(net.ask(operator, begin(Some(1), false, Some(5_000))), Some(Reply::Ok));
    assert_eq!(net.ask(operator, begin(None, false, None)), said("FAILOVER already in progress."));
    assert_eq!(net.ask(operator, Command::ReplicaOf(None)), said("REPLICAOF not allowed while failing over."));
    assert_eq!(net.ask(writer, set(2)), None, "writes wait");
    net.run(1_200);
    assert_eq!((net.node(0).role(), net.node(1).role()), (Role::Slave, Role::Master));
    assert_eq!(net.inbox[writer].last(), Some(&crate::wire::Message::Reply(Reply::Error(ErrorKind::Readonly))));
    assert_eq!((net.node(1).data(&key(1)), net.node(1).data(&key(2))), (Some(1), None));
    assert_eq!(net.node(0).master(), Some(addr(1)));
    assert!(net.node(0).link_up());
    let master = net.log(0, before);
    let at = |event: &RedisEvent| master.iter().position(|other| other == event);
    let lines = [
        RedisEvent::FailoverRequested(addr(1)),
        RedisEvent::FailoverSynced(addr(1)),
        RedisEvent::BeforeTurningIntoReplica,
        RedisEvent::ConnectingToMaster(addr(1)),
        RedisEvent::ReplicaLost(addr(1)),
        RedisEvent::SuccessfulPartial,
        RedisEvent::MasterReplIdChanged(net.node(1).replid()),
        RedisEvent::ReplicaLost(addr(2)),
        RedisEvent::MasterAcceptedPartial,
    ];
    let places: Vec<_> = lines.iter().map(at).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {master:?}");
    let target = net.log(1, before);
    let received = target.iter().position(|e| matches!(e, RedisEvent::FailoverRequestReceived(_)));
    let promoted = target.iter().position(|e| *e == RedisEvent::MasterModeByFailover);
    assert!(received.is_some() && received < promoted, "{target:?}");
    // Nobody tells the others.
    assert_eq!(net.node(2).master(), Some(addr(0)));
    assert!(net.node(2).link_up());
    assert_eq!(net.node(2).replid(), net.node(1).replid());
}

#[test]
fn any_replica_will_do_if_none_is_named() {
    let mut net = Net::synced(2);
    let operator = net.client(0);
    assert_eq!(net.ask(operator, begin(None, false, None)), Some(Reply::Ok));
    net.run(1_500);
    let roles = [0, 1, 2].map(|node| net.node(node).role());
    assert_eq!(roles[0], Role::Slave);
    assert_eq!(roles[1..].iter().filter(|role| **role == Role::Master).count(), 1);
}

#[test]
fn a_target_that_does_not_catch_up_is_given_up_in_time() {
    let mut net = Net::synced(1);
    let (operator, writer) = (net.client(0), net.client(0));
    stop(&mut net, 1, Span::from_secs(6));
    net.ask(writer, set(1));
    let begun = net.now();
    assert_eq!(net.ask(operator, begin(Some(1), false, Some(2_000))), Some(Reply::Ok));
    net.send(writer, set(2));
    net.run(2_300);
    let aborted = net.when(0, begun, |e| matches!(e, RedisEvent::FailoverAborted(..))).expect("it is given up");
    assert!((2_000..=2_120).contains(&(aborted - begun).as_millis()));
    assert_eq!(net.node(0).role(), Role::Master);
    assert_eq!(net.node(0).data(&key(2)), Some(2), "what waited is executed");
}

#[test]
fn by_force_what_the_target_lacks_is_lost() {
    let mut net = Net::synced(1);
    let (operator, writer) = (net.client(0), net.client(0));
    stop(&mut net, 1, Span::from_secs(4));
    net.ask(writer, set(1));
    let begun = net.now();
    assert_eq!(net.ask(operator, begin(Some(1), true, Some(1_000))), Some(Reply::Ok));
    net.run(1_300);
    assert!(net.when(0, begun, |e| matches!(e, RedisEvent::FailoverForced(_))).is_some());
    assert_eq!(net.node(0).role(), Role::Slave, "and tries until it is heard");
    assert_eq!(net.ask(operator, Command::ReplicaOf(None)), said("REPLICAOF not allowed while failing over."));
    net.run(4_000);
    assert_eq!((net.node(0).role(), net.node(1).role()), (Role::Slave, Role::Master));
}

#[test]
fn an_abort_brings_the_master_back_at_any_time() {
    let mut net = Net::synced(1);
    let operator = net.client(0);
    assert_eq!(net.ask(operator, abort()), said("No failover in progress."));
    stop(&mut net, 1, Span::from_secs(4));
    let writer = net.client(0);
    net.ask(writer, set(1));
    net.ask(operator, begin(None, false, None));
    assert_eq!(net.ask(operator, abort()), Some(Reply::Ok));
    assert_eq!(net.ask(writer, set(2)), Some(Reply::Ok));
    net.ask(operator, begin(Some(1), true, Some(500)));
    net.run(800);
    assert_eq!(net.node(0).role(), Role::Slave);
    let history = net.node(0).replid();
    assert_eq!(net.ask(operator, abort()), Some(Reply::Ok));
    assert_eq!(net.node(0).role(), Role::Master);
    assert_ne!(net.node(0).replid(), history);
    net.run(8_000);
    assert!(net.node(1).link_up(), "its replica comes back");
    assert_eq!(net.node(1).role(), Role::Slave);
}

#[test]
fn what_cannot_be_is_refused_in_the_server_s_words() {
    let mut net = Net::synced(1);
    let (master, replica) = (net.client(0), net.client(1));
    assert_eq!(net.ask(replica, begin(None, false, None)), said("FAILOVER is not valid when server is a replica."));
    let nobody = said("FAILOVER target HOST and PORT is not a replica.");
    assert_eq!(net.ask(master, begin(Some(7), false, None)), nobody);
    let mut alone = Net::synced(0);
    let master = alone.client(0);
    assert_eq!(alone.ask(master, begin(None, false, None)), said("FAILOVER requires connected replicas."));
    assert_eq!(alone.ask(master, Command::PsyncFailover(None)), said("PSYNC FAILOVER can't be sent to a master."));
}

#[test]
fn releases_agree_on_the_outcome() {
    for release in [ServerRelease::Redis6_2, ServerRelease::Redis8_0, ServerRelease::Valkey8_1] {
        let mut net = Net::synced_with(2, Config::of(release));
        let operator = net.client(0);
        assert_eq!(net.ask(operator, begin(Some(2), false, None)), Some(Reply::Ok));
        net.run(3_000);
        assert_eq!((net.node(0).role(), net.node(2).role()), (Role::Slave, Role::Master), "{release:?}");
        assert!(net.node(0).link_up(), "{release:?}");
    }
}
