//! What a start script does, read and not run: the small part of the shell that writes configuration files and starts
//! servers. Commands that are not known are passed over; what they would print is unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::origin::{Line, Origin, Place, Text};
use super::shell_words::{Command, List, Token, parse};
use super::vfs::Vfs;

/// Stands in a text for what nobody can know without running it.
pub const UNKNOWN: char = '\u{fffc}';
/// The most commands of one start.
const STEPS_MAX: usize = 20_000;
/// So deep may scripts call scripts.
const DEPTH_MAX: usize = 12;
/// The longest text that a script may make.
const TEXT_MAX: usize = 1 << 20;

/// A replacement that a script makes in a file.
#[derive(Clone, Debug)]
pub struct Substitution {
    /// What is looked for.
    pub pattern: String,
    /// The file.
    pub file: String,
    /// Where the script says it.
    pub place: Place,
    /// In how many lines it was found.
    pub hits: usize,
    /// In how many of those as part of a longer name.
    pub partial: usize,
    /// Whether nothing is left to look for, because the variable was replaced on both sides.
    pub empty: bool,
}

/// A program that is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// `redis-server`, `redis-sentinel` or `haproxy`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<Text>,
    /// Where.
    pub place: Place,
}

/// What came of a start script.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The program that was started, if one was recognised.
    pub start: Option<Start>,
    /// The variables that were asked for.
    pub used: BTreeSet<String>,
    /// The replacements in files.
    pub substitutions: Vec<Substitution>,
    /// Commands to servers: SLAVEOF, SENTINEL MONITOR, SENTINEL RESET …
    pub orders: Vec<(Place, String)>,
    /// A `trap` before an `exec` of the program.
    pub trap: Option<Place>,
    /// The paths of files that commands wrote which are not understood.
    pub skipped: Vec<(Place, String)>,
    /// The texts of all commands, for those who look for a word.
    pub words: Vec<Text>,
}

/// A shell that runs nothing.
pub struct Shell<'v, 'f> {
    /// The files.
    pub vfs: &'v mut Vfs<'f>,
    /// The variables.
    pub variables: BTreeMap<String, Text>,
    /// What was found.
    pub outcome: Outcome,
    functions: BTreeMap<String, List>,
    positional: Vec<Text>,
    steps: usize,
    depth: usize,
    guarded: bool,
    trap: Option<Place>,
    host: String,
    /// The values of variables in the words of the command that is looked at.
    parts: Vec<Text>,
    /// Whether variables that nothing sets may be set where the set does not tell.
    pub open: bool,
}

/// Where the lines of a script stand.
type Places = Vec<Place>;

/// What a command answers: whether it succeeded, if that is known, and what it prints.
type Answer = (Option<bool>, Option<Vec<Line>>);

impl<'v, 'f> Shell<'v, 'f> {
    /// A shell with the environment `variables`, on the host of this name.
    pub fn new(vfs: &'v mut Vfs<'f>, variables: BTreeMap<String, Text>, host: &str) -> Self {
        Shell {
            vfs,
            variables,
            outcome: Outcome::default(),
            functions: BTreeMap::new(),
            positional: Vec::new(),
            steps: 0,
            depth: 0,
            guarded: false,
            trap: None,
            host: host.to_owned(),
            parts: Vec::new(),
            open: false,
        }
    }

    /// Whether a program was started and nothing comes behind it.
    fn done(&self) -> bool {
        self.outcome.start.is_some() || self.steps > STEPS_MAX
    }

    /// Runs `words` as a command line, as a container runtime does.
    pub fn command(&mut self, words: &[Text]) {
        let Some(first) = words.first() else { return };
        let place = first.place().clone();
        self.run(words, None, &place);
    }

    /// Runs the lines of a script with these arguments.
    pub fn script(&mut self, lines: &[Line], arguments: &[Text]) {
        if self.depth >= DEPTH_MAX {
            return;
        }
        self.depth += 1;
        let places: Places = lines.iter().map(|line| line.origin.place.clone()).collect();
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let before = std::mem::replace(&mut self.positional, arguments.to_vec());
        let list = parse(&text.join("\n"));
        self.list(&list, &places);
        self.positional = before;
        self.depth -= 1;
    }

