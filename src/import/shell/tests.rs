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
    assert_eq!(run(script, &[], "", "/x").0.orders.len(), 2);
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
    ] {
        run(script, &[], "x\n", "/x");
    }
    assert!(glob(b"a*b*c", b"aXbYc") && !glob(b"a*c", b"ab") && glob(b"*", b"") && !glob(b"?", b""));
}
