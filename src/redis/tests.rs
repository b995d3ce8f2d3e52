//! Several servers together, in the tiny world of `testing`.

use proptest::prelude::*;

use super::testing::{Net, addr, key, publish};
use super::{Config, History};
use crate::kernel::{Span, Time};
use crate::record::RedisEvent;
use crate::release::{Released, ServerRelease};
use crate::wire::{
    ChannelId, ClientType, Command, ErrorKind, InfoSection, ReplicaState, Reply, Role, RoleInfo, Snapshot,
};

fn set(index: u32) -> Command {
    Command::Set(key(index), index)
}

fn history(net: &Net, node: usize) -> &History {
    &net.node(node).history
}

fn info(net: &mut Net, client: usize) -> crate::wire::Info {
    match net.ask(client, Command::Info(InfoSection::Replication)) {
        Some(Reply::Info(info)) => *info,
        other => panic!("INFO is answered, not {other:?}"),
    }
}

#[test]
fn a_first_sync_waits_for_the_diskless_delay() {
    for shift in 0..10 {
        let mut net = Net::new(&[(Config::default(), None), (Config::default(), Some(0))]);
        net.start(0);
        net.run(shift * 137);
        net.start(1);
        let begin = net.now;
        net.run(8_000);
        let asked = net.when(0, begin, |e| matches!(e, RedisEvent::FullResyncRequested(_))).expect("asks");
        let forked = net.when(0, begin, |e| *e == RedisEvent::StartingBgsave).expect("forks");
        let delay = (forked - asked).as_millis();
        assert!((4_000..=6_100).contains(&delay), "{delay} ms");
        let online = net.when(0, begin, |e| matches!(e, RedisEvent::ReplicaOnline(_))).expect("goes online");
        assert!((online - forked).as_millis() <= 110);
        assert!(net.node(1).link_up());
        assert_eq!(net.node(1).replid(), net.node(0).replid());
    }
}

#[test]
fn the_log_of_a_first_sync_is_that_of_the_real_one() {
    let net = Net::synced(1);
    let replica = net.log(1, Time::ZERO);
    let (id, offset) = (net.node(0).replid(), 0);
    assert_eq!(
        replica,
        [
            RedisEvent::Ready,
            RedisEvent::ConnectingToMaster(addr(0)),
            RedisEvent::SyncStarted,
            RedisEvent::NonBlockingConnectFired,
            RedisEvent::MasterRepliedToPing,
            RedisEvent::PartialNotPossible,
            RedisEvent::FullResyncFromMaster(id, offset),
            RedisEvent::ReceivingRdb,
            RedisEvent::FlushingOldData,
            RedisEvent::LoadingDb,
            RedisEvent::FinishedWithSuccess,
        ]
    );
    let master: Vec<_> = net.log(0, Time::ZERO);
    assert_eq!(
        master,
        [
            RedisEvent::Ready,
            RedisEvent::ReplicaAsks(addr(1)),
            RedisEvent::FullResyncRequested(addr(1)),
            RedisEvent::BacklogCreated(id, crate::wire::ReplId::NONE),
            RedisEvent::DelayNextBgsave,
            RedisEvent::StartingBgsave,
            RedisEvent::RdbTransferStarted,
            RedisEvent::RdbTransferDone,
            RedisEvent::RdbStreamed(addr(1)),
            RedisEvent::ReplicaOnline(addr(1)),
        ]
    );
}

#[test]
fn offsets_count_the_bytes_of_resp() {
    let mut net = Net::synced(1);
    let client = net.client(0);
    let before = net.node(0).offset();
    net.ask(client, set(1));
    // SELECT goes before the first command after a full sync: 23 bytes; SET k:1 1 takes 31.
    let set_bytes = "*3\r\n$3\r\nSET\r\n$3\r\nk:1\r\n$1\r\n1\r\n".len() as u64;
    assert_eq!(net.node(0).offset() - before, 23 + set_bytes);
    net.ask(client, set(1));
    assert_eq!(net.node(0).offset() - before, 23 + 2 * set_bytes);
    assert_eq!(net.node(1).offset(), net.node(0).offset());
    let before = net.node(0).offset();
    net.run(11_000);
    assert_eq!(net.node(0).offset() - before, 14, "one PING in ten seconds");
}

#[test]
fn nothing_is_counted_without_a_backlog() {
    let mut net = Net::new(&[(Config::default(), None)]);
    net.start(0);
    net.run(10);
    let client = net.client(0);
    net.ask(client, set(1));
    net.ask(client, publish(1));
    assert_eq!(net.node(0).offset(), 0);
    assert_eq!(net.node(0).data(&key(1)), Some(1));
}