    /// Runs a text that was one word, at `place`.
    fn inner(&mut self, text: &str, place: &Place, arguments: &[Text]) {
        let lines: Vec<Line> =
            text.lines().enumerate().map(|(n, line)| Line::at(line, self.find(line, place, n))).collect();
        self.script(&lines, arguments);
    }

    /// Where a line of a script that stands in another file is written: the next line below that has its words.
    fn find(&self, line: &str, place: &Place, n: usize) -> Place {
        let Some(file) = self.vfs.set().get(&place.file) else { return place.clone() };
        let words = line.trim();
        if words.is_empty() {
            return Place::new(&place.file, place.line + n);
        }
        let below = file.text.lines().enumerate().skip(place.line - 1).take(500);
        let found = below.into_iter().find(|(_, text)| text.contains(words));
        found.map_or_else(|| Place::new(&place.file, place.line), |(n, _)| Place::new(&place.file, n + 1))
    }

    fn list(&mut self, list: &List, places: &Places) -> Option<bool> {
        let (mut status, mut asked) = (Some(true), false);
        for (before, command) in list {
            if self.done() {
                return status;
            }
            let guarded = self.guarded;
            // `[ -f FILE ] || cp …`: what is made only where it is missing.
            self.guarded |= asked && *before != ";";
            asked = is_file_test(command) || asked && *before != ";";
            let skip = match *before {
                "&&" => status == Some(false),
                "||" => status == Some(true),
                _ => false,
            };
            // Behind a command whose end is unknown, what follows `&&` is done, and what follows `||` is not.
            let doubtful = *before == "||" && status.is_none();
            if !skip && !doubtful {
                status = self.execute(command, places, None).0;
            }
            self.guarded = guarded;
        }
        status
    }

    fn execute(&mut self, command: &Command, places: &Places, input: Option<Vec<Line>>) -> Answer {
        self.steps += 1;
        if self.done() || self.depth > DEPTH_MAX + 40 {
            return (None, None);
        }
        let place = |line: usize| places.get(line).or(places.last()).cloned();
        match command {
            Command::Simple { words, redirects, line } => match place(*line) {
                Some(place) => self.simple(words, redirects, &place, places, input),
                None => (None, None),
            },
            Command::Pipe(all) => {
                let mut answer = (Some(true), input);
                for command in all {
                    answer = self.execute(command, places, answer.1);
                }
                answer
            }
            Command::If(arms, otherwise) => {
                for (condition, then) in arms {
                    let guarded = self.guarded;
                    let asks_for_file = mentions_file_test(condition);
                    let status = self.list(condition, places);
                    if status == Some(true) {
                        // A file that is made where there is none is there at the next start.
                        self.guarded |= asks_for_file;
                        let status = self.list(then, places);
                        self.guarded = guarded;
                        return (status, None);
                    }
                }
                (self.list(otherwise, places), None)
            }
            Command::Case(word, arms, line) => {
                let Some(place) = place(*line) else { return (None, None) };
                let word = self.expand_one(word, &place);
                for (patterns, list) in arms {
                    let hit = patterns.iter().any(|pattern| {
                        let pattern = self.expand_one(pattern, &place);
                        glob(pattern.as_bytes(), word.as_bytes())
                    });
                    if hit && !word.contains(UNKNOWN) {
                        return (self.list(list, places), None);
                    }
                }
                (None, None)
            }
            Command::Group(list) => (self.list(list, places), None),
            Command::Function(name, list) => {
                self.functions.insert(name.clone(), list.clone());
                (Some(true), None)
            }
            Command::Skipped(_, inside) => {
                self.mention(inside, places);
                (None, None)
            }
        }
    }

    /// The words of commands that are not followed: what they name may matter.
    fn mention(&mut self, list: &List, places: &Places) {
        for (_, command) in list {
            match command {
                Command::Simple { words, line, .. } => {
                    let place = places.get(*line).or(places.last()).cloned();
                    let Some(place) = place else { continue };
                    let words: Vec<Text> = words
                        .iter()
                        .map(|word| Text::new(self.expand_one(word, &place), Origin::at(place.clone())))
                        .collect();
                    self.note(&words, &place);
                }
                Command::Pipe(all) => {
                    let all: List = all.iter().map(|command| (";", command.clone())).collect();
                    self.mention(&all, places);
                }
                Command::If(arms, otherwise) => {
                    arms.iter().for_each(|(condition, then)| {
                        self.mention(condition, places);
                        self.mention(then, places);
                    });
                    self.mention(otherwise, places);
                }
                Command::Case(_, arms, _) => arms.iter().for_each(|(_, list)| self.mention(list, places)),
                Command::Group(list) | Command::Skipped(_, list) | Command::Function(_, list) => {
                    self.mention(list, places)
                }
            }
        }
    }

