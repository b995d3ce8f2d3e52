//! A shell script as commands: cut into words and operators, put together to lists, conditions and cases. Nothing is
//! executed here or anywhere: see [`shell`](super::shell).

/// So deep may commands be nested.
const DEPTH_MAX: usize = 40;

/// A word, an operator or the end of a line, and in which line it begins, from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word as it is written, with its quotes.
    Word(String, usize),
    /// `;`, `&&`, `||`, `|`, `&`, `(`, `)`, `;;` or the end of a line.
    Operator(&'static str, usize),
    /// `>`, `>>` or `<` with the word that follows.
    Redirect(&'static str, String, usize),
    /// `<<`: the body, its first line, and whether variables in it stay as they are.
    Here(String, usize, bool),
}

impl Token {
    /// The line in which it begins.
    fn line(&self) -> usize {
        match self {
            Token::Word(_, line) | Token::Operator(_, line) | Token::Redirect(_, _, line) | Token::Here(_, line, _) => {
                *line
            }
        }
    }
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// Words with redirections.
    Simple {
        /// The words as they are written, each with its line.
        words: Vec<(String, usize)>,
        /// The redirections.
        redirects: Vec<Token>,
        /// The line, from 0.
        line: usize,
    },
    /// Commands whose output feeds the next.
    Pipe(Vec<Command>),
    /// `if`: conditions with what follows, and `else`.
    If(Vec<(List, List)>, List),
    /// `case`: a word, and patterns with what follows.
    Case(String, Vec<(Vec<String>, List)>, usize),
    /// `{ … }` or `( … )`.
    Group(List),
    /// `for NAME in WORDS`: the name, the words as they are written, what is inside, and the line.
    For(String, Vec<(String, usize)>, List, usize),
    /// A loop that is not followed: its line, and what is inside.
    Skipped(usize, List),
    /// A compound command with redirections: `{ … } > FILE`; and its line.
    Redirected(Box<Command>, Vec<Token>, usize),
    /// A function.
    Function(String, List),
}

/// Commands, each with what stands before it: `;`, `&&` or `||`.
pub(super) type List = Vec<(&'static str, Command)>;

/// The commands of a script.
pub(super) fn parse(text: &str) -> List {
    let tokens = tokens(text);
    let mut parser = Parser { tokens, at: 0 };
    let mut all = List::new();
    while parser.at < parser.tokens.len() {
        all.extend(parser.list(0, &[]));
        // What closes nothing is passed over.
        parser.at += 1;
    }
    all
}

/// Cuts a script into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { chars, at: 0, line: 0, heres: Vec::new(), tokens: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    heres: Vec<(String, bool, bool)>,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn operator(&mut self, name: &'static str) {
        self.tokens.push(Token::Operator(name, self.line));
        self.at += name.chars().count();
    }

    fn step(&mut self) {
        let Some(c) = self.peek(0) else { return };
        match (c, self.peek(1)) {
            ('\n', _) => {
                self.operator("\n");
                self.line += 1;
                self.bodies();
            }
            ('\\', Some('\n')) => {
                self.at += 2;
                self.line += 1;
            }
            (c, _) if c.is_whitespace() => self.at += 1,
            ('#', _) => {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            }
            ('&', Some('&')) => self.operator("&&"),
            ('|', Some('|')) => self.operator("||"),
            (';', Some(';')) => self.operator(";;"),
            ('&', Some('>')) => {
                self.at += 2;
                let target = self.next_word();
                self.tokens.push(Token::Redirect("&>", target, self.line));
            }
            (';', _) => self.operator(";"),
            ('&', _) => self.operator("&"),
            ('|', _) => self.operator("|"),
            ('(', _) => self.operator("("),
            (')', _) => self.operator(")"),
            ('<', Some('<')) => self.here(),
            ('>' | '<', _) => self.redirect(""),
            _ => {
                let line = self.line;
                let word = self.word();
                let descriptor = word.len() == 1 && word.bytes().all(|b| b.is_ascii_digit());
                match self.peek(0) {
                    Some('>' | '<') if descriptor => self.redirect(&word),
                    _ => self.tokens.push(Token::Word(word, line)),
                }
            }
        }
    }

    fn redirect(&mut self, descriptor: &str) {
        let line = self.line;
        let input = self.peek(0) == Some('<');
        self.at += 1;
        let append = self.peek(0) == Some('>');
        if append || matches!(self.peek(0), Some('|')) {
            self.at += 1;
        }
        let name = match (input, append) {
            (true, _) => "<",
            (_, true) => ">>",
            _ => ">",
        };
        if self.peek(0) == Some('&') {
            self.at += 1;
            self.next_word();
            return;
        }
        let target = self.next_word();
        if descriptor.is_empty() || descriptor == "1" || descriptor == "0" {
            self.tokens.push(Token::Redirect(name, target, line));
        }
    }

    fn here(&mut self) {
        self.at += 2;
        if self.peek(0) == Some('<') {
            // A here-string.
            self.at += 1;
            let (line, word) = (self.line, self.next_word());
            self.tokens.push(Token::Here(word, line, false));
            return;
        }
        let strip = self.peek(0) == Some('-');
        self.at += usize::from(strip);
        let word = self.next_word();
        let literal = word.contains(['"', '\'', '\\']);
        let end: String = word.chars().filter(|c| !"\"'\\".contains(*c)).collect();
        self.heres.push((end, literal, strip));
        self.tokens.push(Token::Here(String::new(), usize::MAX, literal));
    }

    /// The bodies of the here-documents of the line that just ended.
    fn bodies(&mut self) {
        for (end, _, strip) in std::mem::take(&mut self.heres) {
            let (first, mut body) = (self.line, String::new());
            while self.at < self.chars.len() {
                let stop =
                    self.chars[self.at..].iter().position(|c| *c == '\n').map_or(self.chars.len(), |n| self.at + n);
                let text: String = self.chars[self.at..stop].iter().collect();
                self.at = (stop + 1).min(self.chars.len());
                self.line += 1;
                let text = if strip { text.trim_start_matches('\t') } else { &text };
                // A file in YAML or a quoted script may indent the end.
                if text.trim() == end {
                    break;
                }
                body.push_str(text);
                body.push('\n');
            }
            let open = self.tokens.iter_mut().find(|token| matches!(token, Token::Here(_, usize::MAX, _)));
            if let Some(Token::Here(text, line, _)) = open {
                (*text, *line) = (body, first);
            }
        }
    }

    fn next_word(&mut self) -> String {
        while self.peek(0).is_some_and(|c| c == ' ' || c == '\t') {
            self.at += 1;
        }
        self.word()
    }

    /// A word with its quotes, up to a blank or operator.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek(0) {
            match c {
                '(' if is_assigned(&word) => self.list_of_words(&mut word),
                c if c.is_whitespace() || ";&|()<>".contains(c) => break,
                '\\' if self.peek(1) == Some('\n') => {
                    self.at += 2;
                    self.line += 1;
                    continue;
                }
                '\\' => {
                    word.push(c);
                    word.extend(self.peek(1));
                    self.at += 2;
                    continue;
                }
                '\'' | '`' => self.until(c, &mut word),
                '"' => self.double(&mut word),
                '$' if matches!(self.peek(1), Some('(' | '{')) => self.bracket(&mut word),
                _ => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        if word.is_empty() && self.peek(0).is_none() {
            self.at += 1;
        }
        word
    }

    /// `( … )` behind `NAME=`, with its quotes.
    fn list_of_words(&mut self, word: &mut String) {
        let mut depth = 0usize;
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    self.double(word);
                    continue;
                }
                '\'' => {
                    self.until(c, word);
                    continue;
                }
                '$' if matches!(self.peek(1), Some('(' | '{')) => {
                    self.bracket(word);
                    continue;
                }
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            self.take(word);
            if depth == 0 {
                return;
            }
        }
    }

    fn take(&mut self, word: &mut String) {
        if let Some(c) = self.peek(0) {
            self.line += usize::from(c == '\n');
            word.push(c);
        }
        self.at += 1;
    }

    fn until(&mut self, quote: char, word: &mut String) {
        self.take(word);
        while self.peek(0).is_some_and(|c| c != quote) {
            self.take(word);
        }
        self.take(word);
    }

    fn double(&mut self, word: &mut String) {
        self.take(word);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => break,
                '\\' => {
                    self.take(word);
                    self.take(word);
                }
                '$' if matches!(self.peek(1), Some('(' | '{')) => self.bracket(word),
                _ => self.take(word),
            }
        }
        self.take(word);
    }

    /// `$( … )` or `${ … }`, with what is nested in it.
    fn bracket(&mut self, word: &mut String) {
        self.take(word);
        let (open, close) = if self.peek(0) == Some('(') { ('(', ')') } else { ('{', '}') };
        let mut depth = 0usize;
        while let Some(c) = self.peek(0) {
            self.take(word);
            if c == '\\' {
                self.take(word);
            } else if c == open {
                depth += 1;
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
        }
    }
}

