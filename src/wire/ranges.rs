//! Sets of numbers that are mostly consecutive.

/// A set of numbers, kept as the intervals that they form: what a program has numbered from 1 on takes a few bytes
/// however much of it there is, as long as little is missing. Memory: 8 bytes for every interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// First and last number of each interval, in order; between two of them at least one number is missing.
    intervals: Vec<(u32, u32)>,
}

impl Ranges {
    /// Takes a number in; answers whether it is new. Quick where numbers come roughly in order.
    pub fn insert(&mut self, number: u32) -> bool {
        match self.intervals.last_mut() {
            Some((_, last)) if *last == number => return false,
            Some((_, last)) if number.checked_sub(1) == Some(*last) => {
                *last = number;
                return true;
            }
            None => {
                self.intervals.push((number, number));
                return true;
            }
            Some(_) => {}
        }
        let place = self.intervals.partition_point(|(first, _)| *first <= number);
        if place > 0 && number <= self.intervals[place - 1].1 {
            return false;
        }
        let joins_left = place > 0 && self.intervals[place - 1].1 + 1 == number;
        let joins_right = self.intervals.get(place).is_some_and(|(first, _)| number + 1 == *first);
        match (joins_left, joins_right) {
            (true, true) => {
                self.intervals[place - 1].1 = self.intervals[place].1;
                self.intervals.remove(place);
            }
            (true, false) => self.intervals[place - 1].1 = number,
            (false, true) => self.intervals[place].0 = number,
            (false, false) => self.intervals.insert(place, (number, number)),
        }
        true
    }

    /// Takes all numbers from `first` to `last` in.
    pub fn insert_all(&mut self, first: u32, last: u32) {
        assert!(first <= last, "an interval has a beginning and an end");
        let from = self.intervals.partition_point(|(_, end)| end.saturating_add(1) < first);
        let upto = self.intervals.partition_point(|(begin, _)| *begin <= last.saturating_add(1));
        let joined = self.intervals[from..upto]
            .iter()
            .fold((first, last), |(first, last), (begin, end)| (first.min(*begin), last.max(*end)));
        self.intervals.splice(from..upto, [joined]);
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: u32) -> bool {
        let place = self.intervals.partition_point(|(first, _)| *first <= number);
        place > 0 && number <= self.intervals[place - 1].1
    }

    /// How many of the numbers from `first` to `last` are in it.
    pub fn count_within(&self, first: u32, last: u32) -> u64 {
        let from = self.intervals.partition_point(|(_, end)| *end < first);
        let overlaps = self.intervals[from..].iter().take_while(|(begin, _)| *begin <= last);
        overlaps.map(|(begin, end)| u64::from(*end.min(&last) - *begin.max(&first)) + 1).sum()
    }

    /// First and last number of each interval, in order.
    pub fn intervals(&self) -> &[(u32, u32)] {
        &self.intervals
    }

    /// What is in it and not in the other.
    pub fn minus(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::new();
        for &(first, last) in &self.intervals {
            let mut from = Some(first);
            let near = other.intervals.partition_point(|(_, end)| *end < first);
            for &(begin, end) in other.intervals[near..].iter().take_while(|(begin, _)| *begin <= last) {
                if let Some(from) = from.filter(|from| *from < begin) {
                    left.push((from, begin - 1));
                }
                from = end.checked_add(1).filter(|next| *next <= last);
            }
            left.extend(from.map(|from| (from, last)));
        }
        Ranges { intervals: left }
    }
}

/// So many numbers are gathered before they are put in order.
const GATHERED: usize = 1_024;

/// A [`Ranges`] that numbers are added to one by one and often, roughly in order: they are put in order many at a time.
#[derive(Clone, Debug, Default)]
pub struct Gathering {
    ranges: Ranges,
    recent: Vec<u32>,
}

impl Gathering {
    /// Takes a number in.
    #[inline]
    pub fn add(&mut self, number: u32) {
        self.recent.push(number);
        if self.recent.len() >= GATHERED {
            let recent = std::mem::take(&mut self.recent);
            self.recent = put_in_order(recent, &mut self.ranges);
        }
    }

    /// All that was added.
    pub fn ranges(&self) -> Ranges {
        let mut ranges = self.ranges.clone();
        put_in_order(self.recent.clone(), &mut ranges);
        ranges
    }
}

impl From<Ranges> for Gathering {
    fn from(ranges: Ranges) -> Gathering {
        Gathering { ranges, recent: Vec::new() }
    }
}

/// Puts numbers into ranges, and gives back the room that they took.
fn put_in_order(mut numbers: Vec<u32>, ranges: &mut Ranges) -> Vec<u32> {
    numbers.sort_unstable();
    for stretch in numbers.chunk_by(|a, b| *b - *a <= 1) {
        ranges.insert_all(stretch[0], stretch[stretch.len() - 1]);
    }
    numbers.clear();
    numbers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn numbers(ranges: &Ranges) -> BTreeSet<u32> {
        ranges.intervals().iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    proptest! {
        #[test]
        fn ranges_are_sets(
            singles in prop::collection::vec(0..60_u32, 0..60),
            spans in prop::collection::vec((0..60_u32, 0..9_u32), 0..6),
            others in prop::collection::vec(0..60_u32, 0..40),
            (from, length) in (0..60_u32, 0..30_u32),
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for number in singles {
                prop_assert_eq!(ranges.insert(number), set.insert(number));
            }
            for (first, length) in spans {
                ranges.insert_all(first, first + length);
                set.extend(first..=first + length);
            }
            prop_assert_eq!(numbers(&ranges), set.clone());
            let apart = |pair: &[(u32, u32)]| pair[0].1 + 1 < pair[1].0;
            prop_assert!(ranges.intervals().windows(2).all(apart), "{:?}", ranges);
            let mut other = Ranges::default();
            others.iter().for_each(|number| { other.insert(*number); });
            let others: BTreeSet<u32> = others.into_iter().collect();
            prop_assert_eq!(numbers(&ranges.minus(&other)), &set - &others);
            prop_assert_eq!(ranges.count_within(from, from + length), set.range(from..=from + length).count() as u64);
            prop_assert!((0..80).all(|number| ranges.contains(number) == set.contains(&number)));
        }
    }

    #[test]
    fn what_is_gathered_is_what_was_added() {
        let mut gathering = Gathering::default();
        let mut all = Ranges::default();
        for n in 0..5_000_u32 {
            let number = n / 7 * 7 + (6 - n % 7);
            if number % 1_000 != 500 {
                gathering.add(number);
                all.insert(number);
            }
        }
        assert_eq!(gathering.ranges(), all);
        assert_eq!(all.intervals().len(), 7, "five are missing within, and five before the last two");
        assert_eq!(Gathering::from(all.clone()).ranges(), all);
    }

    #[test]
    fn the_last_number_of_all_is_a_number() {
        let mut ranges = Ranges::default();
        ranges.insert_all(u32::MAX - 1, u32::MAX);
        assert!(!ranges.insert(u32::MAX) && ranges.contains(u32::MAX) && ranges.insert(0));
        assert_eq!(ranges.minus(&ranges.clone()), Ranges::default());
        assert_eq!(ranges.count_within(0, u32::MAX), 3);
    }
}
