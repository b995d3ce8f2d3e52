//! Always: a run's own recording, written and read again, says what the run says: the same lines, the same ledger, the same
//! figures.
//!
//! Source: the recording's format; `sim plot` and `sim explain` work on a recording as well as on a run.

use super::{Answer, Kind, Property, RECORDING};
use crate::analysis::Analysis;
use crate::explore::observe::{Run, watched};
use crate::record::Recording;

pub(super) const PROPERTY: Property = Property {
    name: "recording-reads-back",
    kind: Kind::Always,
    says: "a recording that is read again says what the run said",
    source: "the recording's format",
    needs: RECORDING,
    check: |run| check(run, &run.recording().to_jsonl()),
};

fn check(run: &Run, written: &str) -> Answer {
    match watched(|| differs(run, written)) {
        Ok(None) => Answer::Holds,
        Ok(Some(what)) => Answer::at_end(run, what),
        Err(panic) => Answer::at_end(run, format!("it cannot be read again: {}", panic.message)),
    }
}

/// How a written recording differs from its run.
fn differs(run: &Run, written: &str) -> Option<String> {
    let read = match Recording::parse("the recording", written) {
        Ok(read) => read,
        Err(error) => return Some(format!("its recording is refused: {error}")),
    };
    let again = read.to_jsonl();
    if let Some((first, second)) = written.lines().zip(again.lines()).find(|(first, second)| first != second) {
        return Some(format!("a line reads back as another one: {first} became {second}"));
    }
    let count = |text: &str| text.lines().count();
    if count(written) != count(&again) {
        return Some(format!("{} lines read back as {}", count(written), count(&again)));
    }
    let (here, there) = (&run.analysis, Analysis::of(&read, None));
    let (mine, its) = (here.figures(), there.figures());
    if mine != its {
        return Some(format!("its figures read back as others: {}", first_difference(&mine, &its)));
    }
    if let Some((first, second)) = here.ledger.messages.iter().zip(&there.ledger.messages).find(|(a, b)| a != b) {
        return Some(format!("message {} of {} reads back as {second:?}", first.seq, first.client));
    }
    (here.ledger.sets != there.ledger.sets).then(|| "a write reads back as another one".to_string())
}

fn first_difference(mine: &impl std::fmt::Debug, its: &impl std::fmt::Debug) -> String {
    let (mine, its) = (format!("{mine:#?}"), format!("{its:#?}"));
    let pair = mine.lines().zip(its.lines()).find(|(mine, its)| mine != its);
    pair.map_or_else(String::new, |(mine, its)| format!("{} became {}", mine.trim(), its.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::observe::{Case, Needs, observe};
    use crate::scenario::Scenario;

    #[test]
    fn a_recording_that_says_something_else_is_found() {
        let text = "duration = '12s'\n[[fault]]\nat = '0s'\naction = 'kill'\nnode = 'redis-1'\n";
        let scenario = Scenario::parse("a.toml", text).expect("a right file");
        let run = observe(&Case { scenario, seed: 3 }, Needs::default()).expect("no invariant breaks");
        let written = run.recording().to_jsonl();
        assert_eq!(check(&run, &written), Answer::Holds);
        let found = |text: &str| match check(&run, text) {
            Answer::Found(finding) => finding.what,
            other => panic!("nothing was found: {other:?}"),
        };
        let last = written.rfind("\"op\":\"publish\"").expect("it publishes");
        let begin = written[..last].rfind('\n').expect("the header stands before it") + 1;
        let end = begin + written[begin..].find('\n').expect("each line ends") + 1;
        let without = format!("{}{}", &written[..begin], &written[end..]);
        assert!(found(&without).contains("its figures read back as others"), "{}", found(&without));
        let failed = written.replace("\"outcome\":\"connect-refused\"", "\"outcome\":\"connect-timeout\"");
        if failed != written {
            assert!(!found(&failed).is_empty());
        }
        assert!(found("{}").contains("its recording is refused"));
        assert!(found(&written.replacen("\"ms\":", "\"ms\":0", 1)).contains("is refused"));
    }
}
