//! What cannot be done to a real stack, said before anything starts.

use super::Error;
use crate::client::{Kind, Via};
use crate::redis::Protected;
use crate::scenario::{Action, Network, NodeRef, Scenario, Stack};

/// Refuses a scenario that a real stack cannot play, with the reason.
pub fn refuse(scenario: &Scenario) -> Result<(), Error> {
    let refused = |why: String| Err(Error::Refused(why));
    if scenario.stack.redis.max(scenario.stack.sentinels) > Stack::MOST_REAL {
        return refused(format!("a real stack has at most {} nodes of a kind", Stack::MOST_REAL));
    }
    for client in &scenario.clients {
        let name = &client.name;
        if !client.runs_as_recorded() {
            return refused(format!(
                "client `{name}` has the habits of {}, or settings of its own: the real clients here are the \
                 reference's",
                client.library
            ));
        }
        if client.via != Via::Proxy {
            return refused(format!(
                "client `{name}` goes another way than through HAProxy, which no real client here does"
            ));
        }
        if client.pause.is_some() || client.connections > 1 {
            return refused(format!("client `{name}` is a load generator: only clients at a pace are real"));
        }
        if client.kind == Kind::Subscribe && client.requests.is_some() {
            return refused(format!("client `{name}` is a subscriber and makes no attempts to be counted"));
        }
    }
    if !scenario.stack.haproxy && !scenario.clients.is_empty() {
        return refused("without HAProxy the clients would have to ask Sentinels".into());
    }
    if scenario.network != Network::default() {
        return refused("links are those of one bridge: use `degrade` for a slow one".into());
    }
    for fault in &scenario.faults {
        match &fault.action {
            Action::ClockJump { .. } => {
                return refused(format!(
                    "`clock-jump` at {}: all nodes share the machine's clock, and it is not ours to set",
                    fault.at
                ));
            }
            Action::Command { node, .. }
                if !matches!(node, NodeRef::Redis(_) | NodeRef::Sentinel(_) | NodeRef::Role(_)) =>
            {
                return refused(format!("`command` at {}: `{node}` takes no commands", fault.at));
            }
            Action::Command { run, .. }
                if run.first().is_some_and(|word| word.eq_ignore_ascii_case("debug"))
                    && driver_needs_debug(scenario)
                    && scenario.redis.iter().any(|config| config.enable_debug_command == Protected::No) =>
            {
                return refused(format!(
                    "DEBUG at {} is to be refused by the server, and the driver needs it to fill or stall the server",
                    fault.at
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the driver itself gives DEBUG commands to Redis: to fill it (DEBUG POPULATE) and to stall it (DEBUG SLEEP).
pub(super) fn driver_needs_debug(scenario: &Scenario) -> bool {
    scenario.redis.iter().any(|config| config.dataset_bytes > 0)
        || scenario.faults.iter().any(|fault| matches!(fault.action, Action::Stall { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), String> {
        refuse(&Scenario::parse("test.toml", text).expect("a good file")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_reason() {
        assert_eq!(verdict(""), Ok(()));
        let clock = verdict("[[fault]]\nat = '1s'\naction = 'clock-jump'\nnode = 'sentinel-1'\nby = '3s'\n");
        assert!(clock.expect_err("refused").contains("the machine's clock"));
        let client = verdict("[[client]]\nname = 'p'\nkind = 'publish'\nprofile = 'go-redis-v8'\n");
        assert!(client.expect_err("refused").contains("go-redis"));
        let debug = "[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\nrun = ['DEBUG', 'SLEEP', '1']\n";
        assert_eq!(verdict(debug), Ok(()));
        let both = format!("{debug}[[fault]]\nat = '5s'\naction = 'stall'\nnode = 'redis-2'\nfor = '1s'\n");
        assert!(verdict(&both).expect_err("refused").contains("DEBUG at 1s is to be refused"));
        assert_eq!(verdict(&format!("[redis]\nenable-debug-command = 'yes'\n{both}")), Ok(()));
        assert!(verdict("[stack]\nhaproxy = false\n").is_err());
        assert!(verdict("[stack]\nredis = 65\n").expect_err("refused").contains("at most 64"));
    }
}
