//! Files: what survives a death, an orderly end, a crash, FLUSHALL.

use super::*;

#[test]
fn a_killed_replica_continues_from_the_file_of_its_last_full_sync() {
    let mut net = Net::synced(1);
    let client = net.client(0);
    (0..50).for_each(|n| drop(net.ask(client, set(n))));
    net.kill(1);
    net.run(5);
    net.ask(client, set(99));
    let begin = net.now();
    net.start(1);
    net.run(100);
    let log = net.log(1, begin);
    assert!(matches!(log[0], RedisEvent::DbLoaded(_)), "{:?}", log[0]);
    assert_eq!(log[1], RedisEvent::BeforeTurningIntoReplica);
    assert_eq!(log[2], RedisEvent::Ready);
    assert!(log.contains(&RedisEvent::SuccessfulPartial), "{log:?}");
    assert_eq!(net.node(1).key_count(), 51);
    assert_eq!(net.node(1).offset(), net.node(0).offset());
}

#[test]
fn a_restarted_master_without_a_file_empties_its_replicas() {
    let mut net = Net::synced(1);
    let client = net.client(0);
    net.ask(client, set(1));
    net.kill(0);
    net.run(300);
    net.start(0);
    net.run(5_000);
    assert_eq!(net.node(1).data(&key(1)), Some(1), "it serves its old data until the transfer ends");
    net.run(4_000);
    assert!(net.node(1).link_up());
    assert_eq!(net.node(1).key_count(), 0);
}

#[test]
fn a_master_that_saved_at_its_end_lets_replicas_continue() {
    let mut net = Net::synced(1);
    let client = net.client(0);
    net.ask(client, set(1));
    net.terminate(0);
    net.run(2_000);
    assert!(net.nodes[0].is_none(), "it has left");
    let begin = net.now();
    net.start(0);
    net.run(2_000);
    assert!(net.node(1).link_up());
    assert!(net.log(1, begin).contains(&RedisEvent::SuccessfulPartial));
    assert_eq!(net.node(0).data(&key(1)), Some(1));
}

#[test]
fn a_role_survives_a_restart_only_with_a_config_file() {
    for config_file in [false, true] {
        let mut net = Net::synced_with(1, Config { config_file, ..Config::default() });
        let client = net.client(1);
        net.ask(client, Command::ReplicaOf(None));
        let rewritten = net.ask(client, Command::ConfigRewrite);
        assert_eq!(rewritten, Some(if config_file { Reply::Ok } else { Reply::Error(ErrorKind::NoConfigFile) }));
        net.kill(1);
        net.start(1);
        assert_eq!(net.node(1).role(), if config_file { Role::Master } else { Role::Slave });
    }
}

#[test]
fn a_shutdown_waits_for_replicas_and_freezes_publish() {
    let mut net = Net::synced(1);
    let (publisher, reader) = (net.client(0), net.client(0));
    net.ask(publisher, publish(1));
    net.command(1, Command::DebugSleep(Span::from_secs(30)));
    net.ask(publisher, publish(2));
    let begin = net.now();
    net.terminate(0);
    net.run(150);
    assert!(net.log(0, begin).ends_with(&[RedisEvent::ShutdownRequested, RedisEvent::ShutdownWaiting]));
    assert_eq!(net.ask(publisher, publish(3)), None);
    assert_eq!(net.ask(publisher, Command::Ping), None, "what follows is not read");
    assert_eq!(net.ask(reader, Command::Ping), Some(Reply::Pong));
    assert!(info(&mut net, reader).shutdown_in.is_some_and(|left| left.as_millis() > 9_000));
    net.run(9_500);
    assert!(net.nodes[0].is_some());
    net.run(700);
    assert!(net.nodes[0].is_none());
    assert!(net.log(0, begin).ends_with(&[RedisEvent::DbSaved, RedisEvent::Exiting]));
}

#[test]
fn a_shutdown_with_healthy_replicas_takes_up_to_a_second() {
    let mut spans = Vec::new();
    for shift in 0..10 {
        let mut net = Net::synced(1);
        let client = net.client(0);
        net.ask(client, set(1));
        net.run(shift * 97);
        net.ask(client, set(1));
        let begin = net.now();
        net.terminate(0);
        net.run(2_000);
        assert!(net.nodes[0].is_none());
        spans.push((net.when(0, begin, |e| *e == RedisEvent::Exiting).expect("exits") - begin).as_millis());
    }
    assert!(spans.iter().all(|&span| span <= 1_250), "{spans:?}");
    assert!(spans.iter().max() > spans.iter().min().map(|min| min + 300).as_ref(), "{spans:?}");
}

