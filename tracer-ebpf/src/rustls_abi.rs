//! What the BPF programs and userspace share about rustls: what a site's programs are told, the keys
//! that a connection uses after each other (epochs), and what ties them to a socket.
//! Plain data, as all of this library.

use core::fmt;

/// How a message that is to be encrypted, and what was decrypted, lie in memory.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Since 0.23: the payload may be several pieces, and is decrypted in place.
    Chunks = 1,
    /// 0.22: the payload is one piece, and is decrypted in a buffer of its own.
    Slice = 2,
}

impl fmt::Display for Layout {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(match self {
            Self::Chunks => "layout of 0.23",
            Self::Slice => "layout of 0.22",
        })
    }
}

/// The parameter of a site ([`crate::Cookie::parameter`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RustlsSite {
    pub layout: Layout,
    /// Bytes that encryption adds to a payload.
    pub added: u8,
}

impl RustlsSite {
    #[inline(always)]
    pub fn parameter(self) -> i64 {
        i64::from(self.layout as u8) | i64::from(self.added) << 8
    }

    /// `None`: no site's parameter.
    #[inline(always)]
    pub fn of(parameter: i64) -> Option<Self> {
        let layout = match parameter & 0xff {
            1 => Layout::Chunks,
            2 => Layout::Slice,
            _ => return None,
        };
        Some(Self { layout, added: (parameter >> 8) as u8 })
    }
}

/// In [`crate::Header::flags`]: the bytes are an epoch's ([`crate::Header::connection`] is its number, and
/// the offset counts from its beginning) whose connection is not known yet.
pub const FLAG_APART: u32 = 2;

/// Payload of [`crate::Kind::Joined`]: whose an epoch's bytes are, which were told apart. The header's
/// connection has them; 0: nothing will become of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Joined {
    pub epoch: u64,
    /// Where they begin in their direction of the connection.
    pub offset: u64,
}

/// In [`Epoch::flags`]: it sends.
pub const EPOCH_SENDS: u32 = 1;
/// In [`Epoch::flags`]: its first record was one that only a handshake has.
pub const EPOCH_HANDSHAKE: u32 = 2;
/// In [`Epoch::flags`]: [`Epoch::success`] is known.
pub const EPOCH_SUCCEEDED: u32 = 4;

/// One key of one direction, from its record 0 on. Map `EPOCHS`, key: process and address of the
/// encrypter or decrypter, which is used anew.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch {
    /// Unique while the tracer lives.
    pub id: u64,
    /// The inode of its socket, or 0 while that is not known.
    pub socket: u64,
    /// Sequence number of its next record.
    pub next: u64,
    /// Bytes of plaintext that were told apart.
    pub apart: u64,
    /// Bytes of records that were encrypted while the socket was not known.
    pub wire: u64,
    /// Thread that encrypted last.
    pub thread: u64,
    /// [`crate::Cookie::finding`] of its probes.
    pub finding: u32,
    /// Descriptor of the socket.
    pub fd: u32,
    /// `EPOCH_*`.
    pub flags: u32,
    /// First byte of a result that was a success: what the compiler chose to say so.
    pub success: u32,
}

/// What a socket has yet to be given. Map `OUTGOING`, key: process and inode of the socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing {
    /// Address of the encrypter whose records it gets.
    pub owner: u64,
    /// Bytes of that one's records that were encrypted and not yet written.
    pub outstanding: u64,
}

/// What a thread last received on a socket. Map `RECEIVED`, key: pid and thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    pub socket: u64,
    pub buffer: u64,
    pub len: u64,
    pub fd: u32,
    pub reserved: u32,
}

/// A record that was encrypted for a socket that is not known yet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sealed {
    /// Address of the encrypter, and [`Epoch::id`] of what it was then. 0: no record.
    pub object: u64,
    pub epoch: u64,
    /// [`Epoch::wire`] before the record.
    pub before: u64,
    /// Its length in its header.
    pub len: u64,
}

/// Epochs of a thread that wait for their socket at a time.
pub const WAITING: usize = 4;

/// What a thread has encrypted and not yet written. Map `WAITING`, key: pid and thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    pub records: [Sealed; WAITING],
}
