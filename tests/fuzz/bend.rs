//! How input is bent: by the grammar of the scenario file, at the edges of numbers, by splices, and byte by byte.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value as Json;
use sim::analysis::score::recordings_in;

use crate::dice::Dice;

/// What is bent, and the words that may be put into it.
pub(crate) struct Corpus {
    scenarios: Vec<String>,
    recordings: Vec<Vec<String>>,
    schema: Json,
}

const NUMBERS: [&str; 22] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "10",
    "100",
    "1000",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "1000000000",
    "315360000",
    "315360000000",
    "9223372036854775807",
    "18446744073709551615",
    "0.0",
    "1.0",
    "1e300",
    "nan",
    "-0.5",
];
const SPANS: [&str; 20] = [
    "0s",
    "1ns",
    "1us",
    "1ms",
    "50ms",
    "0.5s",
    "1s",
    "7s",
    "30s",
    "2m",
    "10h",
    "87600h",
    "87601h",
    "9223372036854775807ns",
    "-1s",
    "-87600h",
    "1.5",
    "",
    "s",
    "1e9s",
];
const WORDS: [&str; 34] = [
    "redis-1",
    "redis-2",
    "redis-9",
    "sentinel-1",
    "sentinel-3",
    "haproxy",
    "clients",
    "publisher",
    "@master",
    "@replica",
    "@leader",
    "@old-master",
    "mymaster",
    "yes",
    "no",
    "none",
    "unlimited",
    "10kbit",
    "1bit",
    "1mb",
    "1tb",
    "3600 1",
    "pubsub 1kb 1kb 1",
    "publish",
    "set",
    "get",
    "subscribe",
    "reference",
    "sentinel",
    "go-redis-v8",
    "=1+1",
    "\\u001b[31m",
    "../x",
    "+switch-master",
];
const COMMANDS: [&str; 22] = [
    "[\"SENTINEL\", \"FAILOVER\", \"mymaster\"]",
    "[\"SENTINEL\", \"RESET\", \"mymaster\"]",
    "[\"SENTINEL\", \"REMOVE\", \"mymaster\"]",
    "[\"SENTINEL\", \"MONITOR\", \"mymaster\", \"redis-2\", \"6379\", \"1\"]",
    "[\"SENTINEL\", \"SET\", \"mymaster\", \"quorum\", \"4294967295\"]",
    "[\"SENTINEL\", \"SET\", \"mymaster\", \"down-after-milliseconds\", \"315360000000\"]",
    "[\"SENTINEL\", \"DEBUG\", \"info-period\", \"1\"]",
    "[\"SENTINEL\", \"DEBUG\", \"tilt-period\", \"315360000000\"]",
    "[\"CONFIG\", \"SET\", \"repl-timeout\", \"0\"]",
    "[\"CONFIG\", \"SET\", \"hz\", \"500\"]",
    "[\"CONFIG\", \"REWRITE\"]",
    "[\"CLIENT\", \"PAUSE\", \"315360000000\"]",
    "[\"CLIENT\", \"KILL\", \"TYPE\", \"master\"]",
    "[\"CLIENT\", \"UNPAUSE\"]",
    "[\"DEBUG\", \"SLEEP\", \"86400\"]",
    "[\"DEBUG\", \"SEGFAULT\"]",
    "[\"SAVE\"]",
    "[\"BGSAVE\"]",
    "[\"FLUSHALL\"]",
    "[\"SHUTDOWN\", \"NOSAVE\"]",
    "[\"REPLICAOF\", \"NO\", \"ONE\"]",
    "[\"REPLICAOF\", \"redis-3\", \"6379\"]",
];

