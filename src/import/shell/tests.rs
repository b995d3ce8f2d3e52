use super::*;
use crate::import::container::{Container, Mount, Source};
use crate::import::origin::lines_of;
use crate::import::source::Files;

/// Runs `script` in a container with `/data` in a volume and the folder `etc` of the set at `/etc/redis`.
fn run(script: &str, env: &[(&str, &str)], etc: &str, look: &str) -> (Outcome, Option<Vec<String>>, bool) {
    let files = Files::of([("etc/a.conf", etc)]);
    let place = Place::new(&"compose.yml".into(), 1);
    let mut container = Container::new("x", place.clone());
    let mount = |target: &str, source| Mount {
        target: target.into(),
        source,
        read_only: false,
        place: place.clone(),
        volume: None,
    };
    container.mounts =
        vec![mount("/etc/redis", Source::Bind(Some("etc".into()))), mount("/data", Source::Volume("v".into()))];
    let mut vfs = Vfs::new(&files, &container);
    let env =
        env.iter().map(|(name, value)| ((*name).to_owned(), Text::new(*value, Origin::at(place.clone())))).collect();
    let mut shell = Shell::new(&mut vfs, env, "redis-1");
    shell.script(&lines_of(&"start.sh".into(), script), &[]);
    let outcome = shell.outcome;
    let config = vfs.config(look, &place);
    (outcome, config.lines.map(|lines| lines.into_iter().map(|line| line.text).collect()), config.regenerated)
}

#[test]
fn a_file_is_written_with_echo_and_documents() {
    let script = "echo 'port 1' > /tmp/s.conf && echo \"sentinel monitor m ${HOST:-h} 6379 $Q\" >> /tmp/s.conf\ncat >> /tmp/s.conf <<EOF\nx \
        $Q\nEOF\nexec redis-sentinel /tmp/s.conf\n";
    let (outcome, lines, regenerated) = run(script, &[("Q", "2")], "", "/tmp/s.conf");
    assert_eq!(lines.expect("known"), ["port 1", "sentinel monitor m h 6379 2", "x 2"]);
    assert!(regenerated && outcome.start.expect("started").program == "redis-sentinel");
    assert!(outcome.used.contains("HOST") && outcome.used.contains("Q"));
}

#[test]
fn sed_counts_what_it_hits() {
    let etc = "sentinel monitor m $HOST 6379 $Q\ndown $HOST_IP\n";
    let script = "sed -i \"s/\\$HOST/$HOST/g; s/\\$Q/$Q/\" /etc/redis/a.conf\nsed -i \"s/$NO/$NO/g\" /etc/redis/a.conf\nsed -i 's/{Q}/1/' \
        /etc/redis/a.conf\n";
    let (outcome, lines, _) = run(script, &[("HOST", "h"), ("Q", "2")], etc, "/etc/redis/a.conf");
    assert_eq!(lines.expect("known"), ["sentinel monitor m h 6379 2", "down h_IP"]);
    let all: Vec<_> = outcome.substitutions.iter().map(|one| (one.hits, one.partial, one.empty)).collect();
    assert_eq!(all, [(2, 1, false), (1, 0, false), (0, 0, true), (0, 0, false)]);
}

#[test]
fn what_is_made_only_once_is_kept() {
    for (script, regenerated) in [
        ("cp /etc/redis/a.conf /data/a.conf\n", true),
        ("cp -n /etc/redis/a.conf /data/a.conf\n", false),
        ("if [ ! -f /data/a.conf ]; then cp /etc/redis/a.conf /data/a.conf; fi\n", false),
        ("[ -f /data/a.conf ] || cp /etc/redis/a.conf /data/a.conf\n", false),
        ("envsubst < /etc/redis/a.conf > /data/a.conf\n", true),
    ] {
        let (_, lines, made) = run(script, &[("P", "7")], "port $P\n", "/data/a.conf");
        assert_eq!((lines.map(|lines| lines.len()), made), (Some(1), regenerated), "{script}");
    }
}

#[test]
fn conditions_follow_what_is_known() {
    let script = "if [ \"$(hostname)\" = \"redis-0\" ]; then redis-server /a; elif [ \"${ROLE}\" == r ]; then redis-server /b; fi\n";
    assert_eq!(run(script, &[("ROLE", "r")], "", "/x").0.start.expect("started").arguments[0].text, "/b");
    let script = "case \"$ROLE\" in m*) exec redis-server /a;; *) exec redis-server /b --replicaof x 1;; esac\n";
    assert_eq!(run(script, &[("ROLE", "master")], "", "/x").0.start.expect("started").arguments.len(), 1);
    let script = "trap 'redis-cli shutdown' TERM\nN=${HOSTNAME##*-}\nif [ $N -eq 1 ]; then exec redis-server /n; fi\n";
    let outcome = run(script, &[], "", "/x").0;
    assert!(outcome.trap.is_some() && outcome.start.is_some());
    let script = "for i in 1 2; do redis-cli -h $i SLAVEOF a 1; done\nredis-cli sentinel monitor m a 1 2\n";
    // Twice in the loop, once behind it.
    assert_eq!(run(script, &[], "", "/x").0.orders.len(), 3);
}

