//! What a start script does, read and not run: the small part of the shell that writes configuration files and starts
//! servers. Commands that are not known are passed over; what they would print is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::origin::{Line, Origin, Place, Text};
use super::shell_words::{Command, List, Token, parse};
use super::vfs::Vfs;

/// Stands in a text for what nobody can know without running it.
pub(super) const UNKNOWN: char = '\u{fffc}';
/// The most commands of one start.
const STEPS_MAX: usize = 20_000;
/// So deep may scripts call scripts.
const DEPTH_MAX: usize = 12;
/// The longest text that a script may make.
const TEXT_MAX: usize = 1 << 16;
/// So many values in one line keep their origins.
const PARTS_MAX: usize = 32;
/// So many bytes may all its words have together: a script that doubles a text a thousand times ends.
const SPENT_MAX: usize = 16 << 20;

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
pub(super) struct Shell<'v, 'f> {
    /// The files.
    pub vfs: &'v mut Vfs<'f>,
    /// The variables.
    pub variables: BTreeMap<String, Text>,
    /// What was found.
    pub outcome: Outcome,
    /// The functions, and where their lines stand.
    functions: BTreeMap<String, (List, Rc<Places>)>,
    /// The lists of words that are set with `NAME=( … )`.
    lists: BTreeMap<String, Vec<Text>>,
    positional: Vec<Text>,
    steps: usize,
    spent: usize,
    depth: usize,
    /// So many `$( … )` are open: what starts in one is no server of the container.
    asking: usize,
    guarded: bool,
    /// Whether a condition was decided by taking what nobody knows for nothing.
    guessed: bool,
    trap: Option<Place>,
    host: String,
    /// The values of variables in the words of the command that is looked at.
    parts: Vec<Text>,
    /// Values that were in the lines of a script before it was read.
    inserted: BTreeMap<Place, Vec<Text>>,
    /// Whether variables that nothing sets may be set where the set does not tell.
    pub open: bool,
}

/// Where the lines of a script stand.
type Places = Vec<Place>;

/// What a command answers: whether it succeeded, if that is known, and what it prints; nothing where that is unknown.
type Answer = (Option<bool>, Option<Vec<Line>>);

/// The answer of a command that prints nothing.
fn silent(status: Option<bool>) -> Answer {
    (status, Some(Vec::new()))
}

impl<'v, 'f> Shell<'v, 'f> {
    /// A shell with the environment `variables`, on the host of this name.
    pub(super) fn new(vfs: &'v mut Vfs<'f>, variables: BTreeMap<String, Text>, host: &str) -> Self {
        Shell {
            vfs,
            variables,
            outcome: Outcome::default(),
            functions: BTreeMap::new(),
            lists: BTreeMap::new(),
            positional: Vec::new(),
            steps: 0,
            spent: 0,
            depth: 0,
            asking: 0,
            guarded: false,
            guessed: false,
            trap: None,
            host: host.to_owned(),
            parts: Vec::new(),
            inserted: BTreeMap::new(),
            open: false,
        }
    }

    /// Whether a program was started and nothing comes behind it.
    fn done(&self) -> bool {
        self.outcome.start.is_some() || self.steps > STEPS_MAX || self.spent > SPENT_MAX
    }

    /// Runs `words` as a command line, as a container runtime does.
    pub(super) fn command(&mut self, words: &[Text]) {
        let Some(first) = words.first() else { return };
        let place = first.place().clone();
        self.run(words, None, &place);
    }

    /// Runs the lines of a script with these arguments.
    pub(super) fn script(&mut self, lines: &[Line], arguments: &[Text]) -> Answer {
        if self.depth >= DEPTH_MAX {
            return (None, None);
        }
        self.depth += 1;
        let places: Places = lines.iter().map(|line| line.origin.place.clone()).collect();
        for line in lines.iter().filter(|line| !line.parts.is_empty()) {
            let known = self.inserted.entry(line.origin.place.clone()).or_default();
            known.extend(line.parts.iter().filter(|part| !part.text.is_empty()).take(PARTS_MAX - known.len()).cloned());
        }
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let before = std::mem::replace(&mut self.positional, arguments.to_vec());
        let list = parse(&text.join("\n"));
        let answer = self.list(&list, &places);
        self.positional = before;
        self.depth -= 1;
        answer
    }

