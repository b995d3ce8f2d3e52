//! What Redis 7.0.15's own Sentinel tests assert and a scenario file cannot say: answers to commands, and who follows
//! whom. docs/conformance.md has the table of all of them.

use std::path::Path;
use std::sync::Arc;

use sim::kernel::{Span, Time};
use sim::scenario::Scenario;
use sim::wire::{Addr, Command, ErrorKind, Info, Known, NodeId, Reply, Role, SentinelReply, parse_command};
use sim::world::{Keep, World};

/// The stack of Redis's tests: five of each, quorum 3, down-after 2 s, failover-timeout 10 s, parallel-syncs 10.
const STACK: &str = "
duration = '10m'
phase = '10s'
[stack]
redis = 5
sentinels = 5
haproxy = false
[redis]
config-file = true
[sentinel]
quorum = 3
down-after-milliseconds = 2000
failover-timeout = 10000
parallel-syncs = 10
";

struct Stack {
    world: World,
    origin: Time,
}

impl Stack {
    fn of(scenario: Scenario, seed: u64) -> Stack {
        let mut world = World::new(Arc::new(scenario), seed, Keep { records: true, trace: false });
        while world.origin().is_none() {
            world.run_until(world.now() + Span::from_millis(500));
        }
        let origin = world.origin().expect("the stack is ready");
        Stack { world, origin }
    }

    fn with(faults: &str, seed: u64) -> Stack {
        let text = format!("{STACK}{faults}");
        let scenario = Scenario::parse("stack.toml", &text).unwrap_or_else(|error| panic!("{error:?}"));
        let mut stack = Stack::of(scenario, seed);
        stack.until(0.0);
        stack
    }

    fn shipped(name: &str, seed: u64) -> Stack {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/conformance").join(format!("{name}.toml"));
        Stack::of(Scenario::load(path).expect("it is shipped"), seed)
    }

    fn until(&mut self, second: f64) {
        self.world.run_until(self.origin + Span((second * 1e9) as u64));
    }

    fn later(&mut self, seconds: f64) {
        self.world.run_until(self.world.now() + Span((seconds * 1e9) as u64));
    }

    fn node(&self, name: &str) -> NodeId {
        self.world.layout().names.find_node(name).expect("a node of the stack")
    }

    fn addr(&self, name: &str) -> Addr {
        self.world.layout().addr(self.node(name))
    }

    /// Types a command into a node; busy nodes are waited for.
    fn ask(&mut self, node: &str, words: &str) -> Reply {
        let words: Vec<String> = words.split(' ').map(String::from).collect();
        let ip = |name: &str| self.world.layout().names.find_ip(name);
        let command: Command = parse_command(&words, Known { ip: &ip, master: "mymaster" }).expect("a command");
        let node = self.node(node);
        for _ in 0..100 {
            if let Some(reply) = self.world.ask(node, command.clone()) {
                return reply;
            }
            self.later(0.005);
        }
        panic!("no answer to {words:?}");
    }

    fn info(&mut self, node: &str) -> Info {
        match self.ask(node, "INFO") {
            Reply::Info(info) => *info,
            other => panic!("{other:?}"),
        }
    }

