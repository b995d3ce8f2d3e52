//! The behaviour of a whole HAProxy, by the paragraphs of docs/behaviour/haproxy.md.

use proptest::prelude::*;

use super::testing::{Behaviour, Close, Lab, publish};
use super::{Config, OnMarkedDown, OnMarkedUp};
use crate::kernel::{Span, Time};
use crate::record::{CheckStatus, HaproxyEvent, Names};
use crate::wire::{Message, Reply};

const STACK: [Behaviour; 3] = [Behaviour::Master, Behaviour::Replica, Behaviour::Replica];

fn ms(n: u64) -> Span {
    Span::from_millis(n)
}

/// The demo's stack, ten seconds after its start.
fn settled(config: Config) -> Lab {
    let mut lab = Lab::new(config, &STACK);
    lab.run_for(Span::from_secs(10));
    lab
}

/// Asserts that something took `expected` to `expected + late` after `since`.
#[track_caller]
fn assert_took(since: Time, at: Time, expected: Span, late: Span) {
    let took = at.since(since);
    assert!(took >= expected && took <= expected + late, "took {took}, not {expected} and at most {late} more");
}

#[track_caller]
fn closed(lab: &Lab, peer: usize) -> (Time, Close) {
    lab.peers[peer].closed.expect("it is closed")
}

fn texts(lab: &Lab, peer: usize) -> Vec<Message> {
    lab.peers[peer].got.iter().map(|(_, message)| message.clone()).collect()
}

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
    let fault = lab.now;
    lab.behave(0, Behaviour::Refused);
    lab.run_for(Span::from_secs(20));
    let starts: Vec<_> = lab.checks_at(0).iter().filter_map(|&i| lab.peers[i].opened).filter(|&t| t > fault).collect();
    assert_took(starts[0], starts[1], ms(200), ms(4));
    assert_took(starts[1], starts[2], ms(200), ms(4));
    assert_took(starts[2], starts[3], ms(4000), ms(8));
    assert_took(starts[3], starts[4], ms(4000), ms(8));
    let back = lab.now;
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
    let fault = lab.now;
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

// --- 7 Choice of server

#[test]
fn a_backup_serves_only_when_no_active_server_is_up() {
    let mut lab = settled(Config::default());
    assert_eq!(lab.haproxy.usable_server(), Some(0));
    lab.behave(0, Behaviour::Refused);
    lab.behave(2, Behaviour::Master);
    lab.run_for(Span::from_secs(4));
    assert_eq!(lab.haproxy.usable_server(), Some(2));
    lab.behave(1, Behaviour::Master);
    lab.run_for(Span::from_secs(4));
    assert_eq!(lab.haproxy.usable_server(), Some(1));
    lab.client();
    assert_eq!(lab.sessions_at(1).len(), 1);
    lab.behave(0, Behaviour::Master);
    lab.run_for(Span::from_secs(3));
    assert_eq!(lab.haproxy.usable_server(), Some(0));
    lab.client();
    assert_eq!((lab.sessions_at(0).len(), lab.haproxy.sessions_on(0), lab.haproxy.sessions_on(1)), (1, 1, 1));
}

#[test]
fn active_servers_take_turns() {
    let config = Config { backup: false, ..Config::default() };
    let mut lab = Lab::new(config, &[Behaviour::Master; 3]);
    lab.run_for(Span::from_secs(2));
    for _ in 0..6 {
        lab.client();
    }
    assert_eq!([0, 1, 2].map(|server| lab.haproxy.sessions_on(server)), [2, 2, 2]);
}

// --- 8 Opening a session

#[test]
fn without_a_server_the_client_gets_a_fin_at_once() {
    let mut lab = Lab::new(Config::default(), &[Behaviour::Refused]);
    lab.run_for(Span::from_secs(1));
    let began = lab.now;
    let client = lab.client();
    lab.run_for(ms(1));
    let (at, how) = closed(&lab, client);
    assert_eq!(how, Close::Fin);
    assert_took(began, at, Span::ZERO, ms(1));
}

