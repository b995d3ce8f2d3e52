//! haproxy.cfg: words, sections and what a proxy says, with `defaults` worked in.

use std::collections::BTreeMap;

use super::origin::{Line, Origin, Place, Text};

/// A `server` line.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name.
    pub name: Text,
    /// Its address without the port.
    pub host: Text,
    /// Its port, if it has one.
    pub port: Option<String>,
    /// Its keywords with their values, those of `default-server` first.
    pub keywords: Vec<(Text, Option<Text>)>,
}

/// Keywords of a server line that have a value.
const WITH_VALUE: [&str; 26] = [
    "inter",
    "fastinter",
    "downinter",
    "rise",
    "fall",
    "port",
    "addr",
    "maxconn",
    "minconn",
    "maxqueue",
    "weight",
    "id",
    "on-marked-down",
    "on-marked-up",
    "on-error",
    "observe",
    "error-limit",
    "init-addr",
    "resolvers",
    "resolve-prefer",
    "slowstart",
    "source",
    "cookie",
    "track",
    "check-sni",
    "pool-max-conn",
];

impl Server {
    /// The last value of a keyword.
    pub fn value(&self, keyword: &str) -> Option<&Text> {
        self.keywords.iter().rev().find(|(name, _)| name.text == keyword)?.1.as_ref()
    }

    /// Whether the keyword stands there.
    pub fn has(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|(name, _)| name.text == keyword)
    }

    /// Where the server stands.
    pub fn place(&self) -> &Place {
        self.name.place()
    }
}

/// One `tcp-check` step.
#[derive(Clone, Debug)]
pub enum Step {
    /// `connect`.
    Connect,
    /// `send TEXT`.
    Send(Text),
    /// `expect string|rstring|… TEXT`.
    Expect(String, Text),
    /// Anything else.
    Other,
}

/// A `frontend`, `backend` or `listen` section, `defaults` worked in.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `frontend`, `backend` or `listen`.
    pub kind: String,
    /// Its name.
    pub name: Text,
    /// Its lines: the first word and the rest.
    pub lines: Vec<Vec<Text>>,
    /// The lines of the `defaults` section that is in force for it.
    pub defaults: Vec<Vec<Text>>,
    /// Its servers.
    pub servers: Vec<Server>,
    /// Its `tcp-check` lines.
    pub steps: Vec<Step>,
}

impl Proxy {
    /// The last line that begins with `words`, in the section or its defaults.
    pub fn line(&self, words: &[&str]) -> Option<&[Text]> {
        let begins = |line: &&Vec<Text>| {
            line.len() >= words.len() && line.iter().zip(words).all(|(have, want)| have.text == **want)
        };
        let own = self.lines.iter().rev().find(begins);
        own.or_else(|| self.defaults.iter().rev().find(begins)).map(Vec::as_slice)
    }

    /// The word behind `words`.
    pub fn value(&self, words: &[&str]) -> Option<&Text> {
        self.line(words)?.get(words.len())
    }

    /// All own lines that begin with `word`.
    pub fn every<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a [Text]> {
        self.lines.iter().filter(move |line| line.first().is_some_and(|first| first.text == word)).map(Vec::as_slice)
    }

    /// The addresses and ports on which it listens.
    pub fn ports(&self) -> Vec<(String, Text)> {
        let binds = self.every("bind").filter_map(|line| line.get(1));
        let split = |bind: &Text| {
            let port = bind.text.rsplit(':').next().unwrap_or_default().to_owned();
            (port, bind.clone())
        };
        binds
            .flat_map(|bind| bind.text.split(',').map(|part| Text::new(part, bind.origin.clone())).collect::<Vec<_>>())
            .map(|bind| split(&bind))
            .collect()
    }

    /// Whether it speaks HTTP.
    pub fn is_http(&self) -> bool {
        self.value(&["mode"]).is_some_and(|mode| mode.text == "http") && !self.is_stats()
    }

    /// Whether it shows the statistics page.
    pub fn is_stats(&self) -> bool {
        self.lines.iter().any(|line| line.first().is_some_and(|word| word.text == "stats"))
    }

