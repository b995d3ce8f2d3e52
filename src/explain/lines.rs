//! Answers from the lines of a recording alone.

use super::{Explanation, Step, Subject};
use crate::analysis::ledger::Message;
use crate::report::causes::words;

/// What became of a message, as far as lines tell.
pub(super) fn message(subject: &Subject, entry: &Message, done: &mut Explanation) {
    let analysis = subject.analysis();
    let took = entry.took_us as f64 / 1e3;
    done.steps.push(Step::new(entry.published_us, &entry.client, format!("begins to publish message {}", entry.seq)));
    let receivers = entry.receivers.map_or(String::new(), |n| format!(", {n} receivers"));
    let text = format!("its attempt ends after {took:.3} ms: {}{receivers}", entry.outcome);
    done.steps.push(Step::new(entry.published_us + entry.took_us, &entry.client, text));
    for (who, at) in &entry.received {
        done.steps.push(Step::new(*at, who, "receives it"));
    }
    if let Some(route) = analysis.masters.route(entry.published_us) {
        let text = match (&route.server, route.running) {
            (_, false) => "does not run".to_string(),
            (Some(server), _) => format!("sends new sessions to {server}"),
            (None, _) => "has no server that is UP".to_string(),
        };
        done.steps.push(Step::new(entry.published_us, "haproxy", text));
    }
    let acting: Vec<&str> = analysis
        .masters
        .lanes
        .iter()
        .filter(|lane| lane.from_us <= entry.published_us && entry.published_us < lane.to_us)
        .map(|lane| lane.node.as_str())
        .collect();
    let acting = if acting.is_empty() { "nobody".to_string() } else { acting.join(" and ") };
    done.steps.push(Step::new(entry.published_us, "stack", format!("{acting} acts as master")));
    let why = entry.cause.map_or(String::new(), |cause| format!(" Most likely: {}.", words(cause)));
    done.answer = format!("Message {} of {}: {}.{why}", entry.seq, entry.client, entry.fate.as_str());
    done.remarks.push(
        "Read from the lines of the recording alone: which connection it took and who accepted it is concluded, not seen."
            .into(),
    );
}