#[test]
fn a_refused_session_tries_four_times_in_three_seconds() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Refused);
    let began = lab.now;
    let client = lab.client();
    lab.says(client, publish(1));
    lab.run_for(Span::from_secs(4));
    let (at, how) = closed(&lab, client);
    assert_eq!(how, Close::Fin);
    assert_took(began, at, ms(3000), ms(10));
    let attempts: Vec<_> = lab.sessions_at(0).iter().filter_map(|&i| lab.peers[i].opened).collect();
    assert_eq!(attempts.len(), 4);
    for (i, at) in attempts.iter().enumerate() {
        assert_took(began, *at, ms(1000 * i as u64), ms(8));
    }
    assert_eq!(lab.haproxy.sessions_on(0), 0);
}

#[test]
fn a_session_into_silence_tries_four_times_in_twenty_seconds() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Silent);
    lab.behave(1, Behaviour::Master);
    let began = lab.now;
    let client = lab.client();
    lab.says(client, publish(1));
    lab.run_for(Span::from_secs(19));
    // The server is down and the backup up, and still nothing moves.
    assert_eq!((lab.haproxy.usable_server(), lab.haproxy.sessions_on(0)), (Some(1), 1));
    assert!(matches!(lab.log().as_slice(), [.., (_, HaproxyEvent::Server { sessions: 1, up: false, .. })]));
    lab.run_for(Span::from_secs(2));
    let (at, how) = closed(&lab, client);
    assert_eq!(how, Close::Fin);
    assert_took(began, at, Span::from_secs(20), ms(30));
    assert_eq!((lab.sessions_at(0).len(), lab.sessions_at(1).len()), (4, 0));
}

#[test]
fn no_route_ends_an_attempt_and_pauses_a_second() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Unreachable(ms(2500)));
    let began = lab.now;
    let client = lab.client();
    lab.run_for(Span::from_secs(15));
    let (at, _) = closed(&lab, client);
    assert_took(began, at, ms(4 * 2500 + 3000), ms(15));
}

#[test]
fn bytes_that_wait_are_delivered_when_an_attempt_succeeds() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Refused);
    let began = lab.now;
    let client = lab.client();
    for seq in 1..=3 {
        lab.says(client, publish(seq));
    }
    lab.run_for(ms(1500));
    lab.behave(0, Behaviour::Master);
    lab.run_for(ms(1000));
    let session = lab.sessions_at(0)[2];
    assert_eq!(texts(&lab, session), [publish(1), publish(2), publish(3)]);
    assert_took(began, lab.peers[session].got[0].0, ms(2000), ms(8));
    assert_eq!(texts(&lab, client).len(), 3);
}

#[test]
fn bytes_of_a_client_that_left_are_delivered_and_then_the_server_gets_a_fin() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Silent);
    let client = lab.client();
    lab.says(client, publish(1));
    lab.run_for(ms(3000));
    lab.fin(client);
    lab.run_for(ms(9500));
    assert_eq!(lab.haproxy.sessions_on(0), 1);
    lab.behave(0, Behaviour::Master);
    lab.run_for(ms(2000));
    let session = *lab.sessions_at(0).last().expect("it was attempted");
    assert_eq!(texts(&lab, session), [publish(1)]);
    assert_eq!(closed(&lab, session).1, Close::Fin);
}

#[test]
fn a_client_that_leaves_without_bytes_or_by_reset_ends_the_attempt() {
    for (bytes, reset) in [(false, false), (false, true), (true, true)] {
        for pause in [false, true] {
            let mut lab = settled(Config::default());
            lab.behave(0, if pause { Behaviour::Refused } else { Behaviour::Silent });
            let client = lab.client();
            if bytes {
                lab.says(client, publish(1));
            }
            lab.run_for(ms(300));
            if reset {
                lab.reset(client)
            } else {
                lab.fin(client)
            }
            assert_eq!(lab.haproxy.sessions_on(0), 0);
            lab.behave(0, Behaviour::Master);
            lab.run_for(ms(5000));
            assert_eq!(lab.sessions_at(0).len(), 1, "no further attempt");
            assert!(texts(&lab, lab.sessions_at(0)[0]).is_empty());
        }
    }
}

