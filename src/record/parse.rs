//! What log lines are taken apart with.

use super::Names;
use crate::wire::Ip;

impl Names {
    /// Remembers the identities in a line of a file, so that they can be typed and print as they were.
    /// Of two identities with the same first sixteen digits only the first is remembered.
    pub fn learn_ids(&mut self, text: &str) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            if let Some(number) = id_number(word).filter(|number| *number != 0) {
                self.ids.entry(number).or_insert_with(|| word.into());
            }
        }
    }
}

fn id_number(word: &str) -> Option<u64> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (word.len() == 40 && word.bytes().all(digit)).then(|| u64::from_str_radix(&word[..16], 16).ok()).flatten()
}

/// What is left of a line. Every step either takes its part off the front or gives up.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    rest: &'a str,
    names: &'a Names,
}

impl<'a> Scan<'a> {
    pub(super) fn of(text: &'a str, names: &'a Names) -> Scan<'a> {
        Scan { rest: text, names }
    }

    pub(super) fn names(&self) -> &'a Names {
        self.names
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn lit(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// The characters at the front that are so.
    pub(super) fn take_while(&mut self, so: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !so(c)).unwrap_or(self.rest.len());
        let (front, rest) = self.rest.split_at(end);
        self.rest = rest;
        front
    }

    /// What stands before `next`, or all if that says nothing.
    pub(super) fn before(&mut self, next: &str) -> Option<&'a str> {
        let end = if next.is_empty() { self.rest.len() } else { self.rest.find(next)? };
        let (front, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(front)
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.take_while(|c| c.is_ascii_digit()).parse().ok()
    }

    /// A host's name, and the mark behind it.
    pub(super) fn ip(&mut self, mark: &str) -> Option<Ip> {
        let word = self.before(mark)?;
        self.lit(mark)?;
        self.names.find_ip(word)
    }

    /// Forty digits.
    pub(super) fn id(&mut self) -> Option<u64> {
        let word = self.rest.get(..40)?;
        self.rest = &self.rest[40..];
        id_number(word)
    }
}
