//! The report: one HTML file that needs no network and no other file.
//!
//! Its static part (figures, tables, charts) can be read without scripts; the timeline that can be zoomed and the table of
//! messages are drawn by `assets/report.js` with D3 from data that the file holds in columns, so that a hundred thousand
//! events are a few megabytes. Scales, axes, zooming and searching are D3's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use plotters::style::RGBColor;
use serde_json::{Value, json};

use super::chart::{Chart, Look, Theme, blend, escape, palette};
use super::lanes::{Bar, ClientLane, Lanes, Link, Opinion, RedisState, ServerState};
use super::latency::LatencyChart;
use super::loss::LossChart;
use super::text::{self, named};
use super::timeline::{
    LANES_MAX, Timeline, opinion_color, opinion_word, redis_color, redis_word, server_color, server_word,
};
use super::{RunReport, causes, moment};
use crate::analysis::Analysis;
use crate::analysis::ledger::{Cause, Fate};
use crate::analysis::metrics::{self, Figure, Metric, Unit};
use crate::analysis::phases::{Ending, Failover, Phase};
use crate::kernel::EventId;
use crate::record::{Activity, Event, HaproxyEvent, Op, Outcome, Source, What};

const D3: &str = include_str!("assets/d3.v5.min.js");
const D3_LICENSE: &str = include_str!("assets/d3.LICENSE");
const SCRIPT: &str = include_str!("assets/report.js");
pub(super) const STYLE: &str = include_str!("assets/report.css");

const FATES: [(Fate, &str); 5] = [
    (Fate::Delivered, "delivered"),
    (Fate::FailedButDelivered, "failed-but-delivered"),
    (Fate::Failed, "failed"),
    (Fate::LostSilently, "lost-silently"),
    (Fate::Undecided, "undecided"),
];

/// The report of a run.
pub fn html(run: &RunReport<'_>, lanes: &Lanes) -> String {
    let analysis = run.analysis;
    let mut out = String::with_capacity(1 << 20);
    let title = escape(&format!("{} · {}", analysis.scenario, analysis.run_name()));
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; \
         style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>"
    );
    write_head(&mut out, run);
    write_misses(&mut out, run);
    write_timeline(&mut out, lanes, analysis);
    moment::write(&mut out, run);
    write_phases(&mut out, analysis);
    out.push_str("<h2 id=\"losses\">Losses and latency</h2>\n");
    write_chart(&mut out, &LossChart::new(lanes, analysis));
    write_chart(&mut out, &LatencyChart::new(lanes, analysis));
    write_ledger(&mut out, analysis);
    write_log(&mut out, run);
    write_clients(&mut out, analysis);
    write_metrics(&mut out, analysis);
    write_scenario(&mut out, run);
    out.push_str("<script type=\"application/json\" id=\"data\">");
    // Within a script element only `<` can end it.
    out.push_str(&data(run, &lanes.at_most(LANES_MAX).0).to_string().replace('<', "\\u003c"));
    let _ = writeln!(out, "</script>\n<script>\n/*\n{D3_LICENSE}*/\n{D3}\n</script>\n<script>\n{SCRIPT}</script>");
    let _ = writeln!(out, "<script>\n{}</script>", moment::SCRIPT);
    out.push_str("</body>\n</html>\n");
    out
}

/// Whether a report tells what led to each line.
pub(super) fn tells_causes(report: &str) -> bool {
    report.contains("\"causes\":{\"before\":")
}

fn seconds(us: i64) -> String {
    let text = format!("{:.3}", us as f64 / 1e6);
    text.replace('-', "−")
}

/// What the scenario says about itself.
fn description(scenario_toml: &str) -> Option<String> {
    let table: toml::Table = scenario_toml.parse().ok()?;
    table.get("description")?.as_str().filter(|text| !text.is_empty()).map(str::to_string)
}

