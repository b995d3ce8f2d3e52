//! The scripts that a scenario may give to a server: those that never end.
//!
//! Lua is not interpreted here. What is modelled of EVAL is that it blocks the server, so that a script which would end is
//! refused where the scenario is read.

use sha1_smol::Sha1;

/// A script that never ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Whether it executes SET before its loop: SCRIPT KILL does not end it then.
    pub writes: bool,
    /// Its name in the server: the SHA-1 of its text (`sha1hex`).
    pub name: Box<str>,
}

/// What is accepted, for messages.
const ACCEPTED: &str = "only a script that never ends is modelled, `while true do end`, or one that sets a key before: \
                        `redis.call('SET','key','value') while true do end`";

impl Script {
    /// The script of this text.
    ///
    /// # Errors
    /// If it is none of those that are modelled.
    pub fn parse(text: &str) -> Result<Script, String> {
        let refused = || format!("the script `{text}` cannot be run here: {ACCEPTED}");
        let tokens = tokens(text).ok_or_else(refused)?;
        let (writes, rest) = match after_set(&tokens) {
            Some(rest) => (true, rest),
            None => (false, &tokens[..]),
        };
        let rest = rest.strip_suffix(&[Token::Sign(';')]).unwrap_or(rest);
        let is_loop = |middle: &[Token]| matches!(middle, [Token::Word(word)] if word == "true" || word == "1");
        let good = match rest {
            [Token::Word(start), middle @ .., Token::Word(opens), Token::Word(ends)]
                if start == "while" && opens == "do" && ends == "end" =>
            {
                match middle {
                    [Token::Sign('('), inner @ .., Token::Sign(')')] => is_loop(inner),
                    bare => is_loop(bare),
                }
            }
            _ => false,
        };
        if good { Ok(Script { writes, name: Sha1::from(text).hexdigest().into() }) } else { Err(refused()) }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// The words of a script; none if there is something that none of the modelled ones has.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '\'' | '"' => {
                let inside = rest[1..].split(first).next()?;
                let closed = rest[1..].len() > inside.len();
                // What an escape stands for would have to be known.
                if !closed || inside.contains(['\\', '\n']) {
                    return None;
                }
                (Token::Text(inside.to_owned()), inside.len() + 2)
            }
            '(' | ')' | ',' | ';' | '.' => (Token::Sign(first), 1),
            first if first.is_ascii_alphanumeric() => {
                let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                let length = word.len();
                (Token::Word(word), length)
            }
            _ => return None,
        };
        found.push(token);
        rest = rest[length..].trim_start();
    }
    Some(found)
}

/// What follows `redis.call('SET', key, value)`, if a script begins so.
fn after_set(tokens: &[Token]) -> Option<&[Token]> {
    use Token::{Sign, Text, Word};
    let [Word(redis), Sign('.'), Word(call), Sign('('), arguments @ ..] = tokens else { return None };
    let [Text(set), Sign(','), Text(_), Sign(','), Text(_), Sign(')'), rest @ ..] = arguments else { return None };
    let is_set = redis == "redis" && call == "call" && set.eq_ignore_ascii_case("set");
    is_set.then(|| rest.strip_prefix(&[Sign(';')]).unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_without_end_is_accepted_in_any_spacing() {
        for text in
            ["while true do end", "while  true\n do end ;", "while 1 do end", "while (true) do end", "while(1)do end"]
        {
            assert_eq!(Script::parse(text).map(|script| script.writes), Ok(false), "{text}");
        }
        for text in
            ["redis.call('SET','k','v') while true do end", "redis.call(\"set\", \"a key\", \"7\"); while 1 do end"]
        {
            assert_eq!(Script::parse(text).map(|script| script.writes), Ok(true), "{text}");
        }
    }

    #[test]
    fn what_would_end_or_do_more_is_refused_with_what_is_accepted() {
        for text in [
            "",
            "return 1",
            "while false do end",
            "while true do break end",
            "while true do end return 1",
            "for i = 1, 10 do end",
            "redis.call('DEL','k') while true do end",
            "redis.call('SET','k') while true do end",
            "redis.call('SET','k','v')",
            "redis.call('SET','k','v') redis.call('SET','k','v') while true do end",
            "redis.pcall('SET','k','v') while true do end",
            "redis.call('SET',KEYS[1],'v') while true do end",
            "redis.call('SET','k\\n','v') while true do end",
            "redis.call('SET','k,'v') while true do end",
            "while true do end -- for ever",
        ] {
            let refused = Script::parse(text).expect_err(text);
            assert!(refused.contains("only a script that never ends is modelled"), "{refused}");
        }
    }

    /// As redis-server 7.0.15 calls them in its log.
    #[test]
    fn a_script_has_the_name_that_the_server_gives_it() {
        let name = |text: &str| Script::parse(text).expect("a script").name;
        assert_eq!(&*name("while true do end"), "694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7");
        let writes = "redis.call('SET','k','v') while true do end";
        assert_eq!(&*name(writes), "4c3a52cd3a8f4b5327f282a18eebba56ef64c291");
    }
}
