use std::path::Path;

use proptest::prelude::*;

use super::lint::{Severity, findings};
use super::output::{Wishes, scenario};
use super::situation::SITUATIONS;
use super::{Files, Options, read, sarif};
use crate::scenario::Scenario;

mod corpus;

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
        "published-but-not-announced",
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

/// What the kinds of stacks are built of that people render, include and build; and what was once overlooked in silence.
#[test]
fn settings_that_scripts_make_are_read_whole() {
    let sentinels = "services:\n  a:\n    image: redis:7.2\n    command: redis-server\n  b:\n    extends: {file: base.yml, service: replica}\n  s:\n    image: \
        redis:7.2\n    hostname: \"s-{{.Task.Slot}}\"\n    entrypoint: /bin/sh -c\n    command:\n      - |\n        { echo sentinel resolve-hostnames yes; echo sentinel monitor shop a 6379 2; \
        } > /s.conf\n        sed -i '1s/^/sentinel down-after-milliseconds shop 1234\\n/' /s.conf\n        exec redis-sentinel /s.conf\n    deploy: {replicas: 3}\n";
    let base = "services:\n  replica:\n    image: redis:7.2\n    command: redis-server --replicaof a 6379\n";
    let (_, toml) = import(&Files::of([("compose.yml", sentinels), ("base.yml", base)]), "none").remove(0);
    for line in
        ["redis = 2 ", "sentinels = 3 ", "quorum = 2 ", "down-after-milliseconds = 1234 ", "master-name = \"shop\" "]
    {
        assert!(toml.lines().any(|own| own.starts_with(line)), "{line}: {toml}");
    }
    // Without the file there is no quorum, and none is made up.
    let files = Files::of([
        ("compose.yml", sentinels.replace("echo sentinel monitor shop a 6379 2", "true").as_str()),
        ("base.yml", base),
    ]);
    let set = read(&files, &Options::default());
    assert!(
        set.stacks[0].refused.iter().any(|(_, what, _)| what.contains("sentinel monitor")),
        "{:?}",
        set.stacks[0].refused
    );
    // A line that only the start knows stands among what is left out.
    let files = Files::of([("compose.yml", sentinels.replace("{ echo", "{ ask; echo").as_str()), ("base.yml", base)]);
    let (_, toml) = import(&files, "none").remove(0);
    assert!(toml.contains("is known at the start alone"), "{toml}");
}

const COMMANDS: &str = r#"services:
  cache-a:
    image: redis:7.0.15
    command:
      - redis-server
      - --appendonly
      - ${AOF}
      - --hz
      - "20"
  cache-b:
    image: redis:7.0.15
    command: >
      redis-server
      --replicaof cache-a 6379
      --repl-timeout ${WAIT}
      --min-replicas-max-lag ${LAG:-7}
      --hz 30
  cache-c:
    image: redis:7.0.15
    command: |
      sh -c 'exec redis-server --replicaof cache-a 6379 \
        --appendonly no \
        --hz ${HZ}'
  watch:
    image: redis:7.0.15
    entrypoint: ["sh", "-c"]
    command:
      - |
        cat > /s.conf <<EOF
        sentinel resolve-hostnames yes
        sentinel monitor shop cache-a 6379 ${QUORUM}
        sentinel down-after-milliseconds shop ${DOWN}
        sentinel failover-timeout shop 40000
        EOF
        echo "sentinel parallel-syncs shop ${SYNCS:-2}" >> /s.conf
        exec redis-sentinel /s.conf
    deploy: {replicas: 3}
"#;

/// Values on the command line of a container: in a list, in a text, in several lines, in a script in the file, with variables.
#[test]
fn each_value_of_a_command_says_its_line() {
    let env = "AOF=yes\nQUORUM=2\nDOWN=4000\nHZ=40\nWAIT=50\n";
    let toml = import(&Files::of([("compose.yml", COMMANDS), (".env", env)]), "none").remove(0).1;
    for (node, value, origin) in [
        ("[sentinel]", "quorum = 2", ".env:2 through compose.yml:31 (QUORUM)"),
        ("[sentinel]", "down-after-milliseconds = 4000", ".env:3 through compose.yml:32 (DOWN)"),
        ("[sentinel]", "failover-timeout = 40000", "compose.yml:33"),
        ("[sentinel]", "parallel-syncs = 2", "compose.yml:35"),
        ("[sentinel]", "master-name = \"shop\"", "compose.yml:31"),
        ("[redis.redis-1]", "appendonly = true", ".env:1 through compose.yml:7 (AOF)"),
        ("[redis.redis-1]", "hz = 20", "compose.yml:9"),
        ("[redis.redis-2]", "repl-timeout = 50", ".env:5 through compose.yml:15 (WAIT)"),
        ("[redis.redis-2]", "min-replicas-max-lag = 7", "compose.yml:16"),
        ("[redis.redis-2]", "hz = 30", "compose.yml:17"),
        ("[redis.redis-3]", "appendonly = false", "compose.yml:22"),
        ("[redis.redis-3]", "hz = 40", ".env:4 through compose.yml:23 (HZ)"),
    ] {
        let part = |head: &str| toml.split(head).nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
        let (own, common) = (part(&format!("{node}\n")), part("[redis]\n"));
        let line = own.lines().chain(common.lines()).find(|line| line.starts_with(value));
        let line = line.unwrap_or_else(|| panic!("{node} has no {value}:\n{toml}"));
        assert_eq!(line.split(" # ").nth(1), Some(origin), "{node} {value}:\n{toml}");
    }
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
