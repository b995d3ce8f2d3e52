mod go_pubsub;
mod go_redis;
mod many;
mod reference;
mod sentinel_aware;

use super::testing::{Bench, SERVICE, Service, config};
use super::*;
use crate::kernel::{Span, Time};
use crate::program::ConnectError;
use crate::record::ConnectEnd;
use crate::wire::Ip;

fn publishes(bench: &Bench) -> Vec<(f64, u32, Outcome, f64)> {
    let line = |(at, op): (f64, Op)| match op {
        Op::Publish { seq, outcome, took, .. } => Some((at, seq, outcome, took.as_millis_f64())),
        _ => None,
    };
    bench.ops().into_iter().filter_map(line).collect()
}

fn sets(bench: &Bench) -> Vec<(u32, Outcome)> {
    let line = |(_, op)| match op {
        Op::Set { seq, outcome, .. } => Some((seq, outcome)),
        _ => None,
    };
    bench.ops().into_iter().filter_map(line).collect()
}

fn connects(bench: &Bench) -> Vec<(f64, ConnectEnd)> {
    let line = |(at, op)| match op {
        Op::Connect(end) => Some((at, end)),
        _ => None,
    };
    bench.ops().into_iter().filter_map(line).collect()
}

fn outcomes(bench: &Bench) -> Vec<Outcome> {
    publishes(bench).iter().map(|(_, _, outcome, _)| *outcome).collect()
}

#[track_caller]
fn assert_near(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected} ± {tolerance}");
}

#[test]
fn a_clone_goes_on_as_the_original_does() {
    let mut bench = Bench::new(config(Kind::Publish, Profile::GoRedisV8));
    bench.start(1_000);
    let copy = bench.client.clone();
    bench.run(1_000);
    assert_eq!(copy.counters().attempted + 20, bench.client.counters().attempted);
}

/// Faults in any order, at any moment of any wait: whatever they were, a service that works again is found again.
#[test]
fn every_client_recovers_from_faults_in_any_order() {
    let sentinels = Target::Sentinels(vec![Addr::new(Ip(11), 26379), Addr::new(Ip(12), 26379)]);
    let proxy = Target::Proxy(SERVICE);
    let programs = [(Profile::Reference, &proxy), (Profile::Sentinel, &sentinels), (Profile::GoRedisV8, &proxy)];
    for seed in 0..30 {
        for kind in [Kind::Publish, Kind::Subscribe] {
            for (profile, target) in programs {
                let settings = Config { then_set: true, ..config(kind, profile) };
                let mut bench = Bench::with_target(settings, target.clone());
                let mut faults = Stream::named(seed, 0, crate::kernel::Purpose::Generate);
                bench.start(faults.below(200));
                for _ in 0..40 {
                    disturb(&mut bench, &mut faults);
                    let limit = [5, 150, 1_500, 6_000][faults.below(4) as usize];
                    bench.run(faults.below(limit));
                }
                bench.service = Service::Healthy;
                bench.master = Some(SERVICE);
                bench.cut(Ended::Eof);
                bench.run(30_000);
                bench.forget();
                bench.push(9);
                bench.run(1_000);
                let name = format!("{kind:?} {profile:?} {seed}");
                assert!(bench.client.is_connected(), "{name}");
                match kind {
                    Kind::Subscribe => assert!(
                        matches!(bench.ops()[..], [(_, Op::Receive { publisher: 3, seq: 9 })]),
                        "{name}: {:?}",
                        bench.ops()
                    ),
                    _ => {
                        // A tick may fall on either side of the window's edges.
                        let outcomes = outcomes(&bench);
                        assert!((19..=21).contains(&outcomes.len()), "{name}: {outcomes:?}");
                        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Ok), "{name}: {outcomes:?}");
                    }
                }
            }
        }
    }
}

fn disturb(bench: &mut Bench, faults: &mut Stream) {
    let services = [
        Service::Healthy,
        Service::Silent,
        Service::BlackHole,
        Service::Closes,
        Service::Fails(ConnectError::Refused),
        Service::Fails(ConnectError::Unreachable),
        Service::Fails(ConnectError::TimedOut),
        Service::Error(ErrorKind::Readonly),
        Service::Error(ErrorKind::Loading),
    ];
    match faults.below(6) {
        0 => bench.cut([Ended::Eof, Ended::Reset, Ended::TimedOut][faults.below(3) as usize]),
        1 => bench.master = if faults.below(2) == 0 { None } else { Some(SERVICE) },
        2 => bench.push(1),
        _ => bench.service = services[faults.below(services.len() as u64) as usize],
    }
}

#[test]
fn sigterm_ends_every_client() {
    for kind in [Kind::Publish, Kind::Subscribe] {
        for profile in [Profile::Reference, Profile::GoRedisV8] {
            let mut bench = Bench::new(config(kind, profile));
            bench.start(100);
            bench.give(Input::Terminate);
            assert!(bench.exited);
        }
    }
}
