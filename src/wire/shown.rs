//! Replies as `redis-cli` shows them.

use super::{Reply, SentinelReply};

impl Reply {
    /// As `redis-cli` shows it; of what takes more than a line only what it is.
    pub fn shown(&self) -> String {
        match self {
            Reply::Ok => "OK".into(),
            Reply::Pong => "PONG".into(),
            Reply::Queued => "QUEUED".into(),
            Reply::SavingStarted => "Background saving started".into(),
            Reply::RewritingStarted => "Background append only file rewriting started".into(),
            Reply::RewritingScheduled => "Background append only file rewriting scheduled".into(),
            Reply::Int(n) => format!("(integer) {n}"),
            Reply::Value(Some(value)) => format!("\"{value}\""),
            Reply::Value(None) => "(nil)".into(),
            Reply::Error(kind) => format!("-{}", kind.text()),
            Reply::Info(_) => "(the text of INFO)".into(),
            Reply::Continue(_) => "CONTINUE".into(),
            Reply::FullResync(..) => "FULLRESYNC".into(),
            Reply::RdbChannelSync(_) => "RDBCHANNELSYNC".into(),
            Reply::Sentinel(reply) => match **reply {
                SentinelReply::Quorum(usable) => {
                    format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached")
                }
                SentinelReply::MasterAddr(None) => "(nil)".into(),
                _ => "(a list)".into(),
            },
            Reply::Role(_) | Reply::Exec | Reply::Subscribed(..) | Reply::Unsubscribed(..) => "(a list)".into(),
        }
    }
}
