//! Checks: their times, what they find, and what a stop does to them.

use super::*;

// --- 2 Start

#[test]
fn servers_start_up_and_replicas_go_down_at_their_first_check() {
    let mut lab = Lab::new(Config::default(), &STACK);
    assert!((0..3).all(|server| lab.haproxy.server_is_up(server)));
    assert!(!lab.haproxy.is_listening());
    lab.run_for(Span::from_secs(3));
    assert!(lab.haproxy.is_listening());
    assert!(lab.haproxy.server_is_up(0) && !lab.haproxy.server_is_up(1) && !lab.haproxy.server_is_up(2));
    let began = lab.peers[lab.checks_at(0)[0]].opened.expect("checks are opened");
    assert!((28..=72).contains(&began.as_millis()), "the first check is at {began}");
    let log = lab.log();
    assert_eq!(log.len(), 2);
    for ((at, event), (offset, backups)) in log.iter().zip([(333, 1), (666, 0)]) {
        assert_took(began, *at, ms(offset + 999), ms(6));
        let HaproxyEvent::Server { backup: true, up: false, status, active: 1, backups: left, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!((*status, *left), (CheckStatus::L7Tout(4), backups));
    }
}

#[test]
fn the_log_reads_as_the_real_one() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Refused);
    lab.run_for(Span::from_secs(4));
    lab.behave(1, Behaviour::Master);
    lab.run_for(Span::from_secs(4));
    let hosts = ["redis-1", "redis-2", "redis-3"].map(String::from).to_vec();
    let names = Names { hosts, ..Names::default() };
    let lines: Vec<_> = lab.log().iter().skip(2).map(|(_, event)| event.text(&names)).collect();
    assert_eq!(
        lines,
        [
            "Server redis_backend/redis-1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused at \
             initial connection step of tcp-check\", check duration: 0ms. 0 active and 0 backup servers left. \
             0 sessions active, 0 requeued, 0 remaining in queue.",
            "backend redis_backend has no server available!",
            "Backup Server redis_backend/redis-2 is UP, reason: Layer7 check passed, code: 0, info: \"(tcp-check)\", \
             check duration: 0ms. 0 active and 1 backup servers online. Running on backup. 0 sessions requeued, \
             0 total in queue.",
        ]
    );
}

#[test]
fn a_connection_before_the_listener_is_up_is_served_when_it_is() {
    let mut lab = Lab::new(Config::default(), &STACK);
    let client = lab.client();
    assert!(lab.sessions_at(0).is_empty());
    lab.run_for(ms(200));
    assert_eq!(lab.sessions_at(0).len(), 1);
    assert_eq!(lab.peers[client].closed, None);
}

// --- 3 Check timing, 4 check results

#[test]
fn a_round_runs_from_end_to_start_and_a_replica_takes_two_seconds() {
    let lab = {
        let mut lab = Lab::new(Config::default(), &STACK);
        lab.run_for(Span::from_secs(60));
        lab
    };
    for (server, period) in [(0, 1000), (1, 2000), (2, 2000)] {
        let starts: Vec<_> = lab.checks_at(server).iter().filter_map(|&i| lab.peers[i].opened).collect();
        assert!(starts.len() >= 28);
        for pair in starts.windows(2) {
            assert_took(pair[0], pair[1], ms(period), ms(7));
        }
    }
}

#[test]
fn a_round_ends_with_a_reset() {
    let mut lab = Lab::new(Config::default(), &STACK);
    lab.run_for(Span::from_secs(3));
    for server in 0..3 {
        let (at, how) = closed(&lab, lab.checks_at(server)[0]);
        assert_eq!(how, Close::Rst);
        let began = lab.peers[lab.checks_at(server)[0]].opened.expect("checks are opened");
        assert_eq!(at.since(began) > Span::from_secs(1), server > 0);
    }
}

