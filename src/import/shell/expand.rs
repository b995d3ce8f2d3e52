//! Words with their variables, quotes and substitutions replaced.

use super::{Shell, UNKNOWN, bounded};
use crate::import::origin::{Line, Origin, Place, Text};
use crate::import::shell_words::{Token, tokens};

/// So deep may defaults be nested.
const DEPTH_MAX: usize = 10;
/// So many words may a list have.
const LIST_MAX: usize = 1_000;

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

impl Expansion {
    /// Adds a text, cut into words if it is not quoted.
    fn push(&mut self, text: &str, split: bool) {
        if !split {
            return self.word.push_str(text);
        }
        for (n, part) in text.split_whitespace().enumerate() {
            if n > 0 {
                self.words.push(std::mem::take(&mut self.word));
            }
            self.word.push_str(part);
        }
    }
}

impl Shell<'_, '_> {
    /// A word expanded and, where it is not quoted, split.
    pub(super) fn expand(&mut self, word: &str, place: &Place) -> Vec<Text> {
        if word == "\"$@\"" || word == "$@" || word == "$*" || word == "${@}" || word == "\"${@}\"" {
            return self.positional.clone();
        }
        if let Some(all) = whole_list(word).and_then(|name| self.lists.get(name)) {
            return all.clone();
        }
        let mut out = Expansion::default();
        self.word(word, place, &mut out, true, 0);
        self.inserted(place, &mut out);
        self.spent += out.word.len() + out.words.iter().map(String::len).sum::<usize>();
        self.parts.extend(out.parts.iter().cloned());
        if out.open || !out.word.is_empty() {
            out.words.push(std::mem::take(&mut out.word));
        }
        let whole = out.parts.iter().rev().find(|part| out.words.len() == 1 && part.text == out.words[0]);
        let origin = whole.map_or_else(|| Origin::at(place.clone()), |part| part.origin.clone());
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
        self.inserted(place, &mut out);
        self.spent += out.word.len();
        let whole = out.parts.iter().rev().find(|part| part.text == out.word);
        let origin = whole.map_or_else(|| Origin::at(place.clone()), |part| part.origin.clone());
        (bounded(out.word), origin)
    }

    /// Adds the values that were in the line before the shell read it.
    fn inserted(&self, place: &Place, out: &mut Expansion) {
        let inside =
            |part: &&Text| out.word.contains(&part.text) || out.words.iter().any(|word| word.contains(&part.text));
        let parts: Vec<Text> = self.inserted.get(place).into_iter().flatten().filter(inside).cloned().collect();
        out.parts.splice(0..0, parts);
    }

