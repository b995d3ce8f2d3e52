//! The ends of a connection that its program wants: FIN, half-close, RST.

use super::endpoint::Phase;
use super::{Carrier, Context, Header, Kind, Net};
use crate::kernel::Time;
use crate::program::Sock;

impl Net {
    /// A program closes a socket at `at`. With unread input the peer gets RST instead of FIN.
    pub fn close<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.orphan {
            return;
        }
        let unread = endpoint.unread > 0 || !endpoint.held.is_empty();
        match endpoint.phase {
            Phase::Connecting { .. } | Phase::Dead => self.release(sock, cx.handles),
            Phase::Open if unread => self.reset(sock, at, cx),
            Phase::Open => {
                endpoint.orphan = true;
                if !std::mem::replace(&mut endpoint.fin_queued, true) {
                    self.discard_backlog(sock, cx.handles);
                    self.write_end(sock, at, cx);
                } else if endpoint.fin_delivered {
                    self.release(sock, cx.handles);
                }
            }
        }
    }

    /// A program sends FIN but goes on reading.
    pub fn shutdown_write<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if endpoint.phase == Phase::Open && !std::mem::replace(&mut endpoint.fin_queued, true) {
            self.write_end(sock, at, cx);
        }
    }

    /// FIN, behind all that was written.
    fn write_end<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        match self.endpoint(sock).is_some_and(|endpoint| endpoint.pressure.is_some()) {
            true => self.press(sock, Kind::Fin, at, cx),
            false => self.write(sock, Kind::Fin, at, cx),
        }
    }

    /// A program resets a connection: RST goes out once, everything unsent is discarded.
    pub fn reset<E: Carrier>(&mut self, sock: Sock, at: Time, cx: &mut Context<'_, E>) {
        let Some(endpoint) = self.endpoint(sock) else { return };
        if let (Phase::Open, Some(peer)) = (endpoint.phase, endpoint.peer) {
            let (from_host, to_host, floor) = (endpoint.host, endpoint.peer_host, endpoint.last_arrival);
            self.fire_and_forget(Header::control(sock, peer, from_host, to_host), Kind::Rst, at, floor, cx);
        }
        self.release(sock, cx.handles);
    }
}