fn write_head(out: &mut String, run: &RunReport<'_>) {
    let analysis = run.analysis;
    let arm = match analysis.source {
        Source::Real => "Real programs",
        Source::Sim => "Simulated",
    };
    let _ = writeln!(
        out,
        "<header><div><h1>{}</h1>\n<p class=\"lead\">{arm}, {}, {} s after the first fault; sim {}.</p></div>\n\
         <button id=\"theme\" class=\"no-script-hidden\" type=\"button\">Light / dark</button></header>",
        escape(&analysis.scenario),
        analysis.run_name(),
        seconds(analysis.end_us),
        escape(run.version)
    );
    if let Some(releases) = run.recording.names.releases() {
        let _ = writeln!(out, "<p>Releases: {}.</p>", escape(&releases));
    }
    if let Some(description) = description(run.scenario_toml) {
        let _ = writeln!(out, "<p>{}</p>", escape(&description));
    }
    out.push_str(
        "<nav aria-label=\"Parts of the report\"><a href=\"#timeline\">Timeline</a> <a href=\"#moment\">At a moment</a> <a \
         href=\"#phases\">Where the time went</a> <a href=\"#losses\">Losses and latency</a> <a href=\"#ledger\">Ledger</a> <a href=\"#log\">Log</a> \
         <a href=\"#clients\">Clients</a> <a href=\"#metrics\">Metrics</a> <a href=\"#reproduce\">How to reproduce</a></nav>\n",
    );
    let mut facts: Vec<(String, String, bool)> = Vec::new();
    let mut fact = |figure: String, what: &str, warn: bool| facts.push((figure, what.to_string(), warn));
    match run.misses {
        None => {}
        Some([]) => fact("all met".into(), "expectations", false),
        Some(misses) => fact(format!("{} missed", misses.len()), "expectations", true),
    }
    let figures = analysis.figures();
    let figure = |name: &str| figures.get(Metric::named(name));
    let above_zero = |figure: &Figure| figure.number().is_some_and(|number| number > 0.0);
    let failovers = figure("failovers");
    fact(failovers.to_string(), if failovers.number() == Some(1.0) { "failover" } else { "failovers" }, false);
    let aborted = figure("aborted-failovers");
    if above_zero(aborted) {
        fact(aborted.to_string(), "failovers given up", true);
    }
    for (part, whole, what) in [
        ("publish-undelivered", "publish-attempts", "messages not delivered"),
        ("publish-lost", "publish-ok", "published messages lost"),
        ("lost-acked-sets", "set-ok", "acknowledged writes lost"),
    ] {
        let (part, whole) = (figure(part), figure(whole));
        if !matches!(whole, Figure::Absent(_)) {
            fact(format!("{part} of {whole}"), what, above_zero(part));
        }
    }
    for (name, what) in [
        ("publish-outage", "longest publish outage"),
        ("set-outage", "longest write outage"),
        ("receive-gap", "longest gap in receiving"),
    ] {
        let gap = figure(name);
        if !matches!(gap, Figure::Absent(_)) {
            fact(seconds_of(gap), what, false);
        }
    }
    let two = figure("two-masters");
    fact(seconds_of(two), "with two masters", above_zero(two));
    let master = analysis.final_master.as_deref().unwrap_or("none");
    fact(master.to_string(), "master at the end", analysis.final_master.is_none());
    out.push_str("<div class=\"facts\">");
    for (figure, what, warn) in facts {
        let class = if warn { " class=\"warn\"" } else { "" };
        let _ = write!(out, "<div{class}><b>{}</b><span>{}</span></div>", escape(&figure), escape(&what));
    }
    out.push_str("</div>\n");
}

/// A time, as the report writes times.
fn seconds_of(figure: &Figure) -> String {
    match figure.value() {
        Some(metrics::Value::Span(span)) => format!("{} s", seconds((span.0 / 1_000) as i64)),
        _ => figure.to_string(),
    }
}

/// What was expected and not found, for everybody to see.
fn write_misses(out: &mut String, run: &RunReport<'_>) {
    let Some(misses) = run.misses.filter(|misses| !misses.is_empty()) else { return };
    out.push_str(
        "<h2 id=\"expectations\">Expectations that were missed</h2>\n<div class=\"scroll\"><table><thead><tr><th>[expect]</th>\
         <th>expected</th><th>found</th></tr></thead>\n<tbody>",
    );
    for miss in misses {
        let (expected, found) = (escape(&miss.expected), escape(&miss.found));
        let _ = writeln!(out, "<tr><td>{}</td><td>{expected}</td><td>{found}</td></tr>", miss.key);
    }
    out.push_str("</tbody></table></div>\n");
}

