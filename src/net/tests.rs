//! TCP under each kind of fault, on two or three hosts without programs: the test plays both.

use proptest::prelude::*;

use super::*;
use crate::kernel::{Kernel, Purpose, Span, Stream, Time};
use crate::program::{ConnectError, Ended, Handles, Input, KeepAlive, Sock, Token};
use crate::wire::{Addr, Command, Expiry, HostId, Ip, Key, Message, NodeId};

const CLIENT: HostId = HostId(0);
const SERVER: HostId = HostId(1);
const PORT: u16 = 6379;

struct Bench {
    kernel: Kernel<NetEvent>,
    handles: Handles,
    net: Net,
    heard: Vec<(Time, Delivery)>,
}

impl Bench {
    fn new(link: Link) -> Bench {
        let luck = (0..3).map(|host| Stream::named(1, host, Purpose::Network)).collect();
        let wheel = TimerWheel { phase: Span::from_micros(1_234_567) };
        let topology = Topology::new(3, link);
        let mut net = Net::new(topology, luck, vec![Span::from_secs(30); 3], wheel, 3);
        net.listen(NodeId(1), Addr::new(Ip(SERVER.0.into()), PORT), 511);
        let mut bench = Bench { kernel: Kernel::new(3), handles: Handles::default(), net, heard: Vec::new() };
        bench.run(Time(1_000_000_000));
        bench
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut Net, Time, &mut Context<'_, NetEvent>) -> R) -> R {
        let now = self.kernel.now();
        act(&mut self.net, now, &mut Context { kernel: &mut self.kernel, handles: &mut self.handles })
    }

    fn connect(&mut self) -> Sock {
        let sock = self.handles.allocate();
        self.with(|net, now, cx| {
            net.connect((NodeId(0), CLIENT), sock, Addr::new(Ip(SERVER.0.into()), PORT), Token(7), now, cx)
        });
        sock
    }

    /// Connects and accepts; answers both ends.
    fn open(&mut self) -> (Sock, Sock) {
        let client = self.connect();
        self.run(self.kernel.now() + Span::from_millis(10));
        let server = self
            .heard
            .iter()
            .find_map(|(_, delivery)| match delivery.input {
                Input::Accepted { sock, .. } => Some(sock),
                _ => None,
            })
            .expect("the server heard of it");
        self.net.accept(server, Token(1));
        self.heard.clear();
        (client, server)
    }

    fn send(&mut self, sock: Sock, seq: u32) {
        let message = Message::Command(Command::Set(Key::new(0, seq), seq, Expiry::Never));
        self.with(|net, now, cx| net.send(sock, message, now, cx));
    }

    fn run(&mut self, until: Time) {
        while let Some(dispatched) = self.kernel.next(until) {
            let now = self.kernel.now();
            let cx = &mut Context { kernel: &mut self.kernel, handles: &mut self.handles };
            if let Some(delivery) = self.net.handle(dispatched.event, cx) {
                self.heard.push((now, delivery));
            }
        }
        self.kernel.advance(until);
    }

    fn run_for(&mut self, seconds: f64) {
        self.run(self.kernel.now() + Span((seconds * 1e9) as u64));
    }

    fn partition(&mut self) {
        self.net.topology.block(CLIENT, SERVER);
        self.net.topology.block(SERVER, CLIENT);
    }

    fn heal(&mut self) {
        self.net.topology.unblock(CLIENT, SERVER);
        self.net.topology.unblock(SERVER, CLIENT);
    }

    fn received(&self, node: NodeId) -> Vec<u32> {
        let seq = |delivery: &Delivery| match delivery.input {
            Input::Data { message: Message::Command(Command::Set(_, seq, _)), .. } => Some(seq),
            _ => None,
        };
        self.heard.iter().filter(|(_, delivery)| delivery.node == node).filter_map(|(_, d)| seq(d)).collect()
    }

    fn first(&self, wanted: impl Fn(&Input) -> bool) -> Option<Time> {
        self.heard.iter().find(|(_, delivery)| wanted(&delivery.input)).map(|(time, _)| *time)
    }
}

fn is_failed(error: ConnectError) -> impl Fn(&Input) -> bool {
    move |input| matches!(input, Input::ConnectFailed { error: e, .. } if *e == error)
}

