//! A disk that is slow or full.

use super::*;
use crate::program::Volume;
use crate::redis::AppendFsync;

const FULL: Volume = Volume { fsync: Span::ZERO, full: true };
const MISCONF: Option<Reply> = Some(Reply::Error(ErrorKind::Misconf));
const MISCONF_AOF: Option<Reply> = Some(Reply::Error(ErrorKind::MisconfAof));

fn saving(release: ServerRelease) -> Config {
    Config { save: "1 1".parse().expect("a save point"), ..Config::of(release) }
}

fn appending(appendfsync: AppendFsync) -> Config {
    Config { appendonly: true, appendfsync, save: "".parse().expect("no save points"), ..Config::default() }
}

#[test]
fn a_failed_save_stops_writes_and_pongs_until_one_succeeds() {
    let mut net = Net::synced_with(0, saving(ServerRelease::default()));
    let client = net.client(0);
    net.set_volume(0, FULL);
    let begin = net.now();
    assert_eq!(net.ask(client, set(1)), Some(Reply::Ok));
    net.run(3_000);
    for line in ["Write error saving DB on disk(fflush): No space left on device", "Background saving error"] {
        assert!(net.when_text(0, begin, line).is_some(), "{line}");
    }
    assert_eq!(net.ask(client, set(2)), MISCONF);
    assert_eq!(net.ask(client, Command::Ping), MISCONF);
    assert!(matches!(net.ask(client, publish(1)), Some(Reply::Int(_))));
    assert!(matches!(net.ask(client, Command::Get(key(1))), Some(Reply::Value(Some(1)))));
    assert_eq!(net.ask(client, Command::Save), Some(Reply::Error(ErrorKind::Err)));
    net.set_volume(0, Volume::default());
    net.run(7_500);
    assert_eq!(net.ask(client, Command::Ping), Some(Reply::Pong), "the save points were tried again after 5 s");
    assert_eq!(net.ask(client, set(2)), Some(Reply::Ok));
}

#[test]
fn without_save_points_or_by_choice_a_failed_save_stops_nothing() {
    let stop = Config { stop_writes_on_bgsave_error: false, ..saving(ServerRelease::default()) };
    let none = Config { save: "".parse().expect("no save points"), ..Config::default() };
    for config in [stop, none] {
        let mut net = Net::synced_with(0, config);
        let client = net.client(0);
        net.set_volume(0, FULL);
        let begin = net.now();
        net.ask(client, set(1));
        net.ask(client, Command::BgSave);
        net.run(2_000);
        assert!(net.when_text(0, begin, "Background saving error").is_some());
        assert_eq!((net.ask(client, set(2)), net.ask(client, Command::Ping)), (Some(Reply::Ok), Some(Reply::Pong)));
    }
}

#[test]
fn a_replica_with_a_full_disk_ends_at_the_next_write_since_7_0() {
    for release in [ServerRelease::Redis6_2, ServerRelease::Redis7_0] {
        let mut net = Net::synced_with(1, saving(release));
        let (client, reader) = (net.client(0), net.client(1));
        net.ask(client, set(1));
        net.run(5_000);
        net.set_volume(1, FULL);
        net.ask(client, set(2));
        net.run(3_000);
        let dies = release == ServerRelease::Redis7_0;
        assert_eq!(net.ask(reader, Command::Ping), if dies { MISCONF } else { Some(Reply::Pong) });
        net.ask(client, set(3));
        net.run(500);
        assert_eq!(net.nodes[1].is_none(), dies, "{release:?}");
    }
}

#[test]
fn a_full_disk_refuses_an_orderly_end() {
    let mut net = Net::synced_with(0, saving(ServerRelease::default()));
    let (client, other) = (net.client(0), net.client(0));
    net.set_volume(0, FULL);
    let begin = net.now();
    net.terminate(0);
    net.run(500);
    assert!(net.when_text(0, begin, "Error trying to save the DB, can't exit.").is_some());
    assert_eq!(net.ask(client, Command::Ping), Some(Reply::Pong));
    let shutdown = |save| Command::Shutdown { now: false, save };
    assert_eq!(net.ask(client, shutdown(None)), Some(Reply::Error(ErrorKind::ShutdownFails)));
    net.ask(other, shutdown(Some(false)));
    net.run(100);
    assert!(net.nodes[0].is_none());
}

