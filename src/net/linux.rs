//! Numbers and timers of the Linux kernel (6.x, `CONFIG_HZ=250`, default sysctls).
//!
//! The kernel's timers are not exact. A timer is kept in a wheel whose buckets get coarser with distance
//! (kernel/time/timer.c: 64 buckets a level, each level eight times coarser), and it fires at the end of its bucket.
//! That is why a SYN is repeated after 1.024 s and not after 1 s, and why each retransmission is a few per cent late.

use crate::kernel::{Span, Time};

/// Length of a jiffy: 4 ms at `CONFIG_HZ=250` (Debian's and most distributions' setting).
pub const JIFFY: Span = Span::from_millis(4);

/// `TCP_TIMEOUT_INIT`: the first SYN is repeated after 1 s (include/net/tcp.h).
pub(super) const SYN_TIMEOUT_JIFFIES: u64 = 250;
/// `net.ipv4.tcp_syn_linear_timeouts`: so many repeats before the interval doubles (Linux ≥ 6.5).
pub(super) const SYN_LINEAR_TIMEOUTS: u32 = 4;
/// `net.ipv4.tcp_syn_retries`: exponential repeats; with the linear ones the connect fails after 131 s.
pub(super) const SYN_RETRIES: u32 = 6;
/// `TCP_RTO_MIN`: the least that the variance of round trips adds to the retransmission time-out.
pub(super) const RTO_MIN_US: u64 = 200_000;
/// `TCP_RTO_MAX`: 120 s.
pub(super) const RTO_MAX_JIFFIES: u64 = 30_000;
/// `net.ipv4.tcp_retries2` = 15: unacknowledged data is given up after this long (tcp_model_timeout).
pub(super) const RETRIES2_TIMEOUT: Span = Span::from_millis(924_600);
/// `net.ipv4.tcp_orphan_retries` = 0, which means 8: repeats for a socket that its owner has closed.
pub(super) const ORPHAN_RETRIES: u32 = 8;
/// `net.ipv4.neigh.default.base_reachable_time_ms`: an entry is trusted for a random 0.5 to 1.5 times this long.
pub const BASE_REACHABLE_TIME: Span = Span::from_secs(30);
/// `net.ipv4.neigh.default.delay_first_probe_time`: 5 s.
pub(super) const DELAY_FIRST_PROBE_JIFFIES: u64 = 1_250;
/// `net.ipv4.neigh.default.retrans_time_ms`: 1 s between probes; three of them (`ucast_solicit`, `mcast_solicit`).
pub(super) const PROBE_JIFFIES: u64 = 250;
/// How many probes before an entry fails.
pub(super) const PROBES: u32 = 3;

/// Payload of a segment in an Ethernet frame of 1500 bytes: 40 bytes of headers and 12 of time stamps are taken off.
pub(super) const ETHERNET_MSS: u64 = 1_448;
/// The same on the loopback interface, whose frames carry 65 536 bytes.
pub(super) const LOOPBACK_MSS: u64 = 65_483;
/// `net.ipv4.tcp_rmem[1]`: the memory of a receive queue to begin with.
pub(super) const RECEIVE_BUFFER: u64 = 131_072;
/// `net.ipv4.tcp_rmem[2]`: what it grows to while its program reads.
pub(super) const RECEIVE_BUFFER_MAX: u64 = 6_291_456;
/// The window that a connection offers at first: half of the receive buffer in whole segments (`tcp_select_initial_window`).
pub(super) const FIRST_WINDOW: u64 = 64_240;
/// `net.ipv4.tcp_wmem[2]`: what a send buffer can grow to.
pub(super) const SEND_BUFFER_MAX: u64 = 4_194_304;
/// `TCP_INIT_CWND`: segments that may be under way at first.
pub(super) const INITIAL_CONGESTION_WINDOW: u32 = 10;
/// What a buffer costs beside its bytes: `sk_buff` (256), `MAX_TCP_HEADER` (256) and `skb_shared_info` (320); `ss -m` says 864
/// for 32 bytes.
pub(super) const SKB: u64 = 832;
/// `MAX_SKB_FRAGS`: so many pieces of memory, each of one write, fit into a buffer.
pub(super) const FRAGMENTS: u32 = 17;
/// `TCP_ATO_MIN`: a delayed acknowledgement comes after 40 ms.
pub(super) const DELAYED_ACK_JIFFIES: u64 = 10;
/// Probes of a closed window until the interval would reach `TCP_RTO_MAX`: 200 ms doubled ten times.
pub(super) const DEAD_BACKOFFS: u32 = 10;