/// Whether a word is `NAME=` or `NAME+=`.
fn is_assigned(word: &str) -> bool {
    let name = word.strip_suffix('=').map(|name| name.strip_suffix('+').unwrap_or(name));
    name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is_word(&self, text: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word, _)) if word == text)
    }

    fn is_operator(&self, text: &str) -> bool {
        matches!(self.peek(), Some(Token::Operator(name, _)) if *name == text)
    }

    fn skip_ends(&mut self) {
        while matches!(self.peek(), Some(Token::Operator("\n" | ";" | "&", _))) {
            self.at += 1;
        }
    }

    /// Commands up to one of `ends`, which stays.
    fn list(&mut self, depth: usize, ends: &[&str]) -> List {
        let (mut list, mut before) = (List::new(), ";");
        loop {
            while let Some(Token::Operator(name @ ("\n" | ";" | "&" | "&&" | "||"), _)) = self.peek() {
                before = match *name {
                    "&&" | "||" => name,
                    _ if before == ";" => ";",
                    "\n" => before,
                    _ => ";",
                };
                self.at += 1;
            }
            match self.peek() {
                None => return list,
                Some(Token::Operator(")" | ";;", _)) => return list,
                Some(Token::Word(word, _)) if ends.contains(&word.as_str()) => return list,
                _ => {}
            }
            let began = self.at;
            let command = self.pipe(depth);
            if self.at == began {
                self.at += 1;
                continue;
            }
            list.push((std::mem::replace(&mut before, ";"), command));
        }
    }

    fn pipe(&mut self, depth: usize) -> Command {
        let mut all = vec![self.command(depth)];
        while self.is_operator("|") {
            self.at += 1;
            self.skip_ends();
            all.push(self.command(depth));
        }
        if all.len() == 1 { all.remove(0) } else { Command::Pipe(all) }
    }

    /// A command with the redirections behind it.
    fn command(&mut self, depth: usize) -> Command {
        let line = self.tokens.get(self.at).map_or(0, Token::line);
        let command = self.bare(depth);
        let mut redirects = Vec::new();
        while let Some(token @ (Token::Redirect(..) | Token::Here(..))) = self.peek() {
            redirects.push(token.clone());
            self.at += 1;
        }
        if redirects.is_empty() { command } else { Command::Redirected(Box::new(command), redirects, line) }
    }

    /// `for NAME in WORDS; do …; done`.
    fn for_each(&mut self, depth: usize, line: usize) -> Command {
        self.at += 1;
        let name = match self.peek() {
            Some(Token::Word(word, _)) => word.clone(),
            _ => String::new(),
        };
        self.at += 1;
        let mut words = Vec::new();
        if self.is_word("in") {
            self.at += 1;
            while let Some(Token::Word(word, line)) = self.peek() {
                words.push((word.clone(), *line));
                self.at += 1;
            }
        } else {
            words.push(("$@".to_owned(), line));
        }
        self.skip_ends();
        self.at += usize::from(self.is_word("do"));
        let inside = self.list(depth + 1, &["done"]);
        self.at += 1;
        Command::For(name, words, inside, line)
    }

    fn bare(&mut self, depth: usize) -> Command {
        let line = match self.peek() {
            Some(Token::Word(_, line) | Token::Operator(_, line) | Token::Redirect(_, _, line)) => *line,
            _ => 0,
        };
        let Some(Token::Word(word, _)) = self.peek().cloned().filter(|_| depth < DEPTH_MAX) else {
            if self.is_operator("(") && depth < DEPTH_MAX {
                self.at += 1;
                let list = self.list(depth + 1, &[]);
                self.at += 1;
                return Command::Group(list);
            }
            return self.simple();
        };
        match word.as_str() {
            "if" => self.condition(depth),
            "case" => self.case(depth, line),
            "for" if matches!(self.tokens.get(self.at + 1), Some(Token::Word(..))) => self.for_each(depth, line),
            "for" | "while" | "until" | "select" => {
                self.at += 1;
                let mut inside = self.list(depth + 1, &["do"]);
                self.at += 1;
                inside.extend(self.list(depth + 1, &["done"]));
                self.at += 1;
                Command::Skipped(line, inside)
            }
            "{" => {
                self.at += 1;
                let list = self.list(depth + 1, &["}"]);
                self.at += 1;
                Command::Group(list)
            }
            "!" => {
                self.at += 1;
                let command = self.command(depth + 1);
                // What it answers is turned round; only conditions ask.
                Command::If(vec![(vec![(";", command)], vec![(";", word_command("false", line))])], Vec::new())
            }
            "function" => {
                self.at += 1;
                self.function(depth)
            }
            _ => match (self.tokens.get(self.at + 1), self.tokens.get(self.at + 2)) {
                (Some(Token::Operator("(", _)), Some(Token::Operator(")", _))) => self.function(depth),
                _ => self.simple(),
            },
        }
    }

    fn function(&mut self, depth: usize) -> Command {
        let name = match self.peek() {
            Some(Token::Word(word, _)) => word.clone(),
            _ => String::new(),
        };
        self.at += 1;
        while self.is_operator("(") || self.is_operator(")") || self.is_operator("\n") {
            self.at += 1;
        }
        match self.command(depth + 1) {
            Command::Group(list) => Command::Function(name, list),
            other => Command::Function(name, vec![(";", other)]),
        }
    }

    fn condition(&mut self, depth: usize) -> Command {
        let (mut arms, mut otherwise) = (Vec::new(), List::new());
        loop {
            self.at += 1;
            let condition = self.list(depth + 1, &["then"]);
            self.at += 1;
            let then = self.list(depth + 1, &["elif", "else", "fi"]);
            arms.push((condition, then));
            if !self.is_word("elif") {
                break;
            }
        }
        if self.is_word("else") {
            self.at += 1;
            otherwise = self.list(depth + 1, &["fi"]);
        }
        self.at += 1;
        Command::If(arms, otherwise)
    }

    fn case(&mut self, depth: usize, line: usize) -> Command {
        self.at += 1;
        let word = match self.peek() {
            Some(Token::Word(word, _)) => word.clone(),
            _ => String::new(),
        };
        self.at += 1;
        while self.is_operator("\n") || self.is_word("in") {
            self.at += 1;
        }
        let mut arms = Vec::new();
        while self.peek().is_some() && !self.is_word("esac") {
            let mut patterns = Vec::new();
            while let Some(token) = self.peek().cloned() {
                self.at += 1;
                match token {
                    Token::Word(word, _) => patterns.push(word),
                    Token::Operator(")", _) => break,
                    _ => {}
                }
            }
            let list = self.list(depth + 1, &["esac"]);
            arms.push((patterns, list));
            while self.is_operator(";;") || self.is_operator("\n") || self.is_operator(")") {
                self.at += 1;
            }
        }
        self.at += 1;
        Command::Case(word, arms, line)
    }

    fn simple(&mut self) -> Command {
        let (mut words, mut redirects, mut first) = (Vec::new(), Vec::new(), None);
        while let Some(token) = self.peek().cloned() {
            match token {
                Token::Word(word, line) => {
                    first.get_or_insert(line);
                    words.push((word, line));
                }
                Token::Redirect(_, _, line) => {
                    first.get_or_insert(line);
                    redirects.push(token);
                }
                Token::Here(..) => redirects.push(token),
                Token::Operator(..) => break,
            }
            self.at += 1;
        }
        Command::Simple { words, redirects, line: first.unwrap_or(0) }
    }
}

