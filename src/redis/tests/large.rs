//! Data sets that take time to save, send and load.

use super::*;

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

/// A master that has loaded its data, and a replica that asks for it now. Returns when.
fn asks_for_much(config: Config) -> (Net, Time) {
    let replica = Config { dataset_bytes: 0, ..config.clone() };
    let mut net = Net::new(&[(config, None), (replica, Some(0))]);
    net.start(0);
    net.run(15_000);
    let begin = net.now();
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
    let begin = net.now();
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
    use crate::redis::speed::piece_bytes;
    for bytes in [1 << 20, 300 << 20, 2 << 30, 50 << 30, 1 << 40] {
        assert!(bytes / piece_bytes(bytes) <= 1_024, "{bytes}");
    }
    assert_eq!(piece_bytes(1_000), 256 << 10, "a small file is one piece");
}
