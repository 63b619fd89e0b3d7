//! What the BPF programs and userspace share: plain `repr(C)` data, and the rule of overload levels.
//! Takes nothing, gives the records of the ring, the keys and values of the maps, the counters.
//! Both sides compile this file; a test in userspace holds it to the object's own BTF.
#![no_std]

mod rustls_abi;

pub use rustls_abi::*;

/// Bytes of a record before its payload, for every kind of record.
pub const HEADER_LEN: usize = size_of::<Header>();

/// Payload capacities of the data records, smallest first. A record takes the smallest that fits,
/// so a short SSE event does not cost the ring what a full TLS record (16 KiB, RFC 8446 §5.1) does.
pub const TIERS: [usize; 4] = [256, 1024, 4096, 16384];

/// Full records that one run of the program copies before it calls itself again: 4 MiB. The kernel
/// allows 33 such calls (`MAX_TAIL_CALL_CNT`); what one call moves beyond some 130 MiB is counted
/// as [`Loss::Oversize`].
pub const RECORDS_PER_RUN: u32 = 256;

/// What a record says. The number is the wire value in [`Header::kind`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plaintext that passed. `connection`, `offset` and `len` say where it belongs.
    Data = 1,
    /// A TLS object was seen for the first time. Payload: [`Opened`].
    Opened = 2,
    /// A TLS object was freed or replaced. Payload: [`Closed`].
    Closed = 3,
    /// The TLS library reported that nothing more will come. Payload: [`PeerEnded`].
    PeerEnded = 4,
    /// The socket of a TLS object became known. Payload: [`Socket`].
    Socket = 5,
    /// A traced process made another process. Payload: [`Forked`].
    Forked = 6,
    /// A process executed another program; its TLS objects are gone. Payload: [`Executed`].
    Executed = 7,
    /// The last thread of a process ended. No payload.
    Exited = 8,
    /// The dynamic linker of a process changed its list of libraries. No payload.
    LibrariesChanged = 9,
    /// A process that passes the in-kernel filters was seen for the first time. No payload.
    Appeared = 10,
    /// Bytes of a connection were left out, and others pass now. Payload: [`Skipped`].
    Skipped = 11,
    /// What was given to a function was not what it takes if it is what it was found to be, several
    /// times. No payload.
    Doubted = 13,
    /// The connection of bytes that were told apart became known. Payload: [`Joined`].
    Joined = 14,
    /// The filter of ports was changed and leaves the connection out from here on. No payload.
    Excluded = 15,
}

/// In [`Header::flags`]: the process sent these bytes; otherwise it received them.
pub const FLAG_SENT: u32 = 1;

/// First bytes of every record in the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    /// A [`Kind`].
    pub kind: u32,
    /// `FLAG_*`.
    pub flags: u32,
    /// Process (thread group) in the initial pid namespace.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Incarnation of the process: unique for each program that a pid ran, while the tracer lives.
    pub process: u64,
    /// The connection, unique while the tracer lives; 0 where the record is about no connection.
    pub connection: u64,
    /// `CLOCK_BOOTTIME` in nanoseconds: for received bytes the return of the call, for sent ones its entry.
    pub time: u64,
    /// Of data: position of the first payload byte in its direction of the connection.
    pub offset: u64,
    /// Of data: what the language's own scheduler ran on that thread then, in a number that the process
    /// never gives to another (the id of a goroutine); 0 where there is none, or it is not known.
    pub task: u64,
    /// Valid payload bytes behind this header; the record may be longer.
    pub len: u32,
    /// Of openings and doubts: [`Cookie::finding`] of the probe.
    pub finding: u32,
}

/// How a TLS object came to be known.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its creation was seen: the connection is complete from its first byte.
    Created = 0,
    /// It was there before the probes were.
    JoinedLate = 1,
    /// The process inherited it by `fork`; [`Opened::parent`] is the connection it continues.
    Inherited = 2,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Opened {
    /// Address of the TLS object in the process.
    pub object: u64,
    /// For [`Origin::Inherited`]: the connection of the parent process.
    pub parent: u64,
    /// An [`Origin`].
    pub origin: u32,
    pub reserved: u32,
}

/// Calls with an object of another kind before a finding is [`Kind::Doubted`].
pub const DOUBTS: u64 = 8;

/// What a probe is attached with and its programs are told (`bpf_get_attach_cookie`): which finding
/// the site belongs to, and one number that the site's programs need. 0 where neither is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cookie(pub u64);

impl Cookie {
    const FINDING_BITS: u32 = 16;

    /// Numbers of findings are below this.
    pub const FINDINGS: u32 = 1 << Self::FINDING_BITS;