#[test]
fn after_a_promotion_the_other_replica_continues_and_the_old_master_cannot() {
    let mut net = Net::synced(2);
    let client = net.client(0);
    net.ask(client, set(1));
    let (old_id, fork) = (net.node(0).replid(), net.node(0).offset());
    net.command(1, Command::ReplicaOf(None));
    let begin = net.now;
    net.command(2, Command::ReplicaOf(Some(addr(1))));
    net.ask(client, set(2));
    net.run(50);
    assert_eq!(net.node(1).role(), Role::Master);
    let new_id = net.node(1).replid();
    assert!(net.node(2).link_up() && net.node(2).replid() == new_id);
    assert_eq!(history(&net, 1).replid2, old_id);
    assert_eq!(history(&net, 1).second_offset, fork as i64 + 1);
    let log = net.log(1, begin);
    assert!(log.contains(&RedisEvent::PartialAccepted(addr(2), 0, fork + 1)), "{log:?}");
    assert!(net.log(2, begin).contains(&RedisEvent::MasterReplIdChanged(new_id)));

    let begin = net.now;
    let asked = net.node(0).offset() + 1;
    assert!(asked > fork + 1);
    net.command(0, Command::ReplicaOf(Some(addr(1))));
    net.run(50);
    assert!(net.log(1, begin).contains(&RedisEvent::PartialRefusedOffset(asked, fork + 1)));
    net.run(8_000);
    assert!(net.node(0).link_up());
    assert_eq!(net.node(0).data(&key(2)), None, "the write after the promotion is lost");
}

#[test]
fn promotion_disconnects_the_replicas_of_the_promoted() {
    let mut net = Net::new(&[(Config::default(), None), (Config::default(), Some(0)), (Config::default(), Some(1))]);
    (0..3).for_each(|node| net.start(node));
    net.run(20_000);
    assert!(net.node(2).link_up(), "a chain forms: NOMASTERLINK until its master is connected");
    let writer = net.client(0);
    net.ask(writer, set(5));
    assert_eq!(net.node(2).data(&key(5)), Some(5));
    assert_eq!(net.node(2).offset(), net.node(0).offset());
    let begin = net.now;
    net.command(1, Command::ReplicaOf(None));
    net.run(20);
    assert!(net.log(1, begin).contains(&RedisEvent::ReplicaLost(addr(2))));
    assert!(net.log(2, begin).contains(&RedisEvent::SuccessfulPartial));
    assert_eq!(net.node(2).replid(), net.node(1).replid());
}

#[test]
fn publish_on_a_replica_stays_there() {
    let mut net = Net::synced(1);
    let (on_master, on_replica) = (net.client(0), net.client(1));
    net.ask(on_master, Command::Subscribe(ChannelId(1)));
    net.ask(on_replica, Command::Subscribe(ChannelId(1)));
    let publisher = net.client(1);
    let offset = net.node(0).offset();
    assert_eq!(net.ask(publisher, publish(1)), Some(Reply::Int(1)));
    assert_eq!((net.pushed(on_master), net.pushed(on_replica)), (vec![], vec![1]));
    let publisher = net.client(0);
    assert_eq!(net.ask(publisher, publish(2)), Some(Reply::Int(1)));
    assert_eq!((net.pushed(on_master), net.pushed(on_replica)), (vec![2], vec![1, 2]));
    assert!(net.node(0).offset() > offset);
}

#[test]
fn a_client_with_channel_and_pattern_gets_both() {
    let mut net = Net::synced(0);
    let client = net.client(0);
    assert_eq!(net.ask(client, Command::Subscribe(ChannelId(1))), Some(Reply::Subscribed(ChannelId(1), 1)));
    assert_eq!(net.ask(client, Command::PSubscribe(ChannelId(1))), Some(Reply::Subscribed(ChannelId(1), 2)));
    let publisher = net.client(0);
    assert_eq!(net.ask(publisher, publish(1)), Some(Reply::Int(2)));
    assert_eq!(net.pushed(client), [1, 1]);
    assert_eq!(net.ask(client, Command::Get(key(1))), Some(Reply::Error(ErrorKind::Err)));
    assert_eq!(net.ask(client, Command::Ping), Some(Reply::Pong));
}

