//! Why a connection through HAProxy ended, as far as a recording tells.
//!
//! Programs that close a connection mostly say what they were doing: they die, a node is demoted and Sentinel kills its
//! clients, HAProxy marks a server down, Redis names the class of a client whose output buffer overflowed. HAProxy's
//! idle timeouts (`timeout client`, `timeout server`, `timeout tunnel`) say nothing: they are what is left when a quiet
//! connection ends and nobody had a reason.

use super::fate::Ending;
use crate::record::{Event, HaproxyEvent, Recording, RedisEvent, What};

/// A reason reaches the client within this time: a close and its way through HAProxy, with room for a busy host.
const REACHES_US: i64 = 1_000_000;
/// A time limit shorter than this is not believed to be an idle timeout.
const SHORTEST_IDLE_US: i64 = 300_000;

/// All that ends connections, in order of time: when, at which node (empty: at any), and whether it is an output limit.
pub(super) struct Endings {
    reasons: Vec<(i64, String, bool)>,
    has_proxy: bool,
}

impl Endings {
    /// The reasons that a recording names.
    pub(super) fn of(recording: &Recording) -> Endings {
        let mut reasons: Vec<(i64, String, bool)> = Vec::new();
        for fault in super::faults(recording) {
            // What hits the network or HAProxy may end any connection.
            let anywhere = fault.nodes().count() == 0
                || fault.nodes().any(|name| !recording.header.redis.iter().any(|node| node == name))
                || ["partition", "cut", "degrade", "heal"].contains(&fault.action.as_str());
            if anywhere {
                reasons.push((fault.at_us, String::new(), false));
            } else if !["pause", "stall"].contains(&fault.action.as_str()) {
                // A paused node closes nothing.
                reasons.extend(fault.nodes().map(|name| (fault.at_us, name.to_string(), false)));
            }
        }
        for record in &recording.records {
            let at = recording.micros(record.time);
            let node = || recording.names.node(record.node).to_string();
            match &record.what {
                What::Event(Event::Redis(RedisEvent::OutputLimit(class))) if *class == "pubsub" => {
                    reasons.push((at, node(), true));
                }
                What::Event(Event::Redis(
                    RedisEvent::ReplicaOf(_)
                    | RedisEvent::Exiting
                    | RedisEvent::ShutdownRequested
                    | RedisEvent::Ready
                    | RedisEvent::MasterModeEnabled,
                )) => reasons.push((at, node(), false)),
                // `on-marked-up shutdown-backup-sessions` ends sessions of the others.
                What::Event(Event::Haproxy(HaproxyEvent::Server { server, up, .. })) => {
                    let whose = if *up { String::new() } else { recording.names.host(*server).to_string() };
                    reasons.push((at, whose, false));
                }
                _ => {}
            }
        }
        reasons.sort_by_key(|(at, ..)| *at);
        Endings { reasons, has_proxy: recording.names.find_node("haproxy").is_some() }
    }

    /// Why a connection to `server` that was quiet from `last` on ended, which its client found between `from` and `found`:
    /// it may have ended earlier, if the client did not look.
    pub(super) fn why(&self, last: i64, from: i64, found: i64, server: Option<&str>) -> Ending {
        let here = |name: &str| name.is_empty() || server.is_none_or(|server| server == name);
        let near = |since: i64| {
            let begin = self.reasons.partition_point(|(at, ..)| *at < since);
            let end = self.reasons.partition_point(|(at, ..)| *at <= found);
            self.reasons[begin.min(end)..end].iter().filter(|(_, name, _)| here(name))
        };
        if near(found - REACHES_US).any(|(.., limit)| *limit) {
            return Ending::OutputLimit;
        }
        // An attempt that fails at once finds an end that came any time since the last reply.
        let at_once = found - from < SHORTEST_IDLE_US;
        let since = if at_once { last.min(found - REACHES_US) } else { found - REACHES_US };
        let quiet = found - last >= SHORTEST_IDLE_US;
        if self.has_proxy && quiet && near(since).next().is_none() { Ending::Idle } else { Ending::Explained }
    }
}
