//! INFO and ROLE (server.c `genRedisInfoString`; spec 30).

use super::replica::LinkState;
use super::{Redis, unixtime};
use crate::kernel::Span;
use crate::program::Out;
use crate::wire::{Info, InfoReplica, MasterLink, ReplicaState, RoleInfo};

impl Redis {
    /// `slave_repl_offset`: 1 if there is neither a master nor a cached one.
    fn applied_offset(&self) -> u64 {
        if self.link.is_up() { self.history.offset } else { self.link.cached.map_or(1, |(_, offset)| offset) }
    }

    /// INFO.
    pub(super) fn info(&self, out: &Out) -> Info {
        let now_s = unixtime(out);
        let link = self.link.master.map(|master| {
            let up = self.link.is_up();
            let never = self.link.down_since == 0 && !self.config.rules().down_since_epoch;
            let down = if never { -1 } else { now_s - self.link.down_since };
            MasterLink {
                master,
                by_name: self.link.by_name,
                up,
                down_since_s: (!up).then_some(down),
                offset: self.applied_offset(),
                priority: self.config.replica_priority,
                announced: self.config.replica_announced,
                sync_in_progress: self.link.state == LinkState::Transfer,
            }
        });
        let replicas = self.streamed_replicas().map(|slot| {
            let client = self.clients.get(slot).expect("the list of replicas holds clients");
            let replica = client.attached.as_ref().expect("the list of replicas holds replicas");
            let lag = if replica.state == ReplicaState::Online { now_s - replica.ack_time } else { 0 };
            InfoReplica {
                addr: client.replica_addr(),
                state: replica.state,
                offset: replica.ack_offset,
                lag_s: lag.max(0) as u64,
            }
        });
        let shutdown_in = self.shutdown.until_ms().map(|until| (until - out.wall_ms()).max(0) as u64);
        Info {
            run_id: self.run_id,
            role: self.role(),
            link,
            replicas: replicas.collect(),
            replid: self.history.replid,
            replid2: self.history.replid2,
            offset: self.history.offset,
            second_offset: self.history.second_offset,
            loading: self.loading.is_some(),
            shutdown_in: shutdown_in.map(Span::from_millis),
            connected_clients: (self.clients.len() - self.replicas.len()) as u32,
        }
    }

    /// ROLE.
    pub(super) fn role_info(&self) -> RoleInfo {
        match self.link.master {
            None => {
                let online = self.replicas.iter().filter_map(|&slot| {
                    let client = self.clients.get(slot)?;
                    let replica = client.attached.as_ref()?;
                    (replica.state == ReplicaState::Online).then(|| (client.replica_addr(), replica.ack_offset))
                });
                RoleInfo::Master { offset: self.history.offset, replicas: online.collect() }
            }
            Some(master) => {
                let offset = if self.link.is_up() { self.history.offset as i64 } else { -1 };
                RoleInfo::Slave { master, state: self.link.state_word(), offset }
            }
        }
    }
}
