//! The neighbour table (ARP) of every host, as far as faults make it matter.
//!
//! A host that vanishes leaves entries behind in its peers. They trust an entry for a random time after its last
//! confirmation (REACHABLE), then use it unverified for 5 s after the next packet (STALE, DELAY), then ask three times
//! (PROBE), and only then does a packet meet "no route to host". A container that comes back under the same address has
//! another hardware address: until its peers have given the old one up, or have heard a broadcast of the new one, their
//! packets vanish. Source: net/core/neighbour.c, net/ipv4/arp.c; behaviour seen in the recordings of `master-recovery`,
//! where HAProxy sees the returned master only 5 to 25 s after its start.
//!
//! For hosts that never vanished there is no entry here and nothing to compute.

use super::linux::{DELAY_FIRST_PROBE_JIFFIES, PROBE_JIFFIES, PROBES, TimerWheel};
use super::pairs::Pairs;
use crate::kernel::{Span, Time};
use crate::program::Sock;
use crate::wire::HostId;

/// State of an entry that points to a hardware address which no longer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Trusted until then.
    Reachable { until: Time },
    /// Used, unverified; the next packet starts the delay.
    Stale,
    /// Verified when the delay is over.
    Delay { until: Time },
    /// Asked by unicast until then.
    Probe { until: Time },
    /// No hardware address known and nobody asking.
    Failed,
    /// Asking by broadcast; packets wait.
    Incomplete,
}

#[derive(Clone, Debug)]
struct Entry {
    state: State,
    /// The incarnation of the target that the entry points to.
    incarnation: u32,
    probes: u32,
    waiting: Vec<Sock>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// The entry is good: the packet goes out.
    Known,
    /// The entry points to a hardware address that is gone: the packet vanishes.
    Lost,
    /// The address is being asked for; if a time is given, the first question was just asked and the next is due then.
    Asking(Option<Time>),
}

/// What a question by broadcast came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Answered: the waiting packets go out.
    Answered(Vec<Sock>),
    /// Not answered; the next question is due then.
    Again(Time),
    /// Given up: connects that wait fail with "no route to host".
    GivenUp(Vec<Sock>),
    /// The entry is no longer being asked for.
    Settled,
}

/// The tables of all hosts.
#[derive(Clone, Debug)]
pub(super) struct Neighbours {
    hosts: usize,
    entries: Pairs<Option<Box<Entry>>>,
    /// How many entries there are.
    count: usize,
    /// When the first host last heard from the second: TCP's progress confirms an entry.
    heard: Pairs<Time>,
    /// How long each host trusts a confirmed entry.
    reachable: Vec<Span>,
}

impl Neighbours {
    /// Tables of hosts that trust their entries for the given times.
    pub(super) fn new(reachable: Vec<Span>) -> Neighbours {
        let hosts = reachable.len();
        Neighbours {
            hosts,
            entries: Pairs::new(hosts, None),
            count: 0,
            heard: Pairs::new(hosts, Time::ZERO),
            reachable,
        }
    }

    /// Takes an entry away.
    fn remove(&mut self, from: HostId, to: HostId) -> Option<Box<Entry>> {
        self.entries.get(from, to).as_ref()?;
        self.count -= 1;
        self.entries.get_mut(from, to).take()
    }

    /// `host` got a packet from `peer`.
    #[inline]
    pub(super) fn confirm(&mut self, host: HostId, peer: HostId, now: Time) {
        *self.heard.get_mut(host, peer) = now;
    }

    /// `gone` vanished, incarnation `incarnation` of it: its peers' entries begin to age.
    pub(super) fn vanish(&mut self, gone: HostId, incarnation: u32) {
        for host in (0..self.hosts as u16).map(HostId) {
            if host == gone || self.entries.get(host, gone).is_some() {
                continue;
            }
            let heard = *self.heard.get(host, gone);
            let state = if heard == Time::ZERO {
                State::Failed
            } else {
                State::Reachable { until: heard + self.reachable[host.0 as usize] }
            };
            let entry = Entry { state, incarnation, probes: 0, waiting: Vec::new() };
            *self.entries.get_mut(host, gone) = Some(Box::new(entry));
            self.count += 1;
        }
    }

    /// `back` is on the network again. With the same hardware address all entries are good at once; a new one is learnt
    /// when `back` broadcasts or when an entry fails. Its own table is empty.
    pub(super) fn appear(&mut self, back: HostId, incarnation: u32, reachable: Span) {
        self.reachable[back.0 as usize] = reachable;
        for host in (0..self.hosts as u16).map(HostId) {
            if self.entries.get(host, back).as_ref().is_some_and(|entry| entry.incarnation == incarnation) {
                self.remove(host, back);
            }
            *self.heard.get_mut(back, host) = Time::ZERO;
            if let Some(entry) = self.entries.get_mut(back, host) {
                entry.state = State::Failed;
            }
        }
    }

    /// `host` sends to `to` for the first time since it appeared and must ask by broadcast: everybody who hears the
    /// question and has an entry for `host` updates it (arp_process). Returns whether the question was needed.
    pub(super) fn announce(&mut self, host: HostId, to: HostId, hears: impl Fn(HostId) -> bool) {
        if self.count == 0 || *self.heard.get(host, to) != Time::ZERO {
            return;
        }
        for peer in (0..self.hosts as u16).map(HostId) {
            if hears(peer) {
                self.remove(peer, host);
            }
        }
    }