    /// Keeps the words of a command, and orders to servers.
    fn note(&mut self, words: &[Text], place: &Place) {
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        if let Some(order) = order(&text) {
            self.outcome.orders.push((place.clone(), order));
        }
        if self.outcome.words.len() < STEPS_MAX {
            self.outcome.words.push(Text::new(text, Origin::at(place.clone())));
        }
    }

    fn simple(
        &mut self,
        raw: &[String],
        redirects: &[Token],
        place: &Place,
        places: &Places,
        input: Option<Vec<Line>>,
    ) -> Answer {
        let mut words: Vec<Text> = Vec::new();
        let mut assigned = Vec::new();
        self.parts.clear();
        for word in raw {
            if let (true, Some((name, value))) = (words.is_empty(), assignment(word)) {
                let (text, origin) = self.expand_from(value, place);
                assigned.push((name.to_owned(), Text::new(text, origin)));
            } else {
                words.extend(self.expand(word, place));
            }
        }
        if words.is_empty() {
            self.variables.extend(assigned);
        }
        let mut input = input;
        for redirect in redirects {
            match redirect {
                Token::Here(body, line, literal) => {
                    let origin =
                        |n: usize| places.get(line.saturating_add(n)).or(places.last()).unwrap_or(place).clone();
                    let mut lines = Vec::new();
                    for (n, text) in body.lines().enumerate() {
                        let at = origin(n);
                        lines.push(if *literal { Line::at(text, at) } else { self.expand_line(text, &at) });
                    }
                    input = Some(lines);
                }
                Token::Redirect("<", target, _) => {
                    let path = self.path(target, place);
                    input = self.vfs.lines(&path);
                }
                _ => {}
            }
        }
        let (status, output) = if words.is_empty() { (Some(true), None) } else { self.run(&words, input, place) };
        for redirect in redirects {
            if let Token::Redirect(kind @ (">" | ">>" | "&>"), target, _) = redirect {
                let path = self.path(target, place);
                if path != "/dev/null" && !path.starts_with("/dev/std") {
                    let guarded = self.guarded;
                    self.vfs.write(&path, output.clone(), *kind == ">>", guarded);
                }
                return (status, None);
            }
        }
        (status, output)
    }

