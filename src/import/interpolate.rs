//! Variables in compose files: `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:?e}`, `${V?e}`, `${V:+a}`, `${V+a}`, nested, and
//! `$$` for a dollar.

use std::collections::BTreeMap;

use super::origin::{Line, Origin, Place, Seams, Text};

/// So deep may defaults be nested.
const DEPTH_MAX: usize = 10;

/// The variables that are set, and what is found out about them.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    /// What is set.
    pub set: BTreeMap<String, Text>,
    /// What was asked for and is not set: name and place.
    pub unset: Vec<(String, Place)>,
    /// All names that were asked for.
    pub used: Vec<String>,
}

impl Variables {
    /// `text` with its variables replaced. A value that is one word has the origin of its variable; in any other text each
    /// value is known by its bytes.
    pub(super) fn apply(&mut self, text: &Text) -> Text {
        if !text.text.contains('$') {
            return text.clone();
        }
        let chars: Vec<char> = text.text.chars().collect();
        let (mut value, mut at, mut raw) = (String::new(), 0, 0);
        let mut parts: Vec<(std::ops::Range<usize>, Origin)> = Vec::new();
        // Bytes of the file's text and of the value that belong together.
        let mut joints = vec![(0, 0)];
        while let Some(&c) = chars.get(at) {
            if c != '$' {
                value.push(c);
                (at, raw) = (at + 1, raw + c.len_utf8());
                continue;
            }
            let (from, mut found) = (value.len(), None);
            let end = self.dollar(&chars, at, &text.origin.place_at(raw), &mut found, 0, &mut value);
            raw += chars[at..end].iter().map(|c| c.len_utf8()).sum::<usize>();
            at = end;
            joints.push((raw, value.len()));
            parts.extend(found.map(|origin| (from..value.len(), origin)));
        }
        if let Some((_, origin)) = parts.last().filter(|_| !value.contains(char::is_whitespace)) {
            return Text::new(value, origin.clone());
        }
        let lines = text.origin.seams.iter().flat_map(|seams| &seams.lines).map(|(from, line)| {
            let (raw, there) = joints[joints.partition_point(|(raw, _)| raw <= from).saturating_sub(1)];
            (there + from - raw, *line)
        });
        let seams = Seams { lines: lines.collect(), parts };
        Text::new(value, text.origin.clone().with(seams))
    }

    fn expand(&mut self, chars: &[char], place: &Place, found: &mut Option<Origin>, depth: usize) -> String {
        let (mut out, mut at) = (String::new(), 0);
        while let Some(&c) = chars.get(at) {
            if c == '$' {
                at = self.dollar(chars, at, place, found, depth, &mut out);
            } else {
                out.push(c);
                at += 1;
            }
        }
        out
    }

