//! Who lives at which address, from what the programs say of each other.

use std::collections::{BTreeMap, BTreeSet};

/// A line with its moment, by source.
pub(super) struct Line<'a> {
    pub label: &'a str,
    pub at_us: i64,
    pub text: &'a str,
}

/// Two lines about the same moment lie no farther apart.
pub(super) const TOGETHER_US: i64 = 100_000;

/// An address as the programs write it, `10.0.0.2` or a host's name, and the source that lives there.
pub(super) fn addresses(
    lines: &[Line<'_>],
    redis: &BTreeSet<&str>,
    sentinels: &BTreeSet<&str>,
) -> BTreeMap<String, String> {
    let mut votes: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut vote = |addr: &str, label: &str| *votes.entry((addr.to_owned(), label.to_owned())).or_default() += 1;
    // A Sentinel says its own id, and others say where it lives.
    let ids: BTreeMap<&str, &str> =
        lines.iter().filter_map(|line| Some((line.text.strip_prefix("Sentinel ID is ")?.trim(), line.label))).collect();
    for line in lines {
        let words: Vec<&str> = line.text.split(' ').collect();
        for about in words.windows(3) {
            if let ("sentinel", Some(label)) = (about[0], ids.get(about[1])) {
                vote(about[2], label);
            }
        }
    }
    // A replica connects, and its master says who came; a replica is told to be a master, and its Sentinel says whom it told.
    let said = |starts: &'static [&'static str]| {
        lines.iter().filter(move |line| starts.iter().any(|start| line.text.starts_with(start)))
    };
    let pairs: [(&[&str], &[&str]); 3] = [
        (&["Trying a partial resynchronization", "Partial resynchronization not possible"], &["Replica ", "Slave "]),
        (&["MASTER MODE enabled"], &["+failover-state-wait-promotion"]),
        (&["Before turning into a replica"], &["+convert-to-slave", "+slave-reconf-sent"]),
    ];
    for (own, others) in pairs {
        for here in said(own).filter(|line| redis.contains(line.label)) {
            for there in said(others).filter(|there| there.label != here.label) {
                if (here.at_us - there.at_us).abs() <= TOGETHER_US
                    && let Some(addr) = first_address(there.text)
                {
                    vote(addr, here.label);
                }
            }
        }
    }
    // Who loses its replicas or masters nobody names: the master is the one that all others name and that has no name yet.
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut by_votes: Vec<(&(String, String), &usize)> = votes.iter().collect();
    by_votes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for ((addr, label), _) in by_votes {
        if !found.contains_key(addr) && !found.values().any(|known| known == label) {
            found.insert(addr.clone(), label.clone());
        }
    }
    let named: BTreeSet<&str> = lines.iter().filter_map(|line| redis_address(line.text)).collect();
    let open: Vec<&str> = named.into_iter().filter(|addr| !found.contains_key(*addr)).collect();
    let homeless: Vec<&str> =
        redis.iter().copied().filter(|label| !found.values().any(|known| known == label)).collect();
    if let ([addr], [label]) = (&open[..], &homeless[..]) {
        found.insert((*addr).to_owned(), (*label).to_owned());
    }
    let named: BTreeSet<&str> = lines.iter().filter_map(|line| sentinel_address(line.text)).collect();
    let open: Vec<&str> = named.into_iter().filter(|addr| !found.contains_key(*addr)).collect();
    let homeless: Vec<&str> =
        sentinels.iter().copied().filter(|label| !found.values().any(|known| known == label)).collect();
    if let ([addr], [label]) = (&open[..], &homeless[..]) {
        found.insert((*addr).to_owned(), (*label).to_owned());
    }
    found
}

/// `… slave 10.0.0.3:6379 10.0.0.3 6379 @ …` and `Replica 10.0.0.3:6379 asks …`: the address of whom it is about.
fn first_address(text: &str) -> Option<&str> {
    text.split(' ').find_map(|word| {
        let (host, port) = word.rsplit_once(':')?;
        port.parse::<u16>().ok().map(|_| host)
    })
}

/// The address of a Sentinel in a line of another.
fn sentinel_address(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["+sentinel", "sentinel", _, host, ..] => Some(host),
        _ => None,
    }
}

/// The address of a Redis server in a line of a Sentinel or a replica.
fn redis_address(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["+monitor", "master", _, host, ..] => Some(host),
        ["+slave" | "+promoted-slave" | "+selected-slave", "slave", _, host, ..] => Some(host),
        _ => None,
    }
}