/// All metrics that the run has, with what they mean.
fn write_metrics(out: &mut String, analysis: &Analysis) {
    out.push_str(
        "<h2 id=\"metrics\">Metrics</h2>\n<details><summary>Every figure of the run by its name</summary>\n<div class=\"scroll\">\
         <table><thead><tr><th>metric</th><th class=\"n\">value</th><th>meaning</th></tr></thead>\n<tbody>",
    );
    for (metric, figure) in analysis.figures().iter() {
        if matches!(figure, Figure::Absent(_)) || metric.is_of_a_cause() && figure.number() == Some(0.0) {
            continue;
        }
        let why = figure.reason().map_or(String::new(), |reason| format!(" ({reason})"));
        let value = if metric.unit() == Unit::Ratio { ratio(figure) } else { seconds_of(figure) };
        let says = escape(&format!("{}{why}", metric.says()));
        let _ = writeln!(out, "<tr><td>{metric}</td><td class=\"n\">{}</td><td>{says}</td></tr>", escape(&value));
    }
    out.push_str("</tbody></table></div></details>\n");
}

fn ratio(figure: &Figure) -> String {
    figure.number().map_or(figure.to_string(), |ratio| format!("{ratio:.4}"))
}

fn write_chart(out: &mut String, chart: &impl Chart) {
    for (theme, class) in [(Theme::Light, "light-only"), (Theme::Dark, "dark-only")] {
        let _ = writeln!(out, "<figure class=\"{class}\">{}</figure>", chart.svg(theme));
    }
}

fn write_timeline(out: &mut String, lanes: &Lanes, analysis: &Analysis) {
    out.push_str(
        "<h2 id=\"timeline\">Timeline</h2>\n<div id=\"screen\" class=\"no-script-hidden\">\n<div class=\"tools\">",
    );
    for (action, text, name) in [
        ("in", "+", "Zoom in"),
        ("out", "−", "Zoom out"),
        ("left", "←", "Earlier"),
        ("right", "→", "Later"),
        ("all", "Whole run", "Show from the first fault on"),
        ("boot", "With start-up", "Show from the first line on"),
        ("prev", "Previous event", "Previous log line"),
        ("next", "Next event", "Next log line"),
    ] {
        let _ = write!(
            out,
            "<button type=\"button\" data-do=\"{action}\" title=\"{name}\" aria-label=\"{name}\">{text}</button>"
        );
    }
    out.push_str(
        "</div>\n<p class=\"hint\">Drag to pan, Ctrl + wheel to zoom. With the keyboard in the picture: <kbd>+</kbd> <kbd>−</kbd> zoom, \
         <kbd>←</kbd> <kbd>→</kbd> pan, <kbd>0</kbd> whole run, <kbd>b</kbd> with start-up, <kbd>n</kbd> <kbd>p</kbd> next and \
         previous log line with its causes, <kbd>Esc</kbd> closes. The address of the page links to the time shown; #t=12.5 \
         to a moment.</p>\n\
         <div id=\"plot\"><canvas id=\"canvas\" tabindex=\"0\" role=\"application\" aria-label=\"Timeline of all nodes; \
         plus and minus zoom, arrows pan, n and p go through the events\"></canvas><svg id=\"axis\" aria-hidden=\"true\"></svg>\
         <div id=\"mark\"></div><div id=\"tip\"></div></div>\n<p class=\"lead\">Time after the first fault, in seconds.</p>\n\
         <div id=\"live\" class=\"sr\" aria-live=\"polite\"></div>\n<ul class=\"legend\">",
    );
    for (theme, class) in [(Theme::Light, "light-only"), (Theme::Dark, "dark-only")] {
        for key in Timeline::new(lanes, analysis).keys(&Look::of(theme)) {
            let color = palette::css(key.color);
            let _ = write!(out, "<li class=\"{class}\"><i style=\"background:{color}\"></i>{}</li>", escape(&key.text));
        }
    }
    // For paper, and for readers without scripts.
    out.push_str("</ul>\n</div>\n<div id=\"paper\">\n");
    write_chart(out, &Timeline::new(lanes, analysis));
    out.push_str("</div>\n");
    if !analysis.masters.two.is_empty() {
        out.push_str(
            "<h2 id=\"two-masters\">Two masters at once</h2>\n<div class=\"scroll\"><table><thead><tr><th class=\"n\">from (s)</th>\
             <th class=\"n\">to (s)</th><th class=\"n\">for (s)</th><th>nodes</th><th>HAProxy sent new sessions to</th></tr></thead>\n<tbody>",
        );
        for window in &analysis.masters.two {
            let to = if window.routed_to.is_empty() { "–".into() } else { window.routed_to.join(", ") };
            let _ = writeln!(
                out,
                "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
                seconds(window.from_us),
                seconds(window.to_us),
                seconds(window.to_us - window.from_us),
                escape(&window.nodes.join(", ")),
                escape(&to)
            );
        }
        out.push_str("</tbody></table></div>\n");
    }
}

