//! Replies as `redis-cli` shows them.

use super::{ErrorKind, Reply};

impl Reply {
    /// As `redis-cli` shows it; of what takes more than a line only what it is.
    pub fn shown(&self) -> String {
        match self {
            Reply::Ok => "OK".into(),
            Reply::Pong => "PONG".into(),
            Reply::Queued => "QUEUED".into(),
            Reply::Int(n) => format!("(integer) {n}"),
            Reply::Value(Some(value)) => format!("\"{value}\""),
            Reply::Value(None) => "(nil)".into(),
            Reply::Error(kind) => format!("-{}", text(*kind)),
            Reply::Info(_) => "(the text of INFO)".into(),
            Reply::Continue(_) => "CONTINUE".into(),
            Reply::FullResync(..) => "FULLRESYNC".into(),
            Reply::Role(_) | Reply::Exec | Reply::Subscribed(..) | Reply::Unsubscribed(..) | Reply::Sentinel(_) => {
                "(a list)".into()
            }
        }
    }
}

fn text(kind: ErrorKind) -> String {
    format!("{kind:?}").to_uppercase()
}
