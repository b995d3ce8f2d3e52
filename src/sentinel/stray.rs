//! Putting strays right; any Sentinel does it, not only a leader (spec 16; in `sentinelRefreshInstanceInfo`).

use super::instance::{Master, flag};
use super::process::Pass;
use crate::mistake::Mistake;
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
    let ripe = !pass.out.mistaken(Mistake::NoConversion)
        && !slave.is(flag::PROMOTED)
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
    let follows_master = slave.slave_master_port == addr.port && slave.slave_master_host == Some(addr.ip);
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

#[cfg(test)]
mod tests {
    use crate::record::SentinelEventKind::*;
    use crate::sentinel::testing::{Lab, Mode, addr, when};
    use crate::wire::{Command, Role};

    #[test]
    fn a_replica_that_says_master_is_demoted_at_its_second_info() {
        let mut lab = Lab::ready(2, 0);
        lab.events();
        // Just after an INFO, so that the next one shows the role.
        let last = lab.peer(2).received.iter().rev().find(|r| matches!(r.1, Command::Info(_))).map(|r| r.0);
        let next = last.expect("it was asked") + 10_000;
        lab.peer(2).info.role = Role::Master;
        lab.run(25_000);
        let converted = when(&lab.events(), ConvertToSlave, 2).expect("it is demoted");
        assert!((10_000..=10_310).contains(&(converted - next)), "not after 8 s: {}", converted - next);
        assert_eq!(lab.peer(2).info.role, Role::Slave);
    }

    #[test]
    fn nobody_is_demoted_while_the_master_is_not_sane() {
        let mut lab = Lab::ready(2, 0);
        lab.peer(1).mode = Mode::Silent;
        lab.run(6_500);
        lab.peer(2).info.role = Role::Master;
        lab.events();
        lab.run(40_000);
        assert!(when(&lab.events(), ConvertToSlave, 2).is_none());
    }

    #[test]
    fn a_replica_that_names_its_master_is_pointed_to_the_address_once() {
        let mut lab = Lab::ready(2, 0);
        lab.peer(2).info.link.as_mut().expect("a replica").by_name = true;
        lab.events();
        let since = lab.now_ms();
        lab.run(25_000);
        let fixed = when(&lab.events(), FixSlaveConfig, 2).expect("it is fixed") - since;
        assert!((10_000..=21_300).contains(&fixed), "{fixed}");
        lab.run(60_000);
        assert!(when(&lab.events(), FixSlaveConfig, 2).is_none(), "once is enough");
    }

    #[test]
    fn a_replica_of_another_master_is_put_right_after_the_failover_timeout() {
        let mut lab = Lab::ready(2, 0);
        lab.events();
        let link = lab.peer(2).info.link.as_mut().expect("a replica");
        link.master = addr(3);
        link.down_since_s = Some(3);
        let since = lab.now_ms();
        lab.run(25_000);
        let fixed = when(&lab.events(), FixSlaveConfig, 2).expect("it is fixed") - since;
        assert!((10_000..=21_300).contains(&fixed), "{fixed}");
        assert_eq!(lab.peer(2).info.link.expect("a replica").master, addr(1));
    }
}
