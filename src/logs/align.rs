//! Clocks that differ, aligned by what the programs say of each other.
//!
//! An election is in the log of every Sentinel that takes part: the vote of one epoch is given within milliseconds. So the
//! clocks of two Sentinels differ by what lies between their lines of the same vote. A Redis server is told by the leader
//! to be a master, or by a Sentinel to follow another, and says so at once.

use std::collections::{BTreeMap, BTreeSet};

use super::who::{Line, TOGETHER_US};

/// A difference of this size is a clock's; less is a message's way, or a busy machine's.
const CLOCK_US: i64 = 500_000;

/// So many moments of a source are compared, its last ones: logs can be of months.
const MOMENTS_MAX: usize = 400;

/// What happens at one moment in the logs of all Sentinels and has a name of its own.
fn election(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["+vote-for-leader", id, epoch, ..] => Some(format!("vote {id} {epoch}")),
        ["+new-epoch", epoch] => Some(format!("epoch {epoch}")),
        _ => None,
    }
}

/// What a Redis server says and another program says of it, at the same moment. Such things happen again and again, and
/// only their order and their distances tell which belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meeting {
    Promotion,
    Demotion,
    Synchronisation,
}

/// A meeting, and whether the line is that of the server itself.
fn meeting(text: &str) -> Option<(Meeting, bool)> {
    const LINES: [(&str, Meeting, bool); 8] = [
        ("MASTER MODE enabled", Meeting::Promotion, true),
        ("+failover-state-wait-promotion", Meeting::Promotion, false),
        ("Before turning into a replica", Meeting::Demotion, true),
        ("+convert-to-slave", Meeting::Demotion, false),
        ("Trying a partial resynchronization", Meeting::Synchronisation, true),
        ("Partial resynchronization not possible", Meeting::Synchronisation, true),
        ("Replica ", Meeting::Synchronisation, false),
        ("Slave ", Meeting::Synchronisation, false),
    ];
    LINES.iter().find(|(start, ..)| text.starts_with(start)).map(|(_, what, own)| (*what, *own))
}

