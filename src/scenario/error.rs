//! What is wrong with a scenario file, where, and what would be right.

use std::fmt;
use std::ops::Range;

use crate::excerpt::Excerpt;
use crate::record::visible;

/// So many problems are told; of the others, how many there are.
const SHOWN: usize = 20;

/// A scenario file was refused: what is wrong with it, in the order of the file; of many problems the first twenty.
#[derive(Debug)]
pub struct ScenarioError {
    source_name: String,
    problems: Vec<Problem>,
    count: usize,
}

impl ScenarioError {
    /// The problems, in the order of the file: the first twenty. There is at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The file could not be read at all.
    pub(super) fn unreadable(source_name: &str, error: &std::io::Error) -> Self {
        let problem = Problem {
            message: format!("cannot read it: {}", crate::limits::system_says(error)),
            text: None,
            labels: Vec::new(),
            help: Some("give the path of a scenario file (TOML)".to_owned()),
        };
        ScenarioError { source_name: source_name.to_owned(), problems: vec![problem], count: 1 }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.count {
            1 => "1 problem".to_owned(),
            n if n > SHOWN => format!("{n} problems, of which these are the first {SHOWN}"),
            n => format!("{n} problems"),
        };
        write!(f, "{} cannot be run: {count}", self.source_name)
    }
}

impl std::error::Error for ScenarioError {}

#[cfg(feature = "cli")]
impl miette::Diagnostic for ScenarioError {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn miette::Diagnostic)))
    }
}

/// One thing that is wrong with a scenario file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    message: String,
    text: Option<Excerpt>,
    /// What is said under which part of the text; the first is the place of the problem.
    labels: Vec<(Range<usize>, String)>,
    help: Option<String>,
}

impl Problem {
    /// File, line, column (both from 1, the column in characters) of the offending text.
    pub fn place(&self) -> Option<(&str, usize, usize)> {
        let text = self.text.as_ref()?;
        let before = &text.text()[..self.labels.first()?.0.start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        Some((text.name(), line, column))
    }

    /// The offending text itself.
    pub fn offending(&self) -> Option<&str> {
        let (span, _) = self.labels.first()?;
        self.text.as_ref()?.text().get(span.clone())
    }

    /// What would be right.
    pub fn remedy(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

#[cfg(feature = "cli")]
impl miette::Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.text.as_ref().map(|text| text as &dyn miette::SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let label = |(n, (span, label)): (usize, &(Range<usize>, String))| match n {
            0 => miette::LabeledSpan::new_primary_with_span(Some(label.clone()), span.clone()),
            _ => miette::LabeledSpan::at(span.clone(), label.clone()),
        };
        Some(Box::new(self.labels.iter().enumerate().map(label)))
    }
}

/// A problem as the checks find it: byte ranges, but no text yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    message: String,
    labels: Vec<(Range<usize>, String)>,
    help: Option<String>,
}

impl Finding {
    /// Something is wrong at `span`; `label` says under the text what.
    pub(super) fn new(message: impl Into<String>, span: Range<usize>, label: impl Into<String>) -> Self {
        Finding { message: message.into(), labels: vec![(span, label.into())], help: None }
    }

    /// Points at a second place that matters.
    pub(super) fn and(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Says what would be right.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The text of a file, followed in one address space by the overrides given beside it.
///
/// Every part has a range of byte offsets of its own, so that a range tells which part it lies in.
#[derive(Debug)]
pub(super) struct Sources {
    parts: Vec<(usize, Excerpt)>,
    end: usize,
}

impl Sources {
    /// A file alone.
    pub(super) fn new(name: &str, text: &str) -> Self {
        let mut sources = Sources { parts: Vec::new(), end: 0 };
        sources.add(name, text);
        sources
    }

    /// Adds a part; returns the offset at which it begins.
    pub(super) fn add(&mut self, name: &str, text: &str) -> usize {
        let start = self.end;
        self.parts.push((start, Excerpt::new(name, text)));
        // One more than the text, so that a range at the very end of a part belongs to it alone.
        self.end += text.len() + 1;
        start
    }

    /// The error that tells of all `findings`.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn refuse(&self, mut findings: Vec<Finding>) -> ScenarioError {
        assert!(!findings.is_empty(), "a refusal has a reason");
        findings.sort_by_key(|finding| finding.labels.first().map(|(span, _)| span.start));
        findings.dedup();
        let count = findings.len();
        let problems = findings.into_iter().take(SHOWN).map(|finding| self.problem(finding)).collect();
        ScenarioError { source_name: self.parts[0].1.name().to_owned(), problems, count }
    }

    fn problem(&self, finding: Finding) -> Problem {
        let Finding { message, labels, help } = finding;
        let start = labels.first().map_or(0, |(span, _)| span.start);
        let (offset, text) = self.parts.iter().rev().find(|(offset, _)| *offset <= start).expect("parts begin at zero");
        let inside = *offset..offset + text.text().len();
        let labels = labels
            .into_iter()
            .filter(|(span, _)| inside.start <= span.start && span.end <= inside.end)
            .map(|(span, label)| (span.start - offset..span.end - offset, visible(&label).into_owned()))
            .collect();
        // A message repeats what the file says.
        let message = visible(&message).into_owned();
        let help = help.map(|help| visible(&help).into_owned());
        Problem { message, text: Some(text.clone()), labels, help }
    }
}
