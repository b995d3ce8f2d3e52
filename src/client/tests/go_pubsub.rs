//! The subscriber of go-redis.

use super::*;

fn subscriber() -> Bench {
    Bench::new(config(Kind::Subscribe, Profile::GoRedisV8))
}

fn dials(bench: &Bench) -> Vec<f64> {
    bench.connects.iter().map(|(at, _)| Bench::millis(*at)).collect()
}

#[test]
fn it_subscribes_without_waiting_and_receives() {
    let mut bench = subscriber();
    bench.start(10);
    bench.push(5);
    assert_eq!(bench.ops().len(), 1, "it writes no connect line");
    assert_eq!(bench.ops()[0].1, Op::Receive { publisher: 3, seq: 5 });
    assert!(bench.client.is_connected());
}

#[test]
fn silence_is_never_detected() {
    let mut bench = subscriber();
    bench.start(10);
    bench.service = Service::Silent;
    bench.run(100_000);
    assert_eq!(bench.connects.len(), 1);
    let pings = bench.written.iter().filter(|(.., c)| *c == Command::Ping).count();
    assert_eq!(pings, 33, "a PING every three seconds, for nobody");
}

#[test]
fn a_message_is_as_good_as_a_ping() {
    let mut bench = subscriber();
    bench.start(10);
    for seq in 0..40 {
        bench.push(seq);
        bench.run(500);
    }
    assert!(!bench.written.iter().any(|(.., c)| *c == Command::Ping));
}

#[test]
fn an_ended_connection_is_replaced_at_once() {
    for how in [Ended::Eof, Ended::Reset] {
        let mut bench = subscriber();
        bench.start(1_000);
        bench.forget();
        bench.cut(how);
        bench.run(50);
        assert_eq!(dials(&bench).len(), 1);
        assert_near(dials(&bench)[0], 1_000.0, 0.1);
        assert_eq!(bench.open(), 1);
    }
}

#[test]
fn a_confirmation_ends_the_row_of_errors() {
    let mut bench = subscriber();
    bench.start(1_000);
    for _ in 0..3 {
        bench.forget();
        let before = Bench::millis(bench.now());
        bench.cut(Ended::Eof);
        bench.run(50);
        assert_eq!(dials(&bench).len(), 1);
        assert_near(dials(&bench)[0], before, 0.1);
        bench.push(1);
        bench.run(50);
        assert_eq!(bench.ops().len(), 1, "it reads at once, not after a pause");
    }
}

#[test]
fn behind_a_proxy_without_server_it_dials_every_tenth_of_a_second() {
    let mut bench = subscriber();
    bench.start(1_000);
    bench.service = Service::Closes;
    bench.forget();
    bench.cut(Ended::Eof);
    bench.run(4_000);
    // HAProxy, TCP and clients, 26.3: 44 connections in 4 s, the doubled one of 26.5 included.
    let dials = dials(&bench);
    assert!((40..=44).contains(&dials.len()), "{}", dials.len());
    assert!(dials[1] - dials[0] < 1.0, "the first error in a row has no pause");
    for pair in dials[1..].windows(2) {
        assert_near(pair[1] - pair[0], 100.5, 0.6);
    }
}

#[test]
fn refused_dials_close_the_gate() {
    let mut bench = subscriber();
    bench.start(1_000);
    bench.service = Service::Fails(ConnectError::Refused);
    bench.cut(Ended::Eof);
    bench.forget();
    bench.run(6_000);
    let dials = dials(&bench);
    let gaps: Vec<f64> = dials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[gaps.len() - 3..].iter().all(|gap| (1_000.0..1_001.5).contains(gap)), "{gaps:?}");
    bench.service = Service::Healthy;
    bench.forget();
    bench.run(1_200);
    assert_eq!(bench.open(), 1);
}

#[test]
fn the_dial_limit_is_five_seconds() {
    let mut bench = subscriber();
    bench.service = Service::BlackHole;
    bench.start(16_000);
    let dials = dials(&bench);
    assert_eq!(dials.len(), 4, "{dials:?}");
    assert_near(dials[1], 5_000.0, 0.7);
    // The first error in a row.
    assert_near(dials[2] - dials[1], 5_000.0, 0.7);
    // From then on with a pause; the health check waits for its turn with the lock and dials, too.
    assert!(dials[3] - dials[2] >= 5_000.0);
}

#[test]
fn a_ping_that_cannot_be_written_reconnects_twice() {
    let mut bench = subscriber();
    bench.service = Service::Closes;
    // Reading stops for 100 ms after the second error: a reset in that time is found by whoever writes first.
    bench.start(2_990);
    bench.service = Service::Healthy;
    bench.run(200);
    assert_eq!(bench.open(), 1);
    let Program::GoSubscriber(subscriber) = &mut bench.client.program else { panic!("a subscriber of go-redis") };
    subscriber.stop_reading();
    bench.cut(Ended::Reset);
    bench.forget();
    bench.run(3_100);
    assert_eq!(bench.connects.len(), 2);
    assert!(Bench::millis(bench.connects[1].0) - Bench::millis(bench.connects[0].0) < 1.0);
    assert_eq!(bench.open(), 1);
    let subscribed = bench.written.iter().filter(|(.., c)| matches!(c, Command::Subscribe(_))).count();
    assert_eq!(subscribed, 2);
}
