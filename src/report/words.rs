//! Words that pictures and texts share.

use std::collections::BTreeMap;

use super::lanes::{Opinion, RedisState, ServerState};
use crate::analysis::phases::{Ending, Failover};
use crate::record::visible;

/// How an attempt at a failover ended, in words.
pub(super) fn ending_words(failover: &Failover) -> String {
    match &failover.ending {
        Ending::Unfinished if failover.confirmed() && !failover.took_effect() => "announced to nobody".into(),
        Ending::Completed => "completed".into(),
        Ending::Aborted(why) => format!("given up: {why}"),
        Ending::Superseded => "another Sentinel's configuration came first".into(),
        Ending::Unfinished => "unfinished".into(),
    }
}

/// `reply-timeout × 3, connect-refused × 2`
pub(super) fn counts(by: &BTreeMap<&'static str, u64>) -> String {
    let parts: Vec<String> = by.iter().map(|(word, n)| format!("{word} × {n}")).collect();
    parts.join(", ")
}

/// The word for a Redis node's state.
pub(super) const fn redis_word(state: RedisState) -> &'static str {
    match state {
        RedisState::Master => "master",
        RedisState::Replica => "replica",
        RedisState::LinkDown => "link down",
        RedisState::Loading => "loading",
        RedisState::Paused => "paused",
        RedisState::Dead => "not running",
    }
}

/// The word for a Sentinel's opinion.
pub(super) const fn opinion_word(state: Opinion) -> &'static str {
    match state {
        Opinion::Fine => "master ok",
        Opinion::Sdown => "sdown",
        Opinion::Odown => "odown",
        Opinion::Leads => "leads a failover",
        Opinion::Tilt => "TILT",
        Opinion::Paused => "paused",
        Opinion::Dead => "not running",
    }
}

/// The word for a server's state at HAProxy.
pub(super) const fn server_word(state: ServerState) -> &'static str {
    match state {
        ServerState::Up => "UP",
        ServerState::Down => "DOWN",
        ServerState::Paused => "paused",
        ServerState::Dead => "not running",
    }
}

/// Text for SVG and HTML; what a reader would obey, or XML forbids, is written out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
