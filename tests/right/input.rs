//! Wrong, extreme and hostile input.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use flate2::{Compression, write::GzEncoder};
use sim::analysis::Analysis;
use sim::record::Recording;
use sim::scenario::Scenario;

use super::support::{refusal, run, scenario, sim};

/// A short scenario with a failover, for commands that need one.
const KILL: &str = "duration = '12s'\nphase = '0s'\n[[fault]]\nat = '0s'\naction = 'kill-host'\nnode = '@master'\n";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("it can be written");
    path
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// The command must fail with exit status 2, without a panic; what it says.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = sim(folder, arguments);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// All files below a folder, hidden ones too, by their paths from there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(here) = open.pop() {
        for entry in fs::read_dir(here).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path.strip_prefix(folder).expect("below it").display().to_string());
        }
    }
    found.sort();
    found
}

fn hidden(folder: &Path) -> Vec<String> {
    files(folder).into_iter().filter(|name| name.split('/').any(|part| part.starts_with('.'))).collect()
}

#[test]
fn numbers_at_the_edge_of_their_types_are_refused_with_their_limit() {
    let longest = "87600h";
    for (text, limit) in [
        ("[network]\nlatency = '9223372036854775807ns'", longest),
        ("[network]\njitter = '2562047h'", longest),
        ("duration = '2562047h'", longest),
        ("phase = '87601h'", longest),
        ("[haproxy]\nrise = 4294967295", "1000000000"),
        ("[haproxy]\nfall = 1_000_000_001", "1000000000"),
        ("[haproxy]\n'timeout client' = '900000h'", longest),
        ("[sentinel]\ndown-after-milliseconds = 18446744073709551615", "315360000000"),
        ("[sentinel.sentinel-2]\nfailover-timeout = 315360000001", "315360000000"),
        ("[redis]\nrepl-timeout = 315360001", "315360000"),
        ("[redis]\nrepl-backlog-size = 1099511627777", "1099511627776"),
        ("[redis]\ndataset-bytes = '1025gb'", "1 TiB"),
        ("[redis]\nsave = '4294967295 1'", "315360000"),
        ("[expect]\nfailovers = { max = 1000000001 }", "1000000000"),
        ("[[client]]\nname = 'c'\nkind = 'set'\nevery = '2562047h'", longest),
        ("[[client]]\nname = 'c'\nkind = 'set'\nrequests = 9223372036854775807", "1000000000"),
        (
            "[[client]]\nname = 'c'\nkind = 'set'\npause = { min = '0s', max = '0s' }\nconnections = 4294967295",
            "1000000000",
        ),
        ("[[client]]\nname = 'c'\nkind = 'set'\npause = { min = '0s', max = '0s' }\nconnections = 200001", "200000"),
        ("[[fault]]\nat = '9223372036854775807ns'\naction = 'kill'\nnode = 'redis-1'", longest),
        ("[[fault]]\nat = '0s'\naction = 'stall'\nnode = 'redis-1'\nfor = '2562047h'", longest),
        ("[[fault]]\nat = '0s'\naction = 'clock-jump'\nnode = 'sentinel-1'\nby = '-9223372036854775807ns'", longest),
        (
            "[[fault]]\nat = '0s'\naction = 'command'\nnode = 'redis-1'\nrun = ['CLIENT', 'PAUSE', '18446744073709551615']",
            "315360000000",
        ),
    ] {
        let error = Scenario::parse("edge.toml", text).expect_err(text);
        let told = format!("{:?}", miette::Report::new_boxed(Box::new(error)));
        assert!(told.contains(limit) && told.contains("edge.toml:"), "{text}\n{told}");
    }
}

#[test]
fn stalls_and_jumps_add_up_to_ten_years_at_most() {
    let faults = |fault: &str| format!("[[fault]]\nat = '0s'\n{fault}\n").repeat(3);
    for fault in [
        "action = 'stall'\nnode = 'redis-1'\nfor = '87600h'",
        "action = 'clock-jump'\nnode = 'sentinel-1'\nby = '-87600h'",
    ] {
        assert!(refusal(&faults(fault)).contains("ten years (87600h) in sum"), "{fault}");
        assert_eq!(scenario(&format!("[[fault]]\nat = '0s'\n{fault}")).faults.len(), 1);
    }
}

