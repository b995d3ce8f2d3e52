//! The client that asks Sentinels.

use super::*;

const SENTINELS: [Addr; 3] = [Addr::new(Ip(11), 26379), Addr::new(Ip(12), 26379), Addr::new(Ip(13), 26379)];

fn bench(kind: Kind) -> Bench {
    Bench::with_target(config(kind, Profile::Sentinel), Target::Sentinels(SENTINELS.to_vec()))
}

fn asked(bench: &Bench) -> Vec<Addr> {
    bench.connects.iter().map(|(_, addr)| *addr).collect()
}

#[test]
fn it_asks_one_sentinel_and_connects_to_the_master() {
    let mut bench = bench(Kind::Publish);
    bench.start(120);
    assert_eq!(asked(&bench), [SENTINELS[0], SERVICE]);
    assert_eq!(outcomes(&bench), [Outcome::Ok; 3]);
    assert_eq!(bench.open(), 1, "the Sentinel's connection is closed");
}

#[test]
fn it_asks_again_after_a_failure_and_after_readonly() {
    let mut bench = bench(Kind::Set);
    bench.start(20);
    bench.cut(Ended::Reset);
    bench.run(100);
    bench.service = Service::Error(ErrorKind::Readonly);
    bench.run(50);
    bench.service = Service::Healthy;
    bench.run(50);
    let expected = [Outcome::Ok, Outcome::ReplyClosed, Outcome::Ok, Outcome::Readonly, Outcome::Ok];
    assert_eq!(sets(&bench).iter().map(|set| set.1).collect::<Vec<_>>(), expected);
    assert_eq!(asked(&bench), [SENTINELS[0], SERVICE, SENTINELS[0], SERVICE, SENTINELS[0], SERVICE]);
}

#[test]
fn silent_sentinels_cost_a_second_each() {
    for (kind, expected) in [(Kind::Publish, 3_050.0), (Kind::Subscribe, 3_100.0)] {
        let mut bench = bench(kind);
        bench.master = None;
        bench.start(3_040);
        assert_eq!(asked(&bench), SENTINELS);
        match bench.ops()[0] {
            (_, Op::Publish { outcome, took, .. }) => {
                assert_eq!(outcome, Outcome::NoMaster);
                assert_near(took.as_millis_f64(), 3_002.0, 2.0);
            }
            (at, op) => {
                assert_eq!(op, Op::Connect(ConnectEnd::NoMaster));
                assert_near(at, 3_002.0, 2.0);
            }
        }
        bench.master = Some(SERVICE);
        bench.run(100);
        assert_near(Bench::millis(bench.connects[3].0), expected, 5.0);
        assert_eq!(asked(&bench)[3..], [SENTINELS[0], SERVICE]);
    }
}
