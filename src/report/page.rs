//! The frame of a page of many runs: one file, no network, light and dark by the reader's wish, and on paper.

use std::fmt::Write as _;

use super::words::escape;

/// How our pages look.
pub(super) const STYLE: &str = include_str!("assets/report.css");

/// A page with this title, what it is about in a sentence, and what is on it.
pub(crate) fn page(title: &str, lead: &str, body: &str) -> String {
    let (title, lead) = (escape(title), escape(lead));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p class=\"lead\">{lead}</p>\n\
         {body}</body>\n</html>\n",
        STYLE
    )
}

/// A chart as it is in the light and in the dark.
pub(crate) fn figure(name: &str, light: &str, dark: &str) -> String {
    format!(
        "<figure id=\"{name}\"><div class=\"light-only\">{light}</div><div class=\"dark-only\">{dark}</div></figure>\n"
    )
}

/// A table: its columns, those of numbers marked, and its rows of cells that are already HTML.
pub(crate) fn table(columns: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    cells("scroll", columns, rows)
}

/// A table whose last column is a sentence: where there is no place beside the others, it stands below them.
pub(crate) fn said(columns: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    cells("scroll said", columns, rows)
}

fn cells(kind: &str, columns: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    // Without the head of the table a number says itself what it is.
    let of = |name: &str, number: bool| match number && kind != "scroll" {
        true => format!(" data-of=\"{}\"", escape(name)),
        false => String::new(),
    };
    let mut out = format!("<div class=\"{kind}\"><table><thead><tr>");
    for (name, number) in columns {
        let _ = write!(out, "<th{}>{}</th>", class(*number), escape(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (cell, (name, number)) in row.iter().zip(columns) {
            let _ = write!(out, "<td{}{}>{cell}</td>", class(*number), of(name, *number));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// A sentence in which names stand in backquotes.
pub(crate) fn words(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let part = |(place, part): (usize, &str)| match place % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    };
    parts.map(part).collect()
}

/// A command to copy.
pub(crate) fn command(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// A word as the shell takes it for one.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,%+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_text_and_what_is_copied_is_one_word() {
        let page = page("<b>", "a & b", &table(&[("x", false), ("y", true)], &[vec!["1".into(), command("<i>")]]));
        assert!(page.contains("<title>&lt;b&gt;</title>") && page.contains("a &amp; b"));
        assert!(page.contains("<td class=\"n\"><code>&lt;i&gt;</code></td>"));
        let said = said(&[("found in", true), ("it says", false)], &[vec!["3".into(), "a".into()]]);
        assert!(
            said.contains("<div class=\"scroll said\">")
                && said.contains("<td class=\"n\" data-of=\"found in\">3</td><td>a</td>")
        );
        assert_eq!(words("as `every`, <b>"), "as <code>every</code>, &lt;b&gt;");
        assert_eq!(quoted("sentinel.quorum=2"), "sentinel.quorum=2");
        assert_eq!(quoted("haproxy.timeout connect=2s"), "'haproxy.timeout connect=2s'");
    }
}
