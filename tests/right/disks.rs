//! Disks: what a power loss takes, what waits for a disk, and what a full one stops.

use crate::support::{refusal, run, scenario};

/// A server alone and a writer; its machine loses its power for a second.
fn alone(appendfsync: &str, rest: &str) -> String {
    format!(
        "duration = '30s'\nphase = '0s'\n[stack]\nredis = 1\nhaproxy = false\n\
         [redis]\nappendonly = true\nsave = ''\nappendfsync = '{appendfsync}'\n\
         [[client]]\nname = 'w'\nkind = 'set'\nvia = 'address'\nevery = '20ms'\n\
         [[fault]]\nat = '22s'\naction = 'power-off'\nnode = 'redis-1'\n\
         [[fault]]\nat = '23s'\naction = 'start'\nnode = 'redis-1'\n{rest}"
    )
}

fn lost(text: &str, seed: u64) -> u64 {
    run(text, seed).analysis.ledger.writes.lost.expect("there is a master")
}

#[test]
fn what_a_power_loss_takes_depends_on_appendfsync() {
    let all = |appendfsync: &str| (1..=6).map(|seed| lost(&alone(appendfsync, ""), seed)).collect::<Vec<_>>();
    assert_eq!(all("always"), [0; 6]);
    let (second, never) = (all("everysec"), all("no"));
    assert!(second.iter().all(|lost| *lost <= 51) && second.iter().any(|lost| *lost > 5), "{second:?}");
    assert!(never.iter().all(|lost| *lost > 500), "{never:?}");
}

/// The writer's answer waits for the disk; the machine dies first, so that it must not leave.
#[test]
fn an_answer_that_waits_for_the_disk_does_not_leave_a_dead_machine() {
    let slow = "[[fault]]\nat = '20s'\naction = 'slow-disk'\nnode = 'redis-1'\nfsync = '700ms'\n";
    for seed in 1..=6 {
        assert_eq!(lost(&alone("always", slow), seed), 0, "seed {seed}");
    }
}

/// What has arrived while the disk was at work is written and synced together: one `fsync` a pass, not one a write.
#[test]
fn writes_that_arrive_together_share_a_sync() {
    let text = "duration = '5s'\nphase = '0s'\n[stack]\nredis = 1\nhaproxy = false\n\
        [redis]\nappendonly = true\nappendfsync = 'always'\n\
        [[client]]\nname = 'w'\nkind = 'set'\nvia = 'address'\nconnections = 10\npause = { min = '0ms', max = '0ms' }\n\
        [[fault]]\nat = '0s'\naction = 'slow-disk'\nnode = 'redis-1'\nfsync = '100ms'\n";
    let answered = run(text, 1).analysis.ledger.writes.acknowledged;
    // Whoever comes first meets an idle disk and goes alone; the nine others follow together. One a sync would be 50.
    assert!((150..=510).contains(&answered), "{answered}");
}

#[test]
fn a_full_disk_fails_over_a_healthy_master() {
    let text = "duration = '40s'\nphase = '0s'\n[redis]\nsave = '5 1'\n[[fault]]\nat = '1s'\naction = 'disk-full'\nnode = 'redis-1'\n";
    let ran = run(text, 1);
    assert!(ran.analysis.lines_with(Some("redis-1"), "Background saving error").next().is_some());
    assert_ne!(ran.analysis.final_master.as_deref(), Some("redis-1"));
    // With its room back in time nobody notices.
    let ran = run(&format!("{text}for = '2s'\n"), 1);
    assert_eq!(ran.analysis.final_master.as_deref(), Some("redis-1"));
}

#[test]
fn what_makes_no_sense_of_a_disk_is_refused() {
    for (rest, words) in [
        ("action = 'slow-disk'\nnode = 'redis-1'\n", "fsync"),
        ("action = 'slow-disk'\nnode = 'redis-1'\nfsync = '0s'\n", "a disk that is not slow"),
        ("action = 'slow-disk'\nnode = 'haproxy'\nfsync = '1s'\n", "this program writes no files"),
        ("action = 'disk-full'\nnode = 'redis-1'\nfor = '0s'\n", "a disturbance of no length"),
        ("action = 'disk-full'\nnode = 'redis-9'\n", "redis-9"),
    ] {
        let text = refusal(&format!("[[fault]]\nat = '1s'\n{rest}"));
        assert!(text.contains(words), "{words} in {text}");
    }
    let text = "[[fault]]\nat = '1s'\naction = 'disk-full'\nnode = '@master'\n[[fault]]\nat = '2s'\naction = 'heal'\n";
    assert_eq!(scenario(text).faults.len(), 2);
}

/// A Sentinel votes on a disk that takes twelve seconds for its file, and is killed in the middle of that.
#[test]
fn who_is_killed_while_it_writes_says_nothing_more() {
    let killed = "[[fault]]\nat = '3s'\naction = 'kill'\nnode = 'sentinel-3'\n";
    let text = "duration = '40s'\nphase = '0s'\n[sentinel]\ndown-after-milliseconds = 2000\n\
        [[fault]]\nat = '0s'\naction = 'slow-disk'\nnode = 'sentinel-3'\nfsync = '4s'\n\
        [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";
    let said_after = |text: &str, us: i64| {
        let ran = run(text, 1);
        let recording = &ran.result.recording;
        let said = |record: &&sim::record::Record| {
            recording.names.node(record.node) == "sentinel-3" && recording.micros(record.time) > us
        };
        recording.records.iter().filter(said).count()
    };
    assert!(said_after(text, 3_100_000) > 0, "it goes on if nobody kills it");
    assert_eq!(said_after(&format!("{text}{killed}"), 3_100_000), 0);
}
