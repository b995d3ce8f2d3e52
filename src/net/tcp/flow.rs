//! How much lies between a writer and a reader that does not read: the arithmetic of one direction's buffers.
//!
//! Bytes are counted from the moment at which the flow began, by four positions: what the program wrote, what the sender's
//! kernel took, what reached the receiver's kernel, what its program read. Between the first two lies the program's own
//! output buffer, between the second and third the send buffer, between the last two the receive queue.
//!
//! Both kernels pay for memory, not for bytes: each buffer (`sk_buff`) costs [`SKB`] on top of what it carries. One carries at
//! most [`FRAGMENTS`] writes, and the receiver joins what arrives to the last one only when the sender has let go of that,
//! which it does at the acknowledgement. While nobody reads, the window does not grow, and so acknowledgements come late
//! (40 ms): a burst of small segments lies there unjoined. The send buffer is as large as the congestion window allows
//! (`tcp_sndbuf_expand`), which opens with each acknowledgement.
//!
//! Measured with `ss -tmi` on real programs (Linux 6.18, cubic, Ethernet frames of 1500 bytes): a subscriber that stops holds 94 kB of
//! messages of 1 kB in 124 kB of memory, 126 kB of messages of 100 kB in 128 kB; its sender 46 080, 198 144 or 317 952 bytes at
//! congestion windows of 10, 43 and 69 segments; on the loopback interface 2 626 560.
//!
//! Not modelled: what a connection learnt while its program read (a flow begins with the buffers and windows of a new connection), pacing,
//! another congestion control than slow start before the first loss, collapsing of the receive queue (`tcp_collapse`).

use std::collections::VecDeque;

use crate::kernel::Time;
use crate::net::linux::{
    DEAD_BACKOFFS, FIRST_WINDOW, FRAGMENTS, INITIAL_CONGESTION_WINDOW, ORPHAN_RETRIES, RECEIVE_BUFFER,
    RECEIVE_BUFFER_MAX, SEND_BUFFER_MAX, SKB, send_buffer,
};

/// What a program writes at once from its output buffer (`PROTO_REPLY_CHUNK_BYTES` of Redis, `tune.bufsize` of HAProxy).
const CHUNK: u64 = 16_384;
/// What a program writes before it looks at its other sockets (`NET_MAX_WRITES_PER_EVENT` of Redis).
const WRITES_AT_ONCE: u64 = 65_536;

/// A buffer of the send queue.
#[derive(Clone, Copy, Debug)]
struct Skb {
    bytes: u64,
    fragments: u32,
}

/// The buffers of one direction.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// What the sockets agreed on.
    mss: u64,
    /// What a segment carries: at most half of the largest window (`tcp_bound_to_half_wnd`).
    segment: u64,
    written: u64,
    accepted: u64,
    sent: u64,
    read: u64,
    /// The send queue that was not sent yet.
    unsent: VecDeque<Skb>,
    /// Memory of the send queue (`sk_wmem_queued`).
    memory: u64,
    /// The part of it that was sent and not acknowledged.
    unacknowledged: u64,
    /// Segments sent and not acknowledged.
    in_flight: u32,
    /// `snd_cwnd`
    congestion_window: u32,
    /// `sk_sndbuf`
    send_buffer: u64,
    /// The program waits until it can write (`SOCK_NOSPACE`).
    wants_room: bool,
    /// Buffers of the receive queue by the position of their last byte.
    received: VecDeque<u64>,
    /// Writes in the last of them, and whether the sender still holds it.
    tail: (u32, bool),
    /// `sk_rcvbuf`
    receive_buffer: u64,
    /// The end of the window: nothing is sent beyond.
    edge: u64,
    /// What was sent when it was last acknowledged.
    acknowledged: u64,
    /// When the receiver acknowledges what it has, if nobody reads meanwhile.
    pub(super) acknowledges_at: Option<Time>,
    /// Window probes since the window closed.
    pub(super) probes: u32,
}

impl Flow {
    /// A direction with segments of `mss` bytes, in whose receive queue `unread` bytes in `messages` messages lie.
    pub(super) fn new(mss: u64, unread: u64, messages: u32) -> Flow {
        // Those came one by one, each acknowledged before the next.
        let skbs = messages.div_ceil(FRAGMENTS).max(u32::from(unread > 0)) as u64;
        let received = (1..=skbs).map(|place| unread * place / skbs).collect();
        let mut flow = Flow {
            mss,
            segment: mss.min(FIRST_WINDOW / 2),
            written: unread,
            accepted: unread,
            sent: unread,
            read: 0,
            unsent: VecDeque::new(),
            memory: 0,
            unacknowledged: 0,
            in_flight: 0,
            congestion_window: INITIAL_CONGESTION_WINDOW,
            send_buffer: send_buffer(INITIAL_CONGESTION_WINDOW, mss),
            wants_room: false,
            received,
            tail: (messages % FRAGMENTS, false),
            receive_buffer: RECEIVE_BUFFER,
            edge: FIRST_WINDOW,
            acknowledged: unread,
            acknowledges_at: None,
            probes: 0,
        };
        flow.update_window();
        flow
    }