fn is_ended(how: Ended) -> impl Fn(&Input) -> bool {
    move |input| matches!(input, Input::Ended { how: h, .. } if *h == how)
}

#[test]
fn a_living_host_refuses_within_a_round_trip() {
    let mut bench = Bench::new(Link::default());
    bench.net.process_dies(NodeId(1), SERVER, &mut Context { kernel: &mut bench.kernel, handles: &mut bench.handles });
    let start = bench.kernel.now();
    bench.connect();
    bench.run_for(1.0);
    let refused = bench.first(is_failed(ConnectError::Refused)).expect("refused");
    assert!(refused.since(start) < Span::from_micros(200));
}

#[test]
fn a_vanished_address_is_silent_and_then_without_route() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.net.host_vanishes(SERVER, &mut bench.handles);
    bench.send(client, 1);
    let start = bench.kernel.now();
    // The neighbour entry was confirmed just now: trusted for 30 s, then delay and probes, about 38 s of pure silence;
    // then the next packet asks, and what waits for the answer fails after three questions.
    for _ in 0..60 {
        let sock = bench.connect();
        bench.run_for(0.9);
        bench.with(|net, now, cx| net.close(sock, now, cx));
        bench.run_for(0.1);
    }
    let failed = bench.first(is_failed(ConnectError::Unreachable)).expect("no route").since(start);
    assert!((41_000..44_000).contains(&failed.as_millis()), "{failed}");
}

#[test]
fn an_address_never_heard_of_has_no_route_after_three_probes() {
    let mut bench = Bench::new(Link::default());
    bench.net.host_vanishes(SERVER, &mut bench.handles);
    let start = bench.kernel.now();
    bench.connect();
    bench.run_for(10.0);
    let failed = bench.first(is_failed(ConnectError::Unreachable)).expect("no route").since(start);
    // Measured: 3.06 s.
    assert!((3_000..3_120).contains(&failed.as_millis()), "{failed}");
}

#[test]
fn a_connect_into_silence_succeeds_at_the_next_syn_after_the_heal() {
    let mut bench = Bench::new(Link::default());
    bench.partition();
    let start = bench.kernel.now();
    bench.connect();
    bench.run_for(8.0);
    bench.heal();
    bench.run_for(10.0);
    let connected = bench.first(|input| matches!(input, Input::Connected { .. })).expect("connected").since(start);
    // SYNs at 0, 1, 2, 3, 4, 5, 7 and 11 s, each a little late.
    assert!((11_000..11_500).contains(&connected.as_millis()), "{connected}");
}

#[test]
fn a_connect_into_lasting_silence_times_out_after_131_seconds() {
    let mut bench = Bench::new(Link::default());
    bench.partition();
    let start = bench.kernel.now();
    bench.connect();
    bench.run_for(200.0);
    let failed = bench.first(is_failed(ConnectError::TimedOut)).expect("timed out").since(start);
    assert!((131_000..137_000).contains(&failed.as_millis()), "{failed}");
}

#[test]
fn after_a_heal_the_next_retransmission_delivers_everything_in_order() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.partition();
    let start = bench.kernel.now();
    bench.send(client, 1);
    bench.run_for(1.0);
    (2..=3).for_each(|seq| bench.send(client, seq));
    bench.run_for(13.05);
    bench.heal();
    bench.send(client, 4);
    bench.run_for(20.0);
    assert_eq!(bench.received(NodeId(1)), [1, 2, 3, 4]);
    let at = bench.first(|input| matches!(input, Input::Data { .. })).expect("delivered").since(start);
    // Measured: healed at 14.05 s, delivered at 26.75 s.
    assert!((26_000..28_500).contains(&at.as_millis()), "{at}");
}

