//! The score: how well simulated recordings agree with recordings of the real stack.
//!
//! Every recording yields *cells*: when an event is first and last seen and how often, how many attempts met which
//! outcome, the longest outage. A cell agrees if the two samples are within a tolerance of each other or a
//! Kolmogorov–Smirnov test cannot tell them apart. Cells, tolerances and verdicts are those of the reference's
//! `score.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::keys::{Roles, key, lines};
use super::stats::{kolmogorov_smirnov, median, wasserstein};
use crate::record::{Activity, ConnectEnd, Op, Outcome, ReadError, Record, Recording, What};
use crate::wire::NodeId;

/// Least tolerance of a time, in seconds.
const TIME_TOLERANCE: f64 = 0.030;
/// Tolerance of a time as a part of the real median.
const TIME_RELATIVE: f64 = 0.02;
/// Greatest tolerance of a time, in seconds.
const TIME_CAP: f64 = 0.100;
/// Least tolerance of a count.
const COUNT_TOLERANCE: f64 = 0.5;
/// Tolerance of a count as a part of the real mean.
const COUNT_RELATIVE: f64 = 0.05;
/// Kolmogorov–Smirnov: below this the samples differ.
const P_MIN: f64 = 0.01;
/// How much the parts of runs in which a time occurs may differ; below it on both sides a time is too rare to compare.
const PRESENCE: f64 = 0.25;

/// What a recording yields: seconds after time 0, and counts, by name.
pub type Cells = BTreeMap<String, f64>;

/// The cells of a recording.
pub fn cells(recording: &Recording) -> Cells {
    let mut cells = event_cells(recording);
    client_cells(recording, &mut cells);
    cells
}