#[test]
fn the_longest_values_run() {
    let text = "duration = '2s'\nphase = '0s'\n[sentinel]\ndown-after-milliseconds = 315360000000\nfailover-timeout = \
                315360000000\ntilt-period = 315360000000\n[haproxy]\nrise = 1000000000\nfall = 1000000000\n'timeout client' = \
                '87600h'\n[redis]\nrepl-timeout = 315360000\nrepl-backlog-ttl = 315360000\n[[fault]]\nat = '0s'\naction = \
                'stall'\nnode = 'redis-1'\nfor = '87600h'\n[[fault]]\nat = '1s'\naction = 'clock-jump'\nnode = 'sentinel-1'\nby \
                = '87600h'\n";
    assert_eq!(run(text, 1).analysis.end_us, 2_000_000);
}

#[test]
fn data_that_a_link_would_be_sending_for_centuries_is_given_up() {
    let folder = folder();
    let text = "duration = '2s'\n[redis]\ndataset-bytes = '2gb'\n[sentinel]\ndown-after-milliseconds = 315360000000\n\
                [network]\nrate = '1bit'\n";
    write(folder.path(), "slow.toml", text);
    let output = sim(folder.path(), &["run", "slow.toml"]);
    assert!(!output.status.success() && said(&output).contains("not ready"), "{}", said(&output));
}

#[test]
fn the_limits_are_in_the_schema() {
    let schema = sim::scenario::json_schema();
    let properties = &schema["properties"];
    assert_eq!(properties["sentinel"]["properties"]["tilt-period"]["maximum"], 315_360_000_000_u64);
    assert_eq!(properties["haproxy"]["properties"]["rise"]["maximum"], 1_000_000_000);
    assert_eq!(properties["client"]["items"]["properties"]["requests"]["maximum"], 1_000_000_000);
}