    /// What the program has written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// What has reached the receiver's kernel.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// What lies in the program's own output buffer.
    pub(super) fn backlog(&self) -> u64 {
        self.written - self.accepted
    }

    /// Whether something waits for an acknowledgement: to be sent, or to be taken from the program.
    pub(super) fn waits(&self) -> bool {
        !self.unsent.is_empty() || self.wants_room
    }

    /// Whether segments are on their way.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether all that was written has been read.
    pub(super) fn is_drained(&self) -> bool {
        self.read == self.written
    }

    /// Whether the kernel of a socket that its owner closed gives up probing a closed window (`tcp_probe_timer`).
    pub(super) fn is_given_up(&self) -> bool {
        self.probes >= ORPHAN_RETRIES.max(DEAD_BACKOFFS)
    }

    /// The program writes a message.
    pub(super) fn write(&mut self, bytes: u64) {
        let waits = self.backlog() > 0;
        self.written += bytes;
        if !waits {
            self.accepted += self.take(bytes);
            self.wants_room |= self.backlog() > 0;
        }
    }

    /// What the program has not handed to the kernel is discarded. Returns up to where it was taken.
    pub(super) fn discard_backlog(&mut self) -> u64 {
        self.written = self.accepted;
        self.wants_room = false;
        self.accepted
    }

    /// `tcp_sendmsg`: as many of `bytes` as the send buffer takes.
    fn take(&mut self, bytes: u64) -> u64 {
        // `tcp_xmit_size_goal`
        let goal = FIRST_WINDOW / 2 / self.segment * self.segment;
        let mut left = bytes;
        while left > 0 {
            match self.unsent.back_mut() {
                Some(last) if last.fragments < FRAGMENTS && last.bytes < goal => {
                    let part = left.min(goal - last.bytes);
                    last.bytes += part;
                    last.fragments += 1;
                    self.memory += part;
                    left -= part;
                }
                _ if self.memory >= self.send_buffer => break,
                _ => {
                    self.memory += SKB;
                    self.unsent.push_back(Skb { bytes: 0, fragments: 0 });
                }
            }
        }
        bytes - left
    }

    /// `tcp_write_xmit`: sends what the windows allow. `probe` sends less than a segment, too.
    pub(super) fn transmit(&mut self, probe: bool) {
        while let Some(first) = self.unsent.front_mut() {
            if self.in_flight >= self.congestion_window {
                return;
            }
            let window = self.edge.saturating_sub(self.sent);
            let room = window.min((self.congestion_window - self.in_flight) as u64 * self.segment);
            let part = match () {
                () if first.bytes <= room => first.bytes,
                () if probe => room.min(self.segment),
                () => room / self.segment * self.segment,
            };
            if part == 0 {
                return;
            }
            let fragments = (first.fragments as u64 * part).div_ceil(first.bytes) as u32;
            if part == first.bytes {
                self.unsent.pop_front();
            } else {
                // `tcp_fragment`
                first.bytes -= part;
                first.fragments -= fragments.min(first.fragments - 1);
                self.memory += SKB;
            }
            self.unacknowledged += part + SKB;
            self.in_flight += part.div_ceil(self.segment) as u32;
            self.arrives(part, fragments);
        }
    }

    /// `tcp_queue_rcv`: a buffer joins the last one of the receive queue, or lies beside it.
    fn arrives(&mut self, bytes: u64, fragments: u32) {
        self.sent += bytes;
        let (joined, held) = self.tail;
        match self.received.back_mut() {
            Some(end) if !held && joined + fragments <= FRAGMENTS => {
                *end = self.sent;
                self.tail = (joined + fragments, false);
            }
            _ => {
                self.received.push_back(self.sent);
                self.tail = (fragments, true);
            }
        }
    }

    /// Memory of the receive queue (`sk_rmem_alloc`).
    fn received_memory(&self) -> u64 {
        self.sent - self.read + self.received.len() as u64 * SKB
    }

    /// `__tcp_select_window`: half of the free memory counts as window; one below a sixteenth of the whole is closed.
    fn offered(&self) -> u64 {
        let free = self.receive_buffer.saturating_sub(self.received_memory()) / 2;
        if free < self.receive_buffer / 32 { 0 } else { free }
    }

    /// The window never shrinks (`tcp_shrink_window` = 0).
    fn update_window(&mut self) {
        self.edge = self.edge.max(self.sent + self.offered());
    }

    /// The program has read up to a position. Returns whether the receiver says so at once (`tcp_cleanup_rbuf`): the window
    /// is at least twice what the sender knows.
    pub(super) fn read_to(&mut self, position: u64) -> bool {
        self.read = self.read.max(position.min(self.sent));
        while self.received.front().is_some_and(|&end| end <= self.read) {
            self.received.pop_front();
        }
        let known = self.edge.saturating_sub(self.sent);
        let offered = self.offered();
        2 * known <= self.receive_buffer / 2 && offered > 0 && offered >= 2 * known
    }

