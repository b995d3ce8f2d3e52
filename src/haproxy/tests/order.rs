//! The end of the program, the same log under the same seed, and events in any order.

use super::*;

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
