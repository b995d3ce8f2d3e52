//! The real stack, on every backend that this machine has: the same scenario, the same demands.
//!
//! A backend that cannot work here (no root, no programs, no images) is skipped with a message, unless
//! `REFERENCE_BACKENDS` names it (`netns`, or `netns,docker`): CI says by it which must work.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sim::record::{Op, Outcome, Recording, Source, What};

const SIM: &str = env!("CARGO_BIN_EXE_sim");
const BACKENDS: [&str; 2] = ["netns", "docker"];

/// Everything a backend must be able to do, in a few seconds.
const SCENARIO: &str = r#"
duration = "9s"
phase = "0s"
[sentinel]
down-after-milliseconds = 1000
failover-timeout = 3000
[[fault]]
at = "0s"
action = "kill-host"
node = "redis-1"
[[fault]]
at = "1s"
action = "cut"
from = "redis-2"
to = "redis-3"
[[fault]]
at = "1200ms"
action = "degrade"
between = ["redis-2", "sentinel-2"]
latency = "3ms"
loss = 0.05
[[fault]]
at = "1200ms"
action = "degrade"
between = ["redis-3", "sentinel-2"]
latency = "3ms"
[[fault]]
at = "1500ms"
action = "heal"
[[fault]]
at = "4s"
action = "start"
node = "redis-1"
[[fault]]
at = "5s"
action = "pause"
node = "sentinel-1"
[[fault]]
at = "6s"
action = "resume"
node = "sentinel-1"
"#;

fn succeeds(command: &str) -> bool {
    let mut words = command.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Why a backend cannot work here.
fn objection(backend: &str) -> Option<String> {
    if !rustix_is_root() {
        return Some("it needs root".into());
    }
    let programs: &[&str] = match backend {
        "netns" => &["redis-server -v", "redis-sentinel -v", "haproxy -v", "ip netns", "iptables -V", "nsenter -V"],
        _ => &["docker info", "iptables -V", "nsenter -V"],
    };
    if let Some(program) = programs.iter().find(|program| !succeeds(program)) {
        return Some(format!("`{program}` does not work"));
    }
    let images = [("REDIS_IMAGE", "redis:7.0.15"), ("HAPROXY_IMAGE", "haproxy:2.6")];
    let missing = images
        .iter()
        .map(|(variable, image)| std::env::var(variable).unwrap_or_else(|_| image.to_string()))
        .find(|image| backend == "docker" && !succeeds(&format!("docker image inspect {image}")));
    missing.map(|image| format!("there is no image {image}"))
}

fn rustix_is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Runs what is to be tested on each backend that can work here, one after the other.
fn each_backend(test: impl Fn(&str)) {
    let required = std::env::var("REFERENCE_BACKENDS").unwrap_or_default();
    for backend in BACKENDS {
        match objection(backend) {
            Some(why) if required.split(',').any(|name| name == backend) => panic!("backend {backend}: {why}"),
            Some(why) => eprintln!("skipped: backend {backend}: {why}"),
            None => test(backend),
        }
    }
}

fn driver(backend: &str, folder: &Path) -> Child {
    let file = folder.join("conformance.toml");
    std::fs::write(&file, SCENARIO).expect("a folder of our own");
    let mut command = Command::new(SIM);
    command.args(["reference", "record"]).arg(&file).args(["--backend", backend, "--out"]).arg(folder);
    command.env("TMPDIR", folder).spawn().expect("sim starts")
}

/// What the stack of a driver has left: namespaces, containers, files.
fn leftovers(driver: u32, folder: &Path) -> Vec<String> {
    let prefix = format!("simref-{driver}-");
    let list = |command: &str| {
        let mut words = command.split(' ');
        let output = Command::new(words.next().expect("a program")).args(words).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    };
    let mut names: Vec<String> = list("ip netns").lines().map(str::to_string).collect();
    names.extend(list("docker ps -a --format {{.Names}}").lines().map(str::to_string));
    names.extend(list("docker network ls --format {{.Name}}").lines().map(str::to_string));
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    names.extend(files.map(|file| file.file_name().to_string_lossy().into_owned()));
    names.retain(|name| name.starts_with(&prefix));
    names
}

#[test]
fn every_backend_plays_the_script() {
    each_backend(|backend| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = driver(backend, folder.path());
        let pid = child.id();
        assert!(child.wait().expect("it ends").success(), "{backend}");
        assert_eq!(leftovers(pid, folder.path()), Vec::<String>::new(), "{backend}");

        let path = folder.path().join("conformance.00.jsonl.gz");
        let recording = Recording::read(&path).expect("a recording");
        let header = &recording.header;
        assert_eq!(header.source, Source::Real);
        let marks: Vec<&str> = header.faults.iter().map(|mark| mark.fault.word()).collect();
        assert_eq!(marks, ["kill-host", "cut", "degrade", "degrade", "heal", "start", "pause", "resume"], "{backend}");
        assert!(header.faults.iter().zip([0.0, 1.0, 1.5, 4.0, 5.0, 6.0]).all(|(mark, at)| (mark.at_s - at) < 0.5));
        let master = header.final_master.as_deref().expect("a master");
        assert!(["redis-2", "redis-3"].contains(&master), "{backend}: {master}");
        assert!(header.lost_acked_sets.is_some(), "{backend}");

        let text = recording.to_jsonl();
        for expected in [
            "+switch-master mymaster redis-1 6379",
            "MASTER MODE enabled (user request)",
            "Server redis_backend/redis-1 is DOWN, reason: ",
            "\"redis-1\",\"event\":\"Ready to accept connections\"",
        ] {
            assert!(text.contains(expected), "{backend}: nobody said {expected}");
        }
        assert!(!text.contains("10.77."), "{backend}: names stand in place of addresses");
        let after = |record: &&sim::record::Record| recording.seconds(record.time) > 7.0;
        let ops = || recording.records.iter().filter(after).map(|record| &record.what);
        assert!(ops().any(|what| matches!(what, What::Op(Op::Publish { outcome: Outcome::Ok, .. }))), "{backend}");
        assert!(ops().any(|what| matches!(what, What::Op(Op::Set { outcome: Outcome::Ok, .. }))), "{backend}");
        assert!(ops().any(|what| matches!(what, What::Op(Op::Receive { .. }))), "{backend}");
    });
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    each_backend(|backend| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = driver(backend, folder.path());
        let pid = child.id();
        // In the middle of the boot.
        thread::sleep(Duration::from_millis(2_500));
        assert!(!leftovers(pid, folder.path()).is_empty(), "{backend}: it has begun");
        kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
        let status = child.wait().expect("it ends");
        assert!(!status.success(), "{backend}");
        assert_eq!(leftovers(pid, folder.path()), Vec::<String>::new(), "{backend}");
    });
}

