//! `sim list`, `sim show` and `sim new`: the scenarios that are in the program, and a file of one's own.

use std::io::Write as _;
use std::path::PathBuf;

use anstyle::Style;
use clap_complete::engine::ArgValueCompleter;
use miette::miette;

use super::{Failure, Verdict};
use crate::limits;
use crate::scenario::shipped::{self, Shipped, THEMES};
use crate::suggest::closest;

/// List the scenarios that are in the program, by theme
#[derive(clap::Args)]
#[command(after_help = "Any of these names can be given wherever a scenario file can: sim run partition")]
pub(super) struct List {
    /// Only this theme: cookbook, traps, commands, published, witness, regressions, conformance
    theme: Option<String>,
}

/// Print a scenario that is in the program
#[derive(clap::Args)]
pub(super) struct Show {
    /// Its name, as `sim list` shows it
    #[arg(add = ArgValueCompleter::new(super::completions::scenarios))]
    name: String,
}

/// Begin a scenario file of your own: NAME.toml, with every line explained
#[derive(clap::Args)]
pub(super) struct New {
    /// The scenario's name; the file NAME.toml is written in this folder
    #[arg(default_value = "my-scenario")]
    name: String,
    /// Begin with a copy of this scenario
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(super::completions::scenarios))]
    from: Option<String>,
}

/// What a new file holds.
const TEMPLATE: &str = include_str!("new.toml");

/// The widest name that gets a column.
const NAME_WIDTH: usize = 40;

pub(super) fn list(arguments: &List) -> Result<Verdict, Failure> {
    if let Some(theme) = &arguments.theme
        && !THEMES.iter().any(|(name, _)| name == theme)
    {
        let names: Vec<&str> = THEMES.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        return Err(Failure::Bad(miette!(
            help = format!("themes: {}", names.join(", ")),
            "there is no theme `{theme}`"
        )));
    }
    let width = super::manner::line_width();
    let mut out = anstream::stdout().lock();
    let (bold, faint) = (Style::new().bold(), Style::new().dimmed());
    let wanted = |theme: &str| arguments.theme.as_deref().is_none_or(|wanted| wanted == theme);
    for (number, (theme, title)) in THEMES.iter().filter(|(theme, _)| wanted(theme)).enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let folder = if theme.is_empty() { String::new() } else { format!(" {faint}({theme}/){faint:#}") };
        writeln!(out, "{bold}{title}{bold:#}{folder}")?;
        let of_theme: Vec<Shipped> = shipped::all().into_iter().filter(|shipped| shipped.theme == *theme).collect();
        let wide = of_theme.iter().map(|shipped| shipped.stem.len()).max().unwrap_or(0).min(NAME_WIDTH);
        for shipped in of_theme {
            let line = format!("  {:<wide$}  {}", shipped.stem, shipped.says());
            writeln!(out, "{}", cut(&line, width))?;
        }
    }
    Ok(Verdict::Fine)
}

/// The beginning of a line, if it is wider than the terminal.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn found(name: &str) -> Result<Shipped, Failure> {
    shipped::find(name).ok_or_else(|| {
        let all = shipped::all();
        let help = match closest(name, all.iter().map(|shipped| shipped.stem)) {
            Some(close) => format!("did you mean `{close}`? `sim list` shows all"),
            None => "`sim list` shows all".to_owned(),
        };
        Failure::Bad(miette!(help = help, "there is no scenario `{name}` in the program"))
    })
}

pub(super) fn show(arguments: &Show) -> Result<Verdict, Failure> {
    write!(anstream::stdout().lock(), "{}", found(&arguments.name)?.text)?;
    Ok(Verdict::Fine)
}

pub(super) fn new(arguments: &New) -> Result<Verdict, Failure> {
    let name = arguments.name.strip_suffix(".toml").unwrap_or(&arguments.name);
    if let Some(fault) = limits::name_fault(name, false) {
        return Err(Failure::Bad(miette!(help = "letters, digits and -_. inside", "the name `{name}`: {fault}")));
    }
    let text = match &arguments.from {
        None => TEMPLATE,
        Some(from) => found(from)?.text,
    };
    let path = PathBuf::from(format!("{name}.toml"));
    if path.exists() {
        let help = "choose another name: nothing is overwritten";
        return Err(Failure::Bad(miette!(help = help, "{} is there already", path.display())));
    }
    crate::files::write(&path, named(text, name).as_bytes()).map_err(Failure::io(path.display()))?;
    let mut out = super::results();
    writeln!(out, "{}: edit it, then\n\n  sim run {}", path.display(), path.display())?;
    Ok(Verdict::Fine)
}

/// The text of a scenario under another name.
fn named(text: &str, name: &str) -> String {
    let own = format!("name = \"{name}\"");
    let mut lines: Vec<&str> = text.lines().collect();
    let head = lines.iter().position(|line| line.starts_with('[')).unwrap_or(lines.len());
    match lines[..head].iter().position(|line| line.starts_with("name ")) {
        Some(place) => lines[place] = &own,
        None => {
            let place = lines.iter().position(|line| !line.starts_with('#')).unwrap_or(0);
            lines.insert(place, &own);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn a_new_file_is_right_and_so_is_every_line_that_it_offers() {
        let text = named(TEMPLATE, "mine");
        let scenario = Scenario::parse("x.toml", &text).expect("the template is right");
        assert_eq!(scenario.name, "mine");
        // A line that is offered is a comment with a key in it.
        let offered = text.lines().filter(|line| line.starts_with("# ") && line.contains(" = ")).count();
        assert!(offered > 10, "{offered}");
        let all: Vec<&str> = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") || rest.starts_with('[') => rest,
                _ => line,
            })
            .collect();
        if let Err(error) = Scenario::parse("x.toml", &all.join("\n")) {
            panic!("{:?}", miette::Report::new(error));
        }
    }

    #[test]
    fn every_shipped_file_can_be_a_beginning() {
        for shipped in shipped::all() {
            let scenario = Scenario::parse("x.toml", &named(shipped.text, "mine"));
            assert_eq!(scenario.map(|scenario| scenario.name).ok().as_deref(), Some("mine"), "{}", shipped.name());
        }
    }

    #[test]
    fn lines_end_where_the_terminal_does() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer than that", 8), "longer…");
    }
}