#[test]
fn the_timer_of_a_loss_that_was_made_good_is_void() {
    // A path that loses next to nothing, but may: later segments show what is missing.
    let mut bench = Bench::new(Link { loss: 1, ..Link::default() });
    let (client, _) = bench.open();
    bench.partition();
    bench.send(client, 1);
    bench.run_for(0.002);
    bench.heal();
    bench.send(client, 2);
    bench.run_for(0.050);
    assert_eq!(bench.received(NodeId(1)), [1, 2], "repeated before its timer fired");
    bench.heard.clear();
    let sent = bench.kernel.now();
    bench.partition();
    bench.send(client, 3);
    bench.run_for(0.010);
    bench.heal();
    bench.run_for(1.0);
    let at = bench.first(|input| matches!(input, Input::Data { .. })).expect("delivered").since(sent);
    assert!((190..260).contains(&at.as_millis()), "by its own timer, not by that of the first: {at}");
}

#[test]
fn what_waits_on_a_slow_link_is_lost_with_its_queue_and_repeated() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.net.topology.degrade(CLIENT, SERVER, |link| link.rate_bits_per_s = Some(8_000));
    (0..200).for_each(|seq| bench.send(client, seq));
    bench.run_for(0.5);
    let passed = bench.received(NodeId(1)).len();
    assert!((1..100).contains(&passed), "{passed} of 200 have passed");
    bench.with(|net, _, cx| net.restore_links(cx));
    bench.run_for(1.0);
    assert_eq!(bench.received(NodeId(1)), (0..200).collect::<Vec<_>>());
}

#[test]
fn a_heal_leaves_alone_what_waits_on_a_link_that_was_never_degraded() {
    let mut bench = Bench::new(Link { rate_bits_per_s: Some(8_000), ..Link::default() });
    let (client, _) = bench.open();
    (0..200).for_each(|seq| bench.send(client, seq));
    bench.run_for(0.5);
    let dropped = bench.net.dropped();
    bench.with(|net, _, cx| net.restore_links(cx));
    bench.run_for(1.0);
    assert_eq!(bench.net.dropped(), dropped);
    assert!(bench.received(NodeId(1)).len() < 100);
    bench.run_for(60.0);
    assert_eq!(bench.received(NodeId(1)), (0..200).collect::<Vec<_>>());
}

#[test]
fn with_several_segments_out_the_first_timer_already_backs_off() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.partition();
    let start = bench.kernel.now();
    (1..=2).for_each(|seq| bench.send(client, seq));
    bench.run_for(14.05);
    bench.heal();
    bench.run_for(20.0);
    let at = bench.first(|input| matches!(input, Input::Data { .. })).expect("delivered").since(start);
    // 0.2, 0.6, 1.5, 3.1, 6.5, 13.2, 26.5: a quarter of a second before a single segment's. Seen in the recordings of
    // partition-master, where a replication link recovers 26.4 to 26.7 s after the cut.
    assert!((26_300..26_700).contains(&at.as_millis()), "{at}");
}

#[test]
fn unacknowledged_data_is_given_up_after_fifteen_minutes() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.partition();
    let start = bench.kernel.now();
    bench.send(client, 1);
    bench.run_for(1_200.0);
    let ended = bench.first(is_ended(Ended::TimedOut)).expect("given up").since(start);
    // Measured: 937.7 s.
    assert!((924.6..1_000.0).contains(&ended.as_secs_f64()), "{ended}");
}

#[test]
fn what_a_closed_socket_wrote_outlives_it() {
    let mut bench = Bench::new(Link::default());
    let (client, server) = bench.open();
    bench.partition();
    bench.send(client, 1);
    bench.run_for(3.0);
    bench.with(|net, now, cx| net.close(client, now, cx));
    bench.run_for(5.0);
    bench.heal();
    bench.run_for(10.0);
    assert_eq!(bench.received(NodeId(1)), [1]);
    let eof = bench.first(is_ended(Ended::Eof)).expect("FIN after the data");
    assert!(bench.first(|input| matches!(input, Input::Data { .. })).expect("data") <= eof);
    assert!(!bench.handles.is_live(client) && bench.handles.is_live(server));
}

#[test]
fn an_orphan_gives_up_after_eight_repeats() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.partition();
    bench.send(client, 1);
    bench.with(|net, now, cx| net.close(client, now, cx));
    bench.run_for(130.0);
    assert!(!bench.handles.is_live(client));
    bench.heal();
    bench.run_for(200.0);
    assert_eq!(bench.received(NodeId(1)), [] as [u32; 0]);
}