    /// Puts what the `$` at `at` means behind `out`; answers where the text goes on.
    fn dollar(
        &mut self,
        chars: &[char],
        at: usize,
        place: &Place,
        found: &mut Option<Origin>,
        depth: usize,
        out: &mut String,
    ) -> usize {
        let at = at + 1;
        match chars.get(at) {
            Some('$') => {
                out.push('$');
                at + 1
            }
            Some('{') => {
                let end = closing(chars, at);
                let inner: Vec<char> = chars[at + 1..end].to_vec();
                out.push_str(&self.braced(&inner, place, found, depth));
                (end + 1).min(chars.len())
            }
            Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
                let name: String = chars[at..].iter().take_while(|c| is_name(**c)).collect();
                out.push_str(&self.value(&name, place, found).unwrap_or_default());
                at + name.len()
            }
            _ => {
                out.push('$');
                at
            }
        }
    }

    fn braced(&mut self, inner: &[char], place: &Place, found: &mut Option<Origin>, depth: usize) -> String {
        let name: String = inner.iter().take_while(|c| is_name(**c)).collect();
        let rest = &inner[name.len()..];
        let (colon, rest) = match rest.first() {
            Some(':') => (true, &rest[1..]),
            _ => (false, rest),
        };
        let Some(&operator) = rest.first() else {
            return self.value(&name, place, found).unwrap_or_default();
        };
        let known = self.set.get(&name).filter(|text| !(colon && text.text.is_empty())).is_some();
        let other = &rest[1..];
        let mut instead = |this: &mut Self| match depth < DEPTH_MAX {
            true => this.expand(other, place, found, depth + 1),
            false => String::new(),
        };
        match (operator, known) {
            ('-', false) => {
                self.used.push(name);
                instead(self)
            }
            ('+', true) => instead(self),
            ('+', false) => String::new(),
            _ => self.value(&name, place, found).unwrap_or_default(),
        }
    }

    fn value(&mut self, name: &str, place: &Place, found: &mut Option<Origin>) -> Option<String> {
        self.used.push(name.to_owned());
        match self.set.get(name) {
            Some(text) => {
                *found = Some(text.origin.put_into(place, name));
                Some(text.text.clone())
            }
            None if name == "PWD" => Some(".".to_owned()),
            None if name.is_empty() => None,
            None => {
                self.unset.push((name.to_owned(), place.clone()));
                None
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where the brace that opens at `at` is closed; the end if it is not.
fn closing(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    for (n, c) in chars.iter().enumerate().skip(at) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return n;
        }
    }
    chars.len().max(at + 1)
}

/// The variables of an env file.
pub(super) fn env_file(lines: &[Line]) -> Vec<(String, Text)> {
    let mut all = Vec::new();
    for line in lines {
        let text = line.text.trim();
        let text = text.strip_prefix("export ").unwrap_or(text);
        let Some((name, value)) = text.split_once('=').filter(|_| !text.starts_with('#')) else { continue };
        let value = value.trim();
        let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.split(quote).next());
        let value =
            quoted('"').or_else(|| quoted('\'')).unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim());
        all.push((name.trim().to_owned(), Text::new(value, line.origin.clone())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::origin::lines_of;

    #[test]
    fn all_forms() {
        let env = env_file(&lines_of(&".env".into(), "A=1\n# B=2\nEMPTY=\nexport Q=\"x y\" # z\nP=5 # tail\n"));
        let mut variables = Variables { set: env.into_iter().collect(), ..Variables::default() };
        let place = Place::new(&"c.yml".into(), 7);
        let mut apply = |text: &str| variables.apply(&Text::new(text, Origin::at(place.clone())));
        for (text, value) in [
            ("$A-${A}", "1-1"),
            ("$$A", "$A"),
            ("${EMPTY:-d}${EMPTY-d}", "d"),
            ("${NO:-${A}x}", "1x"),
            ("${A:+yes}${NO:+no}${EMPTY+set}", "yesset"),
            ("${NO}${A:?must}", "1"),
            ("$", "$"),
            ("${", ""),
            ("${A", "1"),
            ("a$1", "a$1"),
            ("$Q$P", "x y5"),
        ] {
            assert_eq!(apply(text).text, value, "{text}");
        }
        assert_eq!(apply("${A}").origin.to_string(), ".env:1 through c.yml:7 (A)");
        assert_eq!(variables.unset.len(), 1);
    }

    #[test]
    fn each_value_in_a_text_keeps_its_origin_and_each_line_its_place() {
        let env = env_file(&lines_of(&".env".into(), "A=long value\nB=2\n"));
        let mut variables = Variables { set: env.into_iter().collect(), ..Variables::default() };
        let raw = "a ${A} $$\nb $B c\nd";
        let seams = Seams { lines: vec![(0, 7), (10, 8), (17, 9)], parts: Vec::new() };
        let origin = Origin::at(Place::new(&"c.yml".into(), 7)).with(seams);
        let text = variables.apply(&Text::new(raw, origin));
        assert_eq!(text.text, "a long value $\nb 2 c\nd");
        let of = |word: &str| {
            let at = text.text.find(word).expect(word);
            text.origin.of_bytes(at..at + word.len()).to_string()
        };
        assert_eq!(of("long value"), ".env:1 through c.yml:7 (A)");
        assert_eq!(of("2"), ".env:2 through c.yml:8 (B)");
        assert_eq!((of("b").as_str(), of("d").as_str()), ("c.yml:8", "c.yml:9"));
        let lines = text.origin.lines(&text.text);
        assert_eq!((lines.len(), lines[1].parts.len(), lines[1].origin.to_string().as_str()), (3, 1, "c.yml:8"));
    }
}