    /// The text that its checks wait for to tell a master, if they do.
    pub fn asks_role(&self) -> Option<&'static str> {
        let expected = self.steps.iter().flat_map(|step| match step {
            Step::Expect(kind, text) if kind == "rstring" => alternatives(&text.text.to_ascii_lowercase(), 0),
            Step::Expect(_, text) => vec![text.text.to_ascii_lowercase()],
            _ => Vec::new(),
        });
        let mut role = None;
        for text in expected {
            if text.contains("role:master") || text == "master" || text.contains("$6\\r\\nmaster") {
                role = Some("master");
            } else if text.contains("role:slave") || text.contains("role:replica") || text == "slave" {
                role = Some("slave");
            }
        }
        role
    }

    /// Whether a check step sends `word` (in any case).
    pub fn sends(&self, word: &str) -> Option<&Text> {
        self.steps.iter().find_map(|step| match step {
            Step::Send(text) if text.text.to_ascii_lowercase().contains(&word.to_ascii_lowercase()) => Some(text),
            _ => None,
        })
    }

    /// Whether more is checked than that somebody listens.
    pub fn checks_answers(&self) -> bool {
        let option = |name: &str| self.line(&["option", name]).is_some();
        option("redis-check")
            || option("httpchk")
            || option("tcp-check") && self.steps.iter().any(|step| matches!(step, Step::Expect(..)))
    }
}

/// A configuration of HAProxy.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The lines of `global`.
    pub global: Vec<Vec<Text>>,
    /// All proxies, in order.
    pub proxies: Vec<Proxy>,
    /// Whether there are `resolvers`.
    pub resolvers: bool,
    /// Lines that HAProxy does not read.
    pub broken: Vec<(Place, String)>,
    /// The names of variables that it mentions.
    pub variables: Vec<String>,
}

impl Config {
    /// The value of a `global` line.
    pub fn global(&self, word: &str) -> Option<&Text> {
        self.global.iter().rev().find(|line| line.first().is_some_and(|first| first.text == word))?.get(1)
    }

    /// The backend, or listen section with servers, of this name.
    pub fn backend(&self, name: &str) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.kind != "frontend" && proxy.name.text == name)
    }

    /// The names of the backends that `frontend` leads to: the default first.
    pub fn targets<'a>(&'a self, frontend: &'a Proxy) -> Vec<&'a Text> {
        let default = frontend.value(&["default_backend"]);
        default.into_iter().chain(frontend.every("use_backend").filter_map(|line| line.get(1))).collect()
    }
}

/// Whether the lines are a haproxy.cfg.
pub(crate) fn is_one(text: &str) -> bool {
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let sections = text.lines().filter(|line| {
        ["frontend", "backend", "listen"].contains(&first(line).as_str()) && line.split_whitespace().count() <= 4
    });
    let others =
        text.lines().filter(|line| ["bind", "server", "mode", "default_backend"].contains(&first(line).as_str()));
    sections.count() > 0 && others.count() > 0
}