    /// A packet of `sock` leaves `from` for `to`.
    #[inline]
    pub(super) fn resolve(
        &mut self,
        from: HostId,
        to: HostId,
        sock: Sock,
        now: Time,
        wheel: &TimerWheel,
    ) -> Resolution {
        if self.count == 0 || self.entries.get(from, to).is_none() {
            return Resolution::Known;
        }
        self.ask_entry(from, to, sock, now, wheel)
    }

    /// What the entry of a host that vanished says.
    fn ask_entry(&mut self, from: HostId, to: HostId, sock: Sock, now: Time, wheel: &TimerWheel) -> Resolution {
        let Some(entry) = self.entries.get_mut(from, to) else { return Resolution::Known };
        entry.age(now, wheel);
        match entry.state {
            State::Reachable { .. } | State::Delay { .. } | State::Probe { .. } => Resolution::Lost,
            State::Stale => {
                entry.state = State::Delay { until: wheel.fires_at(now, DELAY_FIRST_PROBE_JIFFIES) };
                Resolution::Lost
            }
            State::Failed => {
                entry.state = State::Incomplete;
                entry.probes = 1;
                entry.waiting = vec![sock];
                Resolution::Asking(Some(wheel.fires_at(now, PROBE_JIFFIES)))
            }
            State::Incomplete => {
                entry.waiting.push(sock);
                Resolution::Asking(None)
            }
        }
    }

    /// A question that was answered at once: `to` lives and hears `from`.
    pub(super) fn settle(&mut self, from: HostId, to: HostId) -> Vec<Sock> {
        self.remove(from, to).map(|entry| entry.waiting).unwrap_or_default()
    }

    /// The next question by broadcast is due. `answers`: whether `to` lives and hears it.
    pub(super) fn ask(&mut self, from: HostId, to: HostId, now: Time, wheel: &TimerWheel, answers: bool) -> Asked {
        let Some(entry) = self.entries.get_mut(from, to) else { return Asked::Settled };
        if entry.state != State::Incomplete {
            return Asked::Settled;
        }
        if entry.probes >= PROBES {
            entry.state = State::Failed;
            return Asked::GivenUp(std::mem::take(&mut entry.waiting));
        }
        if answers {
            return Asked::Answered(self.settle(from, to));
        }
        entry.probes += 1;
        Asked::Again(wheel.fires_at(now, PROBE_JIFFIES))
    }
}

impl Entry {
    /// Lets the timers run that fired until `now`.
    fn age(&mut self, now: Time, wheel: &TimerWheel) {
        if let State::Reachable { until } = self.state
            && now >= until
        {
            self.state = State::Stale;
        }
        if let State::Delay { until } = self.state
            && now >= until
        {
            let mut at = until;
            for _ in 0..PROBES {
                at = wheel.fires_at(at, PROBE_JIFFIES);
            }
            self.state = State::Probe { until: at };
        }
        if let State::Probe { until } = self.state
            && now >= until
        {
            self.state = State::Failed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);
    const SOCK: Sock = Sock { index: 0, generation: 0 };

    fn secs(n: u64) -> Time {
        Time::ZERO + Span::from_secs(n)
    }

    #[test]
    fn an_entry_of_a_vanished_host_fails_after_reachable_delay_and_probes() {
        let wheel = TimerWheel { phase: Span::ZERO };
        let mut table = Neighbours::new(vec![Span::from_secs(20); 2]);
        table.confirm(A, B, secs(10));
        table.vanish(B, 1);
        let mut resolve = |at| table.resolve(A, B, SOCK, secs(at), &wheel);
        assert_eq!(resolve(29), Resolution::Lost, "reachable until 30");
        assert_eq!(resolve(31), Resolution::Lost, "stale: the delay begins");
        assert_eq!(resolve(36), Resolution::Lost, "delay or probing");
        assert_eq!(resolve(38), Resolution::Lost, "probing");
        assert!(matches!(resolve(40), Resolution::Asking(Some(_))), "failed: the next packet asks");
        assert_eq!(resolve(41), Resolution::Asking(None));
        let mut at = secs(41);
        for _ in 0..2 {
            let Asked::Again(next) = table.ask(A, B, at, &wheel, false) else { panic!("asked again") };
            at = next;
        }
        assert_eq!(table.ask(A, B, at, &wheel, false), Asked::GivenUp(vec![SOCK, SOCK]));
    }

    #[test]
    fn a_broadcast_of_the_returned_host_settles_all_entries() {
        let wheel = TimerWheel { phase: Span::ZERO };
        let mut table = Neighbours::new(vec![Span::from_secs(20); 3]);
        table.confirm(A, B, secs(10));
        table.vanish(B, 1);
        table.appear(B, 2, Span::from_secs(20));
        assert_eq!(table.resolve(A, B, SOCK, secs(12), &wheel), Resolution::Lost, "the old hardware address");
        table.announce(B, HostId(2), |_| true);
        assert_eq!(table.resolve(A, B, SOCK, secs(12), &wheel), Resolution::Known);
    }

    #[test]
    fn a_host_that_kept_its_hardware_address_is_known_at_once() {
        let wheel = TimerWheel { phase: Span::ZERO };
        let mut table = Neighbours::new(vec![Span::from_secs(20); 2]);
        table.confirm(A, B, secs(10));
        table.vanish(B, 1);
        table.appear(B, 1, Span::from_secs(20));
        assert_eq!(table.resolve(A, B, SOCK, secs(12), &wheel), Resolution::Known);
    }
}
