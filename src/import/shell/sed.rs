//! `sed`, as far as start scripts use it: `s`, `d`, `a`, `i` and `c`, with a line, `$` or a pattern before them.

use super::{Answer, Shell, Substitution, bounded};
use crate::import::origin::{Line, Origin, Place, Text};

/// Which lines an edit is for.
enum Address {
    /// The line of this number, from 1.
    Number(usize),
    /// The last one.
    Last,
    /// Those in which something fits.
    Fits(Pattern),
}

/// What is done to a line.
enum Deed {
    /// `s/PATTERN/VALUE/`, and whether all in a line are replaced.
    Replace(String, String, bool),
    /// `d`
    Delete,
    /// `a TEXT`
    Append(String),
    /// `i TEXT`
    Insert(String),
    /// `c TEXT`
    Change(String),
}

/// An edit of a sed script.
struct Edit {
    address: Option<Address>,
    deed: Deed,
}

impl Edit {
    /// Whether it is for the line `n`, from 0, of `all`.
    fn is_for(&self, n: usize, text: &str, all: usize) -> bool {
        match &self.address {
            None => true,
            Some(Address::Number(number)) => n + 1 == *number,
            Some(Address::Last) => n + 1 == all,
            Some(Address::Fits(pattern)) => pattern.hits(text),
        }
    }
}

