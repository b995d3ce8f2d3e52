//! Numbers and timers of the Linux kernel (6.x, `CONFIG_HZ=250`, default sysctls).
//!
//! The kernel's timers are not exact. A timer is kept in a wheel whose buckets get coarser with distance
//! (kernel/time/timer.c: 64 buckets a level, each level eight times coarser), and it fires at the end of its bucket.
//! That is why a SYN is repeated after 1.024 s and not after 1 s, and why each retransmission is a few per cent late.

use crate::kernel::{Span, Time};

/// Length of a jiffy: 4 ms at `CONFIG_HZ=250` (Debian's and most distributions' setting).
pub const JIFFY: Span = Span::from_millis(4);

/// `TCP_TIMEOUT_INIT`: the first SYN is repeated after 1 s (include/net/tcp.h).
pub const SYN_TIMEOUT_JIFFIES: u64 = 250;
/// `net.ipv4.tcp_syn_linear_timeouts`: so many repeats before the interval doubles (Linux ≥ 6.5).
pub const SYN_LINEAR_TIMEOUTS: u32 = 4;
/// `net.ipv4.tcp_syn_retries`: exponential repeats; with the linear ones the connect fails after 131 s.
pub const SYN_RETRIES: u32 = 6;
/// `TCP_RTO_MIN` plus the smoothed round trip of a local network, rounded up: 51 jiffies, 204 ms. Measured ladder: 0.205,
/// 0.413, 0.849, 1.685 s … (specification of HAProxy and TCP, 15.1).
pub const RTO_JIFFIES: u64 = 51;
/// `TCP_RTO_MAX`: 120 s.
pub const RTO_MAX_JIFFIES: u64 = 30_000;
/// `net.ipv4.tcp_retries2` = 15: unacknowledged data is given up after this long (tcp_model_timeout).
pub const RETRIES2_TIMEOUT: Span = Span::from_millis(924_600);
/// `net.ipv4.tcp_orphan_retries` = 0, which means 8: repeats for a socket that its owner has closed.
pub const ORPHAN_RETRIES: u32 = 8;
/// `net.ipv4.neigh.default.base_reachable_time_ms`: an entry is trusted for a random 0.5 to 1.5 times this long.
pub const BASE_REACHABLE_TIME: Span = Span::from_secs(30);
/// `net.ipv4.neigh.default.delay_first_probe_time`: 5 s.
pub const DELAY_FIRST_PROBE_JIFFIES: u64 = 1_250;
/// `net.ipv4.neigh.default.retrans_time_ms`: 1 s between probes; three of them (`ucast_solicit`, `mcast_solicit`).
pub const PROBE_JIFFIES: u64 = 250;
/// How many probes before an entry fails.
pub const PROBES: u32 = 3;

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
pub fn syn_interval_jiffies(sent: u32) -> u64 {
    let doublings = sent.saturating_sub(SYN_LINEAR_TIMEOUTS + 1);
    SYN_TIMEOUT_JIFFIES << doublings
}

/// How many SYNs are sent at the most.
pub const SYNS: u32 = 1 + SYN_LINEAR_TIMEOUTS + SYN_RETRIES;

/// How many jiffies pass between retransmission number `done` (0: the first transmission) and the next one: the tail-loss
/// probe comes after one interval and does not back off, the retransmissions proper double from there.
pub fn retransmit_interval_jiffies(done: u32) -> u64 {
    (RTO_JIFFIES << done.saturating_sub(1).min(20)).min(RTO_MAX_JIFFIES)
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
        for (ours, theirs) in ladder(retransmit_interval_jiffies, 10).iter().zip(measured) {
            assert!((ours / theirs - 1.0).abs() < 0.06, "{ours} against {theirs}");
        }
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
