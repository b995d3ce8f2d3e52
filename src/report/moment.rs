//! The part of a report that shows the stack at one moment, and the messages around it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{RunReport, flights};
use crate::record::Fault;

/// What draws it.
pub(super) const SCRIPT: &str = include_str!("assets/moment.js");

/// The part, empty until the script fills it.
pub(super) fn write(out: &mut String, run: &RunReport<'_>) {
    let messages = match run.flights.is_empty() {
        true => "<p class=\"hint\">Only the lines of this run are known, not its messages.</p>",
        false => {
            "<div id=\"moment-families\" class=\"tools\" role=\"group\" aria-label=\"Which messages are shown\"></div>\n\
             <div id=\"moment-list\" tabindex=\"0\" role=\"region\" aria-label=\"Messages around this moment\"></div>"
        }
    };
    let _ = writeln!(
        out,
        "<h2 id=\"moment\">At a moment</h2>\n<p class=\"script-hidden\">The stack at each moment is drawn by a script.</p>\n\
         <div id=\"moment-view\" class=\"no-script-hidden\" tabindex=\"0\" aria-label=\"The stack at one moment; space plays, \
         comma and full stop step through the messages\">\n\
         <div class=\"tools\"><button type=\"button\" data-moment=\"before\" title=\"Previous message (,)\">◀ Step</button>\
         <button type=\"button\" data-moment=\"play\" title=\"Play or pause (space)\">Play</button>\
         <button type=\"button\" data-moment=\"after\" title=\"Next message (.)\">Step ▶</button>\
         <label>Speed <select id=\"moment-speed\"><option value=\"step\">message by message</option><option value=\"1\">1 ×</option>\
         <option value=\"0.1\">1/10</option><option value=\"0.01\">1/100</option></select></label>\
         <output id=\"moment-time\"></output>\
         <button type=\"button\" data-moment=\"link\">Copy link</button></div>\n\
         <input id=\"moment-slider\" type=\"range\" aria-label=\"Moment\">\n<div id=\"moment-marks\" aria-hidden=\"true\"></div>\n\
         <div id=\"moment-both\"><div id=\"moment-topology\"></div><div>{messages}</div></div>\n\
         <p class=\"hint\">With the keyboard in this part: <kbd>space</kbd> play and pause, <kbd>,</kbd> <kbd>.</kbd> previous and next \
         message, <kbd>n</kbd> <kbd>p</kbd> next and previous log line. #at=5.386 in the address leads to a moment.</p>\n\
         <div id=\"moment-live\" class=\"sr\" aria-live=\"polite\"></div></div>"
    );
}

/// The messages as the script reads them; none of a run without its trace.
pub(super) fn messages(run: &RunReport<'_>, from_us: i64) -> Option<Value> {
    if run.flights.is_empty() {
        return None;
    }
    let nodes: Vec<&str> = run.recording.names.nodes.iter().map(|node| node.name.as_str()).collect();
    let (kept, left) = flights::kept(run.flights, from_us);
    Some(flights::columns(&kept, &left, &nodes))
}

/// Who is cut off from whom by a fault: groups of hosts, of which those of different ones do not reach each other.
pub(super) fn groups(fault: &Fault) -> Value {
    match fault {
        Fault::Partition { groups } => json!(groups),
        Fault::Cut { from, to } => json!([from, to]),
        _ => Value::Null,
    }
}
