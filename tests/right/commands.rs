//! Commands and settings: what the real program would say, or a refusal with its place.

use std::sync::Arc;

use sim::kernel::Span;
use sim::record::{Op, Outcome, What};
use sim::wire::{ErrorKind, Known, NodeId, Reply, SentinelReply, parse_command};
use sim::world::{Keep, World};

use crate::support::{refusal, run, scenario};

/// A stack of the demo, undisturbed, at time 0.
pub(crate) fn stack(text: &str) -> World {
    let keep = Keep { records: true, trace: false };
    let mut world = World::new(Arc::new(scenario(text)), 1, keep);
    while world.origin().is_none_or(|origin| world.now() < origin) {
        world.run_until(world.now() + Span::from_millis(100));
    }
    world
}

/// Types a command into a node.
pub(crate) fn ask(world: &mut World, node: &str, words: &str) -> Reply {
    let words: Vec<String> = words.split(' ').map(String::from).collect();
    let node: NodeId = world.layout().names.find_node(node).expect("a node of the stack");
    let ip = |name: &str| world.layout().names.find_ip(name);
    let command = parse_command(&words, Known { ip: &ip, master: "mymaster" }).expect("a command");
    for _ in 0..100 {
        if let Some(reply) = world.ask(node, command.clone()) {
            return reply;
        }
        world.run_until(world.now() + Span::from_millis(5));
    }
    panic!("no answer to {words:?}");
}

/// A scenario of `seconds` in which one command is given to a node after a second.
fn with_command(seconds: u32, node: &str, words: &[&str]) -> String {
    format!(
        "duration = '{seconds}s'\nphase = '0s'\n[[fault]]\nat = '1s'\naction = 'command'\nnode = '{node}'\n\
         run = {words:?}\n"
    )
}

#[test]
fn a_master_with_a_name_that_nobody_monitors_is_left_alone() {
    let idle = run("duration = '20s'\nphase = '0s'\n", 5);
    for words in [
        &["SENTINEL", "FAILOVER", "wrongname"][..],
        &["SENTINEL", "FAILOVER", "MYMASTER"],
        &["SENTINEL", "RESET", "nosuch"],
        &["SENTINEL", "REMOVE", "other"],
        &["SENTINEL", "SET", "other", "quorum", "1"],
    ] {
        let run = run(&with_command(20, "sentinel-1", words), 5);
        assert_eq!(run.analysis.failovers.len(), 0, "{words:?}");
        let lines = |run: &sim::Run| run.result.recording.records.len();
        let sentinels = |run: &sim::Run| {
            let records = run.result.recording.records.iter();
            records.filter(|record| run.result.recording.names.node(record.node).starts_with("sentinel-")).count()
        };
        assert_eq!(sentinels(&run), sentinels(&idle), "{words:?}: {} against {} lines", lines(&run), lines(&idle));
    }
    // What the same commands do to the right name.
    let failover = run(&with_command(20, "sentinel-1", &["SENTINEL", "FAILOVER", "mymaster"]), 5);
    assert_eq!(failover.analysis.failovers.len(), 1);
}