/// How an attempt at a failover ended, in words.
pub(super) fn ending_words(failover: &Failover) -> String {
    match &failover.ending {
        Ending::Unfinished if failover.confirmed() && !failover.took_effect() => "announced to nobody".into(),
        Ending::Completed => "completed".into(),
        Ending::Aborted(why) => format!("given up: {why}"),
        Ending::Superseded => "another Sentinel's configuration came first".into(),
        Ending::Unfinished => "unfinished".into(),
    }
}

fn failover_heading(failover: &Failover) -> String {
    let to = failover.new_master.as_deref().unwrap_or("nobody");
    let epoch = failover.epoch.map_or(String::new(), |epoch| format!(", epoch {epoch}"));
    let ending = ending_words(failover);
    format!("{} → {to}, led by {}{epoch}: {ending}", failover.old_master, failover.leader)
}

fn write_phases(out: &mut String, analysis: &Analysis) {
    out.push_str("<h2 id=\"phases\">Where the time went</h2>\n");
    if analysis.failovers.is_empty() {
        out.push_str("<p>No Sentinel tried a failover.</p>\n");
    }
    for failover in &analysis.failovers {
        let _ = write!(
            out,
            "<p><b>{}</b></p>\n<div class=\"scroll\"><table><thead><tr><th>step</th><th class=\"n\">at (s)</th>\
             <th class=\"n\">took (s)</th><th>counted from</th><th>who</th><th>decided by</th></tr></thead>\n<tbody>",
            escape(&failover_heading(failover))
        );
        for step in &failover.steps {
            let took = step.took_us.map_or(String::new(), seconds);
            let from = step.after.map_or("", Phase::as_str);
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{took}</td><td>{from}</td><td>{}</td><td>{}</td></tr>",
                step.phase.as_str(),
                seconds(step.at_us),
                escape(&step.who),
                escape(&step.decided_by)
            );
        }
        out.push_str("</tbody></table></div>\n");
    }
}

fn write_ledger(out: &mut String, analysis: &Analysis) {
    let sums = &analysis.ledger.sums;
    out.push_str("<h2 id=\"ledger\">Ledger of messages</h2>\n");
    let _ = writeln!(
        out,
        "<p>{} published = {} delivered + {} not delivered + {} undecided at the end. {} arrived although the publisher was told \
         that they failed; {} were lost although it was told that they succeeded.</p>",
        sums.published, sums.delivered, sums.lost, sums.undecided, sums.failed_but_delivered, sums.lost_silently
    );
    if sums.lost > 0 {
        out.push_str("<div class=\"scroll\"><table><thead><tr><th>cause</th><th class=\"n\">messages not delivered</th></tr></thead><tbody>");
        for cause in Cause::ALL {
            if let Some(count) = sums.by_cause.get(cause.as_str()) {
                let _ = writeln!(
                    out,
                    "<tr><td data-cause=\"{}\">{}</td><td class=\"n\">{count}</td></tr>",
                    cause as usize,
                    escape(causes::words(cause))
                );
            }
        }
        out.push_str("</tbody></table></div>\n");
    }
    out.push_str(
        "<div class=\"no-script-hidden\"><div class=\"tools\"><label>Show <select id=\"cause\"><option value=\"lost\">all lost \
         messages</option><option value=\"all\">all messages</option><option value=\"fbd\">failed, but delivered</option>\
         </select></label> <label>SEQ <input id=\"seq\" inputmode=\"numeric\" size=\"8\"></label> \
         <button type=\"button\" id=\"ledger-before\">Previous page</button><button type=\"button\" id=\"ledger-after\">Next \
         page</button> <span id=\"ledger-count\" aria-live=\"polite\"></span></div>\n\
         <div class=\"scroll\"><table><thead><tr><th class=\"n\">SEQ</th><th>publisher</th><th class=\"n\">published</th>\
         <th>outcome</th><th class=\"n\">took</th><th class=\"n\">receivers</th><th>received</th><th>fate</th><th>cause</th></tr></thead>\
         <tbody id=\"ledger-rows\"></tbody></table></div></div>\n\
         <p class=\"script-hidden\">Every message stands in messages.csv.</p>\n",
    );
}

