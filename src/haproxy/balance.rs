//! Which server a new session is given to.
//!
//! Source: `fwrr_get_next_server` (lb_fwrr.c) and `recount_servers` (backend.c) with equal weights, no `allbackups`
//! and no `maxconn` on servers; spec H7.

/// What the choice looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its last checks say so.
    pub(super) up: bool,
    /// It serves only when no active server is up.
    pub(super) backup: bool,
}

impl Candidate {
    fn is_active(self) -> bool {
        self.up && !self.backup
    }
}

/// The place of the round robin among the active servers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundRobin {
    next: usize,
}

impl RoundRobin {
    /// The server for a new session, in configuration order from the one after the last choice. `avoid` is taken only
    /// if no other active server is up: the one to which a session could not be connected.
    pub(super) fn choose(&mut self, servers: &[Candidate], avoid: Option<usize>) -> Option<usize> {
        let chosen = self.peek(servers, avoid)?;
        if servers[chosen].is_active() {
            self.next = (chosen + 1) % servers.len();
        }
        Some(chosen)
    }

    /// The same choice, without taking it.
    pub(super) fn peek(&self, servers: &[Candidate], avoid: Option<usize>) -> Option<usize> {
        let turn = (0..servers.len()).map(|i| (self.next + i) % servers.len());
        let active = turn.filter(|&i| servers[i].is_active());
        let preferred = active.clone().find(|&i| Some(i) != avoid);
        preferred.or_else(|| active.clone().next()).or_else(|| servers.iter().position(|server| server.up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(states: &str) -> Vec<Candidate> {
        // `A` and `a` are active servers, up and down; `B` and `b` backups.
        states.chars().map(|c| Candidate { up: c.is_uppercase(), backup: c.eq_ignore_ascii_case(&'b') }).collect()
    }

    #[test]
    fn active_servers_come_first_and_then_the_first_backup() {
        let cases = [
            ("ABB", Some(0)),
            ("aBB", Some(1)),
            ("abB", Some(2)),
            ("aBb", Some(1)),
            ("abb", None),
            ("BBA", Some(2)),
            ("", None),
        ];
        for (states, expected) in cases {
            for _ in 0..3 {
                assert_eq!(RoundRobin::default().choose(&servers(states), None), expected, "{states}");
            }
        }
    }

    #[test]
    fn backups_do_not_take_turns() {
        let mut robin = RoundRobin::default();
        let choices: Vec<_> = (0..4).map(|_| robin.choose(&servers("aBBB"), None)).collect();
        assert_eq!(choices, [Some(1); 4]);
    }

    #[test]
    fn active_servers_take_turns() {
        let mut robin = RoundRobin::default();
        let choices: Vec<_> = (0..6).filter_map(|_| robin.choose(&servers("AaAA"), None)).collect();
        assert_eq!(choices, [0, 2, 3, 0, 2, 3]);
    }

    #[test]
    fn the_avoided_server_is_taken_only_if_there_is_no_other_active_one() {
        assert_eq!(RoundRobin::default().choose(&servers("AA"), Some(0)), Some(1));
        assert_eq!(RoundRobin::default().choose(&servers("AB"), Some(0)), Some(0));
    }
}