#[test]
fn a_dead_process_sends_fin_or_rst_if_it_left_input_unread() {
    for (unread, how) in [(false, Ended::Eof), (true, Ended::Reset)] {
        let mut bench = Bench::new(Link::default());
        let (_, server) = bench.open();
        bench.with(|net, _, cx| {
            net.unread(server, unread as i32);
            net.process_dies(NodeId(1), SERVER, cx);
        });
        bench.run_for(1.0);
        assert!(bench.first(is_ended(how)).is_some(), "{how:?}");
    }
}

#[test]
fn writing_to_a_closed_peer_is_answered_with_rst() {
    let mut bench = Bench::new(Link::default());
    let (client, server) = bench.open();
    bench.with(|net, now, cx| net.close(server, now, cx));
    bench.run_for(1.0);
    assert!(bench.first(is_ended(Ended::Eof)).is_some() && bench.first(is_ended(Ended::Reset)).is_none());
    bench.send(client, 1);
    bench.run_for(1.0);
    assert!(bench.first(is_ended(Ended::Reset)).is_some());
}

#[test]
fn half_a_close_leaves_the_other_direction_open() {
    let mut bench = Bench::new(Link::default());
    let (client, server) = bench.open();
    bench.with(|net, now, cx| net.shutdown_write(server, now, cx));
    bench.run_for(1.0);
    bench.send(client, 1);
    bench.run_for(1.0);
    assert_eq!(bench.received(NodeId(1)), [1]);
    assert!(bench.first(is_ended(Ended::Reset)).is_none());
}

#[test]
fn the_backlog_admits_one_more_than_its_number_and_then_drops() {
    let mut bench = Bench::new(Link::default());
    bench.net.listen(NodeId(1), Addr::new(Ip(SERVER.0.into()), PORT), 3);
    for _ in 0..6 {
        bench.connect();
    }
    bench.run_for(0.5);
    let connected = |bench: &Bench| {
        bench.heard.iter().filter(|(_, delivery)| matches!(delivery.input, Input::Connected { .. })).count()
    };
    assert_eq!(connected(&bench), 4);
    let accepted: Vec<Sock> = bench
        .heard
        .iter()
        .filter_map(|(_, delivery)| match delivery.input {
            Input::Accepted { sock, .. } => Some(sock),
            _ => None,
        })
        .collect();
    for sock in accepted {
        bench.net.accept(sock, Token(0));
    }
    bench.run_for(1.0);
    assert_eq!(connected(&bench), 6, "the next SYN gets in");
}

#[test]
fn what_a_server_sends_at_once_comes_after_its_syn_ack() {
    for seed in 0..50 {
        let mut bench = Bench::new(Link { jitter: Span::from_micros(500), ..Link::default() });
        bench.run_for(seed as f64 / 1000.0);
        let client = bench.connect();
        let server = loop {
            bench.run_for(0.000_01);
            if let Some((_, delivery)) = bench.heard.first() {
                break delivery.sock;
            }
        };
        bench.with(|net, now, cx| net.close(server, now, cx));
        bench.run_for(0.1);
        let of_client: Vec<&Input> =
            bench.heard.iter().filter(|(_, d)| d.sock == client).map(|(_, d)| &d.input).collect();
        assert!(
            matches!(of_client[..], [Input::Connected { .. }, Input::Ended { how: Ended::Eof, .. }]),
            "{of_client:?}"
        );
    }
}

#[test]
fn a_one_way_cut_of_acknowledgements_executes_what_seems_lost() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.net.topology.block(SERVER, CLIENT);
    bench.send(client, 1);
    bench.run_for(0.1);
    bench.send(client, 2);
    bench.run_for(0.4);
    bench.send(client, 3);
    bench.run_for(5.0);
    assert_eq!(bench.received(NodeId(1)), [1, 2], "after the first time-out new data waits for an acknowledgement");
    bench.net.topology.unblock(SERVER, CLIENT);
    bench.run_for(10.0);
    assert_eq!(bench.received(NodeId(1)), [1, 2, 3], "and nothing is delivered twice");
}