/// Reads the lines of a file; `variables` are those of the environment.
pub(crate) fn read(lines: &[Line], variables: &BTreeMap<String, Text>) -> Config {
    let mut config = Config::default();
    let mut section = String::new();
    // Each `defaults` with its name; what does not say `from` has the last one before it.
    let mut defaults: Vec<(String, Vec<Vec<Text>>)> = Vec::new();
    for line in lines {
        let Some(words) = words(line, variables, &mut config.variables) else {
            config.broken.push((line.origin.place.clone(), "unbalanced quotes".to_owned()));
            continue;
        };
        let Some(first) = words.first() else { continue };
        match first.text.as_str() {
            kind @ ("frontend" | "backend" | "listen") => {
                section = "proxy".to_owned();
                let name = words.get(1).cloned().unwrap_or_else(|| first.clone());
                let inherited = in_force(&defaults, &words);
                config.proxies.push(Proxy {
                    kind: kind.to_owned(),
                    name,
                    lines: Vec::new(),
                    defaults: inherited,
                    servers: Vec::new(),
                    steps: Vec::new(),
                });
            }
            "defaults" => {
                section = "defaults".to_owned();
                let name = words.get(1).map_or(String::new(), |name| name.text.clone());
                let named = words.iter().any(|word| word.text == "from");
                let inherited = if named { in_force(&defaults, &words) } else { Vec::new() };
                defaults.push((name, inherited));
            }
            kind @ ("global" | "resolvers" | "peers" | "userlist" | "mailers" | "program" | "cache" | "ring") => {
                section = kind.to_owned();
                config.resolvers |= kind == "resolvers";
            }
            _ => match (section.as_str(), config.proxies.last_mut()) {
                ("global", _) => config.global.push(words),
                ("defaults", _) => {
                    defaults.iter_mut().last().into_iter().for_each(|(_, lines)| lines.push(words.clone()))
                }
                ("proxy", Some(proxy)) => proxy.lines.push(words),
                _ => {}
            },
        }
    }
    config.proxies.iter_mut().for_each(finish);
    config
}

/// The `defaults` of a section that begins with `words`: those that `from` names, else the last ones before it.
fn in_force(defaults: &[(String, Vec<Vec<Text>>)], words: &[Text]) -> Vec<Vec<Text>> {
    let from = words.iter().position(|word| word.text == "from").and_then(|at| words.get(at + 1));
    let found = match from {
        Some(from) => defaults.iter().rev().find(|(name, _)| *name == from.text),
        None => defaults.last(),
    };
    found.map(|(_, lines)| lines.clone()).unwrap_or_default()
}

/// The texts of which one fits a regular expression with alternatives: `role:(master|primary)`, `^role:master$`.
fn alternatives(pattern: &str, depth: usize) -> Vec<String> {
    let bare = pattern.trim_start_matches('^').trim_end_matches('$');
    let open = bare.rfind('(').filter(|_| depth < 8);
    let inner = open.and_then(|open| Some((open, open + bare[open..].find(')')?)));
    match inner {
        Some((open, close)) => {
            let (front, behind) = (&bare[..open], &bare[close + 1..]);
            let choices = bare[open + 1..close].trim_start_matches("?:").split('|').take(32);
            choices.flat_map(|choice| alternatives(&format!("{front}{choice}{behind}"), depth + 1)).take(256).collect()
        }
        None => bare.split('|').map(|text| text.replace(".*", "").replace('\\', "")).collect(),
    }
}

/// Reads the servers and check steps of a proxy.
fn finish(proxy: &mut Proxy) {
    let inherited: Vec<Vec<Text>> = proxy.defaults.iter().chain(&proxy.lines).cloned().collect();
    let general = inherited.iter().filter(|line| line.first().is_some_and(|word| word.text == "default-server"));
    let general: Vec<_> = general.flat_map(|line| keywords(&line[1..])).collect();
    for line in proxy.lines.iter().chain(proxy.defaults.iter().filter(|_| false)) {
        match (line[0].text.as_str(), line.get(1), line.get(2)) {
            ("server", Some(name), Some(address)) => {
                let mut all = general.clone();
                all.extend(keywords(&line[3..]));
                proxy.servers.push(server(name, address, all));
            }
            ("server-template", Some(prefix), Some(number)) => {
                let count: usize = number.text.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
                let Some(address) = line.get(3) else { continue };
                for n in 1..=count.min(64) {
                    let name = Text::new(format!("{}{n}", prefix.text), prefix.origin.clone());
                    let mut all = general.clone();
                    all.extend(keywords(&line[4..]));
                    proxy.servers.push(server(&name, address, all));
                }
            }
            _ => {}
        }
    }
    for line in inherited.iter().filter(|line| line[0].text == "tcp-check") {
        proxy.steps.push(step(line));
    }
}

fn server(name: &Text, address: &Text, keywords: Vec<(Text, Option<Text>)>) -> Server {
    let (host, port) = split_port(&address.text);
    let host = Text::new(host, address.origin.clone());
    Server { name: name.clone(), host, port, keywords }
}

