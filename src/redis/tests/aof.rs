//! The append-only file: what a death of the process and what a power loss takes, and what a restart reads.

use super::*;
use crate::redis::AppendFsync;

fn appending(appendfsync: AppendFsync) -> Config {
    Config { appendonly: true, appendfsync, save: "".parse().expect("no save points"), ..Config::default() }
}

/// How many of the keys from 1 on a server holds, which must be all up to some one.
fn kept(net: &Net, node: usize) -> u32 {
    let count = net.node(node).key_count() as u32;
    assert!((1..=count).all(|n| net.node(node).data(&key(n)).is_some()), "the oldest are kept");
    count
}

/// Writes one key every 50 ms.
fn write(net: &mut Net, client: usize, keys: std::ops::RangeInclusive<u32>) {
    for n in keys {
        assert_eq!(net.ask(client, set(n)), Some(Reply::Ok));
        net.run(46);
    }
}

#[test]
fn the_death_of_the_process_takes_nothing_that_was_answered() {
    for mode in [AppendFsync::Always, AppendFsync::Everysec, AppendFsync::No] {
        let mut net = Net::synced_with(0, appending(mode));
        let client = net.client(0);
        write(&mut net, client, 1..=30);
        let begin = net.now();
        back_after(&mut net, Net::kill, 0);
        assert_eq!(kept(&net, 0), 30, "{mode:?}");
        let log = net.log(0, begin);
        assert!(matches!(log[..], [RedisEvent::AofLoaded(_), RedisEvent::Ready]), "{log:?}");
    }
}

#[test]
fn a_power_loss_takes_what_was_not_synced() {
    let left = |mode, keys: u32, after_ms| {
        let mut net = Net::synced_with(0, appending(mode));
        let client = net.client(0);
        write(&mut net, client, 1..=keys);
        net.run(after_ms);
        back_after(&mut net, Net::cut_power, 0);
        kept(&net, 0)
    };
    assert_eq!(left(AppendFsync::Always, 50, 0), 50);
    let every_second: Vec<u32> = (0..10).map(|n| left(AppendFsync::Everysec, 50 + 2 * n, 0) - 2 * n).collect();
    // 20 writes a second, and the sync of a new second covers what came in the one before.
    assert!(every_second.iter().all(|&kept| (29..=50).contains(&kept)), "{every_second:?}");
    assert!(every_second.iter().any(|&kept| kept < 45), "{every_second:?}");
    assert_eq!(left(AppendFsync::Everysec, 50, 1_300), 50, "an idle server syncs too");
    assert_eq!(left(AppendFsync::No, 50, 20_000), 0, "the kernel has not written it back yet");
    assert_eq!(left(AppendFsync::No, 50, 36_000), 50);
}

#[test]
fn what_the_kernel_held_through_a_restart_still_goes_with_the_power() {
    let mut net = Net::synced_with(0, appending(AppendFsync::No));
    let client = net.client(0);
    write(&mut net, client, 1..=10);
    back_after(&mut net, Net::kill, 0);
    assert_eq!(kept(&net, 0), 10);
    back_after(&mut net, Net::cut_power, 0);
    assert_eq!(kept(&net, 0), 0);
}

#[test]
fn the_log_goes_before_the_rdb_file_and_knows_no_history() {
    let mut net = Net::synced_with(1, appending(AppendFsync::Everysec));
    let client = net.client(0);
    net.ask(client, set(1));
    net.ask(client, Command::Save);
    net.ask(client, set(2));
    let replid = net.node(0).replid();
    assert!(net.node(0).disk().rdb.is_some_and(|rdb| rdb.info.is_some()));
    net.kill(0);
    let begin = net.now();
    net.start(0);
    net.run(9_000);
    assert_eq!(kept(&net, 0), 2);
    assert_ne!(net.node(0).replid(), replid);
    let log = net.log(1, begin);
    assert!(log.iter().any(|event| matches!(event, RedisEvent::FullResyncFromMaster(..))), "{log:?}");
    assert_eq!(kept(&net, 1), 2);
}

#[test]
fn a_server_that_starts_with_a_log_reads_no_rdb_file() {
    let mut net = Net::synced_with(0, Config::default());
    let client = net.client(0);
    net.ask(client, set(1));
    net.ask(client, Command::Save);
    net.kill(0);
    net.configure(0, appending(AppendFsync::Everysec));
    let begin = net.now();
    net.start(0);
    net.run(20);
    assert_eq!(net.node(0).key_count(), 0);
    assert!(net.when_text(0, begin, "Creating AOF base file appendonly.aof.1.base.rdb").is_some());
    assert_eq!(net.log(0, begin), [RedisEvent::Ready]);
}

