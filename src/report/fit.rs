//! Lines that end where the terminal does: whole words, and what does not fit stands below, under its own column.

/// How many columns a text takes: styles take none.
fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|part| part.chars().count()).sum()
}

/// A line in lines of at most so many columns. A word that is wider than that stays whole.
pub(crate) fn fit(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let line = line.trim_end_matches(' ');
    if columns(line) <= width {
        return line.to_owned();
    }
    let plain = anstream::adapter::strip_str(line).to_string();
    if plain.chars().all(|c| c == '─') {
        return line.chars().filter(|c| *c != '─').chain(std::iter::repeat_n('─', width)).collect();
    }
    let (mut indent, chars) = (hanging(&plain, width), plain.chars().collect::<Vec<char>>());
    // Of the plain line: where the word at hand begins.
    let mut place = 0;
    let (mut out, mut at, mut fresh) = (String::new(), 0, true);
    // Words with the blanks before them.
    let mut rest = line;
    while !rest.is_empty() {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[blanks..].find(' ').map_or(rest.len(), |end| blanks + end);
        let end = end + unit(&rest[blanks..end], &rest[end..]);
        let (word, wide) = (&rest[blanks..end], columns(&rest[blanks..end]));
        place += blanks;
        // A column that does not fit and begins on the right goes below as a whole.
        let column = if blanks > 1 && !fresh { field(&chars[place.min(chars.len())..]) } else { wide };
        let moves = at + blanks > width / 2 && at + blanks + column > width;
        if moves && column > wide {
            indent = indent.min(width.saturating_sub(column)).max(4);
        }
        if (at + blanks + wide > width || moves) && !fresh && wide > 0 {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            at = indent;
        } else {
            // What is indented beyond the middle has no place for words.
            let shown = if fresh { blanks.min((width / 2).saturating_sub(at)) } else { blanks };
            out.push_str(&rest[..shown]);
            at += shown;
        }
        out.push_str(word);
        (at, place) = (at + wide, place + wide);
        fresh = fresh && wide == 0;
        rest = &rest[end..];
    }
    out
}

/// How long what follows a number is, if it is its unit: they stay together.
fn unit(word: &str, rest: &str) -> usize {
    let Some(rest) = rest.strip_prefix(' ').filter(|_| word.ends_with(|c: char| c.is_ascii_digit())) else { return 0 };
    let end = rest.find(' ').unwrap_or(rest.len());
    let bare = rest[..end].trim_end_matches([',', ';', ':', '.', ')']);
    if ["s", "ms", "us", "%", "min", "h", "KB", "MB"].contains(&bare) { end + 1 } else { 0 }
}

/// How wide the column is that begins here: up to the next two blanks.
fn field(chars: &[char]) -> usize {
    chars.windows(2).position(|pair| pair == [' ', ' ']).unwrap_or(chars.len())
}

/// Where the lines that follow begin: under the last column that begins in the left half.
fn hanging(plain: &str, width: usize) -> usize {
    let (mut found, mut blanks, mut words) = (0, 0, 0);
    for (place, c) in plain.chars().enumerate().take(width / 2 + 1) {
        if c == ' ' {
            blanks += 1;
            continue;
        }
        if blanks > 1 || (place == blanks && words == 0) {
            found = place;
        }
        (blanks, words) = (0, words + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_stand_under_their_column() {
        let line = "    0.000 s  fault        partition: redis-1 sentinel-1 haproxy clients | redis-2 redis-3";
        assert_eq!(
            fit(line, 60),
            "    0.000 s  fault        partition: redis-1 sentinel-1\n                          haproxy clients | redis-2 redis-3"
        );
        assert_eq!(fit(line, 200), line);
        let row = " detected    5.136   fault       sentinel-3   down-after 5000, PING every 1 s";
        assert_eq!(
            fit(row, 60),
            " detected    5.136   fault       sentinel-3\n                     down-after 5000, PING every 1 s"
        );
        assert_eq!(fit("p50 6.330 s, max 12 s", 8), "p50\n6.330 s,\nmax 12 s");
        assert_eq!((fit("short", 5), fit("short   ", 5)), ("short".into(), "short".into()));
        assert_eq!(fit("a-word-that-is-wider than it", 10), "a-word-that-is-wider\nthan it");
        assert_eq!(fit(&"─".repeat(90), 20), "─".repeat(20));
    }

    #[test]
    fn styles_take_no_columns() {
        let bold = anstyle::Style::new().bold();
        let line = format!("{bold}one two{bold:#} three");
        assert_eq!(fit(&line, 13), line);
        assert_eq!(anstream::adapter::strip_str(&fit(&line, 8)).to_string(), "one two\nthree");
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(line in "[ a-z]{0,120}", width in 20usize..60) {
            let fitted = fit(&line, width);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            proptest::prop_assert_eq!(words(&fitted), words(&line));
            let longest = line.split(' ').map(str::len).max().unwrap_or(0);
            let most = width.max(width / 2 + longest);
            proptest::prop_assert!(fitted.lines().all(|line| line.trim_end().len() <= most));
        }
    }
}
