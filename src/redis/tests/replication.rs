//! Replication: synchronisations, partial and full, over the RDB channel, and their log.

use super::*;

#[test]
fn a_first_sync_waits_for_the_diskless_delay() {
    for shift in 0..10 {
        let mut net = Net::new(&[(Config::default(), None), (Config::default(), Some(0))]);
        net.start(0);
        net.run(shift * 137);
        net.start(1);
        let begin = net.now();
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
    let begin = net.now();
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

    let begin = net.now();
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
    let begin = net.now();
    net.command(1, Command::ReplicaOf(None));
    net.run(20);
    assert!(net.log(1, begin).contains(&RedisEvent::ReplicaLost(addr(2))));
    assert!(net.log(2, begin).contains(&RedisEvent::SuccessfulPartial));
    assert_eq!(net.node(2).replid(), net.node(1).replid());
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
fn both_ends_give_up_a_silent_link() {
    let config = Config { repl_timeout: 5, ..Config::default() };
    let mut net = Net::synced_with(1, config);
    net.command(1, Command::DebugSleep(Span::from_secs(9)));
    let begin = net.now();
    net.run(8_000);
    let lost = net.when(0, begin, |e| *e == RedisEvent::ReplicaTimeout(addr(1))).expect("times out") - begin;
    assert!((4_000..=7_100).contains(&lost.as_millis()), "{lost}");
    let config = Config { repl_timeout: 5, ..Config::default() };
    let mut net = Net::synced_with(1, config);
    net.command(0, Command::DebugSleep(Span::from_secs(12)));
    let begin = net.now();
    net.run(11_000);
    let lost = net.when(1, begin, |e| *e == RedisEvent::MasterTimeout).expect("times out") - begin;
    // The master's last PING may be up to ten seconds old already: then the limit has passed.
    assert!(lost.as_millis() <= 7_100, "{lost}");
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
    net.command(1, Command::ReplicaOf(Some(crate::wire::Addr::new(addr(1).ip, 1))));
    net.run(3_000);
    assert!((7..=9).contains(&down(&mut net).expect("still down")));
}

#[test]
fn a_block_shifts_the_phase_and_nothing_is_caught_up() {
    let mut net = Net::synced(1);
    net.run(350);
    net.command(1, Command::DebugSleep(Span::from_secs(5)));
    let begin = net.now();
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
        let begin = net.now();
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
        let (begin, first) = (net.now(), net.node(0).replication_cron_loops);
        while net.node(0).replication_cron_loops < first + 20 {
            if busy {
                net.send(client, Command::Ping);
            }
            net.run(7);
        }
        (net.now() - begin).as_millis() - 20_000
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
        let begin = net.now();
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
    let begin = net.now();
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
    let begin = net.now();
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
    let (client, begin) = (net.client(0), net.now());
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
    let begin = net.now();
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
        let begin = net.now();
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
        let begin = net.now();
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
fn an_unchanged_master_is_a_no_op() {
    let mut net = Net::synced(1);
    let begin = net.now();
    let client = net.client(1);
    assert_eq!(net.ask(client, Command::ReplicaOf(Some(addr(0)))), Some(Reply::Ok));
    assert_eq!(net.log(1, begin), [RedisEvent::ReplicaOfNothingToDo]);
    assert!(net.node(1).link_up());
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    WriteForATime(u8),
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
        3 => (0u8..40).prop_map(Step::WriteForATime),
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
                    net.command(master, Command::Set(key(index as u32), counter, Expiry::Never));
                }
                Step::WriteForATime(index) => {
                    counter += 1;
                    // The longest outlive the test.
                    let expiry = Expiry::Px(u64::from(index) * 2_000);
                    net.command(master, Command::Set(key(index as u32), counter, expiry));
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
