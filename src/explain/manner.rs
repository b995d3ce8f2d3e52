//! Why a client was silent: what its library does, read from its row and its settings, and which of them would have
//! changed it.
//!
//! A client that is out for longer than a failover takes is out because of its own manner: it waits without a limit, it
//! does not notice that nothing comes, or it stays with a master that is none any more.

use std::sync::Arc;

use super::Step;
use super::words::{plural, seconds};
use crate::client::habits::{AskingSettings, Habits, OnReadonly};
use crate::client::{Config, Kind, Via};
use crate::kernel::Span;
use crate::record::{Op, Outcome, Recording, What};
use crate::scenario::Scenario;
use crate::units::Limit;
use crate::world::{Keep, World};

/// At most so many clients are told of, those that were silent longest.
const TOLD: usize = 4;
/// A setting is worth telling if it shortens a silence by a fifth.
const FIFTH: i64 = 5;

/// A limit as a person says it.
fn limit(limit: Option<Span>) -> String {
    limit.map_or("without limit".into(), |span| span.to_string())
}

/// How long a client waits, and how often.
pub(super) fn limits(config: &Config) -> String {
    let Habits { connect_timeout, command_timeout, multiplex, retries, .. } = config.habits();
    let times = match (multiplex.is_some(), retries) {
        (true, _) | (_, 0) => String::new(),
        (false, retries) => format!(", up to {} times", retries + 1),
    };
    let (connect, command) = (limit(connect_timeout), limit(command_timeout));
    format!("a client of {} waits {connect} for a connection and {command} for a reply{times}", config.library)
}

/// The longest time in which a client got nothing, in microseconds after time 0, and what it did meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Silence {
    from_us: i64,
    to_us: i64,
    /// The longest attempt in it, one that did not end among them.
    slowest_us: i64,
    /// Attempts that were answered with READONLY.
    readonly: u64,
    ended: bool,
}

impl Silence {
    fn span_us(self) -> i64 {
        self.to_us - self.from_us
    }

    /// Of the client at `place` among those of the scenario.
    fn of(recording: &Recording, name: &str) -> Silence {
        let end = (recording.header.end_s * 1e6) as i64;
        // When an attempt began, when it ended, and how; a message is an attempt of no length.
        let mut attempts: Vec<(i64, i64, Outcome)> = Vec::new();
        for record in recording.records.iter().filter(|record| recording.names.node(record.node) == name) {
            let at = recording.micros(record.time);
            let (took, outcome) = match record.what {
                What::Op(
                    Op::Publish { took, outcome, .. } | Op::Set { took, outcome, .. } | Op::Get { took, outcome, .. },
                ) => (i64::try_from(took.0 / 1_000).unwrap_or(i64::MAX), outcome),
                What::Op(Op::Receive { .. }) => (0, Outcome::Ok),
                _ => continue,
            };
            attempts.push((at, at.saturating_add(took), outcome));
        }
        attempts.sort_by_key(|(_, ended, _)| *ended);
        let mut longest = Silence::default();
        let mut last = 0;
        let ends = attempts.iter().filter(|(_, ended, outcome)| outcome.is_acknowledged() && *ended > 0);
        for (ended, is_end) in ends.map(|(_, ended, _)| ((*ended).min(end), false)).chain([(end, true)]) {
            if ended - last > longest.span_us() {
                longest = Silence { from_us: last, to_us: ended, ended: !is_end, ..Silence::default() };
            }
            last = ended;
        }
        let within = |at: i64| (longest.from_us..=longest.to_us).contains(&at);
        for (began, ended, outcome) in attempts.iter().filter(|(began, ..)| within(*began)) {
            longest.slowest_us = longest.slowest_us.max(ended.min(&longest.to_us) - began);
            longest.readonly += u64::from(*outcome == Outcome::Readonly);
        }
        // An attempt that never ended has no line.
        let last_line = attempts.iter().filter(|(began, ..)| within(*began)).map(|(_, ended, _)| *ended).max();
        if !longest.ended {
            longest.slowest_us =
                longest.slowest_us.max(longest.to_us - last_line.unwrap_or(longest.from_us).max(longest.from_us));
        }
        longest
    }
}

