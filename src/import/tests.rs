use std::path::Path;

use proptest::prelude::*;

use super::lint::{Severity, findings};
use super::output::{Wishes, scenario};
use super::situation::SITUATIONS;
use super::{Files, Options, read, sarif};
use crate::scenario::Scenario;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn import(files: &Files, situation: &str) -> Vec<(super::Stack, String)> {
    let set = read(files, &Options::default());
    let one = |stack: super::Stack| {
        let found = findings(&stack, &[]);
        let wishes = Wishes { situation: situation.to_owned(), from: "somewhere".to_owned(), ..Wishes::default() };
        let toml = scenario(&stack, &found, &wishes).toml;
        sarif::document(&found, "0");
        (stack, toml)
    };
    set.stacks.into_iter().map(one).collect()
}

#[test]
fn the_references_own_stack_is_the_demo() {
    let files = Files::read(&[Path::new(ROOT).join("reference")]).expect("the folder is there");
    let all = import(&files, "none");
    let [(stack, toml)] = &all[..] else { panic!("one stack, not {}", all.len()) };
    let plan = Scenario::parse("imported.toml", toml).unwrap_or_else(|error| panic!("{error:?}\n{toml}"));
    let demo = Scenario::parse("demo.toml", "").expect("an empty file is the demo");
    assert_eq!(
        (plan.stack, &plan.redis, &plan.sentinel, &plan.haproxy),
        (demo.stack, &demo.redis, &demo.sentinel, &demo.haproxy),
        "{toml}"
    );
    let mut ids: Vec<&str> = findings(stack, &[]).iter().map(|finding| finding.rule).collect();
    ids.sort_unstable();
    ids.dedup();
    let wanted = [
        "idle-cut",
        "no-aof",
        "no-data-volume",
        "no-min-replicas",
        "no-restart-policy",
        "no-session-fencing",
        "one-machine",
        "returned-master-is-up",
        "single-proxy",
        "start-role-fixed",
    ];
    assert_eq!(ids, wanted);
}

#[test]
fn every_situation_is_a_scenario() {
    let files = Files::read(&[Path::new(ROOT).join("reference")]).expect("the folder is there");
    for (name, _) in SITUATIONS {
        let toml = import(&files, name).remove(0).1;
        Scenario::parse("imported.toml", &toml).unwrap_or_else(|error| panic!("{name}: {error:?}\n{toml}"));
    }
}

#[test]
fn each_value_says_where_it_stands() {
    let compose = "services:\n  a:\n    image: redis:7\n    command: redis-server --save 9 1 --port 7000\n  b:\n    image: redis:7\n    command: redis-server \
        --replicaof a 7000 --port 7000\n  s:\n    image: redis:7\n    command: sh -c 'echo \"sentinel monitor m a 7000 $${Q}\" > /s.conf; echo \"sentinel \
        resolve-hostnames yes\" >> /s.conf; redis-sentinel /s.conf'\n    environment:\n      Q: ${QUORUM:-1}\n";
    let files = Files::of([("compose.yml", compose), (".env", "# the quorum\nQUORUM=1\n")]);
    let toml = import(&files, "none").remove(0).1;
    assert!(
        toml.contains("quorum = 1                      # .env:2 through compose.yml:12 (QUORUM) through"),
        "{toml}"
    );
    assert!(toml.contains("failover-timeout = 180000       # assumed: no directive; Redis's default"), "{toml}");
    assert!(toml.contains("save = \"9 1\" # compose.yml:4"), "{toml}");
    assert!(toml.contains("haproxy = false # assumed: there is none in the set"), "{toml}");
}

#[test]
fn sarif_has_what_its_readers_need() {
    let files = Files::read(&[Path::new(ROOT).join("reference")]).expect("the folder is there");
    let stack = import(&files, "none").remove(0).0;
    let found = findings(&stack, &[]);
    let document = sarif::document(&found, "1.2.3");
    assert_eq!((document["version"].as_str(), document["runs"].as_array().map(Vec::len)), (Some("2.1.0"), Some(1)));
    assert!(document["$schema"].as_str().is_some_and(|schema| schema.contains("sarif-2.1.0")));
    let (driver, results) = (&document["runs"][0]["tool"]["driver"], &document["runs"][0]["results"]);
    assert!(driver["name"].is_string() && driver["rules"].as_array().is_some_and(|rules| rules.len() == 79));
    let results = results.as_array().expect("a list");
    assert_eq!(results.len(), found.len());
    for result in results {
        let rule = &driver["rules"][result["ruleIndex"].as_u64().expect("a number") as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().expect("a word")));
        assert!(!result["message"]["text"].as_str().expect("a text").is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().expect("a path");
        assert!(!uri.starts_with('/') && place["region"]["startLine"].as_u64().is_some_and(|line| line > 0), "{uri}");
    }
    assert!(found.iter().any(|finding| finding.severity == Severity::Warn));
}

