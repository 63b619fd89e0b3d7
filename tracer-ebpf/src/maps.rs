//! Every map of the kernel side, and the settings that userspace writes before loading.
//! Sizes here are defaults; userspace sets the ring's and the connections' from its configuration.
//! Keys and values are the plain types of `lib.rs`.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, ProgramArray, RingBuf},
};
use tracer_ebpf::{
    Call, CallKey, Cgroup, ConnectionState, Copying, Epoch, Filters, HALVES, LOSSES, LossCount,
    MAX_CGROUPS, MAX_PORTS, ObjectKey, Outgoing, Overload, Ports, Process, Received, Settings,
    Verdict, Waiting,
};

/// Userspace replaces the value before loading; the kernel freezes it, so the verifier knows it and
/// leaves out what a setting switches off.
#[unsafe(no_mangle)]
pub(crate) static SETTINGS: Settings = Settings::NONE;

/// Reads one setting. The read is volatile: the compiler must not know the value above.
macro_rules! setting {
    ($($field:ident).+) => {
        // SAFETY: a static of this crate, aligned and initialised, that nothing writes to.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::SETTINGS.$($field).+) }
    };
}
pub(crate) use setting;

/// All records, in one ring: what happened first comes first, whichever processor it happened on.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(16 << 20, 0);

#[map]
pub(crate) static LOST: Array<LossCount> = Array::with_max_entries(LOSSES as u32, 0);

#[map]
pub(crate) static OVERLOAD: Array<Overload> = Array::with_max_entries(1, 0);

/// Written by userspace: whether it has to be woken.
#[map]
pub(crate) static READER: Array<u32> = Array::with_max_entries(1, 0);

/// Written by userspace, about connections that live.
#[map]
pub(crate) static VERDICTS: HashMap<u64, Verdict> = HashMap::with_max_entries(16384, 0);

#[map]
pub(crate) static PROCESSES: HashMap<u32, Process> = HashMap::with_max_entries(32768, 0);

#[map]
pub(crate) static CONNECTIONS: HashMap<ObjectKey, ConnectionState> =
    HashMap::with_max_entries(65536, 0);

/// Objects of connections that their program closed, and that nothing else has become since. Nothing
/// tells when the memory is free, so the oldest make room.
#[map]
pub(crate) static CLOSED: LruHashMap<ObjectKey, u64> = LruHashMap::with_max_entries(4096, 0);

#[map]
pub(crate) static CALLS: HashMap<CallKey, Call> = HashMap::with_max_entries(16384, 0);

/// Of threads that are in the middle of one: hardly more than there are processors.
#[map]
pub(crate) static COPIES: HashMap<u64, Copying> = HashMap::with_max_entries(1024, 0);

/// Calls with an object of another kind, by the number of the finding.
#[map]
pub(crate) static DOUBTS: HashMap<u32, u64> = HashMap::with_max_entries(1024, 0);

/// Written by userspace: the generation of the filters that are in force.
#[map]
pub(crate) static IN_FORCE: Array<u32> = Array::with_max_entries(1, 0);

#[map]
pub(crate) static FILTERS: Array<Filters> = Array::with_max_entries(HALVES, 0);

#[map]
pub(crate) static CGROUPS: Array<Cgroup> = Array::with_max_entries(HALVES * MAX_CGROUPS, 0);

#[map]
pub(crate) static PORTS: Array<Ports> = Array::with_max_entries(HALVES * MAX_PORTS, 0);

/// The program that goes on copying where one run's bound was reached.
#[map]
pub(crate) static CONTINUATIONS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Nothing tells when an encrypter or decrypter is gone, so the oldest make room.
#[map]
pub(crate) static EPOCHS: LruHashMap<ObjectKey, Epoch> = LruHashMap::with_max_entries(65536, 0);

#[map]
pub(crate) static OUTGOING: LruHashMap<ObjectKey, Outgoing> =
    LruHashMap::with_max_entries(32768, 0);

#[map]
pub(crate) static RECEIVED: LruHashMap<u64, Received> = LruHashMap::with_max_entries(8192, 0);

#[map]
pub(crate) static WAITING: LruHashMap<u64, Waiting> = LruHashMap::with_max_entries(8192, 0);

/// The program of returns from system calls, to go on by.
#[map]
pub(crate) static SYSCALLS: ProgramArray = ProgramArray::with_max_entries(1, 0);
