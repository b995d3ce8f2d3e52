//! What a client with many connections counts: too much goes over them to record each attempt.
//!
//! Attempts are counted by the tenth of a second in which they began and by how they ended. SEQs are given out in order,
//! so that those of a tenth of a second are consecutive, and which of them ended how fits into [`Ranges`]. Memory: some
//! 120 bytes for every tenth of a second with attempts, and 8 for every change from one way to end to another.

use crate::kernel::{Span, Time};
use crate::record::Outcome;
use crate::wire::{Gathering, Ranges};

/// Attempts and receptions are counted by this much time, from time 0 on.
const SLICE: Span = Span::from_millis(100);

/// The number of the slice that an instant lies in; one begins at `origin`.
pub(super) fn slice(at: Time, origin: Time) -> u64 {
    (at.0 + SLICE.0 - origin.0 % SLICE.0) / SLICE.0
}

/// How attempts end: the outcome, and whether it was a PUBLISH with 0 receivers.
pub type End = (Outcome, bool);

/// Times at which several things happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How many.
    pub count: u32,
    /// The last.
    pub last: Time,
    /// The longest time without a success that one of them ended; zero for what is none.
    pub gap: Span,
    /// When that was.
    pub gap_end: Time,
}

impl Times {
    /// One, which ended a time of `gap` without a success.
    pub(super) fn one(at: Time, gap: Span) -> Times {
        Times { count: 1, last: at, gap, gap_end: at }
    }

    /// Another one.
    pub(super) fn add(&mut self, at: Time, gap: Span) {
        self.count += 1;
        self.last = self.last.max(at);
        if gap > self.gap {
            (self.gap, self.gap_end) = (gap, at);
        }
    }
}

/// The attempts that began in one slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    number: u64,
    /// When the first of them began.
    pub began: Time,
    /// First and last SEQ.
    pub seqs: (u32, u32),
    /// When those that have ended did, by how.
    pub ends: Vec<(End, Times)>,
}

/// The attempts of a client.
#[derive(Clone, Debug)]
pub struct Tally {
    origin: Time,
    last_success: Time,
    slices: Vec<Slice>,
    ends: Vec<(End, Gathering)>,
}

impl Tally {
    /// Nothing yet. Slices begin at `origin`.
    pub(super) fn new(origin: Time) -> Tally {
        Tally { origin, last_success: Time::ZERO, slices: Vec::new(), ends: Vec::new() }
    }

    /// An attempt begins: SEQs come in order.
    pub(super) fn begins(&mut self, seq: u32, at: Time) {
        if self.slices.is_empty() {
            self.last_success = at;
        }
        let number = slice(at, self.origin);
        match self.slices.last_mut() {
            Some(last) if last.number == number => last.seqs.1 = seq,
            _ => self.slices.push(Slice { number, began: at, seqs: (seq, seq), ends: Vec::new() }),
        }
    }

    /// An attempt that began has ended.
    pub(super) fn ends(&mut self, seq: u32, end: End, at: Time) {
        let mut gap = Span::ZERO;
        if end.0 == Outcome::Ok {
            gap = at.saturating_since(self.last_success);
            self.last_success = at;
        }
        let place = match self.slices.last() {
            Some(last) if last.seqs.0 <= seq => self.slices.len(),
            _ => self.slices.partition_point(|slice| slice.seqs.0 <= seq),
        };
        let ends = &mut self.slices[place.checked_sub(1).expect("what ends has begun")].ends;
        match ends.iter_mut().find(|(other, _)| *other == end) {
            Some((_, times)) => times.add(at, gap),
            None => ends.push((end, Times::one(at, gap))),
        }
        let place = self.ends.iter().position(|(other, _)| *other == end).unwrap_or_else(|| {
            self.ends.push((end, Gathering::default()));
            self.ends.len() - 1
        });
        self.ends[place].1.add(seq);
    }

    /// Slice by slice.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// The SEQs of all attempts that have ended, by how.
    pub fn by_end(&self) -> Vec<(End, Ranges)> {
        self.ends.iter().map(|(end, seqs)| (*end, seqs.ranges())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: End = (Outcome::Ok, false);
    const READONLY: End = (Outcome::Readonly, false);

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    #[test]
    fn attempts_are_counted_where_they_began_and_silence_where_it_ended() {
        let mut tally = Tally::new(at(1_050));
        for (seq, ms) in [(1, 1_040), (2, 1_049), (3, 1_050), (4, 1_149), (5, 1_150)] {
            tally.begins(seq, at(ms));
        }
        for (seq, end, ms) in [(1, OK, 1_045), (3, OK, 1_060), (2, OK, 4_000), (4, READONLY, 4_100), (5, OK, 4_200)] {
            tally.ends(seq, end, at(ms));
        }
        let seqs: Vec<(u32, u32)> = tally.slices().iter().map(|slice| slice.seqs).collect();
        assert_eq!(seqs, [(1, 2), (3, 4), (5, 5)], "a slice begins at the origin");
        let (end, times) = tally.slices()[0].ends[0];
        assert_eq!((end, times.count, times.last), (OK, 2, at(4_000)));
        assert_eq!((times.gap, times.gap_end), (Span::from_millis(2_940), at(4_000)));
        assert_eq!(tally.slices()[1].ends.len(), 2);
        assert_eq!(tally.slices()[1].ends[1].1.gap, Span::ZERO, "a failure ends no silence");
        let ranges: Vec<Vec<(u32, u32)>> =
            tally.by_end().iter().map(|(_, ranges)| ranges.intervals().to_vec()).collect();
        assert_eq!(ranges, [vec![(1, 3), (5, 5)], vec![(4, 4)]]);
    }
}
