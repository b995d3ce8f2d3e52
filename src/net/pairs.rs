//! A table over ordered pairs of hosts.
//!
//! Of all pairs only few ever have something to say: in a stack of a thousand replicas each talks to the master, the
//! Sentinels and the proxy. So a row is cut into pages, and a page is made when something is first written to it.

use crate::wire::HostId;

const PAGE: usize = 32;

/// What is known of each ordered pair of hosts; of most, nothing but the common value.
#[derive(Clone, Debug)]
pub(super) struct Pairs<T> {
    common: T,
    rows: Vec<Vec<Option<Box<[T; PAGE]>>>>,
}

impl<T: Clone> Pairs<T> {
    /// The common value for every pair of so many hosts.
    pub(super) fn new(hosts: usize, common: T) -> Pairs<T> {
        Pairs { common, rows: vec![Vec::new(); hosts] }
    }

    /// The value of a pair.
    #[inline]
    pub(super) fn get(&self, from: HostId, to: HostId) -> &T {
        let (page, place) = (to.0 as usize / PAGE, to.0 as usize % PAGE);
        match self.rows[from.0 as usize].get(page) {
            Some(Some(page)) => &page[place],
            _ => &self.common,
        }
    }

    /// The value of a pair, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, from: HostId, to: HostId) -> &mut T {
        let (page, place) = (to.0 as usize / PAGE, to.0 as usize % PAGE);
        let row = &mut self.rows[from.0 as usize];
        if row.len() <= page {
            row.resize(page + 1, None);
        }
        let common = &self.common;
        let page = row[page].get_or_insert_with(|| Box::new(std::array::from_fn(|_| common.clone())));
        &mut page[place]
    }

    /// Every value that may differ from the common one.
    pub(super) fn written(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().flatten().flatten().flat_map(|page| page.iter_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_all_else_is_common() {
        let mut pairs = Pairs::new(200, 7);
        *pairs.get_mut(HostId(3), HostId(150)) = 9;
        assert_eq!(*pairs.get(HostId(3), HostId(150)), 9);
        for (from, to) in [(150, 3), (3, 149), (3, 5), (199, 199)] {
            assert_eq!(*pairs.get(HostId(from), HostId(to)), 7);
        }
        assert_eq!(pairs.written().count(), PAGE, "one page was made");
    }
}
