//! The clients of the recordings.

use super::*;

mod reference_writer {
    use super::*;

    fn publisher() -> Bench {
        Bench::new(config(Kind::Publish, Profile::Reference))
    }

    #[test]
    fn an_attempt_begins_at_every_multiple_and_one_connection_serves_all() {
        let mut bench = publisher();
        bench.start(1_020);
        let attempts = publishes(&bench);
        assert_eq!(attempts.len(), 21);
        for (n, (at, seq, outcome, took)) in attempts.iter().enumerate() {
            assert_eq!((*seq, *outcome), (n as u32 + 1, Outcome::Ok));
            let late = at - 50.0 * n as f64;
            assert!((-0.1..10.0).contains(&late), "{late}");
            assert!((0.1..1.0).contains(took), "{took}");
        }
        let on_time = attempts.iter().enumerate().filter(|(n, (at, ..))| at - 50.0 * (*n as f64) < 0.7).count();
        assert!((14..21).contains(&on_time), "a few find the processor busy: {on_time}");
        assert_eq!(connects(&bench).len(), 1);
        assert_eq!(bench.connects.len(), 1);
        assert_eq!(bench.client.counters(), Counters { attempted: 21, ok: 21, received: 0 });
    }

    #[test]
    fn ticks_inside_a_running_attempt_are_skipped() {
        let mut bench = publisher();
        bench.service = Service::Silent;
        bench.start(2_120);
        let attempts = publishes(&bench);
        assert_eq!(attempts.len(), 2);
        assert_eq!(attempts.iter().map(|attempt| attempt.1).collect::<Vec<_>>(), [1, 2]);
        for (n, (at, _, outcome, took)) in attempts.iter().enumerate() {
            assert_eq!(*outcome, Outcome::ReplyTimeout);
            assert_near(*at, 1_050.0 * n as f64, 0.7);
            assert!((1_000.0..1_002.0).contains(took), "{took}");
        }
        // A silent connection is closed, and the next attempt opens its own: the third is under way.
        assert_eq!((bench.connects.len(), bench.open()), (3, 1));
    }

    #[test]
    fn a_connect_that_fails_names_its_cause() {
        let causes = [
            (Service::BlackHole, Outcome::ConnectTimeout, 1_000.0),
            (Service::Fails(ConnectError::Refused), Outcome::ConnectRefused, 0.1),
            (Service::Fails(ConnectError::Unreachable), Outcome::ConnectUnreachable, 0.1),
        ];
        for (service, expected, least) in causes {
            let mut bench = publisher();
            bench.service = service;
            bench.start(1_049);
            let (_, _, outcome, took) = publishes(&bench)[0];
            assert_eq!(outcome, expected);
            assert!((least..least + 2.0).contains(&took), "{took}");
            assert!(connects(&bench).is_empty(), "only a connection that opened is a line");
        }
    }

    #[test]
    fn a_connection_that_closes_before_the_reply_is_one_line_open_and_one_reply_closed() {
        let mut bench = publisher();
        bench.service = Service::Closes;
        bench.start(20);
        assert_eq!(outcomes(&bench), [Outcome::ReplyClosed]);
        assert_eq!(connects(&bench)[0].1, ConnectEnd::Open);
        assert_eq!(bench.open(), 0);
    }

    #[test]
    fn an_idle_connection_that_ended_is_found_out_by_the_next_attempt() {
        for (how, written) in [(Ended::Eof, 1), (Ended::Reset, 0)] {
            let mut bench = publisher();
            bench.start(20);
            bench.cut(how);
            assert!(bench.client.is_connected(), "a blocking client does not look");
            bench.forget();
            bench.run(40);
            let (at, seq, outcome, took) = publishes(&bench)[0];
            assert_eq!((seq, outcome), (2, Outcome::ReplyClosed));
            assert_near(at, 50.0, 0.7);
            assert!(took < 0.5, "{took}");
            assert_eq!(bench.written.len(), written, "the kernel refuses what is written after RST");
            assert_eq!((bench.open(), bench.connects.len()), (0, 0));
            bench.run(50);
            assert_eq!(outcomes(&bench), [Outcome::ReplyClosed, Outcome::Ok]);
        }
    }

    #[test]
    fn an_error_reply_is_an_outcome_and_the_connection_stays() {
        let mut bench = publisher();
        bench.start(20);
        bench.service = Service::Error(ErrorKind::Readonly);
        bench.run(100);
        assert_eq!(outcomes(&bench), [Outcome::Ok, Outcome::Readonly, Outcome::Readonly]);
        assert_eq!(bench.connects.len(), 1);
    }

    #[test]
    fn a_limited_number_of_requests_ends_the_attempts() {
        let settings = Config { requests: Some(3), ..config(Kind::Set, Profile::Reference) };
        let mut bench = Bench::new(settings);
        bench.start(1_000);
        assert_eq!(sets(&bench), [(1, Outcome::Ok), (2, Outcome::Ok), (3, Outcome::Ok)]);
        assert!(!bench.client.is_connected() && bench.open() == 0);
    }
}

mod waiting_writer {
    use super::*;
    use crate::client::Wait;
    use crate::client::testing::library;

    const WAIT: Wait = Wait { replicas: 2, timeout: Span::from_millis(1_000) };

    fn writers() -> Vec<Config> {
        let mut all = vec![config(Kind::Set, Profile::Reference)];
        all.extend(["redis-py", "hiredis", "redis-rb"].map(|word| library(Kind::Set, word)));
        all.into_iter().map(|config| Config { wait: Some(WAIT), ..config }).collect()
    }