#[test]
fn save_points_leave_a_file_behind() {
    let config = Config { save: "1 2".parse().expect("a save point"), ..Config::default() };
    let mut net = Net::synced_with(0, config);
    let client = net.client(0);
    net.ask(client, set(1));
    net.run(3_000);
    assert!(net.node(0).disk().rdb.is_none());
    net.ask(client, set(2));
    net.run(3_000);
    let rdb = net.node(0).disk().rdb.expect("saved");
    assert_eq!(rdb.snapshot.entries.len(), 2);
    assert!(rdb.info.is_none(), "no backlog, no replication info");
    net.kill(0);
    net.start(0);
    assert_eq!(net.node(0).key_count(), 2);
}

#[test]
fn an_old_server_goes_on_with_no_history_of_its_file() {
    for (release, goes_on) in [(ServerRelease::Redis6_2, false), (ServerRelease::Redis7_0, true)] {
        let config = Config { repl_diskless_sync: false, ..Config::of(release) };
        let mut net = Net::synced_with(1, config);
        let client = net.client(0);
        net.ask(client, set(1));
        net.ask(client, Command::Save);
        net.kill(0);
        net.start(0);
        net.run(50);
        assert_eq!(net.node(0).data(&key(1)), Some(1));
        assert_eq!(net.node(0).offset() > 0, goes_on, "{release:?}");
    }
}

#[test]
fn a_crash_takes_its_report_s_time_and_saves_nothing() {
    let mut net = Net::synced(1);
    let (operator, other) = (net.client(0), net.client(0));
    net.ask(operator, set(1));
    let begin = net.now();
    net.send(operator, Command::DebugSegfault);
    net.run(100);
    assert_eq!(net.ask(other, Command::Ping), None, "it stands still");
    while net.nodes[0].is_some() {
        net.run(1);
    }
    let took = net.now().since(begin).as_millis();
    assert!((185..=280).contains(&took), "{took}");
    net.run(1);
    assert!(net.closed[other] && !net.node(1).link_up());
    net.start(0);
    net.run(10);
    assert_eq!(net.node(0).data(&key(1)), None);
}

#[test]
fn save_and_bgsave_write_what_there_is() {
    for command in [Command::Save, Command::BgSave] {
        let mut net = Net::synced(0);
        let client = net.client(0);
        net.ask(client, set(1));
        let begin = net.now();
        net.send(client, command.clone());
        if command == Command::BgSave {
            assert_eq!(net.ask(client, Command::Save), Some(Reply::SavingStarted), "the reply to BGSAVE comes first");
            let refused = crate::wire::Message::Reply(Reply::Error(ErrorKind::SaveInProgress));
            assert_eq!(net.inbox[client].last(), Some(&refused));
        }
        net.run(300);
        assert!(net.when(0, begin, |event| *event == RedisEvent::DbSaved).is_some());
        net.kill(0);
        net.start(0);
        net.run(10);
        assert_eq!(net.node(0).data(&key(1)), Some(1), "{command:?}");
    }
}

#[test]
fn flushall_empties_the_replicas_too_and_saves_the_emptiness() {
    for (command, left) in [(Command::FlushAll, None), (Command::FlushDb, Some(1))] {
        let mut net = Net::synced(1);
        let (client, replica) = (net.client(0), net.client(1));
        net.ask(client, set(1));
        net.ask(client, Command::Save);
        assert_eq!(net.ask(replica, command.clone()), Some(Reply::Error(ErrorKind::Readonly)));
        assert_eq!(net.ask(client, command.clone()), Some(Reply::Ok));
        net.run(20);
        assert_eq!((net.node(0).key_count(), net.node(1).key_count()), (0, 0));
        assert_eq!(net.node(0).offset(), net.node(1).offset());
        net.kill(0);
        net.start(0);
        net.run(10);
        assert_eq!(net.node(0).data(&key(1)), left, "{command:?}");
    }
}

#[test]
fn flushall_kills_a_child_and_its_replica_asks_again() {
    let config = Config { repl_diskless_sync_delay: 0, dataset_bytes: 200 << 20, ..Config::default() };
    let mut net = Net::new(&[(config, None), (Config::default(), Some(0))]);
    net.start(0);
    net.run(4_000);
    let client = net.client(0);
    net.start(1);
    while net.node(0).child.is_none() {
        net.run(1);
    }
    let begin = net.now();
    net.send(client, Command::FlushAll);
    net.run(300);
    assert!(net.when(0, begin, |event| *event == RedisEvent::ReplicaLost(addr(1))).is_some());
    net.run(5_000);
    assert!(net.node(1).link_up());
}