#[test]
fn redispatch_sends_the_last_attempt_elsewhere() {
    let config = Config { redispatch: true, ..Config::default() };
    let mut lab = settled(config);
    lab.behave(1, Behaviour::Master);
    lab.run_for(Span::from_secs(4));
    lab.behave(0, Behaviour::Refused);
    let began = lab.now;
    let client = lab.client();
    lab.says(client, publish(1));
    lab.run_for(Span::from_secs(4));
    assert_eq!(lab.peers[client].closed, None);
    let session = lab.sessions_at(1)[0];
    assert_eq!(texts(&lab, session), [publish(1)]);
    assert_took(began, lab.peers[session].got[0].0, ms(3000), ms(10));
    assert_eq!(lab.sessions_at(0).len(), 3);
}

#[test]
fn redispatch_among_active_servers_is_immediate() {
    let config = Config { redispatch: true, backup: false, ..Config::default() };
    let mut lab = Lab::new(config, &[Behaviour::Master; 2]);
    lab.run_for(Span::from_secs(2));
    lab.behave(0, Behaviour::Refused);
    let began = lab.now;
    let client = lab.client();
    lab.says(client, publish(1));
    lab.run_for(ms(10));
    let session = lab.sessions_at(1)[0];
    assert_took(began, lab.peers[session].got[0].0, Span::ZERO, ms(1));
}

#[test]
fn connections_beyond_maxconn_wait_for_a_place() {
    let config = Config { maxconn: 1, ..Config::default() };
    let mut lab = settled(config);
    let (first, second) = (lab.client(), lab.client());
    lab.run_for(ms(100));
    assert_eq!(lab.sessions_at(0).len(), 1);
    assert_eq!(lab.peers[second].closed, None);
    lab.reset(first);
    lab.run_for(ms(100));
    assert_eq!(lab.sessions_at(0).len(), 2);
    lab.says(second, publish(2));
    lab.run_for(ms(100));
    assert_eq!(texts(&lab, second), [Message::Reply(Reply::Int(1))]);
}

// --- 9 Established session

/// A settled stack with one open session: the client's and the server's end.
fn open_session(config: Config) -> (Lab, usize, usize) {
    let mut lab = settled(config);
    let client = lab.client();
    lab.run_for(ms(10));
    let session = lab.sessions_at(0)[0];
    (lab, client, session)
}

#[test]
fn messages_pass_unchanged_and_in_order_both_ways() {
    let (mut lab, client, session) = open_session(Config::default());
    let all: Vec<_> = (0..50).map(publish).collect();
    for message in &all {
        lab.says(client, message.clone());
    }
    lab.run_for(ms(10));
    assert_eq!(texts(&lab, session), all);
    assert_eq!(texts(&lab, client), vec![Message::Reply(Reply::Int(1)); 50]);
}

#[test]
fn an_idle_session_is_closed_after_fifty_seconds() {
    let (mut lab, client, session) = open_session(Config::default());
    lab.says(client, publish(1));
    let last = lab.now;
    lab.run_for(Span::from_secs(52));
    for end in [client, session] {
        let (at, how) = closed(&lab, end);
        assert_eq!(how, Close::Fin);
        assert_took(last, at, Span::from_secs(50), ms(5));
    }
    assert_eq!(lab.haproxy.sessions_on(0), 0);
}

#[test]
fn pings_keep_a_session_to_a_dead_server() {
    let (mut lab, client, _) = open_session(Config::default());
    lab.behave(0, Behaviour::Silent);
    for seq in 0..50 {
        lab.says(client, publish(seq));
        lab.run_for(Span::from_secs(3));
    }
    assert_eq!(lab.peers[client].closed, None);
    let last = lab.now;
    lab.says(client, publish(99));
    lab.run_for(Span::from_secs(52));
    assert_took(last, closed(&lab, client).0, Span::from_secs(50), ms(5));
}

#[test]
fn timeout_tunnel_replaces_both_limits() {
    let config = Config { timeout_tunnel: Some(Span::from_secs(7)), ..Config::default() };
    let (mut lab, client, session) = open_session(config);
    lab.says(client, publish(1));
    let last = lab.now;
    lab.run_for(Span::from_secs(10));
    for end in [client, session] {
        assert_took(last, closed(&lab, end).0, Span::from_secs(7), ms(5));
    }
}

