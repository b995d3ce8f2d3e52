//! redis.conf and sentinel.conf: lines, words and directives, as `loadServerConfigFromString` and `sdssplitargs` of Redis
//! 7.0 cut them.

use super::origin::{Line, Origin, Place, Text};
use crate::redis;

/// A directive in force for a program.
#[derive(Clone, Debug)]
pub struct Directive {
    /// Its name in lower case, old `slave` names replaced; those of Sentinel with their word: `sentinel monitor`.
    pub name: String,
    /// Its name as it is written.
    pub written: String,
    /// Its words.
    pub words: Vec<Text>,
    /// Where it stands.
    pub origin: Origin,
    /// Whether it is an argument on the command line.
    pub argument: bool,
    /// Whether a word behind the first begins with `#`.
    pub comment_behind: bool,
}

impl Directive {
    /// A word by its number, from 0.
    pub fn word(&self, n: usize) -> Option<&str> {
        self.words.get(n).map(|word| word.text.as_str())
    }

    /// All words.
    pub fn value(&self) -> String {
        self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Where the value comes from.
    pub fn source(&self) -> &Origin {
        let foreign = self.words.iter().map(|word| &word.origin).find(|origin| **origin != self.origin);
        foreign.unwrap_or(&self.origin)
    }

    /// The line in which it stands.
    pub fn place(&self) -> &Place {
        &self.origin.place
    }
}

/// Directives that add up instead of replacing one another.
const ADDING: [&str; 6] = ["save", "client-output-buffer-limit", "user", "rename-command", "loadmodule", "include"];

/// The directives of a program.
#[derive(Clone, Debug, Default)]
pub struct Directives {
    /// All of them, in order.
    pub all: Vec<Directive>,
    /// Lines that Redis does not read: where, and why.
    pub broken: Vec<(Place, String)>,
}

impl Directives {
    /// Reads a file.
    pub fn of_lines(lines: &[Line]) -> Directives {
        let mut directives = Directives::default();
        lines.iter().for_each(|line| directives.line(line));
        directives
    }

    fn line(&mut self, line: &Line) {
        let text = line.text.trim();
        if text.is_empty() || text.starts_with('#') {
            return;
        }
        match split(text) {
            None => self.broken.push((line.origin.place.clone(), "unbalanced quotes".to_owned())),
            Some(words) => {
                let words = words.into_iter().map(|word| Text { origin: line.origin_of(&word), text: word }).collect();
                self.push(words, line.origin.clone(), false);
            }
        }
    }

    /// Adds the arguments of `redis-server`: `--name word…`.
    pub fn add_arguments(&mut self, arguments: &[Text]) {
        let mut words: Vec<Text> = Vec::new();
        for argument in arguments {
            if let Some(name) = argument.text.strip_prefix("--").filter(|name| !name.is_empty()) {
                self.close(&mut words);
                // One word may hold the directive and its value: `--replicaof host 6379` in quotes.
                let mut inner = split(name).unwrap_or_default().into_iter();
                words.extend(inner.by_ref().map(|word| Text::new(word, argument.origin.clone())));
            } else if !words.is_empty() {
                words.push(argument.clone());
            }
        }
        self.close(&mut words);
    }

    fn close(&mut self, words: &mut Vec<Text>) {
        if let Some(first) = words.first() {
            let origin = Origin::at(first.place().clone());
            self.push(std::mem::take(words), origin, true);
        }
    }

    fn push(&mut self, mut words: Vec<Text>, origin: Origin, argument: bool) {
        if words.is_empty() {
            return;
        }
        let written = words.remove(0).text;
        let lower = written.to_ascii_lowercase();
        let mut name = redis::canonical(&lower).to_owned();
        if name == "slaveof" {
            name = "replicaof".to_owned();
        } else if let Some(rest) = name.strip_prefix("slave-") {
            name = format!("replica-{rest}");
        }
        if name == "sentinel" && !words.is_empty() {
            let word = words.remove(0).text.to_ascii_lowercase();
            name = format!("sentinel {}", word.replace("slave", "replica"));
            if name.starts_with("sentinel parallel") {
                name = "sentinel parallel-syncs".to_owned();
            }
        }
        // A password may begin with `#`, and so may what ACL calls a hash.
        let free = match name.as_str() {
            "requirepass" | "masterauth" | "sentinel sentinel-pass" => 1,
            "sentinel auth-pass" => 2,
            "user" | "rename-command" => usize::MAX,
            _ => 0,
        };
        let comment_behind = words.iter().skip(free).any(|word| word.text.starts_with('#'));
        self.all.push(Directive { name, written, words, origin, argument, comment_behind });
    }

