//! What a release changes of a failover and of a full synchronisation: the picture of docs/versions.md.
//!
//! `cargo run --release --example versions_chart docs` writes `docs/versions.svg`. A row is a release of Redis and its
//! Sentinel, or of HAProxy: the bar spans nine tenths of the simulated runs, the stroke is their median, the dots are
//! recordings of the real programs (`reference/recordings/versions`, and `demo-own` for Redis 7.0 with HAProxy 2.6).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sim::record::{Event, Op, Outcome, Recording, RedisEvent, SentinelEvent, What};
use sim::scenario::Scenario;

const SEEDS: u64 = 200;

/// A row: the folder of its recordings, its name, and the keys that choose it.
struct Row(&'static str, &'static str, &'static str);

const ROWS: [Row; 11] = [
    Row("redis-6.0.16", "Redis 6.0", "redis.release = '6.0'\nsentinel.release = '6.0'\n"),
    Row("redis-6.2.14", "Redis 6.2", "redis.release = '6.2'\nsentinel.release = '6.2'\n"),
    Row("", "Redis 7.0, HAProxy 2.6", ""),
    Row("redis-7.2", "Redis 7.2", "redis.release = '7.2'\nsentinel.release = '7.2'\n"),
    Row("redis-7.4.1", "Redis 7.4", "redis.release = '7.4'\nsentinel.release = '7.4'\n"),
    Row("redis-8.0.2", "Redis 8.0", "redis.release = '8.0'\nsentinel.release = '8.0'\n"),
    Row("redis-8.2.3", "Redis 8.2", "redis.release = '8.2'\nsentinel.release = '8.2'\n"),
    Row("valkey-8.1.8", "Valkey 8.1", "redis.release = 'valkey-8.1'\nsentinel.release = 'valkey-8.1'\n"),
    Row("haproxy-2.2.9", "HAProxy 2.2", "haproxy.release = '2.2'\n"),
    Row("haproxy-2.8.25", "HAProxy 2.8", "haproxy.release = '2.8'\n"),
    Row("haproxy-3.0.11", "HAProxy 3.0", "haproxy.release = '3.0'\n"),
];

/// A panel: its title, the scenario, what is read from a run in seconds, and the width of its axis.
struct Panel(&'static str, &'static str, fn(&Recording) -> Option<f64>, f64);

const PANELS: [Panel; 3] = [
    Panel("crash: first +switch-master", "master-kill-container", switched, 8.0),
    Panel("crash: the writer's outage", "master-kill-container", outage, 8.0),
    Panel("return: told to follow, until in sync", "master-recovery", synchronised, 8.0),
];

fn events(recording: &Recording) -> impl Iterator<Item = (&str, f64, &Event)> {
    recording.records.iter().filter_map(|record| match &record.what {
        What::Event(event) => {
            Some((recording.names.node(record.node), recording.seconds(record.time), event)).filter(|it| it.1 >= 0.0)
        }
        _ => None,
    })
}

fn switched(recording: &Recording) -> Option<f64> {
    let mut times = events(recording)
        .filter(|(_, _, event)| matches!(event, Event::Sentinel(SentinelEvent::SwitchMaster(..))))
        .map(|(_, at, _)| at);
    times.next()
}

fn outage(recording: &Recording) -> Option<f64> {
    let served = recording.records.iter().filter_map(|record| match record.what {
        What::Op(Op::Set { outcome: Outcome::Ok, took, .. }) => {
            Some(recording.seconds(record.time) + took.as_secs_f64())
        }
        _ => None,
    });
    let mut times: Vec<f64> = served.filter(|at| *at > -1.0).collect();
    times.sort_by(f64::total_cmp);
    times.windows(2).map(|pair| pair[1] - pair[0]).max_by(f64::total_cmp)
}

/// The old master comes back, is told to follow the new one, and loads its data.
fn synchronised(recording: &Recording) -> Option<f64> {
    let of_redis_1 = |wanted: fn(&RedisEvent) -> bool| {
        events(recording)
            .filter(|(node, _, event)| *node == "redis-1" && matches!(event, Event::Redis(event) if wanted(event)))
            .map(|(_, at, _)| at)
            .last()
    };
    let told = of_redis_1(|event| matches!(event, RedisEvent::ReplicaOf(..)))?;
    let done = of_redis_1(|event| matches!(event, RedisEvent::FinishedWithSuccess))?;
    (done > told).then_some(done - told)
}

fn simulated(Row(_, _, keys): &Row, Panel(_, name, read, _): &Panel) -> Vec<f64> {
    let text = std::fs::read_to_string(format!("scenarios/{name}.toml")).expect("a scenario of the repository");
    let text = format!("{keys}{text}");
    let scenario = Arc::new(Scenario::parse(name, &text).unwrap_or_else(|error| panic!("{error:?}")));
    let mut seen: Vec<f64> = (1..=SEEDS).filter_map(|seed| read(&sim::run(&scenario, seed).result.recording)).collect();
    seen.sort_by(f64::total_cmp);
    seen
}

/// The files of a scenario below a folder, `NAME.NN.jsonl.gz` or `NAME/NN.jsonl.gz`.
fn recordings(folder: &Path, name: &str) -> Vec<PathBuf> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| path.is_file()).collect()
    };
    let flat = inside(folder)
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().split('.').next() == Some(name)));
    let mut found: Vec<PathBuf> = flat.chain(inside(&folder.join(name))).collect();
    found.sort();
    found
}