#[test]
fn every_misbehaviour_has_its_status_and_its_duration() {
    let table = [
        (Behaviour::Refused, CheckStatus::L4Con, 0),
        (Behaviour::Unreachable(ms(400)), CheckStatus::L4Unreachable, 400),
        (Behaviour::Unreachable(ms(3000)), CheckStatus::L4Tout, 1000),
        (Behaviour::Silent, CheckStatus::L4Tout, 1000),
        (Behaviour::Hung, CheckStatus::L7Tout(2), 1000),
        (Behaviour::Loading, CheckStatus::L7Tout(2), 1000),
        (Behaviour::Replica, CheckStatus::L7Tout(4), 1000),
        (Behaviour::Resets, CheckStatus::SockErr(2), 0),
        (Behaviour::ReadsAndCloses, CheckStatus::L7Rsp(2), 0),
        (Behaviour::AnswersAndCloses, CheckStatus::L7Rsp(2), 0),
    ];
    for (behaviour, expected, after_ms) in table {
        let mut lab = Lab::new(Config::default(), &[behaviour]);
        lab.run_for(Span::from_secs(2));
        let (_, event) = lab.log()[0].clone();
        let HaproxyEvent::Server { status, duration, up: false, .. } = event else { panic!("{event:?}") };
        assert_eq!(status, expected, "{behaviour:?}");
        let millis = duration.as_millis();
        assert!((after_ms..=after_ms + 3).contains(&millis), "{behaviour:?}: {millis} ms");
    }
}

#[test]
fn timeout_check_begins_anew_once_connected() {
    // The first deadline waits for the task that runs a second after the start; the second round begins shortly before
    // its next run, which finds the deadline in the future and puts it into its place.
    let config = Config { timeout_check: Some(ms(300)), fall: 1, inter: ms(4000), ..Config::default() };
    let mut lab = Lab::new(config.clone(), &[Behaviour::Hung]);
    lab.run_for(Span::from_secs(8));
    assert!(matches!(lab.log()[0].1, HaproxyEvent::Server { duration, .. } if duration.as_millis() / 10 == 100));
    let rounds = lab.checks_at(0);
    let length = |round: usize| closed(&lab, round).0.since(lab.peers[round].opened.expect("checks are opened"));
    assert_eq!(length(rounds[1]).as_millis() / 10, 30, "as with 2.6.12");
    let config = Config { timeout_connect: ms(500), inter: ms(1000), ..config };
    let mut lab = Lab::new(config, &[Behaviour::Silent]);
    lab.run_for(Span::from_secs(1));
    assert!(matches!(lab.log()[0].1, HaproxyEvent::Server { duration, .. } if duration.as_millis() / 10 == 50));
}

#[test]
fn a_deadline_that_came_closer_waits_for_those_before_it() {
    // As recorded with 2.6.12: the rounds on both replicas end when the master's second begins, and not after 1 s.
    let config = Config { timeout_check: Some(ms(1000)), inter: ms(4000), fall: 1, ..Config::default() };
    let mut lab = Lab::new(config, &STACK);
    lab.run_for(Span::from_secs(6));
    let durations: Vec<u64> = lab
        .log()
        .iter()
        .filter_map(|(_, event)| match event {
            HaproxyEvent::Server { duration, .. } => Some(duration.as_millis()),
            _ => None,
        })
        .collect();
    assert_eq!(durations.iter().map(|ms| ms / 20).collect::<Vec<_>>(), [2667 / 20, 1334 / 20], "{durations:?}");
}

#[test]
fn fastinter_applies_between_the_states_and_downinter_when_down() {
    let config = Config { fastinter: Some(ms(200)), downinter: Some(ms(4000)), ..Config::default() };
    let mut lab = settled(config);
    let fault = lab.now();
    lab.behave(0, Behaviour::Refused);
    lab.run_for(Span::from_secs(20));
    let starts: Vec<_> = lab.checks_at(0).iter().filter_map(|&i| lab.peers[i].opened).filter(|&t| t > fault).collect();
    assert_took(starts[0], starts[1], ms(200), ms(4));
    assert_took(starts[1], starts[2], ms(200), ms(4));
    assert_took(starts[2], starts[3], ms(4000), ms(8));
    assert_took(starts[3], starts[4], ms(4000), ms(8));
    let back = lab.now();
    lab.behave(0, Behaviour::Master);
    lab.run_for(Span::from_secs(6));
    let starts: Vec<_> = lab.checks_at(0).iter().filter_map(|&i| lab.peers[i].opened).filter(|&t| t > back).collect();
    assert_took(starts[0], starts[1], ms(200), ms(4));
    assert_took(starts[1], starts[2], ms(1000), ms(4));
}

