//! Commands that a fault script gives to a server or a Sentinel.
//!
//! What means nothing, what the server would refuse for its form, and what is not modelled is refused when the file is
//! read. What the server would refuse for its state (a name that nobody monitors, DEBUG where it is not allowed, a second
//! failover) is given to it, and it answers.

use super::{Names, Places, Reader, Table};
use crate::redis;
use crate::scenario::error::Finding;
use crate::scenario::fault::{NodeRef, Role};
use crate::scenario::real;
use crate::wire::{Command, HostId, Known, parse_command};

const KNOWN: &str = "known here: PING, INFO, ROLE, REPLICAOF, CONFIG SET, CONFIG REWRITE, CLIENT KILL TYPE, CLIENT PAUSE, \
                     CLIENT UNPAUSE, DEBUG SLEEP, DEBUG SEGFAULT, SAVE, BGSAVE, FLUSHALL, FLUSHDB, SHUTDOWN, SENTINEL …; \
                     in an address, a node stands by its name";

/// Reports what is wrong with a command and with whom it is given to.
pub(super) fn check(
    reader: &mut Reader,
    names: &Names<'_>,
    master: &str,
    (node, run): (&NodeRef, &[String]),
    texts: &Table<'_>,
) {
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
    let host = |name: &str| names.is_host(name).then_some(HostId(0));
    match parse_command(run, Known { host: &host, master }) {
        Err(why) => report("run", why, "this cannot be run", KNOWN),
        Ok(Command::ClientPause(..) | Command::ClientUnpause) if is_sentinel => {
            let help = "to stop a Sentinel for a time, `stall` it";
            let message = "the clients of a Sentinel cannot be paused here".into();
            report("run", message, "only those of a Redis node", help);
        }
        Ok(Command::Info(_) | Command::Role | Command::ClientKill(_)) if is_sentinel => {
            let message = format!("a Sentinel's answer to `{}` is not modelled", run.join(" "));
            report("run", message, "only a Redis node's is", "ask with SENTINEL MASTER or SENTINEL REPLICAS");
        }
        Ok(Command::ConfigSet(pairs)) if !is_sentinel => {
            if let Some((message, label, help)) = config_set(&pairs) {
                report("run", message, &label, &help);
            }
        }
        Ok(_) => {}
    }
}

/// What is wrong with a CONFIG SET: the message, what to write at its place, and a remedy.
fn config_set(pairs: &[(String, String)]) -> Option<(String, String, String)> {
    let mut config = redis::Config::default();
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