#[test]
fn a_log_that_cannot_be_written_keeps_what_it_has_and_refuses_more() {
    let mut net = Net::synced_with(0, appending(AppendFsync::Everysec));
    let client = net.client(0);
    net.ask(client, set(1));
    net.set_volume(0, FULL);
    let begin = net.now();
    assert_eq!(net.ask(client, set(2)), Some(Reply::Ok), "it is executed before the log is written");
    assert_eq!(net.ask(client, set(3)), MISCONF_AOF);
    assert_eq!(net.ask(client, Command::Ping), MISCONF_AOF);
    assert!(net.when_text(0, begin, "Error writing to the AOF file: No space left on device").is_some());
    net.set_volume(0, Volume::default());
    net.run(200);
    assert!(net.when_text(0, begin, "AOF write error looks solved, Redis can write again.").is_some());
    assert_eq!(net.ask(client, set(3)), Some(Reply::Ok));
    back_after(&mut net, Net::kill, 0);
    assert_eq!(net.node(0).key_count(), 3);
}

#[test]
fn under_always_a_server_whose_log_cannot_be_written_ends_unanswered() {
    let mut net = Net::synced_with(0, appending(AppendFsync::Always));
    let client = net.client(0);
    net.ask(client, set(1));
    net.set_volume(0, FULL);
    let begin = net.now();
    assert_eq!(net.ask(client, set(2)), None);
    net.run(10);
    assert!(net.nodes[0].is_none());
    assert!(net.when_text(0, begin, "Can't recover from AOF write error").is_some());
    net.set_volume(0, Volume::default());
    net.start(0);
    net.run(20);
    assert_eq!((net.node(0).data(&key(1)), net.node(0).data(&key(2))), (Some(1), None));
}

#[test]
fn a_replica_with_a_full_disk_cannot_be_synchronised_through_it() {
    let config = Config { repl_diskless_sync_delay: 0, ..Config::default() };
    let mut net = Net::new(&[(config.clone(), None), (config, Some(0))]);
    net.start(0);
    net.set_volume(1, FULL);
    let begin = net.now();
    net.start(1);
    net.run(3_000);
    assert!(!net.node(1).link_up());
    assert!(net.when_text(1, begin, "Write error or short write writing to the DB dump file").is_some());
    net.set_volume(1, Volume::default());
    net.run(3_000);
    assert!(net.node(1).link_up());
}

#[test]
fn a_slow_disk_blocks_every_write_under_always() {
    let mut net = Net::synced_with(0, appending(AppendFsync::Always));
    let client = net.client(0);
    net.set_volume(0, Volume { fsync: Span::from_millis(300), full: false });
    let begin = net.now();
    net.send(client, set(1));
    net.run(290);
    assert!(net.inbox[client].is_empty());
    net.run(20);
    assert_eq!(net.inbox[client].len(), 1, "{:?}", net.now().since(begin));
}

#[test]
fn under_everysec_a_slow_disk_blocks_only_after_a_while() {
    let mut net = Net::synced_with(0, appending(AppendFsync::Everysec));
    let client = net.client(0);
    net.set_volume(0, Volume { fsync: Span::from_secs(6), full: false });
    let begin = net.now();
    let mut slowest = Span::ZERO;
    for n in 1..=100 {
        let asked = net.now();
        let before = net.inbox[client].len();
        net.send(client, set(n));
        while net.inbox[client].len() == before {
            net.run(1);
        }
        slowest = slowest.max(net.now().since(asked));
        net.run(50);
    }
    let late = net.when(0, begin, |event| *event == RedisEvent::AofFsyncSlow).expect("it says so").since(begin);
    // Whole seconds of the clock, of which the first has begun.
    assert!((1_000..=2_200).contains(&late.as_millis()), "{late}");
    assert!(net.node(0).delayed_fsyncs() > 0);
    assert!((3_800..=5_000).contains(&slowest.as_millis()), "the rest of the sync: {slowest}");
}

#[test]
fn what_was_postponed_goes_with_the_process() {
    let mut net = Net::synced_with(0, appending(AppendFsync::Everysec));
    let client = net.client(0);
    net.ask(client, set(1));
    net.set_volume(0, Volume { fsync: Span::from_secs(6), full: false });
    net.run(1_000);
    // The second of these begins a sync, or finds one under way; the last is answered and waits in the buffer.
    for n in 2..=24 {
        assert_eq!(net.ask(client, set(n)), Some(Reply::Ok));
        net.run(50);
    }
    back_after(&mut net, Net::kill, 0);
    assert!((1..24).contains(&net.node(0).key_count()), "{}", net.node(0).key_count());
}
