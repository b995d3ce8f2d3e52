//! The endpoints of connections: who is in use, and how many bytes lie between writer and reader.

use super::Sock;

/// What the kernel can hold for one direction of a connection that is cut or slow while its reader reads, in bytes: send buffer
/// and receive buffer at their automatic maxima (`tcp_wmem` 4 MiB, `tcp_rmem` 6 MiB; about 8 MB were measured through a
/// proxy, spec T22.2). Where the reader does not read, `tcp/flow.rs` counts.
pub const KERNEL_BUFFER_BYTES: u64 = 8 << 20;

/// From so many unread bytes of one direction on it is looked at whether its reader reads. Before that, no buffer of either
/// kernel can be full: the smallest, a send buffer, takes 46 080 bytes (`tcp_init_buffer_space`).
pub const PRESSED_FROM: u64 = 8_192;

#[derive(Clone, Debug, Default)]
struct Slot {
    generation: u32,
    in_use: bool,
    /// Bytes written here and not yet read by the program at the other end.
    queued_bytes: u64,
    /// More queued bytes than this are worth a look: [`PRESSED_FROM`], or 0 where the reader does not read.
    look_from: u64,
    /// Where the reader does not read: bytes that the kernel has not taken.
    backlog_bytes: u64,
    /// Where it does: what the kernel can hold.
    kernel_bytes: u64,
}

/// Allocates endpoints and counts the bytes that lie between writer and reader.
#[derive(Clone, Debug, Default)]
pub struct Handles {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Handles {
    /// A new endpoint.
    pub fn allocate(&mut self) -> Sock {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.in_use = true;
        (slot.queued_bytes, slot.look_from, slot.backlog_bytes) = (0, PRESSED_FROM, 0);
        slot.kernel_bytes = KERNEL_BUFFER_BYTES;
        Sock { index, generation: slot.generation }
    }

    /// Gives an endpoint back.
    ///
    /// # Panics
    /// If it is not in use.
    pub fn release(&mut self, sock: Sock) {
        let slot = &mut self.slots[sock.index as usize];
        assert!(slot.in_use && slot.generation == sock.generation, "an endpoint is released once");
        slot.in_use = false;
        slot.generation += 1;
        self.free.push(sock.index);
    }

    /// Whether this endpoint still exists.
    #[inline]
    pub fn is_live(&self, sock: Sock) -> bool {
        let slot = &self.slots[sock.index as usize];
        slot.in_use && slot.generation == sock.generation
    }

    /// The number of slots ever used at once.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Bytes are on their way from `sock`. Whether there are so many that it matters who reads them.
    #[inline]
    pub fn written(&mut self, sock: Sock, bytes: u64) -> bool {
        let slot = &mut self.slots[sock.index as usize];
        slot.queued_bytes += bytes;
        slot.queued_bytes > slot.look_from
    }

    /// Bytes from `sock` were read at the other end, or discarded. Whether they had been in the way of others.
    #[inline]
    pub fn consumed(&mut self, sock: Sock, bytes: u64) -> bool {
        if !self.is_live(sock) {
            return false;
        }
        let slot = &mut self.slots[sock.index as usize];
        slot.queued_bytes = slot.queued_bytes.saturating_sub(bytes);
        slot.look_from == 0
    }

    /// Bytes written to `sock` and not read at the other end.
    pub fn unread_bytes(&self, sock: Sock) -> u64 {
        self.slots[sock.index as usize].queued_bytes
    }

    /// Bytes written to `sock` that are still in its program.
    #[inline]
    pub fn output_buffer_bytes(&self, sock: Sock) -> u64 {
        let slot = &self.slots[sock.index as usize];
        match slot.look_from {
            0 => slot.backlog_bytes,
            _ => slot.queued_bytes.saturating_sub(slot.kernel_bytes),
        }
    }

    /// The reader of what is written to `sock` does not read.
    pub fn press(&mut self, sock: Sock) {
        self.slots[sock.index as usize].look_from = 0;
    }

    /// So many of the bytes written to `sock` were not taken by the kernel.
    pub fn set_backlog(&mut self, sock: Sock, bytes: u64) {
        self.slots[sock.index as usize].backlog_bytes = bytes;
    }

    /// What the kernel can hold of what is written to `sock`, as long as its reader reads.
    pub fn set_kernel_bytes(&mut self, sock: Sock, bytes: u64) {
        self.slots[sock.index as usize].kernel_bytes = bytes;
    }

    /// All that was written to `sock` has been read.
    pub fn release_pressure(&mut self, sock: Sock) {
        let slot = &mut self.slots[sock.index as usize];
        (slot.look_from, slot.backlog_bytes) = (PRESSED_FROM, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_endpoint_is_dead_and_its_slot_is_used_again() {
        let mut handles = Handles::default();
        let first = handles.allocate();
        handles.release(first);
        let second = handles.allocate();
        assert_eq!(first.index, second.index);
        assert!(!handles.is_live(first) && handles.is_live(second));
    }
}
