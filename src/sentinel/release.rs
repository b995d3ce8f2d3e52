//! What the Sentinels of the releases do differently (docs/behaviour/releases.md): little. Laws, times, order and
//! names of events are the same in all of them.

use super::Config;
use crate::release::{Directive, Released, ServerRelease};

/// What a release does otherwise than its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Each rewriting of the file is logged (`sentinelFlushConfig` since 7.0).
    pub logs_flush: bool,
    /// `fsync` calls of one rewriting: file and again after closing (before 7.0), file, directory and again (7.0), file and
    /// directory (since 7.2) (`rewriteConfigOverwriteFile`, `sentinelFlushConfig`).
    pub fsyncs_per_flush: u32,
    /// A Sentinel whose address another one announces as its own stays in the table, without a port: it counts as a voter and
    /// as known (`sentinelProcessHelloMessage` before 7.0). Since 7.0 it is removed.
    pub keeps_invalid_sentinel: bool,
}

/// 7.0.15.
const BASE: Rules = Rules { logs_flush: true, fsyncs_per_flush: 3, keeps_invalid_sentinel: false };
const BEFORE_7: Rules = Rules { logs_flush: false, fsyncs_per_flush: 2, keeps_invalid_sentinel: true };
const SINCE_7_2: Rules = Rules { fsyncs_per_flush: 2, ..BASE };

pub(super) fn rules(release: ServerRelease) -> &'static Rules {
    match release {
        ServerRelease::Redis6_0 | ServerRelease::Redis6_2 => &BEFORE_7,
        ServerRelease::Redis7_0 => &BASE,
        _ => &SINCE_7_2,
    }
}

const fn since_7(name: &'static str) -> Directive<ServerRelease> {
    Directive { name, since: ServerRelease::Redis7_0, gone: &[] }
}

impl Released for Config {
    type Release = ServerRelease;

    fn release(&self) -> ServerRelease {
        self.release
    }

    fn of(release: ServerRelease) -> Config {
        Config { release, ..Config::default() }
    }

    /// `master-reboot-down-after-period` and `SENTINEL DEBUG` came together.
    const DIRECTIVES: &'static [Directive<ServerRelease>] = &[
        since_7("master-reboot-down-after-period"),
        since_7("info-period"),
        since_7("ping-period"),
        since_7("ask-period"),
        since_7("publish-period"),
        since_7("tilt-trigger"),
        since_7("tilt-period"),
        since_7("slave-reconf-timeout"),
        since_7("min-link-reconnect-period"),
        since_7("election-timeout"),
        since_7("default-down-after"),
        since_7("default-failover-timeout"),
    ];
}
