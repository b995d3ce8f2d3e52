//! Every action of the fault script, each with the effect that only it has.

use std::sync::Arc;

use sim::analysis::Analysis;
use sim::record::{ConnectEnd, Op, Outcome, Recording, What};
use sim::scenario::Scenario;
use sim::world::{Keep, World};

struct Run {
    recording: Recording,
    analysis: Analysis,
    dropped: u64,
}

fn run(toml: &str) -> Run {
    let scenario = Scenario::parse("fault.toml", toml).unwrap_or_else(|error| panic!("{error:?}"));
    let mut world = World::new(Arc::new(scenario), 11, Keep { records: true, trace: false });
    world.run();
    let result = world.finish();
    assert!(result.unready.is_none());
    let analysis = Analysis::of(&result.recording, None);
    Run { recording: result.recording, analysis, dropped: result.packets_dropped }
}

impl Run {
    /// When a line that begins like this first occurs in a node's log after time 0.
    fn first(&self, node: &str, line: &str) -> Option<f64> {
        let mut lines = self.analysis.lines.iter().filter(|l| l.at_us >= 0 && l.node == node);
        lines.find(|l| l.text.starts_with(line)).map(|l| l.at_us as f64 / 1e6)
    }

    fn any(&self, line: &str) -> Option<f64> {
        let mut lines = self.analysis.lines.iter().filter(|l| l.at_us >= 0);
        lines.find(|l| l.text.starts_with(line)).map(|l| l.at_us as f64 / 1e6)
    }

    fn outcomes(&self, wanted: Outcome) -> usize {
        let is = |what: &What| matches!(what, What::Op(Op::Publish { outcome, .. } | Op::Set { outcome, .. }) if *outcome == wanted);
        self.recording.records.iter().filter(|record| is(&record.what)).count()
    }
}

fn fault(at: &str, rest: &str) -> String {
    format!("[[fault]]\nat = '{at}'\n{rest}\n")
}

#[test]
fn kill_is_seen_at_once_and_refuses_afterwards() {
    let run = run(&fault("0s", "action = 'kill'\nnode = 'redis-1'"));
    assert!(run.first("redis-2", "Connection with master lost").expect("FIN") < 0.05);
    assert!(run.first("redis-2", "Error condition on socket for SYNC: Connection refused").is_some());
    let down = run.first("haproxy", "Server redis_backend/redis-1 is DOWN, reason: Layer4 connection problem");
    assert!((2.0..3.1).contains(&down.expect("refused")), "{down:?}");
}

#[test]
fn kill_host_is_seen_at_once_and_silent_afterwards() {
    let run = run(&fault("0s", "action = 'kill-host'\nnode = 'redis-1'"));
    assert!(run.first("redis-2", "Connection with master lost").expect("FIN") < 0.05);
    let down = run.first("haproxy", "Server redis_backend/redis-1 is DOWN, reason: Layer4 timeout");
    assert!((5.0..6.1).contains(&down.expect("silent")), "{down:?}");
}

#[test]
fn power_off_tells_nobody() {
    let run = run(&fault("0s", "action = 'power-off'\nnode = 'redis-1'"));
    let lost = run.first("redis-2", "Connection with master lost");
    assert!(lost.is_none_or(|at| at > 5.0), "the replica hears nothing until it is reconfigured: {lost:?}");
    let down = run.first("haproxy", "Server redis_backend/redis-1 is DOWN, reason: Layer4 timeout");
    assert!(down.is_some());
    assert!(run.any("+switch-master").is_some());
}

#[test]
fn terminate_saves_and_says_goodbye() {
    let run = run(&fault("0s", "action = 'terminate'\nnode = 'redis-1'"));
    let bye = run.first("redis-1", "Redis is now ready to exit, bye bye").expect("an orderly end");
    assert!(bye < 1.5, "healthy replicas let it go within a second: {bye}");
    assert!(run.first("redis-1", "DB saved on disk").is_some());
    assert!(run.first("redis-2", "Connection with master lost").is_some_and(|lost| lost >= bye - 0.01));
}

#[test]
fn start_brings_a_killed_node_back_with_its_original_role() {
    let run =
        run(&[fault("0s", "action = 'kill'\nnode = 'redis-1'"), fault("12s", "action = 'start'\nnode = 'redis-1'")]
            .concat());
    let ready = run.first("redis-1", "Ready to accept connections").expect("it starts");
    assert!((12.0..12.2).contains(&ready), "{ready}");
    let converted = run.any("+convert-to-slave").expect("it came back as a master");
    assert!(converted - ready > 9.9, "never before 8 s, in practice 10: {}", converted - ready);
}

