//! The TCP connections that a process holds.
//! Takes a pid; gives those sockets that the process and its network namespace both name.
//! Each namespace's table is read once.

use std::{collections::HashMap, fs, path::PathBuf};

use procfs::{
    net::TcpState,
    process::{FDTarget, Process},
};
use serde::Serialize;

use crate::capture::Addresses;

/// TCP sockets of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    pub established: Vec<Addresses>,
    pub listening: usize,
}

impl Sockets {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn counts(&self) -> Connections {
        Connections { established: self.established.len(), listening: self.listening }
    }
}

/// TCP sockets of a process, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    pub established: usize,
    pub listening: usize,
}

/// The sockets of each network namespace, by their inode.
#[derive(Debug, Default)]
pub(super) struct Tables(HashMap<PathBuf, HashMap<u64, Entry>>);

/// What a namespace's table says of a socket.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Listening,
    Established(Addresses),
}

impl Tables {
    /// `None`: the process is gone, or may not be looked at.
    pub(super) fn of_process(&mut self, pid: u32) -> Option<Sockets> {
        let process = Process::new(i32::try_from(pid).ok()?).ok()?;
        let namespace = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
        let table = self.0.entry(namespace).or_insert_with(|| table(&process));
        let mut sockets = Sockets::default();
        for descriptor in process.fd().ok()? {
            // One that was closed since the list was read.
            let Ok(descriptor) = descriptor else { continue };
            let FDTarget::Socket(inode) = descriptor.target else { continue };
            match table.get(&inode) {
                Some(Entry::Listening) => sockets.listening += 1,
                Some(Entry::Established(addresses)) => sockets.established.push(*addresses),
                None => {}
            }
        }
        Some(sockets)
    }
}

fn table(process: &Process) -> HashMap<u64, Entry> {
    let both = [process.tcp(), process.tcp6()];
    let entries = both.into_iter().flatten().flatten().filter_map(|entry| {
        let told = match entry.state {
            TcpState::Listen => Entry::Listening,
            TcpState::Established => Entry::Established(Addresses {
                local: entry.local_address,
                peer: entry.remote_address,
            }),
            _ => return None,
        };
        Some((entry.inode, told))
    });
    entries.collect()
}

/// The process lives and is no kernel thread, which have nothing mapped.
pub(super) fn may_hold(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn own_sockets_are_counted() {
        let own = std::process::id();
        let before = Tables::default().of_process(own).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        // Other tests have sockets too, which come and go.
        let with = Tables::default().of_process(own).unwrap();
        assert!(with.listening > 0, "{before:?} {with:?}");
        for socket in [&client, &server] {
            let (local, peer) = (socket.local_addr().unwrap(), socket.peer_addr().unwrap());
            assert!(with.established.contains(&Addresses { local, peer }), "{with:?}");
        }
        drop((client, server));
        assert_eq!(Tables::default().of_process(u32::MAX), None);
    }
}
