//! The layout of a recording: the opening, the bounds, and the records as Protobuf messages.
//! Takes nothing; gives the types that `writer` fills and `reader` reads.
//! docs/record-format.md says the same for whoever reads the file without us; both change together.

/// The file begins with a skippable frame (RFC 8878 §3.1.2), which zstd tools pass over: its magic
/// number and the length of what it holds, both little-endian.
pub(super) const SKIPPABLE: [u8; 8] = [0x5c, 0x2a, 0x4d, 0x18, 12, 0, 0, 0];

/// What it holds: this, then [`MAJOR`] and [`MINOR`] as little-endian `u16`.
pub(super) const NAME: [u8; 8] = *b"llmtaprc";

/// Bytes before the first compressed frame.
pub(super) const OPENING_LEN: usize = SKIPPABLE.len() + NAME.len() + 4;

/// A reader refuses another one.
pub(super) const MAJOR: u16 = 1;

/// Grows with each field or kind of record that is added. A reader takes any.
pub(super) const MINOR: u16 = 3;

/// Plain bytes at which a frame is closed.
pub(super) const FRAME_TARGET: usize = 1 << 20;

/// Plain bytes of a frame at most: what a reader holds in memory at a time.
pub(super) const FRAME_LIMIT: usize = FRAME_TARGET + RECORD_LIMIT + 16;

/// Bytes of one encoded record at most.
pub(super) const RECORD_LIMIT: usize = 512 << 10;

/// Bytes of a segment in one record at most; a longer one is written as several.
pub(super) const DATA_LIMIT: usize = 256 << 10;

/// Logarithm of the largest window that a reader keeps for decompression: 8 MiB.
pub(super) const WINDOW_LOG: u32 = 23;

/// Connections that are open at a time, at most. The kernel side's table has half as many.
pub(super) const CONNECTION_LIMIT: usize = 1 << 17;

/// Processes that live at a time, at most. The kernel side's table has a quarter of that.
pub(super) const PROCESS_LIMIT: usize = 1 << 17;

/// Bytes of all descriptions of processes that live, at most.
pub(super) const DESCRIPTIONS_LIMIT: usize = 256 << 20;

/// Bytes of each text in a description at most; what is longer is left out.
pub(super) const TEXT_LIMIT: usize = 64 << 10;

