//! How time and memory grow with the size of a stack, its load and its virtual time.
//!
//! `cargo bench --bench growth` makes the two smallest points of each axis. `cargo bench --bench growth -- --draw docs/growth`
//! makes all of them and draws one chart an axis; the slope in its title is the exponent of a power law through the points
//! (log-log least squares). Each point is a process of its own, so that its peak memory is its own.

use std::process::Command;
use std::sync::Arc;

use plotters::coord::Shift;
use plotters::prelude::*;
use sim::client::{Config, Kind};
use sim::kernel::Span;
use sim::scenario::Scenario;
use sim::world::{Keep, World};

struct Axis {
    name: &'static str,
    title: &'static str,
    points: &'static [u64],
    scenario: fn(u64) -> Scenario,
}

const AXES: [Axis; 5] = [
    Axis { name: "redis", title: "Redis nodes", points: &[3, 10, 30, 100, 300, 1_000], scenario: redis },
    Axis { name: "sentinels", title: "Sentinels", points: &[3, 7, 15, 31, 61, 101], scenario: sentinels },
    Axis {
        name: "subscribers",
        title: "subscribers",
        points: &[1, 10, 100, 1_000, 10_000, 100_000],
        scenario: subscribers,
    },
    Axis {
        name: "messages",
        title: "messages a second",
        points: &[10, 100, 1_000, 10_000, 100_000],
        scenario: messages,
    },
    Axis {
        name: "time",
        title: "minutes of virtual time",
        points: &[1, 10, 100, 1_440, 10_080, 43_200],
        scenario: minutes,
    },
];

const KILL: &str = "duration = '30s'\n[[fault]]\nat = '5s'\naction = 'kill'\nnode = '@master'\n";

fn parse(text: &str) -> Scenario {
    Scenario::parse("growth.toml", text).expect("a right file")
}

/// A failover among so many replicas.
fn redis(count: u64) -> Scenario {
    parse(&format!("{KILL}[stack]\nredis = {count}\n"))
}

/// A failover among so many Sentinels.
fn sentinels(count: u64) -> Scenario {
    parse(&format!("{KILL}[stack]\nsentinels = {count}\n[sentinel]\nquorum = {}\n", count / 2 + 1))
}

/// One message a second to so many subscribers, in four programs.
fn subscribers(count: u64) -> Scenario {
    let mut scenario =
        parse("duration = '40s'\n[redis]\nmaxclients = 200000\ntcp-backlog = 4096\n[haproxy]\nmaxconn = 200000\n");
    let client = |name: String, kind| Config { host: name.clone(), name, kind, ..Config::default() };
    let publisher = Config { every: Span::from_secs(1), ..client("publisher".into(), Kind::Publish) };
    let programs = count.min(4);
    let crowd = |n| Config { connections: (count / programs) as u32, ..client(format!("crowd-{n}"), Kind::Subscribe) };
    scenario.clients = std::iter::once(publisher).chain((0..programs).map(crowd)).collect();
    scenario
}

/// So many PUBLISH a second, by programs that make a hundred each.
fn messages(count: u64) -> Scenario {
    let mut scenario = parse("duration = '10s'\n[redis]\nmaxclients = 20000\n[haproxy]\nmaxconn = 20000\n");
    let programs = count.div_ceil(100);
    let publisher = |n| Config {
        name: format!("publisher-{n}"),
        host: "clients".into(),
        every: Span(1_000_000_000 * programs / count),
        ..Config::default()
    };
    let subscriber =
        Config { name: "subscriber".into(), host: "clients".into(), kind: Kind::Subscribe, ..Config::default() };
    scenario.clients = std::iter::once(subscriber).chain((0..programs).map(publisher)).collect();
    scenario
}

/// The demo's control plane, undisturbed.
fn minutes(count: u64) -> Scenario {
    let mut scenario = parse("");
    scenario.clients.clear();
    scenario.duration = Span::from_secs(60 * count);
    scenario
}

/// What one run took.
#[derive(Clone, Copy)]
struct Point {
    size: f64,
    events: f64,
    seconds: f64,
    peak_mb: f64,
}

/// Time that this process has had on a processor: others may be busy meanwhile.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos: Option<f64> = text.split_whitespace().next().and_then(|word| word.parse().ok());
    nanos.unwrap_or(f64::NAN) / 1e9
}

