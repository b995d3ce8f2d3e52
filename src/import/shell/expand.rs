//! Words with their variables, quotes and substitutions replaced.

use super::{Shell, UNKNOWN, bounded};
use crate::import::origin::{Line, Origin, Place, Text};

/// So deep may defaults be nested.
const DEPTH_MAX: usize = 10;

/// What comes of a word while it is expanded.
#[derive(Default)]
struct Expansion {
    words: Vec<String>,
    word: String,
    /// Whether the word is there even if it is empty.
    open: bool,
    origin: Option<Origin>,
    parts: Vec<Text>,
}

impl Shell<'_, '_> {
    /// A word expanded and, where it is not quoted, split.
    pub(super) fn expand(&mut self, word: &str, place: &Place) -> Vec<Text> {
        if word == "\"$@\"" || word == "$@" || word == "$*" || word == "${@}" || word == "\"${@}\"" {
            return self.positional.clone();
        }
        let mut out = Expansion::default();
        self.word(word, place, &mut out, true, 0);
        self.parts.extend(out.parts.iter().cloned());
        if out.open || !out.word.is_empty() {
            out.words.push(std::mem::take(&mut out.word));
        }
        let origin = match (&out.origin, out.words.len()) {
            (Some(origin), 1) if out.parts.iter().any(|part| part.text == out.words[0]) => origin.clone(),
            _ => Origin::at(place.clone()),
        };
        out.words.into_iter().map(|word| Text::new(bounded(word), origin.clone())).collect()
    }

    /// A word expanded and not split.
    pub(super) fn expand_one(&mut self, word: &str, place: &Place) -> String {
        self.expand_from(word, place).0
    }

    /// A word expanded and not split, with where its value comes from.
    pub(super) fn expand_from(&mut self, word: &str, place: &Place) -> (String, Origin) {
        let mut out = Expansion::default();
        self.word(word, place, &mut out, false, 0);
        let origin = out.origin.filter(|_| out.parts.iter().any(|part| part.text == out.word));
        (bounded(out.word), origin.unwrap_or_else(|| Origin::at(place.clone())))
    }