    /// Adds what `other` says, behind what is there: it wins.
    pub fn add(&mut self, other: Directives) {
        self.all.extend(other.all);
        self.broken.extend(other.broken);
    }

    /// The directive `name` that is in force: the last one.
    pub fn get(&self, name: &str) -> Option<&Directive> {
        self.all.iter().rev().find(|directive| directive.name == name)
    }

    /// All directives `name`, in order.
    pub fn every<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Directive> {
        self.all.iter().filter(move |directive| directive.name == name)
    }

    /// The value of a directive that is one word.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.get(name)?.word(0)
    }

    /// The value of a directive as a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.word(name)?.parse().ok()
    }

    /// Whether the directive is set to `word`.
    pub fn is(&self, name: &str, word: &str) -> bool {
        self.word(name).is_some_and(|value| value.eq_ignore_ascii_case(word))
    }

    /// The value of `sentinel NAME MASTER …` for one master: what follows the master's name.
    pub fn of_master(&self, name: &str, master: &str) -> Option<&Directive> {
        self.all.iter().rev().find(|directive| directive.name == name && directive.word(0) == Some(master))
    }

    /// Each directive in force once, in the order of the file; those that add up as often as they stand.
    pub fn in_force(&self) -> Vec<&Directive> {
        let last = |directive: &&Directive| {
            ADDING.contains(&directive.name.as_str())
                || directive.name.starts_with("sentinel ")
                || self.get(&directive.name).is_some_and(|last| std::ptr::eq(last, *directive))
        };
        self.all.iter().filter(last).collect()
    }
}

/// Splits a line into words as `sdssplitargs` does; nothing if its quotes are not balanced.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let bytes = line.as_bytes();
    let (mut words, mut at) = (Vec::new(), 0);
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at >= bytes.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        loop {
            match bytes.get(at) {
                None => break,
                Some(b) if b.is_ascii_whitespace() => break,
                Some(b'"') => at = double_quoted(bytes, at + 1, &mut word)?,
                Some(b'\'') => at = single_quoted(bytes, at + 1, &mut word)?,
                Some(&b) => {
                    word.push(b);
                    at += 1;
                }
            }
        }
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
}

/// Behind the closing quote there must be a blank or the end.
fn closed(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at).is_none_or(u8::is_ascii_whitespace).then_some(at)
}

fn double_quoted(bytes: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'\\', Some(b'x')) if hex(bytes, at + 2).is_some() => {
                word.push(hex(bytes, at + 2)?);
                at += 4;
            }
            (b'\\', Some(&next)) => {
                word.push(match next {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                at += 2;
            }
            (b'"', _) => return closed(bytes, at + 1),
            (&b, _) => {
                word.push(b);
                at += 1;
            }
        }
    }
}

fn single_quoted(bytes: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'\\', Some(b'\'')) => {
                word.push(b'\'');
                at += 2;
            }
            (b'\'', _) => return closed(bytes, at + 1),
            (&b, _) => {
                word.push(b);
                at += 1;
            }
        }
    }
}

fn hex(bytes: &[u8], at: usize) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(at..at + 2)?).ok()?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::origin::lines_of;

    #[test]
    fn words_are_cut_as_redis_cuts_them() {
        let words = |line: &str| split(line).map(|words| words.join("|"));
        assert_eq!(words(r#"save "" x 'a\'b' "a\x41\n""#).as_deref(), Some("save||x|a'b|aA\n"));
        assert_eq!(words(r#"dir "/data"x"#), None);
        assert_eq!(words("a \"b"), None);
        assert_eq!(words("  a\tb ").as_deref(), Some("a|b"));
    }

    #[test]
    fn the_last_line_wins_and_some_add_up() {
        let text = "Port 1\nport 2\nsave 1 1\nsave 2 2\nSLAVEOF a 1\nsentinel known-slave m a 1\nrequirepass x #y\n";
        let mut all = Directives::of_lines(&lines_of(&"r.conf".into(), text));
        let text = |text: &str| Text::new(text, Origin::at(Place::new(&"c.yml".into(), 9)));
        all.add_arguments(&[text("--port"), text("3"), text("--save"), text(""), text("--replica-priority 5")]);
        assert_eq!((all.word("port"), all.every("save").count(), all.word("replicaof")), (Some("3"), 3, Some("a")));
        assert!(all.get("port").expect("set").argument && all.get("sentinel known-replica").is_some());
        assert_eq!(all.number("replica-priority"), Some(5));
        assert!(all.get("requirepass").expect("set").comment_behind);
        assert_eq!(all.in_force().iter().filter(|directive| directive.name == "port").count(), 1);
    }
}
