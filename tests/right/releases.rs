//! Releases: defaults, refusals, words, and what an upgrade changes.

use sim::record::{Event, Recording, RedisEvent, What};
use sim::redis::Config;
use sim::release::{Released, ServerRelease};

use crate::support::{refusal, run, scenario};

const DEATH: &str = "duration = '50s'\nphase = '0s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n\
                     [[fault]]\nat = '20s'\naction = 'start'\nnode = 'redis-1'\n";

/// When a node first logged an event like this after time 0, in seconds.
fn when(recording: &Recording, node: &str, like: impl Fn(&RedisEvent) -> bool) -> Option<f64> {
    let node = recording.names.find_node(node).expect("a node");
    let found = recording.records.iter().find(|record| {
        record.node == node
            && recording.seconds(record.time) >= 0.0
            && matches!(&record.what, What::Event(Event::Redis(event)) if like(event))
    });
    found.map(|record| recording.seconds(record.time))
}

#[test]
fn a_release_has_its_defaults_where_nothing_is_said() {
    let plan = scenario(
        "[redis]\nrelease = 6.2\nrepl-backlog-size = '2mb'\n[redis.redis-2]\nrelease = 'valkey-8.1'\n\
                         [redis.redis-3]\nrelease = '7.0'\nrepl-diskless-sync = false\n",
    );
    let [old, valkey, base] = &plan.redis[..] else { panic!("three nodes") };
    assert_eq!(*old, Config { repl_backlog_size: 2 << 20, ..Config::of(ServerRelease::Redis6_2) });
    assert!(!old.repl_diskless_sync && old.shutdown_timeout == 0);
    assert_eq!(
        (valkey.repl_backlog_size, valkey.replica_lazy_flush),
        (2 << 20, true),
        "what all nodes have counts more"
    );
    assert_eq!(base.release, ServerRelease::default());
    assert!(!base.repl_diskless_sync && base.shutdown_timeout == 10);
}

#[test]
fn what_a_release_does_not_have_is_refused_with_the_one_that_brought_it() {
    for (file, words) in [
        (
            "[redis]\nrelease = '6.2'\nshutdown-timeout = 3\n",
            "`shutdown-timeout` came with Redis 7.0, and this is Redis 6.2",
        ),
        ("[redis.redis-2]\nrelease = '6.0'\nreplica-announced = false\n", "came with Redis 6.2"),
        ("[redis]\nrelease = 'valkey-8.1'\ndynamic-hz = false\n", "Valkey 8.1 has given `dynamic-hz` up"),
        ("[sentinel]\nrelease = '6.2'\ninfo-period = 1000\n", "`info-period` came with Redis 7.0"),
        ("[redis]\nrelease = '5.0'\n", "expected one of \\\"6.0\\\""),
        (
            "[sentinel.sentinel-2]\nrelease = '6.2'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = '@leader'\n\
             run = ['SENTINEL', 'DEBUG', 'info-period', '100']\n",
            "SENTINEL DEBUG came with Redis 7.0",
        ),
        (
            "[redis]\nrelease = '6.0'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-2'\n\
             run = ['CLIENT', 'PAUSE', '100', 'WRITE']\n",
            "CLIENT PAUSE … WRITE came with Redis 6.2",
        ),
        (
            "[redis]\nrelease = '6.2'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-2'\n\
             run = ['CONFIG', 'SET', 'shutdown-timeout', '1']\n",
            "Unknown option",
        ),
        (
            "[redis]\nrelease = '6.0'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\nrun = ['FAILOVER']\n",
            "FAILOVER came with Redis 6.2",
        ),
        ("[haproxy]\nrelease = '1.8'\n", "expected one of \\\"2.2\\\""),
    ] {
        let said = refusal(file);
        assert!(said.contains(words), "{file}: {said}");
    }
}

#[test]
fn a_mixed_stack_is_written_and_read_again() {
    let text = "[redis.redis-2]\nrelease = '6.0'\n[sentinel.sentinel-3]\nrelease = '6.2'\n[haproxy]\nrelease = '3.0'\n";
    let plan = scenario(text);
    let again = scenario(&plan.to_toml(1, "0"));
    assert_eq!((&plan.redis, &plan.sentinel, &plan.haproxy), (&again.redis, &again.sentinel, &again.haproxy));
}

