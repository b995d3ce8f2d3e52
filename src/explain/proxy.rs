//! HAProxy's opinion of its servers at an instant, from its own notes.

use super::run::Traced;
use crate::kernel::Time;
use crate::program::Note;
use crate::record::CheckStatus;
use crate::wire::HostId;

/// A server as HAProxy sees it.
pub(super) struct ServerState {
    pub host: HostId,
    pub up: bool,
    pub backup: bool,
    pub words: String,
}

/// The status of a check in words.
pub(super) fn check_words(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::L7Ok => "said role:master",
        CheckStatus::L4Ok => "accepted the connection of the check",
        CheckStatus::L4Con => "refused the connection of the check",
        CheckStatus::L4Unreachable => "had no route",
        CheckStatus::L4Tout => "did not answer the connect of the check",
        CheckStatus::L7Tout(2) => "did not answer the check's PING",
        CheckStatus::L7Tout(4) => "did not say role:master",
        CheckStatus::L7Tout(_) => "did not answer the check",
        CheckStatus::L7Rsp(_) => "closed the connection of the check",
        CheckStatus::SockErr(_) => "reset the connection of the check",
    }
}

impl Traced {
    /// Every server as HAProxy saw it at an instant, in the order of its configuration. At its start all are UP.
    pub(super) fn server_states(&self, at: Time) -> Vec<ServerState> {
        let started = self.haproxy_started(at);
        let mut states = Vec::new();
        for (place, node) in self.layout.all_redis().enumerate() {
            let host = self.layout.host(node);
            let mut up = true;
            let mut last = None;
            let mut since = None;
            for noted in &self.result.notes {
                if noted.time > at {
                    break;
                }
                if let Note::Checked { server, status, was_up, is_up, .. } = noted.note
                    && server == host
                    && noted.time >= started
                {
                    (up, last) = (is_up, Some(status));
                    if was_up != is_up {
                        since = Some(noted.time);
                    }
                }
            }
            let backup = self.scenario.haproxy.backup && place > 0;
            let name = self.layout.names.host(host);
            let state = if up { "UP" } else { "DOWN" };
            let since = since.map_or(String::new(), |since| format!(" since {}", self.at(since)));
            let check = last.map_or("not checked yet".to_string(), |status| format!("it {}", check_words(status)));
            let mark = if backup { " (backup)" } else { "" };
            states.push(ServerState { host, up, backup, words: format!("{name}{mark} {state}{since}: {check}") });
        }
        states
    }

    fn haproxy_started(&self, at: Time) -> Time {
        let (Some(node), Some(journal)) = (self.layout.haproxy(), &self.result.journal) else { return Time::ZERO };
        let mut passes = journal.passes.iter().filter(|pass| pass.node == node && pass.began <= at);
        let last = passes.rfind(|pass| matches!(pass.input, crate::program::Input::Start));
        last.map_or(Time::ZERO, |pass| pass.began)
    }

    /// Why HAProxy gave a session to a server.
    pub(super) fn why_chosen(&self, host: HostId, at: Time) -> String {
        let states = self.server_states(at);
        let backup = states.iter().find(|state| state.host == host).is_some_and(|state| state.backup);
        let others = states.iter().filter(|state| state.up && state.backup == backup && state.host != host).count();
        match (backup, others) {
            (false, 0) => "it was the only active server that was UP".into(),
            (false, n) => format!("its turn among {} active servers that were UP", n + 1),
            (true, _) => "no active server was UP, and it was the first backup that was".into(),
        }
    }
}
