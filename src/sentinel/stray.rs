//! Putting strays right; any Sentinel does it, not only a leader (spec 16; in `sentinelRefreshInstanceInfo`).

use super::instance::{Master, flag};
use super::process::Pass;
use crate::record::SentinelEventKind;
use crate::wire::Role;

/// `sentinelMasterLooksSane`
fn looks_sane(master: &Master, pass: &Pass<'_>) -> bool {
    master.own.role_reported == Some(Role::Master)
        && !master.own.is(flag::S_DOWN | flag::O_DOWN)
        && pass.now() - master.own.info_refresh < pass.process.periods.info * 2
}

/// A replica reports master, and this is no promotion that was waited for (spec 16.1).
pub(super) fn convert_to_slave(master: &mut Master, index: usize, pass: &mut Pass<'_>) {
    let wait = pass.process.periods.publish * 4;
    let now = pass.now();
    let slave = &master.slaves[index];
    let ripe = !slave.is(flag::PROMOTED)
        && looks_sane(master, pass)
        && slave.no_down_for(wait, now)
        && now - slave.role_reported_time > wait;
    if ripe {
        send(master, index, SentinelEventKind::ConvertToSlave, pass);
    }
}

/// A replica reports that it follows another address than the master's (spec 16.2).
pub(super) fn fix_slave_config(master: &mut Master, index: usize, pass: &mut Pass<'_>) {
    let wait = master.failover_timeout;
    let now = pass.now();
    let (addr, slave) = (master.own.addr, &master.slaves[index]);
    let follows_master = slave.slave_master_port == addr.port && slave.slave_master_host == Some(addr.host);
    let ripe = !follows_master
        && looks_sane(master, pass)
        && slave.no_down_for(wait, now)
        && now - slave.slave_conf_change_time > wait;
    if ripe {
        send(master, index, SentinelEventKind::FixSlaveConfig, pass);
    }
}

fn send(master: &mut Master, index: usize, kind: SentinelEventKind, pass: &mut Pass<'_>) {
    let addr = master.own.addr;
    let slave = &mut master.slaves[index];
    if slave.send_slaveof(Some(addr), pass) {
        pass.about(kind, slave.who(addr));
    }
}
