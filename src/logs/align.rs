//! Clocks that differ, aligned by what the programs say of each other.
//!
//! An election is in the log of every Sentinel that takes part: the vote of one epoch is given within milliseconds. So the
//! clocks of two Sentinels differ by what lies between their lines of the same vote. A Redis server is told by the leader
//! to be a master, or by a Sentinel to follow another, and says so at once.

use std::collections::BTreeMap;

use super::who::Line;

/// A difference of this size is a clock's; less is a message's way, or a busy machine's.
const CLOCK_US: i64 = 500_000;

/// What is known to happen at one moment in several logs: its name, if the line tells of such a thing.
fn moment(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["+vote-for-leader", id, epoch, ..] => Some(format!("vote {id} {epoch}")),
        ["+new-epoch", epoch] => Some(format!("epoch {epoch}")),
        ["+failover-state-wait-promotion", ..] | ["MASTER", "MODE", "enabled", ..] => Some("promotion".into()),
        _ => None,
    }
}

/// How far the clock of each source is ahead of that of the first one, in microseconds, where it differs; and by how many
/// moments that is known.
pub(super) fn clocks(lines: &[Line<'_>]) -> BTreeMap<String, (i64, usize)> {
    // Of a moment that comes several times the order counts.
    let mut seen: BTreeMap<(String, usize), BTreeMap<&str, i64>> = BTreeMap::new();
    let mut count: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for line in lines {
        let Some(name) = moment(line.text) else { continue };
        let nth = count.entry((name.clone(), line.label)).or_default();
        seen.entry((name, *nth)).or_default().entry(line.label).or_insert(line.at_us);
        *nth += 1;
    }
    let mut ahead: BTreeMap<String, (i64, usize)> = BTreeMap::new();
    // The clock that others are held against is that of whoever shares most moments.
    let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
    for at in seen.values().filter(|at| at.len() > 1) {
        at.keys().for_each(|label| *shared.entry(label).or_default() += 1);
    }
    let most = shared.iter().max_by_key(|(label, count)| (**count, std::cmp::Reverse(**label)));
    let Some(first) = most.map(|(label, _)| *label) else { return ahead };
    let mut known: BTreeMap<&str, i64> = BTreeMap::from([(first, 0)]);
    // Who shares a moment with somebody whose clock is known.
    loop {
        let mut differences: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for at in seen.values() {
            let Some((offset, base)) = at.iter().find_map(|(label, at)| Some((*known.get(label)?, *at))) else {
                continue;
            };
            for (label, at) in at.iter().filter(|(label, _)| !known.contains_key(*label)) {
                differences.entry(label).or_default().push(at - base + offset);
            }
        }
        let Some((label, mut values)) = differences.into_iter().max_by_key(|(_, values)| values.len()) else { break };
        values.sort_unstable();
        let median = values[values.len() / 2];
        let offset = if median.abs() < CLOCK_US { 0 } else { median };
        known.insert(label, offset);
        if offset != 0 {
            ahead.insert(label.to_owned(), (offset, values.len()));
        }
    }
    ahead
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_found_and_a_slow_message_is_none() {
        let line = |label, at_us, text| Line { label, at_us, text };
        let lines = [
            line("s1", 1_000_000, "+vote-for-leader aa 1"),
            line("s2", 4_002_000, "+vote-for-leader aa 1"),
            line("s3", 1_003_000, "+vote-for-leader aa 1"),
            line("s1", 1_100_000, "+failover-state-wait-promotion slave x"),
            line("r2", 61_100_400, "MASTER MODE enabled (user request)"),
        ];
        let found = clocks(&lines);
        assert_eq!(found.get("s2"), Some(&(3_002_000, 1)));
        assert_eq!(found.get("r2"), Some(&(60_000_400, 1)));
        assert_eq!(found.len(), 2);
        assert!(clocks(&[]).is_empty());
    }
}