#[test]
fn a_paused_node_accepts_and_answers_when_it_is_resumed() {
    let run =
        run(&[fault("0s", "action = 'pause'\nnode = 'redis-1'"), fault("3s", "action = 'resume'\nnode = 'redis-1'")]
            .concat());
    assert!(run.outcomes(Outcome::ReplyTimeout) >= 4, "connected, but nobody answers");
    assert_eq!(run.outcomes(Outcome::ConnectRefused), 0);
    assert!(run.any("+switch-master").is_none(), "three seconds are less than down-after");
    let publish = run.analysis.outages.iter().find(|o| o.client == "publisher").expect("there is one");
    assert!((1_900_000..4_300_000).contains(&publish.longest_us), "{}", publish.longest_us);
}

#[test]
fn what_waited_on_an_open_connection_comes_before_what_waited_on_a_new_one() {
    // The subscriber gives up and subscribes anew while the master stands still. The message that was published before that
    // is handed to nobody: a connection that was there is read before one that is accepted only now.
    let run =
        run(&[fault("0s", "action = 'pause'\nnode = 'redis-1'"), fault("4.3s", "action = 'resume'\nnode = 'redis-1'")]
            .concat());
    let records = &run.recording.records;
    let received: Vec<u32> = records
        .iter()
        .filter_map(|record| match &record.what {
            What::Op(Op::Receive { seq, .. }) => Some(*seq),
            _ => None,
        })
        .collect();
    assert!(received.len() > 100);
    let failed = records.iter().filter_map(|record| match &record.what {
        What::Op(Op::Publish { seq, outcome: Outcome::ReplyTimeout, .. }) => Some(*seq),
        _ => None,
    });
    let failed: Vec<u32> = failed.collect();
    assert!(failed.len() >= 3);
    assert!(failed.iter().all(|seq| !received.contains(seq)), "{failed:?} are lost");
}

#[test]
fn a_pause_of_writes_looks_to_sentinels_like_a_master_that_is_down() {
    let run = run("duration = '20s'\n[[fault]]\nat = '0s'\naction = 'command'\nnode = 'redis-1'\n\
                   run = ['CLIENT', 'PAUSE', '15000', 'WRITE']\n");
    let down = run.any("+sdown master").expect("a hello waits, and the pings behind it");
    // The first link to be stuck is replaced, and its successor's first ping is answered; it may not be replaced again so soon.
    assert!((9.0..13.0).contains(&down), "{down}");
    assert!(run.any("+switch-master").is_some());
    let proxied = run.first("haproxy", "Server redis_backend/redis-1 is DOWN");
    assert!(proxied.is_none_or(|at| at > 15.0), "HAProxy's checks are not held up: {proxied:?}");
}

#[test]
fn a_partition_drops_until_the_heal() {
    let groups = "groups = [['redis-3'], ['redis-1', 'redis-2', 'sentinel-1', 'sentinel-2', 'sentinel-3', 'haproxy']]";
    let run = run(&[fault("0s", &format!("action = 'partition'\n{groups}")), fault("10s", "action = 'heal'")].concat());
    let down = run.any("+sdown slave redis-3:6379").expect("cut off");
    let up = run.any("-sdown slave redis-3:6379").expect("healed");
    assert!(down > 5.0 && up > 10.0 && up < 20.0, "{down} {up}");
    assert!(run.dropped > 10);
    assert!(run.first("redis-3", "Connection with master lost").is_none(), "a short silence breaks no connection");
}

#[test]
fn a_cut_is_one_way() {
    // The Sentinels' packets reach redis-2, its answers do not reach sentinel-1.
    let run = run(&fault("0s", "action = 'cut'\nfrom = 'redis-2'\nto = 'sentinel-1'"));
    assert!(run.first("sentinel-1", "+sdown slave redis-2:6379").is_some());
    assert!(run.first("sentinel-2", "+sdown slave redis-2:6379").is_none());
}

