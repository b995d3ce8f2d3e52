//! Times in which a client had no success.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{Op, Outcome, Recording, What};
use crate::wire::NodeId;

/// Gaps between successes that are listed even if no attempt failed in them.
const LISTED_US: i64 = 1_000_000;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// PUBLISH.
    Publish,
    /// SET.
    Set,
    /// GET.
    Get,
    /// Receiving messages.
    Receive,
}

impl Activity {
    /// The word in recordings and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Activity::Publish => "publish",
            Activity::Set => "set",
            Activity::Get => "get",
            Activity::Receive => "receive",
        }
    }
}

impl std::fmt::Display for Activity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A time without success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// The last success before it (the beginning of that attempt), or 0.
    pub from_us: i64,
    /// The first success after it, or the end of the recording.
    pub to_us: i64,
    /// Whether a success ended it.
    pub recovered: bool,
    /// Attempts that failed in it, by outcome.
    pub failed: BTreeMap<&'static str, u64>,
}

impl Outage {
    /// How long it lasted.
    pub fn lasted_us(&self) -> i64 {
        self.to_us - self.from_us
    }
}

/// The outages of one client's activity, from time 0 on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientOutages {
    /// The client.
    pub client: String,
    /// What it does.
    pub activity: Activity,
    /// Successes.
    pub successes: u64,
    /// The longest time without success; the end of the recording ends one.
    pub longest_us: i64,
    /// When that time began.
    pub longest_from_us: i64,
    /// Gaps between successes in which an attempt failed, or that are longer than 1 s.
    pub outages: Vec<Outage>,
}

impl ClientOutages {
    /// The longest of the outages that overlap a span of time.
    pub fn longest_within(&self, from_us: i64, to_us: i64) -> Option<&Outage> {
        let overlapping = self.outages.iter().filter(|outage| outage.from_us < to_us && outage.to_us > from_us);
        overlapping.max_by_key(|outage| (outage.lasted_us(), -outage.from_us))
    }
}

/// The outages of all clients, in the order of the clients.
pub fn outages(recording: &Recording) -> Vec<ClientOutages> {
    type Attempts = Vec<(i64, Outcome)>;
    let mut clients: BTreeMap<(NodeId, Activity), Attempts> = BTreeMap::new();
    for record in &recording.records {
        let at = recording.micros(record.time);
        let (activity, outcome) = match record.what {
            What::Op(Op::Publish { outcome, .. }) => (Activity::Publish, outcome),
            What::Op(Op::Set { outcome, .. }) => (Activity::Set, outcome),
            What::Op(Op::Get { outcome, .. }) => (Activity::Get, outcome),
            What::Op(Op::Receive { .. }) => (Activity::Receive, Outcome::Ok),
            _ => continue,
        };
        let attempts = clients.entry((record.node, activity)).or_default();
        if at >= 0 {
            attempts.push((at, outcome));
        }
    }
    let publishers = recording.publishers();
    let end = super::end_us(recording);
    let of = |((node, activity), attempts): ((NodeId, Activity), Attempts)| {
        let writes = activity == Activity::Set && publishers.contains(&node);
        let client = if writes { "writer" } else { recording.names.node(node) };
        client_outages(client.to_string(), activity, &attempts, end)
    };
    clients.into_iter().map(of).collect()
}

fn client_outages(client: String, activity: Activity, attempts: &[(i64, Outcome)], end: i64) -> ClientOutages {
    let mut done = ClientOutages { client, activity, successes: 0, longest_us: 0, longest_from_us: 0, outages: vec![] };
    let mut failed: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut last = 0;
    let mut close = |from_us: i64, to_us: i64, recovered, failed: &mut BTreeMap<&'static str, u64>| {
        if to_us - from_us > done.longest_us {
            (done.longest_us, done.longest_from_us) = (to_us - from_us, from_us);
        }
        done.successes += u64::from(recovered);
        let failed = std::mem::take(failed);
        if !failed.is_empty() || to_us - from_us >= LISTED_US {
            done.outages.push(Outage { from_us, to_us, recovered, failed });
        }
    };
    for (at, outcome) in attempts {
        if *outcome == Outcome::Ok {
            close(last, *at, true, &mut failed);
            last = *at;
        } else {
            *failed.entry(outcome.as_str()).or_default() += 1;
        }
    }
    close(last, end.max(last), false, &mut failed);
    done
}
