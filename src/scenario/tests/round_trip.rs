//! A plan that is written out reads back as the same plan.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::analysis::metrics::{Metric, Unit};
use crate::scenario::units::{Rate, Share, SignedSpan};
use crate::{haproxy, redis, sentinel};

fn span() -> impl Strategy<Value = Span> {
    (1..=1_000_000_000_000u64).prop_map(Span)
}

fn link() -> impl Strategy<Value = Link> {
    let rate = of(1..=1_000_000_000_000_u64)
        .prop_map(|bits| bits.and_then(|b| b.try_into().ok()).map_or(Rate::UNLIMITED, Rate::bits));
    (span(), span(), 0.0..=1.0, rate).prop_map(|(latency, jitter, loss, rate)| {
        let loss = Share::from_f64(loss).expect("within 0 to 1");
        Link { latency, jitter, loss, rate }
    })
}

fn redis_config() -> impl Strategy<Value = redis::Config> {
    (0..300u32, any::<bool>(), 1..=1u64 << 40, vec((1..9999u32, 1..9999u32), 0..4), any::<bool>()).prop_map(
        |(replica_priority, appendonly, repl_backlog_size, save, config_file)| {
            let points = save.into_iter().map(|(seconds, changes)| redis::SavePoint { seconds, changes });
            let save = redis::SavePoints(points.collect());
            redis::Config { replica_priority, appendonly, repl_backlog_size, save, config_file, ..Default::default() }
        },
    )
}

fn sentinel_config(sentinels: u16) -> impl Strategy<Value = sentinel::Config> {
    let quorum = 1..=u32::from(sentinels).max(1);
    (quorum, 1..=100_000u64).prop_map(|(quorum, down_after_milliseconds)| sentinel::Config {
        quorum,
        down_after_milliseconds,
        ..Default::default()
    })
}

fn haproxy_config() -> impl Strategy<Value = haproxy::Config> {
    // HAProxy counts in milliseconds.
    let span = || (1_000_000..=1_000_000_000_000u64).prop_map(Span);
    (span(), of(span()), of(span()), 1..9u32, any::<bool>()).prop_map(
        |(inter, fastinter, timeout_tunnel, rise, backup)| {
            let on_marked_down = haproxy::OnMarkedDown::ShutdownSessions;
            haproxy::Config { inter, fastinter, timeout_tunnel, rise, backup, on_marked_down, ..Default::default() }
        },
    )
}

/// Clients with the names c0, c1, … on hosts of their own or on one of two others.
fn clients(haproxy: bool) -> impl Strategy<Value = Vec<client::Config>> {
    let kind = prop_oneof![Just(client::Kind::Publish), Just(client::Kind::Set), Just(client::Kind::Subscribe)];
    let one = (kind, of(prop_oneof![Just("h"), Just("redis-1")]), of((span(), span())), span(), of(1..=1_000_000u64));
    vec(one, 0..4).prop_map(move |clients| {
        let clients = clients.into_iter().enumerate().map(|(n, (kind, host, pause, every, requests))| {
            let name = format!("c{n}");
            let host = host.map_or(name.clone(), str::to_owned);
            // A subscriber has no attempts to pause between, and go-redis a pace of its own.
            let pause = pause.filter(|_| kind != client::Kind::Subscribe);
            let pause = pause.map(|(a, b)| client::Pause { min: a.min(b), max: a.max(b) });
            let every = if pause.is_some() { Span::from_millis(50) } else { every };
            let (library, via) = match (haproxy, pause) {
                (false, _) => (client::LibraryId::REFERENCE, client::Via::Sentinels),
                (true, None) => (client::LibraryId::GO_REDIS_V8, client::Via::Proxy),
                (true, Some(_)) => (client::LibraryId::REFERENCE, client::Via::Proxy),
            };
            client::Config { name, kind, host, pause, every, requests, library, via, ..Default::default() }
        });
        clients.collect()
    })
}

/// Up to an hour.
fn short() -> impl Strategy<Value = Span> {
    (1..=3_600_000_u64).prop_map(Span::from_millis)
}

/// A fault that makes sense whatever came before it.
fn fault() -> impl Strategy<Value = Fault> {
    let role = prop_oneof![Just(Role::Master), Just(Role::Leader), Just(Role::OldMaster)].prop_map(NodeRef::Role);
    let action = prop_oneof![
        role.clone().prop_map(|node| Action::Kill { node }),
        role.clone().prop_map(|node| Action::Start { node }),
        (role.clone(), span()).prop_map(|(node, duration)| Action::Stall { node, duration }),
        (role.clone(), any::<i32>().prop_filter("not zero", |n| *n != 0))
            .prop_map(|(node, by)| Action::ClockJump { node, by: SignedSpan(i64::from(by)) }),
        (role.clone(), short(), proptest::option::of(short())).prop_map(|(node, fsync, duration)| Action::SlowDisk {
            node,
            fsync,
            duration
        }),
        (role.clone(), proptest::option::of(short())).prop_map(|(node, duration)| Action::DiskFull { node, duration }),
        (role, "[A-Z\"' é]{0,5}x")
            .prop_map(|(node, name)| Action::Command { node, run: vec!["SENTINEL".into(), "FAILOVER".into(), name] }),
        Just(Action::Partition { groups: vec![vec![NodeRef::Redis(1)], vec![NodeRef::Role(Role::Leader)]] }),
        Just(Action::Cut {
            from: OneOrMany(vec![NodeRef::Redis(1)]),
            to: OneOrMany(vec![NodeRef::Role(Role::Replica), NodeRef::Role(Role::Leader)])
        }),
        link().prop_map(|link| Action::Degrade {
            between: [NodeRef::Redis(1), NodeRef::Role(Role::Leader)],
            latency: Some(link.latency),
            jitter: None,
            loss: Some(link.loss),
            rate: Some(link.rate),
        }),
    ];
    (0..=30_000u64, action).prop_map(|(at, action)| Fault { at: Span::from_millis(at), action, span: 0..0 })
}

