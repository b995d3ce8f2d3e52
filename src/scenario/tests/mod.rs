//! What a file means, and what is said about a file that is wrong.

mod bad_files;
mod round_trip;
mod shipped;

use super::*;
use crate::client;
use crate::kernel::Span;

fn good(text: &str) -> Scenario {
    Scenario::parse("test.toml", text).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)))
}

#[test]
fn an_empty_file_is_the_demo() {
    let plan = good("");
    assert_eq!(plan.name, "test");
    assert_eq!(plan.stack, Stack { redis: 3, sentinels: 3, haproxy: true });
    assert_eq!(plan.sentinel.len(), 3);
    assert_eq!((plan.sentinel[0].quorum, plan.sentinel[0].down_after_milliseconds), (2, 5000));
    assert_eq!(plan.haproxy.inter, Span::from_secs(1));
    assert_eq!(plan.phase, Span::from_secs(10));
    assert_eq!(plan.clients, client::Config::reference());
    assert!(plan.faults.is_empty() && plan.expect.is_none());
}

#[test]
fn one_node_can_differ() {
    let plan = good("[redis]\nhz = 20\nsave = ''\n[redis.redis-2]\nreplica-priority = 50\nappendonly = 'yes'\n");
    let priorities: Vec<u32> = plan.redis.iter().map(|config| config.replica_priority).collect();
    assert_eq!(priorities, [100, 50, 100]);
    assert!(plan.redis.iter().all(|config| config.hz == 20 && config.save.0.is_empty()));
    assert!(plan.redis[1].appendonly);
}

#[test]
fn without_haproxy_clients_ask_a_sentinel() {
    let plan = good("[stack]\nhaproxy = false\n[[client]]\nname = 'p'\nkind = 'publish'\n");
    assert_eq!(plan.clients[0].via, client::Via::Sentinels);
    assert_eq!(plan.clients[0].host, "p");
}

#[test]
fn a_link_inherits_from_the_network() {
    let plan = good("[network]\nlatency = '1ms'\n[[network.link]]\nbetween = ['redis-1', 'writer']\nloss = 0.5\n");
    let (a, b, link) = &plan.network.links[0];
    assert_eq!((a.as_str(), b.as_str()), ("redis-1", "clients"));
    assert_eq!((link.latency, link.loss.parts()), (Span::from_millis(1), 1 << 31));
}

#[test]
fn the_script_is_sorted_and_ties_keep_the_order_of_the_file() {
    let text = "
        [[fault]]\nat = '5s'\naction = 'heal'
        [[fault]]\nat = '1s'\naction = 'cut'\nfrom = 'redis-1'\nto = ['redis-2', '@leader']
        [[fault]]\nat = '5s'\naction = 'kill'\nnode = 'clients'\n";
    let plan = good(text);
    let OneOrMany(to) = match &plan.faults[0].action {
        Action::Cut { to, .. } => to,
        other => panic!("{other:?}"),
    };
    assert_eq!(to, &[NodeRef::Redis(2), NodeRef::Role(Role::Leader)]);
    assert_eq!(plan.faults[1].action, Action::Heal {});
    assert_eq!(plan.faults[2].action, Action::Kill { node: NodeRef::Host("clients".to_owned()) });
    assert_eq!(&text[plan.faults[0].span.clone()], "[[fault]]");
}

#[test]
fn roles_leave_the_script_uncertain() {
    good(
        "
        [[fault]]\nat = '0s'\naction = 'kill'\nnode = '@master'
        [[fault]]\nat = '8s'\naction = 'start'\nnode = 'redis-1'
        [[fault]]\nat = '9s'\naction = 'start'\nnode = 'redis-2'\n",
    );
}

#[test]
fn overrides_set_single_keys() {
    let text = "[[client]]\nname = 'p'\nkind = 'publish'\n[[fault]]\nat = '0s'\naction = 'heal'\n[[fault]]\nat = '0s'\n\
                action = 'partition'\ngroups = [['redis-1'], ['redis-2']]\n";
    let overrides = [
        ("sentinel.down-after-milliseconds", "1000"),
        ("sentinel.sentinel-2.quorum", "3"),
        ("haproxy.timeout connect", "2s"),
        ("fault.0.at", "5s"),
        ("client.p.every", "10ms"),
        ("network.loss", "0.25"),
        ("redis.repl-diskless-sync", "no"),
    ];
    let plan = Scenario::parse_with_overrides("test.toml", text, &overrides).expect("a good file");
    assert_eq!(plan.sentinel[0].down_after_milliseconds, 1000);
    assert_eq!(plan.sentinel.iter().map(|config| config.quorum).collect::<Vec<_>>(), [2, 3, 2]);
    assert_eq!(plan.haproxy.timeout_connect, Span::from_secs(2));
    assert_eq!(plan.clients[0].every, Span::from_millis(10));
    assert_eq!(plan.network.default.loss.parts(), 1 << 30);
    assert!(!plan.redis[0].repl_diskless_sync);
    assert_eq!(plan.faults[1].action, Action::Heal {});
}

#[test]
fn a_file_without_clients_has_those_of_the_reference_to_override() {
    let plan = |value| Scenario::parse_with_overrides("test.toml", "", &[("client.*.library", value)]);
    let clients = plan("redis-py").expect("a good file").clients;
    assert!(clients.iter().all(|client| client.library.word == "redis-py"));
    let reference = client::Config::reference();
    let bare = clients.into_iter().map(|client| client::Config { library: client::LibraryId::REFERENCE, ..client });
    assert_eq!(bare.collect::<Vec<_>>(), reference);
    let said = format!("{:?}", miette::Report::from(plan("redis-pi").expect_err("there is no such library")));
    assert!(said.contains("client.*.library = redis-pi") && said.contains("did you mean"), "{said}");
}

#[test]
fn patterns_match_the_beginning_of_a_line() {
    let plan = good("[expect]\nevents = ['+tilt', 'sentinel-1: +sdown master']\n");
    let events = plan.expect.expect("there is one").events;
    assert!(events[0].matches("sentinel-2", "+tilt #tilt mode entered"));
    assert!(events[1].matches("sentinel-1", "+sdown master mymaster redis-1 6379"));
    assert!(!events[1].matches("sentinel-2", "+sdown master mymaster redis-1 6379"));
}

#[test]
fn a_problem_knows_its_place() {
    let error = Scenario::parse("dir/x.toml", "# é\n[stack]\nredis = 'drei'\n").expect_err("a bad file");
    let problem = &error.problems()[0];
    assert_eq!(problem.place(), Some(("dir/x.toml", 3, 9)));
    assert_eq!(problem.offending(), Some("'drei'"));
    assert!(problem.remedy().is_some_and(|help| help.contains("default: 3")));
}

#[test]
fn a_missing_file_is_an_error_with_its_name() {
    let error = Scenario::load("no/such/file.toml").expect_err("there is no such file");
    assert_eq!(error.to_string(), "no/such/file.toml cannot be run: 1 problem");
}
