//! Always: a recording that is written and read says the same: the same lines again, and the same figures.
//!
//! Source: a recording is what `sim plot`, `explain`, `compare` and `diff` know of a run.

use super::{Answer, Finding, Kind, Property, RECORDING};
use crate::analysis::{Analysis, RunFacts, Summary};
use crate::explore::observe::Run;
use crate::record::Recording;

pub(super) const PROPERTY: Property = Property {
    name: "recording-reads-back",
    kind: Kind::Always,
    says: "a recording that is written and read has the same lines and gives the same figures",
    source: "record::file",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    let found = |what| Answer::Found(Finding { at_us: None, what });
    let text = run.recording().to_jsonl();
    let again = match Recording::parse("recording.jsonl", &text) {
        Ok(again) => again,
        Err(error) => return found(format!("its own recording is refused: {error}")),
    };
    if let Some(what) = difference("line", &text, &again.to_jsonl()) {
        return found(what);
    }
    let lost =
        run.result.lost_writes.iter().filter_map(|(node, seq)| Some((again.names.find_node(run.name(*node))?, *seq)));
    let read = Analysis::of(&again, Some(&lost.collect::<Vec<_>>()));
    match difference("line of the summary", &figures(&run.analysis), &figures(&read)) {
        Some(what) => found(what),
        None => Answer::Holds,
    }
}

fn figures(analysis: &Analysis) -> String {
    let facts = RunFacts { version: String::new(), digest: String::new(), events: 0 };
    Summary::new(analysis, None, &facts).to_json()
}

/// The first line in which two texts differ.
fn difference(what: &str, written: &str, read: &str) -> Option<String> {
    if written == read {
        return None;
    }
    let mut pairs = written.lines().zip(read.lines().chain(std::iter::repeat(""))).zip(1..);
    let ((written, read), number) = pairs.find(|((written, read), _)| written != read)?;
    Some(format!("{what} {number} is {written} when it is written, and {read} when it was read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found() {
        assert_eq!(difference("line", "a\nb\n", "a\nb\n"), None);
        let other = difference("line", "a\nb\n", "a\nc\n").expect("they differ");
        assert_eq!(other, "line 2 is b when it is written, and c when it was read");
        assert!(difference("line", "a\nb\n", "a\n").expect("one is shorter").contains("line 2 is b"));
    }
}
