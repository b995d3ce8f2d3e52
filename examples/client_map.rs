//! Eight scenarios × all client libraries: the figures and the picture of docs/clients.md.
//!
//! `cargo run --release --example client_map docs` writes `docs/clients.svg` and the table between the marks in
//! `docs/clients.md`. All ways of a scenario run side by side on one stack, each with a publisher, a writer and a
//! subscriber. Six scenarios are those in which real libraries were recorded (`reference/scenarios/clients`): there a mark
//! beside a figure says what the real one did. Figures and marks are medians, over seeds and over real runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sim::analysis::score::recordings_in;
use sim::client::Via;
use sim::client::library::{Evidence, LIBRARIES};
use sim::record::{Op, Outcome, Recording, What};
use sim::scenario::Scenario;

const SEEDS: u64 = 9;

/// A scenario: its name in the picture, and its file without clients, or how its files in `reference/scenarios/clients` end.
enum Case {
    Recorded(&'static str, &'static str),
    Own(&'static str, &'static str),
}

const CASES: [Case; 8] = [
    Case::Recorded("crash", "crash"),
    Case::Recorded("hang", "hang"),
    Case::Recorded("cut", "cut"),
    Case::Recorded("split brain", "split-brain"),
    Case::Recorded("HAProxy dies", "haproxy-dies"),
    Case::Recorded("idle cut", "idle"),
    Case::Own(
        "demotion",
        "duration = '45s'\nphase = '10s'\n\
         [[fault]]\nat = '0s'\naction = 'command'\nnode = 'sentinel-1'\nrun = ['SENTINEL', 'FAILOVER', 'mymaster']\n",
    ),
    Case::Own(
        "dead Sentinel",
        "duration = '45s'\nphase = '10s'\n\
         [[fault]]\nat = '0s'\naction = 'power-off'\nnode = 'sentinel-1'\n\
         [[fault]]\nat = '1s'\naction = 'kill-host'\nnode = 'redis-1'\n",
    ),
];

/// The pace of publishers and writers where the file says none.
const EVERY: &str = "250ms";

impl Case {
    const fn name(&self) -> &'static str {
        match self {
            Case::Recorded(name, _) | Case::Own(name, _) => name,
        }
    }

    /// Its file without the clients, and the pace of those in it.
    fn text(&self) -> (String, String) {
        let file = match self {
            Case::Recorded(_, file) => file,
            Case::Own(_, text) => return ((*text).to_owned(), EVERY.to_owned()),
        };
        let whole = read(&format!("reference/scenarios/clients/clients-{file}.toml"));
        let (head, clients) = whole.split_once("[[client]]").expect("it has clients");
        let faults = clients.find("[[fault]]").map_or("", |at| &clients[at..]);
        let pace = clients.lines().find_map(|line| line.strip_prefix("every = ")).expect("they have a pace");
        (format!("{head}{faults}"), pace.trim_matches('"').to_owned())
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

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

/// The scenario with clients of all `ways`, and their pace in seconds.
fn scenario(case: &Case, ways: &[Way]) -> (Arc<Scenario>, f64) {
    let (mut text, every) = case.text();
    for (place, way) in ways.iter().enumerate() {
        for kind in ["publish", "set", "subscribe"] {
            let Way { library, via, .. } = way;
            let pace = if kind == "subscribe" { String::new() } else { format!("every = '{every}'\n") };
            write!(
                text,
                "\n[[client]]\nname = '{kind}-{place}'\nkind = '{kind}'\nhost = 'clients'\nchannel = 'c{place}'\n\
                 library = '{library}'\nvia = '{via}'\n{pace}"
            )
            .expect("a string takes all");
        }
    }
    let scenario = Scenario::parse("clients.toml", &text).unwrap_or_else(|error| panic!("{error:?}"));
    let pace = scenario.clients[0].every.as_secs_f64();
    (Arc::new(scenario), pace)
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

fn medians(runs: &[Vec<Figures>], place: usize) -> Figures {
    std::array::from_fn(|figure| median(runs.iter().map(|run| run[place][figure]).collect()))
}

/// What is known of a way in a scenario: simulated, and of real runs if there are any.
struct Cell {
    simulated: Figures,
    real: Option<Figures>,
}

/// By way and case.
fn figures(ways: &[Way]) -> Vec<Vec<Cell>> {
    let mut all: Vec<Vec<Cell>> = ways.iter().map(|_| Vec::new()).collect();
    for case in &CASES {
        let (scenario, every) = scenario(case, ways);
        let run = |seed| seen(&sim::run(&scenario, seed).result.recording, ways.len(), every);
        let runs: Vec<Vec<Figures>> = (1..=SEEDS).map(run).collect();
        let real = real(case, ways, every);
        for (place, row) in all.iter_mut().enumerate() {
            row.push(Cell { simulated: medians(&runs, place), real: real.get(&place).copied() });
        }
    }
    all
}

/// What the real libraries did, by the place of their way; empty where none was recorded. The files of a case have libraries
/// of their own each.
fn real(case: &Case, ways: &[Way], every: f64) -> BTreeMap<usize, Figures> {
    let Case::Recorded(_, ending) = case else { return BTreeMap::new() };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recordings = recordings_in(&root.join("reference/recordings/clients")).expect("they are in the repository");
    let ending = format!("-{ending}");
    let of_case = recordings.iter().filter(|(name, _)| name.ends_with(&ending));
    of_case.flat_map(|(name, files)| played(name, files, ways, every)).collect()
}

/// What the libraries of one file did.
fn played(name: &str, files: &[PathBuf], ways: &[Way], every: f64) -> Vec<(usize, Figures)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("reference/scenarios/clients/{name}.toml"));
    let played = Scenario::load(&path).unwrap_or_else(|error| panic!("{error:?}"));
    // Three clients a way, the publisher first.
    let via = |via| if via == Via::Sentinels { "sentinels" } else { "proxy" };
    let played: Vec<(&str, &str)> =
        played.clients.iter().step_by(3).map(|client| (client.library.word, via(client.via))).collect();
    let read = |file: &PathBuf| seen(&Recording::read(file).expect("it can be read"), played.len(), every);
    let runs: Vec<Vec<Figures>> = files.iter().map(read).collect();
    let place = |(at, (library, via)): (usize, &(&str, &str))| {
        let way = ways.iter().position(|way| (way.library, way.via) == (*library, *via))?;
        Some((way, medians(&runs, at)))
    };
    played.iter().enumerate().filter_map(place).collect()
}

