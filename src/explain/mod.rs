//! Why: answers in words, from the causes that a run keeps.
//!
//! A run is deterministic, so a question about it can be asked afterwards: the same scenario and seed are run again with
//! the trace on, and the answer is read from what the programs heard, did and noted ([`Traced`]). What would have
//! happened with another setting is found in the same way, by running that. Where there is only a recording, real or
//! simulated, the answer is read from its lines, as far as they go, and says so.
//!
//! | question | file |
//! | --- | --- |
//! | what became of a message, and why | `message`, `trail` |
//! | what became of a write, and why | `write`, `trail` |
//! | what took how long in a failover, and which setting decides it | `failover`, `what_if` |
//! | why no failover happened between two instants | `between` |
//! | what is worth asking about a run | `summary`, `traps` |
//! | what led to an event | `causes` |

mod between;
mod causes;
mod failover;
mod flights;
mod lines;
mod manner;
mod message;
mod proxy;
mod run;
mod seen;
mod sentinels;
mod story;
mod summary;
#[cfg(test)]
mod tests;
pub mod text;
mod trail;
mod traps;
mod what_if;
mod words;
mod write;

pub use causes::causes;
pub use manner::hints;
pub use run::Traced;

use serde::Serialize;

use crate::analysis::Analysis;
use crate::record::Recording;

/// An answer in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// What was asked.
    pub question: String,
    /// The answer in a sentence or two.
    pub answer: String,
    /// What it rests on.
    pub basis: Basis,
    /// What led to it, in order of time.
    pub steps: Vec<Step>,
    /// Figures.
    pub tables: Vec<Table>,
    /// What else there is to know: limits, and rules that people get wrong.
    pub remarks: Vec<String>,
    /// Questions that follow.
    pub ask_next: Vec<Ask>,
}

/// What an answer rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Every event of the run with its cause.
    Trace,
    /// The lines of a recording alone.
    Lines,
}

/// One step of a chain of causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When, in microseconds since time 0.
    pub at_us: i64,
    /// Who.
    pub who: String,
    /// What happened.
    pub text: String,
    /// The rule behind it, with the timer that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The settings that the rule goes by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// The number of the event in the trace of the run; none where only lines are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u32>,
}

/// A setting by the name under which a scenario has it, and its value in this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `sentinel.down-after-milliseconds`, `haproxy.inter`, …
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A table of figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
}

/// A question that follows, as arguments of `sim explain RUN`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// The arguments: `--message 17`.
    pub arguments: String,
    /// Why it is worth asking.
    pub why: String,
}

/// What is known of a run.
pub enum Subject {
    /// Everything: it was run again with the trace on.
    Traced(Box<Traced>),
    /// The lines of a recording.
    Lines(Box<(Recording, Analysis)>),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// What is worth asking.
    Summary,
    /// What became of a message: its number, and its publisher if there are several.
    Message(Option<String>, u32),
    /// What became of a write: its number, and its client if there are several.
    Write(Option<String>, u32),
    /// What took how long: the number of the attempt, from 1.
    Failover(usize),
    /// Why no failover happened between two instants, in microseconds since time 0.
    Between(i64, i64),
}

/// A question that has no answer: what is wrong with it, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct NoAnswer {
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

#[cfg(feature = "cli")]
impl miette::Diagnostic for NoAnswer {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(&self.remedy))
    }
}

impl NoAnswer {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> NoAnswer {
        NoAnswer { problem: problem.into(), remedy: remedy.into() }
    }
}

impl Subject {
    /// The recording.
    pub fn recording(&self) -> &Recording {
        match self {
            Subject::Traced(run) => &run.result.recording,
            Subject::Lines(run) => &run.0,
        }
    }

    /// What follows from it.
    pub fn analysis(&self) -> &Analysis {
        match self {
            Subject::Traced(run) => &run.analysis,
            Subject::Lines(run) => &run.1,
        }
    }

    fn basis(&self) -> Basis {
        match self {
            Subject::Traced(_) => Basis::Trace,
            Subject::Lines(_) => Basis::Lines,
        }
    }

    /// Answers a question.
    pub fn explain(&self, question: &Question) -> Result<Explanation, NoAnswer> {
        let mut explanation = match question {
            Question::Summary => summary::summary(self),
            Question::Message(client, seq) => message::message(self, client.as_deref(), *seq)?,
            Question::Write(client, seq) => write::write(self, client.as_deref(), *seq)?,
            Question::Failover(number) => failover::failover(self, *number)?,
            Question::Between(from, to) => between::between(self, *from, *to)?,
        };
        explanation.steps.sort_by_key(|step| step.at_us);
        Ok(explanation)
    }
}

impl Explanation {
    fn new(subject: &Subject, question: impl Into<String>) -> Explanation {
        Explanation {
            question: question.into(),
            answer: String::new(),
            basis: subject.basis(),
            steps: Vec::new(),
            tables: Vec::new(),
            remarks: Vec::new(),
            ask_next: Vec::new(),
        }
    }
}

impl Step {
    fn new(at_us: i64, who: impl Into<String>, text: impl Into<String>) -> Step {
        Step { at_us, who: who.into(), text: text.into(), rule: None, settings: Vec::new(), event: None }
    }

    fn rule(mut self, rule: impl Into<String>) -> Step {
        self.rule = Some(rule.into());
        self
    }

    fn set(mut self, name: &str, value: impl ToString) -> Step {
        self.settings.push(Setting { name: name.into(), value: value.to_string() });
        self
    }

    fn event(mut self, event: crate::kernel::EventId) -> Step {
        self.event = (event.0 > 0).then_some(event.0);
        self
    }
}

impl Table {
    fn new(title: impl Into<String>, columns: &[&str]) -> Table {
        Table { title: title.into(), columns: columns.iter().map(|name| name.to_string()).collect(), rows: Vec::new() }
    }
}