/// `tcp_sndbuf_expand`: twice the congestion window, each segment with its headers rounded up to a power of two.
pub(super) fn send_buffer(congestion_window: u32, mss: u64) -> u64 {
    // `mss_clamp` counts the time stamps; `MAX_TCP_HEADER` and `skb_shared_info` are rounded with it, `sk_buff` is not.
    let segment = (mss + 12 + 256 + 320).next_power_of_two() + 256;
    2 * congestion_window.max(INITIAL_CONGESTION_WINDOW) as u64 * segment
}

/// The timer wheel of one kernel: when its jiffies begin.
#[derive(Clone, Copy, Debug)]
pub struct TimerWheel {
    /// Jiffies that had passed at time zero, as a fraction of the coarsest bucket: drawn once a run.
    pub phase: Span,
}

impl TimerWheel {
    /// When a timer fires that is set at `now` for `jiffies` from now.
    ///
    /// The expiry is rounded up to the next bucket boundary of its level, always by at least part of a bucket
    /// (`calc_wheel_index` adds one bucket). Levels begin at 63, 504, 4032 and 32 256 jiffies ahead.
    pub fn fires_at(&self, now: Time, jiffies: u64) -> Time {
        let tick = (now.0 + self.phase.0) / JIFFY.0;
        let expires = tick + jiffies;
        let shift = match jiffies {
            0..63 => 0,
            63..504 => 3,
            504..4_032 => 6,
            4_032..32_256 => 9,
            _ => 12,
        };
        let bucket = (expires >> shift) + 1;
        Time((bucket << shift) * JIFFY.0 - self.phase.0)
    }
}

/// How many jiffies pass between SYN number `sent` (1 is the first) and the next one.
pub(super) fn syn_interval_jiffies(sent: u32) -> u64 {
    let doublings = sent.saturating_sub(SYN_LINEAR_TIMEOUTS + 1);
    SYN_TIMEOUT_JIFFIES << doublings
}

/// How many SYNs are sent at the most.
pub(super) const SYNS: u32 = 1 + SYN_LINEAR_TIMEOUTS + SYN_RETRIES;

/// The round trips of a connection, smoothed as `tcp_rtt_estimator` does (RFC 6298 with a floor for the variance).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoundTrips {
    /// Smoothed round trip.
    srtt_us: u64,
    /// Four times the mean deviation.
    deviation4_us: u64,
    /// What is added to the smoothed round trip: four deviations, at least [`RTO_MIN_US`], slow to fall.
    variance_us: u64,
}

impl RoundTrips {
    /// After the first sample: the handshake.
    pub(super) fn first(sample: Span) -> RoundTrips {
        let us = sample.0 / 1_000;
        RoundTrips { srtt_us: us, deviation4_us: 2 * us, variance_us: (2 * us).max(RTO_MIN_US) }
    }

    /// Another segment was acknowledged after `sample`.
    pub(super) fn sample(&mut self, sample: Span) {
        let us = sample.0 / 1_000;
        let off = us.abs_diff(self.srtt_us);
        let falls = us < self.srtt_us;
        self.srtt_us = (7 * self.srtt_us + us) / 8;
        let deviation = self.deviation4_us / 4;
        self.deviation4_us = match off.checked_sub(deviation) {
            // A round trip that is much shorter counts for less: it is no congestion.
            Some(more) if falls => self.deviation4_us + more / 8,
            _ => self.deviation4_us - deviation + off,
        };
        let most = self.deviation4_us.max(RTO_MIN_US);
        self.variance_us =
            if most > self.variance_us { most } else { self.variance_us - (self.variance_us - most) / 4 };
    }

    /// Whether the time-outs of such a connection are those of a local network, whatever the next sample there is.
    pub(super) fn is_local(&self) -> bool {
        self.srtt_us < 1_000 && self.variance_us < RTO_MIN_US + 1_000
    }

    /// The retransmission time-out.
    pub(super) fn rto_jiffies(&self) -> u64 {
        jiffies(self.srtt_us + self.variance_us)
    }