fn event_cells(recording: &Recording) -> Cells {
    let lines = lines(recording);
    let roles = Roles::of(recording, &lines);
    let mut seen = BTreeSet::new();
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.at >= 0.0) {
        if let Some(key) = key(line, &roles)
            && seen.insert((line.at.to_bits(), line.node.as_str(), key.clone()))
        {
            times.entry(key).or_default().push(line.at);
        }
    }
    let mut cells = Cells::new();
    for (key, times) in times {
        cells.insert(format!("{key} | first"), times.iter().copied().fold(f64::INFINITY, f64::min));
        cells.insert(format!("{key} | count"), times.len() as f64);
        if times.len() > 1 {
            cells.insert(format!("{key} | last"), times.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }
    cells
}

/// The longest of the gaps between 0 and successive times, with its beginning; of equal ones the last.
fn longest_gap(times: &[f64]) -> (f64, f64) {
    let starts = std::iter::once(0.0).chain(times.iter().copied());
    let gaps = starts.zip(times).map(|(from, to)| (to - from, from));
    gaps.fold((f64::NEG_INFINITY, 0.0), |best, gap| if gap >= best { gap } else { best })
}

/// What the clients did: of each library by itself, if the recording has several.
fn client_cells(recording: &Recording, cells: &mut Cells) {
    let mut ways: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
    for client in &recording.header.clients {
        ways.entry(client.library.as_deref()).or_default().insert(&client.name);
    }
    if ways.len() < 2 {
        return cells_of_clients(recording, &|_| true, recording.header.lost_acked_sets, "", cells);
    }
    for (library, names) in ways {
        let is_one = |node: NodeId| names.contains(recording.names.node(node));
        let is_lost =
            |record: &&Record| matches!(record.what, What::Op(Op::Set { lost: true, .. })) && is_one(record.node);
        let lost = recording.header.lost_acked_sets.map(|_| recording.records.iter().filter(is_lost).count() as u64);
        let way = format!("{}: ", library.unwrap_or("reference"));
        cells_of_clients(recording, &is_one, lost, &way, cells);
    }
}

/// The cells of some of the clients, with a word before their names.
fn cells_of_clients(
    recording: &Recording,
    is_one: &dyn Fn(NodeId) -> bool,
    lost: Option<u64>,
    way: &str,
    cells: &mut Cells,
) {
    let mut attempts: BTreeMap<&str, Vec<(f64, u32, Outcome)>> = BTreeMap::from([("publish", vec![]), ("set", vec![])]);
    let mut received: BTreeMap<u32, f64> = BTreeMap::new();
    let mut reconnects = 0;
    let subscribers = subscribers(recording);
    for record in recording.records.iter().filter(|record| is_one(record.node)) {
        let at = recording.seconds(record.time);
        match record.what {
            What::Op(Op::Publish { seq, outcome, .. }) if at >= 0.0 => {
                attempts.entry("publish").or_default().push((at, seq, outcome));
            }
            What::Op(Op::Set { seq, outcome, .. }) if at >= 0.0 => {
                attempts.entry("set").or_default().push((at, seq, outcome));
            }
            What::Op(Op::Receive { seq, .. }) => {
                received.insert(seq, at);
            }
            What::Op(Op::Connect(ConnectEnd::Open)) if at >= 0.0 && subscribers.contains(&record.node) => {
                reconnects += 1
            }
            _ => {}
        }
    }
    for (op, attempts) in &attempts {
        for (_, _, outcome) in attempts {
            *cells.entry(format!("{way}{op} {} | count", outcome.as_str())).or_default() += 1.0;
        }
        let ok = attempts.iter().filter(|(_, _, outcome)| outcome.is_acknowledged());
        let mut ok: Vec<f64> = ok.map(|(at, _, _)| *at).collect();
        ok.sort_by(f64::total_cmp);
        if ok.len() > 1 {
            let (seconds, begins) = longest_gap(&ok);
            cells.insert(format!("{way}{op} longest outage | seconds"), seconds);
            cells.insert(format!("{way}{op} outage begins | seconds"), begins);
        }
    }
    let mut count = |name: &str, value: usize| cells.insert(format!("{way}{name} | count"), value as f64);
    let published = &attempts["publish"];
    let end = recording.header.end_s;
    let ok = |outcome: Outcome| outcome == Outcome::Ok;
    let unheard = published.iter().filter(|(at, seq, o)| ok(*o) && !received.contains_key(seq) && *at < end - 1.0);
    count("publish acknowledged but never received", unheard.count());
    let heard = published.iter().filter(|(_, seq, outcome)| !ok(*outcome) && received.contains_key(seq));
    count("publish failed but received", heard.count());
    count("subscriber reconnects", reconnects);
    if let Some(lost) = lost {
        count("set acknowledged but lost", lost as usize);
    }
    let mut times: Vec<f64> = received.into_values().filter(|at| *at >= 0.0).collect();
    times.sort_by(f64::total_cmp);
    if times.len() > 1 {
        cells.insert(format!("{way}receive longest gap | seconds"), longest_gap(&times).0);
    }
}

/// Who subscribes: the header says so; of a recording whose header does not, who receives, or tells how a connection ended.
fn subscribers(recording: &Recording) -> BTreeSet<NodeId> {
    let clients = &recording.header.clients;
    if !clients.is_empty() {
        let listens = |name: &str| {
            clients.iter().any(|client| client.name == name && client.does.first() == Some(&Activity::Receive))
        };
        let nodes = (0..recording.names.nodes.len()).map(|node| NodeId(node as u16));
        return nodes.filter(|node| listens(recording.names.node(*node))).collect();
    }
    let listens = |record: &&Record| match record.what {
        What::Op(Op::Connect(end)) => end != ConnectEnd::Open,
        What::Op(Op::Receive { .. }) => true,
        _ => false,
    };
    recording.records.iter().filter(listens).map(|record| record.node).collect()
}

/// What one side shows in a cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The part of the runs in which the cell occurs.
    pub present: f64,
    /// Median, where the cell occurs.
    pub median: Option<f64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// All values, for drawing.
    #[serde(skip)]
    pub values: Vec<f64>,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Too few occurrences for a distribution: only how often the cell occurs was compared.
    Presence,
    /// The distributions were compared.
    Samples {
        /// 1-Wasserstein distance.
        distance: f64,
        /// What it may be.
        tolerance: f64,
        /// The Kolmogorov–Smirnov test's p.
        p: f64,
    },
}