#[test]
fn a_partial_resync_delivers_late_and_loses_nothing() {
    let mut net = Net::synced(1);
    let (subscriber, publisher) = (net.client(1), net.client(0));
    net.ask(subscriber, Command::Subscribe(ChannelId(1)));
    net.block(0, 1);
    net.reset_between(0, 1);
    for seq in 1..=20 {
        net.ask(publisher, publish(seq));
        net.run(100);
    }
    assert_eq!(net.pushed(subscriber), [0; 0]);
    assert!(!net.node(1).link_up());
    net.unblock_all();
    net.run(1_100);
    assert_eq!(net.pushed(subscriber), (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_full_sync_loses_what_was_published_before_the_fork() {
    let mut net = Net::synced(1);
    let (subscriber, publisher) = (net.client(1), net.client(0));
    net.ask(subscriber, Command::Subscribe(ChannelId(1)));
    net.ask(publisher, Command::ReplicaOf(None));
    // A new history: the replica cannot continue.
    net.kill(0);
    net.start(0);
    let publisher = net.client(0);
    for seq in 1..=80 {
        net.ask(publisher, publish(seq));
        net.run(100);
    }
    let got = net.pushed(subscriber);
    let first = *got.first().expect("some arrive");
    assert!((30..75).contains(&first), "{first}");
    assert_eq!(got, (first..=80).collect::<Vec<_>>());
}

#[test]
fn client_kill_hits_normal_and_pubsub_but_neither_the_caller_nor_replicas() {
    let mut net = Net::synced(2);
    let (normal, pubsub, caller) = (net.client(1), net.client(1), net.client(1));
    net.ask(pubsub, Command::Subscribe(ChannelId(1)));
    for command in [
        Command::Multi,
        Command::ReplicaOf(None),
        Command::ConfigRewrite,
        Command::ClientKill(ClientType::Normal),
        Command::ClientKill(ClientType::Pubsub),
    ] {
        net.ask(caller, command);
    }
    assert_eq!(net.node(1).role(), Role::Slave, "nothing happens before EXEC");
    assert!(!net.closed[normal] && !net.closed[pubsub]);
    assert_eq!(net.ask(caller, Command::Exec), Some(Reply::Exec));
    assert_eq!(net.node(1).role(), Role::Master);
    assert_eq!((net.closed[normal], net.closed[pubsub], net.closed[caller]), (true, true, false));
    let other = net.client(0);
    net.ask(other, Command::ClientKill(ClientType::Normal));
    net.run(50);
    assert!(net.node(2).link_up() && !net.closed[other]);
}

#[test]
fn killing_subscribers_discards_what_the_same_pass_wrote() {
    let mut net = Net::synced(0);
    let (subscriber, caller) = (net.client(0), net.client(0));
    net.ask(subscriber, Command::Subscribe(ChannelId(1)));
    for command in [Command::Multi, publish(1), Command::ClientKill(ClientType::Pubsub), Command::Exec] {
        net.ask(caller, command);
    }
    assert!(net.closed[subscriber]);
    assert_eq!(net.pushed(subscriber), [0; 0]);
}

#[test]
fn replicas_refuse_writes() {
    let mut net = Net::synced(1);
    let client = net.client(1);
    assert_eq!(net.ask(client, set(1)), Some(Reply::Error(ErrorKind::Readonly)));
    assert_eq!(net.ask(client, Command::Get(key(1))), Some(Reply::Value(None)));
    assert_eq!(
        net.ask(client, Command::Wait { replicas: 1, timeout: Span::ZERO }),
        Some(Reply::Error(ErrorKind::WaitOnReplica))
    );
}

#[test]
fn a_refused_command_aborts_the_transaction() {
    let mut net = Net::synced(1);
    let client = net.client(1);
    net.ask(client, Command::Multi);
    assert_eq!(net.ask(client, set(1)), Some(Reply::Error(ErrorKind::Readonly)));
    assert_eq!(net.ask(client, publish(1)), Some(Reply::Queued));
    assert_eq!(net.ask(client, Command::Exec), Some(Reply::Error(ErrorKind::ExecAbort)));
    assert_eq!(net.ask(client, Command::Exec), Some(Reply::Error(ErrorKind::Err)));
}

#[test]
fn a_cut_off_master_refuses_writes_after_the_lag_but_never_publish() {
    let config = Config { min_replicas_to_write: 1, min_replicas_max_lag: 3, ..Config::default() };
    let mut net = Net::synced_with(1, config);
    let client = net.client(0);
    assert_eq!(net.ask(client, set(1)), Some(Reply::Ok));
    // The replica hangs: its link stays, its ACKs stop.
    net.command(1, Command::DebugSleep(Span::from_secs(30)));
    let begin = net.now;
    while net.ask(client, set(1)) == Some(Reply::Ok) {
        net.run(20);
        assert!((net.now - begin).as_millis() < 10_000);
    }
    let after = (net.now - begin).as_millis();
    assert!((2_000..=5_100).contains(&after), "{after} ms");
    assert_eq!(net.ask(client, set(1)), Some(Reply::Error(ErrorKind::NoReplicas)));
    assert_eq!(net.ask(client, publish(1)), Some(Reply::Int(0)));
}

#[test]
fn a_killed_replica_continues_from_the_file_of_its_last_full_sync() {
    let mut net = Net::synced(1);
    let client = net.client(0);
    (0..50).for_each(|n| drop(net.ask(client, set(n))));
    net.kill(1);
    net.run(5);
    net.ask(client, set(99));
    let begin = net.now;
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
    let begin = net.now;
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
    let begin = net.now;
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
        let begin = net.now;
        net.terminate(0);
        net.run(2_000);
        assert!(net.nodes[0].is_none());
        spans.push((net.when(0, begin, |e| *e == RedisEvent::Exiting).expect("exits") - begin).as_millis());
    }
    assert!(spans.iter().all(|&span| span <= 1_250), "{spans:?}");
    assert!(spans.iter().max() > spans.iter().min().map(|min| min + 300).as_ref(), "{spans:?}");
}

#[test]
fn wait_counts_acknowledgements() {
    let mut net = Net::synced(2);
    let client = net.client(0);
    let wait = |replicas, ms| Command::Wait { replicas, timeout: Span::from_millis(ms) };
    assert_eq!(net.ask(client, wait(2, 0)), Some(Reply::Int(2)), "a client that never wrote");
    net.ask(client, set(1));
    assert_eq!(net.ask(client, wait(2, 1000)), Some(Reply::Int(2)));
    net.ask(client, set(2));
    let before = net.inbox[client].len();
    net.send(client, wait(3, 300));
    net.send(client, Command::Ping);
    net.run(299);
    assert_eq!(net.inbox[client].len(), before);
    net.run(110);
    let replies: Vec<_> = net.inbox[client][before..].to_vec();
    assert_eq!(replies, [Reply::Int(2), Reply::Pong].map(crate::wire::Message::Reply));
}

#[test]
fn a_demotion_unblocks_and_closes_waiting_clients_only() {
    let mut net = Net::synced(1);
    let (waiting, idle, subscriber) = (net.client(0), net.client(0), net.client(0));
    net.ask(subscriber, Command::Subscribe(ChannelId(1)));
    net.ask(waiting, set(1));
    assert_eq!(net.ask(waiting, Command::Wait { replicas: 9, timeout: Span::ZERO }), None);
    net.command(1, Command::ReplicaOf(None));
    net.command(0, Command::ReplicaOf(Some(addr(1))));
    net.run(20);
    assert!(net.closed[waiting] && !net.closed[idle] && !net.closed[subscriber]);
    assert_eq!(net.inbox[waiting].last(), Some(&crate::wire::Message::Reply(Reply::Error(ErrorKind::Unblocked))));
}

#[test]
fn both_ends_give_up_a_silent_link() {
    let config = Config { repl_timeout: 5, ..Config::default() };
    let mut net = Net::synced_with(1, config);
    net.command(1, Command::DebugSleep(Span::from_secs(9)));
    let begin = net.now;
    net.run(8_000);
    let lost = net.when(0, begin, |e| *e == RedisEvent::ReplicaTimeout(addr(1))).expect("times out") - begin;
    assert!((4_000..=7_100).contains(&lost.as_millis()), "{lost}");
    let config = Config { repl_timeout: 5, ..Config::default() };
    let mut net = Net::synced_with(1, config);
    net.command(0, Command::DebugSleep(Span::from_secs(12)));
    let begin = net.now;
    net.run(11_000);
    let lost = net.when(1, begin, |e| *e == RedisEvent::MasterTimeout).expect("times out") - begin;
    // The master's last PING may be up to ten seconds old already: then the limit has passed.
    assert!(lost.as_millis() <= 7_100, "{lost}");
}

#[test]
fn a_subscriber_that_does_not_read_is_closed() {
    let mut config = Config::default();
    config.client_output_buffer_limit.pubsub.hard_bytes = 64 << 10;
    let mut net = Net::synced_with(0, config);
    let (slow, publisher) = (net.client(0), net.client(0));
    net.ask(slow, Command::Subscribe(ChannelId(1)));
    net.stall(slow);
    let mut sent = 0u64;
    while !net.closed[slow] {
        for seq in 0..40 {
            net.send(publisher, publish(100_000 + seq));
        }
        net.run(1);
        sent += 40 * 36;
        assert!(sent < 128 << 10, "the limit is 64 KiB beyond what the kernel holds");
    }
    assert!(sent > 60 << 10);
    let closed = |event: &RedisEvent| matches!(event, RedisEvent::OutputLimit { class: "pubsub", .. });
    assert!(net.log(0, Time::ZERO).iter().any(closed));
}

#[test]
fn a_stale_replica_answers_as_it_is_told() {
    let mut net = Net::synced_with(1, Config { replica_serve_stale_data: false, ..Config::default() });
    let client = net.client(1);
    net.kill(0);
    net.run(20);
    assert_eq!(net.ask(client, Command::Ping), Some(Reply::Error(ErrorKind::MasterDown)));
    assert_eq!(net.ask(client, Command::Get(key(1))), Some(Reply::Error(ErrorKind::MasterDown)));
    assert_eq!(net.ask(client, publish(1)), Some(Reply::Int(0)));
    let info = info(&mut net, client);
    let link = info.link.expect("a replica has a link");
    assert!(!link.up && link.down_since_s == Some(0));
}

#[test]
fn a_large_load_answers_loading_and_runs_no_cron() {
    let config = Config { dataset_bytes: 64 << 20, dataset_value_bytes: 3, ..Config::default() };
    let mut net = Net::new(&[(config, None)]);
    net.start(0);
    net.run(5);
    let client = net.client(0);
    assert!(net.node(0).is_loading());
    assert_eq!(net.ask(client, Command::Ping), Some(Reply::Error(ErrorKind::Loading)));
    assert_eq!(net.ask(client, Command::Multi), Some(Reply::Ok));
    assert_eq!(net.ask(client, Command::ReplicaOf(None)), Some(Reply::Error(ErrorKind::Loading)));
    assert_eq!(net.ask(client, Command::Exec), Some(Reply::Error(ErrorKind::ExecAbort)));
    assert!(net.log(0, Time::ZERO).is_empty());
    net.run(10_000);
    assert_eq!(net.ask(client, Command::Ping), Some(Reply::Pong));
    let log = net.log(0, Time::ZERO);
    assert!(
        matches!(log[..], [RedisEvent::DbLoaded(took), RedisEvent::Ready] if took > Span::from_millis(100)),
        "{log:?}"
    );
}

#[test]
fn a_disk_based_sync_needs_no_delay() {
    let config = Config { repl_diskless_sync: false, ..Config::default() };
    let mut net = Net::new(&[(config.clone(), None), (config.clone(), Some(0)), (config, Some(0))]);
    net.start(0);
    net.run(5);
    let writer = net.client(0);
    net.ask(writer, set(4));
    net.start(1);
    net.start(2);
    net.run(700);
    assert!(net.node(1).link_up() && net.node(2).link_up());
    assert_eq!(net.node(2).data(&key(4)), Some(4));
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
fn info_and_role_show_both_sides() {
    let mut net = Net::new(&[(Config::default(), None), (Config::default(), Some(0))]);
    net.start(0);
    net.start(1);
    net.run(100);
    let (master, replica) = (net.client(0), net.client(1));
    let seen = info(&mut net, master);
    assert_eq!((seen.replicas[0].addr, seen.replicas[0].state), (addr(1), ReplicaState::WaitBgsave));
    let seen = info(&mut net, replica).link.expect("a replica has a link");
    assert_eq!((seen.up, seen.down_since_s, seen.offset), (false, Some(-1), 1));
    let role = net.ask(replica, Command::Role);
    assert_eq!(role, Some(Reply::Role(Box::new(RoleInfo::Slave { master: addr(0), state: "handshake", offset: -1 }))));
    net.run(8_000);
    let seen = info(&mut net, master);
    assert_eq!((seen.replicas[0].state, seen.second_offset), (ReplicaState::Online, -1));
    let seen = info(&mut net, replica).link.expect("a replica has a link");
    assert_eq!((seen.up, seen.down_since_s), (true, None));
}

#[test]
fn a_replica_that_is_told_to_follow_nobody_counts_from_the_loss_of_its_link() {
    let mut net = Net::synced(1);
    let client = net.client(1);
    net.command(1, Command::ReplicaOf(Some(addr(1))));
    net.run(5_000);
    let down = |net: &mut Net| info(net, client).link.expect("a replica has a link").down_since_s;
    let first = down(&mut net).expect("the link is down");
    assert!((4..=6).contains(&first), "since the link was lost, not never: {first}");
    // Told to follow somebody else while the link is down: nothing begins anew.
    net.command(1, Command::ReplicaOf(Some(crate::wire::Addr::new(addr(1).host, 1))));
    net.run(3_000);
    assert!((7..=9).contains(&down(&mut net).expect("still down")));
}

#[test]
fn a_block_shifts_the_phase_and_nothing_is_caught_up() {
    let mut net = Net::synced(1);
    net.run(350);
    net.command(1, Command::DebugSleep(Span::from_secs(5)));
    let begin = net.now;
    net.run(5_000);
    let offsets = |net: &Net| net.node(0).replication_cron_loops;
    let before = offsets(&net);
    net.run(10_500);
    assert!((10..=11).contains(&(offsets(&net) - before)));
    assert!(net.log(1, begin).is_empty(), "the link survived");
    let loops = net.node(1).replication_cron_loops;
    net.run(5_000);
    assert!((4..=5).contains(&(net.node(1).replication_cron_loops - loops)));
}

#[test]
fn a_master_is_listened_to_before_its_loop_begins() {
    let refused = |ahead_ms: u64| {
        let mut net = Net::new(&[(Config::default(), None), (Config::default(), Some(0))]);
        net.start(1);
        net.run(ahead_ms);
        net.start(0);
        let begin = net.now;
        net.run(20);
        net.when(0, begin, |e| matches!(e, RedisEvent::ReplicaAsks(_))).is_none()
    };
    assert!(!refused(0) && !refused(1), "the replica has to start up, too");
    assert!(refused(6), "it was ready before the master listened");
}

#[test]
fn a_busy_server_counts_slower_seconds_than_an_idle_one() {
    let twenty_rounds_ms = |busy: bool| {
        let mut net = Net::new(&[(Config::default(), None)]);
        net.start(0);
        let client = net.client(0);
        net.run(10);
        let (begin, first) = (net.now, net.node(0).replication_cron_loops);
        while net.node(0).replication_cron_loops < first + 20 {
            if busy {
                net.send(client, Command::Ping);
            }
            net.run(7);
        }
        (net.now - begin).as_millis() - 20_000
    };
    let (idle, busy) = (twenty_rounds_ms(false), twenty_rounds_ms(true));
    assert!((45..=80).contains(&idle), "idle: {idle} ms late after 20 rounds");
    assert!((130..=190).contains(&busy), "busy: {busy} ms late after 20 rounds");
}

#[test]
fn a_replica_may_acknowledge_before_the_child_has_exited() {
    let config = Config { repl_diskless_sync_delay: 0, ..Config::default() };
    let mut net = Net::new(&[(config.clone(), None), (config, Some(0))]);
    net.start(0);
    let (mut at_once, mut at_next_cron) = (0, 0);
    for round in 0..100 {
        let begin = net.now;
        net.start(1);
        net.run(1_500 + 37 * (round % 10));
        let when = |net: &Net, node, event| net.when(node, begin, |e| *e == event).expect("it happens");
        let (read, done) = (when(&net, 1, RedisEvent::ReceivingRdb), when(&net, 0, RedisEvent::RdbTransferDone));
        assert!(done > read, "the child measures its memory after the last byte");
        match (done - read).as_millis() {
            0..15 => at_once += 1,
            _ => at_next_cron += 1,
        }
        net.kill(1);
        net.wipe(1);
    }
    assert!(at_once >= 60 && at_next_cron >= 4, "{at_once} at once, {at_next_cron} at the next serverCron");
}

#[test]
fn an_idle_replica_asks_once_a_second_for_a_dead_master() {
    let mut net = Net::synced(1);
    net.kill(0);
    let begin = net.now;
    net.run(10_000);
    let log = net.log(1, begin);
    assert_eq!(
        log[..5],
        [
            RedisEvent::MasterConnectionLost,
            RedisEvent::CachingMaster,
            RedisEvent::ReconnectingToMaster(addr(0)),
            RedisEvent::SyncStarted,
            RedisEvent::SyncSocketError("Connection refused"),
        ]
    );
    let tries = log.iter().filter(|event| **event == RedisEvent::ConnectingToMaster(addr(0))).count();
    assert!((9..=10).contains(&tries), "{tries}");
}

#[test]
fn a_reset_replica_is_named_by_its_number() {
    let mut net = Net::synced(1);
    let begin = net.now;
    net.block(0, 1);
    net.reset_between(0, 1);
    net.run(5);
    assert_eq!(net.log(0, begin), [RedisEvent::ReplicaLostUnnamed(3)]);
}

#[test]
fn since_8_0_a_stream_that_is_never_silent_has_no_pings() {
    let grown = |release, every_s: u64| {
        let mut net = Net::synced_with(1, Config::of(release));
        let (client, begin) = (net.client(0), net.node(0).offset());
        for _ in 0..40 / every_s {
            net.ask(client, publish(1));
            net.run(every_s * 1_000);
        }
        net.node(0).offset() - begin
    };
    let pings = |every_s| {
        let bytes = grown(ServerRelease::Redis7_4, every_s) - grown(ServerRelease::Redis8_2, every_s);
        bytes / u64::from(Command::Ping.stream_bytes())
    };
    assert!((3..=5).contains(&pings(2)), "{}", pings(2));
    assert!(pings(20) <= 2, "a silent one has them: {}", pings(20));
}

#[test]
fn the_file_of_a_full_sync_comes_beside_the_stream() {
    let channel =
        Config { repl_diskless_sync_delay: 0, dataset_bytes: 200 << 20, ..Config::of(ServerRelease::Redis8_2) };
    let replica = Config { dataset_bytes: 0, ..channel.clone() };
    let mut net = Net::new(&[(channel, None), (replica, Some(0))]);
    net.start(0);
    net.run(4_000);
    net.start(1);
    let (client, begin) = (net.client(0), net.now);
    net.run(500);
    assert!(net.when(0, begin, |e| *e == RedisEvent::RdbTransferStartedOnChannel).is_some(), "forked");
    net.ask(client, set(7));
    net.run(30_000);
    assert!(net.node(1).link_up());
    assert_eq!(net.node(1).data(&key(7)), Some(7));
    assert_eq!(net.node(0).connected_replicas(), [addr(1)], "one replica, however many connections");
    let replica = net.log(1, begin);
    let place = |event: &RedisEvent| replica.iter().position(|e| e == event).unwrap_or_else(|| panic!("{event:?}"));
    let order = [
        RedisEvent::InitializeRdbChannel,
        RedisEvent::ReceivingInParallel,
        RedisEvent::ReceivingRdb,
        RedisEvent::LoadingDb,
        RedisEvent::FlushingOldData,
        RedisEvent::FinishedWithSuccess,
    ];
    assert!(order.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])), "{replica:?}");
    let buffered = replica.iter().find_map(|e| if let RedisEvent::AppliedBuffer(n) = e { Some(*n) } else { None });
    assert!(buffered.expect("it had some") >= u64::from(set(7).stream_bytes()), "{buffered:?}");
    let master = net.log(0, begin);
    assert!(master.iter().any(|e| matches!(e, RedisEvent::RdbChannelLost(_))));
    assert!(master.iter().any(|e| matches!(e, RedisEvent::ReplicaOnline(_))));
    assert!(!master.iter().any(|e| matches!(e, RedisEvent::RdbStreamed(_))));
}