#[test]
fn a_shorter_server_limit_shuts_that_direction_first() {
    let config = Config { timeout_server: Span::from_secs(10), ..Config::default() };
    let (mut lab, client, session) = open_session(config);
    lab.says(client, publish(1));
    let last = lab.now;
    lab.run_for(Span::from_secs(12));
    assert_took(last, closed(&lab, client).0, Span::from_secs(10), ms(5));
    assert_eq!(lab.peers[session].closed, None);
    lab.fin(client);
    lab.run_for(ms(1));
    assert_eq!(closed(&lab, session).1, Close::Fin);
}

#[test]
fn a_fin_of_the_server_leaves_the_way_to_it_open() {
    let (mut lab, client, session) = open_session(Config::default());
    lab.fin(session);
    lab.run_for(ms(1));
    assert_eq!(closed(&lab, client).1, Close::Fin);
    lab.says(client, publish(1));
    lab.run_for(ms(1));
    assert_eq!(texts(&lab, session), [publish(1)]);
    assert_eq!(lab.haproxy.sessions_on(0), 1);
    // The server's kernel answers the write with RST, which only the next write meets.
    lab.reset(session);
    assert_eq!(lab.haproxy.sessions_on(0), 1);
    lab.says(client, publish(2));
    assert_eq!(lab.haproxy.sessions_on(0), 0);
    let (mut lab, client, session) = open_session(Config::default());
    lab.fin(session);
    lab.reset(session);
    lab.fin(client);
    assert_eq!(lab.haproxy.sessions_on(0), 0);
}

#[test]
fn a_fin_of_the_client_is_passed_on_and_silence_ends_the_rest() {
    let (mut lab, client, session) = open_session(Config::default());
    lab.says(client, publish(1));
    lab.behave(0, Behaviour::Hung);
    let last = lab.now;
    lab.fin(client);
    lab.run_for(ms(1));
    assert_eq!(closed(&lab, session).1, Close::Fin);
    lab.says(session, Message::Reply(Reply::Int(7)));
    let last = lab.now.max(last);
    lab.run_for(Span::from_secs(49));
    assert!(texts(&lab, client).contains(&Message::Reply(Reply::Int(7))));
    assert_eq!(lab.haproxy.sessions_on(0), 1);
    lab.run_for(Span::from_secs(2));
    assert_eq!(lab.haproxy.sessions_on(0), 0);
    assert_took(last, closed(&lab, client).0, Span::from_secs(50), ms(5));
}

#[test]
fn both_fins_end_the_session() {
    for client_first in [true, false] {
        let (mut lab, client, session) = open_session(Config::default());
        let (first, second) = if client_first { (client, session) } else { (session, client) };
        lab.fin(first);
        lab.fin(second);
        assert_eq!(lab.haproxy.sessions_on(0), 0);
        lab.run_for(ms(1));
        assert_eq!((closed(&lab, client).1, closed(&lab, session).1), (Close::Fin, Close::Fin));
    }
}

#[test]
fn resets_are_not_symmetrical() {
    let (mut lab, client, session) = open_session(Config::default());
    lab.reset(session);
    lab.run_for(ms(1));
    assert_eq!(closed(&lab, client).1, Close::Fin);
    let (mut lab, client, session) = open_session(Config::default());
    lab.reset(client);
    lab.run_for(ms(1));
    assert_eq!(closed(&lab, session).1, Close::Rst);
    assert_eq!(lab.haproxy.sessions_on(0), 0);
}

#[test]
fn a_reset_behind_a_fin_is_noticed_at_the_next_write() {
    let (mut lab, client, session) = open_session(Config::default());
    lab.fin(client);
    lab.reset(client);
    assert_eq!(lab.haproxy.sessions_on(0), 1);
    lab.says(session, Message::Reply(Reply::Ok));
    assert_eq!(lab.haproxy.sessions_on(0), 0);
    let (mut lab, client, session) = open_session(Config::default());
    lab.fin(client);
    lab.reset(client);
    lab.fin(session);
    assert_eq!(lab.haproxy.sessions_on(0), 0);
}