#[test]
fn seeds_and_jobs_end_at_the_same_limit_everywhere() {
    let folder = folder();
    write(folder.path(), "kill.toml", KILL);
    let vary = "haproxy.inter=1s,2s";
    for command in [&["run", "kill.toml"][..], &["sweep", "kill.toml", "--vary", vary], &["check"]] {
        let seed = [command, &["--seed", "18446744073709551615"]].concat();
        assert!(refused(folder.path(), &seed).contains("1000000000000000000"), "{seed:?}");
        let jobs = [command, &["--jobs", "1000000"]].concat();
        assert!(refused(folder.path(), &jobs).contains("4096"), "{jobs:?}");
    }
    let most = ["run", "kill.toml", "--seed", "1000000000000000000", "--runs", "3"];
    let output = sim(folder.path(), &most);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn names_are_plain_and_other_texts_hold_nothing_that_is_obeyed() {
    let client = |key: &str, value: &str| {
        let name = if key == "name" { "" } else { "name = 'c'\n" };
        format!("[[client]]\n{name}kind = 'publish'\n{key} = \"{value}\"\n")
    };
    let long = "x".repeat(300);
    let bad = [
        "<img/src=x>",
        "=cmd|'/C calc'!A0",
        "-SUM(1+1)*cmd",
        "\\u001b[31mred",
        "a\\u202eb",
        "/tmp/escaped",
        "../outside",
        "a\\\\b",
        "a\\nb",
        "",
        &long,
    ];
    for value in bad {
        for key in ["name", "host", "channel"] {
            if (key, value) == ("host", "") {
                continue;
            }
            let told = refusal(&client(key, value));
            assert!(told.contains("plain name") || told.contains("cannot be taken"), "{key} = {value}\n{told}");
        }
        let told = refusal(&format!("name = \"{value}\""));
        assert!(told.contains("plain name") || told.contains("cannot be taken"), "{value}\n{told}");
    }
    let command = "[[fault]]\nat = '0s'\naction = 'command'\nnode = 'redis-2'\nrun = ['CONFIG', 'SET', 'x', \"\\u001b]0;PWN\\u0007\"]";
    assert!(refusal(command).contains("not seen but obeyed"));
    assert_eq!(scenario("description = \"a \\u001b[31m b\"").description, "a \u{1b}[31m b");
}

#[test]
fn what_a_description_says_is_shown_and_not_obeyed() {
    let folder = folder();
    let text = format!(
        "name = 'shown'\ndescription = \"</script><img src=x onerror=alert(1)> \\u001b]0;PWNED\\u0007\"\n{KILL}"
    );
    write(folder.path(), "shown.toml", &text);
    let output = sim(folder.path(), &["run", "shown.toml"]);
    assert!(output.status.success() && !said(&output).contains(['\u{1b}', '\u{7}']), "{}", said(&output));
    let page = fs::read_to_string(folder.path().join("output/shown-1/report.html")).expect("a report");
    assert!(!page.contains("<img src=x") && !page.contains('\u{7}'));
    assert!(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; \\u{1b}]0;PWNED\\u{7}"));
}

/// A recording in which every text is hostile.
const HOSTILE: &str = r#"{"scenario": "<script>alert(1)</script>../../x", "source": "real", "run": 1, "end": 10, "redis": ["<img src=x onerror=alert(1)>"], "final_master": "\"><svg onload=alert(1)>", "final_roles": {"<b>": "<i>"}, "faults": [[0, "<u>", "redis-1\u001b[31m"]]}
{"t": 1, "node": "redis-<img src=y>", "event": "</script><script>alert(3)</script>\u001b]0;PWN\u0007\u202e"}
{"t": 1, "node": "sentinel-<img src=z>", "event": "+sdown master mymaster <img> 6379"}
{"t": 1, "client": "=cmd|'/C calc'!A0\u001b[5m", "op": "publish", "seq": 1, "outcome": "err", "ms": 1}
{"t": 2, "client": "@sub\u0000", "op": "receive", "seq": 1}
"#;

#[test]
fn a_hostile_recording_is_shown_and_not_obeyed() {
    let folder = folder();
    write(folder.path(), "a.1.jsonl", HOSTILE);
    for arguments in [&["plot", "a.1.jsonl"][..], &["explain", "a.1.jsonl"], &["diff", "a.1.jsonl", "a.1.jsonl"]] {
        let output = sim(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        assert!(!said(&output).contains(['\u{1b}', '\u{7}', '\u{0}', '\u{202e}']), "{arguments:?}: {}", said(&output));
    }
    let names = files(folder.path());
    assert!(names.iter().all(|name| name == "a.1.jsonl" || name.starts_with("output")), "{names:?}");
    let run =
        fs::read_dir(folder.path().join("output")).expect("a folder").next().expect("one").expect("an entry").path();
    for name in ["timeline.svg", "loss.svg", "latency.svg"] {
        let svg = fs::read_to_string(run.join(name)).expect("a picture");
        super::xml::assert_well_formed(&svg);
    }
    let page = fs::read_to_string(run.join("report.html")).expect("a report");
    for tag in ["<script>alert", "<img", "<svg onload", "<u>"] {
        assert!(!page.contains(tag), "{tag}");
    }
    let csv = fs::read_to_string(run.join("messages.csv")).expect("a table");
    for field in csv.lines().skip(1).flat_map(|line| line.split(',')) {
        let formula = field.trim_start_matches('"').starts_with(['=', '@', '+', '-']) && field.parse::<f64>().is_err();
        assert!(!formula, "{csv}");
    }
    assert!(csv.contains("'=cmd|'/C calc'!A0"), "{csv}");
}

#[test]
fn the_check_for_xml_finds_what_is_none() {
    for good in ["<svg a=\"1\"><g/><text>a &amp; b</text></svg>", "<?xml version='1.0'?><a></a>"] {
        super::xml::assert_well_formed(good);
    }
    for bad in ["<a><b></a>", "<a>", "<a>\u{1b}</a>", "<a>b & c</a>", "<a x=\"1>", "<a>1 < 2</a>", "</a>"] {
        assert!(std::panic::catch_unwind(|| super::xml::assert_well_formed(bad)).is_err(), "{bad}");
    }
}

#[test]
fn faults_before_the_first_line_are_put_in_order() {
    let head = r#"{"end": 45.0007, "faults": [[-2678399.0, "kill_host", "sentinel-1,redis-2,sentinel-1"]], "redis": ["redis-1", "redis-2", "redis-3"], "run": 5, "scenario": "min-replicas", "source": "real"}"#;
    let lines = "{\"t\": 3.5, \"node\": \"redis-1\", \"event\": \"User requested shutdown...\"}\n{\"t\": -2.5, \"client\": \"writer\", \"op\": \"set\", \
                 \"seq\": 1, \"outcome\": \"ok\", \"ms\": 1.0}\n";
    let folder = folder();
    for (name, text) in [("real/a.5.jsonl", format!("{head}\n")), ("real/b.5.jsonl", format!("{head}\n{lines}"))] {
        fs::create_dir_all(folder.path().join("real")).expect("a folder");
        write(folder.path(), name, &text);
        let recording = Recording::parse(name, &text).expect("it can be read");
        assert!(Analysis::of(&recording, None).masters.lanes.iter().all(|lane| lane.from_us < lane.to_us));
        for arguments in [&["plot", name][..], &["explain", name], &["diff", name, name], &["compare", "real", "real"]]
        {
            let output = sim(folder.path(), arguments);
            assert!(!said(&output).contains("panicked"), "{arguments:?}: {}", said(&output));
            assert!(matches!(output.status.code(), Some(0 | 2)), "{arguments:?}: {}", said(&output));
        }
    }
}

#[test]
fn input_has_a_limit_and_says_it() {
    let folder = folder();
    let begin = Instant::now();
    assert!(refused(folder.path(), &["run", "/dev/zero"]).contains("16 MiB"));
    assert!(refused(folder.path(), &["plot", "/dev/zero"]).contains("16 MiB"));
    let mut bomb =
        GzEncoder::new(fs::File::create(folder.path().join("bomb.1.jsonl.gz")).expect("a file"), Compression::fast());
    let blanks = vec![b' '; 1 << 20];
    (0..64).for_each(|_| bomb.write_all(&blanks).expect("it can be written"));
    bomb.finish().expect("it can be written");
    assert!(refused(folder.path(), &["plot", "bomb.1.jsonl.gz"]).contains("line 1 is longer than the limit of 16 MiB"));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn a_gzip_file_of_several_members_is_read_to_its_end() {
    let run = run(KILL, 1);
    let text = run.result.recording.to_jsonl();
    let folder = folder();
    let path = folder.path().join("kill.1.jsonl.gz");
    let mut file = fs::File::create(&path).expect("a file");
    let (first, rest) = text.split_at(text.len() / 2);
    for part in [first, rest] {
        let mut encoder = GzEncoder::new(&mut file, Compression::default());
        encoder.write_all(part.as_bytes()).expect("it can be written");
        encoder.finish().expect("it can be written");
    }
    assert_eq!(Recording::read(&path).expect("it can be read").to_jsonl(), text);
}

#[test]
fn of_many_problems_the_first_twenty_are_told_in_a_second() {
    let mut text = String::from("duration = '60s'\nphase = '0s'\n");
    (0..30_000).for_each(|i| text.push_str(&format!("[[fault]]\nat = '{i}ms'\naction = 'kil'\nnode = 'redis-1'\n")));
    let begin = Instant::now();
    let error = Scenario::parse("typos.toml", &text).expect_err("none is right");
    let took = begin.elapsed();
    assert_eq!(error.problems().len(), 20);
    assert!(error.to_string().contains("30000 problems, of which these are the first 20"), "{error}");
    assert!(took < Duration::from_secs(20), "{took:?} with checks and on a busy machine");
}

#[test]
fn many_clients_run_or_are_refused_and_their_picture_has_a_largest_size() {
    let many = |count: usize| {
        let mut text = String::from("duration = '1s'\nphase = '0s'\n");
        (0..count).for_each(|i| {
            text.push_str(&format!("[[client]]\nname = 'c{i}'\nhost = 'clients'\nkind = 'set'\nevery = '1s'\n"))
        });
        text
    };
    assert!(refusal(&many(10_001)).contains("more than 10000"));
    let run = run(&many(300), 1);
    let lanes = sim::report::lanes::lanes(&run.result.recording);
    assert_eq!(lanes.clients.len(), 300);
    let timeline = sim::report::timeline::Timeline::new(&lanes, &run.analysis);
    let (_, height) = sim::report::chart::Chart::size(&timeline);
    assert!(height < 6_000, "{height}");
    assert!(sim::report::chart::Chart::title(&timeline).contains("200 more lanes are not drawn"));
}

#[test]
fn a_scenario_is_read_once() {
    let folder = folder();
    write(folder.path(), "once.toml", &format!("name = 'once'\n{KILL}"));
    let sweep = "sweep FILE --vary sentinel.down-after-milliseconds=1000,2000 --runs 2 --out swept";
    for (command, out) in [(sweep, "swept"), ("run FILE --out ran", "ran"), ("check FILE --cases 1 --out checked", "")]
    {
        let mut seen = Vec::new();
        for way in ["once.toml", "/dev/stdin"] {
            let arguments: Vec<&str> = command.split(' ').map(|word| if word == "FILE" { way } else { word }).collect();
            let mut child = Command::new(env!("CARGO_BIN_EXE_sim"))
                .args(&arguments)
                .current_dir(folder.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program can be started");
            let mut pipe = child.stdin.take().expect("it was asked for");
            // Who reads from the path does not read the pipe.
            let _ = pipe.write_all(format!("name = 'once'\n{KILL}").as_bytes());
            drop(pipe);
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{arguments:?}: {}", said(&output));
            if !out.is_empty() {
                seen.push(fs::read(find(
                    &folder.path().join(out),
                    if out == "ran" { "recording.jsonl" } else { "runs.csv" },
                )));
                fs::remove_dir_all(folder.path().join(out)).expect("it is there");
            }
        }
        assert!(seen.windows(2).all(|pair| pair[0].as_ref().ok() == pair[1].as_ref().ok()), "{command}");
    }
}

fn find(folder: &Path, name: &str) -> PathBuf {
    folder
        .join(files(folder).into_iter().find(|file| file.ends_with(name)).unwrap_or_else(|| panic!("{name} is there")))
}

#[test]
fn parts_that_are_not_of_one_whole_sweep_are_not_merged() {
    let folder = folder();
    write(folder.path(), "kill.toml", KILL);
    let shard = |index: &str, vary: &str, seed: &str, out: &str| {
        let arguments =
            ["sweep", "kill.toml", "--vary", vary, "--runs", "4", "--seed", seed, "--shard", index, "--out", out];
        let output = sim(folder.path(), &arguments);
        assert!(output.status.success(), "{}", said(&output));
    };
    let (inter, fall) = ("haproxy.inter=1s,2s", "haproxy.fall=2,3");
    shard("0/2", inter, "1", "good");
    shard("1/2", inter, "1", "good");
    assert!(sim(folder.path(), &["sweep", "--merge", "good"]).status.success());
    shard("1/2", inter, "2", "seed");
    shard("1/2", fall, "1", "key");
    let path = |name: &str| folder.path().join(name);
    let second = fs::read_to_string(path("good/runs-1-of-2.csv")).expect("a part");
    let lines: Vec<&str> = second.lines().collect();
    for (name, csv, twin) in [
        ("seed", None, true),
        ("key", None, true),
        ("empty", Some(String::new()), false),
        ("empty", Some(String::new()), true),
        ("cut", Some(lines[..lines.len() - 1].join("\n") + "\n"), false),
        ("cut", Some(lines[..lines.len() - 1].join("\n") + "\n"), true),
        ("half", Some(second[..second.len() - 5].to_owned()), false),
        ("twice", Some(format!("{second}{second}")), false),
    ] {
        fs::create_dir_all(path(name)).expect("a folder");
        for file in ["runs-0-of-2.csv", "runs-0-of-2.parquet"] {
            fs::copy(path("good").join(file), path(name).join(file)).expect("it can be copied");
        }
        if let Some(csv) = csv {
            fs::write(path(name).join("runs-1-of-2.csv"), csv).expect("it can be written");
            match twin {
                true => {
                    fs::copy(path("good/runs-1-of-2.parquet"), path(name).join("runs-1-of-2.parquet")).expect("a copy");
                }
                false => drop(fs::remove_file(path(name).join("runs-1-of-2.parquet"))),
            }
        }
        refused(folder.path(), &["sweep", "--merge", name]);
        assert!(!path(name).join("runs.csv").exists() && hidden(&path(name)).is_empty(), "{name}");
    }
}

/// Sends a signal some time after the start; the exit status.
fn interrupted(folder: &Path, arguments: &[&str], signal: &str, after: Duration) -> Option<i32> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    std::thread::sleep(after);
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill is there");
    assert!(kill.success(), "the program still runs");
    child.wait().expect("it ends").code()
}

#[test]
fn a_signal_leaves_no_hidden_file_and_a_sweep_keeps_what_is_complete() {
    let folder = folder();
    write(folder.path(), "kill.toml", KILL);
    let run = ["run", "kill.toml", "--runs", "100000", "--recordings", "recordings"];
    let check = ["check", "--cases", "100000"];
    let sweep = ["sweep", "kill.toml", "--vary", "haproxy.inter=1s,2s", "--runs", "100000", "--out", "swept"];
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        for (arguments, ms) in [(&run[..], 1_500), (&check, 700), (&sweep, 5_000)] {
            let code = interrupted(folder.path(), arguments, signal, Duration::from_millis(ms));
            assert_eq!(code, Some(status), "{arguments:?}");
            assert_eq!(hidden(folder.path()), Vec::<String>::new(), "{arguments:?}");
        }
        let rows = fs::read_to_string(folder.path().join("swept/runs.partial.csv")).expect("what was complete");
        let columns = rows.lines().next().expect("a header").split(',').count();
        assert!(rows.lines().count() > 1 && rows.ends_with('\n'), "{rows}");
        assert!(rows.lines().all(|line| line.split(',').count() == columns));
        assert!(!folder.path().join("swept/runs.csv").exists());
    }
}

#[test]
fn a_run_inside_of_a_run_folder_does_not_stop_later_runs() {
    let folder = folder();
    write(folder.path(), "kill.toml", KILL);
    assert!(sim(folder.path(), &["run", "kill.toml"]).status.success());
    let inside = folder.path().join("output/kill-1");
    assert!(sim(&inside, &["run", "scenario.toml"]).status.success());
    let output = sim(folder.path(), &["run", "kill.toml"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(inside.join("output/kill-1/report.html").is_file(), "what was run inside is kept");
    fs::write(inside.join("notes.txt"), "mine").expect("it can be written");
    assert!(refused(folder.path(), &["run", "kill.toml"]).contains("notes.txt"));
}

#[test]
fn two_runs_into_one_folder_do_not_disturb_each_other() {
    let folder = folder();
    write(folder.path(), "kill.toml", KILL);
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        command.args(["run", "kill.toml"]).current_dir(folder.path()).stdout(Stdio::null());
        command.spawn().expect("the program can be started")
    };
    for _ in 0..2 {
        let children: Vec<_> = (0..3).map(|_| start()).collect();
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
    }
    assert_eq!(hidden(folder.path()), Vec::<String>::new());
}

#[test]
fn nobody_to_be_told_is_no_panic() {
    let folder = folder();
    write(folder.path(), "kill.toml", KILL);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    for arguments in
        [&["run", "none.toml"][..], &["plot", "none.jsonl"], &["sweep", "--merge", "none"], &["run", "--no"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        let status = command.args(arguments).current_dir(folder.path()).stderr(full()).stdout(Stdio::null()).status();
        assert_eq!(status.expect("it ends").code(), Some(2), "{arguments:?}");
    }
    for arguments in [&["run", "kill.toml"][..], &["schema"], &["check", "--list"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        let output = command.args(arguments).current_dir(folder.path()).stdout(full()).output().expect("it ends");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
    }
}

#[test]
fn a_full_disk_leaves_no_half_chart() {
    let folder = folder();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("not root: no small disk can be had");
        return;
    }
    for name in ["real", "sim"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
        for seed in 1..4 {
            let recording = run(KILL, seed).result.recording;
            recording.write(&folder.path().join(format!("{name}/test.{seed}.jsonl"))).expect("it can be written");
        }
    }
    let output = sim(folder.path(), &["compare", "real", "sim", "--charts", "disk"]);
    let left = files(&disk);
    let undone = Command::new("umount").arg(&disk).status().expect("umount is there");
    assert!(undone.success());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("No space left"), "{}", said(&output));
    assert!(left.iter().all(|name| name.ends_with(".svg")), "{left:?}");
}

#[test]
fn the_driver_of_real_programs_writes_to_its_own_folder_only() {
    let text = |name: &str| {
        format!(
            "duration = '2s'\nphase = '0s'\n[stack]\nredis = 1\nsentinels = 1\n[sentinel]\nquorum = 1\n[[client]]\nname = '{name}'\nhost = \
                 'clients'\nkind = 'publish'\n"
        )
    };
    let folder = folder();
    for name in ["/tmp/escaped/by-name", "../simref-outside", "a/b", "..", "-rf"] {
        write(folder.path(), "escape.toml", &text(name));
        let told = refused(folder.path(), &["reference", "record", "escape.toml", "--out", "out"]);
        assert!(told.contains("plain name"), "{told}");
        assert_eq!(files(folder.path()), ["escape.toml"], "nothing is written");
    }
}

#[test]
fn haproxy_rounds_its_times_up_to_milliseconds() {
    let digest = |timeout: &str| {
        let text = format!(
            "duration = '6s'\nphase = '0s'\n[haproxy]\n'timeout connect' = '{timeout}'\ninter = '{timeout}'\n\
             [[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n"
        );
        super::support::run(&text, 1).result.digest
    };
    assert_eq!(digest("500us"), digest("1ms"));
    assert_eq!(digest("1500us"), digest("2ms"));
    assert_ne!(digest("1ms"), digest("2ms"));
    let refused = super::support::refusal("[haproxy]\n'timeout connect' = '0s'\n");
    assert!(refused.contains("rounds up to whole milliseconds"), "{refused}");
}