#[test]
fn a_file_of_a_later_format_is_not_loaded_and_the_old_data_are_gone() {
    let mut net = Net::new(&[
        (Config::of(ServerRelease::Redis7_0), None),
        (Config { repl_diskless_sync: false, ..Config::of(ServerRelease::Redis6_2) }, None),
        (Config::of(ServerRelease::Redis7_0), Some(1)),
    ]);
    (0..3).for_each(|node| net.start(node));
    net.run(3_000);
    assert!(net.node(2).link_up(), "a newer replica of an older master is served");
    let client = net.client(1);
    net.ask(client, set(7));
    assert_eq!(net.node(1).data(&key(7)), Some(7));
    let begin = net.now;
    net.ask(client, Command::ReplicaOf(Some(addr(0))));
    net.run(20_000);
    let refused = net.log(1, begin).iter().filter(|e| **e == RedisEvent::CannotLoadFormat(10)).count();
    assert!((2..=5).contains(&refused), "again and again: {refused}");
    assert!(!net.node(1).link_up() && net.node(1).data(&key(7)).is_none());
}

#[test]
fn a_channel_takes_two() {
    let new = || Config::of(ServerRelease::Redis8_2);
    for (master, replica, on_channel) in [
        (new(), Config::of(ServerRelease::Redis7_4), false),
        (Config::of(ServerRelease::Redis7_4), new(), false),
        (Config::of(ServerRelease::Redis8_0), new(), true),
        (Config { repl_diskless_sync: false, ..new() }, new(), false),
        (new(), Config { repl_rdb_channel: false, ..new() }, false),
    ] {
        let mut net = Net::new(&[(master, None), (replica, Some(0))]);
        let begin = net.now;
        net.start(0);
        net.start(1);
        net.run(9_000);
        assert!(net.node(1).link_up());
        let used = net.when(1, begin, |e| *e == RedisEvent::InitializeRdbChannel).is_some();
        let base = net.when(1, begin, |e| matches!(e, RedisEvent::FullResyncFromMaster(..))).is_some();
        assert_eq!((used, base), (on_channel, !on_channel));
    }
}