// --- 10 State changes and sessions

#[test]
fn a_server_that_goes_down_keeps_its_sessions() {
    let (mut lab, client, _) = open_session(Config::default());
    lab.behave(0, Behaviour::Hung);
    lab.run_for(Span::from_secs(8));
    assert!(!lab.haproxy.server_is_up(0));
    assert_eq!((lab.peers[client].closed, lab.haproxy.sessions_on(0)), (None, 1));
}

#[test]
fn shutdown_sessions_closes_them_at_the_moment_of_down() {
    let config = Config { on_marked_down: OnMarkedDown::ShutdownSessions, ..Config::default() };
    let (mut lab, client, session) = open_session(config);
    let fault = lab.now;
    lab.behave(0, Behaviour::Silent);
    // One that connects into the silence is not freed, if it has bytes to deliver; one without is.
    let connecting = lab.client();
    lab.says(connecting, publish(1));
    let empty = lab.client();
    lab.run_for(Span::from_secs(8));
    let down = lab.changed(0, false, fault).expect("it is down");
    for end in [client, session, empty] {
        assert_took(down, closed(&lab, end).0, Span::ZERO, ms(1));
    }
    assert!(lab.log().iter().any(|(_, event)| matches!(event, HaproxyEvent::Server { sessions: 3, .. })));
    assert_eq!(lab.peers[connecting].closed, None);
    lab.run_for(Span::from_secs(14));
    assert_took(fault, closed(&lab, connecting).0, Span::from_secs(20), ms(30));
}

#[test]
fn a_condemned_session_delivers_its_bytes_if_the_server_comes_back() {
    let config = Config { on_marked_down: OnMarkedDown::ShutdownSessions, ..Config::default() };
    let mut lab = settled(config);
    lab.behave(0, Behaviour::Silent);
    let client = lab.client();
    lab.says(client, publish(1));
    lab.run_for(Span::from_secs(8));
    lab.behave(0, Behaviour::Master);
    lab.run_for(Span::from_secs(3));
    let session = *lab.sessions_at(0).last().expect("it was attempted");
    assert_eq!(texts(&lab, session), [publish(1)]);
    assert_eq!(closed(&lab, client).1, Close::Fin);
    assert_eq!(lab.haproxy.sessions_on(0), 0);
}

#[test]
fn shutdown_backup_sessions_throws_clients_off_the_backup() {
    let config = Config { on_marked_up: OnMarkedUp::ShutdownBackupSessions, ..Config::default() };
    let mut lab = settled(config);
    lab.behave(0, Behaviour::Hung);
    lab.behave(1, Behaviour::Master);
    lab.run_for(Span::from_secs(8));
    let client = lab.client();
    lab.run_for(ms(100));
    assert_eq!(lab.haproxy.sessions_on(1), 1);
    let healed = lab.now;
    lab.behave(0, Behaviour::Master);
    lab.run_for(Span::from_secs(4));
    let up = lab.changed(0, true, healed).expect("it is up");
    assert_took(up, closed(&lab, client).0, Span::ZERO, ms(1));
}

// --- 12 Rest

