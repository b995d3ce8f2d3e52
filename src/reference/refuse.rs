//! What cannot be done to a real stack, said before anything starts.

use super::{Error, script};
use crate::client::{Kind, Via};
use crate::scenario::{Network, Scenario, Stack};

/// Refuses a scenario that a real stack cannot play, with the reason.
pub fn refuse(scenario: &Scenario) -> Result<(), Error> {
    let refused = |why: String| Err(Error::Refused(why));
    if scenario.stack.redis.max(scenario.stack.sentinels) > Stack::MOST_REAL {
        return refused(format!("a real stack has at most {} nodes of a kind", Stack::MOST_REAL));
    }
    for client in &scenario.clients {
        let name = &client.name;
        if client.has_own_settings() {
            return refused(format!(
                "client `{name}` has settings of its own: a real library runs here with its defaults"
            ));
        }
        if !client.runs_as_recorded()
            && (client.then_set
                || client.payload > 0
                || client.requests.is_some()
                || client.wait.is_some()
                || client.px.is_some())
        {
            return refused(format!(
                "client `{name}` runs on {}, whose program knows no `then-set`, `payload`, `requests`, `wait` or `px`",
                client.library
            ));
        }
        let goes = match client.via {
            Via::Proxy => true,
            Via::Address => client.runs_as_recorded(),
            Via::Sentinels => !client.runs_as_recorded(),
        };
        if !goes {
            return refused(format!(
                "client `{name}` goes a way, `{}`, that no real program of its kind does",
                client.via.word()
            ));
        }
        if client.pause.is_some() || client.connections > 1 {
            return refused(format!("client `{name}` is a load generator: only clients at a pace are real"));
        }
        if client.kind == Kind::Subscribe && client.requests.is_some() {
            return refused(format!("client `{name}` is a subscriber and makes no attempts to be counted"));
        }
    }
    if scenario.redis.iter().any(|config| config.master_by_name) {
        return refused("`master-by-name`: replicas of the driver are told their master's address".into());
    }
    if scenario.network != Network::default() {
        return refused("links are those of one bridge: use `degrade` for a slow one".into());
    }
    script::refuse_faults(scenario)
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
        let client = |rest: &str| verdict(&format!("[[client]]\nname = 'p'\nkind = 'publish'\n{rest}\n"));
        assert_eq!(client("library = 'redis-py'\nvia = 'sentinels'"), Ok(()));
        assert!(client("retries = 3\nbackoff = { base = '1s' }").expect_err("refused").contains("settings of its own"));
        let waits = "[[client]]\nname = 'w'\nkind = 'set'\nwait = { replicas = 1, timeout = '1s' }\n";
        assert_eq!(verdict(waits), Ok(()));
        assert!(verdict(&format!("{waits}library = 'redis-py'\n")).expect_err("refused").contains("`wait`"));
        assert!(client("library = 'redis-py'\npayload = '1kB'").expect_err("refused").contains("redis-py"));
        assert!(client("via = 'sentinels'").expect_err("refused").contains("`sentinels`"));
        assert_eq!(client("via = 'address'"), Ok(()));
        assert!(client("library = 'redis-py'\nvia = 'address'").expect_err("refused").contains("`address`"));
        let debug = "[[fault]]\nat = '1s'\naction = 'command'\nnode = 'redis-1'\nrun = ['DEBUG', 'SLEEP', '1']\n";
        assert_eq!(verdict(debug), Ok(()));
        let both = format!("{debug}[[fault]]\nat = '5s'\naction = 'stall'\nnode = 'redis-2'\nfor = '1s'\n");
        assert!(verdict(&both).expect_err("refused").contains("DEBUG at 1s is to be refused"));
        assert_eq!(verdict(&format!("[redis]\nenable-debug-command = 'yes'\n{both}")), Ok(()));
        for disk in ["action = 'slow-disk'\nnode = 'redis-1'\nfsync = '1s'", "action = 'disk-full'\nnode = 'redis-1'"] {
            let refused = verdict(&format!("[[fault]]\nat = '1s'\n{disk}\n")).expect_err("refused");
            assert!(refused.contains("file system"), "{refused}");
        }
        let power = "[[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n";
        assert_eq!(verdict(power), Ok(()));
        let log = format!("[redis]\nappendonly = true\n{power}");
        assert!(verdict(&log).expect_err("refused").contains("had not synced"));
        assert_eq!(verdict(&log.replace("true", "true\nappendfsync = 'always'")), Ok(()));
        assert!(verdict("[stack]\nhaproxy = false\n").is_err());
        assert!(verdict("[stack]\nredis = 65\n").expect_err("refused").contains("at most 64"));
    }
}
