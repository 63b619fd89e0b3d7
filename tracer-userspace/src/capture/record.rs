//! Bytes of the ring as values: the header, and the payload that its kind says.
//! Takes one record; gives a [`Record`], or nothing for what no version of the kernel side writes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tracer_ebpf::{
    Closed, END_OF_STREAM, Executed, FLAG_SENT, Forked, HEADER_LEN, Header, Joined, Kind, Opened,
    Origin, PeerEnded, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN, Skipped, Socket,
};

use super::event::{Addresses, Direction, PeerEnd};

/// One record of the ring.
#[derive(Debug)]
pub struct Record<'a> {
    pub(super) header: Header,
    pub(super) body: Body<'a>,
}

#[derive(Debug)]
pub(super) enum Body<'a> {
    Data(Direction, &'a [u8]),
    Opened(Opened),
    Closed(Closed),
    PeerEnded(PeerEnd),
    Skipped(Skipped),
    Doubted,
    Joined(Joined),
    Socket(Addresses),
    Forked(Forked),
    Executed(Executed),
    Exited,
    LibrariesChanged,
    Appeared,
    Excluded,
}

impl<'a> Record<'a> {
    /// Reads a record. `None`: cut short, or of an unknown kind.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let header: Header = plain(bytes)?;
        let payload = bytes.get(HEADER_LEN..)?.get(..header.len as usize)?;
        // Positions past 2^64 do not exist; stages add to them.
        header.offset.checked_add(header.len.into())?;
        let is = |kind: Kind| header.kind == kind as u32;
        let body = if is(Kind::Data) {
            let sent = header.flags & FLAG_SENT != 0;
            Body::Data(if sent { Direction::Sent } else { Direction::Received }, payload)
        } else if is(Kind::Opened) {
            Body::Opened(plain(payload)?)
        } else if is(Kind::Closed) {
            Body::Closed(plain(payload)?)
        } else if is(Kind::PeerEnded) {
            Body::PeerEnded(peer_end(plain(payload)?))
        } else if is(Kind::Skipped) {
            Body::Skipped(plain(payload)?)
        } else if is(Kind::Doubted) {
            Body::Doubted
        } else if is(Kind::Joined) {
            Body::Joined(plain(payload)?)
        } else if is(Kind::Socket) {
            Body::Socket(addresses(&plain(payload)?)?)
        } else if is(Kind::Forked) {
            Body::Forked(plain(payload)?)
        } else if is(Kind::Executed) {
            Body::Executed(plain(payload)?)
        } else if is(Kind::Exited) {
            Body::Exited
        } else if is(Kind::LibrariesChanged) {
            Body::LibrariesChanged
        } else if is(Kind::Appeared) {
            Body::Appeared
        } else if is(Kind::Excluded) {
            Body::Excluded
        } else {
            return None;
        };
        Some(Self { header, body })
    }
}

/// Types of the kernel side's layout that are valid for any bytes.
trait Plain: Copy {}
impl Plain for Header {}
impl Plain for Opened {}
impl Plain for Closed {}
impl Plain for PeerEnded {}
impl Plain for Skipped {}
impl Plain for Socket {}
impl Plain for Forked {}
impl Plain for Executed {}
impl Plain for Joined {}

fn plain<T: Plain>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: as many bytes as the type has are there, the read asks for no alignment, and the
    // types above are `repr(C)` integers, valid whatever the bytes are.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

fn peer_end(ended: PeerEnded) -> PeerEnd {
    match ended.error {
        SSL_ERROR_ZERO_RETURN => PeerEnd::CloseNotify,
        END_OF_STREAM => PeerEnd::EndOfStream,
        SSL_ERROR_SYSCALL => PeerEnd::SystemCall,
        _ => PeerEnd::Broken,
    }
}

fn addresses(socket: &Socket) -> Option<Addresses> {
    let address = |bytes: &[u8; 16]| match i32::from(socket.family) {
        libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))),
        // A v4-mapped address is the IPv4 address that it maps (RFC 4291 §2.5.5.2).
        libc::AF_INET6 => Some(Ipv6Addr::from(*bytes).to_canonical()),
        _ => None,
    };
    Some(Addresses {
        local: SocketAddr::new(address(&socket.local)?, socket.local_port),
        peer: SocketAddr::new(address(&socket.peer)?, socket.peer_port),
    })
}

/// How a connection began, of the kernel side's number for it.
pub(super) fn origin(opened: &Opened) -> super::event::Origin {
    use super::event;
    if opened.origin == Origin::Created as u32 {
        event::Origin::Created
    } else if opened.origin == Origin::Inherited as u32 {
        event::Origin::Inherited(event::ConnectionId(opened.parent))
    } else {
        event::Origin::JoinedLate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of<T: Plain>(value: &T) -> Vec<u8> {
        let start = std::ptr::from_ref(value).cast::<u8>();
        // SAFETY: a value of that size, made of integers without padding.
        unsafe { std::slice::from_raw_parts(start, size_of::<T>()) }.to_vec()
    }

    #[test]
    fn data_record_keeps_its_bytes() {
        let header =
            Header { kind: Kind::Data as u32, flags: FLAG_SENT, len: 3, ..Header::default() };
        let mut bytes = bytes_of(&header);
        bytes.extend(b"abc-and-what-the-tier-left-over");
        let record = Record::read(&bytes).unwrap();
        assert!(matches!(record.body, Body::Data(Direction::Sent, b"abc")));
    }

    #[test]
    fn short_or_unknown_records_are_refused() {
        let header = Header { kind: Kind::Opened as u32, len: 24, ..Header::default() };
        let whole = bytes_of(&header);
        for end in 0..whole.len() {
            assert!(Record::read(&whole[..end]).is_none());
        }
        assert!(Record::read(&whole).is_none(), "payload missing");
        let unknown = bytes_of(&Header { kind: 99, ..Header::default() });
        assert!(Record::read(&unknown).is_none());
        let beyond =
            bytes_of(&Header { kind: Kind::Data as u32, len: u32::MAX, ..Header::default() });
        assert!(Record::read(&beyond).is_none());
        let (kind, offset) = (Kind::Data as u32, u64::MAX);
        let mut past_the_end = bytes_of(&Header { kind, offset, len: 1, ..Header::default() });
        past_the_end.push(b'x');
        assert!(Record::read(&past_the_end).is_none());
    }

    #[test]
    fn mapped_address_is_ipv4() {
        let mut socket =
            Socket { family: libc::AF_INET6 as u16, peer_port: 443, ..Socket::default() };
        socket.peer = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().octets();
        assert_eq!(addresses(&socket).unwrap().peer, "192.0.2.7:443".parse().unwrap());
        socket.family = 1;
        assert!(addresses(&socket).is_none());
    }
}