    /// A line of a here-document in which nothing is replaced.
    pub(super) fn plain_line(&self, text: &str, place: &Place) -> Line {
        let mut out = Expansion { word: text.to_owned(), ..Expansion::default() };
        self.inserted(place, &mut out);
        Line { text: out.word, origin: Origin::at(place.clone()), parts: out.parts }
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
                '`' => at = self.backquoted(&chars, at, place, &mut out, false),
                c => {
                    out.word.push(c);
                    at += 1;
                }
            }
        }
        self.inserted(place, &mut out);
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
                '`' => at = self.backquoted(&chars, at, place, out, split && !double),
                c => {
                    out.word.push(c);
                    at += 1;
                }
            }
        }
    }

    /// `` ` … ` ``, as `$( … )`; answers where the text goes on.
    fn backquoted(&mut self, chars: &[char], at: usize, place: &Place, out: &mut Expansion, split: bool) -> usize {
        let end = chars[at + 1..].iter().position(|c| *c == '`').map_or(chars.len(), |n| at + 1 + n);
        let inner: String = chars[at + 1..end].iter().collect();
        let value = self.substituted(inner.trim(), place);
        out.push(&value, split);
        (end + 1).min(chars.len())
    }

    /// Sets `NAME=( … )`, or adds to it.
    pub(super) fn set_list(&mut self, name: &str, append: bool, inner: &str, place: &Place) {
        let mut all = if append { self.lists.remove(name).unwrap_or_default() } else { Vec::new() };
        for token in tokens(inner) {
            if let Token::Word(word, _) = token {
                all.extend(self.expand(&word, place));
            }
        }
        all.truncate(LIST_MAX);
        self.lists.insert(name.to_owned(), all);
    }

    /// The value of `$(( … ))`: sums and differences of numbers that are known.
    fn sum(&mut self, text: &str) -> String {
        let (mut total, mut sign, mut known) = (0i64, 1i64, true);
        for (n, part) in text.replace('+', " + ").replace('-', " - ").split_whitespace().enumerate() {
            match part {
                "+" => sign = 1,
                "-" => sign = -1,
                part => {
                    let name = part.trim_start_matches('$').trim_matches(['{', '}', '"']);
                    let value = part.parse().ok().or_else(|| self.variable(name)?.text.trim().parse().ok());
                    known &= value.is_some() && (n == 0 || sign != 0);
                    total = total.saturating_add(sign.saturating_mul(value.unwrap_or(0)));
                    // Two numbers without a sign between them are no sum.
                    sign = 0;
                }
            }
        }
        if known { total.to_string() } else { UNKNOWN.to_string() }
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
                let sum = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
                let value = match sum {
                    Some(sum) => self.sum(sum),
                    None => self.substituted(inner.trim(), place),
                };
                out.push(&value, split);
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
        let mut rest = &inner[name.len()..];
        if let Some(behind) = rest.strip_prefix('[') {
            let (at, behind) = behind.split_once(']').unwrap_or((behind, ""));
            let all = self.lists.get(&name).cloned().unwrap_or_default();
            let word = match at {
                "@" | "*" => all.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "),
                _ => all.get(at.parse().unwrap_or(usize::MAX)).map_or(UNKNOWN.to_string(), |word| word.text.clone()),
            };
            if behind.is_empty() {
                return out.push(&word, split);
            }
            rest = behind;
        }
        let position = name.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let value = match position {
            Some(n) => self.positional.get(n).cloned(),
            None => self.variable(&name),
        };
        let (colon, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
        // What a script has a default for has it, unless the set says otherwise.
        let set = position.is_some() || self.variables.contains_key(&name) || name == "HOSTNAME";
        let known = value.clone().filter(|text| set && !(colon && text.text.is_empty()));
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
            '?' => put(out, value, &name, place, split),
            '-' | '=' => put(out, known, &name, place, split),
            // Parts of a value: `${V##*-}` is how scripts take the number of a pod.
            '#' | '%' | '/' | '^' | ',' if !colon => {
                let text = value.map_or(String::new(), |text| text.text);
                let known = Some(text).filter(|text| !text.contains(UNKNOWN));
                let text = known.and_then(|text| changed(&text, rest)).unwrap_or(UNKNOWN.to_string());
                out.push(&text, split);
            }
            _ => out.word.push(UNKNOWN),
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
    out.push(&value.text, split);
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

/// The name in `"${NAME[@]}"`.
fn whole_list(word: &str) -> Option<&str> {
    let word = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word);
    let inner = word.strip_prefix("${")?.strip_suffix('}')?;
    inner.strip_suffix("[@]").or_else(|| inner.strip_suffix("[*]"))
}

/// A value with one of its ends cut off, or its letters made large or small: `${V%.*}`, `${V##*-}`, `${V/a/b}`, `${V^^}`.
fn changed(text: &str, how: &str) -> Option<String> {
    let plain = |pattern: &str| !pattern.contains(['*', '?', '[', '$', UNKNOWN]);
    Some(match how {
        "^^" => text.to_uppercase(),
        ",," => text.to_lowercase(),
        _ if how.starts_with('/') => {
            let all = how.starts_with("//");
            let (old, new) = how.trim_start_matches('/').split_once('/').unwrap_or((how.trim_start_matches('/'), ""));
            let old = old.replace('\\', "");
            if old.is_empty() || !plain(&old) || !plain(new) {
                return None;
            }
            if all { text.replace(&old, new) } else { text.replacen(&old, new, 1) }
        }
        _ => {
            let front = how.starts_with('#');
            let sign = if front { '#' } else { '%' };
            let pattern = how.strip_prefix(sign)?;
            let greedy = pattern.starts_with(sign);
            let pattern = pattern.trim_start_matches(sign);
            let star = if front { pattern.strip_prefix('*') } else { pattern.strip_suffix('*') };
            let mark = star.unwrap_or(pattern);
            if mark.is_empty() || !plain(mark) {
                return None;
            }
            match (star.is_some(), front, greedy) {
                (false, true, _) => text.strip_prefix(mark).unwrap_or(text).to_owned(),
                (false, false, _) => text.strip_suffix(mark).unwrap_or(text).to_owned(),
                (true, true, true) => text.rfind(mark).map_or(text, |at| &text[at + mark.len()..]).to_owned(),
                (true, true, false) => text.find(mark).map_or(text, |at| &text[at + mark.len()..]).to_owned(),
                (true, false, true) => text.find(mark).map_or(text, |at| &text[..at]).to_owned(),
                (true, false, false) => text.rfind(mark).map_or(text, |at| &text[..at]).to_owned(),
            }
        }
    })
}
