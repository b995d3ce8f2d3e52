//! The commands that make files and texts: echo, printf, cat, cp, mv, envsubst, tee, head, cut, awk '{print $N}', seq.

use super::{Answer, Shell, UNKNOWN, bounded, silent};
use crate::import::origin::{Line, Origin, Place, Text};

/// Where a Linux machine says its name.
const HOST_FILES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

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
                    let path = self.absolute(&file.text);
                    let lines = match HOST_FILES.contains(&path.as_str()) {
                        true => Some(vec![Line::at(&self.host, place.clone())]),
                        false => self.vfs.lines(&path),
                    };
                    all = all.zip(lines).map(|(mut all, lines)| {
                        all.extend(lines);
                        all
                    });
                }
                (all.is_some().then_some(true), all)
            }
            "cp" | "mv" | "install" => silent(self.copy(rest)),
            "head" | "cut" | "awk" if input.is_some() => self.cut_out(name, rest, input),
            "hostname" if rest.iter().all(|word| word.text == "-s") => {
                (Some(true), Some(vec![Line::at(&self.host, place.clone())]))
            }
            "seq" => {
                let numbers: Option<Vec<i64>> = rest.iter().map(|word| word.text.parse().ok()).collect();
                let range = match numbers.as_deref() {
                    Some([last]) => Some(1..=*last),
                    Some([first, last]) => Some(*first..=*last),
                    _ => None,
                };
                let line = |n: i64| Line::at(&n.to_string(), place.clone());
                (Some(true), range.map(|range| range.take(1_000).map(line).collect()))
            }
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
            "grep" if rest.iter().any(|word| word.text.starts_with('-') && word.text.contains('q')) => {
                silent(self.grep(rest))
            }
            "grep" => (self.grep(rest), None),
            _ => {
                let path = self.find_program(&rest.first().map_or(String::new(), |_| name.to_owned()));
                let script = path.or_else(|| self.find_program(name)).and_then(|path| self.vfs.lines(&path));
                match script {
                    Some(lines) => (None, self.script(&lines, rest).1),
                    None => {
                        self.unknown(rest, place);
                        (None, None)
                    }
                }
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

    /// The first lines, a column, a piece, numbers: what scripts take out of texts.
    fn cut_out(&mut self, name: &str, rest: &[Text], input: Option<Vec<Line>>) -> Answer {
        let option = |flag: &str| {
            let at = rest.iter().position(|word| word.text.starts_with(flag))?;
            let joined = rest[at].text[flag.len()..].to_owned();
            if joined.is_empty() { rest.get(at + 1).map(|word| word.text.clone()) } else { Some(joined) }
        };
        let column = |line: &Line, piece: Option<&str>| {
            let known = !line.text.contains(UNKNOWN);
            let text = if known { piece.unwrap_or_default().to_owned() } else { UNKNOWN.to_string() };
            Line { text, ..line.clone() }
        };
        let Some(lines) = input else { return (None, None) };
        let lines: Option<Vec<Line>> = match name {
            "head" => {
                let count = option("-n").or_else(|| option("-")).unwrap_or("10".into()).parse().ok();
                count.map(|count| lines.into_iter().take(count).collect())
            }
            "cut" => {
                let (mark, field) = (option("-d"), option("-f").and_then(|field| field.parse::<usize>().ok()));
                mark.zip(field).filter(|(mark, field)| !mark.is_empty() && *field > 0).map(|(mark, field)| {
                    lines.iter().map(|line| column(line, line.text.split(mark.as_str()).nth(field - 1))).collect()
                })
            }
            _ => {
                let script: Option<String> = rest.last().map(|word| word.text.replace(' ', ""));
                let field =
                    script.and_then(|text| text.strip_prefix("{print$")?.strip_suffix('}')?.parse::<usize>().ok());
                field.filter(|field| *field > 0).map(|field| {
                    lines.iter().map(|line| column(line, line.text.split_whitespace().nth(field - 1))).collect()
                })
            }
        };
        (lines.is_some().then_some(true), lines)
    }
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
