//! `sim import`: a user's own configuration files in, a scenario out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Failure, Verdict, note, tell};
use crate::files;
use crate::import::lint::{Finding, SERVES, Severity, findings};
use crate::import::origin::{Origin, Place, Text};
use crate::import::output::{Wishes, scenario};
use crate::import::situation::SITUATIONS;
use crate::import::{Files, Options, Set, Stack, read};
use crate::scenario::Scenario;

/// Make a scenario of your own compose file, manifests, redis.conf, sentinel.conf and haproxy.cfg
///
/// Every value stands with its file and line, or with the reason why it was assumed; what a scenario cannot say stands at its
/// head. Nothing is executed, nothing outside the folder is read, and passwords are not written. What cannot be made into a
/// stack, and what does not start as it stands, is refused (exit status 2, nothing written). Try it: sim import DIR | sim run -
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A folder, or files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Write the scenario into this file instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What happens to the stack
    #[arg(long, value_name = "NAME", default_value = "master-dies", value_parser = SITUATIONS.map(|(name, _)| name))]
    situation: String,
    /// A key of the scenario and its value, FILE:LINE=VALUE for what still has to be filled in there, or master=NAME for the
    /// first master (may be given several times)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Also import what an error says does not work
    #[arg(long)]
    anyway: bool,
    #[command(flatten)]
    reading: Reading,
}

/// How files are read.
#[derive(clap::Args)]
pub(super) struct Reading {
    /// The frontend of haproxy.cfg through which clients write
    #[arg(long, value_name = "NAME")]
    frontend: Option<String>,
    /// The master, where several are monitored
    #[arg(long, value_name = "NAME")]
    master: Option<String>,
    /// How many containers of a service run (may be given several times)
    #[arg(long, value_name = "SERVICE=N")]
    scale: Vec<String>,
    /// A file with variables for compose files, besides .env (may be given several times)
    #[arg(long, value_name = "FILE")]
    env: Vec<PathBuf>,
    /// Also take variables for compose files from the environment of this command, as compose does
    #[arg(long)]
    env_from_process: bool,
    /// A profile of compose that is on (may be given several times)
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// A compose file of the folder, where there are several; several are merged (may be given several times)
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,
}

/// Refuses the arguments.
fn bad(what: &str, help: &str) -> Failure {
    Failure::Bad(miette::miette!(help = help.to_owned(), "{what}"))
}

impl Reading {
    /// What decides how files are read.
    pub(super) fn options(&self) -> Result<Options, Failure> {
        let mut options = Options {
            profiles: self.profile.iter().cloned().collect::<BTreeSet<_>>(),
            frontend: self.frontend.clone(),
            master: self.master.clone(),
            files: self.file.iter().map(|file| file.trim_start_matches("./").to_owned()).collect(),
            ..Options::default()
        };
        for scale in &self.scale {
            let (service, number) =
                scale.split_once('=').ok_or_else(|| bad(&format!("--scale {scale}"), "write --scale SERVICE=N"))?;
            let number = number.parse().ok().filter(|n| (1..=1_000).contains(n));
            let number = number.ok_or_else(|| bad(&format!("--scale {scale}"), "N is a whole number, 1 to 1000"))?;
            options.scale.insert(service.to_owned(), number);
        }
        let mut env: BTreeMap<String, Text> = BTreeMap::new();
        for path in &self.env {
            let text = crate::limits::read_text(path).map_err(Failure::io(path.display()))?;
            let file: Arc<str> = path.display().to_string().into();
            for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
                if let Some((name, value)) = line.split_once('=') {
                    let value = value.trim().trim_matches(['"', '\'']);
                    env.insert(name.trim().to_owned(), Text::new(value, Origin::at(Place::new(&file, n + 1))));
                }
            }
        }
        if self.env_from_process {
            for (name, value) in std::env::vars_os() {
                let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
                let place = Place::new(&"environment".into(), 1);
                env.entry(name.to_owned()).or_insert_with(|| Text::new(value, Origin::at(place)));
            }
        }
        options.env = env;
        Ok(options)
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut options = arguments.reading.options()?;
    let (mut set, mut blanks) = (Vec::new(), Vec::new());
    for wish in &arguments.set {
        let (key, value) =
            wish.split_once('=').ok_or_else(|| bad(&format!("--set {wish}"), "write --set KEY=VALUE"))?;
        match key.trim() {
            "master" => options.first = Some(value.to_owned()),
            key if line_of(key).is_some() => blanks.extend(line_of(key).map(|place| (place, value))),
            key => set.push((key.to_owned(), value.to_owned())),
        }
    }
    let mut files = Files::read(&arguments.paths).map_err(|why| bad(&why, "give a folder, or files"))?;
    for ((path, line), value) in blanks {
        files.fill(path, line, value).map_err(|why| bad(&why, "sim lint names the lines"))?;
    }
    files.unread().iter().for_each(|text| note(text));
    let all = read(&files, &options);
    let stack = only(&all, arguments.anyway, &set)?;
    let found = findings(stack, &[]);
    let errors: Vec<&Finding> = found.iter().filter(|finding| finding.severity == Severity::Error).collect();
    if errors.iter().any(|finding| !SERVES.contains(&finding.rule)) && !arguments.anyway {
        let told = |error: &&Finding| format!("{}\n    remedy: {}", what(error), error.remedy);
        let errors: Vec<String> = errors.iter().map(told).collect();
        let help = "put it right, fill in what is left open (--set FILE:LINE=VALUE), or import it as it stands with --anyway: the errors then stand at the head of the scenario";
        return Err(bad(&format!("the stack does not work as it stands:\n{}", errors.join("\n")), help));
    }
    let from = arguments.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let situation = arguments.situation.clone();
    let asked = !set.is_empty();
    let imported = scenario(stack, &found, &Wishes { situation, set, from });
    if let Err(error) = Scenario::parse("the imported scenario", &imported.toml) {
        if asked {
            return Err(Failure::Bad(error.into()));
        }
        let help = "say it differently with --set, or write the scenario by hand: sim import … > stack.toml";
        return Err(Failure::Bad(miette::miette!(help = help, "{error}: {}", error.problems()[0])));
    }
    match &arguments.output {
        Some(path) => files::write(path, imported.toml.as_bytes()).map_err(Failure::io(path.display()))?,
        None => std::io::stdout().lock().write_all(imported.toml.as_bytes())?,
    }
    for error in &errors {
        let severity = miette::Severity::Warning;
        tell(&format!("{:?}", miette::miette!(severity = severity, help = error.remedy, "{}", what(error))));
    }
    // What stands at the head, and each value with a reason instead of a line.
    let assumed = imported.assumed.len() + imported.toml.lines().filter(|line| line.contains(" # assumed: ")).count();
    let matters = imported.left_out.iter().filter(|remark| remark.matters).count();
    note(&format!(
        "{}: {} Redis, {}, {}; assumed: {}; left out: {} ({matters} of them {} what a run shows); the scenario says \
         which, and who is called what",
        stack.label,
        stack.redis.len(),
        super::counted(stack.sentinels.len() as u64, "Sentinel"),
        if stack.write.is_some() { "HAProxy" } else { "no HAProxy" },
        assumed,
        imported.left_out.len(),
        if matters == 1 { "changes" } else { "change" },
    ));
    Ok(Verdict::Fine)
}

