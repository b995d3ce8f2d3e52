//! The report: one HTML file that needs no network and no other file.
//!
//! Its static part (figures, tables, charts) can be read without scripts; the timeline that can be zoomed and the table of
//! messages are drawn by `assets/report.js` with D3 from data that the file holds in columns, so that a hundred thousand
//! events are a few megabytes. Scales, axes, zooming and searching are D3's.

mod data;

use std::fmt::Write as _;

use super::chart::{Chart, Look, Theme, palette};
use super::lanes::Lanes;
use super::latency::LatencyChart;
use super::loss::LossChart;
use super::page::STYLE;
use super::timeline::{LANES_MAX, Timeline};
use super::words::{counts, ending_words, escape};
use super::{RunReport, causes, moment};
use crate::analysis::Analysis;
use crate::analysis::ledger::Cause;
use crate::analysis::metrics::{self, Figure, Metric, Unit};
use crate::analysis::phases::{Failover, Phase};
use crate::record::Source;

pub(super) use data::column;

const D3: &str = include_str!("assets/d3.v5.min.js");
const D3_LICENSE: &str = include_str!("assets/d3.LICENSE");
const SCRIPT: &str = include_str!("assets/report.js");

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
    out.push_str(&data::data(run, &lanes.at_most(LANES_MAX).0).to_string().replace('<', "\\u003c"));
    let _ = writeln!(out, "</script>\n<script>\n/*\n{D3_LICENSE}*/\n{D3}\n</script>\n<script>\n{SCRIPT}</script>");
    let _ = writeln!(out, "<script>\n{}</script>", moment::SCRIPT);
    out.push_str("</body>\n</html>\n");
    out
}

/// Whether a report tells what led to each line.
pub(super) fn tells_causes(report: &str) -> bool {
    report.contains("\"causes\":{\"before\":")
}

/// So many names of nodes are explained.
const NAMES_MAX: usize = 12;

fn seconds(us: i64) -> String {
    let text = format!("{:.3}", us as f64 / 1e6);
    text.replace('-', "−")
}

/// What the scenario says about itself.
fn description(scenario_toml: &str) -> Option<String> {
    let table: toml::Table = scenario_toml.parse().ok()?;
    table.get("description")?.as_str().filter(|text| !text.is_empty()).map(str::to_string)
}

/// The nodes that are called otherwise than the scenario's keys: `cache-a is redis-1, …`.
pub(super) fn names(scenario_toml: &str) -> Option<String> {
    let table: toml::Table = scenario_toml.parse().ok()?;
    let own = |key: &str, node: &toml::Value| Some(format!("{} is {key}", node.as_table()?.get("name")?.as_str()?));
    let nodes = ["redis", "sentinel"].into_iter().filter_map(|kind| table.get(kind)?.as_table()).flatten();
    let proxy = table.get("haproxy").and_then(|proxy| own("haproxy", proxy));
    let all: Vec<String> = nodes.filter_map(|(key, node)| own(key, node)).chain(proxy).collect();
    let more = if all.len() > NAMES_MAX { format!(", and {} more", all.len() - NAMES_MAX) } else { String::new() };
    let shown = all[..all.len().min(NAMES_MAX)].join(", ");
    (!all.is_empty()).then(|| format!("Names: {shown}{more} in the scenario."))
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
    for text in [names(run.scenario_toml), description(run.scenario_toml)].into_iter().flatten() {
        let _ = writeln!(out, "<p>{}</p>", escape(&text));
    }
    out.push_str(
        "<nav aria-label=\"Parts of the report\"><a href=\"#timeline\">Timeline</a> <a href=\"#moment\">At a moment</a> <a \
         href=\"#phases\">Where the time went</a> <a href=\"#losses\">Losses and latency</a> <a href=\"#ledger\">Ledger</a> <a href=\"#log\">Log</a> \
         <a href=\"#clients\">Clients</a> <a href=\"#metrics\">Metrics</a> <a href=\"#reproduce\">How to reproduce</a></nav>\n",
    );
    write_facts(out, run);
}

/// What is asked first, in large type.
fn write_facts(out: &mut String, run: &RunReport<'_>) {
    let analysis = run.analysis;
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
