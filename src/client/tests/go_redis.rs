//! The pool of go-redis.

use super::*;

fn publisher(every_ms: u64) -> Bench {
    let every = Span::from_millis(every_ms);
    Bench::new(Config { every, ..config(Kind::Publish, Profile::GoRedisV8) })
}

fn pool_idle(bench: &Bench) -> usize {
    match &bench.client.program {
        Program::GoWriter(writer) => writer.pool().idle_count(),
        _ => panic!("a publisher of go-redis"),
    }
}

#[test]
fn one_connection_serves_commands_that_do_not_overlap() {
    let mut bench = publisher(50);
    bench.start(1_010);
    assert_eq!(outcomes(&bench), [Outcome::Ok; 20]);
    assert_eq!((bench.connects.len(), pool_idle(&bench)), (1, 1));
    assert!(connects(&bench).is_empty(), "the recorder writes no connect lines");
    for (n, (at, ..)) in publishes(&bench).iter().enumerate() {
        assert_near(*at, 50.5 + 50.0 * n as f64, 0.9);
    }
}

#[test]
fn four_quick_failures_take_the_sums_of_the_fixed_jitter() {
    // HAProxy, TCP and clients, 24.2: sums and what was measured, which is 3.7 to 4.7 ms more.
    let sums = [(64.1, 68.0), (71.3, 75.0), (107.9, 111.0), (40.3, 45.0)];
    let mut bench = publisher(1_000);
    bench.service = Service::Closes;
    bench.start(4_500);
    let attempts = publishes(&bench);
    assert_eq!(outcomes(&bench), [Outcome::ReplyClosed; 4]);
    for ((.., took), (sum, measured)) in attempts.iter().zip(sums) {
        assert!((sum..measured + 0.5).contains(took), "{took} is not in {sum}..{measured}");
    }
    assert_eq!(bench.connects.len(), 16);
}

#[test]
fn a_silent_service_costs_four_read_deadlines() {
    let mut bench = publisher(20_000);
    bench.service = Service::Silent;
    bench.start(40_000);
    let (_, _, outcome, took) = publishes(&bench)[0];
    assert_eq!(outcome, Outcome::ReplyTimeout);
    assert_near(took, 12_066.0, 5.0);
    assert_eq!(
        bench
            .written
            .iter()
            .filter(|(.., c)| *c == command(&Config::default(), Kind::Publish, ChannelId(1), 0, 1, false))
            .count(),
        4
    );
}

#[test]
fn dead_idle_connections_burn_an_attempt_each() {
    for dead in 1..=5 {
        let mut bench = publisher(1_000);
        bench.give(Input::Start);
        // The same goroutine start, `dead` times at once: each dials its own connection.
        for _ in 0..dead {
            bench.give(Input::Timer(crate::program::TimerId(0)));
        }
        bench.run(100);
        assert_eq!(pool_idle(&bench), dead);
        bench.cut(Ended::Eof);
        assert_eq!(pool_idle(&bench), dead, "nobody looks at an idle connection");
        bench.forget();
        bench.run(20_000);
        let (_, _, outcome, took) = publishes(&bench)[0];
        // HAProxy, TCP and clients, 25.2: measured 22, 41 and 68 ms, and 65 ms with the fourth.
        let (expected, measured) = match dead {
            1 => (Outcome::Ok, 22.0),
            2 => (Outcome::Ok, 41.0),
            3 => (Outcome::Ok, 68.0),
            _ => (Outcome::ReplyClosed, 65.0),
        };
        assert_eq!(outcome, expected, "{dead} dead connections");
        assert_near(took, measured, 3.5);
        assert_eq!(publishes(&bench)[1].2, Outcome::Ok, "the next one works down the rest");
    }
}

#[test]
fn readonly_closes_the_connection_and_retries() {
    let mut bench = publisher(1_000);
    bench.service = Service::Error(ErrorKind::Readonly);
    bench.start(1_500);
    assert_eq!(outcomes(&bench), [Outcome::Readonly]);
    assert_eq!((bench.connects.len(), bench.open()), (4, 0));
}

#[test]
fn loading_keeps_the_connection_and_retries_and_other_errors_do_not() {
    for (kind, outcome, attempts) in [
        (ErrorKind::Loading, Outcome::Loading, 4),
        (ErrorKind::MaxClients, Outcome::Err, 4),
        (ErrorKind::NoReplicas, Outcome::NoReplicas, 1),
        (ErrorKind::MasterDown, Outcome::MasterDown, 1),
    ] {
        let mut bench = publisher(1_000);
        bench.service = Service::Error(kind);
        bench.start(1_500);
        assert_eq!(outcomes(&bench), [outcome]);
        assert_eq!((bench.connects.len(), bench.written.len(), bench.open()), (1, attempts, 1));
    }
}