/// How far the clock of each source is ahead of that of the first one, in microseconds, where it differs; and by how many
/// moments that is known.
pub(super) fn clocks(lines: &[Line<'_>]) -> BTreeMap<String, (i64, usize)> {
    let mut known = of_sentinels(lines);
    // A server's clock is held against those that are known: first Sentinels', then servers' whose clock was found.
    let servers: BTreeSet<&str> = lines
        .iter()
        .filter(|line| meeting(line.text).is_some_and(|(_, own)| own) && !known.contains_key(line.label))
        .map(|line| line.label)
        .collect();
    if known.is_empty() {
        let Some(first) = servers.first() else { return BTreeMap::new() };
        known.insert(first, (0, 0));
    }
    loop {
        let open = servers.iter().filter(|label| !known.contains_key(*label));
        let found = open.filter_map(|label| Some((*label, ahead(label, lines, &known)?)));
        let Some((label, found)) = found.max_by_key(|(_, (offset, moments))| (*moments, -offset.abs())) else { break };
        known.insert(label, found);
    }
    let wrong = known.into_iter().filter(|(_, (offset, _))| *offset != 0);
    wrong.map(|(label, found)| (label.to_owned(), found)).collect()
}

/// The clocks of those who took part in elections.
fn of_sentinels<'a>(lines: &[Line<'a>]) -> BTreeMap<&'a str, (i64, usize)> {
    let mut seen: BTreeMap<String, BTreeMap<&str, i64>> = BTreeMap::new();
    for line in lines {
        if let Some(name) = election(line.text) {
            seen.entry(name).or_default().entry(line.label).or_insert(line.at_us);
        }
    }
    // The clock that others are held against is that of whoever shares most moments.
    let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
    for at in seen.values().filter(|at| at.len() > 1) {
        at.keys().for_each(|label| *shared.entry(label).or_default() += 1);
    }
    let most = shared.iter().max_by_key(|(label, count)| (**count, std::cmp::Reverse(**label)));
    let Some(first) = most.map(|(label, _)| *label) else { return BTreeMap::new() };
    let mut known: BTreeMap<&str, (i64, usize)> = BTreeMap::from([(first, (0, 0))]);
    // Who shares a moment with somebody whose clock is known.
    loop {
        let mut differences: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for at in seen.values() {
            let Some((offset, base)) = at.iter().find_map(|(label, at)| Some((known.get(label)?.0, *at))) else {
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
        known.insert(label, (offset, values.len()));
    }
    known
}

/// How far a server's clock is ahead: by that much most of its meetings fall together with what others say of such. A
/// clock that is right for half as many is right: clocks seldom are wrong, and meetings look alike.
fn ahead(label: &str, lines: &[Line<'_>], known: &BTreeMap<&str, (i64, usize)>) -> Option<(i64, usize)> {
    let last = |wanted: bool, by: &dyn Fn(&Line<'_>) -> Option<i64>| -> Vec<(Meeting, i64)> {
        let lines = lines.iter().rev();
        let found = lines.filter_map(|line| {
            let (what, own) = meeting(line.text)?;
            Some((what, by(line)?)).filter(|_| own == wanted)
        });
        found.take(MOMENTS_MAX).collect()
    };
    let own = last(true, &|line| (line.label == label).then_some(line.at_us));
    let others = last(false, &|line| {
        let (offset, _) = known.get(line.label).filter(|_| line.label != label)?;
        Some(line.at_us - offset)
    });
    let together = |offset: i64| {
        let met = |(what, at): &&(Meeting, i64)| {
            others.iter().any(|(other, there)| other == what && (at - offset - there).abs() <= TOGETHER_US)
        };
        own.iter().filter(met).count()
    };
    let offsets = own
        .iter()
        .flat_map(|(what, at)| others.iter().filter(move |(other, _)| other == what).map(move |(_, there)| at - there));
    let mut offsets: Vec<i64> = offsets.collect();
    // Of many that are nearly the same one will do.
    offsets.sort_unstable();
    offsets.dedup_by_key(|offset| offset.div_euclid(TOGETHER_US / 2));
    let scored = offsets.into_iter().map(|offset| (together(offset), offset)).filter(|(met, _)| *met > 0);
    let (small, large): (Vec<_>, Vec<_>) = scored.partition(|(_, offset)| offset.abs() < CLOCK_US);
    let best = |found: Vec<(usize, i64)>| found.into_iter().max_by_key(|(met, offset)| (*met, -offset.abs()));
    match (best(small), best(large)) {
        (Some((met, _)), Some((most, _))) if met * 2 >= most => Some((0, met)),
        (_, Some((met, offset))) => Some((offset, met)),
        (Some((met, _)), None) => Some((0, met)),
        (None, None) => None,
    }
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

    #[test]
    fn of_several_failovers_each_promotion_meets_its_own() {
        let line = |label, at_us, text| Line { label, at_us, text };
        let told = "+failover-state-wait-promotion slave x";
        let promoted = "MASTER MODE enabled (user request)";
        // r3 is promoted first, r1 a minute later, r3 again after another.
        let lines = |ahead: i64| {
            [
                line("s1", 1_000_000, "+vote-for-leader aa 1"),
                line("s2", 1_002_000, "+vote-for-leader aa 1"),
                line("s1", 1_100_000, told),
                line("r3", 1_100_400, promoted),
                line("s2", 61_100_000, told),
                line("r1", 61_100_400 + ahead, promoted),
                line("r1", 100_000_000 + ahead, "Before turning into a replica, using my own master parameters"),
                line("s1", 99_999_000, "+convert-to-slave slave y"),
                line("s2", 121_100_000, told),
                line("r3", 121_100_400, promoted),
            ]
        };
        assert!(clocks(&lines(0)).is_empty(), "{:?}", clocks(&lines(0)));
        let found = clocks(&lines(7_200_000_000));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["r1"]);
        let (offset, moments) = found["r1"];
        assert!((offset - 7_200_000_000).abs() < 2_000 && moments == 2, "{found:?}");
    }
}