/// One record. A kind that is not known to the reader is passed over and counted.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(message, tag = "1")]
    Start(Start),
    #[prost(message, tag = "2")]
    Process(Process),
    #[prost(message, tag = "3")]
    Appeared(Appeared),
    #[prost(message, tag = "4")]
    Forked(Forked),
    #[prost(message, tag = "5")]
    Executed(Executed),
    #[prost(message, tag = "6")]
    Exited(Exited),
    #[prost(message, tag = "7")]
    LibrariesChanged(LibrariesChanged),
    #[prost(message, tag = "8")]
    Opened(Opened),
    #[prost(message, tag = "9")]
    Addresses(Addresses),
    #[prost(message, tag = "10")]
    Segment(Segment),
    #[prost(message, tag = "11")]
    PeerEnded(PeerEnded),
    #[prost(message, tag = "12")]
    Closed(Closed),
    #[prost(message, tag = "13")]
    Finish(Finish),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Start {
    #[prost(sint64, tag = "1")]
    pub(super) boot: i64,
    #[prost(fixed64, tag = "2")]
    pub(super) seed: u64,
    #[prost(string, tag = "3")]
    pub(super) version: String,
    #[prost(string, tag = "4")]
    pub(super) host_name: String,
    #[prost(string, tag = "5")]
    pub(super) machine: String,
    #[prost(uint32, repeated, tag = "6")]
    pub(super) ports: Vec<u32>,
    #[prost(bool, tag = "7")]
    pub(super) credentials_kept: bool,
    #[prost(string, repeated, tag = "8")]
    pub(super) hosts: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct ProcessId {
    #[prost(uint32, tag = "1")]
    pub(super) pid: u32,
    #[prost(uint64, tag = "2")]
    pub(super) incarnation: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Process {
    #[prost(message, optional, tag = "1")]
    pub(super) id: Option<ProcessId>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) parent_pid: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(super) executable: Option<Vec<u8>>,
    #[prost(string, repeated, tag = "4")]
    pub(super) command: Vec<String>,
    #[prost(uint32, optional, tag = "5")]
    pub(super) uid: Option<u32>,
    #[prost(string, optional, tag = "6")]
    pub(super) otel_service_name: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(super) otel_resource_attributes: Option<String>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Appeared {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessId>,
    #[prost(uint64, tag = "2")]
    pub(super) time: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Forked {
    #[prost(message, optional, tag = "1")]
    pub(super) parent: Option<ProcessId>,
    #[prost(message, optional, tag = "2")]
    pub(super) child: Option<ProcessId>,
    #[prost(uint64, tag = "3")]
    pub(super) time: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Executed {
    #[prost(message, optional, tag = "1")]
    pub(super) previous: Option<ProcessId>,
    #[prost(message, optional, tag = "2")]
    pub(super) process: Option<ProcessId>,
    #[prost(uint64, tag = "3")]
    pub(super) time: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Exited {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessId>,
    #[prost(uint64, tag = "2")]
    pub(super) time: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct LibrariesChanged {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessId>,
    #[prost(uint64, tag = "2")]
    pub(super) time: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Origin {
    Unspecified = 0,
    Created = 1,
    JoinedLate = 2,
    Inherited = 3,
}

/// What version 1.0 recorded is TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Security {
    Tls = 0,
    Plain = 1,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Opened {
    #[prost(uint64, tag = "1")]
    pub(super) connection: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) process: Option<ProcessId>,
    #[prost(uint64, tag = "3")]
    pub(super) time: u64,
    #[prost(enumeration = "Origin", tag = "4")]
    pub(super) origin: i32,
    /// With [`Origin::Inherited`].
    #[prost(uint64, tag = "5")]
    pub(super) parent: u64,
    /// Since version 1.1.
    #[prost(enumeration = "Security", tag = "6")]
    pub(super) security: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Endpoint {
    /// 4 or 16 bytes in network order.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) address: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) port: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Addresses {
    #[prost(uint64, tag = "1")]
    pub(super) connection: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) local: Option<Endpoint>,
    #[prost(message, optional, tag = "3")]
    pub(super) peer: Option<Endpoint>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Segment {
    #[prost(uint64, tag = "1")]
    pub(super) connection: u64,
    #[prost(bool, tag = "2")]
    pub(super) sent: bool,
    #[prost(uint64, tag = "3")]
    pub(super) offset: u64,
    #[prost(uint64, tag = "4")]
    pub(super) time: u64,
    #[prost(oneof = "Data", tags = "5, 6")]
    pub(super) data: Option<Data>,
    /// Since version 1.2, as all below; 0: not known.
    #[prost(uint32, tag = "7")]
    pub(super) thread: u32,
    /// 0: none, or not known.
    #[prost(uint64, tag = "8")]
    pub(super) task: u64,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Data {
    #[prost(bytes = "bytes", tag = "5")]
    Bytes(bytes::Bytes),
    #[prost(uint64, tag = "6")]
    Gap(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(super) enum PeerEnd {
    Unspecified = 0,
    CloseNotify = 1,
    Broken = 2,
    SystemCall = 3,
    /// Since version 1.2.
    EndOfStream = 4,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct PeerEnded {
    #[prost(uint64, tag = "1")]
    pub(super) connection: u64,
    #[prost(uint64, tag = "2")]
    pub(super) time: u64,
    #[prost(enumeration = "PeerEnd", tag = "3")]
    pub(super) how: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(super) enum CloseCause {
    Unspecified = 0,
    Freed = 1,
    ProcessExited = 2,
    ProcessExecuted = 3,
    TracerStopped = 4,
    Unseen = 5,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Closed {
    #[prost(uint64, tag = "1")]
    pub(super) connection: u64,
    #[prost(uint64, tag = "2")]
    pub(super) time: u64,
    #[prost(enumeration = "CloseCause", tag = "3")]
    pub(super) cause: i32,
    #[prost(uint64, optional, tag = "4")]
    pub(super) last_empty_read: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Finish {
    #[prost(uint64, tag = "1")]
    pub(super) time: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) ring_full: Option<LostCount>,
    #[prost(message, optional, tag = "3")]
    pub(super) fault: Option<LostCount>,
    #[prost(message, optional, tag = "4")]
    pub(super) oversize: Option<LostCount>,
    #[prost(message, optional, tag = "5")]
    pub(super) map_full: Option<LostCount>,
    #[prost(uint64, tag = "6")]
    pub(super) unreadable: u64,
    #[prost(uint64, tag = "7")]
    pub(super) withheld: u64,
    #[prost(message, optional, tag = "8")]
    pub(super) shed_body: Option<LostCount>,
    #[prost(message, optional, tag = "9")]
    pub(super) shed_connection: Option<LostCount>,
    /// Since version 1.2.
    #[prost(message, optional, tag = "10")]
    pub(super) after_close: Option<LostCount>,
    /// Since version 1.3.
    #[prost(message, optional, tag = "11")]
    pub(super) unjoined: Option<LostCount>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct LostCount {
    #[prost(uint64, tag = "1")]
    pub(super) bytes: u64,
    #[prost(uint64, tag = "2")]
    pub(super) records: u64,
}