    /// `None`: a number is too large (parameters have 48 bits, with their sign).
    pub fn new(finding: u32, parameter: i64) -> Option<Self> {
        let upper = parameter << Self::FINDING_BITS;
        let fits = finding < Self::FINDINGS && upper >> Self::FINDING_BITS == parameter;
        fits.then_some(Self(upper as u64 | u64::from(finding)))
    }

    /// Number of a finding that is inferred and has to prove true; 0: found by name.
    #[inline(always)]
    pub fn finding(self) -> u32 {
        self.0 as u32 & (Self::FINDINGS - 1)
    }

    #[inline(always)]
    pub fn parameter(self) -> i64 {
        self.0 as i64 >> Self::FINDING_BITS
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Closed {
    /// Bytes that passed in all, each direction: what did not arrive before this is missing.
    pub received: u64,
    pub sent: u64,
    /// Time of the last call that read nothing, in nanoseconds; 0 if there was none since data came.
    pub last_empty_read: u64,
}

/// How far a connection has come when it is followed again. Without it the gap would be told only by
/// the next bytes of its direction, behind what the other direction carried in between.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Skipped {
    pub received: u64,
    pub sent: u64,
}

/// In [`PeerEnded::error`]: the stream ended behind a whole record, with or without `close_notify`; the
/// library does not tell which (Go's `io.EOF`).
pub const END_OF_STREAM: u32 = 0x1_0000;

/// Values of `SSL_get_error` that end a connection (OpenSSL `ssl.h`).
pub const SSL_ERROR_SSL: u32 = 1;
pub const SSL_ERROR_SYSCALL: u32 = 5;
pub const SSL_ERROR_ZERO_RETURN: u32 = 6;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerEnded {
    /// What `SSL_get_error` returned, one of `SSL_ERROR_*` above, or what another library said in the
    /// same terms, or [`END_OF_STREAM`].
    pub error: u32,
    pub reserved: u32,
}

/// The TCP socket of a TLS object. Addresses in network byte order, IPv4 in the first four bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Socket {
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    pub local_port: u16,
    pub peer_port: u16,
    pub reserved: u16,
    pub fd: u32,
    pub reserved2: u32,
    pub local: [u8; 16],
    pub peer: [u8; 16],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Forked {
    pub child_tgid: u32,
    pub reserved: u32,
    /// Incarnation of the child.
    pub child_process: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Executed {
    /// Incarnation that ended with the call; the header has the new one.
    pub previous: u64,
}

/// Why bytes that passed were not captured. Index into the map of counters.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The ring had no room.
    RingFull = 0,
    /// The process's memory could not be read.
    Fault = 1,
    /// One call moved more than [`RECORDS_PER_RUN`] and the kernel's tail calls allow.
    Oversize = 2,
    /// No room in a map for the connection or the call under way.
    MapFull = 3,
    /// Left out under overload: a body that belongs to no LLM call ([`LEVEL_BODIES`]).
    ShedBody = 4,
    /// Left out under overload: a connection without an LLM call under way ([`LEVEL_CONNECTIONS`]).
    ShedConnection = 5,
    /// Passed on a connection that the program had closed: what its library still had in store.
    AfterClose = 6,
    /// The connection of the bytes could not be told for certain.
    Unjoined = 7,
}

pub const LOSSES: usize = 8;

/// Counters of one cause of loss.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct LossCount {
    /// Bytes of plaintext that passed and were not captured.
    pub bytes: u64,
    /// Records (of any kind) that were not delivered.
    pub records: u64,
}

/// Steps of degradation under overload, each on top of the ones before it. Number of none is 0.
pub const LEVELS: usize = 3;
/// Userspace keeps no text of messages.
pub const LEVEL_CONTENT: u32 = 1;
/// Bodies that userspace told to belong to no LLM call are not copied.
pub const LEVEL_BODIES: u32 = 2;
/// New connections are not copied until the overload is over, and of others only those with an LLM
/// call under way: the rest of the ring is theirs.
pub const LEVEL_CONNECTIONS: u32 = 3;

/// Where a level begins and ends: unread bytes in the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// From here on the level holds …
    pub raise: u64,
    /// … until there are fewer than these.
    pub lower: u64,
}

impl Mark {
    /// No ring holds that much.
    pub const NEVER: Self = Self { raise: u64::MAX, lower: u64::MAX };
}

/// The level at `fill` unread bytes, where it was `current` before.
#[inline(always)]
pub fn level(marks: &[Mark; LEVELS], current: u32, fill: u64) -> u32 {
    let mut level = 0;
    let mut next = 0;
    while next < LEVELS as u32 {
        let mark = &marks[next as usize];
        let bound = if current > next { mark.lower } else { mark.raise };
        next += 1;
        if fill >= bound {
            level = next;
        }
    }
    level
}

/// The state of overload, as the last call into a TLS library left it. Map `OVERLOAD`, index 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Overload {
    /// Unread bytes in the ring.
    pub fill: u64,
    pub level: u32,
    pub reserved: u32,
    /// How often each level was entered. Processors that enter it in the same moment count each.
    pub entered: [u64; LEVELS],
}