/// Ranges of any metrics.
fn metrics() -> impl Strategy<Value = BTreeMap<Metric, Bounds>> {
    let one = (any::<prop::sample::Index>(), 0..9u64, 0..9u64, 0..=1_000u32, 0..=1_000u32, 0..3u8);
    let range = |(index, a, b, part, other, limits): (prop::sample::Index, u64, u64, u32, u32, u8)| {
        fn within<T: PartialOrd + Copy>(a: T, b: T, limits: u8) -> Within<T> {
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            Within { min: (limits != 1).then_some(low), max: (limits != 2).then_some(high) }
        }
        let metric = Metric::all().nth(index.index(Metric::count())).expect("there are so many");
        let ratio = |part: u32| f64::from(part) / 1e3;
        let bounds = match metric.unit() {
            Unit::Count => Bounds::Count(within(a, b, limits)),
            Unit::Seconds => Bounds::Span(within(Span::from_millis(a * 250), Span::from_millis(b * 250), limits)),
            Unit::Ratio => Bounds::Ratio(within(ratio(part), ratio(other), limits)),
        };
        (metric, bounds)
    };
    vec(one.prop_map(range), 0..6).prop_map(|ranges| ranges.into_iter().collect())
}

fn expect() -> impl Strategy<Value = Expect> {
    (metrics(), any::<bool>()).prop_map(|(metrics, named)| Expect {
        metrics,
        final_master: named.then(|| OneOrMany(vec!["redis-1".to_owned()])),
        final_roles: named.then(|| ("redis-1".to_owned(), FinalRole::Down)).into_iter().collect(),
        events: vec![EventPattern { node: named.then(|| "redis-1".to_owned()), prefix: "+tilt \"#".to_owned() }],
        ..Expect::default()
    })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    (1..5u16, 0..5u16, any::<bool>()).prop_flat_map(|(redis, sentinels, haproxy)| {
        let stack = Stack { redis, sentinels, haproxy };
        let haproxy_exists = haproxy || sentinels > 0;
        let texts = ("[a-z]{1,8}", "[ -~é\n]{0,40}", span(), "[a-z]{1,8}");
        let settings = (
            vec(redis_config(), usize::from(redis)),
            vec(sentinel_config(sentinels), usize::from(sentinels)),
            haproxy_config(),
            (link(), vec(link(), 0..2)),
        );
        let clients = clients(haproxy).prop_map(move |clients| if haproxy_exists { clients } else { Vec::new() });
        (texts, settings, clients, vec(fault(), 0..5), of(expect())).prop_map(
            move |(
                (name, description, phase, master_name),
                (redis, mut sentinel, haproxy, (default, links)),
                clients,
                mut faults,
                expect,
            )| {
                faults.sort_by_key(|fault| fault.at);
                sentinel.iter_mut().for_each(|config| config.master_name.clone_from(&master_name));
                let haproxy = if stack.haproxy { haproxy } else { haproxy::Config::default() };
                let links = if stack.redis > 1 { links } else { Vec::new() };
                let ends = |link| ("redis-1".to_owned(), "redis-2".to_owned(), link);
                let network = Network { default, links: links.into_iter().map(ends).collect() };
                let duration = Span::from_secs(30);
                // Expectations name nodes as a run does, so that only others get names here.
                let last = NodeRef::Redis(stack.redis);
                let called = if stack.redis > 3 { vec![(last, "cache-z".to_owned())] } else { Vec::new() };
                Scenario {
                    name,
                    description,
                    duration,
                    phase,
                    stack,
                    redis,
                    sentinel,
                    haproxy,
                    called,
                    network,
                    clients,
                    faults,
                    expect,
                }
            },
        )
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(plan in scenario(), seed in any::<u64>()) {
        let text = plan.to_toml(seed, "0.1.0");
        match Scenario::parse("scenario.toml", &text) {
            Ok(again) => prop_assert_eq!(again, plan),
            Err(error) => prop_assert!(false, "{:?}\n{}", miette::Report::new(error), text),
        }
    }

    /// Whatever is spoilt in a file: it is read or refused, and what a refusal says can be shown.
    #[test]
    fn no_spoilt_file_is_a_panic(
        plan in scenario(), at in any::<prop::sample::Index>(), length in 0..30usize,
        graft in prop_oneof![
            Just("-1"), Just("0"), Just("\"é\""), Just("[]"), Just("{}"), Just("[[]]"), Just("1.5"), Just("\n"), Just("\"0s\""),
            Just("true"), Just("[[fault]]"), Just("[redis.redis-9]\n"), Just("redis-1"), Just("99999999999999999999"),
        ],
    ) {
        let text: Vec<char> = plan.to_toml(1, "0").chars().collect();
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        let spoilt: String = text[..start].iter().copied().chain(graft.chars()).chain(text[end..].iter().copied()).collect();
        if let Err(error) = Scenario::parse("spoilt.toml", &spoilt) {
            prop_assert!(error.problems().iter().all(|problem| problem.place().is_some()));
            let shown = format!("{:?}", miette::Report::new(error));
            prop_assert!(shown.contains("spoilt.toml"));
        }
    }

    #[test]
    fn no_text_is_a_panic(text in "\\PC*") {
        let _ = Scenario::parse("x.toml", &text);
    }
}

#[test]
fn the_demo_written_out() {
    insta::assert_snapshot!(good("").to_toml(42, "0.1.0"));
}