#[test]
fn what_several_commands_print_goes_where_they_lead() {
    for (script, wanted) in [
        ("{ echo a; echo b $((7 + N)); } > /tmp/f", vec!["a", "b 9"]),
        ("echo a > /tmp/f\n( echo b; echo c ) >> /tmp/f", vec!["a", "b", "c"]),
        ("if true; then echo a; fi > /tmp/f", vec!["a"]),
        ("for i in 1 2; do echo \"x $i\"; done > /tmp/f", vec!["x 1", "x 2"]),
        ("for i in $(seq 0 2); do echo $i >> /tmp/f; done", vec!["0", "1", "2"]),
        ("f() { echo \"$1.example\"; }\necho \"h $(f a)\" > /tmp/f", vec!["h a.example"]),
        ("echo one > /tmp/g\necho \"$(cat /tmp/g) `cat /tmp/g`\" > /tmp/f", vec!["one one"]),
        ("A=(--port 1)\nA+=(\"--x y\")\necho \"${A[@]}\" > /tmp/f", vec!["--port 1 --x y"]),
        ("V=a,b\nfor i in ${V//,/ }; do echo $i; done > /tmp/f", vec!["a", "b"]),
        ("V=redis-0.x.y\necho ${V%%.*} ${V#*.} ${V^^} > /tmp/f", vec!["redis-0 x.y REDIS-0.X.Y"]),
        ("echo $(hostname -s) $(cat /etc/hostname) > /tmp/f", vec!["redis-1 redis-1"]),
        ("echo 'a b c' | awk '{print $2}' > /tmp/f", vec!["b"]),
    ] {
        let (_, lines, _) = run(script, &[("N", "2")], "", "/tmp/f");
        assert_eq!(lines.expect("known"), wanted, "{script}");
    }
    let script =
        "IP=$(getent hosts a)\nif [ -z \"$IP\" ]; then exit 1; elif [ \"$M\" ]; then echo m; else echo n; fi > /tmp/f";
    assert_eq!(run(script, &[], "", "/tmp/f").1.expect("known"), ["n"]);
    // What a command prints that nobody knows is a line that nobody knows, and not an absent one.
    let (_, lines, _) = run("{ echo a; ask; } > /tmp/f", &[], "", "/tmp/f");
    assert_eq!(lines.expect("half known"), ["a".to_owned(), UNKNOWN.to_string()]);
    let (_, lines, _) = run("while read l; do M=$l; done < /x\necho \"m $M\" > /tmp/f", &[], "", "/tmp/f");
    assert_eq!(lines.expect("half known"), [format!("m {UNKNOWN}")]);
}

#[test]
fn sed_has_addresses_and_puts_lines_in() {
    let etc = "one\ntwo\nthree\n";
    for (script, wanted) in [
        ("1s/^/zero\\n/", vec!["zero", "one", "two", "three"]),
        ("$a four", vec!["one", "two", "three", "four"]),
        ("/^t/d", vec!["one"]),
        ("2i half", vec!["one", "half", "two", "three"]),
        ("/two/c 2", vec!["one", "2", "three"]),
        ("s/$/!/;3d", vec!["one!", "two!"]),
    ] {
        let (_, lines, _) = run(&format!("sed -i '{script}' /etc/redis/a.conf"), &[], etc, "/etc/redis/a.conf");
        assert_eq!(lines.expect("known"), wanted, "{script}");
    }
    let (_, lines, _) = run("sed -E 's/t+w/x/' /etc/redis/a.conf > /tmp/f", &[], etc, "/tmp/f");
    assert_eq!(lines.expect("known"), ["one", "xo", "three"]);
    let (outcome, ..) = run("sed -i -E 's/(o|t)/x/' /etc/redis/a.conf", &[], etc, "/etc/redis/a.conf");
    assert_eq!(outcome.skipped.len(), 1, "alternatives are beyond it, and that is said");
}

#[test]
fn nonsense_ends() {
    for script in [
        "f() { f; }\nf\n",
        ". start.sh\n",
        "sh -c \"sh -c 'sh -c x'\"\n",
        "sed -i s /a\nsed 's/[/x/' /a\nprintf\ncp\n",
        "a=${a:-${a:-${a}}}\n$a",
        "[ ! ! ! ]\n[ -a ]\n[ a -a ]",
        "a=$(a=$(a=$(a)))\n$($($($(",
        "for i in $i $i; do for j in $i; do f=($f $i); done; done\n${f[9]} ${f[@]",
        "sed '1,2d;/a/,/b/s/x/y/' /a\nsed '$' /a\nsed '9999999999999999999999d' /a",
        "A=(\nB=(a \"b\n$((((((1",
        "f() { echo $(f); }\nf",
    ] {
        run(script, &[], "x\n", "/x");
    }
    assert!(glob(b"a*b*c", b"aXbYc") && !glob(b"a*c", b"ab") && glob(b"*", b"") && !glob(b"?", b""));
}
