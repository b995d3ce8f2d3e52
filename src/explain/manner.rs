//! What a client's library does, in words: read from its row, never from its name.

use crate::client::Config;
use crate::client::habits::Habits;
use crate::kernel::Span;

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
