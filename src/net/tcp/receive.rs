//! What arrives, and what the program hears of it.

use std::cmp::Ordering;

use super::endpoint::Phase;
use super::retransmit::Written;
use super::{Carrier, Context, Delivery, Header, Kind, Net};
use crate::program::{ConnectError, Ended, Input, Sock};
use crate::wire::HostId;

impl Net {
    #[inline]
    pub(super) fn arrive<E: Carrier>(&mut self, index: u32, cx: &mut Context<'_, E>) -> Option<Delivery> {
        let now = cx.kernel.now();
        let segment = self.segment(index)?;
        let header = segment.header;
        let data = matches!(segment.kind, Kind::Data(_));
        let numbered = data || matches!(segment.kind, Kind::Fin);
        let Header { from, to, from_host, to_host, number } = header;
        if self.topology.is_blocked(from_host, to_host) || !self.hosts[to_host.0 as usize].present {
            self.dropped += 1;
            let kind = self.take_segment(index);
            if numbered {
                self.stall(from, Written { number, kind }, now, cx);
            }
            return None;
        }
        self.neighbours.confirm(to_host, from_host, now);
        if numbered && let Some(receiver) = self.endpoint(to) {
            // The SYN-ACK before it was lost: to the client this belongs to no connection yet.
            let unready = matches!(receiver.phase, Phase::Connecting { .. });
            match number.cmp(&receiver.expected) {
                Ordering::Equal if !unready => receiver.expected += 1,
                // Repeated: the receiver discards it.
                Ordering::Less if !unready => {
                    self.take_segment(index);
                    return None;
                }
                // One before it is missing: the program does not see it until that one is repeated.
                _ => {
                    let kind = self.take_segment(index);
                    self.stall(from, Written { number, kind }, now, cx);
                    return None;
                }
            }
        }
        if data {
            return self.data_arrives(index, header, cx);
        }
        match self.take_segment(index) {
            Kind::Data(_) => unreachable!("data was dealt with"),
            Kind::Fin => {
                if self.topology.is_blocked(to_host, from_host) {
                    self.acknowledgement_lost(from, now, cx);
                }
                if let Some(sender) = self.endpoint(from) {
                    sender.fin_delivered = true;
                    if sender.orphan {
                        self.release(from, cx.handles);
                    }
                }
                let receiver = self.endpoint(to)?;
                if receiver.orphan || receiver.phase == Phase::Dead || std::mem::replace(&mut receiver.eof_seen, true) {
                    return None;
                }
                receiver.last_heard = now;
                self.tell_end(to, Ended::Eof)
            }
            Kind::Rst => {
                let receiver = self.endpoint(to)?;
                match receiver.phase {
                    Phase::Connecting { .. } => self.connect_fails(to, ConnectError::Refused),
                    Phase::Open => self.die(to, Ended::Reset, cx),
                    Phase::Dead => None,
                }
            }
            Kind::Syn(addr) => self.syn_arrives(header, addr, cx),
            Kind::SynAck => self.syn_ack_arrives(header, cx),
            Kind::Refuse => self.connect_fails(to, ConnectError::Refused),
        }
    }

    /// The next data of a connection reaches its host. The message stays where it is until it is known what becomes of it,
    /// and is moved once.
    #[inline]
    pub(super) fn data_arrives<E: Carrier>(
        &mut self,
        index: u32,
        Header { from, to, from_host, to_host, .. }: Header,
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let reverse_blocked = self.topology.is_blocked(to_host, from_host);
        let version = self.topology.version();
        let Some(receiver) = self.endpoint(to).filter(|receiver| !receiver.orphan) else {
            self.take_segment(index);
            return self.data_for_nobody(from, to, (from_host, to_host), cx);
        };
        receiver.last_heard = now;
        let (node, token, waits) = (receiver.owner, receiver.token, receiver.holds());
        if receiver.phase == Phase::Dead {
            self.take_segment(index);
            return None;
        }
        if reverse_blocked {
            self.acknowledgement_lost(from, now, cx);
        } else if receiver.settled != version && !self.topology.is_local() {
            self.learn_round_trip(from, to, from_host, to_host);
        }
        let Kind::Data(message) = self.take_segment(index) else { unreachable!("it is data") };
        let delivery = Delivery { node, sock: to, input: Input::Data { token, message } };
        if !waits {
            return Some(delivery);
        }
        self.endpoint(to).expect("just seen").held.push_back(delivery);
        None
    }

    /// The sender of a segment that reached `receiver` gets another sample of the round trip.
    pub(super) fn learn_round_trip(&mut self, sender: Sock, receiver: Sock, from: HostId, to: HostId) {
        let slow = self.topology.link(from, to).latency.0 + self.topology.link(to, from).latency.0 >= 1_000_000;
        let sample = self.round_trip(from, to);
        let Some(endpoint) = self.endpoint(sender) else { return };
        let before = endpoint.round_trips;
        if slow || !before.is_local() {
            endpoint.round_trips.sample(sample);
        }
        if endpoint.round_trips == before {
            let version = self.topology.version();
            self.endpoint(receiver).expect("it got the segment").settled = version;
        }
    }

    /// Tells the program of an end, after what it has not read yet.
    pub(super) fn tell_end(&mut self, sock: Sock, how: Ended) -> Option<Delivery> {
        let endpoint = self.endpoint(sock).expect("an ending endpoint exists");
        let (node, token, waits) = (endpoint.owner, endpoint.token, endpoint.holds());
        let delivery = Delivery { node, sock, input: Input::Ended { token, how } };
        if !waits {
            return Some(delivery);
        }
        endpoint.held.push_back(delivery);
        None
    }

    pub(super) fn die<E: Carrier>(&mut self, sock: Sock, how: Ended, cx: &mut Context<'_, E>) -> Option<Delivery> {
        let endpoint = self.endpoint(sock).expect("a dying endpoint exists");
        endpoint.phase = Phase::Dead;
        endpoint.stall = None;
        self.forget_pressure(sock, cx);
        let endpoint = self.endpoint(sock).expect("a dying endpoint exists");
        if endpoint.orphan {
            self.release(sock, cx.handles);
            return None;
        }
        self.tell_end(sock, how)
    }

    /// Data reached a closed socket: RST goes back.
    pub(super) fn data_for_nobody<E: Carrier>(
        &mut self,
        sender: Sock,
        receiver: Sock,
        (sender_host, receiver_host): (HostId, HostId),
        cx: &mut Context<'_, E>,
    ) -> Option<Delivery> {
        let now = cx.kernel.now();
        let floor = self.endpoint(receiver).map_or(now, |receiver| receiver.last_arrival);
        let header = Header::control(receiver, sender, receiver_host, sender_host);
        self.fire_and_forget(header, Kind::Rst, now, floor.max(now), cx);
        if self.endpoint(receiver).is_some() {
            self.release(receiver, cx.handles);
        }
        None
    }
}
