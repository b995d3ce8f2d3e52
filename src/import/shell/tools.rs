//! The commands that make files: echo, printf, cat, cp, mv, sed, envsubst, tee.

use super::{Answer, Shell, Substitution, UNKNOWN, bounded};
use crate::import::origin::{Line, Origin, Place, Text};

impl Shell<'_, '_> {
    pub(super) fn tool(&mut self, name: &str, rest: &[Text], input: Option<Vec<Line>>, place: &Place) -> Answer {
        match name {
            "echo" => (Some(true), Some(self.echo(rest, place))),
            "printf" => (Some(true), Some(self.printf(rest, place))),
            "cat" => {
                let files: Vec<&Text> = rest.iter().filter(|word| !word.text.starts_with('-')).collect();
                if files.is_empty() {
                    return (Some(true), input);
                }
                let mut all = Some(Vec::new());
                for file in files {
                    let lines = self.vfs.lines(&self.absolute(&file.text));
                    all = all.zip(lines).map(|(mut all, lines)| {
                        all.extend(lines);
                        all
                    });
                }
                (all.is_some().then_some(true), all)
            }
            "cp" | "mv" | "install" => (self.copy(rest), None),
            "sed" => self.sed(rest, input, place),
            "envsubst" => (Some(true), input.map(|lines| self.envsubst(&lines, rest))),
            "tee" => {
                let append = rest.iter().any(|word| word.text == "-a");
                for file in rest.iter().filter(|word| !word.text.starts_with('-')) {
                    let path = self.absolute(&file.text);
                    let guarded = self.guarded;
                    self.vfs.write(&path, input.clone(), append, guarded);
                }
                (Some(true), input)
            }
            "grep" => (self.grep(rest), None),
            _ => {
                let path = self.find_program(&rest.first().map_or(String::new(), |_| name.to_owned()));
                let script = path.or_else(|| self.find_program(name)).and_then(|path| self.vfs.lines(&path));
                match script {
                    Some(lines) => self.script(&lines, rest),
                    None => self.unknown(rest, place),
                }
                (None, None)
            }
        }
    }

    /// A command that is not known: files that it names as its target may be anything afterwards.
    fn unknown(&mut self, rest: &[Text], place: &Place) {
        for word in rest.iter().filter(|word| word.text.ends_with(".conf") || word.text.ends_with(".cfg")) {
            self.outcome.skipped.push((place.clone(), self.absolute(&word.text)));
        }
    }

    /// `grep -q WORD FILE`, as conditions use it.
    fn grep(&mut self, rest: &[Text]) -> Option<bool> {
        let words: Vec<&Text> = rest.iter().filter(|word| !word.text.starts_with('-')).collect();
        let [pattern, file] = words[..] else { return None };
        let lines = self.vfs.lines(&self.absolute(&file.text))?;
        let plain = pattern.text.chars().all(|c| c.is_alphanumeric() || " -_".contains(c));
        plain.then(|| lines.iter().any(|line| line.text.contains(&pattern.text)))
    }

    fn echo(&mut self, rest: &[Text], place: &Place) -> Vec<Line> {
        let escapes = rest.first().is_some_and(|word| word.text.starts_with('-') && word.text.contains('e'));
        let flags =
            rest.iter().take_while(|word| ["-e", "-n", "-en", "-ne", "-E"].contains(&word.text.as_str())).count();
        let words = &rest[flags..];
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let text = if escapes { unescaped(&text) } else { text };
        self.made(&text, words, place)
    }

