//! Offsets of kernel structures' fields, from the running kernel's own type information (BTF).
//! Takes `/sys/kernel/btf/vmlinux`; gives the [`Offsets`] that the BPF programs are loaded with.
//! Rust emits no CO-RE relocations, so this is done here, once, before loading.

use btfparse::{Error, ErrorKind, Offset, Readable, TypeInformation};
use tracer_ebpf::Offsets;

pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

#[derive(Debug, thiserror::Error)]
pub enum OffsetsError {
    #[error(
        "cannot read {KERNEL_BTF}: {0}; llmtap needs a kernel built with CONFIG_DEBUG_INFO_BTF"
    )]
    NoTypes(#[from] std::io::Error),
    #[error("the type information in {KERNEL_BTF} is not understood: {0}")]
    BadTypes(String),
    #[error(
        "the kernel's type information has no {structure}.{field}; this kernel is not supported"
    )]
    NoField { structure: &'static str, field: &'static str },
}

/// Reads the offsets of the running kernel. The types take some 60 MB for a moment.
pub(super) fn running_kernel() -> Result<Offsets, OffsetsError> {
    let offsets = read();
    give_back();
    offsets
}

/// glibc keeps what was freed, for good where something that lives lies behind it.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn read() -> Result<Offsets, OffsetsError> {
    let bytes = Bytes(std::fs::read(KERNEL_BTF)?);
    let types = TypeInformation::new(&bytes)
        .map_err(|error| OffsetsError::BadTypes(format!("{error:?}")))?;
    let at = |structure: &'static str, field: &'static str| offset(&types, structure, field);
    Ok(Offsets {
        task_tgid: at("task_struct", "tgid")?,
        task_pid: at("task_struct", "pid")?,
        task_signal: at("task_struct", "signal")?,
        signal_live: at("signal_struct", "live")?,
        task_files: at("task_struct", "files")?,
        files_fdt: at("files_struct", "fdt")?,
        fdt_max_fds: at("fdtable", "max_fds")?,
        fdt_fd: at("fdtable", "fd")?,
        file_inode: at("file", "f_inode")?,
        inode_mode: at("inode", "i_mode")?,
        file_private_data: at("file", "private_data")?,
        socket_sk: at("socket", "sk")?,
        sock_family: at("sock_common", "skc_family")?,
        sock_dport: at("sock_common", "skc_dport")?,
        sock_num: at("sock_common", "skc_num")?,
        sock_daddr: at("sock_common", "skc_daddr")?,
        sock_rcv_saddr: at("sock_common", "skc_rcv_saddr")?,
        sock_v6_daddr: at("sock_common", "skc_v6_daddr")?,
        sock_v6_rcv_saddr: at("sock_common", "skc_v6_rcv_saddr")?,
        inode_number: at("inode", "i_ino")?,
    })
}

fn offset(
    types: &TypeInformation,
    structure: &'static str,
    field: &'static str,
) -> Result<u32, OffsetsError> {
    let missing = || OffsetsError::NoField { structure, field };
    let id = types.id_of(structure).ok_or_else(missing)?;
    let (_, found) = types.offset_of(id, field).map_err(|_| missing())?;
    // Fields of interest are no bit fields: their offsets are whole bytes.
    let Offset::ByteOffset(bytes) = found else { return Err(missing()) };
    Ok(bytes)
}

/// The type information in memory, as the reader wants it.
struct Bytes(Vec<u8>);

impl Readable for Bytes {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> btfparse::Result<()> {
        let wanted = usize::try_from(offset)
            .ok()
            .and_then(|start| self.0.get(start..start.checked_add(buffer.len())?))
            .ok_or_else(|| Error::new(ErrorKind::IOError, "read beyond the end"))?;
        buffer.copy_from_slice(wanted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_kernel_has_every_field() {
        let Ok(offsets) = running_kernel() else {
            println!("not run: this kernel has no readable type information");
            return;
        };
        // Process and thread id are neighbours in every version since 2.6.
        assert_eq!(offsets.task_tgid, offsets.task_pid + 4);
    }

    #[test]
    fn reading_beyond_the_end_fails() {
        let bytes = Bytes(vec![1, 2, 3]);
        let mut two = [0; 2];
        assert!(bytes.read(1, &mut two).is_ok());
        assert_eq!(two, [2, 3]);
        assert!(bytes.read(2, &mut two).is_err());
        assert!(bytes.read(u64::MAX, &mut two).is_err());
    }
}
