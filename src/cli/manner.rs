//! How the program speaks: the flags that every subcommand has, what they mean, and where words go.
//!
//! Results go to standard output, notes to standard error. They are asked from all corners of the command line, so they
//! are known once for the process; nothing that is computed depends on them.

use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;

use crate::report::fit::fit;

/// Colour when?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Nowhere
    Never,
}

/// Flags of every subcommand.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "How it speaks")]
pub(super) struct Manner {
    /// Print only what failed: no results, notes and progress
    ///
    /// JSON, and a scenario that goes to standard output, are printed all the same: another program reads them. Where printing
    /// is all that a command does (list, show, explain, schema, completions, --list, --rules), it is refused.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say on standard error what is read, run and written
    #[arg(long, short, global = true)]
    verbose: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true, hide_possible_values = true)]
    color: When,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// The widest that help, tables and complaints become on a wide terminal.
pub(super) const WIDEST: usize = 100;
/// Columns of a terminal that does not say how many it has.
const USUAL: usize = 80;

impl When {
    fn choice(self) -> anstream::ColorChoice {
        match self {
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        }
    }

    /// What `--color` says, before the arguments are understood: complaints about them have colours, too.
    pub(super) fn foreseen(arguments: impl Iterator<Item = String>) -> When {
        let arguments: Vec<String> = arguments.take_while(|word| word != "--").collect();
        let values = arguments.iter().enumerate().filter_map(|(place, word)| match word.strip_prefix("--color") {
            Some("") => arguments.get(place + 1).map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        });
        let when = |value: &str| <When as clap::ValueEnum>::from_str(value, false).ok();
        values.filter_map(when).next_back().unwrap_or_default()
    }

    /// For clap.
    pub(super) fn of_help(self) -> clap::ColorChoice {
        match self {
            When::Auto => clap::ColorChoice::Auto,
            When::Always => clap::ColorChoice::Always,
            When::Never => clap::ColorChoice::Never,
        }
    }
}

impl Manner {
    /// As usual, with these colours.
    pub(super) fn coloured(color: When) -> Manner {
        Manner { color, ..Manner::default() }
    }

    /// From now on the program speaks like this.
    pub(super) fn begin(self) {
        let _ = MANNER.set(self);
        self.color.choice().write_global();
        // Complaints are drawn for the terminal that shows them: neither wider nor in colours that it has not.
        let coloured = match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never,
        };
        let _ = miette::set_hook(Box::new(move |_| {
            Box::new(
                miette::MietteHandlerOpts::new()
                    .width(terminal_width().min(WIDEST))
                    .color(coloured)
                    .break_words(false)
                    // The names of metrics, nodes and options are words.
                    .word_splitter(textwrap::WordSplitter::NoHyphenation)
                    .terminal_links(false)
                    .build(),
            )
        }));
    }
}

fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// Whether only what failed is printed.
pub(super) fn quiet() -> bool {
    manner().quiet
}

/// Where results go: to standard output, in lines that fit the terminal; with `--quiet` nowhere.
pub(super) fn results() -> Box<dyn Write + Send> {
    if quiet() { Box::new(io::sink()) } else { said() }
}

/// Where goes what is said even then: what failed.
pub(super) fn said() -> Box<dyn Write + Send> {
    Box::new(Fitting { out: anstream::stdout(), width: line_width(), line: Vec::new() })
}

/// Writes lines, those that are too wide as several.
struct Fitting<W: Write> {
    out: W,
    width: usize,
    line: Vec<u8>,
}

impl<W: Write> Fitting<W> {
    fn end_line(&mut self, end: &[u8]) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.out.write_all(fit(&String::from_utf8_lossy(&line), self.width).as_bytes())?;
        self.out.write_all(end)
    }
}

impl<W: Write> Write for Fitting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.split_last() {
                Some((b'\n', text)) => {
                    self.line.extend(text);
                    self.end_line(b"\n")?;
                }
                _ => self.line.extend(part),
            }
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Drop for Fitting<W> {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            let _ = self.end_line(b"");
        }
    }
}

/// The first of these tables that fits the terminal, or the last.
pub(super) fn fitting<const N: usize>(tables: [&dyn Fn() -> comfy_table::Table; N]) -> comfy_table::Table {
    let width = line_width();
    let fits = |table: &comfy_table::Table| table.lines().all(|line| line.trim_end().chars().count() <= width);
    let mut last = None;
    for table in tables {
        let table = last.insert(table());
        if fits(table) {
            break;
        }
    }
    last.expect("there is a table")
}

/// Where progress is drawn: on a terminal, if it is wanted.
pub(super) fn shows_progress() -> bool {
    io::stderr().is_terminal() && !quiet()
}

/// Says something on standard error; if nobody can be told, nobody is.
pub(super) fn tell(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Says what one may want to know, unless quiet is wanted.
pub(super) fn note(text: &str) {
    if !quiet() {
        tell(&format!("sim: {text}"));
    }
}

/// Says what is being done, if that is wanted.
pub(super) fn detail(text: impl FnOnce() -> String) {
    if manner().verbose {
        tell(&format!("sim: {}", text()));
    }
}

/// How many columns the terminal has, as `COLUMNS` says or the terminal does; 80 if neither does.
pub(super) fn terminal_width() -> usize {
    told_width().or_else(asked_width).unwrap_or(USUAL).max(20)
}

/// How wide lines may be that a program may want to read as well: as wide as the terminal or `COLUMNS` says, and else as
/// wide as they are.
pub(super) fn line_width() -> usize {
    let terminal = if io::stdout().is_terminal() { Some(terminal_width()) } else { None };
    told_width().or(terminal).unwrap_or(usize::MAX)
}

fn told_width() -> Option<usize> {
    let text = std::env::var("COLUMNS").ok()?;
    text.parse().ok().filter(|columns| *columns > 0)
}

fn asked_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_however_they_come() {
        let mut bytes = Vec::new();
        let mut out = Fitting { out: &mut bytes, width: 20, line: Vec::new() };
        for part in ["one two thr", "ee four five\nsix", ""] {
            out.write_all(part.as_bytes()).expect("memory can be written");
        }
        drop(out);
        assert_eq!(String::from_utf8(bytes).expect("text"), "one two three four\nfive\nsix");
    }

    #[test]
    fn the_colour_is_known_before_the_arguments_are() {
        let foreseen = |line: &str| When::foreseen(line.split(' ').map(str::to_owned));
        assert_eq!(foreseen("sim run x --color=always"), When::Always);
        assert_eq!(foreseen("sim --color never run x"), When::Never);
        assert_eq!(foreseen("sim run x --color"), When::Auto);
        assert_eq!(foreseen("sim run x -- --color=always"), When::Auto);
        assert_eq!(foreseen("sim run x --color=loud"), When::Auto);
    }
}
