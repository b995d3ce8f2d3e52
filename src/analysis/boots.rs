//! As what each process of Redis began: as a master or as a replica.
//!
//! What a node was at first says nothing about what it is after a restart: with a configuration file it comes back as
//! what Sentinel made of it. Its log tells. A replica says `Connecting to MASTER` in the first pass of `serverCron`
//! after `Ready to accept connections` (`replicationCron` runs in the first one, server.c), and a master never does
//! unless it is told REPLICAOF, which is a line of its own. Real recordings carry no mark of the role (the letter before
//! the time of a line) and have the lines of one millisecond out of order; both arms are read by the same rule.

use std::collections::BTreeMap;

use super::masters::first_master;
use crate::record::{Event, Recording, RedisEvent, What};
use crate::wire::{NodeId, Role};

/// REPLICAOF connects first and says afterwards that it was told to (`replicaofCommand` in replication.c): within so
/// long, both lines being stamped with whole milliseconds.
pub(super) const ORDERED_US: i64 = 2_000;

/// What a line says about its node's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// A process begins to serve.
    Ready,
    /// A replica connects to its master.
    Connects,
    /// REPLICAOF with an address.
    Follows,
    /// REPLICAOF NO ONE, which only a replica logs.
    Leads,
}

/// The roles with which the Redis processes of a recording began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boots {
    by_ready: BTreeMap<(NodeId, i64), Role>,
    first: BTreeMap<NodeId, Role>,
}

impl Boots {
    /// Reads them.
    pub(crate) fn of(recording: &Recording) -> Boots {
        let mut lines: BTreeMap<NodeId, Vec<(i64, Said)>> = BTreeMap::new();
        for record in &recording.records {
            let What::Event(Event::Redis(event)) = &record.what else { continue };
            let said = match event {
                RedisEvent::Ready => Said::Ready,
                RedisEvent::ConnectingToMaster(_) => Said::Connects,
                event if event.follows().is_some() => Said::Follows,
                event if event.leads() => Said::Leads,
                _ => continue,
            };
            lines.entry(record.node).or_default().push((recording.micros(record.time), said));
        }
        let mut boots = Boots::default();
        for (node, lines) in lines {
            for (at, _) in lines.iter().filter(|(_, said)| *said == Said::Ready) {
                let role = role_from(&lines, *at).unwrap_or(Role::Master);
                boots.by_ready.insert((node, *at), role);
            }
            // A recording that begins in the midst of a life tells less.
            let first = match lines.first() {
                Some((at, Said::Ready)) => boots.by_ready.get(&(node, *at)).copied(),
                Some((at, Said::Connects)) => role_from(&lines, *at),
                Some((_, Said::Leads)) => Some(Role::Slave),
                Some((_, Said::Follows)) | None => None,
            };
            boots.first.extend(first.map(|role| (node, role)));
        }
        let first_master = first_master(recording);
        for name in &recording.header.redis {
            let role = if name == first_master { Role::Master } else { Role::Slave };
            boots.first.extend(
                recording.names.find_node(name).filter(|node| !boots.first.contains_key(node)).map(|node| (node, role)),
            );
        }
        boots
    }

    /// The role with which the process began that said at an instant that it is ready.
    pub(crate) fn at(&self, node: NodeId, ready_us: i64) -> Role {
        self.by_ready.get(&(node, ready_us)).copied().unwrap_or(Role::Master)
    }

    /// The role of a node at the beginning of the recording: what it says; if it says nothing, the first node is the
    /// master.
    pub(crate) fn first(&self, node: NodeId) -> Role {
        self.first.get(&node).copied().unwrap_or(Role::Slave)
    }
}

/// The role of a process that lives at `since`, by what it says from then until the next process; none if it says
/// nothing.
fn role_from(lines: &[(i64, Said)], since: i64) -> Option<Role> {
    let life = || {
        let later = lines.iter().filter(move |(at, _)| *at >= since);
        later
            .take_while(move |(at, said)| *said != Said::Ready || *at == since)
            .filter(|(_, said)| *said != Said::Ready)
    };
    let (at, said) = life().next()?;
    Some(match said {
        Said::Follows => Role::Master,
        Said::Leads => Role::Slave,
        _ if life().any(|(told, said)| *said == Said::Follows && told - at <= ORDERED_US) => Role::Master,
        _ => Role::Slave,
    })
}

/// Whether a line is that of a process that crashes (`sigsegvHandler` in debug.c): it does nothing any more.
pub(crate) fn is_crash(event: &Event) -> bool {
    matches!(event, Event::Text(text) if text.starts_with("Redis ") && text.contains(" crashed by signal: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    #[test]
    fn a_replica_connects_and_a_master_does_not() {
        use Said::{Connects, Follows, Leads, Ready};
        let booted = |lines: &[(i64, Said)]| {
            let at = lines.iter().find(|(_, said)| *said == Ready).expect("it boots").0;
            role_from(lines, at)
        };
        assert_eq!(booted(&[(0, Ready), (2 * MS, Connects)]), Some(Role::Slave));
        // The lines of one millisecond are in the order of the alphabet.
        assert_eq!(booted(&[(0, Connects), (0, Ready)]), Some(Role::Slave));
        assert_eq!(booted(&[(0, Ready)]), None);
        assert_eq!(booted(&[(0, Ready), (9 * MS, Ready), (10 * MS, Connects)]), None);
        assert_eq!(booted(&[(0, Ready), (7_000 * MS, Connects), (7_000 * MS, Follows)]), Some(Role::Master));
        assert_eq!(
            booted(&[(0, Ready), (MS, Connects), (7_000 * MS, Connects), (7_000 * MS, Follows)]),
            Some(Role::Slave)
        );
        assert_eq!(booted(&[(0, Ready), (MS, Leads)]), Some(Role::Slave));
    }
}