fn word_command(word: &str, line: usize) -> Command {
    Command::Simple { words: vec![(word.to_owned(), line)], redirects: Vec::new(), line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_operators_and_documents() {
        let tokens = tokens("a 'b c' \"$(x \"y\")\" && cat > f <<EOF # tail\nline $1\nEOF\nd 2>&1\n");
        let words: Vec<&str> = tokens
            .iter()
            .filter_map(|token| match token {
                Token::Word(word, _) => Some(word.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(words, ["a", "'b c'", "\"$(x \"y\")\"", "cat", "d"]);
        assert!(tokens.contains(&Token::Here("line $1\n".into(), 1, false)), "{tokens:?}");
        assert!(tokens.contains(&Token::Word("d".into(), 3)));
    }

    #[test]
    fn conditions_cases_and_loops() {
        let list = parse(
            "if [ a = b ]; then\n  x\nelif y; then z; else w; fi\ncase $1 in a|b) c ;; *) d;; esac\nfor i in 1 2; do e; done\nf() { g; }\n",
        );
        assert_eq!(list.len(), 4, "{list:?}");
        let Command::If(arms, otherwise) = &list[0].1 else { panic!("{list:?}") };
        assert_eq!((arms.len(), otherwise.len()), (2, 1));
        let Command::Case(_, arms, _) = &list[1].1 else { panic!("{list:?}") };
        assert_eq!((arms.len(), arms[0].0.len()), (2, 2));
        assert!(matches!(list[2].1, Command::For(..)) && matches!(list[3].1, Command::Function(..)));
        let list = parse("{ a; b; } > f\nA+=('x y' \"$(z)\")\nwhile read l; do c; done < g\n");
        let kinds: Vec<bool> = list.iter().map(|(_, command)| matches!(command, Command::Redirected(..))).collect();
        assert_eq!(kinds, [true, false, true], "{list:?}");
        let Command::Simple { words, .. } = &list[1].1 else { panic!("{list:?}") };
        assert_eq!(words[0].0, "A+=('x y' \"$(z)\")");
    }

    #[test]
    fn nonsense_ends() {
        for text in [
            "if",
            "fi done ) ;;",
            "case",
            "((((",
            "a <<",
            "a <<EOF\nb",
            "$(",
            "'",
            "{ { {",
            "| | &&",
            "> >",
            "x() x() x()",
        ] {
            parse(text);
        }
        parse(&"(".repeat(10_000));
        parse(&"if ".repeat(10_000));
    }
}