fn write_log(out: &mut String, run: &RunReport<'_>) {
    let cause = if run.causes.is_empty() { "" } else { "because" };
    let _ = writeln!(
        out,
        "<h2 id=\"log\">Log of all nodes</h2>\n<div class=\"no-script-hidden\"><div class=\"tools\"><label>Node <select \
         id=\"log-node\"><option value=\"\">all</option></select></label> <label>Text <input id=\"log-text\" type=\"search\" \
         placeholder=\"+odown\"></label> <button type=\"button\" id=\"log-before\">Previous page</button><button type=\"button\" \
         id=\"log-after\">Next page</button> <span id=\"log-count\" aria-live=\"polite\"></span></div>\n<div class=\"scroll \
         tall\" tabindex=\"0\" role=\"region\" aria-label=\"Log lines\"><table><thead><tr><th class=\"n\">time</th><th>node</th>\
         <th>line</th><th>{cause}</th></tr></thead><tbody id=\"log-rows\"></tbody></table></div></div>\n\
         <p class=\"script-hidden\">Every line stands in recording.jsonl.</p>"
    );
}

fn write_clients(out: &mut String, analysis: &Analysis) {
    out.push_str(
        "<h2 id=\"clients\">Clients and writes</h2>\n<div class=\"scroll\"><table><thead><tr><th>client</th><th>does</th>\
         <th class=\"n\">successes</th><th class=\"n\">longest without (s)</th><th class=\"n\">from (s)</th><th>failed meanwhile</th>\
         </tr></thead><tbody>",
    );
    for client in &analysis.outages {
        let longest = client.outages.iter().find(|outage| outage.from_us == client.longest_from_us);
        let failed = longest.map(|outage| &outage.failed).filter(|failed| !failed.is_empty());
        let failed = failed.map_or("–".to_string(), counts);
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(&client.client),
            client.activity.as_str(),
            client.successes,
            seconds(client.longest_us),
            seconds(client.longest_from_us),
            escape(&failed)
        );
    }
    out.push_str("</tbody></table></div>\n");
    let writes = &analysis.ledger.writes;
    if writes.attempts > 0 {
        let lost = match writes.lost {
            Some(0) => "all of them are held by the final master".to_string(),
            Some(lost) => format!("{lost} of them are not held by the final master"),
            None => "there is no final master that could hold them".to_string(),
        };
        let _ = writeln!(
            out,
            "<p>{} writes were tried, {} acknowledged; {lost}.</p>",
            writes.attempts, writes.acknowledged
        );
    }
}

/// `reply-timeout × 3, connect-refused × 2`
pub(super) fn counts(by: &BTreeMap<&'static str, u64>) -> String {
    let parts: Vec<String> = by.iter().map(|(word, n)| format!("{word} × {n}")).collect();
    parts.join(", ")
}

fn write_scenario(out: &mut String, run: &RunReport<'_>) {
    out.push_str("<h2 id=\"reproduce\">How to reproduce</h2>\n");
    if !run.command.is_empty() {
        let _ = writeln!(out, "<pre>{}</pre>", escape(run.command));
    }
    if run.analysis.source == Source::Real {
        let _ = writeln!(
            out,
            "<p>A recording of real programs, {}; drawn by sim {}.</p>",
            run.analysis.run_name(),
            escape(run.version)
        );
    } else {
        let _ = writeln!(
            out,
            "<p>sim {}, {}, {} events, digest <code>{:032x}</code>. The same version, scenario and seed give the same \
             digest.</p>",
            escape(run.version),
            run.analysis.run_name(),
            run.events,
            run.digest
        );
    }
    if !run.scenario_toml.is_empty() {
        let _ = writeln!(
            out,
            "<h2 id=\"scenario\">Scenario</h2>\n<details><summary>As run, with all defaults filled in</summary>\n<pre>{}</pre></details>",
            escape(run.scenario_toml)
        );
    }
}

fn pair(color: impl Fn(&Look) -> RGBColor) -> Value {
    let css = |theme| palette::css(color(&Look::of(theme)));
    json!([css(Theme::Light), css(Theme::Dark)])
}

