//! Commands that a scenario types into a node, as lists of words.

use super::{Addr, ClientType, Command, HostId, InfoSection, PauseKind, SentinelCommand, SetOption};
use crate::kernel::Span;
use crate::limits::MILLIS_MAX;

/// The command that the words stand for, or why they stand for none. `host` finds a host by its name.
pub fn parse_command(words: &[String], host: impl Fn(&str) -> Option<HostId>) -> Result<Command, String> {
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let addr = |name: &str, port: &str| -> Result<Addr, String> {
        let host = host(name).ok_or_else(|| format!("`{name}` is no host of this stack"))?;
        Ok(Addr::new(host, port.parse().map_err(|_| format!("`{port}` is no port"))?))
    };
    Ok(match lower.as_slice() {
        ["ping"] => Command::Ping,
        ["info"] => Command::Info(InfoSection::Default),
        ["info", "replication"] => Command::Info(InfoSection::Replication),
        ["role"] => Command::Role,
        ["replicaof" | "slaveof", "no", "one"] => Command::ReplicaOf(None),
        ["replicaof" | "slaveof", name, port] => Command::ReplicaOf(Some(addr(name, port)?)),
        ["config", "set", parameter, value] => Command::ConfigSet(Box::new((parameter.to_string(), value.to_string()))),
        ["config", "rewrite"] => Command::ConfigRewrite,
        ["client", "kill", "type", kind] => Command::ClientKill(match *kind {
            "normal" => ClientType::Normal,
            "pubsub" => ClientType::Pubsub,
            "replica" | "slave" => ClientType::Replica,
            "master" => ClientType::Master,
            other => return Err(format!("`{other}` is no client type: normal, pubsub, replica or master")),
        }),
        ["client", "pause", ms] => Command::ClientPause(PauseKind::All, millis(ms)?),
        ["client", "pause", ms, kind] => {
            let kind = match *kind {
                "write" => PauseKind::Write,
                "all" => PauseKind::All,
                other => return Err(format!("`{other}` cannot be paused: write or all")),
            };
            Command::ClientPause(kind, millis(ms)?)
        }
        ["client", "unpause"] => Command::ClientUnpause,
        ["save"] => Command::Save,
        ["bgsave"] | ["bgsave", "schedule"] => Command::BgSave,
        ["flushall"] | ["flushall", "sync" | "async"] => Command::FlushAll,
        ["flushdb"] | ["flushdb", "sync" | "async"] => Command::FlushDb,
        ["debug", "segfault"] => Command::DebugSegfault,
        ["debug", "sleep", seconds] => {
            let seconds: f64 = seconds.parse().map_err(|_| format!("`{seconds}` is no number of seconds"))?;
            if !(0.0..=86_400.0).contains(&seconds) {
                return Err("DEBUG SLEEP takes 0 to 86400 seconds".into());
            }
            Command::DebugSleep(Span((seconds * 1e9) as u64))
        }
        ["shutdown", options @ ..] => Command::Shutdown {
            now: options.contains(&"now"),
            save: match (options.contains(&"save"), options.contains(&"nosave")) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
        },
        ["sentinel", rest @ ..] => Command::Sentinel(Box::new(sentinel_command(rest, &addr)?)),
        [] => return Err("a command has at least one word".into()),
        other => return Err(format!("`{}` is no command that can be given here", other.join(" "))),
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no whole number"))
}

/// A number of milliseconds, or another that is compared with such.
fn limited(text: &str) -> Result<u64, String> {
    let value = number(text)?;
    if value > MILLIS_MAX { Err(format!("`{text}` is too large: at most {MILLIS_MAX}")) } else { Ok(value) }
}

fn millis(text: &str) -> Result<Span, String> {
    limited(text).map(Span::from_millis)
}

fn sentinel_command(
    words: &[&str],
    addr: &impl Fn(&str, &str) -> Result<Addr, String>,
) -> Result<SentinelCommand, String> {
    Ok(match words {
        ["failover", _] => SentinelCommand::Failover,
        ["reset", _] => SentinelCommand::Reset,
        ["ckquorum", _] => SentinelCommand::Ckquorum,
        ["replicas" | "slaves", _] => SentinelCommand::Replicas,
        ["master", _] => SentinelCommand::Master,
        ["get-master-addr-by-name", _] => SentinelCommand::GetMasterAddrByName,
        ["flushconfig"] => SentinelCommand::FlushConfig,
        ["remove", _] => SentinelCommand::Remove,
        ["monitor", _, name, port, quorum] => {
            SentinelCommand::Monitor { master: addr(name, port)?, quorum: number(quorum)? }
        }
        ["simulate-failure", kinds @ ..] => SentinelCommand::SimulateFailure {
            after_election: kinds.contains(&"crash-after-election"),
            after_promotion: kinds.contains(&"crash-after-promotion"),
        },
        ["set", _, options @ ..] if !options.is_empty() && options.len() % 2 == 0 => {
            let option = |pair: &[&str]| {
                Ok(match pair[0] {
                    "quorum" => SetOption::Quorum(number(pair[1])?),
                    "down-after-milliseconds" => SetOption::DownAfterMilliseconds(limited(pair[1])?),
                    "failover-timeout" => SetOption::FailoverTimeout(limited(pair[1])?),
                    "parallel-syncs" => SetOption::ParallelSyncs(number(pair[1])?),
                    "master-reboot-down-after-period" => SetOption::MasterRebootDownAfterPeriod(limited(pair[1])?),
                    other => return Err(format!("SENTINEL SET does not know `{other}` here")),
                })
            };
            SentinelCommand::Set(options.chunks(2).map(option).collect::<Result<_, String>>()?)
        }
        ["debug", name, value] => {
            const NAMES: [&str; 11] = [
                "info-period",
                "ping-period",
                "ask-period",
                "publish-period",
                "default-down-after",
                "default-failover-timeout",
                "tilt-trigger",
                "tilt-period",
                "slave-reconf-timeout",
                "min-link-reconnect-period",
                "election-timeout",
            ];
            let name = NAMES
                .into_iter()
                .find(|known| known == name)
                .ok_or_else(|| format!("SENTINEL DEBUG does not know `{name}`; it knows {}", NAMES.join(", ")))?;
            SentinelCommand::Debug(name, limited(value)?)
        }
        other => return Err(format!("`SENTINEL {}` is no command that can be given here", other.join(" "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, String> {
        let words: Vec<String> = text.split(' ').map(String::from).collect();
        parse_command(&words, |name| (name == "redis-2").then_some(HostId(1)))
    }

    #[test]
    fn commands_are_read_whatever_their_case() {
        assert_eq!(parse("REPLICAOF No one"), Ok(Command::ReplicaOf(None)));
        assert_eq!(parse("slaveof redis-2 6379"), Ok(Command::ReplicaOf(Some(Addr::new(HostId(1), 6379)))));
        assert_eq!(parse("DEBUG SLEEP 0.5"), Ok(Command::DebugSleep(Span::from_millis(500))));
        assert_eq!(
            parse("CLIENT PAUSE 1500 Write"),
            Ok(Command::ClientPause(PauseKind::Write, Span::from_millis(1500)))
        );
        assert_eq!(parse("CLIENT PAUSE 10"), Ok(Command::ClientPause(PauseKind::All, Span::from_millis(10))));
        assert_eq!(parse("flushall async"), Ok(Command::FlushAll));
        assert_eq!(parse("shutdown nosave now"), Ok(Command::Shutdown { now: true, save: Some(false) }));
        assert_eq!(
            parse("SENTINEL SET mymaster quorum 3 parallel-syncs 2"),
            Ok(Command::Sentinel(Box::new(SentinelCommand::Set(vec![
                SetOption::Quorum(3),
                SetOption::ParallelSyncs(2)
            ]))))
        );
    }

    #[test]
    fn what_is_no_command_is_refused_with_a_reason() {
        for (text, reason) in [
            ("FLY", "`fly` is no command"),
            ("REPLICAOF redis-9 6379", "`redis-9` is no host"),
            ("REPLICAOF redis-2 port", "`port` is no port"),
            ("SENTINEL SET mymaster quorum", "`SENTINEL set mymaster quorum` is no command"),
            ("SENTINEL DEBUG tick 5", "SENTINEL DEBUG does not know `tick`"),
            ("DEBUG SLEEP -1", "DEBUG SLEEP takes"),
            ("CLIENT PAUSE soon", "`soon` is no whole number"),
            ("CLIENT PAUSE 10 reads", "`reads` cannot be paused"),
            ("BGREWRITEAOF", "`bgrewriteaof` is no command"),
        ] {
            let error = parse(text).expect_err("refused");
            assert!(error.contains(reason), "{error}");
        }
    }
}