/// In map `READER`, index 0: the reading end looks into the ring by itself, every few milliseconds, and
/// need not be woken; otherwise it sleeps until it is.
pub const READER_LOOKS: u32 = 1;

/// In [`Passage::opposite`]: whatever passed in the other direction.
pub const ANY_POSITION: u64 = u64::MAX;

/// What of one direction may be left out: the bytes before `until`, as long as the other direction
/// stands at `opposite`. Userspace says it of a body; a message that begins later changes a position.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    pub until: u64,
    pub opposite: u64,
}

/// What userspace knows of the use of a connection. Map `VERDICTS`, key: the connection's id.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Not 0: an LLM call is under way, nothing may be left out.
    pub call: u64,
    pub received: Passage,
    pub sent: Passage,
}

/// In [`Process::marks`], where [`marks`] says: the process is, or descends from, one named by pid or
/// command.
pub const MARK_TREE: u32 = 1;
/// In [`Process::marks`], where [`marks`] says: the program that it runs, its command line and its
/// container are wanted.
pub const MARK_PROGRAM: u32 = 2;

/// Filters that are kept at a time: those in force, and those that will be next or were before.
pub const HALVES: u32 = 2;

/// The half of the filters' maps, and of the marks, that is a generation's.
#[inline(always)]
pub const fn half(generation: u32) -> u32 {
    generation % HALVES
}

/// `MARK_*` as they stand in [`Process::marks`] for the filters of a generation: each half has its own,
/// so that a process can be marked for filters that are not in force yet.
#[inline(always)]
pub const fn marks(marks: u32, generation: u32) -> u32 {
    marks << (2 * half(generation))
}

/// [`MARK_PROGRAM`] of either half.
pub const MARKS_PROGRAM: u32 = marks(MARK_PROGRAM, 0) | marks(MARK_PROGRAM, 1);

/// What the kernel side knows of a process. Map `PROCESSES`, key: tgid.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Unique for each program a pid ran; 0 never occurs.
    pub incarnation: u64,
    /// Incarnation of the process that forked this one and whose TLS objects it inherited, or 0.
    pub parent: u64,
    /// `MARK_*`, by [`marks`].
    pub marks: u32,
    pub reserved: u32,
}

/// Key of map `CONNECTIONS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    pub process: u64,
    pub object: u64,
}

/// In [`ConnectionState::flags`]: the port filter excludes this connection.
pub const CONNECTION_EXCLUDED: u32 = 1;
/// In [`ConnectionState::flags`]: its end was reported.
pub const CONNECTION_PEER_ENDED: u32 = 2;
/// In [`ConnectionState::flags`]: the program gave the TLS object a descriptor.
pub const CONNECTION_HAS_FD: u32 = 4;
/// In [`ConnectionState::flags`]: userspace was told of the socket behind it.
pub const CONNECTION_SOCKET_TOLD: u32 = 8;
/// In [`ConnectionState::flags`]: it began under overload, and is left out until that is over.
pub const CONNECTION_SHED: u32 = 16;
/// In [`ConnectionState::flags`]: bytes were left out and [`Kind::Skipped`] did not tell it yet.
pub const CONNECTION_SKIPPED: u32 = 32;
/// In [`ConnectionState::flags`]: the next handshake on the object is a renegotiation.
pub const CONNECTION_RENEGOTIATES: u32 = 64;
/// In [`ConnectionState::flags`]: its descriptor was looked for in the process's memory.
pub const CONNECTION_SOUGHT: u32 = 128;
/// In [`ConnectionState::flags`]: its library took bytes that it could not send, and told so.
pub const CONNECTION_SENDS_LATER: u32 = 256;

/// Value of map `CONNECTIONS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionState {
    pub id: u64,
    pub received: u64,
    pub sent: u64,
    pub last_empty_read: u64,
    /// `SSL_up_ref` was called so many times more than `SSL_free`: the object outlives that many.
    pub references: u64,
    /// `CONNECTION_*`.
    pub flags: u32,
    /// Descriptor given to `SSL_set_fd`; valid with [`CONNECTION_HAS_FD`].
    pub fd: u32,
    /// Generation of the filters that the connection's ports were compared with last.
    pub generation: u32,
    pub reserved: u32,
}

/// A call into the TLS library that has not returned yet. Map `CALLS`, key: [`CallKey`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    pub object: u64,
    pub buffer: u64,
    /// For the `_ex` functions: where the library writes the number of bytes; for the others: how many
    /// bytes there are to write or room to read.
    pub count: u64,
    pub time: u64,
}