    fn flags(&mut self, sentinel: &str) -> String {
        match self.ask(sentinel, "SENTINEL MASTER mymaster") {
            Reply::Sentinel(reply) => match *reply {
                SentinelReply::Master { flags, .. } => flags,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn master_of(&mut self, sentinel: &str) -> Addr {
        match self.ask(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster") {
            Reply::Sentinel(reply) => match *reply {
                SentinelReply::MasterAddr(Some(addr)) => addr,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn replicas(&mut self, sentinel: &str) -> usize {
        match self.ask(sentinel, "SENTINEL REPLICAS mymaster") {
            Reply::Sentinel(reply) => match *reply {
                SentinelReply::Replicas(replicas) => replicas.len(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// All Sentinels name one master, it says it is one, and all others that run follow it with their link up.
    fn assert_all_follow_one_master(&mut self, running: &[&str]) {
        let master = self.master_of("sentinel-1");
        for n in 2..=5 {
            assert_eq!(self.master_of(&format!("sentinel-{n}")), master);
        }
        for node in running {
            let info = self.info(node);
            if self.addr(node) == master {
                assert_eq!(info.role, Role::Master);
            } else {
                let link = info.link.unwrap_or_else(|| panic!("{node} is a replica"));
                assert_eq!((link.master, link.up), (master, true), "{node}");
            }
        }
    }
}

const ALL: [&str; 5] = ["redis-1", "redis-2", "redis-3", "redis-4", "redis-5"];

/// init-tests.tcl: discovery of replicas and Sentinels; includes "REMOVE, then MONITOR" of its beginning.
#[test]
fn init_sentinels_discover_replicas_and_each_other_again_after_remove_and_monitor() {
    let mut stack = Stack::with("", 1);
    let seen = |stack: &mut Stack| match stack.ask("sentinel-3", "SENTINEL MASTER mymaster") {
        Reply::Sentinel(reply) => match *reply {
            SentinelReply::Master { slaves, sentinels, quorum, .. } => (slaves, sentinels, quorum),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(seen(&mut stack), (4, 4, 3));
    assert_eq!(stack.ask("sentinel-3", "SENTINEL REMOVE mymaster"), Reply::Ok);
    assert_eq!(stack.ask("sentinel-3", "SENTINEL MASTER mymaster"), Reply::Error(ErrorKind::NoSuchMaster));
    stack.later(1.0);
    assert_eq!(stack.ask("sentinel-3", "SENTINEL MONITOR mymaster redis-1 6379 2"), Reply::Ok);
    stack.later(5.0);
    assert_eq!(seen(&mut stack), (4, 4, 2));
    assert_eq!(stack.ask("sentinel-3", "SENTINEL FLUSHCONFIG"), Reply::Ok);
}

/// 00-base.tcl: "New master role matches", "All the other slaves now point to the new master", "The old master eventually
/// gets reconfigured as a slave".
#[test]
fn base_all_follow_the_new_master_and_so_does_the_old_one() {
    for seed in 1..=5 {
        let mut stack = Stack::shipped("00-basic-failover", seed);
        stack.until(6.0);
        let master = stack.master_of("sentinel-1");
        assert_ne!(master, stack.addr("redis-1"));
        stack.assert_all_follow_one_master(&ALL[1..]);
        stack.until(36.0);
        stack.assert_all_follow_one_master(&ALL);
        assert_eq!(stack.master_of("sentinel-1"), master, "and it stays");
    }
}

/// 02-slaves-reconf.tcl: replicas that were dead or cut off during the failover follow the new master in the end.
#[test]
fn slaves_reconf_those_that_were_away_follow_in_the_end() {
    for seed in 1..=5 {
        let mut stack = Stack::shipped("02-killed-replica-is-reconfigured", seed);
        stack.until(65.0);
        stack.assert_all_follow_one_master(&ALL);
        let mut stack = Stack::shipped("02-partitioned-replica-is-reconfigured", seed);
        stack.until(79.0);
        stack.assert_all_follow_one_master(&ALL[1..]);
    }
}

/// 03-runtime-reconf.tcl: "Set parameters in normal case", "… with bad format", and of the "other error situations" the
/// unknown option and the missing value.
#[test]
fn runtime_reconf_set_answers_and_shows() {
    let mut stack = Stack::with("", 3);
    assert_eq!(stack.ask("sentinel-1", "SENTINEL SET mymaster quorum 4 down-after-milliseconds 3000"), Reply::Ok);
    let Reply::Sentinel(reply) = stack.ask("sentinel-1", "SENTINEL MASTER mymaster") else { panic!("it answers") };
    assert!(matches!(*reply, SentinelReply::Master { quorum: 4, .. }), "{reply:?}");
    assert_eq!(
        stack.ask("sentinel-1", "SENTINEL SET mymaster down-after-milliseconds 0"),
        Reply::Error(ErrorKind::InvalidArgument { of: "SET", option: "down-after-milliseconds", value: 0 })
    );
    for bad in ["down-after-milliseconds -20", "down-after-milliseconds abc", "fakeoption", "fakeoption fakevalue"] {
        let words: Vec<String> = format!("SENTINEL SET mymaster {bad}").split(' ').map(String::from).collect();
        assert!(parse_command(&words, Known { ip: &|_| None, master: "mymaster" }).is_err(), "{bad}");
    }
}

/// 05-manual.tcl.
#[test]
fn manual_failover_answers_ok_once_and_all_follow() {
    for seed in 1..=5 {
        let mut stack = Stack::with("", seed);
        assert_eq!(stack.ask("sentinel-1", "SENTINEL FAILOVER mymaster"), Reply::Ok);
        assert_eq!(stack.ask("sentinel-1", "SENTINEL FAILOVER mymaster"), Reply::Error(ErrorKind::InProg));
        stack.later(5.0);
        assert_ne!(stack.master_of("sentinel-4"), stack.addr("redis-1"));
        assert_eq!(stack.info("redis-1").role, Role::Master, "nobody told it yet");
        stack.later(15.0);
        stack.assert_all_follow_one_master(&ALL);
    }
}

/// 05-manual.tcl, the other way: without a candidate.
#[test]
fn manual_failover_without_a_candidate_is_refused() {
    let mut stack = Stack::shipped("05-manual-failover-without-candidate", 1);
    stack.until(1.0);
    assert_eq!(stack.ask("sentinel-1", "SENTINEL FAILOVER mymaster"), Reply::Error(ErrorKind::NoGoodSlave));
}

/// 06-ckquorum.tcl: all three of its tests.
#[test]
fn ckquorum_tells_quorum_and_majority() {
    let faults = (2..=4).map(|n| format!("[[fault]]\nat = '10s'\naction = 'kill'\nnode = 'sentinel-{n}'\n"));
    let mut stack = Stack::with(&faults.collect::<String>(), 4);
    let usable = |count| Reply::Sentinel(Box::new(SentinelReply::Quorum(count)));
    for n in 1..=5 {
        assert_eq!(stack.ask(&format!("sentinel-{n}"), "SENTINEL CKQUORUM mymaster"), usable(5));
    }
    assert_eq!(stack.ask("sentinel-1", "SENTINEL SET mymaster quorum 6"), Reply::Ok);
    let few = ErrorKind::NoQuorum { usable: 5, below_quorum: true, below_majority: false };
    assert_eq!(stack.ask("sentinel-1", "SENTINEL CKQUORUM mymaster"), Reply::Error(few));
    let text =
        "NOQUORUM 5 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master";
    assert_eq!(few.text(), text);
    assert_eq!(stack.ask("sentinel-1", "SENTINEL SET mymaster quorum 1"), Reply::Ok);
    assert_eq!(stack.ask("sentinel-1", "SENTINEL CKQUORUM mymaster"), usable(5));
    stack.until(14.0);
    let reply = stack.ask("sentinel-1", "SENTINEL CKQUORUM mymaster");
    let few = ErrorKind::NoQuorum { usable: 2, below_quorum: false, below_majority: true };
    assert_eq!(reply, Reply::Error(few), "quorum 1 is there, but three votes are not");
}

/// 07-down-conditions.tcl: the flags that it looks at.
#[test]
fn down_conditions_show_in_the_flags() {
    let at = |name: &str, down: f64, up: f64| {
        for seed in 1..=3 {
            let mut stack = Stack::shipped(name, seed);
            stack.until(4.9);
            assert_eq!(stack.flags("sentinel-5"), "master", "{name}");
            stack.until(down);
            assert!(stack.flags("sentinel-5").contains("s_down"), "{name}: {}", stack.flags("sentinel-5"));
            stack.until(up);
            assert_eq!(stack.flags("sentinel-5"), "master", "{name}");
        }
    };
    at("07-down-paused", 9.0, 15.0);
    at("07-down-crashed", 9.0, 20.0);
    at("07-down-advertising-as-replica", 13.0, 20.0);
}

/// 10-replica-priority.tcl: replica-announced takes yes and no, and SENTINEL REPLICAS hides those who say no.
#[test]
fn replicas_that_do_not_announce_themselves_are_hidden() {
    let mut stack = Stack::with("", 5);
    for value in ["no", "yes"] {
        assert_eq!(stack.ask("redis-2", &format!("CONFIG SET replica-announced {value}")), Reply::Ok);
    }
    for value in ["321", "a3b2c1"] {
        let reply = stack.ask("redis-2", &format!("CONFIG SET replica-announced {value}"));
        assert_eq!(reply, Reply::Error(ErrorKind::ConfigSet));
    }
    assert_eq!(stack.replicas("sentinel-1"), 4);
    for node in ["redis-2", "redis-3"] {
        assert_eq!(stack.ask(node, "CONFIG SET replica-announced no"), Reply::Ok);
    }
    stack.later(11.0);
    for n in 1..=5 {
        assert_eq!(stack.replicas(&format!("sentinel-{n}")), 2);
    }
    for node in ["redis-2", "redis-3"] {
        assert_eq!(stack.ask(node, "CONFIG SET replica-announced yes"), Reply::Ok);
    }
    stack.later(11.0);
    assert_eq!(stack.replicas("sentinel-1"), 4);
}

/// The name of 10-replica-priority.tcl: a priority that is changed at run time decides the next failover.
#[test]
fn a_replica_priority_that_is_changed_decides_the_next_failover() {
    for seed in 1..=3 {
        let mut stack = Stack::with("", seed);
        assert_eq!(stack.ask("redis-4", "CONFIG SET replica-priority 5"), Reply::Ok);
        stack.later(11.0);
        assert_eq!(stack.ask("sentinel-2", "SENTINEL FAILOVER mymaster"), Reply::Ok);
        stack.later(5.0);
        assert_eq!(stack.master_of("sentinel-1"), stack.addr("redis-4"));
    }
}

/// 12-master-reboot.tcl: after the load the old master follows the new one.
#[test]
fn a_master_that_loads_for_long_follows_the_new_one_in_the_end() {
    let mut stack = Stack::shipped("12-master-reboot", 1);
    stack.until(89.0);
    let master = stack.master_of("sentinel-1");
    assert_ne!(master, stack.addr("redis-1"));
    assert_eq!(stack.info("redis-1").link.map(|link| link.master), Some(master));
}