/// The verdict on one cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellVerdict {
    /// The cell's name.
    pub cell: String,
    /// Whether the simulation agrees with the real stack.
    pub agrees: bool,
    /// What it rests on.
    pub measure: Measure,
    /// The real runs.
    pub real: Side,
    /// The simulated runs.
    pub sim: Side,
}

fn side(runs: &[Cells], cell: &str, count: bool) -> Side {
    let value = |cells: &Cells| cells.get(cell).copied().or(count.then_some(0.0));
    let values: Vec<f64> = runs.iter().filter_map(value).collect();
    Side {
        present: values.len() as f64 / runs.len() as f64,
        median: median(&values),
        min: values.iter().copied().reduce(f64::min),
        max: values.iter().copied().reduce(f64::max),
        values,
    }
}

/// The verdicts on all cells of one scenario, in order of their names. Cells that are too rare on both sides are left
/// out.
///
/// # Panics
/// If a side has no run.
pub fn compare(real: &[Cells], sim: &[Cells]) -> Vec<CellVerdict> {
    assert!(!real.is_empty() && !sim.is_empty(), "a comparison needs runs on both sides");
    let names: BTreeSet<&String> = real.iter().chain(sim).flat_map(BTreeMap::keys).collect();
    let mut verdicts = Vec::new();
    for cell in names {
        let count = cell.ends_with("| count");
        let (real, sim) = (side(real, cell, count), side(sim, cell, count));
        let apart = (real.present - sim.present).abs();
        let (agrees, measure) = if !count && (real.values.len() < 3 || sim.values.len() < 3) {
            if real.present.max(sim.present) < PRESENCE {
                continue;
            }
            (apart <= PRESENCE, Measure::Presence)
        } else {
            let tolerance = if count {
                let mean = real.values.iter().sum::<f64>() / real.values.len() as f64;
                COUNT_TOLERANCE.max(COUNT_RELATIVE * mean)
            } else {
                let median = real.median.expect("there are at least three values");
                TIME_TOLERANCE.max(TIME_RELATIVE * median.abs()).min(TIME_CAP)
            };
            let distance = wasserstein(&real.values, &sim.values);
            let p = kolmogorov_smirnov(&real.values, &sim.values);
            let close = distance <= tolerance || p >= P_MIN;
            (close && (count || apart <= PRESENCE), Measure::Samples { distance, tolerance, p })
        };
        verdicts.push(CellVerdict { cell: cell.clone(), agrees, measure, real, sim });
    }
    verdicts
}

/// The score of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioScore {
    /// The scenario's name.
    pub scenario: String,
    /// Number of real runs.
    pub real_runs: usize,
    /// Number of simulated runs; with none, the scenario counts as one cell that disagrees.
    pub sim_runs: usize,
    /// The verdicts.
    pub verdicts: Vec<CellVerdict>,
}

/// The score of all scenarios.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// By scenario, in order of their names.
    pub scenarios: Vec<ScenarioScore>,
}

impl ScenarioScore {
    /// Cells that agree.
    pub fn agree(&self) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.agrees).count()
    }

    /// All cells.
    pub fn cells(&self) -> usize {
        if self.sim_runs == 0 { 1 } else { self.verdicts.len() }
    }
}

impl Score {
    /// Cells that agree.
    pub fn agree(&self) -> usize {
        self.scenarios.iter().map(ScenarioScore::agree).sum()
    }

    /// All cells.
    pub fn cells(&self) -> usize {
        self.scenarios.iter().map(ScenarioScore::cells).sum()
    }

    /// The part of the cells that agree.
    pub fn figure(&self) -> f64 {
        self.agree() as f64 / self.cells().max(1) as f64
    }
}

/// Files of recordings by their scenario.
pub type Recordings = BTreeMap<String, Vec<PathBuf>>;