// --- 6 Detection times

/// From a fault at `phase_ms` until the first server is down or up.
fn detect(config: &Config, before: Behaviour, after: Behaviour, phase_ms: u64, seed: u64) -> Span {
    let mut lab = Lab::seeded(config.clone(), &[before, Behaviour::Replica, Behaviour::Replica], seed);
    let was_up = before == Behaviour::Master;
    lab.run_for(Span::from_secs(20) + Span::from_micros(phase_ms * 1000 + 137));
    assert_eq!(lab.haproxy.server_is_up(0), was_up);
    let fault = lab.now();
    lab.behave(0, after);
    lab.run_for(Span::from_secs(120));
    assert_eq!(lab.haproxy.server_is_up(0), !was_up);
    lab.changed(0, !was_up, fault).expect("the change is in the log").since(fault)
}

/// What `rounds` late wake-ups may add.
fn lateness(config: &Config, rounds: u64) -> Span {
    (Span::from_micros(2_500) + Span(config.inter.0 / 1000)) * (rounds + 1)
}

fn assert_within(took: Span, low: Span, high: Span) {
    assert!(took >= low && took <= high, "{took} is not within {low} and {high}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Killed: [2,3) with the demo's settings.
    #[test]
    fn a_killed_server_is_down_after_fall_refusals(
        phase in 0u64..4000, seed in 0u64..1000, inter in 300u64..3000, rise in 1u32..4, fall in 1u32..5,
    ) {
        let config = Config { inter: ms(inter), rise, fall, ..Config::default() };
        let took = detect(&config, Behaviour::Master, Behaviour::Refused, phase, seed);
        let pauses = config.inter * (fall as u64 - 1);
        assert_within(took, pauses, pauses + config.inter + lateness(&config, fall as u64));
    }

    /// Hung, cut off or demoted: [5,6) with the demo's settings.
    #[test]
    fn a_silent_server_is_down_after_fall_deadlines(
        phase in 0u64..4000, seed in 0u64..1000, inter in 300u64..3000, rise in 1u32..4, fall in 1u32..5,
        how in prop::sample::select(vec![Behaviour::Hung, Behaviour::Silent, Behaviour::Replica]),
    ) {
        let config = Config { inter: ms(inter), rise, fall, ..Config::default() };
        let took = detect(&config, Behaviour::Master, how, phase, seed);
        let rounds = config.inter * (2 * fall as u64 - 1);
        assert_within(took, rounds, rounds + config.inter + lateness(&config, 2 * fall as u64));
    }

    /// Promoted, or a silent one back: [1,3) with the demo's settings; a refused one: [1,2).
    #[test]
    fn a_promoted_server_is_up_after_rise_good_rounds(
        phase in 0u64..6000, seed in 0u64..1000, inter in 300u64..3000, rise in 1u32..5, fall in 1u32..4,
        before in prop::sample::select(vec![Behaviour::Replica, Behaviour::Hung, Behaviour::Refused]),
    ) {
        let config = Config { inter: ms(inter), rise, fall, ..Config::default() };
        let took = detect(&config, before, Behaviour::Master, phase, seed);
        let pauses = config.inter * (rise as u64 - 1);
        let round = if before == Behaviour::Refused { config.inter } else { config.inter * 2 };
        assert_within(took, pauses, pauses + round + lateness(&config, rise as u64 + 1));
    }
}

#[test]
fn the_demo_detects_within_the_measured_ranges() {
    let table = [
        (Behaviour::Master, Behaviour::Refused, 2000, 3000),
        (Behaviour::Master, Behaviour::Resets, 2000, 3000),
        (Behaviour::Master, Behaviour::Hung, 5000, 6000),
        (Behaviour::Master, Behaviour::Silent, 5000, 6000),
        (Behaviour::Master, Behaviour::Replica, 5000, 6000),
        (Behaviour::Replica, Behaviour::Master, 1000, 3000),
        (Behaviour::Refused, Behaviour::Master, 1000, 2000),
    ];
    for (before, after, low, high) in table {
        let mut all = Vec::new();
        for phase in 0..100 {
            let took = detect(&Config::default(), before, after, phase * 20, phase);
            assert_within(took, ms(low), ms(high + 20));
            all.push(took.as_millis());
        }
        // The whole range occurs.
        let (first, last) = (all.iter().min().copied(), all.iter().max().copied());
        assert!(first < Some(low + 100) && last > Some(high - 100), "{before:?} to {after:?}: {first:?} to {last:?}");
    }
}

#[test]
fn a_freeze_shorter_than_three_rounds_changes_nothing() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Hung);
    lab.run_for(ms(4900));
    lab.resume(0);
    lab.run_for(Span::from_secs(10));
    assert_eq!(lab.log().len(), 2);
}

