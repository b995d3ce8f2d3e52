//! What clients ask and get: PUBLISH, writes, WAIT, CLIENT KILL, and who is closed.

use super::*;

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
    let begin = net.now();
    while net.ask(client, set(1)) == Some(Reply::Ok) {
        net.run(20);
        assert!((net.now() - begin).as_millis() < 10_000);
    }
    let after = (net.now() - begin).as_millis();
    assert!((2_000..=5_100).contains(&after), "{after} ms");
    assert_eq!(net.ask(client, set(1)), Some(Reply::Error(ErrorKind::NoReplicas)));
    assert_eq!(net.ask(client, publish(1)), Some(Reply::Int(0)));
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
    let closed = |event: &RedisEvent| matches!(event, RedisEvent::OutputLimit(OverLimit { class: "pubsub", .. }));
    assert!(net.log(0, Time::ZERO).iter().any(closed));
}