#[test]
fn sigterm_is_a_hard_stop() {
    let (mut lab, _, _) = open_session(Config::default());
    lab.terminate();
    assert!(lab.exited);
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let run = |seed| {
        let mut lab = Lab::seeded(Config::default(), &STACK, seed);
        lab.run_for(Span::from_secs(30));
        lab.behave(0, Behaviour::Silent);
        lab.run_for(Span::from_secs(30));
        lab.log()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

// --- Any order of events

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Say(usize),
    Fin(usize),
    Reset(usize),
    Behave(usize, Behaviour),
    Pass(u64),
}

fn any_behaviour() -> impl Strategy<Value = Behaviour> {
    prop::sample::select(vec![
        Behaviour::Master,
        Behaviour::Replica,
        Behaviour::Loading,
        Behaviour::Refused,
        Behaviour::Unreachable(ms(700)),
        Behaviour::Silent,
        Behaviour::Hung,
        Behaviour::Resets,
        Behaviour::ReadsAndCloses,
        Behaviour::AnswersAndCloses,
    ])
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Connect),
        4 => any::<usize>().prop_map(Step::Say),
        2 => any::<usize>().prop_map(Step::Fin),
        2 => any::<usize>().prop_map(Step::Reset),
        2 => (0usize..3, any_behaviour()).prop_map(|(server, behaviour)| Step::Behave(server, behaviour)),
        3 => (0u64..3000).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, HAProxy touches open sockets only (the lab panics otherwise), counts its sessions right, and
    /// silence ends them all.
    #[test]
    fn every_session_ends_and_is_counted(
        steps in prop::collection::vec(any_step(), 1..80),
        redispatch in any::<bool>(), backup in any::<bool>(), shut in any::<bool>(), maxconn in 1u32..6,
        tunnel in prop::option::of(1u64..20),
    ) {
        let config = Config {
            redispatch,
            backup,
            maxconn,
            on_marked_down: if shut { OnMarkedDown::ShutdownSessions } else { OnMarkedDown::None },
            on_marked_up: if shut { OnMarkedUp::ShutdownBackupSessions } else { OnMarkedUp::None },
            timeout_tunnel: tunnel.map(Span::from_secs),
            ..Config::default()
        };
        let mut lab = settled(config);
        let mut seq = 0;
        for step in steps {
            // One of the peers of sessions that can still speak.
            let pick = |lab: &Lab, n: usize| {
                let sessions = (0..3).flat_map(|server| lab.sessions_at(server));
                let clients = (0..lab.peers.len()).filter(|&i| lab.is_client(i));
                let able: Vec<_> = clients.chain(sessions).filter(|&i| lab.can_speak(i)).collect();
                (!able.is_empty()).then(|| able[n % able.len()])
            };
            match step {
                Step::Connect => { lab.client(); }
                Step::Say(n) => if let Some(peer) = pick(&lab, n) {
                    seq += 1;
                    lab.says(peer, publish(seq));
                },
                Step::Fin(n) => if let Some(peer) = pick(&lab, n) { lab.fin(peer) },
                Step::Reset(n) => if let Some(peer) = pick(&lab, n) { lab.reset(peer) },
                Step::Behave(server, behaviour) => lab.behave(server, behaviour),
                Step::Pass(span) => lab.run_for(ms(span)),
            }
            let total: u32 = (0..3).map(|server| lab.haproxy.sessions_on(server)).sum();
            prop_assert!(total <= maxconn);
        }
        // As many generations as `maxconn` can make of the clients that wait, each of at most 70 s and 50 s.
        let sessions_left = |lab: &Lab| (0..lab.peers.len()).any(|i| lab.is_client(i) && !lab.is_over(i));
        for _ in 0..80 {
            if !sessions_left(&lab) {
                break;
            }
            lab.run_for(Span::from_secs(120));
        }
        for server in 0..3 {
            prop_assert_eq!(lab.haproxy.sessions_on(server), 0);
            prop_assert!(lab.sessions_at(server).iter().all(|&i| lab.is_over(i)));
        }
        prop_assert!(!sessions_left(&lab));
    }
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
    let gone = lab.now.since(last);
    assert!(gone > ms(100) && gone < ms(900), "{gone}");
    lab.stop_for(Span::from_secs(8));
    let resumed = lab.now;
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
    let stop = (last + ms(1080)).since(lab.now);
    lab.stop_for(stop);
    let resumed = lab.now;
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
    let resumed = lab.now;
    lab.run_for(Span::from_secs(2));
    let (at, event) = lab.log().pop().expect("the server went down");
    let (at, event) =
        if let HaproxyEvent::NoServer = event { lab.log()[lab.log().len() - 2].clone() } else { (at, event) };
    let HaproxyEvent::Server { up: false, duration, .. } = event else { panic!("{event:?}") };
    assert_took(resumed, at, ms(999), ms(5));
    assert!((1000..=1002).contains(&duration.as_millis()), "{duration}");
}
