//! Crowds of subscribers, and clients with several connections.

use super::*;

mod crowd {
    use super::*;

    #[test]
    fn every_connection_subscribes_and_one_that_ends_is_opened_again() {
        let settings = Config { connections: 100, ..config(Kind::Subscribe, Profile::Reference) };
        let mut bench = Bench::new(settings);
        bench.start(20);
        assert_eq!(bench.connects.len(), 64, "64 connections at once, then a pause");
        bench.run(1_000);
        let counters = bench.client.counters();
        assert_eq!((counters.attempted, counters.ok, bench.open()), (100, 100, 100));
        bench.cut(Ended::Eof);
        bench.run(1_000);
        let after = bench.client.counters();
        assert!(after.attempted > 100 && after.attempted == after.ok, "{after:?}");
        assert!(bench.client.is_connected() && bench.open() == 100);
        assert!(bench.ops().is_empty(), "a crowd is not recorded one by one");
        for seq in [3, 4, 3, 5] {
            bench.push(seq);
        }
        bench.run(10);
        bench.push(6);
        bench.run(10);
        let heard = |heard: &Op| match heard {
            Op::Heard(heard) => (heard.publisher, heard.seqs, heard.count),
            other => panic!("{other:?}"),
        };
        let unrecorded: Vec<_> = bench.client.unrecorded().iter().map(|(_, op)| heard(op)).collect();
        let recorded: Vec<_> = bench.ops().iter().map(|(_, op)| heard(op)).collect();
        let all: Vec<_> = recorded.into_iter().chain(unrecorded).collect();
        assert_eq!(all.iter().map(|(.., count)| count).sum::<u32>(), 500, "{all:?}");
        assert!(
            all.iter().all(|(publisher, (first, last), _)| (*publisher, *first >= 3, *last <= 6) == (3, true, true))
        );
    }
}

mod load {
    use super::*;

    #[test]
    fn a_benchmark_issues_exactly_its_requests_over_all_connections() {
        let pause = Some(Pause { min: Span::ZERO, max: Span::ZERO });
        let settings =
            Config { connections: 150, pause, requests: Some(10_000), ..config(Kind::Set, Profile::Reference) };
        let mut bench = Bench::new(settings);
        bench.start(20);
        assert_eq!(bench.connects.len(), 64, "64 connections at once, then a pause");
        bench.run(10_000);
        let report = bench.client.load_report().expect("a closed loop reports");
        assert_eq!((report.issued, report.ok, report.lost), (10_000, 10_000, 0));
        assert_eq!(report.latency.total(), 10_000);
        assert_eq!(report.latency.longest(), Span::from_micros(100));
        assert!(report.replies_per_second() > 0 && report.finished > Time(1_000_000_000));
        assert!(bench.ops().is_empty(), "a benchmark is not recorded one by one");
        assert_eq!(bench.open(), 0);
    }

    #[test]
    fn a_load_goes_on_after_its_connections_broke() {
        let pause = Some(Pause { min: Span::ZERO, max: Span::from_millis(5) });
        let settings = Config { connections: 10, pause, ..config(Kind::Set, Profile::Reference) };
        let mut bench = Bench::new(settings);
        bench.start(1_000);
        bench.service = Service::Fails(ConnectError::Refused);
        bench.cut(Ended::Eof);
        bench.run(1_000);
        assert_eq!(bench.open(), 0);
        let refused = bench.connects.len();
        assert!((80..=130).contains(&refused), "each tries again after 100 ms and not sooner: {refused}");
        bench.service = Service::Healthy;
        bench.run(1_000);
        assert_eq!(bench.open(), 10);
        let report = bench.client.load_report().expect("a closed loop reports").clone();
        let tally = bench.client.tally().expect("its attempts are counted");
        let count = |outcome: Outcome| -> u64 {
            let ends = tally.slices().iter().flat_map(|slice| &slice.ends);
            ends.filter(|((other, _), _)| *other == outcome).map(|(_, times)| u64::from(times.count)).sum()
        };
        assert_eq!(count(Outcome::Ok), report.ok);
        assert_eq!(count(Outcome::ConnectRefused) + count(Outcome::ReplyClosed), report.lost);
        let longest = tally.slices().iter().flat_map(|slice| &slice.ends).map(|(_, times)| times.gap).max();
        assert!(longest.is_some_and(|gap| gap >= Span::from_millis(1_000)), "{longest:?}");
        assert_eq!(tally.slices()[0].seqs.0, 1);
        let follows = |pair: &[Slice]| pair[0].seqs.1 + 1 == pair[1].seqs.0;
        assert!(tally.slices().windows(2).all(follows), "SEQs of a tenth of a second are consecutive");
    }

    #[test]
    fn a_script_pauses_between_requests_and_survives_failures() {
        let pause = Some(Pause { min: Span::from_millis(10), max: Span::from_millis(500) });
        let settings = Config { pause, requests: Some(100), ..config(Kind::Set, Profile::Reference) };
        let mut bench = Bench::new(settings);
        bench.start(2_000);
        bench.cut(Ended::Reset);
        bench.service = Service::Fails(ConnectError::Refused);
        bench.run(2_000);
        bench.service = Service::Healthy;
        bench.run(60_000);
        let lines = sets(&bench);
        assert_eq!(lines.iter().map(|line| line.0).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
        assert!(lines.iter().any(|line| line.1 == Outcome::ConnectRefused));
        let report = bench.client.load_report().expect("a closed loop reports");
        assert_eq!(report.ok + report.lost, 100);
        let times: Vec<f64> = bench.ops().iter().map(|(at, _)| *at).collect();
        assert!(times.windows(2).all(|pair| (10.0..502.0).contains(&(pair[1] - pair[0]))));
        assert_eq!(bench.open(), 0, "the script has ended");
    }

    #[test]
    fn a_loop_behind_sentinels_asks_first() {
        let sentinel = Addr::new(Ip(11), 26379);
        let settings = Config { connections: 3, requests: Some(30), ..config(Kind::Set, Profile::Sentinel) };
        let mut bench = Bench::with_target(settings, Target::Sentinels(vec![sentinel]));
        bench.start(100);
        assert_eq!(bench.connects[0].1, sentinel);
        assert_eq!(bench.client.counters().ok, 30);
    }
}