/// So long is measured at least: the kernel counts a process's time in ticks of milliseconds.
const LONG_S: f64 = 0.4;

/// Runs one point, again and again if it is short, and prints it.
fn point(axis: &Axis, size: u64) {
    let scenario = Arc::new((axis.scenario)(size));
    let (start, mut runs) = (cpu_seconds(), 0.0);
    let (events, seconds) = loop {
        let mut world = World::new(scenario.clone(), 1, Keep::default());
        world.run();
        runs += 1.0;
        let seconds = cpu_seconds() - start;
        if seconds >= LONG_S {
            break (world.events(), seconds / runs);
        }
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    println!("{events} {seconds} {}", peak.unwrap_or(f64::NAN) / 1_024.0);
}

fn measured(axis: &Axis, size: u64) -> Point {
    let me = std::env::current_exe().expect("this program has a path");
    let output = Command::new(me).args(["--point", axis.name, &size.to_string()]).output().expect("it starts again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    let [events, seconds, peak_mb] = figures[..] else { panic!("three figures, not {text:?}") };
    println!(
        "{:>12} {size:>7}  {events:>12} events  {seconds:>9.3} s  {:>6.2} M events/s  {peak_mb:>7.1} MB",
        axis.name,
        events / seconds / 1e6
    );
    Point { size: size as f64, events, seconds, peak_mb }
}

/// The exponent of a power law through the points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (mx, my) = (logs.iter().map(|p| p.0).sum::<f64>() / count, logs.iter().map(|p| p.1).sum::<f64>() / count);
    let above: f64 = logs.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    above / logs.iter().map(|(x, _)| (x - mx) * (x - mx)).sum::<f64>()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--point", name, size] => {
            let axis = AXES.iter().find(|axis| axis.name == name).expect("an axis");
            point(axis, size.parse().expect("a number"));
        }
        ["--draw", folder, ref wanted @ ..] => {
            for axis in AXES.iter().filter(|axis| wanted.is_empty() || wanted.contains(&axis.name)) {
                let points: Vec<Point> = axis.points.iter().map(|&size| measured(axis, size)).collect();
                draw(folder, axis, &points).expect("the chart can be written");
            }
        }
        _ => {
            for (axis, size) in AXES.iter().flat_map(|axis| axis.points[..2].iter().map(move |&size| (axis, size))) {
                measured(axis, size);
            }
        }
    }
}

const TEXT: RGBColor = RGBColor(110, 118, 129);
const INK: RGBColor = RGBColor(9, 105, 218);

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(folder: &str, axis: &Axis, points: &[Point]) -> Drawn {
    std::fs::create_dir_all(folder)?;
    plotters::style::register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the font is none")?;
    let path = format!("{folder}/{}.svg", axis.name);
    let root = SVGBackend::new(&path, (860, 300)).into_drawing_area();
    let (left, right) = root.split_horizontally(430);
    let time = slope(&points.iter().map(|point| (point.events, point.seconds)).collect::<Vec<_>>());
    let rate: Vec<(f64, f64)> = points.iter().map(|point| (point.size, point.events / point.seconds / 1e6)).collect();
    panel(&left, &format!("M events/s (time ~ events^{time:.2})"), axis.title, &rate)?;
    let memory: Vec<(f64, f64)> = points.iter().map(|point| (point.size, point.peak_mb)).collect();
    // The slope where it is steepest: small runs take what any process takes.
    let tail = &memory[memory.len() - 3..];
    panel(&right, &format!("peak memory, MB (last three: ~ x^{:.2})", slope(tail)), axis.title, &memory)?;
    root.present()?;
    println!("{path}: time ~ events^{time:.2}, memory ~ x^{:.2}", slope(tail));
    Ok(())
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, below: &str, points: &[(f64, f64)]) -> Drawn {
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let (least, most) = points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p.1), high.max(p.1)));
    let font = ("sans-serif", 13).into_font().color(&TEXT);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15).into_font().color(&TEXT))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(52)
        .build_cartesian_2d((first * 0.8..last * 1.25).log_scale(), (least * 0.5..most * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(TEXT.mix(0.25))
        .axis_style(TEXT)
        .x_desc(below)
        .x_labels(6)
        .y_labels(5)
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{y}"))
        .label_style(font.clone())
        .axis_desc_style(font)
        .draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), INK.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, INK.filled())))?;
    Ok(())
}