/// Why a client was silent, by the facts of its row; nothing if its manner was not the reason.
fn reason(config: &Config, silence: Silence, usual_us: i64) -> Option<String> {
    let habits = config.habits();
    let waited = seconds(silence.slowest_us);
    if config.kind == Kind::Subscribe {
        let listening = habits.listening;
        return match (habits.notices_silence(), listening.ping_after) {
            (true, _) => None,
            (false, Some(ping)) => Some(format!(
                "it writes a PING after {ping} of silence and awaits no answer, so that a connection on which nothing \
                 comes is never given up"
            )),
            (false, None) => {
                Some("it listens without a time limit: a connection on which nothing comes is never given up".into())
            }
        };
    }
    if silence.readonly > 0 && habits.on_readonly == OnReadonly::Keep {
        return Some(format!(
            "{} answered with READONLY: its library keeps the connection to a master that was demoted",
            plural(silence.readonly, "attempt")
        ));
    }
    if silence.slowest_us < usual_us {
        return None;
    }
    Some(match (habits.command_timeout, habits.connect_timeout) {
        (None, _) => format!("no command time limit: waited {waited}"),
        (Some(_), None) => format!("no limit for a connection: waited {waited}"),
        (Some(command), Some(connect)) => format!(
            "one call took {waited}: {} of up to {} for a connection and {} for a reply",
            plural(u64::from(habits.retries) + 1, "try").replace("trys", "tries"),
            connect * u64::from(habits.dials),
            command
        ),
    })
}

/// The changes of one setting that could shorten a silence.
fn changes(config: &Config) -> Vec<(&'static str, Config)> {
    let second = Some(Limit(Some(Span::from_secs(1))));
    let mut all = vec![
        ("command-timeout = \"1s\"", Config { command_timeout: second, ..config.clone() }),
        ("connect-timeout = \"1s\"", Config { connect_timeout: second, ..config.clone() }),
    ];
    if config.kind == Kind::Subscribe {
        let ping_after = Some(Limit(Some(Span::from_secs(3))));
        let own = Config { ping_after, command_timeout: second, ..config.clone() };
        all.push(("ping-after = \"3s\" and command-timeout = \"1s\"", own));
    }
    if config.via == Via::Sentinels {
        let asking = config.sentinels.unwrap_or_default();
        let sentinels = Some(AskingSettings { switch_master: Some(true), ..asking });
        all.push(("sentinels = { switch-master = true }", Config { sentinels, ..config.clone() }));
    }
    let both = Config { command_timeout: second, connect_timeout: second, ..config.clone() };
    all.push(("command-timeout and connect-timeout = \"1s\"", both));
    all
}

/// A failover takes so long at the most, as a rule: `down-after-milliseconds` and 5 s more.
fn usual_us(scenario: &Scenario) -> i64 {
    let down_after = scenario.sentinel.iter().map(|config| config.down_after_milliseconds).max().unwrap_or(0);
    i64::try_from(down_after).unwrap_or(i64::MAX / 2_000) * 1_000 + 5_000_000
}

/// When the first message was published that a subscriber could have heard in a silence: until somebody speaks, silence says
/// nothing.
fn first_message_us(scenario: &Scenario, recording: &Recording, config: &Config, silence: Silence) -> Option<i64> {
    let on_its_channel =
        |name: &str| scenario.clients.iter().any(|client| client.name == name && client.channel == config.channel);
    let published = recording.records.iter().filter(|record| {
        matches!(record.what, What::Op(Op::Publish { outcome: Outcome::Ok, .. }))
            && on_its_channel(recording.names.node(record.node))
    });
    published
        .map(|record| recording.micros(record.time))
        .filter(|at| (silence.from_us..silence.to_us).contains(at))
        .min()
}

/// The clients that were silent for longer than a failover takes for reasons of their own: their places, and why.
fn silent(scenario: &Scenario, recording: &Recording) -> Vec<(usize, Silence, String)> {
    let usual = usual_us(scenario);
    let mut found: Vec<(usize, Silence, String)> = Vec::new();
    let lone = |config: &&(usize, &Config)| config.1.connections == 1 && config.1.requests.is_none();
    for (place, config) in scenario.clients.iter().enumerate().collect::<Vec<_>>().iter().filter(lone) {
        let silence = Silence::of(recording, &config.name);
        let is_paced = config.every.0 / 1_000 * 4 < usual as u64;
        let counts = match config.kind {
            Kind::Subscribe => first_message_us(scenario, recording, config, silence)
                .is_some_and(|first| silence.to_us - first > usual),
            _ => is_paced,
        };
        if silence.span_us() > usual && counts {
            found.extend(reason(config, silence, usual).map(|why| (*place, silence, why)));
        }
    }
    found.sort_by_key(|(place, silence, _)| (-silence.span_us(), *place));
    found.truncate(TOLD);
    found
}

