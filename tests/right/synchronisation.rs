//! Full synchronisations of large data sets.

use sim::analysis::metrics::Metric;

use super::support::{run, sim};

fn texts(run: &sim::Run, node: &str) -> Vec<(f64, String)> {
    let recording = &run.result.recording;
    let node = recording.names.find_node(node).expect("the node is there");
    let mine = recording.records.iter().filter(|record| record.node == node);
    mine.filter_map(|record| match &record.what {
        sim::record::What::Event(event) => Some((recording.seconds(record.time), event.text(&recording.names))),
        _ => None,
    })
    .collect()
}

/// What was printed, in one line.
fn unwrapped(said: &[u8]) -> String {
    String::from_utf8_lossy(said).split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
}

fn when(run: &sim::Run, node: &str, part: &str) -> Option<f64> {
    texts(run, node).into_iter().find(|(_, text)| text.contains(part)).map(|(at, _)| at)
}

/// With default settings two gigabytes reach both replicas, so that the death of their master costs a handful of writes.
#[test]
fn a_stack_with_two_gigabytes_survives_its_master() {
    let text = "duration = '60s'\nphase = '0s'\n[redis]\ndataset-bytes = '2gb'\n\
        [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";
    for seed in [1, 2] {
        let run = run(text, seed);
        assert_eq!(run.result.unready, None);
        let header = &run.result.recording.header;
        assert!(header.final_master.as_deref().is_some_and(|master| master != "redis-1"), "{:?}", header.final_master);
        let lost = header.lost_acked_sets.expect("there is a master");
        assert!(lost <= 20, "{lost} writes of a second's worth at most");
        for replica in ["redis-2", "redis-3"] {
            let begun = when(&run, replica, "receiving streamed RDB").expect("the file came");
            let loaded = when(&run, replica, "Flushing old data").expect("it was whole");
            assert!(loaded - begun > 15.0, "{replica} received two gigabytes in {} s", loaded - begun);
            assert_eq!(when(&run, replica, "Timeout receiving bulk data"), None);
        }
        assert!(run.result.events < 400_000, "{} events", run.result.events);
    }
}

/// A transfer and a load that both take longer than `repl-timeout` come to their end.
#[test]
fn a_synchronisation_may_take_longer_than_the_timeout() {
    let text = "duration = '60s'\nphase = '0s'\n[redis]\nrepl-timeout = 2\nrepl-diskless-sync-delay = 0\n\
        [redis.redis-1]\ndataset-bytes = '120mb'\ndataset-value-bytes = '3b'\n";
    let run = run(text, 1);
    assert_eq!(run.result.unready, None);
    for replica in ["redis-2", "redis-3"] {
        let step = |part| when(&run, replica, part).unwrap_or_else(|| panic!("{replica}: {part}"));
        let (begun, loading, done) =
            (step("receiving streamed RDB"), step("Loading DB in memory"), step("Finished with success"));
        assert!(loading - begun > 3.0 && done - loading > 3.0, "{replica}: {begun} {loading} {done}");
        assert_eq!(when(&run, replica, "Timeout receiving bulk data"), None);
    }
    assert_eq!(when(&run, "redis-1", "Disconnecting timedout replica"), None);
    let loaded = texts(&run, "redis-1").into_iter().find(|(_, text)| text.starts_with("DB loaded from disk"));
    let seconds: f64 = loaded
        .as_ref()
        .and_then(|(_, text)| text.strip_prefix("DB loaded from disk: ")?.strip_suffix(" seconds")?.parse().ok())
        .unwrap_or_else(|| panic!("{loaded:?}"));
    assert!((3.0..20.0).contains(&seconds), "the true time: {seconds}");
}

/// A master that served disk-based synchronisations and was killed is back with the data of the last of them; one that
/// served them without a disk is back with nothing.
#[test]
fn a_killed_master_has_the_file_of_its_last_synchronisation() {
    for (diskless, back) in [("no", true), ("yes", false)] {
        let text = format!(
            "duration = '30s'\nphase = '0s'\n[stack]\nsentinels = 1\nredis = 2\n[sentinel]\nquorum = 1\n\
             down-after-milliseconds = 60000\n[redis]\nsave = ''\nrepl-diskless-sync = {}\n\
             [[fault]]\nat = '2s'\naction = 'kill'\nnode = 'redis-2'\n\
             [[fault]]\nat = '4s'\naction = 'start'\nnode = 'redis-2'\n\
             [[fault]]\nat = '15s'\naction = 'kill'\nnode = 'redis-1'\n\
             [[fault]]\nat = '16s'\naction = 'start'\nnode = 'redis-1'\n",
            diskless == "yes"
        );
        let run = run(&text, 1);
        let loads = texts(&run, "redis-1").into_iter().filter(|(at, text)| *at > 15.0 && text.starts_with("DB loaded"));
        assert_eq!(loads.count() == 1, back, "repl-diskless-sync {diskless}");
    }
}

/// Nothing is said of a script that was not played.
#[test]
fn a_stack_that_never_starts_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    // One client at a time: the master has no room for its replicas.
    let text =
        "duration = '5s'\n[redis.redis-1]\nmaxclients = 1\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";
    std::fs::write(folder.path().join("crowded.toml"), text).expect("it can be written");
    for more in [&["--seed", "3"][..], &["--runs", "3"], &["--at", "1s", "--branch", "2"]] {
        let out = sim(folder.path(), &[&["run", "crowded.toml"][..], more].concat());
        let said = unwrapped(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{more:?}: {said}");
        assert!(
            said.contains("the stack is not ready after 60") && said.contains("has no link to its master"),
            "{more:?}: {said}"
        );
        assert!(!folder.path().join("output").exists(), "nothing is written: {more:?}");
    }
    let swept = sim(folder.path(), &["sweep", "crowded.toml", "--runs", "2", "--vary", "haproxy.inter=1s,2s"]);
    let said = String::from_utf8_lossy(&swept.stdout);
    assert!(said.contains("in 4 of these runs nothing was played"), "{said}");
    let checked = sim(folder.path(), &["check", "crowded.toml", "--cases", "2"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("2 cases say nothing: their stack was never ready"), "{said}");
}

/// Two nodes that follow each other, made while they cannot reach each other: the replica is behind when it is asked, so
/// the old master copies everything from it, and what its subscribers had heard comes back to them, unless an acknowledgement
/// that was lost in the cut is repeated first and meets a closed socket.
#[test]
fn a_loop_made_in_a_cut_copies_everything_and_repeats_messages() {
    let scenario = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/scenarios/loop-in-cut.toml");
    let scenario = std::sync::Arc::new(sim::scenario::Scenario::load(&scenario).expect("a right scenario"));
    let mut repeated = 0;
    for seed in 1..=12 {
        let run = sim::run(&scenario, seed);
        let copied = |(at, text): &(f64, String)| *at > 0.0 && text.contains("Full resync from master");
        assert!(texts(&run, "redis-1").iter().any(copied), "seed {seed}");
        let duplicates = run.analysis.figures().number(Metric::named("duplicates"));
        repeated += usize::from(duplicates.is_some_and(|count| count >= 1.0));
    }
    assert!(repeated >= 6, "{repeated} of 12 runs repeat messages");
}