fn bars<S: Copy + PartialEq>(bars: &[Bar<S>], order: &[S]) -> Value {
    let place = |state: S| order.iter().position(|s| *s == state).expect("every state is in the list");
    Value::Array(bars.iter().map(|bar| json!([bar.from_us, bar.to_us, place(bar.state)])).collect())
}

/// A column of numbers: as runs of a value and its count where that is shorter.
pub(super) fn column(values: Vec<i64>) -> Value {
    let mut runs: Vec<i64> = Vec::new();
    for value in &values {
        match runs.as_mut_slice() {
            [.., last, count] if last == value => *count += 1,
            _ => runs.extend([*value, 1]),
        }
    }
    if runs.len() < values.len() { json!({"r": runs}) } else { json!(values) }
}

/// A column of differences.
fn deltas(values: impl IntoIterator<Item = i64>) -> Value {
    let mut last = 0;
    column(values.into_iter().map(|value| value - std::mem::replace(&mut last, value)).collect())
}

const REDIS: [RedisState; 6] = [
    RedisState::Master,
    RedisState::Replica,
    RedisState::LinkDown,
    RedisState::Loading,
    RedisState::Paused,
    RedisState::Dead,
];
const OPINIONS: [Opinion; 7] =
    [Opinion::Fine, Opinion::Sdown, Opinion::Odown, Opinion::Leads, Opinion::Tilt, Opinion::Paused, Opinion::Dead];
const SERVERS: [ServerState; 4] = [ServerState::Up, ServerState::Down, ServerState::Paused, ServerState::Dead];

/// What the script draws.
fn data(run: &RunReport<'_>, lanes: &Lanes) -> Value {
    let analysis = run.analysis;
    let mut rows: Vec<Value> = Vec::new();
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    let mut servers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for lane in &lanes.redis {
        place.insert(&lane.node, rows.len());
        rows.push(json!({"k": "r", "n": lane.node, "node": lane.node, "bars": bars(&lane.bars, &REDIS),
            "follows": lane.follows}));
    }
    for lane in &lanes.sentinels {
        place.insert(&lane.node, rows.len());
        rows.push(json!({"k": "s", "n": lane.node, "node": lane.node, "bars": bars(&lane.bars, &OPINIONS),
            "believes": lane.beliefs, "epochs": lane.epochs}));
    }
    for lane in &lanes.proxies {
        place.entry(&lane.node).or_insert(rows.len());
        servers.insert((&lane.node, &lane.server), rows.len());
        let name = format!("{} → {}", lane.node, lane.server);
        rows.push(json!({"k": "p", "n": name, "node": lane.node, "bars": bars(&lane.bars, &SERVERS)}));
    }
    let outcomes = Outcomes::of(lanes, analysis);
    let messages: BTreeMap<(&str, i64, u32), usize> = analysis
        .ledger
        .messages
        .iter()
        .enumerate()
        .map(|(i, m)| ((m.client.as_str(), m.published_us, m.seq), i))
        .collect();
    for lane in &lanes.clients {
        place.entry(&lane.node).or_insert(rows.len());
        rows.push(client_row(lane, analysis, &messages, &outcomes));
    }
    let chains = Chains::of(run);
    let mut all = json!({
        "begin": lanes.begin_us, "from": lanes.shown_from_us, "end": lanes.end_us,
        "redis": lanes.redis.len(),
        "lanes": rows,
        "states": {
            "r": REDIS.map(|s| json!({"w": redis_word(s), "c": pair(|look| redis_color(s, look))})),
            "s": OPINIONS.map(|s| json!({"w": opinion_word(s), "c": pair(|look| opinion_color(s, look))})),
            "p": SERVERS.map(|s| json!({"w": server_word(s), "c": pair(|look| server_color(s, look))})),
        },
        "faults": lanes.faults.iter().map(|fault| json!({"from": fault.from_us, "to": fault.to_us, "label": fault.label,
            "net": fault.nodes.is_empty(), "groups": moment::groups(&fault.fault)})).collect::<Vec<_>>(),
        "two": analysis.masters.two.iter().map(|two| json!({"from": two.from_us, "to": two.to_us, "nodes": two.nodes}))
            .collect::<Vec<_>>(),
        "log": log_columns(run, &place, &servers, &chains),
        "messages": message_columns(analysis, &outcomes),
        "clients": clients(analysis),
        "outcomes": outcomes.words(),
        "fates": FATES.map(|(_, word)| word),
        "causes_of_loss": Cause::ALL.map(|cause| json!({"w": causes::words(cause),
            "count": analysis.ledger.sums.by_cause.get(cause.as_str()).copied().unwrap_or(0)})),
        "kinds": kinds(),
    });
    if !run.causes.is_empty() {
        all["causes"] = chains.columns();
    }
    if let Some(messages) = moment::messages(run, lanes.shown_from_us) {
        all["flights"] = messages;
    }
    all
}