#[test]
fn a_channel_that_breaks_is_begun_anew() {
    let channel = Config { dataset_bytes: 200 << 20, ..Config::of(ServerRelease::Redis8_2) };
    let replica = Config { dataset_bytes: 0, ..channel.clone() };
    for after_ms in [2_000, 6_000] {
        let mut net = Net::new(&[(channel.clone(), None), (replica.clone(), Some(0))]);
        net.start(0);
        net.run(4_000);
        let begin = net.now;
        net.start(1);
        net.run(after_ms);
        assert!(net.when(0, begin, |e| matches!(e, RedisEvent::FullResyncRequestedOnChannel(_))).is_some());
        net.reset_between(0, 1);
        net.run(30_000);
        assert!(net.node(1).link_up());
        assert_eq!(net.node(0).connected_replicas(), [addr(1)]);
    }
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
fn an_unchanged_master_is_a_no_op() {
    let mut net = Net::synced(1);
    let begin = net.now;
    let client = net.client(1);
    assert_eq!(net.ask(client, Command::ReplicaOf(Some(addr(0)))), Some(Reply::Ok));
    assert_eq!(net.log(1, begin), [RedisEvent::ReplicaOfNothingToDo]);
    assert!(net.node(1).link_up());
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    Publish,
    Break(u8),
    Block(u8),
    Unblock,
    Kill(u8),
    Pass(u16),
    Promote(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..40).prop_map(Step::Write),
        3 => Just(Step::Publish),
        2 => (1u8..3).prop_map(Step::Break),
        1 => (1u8..3).prop_map(Step::Block),
        1 => Just(Step::Unblock),
        1 => (0u8..3).prop_map(Step::Kill),
        4 => (1u16..2500).prop_map(Step::Pass),
        1 => (0u8..3).prop_map(Step::Promote),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn after_a_quiet_time_replicas_hold_what_their_master_holds(steps in prop::collection::vec(step(), 1..40)) {
        let mut net = Net::synced(2);
        let mut master = 0;
        let mut counter = 0;
        for step in steps {
            match step {
                Step::Write(index) => {
                    counter += 1;
                    net.command(master, Command::Set(key(index as u32), counter));
                }
                Step::Publish => net.command(master, publish(1)),
                Step::Break(node) => net.reset_between(0, node as usize),
                Step::Block(node) => {
                    net.block(0, node as usize);
                    net.reset_between(0, node as usize);
                }
                Step::Unblock => net.unblock_all(),
                Step::Kill(node) => {
                    let was = net.node(node as usize).master();
                    net.kill(node as usize);
                    net.run(50);
                    net.start(node as usize);
                    net.run(50);
                    // As Sentinel would put it right.
                    match was {
                        Some(other) => net.command(node as usize, Command::ReplicaOf(Some(other))),
                        None => net.command(node as usize, Command::ReplicaOf(None)),
                    }
                }
                Step::Pass(ms) => net.run(ms as u64),
                Step::Promote(node) => {
                    master = node as usize;
                    net.command(master, Command::ReplicaOf(None));
                    for other in (0..3).filter(|&other| other != master) {
                        net.command(other, Command::ReplicaOf(Some(addr(master))));
                    }
                }
            }
        }
        net.unblock_all();
        net.run(30_000);
        let data = |node: usize| -> Snapshot { net.node(node).data.snapshot() };
        for replica in (0..3).filter(|&node| node != master) {
            prop_assert!(net.node(replica).link_up());
            prop_assert_eq!(data(replica), data(master));
            prop_assert_eq!(net.node(replica).offset(), net.node(master).offset());
            prop_assert_eq!(net.node(replica).replid(), net.node(master).replid());
        }
    }
}

#[test]
fn a_crash_takes_its_report_s_time_and_saves_nothing() {
    let mut net = Net::synced(1);
    let (operator, other) = (net.client(0), net.client(0));
    net.ask(operator, set(1));
    let begin = net.now;
    net.send(operator, Command::DebugSegfault);
    net.run(100);
    assert_eq!(net.ask(other, Command::Ping), None, "it stands still");
    while net.nodes[0].is_some() {
        net.run(1);
    }
    let took = net.now.since(begin).as_millis();
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
        let begin = net.now;
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
    let begin = net.now;
    net.send(client, Command::FlushAll);
    net.run(300);
    assert!(net.when(0, begin, |event| *event == RedisEvent::ReplicaLost(addr(1))).is_some());
    net.run(5_000);
    assert!(net.node(1).link_up());
}

/// A server whose file takes `save_s` seconds to write and `load_s` to load.
fn large(save_s: u64, load_s: u64, config: Config) -> Config {
    let bytes = 64 << 20;
    Config {
        dataset_bytes: bytes,
        dataset_save_rate: bytes / save_s,
        dataset_load_rate: bytes / load_s,
        repl_diskless_sync_delay: 0,
        repl_timeout: 3,
        repl_ping_replica_period: 1,
        ..config
    }
}

/// A master that has loaded its data, and a replica that asks for it now. Answers when.
fn asks_for_much(config: Config) -> (Net, Time) {
    let replica = Config { dataset_bytes: 0, ..config.clone() };
    let mut net = Net::new(&[(config, None), (replica, Some(0))]);
    net.start(0);
    net.run(15_000);
    let begin = net.now;
    net.start(1);
    (net, begin)
}

#[test]
fn a_file_is_passed_on_while_it_is_written() {
    let (mut net, begin) = asks_for_much(large(12, 1, Config::default()));
    net.run(20_000);
    let when = |node, event| net.when(node, begin, |e| *e == event).unwrap_or_else(|| panic!("no {event:?}"));
    let (forked, received) = (when(0, RedisEvent::RdbTransferStarted), when(1, RedisEvent::ReceivingRdb));
    assert!((received - forked).as_millis() < 10, "the file begins with the child");
    let written = (when(1, RedisEvent::LoadingDb) - received).as_millis();
    assert!((11_900..12_300).contains(&written), "{written} ms");
    assert!(net.when(1, begin, |e| *e == RedisEvent::TimeoutReceivingBulk).is_none(), "bytes come all the time");
    assert!(net.node(1).link_up());
}

#[test]
fn a_loading_replica_is_kept() {
    let (mut net, begin) = asks_for_much(large(1, 12, Config::default()));
    net.run(20_000);
    let when = |node, event| net.when(node, begin, |e| *e == event).unwrap_or_else(|| panic!("no {event:?}"));
    let loading = (when(1, RedisEvent::FinishedWithSuccess) - when(1, RedisEvent::LoadingDb)).as_millis();
    assert!((11_900..12_300).contains(&loading), "{loading} ms");
    let dropped = |e: &RedisEvent| matches!(e, RedisEvent::ReplicaTimeout(_) | RedisEvent::ReplicaLost(_));
    assert!(net.when(0, begin, dropped).is_none(), "a newline a second says that it lives");
    assert!(net.node(1).link_up());
    // Without data nothing is said of a fork; with 64 MB it stands still for a while.
    let fork = (when(0, RedisEvent::RdbTransferStarted) - when(0, RedisEvent::StartingBgsave)).as_millis_f64();
    assert!((2.0..6.0).contains(&fork), "{fork} ms");
}

#[test]
fn a_saved_file_is_sent_piece_by_piece_and_a_replica_that_takes_none_waits() {
    let config = large(2, 1, Config { repl_diskless_sync: false, dataset_send_rate: 8 << 20, ..Config::default() });
    let (mut net, begin) = asks_for_much(config);
    net.run(1_000);
    let save = net.client(0);
    assert_eq!(net.ask(save, Command::BgSave), Some(Reply::Error(ErrorKind::SaveInProgress)), "one child at a time");
    net.run(14_000);
    let text = |node, part: &str| net.when_text(node, begin, part).unwrap_or_else(|| panic!("no {part}"));
    let saved = text(0, "Background saving terminated with success");
    let begun = net.when(1, begin, |e| matches!(e, RedisEvent::ReceivingFile(_))).expect("it comes");
    assert!((begun - saved).as_millis() < 10, "the first piece follows at once");
    let online = net.when(0, begin, |e| matches!(e, RedisEvent::ReplicaOnline(_))).expect("it is online");
    let sending = (online - begun).as_millis();
    assert!((7_800..8_300).contains(&sending), "{sending} ms for eight times what is sent in a second");
    assert!(net.node(1).link_up());
}

#[test]
fn a_save_of_its_own_is_not_shared() {
    let config = large(4, 1, Config { repl_diskless_sync: false, ..Config::default() });
    let replica = Config { dataset_bytes: 0, ..config.clone() };
    let mut net = Net::new(&[(config, None), (replica, Some(0))]);
    net.start(0);
    net.run(5_000);
    let client = net.client(0);
    net.ask(client, Command::BgSave);
    let begin = net.now;
    net.start(1);
    net.run(12_000);
    let text = |part: &str| net.when_text(0, begin, part).unwrap_or_else(|| panic!("no {part}"));
    text("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC");
    let second = net.when(0, begin, |e| *e == RedisEvent::StartingBgsaveToDisk).expect("it is begun");
    assert!((3_800..5_200).contains(&(second - begin).as_millis()), "after the first has ended");
    assert!(net.node(1).link_up());
}

#[test]
fn the_number_of_pieces_does_not_grow_with_the_file() {
    use super::speed::piece_bytes;
    for bytes in [1 << 20, 300 << 20, 2 << 30, 50 << 30, 1 << 40] {
        assert!(bytes / piece_bytes(bytes) <= 1_024, "{bytes}");
    }
    assert_eq!(piece_bytes(1_000), 256 << 10, "a small file is one piece");
}
