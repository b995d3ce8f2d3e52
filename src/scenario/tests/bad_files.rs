//! One file for each kind of mistake, and what is said about it.

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::*;

/// What a person sees.
fn report(error: &ScenarioError) -> String {
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false)
        .render_report(&mut out, error)
        .expect("a report can be rendered");
    out
}

/// Each line names a test, which is also the name of its snapshot, and gives a file that must be refused.
macro_rules! refused {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            let error = Scenario::parse("bad.toml", $text).expect_err("the file is wrong");
            for problem in error.problems() {
                assert!(problem.place().is_some() && problem.remedy().is_some(), "{problem:?}");
            }
            insta::assert_snapshot!(stringify!($name), report(&error), $text);
        }
    )*};
}

refused! {
    unknown_command: "[[fault]]\nat = \"1s\"\naction = \"command\"\nnode = \"redis-1\"\nrun = [\"DEBUG\", \"RELOAD\"]\n";
    command_with_an_unknown_host:
        "[[fault]]\nat = \"1s\"\naction = \"command\"\nnode = \"redis-1\"\nrun = [\"REPLICAOF\", \"redis-9\", \"6379\"]\n";
    no_toml: "duration = \n[stack\nredis = 3\n";
    unknown_section: "[sentinels]\nquorum = 2\n";
    unknown_key: "[sentinel]\nquorum = 2\ndown-after-miliseconds = 5000\n";
    unknown_key_without_a_likely_one: "[stack]\nweather = \"fine\"\n";
    unknown_key_of_haproxy: "[haproxy]\n\"timeout conect\" = \"5s\"\n";
    several_mistakes: "duration = \"5\"\n[stack]\nredis = \"three\"\nsentinel = 3\n[haproxy]\nrise = 0\nfall = -1\n";
    bad_duration: "duration = \"45 sec\"\n";
    duration_without_a_unit: "[haproxy]\ninter = 1000\n";
    wrong_type: "[redis]\nreplica-priority = \"high\"\n";
    negative_number: "[sentinel]\nfailover-timeout = -1\n";
    bad_switch: "[redis]\nappendonly = \"on\"\n";
    bad_size: "[redis]\nrepl-backlog-size = \"1 tb\"\n";
    bad_save_points: "[redis]\nsave = \"3600\"\n";
    section_is_no_table: "sentinel = 3\n";
    single_brackets: "[fault]\nat = \"0s\"\naction = \"heal\"\n";
    zero_redis: "[stack]\nredis = 0\n";
    quorum_above_the_sentinels: "[stack]\nsentinels = 5\n\n[sentinel]\nquorum = 6\n";
    default_quorum_above_the_sentinels: "[stack]\nsentinels = 1\n";
    quorum_zero: "[sentinel]\nquorum = 0\n";
    quorum_of_one_sentinel: "[sentinel.sentinel-2]\nquorum = 4\n";
    period_zero: "[sentinel]\ndown-after-milliseconds = 0\n";
    settings_of_a_node_that_is_not_there: "[redis.redis-4]\nreplica-priority = 0\n";
    loss_above_one: "[network]\nloss = 1.5\n";
    link_to_itself: "[[network.link]]\nbetween = [\"writer\", \"publisher\"]\nloss = 0.1\n";
    link_of_one_end: "[[network.link]]\nbetween = [\"redis-1\"]\n";
    link_to_nobody: "[[network.link]]\nbetween = [\"redis-1\", \"redis-9\"]\n";
    bad_rate: "[network]\nrate = \"100mb\"\n";
    client_without_a_kind: "[[client]]\nname = \"p\"\n";
    bad_kind: "[[client]]\nname = \"p\"\nkind = \"publisher\"\n";
    duplicate_clients: "[[client]]\nname = \"p\"\nkind = \"publish\"\n[[client]]\nname = \"p\"\nkind = \"set\"\n";
    client_called_like_a_node: "[[client]]\nname = \"redis-2\"\nkind = \"publish\"\n";
    client_called_like_a_host:
        "[[client]]\nname = \"a\"\nkind = \"set\"\nhost = \"b\"\n[[client]]\nname = \"b\"\nkind = \"set\"\nhost = \"c\"\n";
    every_zero: "[[client]]\nname = \"p\"\nkind = \"publish\"\nevery = \"0s\"\n";
    pause_and_every:
        "[[client]]\nname = \"p\"\nkind = \"set\"\nevery = \"1s\"\npause = { min = \"2s\", max = \"1s\" }\n";
    connections_without_a_closed_loop: "[[client]]\nname = \"p\"\nkind = \"set\"\nconnections = 10\n";
    profile_needs_haproxy:
        "[stack]\nhaproxy = false\n[[client]]\nname = \"p\"\nkind = \"set\"\nvia = \"proxy\"\n";
    profile_needs_a_sentinel:
        "[stack]\nsentinels = 0\n[[client]]\nname = \"p\"\nkind = \"set\"\nprofile = \"sentinel\"\n";
    unknown_action: "[[fault]]\nat = \"0s\"\naction = \"kil\"\nnode = \"redis-1\"\n";
    unknown_node: "[[fault]]\nat = \"0s\"\naction = \"kill\"\nnode = \"redis1\"\n";
    node_beyond_the_stack: "[[fault]]\nat = \"0s\"\naction = \"kill\"\nnode = \"sentinel-4\"\n";
    unknown_role: "[[fault]]\nat = \"0s\"\naction = \"kill\"\nnode = \"@primary\"\n";
    haproxy_that_is_not_there: "[stack]\nhaproxy = false\n[[fault]]\nat = \"0s\"\naction = \"kill\"\nnode = \"haproxy\"\n";
    key_of_another_action: "[[fault]]\nat = \"0s\"\naction = \"kill\"\nnode = \"redis-1\"\nfor = \"3s\"\n";
    fault_without_a_node: "[[fault]]\nat = \"0s\"\naction = \"kill\"\n";
    fault_without_a_time: "[[fault]]\naction = \"heal\"\n";
    fault_after_the_end: "duration = \"20s\"\n\n[[fault]]\nat = \"25s\"\naction = \"kill\"\nnode = \"redis-1\"\n";
    fault_after_the_default_end: "[[fault]]\nat = \"1m\"\naction = \"kill\"\nnode = \"redis-1\"\n";
    start_of_a_running_node: "[[fault]]\nat = \"0s\"\naction = \"start\"\nnode = \"redis-2\"\n";
    kill_of_a_dead_node:
        "[[fault]]\nat = \"5s\"\naction = \"kill\"\nnode = \"redis-2\"\n\n[[fault]]\nat = \"0s\"\naction = \"power-off\"\nnode = \"redis-2\"\n";
    resume_of_a_node_not_paused: "[[fault]]\nat = \"0s\"\naction = \"resume\"\nnode = \"haproxy\"\n";
    pause_of_a_paused_node:
        "[[fault]]\nat = \"0s\"\naction = \"pause\"\nnode = \"writer\"\n\n[[fault]]\nat = \"1s\"\naction = \"pause\"\nnode = \"writer\"\n";
    nothing_to_heal: "[[fault]]\nat = \"0s\"\naction = \"heal\"\n";
    node_in_two_groups:
        "[[fault]]\nat = \"0s\"\naction = \"partition\"\ngroups = [[\"redis-1\", \"writer\"], [\"redis-2\", \"clients\"]]\n";
    one_group: "[[fault]]\nat = \"0s\"\naction = \"partition\"\ngroups = [[\"redis-1\"]]\n";
    empty_group: "[[fault]]\nat = \"0s\"\naction = \"partition\"\ngroups = [[\"redis-1\"], []]\n";
    cut_to_itself: "[[fault]]\nat = \"0s\"\naction = \"cut\"\nfrom = \"redis-1\"\nto = [\"redis-1\", \"redis-2\"]\n";
    degrade_nothing: "[[fault]]\nat = \"0s\"\naction = \"degrade\"\nbetween = [\"redis-1\", \"redis-2\"]\n";
    jump_of_no_length: "[[fault]]\nat = \"0s\"\naction = \"clock-jump\"\nnode = \"sentinel-1\"\nby = \"0s\"\n";
    jump_without_by: "[[fault]]\nat = \"0s\"\naction = \"clock-jump\"\nnode = \"sentinel-1\"\n";
    stall_of_a_client: "[[fault]]\nat = \"0s\"\naction = \"stall\"\nnode = \"writer\"\nfor = \"3s\"\n";
    stall_of_no_length: "[[fault]]\nat = \"0s\"\naction = \"stall\"\nnode = \"redis-1\"\nfor = \"0s\"\n";
    empty_command: "[[fault]]\nat = \"0s\"\naction = \"command\"\nnode = \"redis-1\"\nrun = []\n";
    pause_of_the_clients_of_a_sentinel:
        "[[fault]]\nat = \"0s\"\naction = \"command\"\nnode = \"sentinel-1\"\nrun = [\"CLIENT\", \"PAUSE\", \"100\"]\n";
    command_to_haproxy: "[[fault]]\nat = \"0s\"\naction = \"command\"\nnode = \"haproxy\"\nrun = [\"PING\"]\n";
    final_master_of_another_stack: "[expect]\nfinal-master = [\"redis-2\", \"redis-5\"]\n";
    empty_range: "[expect]\nfailovers = { min = 2, max = 1 }\n";
    exact_duration: "[expect]\npublish-outage = 5\n";
    unknown_expectation: "[expect]\nfailover = 1\n";
    event_of_nobody: "[expect]\nevents = [\"sentinel-9: +tilt\"]\n";
    leader_is_no_sentinel: "[expect]\nleader = \"redis-1\"\n";
    name_with_a_slash: "name = \"a/b\"\n";
}

#[test]
fn bad_override() {
    let overrides = [("sentinel.quorum", "9"), ("haproxy.intre", "5s"), ("fault.3.at", "5s")];
    let error = Scenario::parse_with_overrides("good.toml", "[sentinel]\nquorum = 2\n", &overrides);
    insta::assert_snapshot!(report(&error.expect_err("the overrides are wrong")));
}