/// The recordings of a folder by scenario: the part of a file's name before the first full stop. They lie in the folder
/// itself (`NAME.00.jsonl.gz`), or in a folder of their scenario (`NAME/NAME.00.jsonl.gz`); other folders hold other sets.
pub fn recordings_in(folder: &Path) -> Result<Recordings, ReadError> {
    let mut groups = Recordings::new();
    for path in entries(folder)? {
        if let Some(scenario) = scenario_of(&path) {
            groups.entry(scenario.to_string()).or_default().push(path);
        } else if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            let own = entries(&path)?.into_iter().filter(|path| scenario_of(path).is_some_and(|own| own == name));
            groups.entry(name.to_string_lossy().into_owned()).or_default().extend(own);
        }
    }
    groups.retain(|_, paths| !paths.is_empty());
    groups.values_mut().for_each(|paths| paths.sort());
    Ok(groups)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let io = |cause| ReadError::Io { path: folder.to_path_buf(), cause };
    std::fs::read_dir(folder).map_err(io)?.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

/// The scenario of a recording, by the name of its file; none if it is something else.
fn scenario_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let (scenario, _) = name.split_once('.')?;
    (!scenario.is_empty() && name.contains(".jsonl") && !path.is_dir()).then_some(scenario)
}

/// The recordings of several folders, as if they were one.
pub fn recordings_in_all(folders: &[PathBuf]) -> Result<Recordings, ReadError> {
    let mut groups = Recordings::new();
    for folder in folders {
        for (scenario, mut paths) in recordings_in(folder)? {
            groups.entry(scenario).or_default().append(&mut paths);
        }
    }
    Ok(groups)
}

/// What is compared: the recordings of folders of real ones, and of a folder of simulated ones. Both must hold some.
pub(super) fn both_sides(real: &[PathBuf], sim: &Path) -> Result<(Recordings, Recordings), ReadError> {
    for folder in real.iter().map(PathBuf::as_path).chain([sim]) {
        if recordings_in(folder)?.is_empty() {
            return Err(ReadError::NoRecording { path: folder.to_path_buf() });
        }
    }
    Ok((recordings_in_all(real)?, recordings_in(sim)?))
}

/// The cells of recordings in files, in their order.
pub fn cells_of(paths: &[PathBuf]) -> Result<Vec<Cells>, ReadError> {
    paths.par_iter().map(|path| Recording::read(path).map(|recording| cells(&recording))).collect()
}