/// As in the recordings `g-haproxy-kill`: the one pooled connection dies, and SYNs vanish from then on.
fn cut_off() -> Bench {
    let mut bench = publisher(50);
    bench.start(1_020);
    bench.service = Service::BlackHole;
    bench.cut(Ended::Eof);
    bench.forget();
    bench
}

#[test]
fn the_twenty_first_command_waits_four_seconds_for_the_pool_and_fails_without_retry() {
    // The first command burns the dead connection and dials after its back-off, until 6.07 s. Twenty commands have
    // a turn; the twenty-first, at 2.05 s, gives up at 6.05 s. All others behind it are luckier.
    let mut bench = cut_off();
    bench.run(5_043);
    assert_eq!(outcomes(&bench), [Outcome::PoolTimeout]);
    let (at, seq, _, took) = publishes(&bench)[0];
    assert_eq!(seq, 41);
    assert_near(at, 2_050.5, 1.0);
    assert_near(took, 4_000.5, 1.0);
    bench.run(900);
    assert_eq!(outcomes(&bench), [Outcome::PoolTimeout], "whoever waits behind gets the turns of failed dials");
}

#[test]
fn the_gate_sinks_everybody_who_waits_when_the_twentieth_dial_fails() {
    let mut bench = cut_off();
    bench.run(6_000 + 980);
    let attempts = publishes(&bench);
    let failed = attempts.iter().filter(|attempt| attempt.2 == Outcome::ConnectTimeout).count();
    assert_eq!(attempts.iter().filter(|attempt| attempt.2 == Outcome::PoolTimeout).count(), 1);
    assert!(failed > 80, "{failed}");
    // The recordings: the first failing call took 6.02 s and was over together with those that began 6 s later.
    let (_, _, outcome, took) = *attempts.iter().find(|attempt| attempt.1 == 21).expect("the first one is over");
    assert_eq!(outcome, Outcome::ConnectTimeout);
    assert!((5_980.0..6_150.0).contains(&took), "{took}");
    for (at, seq, outcome, took) in attempts.iter().filter(|attempt| attempt.2 == Outcome::ConnectTimeout) {
        let end = at + took;
        assert!((7_010.0..8_010.0).contains(&end), "{seq} {outcome:?} {end}");
    }
}

#[test]
fn twenty_failed_dials_close_the_gate_until_the_background_dial_succeeds() {
    let mut bench = publisher(50);
    bench.service = Service::Fails(ConnectError::Refused);
    bench.start(2_000);
    assert!(outcomes(&bench).iter().all(|outcome| *outcome == Outcome::ConnectRefused));
    // Twenty dials of commands, then one a second from the background.
    let gate_closed = Bench::millis(bench.connects[19].0);
    assert!(gate_closed < 600.0, "{gate_closed}");
    let background: Vec<f64> = bench.connects[20..].iter().map(|(at, _)| Bench::millis(*at)).collect();
    assert_eq!(background.len(), 2, "{background:?}");
    assert_near(background[0], gate_closed, 1.0);
    assert_near(background[1] - background[0], 1_000.5, 1.0);

    bench.service = Service::Healthy;
    bench.forget();
    bench.run(2_000);
    let recovered = publishes(&bench).iter().find(|attempt| attempt.2 == Outcome::Ok).expect("it recovers").0;
    let next_dial = background[1] + 1_000.0;
    assert!((next_dial - 140.0..next_dial + 60.0).contains(&recovered), "{recovered} {next_dial}");
    let failed = publishes(&bench).iter().filter(|attempt| attempt.2 == Outcome::ConnectRefused).count();
    assert!(failed > 5, "the gate stays closed although the service is back");
}

#[test]
fn then_set_follows_a_publish_that_succeeded() {
    let mut bench = Bench::new(Config { then_set: true, ..config(Kind::Publish, Profile::GoRedisV8) });
    bench.start(120);
    assert_eq!(sets(&bench), [(1, Outcome::Ok), (2, Outcome::Ok)]);
    assert_eq!(bench.connects.len(), 1, "the same connection serves both");
    bench.service = Service::Closes;
    bench.cut(Ended::Eof);
    bench.run(300);
    assert!(outcomes(&bench).contains(&Outcome::ReplyClosed));
    assert_eq!(sets(&bench).len(), 2);
}

#[test]
fn connections_idle_for_five_minutes_are_closed() {
    let mut bench = publisher(50);
    bench.give(Input::Start);
    for _ in 0..3 {
        bench.give(Input::Timer(crate::program::TimerId(0)));
    }
    bench.run(1_000);
    assert_eq!(bench.open(), 3);
    // The stack hands out the last one used again and again; the reaper closes the others.
    bench.run(361_000);
    assert_eq!((bench.open(), pool_idle(&bench)), (1, 1));
}
