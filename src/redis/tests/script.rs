//! A script that never ends.

use super::*;
use crate::wire::Script;

const BUSY: Option<Reply> = Some(Reply::Error(ErrorKind::Busy));

fn eval(text: &str) -> Command {
    Command::Eval(Box::new(Script::parse(text).expect("a script")))
}

fn endless() -> Command {
    eval("while true do end")
}

fn writing() -> Command {
    eval("redis.call('SET','k','v') while true do end")
}

fn impatient() -> Config {
    Config { busy_reply_threshold: 1_000, ..Config::default() }
}

#[test]
fn a_script_blocks_then_answers_busy_and_is_killed() {
    let mut net = Net::synced_with(1, impatient());
    let (caller, other) = (net.client(0), net.client(0));
    let begin = net.now();
    net.send(caller, endless());
    net.run(1);
    net.send(other, Command::Ping);
    net.run(900);
    assert!(net.inbox[other].is_empty(), "it stands still");
    net.run(200);
    assert_eq!(net.inbox[other], [crate::wire::Message::Reply(Reply::Error(ErrorKind::Busy))]);
    let slow = net.when(0, begin, |e| matches!(e, RedisEvent::SlowScript(..))).expect("a line");
    assert!((1_000..=1_002).contains(&(slow - begin).as_millis()), "{}", (slow - begin).as_millis());
    for command in [set(1), publish(1), Command::Info(InfoSection::Default), Command::Save, Command::ClientUnpause] {
        assert_eq!(net.ask(other, command), BUSY);
    }
    assert_eq!(net.ask(other, Command::Shutdown { now: false, save: None }), BUSY);
    assert_eq!(net.ask(other, Command::NoOp), Some(Reply::Ok), "AUTH");
    let late = net.client(0);
    assert_eq!(net.ask(late, Command::Ping), BUSY, "new connections are served");
    assert_eq!(net.ask(other, Command::ScriptKill), Some(Reply::Ok));
    net.run(1);
    assert!(net.when(0, slow, |e| *e == RedisEvent::ScriptKilled).is_some());
    assert_eq!(net.inbox[caller], [crate::wire::Message::Reply(Reply::Error(ErrorKind::ScriptKilled))]);
    assert_eq!(net.ask(other, set(1)), Some(Reply::Ok));
    assert_eq!(net.ask(caller, Command::Ping), Some(Reply::Pong));
    assert_eq!(net.ask(other, Command::ScriptKill), Some(Reply::Error(ErrorKind::NotBusy)));
    assert_eq!(net.node(1).data(&key(1)), Some(1));
}

#[test]
fn a_transaction_is_let_in_and_aborted() {
    let mut net = Net::synced_with(0, impatient());
    let (caller, other) = (net.client(0), net.client(0));
    net.send(caller, endless());
    net.run(1_100);
    assert_eq!(net.ask(other, Command::Multi), Some(Reply::Ok));
    assert_eq!(net.ask(other, set(1)), BUSY);
    assert_eq!(net.ask(other, Command::Exec), Some(Reply::Error(ErrorKind::ExecAbort)));
}

#[test]
fn no_cron_runs_meanwhile_and_replicas_stay_as_long_as_they_wait() {
    let mut net = Net::synced_with(1, Config { repl_ping_replica_period: 1, repl_timeout: 20, ..impatient() });
    let caller = net.client(0);
    net.send(caller, endless());
    net.run(5);
    let (begin, offset) = (net.now(), net.node(0).offset());
    net.run(10_000);
    assert_eq!(net.node(0).offset(), offset, "no PING");
    assert!(net.node(1).link_up());
    net.run(15_000);
    assert!(net.when(1, begin, |e| *e == RedisEvent::MasterTimeout).is_some());
    assert_eq!(net.node(0).connected_replicas(), [], "its kernel closes what the other side closed");
}

#[test]
fn a_script_that_wrote_ends_with_its_process_and_its_write_with_it() {
    let mut net = Net::synced_with(1, impatient());
    let (caller, other) = (net.client(0), net.client(0));
    let begin = net.now();
    let offset = net.node(1).offset();
    net.send(caller, writing());
    net.run(1_500);
    assert_eq!(net.ask(other, Command::ScriptKill), Some(Reply::Error(ErrorKind::Unkillable)));
    net.run(2_000);
    assert_eq!(net.node(1).offset(), offset, "what a script wrote is passed on after its end");
    net.send(other, Command::Shutdown { now: false, save: Some(false) });
    net.run(10);
    assert!(net.when(0, begin, |e| *e == RedisEvent::Exiting).is_some());
    assert!(net.nodes[0].is_none());
    net.start(0);
    net.run(100);
    let again = net.client(0);
    assert_eq!(net.ask(again, Command::Ping), Some(Reply::Pong));
}

#[test]
fn a_write_that_is_refused_ends_the_script_at_once() {
    let mut net = Net::synced_with(1, Config { min_replicas_to_write: 2, ..impatient() });
    let (master, replica) = (net.client(0), net.client(1));
    assert_eq!(net.ask(master, writing()), Some(Reply::Error(ErrorKind::NoReplicas)));
    assert_eq!(net.ask(replica, writing()), Some(Reply::Error(ErrorKind::Readonly)));
    assert_eq!(
        (net.ask(master, Command::Ping), net.ask(replica, Command::Ping)),
        (Some(Reply::Pong), Some(Reply::Pong))
    );
}

#[test]
fn a_busy_replica_keeps_the_stream_for_later() {
    let mut net = Net::synced_with(1, impatient());
    let (caller, writer) = (net.client(1), net.client(0));
    net.send(caller, endless());
    net.run(1_200);
    assert_eq!(net.ask(writer, set(7)), Some(Reply::Ok));
    net.run(2_000);
    assert_eq!(net.node(1).data(&key(7)), None);
    let other = net.client(1);
    assert_eq!(net.ask(other, Command::ScriptKill), Some(Reply::Ok));
    net.run(1_500);
    assert_eq!(net.node(1).data(&key(7)), Some(7));
    assert!(net.node(1).link_up());
    assert_eq!(net.node(1).offset(), net.node(0).offset());
}

#[test]
fn without_a_threshold_nobody_is_answered_any_more() {
    let mut net = Net::synced_with(0, Config { busy_reply_threshold: 0, ..Config::default() });
    let (caller, other) = (net.client(0), net.client(0));
    net.send(caller, endless());
    net.run(1);
    net.send(other, Command::ScriptKill);
    net.run(60_000);
    assert!(net.inbox[other].is_empty());
}

#[test]
fn before_7_0_the_line_has_a_sha1() {
    let mut net = Net::synced_with(0, Config { busy_reply_threshold: 100, ..Config::of(ServerRelease::Redis6_2) });
    let begin = net.now();
    let caller = net.client(0);
    net.send(caller, endless());
    net.run(200);
    let line = |e: &RedisEvent| matches!(e, RedisEvent::SlowScriptBefore7(_, sha) if sha.starts_with("694a5fe1"));
    assert!(net.when(0, begin, line).is_some());
}
