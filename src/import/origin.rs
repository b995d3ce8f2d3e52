//! Where a value comes from.
//!
//! Whoever is told that a number is wrong, or was assumed, must find it: so every value that the reading of a stack gives
//! carries the line in which it stands, and, if it came through others (`.env` → compose file → a placeholder in
//! sentinel.conf), that way.

use std::fmt;
use std::sync::Arc;

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
}

impl Origin {
    /// The origin of what stands at `place`.
    pub fn at(place: Place) -> Origin {
        Origin { place, through: Vec::new() }
    }

    /// The same value, put into the line at `place` for what stands there as `name`.
    pub fn put_into(&self, place: &Place, name: &str) -> Origin {
        let mut origin = self.clone();
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
pub fn lines_of(file: &Arc<str>, text: &str) -> Vec<Line> {
    text.lines().enumerate().map(|(n, line)| Line::at(line, Place::new(file, n + 1))).collect()
}