    #[test]
    fn each_set_that_succeeds_is_followed_by_wait_on_its_connection() {
        for config in writers() {
            let mut bench = Bench::new(config);
            bench.start(170);
            assert_eq!(bench.outcomes()[0], Outcome::Ok);
            let asked: Vec<_> = bench
                .written
                .iter()
                .filter(|(.., command)| matches!(command, Command::Set(..) | Command::Wait { .. }))
                .collect();
            for pair in asked.chunks_exact(2) {
                assert_eq!(pair[0].1, pair[1].1, "on one connection");
                assert!(matches!(pair[0].2, Command::Set(..)));
                assert_eq!(pair[1].2, Command::Wait { replicas: 2, timeout: Span::from_secs(1) });
            }
            bench.forget();
            bench.replicas = Some(1);
            bench.run(120);
            assert_eq!(bench.outcomes()[0], Outcome::Unreplicated);
            assert!(bench.connects.is_empty(), "the connection stays");
            assert_eq!(bench.client.counters().ok, bench.client.counters().attempted, "they are acknowledged");
        }
    }

    #[test]
    fn a_set_that_fails_is_not_waited_for() {
        for config in writers() {
            let mut bench = Bench::new(config);
            bench.service = Service::Error(ErrorKind::NoReplicas);
            bench.start(120);
            assert_eq!(bench.outcomes()[0], Outcome::NoReplicas);
            assert!(bench.written.iter().all(|(.., command)| !matches!(command, Command::Wait { .. })));
        }
    }

    #[test]
    fn a_wait_that_is_not_answered_leaves_the_set_acknowledged() {
        let mut bench = Bench::new(writers().remove(0));
        bench.replicas = None;
        bench.start(2_500);
        let (seq, outcome) = sets(&bench)[0];
        assert_eq!((seq, outcome), (1, Outcome::Unreplicated));
        let Op::Set { took, .. } = bench.ops()[1].1 else { panic!("{:?}", bench.ops()) };
        assert!((2_000..2_060).contains(&took.as_millis()), "the server's second and its own: {took}");
        for config in writers() {
            let mut bench = Bench::new(config);
            bench.replicas = None;
            bench.start(20);
            bench.cut(Ended::Reset);
            bench.run(20);
            assert_eq!(bench.outcomes(), [Outcome::Unreplicated]);
        }
    }
}

mod reference_subscriber {
    use super::*;

    fn subscriber() -> Bench {
        Bench::new(config(Kind::Subscribe, Profile::Reference))
    }

    #[test]
    fn it_is_open_when_confirmed_and_receives() {
        let mut bench = subscriber();
        bench.start(10);
        bench.push(41);
        let ops = bench.ops();
        assert_eq!(ops[0].1, Op::Connect(ConnectEnd::Open));
        assert!((0.2..1.0).contains(&ops[0].0));
        assert_eq!(ops[1].1, Op::Receive { publisher: 3, seq: 41 });
        assert_eq!(bench.client.counters(), Counters { attempted: 1, ok: 1, received: 1 });
    }

    #[test]
    fn a_quiet_connection_is_pinged_every_three_seconds_and_kept() {
        let mut bench = subscriber();
        bench.start(10_000);
        let pings: Vec<f64> =
            bench.written.iter().filter(|(_, _, c)| *c == Command::Ping).map(|(at, ..)| Bench::millis(*at)).collect();
        assert_eq!(pings.len(), 3);
        for (n, at) in pings.iter().enumerate() {
            assert_near(*at, 3_000.0 * (n + 1) as f64, 12.0);
        }
        assert_eq!(connects(&bench).len(), 1);
    }

    #[test]
    fn a_ping_without_answer_ends_the_connection_after_four_seconds() {
        let mut bench = subscriber();
        bench.start(10);
        bench.service = Service::Silent;
        bench.run(5_500);
        let lines = connects(&bench);
        let ends: Vec<ConnectEnd> = lines.iter().map(|line| line.1).collect();
        assert_eq!(ends, [ConnectEnd::Open, ConnectEnd::ReadTimeout, ConnectEnd::SubscribeTimeout]);
        assert_near(lines[1].0, 4_002.0, 4.0);
        assert_near(lines[2].0 - lines[1].0, 1_101.0, 1.5);
    }

    #[test]
    fn failures_follow_each_other_with_a_pause_of_a_tenth_of_a_second() {
        let causes = [
            (Service::Closes, ConnectEnd::SubscribeClosed, 100.0),
            (Service::BlackHole, ConnectEnd::ConnectTimeout, 1_100.0),
            (Service::Silent, ConnectEnd::SubscribeTimeout, 1_100.0),
            (Service::Fails(ConnectError::Refused), ConnectEnd::ConnectRefused, 100.0),
            (Service::Fails(ConnectError::Unreachable), ConnectEnd::ConnectUnreachable, 100.0),
        ];
        for (service, end, cycle) in causes {
            let mut bench = subscriber();
            bench.service = service;
            bench.start(4_000);
            let lines = connects(&bench);
            assert!(lines.len() >= 3 && lines.iter().all(|line| line.1 == end), "{lines:?}");
            for pair in lines.windows(2) {
                let gap = pair[1].0 - pair[0].0;
                assert!((cycle..cycle + 10.0).contains(&gap), "{gap}");
            }
        }
    }

    #[test]
    fn a_closed_subscription_is_opened_again() {
        let mut bench = subscriber();
        bench.start(10);
        bench.cut(Ended::Eof);
        bench.run(200);
        let lines = connects(&bench);
        assert_eq!(
            lines.iter().map(|line| line.1).collect::<Vec<_>>(),
            [ConnectEnd::Open, ConnectEnd::ReadClosed, ConnectEnd::Open]
        );
        assert_near(lines[2].0 - lines[1].0, 100.5, 0.6);
    }
}
