//! What capture gives: the life of processes and connections, and the bytes between, in order.
//! Takes nothing from other modules; every later stage (and `replay`) can be driven with these values.
//! Bytes that passed but did not arrive are a [`Data::Gap`], never silence.

use std::{net::SocketAddr, num::NonZeroU64};

/// Nanoseconds of `CLOCK_BOOTTIME`: one clock for kernel and userspace, which suspend does not stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; 0 where the order is reversed.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A connection as the traced process sees it, unique while the tracer lives (never reused).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One program that one pid ran: a new value after each `exec`, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    pub pid: u32,
    pub incarnation: u64,
}

/// Direction of bytes, from the traced process's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Received,
    Sent,
}

impl Direction {
    pub fn opposite(self) -> Self {
        match self {
            Self::Received => Self::Sent,
            Self::Sent => Self::Received,
        }
    }
}

/// Bytes of one direction of a connection, in order and without overlap.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub connection: ConnectionId,
    pub direction: Direction,
    /// Position of the first byte in its direction, counted from where capture began.
    pub offset: u64,
    /// Received: when the library handed the bytes over. Sent: when the program handed them in.
    pub time: Timestamp,
    pub data: Data<'a>,
    /// What ran when the bytes passed; not known of a gap.
    pub caller: Option<Caller>,
}

/// What a process ran when bytes passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Its id, in the initial pid namespace.
    pub thread: u32,
    /// Of a program that schedules by itself on its threads: what of it ran there. The id of a
    /// goroutine, which Go gives once in a process.
    pub task: Option<NonZeroU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    Bytes(&'a [u8]),
    /// That many bytes passed here and were not captured.
    Gap(u64),
}

impl Data<'_> {
    /// Bytes that passed on the wire, captured or not.
    pub fn wire_len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Gap(missing) => *missing,
        }
    }
}

/// How a connection came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From its first byte.
    Created,
    /// It existed before the probes did; what it carried before is unknown.
    JoinedLate,
    /// Taken over by `fork` from the connection of the parent process.
    Inherited(ConnectionId),
}

/// What the plaintext went through on its way to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS: the bytes were read above its library.
    Tls,
    /// Nothing: the bytes are those of the wire.
    Plain,
}

#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub connection: ConnectionId,
    pub process: ProcessId,
    pub time: Timestamp,
    pub origin: Origin,
    pub security: Security,
}

/// Both ends of a socket, where they are known for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

/// What the TLS library said when it ended the receiving direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEnd {
    /// TLS `close_notify` (RFC 8446 §6.1).
    CloseNotify,
    /// The library says that the stream ended, and where a record did; not whether `close_notify` came
    /// or the transport ended alone (Go's `io.EOF`).
    EndOfStream,
    /// The transport ended or broke: end of file without `close_notify`, or a protocol error.
    Broken,
    /// A system call failed, as after a TCP reset.
    SystemCall,
}

impl PeerEnd {
    /// The peer may have ended its sending half alone, and still read (RFC 8446 §6.1).
    pub fn may_be_half(self) -> bool {
        matches!(self, Self::CloseNotify | Self::EndOfStream)
    }
}

/// Why a connection is over for the traced process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The program freed the TLS object, or made another at its address.
    Freed,
    /// The process ended.
    ProcessExited,
    /// The process executed another program.
    ProcessExecuted,
    /// llmtap stopped, or its filters leave the connection out from here on; it lives on.
    TracerStopped,
    /// Its end was not captured: another has its place.
    Unseen,
}

#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub connection: ConnectionId,
    pub time: Timestamp,
    pub cause: CloseCause,
    /// When the program last asked for data and got none, if that was after the last data.
    pub last_empty_read: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
pub enum ProcessEvent {
    /// Seen for the first time (traced from here on).
    Appeared {
        process: ProcessId,
        time: Timestamp,
    },
    Forked {
        parent: ProcessId,
        child: ProcessId,
        time: Timestamp,
    },
    Executed {
        previous: ProcessId,
        process: ProcessId,
        time: Timestamp,
    },
    /// It ended, or is not traced any more.
    Exited {
        process: ProcessId,
        time: Timestamp,
    },
    LibrariesChanged {
        process: ProcessId,
        time: Timestamp,
    },
}

/// Everything capture tells, in the order in which it happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    Process(ProcessEvent),
    Opened(Opened),
    Addresses { connection: ConnectionId, addresses: Addresses },
    Segment(Segment<'a>),
    PeerEnded { connection: ConnectionId, time: Timestamp, how: PeerEnd },
    Closed(Closed),
}
