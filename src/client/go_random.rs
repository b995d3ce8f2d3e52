//! Go's `math/rand` with seed 1, bit for bit.
//!
//! go-redis draws the jitter of its retries from a generator of its own whose seed is 1 in every process
//! (`internal/rand`). The jitter of the n-th retry of a process is therefore the same everywhere, and a faithful client
//! must draw the same numbers.
//!
//! The generator is an additive lagged Fibonacci generator, `y(n) = y(n−607) + y(n−273)` modulo 2⁶⁴ (Go,
//! `math/rand/rng.go`). Its table is seeded by a small congruential generator and mixed with a fixed table: the state
//! that the recurrence reaches from seed 1 after 7.8·10¹² steps (Go, `math/rand/gen_cooked.go`). Nobody has to walk
//! there: the recurrence is linear, so that state is a combination of the first 607 values, whose coefficients are
//! `x^N mod (x⁶⁰⁷ − x³³⁴ − 1)`: 43 squarings.

use std::sync::LazyLock;

const LENGTH: usize = 607;
const TAP: usize = 273;
/// Steps from the seeded table to the fixed one.
const COOKING_STEPS: u64 = 7_800_000_000_000;

type Table = [u64; LENGTH];

/// A number that depends on nothing: the table of a generator with seed 1.
static SEED_ONE: LazyLock<Box<Table>> = LazyLock::new(|| {
    let mut table = seeded(40, 20);
    for (word, cooked) in table.iter_mut().zip(cooked().iter()) {
        *word ^= cooked;
    }
    table
});

/// Lehmer's generator by Schrage's method (`seedrand`).
fn lehmer(x: i64) -> i64 {
    let next = 48_271 * (x % 44_488) - 3_399 * (x / 44_488);
    if next < 0 { next + 0x7fff_ffff } else { next }
}

/// The table that seed 1 gives, each word made of three draws at two shifts.
fn seeded(first_shift: u32, second_shift: u32) -> Box<Table> {
    let mut table = Box::new([0; LENGTH]);
    let mut x = 1;
    for _ in 0..20 {
        x = lehmer(x);
    }
    for word in table.iter_mut() {
        for shift in [first_shift, second_shift, 0] {
            x = lehmer(x);
            *word ^= (x as u64) << shift;
        }
    }
    table
}

/// The place in the table that the step with this number (from 1) writes: `feed` runs downwards from 334.
fn place(step: u64) -> usize {
    let back = (step % LENGTH as u64) as usize;
    (LENGTH - TAP + LENGTH - back) % LENGTH
}

/// The remainder of a polynomial modulo `x⁶⁰⁷ − x³³⁴ − 1`.
fn reduce(mut polynomial: Vec<u64>) -> Vec<u64> {
    for power in (LENGTH..polynomial.len()).rev() {
        let factor = polynomial[power];
        polynomial[power - TAP] = polynomial[power - TAP].wrapping_add(factor);
        polynomial[power - LENGTH] = polynomial[power - LENGTH].wrapping_add(factor);
    }
    polynomial.truncate(LENGTH);
    polynomial
}

fn square(polynomial: &[u64]) -> Vec<u64> {
    let mut product = vec![0u64; 2 * LENGTH];
    for (i, a) in polynomial.iter().enumerate() {
        for (j, b) in polynomial.iter().enumerate() {
            product[i + j] = product[i + j].wrapping_add(a.wrapping_mul(*b));
        }
    }
    reduce(product)
}

/// The state after [`COOKING_STEPS`] steps from the table that the generator of the fixed table starts with.
fn cooked() -> Box<Table> {
    let start = seeded(20, 10);
    let mut values: Vec<u64> = (1..=LENGTH as u64).map(|step| start[place(step)]).collect();
    for n in LENGTH..2 * LENGTH {
        values.push(values[n - LENGTH].wrapping_add(values[n - TAP]));
    }

    let mut coefficients = vec![0u64; LENGTH];
    coefficients[0] = 1;
    for bit in (0..=COOKING_STEPS.ilog2()).rev() {
        coefficients = square(&coefficients);
        if COOKING_STEPS >> bit & 1 == 1 {
            coefficients.insert(0, 0);
            coefficients = reduce(coefficients);
        }
    }

    let mut table = Box::new([0; LENGTH]);
    for offset in 0..LENGTH {
        let value =
            coefficients.iter().zip(&values[offset..]).fold(0u64, |sum, (c, y)| sum.wrapping_add(c.wrapping_mul(*y)));
        table[place(COOKING_STEPS + offset as u64 + 1)] = value;
    }
    table
}

/// A generator with seed 1.
#[derive(Clone, Debug, Default)]
pub(super) struct GoRandom {
    /// Empty until the first draw: most processes never draw.
    table: Vec<u64>,
    step: u64,
}

impl GoRandom {
    /// `Int63`.
    fn int63(&mut self) -> u64 {
        if self.table.is_empty() {
            self.table = SEED_ONE.to_vec();
        }
        self.step += 1;
        let feed = place(self.step);
        let tap = (feed + TAP) % LENGTH;
        self.table[feed] = self.table[feed].wrapping_add(self.table[tap]);
        self.table[feed] & (u64::MAX >> 1)
    }

    /// `Int63n`: a number in `0..bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0 && bound < 1 << 63, "Int63n takes a positive 63-bit number");
        if bound.is_power_of_two() {
            return self.int63() & (bound - 1);
        }
        let largest = (1u64 << 63) - 1 - (1u64 << 63) % bound;
        loop {
            let draw = self.int63();
            if draw <= largest {
                return draw % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_go() {
        let mut random = GoRandom::default();
        // What every Go program printed that forgot to seed.
        assert_eq!(
            [random.int63(), random.int63(), random.int63()],
            [5_577_006_791_947_779_410, 8_674_665_223_082_153_551, 6_129_484_611_666_145_821]
        );
    }

    #[test]
    fn the_jitter_is_the_sequence_of_the_spec() {
        // HAProxy, TCP and clients, 24.2: milliseconds, consumed as k = 1, 2, 3, 1, 2, 3 …
        let spec =
            [19.78, 18.15, 26.15, 19.01, 39.11, 13.17, 8.97, 27.78, 71.12, 8.28, 16.40, 15.67, 12.49, 30.46, 51.45];
        let mut random = GoRandom::default();
        for (n, expected) in spec.into_iter().enumerate() {
            let bound = 8_000_000u64 << (n % 3 + 1);
            let drawn = (8_000_000 + random.below(bound)) as f64 / 1e6;
            assert!((drawn - expected).abs() < 0.0051, "draw {n}: {drawn}");
        }
    }
}
