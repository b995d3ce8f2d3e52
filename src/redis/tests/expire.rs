//! Keys that live for a time only.

use super::*;

fn set_for(index: u32, ms: u64) -> Command {
    Command::Set(key(index), index, Expiry::Px(ms))
}

fn keys(net: &Net, node: usize) -> usize {
    net.node(node).key_count()
}

#[test]
fn a_master_lets_keys_end_and_tells_its_replicas() {
    let mut net = Net::synced(2);
    let writer = net.client(0);
    for index in 1..=30 {
        assert_eq!(net.ask(writer, set_for(index, 2_000)), Some(Reply::Ok));
    }
    net.ask(writer, set(31));
    net.run(1_500);
    assert_eq!([0, 1, 2].map(|node| keys(&net, node)), [31; 3]);
    net.run(1_000);
    assert_eq!([0, 1, 2].map(|node| keys(&net, node)), [1; 3]);
    assert_eq!(net.node(1).offset(), net.node(0).offset());
    assert_eq!(net.node(2).data(&key(31)), Some(31));
    let sets = net.node(1).sets_of(0).expect("they were there");
    assert_eq!((sets.count_within(1, 30), sets.count_within(31, 31)), (30, 0), "what was there is known");
}

#[test]
fn a_replica_keeps_what_is_over_until_it_is_told_and_answers_as_if_it_had_none() {
    let mut net = Net::synced(1);
    let (writer, reader) = (net.client(0), net.client(1));
    net.ask(writer, set_for(1, 500));
    net.run(10);
    net.block(0, 1);
    net.reset_between(0, 1);
    net.run(2_000);
    assert_eq!((keys(&net, 0), keys(&net, 1)), (0, 1));
    assert_eq!(net.ask(reader, Command::Get(key(1))), Some(Reply::Value(None)));
    assert_eq!(keys(&net, 1), 1, "asking a replica deletes nothing");
    // As a master it begins to look.
    net.command(1, Command::ReplicaOf(None));
    net.run(150);
    assert_eq!(keys(&net, 1), 0);
}

#[test]
fn asking_a_master_ends_a_key_at_once() {
    let mut net = Net::synced(1);
    let writer = net.client(0);
    net.ask(writer, Command::Set(key(1), 1, Expiry::Px(1)));
    // So many that live longer that the next look does not come to all.
    for index in 2..400 {
        net.command(0, set_for(index, 60_000));
    }
    net.run(5);
    assert_eq!(net.ask(writer, Command::Get(key(1))), Some(Reply::Value(None)));
    assert_eq!(keys(&net, 0), 398);
    net.run(5);
    assert_eq!(keys(&net, 1), 398, "the DEL is in the stream");
    assert_eq!(net.ask(writer, Command::Get(key(2))), Some(Reply::Value(Some(2))));
}

#[test]
fn nothing_ends_while_clients_are_paused() {
    let mut net = Net::synced(1);
    let writer = net.client(0);
    net.ask(writer, set_for(1, 100));
    net.command(0, Command::ClientPause(crate::wire::PauseKind::Write, Span::from_secs(2)));
    net.run(1_500);
    assert_eq!(net.ask(writer, Command::Get(key(1))), Some(Reply::Value(None)));
    assert_eq!(keys(&net, 0), 1);
    net.run(1_000);
    assert_eq!((keys(&net, 0), keys(&net, 1)), (0, 0));
}

#[test]
fn a_restart_as_a_master_loads_no_key_that_is_over() {
    for (append_only, loaded) in [(false, 1), (true, 2)] {
        let mut net = Net::synced_with(0, Config { appendonly: append_only, ..Config::default() });
        let writer = net.client(0);
        net.ask(writer, set_for(1, 2_000));
        net.ask(writer, set(2));
        net.ask(writer, Command::Save);
        net.run(1_500);
        net.kill(0);
        net.run(1_000);
        let before = net.now();
        net.start(0);
        net.run(5);
        let line = format!("keys loaded: {loaded}, keys expired: {}.", 2 - loaded);
        assert!(net.when_text(0, before, &line).is_some() || append_only, "{line}");
        assert!(net.node(0).sets_of(0).is_some_and(|sets| sets.contains(1)));
        net.run(300);
        assert_eq!(keys(&net, 0), 1, "from the log it ends a moment later");
    }
}

#[test]
fn a_master_that_starts_again_tells_its_replicas_what_it_did_not_load() {
    let mut net = Net::synced(1);
    let writer = net.client(0);
    (1..=10).for_each(|index| net.command(0, set_for(index, 1_000)));
    net.ask(writer, set(11));
    net.run(200);
    net.terminate(0);
    net.run(2_000);
    let before = net.now();
    net.start(0);
    net.run(3_000);
    assert!(net.when_text(0, before, "keys loaded: 1, keys expired: 10.").is_some());
    assert!(net.log(1, before).contains(&RedisEvent::MasterAcceptedPartial), "{:?}", net.log(1, before));
    assert_eq!((keys(&net, 0), keys(&net, 1)), (1, 1));
}

#[test]
fn releases_before_7_0_tell_replicas_how_long_and_not_until_when() {
    for (release, later) in [(ServerRelease::Redis6_2, true), (ServerRelease::Redis7_0, false)] {
        let mut net = Net::synced_with(1, Config::of(release));
        let (writer, reader) = (net.client(0), net.client(1));
        // What the master writes is read a second later.
        net.send(reader, Command::DebugSleep(Span::from_secs(1)));
        net.run(1);
        net.ask(writer, set_for(1, 1_500));
        net.run(1_100);
        net.block(0, 1);
        net.reset_between(0, 1);
        net.run(800);
        let there = net.ask(reader, Command::Get(key(1))) == Some(Reply::Value(Some(1)));
        assert_eq!(there, later, "{release:?}");
    }
}

#[test]
fn bytes_of_the_stream_are_those_of_the_protocol() {
    let bytes = |command: Command| command.stream_bytes();
    let text = "*3\r\n$3\r\nSET\r\n$3\r\nk:7\r\n$1\r\n7\r\n";
    assert_eq!(bytes(set(7)), text.len() as u32);
    let text = "*5\r\n$3\r\nSET\r\n$3\r\nk:7\r\n$1\r\n7\r\n$4\r\nPXAT\r\n$13\r\n1700000000000\r\n";
    assert_eq!(bytes(Command::Set(key(7), 7, Expiry::PxAt(1_700_000_000_000))), text.len() as u32);
    let text = "*5\r\n$3\r\nSET\r\n$3\r\nk:7\r\n$1\r\n7\r\n$2\r\nPX\r\n$4\r\n1500\r\n";
    assert_eq!(bytes(set_for(7, 1_500)), text.len() as u32);
    assert_eq!(bytes(Command::Del(key(7))), "*2\r\n$3\r\nDEL\r\n$3\r\nk:7\r\n".len() as u32);
}
