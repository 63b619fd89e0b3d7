//! The kernel side in the kernel: loading the BPF object, its settings, attaching its programs.
//! Takes filters and probe targets; gives the ring and the maps to `reader`.
//! What the kernel refuses comes back as an error that names what is missing.

use std::{collections::BTreeMap, io, os::fd::AsRawFd as _};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, MapData, MapError, ProgramArray, RingBuf},
    programs::{
        ProgramError, ProgramFd, RawTracePoint, UProbe,
        uprobe::{UProbeAttachPoint, UProbeLinkId, UProbeScope},
    },
};
use aya_log::EbpfLogger;
use tracer_ebpf::{Cookie, LossCount, Overload, Settings, Verdict};

use super::{
    Thresholds,
    filters::FilterMaps,
    offsets::{self, OffsetsError},
    proof::FindingId,
};
use crate::discover::{FileId, Function, Site, Target};

/// The object that `cargo xtask build` made from `tracer-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("LLMTAP_BPF_OBJECT"));

/// Raw tracepoints with the program of each. Raw ones need no tracefs.
const TRACEPOINTS: [(&str, &str); 3] = [
    ("process_fork", "sched_process_fork"),
    ("process_exec", "sched_process_exec"),
    ("process_exit", "sched_process_exit"),
];

/// Those of system calls, which are attached when something needs them: they run in every process.
const SYSCALLS: [(&str, &str); 2] = [("syscall_enter", "sys_enter"), ("syscall_exit", "sys_exit")];

/// `Level::Debug` of aya-log; 0 switches every message off.
const LOG_DEBUG: u8 = 4;

/// The programs that belong at a function.
fn programs_of(function: Function) -> &'static [&'static str] {
    match function {
        Function::SslNew => &["ssl_new_return"],
        Function::SslFree => &["ssl_free"],
        Function::TlsNew => &["tls_new"],
        Function::TlsFree => &["tls_free"],
        Function::SslUpRef => &["ssl_up_ref"],
        Function::SslClear => &["ssl_clear"],
        Function::SslSetFd => &["ssl_set_fd"],
        Function::SslRead => &["ssl_read_return", "ssl_read"],
        Function::SslReadEx => &["ssl_read_ex_return", "ssl_read_ex"],
        Function::SslWrite => &["ssl_write_return", "ssl_write"],
        Function::SslWriteEx => &["ssl_write_ex_return", "ssl_write_ex"],
        Function::SslGetError => &["ssl_get_error_return", "ssl_get_error"],
        Function::GnutlsInit => &["gnutls_init_return", "gnutls_init"],
        Function::GnutlsSetInt2 => &["gnutls_set_int2"],
        Function::GnutlsRecv => &["gnutls_recv_return", "gnutls_recv"],
        Function::GnutlsSend => &["gnutls_send_return", "gnutls_send"],
        Function::NssRead => &["nss_received", "nss_read"],
        Function::NssRecv => &["nss_received", "nss_recv"],
        Function::GoHandshake => &["go_handshake"],
        Function::GoRenegotiation => &["go_renegotiation"],
        Function::GoRead => &["go_read"],
        Function::GoRecordRead => &["go_record_read"],
        Function::GoReadReturn => &["go_read_return"],
        Function::GoWrite => &["go_write"],
        Function::GoClose => &["go_close"],
        Function::RustlsEncrypt => &["rustls_encrypt"],
        Function::RustlsDecrypt => &["rustls_decrypt"],
        Function::RustlsDecryptReturn => &["rustls_decrypt_return"],
        Function::LibrariesChanged => &["libraries_changed"],
    }
}

/// Whether the programs of a function are loaded when it is first found, not at start.
fn is_loaded_late(function: Function) -> bool {
    matches!(
        function,
        Function::GnutlsInit
            | Function::GnutlsSetInt2
            | Function::GnutlsRecv
            | Function::GnutlsSend
            | Function::NssRead
            | Function::NssRecv
            | Function::GoHandshake
            | Function::GoRenegotiation
            | Function::GoRead
            | Function::GoRecordRead
            | Function::GoReadReturn
            | Function::GoWrite
            | Function::GoClose
    ) || is_of_epochs(function)
}

/// Whether the programs of a function know keys, which have to be joined to sockets by system calls.
fn is_of_epochs(function: Function) -> bool {
    matches!(
        function,
        Function::RustlsEncrypt | Function::RustlsDecrypt | Function::RustlsDecryptReturn
    )
}

