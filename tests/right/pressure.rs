//! A reader that does not read: what it does not take fills the kernels' buffers, HAProxy's and Redis's, until a limit closes it.

use sim::Run;
use sim::record::{Event, RedisEvent, What};

use super::support::{refusal, run};

/// Four closed loops of publishers and a subscriber that is stopped at 0 s.
fn four_loops(haproxy: bool, limit: &str) -> String {
    let publisher = |n: u32| {
        format!(
            "[[client]]\nname = 'publisher-{n}'\nkind = 'publish'\nhost = 'h{n}'\n\
             pause = {{ min = '0ms', max = '0ms' }}\n"
        )
    };
    format!(
        "duration = '6s'\nphase = '0s'\n[stack]\nredis = 1\nsentinels = 1\nhaproxy = {haproxy}\n[sentinel]\nquorum = 1\n\
         [redis]\nclient-output-buffer-limit = '{limit}'\n{}\
         [[client]]\nname = 'subscriber'\nkind = 'subscribe'\nhost = 'slow'\n\
         [[fault]]\nat = '0s'\naction = 'pause'\nnode = 'subscriber'\n",
        (1..=4).map(publisher).collect::<String>()
    )
}

/// A publisher with messages of `payload` every `every`, and a subscriber that is stopped from 0 s to 8 s.
fn one_publisher(payload: &str, every: &str, limit: &str, more: &str) -> String {
    format!(
        "duration = '20s'\nphase = '0s'\n[redis]\nclient-output-buffer-limit = '{limit}'\n\
         [[client]]\nname = 'publisher'\nkind = 'publish'\nhost = 'clients'\nevery = '{every}'\npayload = '{payload}'\n\
         [[client]]\nname = 'subscriber'\nkind = 'subscribe'\nhost = 'clients'\n\
         [[fault]]\nat = '0s'\naction = 'pause'\nnode = 'subscriber'\n\
         [[fault]]\nat = '8s'\naction = 'resume'\nnode = 'subscriber'\n{more}"
    )
}

/// When clients were closed for their output buffers, in seconds, with their classes.
fn closed(run: &Run) -> Vec<(f64, &'static str)> {
    let recording = &run.result.recording;
    let of = |record: &sim::record::Record| match &record.what {
        What::Event(Event::Redis(RedisEvent::OutputLimit(limit))) => {
            Some((recording.micros(record.time) as f64 / 1e6, limit.class))
        }
        _ => None,
    };
    recording.records.iter().filter_map(of).collect()
}

#[test]
fn a_stopped_subscriber_is_closed_by_the_output_buffer_limit_and_later_behind_a_proxy() {
    let [direct, behind] = [false, true].map(|haproxy| {
        let run = run(&four_loops(haproxy, "pubsub 256kb 64kb 5"), 1);
        let closed = closed(&run);
        assert_eq!(closed.len(), 1, "haproxy = {haproxy}: {closed:?}");
        assert_eq!(closed[0].1, "pubsub");
        closed[0].0
    });
    // Two pairs of kernels and a proxy hold more than one pair.
    assert!(behind > direct + 0.3, "{direct} {behind}");
    assert!(direct > 0.4, "and one pair holds something: {direct}");
}

#[test]
fn without_a_limit_nobody_is_closed_and_a_reader_that_goes_on_misses_nothing() {
    let more = "[expect]\npublish-lost = 0\n";
    for (payload, every) in [("16kb", "20ms"), ("0", "5ms"), ("300kb", "100ms")] {
        let run = run(&one_publisher(payload, every, "pubsub 0 0 0", more), 1);
        assert_eq!(closed(&run), []);
        assert!(run.misses.is_empty(), "{payload}: {:?}", run.misses);
    }
}

#[test]
fn what_the_buffers_on_the_way_can_hold_is_late_and_not_lost() {
    // 400 messages of 1 kB are less than two kernels and a proxy hold, and the limit comes on top.
    let run = run(&one_publisher("1kb", "20ms", "pubsub 1mb 0 0", "[expect]\npublish-lost = 0\n"), 1);
    assert_eq!(closed(&run), []);
    assert!(run.misses.is_empty(), "{:?}", run.misses);
}

#[test]
fn larger_messages_reach_the_limit_sooner() {
    let [small, large] = ["8kb", "32kb"].map(|payload| {
        let closed = closed(&run(&one_publisher(payload, "20ms", "pubsub 1mb 0 0", ""), 1));
        assert_eq!(closed.len(), 1, "{payload}");
        closed[0].0
    });
    assert!((0.5..3.0).contains(&large) && small > 2.5 * large, "{small} {large}");
}

#[test]
fn the_soft_limit_counts_seconds() {
    let closed = closed(&run(&one_publisher("64kb", "20ms", "pubsub 0 256kb 3", ""), 1));
    assert_eq!(closed.len(), 1);
    // Less than a second until the buffers are full, then more than three whole seconds of the cached clock.
    assert!((3.0..6.0).contains(&closed[0].0), "{closed:?}");
}

#[test]
fn a_stopped_proxy_presses_as_a_stopped_subscriber_does() {
    let text = one_publisher("64kb", "20ms", "pubsub 1mb 0 0", "").replace("node = 'subscriber'", "node = 'haproxy'");
    // The publisher stands behind the same proxy: it sends one message, waits for its answer, and nothing more comes.
    assert_eq!(closed(&run(&text, 1)), []);
}

#[test]
fn a_payload_is_of_messages_and_not_longer_than_redis_takes() {
    let client = |more: &str| format!("[[client]]\nname = 'p'\n{more}");
    assert!(refusal(&client("kind = 'set'\npayload = '1kb'\n")).contains("only a publisher has messages"));
    assert!(refusal(&client("kind = 'publish'\npayload = '513mb'\n")).contains("at most 512mb"));
}

#[test]
fn a_payload_takes_its_time_on_a_link_with_a_rate_and_its_place_in_the_replication_stream() {
    let text = |payload: &str| {
        format!(
            "duration = '5s'\nphase = '0s'\n[network]\nrate = '100mbit'\n[[client]]\nname = 'publisher'\nkind = 'publish'\n\
             payload = '{payload}'\n[[client]]\nname = 'subscriber'\nkind = 'subscribe'\n"
        )
    };
    let took = |run: &Run| {
        let ok: Vec<i64> = run.analysis.ledger.messages.iter().map(|message| message.took_us).collect();
        ok.iter().sum::<i64>() / ok.len() as i64
    };
    let [small, large] = ["0", "125kb"].map(|payload| took(&run(&text(payload), 1)));
    // 125 kB at 100 Mbit/s take 10 ms to HAProxy and 10 ms from there to Redis; the answer leaves Redis behind the message to the
    // subscriber, on the same link.
    assert!((30_000..32_500).contains(&(large - small)), "{small} {large}");
}

#[test]
fn the_buffer_of_the_proxy_is_a_setting_that_counts() {
    let with = |bufsize: &str| {
        let more = format!("[haproxy]\ntune.bufsize = {bufsize}\n");
        let closed = closed(&run(&one_publisher("8kb", "20ms", "pubsub 256kb 0 0", &more), 1));
        assert_eq!(closed.len(), 1);
        closed[0].0
    };
    // 1 MB at 400 kB a second.
    let (default, large) = (with("16384"), with("1048576"));
    assert!((2.0..3.2).contains(&(large - default)), "{default} {large}");
}
