//! Commands that a scenario types into a node, as lists of words.

use super::glob::matches_glob;
use super::{
    Addr, ClientType, Command, FailoverCommand, GroupId, InfoSection, Ip, MasterCommand, PauseKind, Script,
    SentinelCommand, SetOption,
};
use crate::kernel::Span;
use crate::limits::MILLIS_MAX;

/// What the names in a command stand for.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Finds an address by the name of its host.
    pub ip: &'a dyn Fn(&str) -> Option<Ip>,
    /// The name under which the Sentinels monitor the master.
    pub master: &'a str,
}

/// The commands of Redis 7.0.15, most of which are not modelled.
const REAL: &str = include_str!("commands-7.0.15.txt");

/// The command that the words stand for, or why they stand for none.
pub fn parse_command(words: &[String], known: Known<'_>) -> Result<Command, String> {
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    Ok(match lower.as_slice() {
        ["ping"] => Command::Ping,
        ["info"] => Command::Info(InfoSection::Default),
        ["info", "replication"] => Command::Info(InfoSection::Replication),
        ["role"] => Command::Role,
        ["replicaof" | "slaveof", "no", "one"] => Command::ReplicaOf(None),
        ["replicaof" | "slaveof", _, port] => Command::ReplicaOf(Some(known.addr(&words[1], port)?)),
        ["config", "set", pairs @ ..] if !pairs.is_empty() && pairs.len() % 2 == 0 => {
            let pairs = words[2..].chunks_exact(2);
            Command::ConfigSet(pairs.map(|pair| (pair[0].to_ascii_lowercase(), pair[1].clone())).collect())
        }
        ["config", "rewrite"] => Command::ConfigRewrite,
        ["client", "kill", "type", kind] => Command::ClientKill(match *kind {
            "normal" => ClientType::Normal,
            "pubsub" => ClientType::Pubsub,
            "replica" | "slave" => ClientType::Replica,
            "master" => ClientType::Master,
            other => return Err(format!("`{other}` is not a client type: normal, pubsub, replica or master")),
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
        ["bgrewriteaof"] => Command::BgRewriteAof,
        ["flushall"] | ["flushall", "sync" | "async"] => Command::FlushAll,
        ["flushdb"] | ["flushdb", "sync" | "async"] => Command::FlushDb,
        ["debug", "segfault"] => Command::DebugSegfault,
        ["debug", "sleep", seconds] => {
            let seconds: f64 = seconds.parse().map_err(|_| format!("`{seconds}` is not a number of seconds"))?;
            if !(0.0..=86_400.0).contains(&seconds) {
                return Err("DEBUG SLEEP takes 0 to 86400 seconds".into());
            }
            Command::DebugSleep(Span((seconds * 1e9) as u64))
        }
        ["eval", _, "0"] => Command::Eval(Box::new(Script::parse(&words[1])?)),
        ["eval", ..] => return Err("EVAL takes a script and 0 here: the script, and that it names no keys".into()),
        ["script", "kill"] => Command::ScriptKill,
        ["failover", options @ ..] => Command::Failover(Box::new(failover(options, &words[1..], known)?)),
        ["shutdown", options @ ..] => shutdown(options)?,
        ["sentinel", rest @ ..] => Command::Sentinel(Box::new(sentinel_command(rest, &words[1..], known)?)),
        [] => return Err("a command has at least one word".into()),
        other => return Err(no_command(other)),
    })
}

impl Known<'_> {
    fn addr(self, name: &str, port: &str) -> Result<Addr, String> {
        let ip = (self.ip)(name).ok_or_else(|| format!("`{name}` is not a host of this stack"))?;
        Ok(Addr::new(ip, port.parse().map_err(|_| format!("`{port}` is not a port"))?))
    }

    fn master(self, name: &str) -> Option<GroupId> {
        (name == self.master).then_some(GroupId::ONLY)
    }
}

/// What cannot be given: words that mean nothing, or a real command that is not modelled.
fn no_command(words: &[&str]) -> String {
    let text = words.join(" ");
    match REAL.lines().skip(1).flat_map(str::split_whitespace).any(|real| real == words[0]) {
        true => format!("`{text}` cannot be given here: it is not modelled, or has other arguments"),
        false => format!("`{text}` is not a command: Redis has none of this name"),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number, or is too large"))
}

/// A number of milliseconds, or another that is compared with such.
fn limited(text: &str) -> Result<u64, String> {
    let value = number(text)?;
    if value > MILLIS_MAX { Err(format!("`{text}` is too large: at most {MILLIS_MAX}")) } else { Ok(value) }
}

fn millis(text: &str) -> Result<Span, String> {
    limited(text).map(Span::from_millis)
}

/// What the server would refuse for its form is refused here, in its words (`failoverCommand`).
fn failover(lower: &[&str], words: &[String], known: Known<'_>) -> Result<FailoverCommand, String> {
    if lower == ["abort"] {
        return Ok(FailoverCommand::Abort);
    }
    let (mut to, mut force, mut timeout) = (None, false, None);
    let mut rest = lower;
    loop {
        rest = match rest {
            [] => break,
            ["timeout", ms, rest @ ..] if timeout.is_none() => {
                timeout = Some(millis(ms)?);
                if timeout == Some(Span::ZERO) {
                    return Err("FAILOVER timeout must be greater than 0".into());
                }
                rest
            }
            ["to", _, port, rest_of @ ..] if to.is_none() => {
                to = Some(known.addr(&words[words.len() - rest.len() + 1], port)?);
                rest_of
            }
            ["force", rest @ ..] if !force => {
                force = true;
                rest
            }
            [other, ..] => {
                return Err(format!(
                    "FAILOVER does not know `{other}` here: TO host port, FORCE, TIMEOUT ms, or ABORT"
                ));
            }
        };
    }
    if force && (to.is_none() || timeout.is_none()) {
        return Err("FAILOVER with force option requires both a timeout and target HOST and IP.".into());
    }
    Ok(FailoverCommand::Begin { to, force, timeout })
}

fn shutdown(options: &[&str]) -> Result<Command, String> {
    if let Some(other) = options.iter().find(|option| !["now", "save", "nosave"].contains(option)) {
        return Err(match *other {
            "force" | "abort" => format!("SHUTDOWN {} is not modelled", other.to_ascii_uppercase()),
            _ => format!("SHUTDOWN does not know `{other}`: NOW, SAVE or NOSAVE"),
        });
    }
    let save = match (options.contains(&"save"), options.contains(&"nosave")) {
        (true, true) => return Err("SHUTDOWN takes SAVE or NOSAVE, not both".into()),
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    Ok(Command::Shutdown { now: options.contains(&"now"), save })
}

/// Subcommands of SENTINEL in 7.0.15 (`SENTINEL HELP`).
const SENTINEL: [&str; 21] = [
    "ckquorum",
    "config",
    "debug",
    "failover",
    "flushconfig",
    "get-master-addr-by-name",
    "help",
    "info-cache",
    "is-master-down-by-addr",
    "master",
    "masters",
    "monitor",
    "myid",
    "pending-scripts",
    "remove",
    "replicas",
    "reset",
    "sentinels",
    "set",
    "simulate-failure",
    "slaves",
];

/// `words` as they are typed, `lower` in small letters: names and patterns have their capitals.
fn sentinel_command(lower: &[&str], words: &[String], known: Known<'_>) -> Result<SentinelCommand, String> {
    let about = |command| SentinelCommand::About(known.master(&words[1]), command);
    Ok(match lower {
        ["failover", _] => about(MasterCommand::Failover),
        ["ckquorum", _] => about(MasterCommand::Ckquorum),
        ["replicas" | "slaves", _] => about(MasterCommand::Replicas),
        ["master", _] => about(MasterCommand::Master),
        ["remove", _] => about(MasterCommand::Remove),
        ["set", _, options @ ..] if !options.is_empty() && options.len() % 2 == 0 => {
            about(MasterCommand::Set(options.chunks_exact(2).map(set_option).collect::<Result<_, _>>()?))
        }
        ["reset", _] => {
            let matched = matches_glob(words[1].as_bytes(), known.master.as_bytes());
            SentinelCommand::Reset(if matched { vec![GroupId::ONLY] } else { Vec::new() })
        }
        ["get-master-addr-by-name", _] => SentinelCommand::GetMasterAddrByName(known.master(&words[1])),
        ["flushconfig"] => SentinelCommand::FlushConfig,
        ["monitor", _, _, port, quorum] => {
            let name = known.master(&words[1]).ok_or_else(|| {
                format!(
                    "a second master, `{}`, is not modelled: the Sentinels of this stack know `{}`",
                    words[1], known.master
                )
            })?;
            SentinelCommand::Monitor { name, master: known.addr(&words[2], port)?, quorum: number(quorum)? }
        }
        ["simulate-failure", kinds @ ..] if !kinds.is_empty() => {
            const KINDS: [&str; 2] = ["crash-after-election", "crash-after-promotion"];
            if let Some(other) = kinds.iter().find(|kind| !KINDS.contains(kind)) {
                return Err(format!(
                    "SENTINEL SIMULATE-FAILURE does not know `{other}`; it knows {}",
                    KINDS.join(", ")
                ));
            }
            SentinelCommand::SimulateFailure {
                after_election: kinds.contains(&KINDS[0]),
                after_promotion: kinds.contains(&KINDS[1]),
            }
        }
        ["debug", name, value] => SentinelCommand::Debug(debug_number(name)?, limited(value)?),
        [name, ..] if SENTINEL.contains(name) => {
            return Err(format!(
                "`SENTINEL {}` cannot be given here: it is not modelled, or has other arguments",
                words.join(" ")
            ));
        }
        _ => return Err(format!("`SENTINEL {}` is not a command: Sentinel has none of this name", words.join(" "))),
    })
}

fn set_option(pair: &[&str]) -> Result<SetOption, String> {
    /// Options of SENTINEL SET that are not modelled (`sentinelSetCommand`).
    const OTHERS: [&str; 5] =
        ["auth-pass", "auth-user", "client-reconfig-script", "notification-script", "rename-command"];
    Ok(match pair[0] {
        "quorum" => SetOption::Quorum(number(pair[1])?),
        "down-after-milliseconds" => SetOption::DownAfterMilliseconds(limited(pair[1])?),
        "failover-timeout" => SetOption::FailoverTimeout(limited(pair[1])?),
        "parallel-syncs" => SetOption::ParallelSyncs(number(pair[1])?),
        "master-reboot-down-after-period" => SetOption::MasterRebootDownAfterPeriod(limited(pair[1])?),
        other if OTHERS.contains(&other) => return Err(format!("SENTINEL SET {other} is not modelled")),
        other => return Err(format!("SENTINEL SET does not know `{other}`")),
    })
}

/// The numbers that SENTINEL DEBUG sets.
fn debug_number(name: &str) -> Result<&'static str, String> {
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
    let known = NAMES.into_iter().find(|known| *known == name);
    known.ok_or_else(|| format!("SENTINEL DEBUG does not know `{name}`; it knows {}", NAMES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, String> {
        let words: Vec<String> = text.split(' ').map(String::from).collect();
        let ip = |name: &str| (name == "redis-2").then_some(Ip(1));
        parse_command(&words, Known { ip: &ip, master: "myMaster" })
    }

    fn about(name: Option<GroupId>, command: MasterCommand) -> Command {
        Command::Sentinel(Box::new(SentinelCommand::About(name, command)))
    }

    #[test]
    fn a_masters_name_is_compared_with_its_capitals() {
        let removed = |name| about(name, MasterCommand::Remove);
        assert_eq!(parse("sentinel remove myMaster"), Ok(removed(Some(GroupId::ONLY))));
        assert_eq!(parse("SENTINEL REMOVE mymaster"), Ok(removed(None)));
        let reset = |names: &[GroupId]| Ok(Command::Sentinel(Box::new(SentinelCommand::Reset(names.to_vec()))));
        assert_eq!(parse("SENTINEL RESET my*"), reset(&[GroupId::ONLY]));
        assert_eq!(parse("SENTINEL RESET mymaster"), reset(&[]));
        let monitor = parse("SENTINEL MONITOR other redis-2 6379 1").expect_err("a second master");
        assert!(monitor.contains("a second master, `other`, is not modelled"), "{monitor}");
    }

    #[test]
    fn several_directives_are_set_at_once_with_their_capitals() {
        let pairs = [("hz", "20"), ("save", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse("CONFIG SET HZ 20 save "), Ok(Command::ConfigSet(pairs.to_vec())));
    }

    #[test]
    fn commands_are_read_whatever_their_case() {
        assert_eq!(parse("REPLICAOF No one"), Ok(Command::ReplicaOf(None)));
        assert_eq!(parse("slaveof redis-2 6379"), Ok(Command::ReplicaOf(Some(Addr::new(Ip(1), 6379)))));
        assert_eq!(parse("DEBUG SLEEP 0.5"), Ok(Command::DebugSleep(Span::from_millis(500))));
        assert_eq!(
            parse("CLIENT PAUSE 1500 Write"),
            Ok(Command::ClientPause(PauseKind::Write, Span::from_millis(1500)))
        );
        assert_eq!(parse("CLIENT PAUSE 10"), Ok(Command::ClientPause(PauseKind::All, Span::from_millis(10))));
        let begin = |to, force, timeout: Option<u64>| {
            let timeout = timeout.map(Span::from_millis);
            Ok(Command::Failover(Box::new(FailoverCommand::Begin { to, force, timeout })))
        };
        let second = Some(Addr::new(Ip(1), 6379));
        assert_eq!(parse("failover"), begin(None, false, None));
        assert_eq!(parse("FAILOVER TO redis-2 6379"), begin(second, false, None));
        assert_eq!(parse("FAILOVER TIMEOUT 500 FORCE TO redis-2 6379"), begin(second, true, Some(500)));
        assert_eq!(parse("FAILOVER abort"), Ok(Command::Failover(Box::new(FailoverCommand::Abort))));
        assert_eq!(parse("flushall async"), Ok(Command::FlushAll));
        assert_eq!(parse("shutdown nosave now"), Ok(Command::Shutdown { now: true, save: Some(false) }));
        assert_eq!(
            parse("SENTINEL SET myMaster quorum 3 parallel-syncs 2"),
            Ok(about(Some(GroupId::ONLY), MasterCommand::Set(vec![SetOption::Quorum(3), SetOption::ParallelSyncs(2)])))
        );
    }

    #[test]
    fn what_is_no_command_is_refused_with_a_reason() {
        for (text, reason) in [
            ("FLY", "`fly` is not a command"),
            ("CLUSTER INFO", "`cluster info` cannot be given here: it is not modelled"),
            ("SHUTDOWN ABORT", "SHUTDOWN ABORT is not modelled"),
            ("SHUTDOWN SOON", "SHUTDOWN does not know `soon`"),
            ("SENTINEL MYID", "`SENTINEL MYID` cannot be given here: it is not modelled"),
            ("SENTINEL FLY", "`SENTINEL FLY` is not a command"),
            ("SENTINEL SIMULATE-FAILURE crash", "does not know `crash`"),
            ("SENTINEL SET myMaster auth-pass x", "SENTINEL SET auth-pass is not modelled"),
            ("REPLICAOF redis-9 6379", "`redis-9` is not a host"),
            ("REPLICAOF redis-2 port", "`port` is not a port"),
            ("SENTINEL SET mymaster quorum", "`SENTINEL SET mymaster quorum` cannot be given here"),
            ("SENTINEL DEBUG tick 5", "SENTINEL DEBUG does not know `tick`"),
            ("DEBUG SLEEP -1", "DEBUG SLEEP takes"),
            ("CLIENT PAUSE soon", "`soon` is not a whole number"),
            ("CLIENT PAUSE 18446744073709551615", "is too large: at most"),
            ("CLIENT PAUSE 10 reads", "`reads` cannot be paused"),
            ("BGREWRITEAOF now", "`bgrewriteaof now` cannot be given here"),
            ("EVAL return 0", "the script `return` cannot be run here: only a script that never ends"),
            ("EVAL return 1 k", "EVAL takes a script and 0 here"),
            ("FAILOVER TO redis-2", "FAILOVER does not know `to` here"),
            ("FAILOVER TO redis-9 6379", "`redis-9` is not a host"),
            ("FAILOVER TIMEOUT 0", "FAILOVER timeout must be greater than 0"),
            ("FAILOVER TO redis-2 6379 FORCE", "FAILOVER with force option requires both a timeout"),
            ("FAILOVER ABORT TIMEOUT 5", "FAILOVER does not know `abort` here"),
            ("SCRIPT FLUSH", "`script flush` cannot be given here"),
        ] {
            let error = parse(text).expect_err("refused");
            assert!(error.contains(reason), "{error}");
        }
    }
}