/// As redis-sentinel 7.0.15 answers.
#[test]
fn a_sentinel_answers_as_the_real_one() {
    let mut world = stack("");
    let no_such_master = Reply::Error(ErrorKind::NoSuchMaster);
    for words in [
        "SENTINEL FAILOVER nosuch",
        "SENTINEL REMOVE nosuch",
        "SENTINEL SET nosuch quorum 2",
        "SENTINEL MASTER nosuch",
        "SENTINEL REPLICAS nosuch",
        "SENTINEL SLAVES nosuch",
        "SENTINEL CKQUORUM nosuch",
    ] {
        assert_eq!(ask(&mut world, "sentinel-1", words), no_such_master, "{words}");
    }
    assert_eq!(ErrorKind::NoSuchMaster.text(), "ERR No such master with that name");
    assert_eq!(ask(&mut world, "sentinel-1", "SENTINEL RESET nosuch"), Reply::Int(0));
    let nobody = Reply::Sentinel(Box::new(SentinelReply::MasterAddr(None)));
    assert_eq!(ask(&mut world, "sentinel-1", "SENTINEL GET-MASTER-ADDR-BY-NAME nosuch"), nobody);
    let duplicate = ask(&mut world, "sentinel-1", "SENTINEL MONITOR mymaster redis-1 6379 1");
    assert_eq!(duplicate, Reply::Error(ErrorKind::DuplicateMaster));
    let quorum = ask(&mut world, "sentinel-1", "SENTINEL MONITOR mymaster redis-1 6379 0");
    assert_eq!(quorum, Reply::Error(ErrorKind::QuorumIsZero));
    for (words, text) in [
        ("SENTINEL SET mymaster quorum 0", "ERR Invalid argument '0' for SENTINEL SET 'quorum'"),
        ("SENTINEL SET mymaster parallel-syncs 0", "ERR Invalid argument '0' for SENTINEL SET 'parallel-syncs'"),
        ("SENTINEL DEBUG info-period 0", "ERR Invalid argument '0' for SENTINEL DEBUG 'info-period'"),
    ] {
        let Reply::Error(error) = ask(&mut world, "sentinel-1", words) else { panic!("{words} is refused") };
        assert_eq!(error.text(), text);
    }
    assert_eq!(ask(&mut world, "sentinel-1", "SENTINEL FLUSHCONFIG"), Reply::Ok);
    assert_eq!(ask(&mut world, "sentinel-1", "SENTINEL RESET my*er"), Reply::Int(1));
    assert_eq!(ask(&mut world, "sentinel-1", "SENTINEL REMOVE mymaster"), Reply::Ok);
    assert_eq!(ask(&mut world, "sentinel-1", "SENTINEL RESET *"), Reply::Int(0));
    assert_eq!(ask(&mut world, "sentinel-1", "SENTINEL CKQUORUM mymaster"), no_such_master);
    let unknown = Reply::Error(ErrorKind::UnknownCommand);
    assert_eq!(ask(&mut world, "sentinel-2", "REPLICAOF NO ONE"), unknown);
    assert_eq!(ask(&mut world, "redis-1", "SENTINEL FAILOVER mymaster"), unknown);
}

#[test]
fn a_server_answers_as_the_real_one() {
    let mut world = stack("");
    assert_eq!(ask(&mut world, "redis-1", "BGSAVE"), Reply::SavingStarted);
    assert_eq!(ask(&mut world, "redis-1", "BGSAVE"), Reply::Error(ErrorKind::SaveInProgress));
    assert_eq!(ask(&mut world, "redis-1", "CONFIG REWRITE"), Reply::Error(ErrorKind::NoConfigFile));
    assert_eq!(ask(&mut world, "redis-1", "CONFIG SET hz 50 repl-timeout 0"), Reply::Error(ErrorKind::ConfigSet));
    assert_eq!(ask(&mut world, "redis-1", "CONFIG SET hz 50 repl-timeout 70"), Reply::Ok);
    assert_eq!(ask(&mut world, "redis-2", "REPLICAOF NO ONE"), Reply::Ok);
}

#[test]
fn a_script_that_would_end_is_refused_with_what_is_accepted() {
    let accepted = "`redis.call('SET','key','value') while true do end`";
    for (words, parts) in [
        (&["EVAL", "return 1", "0"][..], ["the script `return 1` cannot be run here", accepted]),
        (&["EVAL", "while true do break end", "0"], ["only a script that never ends is modelled", accepted]),
        (&["EVAL", "while true do end", "1", "k"], ["EVAL takes a script and 0 here", "EVAL of a loop without end"]),
        (&["SCRIPT", "FLUSH"], ["cannot be given here", "SCRIPT KILL"]),
    ] {
        let text = refusal(&with_command(8, "redis-1", words)).replace("\n  │", "");
        for part in parts {
            assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(part), "{part} in {text}");
        }
    }
    let text = refusal(&with_command(8, "sentinel-1", &["EVAL", "while true do end", "0"]));
    assert!(text.contains("a Sentinel runs no scripts"), "{text}");
}