    /// The path of a redirection's target.
    fn path(&mut self, word: &str, place: &Place) -> String {
        let text = self.expand_one(word, place);
        self.absolute(&text)
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            return super::source::clean(path);
        }
        let folder = self.variables.get("PWD").map_or("/", |text| text.text.as_str());
        super::source::clean(&format!("{folder}/{path}"))
    }

    /// One command with its words expanded.
    fn run(&mut self, words: &[Text], input: Option<Vec<Line>>, place: &Place) -> Answer {
        self.steps += 1;
        let Some(first) = words.first().filter(|_| self.depth < DEPTH_MAX) else { return (None, None) };
        let name = first.text.rsplit('/').next().unwrap_or_default().to_owned();
        if let Some(list) = self.functions.get(&name).cloned() {
            let before = std::mem::replace(&mut self.positional, words[1..].to_vec());
            self.depth += 1;
            let status = self.list(&list, &vec![place.clone()]);
            self.depth -= 1;
            self.positional = before;
            return (status, None);
        }
        self.note(words, place);
        let rest = &words[1..];
        match name.as_str() {
            "redis-server" | "valkey-server" | "keydb-server" | "redis-sentinel" | "valkey-sentinel" | "haproxy" => {
                self.start(&name, rest, place)
            }
            "exec"
            | "nohup"
            | "command"
            | "docker-entrypoint.sh"
            | "entrypoint.sh"
            | "tini"
            | "dumb-init"
            | "env"
            | "sudo"
            | "catatonit" => self.wrapper(&name, words, place, input),
            "gosu" | "su-exec" | "chroot" => {
                let rest = rest.get(1..).unwrap_or_default().to_vec();
                self.run(&rest, input, place)
            }
            "sh" | "bash" | "ash" | "dash" => self.sub_shell(rest, input, place),
            "." | "source" => {
                let path = rest.first().map(|word| self.absolute(&word.text));
                if let Some(lines) = path.and_then(|path| self.vfs.lines(&path)) {
                    self.script(&lines, &rest[1..]);
                }
                (None, None)
            }
            "trap" => {
                let quits = rest.iter().any(|word| ["TERM", "SIGTERM", "15", "EXIT"].contains(&word.text.as_str()));
                if quits && rest.len() > 1 && rest[0].text != "-" {
                    self.trap = Some(place.clone());
                }
                (Some(true), None)
            }
            "cd" => {
                if let Some(path) = rest.first().map(|word| self.absolute(&word.text)) {
                    self.variables.insert("PWD".to_owned(), Text::new(path, Origin::at(place.clone())));
                }
                (Some(true), None)
            }
            "export" | "local" | "declare" | "readonly" => {
                for word in rest {
                    if let Some((name, value)) = word.text.split_once('=') {
                        self.variables.insert(name.to_owned(), Text::new(value, word.origin.clone()));
                    }
                }
                (Some(true), None)
            }
            "true" | ":" | "set" | "mkdir" | "chown" | "chmod" | "sleep" | "touch" | "ulimit" | "umask" | "wait"
            | "sync" => (Some(true), None),
            "false" => (Some(false), None),
            "[" | "[[" | "test" => (self.test(rest), None),
            _ => self.tool(&name, rest, input, place),
        }
    }

    fn wrapper(&mut self, name: &str, words: &[Text], place: &Place, input: Option<Vec<Line>>) -> Answer {
        let mut rest = words[1..].to_vec();
        // An entrypoint of the set is read; the image's own one only starts what follows.
        if name.ends_with(".sh") {
            let path = self.find_program(&words[0].text);
            if let Some(lines) = path.and_then(|path| self.vfs.lines(&path)) {
                self.script(&lines, &rest);
                return (None, None);
            }
        }
        while rest.first().is_some_and(|word| word.text.starts_with('-') || name == "env" && word.text.contains('=')) {
            rest.remove(0);
        }
        let answer = self.run(&rest, input, place);
        if name == "exec" && self.outcome.start.is_some() {
            self.outcome.trap = self.outcome.trap.take().or(self.trap.take());
        }
        answer
    }

    /// Where a program of this name is: as it stands, or in a folder of the usual path.
    fn find_program(&mut self, name: &str) -> Option<String> {
        if name.contains('/') {
            return Some(self.absolute(name));
        }
        let folders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", ""];
        let paths: Vec<String> = folders.iter().map(|folder| format!("{folder}/{name}")).collect();
        paths.into_iter().find(|path| self.vfs.lines(path).is_some())
    }

    fn sub_shell(&mut self, rest: &[Text], input: Option<Vec<Line>>, place: &Place) -> Answer {
        let mut at = 0;
        while let Some(word) = rest.get(at).filter(|word| word.text.starts_with(['-', '+']) && word.text.len() > 1) {
            at += 1;
            if word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('c') {
                let Some(text) = rest.get(at) else { return (None, None) };
                let arguments = rest.get(at + 2..).unwrap_or_default().to_vec();
                self.inner(&text.text, text.place(), &arguments);
                return (None, None);
            }
            if word.text == "-s" {
                if let Some(lines) = input {
                    self.script(&lines, &[]);
                }
                return (None, None);
            }
        }
        match rest.get(at) {
            Some(word) => {
                let path = self.find_program(&word.text).unwrap_or_default();
                match self.vfs.lines(&path) {
                    Some(lines) => self.script(&lines, &rest[at + 1..]),
                    None => self.outcome.skipped.push((place.clone(), word.text.clone())),
                }
            }
            None => {
                if let Some(lines) = input {
                    self.script(&lines, &[]);
                }
            }
        }
        (None, None)
    }

    fn start(&mut self, name: &str, arguments: &[Text], place: &Place) -> Answer {
        let informs = ["--version", "-v", "--help", "-h", "-c", "-vv"];
        if arguments.first().is_some_and(|word| informs.contains(&word.text.as_str()))
            && arguments.len() < 4
            && !arguments.iter().any(|word| word.text == "-f" && word.text.is_empty())
        {
            return (Some(true), None);
        }
        let program = name.replace("valkey", "redis");
        let sentinel = program == "redis-sentinel" || arguments.iter().any(|word| word.text == "--sentinel");
        let program = if sentinel { "redis-sentinel".to_owned() } else { program };
        self.outcome.start = Some(Start { program, arguments: arguments.to_vec(), place: place.clone() });
        (Some(true), None)
    }

    /// `[ … ]`, as far as it can be known.
    fn test(&mut self, words: &[Text]) -> Option<bool> {
        let words: Vec<String> =
            words.iter().map(|word| word.text.clone()).filter(|word| word != "]" && word != "]]").collect();
        for (operator, combine) in [("-o", false), ("||", false), ("-a", true), ("&&", true)] {
            if let Some(at) = words.iter().position(|word| word == operator).filter(|at| *at > 0) {
                let (left, right) = (self.test_one(&words[..at]), self.test_one(&words[at + 1..]));
                return if combine { Some(left? && right?) } else { Some(left? || right?) };
            }
        }
        self.test_one(&words)
    }

    fn test_one(&mut self, words: &[String]) -> Option<bool> {
        let known = |text: &str| !text.contains(UNKNOWN);
        match words {
            [not, rest @ ..] if not == "!" => self.test_one(rest).map(|value| !value),
            [operator, text] if operator == "-z" => Some(text.is_empty() || text.chars().all(|c| c == UNKNOWN)),
            [operator, text] if operator == "-n" => Some(!text.is_empty() && !text.chars().all(|c| c == UNKNOWN)),
            [operator, path] if ["-f", "-e", "-s", "-r", "-w"].contains(&operator.as_str()) => {
                let path = self.absolute(path);
                self.vfs.exists(&path)
            }
            [operator, _] if operator == "-d" => None,
            [left, operator, right] if ["=", "==", "!="].contains(&operator.as_str()) => {
                (known(left) && known(right)).then(|| glob(right.as_bytes(), left.as_bytes()) == (operator != "!="))
            }
            [left, operator, right] => {
                let (left, right): (i64, i64) = (left.parse().ok()?, right.parse().ok()?);
                match operator.as_str() {
                    "-eq" => Some(left == right),
                    "-ne" => Some(left != right),
                    "-gt" => Some(left > right),
                    "-ge" => Some(left >= right),
                    "-lt" => Some(left < right),
                    "-le" => Some(left <= right),
                    _ => None,
                }
            }
            [text] => Some(!text.is_empty() && !text.chars().all(|c| c == UNKNOWN)),
            _ => None,
        }
    }
}