    /// The tail-loss probe of a single segment: two round trips and the floor, never later than the time-out.
    pub(super) fn probe_jiffies(&self) -> u64 {
        jiffies(2 * self.srtt_us + RTO_MIN_US).min(self.rto_jiffies())
    }

    /// How many jiffies pass between transmission number `done` (0 is the first) and the next one: the probe of the tail
    /// comes first and does not back off, the retransmissions proper double from there.
    pub(super) fn interval_jiffies(&self, done: u32) -> u64 {
        match done {
            0 => self.probe_jiffies(),
            _ => (self.rto_jiffies() << (done - 1).min(20)).min(RTO_MAX_JIFFIES),
        }
    }
}

/// Microseconds in jiffies, rounded up.
fn jiffies(us: u64) -> u64 {
    us.div_ceil(JIFFY.0 / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(intervals: impl Fn(u32) -> u64, count: u32) -> Vec<f64> {
        let wheel = TimerWheel { phase: Span::ZERO };
        // Some instant in the middle of a jiffy and of all coarser buckets.
        let start = Time(1_234_567_890_123);
        let mut at = start;
        (0..count)
            .map(|n| {
                at = wheel.fires_at(at, intervals(n));
                at.seconds_since(start)
            })
            .collect()
    }

    #[test]
    fn syn_repeats_are_those_that_were_measured() {
        // Measured on 6.18: 1.02, 2.05, 3.07, 4.09, 5.12, 7.13, 11.39, 19.58, 35.71, 68.99, error at 134.5.
        let measured = [1.02, 2.05, 3.07, 4.09, 5.12, 7.13, 11.39, 19.58, 35.71, 68.99, 134.5];
        for (ours, theirs) in ladder(|n| syn_interval_jiffies(n + 1), SYNS).iter().zip(measured) {
            assert!((ours / theirs - 1.0).abs() < 0.035, "{ours} against {theirs}");
        }
        assert_eq!(SYNS, 11);
    }

    #[test]
    fn retransmissions_are_those_that_were_measured() {
        let measured = [0.205, 0.413, 0.849, 1.685, 3.345, 6.737, 13.39, 26.7, 54.4, 107.6];
        let local = RoundTrips::first(Span::from_micros(150));
        assert_eq!((local.probe_jiffies(), local.rto_jiffies()), (51, 51));
        for (ours, theirs) in ladder(|done| local.interval_jiffies(done), 10).iter().zip(measured) {
            assert!((ours / theirs - 1.0).abs() < 0.06, "{ours} against {theirs}");
        }
    }

    #[test]
    fn the_time_out_follows_the_round_trip() {
        // A new connection over 400 ms: 400 + 4 × 200 ms; its probe comes after a second.
        let slow = RoundTrips::first(Span::from_millis(400));
        assert_eq!((slow.rto_jiffies() * 4, slow.probe_jiffies() * 4), (1_200, 1_000));
        // An old one that becomes slow: about 450, 740, 920 ms after one, two, three samples (seen on a real link).
        let mut old = RoundTrips::first(Span::from_micros(150));
        assert!(old.is_local());
        let seen: Vec<u64> = (0..3)
            .map(|_| {
                old.sample(Span::from_millis(400));
                old.rto_jiffies() * 4
            })
            .collect();
        for (ours, theirs) in seen.iter().zip([450, 740, 920]) {
            assert!(ours.abs_diff(theirs) <= 20, "{seen:?}");
        }
        assert!(!old.is_local());
        for _ in 0..100 {
            old.sample(Span::from_micros(150));
        }
        assert!(old.is_local(), "and it forgets: {old:?}");
    }

    #[test]
    fn a_timer_is_never_early() {
        for phase in 0..50 {
            let wheel = TimerWheel { phase: Span::from_micros(phase * 613) };
            for jiffies in [1, 50, 62, 63, 250, 504, 1_250, 5_000] {
                let now = Time(777_777_777 + phase * 1_000_003);
                let fired = wheel.fires_at(now, jiffies);
                let wanted = jiffies * JIFFY.0;
                assert!(fired.0 + JIFFY.0 > now.0 + wanted, "{jiffies} jiffies fired early");
                assert!(fired.0 < now.0 + wanted + wanted / 7 + 2 * JIFFY.0, "{jiffies} jiffies fired too late");
            }
        }
    }
}
