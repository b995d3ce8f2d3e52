//! Sessions: which server they get, how they are opened, and how they end.

use super::*;

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
    let began = lab.now();
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
    let began = lab.now();
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
    let began = lab.now();
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
    let began = lab.now();
    let client = lab.client();
    lab.run_for(Span::from_secs(15));
    let (at, _) = closed(&lab, client);
    assert_took(began, at, ms(4 * 2500 + 3000), ms(15));
}

#[test]
fn bytes_that_wait_are_delivered_when_an_attempt_succeeds() {
    let mut lab = settled(Config::default());
    lab.behave(0, Behaviour::Refused);
    let began = lab.now();
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
    let began = lab.now();
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
    let began = lab.now();
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
    let last = lab.now();
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
    let last = lab.now();
    lab.says(client, publish(99));
    lab.run_for(Span::from_secs(52));
    assert_took(last, closed(&lab, client).0, Span::from_secs(50), ms(5));
}

#[test]
fn timeout_tunnel_replaces_both_limits() {
    let config = Config { timeout_tunnel: Some(Span::from_secs(7)), ..Config::default() };
    let (mut lab, client, session) = open_session(config);
    lab.says(client, publish(1));
    let last = lab.now();
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
    let last = lab.now();
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
    let last = lab.now();
    lab.fin(client);
    lab.run_for(ms(1));
    assert_eq!(closed(&lab, session).1, Close::Fin);
    lab.says(session, Message::Reply(Reply::Int(7)));
    let last = lab.now().max(last);
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
    let fault = lab.now();
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
    let healed = lab.now();
    lab.behave(0, Behaviour::Master);
    lab.run_for(Span::from_secs(4));
    let up = lab.changed(0, true, healed).expect("it is up");
    assert_took(up, closed(&lab, client).0, Span::ZERO, ms(1));
}