/// The score of a folder of simulated recordings against folders of real ones.
pub fn score_dirs(real: &[PathBuf], sim: &Path) -> Result<Score, ReadError> {
    let (real, sim) = both_sides(real, sim)?;
    let mut scenarios = Vec::new();
    for (scenario, real) in &real {
        let none = Vec::new();
        let sim = sim.get(scenario).unwrap_or(&none);
        let verdicts = if sim.is_empty() { Vec::new() } else { compare(&cells_of(real)?, &cells_of(sim)?) };
        let scenario = scenario.clone();
        scenarios.push(ScenarioScore { scenario, real_runs: real.len(), sim_runs: sim.len(), verdicts });
    }
    Ok(Score { scenarios })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{FILES, data};

    /// A cell, whether it agrees, and its distance and p where the distributions were compared.
    type Expected = (String, bool, Option<(f64, f64)>);

    fn fixture(name: &str) -> serde_json::Value {
        let path = data("").join("..").join(name);
        let text = std::fs::read_to_string(path).expect("the fixture is in the repository");
        serde_json::from_str(&text).expect("the fixture is JSON")
    }

    #[test]
    fn recordings_lie_in_one_folder_or_in_folders_by_scenario() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, far) = (folder.path(), Path::new("set/kill"));
        for path in ["cut", "kill", "set/kill"] {
            std::fs::create_dir_all(root.join(path)).expect("it can be made");
        }
        for path in
            ["cut.00.jsonl.gz", "cut/cut.01.jsonl", "kill/kill.00.jsonl.gz", "kill/cut.07.jsonl", "kill/notes.txt"]
        {
            std::fs::write(root.join(path), "").expect("it can be written");
        }
        std::fs::write(root.join(far).join("kill.00.jsonl"), "").expect("it can be written");
        let found = |folder: &Path| -> Vec<(String, Vec<PathBuf>)> {
            recordings_in(folder).expect("it can be read").into_iter().collect()
        };
        let paths = |paths: &[&str]| paths.iter().map(|path| root.join(path)).collect::<Vec<_>>();
        let expected = [
            ("cut".into(), paths(&["cut/cut.01.jsonl", "cut.00.jsonl.gz"])),
            ("kill".into(), paths(&["kill/kill.00.jsonl.gz"])),
        ];
        assert_eq!(found(root), expected, "neither another scenario's file nor the set beside them");
        assert_eq!(found(&root.join("set")), [("kill".into(), paths(&["set/kill/kill.00.jsonl"]))]);
        std::fs::create_dir(root.join("none")).expect("it can be made");
        let error = score_dirs(&[root.to_path_buf()], &root.join("none")).expect_err("nothing to compare with");
        assert!(error.to_string().ends_with("none: no recording in this folder"), "{error}");
    }

    #[test]
    fn cells_are_those_of_the_reference() {
        let expected = fixture("score-cells.json");
        for name in FILES {
            let cells = cells(&Recording::read(&data(name)).expect("a real recording can be read"));
            let expected: Cells = serde_json::from_value(expected[name].clone()).expect("cells are numbers");
            assert_eq!(cells, expected, "{name}");
        }
    }

    #[test]
    fn verdicts_are_those_of_the_reference() {
        let cases = fixture("score-verdicts.json");
        let cases = cases.as_array().expect("a list of comparisons");
        assert!(cases.len() > 1);
        for case in cases {
            let side = |name: &str| -> Vec<Cells> {
                serde_json::from_value(case[name].clone()).expect("a side is a list of cells")
            };
            let verdicts = compare(&side("real"), &side("sim"));
            let expected: Vec<Expected> =
                serde_json::from_value(case["verdicts"].clone()).expect("verdicts are name, agreement, distance and p");
            assert_eq!(verdicts.len(), expected.len());
            for (verdict, (cell, agrees, figures)) in verdicts.iter().zip(expected) {
                assert_eq!((&verdict.cell, verdict.agrees), (&cell, agrees), "{verdict:?}");
                match (verdict.measure, figures) {
                    (Measure::Presence, None) => {}
                    (Measure::Samples { distance, p, .. }, Some((d, q))) => {
                        assert!((distance - d).abs() < 1e-12 && (p - q).abs() < 1e-12, "{verdict:?} {d} {q}");
                    }
                    other => panic!("{cell}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn several_libraries_have_cells_of_their_own() {
        let mut recording = Recording::read(&data(FILES[0])).expect("a real recording can be read");
        let plain = cells(&recording);
        let client = |name: &str, does, library: &str| crate::record::ClientMark {
            name: name.into(),
            does: vec![does],
            connections: 1,
            requests: None,
            library: Some(library.into()),
            px: None,
        };
        let one = client("publisher", Activity::Publish, "one");
        recording.header.clients = vec![one.clone(), client("subscriber", Activity::Receive, "one")];
        assert_eq!(cells(&recording), plain, "a single one needs no name");
        recording.header.clients.push(client("writer", Activity::Set, "two"));
        let cells = cells(&recording);
        for cell in ["publish ok | count", "receive longest gap | seconds", "subscriber reconnects | count"] {
            assert_eq!(cells[&format!("one: {cell}")], plain[cell], "{cell}");
        }
        assert_eq!(cells["two: set longest outage | seconds"], plain["set longest outage | seconds"]);
        assert_eq!(
            (cells["two: subscriber reconnects | count"], cells.contains_key("two: publish ok | count")),
            (0.0, false)
        );
        assert!(!cells.keys().any(|cell| cell.starts_with("publish ")), "{cells:?}");
    }

    #[test]
    fn a_planted_difference_is_found() {
        let path = data(FILES[0]);
        let recording = Recording::read(&path).expect("a real recording can be read");
        let real = vec![cells(&recording); 20];
        assert!(compare(&real, &real).iter().all(|verdict| verdict.agrees));
        let mut late = recording.clone();
        late.origin = crate::kernel::Time(late.origin.0 - 200_000_000);
        let off = compare(&real, &vec![cells(&late); 20]).iter().filter(|verdict| !verdict.agrees).count();
        assert!(off > 40, "{off}");
    }
}
