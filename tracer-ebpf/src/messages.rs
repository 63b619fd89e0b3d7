//! rustls' messages in memory: what is to be encrypted, what is to be decrypted, and what came of that.
//! Takes addresses and the layout that the site's parameter says; gives values that were checked
//! against what TLS allows. What does not fit is no message.

use tracer_ebpf::{Header, Layout};

use crate::{
    records::{Gather, data, gathered},
    user::read,
};

/// Content types as rustls numbers them (`ContentType`; the wire's are 20 and on).
pub(crate) const ALERT: u8 = 1;
pub(crate) const HANDSHAKE: u8 = 2;
pub(crate) const APPLICATION_DATA: u8 = 3;
/// The last is one that rustls does not know.
const LAST_KIND: u8 = 5;

/// Bytes of plaintext in a record at most (RFC 8446 §5.1), and of ciphertext (RFC 5246 §6.2.3).
const PLAINTEXT: u64 = 1 << 14;
const CIPHERTEXT: u64 = PLAINTEXT + 2048;

/// Pieces of one message that are read; what has more is counted as lost.
const PIECES: u64 = 64;

/// The content type of a message to be encrypted lies behind its payload.
const KIND: u64 = 0x20;
const KIND_SLICE: u64 = 0x10;

/// A message that is to be encrypted.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outbound {
    /// One piece: its address. Several: that of their list.
    start: u64,
    /// Of several pieces: how many, and which bytes of them all are meant.
    count: u64,
    from: u64,
    pub(crate) len: u64,
    pub(crate) kind: u8,
}

impl Outbound {
    /// `None`: no message.
    #[inline(always)]
    pub(crate) fn read(layout: Layout, address: u64) -> Option<Self> {
        let message = match layout {
            Layout::Chunks => {
                let [first, second, third, fourth] = read::<[u64; 4]>(address)?;
                let kind = read(address + KIND)?;
                if first == 0 {
                    Self { start: second, count: 0, from: 0, len: third, kind }
                } else {
                    let len = fourth.wrapping_sub(third);
                    Self { start: first, count: second, from: third, len, kind }
                }
            }
            Layout::Slice => {
                let [start, len] = read::<[u64; 2]>(address)?;
                Self { start, count: 0, from: 0, len, kind: read(address + KIND_SLICE)? }
            }
        };
        (message.kind <= LAST_KIND && message.len <= PLAINTEXT).then_some(message)
    }

    /// The first byte, if it is in one piece.
    #[inline(always)]
    pub(crate) fn first(&self) -> Option<u8> {
        if self.count == 0 && self.len > 0 { read(self.start) } else { None }
    }

    /// Writes its bytes into a record.
    #[inline(always)]
    pub(crate) fn copy(&self, header: &Header) {
        if self.count == 0 {
            data(header, self.start, self.len);
        } else {
            gathered(header, self.len, |gather| self.gather(gather));
        }
    }

    #[inline(always)]
    fn gather(&self, gather: &Gather) {
        let mut passed = 0u64;
        for index in 0..PIECES {
            if index >= self.count {
                break;
            }
            let Some([start, len]) = read::<[u64; 2]>(self.start + 16 * index) else { break };
            // Bytes of this piece before those that are meant.
            let before = self.from.saturating_sub(passed);
            passed = passed.wrapping_add(len);
            if before < len && !gather.add(start + before, len - before) {
                break;
            }
        }
    }
}

/// What is to be decrypted: where it lies.
#[derive(Clone, Copy)]
pub(crate) struct Inbound {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Inbound {
    /// `None`: no message.
    #[inline(always)]
    pub(crate) fn read(layout: Layout, address: u64) -> Option<Self> {
        let [first, second, third] = read::<[u64; 3]>(address)?;
        let (start, len) = match layout {
            Layout::Chunks => (first, second),
            Layout::Slice => (second, third),
        };
        (len <= CIPHERTEXT && start.checked_add(len).is_some()).then_some(Self { start, len })
    }
}

/// What `decrypt` gave back.
#[derive(Clone, Copy)]
pub(crate) struct Decrypted {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) kind: u8,
    /// What the result's first byte is: which of success and the errors it is.
    pub(crate) variant: u8,
}

impl Decrypted {
    /// `None`: an error, or no result of that input.
    #[inline(always)]
    pub(crate) fn read(layout: Layout, address: u64, input: &Inbound) -> Option<Self> {
        let [first, second, third, fourth, fifth] = read::<[u64; 5]>(address)?;
        let variant = first as u8;
        let result = match layout {
            Layout::Chunks => Self { start: second, len: third, kind: fourth as u8, variant },
            Layout::Slice => Self { start: third, len: fourth, kind: (fifth >> 32) as u8, variant },
        };
        let inside = result.start >= input.start
            && result.len <= input.len
            && result.start - input.start <= input.len - result.len;
        let is_success = layout == Layout::Chunks || first == 0;
        (is_success && inside && result.kind <= LAST_KIND && result.len <= PLAINTEXT)
            .then_some(result)
    }
}