    /// Runs a text that was one word.
    fn inner(&mut self, text: &Text, arguments: &[Text]) -> Answer {
        let found = |(n, line): (usize, &str)| Line::at(line, self.find(line, text.place(), n));
        let lines: Vec<Line> = match text.origin.seams {
            Some(_) => text.origin.lines(&text.text),
            None => text.text.lines().enumerate().map(found).collect(),
        };
        self.script(&lines, arguments)
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
        (raw, redirects): (&[(String, usize)], &[Token]),
        place: &Place,
        places: &Places,
        input: Option<Vec<Line>>,
    ) -> Answer {
        let mut words: Vec<Text> = Vec::new();
        let mut assigned = Vec::new();
        self.parts.clear();
        for (word, line) in raw {
            let own = places.get(*line).unwrap_or(place);
            if let (true, Some((name, append, value))) = (words.is_empty(), assignment(word)) {
                if let Some(inner) = value.strip_prefix('(') {
                    self.set_list(name, append, inner.strip_suffix(')').unwrap_or(inner), own);
                    continue;
                }
                let (mut text, origin) = self.expand_from(value, own);
                if let Some(before) = self.variables.get(name).filter(|_| append) {
                    text.insert_str(0, &before.text);
                }
                assigned.push((name.to_owned(), Text::new(bounded(text), origin)));
            } else {
                words.extend(self.expand(word, own));
            }
        }
        if words.is_empty() {
            self.variables.extend(assigned);
        }
        let input = self.input(redirects, input, place, places);
        let answer = match words.is_empty() {
            // `$(< FILE)`
            true => (Some(true), Some(input.filter(|_| !redirects.is_empty()).unwrap_or_default())),
            false => self.run(&words, input, place),
        };
        self.output(redirects, answer, place)
    }

