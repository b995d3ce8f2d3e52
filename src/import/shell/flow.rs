//! The order in which a script's commands are done: lists, pipes, conditions, cases, loops, and what they print together.

use std::rc::Rc;

use super::{Answer, DEPTH_MAX, Places, Shell, UNKNOWN, glob, is_file_test, mentions_file_test, silent};
use crate::import::origin::{Line, Origin, Place, Text};
use crate::import::shell_words::{Command, List, parse, tokens};

/// The most lines that a list prints.
const PRINTED_MAX: usize = 20_000;
/// So often is the inside of a loop done.
const ROUNDS_MAX: usize = 100;

/// Adds what a command printed: a line that nobody knows, where that is unknown.
fn print(all: &mut Vec<Line>, output: Option<Vec<Line>>, place: Option<&Place>) {
    match (output, place) {
        (Some(lines), _) => all.extend(lines),
        (None, _) if all.last().is_some_and(|line| line.text.chars().eq([UNKNOWN])) => {}
        (None, Some(place)) => all.push(Line::at(&UNKNOWN.to_string(), place.clone())),
        (None, None) => {}
    }
    all.truncate(PRINTED_MAX);
}

impl Shell<'_, '_> {
    pub(super) fn list(&mut self, list: &List, places: &Places) -> Answer {
        let (mut status, mut asked, mut printed) = (Some(true), false, Vec::new());
        for (before, command) in list {
            if self.done() {
                break;
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
                let answer = self.execute(command, places, None);
                status = answer.0;
                print(&mut printed, answer.1, places.first());
            }
            self.guarded = guarded;
        }
        (status, Some(printed))
    }

