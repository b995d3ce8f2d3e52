//! Whether a text is well-formed XML, as far as a picture can go wrong.

/// Asserts that a picture is well-formed XML: tags match, attributes are quoted, no character is forbidden.
pub(crate) fn assert_well_formed(text: &str) {
    let forbidden = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    assert!(!text.contains(forbidden), "a character that XML forbids");
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        assert_references(&rest[..at]);
        let end = rest[at..].find('>').map(|end| at + end).expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        let name = |tag: &'_ str| tag.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(tag.len());
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed.trim()), "tags match");
        } else if !tag.starts_with(['?', '!']) {
            assert!(tag.starts_with(|c: char| c.is_ascii_alphabetic()), "a tag has a name: <{tag}>");
            assert_eq!(tag.matches('"').count() % 2, 0, "attributes are quoted: <{tag}>");
            assert_references(tag);
            if !tag.ends_with('/') {
                open.push(&tag[..name(tag)]);
            }
        }
    }
    assert!(open.is_empty(), "tags are closed: {open:?}");
}

fn assert_references(text: &str) {
    for part in text.split('&').skip(1) {
        let reference = part.split(';').next().unwrap_or_default();
        let known = ["amp", "lt", "gt", "quot", "apos"].contains(&reference) || reference.starts_with('#');
        assert!(known && part.contains(';'), "a stray ampersand: &{part}");
    }
}
