//! Glob-style patterns, as SENTINEL RESET takes them (`stringmatchlen` of util.c).

/// Whether `text` matches `pattern`: `*`, `?`, `[abc]`, `[^a-c]`, and a backslash before what is meant as it stands.
pub(super) fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Behind the last star, and the first of what it might not have taken: going back to earlier stars finds nothing more.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            (star, pattern) = (Some((rest, text)), rest);
            continue;
        }
        match (one(pattern, text.first()), star) {
            (Some(rest), _) => {
                let Some(byte) = text.split_first() else { return true };
                (pattern, text) = (rest, byte.1);
            }
            (None, Some((rest, [_, others @ ..]))) => (star, pattern, text) = (Some((rest, others)), rest, others),
            (None, _) => return false,
        }
    }
}

/// What comes after the first element of a pattern if that matches; the end of the pattern matches the end of the text.
fn one<'a>(pattern: &'a [u8], byte: Option<&u8>) -> Option<&'a [u8]> {
    match (pattern, byte) {
        ([], None) => Some(&[]),
        ([], Some(_)) | (_, None) => None,
        ([b'?', rest @ ..], Some(_)) => Some(rest),
        ([b'[', rest @ ..], Some(byte)) => {
            let (is_in, rest) = class(rest, *byte);
            is_in.then_some(rest)
        }
        ([b'\\', first, rest @ ..] | [first, rest @ ..], Some(byte)) => (first == byte).then_some(rest),
    }
}

/// Whether a byte is in the class that begins after `[`, and what comes after the class.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let negated = pattern.first() == Some(&b'^');
    let mut rest = if negated { &pattern[1..] } else { pattern };
    let mut found = false;
    loop {
        match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', literal, after @ ..] => {
                found |= *literal == byte;
                rest = after;
            }
            [a, b'-', b, after @ ..] => {
                found |= (*a.min(b)..=*a.max(b)).contains(&byte);
                rest = after;
            }
            [one, after @ ..] => {
                found |= *one == byte;
                rest = after;
            }
        }
    }
    (found != negated, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `KEYS` of redis-server 7.0.15 lists.
    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, matched) in [
            ("mymaster", "mymaster", true),
            ("mymaster", "mymaster2", false),
            ("*", "mymaster", true),
            ("my*er", "mymaster", true),
            ("my*x", "mymaster", false),
            ("m?master", "mymaster", true),
            ("?", "", false),
            ("[lm]y*", "mymaster", true),
            ("[^lm]y*", "mymaster", false),
            ("[a-n]y*", "mymaster", true),
            ("[n-a]y*", "mymaster", true),
            ("[x", "x", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("MYMASTER", "mymaster", false),
        ] {
            assert_eq!(matches_glob(pattern.as_bytes(), text.as_bytes()), matched, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "*a".repeat(1_000) + "b";
        assert!(!matches_glob(pattern.as_bytes(), "a".repeat(2_000).as_bytes()));
    }
}