    /// All that was sent is acknowledged, with the present window.
    pub(super) fn acknowledge(&mut self) {
        let acknowledged = std::mem::take(&mut self.in_flight);
        // Slow start opens only a window that was used (`tcp_is_cwnd_limited`).
        if self.congestion_window < 2 * acknowledged {
            self.congestion_window += acknowledged;
        }
        self.memory -= std::mem::take(&mut self.unacknowledged);
        self.tail.1 = false;
        self.acknowledges_at = None;
        // A program that reads all of half a window gets twice the buffer (`tcp_rcv_space_adjust`).
        if self.read == self.sent && self.sent - self.acknowledged >= self.receive_buffer / 4 {
            self.receive_buffer = (2 * self.receive_buffer).min(RECEIVE_BUFFER_MAX);
        }
        self.acknowledged = self.sent;
        let before = self.edge;
        self.update_window();
        if self.edge > before {
            self.probes = 0;
        }
        self.transmit(false);
        self.make_room();
    }

    /// `tcp_check_space`: the send buffer grows with the congestion window, and a program that waits is told when a third of
    /// it is free (`sk_stream_is_writeable`).
    pub(super) fn make_room(&mut self) {
        if !self.wants_room {
            return;
        }
        if self.in_flight < self.congestion_window {
            let wanted = send_buffer(self.congestion_window, self.mss).min(SEND_BUFFER_MAX);
            self.send_buffer = self.send_buffer.max(wanted);
        }
        self.wants_room = false;
        let mut taken = 0;
        while self.backlog() > 0 {
            if taken % WRITES_AT_ONCE == 0 && 3 * self.memory > 2 * self.send_buffer || self.memory >= self.send_buffer
            {
                self.wants_room = true;
                break;
            }
            let chunk = self.backlog().min(CHUNK).min(WRITES_AT_ONCE - taken % WRITES_AT_ONCE);
            let part = self.take(chunk);
            self.accepted += part;
            taken += part;
        }
        self.transmit(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::linux::{ETHERNET_MSS, LOOPBACK_MSS};

    /// Writes messages of `bytes` until the program's own buffer holds something; `burst` of them between two acknowledgements.
    fn filled(mss: u64, bytes: u64, burst: u64) -> Flow {
        let mut flow = Flow::new(mss, 0, 0);
        let mut quiet = 0;
        while quiet < 20 {
            let before = flow.accepted;
            for _ in 0..burst {
                flow.write(bytes);
                flow.transmit(false);
            }
            flow.acknowledge();
            quiet = if flow.accepted > before { 0 } else { quiet + 1 };
        }
        flow
    }

    fn held(flow: &Flow) -> u64 {
        flow.accepted - flow.read
    }

    #[test]
    fn a_stopped_reader_holds_what_real_ones_were_seen_to_hold() {
        // Messages of 1067 bytes, one a millisecond: 94 kB there, 309 kB here (403 kB together, three runs).
        let flow = filled(ETHERNET_MSS, 1_067, 40);
        assert!((85_000..120_000).contains(&flow.sent), "{flow:?}");
        assert!((62..76).contains(&flow.congestion_window), "69 there: {flow:?}");
        assert!((370_000..440_000).contains(&held(&flow)), "{flow:?}");
        // 36 bytes, 19 000 a second: 236, 255 and 389 kB in three runs.
        let flow = filled(ETHERNET_MSS, 36, 760);
        assert!((200_000..390_000).contains(&held(&flow)), "{flow:?}");
        // On the loopback interface nothing has to open first: 2.65 and 2.74 MB.
        assert_eq!(Flow::new(LOOPBACK_MSS, 0, 0).send_buffer, 2_626_560);
    }

    #[test]
    fn small_messages_cost_more_than_they_carry() {
        let (small, large) = (filled(ETHERNET_MSS, 36, 1), filled(ETHERNET_MSS, 16_384, 1));
        assert!(small.sent < large.sent, "{} {}", small.sent, large.sent);
        assert!(small.sent >= FIRST_WINDOW - 2_000, "what was offered once is taken");
        assert!((RECEIVE_BUFFER - 10_000..RECEIVE_BUFFER + 2_000).contains(&large.received_memory()), "{large:?}");
    }

    #[test]
    fn nothing_is_lost_and_a_reader_opens_the_window() {
        let mut flow = filled(ETHERNET_MSS, 1_000, 10);
        let (written, window) = (flow.written(), flow.receive_buffer);
        assert!(!flow.read_to(flow.read + 1), "one byte is no news");
        for _ in 0..10_000 {
            flow.read_to(flow.sent());
            flow.acknowledge();
        }
        assert_eq!((flow.sent(), flow.backlog(), flow.memory), (written, 0, 0));
        assert!(flow.is_drained() && flow.received.is_empty());
        assert!(flow.receive_buffer > window, "who reads all gets more: {flow:?}");
    }

    #[test]
    fn the_send_buffer_is_that_of_its_congestion_window() {
        let sizes = [10, 17, 43, 69].map(|window| send_buffer(window, ETHERNET_MSS));
        assert_eq!(sizes, [46_080, 78_336, 198_144, 317_952]);
    }
}
