//! Messages on their way from program to program, as a traced run shows them.

#[cfg(feature = "charts")]
use std::collections::BTreeMap;

use serde::Serialize;
#[cfg(feature = "charts")]
use serde_json::{Value, json};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A question whether the master is down, a vote.
    Election,
    /// What a Sentinel orders a Redis server to do: REPLICAOF and what goes with it.
    Order,
    /// PING of a Sentinel.
    Ping,
    /// INFO of a Sentinel.
    Info,
    /// A hello of a Sentinel, published or heard.
    Hello,
    /// Between a replica and its master.
    Replication,
    /// A health check of HAProxy.
    Probe,
    /// A client's command, its reply, or a published message.
    Client,
}

impl Family {
    /// All of them; the first are those that a failover is made of.
    pub const ALL: [Family; 8] = [
        Family::Election,
        Family::Order,
        Family::Ping,
        Family::Info,
        Family::Hello,
        Family::Replication,
        Family::Probe,
        Family::Client,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Family::Election => "election",
            Family::Order => "orders",
            Family::Ping => "ping",
            Family::Info => "info",
            Family::Hello => "hello",
            Family::Replication => "replication",
            Family::Probe => "probes",
            Family::Client => "clients",
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// It was read: when, in microseconds since time 0.
    Read(i64),
    /// A fault of the script drops its packets.
    Cut,
    /// The other host, or its program, is gone.
    Gone,
    /// Nobody read it before the end, and nothing was in its way when it was sent.
    Unread,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    /// When it was written, in microseconds since time 0.
    pub sent_us: i64,
    /// Who wrote it.
    pub from: String,
    /// Who was to read it.
    pub to: String,
    /// What it is about.
    pub family: Family,
    /// Whether it answers another.
    pub reply: bool,
    /// What it says.
    pub text: String,
    /// What became of it.
    pub arrival: Arrival,
}

impl Flight {
    /// When it was read, if it was.
    pub fn read_us(&self) -> Option<i64> {
        match self.arrival {
            Arrival::Read(at) => Some(at),
            _ => None,
        }
    }
}

/// What takes longer waits for something: a cut, a host that hangs.
const PROMPT_US: i64 = 200_000;

impl Flight {
    /// Whether it arrives at once.
    pub fn is_prompt(&self) -> bool {
        self.read_us().is_some_and(|read| read - self.sent_us < PROMPT_US)
    }
}

/// A report keeps so many; of more, whole families are left out.
pub(crate) const MOST: usize = 60_000;

/// The flights that a report keeps, and the families that it leaves out because they would be too many.
pub(crate) fn kept(flights: &[Flight], from_us: i64) -> (Vec<&Flight>, Vec<Family>) {
    let shown: Vec<&Flight> = flights.iter().filter(|flight| flight.sent_us >= from_us).collect();
    let mut left: Vec<Family> = Vec::new();
    for family in [Family::Client, Family::Replication, Family::Probe, Family::Ping, Family::Info, Family::Hello] {
        if shown.iter().filter(|flight| !left.contains(&flight.family)).count() <= MOST {
            break;
        }
        left.push(family);
    }
    (shown.into_iter().filter(|flight| !left.contains(&flight.family)).take(MOST).collect(), left)
}

/// As columns: `t` when (differences), `d` how long it flew (-1: never read), `f` and `o` who and to whom (places among
/// `nodes`), `k` the family, `r` whether it is a reply, `e` what became of it, `x` the place of its words among `texts`.
#[cfg(feature = "charts")]
pub(crate) fn columns(flights: &[&Flight], left: &[Family], nodes: &[&str]) -> Value {
    let place = |name: &str| nodes.iter().position(|node| *node == name).map_or(-1, |place| place as i64);
    let mut texts: Vec<&str> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last = 0;
    let (mut t, mut d, mut f, mut o) = (vec![], vec![], vec![], vec![]);
    let (mut k, mut r, mut e, mut x) = (vec![], vec![], vec![], vec![]);
    for flight in flights {
        t.push(flight.sent_us - std::mem::replace(&mut last, flight.sent_us));
        d.push(flight.read_us().map_or(-1, |read| read - flight.sent_us));
        f.push(place(&flight.from));
        o.push(place(&flight.to));
        k.push(flight.family as i64);
        r.push(i64::from(flight.reply));
        e.push(match flight.arrival {
            Arrival::Read(_) => 0,
            Arrival::Cut => 1,
            Arrival::Gone => 2,
            Arrival::Unread => 3,
        });
        let next = texts.len();
        let number = *known.entry(&flight.text).or_insert(next);
        if number == next {
            texts.push(&flight.text);
        }
        x.push(number as i64);
    }
    json!({
        "t": t, "d": d, "f": f, "o": o, "x": x, "k": super::html::column(k), "r": super::html::column(r),
        "e": super::html::column(e), "texts": texts, "nodes": nodes,
        "families": Family::ALL.map(Family::as_str),
        "left": left.iter().map(|family| family.as_str()).collect::<Vec<_>>(),
    })
}
