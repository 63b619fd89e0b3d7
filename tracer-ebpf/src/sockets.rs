//! From the descriptor that a TLS object was given to the addresses of its socket.
//! Takes a descriptor of the current process; gives its addresses, read where the kernel keeps them.
//! Structure offsets come from the running kernel's BTF. What is no TCP socket has no addresses.

use aya_ebpf::helpers::generated::bpf_get_current_task;
use tracer_ebpf::Socket;

use crate::{maps::setting, processes::read_kernel};

/// `S_IFMT` and `S_IFSOCK` (Linux `stat.h`).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

#[inline(always)]
pub(crate) fn of_descriptor(fd: u32) -> Option<Socket> {
    let (file, _) = file_of(fd)?;
    let socket: u64 = read_kernel(file, setting!(offsets.file_private_data))?;
    let sock: u64 = read_kernel(socket, setting!(offsets.socket_sk))?;
    addresses(sock, fd)
}

/// The number of a socket's inode: one for each socket that was made, while the system runs.
#[inline(always)]
pub(crate) fn number(fd: u32) -> Option<u64> {
    let (_, inode) = file_of(fd)?;
    read_kernel(inode, setting!(offsets.inode_number))
}

/// The file of a descriptor and its inode, if it is a socket.
#[inline(always)]
fn file_of(fd: u32) -> Option<(u64, u64)> {
    // SAFETY: the helper has no arguments and no effects.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = read_kernel(task, setting!(offsets.task_files))?;
    let table: u64 = read_kernel(files, setting!(offsets.files_fdt))?;
    let size: u32 = read_kernel(table, setting!(offsets.fdt_max_fds))?;
    if fd >= size {
        return None;
    }
    let descriptors: u64 = read_kernel(table, setting!(offsets.fdt_fd))?;
    let file: u64 = read_kernel(descriptors + u64::from(fd) * 8, 0)?;
    if file == 0 {
        return None;
    }
    let inode: u64 = read_kernel(file, setting!(offsets.file_inode))?;
    let mode: u16 = read_kernel(inode, setting!(offsets.inode_mode))?;
    (mode & S_IFMT == S_IFSOCK).then_some((file, inode))
}

#[inline(always)]
fn addresses(sock: u64, fd: u32) -> Option<Socket> {
    let family: u16 = read_kernel(sock, setting!(offsets.sock_family))?;
    let peer_port: u16 = read_kernel(sock, setting!(offsets.sock_dport))?;
    let mut socket = Socket {
        family,
        local_port: read_kernel(sock, setting!(offsets.sock_num))?,
        peer_port: u16::from_be(peer_port),
        fd,
        ..Socket::default()
    };
    if family == AF_INET {
        let local: [u8; 4] = read_kernel(sock, setting!(offsets.sock_rcv_saddr))?;
        let peer: [u8; 4] = read_kernel(sock, setting!(offsets.sock_daddr))?;
        socket.local[..4].copy_from_slice(&local);
        socket.peer[..4].copy_from_slice(&peer);
    } else if family == AF_INET6 {
        socket.local = read_kernel(sock, setting!(offsets.sock_v6_rcv_saddr))?;
        socket.peer = read_kernel(sock, setting!(offsets.sock_v6_daddr))?;
    } else {
        return None;
    }
    // Not connected yet: the addresses are not those of a connection.
    (socket.peer_port != 0).then_some(socket)
}