#[test]
fn until_its_first_rewriting_is_done_a_replica_that_was_synchronised_restarts_with_what_it_had() {
    // 400 MB take the child some seconds.
    let master = Config { dataset_bytes: 400 << 20, repl_diskless_sync_delay: 0, ..Config::default() };
    let mut net = Net::new(&[(master, None), (appending(AppendFsync::Everysec), Some(0))]);
    net.start(0);
    net.run(8_000);
    let begin = net.now();
    net.start(1);
    while net.when_text(1, begin, "Creating AOF incr file temp-appendonly.aof.incr").is_none() {
        net.run(100);
    }
    let left = net.node(1).disk().aof.expect("it has a log");
    assert_eq!(left.contents().keys(), 0);
    while net.when_text(1, begin, "Background AOF rewrite finished successfully").is_none() {
        net.run(100);
    }
    let left = net.node(1).disk().aof.expect("it has a log");
    assert_eq!(left.contents().keys(), net.node(0).data.keys());
}

#[test]
fn a_log_that_has_grown_is_rewritten() {
    let mut config = appending(AppendFsync::No);
    config.auto_aof_rewrite_min_size = 1_000;
    let mut net = Net::synced_with(0, config);
    let client = net.client(0);
    let begin = net.now();
    write(&mut net, client, 1..=40);
    net.run(500);
    assert!(net.when_text(0, begin, "Starting automatic rewriting of AOF on").is_some());
    assert!(net.when_text(0, begin, "Successfully renamed the temporary AOF base file").is_some());
    back_after(&mut net, Net::cut_power, 0);
    assert!(kept(&net, 0) >= 20, "what the new base holds is on the disk");
}

#[test]
fn without_syncs_beside_a_child_a_power_loss_takes_more() {
    for no_appendfsync_on_rewrite in [false, true] {
        let config = Config { no_appendfsync_on_rewrite, dataset_bytes: 800 << 20, ..appending(AppendFsync::Always) };
        let mut net = Net::synced_with(0, config);
        let client = net.client(0);
        net.ask(client, Command::BgSave);
        net.run(50);
        write(&mut net, client, 1..=20);
        assert!(net.node(0).child.is_some(), "it still saves");
        net.cut_power(0);
        net.start(0);
        net.run(60_000);
        assert_eq!(kept(&net, 0), if no_appendfsync_on_rewrite { 0 } else { 20 });
    }
}

#[test]
fn flushall_is_in_the_log_too() {
    let mut net = Net::synced_with(1, appending(AppendFsync::Always));
    let client = net.client(0);
    net.ask(client, set(1));
    net.ask(client, Command::FlushAll);
    net.ask(client, set(2));
    for node in [0, 1] {
        net.run(1_500);
        back_after(&mut net, Net::cut_power, node);
        assert_eq!((net.node(node).data(&key(1)), net.node(node).data(&key(2))), (None, Some(2)));
    }
}

#[test]
fn an_orderly_end_syncs_the_log() {
    let mut net = Net::synced_with(0, appending(AppendFsync::No));
    let client = net.client(0);
    write(&mut net, client, 1..=5);
    let begin = net.now();
    net.terminate(0);
    net.run(300);
    assert!(net.nodes[0].is_none());
    assert!(net.when_text(0, begin, "Calling fsync() on the AOF file.").is_some());
    net.lose_power(0);
    net.start(0);
    net.run(20);
    assert_eq!(kept(&net, 0), 5);
}

#[test]
fn a_power_loss_leaves_the_old_rdb_file_while_a_new_one_is_written() {
    let config = Config { dataset_bytes: 400 << 20, ..Config::default() };
    let mut net = Net::synced_with(0, config);
    net.run(10_000);
    let client = net.client(0);
    net.ask(client, set(1));
    net.ask(client, Command::BgSave);
    net.run(200);
    assert!(net.node(0).child.is_some());
    net.cut_power(0);
    net.start(0);
    net.run(20_000);
    assert_eq!((net.node(0).data(&key(1)), net.node(0).data.keys() > 0), (None, true));
}