#[test]
fn keepalive_finds_a_peer_that_vanished() {
    let mut bench = Bench::new(Link::default());
    let settings = KeepAlive { idle: Span::from_secs(300), interval: Span::from_secs(100), count: 3 };
    bench.net.set_keepalive(NodeId(1), Some(settings));
    let _ = bench.open();
    bench.net.host_vanishes(CLIENT, &mut bench.handles);
    let start = bench.kernel.now();
    bench.run_for(700.0);
    let ended = bench.first(is_ended(Ended::TimedOut)).expect("found dead").since(start);
    assert!((599.0..601.0).contains(&ended.as_secs_f64()), "{ended}");
}

/// Instants at which a segment into silence is sent, measured: first the probe of the tail, then with doubling gaps
/// (spec T15.1). With several segments out the probe comes early, and the ladder is one short step ahead.
const LADDER: [f64; 10] = [0.205, 0.413, 0.849, 1.685, 3.345, 6.737, 13.39, 26.7, 54.4, 107.6];
const LADDER_OF_SEVERAL: [f64; 10] = [0.205, 0.636, 1.48, 3.13, 6.50, 13.1, 26.5, 54.2, 107.4, 214.0];

proptest! {
    #[test]
    fn after_a_heal_data_is_delivered_at_the_next_step_of_the_ladder(
        healed_ms in 250u64..100_000, more in 0u32..4, one_way in any::<bool>(),
    ) {
        let mut bench = Bench::new(Link::default());
        let (client, _) = bench.open();
        bench.partition();
        if one_way {
            bench.net.topology.unblock(SERVER, CLIENT);
        }
        let start = bench.kernel.now();
        (0..=more).for_each(|seq| bench.send(client, seq));
        bench.run(start + Span::from_millis(healed_ms));
        bench.heal();
        bench.run_for(220.0);
        prop_assert_eq!(bench.received(NodeId(1)), (0..=more).collect::<Vec<u32>>());
        let at = bench.first(|input| matches!(input, Input::Data { .. })).expect("delivered").since(start).as_secs_f64();
        let healed = healed_ms as f64 / 1e3;
        // The wheel rounds late and never early, so a step may still be ahead that the table has behind the heal.
        prop_assert!(at >= healed && at <= 2.06 * healed + 0.5, "healed at {}, delivered at {}", healed, at);
        let ladder = if more == 0 { LADDER } else { LADDER_OF_SEVERAL };
        let step = ladder.iter().find(|step| (*step * 0.96..=*step * 1.04).contains(&at));
        prop_assert!(step.is_some(), "healed at {}, delivered at {}", healed, at);
    }

    #[test]
    fn everything_written_arrives_once_and_in_order(
        gaps in prop::collection::vec(0u64..400, 1..60),
        cut_at in 0u64..5_000,
        cut_for in 0u64..20_000,
        one_way in any::<bool>(),
        loss in prop_oneof![Just(0u64), Just(1 << 28), Just(1 << 30)],
    ) {
        let mut bench = Bench::new(Link { loss, ..Link::default() });
        let client = loop {
            // A handshake segment may be lost on the way: it takes a SYN repeat then.
            let client = bench.connect();
            bench.run_for(20.0);
            let accepted = bench.heard.iter().find_map(|(_, d)| match d.input {
                Input::Accepted { sock, .. } => Some(sock),
                _ => None,
            });
            let connected = bench.first(|input| matches!(input, Input::Connected { .. })).is_some();
            if let (Some(server), true) = (accepted, connected) {
                bench.net.accept(server, Token(1));
                break client;
            }
            bench.heard.clear();
        };
        let start = bench.kernel.now();
        let (mut at, mut cut, mut healed) = (start, false, false);
        for (seq, gap) in gaps.iter().enumerate() {
            at += Span::from_millis(*gap);
            for (flag, moment) in [(0, cut_at), (1, cut_at + cut_for)] {
                let moment = start + Span::from_millis(moment);
                let done = if flag == 0 { &mut cut } else { &mut healed };
                if !*done && moment <= at {
                    *done = true;
                    if moment > bench.kernel.now() {
                        bench.run(moment);
                    }
                    match (flag, one_way) {
                        (0, true) => bench.net.topology.block(SERVER, CLIENT),
                        (0, false) => bench.partition(),
                        _ => bench.heal(),
                    }
                }
            }
            bench.run(at);
            bench.send(client, seq as u32);
        }
        bench.heal();
        bench.run_for(400.0);
        let expected: Vec<u32> = (0..gaps.len() as u32).collect();
        prop_assert_eq!(bench.received(NodeId(1)), expected);
    }
}

