//! Variables in compose files: `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:?e}`, `${V?e}`, `${V:+a}`, `${V+a}`, nested, and
//! `$$` for a dollar.

use std::collections::BTreeMap;

use super::origin::{Line, Origin, Place, Text};

/// So deep may defaults be nested.
const DEPTH_MAX: usize = 10;

/// The variables that are set, and what is found out about them.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// What is set.
    pub set: BTreeMap<String, Text>,
    /// What was asked for and is not set: name and place.
    pub unset: Vec<(String, Place)>,
    /// All names that were asked for.
    pub used: Vec<String>,
}

impl Variables {
    /// `text` with its variables replaced. A value that is one word keeps the origin of its variable.
    pub fn apply(&mut self, text: &Text) -> Text {
        if !text.text.contains('$') {
            return text.clone();
        }
        let mut found = None;
        let chars: Vec<char> = text.text.chars().collect();
        let value = self.expand(&chars, &text.origin.place, &mut found, 0);
        let origin = match found {
            Some(origin) if !value.contains(char::is_whitespace) => origin,
            _ => text.origin.clone(),
        };
        Text::new(value, origin)
    }

    fn expand(&mut self, chars: &[char], place: &Place, found: &mut Option<Origin>, depth: usize) -> String {
        let (mut out, mut at) = (String::new(), 0);
        while let Some(&c) = chars.get(at) {
            at += 1;
            if c != '$' {
                out.push(c);
                continue;
            }
            match chars.get(at) {
                Some('$') => {
                    out.push('$');
                    at += 1;
                }
                Some('{') => {
                    let end = closing(chars, at);
                    let inner: Vec<char> = chars[at + 1..end].to_vec();
                    out.push_str(&self.braced(&inner, place, found, depth));
                    at = (end + 1).min(chars.len());
                }
                Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
                    let name: String = chars[at..].iter().take_while(|c| is_name(**c)).collect();
                    at += name.len();
                    out.push_str(&self.value(&name, place, found).unwrap_or_default());
                }
                _ => out.push('$'),
            }
        }
        out
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
pub fn env_file(lines: &[Line]) -> Vec<(String, Text)> {
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
}