/// A stand-in for a program that calls a library: it says the version, and writes its lines.
const PROGRAM: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo 8.1.0; exit; }
seq=$9
while :; do
    case $1 in
        subscribe) echo "{\"at\":$(date +%s%6N),\"op\":\"connect\",\"outcome\":\"open\"}" ;;
        *) echo "{\"at\":$(date +%s%6N),\"op\":\"$1\",\"seq\":$seq,\"outcome\":\"no-master\",\"us\":7}" ;;
    esac >>"$5"
    seq=$((seq + 1))
    sleep 0.2
done
"#;

#[test]
fn the_program_of_a_client_library_writes_its_lines() {
    if let Some(objection) = objection("netns") {
        eprintln!("netns is skipped: {objection}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let record = |program: &str| {
        let file = folder.path().join("clients/redis-py/client");
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("a folder");
        std::fs::write(&file, program).expect("a file");
        let made = Command::new("chmod").arg("+x").arg(&file).status().expect("chmod runs");
        assert!(made.success());
        let scenario = folder.path().join("short.toml");
        std::fs::write(&scenario, "duration = '1s'\nphase = '0s'\n").expect("a file");
        let mut command = Command::new(SIM);
        command.args(["reference", "record", "--client", "redis-py"]).arg(scenario);
        command.arg("--clients").arg(folder.path().join("clients")).arg("--out").arg(folder.path());
        command.output().expect("sim runs")
    };
    let output = record(PROGRAM);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let recording = Recording::read(&folder.path().join("short.00.jsonl.gz")).expect("it is a recording");
    let lines = recording.records.iter().filter(|record| {
        matches!(
            record.what,
            What::Op(Op::Set { outcome: Outcome::NoMaster, .. } | Op::Publish { outcome: Outcome::NoMaster, .. })
        )
    });
    assert!(lines.count() > 20);
    assert!(recording.header.clients.iter().all(|client| client.library.as_deref() == Some("redis-py")));
    // One that dies is no client that saw an outage.
    let output = record(&PROGRAM.replace("sleep 0.2", "sleep 3; echo 'it fell over' >&2; exit 3"));
    let said = String::from_utf8_lossy(&output.stderr).replace(['\n', '│', ' '], "");
    assert_eq!((output.status.code(), said.contains("itfellover")), (Some(2), true), "{said}");
}
