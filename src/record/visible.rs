//! Texts of others, as they may be shown: what a terminal or a reader would obey instead of show is written out.
//!
//! A recording comes from anywhere, and a scenario's description is free text. What they say is shown; a control character
//! in it must not move the cursor, and a bidirectional override must not turn a line around.

use std::borrow::Cow;

/// Whether a character is obeyed instead of shown: a control character, a format character that changes the direction of
/// text or is not seen at all, or one that XML forbids.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with every hidden character written out, as `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_hidden(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A field of a CSV file: quoted where it must be, and headed by an apostrophe where a spreadsheet would take it for a
/// formula, as OWASP advises against CSV injection. A number stays a number, whatever its sign.
pub fn csv_field(text: &str) -> Cow<'_, str> {
    let text = visible(text);
    let formula = text.starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err();
    let text = if formula { Cow::Owned(format!("'{text}")) } else { text };
    match text.contains([',', '"']) {
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_obeyed_is_written_out() {
        assert_eq!(visible("plain é 読 ×"), "plain é 読 ×");
        assert_eq!(visible("\u{1b}[31m\n\u{202e}x\u{9b}\u{7}"), "\\u{1b}[31m\\u{a}\\u{202e}x\\u{9b}\\u{7}");
    }

    #[test]
    fn no_field_is_a_formula() {
        for (text, field) in [
            ("plain", "plain"),
            ("-1.5", "-1.5"),
            ("a,b\"c", "\"a,b\"\"c\""),
            ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
            ("+SUM(A1,A2)", "\"'+SUM(A1,A2)\""),
            ("@x", "'@x"),
            ("\t=1", "\\u{9}=1"),
        ] {
            assert_eq!(csv_field(text), field);
        }
    }
}