impl Corpus {
    pub(crate) fn read(root: &Path) -> Corpus {
        let mut scenarios = vec![String::new()];
        let mut recordings = Vec::new();
        for folder in [
            "scenarios",
            "scenarios/regressions",
            "reference/scenarios",
            "tests/data/recordings",
            "reference/recordings",
        ] {
            let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
            let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
            paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
            paths.extend(recordings_in(&root.join(folder)).expect("a folder").into_values().flatten());
            paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
            for path in paths {
                match path.to_string_lossy().as_ref() {
                    name if name.ends_with(".toml") => {
                        scenarios.push(std::fs::read_to_string(&path).expect("a scenario"))
                    }
                    name if name.ends_with(".jsonl.gz")
                        && (recordings.len() < 40 || name.ends_with(".00.jsonl.gz")) =>
                    {
                        let mut text = String::new();
                        let bytes = std::fs::read(&path).expect("a recording");
                        flate2::read::MultiGzDecoder::new(&bytes[..])
                            .read_to_string(&mut text)
                            .expect("it is compressed");
                        recordings.push(thinned(&text));
                    }
                    _ => {}
                }
            }
        }
        assert!(scenarios.len() > 20 && recordings.len() > 5, "the corpus is there");
        Corpus { scenarios, recordings, schema: sim::scenario::json_schema() }
    }

    pub(crate) fn scenario(&self, number: u64, seed: u64) -> Vec<u8> {
        let mut dice = Dice::new(seed, number, 1);
        let text = &self.scenarios[dice.below(self.scenarios.len())];
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for _ in 0..=dice.below(2) {
            self.bend_lines(&mut lines, &mut dice);
        }
        let mut bytes = lines.join("\n").into_bytes();
        if dice.once_in(20) {
            bend_bytes(&mut bytes, &mut dice);
        }
        bytes
    }

    fn bend_lines(&self, lines: &mut Vec<String>, dice: &mut Dice) {
        let place = dice.below(lines.len() + 1);
        match dice.below(10) {
            // A section with a key of its own, or a client, fault or link.
            0..=2 => lines.extend(self.section(dice)),
            3 | 4 => {
                if let Some(line) = lines.get_mut(place.saturating_sub(1)) {
                    *line = bent_value(line, dice);
                }
            }
            5 => {
                let other = &self.scenarios[dice.below(self.scenarios.len())];
                let other: Vec<&str> = other.lines().collect();
                if !other.is_empty() {
                    let from = dice.below(other.len());
                    let to = (from + 1 + dice.below(8)).min(other.len());
                    lines.splice(place..place, other[from..to].iter().map(|line| (*line).to_owned()));
                }
            }
            6 if place < lines.len() => {
                lines.remove(place);
            }
            7 if place < lines.len() => {
                let line = lines[place].clone();
                lines.insert(place, line);
            }
            8 => {
                let key = dice.pick(&["duration", "phase", "name", "description"]);
                lines.insert(0, format!("{key} = {}", value(&Json::Null, dice)));
            }
            _ => {
                for line in lines.iter_mut().filter(|line| line.contains('"')) {
                    if dice.once_in(6) {
                        *line = bent_value(line, dice);
                    }
                }
            }
        }
    }

