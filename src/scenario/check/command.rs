//! Commands that a fault script gives to a server or a Sentinel.
//!
//! What means nothing, what the server would refuse for its form, and what is not modelled is refused when the file is
//! read. What the server would refuse for its state (a name that nobody monitors, DEBUG where it is not allowed, a second
//! failover) is given to it, and it answers.

use super::faults::Cast;
use super::{Places, Reader, Table};
use crate::redis;
use crate::release::{Release, ServerRelease};
use crate::scenario::error::Finding;
use crate::scenario::fault::{NodeRef, Role};
use crate::scenario::real;
use crate::wire::{Command, Ip, Known, MasterCommand, PauseKind, SentinelCommand, SetOption, parse_command};

const KNOWN: &str = "known here: PING, INFO, ROLE, REPLICAOF, CONFIG SET, CONFIG REWRITE, CLIENT KILL TYPE, CLIENT \
                     PAUSE, CLIENT UNPAUSE, FAILOVER, DEBUG SLEEP, DEBUG SEGFAULT, EVAL of a loop without end, \
                     SCRIPT KILL, SAVE, BGSAVE, BGREWRITEAOF, FLUSHALL, FLUSHDB, SHUTDOWN, SENTINEL …; in an \
                     address, a node stands by its name";

/// Reports what is wrong with a command and with whom it is given to.
pub(super) fn check(reader: &mut Reader, cast: &Cast<'_>, (node, run): (&NodeRef, &[String]), texts: &Table<'_>) {
    let places = Places::of(texts);
    let mut report = |key: &str, message: String, label: &str, help: &str| {
        reader.report(Finding::new(message, places.value(key), label).help(help));
    };
    let is_sentinel = match node {
        NodeRef::Sentinel(_) | NodeRef::Role(Role::Leader) => true,
        NodeRef::Redis(_) | NodeRef::Role(_) => false,
        NodeRef::Haproxy | NodeRef::Client(_) | NodeRef::Host(_) => {
            let help = "name a Redis node, a Sentinel or a role";
            report("node", "only Redis and Sentinel take commands".into(), "this does not", help);
            return;
        }
    };
    if run.first().is_none_or(|word| word.trim().is_empty()) {
        let help = "give the command's words, such as [\"SENTINEL\", \"FAILOVER\", \"mymaster\"]";
        report("run", "the command is empty".into(), "there is nothing to run", help);
        return;
    }
    let ip = |name: &str| cast.names.is_host(name).then_some(Ip(0));
    let command = parse_command(run, Known { ip: &ip, master: cast.master });
    if let Ok(command) = &command
        && let Some((what, since)) = since(command)
        && let Some(release) = releases(cast, node).into_iter().find(|release| !release.has(since))
    {
        let label = format!("{what} came with {}", since.title());
        let help = format!("leave the fault out, or set `release = \"{}\"`", since.as_str());
        report("run", format!("{} has no {what}", release.title()), &label, &help);
        return;
    }
    match command {
        Err(why) => report("run", why, "this cannot be run", KNOWN),
        Ok(Command::ClientPause(..) | Command::ClientUnpause) if is_sentinel => {
            let help = "to stop a Sentinel for a time, `stall` it";
            let message = "the clients of a Sentinel cannot be paused here".into();
            report("run", message, "only those of a Redis node", help);
        }
        Ok(Command::Failover(_)) if is_sentinel => {
            let help = format!("give it to a Redis node, or SENTINEL FAILOVER {} to the Sentinel", cast.master);
            report("run", "a Sentinel has no FAILOVER".into(), "only a Redis node has", &help);
        }
        Ok(Command::Eval(_) | Command::ScriptKill) if is_sentinel => {
            let help = "to block a Sentinel for a time, `stall` it";
            report("run", "a Sentinel runs no scripts".into(), "only a Redis node does", help);
        }
        Ok(Command::Info(_) | Command::Role | Command::ClientKill(_)) if is_sentinel => {
            let message = format!("a Sentinel's answer to `{}` is not modelled", run.join(" "));
            report("run", message, "only a Redis node's is", "ask with SENTINEL MASTER or SENTINEL REPLICAS");
        }
        Ok(Command::ConfigSet(pairs)) if !is_sentinel => {
            let configs = redis_at(cast, node);
            let config = configs.first().expect("a name stands for somebody");
            if let Some((message, label, help)) = config_set(config, &pairs) {
                report("run", message, &label, &help);
            }
        }
        Ok(_) => {}
    }
}