    pub(super) fn execute(&mut self, command: &Command, places: &Places, input: Option<Vec<Line>>) -> Answer {
        self.steps += 1;
        if self.done() || self.depth > DEPTH_MAX + 40 {
            return (None, None);
        }
        let place = |line: usize| places.get(line).or(places.last()).cloned();
        match command {
            Command::Simple { words, redirects, line } => match place(*line) {
                Some(place) => self.simple((words, redirects), &place, places, input),
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
                    self.guessed = false;
                    let status = self.list(condition, places).0;
                    // What starts a server got past the checks of what only its machine knows.
                    let passed = self.guessed && super::gives_up(then);
                    if status == Some(true) && !passed {
                        // A file that is made where there is none is there at the next start.
                        self.guarded |= asks_for_file;
                        let answer = self.list(then, places);
                        self.guarded = guarded;
                        return answer;
                    }
                }
                self.list(otherwise, places)
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
                        return self.list(list, places);
                    }
                }
                (None, None)
            }
            Command::Group(list) => self.list(list, places),
            Command::Redirected(command, redirects, line) => {
                let Some(place) = place(*line) else { return (None, None) };
                let input = self.input(redirects, input, &place, places);
                let answer = self.execute(command, places, input);
                self.output(redirects, answer, &place)
            }
            Command::Function(name, list) => {
                self.functions.insert(name.clone(), (list.clone(), Rc::new(places.clone())));
                silent(Some(true))
            }
            Command::For(name, words, inside, line) => match place(*line) {
                Some(place) => self.for_each(name, words, inside, &place, places),
                None => (None, None),
            },
            Command::Skipped(_, inside) => self.pass_over(inside, places),
        }
    }

    /// A loop over words that are known; one over others is passed over.
    fn for_each(
        &mut self,
        name: &str,
        words: &[(String, usize)],
        inside: &List,
        place: &Place,
        places: &Places,
    ) -> Answer {
        let mut all: Vec<Text> = Vec::new();
        for (word, line) in words {
            all.extend(self.expand(word, places.get(*line).unwrap_or(place)));
        }
        if all.len() > ROUNDS_MAX || all.iter().any(|word| word.text.contains(UNKNOWN)) {
            self.forget(&[(
                ";",
                Command::Simple { words: vec![(format!("{name}="), 0)], redirects: Vec::new(), line: 0 },
            )]);
            return self.pass_over(inside, places);
        }
        let (mut status, mut printed) = (Some(true), Vec::new());
        for word in all {
            self.variables.insert(name.to_owned(), word);
            let answer = self.list(inside, places);
            status = answer.0;
            print(&mut printed, answer.1, Some(place));
        }
        (status, Some(printed))
    }

    /// What a loop does that is not followed: nobody knows what the variables are that it sets.
    fn pass_over(&mut self, inside: &List, places: &Places) -> Answer {
        self.mention(inside, places);
        self.forget(inside);
        (None, None)
    }

    /// The variables that commands set are unknown from here on.
    fn forget(&mut self, list: &[(&'static str, Command)]) {
        let nobody = || Text::new(UNKNOWN.to_string(), Origin::at(Place::new(&"".into(), 1)));
        for (_, command) in list {
            match command {
                Command::Simple { words, .. } => {
                    let set = words.iter().map_while(|(word, _)| super::assignment(word));
                    let names: Vec<String> = set.map(|(name, ..)| name.to_owned()).collect();
                    let read = words.first().is_some_and(|(word, _)| word == "read");
                    let read = words.iter().skip(1).filter(|(word, _)| read && !word.starts_with('-'));
                    for name in names.into_iter().chain(read.map(|(word, _)| word.clone())) {
                        self.variables.insert(name, nobody());
                    }
                }
                Command::Pipe(_) | Command::Function(..) => {}
                Command::If(arms, otherwise) => {
                    arms.iter().for_each(|(condition, then)| {
                        self.forget(condition);
                        self.forget(then);
                    });
                    self.forget(otherwise);
                }
                Command::Case(_, arms, _) => arms.iter().for_each(|(_, list)| self.forget(list)),
                Command::Redirected(command, ..) => self.forget(&[(";", (**command).clone())]),
                Command::Group(list) | Command::Skipped(_, list) | Command::For(_, _, list, _) => self.forget(list),
            }
        }
    }

    /// The words of commands that are not followed: what they name may matter.
    fn mention(&mut self, list: &[(&'static str, Command)], places: &Places) {
        for (_, command) in list {
            match command {
                Command::Simple { words, line, .. } => {
                    let place = places.get(*line).or(places.last()).cloned();
                    let Some(place) = place else { continue };
                    let words: Vec<Text> = words
                        .iter()
                        .map(|(word, _)| Text::new(self.expand_one(word, &place), Origin::at(place.clone())))
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
                Command::Redirected(command, ..) => self.mention(&[(";", (**command).clone())], places),
                Command::Group(list)
                | Command::Skipped(_, list)
                | Command::For(_, _, list, _)
                | Command::Function(_, list) => self.mention(list, places),
            }
        }
    }

    /// What `$( … )` prints, where it can be known: it is looked at as a command, and what it sets is forgotten.
    pub(super) fn substituted(&mut self, command: &str, place: &Place) -> String {
        self.steps += 1;
        for token in tokens(command) {
            let super::Token::Word(word, _) = token else { continue };
            for part in word.split('$').skip(1) {
                let part = part.trim_start_matches('{');
                let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                self.outcome.used.insert(name);
            }
        }
        if self.done() || self.depth >= DEPTH_MAX {
            return UNKNOWN.to_string();
        }
        let (variables, parts) = (self.variables.clone(), std::mem::take(&mut self.parts));
        self.depth += 1;
        self.asking += 1;
        let printed = self.list(&parse(command), &vec![place.clone()]).1.unwrap_or_default();
        self.asking -= 1;
        self.depth -= 1;
        (self.variables, self.parts) = (variables, parts);
        let text = printed.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
        self.spent += text.len();
        match text.chars().all(|c| c == UNKNOWN || c.is_whitespace()) && text.contains(UNKNOWN) {
            true => UNKNOWN.to_string(),
            false => super::bounded(text.trim_end_matches('\n').to_owned()),
        }
    }
}