    /// A section with some of its keys.
    fn section(&self, dice: &mut Dice) -> Vec<String> {
        let all = &self.schema["properties"];
        let kinds = ["stack", "redis", "sentinel", "haproxy", "network", "client", "fault", "expect", "network.link"];
        let kind = dice.pick(&kinds);
        let (head, keys) = match kind {
            "client" => ("[[client]]".to_owned(), all["client"]["items"].clone()),
            "network.link" => ("[[network.link]]".to_owned(), all["network"]["properties"]["link"]["items"].clone()),
            "fault" => {
                let actions = all["fault"]["items"]["oneOf"].as_array().cloned().unwrap_or_default();
                ("[[fault]]".to_owned(), actions[dice.below(actions.len())].clone())
            }
            kind => {
                let own = matches!(kind, "redis" | "sentinel") && dice.once_in(3);
                let node = if own { format!(".{kind}-{}", 1 + dice.below(3)) } else { String::new() };
                (format!("[{kind}{node}]"), all[kind].clone())
            }
        };
        let mut lines = vec![head];
        let required = keys["required"].as_array().cloned().unwrap_or_default();
        let names: Vec<&String> = keys["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let chance = 1 + names.len() / 2;
        for name in names {
            if required.iter().any(|key| key == name) || dice.once_in(chance) {
                let value = if name == "run" {
                    dice.pick(&COMMANDS).to_owned()
                } else {
                    value(&keys["properties"][name], dice)
                };
                lines.push(format!("{name:?} = {value}"));
            }
        }
        lines
    }

    pub(crate) fn recording(&self, number: u64, seed: u64) -> Vec<u8> {
        let mut dice = Dice::new(seed, number, 2);
        let mut lines = self.recordings[dice.below(self.recordings.len())].clone();
        for _ in 0..=dice.below(6) {
            let place = dice.below(lines.len());
            match dice.below(8) {
                0 => lines[0] = bent_json(&lines[0], &mut dice),
                1 | 2 => lines[place] = bent_json(&lines[place], &mut dice),
                3 => {
                    let other = &self.recordings[dice.below(self.recordings.len())];
                    let from = 1 + dice.below(other.len() - 1);
                    let to = (from + dice.below(40)).min(other.len());
                    lines.splice(place.max(1)..place.max(1), other[from..to].iter().cloned());
                }
                4 if lines.len() > 2 => {
                    lines.remove(place.max(1));
                }
                5 => {
                    let line = lines[place.max(1).min(lines.len() - 1)].clone();
                    lines.push(line);
                }
                6 if lines.len() > 2 => {
                    let other = 1 + dice.below(lines.len() - 1);
                    lines.swap(place.max(1).min(other), other);
                }
                _ => lines.truncate(1 + place),
            }
        }
        let mut bytes = lines.join("\n").into_bytes();
        if dice.once_in(8) {
            bend_bytes(&mut bytes, &mut dice);
        }
        bytes
    }
}

/// A recording short enough to be drawn often: its head, and of its lines every log line and some attempts.
fn thinned(text: &str) -> Vec<String> {
    let mut kept = 0;
    let keeps = |line: &&str| {
        !line.contains("\"op\"") || {
            kept += 1;
            kept % 12 == 0
        }
    };
    text.lines().filter(keeps).take(1_200).map(str::to_owned).collect()
}

/// A value for a key of this schema: mostly of its kind, sometimes not.
fn value(schema: &Json, dice: &mut Dice) -> String {
    let choices = schema["anyOf"].as_array().cloned().unwrap_or_default();
    if !choices.is_empty() {
        return value(&choices[dice.below(choices.len())], dice);
    }
    let text = |text: &str| format!("\"{text}\"");
    if dice.once_in(30) {
        return match dice.below(3) {
            0 => dice.pick(&NUMBERS).to_owned(),
            1 => text(dice.pick(&SPANS)),
            _ => text(dice.pick(&WORDS)),
        };
    }
    if let Some(words) = schema["enum"].as_array() {
        return words[dice.below(words.len())].to_string();
    }
    if !schema["const"].is_null() {
        return schema["const"].to_string();
    }
    if let Some(words) = schema["oneOf"].as_array() {
        return value(&words[dice.below(words.len())].clone(), dice);
    }
    match schema["type"].as_str() {
        Some("integer") if dice.once_in(3) => format!("{}", dice.below(20)),
        Some("integer" | "number") => dice.pick(&NUMBERS).to_owned(),
        Some("boolean") => dice.pick(&["true", "false"]).to_owned(),
        Some("array") => {
            let count = dice.below(4);
            let items: Vec<String> = (0..count).map(|_| value(&schema["items"], dice)).collect();
            format!("[{}]", items.join(", "))
        }
        Some("object") => {
            let keys = schema["properties"].as_object().cloned().unwrap_or_default();
            let items: Vec<String> =
                keys.iter().map(|(key, schema)| format!("{key:?} = {}", value(schema, dice))).collect();
            format!("{{ {} }}", items.join(", "))
        }
        Some("string") if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("ms")) => {
            text(dice.pick(&SPANS))
        }
        Some("string") => text(dice.pick(&WORDS)),
        _ => text(dice.pick(&SPANS)),
    }
}