#[test]
fn a_check_of_a_thousand_milliseconds_is_one_or_two_late() {
    let mut counts = [0; 4];
    for seed in 0..200 {
        let mut lab = Lab::seeded(Config::default(), &STACK, seed);
        lab.run_for(Span::from_secs(3));
        for (_, event) in lab.log() {
            let HaproxyEvent::Server { duration, .. } = event else { panic!("{event:?}") };
            counts[duration.as_millis() as usize - 1000] += 1;
        }
    }
    assert!(counts[0] > 0 && counts[1] > 200 && counts[3] == 0, "{counts:?}");
}

// --- The clock

/// When the rounds of checks of the master begin.
fn rounds(lab: &Lab) -> Vec<Time> {
    lab.checks_at(0).into_iter().map(|peer| lab.peers[peer].opened.expect("checks are opened")).collect()
}

#[test]
fn a_stop_takes_its_time_away_from_all_deadlines() {
    let mut lab = Lab::new(Config::default(), &[Behaviour::Master]);
    lab.run_for(Span::from_millis(10_300));
    let last = *rounds(&lab).last().expect("there were some");
    let gone = lab.now().since(last);
    assert!(gone > ms(100) && gone < ms(900), "{gone}");
    lab.stop_for(Span::from_secs(8));
    let resumed = lab.now();
    lab.run_for(Span::from_secs(2));
    let next = rounds(&lab).into_iter().find(|&at| at > resumed).expect("checks go on");
    // The whole interval counts again: the clock stands where it stood at the last pass, and none of the stop counted.
    assert_took(resumed, next, ms(1000), ms(5));
}

#[test]
fn a_stop_that_is_shorter_than_the_sleep_changes_nothing() {
    let mut lab = Lab::new(Config::default(), &[Behaviour::Master]);
    lab.run_for(Span::from_millis(10_300));
    let last = *rounds(&lab).last().expect("there were some");
    // Until less than 100 ms after the next round was due.
    let stop = (last + ms(1080)).since(lab.now());
    lab.stop_for(stop);
    let resumed = lab.now();
    assert_eq!(rounds(&lab).last(), Some(&resumed), "the deadline that has passed is met at once");
}

#[test]
fn a_stop_does_not_count_as_the_length_of_a_check() {
    let mut lab = Lab::new(Config { fall: 1, ..Config::default() }, &[Behaviour::Master]);
    lab.run_for(Span::from_secs(10));
    lab.behave(0, Behaviour::Hung);
    let round = rounds(&lab).len();
    while rounds(&lab).len() == round {
        lab.run_for(ms(1));
    }
    lab.run_for(ms(300));
    lab.stop_for(Span::from_secs(8));
    assert!(lab.haproxy.server_is_up(0));
    let resumed = lab.now();
    lab.run_for(Span::from_secs(2));
    let (at, event) = lab.log().pop().expect("the server went down");
    let (at, event) =
        if let HaproxyEvent::NoServer = event { lab.log()[lab.log().len() - 2].clone() } else { (at, event) };
    let HaproxyEvent::Server { up: false, duration, .. } = event else { panic!("{event:?}") };
    assert_took(resumed, at, ms(999), ms(5));
    assert!((1000..=1002).contains(&duration.as_millis()), "{duration}");
}