#[test]
fn a_degraded_link_is_slow_until_the_heal() {
    let run = run(&[
        fault("0s", "action = 'degrade'\nbetween = ['clients', 'haproxy']\nlatency = '100ms'"),
        fault("10s", "action = 'heal'"),
    ]
    .concat());
    let took_ms = |from: f64, to: f64| {
        let within = |record: &&sim::record::Record| {
            let at = run.recording.seconds(record.time);
            from <= at && at < to
        };
        let all: Vec<u64> = run
            .recording
            .records
            .iter()
            .filter(within)
            .filter_map(|record| match record.what {
                What::Op(Op::Publish { took, .. }) => Some(took.as_millis()),
                _ => None,
            })
            .collect();
        all.iter().sum::<u64>() / all.len() as u64
    };
    assert!((199..215).contains(&took_ms(1.0, 9.0)), "{}", took_ms(1.0, 9.0));
    assert!(took_ms(11.0, 19.0) < 3);
}

#[test]
fn a_lossy_link_costs_time_but_loses_nothing() {
    let run = run(&fault("0s", "action = 'degrade'\nbetween = ['clients', 'haproxy']\nloss = 0.05"));
    assert!(run.dropped > 20, "{}", run.dropped);
    let sums = &run.analysis.ledger.sums;
    assert!(sums.published < 600, "attempts that wait for a retransmission skip ticks: {}", sums.published);
    assert_eq!(sums.lost_silently, 0);
}

#[test]
fn a_clock_jump_puts_a_sentinel_into_tilt_for_thirty_seconds() {
    let run =
        run(&format!("duration = '40s'\n{}", fault("0s", "action = 'clock-jump'\nnode = 'sentinel-1'\nby = '-5s'")));
    let tilt = run.first("sentinel-1", "+tilt").expect("time ran backwards");
    let end = run.first("sentinel-1", "-tilt").expect("it ends");
    assert!((29.9..30.3).contains(&(end - tilt)), "{}", end - tilt);
    assert!(run.first("sentinel-2", "+tilt").is_none());
}

#[test]
fn a_stall_stops_the_loop_and_nothing_else() {
    let run = run(&fault("0s", "action = 'stall'\nnode = 'redis-1'\nfor = '6s'"));
    assert!(run.any("+sdown master").is_some_and(|at| (5.0..6.3).contains(&at)));
    assert!(run.first("redis-1", "Ready").is_none(), "it never restarted");
    assert_eq!(run.outcomes(Outcome::ConnectRefused), 0);
}

#[test]
fn a_command_is_executed_by_the_node() {
    let run = run(&fault("1s", "action = 'command'\nnode = 'sentinel-2'\nrun = ['SENTINEL', 'FAILOVER', 'mymaster']"));
    let tried = run.first("sentinel-2", "+try-failover").expect("it was told to");
    assert!((1.0..1.1).contains(&tried), "{tried}");
    assert!(run.any("+switch-master").is_some());
}

#[test]
fn roles_name_whoever_has_them_at_that_moment() {
    let run = run(&[
        fault("0s", "action = 'kill'\nnode = '@master'"),
        fault("12s", "action = 'kill'\nnode = '@leader'"),
        fault("13s", "action = 'pause'\nnode = '@replica'"),
        fault("14s", "action = 'start'\nnode = '@old-master'"),
    ]
    .concat());
    let marks = &run.recording.header.faults;
    let who = |index: usize| marks[index].fault.node().expect("somebody").to_owned();
    assert_eq!(who(0), "redis-1");
    let leader = run.analysis.leaders()[0].to_string();
    assert_eq!(who(1), leader);
    let master = run.recording.header.final_master.clone().expect("there is one");
    assert!(who(2) != master && who(2) != "redis-1" && who(2).starts_with("redis-"));
    assert_eq!(who(3), "redis-1");
}

#[test]
fn nodes_that_share_a_host_share_its_fate() {
    let run = run(&[
        fault("0s", "action = 'kill-host'\nnode = 'publisher'"),
        fault("5s", "action = 'start'\nnode = 'writer'"),
    ]
    .concat());
    let after = |client: &str, from: f64, to: f64| {
        let node = run.recording.names.find_node(client).expect("it exists");
        run.recording
            .records
            .iter()
            .filter(|record| record.node == node && !matches!(record.what, What::Op(Op::Connect(ConnectEnd::Open))))
            .filter(|record| (from..to).contains(&run.recording.seconds(record.time)))
            .count()
    };
    for client in ["publisher", "subscriber", "writer"] {
        assert_eq!(after(client, 0.1, 5.0), 0, "{client}");
    }
    assert!(after("writer", 5.2, 20.0) > 200, "only the writer was started again");
    assert_eq!(after("publisher", 5.2, 20.0), 0);
}