    fn printf(&mut self, rest: &[Text], place: &Place) -> Vec<Line> {
        let Some(format) = rest.first() else { return Vec::new() };
        let mut values = rest[1..].iter();
        let (mut out, mut chars) = (String::new(), format.text.chars().peekable());
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('%', Some('s' | 'd' | 'b' | 'u')) => {
                    chars.next();
                    out.push_str(values.next().map_or("", |value| &value.text));
                }
                ('%', Some('%')) => out.extend(chars.next()),
                _ => out.push(c),
            }
        }
        // What is left over begins the format anew: enough for `printf '%s\n' a b`.
        for value in values {
            out.push_str(&format.text.replace("%s", &value.text));
        }
        self.made(&unescaped(&out), rest, place)
    }

    /// Lines that a command prints; their parts keep their origins.
    fn made(&mut self, text: &str, words: &[Text], place: &Place) -> Vec<Line> {
        let foreign = words.iter().filter(|word| word.origin.place != *place).cloned();
        let mut parts: Vec<Text> = foreign.chain(self.parts.iter().cloned()).collect();
        parts.truncate(32);
        let line = |text: &str| Line {
            text: bounded(text.to_owned()),
            origin: Origin::at(self.find(text, place, 0)),
            parts: parts.clone(),
        };
        text.lines().map(line).collect()
    }

    fn copy(&mut self, rest: &[Text]) -> Option<bool> {
        let keep = rest.iter().any(|word| word.text == "-n" || word.text == "--no-clobber" || word.text == "-an");
        let words: Vec<&Text> = rest.iter().filter(|word| !word.text.starts_with('-')).collect();
        let [sources @ .., target] = &words[..] else { return None };
        for source in sources {
            let from = self.absolute(&source.text);
            let folder = target.text.ends_with('/') || sources.len() > 1;
            let name = from.rsplit('/').next().unwrap_or_default();
            let to = self.absolute(&if folder { format!("{}/{name}", target.text) } else { target.text.clone() });
            let guarded = self.guarded || keep;
            if let Some(lines) = self.vfs.lines(&from) {
                self.vfs.write(&to, Some(lines), false, guarded);
                continue;
            }
            let below = self.vfs.below(&from);
            if below.is_empty() {
                self.vfs.write(&to, None, false, guarded);
            }
            for (name, lines) in below {
                self.vfs.write(&format!("{to}/{name}"), Some(lines), false, guarded);
            }
        }
        Some(true)
    }

    fn envsubst(&mut self, lines: &[Line], rest: &[Text]) -> Vec<Line> {
        let only: Option<Vec<String>> = rest.first().map(|word| {
            let names = word.text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        });
        let mut out = Vec::new();
        for line in lines {
            let mut text = String::new();
            let mut parts = line.parts.clone();
            let mut rest = line.text.as_str();
            while let Some(at) = rest.find('$') {
                text.push_str(&rest[..at]);
                let behind = &rest[at + 1..];
                let braced = behind.starts_with('{');
                let start = &behind[usize::from(braced)..];
                let end = start.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(start.len());
                let (name, after) = (&start[..end], &start[end..]);
                let closed = !braced || after.starts_with('}');
                if name.is_empty() || !closed || only.as_ref().is_some_and(|only| !only.iter().any(|n| n == name)) {
                    text.push('$');
                    rest = behind;
                    continue;
                }
                self.outcome.used.insert(name.to_owned());
                match self.variables.get(name) {
                    Some(value) => {
                        text.push_str(&value.text);
                        parts.push(Text::new(value.text.clone(), value.origin.put_into(&line.origin.place, name)));
                    }
                    None if self.open => text.push(UNKNOWN),
                    None => {}
                }
                rest = &after[usize::from(braced)..];
            }
            text.push_str(rest);
            out.push(Line { text: bounded(text), origin: line.origin.clone(), parts });
        }
        out
    }

    fn sed(&mut self, rest: &[Text], input: Option<Vec<Line>>, place: &Place) -> Answer {
        let in_place = rest.iter().any(|word| word.text.starts_with("-i") || word.text == "--in-place");
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
            let known = scripts.iter().all(|script| self.edit(script, &mut lines, "-", place));
            return (Some(true), Some(lines).filter(|_| known));
        }
        let mut output = Vec::new();
        for file in files {
            let path = self.absolute(&file.text);
            let Some(mut lines) = self.vfs.lines(&path) else {
                self.outcome.skipped.push((place.clone(), path));
                continue;
            };
            let known = scripts.iter().all(|script| self.edit(script, &mut lines, &path, place));
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
        (Some(true), Some(output).filter(|_| !in_place))
    }

    /// One expression of sed on the lines; answers whether it was understood.
    fn edit(&mut self, script: &Text, lines: &mut [Line], file: &str, place: &Place) -> bool {
        let mut understood = true;
        for expression in expressions(&script.text) {
            let Some((pattern, value, all)) = expression else {
                understood = false;
                continue;
            };
            let Some(regex) = Pattern::read(&pattern) else {
                understood = pattern.is_empty();
                self.outcome.substitutions.push(Substitution {
                    pattern,
                    file: file.to_owned(),
                    place: place.clone(),
                    hits: 0,
                    partial: 0,
                    empty: understood,
                });
                continue;
            };
            let (mut hits, mut partial) = (0, 0);
            let value = value.replace("\\/", "/").replace("\\&", "&");
            for line in lines.iter_mut() {
                let Some((text, inside)) = regex.replace(&line.text, &value, all) else { continue };
                hits += 1;
                partial += usize::from(inside);
                line.text = bounded(text);
                let known = self.variables.iter().find(|(_, text)| !text.text.is_empty() && text.text == value);
                let origin = known.map(|(name, text)| text.origin.put_into(&line.origin.place, name));
                line.parts.push(Text::new(
                    value.clone(),
                    origin.unwrap_or_else(|| Origin::at(place.clone()).put_into(&line.origin.place, &pattern)),
                ));
            }
            let file = file.to_owned();
            self.outcome.substitutions.push(Substitution {
                pattern,
                file,
                place: place.clone(),
                hits,
                partial,
                empty: false,
            });
        }
        understood
    }
}