/// The settings of the Redis nodes that a name can stand for.
fn redis_at<'a>(cast: &'a Cast<'_>, node: &NodeRef) -> Vec<&'a redis::Config> {
    let only = if let NodeRef::Redis(number) = node { Some(usize::from(*number)) } else { None };
    let numbered = (1..).zip(&cast.redis);
    numbered.filter(|(number, _)| only.is_none_or(|only| only == *number)).map(|(_, config)| *config).collect()
}

/// The releases of those that a name can stand for.
fn releases(cast: &Cast<'_>, node: &NodeRef) -> Vec<ServerRelease> {
    match *node {
        NodeRef::Sentinel(number) => vec![cast.sentinels[usize::from(number) - 1].release],
        NodeRef::Role(Role::Leader) => cast.sentinels.iter().map(|config| config.release).collect(),
        _ => redis_at(cast, node).into_iter().map(|config| config.release).collect(),
    }
}

/// What of a command not every release has, and the one that brought it.
fn since(command: &Command) -> Option<(&'static str, ServerRelease)> {
    match command {
        Command::ClientUnpause => Some(("CLIENT UNPAUSE", ServerRelease::Redis6_2)),
        Command::ClientPause(PauseKind::Write, _) => Some(("CLIENT PAUSE … WRITE", ServerRelease::Redis6_2)),
        Command::Failover(_) => Some(("FAILOVER", ServerRelease::Redis6_2)),
        Command::Shutdown { now: true, .. } => Some(("SHUTDOWN NOW", ServerRelease::Redis7_0)),
        Command::ConfigSet(pairs) if pairs.len() > 1 => {
            Some(("CONFIG SET of several parameters", ServerRelease::Redis7_0))
        }
        Command::Sentinel(command) => match &**command {
            SentinelCommand::Debug(..) => Some(("SENTINEL DEBUG", ServerRelease::Redis7_0)),
            SentinelCommand::About(_, MasterCommand::Set(options))
                if options.iter().any(|option| matches!(option, SetOption::MasterRebootDownAfterPeriod(_))) =>
            {
                Some(("SENTINEL SET master-reboot-down-after-period", ServerRelease::Redis7_0))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What is wrong with a CONFIG SET: the message, what to write at its place, and a remedy.
fn config_set(config: &redis::Config, pairs: &[(String, String)]) -> Option<(String, String, String)> {
    let mut config = config.clone();
    for (place, (name, value)) in pairs.iter().enumerate() {
        if pairs[..place].iter().any(|(earlier, _)| earlier == name) {
            let message = format!("CONFIG SET of `{name}` twice");
            return Some((message, "the server refuses a duplicate parameter".into(), "name it once".into()));
        }
        let Err(refusal) = redis::set(&mut config, name, value) else { continue };
        return Some(match refusal {
            redis::Refusal::Server(words) => {
                let message = format!("CONFIG SET of `{name}` to `{value}` would be refused");
                (message, words, "give a value that the server takes, or leave the fault out".into())
            }
            redis::Refusal::NotWhileRunning(why) => {
                let message = format!("CONFIG SET of `{name}` is not modelled");
                (message, why.to_owned(), format!("set `{name}` in [redis], for the whole run"))
            }
            redis::Refusal::Unknown => real::unknown_directive(name),
        });
    }
    None
}
