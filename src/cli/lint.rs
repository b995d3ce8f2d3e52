//! `sim lint`: what is wrong with a user's own configuration files.

use std::io::Write;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::{Failure, VERSION, Verdict, prove};
use crate::import::lint::{Finding, RULES, Severity, counts, findings, rule};
use crate::import::{Files, Set, Stack, read, sarif};

/// Look for what is wrong with your own configuration files: compose files, manifests, redis.conf, sentinel.conf, haproxy.cfg
///
/// Nothing is executed and nothing outside the folder is read. Exit status: 0 if there is nothing above a note, 1 if there is
/// a warning or an error, 2 if the files cannot be read.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A folder, or files
    #[arg(required_unless_present = "rules")]
    paths: Vec<PathBuf>,
    /// Leave out a rule, by its id (may be given several times)
    #[arg(long, value_name = "ID")]
    allow: Vec<String>,
    /// Show notes one by one, not only their number
    #[arg(long)]
    notes: bool,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Run the imported scenario with and without the remedy where a run can show what a rule says
    #[arg(long)]
    prove: bool,
    /// How many runs each --prove makes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    runs: u64,
    /// List all rules
    #[arg(long)]
    rules: bool,
    #[command(flatten)]
    reading: super::import::Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object with all findings
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// A table for job summaries
    Markdown,
}

impl Arguments {
    /// Whether printing is all that it does.
    pub(super) fn only_prints(&self) -> bool {
        self.rules
    }
}

/// A stack and what is wrong with it.
struct Linted<'a> {
    stack: &'a Stack,
    findings: Vec<Finding>,
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut out = anstream::stdout().lock();
    if arguments.rules && arguments.format == Format::Markdown {
        write!(out, "{}", crate::import::lint::markdown())?;
        return Ok(Verdict::Fine);
    }
    if arguments.rules {
        for rule in RULES {
            writeln!(super::said(), "{} {:<8} {:<34} {}", rule.group, rule.severity.name(), rule.id, rule.title)?;
        }
        return Ok(Verdict::Fine);
    }
    let options = arguments.reading.options()?;
    for id in &arguments.allow {
        if rule(id).is_none() {
            let near = crate::suggest::closest(id, RULES.iter().map(|rule| rule.id));
            let help = near.map_or("sim lint --rules lists them".to_owned(), |near| format!("did you mean `{near}`?"));
            return Err(Failure::Bad(miette::miette!(help = help, "--allow {id}: there is no such rule")));
        }
    }
    let files = Files::read(&arguments.paths)
        .map_err(|why| Failure::Bad(miette::miette!(help = "give a folder, or files", "{why}")))?;
    files.unread().iter().for_each(|text| super::note(text));
    let set = read(&files, &options);
    unreadable(&set)?;
    let linted: Vec<Linted> =
        set.stacks.iter().map(|stack| Linted { stack, findings: findings(stack, &arguments.allow) }).collect();
    let all: Vec<Finding> = linted.iter().flat_map(|one| one.findings.clone()).collect();
    if arguments.prove && arguments.format == Format::Sarif {
        let help = "--format text, json or markdown has the figures";
        return Err(Failure::Bad(miette::miette!(help = help, "SARIF has no place for what --prove shows")));
    }
    let mut proofs = Vec::new();
    for one in linted.iter().filter(|_| arguments.prove) {
        proofs.extend(prove::all(one.stack, &one.findings, arguments.runs));
    }
    match arguments.format {
        Format::Text => text(&mut super::said(), arguments, &linted, &set)?,
        Format::Json => {
            let document = as_json(&linted, &proofs);
            writeln!(out, "{}", serde_json::to_string_pretty(&document).expect("plain values"))?;
        }
        Format::Sarif => {
            let document = sarif::document(&all, VERSION);
            writeln!(out, "{}", serde_json::to_string_pretty(&document).expect("plain values"))?;
        }
        Format::Markdown => markdown(&mut out, &linted)?,
    }
    match arguments.format {
        Format::Text => prove::text(&mut super::results(), &proofs, &path(arguments))?,
        Format::Markdown => prove::markdown(&mut out, &proofs)?,
        Format::Json | Format::Sarif => {}
    }
    let bad = all.iter().any(|finding| finding.severity > Severity::Note);
    Ok(if bad { Verdict::Missed } else { Verdict::Fine })
}

