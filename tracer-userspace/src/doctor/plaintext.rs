//! What is seen of a process's connections while it is traced, held against the sockets that it has.
//! Takes both lists, as they were at about the same time; gives numbers, and what no plaintext was seen of.
//! A socket is matched by its addresses or not at all.

use std::{
    collections::HashSet,
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde::Serialize;

use crate::capture::Addresses;

/// Peers that are named at most.
const MAX_PEERS: usize = 8;

/// Connections of one process whose plaintext is seen, of its sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plaintext {
    /// TLS connections that are followed.
    pub connections: usize,
    /// Of these, those whose socket is not known.
    pub without_socket: usize,
    /// Established sockets that no such connection is known to be on.
    pub other_sockets: usize,
    /// Where those lead, each once: the first of them, in order.
    pub other_peers: Vec<SocketAddr>,
}

impl Plaintext {
    /// `seen`: of each connection that is followed, its addresses where they are known.
    pub fn compare(seen: &[Option<Addresses>], established: &[Addresses]) -> Self {
        let known: HashSet<_> = seen.iter().flatten().map(plain).collect();
        let others = established.iter().map(plain).filter(|addresses| !known.contains(addresses));
        let mut peers: Vec<_> = others.map(|(_, peer)| peer).collect();
        let other_sockets = peers.len();
        peers.sort_unstable();
        peers.dedup();
        peers.truncate(MAX_PEERS);
        Self {
            connections: seen.len(),
            without_socket: seen.iter().filter(|addresses| addresses.is_none()).count(),
            other_sockets,
            other_peers: peers,
        }
    }
}

impl fmt::Display for Plaintext {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, without_socket, other_sockets, other_peers } = self;
        write!(text, "{connections} TLS connections are followed")?;
        if *other_sockets == 0 {
            return Ok(());
        }
        write!(text, "; no plaintext is seen of {other_sockets} sockets")?;
        for (number, peer) in other_peers.iter().enumerate() {
            write!(text, "{} {peer}", if number == 0 { ", to" } else { "," })?;
        }
        if *without_socket > 0 {
            let least = without_socket.min(other_sockets);
            write!(text, " (of these up to {least} may be followed: their sockets are not known)")?;
        }
        Ok(())
    }
}

/// IPv4 in IPv6 as what it is: the program's socket may be of either family.
fn plain(addresses: &Addresses) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| -> SocketAddr {
        let ip: IpAddr = address.ip().to_canonical();
        (ip, address.port()).into()
    };
    (plain(addresses.local), plain(addresses.peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(local: &str, peer: &str) -> Addresses {
        Addresses { local: local.parse().unwrap(), peer: peer.parse().unwrap() }
    }

    #[test]
    fn sockets_are_matched_by_their_addresses() {
        let api = addresses("10.0.0.1:4001", "10.9.0.1:443");
        let mapped = addresses("[::ffff:10.0.0.1]:4001", "[::ffff:10.9.0.1]:443");
        let database = addresses("10.0.0.1:4002", "10.9.0.2:5432");
        let told = Plaintext::compare(&[Some(api)], &[mapped, database, database]);
        let expected = Plaintext {
            connections: 1,
            without_socket: 0,
            other_sockets: 2,
            other_peers: vec![database.peer],
        };
        assert_eq!(told, expected);
        let text = told.to_string();
        assert_eq!(
            text,
            "1 TLS connections are followed; no plaintext is seen of 2 sockets, to 10.9.0.2:5432"
        );
    }

    #[test]
    fn connection_without_socket_is_taken_for_none() {
        let api = addresses("10.0.0.1:4001", "10.9.0.1:443");
        let told = Plaintext::compare(&[None], &[api]);
        assert_eq!((told.without_socket, told.other_sockets), (1, 1));
        assert!(told.to_string().contains("up to 1 may be followed"), "{told}");
        assert_eq!(Plaintext::compare(&[None], &[]).to_string(), "1 TLS connections are followed");
    }
}