    /// What a command reads: its redirections, or what feeds it.
    fn input(
        &mut self,
        redirects: &[Token],
        mut input: Option<Vec<Line>>,
        place: &Place,
        places: &Places,
    ) -> Option<Vec<Line>> {
        for redirect in redirects {
            match redirect {
                Token::Here(body, line, literal) => {
                    let origin =
                        |n: usize| places.get(line.saturating_add(n)).or(places.last()).unwrap_or(place).clone();
                    let mut lines = Vec::new();
                    for (n, text) in body.lines().enumerate() {
                        let at = origin(n);
                        lines.push(if *literal { self.plain_line(text, &at) } else { self.expand_line(text, &at) });
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
        input
    }

    /// Writes what a command answers where its redirections lead.
    fn output(&mut self, redirects: &[Token], (status, output): Answer, place: &Place) -> Answer {
        for redirect in redirects {
            if let Token::Redirect(kind @ (">" | ">>" | "&>"), target, _) = redirect {
                let path = self.path(target, place);
                if path != "/dev/null" && !path.starts_with("/dev/std") {
                    let guarded = self.guarded;
                    self.vfs.write(&path, output.clone(), *kind == ">>", guarded);
                }
                return silent(status);
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
        if let Some((list, places)) = self.functions.get(&name).cloned() {
            let before = std::mem::replace(&mut self.positional, words[1..].to_vec());
            self.depth += 1;
            let answer = self.list(&list, &places);
            self.depth -= 1;
            self.positional = before;
            return answer;
        }
        self.note(words, place);
        let rest = &words[1..];
        // A script of the set, called by its path.
        let script = first.text.contains('/').then(|| self.absolute(&first.text));
        if let Some(lines) = script.and_then(|path| self.vfs.lines(&path)) {
            return (None, self.script(&lines, rest).1);
        }
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
                match path.and_then(|path| self.vfs.lines(&path)) {
                    Some(lines) => self.script(&lines, &rest[1..]),
                    None => silent(None),
                }
            }
            "eval" => {
                let text = rest.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
                let arguments = self.positional.clone();
                self.inner(&Text::new(text, Origin::at(place.clone())), &arguments)
            }
            "trap" | "cd" | "export" | "local" | "declare" | "readonly" => self.builtin(&name, rest, place),
            "true" | ":" | "set" | "mkdir" | "chown" | "chmod" | "sleep" | "touch" | "ulimit" | "umask" | "wait"
            | "sync" | "break" | "continue" | "return" | "exit" | "shift" | "shopt" | "unset" | "kill" => {
                silent(Some(true))
            }
            "false" => silent(Some(false)),
            "[" | "[[" | "test" => silent(self.test(rest)),
            _ => self.tool(&name, rest, input, place),
        }
    }

    /// What changes the shell itself.
    fn builtin(&mut self, name: &str, rest: &[Text], place: &Place) -> Answer {
        match name {
            "trap" => {
                let quits = rest.iter().any(|word| ["TERM", "SIGTERM", "15", "EXIT"].contains(&word.text.as_str()));
                if quits && rest.len() > 1 && rest[0].text != "-" {
                    self.trap = Some(place.clone());
                }
                silent(Some(true))
            }
            "cd" => {
                if let Some(path) = rest.first().map(|word| self.absolute(&word.text)) {
                    self.variables.insert("PWD".to_owned(), Text::new(path, Origin::at(place.clone())));
                }
                silent(Some(true))
            }
            _ => {
                for word in rest {
                    if let Some((name, value)) = word.text.split_once('=') {
                        self.variables.insert(name.to_owned(), Text::new(value, word.origin.clone()));
                    }
                }
                silent(Some(true))
            }
        }
    }

    fn wrapper(&mut self, name: &str, words: &[Text], place: &Place, input: Option<Vec<Line>>) -> Answer {
        let mut rest = words[1..].to_vec();
        // An entrypoint of the set is read; the image's own one only starts what follows.
        if name.ends_with(".sh") {
            let path = self.find_program(&words[0].text);
            if let Some(lines) = path.and_then(|path| self.vfs.lines(&path)) {
                return (None, self.script(&lines, &rest).1);
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
                return (None, self.inner(text, &arguments).1);
            }
            if word.text == "-s" {
                return (None, input.and_then(|lines| self.script(&lines, &[]).1));
            }
        }
        match rest.get(at) {
            Some(word) => {
                let path = self.find_program(&word.text).unwrap_or_default();
                match self.vfs.lines(&path) {
                    Some(lines) => (None, self.script(&lines, &rest[at + 1..]).1),
                    None => {
                        self.outcome.skipped.push((place.clone(), word.text.clone()));
                        (None, None)
                    }
                }
            }
            None => (None, input.and_then(|lines| self.script(&lines, &[]).1)),
        }
    }

    fn start(&mut self, name: &str, arguments: &[Text], place: &Place) -> Answer {
        let informs = ["--version", "-v", "--help", "-h", "-c", "-vv"];
        if arguments.first().is_some_and(|word| informs.contains(&word.text.as_str()))
            && arguments.len() < 4
            && !arguments.iter().any(|word| word.text == "-f" && word.text.is_empty())
        {
            return (Some(true), None);
        }
        if self.asking > 0 {
            return (None, None);
        }
        let program = name.replace("valkey", "redis");
        let sentinel = program == "redis-sentinel" || arguments.iter().any(|word| word.text == "--sentinel");
        let program = if sentinel { "redis-sentinel".to_owned() } else { program };
        self.outcome.start = Some(Start { program, arguments: arguments.to_vec(), place: place.clone() });
        silent(Some(true))
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
            [operator, text] if operator == "-z" => Some(!self.says(text)),
            [operator, text] if operator == "-n" => Some(self.says(text)),
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
            [text] => Some(self.says(text)),
            _ => None,
        }
    }

    /// Whether a text says anything: what nobody knows is taken for nothing, as at a first start.
    fn says(&mut self, text: &str) -> bool {
        let unknown = !text.is_empty() && text.chars().all(|c| c == UNKNOWN);
        self.guessed |= unknown;
        !text.is_empty() && !unknown
    }
}

/// `NAME=value` or `NAME+=value`, split; and whether it is the second.
fn assignment(word: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, append) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    let good = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    good.then_some((name, append, value))
}

/// Whether a condition asks whether a file is not there.
fn mentions_file_test(list: &List) -> bool {
    list.iter().any(|(_, command)| is_file_test(command))
}

/// Whether commands end the script as a failure: no server comes of them.
fn gives_up(list: &List) -> bool {
    list.iter().any(|(_, command)| match command {
        Command::Simple { words, .. } => {
            let words: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
            matches!(words[..], ["exit", status] if status != "0")
        }
        _ => false,
    })
}

fn is_file_test(command: &Command) -> bool {
    match command {
        Command::Simple { words, .. } => {
            let test = words.first().is_some_and(|(word, _)| ["[", "[[", "test"].contains(&word.as_str()));
            test && words.iter().any(|(word, _)| ["-f", "-e", "-s"].contains(&word.as_str()))
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
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
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
mod flow;
mod sed;
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
