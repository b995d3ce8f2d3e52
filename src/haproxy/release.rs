//! What the releases of HAProxy do differently (docs/behaviour/releases.md). Checks, verdicts, lines, retries and
//! time-outs are the same in all of them; what differs is how they keep the time after they were stopped.

use super::Config;
use crate::kernel::Span;
use crate::release::{Directive, ProxyRelease, Released};

/// What a release does otherwise than its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// How much longer than asked for a sleep may last before the date counts as wrong (`tv_update_date` of 2.2,
    /// `clock_update_date` later).
    pub oversleep_max: Span,
    /// The longest sleep of the loop, in ms (`MAX_DELAY_MS`).
    pub sleep_ms_max: u64,
    /// Each thread keeps a date of its own and the latest is everybody's, so that a clock which one thread takes to have
    /// jumped may be right for another that slept longer (`clock_update_local_date` since 2.8).
    pub threads_share_date: bool,
    /// It makes resolvers of /etc/resolv.conf (`resolvers_create_default`), whose task runs once a second though there is
    /// nothing to resolve: an idle 2.6.12 sleeps 1001 ms at a time under strace, 2.8.25 until its next check.
    pub idle_resolvers: bool,
}

impl Rules {
    /// `MAX_DELAY_MS` since 2.4.
    pub(super) const LONG_SLEEP_MS: u64 = 60_000;
}

/// 2.6.12.
const BASE: Rules = Rules {
    oversleep_max: Span::from_millis(100),
    sleep_ms_max: Rules::LONG_SLEEP_MS,
    threads_share_date: false,
    idle_resolvers: true,
};
const HAPROXY_2_2: Rules =
    Rules { oversleep_max: Span::from_millis(1_000), sleep_ms_max: 1_000, idle_resolvers: false, ..BASE };
const SINCE_2_8: Rules = Rules { threads_share_date: true, idle_resolvers: false, ..BASE };

pub(super) fn rules(release: ProxyRelease) -> &'static Rules {
    match release {
        ProxyRelease::Haproxy2_2 => &HAPROXY_2_2,
        ProxyRelease::Haproxy2_6 => &BASE,
        ProxyRelease::Haproxy2_8 | ProxyRelease::Haproxy3_0 => &SINCE_2_8,
    }
}

impl Released for Config {
    type Release = ProxyRelease;

    fn release(&self) -> ProxyRelease {
        self.release
    }

    fn of(release: ProxyRelease) -> Config {
        Config { release, ..Config::default() }
    }

    /// All that is modelled is in all of them.
    const DIRECTIVES: &'static [Directive<ProxyRelease>] = &[];
}
