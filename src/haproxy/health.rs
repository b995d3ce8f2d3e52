//! The health counter of a checked server: pure arithmetic.
//!
//! Source: `set_server_check_status` (check.c) with its two callers that compare against `rise`,
//! `check_notify_failure` and `check_notify_success`; spec H5.

/// How healthy a server is: 0 to `rise + fall - 1`; from `rise` on the server is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    value: u32,
    rise: u32,
    fall: u32,
}

impl Health {
    /// A server at the start of HAProxy: up, but only just, so that one failed check takes it down (spec H2.1).
    pub(super) fn at_start(rise: u32, fall: u32) -> Health {
        assert!(rise >= 1, "a server needs a good check to come up");
        assert!(fall >= 1, "a server needs a bad check to go down");
        Health { value: rise, rise, fall }
    }

    /// The counter of a server that nothing is wrong with.
    fn full(self) -> u32 {
        self.rise + self.fall - 1
    }

    /// Whether sessions may be given to the server.
    pub(super) fn is_up(self) -> bool {
        self.value >= self.rise
    }

    /// Whether the last check or checks all passed.
    pub(super) fn is_full(self) -> bool {
        self.value == self.full()
    }

    /// Whether the last check failed and the server is down.
    pub(super) fn is_zero(self) -> bool {
        self.value == 0
    }

    /// A check passed. A server that is up, or comes up by it, is fully healthy again.
    pub(super) fn pass(&mut self) {
        if self.value < self.full() {
            self.value += 1;
            if self.value >= self.rise {
                self.value = self.full();
            }
        }
        assert!(self.value <= self.full());
    }

    /// A check failed. A server that is down, or goes down by it, starts from nothing.
    pub(super) fn fail(&mut self) {
        if self.value > 0 {
            self.value -= 1;
            if self.value < self.rise {
                self.value = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counter after each check of `checks`, where `+` passes and `-` fails.
    fn walk(rise: u32, fall: u32, checks: &str) -> Vec<u32> {
        let mut health = Health::at_start(rise, fall);
        let step = |check| {
            if check == '+' {
                health.pass()
            } else {
                health.fail()
            }
            health.value
        };
        checks.chars().map(step).collect()
    }

    #[test]
    fn the_counter_moves_as_in_the_table() {
        let cases: &[(u32, u32, &str, &[u32])] = &[
            // One bad check after the start is enough, one good check fills up.
            (2, 3, "-", &[0]),
            (2, 3, "+", &[4]),
            // Three in a row from full health.
            (2, 3, "+---", &[4, 3, 2, 0]),
            // One good check while going down restores full health.
            (2, 3, "+--+--+", &[4, 3, 2, 4, 3, 2, 4]),
            // Two good checks in a row bring it up; a bad one between them starts anew.
            (2, 3, "-++", &[0, 1, 4]),
            (2, 3, "-+-++", &[0, 1, 0, 1, 4]),
            (2, 3, "--", &[0, 0]),
            (2, 3, "++", &[4, 4]),
            (1, 1, "-+-", &[0, 1, 0]),
            (1, 3, "-+--- ", &[0, 3, 2, 1, 0, 0]),
            (3, 1, "-+++-", &[0, 1, 2, 3, 0]),
            (3, 2, "+--++-+++", &[4, 3, 0, 1, 2, 0, 1, 2, 4]),
        ];
        for (rise, fall, checks, expected) in cases {
            assert_eq!(walk(*rise, *fall, checks), *expected, "rise {rise} fall {fall}: {checks}");
        }
    }

    #[test]
    fn down_takes_fall_bad_checks_and_up_takes_rise_good_ones() {
        for rise in 1..6 {
            for fall in 1..6 {
                let mut health = Health::at_start(rise, fall);
                health.pass();
                let bad = (1..).find(|_| {
                    health.fail();
                    !health.is_up()
                });
                assert_eq!(bad, Some(fall));
                let good = (1..).find(|_| {
                    health.pass();
                    health.is_up()
                });
                assert_eq!(good, Some(rise));
                assert!(health.is_full());
            }
        }
    }
}