#[test]
fn an_old_release_has_one_file_and_syncs_by_the_same_law() {
    let config = Config { appendonly: true, ..Config::of(ServerRelease::Redis6_2) };
    let mut net = Net::synced_with(0, config);
    let client = net.client(0);
    write(&mut net, client, 1..=30);
    let begin = net.now();
    back_after(&mut net, Net::kill, 0);
    assert_eq!(kept(&net, 0), 30);
    assert_eq!(net.when_text(0, begin, "base file"), None);
}

fn config_set(name: &str, value: &str) -> Command {
    Command::ConfigSet(vec![(name.into(), value.into())])
}

#[test]
fn a_log_that_is_turned_on_begins_with_what_there_is() {
    let mut net = Net::synced_with(0, Config { config_file: true, ..Config::default() });
    let client = net.client(0);
    write(&mut net, client, 1..=10);
    let begin = net.now();
    assert_eq!(net.ask(client, config_set("appendonly", "yes")), Some(Reply::Ok));
    assert_eq!(net.ask(client, Command::ConfigRewrite), Some(Reply::Ok));
    assert!(net.node(0).disk().aof.is_none(), "nothing that a start would find, until the first rewriting is done");
    write(&mut net, client, 11..=20);
    net.run(2_500);
    for line in [
        "Creating AOF incr file temp-appendonly.aof.incr on background rewrite",
        "Successfully renamed the temporary AOF base file temp-rewriteaof-bg-1.aof into appendonly.aof.1.base.rdb",
        "Successfully renamed the temporary AOF incr file temp-appendonly.aof.incr into appendonly.aof.1.incr.aof",
    ] {
        assert!(net.when_text(0, begin, line).is_some(), "{line}");
    }
    back_after(&mut net, Net::cut_power, 0);
    assert_eq!(kept(&net, 0), 20);
}

#[test]
fn a_log_that_is_turned_off_ends_there() {
    let mut net = Net::synced_with(0, appending(AppendFsync::No));
    let client = net.client(0);
    write(&mut net, client, 1..=10);
    assert_eq!(net.ask(client, config_set("appendonly", "no")), Some(Reply::Ok));
    write(&mut net, client, 11..=20);
    // The command line still asks for a log.
    back_after(&mut net, Net::cut_power, 0);
    assert_eq!(kept(&net, 0), 10, "it was synced when it was closed");
}

#[test]
fn bgrewriteaof_begins_waits_or_is_under_way() {
    let config = Config { dataset_bytes: 400 << 20, dataset_fork_per_gb: Span::ZERO, ..appending(AppendFsync::No) };
    let mut net = Net::synced_with(0, config);
    net.run(8_000);
    let client = net.client(0);
    let begin = net.now();
    assert_eq!(net.ask(client, Command::BgSave), Some(Reply::SavingStarted));
    assert_eq!(net.ask(client, Command::BgRewriteAof), Some(Reply::RewritingScheduled));
    while net.when_text(0, begin, "Background append only file rewriting started by pid").is_none() {
        net.run(100);
    }
    let refused = Reply::Error(ErrorKind::RewriteInProgress);
    assert_eq!(net.ask(client, Command::BgRewriteAof), Some(refused));
    net.run(8_000);
    assert!(net.when_text(0, begin, "Background AOF rewrite finished successfully").is_some());
    assert_eq!(net.ask(client, Command::BgRewriteAof), Some(Reply::RewritingStarted));
}

#[test]
fn bgrewriteaof_without_a_log_leaves_a_base_that_only_a_start_with_one_reads() {
    let mut net = Net::synced_with(0, Config::default());
    let client = net.client(0);
    write(&mut net, client, 1..=10);
    assert_eq!(net.ask(client, Command::BgRewriteAof), Some(Reply::RewritingStarted));
    net.run(500);
    write(&mut net, client, 11..=20);
    back_after(&mut net, Net::kill, 0);
    assert_eq!(kept(&net, 0), 0, "there is no RDB file");
    net.kill(0);
    net.configure(0, appending(AppendFsync::No));
    net.start(0);
    net.run(20);
    assert_eq!(kept(&net, 0), 10);
}

#[test]
fn a_server_that_loads_does_not_turn_its_log_on() {
    let mut net = Net::new(&[(Config { dataset_bytes: 400 << 20, ..Config::default() }, None)]);
    net.start(0);
    net.run(200);
    assert!(net.node(0).is_loading());
    let client = net.client(0);
    let loading = Reply::Error(ErrorKind::Loading);
    assert_eq!(net.ask(client, config_set("appendonly", "yes")), Some(loading));
    assert_eq!(net.ask(client, config_set("hz", "20")), Some(Reply::Ok));
}