/// What is left of a buffer too large for one run of the program. Map `COPIES`, key: pid and thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Copying {
    pub buffer: u64,
    /// Bytes still to be copied from `buffer` on.
    pub remaining: u64,
    pub connection: u64,
    pub process: u64,
    pub offset: u64,
    pub time: u64,
    /// [`Header::task`] of the records to come.
    pub task: u64,
    /// [`Header::flags`] of the records to come.
    pub flags: u32,
    pub reserved: u32,
}

/// A call is known by its frame: stack addresses are unique in a process, so nested calls
/// (TLS inside TLS) and calls of several threads never meet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallKey {
    pub tgid: u32,
    pub reserved: u32,
    pub stack: u64,
}

/// Settings that userspace writes before the programs are loaded (BPF global `SETTINGS`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Not 0: the kernel has `bpf_get_attach_cookie` (Linux 5.15).
    pub cookies: u32,
    pub reserved: u32,
    /// Where the levels of degradation begin and end.
    pub marks: [Mark; LEVELS],
    /// Bytes of the ring that any data may fill; the rest is for LLM calls under way.
    pub common_bytes: u64,
    /// Unread bytes of the ring from which on the reading end is woken, though it looks by itself.
    pub wake_bytes: u64,
    /// Offsets in kernel structures, from the running kernel's BTF.
    pub offsets: Offsets,
}

impl Settings {
    /// What the object holds until userspace sets it.
    pub const NONE: Self = Self {
        cookies: 0,
        reserved: 0,
        marks: [Mark::NEVER; LEVELS],
        common_bytes: u64::MAX,
        wake_bytes: 0,
        offsets: Offsets::NONE,
    };
}

/// Byte offsets in structures of the running kernel (its BTF), which Rust can't relocate itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Offsets {
    pub task_tgid: u32,
    pub task_pid: u32,
    pub task_signal: u32,
    pub signal_live: u32,
    pub task_files: u32,
    pub files_fdt: u32,
    pub fdt_max_fds: u32,
    pub fdt_fd: u32,
    pub file_inode: u32,
    pub inode_mode: u32,
    pub file_private_data: u32,
    pub socket_sk: u32,
    pub sock_family: u32,
    pub sock_dport: u32,
    pub sock_num: u32,
    pub sock_daddr: u32,
    pub sock_rcv_saddr: u32,
    pub sock_v6_daddr: u32,
    pub sock_v6_rcv_saddr: u32,
    pub inode_number: u32,
}

impl Offsets {
    /// Before userspace has filled them in.
    pub const NONE: Self = Self {
        task_tgid: 0,
        task_pid: 0,
        task_signal: 0,
        signal_live: 0,
        task_files: 0,
        files_fdt: 0,
        fdt_max_fds: 0,
        fdt_fd: 0,
        file_inode: 0,
        inode_mode: 0,
        file_private_data: 0,
        socket_sk: 0,
        sock_family: 0,
        sock_dport: 0,
        sock_num: 0,
        sock_daddr: 0,
        sock_rcv_saddr: 0,
        sock_v6_daddr: 0,
        sock_v6_rcv_saddr: 0,
        inode_number: 0,
    };
}

/// In map `IN_FORCE`, index 0, before userspace has said what passes: nothing does. Each change of the
/// filters has the next number, the first one 1.
pub const NO_FILTERS: u32 = 0;

/// What passes. Map `FILTERS`, index: [`half`] of the generation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// All of these [`Process::marks`] must be set, as they stand there; 0: every process passes.
    pub required_marks: u32,
    /// Number of `CGROUPS` entries to match against, from [`MAX_CGROUPS`] times the half on; 0: no
    /// cgroup filter.
    pub cgroups: u32,
    /// Number of `PORTS` entries, from [`MAX_PORTS`] times the half on; 0: no port filter.
    pub ports: u32,
    pub reserved: u32,
}

/// A cgroup (version 2) that a process must be in or below. Map `CGROUPS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// Inode of the cgroup's directory.
    pub id: u64,
    /// Its depth below the root (root: 0).
    pub level: u32,
    pub reserved: u32,
}

/// TCP ports from one to another, both included. Map `PORTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
}

/// Bounds of each half of the filters' maps; userspace refuses more with a sentence.
pub const MAX_CGROUPS: u32 = 16;
pub const MAX_PORTS: u32 = 16;

#[cfg(feature = "user")]
mod user {
    use super::{
        Call, CallKey, Cgroup, ConnectionState, Filters, LossCount, ObjectKey, Overload, Ports,
        Process, Settings, Verdict,
    };

    macro_rules! pod {
        ($($type:ty),*) => {$(
            // SAFETY: `repr(C)`, integers only, and without padding (explicit `reserved` fields).
            unsafe impl aya::Pod for $type {}
        )*};
    }
    pod!(Cgroup, Call, CallKey, ConnectionState, Filters, LossCount, ObjectKey, Overload);
    pod!(Ports, Process, Settings, Verdict);
}
