//! What a file worth probing is: the functions in it, and where the probes go.
//! Made by `inspect`; taken by `capture`, which knows which programs belong at a function.
//! Plain data; knows no file format and no library.

use std::{
    borrow::Cow,
    fmt,
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// What makes a file the same file: probes are attached once a file, however it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

impl FileId {
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A function that llmtap puts probes on: its arguments and result, whichever library has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Function {
    SslNew,
    SslFree,
    /// `tls_new` of BoringSSL's table of methods: the object is its argument.
    TlsNew,
    /// `tls_free` of the same.
    TlsFree,
    SslUpRef,
    SslClear,
    SslSetFd,
    SslRead,
    SslReadEx,
    SslWrite,
    SslWriteEx,
    SslGetError,
    /// GnuTLS' `gnutls_init`: stores the session.
    GnutlsInit,
    /// GnuTLS' `gnutls_transport_set_int2`.
    GnutlsSetInt2,
    /// `gnutls_record_recv` and what has its arguments.
    GnutlsRecv,
    /// `gnutls_record_send` and what has its arguments.
    GnutlsSend,
    /// NSS' `ssl_Read`, of its table of methods.
    NssRead,
    /// NSS' `ssl_Recv`, of its table of methods: with flags.
    NssRecv,
    /// Go's `(*Conn).clientHandshake` and `serverHandshake`: once a connection.
    GoHandshake,
    /// Go's `(*Conn).handleRenegotiation`: a handshake follows that begins no connection.
    GoRenegotiation,
    /// Where Go's `(*Conn).Read` copies received bytes to the caller.
    GoRead,
    /// Where Go's `(*Conn).Read` learns whether a record could be read.
    GoRecordRead,
    /// A return of Go's `(*Conn).Read`, in place of the two.
    GoReadReturn,
    /// Go's `(*Conn).writeRecordLocked`, which has the bytes of a `Write` in the order of the wire.
    GoWrite,
    /// Go's `(*Conn).Close`.
    GoClose,
    /// rustls' `MessageEncrypter::encrypt`.
    RustlsEncrypt,
    /// rustls' `MessageDecrypter::decrypt`.
    RustlsDecrypt,
    /// The return of `MessageDecrypter::decrypt`.
    RustlsDecryptReturn,
    /// The dynamic linker's debugger hook (`r_debug.r_brk`): the list of libraries changed.
    LibrariesChanged,
}

impl Function {
    pub const ALL: [Self; 29] = [
        Self::SslNew,
        Self::SslFree,
        Self::TlsNew,
        Self::TlsFree,
        Self::SslUpRef,
        Self::SslClear,
        Self::SslSetFd,
        Self::SslRead,
        Self::SslReadEx,
        Self::SslWrite,
        Self::SslWriteEx,
        Self::SslGetError,
        Self::GnutlsInit,
        Self::GnutlsSetInt2,
        Self::GnutlsRecv,
        Self::GnutlsSend,
        Self::NssRead,
        Self::NssRecv,
        Self::GoHandshake,
        Self::GoRenegotiation,
        Self::GoRead,
        Self::GoRecordRead,
        Self::GoReadReturn,
        Self::GoWrite,
        Self::GoClose,
        Self::RustlsEncrypt,
        Self::RustlsDecrypt,
        Self::RustlsDecryptReturn,
        Self::LibrariesChanged,
    ];
}

/// A family of TLS libraries that are found and probed in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stack {
    /// OpenSSL, LibreSSL and BoringSSL by the symbols of their interface.
    OpenSsl,
    /// BoringSSL without symbols.
    BoringSsl,
    /// Go's `crypto/tls`.
    Go,
    GnuTls,
    Nss,
    Rustls,
}

/// As it is shown.
impl Serialize for Stack {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stack {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let named = Self::ALL.into_iter().find(|stack| stack.to_string() == name);
        named.ok_or_else(|| D::Error::custom(format!("{name} is no known TLS library")))
    }
}

impl Stack {
    const ALL: [Self; 6] =
        [Self::OpenSsl, Self::BoringSsl, Self::Go, Self::GnuTls, Self::Nss, Self::Rustls];
}

impl fmt::Display for Stack {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(match self {
            Self::OpenSsl => "OpenSSL",
            Self::BoringSsl => "BoringSSL",
            Self::Go => "Go crypto/tls",
            Self::GnuTls => "GnuTLS",
            Self::Nss => "NSS",
            Self::Rustls => "rustls",
        })
    }
}

/// How sure it is that the functions of a finding are what they are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Their names say so.
    Symbols,
    /// Several facts about their code say so: what flows through them has to prove it.
    Inference,
    /// The user says so: what flows through them has to prove it.
    Told,
}

impl Basis {
    /// Only what flows says whether it is right.
    pub fn needs_proof(self) -> bool {
        match self {
            Self::Symbols => false,
            Self::Inference | Self::Told => true,
        }
    }
}

/// What an instruction costs that a probe sits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// The kernel emulates it.
    Emulated,
    /// The kernel executes it out of line, in single step: some ten times as dear.
    SingleStep,
}

/// Where a probe goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Site {
    pub function: Function,
    /// Bytes from the start of the file to the instruction.
    pub offset: u64,
    pub cost: Cost,
    /// A number that the programs at the site need (48 bits with its sign), or 0. What it says is
    /// the function's.
    pub parameter: i64,
    /// Why there, for people.
    pub reason: Cow<'static, str>,
}

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Finding {
    pub stack: Stack,
    pub basis: Basis,
    /// As the library calls itself, where it does.
    pub version: Option<String>,
    /// How it was found, for people: one fact each.
    pub evidence: Vec<String>,
    pub sites: Vec<Site>,
}

impl Finding {
    pub fn has(&self, function: Function) -> bool {
        self.sites.iter().any(|site| site.function == function)
    }
}

/// A file worth probing.
#[derive(Debug)]
pub struct Target {
    pub id: FileId,
    /// Keeps the file reachable (`/proc/self/fd`) though it be deleted or in another mount namespace.
    pub file: File,
    /// For people.
    pub path: PathBuf,
    /// TLS libraries in it; one file may hold several.
    pub findings: Vec<Finding>,
    /// The hook of a dynamic linker.
    pub linker: Option<Site>,
}

impl Target {
    pub fn is_tls(&self) -> bool {
        !self.findings.is_empty()
    }

    pub fn is_linker(&self) -> bool {
        self.linker.is_some()
    }

    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.findings.iter().flat_map(|finding| &finding.sites)
    }
}
