//! `sim import` and `sim lint` as a user meets them: what they refuse, what they never do, and what their options change.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A run that takes longer hangs: with checks on, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a run may take of memory, in KiB, as address space.
const MEMORY: u64 = 6 << 20;
const SECRET: &str = "hunter2-Planted";

/// The program, with a limit of its memory; how it ended.
fn sim(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let begin = Instant::now();
    let script = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_sim")])
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .envs(environment.iter().copied())
        .output()
        .expect("the program can be started");
    assert!(begin.elapsed() < PATIENCE, "{arguments:?} took {:?}", begin.elapsed());
    let code = output.status.code();
    assert!(matches!(code, Some(0..=2)), "{arguments:?}: {code:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

const COMPOSE: &str = "\
services:
  cache-a:
    image: redis:7.0.15
    command: redis-server --appendonly ${AOF:-yes}
  cache-b:
    image: redis:7.0.15
    command: redis-server --replicaof cache-a 6379
  watch:
    image: redis:7.0.15
    command: redis-sentinel /etc/s/sentinel.conf
    volumes: [./s:/etc/s]
    deploy: {replicas: 3}
";
const SENTINEL: &str = "port 26379\nsentinel resolve-hostnames yes\nsentinel monitor shop cache-a 6379 2\nsentinel down-after-milliseconds shop 4000\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

fn small() -> tempfile::TempDir {
    folder(&[("compose.yml", COMPOSE), ("s/sentinel.conf", SENTINEL)])
}

#[test]
fn an_import_runs_and_bears_the_users_names() {
    let set = small();
    let output = sim(set.path(), &["import", ".", "-o", "stack.toml"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let toml = fs::read_to_string(set.path().join("stack.toml")).expect("written");
    for part in ["name = \"cache-a\"", "name = \"watch-1\"", "master-name = \"shop\"", "# s/sentinel.conf:4"] {
        assert!(toml.contains(part), "{part} is not in\n{toml}");
    }
    let order: Vec<usize> =
        ["master-name", "quorum", "down-after", "failover-timeout"].map(|key| toml.find(key).expect(key)).to_vec();
    assert!(order.is_sorted(), "{toml}");
    let output = sim(set.path(), &["run", "stack.toml", "--out", "out"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("cache-b") && !told.contains("redis-2"), "{told}");
    let page = fs::read_to_string(set.path().join("out/latest/report.html")).expect("a report");
    assert!(page.contains("cache-b"), "the report has the user's names");
}

#[test]
fn options_change_what_is_read() {
    let set = small();
    fs::write(set.path().join("mine.env"), "AOF=no\n").expect("written");
    let import = |more: &[&str], environment: &[(&str, &str)]| {
        let output = sim(set.path(), &[&["import", "."], more].concat(), environment);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), said(&output))
    };
    let aof = |toml: &str| toml.lines().find(|line| line.starts_with("appendonly = ")).map(str::to_owned);
    assert!(aof(&import(&[], &[]).1).is_some_and(|line| line.contains("true")));
    assert!(
        aof(&import(&[], &[("AOF", "no")]).1).is_some_and(|line| line.contains("true")),
        "not from the environment"
    );
    let taken = import(&["--env-from-process"], &[("AOF", "no")]).1;
    assert!(taken.contains("appendonly = false"), "{taken}");
    assert!(import(&["--env", "mine.env"], &[]).1.contains("appendonly = false"));
    assert!(import(&["--scale", "watch=5"], &[]).1.contains("sentinels = 5"));
    assert!(import(&["--set", "network.latency=2ms"], &[]).1.contains("latency = \"2ms\""));
    assert!(import(&["--anyway", "--set", "master=cache-b"], &[]).1.contains("redis-1      cache-b"));
    for (wrong, why) in [
        (vec!["--set", "master=nobody"], "takes one of: cache-a, cache-b"),
        (vec!["--master", "nobody"], "takes one of: shop"),
        (vec!["--frontend", "nobody"], "no frontend"),
        (vec!["--scale", "watch"], "--scale SERVICE=N"),
        (vec!["--set", "redis.nonsense=1"], "nonsense"),
        (vec!["--set", "compose.yml:3=x"], "nothing there has to be filled in"),
        (vec!["--set", "compose.yml:999=x"], "no line 999"),
    ] {
        let (code, toml, told) = import(&wrong, &[]);
        assert_eq!((code, toml.as_str()), (Some(2), ""), "{wrong:?}: {told}");
        assert!(told.contains(why), "{wrong:?}: {told}");
    }
}

#[test]
fn what_is_left_open_is_asked_for_and_filled_in() {
    let set = folder(&[("compose.yml", COMPOSE), ("s/sentinel.conf", &SENTINEL.replace("6379 2", "6379 <quorum>"))]);
    let refused = sim(set.path(), &["import", "."], &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("s/sentinel.conf:3"), "{}", said(&refused));
    let filled = sim(set.path(), &["import", ".", "--set", "s/sentinel.conf:3=3"], &[]);
    assert!(said(&filled).contains("quorum = 3"), "{}", said(&filled));
}

#[test]
fn what_a_compose_file_includes_is_part_of_it() {
    let (services, watch) = COMPOSE.split_once("  watch:\n").expect("a service");
    let set = folder(&[
        ("compose.yml", &format!("include: [sentinels/compose.yml]\n{services}")),
        ("sentinels/compose.yml", &format!("services:\n  watch:\n{watch}")),
        ("sentinels/s/sentinel.conf", SENTINEL),
    ]);
    for given in [&["."][..], &["compose.yml"], &[".", "--file", "compose.yml"]] {
        let output = sim(set.path(), &[&["import"], given].concat(), &[]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{given:?}: {told}");
        for part in ["(compose.yml)", "sentinels = 3", "name = \"cache-b\"", "# sentinels/s/sentinel.conf:4"] {
            assert!(told.contains(part), "{given:?}: {part} is not in\n{told}");
        }
    }
    fs::write(set.path().join("compose.yml"), format!("include: [nowhere.yml]\n{COMPOSE}")).expect("written");
    let told = said(&sim(set.path(), &["import", ".", "--anyway"], &[]));
    assert!(told.contains("# * compose.yml:1   include nowhere.yml: there is no such file"), "{told}");
}

#[test]
fn lint_ends_with_what_it_found() {
    let set = small();
    assert_eq!(sim(set.path(), &["lint", "."], &[]).status.code(), Some(1));
    assert_eq!(sim(set.path(), &["lint", "nothing-here"], &[]).status.code(), Some(2));
    assert_eq!(sim(set.path(), &["lint", ".", "--allow", "no-such-rule"], &[]).status.code(), Some(2));
    assert_eq!(sim(set.path(), &["lint", ".", "--prove", "--format", "sarif"], &[]).status.code(), Some(2));
    let proved = sim(set.path(), &["lint", ".", "--prove", "--runs", "1", "--format", "json"], &[]);
    let document: serde_json::Value = serde_json::from_slice(&proved.stdout).expect("one JSON document");
    assert!(document["proofs"].as_array().is_some_and(|all| all.iter().any(|one| one["rule"] == "no-min-replicas")));
}

#[test]
fn nothing_that_is_no_plain_file_of_the_folder_is_read() {
    let outside = folder(&[("secret.conf", &format!("requirepass {SECRET}\nport 1\n"))]);
    let set = small();
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, set.path().join(name)).expect("a link");
    link(Path::new("/dev/zero"), "zero.yml");
    link(Path::new("/dev/stdin"), "stdin.conf");
    link(&outside.path().join("secret.conf"), "redis.conf");
    link(outside.path(), "more");
    link(Path::new("nowhere"), "broken.yml");
    link(set.path(), "ring");
    let made = Command::new("mkfifo").arg(set.path().join("pipe.yml")).status().expect("mkfifo");
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(set.path().join("socket.yml")).expect("a socket");
    fs::write(set.path().join("latin.conf"), b"port 6379\nrequirepass \xff\xfe\xe4\n").expect("written");
    fs::write(set.path().join("binary.conf"), [0_u8, 1, 2, 255].repeat(1_000)).expect("written");
    fs::write(set.path().join("huge.yml"), "a: b\n".repeat(400_000)).expect("written");
    for arguments in [&["lint", ".", "--notes"][..], &["import", "."]] {
        let output = sim(set.path(), arguments, &[]);
        assert!(!said(&output).contains(SECRET) && output.status.code() != Some(2), "{}", said(&output));
    }
    for named in ["pipe.yml", "zero.yml", "/dev/zero", "huge.yml", "binary.conf", "socket.yml"] {
        let output = sim(set.path(), &["lint", named], &[]);
        assert_eq!(output.status.code(), Some(2), "{named}: {}", said(&output));
    }
}

#[test]
fn bombs_end() {
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        aliases += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    let keys: String = (0..40_000).map(|n| format!("  k{n}: 1\n")).collect();
    let merges = format!("x: &x\n{keys}y:\n  <<: *x\n  services: 1\n{COMPOSE}");
    let services: String =
        (0..9_000).map(|n| format!("  s{n}:\n    image: redis\n    command: redis-server --port {n}\n")).collect();
    let nested = format!("services:\n  a:\n    command: {}\n", "[".repeat(20_000));
    let dollars = format!("services:\n  a:\n    image: redis\n    command: redis-server {}\n", "${A:-".repeat(20_000));
    let block = format!("services:\n  a:\n    image: redis\n    command: |\n{}", "      $A ${B} c\n".repeat(40_000));
    let ring = format!("include: [compose.yml, b.yml, b.yml]\n{COMPOSE}");
    let loops = "#!/bin/sh\nf() { f; f; }\nwhile true; do f; done\nsh /start.sh\nexec redis-server\n";
    let doubled = format!("A=x\n{}redis-server --port $A\n", "A=$A$A$A$A\n".repeat(2_000));
    let script = format!(
        "services:\n  a:\n    image: redis\n    entrypoint: /start.sh\n    volumes: ['./start.sh:/start.sh']\n{COMPOSE}"
    );
    for (name, files) in [
        ("aliases", vec![("compose.yml", aliases.as_str())]),
        ("merges", vec![("compose.yml", &merges)]),
        ("services", vec![("compose.yml", &format!("services:\n{services}"))]),
        ("nested", vec![("compose.yml", &nested)]),
        ("dollars", vec![("compose.yml", &dollars)]),
        ("block", vec![("compose.yml", &block), (".env", "A=1\nB=2 3\n")]),
        ("ring", vec![("compose.yml", &ring), ("b.yml", &ring), ("s/sentinel.conf", SENTINEL)]),
        ("loops", vec![("compose.yml", &script), ("start.sh", loops)]),
        ("doubled", vec![("compose.yml", &script), ("start.sh", &doubled)]),
        ("lines", vec![("compose.yml", COMPOSE), ("s/sentinel.conf", &format!("{SENTINEL}{}", "a\n".repeat(500_000)))]),
        ("include", vec![("redis.conf", "include redis.conf\nport 1\nappendonly yes\n"), ("sentinel.conf", SENTINEL)]),
        ("extends", vec![("compose.yml", "services:\n  a:\n    image: redis\n    extends: b\n  b:\n    extends: a\n")]),
        (
            "replicas",
            vec![
                ("compose.yml", &COMPOSE.replace("replicas: 3", "replicas: 99999999999")),
                ("s/sentinel.conf", SENTINEL),
            ],
        ),
        (
            "servers",
            vec![
                (
                    "haproxy.cfg",
                    "backend b\n option tcp-check\n tcp-check expect string role:master\n server-template r 1-99999999 x:6379 check\n bind :1\nfrontend f\n bind :6379\n default_backend b\n",
                ),
                ("sentinel.conf", SENTINEL),
            ],
        ),
    ] {
        let set = folder(&files);
        for command in ["lint", "import"] {
            let output = sim(set.path(), &[command, "."], &[]);
            assert!(!said(&output).contains("panicked"), "{name}: {}", said(&output));
        }
    }
}

#[test]
fn nothing_is_executed() {
    let script = "#!/bin/sh\ntouch PROOF\nA=$(touch PROOF)\n`touch PROOF`\neval 'touch PROOF'\nexec redis-server --port $(touch PROOF; echo 1)\n";
    let compose = format!(
        "{COMPOSE}  z:\n    build: .\n    image: 'redis:$(touch PROOF)'\n    entrypoint: [sh, -c, 'touch PROOF; sh /start.sh']\n    volumes: ['./start.sh:/start.sh']\n    \
         healthcheck: {{test: [CMD-SHELL, 'touch PROOF']}}\n"
    );
    let set = folder(&[
        ("compose.yml", &compose),
        ("s/sentinel.conf", &format!("{SENTINEL}sentinel notification-script shop ./start.sh\n")),
        ("start.sh", script),
        ("Dockerfile", "FROM redis\nRUN touch PROOF\nCOPY start.sh /\nENTRYPOINT [\"/start.sh\"]\n"),
        ("Makefile", "x := $(shell touch PROOF)\n"),
    ]);
    for arguments in [&["lint", ".", "--notes"][..], &["import", ".", "--anyway"]] {
        sim(set.path(), arguments, &[]);
        assert!(!set.path().join("PROOF").exists(), "{arguments:?}");
    }
}

#[test]
fn passwords_are_never_written() {
    let compose = format!(
        "{COMPOSE}  sec:\n    image: redis:7\n    command: redis-server --requirepass {SECRET} --masterauth {SECRET} --replicaof cache-a 6379\n    environment: [REDIS_PASSWORD={SECRET}, \
         'REDIS_MASTER_PASSWORD=\"{SECRET}\"', REDISCLI_AUTH={SECRET}]\n    healthcheck: {{test: redis-cli -a {SECRET} ping}}\n  bit:\n    image: bitnami/redis:7.0\n    environment: \
         {{REDIS_REPLICATION_MODE: slave, REDIS_MASTER_HOST: cache-a, REDIS_PASSWORD: {SECRET}, REDIS_MASTER_PASSWORD: x{SECRET}, REDIS_EXTRA_FLAGS: '--requirepass {SECRET}'}}\n  prox:\n    image: \
         haproxy:2.6\n    volumes: [./p:/usr/local/etc/haproxy]\n  shell:\n    image: redis:7\n    environment: {{P: '{SECRET}'}}\n    entrypoint: /start.sh\n    volumes: ['./start.sh:/start.sh']\n"
    );
    let sentinel = format!(
        "{SENTINEL}sentinel auth-pass shop {SECRET}\nrequirepass {SECRET}\nsentinel sentinel-pass {SECRET}\nuser x on >{SECRET} ~* +@all\n"
    );
    let proxy = format!(
        "frontend f\n bind *:6379\n default_backend b\nbackend b\n option tcp-check\n tcp-check send AUTH\\ {SECRET}\\r\\n\n tcp-check expect string +OK\n tcp-check send \
         info\\ replication\\r\\n\n tcp-check expect string role:master\n server a cache-a:6379 check\n server b cache-b:6379 check\nlisten stats\n bind :1\n stats auth admin:{SECRET}\n"
    );
    let script = format!(
        "#!/bin/sh\ncat > /r.conf <<EOF\nrequirepass $P\nmasterauth {SECRET} # {SECRET}\nuser default on >{SECRET} ~* &* +@all\nEOF\nsed -i \"s/x/{SECRET}/\" /r.conf\nredis-cli -a {SECRET} \
         replicaof cache-a 6379\nexec redis-server /r.conf --requirepass $P\n"
    );
    let pods = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {SECRET}}}\n");
    let set = folder(&[
        ("compose.yml", &compose),
        ("s/sentinel.conf", &sentinel),
        ("p/haproxy.cfg", &proxy),
        ("start.sh", &script),
        ("secret.yaml", &pods),
        (".env", &format!("PASSWORD={SECRET}\nAOF=yes\n")),
        ("old/redis.conf", &format!("port 6379\nappendonly yes\nrequirepass {SECRET}\n")),
    ]);
    for arguments in [
        &["import", ".", "--anyway"][..],
        &["import", "."],
        &["lint", ".", "--notes"],
        &["lint", ".", "--format", "json"],
        &["lint", ".", "--format", "sarif"],
        &["lint", ".", "--format", "markdown"],
    ] {
        let output = sim(set.path(), arguments, &[]);
        let told = said(&output);
        let line = told.lines().find(|line| line.contains(SECRET));
        assert!(line.is_none() && !told.contains("hunter2"), "{arguments:?}: {line:?}");
    }
}
