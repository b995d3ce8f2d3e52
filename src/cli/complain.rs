//! Complaints, all in one style: what is wrong, in which place, and what to do about it.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use miette::Report;

use super::manner::Manner;
use super::tell;
use crate::limits::system_says;

/// What the system says of `what`, with what may help.
pub(super) fn of_system(what: &str, error: &io::Error) -> Report {
    use io::ErrorKind as Kind;
    let help = match error.kind() {
        Kind::NotFound => "there is no such file or folder: look at the path",
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            "this user may not do that there: give another place, or change its rights"
        }
        Kind::IsADirectory => "this is a folder: give a file",
        Kind::NotADirectory => "a part of this path is a file and no folder",
        Kind::AlreadyExists => "something is there already: give another place, or move it away",
        Kind::StorageFull | Kind::QuotaExceeded => "there is no room left: make some, or give another place",
        Kind::FileTooLarge => "docs/limits.md says how large files may be",
        Kind::InvalidData => "look at the file: it is not what is expected there, or it was cut off",
        _ => "look at the file or the place, or give another one",
    };
    miette::miette!(help = help, "{what}: {}", system_says(error))
}

/// Tells what is wrong with the arguments, or what they ask for: help or the version.
pub(super) fn of_arguments(error: &clap::Error, manner: Manner) -> ExitCode {
    let asked =
        [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if asked.contains(&error.kind()) {
        error.exit();
    }
    manner.begin();
    let (what, help) = in_our_words(&error.to_string());
    tell(&format!("{:?}", miette::miette!(help = help, "{what}")));
    ExitCode::from(2)
}

/// What is wrong and the remedy, of a text that clap makes: paragraphs with the complaint, tips and the usage.
fn in_our_words(text: &str) -> (String, String) {
    let mut paragraphs = text.trim().split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let (mut what, mut help): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    for line in first.strip_prefix("error: ").unwrap_or(first).lines().map(str::trim) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(values) if !what.is_empty() => help.push(values.to_owned()),
            _ => what.push(line),
        }
    }
    for paragraph in paragraphs {
        for line in paragraph.lines().map(str::trim) {
            match line.strip_prefix("tip: ") {
                Some(tip) => help.push(tip.to_owned()),
                None if line.starts_with("Usage: ") => help.push(line.replacen("Usage", "usage", 1)),
                None if line.starts_with("For more information") => {}
                None => help.push(line.to_owned()),
            }
        }
    }
    help.push("--help tells more".to_owned());
    (what.join(" "), help.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> (String, String) {
        let error = super::super::command().try_get_matches_from(line.split(' ')).expect_err("it is wrong");
        in_our_words(&error.to_string())
    }

    #[test]
    fn wrong_arguments_are_told_with_their_remedy() {
        for (line, what, help) in [
            ("sim run --runs x", "invalid value 'x' for '--runs <RUNS>'", "--help tells more"),
            ("sim lint", "required arguments were not provided: <PATHS>...", "usage: sim lint <PATHS>..."),
            ("sim nope", "unrecognized subcommand 'nope'", "usage: sim"),
            ("sim schema --formt", "unexpected argument '--formt' found", "usage: sim schema"),
            ("sim list --color loud", "invalid value 'loud' for '--color <WHEN>'", "auto"),
            ("sim ru x", "unrecognized subcommand 'ru'", "'run'"),
        ] {
            let (found, remedy) = refused(line);
            assert!(found.contains(what), "{line}: {found}");
            assert!(remedy.contains(help), "{line}: {remedy}");
            assert!(!found.contains("error:") && !remedy.contains("For more information"), "{line}: {found}\n{remedy}");
        }
    }

    #[test]
    fn what_the_system_says_has_a_remedy() {
        let error = io::Error::from_raw_os_error(2);
        let report = of_system("here/x", &error);
        assert_eq!(report.to_string(), "here/x: No such file or directory");
        assert!(report.help().is_some_and(|help| help.to_string().contains("look at the path")));
    }
}