/// Chains of causes as a forest: links that several lines share stand once.
#[derive(Default)]
struct Chains<'a> {
    /// The place of an event's link.
    place: BTreeMap<u32, usize>,
    links: Vec<&'a super::CausalLink>,
    before: Vec<i64>,
}

/// How many links of a chain are kept beyond the line itself.
const LINKS: usize = 8;

impl<'a> Chains<'a> {
    fn of(run: &RunReport<'a>) -> Chains<'a> {
        let mut chains = Chains::default();
        for chain in run.causes.values() {
            let mut child: Option<usize> = None;
            for link in chain.iter().take(LINKS) {
                let known = chains.place.get(&link.event).copied();
                let place = known.unwrap_or(chains.links.len());
                if let Some(child) = child {
                    chains.before[child] = place as i64;
                }
                if known.is_none() {
                    chains.place.insert(link.event, place);
                    chains.links.push(link);
                    chains.before.push(-1);
                }
                child = Some(place);
            }
        }
        chains
    }

    fn of_event(&self, event: EventId) -> i64 {
        self.place.get(&event.0).map_or(-1, |place| *place as i64)
    }

    fn columns(&self) -> Value {
        json!({
            "t": self.links.iter().map(|link| link.at_us).collect::<Vec<_>>(),
            "who": self.links.iter().map(|link| link.who.as_str()).collect::<Vec<_>>(),
            "text": self.links.iter().map(|link| link.text.as_str()).collect::<Vec<_>>(),
            "before": self.before,
        })
    }
}

/// What can become of an attempt, in the order in which it is stacked: good, failed but delivered, one for each cause,
/// failed write, lost write.
fn kinds() -> Vec<Value> {
    let mut kinds = vec![
        json!({"w": "ok", "c": pair(|look| look.good)}),
        json!({"w": "failed, but delivered", "c": pair(|_| palette::GREEN)}),
    ];
    for cause in Cause::ALL {
        kinds.push(
            json!({"w": format!("lost: {}", causes::words(cause)), "c": pair(|look| look.shade(causes::color(cause)))}),
        );
    }
    kinds.push(json!({"w": "failed", "c": pair(|look| blend(look.ink, look.paper, 0.75))}));
    kinds.push(json!({"w": "acknowledged, then lost", "c": pair(|look| look.shade(causes::LOST_WRITE))}));
    kinds
}

fn clients(analysis: &Analysis) -> Vec<&str> {
    let mut names: Vec<&str> = analysis.ledger.messages.iter().map(|message| message.client.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The words of outcomes that occur, and their numbers.
struct Outcomes(Vec<&'static str>);

impl Outcomes {
    fn of(lanes: &Lanes, analysis: &Analysis) -> Outcomes {
        let attempts = lanes.clients.iter().flat_map(|lane| &lane.attempts).map(|(_, outcome, _)| outcome.as_str());
        let words: BTreeSet<&'static str> =
            attempts.chain(analysis.ledger.messages.iter().map(|message| message.outcome.as_str())).collect();
        Outcomes(words.into_iter().collect())
    }

    fn number(&self, outcome: Outcome) -> usize {
        self.0.binary_search(&outcome.as_str()).expect("every outcome that occurs is in the table")
    }

    fn words(&self) -> &[&'static str] {
        &self.0
    }
}

/// Attempts from time 0 on, as everywhere else they are counted.
fn from_zero(lane: &ClientLane) -> usize {
    lane.attempts.iter().filter(|(at, ..)| *at >= 0).count()
}

fn client_row(
    lane: &ClientLane,
    analysis: &Analysis,
    messages: &BTreeMap<(&str, i64, u32), usize>,
    outcomes: &Outcomes,
) -> Value {
    let causes_at = 2;
    let (failed, lost) = (causes_at + Cause::ALL.len(), causes_at + Cause::ALL.len() + 1);
    let mut kind = Vec::with_capacity(lane.attempts.len());
    let mut message = Vec::new();
    for (at, outcome, seq) in &lane.attempts {
        let index =
            messages.get(&(lane.node.as_str(), *at, *seq)).filter(|_| lane.activity == Activity::Publish).copied();
        kind.push(match index.map(|i| &analysis.ledger.messages[i]) {
            Some(message) => match (message.cause, message.fate) {
                (Some(cause), _) => causes_at + cause as usize,
                (None, Fate::FailedButDelivered) => 1,
                (None, _) => 0,
            },
            None if *outcome != Outcome::Ok => failed,
            None if lane.activity == Activity::Set && analysis.ledger.writes.has_lost(&lane.node, *seq) => lost,
            None => 0,
        });
        message.push(index.map_or(-1, |i| i as i64));
    }
    let mut ops = json!({
        "t": deltas(lane.attempts.iter().map(|(at, ..)| *at)),
        "seq": deltas(lane.attempts.iter().map(|(_, _, seq)| i64::from(*seq))),
        "outcome": column(lane.attempts.iter().map(|(_, outcome, _)| outcomes.number(*outcome) as i64).collect()),
        "kind": column(kind.into_iter().map(|kind| kind as i64).collect()),
    });
    if lane.activity != Activity::Receive {
        ops["took"] = column(lane.took_us.clone());
    }
    if lane.activity == Activity::Publish {
        ops["message"] = deltas(message);
    }
    json!({"k": "c", "n": lane.node, "node": lane.node, "sub": format!("{}, n = {}", lane.activity, from_zero(lane)),
        "bars": bars(&lane.bars, &[Link::Open, Link::Closed]), "ops": ops})
}

fn log_columns(
    run: &RunReport<'_>,
    place: &BTreeMap<&str, usize>,
    servers: &BTreeMap<(&str, &str), usize>,
    chains: &Chains<'_>,
) -> Value {
    let recording = run.recording;
    let ids = text::ids(recording);
    let (mut t, mut lane, mut text, mut during, mut cause) = (vec![], vec![], vec![], vec![], vec![]);
    for record in &recording.records {
        let node = recording.names.node(record.node);
        let (words, server) = match &record.what {
            What::Event(event) if event.is_logged() => {
                let server = match event {
                    Event::Haproxy(HaproxyEvent::Server { server, .. }) => Some(recording.names.host(*server)),
                    _ => None,
                };
                (named(&event.text(&recording.names), &ids), server)
            }
            What::Op(Op::Connect(how)) => (format!("connection: {}", how.as_str()), None),
            _ => continue,
        };
        let found = server.and_then(|server| servers.get(&(node, server))).or_else(|| place.get(node));
        if let Some(row) = found {
            t.push(recording.micros(record.time));
            lane.push(*row);
            text.push(words);
            during.push(record.during.0);
            cause.push(chains.of_event(record.during));
        }
    }
    let mut columns = json!({"t": deltas(t), "lane": lane, "text": text});
    if during.iter().any(|number| *number != 0) {
        columns["during"] = json!(during);
    }
    if !run.causes.is_empty() {
        columns["cause"] = json!(cause);
    }
    columns
}

fn message_columns(analysis: &Analysis, outcomes: &Outcomes) -> Value {
    let all = &analysis.ledger.messages;
    let names = clients(analysis);
    let column = |f: &dyn Fn(&crate::analysis::ledger::Message) -> i64| column(all.iter().map(f).collect());
    let fate = |fate: Fate| FATES.iter().position(|(f, _)| *f == fate).expect("every fate is in the table") as i64;
    let client = |name: &str| names.binary_search(&name).expect("every publisher is in the list") as i64;
    json!({
        "t": deltas(all.iter().map(|m| m.published_us)),
        "seq": deltas(all.iter().map(|m| i64::from(m.seq))),
        "client": column(&|m| client(&m.client)),
        "outcome": column(&|m| outcomes.number(m.outcome) as i64),
        "took": column(&|m| m.took_us),
        "receivers": column(&|m| m.receivers.map_or(-1, i64::from)),
        "count": column(&|m| m.received.len() as i64),
        "after": column(&|m| m.received.first().map_or(0, |(_, at)| at - m.published_us)),
        "fate": column(&|m| fate(m.fate)),
        "cause": column(&|m| m.cause.map_or(-1, |cause| cause as i64)),
    })
}