#[test]
fn a_recording_says_who_speaks_and_is_read_in_any_words() {
    let valkey = run(&format!("redis.release = 'valkey-8.1'\n{DEATH}"), 3);
    let recording = &valkey.result.recording;
    let text = recording.to_jsonl();
    assert!(text.lines().next().expect("a head").contains("\"release\":\"valkey-8.1\""));
    assert!(text.contains("PRIMARY <-> REPLICA sync: Finished with success"));
    assert!(!text.contains("MASTER <-> REPLICA"), "nobody else speaks");
    let read = Recording::parse("valkey.jsonl", &text).expect("what was written can be read");
    assert_eq!(read.to_jsonl(), text);
    assert_eq!(sim::analysis::score::cells(&read), sim::analysis::score::cells(recording));
    let base = run(DEATH, 3);
    assert!(!base.result.recording.to_jsonl().contains("\"release\""), "the reference stack goes without saying");
}

#[test]
fn before_7_0_an_old_master_is_synchronised_five_seconds_sooner_and_a_killed_one_has_a_file() {
    let sync = |release: &str| {
        let run = run(&format!("redis.release = '{release}'\n{DEATH}"), 5);
        let recording = run.result.recording;
        let asks =
            when(&recording, "redis-1", |event| matches!(event, RedisEvent::ReplicaOf(_))).expect("it is demoted");
        let done = when(&recording, "redis-1", |event| *event == RedisEvent::FinishedWithSuccess).expect("it follows");
        let loads = when(&recording, "redis-1", |event| matches!(event, RedisEvent::DbLoaded(_)));
        (done - asks, loads.is_some())
    };
    let ((old, with_file), (new, file_too)) = (sync("6.2"), sync("7.0"));
    assert!(old < 0.3, "through the disk, at once: {old}");
    assert!((4.0..6.5).contains(&new), "after the wait of a diskless one: {new}");
    assert!(with_file && !file_too, "the file of the last synchronisation is the master's own");
}

#[test]
fn a_haproxy_that_was_stopped_keeps_its_time_as_its_release_does() {
    let file = |release: &str| {
        format!(
            "haproxy.release = '{release}'\nclient = []\nduration = '9s'\nphase = '0s'\n[[fault]]\nat = '1s'\n\
             action = 'pause'\nnode = 'haproxy'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n\
             [[fault]]\nat = '1.9s'\naction = 'resume'\nnode = 'haproxy'\n"
        )
    };
    let down = |release: &str, seed| {
        let recording = run(&file(release), seed).result.recording;
        let haproxy = recording.names.haproxy().expect("one");
        let line = recording.records.iter().find(|record| {
            record.node == haproxy && recording.seconds(record.time) >= 0.0 && matches!(record.what, What::Event(_))
        });
        recording.seconds(line.expect("the dead server goes down").time)
    };
    let later = (1..=12).filter(|&seed| down("2.6", seed) > down("2.2", seed) + 0.5).count();
    assert!(later >= 8, "a stop of 0.9 s costs 2.6 its time, 2.2 does not see it: {later} of 12");
    let like_2_6 = (1..=24).filter(|&seed| (down("2.8", seed) - down("2.6", seed)).abs() < 0.2).count();
    assert!((4..=20).contains(&like_2_6), "2.8 as its threads wake up: {like_2_6} of 24");
}

#[test]
fn metrics_and_report_name_the_release() {
    let run =
        run("redis.redis-2.release = '6.2'\nredis.redis-3.release = 'valkey-8.1'\nduration = '2s'\nphase = '0s'\n", 1);
    let recording = &run.result.recording;
    let said = recording.names.releases().expect("two of another release");
    assert_eq!(said, "Redis 6.2 (redis-2), Valkey 8.1 (redis-3)");
    let lanes = sim::report::lanes::lanes(recording);
    let metrics = sim::report::metrics::metrics(recording, &lanes, sim::kernel::Span::from_secs(1));
    for (node, version) in [("redis-1", "7.0.15"), ("redis-2", "6.2.14"), ("redis-3", "7.2.4")] {
        let line = metrics.lines().find(|line| {
            line.starts_with("redis_instance_info") && line.contains(&format!("instance=\"{node}:6379\""))
        });
        assert!(line.expect("a line").contains(&format!("redis_version=\"{version}\"")), "{line:?}");
    }
}
