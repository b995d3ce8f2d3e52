//! Which host has which address: the one table that says it.
//!
//! Today every host has one address for its whole life, with its own number. Whoever sends knows an [`Ip`]; only here does
//! it become a host.

use crate::wire::{HostId, Ip};

/// The addresses of all hosts.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// By address.
    hosts: Vec<HostId>,
}

impl Addresses {
    /// One address for each of so many hosts.
    pub(super) fn one_each(hosts: usize) -> Addresses {
        Addresses { hosts: (0..hosts as u16).map(HostId).collect() }
    }

    /// The host that has an address.
    ///
    /// # Panics
    /// If nobody ever had it.
    #[inline]
    pub(super) fn host(&self, ip: Ip) -> HostId {
        self.hosts[ip.0 as usize]
    }

    /// The address of a host, with which its packets come.
    ///
    /// # Panics
    /// If it has none.
    #[inline]
    pub(super) fn of(&self, host: HostId) -> Ip {
        let own = usize::from(host.0);
        let place = match self.hosts.get(own) {
            Some(first) if *first == host => Some(own),
            _ => self.hosts.iter().position(|other| *other == host),
        };
        Ip(place.expect("every host has an address") as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_its_host_and_back() {
        let mut addresses = Addresses::one_each(3);
        for host in [HostId(0), HostId(2)] {
            assert_eq!(addresses.host(addresses.of(host)), host);
        }
        addresses.hosts.swap(0, 2);
        assert_eq!((addresses.host(Ip(0)), addresses.of(HostId(0))), (HostId(2), Ip(2)));
    }
}
