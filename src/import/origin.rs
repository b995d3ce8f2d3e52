//! Where a value comes from.
//!
//! Whoever is told that a number is wrong, or was assumed, must find it: so every value that the reading of a stack gives
//! carries the line in which it stands, and, if it came through others (`.env` → compose file → a placeholder in
//! sentinel.conf), that way.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::limits::IMPORT_LINES_MAX;

/// A line of a file of the stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The path of the file, relative to the folder that was given.
    pub file: Arc<str>,
    /// Its line, from 1.
    pub line: usize,
}

impl Place {
    /// The place in `file` at `line`.
    pub fn new(file: &Arc<str>, line: usize) -> Place {
        Place { file: file.clone(), line: line.max(1) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// How a value got where it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where it is written.
    pub place: Place,
    /// Through which lines it came, nearest to the program last, each with what stood there.
    pub through: Vec<String>,
    /// How the text is put together, if it stands in several lines or holds values from elsewhere.
    pub seams: Option<Arc<Seams>>,
}

/// How a text of several lines, or with values from elsewhere in it, is put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seams {
    /// From which byte on it stands in which line of the file, in order.
    pub lines: Vec<(usize, usize)>,
    /// Which bytes come from elsewhere, and whence, in order.
    pub parts: Vec<(Range<usize>, Origin)>,
}

impl Seams {
    /// The lines that begin within some bytes.
    fn lines_in(&self, bytes: &Range<usize>) -> &[(usize, usize)] {
        let before = |at: usize| self.lines.partition_point(|(from, _)| *from < at);
        self.lines.get(before(bytes.start)..before(bytes.end)).unwrap_or_default()
    }

    /// The parts that lie within some bytes.
    fn parts_in(&self, bytes: &Range<usize>) -> &[(Range<usize>, Origin)] {
        let first = self.parts.partition_point(|(part, _)| part.start < bytes.start);
        let behind = self.parts.partition_point(|(part, _)| part.end <= bytes.end);
        self.parts.get(first..behind).unwrap_or_default()
    }

    /// Where all of some bytes come from, if that is one part.
    fn all_of(&self, bytes: &Range<usize>) -> Option<&Origin> {
        let n = self.parts.partition_point(|(part, _)| part.start <= bytes.start).checked_sub(1)?;
        let (part, origin) = &self.parts[n];
        (part.end >= bytes.end && !bytes.is_empty()).then_some(origin)
    }
}

impl Origin {
    /// The origin of what stands at `place`.
    pub fn at(place: Place) -> Origin {
        Origin { place, through: Vec::new(), seams: None }
    }

    /// The same with what is known of how the text is put together.
    pub fn with(mut self, seams: Seams) -> Origin {
        let known = !seams.parts.is_empty() || seams.lines.iter().any(|(_, line)| *line != self.place.line);
        self.seams = known.then(|| Arc::new(seams));
        self
    }

    /// The line in which the byte `at` of the text stands.
    pub fn place_at(&self, at: usize) -> Place {
        let lines = self.seams.as_ref().map_or(&[] as &[(usize, usize)], |seams| seams.lines.as_slice());
        match lines.partition_point(|(from, _)| *from <= at).checked_sub(1) {
            Some(n) => Place::new(&self.place.file, lines[n].1),
            None => self.place.clone(),
        }
    }

    /// The origin of some bytes of the text: of what was put there, if that is all of them, else of their line.
    pub fn of_bytes(&self, bytes: Range<usize>) -> Origin {
        let Some(seams) = &self.seams else { return self.clone() };
        if let Some(origin) = seams.all_of(&bytes) {
            return origin.clone();
        }
        let moved = |part: &Range<usize>| part.start - bytes.start..part.end - bytes.start;
        let inner = Seams {
            lines: seams.lines_in(&bytes).iter().map(|(from, line)| (from - bytes.start, *line)).collect(),
            parts: seams.parts_in(&bytes).iter().map(|(part, origin)| (moved(part), origin.clone())).collect(),
        };
        let origin = Origin { place: self.place_at(bytes.start), through: self.through.clone(), seams: None };
        origin.with(inner)
    }

    /// The lines of `text`, which comes from here.
    pub fn lines(&self, text: &str) -> Vec<Line> {
        let (mut lines, mut from) = (Vec::new(), 0);
        for whole in text.split_inclusive('\n') {
            let line = whole.trim_end_matches(['\n', '\r']);
            let blank = line.len() - line.trim_start().len();
            let (begin, end) = (from, from + whole.len());
            from = end;
            let parts = self.seams.iter().flat_map(|seams| seams.parts_in(&(begin..end)));
            let parts = parts.filter_map(|(part, origin)| Some(Text::new(text.get(part.clone())?, origin.clone())));
            let origin = Origin::at(self.place_at(begin + blank));
            lines.push(Line { text: line.to_owned(), origin, parts: parts.collect() });
        }
        lines
    }

    /// The same value, put into the line at `place` for what stands there as `name`.
    pub fn put_into(&self, place: &Place, name: &str) -> Origin {
        let mut origin = Origin { seams: None, ..self.clone() };
        if origin.through.len() < 8 {
            origin.through.push(format!("{place} ({name})"));
        }
        origin
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        self.through.iter().try_for_each(|through| write!(f, " through {through}"))
    }
}

/// A text and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Text {
    /// `text` as it stands at `origin`.
    pub fn new(text: impl Into<String>, origin: Origin) -> Text {
        Text { text: text.into(), origin }
    }

    /// The place in which it is written.
    pub fn place(&self) -> &Place {
        &self.origin.place
    }
}

/// A line of a file that a program reads, which may be made of texts from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What stands in it.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
    /// What was put into it, and where that comes from.
    pub parts: Vec<Text>,
}

impl Line {
    /// A line that stands in a file as it is read.
    pub fn at(text: &str, place: Place) -> Line {
        Line { text: text.to_owned(), origin: Origin::at(place), parts: Vec::new() }
    }

    /// The origin of `word` in this line: that of the part that it is or holds, else the line's.
    pub fn origin_of(&self, word: &str) -> Origin {
        let whole = self.parts.iter().find(|part| part.text == word);
        let inside = || self.parts.iter().find(|part| !part.text.is_empty() && word.contains(&part.text));
        whole.or_else(inside).map_or_else(|| self.origin.clone(), |part| part.origin.clone())
    }
}

/// The lines of `text`, which is all of `file`.
pub(crate) fn lines_of(file: &Arc<str>, text: &str) -> Vec<Line> {
    text.lines().take(IMPORT_LINES_MAX).enumerate().map(|(n, line)| Line::at(line, Place::new(file, n + 1))).collect()
}