fn real(Row(folder, ..): &Row, Panel(_, name, read, _): &Panel) -> Vec<f64> {
    let folder = match *folder {
        "" => PathBuf::from("reference/recordings/demo-own"),
        version => Path::new("reference/recordings/versions").join(version),
    };
    let files = recordings(&folder, name);
    files.iter().filter_map(|file| read(&Recording::read(file).expect("a recording of the repository"))).collect()
}

const LEFT: f64 = 170.0;
const WIDE: f64 = 300.0;
const GAP: f64 = 40.0;
const LINE: f64 = 26.0;
const TOP: f64 = 62.0;

fn svg() -> String {
    let (width, bottom) = (LEFT + PANELS.len() as f64 * (WIDE + GAP), TOP + LINE * ROWS.len() as f64);
    let height = bottom + 58.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (row, Row(_, name, _)) in ROWS.iter().enumerate() {
        let y = TOP + LINE * (row as f64 + 0.5);
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>", LEFT - 10.0, y + 4.0);
    }
    for (place, panel) in PANELS.iter().enumerate() {
        let Panel(title, _, _, most) = panel;
        let left = LEFT + place as f64 * (WIDE + GAP);
        let x = |seconds: f64| left + seconds.min(*most) / most * WIDE;
        let _ = writeln!(out, "<text x=\"{left}\" y=\"24\" font-size=\"13\" font-weight=\"bold\">{title}</text>");
        for second in (0..=*most as u32).step_by(2) {
            let at = x(f64::from(second));
            let _ = writeln!(
                out,
                "<path d=\"M{at} {TOP}V{bottom}\" stroke=\"#ddd\"/><text x=\"{at}\" y=\"{}\" text-anchor=\"middle\" \
                 fill=\"#555\" font-size=\"11\">{second} s</text>",
                TOP - 8.0
            );
        }
        for (row, of) in ROWS.iter().enumerate() {
            let y = TOP + LINE * (row as f64 + 0.5);
            let seen = simulated(of, panel);
            if let [_, .., _] = seen[..] {
                let at = |share: f64| x(seen[((seen.len() - 1) as f64 * share).round() as usize]);
                let (low, middle, high) = (at(0.05), at(0.5), at(0.95));
                let _ = writeln!(
                    out,
                    "<rect x=\"{low:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" rx=\"3\" fill=\"#9ecae1\"/>\
                     <path d=\"M{middle:.1} {:.1}v14\" stroke=\"#08519c\" stroke-width=\"2\"/>",
                    y - 7.0,
                    (high - low).max(2.0),
                    y - 7.0
                );
            }
            for at in real(of, panel) {
                let _ = writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#d94801\" fill-opacity=\"0.7\"/>",
                    x(at)
                );
            }
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#444\">Blue: nine tenths of {SEEDS} simulated runs, and their median. Orange: \
         recordings of the real programs; a row without any was not recorded.</text>\n\
         <text x=\"{LEFT}\" y=\"{}\" fill=\"#444\">Other settings are the demo's (down-after 5 s); what lies beyond the axis \
         stands at its end.</text>\n</svg>",
        bottom + 26.0,
        bottom + 44.0
    );
    out
}

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("which folder has versions.md?");
        std::process::exit(2);
    };
    std::fs::write(folder.join("versions.svg"), svg())
}