/// The `s` commands of a sed script: pattern, replacement, whether all in a line; nothing for other commands.
fn expressions(script: &str) -> Vec<Option<(String, String, bool)>> {
    let mut all = Vec::new();
    let mut rest = script.trim();
    while !rest.is_empty() && all.len() < 200 {
        let mut chars = rest.chars();
        let (Some('s'), Some(mark)) = (chars.next(), chars.next()) else {
            all.push(None);
            break;
        };
        if mark.is_alphanumeric() || mark == '\\' || mark.is_whitespace() {
            all.push(None);
            break;
        }
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
        match <[String; 2]>::try_from(parts) {
            Ok([pattern, value]) => all.push(Some((pattern, value, flags.contains('g')))),
            Err(_) => all.push(None),
        }
        let after: usize =
            1 + mark.len_utf8() + body[..used.min(body.len())].iter().map(|c| c.len_utf8()).sum::<usize>();
        rest = rest[after.min(rest.len())..].trim_start_matches([';', '\n', ' ', '\t']);
    }
    all
}

/// A basic regular expression, as far as start scripts use them.
struct Pattern {
    items: Vec<(Item, bool)>,
    begins: bool,
    ends: bool,
}

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
    fn read(text: &str) -> Option<Pattern> {
        let mut chars: Vec<char> = text.chars().collect();
        let begins = chars.first() == Some(&'^');
        if begins {
            chars.remove(0);
        }
        let ends = chars.last() == Some(&'$') && chars.len() > 1 && chars[chars.len() - 2] != '\\';
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
                '.' => Item::Any,
                '\\' => {
                    at += 1;
                    match chars.get(at)? {
                        // Groups and alternatives are beyond this.
                        '(' | ')' | '|' | '+' | '?' | '1'..='9' => return None,
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
        (!items.is_empty() && items.len() < 300).then_some(Pattern { items, begins, ends })
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

/// `\n`, `\t` and `\\` as what they mean.
fn unescaped(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('\\') => out.push('\\'),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push(UNKNOWN),
            },
            _ => out.push(c),
        }
    }
    out
}