    /// A line of a here-document: variables, and no quotes.
    pub(super) fn expand_line(&mut self, text: &str, place: &Place) -> Line {
        let mut out = Expansion::default();
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            match chars[at] {
                '\\' if matches!(chars.get(at + 1), Some('$' | '`' | '\\')) => {
                    out.word.push(chars[at + 1]);
                    at += 2;
                }
                '$' => at = self.dollar(&chars, at, place, &mut out, false, 0),
                '`' => at = unknown(&chars, at, '`', &mut out),
                c => {
                    out.word.push(c);
                    at += 1;
                }
            }
        }
        Line { text: bounded(out.word), origin: Origin::at(place.clone()), parts: out.parts }
    }

    fn word(&mut self, word: &str, place: &Place, out: &mut Expansion, split: bool, depth: usize) {
        let chars: Vec<char> = word.chars().collect();
        let (mut at, mut double) = (0, false);
        while at < chars.len() {
            match chars[at] {
                '\'' if !double => {
                    out.open = true;
                    at += 1;
                    while at < chars.len() && chars[at] != '\'' {
                        out.word.push(chars[at]);
                        at += 1;
                    }
                    at += 1;
                }
                '"' => {
                    double = !double;
                    out.open = true;
                    at += 1;
                }
                '\\' if !double || matches!(chars.get(at + 1), Some('$' | '`' | '"' | '\\')) => {
                    out.word.extend(chars.get(at + 1));
                    at += 2;
                }
                '$' => at = self.dollar(&chars, at, place, out, split && !double, depth),
                '`' => at = unknown(&chars, at, '`', out),
                c => {
                    out.word.push(c);
                    at += 1;
                }
            }
        }
    }

    /// What a `$` at `at` means; answers where the text goes on.
    fn dollar(
        &mut self,
        chars: &[char],
        at: usize,
        place: &Place,
        out: &mut Expansion,
        split: bool,
        depth: usize,
    ) -> usize {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match chars.get(at + 1) {
            Some('(') => {
                let end = balanced(chars, at + 1, '(', ')');
                let inner: String = chars[(at + 2).min(end)..end].iter().collect();
                let value = self.substituted(inner.trim());
                out.word.push_str(&value);
                (end + 1).min(chars.len())
            }
            Some('{') => {
                let end = balanced(chars, at + 1, '{', '}');
                let inner: String = chars[(at + 2).min(end)..end].iter().collect();
                self.braced(&inner, place, out, split, depth);
                (end + 1).min(chars.len())
            }
            Some('@' | '*') => {
                let all: Vec<String> = self.positional.iter().map(|word| word.text.clone()).collect();
                out.word.push_str(&all.join(" "));
                at + 2
            }
            Some(c) if c.is_ascii_digit() => {
                let n = c.to_digit(10).unwrap_or(0) as usize;
                let value = n.checked_sub(1).and_then(|n| self.positional.get(n)).cloned();
                out.word.push_str(&value.map_or(String::new(), |text| text.text));
                at + 2
            }
            Some('?' | '#' | '$' | '!' | '-') => {
                out.word.push(UNKNOWN);
                at + 2
            }
            Some(&c) if is_name(c) => {
                let name: String = chars[at + 1..].iter().copied().take_while(|c| is_name(*c)).collect();
                let value = self.variable(&name);
                put(out, value, &name, place, split);
                at + 1 + name.chars().count()
            }
            _ => {
                out.word.push('$');
                at + 1
            }
        }
    }

    fn variable(&mut self, name: &str) -> Option<Text> {
        self.outcome.used.insert(name.to_owned());
        if name == "HOSTNAME" && !self.variables.contains_key(name) {
            return Some(Text::new(self.host.clone(), Origin::at(Place::new(&"".into(), 1))));
        }
        let unknown = || Text::new(UNKNOWN.to_string(), Origin::at(Place::new(&"".into(), 1)));
        self.variables.get(name).cloned().or_else(|| self.open.then(unknown))
    }

    fn braced(&mut self, inner: &str, place: &Place, out: &mut Expansion, split: bool, depth: usize) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if inner.starts_with(['#', '!']) {
            return out.word.push(UNKNOWN);
        }
        let name: String = inner.chars().take_while(|c| is_name(*c)).collect();
        let rest = &inner[name.len()..];
        let position = name.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let value = match position {
            Some(n) => self.positional.get(n).cloned(),
            None => self.variable(&name),
        };
        let (colon, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
        let known = value.clone().filter(|text| !(colon && text.text.is_empty()));
        let Some(operator) = rest.chars().next() else { return put(out, value, &name, place, split) };
        let other = &rest[operator.len_utf8()..];
        match operator {
            '-' | '=' if known.is_none() && depth < DEPTH_MAX => {
                let mut inside = Expansion::default();
                self.word(other, place, &mut inside, false, depth + 1);
                let text = Text::new(inside.word, inside.origin.unwrap_or_else(|| Origin::at(place.clone())));
                if operator == '=' {
                    self.variables.insert(name.clone(), text.clone());
                }
                put(out, Some(text), &name, place, split);
            }
            '+' => {
                if known.is_some() && depth < DEPTH_MAX {
                    self.word(other, place, out, split, depth + 1);
                }
            }
            '-' | '=' | '?' => put(out, known, &name, place, split),
            // Parts of a value: `${V##*-}` is how scripts take the number of a pod.
            '#' => {
                let text = value.map_or(String::new(), |text| text.text);
                let greedy = other.starts_with('#');
                let pattern = other.trim_start_matches('#');
                let mark = pattern.trim_start_matches('*');
                let cut = if greedy { text.rfind(mark) } else { text.find(mark) };
                match cut.filter(|_| !mark.is_empty() && pattern.starts_with('*')) {
                    Some(at) => out.word.push_str(&text[at + mark.len()..]),
                    None => out.word.push_str(text.strip_prefix(pattern).unwrap_or(&text)),
                }
            }
            _ => out.word.push(UNKNOWN),
        }
    }

    /// What `$( … )` prints, where it can be known.
    fn substituted(&mut self, command: &str) -> String {
        let unknown = UNKNOWN.to_string();
        let words: Vec<&str> = command.split_whitespace().collect();
        for name in super::super::shell_words::tokens(command).iter().filter_map(|token| match token {
            super::Token::Word(word, _) => Some(word.clone()),
            _ => None,
        }) {
            for part in name.split('$').skip(1) {
                let part = part.trim_start_matches('{');
                let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                self.outcome.used.insert(name);
            }
        }
        match words[..] {
            ["hostname" | "hostname -s"] => self.host.clone(),
            ["cat", path] => match self.vfs.lines(path) {
                Some(lines) => lines.first().map_or(unknown, |line| line.text.clone()),
                None => unknown,
            },
            ["echo", text] if !text.contains(['$', '"', '\'', '`']) => text.to_owned(),
            _ => unknown,
        }
    }
}

/// Puts a value into the word, or what stands for nothing.
fn put(out: &mut Expansion, value: Option<Text>, name: &str, place: &Place, split: bool) {
    let Some(value) = value else { return };
    let origin =
        if value.origin.place.file.is_empty() { Origin::at(place.clone()) } else { value.origin.put_into(place, name) };
    out.origin = Some(origin.clone());
    out.parts.push(Text::new(value.text.clone(), origin));
    if !split {
        return out.word.push_str(&value.text);
    }
    let mut first = true;
    for part in value.text.split_whitespace() {
        if !std::mem::take(&mut first) {
            out.words.push(std::mem::take(&mut out.word));
        }
        out.word.push_str(part);
    }
}

/// Where what opens at `at` is closed, or the end.
fn balanced(chars: &[char], at: usize, open: char, close: char) -> usize {
    let mut depth = 0usize;
    for (n, c) in chars.iter().enumerate().skip(at) {
        if *c == open {
            depth += 1;
        } else if *c == close {
            depth -= 1;
            if depth == 0 {
                return n;
            }
        }
    }
    chars.len()
}

fn unknown(chars: &[char], at: usize, end: char, out: &mut Expansion) -> usize {
    out.word.push(UNKNOWN);
    let close = chars[at + 1..].iter().position(|c| *c == end).map_or(chars.len(), |n| at + 1 + n);
    (close + 1).min(chars.len())
}