/// `NAME=value`, split.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let good = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    good.then_some((name, value))
}

/// Whether a condition asks whether a file is not there.
fn mentions_file_test(list: &List) -> bool {
    list.iter().any(|(_, command)| is_file_test(command))
}

fn is_file_test(command: &Command) -> bool {
    match command {
        Command::Simple { words, .. } => {
            let test = words.first().is_some_and(|word| ["[", "[[", "test"].contains(&word.as_str()));
            test && words.iter().any(|word| ["-f", "-e", "-s"].contains(&word.as_str()))
        }
        Command::If(arms, _) => arms.iter().any(|(condition, _)| mentions_file_test(condition)),
        _ => false,
    }
}

/// What a command orders a server to do, if that matters to roles.
fn order(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let cli = lower.contains("redis-cli") || lower.contains("valkey-cli");
    let orders = [
        "slaveof",
        "replicaof",
        "sentinel monitor",
        "sentinel reset",
        "sentinel failover",
        "sentinel remove",
        "sentinel set",
    ];
    let found =
        orders.iter().find(|order| lower.contains(&format!(" {order} ")) || lower.ends_with(&format!(" {order}")));
    found.filter(|_| cli).map(|order| (*order).to_owned())
}

/// Whether a text fits a pattern with `*` and `?`.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut back {
                Some((star, from)) => {
                    *from += 1;
                    (p, t) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

mod expand;
mod tools;

#[cfg(test)]
mod tests;

/// Puts at most so much text together as a script may.
fn bounded(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