#[test]
fn a_failover_that_the_server_would_refuse_for_its_form_is_refused() {
    for (words, part) in [
        (&["FAILOVER", "TO", "redis-9", "6379"][..], "`redis-9` is not a host of this stack"),
        (&["FAILOVER", "TO", "redis-2", "6379", "FORCE"], "requires both a timeout"),
        (&["FAILOVER", "TIMEOUT", "0"], "FAILOVER timeout must be greater than 0"),
        (&["FAILOVER", "NOW"], "FAILOVER does not know `now` here"),
    ] {
        let text = refusal(&with_command(8, "redis-1", words));
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = refusal(&with_command(8, "sentinel-1", &["FAILOVER"]));
    assert!(text.contains("a Sentinel has no FAILOVER"), "{text}");
    let mut world = stack("");
    let said = |words| Reply::Error(ErrorKind::Said(words));
    assert_eq!(ask(&mut world, "redis-1", "FAILOVER ABORT"), said("No failover in progress."));
    let replica = said("FAILOVER is not valid when server is a replica.");
    assert_eq!(ask(&mut world, "redis-2", "FAILOVER"), replica);
    assert_eq!(ask(&mut world, "redis-1", "FAILOVER TO redis-2 6379 TIMEOUT 9000"), Reply::Ok);
    assert_eq!(ask(&mut world, "redis-1", "FAILOVER"), said("FAILOVER already in progress."));
}

/// As redis-server 7.0.15 answers.
#[test]
fn a_server_that_runs_a_script_answers_busy() {
    let mut world = stack("redis.busy-reply-threshold = 100\nstack.sentinels = 0\n");
    let node: NodeId = world.layout().names.find_node("redis-1").expect("a node");
    // Once: a command that finds the server at work waits, and would be given again.
    let mut say = |words: &[&str]| {
        world.run_until(world.now() + Span::from_millis(300));
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let command = parse_command(&words, Known { ip: &|_| None, master: "mymaster" }).expect("a command");
        world.ask(node, command)
    };
    let busy = Some(Reply::Error(ErrorKind::Busy));
    assert_eq!(say(&["SCRIPT", "KILL"]), Some(Reply::Error(ErrorKind::NotBusy)));
    assert_eq!(say(&["EVAL", "while true do end", "0"]), None);
    assert_eq!(say(&["PING"]), busy);
    assert_eq!(say(&["SHUTDOWN"]), busy);
    assert_eq!(say(&["SCRIPT", "KILL"]), Some(Reply::Ok));
    assert_eq!(say(&["PING"]), Some(Reply::Pong));
    assert_eq!(say(&["EVAL", "redis.call('SET', 'k', 'v') while true do end", "0"]), None);
    assert_eq!(say(&["SCRIPT", "KILL"]), Some(Reply::Error(ErrorKind::Unkillable)));
    assert_eq!(say(&["INFO"]), busy);
    for (error, begins) in [
        (ErrorKind::Busy, "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
        (ErrorKind::NotBusy, "NOTBUSY No scripts in execution right now."),
        (ErrorKind::Unkillable, "UNKILLABLE Sorry the script already executed write commands against the dataset."),
    ] {
        assert!(error.text().starts_with(begins), "{}", error.text());
    }
}

#[test]
fn debug_sleeps_only_where_it_is_allowed() {
    let script = with_command(20, "redis-1", &["DEBUG", "SLEEP", "8"]);
    for (setting, failovers) in [("", 0), ("'no'", 0), ("'local'", 1), ("'yes'", 1), ("true", 1), ("false", 0)] {
        let setting = match setting {
            "" => String::new(),
            value => format!("[redis]\nenable-debug-command = {value}\n"),
        };
        let (head, fault) = script.split_once("[[fault]]").expect("a fault");
        let run = run(&format!("{head}{setting}[[fault]]{fault}"), 3);
        assert_eq!(run.analysis.failovers.len(), failovers, "{setting}");
    }
    let mut world = stack("");
    let Reply::Error(error) = ask(&mut world, "redis-1", "DEBUG SLEEP 0.1") else { panic!("it is refused") };
    assert!(error.text().starts_with("ERR DEBUG command not allowed. If the enable-debug-command option is set to"));
}

/// A fault needs no permission of the server.
#[test]
fn a_stall_is_not_asked_whether_debug_is_allowed() {
    let text = "duration = '20s'\n[redis]\nenable-debug-command = 'no'\n\
                [[fault]]\nat = '1s'\naction = 'stall'\nnode = 'redis-1'\nfor = '8s'\n";
    assert_eq!(run(text, 3).analysis.failovers.len(), 1);
}

#[test]
fn config_set_of_what_cannot_be_set_is_refused_with_its_place() {
    for (words, parts) in [
        (
            &["requirepass", "other"][..],
            ["CONFIG SET of `requirepass` is not modelled", "a real directive of redis.conf"],
        ),
        (&["maxmemory", "1gb"], ["CONFIG SET of `maxmemory` is not modelled", "docs/laboratory.md"]),
        (&["no-such-thing", "1"], ["there is no such directive", "Redis 7.0.15 has none of this name"]),
        (&["repl-timout", "1"], ["there is no such directive", "did you mean `repl-timeout`?"]),
        (&["repl-timeout", "0"], ["would be refused", "argument must be between 1 and 2147483647 inclusive"]),
        (&["replica-read-only", "maybe"], ["would be refused", "argument must be 'yes' or 'no'"]),
        (&["tcp-backlog", "100"], ["would be refused", "can't set immutable config"]),
        (&["hz", "10", "hz", "20"], ["CONFIG SET of `hz` twice", "duplicate parameter"]),
        (&["hz"], ["cannot be given here", "known here"]),
    ] {
        let words: Vec<&str> = ["CONFIG", "SET"].iter().chain(words).copied().collect();
        let text = refusal(&with_command(8, "redis-1", &words));
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("test.toml:7") || text.contains("CONFIG"), "{text}");
    }
}

#[test]
fn a_number_that_the_server_would_not_start_with_is_refused() {
    for (key, value) in [("repl-timeout", 0_u64), ("repl-ping-replica-period", 0), ("maxclients", 0)] {
        let text = refusal(&format!("[redis]\n{key} = {value}\n"));
        assert!(text.contains("argument must be between 1 and"), "{text}");
        assert_eq!(text.matches("argument must be").count(), 1, "one cause, one error: {text}");
    }
}

/// `updateHZ`: capped, not refused.
#[test]
fn hz_is_capped_as_in_redis() {
    let digest = |hz: u32| run(&format!("duration = '1s'\nphase = '0s'\n[redis]\nhz = {hz}\n"), 1).result.digest;
    assert_eq!(digest(1001), digest(500));
    assert_eq!(digest(0), digest(1));
    assert_ne!(digest(1), digest(500));
}

#[test]
fn a_real_directive_is_not_taken_for_a_typing_error() {
    for (section, key, words) in [
        ("redis", "maxmemory", "a real directive of redis.conf 7.0.15 that is not modelled"),
        ("redis", "repl-disable-tcp-nodelay", "a real directive of redis.conf 7.0.15 that is not modelled"),
        ("redis", "slave-priority", "write `replica-priority`"),
        ("redis", "repl-timout", "did you mean `repl-timeout`?"),
        ("sentinel", "notification-script", "a real directive of sentinel.conf 7.0.15 that is not modelled"),
        ("sentinel", "protected-mode", "a real directive of sentinel.conf 7.0.15 that is not modelled"),
        ("haproxy", "nbthread", "a real directive of haproxy.cfg 2.6 that is not modelled"),
        ("haproxy", "timeout http-request", "a real directive of haproxy.cfg 2.6 that is not modelled"),
        ("haproxy", "option redispatch", "write `redispatch`"),
        ("haproxy", "timeout conect", "did you mean `timeout connect`?"),
    ] {
        let text = refusal(&format!("[{section}]\n'{key}' = 1\n"));
        assert!(text.contains(words), "{words} in {text}");
    }
}

#[test]
fn one_wrong_fault_draws_one_error() {
    let text = "[[fault]]\nat = '10s'\naction = 'command'\nnode = ['sentinel-1', 'sentinel-2']\n\
                run = ['SENTINEL', 'RESET', 'mymaster']\n";
    let error = sim::scenario::Scenario::parse("test.toml", text).expect_err("a command goes to one node");
    assert_eq!(error.problems().len(), 1, "{error:?}");
    let problem = &error.problems()[0];
    assert_eq!(problem.place(), Some(("test.toml", 4, 8)));
}

#[test]
fn all_sentinels_know_the_master_by_one_name() {
    let text = refusal("[sentinel]\nmaster-name = 'a'\n[sentinel.sentinel-2]\nmaster-name = 'b'\n");
    assert!(text.contains("the master is called `b` here and `a` there"), "{text}");
    let other = "duration = '8s'\n[sentinel]\nmaster-name = 'orders'\n[[fault]]\nat = '1s'\naction = 'command'\n\
                 node = 'sentinel-1'\nrun = ['SENTINEL', 'FAILOVER', 'NAME']\n";
    assert_eq!(run(&other.replace("NAME", "orders"), 1).analysis.failovers.len(), 1);
    assert_eq!(run(&other.replace("NAME", "mymaster"), 1).analysis.failovers.len(), 0);
}

#[test]
fn a_second_master_is_refused() {
    let text = refusal(&with_command(8, "sentinel-1", &["SENTINEL", "MONITOR", "other", "redis-2", "6379", "2"]));
    assert!(text.contains("a second master, `other`, is not modelled"), "{text}");
}

/// One Redis and its clients: there is nobody to ask, so they connect to it.
#[test]
fn clients_of_a_lone_server_connect_to_it() {
    let text = "duration = '5s'\nphase = '0s'\n[stack]\nredis = 1\nsentinels = 0\nhaproxy = false\n";
    let ran = run(text, 1);
    let messages = &ran.analysis.ledger.messages;
    assert!(messages.len() > 90 && messages.iter().all(|message| message.received.len() == 1), "{}", messages.len());
    let again = scenario(&scenario(text).to_toml(1, "0"));
    assert_eq!(again, scenario(text));
}

#[test]
fn settings_for_nobody_are_refused() {
    for (text, words) in [
        ("[stack]\nhaproxy = false\n[haproxy]\ninter = '2s'\n", "the stack has no haproxy"),
        ("[stack]\nsentinels = 0\n[sentinel]\nquorum = 1\n", "the stack has no sentinel"),
    ] {
        let text = refusal(text);
        assert!(text.contains(words), "{words} in {text}");
    }
}

/// HAProxy dies at time 0: who asks the Sentinels goes on.
#[test]
fn a_client_that_asks_sentinels_does_so_beside_haproxy() {
    let text = "duration = '10s'\nphase = '0s'\n[[client]]\nname = 'writer'\nkind = 'set'\nprofile = 'PROFILE'\n\
                [[fault]]\nat = '0s'\naction = 'kill'\nnode = 'haproxy'\n";
    let acknowledged = |profile: &str| {
        let run = run(&text.replace("PROFILE", profile), 2);
        let records = run.result.recording.records.iter().filter(|record| record.time > run.result.recording.origin);
        let good = |what: &What| matches!(what, What::Op(Op::Set { outcome: Outcome::Ok, .. }));
        records.filter(|record| good(&record.what)).count()
    };
    assert!(acknowledged("sentinel") > 150, "{}", acknowledged("sentinel"));
    assert!(acknowledged("reference") < 5);
    let go = "[stack]\nhaproxy = false\n[[client]]\nname = 'p'\nkind = 'publish'\nvia = 'proxy'\n";
    assert!(refusal(go).contains("there is no HAProxy to connect to"));
}