/// Messages that `bench` has heard since `seen` are read; answers how many it has heard.
fn read(bench: &mut Bench, sender: Sock, seen: usize) -> usize {
    let heard: Vec<u64> = bench.heard[seen..]
        .iter()
        .filter_map(|(_, delivery)| match &delivery.input {
            Input::Data { message, .. } => Some(message.wire_bytes()),
            _ => None,
        })
        .collect();
    for bytes in heard {
        if bench.handles.consumed(sender, bytes) {
            bench.with(|net, _, cx| net.was_read(sender, cx));
        }
    }
    bench.heard.len()
}

/// Reads until nothing more comes.
fn read_all(bench: &mut Bench, sender: Sock) {
    let mut seen = 0;
    loop {
        seen = read(bench, sender, seen);
        bench.run_for(1.0);
        if seen == bench.heard.len() {
            return;
        }
    }
}

#[test]
fn what_a_stopped_reader_does_not_take_stays_with_the_writer_and_comes_in_order() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.with(|net, _, cx| net.set_stopped(NodeId(1), true, cx));
    let mut written = 0;
    while bench.handles.output_buffer_bytes(client) < 50_000 {
        written += 1;
        bench.send(client, written);
        bench.run_for(0.000_5);
        assert!(written < 100_000, "no buffer is endless");
    }
    // Nobody reads: what the two kernels hold does not grow.
    bench.run_for(30.0);
    let kernels = bench.handles.unread_bytes(client) - bench.handles.output_buffer_bytes(client);
    assert!((100_000..1_000_000).contains(&kernels), "{kernels}");
    assert!(bench.received(NodeId(1)).len() < written as usize / 2);
    bench.with(|net, _, cx| net.set_stopped(NodeId(1), false, cx));
    read_all(&mut bench, client);
    assert_eq!(bench.received(NodeId(1)), (1..=written).collect::<Vec<u32>>());
    assert_eq!((bench.handles.output_buffer_bytes(client), bench.handles.unread_bytes(client)), (0, 0));
    // And the connection is as before: a message costs one event.
    let before = bench.kernel.dispatched();
    bench.send(client, 0);
    bench.run_for(1.0);
    assert_eq!(bench.kernel.dispatched() - before, 1);
}

#[test]
fn who_closes_takes_back_what_the_kernel_has_not_got() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.with(|net, _, cx| net.set_stopped(NodeId(1), true, cx));
    for seq in 1..=20_000 {
        bench.send(client, seq);
        bench.run_for(0.000_5);
    }
    assert!(bench.handles.output_buffer_bytes(client) > 0);
    bench.with(|net, now, cx| net.close(client, now, cx));
    bench.run_for(2.0);
    bench.with(|net, _, cx| net.set_stopped(NodeId(1), false, cx));
    read_all(&mut bench, client);
    let received = bench.received(NodeId(1));
    assert!(received.len() > 1_000 && received.len() < 20_000, "{}", received.len());
    assert!(received.iter().copied().eq(1..=received.len() as u32), "a beginning, in order");
    assert!(matches!(bench.heard.last(), Some((_, Delivery { input: Input::Ended { how: Ended::Eof, .. }, .. }))));
}

#[test]
fn a_cut_while_nobody_reads_loses_nothing() {
    let mut bench = Bench::new(Link::default());
    let (client, _) = bench.open();
    bench.with(|net, _, cx| net.set_stopped(NodeId(1), true, cx));
    for seq in 1..=20_000 {
        bench.send(client, seq);
        bench.run_for(0.000_5);
        match seq {
            3_000 => bench.partition(),
            6_000 => bench.heal(),
            _ => {}
        }
    }
    bench.partition();
    bench.with(|net, _, cx| net.set_stopped(NodeId(1), false, cx));
    bench.run_for(5.0);
    bench.heal();
    read_all(&mut bench, client);
    bench.run_for(60.0);
    read_all(&mut bench, client);
    assert_eq!(bench.received(NodeId(1)), (1..=20_000).collect::<Vec<u32>>());
}