/// Files that hold something of everything.
fn seeds() -> Vec<(String, String)> {
    let script = "#!/bin/sh\nset -e\nif [ \"$(hostname)\" = x ]; then sed -i \"s/@Q@/${Q:-2}/g\" /etc/s.conf; else envsubst < /a > /b; fi\ncat > /s.conf <<EOF\nsentinel \
        monitor m ${HOST:-a} 6379 $Q\nEOF\ncase \"$1\" in a*) exec redis-server /s.conf --sentinel;; esac\nexec \"$@\"\n";
    let docker = "FROM redis:6.2 AS x\nENV Q=2\nCOPY s.conf start.sh /etc/\nRUN sed -i s/a/b/ /etc/s.conf\nENTRYPOINT [\"/etc/start.sh\"]\nCMD redis-server\n";
    let compose = "x: &x\n  image: bitnami/redis:7.2\n  deploy: {replicas: 2, mode: replicated}\nservices:\n  a:\n    <<: *x\n    environment: [REDIS_PASSWORD=x, 'REDIS_EXTRA_FLAGS=--save \
        9 1']\n  b:\n    extends: a\n    build: {context: ., target: x}\n    command: sh -c \"echo port $${P:-1} >> /x && redis-server /x\"\n    ports: ['1-9:6379', {target: 1}]\n  \
        s:\n    build: .\n    volumes: [./s.conf:/etc/s.conf:ro, v:/data]\nvolumes: {v: {driver_opts: {device: ./d}}}\n";
    let sentinel = "port 26379\nsentinel monitor m a 6379 2 #x\nsentinel auth-pass m \"p w\"\nsentinel known-replica m 1.2.3.4 1\n";
    let proxy = "global\n maxconn 10\ndefaults\n timeout client 1m\nfrontend f\n bind *:6379,:80\n use_backend b if { nbsrv(b) ge 2 }\n default_backend b\nbackend b\n option tcp-check\n tcp-check send \
        \"PING $X\"\\r\\n\n tcp-check expect string role:master\n server a a:6379 check inter 1s rise 2 backup\n server-template s 1-9 x:1 check\n";
    let pods = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: r}\nspec:\n  replicas: 3\n  template:\n    spec:\n      initContainers: [{command: [sh, -c, cp /a /b]}]\n      containers: \
        [{image: redis, command: [redis-server], env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]\n---\napiVersion: x\nkind: RedisFailover\nspec: {sentinel: {customConfig: \
        [down-after-milliseconds 1]}}\n";
    let values = "architecture: replication\nsentinel: {enabled: true, quorum: 2}\nreplica: {replicaCount: 3}\n";
    let texts = [
        ("start.sh", script),
        ("Dockerfile", docker),
        ("compose.yml", compose),
        ("s.conf", sentinel),
        ("haproxy.cfg", proxy),
        ("pods.yaml", pods),
        ("values.yaml", values),
        (".env", "P=1\nQ=\"2\n"),
    ];
    texts.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec()
}

fn never_panics(texts: &[(String, String)]) {
    let files = Files::of(texts.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    for (_, toml) in import(&files, "cut-off") {
        assert!(!toml.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn bent_files_never_panic(cuts in prop::collection::vec((0usize..8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..6), 1..12), kept in 1u8..=255) {
        let mut texts = seeds();
        for (file, at, other, how) in cuts {
            let text = &mut texts[file].1;
            let chars: Vec<char> = text.chars().collect();
            if chars.is_empty() {
                continue;
            }
            let (a, b) = (at.index(chars.len()), other.index(chars.len()));
            let (a, b) = (a.min(b), a.max(b));
            let (front, middle, back): (String, String, String) = (chars[..a].iter().collect(), chars[a..b].iter().collect(), chars[b..].iter().collect());
            *text = match how {
                0 => front + &back,
                1 => front,
                2 => format!("{front}{middle}{middle}{back}"),
                3 => format!("{front}\u{fffc}${{{middle}{back}"),
                4 => format!("{front}{}{back}", middle.lines().rev().collect::<Vec<_>>().join("\n")),
                _ => format!("{front}99999999999999999999{back}"),
            };
        }
        let texts: Vec<_> = texts.into_iter().enumerate().filter(|(n, _)| kept & (1 << n) != 0).map(|(_, text)| text).collect();
        never_panics(&texts);
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,400}", path in 0usize..8) {
        let mut texts = seeds();
        texts[path].1 = text.clone();
        never_panics(&texts);
        let name = texts[path].0.clone();
        never_panics(&[(name, text)]);
    }
}