/// The host and the port of `host:port`.
pub(crate) fn split_port(address: &str) -> (String, Option<String>) {
    let address = address.trim_start_matches("ipv4@").trim_start_matches("tcp@");
    match address.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && !host.is_empty() => (host.to_owned(), Some(port.to_owned())),
        _ => (address.to_owned(), None),
    }
}

fn keywords(words: &[Text]) -> Vec<(Text, Option<Text>)> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        let valued = WITH_VALUE.contains(&word.text.as_str());
        all.push((word.clone(), words.get(at + 1).filter(|_| valued).cloned()));
        at += 1 + usize::from(valued);
    }
    all
}

fn step(line: &[Text]) -> Step {
    let rest = |n: usize| line.get(n).cloned();
    match line.get(1).map(|word| word.text.as_str()) {
        Some("connect") => Step::Connect,
        Some("send" | "send-lf" | "send-binary") => rest(2).map_or(Step::Other, Step::Send),
        Some("expect") => {
            let kinds = ["string", "rstring", "binary", "rbinary", "string-lf"];
            let at = line.iter().position(|word| kinds.contains(&word.text.as_str()));
            match at.and_then(|at| Some((line[at].text.clone(), line.get(at + 1)?.clone()))) {
                Some((kind, text)) => Step::Expect(kind, text),
                None => Step::Other,
            }
        }
        _ => Step::Other,
    }
}

