//! A list in the order of joining, from which anybody can leave at little cost.
//!
//! A server may have a hundred thousand clients, all of which may go at once. Who leaves is only struck out; when half of
//! the list is struck out, it is written anew.

use super::client::Slot;

/// Slots in the order in which they joined.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    /// Ticket and slot; tickets rise. None was struck out.
    places: Vec<(u64, Option<Slot>)>,
    struck: usize,
    tickets: u64,
}

impl Roster {
    /// Somebody joins; the ticket serves to leave.
    pub(super) fn join(&mut self, slot: Slot) -> u64 {
        self.tickets += 1;
        self.places.push((self.tickets, Some(slot)));
        self.tickets
    }

    /// Somebody leaves.
    ///
    /// # Panics
    /// If nobody is there under this ticket.
    pub(super) fn leave(&mut self, ticket: u64) {
        let place = self.places.binary_search_by_key(&ticket, |place| place.0).expect("who leaves had joined");
        assert!(self.places[place].1.take().is_some(), "nobody leaves twice");
        self.struck += 1;
        if self.struck * 2 > self.places.len() {
            self.places.retain(|place| place.1.is_some());
            self.struck = 0;
        }
    }

    /// How many are there.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.struck
    }

    /// How many places there are, those struck out included.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Who stands at a place; none if the place is struck out or past the end.
    #[inline]
    pub(super) fn at(&self, place: usize) -> Option<Slot> {
        self.places.get(place)?.1
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> {
        self.places.iter().filter_map(|place| place.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_joining_whoever_leaves() {
        let mut roster = Roster::default();
        let tickets: Vec<u64> = (0..10).map(|n| roster.join(Slot(n))).collect();
        for n in [3, 0, 9, 4, 5, 8] {
            roster.leave(tickets[n]);
        }
        let again = roster.join(Slot(3));
        assert_eq!(roster.iter().map(|slot| slot.0).collect::<Vec<_>>(), [1, 2, 6, 7, 3]);
        roster.leave(again);
        assert_eq!((roster.len(), roster.iter().count()), (4, 4));
    }
}