/// A line with one of its numbers or words exchanged.
fn bent_value(line: &str, dice: &mut Dice) -> String {
    let Some((key, rest)) = line.split_once('=') else { return line.to_owned() };
    let new = match rest.trim_start().chars().next() {
        Some('"') if rest.contains(char::is_numeric) && !dice.once_in(4) => format!("\"{}\"", dice.pick(&SPANS)),
        Some('"') => format!("\"{}\"", dice.pick(&WORDS)),
        Some('[' | '{') if !dice.once_in(3) => rest.replacen("redis-1", dice.pick(&WORDS), 1),
        _ => dice.pick(&NUMBERS).to_owned(),
    };
    format!("{key}= {new}")
}

/// A line of a recording with one of its values exchanged, its key taken out, or its number moved.
fn bent_json(line: &str, dice: &mut Dice) -> String {
    let Ok(Json::Object(mut object)) = serde_json::from_str(line) else { return line.to_owned() };
    let keys: Vec<String> = object.keys().cloned().collect();
    let Some(key) = keys.get(dice.below(keys.len().max(1))).cloned() else { return line.to_owned() };
    if dice.once_in(10) {
        object.remove(&key);
        return Json::Object(object).to_string();
    }
    let at = &mut object[key.as_str()];
    bend_json_value(at, dice, 0);
    Json::Object(object).to_string()
}

fn bend_json_value(value: &mut Json, dice: &mut Dice, depth: usize) {
    let strange = [
        "",
        "redis-1",
        "redis-99",
        "sentinel-2",
        "haproxy",
        "ok",
        "err",
        "<script>",
        "\u{1b}]0;x\u{7}",
        "=1+1",
        "../../x",
        "+switch-master mymaster redis-1 6379 redis-2 6379",
        "+sdown master mymaster redis-1 6379",
        "kill_host",
        "partition",
        "pause",
        "start",
        "redis-1,redis-2",
        "\u{202e}",
        "Ready to accept connections",
        "MASTER MODE enabled (user request)",
    ];
    match value {
        Json::Number(number) => {
            let moved = number.as_f64().unwrap_or(0.0) + dice.below(2_000) as f64 - 1_000.0;
            let edges = [moved, -moved, 0.0, -1e9, 1e9, 3e8, -3e8, 1e300, 4_294_967_295.0, 1e-7];
            let edge = edges[dice.below(edges.len())];
            *value = if dice.once_in(2) || edge.fract() != 0.0 { edge.into() } else { (edge as i64).into() };
        }
        Json::String(text) => {
            *text = match dice.below(3) {
                0 => text.replace(char::is_numeric, NUMBERS[dice.below(NUMBERS.len())]),
                1 => text.chars().take(dice.below(text.len().max(1))).collect(),
                _ => dice.pick(&strange).to_owned(),
            };
        }
        Json::Array(items) if !items.is_empty() && depth < 4 => {
            let place = dice.below(items.len());
            match dice.below(5) {
                0 => {
                    items.remove(place);
                }
                1 => {
                    let item = items[place].clone();
                    items.push(item);
                }
                _ => bend_json_value(&mut items[place], dice, depth + 1),
            }
        }
        Json::Object(object) if !object.is_empty() && depth < 4 => {
            let place = dice.below(object.len());
            if let Some(inner) = object.values_mut().nth(place) {
                bend_json_value(inner, dice, depth + 1);
            }
        }
        _ => *value = Json::from(dice.pick(&strange)),
    }
}

fn bend_bytes(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let place = dice.below(bytes.len() + 1);
        match dice.below(4) {
            0 => bytes.insert(place, dice.next() as u8),
            1 if place < bytes.len() => bytes[place] = dice.next() as u8,
            2 if place < bytes.len() => {
                bytes.remove(place);
            }
            _ => bytes.truncate(place.max(bytes.len() / 2)),
        }
    }
}
