//! Six scenarios × all client libraries: the figures and the picture of docs/clients.md.
//!
//! `cargo run --release --example client_map docs` writes `docs/clients.svg` and the table between the marks in
//! `docs/clients.md`. All ways of a scenario run side by side on one stack, each with a publisher, a writer and a
//! subscriber, twenty commands a second, as the real ones did; figures are medians over the seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use sim::client::library::{Evidence, LIBRARIES};
use sim::record::{Op, Outcome, Recording, What};
use sim::scenario::Scenario;

const SEEDS: u64 = 9;

/// A scenario: its name, the head of its file, the pace of its clients, its faults.
struct Case(&'static str, &'static str, f64, &'static str);

const CASES: [Case; 6] = [
    Case(
        "crash",
        "duration = '45s'\nphase = '10s'\n",
        0.05,
        "[[fault]]\nat = '0s'\naction = 'kill-host'\nnode = 'redis-1'\n",
    ),
    Case(
        "hang",
        "duration = '45s'\nphase = '10s'\n",
        0.05,
        "[[fault]]\nat = '0s'\naction = 'pause'\nnode = 'redis-1'\n\
         [[fault]]\nat = '20s'\naction = 'resume'\nnode = 'redis-1'\n",
    ),
    Case(
        "cut",
        "duration = '45s'\nphase = '10s'\n",
        0.05,
        "[[fault]]\nat = '0s'\naction = 'partition'\ngroups = [['redis-1'], ['redis-2', 'redis-3', 'sentinel-1', \
         'sentinel-2', 'sentinel-3', 'haproxy', 'clients']]\n[[fault]]\nat = '25s'\naction = 'heal'\n",
    ),
    Case("idle cut", "duration = '240s'\nphase = '10s'\n", 60.0, ""),
    Case(
        "demotion",
        "duration = '45s'\nphase = '10s'\n",
        0.05,
        "[[fault]]\nat = '0s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'FAILOVER', 'mymaster']\n",
    ),
    Case(
        "dead Sentinel",
        "duration = '45s'\nphase = '10s'\n",
        0.05,
        "[[fault]]\nat = '0s'\naction = 'power-off'\nnode = 'sentinel-1'\n\
         [[fault]]\nat = '1s'\naction = 'kill-host'\nnode = 'redis-1'\n",
    ),
];

/// Outage in seconds and lost messages, in the crash and in the hang.
type Seen = [(f64, u32); 2];

/// What the real libraries did in the crash and the hang: library, way, outage of the writer in seconds, and messages
/// that were acknowledged and never received; medians over eight runs. The crash was watched for 25 s.
const REAL: &[(&str, &str, Seen)] = &[
    ("reference", "proxy", [(6.9, 1), (7.7, 1)]),
    ("redis-py", "proxy", [(10.1, 0), (10.1, 502)]),
    ("redis-py", "sentinels", [(10.1, 0), (10.1, 404)]),
    ("redis-py-5", "proxy", [(20.1, 4), (20.0, 2)]),
    ("redis-py-5", "sentinels", [(25.0, 0), (20.1, 2)]),
    ("go-redis-v9", "proxy", [(10.1, 0), (10.1, 501)]),
    ("go-redis-v9", "sentinels", [(10.3, 297), (7.5, 456)]),
    ("go-redis-v9.7", "proxy", [(6.9, 2), (7.7, 554)]),
    ("go-redis-v9.7", "sentinels", [(25.0, 0), (7.4, 0)]),
    ("node-redis", "proxy", [(20.1, 1), (20.1, 0)]),
    ("redis-rb", "proxy", [(10.1, 203), (10.1, 502)]),
    ("redis-rb", "sentinels", [(10.1, 5), (10.1, 402)]),
    ("phpredis", "proxy", [(20.1, 4), (20.1, 2)]),
    ("phpredis-anew", "proxy", [(20.1, 4), (20.1, 2)]),
    ("redis-rs", "proxy", [(8.4, 239), (20.1, 1)]),
    ("redis-rs", "sentinels", [(25.0, 0), (20.1, 1)]),
    ("redis-rs-blocking", "proxy", [(20.1, 3), (20.1, 1)]),
];

/// A row of the picture: a library by a way.
struct Way {
    library: &'static str,
    via: &'static str,
    measured: bool,
}

fn ways() -> Vec<Way> {
    let of = |row: &&sim::client::Library| {
        let measured = row.evidence != Evidence::Source;
        let way = |via| Way { library: row.word, via, measured };
        let sentinels = (row.asks_sentinels && row.word != "redis-rs-blocking").then(|| way("sentinels"));
        std::iter::once(way("proxy")).chain(sentinels).collect::<Vec<_>>()
    };
    LIBRARIES.iter().flat_map(of).collect()
}

/// What was seen of a way: outage of its writer, silence of its subscriber, lost messages, lost writes.
type Figures = [f64; 4];

fn scenario(case: &Case, ways: &[Way]) -> Arc<Scenario> {
    let Case(_, head, every, faults) = case;
    let mut text = (*head).to_owned();
    for (place, way) in ways.iter().enumerate() {
        for kind in ["publish", "set", "subscribe"] {
            let Way { library, via, .. } = way;
            write!(
                text,
                "[[client]]\nname = '{kind}-{place}'\nkind = '{kind}'\nhost = 'clients'\nchannel = 'c{place}'\n\
                 every = '{}ms'\nlibrary = '{library}'\nvia = '{via}'\n",
                (every * 1e3) as u64
            )
            .expect("a string takes all");
        }
    }
    text.push_str(faults);
    Arc::new(Scenario::parse("clients.toml", &text).unwrap_or_else(|error| panic!("{error:?}")))
}

/// The longest time without an event from time 0 on, longer than `every`.
fn longest(times: &[f64], every: f64, end: f64) -> f64 {
    let mut last = times.iter().copied().rfind(|time| *time < 0.0).unwrap_or(0.0);
    let mut most = 0.0f64;
    for time in times.iter().copied().filter(|time| *time >= 0.0).chain([end]) {
        most = most.max(time - last - every);
        last = time;
    }
    most.max(0.0)
}

fn seen(recording: &Recording, ways: usize, every: f64) -> Vec<Figures> {
    let end = recording.header.end_s;
    let mut ends: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut sent: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let mut gone: BTreeMap<String, f64> = BTreeMap::new();
    for record in &recording.records {
        let What::Op(op) = &record.what else { continue };
        let (name, at) = (recording.names.node(record.node), recording.seconds(record.time));
        let mut ended = |took: f64| ends.entry(name.to_owned()).or_default().push(at + took);
        match *op {
            Op::Publish { seq, outcome: Outcome::Ok, took, .. } => {
                ended(took.as_secs_f64());
                if at >= 0.0 && at < end - every.max(0.1) {
                    sent.entry(name.to_owned()).or_default().insert(seq);
                }
            }
            Op::Set { outcome: Outcome::Ok, took, lost, .. } => {
                ended(took.as_secs_f64());
                *gone.entry(name.to_owned()).or_default() += f64::from(u8::from(lost));
            }
            Op::Receive { seq, .. } => {
                ended(0.0);
                sent.entry(name.to_owned()).or_default().insert(seq);
            }
            _ => {}
        }
    }
    ends.values_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let figures = |place: usize| {
        let outage = |kind: &str| longest(ends.get(&format!("{kind}-{place}")).map_or(&[], Vec::as_slice), every, end);
        let all = |kind: &str| sent.get(&format!("{kind}-{place}")).cloned().unwrap_or_default();
        let lost = all("publish").difference(&all("subscribe")).count() as f64;
        let writes = gone.get(&format!("set-{place}")).copied().unwrap_or(0.0);
        [outage("set"), outage("subscribe"), lost, writes]
    };
    (0..ways).map(figures).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// By way and case.
fn figures(ways: &[Way]) -> Vec<Vec<Figures>> {
    let mut all = vec![Vec::new(); ways.len()];
    for case in &CASES {
        let scenario = scenario(case, ways);
        let runs: Vec<Vec<Figures>> =
            (1..=SEEDS).map(|seed| seen(&sim::run(&scenario, seed).result.recording, ways.len(), case.2)).collect();
        for (place, row) in all.iter_mut().enumerate() {
            row.push(std::array::from_fn(|figure| median(runs.iter().map(|run| run[place][figure]).collect())));
        }
    }
    all
}

fn real(way: &Way, case: usize) -> Option<(f64, u32)> {
    let row = REAL.iter().find(|(library, via, _)| (*library, *via) == (way.library, way.via))?;
    row.2.get(case).copied()
}

/// From green over yellow to red.
fn color(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    format!("hsl({:.0} 65% {:.0}%)", 130.0 * (1.0 - share), 82.0 - 14.0 * share)
}

fn svg(ways: &[Way], all: &[Vec<Figures>]) -> String {
    let (left, cell, line, top) = (190.0, 92.0, 19.0, 64.0);
    let panel = cell * CASES.len() as f64;
    let (width, height) = (left + 2.0 * panel + 40.0, top + line * ways.len() as f64 + 34.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let titles = ["outage of a writer, seconds", "acknowledged messages that nobody received"];
    for (which, title) in titles.into_iter().enumerate() {
        let x = left + which as f64 * (panel + 20.0);
        let _ = writeln!(out, "<text x=\"{x}\" y=\"20\" font-size=\"13\" font-weight=\"bold\">{title}</text>");
        for (place, Case(name, ..)) in CASES.iter().enumerate() {
            let middle = x + cell * (place as f64 + 0.5);
            let _ = writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", top - 8.0);
        }
        for (row, (way, figures)) in ways.iter().zip(all).enumerate() {
            let y = top + line * row as f64;
            for (case, seen) in figures.iter().enumerate() {
                let value = seen[2 * which];
                let share = if which == 0 { (value / 45.0).sqrt() } else { (value / 700.0).sqrt() };
                let text = if which == 0 { format!("{value:.1}") } else { format!("{value:.0}") };
                let mark = match (real(way, case), which) {
                    (Some((outage, _)), 0) => format!("real {outage:.1}"),
                    (Some((_, lost)), _) => format!("real {lost}"),
                    (None, _) => String::new(),
                };
                let at = x + cell * case as f64;
                let _ = writeln!(
                    out,
                    "<rect x=\"{at}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{}\"/><text x=\"{}\" y=\"{}\">{text}\
                     </text><text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"9\" fill=\"#444\">{mark}</text>",
                    cell - 2.0,
                    line - 2.0,
                    color(share),
                    at + 5.0,
                    y + 12.5,
                    at + cell - 6.0,
                    y + 12.0
                );
            }
        }
    }
    for (row, way) in ways.iter().enumerate() {
        let y = top + line * row as f64 + 12.5;
        let weight = if way.measured { "bold" } else { "normal" };
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" font-weight=\"{weight}\">{} · {}</text>",
            left - 8.0,
            way.library,
            way.via
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{left}\" y=\"{}\" fill=\"#444\">bold: run on the real stack; others by their source. “real”: median of \
         eight real runs (the crash was watched for 25 s there, for 45 s here).</text>\n</svg>",
        height - 12.0
    );
    out
}

fn table(ways: &[Way], all: &[Vec<Figures>]) -> String {
    let mut out = String::from("| library | via |");
    CASES.iter().for_each(|Case(name, ..)| out.push_str(&format!(" {name} |")));
    out.push_str("\n| --- | --- |");
    CASES.iter().for_each(|_| out.push_str(" --- |"));
    out.push('\n');
    for (way, row) in ways.iter().zip(all) {
        let _ = write!(out, "| {} | {} |", way.library, way.via);
        for [set, receive, lost, writes] in row {
            let _ = write!(out, " {set:.1} / {receive:.1} / {lost:.0} / {writes:.0} |");
        }
        out.push('\n');
    }
    out
}

const BEGIN: &str = "<!-- figures: examples/client_map.rs -->\n";
const END: &str = "<!-- end of figures -->\n";

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1).map(std::path::PathBuf::from) else {
        eprintln!("which folder has clients.md?");
        std::process::exit(2);
    };
    let ways = ways();
    let all = figures(&ways);
    std::fs::write(folder.join("clients.svg"), svg(&ways, &all))?;
    let page = std::fs::read_to_string(folder.join("clients.md"))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        eprintln!("clients.md has no marks for the figures");
        std::process::exit(2);
    };
    std::fs::write(folder.join("clients.md"), format!("{before}{BEGIN}{}{END}{after}", table(&ways, &all)))
}