impl Shell<'_, '_> {
    pub(super) fn sed(&mut self, rest: &[Text], input: Option<Vec<Line>>, place: &Place) -> Answer {
        let extended =
            rest.iter().any(|word| ["-E", "-r", "--regexp-extended", "-Ei", "-ri"].contains(&word.text.as_str()));
        let in_place = rest
            .iter()
            .any(|word| word.text.starts_with("-i") || ["--in-place", "-Ei", "-ri"].contains(&word.text.as_str()));
        let (mut scripts, mut files, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(word) = rest.get(at) {
            at += 1;
            match word.text.as_str() {
                "-e" | "--expression" => {
                    scripts.extend(rest.get(at).cloned());
                    at += 1;
                }
                // As BSD's sed has it: a suffix of its own.
                "" if in_place && scripts.is_empty() => {}
                text if text.starts_with('-') && text.len() > 1 => {}
                _ if scripts.is_empty() => scripts.push(word.clone()),
                _ => files.push(word.clone()),
            }
        }
        if files.is_empty() {
            let Some(mut lines) = input else { return (None, None) };
            let known = scripts.iter().all(|script| self.edit((script, extended), &mut lines, "-", place));
            return (Some(true), Some(lines).filter(|_| known));
        }
        let mut output = Vec::new();
        for file in files {
            let path = self.absolute(&file.text);
            let Some(mut lines) = self.vfs.lines(&path) else {
                self.outcome.skipped.push((place.clone(), path));
                continue;
            };
            let known = scripts.iter().all(|script| self.edit((script, extended), &mut lines, &path, place));
            if !known {
                self.outcome.skipped.push((place.clone(), path.clone()));
            }
            if in_place {
                // What is in the image is edited again at each start: what the server wrote since stays, as nothing is found.
                let guarded = self.guarded || self.vfs.image.contains_key(&path);
                self.vfs.write(&path, Some(lines), false, guarded);
            } else {
                output.extend(lines);
            }
        }
        (Some(true), Some(if in_place { Vec::new() } else { output }))
    }

    /// A script of sed on the lines; answers whether it was understood.
    fn edit(&mut self, (script, extended): (&Text, bool), lines: &mut Vec<Line>, file: &str, place: &Place) -> bool {
        let mut understood = true;
        for edit in edits(&script.text, extended) {
            match edit {
                Some(Edit { address, deed: Deed::Replace(pattern, value, all) }) => {
                    let edit = Edit { address, deed: Deed::Delete };
                    understood &= self.substitute((&edit, extended), (pattern, &value, all), lines, (file, place));
                }
                Some(edit) => self.rewrite(&edit, lines, place),
                None => understood = false,
            }
        }
        understood
    }

    /// `s`: answers whether its pattern was understood.
    fn substitute(
        &mut self,
        (edit, extended): (&Edit, bool),
        (pattern, value, all): (String, &str, bool),
        lines: &mut Vec<Line>,
        (file, place): (&str, &Place),
    ) -> bool {
        let mut done =
            Substitution { pattern, file: file.to_owned(), place: place.clone(), hits: 0, partial: 0, empty: false };
        let Some(regex) = Pattern::read(&done.pattern, extended) else {
            done.empty = done.pattern.is_empty();
            let understood = done.empty;
            self.outcome.substitutions.push(done);
            return understood;
        };
        let value = value.replace("\\/", "/").replace("\\&", "&").replace("\\n", "\n");
        let (count, mut out) = (lines.len(), Vec::new());
        for (n, mut line) in std::mem::take(lines).into_iter().enumerate() {
            let found = if edit.is_for(n, &line.text, count) { regex.replace(&line.text, &value, all) } else { None };
            let Some((text, inside)) = found else {
                out.push(line);
                continue;
            };
            done.hits += 1;
            done.partial += usize::from(inside);
            let known = self.variables.iter().find(|(_, text)| !text.text.is_empty() && text.text == value);
            let origin = known.map(|(name, text)| text.origin.put_into(&line.origin.place, name));
            let origin =
                origin.unwrap_or_else(|| Origin::at(place.clone()).put_into(&line.origin.place, &done.pattern));
            line.parts.push(Text::new(value.clone(), origin));
            // What a line becomes when it is cut in two comes from the script, but for its last piece.
            let text = bounded(text);
            let (new, old) = text.rsplit_once('\n').map_or((None, text.as_str()), |(new, old)| (Some(new), old));
            out.extend(new.into_iter().flat_map(str::lines).map(|text| Line::at(text, place.clone())));
            out.push(Line { text: old.to_owned(), ..line });
        }
        *lines = out;
        self.outcome.substitutions.push(done);
        true
    }

    /// `d`, `a`, `i` and `c`.
    fn rewrite(&mut self, edit: &Edit, lines: &mut Vec<Line>, place: &Place) {
        let (count, mut out) = (lines.len(), Vec::new());
        for (n, line) in std::mem::take(lines).into_iter().enumerate() {
            if !edit.is_for(n, &line.text, count) {
                out.push(line);
                continue;
            }
            let new = |text: &str| text.lines().map(|text| Line::at(text, place.clone())).collect::<Vec<_>>();
            match &edit.deed {
                Deed::Append(text) => {
                    out.push(line);
                    out.extend(new(text));
                }
                Deed::Insert(text) => {
                    out.extend(new(text));
                    out.push(line);
                }
                Deed::Change(text) => out.extend(new(text)),
                Deed::Delete | Deed::Replace(..) => {}
            }
        }
        *lines = out;
    }
}

/// The edits of a sed script; nothing for one that is not understood.
fn edits(script: &str, extended: bool) -> Vec<Option<Edit>> {
    let mut all = Vec::new();
    let mut rest = script.trim();
    while !rest.is_empty() && all.len() < 200 {
        let Some((address, behind)) = address(rest, extended) else {
            all.push(None);
            break;
        };
        let behind = behind.trim_start();
        let (deed, after) = match behind.chars().next() {
            Some('s') => replacement(&behind[1..]),
            Some('d') => (Some(Deed::Delete), &behind[1..]),
            Some(name @ ('a' | 'i' | 'c')) => {
                let text = behind[1..].trim_start().trim_start_matches('\\').trim_start().replace("\\n", "\n");
                let deed = match name {
                    'a' => Deed::Append(text),
                    'i' => Deed::Insert(text),
                    _ => Deed::Change(text),
                };
                (Some(deed), "")
            }
            _ => (None, ""),
        };
        all.push(deed.map(|deed| Edit { address, deed }));
        rest = after.trim_start_matches([';', '\n', ' ', '\t']);
    }
    all
}

/// What stands before a command of sed, and the rest; nothing if it is not understood.
fn address(text: &str, extended: bool) -> Option<(Option<Address>, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (address, rest) = match text.as_bytes().first()? {
        b'$' => (Address::Last, &text[1..]),
        b'/' => {
            let end = text[1..].find('/')? + 1;
            let pattern = Pattern::read(&text[1..end], extended).filter(|_| !text[1..end].ends_with('\\'))?;
            (Address::Fits(pattern), &text[end + 1..])
        }
        _ if digits > 0 => (Address::Number(text[..digits].parse().ok()?), &text[digits..]),
        _ => return Some((None, text)),
    };
    Some((Some(address), rest))
}

/// What stands behind `s`, and the rest.
fn replacement(text: &str) -> (Option<Deed>, &str) {
    let mut chars = text.chars();
    let mark = chars.next().filter(|mark| !(mark.is_alphanumeric() || *mark == '\\' || mark.is_whitespace()));
    let Some(mark) = mark else { return (None, "") };
    let body: Vec<char> = chars.collect();
    let (mut parts, mut part, mut at) = (Vec::new(), String::new(), 0);
    while at < body.len() && parts.len() < 2 {
        match body[at] {
            '\\' if body.get(at + 1) == Some(&mark) => {
                part.push(mark);
                at += 1;
            }
            '\\' => {
                part.push('\\');
                part.extend(body.get(at + 1));
                at += 1;
            }
            c if c == mark => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
        at += 1;
    }
    let flags: String = body[at.min(body.len())..].iter().take_while(|c| !matches!(c, ';' | '\n')).collect();
    let used = at + flags.chars().count();
    let after = mark.len_utf8() + body[..used.min(body.len())].iter().map(|c| c.len_utf8()).sum::<usize>();
    let deed = <[String; 2]>::try_from(parts).ok();
    (deed.map(|[pattern, value]| Deed::Replace(pattern, value, flags.contains('g'))), &text[after.min(text.len())..])
}

/// A basic regular expression, as far as start scripts use them.
struct Pattern {
    items: Vec<(Item, bool)>,
    begins: bool,
    ends: bool,
}

#[derive(Clone)]
enum Item {
    Char(char),
    Any,
    Set(bool, Vec<(char, char)>),
}

impl Item {
    fn fits(&self, c: char) -> bool {
        match self {
            Item::Char(own) => *own == c,
            Item::Any => true,
            Item::Set(not, ranges) => ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *not,
        }
    }
}

impl Pattern {
    fn read(text: &str, extended: bool) -> Option<Pattern> {
        let mut chars: Vec<char> = text.chars().collect();
        let begins = chars.first() == Some(&'^');
        if begins {
            chars.remove(0);
        }
        let ends = chars.last() == Some(&'$') && (chars.len() == 1 || chars[chars.len() - 2] != '\\');
        if ends {
            chars.pop();
        }
        let (mut items, mut at): (Vec<(Item, bool)>, usize) = (Vec::new(), 0);
        while at < chars.len() {
            let item = match chars[at] {
                '*' if !items.is_empty() => {
                    items.last_mut()?.1 = true;
                    at += 1;
                    continue;
                }
                '+' if extended && !items.is_empty() => {
                    let again = items.last()?.0.clone();
                    items.push((again, true));
                    at += 1;
                    continue;
                }
                '(' | ')' | '|' | '?' | '{' | '}' | '+' if extended => return None,
                '.' => Item::Any,
                '\\' => {
                    at += 1;
                    match chars.get(at)? {
                        // Groups and alternatives are beyond this.
                        '(' | ')' | '|' | '+' | '?' | '{' | '1'..='9' if !extended => return None,
                        '1'..='9' => return None,
                        's' => Item::Set(false, vec![(' ', ' '), ('\t', '\t')]),
                        c => Item::Char(*c),
                    }
                }
                '[' => {
                    let end = chars[at + 1..].iter().position(|c| *c == ']')? + at + 1;
                    let not = chars.get(at + 1) == Some(&'^');
                    let inner: Vec<char> =
                        chars[at + 1 + usize::from(not)..end.max(at + 1 + usize::from(not))].to_vec();
                    at = end;
                    Item::Set(not, ranges(&inner))
                }
                c => Item::Char(c),
            };
            items.push((item, false));
            at += 1;
        }
        let anchored = begins || ends;
        ((!items.is_empty() || anchored) && items.len() < 300).then_some(Pattern { items, begins, ends })
    }

    /// Whether something in the text fits.
    fn hits(&self, text: &str) -> bool {
        self.replace(text, "", false).is_some()
    }

    /// Where a match that begins at `at` ends.
    fn at(&self, text: &[char], at: usize) -> Option<usize> {
        self.from(0, text, at, &mut 0)
    }

    fn from(&self, item: usize, text: &[char], at: usize, steps: &mut usize) -> Option<usize> {
        *steps += 1;
        if *steps > 20_000 {
            return None;
        }
        let Some((one, many)) = self.items.get(item) else {
            return (!self.ends || at == text.len()).then_some(at);
        };
        if !many {
            return text.get(at).filter(|c| one.fits(**c)).and_then(|_| self.from(item + 1, text, at + 1, steps));
        }
        let most = text[at..].iter().take_while(|c| one.fits(**c)).count();
        (0..=most).rev().find_map(|n| self.from(item + 1, text, at + n, steps))
    }

    /// The text with what fits replaced, and whether that was part of a longer name; nothing if nothing fits.
    fn replace(&self, text: &str, value: &str, all: bool) -> Option<(String, bool)> {
        let chars: Vec<char> = text.chars().collect();
        match (self.items.is_empty(), self.begins, self.ends) {
            (true, true, true) => return text.is_empty().then(|| (value.to_owned(), false)),
            (true, true, false) => return Some((format!("{value}{text}"), false)),
            (true, false, _) => return Some((format!("{text}{value}"), false)),
            _ => {}
        }
        let (mut out, mut at, mut found, mut inside) = (String::new(), 0, false, false);
        let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        while at < chars.len() && chars.len() < 10_000 {
            let here = ((!found || all) && !(self.begins && at > 0)).then(|| self.at(&chars, at)).flatten();
            match here.filter(|end| *end > at) {
                Some(end) => {
                    out.push_str(value);
                    found = true;
                    inside |= is_name(&chars[end - 1]) && chars.get(end).is_some_and(is_name)
                        || is_name(&chars[at]) && at > 0 && is_name(&chars[at - 1]);
                    at = end;
                }
                None => {
                    out.push(chars[at]);
                    at += 1;
                }
            }
        }
        found.then_some((out, inside))
    }
}

fn ranges(inner: &[char]) -> Vec<(char, char)> {
    let text: String = inner.iter().collect();
    match text.as_str() {
        "[:space:]" | "[:space:" => return vec![(' ', ' '), ('\t', '\t')],
        "[:digit:]" | "[:digit:" => return vec![('0', '9')],
        _ => {}
    }
    let (mut all, mut at) = (Vec::new(), 0);
    while at < inner.len() {
        match (inner.get(at + 1), inner.get(at + 2)) {
            (Some('-'), Some(end)) => {
                all.push((inner[at], *end));
                at += 3;
            }
            _ => {
                all.push((inner[at], inner[at]));
                at += 1;
            }
        }
    }
    all
}
