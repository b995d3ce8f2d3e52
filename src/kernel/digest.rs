//! A 128-bit digest over every event of a run.
//!
//! Two runs with equal digests executed the same events in the same order. The mixing is a folded 64 × 64 → 128-bit
//! multiplication, one lane a half: cheap enough to stay on always. It guards against mistakes, not against malice.

/// A running digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    a: u64,
    b: u64,
}

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xe703_7ed1_a0b4_28db;

#[inline]
fn fold(x: u64, y: u64) -> u64 {
    let product = x as u128 * y as u128;
    product as u64 ^ (product >> 64) as u64
}

impl Default for Digest {
    fn default() -> Self {
        Digest { a: 0x2436_06a8_885a_308d, b: 0x1319_8a2e_0370_7344 }
    }
}

impl Digest {
    /// Mixes two words in.
    #[inline]
    pub fn mix(&mut self, x: u64, y: u64) {
        self.a = fold(self.a ^ x ^ K0, y ^ K1 ^ self.b.rotate_left(23));
        self.b = self.b.rotate_left(29).wrapping_add(self.a) ^ x.wrapping_mul(K1) ^ y;
    }

    /// The digest so far.
    pub fn value(self) -> u128 {
        let a = fold(self.a ^ K0, self.b ^ K1);
        let b = fold(self.b ^ K0, self.a.rotate_left(31) ^ K1);
        ((a as u128) << 64) | b as u128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_matter() {
        let of = |words: &[(u64, u64)]| {
            let mut digest = Digest::default();
            words.iter().for_each(|&(x, y)| digest.mix(x, y));
            digest.value()
        };
        assert_eq!(of(&[(1, 2), (3, 4)]), of(&[(1, 2), (3, 4)]));
        assert_ne!(of(&[(1, 2), (3, 4)]), of(&[(3, 4), (1, 2)]));
        assert_ne!(of(&[(1, 2)]), of(&[(2, 1)]));
        assert_ne!(of(&[(0, 0)]), of(&[(0, 0), (0, 0)]));
    }
}