/// Hints for the summary of a run: clients whose own manner kept them out.
pub fn hints(scenario: &Scenario, recording: &Recording) -> Vec<String> {
    let told = silent(scenario, recording);
    told.into_iter()
        .map(|(place, silence, why)| {
            let config = &scenario.clients[place];
            let until = if silence.ended { "" } else { ", to the end of the run" };
            format!("{} ({}) was out for {}{until}: {why}.", config.name, config.library, seconds(silence.span_us()))
        })
        .collect()
}

/// Steps that say why clients were silent and, by running it again, which of their settings would have changed that.
pub(super) fn steps(scenario: &Scenario, seed: u64, recording: &Recording) -> Vec<Step> {
    let told = silent(scenario, recording);
    told.into_iter()
        .map(|(place, silence, why)| {
            let config = &scenario.clients[place];
            let span = seconds(silence.span_us());
            let text = format!("was out for {span}: {why}");
            let mut better: Vec<(i64, &str)> = Vec::new();
            for (what, changed) in changes(config) {
                let mut other = scenario.clone();
                other.clients[place] = changed;
                let mut world = World::new(Arc::new(other), seed, Keep { records: true, trace: false });
                world.run();
                let then = Silence::of(&world.finish().recording, &config.name).span_us();
                if then < silence.span_us() - silence.span_us() / FIFTH {
                    better.push((then, what));
                }
            }
            // Of those that help alike, the simplest, which comes first.
            better.sort_by_key(|(then, _)| then / 1_000_000);
            let rule = match better.first() {
                Some((then, what)) => format!("with {what} it would have been {} in this run", seconds(*then)),
                None => "no setting of the client alone would have shortened it by much in this run".into(),
            };
            Step::new(silence.from_us, &config.name, text).rule(rule)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(client: &str) -> (Arc<Scenario>, crate::Run) {
        let text = format!(
            "duration = '40s'\nphase = '0s'\n[[client]]\nname = 'p'\nkind = 'publish'\n[[client]]\nname = 'a'\n{client}\n\
             [[fault]]\nat = '1s'\naction = 'power-off'\nnode = 'redis-1'\n"
        );
        let scenario = Arc::new(Scenario::parse("a.toml", &text).expect("a right file"));
        let run = crate::run(&scenario, 1);
        (scenario, run)
    }

    #[test]
    fn who_waits_without_a_limit_is_told() {
        let (scenario, run) = run("kind = 'set'\nlibrary = 'hiredis'");
        let hints = hints(&scenario, &run.result.recording);
        assert_eq!(hints.len(), 1, "{hints:?}");
        assert!(hints[0].starts_with("a (hiredis) was out for 39"), "{hints:?}");
        assert!(hints[0].contains("no command time limit: waited 39"), "{hints:?}");
        let steps = steps(&scenario, 1, &run.result.recording);
        let rule = steps[0].rule.as_deref().expect("a rule");
        assert!(rule.starts_with("with command-timeout"), "{rule}");
    }

    #[test]
    fn a_subscriber_that_listens_for_ever_is_told() {
        let (scenario, run) = run("kind = 'subscribe'\nlibrary = 'go-redis-v9'");
        let hints = hints(&scenario, &run.result.recording);
        assert!(hints[0].contains("awaits no answer"), "{hints:?}");
        let steps = steps(&scenario, 1, &run.result.recording);
        assert!(steps[0].rule.as_deref().expect("a rule").contains("ping-after"), "{steps:?}");
    }

    #[test]
    fn where_nobody_speaks_silence_is_no_outage() {
        let (scenario, run) = run("kind = 'subscribe'\nlibrary = 'go-redis-v9'\nchannel = 'other'");
        assert_eq!(hints(&scenario, &run.result.recording), Vec::<String>::new());
    }

    #[test]
    fn clients_with_limits_are_not_told_of() {
        let (scenario, run) = run("kind = 'set'");
        assert_eq!(hints(&scenario, &run.result.recording), Vec::<String>::new());
    }
}