/// The words of a line: `\` escapes, quotes, `"${NAME}"`, and `#` that ends a line outside quotes.
fn words(line: &Line, variables: &BTreeMap<String, Text>, mentioned: &mut Vec<String>) -> Option<Vec<Text>> {
    let chars: Vec<char> = line.text.chars().collect();
    let (mut words, mut word, mut open, mut at) = (Vec::new(), String::new(), false, 0);
    let (mut quote, mut origin): (Option<char>, Option<Origin>) = (None, None);
    while let Some(&c) = chars.get(at) {
        at += 1;
        match (quote, c) {
            (None, '#') => break,
            (None, c) if c.is_whitespace() => {
                if std::mem::take(&mut open) {
                    words.push(finished(line, &mut word, &mut origin));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            (None | Some('"'), '\\') => {
                let next = chars.get(at).copied().unwrap_or('\\');
                at += 1;
                match next {
                    'r' => word.push('\r'),
                    'n' => word.push('\n'),
                    't' => word.push('\t'),
                    other => word.push(other),
                }
            }
            (Some('"'), '$') => {
                let (name, default, after) = variable(&chars, at);
                at = after;
                mentioned.push(name.clone());
                match variables.get(&name) {
                    Some(value) => {
                        word.push_str(&value.text);
                        origin = Some(value.origin.put_into(&line.origin.place, &name));
                    }
                    None => word.push_str(&default.unwrap_or_else(|| format!("${{{name}}}"))),
                }
            }
            (_, c) => word.push(c),
        }
        open = true;
    }
    if quote.is_some() {
        return None;
    }
    if open {
        words.push(finished(line, &mut word, &mut origin));
    }
    Some(words)
}

fn finished(line: &Line, word: &mut String, origin: &mut Option<Origin>) -> Text {
    let text = std::mem::take(word);
    let origin = origin.take().unwrap_or_else(|| line.origin_of(&text));
    Text::new(text, origin)
}

/// The variable behind a `$`: its name, its default, and where the text goes on.
fn variable(chars: &[char], at: usize) -> (String, Option<String>, usize) {
    let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    if chars.get(at) == Some(&'{') {
        let end = chars[at..].iter().position(|c| *c == '}').map_or(chars.len(), |n| at + n);
        let inner: String = chars[(at + 1).min(end)..end].iter().collect();
        let (name, default) = match inner.split_once('-') {
            Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
            None => (inner, None),
        };
        return (name, default, (end + 1).min(chars.len()));
    }
    let name: String = chars[at.min(chars.len())..].iter().take_while(|c| is_name(c)).collect();
    let after = at + name.chars().count();
    (name, None, after)
}

/// A time of haproxy.cfg in milliseconds: a number alone counts milliseconds.
pub(crate) fn millis(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let each = match &text[end..] {
        "" | "ms" => 1,
        "us" => return Some(number / 1_000),
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::origin::lines_of;

    const TEXT: &str = "defaults\n mode tcp # tail\n timeout client 50s\n default-server inter 3s fall 5\nfrontend f\n bind *:6379\n \
        default_backend b\nbackend b\n option tcp-check\n tcp-check send AUTH\\ \"$PASS\"\\r\\n\n tcp-check expect string \
        role:master\n server a 10.0.0.1:6379 check inter 1s backup\n server-template r 2 redis:6379 check\n";

    #[test]
    fn sections_know_their_defaults() {
        let config = read(&lines_of(&"h.cfg".into(), TEXT), &BTreeMap::new());
        let backend = config.backend("b").expect("b");
        assert_eq!(backend.servers.len(), 3);
        let server = &backend.servers[0];
        assert_eq!(
            (server.value("inter").expect("set").text.as_str(), server.value("fall").expect("set").text.as_str()),
            ("1s", "5")
        );
        assert!(server.has("backup") && server.place().line == 12);
        assert_eq!(backend.asks_role(), Some("master"));
        assert_eq!(backend.sends("auth").expect("sent").text, "AUTH ${PASS}\r\n");
        assert_eq!(config.proxies[0].ports()[0].0, "6379");
        assert_eq!(backend.value(&["timeout", "client"]).expect("inherited").text, "50s");
        assert_eq!((millis("1m"), millis("250"), millis("x"), millis("1y")), (Some(60_000), Some(250), None, None));
    }

    #[test]
    fn variables_are_those_of_the_environment() {
        let value = Text::new("pw", Origin::at(Place::new(&"c.yml".into(), 3)));
        let config = read(&lines_of(&"h.cfg".into(), TEXT), &BTreeMap::from([("PASS".to_owned(), value)]));
        assert_eq!(config.backend("b").expect("b").sends("auth").expect("sent").text, "AUTH pw\r\n");
    }

    #[test]
    fn defaults_are_those_that_are_named() {
        let text = "defaults tcp\n timeout client 1h\n default-server inter 3s\ndefaults web\n timeout client 9s\ndefaults slow from tcp\n timeout \
                    server 2h\nlisten a from tcp\n server x h:1 check\nlisten b\n server x h:1\nlisten c from web\n server x h:1\n";
        let config = read(&lines_of(&"h".into(), text), &BTreeMap::new());
        let value = |name: &str, words: &[&str]| Some(config.backend(name)?.value(words)?.text.clone());
        assert_eq!(value("a", &["timeout", "client"]).as_deref(), Some("1h"));
        assert_eq!(value("b", &["timeout", "client"]).as_deref(), Some("1h"));
        assert_eq!(value("b", &["timeout", "server"]).as_deref(), Some("2h"));
        assert_eq!(value("c", &["timeout", "client"]).as_deref(), Some("9s"));
        let inter = |name: &str| config.backend(name).and_then(|back| back.servers[0].value("inter").cloned());
        assert!(inter("a").is_some() && inter("b").is_some() && inter("c").is_none());
    }

    #[test]
    fn a_check_asks_for_the_role_in_its_own_words() {
        for (expect, role) in [
            ("rstring role:(master|primary)", Some("master")),
            ("rstring ^role:(?:leader|master)$", Some("master")),
            ("rstring role:.*slave", Some("slave")),
            ("string role:(master)", None),
            ("rstring (((a|b)|c)|d", None),
        ] {
            let text = format!("listen a\n option tcp-check\n tcp-check expect {expect}\n server x h:1 check\n");
            let config = read(&lines_of(&"h".into(), &text), &BTreeMap::new());
            assert_eq!(config.backend("a").expect("a").asks_role(), role, "{expect}");
        }
        assert!(read(&lines_of(&"h.cfg".into(), "global \"x\n"), &BTreeMap::new()).broken.len() == 1);
    }
}