/// An error of the stack and where it is.
fn what(error: &Finding) -> String {
    format!("{}: {}: {}", error.place, error.rule, error.message)
}

/// The file and line that `FILE:LINE` names.
fn line_of(key: &str) -> Option<(&str, usize)> {
    let (file, line) = key.rsplit_once(':')?;
    Some((file.trim_start_matches("./"), line.parse().ok()?))
}

/// The one stack of a set, or everything that forbids to make a scenario of it.
fn only<'a>(set: &'a Set, anyway: bool, said: &[(String, String)]) -> Result<&'a Stack, Failure> {
    let mut problems: Vec<String> = set.broken.iter().map(|(place, why)| format!("{place}: {why}")).collect();
    let rendered = |stack: &Stack| {
        !stack
            .programs()
            .any(|one| set.templates.iter().any(|place| one.files.iter().any(|file| **file == *place.file)))
    };
    if let Some(place) =
        set.templates.first().filter(|_| set.stacks.first().is_none_or(|stack| !rendered(stack)) && !anyway)
    {
        problems.push(format!(
            "{place}: this is a template: render it first (helm template, kustomize build, ansible --check --diff)"
        ));
    }
    match &set.stacks[..] {
        [] if problems.is_empty() => problems.push("no Redis Sentinel stack was found in these files".to_owned()),
        [] => {}
        [stack] => {
            if stack.redis.is_empty() {
                problems.push(format!("{}: no Redis server was found", stack.label));
            }
            if stack.sentinels.is_empty() {
                problems.push(format!("{}: no Sentinel was found", stack.label));
            }
            if let Some((_, what)) = unsupported(stack) {
                problems.push(what);
            }
            let open = |help: &str| !said.iter().any(|(key, _)| help.contains(&format!("--set {key}=")));
            for (place, what, help) in stack.refused.iter().filter(|(_, _, help)| open(help)) {
                let place = place.as_ref().map_or(String::new(), |place| format!("{place}: "));
                problems.push(format!("{place}{what}\n    remedy: {help}"));
            }
            if anyway {
                problems.retain(|text| !stack.refused.iter().any(|(_, what, _)| text.contains(what.as_str())));
            }
        }
        many => {
            let names: Vec<String> = many.iter().map(|stack| format!("    --file {}", stack.label)).collect();
            problems.push(format!("there are {} stacks; take one:\n{}", many.len(), names.join("\n")));
        }
    }
    match (problems.is_empty(), &set.stacks[..]) {
        (true, [stack]) => Ok(stack),
        _ => Err(bad(&problems.join("\n"), "sim lint tells what is wrong with a set of files")),
    }
}

/// What is named and not simulated: where and what.
fn unsupported(stack: &Stack) -> Option<(Place, String)> {
    for one in &stack.redis {
        for (name, what) in [
            ("cluster-enabled", "Redis Cluster"),
            ("multi-master", "multi-master replication of KeyDB"),
            ("active-replica", "multi-master replication of KeyDB"),
        ] {
            if let Some(line) =
                one.settings.get(name).filter(|line| line.word(0).is_some_and(|word| word.eq_ignore_ascii_case("yes")))
            {
                return Some((line.place().clone(), format!("{}: {what} is not simulated", line.place())));
            }
        }
    }
    None
}