/// From green over yellow to red.
fn color(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    format!("hsl({:.0} 65% {:.0}%)", 130.0 * (1.0 - share), 82.0 - 14.0 * share)
}

fn svg(ways: &[Way], all: &[Vec<Cell>]) -> String {
    let (left, cell, line, top) = (190.0, 96.0, 19.0, 48.0);
    let panel = top + line * ways.len() as f64 + 12.0;
    let (width, height) = (left + cell * CASES.len() as f64 + 10.0, 2.0 * panel + 40.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    // Nobody can lose more than what one publishes in the longest outage, 45 s.
    let panels = [("outage of a writer, seconds", 45.0, 1), ("acknowledged messages that nobody received", 180.0, 0)];
    for (which, (title, most, digits)) in panels.into_iter().enumerate() {
        let y = panel * which as f64;
        let _ =
            writeln!(out, "<text x=\"{left}\" y=\"{}\" font-size=\"13\" font-weight=\"bold\">{title}</text>", y + 20.0);
        for (place, case) in CASES.iter().enumerate() {
            let middle = left + cell * (place as f64 + 0.5);
            let _ = writeln!(
                out,
                "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                y + top - 6.0,
                case.name()
            );
        }
        for (row, (way, cells)) in ways.iter().zip(all).enumerate() {
            let y = y + top + line * row as f64;
            let weight = if way.measured { "bold" } else { "normal" };
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-weight=\"{weight}\">{} · {}</text>",
                left - 8.0,
                y + 12.5,
                way.library,
                way.via
            );
            for (case, seen) in cells.iter().enumerate() {
                let value = seen.simulated[2 * which];
                let mark = seen.real.map_or(String::new(), |real| format!("real {:.digits$}", real[2 * which]));
                let at = left + cell * case as f64;
                let _ = writeln!(
                    out,
                    "<rect x=\"{at}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{}\"/><text x=\"{}\" y=\"{}\">\
                     {value:.digits$}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"9.5\" fill=\"#333\">{mark}</text>",
                    cell - 2.0,
                    line - 2.0,
                    color((value / most).sqrt()),
                    at + 5.0,
                    y + 12.5,
                    at + cell - 6.0,
                    y + 12.0
                );
            }
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{left}\" y=\"{}\" fill=\"#444\">bold: run on the real stack; others by their source. “real”: median of \
         real runs.</text>\n</svg>",
        height - 14.0
    );
    out
}

fn table(ways: &[Way], all: &[Vec<Cell>]) -> String {
    let mut out = String::from("| library | via |");
    CASES.iter().for_each(|case| out.push_str(&format!(" {} |", case.name())));
    out.push_str("\n| --- | --- |");
    CASES.iter().for_each(|_| out.push_str(" --- |"));
    out.push('\n');
    for (way, row) in ways.iter().zip(all) {
        let _ = write!(out, "| {} | {} |", way.library, way.via);
        for Cell { simulated: [set, receive, lost, writes], .. } in row {
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