/// Refuses a set in which there is no stack, or whose files cannot be read.
fn unreadable(set: &Set) -> Result<(), Failure> {
    let broken: Vec<String> = set.broken.iter().map(|(place, why)| format!("{place}: {why}")).collect();
    if set.stacks.is_empty() {
        let templates = set.templates.iter().map(|place| format!("{place}: this is a template: render it first"));
        let all: Vec<String> = broken.into_iter().chain(templates).collect();
        let why =
            if all.is_empty() { "no Redis Sentinel stack was found in these files".to_owned() } else { all.join("\n") };
        let help = "give the folder with the compose file, the rendered manifests (helm template, kustomize build), or redis.conf, \
                    sentinel.conf and haproxy.cfg";
        return Err(Failure::Bad(miette::miette!(help = help, "{why}")));
    }
    match broken.is_empty() {
        true => Ok(()),
        false => {
            let help = "put the line right; what the rest says is told then";
            Err(Failure::Bad(miette::miette!(help = help, "{}", broken.join("\n"))))
        }
    }
}

fn style(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warn => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}

fn text(out: &mut impl Write, arguments: &Arguments, linted: &[Linted], set: &Set) -> std::io::Result<()> {
    for one in linted {
        if linted.len() > 1 {
            writeln!(out, "— {} —\n", one.stack.label)?;
        }
        let shown = one.findings.iter().filter(|finding| finding.because_of.is_none());
        for finding in shown.filter(|finding| arguments.notes || finding.severity > Severity::Note) {
            let style = style(finding.severity);
            writeln!(out, "{style}{}{style:#} {} {}", finding.severity.name(), finding.rule, finding.place)?;
            writeln!(out, "    {}", finding.message)?;
            for effect in one.findings.iter().filter(|effect| effect.because_of == Some(finding.rule)) {
                writeln!(out, "    so, {} ({}): {}", effect.rule, effect.place, effect.message)?;
            }
            writeln!(out, "    remedy: {}", finding.remedy)?;
            if let Some(proof) = rule(finding.rule).and_then(|rule| rule.proof) {
                let path = path(arguments);
                writeln!(
                    out,
                    "    see it: sim import {path} --situation {} | sim run - --runs 20   ({})",
                    proof.situation, proof.metric
                )?;
            }
        }
        // What there is besides failures.
        if super::quiet() {
            continue;
        }
        let notes: Vec<&str> =
            one.findings.iter().filter(|finding| finding.severity == Severity::Note).map(|one| one.rule).collect();
        if !arguments.notes && !notes.is_empty() {
            writeln!(out, "{} (--notes): {}", super::counted(notes.len() as u64, "note"), notes.join(", "))?;
        }
        let counts = counts(&one.findings);
        let count = |severity| counts.get(&severity).copied().unwrap_or(0);
        writeln!(
            out,
            "{}: {}, {}, {}\n",
            one.stack.label,
            super::counted(count(Severity::Error) as u64, "error"),
            super::counted(count(Severity::Warn) as u64, "warning"),
            super::counted(count(Severity::Note) as u64, "note")
        )?;
    }
    for place in set.templates.iter().filter(|_| !super::quiet()) {
        writeln!(out, "{place}: this is a template; what it says was looked at, what fills it in was not")?;
    }
    Ok(())
}

/// What was read, as a command names it.
fn path(arguments: &Arguments) -> String {
    arguments.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

fn as_json(linted: &[Linted], proofs: &[prove::Shown]) -> serde_json::Value {
    let finding = |one: &Finding| {
        json!({
            "rule": one.rule,
            "severity": one.severity.name(),
            "file": &*one.place.file,
            "line": one.place.line,
            "also": one.also.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "message": one.message,
            "remedy": one.remedy,
            "because_of": one.because_of,
        })
    };
    let stack = |one: &Linted| {
        json!({
            "stack": one.stack.label,
            "redis": one.stack.redis.len(),
            "sentinels": one.stack.sentinels.len(),
            "haproxies": one.stack.proxies.len(),
            "findings": one.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    };
    let proofs: Vec<_> = proofs.iter().map(prove::Shown::json).collect();
    json!({ "version": VERSION, "stacks": linted.iter().map(stack).collect::<Vec<_>>(), "proofs": proofs })
}

fn markdown(out: &mut impl Write, linted: &[Linted]) -> std::io::Result<()> {
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    for one in linted {
        writeln!(
            out,
            "### sim lint: {}\n\n| | rule | where | what | remedy |\n| --- | --- | --- | --- | --- |",
            cell(&one.stack.label)
        )?;
        for finding in &one.findings {
            let row =
                [finding.severity.name(), finding.rule, &finding.place.to_string(), &finding.message, finding.remedy]
                    .map(&cell);
            writeln!(out, "| {} |", row.join(" | "))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