#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("the kernel side's messages cannot be read: {0}")]
    Log(#[from] aya_log::Error),
    #[error(transparent)]
    Offsets(#[from] OffsetsError),
    #[error("the kernel did not take llmtap's BPF programs: {0}")]
    Load(#[source] Box<EbpfError>),
    #[error("the kernel did not take the BPF program {program}: {source}")]
    Program { program: String, source: Box<ProgramError> },
    #[error("the kernel did not take a setting: {0}")]
    Map(#[from] MapError),
    #[error(
        "no more than {} inferred TLS libraries can be told apart in one run; start llmtap again to \
         see what this one sends or receives", Cookie::FINDINGS - 1
    )]
    Findings,
    #[error("what rustls sends or receives cannot be seen before Linux 5.15")]
    NoCookies,
    #[error("llmtap's BPF object has no {0}; it was built from another version of the source")]
    Missing(&'static str),
}

/// How much the kernel side may hold, and what it leaves out when that is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the ring: a power of two, at least a page.
    pub ring_bytes: u32,
    /// TLS connections followed at a time.
    pub connections: u32,
    pub thresholds: Thresholds,
}

impl Default for Limits {
    fn default() -> Self {
        // The providers take requests of up to 32 MB; one may be handed over in a single call.
        Self { ring_bytes: 32 << 20, connections: 65536, thresholds: Thresholds::default() }
    }
}

/// Calls under way that there is always room for, however few connections.
const LEAST_CALLS: u32 = 1024;

/// One part in so many of the ring is read at once, whenever the reader would have looked next.
const WAKING_PART: u32 = 8;

/// The loaded programs; dropping it detaches everything.
pub struct Kernel {
    ebpf: Ebpf,
    /// The kernel empties an array of programs when the last descriptor of it is closed.
    continuations: Vec<ProgramArray<MapData>>,
    watches_syscalls: bool,
    /// Probes can be told apart (Linux 5.15).
    cookies: bool,
    /// Probes of findings that have to prove true. Numbers begin at 1 and are never given again.
    inferred: BTreeMap<FindingId, Probes>,
    /// The others of each file.
    attached: BTreeMap<FileId, Probes>,
    last: u32,
}

/// Programs that were attached, each with what takes it off again.
type Probes = Vec<(&'static str, UProbeLinkId)>;

/// The maps, for the thread that reads them.
pub struct Maps {
    pub records: RingBuf<MapData>,
    pub lost: Array<MapData, LossCount>,
    pub processes: HashMap<MapData, u32, tracer_ebpf::Process>,
    pub connections: HashMap<MapData, tracer_ebpf::ObjectKey, tracer_ebpf::ConnectionState>,
    pub calls: HashMap<MapData, tracer_ebpf::CallKey, tracer_ebpf::Call>,
    pub overload: Array<MapData, Overload>,
    pub verdicts: HashMap<MapData, u64, Verdict>,
    pub reader: Array<MapData, u32>,
    pub filters: FilterMaps,
}

impl Kernel {
    /// Loads the programs and attaches the tracepoints. Nothing passes before there are filters.
    ///
    /// `log`: the programs write messages of their own, for [`Kernel::messages`].
    pub fn load(limits: &Limits, log: bool) -> Result<(Self, Maps), KernelError> {
        let cookies = tells_probes_apart();
        let offsets = offsets::running_kernel()?;
        let settings = Settings {
            cookies: u32::from(cookies),
            reserved: 0,
            marks: limits.thresholds.marks(limits.ring_bytes),
            common_bytes: limits.thresholds.common_bytes(limits.ring_bytes),
            wake_bytes: u64::from(limits.ring_bytes / WAKING_PART),
            offsets,
        };
        let log_level: u8 = if log { LOG_DEBUG } else { 0 };
        let ebpf = EbpfLoader::new()
            // The programs have no relocations against the kernel's types, which are large to read.
            .btf(None)
            .override_global("SETTINGS", &settings, true)
            .override_global("AYA_LOG_LEVEL", &log_level, false)
            .map_max_entries("RECORDS", limits.ring_bytes)
            .map_max_entries("CONNECTIONS", limits.connections)
            .map_max_entries("CALLS", (limits.connections / 4).max(LEAST_CALLS))
            .load(OBJECT)
            .map_err(|error| KernelError::Load(Box::new(error)))?;
        let mut kernel = Self {
            ebpf,
            continuations: Vec::new(),
            watches_syscalls: false,
            cookies,
            inferred: BTreeMap::new(),
            attached: BTreeMap::new(),
            last: 0,
        };
        kernel.load_programs()?;
        let maps = kernel.take_maps()?;
        Ok((kernel, maps))
    }

    fn load_programs(&mut self) -> Result<(), KernelError> {
        for function in Function::ALL.into_iter().filter(|function| !is_loaded_late(*function)) {
            self.load_programs_of(function)?;
        }
        self.uprobe("copy_on")?.load().map_err(|source| refused("copy_on", source))?;
        self.continue_copies()?;
        self.attach_tracepoints(&TRACEPOINTS)
    }

    fn attach_tracepoints(
        &mut self,
        tracepoints: &[(&'static str, &'static str)],
    ) -> Result<(), KernelError> {
        for (name, tracepoint) in tracepoints {
            let program: &mut RawTracePoint = self
                .ebpf
                .program_mut(name)
                .ok_or(KernelError::Missing(name))?
                .try_into()
                .map_err(|source| refused(name, source))?;
            program.load().map_err(|source| refused(name, source))?;
            program.attach(tracepoint).map_err(|source| refused(name, source))?;
        }
        Ok(())
    }

    /// Loads what belongs at a function, if that is not done yet.
    fn load_programs_of(&mut self, function: Function) -> Result<(), KernelError> {
        for name in programs_of(function) {
            let program = self.uprobe(name)?;
            if program.fd().is_err() {
                program.load().map_err(|source| refused(name, source))?;
            }
        }
        Ok(())
    }

    /// Lets a long copy go on in `copy_on` (a tail call through a map of programs).
    fn continue_copies(&mut self) -> Result<(), KernelError> {
        let fd = descriptor(self.uprobe("copy_on")?.fd());
        self.continue_in("CONTINUATIONS", &fd.map_err(|source| refused("copy_on", source))?)
    }

    fn continue_in(&mut self, map: &'static str, program: &ProgramFd) -> Result<(), KernelError> {
        let taken = self.ebpf.take_map(map).ok_or(KernelError::Missing(map))?;
        let mut continuations = ProgramArray::try_from(taken)?;
        continuations.set(0, program, 0)?;
        self.continuations.push(continuations);
        Ok(())
    }

    /// Attaches what ties keys to sockets, if that is not done yet.
    fn watch_syscalls(&mut self) -> Result<(), KernelError> {
        if std::mem::replace(&mut self.watches_syscalls, true) {
            return Ok(());
        }
        self.attach_tracepoints(&SYSCALLS)?;
        let [_, (exit, _)] = SYSCALLS;
        let program = self.ebpf.program(exit).ok_or(KernelError::Missing(exit))?;
        let fd = descriptor(program.fd());
        self.continue_in("SYSCALLS", &fd.map_err(|source| refused(exit, source))?)
    }

    fn uprobe(&mut self, name: &'static str) -> Result<&mut UProbe, KernelError> {
        self.ebpf
            .program_mut(name)
            .ok_or(KernelError::Missing(name))?
            .try_into()
            .map_err(|source| refused(name, source))
    }

    fn take_maps(&mut self) -> Result<Maps, KernelError> {
        let mut take =
            |name: &'static str| self.ebpf.take_map(name).ok_or(KernelError::Missing(name));
        Ok(Maps {
            records: RingBuf::try_from(take("RECORDS")?)?,
            lost: Array::try_from(take("LOST")?)?,
            processes: HashMap::try_from(take("PROCESSES")?)?,
            connections: HashMap::try_from(take("CONNECTIONS")?)?,
            calls: HashMap::try_from(take("CALLS")?)?,
            overload: Array::try_from(take("OVERLOAD")?)?,
            verdicts: HashMap::try_from(take("VERDICTS")?)?,
            reader: Array::try_from(take("READER")?)?,
            filters: FilterMaps {
                in_force: Array::try_from(take("IN_FORCE")?)?,
                filters: Array::try_from(take("FILTERS")?)?,
                cgroups: Array::try_from(take("CGROUPS")?)?,
                ports: Array::try_from(take("PORTS")?)?,
            },
        })
    }

    /// Attaches every program that belongs at the sites of `target`. For each of its findings that
    /// has to prove true, gives the number that says which one [`Reader::take_refuted`] means; a
    /// kernel that cannot tell probes apart gives none.
    ///
    /// [`Reader::take_refuted`]: super::Reader::take_refuted
    pub fn attach(&mut self, target: &Target) -> Result<Vec<Option<FindingId>>, KernelError> {
        let path = format!("/proc/self/fd/{}", target.file.as_raw_fd());
        if let Some(hook) = &target.linker {
            let probes = self.attach_site(hook, &path, 0)?;
            self.attached.entry(target.id).or_default().extend(probes);
        }
        let mut numbers = Vec::new();
        for finding in &target.findings {
            let id = if finding.basis.needs_proof() && self.cookies {
                Some(self.next_finding()?)
            } else {
                None
            };
            for site in &finding.sites {
                let probes = self.attach_site(site, &path, id.map_or(0, |id| id.0))?;
                match id {
                    Some(id) => self.inferred.entry(id).or_default().extend(probes),
                    None => self.attached.entry(target.id).or_default().extend(probes),
                }
            }
            numbers.push(id);
        }
        Ok(numbers)
    }

    fn next_finding(&mut self) -> Result<FindingId, KernelError> {
        if self.last + 1 >= Cookie::FINDINGS {
            return Err(KernelError::Findings);
        }
        self.last += 1;
        Ok(FindingId(self.last))
    }

    fn attach_site(
        &mut self,
        site: &Site,
        path: &str,
        finding: u32,
    ) -> Result<Probes, KernelError> {
        let cookie = Cookie::new(finding, site.parameter).filter(|cookie| cookie.0 != 0);
        self.load_programs_of(site.function)?;
        if is_of_epochs(site.function) {
            // A probe is told by its cookie what a message looks like.
            if !self.cookies {
                return Err(KernelError::NoCookies);
            }
            self.watch_syscalls()?;
        }
        let mut links = Vec::new();
        for name in programs_of(site.function) {
            let cookie = cookie.map(|cookie| cookie.0).filter(|_| self.cookies);
            let point = UProbeAttachPoint { location: site.offset.into(), cookie };
            let attached = self.uprobe(name)?.attach(point, path, UProbeScope::AllProcesses);
            links.push((*name, attached.map_err(|source| refused(name, source))?));
        }
        Ok(links)
    }

    /// Takes the probes of a finding off again; nothing where that was done already.
    pub fn detach(&mut self, finding: FindingId) -> Result<(), KernelError> {
        let probes = self.inferred.remove(&finding).unwrap_or_default();
        self.take_off(probes)
    }

    /// The same with the probes of a file that belong to no such finding.
    pub fn detach_file(&mut self, file: FileId) -> Result<(), KernelError> {
        let probes = self.attached.remove(&file).unwrap_or_default();
        self.take_off(probes)
    }

    fn take_off(&mut self, probes: Probes) -> Result<(), KernelError> {
        for (name, link) in probes {
            self.uprobe(name)?.detach(link).map_err(|source| refused(name, source))?;
        }
        Ok(())
    }

    /// The programs' own messages, which go to the `log` crate's logger. Silent unless loaded with `log`.
    pub fn messages(&mut self) -> Result<EbpfLogger<&'static dyn log::Log>, KernelError> {
        Ok(EbpfLogger::init(&mut self.ebpf)?)
    }
}

/// The kernel has cookies for probes (Linux 5.15).
pub fn tells_probes_apart() -> bool {
    let features = aya::features();
    features.bpf_cookie() && features.bpf_perf_link()
}

fn descriptor(of: Result<&ProgramFd, ProgramError>) -> Result<ProgramFd, ProgramError> {
    of?.try_clone().map_err(ProgramError::IOError)
}

fn refused(program: &str, source: ProgramError) -> KernelError {
    KernelError::Program { program: program.to_owned(), source: Box::new(source) }
}

/// Lifts the limit on locked memory, which kernels before 5.11 count BPF maps against.
pub fn lift_memory_limit() -> io::Result<()> {
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the argument is a valid structure that lives through the call.
    match unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until every program has ended that runs now, and so may go by what was in the maps before.
pub(super) fn wait_for_programs() -> io::Result<()> {
    // SAFETY: the call has three numbers for arguments and touches no memory of this process. The kernel
    // waits for a grace period of RCU, within which programs run (`kernel/sched/membarrier.c`).
    match unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
